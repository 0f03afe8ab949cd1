"""A team with one interest: quadratic costs that make the rounds a potential game, worked out in closed form.

All agents pay c(x) = xᵀQx, or xᵀQx + r_i|u^i|² with K = 0. Then y_t and v_t of the idealised round are affine in the
M's, and curvature, gradients and best responses are small matrices, round by round. A best response of least norm
that lies inside the agent's set is exact; where it lies outside, the minimum is searched for and proved to an accuracy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from phalanx._linalg import _balls
from phalanx.costs import Quadratic, Tracking
from phalanx.disturbances import Replay
from phalanx.evaluation._accelerated import minimise
from phalanx.evaluation._round_game import RoundGame
from phalanx.online import team
from phalanx.simulation import simulate
from phalanx.systems import LinearSystem

# Singular values of a best response's matrix below this share of the largest are rounding.
ROUNDING = 1e-10
# Searched responses: accepted gap as a share of the round's cost (of this share of the mean, if that is more), gradients, batch.
ACCEPTED, FLOOR, STEPS, BATCH = 1e-3, 1e-6, 200, 1024


@dataclass(frozen=True, eq=False)
class Team:
    """Agents of one interest.

    Attributes:
        system: all inputs of one size. gains: K_i (p, n). memory: H. radius: a, of each set.
        Q: (n, n) positive definite, everybody's. R: r_i, one per agent; positive only where every K is 0.
    """

    system: LinearSystem
    gains: tuple[np.ndarray, ...]
    memory: int
    radius: float
    Q: np.ndarray
    R: tuple[float, ...]

    @property
    def costs(self) -> list[Quadratic]:
        return [Quadratic(self.Q, r) for r in self.R]

    def game(self, w: np.ndarray, M: Sequence[np.ndarray] | None = None) -> RoundGame:
        """The rounds' games at M (T, H, p, n) per agent; at 0 when left out."""
        N, T = self.system.n_agents, len(w)
        B = [self.system.input_matrix(i) for i in range(N)]
        if M is None:
            M = [np.zeros((T, self.memory, *K.shape)) for K in self.gains]
        A_cl = self.system.A - sum(b @ k for b, k in zip(B, self.gains, strict=True))
        return RoundGame(A_cl, B, self.gains, w @ self.system.E.T, list(M), np.arange(T))


@dataclass(frozen=True, eq=False)
class Played:
    """A run of a team, and how far from equilibrium its rounds were.

    Attributes:
        w: (T, q). M: (T, H, p, n) per agent. gap: (T,) max over agents. potential: (T,) Φ_t(M_t).
        drift: (T−1,) |Φ_{t+1}(M_{t+1}) − Φ_t(M_{t+1})|. curvature: L.
        certificate: (T,) a true gap is at least `gap` and at most this much more.
    """

    w: Float[np.ndarray, "T q"]
    M: tuple[np.ndarray, ...]
    gap: Float[np.ndarray, " T"]
    potential: Float[np.ndarray, " T"]
    drift: Float[np.ndarray, " T1"]
    curvature: float
    certificate: Float[np.ndarray, " T"]


def play(
    team_: Team,
    w: np.ndarray,
    share: float = 1.0,
    frozen: bool = False,
    target: np.ndarray | None = None,
) -> Played:
    """A run with step size share/L, L the largest curvature of the potential in the run's rounds.

    Args:
        team_: who plays.
        w: (T, q) what is played against.
        share: of the theorem's constant step size 1/L.
        frozen: step along the proof's gradient, with everybody's M of this round frozen over the memory, instead of
            the learner's, which has the others' recorded parts.
        target: (T, n) r_t of a common cost (x − r_t)ᵀQ(x − r_t); the origin when left out. Learners only.
    """
    L = float(curvatures(team_, team_.game(w)).max())
    M = _frozen(team_, w, share / L) if frozen else _recorded(team_, w, share / L, target)
    return evaluated(team_, w, M, L, target)


def evaluated(
    team_: Team, w: np.ndarray, M: Sequence[np.ndarray], L: float, target: np.ndarray | None = None
) -> Played:
    """What `play` hands over, for parameters however they were come by."""
    game = team_.game(w, M)
    later = team_.game(w, [np.concatenate([m[1:], m[-1:]]) for m in M])
    if target is not None:
        # Seen from the target the cost is xᵀQx again.
        game.y, later.y = game.y - target, later.y - target
    gap, certificate = gaps(team_, game)
    here = _value(team_, game)
    # Φ_t at M_{t+1}: the next round's parameters in this round's world.
    drift = np.abs(here[1:] - _value(team_, later)[:-1])
    return Played(w, tuple(M), gap.max(1), here, drift, L, certificate.max(1))


