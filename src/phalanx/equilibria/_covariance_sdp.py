"""The covariance programme: a stabilising gain with its strong stability, from one convex problem.

Σ is the covariance of (x, u) in steady state. Minimise what it costs, subject to covering one step of the
system and to a bounded size:

    minimise Q•Σ_xx + R•Σ_uu    subject to    Σ_xx ⪰ [A B] Σ [A B]ᵀ + W,   Σ ⪰ 0,   Tr Σ ≤ ν

With K = −Σ_ux Σ_xx⁻¹ and σ² the least eigenvalue of W, X = Σ_xx gives FXFᵀ ⪯ X − W ⪯ (1 − σ²/ν) X for F = A − BK:
in the coordinates X^{-1/2} x the loop contracts, and K is (κ, ρ)-strongly stable with κ = √(ν/σ²), ρ = 1/(2κ²).

A solver's Σ holds its constraints to six or seven digits. The certificate does not lean on them: K is taken
from Σ, and X anew from the Lyapunov equation X = FXFᵀ + W.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
from jaxtyping import Float

from phalanx._linalg._spectral import unstabilisable_mode
from phalanx._outcome import InputError, Outcome
from phalanx._types import MatrixLike, array, matrix, symmetric
from phalanx.equilibria._strong_stability import StrongStability, certified, leading_mode

# What a solver's tolerance may take from the trace bound.
SOLVER_ROUNDING = 1e-5


@dataclass(frozen=True, eq=False)
class CovarianceDesign:
    """The programme's gain and what it promises.

    Attributes:
        K: (p, n), u = −K x; NaN without a solution.
        Sigma: (n+p, n+p) the covariance found, of (x, u).
        value: Q•Σ_xx + R•Σ_uu, the cost a round under noise of covariance W; at best the LQ regulator's.
        trace_bound: ν, as given, or the trace found.
        stability: κ = √(ν/σ²) and ρ = 1/(2κ²), with S = X^{1/2} balanced and L = S⁻¹(A − BK)S.
        direct: the certificate `strong_stability` finds for the same K at the same ρ.
        outcome: "solved", or what stood in the way.
    """

    K: Float[np.ndarray, "p n"]
    Sigma: Float[np.ndarray, "m m"]
    value: float
    trace_bound: float
    stability: StrongStability
    direct: StrongStability
    outcome: Outcome

    @property
    def ok(self) -> bool:
        """True when the gain is certified."""
        return self.outcome.ok


def covariance_sdp(
    A: MatrixLike,
    B: MatrixLike,
    Q: MatrixLike = 1.0,
    R: MatrixLike = 1.0,
    W: MatrixLike = 1.0,
    trace_bound: float | None = None,
    *,
    throw: bool = False,
) -> CovarianceDesign:
    """The gain of the covariance programme of one controller, with its (κ, ρ).

    Needs `cvxpy`, which the extra `sdp` installs.

    Args:
        A: (n, n); for every matrix, a scalar means scalar times identity.
        B: (n, p).
        Q: (n, n) positive semidefinite.
        R: (p, p) positive definite.
        W: (n, n) covariance of the disturbance, positive definite.
        trace_bound: ν, the largest steady-state Tr Σ allowed; smaller asks for a better certificate. When left
            out the trace is free, and ν is what it came to.
        throw: raise `NoSolutionError` where there is no certified gain.

    Returns:
        `CovarianceDesign`.

    Raises:
        InputError: shapes or signs that do not fit, or no `cvxpy`.
        NoSolutionError: with `throw`, infeasible or unstabilisable.

    Source: Cohen et al. (2018), Online Linear Quadratic Control, with ⪰ for their equality.

    Example:
        >>> from phalanx.equilibria import covariance_sdp
        >>> design = covariance_sdp(A=1.0, B=1.0)
        >>> round(float(design.K[0, 0]), 4), round(design.value, 4)
        (0.618, 1.618)
    """
    A, B, Q, R, W = _fitting(A, B, Q, R, W)
    bound = None
    if trace_bound is not None:
        given = array("trace_bound", trace_bound)
        if given.ndim or not given > 0:
            raise InputError(f"trace_bound must be a positive number, but it is {trace_bound!r}.")
        bound = float(given)
    mode = unstabilisable_mode(A, B)
    if mode is not None:
        result = _nothing(
            A,
            B.shape[1],
            Outcome(
                "unstabilisable",
                f"(A, B) cannot be stabilised: no control reaches the mode with {mode}.",
                "Give the control a way to act on that state.",
            ),
        )
    else:
        result = _designed(A, B, Q, R, W, bound)
    if throw:
        result.outcome.raise_if_failed()
    return result


def _designed(
    A: np.ndarray, B: np.ndarray, Q: np.ndarray, R: np.ndarray, W: np.ndarray, bound: float | None
) -> CovarianceDesign:
    n, p = B.shape
    Sigma, status = _solved(A, B, Q, R, W, bound)
    if Sigma is None:
        sentence = f"The covariance programme has no solution: the solver says {status}."
        mend = "Check the scale of the matrices."
        if bound is not None:
            sentence = f"No gain keeps the steady-state trace below trace_bound = {bound:.6g}."
            mend = "Raise trace_bound; left out, it is free."
        return _nothing(A, p, Outcome("infeasible", sentence, mend))
    K = -scipy.linalg.solve(Sigma[:n, :n], Sigma[:n, n:], assume_a="pos").T
    F = A - B @ K
    radius, mode = leading_mode(F)
    if radius >= 1:
        outcome = Outcome(
            "not_converged",
            f"The solver's covariance yields a gain whose loop has {mode}.",
            "Scale states and controls to like sizes.",
        )
        return _nothing(A, p, outcome)
    X = scipy.linalg.solve_discrete_lyapunov(F, W)
    X = (X + X.T) / 2
    trace = float(np.trace(X) + np.trace(K @ X @ K.T))
    if bound is not None and trace > bound * (1 + SOLVER_ROUNDING):
        outcome = Outcome(
            "not_converged",
            f"The solver's gain has a steady-state trace of {trace:.6g}, above trace_bound = {bound:.6g}.",
            "Raise trace_bound a little, or scale states and controls to like sizes.",
        )
        return _nothing(A, p, outcome)
    nu = trace if bound is None else max(bound, trace)
    kappa = float(np.sqrt(nu / np.linalg.eigvalsh(W)[0]))
    rate = 1 / (2 * kappa**2)
    stability = _by_formula(F, K, X, kappa, rate, radius)
    direct = certified(F, K, rate, "A − BK")
    value = float(np.sum(Q * X) + np.sum(R * (K @ X @ K.T)))
    return CovarianceDesign(K, Sigma, value, nu, stability, direct, stability.outcome)


def _solved(
    A: np.ndarray, B: np.ndarray, Q: np.ndarray, R: np.ndarray, W: np.ndarray, bound: float | None
) -> tuple[np.ndarray | None, str]:
    """The optimal Σ, or None with the solver's word for what happened."""
    cp = _cvxpy()
    n, p = B.shape
    # Σ scales with W, and the minimiser ignores the cost's scale: the solver sees both at size one.
    size, price = np.linalg.eigvalsh(W)[-1], max(np.abs(Q).max(), np.abs(R).max())
    W, Q, R = W / size, Q / price, R / price
    # PSD=True makes the variables symmetric by construction: equalities are stated once per entry
    # of the upper triangle, since the solver fails on redundant ones.
    Sigma = cp.Variable((n + p, n + p), PSD=True)
    slack = cp.Variable((n, n), PSD=True)
    step = np.hstack([A, B])
    upper = np.triu_indices(n)
    difference = Sigma[:n, :n] - step @ Sigma @ step.T - W - slack
    constraints = [difference[upper] == 0]
    if bound is not None:
        constraints.append(cp.trace(Sigma) <= bound / size)
    cost = cp.trace(Q @ Sigma[:n, :n]) + cp.trace(R @ Sigma[n:, n:])
    problem = cp.Problem(cp.Minimize(cost), constraints)
    try:
        with (
            warnings.catch_warnings()
        ):  # how accurate the solution is gets judged by its certificate
            warnings.simplefilter("ignore")
            problem.solve(solver=cp.CLARABEL)
    except cp.error.SolverError as error:
        return None, str(error).splitlines()[0]
    if problem.status not in ("optimal", "optimal_inaccurate") or Sigma.value is None:
        return None, problem.status
    value = size * np.array(Sigma.value)
    return (value + value.T) / 2, problem.status


