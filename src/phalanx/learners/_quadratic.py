"""What costs alone say about a stage: a quadratic, and from it the saddle point.

With later gains fixed, the payoff of W = [θ¹; θ²] at one stage, for one draw with first state s = (y, z),
is a quadratic in W: perturbing it by E = [E_y E_z] adds

    2 Tr(Eᵀ(S W + N) s sᵀ) + noise terms, linear in E,          the odd part
    Tr(S_y E_y y yᵀ E_yᵀ) + Tr(S_z E_z z zᵀ E_zᵀ),               the even part

with S of size p + q: [B D]ᵀP[B D] + diag(R, −γ²I) up to signs. Rollouts under W + E, W − E and W on the
same draw tell both parts apart. All draws are tried under the same few perturbations: each entry of
W by itself, which gives the gradient, and pairs of entries, which give S ⊗ Ŷ, where Ŷ is the average of
s sᵀ over the draws at hand. The gradient is 2(S W + N)Ŷ with the same Ŷ, so in the solve for the
saddle point Ŷ cancels: how few or how lopsided the draws are does not matter. What is left is the
noise terms' average, which antithetic draws remove as well.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from phalanx._xla import wide_jit
from phalanx.learners._base import Oracle
from phalanx.learners._chunks import chunked, sum_over
from phalanx.learners._gains import JointGains


class Design(NamedTuple):
    """The perturbations that all draws are tried under.

    Attributes:
        directions: (P, p+q, 2m), to be added and subtracted: first every entry by itself, row by
            row; with `full` then pairs of rows, and pairs of columns in row 0, half by half.
        scale: (p+q, 2) how far the rows of each half are moved.
        full: whether the pairs are there, and the centre with them.
    """

    directions: np.ndarray
    scale: np.ndarray
    full: bool

    @property
    def rollouts(self) -> int:
        """Rollouts for each draw."""
        return 2 * len(self.directions) + self.full


def design(rows: int, m: int, scale: np.ndarray, full: bool) -> Design:
    """The perturbations for p + q = `rows` rows."""
    out = []

    def entry(i: int, half: int, j: int) -> np.ndarray:
        E = np.zeros((rows, 2 * m))
        E[i, half * m + j] = scale[i, half]
        return E

    halves = (0, 1)
    out += [entry(i, half, j) for i in range(rows) for half in halves for j in range(m)]
    if full:
        for half in halves:
            out += [
                entry(i, half, (i + k) % m) + entry(k, half, (i + k) % m) for i, k in _pairs(rows)
            ]
        for half in halves:
            out += [entry(0, half, j) + entry(0, half, k) for j, k in _pairs(m)]
    return Design(np.stack(out), scale, full)


def _pairs(n: int) -> list[tuple[int, int]]:
    return [(i, k) for i in range(n) for k in range(i + 1, n)]


class Moments(NamedTuple):
    """Averages over draws: of v = (odd parts of the entries, even parts of all directions) and of v vᵀ.

    Attributes:
        mean: of v. square: of v vᵀ. draws: how many.
        cost, energy: mean size of each over all rollouts.
    """

    mean: Any
    square: Any
    draws: Any
    cost: Any
    energy: Any


def moments(
    oracle: Oracle,
    gains: JointGains,
    gamma: Any,
    stage: Any,
    key: jax.Array,
    draws: int,
    directions: Any,
    full: bool,
) -> Moments:
    """Roll out `draws` draws under all directions, their opposites, and the centre if `full`.

    Antithetic draws count in pairs: each pair is averaged before anything else.
    """
    p, q = gains.theta1.shape[-2], gains.theta2.shape[-2]
    c = gains.theta1.shape[-1]
    n, P = (p + q) * c, directions.shape[0]
    G = 2 * P + full
    chunks, size = chunked(oracle, draws, n * G, G)
    dtype = getattr(oracle, "dtype", jnp.float64)
    shared = oracle.prepare(gains, stage)
    twin = 2 if getattr(oracle, "antithetic", False) else 1
    E = jnp.moveaxis(jnp.asarray(directions, dtype), 0, -1)[None, ..., None]
    E = jnp.concatenate([E, -E, jnp.zeros_like(E[..., :full, :])], axis=-2)
    offset = JointGains(E[:, :p], E[:, p:])

    def draw(chunk: Any) -> Any:
        return oracle.draws(jax.random.fold_in(key, chunk), size, stage)

    def total(drawn: Any, chunk: Any) -> tuple:
        cost, energy = oracle.costs(shared, gains, offset, drawn, stage)
        payoff = (cost - gamma**2 * energy).astype(jnp.float64)
        payoff = payoff.reshape(G, size // twin, twin).mean(axis=2)
        plus, minus = payoff[:P], payoff[P : 2 * P]
        v = (plus - minus)[:n] / 2
        if full:
            v = jnp.concatenate([v, (plus + minus) / 2 - payoff[-1]])
        index = chunk * size + twin * jnp.arange(size // twin)
        v = jnp.where(index < draws, v, 0.0)
        real = chunk * size + jnp.arange(size) < draws
        sizes = [jnp.where(real, jnp.abs(X), 0.0).sum() / G for X in (cost, energy)]
        return v.sum(axis=1), v @ v.T, *sizes

    mean, square, cost, energy = sum_over(chunks, draw, total)
    count = -(-draws // twin)
    return Moments(mean / count, square / count, count, cost / draws, energy / draws)


measure = wide_jit(moments)


class Curvature(NamedTuple):
    """S_y, S_z: (2, p + q, p + q), controls first."""

    S: np.ndarray
    controls: int

    @property
    def operator(self) -> np.ndarray:
        """(2, p+q, p+q): near the saddle point the field is 2 · operator · E · Σ; player 2's rows change sign."""
        sign = np.ones(self.S.shape[-1])
        sign[self.controls :] = -1
        return sign[:, None] * self.S

    @property
    def convex(self) -> float:
        """Least eigenvalue of player 1's block of S; positive where its problem is convex."""
        return float(np.linalg.eigvalsh(self.S[:, : self.controls, : self.controls]).min())

    @property
    def concave(self) -> float:
        """Least eigenvalue of minus player 2's block; positive where its problem is concave."""
        return float(-np.linalg.eigvalsh(self.S[:, self.controls :, self.controls :]).max())


