"""The simulated noise has the law the theory says, and the saddle point the value it promises.

All claims are about many independent runs with fixed keys; each states its test and is passed at
p > 1e-3. Expected covariances are exact, so the Wald test of a sample covariance is chi-square.
"""

import numpy as np
import pytest
from scipy import stats

import phalanx as px

P_VALUE = 1e-3
N, m, RUNS = 3, 2, 20_000
SIGMA = np.array([[1.0, 0.5], [0.5, 2.0]])
SIGMA_BAR = np.array([[0.5, -0.2], [-0.2, 0.3]])
SIGMA_0 = np.array([[3.0, 1.0], [1.0, 1.0]])
SIGMA_BAR_0 = np.array([[2.0, 0.0], [0.0, 0.0]])  # a singular one
NOISE = px.MeanFieldNoise(SIGMA, SIGMA_BAR, SIGMA_0, SIGMA_BAR_0)
STILL = px.MeanFieldFeedback(np.zeros((m, m)), np.zeros((m, m)))


def assert_covariance(samples: np.ndarray, covariance: np.ndarray) -> None:
    """Wald test: for n normal samples, cov(S_ij, S_kl) = (C_ik C_jl + C_il C_jk)/n."""
    i, j = np.triu_indices(len(covariance))
    C = covariance
    error = (samples.T @ samples / len(samples) - C)[i, j]
    spread = C[np.ix_(i, i)] * C[np.ix_(j, j)] + C[np.ix_(i, j)] * C[np.ix_(j, i)]
    statistic = len(samples) * error @ np.linalg.pinv(spread, rcond=1e-9) @ error
    assert stats.chi2.sf(statistic, np.linalg.matrix_rank(spread, tol=1e-9)) > P_VALUE


def assert_mean(samples: np.ndarray, mean: float) -> None:
    """z-test."""
    z = (samples.mean() - mean) / (samples.std(ddof=1) / np.sqrt(len(samples)))
    assert 2 * stats.norm.sf(abs(z)) > P_VALUE


def simulate(key):
    """Two rounds of A = 0: the states after each are that round's noise and nothing else."""
    settings = {"n_agents": N, "noise": NOISE, "runs": RUNS, "record": "states"}
    return px.simulate(px.MeanFieldSystem(A=np.zeros((m, m))), STILL, rounds=2, key=key, **settings)


@pytest.fixture(scope="module")
def runs():
    return simulate(0)


# stage: covariances of the idiosyncratic and the common part of the state there
STAGES = {"initial state": (0, SIGMA_0, SIGMA_BAR_0), "process noise": (1, SIGMA, SIGMA_BAR)}
each_stage = pytest.mark.parametrize(("t", "own", "common"), STAGES.values(), ids=STAGES)


@each_stage
def test_agents_share_the_common_part_and_no_other(runs, t, own, common):
    """cov(x^i) = Σ + Σ̄ and cov(x^i, x^j) = Σ̄, all at once."""
    joint = np.kron(np.eye(N), own) + np.kron(np.ones((N, N)), common)
    assert_covariance(runs.x[:, t].reshape(RUNS, N * m), joint)


@each_stage
def test_deviations_have_the_idiosyncratic_covariance_less_one_nth(runs, t, own, common):
    y = runs.x[:, t] - runs.x[:, t].mean(axis=1, keepdims=True)
    assert_covariance(y[:, 0], (1 - 1 / N) * own)


@each_stage
def test_the_mean_has_the_common_covariance_and_one_nth_of_the_other(runs, t, own, common):
    assert_covariance(runs.x_bar[:, t], common + own / N)


@each_stage
def test_deviations_and_mean_are_uncorrelated(runs, t, own, common):
    y, z = runs.x[:, t, 0] - runs.x_bar[:, t], runs.x_bar[:, t]
    C_y, C_z = (1 - 1 / N) * own, common + own / N
    joint = np.block([[C_y, np.zeros((m, m))], [np.zeros((m, m)), C_z]])
    assert_covariance(np.hstack([y, z]), joint)


@each_stage
def test_states_are_normal(runs, t, own, common):
    """Kolmogorov-Smirnov on every entry of one agent's state."""
    spread = np.sqrt(np.diag(own + common))
    for entry in (runs.x[:, t, 0] / spread).T:
        assert stats.kstest(entry, "norm").pvalue > P_VALUE


def test_rounds_are_independent(runs):
    both = np.hstack([runs.x[:, 1, 0], runs.x[:, 2, 0]])
    assert_covariance(both, np.kron(np.eye(2), SIGMA + SIGMA_BAR))


