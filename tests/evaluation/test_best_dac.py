"""The best DAC in hindsight against cvxpy, brute force, an adjoint by hand and finite differences."""

import cvxpy as cp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from online_worlds import fixture, one_agent

import phalanx as px
from phalanx.evaluation import _quadratic_dac
from phalanx.evaluation._counterfactual import build
from phalanx.evaluation._rollout import World, dac_slope

T, H = 40, 3
DRAWS = np.random.default_rng(11)
A = np.array([[0.9, 0.3], [-0.2, 0.7]])
B = np.array([[1.0, 0.2], [0.0, 0.8]])
K = np.array([[0.3, 0.1], [0.0, 0.2]])
W = np.sin(np.arange(T) / 4)[:, None] + 0.3 * DRAWS.normal(size=(T, 2))
TARGET = np.cumsum(DRAWS.normal(size=(T, 2)), axis=0) * 0.3
Q, R = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[0.5, 0.1], [0.1, 0.3]])
PRICE = DRAWS.normal(size=(T, 2))


def run(cost: object, x0: tuple = (1.0, -0.5)) -> px.LinearTrajectory:
    return one_agent(A, B, K, W, cost, x0=list(x0))


def paths(M: np.ndarray, x0: np.ndarray) -> tuple[list, list]:
    """States and controls under M."""
    x, xs, us = x0, [], []
    for t in range(T):
        u = -K @ x
        for p in range(1, min(H, t) + 1):
            u = u + M[p - 1] @ W[t - p]
        xs.append(x)
        us.append(u)
        x = A @ x + B @ u + W[t]
    return xs, us


def affine() -> tuple[np.ndarray, np.ndarray]:
    """(x_t, u_t) of all rounds as base (T, 4) + response (T, 4, d) · vec(M), read off by trying each entry of M."""

    def stacked(m: np.ndarray) -> np.ndarray:
        xs, us = paths(m.reshape(H, 2, 2), np.array([1.0, -0.5]))
        return np.concatenate([xs, us], axis=1)

    base = stacked(np.zeros(4 * H))
    return base, np.stack([stacked(one) - base for one in np.eye(4 * H)], axis=-1)


def best_by_cvxpy(stage, radius: float, decay: float, burn_in: int = 0) -> float:
    M = [cp.Variable((2, 2)) for _ in range(H)]
    base, response = affine()
    m = cp.hstack([cp.vec(block, order="C") for block in M])
    z = [base[t] + response[t] @ m for t in range(T)]
    total = sum(stage(t, z[t][:2], z[t][2:]) for t in range(burn_in, T))
    inside = [cp.sigma_max(m) <= radius * (1 - decay) ** (p + 1) for p, m in enumerate(M)]
    problem = cp.Problem(cp.Minimize(total), inside)
    return float(problem.solve(solver=cp.CLARABEL))


def huber(v, width: float):
    # cvxpy's Huber is 2·width·h, and minimum over one side of the parabola of ours.
    return cp.sum(cp.huber(v, width)) / (2 * width)


STAGES = {
    "quadratic": (px.Quadratic(Q, R), lambda t, x, u: cp.quad_form(x, Q) + cp.quad_form(u, R)),
    "tracking": (
        px.Tracking(TARGET, Q, 0.1),
        lambda t, x, u: cp.quad_form(x - TARGET[t], Q) + 0.1 * cp.sum_squares(u),
    ),
    "huber": (
        px.Huber(0.3, 1.0, 0.5),
        lambda t, x, u: huber(x, 0.3) + 0.5 * huber(u, 0.3),
    ),
    "linear": (px.LinearStage(PRICE), lambda t, x, u: PRICE[t] @ x),
    "callable": (
        lambda t, x, u: jnp.exp(0.3 * x).sum() + u @ u,
        lambda t, x, u: cp.sum(cp.exp(0.3 * x)) + cp.sum_squares(u),
    ),
}


@pytest.mark.parametrize(
    ("kind", "radius"),
    [
        ("quadratic", 0.2),
        ("quadratic", 5.0),
        ("tracking", 0.3),
        ("huber", 0.2),
        ("linear", 0.5),
        ("callable", 0.2),
    ],
)
def test_cvxpy_finds_no_better(kind, radius):
    cost, stage = STAGES[kind]
    best = px.best_dac(run(cost), 0, memory=H, radius=radius, decay=0.2, tolerance=1e-7)
    expected = best_by_cvxpy(stage, radius, 0.2)
    assert best.outcome.ok, best.outcome.text
    assert best.cost == pytest.approx(expected, rel=1e-6)
    assert best.cost - best.optimality_gap <= expected + 1e-6 * abs(expected)
    norms = np.linalg.norm(best.M, 2, axis=(1, 2))
    assert (norms <= radius * 0.8 ** np.arange(1, H + 1) * (1 + 1e-12)).all()


def test_burn_in_is_left_out_of_the_problem():
    cost, stage = STAGES["quadratic"]
    best = px.best_dac(run(cost), 0, memory=H, radius=0.2, burn_in=7)
    assert best.cost == pytest.approx(best_by_cvxpy(stage, 0.2, 0.0, burn_in=7), rel=1e-6)
    assert best.cost == pytest.approx(best.costs[7:].sum())


def test_the_reported_costs_are_those_of_a_replay_by_hand():
    best = px.best_dac(run(STAGES["quadratic"][0]), 0, memory=H, radius=0.3)
    xs, us = paths(best.M, np.array([1.0, -0.5]))
    costs = [x @ Q @ x + u @ R @ u for x, u in zip(xs, us, strict=True)]
    np.testing.assert_allclose(best.costs, costs, rtol=1e-12)