# Even parts of a quadratic are S_ii Ŷ_jj; what is this share away from rank one is no quadratic, or noise.
CONSISTENT = 0.05
# Least curvature that is believed where the payoff is no quadratic, as a share of the largest.
FLOOR = 0.1
# Condition beyond which a curvature is rounding: a row too flat for the costs' precision.
SINGULAR = 1e14


class Fit(NamedTuple):
    """What one full measurement says.

    Attributes:
        quadratic: whether it looks like one.
        bend: S, in units where the draws have covariance Σ.
        spread: (2, m, m) Ŷ of the draws.
        gradient: (p+q, 2m). error: covariance of its entries, of what does not cancel with Ŷ.
    """

    quadratic: bool
    bend: Curvature
    spread: np.ndarray
    gradient: np.ndarray
    error: np.ndarray


def fit(found: Moments, plan: Design, controls: int, Sigma: np.ndarray) -> Fit:
    """S, Ŷ and the gradient from a full measurement."""
    # A row that does nothing at all divides by 0 on the way; it is looked for at the end.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _fit(found, plan, controls, Sigma)


def _fit(found: Moments, plan: Design, controls: int, Sigma: np.ndarray) -> Fit:
    rows, m = plan.scale.shape[0], Sigma.shape[-1]
    n, mean = rows * 2 * m, np.asarray(found.mean)
    gradient, even = mean[:n].reshape(rows, 2 * m), mean[n:]
    alone = even[:n].reshape(rows, 2, m)
    by_rows = np.split(even[n : n + len(_pairs(rows)) * 2], 2)
    by_columns = np.split(even[n + len(_pairs(rows)) * 2 :], 2)
    S, Y = np.zeros((2, rows, rows)), np.zeros((2, m, m))
    per_draw = np.zeros((2, m, m, len(mean)))  # Ŷ as a linear function of v
    off = 0.0
    for half in (0, 1):
        scale = plan.scale[:, half]
        c = alone[:, half]  # scale_i² S_ii Ŷ_jj: of rank one
        if not c.any():  # these gains do nothing: one agent has no deviations
            signs = np.where(np.arange(rows) < controls, 1.0, -1.0)
            S[half], Y[half] = np.diag(signs), Sigma[half]
            continue
        y = np.linalg.svd(c)[2][0]
        y = y * np.sign(y.sum())
        s = c @ y
        off = max(off, float(np.abs(c - np.multiply.outer(s, y)).max() / np.abs(c).max()))
        if not off < CONSISTENT or y.min() <= 0:
            off = np.inf
            y = np.diagonal(Sigma[half]) / np.linalg.norm(np.diagonal(Sigma[half]))
            s = c @ y
        for (j, k), value in zip(_pairs(m), by_columns[half], strict=True):
            Y[half, j, k] = Y[half, k, j] = (value / s[0] - y[j] - y[k]) / 2
        Y[half][np.diag_indices(m)] = y
        for (i, k), value in zip(_pairs(rows), by_rows[half], strict=True):
            j = (i + k) % m
            S[half, i, k] = S[half, k, i] = (value / y[j] - s[i] - s[k]) / 2
        S[half][np.diag_indices(rows)] = s
        # Only the product of S and Ŷ shows; the draws' average is Σ.
        unit = m / np.trace(np.linalg.solve(Sigma[half], Y[half]))
        if off == np.inf:
            unit = np.linalg.norm(np.diagonal(Sigma[half]))
        Y[half] *= unit
        S[half] /= unit * np.multiply.outer(scale, scale)
        per_draw[half] = _spread_of_a_draw(n, rows, m, half, s[0] / unit, len(mean))
    gradient = gradient / np.repeat(plan.scale, m, axis=1)
    # Beside a saddle point's later gains the payoff is convex in the controls; where it is not, it
    # wants careful steps, whatever it is.
    if not (np.isfinite(S).all() and np.isfinite(Y).all()):
        S, off = np.nan_to_num(S, nan=0.0, posinf=0.0, neginf=0.0), np.inf
    if off == np.inf or Curvature(S, controls).convex <= 0 or np.linalg.cond(S).max() > SINGULAR:
        gradient, error = slope(found, plan)
        return Fit(False, _own_only(S, controls), Sigma, gradient, error)
    error = _error(found, plan, gradient, Y, per_draw)
    return Fit(True, Curvature(S, controls), Y, gradient, error)


