"""The compiled engine of the finite game: one `lax.scan`, games side by side on the last axis.

A game of four states is too small to keep a processor busy; a thousand of them are not. Matrices
go on the leading axes and games on the trailing one, so that each scalar operation of the step is
a vector operation over games, and XLA fuses the step into a few loops.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from phalanx._linalg._unrolled import UNROLLED
from phalanx.equilibria._finite import step
from phalanx.equilibria._game import LQGame


def backward(
    game: LQGame, inverse_gamma2: np.ndarray, batch: tuple[int, ...]
) -> tuple[np.ndarray, ...]:
    """(M, K1, K2, DᵀMD) over all stages, batch axes first, in float64 whatever JAX's default."""
    T = int(game.horizon)
    games = int(np.prod(batch))
    constant, varying = {}, {}
    for name in ("A", "B", "D", "Q", "R"):
        X = _games_last(getattr(game, name), batch, time=True)
        (constant if X.shape[0] == 1 and T > 1 else varying)[name] = X
    constant = {name: X[0] for name, X in constant.items()}
    Q_T = np.broadcast_to(_games_last(game.Q_T, batch, time=False), (*game.Q_T.shape[-2:], games))
    with jax.enable_x64(True):
        out = _scan(constant, varying, Q_T, inverse_gamma2.reshape(games), T)
        return tuple(_games_first(np.asarray(X), batch) for X in out)


@functools.partial(jax.jit, static_argnames="T")
def _scan(constant, varying, Q_T, inverse_gamma2, T):
    def body(M, stage):
        matrices = {**constant, **stage}
        M_t, K1, K2, DMD = step(UNROLLED, M, tuple(matrices[k] for k in "ABDQR"), inverse_gamma2)
        return M_t, (M_t, K1, K2, DMD)

    _, (M, K1, K2, DMD) = jax.lax.scan(body, Q_T, varying, length=T, reverse=True)
    return jnp.concatenate([M, Q_T[None]]), K1, K2, DMD


def _games_last(X: np.ndarray, batch: tuple[int, ...], time: bool) -> np.ndarray:
    """(*batch, [T], r, c) → ([T], r, c, games), with one trailing entry where all games share X."""
    inner = X.ndim - (3 if time else 2)
    if inner == 0:
        return X[..., None]
    X = np.broadcast_to(X, (*batch, *X.shape[inner:])).reshape(-1, *X.shape[inner:])
    return np.moveaxis(X, 0, -1)


def _games_first(X: np.ndarray, batch: tuple[int, ...]) -> np.ndarray:
    return np.moveaxis(X, -1, 0).reshape(*batch, *X.shape[:-1])
