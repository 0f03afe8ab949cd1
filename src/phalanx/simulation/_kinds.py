"""Agents of one kind, run as one: the same class and shapes, numbers of their own.

Each agent of a linear system has its own policy and cost. Tracing every one by itself makes a
program as long as the agents are many; instead agents whose policies and costs differ in numbers
only are stacked and mapped over. A number that all of them share is not stacked: a product with it
is then one product for all, and it lies in memory once.
"""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np


class Kind(eqx.Module):
    """Agents that can be mapped over.

    Attributes:
        leaves: arrays of the things, stacked on a leading agent axis where they differ.
        stacked: for each leaf, whether it is.
        agents: whose they are. size: p, entries of their controls.
        form: the tree the leaves belong to. rest: what is no array.
    """

    leaves: list
    stacked: tuple[bool, ...] = eqx.field(static=True)
    agents: tuple[int, ...] = eqx.field(static=True)
    size: int = eqx.field(static=True)
    form: Any = eqx.field(static=True)
    rest: tuple = eqx.field(static=True)

    def map(self, function: Callable, *each: Any) -> Any:
        """function(thing, ...) for every agent of this kind, `each` with a leading agent axis."""

        def one(leaves: list, *each: Any) -> Any:
            return function(self._rebuilt(leaves), *each)

        axes = [0 if stacked else None for stacked in self.stacked]
        return jax.vmap(one, in_axes=(axes, *(0 for _ in each)), axis_size=len(self.agents))(
            self.leaves, *each
        )

    def _rebuilt(self, leaves: list) -> Any:
        arrays = iter(leaves)
        everything = [next(arrays) if other is None else other.value for other in self.rest]
        return jax.tree.unflatten(self.form, everything)


class Same:
    """A leaf that is no array: a function of the user's equals itself only, a plain value its like."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: Any) -> bool:
        if not isinstance(other, Same) or type(self.value) is not type(other.value):
            return False
        plain = isinstance(self.value, int | str)
        return self.value is other.value or (plain and self.value == other.value)

    def __hash__(self) -> int:
        return hash(self.value) if isinstance(self.value, int | str) else id(self.value)


def kinds(things: Sequence[Any], sizes: Sequence[int], dtype: jnp.dtype) -> list[Kind]:
    """The agents' things sorted into kinds; every agent is in exactly one.

    Args:
        things: one tree per agent.
        sizes: p_i, alike within a kind.
        dtype: of floating arrays.
    """
    found: list[tuple[tuple, list[int], list[list]]] = []
    for agent, (thing, size) in enumerate(zip(things, sizes, strict=True)):
        leaves, form = jax.tree.flatten(thing)
        arrays = [_array(leaf, dtype) for leaf in leaves]
        rest = tuple(
            Same(leaf) if array is None else None
            for leaf, array in zip(leaves, arrays, strict=True)
        )
        arrays = [array for array in arrays if array is not None]
        mark = (form, rest, size, tuple((array.shape, array.dtype) for array in arrays))
        for other, agents, members in found:
            if other == mark:
                agents.append(agent)
                members.append(arrays)
                break
        else:
            found.append((mark, [agent], [arrays]))
    return [_kind(mark, agents, members) for mark, agents, members in found]


def _kind(mark: tuple, agents: list[int], members: list[list]) -> Kind:
    form, rest, size, _ = mark
    leaves, stacked = [], []
    for column in zip(*members, strict=True):
        first = column[0]
        shared = all(leaf is first or np.array_equal(leaf, first) for leaf in column[1:])
        leaves.append(jnp.asarray(first if shared else np.stack(column)))
        stacked.append(not shared)
    return Kind(leaves, tuple(stacked), tuple(agents), size, form, rest)


def _array(leaf: Any, dtype: jnp.dtype) -> np.ndarray | None:
    """The leaf as an array in the run's precision; None for what is no number."""
    if isinstance(leaf, float):  # a number of the user's: as an array it does not recompile
        return np.asarray(leaf, dtype)
    if not isinstance(leaf, np.ndarray | jax.Array):
        return None
    if jnp.issubdtype(leaf.dtype, jnp.floating):
        # One object per matrix that agents share, so that sharing is seen at a glance.
        return (
            leaf
            if isinstance(leaf, np.ndarray) and leaf.dtype == dtype
            else np.asarray(leaf, dtype)
        )
    return np.asarray(leaf)
