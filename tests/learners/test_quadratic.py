"""What costs say about a stage: its quadratic, and the saddle point in one linear solve.

Statistical claims use fixed keys and state their test.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learning_worlds import (
    added,
    curvature,
    random_gains,
    random_start,
    small_game,
    stage_gradient,
    stage_saddle,
)
from scipy import stats

from phalanx.learners import ExactOracle, JointGains, LawOracle
from phalanx.learners import _quadratic as quadratic

SIZES = [(2, 1, 2), (1, 2, 1), (3, 2, 1)]
GAMMA, STAGE = 2.5, 1


@pytest.fixture(autouse=True, scope="module")
def _float64():
    with jax.enable_x64(True):
        yield


def world(seed, sizes=(2, 1, 2)):
    """A random game with Σ_y, Σ_z ≠ I, and gains to stand at: anywhere now, small later on.

    After disturbances that are large without need, costs-to-go are negative and player 1's problem
    may not be convex; `fit` then takes the payoff for no quadratic.
    """
    rng = np.random.default_rng([83, seed])
    game = small_game(seed, *sizes)
    gains = random_gains(rng, game)
    for theta in gains:
        theta[STAGE + 1 :] *= 0.1
    assert quadratic.Curvature(curvature(game, gains, STAGE, GAMMA), sizes[1]).convex > 0
    return game, gains, random_start(rng, sizes[0])


def measured(oracle, gains, draws, full=True, seed=0, radius=1.0, uneven=False):
    """Moments at `gains`, and the design that they were taken under."""
    _, m, p, q = oracle.sizes
    scale = np.full((p + q, 2), radius)
    if uneven:
        scale *= np.random.default_rng(84).uniform(0.3, 3, scale.shape)
    plan = quadratic.design(p + q, m, scale, full)
    found = quadratic.measure(
        oracle,
        JointGains(*map(jnp.asarray, gains)),
        jnp.asarray(GAMMA),
        jnp.asarray(STAGE),
        jax.random.key(seed),
        draws,
        jnp.asarray(plan.directions),
        full,
    )
    return quadratic.Moments(*map(np.asarray, found)), plan


def fitted(oracle, gains, draws, **settings):
    found, plan = measured(oracle, gains, draws, **settings)
    Sigma = np.stack([oracle.Sigma_y, oracle.Sigma_z])
    return quadratic.fit(found, plan, oracle.sizes.control, Sigma)


def here(gains) -> np.ndarray:
    """W = [θ¹; θ²] of the stage."""
    return np.concatenate([gains.theta1[STAGE], gains.theta2[STAGE]])


def solved(gains, fit) -> np.ndarray:
    return here(gains) + quadratic.newton(fit.gradient, fit.bend, fit.spread)


# --- from exact costs ------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", SIZES)
def test_expected_costs_give_the_analytic_quadratic(sizes):
    """S = [−B D]ᵀP[−B D] + diag(R, −γ²I), the gradient of eq. 24, and Ŷ = Σ."""
    for seed in range(2):
        game, gains, start = world(seed, sizes)
        oracle = ExactOracle(game, Sigma_y=start.y, Sigma_z=start.z)
        for settings in ({}, {"radius": 0.1}, {"uneven": True}):
            fit = fitted(oracle, gains, 4, **settings)
            S = curvature(game, gains, STAGE, GAMMA)
            np.testing.assert_allclose(fit.bend.S, S, rtol=1e-8, atol=1e-9)
            np.testing.assert_allclose(fit.spread, np.stack(start), rtol=1e-8, atol=1e-9)
            hand = np.concatenate(stage_gradient(game, gains, STAGE, GAMMA, start))
            np.testing.assert_allclose(fit.gradient, hand, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(
                solved(gains, fit), stage_saddle(game, gains, STAGE, GAMMA), atol=1e-10
            )


def test_at_the_stages_saddle_point_the_hand_written_gradient_vanishes():
    """The two second routes above belong together."""
    game, gains, start = world(3)
    W = stage_saddle(game, gains, STAGE, GAMMA)
    extra = np.split(W - here(gains), [1])
    at = stage_gradient(game, added(gains, STAGE, *extra), STAGE, GAMMA, start)
    assert max(np.abs(part).max() for part in at) < 1e-12


def test_curvature_is_read_as_theorem_4_reads_it():
    """convex: least eigenvalue of R + BᵀPB; concave: of γ²I − DᵀPD; over both halves."""
    game, gains, _ = world(4)
    S = curvature(game, gains, STAGE, GAMMA)
    bend = quadratic.Curvature(S, controls=1)
    assert bend.convex == pytest.approx(min(np.linalg.eigvalsh(half[:1, :1])[0] for half in S))
    assert bend.concave == pytest.approx(min(np.linalg.eigvalsh(-half[1:, 1:])[0] for half in S))
    sign = np.diag([1.0, -1.0, -1.0])
    np.testing.assert_array_equal(bend.operator, sign @ S)


# --- from rollouts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", SIZES)
def test_a_few_antithetic_rollouts_find_the_saddle_point_to_rounding(sizes):
    game, gains, start = world(5, sizes)
    oracle = LawOracle(game, 10, Sigma_y=start.y, Sigma_z=start.z, antithetic=True)
    fit = fitted(oracle, gains, 4 * sizes[0], uneven=True)
    target = stage_saddle(game, gains, STAGE, GAMMA)
    np.testing.assert_allclose(solved(gains, fit), target, atol=1e-9)
    if sizes[0] > 1:  # although the draws are lopsided
        assert np.abs(fit.spread - np.stack(start)).max() > 0.05
    variance = quadratic.newton_variance(fit.error, fit.bend, np.stack(start))
    assert variance < 1e-10


def test_without_noise_ordinary_rollouts_do_as_well():
    game, gains, start = world(6)
    calm = type(game)(game.system, game.cost, None, horizon=3)
    fit = fitted(LawOracle(calm, Sigma_y=start.y, Sigma_z=start.z), gains, 8)
    np.testing.assert_allclose(
        solved(gains, fit), stage_saddle(game, gains, STAGE, GAMMA), atol=1e-9
    )


KEYS = 100


@pytest.mark.parametrize("standing", ["anywhere", "at the saddle point"])
def test_ordinary_rollouts_report_their_own_error(standing):
    """100 keys: mean |step − true step|² against the mean of `newton_variance`.

    The squared error of n = 12 numbers scatters by at most its own size, √2 at worst; the ratio of
    means over 100 keys lies within 1 ± 0.35 unless the report is wrong.
    """
    game, gains, start = world(7)
    target = stage_saddle(game, gains, STAGE, GAMMA)
    if standing != "anywhere":
        gains = added(gains, STAGE, *np.split(target - here(gains), [1]))
    oracle = LawOracle(game, 10, Sigma_y=start.y, Sigma_z=start.z)
    squares, reported = [], []
    for seed in range(KEYS):
        fit = fitted(oracle, gains, 200, seed=seed)
        squares.append(np.sum((solved(gains, fit) - target) ** 2))
        reported.append(quadratic.newton_variance(fit.error, fit.bend, np.stack(start)))
    assert np.mean(squares) / np.mean(reported) == pytest.approx(1.0, abs=0.35)


def test_a_slope_is_unbiased_and_reports_its_covariance():
    """z-test of each entry with Bonferroni at 1e-3; trace of the covariance within 1 ± 0.2."""
    game, gains, start = world(8)
    oracle = LawOracle(game, 10, Sigma_y=start.y, Sigma_z=start.z)
    hand = np.concatenate(stage_gradient(game, gains, STAGE, GAMMA, start))
    found = [
        quadratic.slope(*measured(oracle, gains, 200, full=False, seed=s)) for s in range(KEYS)
    ]
    errors = np.stack([G - hand for G, _ in found]).reshape(KEYS, -1)
    z = errors.mean(axis=0) / (errors.std(axis=0) / np.sqrt(KEYS))
    assert 2 * stats.norm.sf(np.abs(z).max()) * z.size > 1e-3
    reported = np.mean([np.trace(covariance) for _, covariance in found])
    assert (errors**2).sum(axis=1).mean() / reported == pytest.approx(1.0, abs=0.2)


def test_cutting_draws_into_chunks_changes_no_exact_average(monkeypatch):
    game, gains, start = world(9)
    oracle = ExactOracle(game, Sigma_y=start.y, Sigma_z=start.z)
    whole, plan = measured(oracle, gains, 50)
    from phalanx.learners import _chunks

    monkeypatch.setattr(_chunks, "CHUNK", 7 * 12 * plan.rollouts)
    cut, _ = measured(oracle, gains, 51)
    np.testing.assert_allclose(cut.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(cut.square, whole.square, rtol=1e-12)
    assert (whole.draws, cut.draws) == (50, 51)


# --- pieces ----------------------------------------------------------------------------------------


@given(rows=st.integers(2, 5), m=st.integers(1, 4), seed=st.integers(0, 10**6), full=st.booleans())
def test_newton_solves_the_quadratic_it_is_given(rows, m, seed, full):
    rng = np.random.default_rng(seed)
    p = int(rng.integers(1, rows))
    X = rng.normal(size=(2, rows, rows))
    S = X + X.swapaxes(1, 2)
    S[:, :p, :p] += 20 * np.eye(p)
    S[:, p:, p:] -= 20 * np.eye(rows - p)
    Sigma = np.stack(random_start(rng, m))
    bend, E = quadratic.Curvature(S, p), rng.normal(size=(rows, 2 * m))
    G = np.hstack([2 * S[h] @ E[:, h * m : (h + 1) * m] @ Sigma[h] for h in (0, 1)])
    np.testing.assert_allclose(quadratic.newton(G, bend, Sigma), -E, atol=1e-8)
    # Its variance for independent errors of unit size is the sum of its squared entries.
    variance = quadratic.newton_variance(np.eye(G.size), bend, Sigma)
    each = [np.sum(quadratic.newton(e.reshape(G.shape), bend, Sigma) ** 2) for e in np.eye(G.size)]
    assert variance == pytest.approx(sum(each), rel=1e-9)
    plan = quadratic.design(rows, m, np.ones((rows, 2)), full)
    pairs = rows * (rows - 1) + m * (m - 1)
    assert len(plan.directions) == 2 * rows * m + full * pairs
    assert plan.rollouts == 2 * len(plan.directions) + full


@given(seed=st.integers(0, 10**6), radius=st.floats(0.01, 10))
def test_scales_bend_every_row_alike_and_move_none_further_than_the_radius(seed, radius):
    S = np.random.default_rng(seed).normal(size=(2, 3, 3)) + 3 * np.diag([1.0, 1.0, -1.0])
    moved = quadratic.scales(S, radius)
    bends = moved**2 * np.abs(np.diagonal(S, axis1=1, axis2=2)).T
    np.testing.assert_allclose(bends, bends[0, 0], rtol=1e-6)
    assert moved.max() == pytest.approx(radius)
