"""The stationary game: closed forms, 50-digit eigenvectors, SciPy, QuantEcon and slycot."""

import warnings

import control
import mpmath as mp
import numpy as np
import pytest
import scipy.linalg
import slycot
from _oracles import (
    Half,
    halves,
    random_game,
    stabilising_mp,
    stacked_dare,
    stationary_level_mp,
)

import phalanx as px

with warnings.catch_warnings():
    # QuantEcon's imports (numba) announce deprecations of their own; nothing of ours is in them.
    warnings.simplefilter("ignore")
    import quantecon as qe

INF = float("inf")


@pytest.fixture(scope="module")
def scalar():
    """The scalar game a = b = d = q = r = 1."""
    return px.RobustGame(px.MeanFieldSystem(A=1.0), px.MeanFieldCost(Q=1.0, R=1.0))


@pytest.fixture(scope="module")
def undetectable():
    """An unstable mode, 1.2, that costs nothing, that the control and the disturbance both reach."""
    return px.RobustGame(
        px.MeanFieldSystem(
            A=[[1.2, 0.0], [0.3, 0.5]], B=[[1.0, 0.0], [0.2, 1.0]], D=[[0.3], [1.0]]
        ),
        px.MeanFieldCost(Q=np.diag([0.0, 1.0])),
    )


@pytest.fixture(scope="module")
def unstabilisable():
    return px.RobustGame(
        px.MeanFieldSystem(A=np.diag([0.5, 1.2]), B=[[1.0], [0.0]]), px.MeanFieldCost(Q=1.0)
    )


def stationary(game):
    return px.RobustGame(game.system, game.cost, game.noise)


def random_stationary(seed, m=3, p=2, q=2):
    return random_game(np.random.default_rng([61, seed]), m, p, q, T=INF)


# --- the scalar game ---------------------------------------------------------------------------


def test_scalar_level_is_the_root_of_two(scalar):
    assert px.attenuation_levels(scalar).saddle == pytest.approx(np.sqrt(2), rel=1e-11)


@pytest.mark.parametrize("gamma", [1.5, 2.0, 5.0, 100.0, INF])
def test_scalar_value_in_closed_form(scalar, gamma):
    M = (1 + np.sqrt(1 + 4 / (1 - gamma**-2.0))) / 2
    assert px.solve(scalar, gamma).M.item() == pytest.approx(M, rel=1e-12)


def test_scalar_value_at_gamma_two(scalar):
    assert px.solve(scalar, 2.0).M.item() == pytest.approx(1.7583057392, abs=5e-11)


def test_scalar_value_right_above_the_level(scalar):
    gamma = px.attenuation_levels(scalar).saddle * (1 + 1e-6)
    with mp.workdps(50):
        exact = (1 + mp.sqrt(1 + 4 / (1 - mp.mpf(gamma) ** -2))) / 2
    saddle = px.solve(scalar, gamma)
    assert saddle.M.item() == pytest.approx(float(exact), rel=1e-9)
    assert saddle.margin == pytest.approx(float(mp.mpf(gamma) ** 2 - exact), rel=1e-7)


# --- the F-16 game -----------------------------------------------------------------------------


def test_f16_level(f16):
    assert px.attenuation_levels(f16).saddle == pytest.approx(0.3637736009, rel=1e-9)


def test_f16_level_agrees_with_bisection_in_50_digits(f16):
    ours = px.attenuation_levels(f16).saddle
    exact = stationary_level_mp(halves(f16)[0], ours * (1 - 1e-3), ours * (1 + 1e-3))
    assert ours == pytest.approx(exact, rel=1e-10)


def test_f16_keeps_its_margin_at_the_level(f16):
    saddle = px.solve(f16, px.attenuation_levels(f16).saddle * (1 + 1e-9))
    assert saddle.margin == pytest.approx(0.1295, abs=5e-5)


def test_f16_loop_reaches_the_unit_circle_at_the_level(f16):
    level = px.attenuation_levels(f16).saddle
    A, B, D = f16.system.A, f16.system.B, f16.system.D
    radius = []
    for share in (1e-4, 1e-6, 1e-8):
        saddle = px.solve(f16, level * (1 + share))
        closed = A - B @ saddle.K1 + D @ saddle.K2
        radius.append(np.abs(np.linalg.eigvals(closed)).max())
    assert max(radius) < 1
    # The distance to the circle falls with the square root of the distance to the level.
    np.testing.assert_allclose(
        np.divide(*(1 - np.array(radius[i : i + 2]) for i in (0, 1))), 10, rtol=0.02
    )


