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

from phalanx._linalg import LAPACK
from phalanx._linalg._unrolled import UNROLLED
from phalanx.equilibria._game import LQGame
from phalanx.equilibria._step import step

# XLA on CPUs runs a handful of operations on one thread only if none of their buffers is larger than
# this; else it deals them out to a pool, which for tiny matrices takes longer than they do. The stacked
# results of a long scan are such buffers, so a tiny game is scanned in chunks, and what comes after its
# loop is done on the host.
SMALL_BYTES = 512


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
        out = _scan(constant, varying, Q_T, gamma2, T, bool(batch))
    M, K1, K2, margin = (_games_first(np.asarray(X), batch) for X in out)
    if not batch:
        M, margin = np.concatenate([M, Q_T[None]]), gamma2 + LAPACK.least_eigenvalue(-margin)
    return M, K1, K2, margin


@functools.partial(jax.jit, static_argnames=("T", "finish"))
def _scan(constant, varying, Q_T, gamma2, T, finish):
    """The recursion; with `finish` the margins too, else DᵀMD in their place and M without Q_T."""
    constant = {name: X[0] for name, X in constant.items()}
    inverse_gamma2 = 1 / gamma2

    def body(M, stage):
        matrices = {**constant, **stage}
        M_t, *rest = step(UNROLLED, M, tuple(matrices[k] for k in "ABDQR"), inverse_gamma2)
        return M_t, (M_t, *rest)

    entries = max([Q_T.size, *(X.size for X in constant.values())])
    M, K1, K2, DMD = _scan_backwards(body, Q_T, varying, T, min(5, SMALL_BYTES // (8 * entries)))
    if not finish:  # a program of little but the loop stays on the caller's thread
        return M, K1, K2, DMD
    # Margins of all stages at once: matrix axes first, then stages and games.
    margin = gamma2 + UNROLLED.least_eigenvalue(-jnp.moveaxis(DMD, 0, 2))
    return jnp.concatenate([M, Q_T[None]]), K1, K2, margin


def _scan_backwards(body, last, varying, T: int, chunk: int):
    """A reverse `lax.scan` of `body`, `chunk` stages to an inner loop where that is at least two."""
    if chunk < 2:
        return jax.lax.scan(body, last, varying, length=T, reverse=True)[1]
    rest = T % chunk

    def inner(M, stages):
        return jax.lax.scan(body, M, stages, length=chunk, reverse=True)

    chunks = {name: X[rest:].reshape(-1, chunk, *X.shape[1:]) for name, X in varying.items()}
    M, out = jax.lax.scan(inner, last, chunks, length=T // chunk, reverse=True)
    out = jax.tree.map(lambda X: X.reshape(T - rest, *X.shape[2:]), out)
    head = {name: X[:rest] for name, X in varying.items()}
    _, first = jax.lax.scan(body, M, head, length=rest, reverse=True)
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), first, out)


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
