"""The cost of a run as a quadratic in M, written out exactly.

The state answers M^{[p]} with the same response whatever p, only p rounds later (ŵ = 0 and no learned part before round 0):

    ∂x_t/∂M^{[p]} = G_{t−p},   G_{s+1} = (A − BK) G_s + B ⊗ ŵ_s,   G_s = 0 for s ≤ 0
    ∂u_t/∂M^{[p]} = −K G_{t−p} + I ⊗ ŵ_{t−p}

Stacked and weighted as Z_s = (√Q ∂x, √R ∂u), block (p, q) of the quadratic's matrix is Σ_t Z_{t−p}ᵀ Z_{t−q}, which differs
from block (p−1, q−1) by one term at each end of the run: only the first row of blocks is summed over time, H times less
work than the regression it stands for. Time passes in chunks, so memory does not grow with the run.

Two things shrink large worlds and change nothing: rows that the weights do not see are left out of Z, and ŵ may be
handed over in coordinates of the subspace it lives in (`spanned`), which is as large as what pushes the state, not as
the state.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.linalg import block_diag

from phalanx._linalg._balls import project_host
from phalanx.costs import Quadratic, Tracking
from phalanx.evaluation._counterfactual import Counterfactual
from phalanx.evaluation._rollout import World, dac_paths

# Numbers that one chunk of responses holds.
CHUNK = 4_000_000
# Splitting: at most so many rounds of it, and how far apart the residuals may drift before the penalty moves.
ROUNDS, DRIFT, EVERY = 2000, 5.0, 10

_paths = eqx.filter_jit(dac_paths)


@dataclass(frozen=True, eq=False)
class QuadraticInM:
    """cost(M) = mᵀ P m + 2 gᵀ m + constant, m the entries of M (H, p, n) in order."""

    P: Float[np.ndarray, "d d"]
    g: Float[np.ndarray, " d"]
    constant: float
    shape: tuple[int, int, int]

    def value(self, M: np.ndarray) -> float:
        """cost(M)."""
        m = M.ravel()
        return float(m @ (self.P @ m) + 2 * self.g @ m + self.constant)

    def slope(self, M: np.ndarray) -> np.ndarray:
        """Its gradient, shaped like M."""
        return 2 * (self.P @ M.ravel() + self.g).reshape(self.shape)


def is_quadratic(cost: object) -> bool:
    """Whether `assemble` applies."""
    return isinstance(cost, Quadratic | Tracking)


def spanned(fed: Float[np.ndarray, "T n"]) -> Float[np.ndarray, "n r"]:
    """V with orthonormal columns and ŵ = V Vᵀ ŵ up to rounding; the identity where ŵ goes everywhere.

    M^{[p]} = m^{[p]} Vᵀ then is as large as m^{[p]}, and what M does across V reaches no cost.
    """
    sizes, directions = np.linalg.svd(fed, full_matrices=False)[1:]
    seen = sizes > max(fed.shape) * np.finfo(float).eps * sizes[0]
    if seen.sum() in (0, fed.shape[1]):
        return np.eye(fed.shape[1])
    return directions[seen].T


def responses(
    world: Counterfactual, memory: int, burn_in: int
) -> Iterator[tuple[int, int, Float[np.ndarray, "L rows pn"]]]:
    """Chunk by chunk (start, stop, Z): unweighted Z_s from `memory` rounds before start up to stop − 1.

    A chunk starts at `burn_in`; `fed` may have fewer entries than the state. Call it in float64.
    """
    T, r = world.fed.shape
    n, p = world.B.shape
    rows = n + p
    # A Newton step spreads the columns of all lags out.
    length = int(min(T, max(2 * memory, CHUNK // (rows * p * r * memory))))
    F, B = jnp.asarray(world.loop), jnp.asarray(world.B)
    state = jnp.zeros((n, p * r))
    halo = np.zeros((memory, rows, p * r))
    edges = sorted({*range(0, T, length), burn_in, T})
    for start, stop in itertools.pairwise(edges):
        L = stop - start
        fed = np.zeros((length, r))
        fed[:L] = world.fed[start:stop]
        G, after = _responses(F, B, state, jnp.asarray(fed))
        state, G, fed = after[L - 1], np.asarray(G)[:L], fed[:L]
        direct = (np.eye(p)[None, :, :, None] * fed[:, None, None, :]).reshape(L, p, p * r)
        Z = np.concatenate([halo, np.concatenate([G, direct - world.K @ G], axis=1)])
        yield start, stop, Z
        halo = Z[-memory:]


def assemble(world: Counterfactual, memory: int, burn_in: int) -> QuadraticInM:
    """The run's cost from round `burn_in` on, as a quadratic in M. Call it in float64.

    `fed` may have fewer entries than the state (see `spanned`); M then reads these.
    """
    T, r = world.fed.shape
    n, p = world.B.shape
    H, d = memory, p * r
    root = np.asarray(block_diag(_root(world.cost.Q, n), _root(world.cost.R, p)))
    rows = root.shape[0]
    x, u = _paths(World(world), jnp.zeros((1, p, r)))
    x = np.asarray(x)
    if isinstance(world.cost, Tracking):
        now = world.first_round + np.arange(T)
        x = x - world.cost.target[np.minimum(now, len(world.cost.target) - 1)]
    base = np.concatenate([x, np.asarray(u)], axis=1) @ root.T  # (T, rows)

    first_row = np.zeros((H, d, d))
    g = np.zeros((H, d))
    entering = leaving = np.zeros((H, rows, d))
    for start, stop, Z in responses(world, H, burn_in):
        Z = root @ Z
        if start == burn_in:
            entering = Z[:H]
        leaving = Z[-H:]
        if start < burn_in:
            continue
        flat = Z.reshape(-1, d)
        size = (stop - start) * rows
        lagged = [flat[(H - q) * rows :][:size] for q in range(1, H + 1)]
        weight = base[start:stop].ravel()
        for q in range(H):
            first_row[q] += lagged[0].T @ lagged[q]
            g[q] += weight @ lagged[q]

    blocks = np.zeros((H, H, d, d))
    blocks[0] = first_row
    for i in range(1, H):
        for j in range(i, H):
            # One term enters at the front and one leaves at the back (i, j count from 0: lags i + 1, j + 1).
            blocks[i, j] = (
                blocks[i - 1, j - 1]
                + entering[-1 - i].T @ entering[-1 - j]
                - leaving[-1 - i].T @ leaving[-1 - j]
            )
    P = blocks.swapaxes(1, 2).reshape(H * d, H * d)
    P = np.triu(P) + np.triu(P, 1).T
    return QuadraticInM(P, g.ravel(), float((base[burn_in:] ** 2).sum()), (H, p, r))


def minimise_quadratic(
    quadratic: QuadraticInM, limits: np.ndarray, tolerance: float, least: float
) -> tuple[np.ndarray, float]:
    """(M, gap): the least-norm minimiser where that fits the set, else by splitting (ADMM) until the gap is met.

    The splitting's linear step is diagonal in the eigenbasis of P, so that its penalty can move at no cost, and
    nearly dependent columns, which bring gradient descent to a crawl, do no harm.

    Args:
        quadratic: what is minimised.
        limits: (H,) the balls' radii.
        tolerance: accepted gap as a share of the cost.
        least: the least that the cost counts as there.

    Source: Boyd, Parikh, Chu, Peleato and Eckstein 2011, Section 3.4.1 (residual balancing).
    """
    values, vectors = np.linalg.eigh(quadratic.P)
    values = np.maximum(values, 0.0)
    largest = values[-1]
    if largest == 0:  # nothing that M does reaches the cost
        return np.zeros(quadratic.shape), 0.0
    turned = vectors.T @ quadratic.g
    best, best_gap = np.zeros(quadratic.shape), gap(quadratic, np.zeros(quadratic.shape), limits)
    for cut in (len(values) * np.finfo(float).eps, 1e-12, 1e-10):
        seen = values > cut * largest
        m = -vectors[:, seen] @ (turned[seen] / values[seen])
        M = project_host(m.reshape(quadratic.shape), limits)
        found = gap(quadratic, M, limits)
        if found < best_gap:
            best, best_gap = M, found
        if best_gap <= tolerance * max(quadratic.value(best), least):
            return best, best_gap
    Z, U = best.ravel(), np.zeros(len(values))
    penalty = 1e-3 * largest
    for step in range(ROUNDS):
        m = vectors @ ((penalty * (vectors.T @ (Z - U)) - turned) / (values + penalty))
        before, Z = Z, project_host((m + U).reshape(quadratic.shape), limits).ravel()
        U = U + m - Z
        if step % EVERY == EVERY - 1:
            M = Z.reshape(quadratic.shape)
            found = gap(quadratic, M, limits)
            if found < best_gap:
                best, best_gap = M.copy(), found
            if best_gap <= tolerance * max(quadratic.value(best), least):
                break
            apart, moved = np.linalg.norm(m - Z), penalty * np.linalg.norm(Z - before)
            apart = apart * penalty
            scale = 2.0 if apart > DRIFT * moved else 0.5 if moved > DRIFT * apart else 1.0
            penalty, U = penalty * scale, U / scale
    return best, best_gap


def gap(quadratic: QuadraticInM, M: np.ndarray, limits: np.ndarray) -> float:
    """⟨∇, M⟩ + Σ_p a_p ‖∇^{[p]}‖_*: how far cost(M) can be above the least on the set."""
    slope = quadratic.slope(M)
    nuclear = np.linalg.svd(slope, compute_uv=False).sum(-1)
    return max(float((slope * M).sum() + limits @ nuclear), 0.0)


@jax.jit
def _responses(F: jax.Array, B: jax.Array, G: jax.Array, fed: jax.Array):
    """G_s before, and after, each round of a chunk: (L, n, p·n) both."""
    highest = jax.lax.Precision.HIGHEST

    def step(G: jax.Array, w: jax.Array):
        push = (B[:, :, None] * w).reshape(G.shape)
        after = jnp.matmul(F, G, precision=highest) + push
        return after, (G, after)

    return jax.lax.scan(step, G, fed)[1]


def _root(weight: np.ndarray, size: int) -> Float[np.ndarray, "rows size"]:
    """Rows whose squares sum to the weight, which may be a scalar; none for directions that cost nothing."""
    weight = np.asarray(weight, dtype=np.float64)
    if weight.ndim == 0:
        return np.sqrt(weight) * np.eye(size)
    values, vectors = np.linalg.eigh(weight)
    seen = values > size * np.finfo(float).eps * np.abs(values).max()
    return np.sqrt(values[seen])[:, None] * vectors[:, seen].T
