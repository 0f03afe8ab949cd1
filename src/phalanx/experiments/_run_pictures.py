"""What the run of a linear world shows: costs as bars, paths as bands, effort and regret as curves.

Paths are thinned to `POINTS` bins; each keeps its lowest, mean and highest value, so that no peak is lost.
"""

from typing import Any

import numpy as np

from phalanx.experiments._panels import Bars, Curve, Panel
from phalanx.experiments._rivals import IDLE, Played
from phalanx.scenarios import LinearScenario, Output

POINTS = 300
# Controllers whose paths are drawn, in this order.
DRAWN = ("zero", "lqr", "mpc", "gpc-independent", "gpc-aggregated", "gpc-aggregated-bare")
# Those seen closely at the worst moment.
CLOSE = ("lqr", "gpc-independent")
# Rounds before and after that moment.
AROUND = 60
# Bins of the curves of effort, which are many in one panel.
COARSE = 60
# A path so many times as far out as the one without control gets axes of its own.
OWN_AXES = 2.0
# Round from which regret is drawn: before, it is a matter of the first few disturbances.
FIRST = 100
# Whoever pays so many times what those in the middle pay is left out of panels that all share.
BEYOND = 100.0


def panels(scenario: LinearScenario, found: list[Played]) -> list[Panel | Bars]:
    """All panels of the page's figure."""
    done = {one.rival.key: one for one in found if one.finished}
    if not done:
        return []
    out: list[Panel | Bars] = [
        _bars(found, "What a round cost an agent on average", "mean cost", lambda t: t.cost.mean())
    ]
    free = [output for output in scenario.outputs if output.low is None and output.high is None]
    out += [
        _bars(
            found,
            f"Largest {output.name} of the whole run",
            output.unit,
            lambda t, output=output: np.abs(t.x @ output.matrix.T).max(),
        )
        for output in free
    ]
    for output in free:
        out += _paths(scenario, done, output)
        out += _closely(scenario, done, output)
    if not free:
        out.append(_states(scenario, done))
    alike = _alike(done)
    out.append(_effort(scenario, alike, [one for one in done.values() if one not in alike]))
    lost = _regrets(alike)
    if lost is not None:
        out.append(lost)
    return out


def _bars(found: list[Played], title: str, label: str, number: Any) -> Bars:
    return Bars(
        title,
        label,
        [one.rival.label for one in found],
        [float(number(one.trajectory)) if one.finished else None for one in found],
        [one.rival.colour for one in found],
    )


def _clock(scenario: LinearScenario) -> tuple[float, str]:
    """Length of a round, and the name of the axis."""
    if scenario.step_seconds:
        return scenario.step_seconds, "time (s)"
    return 1.0, "round"


def _alike(done: dict[str, Played]) -> list[Played]:
    """Those whose costs can be shown on one axis."""
    paid = {key: float(one.trajectory.cost.mean()) for key, one in done.items()}
    middle = float(np.median(list(paid.values())))
    return [one for key, one in done.items() if paid[key] <= BEYOND * middle]


def _starts(rounds: int, bins: int = POINTS) -> np.ndarray:
    """First round of each bin."""
    return np.unique(np.linspace(0, rounds, min(rounds, bins), endpoint=False).astype(int))


