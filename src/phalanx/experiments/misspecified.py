"""Gains from a wrong model, on the true one: what P1 motivates and does not show.

Controllers are designed, or learned, on a nominal model. The true model is off by a relative δ in a
drawn direction; there they meet noise and the worst disturbance. Everything measured is exact: induced
gains by bisection, costs under noise by Lyapunov recursions, many models side by side.

Small gain says how far a promise carries. A model error is a disturbance, Δ(x, u) with Δ = [ΔA ΔB]. With
v = (Q^½ x, R^½ u) and ε = ‖Δ diag(Q, R)^{−½}‖, a loop whose worst amplification is a from d to v and b
from a disturbance of every state to v, both on the nominal model, has on the true one, for any horizon,

    √(induced gain) ≤ a / (1 − b ε)   while b ε < 1,

so a promise γ > a is kept at least while ε ≤ (1 − a/γ)/b.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from phalanx._record import Record
from phalanx.equilibria import (
    LQGame,
    RobustGame,
    attenuation_levels,
    baselines,
    saddle_level,
    solve,
)
from phalanx.equilibria._finite import solve_finite
from phalanx.equilibria._value import noise_power, traces
from phalanx.evaluation._induced import closed_loop
from phalanx.experiments._panels import Claim, Curve, Panel, Table, reproduction
from phalanx.experiments.design import design
from phalanx.experiments.reproduce import Progress
from phalanx.learners import Learned, learn
from phalanx.scenarios import MeanFieldName, Scenario, scenario
from phalanx.systems import MeanFieldSystem

NEAR = 1.1  # × the saddle level: the robust design that is close to what can be had
BATCH, QUICK_BATCH = 2000, 400  # rollouts per round of the learner that is left with an error
DRAWS, QUICK_DRAWS = 60, 8
LQR, ROBUST, OWN, LEARNED = "lqr", "robust", "own", "learned"
LABELS = {
    LQR: "mean-field LQR",
    ROBUST: f"saddle point at {NEAR:g} × saddle level",
    OWN: "saddle point at the scenario's own γ",
    LEARNED: "learned, with an error",
}


class Direction(NamedTuple):
    """A model error of relative size 1; δ times it is added to the nominal matrices."""

    A: np.ndarray
    A_bar: np.ndarray
    B: np.ndarray
    B_bar: np.ndarray


def any_direction(system: MeanFieldSystem, rng: np.random.Generator) -> Direction:
    """[ΔA ΔB] of both halves in any direction, as large as [A B] in spectral norm."""

    def error(A: np.ndarray, B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        drawn = rng.normal(size=(A.shape[0], A.shape[1] + B.shape[1]))
        drawn *= np.linalg.norm(np.hstack([A, B]), 2) / np.linalg.norm(drawn, 2)
        return drawn[:, : A.shape[1]], drawn[:, A.shape[1] :]

    A, B = error(system.A, system.B)
    A_mean, B_mean = error(system.A + system.A_bar, system.B + system.B_bar)
    return Direction(A, A_mean - A, B, B_mean - B)


def each_entry(system: MeanFieldSystem, rng: np.random.Generator) -> Direction:
    """Every entry off by up to itself; an entry that is 0 is known to be 0."""
    return Direction(
        *(X * rng.uniform(-1, 1, X.shape) for X in (system.A, system.A_bar, system.B, system.B_bar))
    )


@dataclass(frozen=True)
class Plan:
    """One world.

    Attributes:
        scenario: its name. draw: of a model error. meaning: the same in words.
        sizes, quick: δ's of the full and of the quick run. learn_quickly: learn in the quick run too.
    """

    scenario: MeanFieldName
    draw: Callable[[MeanFieldSystem, np.random.Generator], Direction]
    meaning: str
    sizes: tuple[float, ...]
    quick: tuple[float, ...]
    learn_quickly: bool


PLANS = (
    Plan(
        "two-by-two",
        any_direction,
        "[ΔA ΔB] in any direction, δ times as large as [A B] in spectral norm, for deviations and mean apart",
        (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6),
        (0.0, 0.05, 0.2, 0.5),
        True,
    ),
    # A fleet's zeros are structure (a home's power does not fill its neighbour's battery): they stay.
    Plan(
        "battery-fleet",
        each_entry,
        "each non-zero entry of A, Ā, B, B̄ off by up to a share δ of itself",
        (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.075, 0.1, 0.15, 0.2),
        (0.0, 0.05, 0.2),
        False,  # 96 stages take their time
    ),
)


@dataclass(frozen=True, eq=False)
class Contestant:
    """One controller. Attributes: gains K, L, (T, p, m); gamma, the promise it was made for, or None."""

    K: np.ndarray
    L: np.ndarray
    gamma: float | None


@dataclass(frozen=True, eq=False)
class Measured:
    """One controller on all true models, (sizes, draws).

    Attributes:
        gain: induced gain. mean_gain: through the mean. noise: expected cost under noise alone.
        radius: larger spectral radius of both halves' loops under the gains of stage 0.
        bound: small gain's bound on √mean_gain, infinite where it says nothing.
        tolerance: (draws,) δ up to which small gain keeps the promise through the mean.
    """

    gain: np.ndarray
    mean_gain: np.ndarray
    noise: np.ndarray
    radius: np.ndarray
    bound: np.ndarray
    tolerance: np.ndarray


@dataclass(frozen=True, eq=False)
class Study:
    """One world's results.

    Attributes:
        plan, sizes, power: δ's, and the noise index T·Tr(Σ + Σ̄), which is also the attack's energy.
        contestants, measured: by key.
        gaps: distance of what was learned from the saddle point's K and L: "plain" and, in a full
            run, with "mirrored" noise; empty where nothing was learned.
        level: saddle level of the nominal game.
    """

    plan: Plan
    sizes: np.ndarray
    power: float
    contestants: dict[str, Contestant]
    measured: dict[str, Measured]
    gaps: dict[str, float]
    level: float

    def attacked(self, key: str) -> np.ndarray:
        """Expected cost under noise and the worst disturbance with as much energy as the noise."""
        return self.measured[key].noise + self.power * self.measured[key].gain


def run(quick: bool, seed: int, progress: Progress) -> Record:
    """The reproduction; `seed` draws the model errors and the learner's rollouts."""
    studies = []
    for i, plan in enumerate(PLANS):

        def told(done: float, text: str, i: int = i, plan: Plan = plan) -> None:
            progress((i + done) / len(PLANS), f"{plan.scenario}: {text}")

        studies.append(study(plan, quick, seed, told))
    progress(1.0, "done")
    return reproduction(
        "misspecified",
        "Gains from a wrong model, on the true one",
        STORY,
        [panel for s in studies for panel in _panels_of(s)],
        [_table(s) for s in studies],
        [claim for s in studies for claim in _claims(s)],
        {
            "worlds": {
                s.plan.scenario: {
                    "sizes": s.sizes,
                    "model_error": s.plan.meaning,
                    "saddle_level": s.level,
                    "gamma": {key: c.gamma for key, c in s.contestants.items()},
                    "attack_energy": s.power,
                }
                for s in studies
            },
            "draws": QUICK_DRAWS if quick else DRAWS,
            "learner_batch": QUICK_BATCH if quick else BATCH,
            "seed": seed,
        },
        NOTES,
        {"worlds": {s.plan.scenario: _numbers(s) for s in studies}},
    )


