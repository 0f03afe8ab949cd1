"""How far to step, from the curvature that costs showed.

Near a stage's saddle point the field F = (∇_{θ¹}, −∇_{θ²}) is linear: F(W* + E) = 2 M E Σ, half by half,
with M = diag(I, −I) S. An update multiplies an error in the direction of an eigenvalue λ of this map
by a known factor, and the best constant η makes the largest factor least.
"""

import numpy as np

from phalanx.learners._quadratic import Curvature

SAFETY = 0.9


def preconditioner(
    update: str, bend: Curvature | None, Sigma: np.ndarray, rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """(left (2, p+q, p+q), right (2, m, m)): the field is multiplied by both before the step."""
    left, right = np.stack([np.eye(rows)] * 2), np.stack([np.eye(Sigma.shape[-1])] * 2)
    if update in ("natural", "gauss_newton", "newton"):
        right = np.linalg.inv(Sigma)
    if bend is not None and update == "gauss_newton":
        own = bend.operator.copy()
        own[:, : bend.controls, bend.controls :] = own[:, bend.controls :, : bend.controls] = 0
        left = 0.5 * np.linalg.inv(own)
    if bend is not None and update == "newton":
        left = 0.5 * np.linalg.inv(bend.operator)
    return left, right


def spectrum(bend: Curvature, Sigma: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Eigenvalues λ of the preconditioned field of both halves."""
    out = []
    for M, sigma, one, other in zip(bend.operator, Sigma, left, right, strict=True):
        rows = np.linalg.eigvals(2 * one @ M)
        out.append(np.multiply.outer(rows, np.linalg.eigvals(sigma @ other)).ravel())
    return np.concatenate(out)


def factor(update: str, x: np.ndarray) -> np.ndarray:
    """|error after| / |error before| in an eigendirection with ηλ = x."""
    if update == "extragradient":
        return np.abs(1 - x + x**2)
    if update == "optimistic":  # z² − (1 − 2x) z − x = 0
        half = (1 - 2 * x) / 2
        gap = np.sqrt(half.astype(complex) ** 2 + x)
        return np.maximum(np.abs(half + gap), np.abs(half - gap))
    return np.abs(1 - x)


def best(update: str, eigenvalues: np.ndarray) -> float:
    """The constant η with the least worst factor, somewhat reduced; where none contracts, a careful one."""
    largest = np.abs(eigenvalues).max()
    tried = np.geomspace(1e-4, 4, 2000) / largest
    worst = factor(update, np.multiply.outer(tried, eigenvalues)).max(axis=1)
    i = int(worst.argmin())
    return float(SAFETY * tried[i]) if worst[i] < 1 else float(0.1 / largest)


def theory(bend: Curvature, Sigma: np.ndarray) -> tuple[float, float, float]:
    """(η, μ, L): Theorem 4's rule η = μ/L², for which ‖error‖² falls by 1 − ημ a step.

    μ is the least eigenvalue of both players' own curvature, L the field's Lipschitz constant.
    """
    p = bend.controls
    own = [
        min(np.linalg.eigvalsh(S[:p, :p])[0], -np.linalg.eigvalsh(S[p:, p:])[-1])
        * np.linalg.eigvalsh(sigma)[0]
        for S, sigma in zip(bend.S, Sigma, strict=True)
    ]
    mu = 2 * min(own)
    L = 2 * max(
        np.linalg.norm(M, 2) * np.linalg.norm(sigma, 2)
        for M, sigma in zip(bend.operator, Sigma, strict=True)
    )
    mu, L = float(mu), float(L)
    return (mu / L**2 if mu > 0 else 0.01 / L), mu, L
