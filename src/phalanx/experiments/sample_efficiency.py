"""How many rollouts does it take? Every estimator × update, until all gains are within 0.01 of Nash.

Sampling noise makes the distance fall like one over the root of the rollouts. Each method is run at two
budgets, four times apart; the slope between them says whether that law holds, and where the distance
aimed at lies beyond the larger budget, the rollouts are extrapolated along it and marked so. Every
rollout is counted: both players', and those that step sizes are found with.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import phalanx.learners as learners
from phalanx._record import Record
from phalanx.equilibria import RobustGame
from phalanx.experiments._panels import Claim, Curve, Panel, Table, reproduction
from phalanx.experiments.design import design
from phalanx.learners import Method
from phalanx.scenarios import MeanFieldName, scenario

AIM = 1e-2
GROWTH = 4
UPDATES = ("simultaneous", "alternating", "extragradient", "optimistic", "gauss_newton", "newton")
# On the long horizon a few updates say it all.
FEW = ("simultaneous", "gauss_newton")
BASELINE = "one-point, r = 0.1 × simultaneous"
ALONE = f"{BASELINE}, on the last stage alone"


@dataclass(frozen=True)
class Kind:
    """An estimator with several updates.

    Attributes:
        label, words: of the estimator. updates: to combine it with.
        times: of the usual batch. iterations: at the smaller budget. antithetic: draws in pairs.
    """

    label: str
    words: dict[str, Any]
    updates: tuple[str, ...]
    times: int
    iterations: int
    antithetic: bool = False


@dataclass(frozen=True)
class Contestant:
    """One method. Attributes: label, method at the smaller budget, antithetic draws or not."""

    label: str
    method: Method
    antithetic: bool = False


@dataclass(frozen=True)
class Result:
    """What a contestant needed.

    Attributes:
        label: of the contestant.
        rollouts: at both budgets. gaps: median distance from Nash at both.
        slope: of log distance against log rollouts.
        needed: rollouts until the distance is `AIM`; measured: False where that is extrapolated.
    """

    label: str
    rollouts: tuple[int, int]
    gaps: tuple[float, float]
    slope: float
    needed: float
    measured: bool


def run(quick: bool, seed: int, progress: Callable[[float, str], None]) -> Record:
    """All contestants on both worlds."""
    seeds = range(seed, seed + (1 if quick else 3))  # of the law oracle
    worlds: dict[MeanFieldName, tuple[str, ...]] = {"two-by-two": UPDATES[:1] if quick else UPDATES}
    if not quick:
        worlds["battery-fleet"] = FEW
    panels, tables, claims, numbers = [], [], [], {}
    done, total = (
        0,
        sum(len(contestants(updates, name, quick)) + 1 for name, updates in worlds.items()),
    )
    for name, updates in worlds.items():
        world = scenario(name)
        gamma = design(world).gamma
        results = []
        for contestant in contestants(updates, name, quick):
            progress(done / total, f"{name}: {contestant.label}")
            results.append(_race(world.game, world.n_agents, gamma, contestant, seeds))
            done += 1
        progress(done / total, f"{name}: identification")
        model = _identified(world.game, world.n_agents, gamma, seeds)
        done += 1
        base = next(r for r in results if r.label == BASELINE)
        if not np.isfinite(base.needed):
            progress(done / total, f"{name}: {ALONE}")
            base = _last_stage_alone(world.game, world.n_agents, gamma, seeds)
            results.append(base)
        rows = sorted(results, key=lambda r: r.needed)
        panels.append(_panel(name, results, model))
        tables.append(
            Table(
                f"{name}: rollouts until all gains are within {AIM} of Nash (medians of {len(seeds)} seeds)",
                [
                    "method",
                    "rollouts",
                    "how",
                    f"times fewer than {'one-point' if base.label == BASELINE else 'the last stage of one-point'}",
                    "slope of the distance",
                ],
                [
                    [
                        r.label,
                        _round(r.needed),
                        _how(r),
                        _round(_fewer(base, r)),
                        round(r.slope, 2),
                    ]
                    for r in rows
                ],
            )
        )
        claims += _claims(name, [r for r in results if r.label != ALONE], base, model)
        numbers[name] = {r.label: r.needed for r in rows}
        numbers[f"{name}, times fewer"] = {r.label: _fewer(base, r) for r in rows}
    return reproduction(
        "sample-efficiency",
        f"Rollouts until the Nash gap is {AIM}",
        (
            "Every estimator × update learns the same saddle points from costs alone, starting at zero, with step sizes that "
            "it finds by itself. What differs by orders of magnitude is how much each learns from a rollout."
        ),
        panels,
        tables,
        claims,
        {
            "worlds": list(worlds),
            "seeds": list(seeds),
            "aim": AIM,
            "gamma": "the scenario's own",
            "rollouts": "law oracle, Σ_y = Σ_z = I; two-by-two in float32, battery-fleet in float64",
        },
        notes=[
            "Two-point, coordinate and regression estimates compare rollouts on common random numbers: the simulator must take a seed.",
            "Antithetic draws ask for one thing more: a simulator whose noise can be turned round. In a linear-quadratic world nothing random is then left in the gradient, and what remains is rounding.",
            "Identification fits a model to the same rollouts, and sees states and inputs, which the others do not.",
        ],
        numbers={"needed": numbers},
    )


def contestants(updates: tuple[str, ...], world: str, quick: bool) -> list[Contestant]:
    """Who takes part; batches and iterations are those of the smaller budget."""
    long = world != "two-by-two"
    batch = 100 if long else 400
    usual = 25 if long or quick else 100
    # The noisier the estimate, the larger the batch: with less, the gains stand on the ball and
    # there is no trend to extrapolate.
    far = Kind("one-point, r = 0.1", {"estimator": "one_point", "radius": 0.1}, updates[:1], 10, 12)
    far = (
        replace(far, times=1000)
        if long
        else replace(far, times=50 if quick else 500, iterations=30)
    )
    kinds = [
        far,
        Kind(
            "one-point, r = 1", {"estimator": "one_point"}, updates[: 1 if long else None], 5, usual
        ),
        Kind("two-point", {"estimator": "two_point"}, updates, 1, usual),
        Kind("coordinate", {"estimator": "coordinate"}, updates, 1, usual),
        Kind("coordinate, antithetic", {"estimator": "coordinate"}, updates, 1, usual, True),
    ]
    out = []
    for kind in kinds[::2] if quick else kinds:
        for update in kind.updates:
            method = Method(
                update=update,  # pyright: ignore[reportArgumentType]
                iterations=kind.iterations,
                batch=batch * kind.times,
                probe=1500,
                **kind.words,
            )
            label = f"{kind.label} × {update.replace('_', '–')}"
            out.append(Contestant(label, method, kind.antithetic))
    regression = Method("regression", "newton", iterations=2, batch=batch * 20)
    out.append(Contestant("regression and solve", regression))
    small = replace(regression, iterations=1, batch=1)
    out.append(Contestant("regression and solve, antithetic", small, antithetic=True))
    return out


def _race(
    game: RobustGame, n_agents: float, gamma: float, contestant: Contestant, seeds: range
) -> Result:
    rollouts, gaps = [], []
    for growth in (1, GROWTH):
        method = contestant.method
        if method.estimator == "regression":
            method = replace(method, batch=method.batch * growth)
        else:
            method = replace(method, iterations=method.iterations * growth)
        found = [
            learners.learn(
                game,
                gamma,
                method,
                n_agents=n_agents,
                key=seed,
                antithetic=contestant.antithetic,
                # The fleet's costs are so large that float32 loses what its controls cost.
                precision="float32" if game.system.state_size == 2 else "float64",
            )
            for seed in seeds
        ]
        rollouts.append(found[0].rollouts)
        gaps.append(float(np.median([np.inf if f.nash_gap is None else f.nash_gap for f in found])))
        if gaps[0] <= AIM and contestant.method.iterations == 1:
            break  # reached with the fewest rollouts that it can take
    return _result(contestant.label, rollouts, gaps)


def _last_stage_alone(game: RobustGame, n_agents: float, gamma: float, seeds: range) -> Result:
    """What one-point learning of the last stage takes: all stages are learned after it, so they take more.

    Matrices are constant, so that the last stage is a game of horizon 1.
    """
    last = RobustGame(game.system, game.cost, game.noise, 1)
    method = Method("one_point", iterations=12, batch=1_000_000, probe=1500, radius=0.1)
    return _race(last, n_agents, gamma, Contestant(ALONE, method), seeds)


def _result(label: str, rollouts: list[int], gaps: list[float]) -> Result:
    """Where the aim lies: within the budgets along the measured line, beyond them along slope −½."""
    if len(gaps) == 1:
        once = ((rollouts[0], rollouts[0]), (gaps[0], gaps[0]))
        return Result(label, once[0], once[1], float("nan"), rollouts[0], True)
    if not np.all(np.isfinite(gaps)):  # some runs ended without gains: this budget teaches nothing
        ends = (rollouts[0], rollouts[1])
        return Result(label, ends, (gaps[0], gaps[1]), float("nan"), float("inf"), False)
    steepness = np.log(gaps[1] / gaps[0]) / np.log(rollouts[1] / rollouts[0])
    if gaps[0] <= AIM:
        needed, measured = float(rollouts[0]), True
    elif gaps[1] <= AIM:
        needed, measured = float(rollouts[0] * (AIM / gaps[0]) ** (1 / steepness)), True
    else:
        needed, measured = float(rollouts[1] * (gaps[1] / AIM) ** 2), False
    ends = (rollouts[0], rollouts[1])
    return Result(label, ends, (gaps[0], gaps[1]), float(steepness), needed, measured)


def _identified(game: RobustGame, n_agents: float, gamma: float, seeds: range) -> Result:
    rollouts, gaps = [1000, 4000], []
    for count in rollouts:
        found = [
            learners.identify(game, gamma, count, n_agents=n_agents, key=seed).nash_gap
            for seed in seeds
        ]
        gaps.append(float(np.median([np.inf if gap is None else gap for gap in found])))
    return _result("identification (sees states)", rollouts, gaps)


def _panel(name: str, results: list[Result], model: Result) -> Panel:
    shown = {
        BASELINE: 4,
        ALONE: 4,
        "one-point, r = 1 × simultaneous": 3,
        "two-point × simultaneous": 1,
        "two-point × newton": 1,
        "coordinate, antithetic × newton": 2,
        "regression and solve": 0,
        "regression and solve, antithetic": 0,
    }
    curves = [
        Curve(r.label, r.rollouts, r.gaps, style="both", colour=shown[r.label])
        for r in results
        if r.label in shown
    ]
    curves.append(Curve(model.label, model.rollouts, model.gaps, style="dashed", colour=4))
    return Panel(
        f"{name}: what each learned from its rollouts",
        "rollouts, all of them counted",
        "‖gains − Nash‖, Frobenius",
        curves,
        x_log=True,
        y_log=True,
    )


def _claims(name: str, results: list[Result], base: Result, model: Result) -> list[Claim]:
    plain = min((r for r in results if "antithetic" not in r.label), key=lambda r: r.needed)
    best = min(results, key=lambda r: r.needed)
    return [
        _versus(
            f"{name}: at least 100 times fewer rollouts than one-point descent–ascent at r = 0.1, with ordinary draws",
            plain,
            base,
        ),
        _versus(f"{name}: the same with whatever is best", best, base),
        Claim(
            f"{name}: learning from costs alone takes no more rollouts than fitting a model",
            "this project",
            best.needed <= model.needed,
            f"Identification, which sees states, needs {model.needed:.3g}; {plain.label} with ordinary draws "
            f"{plain.needed:.3g}; {best.label} {best.needed:.3g}.",
        ),
    ]


def _versus(text: str, ours: Result, base: Result) -> Claim:
    """At least a hundred times fewer; where the baseline ended without gains, its last stage alone bounds it.

    A bound that falls short refutes nothing.
    """
    ratio = base.needed / ours.needed if np.isfinite(base.needed) else float("nan")
    said = f"{ours.label} needs {ours.needed:.3g}, "
    if base.label == BASELINE:
        said += f"one-point {base.needed:.3g}: {ratio:.3g} times fewer."
        return Claim(text, "this project", bool(ratio >= 100), said)
    said += (
        f"one-point ended without gains within its budgets. The last stage alone, which it learns first, it left {base.gaps[1]:.3g} "
        f"from Nash after {base.rollouts[1]:.3g} rollouts ({base.rollouts[1] / ours.needed:.3g} times as many); extrapolated with a slope of "
        f"−½ that stage needs {base.needed:.3g}: {ratio:.3g} times fewer, or more."
    )
    return Claim(text, "this project", True if ratio >= 100 else None, said)


def _fewer(base: Result, result: Result) -> float:
    return base.needed / result.needed if np.isfinite(result.needed) else float("nan")


def _how(result: Result) -> str:
    if result.measured:
        return "measured"
    if not np.isfinite(result.needed):
        return "ended without gains within its budgets"
    return "extrapolated" if result.slope < -0.25 else "extrapolated, no trend yet"


def _round(value: float) -> float:
    return float(f"{value:.3g}")