STORY = (
    "A controller is computed from a model, and no model is right. Gains are made on a nominal model, and tried on true ones that are "
    "off by a relative δ, under noise and under the worst disturbance. The mean-field LQ regulator is best if the model is "
    "right and the world only noisy; the saddle point promises a cost of at most γ² times the disturbance's energy, and a model error can "
    "be read as one more disturbance. How far does the promise carry, and what does it cost?"
)

NOTES = (
    "The worst disturbance is played from rest and in addition to the noise; as both costs add up in expectation, its cost is the induced gain times "
    "its energy. It knows the true model, the controller does not.",
    "The attack's energy is the noise index T·Tr(Σ+Σ̄), P1's eq. 3. A weaker attack favours LQR, a stronger one the robust gains: the "
    "break-even energy is in the claims.",
    "Horizons are finite, so that nothing becomes infinite; spectral radii are those of the loop under the gains of stage 0 held fixed.",
    "Small gain allows any model error of a size, in any direction, even one that varies in time; drawn errors are constant and "
    "mostly not the worst, so that measured margins are larger.",
    "A disturbance of battery-fleet acts through D on energy and imbalance only, but a model error on each state: γ alone says nothing "
    "about it, and the bound takes a second gain, b, from a disturbance of all states.",
    "Where the model error enters elsewhere than the disturbance, as in battery-fleet, nothing obliges the robust gains to tolerate "
    "more of it than LQR's: they work harder against disturbances, and lean more on the model for it.",
    "Errors of battery-fleet change each entry that is not 0, also those that are accounting identities.",
)


