"""Strong stability: a stable loop with numbers a regret bound can use.

K is (κ, ρ)-strongly stable for (A, B) when A − BK = S L S⁻¹ with ‖L‖₂ ≤ 1 − ρ and ‖K‖, ‖S‖, ‖S⁻¹‖ ≤ κ. Every
stabilising K has such numbers. With G = (A − BK)/(1 − ρ) still stable, P = I + GᵀPG says in other
words that in the coordinates P^{1/2} x the loop contracts by 1 − ρ a step. Any root P = XᵀX gives
S = X⁻¹; it is scaled so that ‖S‖ = ‖S⁻¹‖, which is the least their maximum can be.

The root is computed, never P: doubling takes X to the triangular factor of [X; X G^{2^k}]. Near instability P's
condition number is beyond float64 long before its root's is.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from jaxtyping import Float

from phalanx._outcome import InputError, Outcome
from phalanx._types import MatrixLike, array, matrix

MAX_DOUBLINGS = 64
# A further term of P this small, in the root, is below rounding: P ⪰ I.
NEGLIGIBLE = 1e-9
# Share of ρ that rounding may take from the contraction before the certificate is refused.
SLACK = 1e-6
# Least singular value of a root, relative to its largest, that is not rounding.
WORST_ROOT = 1e-13


@dataclass(frozen=True, eq=False)
class StrongStability:
    """(κ, ρ) of one loop, with the similarity that proves them.

    Attributes:
        kappa: κ, infinite without a certificate.
        decay: ρ, 0 without a certificate.
        spectral_radius: of A − BK.
        S: (n, n) with A − BK = S L S⁻¹; None without a certificate.
        L: (n, n), ‖L‖₂ ≤ 1 − ρ; None without a certificate.
        outcome: "solved", or which eigenvalue is in the way.
    """

    kappa: float
    decay: float
    spectral_radius: float
    S: Float[np.ndarray, "n n"] | None
    L: Float[np.ndarray, "n n"] | None
    outcome: Outcome

    @property
    def ok(self) -> bool:
        """True when there is a certificate."""
        return self.outcome.ok


def strong_stability(
    A: MatrixLike, B: MatrixLike, K: MatrixLike, decay: float | None = None
) -> StrongStability:
    """The (κ, ρ)-strong stability of K for (A, B).

    A − BK = S L S⁻¹,   ‖L‖₂ ≤ 1 − ρ,   ‖K‖₂, ‖S‖₂, ‖S⁻¹‖₂ ≤ κ.

    κ is an upper bound of the least possible: S = I where ‖A − BK‖₂ ≤ 1 − ρ already, else S from the
    Lyapunov equation.

    Args:
        A: (n, n); for every matrix, a scalar means scalar times identity.
        B: (n, p).
        K: (p, n), for u = −K x.
        decay: ρ in (0, 1 − spectral radius). By default half of that margin: theory asks for a memory in
            proportion to κ²/ρ, which grows without bound at both ends. For one dominant mode it goes with
            1/(θ√(1−θ)) at the share θ of the margin, so half is within a tenth of the best share 2/3, and
            on the safe side where modes lie close to defective.

    Returns:
        `StrongStability`; where the loop is not stable, or not by that much, its outcome says so.

    Raises:
        InputError: shapes that do not fit, or a decay outside (0, 1).

    Source: Cohen et al. (2018), Online Linear Quadratic Control, with each of ‖S‖ and ‖S⁻¹‖ bounded as in P2's
    Assumptions 3 and 4.

    Example:
        >>> from phalanx.equilibria import strong_stability
        >>> loop = strong_stability(A=[[1, 1], [0, 1]], B=[[0], [1]], K=[[0.4, 1.2]])
        >>> round(loop.spectral_radius, 3), round(loop.decay, 3), round(loop.kappa, 2)
        (0.447, 0.276, 1.83)
    """
    A, B, K = _fitting(A, B, K)
    if decay is not None:
        rate = array("decay", decay)
        if rate.ndim or not 0 < rate < 1:
            raise InputError(f"decay must be a number between 0 and 1, but it is {decay!r}.")
        decay = float(rate)
    return certified(A - B @ K, K, decay, "A − BK")


def certified(F: np.ndarray, K: np.ndarray, decay: float | None, name: str) -> StrongStability:
    """The certificate of the loop F under gains of norm ‖K‖; `name` is F's name in sentences."""
    radius, mode = leading_mode(F)
    gain = float(np.linalg.norm(K, 2)) if K.size else 0.0
    if radius >= 1:
        return _failed(
            radius,
            "infeasible",
            f"{name} is not stable: it has {mode}.",
            "Choose gains that bring every eigenvalue inside the unit circle.",
        )
    rate = (1 - radius) / 2 if decay is None else decay
    if rate >= 1 - radius:
        return _failed(
            radius,
            "infeasible",
            f"{name} does not decay at the rate {rate:.6g} asked for: it has {mode}.",
            f"Ask for a decay below {1 - radius:.6g}.",
        )
    n = len(F)
    if np.linalg.norm(F, 2) <= 1 - rate:
        return _solved(max(1.0, gain), rate, radius, np.eye(n), F)
    root = _lyapunov_root(F / (1 - rate))
    values = None if root is None else np.linalg.svd(root, compute_uv=False)
    if root is not None and values is not None and values[-1] > WORST_ROOT * values[0]:
        # S = c X⁻¹ and S⁻¹ = X/c have the same norm at c² = σ_max σ_min.
        S = np.sqrt(values[0] * values[-1]) * scipy.linalg.solve_triangular(root, np.eye(n))
        L = scipy.linalg.solve_triangular(root, (root @ F).T, trans=1).T
        kappa = max(gain, float(np.sqrt(values[0] / values[-1])))
        if np.linalg.norm(L, 2) <= 1 - rate * (1 - SLACK):
            return _solved(kappa, rate, radius, S, L)
    return _failed(
        radius,
        "not_converged",
        f"{name} is stable, but so barely that float64 yields no certificate: it has {mode}.",
        "Choose gains that leave a wider margin.",
    )


