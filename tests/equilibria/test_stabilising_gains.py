"""Gains that stabilise: each agent's own loop and the joint one are judged apart, and both always."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

import phalanx as px
from phalanx import InputError, LinearSystem, NoSolutionError
from phalanx.equilibria import covariance_sdp, nash_feedback, saddle_level, stabilising_gains
from phalanx.equilibria._game import LQGame

METHODS = ("lqr", "zero", "nash", "hinf", "sdp")


@pytest.fixture(scope="module")
def fleet():
    """Three agents of different input sizes on an unstable shared state, each with weights of its own."""
    rng = np.random.default_rng(2)
    A = rng.normal(size=(3, 3))
    A *= 1.05 / np.abs(np.linalg.eigvals(A)).max()
    B = [rng.normal(size=(3, p)) for p in (1, 2, 1)]
    costs = [px.Quadratic(Q=1.0 + i, R=np.eye(p) * (2.0 + i)) for i, p in enumerate((1, 2, 1))]
    return LinearSystem(A, B, E=rng.normal(size=(3, 2))), costs


def regulator(A, B, Q, R):
    P = scipy.linalg.solve_discrete_are(A, B, Q, R)
    return np.linalg.solve(R + B.T @ P @ B, B.T @ P @ A)


def radius(F):
    return np.abs(np.linalg.eigvals(F)).max()


@pytest.mark.parametrize("scope", ["agent", "global"])
@pytest.mark.parametrize("method", METHODS)
def test_what_is_reported_is_what_the_eigenvalues_say(fleet, method, scope):
    system, costs = fleet
    gains = stabilising_gains(system, costs, method, scope)
    assert [K.shape for K in gains.K] == [(1, 3), (2, 3), (1, 3)]
    pushes = [system.input_matrix(i) @ K for i, K in enumerate(gains.K)]
    for push, own in zip(pushes, gains.own, strict=True):
        np.testing.assert_allclose(own.spectral_radius, radius(system.A - push), rtol=1e-8)
        assert own.ok == (radius(system.A - push) < 1)
    np.testing.assert_allclose(gains.joint.spectral_radius, radius(system.A - sum(pushes)), rtol=1e-8)  # fmt: skip
    assert gains.joint.ok == (gains.joint.spectral_radius < 1)
    alone = all(own.ok for own in gains.own)
    assert gains.ok == (alone if scope == "agent" else gains.joint.ok)
    other_fails = not (gains.joint.ok if scope == "agent" else alone)
    assert bool(gains.warnings) == other_fails


def test_lqr_is_each_agents_own_regulator_or_all_togethers(fleet):
    system, costs = fleet
    own = stabilising_gains(system, costs)
    for i, cost in enumerate(costs):
        Q = np.eye(3) * np.array(cost.Q)
        expected = regulator(system.A, system.input_matrix(i), Q, np.array(cost.R))
        np.testing.assert_allclose(own.K[i], expected, atol=1e-9)
    B = np.hstack([system.input_matrix(i) for i in range(3)])
    together = regulator(system.A, B, 6 * np.eye(3), np.diag([2.0, 3.0, 3.0, 4.0]))
    joint = stabilising_gains(system, costs, scope="global")
    np.testing.assert_allclose(np.vstack(joint.K), together, atol=1e-9)


def test_nash_gains_are_the_equilibriums(fleet):
    system, costs = fleet
    B = [system.input_matrix(i) for i in range(3)]
    nash = nash_feedback(system.A, B, [c.Q for c in costs], [c.R for c in costs])
    gains = stabilising_gains(system, costs, "nash", "global")
    assert gains.ok
    for ours, theirs in zip(gains.K, nash.K, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_hinf_gains_are_the_saddle_point_above_the_agents_level(fleet):
    """By the textbook's Riccati equation, at 1.1 times a level found elsewhere."""
    system, costs = fleet
    gains = stabilising_gains(system, costs, "hinf")
    A, B, E, R = system.A, system.input_matrix(1), system.E, np.array(costs[1].R)
    Q = 2.0 * np.eye(3)
    game = LQGame(*(X[None] for X in (A, B, E, Q, R)), Q_T=0 * Q, horizon=np.inf)
    gamma = 1.1 * float(saddle_level(game))
    both, weights = np.hstack([B, E]), scipy.linalg.block_diag(R, -(gamma**2) * np.eye(2))
    P = scipy.linalg.solve_discrete_are(A, both, Q, weights)
    K = np.linalg.solve(weights + both.T @ P @ both, both.T @ P @ A)[:2]
    np.testing.assert_allclose(gains.K[1], K, atol=1e-8)


def test_sdp_gains_come_with_a_certificate_no_worse_than_the_formulas(fleet):
    system, costs = fleet
    gains = stabilising_gains(system, costs, "sdp")
    design = covariance_sdp(system.A, system.input_matrix(1), costs[1].Q, costs[1].R)
    np.testing.assert_array_equal(gains.K[1], design.K)
    assert gains.own[1].kappa**2 / gains.own[1].decay <= design.stability.kappa**2 / design.stability.decay  # fmt: skip


# --- alone and together -------------------------------------------------------------------------


