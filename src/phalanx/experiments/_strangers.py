"""Agents that do as they please: what the theorems for one learner allow its neighbours to be."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from phalanx._types import MatrixLike
from phalanx.policies import LinearView, Policy, RoundFeedback


class Stranger(Policy):
    """u_t = script_t − K x_t + size · sign(G x_t): a record, fixed feedback, and spite, each of which may be nothing.

    One class for all, so that strangers of every temper run in one compiled program.

    Args:
        script: (T, p) what it plays come what may; the last row stays.
        K: (p, n) fixed feedback. Replays in which others go on reacting know it.
        gain: (p, n) G; BᵀA pushes the way that makes |A x + B u| largest.
        size: of that push, in each entry.
    """

    script: Float[np.ndarray, "T p"]
    K: Float[np.ndarray, "p n"]
    gain: Float[np.ndarray, "p n"]
    size: np.ndarray

    def __init__(
        self, script: MatrixLike, K: MatrixLike, gain: MatrixLike | None = None, size: float = 0.0
    ):
        self.script, self.K = np.array(script, np.float64), np.array(K, np.float64)
        self.gain = np.zeros_like(self.K) if gain is None else np.array(gain, np.float64)
        self.size = np.asarray(size, np.float64)

    def init(self) -> None:
        """Nothing is kept."""

    def act(self, state: Any, view: LinearView) -> Float[jax.Array, " p"]:
        """This round's row, and the answers to the state."""
        script, K, gain = (jnp.asarray(part) for part in (self.script, self.K, self.gain))
        with jax.default_matmul_precision("highest"):
            answer = self.size * jnp.sign(gain @ view.x) - K @ view.x
        return script[jnp.minimum(view.t, len(self.script) - 1)] + answer

    def observe(self, state: Any, feedback: RoundFeedback) -> None:
        """Nothing is learned."""
