"""The finite recursion: textbook form, N-agent stack, regulators, 50 digits, and what NaN means."""

import control
import numpy as np
import pytest
import scipy.linalg
from _oracles import (
    halves,
    play,
    random_game,
    saddle_level,
    stack,
    stacked_gain,
    textbook,
    textbook_mp,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import phalanx as px

INF = float("inf")
SIZES = {
    "m": st.integers(1, 4),
    "p": st.integers(1, 4),
    "q": st.integers(1, 4),
    "T": st.integers(1, 6),
}


def assert_solves(saddle, dev, mean, rtol):
    """A saddle point's matrices, gains and margins against those of two other solutions."""
    for M, K1, K2, margin, other in (
        (saddle.M, saddle.K1, saddle.K2, saddle.margin_deviation, dev),
        (saddle.M_bar, saddle.L1, saddle.L2, saddle.margin_mean, mean),
    ):
        for ours, theirs in ((M, other.M), (K1, other.K1), (K2, other.K2), (margin, other.margin)):
            theirs = np.array(theirs, float)
            finite = np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0)
            np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * finite)


# --- the textbook form -------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32 - 1), varying=st.booleans(), **SIZES)
@settings(max_examples=60)
def test_recursion_is_the_textbook_recursion(seed, varying, m, p, q, T):
    game = random_game(np.random.default_rng(seed), m, p, q, T, varying=varying)
    dev, mean = halves(game)
    gamma = 1.3 * saddle_level(dev, mean)
    saddle = px.solve(game, gamma)
    assert saddle.feasible
    assert_solves(saddle, textbook(dev, gamma), textbook(mean, gamma), 1e-11)


@given(seed=st.integers(0, 2**32 - 1), varying=st.booleans(), **SIZES)
@settings(max_examples=60)
def test_certificate_holds_by_residual_margin_and_value(seed, varying, m, p, q, T):
    game = random_game(np.random.default_rng(seed), m, p, q, T, varying=varying)
    parts = halves(game)
    gamma = 1.1 * saddle_level(*parts)
    saddle = px.solve(game, gamma)
    assert saddle.margin > 0
    for half, M, K1, K2 in zip(
        parts,
        (saddle.M, saddle.M_bar),
        (saddle.K1, saddle.L1),
        (saddle.K2, saddle.L2),
        strict=True,
    ):
        # M is the cost of playing both gains, and each gain is stationary against the other.
        np.testing.assert_allclose(
            play(half, K1, K2, gamma), M, rtol=1e-10, atol=1e-10 * np.abs(M).max()
        )
        for t, (A, B, D, _, R) in enumerate(zip(*half[:5], strict=True)):
            closed = A - B @ K1[t] + D @ K2[t]
            scale = np.abs(M[t + 1]).max() + 1
            np.testing.assert_allclose(R @ K1[t], B.T @ M[t + 1] @ closed, atol=1e-9 * scale)
            np.testing.assert_allclose(gamma**2 * K2[t], D.T @ M[t + 1] @ closed, atol=1e-9 * scale)
            assert np.linalg.eigvalsh(gamma**2 * np.eye(q) - D.T @ M[t + 1] @ D)[0] > 0
    regulator = px.solve(game, INF)
    assert saddle.value >= regulator.value * (1 - 1e-12)


# --- all agents at once ------------------------------------------------------------------------


@pytest.mark.parametrize("N", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("varying", [False, True])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 2, 2), (3, 1, 2), (2, 3, 1)])
def test_gains_are_the_saddle_point_of_the_centralised_game_in_every_block(N, varying, sizes):
    game = random_game(np.random.default_rng([N, varying, *sizes]), *sizes, T=4, varying=varying)
    whole, _, _ = stack(game, N)
    gamma = 1.2 * saddle_level(*halves(game))
    central, saddle = textbook(whole, gamma), px.solve(game, gamma, N)
    for t in range(4):
        for ours, theirs in (
            (stacked_gain(saddle.K1[t], saddle.L1[t], N), central.K1[t]),
            (stacked_gain(saddle.K2[t], saddle.L2[t], N), central.K2[t]),
            (stacked_gain(saddle.M[t], saddle.M_bar[t], N) / N, central.M[t]),
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9 * np.abs(theirs).max())


