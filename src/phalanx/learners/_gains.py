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
    """The gains of both players over all stages, of one rollout or of many.

    Attributes:
        theta1: (T, p, 2m), [K¹ L¹] of each stage. theta2: (T, q, 2m), [K² L²]. The gains of n rollouts
            have a leading axis, (n, T, ·, 2m).
        K1, L1: (T, p, m), or (n, T, p, m), the controller's. K2, L2: (T, q, m), or (n, T, q, m), the
            disturbance's.
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
        """(T, p, m), or (n, T, p, m): u = −K1 (x − x̄) − L1 x̄."""
        return self.theta1[..., : self._m]

    @property
    def L1(self) -> Any:
        """(T, p, m), or (n, T, p, m): what the control makes of the mean."""
        return self.theta1[..., self._m :]

    @property
    def K2(self) -> Any:
        """(T, q, m), or (n, T, q, m): d = +K2 (x − x̄) + L2 x̄."""
        return self.theta2[..., : self._m]

    @property
    def L2(self) -> Any:
        """(T, q, m), or (n, T, q, m): what the disturbance makes of the mean."""
        return self.theta2[..., self._m :]

    @property
    def _m(self) -> int:
        return self.theta1.shape[-1] // 2

    def control(self, t: Any, x: Any, x_bar: Any) -> Any:
        """The control u = −K1 (x − x̄) − L1 x̄ of agents at stage t.

        Args:
            t: the stage.
            x: (m,) state of one agent, or (N, m) of many; with gains of n rollouts (n, N, m), or (n, m)
                for one agent each.
            x_bar: (m,) or (1, m), the mean; with gains of n rollouts (n, m) or (n, 1, m).

        Returns:
            What x is, with p entries in the place of m.

        Raises:
            InputError: other shapes.
        """
        return -_linear(self.theta1, t, x, x_bar)

    def disturbance(self, t: Any, x: Any, x_bar: Any) -> Any:
        """The disturbance d = +K2 (x − x̄) + L2 x̄ of agents at stage t.

        Args:
            t: the stage.
            x: as for `control`.
            x_bar: as for `control`.

        Returns:
            What x is, with q entries in the place of m.

        Raises:
            InputError: other shapes.
        """
        return _linear(self.theta2, t, x, x_bar)


def _linear(theta: Any, t: Any, x: Any, x_bar: Any) -> Any:
    """K (x − x̄) + L x̄ for each agent of each rollout."""
    m, many = theta.shape[-1] // 2, theta.shape[:-3]
    x, x_bar = (X if hasattr(X, "ndim") else np.asarray(X) for X in (x, x_bar))
    _check("x", x, m, many, "N")
    _check("x_bar", x_bar, m, many, "1")
    here = theta[..., t, :, :]
    if not many:
        x_bar = x_bar.reshape(m)
        return (x - x_bar) @ here[:, :m].T + x_bar @ here[:, m:].T
    agents = x.reshape(*many, -1, m)
    x_bar = x_bar.reshape(*many, 1, m)
    K, L = here[..., :m].swapaxes(-1, -2), here[..., m:].swapaxes(-1, -2)
    return ((agents - x_bar) @ K + x_bar @ L).reshape(*x.shape[:-1], -1)


def _check(name: str, X: Any, m: int, many: tuple[int, ...], agents: str) -> None:
    """Refuse shapes that are not what gains of these sizes can be played on."""
    lead = "".join(f"{n}, " for n in many)
    wanted = f"({lead}{m})" if lead else f"({m},)"
    if X.ndim and X.shape[-1] != m and X.ndim in (1 + len(many), 2 + len(many)):
        entries = "entry" if X.shape[-1] == 1 else "entries"
        hint = f", or {name}[:, None] for {X.shape[0]} agents" if X.ndim == 1 and m == 1 else ""
        raise InputError(
            f"{name} has {X.shape[-1]} {entries} (its shape is {X.shape}), but the oracle was made with state_size={m}; "
            f"give {name} as {wanted} or ({lead}{agents}, {m}){hint}."
        )
    fits = X.shape[: len(many)] == many and X.ndim in (1 + len(many), 2 + len(many))
    if not fits or (agents == "1" and X.size != m * int(np.prod(many, dtype=int))):
        whose = f", as these are the gains of {many[0]} rollouts" if many else ""
        raise InputError(
            f"{name} has shape {X.shape}, but it must be {wanted} or ({lead}{agents}, {m}){whose}."
        )


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
