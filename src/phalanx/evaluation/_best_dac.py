"""The best disturbance-action policy in hindsight: a convex problem, solved to an accuracy that is proved.

The replayed state is affine in M, so the run's cost is convex in M for every convex stage cost. Quadratic and tracking
costs are written out as one quadratic; linear ones have their minimum in closed form; all others are minimised by
Newton's method on exact replays, or by accelerated projected gradient where that is too large or comes to nothing. Whatever the route, the accuracy reported is that of one more exact
gradient, taken by automatic differentiation of the replay at the answer:

    cost(M) − min cost ≤ ⟨∇, M⟩ + Σ_p a (1 − ρ)^p ‖∇^{[p]}‖_*
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from phalanx._outcome import Outcome
from phalanx.evaluation._counterfactual import Counterfactual, Reading, build
from phalanx.simulation import LinearTrajectory

# Gradients that a cost without structure may take, thrice.
STEPS = 2000
# Costs below this share of what M = 0 pays count as this share where a relative tolerance is asked for.
FLOOR = 1e-3


@dataclass(frozen=True, eq=False)
class BestDAC:
    """The best fixed M of one agent against a recorded run.

    Attributes:
        agent: i. counterfactual: "open-loop" or "reacting".
        cost: what it would have paid with M. costs: (T,) round by round.
        M: (H, p, n); M[p−1] multiplies ŵ_{t−p}. K: (p, n) the feedback it is built around.
        optimality_gap: no M of the set pays less than cost − optimality_gap.
        radius, decay: of the set ‖M^{[p]}‖₂ ≤ radius (1 − decay)^p.
        rounds: T. burn_in: rounds whose costs do not count.
        outcome: "solved" when the gap met the tolerance.
    """

    agent: int
    counterfactual: Reading
    cost: float
    costs: Float[np.ndarray, " T"]
    M: Float[np.ndarray, "H p n"]
    K: Float[np.ndarray, "p n"]
    optimality_gap: float
    radius: float
    decay: float
    rounds: int
    burn_in: int
    outcome: Outcome

    @property
    def memory(self) -> int:
        """H."""
        return len(self.M)


def best_dac(
    trajectory: LinearTrajectory,
    agent: int,
    counterfactual: Reading | None = None,
    *,
    memory: int | None = None,
    radius: float | None = None,
    decay: float | None = None,
    burn_in: int = 0,
    rounds: int | None = None,
    tolerance: float = 1e-6,
    throw: bool = False,
) -> BestDAC:
    """The fixed M that would have cost one agent least, the others held as recorded.

    min over ‖M^{[p]}‖₂ ≤ a(1−ρ)^p of Σ_t c_t(x_t, u_t),  u_t = −K x_t + Σ_{p=1..H} M^{[p]} ŵ_{t−p}.

    Args:
        trajectory: a run simulated with costs.
        agent: i, from 0.
        counterfactual: how the others are held: "open-loop" (their controls) or "reacting" (their learned
            parts); None: reacting for an agent in the aggregated setting, open-loop for every other.
        memory: H; the agent's own policy's when left out (6 where it has none).
        radius: a, likewise (10).
        decay: ρ, likewise (0).
        burn_in: so many first rounds do not count.
        rounds: T; all that were recorded when left out.
        tolerance: accepted optimality gap, as a share of the cost (or of a thousandth of what M = 0 pays, if that is
            more).
        throw: raise unless the outcome is "solved".

    Returns:
        `BestDAC`.

    Raises:
        InputError: arguments out of range, a run without costs, or "reacting" in the independent setting.
        NoSolutionError: with `throw`, a replay that grows beyond any number or a gap that was not met.

    Source: P2, eqs. 1–3 (the comparator); the certificate is Frank and Wolfe's (1956).

    Example:
        >>> import numpy as np, phalanx as px
        >>> w = np.sin(np.arange(200) / (2 * np.pi))[:, None]
        >>> run = px.simulate(
        ...     px.LinearSystem(A=0.9, B=1.0),
        ...     px.LinearFeedback([[0.5]]),
        ...     px.Replay(w),
        ...     px.Quadratic(1.0, 1.0),
        ...     rounds=200,
        ... )
        >>> best = px.best_dac(run, agent=0, memory=4)
        >>> bool(best.cost < run.cost.sum()), best.outcome.status
        (True, 'solved')
    """
    world = build(trajectory, agent, counterfactual, rounds, burn_in)
    H, a, rho = world.set_of(memory, radius, decay)
    best = solve(world, H, a, rho, burn_in, tolerance)
    if throw:
        best.outcome.raise_if_failed()
    return best


def solve(
    world: Counterfactual, memory: int, radius: float, decay: float, burn_in: int, tolerance: float
) -> BestDAC:
    """`best_dac` of a world that is already built."""
    import jax

    from phalanx._linalg._balls import bounds
    from phalanx.costs import LinearStage
    from phalanx.evaluation._newton import newton, pays
    from phalanx.evaluation._quadratic_dac import (
        assemble,
        is_quadratic,
        minimise_quadratic,
        spanned,
    )
    from phalanx.evaluation._rollout import World, dac_costs, dac_slope

    limits = bounds(radius, decay, memory)
    M = np.zeros((memory, world.B.shape[1], world.A.shape[0]))
    with jax.enable_x64(True):
        device = World(world)

        def slope(M: np.ndarray) -> tuple[float, np.ndarray]:
            total, gradient = dac_slope(device, burn_in, jax.numpy.asarray(M))
            return float(total), np.asarray(gradient)

        cost_0, slope_0 = slope(M)
        exploded = not (np.isfinite(cost_0) and np.isfinite(slope_0).all())
        # Where M = 0 explodes its cost is no scale; what the agent really paid is.
        scale = min(abs(cost_0), max(abs(float(world.paid[burn_in:].sum())), np.finfo(float).tiny))
        least, known_gap = FLOOR * scale, float("inf")
        if exploded:
            pass
        elif isinstance(world.cost, LinearStage):
            M = _least_of_linear(slope_0, limits)
            least = support(slope_0, limits)
        elif is_quadratic(world.cost):
            V = spanned(world.fed)
            quadratic = assemble(replace(world, fed=world.fed @ V), memory, burn_in)
            M = minimise_quadratic(quadratic, limits, tolerance, least)[0] @ V.T
        else:
            if pays(world, memory):

                def gap_at(M: np.ndarray, gradient: np.ndarray) -> float:
                    return float((gradient * M).sum()) + support(gradient, limits)

                M, known_gap = newton(
                    world, device, slope, gap_at, limits, burn_in, tolerance, least
                )
            if not known_gap <= tolerance * max(abs(slope(M)[0]), least):
                M, known_gap = _descend(device, burn_in, M, slope(M), limits, tolerance, least)
        costs = np.asarray(dac_costs(device, jax.numpy.asarray(M)))
        gradient = slope(M)[1]
    cost = float("inf") if exploded else float(costs[burn_in:].sum())
    gap = float("inf")
    if np.isfinite(gradient).all():
        gap = max(min(float((gradient * M).sum()) + support(gradient, limits), known_gap), 0.0)
    outcome = (
        exploding(world, world.loop, "the feedback K of its policy")
        if exploded
        else _judge(cost, gap, tolerance * max(abs(cost), least))
    )
    return BestDAC(
        world.agent,
        world.reading,
        cost,
        costs,
        M,
        world.K,
        gap,
        radius,
        decay,
        world.rounds,
        burn_in,
        outcome,
    )


def support(slope: np.ndarray, limits: np.ndarray) -> float:
    """Σ_p a_p ‖slope^{[p]}‖_*, the most that ⟨slope, ·⟩ reaches on the set."""
    return float(limits @ np.linalg.svd(slope, compute_uv=False).sum(-1))


def exploding(world: Counterfactual, loop: np.ndarray, under: str) -> Outcome:
    """The sentence for a replay that leaves all numbers."""
    radius = float(np.abs(np.linalg.eigvals(loop)).max())
    mend = (
        'Use counterfactual="reacting" if the agent plays in the aggregated setting, or give its policy a K that '
        "stabilises A − BK on its own."
        if world.reading == "open-loop"
        else "Give the agents feedback that stabilises them together."
    )
    return Outcome(
        "diverged",
        f"The {world.reading} replay of agent {world.agent} grows beyond any number within {world.rounds} rounds under "
        f"{under}: its loop has spectral radius {radius:.4g}.",
        mend,
    )


def _least_of_linear(slope: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Where a linear function is least on the set: minus the polar factor of each block, scaled to its ball."""
    U, _, Vt = np.linalg.svd(slope, full_matrices=False)
    return -limits[:, None, None] * (U @ Vt)