@pytest.mark.parametrize("N", [2, 3, 6])
def test_centralised_game_has_the_margin_of_the_worse_half(N):
    game = random_game(np.random.default_rng(N), 2, 2, 2, T=4, varying=True)
    whole, _, _ = stack(game, N)
    gamma = 1.1 * saddle_level(*halves(game))
    saddle, central = px.solve(game, gamma, N), textbook(whole, gamma)
    worse = np.minimum(saddle.margin_deviation, saddle.margin_mean)
    # Energies are means over agents, so the stack's margin is 1/N of an agent's.
    np.testing.assert_allclose(worse, N * central.margin, rtol=1e-9)


@pytest.mark.parametrize("varying", [False, True])
def test_population_stacks_the_agents_of_the_first_equation(varying):
    game = random_game(np.random.default_rng(5), 3, 2, 1, T=4, varying=varying)
    whole, _, _ = stack(game, 4)
    population = game.system.population(4)
    B = np.concatenate(np.moveaxis(population.B, -3, 0), axis=-1)
    for ours, theirs in ((population.A, whole.A), (B, whole.B), (population.E, whole.D)):
        np.testing.assert_allclose(np.broadcast_to(ours, np.shape(theirs)), theirs, atol=1e-15)


# --- two engines -------------------------------------------------------------------------------


@pytest.mark.parametrize("varying", [False, True])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 2, 2), (4, 1, 3), (3, 2, 4)])
def test_compiled_engine_equals_the_host_engine(sizes, varying):
    game = random_game(np.random.default_rng([*sizes, varying]), *sizes, T=5, varying=varying)
    gamma = 1.2 * saddle_level(*halves(game))
    host, compiled = (px.solve(game, gamma, engine=e) for e in ("host", "compiled"))
    for name in ("M", "M_bar", "K1", "K2", "L1", "L2", "margin_deviation", "margin_mean"):
        ours, theirs = getattr(compiled, name), getattr(host, name)
        np.testing.assert_allclose(
            ours, theirs, rtol=1e-12, atol=1e-12 * np.abs(theirs).max(), err_msg=name
        )
    assert compiled.value == pytest.approx(host.value, rel=1e-12)


def test_compiled_engine_marks_the_same_failing_stage_as_the_host(two_by_two):
    gamma = 1.5
    host, compiled = (px.solve(two_by_two, gamma, engine=e) for e in ("host", "compiled"))
    for name in ("M", "M_bar", "K1", "L2", "margin_deviation", "margin_mean"):
        np.testing.assert_allclose(
            getattr(compiled, name), getattr(host, name), rtol=1e-10, err_msg=name
        )
    assert compiled.outcome.status == host.outcome.status == "infeasible"


# --- regulators: γ = ∞ -------------------------------------------------------------------------


def test_infinite_gamma_is_the_regulator_of_each_half():
    game = random_game(np.random.default_rng(11), 3, 2, 2, T=6, varying=True)
    saddle = px.solve(game, INF)
    assert_solves(saddle, *(textbook(half, INF) for half in halves(game)), 1e-12)
    assert not saddle.K2.any()
    assert not saddle.L2.any()


def test_gamma_to_infinity_approaches_the_regulator_with_the_square_of_its_inverse():
    game = random_game(np.random.default_rng(12), 3, 2, 2, T=6)
    regulator = px.solve(game, INF)
    gap = [np.abs(px.solve(game, gamma).M - regulator.M).max() for gamma in (1e2, 1e3, 1e4)]
    np.testing.assert_allclose(np.divide(gap[:-1], gap[1:]), 100, rtol=0.02)


def test_long_horizon_at_infinite_gamma_is_scipys_riccati_solution(two_by_two):
    game = px.RobustGame(two_by_two.system, two_by_two.cost, two_by_two.noise, horizon=300)
    saddle = px.solve(game, INF)
    for half, M in zip(halves(game), (saddle.M, saddle.M_bar), strict=True):
        theirs = scipy.linalg.solve_discrete_are(*(X[0] for X in (half.A, half.B, half.Q, half.R)))
        np.testing.assert_allclose(M[0], theirs, rtol=1e-12)


