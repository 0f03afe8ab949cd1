"""Every signal: its law or its values, and how its scope spreads it over the agents.

Statistical claims use fixed keys and state their test; each is passed at p > 1e-3.
"""

import jax
import numpy as np
import pytest
from scipy import stats
from worlds import in_many_worlds, sampled, simulated

from phalanx import Gaussian, InputError, RandomWalk, Sinusoid, Step, UniformBall

P_VALUE = 1e-3
q, N, T = 2, 6, 5
COVARIANCE = np.array([[1.0, 0.5], [0.5, 2.0]])

# Signals that draw, by name, for a scope.
RANDOM = {
    "gaussian": lambda scope: Gaussian(COVARIANCE, scope=scope),
    "uniform ball": lambda scope: UniformBall(2.0, scope=scope),
    "walk": lambda scope: RandomWalk(0.1, scope=scope),
    "sinusoid of random phase": lambda scope: Sinusoid(1.0, 24, phase=None, scope=scope),
}
EVERY = RANDOM | {
    "sinusoid": lambda scope: Sinusoid([1.0, 2.0], 24, scope=scope),
    "step": lambda scope: Step([1.0, 2.0], at=2, scope=scope),
}
random_signal = pytest.mark.parametrize("make", RANDOM.values(), ids=RANDOM)
every_signal = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)


def assert_uncorrelated(a: np.ndarray, b: np.ndarray) -> None:
    """z-test: the correlation of n independent pairs has standard deviation n^(-1/2)."""
    z = np.corrcoef(a.ravel(), b.ravel())[0, 1] * np.sqrt(a.size)
    assert 2 * stats.norm.sf(abs(z)) > P_VALUE


def assert_covariance(samples: np.ndarray, covariance: np.ndarray) -> None:
    """Wald test: for n normal samples, cov(S_ij, S_kl) = (C_ik C_jl + C_il C_jk)/n."""
    upper = np.triu_indices(len(covariance))
    error = (samples.T @ samples / len(samples) - covariance)[upper]
    i, j = upper
    C = covariance
    spread = C[np.ix_(i, i)] * C[np.ix_(j, j)] + C[np.ix_(i, j)] * C[np.ix_(j, i)]
    statistic = len(samples) * error @ np.linalg.solve(spread, error)
    assert stats.chi2.sf(statistic, len(error)) > P_VALUE


# --- scope -------------------------------------------------------------------------------------


@every_signal
@pytest.mark.parametrize(("scope", "columns"), [("idiosyncratic", N), ("common", 1), ("both", N)])
def test_what_is_common_is_never_copied_out(make, scope, columns):
    drawn = jax.eval_shape(lambda: in_many_worlds(make(scope), 1, q, N))
    assert drawn.shape == (1, columns, q)


@every_signal
def test_the_simulator_hands_a_common_signal_to_all(make):
    d = simulated(make("common"), T, q, N)
    np.testing.assert_array_equal(d, np.broadcast_to(d[:, :1], (T, N, q)))


@random_signal
def test_an_idiosyncratic_signal_is_each_agents_own(make):
    d = sampled(make("idiosyncratic"), T, q, N)
    assert len(np.unique(d[1, :, 0])) == N


@random_signal
def test_idiosyncratic_signals_are_uncorrelated(make):
    """Of 20 000 agents, each with the next."""
    d = sampled(make("idiosyncratic"), 1, q, 20_000)
    assert_uncorrelated(d[0, :-1, 0], d[0, 1:, 0])


@random_signal
def test_both_is_a_common_and_an_own_signal(make):
    """What agents share is there, and what they do not: means and spreads are not 0."""
    d = sampled(make("both"), 1, q, N)
    assert np.abs(d.mean(axis=1)).min() > 0
    assert d.std(axis=1).min() > 0


def test_both_parts_are_of_the_stated_size():
    """cov(d^i) = 2Σ, cov(d^i, d^j) = Σ."""
    d = np.array(in_many_worlds(Gaussian(COVARIANCE, scope="both"), 20_000, q, 2))
    joint = np.block([[2 * COVARIANCE, COVARIANCE], [COVARIANCE, 2 * COVARIANCE]])
    assert_covariance(d.reshape(-1, 2 * q), joint)


@random_signal
def test_another_key_draws_another_signal(make):
    first, second = (sampled(make("common"), 1, q, 1, key=key) for key in (1, 2))
    assert not np.any(first == second)


