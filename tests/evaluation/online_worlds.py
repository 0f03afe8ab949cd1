"""Linear systems with several agents, played and replayed round by round in NumPy: no scan, no shared code."""

from collections.abc import Callable

import numpy as np
import scipy.linalg

import phalanx as px


def lqr(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    n, p = B.shape
    P = scipy.linalg.solve_discrete_are(A, B, np.eye(n), np.eye(p))
    return np.linalg.solve(np.eye(p) + B.T @ P @ B, B.T @ P @ A)


def fixture(T: int = 1000) -> tuple[px.LinearSystem, np.ndarray, np.ndarray]:
    """The issue's double integrator under a sinusoid: system, LQR gain, disturbances."""
    system = px.LinearSystem(A=[[1.0, 1.0], [0.0, 1.0]], B=[[0.0], [1.0]])
    w = np.sin(np.arange(T) / (2 * np.pi))[:, None] * np.ones(2)
    return system, lqr(system.A, system.input_matrix(0)), w


def team_of_three() -> tuple[px.LinearSystem, list[np.ndarray]]:
    """Three agents with two, one and one inputs, a disturbance with fewer channels than states, and their gains."""
    draws = np.random.default_rng(5)
    A = 0.5 * scipy.linalg.orth(draws.normal(size=(3, 3)))
    B = [0.3 * draws.normal(size=(3, p)) for p in (2, 1, 1)]
    system = px.LinearSystem(A, B, draws.normal(size=(3, 2)))
    return system, [0.3 * draws.normal(size=(b.shape[1], 3)) for b in B]


def play_three(setting: str, T: int = 60, cost: object = None, **settings: object):
    """A recorded run of three learners."""
    system, gains = team_of_three()
    learners = px.team(
        system, gains, setting=setting, memory=3, step_size=0.02, radius=0.4, **settings
    )
    draws = np.random.default_rng(1)
    return px.simulate(
        system,
        learners,
        px.Replay(np.sin(np.arange(T) / 3)[:, None] + draws.normal(size=(T, 2))),
        cost or px.Quadratic(1.0, 0.5),
        rounds=T,
        x0=[1.0, -1.0, 0.5],
        information="independent" if setting == "independent" else "aggregated",
        record="parameters",
    )


def one_agent(
    A: np.ndarray, B: np.ndarray, K: np.ndarray, w: np.ndarray, cost: object, **settings: object
):
    """A recorded run of one linear agent on given disturbances."""
    return px.simulate(
        px.LinearSystem(A, B), px.LinearFeedback(K), px.Replay(w), cost, rounds=len(w), **settings
    )


def play_agents(
    system: px.LinearSystem,
    w: np.ndarray,
    x0: np.ndarray,
    controls: list[Callable[[int, np.ndarray, list[np.ndarray]], np.ndarray]],
) -> tuple[np.ndarray, list[np.ndarray]]:
    """States and controls, every agent's control a function of (t, x, disturbances E w so far)."""
    x, xs, past = np.array(x0, float), [], []
    us: list[list[np.ndarray]] = [[] for _ in controls]
    for t, w_t in enumerate(w):
        u = [control(t, x, past) for control in controls]
        xs.append(x)
        for kept, u_i in zip(us, u, strict=True):
            kept.append(u_i)
        past.append(system.E @ w_t)
        x = system.A @ x + sum(system.input_matrix(i) @ u[i] for i in range(len(u))) + past[-1]
    return np.array(xs), [np.array(u) for u in us]


def action(K: np.ndarray, M: np.ndarray) -> Callable:
    """u = −K x + Σ_p M^{[p]} w_{t−p}; M (H, p, n) fixed or (T, H, p, n) by rounds."""

    def control(t: int, x: np.ndarray, past: list[np.ndarray]) -> np.ndarray:
        now = M if M.ndim == 3 else M[t]
        seen = zip(now, reversed(past), strict=False)
        return -K @ x + sum((m @ w for m, w in seen), start=np.zeros(len(K)))

    return control


def quadratic_costs(x: np.ndarray, u: np.ndarray, Q: float, R: float) -> np.ndarray:
    return Q * (x**2).sum(1) + R * (u**2).sum(1)
