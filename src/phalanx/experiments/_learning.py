"""What the reproductions of P1's learning results share: the world, its exact local saddle points, rates.

P1 prints no matrices. All four use those of the scenario "two-by-two" with P1's own horizon and fleet.
Gains of both players are one array here, W = [θ¹; θ²], (…, T, p+q, 2m), and everything exact is a few
lines of NumPy over any leading axes, independent of the learners that are measured with it.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from phalanx.equilibria import RobustGame, attenuation_levels, solve
from phalanx.learners import ExactOracle, JointGains, Learned
from phalanx.scenarios import scenario

# P1, Section 5.
AGENTS = 1000
ITERATIONS = 1000
BATCH = 50_000
STEP_SIZE = 0.001
# Of the reference case; some 1.7 times the saddle level, whatever the horizon.
GAMMA = 3.0
# Wide enough that no Nash gains come near it: the projection is there, and idle.
BALL = 10.0

MATRICES = (
    "P1 prints no matrices, so the world is the scenario two-by-two (m = p = 2) with P1's horizon and "
    f"fleet, at γ = {GAMMA:g}."
)


@dataclass(frozen=True, eq=False)
class World:
    """A game at a level γ, as arrays; axis 0 of each is (deviation, mean).

    Attributes:
        game: what the learners get. gamma: γ. sizes: T, m, p, q.
        A, B, D, Q, R: (2, T, ·, ·). Q_T: (2, m, m). Sigma: (2, m, m) Σ_y and Σ_z.
        nash: (T, p+q, 2m). values: (2, T+1, m, m) M and M̄.
    """

    game: RobustGame
    gamma: float
    sizes: Any
    A: np.ndarray
    B: np.ndarray
    D: np.ndarray
    Q: np.ndarray
    R: np.ndarray
    Q_T: np.ndarray
    Sigma: np.ndarray
    nash: np.ndarray
    values: np.ndarray

    @property
    def horizon(self) -> int:
        """T."""
        return int(self.sizes.horizon)

    @property
    def controls(self) -> int:
        """How many rows of W are player 1's: p."""
        return int(self.sizes.control)

    @property
    def saddle_level(self) -> float:
        """Least γ with a saddle point."""
        return float(attenuation_levels(self.game, AGENTS).saddle)

    def learn_options(self) -> dict[str, Any]:
        """What `learn` needs to play in this world."""
        return {
            "n_agents": AGENTS,
            "Sigma_y": self.Sigma[0],
            "Sigma_z": self.Sigma[1],
            "ball": BALL,
        }


def world(horizon: int, gamma: float = GAMMA, Sigma_y: float = 1.0, Sigma_z: float = 1.0) -> World:
    """The reference matrices over T stages; the level may be a multiple of anything, so it is given."""
    game = replace(scenario("two-by-two").game, horizon=horizon)
    exact = ExactOracle(game, AGENTS, Sigma_y=Sigma_y, Sigma_z=Sigma_z)
    saddle = solve(game, gamma)
    n = exact.n
    arrays = {name: np.asarray(getattr(n, name)) for name in ("A", "B", "D", "Q", "R", "Q_T")}
    return World(
        game=game,
        gamma=gamma,
        sizes=exact.sizes,
        **arrays,
        Sigma=np.asarray(n.start),
        nash=stacked(JointGains.of(saddle.K1, saddle.K2, saddle.L1, saddle.L2)),
        values=np.stack([saddle.M, saddle.M_bar]),
    )


def stacked(gains: JointGains) -> np.ndarray:
    """W of both players' gains."""
    return np.concatenate([np.asarray(gains.theta1), np.asarray(gains.theta2)], axis=-2)


def players(W: np.ndarray, controls: int) -> JointGains:
    """Both players' gains of W."""
    return JointGains(W[..., :controls, :], W[..., controls:, :])


def result(learned: Learned) -> np.ndarray:
    """(T, p+q, 2m) the gains that were learned."""
    return stacked(JointGains.of(learned.K1, learned.K2, learned.L1, learned.L2))


