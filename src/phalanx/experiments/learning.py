"""Learning a scenario's controller from costs, and what there is to say about the result."""

from typing import Any

import numpy as np

from phalanx._outcome import InputError
from phalanx._record import Record
from phalanx.experiments._panels import Curve, Panel, Table, reproduction
from phalanx.experiments.design import design
from phalanx.learners import JointGains, Learned, Method, PopulationOracle, learn
from phalanx.learners._gains import distance
from phalanx.learners._method import as_method
from phalanx.scenarios import Scenario

STATUS = {"solved": "converged"}
# A world without a model is rolled out with this many agents at most: each costs.
STAND_IN = 100


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
    usable = outcome.status not in ("diverged", "infeasible")
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


def learning_record(world: Scenario, learned: Learned, summary: dict[str, Any]) -> Record:
    """The record of kind "learn" that the report draws."""
    panels = []
    if learned.nash is not None:
        rollouts, gap = gap_by_rollouts(learned)
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


def gap_by_rollouts(learned: Learned) -> tuple[np.ndarray, np.ndarray]:
    """(rollouts, distance of all gains from Nash) at every recorded iterate; unlearned stages are 0."""
    nash = learned.nash
    if nash is None:
        raise InputError("gaps need a saddle point to measure from, and this world has none.")
    truth = JointGains.of(nash.K1, nash.K2, nash.L1, nash.L2)
    p = truth.theta1.shape[1]
    seen = learned.iterates
    now = JointGains(np.zeros_like(truth.theta1), np.zeros_like(truth.theta2))
    by_stage = distance(now, truth)
    out = []
    for stage, W in zip(seen.stage, seen.gains, strict=True):
        if stage < 0:
            by_stage = distance(JointGains(W[:, :p], W[:, p:]), truth)
        else:
            one = JointGains(W[:, :p], W[:, p:])
            own = JointGains(truth.theta1[stage : stage + 1], truth.theta2[stage : stage + 1])
            by_stage = by_stage.copy()
            by_stage[stage] = distance(one, own)[0]
        out.append(np.sqrt(np.sum(by_stage**2)))
    return seen.rollouts, np.array(out)


def _finite(values: np.ndarray) -> Any:
    return values if np.isfinite(values).any() else None