def test_f16_gain_at_gamma_one_is_scipys(f16):
    saddle = px.solve(f16, 1.0)
    M, K1, K2 = stacked_dare(halves(f16)[0], 1.0)
    np.testing.assert_allclose(saddle.M, M, rtol=1e-9, atol=1e-9 * np.abs(M).max())
    np.testing.assert_allclose(saddle.K1, K1, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(saddle.K2, K2, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("share", [1e-3, 1e-6])
def test_f16_digits_survive_right_above_the_level(f16, share):
    gamma = px.attenuation_levels(f16).saddle * (1 + share)
    solved = stabilising_mp(halves(f16)[0], gamma)
    exact, margin = solved[0], solved[1]
    saddle = px.solve(f16, gamma)
    np.testing.assert_allclose(saddle.M, exact, rtol=1e-9, atol=1e-9 * np.abs(exact).max())
    assert saddle.margin == pytest.approx(margin, rel=1e-9)


def test_f16_is_not_fooled_below_the_level_where_fixed_point_iteration_was(f16):
    saddle = px.solve(f16, 0.363762)
    assert not saddle.feasible
    assert "no stabilising solution" in saddle.outcome.sentence


# --- random games against SciPy and 50 digits --------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("share", [1e-3, 0.1, 2.0])
def test_solution_is_scipys_with_the_stacked_inputs(seed, share):
    game = random_stationary(seed)
    gamma = px.attenuation_levels(game).saddle * (1 + share)
    saddle = px.solve(game, gamma)
    assert saddle.feasible
    for half, M, K1, K2 in zip(
        halves(game),
        (saddle.M, saddle.M_bar),
        (saddle.K1, saddle.L1),
        (saddle.K2, saddle.L2),
        strict=True,
    ):
        for ours, theirs in zip((M, K1, K2), stacked_dare(half, gamma), strict=True):
            scale = max(np.abs(theirs).max(), 1e-3)
            np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-8 * scale)


@pytest.mark.parametrize("seed", range(3))
def test_levels_of_random_games_agree_with_bisection_in_50_digits(seed):
    game = random_stationary(seed, m=2)
    levels = px.attenuation_levels(game)
    for half, ours in zip(halves(game), (levels.saddle_deviation, levels.saddle_mean), strict=True):
        exact = stationary_level_mp(half, ours * (1 - 1e-6), ours * (1 + 1e-6))
        assert ours == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize("seed", range(8))
def test_certificate_holds_by_residual_margin_and_stability(seed):
    game = random_stationary(seed, m=4)
    gamma = px.attenuation_levels(game).saddle * 1.01
    saddle = px.solve(game, gamma)
    for half, M, K1, K2 in zip(
        halves(game),
        (saddle.M, saddle.M_bar),
        (saddle.K1, saddle.L1),
        (saddle.K2, saddle.L2),
        strict=True,
    ):
        A, B, D, Q, R = (X[0] for X in half[:5])
        closed = A - B @ K1 + D @ K2
        paid = Q + K1.T @ R @ K1 - gamma**2 * K2.T @ K2
        size = np.abs(M).max()
        np.testing.assert_allclose(paid + closed.T @ M @ closed, M, atol=1e-9 * size)
        assert np.linalg.eigvalsh(M)[0] >= -1e-12 * size
        assert np.linalg.eigvalsh(gamma**2 * np.eye(2) - D.T @ M @ D)[0] > 0
        assert np.abs(np.linalg.eigvals(closed)).max() < 1


# --- other packages ----------------------------------------------------------------------------


def test_infinite_gamma_is_python_controls_dlqr(two_by_two):
    game = stationary(two_by_two)
    saddle = px.solve(game, INF)
    for half, M, K in zip(
        halves(game), (saddle.M, saddle.M_bar), (saddle.K1, saddle.L1), strict=True
    ):
        K_theirs, M_theirs, _ = control.dlqr(*(X[0] for X in (half.A, half.B, half.Q, half.R)))
        np.testing.assert_allclose(M, M_theirs, rtol=1e-10)
        np.testing.assert_allclose(K, K_theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("beta", [1.0, 0.95])
@pytest.mark.parametrize("seed", range(3))
def test_quantecons_robust_rule_is_the_saddle_point_of_the_discounted_matrices(seed, beta):
    # RBLQ: min_u max_w Σ βᵗ (x'Rx + u'Qu − βθ w'w), x⁺ = Ax + Bu + Cw: its Q weighs control and its R
    # state, and the shock of stage t is paid at t+1. √β goes into A, B and C, and γ² = βθ.
    game = random_stationary(seed)
    gamma = 1.3 * px.attenuation_levels(game).saddle
    half = halves(game)[0]
    A, B, D, Q, R = (X[0] for X in half[:5])
    root = np.sqrt(beta)
    theirs = qe.RBLQ(R, Q, A / root, B / root, D / root, beta, gamma**2 / beta)
    F, K, P = theirs.robust_rule()
    saddle = px.solve(game, gamma)
    np.testing.assert_allclose(saddle.M, P, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(saddle.K1, F, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(saddle.K2, K, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_quantecons_nash_equilibrium_of_the_zero_sum_game_is_the_saddle_point(seed):
    # nnash solves the coupled first-order conditions from zero terminal cost and checks no second-order
    # condition: it applies where the value grown from zero is the stabilising one, and above the level.
    game = random_stationary(seed)
    gamma = 1.5 * px.attenuation_levels(game).saddle
    A, B, D, Q, R = (X[0] for X in halves(game)[0][:5])
    W = gamma**2 * np.eye(2)
    none = [np.zeros(s) for s in ((3, 2), (3, 2), (2, 2), (2, 2))]
    F1, F2, P1, P2 = qe.nnash(A, B, D, Q, -Q, R, W, -W, -R, *none, tol=1e-12, max_iter=20_000)
    saddle = px.solve(game, gamma)
    scale = np.abs(saddle.M).max()
    np.testing.assert_allclose(P1, saddle.M, atol=1e-8 * scale)
    np.testing.assert_allclose(P2, -saddle.M, atol=1e-8 * scale)
    np.testing.assert_allclose(F1, saddle.K1, atol=1e-8)
    np.testing.assert_allclose(-F2, saddle.K2, atol=1e-8)


def sb10dd(half: Half, gamma: float, noise: float):
    """Slycot's discrete H∞ synthesis of the game with the state measured through a little noise.

    sb10dd wants a measurement with a full-rank D21, so it cannot see the state exactly: y = x + `noise`·v
    with v a further disturbance. Its level tends to ours from above as `noise` → 0, hence below our
    level it must fail for any noise, and above it must succeed for a small one. Costs are √Q x and √R u.
    """
    A, B, D, Q, R = (X[0] for X in half[:5])
    n, p, q = len(A), B.shape[1], D.shape[1]
    root = lambda X: np.real(scipy.linalg.sqrtm(X))  # noqa: E731
    inputs = np.hstack([D, np.zeros((n, n)), B])
    outputs = np.vstack([root(Q), np.zeros((p, n)), np.eye(n)])
    through = np.zeros((2 * n + p, q + n + p))
    through[n : n + p, q + n :] = root(R)
    through[n + p :, q : q + n] = noise * np.eye(n)
    return slycot.sb10dd(
        n, q + n + p, 2 * n + p, p, n, gamma, A, inputs, outputs, through, tol=1e-14
    )


def test_slycots_synthesis_succeeds_right_above_the_level_and_fails_right_below(two_by_two):
    game = stationary(two_by_two)
    level = px.attenuation_levels(game).saddle_mean
    half = halves(game)[1]
    assert sb10dd(half, 1.001 * level, noise=1e-4)
    with pytest.raises(slycot.exceptions.SlycotArithmeticError):
        sb10dd(half, 0.999 * level, noise=1e-4)


def test_slycots_controller_of_a_clean_measurement_is_our_gain(two_by_two):
    game = stationary(two_by_two)
    half = halves(game)[1]
    _, _, _, _, Dk, X, _, _ = sb10dd(half, 3.0, noise=1e-6)
    saddle = px.solve(game, 3.0)
    np.testing.assert_allclose(X, saddle.M_bar, rtol=1e-6)
    np.testing.assert_allclose(Dk, -saddle.L1, atol=1e-4)


# --- limits ------------------------------------------------------------------------------------


def test_long_horizon_ends_in_the_stationary_game(two_by_two):
    long = px.solve(px.RobustGame(two_by_two.system, two_by_two.cost, horizon=400), 3.0)
    forever = px.solve(stationary(two_by_two), 3.0)
    for name in ("M", "M_bar", "K1", "K2", "L1", "L2"):
        np.testing.assert_allclose(
            getattr(long, name)[0], getattr(forever, name), rtol=1e-11, atol=1e-13, err_msg=name
        )
    assert forever.margin == pytest.approx(
        min(long.margin_mean[0], long.margin_deviation[0]), rel=1e-11
    )


def test_the_noise_budget_holds_by_itself_when_the_disturbance_drives_every_state(two_by_two):
    levels = px.attenuation_levels(stationary(two_by_two), 10)
    assert levels.saddle == levels.mean_field == levels.population


def test_theorem_3_has_no_stationary_level(two_by_two):
    assert px.attenuation_levels(stationary(two_by_two), 10).theorem3 is None


def test_noise_where_the_disturbance_cannot_reach_needs_a_higher_level():
    game = px.RobustGame(
        px.MeanFieldSystem(A=np.diag([0.9, 0.9]), D=[[1.0], [0.0]]),
        px.MeanFieldCost(Q=np.diag([1.0, 100.0])),
        px.MeanFieldNoise(Sigma=np.diag([0.0, 1.0])),
    )
    levels = px.attenuation_levels(game)
    # The second state is its own regulator, M₂₂ free of γ, and the budget is M₂₂ ≤ γ².
    M = scipy.linalg.solve_discrete_are([[0.9]], [[1.0]], [[100.0]], [[1.0]]).item()
    assert levels.mean_field == pytest.approx(np.sqrt(M), rel=1e-10)
    assert levels.mean_field > levels.saddle


# --- modes no cost sees, and modes no control reaches ------------------------------------------


@pytest.mark.parametrize("gamma", [1.5, 2.0, 10.0, INF])
def test_an_unstable_mode_without_cost_gets_the_stabilising_solution(undetectable, gamma):
    saddle = px.solve(undetectable, gamma)
    half = halves(undetectable)[0]
    if np.isinf(gamma):
        M = scipy.linalg.solve_discrete_are(*(X[0] for X in (half.A, half.B, half.Q, half.R)))
    else:
        M, _, _ = stacked_dare(half, gamma)
    assert saddle.feasible
    np.testing.assert_allclose(saddle.M, M, rtol=1e-10, atol=1e-12)
    assert np.abs(np.linalg.eigvals(half.A[0] - half.B[0] @ saddle.K1)).max() < 1


def test_an_unstable_mode_without_cost_has_the_level_of_50_digits(undetectable):
    ours = px.attenuation_levels(undetectable).saddle
    exact = stationary_level_mp(halves(undetectable)[0], ours / 1.5, ours * 1.5)
    assert ours == pytest.approx(exact, rel=1e-10)


def test_an_unstabilisable_game_has_no_levels_and_the_mode_is_named(unstabilisable):
    with pytest.raises(px.NoSolutionError, match=r"eigenvalue 1\.2 .* along x\[1\]") as caught:
        px.attenuation_levels(unstabilisable)
    assert caught.value.outcome.status == "unstabilisable"


def test_an_unstabilisable_game_cannot_be_certified(unstabilisable):
    with pytest.raises(px.NoSolutionError, match=r"eigenvalue 1\.2"):
        px.certify(unstabilisable, 5.0)


def test_solving_an_unstabilisable_game_says_so_and_names_the_mode(unstabilisable):
    outcome = px.solve(unstabilisable, 5.0).outcome
    assert outcome.status == "unstabilisable"
    assert "eigenvalue 1.2" in outcome.sentence


def test_a_mean_that_no_control_reaches_is_named_as_the_mean_system():
    game = px.RobustGame(
        px.MeanFieldSystem(A=0.5, A_bar=1.0, B=1.0, B_bar=-1.0), px.MeanFieldCost(Q=1.0)
    )
    with pytest.raises(px.NoSolutionError, match=r"The mean system .* eigenvalue 1\.5"):
        px.attenuation_levels(game)


def test_a_mode_on_the_unit_circle_without_cost_has_no_stabilising_regulator():
    game = px.RobustGame(
        px.MeanFieldSystem(A=np.diag([1.0, 0.5]), B=np.diag([1.0, 1.0])),
        px.MeanFieldCost(Q=np.diag([0.0, 1.0])),
    )
    with pytest.raises(px.NoSolutionError, match="no stabilising regulator"):
        px.attenuation_levels(game)


def test_one_agent_has_levels_where_only_deviations_cannot_be_stabilised():
    game = px.RobustGame(
        px.MeanFieldSystem(
            A=np.diag([1.2, 0.5]), A_bar=np.diag([-0.5, 0.0]), B=[[0.0], [1.0]], D=1.0
        ),
        px.MeanFieldCost(Q=1.0),
    )
    levels = px.attenuation_levels(game, 1)
    half = halves(game)[1]
    assert levels.saddle == pytest.approx(stationary_level_mp(half, 0.5, 10), rel=1e-10)


# --- cheap control -----------------------------------------------------------------------------


# Controllable, unstable, and R = 0.001: BR⁻¹Bᵀ is some 10⁴, where doubling alone loses digits.
CHEAP = [
    ([[0.0, 1.0, -2.0], [0.0, 2.0, 0.0], [1.0, -1.0, 3.0]], [[-1.0], [-2.0], [-3.0]]),
    ([[2.0, 3.0, -3.0], [3.0, 3.0, 2.0], [1.0, -1.0, 3.0]], [[4.0], [4.0], [3.0]]),
    ([[3.0, -2.0, -1.0], [0.0, 3.0, 1.0], [0.0, 4.0, 0.0]], [[2.0], [-1.0], [0.0]]),
    ([[1.0, -1.0, -1.0], [3.0, 1.0, -1.0], [-3.0, -2.0, -2.0]], [[-4.0], [2.0], [0.0]]),
    ([[-5.0, 1.0, 4.0], [-1.0, 1.0, 0.0], [-1.0, 4.0, -2.0]], [[1.0], [-3.0], [-2.0]]),
]


@pytest.mark.parametrize(("A", "B"), CHEAP)
def test_the_regulator_of_cheap_control_is_found(A, B):
    game = px.RobustGame(px.MeanFieldSystem(A=A, B=B), px.MeanFieldCost(Q=1.0, R=1e-3))
    saddle = px.solve(game, INF)
    assert saddle.feasible
    M = scipy.linalg.solve_discrete_are(A, B, np.eye(3), [[1e-3]])
    np.testing.assert_allclose(saddle.M, M, rtol=1e-8, atol=1e-8 * np.abs(M).max())


@pytest.mark.parametrize(("A", "B"), CHEAP)
def test_the_level_of_cheap_control_agrees_with_bisection_in_50_digits(A, B):
    game = px.RobustGame(px.MeanFieldSystem(A=A, B=B), px.MeanFieldCost(Q=1.0, R=1e-3))
    M = scipy.linalg.solve_discrete_are(A, B, np.eye(3), [[1e-3]])
    below = np.sqrt(np.linalg.eigvalsh(M)[-1]) * (1 - 1e-6)  # γ²I ≻ M(γ) ⪰ M(∞) is necessary
    exact = stationary_level_mp(halves(game)[0], below, 2 * below)
    assert px.attenuation_levels(game).saddle == pytest.approx(exact, rel=1e-8)


# --- below the level ---------------------------------------------------------------------------


def test_below_the_level_every_number_is_nan(scalar):
    saddle = px.solve(scalar, 1.3)
    assert not saddle.feasible
    assert np.isnan(saddle.value)
    assert np.isnan(saddle.M).all()
    assert np.isnan(saddle.K1).all()
    assert np.isnan(saddle.value_for(10))


def test_below_the_level_the_outcome_says_what_is_missing(scalar):
    saddle = px.solve(scalar, 1.3)
    assert saddle.outcome.status == "infeasible"
    assert "no stabilising solution with a positive margin" in saddle.outcome.sentence
