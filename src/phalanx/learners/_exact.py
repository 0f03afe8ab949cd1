"""The exact oracle: expected costs and their gradients, by Lyapunov recursions.

It knows the model, so nothing it says is learned; it is the truth that sampled estimates are held
against, and what P1 calls E-RGDA and E-DDPG run on.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from phalanx.equilibria import RobustGame
from phalanx.learners._gains import JointGains, Sizes
from phalanx.learners._numbers import Numbers, numbers


class Future(eqx.Module):
    """What the later gains make of a state at stage t + 1.

    Attributes:
        cost, energy: (2, m, m): xᵀ P x is what a state costs from there on, and the disturbance's energy.
        noise: (2,) what the noise adds to each from stage t on: cost, energy.
    """

    cost: jax.Array
    energy: jax.Array
    noise: jax.Array


class ExactOracle(eqx.Module):
    """Expected cost and energy of the N-agent game, in closed form.

    Args:
        game: a finite game.
        n_agents: N ≥ 1, possibly infinite.
        Sigma_y, Sigma_z: covariances that the states of stage t start from; scalars mean scalar
            times identity.

    Source: P1, eqs. 18 and 24, corrected.
    """

    sizes: Sizes = eqx.field(static=True)
    n: Numbers
    Sigma_y: np.ndarray
    Sigma_z: np.ndarray
    traceable: bool = eqx.field(static=True, default=True)

    def __init__(
        self,
        game: RobustGame,
        n_agents: float = float("inf"),
        *,
        Sigma_y: Any = 1.0,
        Sigma_z: Any = 1.0,
    ):
        self.sizes, n = numbers(game, n_agents, Sigma_y, Sigma_z)
        self.Sigma_y, self.Sigma_z = n.start
        with jax.enable_x64(True):
            self.n = Numbers(*(jnp.asarray(X) for X in n))
        self.traceable = True

    def prepare(self, gains: JointGains, stage: Any) -> Future | None:
        """The cost-to-go after `stage` under the later gains; nothing for whole runs."""
        if stage is None:
            return None
        m = self.sizes.state
        k1, k2 = halves(gains.theta1, m), halves(gains.theta2, m)
        T = self.sizes.horizon

        def back(i: int, future: Future) -> Future:
            s = T - 1 - i
            before = self._before(s, k1[:, s], k2[:, s], future)
            return jax.tree.map(lambda new, old: jnp.where(s > stage, new, old), before, future)

        future = jax.lax.fori_loop(0, T, back, self._end())
        return self._with_noise(future)

    def draws(self, key: jax.Array, draws: int, stage: Any) -> jax.Array:
        """Nothing is random; the shape says how many draws were asked for."""
        return jnp.zeros(draws)

    def costs(
        self, shared: Any, gains: JointGains, offset: JointGains, drawn: Any, stage: Any
    ) -> tuple[jax.Array, jax.Array]:
        """Expected cost and energy of each entry of the grid."""
        G, B = np.broadcast_shapes(offset.theta1.shape[-2:], offset.theta2.shape[-2:])
        flat = [
            jnp.broadcast_to(part, (*part.shape[:-2], G, B)).reshape(*part.shape[:-2], G * B)
            for part in offset
        ]
        one = self._whole if stage is None else self._stage
        cost, energy = jax.vmap(
            lambda o1, o2: one(shared, gains, JointGains(o1, o2), stage), in_axes=-1
        )(*flat)
        grid = (G, len(drawn))
        cost, energy = (jnp.broadcast_to(X.reshape(G, B), grid) for X in (cost, energy))
        return cost, energy

    def gradient(self, shared: Any, gains: JointGains, gamma: Any, stage: Any) -> JointGains:
        """∇_{θ¹} = 2(R K¹ − BᵀP A_c) X and ∇_{θ²} = 2(−γ²K² + DᵀP A_c) X (P1, eq. 24, corrected)."""
        n, m = self.n, self.sizes.state
        k1, k2 = halves(gains.theta1, m), halves(gains.theta2, m)
        if stage is not None:
            P = shared.cost - gamma**2 * shared.energy
            A, B, D, R, k1, k2 = (X[:, stage] for X in (n.A, n.B, n.D, n.R, k1, k2))
            parts = _gradient(A, B, D, R, k1, k2, P, n.start, gamma)
            return JointGains(*(joined(part)[None] for part in parts))
        P = self._values(k1, k2, gamma)
        closed = n.A - n.B @ k1 + n.D @ k2

        def forward(X: jax.Array, A_c: jax.Array) -> tuple:
            return A_c @ X @ A_c.mT + n.noise, X

        _, X = jax.lax.scan(forward, jnp.asarray(n.initial), jnp.moveaxis(closed, 1, 0))
        parts = _gradient(n.A, n.B, n.D, n.R, k1, k2, P, jnp.moveaxis(X, 0, 1), gamma)
        return JointGains(*(joined(part) for part in parts))

    # --- pieces --------------------------------------------------------------------------------

    def _end(self) -> Future:
        Q_T = jnp.asarray(self.n.Q_T)
        return Future(Q_T, jnp.zeros_like(Q_T), jnp.zeros(2, Q_T.dtype))

    def _with_noise(self, future: Future) -> Future:
        """The noise of this stage is paid for by the value at the next."""
        paid = [jnp.sum(P * self.n.noise) for P in (future.cost, future.energy)]
        return Future(future.cost, future.energy, future.noise + jnp.stack(paid))

    def _before(self, s: Any, k1: jax.Array, k2: jax.Array, future: Future) -> Future:
        """One step back of both Lyapunov recursions, P_s = Q + K¹ᵀRK¹ + A_cᵀ P_{s+1} A_c for the cost."""
        n = self.n
        future = self._with_noise(future)
        closed = n.A[:, s] - n.B[:, s] @ k1 + n.D[:, s] @ k2
        cost = n.Q[:, s] + k1.mT @ n.R[:, s] @ k1 + closed.mT @ future.cost @ closed
        return Future(cost, k2.mT @ k2 + closed.mT @ future.energy @ closed, future.noise)

    def _stage(self, future: Future, gains: JointGains, offset: JointGains, t: Any) -> tuple:
        m = self.sizes.state
        k1, k2 = (
            halves(theta[t][None] + extra, m)[:, 0]
            for theta, extra in zip(gains, offset, strict=True)
        )
        n = self.n
        closed = n.A[:, t] - n.B[:, t] @ k1 + n.D[:, t] @ k2
        cost = n.Q[:, t] + k1.mT @ n.R[:, t] @ k1 + closed.mT @ future.cost @ closed
        energy = k2.mT @ k2 + closed.mT @ future.energy @ closed
        return (
            jnp.sum(cost * n.start) + future.noise[0],
            jnp.sum(energy * n.start) + future.noise[1],
        )

    def _whole(self, shared: None, gains: JointGains, offset: JointGains, stage: None) -> tuple:
        m, T = self.sizes.state, self.sizes.horizon
        k1, k2 = (halves(theta + extra, m) for theta, extra in zip(gains, offset, strict=True))

        def back(i: int, future: Future) -> Future:
            s = T - 1 - i
            return self._before(s, k1[:, s], k2[:, s], future)

        future = jax.lax.fori_loop(0, T, back, self._end())
        initial = self.n.initial
        return (
            jnp.sum(future.cost * initial) + future.noise[0],
            jnp.sum(future.energy * initial) + future.noise[1],
        )

    def _values(self, k1: jax.Array, k2: jax.Array, gamma: Any) -> jax.Array:
        """(2, T, m, m): P_{t+1} of cost − γ²·energy for t = 0..T−1."""
        n = self.n
        closed = n.A - n.B @ k1 + n.D @ k2
        paid = n.Q + k1.mT @ n.R @ k1 - gamma**2 * k2.mT @ k2

        def back(P: jax.Array, now: tuple) -> tuple:
            A_c, W = now
            return W + A_c.mT @ P @ A_c, P

        stages = (jnp.moveaxis(closed, 1, 0), jnp.moveaxis(paid, 1, 0))
        _, P = jax.lax.scan(back, jnp.asarray(n.Q_T), stages, reverse=True)
        return jnp.moveaxis(P, 0, 1)


def halves(theta: Any, m: int) -> jax.Array:
    """(2, T, ·, m) from (T, ·, 2m): the deviation's gains and the mean's."""
    return jnp.stack([theta[..., :m], theta[..., m:]])


def joined(gains: jax.Array) -> jax.Array:
    """(…, ·, 2m) from (2, …, ·, m)."""
    return jnp.concatenate([gains[0], gains[1]], axis=-1)


def _gradient(A, B, D, R, k1, k2, P, X, gamma) -> tuple[jax.Array, jax.Array]:
    ahead = P @ (A - B @ k1 + D @ k2)
    first = 2 * (R @ k1 - B.mT @ ahead) @ X
    second = 2 * (-(gamma**2) * k2 + D.mT @ ahead) @ X
    return first, second
