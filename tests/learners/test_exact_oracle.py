"""The exact oracle's costs and gradients, against covariances carried forward in plain NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from _oracles import halves, saddle_level, value
from learning_worlds import (
    INF,
    Start,
    added,
    expected,
    initial_covariances,
    nash,
    payoff,
    random_gains,
    random_start,
    rolled,
    small_game,
    stage_gradient,
    stage_saddle,
)

import phalanx as px
from phalanx.learners import ExactOracle, JointGains

SIZES = [(2, 1, 2), (1, 2, 1), (3, 2, 1)]
STAGES = [None, 0, 1, 2]


@pytest.fixture(autouse=True, scope="module")
def _float64():
    with jax.enable_x64(True):
        yield


def world(seed, sizes=(2, 1, 2), N=INF):
    """A random game with D ≠ I and D̄ ≠ 0, gains for it, first covariances and the oracle."""
    game, rng = small_game(seed, *sizes), np.random.default_rng([70, seed])
    start = random_start(rng, sizes[0])
    oracle = ExactOracle(game, N, Sigma_y=start.y, Sigma_z=start.z)
    return game, random_gains(rng, game), start, oracle


# --- costs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("sizes", SIZES)
def test_costs_are_those_of_covariances_carried_forward(sizes, stage):
    for seed in range(3):
        game, gains, start, oracle = world(seed, sizes)
        (cost,), (energy,) = (part[:, 0] for part in rolled(oracle, gains, 1, stage))
        assert (cost, energy) == pytest.approx(expected(game, gains, stage, INF, start), rel=1e-12)


@pytest.mark.parametrize("stage", [None, 0])
@pytest.mark.parametrize("N", [1, 2, 10, INF])
def test_noise_and_first_states_are_those_of_n_agents(N, stage):
    game, gains, start, oracle = world(4, N=N)
    cost, energy = rolled(oracle, gains, 1, stage)
    hand = expected(game, gains, stage, N, start)
    assert (cost[0, 0], energy[0, 0]) == pytest.approx(hand, rel=1e-12)


@pytest.mark.parametrize("stage", [None, 1])
def test_an_offset_is_added_to_the_gains(stage):
    game, gains, start, oracle = world(5)
    rng = np.random.default_rng(71)
    length = 3 if stage is None else 1
    extra = [rng.normal(size=(length, rows, 4, 3, 1)) for rows in (1, 2)]
    cost, energy = rolled(oracle, gains, 5, stage, offset=JointGains(*map(jnp.asarray, extra)))
    assert cost.shape == energy.shape == (3, 5)
    for variant in range(3):
        moved = added(gains, stage, *(e[..., variant, 0] for e in extra))
        hand = expected(game, moved, stage, INF, start)
        np.testing.assert_allclose(cost[variant], hand[0], rtol=1e-12)
        np.testing.assert_allclose(energy[variant], hand[1], rtol=1e-12)


def test_a_whole_run_is_stage_0_from_the_initial_law():
    game, gains, _, whole = world(6, N=10)
    first = initial_covariances(game, 10)
    from_0 = ExactOracle(game, 10, Sigma_y=first.y, Sigma_z=first.z)
    np.testing.assert_allclose(
        rolled(whole, gains, 1, None), rolled(from_0, gains, 1, 0), rtol=1e-13
    )


@pytest.mark.parametrize("N", [1, 2, 10, INF])
def test_at_the_saddle_point_the_payoff_of_a_whole_run_is_the_value(two_by_two, N):
    saddle = px.solve(two_by_two, 3.0, N)
    gains = JointGains.of(saddle.K1, saddle.K2, saddle.L1, saddle.L2)
    cost, energy = rolled(ExactOracle(two_by_two, N), gains)
    found = cost[0, 0] - 9.0 * energy[0, 0]
    assert found == pytest.approx(value(two_by_two, saddle.M, saddle.M_bar, N), rel=1e-12)
    assert found == pytest.approx(saddle.value, rel=1e-12)


def test_a_world_that_starts_from_rest_starts_from_the_states_of_a_stage_instead():
    game = px.RobustGame(
        px.MeanFieldSystem(A=0.9, B=1.0), px.MeanFieldCost(Q=1.0, R=1.0), horizon=2
    )
    oracle = ExactOracle(game, Sigma_y=2.0, Sigma_z=3.0)
    gains = JointGains(np.zeros((2, 1, 2)), np.zeros((2, 1, 2)))
    np.testing.assert_allclose(rolled(oracle, gains), rolled(oracle, gains, stage=0), rtol=1e-14)


# --- gradients -----------------------------------------------------------------------------------


def gradient(oracle, gains, gamma, stage):
    gains = JointGains(*map(jnp.asarray, gains))
    t = None if stage is None else jnp.asarray(stage)
    out = jax.jit(lambda: oracle.gradient(oracle.prepare(gains, t), gains, gamma, t))()
    return JointGains(*map(np.asarray, out))


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("stage", [0, 1, 2])
def test_one_stages_gradients_are_theory_eq_24(sizes, stage):
    game, gains, start, oracle = world(10, sizes)
    ours, hand = gradient(oracle, gains, 1.7, stage), stage_gradient(game, gains, stage, 1.7, start)
    for one, two in zip(ours, hand, strict=True):
        assert one.shape == (1, *two.shape)
        np.testing.assert_allclose(one[0], two, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("N", [2, INF])
@pytest.mark.parametrize("stage", [None, 0, 2])
def test_gradients_are_differences_of_costs(stage, N):
    """Central differences; of one stage's quadratic they are exact."""
    game, gains, start, oracle = world(11, N=N)
    gamma, step = 1.7, 1e-2 if stage is not None else 1e-4
    ours = gradient(oracle, gains, gamma, stage)
    for player in (0, 1):
        for at in np.ndindex(ours[player].shape):
            extra = [np.zeros_like(part) for part in ours]
            extra[player][at] = step
            up = payoff(game, added(gains, stage, *extra), stage, N, start, gamma)
            down = payoff(game, added(gains, stage, *(-e for e in extra)), stage, N, start, gamma)
            slope = (up - down) / (2 * step)
            assert ours[player][at] == pytest.approx(slope, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("stage", [None, 1])
def test_gradients_are_automatic_differentiation_of_costs(stage):
    _, gains, _, oracle = world(12, N=10)
    gains, t = JointGains(*map(jnp.asarray, gains)), None if stage is None else jnp.asarray(stage)
    shared = oracle.prepare(gains, t)
    ours = gradient(oracle, gains, 1.7, stage)

    @jax.jit
    @jax.grad
    def slope(extra):
        offset = JointGains(*(e[..., None, None] for e in extra))
        drawn = oracle.draws(jax.random.key(0), 1, t)
        cost, energy = oracle.costs(shared, gains, offset, drawn, t)
        return (cost - 1.7**2 * energy)[0, 0]

    for one, two in zip(ours, slope(JointGains(*map(jnp.zeros_like, ours))), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("stage", STAGES)
def test_gradients_vanish_at_the_saddle_point(sizes, stage):
    game, _, _, oracle = world(13, sizes)
    gamma = 1.2 * saddle_level(*halves(game))
    at = gradient(oracle, nash(game, gamma), gamma, stage)
    away = gradient(oracle, JointGains.zeros(oracle.sizes), gamma, stage)
    for one, two in zip(at, away, strict=True):
        assert np.abs(one).max() < 1e-11 * np.abs(two).max()


def test_given_nash_later_gains_the_stage_saddle_is_nash():
    game = small_game(14)
    gamma = 1.2 * saddle_level(*halves(game))
    gains = nash(game, gamma)
    for t in range(3):
        both = np.concatenate([gains.theta1[t], gains.theta2[t]])
        np.testing.assert_allclose(stage_saddle(game, gains, t, gamma), both, atol=1e-12)


def test_a_stages_gradient_depends_on_later_gains_only_and_not_on_noise():
    game, gains, start, oracle = world(15)
    before = added(gains, 0, 1.0, 1.0)
    np.testing.assert_array_equal(
        gradient(oracle, gains, 1.7, 1).theta1, gradient(oracle, before, 1.7, 1).theta1
    )
    calm = px.RobustGame(game.system, game.cost, px.MeanFieldNoise(), horizon=3)
    quiet = ExactOracle(calm, Sigma_y=start.y, Sigma_z=start.z)
    np.testing.assert_allclose(
        gradient(oracle, gains, 1.7, 0).theta2, gradient(quiet, gains, 1.7, 0).theta2, rtol=1e-13
    )


# --- what it is given ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Sigma_y", "Sigma_z"])
@pytest.mark.parametrize("bad", [0.0, -1.0, [[1.0, 0.0], [0.0, 0.0]]])
def test_first_covariances_must_show_every_gain(two_by_two, name, bad):
    with pytest.raises(px.InputError, match=name):
        ExactOracle(two_by_two, **{name: bad})


@pytest.mark.parametrize("N", [0, 1.5, "ten", None])
def test_the_number_of_agents_must_be_positive_and_whole(two_by_two, N):
    with pytest.raises(px.InputError, match="n_agents"):
        ExactOracle(two_by_two, N)


def test_a_stationary_game_has_no_last_stage_to_begin_from(f16):
    with pytest.raises(px.InputError, match="finite horizon"):
        ExactOracle(f16)


def test_a_scalar_covariance_means_scalar_times_identity(two_by_two):
    scalar = ExactOracle(two_by_two, Sigma_y=2.0, Sigma_z=3.0)
    written = Start(2.0 * np.eye(2), 3.0 * np.eye(2))
    np.testing.assert_array_equal(scalar.Sigma_y, written.y)
    np.testing.assert_array_equal(scalar.Sigma_z, written.z)
