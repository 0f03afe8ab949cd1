"""A population played out agent by agent in NumPy, from P1's eqs. 1–3: no scan, no split."""

import numpy as np
from _oracles import Half, by_stage, stack, stacked_gain

import phalanx as px


def rounds_of(gain: np.ndarray, T: int) -> list[np.ndarray]:
    return by_stage(np.asarray(gain, float), T)


def play(
    game: px.RobustGame, K: np.ndarray, L: np.ndarray, d: np.ndarray, x0: np.ndarray | None = None
) -> tuple[float, float]:
    """(J, energy of d) of N agents with disturbances d of shape (T, N, q), without noise."""
    s, c = game.system, game.cost
    T, N, _ = d.shape
    x = np.zeros((N, s.state_size)) if x0 is None else np.array(x0, float)
    pick = [by_stage(X, T) for X in (s.A, s.A_bar, s.B, s.B_bar, s.D, s.D_bar)]
    weights = [by_stage(X, T) for X in (c.Q, c.Q_bar, c.R, c.R_bar)]
    gains = list(zip(rounds_of(K, T), rounds_of(L, T), strict=True))
    cost = energy = 0.0

    def form(own: np.ndarray, X: np.ndarray, mean: np.ndarray, X_bar: np.ndarray) -> float:
        deviations = [v - mean for v in own]
        return sum(v @ X @ v for v in deviations) / N + mean @ X_bar @ mean

    for t in range(T):
        A, A_bar, B, B_bar, D, D_bar = (X[t] for X in pick)
        Q, Q_bar, R, R_bar = (X[t] for X in weights)
        x_bar = x.mean(axis=0)
        K_t, L_t = gains[t]
        u = np.array([-K_t @ (own - x_bar) - L_t @ x_bar for own in x])
        u_bar, d_bar = u.mean(axis=0), d[t].mean(axis=0)
        cost += form(x, Q, x_bar, Q_bar) + form(u, R, u_bar, R_bar)
        energy += sum((v - d_bar) @ (v - d_bar) for v in d[t]) / N + d_bar @ d_bar
        shared = A_bar @ x_bar + B_bar @ u_bar + D_bar @ d_bar
        x = np.array([A @ x[i] + B @ u[i] + D @ d[t, i] + shared for i in range(N)])
    cost += form(x, c.Q_T, x.mean(axis=0), c.Q_bar_T)
    return float(cost), float(energy)


def spread(signal: np.ndarray, through: str, N: int) -> np.ndarray:
    """A (T, q) signal over N agents: all alike, or half of them against the other half."""
    if through == "mean":
        signs = np.ones(N)
    else:
        signs = np.where(np.arange(N) % 2 == 0, 1.0, -1.0)
        if N % 2:
            signs[-1] = 0.0
        signs *= np.sqrt(N / np.sum(signs**2))
    return signal[:, None, :] * signs[:, None]


def cost_matrix(game: px.RobustGame, K: np.ndarray, L: np.ndarray, N: int) -> tuple:
    """(H, E) with J = dᵀHd and energy dᵀEd, for all disturbances of all N agents in one vector."""
    whole: Half = stack(game, N)[0]
    T, q = len(whole.A), len(whole.E)
    gains = list(zip(rounds_of(K, T), rounds_of(L, T), strict=True))
    n = len(whole.Q_T)
    response = np.zeros((n, T * q))  # x_t as a matrix of (d_0 … d_{T−1})
    H = np.zeros((T * q, T * q))
    for t in range(T):
        gain = stacked_gain(*gains[t], N)
        H += response.T @ (whole.Q[t] + gain.T @ whole.R[t] @ gain) @ response
        response = (whole.A[t] - whole.B[t] @ gain) @ response
        response[:, t * q : (t + 1) * q] += whole.D[t]
    H += response.T @ whole.Q_T @ response
    return H, np.kron(np.eye(T), whole.E)
