"""Disturbance action: u_t = −K x_t + Σ_{p=1..H} M^{[p]} ŵ_{t−p} with a fixed M (P2, Definition of DAC-(i)).

What a learner learns, played as it stands; it remembers the last H recovered disturbances and
nothing else.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from phalanx._outcome import InputError
from phalanx._types import MatrixLike, array, frozen
from phalanx.online._agent import Agent, Setting, recovered
from phalanx.online._idealised import on_top
from phalanx.policies import LinearView, Policy, RoundFeedback


class DisturbanceAction(Policy):
    """u_t = −K x_t + Σ_p M^{[p]} ŵ_{t−p} with fixed parameters.

    Args:
        A: (n, n) the shared system. B: (n, p) the agent's own inputs. K: (p, n) its fixed gain.
        M: (H, p, n); M[p − 1] acts on the disturbance of p rounds ago.
        setting: "independent" reads ŵ_t = x_{t+1} − A x_t − B u_t, others' controls included; the
            aggregated ones take off what the others did.

    Raises:
        InputError: sizes that do not fit.

    Source: P2, Section 2 (DAC-(i)).

    Example:
        >>> import phalanx as px
        >>> system = px.LinearSystem(A=[[0.9]], B=[[[1.0]]])
        >>> policy = px.DisturbanceAction([[0.9]], [[1.0]], [[0.4]], M=[[[-0.5]]])
        >>> run = px.simulate(system, policy, px.Step(1.0), rounds=200)
        >>> bool(abs(run.x[-1, 0] - (1 - 0.5) / (1 - 0.9 + 0.4)) < 1e-9)
        True
    """

    agent: Agent
    M: Float[np.ndarray, "H p n"]

    def __init__(
        self,
        A: MatrixLike,
        B: MatrixLike,
        K: MatrixLike,
        M: MatrixLike,
        *,
        setting: Setting = "independent",
    ):
        M = array("M", M)
        if M.ndim != 3:
            raise InputError(
                f"M has shape {M.shape} and must have shape (H, p, n), one block per lag."
            )
        # Without learning the two aggregated settings are one: nobody's K is needed to recover w.
        setting = "aggregated-agentwise" if setting == "aggregated" else setting
        self.agent = Agent(A, B, K, len(M), setting)
        wanted = (len(M), *self.agent.K.shape)
        if M.shape != wanted:
            raise InputError(f"M has shape {M.shape} and must have shape {wanted}, (H, p, n).")
        self.M = frozen(M)

    @property
    def K(self) -> Float[np.ndarray, "p n"]:
        """The fixed gain."""
        return self.agent.K

    @property
    def memory(self) -> int:
        """H."""
        return self.agent.memory

    @property
    def setting(self) -> Setting:
        """What the agent is told."""
        return self.agent.setting

    def init(self) -> Float[jax.Array, "H n"]:
        """No disturbance seen yet; newest first."""
        return jnp.zeros((self.memory, self.M.shape[-1]), self.M.dtype)

    def act(self, state: Any, view: LinearView) -> Float[jax.Array, " p"]:
        """−K x + Σ_p M^{[p]} ŵ_{t−p}."""
        return state.reshape(-1) @ jnp.asarray(on_top(self.M)) - jnp.asarray(self.K) @ view.x

    def observe(self, state: Any, feedback: RoundFeedback) -> Float[jax.Array, "H n"]:
        """The disturbance of the action actually played, remembered."""
        agent = on_device(self.agent)
        w, _ = recovered(agent, feedback.before.x, feedback.u, feedback.after.x, feedback.aggregate)
        return jnp.concatenate([w[None], state[:-1]])


def on_device(part: Any) -> Any:
    """The same with JAX arrays: NumPy's cannot be applied to traced ones without surprises."""
    return jax.tree.map(jnp.asarray, part)
