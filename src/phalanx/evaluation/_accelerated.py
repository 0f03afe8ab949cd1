"""Convex functions over the learners' set, minimised to a proved accuracy: many small problems, or one large.

Accelerated projected gradient with backtracking and gradient restarts (Beck and Teboulle 2009; O'Donoghue and Candès
2015). Every gradient also yields a lower bound on the least value, because the set's support function is a sum of
nuclear norms (Frank and Wolfe 1956; Jaggi 2013):

    f(M*) ≥ f(Y) − ⟨∇f(Y), Y⟩ − Σ_p a_p ‖∇f(Y)^{[p]}‖_*      for every Y

and the best of these bounds is what the answer's accuracy is stated against. Subgradients of functions with kinks
give valid bounds too; where they stay far apart from the value, the gap says so.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from phalanx._linalg._balls import project

# Curvature doubles when a step does not descend as promised, and relaxes by this factor when it does.
RELAX = 0.9
DOUBLINGS = 60
# Share of a function's value that rounding may cost a comparison.
ROUNDING = 1e-14


class Minimum(NamedTuple):
    """The best point found for each problem (S of them), its value, and how far below the least value can be."""

    M: Float[jax.Array, "S H p n"]
    value: Float[jax.Array, " S"]
    gap: Float[jax.Array, " S"]
    steps: Float[jax.Array, ""]


@eqx.filter_jit
def minimise(
    value: Callable[[jax.Array], jax.Array],
    start: Float[jax.Array, "S H p n"],
    limits: Float[jax.Array, "S H"],
    tolerance: Float[jax.Array, " S"],
    curvature: Float[jax.Array, " S"],
    steps: jax.Array,
) -> Minimum:
    """Minimise S convex functions at once over ‖M^{[p]}‖₂ ≤ limits_p.

    Args:
        value: from (S, H, p, n) to the S values; problem s reads row s only.
        start: a point of the set for each problem.
        limits: the balls' radii.
        tolerance: accepted gap of each problem.
        curvature: a first guess of the gradients' Lipschitz constants, positive.
        steps: at most so many gradients.
    """

    def slope(M: jax.Array) -> tuple[jax.Array, jax.Array]:
        values, pull = jax.vjp(value, M)
        return values, pull(jnp.ones_like(values))[0]

    def step(carry: dict) -> dict:
        Y, L = carry["Y"], carry["L"]
        f, g = slope(Y)
        lower = jnp.maximum(carry["lower"], f - _dot(g, Y) - support(g, limits))
        slack = ROUNDING * jnp.abs(f)

        def reach(L: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
            new = project(Y - g / L[:, None, None, None], limits)
            move = new - Y
            f_new = value(new)
            model = f + _dot(g, move) + 0.5 * L * _dot(move, move)
            return new, f_new, f_new <= model + slack

        def double(tried: tuple) -> tuple:
            L, _, count = tried
            new, f_new, fits = reach(L)
            return jnp.where(fits, L, 2.0 * L), (new, f_new, fits), count + 1

        L, (new, f_new, _), _ = jax.lax.while_loop(
            lambda tried: ~(tried[1][2] | carry["done"]).all() & (tried[2] < DOUBLINGS),
            double,
            double((L, None, 0)),
        )
        # A turn against the last move: the momentum has overshot, and starts again.
        turned = _dot(Y - new, new - carry["M"]) > 0
        momentum = jnp.where(turned, 1.0, (1.0 + jnp.sqrt(1.0 + 4.0 * carry["momentum"] ** 2)) / 2)
        push = jnp.where(turned, 0.0, (carry["momentum"] - 1.0) / momentum)
        Y_next = new + push[:, None, None, None] * (new - carry["M"])
        better = f_new < carry["best"]
        best = jnp.where(better, f_new, carry["best"])
        after = {
            "M": new,
            "Y": Y_next,
            "L": RELAX * L,
            "momentum": momentum,
            "lower": lower,
            "best": best,
            "best_M": jnp.where(better[:, None, None, None], new, carry["best_M"]),
            "done": best - lower <= tolerance,
        }
        done = carry["done"]
        kept = {
            name: jnp.where(done.reshape(-1, *[1] * (new_value.ndim - 1)), carry[name], new_value)
            for name, new_value in after.items()
        }
        return kept | {"count": carry["count"] + 1}

    f0 = value(start)
    carry = {
        "M": start,
        "Y": start,
        "L": curvature,
        "momentum": jnp.ones_like(f0),
        "lower": jnp.full_like(f0, -jnp.inf),
        "best": f0,
        "best_M": start,
        "done": jnp.zeros(f0.shape, bool),
        "count": jnp.asarray(0),
    }
    end = jax.lax.while_loop(lambda c: ~c["done"].all() & (c["count"] < steps), step, carry)
    gap = jnp.maximum(end["best"] - end["lower"], 0.0)
    return Minimum(end["best_M"], end["best"], gap, end["count"])


def support(
    g: Float[jax.Array, "*batch H p n"], limits: Float[jax.Array, "*batch H"]
) -> Float[jax.Array, "*batch"]:
    """Σ_p a_p ‖g^{[p]}‖_*, the most that ⟨g, ·⟩ reaches on the set."""
    if 1 in g.shape[-2:]:
        nuclear = jnp.sqrt((g * g).sum((-2, -1)))
    else:
        nuclear = jnp.linalg.svd(g, compute_uv=False).sum(-1)
    return (limits * nuclear).sum(-1)


def _dot(left: jax.Array, right: jax.Array) -> jax.Array:
    return (left * right).sum((-3, -2, -1))