def _binned(y: np.ndarray, bins: int = POINTS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lowest, mean and highest of each bin along the first axis."""
    starts = _starts(len(y), bins)
    counts = np.diff([*starts, len(y)]).reshape(-1, *([1] * (y.ndim - 1)))
    mean = np.add.reduceat(y, starts) / counts
    return np.minimum.reduceat(y, starts), mean, np.maximum.reduceat(y, starts)


def _paths(scenario: LinearScenario, done: dict[str, Played], output: Output) -> list[Panel]:
    """One panel a controller: the mean of all rows of the output within their range."""
    seconds, clock = _clock(scenario)
    paths = {key: done[key].trajectory.x[:-1] @ output.matrix.T for key in DRAWN if key in done}
    far = {key: float(np.abs(y).max()) for key, y in paths.items()}
    still = far.get(IDLE.key, max(far.values()))
    alike = max(size for size in far.values() if size <= OWN_AXES * still)
    out = []
    for key, y in paths.items():
        low, mean, high = _binned(y)
        rival, x = done[key].rival, _starts(len(y)) * seconds
        apart = far[key] > OWN_AXES * still
        reach = 1.06 * (far[key] if apart else alike)
        out.append(
            Panel(
                f"{rival.label}: mean and range" + ", axes of its own" * apart,
                clock,
                f"{output.name} ({output.unit})",
                [Curve("", x, mean.mean(1), low.min(1), high.max(1), colour=rival.colour)],
                y_range=(-reach, reach) if reach > 0 else None,
            )
        )
    return out


def _closely(scenario: LinearScenario, done: dict[str, Played], output: Output) -> list[Panel]:
    """Every row of the output around the worst moment of the first of `CLOSE`."""
    close = [key for key in CLOSE if key in done]
    if not close:
        return []
    seconds, clock = _clock(scenario)
    paths = {key: done[key].trajectory.x[:-1] @ output.matrix.T for key in close}
    rounds = len(paths[close[0]])
    worst = int(np.abs(paths[close[0]]).max(axis=1).argmax())
    part = slice(max(worst - AROUND, 0), min(worst + AROUND, rounds))
    x = np.arange(part.start, part.stop) * seconds
    low = min(float(y[part].min()) for y in paths.values())
    high = max(float(y[part].max()) for y in paths.values())
    edge = 0.04 * (high - low)
    return [
        Panel(
            f"{done[key].rival.label}: each, at the worst moment of {done[close[0]].rival.label}",
            clock,
            f"{output.name} ({output.unit})",
            [
                Curve(label, x, y[part, row], colour=row, style=_style(row))
                for row, label in enumerate(output.labels)
            ]
            if len(output.labels) <= 12
            else [Curve("", x, column, colour=0) for column in y[part].T],
            y_range=(low - edge, high + edge) if edge > 0 else None,
        )
        for key, y in paths.items()
    ]


def _style(row: int) -> Any:
    return ("line", "dashed", "dotted")[row // 5 % 3]


def _states(scenario: LinearScenario, done: dict[str, Played]) -> Panel:
    seconds, clock = _clock(scenario)
    curves = []
    for one in done.values():
        size = np.linalg.norm(one.trajectory.x[:-1], axis=1)
        x = _starts(len(size)) * seconds
        curves.append(_curve(one, x, _binned(size)[2]))
    return Panel("How far the state was from rest", clock, "‖x‖", curves)


def _effort(scenario: LinearScenario, played: list[Played], left_out: list[Played]) -> Panel:
    seconds, clock = _clock(scenario)
    names = scenario.control_names
    label = names[0] if len(names) == 1 else "control"
    curves = []
    for one in played:
        u = one.trajectory.u
        if u.any():
            rms = np.sqrt(_binned((u**2).mean(axis=(1, 2)), COARSE)[1])
            curves.append(_curve(one, _starts(len(u), COARSE) * seconds, rms))
    title = "Control effort, root mean square over agents"
    above = [one.rival.label for one in left_out if one.trajectory.u.any()]
    title += f" (not drawn, far above: {', '.join(above)})" if above else ""
    return Panel(title, clock, f"{label}, rms", curves)


def _regrets(played: list[Played]) -> Panel | None:
    """Mean regret over agents, and what grows like √T."""
    curves, learners = [], []
    for one in played:
        if not one.regrets or any(found is None for found in one.regrets):
            continue
        mean = np.mean([found.curve for found in one.regrets if found is not None], axis=0)
        first = max(min(FIRST, len(mean) // 10), 1)
        at = np.unique(np.geomspace(first, len(mean), POINTS).astype(int) - 1)
        curves.append(_curve(one, at + 1.0, mean[at]))
        if one.rival.controller == "gpc" and mean[-1] > 0:
            learners.append((mean[-1], at + 1.0))
    if not curves or not any((curve.y > 0).any() for curve in curves):
        return None
    if learners:
        end, at = min(learners, key=lambda pair: pair[0])
        guide = Curve("growth like √T", at, end * np.sqrt(at / at[-1]), colour=4, style="dashed")
        curves.append(guide)
    return Panel(
        "Regret so far, mean of all agents: what the best fixed DAC would have saved",
        "round",
        "regret",
        curves,
        x_log=True,
        y_log=True,
    )


def _curve(one: Played, x: np.ndarray, y: np.ndarray) -> Curve:
    return Curve(one.rival.label, x, y, colour=one.rival.colour, style=one.rival.style)


def thinned(scenario: LinearScenario, found: list[Played], names: list[str]) -> Any:
    """Costs, controls, outputs and regrets of everyone who played to the end, by bins of rounds."""
    import xarray

    done = [one for one in found if one.finished]
    if not done:
        return xarray.Dataset()
    data: dict[str, Any] = {}

    def put(key: str, dims: tuple[str, ...], values: list[np.ndarray]) -> None:
        data[key] = (("controller", "bin", *dims), _narrow(np.stack(values)))

    put("cost_mean", ("agent",), [_binned(one.trajectory.cost)[1] for one in done])
    efforts = [np.sqrt(_binned((one.trajectory.u**2).mean(axis=2))[1]) for one in done]
    put("control_rms", ("agent",), efforts)
    for place, output in enumerate(scenario.outputs):
        parts = [_binned(one.trajectory.x[:-1] @ output.matrix.T) for one in done]
        put(f"output{place}_lowest", (f"row{place}",), [part[0] for part in parts])
        put(f"output{place}_highest", (f"row{place}",), [part[2] for part in parts])
    starts = _starts(scenario.rounds)
    whole = [one for one in done if all(found is not None for found in one.regrets)]
    if whole:
        ends = np.array([*starts[1:], scenario.rounds]) - 1
        curves = [np.stack([r.curve[ends] for r in one.regrets if r], axis=1) for one in whole]
        data["regret"] = (("judged", "bin", "agent"), _narrow(np.stack(curves)))
    rows = {f"row{place}": list(output.labels) for place, output in enumerate(scenario.outputs)}
    return xarray.Dataset(
        data,
        coords={
            "controller": [one.rival.key for one in done],
            "bin": starts,
            "agent": names,
            **({"judged": [one.rival.key for one in whole]} if whole else {}),
            **rows,
        },
    )


def _narrow(values: np.ndarray) -> np.ndarray:
    """Half the bytes, where the numbers leave room: a run that exploded keeps its own."""
    fits = np.abs(values).max(initial=0.0) < np.finfo(np.float32).max
    return values.astype(np.float32) if fits else values
