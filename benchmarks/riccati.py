"""The game Riccati recursion and the stationary game, against NumPy, SciPy and QuantEcon."""

import numpy as np
import quantecon
import scipy.linalg
from threadpoolctl import threadpool_limits

from benchmarks._machine import Machine
from benchmarks._timing import Race, race
from phalanx.equilibria import LQGame, solve_stationary
from phalanx.equilibria._finite import solve_finite

GAMMA = 50.0


def games(n: int, p: int, q: int, horizon: float, batch: tuple[int, ...] = ()) -> LQGame:
    rng = np.random.default_rng(0)
    A = 0.9 * rng.normal(size=(*batch, 1, n, n)) / np.sqrt(n)
    B = rng.normal(size=(*batch, 1, n, p))
    D = rng.normal(size=(*batch, 1, n, q)) / np.sqrt(n)
    return LQGame(A, B, D, np.eye(n)[None], np.eye(p)[None], np.eye(n), horizon)


def direct(A, B, D, Q, R, Q_T, gamma, T):
    """The peer: the textbook recursion in NumPy and LAPACK, values, gains and margins."""
    M = Q_T
    values, K1, K2, margins = [M], [], [], []
    R_inverse = np.linalg.inv(R)
    S = B @ R_inverse @ B.T - D @ D.T / gamma**2
    RB, GD = R_inverse @ B.T, D.T / gamma**2
    eye_n, eye_q = np.eye(len(A)), np.eye(D.shape[1])
    for _ in range(T):
        margins.append(np.linalg.eigvalsh(gamma**2 * eye_q - D.T @ M @ D)[0])
        X = M @ np.linalg.solve(eye_n + S @ M, A)
        K1.append(RB @ X)
        K2.append(GD @ X)
        M = Q + A.T @ X
        values.append(M)
    return values, K1, K2, margins


def one(game: LQGame, i: tuple[int, ...] = ()):
    return (game.A[i][0], game.B[i][0], game.D[i][0], game.Q[0], game.R[0], game.Q_T)


def run(machine: Machine) -> list[Race]:
    out = []
    gamma = np.array(GAMMA)

    large = games(100, 20, 20, 100)
    n, p = 100, 20
    # Products with n×n results, and thin ones with an edge of p or q.
    work = 100 * (4 * n**3 + 14 * n**2 * p)
    with threadpool_limits(1):
        out.append(
            race(
                "game Riccati, T=100, n=100, m=q=20, one thread",
                lambda: solve_finite(large, gamma, "host"),
                lambda: direct(*one(large), GAMMA, 100),
                target="≥ 1",
                floor=lambda s: f"{work / s / machine.flops:.0%} of one thread's arithmetic peak",
            )
        )

    small = games(2, 2, 2, 100)
    out.append(
        race(
            "game Riccati, T=100, n=2, compiled",
            lambda: solve_finite(small, gamma, "compiled"),
            lambda: direct(*one(small), GAMMA, 100),
            target="≥ 10",
            pairs=21,
            calls=20,
            floor=lambda s: (
                f"{100 * 2 * 2**3 * 16 / s / machine.flops:.2%} of one thread's arithmetic peak: "
                f"{s / 100 * 1e6:.1f} µs a stage is the latency of a sequential loop"
            ),
        )
    )

    many = games(4, 2, 2, 50, (1000,))
    work_many = 1000 * 50 * 2 * (4**3 * 2 + 4 * 4 * 2 * 7)
    out.append(
        race(
            "1000 games of n=4, m=q=2, T=50",
            lambda: solve_finite(many, gamma, "compiled"),
            lambda: [direct(*one(many, (i,)), GAMMA, 50) for i in range(1000)],
            target="≥ 20",
            pairs=5,
            floor=lambda s: f"{work_many / s / machine.flops:.1%} of one thread's arithmetic peak",
        )
    )

    # SciPy and QuantEcon solve the regulator (γ = ∞): the question they can be asked.
    still = games(100, 20, 20, float("inf"))
    A, B, _, Q, R, _ = one(still)
    infinite = np.array(np.inf)
    # A doubling: W and A·, 4; the solution of W for 2n columns, 4.7; G and H, 8 (in n³).
    steps = solve_stationary(still, infinite).doublings
    doubling = steps * 16.7 * n**3

    def share(s: float) -> str:
        return f"{doubling / s / machine.flops:.0%} of one thread's arithmetic peak in {steps} doublings, the proof not counted"

    with threadpool_limits(1):
        out.append(
            race(
                "stationary, n=100, against SciPy's DARE, one thread",
                lambda: solve_stationary(still, infinite),
                lambda: scipy.linalg.solve_discrete_are(A, B, Q, R),
                target="≥ 1",
                floor=share,
            )
        )
        out.append(
            race(
                "stationary, n=100, against QuantEcon's doubling, one thread",
                lambda: solve_stationary(still, infinite),
                lambda: quantecon.solve_discrete_riccati(A, B, Q, R),
                target="≥ 1",
                floor=share,
            )
        )
    return out
