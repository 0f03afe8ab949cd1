"""What pushes a large state through few channels makes a small problem, with the same answer."""

import numpy as np
import pytest

import phalanx as px
from phalanx.evaluation import _best_dac
from phalanx.evaluation._quadratic_dac import spanned

DRAWS = np.random.default_rng(2)
N, T = 9, 80
A = 0.85 * np.linalg.qr(DRAWS.normal(size=(N, N)))[0]
E = DRAWS.normal(size=(N, 2))
W = np.sin(np.arange(T) / 5)[:, None] + 0.3 * DRAWS.normal(size=(T, 2))
SEEN = DRAWS.normal(size=(1, N))


def played(Q: np.ndarray) -> px.LinearTrajectory:
    still = px.LinearFeedback(np.zeros((1, N)))
    B = DRAWS.normal(size=(N, 1))
    return px.simulate(
        px.LinearSystem(A, B, E), still, px.Replay(common=W), px.Quadratic(Q, 0.3), rounds=T
    )


@pytest.mark.parametrize("radius", [0.05, 20.0])
def test_the_small_problem_has_the_large_ones_answer(monkeypatch, radius):
    run = played(SEEN.T @ SEEN)
    small = px.best_dac(run, 0, memory=3, radius=radius, tolerance=1e-8)
    monkeypatch.setattr(_best_dac, "spanned", lambda fed: np.eye(fed.shape[1]), raising=False)
    monkeypatch.setattr(
        "phalanx.evaluation._quadratic_dac.spanned", lambda fed: np.eye(fed.shape[1])
    )
    large = px.best_dac(run, 0, memory=3, radius=radius, tolerance=1e-8)
    assert small.outcome.ok
    assert large.outcome.ok
    assert small.cost == pytest.approx(large.cost, rel=1e-7)
    np.testing.assert_allclose(small.costs, large.costs, rtol=1e-3, atol=1e-6)


def test_the_span_holds_every_disturbance_and_no_more():
    fed = W @ E.T
    V = spanned(fed)
    assert V.shape == (N, 2)
    np.testing.assert_allclose(V.T @ V, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(fed @ V @ V.T, fed, atol=1e-12)


@pytest.mark.parametrize("fed", [np.zeros((T, N)), DRAWS.normal(size=(T, N))])
def test_nothing_is_left_out_where_nothing_or_everything_is_pushed(fed):
    np.testing.assert_array_equal(spanned(fed), np.eye(N))
