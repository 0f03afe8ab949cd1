"""The compiled engine of the finite game: one `lax.scan`, games side by side on the last axis.

A game of four states is too small to keep a processor busy; a thousand of them are not. Matrices
go on the leading axes and games on the trailing one, so that each scalar operation of the step is
a vector operation over games, and XLA fuses the step into a few loops.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from phalanx._linalg._unrolled import UNROLLED
from phalanx.equilibria._game import LQGame
from phalanx.equilibria._step import step


def backward(game: LQGame, gamma2: np.ndarray, batch: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """(M, K1, K2, margin) over all stages, batch axes first, in float64 whatever JAX's default."""
    T = int(game.horizon)
    constant, varying = {}, {}
    for name in ("A", "B", "D", "Q", "R"):
        X = _games_last(getattr(game, name), batch, 3)
        (constant if X.shape[0] == 1 and T > 1 else varying)[name] = X
    Q_T = _games_last(game.Q_T, batch, 2)
    if batch:
        Q_T = np.broadcast_to(Q_T, (*Q_T.shape[:2], math.prod(batch)))
        gamma2 = gamma2.ravel()
    with jax.enable_x64(True):
        out = _scan(constant, varying, Q_T, gamma2, T)
    return tuple(_games_first(np.asarray(X), batch) for X in out)


@functools.partial(jax.jit, static_argnames="T")
def _scan(constant, varying, Q_T, gamma2, T):
    constant = {name: X[0] for name, X in constant.items()}
    inverse_gamma2 = 1 / gamma2

    def body(M, stage):
        matrices = {**constant, **stage}
        M_t, *rest = step(UNROLLED, M, tuple(matrices[k] for k in "ABDQR"), inverse_gamma2)
        return M_t, (M_t, *rest)

    _, (M, K1, K2, DMD) = jax.lax.scan(body, Q_T, varying, length=T, reverse=True)
    # Margins of all stages at once: matrix axes first, then stages and games.
    margin = gamma2 + UNROLLED.least_eigenvalue(-jnp.moveaxis(DMD, 0, 2))
    return jnp.concatenate([M, Q_T[None]]), K1, K2, margin


def _games_last(X: np.ndarray, batch: tuple[int, ...], inner: int) -> np.ndarray:
    """(*batch, *inner) → (*inner, games), with one trailing entry where all games share X."""
    if not batch:
        return X
    if X.ndim == inner:
        return X[..., None]
    X = np.broadcast_to(X, (*batch, *X.shape[X.ndim - inner :]))
    return np.moveaxis(X.reshape(-1, *X.shape[len(batch) :]), 0, -1)


def _games_first(X: np.ndarray, batch: tuple[int, ...]) -> np.ndarray:
    return np.moveaxis(X, -1, 0).reshape(*batch, *X.shape[:-1]) if batch else X
