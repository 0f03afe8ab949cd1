"""What a simulation of a linear system leaves behind."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from phalanx._outcome import Outcome
from phalanx.systems import LinearSystem

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True, eq=False)
class LinearTrajectory:
    """One run of a linear system.

    Attributes:
        n_agents: N. rounds: T.
        x: (T+1, n) states. u: (T, N, p) controls. w: (T, q) disturbances.
        cost: (T, N) what each agent paid each round; None when no cost was given.
        system: the `LinearSystem` that was simulated.
        policies: one per agent, as given. costs: one stage cost per agent, or None.
        states: the policies' states after the last round, one per agent.
        parameters: with `record="parameters"`, per agent the M (T, H, p, n) that a learner played with
            in each round, None for agents that have none; otherwise None.
        first_round: number of the first round.
        outcome: "solved", or "diverged" with the round; the record then ends where the numbers do.
    """

    n_agents: int
    rounds: int
    x: Float[np.ndarray, "T1 n"]
    u: Float[np.ndarray, "T N p"]
    w: Float[np.ndarray, "T q"]
    cost: Float[np.ndarray, "T N"] | None
    system: LinearSystem
    policies: tuple[Any, ...]
    costs: tuple[Any, ...] | None
    states: tuple[Any, ...]
    outcome: Outcome
    parameters: tuple[np.ndarray | None, ...] | None = None
    first_round: int = 0

    def to_dataset(self) -> "xarray.Dataset":
        """All paths as a labelled dataset: dimensions time, round, agent, state, control, disturbance."""
        import xarray

        dims = {
            "x": ("time", "state"),
            "u": ("round", "agent", "control"),
            "w": ("round", "disturbance"),
            "cost": ("round", "agent"),
        }
        data = {
            name: (dim, getattr(self, name))
            for name, dim in dims.items()
            if getattr(self, name) is not None
        }
        return xarray.Dataset(
            data, coords={"time": np.arange(self.rounds + 1), "round": np.arange(self.rounds)}
        )
