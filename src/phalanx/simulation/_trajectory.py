"""What a simulation leaves behind: totals always, paths and states on request, all labelled."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from phalanx._outcome import InputError

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One run of a mean-field population (or `runs` of them, on a leading axis of every figure).

    Sums over agents are means over agents: every figure is per agent. Costs are P1's eq. 2 and the
    noise index its eq. 3, for this run instead of in expectation.

    Attributes:
        n_agents: N. rounds: T.
        cost: J of this run, terminal cost included; None when no cost was given.
        disturbance_energy: Σ_t mean_i |d^i−d̄|² + |d̄|².
        noise_energy: Σ_t mean_i |ω^i|² + |ω̄|².
        outside: (m,) share of agent-rounds with a state entry outside `limits`; None without limits.
        initial, final: (N, m) the states before the first and after the last round; None for the
            totals of several runs.
        stage_cost: (T,) cost of each round (record "means" and "states").
        x_bar: (T+1, m) mean state. x_std: (T+1, m) spread over agents.
        x_min, x_max: (T+1, m) extremes over agents.
        u_bar: (T, p) mean control. d_bar: (T, q) mean disturbance.
        d_energy: (T,) disturbance energy of each round.
        x: (T+1, N, m) states, u: (T, N, p) controls, d: (T, N, q) disturbances (record "states").
    """

    n_agents: int
    rounds: int
    cost: Any
    disturbance_energy: Any
    noise_energy: Any
    outside: Float[np.ndarray, " m"] | None
    initial: Any
    final: Any
    stage_cost: Float[np.ndarray, " T"] | None = None
    x_bar: Float[np.ndarray, "T1 m"] | None = None
    x_std: Float[np.ndarray, "T1 m"] | None = None
    x_min: Float[np.ndarray, "T1 m"] | None = None
    x_max: Float[np.ndarray, "T1 m"] | None = None
    u_bar: Float[np.ndarray, "T p"] | None = None
    d_bar: Float[np.ndarray, "T q"] | None = None
    d_energy: Float[np.ndarray, " T"] | None = None
    x: Float[np.ndarray, "T1 N m"] | None = None
    u: Float[np.ndarray, "T N p"] | None = None
    d: Float[np.ndarray, "T N q"] | None = None

    @property
    def noise_index(self) -> Any:
        """ϖ of this run: disturbance and process noise together (P1, eq. 3)."""
        return self.disturbance_energy + self.noise_energy

    def to_dataset(self, state_names: list[str] | None = None) -> "xarray.Dataset":
        """All recorded paths as a labelled dataset: dimensions time, agent, state, control, disturbance.

        Args:
            state_names: one label per state entry; x0, x1, … by default.

        Raises:
            InputError: nothing but totals was recorded.
        """
        import xarray

        if self.x_bar is None:
            raise InputError(
                'only totals were recorded; simulate with record="means" or record="states" for labelled paths.'
            )
        m = self.x_bar.shape[-1]
        names = state_names or [f"x{i}" for i in range(m)]
        if len(names) != m:
            raise InputError(f"state_names has {len(names)} names for {m} state entries.")
        runs = ("run",) if np.ndim(self.disturbance_energy) else ()
        dims = {
            "x_bar": ("time", "state"),
            "x_std": ("time", "state"),
            "x_min": ("time", "state"),
            "x_max": ("time", "state"),
            "u_bar": ("round", "control"),
            "d_bar": ("round", "disturbance"),
            "stage_cost": ("round",),
            "d_energy": ("round",),
            "x": ("time", "agent", "state"),
            "u": ("round", "agent", "control"),
            "d": ("round", "agent", "disturbance"),
        }
        data = {
            name: (runs + dim, getattr(self, name))
            for name, dim in dims.items()
            if getattr(self, name) is not None
        }
        coordinates = {
            "time": np.arange(self.rounds + 1),
            "round": np.arange(self.rounds),
            "state": names,
        }
        totals = {
            "n_agents": self.n_agents,
            "disturbance_energy": self.disturbance_energy,
            "noise_energy": self.noise_energy,
        }
        if self.cost is not None:
            totals["cost"] = self.cost
        return xarray.Dataset(data, coords=coordinates, attrs=totals)
