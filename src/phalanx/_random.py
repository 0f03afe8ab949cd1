"""Normal numbers at the speed of the hardware: Threefry written out, so that XLA fuses it.

An explicit population draws two or three normals per agent and stage, and drawing them is most of
its cost. JAX's own Threefry is compiled on CPUs as a loop over rounds that passes its state through
memory; the same twenty rounds written out as plain operations fuse with what turns the words into
normals, in one pass over the agents. The generator is unchanged: Threefry-2×32-20 (Salmon, Moraes,
Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011), checked against its published
test vectors; the normals are checked by Kolmogorov and Smirnov's test and by their moments.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from phalanx._outcome import InputError

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_ROUNDS = 20


def as_key(key: Any) -> jax.Array:
    """A JAX key from a seed, from a key, or from a legacy key of two words.

    Raises:
        InputError: a seed out of range, or several keys.
    """
    if isinstance(key, int | np.integer):
        if not 0 <= key < 2**63:
            raise InputError(
                f"key must be a seed from 0 to 2⁶³ − 1, or a JAX key, but it is {key}."
            )
        return jax.random.key(int(key), impl="threefry2x32")
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.wrap_key_data(jnp.asarray(key, jnp.uint32))
    if key.ndim:
        raise InputError(f"key holds {key.size} keys and must be one.")
    return key


def threefry2x32(
    key: tuple[jax.Array, jax.Array], x0: jax.Array, x1: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The Threefry-2×32-20 block: two uint32 words per counter pair (x0, x1)."""
    ks = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(_PARITY))
    x0, x1 = x0 + ks[0], x1 + ks[1]
    for i in range(_ROUNDS):
        r = _ROTATIONS[(i // 4) % 2][i % 4]
        x0 = x0 + x1
        x1 = ((x1 << r) | (x1 >> (32 - r))) ^ x0
        if i % 4 == 3:
            j = i // 4 + 1
            x0, x1 = x0 + ks[j % 3], x1 + ks[(j + 1) % 3] + jnp.uint32(j)
    return x0, x1


def normal(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """Standard normals of shape (rows, columns), consuming `key`; fast for many columns."""
    return unpack(packed_normal(key, shape, dtype), shape)


def packed_normal(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """What `unpack` turns into normals of `shape`: one array, written in one pass.

    In float32 one block of Threefry gives two normals, which travel as the two parts of a complex
    number: XLA writes one array per loop, and as two arrays the whole computation would be done
    twice. In float64 a block gives one normal of 53 bits.
    """
    rows, columns = shape
    double = dtype == jnp.float64
    words = jax.random.key_data(key).reshape(-1)[-2:]
    counters = (rows if double else (rows + 1) // 2, columns)
    column = jax.lax.broadcasted_iota(jnp.uint32, counters, 1)
    row = jax.lax.broadcasted_iota(jnp.uint32, counters, 0)
    a, b = threefry2x32((words[0], words[1]), column, row)
    return _normal64(a, b) if double else jax.lax.complex(*_two_normals32(a, b))


def unpack(packed: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """The normals of `shape` in what `packed_normal` returned for it."""
    if not jnp.iscomplexobj(packed):
        return packed
    return jnp.concatenate([packed.real, packed.imag])[: shape[0]]


def rows(packed: jax.Array, count: int) -> list[jax.Array]:
    """The normals of `packed_normal`, row by row: read where they are used, without another pass."""
    if not jnp.iscomplexobj(packed):
        return [packed[i] for i in range(count)]
    half = packed.shape[0]
    return [packed[i].real if i < half else packed[i - half].imag for i in range(count)]


def _two_normals32(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Two independent normals from two words (Box & Muller 1958).

    The radius takes all 32 bits of `a` (normals up to 6.7 in modulus); the angle takes its octant from
    the top three bits of `b` and its place in it from the rest, so that sine and cosine are needed
    on [0, π/4] only, where five terms of their series are exact to float32's last digit.
    """
    radius = jnp.sqrt(-2 * jnp.log((a.astype(jnp.float32) + 0.5) * np.float32(2.0**-32)))
    place = (b & jnp.uint32(0x1FFFFFFF)).astype(jnp.float32) + 0.5
    angle = place * np.float32(np.pi / 4 * 2.0**-29)
    square = angle * angle
    sine, cosine = angle * _series(square, (1, 3, 5, 7, 9)), _series(square, (0, 2, 4, 6, 8))
    swap = ((b >> 29) & 1) == 1
    x, y = jnp.where(swap, sine, cosine), jnp.where(swap, cosine, sine)
    x, y = jnp.where((b >> 31) == 1, -x, x), jnp.where(((b >> 30) & 1) == 1, -y, y)
    return radius * x, radius * y


def _series(square: jax.Array, powers: tuple[int, ...]) -> jax.Array:
    """Σ_k (−square)ᵏ / powers[k]!, by Horner's rule."""
    total = jnp.zeros_like(square)
    for k, power in reversed(list(enumerate(powers))):
        total = total * square + np.float32((-1) ** k / math.factorial(power))
    return total


def _normal64(high: jax.Array, low: jax.Array) -> jax.Array:
    """One normal from 53 bits of two words: the midpoint of its cell, never ±1."""
    bits = (high >> 5).astype(jnp.float64) * 2.0**26 + (low >> 6).astype(jnp.float64)
    limit = np.nextafter(1.0, 0.0)
    return np.sqrt(2) * jax.lax.erf_inv(jnp.clip((bits + 0.5) * 2.0**-52 - 1, -limit, limit))
