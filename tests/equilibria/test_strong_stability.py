"""Strong stability: every certificate proves itself, and what cannot be certified is said."""

import re

import mpmath
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from phalanx import InputError
from phalanx.equilibria import strong_stability


def loop(seed: int, n: int, radius: float, skew: float) -> np.ndarray:
    """A loop of the given spectral radius, the less normal the larger `skew`."""
    rng = np.random.default_rng(seed)
    F = np.triu(skew * rng.normal(size=(n, n)), 1) + np.diag(rng.uniform(-1, 1, n))
    F[0, 0] = 1.0
    Q, _ = np.linalg.qr(rng.normal(size=(n, n)))
    return Q @ (radius * F) @ Q.T


def certify(F, decay=None, K=None):
    """The certificate of F itself: B = 0 leaves the loop alone."""
    n = len(F)
    K = np.zeros((1, n)) if K is None else K
    return strong_stability(F, np.zeros((n, len(K))), K, decay)


def assert_proved(F, K, found):
    """The definition, entry by entry: the similarity, its contraction, and all three norms."""
    assert found.ok
    S, inverse = found.S, np.linalg.inv(found.S)
    norms = [np.linalg.norm(X, 2) for X in (K, S, inverse)]
    scale = np.linalg.norm(F, 2) * norms[1] * norms[2]
    np.testing.assert_allclose(S @ found.L @ inverse, F, atol=1e-11 * max(scale, 1.0))
    assert np.linalg.norm(found.L, 2) <= 1 - found.decay * (1 - 1e-6)
    assert max(norms) <= found.kappa * (1 + 1e-6)
    assert found.kappa >= 1
    assert found.decay > 0


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 6),
    margin=st.floats(-5, 0).map(lambda e: 10.0**e),
    skew=st.sampled_from([0.0, 0.1, 1.0, 5.0]),
)
def test_a_certificate_holds_what_the_definition_asks(seed, n, margin, skew):
    F = loop(seed, n, 1 - margin, skew)
    found = certify(F)
    if not found.ok:  # more than float64 can carry: allowed only where it must be
        assert found.outcome.status == "not_converged"
        assert margin < 1e-2
        assert skew > 0
        return
    np.testing.assert_allclose(found.spectral_radius, 1 - margin, rtol=1e-3)
    assert_proved(F, np.zeros((1, n)), found)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 5), share=st.floats(0.1, 0.9))
def test_kappa_is_the_lyapunov_equations_by_another_route(seed, n, share):
    F = loop(seed, n, 0.8, 1.0)
    decay = 0.2 * share
    found = certify(F, decay)
    P = scipy.linalg.solve_discrete_lyapunov((F / (1 - decay)).T, np.eye(n))
    if np.linalg.norm(F, 2) > 1 - decay:
        np.testing.assert_allclose(found.kappa, np.linalg.cond(P) ** 0.25, rtol=1e-6)
    else:
        assert found.kappa == 1
    assert found.decay == decay


def test_the_two_norms_of_the_similarity_are_balanced():
    found = certify(loop(1, 4, 0.9, 2.0))
    norms = np.linalg.norm(found.S, 2), np.linalg.norm(np.linalg.inv(found.S), 2)
    np.testing.assert_allclose(norms, found.kappa, rtol=1e-10)


def test_a_loop_that_contracts_already_needs_no_change_of_coordinates():
    rotation = np.array([[0.0, -0.9], [0.9, 0.0]])
    found = certify(rotation)
    assert found.kappa == 1
    np.testing.assert_array_equal(found.S, np.eye(2))


def test_the_gains_own_norm_counts():
    found = strong_stability(1.0, 1.0, 1.5)
    assert found.kappa == 1.5
    assert found.decay == 0.25


@pytest.mark.parametrize("margin", [1e-2, 1e-4, 1e-6, 1e-7])
def test_a_defective_loop_close_to_instability_is_still_certified(margin):
    """Its P has a condition number of margin⁻³, up to 10²¹: only the root can be had in float64."""
    F = np.array([[1 - margin, 1.0], [0.0, 1 - margin]])
    found = certify(F)
    assert_proved(F, np.zeros((1, 2)), found)
    # The best S is diagonal, by hand: |L| = 1 − ρ asks for an off-diagonal of about ρ, κ for its root.
    assert found.kappa <= 3 * margin**-0.5


