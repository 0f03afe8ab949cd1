"""The stationary game: structure-preserving doubling, then a proof of what it returned.

With G = BR⁻¹Bᵀ − γ⁻²DDᵀ the stationary value matrix solves M = Q + AᵀM(I + GM)⁻¹A. Doubling
iterates on the triple (A_k, G_k, H_k) that describes 2ᵏ stages of the game at once:

    A ← A W⁻¹ A,   G ← G + A W⁻¹ G Aᵀ,   H ← H + Aᵀ H W⁻¹ A,      W = I + G H

H_k is the value of the game over 2ᵏ stages, so the iteration has walked a million stages after
twenty steps: the slow passage that fools a fixed-point iteration just below the level lasts some
10⁶ stages at a relative distance of 10⁻¹², and is crossed all the same.

The iteration runs on what is left of the equation beyond a first guess X₀: with Φ = (I + GX₀)⁻¹

    A_0 = ΦA,   G_0 = ΦG,   H_0 = (one game step from X₀) − X₀,      M = X₀ + lim H_k.

All three come from the game step's own well-conditioned pieces (see `_step`), never from GX₀,
which is huge where control is cheap. The guess is Q at first: one stage of the game. Where that does
not end in a proof, it is the stabilising solution of the regulator, whose closed loop is stable:
the remainder is then small and well conditioned, and its limit is the stabilising solution even
if an unstable mode of A costs nothing, which a value grown from Q would leave alone.

Nothing is believed because it converged. A solution is accepted when its residual is at rounding,
M ⪰ 0, the margin γ²I − DᵀMD ≻ 0, and the closed loop A − BK¹ + DK² is stable; a stabilising
solution is unique, so what passes is the answer.
"""

import contextlib
from dataclasses import dataclass, fields, replace

import numpy as np
import scipy.linalg
from jaxtyping import Bool, Float

from phalanx._linalg import LAPACK
from phalanx._linalg._spectral import is_stable
from phalanx.equilibria._game import LQGame
from phalanx.equilibria._step import step

# Doublings after which a limit counts as absent: 2⁶⁴ stages.
MAX_DOUBLINGS = 64
# Relative residual a solution may have; rounding leaves some 1e-14 at n = 100.
MAX_RESIDUAL = 1e-10
# Relative residual above which a second pass, started at the result, is tried.
REFINE_ABOVE = 1e-13


@dataclass(frozen=True)
class Stationary:
    """The stationary solution and the facts that prove it, batch axes first.

    Attributes:
        M: (*batch, n, n) value matrix. K1: (*batch, p, n). K2: (*batch, q, n).
        margin: (*batch,) least eigenvalue of γ²I − DᵀMD; where it was lost on the way, the value seen.
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
            return _masked(_solve_from(game, gamma2, start))
        found = _solve_from(game, gamma2, game.Q[..., 0, :, :])
        if not found.exists.all():
            # Where there is not even a regulator, the caller names the mode.
            with contextlib.suppress(np.linalg.LinAlgError):
                found = _solve_from(game, gamma2, starting_point(game))
        return _masked(found)


def starting_point(game: LQGame) -> Float[np.ndarray, "*batch n n"]:
    """X₀: the stabilising solution of the regulator, by doubling where that is proved, else by SciPy.

    Raises:
        numpy.linalg.LinAlgError: no stabilising regulator exists at all.
    """
    with np.errstate(all="ignore"):
        regulator = _solve_from(game, np.full(game.batch, np.inf), game.Q[..., 0, :, :])
    start = np.array(regulator.M)
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
    """Double from X₀, and once more from the result where rounding left something to gain."""
    found = _doubled(game, gamma2, start)
    gain = found.stable & (found.residual > REFINE_ABOVE) & (found.residual < 1)
    if gain.any():
        again = _doubled(game, gamma2, np.where(gain[..., None, None], found.M, start))
        better = gain & again.stable & (again.residual < found.residual)
        found = _choose(better, again, found)
    return found


def _doubled(game: LQGame, gamma2: np.ndarray, start: np.ndarray) -> Stationary:
    mul, t = LAPACK.mul, LAPACK.t
    D = game.D[..., 0, :, :]
    A_k, G_k, H = _remainder(game, gamma2, start)
    n = A_k.shape[-1]
    live = np.ones(gamma2.shape, bool)
    converged = np.zeros(gamma2.shape, bool)
    margin_lost = np.zeros(gamma2.shape, bool)
    doublings = 0
    while doublings < MAX_DOUBLINGS and live.any():
        doublings += 1
        W = np.eye(n) + mul(G_k, H)
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
    return _verified(game, gamma2, H + start, converged, margin_lost, doublings)


def _remainder(
    game: LQGame, gamma2: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(A_0, G_0, H_0) beyond X₀, with the controller eliminated before the disturbance.

    Φ_B = I − B S⁻¹BᵀX₀ with S = R + BᵀX₀B, N = X₀Φ_B and Z = γ²I − DᵀND give
    G_0 = B S⁻¹Bᵀ − Φ_B D Z⁻¹ Dᵀ Φ_Bᵀ and A_0 = Φ_B (A + D K²).
    """
    mul, t = LAPACK.mul, LAPACK.t
    stage = tuple(X[..., 0, :, :] for X in (game.A, game.B, game.D, game.Q, game.R))
    A, B, D, _, R = stage
    riccati, _, K2, _ = step(LAPACK, start, stage, 1 / gamma2)
    XB = mul(start, B)
    S = R + mul(t(B), XB)
    Phi_D = D - mul(B, LAPACK.solve(S, mul(t(XB), D)))
    ND = mul(start, Phi_D)
    Z = np.eye(D.shape[-1]) - LAPACK.scale(1 / gamma2, mul(t(D), ND))
    pushed = LAPACK.scale(1 / gamma2, mul(Phi_D, LAPACK.solve(Z, t(Phi_D))))
    G = _symmetric(mul(B, LAPACK.solve(S, t(B))) - pushed)
    moved = A + mul(D, K2)
    A_0 = moved - mul(B, LAPACK.solve(S, mul(t(XB), moved)))
    return A_0, G, np.broadcast_to(_symmetric(riccati - start), A_0.shape)


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


def _choose(where: np.ndarray, one: Stationary, other: Stationary) -> Stationary:
    """Game by game, the one or the other."""

    def pick(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where(where.reshape(where.shape + (1,) * (a.ndim - where.ndim)), a, b)

    arrays = {
        f.name: pick(getattr(one, f.name), getattr(other, f.name))
        for f in fields(Stationary)
        if f.name != "doublings"
    }
    return Stationary(**arrays, doublings=one.doublings + other.doublings)


def _masked(found: Stationary) -> Stationary:
    """NaN where there is no solution: what is left there has no meaning."""
    if found.exists.all():
        return found
    gone = ~found.exists
    M, K1, K2 = (np.where(gone[..., None, None], np.nan, X) for X in (found.M, found.K1, found.K2))
    # A margin that was seen to fail is a fact; any other is the margin of nothing.
    margin = np.where(gone & ~found.margin_lost, np.nan, found.margin)
    return replace(found, M=M, K1=K1, K2=K2, margin=margin)


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
