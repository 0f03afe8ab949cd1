"""The controllers everybody else would use, in the same form, to be compared with.

Each returns `Gains`, ready for `MeanFieldFeedback`:

    idle                   every gain 0
    lqr                    γ → ∞: the best controller if disturbances were white noise
    certainty_equivalent   LQR on a model fitted to a short record, as if the fit were the truth
    per_agent              single-agent H∞: every agent alone, the coupling ignored
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from phalanx._outcome import InputError
from phalanx.costs import MeanFieldCost
from phalanx.equilibria._game import RobustGame
from phalanx.equilibria._levels import saddle_level
from phalanx.equilibria._saddle import solve
from phalanx.systems import MeanFieldSystem


@dataclass(frozen=True, eq=False)
class Gains:
    """A controller's gains, u = −K (x − x̄) − L x̄.

    Attributes:
        K: (T, p, m) on deviations; stationary: (p, m). L: the same, on the mean.
        note: what they were made from, in one sentence.
    """

    K: Float[np.ndarray, "*T p m"]
    L: Float[np.ndarray, "*T p m"]
    note: str


def idle(game: RobustGame) -> Gains:
    """No control at all."""
    shape = (game.system.control_size, game.system.state_size)
    shape = shape if game.stationary else (int(game.horizon), *shape)
    return Gains(np.zeros(shape), np.zeros(shape), "Every control is 0.")


def lqr(game: RobustGame) -> Gains:
    """The mean-field LQ regulator: the saddle point as γ → ∞.

    Raises:
        NoSolutionError: a stationary problem that no control stabilises.

    Example:
        >>> import phalanx as px
        >>> game = px.RobustGame(px.MeanFieldSystem(A=1.0, B=1.0), px.MeanFieldCost(Q=1.0))
        >>> px.baselines.lqr(game).K.round(6)
        array([[0.618034]])
    """
    saddle = solve(game, np.inf, throw=True)
    return Gains(saddle.K1, saddle.L1, "Optimal against white noise, blind to adversaries.")


def per_agent(game: RobustGame, factor: float = 1.1) -> Gains:
    """Single-agent H∞ control: every agent solves its own game (A, B, D, Q, R) as if alone.

    Args:
        game: the team's game, whose couplings Ā, B̄, D̄ and mean weights are ignored.
        factor: γ as a multiple of the lone agent's own level, above 1.

    Raises:
        InputError: factor not above 1.
        NoSolutionError: a stationary problem that no control stabilises.
    """
    if not factor > 1:
        raise InputError(
            f"factor must be above 1, so that gamma lies above the level, but it is {factor!r}."
        )
    s, c = game.system, game.cost
    alone = RobustGame(
        MeanFieldSystem(s.A, 0.0, s.B, 0.0, s.D, 0.0),
        MeanFieldCost(Q=c.Q, R=c.R, Q_T=c.Q_T, Q_bar_T=c.Q_T),
        horizon=game.horizon,
    )
    try:
        level = float(saddle_level(alone.half("deviation")))
    except np.linalg.LinAlgError:
        level = np.inf
    saddle = solve(alone, factor * level if level > 0 else np.inf, throw=True)
    return Gains(
        saddle.K1, saddle.K1, f"Each agent alone, at {factor:g} times its own level {level:.6g}."
    )


def certainty_equivalent(
    game: RobustGame,
    key: int = 0,
    *,
    rounds: int = 16,
    episodes: int = 8,
    n_agents: int = 50,
    excitation: float = 1.0,
) -> Gains:
    """LQR on a model fitted by least squares to a short record of random play.

    The record is made by exciting the agents with Gaussian controls; the deviations identify
    (A, B), the means (A+Ā, B+B̄), and the fit is then taken for the truth.

    Args:
        game: the true game; only its record is read, and its weights.
        key: seed, consumed.
        rounds: length of each episode.
        episodes: how many.
        n_agents: agents in each.
        excitation: standard deviation of the control, idiosyncratic and common alike.

    Raises:
        InputError: time-varying matrices (one record does not identify them), or a record too short.
        NoSolutionError: the fitted model cannot be stabilised.

    Source: certainty equivalence in the sense of Mania, Tu & Recht (2019).
    """
    from phalanx.disturbances import Gaussian
    from phalanx.policies import MeanFieldFeedback
    from phalanx.simulation import simulate

    s, m, p = game.system, game.system.state_size, game.system.control_size
    if s.stages is not None:
        raise InputError(
            "certainty_equivalent needs constant system matrices, but they vary in time."
        )
    if rounds * episodes < m + p or n_agents < 2:
        raise InputError(
            f"the record has {rounds * episodes} rounds of {n_agents} agents; identifying the mean takes at "
            f"least {m + p} rounds, and the deviations at least 2 agents."
        )
    still = MeanFieldFeedback(np.zeros((p, m)), np.zeros((p, m)))
    # The excitation enters where the controls do: for the fit it is the control.
    record = simulate(
        MeanFieldSystem(s.A, s.A_bar, s.B, s.B_bar, s.B, s.B_bar),
        still,
        Gaussian(excitation**2, scope="both"),
        rounds=rounds,
        key=key,
        n_agents=n_agents,
        noise=game.noise,
        runs=episodes,
        record="states",
    )
    x, u = record.x, record.d
    mean_x, mean_u = x.mean(axis=2), u.mean(axis=2)
    y, v = x - mean_x[:, :, None], u - mean_u[:, :, None]
    own = _fit(y[:, :-1].reshape(-1, m), v.reshape(-1, p), y[:, 1:].reshape(-1, m))
    mean = _fit(mean_x[:, :-1].reshape(-1, m), mean_u.reshape(-1, p), mean_x[:, 1:].reshape(-1, m))
    A, B = own[:, :m], own[:, m:]
    fitted = MeanFieldSystem(A, mean[:, :m] - A, B, mean[:, m:] - B, s.D, s.D_bar)
    gains = lqr(RobustGame(fitted, game.cost, game.noise, game.horizon))
    note = f"LQR on a model fitted to {episodes * rounds} rounds of {n_agents} agents, excited at random."
    return Gains(gains.K, gains.L, note)


def _fit(x: np.ndarray, u: np.ndarray, x_next: np.ndarray) -> np.ndarray:
    """[A B] with x' ≈ A x + B u, by least squares; a direction that never moved is given no dynamics."""
    solution, *_ = np.linalg.lstsq(np.hstack([x, u]), x_next, rcond=None)
    return solution.T
