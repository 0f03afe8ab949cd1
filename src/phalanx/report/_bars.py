"""Figures of single numbers: attenuation levels, worst-case gains, costs, margins.

Bars and dots carry their number beside them, so that nobody has to read a scale. The scale turns
logarithmic, and says so, when the largest value is more than twenty times the smallest.
"""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

import phalanx.report._theme as theme
from phalanx.report._facts import Facts
from phalanx.report._numbers import listing, number, percent, plural
from phalanx.report._words import called

LOG_FROM = 20.0
TICKS = 5  # at most, on a logarithmic axis
# What a text stands on where a line may cross it.
_GROUND = {"facecolor": theme.ink("page"), "edgecolor": "none", "pad": 0.6}


def pictures(facts: Facts) -> dict[str, theme.Picture]:
    """The figures that this record has numbers for."""
    found = {}
    if facts.gamma is not None:
        found["levels"] = _levels(facts)
    found["gains"] = _gains(facts)
    if any(row.cost or row.attack_cost for row in facts.rows):
        found["costs"] = _costs(facts)
    margins = [name for name in ("margin_deviation", "margin_mean") if name in facts.paths]
    if margins and facts.guarantee is not None:
        found["margins"] = _margins(facts)
    return found


def level_names(facts: Facts) -> dict[str, str]:
    """What each level means, in a few words."""
    agents = "infinitely many agents" if facts.agents is None else plural(facts.agents, "agent")
    return {
        "gamma_saddle": "a saddle point exists",
        "gamma_mean_field": "promise holds: infinitely many agents",
        "gamma_population": f"promise holds: {agents}, exact",
        "gamma_theorem3": f"sufficient condition, {agents} (Theorem 3)",
    }


def _levels(facts: Facts) -> theme.Picture:
    names = level_names(facts)
    rows = [(names[key], value) for key, value in facts.levels.items()]
    rows.append(("chosen for this design", facts.gamma))
    known = [value for _, value in rows if value is not None]
    span = max(max(known) - min(known), 0.06 * max(known), 1e-12)
    least = facts.levels["gamma_population"]

    def draw(wide: bool) -> Figure:
        fig = theme.figure(wide, 2.2, 2.9)
        axes = fig.subplots()
        theme.frame(axes, "attenuation level γ (smaller is stronger)")
        axes.set_xlim(
            max(0.0, min(known) - 0.25 * span), max(known) + (0.25 if wide else 0.45) * span
        )
        if least is not None:
            axes.axvspan(least, axes.get_xlim()[1], color=theme.ink("zone"), zorder=0)
        _rows(axes, [name for name, _ in rows], wide)
        for place, (_, value) in enumerate(rows):
            chosen = place == len(rows) - 1
            if value is None:
                _beside(axes, min(known), place, "none", wide, dodge=0)
                continue
            axes.plot(
                [value],
                [place],
                marker="D" if chosen else "o",
                markersize=7 if chosen else 6,
                color=theme.ink("s0" if chosen else "muted"),
                linestyle="none",
            )
            _beside(axes, value, place, number(value), wide, ground=False)
        axes.xaxis.set_major_locator(MaxNLocator(6 if wide else 4))
        return fig

    parts = [f"{name}: {'none' if value is None else number(value)}" for name, value in rows]
    zone = (
        ""
        if least is None
        else f" Shaded: the levels at which the promise can be kept, from {number(least)} up."
    )
    limits = known[:-1]
    if len(limits) > 1 and max(limits) - min(limits) <= 1e-6 * max(limits):
        zone += (
            " All limits coincide here, because the worst case itself binds before the noise does."
        )
    return theme.Picture(
        "levels",
        "Attenuation levels",
        f"How small γ can be, by what is asked. Below the level where a saddle point exists, nothing bounds the worst case.{zone} The diamond is this design.",
        f"Dots on a line. Least γ for which {'; '.join(parts)}.",
        draw,
    )


