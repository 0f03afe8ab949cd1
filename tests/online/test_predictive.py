"""Model predictive control: the plan is the horizon problem's optimum, and foresight is a floor."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import phalanx as px
from phalanx import InputError, NoSolutionError
from phalanx.online._predictive import ModelPredictive
from phalanx.policies import Feedback, LinearView
from phalanx.testing import check_policy

rng = np.random.default_rng(0)
n, p, T = 3, 2, 30
A = rng.normal(size=(n, n))
A *= 1.1 / np.abs(np.linalg.eigvals(A)).max()
B = rng.normal(size=(n, p))
Q, R = np.diag([1.0, 2.0, 0.5]), np.array([[1.0, 0.2], [0.2, 0.5]])
P = scipy.linalg.solve_discrete_are(A, B, Q, R)
K = np.linalg.solve(R + B.T @ P @ B, B.T @ P @ A)
record = rng.normal(size=(T, n))
x = rng.normal(size=n)


def best_plan(x, w, terminal):
    """All controls of the horizon problem at once: least squares in the stacked controls."""
    L = len(w)
    root_Q, root_R, root_P = (np.linalg.cholesky(M).T for M in (Q, R, terminal))
    rows, right = [], []
    state, push = x, np.zeros((n, L * p))
    for k in range(L):
        rows.append(root_Q @ push)
        right.append(-root_Q @ state)
        own = np.zeros((p, L * p))
        own[:, k * p : (k + 1) * p] = root_R
        rows.append(own)
        right.append(np.zeros(p))
        state, push = A @ state + w[k], A @ push
        push[:, k * p : (k + 1) * p] += B
    rows.append(root_P @ push)
    right.append(-root_P @ state)
    return np.linalg.lstsq(np.vstack(rows), np.concatenate(right), rcond=None)[0].reshape(L, p)


def act(policy, t, x, state=None):
    """The control as the simulator has it computed: compiled, in double precision."""
    with jax.enable_x64(True):
        policy, view = jax.tree.map(jnp.asarray, (policy, LinearView(t, x)))
        state = policy.init() if state is None else jnp.asarray(state)
        return np.array(eqx.filter_jit(lambda policy, state, view: policy.act(state, view))(policy, state, view))  # fmt: skip


@pytest.mark.parametrize("horizon", [1, 2, 7])
@pytest.mark.parametrize("terminal", [P, np.diag([3.0, 1.0, 2.0])], ids=["regulator", "given"])
def test_the_first_control_is_the_horizon_problems(horizon, terminal):
    policy = ModelPredictive(
        A, B, Q, R, horizon=horizon, forecast="perfect", record=record, terminal=terminal
    )
    for t in (0, 5):
        expected = best_plan(x, record[t : t + horizon], terminal)[0]
        np.testing.assert_allclose(act(policy, t, x), expected, atol=1e-10)


def test_a_naive_plan_holds_the_last_disturbance():
    policy = ModelPredictive(A, B, Q, R, horizon=4)
    w = np.array([0.3, -1.0, 0.5])
    expected = best_plan(x, np.tile(w, (4, 1)), P)[0]
    np.testing.assert_allclose(act(policy, 3, x, w), expected, atol=1e-10)
    np.testing.assert_allclose(act(policy, 0, x), -K @ x, atol=1e-10)  # before the first, 0


def test_what_is_recovered_is_the_disturbance():
    policy, u, w = ModelPredictive(A, B, Q, R), np.array([0.1, -2.0]), record[0]
    with jax.enable_x64(True):
        after = LinearView(1, jnp.asarray(A @ x + B @ u + w))
        seen = policy.observe(policy.init(), Feedback(LinearView(0, jnp.asarray(x)), jnp.asarray(u), after))  # fmt: skip
    np.testing.assert_allclose(seen, w, atol=1e-12)


def test_past_the_end_of_the_record_nothing_is_forecast():
    policy = ModelPredictive(A, B, Q, R, horizon=5, forecast="perfect", record=record)
    half = best_plan(x, np.vstack([record[-2:], np.zeros((3, n))]), P)[0]
    np.testing.assert_allclose(act(policy, T - 2, x), half, atol=1e-10)
    for t in (T, T + 100):
        np.testing.assert_allclose(act(policy, t, x), -K @ x, atol=1e-10)


@pytest.mark.parametrize("horizon", [1, 20])
def test_without_disturbances_it_is_the_regulator(horizon):
    system = px.LinearSystem(A, B)
    cost = px.Quadratic(Q, R)
    for extra in ({}, {"forecast": "perfect", "record": np.zeros((T, n))}):
        plan = ModelPredictive(A, B, Q, R, horizon=horizon, **extra)
        runs = [
            px.simulate(system, [policy], None, [cost], rounds=T, key=0, x0=x)
            for policy in (plan, px.LinearFeedback(K))
        ]
        np.testing.assert_allclose(runs[0].x, runs[1].x, atol=1e-9)


def test_foresight_is_the_least_any_controller_can_pay():
    """Horizon T and the tail's value: the whole future's optimum, so a floor for every policy."""
    system, cost = px.LinearSystem(A, B), px.Quadratic(Q, R)

    def paid(policy):
        run = px.simulate(system, [policy], px.Replay(record), [cost], rounds=T, key=0, x0=x)
        return run.cost.sum() + run.x[-1] @ P @ run.x[-1], run

    seeing, run = paid(ModelPredictive(A, B, Q, R, horizon=T, forecast="perfect", record=record))
    np.testing.assert_allclose(run.u[:, 0], best_plan(x, record, P), atol=1e-8)
    naive, _ = paid(ModelPredictive(A, B, Q, R, horizon=T))
    regulator, _ = paid(px.LinearFeedback(K))
    near = ModelPredictive(A, B, Q, R, horizon=3, forecast="perfect", record=record)
    assert seeing < paid(near)[0] < min(naive, regulator)


def test_a_disturbance_that_stays_is_met_by_the_naive_forecast():
    system, cost = px.LinearSystem(A, B), px.Quadratic(Q, R)
    steady = px.Replay(np.tile([1.0, -0.5, 2.0], (T, 1)))
    runs = [
        px.simulate(system, [policy], steady, [cost], rounds=T, key=0).cost.sum()
        for policy in (ModelPredictive(A, B, Q, R), px.LinearFeedback(K))
    ]
    assert runs[0] < 0.9 * runs[1]


def test_the_others_feedback_is_planned_with():
    second = 0.1 * rng.normal(size=(n, 1))
    gain = np.array([[0.5, -0.2, 0.1]])
    told = ModelPredictive(A, B, Q, R, others=second @ gain)
    alone = ModelPredictive(A - second @ gain, B, Q, R)
    np.testing.assert_allclose(told.K, alone.K)
    system = px.LinearSystem(A, [B, second])
    steady = px.Replay(np.tile([1.0, 0.0, 0.0], (T, 1)))
    run = px.simulate(system, [told, px.LinearFeedback(gain)], steady, None, rounds=T, key=0)
    # Recovered exactly: from round 1 on the forecast is the disturbance itself.
    expected = best_feedback(told, run.x[1:-1], np.array([1.0, 0.0, 0.0]))
    np.testing.assert_allclose(run.u[1:, 0, :p], expected, atol=1e-9)


def best_feedback(policy, states, w):
    return -states @ policy.K.T - policy.G.sum(axis=0) @ w


@pytest.mark.parametrize("extra", [{}, {"forecast": "perfect", "record": record}])
def test_the_simulators_checker_admits_it(extra):
    check_policy(ModelPredictive(A, B, Q, R, **extra), LinearView(t=0, x=x))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: ModelPredictive(A, B, Q, R, horizon=0), "horizon must be a whole number"),
        (lambda: ModelPredictive(A, B, Q, R, horizon=2.0), "horizon must be a whole number"),
        (lambda: ModelPredictive(A, B, Q, R, forecast="oracle"), 'forecast must be "naive"'),
        (lambda: ModelPredictive(A, B, Q, R, forecast="perfect"), "record is missing"),
        (lambda: ModelPredictive(A, B, Q, R, record=record), "record is never read"),
        (
            lambda: ModelPredictive(A, B, Q, R, forecast="perfect", record=record[:, :2]),
            r"record has shape \(30, 2\) and must have shape \(T, 3\)",
        ),
        (lambda: ModelPredictive(A, B, Q, 0.0), "R must be positive definite"),
        (lambda: ModelPredictive(A, B, Q, R, others=np.eye(2)), "others has shape"),
        (lambda: ModelPredictive(A, B, np.stack([Q, Q]), R), "constant in time"),
    ],
)
def test_a_fault_names_the_argument(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()


def test_without_a_regulator_the_last_state_needs_a_weight():
    hopeless = np.diag([1.2, 0.5]), [[0.0], [1.0]]
    with pytest.raises(NoSolutionError, match=r"eigenvalue 1.2.*Give terminal"):
        ModelPredictive(*hopeless)
    with pytest.raises(NoSolutionError, match="no stabilising regulator"):
        ModelPredictive(np.eye(2), np.eye(2), Q=0.0)
    assert ModelPredictive(*hopeless, terminal=1.0).K.shape == (1, 2)
