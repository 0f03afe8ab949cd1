"""Two scalar agents with B = 1, both learning, or one of them beside an agent that plays what it did not announce."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from phalanx.costs import Quadratic
from phalanx.disturbances import Replay
from phalanx.experiments import _joint_loop as joint
from phalanx.online import GradientPerturbation
from phalanx.policies import LinearView, Policy
from phalanx.simulation import LinearTrajectory, simulate
from phalanx.systems import LinearSystem

# Two scalar agents with B = 1 and the same K: (A, K). Which of the two assumptions holds is in the name.
WORLDS = {
    "both assumptions": (1.0, 0.5),
    "Assumption 3 only": (1.0, 1.5),
    "Assumption 4 only": (1.8, 0.6),
}
SETTINGS = ("independent", "aggregated", "aggregated-agentwise")
STEP, RADIUS, PERIOD = 0.001, 2.0, 20.0
# Rounds that growth is fitted over.
LAST = 20


class Timetable(Policy):
    """u_t = row t of a table: an agent that announced a K and plays something else."""

    table: Float[np.ndarray, "T p"]

    def init(self) -> None:
        """No state is kept."""

    def act(self, state: Any, view: LinearView) -> Float[jax.Array, " p"]:
        """Row t."""
        return jnp.asarray(self.table)[view.t]

    def observe(self, state: Any, feedback: Any) -> None:
        """Nothing is learned."""


def disturbances(seed: int, seeds: int, T: int) -> Float[np.ndarray, "S T 1"]:
    """A wave of random phase and a little noise, one per seed."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 2 * np.pi, (seeds, 1))
    wave = np.sin(2 * np.pi * np.arange(T) / PERIOD + phase)
    return (wave + rng.uniform(-0.3, 0.3, (seeds, T)))[..., None]


def learner(
    A: float, K: float, setting: Any, memory: int, radius: float = RADIUS
) -> GradientPerturbation:
    """One of two agents that know each other's K."""
    known: dict[str, Any] = {"others": [[K]]} if setting == "aggregated" else {}
    return GradientPerturbation(
        [[A]],
        [[1.0]],
        [[K]],
        memory=memory,
        step_size=STEP,
        radius=radius,
        setting=setting,
        **known,
    )


def pair(
    A: float, K: float, w: np.ndarray, setting: Any, memory: int, radius: float = RADIUS
) -> LinearTrajectory:
    """Both learn."""
    return _simulate(A, [learner(A, K, setting, memory, radius)] * 2, w, setting)


def beside_a_stranger(w: np.ndarray, setting: Any, memory: int) -> LinearTrajectory:
    """One learns with K = 1.5; the other announced K = 1.5 too, and plays a square wave."""
    A, K = WORLDS["Assumption 3 only"]
    square = np.where(np.arange(len(w)) % 190 < 95, 1.0, -1.0)[:, None]
    return _simulate(A, [learner(A, K, setting, memory), Timetable(square)], w, setting)


def _simulate(A: float, policies: list, w: np.ndarray, setting: Any) -> LinearTrajectory:
    information = "independent" if setting == "independent" else "aggregated"
    system = LinearSystem(A=[[A]], B=[[[1.0]]] * 2)
    return simulate(
        system, policies, Replay(w), Quadratic(), len(w), information=information, throw=False
    )


def growth(run: LinearTrajectory) -> float:
    """|x|'s factor per round over the last rounds before the record ends; NaN if nothing blew up."""
    if run.outcome.ok:
        return float("nan")
    size = np.log(np.abs(run.x[-LAST - 1 : -1, 0]))
    return float(np.exp(np.polyfit(np.arange(len(size)), size, 1)[0]))


def radius_with(m: float, A: float = 1.0, K: float = 1.5) -> float:
    """Spectral radius of two independent agents with M = (m): memory 1."""
    one = np.eye(1)
    return joint.radius(
        joint.joint_loop(A * one, [one] * 2, [K * one] * 2, [np.full((1, 1, 1), m)] * 2)
    )