# --- the study -----------------------------------------------------------------------------------


def study(plan: Plan, quick: bool, seed: int, progress: Progress) -> Study:
    """Design on the nominal model, draw the true ones, measure."""
    world = scenario(plan.scenario)
    level = float(attenuation_levels(world.game, world.n_agents).saddle)
    progress(0.0, "learning")
    contestants = _designed(world, level)
    gaps = {}
    if not quick or plan.learn_quickly:
        contestants[LEARNED], gaps = _learned(world, contestants[ROBUST], seed, quick)
    rng = np.random.default_rng(seed)
    draws = QUICK_DRAWS if quick else DRAWS
    directions = [plan.draw(world.game.system, rng) for _ in range(draws)]
    sizes = np.array(plan.quick if quick else plan.sizes)
    truth = true_games(world.game, directions, sizes)
    measured = {}
    for i, (key, contestant) in enumerate(contestants.items()):
        progress(0.2 + 0.2 * i, LABELS[key])
        measured[key] = _measure(world, contestant, truth, directions, sizes)
    power = float(noise_power(world.game))
    return Study(plan, sizes, power, contestants, measured, gaps, level)


def _designed(world: Scenario, level: float) -> dict[str, Contestant]:
    game, gamma = world.game, NEAR * level
    regulator, near, own = baselines.lqr(game), solve(game, gamma, throw=True), design(world)
    own.outcome.raise_if_failed()
    return {
        LQR: Contestant(regulator.K, regulator.L, None),
        ROBUST: Contestant(near.K1, near.L1, gamma),
        OWN: Contestant(own.saddle.K1, own.saddle.L1, own.gamma),
    }


def _learned(
    world: Scenario, target: Contestant, seed: int, quick: bool
) -> tuple[Contestant, dict[str, float]]:
    """Learned on the nominal model's simulator, and how far from `target`.

    Mirrored draws cancel all that is odd in the noise, which leaves "fast" without any error: the
    contestant learns without them, to have one.
    """
    assert target.gamma is not None

    def found(mirrored: bool) -> Learned:
        return learn(
            world.game,
            target.gamma or 0.0,
            "fast",
            n_agents=world.n_agents,
            key=seed,
            antithetic=mirrored,
            batch=QUICK_BATCH if quick else BATCH,
        )

    def gap(x: Learned) -> float:
        return float(np.sqrt(np.sum((x.K1 - target.K) ** 2) + np.sum((x.L1 - target.L) ** 2)))

    plain = found(mirrored=False)
    gaps = {"plain": gap(plain)}
    if not quick:
        gaps["mirrored"] = gap(found(mirrored=True))
    return Contestant(plain.K1, plain.L1, target.gamma), gaps


def true_games(nominal: RobustGame, directions: list[Direction], sizes: np.ndarray) -> RobustGame:
    """All true games as one batch, size by size."""
    s = nominal.system
    games = [
        RobustGame(
            MeanFieldSystem(
                s.A + delta * error.A,
                s.A_bar + delta * error.A_bar,
                s.B + delta * error.B,
                s.B_bar + delta * error.B_bar,
                s.D,
                s.D_bar,
            ),
            nominal.cost,
            nominal.noise,
            nominal.horizon,
        )
        for delta in sizes
        for error in directions
    ]
    return RobustGame.stack(games)


