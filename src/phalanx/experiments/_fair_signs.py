"""The lower bounds' world, thousands of times at once: x' = u + 1 and cost ε_t x_t with fair signs (P2, Appendix H).

Policies are the library's own and run through their three methods, mapped over sequences of signs; others' inputs do not
reach the state (B_j = 0), so that one agent is all there is to simulate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int8

from phalanx.policies import LinearView, RoundFeedback
from phalanx.simulation._kinds import Kind, kinds

# w of every round.
DISTURBANCE = 1.0


class Priced(eqx.Module):
    """c = price · x: one round's cost, whose price the agent learns after it has acted."""

    price: jax.Array

    def __call__(self, t: Any, x: jax.Array, u: jax.Array) -> jax.Array:
        """What the round costs."""
        return self.price * x[0]

    def gradient(self, t: Any, x: jax.Array, u: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(∂c/∂x, ∂c/∂u)."""
        return self.price * jnp.ones_like(x), jnp.zeros_like(u)


def signs(seed: int, seeds: int, rounds: int) -> Int8[np.ndarray, "S T"]:
    """Independent fair signs."""
    return np.random.default_rng(seed).choice(np.array([-1, 1], np.int8), size=(seeds, rounds))


def play(
    policies: Sequence[Any], eps: Int8[np.ndarray, "S T"], ends: Sequence[int]
) -> Float[np.ndarray, "L S C"]:
    """What each policy pays up to each of several rounds.

    Args:
        policies: scalar ones, in any mixture of kinds.
        eps: the signs.
        ends: numbers of rounds, rising.
    """
    with jax.enable_x64(True):
        members = kinds(list(policies), [1] * len(policies), jnp.float64)
        table = jnp.asarray(eps.T)
        start = lambda kind: kind.map(lambda policy: policy.init())  # noqa: E731
        one = [(jnp.zeros((len(k.agents), 1)), start(k), jnp.zeros(len(k.agents))) for k in members]
        carry = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(eps), *leaf.shape)), one)
        paid, first = np.empty((len(policies), len(eps), len(ends))), 0
        for place, end in enumerate(ends):
            carry = _advance(members, carry, table, jnp.asarray(first), jnp.asarray(end))
            for kind, (_, _, total) in zip(members, carry, strict=True):
                paid[list(kind.agents), :, place] = np.asarray(total).T
            first = end
    return paid


@eqx.filter_jit
def _advance(
    members: list[Kind], carry: list, table: jax.Array, first: jax.Array, end: jax.Array
) -> list:
    """Rounds `first` up to `end`; their number is no part of the program."""

    def round_(t: jax.Array, carry: list) -> list:
        over_seeds = jax.vmap(partial(_round, members, t))
        return over_seeds(carry, table[t].astype(jnp.float64))

    return jax.lax.fori_loop(first, end, round_, carry)


def _round(members: list[Kind], t: jax.Array, carry: list, sign: jax.Array) -> list:
    cost = Priced(sign)

    def play_one(policy: Any, x: jax.Array, state: Any, total: jax.Array) -> tuple:
        view = LinearView(t, x)
        u = policy.act(state, view)
        after = LinearView(t + 1, u + DISTURBANCE)
        told = RoundFeedback(view, u, after, cost, jnp.zeros(1))
        return after.x, policy.observe(state, told), total + cost(t, x, u)

    return [kind.map(play_one, *own) for kind, own in zip(members, carry, strict=True)]


@dataclass(frozen=True)
class Gains:
    """The law that a best choice in hindsight follows: x may be held anywhere in [low, high] while Σ ε_t goes its way."""

    low: float
    high: float

    @property
    def constant(self) -> float:
        """C of E gain = c √T: (high − low)/√(2π)."""
        return (self.high - self.low) / np.sqrt(2 * np.pi)

    def distribution(self, g: np.ndarray) -> np.ndarray:
        """P(gain/√T ≤ g) in the limit, gain/√T = high·Z⁻ − low·Z⁺."""
        from scipy.stats import norm

        g = np.asarray(g, dtype=np.float64)
        # Z > 0 pays −low Z, Z < 0 gains high |Z|; with low < 0 both gain.
        below = norm.cdf(np.maximum(g, 0) / self.high) - 0.5
        if self.low > 0:
            return np.where(g < 0, 1 - norm.cdf(-g / self.low), 0.5 + below)
        return np.where(g < 0, 0.0, below + norm.cdf(np.maximum(g, 0) / -self.low) - 0.5)


def linear_gains(
    eps: Int8[np.ndarray, "S T"], rho: float, ends: Sequence[int], grid: int
) -> Float[np.ndarray, "S C"]:
    """What the best u = −K x of |K| ≤ 1 − ρ gains, over a grid of K: x_t = (1 − (−K)^t)/(1 + K)."""
    K = np.linspace(-(1 - rho), 1 - rho, grid)
    t = np.arange(eps.shape[1])[:, None]
    total = _running(eps, (1 - (-K) ** t) / (1 + K), ends)
    return -total.min(axis=2)


def action_gains(
    eps: Int8[np.ndarray, "S T"], K: float, limits: np.ndarray, ends: Sequence[int]
) -> Float[np.ndarray, "S C"]:
    """What the best M of |M^{[p]}| ≤ a_p gains around a given K: exact, the cost being linear in M.

    x_t(M) = r_t + Σ_p M^{[p]} r_{t−p}, with r_t = (1 − (−K)^t)/(1 + K) for t ≥ 0 and 0 before.
    """
    T = eps.shape[1]
    response = (1 - (-K) ** np.arange(T)) / (1 + K)
    lagged = np.zeros((T, len(limits) + 1))
    for p in range(len(limits) + 1):
        lagged[p:, p] = response[: T - p]
    total = _running(eps, lagged, ends)
    return -total[:, :, 0] + np.abs(total[:, :, 1:]) @ limits


def _running(eps: np.ndarray, columns: np.ndarray, ends: Sequence[int]) -> np.ndarray:
    """Σ_{t < end} ε_t columns_t for each end: (S, C, columns)."""
    total, out, first = np.zeros((len(eps), columns.shape[1])), [], 0
    for end in ends:
        total = total + eps[:, first:end].astype(np.float64) @ columns[first:end]
        out.append(total)
        first = end
    return np.stack(out, axis=1)
