"""Many selfish agents in one world: they play, and are held against the best they could have done.

Agents that learn, or any of the baselines, play the scenario's rounds. Then every agent's costs are
compared with the best fixed policies in hindsight, everybody else held as recorded; where all pay by
one rule and know what the others do, the distance from equilibrium is measured too.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from phalanx._outcome import InputError
from phalanx._record import Record
from phalanx._types import LONGEST
from phalanx.experiments._by_theory import by_theory
from phalanx.experiments._contestants import CONTROLLERS, Contestants, contestants
from phalanx.experiments._hindsight import (
    CLASSES,
    NUMBERS,
    Hindsight,
    all_hindsight,
    common_costs,
    gap,
)
from phalanx.experiments._panels import Curve, Panel, Table, reproduction
from phalanx.scenarios import LinearScenario
from phalanx.scenarios._linear_scenario import whole

# Parameters of every round are kept for the equilibrium gap up to so many numbers.
MOST_PARAMETERS = 30_000_000
# Agents that get a curve of their own; more are drawn as mean and range.
DRAWN = 6
# Points of a curve: more cannot be seen.
POINTS = 1500
# What is larger is left out of figures, whose axes would not hold it.
LARGEST_DRAWN = 1e150
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
            lambda i: progress(PLAYED + i * share, f"in hindsight: {_name(scenario, i)}"),
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
    return _record(scenario, controller, trajectory, compared, summary)


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


def _name(scenario: LinearScenario, agent: int) -> str:
    return scenario.agent_names[agent] if scenario.agent_names else f"agent {agent}"


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
                "name": _name(scenario, i),
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
        "largest_state": float(_size(trajectory.x).max()),
        "spectral_radius_joint": joint.spectral_radius,
        "kappa_joint": joint.kappa if joint.ok else None,
        "rho_joint": joint.decay if joint.ok else None,
        "agents": agents,
        "warnings": list(players.warnings),
    }


def _record(
    scenario: LinearScenario,
    controller: str,
    trajectory: Any,
    compared: list[Hindsight],
    summary: dict[str, Any],
) -> Record:
    settings = {
        key: summary[key]
        for key in ("controller", "setting", "rounds", "memory", "step_size", "radius", "decay")
    }
    story = " ".join(
        filter(
            None,
            (
                scenario.story,
                f"{scenario.n_agents} agent{'s' * (scenario.n_agents > 1)} on {scenario.system.state_size} states, "
                f"{trajectory.rounds:,} rounds, setting {summary['setting']}: {CONTROLLERS[controller]}.",
                "" if trajectory.outcome.ok else trajectory.outcome.text,
            ),
        )
    )
    drawn = reproduction(
        scenario.name,
        f"{scenario.title}: {CONTROLLERS[controller]}",
        story,
        _panels(scenario, trajectory, compared),
        [_table(summary)],
        [],
        settings,
        [*summary["warnings"], *summary["notes"]],
    )
    series = drawn.series
    if series is not None:
        series = series.merge(_paths(scenario, trajectory, compared))
    return Record("play", scenario.name, drawn.summary | summary, series)


def _table(summary: dict[str, Any]) -> Table:
    keys = (
        "mean_cost",
        "total_cost",
        "best_dac_cost",
        "regret_dac",
        "best_linear_cost",
        "regret_linear",
    )
    rows = [[row["name"], *(row[key] for key in keys)] for row in summary["agents"]]
    header = ["agent", "mean cost", "total", "best DAC", "regret", "best linear", "regret to it"]
    return Table("What each agent paid, and the least it could have paid", header, rows)


def _panels(scenario: LinearScenario, trajectory: Any, compared: list[Hindsight]) -> list[Panel]:
    rounds = np.arange(trajectory.rounds)
    if not len(rounds):
        return []
    at = _kept(len(rounds))
    path = _largest("", rounds, _bounded(_size(trajectory.x[:-1])))
    average = _bounded(trajectory.cost.cumsum(axis=0) / (rounds[:, None] + 1))
    costs = _by_agent(scenario, rounds[at], average[at])
    far = not trajectory.outcome.ok  # where numbers end beyond all bounds, only powers can be seen
    panels = [
        Panel("How far the state was from rest", "round", "‖x‖", [path], y_log=far),
        Panel("What a round cost on average, so far", "round", "mean cost", costs, y_log=far),
    ]
    curves = [one.curve for one in compared if one.curve is not None]
    if curves and len(curves) == scenario.n_agents:
        lost = np.stack(curves, axis=1)
        drawn = _by_agent(scenario, rounds[at], lost[at])
        end = float(lost[-1].max())
        if end > 0:
            guide = end * np.sqrt((rounds[at] + 1) / len(rounds))
            drawn.append(Curve("growth like √T", rounds[at], guide, style="dashed"))
        panels.append(
            Panel("Regret: what the best fixed DAC would have saved", "round", "regret", drawn)
        )
    return panels


def _by_agent(scenario: LinearScenario, x: np.ndarray, values: np.ndarray) -> list[Curve]:
    """One curve per agent, or the mean of many within their range."""
    if values.shape[1] <= DRAWN:
        return [Curve(_name(scenario, i), x, values[:, i]) for i in range(values.shape[1])]
    low, high = values.min(axis=1), values.max(axis=1)
    return [Curve("mean of all agents, and their range", x, values.mean(axis=1), low, high)]


def _size(x: np.ndarray) -> np.ndarray:
    """|x_t|₂, without the squares that would overflow first."""
    scale = np.maximum(np.abs(x).max(axis=1), np.finfo(float).tiny)
    return scale * np.linalg.norm(x / scale[:, None], axis=1)


def _bounded(values: np.ndarray) -> np.ndarray:
    return np.where(np.abs(values) <= LARGEST_DRAWN, values, np.nan)


def _kept(rounds: int) -> np.ndarray:
    """The rounds that are drawn of a smooth curve, the last among them."""
    return np.unique(np.linspace(0, rounds - 1, min(rounds, POINTS)).astype(int))


def _largest(label: str, x: np.ndarray, y: np.ndarray) -> Curve:
    """A curve whose peaks survive being drawn with fewer points."""
    width = math.ceil(len(y) / POINTS)
    starts = np.arange(0, len(y), width)
    return Curve(label, x[starts], np.maximum.reduceat(y, starts))


def _paths(scenario: LinearScenario, trajectory: Any, compared: list[Hindsight]) -> Any:
    """Everything that was played, labelled."""
    labels = {
        "state": scenario.state_names,
        "agent": scenario.agent_names,
        "disturbance": scenario.disturbance_names,
    }
    data = trajectory.to_dataset()
    known = {name: list(words) for name, words in labels.items() if words}
    curves = {i: one.curve for i, one in enumerate(compared) if one.curve is not None}
    if len(curves) == scenario.n_agents:
        data["regret"] = (("round", "agent"), np.stack(list(curves.values()), axis=1))
    return data.assign_coords(known)
