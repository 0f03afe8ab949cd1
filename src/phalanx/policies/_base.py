"""The one contract every controller keeps, and exactly what a controller is shown.

A policy has a state (`init`), decides (`act`) and learns (`observe`); one that does neither learn
nor remember has the state None. It is written for *one* agent: the simulator runs it for all of
them side by side. What it may know is the view it is handed, and nothing else: in a mean-field team
that is the agent's own state and the mean (P1's information structure), not its number, not the
others' states, not the disturbance.
"""

import abc
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Float, Int


class MeanFieldView(eqx.Module):
    """What an agent of a mean-field team sees before it acts.

    Attributes:
        t: stage.
        x: (m,) its own state.
        x_bar: (m,) the mean state of all agents.
    """

    t: Int[jax.Array, ""]
    x: Float[jax.Array, " m"]
    x_bar: Float[jax.Array, " m"]


class LinearView(eqx.Module):
    """What an agent of a linear system sees before it acts.

    Attributes:
        t: round.
        x: (n,) the shared state.
    """

    t: Int[jax.Array, ""]
    x: Float[jax.Array, " n"]


class Feedback(eqx.Module):
    """What an agent sees after the round.

    Attributes:
        before: the view it acted on.
        u: (p,) the control it played.
        after: the view after the system moved.
    """

    before: Any
    u: Float[jax.Array, " p"]
    after: Any


class RoundFeedback(eqx.Module):
    """What an agent of a linear system sees after the round (P2, Section 2).

    Attributes:
        before: the view it acted on.
        u: (p,) the control it played.
        after: the view after the system moved.
        cost: the agent's own stage cost c(t, x, u); None where no costs are simulated.
        aggregate: (n,) Σ_{j≠i} B_j u^j, what the others did to the state; None in the independent
            setting, where an agent is not told.
    """

    before: LinearView
    u: Float[jax.Array, " p"]
    after: LinearView
    cost: Any = None
    aggregate: Float[jax.Array, " n"] | None = None


class Policy(eqx.Module):
    """A controller of one agent; subclass it, or use anything with these three methods."""

    @abc.abstractmethod
    def init(self) -> Any:
        """The state before the first round; None if there is none to keep."""

    @abc.abstractmethod
    def act(self, state: Any, view: Any) -> Float[jax.Array, " p"]:
        """The control (p,), from the policy's state and the view, and from nothing else."""

    @abc.abstractmethod
    def observe(self, state: Any, feedback: Any) -> Any:
        """The state after the round, having seen what came of it: a `Feedback` or `RoundFeedback`."""
