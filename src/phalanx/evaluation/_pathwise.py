"""The promise that holds run by run, checked on a recorded run.

With ω = 0, under the saddle-point controller and against *any* d (complete the squares):

    J ≤ γ² Σ_t |d_t|² + ⟨y_0, M_0 y_0⟩ + ⟨z_0, M̄_0 z_0⟩

With random ω the promise is about expectations, and a single run proves nothing.
"""

from dataclasses import dataclass

import numpy as np

from phalanx._outcome import InputError
from phalanx.equilibria import RobustGame, SaddlePoint
from phalanx.simulation import Trajectory

# Share of the bound that rounding may cost over a run.
ROUNDING = 1e-9


@dataclass(frozen=True)
class PathwiseCheck:
    """Both sides of the inequality for one run.

    Attributes:
        holds: whether cost ≤ bound, up to rounding.
        cost: the left side. bound: the right side. slack: bound − cost.
    """

    holds: bool
    cost: float
    bound: float

    @property
    def slack(self) -> float:
        """How much of the bound was left."""
        return self.bound - self.cost


def pathwise_check(trajectory: Trajectory, game: RobustGame, saddle: SaddlePoint) -> PathwiseCheck:
    """Check the pathwise inequality on a recorded run of the saddle-point controller.

    In the stationary game x_Tᵀ M x_T stands in place of the terminal cost, on the left.

    Args:
        trajectory: a run with ω = 0, simulated with `costs=game.cost`, over the whole horizon
            (stationary: over any number of rounds).
        game: the game it was run on.
        saddle: the saddle point whose controller played.

    Returns:
        `PathwiseCheck`.

    Raises:
        InputError: a run with process noise, without a cost, or over another horizon.

    Source: P1, Section 3, by completing the squares.
    """
    if trajectory.cost is None:
        raise InputError("the trajectory has no cost; simulate with costs=game.cost.")
    if np.ndim(trajectory.cost):
        raise InputError("the trajectory holds several runs; check them one by one.")
    if trajectory.noise_energy > 0:
        raise InputError(
            "the run has process noise, for which the promise is about expectations; see noise_gain."
        )
    if not game.stationary and trajectory.rounds != game.horizon:
        raise InputError(f"the run lasts {trajectory.rounds} rounds, but the game {game.horizon}.")
    M, M_bar = (saddle.M, saddle.M_bar) if game.stationary else (saddle.M[0], saddle.M_bar[0])
    bound = float(saddle.gamma) ** 2 * trajectory.disturbance_energy + _form(
        trajectory.initial, M, M_bar
    )
    cost = trajectory.cost
    if game.stationary:
        cost += _form(trajectory.final, M, M_bar)
    return PathwiseCheck(bool(cost <= bound + ROUNDING * abs(bound)), float(cost), float(bound))


def _form(x: np.ndarray, M: np.ndarray, M_bar: np.ndarray) -> float:
    """mean_i ⟨y^i, M y^i⟩ + ⟨z, M̄ z⟩; at N = 1 there are no deviations and M is not read."""
    z = x.mean(axis=0)
    y = x - z
    own = float(np.einsum("ik,kl,il->", y, M, y)) / len(x) if len(x) > 1 else 0.0
    return own + float(z @ M_bar @ z)
