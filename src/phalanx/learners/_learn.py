"""`learn`: gains of both players from costs alone, and then, where a model is known, how good they are."""

import copy
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from phalanx._files import sweep
from phalanx._outcome import InputError
from phalanx._types import agents as check_agents
from phalanx._types import attenuation
from phalanx.equilibria import RobustGame, SaddlePoint, solve
from phalanx.evaluation import induced_gain
from phalanx.learners._base import Oracle
from phalanx.learners._gains import JointGains, distance
from phalanx.learners._learned import Iterates, Learned, Progress, gains_of
from phalanx.learners._method import Method, as_method
from phalanx.learners._oracle import CostOracle
from phalanx.learners._run import check_oracle, run
from phalanx.learners._state import State, load_best
from phalanx.learners._trial import trial
from phalanx.learners._verdict import verdict
from phalanx.learners._world import fingerprint, game_oracle, given, traits

OracleName = Literal["law", "population", "exact"]


def learn(
    game_or_oracle: RobustGame | Oracle,
    gamma: float,
    method: str | Method = "fast",
    *,
    oracle: OracleName | None = None,
    n_agents: float | None = None,
    key: int = 0,
    iterations: int | None = None,
    batch: int | None = None,
    step_size: float | Literal["auto", "theory"] | None = None,
    radius: float | None = None,
    ball: float | None = None,
    Sigma_y: Any = None,
    Sigma_z: Any = None,
    antithetic: bool | None = None,
    precision: Literal["float64", "float32"] | None = None,
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
        n_agents: N, for a game; infinitely many by default. A population of more than 1000, or of
            infinitely many, is simulated with 1000.
        key: seed of everything random.
        iterations: K, changed from the method's own, as the next four are (see `Method`).
        batch: N_b. It is rounded to whole draws, each tried under every variant of the gains that the
            estimator compares; "fast" takes 4 draws per state entry at least.
        step_size: η; not for "fast", which takes no steps.
        radius: r.
        ball: of the projection.
        Sigma_y: for a game: covariance of the deviation that rollouts of one stage start from; the
            identity by default.
        Sigma_z: of the mean.
        antithetic: for a game: draw noise in pairs of opposite sign; by default where a quadratic is
            fitted ("regression", "fast"). Every rollout keeps its law, but the simulator must be one
            whose noise can be turned round.
        precision: of a game's rollouts, "float64" by default; gains are float64 always. "float32" is
            faster, and where costs are sampled their noise is far larger than its rounding.
        state: file that keeps the learner's state, every `save_every` seconds and when interrupted.
        resume: go on from that file; the result has the same bits as without the interruption. Where
            there is no such file it starts anew. The file knows the settings, and the game; of a
            simulator of your own it knows the sizes only.
        save_every: seconds.
        progress: called after each chunk of work; may raise to stop.

    Returns:
        `Learned`; look at its `outcome`.

    Raises:
        InputError: arguments out of range, those of a game beside an oracle, a simulator that does not
            do what `CostOracle` asks of it, or a state file of other settings.
        KeyboardInterrupt: passed on after the state was written.

    Source: P1, Algorithm 1 and Section 5; notation page, "Learning from costs alone (P1)".

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
    gamma = float(checked)
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
    of_a_game = {
        "oracle": oracle,
        "n_agents": n_agents,
        "Sigma_y": Sigma_y,
        "Sigma_z": Sigma_z,
        "antithetic": antithetic,
        "precision": precision,
    }
    n_agents = check_agents("n_agents", math.inf if n_agents is None else n_agents)
    precision = "float64" if precision is None else precision
    if game is not None:
        name = oracle or ("exact" if chosen.estimator == "exact" else "law")
        if antithetic is None:
            antithetic = chosen.estimator == "regression"
        Sigma_y, Sigma_z = (1.0 if Sigma is None else Sigma for Sigma in (Sigma_y, Sigma_z))
        world = game_oracle(game, name, n_agents, Sigma_y, Sigma_z, antithetic, precision)
    else:
        name, world = given(game_or_oracle, of_a_game)
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
        "game": None if game is None else fingerprint(game),
        "given": None if game is not None else traits(world),
        **chosen.settings,
    }
    place = None if state is None else _place(state)
    seconds = isinstance(save_every, int | float | np.number) and not isinstance(save_every, bool)
    if not (seconds and save_every >= 0):
        raise InputError(
            f"save_every must be a number of seconds, 0 or more, but it is {save_every!r}."
        )
    if resume and place is None:
        raise InputError("resume needs state, the file that the learner's state was kept in.")
    now, note = load_best(place, settings) if resume and place is not None else (None, "")
    if now is None:
        check_oracle(world, chosen)
        now = State.fresh(world.sizes, chosen.all_stages, settings)
        if isinstance(world, CostOracle):
            now.rollouts += trial(world, chosen, int(key))
    nash = _nash(game, gamma)
    _keep_running(world, chosen, gamma, int(key), now, place, save_every, progress, nash)
    return _learned(game, n_agents, gamma, chosen, now, nash, note)


def _place(state: Any) -> Path:
    """Where the learner's state is kept: a file, in a folder that is there."""
    if not isinstance(state, str | Path):
        raise InputError(f"state must be the path of a file, but it is {state!r}.")
    place = Path(state)
    if place.is_dir():
        raise InputError(f"state must be a file, but {place} is a folder; name a file in it.")
    if not place.parent.is_dir():
        raise InputError(
            f"state: there is no folder {place.parent} to keep {place.name} in; make it first."
        )
    return place


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
        gap = float(np.sqrt(np.sum(distance(now, gains_of(nash))[stages] ** 2)))
    done = 1.0 if state.done else min(done, 1.0)
    return Progress(
        done, -1 if method.all_stages else state.stage, state.iteration, state.rollouts, gap
    )


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
        by_stage = distance(gains, gains_of(nash))
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
