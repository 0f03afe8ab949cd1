"""Learning a scenario's controller from costs, and what there is to say about the result."""

from typing import Any

import numpy as np

from phalanx._outcome import InputError
from phalanx._record import Record
from phalanx.experiments._panels import Curve, Panel, Table, reproduction
from phalanx.experiments.design import design
from phalanx.learners import Learned, Method, PopulationOracle, identify, learn
from phalanx.learners._method import as_method
from phalanx.scenarios import Scenario

STATUS = {"solved": "converged"}
# A world without a model is rolled out with this many agents at most: each costs.
STAND_IN = 100
# Rollouts that a model is fitted to; more take long and say the same.
MOST = 100_000


def learning(
    world: Scenario,
    gamma: float | None = None,
    method: str | Method = "fast",
    *,
    oracle: str | None = None,
    n_agents: float | None = None,
    Sigma_y: Any = 1.0,
    Sigma_z: Any = 1.0,
    precision: Any = "float64",
    **settings: Any,
) -> Learned:
    """Learn the gains of a scenario.

    Args:
        world: the problem. Where it is not linear (it has a `transition`), the explicit population
            is rolled out and there is no saddle point to compare with.
        gamma: γ; the scenario's own choice by default.
        method: a preset or a method.
        oracle: "law", "population" or "exact".
        n_agents: N; the scenario's own by default.
        Sigma_y: covariance of first deviations.
        Sigma_z: of first means.
        precision: of the rollouts.
        **settings: passed on to `learn`.

    Raises:
        InputError: an oracle that does not fit the world, or a stationary game.
    """
    N = world.n_agents if n_agents is None else n_agents
    if world.game.stationary:
        raise InputError(
            f"{world.name} has horizon inf, and learning goes backwards from the last stage; give it a finite horizon."
        )
    level = gamma
    if not isinstance(level, float | int):
        level = design(world, gamma, N).gamma
    if not np.isfinite(level):
        raise InputError("gamma must be finite to learn, but the one chosen is infinite.")
    if world.transition is None:
        return learn(
            world.game,
            float(level),
            method,
            oracle=oracle,  # pyright: ignore[reportArgumentType]  (checked by learn, with a sentence)
            n_agents=N,
            Sigma_y=Sigma_y,
            Sigma_z=Sigma_z,
            precision=precision,
            **settings,
        )
    if oracle not in (None, "population"):
        raise InputError(
            f'{world.name} is not linear, so oracle "{oracle}" does not know it; use "population".'
        )
    names = ("iterations", "batch", "step_size", "radius", "ball")
    chosen = as_method(method, **{name: settings.get(name) for name in names})
    antithetic = settings.pop("antithetic", None)
    simulator = PopulationOracle(
        world.game,
        int(max(2, min(N, STAND_IN))),
        Sigma_y=Sigma_y,
        Sigma_z=Sigma_z,
        transition=world.transition,
        report="average",
        antithetic=chosen.estimator == "regression" if antithetic is None else antithetic,
        dtype=precision,
    )
    return learn(simulator, float(level), chosen, **settings)


def learning_summary(world: Scenario, learned: Learned) -> dict[str, Any]:
    """The result under the JSON's names; `notes` says why a number is null."""
    outcome = learned.outcome
    usable = learned.complete
    notes = [learned.note] if learned.note else []
    gains: dict[str, Any] = {name: getattr(learned, name) for name in ("K1", "K2", "L1", "L2")}
    if not usable:
        gains = dict.fromkeys(gains)
        notes.append("The gains are null: learning did not end in any.")
    if learned.nash_gap is None and usable:
        why = "this world has no model to compare with"
        if world.transition is None:
            why = "there is no saddle point at this gamma"
        notes.append(f"nash_gap and nash_gap_by_stage are null: {why}.")
    if learned.estimated_gap is None and usable:
        notes.append("estimated_gap is null: the costs that were seen do not tell it.")
    if learned.attenuation is None and usable:
        notes.append("attenuation is null: this world has no model to certify on.")
    if learned.attenuation is not None and not np.isfinite(learned.attenuation):
        notes.append("attenuation is null: the worst case of these gains is beyond any number.")
    keeps = None if learned.attenuation is None else bool(learned.attenuation <= learned.gamma)
    return {
        "scenario": world.name,
        "gamma": learned.gamma,
        "outcome": STATUS.get(outcome.status, outcome.status),
        "reason": outcome.text,
        "nash_gap": learned.nash_gap,
        "nash_gap_by_stage": learned.nash_gap_by_stage,
        "estimated_gap": learned.estimated_gap,
        "rollouts": learned.rollouts,
        "attenuation": learned.attenuation,
        "keeps_promise": keeps,
        "step_size": _finite(learned.step_size),
        "ball": _finite(learned.ball),
        "projected": _finite(learned.projected),
        "method": learned.method.settings,
        **gains,
        "notes": notes,
    }


def rival(world: Scenario, learned: Learned, n_agents: float | None, seed: int) -> dict[str, Any]:
    """What a model fitted to as many rollouts makes of them, states and inputs seen; at most `MOST`.

    Raises:
        InputError: a world that is not linear.
    """
    if world.transition is not None:
        raise InputError(f"{world.name} is not linear; there is no such model to fit to it.")
    N = world.n_agents if n_agents is None else n_agents
    fitted = identify(
        world.game, learned.gamma, min(max(learned.rollouts, 100), MOST), n_agents=N, key=seed
    )
    return {
        "rollouts": fitted.rollouts,
        "nash_gap": fitted.nash_gap,
        "attenuation": fitted.attenuation,
        "reason": fitted.outcome.text,
    }


def learning_record(world: Scenario, learned: Learned, summary: dict[str, Any]) -> Record:
    """The record of kind "learn" that the report draws."""
    panels = []
    if learned.nash is not None:
        rollouts, gap = learned.gap_by_rollouts()
        exact = learned.method.estimator == "exact"
        panels.append(
            Panel(
                "Distance from the saddle point as learning went on",
                "iterations, all stages" if exact else "rollouts, both players'",
                "‖gains − Nash‖, Frobenius",
                [Curve("all gains", np.arange(len(gap)) if exact else rollouts, gap)],
                y_log=True,
            )
        )
    if learned.nash_gap_by_stage is not None:
        stages = np.arange(len(learned.nash_gap_by_stage))
        panels.append(
            Panel(
                "Distance from the saddle point, stage by stage",
                "stage t",
                "‖gains − Nash‖ of the stage",
                [Curve("", stages, learned.nash_gap_by_stage, style="both")],
                y_log=bool(np.all(learned.nash_gap_by_stage > 0)),
            )
        )
    words = ("gamma", "outcome", "nash_gap", "estimated_gap", "rollouts", "attenuation")
    table = Table("Result", ["what", "value"], [[word, summary[word]] for word in words])
    story = f"{summary['reason']} Method: {learned.method.estimator} × {learned.method.update} × {learned.method.schedule}."
    drawn = reproduction(
        world.name,
        f"{world.title}: learned from costs",
        story,
        panels,
        [table],
        [],
        learned.method.settings,
        summary["notes"],
    )
    return Record("learn", world.name, drawn.summary | summary, drawn.series)


def _finite(values: np.ndarray) -> Any:
    return values if np.isfinite(values).any() else None
