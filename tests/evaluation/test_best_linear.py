"""The best linear feedback against the regulator, a grid, and its own class."""

import numpy as np
import pytest
from online_worlds import lqr, one_agent, play_three

import phalanx as px


def grid_best(A: float, w: np.ndarray, limit: float) -> float:
    """Least total cost x² + u² over a fine grid of scalar gains with |A − k| ≤ limit."""
    gains = np.linspace(A - limit, A + limit, 4001)
    x, total = np.zeros_like(gains), np.zeros_like(gains)
    for w_t in w:
        total += x**2 * (1 + gains**2)
        x = (A - gains) * x + w_t
    return float(total.min())


@pytest.mark.parametrize("margin", [0.0, 0.4])
@pytest.mark.parametrize("A", [0.8, 1.3])
def test_a_grid_finds_no_better(A, margin):
    w = np.cumsum(np.random.default_rng(4).normal(size=80)) * 0.3
    record = one_agent(
        np.array([[A]]), np.eye(1), np.array([[A]]), w[:, None], px.Quadratic(1.0, 1.0)
    )
    best = px.best_linear(record, 0, margin=margin)
    assert best.spectral_radius <= 1 - margin
    assert best.cost <= grid_best(A, w, 1 - max(margin, 1e-9)) * (1 + 1e-4)


def test_white_noise_for_long_leads_to_the_regulator():
    draws = np.random.default_rng(0)
    A, B = np.array([[1.0, 0.2], [0.0, 0.9]]), np.array([[0.0], [1.0]])
    optimal = lqr(A, B)
    record = one_agent(A, B, 0.5 * optimal, draws.normal(size=(20_000, 2)), px.Quadratic())
    best = px.best_linear(record, 0, starts=4)
    np.testing.assert_allclose(best.K, optimal, atol=0.03)
    regulator = px.regret(record, 0, optimal)
    assert best.cost <= regulator.comparator_cost
    assert best.cost == pytest.approx(regulator.comparator_cost, rel=3e-3)
    assert best.outcome.ok
    assert best.agreement == best.starts


def test_its_loop_is_strongly_stable_with_the_numbers_given():
    record = play_three("aggregated")
    found = px.regret(record, 0, "linear", margin=0.05, starts=4)
    assert found.counterfactual == "reacting"
    assert found.spectral_radius <= 0.95
    assert found.kappa >= max(1.0, np.linalg.norm(found.K, 2) * (1 - 1e-12))
    assert found.decay == pytest.approx(0.05)
    assert found.optimality_gap is None
    assert "upper bound" in found.notes[0]
    assert found.curve[-1] == pytest.approx(found.regret)


def test_other_costs_need_no_regulator():
    record = play_three("independent", cost=px.Huber(0.5))
    own = px.regret(record, 1, record.policies[1].K)
    best = px.best_linear(record, 1, starts=3)
    assert best.cost <= own.comparator_cost
    repeat = px.best_linear(record, 1, starts=3)
    np.testing.assert_array_equal(best.K, repeat.K)


def test_a_loop_that_cannot_be_held_is_an_outcome():
    system = px.LinearSystem(A=np.diag([0.5, 1.01]), B=[[1.0], [0.0]])
    record = px.simulate(
        system, px.LinearFeedback(np.zeros((1, 2))), px.Gaussian(0.1), px.Quadratic(), rounds=30
    )
    best = px.best_linear(record, 0)
    assert best.outcome.status == "infeasible"
    assert best.cost == np.inf
    assert best.kappa == np.inf
    found = px.regret(record, 0, "linear")
    assert found.regret == -np.inf
    assert "1.01" in found.outcome.text