def leading_mode(F: np.ndarray) -> tuple[float, str]:
    """Spectral radius, and in words the eigenvalue it belongs to and the states that move most."""
    values, vectors = np.linalg.eig(F)
    at = int(np.argmax(np.abs(values)))
    value, share = values[at], np.abs(vectors[:, at])
    radius = float(abs(value))
    number = f"{value.real:.6g}" if abs(value.imag) < 1e-12 else f"{value:.6g}"
    most = [i for i in np.argsort(-share, kind="stable")[:3] if share[i] > 1e-6 * share.max()]
    states = ", ".join(f"x[{i}]" for i in most)
    more = " and others" if (share > 1e-6 * share.max()).sum() > len(most) else ""
    return radius, f"eigenvalue {number} (modulus {radius:.6g}) along {states}{more}"


def _lyapunov_root(G: np.ndarray) -> np.ndarray | None:
    """Upper triangular X with XᵀX = P = I + GᵀPG, by doubling; None when it does not come to an end."""
    root, power = np.eye(len(G)), G
    with np.errstate(all="ignore"):  # overflow is how an unstable G ends
        for _ in range(MAX_DOUBLINGS):
            term = root @ power
            if not np.isfinite(term).all():
                return None
            if np.linalg.norm(term) <= NEGLIGIBLE:
                return root
            root = np.asarray(np.linalg.qr(np.vstack([root, term]), mode="r"))
            power = power @ power
    return None


def _fitting(
    A: MatrixLike, B: MatrixLike, K: MatrixLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    A, B = array("A", A), array("B", B)
    A = A.reshape(1, 1) if A.ndim == 0 else A
    n = A.shape[-1]
    A, B = matrix("A", A, n, n), matrix("B", B, n, B.shape[-1] if B.ndim else n)
    K = matrix("K", K, B.shape[-1], n)
    for name, value in (("A", A), ("B", B), ("K", K)):
        if value.ndim != 2:
            raise InputError(
                f"{name} has shape {value.shape} and must be one matrix: a certificate is for a loop constant in time."
            )
    return A, B, K


def _solved(
    kappa: float, rate: float, radius: float, S: np.ndarray, L: np.ndarray
) -> StrongStability:
    sentence = f"The loop is strongly stable with κ = {kappa:.6g} and ρ = {rate:.6g}."
    return StrongStability(kappa, rate, radius, S, L, Outcome("solved", sentence))


def _failed(radius: float, status, sentence: str, mend: str) -> StrongStability:
    return StrongStability(np.inf, 0.0, radius, None, None, Outcome(status, sentence, mend))
