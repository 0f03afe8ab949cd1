"""What `learn` gives back, and what it says on the way."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from phalanx._outcome import InputError, Outcome
from phalanx.equilibria import SaddlePoint
from phalanx.learners._gains import JointGains, distance
from phalanx.learners._method import Method


class Progress(NamedTuple):
    """How far learning has come.

    Attributes:
        done: share of the work, 0 to 1. stage: being learned, −1 for all at once.
        iteration: of that stage. rollouts: so far; expected costs in closed form are none.
        gap: distance from Nash of the stages that are learned; None where no model is known.
    """

    done: float
    stage: int
    iteration: int
    rollouts: int
    gap: float | None


@dataclass(frozen=True, eq=False)
class Iterates:
    """What was recorded while learning.

    Attributes:
        stage, iteration, rollouts: (n,) when; stage −1: all at once.
        gains: (n, 1 | T, p + q, 2m), [K¹ L¹; K² L²] of that stage, or of all.
    """

    stage: np.ndarray
    iteration: np.ndarray
    rollouts: np.ndarray
    gains: np.ndarray


@dataclass(frozen=True, eq=False)
class Learned:
    """What `learn` found.

    Attributes:
        K1, L1: (T, p, m) the controller, u = −K1 (x − x̄) − L1 x̄.
        K2, L2: (T, q, m) the disturbance it was learned against, d = +K2 (x − x̄) + L2 x̄.
        gamma: γ. method: how.
        rollouts: used in all, both players', those for step sizes and those that try a simulator out;
            0 where expected costs were had in closed form.
        outcome: converged ("solved": the estimated gap is at most `method.tolerance` of the gains'
            size), "budget_spent" (the gains may be good, but the costs do not say that they are that
            near), "projection_active", "diverged" or "infeasible", in a sentence and a mend.
        nash_gap: Frobenius distance of all gains from the saddle point's; None without a model.
        nash_gap_by_stage: (T,) the same, stage by stage.
        estimated_gap: the same distance as the costs alone tell it; None where they cannot.
        attenuation: what the learned controller really guarantees: √ of its worst-case ratio of cost
            to disturbance energy; None without a model.
        step_size: (T,) η. ball: (T,) radius of the projection. projected: (T,) share of the last
            half of the iterations that were projected.
        strong_convexity, lipschitz: (T,) μ and L of Theorem 4, from costs; NaN where they were not
            measured, or where the costs are no quadratic in the stage's gains.
        iterates: what was recorded on the way.
        nash: the saddle point that gaps are measured from; None without a model.
        complete: whether all stages were learned; where not, the gains of earlier stages are 0.
        note: where the state file was damaged, a sentence on which one was gone on from; else "".
    """

    K1: np.ndarray
    K2: np.ndarray
    L1: np.ndarray
    L2: np.ndarray
    gamma: float
    method: Method
    rollouts: int
    outcome: Outcome
    nash_gap: float | None
    nash_gap_by_stage: np.ndarray | None
    estimated_gap: float | None
    attenuation: float | None
    step_size: np.ndarray
    ball: np.ndarray
    projected: np.ndarray
    strong_convexity: np.ndarray
    lipschitz: np.ndarray
    iterates: Iterates
    nash: SaddlePoint | None
    complete: bool = True
    note: str = ""

    @property
    def policy(self) -> Any:
        """The controller, ready for `simulate` or a loop of your own."""
        from phalanx.policies import MeanFieldFeedback

        return MeanFieldFeedback(self.K1, self.L1)

    def gap_by_rollouts(self) -> tuple[np.ndarray, np.ndarray]:
        """(rollouts, distance of all gains from Nash) at every recorded iterate; gains not yet learned are 0.

        Raises:
            InputError: no saddle point is known to measure from.
        """
        if self.nash is None:
            raise InputError("gaps need a saddle point to measure from, and this world has none.")
        truth, p = gains_of(self.nash), self.K1.shape[1]
        by_stage = distance(JointGains(truth.theta1 * 0, truth.theta2 * 0), truth)
        out = []
        for stage, W in zip(self.iterates.stage, self.iterates.gains, strict=True):
            now = JointGains(W[:, :p], W[:, p:])
            where = slice(None) if stage < 0 else slice(stage, stage + 1)
            by_stage[where] = distance(now, JointGains(truth.theta1[where], truth.theta2[where]))
            out.append(np.sqrt(np.sum(by_stage**2)))
        return self.iterates.rollouts, np.array(out)


def gains_of(nash: SaddlePoint) -> JointGains:
    """Both players' gains at a saddle point."""
    return JointGains.of(nash.K1, nash.K2, nash.L1, nash.L2)
