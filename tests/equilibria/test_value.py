"""V_N: the theory page's sum, the N-agent stack, and the cost that fixed gains really have."""

import numpy as np
import pytest
from _oracles import halves, play, power, random_game, saddle_level, stack, textbook, value

import phalanx as px

INF = float("inf")


@pytest.fixture(scope="module")
def game():
    return random_game(np.random.default_rng(31), 3, 2, 2, T=5, varying=True)


@pytest.fixture(scope="module")
def gamma(game):
    return 1.2 * saddle_level(*halves(game))


@pytest.mark.parametrize("N", [1, 2, 7, 1000, INF])
def test_value_is_the_sum_of_traces(game, gamma, N):
    M, M_bar = (textbook(half, gamma).M for half in halves(game))
    assert px.solve(game, gamma, N).value == pytest.approx(value(game, M, M_bar, N), rel=1e-11)


@pytest.mark.parametrize("N", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("seed", range(3))
def test_value_is_the_value_of_the_centralised_game(N, seed):
    game = random_game(np.random.default_rng([N, seed]), 2, 2, 2, T=4, varying=seed > 0)
    gamma = 1.2 * saddle_level(*halves(game))
    whole, first, each = stack(game, N)
    M = textbook(whole, gamma).M
    central = np.trace(M[0] @ first) + sum(np.trace(M[t] @ each) for t in range(1, 5))
    assert px.solve(game, gamma, N).value == pytest.approx(central, rel=1e-10)


def test_value_of_one_agent_is_the_value_of_the_stack_of_one(game, gamma):
    whole, first, each = stack(game, 1)
    M = textbook(whole, gamma).M
    single = np.trace(M[0] @ first) + sum(np.trace(M[t] @ each) for t in range(1, 6))
    assert px.solve(game, gamma, 1).value == pytest.approx(single, rel=1e-11)


@pytest.mark.parametrize("N", [1, 4, INF])
def test_value_is_the_cost_less_the_energy_of_playing_both_gains(game, gamma, N):
    saddle = px.solve(game, gamma, N)
    dev, mean = halves(game)
    P, P_bar = play(dev, saddle.K1, saddle.K2, gamma), play(mean, saddle.L1, saddle.L2, gamma)
    assert saddle.value == pytest.approx(value(game, P, P_bar, N), rel=1e-10)


def test_value_for_another_number_of_agents_needs_no_new_solution(game, gamma):
    saddle = px.solve(game, gamma, 3)
    for N in (1, 2, 50, INF):
        assert saddle.value_for(N) == pytest.approx(px.solve(game, gamma, N).value, rel=1e-14)


def test_value_is_affine_in_the_reciprocal_of_the_number_of_agents(game, gamma):
    saddle = px.solve(game, gamma)
    V = [saddle.value_for(N) for N in (INF, 2, 4)]
    assert V[2] - V[0] == pytest.approx((V[1] - V[0]) / 2, rel=1e-10)


def test_noise_power_is_the_horizon_times_the_traces(game):
    assert px.solve(game, INF).noise_power == pytest.approx(power(game), rel=1e-14)


def test_value_per_step_is_the_limit_of_the_value_over_the_horizon(two_by_two):
    saddles = [
        px.solve(px.RobustGame(two_by_two.system, two_by_two.cost, two_by_two.noise, T), 3.0, 10)
        for T in (200, 400, INF)
    ]
    per_step = (saddles[1].value - saddles[0].value) / 200
    assert saddles[2].value == pytest.approx(per_step, rel=1e-9)
    assert saddles[2].noise_power == pytest.approx(0.8, rel=1e-14)
