"""What a simulation of a linear system leaves behind."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True, eq=False)
class LinearTrajectory:
    """One run of a linear system.

    Attributes:
        n_agents: N. rounds: T.
        x: (T+1, n) states. u: (T, N, p) controls. w: (T, q) disturbances.
        cost: (T, N) what each agent paid each round; None when no cost was given.
    """

    n_agents: int
    rounds: int
    x: Float[np.ndarray, "T1 n"]
    u: Float[np.ndarray, "T N p"]
    w: Float[np.ndarray, "T q"]
    cost: Float[np.ndarray, "T N"] | None

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
