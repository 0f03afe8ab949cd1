"""Tables, as HTML that a screen reader can walk: a caption, and a scope on every header.

A wide table of numbers scrolls inside its own box, which the keyboard can reach, and on a phone a table
of words is stacked; the page never scrolls sideways. The roles repeat what the elements mean, because
browsers forget it once style sheets stack them.
Whatever comes from the record is escaped here.
"""

from html import escape
from typing import Any

from phalanx.report._checks import Check, errors_off
from phalanx.report._facts import Facts, Row
from phalanx.report._numbers import MISSING, number, percent, plural, times
from phalanx.report._words import worst_outside

# A matrix with more rows or columns is cut; the record has it all.
LARGEST = 12


def table(caption: str, head: list[str], rows: list[list[str]], kind: str = "numbers") -> str:
    """A table of escaped cells, whose first column names its row.

    Args:
        caption: what it shows, as text.
        head: header cells, as text.
        rows: cells, already HTML.
        kind: "numbers" sets all but the first column right, "words" leaves them.
    """
    top = "".join(f'<th scope="col" role="columnheader">{escape(cell)}</th>' for cell in head)
    body = "\n".join(_row(cells, head) for cells in rows)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}">\n'
        f'<table class="{kind}" role="table">\n<caption>{escape(caption)}</caption>\n'
        f'<thead role="rowgroup"><tr role="row">{top}</tr></thead>\n'
        f'<tbody role="rowgroup">\n{body}\n</tbody>\n</table>\n</div>'
    )


def _row(cells: list[str], head: list[str]) -> str:
    """One row; where a phone stacks the cells, each is preceded by the head of its column."""
    first = f'<th scope="row" role="rowheader">{cells[0]}</th>'
    rest = "".join(
        f'<td role="cell" data-head="{escape(name)}">{cell}</td>'
        for cell, name in zip(cells[1:], head[1:], strict=True)
    )
    return f'<tr role="row">{first}{rest}</tr>'


def mark(
    holds: bool | None, words: tuple[str, str, str] = ("holds", "fails", "not applicable")
) -> str:
    """Yes, no or neither: a sign, a word and a colour."""
    if holds is None:
        return f'<span class="mark open"><span aria-hidden="true">○</span> {words[2]}</span>'
    kind, sign, word = ("good", "✓", words[0]) if holds else ("bad", "✗", words[1])
    return f'<span class="mark {kind}"><span aria-hidden="true">{sign}</span> {word}</span>'


def comparison(facts: Facts) -> str:
    """Controllers against everything that was measured."""
    outside = bool(facts.limited)
    cost = "cost, simulated" if facts.world is None else "cost, recorded"
    head = ["controller", "worst case, exact", "keeps the promise?", cost]
    head += ["key state, RMS", "key state, peak", "cost, worst attack"]
    head += ["outside limits", "the same, attacked"] if outside else []
    rows = []
    for row in facts.rows:
        share = "" if not facts.guarantee else f" ({percent(row.gain / facts.guarantee)} of γ²)"
        keeps = None if facts.guarantee is None else row.keeps
        cells = [
            _named(row),
            times(row.gain),
            mark(keeps, (f"yes{share}", "no", "not asked")),
            number(row.cost),
            number(_of(row.recorded, "rms_mean", facts.key)),
            number(_of(row.recorded, "peak_mean", facts.key)),
            number(row.attack_cost),
        ]
        if outside:
            worlds = (row.recorded, row.attack)
            cells += [percent(worst_outside(facts, world)) for world in worlds]
        rows.append(cells)
    return table("Every controller in the same worlds", head, rows)


def check_list(found: list[Check]) -> str:
    """All checks, one a row."""
    rows = [
        [escape(check.name), mark(check.holds), escape(check.measured), escape(check.needed)]
        for check in found
    ]
    return table(
        "What was checked", ["check", "outcome", "measured", "must be"], rows, kind="words"
    )


def episodes(facts: Facts) -> str:
    """The pathwise inequality, episode by episode; "" where it does not apply."""
    found = facts.certified.pathwise
    if not found:
        return ""
    rows = [
        [
            str(place + 1),
            number(item["cost"]),
            number(item["bound"]),
            percent(item["cost"] / item["bound"]) if item["bound"] else MISSING,
            mark(bool(item["holds"])),
        ]
        for place, item in enumerate(found)
    ]
    head = ["episode", "cost", "bound", "used", "cost ≤ bound"]
    return table("The promise, episode by episode", head, rows)


def payoffs(facts: Facts) -> str:
    """Everyone against the saddle point's disturber; "" where that was not played."""
    rows = []
    for row in facts.rows:
        off = errors_off(row)
        if off is None or row.adversary is None:
            continue
        rows.append(
            [
                escape(row.label),
                f"{number(row.adversary['payoff'])} ± {number(row.adversary['standard_error'], 2)}",
                number(row.adversary["value"]),
                f"{'+' if off >= 0 else '−'}{number(abs(off), 3)}",
            ]
        )
    if not rows:
        return ""
    head = [
        "controller",
        "payoff ± standard error",
        "value of the game",
        "standard errors above it",
    ]
    return table("Against the saddle point's own disturber", head, rows)


def attacks(facts: Facts) -> str:
    """Computed against replayed attacks; "" without any."""
    rows = [
        [
            escape(row.label),
            number(row.attack["exact"], 8),
            number(row.attack["measured"], 8),
            "the average" if row.attack["through"] == "mean" else "differences",
        ]
        for row in facts.rows
        if row.attack is not None
    ]
    if not rows:
        return ""
    agents = plural(facts.simulated, "agent")
    head = ["controller", "computed", f"replayed on {agents}", "goes through"]
    return table(f"Cost of the worst attack of energy {number(facts.energy)}", head, rows)


def matrix(facts: Facts, name: str, caption: str) -> str:
    """A gain of the first stage: a row per control, a column per state; "" where it does not exist."""
    values: Any = facts.gains.get(name)
    if not values or not values[0]:
        return ""
    if isinstance(values[0][0], list):
        values = values[0]
    names = facts.controls if name.endswith("1") else facts.disturbances
    rows = [
        [
            escape(_name(names, place)),
            *(number(value, 5) for value in values[place][:LARGEST]),
        ]
        for place in range(min(len(values), LARGEST))
    ]
    cut = len(values) > LARGEST or len(values[0]) > LARGEST
    more = f" (first {LARGEST} of each side; the record has all)" if cut else ""
    side = "control" if name.endswith("1") else "disturbance"
    return table(
        f"{name}: {caption}{more}",
        [side, *(_name(facts.states, place) for place in range(len(rows[0]) - 1))],
        rows,
    )


def _name(names: list[str], place: int) -> str:
    return names[place] if place < len(names) else str(place)


def parameters(facts: Facts) -> str:
    """Where every number comes from; "" without parameters."""
    if not facts.parameters:
        return ""
    rows = [
        [escape(str(item.get(key) or MISSING)) for key in ("name", "value", "source")]
        for item in facts.parameters
    ]
    return table("Parameters", ["parameter", "value", "source"], rows, kind="words")


def _named(row: Row) -> str:
    failure = "" if not row.failure else " <small>no complete result</small>"
    return f"{escape(row.label)}{failure}"


def _of(world: dict[str, Any] | None, name: str, index: int) -> float | None:
    return None if world is None else world[name][index]
