"""What a game refuses, and in which words; how it falls into its two halves."""

import numpy as np
import pytest
from _oracles import halves, random_game

import phalanx as px

I2 = np.eye(2)
NAN = float("nan")
INF = float("inf")
SYSTEM = {"A": I2, "A_bar": I2, "B": I2, "B_bar": I2, "D": I2, "D_bar": I2}
COST = {"Q": I2, "Q_bar": I2, "R": I2, "R_bar": I2, "Q_T": I2, "Q_bar_T": I2}
NOISE = {"Sigma": I2, "Sigma_bar": I2, "Sigma_0": I2, "Sigma_bar_0": I2}


def message(*words):
    return ".*".join(words)


# --- matrices of the system --------------------------------------------------------------------


@pytest.mark.parametrize("name", SYSTEM)
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([[1.0, 2.0], [3.0]], ("is ragged", "same number of entries")),
        ([["one", "two"], ["three", "four"]], ("must hold numbers only",)),
        ([[1.0, None], [0.0, 1.0]], ("must",)),
        ([[1.0, NAN], [0.0, 1.0]], ("must be finite", r"nan at index \(0, 1\)")),
        ([[1.0, 0.0], [-INF, 1.0]], ("must be finite", r"-inf at index \(1, 0\)")),
        (NAN, ("must be finite", "nan")),
    ],
)
def test_a_system_refuses_entries_that_are_not_finite_numbers(name, value, words):
    with pytest.raises(px.InputError, match=message(name, *words)):
        px.MeanFieldSystem(**{**SYSTEM, name: value})


@pytest.mark.parametrize(
    ("name", "shape"), [("A_bar", "2, 2"), ("B_bar", "2, 2"), ("D_bar", "2, 2")]
)
def test_a_system_refuses_a_shape_that_does_not_fit(name, shape):
    with pytest.raises(px.InputError, match=rf"{name} has shape \(3, 3\) .* \({shape}\)"):
        px.MeanFieldSystem(**{**SYSTEM, name: np.eye(3)})


def test_a_system_refuses_an_A_that_is_not_square():
    with pytest.raises(px.InputError, match=r"A has shape \(2, 3\) and must have shape"):
        px.MeanFieldSystem(A=np.ones((2, 3)))


def test_a_transposed_matrix_is_recognised():
    with pytest.raises(px.InputError, match=r"B_bar has shape .* it looks transposed"):
        px.MeanFieldSystem(A=np.eye(3), B=np.ones((3, 2)), B_bar=np.ones((2, 3)))


def test_a_vector_is_told_how_to_become_a_matrix():
    with pytest.raises(
        px.InputError, match=r"A_bar has shape \(4,\) .* np\.reshape\(A_bar, \(2, 2\)\)"
    ):
        px.MeanFieldSystem(A=I2, A_bar=[1.0, 2.0, 3.0, 4.0])


def test_a_scalar_other_than_zero_needs_a_square_shape():
    with pytest.raises(
        px.InputError, match=r"B_bar is the scalar 2, .* \(2, 1\), which is not square"
    ):
        px.MeanFieldSystem(A=I2, B=np.ones((2, 1)), B_bar=2.0)
    assert not px.MeanFieldSystem(A=I2, B=np.ones((2, 1)), B_bar=0.0).B_bar.any()


def test_a_system_refuses_matrices_of_different_length_in_time():
    with pytest.raises(px.InputError, match="A has 3, B has 4"):
        px.MeanFieldSystem(A=np.stack([I2] * 3), B=np.stack([I2] * 4))


def test_a_system_refuses_complex_matrices():
    with pytest.raises(px.InputError, match="A must hold"):
        px.MeanFieldSystem(A=np.array([[1.0 + 2.0j]]))


# --- weights -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COST)
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([[1.0, 2.0], [3.0]], ("is ragged",)),
        ("heavy", ("must hold numbers only",)),
        ([[NAN, 0.0], [0.0, 1.0]], ("must be finite",)),
        ([[1.0, 0.5], [0.0, 1.0]], ("must be symmetric", r"differ by up to 0\.5", "/2")),
        (np.diag([1.0, -0.1]), ("must be positive", r"least eigenvalue is -0\.1")),
        (-1.0, ("must be positive", "least eigenvalue is -1")),
        (np.ones((2, 3)), (r"has shape \(2, 3\)",)),
        ([1.0, 2.0], (r"has shape \(2,\)",)),
    ],
)
def test_a_cost_refuses_what_is_no_weight(name, value, words):
    with pytest.raises(px.InputError, match=message(name, *words)):
        px.MeanFieldCost(**{**COST, name: value})


@pytest.mark.parametrize("name", ["R", "R_bar"])
@pytest.mark.parametrize("value", [0.0, np.diag([1.0, 0.0]), np.ones((2, 2))])
def test_every_control_must_cost_something(name, value):
    with pytest.raises(
        px.InputError, match=rf"{name} must be positive definite.* every control must"
    ):
        px.MeanFieldCost(**{**COST, name: value})


@pytest.mark.parametrize("name", ["Q", "Q_bar", "Q_T", "Q_bar_T"])
def test_a_state_may_cost_nothing(name):
    assert not getattr(px.MeanFieldCost(**{**COST, name: 0.0}), name).any()


@pytest.mark.parametrize("name", ["Q_T", "Q_bar_T"])
def test_the_last_weight_does_not_vary_in_time(name):
    with pytest.raises(px.InputError, match=f"{name} is the weight of the last state alone"):
        px.MeanFieldCost(**{**COST, name: np.stack([I2] * 3)})


