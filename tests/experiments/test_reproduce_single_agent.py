"""One agent against fixed controllers, the small version: what must hold, and its known figures in plain loops."""

import json

import numpy as np
import pytest
import scipy.linalg

from phalanx._record import Record, plain
from phalanx.experiments import single_agent

A, B = np.array(single_agent.A), np.array(single_agent.B)


@pytest.fixture(scope="module")
def record() -> Record:
    return single_agent.run(True, 0, lambda done, text: None)


def test_claims_hold(record):
    json.dumps(plain(record.summary), allow_nan=False)
    assert [c["text"] for c in record.summary["claims"] if not c["holds"]] == []


def test_fixed_gains_on_the_wave_cost_what_a_plain_loop_says(record):
    P = scipy.linalg.solve_discrete_are(A, B, np.eye(2), np.eye(1))
    K = np.linalg.solve(np.eye(1) + B.T @ P @ B, B.T @ P @ A)
    x, total = np.zeros(2), 0.0
    for t in range(single_agent.FIXTURE_ROUNDS):
        u = -K @ x
        total += x @ x + u @ u
        x = A @ x + B @ u + np.sin(t / (2 * np.pi))
    mean = total / single_agent.FIXTURE_ROUNDS
    costs = record.summary["costs_by_world"]["wave"]
    assert costs["lqr"] == pytest.approx(mean, rel=1e-9)
    assert mean == pytest.approx(single_agent.FIXTURE_COST, abs=5e-5)


def test_knowing_all_disturbances_costs_the_least_there_is(record):
    """The whole run as one least-squares problem in its controls."""
    T = single_agent.FIXTURE_ROUNDS
    w = single_agent.disturbance("wave", T, np.random.default_rng(0))
    free = np.zeros((T, 2))
    for t in range(1, T):
        free[t] = A @ free[t - 1] + w[t - 1]
    # x_t = free_t + Σ_s A^{t−1−s} B u_s, and A^k B = (k, 1).
    lag = np.arange(T)[:, None] - 1 - np.arange(T)[None]
    push = np.stack([np.where(lag >= 0, lag, 0), lag >= 0], 1).astype(float).reshape(2 * T, T)
    u = np.linalg.solve(np.eye(T) + push.T @ push, -push.T @ free.reshape(-1))
    least = (((free.reshape(-1) + push @ u) ** 2).sum() + u @ u) / T
    costs = record.summary["costs_by_world"]["wave"]
    assert costs["perfect"] == pytest.approx(least, rel=1e-2)
    assert min(costs.values()) >= least - 1e-9
