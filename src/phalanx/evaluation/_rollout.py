"""Replays of one agent's world under a fixed policy, and what they cost: exact, differentiable, one scan.

The learned part is known before the state is: Σ_p M^{[p]} ŵ_{t−p} over all rounds is H matrix products. What is left for
the scan is x' = (A − BK) x + b, and JAX derives the backward recursion from it.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from phalanx.evaluation._counterfactual import Counterfactual


class World(eqx.Module):
    """A `Counterfactual` as arrays on the device; open `jax.enable_x64` around it."""

    A: jax.Array
    B: jax.Array
    K: jax.Array
    e: jax.Array
    fed: jax.Array
    x0: jax.Array
    cost: Any
    first_round: jax.Array

    def __init__(self, world: Counterfactual):
        self.A, self.B, self.K = (jnp.asarray(v) for v in (world.A, world.B, world.K))
        self.e, self.fed, self.x0 = (jnp.asarray(v) for v in (world.e, world.fed, world.x0))
        self.cost = on_device(world.cost)
        self.first_round = jnp.asarray(world.first_round)


def on_device(cost: Any) -> Any:
    """Numbers and arrays of a stage cost as float64 device arrays: equal shapes share one program."""

    def leaf(value: Any) -> Any:
        if isinstance(value, float | np.ndarray):
            return jnp.asarray(value)
        return value

    return jax.tree.map(leaf, cost)


def learned(M: Float[jax.Array, "H p n"], fed: Float[jax.Array, "T n"]) -> Float[jax.Array, "T p"]:
    """Σ_p M^{[p]} ŵ_{t−p} for all rounds, ŵ = 0 before round 0."""
    H, T = len(M), len(fed)
    past = jnp.concatenate([jnp.zeros((H, fed.shape[1])), fed])
    return sum(
        (_product(past[H - p : H - p + T], M[p - 1].T) for p in range(1, H + 1)),
        start=jnp.zeros((T, M.shape[1])),
    )


def states(F: jax.Array, b: jax.Array, x0: jax.Array) -> Float[jax.Array, "T n"]:
    """x_0 .. x_{T−1} of x' = F x + b."""

    def step(x: jax.Array, b_t: jax.Array):
        return _product(F, x) + b_t, x

    return jax.lax.scan(step, x0, b)[1]


def dac_paths(world: World, M: jax.Array) -> tuple[jax.Array, jax.Array]:
    """States (T, n) and controls (T, p) under u = −K x + Σ_p M^{[p]} ŵ_{t−p}."""
    v = learned(M, world.fed)
    x = states(world.A - _product(world.B, world.K), world.e + _product(v, world.B.T), world.x0)
    return x, v - _product(x, world.K.T)


def linear_paths(world: World, K: jax.Array) -> tuple[jax.Array, jax.Array]:
    """States (T, n) and controls (T, p) under u = −K x."""
    x = states(world.A - _product(world.B, K), world.e, world.x0)
    return x, -_product(x, K.T)


def paid(world: World, x: jax.Array, u: jax.Array) -> Float[jax.Array, " T"]:
    """The stage cost of every round."""
    return jax.vmap(world.cost)(world.first_round + jnp.arange(len(x)), x, u)


@eqx.filter_jit
def dac_costs(world: World, M: jax.Array) -> Float[jax.Array, " T"]:
    """What each round costs under a fixed M."""
    return paid(world, *dac_paths(world, M))


@eqx.filter_jit
def linear_costs(world: World, K: jax.Array) -> Float[jax.Array, " T"]:
    """What each round costs under u = −K x."""
    return paid(world, *linear_paths(world, K))


@eqx.filter_jit
def dac_slope(world: World, burn_in: int, M: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Total cost from round `burn_in` on, and its gradient in M."""
    return jax.value_and_grad(lambda M: dac_costs(world, M)[burn_in:].sum())(M)


class TotalCost(eqx.Module):
    """Total cost from round `burn_in` on, of each M of a stack (S, H, p, n): what is minimised."""

    world: World
    burn_in: int = eqx.field(static=True)

    def __call__(self, M: jax.Array) -> Float[jax.Array, " S"]:
        """The S totals."""
        return jax.vmap(lambda one: dac_costs(self.world, one)[self.burn_in :].sum())(M)


@eqx.filter_jit
def linear_slopes(world: World, burn_in: int, K: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Total costs (S,) and gradients (S, p, n) of several gains K (S, p, n), side by side."""
    return jax.vmap(jax.value_and_grad(lambda K: linear_costs(world, K)[burn_in:].sum()))(K)


def _product(left: jax.Array, right: jax.Array) -> jax.Array:
    return jnp.matmul(left, right, precision=jax.lax.Precision.HIGHEST)
