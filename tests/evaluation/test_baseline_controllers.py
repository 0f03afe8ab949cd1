"""The controllers everybody else would use are what their names say."""

import control
import numpy as np
import pytest
import scipy.linalg
from _oracles import halves, random_game, textbook
from hypothesis import given, settings
from hypothesis import strategies as st

import phalanx as px
from phalanx import baselines

SEEDS = st.integers(0, 2**32 - 1)


def dare_gain(A, B, Q, R) -> np.ndarray:
    M = scipy.linalg.solve_discrete_are(A, B, Q, R)
    return np.linalg.solve(R + B.T @ M @ B, B.T @ M @ A)


def mean_half(game: px.RobustGame) -> tuple:
    s, c = game.system, game.cost
    return s.A + s.A_bar, s.B + s.B_bar, c.Q_bar, c.R_bar


def own_half(game: px.RobustGame) -> tuple:
    s, c = game.system, game.cost
    return s.A, s.B, c.Q, c.R


# --- LQR ---------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(seed=SEEDS)
def test_stationary_lqr_is_scipys(seed):
    game = random_game(np.random.default_rng(seed), m=3, p=2, T=np.inf)
    gains = baselines.lqr(game)
    np.testing.assert_allclose(gains.K, dare_gain(*own_half(game)), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(gains.L, dare_gain(*mean_half(game)), rtol=1e-8, atol=1e-9)


def test_stationary_lqr_is_python_controls(f16):
    K, _, _ = control.dlqr(*own_half(f16))
    np.testing.assert_allclose(baselines.lqr(f16).K, K, rtol=1e-9, atol=1e-12)


@settings(max_examples=30)
@given(seed=SEEDS, T=st.integers(1, 6), varying=st.booleans())
def test_finite_lqr_is_the_riccati_recursion_without_a_disturber(seed, T, varying):
    game = random_game(np.random.default_rng(seed), T=T, varying=varying)
    gains = baselines.lqr(game)
    for gain, half in zip((gains.K, gains.L), halves(game), strict=True):
        M, expected = half.Q_T, []
        for A, B, Q, R in zip(half.A[::-1], half.B[::-1], half.Q[::-1], half.R[::-1], strict=True):
            F = np.linalg.solve(R + B.T @ M @ B, B.T @ M @ A)
            M = Q + A.T @ M @ (A - B @ F)
            expected.insert(0, F)
        np.testing.assert_allclose(gain, expected, rtol=1e-8, atol=1e-10)


def test_lqr_is_where_the_saddle_gains_go_as_gamma_grows(two_by_two):
    gains = baselines.lqr(two_by_two)
    far = px.solve(two_by_two, 1e6)
    np.testing.assert_allclose(far.K1, gains.K, rtol=1e-9)


def test_lqr_of_what_cannot_be_stabilised_has_no_solution():
    game = px.RobustGame(px.MeanFieldSystem(A=1.5, B=0.0), px.MeanFieldCost(Q=1.0))
    with pytest.raises(px.NoSolutionError, match=r"eigenvalue 1\.5"):
        baselines.lqr(game)


# --- one agent at a time -----------------------------------------------------------------------


def alone(game: px.RobustGame) -> px.RobustGame:
    """What one agent would play were there no others."""
    s, c = game.system, game.cost
    return px.RobustGame(
        px.MeanFieldSystem(A=s.A, B=s.B, D=s.D),
        px.MeanFieldCost(Q=c.Q, R=c.R, Q_T=c.Q_T, Q_bar_T=c.Q_T),
        horizon=game.horizon,
    )


def assert_is_the_single_agents_game(game: px.RobustGame, factor: float) -> None:
    level = px.attenuation_levels(alone(game), 1).saddle
    expected = px.solve(alone(game), factor * level, 1, throw=True)
    gains = baselines.per_agent(game, factor)
    np.testing.assert_allclose(gains.K, expected.L1, rtol=1e-6, atol=1e-9)


@settings(max_examples=25)
@given(seed=SEEDS, factor=st.sampled_from([1.01, 1.1, 4.0]))
def test_per_agent_is_the_single_agents_stationary_game(seed, factor):
    game = random_game(np.random.default_rng(seed), T=np.inf)
    assert_is_the_single_agents_game(game, factor)


@pytest.mark.parametrize("seed", [1, 2, 6])
def test_per_agent_is_the_single_agents_finite_game(seed):
    game = random_game(np.random.default_rng(seed), T=3)
    assert_is_the_single_agents_game(game, 1.01)


def test_per_agent_acts_on_the_own_state_alone(two_by_two):
    gains = baselines.per_agent(two_by_two)
    np.testing.assert_array_equal(gains.K, gains.L)  # −K(x − x̄) − K x̄ = −K x


def test_per_agent_agrees_with_the_textbook(two_by_two):
    half = halves(two_by_two)[0]
    level = px.attenuation_levels(alone(two_by_two), 1).saddle
    expected = textbook(half, 1.1 * level).K1
    np.testing.assert_allclose(baselines.per_agent(two_by_two).K, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("factor", [1.0, 0.5, 0.0, -1.0, float("nan")])
def test_per_agent_needs_a_level_above_its_own(two_by_two, factor):
    with pytest.raises(px.InputError, match="factor must be above 1"):
        baselines.per_agent(two_by_two, factor)


# --- certainty equivalence ---------------------------------------------------------------------


def quiet(game: px.RobustGame, Sigma_0: float = 1.0) -> px.RobustGame:
    """The same game without process noise; initial states still differ."""
    noise = px.MeanFieldNoise(Sigma_0=Sigma_0, Sigma_bar_0=Sigma_0)
    return px.RobustGame(game.system, game.cost, noise, game.horizon)


@pytest.mark.parametrize("seed", range(3))
def test_without_noise_certainty_equivalence_is_lqr(two_by_two, seed):
    game = quiet(two_by_two)
    found, exact = baselines.certainty_equivalent(game, seed), baselines.lqr(game)
    np.testing.assert_allclose(found.K, exact.K, atol=1e-8)
    np.testing.assert_allclose(found.L, exact.L, atol=1e-8)


def test_without_noise_the_stationary_one_is_lqr_too(two_by_two):
    game = px.RobustGame(two_by_two.system, two_by_two.cost, quiet(two_by_two).noise)
    found, exact = baselines.certainty_equivalent(game), baselines.lqr(game)
    np.testing.assert_allclose(found.K, exact.K, atol=1e-8)
    np.testing.assert_allclose(found.L, exact.L, atol=1e-8)


@pytest.fixture(scope="module")
def noisy() -> px.RobustGame:
    """One state, some process noise."""
    return px.RobustGame(
        px.MeanFieldSystem(A=0.9, A_bar=0.2, B=1.0, B_bar=0.3),
        px.MeanFieldCost(Q=1.0),
        px.MeanFieldNoise(Sigma=0.3, Sigma_bar=0.3),
    )


def distance(game: px.RobustGame, **options) -> float:
    exact = baselines.lqr(game)
    found = [baselines.certainty_equivalent(game, key, **options) for key in range(8)]
    return float(np.mean([np.linalg.norm(g.L - exact.L) for g in found]))


def test_stronger_excitation_comes_closer(noisy):
    errors = [distance(noisy, excitation=size) for size in (0.3, 3.0, 30.0)]
    assert errors[0] > 3 * errors[1] > 9 * errors[2]


def test_a_longer_record_comes_closer(noisy):
    errors = [distance(noisy, episodes=count) for count in (4, 64)]
    assert errors[0] > 2 * errors[1]


def test_the_same_key_gives_the_same_gains(noisy):
    a, b = (baselines.certainty_equivalent(noisy, 5) for _ in range(2))
    np.testing.assert_array_equal(a.K, b.K)
    assert not np.array_equal(a.K, baselines.certainty_equivalent(noisy, 6).K)


def test_matrices_that_vary_are_not_identified():
    game = random_game(np.random.default_rng(0), T=3, varying=True)
    with pytest.raises(px.InputError, match="needs constant system matrices"):
        baselines.certainty_equivalent(game)


@pytest.mark.parametrize("options", [{"rounds": 1, "episodes": 3}, {"n_agents": 1}])
def test_a_record_that_is_too_short(two_by_two, options):
    with pytest.raises(px.InputError, match=r"the record has .* at least 2 agents"):
        baselines.certainty_equivalent(two_by_two, **options)


# --- doing nothing -----------------------------------------------------------------------------


def test_idle_does_nothing(two_by_two):
    gains = baselines.idle(two_by_two)
    controller = px.MeanFieldFeedback(gains.K, gains.L)
    np.testing.assert_array_equal(controller([1.0, 2.0], [3.0, -4.0], 5), [0.0, 0.0])


@pytest.mark.parametrize(
    "make", [baselines.lqr, baselines.per_agent, baselines.idle, baselines.certainty_equivalent]
)
def test_every_baseline_says_what_it_was_made_from(noisy, make):
    note = make(noisy).note
    assert note.endswith(".")
