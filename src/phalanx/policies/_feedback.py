"""Linear feedback: u = −K x, and its mean-field form u = −K (x − x̄) − L x̄.

Gains may vary in time; stage t then uses gain t. A game of T stages that is played again and again
(a day, every day) passes `repeat=True`.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from phalanx._linalg._apply import apply, dot
from phalanx._outcome import InputError
from phalanx._types import MatrixLike, array
from phalanx.policies._base import Feedback, LinearView, MeanFieldView, Policy


class MeanFieldFeedback(Policy):
    """u^i = −K_t (x^i − x̄) − L_t x̄ (P1, eq. 13: the saddle-point controller's form).

    Args:
        K: (p, m), or (T, p, m) for gains that vary in time: acts on the deviation.
        L: (p, m), or (T, p, m): acts on the mean.
        repeat: play time-varying gains again from stage 0 after the last; otherwise the last stays.

    Raises:
        InputError: gains of different shapes, or that are not finite.

    Example:
        >>> import phalanx as px
        >>> controller = px.MeanFieldFeedback(K=[[0.5]], L=[[0.2]])
        >>> float(controller(x=[2.0], x_bar=[1.0])[0])
        -0.7
    """

    K: Float[np.ndarray, "*T p m"]
    L: Float[np.ndarray, "*T p m"]
    repeat: bool = eqx.field(static=True)

    def __init__(self, K: MatrixLike, L: MatrixLike, repeat: bool = False):
        self.K, self.L = _gain("K", K), _gain("L", L)
        self.repeat = repeat
        if self.K.shape != self.L.shape:
            raise InputError(f"L has shape {self.L.shape} and must have K's shape {self.K.shape}.")

    def init(self) -> None:
        """No state is kept."""

    def act(self, state: Any, view: MeanFieldView) -> Float[jax.Array, " p"]:
        """−K (x − x̄) − L x̄ at the view's stage."""
        K, L = _at(self.K, view.t, self.repeat), _at(self.L, view.t, self.repeat)
        return -apply(K, view.x - view.x_bar) - dot(L, view.x_bar)

    def observe(self, state: Any, feedback: Feedback) -> None:
        """Nothing is learned."""

    def __call__(
        self, x: MatrixLike, x_bar: MatrixLike, t: int | None = None
    ) -> Float[np.ndarray, " p"]:
        """The control of one agent outside the simulator, in float64 NumPy: what a device runs.

        Args:
            x: (m,) the agent's own state.
            x_bar: (m,) the mean state.
            t: stage, counted from 0; needed where gains vary in time. After the last stage the last
                gain stays, or the first returns with `repeat`.

        Raises:
            InputError: a state of another size, or a stage that is missing, negative or no whole number.
        """
        if t is None:
            if self.K.ndim == 3:
                raise InputError(f"t is missing: these gains vary over {len(self.K)} stages.")
            t = 0
        if isinstance(t, bool) or not isinstance(t, int | np.integer) or t < 0:
            raise InputError(f"t must be a stage, a whole number from 0, but it is {t!r}.")
        x, x_bar = array("x", x), array("x_bar", x_bar)
        K, L = (
            G if G.ndim == 2 else G[t % len(G) if self.repeat else min(t, len(G) - 1)]
            for G in (self.K, self.L)
        )
        for name, value in (("x", x), ("x_bar", x_bar)):
            if value.shape != K.shape[1:]:
                raise InputError(
                    f"{name} has shape {value.shape} and must have shape {K.shape[1:]}, one agent's state."
                )
        return -K @ (x - x_bar) - L @ x_bar


class LinearFeedback(Policy):
    """u = −K_t x (P2, Section 3).

    Args:
        K: (p, n), or (T, p, n) for gains that vary in time.
        repeat: play time-varying gains again from stage 0 after the last; otherwise the last stays.

    Raises:
        InputError: a gain that is not a finite matrix.
    """

    K: Float[np.ndarray, "*T p n"]
    repeat: bool = eqx.field(static=True)

    def __init__(self, K: MatrixLike, repeat: bool = False):
        self.K = _gain("K", K)
        self.repeat = repeat

    def init(self) -> None:
        """No state is kept."""

    def act(self, state: Any, view: LinearView) -> Float[jax.Array, " p"]:
        """−K x at the view's round."""
        return -apply(_at(self.K, view.t, self.repeat), view.x)

    def observe(self, state: Any, feedback: Feedback) -> None:
        """Nothing is learned."""


def _gain(name: str, value: MatrixLike) -> np.ndarray:
    out = array(name, value)
    if out.ndim not in (2, 3):
        raise InputError(
            f"{name} has shape {out.shape} and must be a matrix (p, m), or (T, p, m) when it varies in time."
        )
    return out


def _at(gain: np.ndarray | jax.Array, t: jax.Array, repeat: bool) -> jax.Array:
    gain = jnp.asarray(gain)
    if gain.ndim == 2:
        return gain
    return gain[t % len(gain) if repeat else jnp.minimum(t, len(gain) - 1)]
