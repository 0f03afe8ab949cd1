"""What a reproduction hands over: curves in panels, a short table, and what became of each claim.

The curves' numbers go into the record's labelled arrays and the panels into its summary, so that the
report draws any reproduction from its record alone, by the same few lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from phalanx._record import Record

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True, eq=False)
class Curve:
    """One line, or a scatter of marks.

    Attributes:
        label: for the legend; "" for none.
        x, y: (n,) points; NaN leaves a gap. low, high: (n,) band around them, or None.
        style: "line", "dashed" (a prediction, a bound), "dotted" (a reference), "marks", or "both".
        colour: index of the palette; curves that belong together share one. None: the next one.
    """

    label: str
    x: Any
    y: Any
    low: Any = None
    high: Any = None
    style: Literal["line", "dashed", "dotted", "marks", "both"] = "line"
    colour: int | None = None


@dataclass(frozen=True, eq=False)
class Panel:
    """One set of axes.

    Attributes:
        title: a sentence that says what to see. x_label, y_label: with units.
        curves: what is drawn. x_log, y_log: logarithmic axes.
        y_range: ends of the y axis where panels are to be compared; None fits the curves.
    """

    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]
    x_log: bool = False
    y_log: bool = False
    y_range: tuple[float, float] | None = None


@dataclass(frozen=True)
class Bars:
    """Named numbers side by side, on axes of their own.

    Attributes:
        title: a sentence that says what to see. x_label: what the numbers are, with units.
        labels: one name per bar. values: their lengths; None where there is no number.
        colours: indices of the palette, one per bar.
    """

    title: str
    x_label: str
    labels: Sequence[str]
    values: Sequence[float | None]
    colours: Sequence[int]


@dataclass(frozen=True)
class Claim:
    """Something that a paper, or this project, says, and what was found.

    Attributes:
        text: the claim, in a sentence. source: paper and place.
        holds: True, False, or None where the numbers do not decide.
        measured: the figure that was measured, in a sentence.
    """

    text: str
    source: str
    holds: bool | None
    measured: str


@dataclass(frozen=True)
class Table:
    """A short table.

    Attributes:
        title: what it shows. header: one name per column. rows: of words and numbers.
        kind: "numbers", or "words" for columns of sentences.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    kind: Literal["numbers", "words"] = "numbers"


def reproduction(
    name: str,
    title: str,
    story: str,
    panels: Sequence[Panel | Bars],
    tables: Sequence[Table],
    claims: Sequence[Claim],
    settings: dict[str, Any],
    notes: Sequence[str] = (),
    numbers: dict[str, Any] | None = None,
) -> Record:
    """The record of kind "reproduction" that the report draws.

    Args:
        name: of the reproduction, as `phalanx reproduce NAME` takes it.
        title: one line.
        story: a paragraph: the question, the set-up and why it was chosen.
        panels: figures.
        tables: numbers.
        claims: verdicts.
        settings: everything it takes to do it again.
        notes: caveats, one sentence each.
        numbers: further results by name, for programs that read the record.
    """
    series, drawn = {}, []
    for i, panel in enumerate(panels):
        if isinstance(panel, Bars):
            drawn.append(_bars(panel))
            continue
        curves = []
        for j, curve in enumerate(panel.curves):
            entry: dict[str, Any] = {"label": curve.label, "style": curve.style}
            entry["colour"] = j if curve.colour is None else curve.colour
            for part in ("x", "y", "low", "high"):
                values = getattr(curve, part)
                if values is not None:
                    key = f"panel{i}_curve{j}_{part}"
                    series[key] = (f"panel{i}_curve{j}", np.asarray(values, dtype=np.float64))
                    entry[part] = key
            curves.append(entry)
        words = ("title", "x_label", "y_label", "x_log", "y_log", "y_range")
        drawn.append({word: getattr(panel, word) for word in words} | {"curves": curves})
    summary = {
        "title": title,
        "story": story,
        "settings": settings,
        "claims": [vars(claim) for claim in claims],
        "tables": [
            {
                "title": t.title,
                "header": list(t.header),
                "rows": [list(row) for row in t.rows],
                "kind": t.kind,
            }
            for t in tables
        ],
        "panels": drawn,
        "notes": list(notes),
        **(numbers or {}),
    }
    return Record("reproduction", name, summary, _dataset(series))


def _bars(panel: Bars) -> dict[str, Any]:
    rows = zip(panel.labels, panel.values, panel.colours, strict=True)
    bars = [{"label": label, "value": value, "colour": colour} for label, value, colour in rows]
    return {"title": panel.title, "x_label": panel.x_label, "bars": bars}


def _dataset(series: dict[str, Any]) -> "xarray.Dataset":
    import xarray

    return xarray.Dataset(series)


def slope(x: Any, y: Any) -> tuple[float, float]:
    """Least-squares slope of y against x and its standard error."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    X = np.stack([x, np.ones_like(x)], axis=1)
    solution, *_ = np.linalg.lstsq(X, y, rcond=None)
    left = y - X @ solution
    variance = left @ left / max(len(x) - 2, 1)
    return float(solution[0]), float(np.sqrt(variance * np.linalg.inv(X.T @ X)[0, 0]))