def _descend(
    device: Any,
    burn_in: int,
    M: np.ndarray,
    slope: tuple[float, np.ndarray],
    limits: np.ndarray,
    tolerance: float,
    least: float,
) -> tuple[np.ndarray, float]:
    """(M, gap) by accelerated projected gradient from M; the tolerance follows the cost as it falls."""
    import jax.numpy as jnp

    from phalanx.evaluation._accelerated import minimise
    from phalanx.evaluation._rollout import TotalCost

    cost, gradient = slope
    at = jnp.asarray(M)[None]
    curvature = max(float(np.linalg.norm(gradient)) / float(limits.max()), np.finfo(float).tiny)
    gap = float("inf")
    for _ in range(3):
        accepted = tolerance * max(abs(cost), least)
        if gap <= accepted:
            break
        found = minimise(
            TotalCost(device, burn_in),
            at,
            jnp.asarray(limits)[None],
            jnp.asarray([accepted]),
            jnp.asarray([curvature]),
            jnp.asarray(STEPS),
        )
        at, cost, gap = found.M, float(found.value[0]), float(found.gap[0])
    return np.asarray(at[0]), gap


def _judge(cost: float, gap: float, accepted: float) -> Outcome:
    if gap <= accepted:
        return Outcome("solved", f"No M of the set costs more than {gap:.3g} less.")
    return Outcome(
        "not_converged",
        f"The best M found costs {cost:.6g}, and the least cost is at most {gap:.3g} below it, which is more than was "
        f"asked for ({accepted:.3g}).",
        "Accept a larger tolerance; a cost with kinks (an absolute value) is certified better as a narrow Huber cost.",
    )
