"""Gradients from costs: one-point, two-point and coordinate-wise.

All three have the same shape: perturb the gains, roll out, weigh each perturbation by what it cost.
With e uniform on the sphere of radius r in R^n, f the payoff (cost − γ²·energy) of one rollout:

    one_point    n/r² · mean f(θ + e) e                        P1's, one rollout a sample
    two_point    n/r² · mean ½ (f(θ + e) − f(θ − e)) e         common random numbers, two rollouts
    coordinate   (f(θ + r e_k) − f(θ − r e_k)) / 2r            common random numbers, 2n rollouts

The payoff of one stage's gains is a quadratic, so none of them is biased in the receding-horizon
problem, whatever r is (theory.md §2). Perturbing all stages at once, or in a world that is not
linear, they estimate the gradient of the payoff smoothed over r.

Perturbations come in chunks, so that memory does not grow with the batch; what the next chunk draws
is carried by the loop (see `_law`).
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp

from phalanx import _random
from phalanx.learners._base import Oracle
from phalanx.learners._gains import JointGains

Kind = Literal["exact", "one_point", "two_point", "coordinate"]
KINDS: tuple[Kind, ...] = ("exact", "one_point", "two_point", "coordinate")
# Entries of one chunk's perturbations: with what a rollout needs beside them, they stay in the cache.
CHUNK = 2**16


def rollouts(kind: Kind, batch: int, n: int) -> int:
    """How many rollouts one estimate of n numbers really takes when `batch` are asked for."""
    if kind == "exact":
        return 0
    return draws(kind, batch, n) * variants(kind, n)


def variants(kind: Kind, n: int) -> int:
    """How many variants of the gains are tried on each draw."""
    return {"one_point": 1, "two_point": 2, "coordinate": 2 * n}[kind]


def draws(kind: Kind, batch: int, n: int) -> int:
    """How many draws a batch affords; one at least."""
    return max(1, batch // variants(kind, n))


def gradient(
    oracle: Oracle,
    shared: Any,
    gains: JointGains,
    gamma: Any,
    stage: Any,
    key: jax.Array,
    player: int,
    kind: Kind,
    batch: int,
    radius: Any,
) -> jax.Array:
    """∇̂ of the payoff with respect to player 1's or 2's gains, (1 | T, ·, 2m)."""
    theta = gains[player]
    shape = (1 if stage is not None else theta.shape[0], *theta.shape[1:])
    n = shape[0] * shape[1] * shape[2]
    wanted, G = draws(kind, batch, n), variants(kind, n)
    chunks, size = chunked(oracle, wanted, n * G, G)
    dtype = getattr(oracle, "dtype", jnp.float64)
    still = _still(gains[1 - player], stage, (1, 1))

    def draw(chunk: Any) -> tuple:
        own = jax.random.fold_in(key, chunk)
        directions, start = jax.random.split(own)
        normals = None
        if kind != "coordinate":
            normals = _random.packed_normal(directions, (n, size), dtype)
        return normals, oracle.draws(start, size, stage)

    def total(drawn: tuple, chunk: Any) -> jax.Array:
        normals, start = drawn
        if kind == "coordinate":
            e = radius * jnp.eye(n, dtype=dtype)
            both = jnp.stack([e, -e], axis=2).reshape(n, 2 * n)[:, :, None]
            tried = jnp.broadcast_to(both, (n, 2 * n, size))
        else:
            e = _random.unpack(normals, (n, size))
            e = e * (radius / jnp.sqrt(jnp.sum(e * e, axis=0)))
            tried = jnp.stack([e, -e], axis=1) if kind == "two_point" else e[:, None]
        moved = tried.reshape(*shape, *tried.shape[1:])
        offset = JointGains(moved, still) if player == 0 else JointGains(still, moved)
        cost, energy = oracle.costs(shared, gains, offset, start, stage)
        payoff = cost - gamma**2 * energy
        # The last chunk may be longer than what is left to draw.
        payoff = jnp.where(chunk * size + jnp.arange(size) < wanted, payoff, 0.0)
        if kind == "coordinate":
            return (payoff[0::2] - payoff[1::2]).sum(axis=1) / (2 * radius * wanted)
        weight = payoff[0] if kind == "one_point" else (payoff[0] - payoff[1]) / 2
        weight = weight.astype(e.dtype)
        return jnp.dot(e, weight, precision=jax.lax.Precision.HIGHEST) * (n / (radius**2 * wanted))

    summed = sum_over(chunks, draw, total)
    return summed.reshape(shape)


def chunked(oracle: Oracle, wanted: int, entries: int, G: int) -> tuple[int, int]:
    """(chunks, draws in each) for `entries` numbers of perturbations per draw."""
    if not oracle.traceable:
        return 1, wanted
    most = max(1, CHUNK // max(entries, G * getattr(oracle, "footprint", 0)))
    chunks = -(-wanted // most)
    size = -(-wanted // chunks)
    # Antithetic draws stay together.
    return chunks, size + size % 2 if getattr(oracle, "antithetic", False) else size


def sum_over(chunks: int, draw: Any, total: Any) -> Any:
    """Σ over chunks of total(draw(chunk), chunk) in float64, drawing one chunk ahead."""
    first = draw(jnp.asarray(0))
    if chunks == 1:
        return jax.tree.map(lambda X: X.astype(jnp.float64), total(first, jnp.asarray(0)))

    def step(chunk: Any, carry: tuple) -> tuple:
        sums, drawn = carry
        new = total(drawn, chunk)
        return jax.tree.map(lambda s, x: s + x.astype(jnp.float64), sums, new), draw(chunk + 1)

    shapes = jax.eval_shape(total, first, jnp.asarray(0))
    zero = jax.tree.map(lambda X: jnp.zeros(X.shape, jnp.float64), shapes)
    return jax.lax.fori_loop(0, chunks, step, (zero, first))[0]


def _still(theta: Any, stage: Any, grid: tuple[int, int]) -> jax.Array:
    """The offset of a player that does not move."""
    length = 1 if stage is not None else theta.shape[0]
    return jnp.zeros((length, *theta.shape[1:], *grid))
