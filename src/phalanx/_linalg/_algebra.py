"""Two ways to do the same small set of matrix operations.

The game recursion is written once, in terms of an `Algebra`: product, transpose, the solution of a
positive definite system, and least eigenvalues. Two algebras exist because hardware asks for two:

`LAPACK`
    NumPy arrays, matrices on the *last* two axes, any leading batch axes. Each call is one BLAS or
    LAPACK call, so a single large game runs at the library's speed with no compilation.

`UNROLLED`
    JAX arrays, matrices on the *first* two axes, batch on the *trailing* axes, so that every scalar
    operation of the elimination is one long vector operation over the batch. No library call is
    made: XLA fuses the whole recursion step. A LAPACK call on a 4×4 matrix spends its time in the
    call, not in arithmetic; here the call is gone. For matrices of up to about eight rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any  # np.ndarray under LAPACK, jax.Array under UNROLLED


@dataclass(frozen=True)
class Algebra:
    """The operations a recursion step may use.

    Attributes:
        mul: matrix product.
        t: transpose.
        solve: `solve(S, X)` = S⁻¹X for symmetric positive definite S (what it returns for an S
            that is not is unspecified, but it does not raise).
        least_eigenvalue: least eigenvalue of a symmetric matrix (matrix axes dropped).
        scale: `scale(number, X)` multiplies each matrix of a batch by its own number.
        eye: `eye(X)`: an identity that broadcasts against the square matrices X.
    """

    mul: Callable[[Array, Array], Array]
    t: Callable[[Array], Array]
    solve: Callable[[Array, Array], Array]
    least_eigenvalue: Callable[[Array], Array]
    scale: Callable[[Array, Array], Array]
    eye: Callable[[Array], Array]


def _lapack_solve(S: np.ndarray, X: np.ndarray) -> np.ndarray:
    if S.shape[-1] == 1:  # a scalar division: the LAPACK call would cost ten times as much
        with np.errstate(divide="ignore", invalid="ignore"):
            return X / S
    try:
        return np.linalg.solve(S, X)
    except (
        np.linalg.LinAlgError
    ):  # exactly singular: only reached past the level, result is not used
        return np.full(np.broadcast_shapes(S.shape[:-2], X.shape[:-2]) + X.shape[-2:], np.nan)


def _lapack_least(S: np.ndarray) -> np.ndarray:
    if S.shape[-1] == 1:
        return S[..., 0, 0]
    if S.shape[-1] == 2:  # in closed form: a LAPACK call per matrix would cost fifty times as much
        with np.errstate(invalid="ignore"):
            mean, half = (S[..., 0, 0] + S[..., 1, 1]) / 2, (S[..., 0, 0] - S[..., 1, 1]) / 2
            least = mean - np.hypot(half, S[..., 0, 1])
        return np.where(np.isfinite(least), least, -np.inf)
    finite = np.asarray(np.isfinite(S).all(axis=(-1, -2)))
    safe = np.where(finite[..., None, None], S, 0.0)
    return np.where(finite, np.linalg.eigvalsh(safe)[..., 0], -np.inf)


LAPACK = Algebra(
    mul=np.matmul,
    t=lambda X: X.swapaxes(-1, -2),
    solve=_lapack_solve,
    least_eigenvalue=_lapack_least,
    scale=lambda number, X: np.asarray(number)[..., None, None] * X,
    eye=lambda X: np.eye(X.shape[-1]),
)
