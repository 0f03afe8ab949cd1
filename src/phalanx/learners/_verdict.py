"""How a run of learning ended, in a sentence and a mend."""

import numpy as np

from phalanx._outcome import Outcome
from phalanx.learners._method import Method
from phalanx.learners._state import State


def verdict(method: Method, state: State) -> Outcome:
    """How it ended, in a sentence and a mend."""
    t = state.note
    if state.status in NOT_FINITE:
        return _not_finite(state)
    if state.status in FLAT:
        return _flat(state)
    if state.status == "diverged":
        eta = state.eta[t]
        step = f" (step size {eta:.3g})" if np.isfinite(eta) else ""
        where = "with all stages at once" if method.all_stages else f"at stage {t}"
        return Outcome(
            "diverged",
            f"Learning diverged {where}{step}: gains or costs grew beyond any number.",
            "Give a smaller radius, or raise gamma."
            if method.estimator == "regression"
            else "Give a smaller step size or a smaller ball, or raise gamma.",
        )
    on_ball = np.nan_to_num(state.projected)
    if state.status == "infeasible" and on_ball.max() < 1:  # else the ball is what made it so
        return Outcome(
            "infeasible",
            f"At stage {t} the costs show no saddle point: what the disturbance gains there is not concave in its gains.",
            "Raise gamma; or, if it is near the level, take a larger batch.",
        )
    if on_ball.max() >= 1:
        t = int(np.flatnonzero(on_ball >= 1)[-1])  # the first that was learned
        where = "" if method.all_stages else f" at stage {t}"
        stopped = "" if state.status == "done" else f"; learning stopped at stage {state.note}"
        return Outcome(
            "projection_active",
            f"The projection was active{where} in every iteration of the last half{stopped}: the gains stand on the ball of radius "
            f"{state.ball[t]:.4g}.",
            "Give a larger ball, a larger batch or a smaller step size; if that does not help, raise gamma.",
        )
    spent = f"The budget of {method.iterations} iterations{'' if method.all_stages else ' of each stage'} is spent"
    if np.isnan(state.estimate).any() and np.isnan(state.S).any():
        return Outcome(
            "budget_spent",
            f"{spent}; with step size and ball both given nothing says how far the gains are from the saddle point.",
            'Leave the step size at "auto" to have the distance estimated.',
        )
    if np.isnan(state.mu).any():
        return Outcome(
            "budget_spent",
            f"{spent}; the costs are no quadratic in the gains of stage {int(np.flatnonzero(np.isnan(state.mu))[-1])}, or do not repeat with the "
            "seed, so they do not say how far the gains are from a saddle point.",
            "Compare the gains with others on fresh rollouts.",
        )
    if state.mu.min() <= 0:
        return Outcome(
            "budget_spent",
            f"{spent}, and where it ended stage {int(np.flatnonzero(state.mu <= 0)[-1])} has no saddle point under the later gains.",
            "Give more iterations; or learn stage by stage, which does not start a stage before the later ones are right.",
        )
    total = float(np.sqrt(np.sum(state.estimate**2)))
    norm = float(np.sqrt(np.sum(state.theta1**2) + np.sum(state.theta2**2)))
    if total <= method.tolerance * max(norm, 1.0):
        return Outcome(
            "solved",
            f"Converged: the gains are an estimated {total:.2g} from the saddle point{_share(total, norm, ', {} of their size')}.",
        )
    worst = int(np.argmax(state.estimate))
    budget = f"The budget of {state.rollouts} rollouts" if state.rollouts else spent
    budget = budget.removesuffix(" is spent")
    return Outcome(
        "budget_spent",
        f"{budget} is spent, and the gains are still an estimated {total:.2g} from the saddle point "
        f"({_share(total, norm, '{} of their size; ')}most of it at stage {worst}).",
        "Give more iterations or a larger batch."
        if method.estimator != "exact"
        else "Give more iterations.",
    )


# By status: what was not finite, and what it was.
NOT_FINITE = {
    "cost_nan": ("a cost", "nan"),
    "cost_inf": ("a cost", "inf"),
    "energy_nan": ("an energy", "nan"),
    "energy_inf": ("an energy", "inf"),
}
# By status: what the costs do, and what to look at.
FLAT = {
    "flat": (
        "The costs{} do not change with the gains: does the simulator play gains.control and gains.disturbance, from `start` "
        "to stage T−1 = {}?",
        "Give as horizon the number of stages that it plays, and return what was paid from `start` on.",
    ),
    "flat_control": (
        "The costs{} do not change with the control's gains: does the simulator play gains.control, from `start` to stage "
        "T−1 = {}?",
        "Let the cost count the controls, as |u|²_R does, and let them move the state.",
    ),
    "flat_disturbance": (
        "Costs and energies{} do not change with the disturbance's gains: does the simulator play gains.disturbance, from "
        "`start` to stage T−1 = {}?",
        "Return its energy, Σ|d|², as the second number.",
    ),
    "no_energy": (
        "The disturbance spends no energy{}: does the simulator play gains.disturbance, from `start` to stage T−1 = {}, and "
        "count it?",
        "Return its energy, Σ|d|², as the second number.",
    ),
}


def _not_finite(state: State) -> Outcome:
    what, value = NOT_FINITE[state.status]
    T, t = len(state.theta1), state.note
    where = "" if t < 0 else f" at stage {t}"
    first = ", with the first gains" if t in (-1, T - 1) and state.iteration == 0 else ""
    return Outcome(
        "diverged",
        f"The simulator returned {what} that is not finite ({value}){where}{first}.",
        "Look for a division by 0, a root of a negative number or a state without bounds in the simulator"
        + ("." if first else "; or give a smaller radius, or a smaller ball."),
    )


def _flat(state: State) -> Outcome:
    sentence, mend = FLAT[state.status]
    preposition = "at" if state.status == "no_energy" else "of"
    where = "" if state.note < 0 else f" {preposition} stage {state.note}"
    return Outcome("infeasible", sentence.format(where, len(state.theta1) - 1), mend)


def _share(total: float, norm: float, words: str) -> str:
    """A distance as a share of the gains' size, where they have one."""
    return words.format(f"{total / norm:.2g}") if total < 10 * norm else ""
