"""What teams of one interest are played against in `equilibrium-tracking`, and the laws their play is held against."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from phalanx._linalg._spectral import spectral_radius
from phalanx.experiments._panels import slope
from phalanx.experiments._potential import Played, Team, slopes
from phalanx.systems import LinearSystem

A = ((0.6, 0.2), (-0.1, 0.5))
B = (((1.0,), (0.0,)), ((0.0,), (1.0,)), ((0.6,), (0.6,)))
RATES = (0.5, 1.0, 2.0)
MEMORY, RADIUS = 3, 5.0
# What disturbances settle to.
LEVEL = np.array([0.8, -0.5])
# How they settle, and how Σ|Δw| grows with T.
SETTLING = {
    "fading like 0.97ᵗ": "1",
    "fading like t^−1.5": "1",
    "ever smaller steps": "1",
    "ever rarer steps": "log T",
    "fading like 1/√t": "√T",
}
# The slow plant on which delays add up.
SLOW, SLOW_MEMORY = 0.9, 5


def three_agents(gains: Any) -> Team:
    """Three agents on two states, a common cost |x|², feedback K."""
    return Team(LinearSystem(A, B), tuple(gains), MEMORY, RADIUS, np.eye(2), (0.0, 0.0, 0.0))


def separable() -> Team:
    """The same without feedback, and each paying for its own control as well: |x|² + r_i u_i²."""
    none = tuple(np.zeros((1, 2)) for _ in B)
    return Team(LinearSystem(A, B), none, MEMORY, RADIUS, np.eye(2), RATES)


def crowd(N: int) -> Team:
    """N agents on one slow state, x' = 0.9 x + Σ u^i + w, common cost x²."""
    system = LinearSystem([[SLOW]], [[[1.0]]] * N)
    return Team(system, (np.zeros((1, 1)),) * N, SLOW_MEMORY, RADIUS, np.eye(1), (0.0,) * N)


def settling(kind: str, rounds: int, rng: np.random.Generator) -> Float[np.ndarray, "T 2"]:
    """A disturbance that comes to rest at `LEVEL`, in one of the ways of `SETTLING`."""
    t = np.arange(rounds)[:, None]
    noise = rng.uniform(-1.0, 1.0, (rounds, 2))
    if kind == "fading like 0.97ᵗ":
        return LEVEL + 0.97**t * noise
    if kind == "fading like t^−1.5":
        return LEVEL + (1.0 + t) ** -1.5 * noise
    if kind == "fading like 1/√t":
        return LEVEL + (1.0 + t) ** -0.5 * noise
    # Steps at rounds 1, 2, 4, 8, … .
    k = np.floor(np.log2(1 + t)).astype(int)
    size = 0.5**k if kind == "ever smaller steps" else 0.5
    return LEVEL + size * noise[k[:, 0]]


def promised(kind: str, rounds: Float[np.ndarray, " C"]) -> float:
    """The exponent of T, over these T, of Σ|Δw| / T: what (8) lets the mean squared gap fall with."""
    grown = {"1": np.ones(len(rounds)), "log T": np.log(rounds), "√T": np.sqrt(rounds)}
    return slope(np.log(rounds), np.log(grown[SETTLING[kind]] / rounds))[0]


class Power(eqx.Module):
    """c = Σ_k |x_k|^exponent: flat at its minimum, so that learning slows down there."""

    exponent: float

    def __call__(self, t: jax.Array, x: jax.Array, u: jax.Array) -> jax.Array:
        """The cost of one round."""
        return jnp.sum((x * x) ** (self.exponent / 2))


def flat_gaps(team: Team, M: tuple[np.ndarray, ...], w: np.ndarray, exponent: float) -> np.ndarray:
    """(T,) gap under `Power` while w is constant: each agent then moves y along one line, searched by halving."""
    game = team.game(w, M)
    saved = []
    for reach in game.reach:
        line = reach.sum(0)[:, 0]
        bound = np.abs(game.y).max() / np.abs(line).max() * 4
        low, high = np.full(len(w), -bound), np.full(len(w), bound)
        for _ in range(80):
            middle = (low + high) / 2
            y = game.y + middle[:, None] * line
            rising = (np.sign(y) * np.abs(y) ** (exponent - 1)) @ line > 0
            low, high = np.where(rising, low, middle), np.where(rising, middle, high)
        y = game.y + ((low + high) / 2)[:, None] * line
        saved.append((np.abs(game.y) ** exponent - np.abs(y) ** exponent).sum(1))
    return np.maximum(np.max(saved, 0), 0.0)


def bounds(team: Team, played: Played) -> tuple[np.ndarray, np.ndarray]:
    """(8) for each T with the proof's constants: with the drift that was met, and with its bound by Σ|Δw|.

    Σ gap² ≤ (2/L)(G + L D)² (Φ_0 + Σ drift), and drift ≤ G_c S Σ|Δw|, S = Σ_k‖A_cl^k‖ (1 + Σ_j‖B_j‖ a H). For
    costs c(x) = xᵀQx; for learners that step along the gradient with the others frozen.
    """
    frozen, _ = slopes(team, played)
    N, T = len(played.M), len(played.w)
    G = np.linalg.norm(frozen.reshape(T, N, -1), axis=2).max()
    width = 2 * team.radius * np.sqrt(team.memory)
    factor = 2 / played.curvature * (G + played.curvature * width) ** 2
    game = team.game(played.w)
    B_norms = sum(np.linalg.norm(reach[0], 2) for reach in game.reach)
    A_cl = team.system.A - sum(
        team.system.input_matrix(i) @ K for i, K in enumerate(team.gains)
    )  # fmt: skip
    powers = [np.linalg.matrix_power(A_cl, k) for k in range(team.memory + 1)]
    S = sum(np.linalg.norm(power, 2) for power in powers) * (1 + B_norms * team.radius * team.memory)  # fmt: skip
    W = np.linalg.norm(played.w, axis=1)
    moved = np.cumsum(np.r_[W[0], np.linalg.norm(np.diff(played.w, axis=0), axis=1)])
    lipschitz = 2 * np.linalg.norm(team.Q, 2) * S * W.max()
    rounds = np.arange(1, T + 1)
    met = played.potential[0] + np.cumsum(np.r_[0.0, played.drift])
    return factor * met / rounds, factor * lipschitz * S * moved / rounds


def delay_radius(N: int, share: float) -> float:
    """Spectral radius of learning by N alike agents on the slow plant under w ≡ 1, step size share/L.

    The sum s of an agent's M obeys s' = s − share/(N S) [S s + (N−1) Σ_k αᵏ s_{t−1−k}], S = Σ_k αᵏ: its own part
    is up to date, the others' are the recorded ones.
    """
    H = SLOW_MEMORY
    powers = SLOW ** np.arange(H + 1)
    step = np.eye(H + 2, k=-1)
    step[0, 0] = 1 - share / N
    step[0, 1:] -= share * (N - 1) / N * powers / powers.sum()
    return float(spectral_radius(step))


def largest_share(N: int) -> float:
    """The step size, as a share of 1/L, at which `delay_radius` reaches 1; at most 2 (where descent itself ends)."""
    low, high = 0.0, 2.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if delay_radius(N, middle) < 1 else (low, middle)
    return low
