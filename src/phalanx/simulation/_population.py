"""The population's scan: every agent, explicitly, one pass over the agents a stage.

States are held as (m, N), agents last, so that each operation runs along memory and vectorises;
policies, written for one agent, are mapped over that axis. The loop keeps running sums only; what
grows with T is stacked by the scan exactly when it is asked for.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from phalanx import _random
from phalanx._linalg._apply import apply, dot
from phalanx._outcome import InputError
from phalanx.disturbances import PopulationView
from phalanx.policies import Feedback, MeanFieldView


class Static(NamedTuple):
    """What a compiled simulation is specialised to; two runs with equal `Static` and shapes share one program."""

    rounds: int
    n_agents: int
    record: str
    has_cost: bool
    noisy: tuple[str, ...]
    has_limits: bool


class Inputs(NamedTuple):
    """The numbers of a simulation, all traced.

    Attributes:
        constant: matrices without a time axis, by name. varying: with one, (T, ·, ·).
        terminal: Q_T and Q_bar_T.
        roots: F with FFᵀ = Σ, for the covariances that are not 0.
        x0: (m, N), or None: drawn around mean_x0, (m,).
        limits: (2, m) least and largest allowed state, or None.
        first_round: number of the first round.
    """

    constant: dict
    varying: dict
    terminal: dict
    roots: dict
    x0: jax.Array | None
    mean_x0: jax.Array
    limits: jax.Array | None
    first_round: jax.Array


class Totals(NamedTuple):
    """Running sums of one run."""

    cost: jax.Array
    disturbance_energy: jax.Array
    noise_energy: jax.Array
    outside: jax.Array


def run(static: Static, inputs: Inputs, policy: Any, disturbance: Any, key: jax.Array):
    """(totals, first and last states (m, N), records stacked over rounds) of one run. One scan."""
    N = static.n_agents
    start_key, initial_key, noise_key, key = jax.random.split(key, 4)
    x0 = _draw(inputs, N, initial_key) if inputs.x0 is None else inputs.x0
    q = (inputs.constant | inputs.varying)["D"].shape[-1]
    policy_state = jax.vmap(lambda _: policy.init(), out_axes=-1)(jnp.zeros(N))
    disturbance_state = None if disturbance is None else disturbance.init(start_key, q, N)
    zero = jnp.zeros((), x0.dtype)
    totals = Totals(zero, zero, zero, jnp.zeros(x0.shape[0], x0.dtype))

    def draw(t: jax.Array) -> dict:
        # Normals for ω of stage t. They are drawn a stage ahead and carried: XLA would otherwise
        # fuse the draw into each of its readers, and draw the same numbers once for each of them.
        own_key, common_key = jax.random.split(jax.random.fold_in(noise_key, t))
        shapes = {"Sigma": (own_key, x0.shape), "Sigma_bar": (common_key, (len(x0), 1))}
        return {
            name: _random.packed_normal(key, shape, x0.dtype)
            for name, (key, shape) in shapes.items()
            if name in static.noisy
        }

    def stage(carry, now):
        x, drawn, policy_state, disturbance_state, totals = carry
        matrices = {**inputs.constant, **now["matrices"]}
        t = now["t"]
        x_bar = x.mean(axis=1)
        y = x - x_bar[:, None]
        draw_key = jax.random.fold_in(key, t)

        u = jax.vmap(
            lambda state, own: policy.act(state, MeanFieldView(t, own, x_bar)),
            in_axes=(-1, -1),
            out_axes=-1,
        )(policy_state, x)
        p = matrices["B"].shape[1]
        if u.shape != (p, N):
            raise InputError(
                f"the policy returned a control of shape {u.shape[:-1]}, but the system takes ({p},)."
            )
        u_bar = u.mean(axis=1)
        v = u - u_bar[:, None]

        x_next = apply(matrices["A"], x) + apply(matrices["B"], u)
        shared = dot(matrices["A_bar"], x_bar) + dot(matrices["B_bar"], u_bar)
        d = None
        if disturbance is not None:
            disturbance_state, d = disturbance.sample(
                disturbance_state, draw_key, PopulationView(t, y, x_bar)
            )
            if d.shape not in ((q, N), (q, 1)):
                raise InputError(
                    f"the disturbance has shape {d.shape}, but must have ({q}, {N}) or ({q}, 1)."
                )
            d_bar = d.mean(axis=1)
            x_next = x_next + apply(matrices["D"], d)
            shared = shared + dot(matrices["D_bar"], d_bar)
            energy = _mean_square(d - d_bar[:, None]) + d_bar @ d_bar
        else:
            d_bar, energy = jnp.zeros(q, x.dtype), zero
        noise_energy = zero
        if "Sigma" in static.noisy:
            noise = apply(inputs.roots["Sigma"], _random.unpack(drawn["Sigma"], x.shape))
            x_next = x_next + noise
            noise_energy = noise_energy + _mean_square(noise)
        if "Sigma_bar" in static.noisy:
            common = dot(
                inputs.roots["Sigma_bar"], _random.unpack(drawn["Sigma_bar"], (len(x), 1))
            )[:, 0]
            shared = shared + common
            noise_energy = noise_energy + common @ common
        x_next = x_next + shared[:, None]

        cost = zero
        if static.has_cost:
            cost = _form(matrices["Q"], y) + _form(matrices["R"], v)
            cost = (
                cost
                + _form(matrices["Q_bar"], x_bar[:, None])
                + _form(matrices["R_bar"], u_bar[:, None])
            )
        outside = zero
        if inputs.limits is not None:
            low, high = inputs.limits[0][:, None], inputs.limits[1][:, None]
            outside = ((x_next < low) | (x_next > high)).mean(axis=1, dtype=x.dtype)
        totals = Totals(
            totals.cost + cost,
            totals.disturbance_energy + energy,
            totals.noise_energy + noise_energy,
            totals.outside + outside,
        )

        x_bar_next = x_next.mean(axis=1)  # compiled away unless a policy learns from it
        policy_state = jax.vmap(
            lambda state, own, control, new: policy.observe(
                state,
                Feedback(
                    MeanFieldView(t, own, x_bar), control, MeanFieldView(t + 1, new, x_bar_next)
                ),
            ),
            in_axes=-1,
            out_axes=-1,
        )(policy_state, x, u, x_next)

        record = {}
        if static.record != "totals":
            record = {
                "stage_cost": cost,
                "u_bar": u_bar,
                "d_bar": d_bar,
                "d_energy": energy,
                **_summary(x, x_bar),
            }
        if static.record == "states":
            full = jnp.zeros((q, N), x.dtype) if d is None else jnp.broadcast_to(d, (q, N))
            record |= {"x": x, "u": u, "d": full}
        return (x_next, draw(t + 1), policy_state, disturbance_state, totals), record

    first = inputs.first_round + jnp.arange(static.rounds)
    carry = (x0, draw(inputs.first_round), policy_state, disturbance_state, totals)
    (x, _, _, _, totals), records = jax.lax.scan(
        stage, carry, {"t": first, "matrices": inputs.varying}
    )
    x_bar = x.mean(axis=1)
    if static.has_cost:
        last = _form(inputs.terminal["Q_T"], x - x_bar[:, None]) + _form(
            inputs.terminal["Q_bar_T"], x_bar[:, None]
        )
        totals = totals._replace(cost=totals.cost + last)
    if static.record != "totals":
        end = _summary(x, x_bar) | ({"x": x} if static.record == "states" else {})
        records |= {
            name: jnp.concatenate([records[name], value[None]]) for name, value in end.items()
        }
    return totals._replace(outside=totals.outside / static.rounds), x0, x, records


def _draw(inputs: Inputs, n_agents: int, key: jax.Array) -> jax.Array:
    """Initial states (m, N) from Σ⁰ and Σ̄⁰; 0 where they are."""
    own_key, common_key = jax.random.split(key)
    A = (inputs.constant | inputs.varying)["A"]
    m = A.shape[-1]
    x0 = jnp.broadcast_to(inputs.mean_x0[:, None], (m, n_agents))
    if "Sigma_0" in inputs.roots:
        x0 = x0 + apply(inputs.roots["Sigma_0"], _random.normal(own_key, (m, n_agents), A.dtype))
    if "Sigma_bar_0" in inputs.roots:
        x0 = x0 + inputs.roots["Sigma_bar_0"] @ _random.normal(common_key, (m, 1), A.dtype)
    return x0


def _summary(x: jax.Array, x_bar: jax.Array) -> dict:
    return {
        "x_bar": x_bar,
        "x_std": jnp.sqrt(jnp.mean((x - x_bar[:, None]) ** 2, axis=1)),
        "x_min": x.min(axis=1),
        "x_max": x.max(axis=1),
    }


def _form(weight: jax.Array, x: jax.Array) -> jax.Array:
    """Mean over agents of xᵀ W x, agents last."""
    return jnp.sum(x * apply(weight, x)) / x.shape[1]


def _mean_square(x: jax.Array) -> jax.Array:
    """Mean over agents of |x|², agents last; a single column stands for all of them."""
    return jnp.sum(x * x) / x.shape[1]
