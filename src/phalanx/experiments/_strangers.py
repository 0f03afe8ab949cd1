"""Agents that do as they please: what the theorems for one learner allow its neighbours to be.

They have bounded controls and no stage cost that matters. `K` is what they are known to play as
feedback, nothing, so that replays take all they do as recorded.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from phalanx.policies import LinearView, Policy, RoundFeedback


class Scripted(Policy):
    """Plays a record of controls, come what may.

    Args:
        controls: (T, p); the last row stays. state_size: n.
    """

    controls: Float[np.ndarray, "T p"]
    K: Float[np.ndarray, "p n"]

    def __init__(self, controls: np.ndarray, state_size: int):
        self.controls = np.asarray(controls, dtype=np.float64)
        self.K = np.zeros((self.controls.shape[1], state_size))

    def init(self) -> None:
        """Nothing is kept."""

    def act(self, state: Any, view: LinearView) -> Float[jax.Array, " p"]:
        """This round's row."""
        return jnp.asarray(self.controls)[jnp.minimum(view.t, len(self.controls) - 1)]

    def observe(self, state: Any, feedback: RoundFeedback) -> None:
        """Nothing is learned."""


class Hostile(Policy):
    """u = size · sign(G x): all it has, the way that makes the state grow.

    Args:
        gain: (p, n) G; BᵀA for the push that makes |A x + B u| largest. size: bound of each entry.
    """

    gain: Float[np.ndarray, "p n"]
    K: Float[np.ndarray, "p n"]
    size: float = eqx.field(converter=float)

    def __init__(self, gain: np.ndarray, size: float):
        self.gain = np.asarray(gain, dtype=np.float64)
        self.K, self.size = np.zeros_like(self.gain), size

    def init(self) -> None:
        """Nothing is kept."""

    def act(self, state: Any, view: LinearView) -> Float[jax.Array, " p"]:
        """The push that answers the state."""
        toward = jnp.matmul(jnp.asarray(self.gain), view.x, precision=jax.lax.Precision.HIGHEST)
        return self.size * jnp.sign(toward)

    def observe(self, state: Any, feedback: RoundFeedback) -> None:
        """Nothing is learned."""