def test_agents_stable_alone_may_be_unstable_together():
    """Theory's example: −0.5 each, −2 both."""
    system = LinearSystem(A=1.0, B=[[[1.0]], [[1.0]]])
    gains = stabilising_gains(system, method=[[[1.5]], [[1.5]]])
    assert gains.ok
    assert [own.spectral_radius for own in gains.own] == [0.5, 0.5]
    assert not gains.joint.ok
    assert gains.joint.spectral_radius == 2
    assert "all together are not" in gains.warnings[0]
    assert "eigenvalue -2 (modulus 2)" in gains.warnings[0]
    required = stabilising_gains(system, method=[[[1.5]], [[1.5]]], scope="global")
    assert required.outcome.status == "infeasible"
    assert "All agents together" in required.outcome.sentence
    assert required.warnings == ()


def test_agents_stable_together_may_be_unstable_alone():
    system = LinearSystem(A=1.5, B=[[[1.0]], [[1.0]]])
    gains = stabilising_gains(system, method=[[[0.4]], [[0.4]]], scope="global")
    assert gains.ok
    assert "Agent 0 (and 1 other) alone" in gains.warnings[0]
    assert "aggregated setting" in gains.warnings[0]
    alone = stabilising_gains(system, method=[[[0.4]], [[0.6]]])
    assert (
        "Agent 0 alone: A − B_iK_i is not stable: it has eigenvalue 1.1" in alone.outcome.sentence
    )
    assert alone.own[1].ok


@given(seed=st.integers(0, 2**32 - 1), n_agents=st.integers(1, 4))
def test_designs_for_all_together_are_jointly_stable(seed, n_agents):
    rng = np.random.default_rng(seed)
    system = LinearSystem(rng.normal(size=(3, 3)), rng.normal(size=(n_agents, 3, 2)))
    gains = stabilising_gains(system, scope="global")
    assert gains.ok
    assert gains.joint.ok


def test_a_thousand_like_agents_take_no_longer_than_one_kind():
    system = LinearSystem(0.9 * np.eye(4), np.ones((1000, 4, 1)) / 1000)
    gains = stabilising_gains(system)
    assert gains.ok
    assert len({id(own) for own in gains.own}) == 1


# --- what fails ---------------------------------------------------------------------------------


def test_the_agent_and_the_mode_it_cannot_reach_are_named():
    system = LinearSystem(np.diag([1.2, 0.5]), [[[1.0], [1.0]], [[0.0], [1.0]]])
    for method in ("lqr", "hinf", "sdp"):
        gains = stabilising_gains(system, method=method)
        assert gains.outcome.status == "unstabilisable"
        assert "There is no gain for agent 1: " in gains.outcome.sentence
        assert "eigenvalue 1.2 (modulus 1.2) along x[0]" in gains.outcome.sentence
        assert np.isfinite(gains.K[0]).all()
        assert gains.own[0].ok
        assert np.isnan(gains.K[1]).all()
        assert not gains.joint.ok
    with pytest.raises(NoSolutionError, match="agent 1"):
        stabilising_gains(system, throw=True)
    assert stabilising_gains(system, scope="global").ok


def test_without_an_equilibrium_nobody_has_nash_gains():
    system = LinearSystem(np.diag([1.2, 0.5]), [[[0.0], [1.0]]] * 2)
    gains = stabilising_gains(system, method="nash", scope="global")
    assert gains.outcome.status == "unstabilisable"
    assert "There is no gain for any agent: The game has no stationary" in gains.outcome.sentence
    assert all(np.isnan(K).all() for K in gains.K)
    assert not any(own.ok for own in gains.own)


def test_a_mode_that_costs_nothing_on_the_circle_is_named():
    system = LinearSystem(np.diag([1.0, 0.5]), [[[1.0], [1.0]]])
    gains = stabilising_gains(system, px.Quadratic(Q=np.diag([0.0, 1.0])))
    assert gains.outcome.status == "infeasible"
    assert "Q does not see the mode with eigenvalue 1" in gains.outcome.sentence


def test_costs_without_weights_are_refused_where_weights_are_needed():
    system = LinearSystem(0.5, [[[1.0]], [[1.0]]])
    costs = [px.Quadratic(), px.Huber()]
    with pytest.raises(InputError, match=r'method "lqr" needs.*agent 1 is Huber'):
        stabilising_gains(system, costs)
    assert stabilising_gains(system, costs, "zero").ok
    target = px.Tracking(np.ones((5, 1)), Q=1.0, R=1.0)  # a tracker's curvature is a regulator's
    one = stabilising_gains(system, [target, px.Quadratic()])
    np.testing.assert_array_equal(one.K[0], one.K[1])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda s: stabilising_gains(s, method="lqg"), 'method must be one of "lqr".*lqg'),
        (lambda s: stabilising_gains(s, scope="all"), 'scope must be "agent" or "global"'),
        (lambda s: stabilising_gains(s, method=[[[1.0]]]), "a list of 2 gains"),
        (lambda s: stabilising_gains(s, method=[[[1.0]], [[1.0, 2.0]]]), "K of agent 1 has shape"),
        (lambda s: stabilising_gains(s, [px.Quadratic()]), "costs holds 1 for 2 agents"),
        (lambda s: stabilising_gains(s, px.Quadratic(R=0.0)), "R of agent 0 must be positive"),
        (
            lambda s: stabilising_gains(LinearSystem(np.ones((3, 1, 1)), [[1.0]])),
            "system varies over 3 stages",
        ),
    ],
)
def test_a_fault_names_the_argument(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call(LinearSystem(0.5, [[[1.0]], [[1.0]]]))
