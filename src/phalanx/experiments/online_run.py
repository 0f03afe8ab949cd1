"""The main job in a linear world: everybody from the same start on the same disturbance, and what came of it.

Doing nothing, fixed gains, planners and learners are played one after the other, all agents alike, on the
same draws. Then every agent's costs are held against one and the same class of policies, whoever played:
the best fixed disturbance-action policy around the scenario's gain, the others' controls as recorded. Regrets
of different controllers can therefore be compared.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from phalanx._outcome import InputError, NoSolutionError
from phalanx._record import Record
from phalanx._types import LONGEST
from phalanx.evaluation import Regret, regret
from phalanx.experiments._by_theory import by_theory
from phalanx.experiments._contestants import stand_ins
from phalanx.experiments._panels import reproduction
from phalanx.experiments._rivals import Played, play, rivals
from phalanx.experiments._run_pictures import panels, thinned
from phalanx.experiments._run_words import notes, tables, tiles, verdict
from phalanx.scenarios import LinearScenario, Output
from phalanx.scenarios._linear_scenario import whole

# Accepted optimality gap of the policies in hindsight, as a share of their cost.
TOLERANCE = 1e-4
# Costs in hindsight are computed so many at a time.
WORKERS = 2
# Share of the work that is playing, for the progress bar.
PLAYED = 0.5

Progress = Callable[[float, str], None]


def run(
    scenario: LinearScenario,
    rounds: int | None = None,
    seed: int = 0,
    progress: Progress = lambda share, text: None,
    warn: Callable[[str], None] = lambda text: None,
) -> Record:
    """Play a linear world with every kind of controller, and compare.

    Args:
        scenario: the world.
        rounds: T; the scenario's own by default.
        seed: of everything random.
        progress: called with a share of the work and a few words.
        warn: called with what is to be read before a controller's first round.

    Returns:
        `Record` of kind "online-run". A controller that could not be made, or whose numbers grew beyond
        bounds, is a row with the reason.

    Raises:
        InputError: rounds out of range, or more of them than the recorded disturbance has.

    Example:
        >>> from pathlib import Path
        >>> import phalanx as px
        >>> _ = Path("pair.toml").write_text('''
        ... [system]
        ... kind = "linear"
        ... A = 0.9
        ... [[agent]]
        ... B = 1.0
        ... [agent.cost]
        ... Q = 1.0
        ... [[agent]]
        ... B = 0.5
        ... [agent.cost]
        ... Q = 2.0
        ... [disturbance]
        ... kind = "sinusoid"
        ... amplitude = 1.0
        ... period = 20
        ... ''')
        >>> record = run(px.scenario("pair.toml"), rounds=60)
        >>> [row["outcome"] for row in record.summary["controllers"][:3]]
        ['solved', 'solved', 'solved']
    """
    T = scenario.rounds if rounds is None else rounds
    if not whole(T, LONGEST):
        raise InputError(f"rounds must be a whole number from 1 to {LONGEST:,}, but it is {T!r}.")
    available = getattr(scenario.disturbance, "rounds_available", T)
    if available < T:
        raise InputError(
            f"rounds is {T}, but the recorded disturbance of {scenario.name} has {available} rows; give at least one row "
            "per round, or play fewer rounds."
        )
    scenario = replace(scenario, rounds=T)
    warnings: list[str] = []

    def heard(text: str) -> None:
        warnings.append(text)
        warn(text)

    found: list[Played] = []
    chosen = list(rivals(scenario))
    for place, rival in enumerate(chosen):
        progress(PLAYED * place / len(chosen), f"{rival.label}: {T:,} rounds")
        found.append(play(scenario, rival, seed, heard))
    found = _with_regrets(
        scenario, found, seed, lambda share: progress(PLAYED + (1 - PLAYED) * share, "in hindsight")
    )
    rows = [_row(scenario, one) for one in found]
    progress(1.0, "done")
    return _record(scenario, found, rows, warnings, seed)


def _with_regrets(
    scenario: LinearScenario, found: list[Played], seed: int, done: Callable[[float], None]
) -> list[Played]:
    """Regret of each agent under each controller that played to the end."""
    online = replace(scenario.online, setting="independent")
    learners = stand_ins(by_theory(replace(scenario, online=online), scenario.rounds, seed))
    asked = [
        (place, agent)
        for place, one in enumerate(found)
        if one.finished
        for agent in range(scenario.n_agents)
    ]
    regrets: dict[int, list[Regret | None]] = {place: [] for place, _ in asked}
    notes: dict[int, list[str]] = {place: [] for place, _ in asked}
    pool = ThreadPoolExecutor(WORKERS)
    try:
        answers = pool.map(lambda pair: _regret(found[pair[0]], pair[1], learners[pair[1]]), asked)
        for count, ((place, agent), (value, note)) in enumerate(zip(asked, answers, strict=True)):
            done(count / len(asked))
            regrets[place].append(value)
            if note:
                notes[place].append(f"{found[place].rival.label}, {name(scenario, agent)}: {note}")
    finally:
        pool.shutdown(cancel_futures=True)
    return [
        replace(one, regrets=tuple(regrets[place]), notes=tuple(notes[place]))
        if place in regrets
        else one
        for place, one in enumerate(found)
    ]


def _regret(played: Played, agent: int, learner: Any) -> tuple[Regret | None, str]:
    """The regret, or None and why there is none."""
    policies = list(played.trajectory.policies)
    policies[agent] = learner
    trajectory = replace(played.trajectory, policies=tuple(policies))
    try:
        found = regret(trajectory, agent, "dac", "open-loop", tolerance=TOLERANCE)
    except (InputError, NoSolutionError) as error:
        return None, str(error)
    if not math.isfinite(found.comparator_cost):
        return None, found.outcome.text
    return found, "" if found.outcome.ok else found.outcome.text


def name(scenario: LinearScenario, agent: int) -> str:
    """What an agent is called."""
    return scenario.agent_names[agent] if scenario.agent_names else f"agent {agent}"


def _row(scenario: LinearScenario, played: Played) -> dict[str, Any]:
    """What the summary says of a rival; None where it did not play to the end."""
    rival, loops = played.rival, played.loops
    row: dict[str, Any] = {
        "key": rival.key,
        "label": rival.label,
        "note": rival.note,
        "setting": rival.setting if rival.controller == "gpc" else None,
        "outcome": played.outcome.status,
        "reason": played.outcome.text,
        "rounds_played": 0 if played.trajectory is None else played.trajectory.rounds,
        "spectral_radius_own": None,
        "spectral_radius_joint": None,
        "mean_cost": None,
        "mean_regret": None,
        "agents": None,
        "outputs": None,
    }
    if loops is not None:
        row["spectral_radius_own"] = max(own.spectral_radius for own in loops.own)
        row["spectral_radius_joint"] = loops.joint.spectral_radius
    if not played.finished:
        return row
    trajectory: Any = played.trajectory
    agents = []
    for i, found in enumerate(played.regrets):
        paid = trajectory.cost[:, i]
        agents.append(
            {
                "name": name(scenario, i),
                "mean_cost": float(paid.mean()),
                "total_cost": float(paid.sum()),
                "best_dac_cost": None if found is None else found.comparator_cost,
                "regret_dac": None if found is None else found.regret,
                "optimality_gap": None if found is None else found.optimality_gap,
            }
        )
    known = [agent["regret_dac"] for agent in agents]
    u = trajectory.u
    return row | {
        "mean_cost": float(trajectory.cost.mean()),
        "mean_regret": None if None in known else float(np.mean(known)),
        "rms_control": float(np.sqrt(np.mean(u**2))),
        "largest_control": float(np.abs(u).max()),
        "agents": agents,
        "outputs": [_output(output, trajectory.x) for output in scenario.outputs],
    }


def _output(output: Output, x: np.ndarray) -> dict[str, Any]:
    """Extremes of y = C x over the run, and how often it left its limits."""
    y = x @ output.matrix.T
    row: dict[str, Any] = {
        "name": output.name,
        "unit": output.unit,
        "lowest": float(y.min()),
        "lowest_at": output.labels[int(np.argmin(y.min(axis=0)))],
        "highest": float(y.max()),
        "highest_at": output.labels[int(np.argmax(y.max(axis=0)))],
        "largest": float(np.abs(y).max()),
        "rms": float(np.sqrt(np.mean(y**2))),
        "lowest_each": y.min(axis=0),
    }
    if output.low is not None or output.high is not None:
        outside = np.zeros(y.shape, bool)
        if output.low is not None:
            outside |= y < output.low
        if output.high is not None:
            outside |= y > output.high
        row["outside"] = outside.mean(axis=0)
        row["outside_any"] = float(outside.any(axis=1).mean())
    return row


def _record(
    scenario: LinearScenario,
    found: list[Played],
    rows: list[dict[str, Any]],
    warnings: list[str],
    seed: int,
) -> Record:
    online = scenario.online
    names = [name(scenario, i) for i in range(scenario.n_agents)]
    settings = {
        "rounds": scenario.rounds,
        "length of a round": f"{scenario.step_seconds:g} s" if scenario.step_seconds else None,
        "memory H": online.memory,
        "step size η": online.step_size,
        "radius a": online.radius,
        "decay ρ": online.decay,
        "data": scenario.data or None,
        "licence": scenario.licence or None,
    }
    all_played = all(one.finished for one in found)
    summary = {
        "scenario": scenario.name,
        "rounds": scenario.rounds,
        "outcome": "solved" if all_played else "not_all_played_to_the_end",
        "controllers": rows,
        "agents": names,
        "warnings": warnings,
        "tiles": tiles(scenario, rows),
    }
    drawn = reproduction(
        scenario.name,
        scenario.title,
        " ".join(part for part in (scenario.story, *verdict(rows)) if part),
        panels(scenario, found),
        tables(scenario, rows, names),
        [],
        {key: value for key, value in settings.items() if value is not None},
        notes(scenario, found, rows, warnings),
        summary,
    )
    series = drawn.series
    if series is not None:
        series = series.merge(thinned(scenario, found, names))
    return Record("online-run", scenario.name, drawn.summary, series, {"seed": seed})
