"""What an agent could have paid: the best fixed policies in hindsight, and how far all were from equilibrium."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from phalanx._outcome import InputError, NoSolutionError
from phalanx.evaluation import equilibrium_gap, regret
from phalanx.experiments._contestants import stand_ins
from phalanx.scenarios import LinearScenario

# What a run is compared with, by the word that asks for it.
CLASSES: dict[str, tuple[str, ...]] = {"all": ("dac", "linear"), "dac": ("dac",), "none": ()}
NUMBERS = (
    "best_dac_cost",
    "best_linear_cost",
    "regret_dac",
    "regret_linear",
    "optimality_gap",
    "best_linear_K",
    "best_linear_kappa",
    "counterfactual",
)
# Rounds at which the equilibrium gap is computed: each is one convex problem per agent.
GAPS = 200


@dataclass(frozen=True, eq=False)
class Hindsight:
    """The comparison of one agent with the best fixed policies of its scenario.

    Attributes:
        numbers: what the JSON says of it; None where there is no number, with a sentence in `notes`.
        curve: (T,) regret against the best DAC of the whole run, or None.
        notes: why a number is missing, and what a comparator's search leaves open.
    """

    numbers: dict[str, Any]
    curve: np.ndarray | None
    notes: tuple[str, ...]


def hindsight(
    scenario: LinearScenario,
    trajectory: Any,
    agent: int,
    learner: Any,
    classes: tuple[str, ...],
    seed: int,
) -> Hindsight:
    """Regret of one agent against the best of each class of policies.

    Args:
        scenario: whose set of disturbance-action policies is compared with, whoever played.
        trajectory: the run.
        agent: i.
        learner: the agent as the scenario describes it (see `stand_ins`); it brings K_i, H and the set.
        classes: of `CLASSES`, which to compare with.
        seed: of the search for the best linear policy.
    """
    policies = list(trajectory.policies)
    policies[agent] = learner
    run = replace(trajectory, policies=tuple(policies))
    reading = "reacting" if scenario.online.setting == "aggregated" else "open-loop"
    numbers: dict[str, Any] = dict.fromkeys(NUMBERS) | {"counterfactual": reading}
    notes, curve = [], None
    for key in classes:
        try:
            found = regret(run, agent, key, reading, key=seed)  # pyright: ignore[reportArgumentType]
        except (InputError, NoSolutionError) as error:
            notes.append(f"best_{key}_cost of agent {agent} is null: {error}")
            continue
        if not math.isfinite(found.comparator_cost):
            notes.append(f"best_{key}_cost of agent {agent} is null: {found.outcome.text}")
            continue
        if not found.outcome.ok:
            notes.append(f"best_{key}_cost of agent {agent}: {found.outcome.text}")
        numbers |= {f"best_{key}_cost": found.comparator_cost, f"regret_{key}": found.regret}
        if key == "dac":
            numbers["optimality_gap"], curve = found.optimality_gap, found.curve
        else:
            numbers |= {"best_linear_K": found.K, "best_linear_kappa": found.kappa}
    return Hindsight(numbers, curve, tuple(notes))


def all_hindsight(
    scenario: LinearScenario,
    trajectory: Any,
    classes: tuple[str, ...],
    seed: int,
    starting: Callable[[int], None],
) -> list[Hindsight]:
    """`hindsight` of every agent; `starting` is called with each agent before its turn."""
    out = []
    for agent, learner in enumerate(stand_ins(scenario)):
        starting(agent)
        out.append(hindsight(scenario, trajectory, agent, learner, classes, seed))
    return out


def common_costs(scenario: LinearScenario) -> bool:
    """Whether all agents pay by the same rule: the same callable, or the same kind with the same numbers."""
    import equinox as eqx

    first = scenario.costs[0]
    return all(cost is first or bool(eqx.tree_equal(cost, first)) for cost in scenario.costs)


def gap(trajectory: Any) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """The equilibrium gap over the run, and notes; None where there is none, and the reason."""
    try:
        found = equilibrium_gap(trajectory, every=max(1, trajectory.rounds // GAPS))
    except (InputError, NoSolutionError) as error:
        return None, (f"equilibrium_gap is null: {error}",)
    if not (math.isfinite(found.mean) and math.isfinite(found.mean_square)):
        return None, (f"equilibrium_gap is null: {found.outcome.text}",)
    numbers = {
        "mean": found.mean,
        "mean_square": found.mean_square,
        "last": float(found.gap[-1]),
        "certificate": float(found.certificate.max()),
        "rounds": len(found.rounds),
        "potential": found.potential,
    }
    said = () if found.outcome.ok else (f"equilibrium_gap: {found.outcome.text}",)
    return numbers, (*said, *found.notes)
