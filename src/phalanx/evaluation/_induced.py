"""The exact worst case of any fixed controller, and the disturbance that attains it.

Close the loop with u = −K y − L z and nothing is left to play but the disturbance: the game with no
control. Its saddle level is the loop's induced gain, so the bounded-real bisection is the very
search that finds attenuation levels, on the matrices

    A − BK,   no B,   D,   Q + KᵀRK.

The gain is a ratio of energies, J / Σ|d|² from rest: compare it with γ², not with γ.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse.linalg
from jaxtyping import Float

from phalanx._outcome import InputError
from phalanx._types import agents as check_agents
from phalanx._types import array
from phalanx.equilibria import Half, LQGame, RobustGame, saddle_level

# Entries up to which the map from disturbances to outputs is written out as one matrix.
DENSE_UP_TO = 4_000_000


@dataclass(frozen=True)
class InducedGain:
    """The largest cost per unit of disturbance energy, from rest and without noise.

    Attributes:
        gain: sup J / Σ|d|²; at most γ² under certified gains; infinite for an unstable loop over an
            infinite horizon.
        deviation: through deviations alone. mean: through the mean alone.
        n_agents: N; with one agent there are no deviations.
    """

    gain: float
    deviation: float
    mean: float
    n_agents: float

    @property
    def attenuation(self) -> float:
        """√gain, the level γ that this controller holds."""
        return float(np.sqrt(self.gain))


@dataclass(frozen=True, eq=False)
class WorstDisturbance:
    """The disturbance of unit energy that costs a fixed controller most.

    Attributes:
        gain: its cost per unit of energy, from rest.
        signal: (T, q), Σ|signal|² = 1.
        through: "mean": played by all agents alike; "deviation": by half of them with opposite sign.
    """

    gain: float
    signal: Float[np.ndarray, "T q"]
    through: Half


def induced_gain(
    game: RobustGame, K: np.ndarray, L: np.ndarray, n_agents: float = float("inf")
) -> InducedGain:
    """The exact induced gain of u = −K (x − x̄) − L x̄.

    Args:
        game: the game whose dynamics, weights and horizon count.
        K: (p, m) or (T, p, m), on deviations.
        L: likewise, on the mean.
        n_agents: N; 1 leaves the deviations out.

    Returns:
        `InducedGain`, each figure to a relative 1e-11.

    Raises:
        InputError: gains that do not fit the game.

    Source: the bounded-real lemma as P1's Riccati recursion (eq. 13) with B = 0.

    Example:
        >>> import phalanx as px
        >>> game = px.scenario("two-by-two").game
        >>> saddle = px.solve(game, gamma=2.0)
        >>> bool(px.induced_gain(game, saddle.K1, saddle.L1).gain <= 2.0**2)
        True
    """
    n_agents = check_agents("n_agents", n_agents)
    mean = _gain(closed_loop(game, "mean", L))
    deviation = 0.0 if n_agents == 1 else _gain(closed_loop(game, "deviation", K))
    return InducedGain(max(mean, deviation), deviation, mean, n_agents)


def worst_disturbance(
    game: RobustGame,
    K: np.ndarray,
    L: np.ndarray,
    n_agents: float = float("inf"),
    rounds: int | None = None,
) -> WorstDisturbance:
    """The worst disturbance of given length, as an eigenvector.

    The second route to the induced gain: the map from (d_0, …, d_{T−1}) to the weighted outputs is
    written out as one matrix, whose largest singular value squared is the gain; where that matrix
    would be large, Lanczos iteration applies it without writing it out.

    Args:
        game: as for `induced_gain`.
        K: (p, m) or (T, p, m), on deviations.
        L: likewise, on the mean.
        n_agents: N; 1 leaves the deviations out.
        rounds: T, for the stationary game; its horizon otherwise.

    Returns:
        `WorstDisturbance`.

    Raises:
        InputError: no rounds for a stationary game, or gains that do not fit.
    """
    if game.stationary and rounds is None:
        raise InputError(
            "rounds is missing: a stationary game needs to know how long the attack lasts."
        )
    n_agents = check_agents("n_agents", n_agents)
    T = game.horizon if rounds is None else rounds
    if isinstance(T, bool) or not isinstance(T, int) or T < 1:
        raise InputError(f"rounds must be a whole number of at least 1, but it is {rounds!r}.")
    if not game.stationary and game.horizon != T:
        raise InputError(
            f"rounds is {T}, but the game's horizon is {game.horizon}; leave rounds out."
        )
    halves: list[tuple[Half, np.ndarray]] = [("mean", L)]
    if n_agents != 1:
        halves.insert(0, ("deviation", K))
    best = None
    for through, gain in halves:
        value, signal = _worst(closed_loop(game, through, gain), T)
        found = WorstDisturbance(value, signal, through)
        best = found if best is None or found.gain > best.gain else best
    assert best is not None
    return best


def closed_loop(game: RobustGame, half: Half, gain: np.ndarray) -> LQGame:
    """The game without a control that u = −gain·x leaves of one half."""
    name = "K" if half == "deviation" else "L"
    lq = game.half(half)
    n, p, _ = lq.sizes
    gain = array(name, gain)
    if gain.shape[-2:] != (p, n) or gain.ndim not in (2, 3):
        raise InputError(
            f"{name} has shape {gain.shape} and must have shape ({p}, {n}) or (T, {p}, {n})."
        )
    gain = gain if gain.ndim == 3 else gain[None]
    if len(gain) not in (1, lq.horizon):
        raise InputError(
            f"{name} is given for {len(gain)} stages, but the horizon is {lq.horizon}."
        )
    none = np.zeros((1, n, 1))
    return LQGame(
        lq.A - lq.B @ gain,
        none,
        lq.D,
        lq.Q + gain.swapaxes(-1, -2) @ lq.R @ gain,
        np.ones((1, 1, 1)),
        lq.Q_T,
        lq.horizon,
    )


def _gain(loop: LQGame) -> float:
    try:
        return float(saddle_level(loop)) ** 2
    except np.linalg.LinAlgError:  # an unstable loop amplifies without bound
        return float("inf")


def _worst(loop: LQGame, T: int) -> tuple[float, Float[np.ndarray, "T q"]]:
    """Largest squared singular value of the map from disturbances to weighted outputs, and its input."""
    n, _, q = loop.sizes
    A, D, Q = (np.broadcast_to(X, (T, *X.shape[-2:])) for X in (loop.A, loop.D, loop.Q))
    weights = [*Q[1:], loop.Q_T]
    if T * T * n * q <= DENSE_UP_TO:
        roots = [_root(weight) for weight in weights]
        _, singular, right = np.linalg.svd(_dense(A, D, roots), full_matrices=False)
        return float(singular[0] ** 2), right[0].reshape(T, q)

    def gram(d: np.ndarray) -> np.ndarray:
        """Forward through the loop, then backward through its adjoint."""
        d, x, states = d.reshape(T, q), np.zeros(n), []
        for t in range(T):
            x = A[t] @ x + D[t] @ d[t]
            states.append(x)
        out, adjoint = np.empty((T, q)), np.zeros(n)
        for t in reversed(range(T)):
            adjoint = adjoint + weights[t] @ states[t]
            out[t] = D[t].T @ adjoint
            adjoint = A[t].T @ adjoint
        return out.ravel()

    linear_operator: Any = scipy.sparse.linalg.LinearOperator  # SciPy ships no types for it
    operator = linear_operator((T * q, T * q), matvec=gram, dtype=np.float64)
    value, vector = scipy.sparse.linalg.eigsh(operator, k=1, v0=np.ones(T * q))
    return float(value[0]), vector[:, 0].reshape(T, q)


def _dense(
    A: np.ndarray, D: np.ndarray, roots: list[np.ndarray]
) -> Float[np.ndarray, "outputs inputs"]:
    """The map written out: blocks √Q_t Φ(t, s+1) D_s."""
    (T, n, q) = D.shape
    response = np.zeros((n, T * q))
    blocks = []
    for t in range(T):
        response = A[t] @ response
        response[:, t * q : (t + 1) * q] += D[t]
        blocks.append(roots[t] @ response)
    return np.concatenate(blocks)


def _root(weight: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(weight)
    return np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
