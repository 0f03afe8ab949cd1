"""The loop that agents with fixed parameters make together when each takes the others for noise (P2, setting 2.1).

What agent i recovers, w̃^i_t = w_t + Σ_{j≠i} B_j u^j_t, holds the others' controls, which hold their own estimates. With
M fixed everything is linear in z = (x_t, the last H estimates of every agent):

    u^i = −K_i x + Σ_p M_i^{[p]} w̃^i_{t−p},   x' = A x + Σ_j B_j u^j + w,   w̃^i_t = Σ_{j≠i} B_j u^j + w
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def joint_loop(
    A: Float[np.ndarray, "n n"],
    B: Sequence[np.ndarray],
    K: Sequence[np.ndarray],
    M: Sequence[np.ndarray],
) -> Float[np.ndarray, "d d"]:
    """The matrix of z' = L z, d = n + N·H·n.

    Args:
        A: the shared system.
        B: (n, p_i) per agent.
        K: (p_i, n) per agent.
        M: (H, p_i, n) per agent, the same H.
    """
    n, N, H = len(A), len(B), len(M[0])
    size = n + N * H * n
    pushes = np.zeros((N, n, size))
    for i in range(N):
        pushes[i, :, :n] = -B[i] @ K[i]
        own = n + i * H * n
        pushes[i, :, own : own + H * n] = np.concatenate([B[i] @ block for block in M[i]], axis=1)
    loop, total = np.zeros((size, size)), pushes.sum(0)
    loop[:n] = total
    loop[:n, :n] += A
    for i in range(N):
        own = n + i * H * n
        loop[own : own + n] = total - pushes[i]
        older = np.arange((H - 1) * n)
        loop[own + n + older, own + older] = 1.0
    return loop


def radius(loop: np.ndarray) -> float:
    """Spectral radius; NaN where entries are."""
    return float(np.abs(np.linalg.eigvals(loop)).max()) if np.isfinite(loop).all() else np.nan


def small_gain(B: Sequence[np.ndarray], M: Sequence[np.ndarray]) -> float:
    """max_i Σ_{j≠i} ‖B_j‖ Σ_p ‖M_j^{[p]}‖: below 1 nothing can circulate and grow, if K = 0."""
    gains = np.array([np.linalg.norm(b, 2) * np.linalg.norm(m, 2, (1, 2)).sum() for b, m in zip(B, M, strict=True)])  # fmt: skip
    return float((gains.sum() - gains).max())
