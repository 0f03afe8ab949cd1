"""Second routes to every number: plain NumPy, mpmath and SciPy, written from the theory page.

Nothing here uses the package's solvers. A game is taken apart by hand into two `Half`s (or one
stack of N agents), and solved in the textbook form Λ = I + (BR⁻¹Bᵀ − γ⁻²DE⁻¹Dᵀ)M, which the
package does not use.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import mpmath as mp
import numpy as np
import scipy.linalg

import phalanx as px


class Half(NamedTuple):
    """x' = A x + B u + D d with stage cost |x|²_Q + |u|²_R − γ²|d|²_E: lists over stages, and Q_T."""

    A: list[np.ndarray]
    B: list[np.ndarray]
    D: list[np.ndarray]
    Q: list[np.ndarray]
    R: list[np.ndarray]
    Q_T: np.ndarray
    E: np.ndarray


class Solution(NamedTuple):
    """M over t = 0..T, both sides' gains and the least eigenvalue of γ²E − DᵀM_{t+1}D over stages."""

    M: np.ndarray
    K1: np.ndarray
    K2: np.ndarray
    margin: np.ndarray


# --- games -------------------------------------------------------------------------------------


def random_game(
    rng: np.random.Generator,
    m: int = 2,
    p: int = 2,
    q: int = 2,
    T: float = 4,
    *,
    varying: bool = False,
    size: float = 0.7,
) -> px.RobustGame:
    """A game with general D, D̄, Q_T, R and full covariances; `varying`: every stage its own."""
    axis = (int(T),) if varying else ()

    def general(rows: int, columns: int) -> np.ndarray:
        return size * rng.normal(size=(*axis, rows, columns))

    def semidefinite(n: int, lead: tuple[int, ...] = axis, floor: float = 0.0) -> np.ndarray:
        X = rng.normal(size=(*lead, n, n))
        return X @ X.swapaxes(-1, -2) / n + floor * np.eye(n)

    return px.RobustGame(
        px.MeanFieldSystem(
            A=general(m, m),
            A_bar=0.5 * general(m, m),
            B=general(m, p),
            B_bar=0.5 * general(m, p),
            D=general(m, q),
            D_bar=0.5 * general(m, q),
        ),
        px.MeanFieldCost(
            Q=semidefinite(m),
            Q_bar=semidefinite(m),
            R=semidefinite(p, floor=0.5),
            R_bar=semidefinite(p, floor=0.5),
            Q_T=semidefinite(m, ()),
            Q_bar_T=semidefinite(m, ()),
        ),
        px.MeanFieldNoise(*(semidefinite(m, ()) for _ in range(4))),
        horizon=T,
    )


def by_stage(X: np.ndarray, T: int) -> list[np.ndarray]:
    """T matrices from a constant or a time-varying one."""
    return [X if X.ndim == 2 else X[t] for t in range(T)]


def halves(game: px.RobustGame) -> tuple[Half, Half]:
    """The deviation and the mean game, by hand; one stage when stationary."""
    s, c = game.system, game.cost
    T = 1 if game.horizon == float("inf") else int(game.horizon)
    E = np.eye(s.D.shape[-1])
    pick = [by_stage(X, T) for X in (s.A, s.B, s.D, c.Q, c.R)]
    mean = (s.A + s.A_bar, s.B + s.B_bar, s.D + s.D_bar, c.Q_bar, c.R_bar)
    return Half(*pick, c.Q_T, E), Half(*(by_stage(X, T) for X in mean), c.Q_bar_T, E)


def stack(game: px.RobustGame, N: int) -> tuple[Half, np.ndarray, np.ndarray]:
    """All N agents as one game, from P1's eqs. 1–3 agent by agent; and cov x_0, cov of the noise.

    Costs and energies are means over the agents: |d|²_E = mean_i |d^i − d̄|² + |d̄|².
    """
    s, c, w = game.system, game.cost, game.noise
    T = int(game.horizon)

    def dynamics(own: np.ndarray, mean: np.ndarray) -> list[np.ndarray]:
        return [
            np.block([[(i == j) * X + Y / N for j in range(N)] for i in range(N)])
            for X, Y in zip(by_stage(own, T), by_stage(mean, T), strict=True)
        ]

    def weight(deviation: np.ndarray, mean: np.ndarray) -> np.ndarray:
        n = len(mean)
        average = np.hstack([np.eye(n) / N] * N)
        total = average.T @ mean @ average
        for i in range(N):
            own = np.zeros((n, N * n))
            own[:, i * n : (i + 1) * n] = np.eye(n)
            total = total + (own - average).T @ deviation @ (own - average) / N
        return total

    def weights(deviation: np.ndarray, mean: np.ndarray) -> list[np.ndarray]:
        pairs = zip(by_stage(deviation, T), by_stage(mean, T), strict=True)
        return [weight(X, Y) for X, Y in pairs]

    def covariance(each: np.ndarray, common: np.ndarray) -> np.ndarray:
        return np.block([[(i == j) * each + common for j in range(N)] for i in range(N)])

    I_q = np.eye(s.D.shape[-1])
    whole = Half(
        dynamics(s.A, s.A_bar),
        dynamics(s.B, s.B_bar),
        dynamics(s.D, s.D_bar),
        weights(c.Q, c.Q_bar),
        weights(c.R, c.R_bar),
        weight(c.Q_T, c.Q_bar_T),
        weight(I_q, I_q),
    )
    return whole, covariance(w.Sigma_0, w.Sigma_bar_0), covariance(w.Sigma, w.Sigma_bar)


