"""The main job: design a fleet's controller, certify it, and try it against the others.

Every controller meets three worlds. *Recorded*: the scenario's real disturbances (or whatever the
scenario disturbs with), episode after episode, states carried over. *Attack*: the disturbance that
is worst for this very controller, with the energy of a recorded episode, replayed on the explicit
population. *Adversary*: the saddle point's own disturber, with noise, where no controller can do
better than the certified one.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from phalanx._outcome import InputError, NoSolutionError, PhalanxError
from phalanx._record import Record
from phalanx.equilibria import Certificate, RobustGame, baselines
from phalanx.evaluation import induced_gain, pathwise_check
from phalanx.experiments._worlds import Controller, World, shape
from phalanx.experiments.design import design, design_summary
from phalanx.scenarios import Scenario

# The mean-field limit, and fleets too large to simulate, are played by this many agents; the record
# says how many there were.
STAND_IN = 1000
MOST_AGENTS = 1_000_000
# Calls of `progress`: the design, two for each of five controllers, the noise gain.
STEPS = 12

Progress = Callable[[str], None]


def run(
    scenario: Scenario,
    gamma: float | None = None,
    n_agents: float | None = None,
    seed: int = 0,
    precision: Any = "float64",
    progress: Progress = lambda text: None,
    certificate: Certificate | None = None,
) -> Record:
    """Design, certify, simulate on recorded data and under attack, against the baselines.

    Args:
        scenario: the problem.
        gamma: γ; the scenario's own choice by default.
        n_agents: N; the scenario's own by default.
        seed: of everything random.
        precision: of the simulations; the design is always float64.
        progress: called with a few words at each of at most `STEPS` steps.
        certificate: what `certified` returned for the same arguments, if already at hand.

    Returns:
        `Record` of kind "fleet".

    Raises:
        InputError: a world that is not linear.
        NoSolutionError: no saddle point at this γ, or a system that no control stabilises.
    """
    if scenario.transition is not None:
        raise InputError(
            f"{scenario.name} is not linear, and `run` designs and simulates linear fleets; use `phalanx learn {scenario.name}`."
        )
    progress("levels and gains")
    certificate = certificate or certified(scenario, gamma, n_agents)
    agents = STAND_IN if certificate.n_agents > MOST_AGENTS else int(certificate.n_agents)
    contestants, notes = _contestants(scenario.game, certificate, seed)
    world = World(scenario, agents, seed, precision)
    rows, recorded, attacks = [], {}, {}
    energy = 1.0
    for controller in contestants:
        progress(f"{controller.label}: recorded world")
        row: dict[str, Any] = {
            "key": controller.key,
            "label": controller.label,
            "note": controller.note,
        }
        rows.append(row)
        gain = induced_gain(scenario.game, controller.K, controller.L, certificate.n_agents)
        row |= {
            "worst_gain": gain.gain,
            "worst_gain_deviation": gain.deviation,
            "worst_gain_mean": gain.mean,
            "keeps_promise": gain.gain <= certificate.gamma**2,
        }
        try:
            episodes = world.recorded(controller)
            row["recorded"] = _recorded_row(episodes)
            recorded[controller.key] = episodes
            if controller.key == "robust":
                energy = _mean([e.disturbance_energy for e in episodes]) or 1.0
                row["pathwise"] = _pathwise(episodes, scenario.game, certificate)
            progress(f"{controller.label}: under attack")
            row["attack"], attacks[controller.key] = world.attack(controller, energy)
            row["adversary"] = world.adversary(controller, certificate)
        except NoSolutionError as error:
            row["failure"] = error.outcome.text
    progress("noise gain")
    best = contestants[0]
    summary = {
        "scenario": _describe(scenario, agents),
        "design": design_summary(certificate),
        "guarantee": certificate.gamma**2,
        "controllers": rows,
        "noise_gain": world.noise_gain(best),
        "attack_energy": energy,
        "notes": [*notes, *scenario.notes],
    }
    return Record(
        "fleet",
        scenario.name,
        summary,
        _series(scenario, certificate, recorded, attacks),
        {"seed": seed, "precision": precision},
    )


def certified(
    scenario: Scenario, gamma: float | None = None, n_agents: float | None = None
) -> Certificate:
    """The design, or a `NoSolutionError` where there is no saddle point at this γ."""
    certificate = design(scenario, gamma, n_agents)
    certificate.outcome.raise_if_failed()
    return certificate


def _contestants(
    game: RobustGame, certificate: Certificate, seed: int
) -> tuple[list[Controller], list[str]]:
    saddle = certificate.saddle
    K1 = np.zeros_like(saddle.L1) if np.isnan(saddle.K1).any() else saddle.K1
    robust = Controller(
        "robust",
        "certified robust",
        f"Saddle point at gamma = {certificate.gamma:.6g}.",
        K1,
        saddle.L1,
    )
    found, notes = [robust], []
    for key, label, make in (
        ("lqr", "LQR", lambda: baselines.lqr(game)),
        (
            "certainty_equivalent",
            "certainty-equivalent LQR",
            lambda: baselines.certainty_equivalent(game, seed),
        ),
        ("per_agent", "single-agent H∞, per agent", lambda: baselines.per_agent(game)),
        ("idle", "doing nothing", lambda: baselines.idle(game)),
    ):
        try:
            gains = make()
            found.append(Controller(key, label, gains.note, gains.K, gains.L))
        except PhalanxError as error:
            notes.append(f"{label} is left out: {error}")
    return found, notes


def _recorded_row(episodes: list[Any]) -> dict[str, Any]:
    x_bar = np.concatenate([e.x_bar[:-1] for e in episodes])
    row = {
        "cost": sum(e.cost for e in episodes),
        "cost_per_episode": [e.cost for e in episodes],
        "disturbance_energy": sum(e.disturbance_energy for e in episodes),
        "rms_control": np.sqrt(np.mean(np.concatenate([e.u_bar for e in episodes]) ** 2, axis=0)),
        **shape(x_bar),
    }
    if episodes[0].outside is not None:
        row["outside_limits"] = np.mean([e.outside for e in episodes], axis=0)
    return row


def _pathwise(
    episodes: list[Any], game: RobustGame, certificate: Certificate
) -> list[dict[str, Any]] | None:
    """The pathwise inequality on every episode; None where process noise makes it meaningless."""
    if any(e.noise_energy > 0 for e in episodes) or math.isinf(certificate.gamma):
        return None
    checks = [pathwise_check(e, game, certificate.saddle) for e in episodes]
    return [{"cost": c.cost, "bound": c.bound, "holds": c.holds} for c in checks]


def _describe(scenario: Scenario, agents: int) -> dict[str, Any]:
    game, world = scenario.game, scenario.recorded
    return {
        "title": scenario.title,
        "story": scenario.story,
        "agents_simulated": agents,
        "horizon": None if game.stationary else game.horizon,
        "stationary": game.stationary,
        "state_names": scenario.state_names,
        "control_names": scenario.control_names,
        "disturbance_names": scenario.disturbance_names,
        "key_state": scenario.key_state,
        "limits": None if scenario.limits is None else [list(side) for side in scenario.limits],
        "parameters": [
            {"name": p.name, "value": p.value, "source": p.source} for p in scenario.parameters
        ],
        "data": scenario.data,
        "licence": scenario.licence,
        "recorded": None
        if world is None
        else {
            "title": world.title,
            "episodes": world.episodes,
            "start": world.start,
            "step_minutes": world.step_minutes,
        },
    }


def _series(
    scenario: Scenario, certificate: Certificate, recorded: dict[str, Any], attacks: dict[str, Any]
) -> Any:
    """All paths, labelled: (controller, time, state) and (stage) arrays."""
    import xarray

    saddle = certificate.saddle
    data: dict[str, Any] = {}
    if recorded:
        for name in ("x_bar", "x_std", "x_min", "x_max"):
            paths = [
                np.concatenate([getattr(e, name)[:-1] for e in run]) for run in recorded.values()
            ]
            data[f"recorded_{name}"] = (("controller", "round", "state"), np.stack(paths))
        first = next(iter(recorded.values()))
        data["recorded_d_bar"] = (
            ("round", "disturbance"),
            np.concatenate([e.d_bar for e in first]),
        )
        controls = [np.concatenate([e.u_bar for e in run]) for run in recorded.values()]
        data["recorded_u_bar"] = (("controller", "round", "control"), np.stack(controls))
    if attacks:
        data["attack_x_bar"] = (
            ("attacked", "attack_time", "state"),
            np.stack([a.x_bar for a in attacks.values()]),
        )
        data["attack_d_bar"] = (
            ("attacked", "attack_round", "disturbance"),
            np.stack([a.d_bar for a in attacks.values()]),
        )
    for name in ("K1", "K2", "L1", "L2"):
        gain = getattr(saddle, name)
        rows = "control" if name.endswith("1") else "disturbance"
        data[name] = ((rows, "state") if saddle.stationary else ("stage", rows, "state"), gain)
    if not saddle.stationary:
        data["margin_deviation"] = (("stage",), saddle.margin_deviation)
        data["margin_mean"] = (("stage",), saddle.margin_mean)
    return xarray.Dataset(
        data,
        coords={
            "controller": list(recorded),
            "attacked": list(attacks),
            "state": list(scenario.state_names),
            "control": list(scenario.control_names),
            "disturbance": list(scenario.disturbance_names),
        },
    )


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0
