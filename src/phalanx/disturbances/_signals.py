"""Signals that can be written down: noise, waves, walks and steps.

Amplitudes are in the units of d. A scalar acts on every entry alike; a vector (q,) entry by entry.
Every signal takes `scope`: "idiosyncratic" (each agent its own), "common" (one for all), or "both"
(the sum of one of each, both of the stated size).
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from phalanx import _random
from phalanx._linalg._apply import apply
from phalanx._outcome import InputError
from phalanx._types import MatrixLike, array, symmetric
from phalanx.disturbances._base import SCOPES, Scope, Signal


class Gaussian(Signal):
    """Independent normal draws with a given covariance.

    Args:
        covariance: (q, q), or a scalar: scalar times identity.
        scope: who shares the draw.
    """

    covariance: np.ndarray
    scope: Scope = eqx.field(static=True)

    def __init__(self, covariance: MatrixLike, scope: Scope = "idiosyncratic"):
        value = array("covariance", covariance)
        self.covariance = (
            value if value.ndim == 0 else symmetric("covariance", value, value.shape[-1])
        )
        if value.ndim == 0 and value < 0:
            raise InputError(f"covariance must not be negative, but it is {value:g}.")
        self.scope = check_scope(scope)

    def start(self, key: jax.Array, size: int, copies: int, common: bool) -> Any:
        """A zero array that remembers the shape, and a square root of the covariance."""
        cov = jnp.asarray(self.covariance)
        return jnp.zeros((size, copies), cov.dtype), covariance_root(
            cov if cov.ndim else cov * jnp.eye(size)
        )

    def signal(
        self, state: Any, key: jax.Array, t: jax.Array
    ) -> tuple[Any, Float[jax.Array, "q copies"]]:
        """Fresh draws."""
        shape, root = state
        return state, apply(root, _random.normal(key, shape.shape, shape.dtype))


class UniformBall(Signal):
    """Independent draws, uniform in the ball |d| ≤ radius.

    Args:
        radius: of the ball, positive.
        scope: who shares the draw.
    """

    radius: np.ndarray
    scope: Scope = eqx.field(static=True)

    def __init__(self, radius: float, scope: Scope = "idiosyncratic"):
        self.radius = _scale("radius", radius)
        self.scope = check_scope(scope)

    def start(self, key: jax.Array, size: int, copies: int, common: bool) -> Any:
        """A zero array that remembers the shape."""
        return jnp.zeros((size, copies), jnp.asarray(self.radius).dtype)

    def signal(
        self, state: Any, key: jax.Array, t: jax.Array
    ) -> tuple[Any, Float[jax.Array, "q copies"]]:
        """A uniform direction, at a distance whose q-th power is uniform."""
        q, copies = state.shape
        direction_key, distance_key = jax.random.split(key)
        direction = _random.normal(direction_key, (q, copies), state.dtype)
        direction = direction / jnp.linalg.norm(direction, axis=0, keepdims=True)
        distance = jax.random.uniform(distance_key, (copies,), state.dtype) ** (1 / q)
        return state, self.radius * distance[None] * direction


class Sinusoid(Signal):
    """amplitude · sin(2π t / period + phase).

    Args:
        amplitude: scalar or (q,).
        period: in rounds, positive.
        phase: in radians; agents' own waves start at independent uniform phases when it is None.
        scope: who shares the wave.
    """

    amplitude: np.ndarray
    period: np.ndarray
    phase: np.ndarray | None
    scope: Scope = eqx.field(static=True)

    def __init__(
        self,
        amplitude: MatrixLike,
        period: float,
        phase: float | None = 0.0,
        scope: Scope = "common",
    ):
        self.amplitude = array("amplitude", amplitude)
        self.period = _scale("period", period)
        if self.period == 0:
            raise InputError("period must be positive, but it is 0.")
        self.phase = None if phase is None else array("phase", phase)
        self.scope = check_scope(scope)

    def start(self, key: jax.Array, size: int, copies: int, common: bool) -> Any:
        """The phases."""
        dtype = jnp.asarray(self.amplitude).dtype
        phase = (
            2 * jnp.pi * jax.random.uniform(key, (copies,), dtype)
            if self.phase is None
            else jnp.full((copies,), self.phase)
        )
        return jnp.zeros((size, copies), dtype), phase

    def signal(
        self, state: Any, key: jax.Array, t: jax.Array
    ) -> tuple[Any, Float[jax.Array, "q copies"]]:
        """The wave at t."""
        zeros, phase = state
        wave = jnp.sin(2 * jnp.pi * t / self.period + phase)
        return state, zeros + _column(self.amplitude) * wave[None]


class RandomWalk(Signal):
    """d_t = d_{t−1} + step · ξ_t with ξ standard normal, kept within |d_k| ≤ bound.

    Args:
        step: standard deviation of one step, scalar or (q,).
        bound: largest modulus of each entry; None for no bound.
        scope: who shares the walk.
    """

    step: np.ndarray
    bound: np.ndarray | None
    scope: Scope = eqx.field(static=True)

    def __init__(self, step: MatrixLike, bound: float | None = None, scope: Scope = "common"):
        self.step = array("step", step)
        self.bound = None if bound is None else _scale("bound", bound)
        self.scope = check_scope(scope)

    def start(self, key: jax.Array, size: int, copies: int, common: bool) -> Any:
        """The walk starts at 0."""
        return jnp.zeros((size, copies), jnp.asarray(self.step).dtype)

    def signal(
        self, state: Any, key: jax.Array, t: jax.Array
    ) -> tuple[Any, Float[jax.Array, "q copies"]]:
        """One step further."""
        walk = state + _column(self.step) * _random.normal(key, state.shape, state.dtype)
        walk = walk if self.bound is None else jnp.clip(walk, -self.bound, self.bound)
        return walk, walk


class Step(Signal):
    """0 before round `at`, `size` from then on (up to `until`); own steps go up or down at random.

    Args:
        size: height, scalar or (q,).
        at: first round of the step.
        until: first round after it; None: for ever.
        scope: who shares the step. Idiosyncratic steps have independent fair signs.
    """

    size: np.ndarray
    at: np.ndarray
    until: np.ndarray
    scope: Scope = eqx.field(static=True)

    def __init__(
        self, size: MatrixLike, at: int = 0, until: int | None = None, scope: Scope = "common"
    ):
        self.size = array("size", size)
        last = np.iinfo(np.int32).max
        if at < 0 or (until is not None and until < at):
            raise InputError(
                f"at must be a round from 0 and until not before it, but they are {at} and {until}."
            )
        self.at, self.until = np.asarray(at), np.asarray(last if until is None else until)
        self.scope = check_scope(scope)

    def start(self, key: jax.Array, size: int, copies: int, common: bool) -> Any:
        """The signs: + for a common step, fair for each agent's own."""
        dtype = jnp.asarray(self.size).dtype
        sign = jnp.ones((1,), dtype) if common else jax.random.rademacher(key, (copies,), dtype)
        return jnp.zeros((size, copies), dtype), sign

    def signal(
        self, state: Any, key: jax.Array, t: jax.Array
    ) -> tuple[Any, Float[jax.Array, "q copies"]]:
        """The step at t."""
        zeros, sign = state
        on = (t >= self.at) & (t < self.until)
        return state, zeros + jnp.where(on, 1.0, 0.0) * _column(self.size) * sign[None]


def check_scope(scope: Scope) -> Scope:
    """The scope, if it is one."""
    if scope not in SCOPES:
        raise InputError(f'scope must be "idiosyncratic", "common" or "both", but it is {scope!r}.')
    return scope


def covariance_root(covariance: jax.Array) -> jax.Array:
    """F with F Fᵀ = covariance, for semidefinite covariances too."""
    values, vectors = jnp.linalg.eigh(covariance)
    return vectors * jnp.sqrt(jnp.maximum(values, 0.0))[None]


def _scale(name: str, value: MatrixLike) -> np.ndarray:
    out = array(name, value)
    if out.ndim or out < 0:
        raise InputError(f"{name} must be one number that is not negative, but it is {value!r}.")
    return out


def _column(value: np.ndarray | jax.Array) -> jax.Array:
    column = jnp.asarray(value)
    return column[:, None] if column.ndim else column