def stacked_gain(deviation: np.ndarray, mean: np.ndarray, N: int) -> np.ndarray:
    """The gain of all agents at once when each plays K (x^i − x̄) + L x̄."""
    return np.kron(np.eye(N) - 1 / N, deviation) + np.kron(np.full((N, N), 1 / N), mean)


# --- the finite game ---------------------------------------------------------------------------


def backwards(half: Half, gamma: float) -> Iterator[tuple[np.ndarray, ...]]:
    """(M_t, K1_t, K2_t, γ²E − DᵀM_{t+1}D) for t = T−1..0; what comes after a failure is noise."""
    M = half.Q_T
    for A, B, D, Q, R in reversed(list(zip(*half[:5], strict=True))):
        gap = gamma**2 * half.E - D.T @ M @ D if np.isfinite(gamma) else np.array([[np.inf]])
        R_inv, E_inv = np.linalg.inv(R), np.linalg.inv(half.E) / gamma**2
        Lambda = np.eye(len(A)) + (B @ R_inv @ B.T - D @ E_inv @ D.T) @ M
        W = M @ np.linalg.inv(Lambda)
        M = Q + A.T @ W @ A
        yield M, R_inv @ B.T @ W @ A, E_inv @ D.T @ W @ A, gap


def least(gap: np.ndarray) -> float:
    """Least eigenvalue; infinite for γ = ∞."""
    return np.inf if np.isinf(gap).any() else float(np.linalg.eigvalsh(gap)[0])


def textbook(half: Half, gamma: float) -> Solution:
    """The recursion of the theory page, in float64, with no thought given to rounding."""
    M, K1, K2, gaps = (list(X)[::-1] for X in zip(*backwards(half, gamma), strict=True))
    margin = np.array([least(gap) for gap in gaps])
    return Solution(np.array([*M, half.Q_T]), np.array(K1), np.array(K2), margin)


def has_saddle_point(half: Half, gamma: float) -> bool:
    """Whether all margins are positive; stops at the first, backwards, that is not."""
    try:
        return all(least(gap) > 0 for *_, gap in backwards(half, gamma))
    except np.linalg.LinAlgError:  # with a positive margin Λ is invertible
        return False


def textbook_mp(half: Half, gamma, digits: int = 50) -> Solution:
    """The same with `digits` digits; numbers come back as mpmath's, in object arrays."""
    with mp.workdps(digits):
        to_mp = lambda X: mp.matrix(X.tolist())  # noqa: E731
        gamma = mp.mpf(gamma)
        M, K1, K2, margin = [to_mp(half.Q_T)], [], [], []
        for stage in reversed(list(zip(*half[:5], strict=True))):
            A, B, D, Q, R = (to_mp(X) for X in stage)
            last = M[0]
            R_inv = R**-1
            W = last * (mp.eye(A.rows) + (B * R_inv * B.T - D * D.T / gamma**2) * last) ** -1
            M.insert(0, Q + A.T * W * A)
            K1.insert(0, R_inv * B.T * W * A)
            K2.insert(0, D.T * W * A / gamma**2)
            margin.insert(0, gamma**2 - max(mp.eigsy(D.T * last * D, eigvals_only=True)))
        as_array = lambda Xs: np.array([X.tolist() for X in Xs])  # noqa: E731
        return Solution(as_array(M), as_array(K1), as_array(K2), np.array(margin))


def play(half: Half, K1: np.ndarray, K2: np.ndarray, gamma: float) -> np.ndarray:
    """Cost-to-go matrices P of J − γ²·energy for any gains: a Lyapunov recursion, exact."""
    P = [half.Q_T]
    stages = list(zip(*half[:5], K1, K2, strict=True))
    for A, B, D, Q, R, k1, k2 in reversed(stages):
        closed = A - B @ k1 + D @ k2
        paid = Q + k1.T @ R @ k1 - gamma**2 * k2.T @ half.E @ k2
        P.insert(0, paid + closed.T @ P[0] @ closed)
    return np.array(P)


