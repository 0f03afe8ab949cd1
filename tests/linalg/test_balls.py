"""The nearest point of the learner's set, against singular values and against its definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phalanx._linalg._balls import bounds, project, project_host

SHAPES = [(1, 1, 1), (3, 1, 4), (3, 4, 1), (4, 2, 5), (4, 5, 2), (2, 6, 6)]


def by_svd(M, limits):
    U, S, Vt = np.linalg.svd(M, full_matrices=False)
    return (U * np.minimum(S, limits[..., None])[..., None, :]) @ Vt


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("radius", [0.01, 1.0, 100.0])
def test_singular_values_are_clipped(shape, radius):
    M = np.random.default_rng(0).normal(size=shape)
    limits = bounds(radius, 0.3, shape[0])
    wanted = by_svd(M, limits)
    np.testing.assert_allclose(project(jnp.asarray(M), jnp.asarray(limits)), wanted, atol=1e-12 * radius + 1e-13)  # fmt: skip
    np.testing.assert_allclose(project_host(M, limits), wanted, atol=1e-12)


@given(seed=st.integers(0, 2**31), size=st.floats(1e-3, 1e3))
@settings(max_examples=25, deadline=None)
def test_it_is_the_nearest_point(seed, size):
    """⟨M − ΠM, Z − ΠM⟩ ≤ 0 for every Z in the set: what makes ΠM the nearest."""
    rng = np.random.default_rng(seed)
    M, limits = size * rng.normal(size=(3, 2, 4)), bounds(1.0, 0.2, 3)
    P = project_host(M, limits)
    Z = project_host(rng.normal(size=M.shape) * 3, limits)
    assert np.sum((M - P) * (Z - P)) <= 1e-9 * size**2 + 1e-12


def test_what_is_inside_is_left_alone_to_the_last_bit():
    M = np.random.default_rng(1).normal(size=(3, 2, 4)) / 100
    np.testing.assert_array_equal(project(jnp.asarray(M), jnp.ones(3)), M)
    assert project_host(M, np.ones(3)) is M


def test_mapped_over_agents_it_is_each_agents_own():
    M = np.random.default_rng(2).normal(size=(5, 3, 2, 4))
    limits = np.linspace(0.1, 3, 15).reshape(5, 3)
    together = jax.vmap(project)(jnp.asarray(M), jnp.asarray(limits))
    np.testing.assert_allclose(together, by_svd(M, limits), atol=1e-12)
    shared = jax.vmap(project, in_axes=(0, None))(jnp.asarray(M), jnp.asarray(limits[0]))
    np.testing.assert_allclose(shared, by_svd(M, limits[0]), atol=1e-12)
    one = jax.vmap(project, in_axes=(None, 0))(jnp.asarray(M[0]), jnp.asarray(limits))
    np.testing.assert_allclose(one, by_svd(M[0], limits), atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 1, 2), (1, 3, 4)], ids=str)
def test_what_has_blown_up_comes_back_clipped_or_undefined_never_as_zero(shape):
    huge = project(jnp.full(shape, 1e200), jnp.asarray([1e150]))
    np.testing.assert_allclose(np.linalg.norm(huge, 2, axis=(-2, -1)), 1e150, rtol=1e-10)
    assert not np.isfinite(project(jnp.full(shape, jnp.inf), jnp.asarray([1.0]))).all()
