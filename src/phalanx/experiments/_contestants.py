"""Who plays an online world: a policy for every agent, by the name of a controller."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from phalanx._outcome import InputError
from phalanx._types import symmetric
from phalanx.equilibria import StabilisingGains, stabilising_gains
from phalanx.experiments._by_theory import learners_loops
from phalanx.experiments._joint_loop import joint_loop, radius
from phalanx.scenarios import LinearScenario
from phalanx.systems import LinearSystem

# Controllers, and how the report calls them.
CONTROLLERS = {
    "gpc": "learning agents (gradient perturbation)",
    "zero": "no control",
    "lqr": "every agent its own LQR",
    "hinf": "every agent its own H∞ gain",
    "nash": "LQ Nash feedback",
    "mpc": "model-predictive, the last disturbance forecast to stay",
    "mpc-perfect": "model-predictive, disturbances known in advance",
}
# Rounds that a model-predictive controller plans ahead.
HORIZON = 20


@dataclass(frozen=True, eq=False)
class Contestants:
    """One policy per agent, and what is known of them before the first round.

    Attributes:
        policies: one per agent.
        loops: the fixed gains with their certificates, agent by agent and together.
        warnings: to be read before the first round.
    """

    policies: tuple[Any, ...]
    loops: StabilisingGains
    warnings: tuple[str, ...]


def contestants(
    scenario: LinearScenario, controller: str, rounds: int, seed: int = 0
) -> Contestants:
    """The agents of a scenario, all with the same kind of controller.

    Args:
        scenario: the world; its `online` says how learners learn, in numbers (see `by_theory`).
        controller: one of `CONTROLLERS`.
        rounds: T, as far as a perfect forecast must reach.
        seed: of the disturbance that it forecasts.

    Raises:
        InputError: an unknown controller, a gain of a learner that does not stabilise, costs that the
            controller cannot be made for, or a forecast of what cannot be forecast.
        NoSolutionError: a controller that does not exist for this world.
    """
    if controller not in CONTROLLERS:
        raise InputError(
            f"controller must be one of {', '.join(CONTROLLERS)}, but it is {controller!r}."
        )
    system = scenario.system
    if controller == "gpc":
        from phalanx.online import team

        loops = learners_loops(scenario)
        online = scenario.online
        policies = team(
            system,
            scenario.gains,
            setting=online.setting,  # pyright: ignore[reportArgumentType]  (checked by OnlineSettings)
            memory=online.memory,
            step_size=online.step_size,
            radius=online.radius,
            decay=online.decay,
        )
    elif controller.startswith("mpc"):
        policies = _planners(scenario, controller == "mpc-perfect", rounds, seed)
        loops = stabilising_gains(system, method=[policy.K for policy in policies])
    else:
        from phalanx.policies import LinearFeedback

        method: Any = controller
        loops = stabilising_gains(system, list(scenario.costs), method)
        if not all(np.isfinite(K).all() for K in loops.K):
            loops.outcome.raise_if_failed()
        policies = [LinearFeedback(K) for K in loops.K]
    said = loops.warnings if loops.ok else (loops.outcome.sentence, *loops.warnings)
    if controller == "mpc":
        said = (*said, *_over_correcting(scenario, policies))
    return Contestants(tuple(policies), loops, said)


def _over_correcting(scenario: LinearScenario, policies: list[Any]) -> tuple[str, ...]:
    """A naive forecast is a second loop: what an agent recovers holds what the others did about it."""
    system = scenario.system
    inputs = [system.input_matrix(i) for i in range(system.n_agents)]
    reactions = [-np.asarray(policy.G).sum(axis=0)[None] for policy in policies]
    size = radius(joint_loop(system.A, inputs, [policy.K for policy in policies], reactions))
    if size < 1:
        return ()
    return (
        f"Naive forecasts make all agents together unstable: with what each recovers of the others the loop has spectral "
        f"radius {size:.4g}.",
    )


def stand_ins(scenario: LinearScenario) -> list[Any]:
    """Learners as the scenario describes them, to compare other controllers with the same policies."""
    from phalanx.online import team

    online = scenario.online
    return team(
        scenario.system,
        scenario.gains,
        setting=online.setting,  # pyright: ignore[reportArgumentType]
        memory=online.memory,
        radius=online.radius,
        decay=online.decay,
    )


def _planners(scenario: LinearScenario, perfect: bool, rounds: int, seed: int) -> list[Any]:
    from phalanx.online._predictive import ModelPredictive

    system, future = scenario.system, None
    for i, cost in enumerate(scenario.costs):
        if not (hasattr(cost, "Q") and hasattr(cost, "R")):
            raise InputError(
                f"a model-predictive controller needs the quadratic weights Q and R of agent {i}, whose cost has none; play "
                "gpc, or another controller."
            )
        symmetric(f"R of agent {i}", cost.R, system.control_sizes[i], definite=True)
    if perfect:
        future = _drawn(scenario, rounds, seed) @ system.E.T
    return [
        ModelPredictive(
            system.A,
            system.input_matrix(i),
            cost.Q,
            cost.R,
            horizon=HORIZON,
            forecast="perfect" if perfect else "naive",
            record=future,
        )
        for i, cost in enumerate(scenario.costs)
    ]


def _drawn(scenario: LinearScenario, rounds: int, seed: int) -> np.ndarray:
    """(T, q) what the disturbance will be: the same seed draws the same, whatever the agents do."""
    from phalanx.policies import LinearFeedback
    from phalanx.simulation import simulate

    if not _heedless(scenario.disturbance):
        raise InputError(
            "mpc-perfect knows the disturbance in advance, but this one may answer the agents' state; play mpc."
        )
    n = scenario.system.state_size
    # Nothing moves in this copy of the world, so nothing in it can grow beyond any number.
    still = LinearSystem(np.zeros((n, n)), np.zeros((1, n, 1)), scenario.system.E)
    idle = LinearFeedback(np.zeros((1, n)))
    return simulate(still, idle, scenario.disturbance, None, rounds, seed).w


def _heedless(disturbance: Any) -> bool:
    """Whether a disturbance takes its course whatever the agents do."""
    from phalanx.disturbances import Replay, Signal, Sum

    if isinstance(disturbance, Sum):
        return all(_heedless(part) for part in disturbance.parts)
    return disturbance is None or isinstance(disturbance, Signal | Replay)
