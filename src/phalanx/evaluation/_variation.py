"""How restless a run's world was: the two variations in the bound on the equilibrium gap (P2, Theorem 4.1)."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from phalanx.evaluation._rollout import on_device
from phalanx.simulation import LinearTrajectory

# Points (x, u) of the run at which consecutive costs are compared.
POINTS = 64


def disturbance_variation(trajectory: LinearTrajectory) -> Float[np.ndarray, " T"]:
    """Σ_{s<t} |E w_{s+1} − E w_s|, t = 0..T−1.

    Args:
        trajectory: a run of a linear system.

    Returns:
        (T,), starting at 0.

    Source: P2, Theorem 4.1.

    Example:
        >>> import phalanx as px
        >>> from phalanx.evaluation import disturbance_variation
        >>> calm = px.simulate(px.LinearSystem(A=0.5, B=1.0), px.LinearFeedback([[0.0]]), rounds=3)
        >>> disturbance_variation(calm)
        array([0., 0., 0.])
    """
    moved = np.linalg.norm(np.diff(trajectory.w @ trajectory.system.E.T, axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(moved)])


def cost_variation(trajectory: LinearTrajectory) -> Float[np.ndarray, " T"]:
    """Σ_{s<t} max_i sup |c^i_{s+1} − c^i_s|, t = 0..T−1, the supremum over states and controls of the run.

    P2's supremum is over all bounded (x, u); here it is over up to 64 pairs that occurred, spread over the run.

    Args:
        trajectory: a run simulated with costs.

    Returns:
        (T,), starting at 0.

    Source: P2, Theorem 4.1 (Δc).

    Example:
        >>> import phalanx as px
        >>> from phalanx.evaluation import cost_variation
        >>> world, still = px.LinearSystem(A=0.5, B=1.0), px.LinearFeedback([[0.0]])
        >>> cost_variation(px.simulate(world, still, costs=px.Quadratic(), rounds=3, x0=[1.0]))
        array([0., 0., 0.])
    """
    T = trajectory.rounds
    at = np.unique(np.linspace(0, T - 1, min(T, POINTS)).astype(int))
    largest = np.zeros(T - 1)
    seen: list[Any] = []
    with jax.enable_x64(True):
        t = jnp.asarray(trajectory.first_round + np.arange(T))
        for agent, cost in enumerate(trajectory.costs or ()):
            if any(cost is other for other in seen):
                continue
            seen.append(cost)
            u = trajectory.u[at, agent, : trajectory.system.control_sizes[agent]]
            values = _costs(on_device(cost), t, jnp.asarray(trajectory.x[at]), jnp.asarray(u))
            largest = np.maximum(largest, np.abs(np.diff(np.asarray(values), axis=0)).max(1))
    return np.concatenate([[0.0], np.cumsum(largest)])


@eqx.filter_jit
def _costs(cost: Any, t: jax.Array, x: jax.Array, u: jax.Array) -> Float[jax.Array, "T points"]:
    return jax.vmap(lambda t: jax.vmap(lambda x, u: cost(t, x, u))(x, u))(t)
