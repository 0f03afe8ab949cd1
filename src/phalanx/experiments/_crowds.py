"""Crowds of N agents, for regret against N: one learner beside agents that push together, all learning, one planner for all."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from phalanx.costs import Huber, Quadratic
from phalanx.disturbances import Replay
from phalanx.evaluation import best_dac, regret
from phalanx.experiments import _online as lab
from phalanx.experiments._strangers import Stranger
from phalanx.online import GradientPerturbation, team
from phalanx.policies import LinearFeedback
from phalanx.simulation import simulate
from phalanx.systems import LinearSystem

A = np.array([[0.7, 0.2], [-0.2, 0.7]])
INPUT = np.array([[1.0], [0.5]])
IDLE = np.zeros((1, 2))
BOUND, PUSH = 1.0, 1.0
MEMORY, RADIUS, DECAY = 3, 0.5, 0.3
# Step sizes for one agent; how they scale with N is said with each family.
STEP = 0.1


@dataclass(frozen=True)
class Regime:
    """A theorem's conditions. Attributes: label; source; setting; lipschitz: the costs; bound: exponent of N."""

    label: str
    source: str
    setting: Any
    lipschitz: bool
    bound: float

    def cost(self, effort: float) -> Any:
        """A stage cost with this price of control."""
        return Huber(control_weight=effort) if self.lipschitz else Quadratic(1.0, effort)


REGIMES = (
    Regime("independent, quadratic", "Theorem 3.2", "independent", False, 2.0),
    Regime("aggregated, quadratic", "Theorem 3.4", "aggregated", False, 1.0),
    Regime("aggregated, Lipschitz", "Theorem 3.5", "aggregated", True, 0.0),
)


# What no theorem speaks of: the gradient then grows like |w̃| ~ N, however flat the costs.
BLIND = Regime("independent, Lipschitz", "none", "independent", True, 1.0)


@dataclass(frozen=True)
class Size:
    """How much is done.

    Attributes:
        agents: the N. rounds: T. seeds.
        first: fits against N start here, where the others outweigh the world's own disturbance.
    """

    agents: tuple[int, ...]
    rounds: int
    seeds: int
    first: int


@dataclass(frozen=True, eq=False)
class Family:
    """A way of growing. Attributes: label; reach, share: B_i and radius for N agents are this times INPUT and RADIUS."""

    label: str
    reach: Callable[[int], float]
    share: Callable[[int], float]


FAMILIES = (
    Family("B_i ~ 1/N", lambda N: 1 / N, lambda N: 1.0),
    Family("radius ~ 1/N", lambda N: 1.0, lambda N: 1 / N),
)


def beside_pushers(regime: Regime, size: Size, seed: int) -> Float[np.ndarray, "S C"]:
    """Regret of one learner beside N − 1 agents that all push the same random way, |u^j| = 1.

    Agents that always push alike are one agent of N − 1 times the reach, and are simulated as that one.
    """
    others = np.zeros((2, 2)) if regime.setting == "aggregated" else None
    out = np.zeros((size.seeds, len(size.agents)))
    for k, N in enumerate(size.agents):
        system = LinearSystem(A, np.stack([INPUT, (N - 1) * INPUT]))
        learner = GradientPerturbation(
            A,
            INPUT,
            IDLE,
            memory=MEMORY,
            radius=RADIUS,
            decay=DECAY,
            setting=regime.setting,
            others=others,
            # η ≍ D/G, and the gradient grows like the bound: N² in 2.1, N in 2.2, not at all if Lipschitz.
            step_size={"initial": STEP / N**regime.bound, "decay": "sqrt"},
        )
        for s in range(size.seeds):
            rng = np.random.default_rng((seed, s))
            w = lab.signal("iid", size.rounds, 2, BOUND, rng)
            pusher = Stranger(PUSH * rng.choice([-1.0, 1.0], size=(size.rounds, 1)), IDLE)
            run = simulate(
                system,
                [learner, pusher],
                Replay(w),
                regime.cost(1.0),
                size.rounds,
                seed,
                information=regime.setting,
            )
            out[s, k] = regret(run, 0).regret
    return out


def all_learn(
    regime: Regime, family: Family, size: Size, seed: int
) -> tuple[Float[np.ndarray, "S C"], Float[np.ndarray, "S C"]]:
    """(regret, mean cost) of a typical agent among N learners: the mean of the first and the last; of all."""
    out, paid = (np.zeros((size.seeds, len(size.agents))) for _ in range(2))
    for k, N in enumerate(size.agents):
        system = LinearSystem(A, np.broadcast_to(family.reach(N) * INPUT, (N, 2, 1)))
        learners = team(
            system,
            [IDLE] * N,
            regime.setting,
            memory=MEMORY,
            radius=RADIUS * family.share(N),
            decay=DECAY,
            # η ≍ D/G: the set shrinks with `share`, the gradient does not.
            step_size={"initial": STEP * family.share(N), "decay": "sqrt"},
        )
        costs = [regime.cost(effort) for effort in efforts(N)]
        for s in range(size.seeds):
            w = _walk(size, seed, s)
            run = simulate(
                system, learners, Replay(w), costs, size.rounds, seed, information=regime.setting
            )
            out[s, k] = np.mean([regret(run, i).regret for i in sorted({0, N - 1})])
            paid[s, k] = run.cost.mean()
    return out, paid


def planner(family: Family, size: Size, seed: int) -> Float[np.ndarray, "S C"]:
    """Mean cost per agent and round under the best fixed M of one planner for all, quadratic costs; a lower bound.

    The state feels the mean v of the controls, and (1/N) Σ r_i u_i² with mean v is least at r v², r the harmonic
    mean. So the planner's problem has one agent. Its M is the mean of the agents' and keeps to their set.
    """
    out = np.zeros((size.seeds, len(size.agents)))
    for k, N in enumerate(size.agents):
        system = LinearSystem(A, N * family.reach(N) * INPUT)
        cost = Quadratic(1.0, 1 / np.mean(1 / efforts(N)))
        for s in range(size.seeds):
            push = Replay(_walk(size, seed, s))
            run = simulate(system, LinearFeedback(IDLE), push, cost, size.rounds, seed)
            radius = RADIUS * family.share(N)
            found = best_dac(run, 0, memory=MEMORY, radius=radius, decay=DECAY)
            out[s, k] = (found.cost - found.optimality_gap) / size.rounds
    return out


def efforts(N: int) -> Float[np.ndarray, " N"]:
    """(N,) prices of control, between ½ and 2, spread evenly however many there are."""
    return 2.0 ** (2 * np.mod(np.arange(N) * (np.sqrt(5) - 1) / 2 + 0.5, 1.0) - 1)


def _walk(size: Size, seed: int, s: int) -> np.ndarray:
    rng = np.random.default_rng((seed, s))
    return lab.signal("random-walk", size.rounds, 2, BOUND, rng)