def _own_only(S: np.ndarray, controls: int) -> Curvature:
    """Each player's own curvature with the sign that it should have, and not too small: a careful step.

    Where the payoff is no quadratic, a Newton step may lead anywhere; this one descends and ascends.
    """
    out = np.zeros_like(S)
    for sign, block in ((1, slice(0, controls)), (-1, slice(controls, None))):
        for half in (0, 1):
            values, vectors = np.linalg.eigh(S[half, block, block])
            values = np.maximum(np.abs(values), max(FLOOR * np.abs(values).max(), 1e-300))
            out[half, block, block] = sign * (vectors * values) @ vectors.T
    return Curvature(out, controls)


def _spread_of_a_draw(n: int, rows: int, m: int, half: int, unit: float, length: int) -> np.ndarray:
    """(m, m, length): s sᵀ of a single draw from its even parts in row 0."""
    out = np.zeros((m, m, length))
    for j in range(m):
        out[j, j, n + half * m + j] = 1 / unit
    start = n + n + 2 * len(_pairs(rows)) + half * len(_pairs(m))
    for at, (j, k) in enumerate(_pairs(m)):
        row = -(out[j, j] + out[k, k]) / 2
        row[start + at] += 0.5 / unit
        out[j, k] = out[k, j] = row
    return out


def _error(
    found: Moments, plan: Design, G: np.ndarray, Y: np.ndarray, per_draw: np.ndarray
) -> np.ndarray:
    """Covariance of the mean of G_b − G Ŷ⁻¹ Y_b over draws b: what is left once Ŷ has cancelled."""
    rows, m = plan.scale.shape[0], Y.shape[-1]
    n, length = G.size, per_draw.shape[-1]
    T = np.zeros((n, length))
    T[np.arange(n), np.arange(n)] = 1 / np.repeat(plan.scale, m, axis=1).ravel()
    T = T.reshape(rows, 2, m, length)
    for half in (0, 1):
        share = G.reshape(rows, 2, m)[:, half] @ np.linalg.pinv(Y[half])
        T[:, half] -= np.einsum("ra,abv->rbv", share, per_draw[half])
    T = T.reshape(n, length)
    return T @ np.asarray(found.square) @ T.T / max(float(found.draws) - 1, 1.0)


def slope(found: Moments, plan: Design) -> tuple[np.ndarray, np.ndarray]:
    """The gradient and the covariance of its entries, from a measurement that need not be full."""
    rows, columns = plan.directions.shape[1:]
    n = rows * columns
    unit = 1 / np.repeat(plan.scale, columns // 2, axis=1).ravel()
    mean, square = np.asarray(found.mean)[:n] * unit, np.asarray(found.square)[:n, :n]
    spread = square * np.multiply.outer(unit, unit) - np.multiply.outer(mean, mean)
    return mean.reshape(rows, columns), spread / max(float(found.draws) - 1, 1.0)


def newton(G: np.ndarray, bend: Curvature, Sigma: np.ndarray) -> np.ndarray:
    """What to add to W to reach the saddle point of the quadratic: −½ S⁻¹ G Σ⁻¹, half by half."""
    m = G.shape[1] // 2
    steps = [
        -0.5 * np.linalg.pinv(S) @ g @ np.linalg.pinv(sigma)
        for S, g, sigma in zip(bend.S, (G[:, :m], G[:, m:]), Sigma, strict=True)
    ]
    return np.hstack(steps)


def newton_variance(error: np.ndarray, bend: Curvature, Sigma: np.ndarray) -> float:
    """E|`newton`(G)|² for G with covariance `error`."""
    rows, m = bend.S.shape[-1], Sigma.shape[-1]
    n = rows * 2 * m
    T = np.stack([newton(e.reshape(rows, 2 * m), bend, Sigma).ravel() for e in np.eye(n)], axis=1)
    return float(max(np.trace(T @ error @ T.T), 0.0))


def scales(S: np.ndarray, radius: float) -> np.ndarray:
    """(p+q, 2) how far to move each row: r for the one that bends the payoff least, each to bend it as much."""
    bends = np.abs(np.diagonal(S, axis1=1, axis2=2)).T
    bends = np.maximum(bends, 1e-12 * bends.max() + 1e-300)
    return radius * np.sqrt(bends.min() / bends)
