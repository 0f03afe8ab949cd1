"""Attenuation levels: the theory page's numbers, 50-digit bisection, closed forms and limits."""

import mpmath as mp
import numpy as np
import pytest
from _oracles import (
    bisect,
    halves,
    has_saddle_point,
    power,
    random_game,
    saddle_level,
    textbook,
    textbook_mp,
    theorem3_dense,
    value,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import phalanx as px
from phalanx.equilibria._finite import solve_finite
from phalanx.equilibria._levels import theorem3_constant

INF = float("inf")


def with_noise(game, **covariances):
    return px.RobustGame(game.system, game.cost, px.MeanFieldNoise(**covariances), game.horizon)


# --- the reference case ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("N", "name", "number"),
    [
        (INF, "saddle", 1.7953086334615822),
        (INF, "saddle_mean", 1.7953086334615822),
        (INF, "mean_field", 2.6642831853301514),
        (INF, "population", 2.6642831853301514),
        (1000, "population", 2.664724978563579),
        (100, "population", 2.6686982536294233),
        (10, "population", 2.708150580893253),
        (2, "population", 2.8776575927149315),
        (1, "population", 3.077535251724298),
        (10, "theorem3", 2.8393440676547193),
        (100, "theorem3", 2.682337814628684),
    ],
)
def test_reference_levels(two_by_two, N, name, number):
    levels = px.attenuation_levels(two_by_two, N)
    assert getattr(levels, name) == pytest.approx(number, rel=1e-9)


@pytest.mark.parametrize(("N", "number"), [(INF, 56.26035517708528), (10, 58.22202517621917)])
def test_reference_values(two_by_two, N, number):
    assert px.solve(two_by_two, 3.0, N).value == pytest.approx(number, rel=1e-9)


def test_reference_gains(two_by_two):
    saddle = px.solve(two_by_two, 3.0)
    K1 = [[0.5821050453, 0.2084319129], [0.0094690314, 0.5327616869]]
    L2 = [[0.0643725655, -0.0011724754], [0.0026243897, 0.1093929281]]
    np.testing.assert_allclose(saddle.K1[0], K1, atol=5.1e-11)
    np.testing.assert_allclose(saddle.L2[0], L2, atol=5.1e-11)


def test_reference_constant_of_theorem_3(two_by_two):
    parts = [solve_finite(two_by_two.half(h), np.asarray(3.0)) for h in ("deviation", "mean")]
    assert theorem3_constant(two_by_two, *parts) == pytest.approx(7.962182477135755, rel=1e-9)


def test_theorem_3_can_fall_below_the_exact_level(two_by_two):
    game = with_noise(two_by_two, Sigma=0.01, Sigma_bar=0.3, Sigma_0=6.0, Sigma_bar_0=4.0)
    levels = px.attenuation_levels(game, 2)
    assert levels.theorem3 == pytest.approx(3.069, abs=5e-4)
    assert levels.population == pytest.approx(3.207, abs=5e-4)
    # At theorem 3's level the exact condition for two agents is violated, by the second route.
    M, M_bar = (textbook(half, levels.theorem3).M for half in halves(game))
    assert value(game, M, M_bar, 2) > levels.theorem3**2 * power(game)


# --- a second route to each level --------------------------------------------------------------


def test_saddle_level_agrees_with_bisection_in_50_digits(two_by_two):
    levels = px.attenuation_levels(two_by_two)
    for half, ours in zip(
        halves(two_by_two), (levels.saddle_deviation, levels.saddle_mean), strict=True
    ):

        def holds(gamma, half=half):
            return min(textbook_mp(half, gamma).margin) > 0

        # Past a failing stage the form's margins are noise, but the failing one itself stays the verdict.
        assert ours == pytest.approx(bisect(holds, 1.0, 2.0), rel=1e-10)


@pytest.mark.parametrize("N", [2, 10, INF])
def test_population_level_agrees_with_bisection_in_50_digits(two_by_two, N):
    def holds(gamma):
        M, M_bar = (textbook_mp(half, gamma).M for half in halves(two_by_two))
        return value(two_by_two, M, M_bar, N) <= gamma**2 * power(two_by_two)

    ours = px.attenuation_levels(two_by_two, N).population
    assert ours == pytest.approx(bisect(holds, 2.5, 3.0), rel=1e-10)


@given(
    seed=st.integers(0, 2**32 - 1),
    varying=st.booleans(),
    m=st.integers(1, 4),
    p=st.integers(1, 4),
    q=st.integers(1, 4),
    T=st.integers(1, 6),
)
@settings(max_examples=25)
def test_saddle_levels_of_random_games_agree_with_plain_bisection(seed, varying, m, p, q, T):
    game = random_game(np.random.default_rng(seed), m, p, q, T, varying=varying)
    levels = px.attenuation_levels(game)
    dev, mean = halves(game)
    assert levels.saddle_deviation == pytest.approx(saddle_level(dev), rel=1e-9)
    assert levels.saddle_mean == pytest.approx(saddle_level(mean), rel=1e-9)
    assert levels.saddle == max(levels.saddle_deviation, levels.saddle_mean)