def test_asymmetry_of_rounding_is_symmetrised_not_refused():
    Q = px.MeanFieldCost(Q=[[1.0, 0.5], [0.5 + 1e-15, 1.0]]).Q
    np.testing.assert_array_equal(Q, Q.T)


# --- covariances -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NOISE)
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (-0.1, ("must be positive semidefinite", r"-0\.1")),
        ([[1.0, 2.0], [2.0, 1.0]], ("must be positive semidefinite", "-1")),
        ([[1.0, 0.1], [0.0, 1.0]], ("must be symmetric",)),
        ([[1.0, 2.0], [3.0]], ("is ragged",)),
        ([["a"]], ("must hold numbers only",)),
        (INF, ("must be finite",)),
        (np.ones((2, 3)), (r"has shape \(2, 3\)",)),
        (np.stack([I2] * 3), ("must be one constant covariance",)),
    ],
)
def test_noise_refuses_what_is_no_covariance(name, value, words):
    with pytest.raises(px.InputError, match=message(name, *words)):
        px.MeanFieldNoise(**{**NOISE, name: value})


# --- the game ----------------------------------------------------------------------------------


def game(**changes):
    parts = {
        "system": px.MeanFieldSystem(A=I2),
        "cost": px.MeanFieldCost(Q=1.0),
        "noise": px.MeanFieldNoise(Sigma=1.0),
        "horizon": 3,
    }
    return px.RobustGame(**{**parts, **changes})


@pytest.mark.parametrize("horizon", [0, -1, 2.5, NAN, "ten", None, True, [3]])
def test_a_horizon_is_a_positive_whole_number_or_infinity(horizon):
    with pytest.raises(px.InputError, match="horizon must be a positive whole number"):
        game(horizon=horizon)


def test_minus_infinity_is_no_horizon():
    with pytest.raises(px.InputError, match="horizon must be"):
        game(horizon=-INF)


@pytest.mark.parametrize("horizon", [3, 3.0, np.int64(3), np.float64(3)])
def test_whole_numbers_of_any_type_are_horizons(horizon):
    assert game(horizon=horizon).horizon == 3
    assert type(game(horizon=horizon).horizon) is int


@pytest.mark.parametrize(
    ("part", "value", "name"),
    [
        ("cost", px.MeanFieldCost(Q=np.eye(3)), "Q"),
        ("cost", px.MeanFieldCost(Q=1.0, R_bar=np.eye(3)), "R_bar"),
        ("cost", px.MeanFieldCost(Q=1.0, Q_bar_T=np.eye(3)), "Q_bar_T"),
        ("noise", px.MeanFieldNoise(Sigma_bar=np.eye(3)), "Sigma_bar"),
        ("noise", px.MeanFieldNoise(Sigma_0=np.eye(1)), "Sigma_0"),
    ],
)
def test_a_game_refuses_parts_of_another_size(part, value, name):
    with pytest.raises(px.InputError, match=rf"{name} has shape .* must have shape \(2, 2\)"):
        game(**{part: value})


@pytest.mark.parametrize(
    ("what", "part"),
    [
        ("system", px.MeanFieldSystem(A=np.stack([I2] * 4))),
        ("cost", px.MeanFieldCost(Q=np.stack([I2] * 4))),
    ],
)
def test_matrices_that_vary_must_span_the_horizon(what, part):
    with pytest.raises(
        px.InputError, match=f"{what}'s matrices vary over 4 stages, but horizon is 3"
    ):
        game(**{what: part})
    with pytest.raises(px.InputError, match=f"horizon is inf, but the {what}'s matrices vary"):
        game(**{what: part}, horizon=INF)


def test_input_errors_are_value_errors_with_their_own_exit_code():
    with pytest.raises(ValueError, match="horizon") as caught:
        game(horizon=0)
    assert isinstance(caught.value, px.PhalanxError)
    assert caught.value.exit_code == 2


# --- what a game is made of --------------------------------------------------------------------


@pytest.mark.parametrize("varying", [False, True])
def test_halves_are_the_deviation_and_the_summed_matrices(varying):
    random = random_game(np.random.default_rng(81), 3, 2, 1, T=4, varying=varying)
    for which, theirs in zip(("deviation", "mean"), halves(random), strict=True):
        ours = random.half(which)
        assert ours.sizes == (3, 2, 1)
        for name in ("A", "B", "D", "Q", "R"):
            stages = np.broadcast_to(getattr(ours, name), np.shape(getattr(theirs, name)))
            np.testing.assert_array_equal(stages, getattr(theirs, name))
        np.testing.assert_array_equal(ours.Q_T, theirs.Q_T)


def test_weights_default_to_the_deviations_and_the_last_stages():
    Q = np.stack([I2, 2 * I2, 3 * I2])
    cost = game(cost=px.MeanFieldCost(Q=Q, R=0.5)).cost
    np.testing.assert_array_equal(cost.Q_bar, Q)
    np.testing.assert_array_equal(cost.R_bar, 0.5 * I2)
    np.testing.assert_array_equal(cost.Q_T, 3 * I2)
    np.testing.assert_array_equal(cost.Q_bar_T, 3 * I2)


def test_matrices_of_a_game_cannot_be_written_to(two_by_two):
    for X in (two_by_two.system.A, two_by_two.cost.Q, two_by_two.noise.Sigma):
        with pytest.raises(ValueError, match="read-only"):
            X[0, 0] = 1.0


def test_a_game_does_not_follow_the_array_it_was_made_of():
    A = np.eye(2)
    kept = px.MeanFieldSystem(A=A)
    A[0, 0] = 7.0
    assert kept.A[0, 0] == 1.0
