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
    fits = (M * M).sum((-2, -1)) <= limits**2
    return jax.lax.cond(fits.all(), lambda M: M, lambda M: _clip(M, limits), M)


@project.def_vmap
def _project_batch(axis_size: int, batched: list, M: jax.Array, limits: jax.Array):
    # One question for all agents: a `cond` under `vmap` would compute both branches for each.
    if not batched[0]:
        M = jnp.broadcast_to(M, (axis_size, *M.shape))
    return project(M, limits if batched[1] else jnp.broadcast_to(limits, M.shape[:-2])), True


def project_host(M: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """`project` on NumPy arrays, block by block where one does not fit."""
    outside = np.einsum("...pn,...pn->...", M, M) > limits**2
    if not outside.any():
        return M
    M = M.copy()
    U, S, Vt = np.linalg.svd(M[outside], full_matrices=False)
    M[outside] = U * np.minimum(S, limits[outside][..., None])[..., None, :] @ Vt
    return M


def _clip(M: jax.Array, limits: jax.Array) -> jax.Array:
    wide = M.shape[-2] <= M.shape[-1]
    rows = M if wide else M.swapaxes(-1, -2)
    gram = jnp.einsum("...ij,...kj->...ik", rows, rows, precision="highest")
    if gram.shape[-1] == 1:  # a row: its norm is its only singular value
        size = jnp.sqrt(gram)
        shrink = jnp.minimum(1.0, limits[..., None, None] / jnp.where(size > 0, size, 1.0))
        out = rows * shrink
    else:
        # A blown-up block must stay visible: `eigh` of it may be anything, so it is passed on.
        values, vectors = jnp.linalg.eigh(gram)
        size = jnp.sqrt(jnp.maximum(values, 0.0))
        shrink = jnp.minimum(1.0, limits[..., None] / jnp.where(size > 0, size, 1.0))
        out = jnp.einsum(
            "...ik,...k,...jk,...jn->...in", vectors, shrink, vectors, rows, precision="highest"
        )
    inside = (rows * rows).sum((-2, -1), keepdims=True) <= (limits**2)[..., None, None]
    out = jnp.where(inside, rows, out)
    return out if wide else out.swapaxes(-1, -2)
