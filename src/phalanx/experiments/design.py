"""The design of a scenario: levels, gains and certificate, under the names the JSON uses."""

import math
from typing import Any

from phalanx.equilibria import Certificate, attenuation_levels, certify
from phalanx.scenarios import Scenario

# What `gamma = "auto"` means: this much above the least viable level.
AUTO = 1.1
# A least viable level this many times the saddle level deserves a word.
FAR = 2.0


def design(
    scenario: Scenario, gamma: float | None = None, n_agents: float | None = None
) -> Certificate:
    """Find the levels, choose γ, solve and certify.

    Args:
        scenario: the problem.
        gamma: γ; the scenario's own choice by default, where "auto" is 1.1 × the least viable level
            and "saddle" 1.1 × the saddle level, which counts disturbances alone.
        n_agents: N; the scenario's own by default.

    Raises:
        NoSolutionError: a stationary problem that no control stabilises.
    """
    n_agents = scenario.n_agents if n_agents is None else n_agents
    levels = attenuation_levels(scenario.game, n_agents)
    chosen = scenario.gamma if gamma is None else gamma
    if isinstance(chosen, str):
        # Without process noise no level meets the budget; without any cost of d every level does.
        met = chosen == "auto" and math.isfinite(levels.population)
        least = levels.population if met else levels.saddle
        chosen = AUTO * least if least > 0 else 1.0
    return certify(scenario.game, chosen, n_agents, levels)


def design_summary(certificate: Certificate) -> dict[str, Any]:
    """The certificate under the JSON's names; `notes` says why a number is null."""
    c, saddle, levels = certificate, certificate.saddle, certificate.levels
    solved = saddle.outcome.ok
    alone = c.n_agents == 1
    gains = {
        "K1": saddle.K1 if solved and not (alone and math.isnan(float(saddle.M.sum()))) else None,
        "K2": saddle.K2 if solved and not (alone and math.isnan(float(saddle.M.sum()))) else None,
        "L1": saddle.L1 if solved else None,
        "L2": saddle.L2 if solved else None,
    }
    value_mean_field = saddle.value_for(math.inf) if solved and gains["K1"] is not None else None
    summary = {
        "n_agents": c.n_agents,
        "gamma": c.gamma,
        "gamma_saddle": levels.saddle,
        "gamma_mean_field": levels.mean_field,
        "gamma_population": levels.population,
        "gamma_theorem3": levels.theorem3,
        "viable": c.viable,
        "binding": c.binding,
        "stage": c.stage,
        "margin": c.margin,
        "value": c.value,
        "value_mean_field": value_mean_field,
        "value_initial": c.value_initial,
        "budget_slack": c.budget_slack,
        "reason": c.reason,
        **gains,
    }
    return summary | {"notes": _notes(summary, saddle.stationary, levels.saddle_deviation)}


def _notes(summary: dict[str, Any], stationary: bool, deviation_level: float) -> list[str]:
    notes = []
    why = "without process noise no gamma meets the noise budget"
    if deviation_level == math.inf:
        why = "the deviation system cannot be stabilised, which one agent does not need"
    if summary["n_agents"] == math.inf:
        notes.append("n_agents is null: the mean-field limit, N = infinity.")
    for name in ("gamma_mean_field", "gamma_population", "gamma_theorem3"):
        if summary[name] == math.inf:
            notes.append(f"{name} is null: {why}.")
    if summary["gamma"] == math.inf:
        notes.append("gamma and budget_slack are null: gamma is infinite, the LQR limit.")
    if summary["value"] is not None and stationary:
        notes.append("value_initial is null: an average per step does not count the initial state.")
    far = summary["gamma_population"] / summary["gamma_saddle"] if summary["gamma_saddle"] else 1.0
    if FAR < far < math.inf:
        initial = summary["value_initial"]
        share = (
            f" ({initial / summary['value']:.0%} of the value is the initial state's)"
            if initial
            else ""
        )
        notes.append(
            f"The noise budget{share} puts the least viable gamma at {far:.3g} times the saddle level; gains so far "
            'above it are nearly LQR\'s. To defend against disturbances alone, ask for gamma = "saddle".'
        )
    if stationary:
        notes.append(
            "gamma_theorem3 is null: its constant C grows without bound as the horizon does."
        )
        notes.append("value and value_mean_field are averages per step.")
    if summary["value"] is None:
        notes.append(
            "value, value_mean_field, value_initial, budget_slack and the gains are null: there is no saddle point at this gamma."
        )
    if not math.isfinite(summary["margin"]):
        notes.append("margin is null: no finite margin could be computed at this gamma.")
    if summary["K1"] is None and summary["L1"] is not None:
        notes.append(
            "K1, K2 and value_mean_field are null: the deviation game has no saddle point, and one agent does not need it."
        )
    return notes
