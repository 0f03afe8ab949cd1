"""Smooth costs that are not quadratic: Newton's method on the set, each model minimised as a quadratic.

The cost is a sum of c_t(z_t) with z_t = (x_t, u_t) affine in M, so its second derivative in M is Σ_t Z_tᵀ ∇²c_t Z_t. Gradient
steps crawl where disturbances are nearly dependent over the memory (slow ones always are); a Newton step does not
notice. Steps are damped by a multiple of the identity, which also stands in where a cost has no curvature (the tails
of a Huber cost), and shortened until the cost falls.

Source: Lee, Sun and Saunders 2014 (proximal Newton methods), the proximal term being the set.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from phalanx.evaluation._counterfactual import Counterfactual
from phalanx.evaluation._quadratic_dac import QuadraticInM, minimise_quadratic, responses
from phalanx.evaluation._rollout import World, dac_paths

STEPS, SHARE = 60, 1e-4
# Steps are halved down to this; a model that needed so short a step was trusted too far.
SHORTEST, LONG = 2.0**-12, 0.1
# Damping as a share of the mean curvature: at first, and at least and at most.
DAMPING, LEAST, MOST = 1e-6, 1e-12, 1e2
# Models are minimised this much more precisely than the answer has to be.
MODEL = 1e-2
# Operations per step beyond which assembling curvature does not pay.
LARGEST = 1e12

Slope = Callable[[np.ndarray], tuple[float, np.ndarray]]


def pays(world: Counterfactual, memory: int) -> bool:
    """Whether second derivatives of this size are affordable."""
    p, n = world.K.shape
    return world.rounds * (n + p) * float(memory * p * n) ** 2 <= LARGEST


def newton(
    world: Counterfactual,
    device: World,
    slope: Slope,
    gap: Callable[[np.ndarray, np.ndarray], float],
    limits: np.ndarray,
    burn_in: int,
    tolerance: float,
    least: float,
) -> tuple[np.ndarray, float]:
    """(M, gap) of the best point met; the caller judges the gap. Call it in float64.

    Args:
        world: the counterfactual.
        device: the same on the device.
        slope: from M to (cost, gradient).
        gap: from (M, gradient) to the certified gap there.
        limits: (H,) the balls' radii.
        burn_in: rounds that do not count.
        tolerance: accepted gap as a share of the cost.
        least: the least that the cost counts as there.
    """
    H, (p, n) = len(limits), world.K.shape
    M = np.zeros((H, p, n))
    cost, gradient = slope(M)
    best, best_gap, damping = M, gap(M, gradient), DAMPING
    for _ in range(STEPS):
        if best_gap <= tolerance * max(abs(cost), least):
            break
        curvature = np.asarray(_curvature(device, jnp.asarray(M)))
        if not np.isfinite(curvature).all() or not curvature.any():
            break  # a kink under the replay, or a cost made of them: gradients have to do
        P = 0.5 * _gram(world, H, burn_in, curvature)
        mean = np.trace(P) / len(P)
        if not mean > 0:  # nothing that M reaches is curved
            break
        moved = False
        while damping <= MOST and not moved:
            damped = P + damping * mean * np.eye(len(P))
            m = M.ravel()
            g = 0.5 * gradient.ravel() - damped @ m
            constant = cost - float(m @ damped @ m + 2 * g @ m)
            model = QuadraticInM(damped, g, constant, M.shape)
            target = minimise_quadratic(model, limits, MODEL * tolerance, max(abs(cost), least))[0]
            step, promise = target - M, float((gradient * (target - M)).sum())
            length = 1.0
            while promise < 0 and length >= SHORTEST and not moved:
                trial = M + length * step
                trial_cost, trial_gradient = slope(trial)
                moved = trial_cost <= cost + SHARE * length * promise
                if moved:
                    M, cost, gradient = trial, trial_cost, trial_gradient
                    damping = max(damping / 10, LEAST) if length == 1.0 else damping
                length /= 2
            if not moved or length < LONG:
                damping *= 10
        found = gap(M, gradient)
        if found < best_gap:
            best, best_gap = M, found
        if not moved:
            break
    return best, best_gap


def _gram(world: Counterfactual, memory: int, burn_in: int, curvature: np.ndarray) -> np.ndarray:
    """Σ_t Z_tᵀ C_t Z_t over the rounds that count."""
    p, n = world.K.shape
    d = memory * p * n
    total = np.zeros((d, d))
    for start, stop, Z in responses(world, memory, burn_in):
        if start < burn_in:
            continue
        # Z holds the rounds from `memory` before the chunk on, as (rounds, n + p, p·n).
        lagged = [Z[memory - q :][: stop - start] for q in range(1, memory + 1)]
        wide = np.concatenate(lagged, axis=2)
        bent = curvature[start:stop] @ wide
        total += wide.reshape(-1, d).T @ bent.reshape(-1, d)
    return (total + total.T) / 2


@eqx.filter_jit
def _curvature(world: World, M: Any) -> jax.Array:
    """∇²c_t at the replayed (x_t, u_t): (T, n + p, n + p)."""
    x, u = dac_paths(world, M)
    n = x.shape[1]

    def cost(t: jax.Array, z: jax.Array) -> jax.Array:
        return world.cost(t, z[:n], z[n:])

    rounds = world.first_round + jnp.arange(len(x))
    return jax.vmap(jax.hessian(cost, argnums=1))(rounds, jnp.concatenate([x, u], axis=1))
