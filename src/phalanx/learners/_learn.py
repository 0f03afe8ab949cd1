"""`learn`: gains of both players from costs alone, and then, where a model is known, how good they are."""

import copy
import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from phalanx._files import sweep
from phalanx._outcome import InputError, Outcome
from phalanx._types import agents as check_agents
from phalanx._types import attenuation
from phalanx.equilibria import RobustGame, SaddlePoint, solve
from phalanx.evaluation import induced_gain
from phalanx.learners._base import Oracle
from phalanx.learners._exact import ExactOracle
from phalanx.learners._gains import JointGains, distance
from phalanx.learners._law import LawOracle
from phalanx.learners._method import Method, as_method
from phalanx.learners._population import PopulationOracle
from phalanx.learners._run import check_oracle, run
from phalanx.learners._state import State, load_best
from phalanx.learners._verdict import verdict

OracleName = Literal["law", "population", "exact"]


class Progress(NamedTuple):
    """How far learning has come.

    Attributes:
        done: share of the work, 0 to 1. stage: being learned, −1 for all at once.
        iteration: of that stage. rollouts: so far.
        gap: distance from Nash of the stages that are learned; None where no model is known.
    """

    done: float
    stage: int
    iteration: int
    rollouts: int
    gap: float | None


@dataclass(frozen=True, eq=False)
class Iterates:
    """What was recorded while learning.

    Attributes:
        stage, iteration, rollouts: (n,) when; stage −1: all at once.
        gains: (n, 1 | T, p + q, 2m), [K¹ L¹; K² L²] of that stage, or of all.
    """

    stage: np.ndarray
    iteration: np.ndarray
    rollouts: np.ndarray
    gains: np.ndarray


@dataclass(frozen=True, eq=False)
class Learned:
    """What `learn` found.

    Attributes:
        K1, L1: (T, p, m) the controller, u = −K1 (x − x̄) − L1 x̄.
        K2, L2: (T, q, m) the disturbance it was learned against, d = +K2 (x − x̄) + L2 x̄.
        gamma: γ. method: how. rollouts: used in all, both players' and those for step sizes.
        outcome: converged ("solved"), "budget_spent", "projection_active", "diverged" or "infeasible", in a
            sentence and a mend.
        nash_gap: Frobenius distance of all gains from the saddle point's; None without a model.
        nash_gap_by_stage: (T,) the same, stage by stage.
        estimated_gap: the same distance as the costs alone tell it; None where they cannot.
        attenuation: what the learned controller really guarantees: √ of its worst-case ratio of cost
            to disturbance energy; None without a model.
        step_size: (T,) η. ball: (T,) radius of the projection. projected: (T,) share of the last
            half of the iterations that were projected.
        strong_convexity, lipschitz: (T,) μ and L of Theorem 4, from costs; NaN where not measured.
        iterates: what was recorded on the way.
        nash: the saddle point that gaps are measured from; None without a model.
        complete: whether all stages were learned; where not, the gains of earlier stages are 0.
        note: a sentence on how the run was resumed, or "".
    """

    K1: np.ndarray
    K2: np.ndarray
    L1: np.ndarray
    L2: np.ndarray
    gamma: float
    method: Method
    rollouts: int
    outcome: Outcome
    nash_gap: float | None
    nash_gap_by_stage: np.ndarray | None
    estimated_gap: float | None
    attenuation: float | None
    step_size: np.ndarray
    ball: np.ndarray
    projected: np.ndarray
    strong_convexity: np.ndarray
    lipschitz: np.ndarray
    iterates: Iterates
    nash: SaddlePoint | None
    complete: bool = True
    note: str = ""

    @property
    def policy(self) -> Any:
        """The controller, ready for `simulate` or a loop of your own."""
        from phalanx.policies import MeanFieldFeedback

        return MeanFieldFeedback(self.K1, self.L1)

    def gap_by_rollouts(self) -> tuple[np.ndarray, np.ndarray]:
        """(rollouts, distance of all gains from Nash) at every recorded iterate; gains not yet learned are 0.

        Raises:
            InputError: no saddle point is known to measure from.
        """
        if self.nash is None:
            raise InputError("gaps need a saddle point to measure from, and this world has none.")
        truth, p = _gains(self.nash), self.K1.shape[1]
        by_stage = distance(JointGains(truth.theta1 * 0, truth.theta2 * 0), truth)
        out = []
        for stage, W in zip(self.iterates.stage, self.iterates.gains, strict=True):
            now = JointGains(W[:, :p], W[:, p:])
            where = slice(None) if stage < 0 else slice(stage, stage + 1)
            by_stage[where] = distance(now, JointGains(truth.theta1[where], truth.theta2[where]))
            out.append(np.sqrt(np.sum(by_stage**2)))
        return self.iterates.rollouts, np.array(out)


