"""Agents that do as they please: what the theorems for one learner allow its neighbours to be."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from phalanx._types import MatrixLike
from phalanx.costs import Quadratic
from phalanx.equilibria import stabilising_gains
from phalanx.policies import LinearView, Policy, RoundFeedback
from phalanx.systems import LinearSystem

CASTS = {
    "nobody": "nobody acts",
    "fixed": "fixed feedback",
    "erratic": "erratic",
    "hostile": "hostile",
    "mixed": "one of each",
}
# Price of control that the fixed strangers' gains were made for; rounds between an erratic one's changes; how
# often it acts at all.
CALM, MOODS, ACTS = 5.0, 20, 2 / 3


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

    @property
    def bound(self) -> float:
        """The most that script and spite come to in a control; feedback has no bound of its own."""
        return float(np.abs(self.script).max() + np.abs(self.size))

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


def cast_of(
    name: str, system: LinearSystem, size: float, rounds: int, rng: np.random.Generator
) -> list[Stranger]:
    """Agents 1, 2, … of a system with one control each, as one of `CASTS`; agent 0 is left to somebody else.

    Args:
        name: of the cast.
        system: n states, N agents.
        size: bound of what erratic and hostile ones play.
        rounds: T.
        rng: draws the moods.
    """
    A, n = system.A, system.state_size
    calm = stabilising_gains(system, Quadratic(1.0, CALM), "lqr").K
    out = []
    for j in range(1, system.n_agents):
        mood = ("fixed", "erratic", "hostile")[(j - 1) % 3] if name == "mixed" else name
        changes = (rng.random(rounds) < 1 / MOODS).cumsum()
        levels = rng.uniform(-size, size, changes[-1] + 1)
        levels = levels * (rng.random(len(levels)) < ACTS)
        script = levels[changes][:, None] if mood == "erratic" else np.zeros((rounds, 1))
        feedback = calm[j] if mood == "fixed" else np.zeros((1, n))
        spite = size if mood == "hostile" else 0.0
        out.append(Stranger(script, feedback, system.input_matrix(j).T @ A, spite))
    return out
