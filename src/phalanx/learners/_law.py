"""The law oracle: one agent of N, exact in law, at a cost that does not depend on N.

An agent's deviation and the mean are independent of each other, and each is driven by Gaussian noise
of known covariance (theory: "exact split"), so a rollout needs two small systems and no other agent.

Layout: B draws last, G variants of the gains before them; a state is its rows, (G, B) each, and every
small product is spelled out, so that a stage is a handful of passes along memory.
"""

import functools
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from phalanx import _random
from phalanx._linalg._apply import FUSE_UP_TO
from phalanx.equilibria import RobustGame
from phalanx.learners._gains import JointGains, Sizes
from phalanx.learners._numbers import Numbers, checked_dtype, numbers, root


class LawOracle(eqx.Module):
    """Rollouts of one agent in a population of N with Gaussian noise.

    Args:
        game: a finite game.
        n_agents: N ≥ 1, possibly infinite.
        Sigma_y, Sigma_z: covariances that the states of stage t start from.
        antithetic: draws come in pairs, alike but for the sign of the process noise. Each rollout
            keeps its law; what noise does to gradients cancels within a pair.
        dtype: "float64", or "float32" at about three times the speed.

    Source: P1, eqs. 17–18; the noise's covariances are exact for every N (notation page, "The exact split").
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
        checked_dtype(dtype)
        self.sizes, n = numbers(game, n_agents, Sigma_y, Sigma_z)
        self.Sigma_y, self.Sigma_z = n.start
        self.dtype = jnp.dtype(dtype)
        spread = n.initial.copy()
        spread[1] -= np.outer(n.x0, n.x0)
        roots = (root(n.start), root(spread), root(n.noise))
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
        """Normals for the first state, and a key for the noise that follows."""
        start, noise = jax.random.split(key)
        return self._normals(start, draws, mirrored=False), noise

    def costs(
        self, shared: Any, gains: JointGains, offset: JointGains, drawn: Any, stage: Any
    ) -> tuple[jax.Array, jax.Array]:
        """Cost and energy of each rollout."""
        start, key = drawn
        B, m, T = start.shape[-1], self.sizes.state, self.sizes.horizon
        G, _ = np.broadcast_shapes(offset.theta1.shape[-2:], offset.theta2.shape[-2:])
        t0 = 0 if stage is None else stage
        F = self.roots[0] if stage is not None else self.roots[1]
        gains = JointGains(*(jnp.asarray(theta, self.dtype) for theta in gains))
        offset = JointGains(*(extra.astype(self.dtype) for extra in offset))
        normals = _random.rows(start, 2 * m)
        x = tuple(
            jnp.broadcast_to(row, (G, B))
            for half in (0, 1)
            for row in _mul(F[half], normals[half * m : (half + 1) * m])
        )
        if stage is None:  # the mean starts around x0
            x = (*x[:m], *(x[m + i] + self.n.x0[i] for i in range(m)))
        zero = jnp.zeros((G, B), self.dtype)

        def step(t: Any, carry: tuple, extra: Any) -> tuple:
            x, cost, energy = carry
            # A loop of one pass is a wall to XLA: without it the draw would be fused into each of
            # its readers, and made again for each.
            noise = jax.lax.fori_loop(
                t, t + 1, lambda s, _: self._normals(jax.random.fold_in(key, s - t0), B), start
            )
            paid, spent, x = self._step(t, x, gains, extra, noise)
            return x, cost + paid, energy + spent

        carry = (x, zero, zero)
        if stage is None:
            carry = jax.lax.fori_loop(
                0, T, lambda t, c: step(t, c, tuple(o[t] for o in offset)), carry
            )
        else:
            carry = step(t0, carry, tuple(o[0] for o in offset))
            carry = jax.lax.fori_loop(t0 + 1, T, lambda t, c: step(t, c, (None, None)), carry)
        x, cost, energy = carry
        for half in (0, 1):
            cost = cost + _form(self.n.Q_T[half], x[half * m : (half + 1) * m])
        return cost, energy

    def _step(self, t: Any, x: tuple, gains: JointGains, extra: tuple, noise: jax.Array) -> tuple:
        """One stage of both halves; states are rows, (G, B) each."""
        n, m = self.n, self.sizes.state
        normals = _random.rows(noise, 2 * m)
        paid, spent, after = [], [], []
        for h in (0, 1):
            cut = slice(h * m, (h + 1) * m)
            own = x[cut]
            u, d = (
                _gain(theta[t][:, cut], None if add is None else add[:, cut], own)
                for theta, add in zip(gains, extra, strict=True)
            )
            paid += [_form(n.Q[h, t], own), _form(n.R[h, t], u)]
            spent.append(added(row * row for row in d))
            parts = [_mul(n.A[h, t], own), _mul(-n.B[h, t], u), _mul(n.D[h, t], d)]
            if self.noisy:
                parts.append(_mul(self.roots[2][h], normals[cut]))
            after += [added(rows) for rows in zip(*parts, strict=True)]
        return added(paid), added(spent), tuple(after)

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


def _mul(matrix: jax.Array, rows: Sequence[jax.Array]) -> list[jax.Array]:
    """The rows of matrix @ x, for x given by its rows: spelled out where it is small."""
    if len(rows) > FUSE_UP_TO:
        x = jnp.stack(jnp.broadcast_arrays(*rows))
        return list(jnp.tensordot(matrix, x, axes=1, precision=jax.lax.Precision.HIGHEST))
    return [added(matrix[i, j] * x for j, x in enumerate(rows)) for i in range(matrix.shape[0])]


def _gain(theta: jax.Array, offset: jax.Array | None, rows: Sequence[jax.Array]) -> list[jax.Array]:
    """The rows of (θ + offset) x with θ (r, c) and offset (r, c, G, B)."""
    if offset is None:
        return _mul(theta, rows)
    if len(rows) > FUSE_UP_TO:
        extra = jnp.sum(offset * jnp.stack(rows), axis=1)
        return [row + more for row, more in zip(_mul(theta, rows), extra, strict=True)]
    return [
        added((theta[i, j] + offset[i, j]) * x for j, x in enumerate(rows))
        for i in range(theta.shape[0])
    ]


def _form(weight: jax.Array, rows: Sequence[jax.Array]) -> jax.Array:
    """xᵀ W x, (G, B)."""
    return added(a * b for a, b in zip(rows, _mul(weight, rows), strict=True))
