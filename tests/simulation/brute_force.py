"""Both kinds of system advanced by loops over rounds and agents, straight from the equations."""

from types import SimpleNamespace

import numpy as np

import phalanx as px

T, N, m, p, q = 6, 5, 3, 2, 4


def general_world(seed: int = 0) -> SimpleNamespace:
    """Every matrix general: time-varying, D̄ ≠ 0, no two sizes alike; gains, states and a record."""
    rng = np.random.default_rng(seed)

    def stages(*shape):
        return rng.normal(size=(T, *shape)) / 3

    def weights(size):
        F = stages(size, size)
        return F @ F.swapaxes(1, 2) + 0.1 * np.eye(size)

    return SimpleNamespace(
        system=px.MeanFieldSystem(
            A=stages(m, m),
            A_bar=stages(m, m),
            B=stages(m, p),
            B_bar=stages(m, p),
            D=stages(m, q),
            D_bar=stages(m, q),
        ),
        cost=px.MeanFieldCost(
            Q=weights(m),
            Q_bar=weights(m),
            R=weights(p),
            R_bar=weights(p),
            Q_T=weights(m)[0],
            Q_bar_T=weights(m)[1],
        ),
        K=stages(p, m),
        L=stages(p, m),
        x0=rng.normal(size=(N, m)),
        d=rng.normal(size=(T, N, q)),
    )


def play_population(world: SimpleNamespace) -> SimpleNamespace:
    """P1, eq. 1, agent by agent, under u = −K(x−x̄) − L x̄ and the recorded d: x, u, d."""
    system, x, u = world.system, [world.x0], []
    for t in range(T):
        now, mean = x[-1], x[-1].mean(axis=0)
        u.append(np.array([-world.K[t] @ (xi - mean) - world.L[t] @ mean for xi in now]))
        following = []
        for i in range(N):
            own = system.A[t] @ now[i] + system.B[t] @ u[t][i] + system.D[t] @ world.d[t, i]
            shared = (
                system.A_bar[t] @ mean
                + system.B_bar[t] @ u[t].mean(axis=0)
                + system.D_bar[t] @ world.d[t].mean(axis=0)
            )
            following.append(own + shared)
        x.append(np.array(following))
    return SimpleNamespace(x=np.array(x), u=np.array(u), d=world.d)


def stage_costs(cost: px.MeanFieldCost, x: np.ndarray, u: np.ndarray) -> np.ndarray:
    """P1, eq. 2's summands for t < T, agent by agent: (T,)."""
    paid = []
    for t in range(len(u)):
        z, u_bar = x[t].mean(axis=0), u[t].mean(axis=0)
        own = [
            (xi - z) @ cost.Q[t] @ (xi - z) + (ui - u_bar) @ cost.R[t] @ (ui - u_bar)
            for xi, ui in zip(x[t], u[t], strict=True)
        ]
        paid.append(np.mean(own) + z @ cost.Q_bar[t] @ z + u_bar @ cost.R_bar[t] @ u_bar)
    return np.array(paid)


def terminal_cost(cost: px.MeanFieldCost, x: np.ndarray) -> float:
    """P1, eq. 2's last two summands, of the states (N, m)."""
    z = x.mean(axis=0)
    return np.mean([(xi - z) @ cost.Q_T @ (xi - z) for xi in x]) + z @ cost.Q_bar_T @ z


def energies(d: np.ndarray) -> np.ndarray:
    """P1, eq. 3's |d−d̄|² + |d̄|² of every round: (T,)."""
    return np.array(
        [
            np.mean([(di - dt.mean(axis=0)) @ (di - dt.mean(axis=0)) for di in dt])
            + dt.mean(axis=0) @ dt.mean(axis=0)
            for dt in d
        ]
    )
