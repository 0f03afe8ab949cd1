"""The best linear feedback in hindsight: not a convex problem, so the answer is an upper bound of the best cost.

Over all K whose counterfactual loop A − BK has a spectral radius of at most 1 − margin: quasi-Newton (BFGS) from many
starts at once, on exact replays differentiated backwards in time. A step that leaves the set, or after which the replay
explodes, counts as infinitely bad and is halved.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from jaxtyping import Float

from phalanx._outcome import InputError, Outcome
from phalanx.costs import Quadratic, Tracking
from phalanx.equilibria import strong_stability
from phalanx.evaluation._best_dac import exploding
from phalanx.evaluation._counterfactual import Counterfactual, Reading, build, whole
from phalanx.simulation import LinearTrajectory

STEPS = 200
# Armijo's share of the promised descent; the shortest step tried; relative fall below which a start is done.
SHARE, SHORTEST, SETTLED = 1e-4, 1e-10, 1e-10
# The circle itself does not count as inside.
CIRCLE = 1e-9


@dataclass(frozen=True, eq=False)
class BestLinear:
    """The best u = −K x found for one agent against a recorded run.

    Attributes:
        agent: i. counterfactual: "open-loop" or "reacting".
        cost: what it would have paid with K: an upper bound of the least cost. costs: (T,) round by round.
        K: (p, n). spectral_radius: of A − BK in the counterfactual world.
        kappa, decay: (κ, ρ)-strong stability of that loop; infinite and 0 without a certificate.
        margin: the class is spectral radius ≤ 1 − margin.
        starts: how many starting points were feasible. agreement: how many of them ended within 0.1 % of the cost.
        rounds: T. burn_in: rounds whose costs do not count.
        outcome: "solved" when the best start came to rest.
    """

    agent: int
    counterfactual: Reading
    cost: float
    costs: Float[np.ndarray, " T"]
    K: Float[np.ndarray, "p n"]
    spectral_radius: float
    kappa: float
    decay: float
    margin: float
    starts: int
    agreement: int
    rounds: int
    burn_in: int
    outcome: Outcome


def best_linear(
    trajectory: LinearTrajectory,
    agent: int,
    counterfactual: Reading | None = None,
    *,
    margin: float = 0.0,
    starts: int = 8,
    key: int = 0,
    burn_in: int = 0,
    rounds: int | None = None,
    throw: bool = False,
) -> BestLinear:
    """The fixed feedback that would have cost one agent least, the others held as recorded.

    min over K with spectral radius of A − BK at most 1 − margin of Σ_t c_t(x_t, −K x_t).

    Args:
        trajectory: a run simulated with costs.
        agent: i, from 0.
        counterfactual: "open-loop" or "reacting", as for `best_dac`.
        margin: ρ in [0, 1).
        starts: how many starting points: the agent's own K, zero, the regulator of its loop, and random ones
            around them.
        key: seed of the random ones.
        burn_in: so many first rounds do not count.
        rounds: T; all that were recorded when left out.
        throw: raise unless the outcome is "solved".

    Returns:
        `BestLinear`; its cost is an upper bound, because the problem is not convex.

    Raises:
        InputError: arguments out of range, a run without costs, or "reacting" in the independent setting.
        NoSolutionError: with `throw`, no feasible start or a search that did not come to rest.

    Source: P2, eqs. 1–3 (the comparator); Cohen et al. (2018) for (κ, ρ).

    Example:
        >>> import phalanx as px
        >>> run = px.simulate(
        ...     px.LinearSystem(A=0.9, B=1.0),
        ...     px.LinearFeedback([[0.0]]),
        ...     px.Gaussian(1.0),
        ...     px.Quadratic(1.0, 1.0),
        ...     rounds=5000,
        ... )
        >>> px.best_linear(run, agent=0).K.round(1)  # the regulator's gain is 0.532
        array([[0.5]])
    """
    world = build(trajectory, agent, counterfactual, rounds, burn_in)
    best = search(world, margin, starts, key, burn_in)
    if throw:
        best.outcome.raise_if_failed()
    return best


def search(world: Counterfactual, margin: float, starts: int, key: int, burn_in: int) -> BestLinear:
    """`best_linear` of a world that is already built."""
    import jax
    import jax.numpy as jnp

    from phalanx.evaluation._rollout import World, linear_costs, linear_slopes

    whole("starts", starts, 1)
    if not 0 <= float(margin) < 1:
        raise InputError(f"margin must be at least 0 and below 1, but it is {margin!r}.")
    limit = 1.0 - max(float(margin), CIRCLE)
    points = _starting_points(world, starts, key)
    with jax.enable_x64(True):
        device = World(world)

        def evaluate(K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            inside = spectral_radius(world.A - world.B @ K) <= limit
            # Outside there is nothing to learn; a feasible stand-in keeps the batch's shape.
            total, slope = linear_slopes(device, burn_in, jnp.asarray(K))
            total, slope = np.array(total), np.array(slope)
            total[~inside | ~np.isfinite(total) | ~np.isfinite(slope).all((1, 2))] = np.inf
            return total, slope

        K, total, settled = _descend(evaluate, points)
        feasible = np.isfinite(total)
        at = int(np.argmin(total))
        costs = np.asarray(linear_costs(device, jnp.asarray(K[at])))
    radius = float(spectral_radius(world.A - world.B @ K[at]))
    if not feasible.any():
        outcome, costs = _none(world, points, limit), np.full(world.rounds, np.inf)
        certificate = None
    else:
        outcome = _judge(bool(settled[at]), radius, limit)
        certificate = strong_stability(
            world.A, world.B, K[at], margin if 0 < margin < 1 - radius else None
        )
    return BestLinear(
        world.agent,
        world.reading,
        float(costs[burn_in:].sum()),
        costs,
        K[at],
        radius,
        float("inf") if certificate is None else certificate.kappa,
        0.0 if certificate is None else certificate.decay,
        float(margin),
        int(feasible.sum()),
        int((total[feasible] <= total[at] + 1e-3 * abs(total[at])).sum()),
        world.rounds,
        burn_in,
        outcome,
    )


def spectral_radius(F: np.ndarray) -> np.ndarray:
    """Max |λ| of each matrix of a stack; infinite where an entry is not finite."""
    fine = np.asarray(np.isfinite(F).all((-2, -1)))
    values = np.linalg.eigvals(np.where(fine[..., None, None], F, 0.0))
    return np.where(fine, np.abs(values).max(-1), np.inf)


def regulator(world: Counterfactual) -> np.ndarray | None:
    """LQR of the agent's loop under its own weights (unit weights where it has none); None without one."""
    n, p = world.B.shape
    Q, R = np.eye(n), np.eye(p)
    if isinstance(world.cost, Quadratic | Tracking):
        Q = np.asarray(world.cost.Q) * (Q if np.ndim(world.cost.Q) == 0 else 1.0)
        R = np.asarray(world.cost.R) * (R if np.ndim(world.cost.R) == 0 else 1.0)
    # Free states or controls have no regulator of their own; nearly free ones do.
    Q = Q + 1e-9 * max(np.trace(Q), 1.0) * np.eye(n)
    R = R + 1e-9 * max(np.trace(R), 1.0) * np.eye(p)
    try:
        P = scipy.linalg.solve_discrete_are(world.A, world.B, Q, R)
        return np.linalg.solve(R + world.B.T @ P @ world.B, world.B.T @ P @ world.A)
    except (np.linalg.LinAlgError, ValueError):
        return None


