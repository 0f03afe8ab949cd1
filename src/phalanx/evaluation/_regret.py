"""Regret of one agent: what it paid, less what the best policy of a class would have paid in its place.

    Regret_i = Σ_t c_t(x_t, u_t) − min_π Σ_t c_t(x^π_t, u^π_t)          (P2, eqs. 1–3)

Both sums are of exact replays from round 0 with the others held as recorded; `_counterfactual` says in which of two ways.
Against DAC the minimum is known up to a proved gap; against linear feedback it is an upper bound, and the regret a
lower one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from phalanx._outcome import InputError, Outcome
from phalanx._types import array
from phalanx.evaluation._best_dac import exploding, solve
from phalanx.evaluation._best_linear import search, spectral_radius
from phalanx.evaluation._counterfactual import Counterfactual, Reading, build
from phalanx.simulation import LinearTrajectory

Comparator = Literal["dac", "linear", "given"]


@dataclass(frozen=True, eq=False)
class Regret:
    """One agent's regret over a recorded run.

    Attributes:
        agent: i. comparator: "dac", "linear" or "given". counterfactual: "open-loop" or "reacting".
        regret: agent_cost − comparator_cost. agent_cost: what was paid. comparator_cost: what the comparator pays.
        curve: (T,) the difference summed up to each round, against the comparator of the whole run; 0 during burn-in.
        optimality_gap: the regret against the class's best is at most this much higher; 0 for a given comparator,
            None for the linear class, where no bound is known.
        M: (H, p, n) of the comparator, None for linear ones. K: (p, n) its feedback.
        kappa, decay: strong stability of the best linear loop; None for other comparators.
        spectral_radius: of A − BK in the counterfactual world.
        rounds: T. burn_in: rounds that do not count.
        outcome: of the comparator's search. notes: what a reader should know.
    """

    agent: int
    comparator: Comparator
    counterfactual: Reading
    regret: float
    agent_cost: float
    comparator_cost: float
    curve: Float[np.ndarray, " T"]
    optimality_gap: float | None
    M: Float[np.ndarray, "H p n"] | None
    K: Float[np.ndarray, "p n"]
    kappa: float | None
    decay: float | None
    spectral_radius: float
    rounds: int
    burn_in: int
    outcome: Outcome
    notes: tuple[str, ...] = ()


def regret(
    trajectory: LinearTrajectory,
    agent: int,
    comparator: Any = "dac",
    counterfactual: Reading | None = None,
    *,
    memory: int | None = None,
    radius: float | None = None,
    decay: float | None = None,
    margin: float = 0.0,
    starts: int = 8,
    key: int = 0,
    burn_in: int = 0,
    rounds: int | None = None,
    tolerance: float = 1e-6,
    throw: bool = False,
) -> Regret:
    """What one agent paid beyond the best fixed policy of a class, the others held as recorded.

    Regret_i = Σ_t c_t(x_t, u_t) − min_π Σ_t c_t(x^π_t, u^π_t).

    Args:
        trajectory: a run simulated with costs.
        agent: i, from 0.
        comparator: "dac" (best fixed M around the agent's K), "linear" (best u = −K x), or one policy: a gain
            (p, n), an M (H, p, n), or a policy with `K` and perhaps a fixed `M`.
        counterfactual: "open-loop": the others' recorded controls are replayed; "reacting": their learned parts are,
            and they react through −K_j x. None: reacting for an agent in the aggregated setting, else open-loop.
        memory: H of the DAC class; the agent's own when left out (6 where it has none).
        radius: a of its set ‖M^{[p]}‖₂ ≤ a(1 − ρ)^p, likewise (10).
        decay: ρ, likewise (0).
        margin: the linear class is spectral radius ≤ 1 − margin.
        starts: starting points of the linear search.
        key: their seed.
        burn_in: so many first rounds do not count (P2 uses H).
        rounds: T; all that were recorded when left out.
        tolerance: of the DAC search, as for `best_dac`.
        throw: raise unless the outcome is "solved".

    Returns:
        `Regret`; a comparator whose replay explodes has cost inf, regret −inf and an outcome that says why.

    Raises:
        InputError: arguments out of range, a run without costs, or "reacting" in the independent setting.
        NoSolutionError: with `throw`, a comparator that was not found.

    Source: P2, eqs. 1–3.

    Example:
        >>> import numpy as np, phalanx as px
        >>> system = px.LinearSystem(A=0.9, B=1.0)
        >>> learner = px.GradientPerturbation(system.A, system.B[0], [[0.5]], memory=4)
        >>> w = np.sin(np.arange(300) / (2 * np.pi))[:, None]
        >>> run = px.simulate(system, learner, px.Replay(w), px.Quadratic(), rounds=300)
        >>> against_dac = px.regret(run, agent=0)
        >>> against_itself = px.regret(run, agent=0, comparator=[[0.5]])
        >>> bool(against_dac.regret > 0), bool(against_itself.regret < 0)
        (True, True)
    """
    world = build(trajectory, agent, counterfactual, rounds, burn_in)
    if isinstance(comparator, str):
        if comparator == "dac":
            found = _against_dac(world, memory, radius, decay, burn_in, tolerance)
        elif comparator == "linear":
            found = _against_linear(world, margin, starts, key, burn_in)
        else:
            raise InputError(
                f'comparator must be "dac", "linear", a gain, an M or a policy, but it is {comparator!r}.'
            )
    else:
        found = _against_given(world, comparator, burn_in)
    if throw:
        found.outcome.raise_if_failed()
    return found


def regret_curve(
    trajectory: LinearTrajectory,
    agent: int,
    comparator: Any = "dac",
    counterfactual: Reading | None = None,
    *,
    rounds: Sequence[int],
    **settings: Any,
) -> tuple[Regret, ...]:
    """Regret after each of several numbers of rounds, the comparator chosen anew for each.

    Args:
        trajectory: a run simulated with costs; its prefixes are what is evaluated.
        agent: i, from 0.
        comparator: as for `regret`.
        counterfactual: as for `regret`.
        rounds: the lengths T of the prefixes.
        settings: what else `regret` takes.

    Returns:
        One `Regret` per length; `fit_exponent([r.rounds for r in curve], [r.regret for r in curve])`.

    Raises:
        InputError: as `regret`.

    Example:
        >>> import phalanx as px
        >>> system = px.LinearSystem(A=0.9, B=1.0)
        >>> learner = px.GradientPerturbation(system.A, system.B[0], [[0.5]], memory=2)
        >>> run = px.simulate(system, learner, px.Step(1.0), px.Quadratic(), rounds=400)
        >>> [r.rounds for r in px.regret_curve(run, 0, rounds=[100, 200, 400])]
        [100, 200, 400]
    """
    return tuple(
        regret(trajectory, agent, comparator, counterfactual, rounds=T, **settings) for T in rounds
    )


def _against_dac(
    world: Counterfactual,
    memory: int | None,
    radius: float | None,
    decay: float | None,
    burn_in: int,
    tolerance: float,
) -> Regret:
    best = solve(world, *world.set_of(memory, radius, decay), burn_in, tolerance)
    return _regret(
        world, "dac", best.costs, best.cost, burn_in, best.outcome, best.optimality_gap, best.M
    )


def _against_linear(
    world: Counterfactual, margin: float, starts: int, key: int, burn_in: int
) -> Regret:
    best = search(world, margin, starts, key, burn_in)
    note = (
        "The best linear cost is an upper bound (the problem is not convex), so the regret is a lower one; "
        f"{best.agreement} of {best.starts} starts agree."
    )
    around = world.around(best.K)
    return _regret(
        around,
        "linear",
        best.costs,
        best.cost,
        burn_in,
        best.outcome,
        None,
        None,
        best.kappa,
        best.decay,
        (note,),
    )


def _against_given(world: Counterfactual, comparator: Any, burn_in: int) -> Regret:
    import jax
    import jax.numpy as jnp

    from phalanx.evaluation._rollout import World, dac_costs

    K, M = _policy(world, comparator)
    world = world.around(K)
    with jax.enable_x64(True):
        costs = np.asarray(dac_costs(World(world), jnp.asarray(M)))
    with np.errstate(invalid="ignore", over="ignore"):
        cost = float(costs[burn_in:].sum())
    outcome = Outcome("solved", "The given policy was replayed.")
    if not np.isfinite(cost):
        cost, outcome = float("inf"), exploding(world, world.loop, "the given policy")
    return _regret(world, "given", costs, cost, burn_in, outcome, 0.0, M if M.any() else None)


def _policy(world: Counterfactual, given: Any) -> tuple[np.ndarray, np.ndarray]:
    """(K, M) of a comparator that is given."""
    p, n = world.K.shape
    if getattr(given, "learns", False) or hasattr(given, "forecast"):
        raise InputError(
            f"comparator must be a fixed policy, but a {type(given).__name__} changes what it does as it plays; hand over its "
            "gain, or what it ended with."
        )
    K, M = getattr(given, "K", None), getattr(given, "M", None)
    if K is None and M is None:
        value = array("comparator", given)
        if value.ndim == 3:
            M = value
        else:
            K = value
    K = world.K if K is None else array("K of the comparator", K)
    M = np.zeros((1, p, n)) if M is None else array("M of the comparator", M)
    if K.shape != (p, n):
        raise InputError(
            f"comparator holds a gain of shape {K.shape}, which must have shape ({p}, {n}), or an M (H, {p}, {n})."
        )
    if M.ndim != 3 or M.shape[1:] != (p, n):
        raise InputError(
            f"comparator holds an M of shape {M.shape}, which must have shape (H, {p}, {n})."
        )
    return K, M


def _regret(
    world: Counterfactual,
    comparator: Comparator,
    costs: np.ndarray,
    cost: float,
    burn_in: int,
    outcome: Outcome,
    optimality_gap: float | None,
    M: np.ndarray | None,
    kappa: float | None = None,
    decay: float | None = None,
    notes: tuple[str, ...] = (),
) -> Regret:
    paid = float(world.paid[burn_in:].sum())
    counted = np.arange(world.rounds) >= burn_in
    with np.errstate(invalid="ignore", over="ignore"):  # an explosion is an outcome
        curve = np.cumsum(np.where(counted, world.paid - costs, 0.0))
    radius = float(spectral_radius(world.loop))
    if outcome.ok and radius >= 1 and comparator != "linear":
        notes = (
            *notes,
            f"The counterfactual loop A − BK has spectral radius {radius:.4g}: its replay grows with T, and so does "
            f"what rounding costs it.",
        )
    return Regret(
        world.agent,
        comparator,
        world.reading,
        paid - cost,
        paid,
        cost,
        curve,
        optimality_gap,
        M,
        world.K,
        kappa,
        decay,
        radius,
        world.rounds,
        burn_in,
        outcome,
        notes,
    )
