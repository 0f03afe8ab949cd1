"""A million agents, explicitly, against vectorised NumPy."""

import resource

import numpy as np

import phalanx as px
from benchmarks._machine import Machine
from benchmarks._timing import Race, race

AGENTS, ROUNDS = 1_000_000, 100


def run(machine: Machine) -> list[Race]:
    scenario = px.scenario("two-by-two")
    system, cost, noise = scenario.game.system, scenario.game.cost, scenario.game.noise
    saddle = px.solve(scenario.game, 3.0)
    controller = px.MeanFieldFeedback(saddle.K1[0], saddle.L1[0])

    def ours():
        return px.simulate(
            system,
            controller,
            costs=cost,
            rounds=ROUNDS,
            n_agents=AGENTS,
            noise=noise,
            record="totals",
            precision="float32",
        )

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ours()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def floor(seconds: float) -> str:
        rate = AGENTS * ROUNDS / seconds
        # Least traffic of a stage: states and draws, read and written once each, float32.
        least = AGENTS * ROUNDS * 4 * 4 * 2
        return (
            f"{rate / 1e6:.0f}·10⁶ agent-steps/s on {machine.cores} cores (target 60); "
            f"{least / seconds / machine.bandwidth:.0%} of one thread's memory bandwidth: the draws bind; "
            f"peak memory +{(after - before) / 1e6:.2f} GB, {after / 1e6:.2f} GB in all"
        )

    return [
        race(
            "10⁶ agents, m=2, T=100, float32, with noise and costs",
            ours,
            lambda: numpy_peer(system, cost, noise, saddle),
            target="≥ 3",
            pairs=5,
            floor=floor,
        )
    ]


def numpy_peer(system, cost, noise, saddle):
    """The same simulation in vectorised float32 NumPy, its fast generator included."""
    rng = np.random.default_rng(0)
    A, A_bar, B, B_bar = (np.float32(X) for X in (system.A, system.A_bar, system.B, system.B_bar))
    Q, Q_bar, R, R_bar = (np.float32(X) for X in (cost.Q, cost.Q_bar, cost.R, cost.R_bar))
    K, L = np.float32(saddle.K1[0]), np.float32(saddle.L1[0])
    root, common = (np.float32(np.linalg.cholesky(X)) for X in (noise.Sigma, noise.Sigma_bar))
    x = np.float32(np.linalg.cholesky(noise.Sigma_0)) @ rng.standard_normal(
        (2, AGENTS), dtype=np.float32
    )
    total = noise_energy = 0.0
    for _ in range(ROUNDS):
        x_bar = x.mean(axis=1, keepdims=True)
        y = x - x_bar
        u = -K @ y - L @ x_bar
        u_bar = u.mean(axis=1, keepdims=True)
        v = u - u_bar
        own = root @ rng.standard_normal((2, AGENTS), dtype=np.float32)
        shared = common @ rng.standard_normal((2, 1), dtype=np.float32)
        total += float((y * (Q @ y)).sum() + (v * (R @ v)).sum()) / AGENTS
        total += float((x_bar * (Q_bar @ x_bar)).sum() + (u_bar * (R_bar @ u_bar)).sum())
        noise_energy += float((own * own).sum()) / AGENTS + float((shared * shared).sum())
        x = A @ x + B @ u + own + (A_bar @ x_bar + B_bar @ u_bar + shared)
    return total, noise_energy
