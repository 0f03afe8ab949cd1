"""Online control: rounds a second in the scan, microseconds a round in a loop, many agents, best DAC in hindsight.

The peer is the same algorithm in plain NumPy, written by the formulas: every power of F and every
sum of the gradient as one contraction, projection by SVD each round, no history tricks.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np

import phalanx as px
from benchmarks._machine import Machine
from benchmarks._timing import Race, race

STREAMED = 20_000


def run(machine: Machine) -> list[Race]:
    """All rows."""
    small, large = World(10, 5), World(100, 10)
    return [
        a_round(
            "one agent, n = 10, p = 5, H = 10, float64", small, 20_000, 1000, "≥ 120,000 rounds/s"
        ),
        a_round("the same, every block on the ball in every round", small, 20_000, 1000, "–", 1e-3),
        a_round("one agent, n = 100, p = 10, H = 10", large, 4000, 100, "≥ 12,000 rounds/s"),
        streaming(small),
        many(),
        race(
            "best DAC in hindsight, T = 10⁴, n = 10, p = 5, H = 10 (500 unknowns)",
            hindsight(small),
            None,
            target="< 5 s",
            pairs=3,
        ),
    ]


class World:
    """A stable system, one agent, bounded noise."""

    def __init__(self, n: int, p: int, agents: int = 1, memory: int = 10):
        rng = np.random.default_rng(0)
        A = rng.normal(size=(n, n))
        self.A = 0.9 * A / np.abs(np.linalg.eigvals(A)).max()
        self.B = rng.normal(size=(agents, n, p)) / np.sqrt(n) / agents
        self.system = px.LinearSystem(self.A, self.B)
        self.w = 0.1 * rng.uniform(-1, 1, size=(20_000, n))
        self.disturbance = px.Replay(self.w)
        self.memory, self.n, self.p, self.agents = memory, n, p, agents
        self.cost = px.Quadratic()

    def team(self, radius: float = 10.0) -> list:
        """The learners."""
        zero = np.zeros((self.p, self.n))
        settings = {"memory": self.memory, "step_size": 1e-4, "radius": radius}
        return px.team(self.system, [zero] * self.agents, **settings)

    def scan(self, T: int, radius: float = 10.0) -> object:
        """Ours."""
        return px.simulate(self.system, self.team(radius), self.disturbance, self.cost, rounds=T)

    def numpy(self, T: int, radius: float = 10.0) -> None:
        """The peer."""
        H, n, p, A, B = self.memory, self.n, self.p, self.A, self.B[0]
        powers = np.stack([np.linalg.matrix_power(A, k) for k in range(H + 1)])
        reach = powers @ B
        M, x, w = np.zeros((H, p, n)), np.zeros(n), np.zeros((2 * H + 2, n))
        lag = np.arange(H + 1)[:, None] + np.arange(1, H + 1)  # k + p
        for t in range(T):
            u = np.einsum("hpn,hn->p", M, w[:H])
            past = w[lag]  # (H+1, H, n): ŵ_{t−1−k−p}
            s = np.einsum("hpn,khn->kp", M, past)
            y = np.einsum("kij,kj->i", powers, w[: H + 1]) + np.einsum("kip,kp->i", reach, s)
            g_x, g_u = 2 * y, 2 * u
            q = np.einsum("kip,i->kp", reach, g_x)
            g = np.einsum("p,hn->hpn", g_u, w[:H]) + np.einsum("kp,khn->hpn", q, past)
            U, S, V = np.linalg.svd(M - 1e-4 * g, full_matrices=False)
            M = U * np.minimum(S, radius)[:, None, :] @ V
            after = A @ x + B @ u + self.w[t]
            w[1:] = w[:-1]
            w[0] = after - A @ x - B @ u
            x = after


def a_round(
    name: str, world: World, ours: int, theirs: int, target: str, radius: float = 10.0
) -> Race:
    """Seconds a round, ours over `ours` rounds and the peer's over `theirs`, in turn."""
    world.scan(ours, radius)
    mine, peer = [], []
    for _ in range(5):
        start = time.perf_counter()
        world.scan(ours, radius)
        middle = time.perf_counter()
        world.numpy(theirs, radius)
        mine.append((middle - start) / ours)
        peer.append((time.perf_counter() - middle) / theirs)
    typical = statistics.median(mine)
    return Race(
        f"GPC, a round in the scan: {name}",
        typical,
        statistics.median(peer),
        statistics.median(b / a for a, b in zip(mine, peer, strict=True)),
        target,
        f"{1 / typical:,.0f} rounds/s",
    )


def streaming(world: World) -> Race:
    """`act` and `observe` in a loop of one's own, timed round by round."""
    controller, x = px.StreamingController(world.team()[0]), np.zeros(world.n)
    taken = []
    for t in range(STREAMED):
        start = time.perf_counter()
        u = controller.act(x)
        controller.observe(world.cost)
        taken.append(time.perf_counter() - start)
        x = world.A @ x + world.B[0] @ u + world.w[t]
    late = np.percentile(taken, 99)
    return Race(
        "GPC streamed, act + observe, n = 10, p = 5, H = 10",
        statistics.median(taken),
        None,
        None,
        "median < 100 µs, 99th percentile < 300 µs",
        f"99th percentile {late * 1e6:.0f} µs",
    )


def many() -> Race:
    """A thousand agents on a shared state against one, per agent and round."""
    one, thousand = World(10, 1), World(10, 1, agents=1000)
    alone = race("", lambda: one.scan(20_000), None, target="", pairs=5).ours / 20_000
    timed = race("", lambda: thousand.scan(200), None, target="", pairs=5).ours / (200 * 1000)
    return Race(
        "a thousand agents on a shared state, n = 10, p = 1, H = 10: per agent and round",
        timed,
        alone,
        alone / timed,
        "≥ 0.5 (peer: one agent alone)",
        f"{1 / timed:,.0f} agent-rounds/s",
    )


def hindsight(world: World) -> Callable[[], object]:
    played = px.simulate(world.system, world.team(), world.disturbance, world.cost, rounds=10_000)
    return lambda: px.best_dac(played, 0)
