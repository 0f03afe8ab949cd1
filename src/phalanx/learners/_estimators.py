"""Gradients from costs: one-point, two-point and coordinate-wise.

All three have the same shape: perturb the gains, roll out, weigh each perturbation by what it cost.
With e uniform on the sphere of radius r in R^n, f the payoff (cost − γ²·energy) of one rollout:

    one_point    n/r² · mean f(θ + e) e                        P1's, one rollout a sample
    two_point    n/r² · mean ½ (f(θ + e) − f(θ − e)) e         common random numbers, two rollouts
    coordinate   (f(θ + r e_k) − f(θ − r e_k)) / 2r            common random numbers, 2n rollouts

The payoff of one stage's gains is a quadratic, so none of them is biased in the receding-horizon
problem, whatever r is (notation page, "Learning from costs alone (P1)"). Perturbing all stages at once, or in a world that is not
linear, they estimate the gradient of the payoff smoothed over r.

Perturbations come in chunks, so that memory does not grow with the batch; what the next chunk draws
is carried by the loop (see `_law`).
"""

import functools
import math
import operator
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from phalanx import _random
from phalanx._xla import wall
from phalanx.learners._base import Oracle
from phalanx.learners._chunks import chunked, sum_over
from phalanx.learners._gains import JointGains

Kind = Literal["exact", "one_point", "two_point", "coordinate"]
KINDS: tuple[Kind, ...] = ("exact", "one_point", "two_point", "coordinate")


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
    """∇̂ of the payoff with respect to player 1's (0) or 2's (1) gains, (1 | T, ·, 2m)."""
    return gradients(oracle, shared, gains, gamma, stage, key, (player,), kind, batch, radius)[0]


def gradients(
    oracle: Oracle,
    shared: Any,
    gains: JointGains,
    gamma: Any,
    stage: Any,
    key: jax.Array,
    players: tuple[int, ...],
    kind: Kind,
    batch: int,
    radius: Any,
) -> list[jax.Array]:
    """∇̂ with respect to each of the players' gains, from `batch` rollouts for each of them.

    Players are perturbed one at a time, each on its own sphere, and tried on the same draws: what a
    player's estimate is made of has the law that it would have alone.
    """
    length = 1 if stage is not None else gains.theta1.shape[0]
    shapes = {j: (length, *gains[j].shape[-2:]) for j in players}
    n = {j: math.prod(shape) for j, shape in shapes.items()}
    wanted = {j: draws(kind, batch, n[j]) for j in players}
    G = {j: variants(kind, n[j]) for j in players}
    entries = sum(n[j] * sum(G.values()) for j in players)
    chunks, size = chunked(oracle, max(wanted.values()), entries, sum(G.values()))
    dtype = getattr(oracle, "dtype", jnp.float64)

    def draw(chunk: Any) -> tuple:
        directions, start = jax.random.split(jax.random.fold_in(key, chunk))
        normals = {}
        if kind != "coordinate":
            normals = {
                j: _random.packed_normal(jax.random.fold_in(directions, j), (n[j], size), dtype)
                for j in players
            }
        return normals, oracle.draws(start, size, stage)

    def total(drawn: tuple, chunk: Any) -> tuple:
        normals, start = drawn
        e, offsets = {}, []
        for j in players:
            e[j] = _on_sphere(normals[j], n[j], size, radius) if normals else None
            tried = _variants(e[j], kind, n[j], radius, dtype).reshape(*shapes[j], G[j], -1)
            offsets.append(JointGains(*(tried if i == j else None for i in (0, 1))))
        found = _each(oracle, shared, gains, offsets, start, stage)
        payoffs = [cost - jnp.asarray(gamma**2, cost.dtype) * energy for cost, energy in found]
        if oracle.traceable:
            payoffs = wall(payoffs, chunk)
        index, out = chunk * size + jnp.arange(size), []
        for j, payoff in zip(players, payoffs, strict=True):
            if chunks * size > wanted[j]:  # the last chunk is longer than what is left to draw
                payoff = jnp.where(index < wanted[j], payoff, 0.0)
            out.append(_weighed(kind, e[j], payoff, n[j], radius) / wanted[j])
        return tuple(out)

    summed = sum_over(chunks, draw, total)
    return [part.reshape(shapes[j]) for j, part in zip(players, summed, strict=True)]


def _on_sphere(packed: jax.Array, n: int, size: int, radius: Any) -> jax.Array:
    """(n, B) uniform on the sphere of the given radius."""
    rows = _random.rows(packed, n)
    squares = functools.reduce(operator.add, [row * row for row in rows])
    return jnp.stack(rows) * (jnp.asarray(radius, squares.dtype) / jnp.sqrt(squares))


def _variants(e: jax.Array | None, kind: Kind, n: int, radius: Any, dtype: Any) -> jax.Array:
    """(n, G, B | 1): how a player is perturbed in each of its variants."""
    if e is None:
        unit = radius * jnp.eye(n, dtype=dtype)
        return jnp.stack([unit, -unit], axis=2).reshape(n, 2 * n)[:, :, None].astype(dtype)
    return jnp.stack([e, -e], axis=1) if kind == "two_point" else e[:, None]


def _each(
    oracle: Oracle, shared: Any, gains: JointGains, offsets: list, drawn: Any, stage: Any
) -> list[tuple[jax.Array, jax.Array]]:
    """Costs and energies of each set of offsets, on the same draws, from one question to the oracle."""
    costs_each = getattr(oracle, "costs_each", None)
    # A subclass that has costs of its own is asked for those.
    if costs_each is not None and _home(oracle, "costs") is _home(oracle, "costs_each"):
        return costs_each(shared, gains, offsets, drawn, stage)
    sizes = [next(part for part in offset if part is not None).shape[-2] for offset in offsets]
    ends = np.cumsum(sizes)
    together = JointGains(*(_beside(offsets, j, gains[j], ends) for j in (0, 1)))
    cost, energy = oracle.costs(shared, gains, together, drawn, stage)
    return [
        (cost[end - size : end], energy[end - size : end])
        for size, end in zip(sizes, ends, strict=True)
    ]


def _home(oracle: Oracle, name: str) -> type | None:
    """The class that defines what the oracle calls by this name."""
    return next((kind for kind in type(oracle).__mro__ if name in vars(kind)), None)


def _beside(offsets: list, player: int, theta: jax.Array, ends: np.ndarray) -> jax.Array:
    """One player's offsets in all sets, side by side; zero in the sets that leave it alone."""
    for offset, end in zip(offsets, ends, strict=True):
        own = offset[player]
        if own is not None:
            room = (int(end) - own.shape[-2], int(ends[-1] - end))
            return jnp.pad(own, [(0, 0)] * 3 + [room, (0, 0)]) if any(room) else own
    length = next(part for part in offsets[0] if part is not None).shape[0]
    return jnp.zeros((length, *theta.shape[-2:], 1, 1))


def _weighed(kind: Kind, e: jax.Array | None, payoff: jax.Array, n: int, radius: Any) -> jax.Array:
    """Σ over draws of the estimate, (n,)."""
    if e is None:
        return (payoff[0::2] - payoff[1::2]).sum(axis=1) / (2 * radius)
    weight = payoff[0] if kind == "one_point" else (payoff[0] - payoff[1]) / 2
    product = jnp.dot(e, weight.astype(e.dtype), precision=jax.lax.Precision.HIGHEST)
    return product * (n / radius**2)
