"""Three agents that push two states and learn all at once, and their regret at many lengths of one run."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from phalanx.costs import Quadratic
from phalanx.equilibria import StabilisingGains, stabilising_gains
from phalanx.evaluation import Exponent, fit_exponent
from phalanx.experiments import _online as lab
from phalanx.online import team
from phalanx.simulation import simulate
from phalanx.systems import LinearSystem

A = ((0.8, 0.2), (-0.2, 0.8))
B = (((1.0,), (0.0,)), ((0.0,), (1.0,)), ((0.6,), (0.6,)))
WEIGHTS = ((1.0, 0.2), (0.2, 1.0), (1.0, 1.0))
AGENTS, BOUND = len(B), 1.0
MEMORY, RADIUS, DECAY, STEP = 10, 1.0, 0.3, 0.1
SETTINGS = ("independent", "aggregated")
# The linear comparator is searched for, not solved: for one agent, up to this length, from so many starts.
LINEAR_ROUNDS, STARTS, MARGIN = 10_000, 2, 0.01


@dataclass(frozen=True)
class Size:
    """How much is done.

    Attributes:
        rounds: the longest run. seeds. short: memories tried beside the right one.
        lengths, linear: where regret is taken.
    """

    rounds: int
    seeds: int
    short: tuple[int, ...]

    @property
    def lengths(self) -> list[int]:
        """Against DAC."""
        return lab.lengths(self.rounds)

    @property
    def linear(self) -> list[int]:
        """Against linear feedback."""
        return [T for T in self.lengths if 300 <= T <= LINEAR_ROUNDS]


@dataclass(frozen=True, eq=False)
class Played:
    """Runs of one kind of disturbance in one setting.

    Attributes:
        regret: (seeds, agents, lengths) against the best DAC of that length. linear: (seeds, lengths) of
            agent 0 against the best linear feedback found, or None.
        fit: of the mean over agents. last: its exponent over the last decade. largest: of |x| and |u|, in all rounds.
    """

    regret: Float[np.ndarray, "S N C"]
    linear: Float[np.ndarray, "S C"] | None
    fit: Exponent
    last: Exponent
    largest: tuple[float, float]

    @property
    def by_seed(self) -> Float[np.ndarray, "S C"]:
        """The mean over agents."""
        return self.regret.mean(1)


def world() -> tuple[LinearSystem, list[Quadratic], StabilisingGains]:
    """Three agents that push two states in three directions, each with a cost of its own, on Nash gains."""
    system = LinearSystem(A=A, B=B)
    costs = [Quadratic(np.diag(weights), 1.0) for weights in WEIGHTS]
    return system, costs, stabilising_gains(system, costs, "nash")


def play(
    system: LinearSystem,
    costs: list[Quadratic],
    gains: StabilisingGains,
    kind: str,
    setting: Any,
    memory: int,
    size: Size,
    seed: int,
) -> Played:
    """All seeds of one disturbance in one setting, everyone learning."""
    learners = team(
        system,
        gains.K,
        setting,
        memory=memory,
        radius=RADIUS,
        decay=DECAY,
        step_size={"initial": STEP, "decay": "sqrt"},
    )
    regret, linear, largest = [], [], (0.0, 0.0)
    for s in range(size.seeds):
        rng = np.random.default_rng((seed, s))
        push = lab.disturbance(kind, size.rounds, system.A, BOUND, rng)
        # Started off the origin: at rest the adversary would push the same way in every run.
        x0 = 0.1 * rng.standard_normal(2)
        run = simulate(system, learners, push, costs, size.rounds, seed, x0=x0, information=setting)
        regret.append(lab.regrets(run, range(AGENTS), size.lengths))
        if memory == MEMORY:
            options = {"comparator": "linear", "starts": STARTS, "margin": MARGIN}
            linear.append(lab.regrets(run, [0], size.linear, **options)[0])
        largest = (
            max(largest[0], float(np.abs(run.x).max())),
            max(largest[1], float(np.abs(run.u).max())),
        )
    values = np.array(regret)
    mean = values.mean(1)
    return Played(
        values,
        np.array(linear) if linear else None,
        fit_exponent(size.lengths, mean),
        fit_exponent(size.lengths[-3:], mean[:, -3:]),
        largest,
    )
