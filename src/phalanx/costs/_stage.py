"""Stage costs c(t, x, u) of one agent of a linear system: convex, and given as data.

Any convex callable c(t, x, u) does as well; these four are the ones the experiments need. Each also
gives its gradient in closed form, `gradient(t, x, u)`, on NumPy arrays as on JAX's: a controller in a
loop of its own needs no compiler.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from phalanx._outcome import InputError
from phalanx._types import MatrixLike, array, symmetric


class Quadratic(eqx.Module):
    """c = xᵀQx + uᵀRu.

    Args:
        Q: (n, n) positive semidefinite, or a scalar: scalar times identity.
        R: (p, p) positive semidefinite, or a scalar.

    Example:
        >>> float(Quadratic(Q=1.0, R=2.0)(0, jnp.array([3.0]), jnp.array([1.0])))
        11.0
    """

    Q: np.ndarray
    R: np.ndarray

    def __init__(self, Q: MatrixLike = 1.0, R: MatrixLike = 1.0):
        self.Q, self.R = _weight("Q", Q), _weight("R", R)

    def __call__(
        self, t: jax.Array, x: Float[jax.Array, " n"], u: Float[jax.Array, " p"]
    ) -> Float[jax.Array, ""]:
        """The cost of one round."""
        return _form(self.Q, x) + _form(self.R, u)

    def gradient(self, t: Any, x: Any, u: Any) -> tuple[Any, Any]:
        """(∂c/∂x (n,), ∂c/∂u (p,)), arrays of the kind handed in."""
        return _slope(self.Q, x), _slope(self.R, u)


class Tracking(eqx.Module):
    """c_t = (x − r_t)ᵀQ(x − r_t) + uᵀRu, for a target that moves.

    Args:
        target: (T, n), one target a round; the last one stays.
        Q: (n, n) or a scalar. R: (p, p) or a scalar.
    """

    target: np.ndarray
    Q: np.ndarray
    R: np.ndarray

    def __init__(self, target: MatrixLike, Q: MatrixLike = 1.0, R: MatrixLike = 1.0):
        self.target = array("target", target)
        if self.target.ndim != 2:
            raise InputError(
                f"target has shape {self.target.shape} and must have shape (T, n), one target a round."
            )
        self.Q, self.R = _weight("Q", Q), _weight("R", R)

    def __call__(
        self, t: jax.Array, x: Float[jax.Array, " n"], u: Float[jax.Array, " p"]
    ) -> Float[jax.Array, ""]:
        """The cost of round t."""
        return _form(self.Q, x - _row(self.target, t)) + _form(self.R, u)

    def gradient(self, t: Any, x: Any, u: Any) -> tuple[Any, Any]:
        """(∂c/∂x (n,), ∂c/∂u (p,)), arrays of the kind handed in."""
        return _slope(self.Q, x - _row(self.target, t)), _slope(self.R, u)


class Huber(eqx.Module):
    """c = Σ_k weight·h(x_k) + control_weight·Σ h(u_k), h quadratic up to `width` and linear beyond.

    Lipschitz and convex (P2, Assumption 5); width → 0 is the ℓ₁ norm.

    Args:
        width: where the parabola turns into a line, positive.
        weight: of the state entries. control_weight: of the control entries.
    """

    width: np.ndarray
    weight: np.ndarray
    control_weight: np.ndarray

    def __init__(self, width: float = 1.0, weight: float = 1.0, control_weight: float = 1.0):
        self.width, self.weight, self.control_weight = (
            array("width", width),
            array("weight", weight),
            array("control_weight", control_weight),
        )
        sizes = self.width.ndim + self.weight.ndim + self.control_weight.ndim
        if sizes or self.width <= 0 or self.weight < 0 or self.control_weight < 0:
            raise InputError(
                f"width must be one positive number and the weights one number each, not negative, but they are {width}, {weight} and {control_weight}."
            )

    def __call__(
        self, t: jax.Array, x: Float[jax.Array, " n"], u: Float[jax.Array, " p"]
    ) -> Float[jax.Array, ""]:
        """The cost of one round."""
        return jnp.asarray(self.weight) * self._h(x) + jnp.asarray(self.control_weight) * self._h(u)

    def gradient(self, t: Any, x: Any, u: Any) -> tuple[Any, Any]:
        """(∂c/∂x (n,), ∂c/∂u (p,)), arrays of the kind handed in."""
        xp = _library(x)
        weights = (self.weight, x), (self.control_weight, u)
        slopes = [weight * xp.clip(v / self.width, -1.0, 1.0) for weight, v in weights]
        return slopes[0], slopes[1]

    def _h(self, v: jax.Array) -> jax.Array:
        size = jnp.abs(v)
        return jnp.sum(
            jnp.where(size <= self.width, size**2 / (2 * self.width), size - self.width / 2)
        )


class LinearStage(eqx.Module):
    """c_t = p_tᵀx + r_tᵀu: the adversary's cost of the lower bounds (P2, Theorem 3.3).

    Args:
        state_price: (T, n), one row a round; the last one stays.
        control_price: (T, p), or None for free controls.
    """

    state_price: np.ndarray
    control_price: np.ndarray | None

    def __init__(self, state_price: MatrixLike, control_price: MatrixLike | None = None):
        self.state_price = array("state_price", state_price)
        self.control_price = (
            None if control_price is None else array("control_price", control_price)
        )
        for name in ("state_price", "control_price"):
            value = getattr(self, name)
            if value is not None and value.ndim != 2:
                raise InputError(f"{name} has shape {value.shape} and must have one row a round.")

    def __call__(
        self, t: jax.Array, x: Float[jax.Array, " n"], u: Float[jax.Array, " p"]
    ) -> Float[jax.Array, ""]:
        """The cost of round t."""
        cost = _row(self.state_price, t) @ x
        if self.control_price is not None:
            cost = cost + _row(self.control_price, t) @ u
        return cost

    def gradient(self, t: Any, x: Any, u: Any) -> tuple[Any, Any]:
        """(∂c/∂x (n,), ∂c/∂u (p,)), arrays of the kind handed in."""
        price = 0.0 * u if self.control_price is None else _row(self.control_price, t)
        return _row(self.state_price, t), price


def _weight(name: str, value: MatrixLike) -> np.ndarray:
    out = array(name, value)
    if out.ndim == 0:
        return symmetric(name, out, 1)[0, 0].copy()
    if out.ndim != 2:
        raise InputError(
            f"{name} has shape {out.shape} and must be one matrix, or a scalar: scalar times identity."
        )
    return symmetric(name, out, out.shape[-1])


def _form(weight: np.ndarray | jax.Array, x: jax.Array) -> jax.Array:
    weight = jnp.asarray(weight)
    return (
        weight * (x @ x)
        if weight.ndim == 0
        else x @ jnp.matmul(weight, x, precision=jax.lax.Precision.HIGHEST)
    )


def _slope(weight: Any, x: Any) -> Any:
    return 2.0 * (weight * x if weight.ndim == 0 else weight @ x)


def _row(table: Any, t: Any) -> Any:
    """Row t, or the last."""
    if isinstance(table, np.ndarray) and isinstance(t, int | np.integer):
        return table[min(int(t), len(table) - 1)]
    return jnp.asarray(table)[jnp.minimum(t, len(table) - 1)]


def _library(x: Any) -> Any:
    return jnp if isinstance(x, jax.Array) else np
