"""P1's Fig. 1a at paper size: RGDA, T = 3, M = 1000, N_b = 5·10⁴, against vectorised NumPy."""

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

import phalanx as px
from benchmarks._machine import Machine
from benchmarks._timing import Race, race
from phalanx import _random
from phalanx._xla import wide_jit
from phalanx.learners._chunks import sum_over

DRAWN, SHARE, PAIRS = 48_000_000, 5, 1
T, AGENTS, BATCH, ITERATIONS, ETA, RADIUS, GAMMA = 3, 1000, 50_000, 1000, 1e-3, 0.1, 3.0


def run(machine: Machine) -> list[Race]:
    ours(1)
    start = time.perf_counter()
    ours(ITERATIONS)
    full = time.perf_counter() - start
    start = time.perf_counter()
    for seed in range(5):
        ours(ITERATIONS, seed)
    five = time.perf_counter() - start
    cold, warm = compile_seconds()
    small, large = memory(BATCH), memory(40 * BATCH)
    alone = race(
        f"{DRAWN:,} normals, float32, drawing alone",
        normals_alone,
        lambda: np.random.default_rng(0).standard_normal(DRAWN, dtype=np.float32),
        target="–",
        pairs=5,
        floor=lambda seconds: f"{DRAWN / seconds / 1e6:.0f}·10⁶ normals/s",
    )

    def floor(seconds: float) -> str:
        # Normals of a pair of rollouts, one a player: perturbations, first state, noise to the end.
        normals = sum(BATCH * (2 * 8 + 4 + 4 * (T - t)) for t in range(T)) * ITERATIONS
        rate = normals / seconds
        return (
            f"{rate / 1e6:.0f}·10⁶ normals/s, {rate / DRAWN * alone.ours:.0%} of drawing alone. Target of a run ≤ 60 s; "
            f"five seeds: {five / (full + cold - warm):.2f} × one cold seed (target < 5); compiling takes {cold - warm:.1f} s, "
            f"once; peak memory {small:.2f} GB at N_b = 5·10⁴, {large:.2f} GB at 2·10⁶"
        )

    return [
        alone,
        against("RGDA, Fig. 1a at paper size, one seed, float32", np.float32, floor=floor),
        against("the same, players sharing draws in NumPy as well", np.float32, True, target="–"),
        against("the same against NumPy in float64, its usual precision", np.float64),
    ]


