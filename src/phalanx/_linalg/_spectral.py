"""Eigenvalues as certificates: stability, and modes that no control can reach."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Mode:
    """An eigenvalue of A with the left eigenvector along which the input cannot act.

    Attributes:
        eigenvalue: the eigenvalue λ.
        direction: (n,) left eigenvector w, wᴴA = λwᴴ, scaled to a largest entry of 1.
    """

    eigenvalue: complex
    direction: np.ndarray

    def __str__(self) -> str:
        """The mode in words: its eigenvalue and the states it lives in."""
        value = self.eigenvalue.real if abs(self.eigenvalue.imag) < 1e-12 else self.eigenvalue
        where = ", ".join(f"x[{i}]" for i in np.flatnonzero(np.abs(self.direction) > 1e-6))
        return f"eigenvalue {value:.6g} (modulus {abs(self.eigenvalue):.6g}) along {where}"


def spectral_radius(A: Float[np.ndarray, "*batch n n"]) -> Float[np.ndarray, "*batch"]:
    """Largest modulus of the eigenvalues of A, one number per matrix of a batch."""
    return np.abs(np.linalg.eigvals(A)).max(axis=-1)


def is_stable(A: Float[np.ndarray, "*batch n n"], squarings: int = 60) -> np.ndarray:
    """Whether all eigenvalues lie inside the unit circle, proved by repeated squaring.

    ‖A^{2^k}‖ < 1 for some k proves stability; growth past 1/ε disproves it. A product costs a
    tenth of an eigenvalue decomposition, and the verdict is a norm inequality, not an eigenvalue.
    """
    power = np.array(A, dtype=float)
    stable = np.zeros(power.shape[:-2], bool)
    live = np.ones_like(stable)
    for _ in range(squarings):
        size = np.linalg.norm(power, axis=(-2, -1))
        stable |= live & (size < 1)
        live &= (size >= 1) & (size < 1e15)
        if not live.any():
            break
        power = np.where(live[..., None, None], power, 0.0)
        power = power @ power
    return stable


def unstabilisable_mode(A: np.ndarray, B: np.ndarray, tolerance: float = 1e-10) -> Mode | None:
    """The mode that makes (A, B) unstabilisable, by the Popov–Belevitch–Hautus test; None if none.

    Args:
        A: (n, n).
        B: (n, p).
        tolerance: share of the matrices' size below which [λI − A, B] counts as rank deficient.

    Example:
        >>> print(unstabilisable_mode(np.diag([1.2, 0.5]), np.array([[0.0], [1.0]])))
        eigenvalue 1.2 (modulus 1.2) along x[0]
    """
    n = A.shape[-1]
    scale = max(np.linalg.norm(A), np.linalg.norm(B), np.finfo(float).tiny)
    for eigenvalue in sorted(np.linalg.eigvals(A), key=abs, reverse=True):
        if abs(eigenvalue) < 1 - tolerance:
            return None
        left, singular, _ = np.linalg.svd(np.hstack([eigenvalue * np.eye(n) - A, B]))
        if singular[n - 1] <= tolerance * scale:
            direction = left[:, n - 1].conj()
            return Mode(complex(eigenvalue), direction / direction[np.argmax(np.abs(direction))])
    return None
