"""An adversary with a budget a round: it pushes with all it has, in the direction it likes best."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from phalanx._linalg._apply import dot
from phalanx._outcome import InputError
from phalanx._types import MatrixLike, array
from phalanx.disturbances._base import Disturbance, PopulationView


class BoundedAdversary(Disturbance):
    """w_t = W · G x_t/|G x_t|: the size |w_t| = W that P2 allows, in a direction that answers the state.

    With G = EᵀA it is the push that makes |A x + E w| grow fastest to first order, whatever the agents do
    meanwhile. At rest, where no direction is better than another, it pushes all entries alike.

    Args:
        gain: (q, n) G.
        size: W, one number, not negative.

    Raises:
        InputError: a gain that is no matrix, or a size that is not one number from 0.

    Source: the disturbances of P2, Section 2: bounded, otherwise arbitrary.

    Example:
        >>> import phalanx as px
        >>> adversary = px.BoundedAdversary(gain=[[1.0, 1.0], [0.0, 1.0]], size=0.5)
    """

    gain: Float[np.ndarray, "q n"]
    size: np.ndarray

    def __init__(self, gain: MatrixLike, size: float):
        self.gain, self.size = array("gain", gain), array("size", size)
        if self.gain.ndim != 2:
            raise InputError(
                f"gain has shape {self.gain.shape} and must be a matrix (q, n), one row per entry of the disturbance."
            )
        if self.size.ndim or self.size < 0:
            raise InputError(f"size must be one number that is not negative, but it is {size!r}.")

    def init(self, key: jax.Array, size: int, n_agents: int) -> None:
        """No state is kept."""

    def sample(
        self, state: Any, key: jax.Array, view: PopulationView
    ) -> tuple[Any, Float[jax.Array, "q 1"]]:
        """The push that answers the state of this round."""
        push = dot(jnp.asarray(self.gain), view.z)
        length = jnp.linalg.norm(push)
        even = jnp.full_like(push, len(push) ** -0.5)
        unit = jnp.where(length > 0, push / jnp.where(length > 0, length, 1.0), even)
        return state, (jnp.asarray(self.size) * unit)[:, None]
