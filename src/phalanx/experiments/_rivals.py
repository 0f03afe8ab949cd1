"""Who meets whom when a linear world is `run`: every kind of controller, each played by all agents at once.

The baselines are those of `play`. One differs: its H∞ gains are one design for all agents together, against the
sum of their costs. Nine designs on the hundred states of a grid would take longer than all the rest of a run.
Learners play in each setting they can, and, where the world is stable without control, once around no gain at all.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from phalanx._linalg._spectral import spectral_radius
from phalanx._outcome import Outcome, PhalanxError
from phalanx.equilibria import StabilisingGains, stabilising_gains
from phalanx.evaluation import Regret
from phalanx.experiments._by_theory import by_theory
from phalanx.experiments._contestants import Contestants, contestants
from phalanx.scenarios import LinearScenario


@dataclass(frozen=True)
class Rival:
    """One kind of controller.

    Attributes:
        key: for programs. label: for people. note: what it is, in a sentence.
        controller: as `play` calls it. setting: what agents are told.
        colour, style: of its curves; kinds that belong together share a colour.
        bare: learners around no gain, instead of around the scenario's.
    """

    key: str
    label: str
    note: str
    controller: str
    setting: str = "independent"
    colour: int = 0
    style: Any = "line"
    bare: bool = False


IDLE = Rival("zero", "no control", "Nobody does anything.", "zero", colour=4, style="dotted")
FIXED = (
    IDLE,
    Rival("lqr", "own LQR", "Every agent its own regulator.", "lqr", colour=1),
    Rival(
        "hinf",
        "joint H∞",
        "Gains against the worst disturbance, designed for all agents together and the sum of their costs.",
        "hinf",
        colour=1,
        style="dashed",
    ),
    Rival("nash", "LQ Nash", "The feedback equilibrium of all agents.", "nash", colour=3),
    Rival(
        "mpc",
        "MPC, naive",
        "Every agent plans ahead, expecting the last disturbance to stay.",
        "mpc",
        colour=2,
    ),
    Rival(
        "mpc-perfect",
        "MPC, clairvoyant",
        "Every agent plans ahead, knowing the disturbances to come but not what the others will do.",
        "mpc-perfect",
        colour=2,
        style="dashed",
    ),
)
LEARNERS = (
    Rival(
        "gpc-independent",
        "GPC, independent",
        "Learners who see the state and nothing of the others.",
        "gpc",
    ),
    Rival(
        "gpc-aggregated",
        "GPC, aggregated",
        "Learners who are told what the others did, all together.",
        "gpc",
        "aggregated",
        style="dashed",
    ),
    Rival(
        "gpc-agentwise",
        "GPC, agent-wise",
        "The same, and each replays its own loop alone.",
        "gpc",
        "aggregated-agentwise",
        style="dotted",
    ),
    Rival(
        "gpc-aggregated-bare",
        "GPC, aggregated, K=0",
        "Learners who are told what the others did, around no gain at all.",
        "gpc",
        "aggregated",
        colour=3,
        style="dotted",
        bare=True,
    ),
)


@dataclass(frozen=True, eq=False)
class Played:
    """What became of a rival.

    Attributes:
        rival: who.
        outcome: "solved" when all rounds were played; else why not, or why it was never made.
        loops: its fixed gains with their certificates, or None where it could not be made.
        trajectory: the run, up to its last meaningful round, or None.
        regrets: one per agent, filled in later; None where there is none.
        notes: what became of regrets that are missing.
    """

    rival: Rival
    outcome: Outcome
    loops: StabilisingGains | None = None
    trajectory: Any = None
    regrets: tuple[Regret | None, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether it played all rounds."""
        return self.trajectory is not None and self.outcome.ok


def rivals(scenario: LinearScenario) -> Iterator[Rival]:
    """Those that mean something in this world."""
    yield from FIXED
    alone = scenario.n_agents == 1  # then there are no others to be told of
    held = any(np.any(K) for K in scenario.gains)
    stable = spectral_radius(scenario.system.A) < 1
    for one in LEARNERS:
        if (one.setting != "independent" and alone) or (one.bare and not (held and stable)):
            continue
        yield one


def play(scenario: LinearScenario, rival: Rival, seed: int, warn: Callable[[str], None]) -> Played:
    """All agents with this kind of controller; what goes wrong is an outcome, never an error.

    Args:
        scenario: the world.
        rival: who plays.
        seed: of everything random.
        warn: called before the first round where the agents together are not stable.
    """
    from phalanx.simulation import simulate

    loops = None
    try:
        world = _world(scenario, rival)
        players = _players(by_theory(world, world.rounds, seed), rival, seed)
        loops = players.loops
        if loops.joint.spectral_radius >= 1:
            warn(_unstable(rival, loops))
        trajectory = simulate(
            scenario.system,
            list(players.policies),
            scenario.disturbance,
            list(scenario.costs),
            scenario.rounds,
            seed,
            x0=scenario.x0,
            information="independent" if rival.setting == "independent" else "aggregated",
            throw=False,
        )
    except PhalanxError as error:
        return Played(rival, Outcome("infeasible", f"It did not play: {error}"), loops)
    return Played(rival, trajectory.outcome, loops, trajectory)


def _unstable(rival: Rival, loops: StabilisingGains) -> str:
    if rival is IDLE:
        return f"{rival.label}: the world by itself is not stable (spectral radius {loops.joint.spectral_radius:.4f})."
    worst = max(own.spectral_radius for own in loops.own)
    alone = "stable" if worst < 1 else "not stable"
    return (
        f"{rival.label}: every agent alone is {alone} (largest spectral radius {worst:.4f}), all together are not "
        f"({loops.joint.spectral_radius:.4f})."
    )


def _world(scenario: LinearScenario, rival: Rival) -> LinearScenario:
    gains = tuple(np.zeros_like(K) for K in scenario.gains) if rival.bare else scenario.gains
    online = replace(scenario.online, setting=rival.setting)
    return replace(scenario, online=online, gains=gains)


def _players(world: LinearScenario, rival: Rival, seed: int) -> Contestants:
    if rival.key != "hinf":
        return contestants(world, rival.controller, world.rounds, seed)
    from phalanx.policies import LinearFeedback

    loops = stabilising_gains(world.system, list(world.costs), "hinf", "global")
    if not all(np.isfinite(K).all() for K in loops.K):
        loops.outcome.raise_if_failed()
    return Contestants(tuple(LinearFeedback(K) for K in loops.K), loops, loops.warnings)
