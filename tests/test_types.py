"""The door every matrix passes: what it lets through, and the sentence it refuses with."""

import math

import numpy as np
import pytest

from phalanx import InputError
from phalanx import _types as types


@pytest.mark.parametrize(
    ("value", "expected"),
    [(2, 2 * np.eye(2)), (0, np.zeros((2, 2))), ([[1, 2], [3, 4]], [[1.0, 2.0], [3.0, 4.0]])],
)
def test_a_matrix_is_what_it_says(value, expected):
    np.testing.assert_array_equal(types.matrix("A", value, 2, 2), expected)


def test_zero_takes_any_shape():
    np.testing.assert_array_equal(types.matrix("B_bar", 0, 2, 3), np.zeros((2, 3)))


@pytest.mark.parametrize("shape", [(2, 3), (5, 2, 3), (7, 5, 2, 3)])
def test_time_and_batch_axes_lead(shape):
    assert types.matrix("B", np.ones(shape), 2, 3).shape == shape


def test_a_matrix_comes_out_in_double_precision():
    assert types.matrix("A", np.ones((2, 2), np.float32), 2, 2).dtype == np.float64


def test_the_callers_array_stays_the_callers():
    given = np.eye(2)
    kept = types.matrix("A", given, 2, 2)
    given[0, 0] = 7.0
    assert kept[0, 0] == 1.0


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (3.0, r"B is the scalar 3, which means 3 times the identity.*\(2, 1\).*not square"),
        (
            [1.0, 2.0],
            r"B has shape \(2,\) and must have shape \(2, 1\).*np.reshape\(B, \(-1, 1\)\)",
        ),
        ([[1.0, 2.0]], r"B has shape \(1, 2\).*it looks transposed"),
        ([[1.0], [2.0], [3.0]], r"B has shape \(3, 1\) and must have shape \(2, 1\)"),
        ([[1.0], [2.0, 3.0]], "B is ragged"),
        ([["a"], ["b"]], "B must hold numbers only"),
        ([[1j], [0]], "B must hold numbers only"),
        (None, "B must"),
        ([[1.0], [math.inf]], r"B must be finite, but it holds inf at index \(1, 0\)"),
    ],
)
def test_a_fault_says_what_was_given_and_what_was_wanted(value, sentence):
    with pytest.raises(InputError, match=sentence):
        types.matrix("B", value, 2, 1)


def test_a_nearly_symmetric_matrix_is_made_exactly_so():
    out = types.symmetric("Q", [[1.0, 0.5], [0.5 + 1e-14, 1.0]], 2)
    assert out[0, 1] == out[1, 0]


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_symmetry_and_sign_are_judged_relative_to_the_matrix(scale):
    with pytest.raises(InputError, match="symmetric"):
        types.symmetric("Q", scale * np.array([[1.0, 0.1], [0.0, 1.0]]), 2)
    with pytest.raises(InputError, match="semidefinite"):
        types.symmetric("Q", scale * np.diag([1.0, -0.1]), 2)


def test_every_stage_is_judged():
    with pytest.raises(InputError, match=r"semidefinite.*-1"):
        types.symmetric("Q", np.stack([np.eye(2), -np.eye(2)]), 2)


@pytest.mark.parametrize(("value", "expected"), [(3, 3), (3.0, 3), (np.int64(3), 3)])
def test_a_horizon_is_a_whole_number_of_stages(value, expected):
    assert types.horizon("horizon", value) == expected


@pytest.mark.parametrize("check", [types.horizon, types.agents])
def test_infinity_is_a_number_of_stages_and_of_agents(check):
    assert check("n", np.inf) == math.inf


@pytest.mark.parametrize("check", [types.horizon, types.agents])
@pytest.mark.parametrize("value", [0, -1, 1.5, math.nan, -math.inf, True, "ten", None])
def test_no_other_number_counts_stages_or_agents(check, value):
    with pytest.raises(InputError, match=r"^n must be"):
        check("n", value)


@pytest.mark.parametrize("value", [1e-3, 5, math.inf, [1.0, 2.0]])
def test_attenuation_levels_are_positive(value):
    np.testing.assert_array_equal(types.attenuation("gamma", value), value)


@pytest.mark.parametrize("value", [0, -1, math.nan, "low", [1.0, 0.0], [[1.0]]])
def test_no_other_level_is_one(value):
    with pytest.raises(InputError, match="gamma must be a positive number"):
        types.attenuation("gamma", value)


def test_the_time_axis_is_the_one_all_share():
    A, B, C = np.ones((5, 2, 2)), np.ones((2, 2)), np.ones((1, 2, 2))
    assert types.same_time_axis([("A", A), ("B", B)]) == 5
    assert types.same_time_axis([("B", B)]) is None
    assert types.same_time_axis([("B", B), ("C", C)]) == 1


def test_in_a_batch_a_time_axis_of_one_is_a_constant():
    A, B = np.ones((3, 5, 2, 2)), np.ones((3, 1, 2, 2))
    assert types.same_time_axis([("A", A), ("B", B)]) == 5


def test_time_axes_that_differ_are_listed():
    with pytest.raises(InputError, match="A has 5, B has 4"):
        types.same_time_axis([("A", np.ones((5, 2, 2))), ("B", np.ones((4, 2, 2)))])
