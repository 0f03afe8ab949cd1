"""The covariance programme: its optimum is the regulator's, and its certificate is a certificate."""

import builtins

import numpy as np
import pytest
import scipy.linalg

from phalanx import InputError, NoSolutionError
from phalanx.equilibria import covariance_sdp


def plant(seed, n=3, p=2, radius=1.1):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, n))
    return A * radius / np.abs(np.linalg.eigvals(A)).max(), rng.normal(size=(n, p))


def regulator(A, B, Q, R):
    P = scipy.linalg.solve_discrete_are(A, B, Q, R)
    return np.linalg.solve(R + B.T @ P @ B, B.T @ P @ A), P


@pytest.mark.parametrize("seed", range(3))
def test_with_the_trace_free_it_is_the_regulator(seed):
    A, B = plant(seed)
    rng = np.random.default_rng(seed + 100)
    W = np.diag(rng.uniform(0.5, 2.0, 3))
    Q, R = np.diag(rng.uniform(0.5, 2.0, 3)), np.diag(rng.uniform(0.5, 2.0, 2))
    design = covariance_sdp(A, B, Q, R, W)
    K, P = regulator(A, B, Q, R)
    assert design.ok
    np.testing.assert_allclose(design.K, K, atol=1e-3)
    np.testing.assert_allclose(design.value, np.trace(P @ W), rtol=1e-6)


def test_units_of_noise_and_cost_do_not_matter():
    A, B = plant(4)
    plain = covariance_sdp(A, B)
    scaled = covariance_sdp(A, B, Q=1e6, R=1e6, W=1e-6)
    np.testing.assert_allclose(scaled.K, plain.K, atol=1e-4)
    np.testing.assert_allclose(scaled.trace_bound, 1e-6 * plain.trace_bound, rtol=1e-4)
    np.testing.assert_allclose(scaled.stability.kappa, plain.stability.kappa, rtol=1e-4)


@pytest.mark.parametrize("share", [None, 0.9, 0.7])
def test_the_formulas_certificate_holds_and_the_direct_one_is_no_worse(share):
    """Cheap control spends freely; a bound on the trace takes some of that back."""
    A, B = plant(5)
    free = covariance_sdp(A, B, R=100.0)
    least = covariance_sdp(A, B).trace_bound  # Q = R = I minimises the trace itself
    bound = None if share is None else share * free.trace_bound + (1 - share) * least
    design = covariance_sdp(A, B, R=100.0, trace_bound=bound)
    assert design.ok
    nu = design.trace_bound
    assert bound is None or nu == pytest.approx(bound, rel=1e-5)
    stability, F = design.stability, A - B @ design.K
    assert stability.kappa == pytest.approx(np.sqrt(nu))  # σ² = 1
    assert stability.decay == pytest.approx(1 / (2 * stability.kappa**2))
    S, inverse = stability.S, np.linalg.inv(stability.S)
    np.testing.assert_allclose(S @ stability.L @ inverse, F, atol=1e-12)
    assert np.linalg.norm(stability.L, 2) <= 1 - stability.decay
    assert max(np.linalg.norm(X, 2) for X in (design.K, S, inverse)) <= stability.kappa
    assert design.direct.ok
    assert design.direct.decay == stability.decay
    assert design.direct.kappa <= stability.kappa
    assert design.value >= free.value * (1 - 1e-7)


def test_a_trace_bound_that_no_gain_meets_is_infeasible():
    A, B = plant(5)
    least = covariance_sdp(A, B).trace_bound
    design = covariance_sdp(A, B, trace_bound=0.9 * least)
    assert design.outcome.status == "infeasible"
    assert "Raise trace_bound" in design.outcome.mend
    assert np.isnan(design.K).all()


def test_a_mode_out_of_reach_is_named():
    with pytest.raises(NoSolutionError, match=r"eigenvalue 1.2 .* along x\[0\]"):
        covariance_sdp(np.diag([1.2, 0.5]), [[0.0], [1.0]], throw=True)


def test_without_cvxpy_a_sentence_names_the_extra(monkeypatch):
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name == "cvxpy":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(InputError, match=r'needs cvxpy.*extra "sdp"'):
        covariance_sdp(1.0, 1.0)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: covariance_sdp(1.0, 1.0, W=0.0), "W must be positive definite"),
        (lambda: covariance_sdp(1.0, 1.0, R=0.0), "R must be positive definite"),
        (lambda: covariance_sdp(1.0, 1.0, trace_bound=-1.0), "trace_bound must be a positive"),
        (lambda: covariance_sdp(np.eye(2), np.ones((3, 1))), "B has shape"),
        (lambda: covariance_sdp(np.ones((2, 1, 1)), 1.0), "constant in time"),
    ],
)
def test_a_fault_names_the_argument(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()