def _measure(
    world: Scenario,
    contestant: Contestant,
    truth: RobustGame,
    directions: list[Direction],
    sizes: np.ndarray,
) -> Measured:
    shape = (len(sizes), len(directions))
    y = closed_loop(truth, "deviation", contestant.K)
    z = closed_loop(truth, "mean", contestant.L)
    mean_gain = np.square(saddle_level(z)).reshape(shape)
    deviation_gain = np.square(saddle_level(y)).reshape(shape)
    # Without an adversary and without a control the recursion is Lyapunov's.
    values = traces(truth, solve_finite(y, np.array(np.inf)).M, solve_finite(z, np.array(np.inf)).M)
    radius = np.maximum(_radius(y), _radius(z)).reshape(shape)
    a, b = _amplifications(world.game, contestant.L)
    error = np.array([_weighted_size(world.game, d) for d in directions])
    left = 1 - b * np.outer(sizes, error)
    promise = math.inf if contestant.gamma is None else contestant.gamma
    return Measured(
        gain=np.maximum(mean_gain, deviation_gain),
        mean_gain=mean_gain,
        noise=np.asarray(values.value(world.n_agents)).reshape(shape),
        radius=radius,
        bound=np.where(left > 0, a / np.where(left > 0, left, 1.0), np.inf),
        tolerance=(1 - a / promise) / b / error,
    )


def _radius(loop: LQGame) -> np.ndarray:
    return np.abs(np.linalg.eigvals(loop.A[:, 0])).max(axis=-1)


def _amplifications(game: RobustGame, L: np.ndarray) -> tuple[float, float]:
    """Of the mean's nominal loop: from d, and from a disturbance of every state."""
    loop = closed_loop(game, "mean", L)
    everywhere = replace(loop, D=np.eye(loop.sizes[0])[None])
    return float(saddle_level(loop)), float(saddle_level(everywhere))


def _weighted_size(game: RobustGame, error: Direction) -> float:
    """ε of δ = 1 for the mean: ‖[ΔÃ ΔB̃] diag(Q̄, R̄)^{−½}‖."""
    cost = game.cost
    parts = [
        np.linalg.solve(np.linalg.cholesky(weight), part.T).T
        for part, weight in (
            (error.A + error.A_bar, cost.Q_bar),
            (error.B + error.B_bar, cost.R_bar),
        )
    ]
    return float(np.linalg.norm(np.hstack(parts), 2))


# --- what is shown -------------------------------------------------------------------------------


def _band(label: str, x: np.ndarray, values: np.ndarray, colour: int) -> Curve:
    """Median over draws and the 10–90 % band."""
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9], axis=1)
    return Curve(label, x, middle, low, high, style="both", colour=colour)


