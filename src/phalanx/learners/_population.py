"""The population oracle: every agent of every rollout, explicitly.

Slower than `_law` by the number of agents, and free of its assumptions: noise may have heavy tails,
and the world need not be linear. What it reports is one agent's cost (P1, eqs. 17–18), whose law is
`_law`'s where both apply, or the average over agents, which is what a fleet's operator sees.

First states: centring M i.i.d. draws would shrink their covariance to (1 − 1/M)Σ_y, so they are
rescaled by √(M/(M−1)), and z is drawn by itself (P1, Section 5). Agents last, (m, G, B, M).
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from phalanx import _random
from phalanx._outcome import InputError
from phalanx.equilibria import RobustGame
from phalanx.learners._gains import JointGains, Sizes
from phalanx.learners._law import added
from phalanx.learners._numbers import checked_dtype, covariance, root
from phalanx.systems import MeanFieldSystem

Transition = Callable[[jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]


class PopulationOracle(eqx.Module):
    """Rollouts of M agents.

    Args:
        game: a finite game: dynamics, cost and noise.
        n_agents: M ≥ 2.
        Sigma_y, Sigma_z: covariances that the states of stage t start from.
        transition: f(t, x, u, d) → next states (m, M), before noise, of one population with states
            (m, M), controls (p, M) and disturbances (q, M), written in JAX; the game's linear
            dynamics by default.
        tails: degrees of freedom ν ≥ 3 of Student's t for every noise, scaled to the game's
            covariances; Gaussian by default.
        report: "one" agent's cost, or the "average" over agents, which varies less.
        antithetic: draws come in pairs, alike but for the sign of the process noise.
        dtype: "float64" or "float32".

    Raises:
        InputError: fewer than 2 agents, or tails too heavy for a covariance.
    """

    sizes: Sizes = eqx.field(static=True)
    matrices: dict
    roots: dict
    Sigma_y: np.ndarray
    Sigma_z: np.ndarray
    x0: jax.Array
    n_agents: int = eqx.field(static=True)
    tails: int = eqx.field(static=True)
    one: bool = eqx.field(static=True)
    antithetic: bool = eqx.field(static=True)
    at_rest: bool = eqx.field(static=True)
    transition: Any = eqx.field(static=True)
    dtype: Any = eqx.field(static=True)
    footprint: int = eqx.field(static=True)
    traceable: bool = eqx.field(static=True, default=True)

    def __init__(
        self,
        game: RobustGame,
        n_agents: int,
        *,
        Sigma_y: Any = 1.0,
        Sigma_z: Any = 1.0,
        transition: Transition | None = None,
        tails: int | None = None,
        report: Literal["one", "average"] = "one",
        antithetic: bool = False,
        dtype: str = "float64",
    ):
        if game.stationary or game.batch:
            raise InputError("the population oracle takes one game with a finite horizon.")
        if not isinstance(n_agents, int | np.integer) or not 2 <= n_agents <= 10_000_000:
            raise InputError(
                f"n_agents must be a whole number from 2 to 10⁷ for a population, but it is {n_agents!r}."
            )
        if tails is not None and (not isinstance(tails, int) or tails < 3):
            raise InputError(
                f"tails must be a whole number of at least 3, so that the noise has a covariance, but it is {tails!r}."
            )
        if report not in ("one", "average"):
            raise InputError(f'report must be "one" or "average", but it is {report!r}.')
        checked_dtype(dtype)
        s, c, w = game.system, game.cost, game.noise
        m = s.state_size
        self.sizes = Sizes(int(game.horizon), m, s.control_size, s.disturbance_size)
        self.dtype, self.n_agents = jnp.dtype(dtype), int(n_agents)
        self.Sigma_y = covariance("Sigma_y", Sigma_y, m)
        self.Sigma_z = covariance("Sigma_z", Sigma_z, m)
        self.tails, self.one, self.transition = tails or 0, report == "one", transition
        own, common = (w.Sigma_0, w.Sigma_bar_0)
        # A world that starts from rest teaches nothing about its first gains.
        self.at_rest = not (own.any() or common.any() or w.x0.any())
        roots = {
            "y": self.Sigma_y,
            "z": self.Sigma_z,
            "own_0": own,
            "common_0": common,
            "own": w.Sigma,
            "common": w.Sigma_bar,
        }
        T = self.sizes.horizon
        arrays = {name: getattr(s, name) for name in ("A", "A_bar", "B", "B_bar", "D", "D_bar")}
        arrays |= {name: getattr(c, name) for name in ("Q", "Q_bar", "R", "R_bar")}
        arrays = {name: np.broadcast_to(X, (T, *X.shape[-2:])) for name, X in arrays.items()}
        arrays |= {name: getattr(c, name) for name in ("Q_T", "Q_bar_T")}
        with jax.enable_x64(True):
            self.matrices = {name: jnp.asarray(X, self.dtype) for name, X in arrays.items()}
            self.roots = {name: jnp.asarray(root(X), self.dtype) for name, X in roots.items()}
            self.x0 = jnp.asarray(w.x0, self.dtype)
        self.antithetic = bool(antithetic)
        self.footprint = 4 * m * self.n_agents
        self.traceable = True

    def prepare(self, gains: JointGains, stage: Any) -> None:
        """Nothing: each rollout lives through the later stages itself."""
        return

    def draws(self, key: jax.Array, draws: int, stage: Any) -> tuple:
        """Normals for the first states and the first stage's noise, and a key for what follows."""
        start, noise = jax.random.split(key)
        first = self._normals(jax.random.fold_in(noise, 0), draws)
        return self._normals(start, draws, first=True), first, noise

    def costs(
        self, shared: Any, gains: JointGains, offset: JointGains, drawn: Any, stage: Any
    ) -> tuple[jax.Array, jax.Array]:
        """Cost and energy of each rollout."""
        start, noise, key = drawn
        B = noise["common"].shape[-1]
        T = self.sizes.horizon
        t0 = 0 if stage is None else stage
        gains = JointGains(*(jnp.asarray(theta, self.dtype) for theta in gains))
        offset = JointGains(*(extra.astype(self.dtype) for extra in offset))
        G, _ = np.broadcast_shapes(offset.theta1.shape[-2:], offset.theta2.shape[-2:])
        x = self._start(start, B, stage)
        x = jnp.broadcast_to(x[:, None], (self.sizes.state, G, B, self.n_agents))
        zero = jnp.zeros((G, B), self.dtype)

        def step(t: Any, carry: tuple, extra: Any) -> tuple:
            x, cost, energy, noise = carry
            paid, spent, x = self._step(t, x, gains, extra, noise)
            ahead = self._normals(jax.random.fold_in(key, t + 1 - t0), B)
            return x, cost + paid, energy + spent, ahead

        carry = (x, zero, zero, noise)
        if stage is None:
            carry = jax.lax.fori_loop(
                0, T, lambda t, c: step(t, c, tuple(o[t] for o in offset)), carry
            )
        else:
            carry = step(t0, carry, tuple(o[0] for o in offset))
            carry = jax.lax.fori_loop(t0 + 1, T, lambda t, c: step(t, c, (None, None)), carry)
        x, cost, energy, _ = carry
        z = x.mean(axis=-1)
        last = self._over_agents(self.matrices["Q_T"], x - z[..., None])
        return cost + last + _weigh(self.matrices["Q_bar_T"], z), energy

    # --- pieces --------------------------------------------------------------------------------

    def _step(self, t: Any, x: jax.Array, gains: JointGains, extra: Any, noise: dict) -> tuple:
        M, m = {name: X[t] for name, X in self.matrices.items() if X.ndim == 3}, self.sizes.state
        z = x.mean(axis=-1)
        y = x - z[..., None]
        own, mean = [], []
        for theta, add in zip(gains, extra, strict=True):
            parts = (theta[t][:, :m], theta[t][:, m:])
            adds = (None, None) if add is None else (add[:, :m], add[:, m:])
            own.append(_played(parts[0], adds[0], y))
            mean.append(_played(parts[1], adds[1], z[..., None])[..., 0])
        v, d_own = -own[0], own[1]
        u_bar, d_bar = -mean[0], mean[1]
        paid = self._over_agents(M["Q"], y) + self._over_agents(M["R"], v)
        paid = paid + _weigh(M["Q_bar"], z) + _weigh(M["R_bar"], u_bar)
        spent = self._over_agents(None, d_own) + jnp.sum(d_bar**2, axis=0)
        u, d = v + u_bar[..., None], d_own + d_bar[..., None]
        if self.transition is None:
            shared = (
                _spread(M["A_bar"], z) + _spread(M["B_bar"], u_bar) + _spread(M["D_bar"], d_bar)
            )
            new = _spread(M["A"], x) + _spread(M["B"], u) + _spread(M["D"], d) + shared[..., None]
        else:
            inner = jax.vmap(lambda x, u, d: self.transition(t, x, u, d), in_axes=1, out_axes=1)
            new = jax.vmap(inner, in_axes=1, out_axes=1)(x, u, d)
        B = x.shape[2]
        own_noise = _random.unpack(noise["own"], (m, B * self.n_agents))
        own_noise = own_noise.reshape(m, 1, B, self.n_agents)
        common = _random.unpack(noise["common"], (m, B))[:, None, :]
        if self.tails:
            own_noise = own_noise * self._heavy(noise["own_scale"], (1, 1, B, self.n_agents))
            common = common * self._heavy(noise["common_scale"], (1, 1, B))
        new = new + _spread(self.roots["own"], own_noise)
        return paid, spent, new + _spread(self.roots["common"], common)[..., None]

    def _start(self, normals: dict, B: int, stage: Any) -> jax.Array:
        """First states, (m, B, M)."""
        m, N = self.sizes.state, self.n_agents
        own = _random.unpack(normals["own"], (m, B * N)).reshape(m, B, N)
        common = _random.unpack(normals["common"], (m, B))
        if stage is None and not self.at_rest:
            x = (
                _spread(self.roots["own_0"], own)
                + _spread(self.roots["common_0"], common)[..., None]
            )
            return x + self.x0[:, None, None]
        y = (own - own.mean(axis=-1, keepdims=True)) * np.sqrt(N / (N - 1))
        return _spread(self.roots["y"], y) + _spread(self.roots["z"], common)[..., None]

    def _normals(self, key: jax.Array, draws: int, first: bool = False) -> dict:
        """Of first states, or of a stage's noise; agents of one rollout side by side."""
        m, N = self.sizes.state, self.n_agents
        rows = {"own": (m, N), "common": (m, 1)}
        if self.tails and not first:
            rows |= {"own_scale": (self.tails, N), "common_scale": (self.tails, 1)}
        drawn = draws // 2 if self.antithetic else draws
        out = {
            name: _random.packed_normal(jax.random.fold_in(key, i), (r, drawn * n), self.dtype)
            for i, (name, (r, n)) in enumerate(rows.items())
        }
        if self.antithetic:
            for name, (_, n) in rows.items():
                X = out[name].reshape(-1, drawn, n)
                mirror = -X if name in ("own", "common") and not first else X
                out[name] = jnp.stack([X, mirror], axis=2).reshape(len(X), -1)
        return out

    def _heavy(self, packed: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """√((ν − 2)/χ²_ν): turns normals into Student's t with their own covariance."""
        count = math.prod(shape)
        chi2 = jnp.sum(_random.unpack(packed, (self.tails, count)) ** 2, axis=0)
        return jnp.sqrt((self.tails - 2) / chi2).reshape(shape)

    def _over_agents(self, weight: jax.Array | None, x: jax.Array) -> jax.Array:
        """Agent 0's xᵀ W x, or the mean over agents, (G, B)."""
        if self.one:
            x = x[..., 0]
            return jnp.sum(x * (x if weight is None else _spread(weight, x)), axis=0)
        product = x if weight is None else _spread(weight, x)
        return jnp.sum(x * product, axis=0).mean(axis=-1)


def linear(system: MeanFieldSystem, t: Any, x: Any, u: Any, d: Any) -> Any:
    """A x + Ā x̄ + B u + B̄ ū + D d + D̄ d̄ for states (m, M): what a transition bends."""
    own = {name: getattr(system, name) for name in ("A", "A_bar", "B", "B_bar", "D", "D_bar")}
    own = {name: jnp.asarray(X)[t] if X.ndim == 3 else X for name, X in own.items()}
    mean = [part.mean(axis=1, keepdims=True) for part in (x, u, d)]
    out = own["A"] @ x + own["B"] @ u + own["D"] @ d
    return out + own["A_bar"] @ mean[0] + own["B_bar"] @ mean[1] + own["D_bar"] @ mean[2]


def _played(theta: jax.Array, offset: jax.Array | None, x: jax.Array) -> jax.Array:
    """(θ + offset) x with θ (r, c), offset (r, c, G, B) and x (c, G, B, M)."""
    columns = range(x.shape[0])
    if offset is None:
        return added(theta[:, j, None, None, None] * x[j] for j in columns)
    return added((theta[:, j, None, None] + offset[:, j])[..., None] * x[j] for j in columns)


def _spread(matrix: jax.Array, x: jax.Array) -> jax.Array:
    """Matrix @ x over the leading axis of x, agents last."""
    tail = (slice(None),) + (None,) * (x.ndim - 1)
    return added(matrix[:, j][tail] * x[j] for j in range(matrix.shape[1]))


def _weigh(weight: jax.Array, x: jax.Array) -> jax.Array:
    """xᵀ W x, (G, B)."""
    return jnp.sum(x * _spread(weight, x), axis=0)