def split(W: np.ndarray) -> np.ndarray:
    """(…, 2, p+q, m) from (…, p+q, 2m)."""
    m = W.shape[-1] // 2
    return np.stack([W[..., :m], W[..., m:]], axis=-3)


def norm(W: np.ndarray) -> np.ndarray:
    """Frobenius norm over the last two axes."""
    return np.sqrt(np.sum(W**2, axis=(-2, -1)))


# --- exact, with later gains as they are ---------------------------------------------------------


def value_before(w: World, t: int, W: np.ndarray, P: np.ndarray) -> np.ndarray:
    """P_t = Q + K¹ᵀRK¹ − γ²K²ᵀK² + A_cᵀ P_{t+1} A_c of the gains W of stage t, (…, 2, m, m)."""
    both, p = split(W), w.controls
    k1, k2 = both[..., :p, :], both[..., p:, :]
    closed = w.A[:, t] - w.B[:, t] @ k1 + w.D[:, t] @ k2
    paid = w.Q[:, t] + k1.mT @ w.R[:, t] @ k1 - w.gamma**2 * k2.mT @ k2
    return paid + closed.mT @ P @ closed


def value_after(w: World, t: int, W: np.ndarray) -> np.ndarray:
    """P_{t+1} of the gains W, (…, T, p+q, 2m), of the stages after t."""
    P = w.Q_T
    for s in range(w.horizon - 1, t, -1):
        P = value_before(w, s, W[..., s, :, :], P)
    return P


def curvature(w: World, t: int, P: np.ndarray) -> np.ndarray:
    """S, (…, 2, p+q, p+q): the stage's payoff is Tr(Wᵀ S W Σ) and terms linear in W."""
    reach = np.concatenate([-w.B[:, t], w.D[:, t]], axis=-1)
    S = reach.mT @ P @ reach
    p = w.controls
    S[..., :p, :p] += w.R[:, t]
    S[..., p:, p:] -= w.gamma**2 * np.eye(S.shape[-1] - p)
    return S


def local_saddle(w: World, t: int, P: np.ndarray) -> np.ndarray:
    """W̃*_t, (…, p+q, 2m): the saddle point of stage t (P1's target) when what follows costs P."""
    reach = np.concatenate([-w.B[:, t], w.D[:, t]], axis=-1)
    both = -np.linalg.solve(curvature(w, t, P), reach.mT @ P @ w.A[:, t])
    return np.concatenate([both[..., 0, :, :], both[..., 1, :, :]], axis=-1)


def targets(w: World, W: np.ndarray) -> np.ndarray:
    """(…, T, p+q, 2m): each stage's local saddle point under the later gains of W."""
    P, out = w.Q_T, []
    for t in range(w.horizon - 1, -1, -1):
        out.append(np.broadcast_to(local_saddle(w, t, P), W[..., t, :, :].shape))
        P = value_before(w, t, W[..., t, :, :], P)
    return np.stack(out[::-1], axis=-3)


def margin(w: World, t: int, P: np.ndarray) -> np.ndarray:
    """Least eigenvalue of R + BᵀPB and of γ²I − DᵀPD: positive where the stage is convex–concave."""
    S, p = curvature(w, t, P), w.controls
    convex = np.linalg.eigvalsh(S[..., :p, :p]).min(axis=-1)
    concave = -np.linalg.eigvalsh(S[..., p:, p:]).max(axis=-1)
    return np.minimum(convex, concave).min(axis=-1)


# --- rates -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rates:
    """What a stage's curvature says about descent–ascent with step η.

    Attributes:
        mu: μ. lipschitz: L. limit: μ/L², the largest η that Theorem 4's rule allows.
        slowest: largest factor that an error keeps per iteration, max |1 − ηλ|.
    """

    mu: float
    lipschitz: float
    limit: float
    slowest: float


