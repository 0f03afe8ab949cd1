"""One step of the game Riccati recursion, in either algebra.

The step eliminates the controller first, then the disturbance (P1, eq. 13, rearranged):

    G = (R + BᵀMB)⁻¹ BᵀM          N = M − MB G              u = −G (A x + D d)
    H = (γ²I − DᵀND)⁻¹ DᵀN        W = N + ND H  (= M Λ⁻¹)   d = H A x
    M_t = Q + AᵀWA,   K² = H A,   K¹ = G (A + D K²)

In this order both solved matrices are positive definite wherever a saddle point exists, and
M_t is a *sum* of positive semidefinite terms. The textbook orders either form Λ = I + (BR⁻¹Bᵀ −
γ⁻²DDᵀ)M, which is not symmetric, or eliminate d first, where (γ²I − DᵀMD)⁻¹ grows without bound
as γ falls to the level and is then cancelled by the control. Here nothing large is ever formed, so
the answer keeps its digits at the level itself. The saddle condition is still P1's (12): the margin
at stage t is the least eigenvalue of γ²I − DᵀM_{t+1}D. For γ = ∞ this is the LQ regulator.
"""

from typing import Any

from phalanx._linalg import Algebra


def step(
    la: Algebra, M: Any, stage: tuple[Any, ...], inverse_gamma2: Any
) -> tuple[Any, Any, Any, Any]:
    """One stage backwards: (M_t, K1_t, K2_t, DᵀM_{t+1}D) from M_{t+1}, in either algebra."""
    A, B, D, Q, R = stage
    MB = la.mul(M, B)
    G = la.solve(R + la.mul(la.t(B), MB), la.t(MB))
    N = M - la.mul(MB, G)
    ND = la.mul(N, D)
    DND = la.mul(la.t(D), ND)
    S = la.eye(DND) - la.scale(inverse_gamma2, DND)
    H = la.scale(inverse_gamma2, la.solve(S, la.t(ND)))
    W = N + la.mul(ND, H)
    K2 = la.mul(H, A)
    K1 = la.mul(G, A + la.mul(D, K2))
    M_t = Q + la.mul(la.t(A), la.mul(W, A))
    return (M_t + la.t(M_t)) / 2, K1, K2, la.mul(la.t(D), la.mul(M, D))