def _panels_of(s: Study) -> list[Panel]:
    name, x = s.plan.scenario, s.sizes
    where = "relative model error δ"
    keys = list(s.measured)
    colour = {key: i for i, key in enumerate(keys)}
    reference = s.measured[LQR]

    def bands(of: Callable[[str], np.ndarray], without: tuple[str, ...] = ()) -> list[Curve]:
        return [_band(LABELS[k], x, of(k), colour[k]) for k in keys if k not in without]

    promises = [
        Curve(
            f"γ = {s.contestants[k].gamma:.3g}, promised",
            x,
            np.full(len(x), s.contestants[k].gamma),
            style="dashed",
            colour=colour[k],
        )
        for k in (ROBUST, OWN)
    ]
    one = Curve("LQR", x, np.ones(len(x)), style="dotted", colour=colour[LQR])
    kept = [
        Curve(
            f"{LABELS[k]}, γ = {s.contestants[k].gamma:.3g}",
            x,
            _kept(s, k).mean(axis=1),
            style="both",
            colour=colour[k],
        )
        for k in keys
        if k != LQR
    ] + [
        Curve(
            "small gain's margin, worst draw",
            [s.measured[k].tolerance.min()],
            [1.0],
            style="marks",
            colour=colour[k],
        )
        for k in (ROBUST, OWN)
    ]
    bounded = [
        Curve(LABELS[k], *_against_bound(s.measured[k]), style="marks", colour=colour[k])
        for k in (LQR, ROBUST)
    ]
    reach = np.array(
        [min(c.x.min(initial=np.inf) for c in bounded), max(c.x.max(initial=0) for c in bounded)]
    )
    return [
        Panel(
            f"{name}: worst-case amplification on the true model (median, 10–90 % of draws)",
            where,
            "√(induced gain)",
            bands(lambda k: np.sqrt(s.measured[k].gain)) + promises,
            y_log=True,
        ),
        Panel(
            f"{name}: share of true models on which the promise γ² is kept",
            where,
            "share of draws",
            kept,
        ),
        Panel(
            f"{name}: noise alone, cost over LQR's on the same true model",
            where,
            "cost / LQR's cost",
            [*bands(lambda k: s.measured[k].noise / reference.noise, (LQR,)), one],
        ),
        Panel(
            f"{name}: noise and the worst attack with as much energy, cost over LQR's",
            where,
            "cost / LQR's cost",
            [*bands(lambda k: s.attacked(k) / s.attacked(LQR), (LQR,)), one],
        ),
        Panel(
            f"{name}: worst of the drawn models",
            where,
            "largest √(induced gain)",
            [
                Curve(
                    LABELS[k],
                    x,
                    np.sqrt(s.measured[k].gain.max(axis=1)),
                    style="both",
                    colour=colour[k],
                )
                for k in keys
            ],
            y_log=True,
        ),
        Panel(
            f"{name}: small gain's bound against what was measured, one mark per true model",
            "bound on √(induced gain), through the mean",
            "measured",
            [*bounded, Curve("measured = bound", reach, reach, style="dotted", colour=7)],
            x_log=True,
            y_log=True,
        ),
    ]


def _against_bound(m: Measured) -> tuple[np.ndarray, np.ndarray]:
    # Far beyond the measured values a bound says nothing, and would only stretch the axis.
    told = (m.bound < 20 * np.sqrt(m.mean_gain)) & (np.arange(len(m.bound)) > 0)[:, None]
    return m.bound[told], np.sqrt(m.mean_gain[told])


def _kept(s: Study, key: str, gamma: float | None = None) -> np.ndarray:
    gamma = gamma or s.contestants[key].gamma
    assert gamma is not None
    return s.measured[key].gain <= gamma**2


def _up_to(sizes: np.ndarray, ok: Any) -> float | None:
    """Largest δ up to which `ok` holds at each size; None if not even at the first."""
    fails = np.flatnonzero(~ok)
    if len(fails) and fails[0] == 0:
        return None
    return float(sizes[(fails[0] if len(fails) else len(sizes)) - 1])


def _table(s: Study) -> Table:
    rows = []
    for key, m in s.measured.items():
        for i in _few(s):
            rows.append(
                [
                    LABELS[key],
                    s.sizes[i],
                    np.median(m.gain[i]),
                    m.gain[i].max(),
                    np.median(m.noise[i] / s.measured[LQR].noise[i]),
                    np.median(s.attacked(key)[i] / s.attacked(LQR)[i]),
                    m.radius[i].max(),
                ]
            )
    header = (
        "controller",
        "δ",
        "induced gain, median",
        "worst draw",
        "noise cost / LQR's",
        "attacked cost / LQR's",
        "largest spectral radius",
    )
    return Table(f"{s.plan.scenario}: {s.plan.meaning}", header, rows)


def _numbers(s: Study) -> dict[str, Any]:
    return {
        "sizes": s.sizes,
        "learning_gaps": s.gaps,
        "controllers": {
            key: {
                "gamma": s.contestants[key].gamma,
                "gain": m.gain,
                "noise": m.noise,
                "radius": m.radius,
                "tolerance": m.tolerance,
            }
            for key, m in s.measured.items()
        },
    }


# --- what becomes of the claims --------------------------------------------------------------------


def _claims(s: Study) -> list[Claim]:
    return [
        _small_gain(s),
        _promise(s, ROBUST),
        _promise(s, OWN),
        _promise_against_lqr(s),
        _noise_right(s),
        _noise_wrong(s),
        _attack(s),
        _stability(s),
        *([_learned_claim(s)] if LEARNED in s.measured else []),
    ]