def against(
    name: str,
    dtype: type,
    shared: bool = False,
    target: str = "≥ 10",
    floor: Callable[[float], str] = lambda seconds: "",
) -> Race:
    """Our whole run against a part of NumPy's, which has no fixed cost, times what it is a part of."""
    raced = race(
        name,
        lambda: ours(ITERATIONS),
        lambda: numpy_peer(ITERATIONS // SHARE, dtype, shared),
        target=target,
        pairs=PAIRS,
        warm=False,
        floor=floor,
    )
    assert raced.peer is not None
    assert raced.ratio is not None
    note = f"NumPy: 1/{SHARE} of the iterations, timed and multiplied"
    return replace(
        raced,
        peer=raced.peer * SHARE,
        ratio=raced.ratio * SHARE,
        floor=f"{raced.floor}. {note}" if raced.floor else note,
    )


@wide_jit
def _sum_of_normals(key: jax.Array) -> jax.Array:
    """As a learner draws them, chunk by chunk, and adds up each row."""
    rows, columns = 24, 2000

    def draw(chunk: jax.Array) -> jax.Array:
        return _random.packed_normal(jax.random.fold_in(key, chunk), (rows, columns), jnp.float32)

    def total(drawn: jax.Array, chunk: jax.Array) -> jax.Array:
        return (drawn.real + drawn.imag) @ jnp.ones(columns, jnp.float32)

    return sum_over(DRAWN // rows // columns, draw, total)


def normals_alone() -> None:
    with jax.enable_x64(True):
        jax.block_until_ready(_sum_of_normals(_random.as_key(0)))


def game() -> px.RobustGame:
    plain = px.scenario("two-by-two").game
    return px.RobustGame(plain.system, plain.cost, plain.noise, T)


def ours(iterations: int, seed: int = 0, batch: int = BATCH) -> px.Learned:
    method = px.Method(
        "one_point", iterations=iterations, batch=batch, step_size=ETA, ball=10.0, radius=RADIUS
    )
    return px.learn(game(), GAMMA, method, n_agents=AGENTS, key=seed, precision="float32")


def compile_seconds() -> tuple[float, float]:
    """First and second call in a fresh process, three iterations each."""
    code = (
        "import time, phalanx; phalanx.use_cores(); from benchmarks.learning import ours; a = time.perf_counter(); ours(1); b = time.perf_counter(); "
        "ours(1, 1); print(b - a, time.perf_counter() - b)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    cold, warm = (float(word) for word in out.stdout.split())
    return cold, warm


def memory(batch: int) -> float:
    """Peak memory, GB, of a fresh process with this N_b."""
    code = f"import phalanx; phalanx.use_cores(); from benchmarks.learning import ours, peak; ours(1, 0, {batch}); print(peak())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(out.stdout)


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def numpy_peer(iterations: int, dtype: type, shared: bool = False) -> np.ndarray:
    """Algorithm 1 with the same law, N_b rollouts at a time, NumPy's fast generator.

    Each player has rollouts of its own, as in P1, or `shared` first states and noise, as ours.
    """
    g, rng = game(), np.random.default_rng(0)
    halves = [g.half("deviation"), g.half("mean")]
    pick = [[np.asarray(X[0], dtype) for X in (h.A, h.B, h.D, h.Q, h.R)] for h in halves]
    last = [np.asarray(h.Q_T, dtype) for h in halves]
    w, share = g.noise, 1 / AGENTS
    covariances = [(1 - share) * w.Sigma, w.Sigma_bar + share * w.Sigma]
    roots = [np.linalg.cholesky(X).astype(dtype) for X in covariances]
    theta = np.zeros((2, T, 2, 4), dtype)

    def normals(rows: int) -> np.ndarray:
        return rng.standard_normal((rows, BATCH), dtype=dtype)

    def draws(t0: int) -> list[list[np.ndarray]]:
        """First states, and the noise of each stage, of both halves."""
        return [[normals(2), normals(2)] for _ in range(t0, T + 1)]

    def payoff(t0: int, player: int, e: np.ndarray, drawn: list) -> np.ndarray:
        x = list(drawn[0])
        total = np.zeros(BATCH, dtype)
        for t in range(t0, T):
            for h in (0, 1):
                A, B, D, Q, R = pick[h]
                u, d = (theta[j, t][:, 2 * h : 2 * h + 2] @ x[h] for j in (0, 1))
                if t == t0:
                    extra = np.einsum("rcb,cb->rb", e[:, 2 * h : 2 * h + 2], x[h])
                    u, d = (u + extra, d) if player == 0 else (u, d + extra)
                total += (x[h] * (Q @ x[h])).sum(0) + (u * (R @ u)).sum(0)
                total -= dtype(GAMMA**2) * (d * d).sum(0)
                x[h] = A @ x[h] - B @ u + D @ d + roots[h] @ drawn[t - t0 + 1][h]
        return total + sum((x[h] * (last[h] @ x[h])).sum(0) for h in (0, 1))

    for t in reversed(range(T)):
        for _ in range(iterations):
            steps, drawn = [], draws(t)
            for player in (0, 1):
                if player and not shared:
                    drawn = draws(t)
                e = normals(8)
                e *= dtype(RADIUS) / np.sqrt((e * e).sum(0))
                f = payoff(t, player, e.reshape(2, 4, BATCH), drawn)
                steps.append((e @ f).reshape(2, 4) * (8 / (RADIUS**2 * BATCH)))
            for player, sign in ((0, -1), (1, 1)):
                moved = theta[player, t] + sign * ETA * steps[player]
                theta[player, t] = moved * min(1.0, 10.0 / np.linalg.norm(moved))
    return theta
