"""One agent of N, exact in law: means, covariances, and what common random numbers share.

Statistical claims use fixed keys and state their test; each is passed at p > 1e-3.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from learning_worlds import (
    INF,
    expected,
    one_shot,
    random_gains,
    random_start,
    rolled,
    small_game,
    still,
)
from scipy import stats

from phalanx import _random
from phalanx.learners import JointGains, LawOracle, PopulationOracle

P_VALUE = 1e-3
DRAWS = 100_000
DIRECTIONS = [np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([1.0, -2.0])]


@pytest.fixture(autouse=True, scope="module")
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def world():
    """A random game, gains for it, and covariances to start from."""
    game, rng = small_game(20), np.random.default_rng(72)
    return game, random_gains(rng, game), random_start(rng, 2)


def law(world, N=INF, **settings):
    game, _, start = world
    return LawOracle(game, N, Sigma_y=start.y, Sigma_z=start.z, **settings)


def population(world, N, **settings):
    game, _, start = world
    return PopulationOracle(game, N, Sigma_y=start.y, Sigma_z=start.z, **settings)


def p_value_of_mean(sample, mean) -> float:
    """Two-sided z-test."""
    z = (sample.mean() - mean) / (sample.std() / np.sqrt(sample.size))
    return 2 * stats.norm.sf(abs(z))


# --- means ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"dtype": "float32"}, {"antithetic": True}])
@pytest.mark.parametrize("stage", [None, 0, 1])
@pytest.mark.parametrize("N", [1, 2, 10, INF])
def test_mean_cost_and_energy_are_the_expected_ones(world, N, stage, settings):
    game, gains, start = world
    drawn = rolled(law(world, N, **settings), gains, DRAWS, stage, seed=1)
    for sample, mean in zip(drawn, expected(game, gains, stage, N, start), strict=True):
        sample = sample[0].astype(np.float64)
        if settings.get("antithetic"):  # pairs are independent of each other, their members are not
            sample = sample.reshape(-1, 2).mean(axis=1)
        assert p_value_of_mean(sample, mean) > P_VALUE


# --- laws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", DIRECTIONS, ids=str)
@pytest.mark.parametrize("N", [2, 10, INF])
def test_states_and_noise_are_gaussian_with_their_covariances(N, direction):
    """Kolmogorov-Smirnov of (v·y)²/vᵀcov(y)v and its like against χ²₁.

    The covariances are theory's: Σ_y, Σ_z at a stage, (1 − 1/N)Σ and Σ̄ + Σ/N of the noise, and
    (1 − 1/N)Σ⁰ and Σ̄⁰ + Σ⁰/N at the beginning of a whole run.
    """
    rng = np.random.default_rng(73)
    start, weight = random_start(rng, 2), np.outer(direction, direction)
    a, s = 1 - 1 / N, 1 / N
    w = one_shot(2).noise
    cases = [
        ("Q", 0, start.y),
        ("Q_bar", 0, start.z),
        ("Q_T", 0, a * w.Sigma),
        ("Q_bar_T", 0, w.Sigma_bar + s * w.Sigma),
        ("Q", None, a * w.Sigma_0),
        ("Q_bar", None, w.Sigma_bar_0 + s * w.Sigma_0),
    ]
    for seed, (where, stage, covariance) in enumerate(cases):
        oracle = LawOracle(one_shot(2, **{where: weight}), N, Sigma_y=start.y, Sigma_z=start.z)
        gains = JointGains(np.zeros((1, 2, 4)), np.zeros((1, 2, 4)))
        cost, _ = rolled(oracle, gains, 20_000, stage, seed=seed)
        chi2 = cost[0] / (direction @ covariance @ direction)
        assert stats.kstest(chi2, "chi2", args=(1,)).pvalue > P_VALUE, (where, stage)


@pytest.mark.parametrize("stage", [None, 0])
@pytest.mark.parametrize("M", [2, 25])
def test_the_law_is_that_of_one_agent_of_an_explicit_population(world, M, stage):
    """Two-sample Kolmogorov-Smirnov on cost and on energy."""
    _, gains, _ = world
    ours = rolled(law(world, M), gains, 20_000, stage, seed=2)
    theirs = rolled(population(world, M), gains, 20_000, stage, seed=3)
    for one, two in zip(ours, theirs, strict=True):
        assert stats.ks_2samp(one[0], two[0]).pvalue > P_VALUE


def test_the_test_above_sees_a_wrong_number_of_agents(world):
    _, gains, _ = world
    ours = rolled(law(world, INF), gains, 20_000, None, seed=2)
    theirs = rolled(population(world, 2), gains, 20_000, None, seed=3)
    assert stats.ks_2samp(ours[0][0], theirs[0][0]).pvalue < 1e-6


def test_either_member_of_an_antithetic_pair_has_the_law_of_a_draw(world):
    """Two-sample Kolmogorov-Smirnov of first and of second members against ordinary draws."""
    _, gains, _ = world
    ordinary = rolled(law(world, 10), gains, DRAWS, 0, seed=4)
    pairs = rolled(law(world, 10, antithetic=True), gains, DRAWS, 0, seed=5)
    for one, two in zip(ordinary, pairs, strict=True):
        for member in (0, 1):
            assert stats.ks_2samp(one[0], two[0, member::2]).pvalue > P_VALUE


def test_what_noise_does_to_slopes_cancels_within_an_antithetic_pair(world):
    """Both members share the first state; with the noise off, each has the slope of their mean."""
    game, gains, start = world
    rng = np.random.default_rng(74)
    e = [jnp.asarray(rng.normal(size=(1, rows, 4, 1, 1))) for rows in (1, 2)]
    offset = JointGains(*(jnp.concatenate([x, -x], axis=-2) for x in e))
    cost, _ = rolled(law(world, antithetic=True), gains, 400, 0, seed=6, offset=offset)
    slopes = ((cost[0] - cost[1]) / 2).reshape(-1, 2)
    assert np.abs(slopes[:, 0] - slopes[:, 1]).min() > 0
    calm = type(game)(game.system, game.cost, None, horizon=3)
    quiet = LawOracle(calm, Sigma_y=start.y, Sigma_z=start.z, antithetic=True)
    still_cost, _ = rolled(quiet, gains, 400, 0, seed=6, offset=offset)
    np.testing.assert_allclose(
        slopes.mean(axis=1), ((still_cost[0] - still_cost[1]) / 2)[::2], rtol=1e-9, atol=1e-9
    )


def test_float32_and_float64_agree_in_law(world):
    """Two-sample Kolmogorov-Smirnov."""
    _, gains, _ = world
    double = rolled(law(world, 10), gains, DRAWS, None, seed=7)
    single = rolled(law(world, 10, dtype="float32"), gains, DRAWS, None, seed=8)
    assert [part.dtype for part in single] == [np.float32] * 2
    for one, two in zip(double, single, strict=True):
        assert stats.ks_2samp(one[0], two[0]).pvalue > P_VALUE


# --- keys ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (law, {}),
        (law, {"dtype": "float32"}),
        (law, {"antithetic": True}),
        (population, {}),
        (population, {"antithetic": True}),
    ],
)
def test_the_same_key_gives_the_same_bits_and_another_key_others(world, kind, settings):
    _, gains, _ = world
    oracle, draws = kind(world, 2, **settings), DRAWS if kind is law else 20_000
    first, again, other = (rolled(oracle, gains, draws, 0, seed=s)[0] for s in (9, 9, 10))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.999


@pytest.mark.parametrize(("kind", "stage"), [(law, None), (law, 1), (population, 1)])
def test_variants_are_tried_on_common_random_numbers(world, kind, stage):
    """Variants without an offset cost the same to the last bit, beside one that has an offset."""
    _, gains, _ = world
    oracle = kind(world, 3)
    offset = still(oracle, stage, variants=3)
    offset = JointGains(offset.theta1.at[..., 1, :].set(0.5), offset.theta2)
    cost, energy = rolled(oracle, gains, 50, stage, seed=11, offset=offset)
    np.testing.assert_array_equal(cost[0], cost[2])
    np.testing.assert_array_equal(energy[0], energy[2])
    assert (cost[0] != cost[1]).all()


def test_draws_of_one_batch_are_different(world):
    _, gains, _ = world
    cost, _ = rolled(law(world, 3), gains, 20_000, None, seed=12)
    assert len(np.unique(cost)) == 20_000


# --- rollout by rollout, in NumPy ----------------------------------------------------------------


def recomputed(oracle, game, gains, offset, drawn, stage):
    """Cost and energy (G, B) from the oracle's own draws: one rollout after another, by the formulas."""
    m, T, t0 = game.system.state_size, int(game.horizon), stage or 0
    start, noise, key = drawn
    B, G = start.shape[-1], offset.theta1.shape[-2]
    later = [oracle._normals(jax.random.fold_in(key, k), B) for k in range(1, T - t0)]
    xi = [np.stack(_random.rows(packed, 2 * m)) for packed in (start, noise, *later)]
    first, after = np.asarray(oracle.roots[0 if stage is not None else 1]), oracle.roots[2]
    cost, energy = np.zeros((G, B)), np.zeros((G, B))
    for g, b, h in itertools.product(range(G), range(B), (0, 1)):
        half, cut = game.half(("deviation", "mean")[h]), slice(h * m, (h + 1) * m)
        x = first[h] @ xi[0][cut, b]
        if stage is None and h == 1:
            x = x + game.noise.x0
        for t in range(t0, T):
            A, Bm, D, Q, R = (X[t % len(X)] for X in (half.A, half.B, half.D, half.Q, half.R))
            theta = [np.array(part[t][:, cut]) for part in gains]
            if stage is None or t == stage:
                theta = [
                    a + np.asarray(part[t - t0][:, cut, g, b])
                    for a, part in zip(theta, offset, strict=True)
                ]
            u, d = theta[0] @ x, theta[1] @ x
            cost[g, b] += x @ Q @ x + u @ R @ u
            energy[g, b] += d @ d
            x = A @ x - Bm @ u + D @ d + after[h] @ xi[t - t0 + 1][cut, b]
        cost[g, b] += x @ half.Q_T @ x
    return cost, energy


@pytest.mark.parametrize("m", [2, 9], ids=["spelled out", "by products"])
@pytest.mark.parametrize("stage", [None, 0, 2])
def test_each_rollout_costs_what_the_formulas_say(m, stage):
    game, rng = small_game(33, m), np.random.default_rng(5)
    gains, length = random_gains(rng, game), 3 if stage is None else 1
    oracle = LawOracle(game, 7)
    # As many variants as states: if an axis were missing, no shape would say so.
    shapes = [(length, part.shape[-2], 2 * m, m, 4) for part in gains]
    offset = JointGains(*(jnp.asarray(0.3 * rng.normal(size=shape)) for shape in shapes))
    t = None if stage is None else jnp.asarray(stage)
    drawn = oracle.draws(jax.random.key(8), 4, t)
    found = oracle.costs(None, gains, offset, drawn, t)
    for ours, theirs in zip(
        found, recomputed(oracle, game, gains, offset, drawn, stage), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11)