def _says(s: Study, text: str, holds: bool | None, measured: str) -> Claim:
    return Claim(f"{s.plan.scenario}: {text}", "this project", holds, measured)


def _small_gain(s: Study) -> Claim:
    ratios = np.concatenate(
        [
            (np.sqrt(m.mean_gain) / m.bound)[(m.bound < np.inf) & (s.sizes > 0)[:, None]]
            for m in s.measured.values()
        ]
    )
    worst = float(ratios.max(initial=0.0))
    return _says(
        s,
        "small gain bounds the worst case on each true model",
        worst <= 1 + 1e-9,
        f"Of {len(ratios)} loops with bε < 1 none exceeds the bound; the closest reaches {worst:.0%} of it.",
    )


def _promise(s: Study, key: str) -> Claim:
    """Kept at least as far as small gain says, and how much further."""
    gamma, m = s.contestants[key].gamma, s.measured[key]
    assert gamma is not None
    kept = _kept(s, key)
    covered = s.sizes[:, None] <= m.tolerance
    through_mean = m.mean_gain <= gamma**2
    broken = _crossing(s.sizes, np.sqrt(m.gain), gamma)
    all_kept, half_kept = (_up_to(s.sizes, kept.mean(axis=1) >= share) for share in (1.0, 0.5))
    return _says(
        s,
        f"the promise γ = {gamma:.3g} is kept at least as far as small gain predicts",
        bool((through_mean | ~covered).all()),
        f"Predicted up to δ = {m.tolerance.min():.3g} (worst draw; median {np.median(m.tolerance):.3g}); broken from δ = "
        f"{broken.min():.3g} on (worst draw; median {np.median(broken):.3g}), interpolated. Of the δ that were tried it is kept on all draws "
        f"up to {_delta(all_kept)}, on half of them up to {_delta(half_kept)}.",
    )


def _crossing(sizes: np.ndarray, amplification: np.ndarray, gamma: float) -> np.ndarray:
    """(draws,) the first δ at which √gain passes γ, its logarithm interpolated; infinite if never."""
    out = np.full(amplification.shape[1], np.inf)
    for j, path in enumerate(np.log(amplification / gamma).T):
        over = np.flatnonzero(path > 0)
        if len(over):
            i = max(over[0], 1)
            share = -path[i - 1] / (path[i] - path[i - 1])
            out[j] = sizes[i - 1] + max(share, 0.0) * (sizes[i] - sizes[i - 1])
    return out


def _promise_against_lqr(s: Study) -> Claim:
    """Both held against the same γ, that of the near design."""
    gamma = s.contestants[ROBUST].gamma
    assert gamma is not None
    robust, regulator = (_kept(s, key, gamma).mean(axis=1) for key in (ROBUST, LQR))
    smaller = np.mean(s.measured[ROBUST].gain < s.measured[LQR].gain, axis=1)
    few = _few(s)
    return _says(
        s,
        "the robust gains have a smaller worst case than LQR's on most true models, at each δ",
        bool((smaller > 0.5).all()),
        f"Smaller on {_shares(smaller[few])} of the draws at δ = {_listed(s.sizes[few])}; √gain below {gamma:.3g} on {_shares(robust[few])} "
        f"(LQR: {_shares(regulator[few])}).",
    )


def _noise_right(s: Study) -> Claim:
    ratio = {k: float(s.measured[k].noise[0, 0] / s.measured[LQR].noise[0, 0]) for k in s.measured}
    return _says(
        s,
        "LQR is the cheapest under noise when the model is right",
        all(r >= 1 - 1e-12 for r in ratio.values()),
        f"The robust gains cost {ratio[ROBUST] - 1:.2%} more at γ = {s.contestants[ROBUST].gamma:.3g}, "
        f"{ratio[OWN] - 1:.2%} at γ = {s.contestants[OWN].gamma:.3g}.",
    )


