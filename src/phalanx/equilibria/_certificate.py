"""`certify`: what a level γ promises for N agents, and what it is that binds.

A certificate names one condition. Where γ is not viable it is the one that fails. Where γ is
viable it is the one that fails first as γ falls, because that is what an engineer must change to
do better: the stage whose margin closes, the stabilising solution that ceases to exist, or the
budget that the noise exceeds.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from phalanx._outcome import InputError, Outcome
from phalanx._types import agents as check_agents
from phalanx._types import attenuation
from phalanx.equilibria._game import Half, RobustGame
from phalanx.equilibria._levels import AttenuationLevels, attenuation_levels
from phalanx.equilibria._saddle import NAMES, SaddlePoint, first_failure, solve
from phalanx.equilibria._stationary import solve_stationary
from phalanx.equilibria._value import initial_value

Binding = Literal["deviation_game", "mean_game", "stabilising_solution", "noise_budget"]

# A margin below this share of γ², right above the level, is a margin that closes there.
CLOSING = 1e-4
NEAR = 1e-7


@dataclass(frozen=True, eq=False)
class Certificate:
    """What holds at γ for N agents.

    Attributes:
        gamma: γ. n_agents: N.
        viable: whether a controller exists with J ≤ γ²ϖ against every disturbance (P1, eq. 4).
        binding: the condition that fails; at a viable γ, the one that fails first as γ falls.
        stage: the stage at which a game binds; None for the noise budget and the stationary game.
        margin: least eigenvalue of γ²I − DᵀMD over stages and both games; not positive where a
            game's margin fails, NaN where there is no stabilising solution to take it of.
        budget_slack: γ²T Tr(Σ+Σ̄) − V_N (per step when stationary); None without a saddle point.
        value: V_N; None without a saddle point.
        value_initial: the part of it that the initial state costs; None when stationary.
        reason: the above in one sentence.
        levels: the attenuation levels.
        saddle: the saddle point at γ, with both sides' gains.
    """

    gamma: float
    n_agents: float
    viable: bool
    binding: Binding
    stage: int | None
    margin: float
    budget_slack: float | None
    value: float | None
    value_initial: float | None
    reason: str
    levels: AttenuationLevels
    saddle: SaddlePoint

    @property
    def outcome(self) -> Outcome:
        """`"solved"` where a saddle point exists, else why not and what to try."""
        if self.saddle.outcome.ok:
            return self.saddle.outcome
        return Outcome(self.saddle.outcome.status, self.reason, "Choose gamma above that level.")


def certify(
    game: RobustGame,
    gamma: float,
    n_agents: float = float("inf"),
    levels: AttenuationLevels | None = None,
) -> Certificate:
    """Certify attenuation level `gamma` for `n_agents` agents.

    Args:
        game: a single game.
        gamma: γ > 0.
        n_agents: N, from 1 to infinity.
        levels: as `attenuation_levels(game, n_agents)` returned them, if already at hand.

    Returns:
        `Certificate`; a γ without a saddle point is an answer too (`viable` False, `outcome` why).

    Raises:
        InputError: γ or N out of range, or a batch of games.
        NoSolutionError: a stationary problem that no control stabilises.

    Source: P1, eqs. 4, 12, 15; exact N beyond P1.

    Example:
        >>> import phalanx as px
        >>> certificate = px.certify(px.scenario("two-by-two").game, gamma=3.0, n_agents=100)
        >>> certificate.viable, certificate.binding
        (True, 'noise_budget')
    """
    n_agents = check_agents("n_agents", n_agents)
    if game.batch or np.ndim(gamma):
        raise InputError("certify takes one game and one gamma; call it for each game of a batch.")
    gamma = float(attenuation("gamma", gamma))
    saddle = solve(game, gamma, n_agents)
    if levels is None or levels.n_agents != n_agents:
        levels = attenuation_levels(game, n_agents)
    value = slack = initial = None
    if saddle.feasible:
        initial = initial_value(game, saddle.M, saddle.M_bar, n_agents)
        value = float(saddle.value)
        # Without process noise the budget is 0 at every γ, infinite ones included.
        slack = (gamma**2 * saddle.noise_power if saddle.noise_power else 0.0) - value
    viable = slack is not None and slack >= 0
    if not saddle.feasible:
        binding, stage, margin, why = _failure(game, saddle, levels)
    else:
        margin = float(saddle.margin)
        if not viable or levels.population > levels.saddle * (1 + 1e-10):
            binding, stage = "noise_budget", None
        else:
            binding, stage = _at_level(game, levels)
        why = _reason(viable, binding, stage, levels)
    return Certificate(
        gamma=gamma,
        n_agents=n_agents,
        viable=viable,
        binding=binding,
        stage=stage,
        margin=margin,
        budget_slack=slack,
        value=value,
        value_initial=initial,
        reason=_head(gamma, n_agents, viable, slack, value) + why,
        levels=levels,
        saddle=saddle,
    )


def _head(
    gamma: float, n_agents: float, viable: bool, slack: float | None, value: float | None
) -> str:
    who = (
        "the mean-field limit"
        if np.isinf(n_agents)
        else "1 agent"
        if n_agents == 1
        else f"{int(n_agents)} agents"
    )
    if value is None or slack is None:
        return f"gamma = {gamma:.10g} has no saddle point: "
    if viable:
        return f"gamma = {gamma:.10g} is viable for {who}; "
    return (
        f"gamma = {gamma:.10g} has a saddle point but is not viable for {who}: its value {value:.6g} exceeds the noise "
        f"budget {value + slack:.6g}; "
    )


def _reason(viable: bool, binding: Binding, stage: int | None, levels: AttenuationLevels) -> str:
    if binding == "noise_budget":
        if np.isinf(levels.population):
            return "no gamma meets the noise budget, because there is no process noise to weigh the initial state against."
        return f"the least viable level is {levels.population:.10g}, where the noise budget binds."
    if levels.saddle == 0:
        return "the disturbance reaches no cost, so every gamma > 0 is viable."
    where = {
        "stabilising_solution": "where the stabilising solution ceases to exist",
        "deviation_game": "where the deviation game's margin closes",
        "mean_game": "where the mean game's margin closes",
    }[binding]
    return f"the least viable level is {levels.saddle:.10g}, {where}{'' if stage is None else f' at stage {stage}'}."


def _worse_half(levels: AttenuationLevels) -> Half:
    if levels.n_agents == 1 or levels.saddle_mean >= levels.saddle_deviation:
        return "mean"
    return "deviation"


def _at_level(game: RobustGame, levels: AttenuationLevels) -> tuple[Binding, int | None]:
    """What closes at the saddle level itself."""
    half = _worse_half(levels)
    game_binds: Binding = "mean_game" if half == "mean" else "deviation_game"
    if levels.saddle == 0:
        return game_binds, None
    if game.stationary:
        above = levels.saddle * (1 + NEAR)
        solved = solve_stationary(game.half(half), np.asarray(above))
        closes = float(solved.margin) < CLOSING * above**2
        return (game_binds if closes else "stabilising_solution"), None
    below = solve(game, levels.saddle * (1 - NEAR), levels.n_agents)
    margins = below.margin_mean if half == "mean" else below.margin_deviation
    return game_binds, first_failure(margins)


def _failure(
    game: RobustGame, saddle: SaddlePoint, levels: AttenuationLevels
) -> tuple[Binding, int | None, float, str]:
    """What fails at a γ without a saddle point, at which stage, by how much, and the sentence."""
    half = _worse_half(levels)
    margins = saddle.margin_mean if half == "mean" else saddle.margin_deviation
    if (
        not game.stationary and (margins > 0).all()
    ):  # within rounding of the level the other may fail
        half = "deviation" if half == "mean" else "mean"
        margins = saddle.margin_mean if half == "mean" else saddle.margin_deviation
    if game.stationary:
        binding, _ = _at_level(game, levels)
        margin = float(margins)
        if binding == "stabilising_solution":
            text = f"the {NAMES[half]} has no stabilising solution below its saddle level {levels.saddle:.10g}."
        else:
            text = f"the {NAMES[half]}'s margin is not positive below its saddle level {levels.saddle:.10g}."
        return binding, None, margin, text
    stage = first_failure(margins)
    margin = float(saddle.margin)
    text = (
        f"the {NAMES[half]} fails at stage {stage}, where the least eigenvalue of γ²I − DᵀMD is {margins[stage]:.6g}; "
        f"the saddle level is {levels.saddle:.10g}."
    )
    return ("mean_game" if half == "mean" else "deviation_game"), stage, margin, text