def rates(w: World, t: int, P: np.ndarray, eta: float) -> Rates:
    """From the curvature of stage t under later gains that cost P.

    The field is G(E) = 2 diag(I, −I) S E Σ, half by half; μ is the least eigenvalue of its symmetric
    part, which is block diagonal, and L its norm.
    """
    S, sign = curvature(w, t, P), np.ones(w.nash.shape[-2])
    sign[w.controls :] = -1
    G = np.stack(
        [np.kron(2 * sign[:, None] * s, sigma) for s, sigma in zip(S, w.Sigma, strict=True)]
    )
    mu = float(np.linalg.eigvalsh((G + G.mT) / 2).min())
    L = float(np.linalg.norm(G, 2, axis=(-2, -1)).max())
    slowest = float(np.abs(1 - eta * np.linalg.eigvals(G)).max())
    return Rates(mu, L, mu / L**2, slowest)


def best_step(w: World) -> float:
    """Theorem 4's η = μ/L² of the stage where it is least, at the Nash gains."""
    return min(rates(w, t, w.values[:, t + 1], 0.0).limit for t in range(w.horizon))


# --- what was recorded -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Path:
    """The errors along a receding-horizon run.

    Attributes:
        total: (n,) iterations since the run began. stage, iteration: (n,).
        nash: (n,) ‖W_t − W*_t‖ of the stage being learned: what P1 plots.
        inner: (n,) ‖W_t − W̃*_t‖, from that stage's own saddle point under the learned later gains.
        every: (n,) distance of all gains from Nash; stages not yet begun count with gains 0.
    """

    total: np.ndarray
    stage: np.ndarray
    iteration: np.ndarray
    nash: np.ndarray
    inner: np.ndarray
    every: np.ndarray


def path(w: World, learned: Learned) -> Path:
    """Errors of everything that was recorded."""
    stage, iteration = learned.iterates.stage, learned.iterates.iteration
    W, final = learned.iterates.gains[:, 0], result(learned)
    goal, untouched = targets(w, final), norm(w.nash) ** 2
    left = norm(final - w.nash) ** 2
    nash = norm(W - w.nash[stage])
    every = np.array(
        [e**2 + left[t + 1 :].sum() + untouched[:t].sum() for t, e in zip(stage, nash, strict=True)]
    )
    length = {t: iteration[stage == t].max() for t in range(w.horizon)}
    begun = np.array([sum(length[s] for s in range(t + 1, w.horizon)) for t in stage])
    return Path(begun + iteration, stage, iteration, nash, norm(W - goal[stage]), np.sqrt(every))


def gapped(values: np.ndarray, stage: np.ndarray) -> np.ndarray:
    """Values with a NaN in front of each stage but the first, so that a line breaks there."""
    breaks = np.flatnonzero(np.diff(stage)) + 1
    return np.insert(np.asarray(values, dtype=np.float64), breaks, np.nan)


def fitted_factor(iteration: np.ndarray, error: np.ndarray) -> float:
    """Factor by which the squared error falls per iteration, over the second half of what can be resolved.

    The first half still holds the fast directions. Below 10⁻¹¹ of the start it is rounding that is seen.
    """
    resolved = error > 1e-11 * error[0]
    if not resolved.all():
        resolved[int(np.argmin(resolved)) :] = False
    late = resolved & (iteration >= iteration[resolved].max() / 2)
    if late.sum() < 2:
        return math.nan
    return float(np.exp(2 * np.polyfit(iteration[late], np.log(error[late]), 1)[0]))


def spread(values: Any) -> str:
    """Mean and standard deviation in words."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return f"{values.mean():.3g}"
    return f"{values.mean():.3g} ± {values.std(ddof=1):.2g}"


# --- small helpers of the reproductions ----------------------------------------------------------------


def seeds(seed: int, count: int) -> list[int]:
    """Seeds of `count` independent runs."""
    return [int(s) for s in np.random.SeedSequence(seed).generate_state(count, np.uint32)]


def within(progress: Any, begin: float, end: float, text: str) -> Any:
    """`learn`'s progress as a share of a longer job."""
    return lambda step: progress(begin + (end - begin) * min(max(step.done, 0.0), 1.0), text)