def _noise_wrong(s: Study) -> Claim:
    ratio = s.measured[ROBUST].noise / s.measured[LQR].noise
    middle, cheaper = np.median(ratio, axis=1), np.mean(ratio < 1, axis=1)
    wins, few = s.sizes[middle < 1], _few(s)
    start = f"from δ = {wins[0]:g} on" if len(wins) else "at no δ"
    return _says(
        s,
        "under noise alone the robust gains become cheaper than LQR's as the model error grows",
        bool(len(wins) > 0 and middle[-1] < 1),
        f"In the median {start}; cost over LQR's at δ = {_listed(s.sizes[few])}: {', '.join(f'{m:.3f}' for m in middle[few])}; cheaper on "
        f"{_shares(cheaper[few])} of the draws.",
    )


def _attack(s: Study) -> Claim:
    ratio = s.attacked(ROBUST) / s.attacked(LQR)
    middle, few = np.median(ratio, axis=1), _few(s)
    robust, regulator = s.measured[ROBUST], s.measured[LQR]
    gained = regulator.gain[0, 0] - robust.gain[0, 0]
    even = (robust.noise[0, 0] - regulator.noise[0, 0]) / gained / s.power if gained > 0 else np.inf
    return _says(
        s,
        "under noise and an attack with as much energy the robust gains are cheaper than LQR's, at each δ",
        bool((middle < 1).all()),
        f"Cost over LQR's, median, at δ = {_listed(s.sizes[few])}: {', '.join(f'{m:.3f}' for m in middle[few])}. At δ = 0 they break even at "
        f"{even:.2%} of that energy.",
    )


def _stability(s: Study) -> Claim:
    unstable = {k: np.mean(s.measured[k].radius >= 1, axis=1) for k in (LQR, ROBUST)}
    first = {k: _up_to(s.sizes, share == 0) for k, share in unstable.items()}
    some = unstable[LQR].any() or unstable[ROBUST].any()
    excess, few = unstable[ROBUST] - unstable[LQR], _few(s)
    return _says(
        s,
        "the robust gains lose stability on no more true models than LQR's",
        bool((unstable[ROBUST] <= unstable[LQR]).all()) if some else None,
        f"All stable up to δ = {_delta(first[ROBUST])} (LQR: {_delta(first[LQR])}); unstable at δ = {_listed(s.sizes[few])}: "
        f"{_shares(unstable[ROBUST][few])} (LQR: {_shares(unstable[LQR][few])}); robust gains at most {excess.max():.0%} of the draws "
        f"above LQR's (δ = {s.sizes[excess.argmax()]:g}) and {abs(excess.min()):.0%} below (δ = {s.sizes[excess.argmin()]:g}).",
    )


def _learned_claim(s: Study) -> Claim:
    gamma = s.contestants[LEARNED].gamma
    assert gamma is not None
    amplification = {k: float(np.sqrt(s.measured[k].gain[0, 0])) for k in (ROBUST, LEARNED)}
    all_kept = _up_to(s.sizes, _kept(s, LEARNED).all(axis=1))
    same = ""
    if "mirrored" in s.gaps:
        same = f"With mirrored noise they are {s.gaps['mirrored']:.1g} from the computed ones: the same controller. Without: "
    return _says(
        s,
        "learned gains keep the promise too, on the right model",
        amplification[LEARNED] <= gamma,
        f"{same}they are {s.gaps['plain']:.2g} from the computed ones and amplify {amplification[LEARNED]:.4g} (computed: "
        f"{amplification[ROBUST]:.4g}, promised: {gamma:.4g}); kept on all true models up to δ = {_delta(all_kept)}.",
    )


def _few(s: Study) -> list[int]:
    """The δ's that a sentence or a table has room for."""
    nearest = (int(np.abs(s.sizes - d).argmin()) for d in (0.0, 0.02, 0.05, 0.1, 0.2))
    return list(dict.fromkeys([*nearest, len(s.sizes) - 1]))


def _delta(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _listed(values: Any) -> str:
    return ", ".join(f"{v:g}" for v in values)


def _shares(values: Any) -> str:
    return ", ".join(f"{v:.0%}" for v in values)
