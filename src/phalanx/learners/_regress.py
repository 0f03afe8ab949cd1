"""One round of fit and solve: quadratics from costs, then the linear solve for the saddle point."""

from typing import Any

import numpy as np

from phalanx.learners import _descent, _quadratic, _steps
from phalanx.learners._ask import fit, measure, start_covariances
from phalanx.learners._base import Oracle
from phalanx.learners._method import Method
from phalanx.learners._state import State

# A variance of rounding alone still leaves a finite weight.
LEAST_VARIANCE = 1e-30


def round_(oracle: Oracle, method: Method, gamma: float, key: Any, state: State) -> None:
    """One round of fit and solve: quadratics from costs, then the linear solve for the saddle point."""
    sizes, t, round_ = oracle.sizes, state.stage, state.iteration
    Sigma = start_covariances(oracle)
    if round_ == 0:
        start = _descent.start(np.zeros_like(state.W))
        for name, value in start._asdict().items():
            setattr(state, name, np.asarray(value))
        state.ball[t] = np.inf if method.ball is None else method.ball
        state.record(t)
        state.weight = np.zeros(())
        found, state.status = fit(oracle, gamma, key, state, method.batch, method.radius, salt=0)
        if found is None:
            state.note = t
            return
        bend, spread, G, error = found[1:]
        state.S[t] = bend.S
        state.first = np.asarray(float(found.quadratic))
        state.mu[t] = np.nan
        if found.quadratic:
            state.mu[t] = _steps.theory(bend, Sigma)[1]
    else:
        bend, spread = _quadratic.Curvature(state.S[t], sizes.control), Sigma
        found, plan = measure(
            oracle, gamma, key, state, method.batch, False, method.radius, salt=round_
        )
        G, error = _quadratic.slope(found, plan)
    if not np.isfinite(G).all():
        state.status, state.note = "diverged", t
        return
    if state.mu[t] <= 0:
        state.status, state.note = "infeasible", t
        return
    target = state.W[0] + _quadratic.newton(G, bend, spread)
    variance = max(_quadratic.newton_variance(error, bend, Sigma), LEAST_VARIANCE)
    if state.first:  # each round points at the same saddle point with an error of its own
        state.sum_W = state.sum_W + target / variance  # both halves alike: here they are one
        state.weight = state.weight + 1 / variance
    else:  # each round starts from where the last one led
        state.sum_W = np.zeros_like(state.sum_W) + target / variance
        state.weight = np.asarray(1 / variance)
    W = state.sum_W[0, 0] / state.weight
    state.estimate[t] = np.sqrt(1 / state.weight)
    state.projected[t] = 0.0
    for player in (slice(0, sizes.control), slice(sizes.control, None)):
        norm = np.linalg.norm(W[player])
        if norm > state.ball[t]:
            W[player] *= state.ball[t] / norm
            state.projected[t] = 1.0
    state.W, state.iteration = W[None], round_ + 1
    state.record(t)
    if state.iteration == method.iterations:
        state.theta1[t], state.theta2[t] = W[: sizes.control], W[sizes.control :]
        state.stage, state.iteration, state.W = t - 1, 0, np.zeros_like(state.W)
        if state.stage < 0:
            state.status = "done"
