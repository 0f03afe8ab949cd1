"""The stationary game: structure-preserving doubling, then a proof of what it returned.

With G = BR⁻¹Bᵀ − γ⁻²DDᵀ the stationary value matrix solves M = Q + AᵀM(I + GM)⁻¹A. Doubling
iterates on the triple (A_k, G_k, H_k) that describes 2ᵏ stages of the game at once:

    A ← A W⁻¹ A,   G ← G + A W⁻¹ G Aᵀ,   H ← H + Aᵀ H W⁻¹ A,      W = I + G H

H_k is the value of the game over 2ᵏ stages, so the iteration has walked a million stages after
twenty steps: the slow passage that fools a fixed-point iteration just below the level lasts some
10⁶ stages at a relative distance of 10⁻¹², and is crossed all the same.

Starting from X₀, which is 0 where that suffices: if a mode of A is unstable and costs nothing, the
value that grows from 0 leaves it alone and is not stabilising. Then X₀ is the stabilising solution
of the LQ regulator (SciPy), and the same iteration runs on the shifted triple
Â = Φ A, Ĝ = Φ G, Ĥ = Q + AᵀX₀ΦA − X₀ with Φ = (I + GX₀)⁻¹, whose limit is M − X₀. From the
regulator's solution the pair (Ĥ, Â) is always detectable, so the limit is the stabilising one.

Nothing is believed because it converged. A solution is accepted when its residual is at rounding,
M ⪰ 0, the margin γ²I − DᵀMD ≻ 0, and the closed loop A − BK¹ + DK² is stable; a stabilising
solution is unique, so what passes is the answer.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from jaxtyping import Bool, Float

from phalanx._linalg import LAPACK
from phalanx._linalg._spectral import is_stable
from phalanx.equilibria._finite import step
from phalanx.equilibria._game import LQGame

# Doublings after which a limit counts as absent: 2⁶⁴ stages.
MAX_DOUBLINGS = 64
# Relative residual a solution may have; rounding leaves some 1e-14 at n = 100.
MAX_RESIDUAL = 1e-10


@dataclass(frozen=True)
class Stationary:
    """The stationary solution and the facts that prove it, batch axes first.

    Attributes:
        M: (*batch, n, n) value matrix. K1: (*batch, p, n). K2: (*batch, q, n).
        margin: (*batch,) least eigenvalue of γ²I − DᵀMD.
        residual: (*batch,) ‖M − Riccati(M)‖ / ‖M‖.
        stable: (*batch,) whether the closed loop under both gains is stable.
        exists: (*batch,) whether all of the above hold; where not, the numbers carry no meaning.
        margin_lost: (*batch,) where not: whether the margin was seen to fail on the way (else no
            stabilising solution exists).
        doublings: steps taken.
    """

    M: Float[np.ndarray, "*batch n n"]
    K1: Float[np.ndarray, "*batch p n"]
    K2: Float[np.ndarray, "*batch q n"]
    margin: Float[np.ndarray, "*batch"]
    residual: Float[np.ndarray, "*batch"]
    stable: Bool[np.ndarray, "*batch"]
    exists: Bool[np.ndarray, "*batch"]
    margin_lost: Bool[np.ndarray, "*batch"]
    doublings: int


def solve_stationary(
    game: LQGame, gamma: Float[np.ndarray, "*batch"], start: np.ndarray | None = None
) -> Stationary:
    """The stabilising solution at one γ per game, or the proof that there is none.

    Args:
        game: constant matrices, possibly a batch.
        gamma: γ > 0, broadcast against the batch; infinity is the LQ regulator.
        start: X₀ as `starting_point` returns it; found by itself when left out.

    Returns:
        `Stationary`.
    """
    batch = np.broadcast_shapes(game.batch, np.shape(gamma))
    gamma2 = np.broadcast_to(np.asarray(gamma, float), batch) ** 2
    with np.errstate(all="ignore"):  # overflow is how an infeasible game ends; it is masked below
        if start is not None:
            return _solve_from(game, gamma2, start)
        plain = _solve_from(game, gamma2, np.zeros(game.A.shape[-2:]))
        if plain.exists.all():
            return plain
        try:
            start = starting_point(game)
        except np.linalg.LinAlgError:  # not even a regulator: the caller names the mode
            return plain
        return plain if not start.any() else _solve_from(game, gamma2, start)


def starting_point(game: LQGame) -> Float[np.ndarray, "*batch n n"]:
    """X₀: zeros, except for games whose regulator, grown from zero, is not stabilising.

    Raises:
        numpy.linalg.LinAlgError: no stabilising regulator exists at all.
    """
    with np.errstate(all="ignore"):
        regulator = _solve_from(game, np.full(game.batch, np.inf), np.zeros(game.A.shape[-2:]))
    start = np.zeros((*game.batch, *game.A.shape[-2:]))
    A, B, Q, R = (
        np.broadcast_to(X[..., 0, :, :], (*game.batch, *X.shape[-2:]))
        for X in (game.A, game.B, game.Q, game.R)
    )
    for i in map(tuple, np.argwhere(~np.atleast_1d(regulator.exists))):
        at = i if game.batch else ()
        try:
            start[at] = scipy.linalg.solve_discrete_are(A[at], B[at], Q[at], R[at])
        except (np.linalg.LinAlgError, ValueError) as error:
            raise np.linalg.LinAlgError("no stabilising regulator") from error
    return start


def _solve_from(game: LQGame, gamma2: np.ndarray, start: np.ndarray) -> Stationary:
    A, B, D, Q, R = (X[..., 0, :, :] for X in (game.A, game.B, game.D, game.Q, game.R))
    mul, t = LAPACK.mul, LAPACK.t
    n = A.shape[-1]
    eye = np.eye(n)
    Ri_Bt = LAPACK.solve(
        R, np.broadcast_to(t(B), np.broadcast_shapes(t(B).shape, (*R.shape[:-2], 1, 1)))
    )
    G = mul(B, Ri_Bt) - LAPACK.scale(1 / gamma2, mul(D, t(D)))
    if start.any():
        Phi = _solve(eye + mul(G, start), np.broadcast_to(eye, G.shape))
        A_k, G_k = mul(Phi, A), mul(Phi, G)
        H = _symmetric(Q + mul(t(A), mul(mul(start, Phi), A)) - start)
    else:
        A_k, G_k, H = np.broadcast_to(A, np.broadcast_shapes(A.shape, G.shape)), G, Q
    H = np.broadcast_to(H, np.broadcast_shapes(H.shape, G.shape))
    live = np.ones(gamma2.shape, bool)
    converged = np.zeros(gamma2.shape, bool)
    margin_lost = np.zeros(gamma2.shape, bool)
    doublings = 0
    while doublings < MAX_DOUBLINGS and live.any():
        doublings += 1
        W = eye + mul(G_k, H)
        X = _solve(W, np.concatenate([A_k, G_k], axis=-1))
        A_next, WG = mul(A_k, X[..., :n]), X[..., n:]
        H_next = H + _symmetric(mul(t(A_k), mul(H, X[..., :n])))
        G_k = _symmetric(G_k + mul(A_k, mul(WG, t(A_k))))
        change = np.abs(H_next - H).max(axis=(-1, -2))
        size = np.abs(H_next + start).max(axis=(-1, -2))
        A_k = A_next
        # H_k never exceeds the solution where there is one: a margin lost on the way is lost.
        lost = ~(gamma2 + LAPACK.least_eigenvalue(-mul(t(D), mul(H_next + start, D))) > 0)
        broken = ~np.isfinite(size)
        margin_lost |= live & lost & ~broken
        H = np.where((live & ~broken)[..., None, None], H_next, H)
        live = live & ~lost & ~broken
        converged |= live & (change <= 4 * np.finfo(float).eps * size)
        live = live & ~converged
    M = H + start
    return _verified(game, gamma2, M, converged, margin_lost, doublings)


def _verified(
    game: LQGame,
    gamma2: np.ndarray,
    M: np.ndarray,
    converged: np.ndarray,
    margin_lost: np.ndarray,
    doublings: int,
) -> Stationary:
    """Gains, residual, margin and stability of a candidate, and the verdict."""
    stage = tuple(X[..., 0, :, :] for X in (game.A, game.B, game.D, game.Q, game.R))
    A, B, D = stage[:3]
    gamma2 = np.asarray(gamma2)
    riccati, K1, K2, DMD = step(LAPACK, M, stage, 1 / gamma2)
    error = _symmetric(riccati - M)
    size = np.maximum(np.abs(M).max(axis=(-1, -2)), np.finfo(float).tiny)
    residual = np.abs(error).max(axis=(-1, -2)) / size
    closed = A - LAPACK.mul(B, K1) + LAPACK.mul(D, K2)
    stable = is_stable(np.where(np.isfinite(closed), closed, np.inf))
    margin = gamma2 + LAPACK.least_eigenvalue(-DMD)
    positive = LAPACK.least_eigenvalue(M) >= -1e-9 * size
    exists = converged & stable & (margin > 0) & positive & (residual < MAX_RESIDUAL)
    return Stationary(M, K1, K2, margin, residual, stable, exists, margin_lost, doublings)


def _solve(W: np.ndarray, X: np.ndarray) -> np.ndarray:
    """W⁻¹X; a singular W gives NaN, which the caller reads as a game without a value."""
    try:
        return np.linalg.solve(W, X)
    except np.linalg.LinAlgError:
        if W.ndim == 2:
            return np.full(X.shape, np.nan)
        return np.stack(
            [
                _solve(w, x)
                for w, x in zip(W, np.broadcast_to(X, (*W.shape[:-2], *X.shape[-2:])), strict=True)
            ]
        )


def _symmetric(X: np.ndarray) -> np.ndarray:
    return (X + X.swapaxes(-1, -2)) / 2
