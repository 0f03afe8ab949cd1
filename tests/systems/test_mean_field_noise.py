"""Noise is four covariances, and only covariances."""

import numpy as np
import pytest

from phalanx import InputError, MeanFieldNoise

NAMES = ("Sigma", "Sigma_bar", "Sigma_0", "Sigma_bar_0")


def test_noise_is_absent_by_default():
    noise = MeanFieldNoise().for_size(2)
    assert not any(getattr(noise, name).any() for name in NAMES)


def test_a_scalar_is_that_multiple_of_the_identity_of_whatever_size():
    np.testing.assert_array_equal(MeanFieldNoise(Sigma_0=6).for_size(3).Sigma_0, 6 * np.eye(3))


def test_a_singular_covariance_is_a_covariance():
    assert MeanFieldNoise(Sigma=np.diag([1.0, 0.0])).Sigma[1, 1] == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ([[1.0, 0.5], [0.0, 1.0]], "symmetric"),
        ([[1.0, 2.0], [2.0, 1.0]], "positive semidefinite"),
        (-1.0, "positive semidefinite"),
        (np.ones((4, 2, 2)), "noise does not vary in time"),
        ([1.0, 2.0], "shape"),
    ],
)
def test_what_is_no_covariance_is_refused_by_name(name, value, sentence):
    with pytest.raises(InputError, match=f"^{name} .*{sentence}"):
        MeanFieldNoise(**{name: value})


def test_a_covariance_of_the_wrong_size_is_refused():
    with pytest.raises(InputError, match=r"Sigma_bar has shape \(2, 2\)"):
        MeanFieldNoise(Sigma_bar=np.eye(2)).for_size(3)
