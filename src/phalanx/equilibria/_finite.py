"""The finite game: the Riccati step of `_step`, driven backwards by one of two engines.

The *host* engine is a loop of LAPACK calls: a large game at the library's speed, a small one without
waiting for a compiler. The *compiled* engine is one `lax.scan` over many small games side by side.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from phalanx._linalg import LAPACK
from phalanx._outcome import InputError
from phalanx.equilibria._game import LQGame
from phalanx.equilibria._step import step

Engine = Literal["auto", "host", "compiled"]

# Above this many rows a LAPACK call outruns unrolled elimination, and unrolling slows compilation.
UNROLL_UP_TO = 6
# A batch below this size is done on the host sooner than a program for it compiles.
COMPILE_FROM = 64


@dataclass(frozen=True)
class Recursion:
    """What the backward pass returns, batch axes first.

    Attributes:
        M: (*batch, T+1, n, n) value matrices; M[t] is the cost to go from stage t.
        K1: (*batch, T, p, n) gains of u = −K1 x. K2: (*batch, T, q, n) gains of d = +K2 x.
        margin: (*batch, T) least eigenvalue of γ²I − DᵀM_{t+1}D. Entries before the first stage
            (backwards) that is not positive carry no meaning and are NaN, as are M, K1, K2 there.
    """

    M: Float[np.ndarray, "*batch T1 n n"]
    K1: Float[np.ndarray, "*batch T p n"]
    K2: Float[np.ndarray, "*batch T q n"]
    margin: Float[np.ndarray, "*batch T"]

    @property
    def exists(self) -> Bool[np.ndarray, "*batch"]:
        """(*batch,) whether a saddle point exists: all margins positive (P1, eq. 12)."""
        return np.asarray((self.margin > 0).all(axis=-1))


def solve_finite(
    game: LQGame, gamma: Float[np.ndarray, "*batch"], engine: Engine = "auto"
) -> Recursion:
    """The whole backward pass at one γ per game.

    Args:
        game: a game with finite horizon, possibly a batch.
        gamma: γ > 0, broadcast against the batch axes; infinity is the LQ regulator.
        engine: "host" (NumPy and LAPACK), "compiled" (one JAX scan in float64) or "auto".

    Returns:
        `Recursion`.
    """
    batch = np.broadcast_shapes(game.batch, np.shape(gamma))
    gamma = np.broadcast_to(np.asarray(gamma, float), batch)
    if engine not in ("auto", "host", "compiled"):
        raise InputError(f'engine must be "auto", "host" or "compiled", but it is {engine!r}.')
    if engine == "auto":
        small = max(game.sizes) <= UNROLL_UP_TO and int(np.prod(batch)) >= COMPILE_FROM
        engine = "compiled" if small else "host"
    run = _compiled if engine == "compiled" else _host
    with np.errstate(all="ignore"):  # overflow past the level is expected; it is masked just below
        M, K1, K2, margin = run(game, gamma**2, batch)
    if (margin > 0).all():
        return Recursion(M, K1, K2, margin)
    # Past the first stage without a saddle point nothing means anything: say so with NaN.
    dead = np.logical_or.accumulate(~(margin > 0)[..., ::-1], axis=-1)[..., ::-1]
    after = np.concatenate([dead[..., 1:], np.zeros_like(dead[..., :1])], axis=-1)
    margin = np.where(after, np.nan, margin)
    K1, K2 = (np.where(dead[..., None, None], np.nan, K) for K in (K1, K2))
    whole = np.concatenate([dead, np.zeros_like(dead[..., :1])], axis=-1)
    M = np.where(whole[..., None, None], np.nan, M)
    return Recursion(M, K1, K2, margin)


def _host(game: LQGame, gamma2: np.ndarray, batch: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    n, p, q = game.sizes
    T = int(game.horizon)
    M = np.empty((*batch, T + 1, n, n))
    K1, K2 = np.empty((*batch, T, p, n)), np.empty((*batch, T, q, n))
    DMD = np.empty((*batch, T, q, q))
    stages = [
        np.broadcast_to(X, (*X.shape[:-3], T, *X.shape[-2:]))
        for X in (game.A, game.B, game.D, game.Q, game.R)
    ]
    M[..., T, :, :] = game.Q_T
    inverse_gamma2 = 1 / gamma2
    for t in reversed(range(T)):
        stage = tuple(X[..., t, :, :] for X in stages)
        M[..., t, :, :], K1[..., t, :, :], K2[..., t, :, :], DMD[..., t, :, :] = step(
            LAPACK, M[..., t + 1, :, :], stage, inverse_gamma2
        )
    return M, K1, K2, gamma2[..., None] + LAPACK.least_eigenvalue(-DMD)


def _compiled(game: LQGame, gamma2: np.ndarray, batch: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    from phalanx.equilibria._finite_jax import backward

    return backward(game, gamma2, batch)
