"""What a controller does to noise, measured: the ratio of expectations E J / E ϖ, with its interval."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats

from phalanx._outcome import InputError
from phalanx.equilibria import RobustGame
from phalanx.policies import Policy


@dataclass(frozen=True)
class NoiseGain:
    """A measured ratio of expectations.

    Attributes:
        ratio: mean J / mean ϖ over the runs (P1, eqs. 2–3).
        low, high: its confidence interval. confidence: of the interval.
        cost: mean J. noise_index: mean ϖ. runs: how many.
    """

    ratio: float
    low: float
    high: float
    confidence: float
    cost: float
    noise_index: float
    runs: int


def noise_gain(
    game: RobustGame,
    policy: Policy,
    disturbance: Any = None,
    *,
    n_agents: int,
    runs: int = 1000,
    key: int = 0,
    rounds: int | None = None,
    confidence: float = 0.95,
) -> NoiseGain:
    """Measure E J / E ϖ by simulating the population `runs` times.

    A certified controller keeps this ratio of *expectations* at or below γ²; single runs may
    exceed it. The interval is that of a ratio of means (delta method): normal, from the spread of
    J − ratio·ϖ over independent runs.

    Args:
        game: dynamics, cost and noise.
        policy: the controller.
        disturbance: d; none by default.
        n_agents: N.
        runs: independent repetitions, at least 2.
        key: seed, consumed.
        rounds: T, for the stationary game; its horizon otherwise.
        confidence: of the interval, between 0 and 1.

    Returns:
        `NoiseGain`.

    Raises:
        InputError: a noise index of zero (no noise and no disturbance), or arguments out of range.

    Example:
        >>> import phalanx as px
        >>> game = px.scenario("two-by-two").game
        >>> saddle = px.solve(game, gamma=3.0)
        >>> measured = px.noise_gain(game, px.MeanFieldFeedback(saddle.K1, saddle.L1), n_agents=20)
        >>> bool(measured.high <= 3.0**2)
        True
    """
    from phalanx.simulation import simulate

    if runs < 2 or not 0 < confidence < 1:
        raise InputError(
            f"runs must be at least 2 and confidence between 0 and 1, but they are {runs} and {confidence}."
        )
    T = rounds if rounds is not None else None if game.stationary else int(game.horizon)
    record = simulate(
        game.system,
        policy,
        disturbance,
        game.cost,
        T,
        key,
        n_agents=n_agents,
        noise=game.noise,
        runs=runs,
        record="totals",
    )
    cost, index = record.cost, record.noise_index
    if not index.mean() > 0:
        raise InputError("the noise index is 0: give the game noise, or a disturbance.")
    ratio = cost.mean() / index.mean()
    spread = (cost - ratio * index).std(ddof=1) / (np.sqrt(runs) * index.mean())
    half = scipy.stats.norm.ppf((1 + confidence) / 2) * spread
    return NoiseGain(
        float(ratio),
        float(ratio - half),
        float(ratio + half),
        confidence,
        float(cost.mean()),
        float(index.mean()),
        runs,
    )