def learn(
    game_or_oracle: RobustGame | Oracle,
    gamma: float,
    method: str | Method = "fast",
    *,
    oracle: OracleName | None = None,
    n_agents: float = math.inf,
    key: int = 0,
    iterations: int | None = None,
    batch: int | None = None,
    step_size: float | Literal["auto", "theory"] | None = None,
    radius: float | None = None,
    ball: float | None = None,
    Sigma_y: Any = 1.0,
    Sigma_z: Any = 1.0,
    antithetic: bool | None = None,
    precision: Literal["float64", "float32"] = "float64",
    state: Path | str | None = None,
    resume: bool = False,
    save_every: float = 10.0,
    progress: Callable[[Progress], None] | None = None,
) -> Learned:
    """Learn the saddle-point gains at level γ from costs of rollouts.

    Args:
        game_or_oracle: a finite game, which is then rolled out and never read by the learner; or an
            oracle, such as a `CostOracle` around a simulator of your own.
        gamma: γ > 0. Payoff of a rollout: cost − γ² · energy.
        method: "fast" (a quadratic fitted to costs, and one linear solve per stage), "rgda" (P1's
            Algorithm 1), "e-rgda" (the same with exact gradients), "e-ddpg" (P1's baseline: all
            stages at once, exact gradients), or a `Method`.
        oracle: for a game: "law" (one agent of N, exact in law), "population" (every agent) or
            "exact" (expected costs in closed form; the choice where the method needs gradients).
        n_agents: N, for a game. A population of more than 1000, or of infinitely many, is simulated
            with 1000.
        key: seed of everything random.
        iterations: K, changed from the method's own, as the next four are (see `Method`).
        batch: N_b.
        step_size: η.
        radius: r.
        ball: of the projection.
        Sigma_y: for a game: covariance of the deviation that rollouts of one stage start from.
        Sigma_z: of the mean.
        antithetic: for a game: draw noise in pairs of opposite sign; by default where a quadratic is
            fitted ("regression", "fast"). Every rollout keeps its law, but the simulator must be one
            whose noise can be turned round.
        precision: of the rollouts; gains are float64 always. "float32" is faster, and where costs
            are sampled their noise is far larger than its rounding.
        state: file that keeps the learner's state, every `save_every` seconds and when interrupted.
        resume: go on from that file; the result has the same bits as without the interruption.
        save_every: seconds.
        progress: called after each chunk of work; may raise to stop.

    Returns:
        `Learned`; look at its `outcome`.

    Raises:
        InputError: arguments out of range, or a state file of other settings.
        KeyboardInterrupt: passed on after the state was written.

    Source: P1, Algorithm 1 and Section 5; theory.md §2.

    Example:
        >>> import phalanx as px
        >>> game = px.scenario("two-by-two").game
        >>> learned = px.learn(game, gamma=3.0, key=1)
        >>> learned.outcome.ok, learned.nash_gap < 0.1
        (True, True)
    """
    checked = attenuation("gamma", gamma)
    if np.ndim(checked):
        raise InputError(
            f"gamma must be one number to learn at, but it has shape {np.shape(checked)}."
        )
    gamma, n_agents = float(checked), check_agents("n_agents", n_agents)
    if not math.isfinite(gamma):
        raise InputError(
            "gamma must be finite to learn; for the limit without adversary, take a large one."
        )
    chosen = as_method(
        method, iterations=iterations, batch=batch, step_size=step_size, radius=radius, ball=ball
    )
    if isinstance(key, bool) or not isinstance(key, int | np.integer) or not 0 <= key < 2**63:
        raise InputError(f"key must be a seed from 0 to 2⁶³ − 1, but it is {key!r}.")
    game = game_or_oracle if isinstance(game_or_oracle, RobustGame) else None
    if game is not None:
        name = oracle or ("exact" if chosen.estimator == "exact" else "law")
        if antithetic is None:
            antithetic = chosen.estimator == "regression"
        world = game_oracle(game, name, n_agents, Sigma_y, Sigma_z, antithetic, precision)
    else:
        name, world = _given(game_or_oracle, oracle)
    settings = {
        "gamma": gamma,
        "seed": int(key),
        "oracle": name,
        "agents": n_agents if math.isfinite(n_agents) else None,
        "precision": precision if game is not None else None,
        "antithetic": antithetic if game is not None else None,
        "sizes": list(world.sizes),
        "Sigma_y": np.asarray(world.Sigma_y).tolist(),
        "Sigma_z": np.asarray(world.Sigma_z).tolist(),
        "game": None if game is None else _fingerprint(game),
        "given": None if game is not None else _traits(world),
        **chosen.settings,
    }
    place = None if state is None else Path(state)
    if not save_every >= 0:
        raise InputError(
            f"save_every must be a number of seconds, 0 or more, but it is {save_every!r}."
        )
    if resume and place is None:
        raise InputError("resume needs state, the file that the learner's state was kept in.")
    now, note = load_best(place, settings) if resume and place is not None else (None, "")
    now = now or State.fresh(world.sizes, chosen.all_stages, settings)
    nash = _nash(game, gamma)
    _keep_running(world, chosen, gamma, int(key), now, place, save_every, progress, nash)
    return _learned(game, n_agents, gamma, chosen, now, nash, note)