@every_signal
def test_one_key_draws_one_signal(make):
    first, second = (sampled(make("both"), 2, q, N, key=3) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@every_signal
def test_an_unknown_scope_is_refused(make):
    with pytest.raises(InputError, match='scope must be "idiosyncratic", "common" or "both"'):
        make("mutual")


# --- Gaussian ----------------------------------------------------------------------------------


def test_own_gaussian_draws_have_the_stated_covariance():
    assert_covariance(sampled(Gaussian(COVARIANCE), 1, q, 20_000)[0], COVARIANCE)


def test_common_gaussian_draws_have_the_stated_covariance():
    d = np.array(in_many_worlds(Gaussian(COVARIANCE, scope="common"), 20_000, q, 5))
    assert_covariance(d[:, 0], COVARIANCE)


def test_gaussian_draws_are_normal():
    d = sampled(Gaussian(4.0), 1, 1, 20_000)
    assert stats.kstest(d.ravel() / 2, "norm").pvalue > P_VALUE


def test_gaussian_draws_forget_the_round_before():
    d = sampled(Gaussian(1.0), 2, 1, 20_000)
    assert_uncorrelated(d[0], d[1])


def test_a_singular_covariance_draws_in_its_plane():
    d = sampled(Gaussian([[1.0, 1.0], [1.0, 1.0]]), 3, q, 100)
    np.testing.assert_allclose(d[..., 0], d[..., 1], atol=1e-7)


@pytest.mark.parametrize("covariance", [-1.0, [[1.0, 2.0], [2.0, 1.0]], [[1.0, 1.0], [0.0, 1.0]]])
def test_what_is_no_covariance_is_refused(covariance):
    with pytest.raises(InputError, match="covariance must"):
        Gaussian(covariance)


# --- UniformBall -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_ball_is_filled_evenly_along_the_radius(size):
    """Kolmogorov-Smirnov: (|d|/r)^q is uniform, whatever the dimension q."""
    d = sampled(UniformBall(3.0), 1, size, 20_000)
    share = (np.linalg.norm(d[0], axis=-1) / 3.0) ** size
    assert share.max() <= 1
    assert stats.kstest(share, "uniform").pvalue > P_VALUE


def test_the_ball_is_filled_evenly_around_the_centre():
    """Kolmogorov-Smirnov on the angle."""
    d = sampled(UniformBall(3.0), 1, 2, 20_000)[0]
    turn = np.arctan2(d[:, 1], d[:, 0]) / (2 * np.pi) + 0.5
    assert stats.kstest(turn, "uniform").pvalue > P_VALUE


@pytest.mark.parametrize("radius", [-1.0, [1.0, 2.0]])
def test_what_is_no_radius_is_refused(radius):
    with pytest.raises(InputError, match="radius must be one number that is not negative"):
        UniformBall(radius)


# --- Sinusoid ----------------------------------------------------------------------------------


def test_a_sinusoid_is_a_sine():
    d = sampled(Sinusoid([1.0, 2.0], period=7.5, phase=0.3), 20, 2, 1)[:, 0]
    wave = np.sin(2 * np.pi * np.arange(20) / 7.5 + 0.3)
    np.testing.assert_allclose(d, np.outer(wave, [1.0, 2.0]), atol=1e-13)


def test_random_phases_are_uniform():
    """Kolmogorov-Smirnov on the phase, read off two quarter periods."""
    d = sampled(Sinusoid(1.0, period=4, phase=None, scope="idiosyncratic"), 2, 1, 20_000)[..., 0]
    phase = np.arctan2(d[0], d[1]) / (2 * np.pi) + 0.5
    assert stats.kstest(phase, "uniform").pvalue > P_VALUE


@pytest.mark.parametrize("period", [0.0, -1.0])
def test_what_is_no_period_is_refused(period):
    with pytest.raises(InputError, match="period must be"):
        Sinusoid(1.0, period)


# --- RandomWalk --------------------------------------------------------------------------------


def test_a_walks_increments_are_independent_normals():
    """Kolmogorov-Smirnov on the increments, z-test on neighbouring ones; the walk starts at 0."""
    d = sampled(RandomWalk([0.5, 2.0], scope="idiosyncratic"), 4, 2, 20_000)
    increments = np.diff(d, axis=0, prepend=0) / [0.5, 2.0]
    assert stats.kstest(increments.ravel(), "norm").pvalue > P_VALUE
    assert_uncorrelated(increments[:-1], increments[1:])


def test_a_bounded_walk_stays_inside_and_touches_its_bound():
    d = sampled(RandomWalk(1.0, bound=1.5, scope="idiosyncratic"), 20, 1, 100)
    assert np.abs(d).max() == 1.5


def test_a_bounded_walk_leaves_its_bound_again():
    d = sampled(RandomWalk(1.0, bound=1.5, scope="idiosyncratic"), 20, 1, 100)
    assert np.any((np.abs(d[:-1]) == 1.5) & (np.abs(d[1:]) < 1.5))


# --- Step --------------------------------------------------------------------------------------


def test_a_step_is_on_from_its_first_round_until_its_end():
    d = sampled(Step([1.0, 2.0], at=2, until=4), 6, 2, 1)[:, 0]
    np.testing.assert_array_equal(d, np.outer([0, 0, 1, 1, 0, 0], [1.0, 2.0]))


def test_a_step_without_end_stays():
    assert sampled(Step(1.0, at=2), 6, 1, 1)[-1] == 1.0


def test_a_common_step_has_the_sign_it_was_given():
    assert sampled(Step(-3.0), 1, 1, 4)[0, 0] == -3.0


def test_own_steps_have_fair_signs():
    """Binomial test on the signs of 10 000 agents."""
    d = sampled(Step(1.0, scope="idiosyncratic"), 2, 1, 20_000)[0].ravel()
    np.testing.assert_array_equal(np.abs(d), 1)
    assert stats.binomtest(int((d > 0).sum()), d.size).pvalue > P_VALUE


def test_own_steps_keep_their_signs():
    d = sampled(Step(1.0, scope="idiosyncratic"), 5, 1, 50)
    np.testing.assert_array_equal(d, np.broadcast_to(d[0], d.shape))


def test_a_single_agents_own_step_has_a_fair_sign_too():
    signs = {sampled(Step(1.0, scope="idiosyncratic"), 1, 1, 1, key=k).item() for k in range(20)}
    assert signs == {-1.0, 1.0}