def curvatures(team_: Team, game: RoundGame) -> Float[np.ndarray, " R"]:
    """Largest eigenvalue of the Hessian of Φ_t in all M's together."""
    n, rounds = game.y.shape[1], len(game.y)
    sizes = [K.shape[0] for K in team_.gains]
    gram, at = np.zeros((rounds, n + sum(sizes), n + sum(sizes))), n
    for i, p in enumerate(sizes):
        rows = _rows(team_, game, i)
        index = np.r_[np.arange(n), at + np.arange(p)]
        gram[:, index[:, None], index] += rows @ rows.swapaxes(1, 2)
        at += p
    return 2 * np.linalg.eigvalsh(gram)[:, -1]


def gaps(team_: Team, game: RoundGame) -> tuple[np.ndarray, np.ndarray]:
    """(R, N) what each agent could still save alone, and how much more it could be at most."""
    root, gap, certificate = _root(team_.Q), [], []
    for i, M in enumerate(game.M):
        rows = _rows(team_, game, i)
        now = np.concatenate([game.y @ root.T, np.sqrt(team_.R[i]) * game.v[i]], axis=1)
        move = np.linalg.pinv(rows, rcond=ROUNDING) @ now[:, :, None]
        # The part of `now` in reach of the agent is what it can take away: a projection.
        saved = ((rows @ move)[:, :, 0] ** 2).sum(1)
        left = np.zeros(len(M))
        size = np.linalg.norm(M - move.reshape(M.shape), 2, axis=(-2, -1)).max(1)
        outside = np.flatnonzero(size > team_.radius)
        floor = FLOOR * (now**2).sum(1).mean()
        for some in (outside[at : at + BATCH] for at in range(0, len(outside), BATCH)):
            saved[some], left[some] = _search(team_, rows[some], now[some], M[some], floor)
        gap.append(saved)
        certificate.append(left)
    return np.stack(gap, 1), np.stack(certificate, 1)


def best_fixed(team_: Team, w: np.ndarray, target: np.ndarray | None = None) -> list[np.ndarray]:
    """The joint M, one (H, p, n) per agent, that minimises Σ_t Φ_t over the run: one least-squares problem."""
    game = team_.game(w)
    n, H = game.y.shape[1], team_.memory
    rows = [_rows(team_, game, i)[:, :n].reshape(len(w) * n, -1) for i in range(len(team_.gains))]
    aim = game.y if target is None else game.y - target
    found = np.linalg.lstsq(np.concatenate(rows, 1), -(aim @ _root(team_.Q).T).reshape(-1))[0]
    parts = np.split(found, np.cumsum([row.shape[1] for row in rows])[:-1])
    return [m.reshape(H, *K.shape) for m, K in zip(parts, team_.gains, strict=True)]


def slopes(team_: Team, played: Played) -> tuple[np.ndarray, np.ndarray]:
    """(T, all M's) the gradient with the others frozen, and the learners', with their recorded parts."""
    game = team_.game(played.w, played.M)
    parts = [game.parts(M)[:, 0] for M in game.M]
    pushed = [_recorded_push(game.reach[i], parts[i]) for i in range(len(parts))]
    frozen, recorded = [], []
    for i, M in enumerate(game.M):
        others = sum(pushed) - pushed[i] - (sum(game.own) - game.own[i])
        for out, y in ((frozen, game.y), (recorded, game.y + others)):
            back = np.einsum("rm,kmp,rkhb->rhpb", 2 * y @ team_.Q, game.reach[i], game.windows[:, 1:], optimize=True)  # fmt: skip
            own = 2 * team_.R[i] * np.einsum("rp,rhb->rhpb", game.v[i], game.windows[:, 0])
            out.append((back + own).reshape(len(M), -1))
    return np.concatenate(frozen, 1), np.concatenate(recorded, 1)


def running_mean(values: np.ndarray) -> np.ndarray:
    """Mean up to each round."""
    return np.cumsum(values) / np.arange(1, len(values) + 1)


class _Residual(eqx.Module):
    """|b + F (M − M_0)|², row by row."""

    rows: jax.Array
    now: jax.Array
    M: jax.Array

    def __call__(self, M: jax.Array) -> jax.Array:
        move = (M - self.M).reshape(len(M), -1)
        return ((self.now + jnp.einsum("rab,rb->ra", self.rows, move)) ** 2).sum(1)


