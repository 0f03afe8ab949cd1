"""The law oracle: one agent of N, exact in law, at a cost that does not depend on N.

An agent's deviation and the mean are independent of each other, and each is driven by Gaussian noise
of known covariance (theory: "exact split"), so a rollout needs two small systems and no other agent.

Layout: B draws last, G variants of the gains before them; a state is its rows, (G, B) each, and every
small product is spelled out, so that a stage is a handful of passes along memory.
"""

import functools
import operator
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from phalanx import _random
from phalanx._linalg._apply import FUSE_UP_TO
from phalanx.equilibria import RobustGame
from phalanx.learners._gains import JointGains, Sizes
from phalanx.learners._numbers import Numbers, checked_dtype, numbers, root


class Closed(NamedTuple):
    """The closed loop of both halves, each (2, T, m, m).

    Attributes:
        M: x_{t+1} = M x_t, but for noise. Q: what a stage costs, xᵀ Q x. E: the energy spent, xᵀ E x.
    """

    M: jax.Array
    Q: jax.Array
    E: jax.Array

    @classmethod
    def of(cls, n: Numbers, gains: JointGains, m: int, dtype: Any) -> "Closed":
        """Under these gains."""
        k1, k2 = (
            jnp.stack([theta[..., :m], theta[..., m:]]).astype(dtype)
            for theta in map(jnp.asarray, gains)
        )
        # In float32 some GPUs would round factors to ten bits.
        dot = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
        M = n.A - dot(n.B, k1) + dot(n.D, k2)
        return cls(M, n.Q + dot(k1.mT, dot(n.R, k1)), dot(k2.mT, k2))

    def step(self, t: Any, x: Sequence[jax.Array]) -> tuple:
        """Where dynamics lead, without noise, cost and energy; states are rows, (G, B) each."""
        m = self.M.shape[-1]
        halves = [x[:m], x[m:]]
        after = [row for h in (0, 1) for row in _mul(self.M[h, t], halves[h])]
        cost = added(_form(self.Q[h, t], halves[h]) for h in (0, 1))
        return tuple(after), cost, added(_form(self.E[h, t], halves[h]) for h in (0, 1))


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

    def prepare(self, gains: JointGains, stage: Any) -> "Closed":
        """The closed loop of each stage, which rollouts of one stage live through after it."""
        return Closed.of(self.n, gains, self.sizes.state, self.dtype)

    def draws(self, key: jax.Array, draws: int, stage: Any) -> tuple:
        """Normals for the first state and for the noise after it, and a key for the noise that follows."""
        start, noise = jax.random.split(key)
        first = self._normals(jax.random.fold_in(noise, 0), draws)
        return self._normals(start, draws, mirrored=False), first, noise

    def costs(
        self, shared: Any, gains: JointGains, offset: JointGains, drawn: Any, stage: Any
    ) -> tuple[jax.Array, jax.Array]:
        """Cost and energy of each rollout."""
        return self.costs_each(shared, gains, [offset], drawn, stage)[0]

    def costs_each(
        self,
        shared: Any,
        gains: JointGains,
        offsets: Sequence[JointGains],
        drawn: Any,
        stage: Any,
    ) -> list[tuple[jax.Array, jax.Array]]:
        """Cost and energy for each set of offsets, all on the same draws; a player without one is None.

        What is `shared` belongs to these gains of later stages; None: found here.
        """
        start, noise, key = drawn
        B, m, T = start.shape[-1], self.sizes.state, self.sizes.horizon
        t0 = 0 if stage is None else stage
        closed = shared
        if stage is not None and shared is None:
            closed = self.prepare(gains, stage)
        F = self.roots[0] if stage is not None else self.roots[1]
        gains = JointGains(*(jnp.asarray(theta, self.dtype) for theta in gains))
        offsets = jax.tree.map(lambda extra: extra.astype(self.dtype), list(offsets))
        normals = _random.rows(start, 2 * m)
        x = [row[None] for h in (0, 1) for row in _mul(F[h], normals[h * m : (h + 1) * m])]
        if stage is None:  # the mean starts around x0
            x[m:] = [x[m + i] + self.n.x0[i] for i in range(m)]

        def step(t: Any, carry: tuple) -> tuple:
            """Stage t, from where the noise of the stage before leads; the loop carries what is drawn.

            To XLA the carry is a wall: without it a draw would be fused into each of its readers,
            and made again for each.
            """
            runs, noise = carry
            out = []
            for offset, (ahead, cost, energy) in zip(offsets, runs, strict=True):
                x = self._arrived(ahead, noise)
                if stage is None:
                    after, paid, spent = self._step(t, x, gains, _at(offset, t))
                else:
                    after, paid, spent = closed.step(t, x)
                out.append((after, cost + paid, energy + spent))
            return out, self._normals(jax.random.fold_in(key, t - t0), B)

        runs = []
        for offset in offsets:
            G = max(extra.shape[-2] for extra in offset if extra is not None)
            first = self._step(t0, x, gains, _at(offset, 0))
            runs.append(jax.tree.map(lambda row, G=G: jnp.broadcast_to(row, (G, B)), first))
        runs, noise = jax.lax.fori_loop(t0 + 1, T, step, (runs, noise))
        out = []
        for ahead, cost, energy in runs:
            x = self._arrived(ahead, noise)
            last = (_form(self.n.Q_T[h], x[h * m : (h + 1) * m]) for h in (0, 1))
            out.append((cost + added(last), energy))
        return out

    def _arrived(self, ahead: tuple, noise: jax.Array) -> tuple:
        """The states that dynamics lead to, noise added."""
        if not self.noisy:
            return ahead
        m = self.sizes.state
        normals = _random.rows(noise, 2 * m)
        added_noise = (
            row for h in (0, 1) for row in _mul(self.roots[2][h], normals[h * m : (h + 1) * m])
        )
        return tuple(row + more for row, more in zip(ahead, added_noise, strict=True))

    def _step(self, t: Any, x: Sequence[jax.Array], gains: JointGains, extra: JointGains) -> tuple:
        """Where dynamics lead, without noise, cost and energy; states are rows, (G, B) each."""
        n, m = self.n, self.sizes.state
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
            after += [added(rows) for rows in zip(*parts, strict=True)]
        return tuple(after), added(paid), added(spent)

    def _normals(self, key: jax.Array, draws: int, mirrored: bool = True) -> jax.Array:
        rows = 2 * self.sizes.state
        if not self.antithetic:
            return _random.packed_normal(key, (rows, draws), self.dtype)
        return in_pairs(_random.packed_normal(key, (rows, draws // 2), self.dtype), mirrored)


def _at(offset: JointGains, t: Any) -> JointGains:
    """One stage's offsets."""
    return JointGains(*(None if extra is None else extra[t] for extra in offset))


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
