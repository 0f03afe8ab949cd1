"""The lower bounds, the small version: claims, and every number by a second route."""

import numpy as np
import pytest

import phalanx as px
from phalanx._record import Record
from phalanx.evaluation._best_dac import best_dac
from phalanx.evaluation._best_linear import best_linear
from phalanx.experiments import _fair_signs as fair
from phalanx.experiments import lower_bound


@pytest.fixture(scope="module")
def record() -> Record:
    return lower_bound.run(True, 0, lambda done, text: None)


def test_no_claim_of_the_paper_fails(record: Record):
    verdicts = [claim["holds"] for claim in record.summary["claims"]]
    assert verdicts == [True] * 6 + [False]
    np.testing.assert_allclose(record.summary["constant"], 0.532, atol=5e-4)
    np.testing.assert_allclose(record.summary["measured_constant"], 0.532, atol=0.15)


def in_the_simulator(policy, eps: np.ndarray) -> px.LinearTrajectory:
    """The same world with a second agent whose control does not reach the state."""
    system = px.LinearSystem(A=0.0, B=[[[1.0]], [[0.0]]])
    policies = [policy, px.LinearFeedback([[0.3]])]
    cost = px.LinearStage(eps[:, None].astype(float))
    return px.simulate(system, policies, px.Step(1.0), cost, len(eps))


@pytest.mark.parametrize("update", ["gradient", "optimistic"])
def test_many_at_once_pay_what_the_simulator_makes_each_pay(update: str):
    eps = fair.signs(3, 4, 60)
    learners = [lower_bound._learner(K, update=update, step_size=0.1) for K in (0.0, 0.4)]
    paid = fair.play([*learners, px.LinearFeedback([[0.5]])], eps, [20, 60])
    for i, policy in enumerate([*learners, px.LinearFeedback([[0.5]])]):
        for s in (0, 3):
            cost = in_the_simulator(policy, eps[s]).cost[:, 0]
            np.testing.assert_allclose(paid[i, s], [cost[:20].sum(), cost.sum()], atol=1e-12)


def test_hindsight_is_that_of_the_library():
    eps = fair.signs(5, 3, 200)
    limits = np.full(lower_bound.MEMORY, lower_bound.RADIUS)
    for K in (-0.5, 0.5):
        exact = fair.action_gains(eps, K, limits, [200])[:, 0]
        for s in range(3):
            run = in_the_simulator(lower_bound._learner(K, step_size=0.1), eps[s])
            np.testing.assert_allclose(-best_dac(run, 0).cost, exact[s], rtol=1e-9)
    grid = fair.linear_gains(eps, lower_bound.RHO, [200], lower_bound.GRID)[:, 0]
    for s in range(3):
        run = in_the_simulator(px.LinearFeedback([[0.0]]), eps[s])
        searched = -best_linear(run, 0, margin=lower_bound.RHO).cost
        assert searched <= grid[s] + 1e-3 * abs(grid[s])


def test_the_law_has_the_mean_it_says():
    for law in (fair.Gains(2 / 3, 2.0), fair.Gains(-0.5, 2.5)):
        g = np.linspace(-40, 40, 400_001)
        F = law.distribution(g)
        mean = np.trapezoid(np.where(g > 0, 1 - F, -F), g)
        np.testing.assert_allclose(mean, law.constant, rtol=1e-3)  # a step of the grid at 0


def test_a_class_of_one_gains_nothing():
    eps = fair.signs(0, 2000, 400)
    gains = fair.linear_gains(eps, 1.0, [400], 1)
    assert abs(gains.mean()) < 4 * gains.std() / np.sqrt(len(gains))
