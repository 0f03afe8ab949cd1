"""The two algebras agree with each other and with NumPy; spectra prove what they say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phalanx._linalg import LAPACK
from phalanx._linalg._spectral import is_stable, spectral_radius, unstabilisable_mode
from phalanx._linalg._unrolled import UNROLLED


def symmetric(rng, n, batch=(), floor=None):
    X = rng.normal(size=(*batch, n, n))
    if floor is None:
        return X + X.swapaxes(-1, -2)
    return X @ X.swapaxes(-1, -2) + floor * np.eye(n)


def unrolled(f, *Xs):
    """An UNROLLED operation on batch-first arrays, in float64, batch first again."""
    with jax.enable_x64(True):
        out = f(*(jnp.moveaxis(jnp.asarray(X), (-2, -1), (0, 1)) for X in Xs))
        return np.asarray(out)


# --- the unrolled algebra ----------------------------------------------------------------------


@pytest.mark.parametrize("batch", [(), (5,), (2, 3)])
@pytest.mark.parametrize(("r", "k", "c"), [(1, 1, 1), (2, 3, 4), (5, 1, 2)])
def test_unrolled_product_is_numpys(batch, r, k, c):
    rng = np.random.default_rng([r, k, c])
    X, Y = rng.normal(size=(*batch, r, k)), rng.normal(size=(*batch, k, c))
    out = np.moveaxis(unrolled(UNROLLED.mul, X, Y), (0, 1), (-2, -1))
    np.testing.assert_allclose(out, X @ Y, rtol=1e-13, atol=1e-14)


def test_unrolled_product_shares_a_single_matrix_over_a_batch():
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(2, 3)), rng.normal(size=(6, 3, 2))
    out = np.moveaxis(unrolled(UNROLLED.mul, X, Y), (0, 1), (-2, -1))
    np.testing.assert_allclose(out, X @ Y, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("n", range(1, 9))
def test_unrolled_solution_of_definite_systems_is_numpys(n):
    rng = np.random.default_rng([2, n])
    S, X = symmetric(rng, n, (20,), floor=0.1), rng.normal(size=(20, n, 3))
    out = np.moveaxis(unrolled(UNROLLED.solve, S, X), (0, 1), (-2, -1))
    theirs = np.linalg.solve(S, X)
    np.testing.assert_allclose(out, theirs, rtol=1e-9, atol=1e-11 * np.abs(theirs).max())


def test_elimination_without_pivots_is_backward_stable_on_ill_conditioned_definite_systems():
    rng = np.random.default_rng(3)
    U = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    S = U @ np.diag(np.logspace(0, -10, 6)) @ U.T
    S = (S + S.T) / 2
    X = rng.normal(size=(6, 2))
    out = unrolled(UNROLLED.solve, S, X)
    residual = np.abs(S @ out - X).max() / (np.abs(S).max() * np.abs(out).max())
    assert residual < 1e-14


@pytest.mark.parametrize("n", [1, 2, 3, 4, 8])
def test_unrolled_least_eigenvalue_is_lapacks_to_rounding(n):
    rng = np.random.default_rng([4, n])
    S = symmetric(rng, n, (200,))
    ours = unrolled(UNROLLED.least_eigenvalue, S)
    theirs = np.linalg.eigvalsh(S)
    scale = np.abs(theirs).max(axis=-1)
    assert (np.abs(ours - theirs[:, 0]) / scale).max() < 1e-14


@pytest.mark.parametrize("n", [2, 3, 4])
def test_unrolled_least_eigenvalue_of_special_matrices(n):
    ones = np.ones((n, n))
    special = np.stack([np.zeros((n, n)), np.eye(n), np.diag(np.arange(n) - 2.0), ones, -ones])
    ours = unrolled(UNROLLED.least_eigenvalue, special)
    np.testing.assert_allclose(ours, [0, 1, -2, 0, -n], atol=1e-14 * n)


def test_unrolled_least_eigenvalue_of_clustered_spectra():
    rng = np.random.default_rng(5)
    U = np.linalg.qr(rng.normal(size=(50, 5, 5)))[0]
    S = U @ np.diag([1, 1, 1 + 1e-9, 2, 1e6]) @ U.swapaxes(-1, -2)
    S = (S + S.swapaxes(-1, -2)) / 2
    ours = unrolled(UNROLLED.least_eigenvalue, S)
    np.testing.assert_allclose(ours, np.linalg.eigvalsh(S)[:, 0], atol=1e-14 * 1e6)


def test_unrolled_transpose_scale_and_identity():
    rng = np.random.default_rng(6)
    X, factor = rng.normal(size=(4, 2, 2)), rng.normal(size=4)
    with jax.enable_x64(True):
        last = jnp.moveaxis(jnp.asarray(X), 0, -1)
        np.testing.assert_array_equal(np.moveaxis(UNROLLED.t(last), -1, 0), X.swapaxes(1, 2))
        scaled = np.moveaxis(UNROLLED.scale(jnp.asarray(factor), last), -1, 0)
        np.testing.assert_array_equal(scaled, factor[:, None, None] * X)
        summed = np.moveaxis(UNROLLED.eye(last) + last, -1, 0)
    np.testing.assert_array_equal(summed, np.eye(2) + X)


# --- the LAPACK algebra ------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5])
def test_lapack_solution_and_least_eigenvalue(n):
    rng = np.random.default_rng([7, n])
    S, X = symmetric(rng, n, (6,), floor=0.1), rng.normal(size=(6, n, 2))
    np.testing.assert_allclose(S @ LAPACK.solve(S, X), X, atol=1e-10)
    np.testing.assert_allclose(LAPACK.least_eigenvalue(S), np.linalg.eigvalsh(S)[:, 0], rtol=1e-12)


@pytest.mark.parametrize("n", [1, 2])
def test_lapack_solution_of_a_singular_system_does_not_raise(n):
    assert not np.isfinite(LAPACK.solve(np.zeros((n, n)), np.ones((n, 1)))).any()


@pytest.mark.parametrize("n", [1, 2])
def test_a_matrix_that_is_not_finite_has_no_positive_least_eigenvalue(n):
    with np.errstate(all="ignore"):  # as its callers do: overflow is how an infeasible game ends
        for bad in (np.nan, -np.inf):
            assert not LAPACK.least_eigenvalue(np.full((n, n), bad)) > 0


def test_one_bad_matrix_leaves_its_neighbours_alone():
    S = np.stack([np.eye(2), np.full((2, 2), np.nan), 3 * np.eye(2)])
    np.testing.assert_array_equal(LAPACK.least_eigenvalue(S), [1, -np.inf, 3])


# --- spectra -----------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [0.5, 0.999, 1 - 1e-9, 1 + 1e-9, 1.001, 3.0])
def test_stability_is_a_spectral_radius_below_one(radius):
    rng = np.random.default_rng(8)
    A = rng.normal(size=(20, 4, 4))
    A *= radius / spectral_radius(A)[:, None, None]
    assert (is_stable(A) == (radius < 1)).all()


def test_stability_of_a_matrix_that_grows_before_it_decays():
    A = np.array([[0.99, 1e6], [0.0, 0.99]])
    assert np.linalg.norm(A) > 1
    assert is_stable(A)


def test_a_rotation_is_not_stable():
    assert not is_stable(np.array([[0.0, -1.0], [1.0, 0.0]]))


def test_stability_keeps_the_shape_of_the_batch():
    A = np.stack([0.5 * np.eye(2), 2 * np.eye(2), np.full((2, 2), np.inf)])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(is_stable(A[None]), [[True, False, False]])


def test_spectral_radius_of_a_batch():
    A = np.stack([np.diag([0.5, -2.0]), [[0.0, -3.0], [3.0, 0.0]]])
    np.testing.assert_allclose(spectral_radius(A), [2, 3])


def test_a_stabilisable_pair_has_no_unstabilisable_mode():
    assert unstabilisable_mode(np.diag([1.2, 0.5]), np.array([[1.0], [0.0]])) is None


def test_an_unreachable_mode_that_decays_is_no_obstacle():
    assert unstabilisable_mode(np.diag([1.2, 0.99]), np.array([[1.0], [0.0]])) is None


@pytest.mark.parametrize("eigenvalue", [1.0, -1.5, 1.2])
def test_the_unreachable_mode_is_found_in_any_coordinates(eigenvalue):
    rng = np.random.default_rng(9)
    V = rng.normal(size=(3, 3))
    A = V @ np.diag([eigenvalue, 0.5, 1.1]) @ np.linalg.inv(V)
    B = V @ np.array([[0.0], [1.0], [1.0]])
    mode = unstabilisable_mode(A, B)
    assert mode.eigenvalue == pytest.approx(eigenvalue, rel=1e-9)
    # Its left eigenvector is the direction in which nothing that B does can be felt.
    np.testing.assert_allclose(mode.direction @ A, mode.eigenvalue * mode.direction, atol=1e-9)
    np.testing.assert_allclose(mode.direction @ B, 0, atol=1e-9)
    assert np.abs(mode.direction).max() == pytest.approx(1)


def test_a_complex_mode_is_told_with_its_modulus():
    A = np.array([[0.0, -1.1, 0.0], [1.1, 0.0, 0.0], [0.0, 0.0, 0.5]])
    mode = unstabilisable_mode(A, np.array([[0.0], [0.0], [1.0]]))
    assert abs(mode.eigenvalue) == pytest.approx(1.1)
    assert "modulus 1.1) along x[0], x[1]" in str(mode)