def game_oracle(
    game: RobustGame,
    name: str,
    n_agents: float = math.inf,
    Sigma_y: Any = 1.0,
    Sigma_z: Any = 1.0,
    antithetic: bool = False,
    precision: str = "float64",
) -> Oracle:
    """The oracle of a game by its name.

    Raises:
        InputError: an unknown name, or a game that cannot be learned.
    """
    if precision not in ("float64", "float32"):
        raise InputError(f'precision must be "float64" or "float32", but it is {precision!r}.')
    if name == "exact":
        return ExactOracle(game, n_agents, Sigma_y=Sigma_y, Sigma_z=Sigma_z)
    if name == "law":
        return LawOracle(
            game,
            n_agents,
            Sigma_y=Sigma_y,
            Sigma_z=Sigma_z,
            antithetic=antithetic,
            dtype=precision,
        )
    if name == "population":
        agents = int(min(n_agents, STAND_IN))
        return PopulationOracle(
            game,
            agents,
            Sigma_y=Sigma_y,
            Sigma_z=Sigma_z,
            antithetic=antithetic,
            dtype=precision,
        )
    raise InputError(f'oracle must be "law", "population" or "exact", but it is {name!r}.')


# The mean-field limit, and larger fleets, are rolled out with this many agents.
STAND_IN = 1000


def _fingerprint(game: RobustGame) -> str:
    """Tells games of the same sizes apart."""
    digest = hashlib.sha256()
    for part in (game.system, game.cost, game.noise):
        for _, value in sorted(vars(part).items()):
            digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()[:16]


def _traits(oracle: Oracle) -> dict[str, str]:
    """What tells populations apart; of another oracle nothing is asked but costs."""
    if not isinstance(oracle, PopulationOracle):
        return {}
    names = ("n_agents", "antithetic", "dtype", "tails", "one")
    return {name: str(getattr(oracle, name)) for name in names}


