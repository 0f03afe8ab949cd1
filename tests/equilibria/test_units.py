"""Units are the user's business: no answer may depend on them, and no small thing passes for nothing."""

import numpy as np
import pytest

import phalanx as px


@pytest.mark.parametrize("horizon", [10, np.inf])
@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1e5, 1e8])
def test_levels_do_not_change_when_a_state_is_measured_in_other_units(two_by_two, horizon, scale):
    s = two_by_two.system
    S = np.diag([1.0, scale])
    back = np.linalg.inv(S)

    def game(S, back):
        return px.RobustGame(
            px.MeanFieldSystem(S @ s.A @ back, S @ s.A_bar @ back, S @ s.B, S @ s.B_bar, S @ s.D),
            px.MeanFieldCost(Q=back @ back, Q_bar=2 * back @ back, R=1.0),
            px.MeanFieldNoise(Sigma=0.1 * S @ S, Sigma_bar=0.2 * S @ S),
            horizon,
        )

    eye = np.eye(2)
    plain = px.attenuation_levels(game(eye, eye), 10)
    scaled = px.attenuation_levels(game(S, back), 10)
    assert scaled.saddle == pytest.approx(plain.saddle, rel=1e-8)


def test_a_small_cost_beside_a_huge_one_still_sets_a_level():
    system = px.MeanFieldSystem(A=np.diag([0.5, 0.9]), B=np.eye(2), D=[[0.0], [1.0]])
    levels = [
        px.attenuation_levels(
            px.RobustGame(system, px.MeanFieldCost(Q=np.diag([huge, 1.0])), horizon=10)
        ).saddle
        for huge in (1.0, 1e6, 1e14, 1e18)
    ]
    np.testing.assert_allclose(levels, levels[0], rtol=1e-10)
    assert levels[0] > 1


def test_a_disturbance_that_meets_no_cost_has_level_zero():
    system = px.MeanFieldSystem(A=np.diag([0.5, 0.9]), B=np.eye(2), D=[[0.0], [1.0]])
    game = px.RobustGame(system, px.MeanFieldCost(Q=np.diag([1.0, 0.0])), horizon=10)
    assert px.attenuation_levels(game).saddle == 0
    assert px.solve(game, 1e-3).feasible


@pytest.mark.parametrize("R", [[1.0, 1e-10], [1e6, 1e-5], [1e-20, 1e20]])
def test_controls_may_cost_very_different_amounts(R):
    cost = px.MeanFieldCost(Q=1.0, R=np.diag(R)).for_sizes(2, 2)
    np.testing.assert_array_equal(cost.R, np.diag(R))


@pytest.mark.parametrize("Q", [[1e6, -1e-5], [1.0, -1e-12]])
def test_a_small_negative_weight_beside_a_large_one_is_refused(Q):
    with pytest.raises(px.InputError, match="Q must be positive semidefinite"):
        px.MeanFieldCost(Q=np.diag(Q))


def test_a_given_initial_state_counts_like_its_second_moment(two_by_two):
    s, c = two_by_two.system, two_by_two.cost
    x0 = np.array([2.0, -1.0])
    given = px.RobustGame(s, c, px.MeanFieldNoise(0.1, 0.2, 0.3, 0.4, x0=x0), 10)
    moment = px.RobustGame(
        s, c, px.MeanFieldNoise(0.1, 0.2, 0.3, 0.4 * np.eye(2) + np.outer(x0, x0)), 10
    )
    for n_agents in (1, 7, np.inf):
        a, b = (px.attenuation_levels(g, n_agents) for g in (given, moment))
        assert a.population == pytest.approx(b.population, rel=1e-11)
        assert px.solve(given, 5.0, n_agents).value == pytest.approx(
            px.solve(moment, 5.0, n_agents).value, rel=1e-13
        )
    stacked = px.RobustGame.stack([given, moment])
    np.testing.assert_allclose(*px.solve(stacked, 5.0).value, rtol=1e-13)


def test_the_value_with_an_initial_state_is_what_simulation_pays(two_by_two):
    """z-test at fixed key: E J − γ² E Σ|d|² = V_N under both saddle players, from x0."""
    noise = px.MeanFieldNoise(0.1, 0.2, 0.3, 0.4, x0=[3.0, -2.0])
    game = px.RobustGame(two_by_two.system, two_by_two.cost, noise, 10)
    saddle = px.solve(game, 4.0, 6)
    runs = px.simulate(
        game.system,
        px.MeanFieldFeedback(saddle.K1, saddle.L1),
        px.LinearAdversary(saddle.K2, saddle.L2),
        game.cost,
        key=11,
        rounds=10,
        n_agents=6,
        noise=noise,
        runs=4000,
        record="totals",
    )
    payoff = runs.cost - 16.0 * runs.disturbance_energy
    error = payoff.std(ddof=1) / np.sqrt(4000)
    assert abs(payoff.mean() - saddle.value) < 4 * error
    assert runs.final is None


def test_the_certificate_says_what_the_initial_state_costs(two_by_two):
    certificate = px.certify(two_by_two, 3.0, 10)
    s = certificate.saddle
    own = 0.9 * np.trace(s.M[0] @ (6 * np.eye(2)))
    mean = np.trace(s.M_bar[0] @ (4 * np.eye(2) + 0.6 * np.eye(2)))
    assert certificate.value_initial == pytest.approx(own + mean, rel=1e-13)
    assert certificate.value_initial < certificate.value
