"""Two benchmarks: the law for endless noise by other routes, limit cases, and a world of each kind."""

import numpy as np
import pytest

from phalanx.evaluation._best_dac import best_dac
from phalanx.evaluation._best_linear import best_linear
from phalanx.experiments import comparators


def test_the_law_for_one_lag_by_hand():
    """H = 1: the state's response is 1, F + m, F(F + m), ..; minimise the sum of squares over m."""
    for R in (1.0, 30.0):
        K, F = comparators.BASE, 1 - comparators.BASE
        m = np.linspace(-2, 2, 400_001)
        state = 1 + (F + m) ** 2 / (1 - F**2)
        control = (m - K) ** 2 + K**2 * (F + m) ** 2 / (1 - F**2)
        least = (state + R * control).min()
        np.testing.assert_allclose(
            comparators.law(R, 1), least / comparators.regulator(R)[1] - 1, rtol=1e-6
        )


def test_the_regulator_is_the_least_of_all_gains():
    for R in comparators.LOOPS.values():
        K = np.linspace(0.001, 1.999, 400_001)
        cost = (1 + R * K**2) / (1 - (1 - K) ** 2)
        best, least = comparators.regulator(R)
        np.testing.assert_allclose([K[cost.argmin()], cost.min()], [best, least], rtol=1e-4)


def test_the_law_falls_to_nothing_at_its_rate():
    R = 30.0
    loop = 1 - comparators.regulator(R)[0]
    values = np.array([comparators.law(R, H) for H in (20, 21, 22)])
    assert (values > 0).all()
    np.testing.assert_allclose(values[1:] / values[:-1], loop**2, rtol=0.02)
    assert comparators.law(R, comparators.needed(R, 0.01) - 1) > 0.01


@pytest.mark.parametrize(
    ("name", "dac_wins"), [("slow loop, R = 30", False), ("steps", True), ("far start", False)]
)
def test_each_class_wins_somewhere(name: str, dac_wins: bool):
    run = comparators.play(name, 400, 0)
    dac, linear = best_dac(run, 0, memory=4).cost, best_linear(run, 0, starts=4).cost
    assert (dac < linear) == dac_wins


def test_no_memory_helps_from_a_far_start():
    run = comparators.play("far start", 300, 1)
    base = 0.1
    x = comparators.START * (1 - base) ** np.arange(300)
    way_back = float(np.sum((1 + base**2) * x**2))
    assert best_dac(run, 0, memory=8).cost > way_back
    assert best_linear(run, 0, starts=4).cost < way_back


def test_the_quick_run_says_what_was_found():
    record = comparators.run(True, 0, lambda done, text: None)
    verdicts = [claim["holds"] for claim in record.summary["claims"]]
    assert verdicts == [True, True, True, False, True, True, True]
