"""A small matrix applied to many vectors, written so that the compiler can fuse it.

A matrix product is a call: its input and output pass through memory. For a handful of columns the
same product, written as multiply and add, is fused with whatever comes before and after it, and a
population's whole stage becomes a few passes over the agents. Beyond that size the call wins.
"""

import jax
import jax.numpy as jnp
import numpy as np

from phalanx._outcome import InputError

FUSE_UP_TO = 8


def dot(matrix: np.ndarray | jax.Array, x: jax.Array) -> jax.Array:
    """`matrix @ x` as one call, for a vector all agents share: computed once, not fused into each agent."""
    _check(matrix, x)
    return jnp.matmul(jnp.asarray(matrix), x, precision=jax.lax.Precision.HIGHEST)


def apply(matrix: np.ndarray | jax.Array, x: jax.Array) -> jax.Array:
    """`matrix @ x` for x of shape (c,) or (c, N), in full precision on every device."""
    matrix = jnp.asarray(matrix)
    columns = matrix.shape[1]
    _check(matrix, x)
    if columns > FUSE_UP_TO:
        return dot(matrix, x)
    tail = (slice(None),) + (None,) * (x.ndim - 1)
    total = matrix[:, 0][tail] * x[0]
    for j in range(1, columns):
        total = total + matrix[:, j][tail] * x[j]
    return total


def _check(matrix: np.ndarray | jax.Array, x: jax.Array) -> None:
    """A product spelled out would not notice by itself that sizes differ."""
    if matrix.shape[1] != x.shape[0]:
        raise InputError(
            f"a matrix of shape {matrix.shape} (a gain?) is applied to a vector of {x.shape[0]} entries; "
            f"it must have {x.shape[0]} columns."
        )
