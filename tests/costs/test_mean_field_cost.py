"""The team's weights: defaults, sizes, and what is refused."""

import numpy as np
import pytest

from phalanx import InputError, MeanFieldCost

STAGES = np.stack([np.eye(2), 2 * np.eye(2), 3 * np.eye(2)])


def test_the_mean_is_weighed_like_the_deviation_by_default():
    cost = MeanFieldCost(Q=2.0, R=3.0).for_sizes(2, 1)
    np.testing.assert_array_equal(cost.Q_bar, cost.Q)
    np.testing.assert_array_equal(cost.R_bar, cost.R)


def test_controls_have_unit_weight_by_default():
    np.testing.assert_array_equal(MeanFieldCost(Q=2.0).for_sizes(2, 3).R, np.eye(3))


def test_the_last_state_is_weighed_like_the_others_by_default():
    cost = MeanFieldCost(Q=2.0, Q_bar=5.0).for_sizes(2, 1)
    np.testing.assert_array_equal(cost.Q_T, 2 * np.eye(2))
    np.testing.assert_array_equal(cost.Q_bar_T, 5 * np.eye(2))


def test_a_varying_weight_ends_with_its_last_stage_by_default():
    np.testing.assert_array_equal(MeanFieldCost(Q=STAGES).Q_T, 3 * np.eye(2))


def test_stages_are_those_of_the_varying_weights():
    assert MeanFieldCost(Q=STAGES).stages == 3
    assert MeanFieldCost(Q=1.0).stages is None


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"Q": [[1.0, 1.0], [0.0, 1.0]]}, "Q must be symmetric"),
        ({"Q": [[1.0, 2.0], [2.0, 1.0]]}, "Q must be positive semidefinite"),
        ({"Q": 1.0, "R": 0.0}, "R must be positive definite.*every control must cost something"),
        ({"Q": 1.0, "R_bar": np.diag([1.0, 0.0])}, "R_bar must be positive definite"),
        ({"Q": 1.0, "Q_T": STAGES}, "Q_T is the weight of the last state alone"),
        ({"Q": 1.0, "Q_bar": -1.0}, "Q_bar must be positive semidefinite"),
    ],
)
def test_what_is_no_weight_is_refused_by_name(given, sentence):
    with pytest.raises(InputError, match=sentence):
        MeanFieldCost(**given)


def test_a_weight_of_the_wrong_size_is_refused():
    with pytest.raises(InputError, match=r"Q has shape \(2, 2\) and must have shape \(3, 3\)"):
        MeanFieldCost(Q=np.eye(2)).for_sizes(3, 1)


def test_weights_that_vary_over_different_stages_are_refused():
    cost = MeanFieldCost(Q=STAGES, R=STAGES[:2])
    with pytest.raises(InputError, match="Q has 3"):
        _ = cost.stages
