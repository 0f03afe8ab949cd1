"""What XLA must be told on CPUs."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

WIDE = {"xla_cpu_prefer_vector_width": 512}


def wide_jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """`eqx.filter_jit` for programs whose time goes into drawing; not to be called from another jit.

    Where a CPU has 512-bit vectors, XLA keeps to half of them unless told otherwise, and draws come
    out at half the rate. Elsewhere this changes nothing.
    """
    plain = eqx.filter_jit(function)
    # Its overloads leave out what it hands on to jit.
    wide = eqx.filter_jit(function, compiler_options=WIDE)  # pyright: ignore[reportCallIssue]

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        return (wide if _widens() else plain)(*args)

    return call


@functools.cache
def _widens() -> bool:
    """Whether this backend, and this version of XLA, take the option."""
    if jax.default_backend() != "cpu":
        return False
    try:
        jax.jit(lambda: 0, compiler_options=WIDE).lower().compile()
    except (jax.errors.JaxRuntimeError, TypeError):
        return False
    return True


def wall(x: Any, number: Any) -> Any:
    """`x`, computed once and kept: XLA would otherwise compute it again in each of its readers.

    A loop of one pass is a wall on every backend; on CPUs a barrier is taken down before fusion.

    Args:
        x: arrays.
        number: any integer that is not known when compiling, lest the loop be seen to have one pass.
    """
    zero = jax.tree.map(jnp.zeros_like, x)
    return jax.lax.fori_loop(number, number + 1, lambda _, __: x, zero)
