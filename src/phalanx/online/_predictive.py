"""Model predictive control of one agent: the best plan against a forecast, made anew every round.

With quadratic costs and no constraints the plan has a closed form. Over L rounds, with a disturbance
forecast ŵ_{t|t}, …, ŵ_{t+L−1|t} and a last state weighed by P_L,

    u_t = −K x_t − Σ_{k<L} G_k ŵ_{t+k|t},     G_k = (R + BᵀP_1B)⁻¹ Bᵀ F_1ᵀ ⋯ F_kᵀ P_{k+1},

where P_k, K_k and F_k = A − BK_k come from L steps of the Riccati recursion. The gains are computed once.
"""

from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Float

from phalanx._linalg._apply import apply
from phalanx._linalg._spectral import spectral_radius, unstabilisable_mode
from phalanx._outcome import InputError, NoSolutionError, Outcome
from phalanx._types import MatrixLike, array, matrix, symmetric
from phalanx.policies._base import LinearView, Policy

Forecast = Literal["naive", "perfect"]


class ModelPredictive(Policy):
    """The finite-horizon optimum against a forecast of the disturbance, replanned every round.

    min Σ_{k<L} x_kᵀQx_k + u_kᵀRu_k + x_LᵀP_L x_L   over u_0 … u_{L−1},   x_{k+1} = A x_k + B u_k + ŵ_{t+k|t}

    The "naive" forecast is that the last disturbance recovered, x_{t+1} − A x_t − B u_t, stays; before the first it
    is 0. The "perfect" one reads the future from `record`: no causal controller can do better, which makes it a
    floor to measure against. Whatever the forecast, without disturbances and with P_L the regulator's this is the LQ regulator.

    Args:
        A: (n, n).
        B: (n, p), the agent's own.
        Q: (n, n) positive semidefinite, or a scalar: scalar times identity.
        R: (p, p) positive definite, or a scalar.
        horizon: L ≥ 1 rounds.
        forecast: "naive" or "perfect".
        record: (T, n), the disturbance as it enters the state, E w_t, for "perfect" only. Past its end 0 is forecast:
            nothing is known there.
        terminal: P_L, (n, n); by default the regulator's value, so that what follows the plan is counted in full.
        others: (n, n) Σ_{j≠i} B_jK_j when the other agents are known to play −K_j x; they are then planned with.
            Otherwise what they do is part of the disturbance.

    Raises:
        InputError: shapes or signs that do not fit, or a record that is missing or not read.
        NoSolutionError: no `terminal` given, and no regulator to take it from.

    Example:
        >>> from phalanx.online._predictive import ModelPredictive
        >>> plan = ModelPredictive(A=1.0, B=1.0, Q=1.0, R=1.0, horizon=3)
        >>> plan.K.round(4), plan.G.round(4).ravel()
        (array([[0.618]]), array([0.618 , 0.2361, 0.0902]))
    """

    A: Float[np.ndarray, "n n"]
    B: Float[np.ndarray, "n p"]
    K: Float[np.ndarray, "p n"]
    G: Float[np.ndarray, "L p n"]
    record: Float[np.ndarray, "TL n"] | None
    forecast: Forecast = eqx.field(static=True)

    def __init__(
        self,
        A: MatrixLike,
        B: MatrixLike,
        Q: MatrixLike = 1.0,
        R: MatrixLike = 1.0,
        *,
        horizon: int = 20,
        forecast: Forecast = "naive",
        record: MatrixLike | None = None,
        terminal: MatrixLike | None = None,
        others: MatrixLike | None = None,
    ):
        A, B = array("A", A), array("B", B)
        A = A.reshape(1, 1) if A.ndim == 0 else A
        n = A.shape[-1]
        A, B = _one("A", A, n, n), _one("B", B, n, B.shape[-1] if B.ndim else n)
        Q = _constant("Q", symmetric("Q", Q, n))
        R = _constant("R", symmetric("R", R, B.shape[1], definite=True))
        if isinstance(horizon, bool) or not isinstance(horizon, int | np.integer) or horizon < 1:
            raise InputError(
                f"horizon must be a whole number of at least 1, but it is {horizon!r}."
            )
        if forecast not in get_args(Forecast):
            raise InputError(f'forecast must be "naive" or "perfect", but it is {forecast!r}.')
        if (forecast == "perfect") != (record is not None):
            what = "is missing: a perfect forecast reads it" if record is None else "is never read"
            raise InputError(
                f'record {what}; give both forecast="perfect" and the record, or neither.'
            )
        self.A = A if others is None else A - _one("others", others, n, n)
        self.B = B
        if terminal is None:
            last = _regulator(self.A, B, Q, R)
        else:
            last = _constant("terminal", symmetric("terminal", terminal, n))
        self.K, self.G = _plan(self.A, B, Q, R, last, int(horizon))
        self.record = None if record is None else _future(record, n, int(horizon))
        self.forecast = forecast

    def init(self) -> Float[jax.Array, " n"] | None:
        """The last disturbance recovered, 0 at first; a perfect forecast remembers nothing."""
        if self.forecast == "perfect":
            return None
        return jnp.zeros(self.A.shape[0], jnp.asarray(self.A).dtype)

    def act(self, state: Any, view: LinearView) -> Float[jax.Array, " p"]:
        """−K x − Σ_k G_k ŵ_{t+k|t}: the plan's first control."""
        G = jnp.asarray(self.G)
        if self.record is None:
            ahead = apply(G.sum(axis=0), state)
        else:
            # Starts past the end are moved back to the last L rows, which are the zeros.
            future = jax.lax.dynamic_slice_in_dim(jnp.asarray(self.record), view.t, len(G))
            ahead = jnp.einsum("kpn,kn->p", G, future, precision=jax.lax.Precision.HIGHEST)
        return -apply(self.K, view.x) - ahead

    def observe(self, state: Any, feedback: Any) -> Any:
        """The disturbance that explains the step just seen."""
        if self.record is not None:
            return None
        moved = apply(self.A, feedback.before.x) + apply(self.B, feedback.u)
        return feedback.after.x - moved


