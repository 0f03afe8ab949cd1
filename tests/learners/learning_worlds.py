"""Second routes to what a learner sees, in plain NumPy, and small games to learn in.

Expected costs come from covariances that are carried *forward*, where the package carries cost-to-go
matrices backwards; gradients are theory.md's eq. 24 with `_oracles.play`, or differences of costs.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _oracles import halves, play, random_game

import phalanx as px
from phalanx.learners import JointGains

INF = float("inf")


class Start(NamedTuple):
    """Covariances that the rollouts of one stage start from."""

    y: np.ndarray
    z: np.ndarray


def random_start(rng: np.random.Generator, m: int) -> Start:
    """Two covariances that are not the identity."""
    roots = rng.normal(size=(2, m, m))
    return Start(*(X @ X.T / m + 0.3 * np.eye(m) for X in roots))


def random_gains(rng: np.random.Generator, game: px.RobustGame, size: float = 0.3) -> JointGains:
    """Gains of all stages."""
    T, m = int(game.horizon), game.system.state_size
    p, q = game.system.control_size, game.system.disturbance_size
    return JointGains(size * rng.normal(size=(T, p, 2 * m)), size * rng.normal(size=(T, q, 2 * m)))


def shortened(game: px.RobustGame, T: int) -> px.RobustGame:
    """The same game over T stages."""
    return px.RobustGame(game.system, game.cost, game.noise, horizon=T)


def small_game(seed: int, m: int = 2, p: int = 1, q: int = 2, T: int = 3) -> px.RobustGame:
    """Random, with every matrix different at every stage, and no two sizes alike by default."""
    return random_game(np.random.default_rng([7, seed]), m, p, q, T, varying=True, size=0.5)


def nash(game: px.RobustGame, gamma: float, n_agents: float = INF) -> JointGains:
    """The saddle point's gains."""
    saddle = px.solve(game, gamma, n_agents, throw=True)
    return JointGains.of(saddle.K1, saddle.K2, saddle.L1, saddle.L2)


def added(gains: JointGains, stage: int | None, extra1: np.ndarray, extra2: np.ndarray):
    """The gains with something added at `stage`, or at all stages."""
    one, two = np.array(gains.theta1), np.array(gains.theta2)
    where = slice(None) if stage is None else slice(stage, stage + 1)
    one[where] += extra1
    two[where] += extra2
    return JointGains(one, two)


# --- expected costs, forward ---------------------------------------------------------------------


def noise_covariances(game: px.RobustGame, N: float) -> tuple[np.ndarray, np.ndarray]:
    """cov η and cov ζ."""
    w = game.noise
    return (1 - 1 / N) * w.Sigma, w.Sigma_bar + w.Sigma / N


def initial_covariances(game: px.RobustGame, N: float) -> Start:
    """cov y_0 and cov z_0 of a whole run."""
    w = game.noise
    return Start((1 - 1 / N) * w.Sigma_0, w.Sigma_bar_0 + w.Sigma_0 / N)


def expected(
    game: px.RobustGame, gains: JointGains, stage: int | None, N: float, start: Start
) -> tuple[float, float]:
    """E cost and E energy from `stage` (None: of a whole run) to the end, covariances forward."""
    m, T = game.system.state_size, int(game.horizon)
    first = 0 if stage is None else stage
    begin = initial_covariances(game, N) if stage is None else start
    cost = energy = 0.0
    columns = (slice(0, m), slice(m, None))
    for half, X, W, c in zip(halves(game), begin, noise_covariances(game, N), columns, strict=True):
        for t in range(first, T):
            K1, K2 = gains.theta1[t][:, c], gains.theta2[t][:, c]
            cost += np.trace((half.Q[t] + K1.T @ half.R[t] @ K1) @ X)
            energy += np.trace(K2 @ X @ K2.T)
            closed = half.A[t] - half.B[t] @ K1 + half.D[t] @ K2
            X = closed @ X @ closed.T + W
        cost += np.trace(half.Q_T @ X)
    return float(cost), float(energy)


def payoff(game, gains, stage, N, start, gamma) -> float:
    """E cost − γ² E energy."""
    cost, energy = expected(game, gains, stage, N, start)
    return cost - gamma**2 * energy