def _starting_points(world: Counterfactual, starts: int, key: int) -> Float[np.ndarray, "S p n"]:
    """The agent's own K, zero and the regulator, then random ones around these, until there are enough."""
    p, n = world.K.shape
    found = regulator(world)
    known = [world.K, np.zeros((p, n))] if found is None else [world.K, found, np.zeros((p, n))]
    known = [
        K for i, K in enumerate(known) if not any(np.array_equal(K, other) for other in known[:i])
    ]
    draws = np.random.default_rng(key)
    points = known[:starts]
    while len(points) < starts:
        centre = known[len(points) % len(known)]
        size = np.linalg.norm(centre) / np.sqrt(centre.size)
        noise = draws.normal(size=(p, n)) * max(size, 0.1 / max(np.linalg.norm(world.B), 1e-6))
        points.append(centre + 0.5 * noise)
    return np.array(points)


def _descend(evaluate, K: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """BFGS with backtracking on all starts side by side: (K, total, whether it came to rest)."""
    S, d = len(K), K[0].size
    total, slope = evaluate(K)
    slope = slope.reshape(S, d)
    inverse = np.broadcast_to(np.eye(d), (S, d, d)).copy()
    fresh = np.ones(S, bool)  # no curvature seen yet: the step's length is a guess
    step = np.ones(S)
    running, settled = np.isfinite(total), np.zeros(S, bool)
    slope[~running] = 0.0
    for _ in range(STEPS):
        if not running.any():
            break
        direction = -np.einsum("sij,sj->si", inverse, slope)
        promise = np.einsum("si,si->s", slope, direction)
        size = np.linalg.norm(direction, axis=1)
        # The first step of a start is a tenth of its gain, or of one; curvature is known after it.
        first = (
            0.1
            * np.maximum(np.linalg.norm(K.reshape(S, d), axis=1), 1.0)
            / np.maximum(size, 1e-300)
        )
        length = step * np.where(fresh, np.minimum(first, 1.0), 1.0)
        move = np.where(running[:, None], length[:, None] * direction, 0.0)
        trial = K + move.reshape(K.shape)
        trial_total, trial_slope = evaluate(trial)
        trial_slope = trial_slope.reshape(S, d)
        fits = running & (trial_total <= total + SHARE * length * promise)
        turned = np.where(fits[:, None], trial_slope - slope, 0.0)
        rise = np.einsum("si,si->s", turned, move)
        bent = fits & (rise > 1e-12 * np.linalg.norm(turned, axis=1) * np.linalg.norm(move, axis=1))
        for s in np.flatnonzero(bent):
            if fresh[s]:
                inverse[s] *= rise[s] / (turned[s] @ turned[s])
                fresh[s] = False
            inverse[s] = _update(inverse[s], move[s], turned[s], rise[s])
        fall = np.where(fits, total, 0.0) - np.where(fits, trial_total, 0.0)
        at_rest = fits & (fall <= SETTLED * np.abs(trial_total))
        K = np.where(fits[:, None, None], trial, K)
        total = np.where(fits, trial_total, total)
        slope = np.where(fits[:, None], trial_slope, slope)
        step = np.where(fits, np.minimum(1.0, 2.0 * step), 0.25 * step)
        stuck = running & ~fits & (step < SHORTEST)
        # Where no step descends any more the point is as good as rounding, or the set's edge, allows.
        flat = stuck & (-promise <= 1e-6 * np.where(stuck, np.abs(total), 0.0))
        settled |= at_rest | flat
        running &= ~(at_rest | stuck)
    return K, total, settled


def _update(inverse: np.ndarray, s: np.ndarray, y: np.ndarray, rise: float) -> np.ndarray:
    """BFGS on the inverse Hessian."""
    left = np.eye(len(s)) - np.outer(s, y) / rise
    return left @ inverse @ left.T + np.outer(s, s) / rise


def _judge(settled: bool, radius: float, limit: float) -> Outcome:
    if settled:
        return Outcome(
            "solved", f"The search came to rest at a loop of spectral radius {radius:.4g}."
        )
    return Outcome(
        "not_converged",
        f"The search ended before it came to rest, at a loop of spectral radius {radius:.4g} (limit {limit:.4g}).",
        "The cost is an upper bound all the same; more starts or a smaller margin may lower it.",
    )


def _none(world: Counterfactual, points: np.ndarray, limit: float) -> Outcome:
    radii = spectral_radius(world.A - world.B @ points)
    at = int(np.argmin(radii))
    if radii[at] <= limit:
        return exploding(world, world.A - world.B @ points[at], "the best K known")
    return Outcome(
        "infeasible",
        f"No K that was tried brings the loop of agent {world.agent} to a spectral radius of at most {limit:.4g}: the "
        f"least was {radii[at]:.4g}.",
        'Lower the margin, or use counterfactual="reacting" where the others hold the loop together.',
    )