def _given(oracle: Any, name: str | None) -> tuple[str, Oracle]:
    if not isinstance(oracle, Oracle):
        raise InputError(
            f"learn takes a RobustGame or an oracle (px.CostOracle around a simulator), but it was given a {type(oracle).__name__}."
        )
    if name is not None:
        raise InputError(
            "oracle names how a game is rolled out; you gave an oracle of your own already."
        )
    return type(oracle).__name__, oracle


def _nash(game: RobustGame | None, gamma: float) -> SaddlePoint | None:
    """The truth, for judging; None where there is none."""
    if game is None:
        return None
    saddle = solve(game, gamma)
    return saddle if saddle.outcome.ok else None


def _keep_running(
    world: Oracle,
    method: Method,
    gamma: float,
    seed: int,
    now: State,
    place: Path | None,
    save_every: float,
    progress: Callable[[Progress], None] | None,
    nash: SaddlePoint | None,
) -> None:
    """Run, and keep the state safe while doing so."""
    saved, kept = time.monotonic(), copy.deepcopy(now)

    def on_step(state: State) -> None:
        nonlocal saved, kept
        kept = copy.deepcopy(state)
        if place is not None and (state.done or time.monotonic() - saved >= save_every):
            state.save(place)
            saved = time.monotonic()
        if progress is not None:
            progress(_progress(state, method, world.sizes.horizon, nash))

    check_oracle(world, method)
    if place is not None:
        sweep(place)
    try:
        run(world, method, gamma, seed, now, on_step)
    except BaseException:
        if place is not None:
            kept.save(place)
        raise


def _progress(state: State, method: Method, T: int, nash: SaddlePoint | None) -> Progress:
    within = state.iteration / method.iterations
    done = within if method.all_stages else (T - 1 - state.stage + within) / T
    gap = None
    if nash is not None:
        stages = slice(state.stage + 1, T)
        if method.all_stages and not state.done:
            p = state.theta1.shape[1]
            now = JointGains(state.W[:, :p], state.W[:, p:])
            stages = slice(0, T)
        else:
            now = JointGains(state.theta1, state.theta2)
        gap = float(np.sqrt(np.sum(distance(now, _gains(nash))[stages] ** 2)))
    done = 1.0 if state.done else min(done, 1.0)
    return Progress(
        done, -1 if method.all_stages else state.stage, state.iteration, state.rollouts, gap
    )


def _gains(nash: SaddlePoint) -> JointGains:
    return JointGains.of(nash.K1, nash.K2, nash.L1, nash.L2)


def _learned(
    game: RobustGame | None,
    n_agents: float,
    gamma: float,
    method: Method,
    state: State,
    nash: SaddlePoint | None,
    note: str,
) -> Learned:
    gains = JointGains(state.theta1, state.theta2)
    outcome = verdict(method, state)
    usable = state.status == "done" and outcome.status not in ("diverged", "infeasible")
    by_stage = gap = level = None
    if nash is not None and usable:
        by_stage = distance(gains, _gains(nash))
        gap = float(np.sqrt(np.sum(by_stage**2)))
    if game is not None and usable:
        level = math.sqrt(induced_gain(game, gains.K1, gains.L1, n_agents).gain)
    estimated = None
    if usable and not (np.isnan(state.estimate).any() or np.isnan(state.mu).any()):
        estimated = float(np.sqrt(np.sum(state.estimate**2)))
    return Learned(
        K1=gains.K1,
        K2=gains.K2,
        L1=gains.L1,
        L2=gains.L2,
        gamma=gamma,
        method=method,
        rollouts=state.rollouts,
        outcome=outcome,
        nash_gap=gap,
        nash_gap_by_stage=by_stage,
        estimated_gap=estimated,
        attenuation=level,
        step_size=state.eta,
        ball=state.ball,
        projected=state.projected,
        strong_convexity=state.mu,
        lipschitz=state.lipschitz,
        iterates=Iterates(
            state.record_stage, state.record_iteration, state.record_rollouts, state.record_W
        ),
        nash=nash,
        complete=usable,
        note=note,
    )