def _gains(facts: Facts) -> theme.Picture:
    values = [row.gain for row in facts.rows]
    bound = facts.guarantee

    def draw(wide: bool) -> Figure:
        fig = theme.figure(wide, 0.75 + 0.34 * len(values), 0.8 + 0.55 * len(values))
        axes = fig.subplots()
        log = _far_apart([*values, bound])
        _bars(axes, facts, values, wide, log, bound)
        scale = ", log\u00a0scale" if log else ""
        promised = "" if bound is None else f"; dashed: the promise, γ² = {number(bound)}"
        theme.frame(
            axes, f"worst-case cost per unit of energy{scale}{promised}", 80 if wide else 46
        )
        axes.grid(visible=False, axis="y")
        return fig

    parts = [f"{called(row.label)} {number(row.gain)}" for row in facts.rows]
    line = "" if bound is None else f" The dashed line is the promise, γ² = {number(bound)}."
    keep = [called(row.label) for row in facts.rows if row.keeps]
    kept = f" Within it: {listing(keep)}." if bound is not None and keep else ""
    return theme.Picture(
        "gains",
        "Exact worst-case gain of each controller",
        f"The most that one unit of disturbance energy can cost under each controller, exactly.{line} Bars that end left of it keep the promise."
        if bound is not None
        else "The most that one unit of disturbance energy can cost under each controller, exactly.",
        f"Bars: {listing(parts)}.{line}{kept}",
        draw,
    )


def _costs(facts: Facts) -> theme.Picture:
    worlds = [
        (f"cost over {facts.where}", [row.cost for row in facts.rows]),
        ("cost under its own worst attack", [row.attack_cost for row in facts.rows]),
    ]
    worlds = [(name, values) for name, values in worlds if any(values)]
    log = _far_apart([value for _, values in worlds for value in values])

    def draw(wide: bool) -> Figure:
        count = len(facts.rows)
        each = (0.36 if wide else 0.55) * count + 0.6
        fig = theme.figure(wide, each, each * len(worlds))
        grid = (1, len(worlds)) if wide else (len(worlds), 1)
        for place, axes in enumerate(fig.subplots(*grid, squeeze=False).ravel()):
            name, values = worlds[place]
            _bars(axes, facts, values, wide, log, None, named=not wide or place == 0)
            theme.frame(axes, name + (", log\u00a0scale" if log else ""), 44 if wide else 46)
            axes.grid(visible=False, axis="y")
        return fig

    parts = [
        f"{name}: {listing([f'{called(row.label)} {number(value)}' for row, value in zip(facts.rows, values, strict=True)])}"
        for name, values in worlds
    ]
    return theme.Picture(
        "costs",
        "Cost of each controller, day to day and under attack",
        f"What each controller cost over {facts.where}, and what the worst attack of energy {number(facts.energy)} costs it. The first "
        "is how it usually goes, the second how bad it can get.",
        f"Bars. {'. '.join(parts)}.",
        draw,
    )


