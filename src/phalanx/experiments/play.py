"""Many selfish agents in one world: they play, and are held against the best they could have done.

Agents that learn, or any of the baselines, play the scenario's rounds. Then every agent's costs are
compared with the best fixed policies in hindsight, everybody else held as recorded; where all pay by
one rule and know what the others do, the distance from equilibrium is measured too.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from phalanx._outcome import InputError
from phalanx._record import Record
from phalanx._types import LONGEST
from phalanx.experiments._by_theory import by_theory
from phalanx.experiments._contestants import Contestants, contestants
from phalanx.experiments._hindsight import (
    CLASSES,
    NUMBERS,
    Hindsight,
    all_hindsight,
    common_costs,
    gap,
)
from phalanx.experiments._play_record import name_of, play_record, size_of
from phalanx.scenarios import LinearScenario
from phalanx.scenarios._linear_scenario import whole

# Parameters of every round are kept for the equilibrium gap up to so many numbers.
MOST_PARAMETERS = 30_000_000
# Share of the work that is playing, for the progress bar.
PLAYED = 0.3

Progress = Callable[[float, str], None]


def play(
    scenario: LinearScenario,
    controller: str = "gpc",
    *,
    rounds: int | None = None,
    setting: str | None = None,
    memory: int | str | None = None,
    step_size: Any = None,
    radius: float | None = None,
    decay: float | None = None,
    hindsight: str = "all",
    seed: int = 0,
    progress: Progress = lambda share, text: None,
    warn: Callable[[str], None] = lambda text: None,
) -> Record:
    """Play a linear scenario and evaluate every agent.

    Args:
        scenario: the world.
        controller: one of `CONTROLLERS`; "gpc" learns.
        rounds: T; the scenario's own by default.
        setting: what agents are told: "independent", "aggregated" or "aggregated-agentwise". This and
            what follows are the scenario's own by default.
        memory: H, or "theory".
        step_size: η of the learners, as `OnlineSettings` takes it.
        radius: a of the set that learners stay in and are compared with.
        decay: ρ of the same set.
        hindsight: "all" compares with the best DAC and the best linear policy, "dac" with the former
            alone (the search for the other takes long where states are many), "none" with neither.
        seed: of everything random.
        progress: called with a share of the work and a few words.
        warn: called with each sentence to be read before the first round.

    Returns:
        `Record` of kind "play". Where the numbers grew beyond bounds its outcome is "diverged", and it
        ends with the last round that was played.

    Raises:
        InputError: settings out of range, a learner's gain that does not stabilise, a record that is too short.
        NoSolutionError: a controller that does not exist for this world.

    Example:
        >>> import numpy as np
        >>> import phalanx as px
        >>> tank = LinearScenario(
        ...     "tank",
        ...     "A leaking tank",
        ...     system=px.LinearSystem(A=0.9, B=1.0),
        ...     costs=(px.Quadratic(Q=1.0, R=1.0),),
        ...     gains=(np.zeros((1, 1)),),
        ...     disturbance=px.Sinusoid(1.0, period=20),
        ...     rounds=100,
        ... )
        >>> record = play(tank)
        >>> record.summary["outcome"], len(record.summary["agents"])
        ('solved', 1)
    """
    asked = {
        "setting": setting,
        "memory": memory,
        "step_size": step_size,
        "radius": radius,
        "decay": decay,
    }
    asked = {name: value for name, value in asked.items() if value is not None}
    if hindsight not in CLASSES:
        raise InputError(f"hindsight must be one of {', '.join(CLASSES)}, but it is {hindsight!r}.")
    T = scenario.rounds if rounds is None else rounds
    if not whole(T, LONGEST):
        raise InputError(f"rounds must be a whole number from 1 to {LONGEST:,}, but it is {T!r}.")
    _check_record(scenario, T)
    scenario = replace(scenario, rounds=T, online=replace(scenario.online, **asked))
    scenario = by_theory(scenario, T, seed)
    players = contestants(scenario, controller, T, seed)
    for text in players.warnings:
        warn(text)
    progress(0.0, f"{T:,} rounds")
    trajectory = _run(scenario, controller, players, seed)
    progress(PLAYED, "best policies in hindsight")
    notes = [*scenario.notes, *_blind(scenario, controller)]
    compared: list[Hindsight] = []
    equilibrium = None
    if trajectory.outcome.ok:
        share = (1.0 - PLAYED) / scenario.n_agents
        compared = all_hindsight(
            scenario,
            trajectory,
            CLASSES[hindsight],
            seed,
            lambda i: progress(PLAYED + i * share, f"in hindsight: {name_of(scenario, i)}"),
        )
        equilibrium, said = _equilibrium(scenario, controller, trajectory)
        notes += [*(note for one in compared for note in one.notes), *said]
        notes += _about_classes(hindsight)
    else:
        notes.append(
            "Costs in hindsight, regrets and equilibrium_gap are null: the run did not reach its end."
        )
    summary = _summary(scenario, controller, players, trajectory, compared, seed)
    summary |= {"equilibrium_gap": equilibrium, "notes": notes}
    progress(1.0, "done")
    return play_record(scenario, controller, trajectory, compared, summary)


def _check_record(scenario: LinearScenario, rounds: int) -> None:
    available = getattr(scenario.disturbance, "rounds_available", rounds)
    if available < rounds:
        raise InputError(
            f"rounds is {rounds}, but the recorded disturbance of {scenario.name} has {available} rows; give at least one row "
            "per round, or play fewer rounds."
        )


def _run(scenario: LinearScenario, controller: str, players: Contestants, seed: int) -> Any:
    from phalanx.simulation import simulate

    setting = scenario.online.setting
    return simulate(
        scenario.system,
        list(players.policies),
        scenario.disturbance,
        list(scenario.costs),
        scenario.rounds,
        seed,
        x0=scenario.x0,
        information="independent" if setting == "independent" else "aggregated",
        record="parameters" if _gap_asked(scenario, controller) else "means",
        throw=False,
    )


def _gap_asked(scenario: LinearScenario, controller: str) -> bool:
    """Whether this run's distance from equilibrium is measured: it has a meaning, and fits into memory."""
    if controller != "gpc" or scenario.online.setting != "aggregated":
        return False
    system, online = scenario.system, scenario.online
    size = scenario.rounds * int(online.memory) * sum(system.control_sizes) * system.state_size
    return size <= MOST_PARAMETERS and common_costs(scenario)


