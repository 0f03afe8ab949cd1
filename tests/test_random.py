"""Threefry against its published vectors, and the normals made of it against the normal law.

Statistical claims use fixed keys and state their test; each is passed at p > 1e-3.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from phalanx import _random

SAMPLES = 100_000
P_VALUE = 1e-3
# key, counter, block: Random123's known answers for threefry2x32 with 20 rounds.
KNOWN_ANSWERS = [
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]
PRECISIONS = ["float32", "float64"]


def draw(seed: int, rows: int, columns: int, precision: str) -> np.ndarray:
    with jax.enable_x64(precision == "float64"):
        key = _random.as_key(seed)
        return np.array(_random.normal(key, (rows, columns), jnp.dtype(precision)))


@pytest.mark.parametrize(("key", "counter", "block"), KNOWN_ANSWERS)
def test_threefry_gives_the_published_blocks(key, counter, block):
    words = [jnp.uint32(word) for word in (*key, *counter)]
    out = _random.threefry2x32((words[0], words[1]), words[2], words[3])
    assert tuple(int(word) for word in out) == block


def test_threefry_agrees_with_jax_on_every_counter_of_a_stream():
    """The same cipher by another hand: JAX's, over a thousand counters."""
    from jax.extend.random import threefry_2x32

    key, count = jnp.array([7, 11], jnp.uint32), jnp.arange(2000, dtype=jnp.uint32)
    theirs = threefry_2x32(key, count)
    ours = jnp.concatenate(_random.threefry2x32((key[0], key[1]), count[:1000], count[1000:]))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_normals_are_normal(precision, rows):
    """Kolmogorov-Smirnov on every row."""
    for row in draw(0, rows, SAMPLES, precision):
        assert stats.kstest(row, "norm").pvalue > P_VALUE


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_tails_have_the_right_weight(precision):
    """Binomial test of P(|ξ| > 3.5)."""
    beyond = int((np.abs(draw(1, 10, SAMPLES, precision)) > 3.5).sum())
    assert stats.binomtest(beyond, 10 * SAMPLES, 2 * stats.norm.sf(3.5)).pvalue > P_VALUE


@pytest.mark.parametrize("precision", PRECISIONS)
def test_shape_and_precision_are_the_ones_asked_for(precision):
    out = draw(0, 3, 7, precision)
    assert out.shape == (3, 7)
    assert out.dtype == precision


def assert_uncorrelated(a: np.ndarray, b: np.ndarray) -> None:
    """z-test: the correlation of n independent pairs has standard deviation n^(-1/2)."""
    z = np.corrcoef(a, b)[0, 1] * np.sqrt(a.size)
    assert 2 * stats.norm.sf(abs(z)) > P_VALUE


@pytest.mark.parametrize("precision", PRECISIONS)
def test_rows_are_uncorrelated(precision):
    rows = draw(2, 4, SAMPLES, precision)
    for i in range(4):
        for j in range(i):
            assert_uncorrelated(rows[i], rows[j])
            assert_uncorrelated(rows[i] ** 2, rows[j] ** 2)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_neighbouring_columns_are_uncorrelated(precision):
    (row,) = draw(3, 1, SAMPLES, precision)
    assert_uncorrelated(row[:-1], row[1:])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_neighbouring_keys_are_uncorrelated(precision):
    a, b = (draw(seed, 1, SAMPLES, precision)[0] for seed in (4, 5))
    assert_uncorrelated(a, b)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_one_key_draws_the_same_numbers_again(precision):
    np.testing.assert_array_equal(draw(6, 3, 50, precision), draw(6, 3, 50, precision))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_more_agents_leave_the_first_ones_draws_alone(precision):
    np.testing.assert_array_equal(draw(6, 3, 50, precision), draw(6, 3, 80, precision)[:, :50])


@pytest.mark.parametrize("word", [0x00000000, 0xFFFFFFFF])
def test_the_extreme_words_give_finite_numbers(word):
    word = jnp.uint32(word)
    for other in (0, 0xFFFFFFFF):
        pair = _random._two_normals32(word, jnp.uint32(other))
        assert np.isfinite(np.array(pair)).all()
    with jax.enable_x64(True):
        assert np.isfinite(_random._normal64(word, word))


def test_the_largest_radius_is_that_of_the_smallest_uniform():
    pair = np.array(_random._two_normals32(jnp.uint32(0), jnp.uint32(12345)), dtype=float)
    np.testing.assert_allclose(np.hypot(*pair), np.sqrt(2 * 33 * np.log(2)), rtol=1e-6)


def test_the_two_normals_lie_where_box_and_muller_put_them():
    """Against float64: radius from the first word, angle in its octant from the second."""
    words = np.random.default_rng(3).integers(0, 2**32, size=(2, 4000), dtype=np.uint32)
    x, y = np.array(_random._two_normals32(*(jnp.asarray(w) for w in words)), dtype=float)
    radius = np.sqrt(-2 * np.log((words[0].astype(float) + 0.5) / 2**32))
    np.testing.assert_allclose(x**2 + y**2, radius**2, rtol=3e-6, atol=3e-7)
    place = ((words[1] & 0x1FFFFFFF).astype(float) + 0.5) / 2**29 * np.pi / 4
    np.testing.assert_allclose(
        np.arctan2(np.minimum(abs(x), abs(y)), np.maximum(abs(x), abs(y))), place, atol=1e-6
    )
    octant = words[1] >> 29
    swapped, down, left = (octant & 1).astype(bool), (octant & 2) > 0, (octant & 4) > 0
    sure = np.abs(place - np.pi / 4) > 1e-5
    assert ((np.abs(y) > np.abs(x)) == swapped)[sure].all()
    assert ((x < 0) == left).all()
    assert ((y < 0) == down).all()


def test_the_two_words_of_a_block_give_opposite_numbers_at_the_ends_in_double_precision():
    low, high = jnp.uint32(0), jnp.uint32(0xFFFFFFFF)
    with jax.enable_x64(True):
        assert _random._normal64(low, low) == -_random._normal64(high, high)


def test_a_key_passes_through_and_a_seed_becomes_one():
    key = jax.random.key(3)
    assert _random.as_key(key) is key
    assert bool(jnp.all(jax.random.key_data(_random.as_key(3)) == jax.random.key_data(key)))
