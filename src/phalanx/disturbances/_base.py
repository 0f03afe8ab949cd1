"""What a disturbance is: a signal per agent, drawn by the world, never seen by the controllers.

Every disturbance answers for the whole population at once, agents on the last axis, because an
adversary may be centralised. The shape (q, 1) means one common signal for everybody, and is never
copied out to (q, N).

Most disturbances are a *signal* spread over agents in one of three ways: `Signal` keeps that one
idea in one place, so that each kind of signal only says what it looks like.
"""

import abc
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from phalanx._outcome import InputError

Scope = Literal["idiosyncratic", "common", "both"]
SCOPES = ("idiosyncratic", "common", "both")


class PopulationView(eqx.Module):
    """What a disturbance may react to: everything.

    Attributes:
        t: stage.
        y: (m, N) deviations x^i − x̄, agents last.
        z: (m,) the mean x̄.
    """

    t: Int[jax.Array, ""]
    y: Float[jax.Array, "m N"]
    z: Float[jax.Array, " m"]


class Disturbance(eqx.Module):
    """A source of d for every agent; subclass it, or use anything with these two methods."""

    @abc.abstractmethod
    def init(self, key: jax.Array, size: int, n_agents: int) -> Any:
        """The state before the first round.

        Args:
            key: consumed for whatever is drawn once.
            size: q, entries of one agent's disturbance.
            n_agents: N.
        """

    @abc.abstractmethod
    def sample(
        self, state: Any, key: jax.Array, view: PopulationView
    ) -> tuple[Any, Float[jax.Array, "q N"]]:
        """The next state, and d for this round: (q, N), or (q, 1) when common to all agents."""


class Signal(Disturbance):
    """A disturbance that ignores the agents' states, spread over them by its `scope`.

    Subclasses say how one bundle of `copies` signals starts and goes on; this class decides
    whether each agent has its own copy, all share one, or both are added.
    """

    scope: eqx.AbstractVar[Scope]

    @abc.abstractmethod
    def start(self, key: jax.Array, size: int, copies: int, common: bool) -> Any:
        """State of `copies` independent signals of `size` entries; `common` if it is the one all share."""

    @abc.abstractmethod
    def signal(
        self, state: Any, key: jax.Array, t: jax.Array
    ) -> tuple[Any, Float[jax.Array, "q copies"]]:
        """Next state and the signals at t."""

    def init(self, key: jax.Array, size: int, n_agents: int) -> Any:
        """States of the idiosyncratic and the common signals that the scope asks for."""
        own, common = jax.random.split(key)
        return (
            self.start(own, size, n_agents, False) if self.scope != "common" else None,
            self.start(common, size, 1, True) if self.scope != "idiosyncratic" else None,
        )

    def sample(
        self, state: Any, key: jax.Array, view: PopulationView
    ) -> tuple[Any, Float[jax.Array, "q N"]]:
        """The signals of this round, added up over the scope."""
        own, common = state
        own_key, common_key = jax.random.split(key)
        total = jnp.zeros(())
        if self.scope != "common":
            own, signal = self.signal(own, own_key, view.t)
            total = total + signal
        if self.scope != "idiosyncratic":
            common, signal = self.signal(common, common_key, view.t)
            total = total + signal
        return (own, common), total


class Sum(Disturbance):
    """Several disturbances at once.

    Args:
        *parts: any disturbances of the same size.

    Example:
        >>> import phalanx as px
        >>> storm = px.Sum(px.Gaussian(0.1), px.Sinusoid(1.0, period=96, scope="common"))
    """

    parts: tuple[Disturbance, ...]

    def __init__(self, *parts: Disturbance):
        if not parts:
            raise InputError("Sum needs at least one disturbance.")
        self.parts = parts

    def init(self, key: jax.Array, size: int, n_agents: int) -> Any:
        """The parts' states."""
        keys = jax.random.split(key, len(self.parts))
        return tuple(part.init(k, size, n_agents) for part, k in zip(self.parts, keys, strict=True))

    def sample(
        self, state: Any, key: jax.Array, view: PopulationView
    ) -> tuple[Any, Float[jax.Array, "q N"]]:
        """The parts' sum."""
        keys = jax.random.split(key, len(self.parts))
        drawn = [
            part.sample(s, k, view) for part, s, k in zip(self.parts, state, keys, strict=True)
        ]
        return tuple(s for s, _ in drawn), sum((d for _, d in drawn), start=jnp.zeros(()))
