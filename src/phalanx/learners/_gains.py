"""Both players' gains, and the sizes they come in.

A learner sees one array per player: θ¹ = [K¹ L¹] and θ² = [K² L²], side by side, because P1's players
perturb and project the pair as one (P1, Algorithm 1). With s = (y, z), u = −θ¹ s and d = +θ² s.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from phalanx._outcome import InputError


class Sizes(NamedTuple):
    """Numbers of stages, of state entries, of controls and of disturbances."""

    horizon: int
    state: int
    control: int
    disturbance: int

    @property
    def players(self) -> tuple[int, int]:
        """n₁ and n₂: how many numbers of one stage each player chooses."""
        return 2 * self.control * self.state, 2 * self.disturbance * self.state


class JointGains(NamedTuple):
    """The gains of both players over all stages.

    Attributes:
        theta1: (T, p, 2m), [K¹ L¹] of each stage. theta2: (T, q, 2m), [K² L²].
    """

    theta1: Any
    theta2: Any

    @classmethod
    def zeros(cls, sizes: Sizes) -> "JointGains":
        """P1's starting point."""
        T, m, p, q = sizes
        return cls(np.zeros((T, p, 2 * m)), np.zeros((T, q, 2 * m)))

    @classmethod
    def of(cls, K1: Any, K2: Any, L1: Any, L2: Any) -> "JointGains":
        """From the four gains, each (T, ·, m)."""
        return cls(np.concatenate([K1, L1], axis=-1), np.concatenate([K2, L2], axis=-1))

    @property
    def K1(self) -> Any:
        """(T, p, m): u = −K1 (x − x̄) − L1 x̄."""
        return self.theta1[..., : self._m]

    @property
    def L1(self) -> Any:
        """(T, p, m)."""
        return self.theta1[..., self._m :]

    @property
    def K2(self) -> Any:
        """(T, q, m): d = +K2 (x − x̄) + L2 x̄."""
        return self.theta2[..., : self._m]

    @property
    def L2(self) -> Any:
        """(T, q, m)."""
        return self.theta2[..., self._m :]

    @property
    def _m(self) -> int:
        return self.theta1.shape[-1] // 2

    def control(self, t: int, x: Any, x_bar: Any) -> Any:
        """U of an agent at x, (m,) or of many, (N, m), when the mean is at x̄, (m,)."""
        return -((x - x_bar) @ self.K1[t].T) - self.L1[t] @ x_bar

    def disturbance(self, t: int, x: Any, x_bar: Any) -> Any:
        """D of an agent at x, (m,) or of many, (N, m), when the mean is at x̄, (m,)."""
        return (x - x_bar) @ self.K2[t].T + self.L2[t] @ x_bar


def project(theta: jax.Array, ball: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The nearest θ with ‖θ‖_F ≤ ball in each stage, and whether the ball was left (P1, Algorithm 1)."""
    norm = jnp.sqrt(jnp.sum(theta**2, axis=(-2, -1), keepdims=True))
    return theta * jnp.minimum(1.0, ball / jnp.maximum(norm, 1e-300)), jnp.any(norm > ball)


def distance(a: JointGains, b: JointGains) -> np.ndarray:
    """(T,) Frobenius distance of all gains of each stage."""
    squares = sum(
        np.sum((np.asarray(x) - np.asarray(y)) ** 2, axis=(-2, -1))
        for x, y in zip(a, b, strict=True)
    )
    return np.sqrt(squares)


def checked_sizes(horizon: Any, state: Any, control: Any, disturbance: Any) -> Sizes:
    """Sizes of at least 1.

    Raises:
        InputError: anything else.
    """
    given = {
        "horizon": horizon,
        "state_size": state,
        "control_size": control,
        "disturbance_size": disturbance,
    }
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise InputError(f"{name} must be a whole number of at least 1, but it is {value!r}.")
    return Sizes(int(horizon), int(state), int(control), int(disturbance))
