"""Curves and bars in panels, drawn from what a study's record says about them; one figure holds them all."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

import phalanx.report._named_bars as named_bars
import phalanx.report._theme as theme
from phalanx._outcome import InputError

PANEL_HEIGHT, LINE_HEIGHT = 2.7, 0.15
INSIDE = 2
# Names up to so many letters stand five, or two, abreast below their panel.
SHORT = (5, 22)
LONG = 1000
STYLES = {
    "line": {"linestyle": "-"},
    "dashed": {"linestyle": (0, (5, 2))},
    "dotted": {"linestyle": (0, (1.2, 1.6))},
    "marks": {"linestyle": "none", "marker": "o", "markersize": 4},
    "both": {"linestyle": "-", "marker": "o", "markersize": 3.5},
}


def picture(title: str, panels: list[dict[str, Any]], series: Any) -> theme.Picture:
    """All panels as one figure.

    Args:
        title: of the study.
        panels: from the record's summary.
        series: its labelled arrays.

    Raises:
        InputError: a panel that asks for arrays the record does not hold.
    """

    def draw(wide: bool) -> Figure:
        columns = 2 if wide and len(panels) > 1 else 1
        rows = -(-len(panels) // columns)
        tall = [
            max(_height(panel) for panel in panels[i : i + columns])
            for i in range(0, len(panels), columns)
        ]
        fig = theme.figure(wide, sum(tall))
        for axes, panel in zip(_grid(fig, panels, rows, columns, tall), panels, strict=False):
            _panel(axes, panel, series, 62 if columns == 1 and wide else 44)
        return fig

    described = "; ".join(_described(panel, series) for panel in panels)
    return theme.Picture(
        "study", theme.clean(title, LONG), " ".join(_caption(p) for p in panels), described, draw
    )


def _grid(
    fig: Figure, panels: list[dict[str, Any]], rows: int, columns: int, tall: list[float]
) -> list[Axes]:
    """Axes for all panels, row by row; the last row may have some to spare, which are hidden."""
    if any("bars" in panel for panel in panels):
        # The names of bars take room from their own row only.
        strips = np.ravel(fig.subfigures(rows, 1, squeeze=False, height_ratios=tall))
        found = [axes for strip in strips for axes in strip.subplots(1, columns, squeeze=False)[0]]
    else:
        found = list(fig.subplots(rows, columns, squeeze=False, height_ratios=tall).flat)
    for axes in found[len(panels) :]:
        axes.set_visible(False)
    return found


def _height(panel: dict[str, Any]) -> float:
    """Inches that a panel needs, with its legend below."""
    if "bars" in panel:
        return named_bars.height(panel)
    names = [curve["label"] for curve in panel["curves"] if curve["label"]]
    lines = -(-len(names) // _columns(names, 44)) if len(names) > INSIDE else 0
    return PANEL_HEIGHT + LINE_HEIGHT * lines


def _columns(names: list[str], letters: int) -> int:
    """How many names of a legend fit beside each other."""
    longest = max(map(len, names), default=0)
    if longest <= SHORT[0]:
        return 5
    return 2 if longest <= SHORT[1] or letters > 50 else 1


def _panel(axes: Axes, panel: dict[str, Any], series: Any, letters: int) -> None:
    if "bars" in panel:
        named_bars.draw(axes, panel, letters)
        return
    theme.frame(axes, panel["title"], letters)
    axes.set_xlabel(theme.clean(panel["x_label"]))
    axes.set_ylabel(theme.clean(panel["y_label"]))
    for axis, part, log in (
        (axes.xaxis, "x", panel["x_log"]),
        (axes.yaxis, "y", panel["y_log"]),
    ):
        # Where nothing is positive there is nothing to take a logarithm of.
        _scale(axis, log and any((_values(series, c, part) > 0).any() for c in panel["curves"]))
    labelled = False
    for curve in panel["curves"]:
        x, y = _values(series, curve, "x"), _values(series, curve, "y")
        slot = curve["colour"] % len(theme.DASHES)
        look = STYLES.get(curve["style"], STYLES["line"])
        label = theme.clean(curve["label"], 48)
        label = f"\u200b{label}" if label.startswith("_") else label  # which would hide it
        labelled |= bool(label)
        axes.plot(x, y, color=theme.ink(f"s{slot}"), linewidth=1.5, label=label or "_none", **look)
        if "low" in curve and "high" in curve:
            low, high = _values(series, curve, "low"), _values(series, curve, "high")
            if panel["y_log"]:  # a band that reaches 0 goes down to the axis
                floor = np.nanmin(np.where(y > 0, y, np.nan), initial=np.inf) * 1e-2
                low = np.where(low > 0, low, floor)
            axes.fill_between(x, low, high, color=theme.ink(f"s{slot}"), alpha=0.18, linewidth=0)
    if panel.get("y_range"):
        axes.set_ylim(*panel["y_range"])
    if not labelled:
        return
    # A few names find room inside; more of them would cover what they name.
    names = [curve["label"] for curve in panel["curves"] if curve["label"]]
    if len(names) <= INSIDE:
        axes.legend(frameon=False, fontsize=7.5, handlelength=2.6)
    else:
        axes.legend(
            frameon=False,
            fontsize=7.2,
            handlelength=2.6,
            labelspacing=0.25,
            ncols=_columns(names, letters),
            columnspacing=1.2,
            loc="upper left",
            bbox_to_anchor=(0, -0.17),
        )


def _scale(axis: Any, log: bool) -> None:
    """Ticks as people write them, with no markup."""
    if not log:
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))
        return
    scale = axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale
    scale("log", nonpositive="mask")
    axis.set_major_formatter(FuncFormatter(lambda value, _: _power(value)))

    def between(value: float, _: Any) -> str:
        low, high = sorted(axis.get_view_interval())
        # Powers of ten are enough, unless there are hardly any in view.
        if high > 30 * low:
            return ""
        return _plain(value) if round(value / 10 ** np.floor(np.log10(value))) in (2, 5) else ""

    axis.set_minor_formatter(FuncFormatter(between))


def _plain(value: float) -> str:
    """1500000 → 1.5M, 0.02 → 0.02."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):g}{unit}"
    return f"{value:g}".replace("-", "−")


def _power(value: float) -> str:
    """1000 → 10³."""
    exponent = round(np.log10(value))
    if -2 < exponent < 3:
        return f"{10.0**exponent:g}"
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _values(series: Any, curve: dict[str, Any], part: str) -> np.ndarray:
    if series is None or curve[part] not in series:
        raise InputError(f"the record asks for the curve {curve[part]!r}, which it does not hold.")
    return np.asarray(series[curve[part]], dtype=np.float64)


def _caption(panel: dict[str, Any]) -> str:
    title = theme.clean(panel["title"], LONG).rstrip(".")
    return f"{title}."


def _described(panel: dict[str, Any], series: Any) -> str:
    """The ends of each curve, in words, for those who do not see it."""
    if "bars" in panel:
        title = theme.clean(panel["title"], LONG)
        return f"{title}: {named_bars.described(panel)}"
    parts = []
    for curve in panel["curves"]:
        y = _values(series, curve, "y")
        y = y[np.isfinite(y)]
        if curve["label"] and len(y):
            label = theme.clean(curve["label"], LONG)
            parts.append(f"{label} from {y[0]:.3g} to {y[-1]:.3g}")
    title = theme.clean(panel["title"], LONG)
    return f"{title}: {', '.join(parts)}" if parts else title
