"""Figures over time: the recorded world, the spread of the fleet, the worst attack.

Where some controller swings so widely that the others become one flat line, the recorded world gets
a second panel with the close ones only; nobody is dropped. The sign of a worst attack is arbitrary,
its mirror image costs the same: all are shown with the same sign so that they can be compared.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import phalanx.report._theme as theme
from phalanx.report._facts import Facts
from phalanx.report._numbers import listing, number, percent, plural
from phalanx.report._time import TimeAxis, time_axis
from phalanx.report._words import called, worst_outside

# A controller this many times farther out than the certified one gets a panel of its own.
FAR = 2.5
# Signals shown in one panel, and points per band: more would only be a blur.
SIGNALS = 3
BAND_POINTS = 800


def pictures(facts: Facts) -> dict[str, theme.Picture]:
    """The figures that this record has paths for."""
    found = {}
    if facts.labels("controller") and "recorded_x_bar" in facts.paths:
        found["recorded"] = _recorded(facts)
        if _certified_at(facts, "controller") is not None:
            found["fleet"] = _fleet(facts)
    if facts.labels("attacked") and "attack_x_bar" in facts.paths:
        found["attack"] = _attack(facts)
    return found


def _recorded(facts: Facts) -> theme.Picture:
    keys, paths = facts.labels("controller"), facts.paths["recorded_x_bar"][:, :, facts.key]
    near = _near(facts, keys, paths)
    signal = facts.paths.get("recorded_d_bar", np.zeros((paths.shape[1], 0)))
    signal = signal[:, :SIGNALS] if signal.any() else signal[:, :0]

    def draw(wide: bool) -> Figure:
        axis = time_axis(facts.clock, paths.shape[1], wide)
        fig, lowest = _over_time(facts, wide, axis, keys, paths, 1.1 if signal.shape[1] else 0)
        if lowest is not None:
            theme.frame(lowest, _signal_title(facts), 90 if wide else 50)
            _signals(lowest, axis, signal)
        return fig

    peaks = [
        f"{called(_label(facts, key))} {number(_peak(facts, key, 'recorded'))}" for key in keys
    ]
    below = "; below, the disturbance that all of them met" if signal.shape[1] else ""
    return theme.Picture(
        "recorded",
        f"The mean of {facts.key_name} over {facts.where}",
        f"Mean {facts.key_name} of {_simulated(facts)} over {facts.where}{below}. Closer to 0 is better.{_anew(facts)}"
        + (
            " First panel: those close to the certified controller. Second: everyone, on another scale."
            if len(near) < len(keys)
            else ""
        ),
        f"Lines over {plural(paths.shape[1], 'round')}, one per controller. Largest absolute mean {facts.key_name}: {listing(peaks)}.",
        draw,
    )


def _fleet(facts: Facts) -> theme.Picture:
    state = 0 if 0 in facts.limited or not facts.limited else facts.limited[0]
    own = _certified_at(facts, "controller")
    mean, spread, low, high = (
        facts.paths[f"recorded_x_{what}"][own, :, state] for what in ("bar", "std", "min", "max")
    )
    name = facts.states[state]

    def draw(wide: bool) -> Figure:
        axis = time_axis(facts.clock, len(mean), wide)
        fig = theme.figure(wide, 2.9)
        axes = fig.subplots()
        theme.frame(axes, name, 90 if wide else 50)
        colour = theme.ink("s0")
        at, edges = _thin(axis.at, [low, mean - spread, mean + spread, high])
        outer = axes.fill_between(at, edges[0], edges[3], color=colour, alpha=0.16, linewidth=0)
        inner = axes.fill_between(at, edges[1], edges[2], color=colour, alpha=0.3, linewidth=0)
        (middle,) = axes.plot(axis.at, mean, color=colour, linewidth=1.8)
        handles, labels = (
            [middle, inner, outer],
            ["mean", "± standard deviation", "smallest to largest"],
        )
        if (limit := _limits(facts, axes, state)) is not None:
            handles.append(limit)
            labels.append("limit")
        theme.legend(fig, handles, labels, wide)
        axis.put(axes)
        axes.set_xlabel(axis.label)
        return fig

    outside = worst_outside(facts, facts.certified.recorded)
    share = (facts.certified.recorded or {}).get("outside_limits")
    limited = (
        f" Outside the limits: {percent(share[state])} of the time, counting every agent."
        if share and outside is not None
        else ""
    )
    return theme.Picture(
        "fleet",
        f"The whole fleet under the certified controller: {name}",
        f"{_simulated(facts)} under the certified controller, over {facts.where}. Shown of {name}: the mean, one standard "
        f"deviation to either side, and the extremes.{limited}",
        f"A line with two bands over {plural(len(mean), 'round')}. The mean runs from {number(mean.min())} to {number(mean.max())}, single agents from {number(low.min())} to "
        f"{number(high.max())}; the standard deviation over agents is {number(spread.mean(), 3)} on average.{limited}",
        draw,
    )


def _attack(facts: Facts) -> theme.Picture:
    keys = facts.labels("attacked")
    signals = facts.paths["attack_d_bar"][:, :, :1]
    signs = np.where(signals.sum(axis=(1, 2)) < 0, -1.0, 1.0)
    paths = facts.paths["attack_x_bar"][:, :, facts.key] * signs[:, None]
    # An attack through differences leaves the mean at rest, up to rounding that is not worth drawing.
    moved = np.array([_through(facts, key) == "mean" for key in keys])[:, None]
    paths = np.where(moved, paths, 0.0)
    signals = np.where(moved, signals[:, :, 0] * signs[:, None], 0.0)

    def draw(wide: bool) -> Figure:
        axis = time_axis(facts.clock, paths.shape[1], wide, dated=False)
        fig, lowest = _over_time(facts, wide, axis, keys, paths, 1.4 if signals.any() else 0)
        if lowest is not None:
            title = facts.disturbances[0] if facts.disturbances else "disturbance"
            theme.frame(lowest, f"attack: {title}", 90 if wide else 50)
            rounds = TimeAxis(axis.at[: signals.shape[1]], "", [])
            _lines(facts, lowest, rounds, keys, signals, keys)
        return fig

    costs = [
        f"{called(row.label)} {number(row.attack_cost)}"
        for row in facts.rows
        if row.attack is not None
    ]
    split = [called(_label(facts, key)) for key in keys if _through(facts, key) == "deviation"]
    apart = (
        f" The worst attack on {listing(split)} sets one half of the agents against the other: the mean stays at rest, and its line is flat."
        if split
        else ""
    )
    return theme.Picture(
        "attack",
        f"The mean of {facts.key_name} under the worst attack on each controller",
        f"Each controller meets the disturbance that is worst for it, all with the same energy {number(facts.energy)}, from rest and "
        f"without noise. Every attack is shown with the sign that makes its sum positive; its mirror image costs the same.{apart}",
        f"Lines over {plural(paths.shape[1] - 1, 'round')}, one per controller. Cost of the attack: {listing(costs)}.{apart}",
        draw,
    )


def _over_time(
    facts: Facts,
    wide: bool,
    axis: TimeAxis,
    keys: list[str],
    paths: np.ndarray,
    below: float,
) -> tuple[Figure, Axes | None]:
    """The mean key state of everyone, the close ones once more by themselves, and room below.

    Returns the figure and its lowest panel, of relative height `below`, empty; None at height 0.
    """
    near = _near(facts, keys, paths)
    groups = [(near, "close up: "), (keys, "all: ")] if len(near) < len(keys) else [(keys, "")]
    heights = [2.0] * len(groups) + ([below] if below else [])
    fig = theme.figure(wide, 0.9 + 0.85 * sum(heights))
    grid = fig.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)
    panels, lines = list(grid[:, 0]), []
    for panel, (group, what) in zip(panels, groups, strict=False):
        theme.frame(panel, f"{what}mean {facts.key_name}", 90 if wide else 50)
        lines = _lines(facts, panel, axis, keys, paths, group)
        _limits(facts, panel, facts.key)
    theme.legend(fig, lines, [_label(facts, key) for key in keys], wide)
    axis.put(panels[-1])
    panels[-1].set_xlabel(axis.label)
    return fig, panels[-1] if below else None


def _label(facts: Facts, key: str) -> str:
    row = facts.row(key)
    return key if row is None else row.label


def _through(facts: Facts, key: str) -> str:
    row = facts.row(key)
    return "mean" if row is None or row.attack is None else str(row.attack["through"])


def _index(facts: Facts, key: str) -> int:
    """The place among all controllers, which decides colour and dashes."""
    return next((i for i, row in enumerate(facts.rows) if row.key == key), len(facts.rows))


def _certified_at(facts: Facts, name: str) -> int | None:
    keys = facts.labels(name)
    return keys.index(facts.certified.key) if facts.certified.key in keys else None


def _anew(facts: Facts) -> str:
    if facts.episodes < 2 or facts.horizon is None:
        return ""
    return f" The game, and with it the gains of each stage, starts anew every {plural(int(facts.horizon), 'round')}, which can show as kinks."


def _simulated(facts: Facts) -> str:
    agents = plural(facts.simulated, "agent")
    return f"{agents} standing in for infinitely many" if facts.agents is None else agents


def _near(facts: Facts, keys: list[str], paths: np.ndarray) -> list[str]:
    """The controllers that stay within sight of the certified one; all, where it has no path."""
    if facts.certified.key not in keys:
        return keys
    peaks = np.abs(paths).max(axis=1)
    bound = FAR * peaks[keys.index(facts.certified.key)]
    near = [key for key, peak in zip(keys, peaks, strict=True) if peak <= bound]
    return near if bound > 0 else keys


def _peak(facts: Facts, key: str, world: str) -> float | None:
    found = getattr(facts.row(key), world, None)
    return None if found is None else found["peak_mean"][facts.key]


def _lines(
    facts: Facts,
    axes: Axes,
    axis: TimeAxis,
    keys: list[str],
    paths: np.ndarray,
    shown: list[str],
) -> list:
    """One line per controller, the certified one on top; returns them in the order of `keys`."""
    lines = []
    for place, key in enumerate(keys):
        if key not in shown:
            continue
        index, points = _index(facts, key), paths.shape[1]
        step = max(1, points // 7)
        look = theme.line(index)
        every = (min(index * step // 5, points - 1), step)
        lines += axes.plot(
            axis.at[:points],
            paths[place],
            **look,
            markevery=every,
            zorder=3 - 0.1 * index,
            clip_on=False,
        )
    return lines


def _limits(facts: Facts, axes: Axes, state: int):
    """The limits of a state, where there are any and they lie near what is shown."""
    drawn = None
    low, high = axes.get_ylim()
    reach = 1.5 * (high - low)
    for limit in (facts.low[state], facts.high[state]):
        if limit is not None and low - reach <= limit <= high + reach:
            drawn = axes.axhline(
                limit, color=theme.ink("limit"), linewidth=1.2, linestyle=(0, (4, 2))
            )
    return drawn


def _signal_title(facts: Facts) -> str:
    names = facts.disturbances
    return f"disturbance: {names[0]}" if len(names) == 1 else "mean disturbance"


def _signals(axes: Axes, axis: TimeAxis, signal: np.ndarray) -> None:
    for index in range(signal.shape[1]):
        axes.plot(
            axis.at[: len(signal)],
            signal[:, index],
            color=theme.ink("muted"),
            linewidth=1.0,
            linestyle=theme.DASHES[index % len(theme.DASHES)],
        )


def _thin(at: np.ndarray, edges: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Bands with no more points than can be seen; extremes are kept."""
    size = -(-len(at) // BAND_POINTS)
    if size == 1:
        return at, edges
    starts = np.arange(0, len(at), size)
    half = len(edges) // 2
    lower = [np.minimum.reduceat(edge, starts) for edge in edges[:half]]
    return at[starts], lower + [np.maximum.reduceat(edge, starts) for edge in edges[half:]]