def _search(
    team_: Team, rows: np.ndarray, now: np.ndarray, M: np.ndarray, floor: float
) -> tuple[np.ndarray, np.ndarray]:
    """Savings and certificates of best responses that the set binds."""
    count = len(M)
    fill = [*range(count), *[0] * (BATCH - count)]  # one size, one program
    with jax.enable_x64(True):
        objective = _Residual(*(jnp.asarray(part[fill]) for part in (rows, now, M)))
        value = (now[fill] ** 2).sum(1)
        found = minimise(
            objective,
            objective.M,
            jnp.full((BATCH, team_.memory), team_.radius),
            jnp.asarray(ACCEPTED * np.maximum(value, floor)),
            jnp.full(BATCH, 1e-3),
            jnp.asarray(STEPS),
        )
        best, gap = np.asarray(found.value)[:count], np.asarray(found.gap)[:count]
    return np.maximum(value[:count] - best, 0.0), gap


def _root(Q: np.ndarray) -> np.ndarray:
    return np.linalg.cholesky(Q).T


def _value(team_: Team, game: RoundGame) -> np.ndarray:
    state = np.einsum("ri,ij,rj->r", game.y, team_.Q, game.y)
    return state + sum(r * (v**2).sum(1) for r, v in zip(team_.R, game.v, strict=True))


def _rows(team_: Team, game: RoundGame, agent: int) -> Float[np.ndarray, "R np Hpn"]:
    """The matrix that takes M_i to (Q^{1/2} y, √r v)."""
    pushes = np.einsum("kmp,rkhb->rmhpb", game.reach[agent], game.windows[:, 1:], optimize=True)
    state = np.einsum("ab,rbhpn->rahpn", _root(team_.Q), pushes)
    p = game.reach[agent].shape[-1]
    window = game.windows[:, 0]
    own = np.einsum("ap,rhb->rahpb", np.eye(p), np.sqrt(team_.R[agent]) * window)
    return np.concatenate([state, own], 1).reshape(len(game.y), game.y.shape[1] + p, -1)


def _recorded_push(reach: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Σ_k A_cl^k B_i times the learned part really played k+1 rounds ago."""
    out = np.zeros((len(parts), reach.shape[1]))
    for k, power in enumerate(reach):
        out[k + 1 :] += parts[: len(parts) - k - 1] @ power.T
    return out


def _recorded(
    team_: Team, w: np.ndarray, step: float, target: np.ndarray | None
) -> tuple[np.ndarray, ...]:
    learners = team(
        team_.system,
        team_.gains,
        "aggregated",
        memory=team_.memory,
        radius=team_.radius,
        step_size=step,
    )
    run = simulate(
        team_.system,
        learners,
        Replay(w),
        team_.costs if target is None else Tracking(target, team_.Q, 0.0),
        len(w),
        information="aggregated",
        record="parameters",
    )
    return run.parameters


def _frozen(team_: Team, w: np.ndarray, step: float) -> tuple[np.ndarray, ...]:
    game = team_.game(w)
    limits = _balls.bounds(team_.radius, 0.0, team_.memory)
    parts = (np.stack(game.reach), np.stack(team_.gains), team_.Q, team_.R, limits, step)
    with jax.enable_x64(True):
        constants = tuple(jnp.asarray(part, jnp.float64) for part in parts)
        M = np.asarray(_frozen_scan(constants, jnp.asarray(game.windows), jnp.asarray(game.y)))
    return tuple(M.swapaxes(0, 1))


@jax.jit
def _frozen_scan(constants: tuple, windows: jax.Array, free: jax.Array) -> jax.Array:
    """(T, N, H, p, n): projected steps along ∇Φ_t(M_t)."""
    reach, K, Q, R, limits, step = constants
    N, _, n, p = reach.shape

    def round_(M: jax.Array, now: tuple) -> tuple[jax.Array, jax.Array]:
        window, free = now
        parts = jnp.einsum("ihab,jhb->ija", M, window)
        y = free + jnp.einsum("ikna,ika->n", reach, parts[:, 1:])
        own = 2 * R[:, None] * (parts[:, 0] - K @ y)
        back = jnp.einsum("n,ikna->ika", 2 * Q @ y, reach)
        slope = jnp.einsum("ija,jhb->ihab", jnp.concatenate([own[:, None], back], 1), window)
        return _balls.project(M - step * slope, limits), M

    start = jnp.zeros((N, windows.shape[2], p, n), windows.dtype)
    return jax.lax.scan(round_, start, (windows, free))[1]