def _by_formula(
    F: np.ndarray, K: np.ndarray, X: np.ndarray, kappa: float, rate: float, radius: float
) -> StrongStability:
    """The lemma's certificate, each of its inequalities looked at before it is handed out."""
    values, vectors = np.linalg.eigh(X)
    balance = float(np.sqrt(np.sqrt(values[0] * values[-1])))
    S = (vectors * (np.sqrt(values) / balance)) @ vectors.T
    inverse = (vectors * (balance / np.sqrt(values))) @ vectors.T
    L = inverse @ F @ S
    most = max(np.linalg.norm(M, 2) for M in (K, S, inverse))
    if np.linalg.norm(L, 2) <= 1 - rate * (1 - 1e-6) and most <= kappa * (1 + 1e-6):
        sentence = f"The loop is strongly stable with κ = {kappa:.6g} and ρ = {rate:.6g}, by the programme's own bound."
        return StrongStability(kappa, rate, radius, S, L, Outcome("solved", sentence))
    outcome = Outcome(
        "not_converged",
        "The gain stabilises, but rounding is larger than the margin of the programme's certificate.",
        "Scale states and controls to like sizes.",
    )
    return StrongStability(np.inf, 0.0, radius, None, None, outcome)


def _nothing(A: np.ndarray, p: int, outcome: Outcome) -> CovarianceDesign:
    n = len(A)
    none = StrongStability(np.inf, 0.0, np.nan, None, None, outcome)
    return CovarianceDesign(
        np.full((p, n), np.nan),
        np.full((n + p, n + p), np.nan),
        np.nan,
        np.nan,
        none,
        none,
        outcome,
    )


def _cvxpy() -> Any:
    try:
        import cvxpy
    except ImportError as error:
        raise InputError(
            'The covariance programme needs cvxpy, which is not installed; install phalanx with its extra "sdp", or choose method "lqr".'
        ) from error
    return cvxpy


def _fitting(A, B, Q, R, W) -> tuple[np.ndarray, ...]:
    A, B = array("A", A), array("B", B)
    A = A.reshape(1, 1) if A.ndim == 0 else A
    n = A.shape[-1]
    A, B = matrix("A", A, n, n), matrix("B", B, n, B.shape[-1] if B.ndim else n)
    p = B.shape[-1]
    Q, R = symmetric("Q", Q, n), symmetric("R", R, p, definite=True)
    W = symmetric("W", W, n, definite=True)
    for name, value in (("A", A), ("B", B), ("Q", Q), ("R", R), ("W", W)):
        if value.ndim != 2:
            raise InputError(
                f"{name} has shape {value.shape} and must be one matrix: a steady state needs matrices constant in time."
            )
    return A, B, Q, R, W