def test_the_noise_energy_is_that_of_the_noise_drawn(runs):
    """Tr(Σ+Σ̄) a round on average; the initial state does not count (P1, eq. 3)."""
    assert_mean(runs.noise_energy, 2 * np.trace(SIGMA + SIGMA_BAR))


@pytest.mark.parametrize(
    ("noise", "degrees", "scale"),
    [
        (px.MeanFieldNoise(Sigma=0.3), 2 * N * m, 0.3 / N),
        (px.MeanFieldNoise(Sigma_bar=0.3), 2 * m, 0.3),
    ],
    ids=["idiosyncratic", "common"],
)
def test_the_noise_energy_is_a_chi_square(noise, degrees, scale):
    """Kolmogorov-Smirnov: Σ_t mean_i |ω^i|² = σ²/N · χ²(T N m), and Σ_t |ω̄|² = σ̄² · χ²(T m)."""
    system = px.MeanFieldSystem(A=np.zeros((m, m)))
    settings = {"n_agents": N, "runs": RUNS, "record": "totals"}
    energy = px.simulate(system, STILL, rounds=2, noise=noise, **settings).noise_energy
    assert stats.kstest(energy, stats.chi2(degrees, scale=scale).cdf).pvalue > P_VALUE


def test_a_given_initial_state_is_not_drawn():
    system, noise = px.MeanFieldSystem(A=np.zeros((m, m))), px.MeanFieldNoise(Sigma_0=1.0)
    run = px.simulate(system, STILL, rounds=1, n_agents=N, noise=noise, x0=[1.0, 2.0])
    np.testing.assert_array_equal(run.initial, np.broadcast_to([1.0, 2.0], (N, m)))


def test_one_key_draws_the_same_worlds_again(runs):
    np.testing.assert_array_equal(simulate(0).x, runs.x)


def test_another_key_draws_other_worlds(runs):
    assert not np.any(simulate(1).x == runs.x)


# --- the value ---------------------------------------------------------------------------------

GAMMA = 3.0
GAME = px.RobustGame(  # the reference case of the theory page
    px.MeanFieldSystem(
        A=[[0.9, 0.2], [0.1, 0.8]],
        A_bar=[[0.1, 0.0], [0.05, 0.1]],
        B=[[1.0, 0.0], [0.2, 0.7]],
        B_bar=[[0.2, 0.0], [0.0, 0.1]],
    ),
    px.MeanFieldCost(Q=1.0, Q_bar=2.0),
    px.MeanFieldNoise(np.diag([0.3, 0.2]), np.diag([0.1, 0.2]), 6.0, 4.0),
    horizon=10,
)
SADDLE = px.solve(GAME, GAMMA)
CONTROLLER = px.MeanFieldFeedback(SADDLE.K1, SADDLE.L1)
ADVERSARY = px.LinearAdversary(SADDLE.K2, SADDLE.L2)


def played(controller, adversary, n_agents, runs=4000):
    """J − γ² (energy of d) of many runs."""
    run = px.simulate(
        GAME.system,
        controller,
        adversary,
        GAME.cost,
        rounds=10,
        noise=GAME.noise,
        n_agents=n_agents,
        runs=runs,
        record="totals",
    )
    return run.cost - GAMMA**2 * run.disturbance_energy


@pytest.mark.parametrize(("n_agents", "value"), [(1, None), (10, 58.22202517621917)], ids=str)
def test_the_saddle_points_value_is_what_is_paid_on_average(n_agents, value):
    """z-test of E[J − γ²ϖ_d] = V_N."""
    value = SADDLE.value_for(n_agents) if value is None else value
    assert_mean(played(CONTROLLER, ADVERSARY, n_agents), value)


def assert_positive_mean(samples: np.ndarray) -> None:
    """One-sided z-test, the other way round: the mean is positive beyond doubt."""
    assert samples.mean() / (samples.std(ddof=1) / np.sqrt(len(samples))) > stats.norm.isf(P_VALUE)


@pytest.fixture(scope="module")
def at_the_saddle():
    return played(CONTROLLER, ADVERSARY, 10)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.5])
def test_no_other_adversary_does_better(at_the_saddle, share):
    """In the same worlds: one key draws one noise."""
    other = px.LinearAdversary(share * SADDLE.K2, share * SADDLE.L2)
    assert_positive_mean(at_the_saddle - played(CONTROLLER, other, 10))


@pytest.mark.parametrize("share", [0.7, 1.3])
def test_no_other_controller_does_better(at_the_saddle, share):
    other = px.MeanFieldFeedback(share * SADDLE.K1, share * SADDLE.L1)
    assert_positive_mean(played(other, ADVERSARY, 10) - at_the_saddle)