def value(game: px.RobustGame, M: np.ndarray, M_bar: np.ndarray, N: float) -> float:
    """V_N of the theory page, term by term; M, M̄ over t = 0..T."""
    w, a, s = game.noise, 1 - 1 / N, 1 / N
    first = a * np.trace(M[0] @ w.Sigma_0)
    first += np.trace(M_bar[0] @ (w.Sigma_bar_0 + s * w.Sigma_0))
    each, common = a * w.Sigma, w.Sigma_bar + s * w.Sigma
    return first + sum(
        np.trace(M[t] @ each) + np.trace(M_bar[t] @ common) for t in range(1, len(M))
    )


def power(game: px.RobustGame) -> float:
    """T Tr(Σ + Σ̄)."""
    return game.horizon * np.trace(game.noise.Sigma + game.noise.Sigma_bar)


def bisect(holds: Callable, low, high, digits: int = 50):
    """Where `holds` turns from false at `low` to true at `high`, to a relative 1e-13."""
    with mp.workdps(digits):
        assert not holds(low)
        assert holds(high)
        low, high = mp.mpf(low), mp.mpf(high)
        while high > low * (1 + mp.mpf("1e-13")):
            middle = (low + high) / 2
            low, high = (low, middle) if holds(middle) else (middle, high)
        return float(high)


def saddle_level(*games: Half) -> float:
    """Least γ at which all of the finite games have a saddle point, in float64."""

    def holds(gamma) -> bool:
        return all(has_saddle_point(half, float(gamma)) for half in games)

    high = 1.0
    while not holds(high):
        high *= 2
    return bisect(holds, 1e-9, high)


def theorem3_dense(half: Half, solution: Solution, gamma: float) -> float:
    """‖ΨᵀWΨ‖_F with Ψ and W written out as block matrices over t = 0..T."""
    T, n = len(half.A), len(half.Q_T)
    A, B, D = half.A, half.B, half.D
    K1, K2 = solution.K1, solution.K2
    Psi, W = np.zeros((2, (T + 1) * n, (T + 1) * n))
    for i in range(T + 1):
        Phi = np.eye(n)
        for t in range(i, T + 1):
            Psi[t * n : (t + 1) * n, i * n : (i + 1) * n] = Phi
            if t < T:
                Phi = (A[t] - B[t] @ K1[t] + D[t] @ K2[t]) @ Phi
    for t in range(T + 1):
        paid = half.Q_T
        if t < T:
            paid = half.Q[t] + K1[t].T @ half.R[t] @ K1[t] - gamma**2 * K2[t].T @ K2[t]
        W[t * n : (t + 1) * n, t * n : (t + 1) * n] = paid
    return float(np.linalg.norm(Psi.T @ W @ Psi))


# --- the stationary game -----------------------------------------------------------------------


def stacked_dare(half: Half, gamma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(M, K1, K2) from SciPy's DARE with the input [B D] and the indefinite weight (R, −γ²I)."""
    A, B, D, Q, R = (X[0] for X in half[:5])
    both = np.hstack([B, D])
    weight = scipy.linalg.block_diag(R, -(gamma**2) * half.E)
    M = scipy.linalg.solve_discrete_are(A, both, Q, weight)
    gains = np.linalg.solve(weight + both.T @ M @ both, both.T @ M @ A)
    return M, gains[: B.shape[1]], -gains[B.shape[1] :]


def stabilising_mp(half: Half, gamma, digits: int = 50) -> tuple[np.ndarray, float] | None:
    """(M, margin) from the stable eigenvectors of the symplectic matrix, with `digits` digits.

    None where fewer than n eigenvalues lie strictly inside the unit circle. A must be invertible.
    """
    with mp.workdps(digits):
        A, B, D, Q, R = (mp.matrix(X[0].tolist()) for X in half[:5])
        n = A.rows
        G = B * R**-1 * B.T - D * D.T / mp.mpf(gamma) ** 2
        back = (A.T) ** -1
        Z = mp.matrix(2 * n)
        Z[:n, :n], Z[:n, n:], Z[n:, :n], Z[n:, n:] = A + G * back * Q, -G * back, -back * Q, back
        eigenvalues, vectors = mp.eig(Z)
        inside = [k for k in range(2 * n) if abs(eigenvalues[k]) < 1 - mp.mpf("1e-15")]
        if len(inside) != n:
            return None
        X = mp.matrix(2 * n, n)
        for column, k in enumerate(inside):
            X[:, column] = vectors[:, k]
        M = (X[n:, :] * X[:n, :] ** -1).apply(mp.re)
        gap = mp.mpf(gamma) ** 2 - max(mp.eigsy(D.T * M * D, eigvals_only=True))
        least = min(mp.eigsy((M + M.T) / 2, eigvals_only=True))
        if least < -mp.mpf("1e-20"):
            return None
        return np.array(M.tolist(), float).reshape(n, n), float(gap)


def stationary_level_mp(half: Half, low: float, high: float) -> float:
    """Least γ with a stabilising M ⪰ 0 and a positive margin, by bisection with 50 digits."""

    def holds(gamma) -> bool:
        solved = stabilising_mp(half, gamma)
        return solved is not None and solved[1] > 0

    return bisect(holds, low, high)