def values_ahead(game: px.RobustGame, gains: JointGains, stage: int, gamma: float) -> list:
    """P_{stage+1} of both halves under the later gains."""
    m = game.system.state_size
    columns = (slice(0, m), slice(m, None))
    return [
        play(half, gains.theta1[:, :, c], gains.theta2[:, :, c], gamma)[stage + 1]
        for half, c in zip(halves(game), columns, strict=True)
    ]


def curvature(game: px.RobustGame, gains: JointGains, t: int, gamma: float) -> np.ndarray:
    """S = [−B D]ᵀ P [−B D] + diag(R, −γ²I) of both halves, (2, p+q, p+q)."""
    out = []
    for half, P in zip(halves(game), values_ahead(game, gains, t, gamma), strict=True):
        both = np.hstack([-half.B[t], half.D[t]])
        S = both.T @ P @ both
        p = half.B[t].shape[1]
        S[:p, :p] += half.R[t]
        S[p:, p:] -= gamma**2 * np.eye(half.D[t].shape[1])
        out.append(S)
    return np.stack(out)


def stage_saddle(game: px.RobustGame, gains: JointGains, t: int, gamma: float) -> np.ndarray:
    """W = [θ¹; θ²] of stage t where both gradients vanish under these later gains, (p+q, 2m)."""
    parts = []
    S_both = curvature(game, gains, t, gamma)
    for half, P, S in zip(halves(game), values_ahead(game, gains, t, gamma), S_both, strict=True):
        both = np.hstack([-half.B[t], half.D[t]])
        parts.append(-np.linalg.solve(S, both.T @ P @ half.A[t]))
    return np.hstack(parts)


def stage_gradient(
    game: px.RobustGame, gains: JointGains, t: int, gamma: float, covariances: Start
) -> JointGains:
    """theory.md's eq. 24, written out: (p, 2m) and (q, 2m)."""
    m = game.system.state_size
    one, two = [], []
    columns = (slice(0, m), slice(m, None))
    P_both = values_ahead(game, gains, t, gamma)
    for half, P, X, c in zip(halves(game), P_both, covariances, columns, strict=True):
        K1, K2 = gains.theta1[t][:, c], gains.theta2[t][:, c]
        closed = half.A[t] - half.B[t] @ K1 + half.D[t] @ K2
        one.append(2 * (half.R[t] @ K1 - half.B[t].T @ P @ closed) @ X)
        two.append(2 * (-(gamma**2) * K2 + half.D[t].T @ P @ closed) @ X)
    return JointGains(np.hstack(one), np.hstack(two))


# --- rolling an oracle out -----------------------------------------------------------------------


def still(oracle, stage, variants: int = 1) -> JointGains:
    """Offsets of 0."""
    T, m, p, q = oracle.sizes
    length = T if stage is None else 1
    return JointGains(
        jnp.zeros((length, p, 2 * m, variants, 1)), jnp.zeros((length, q, 2 * m, variants, 1))
    )


@eqx.filter_jit
def _rolled(oracle, gains, offset, key, draws, stage):
    shared = oracle.prepare(gains, stage)
    return oracle.costs(shared, gains, offset, oracle.draws(key, draws, stage), stage)


def rolled(oracle, gains, draws=1, stage=None, seed=0, offset=None) -> tuple:
    """Cost and energy of `draws` rollouts, each (G, draws), compiled once per shape."""
    gains = JointGains(*(jnp.asarray(theta) for theta in gains))
    t = None if stage is None else jnp.asarray(stage)
    offset = still(oracle, stage) if offset is None else offset
    out = _rolled(oracle, gains, offset, jax.random.key(seed), draws, t)
    return tuple(np.asarray(part) for part in out)


def one_shot(m: int, **weights) -> px.RobustGame:
    """One stage that forgets: x_1 is noise alone. `weights` of the cost; all others are 0."""
    zero = np.zeros((m, m))
    cost = dict.fromkeys(("Q", "Q_bar", "Q_T", "Q_bar_T"), zero) | weights
    rng = np.random.default_rng([8, m])
    roots = rng.normal(size=(4, m, m))
    return px.RobustGame(
        px.MeanFieldSystem(A=zero, B=np.eye(m)),
        px.MeanFieldCost(R=1.0, **cost),
        px.MeanFieldNoise(*(X @ X.T + 0.1 * np.eye(m) for X in roots)),
        horizon=1,
    )
