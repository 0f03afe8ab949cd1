"""Gradients from costs: what their mean is, how they scatter, and how many rollouts they take.

Statistical claims use fixed keys and state their test; each is passed at p > 1e-3, shared out
evenly over the entries of all gradients that are tested together (Bonferroni).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learning_worlds import random_gains, random_start, small_game
from scipy import stats

from phalanx.learners import ExactOracle, JointGains, LawOracle, _chunks, _estimators

P_VALUE = 1e-3
GAMMA = 1.7
# Each pair of these is compiled once.
FEW, MANY, COUNT = 400, 6400, 200
SAMPLED = ["one_point", "two_point", "coordinate"]


@pytest.fixture(autouse=True, scope="module")
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def world():
    """A random game with gains and first covariances."""
    game, rng = small_game(40, 1, 1, 2, T=2), np.random.default_rng(82)
    return game, random_gains(rng, game), random_start(rng, 1)


def law(world, **settings):
    game, _, start = world
    return LawOracle(game, 10, Sigma_y=start.y, Sigma_z=start.z, **settings)


def exact(world):
    game, _, start = world
    return ExactOracle(game, 10, Sigma_y=start.y, Sigma_z=start.z)


@eqx.filter_jit
def _estimates(oracle, gains, gamma, stage, keys, player, kind, batch, radius):
    shared = oracle.prepare(gains, stage)

    def one(key):
        return _estimators.gradient(
            oracle, shared, gains, gamma, stage, key, player, kind, batch, radius
        )

    return jax.lax.map(one, keys)


def estimates(oracle, world, stage, player, kind, batch, radius, count=COUNT, seed=0) -> np.ndarray:
    """`count` independent estimates, (count, n)."""
    gains = JointGains(*map(jnp.asarray, world[1]))
    t = None if stage is None else jnp.asarray(stage)
    keys = jax.random.split(jax.random.key(seed), count)
    out = _estimates(
        oracle, gains, jnp.asarray(GAMMA), t, keys, player, kind, batch, jnp.asarray(radius)
    )
    return np.asarray(out).reshape(count, -1)


def truth(world, stage, player) -> np.ndarray:
    oracle, gains = exact(world), JointGains(*map(jnp.asarray, world[1]))
    t = None if stage is None else jnp.asarray(stage)
    return np.asarray(oracle.gradient(oracle.prepare(gains, t), gains, GAMMA, t)[player]).ravel()


def least_p_value(sample: np.ndarray, mean: np.ndarray) -> float:
    """The least of the entries' two-sided z-tests, times their number."""
    z = (sample.mean(axis=0) - mean) / (sample.std(axis=0) / np.sqrt(len(sample)))
    return 2 * stats.norm.sf(np.abs(z).max()) * z.size


# --- bias ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "player"),
    [("one_point", 0), ("one_point", 1), ("two_point", 0), ("two_point", 1), ("coordinate", 0)],
)
def test_of_one_stages_gains_no_estimate_is_biased_at_any_radius(world, kind, player):
    """z-test of each entry, at three radii."""
    oracle, mean = law(world), truth(world, 0, player)
    for radius in (0.1, 1.0, 2.0):
        sample = estimates(oracle, world, 0, player, kind, FEW, radius, seed=1)
        assert least_p_value(sample, mean) * 3 > P_VALUE, radius


@pytest.mark.parametrize("player", [0, 1])
def test_the_exact_quadratic_of_one_stage_gives_coordinate_estimates_without_error(world, player):
    """Whatever the radius, the batch and how it is cut: the weights add up to one."""
    mean = truth(world, 1, player)
    for radius in (0.01, 3.0):
        found = estimates(exact(world), world, 1, player, "coordinate", FEW, radius, count=1)
        np.testing.assert_allclose(found[0], mean, rtol=1e-9, atol=1e-9)


@pytest.fixture(scope="module")
def all_stages(world):
    """Two-point estimates from exact costs of whole runs, along the same directions at each radius."""
    settings = (exact(world), world, None, 0, "two_point", 4000)
    return {radius: estimates(*settings, radius, 40, seed=2) for radius in (1e-3, 0.2, 0.4, 1.0)}


def test_of_all_stages_at_once_they_are_biased_and_the_bias_grows_like_the_square(all_stages):
    """What differs between radii along the same directions is bias; z-tests against 0.

    The payoff is a polynomial in all gains together. Beyond the linear part its first odd one is
    cubic, so the bias begins like r².
    """
    bias = [all_stages[radius] - all_stages[1e-3] for radius in (0.2, 0.4, 1.0)]
    for sample in bias:
        assert least_p_value(sample, np.zeros(sample.shape[1])) < 1e-6
    size = [np.linalg.norm(sample.mean(axis=0)) for sample in bias]
    assert size[1] / size[0] == pytest.approx(4.0, rel=0.15)
    assert size[2] > 4 * size[1]


@pytest.mark.parametrize("kind", ["one_point", "two_point"])
def test_from_rollouts_of_whole_runs_they_have_that_bias_too(world, all_stages, kind):
    """z-tests of each entry: not the gradient, but the smoothed payoff's."""
    sample = estimates(law(world), world, None, 0, kind, 4 * MANY, 1.0, seed=3)
    assert least_p_value(sample, truth(world, None, 0)) < 1e-3
    smooth = all_stages[1.0]
    spread = np.sqrt(sample.var(axis=0) / len(sample) + smooth.var(axis=0) / len(smooth))
    z = (sample.mean(axis=0) - smooth.mean(axis=0)) / spread
    assert 2 * stats.norm.sf(np.abs(z).max()) * z.size > P_VALUE


