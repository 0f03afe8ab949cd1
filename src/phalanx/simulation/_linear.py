"""A linear system's scan: one shared state, one control per agent, every agent its own policy and cost.

Agents of one kind are mapped over (`_kinds`), so a thousand of them compile as fast as one. What an
agent is told after the round is put together here and nowhere else: its own control and cost, the
views before and after, and, if the world's information is aggregated, what the others did.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from phalanx.disturbances import PopulationView
from phalanx.policies import LinearView, RoundFeedback
from phalanx.simulation._kinds import Kind


class World(NamedTuple):
    """What one run is made of; a record the compiler sees through.

    Attributes:
        matrices: A, B and E, with a leading time axis where they vary.
        x0: (n,) initial state.
        kinds: the agents, each a pair of policy and stage cost (None when nothing is paid).
        disturbance: where w comes from, or None.
    """

    matrices: dict
    x0: jax.Array
    kinds: list[Kind]
    disturbance: Any


class Options(NamedTuple):
    """What the program depends on.

    Attributes:
        rounds: T. has_cost: whether costs are paid. aggregated: whether agents are told what the
            others did. keep_parameters: whether learners' M are recorded each round.
    """

    rounds: int
    has_cost: bool
    aggregated: bool
    keep_parameters: bool


def run(options: Options, first_round: jax.Array, world: World, key: jax.Array):
    """Paths (x, u, w, cost, and parameters by kind), and by kind the policies' last states. One scan."""
    start_key, key = jax.random.split(key)
    matrices, disturbance, kinds = world.matrices, world.disturbance, world.kinds
    n, q, width = len(world.x0), matrices["E"].shape[-1], matrices["B"].shape[-1]
    constant = {
        name: value for name, value in matrices.items() if value.ndim == (3 if name == "B" else 2)
    }
    varying = {name: value for name, value in matrices.items() if name not in constant}
    disturbance_state = None if disturbance is None else disturbance.init(start_key, q, 1)
    states = [kind.map(lambda agent: agent[0].init()) for kind in kinds]
    order = [agent for kind in kinds for agent in kind.agents]
    places = jnp.asarray([order.index(agent) for agent in range(len(order))])

    def in_order(parts: list[jax.Array]) -> jax.Array:
        """What the kinds gave, by agent."""
        return parts[0] if len(parts) == 1 else jnp.concatenate(parts)[places]

    def round_(carry, now):
        x, states, disturbance_state = carry
        m = {**constant, **now["matrices"]}
        t = now["t"]
        view = LinearView(t, x)
        controls = [
            kind.map(lambda agent, state: agent[0].act(state, view), state)
            for kind, state in zip(kinds, states, strict=True)
        ]
        u = in_order([_widen(control, width) for control in controls])
        w = jnp.zeros(q, x.dtype)
        if disturbance is not None:
            world_view = PopulationView(t, jnp.zeros((n, 1), x.dtype), x)
            disturbance_state, d = disturbance.sample(
                disturbance_state, jax.random.fold_in(key, t), world_view
            )
            w = d[:, 0]
        # One product for all agents, their inputs side by side.
        pushed = m["B"].swapaxes(0, 1).reshape(n, -1) @ u.reshape(-1)
        x_next = m["A"] @ x + pushed + m["E"] @ w
        others = pushed - jnp.einsum("inp,ip->in", m["B"], u) if options.aggregated else None
        paid = None
        if options.has_cost:
            paid = in_order(
                [
                    kind.map(lambda agent, control: agent[1](t, x, control), control)
                    for kind, control in zip(kinds, controls, strict=True)
                ]
            )
        after = LinearView(t + 1, x_next)
        learned = [
            _observed(kind, state, control, view, after, others)
            for kind, state, control in zip(kinds, states, controls, strict=True)
        ]
        records = {"x": x, "u": u, "w": w, "cost": paid}
        if options.keep_parameters:
            records["parameters"] = [getattr(state, "M", None) for state in states]
        return (x_next, learned, disturbance_state), records

    now = {"t": first_round + jnp.arange(options.rounds), "matrices": varying}
    with jax.default_matmul_precision("highest"):
        carry = (world.x0, states, disturbance_state)
        (x, states, _), records = jax.lax.scan(round_, carry, now)
    return records | {"x": jnp.concatenate([records["x"], x[None]])}, states


def _observed(
    kind: Kind,
    state: Any,
    control: jax.Array,
    view: LinearView,
    after: LinearView,
    others: jax.Array | None,
) -> Any:
    """Each agent's next state. It is handed its own cost and control, and nobody else's."""

    def observe(agent: Any, state: Any, u: jax.Array, aggregate: jax.Array | None = None) -> Any:
        policy, cost = agent
        own = None if cost is None else _of_this_round(cost, view.t)
        return policy.observe(state, RoundFeedback(view, u, after, own, aggregate))

    told = () if others is None else (others[jnp.asarray(kind.agents)],)
    return kind.map(observe, state, control, *told)


def _of_this_round(cost: Any, t: jax.Array) -> Any:
    """The cost as the agent may know it: this round's, whatever round it is asked for.

    A cost that varies in time holds its future (targets, prices); an agent learns of it as it comes.
    """

    def price(_: Any, x: jax.Array, u: jax.Array) -> jax.Array:
        return cost(t, x, u)

    if hasattr(cost, "gradient"):
        price.__dict__["gradient"] = lambda _, x, u: cost.gradient(t, x, u)
    return price


def _widen(u: jax.Array, width: int) -> jax.Array:
    return u if u.shape[-1] == width else jnp.pad(u, ((0, 0), (0, width - u.shape[-1])))