def test_the_level_of_one_half_can_be_asked_for_alone(two_by_two):
    levels = px.attenuation_levels(two_by_two)
    for which in ("deviation", "mean"):
        alone = px.equilibria.saddle_level(two_by_two.half(which))
        assert float(alone) == getattr(levels, f"saddle_{which}")


@pytest.mark.parametrize("N", [1, 3, INF])
@pytest.mark.parametrize("seed", range(6))
def test_population_level_is_the_least_that_meets_saddle_and_budget(N, seed):
    game = random_game(np.random.default_rng([51, seed]), 3, 2, 2, T=4, varying=bool(seed % 2))
    parts = halves(game)[1 if N == 1 else 0 :]

    def holds(gamma):
        gamma = float(gamma)
        if not all(has_saddle_point(half, gamma) for half in parts):
            return False
        M, M_bar = textbook(parts[0], gamma).M, textbook(parts[-1], gamma).M
        return value(game, M, M_bar, N) <= gamma**2 * power(game)

    ours = px.attenuation_levels(game, N).population
    assert ours == pytest.approx(bisect(holds, ours / 2, ours * 2), rel=1e-9)


@pytest.mark.parametrize("varying", [False, True])
def test_theorem_3_level_is_the_least_that_meets_its_condition(varying):
    game = random_game(np.random.default_rng([52, varying]), 2, 2, 2, T=4, varying=varying)
    dev, mean = halves(game)
    N = 5

    def holds(gamma):
        gamma = float(gamma)
        if not (has_saddle_point(dev, gamma) and has_saddle_point(mean, gamma)):
            return False
        y, z = textbook(dev, gamma), textbook(mean, gamma)
        C = (theorem3_dense(dev, y, gamma) + theorem3_dense(mean, z, gamma)) * np.linalg.norm(
            game.noise.Sigma
        )
        return value(game, y.M, z.M, INF) + C * 4 / N <= gamma**2 * power(game)

    ours = px.attenuation_levels(game, N).theorem3
    assert ours == pytest.approx(bisect(holds, ours / 2, ours * 2), rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("varying", [False, True])
def test_constant_of_theorem_3_is_the_norm_of_the_dense_product(seed, varying):
    game = random_game(np.random.default_rng([53, seed]), 3, 2, 2, T=5, varying=varying)
    gamma = 1.2 * saddle_level(*halves(game))
    dense = sum(theorem3_dense(half, textbook(half, gamma), gamma) for half in halves(game))
    parts = [solve_finite(game.half(h), np.asarray(gamma)) for h in ("deviation", "mean")]
    ours = theorem3_constant(game, *parts)
    assert ours == pytest.approx(dense * np.linalg.norm(game.noise.Sigma), rel=1e-11)


# --- what a level is ---------------------------------------------------------------------------


@pytest.mark.parametrize("T", [1, 2, 5])
@pytest.mark.parametrize("seed", range(8))
def test_a_level_is_on_the_feasible_side_and_nothing_below_it_is(seed, T):
    game = random_game(np.random.default_rng([54, seed]), 2, 2, 2, T=T)
    saddle = px.attenuation_levels(game).saddle
    assert px.solve(game, saddle).feasible
    assert not px.solve(game, saddle * (1 - 1e-10)).feasible


@pytest.mark.parametrize("T", [1, 2, 5])
@pytest.mark.parametrize("seed", range(8))
def test_the_population_level_itself_is_viable(seed, T):
    game = with_noise(
        random_game(np.random.default_rng([55, seed]), 2, 2, 2, T=T), Sigma=1.0, Sigma_bar=0.5
    )
    levels = px.attenuation_levels(game, 3)
    assert px.certify(game, levels.population, 3, levels).viable


# --- closed forms ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_level_of_one_stage_is_the_disturbances_gain_onto_the_terminal_cost(seed):
    game = random_game(np.random.default_rng([56, seed]), 3, 2, 2, T=1)
    levels = px.attenuation_levels(game)
    for half, ours in zip(halves(game), (levels.saddle_deviation, levels.saddle_mean), strict=True):
        closed = np.sqrt(np.linalg.eigvalsh(half.D[0].T @ half.Q_T @ half.D[0])[-1])
        assert ours == pytest.approx(closed, rel=1e-11)


def test_level_of_two_scalar_stages_in_closed_form():
    # a = b = d = q = r = 1, T = 2: γ² > M_1 = 1 + 1/(2 − γ⁻²), that is 2γ⁴ − 4γ² + 1 > 0.
    game = px.RobustGame(px.MeanFieldSystem(A=1.0), px.MeanFieldCost(Q=1.0), horizon=2)
    closed = np.sqrt(1 + np.sqrt(0.5))
    assert px.attenuation_levels(game).saddle == pytest.approx(closed, rel=1e-12)


def test_level_scales_with_the_disturbances_matrix(two_by_two):
    s = two_by_two.system
    scaled = px.RobustGame(
        px.MeanFieldSystem(A=s.A, A_bar=s.A_bar, B=s.B, B_bar=s.B_bar, D=1e-6),
        two_by_two.cost,
        horizon=10,
    )
    assert px.attenuation_levels(scaled).saddle == pytest.approx(1.7953086334615822e-6, rel=1e-9)


def test_a_disturbance_that_reaches_no_cost_has_level_zero():
    game = px.RobustGame(
        px.MeanFieldSystem(A=np.diag([0.5, 0.9]), B=[[1.0], [0.0]], D=[[0.0], [1.0]]),
        px.MeanFieldCost(Q=np.diag([1.0, 0.0])),
        horizon=5,
    )
    assert px.attenuation_levels(game).saddle == 0
    assert px.solve(game, 1e-6).feasible


def test_without_process_noise_an_uncertain_start_leaves_no_viable_level(two_by_two):
    levels = px.attenuation_levels(with_noise(two_by_two, Sigma_0=6.0), 10)
    assert levels.saddle == pytest.approx(1.7953086334615822, rel=1e-9)
    assert levels.population == levels.mean_field == INF


def test_without_any_noise_the_saddle_level_is_viable(two_by_two):
    levels = px.attenuation_levels(with_noise(two_by_two), 10)
    assert levels.population == levels.mean_field == levels.theorem3 == levels.saddle


# --- limits ------------------------------------------------------------------------------------


def test_without_coupling_both_games_have_one_level():
    game = px.RobustGame(
        px.MeanFieldSystem(A=[[0.9, 0.2], [0.1, 1.1]], B=[[1.0], [0.5]], D=[[0.3], [1.0]]),
        px.MeanFieldCost(Q=1.5, R=0.5),
        horizon=6,
    )
    levels = px.attenuation_levels(game)
    assert levels.saddle_deviation == levels.saddle_mean == levels.saddle


def test_one_agent_has_the_single_agent_h_infinity_level_of_the_summed_matrices(two_by_two):
    s, c = two_by_two.system, two_by_two.cost
    single = px.RobustGame(
        px.MeanFieldSystem(A=s.A + s.A_bar, B=s.B + s.B_bar),
        px.MeanFieldCost(Q=c.Q_bar, R=c.R_bar),
        horizon=10,
    )
    team = px.attenuation_levels(two_by_two, 1)
    assert team.saddle == team.saddle_mean
    assert team.saddle == pytest.approx(px.attenuation_levels(single).saddle, rel=1e-11)


def test_one_agent_ignores_the_deviation_game():
    game = px.RobustGame(
        px.MeanFieldSystem(A=1.3, A_bar=-1.0, B=0.5, B_bar=0.5),
        px.MeanFieldCost(Q=2.0, Q_bar=0.1),
        horizon=8,
    )
    one, two = px.attenuation_levels(game, 1), px.attenuation_levels(game, 2)
    assert two.saddle == two.saddle_deviation > one.saddle == one.saddle_mean
    assert one.saddle == pytest.approx(saddle_level(halves(game)[1]), rel=1e-10)


def test_levels_fall_as_agents_join(two_by_two):
    agents = [1, 2, 3, 5, 10, 100, 1000, INF]
    levels = [px.attenuation_levels(two_by_two, N).population for N in agents]
    assert (np.diff(levels) < 0).all()


def test_population_level_approaches_the_mean_field_level_as_one_over_n(two_by_two):
    N = np.array([100, 1000, 10_000, 100_000])
    limit = px.attenuation_levels(two_by_two).mean_field
    gap = [px.attenuation_levels(two_by_two, int(n)).population - limit for n in N]
    slope = np.polyfit(np.log(N), np.log(gap), 1)[0]
    assert slope == pytest.approx(-1, abs=1e-3)  # the next term, 1/N², tilts the fit by some 1e-4


def test_finite_levels_rise_with_the_horizon_to_the_stationary_level(two_by_two):
    levels = [
        px.attenuation_levels(px.RobustGame(two_by_two.system, two_by_two.cost, horizon=T)).saddle
        for T in (1, 2, 4, 8, 16, 64, 256, INF)
    ]
    assert (np.diff(levels) > -1e-11).all()
    assert levels[-2] == pytest.approx(levels[-1], rel=1e-4)


def test_levels_are_plain_numbers_for_a_single_game(two_by_two):
    levels = px.attenuation_levels(two_by_two, 10)
    for name in ("saddle", "mean_field", "population", "theorem3", "saddle_deviation"):
        assert type(getattr(levels, name)) is float


@pytest.mark.parametrize("N", [0, 2.5, "ten", float("nan")])
def test_the_number_of_agents_must_be_positive_and_whole(two_by_two, N):
    with pytest.raises(px.InputError, match="n_agents must be"):
        px.attenuation_levels(two_by_two, N)


def test_mpmath_bisection_of_the_scalar_stage_is_its_closed_form():
    # The oracle itself, on a game that has a formula.
    game = px.RobustGame(px.MeanFieldSystem(A=1.0), px.MeanFieldCost(Q=1.0), horizon=2)
    half = halves(game)[0]
    found = bisect(lambda g: min(textbook_mp(half, g).margin) > 0, 1.1, 2.0)
    assert found == pytest.approx(float(mp.sqrt(1 + mp.sqrt(0.5))), rel=1e-13)
