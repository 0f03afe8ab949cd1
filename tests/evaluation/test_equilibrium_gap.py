"""Equilibrium gaps against the idealised cost written out in loops, cvxpy's best responses and what theory says."""

import cvxpy as cp
import numpy as np
import pytest
from online_worlds import play_three, team_of_three

import phalanx as px
from phalanx.evaluation import cost_variation, disturbance_variation

COMMON = px.Quadratic(1.0, 0.0)


def idealised(run: px.LinearTrajectory, t: int, agent: int, M: list, R: float):
    """ℓ^i_t in loops; M may hold cvxpy variables for one agent."""
    system, (_, gains) = run.system, team_of_three()
    H, w = len(M[0]), run.w @ run.system.E.T
    A_cl = system.A - sum(system.input_matrix(j) @ gains[j] for j in range(3))
    past = lambda s: w[s] if s >= 0 else np.zeros(3)  # noqa: E731
    y = np.zeros(3)
    for k in range(H + 1):
        inner = past(t - 1 - k)
        for j in range(3):
            for p in range(1, H + 1):
                inner = inner + system.input_matrix(j) @ (M[j][p - 1] @ past(t - 1 - k - p))
        y = y + np.linalg.matrix_power(A_cl, k) @ inner
    v = -gains[agent] @ y
    for p in range(1, H + 1):
        v = v + M[agent][p - 1] @ past(t - p)
    return cp.sum_squares(y) + R * cp.sum_squares(v)


@pytest.fixture(scope="module")
def common() -> px.LinearTrajectory:
    return play_three("aggregated", cost=COMMON)


def test_costs_and_best_responses_are_cvxpys(common):
    found = px.equilibrium_gap(common, every=13, radius=0.1, tolerance=1e-7)
    assert found.outcome.ok
    assert found.potential
    for r in (1, 3):
        t = int(found.rounds[r])
        M = [np.asarray(m[t]) for m in common.parameters]
        for i in range(3):
            assert found.cost[r, i] == pytest.approx(idealised(common, t, i, M, 0.0).value)
            own = [cp.Variable(M[i].shape[1:]) for _ in M[i]]
            total = idealised(common, t, i, [*M[:i], own, *M[i + 1 :]], 0.0)
            problem = cp.Problem(cp.Minimize(total), [cp.sigma_max(m) <= 0.1 for m in own])
            expected = found.cost[r, i] - problem.solve(solver=cp.CLARABEL)
            assert found.by_agent[r, i] == pytest.approx(max(expected, 0.0), abs=1e-5)
    np.testing.assert_array_equal(found.gap, found.by_agent.max(1))
    assert found.mean == pytest.approx(found.gap.mean())
    assert found.mean_square == pytest.approx((found.gap**2).mean())


def test_a_common_cost_of_the_state_has_a_potential(common):
    found = px.equilibrium_gap(common, every=20)
    assert found.potential
    assert found.asymmetry < 1e-10
    assert found.notes == ()


def test_the_same_cost_of_own_controls_with_feedback_has_none():
    found = px.equilibrium_gap(play_three("aggregated", cost=px.Quadratic(1.0, 0.5)), every=20)
    assert not found.potential
    assert found.asymmetry > 1e-4
    assert "do not make a potential game" in found.notes[0]


def test_separable_costs_without_feedback_have_one():
    system, gains = team_of_three()
    learners = px.team(
        system, [0.0 * K for K in gains], setting="aggregated", memory=2, step_size=0.02
    )
    settings = {"rounds": 30, "information": "aggregated", "record": "parameters"}
    costs = [px.Quadratic(1.0, R) for R in (0.5, 1.0, 2.0)]
    run = px.simulate(system, learners, px.Gaussian(1.0), costs, **settings)
    assert px.equilibrium_gap(run, every=10).potential
    costs = [px.Quadratic(Q, 0.5) for Q in (0.5, 1.0, 2.0)]
    run = px.simulate(system, learners, px.Gaussian(1.0), costs, **settings)
    assert not px.equilibrium_gap(run, every=10).potential


def test_a_settled_world_drives_the_gap_to_nothing():
    system, gains = team_of_three()
    learners = px.team(system, gains, setting="aggregated", memory=2, step_size=0.2, radius=5.0)
    run = px.simulate(
        system,
        learners,
        px.Step(1.0),
        px.Quadratic(1.0, 0.0),
        rounds=400,
        information="aggregated",
        record="parameters",
    )
    found = px.equilibrium_gap(run, every=40)
    assert found.outcome.ok
    assert found.gap[-1] < 0.15 * found.gap.max()
    assert (np.diff(found.gap[2:]) < 0).all()
    assert disturbance_variation(run)[-1] < 1e-12
    assert found.cost_variation[-1] == 0.0


def test_variations_add_up():
    w = np.array([[0.0], [3.0], [-1.0], [-1.0]])
    target = np.array([[0.0], [1.0], [1.0], [2.0]])
    run = px.simulate(
        px.LinearSystem(A=0.5, B=1.0, E=2.0),
        px.LinearFeedback([[0.1]]),
        px.Replay(w),
        px.Tracking(target, 1.0, 1.0),
        rounds=4,
    )
    np.testing.assert_allclose(disturbance_variation(run), [0.0, 6.0, 14.0, 14.0])
    x = run.x[:4, 0]
    steps = [np.abs((x - target[s + 1]) ** 2 - (x - target[s]) ** 2).max() for s in range(3)]
    np.testing.assert_allclose(cost_variation(run), np.concatenate([[0.0], np.cumsum(steps)]))


def test_bad_input(common):
    system, gains = team_of_three()
    run = px.simulate(
        system,
        px.team(system, gains, setting="aggregated", memory=2),
        px.Gaussian(1.0),
        px.Quadratic(),
        rounds=5,
        information="aggregated",
    )
    alone = px.simulate(
        px.LinearSystem(A=0.5, B=1.0),
        px.DisturbanceAction([[0.5]], [[1.0]], [[0.1]], [[[0.2]]]),
        px.Gaussian(1.0),
        px.Quadratic(),
        rounds=5,
    )
    with pytest.raises(px.InputError, match='record="parameters"'):
        px.equilibrium_gap(run)
    with pytest.raises(px.InputError, match="independent setting"):
        px.equilibrium_gap(alone)
    with pytest.raises(px.InputError, match="every must be"):
        px.equilibrium_gap(common, every=0)
    with pytest.raises(px.InputError, match="radius must be"):
        px.equilibrium_gap(common, radius=0.0)


def test_flat_costs_do_not_say_whether_there_is_a_potential():
    """Piecewise linear costs have no mixed derivatives where the agents meet: undecided, not "yes"."""
    system = px.LinearSystem(A=[[0.5]], B=[[[1.0]], [[1.0]]])
    learners = px.team(system, [[[0.1]], [[0.2]]], "aggregated", memory=2, step_size=1e-4)
    costs = [px.Huber(1e-3, 1.0, 1.0), px.Huber(1e-3, 5.0, 1.0)]
    arguments = {"rounds": 30, "information": "aggregated", "record": "parameters"}
    run = px.simulate(system, learners, px.Step(3.0), costs, **arguments)
    found = px.equilibrium_gap(run, every=10, tolerance=0.1)
    assert found.potential is None
    assert "cannot be told" in found.notes[0]