def test_a_certificate_holds_in_exact_arithmetic_too():
    """The S that was returned, taken as exact numbers: S⁻¹FS contracts, in fifty digits."""
    F = np.array([[1 - 1e-6, 1.0, 0.3], [0.0, 1 - 1e-6, 0.0], [0.2, 0.0, 0.5]]) - 0.1 * np.diag([0.0, 4.0, 0.0])  # fmt: skip
    for loop_ in (F / np.abs(np.linalg.eigvals(F)).max() * (1 - 1e-6), np.array([[1 - 1e-7, 1.0], [0.0, 1 - 1e-7]])):  # fmt: skip
        found = certify(loop_)
        assert found.ok
        with mpmath.workdps(50):
            S = mpmath.matrix(found.S.tolist())
            inverse = mpmath.inverse(S)
            L = inverse * mpmath.matrix(loop_.tolist()) * S
            size = mpmath.sqrt(max(mpmath.eigsy(L.T * L, eigvals_only=True)))
            assert size <= 1 - found.decay * (1 - 1e-6)
            for X in (S, inverse):
                assert max(mpmath.eigsy(X.T * X, eigvals_only=True)) <= found.kappa**2 * (1 + 1e-6)


def test_what_float64_cannot_certify_is_said_and_not_guessed():
    F = (1 - 1e-9) * np.eye(6) + np.diag(np.ones(5), 1)
    found = certify(F)
    assert found.outcome.status == "not_converged"
    assert "stable, but so barely" in found.outcome.sentence
    assert found.kappa == np.inf
    assert found.S is None


def test_the_default_decay_asks_for_nearly_the_least_memory():
    """Theory's memory is in proportion to κ²/ρ."""
    for seed in range(20):
        F = loop(seed, 4, 0.95, 0.5)
        theory = [(f.kappa**2 / f.decay) for f in (certify(F, 0.05 * s) for s in np.linspace(0.05, 0.95, 19))]  # fmt: skip
        default = certify(F)
        assert default.kappa**2 / default.decay <= 1.5 * min(theory)


@pytest.mark.parametrize(
    ("F", "sentence"),
    [
        ([[0.5, 0.0], [0.0, -1.25]], r"not stable: it has eigenvalue -1.25 .* along x\[1\]"),
        ([[0.0, -1.0], [1.0, 0.0]], r"not stable: it has eigenvalue .*1j \(modulus 1\)"),
        (np.diag([2.0, 0.1, 0.1, 0.1]), r"eigenvalue 2 \(modulus 2\) along x\[0\]"),
        ([[1.0]], r"eigenvalue 1 \(modulus 1\)"),
    ],
)
def test_an_unstable_loop_is_named_by_its_eigenvalue(F, sentence):
    found = certify(np.array(F))
    assert found.outcome.status == "infeasible"
    assert found.decay == 0
    assert not found.ok
    assert re.search(sentence, found.outcome.sentence)


def test_a_decay_beyond_the_margin_is_refused_with_what_there_is():
    found = certify(np.array([[0.9]]), decay=0.2)
    assert not found.ok
    assert "decay below 0.1" in found.outcome.mend


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: strong_stability(np.eye(2), np.ones((2, 1)), np.ones((2, 1))), "K has shape"),
        (lambda: strong_stability(np.eye(2), np.ones((3, 1)), np.ones((1, 2))), "B has shape"),
        (lambda: strong_stability(0.5, 1.0, 0.0, decay=1.0), "decay must be a number between"),
        (lambda: strong_stability(0.5, 1.0, 0.0, decay=np.nan), "decay must be finite"),
        (lambda: strong_stability(np.ones((3, 1, 1)), 1.0, 0.0), "constant in time"),
    ],
)
def test_a_fault_names_the_argument(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()


@pytest.mark.parametrize("off", [0.0, 10.0], ids=["S = I", "S from Lyapunov's equation"])
def test_kappa_bounds_the_gain_too(off):
    """‖K‖ ≤ κ is part of the definition: without it S alone would be served by a far smaller κ."""
    loop = strong_stability([[0.5, off], [0.0, 0.5]], [[1e-9], [0.0]], [[1e6, 0.0]])
    assert loop.ok
    assert loop.kappa >= 1e6