def _margins(facts: Facts) -> theme.Picture:
    guarantee = facts.guarantee or 1.0
    halves = {
        "differences between agents": facts.paths.get("margin_deviation"),
        "average of the fleet": facts.paths.get("margin_mean"),
    }
    shown = {
        name: margin / guarantee
        for name, margin in halves.items()
        if margin is not None and np.isfinite(margin).any()
    }

    def draw(wide: bool) -> Figure:
        fig = theme.figure(wide, 2.3)
        axes = fig.subplots()
        theme.frame(axes, "margin, share of γ²")
        lines = []
        for index, share in enumerate(shown.values()):
            look = theme.line(1 - index)
            every = max(1, len(share) // 7)
            lines += axes.plot(np.arange(len(share)), share, **look, markevery=every)
        axes.axhline(0, color=theme.ink("limit"), linewidth=1.2, linestyle=(0, (4, 2)))
        axes.set_ylim(-0.05, 1.08)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        axes.set_xlabel("stage")
        theme.legend(fig, lines, list(shown), wide)
        return fig

    parts = [
        f"{name}: least {percent(float(np.nanmin(share)))} of γ² at stage {int(np.nanargmin(share))}"
        for name, share in shown.items()
    ]
    return theme.Picture(
        "margins",
        "Margins at every stage",
        "How much of the promise is in reserve, stage by stage. At 1 a disturbance at that stage costs nothing later; at 0 (dashed) the worst "
        "disturbance would pay without bound, and no promise could be made.",
        f"One line for each half of the game, over stages. {'; '.join(parts)}.",
        draw,
    )


def _rows(axes: Axes, labels: list[str], wide: bool, ground: bool = False) -> None:
    """Named rows from the top down; the names stand beside the axis, or above each row on a phone."""
    axes.set_ylim(len(labels) - 0.5, -0.6 if wide else -0.85)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    if wide:
        axes.set_yticks(range(len(labels)), [theme.clean(label, 46) for label in labels])
        return
    axes.set_yticks([])
    for place, label in enumerate(labels):
        axes.text(
            0,
            place - 0.36,
            theme.clean(label, 46),
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=8,
            bbox=_GROUND if ground else None,
        )


def _beside(
    axes: Axes, at: float, place: int, text: str, wide: bool, dodge: float = 7, ground: bool = True
) -> None:
    """A number to the right of what it belongs to; on its own ground where a line may cross it."""
    axes.annotate(
        text,
        (at, place),
        xytext=(dodge, 0),
        textcoords="offset points",
        va="center",
        fontsize=8 if wide else 8.5,
        bbox=_GROUND if ground else None,
    )


def _far_apart(values: Sequence[float | None]) -> bool:
    """Whether only a logarithmic scale can show them all."""
    seen = _positive(values)
    return bool(seen) and max(seen) / min(seen) > LOG_FROM


def _positive(values: Sequence[float | None]) -> list[float]:
    return [v for v in values if v is not None and math.isfinite(v) and v > 0]


def _bars(
    axes: Axes,
    facts: Facts,
    values: Sequence[float | None],
    wide: bool,
    log: bool,
    bound: float | None,
    named: bool = True,
) -> None:
    """Horizontal bars with their numbers, and the bound as a dashed line."""
    seen = _positive([*values, bound]) or [1.0]
    right = max(seen) * (3 * max(seen) / min(seen)) ** 0.25 if log else 1.25 * max(seen)
    left = min(seen) / 3 if log else 0.0
    axes.set_xscale("log" if log else "linear")
    axes.set_xlim(left, right)
    _rows(
        axes, [row.label for row in facts.rows] if named else [""] * len(values), wide, bool(bound)
    )
    if bound:
        axes.axvline(
            bound, color=theme.ink("limit"), linewidth=1.4, linestyle=(0, (4, 2)), zorder=2.5
        )
    for place, value in enumerate(values):
        if value is None:
            _beside(axes, left, place, "no result", wide, dodge=4)
            continue
        end = right if math.isinf(value) else max(value, left)
        axes.barh(
            place,
            end - left,
            left=left,
            height=0.56 if wide else 0.36,
            color=theme.ink(f"s{place % len(theme.DASHES)}"),
        )
        if math.isinf(value):
            _beside(axes, left, place, "unbounded →", wide, dodge=8)
        else:
            # A number that the dashed line would cross goes to the line's other side.
            crossed = bound is not None and value <= bound < value * (2 if log else 1) + 0.15 * (
                0 if log else right
            )
            at = bound if crossed and bound is not None else end
            _beside(axes, at, place, number(value), wide, dodge=4)
    if log:
        ticks = _log_ticks(left, right)
        axes.set_xticks(ticks, [number(tick) for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5 if wide else 4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))


def _log_ticks(left: float, right: float) -> list[float]:
    """Powers of ten, and where these are few, three times them."""
    powers = range(math.floor(math.log10(left)), math.ceil(math.log10(right)) + 1)
    inside = [10.0**p for p in powers if left <= 10.0**p <= right]
    if len(inside) < 3:
        inside = [m * 10.0**p for p in powers for m in (1, 3) if left <= m * 10.0**p <= right]
    return inside[:: -(-len(inside) // TICKS)]
