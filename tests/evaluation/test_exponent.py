import numpy as np
import pytest

import phalanx as px

LENGTHS = np.array([100, 300, 1000, 3000, 10000])


def test_a_power_law_is_recovered_with_its_interval():
    draws = np.random.default_rng(0)
    hits = 0
    for _ in range(40):
        noise = draws.normal(size=(12, 5)) * 0.3
        fit = px.fit_exponent(LENGTHS, 2.0 * LENGTHS**0.5 * np.exp(noise))
        hits += fit.low <= 0.5 <= fit.high
    assert hits >= 35


def test_an_exact_law_has_no_width():
    fit = px.fit_exponent(LENGTHS, 3.0 * LENGTHS**0.25)
    assert fit.exponent == pytest.approx(0.25)
    assert fit.factor == pytest.approx(3.0)
    assert fit.high - fit.low < 1e-9


def test_what_is_not_positive_is_not_fitted():
    for regret in (-LENGTHS, np.where(LENGTHS == 10000, -1.0, LENGTHS)):
        fit = px.fit_exponent(LENGTHS, np.stack([regret, regret]))
        assert fit.nonpositive
        assert fit.exponent is None
        assert "≤ 0" in fit.sentence
    nil = px.fit_exponent(LENGTHS, np.full(5, 1e-9), floor=1e-6)
    assert nil.nonpositive
    assert "as far as it can be told apart" in nil.sentence


def test_single_points_below_zero_are_left_out_and_said_so():
    regret = LENGTHS**0.5
    regret[0] = -4.0
    fit = px.fit_exponent(LENGTHS, regret)
    assert fit.exponent == pytest.approx(0.5)
    assert "1 values of T" in fit.sentence


def test_one_seed_that_carries_the_sign_gives_no_interval():
    fit = px.fit_exponent([10, 100], [[100.0, 100.0], [-10.0, -10.0]])
    assert fit.high == np.inf


@pytest.mark.parametrize(
    ("T", "regret", "message"),
    [
        ([1], [1.0], "at least two"),
        ([1, 1], [1.0, 1.0], "all different"),
        ([1, 2], [[1.0, 2.0, 3.0]], "shape"),
    ],
)
def test_bad_input(T, regret, message):
    with pytest.raises(px.InputError, match=message):
        px.fit_exponent(T, regret)
    with pytest.raises(px.InputError, match="confidence"):
        px.fit_exponent([1, 2], [1.0, 2.0], confidence=2.0)
