"""The law oracle: one agent of N, exact in law, at a cost that does not depend on N.

An agent's deviation and the mean are independent of each other, and each is driven by Gaussian noise
of known covariance (theory: "exact split"), so a rollout needs two small systems and no other agent.

Layout: B draws last, G variants of the gains before them, (m, G, B), so that each operation is one
pass along memory. What is random is drawn one step before it is used and carried by the loop: XLA
would otherwise fuse the draw into each of its readers and draw the same numbers again for each.
"""

import functools
import operator
from collections.abc import Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from phalanx import _random
from phalanx._linalg._apply import FUSE_UP_TO
from phalanx.equilibria import RobustGame
from phalanx.learners._gains import JointGains, Sizes
from phalanx.learners._numbers import Numbers, numbers, root


class LawOracle(eqx.Module):
    """Rollouts of one agent in a population of N with Gaussian noise.

    Args:
        game: a finite game.
        n_agents: N ≥ 1, possibly infinite.
        Sigma_y, Sigma_z: covariances that the states of stage t start from.
        antithetic: draws come in pairs, alike but for the sign of the process noise. Each rollout
            keeps its law; what noise does to gradients cancels within a pair.
        dtype: "float64", or "float32" at about three times the speed.

    Source: P1, eqs. 17–18; the noise's covariances are exact for every N (theory.md §1).
    """

    sizes: Sizes = eqx.field(static=True)
    n: Numbers
    roots: tuple
    Sigma_y: np.ndarray
    Sigma_z: np.ndarray
    noisy: bool = eqx.field(static=True)
    antithetic: bool = eqx.field(static=True)
    dtype: Any = eqx.field(static=True)
    traceable: bool = eqx.field(static=True, default=True)

    def __init__(
        self,
        game: RobustGame,
        n_agents: float = float("inf"),
        *,
        Sigma_y: Any = 1.0,
        Sigma_z: Any = 1.0,
        antithetic: bool = False,
        dtype: str = "float64",
    ):
        self.sizes, n = numbers(game, n_agents, Sigma_y, Sigma_z)
        self.Sigma_y, self.Sigma_z = n.start
        self.dtype = jnp.dtype(dtype)
        roots = (root(n.start), root(n.initial), root(n.noise))
        with jax.enable_x64(True):
            self.roots = tuple(jnp.asarray(F, self.dtype) for F in roots)
            self.n = Numbers(*(jnp.asarray(X, self.dtype) for X in n))
        self.noisy = bool(n.noise.any())
        self.antithetic = bool(antithetic)
        self.traceable = True

    def prepare(self, gains: JointGains, stage: Any) -> None:
        """Nothing: each rollout lives through the later stages itself."""
        return

    def draws(self, key: jax.Array, draws: int, stage: Any) -> tuple:
        """Normals for the first state and the first stage's noise, and a key for what follows."""
        start, noise = jax.random.split(key)
        first = self._normals(jax.random.fold_in(noise, 0), draws)
        return self._normals(start, draws, mirrored=False), first, noise

    def costs(
        self, shared: Any, gains: JointGains, offset: JointGains, drawn: Any, stage: Any
    ) -> tuple[jax.Array, jax.Array]:
        """Cost and energy of each rollout."""
        start, noise, key = drawn
        B = start.shape[-1]
        m, T = self.sizes.state, self.sizes.horizon
        t0 = 0 if stage is None else stage
        F = self.roots[0] if stage is not None else self.roots[1]
        gains = JointGains(*(jnp.asarray(theta, self.dtype) for theta in gains))
        offset = JointGains(*(extra.astype(self.dtype) for extra in offset))
        normals = _random.unpack(start, (2 * m, B)).reshape(2, m, 1, B)
        x = jnp.stack([_mul(F[0], normals[0]), _mul(F[1], normals[1])])
        G, _ = np.broadcast_shapes(offset.theta1.shape[-2:], offset.theta2.shape[-2:])
        x = jnp.broadcast_to(x, (2, m, G, B))
        zero = jnp.zeros(x.shape[2:], self.dtype)

        def step(t: Any, carry: tuple, extra: JointGains | None) -> tuple:
            x, cost, energy, noise = carry
            paid, spent, x = self._step(t, x, gains, extra, noise)
            ahead = self._normals(jax.random.fold_in(key, t + 1 - t0), B)
            return x, cost + paid, energy + spent, ahead

        carry = (x, zero, zero, noise)
        if stage is None:
            carry = jax.lax.fori_loop(
                0, T, lambda t, c: step(t, c, JointGains(*(o[t] for o in offset))), carry
            )
        else:
            carry = step(t0, carry, JointGains(*(o[0] for o in offset)))
            carry = jax.lax.fori_loop(t0 + 1, T, lambda t, c: step(t, c, None), carry)
        x, cost, energy, _ = carry
        last = _form(self.n.Q_T[0], x[0]) + _form(self.n.Q_T[1], x[1])
        return cost + last, energy

    def _step(
        self, t: Any, x: jax.Array, gains: JointGains, extra: JointGains | None, noise: jax.Array
    ) -> tuple:
        """One stage of both halves."""
        n, m = self.n, self.sizes.state
        paid, spent, after = 0.0, 0.0, []
        for h in (0, 1):
            columns = slice(h * m, (h + 1) * m)
            u, d = (
                _gain(theta[t][:, columns], None if add is None else add[:, columns], x[h])
                for theta, add in zip(gains, extra or (None, None), strict=True)
            )
            paid = paid + _form(n.Q[h, t], x[h]) + _form(n.R[h, t], u)
            spent = spent + _square(d)
            moved = _mul(n.A[h, t], x[h]) - _mul(n.B[h, t], u) + _mul(n.D[h, t], d)
            if self.noisy:
                normals = _random.unpack(noise, (2 * m, x.shape[-1])).reshape(2, m, 1, -1)
                moved = moved + _mul(self.roots[2][h], normals[h])
            after.append(moved)
        return paid, spent, jnp.stack(after)

    def _normals(self, key: jax.Array, draws: int, mirrored: bool = True) -> jax.Array:
        rows = 2 * self.sizes.state
        if not self.antithetic:
            return _random.packed_normal(key, (rows, draws), self.dtype)
        return in_pairs(_random.packed_normal(key, (rows, draws // 2), self.dtype), mirrored)


def in_pairs(x: jax.Array, mirrored: bool) -> jax.Array:
    """Each column twice, side by side; the second with its sign changed if `mirrored`."""
    return jnp.stack([x, -x if mirrored else x], axis=-1).reshape(*x.shape[:-1], -1)


def added(parts: Iterable[jax.Array]) -> jax.Array:
    """The sum of at least one array."""
    return functools.reduce(operator.add, parts)


def _mul(matrix: jax.Array, x: jax.Array) -> jax.Array:
    """Matrix @ x over the leading axis of x, (c, G, B), spelled out where it is small."""
    if matrix.shape[1] > FUSE_UP_TO:
        return jnp.einsum("rc,cgb->rgb", matrix, x, precision=jax.lax.Precision.HIGHEST)
    return added(matrix[:, j, None, None] * x[j] for j in range(matrix.shape[1]))


def _gain(theta: jax.Array, offset: jax.Array | None, x: jax.Array) -> jax.Array:
    """(θ + offset) x with θ (r, c), offset (r, c, G, B) and x (c, G, B)."""
    out = _mul(theta, x)
    if offset is None:
        return out
    if x.shape[0] > FUSE_UP_TO:
        return out + jnp.sum(offset * x, axis=1)
    return out + added(offset[:, j] * x[j] for j in range(x.shape[0]))


def _form(weight: jax.Array, x: jax.Array) -> jax.Array:
    """xᵀ W x, (G, B)."""
    return jnp.sum(x * _mul(weight, x), axis=0)


def _square(x: jax.Array) -> jax.Array:
    return jnp.sum(x * x, axis=0)