def _equilibrium(
    scenario: LinearScenario, controller: str, trajectory: Any
) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    if _gap_asked(scenario, controller):
        return gap(trajectory)
    why = "the run is too long to keep every round's parameters"
    if controller != "gpc":
        why = "it belongs to agents that learn"
    elif scenario.online.setting != "aggregated":
        why = 'it is defined in the setting "aggregated"'
    elif not common_costs(scenario):
        why = "the agents' costs differ"
    return None, (f"equilibrium_gap is null: {why}.",)


def _about_classes(hindsight: str) -> list[str]:
    if hindsight == "all":
        return [
            "best_linear_cost is an upper bound: that problem is not convex, so regret_linear may be higher."
        ]
    left = [key for key in CLASSES["all"] if key not in CLASSES[hindsight]]
    names = [f"best_{key}_cost and regret_{key}" for key in left]
    return [f"{' and '.join(names)} are null: they were not asked for."]


def _blind(scenario: LinearScenario, controller: str) -> list[str]:
    aimed = any(hasattr(cost, "target") for cost in scenario.costs)
    if not aimed or controller in ("gpc", "zero"):
        return []
    return [
        "This controller is designed for targets at the origin; it does not know the moving ones."
    ]


def _summary(
    scenario: LinearScenario,
    controller: str,
    players: Contestants,
    trajectory: Any,
    compared: list[Hindsight],
    seed: int,
) -> dict[str, Any]:
    online, joint = scenario.online, players.loops.joint
    missing: dict[str, Any] = dict.fromkeys(NUMBERS)
    agents = []
    for i in range(scenario.n_agents):
        paid, learned = trajectory.cost[:, i], getattr(trajectory.states[i], "M", None)
        own = players.loops.own[i]
        agents.append(
            {
                "name": name_of(scenario, i),
                "mean_cost": float(paid.mean()) if len(paid) else None,
                "total_cost": float(paid.sum()),
                **(compared[i].numbers if compared else missing),
                "final_M": learned if controller == "gpc" and trajectory.outcome.ok else None,
                "K": players.loops.K[i],
                "spectral_radius": own.spectral_radius,
                "kappa": own.kappa if own.ok else None,
                "rho": own.decay if own.ok else None,
            }
        )
    costs = [row["mean_cost"] for row in agents]
    return {
        "scenario": scenario.name,
        "controller": controller,
        "setting": online.setting,
        "rounds": scenario.rounds,
        "rounds_played": trajectory.rounds,
        "memory": online.memory,
        "step_size": online.step_size,
        "radius": online.radius,
        "decay": online.decay,
        "seed": seed,
        "outcome": trajectory.outcome.status,
        "reason": trajectory.outcome.text,
        "mean_cost": None if None in costs else float(np.mean(costs)),
        "largest_state": float(size_of(trajectory.x).max()),
        "spectral_radius_joint": joint.spectral_radius,
        "kappa_joint": joint.kappa if joint.ok else None,
        "rho_joint": joint.decay if joint.ok else None,
        "agents": agents,
        "warnings": list(players.warnings),
    }
