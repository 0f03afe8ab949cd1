"""The UNROLLED algebra: small dense matrices as elementwise JAX operations, batch axes trailing.

See `_algebra` for why. Loops over rows are Python loops over a handful of indices, unrolled once
when the program is traced; nothing here loops over a batch or over time.
"""

import jax
import jax.numpy as jnp

from phalanx._linalg._algebra import Algebra


def mul(X: jax.Array, Y: jax.Array) -> jax.Array:
    """Matrix product of (r, k, …) and (k, c, …), as multiply and add so that XLA fuses it."""
    X, Y = _align(X, Y)
    total = X[:, 0, None] * Y[None, 0]
    for k in range(1, X.shape[1]):
        total = total + X[:, k, None] * Y[None, k]
    return total


def solve(S: jax.Array, X: jax.Array) -> jax.Array:
    """S⁻¹X for symmetric positive definite S by Gauss–Jordan elimination (stable without pivots)."""
    S, X = _align(S, X)
    n = S.shape[0]
    W = jnp.concatenate(
        [
            jnp.broadcast_to(S, S.shape[:2] + X.shape[2:]),
            jnp.broadcast_to(X, X.shape[:2] + X.shape[2:]),
        ],
        1,
    )
    rows = [W[i] for i in range(n)]
    for k in range(n):
        rows[k] = rows[k] / rows[k][k]
        rows = [row if i == k else row - row[k] * rows[k] for i, row in enumerate(rows)]
    return jnp.stack([row[n:] for row in rows])


def least_eigenvalue(S: jax.Array) -> jax.Array:
    """Least eigenvalue of symmetric S: closed form up to 2×2, cyclic Jacobi sweeps beyond."""
    n = S.shape[0]
    if n == 1:
        return S[0, 0]
    if n == 2:
        mean, half = (S[0, 0] + S[1, 1]) / 2, (S[0, 0] - S[1, 1]) / 2
        return mean - jnp.sqrt(half**2 + S[0, 1] ** 2)

    def sweep(_: int, S: jax.Array) -> jax.Array:
        entries = [[S[i, j] for j in range(n)] for i in range(n)]
        for p in range(n - 1):
            for q in range(p + 1, n):
                entries = _rotate(entries, p, q)
        return jnp.stack([jnp.stack(row) for row in entries])

    # Cyclic Jacobi converges quadratically; eight sweeps reach rounding for n ≤ 8 (tested).
    S = jax.lax.fori_loop(0, 8, sweep, S)
    return jnp.min(jnp.stack([S[i, i] for i in range(n)]), axis=0)


def _rotate(a: list[list[jax.Array]], p: int, q: int) -> list[list[jax.Array]]:
    """One Jacobi rotation in the (p, q) plane, chosen to make entry (p, q) zero."""
    apq = a[p][q]
    zero = apq == 0
    theta = (a[q][q] - a[p][p]) / (2 * jnp.where(zero, 1.0, apq))
    tan = jnp.where(theta >= 0, 1.0, -1.0) / (jnp.abs(theta) + jnp.sqrt(theta**2 + 1))
    tan = jnp.where(zero, 0.0, tan)
    cos = 1 / jnp.sqrt(tan**2 + 1)
    sin = tan * cos
    a = [list(row) for row in a]
    app, aqq = a[p][p] - tan * apq, a[q][q] + tan * apq
    for k in range(len(a)):
        if k not in (p, q):
            kp, kq = a[k][p], a[k][q]
            a[k][p] = a[p][k] = cos * kp - sin * kq
            a[k][q] = a[q][k] = sin * kp + cos * kq
    a[p][p], a[q][q] = app, aqq
    a[p][q] = a[q][p] = jnp.zeros_like(apq)
    return a


def _align(X: jax.Array, Y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Both with as many trailing axes as the longer: a missing batch axis is added at the end."""
    axes = max(X.ndim, Y.ndim)
    return X.reshape(X.shape + (1,) * (axes - X.ndim)), Y.reshape(Y.shape + (1,) * (axes - Y.ndim))


UNROLLED = Algebra(
    mul=mul,
    t=lambda X: X.swapaxes(0, 1),
    solve=solve,
    least_eigenvalue=least_eigenvalue,
    scale=lambda number, X: number * X,
    eye=lambda X: jnp.eye(len(X), dtype=X.dtype).reshape(X.shape[:2] + (1,) * (X.ndim - 2)),
)