@pytest.mark.parametrize(("chunk", "burn_in"), [(1, 0), (1, 5), (4_000_000, 0), (4_000_000, 9)])
def test_the_quadratic_is_the_cost_itself(monkeypatch, chunk, burn_in):
    monkeypatch.setattr(_quadratic_dac, "CHUNK", chunk)
    for kind in ("quadratic", "tracking"):
        world = build(run(STAGES[kind][0]), 0)
        with jax.enable_x64(True):
            quadratic = _quadratic_dac.assemble(world, H, burn_in)
        for scale in (0.0, 0.1, 1.0):
            M = scale * DRAWS.normal(size=(H, 2, 2))
            xs, us = paths(M, np.array([1.0, -0.5]))
            away = [x - TARGET[t] if kind == "tracking" else x for t, x in enumerate(xs)]
            weight = 0.1 * np.eye(2) if kind == "tracking" else R
            costs = [x @ Q @ x + u @ weight @ u for x, u in zip(away, us, strict=True)]
            assert quadratic.value(M) == pytest.approx(sum(costs[burn_in:]), rel=1e-11)


def adjoint_by_hand(M: np.ndarray, cost: object) -> np.ndarray:
    xs, us = paths(M, np.array([1.0, -0.5]))
    slope, carried = np.zeros_like(M), np.zeros(2)
    for t in reversed(range(T)):
        g_x, g_u = (np.asarray(g) for g in cost.gradient(t, xs[t], us[t]))
        at_u = g_u + B.T @ carried
        for p in range(1, min(H, t) + 1):
            slope[p - 1] += np.outer(at_u, W[t - p])
        carried = g_x - K.T @ at_u + A.T @ carried
    return slope


@pytest.mark.parametrize("kind", ["quadratic", "tracking", "huber", "linear"])
def test_the_gradient_is_the_adjoints_and_finite_differences(kind):
    cost, M = STAGES[kind][0], 0.2 * DRAWS.normal(size=(H, 2, 2))
    world = build(run(cost), 0)
    with jax.enable_x64(True):
        slope = np.asarray(dac_slope(World(world), 0, jnp.asarray(M))[1])
    np.testing.assert_allclose(slope, adjoint_by_hand(M, cost), rtol=1e-10, atol=1e-10)
    way = DRAWS.normal(size=M.shape)

    def total(M: np.ndarray) -> float:
        with jax.enable_x64(True):
            return float(dac_slope(World(world), 0, jnp.asarray(M))[0])

    step = 1e-6
    difference = (total(M + step * way) - total(M - step * way)) / (2 * step)
    assert (slope * way).sum() == pytest.approx(difference, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("kind", list(STAGES))
def test_nothing_in_the_set_costs_less_than_the_certificate_says(kind):
    trajectory = run(STAGES[kind][0])
    best = px.best_dac(trajectory, 0, memory=H, radius=0.4)
    draws = np.random.default_rng(2)
    for _ in range(10):
        M = draws.normal(size=(H, 2, 2))
        M *= 0.4 * draws.uniform() / np.linalg.norm(M, 2, axis=(1, 2))[:, None, None]
        other = px.regret(trajectory, 0, M)
        assert other.comparator_cost >= best.cost - best.optimality_gap - 1e-12 * abs(best.cost)


def test_kinks_are_answered_with_an_honest_gap():
    best = px.best_dac(
        run(lambda t, x, u: jnp.abs(x).sum() + jnp.abs(u).sum()), 0, memory=H, radius=0.4
    )
    expected = best_by_cvxpy(lambda t, x, u: cp.norm1(x) + cp.norm1(u), 0.4, 0.0)
    assert best.cost - best.optimality_gap <= expected * (1 + 1e-7)
    assert expected <= best.cost * (1 + 1e-7)
    assert best.cost <= expected * 1.01
    if not best.outcome.ok:
        assert "at most" in best.outcome.sentence
        with pytest.raises(px.NoSolutionError):
            best.outcome.raise_if_failed()


def test_disturbances_that_leave_directions_free_take_the_shortest_M():
    system, K, w = fixture(300)
    record = px.simulate(system, px.LinearFeedback(K), px.Replay(w), px.Quadratic(), rounds=300)
    best = px.best_dac(record, 0, memory=6)
    # Both entries of w are alike: whatever acts on their difference is free, and left at nothing.
    np.testing.assert_allclose(best.M[..., 0], best.M[..., 1], atol=1e-6)
    assert best.outcome.ok


def test_no_disturbance_leaves_nothing_to_learn():
    record = one_agent(A, B, K, np.zeros((10, 2)), px.Quadratic(), x0=[1.0, 0.0])
    best = px.best_dac(record, 0, memory=2)
    assert best.outcome.ok
    np.testing.assert_array_equal(best.M, 0.0)


def test_the_set_is_the_learners_own():
    system, K, w = fixture(50)
    learner = px.GradientPerturbation(
        system.A, system.input_matrix(0), K, memory=4, radius=0.7, decay=0.1
    )
    record = px.simulate(system, learner, px.Replay(w), px.Quadratic(), rounds=50)
    best = px.best_dac(record, 0)
    assert (best.memory, best.radius, best.decay) == (4, 0.7, 0.1)
    assert (np.linalg.norm(best.M, 2, axis=(1, 2)) <= 0.7 * 0.9 ** np.arange(1, 5) + 1e-12).all()