def _plan(
    A: np.ndarray, B: np.ndarray, Q: np.ndarray, R: np.ndarray, last: np.ndarray, L: int
) -> tuple[np.ndarray, np.ndarray]:
    """K (p, n) and G (L, p, n) of the first round of an L-round plan."""
    values, loops, first = [last], [], np.zeros((B.shape[1], len(A)))
    for _ in range(L):
        P = values[-1]
        first = scipy.linalg.solve(R + B.T @ P @ B, B.T @ P @ A, assume_a="pos")
        F = A - B @ first
        stage = Q + first.T @ R @ first + F.T @ P @ F
        values.append((stage + stage.T) / 2)
        loops.append(F)
    values, loops = values[::-1], loops[::-1]  # P_0 … P_L and F_0 … F_{L−1}
    through, rows = np.eye(len(A)), []  # F_1ᵀ ⋯ F_kᵀ
    for k in range(L):
        through = through @ loops[k].T if k else through
        rows.append(through @ values[k + 1])
    weight = scipy.linalg.solve(R + B.T @ values[1] @ B, B.T, assume_a="pos")
    return first, np.stack([weight @ row for row in rows])


def _regulator(A: np.ndarray, B: np.ndarray, Q: np.ndarray, R: np.ndarray) -> np.ndarray:
    """The value of the stabilising regulator, looked at before it is used."""
    mode = unstabilisable_mode(A, B)
    mend = "Give terminal, the weight of the plan's last state."
    if mode is not None:
        sentence = f"There is no regulator to weigh the plan's last state with: no control reaches the mode with {mode}."
        raise NoSolutionError(Outcome("unstabilisable", sentence, mend))
    try:
        P = scipy.linalg.solve_discrete_are(A, B, Q, R)
        F = A - B @ scipy.linalg.solve(R + B.T @ P @ B, B.T @ P @ A)
        proved = spectral_radius(F) < 1
    except np.linalg.LinAlgError:
        proved, P = False, Q
    if not proved:
        sentence = "There is no stabilising regulator to weigh the plan's last state with: Q may not see an unstable mode."
        raise NoSolutionError(Outcome("infeasible", sentence, mend))
    return (P + P.T) / 2


def _future(record: MatrixLike, n: int, L: int) -> np.ndarray:
    rows = array("record", record)
    rows = rows[:, None] if rows.ndim == 1 and n == 1 else rows
    if rows.ndim != 2 or rows.shape[1] != n:
        raise InputError(
            f"record has shape {rows.shape} and must have shape (T, {n}): the disturbance as it enters the state, E w."
        )
    return np.concatenate([rows, np.zeros((L, n))])


def _one(name: str, value: MatrixLike, rows: int, columns: int) -> np.ndarray:
    return _constant(name, matrix(name, value, rows, columns))


def _constant(name: str, value: np.ndarray) -> np.ndarray:
    if value.ndim != 2:
        raise InputError(
            f"{name} has shape {value.shape} and must be one matrix: plans are for matrices constant in time."
        )
    return value
