"""The model-based rival: fit a model to as many rollouts as a learner used, and take it for the truth.

It sees what a model-free learner does not: states, controls and disturbances. Rollouts are excited at
random by both sides; least squares gives (A, B, D) of the deviation and of the mean, stage by stage
where the matrices vary; the game Riccati recursion does the rest. What a learner loses against it is
the price of being model-free.
"""

import math
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from phalanx import _random
from phalanx._outcome import InputError, Outcome
from phalanx._types import attenuation
from phalanx.equilibria import RobustGame, SaddlePoint, solve
from phalanx.evaluation import induced_gain
from phalanx.learners._gains import JointGains, distance
from phalanx.learners._numbers import numbers, root
from phalanx.systems import MeanFieldSystem

# Rollouts that are held in memory at once.
SIDE_BY_SIDE = 4096


@dataclass(frozen=True, eq=False)
class Identified:
    """A saddle point of a fitted model.

    Attributes:
        system: the fitted model. saddle: its saddle point at γ.
        rollouts: used to fit it.
        nash_gap: Frobenius distance of all gains from the true saddle point's; None where either
            has none.
        attenuation: the level that the fitted controller really guarantees; None without one.
        outcome: of solving the fitted game.
    """

    system: MeanFieldSystem
    saddle: SaddlePoint
    rollouts: int
    nash_gap: float | None
    attenuation: float | None
    outcome: Outcome


def identify(
    game: RobustGame, gamma: float, rollouts: int, *, n_agents: float = math.inf, key: int = 0
) -> Identified:
    """Certainty equivalence: least squares on excited rollouts, then the saddle point of the fit.

    Args:
        game: a finite game; its dynamics are rolled out, its cost is known.
        gamma: γ > 0.
        rollouts: how many, each of one agent and the mean over the whole horizon.
        n_agents: N, which sets the noise.
        key: seed, consumed.

    Returns:
        `Identified`.

    Raises:
        InputError: fewer rollouts than a stage has unknowns in a row, or arguments out of range.

    Source: certainty equivalence in the sense of Mania, Tu & Recht (2019).

    Example:
        >>> import phalanx as px
        >>> fitted = px.identify(px.scenario("two-by-two").game, 3.0, rollouts=10_000)
        >>> fitted.nash_gap < 0.05
        True
    """
    gamma = float(attenuation("gamma", gamma))
    sizes, n = numbers(game, n_agents, 1.0, 1.0)
    T, m, p, q = sizes
    varying = game.system.stages is not None
    least = m + p + q if varying else -(-(m + p + q) // T)
    if isinstance(rollouts, bool) or not isinstance(rollouts, int) or rollouts < least:
        raise InputError(
            f"rollouts must be a whole number of at least {least}, but it is {rollouts!r}."
        )
    with jax.enable_x64(True):
        roots = [jnp.asarray(root(X)) for X in (n.start, n.noise)]
        matrices = [jnp.asarray(np.moveaxis(X, 1, 0)) for X in (n.A, n.B, n.D)]
        size = min(rollouts, SIDE_BY_SIDE)
        chunks = -(-rollouts // size)
        sums = _normal_equations(
            matrices, roots, _random.as_key(key), jnp.asarray(rollouts), chunks, size
        )
        seen, moved = (np.asarray(X) for X in sums)
    if not varying:
        seen, moved = seen.sum(axis=0), moved.sum(axis=0)
    fitted = np.linalg.solve(seen, moved).swapaxes(-1, -2)
    A, B, D = (fitted[..., cut] for cut in (slice(0, m), slice(m, m + p), slice(m + p, None)))
    own, mean = (slice(None), 0), (slice(None), 1)
    if not varying:
        own, mean = (0,), (1,)
    system = MeanFieldSystem(
        A[own], A[mean] - A[own], B[own], B[mean] - B[own], D[own], D[mean] - D[own]
    )
    saddle = solve(RobustGame(system, game.cost, game.noise, game.horizon), gamma)
    gap = level = None
    if saddle.outcome.ok:
        truth = solve(game, gamma)
        gains = [JointGains.of(s.K1, s.K2, s.L1, s.L2) for s in (saddle, truth)]
        if truth.outcome.ok:
            gap = float(np.linalg.norm(distance(*gains)))
        level = math.sqrt(induced_gain(game, saddle.K1, saddle.L1, n_agents).gain)
    return Identified(system, saddle, rollouts, gap, level, saddle.outcome)


@eqx.filter_jit
def _normal_equations(
    matrices: list[Any], roots: list[Any], key: Any, rollouts: Any, chunks: int, size: int
) -> tuple[Any, Any]:
    """Σ s sᵀ and Σ s x'ᵀ with s = (x, u, d), (T, 2, ·, ·), over all rollouts."""
    T, _, m, p = matrices[1].shape
    q = matrices[2].shape[-1]

    def chunk(carry: tuple, index: Any) -> tuple:
        own = jax.random.fold_in(key, index)
        counted = (index * size + jnp.arange(size) < rollouts).astype(jnp.float64)

        def stage(x: Any, now: tuple) -> tuple:
            t, A, B, D = now
            normals = _random.normal(
                jax.random.fold_in(own, t), (2 * (p + q + m), size), jnp.float64
            ).reshape(2, p + q + m, size)
            u, d, w = normals[:, :p], normals[:, p : p + q], normals[:, p + q :]
            moved = A @ x + B @ u + D @ d + roots[1] @ w
            s = jnp.concatenate([x, u, d], axis=1) * counted
            return moved, (s @ s.mT, s @ moved.mT)

        first = jax.random.normal(jax.random.fold_in(own, T), (2, m, size), jnp.float64)
        _, found = jax.lax.scan(stage, roots[0] @ first, (jnp.arange(T), *matrices))
        return jax.tree.map(jnp.add, carry, found), None

    zero = (jnp.zeros((T, 2, m + p + q, m + p + q)), jnp.zeros((T, 2, m + p + q, m)))
    return jax.lax.scan(chunk, zero, jnp.arange(chunks))[0]
