"""What is left of agents at play: the record, with the curves and the table that the report draws."""

import math
from typing import Any

import numpy as np

from phalanx._record import Record
from phalanx.experiments._contestants import CONTROLLERS
from phalanx.experiments._hindsight import Hindsight
from phalanx.experiments._panels import Curve, Panel, Table, reproduction
from phalanx.scenarios import LinearScenario

# Agents that get a curve of their own; more are drawn as mean and range.
DRAWN = 6
# Points of a curve: more cannot be seen.
POINTS = 1500
# What is larger is left out of figures, whose axes would not hold it.
LARGEST_DRAWN = 1e150


def play_record(
    scenario: LinearScenario,
    controller: str,
    trajectory: Any,
    compared: list[Hindsight],
    summary: dict[str, Any],
) -> Record:
    """The record of kind "play" that the report draws.

    Args:
        scenario: the world.
        controller: who played it.
        trajectory: what was played.
        compared: every agent's comparison, or nothing.
        summary: what the JSON says.
    """
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
    path = _largest("", rounds, _bounded(size_of(trajectory.x[:-1])))
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
        return [Curve(name_of(scenario, i), x, values[:, i]) for i in range(values.shape[1])]
    low, high = values.min(axis=1), values.max(axis=1)
    return [Curve("mean of all agents, and their range", x, values.mean(axis=1), low, high)]


def size_of(x: np.ndarray) -> np.ndarray:
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


def name_of(scenario: LinearScenario, agent: int) -> str:
    """An agent's name, or its number."""
    return scenario.agent_names[agent] if scenario.agent_names else f"agent {agent}"