# --- scatter ---------------------------------------------------------------------------------------


def rmse(world, kind, batch, radius) -> float:
    sample = estimates(law(world), world, 0, 0, kind, batch, radius, seed=4)
    return float(np.sqrt(((sample - truth(world, 0, 0)) ** 2).sum(axis=1).mean()))


def test_the_one_point_estimates_error_is_like_one_over_the_radius_while_that_is_small(world):
    errors = [rmse(world, "one_point", FEW, radius) for radius in (0.01, 0.1)]
    assert np.log10(errors[0] / errors[1]) == pytest.approx(1.0, abs=0.05)


def test_the_two_point_estimate_of_a_quadratic_does_not_depend_on_the_radius(world):
    settings = (law(world), world, 1, 0, "two_point", FEW)
    at_one = estimates(*settings, 1.0, seed=5)
    for radius in (0.01, 0.1, 2.0):
        found = estimates(*settings, radius, seed=5)
        np.testing.assert_allclose(found, at_one, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("kind", ["one_point", "two_point"])
def test_errors_fall_like_one_over_the_root_of_the_batch(world, kind):
    few, many = (rmse(world, kind, batch, 1.0) for batch in (FEW, MANY))
    assert np.log(few / many) / np.log(MANY / FEW) == pytest.approx(0.5, abs=0.06)


def test_two_points_are_worth_far_more_than_one_at_p1s_radius(world):
    """theory.md: per rollout some 300 times cheaper for player 1; tens of times in any game."""
    one, two = (rmse(world, kind, FEW, 0.1) for kind in ("one_point", "two_point"))
    assert one**2 / two**2 > 30


# --- chunks ----------------------------------------------------------------------------------------


@given(
    wanted=st.integers(1, 10_000_000),
    entries=st.integers(1, 10_000),
    G=st.integers(1, 200),
    paired=st.booleans(),
)
def test_chunks_hold_all_draws_and_the_last_is_never_empty(wanted, entries, G, paired):
    class Some:
        traceable, footprint, antithetic = True, 8, paired

    chunks, size = _chunks.chunked(Some(), wanted, entries, G)
    assert chunks * size >= wanted
    assert size % 2 == 0 or not paired
    if not paired:
        assert (chunks - 1) * size < wanted
        assert size == 1 or size * max(entries, 8 * G) <= _chunks.CHUNK


@pytest.mark.parametrize(
    ("kind", "antithetic"), [("one_point", True), ("two_point", False), ("coordinate", True)]
)
def test_cutting_a_batch_into_chunks_that_do_not_divide_it_keeps_the_mean(
    world, kind, antithetic, monkeypatch
):
    """z-test of each entry; 101 draws in chunks of about 8 and a rest."""
    n = 2
    G = _estimators.variants(kind, n)
    monkeypatch.setattr(_chunks, "CHUNK", 8 * n * G)
    oracle = law(world, antithetic=antithetic)
    chunks, size = _chunks.chunked(oracle, 101, n * G, G)
    assert chunks > 10
    assert chunks * size > 101
    sample = estimates(oracle, world, 1, 0, kind, 101 * G, 1.0, count=1000, seed=6)
    assert least_p_value(sample, truth(world, 1, 0)) > P_VALUE


@pytest.mark.parametrize("batch", [7, 1001])
def test_cutting_a_batch_into_chunks_counts_every_draw_once(world, batch, monkeypatch):
    monkeypatch.setattr(_chunks, "CHUNK", 300)
    found = estimates(exact(world), world, 1, 0, "coordinate", 4 * batch, 0.77, count=1)
    np.testing.assert_allclose(found[0], truth(world, 1, 0), rtol=1e-9, atol=1e-10)


# --- rollouts --------------------------------------------------------------------------------------


class Counting:
    """A linear cost, and how many rollouts were asked for."""

    sizes = (3, 2, 1, 2)
    traceable = False

    def __init__(self):
        self.rollouts = 0

    def draws(self, key, draws, stage):
        return jnp.zeros(draws)

    def costs(self, shared, gains, offset, drawn, stage):
        G, _ = np.broadcast_shapes(offset.theta1.shape[-2:], offset.theta2.shape[-2:])
        self.rollouts += G * len(drawn)
        return jnp.zeros((G, len(drawn))), jnp.zeros((G, len(drawn)))


@pytest.mark.parametrize("batch", [1, 2, 7, 16, 100])
@pytest.mark.parametrize("stage", [None, 1])
@pytest.mark.parametrize("kind", SAMPLED)
def test_as_many_rollouts_are_counted_as_are_asked_for(kind, stage, batch):
    oracle, gains = Counting(), JointGains(jnp.zeros((3, 1, 4)), jnp.zeros((3, 2, 4)))
    for player, n in ((0, 4), (1, 8)):
        n *= 3 if stage is None else 1
        oracle.rollouts = 0
        found = jax.eval_shape(  # costs are asked for by shape alone
            lambda key, j=player: _estimators.gradient(
                oracle, None, gains, 1.0, stage, key, j, kind, batch, 1.0
            ),
            jax.random.key(0),
        )
        assert found.shape == (3 if stage is None else 1, player + 1, 4)
        assert oracle.rollouts == _estimators.rollouts(kind, batch, n)
        assert oracle.rollouts <= max(batch, _estimators.variants(kind, n))


def test_exact_gradients_take_no_rollouts():
    assert _estimators.rollouts("exact", 1000, 8) == 0
