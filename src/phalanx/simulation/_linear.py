"""A linear system's scan: one shared state, one control per agent, every agent its own policy.

Agents may differ in their policies and costs in any way: each is traced by itself into the one
compiled round, so compiling takes longer the more agents there are.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from phalanx.disturbances import PopulationView
from phalanx.policies import Feedback, LinearView


def run(
    rounds: int,
    first_round: jax.Array,
    matrices: dict,
    x0: jax.Array,
    policies: Sequence[Any],
    costs: Sequence[Any] | None,
    disturbance: Any,
    key: jax.Array,
):
    """Paths (x, u, w) and costs (T, N) of one simulation of `rounds` rounds. One scan."""
    start_key, key = jax.random.split(key)
    q = matrices["E"].shape[-1]
    constant = {
        name: value for name, value in matrices.items() if value.ndim == (3 if name == "B" else 2)
    }
    varying = {name: value for name, value in matrices.items() if name not in constant}
    disturbance_state = None if disturbance is None else disturbance.init(start_key, q, 1)
    states = [policy.init() for policy in policies]

    def round_(carry, now):
        x, states, disturbance_state = carry
        m = {**constant, **now["matrices"]}
        t = now["t"]
        view = LinearView(t, x)
        u = jnp.stack(
            [policy.act(state, view) for policy, state in zip(policies, states, strict=True)]
        )
        w = jnp.zeros(q, x.dtype)
        if disturbance is not None:
            zero_y = jnp.zeros((len(x), 1), x.dtype)
            disturbance_state, d = disturbance.sample(
                disturbance_state, jax.random.fold_in(key, t), PopulationView(t, zero_y, x)
            )
            w = d[:, 0]
        highest = jax.lax.Precision.HIGHEST
        pushed = jnp.einsum("inp,ip->n", m["B"], u, precision=highest)
        x_next = (
            jnp.matmul(m["A"], x, precision=highest)
            + pushed
            + jnp.matmul(m["E"], w, precision=highest)
        )
        paid = None
        if costs is not None:
            paid = jnp.stack([cost(t, x, control) for cost, control in zip(costs, u, strict=True)])
        after = LinearView(t + 1, x_next)
        states = [
            policy.observe(state, Feedback(view, control, after))
            for policy, state, control in zip(policies, states, u, strict=True)
        ]
        return (x_next, states, disturbance_state), {"x": x, "u": u, "w": w, "cost": paid}

    now = {"t": first_round + jnp.arange(rounds), "matrices": varying}
    (x, _, _), records = jax.lax.scan(round_, (x0, states, disturbance_state), now)
    return records | {"x": jnp.concatenate([records["x"], x[None]])}
