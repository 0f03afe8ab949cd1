"""The learner's set: every M^[p] in a ball of the spectral norm, ‖M^[p]‖₂ ≤ a (1 − ρ)^p.

The Frobenius norm is never below the spectral norm, so a block whose Frobenius norm fits needs no
work: only where some block's does not are singular values computed. They come from the Gram matrix
on the smaller side, which is a handful of numbers and loses no digits that matter: a value that is
clipped is among the largest.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float


def bounds(radius: float, decay: float, memory: int) -> Float[np.ndarray, " H"]:
    """A (1 − ρ)^p for p = 1..H."""
    return radius * (1.0 - decay) ** np.arange(1, memory + 1)


@jax.custom_batching.custom_vmap
def project(
    M: Float[jax.Array, "*batch H p n"], limits: Float[jax.Array, "*batch H"]
) -> Float[jax.Array, "*batch H p n"]:
    """The nearest point of the set: singular values of each block clipped at its limit."""
    fits = jnp.sqrt((M * M).sum((-2, -1))) <= limits
    return jax.lax.cond(fits.all(), lambda M: M, lambda M: _clip(M, limits), M)


@project.def_vmap
def _project_batch(axis_size: int, batched: list, M: jax.Array, limits: jax.Array):
    # One question for all agents: a `cond` under `vmap` would compute both branches for each.
    if not batched[0]:
        M = jnp.broadcast_to(M, (axis_size, *M.shape))
    return project(M, limits if batched[1] else jnp.broadcast_to(limits, M.shape[:-2])), True


def project_host(M: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """`project` on NumPy arrays, block by block where one does not fit."""
    outside = np.sqrt(np.einsum("...pn,...pn->...", M, M)) > limits
    if not outside.any():
        return M
    M = M.copy()
    U, S, Vt = np.linalg.svd(M[outside], full_matrices=False)
    M[outside] = U * np.minimum(S, limits[outside][..., None])[..., None, :] @ Vt
    return M


def _clip(M: jax.Array, limits: jax.Array) -> jax.Array:
    # Scaled before it is squared: a block that blows up must not come back as zero by way of ∞.
    scale = jnp.abs(M).max((-2, -1), keepdims=True)
    scale = jnp.where(scale > 0, scale, 1.0)
    unit = M / scale
    ceiling = limits[..., None] / scale[..., 0]
    # Each way round is written out: a transposed copy of all blocks would cost more than the rest.
    wide = M.shape[-2] <= M.shape[-1]
    gram, back = (
        ("...ij,...kj->...ik", "...ik,...kj->...ij")
        if wide
        else ("...ji,...jk->...ik", "...ji,...ik->...jk")
    )
    squares = jnp.einsum(gram, unit, unit, precision="highest")
    if squares.shape[-1] == 1:  # a row or a column: its norm is its only singular value
        out = M * _shrink(squares[..., 0], ceiling)[..., None]
    else:
        values, vectors = jnp.linalg.eigh(squares)
        shrunk = vectors * _shrink(values, ceiling)[..., None, :]
        clip = jnp.einsum("...ik,...jk->...ij", shrunk, vectors, precision="highest")
        out = jnp.einsum(back, *((clip, M) if wide else (M, clip)), precision="highest")
    inside = jnp.sqrt((unit * unit).sum((-2, -1))) <= ceiling[..., 0]
    return jnp.where(inside[..., None, None], M, out)


def _shrink(squares: jax.Array, ceiling: jax.Array) -> jax.Array:
    """What takes singular values, given by their squares, down to the ceiling."""
    size = jnp.sqrt(jnp.maximum(squares, 0.0))
    return jnp.minimum(1.0, ceiling / jnp.where(size > 0, size, 1.0))
