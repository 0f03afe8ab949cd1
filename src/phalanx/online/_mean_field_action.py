"""Disturbance action of a mean-field team: both papers in one controller whose size does not know N.

    u^i = −K y^i − L z + Σ_{p=1..H} M^{[p]} (w^i − w̄)_{t−p} + M̄^{[p]} w̄_{t−p},   y^i = x^i − z,  z = x̄

Every agent recovers both parts from its own state and the mean. It is not told the mean control, but
knows it: all play this policy, deviations cancel in the mean, and ū = −L z + Σ M̄^{[p]} w̄_{t−p} is
made of what everybody sees.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from phalanx._outcome import InputError
from phalanx._types import MatrixLike, array, frozen
from phalanx.online._idealised import on_top
from phalanx.policies import Feedback, MeanFieldView, Policy
from phalanx.systems import MeanFieldSystem


class Recalled(eqx.Module):
    """The last H recovered disturbances, newest first.

    Attributes:
        own: (H, m) w^i − w̄. mean: (H, m) w̄.
    """

    own: Float[jax.Array, "H m"]
    mean: Float[jax.Array, "H m"]


class MeanFieldDisturbanceAction(Policy):
    """Disturbance action on top of mean-field gains, for any number of agents.

    Args:
        system: the constant `MeanFieldSystem` all agents belong to; w stands for all that pushes, D d + noise.
        K: (p, m) acts on the deviation. L: (p, m) acts on the mean.
        M: (H, p, m) acts on past deviations of the disturbance; M[k − 1] on that of k rounds ago.
        M_bar: (H, p, m) acts on past means of it.

    Raises:
        InputError: sizes that do not fit, or a system that varies in time.

    Source: docs/notation.md ("Both papers meet"); P1, eq. 13; P2, Section 2.

    Example:
        >>> import numpy as np
        >>> import phalanx as px
        >>> system = px.MeanFieldSystem(A=[[0.9]], B=[[1.0]])
        >>> policy = px.MeanFieldDisturbanceAction(
        ...     system, K=[[0.4]], L=[[0.4]], M=[[[0.0]]], M_bar=[[[-0.5]]]
        ... )
        >>> run = px.simulate(
        ...     system, policy, px.Step(1.0, scope="common"), rounds=200, n_agents=5, x0=[0.0]
        ... )
        >>> bool(abs(run.x_bar[-1, 0] - (1 - 0.5) / (1 - 0.9 + 0.4)) < 1e-9)
        True
    """

    A: Float[np.ndarray, "m m"]
    A_mean: Float[np.ndarray, "m m"]
    B: Float[np.ndarray, "m p"]
    B_mean: Float[np.ndarray, "m p"]
    K: Float[np.ndarray, "p m"]
    L: Float[np.ndarray, "p m"]
    M: Float[np.ndarray, "H p m"]
    M_bar: Float[np.ndarray, "H p m"]

    def __init__(
        self,
        system: MeanFieldSystem,
        K: MatrixLike,
        L: MatrixLike,
        M: MatrixLike,
        M_bar: MatrixLike,
    ):
        if system.stages is not None:
            raise InputError("system varies in time; this policy knows one constant system.")
        halves = system.split()
        self.A, self.B = halves.deviation.A, halves.deviation.input_matrix(0)
        self.A_mean, self.B_mean = halves.mean.A, halves.mean.input_matrix(0)
        m, p = self.B.shape
        given = {"K": K, "L": L, "M": M, "M_bar": M_bar}
        values = {name: array(name, value) for name, value in given.items()}
        memory = len(values["M"]) if values["M"].ndim == 3 else 0
        for name, value in values.items():
            wanted = (p, m) if name in "KL" else (memory, p, m)
            if value.shape != wanted or (memory == 0 and name[0] == "M"):
                size = wanted if name in "KL" or memory else f"(H, {p}, {m}) with H ≥ 1"
                raise InputError(f"{name} has shape {value.shape} and must have shape {size}.")
        self.K, self.L, self.M, self.M_bar = (frozen(values[name]) for name in given)

    def init(self) -> Recalled:
        """No disturbance seen yet."""
        zero = jnp.zeros((len(self.M), self.A.shape[-1]), self.M.dtype)
        return Recalled(zero, zero)

    def act(self, state: Recalled, view: MeanFieldView) -> Float[jax.Array, " p"]:
        """The deviation's part and the mean's."""
        own = _react(self.M, state.own) - jnp.asarray(self.K) @ (view.x - view.x_bar)
        return own + self._mean_control(state, view)

    def observe(self, state: Recalled, feedback: Feedback) -> Recalled:
        """Both parts of the round's disturbance, recovered with the controls actually played."""
        before, after = feedback.before, feedback.after
        u_bar = self._mean_control(state, before)
        mean = after.x_bar - self.A_mean @ before.x_bar - self.B_mean @ u_bar
        own = (after.x - after.x_bar) - self.A @ (before.x - before.x_bar)
        own = own - self.B @ (feedback.u - u_bar)
        return Recalled(*(_push(*pair) for pair in ((own, state.own), (mean, state.mean))))

    def _mean_control(self, state: Recalled, view: MeanFieldView) -> Any:
        return _react(self.M_bar, state.mean) - jnp.asarray(self.L) @ view.x_bar


def _react(M: Any, past: jax.Array) -> jax.Array:
    return past.reshape(-1) @ jnp.asarray(on_top(M))


def _push(newest: jax.Array, past: jax.Array) -> jax.Array:
    return jnp.concatenate([newest[None], past[:-1]])