def test_long_horizon_at_infinite_gamma_is_python_controls_dlqr(two_by_two):
    game = px.RobustGame(two_by_two.system, two_by_two.cost, two_by_two.noise, horizon=300)
    saddle = px.solve(game, INF)
    for half, K in zip(halves(game), (saddle.K1, saddle.L1), strict=True):
        theirs, _, _ = control.dlqr(*(X[0] for X in (half.A, half.B, half.Q, half.R)))
        np.testing.assert_allclose(K[0], theirs, rtol=1e-10, atol=1e-12)


# --- close to the level ------------------------------------------------------------------------


@pytest.mark.parametrize("share", [1e-3, 1e-6])
def test_digits_survive_right_above_the_saddle_level(two_by_two, share):
    gamma = px.attenuation_levels(two_by_two).saddle * (1 + share)
    exact = [textbook_mp(half, gamma) for half in halves(two_by_two)]
    saddle = px.solve(two_by_two, gamma)
    for ours, theirs in (
        (saddle.M, exact[0].M),
        (saddle.K1, exact[0].K1),
        (saddle.K2, exact[0].K2),
        (saddle.M_bar, exact[1].M),
        (saddle.L1, exact[1].K1),
        (saddle.L2, exact[1].K2),
    ):
        theirs = theirs.astype(float)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9 * np.abs(theirs).max())


def test_margin_at_the_level_is_right_to_rounding_of_gamma_squared(two_by_two):
    gamma = px.attenuation_levels(two_by_two).saddle * (1 + 1e-6)
    exact = textbook_mp(halves(two_by_two)[1], gamma).margin.astype(float)
    ours = px.solve(two_by_two, gamma).margin_mean
    np.testing.assert_allclose(ours, exact, rtol=1e-9, atol=1e-13 * gamma**2)


@pytest.mark.parametrize("seed", range(4))
def test_digits_survive_right_above_the_level_of_random_games(seed):
    rng = np.random.default_rng([21, seed])
    game = random_game(rng, 3, 2, 2, T=5, varying=bool(seed % 2))
    parts = halves(game)
    gamma = px.attenuation_levels(game).saddle * (1 + 1e-6)
    saddle = px.solve(game, gamma)
    for half, M in zip(parts, (saddle.M, saddle.M_bar), strict=True):
        exact = textbook_mp(half, gamma).M.astype(float)
        np.testing.assert_allclose(M, exact, rtol=1e-9, atol=1e-9 * np.abs(exact).max())


# --- below the level ---------------------------------------------------------------------------


def test_below_the_level_numbers_are_nan_from_the_failing_stage_backwards_only(two_by_two):
    gamma = 1.7
    mean = textbook(halves(two_by_two)[1], gamma)
    stage = int(np.flatnonzero(mean.margin <= 0)[-1])
    assert 0 < stage < 9
    saddle = px.solve(two_by_two, gamma)
    np.testing.assert_allclose(saddle.M_bar[stage + 1 :], mean.M[stage + 1 :], rtol=1e-12)
    np.testing.assert_allclose(saddle.L1[stage + 1 :], mean.K1[stage + 1 :], atol=1e-12)
    np.testing.assert_allclose(saddle.L2[stage + 1 :], mean.K2[stage + 1 :], atol=1e-12)
    np.testing.assert_allclose(saddle.margin_mean[stage:], mean.margin[stage:], atol=1e-11)
    assert np.isnan(saddle.M_bar[: stage + 1]).all()
    assert np.isnan(saddle.L1[: stage + 1]).all()
    assert np.isnan(saddle.L2[: stage + 1]).all()
    assert np.isnan(saddle.margin_mean[:stage]).all()
    assert np.isnan(saddle.value)


def test_below_the_level_the_other_half_keeps_its_numbers(two_by_two):
    gamma = 1.7
    dev = textbook(halves(two_by_two)[0], gamma)
    assert (dev.margin > 0).all()
    np.testing.assert_allclose(px.solve(two_by_two, gamma).M, dev.M, rtol=1e-12)


def test_a_gamma_far_below_the_level_is_still_an_answer(two_by_two):
    for gamma in (1e-3, 1e-30, 1e-100):
        saddle = px.solve(two_by_two, gamma)
        assert saddle.outcome.status == "infeasible"
        assert "stage 9" in saddle.outcome.sentence
