"""Worlds in which nothing happens but the disturbance, with and without the simulator."""

import jax
import jax.numpy as jnp
import numpy as np

import phalanx as px
from phalanx.disturbances import PopulationView


def simulated(disturbance, rounds, size, n_agents, key=0, **settings) -> np.ndarray:
    """What the simulator lets the disturbance do to each agent: (rounds, n_agents, size)."""
    still = px.MeanFieldFeedback(K=np.zeros((1, size)), L=np.zeros((1, size)))
    world = px.MeanFieldSystem(A=np.zeros((size, size)), B=np.zeros((size, 1)))
    settings |= {"rounds": rounds, "n_agents": n_agents, "key": key, "record": "states"}
    return px.simulate(world, still, disturbance, **settings).d


def sampled(disturbance, rounds, size, n_agents, key=0) -> np.ndarray:
    """The same by hand, round by round and uncompiled: (rounds, n_agents or 1, size)."""
    with jax.enable_x64(True):
        disturbance = jax.tree.map(jnp.asarray, disturbance)
        key = jax.random.key(key)
        state = disturbance.init(key, size, n_agents)
        drawn = []
        for t in range(rounds):
            state, d = disturbance.sample(state, jax.random.fold_in(key, t), view(t, n_agents))
            drawn.append(np.array(d).T)
        return np.array(drawn)


def in_many_worlds(disturbance, worlds, size, n_agents) -> jax.Array:
    """The first round of independent worlds: (worlds, n_agents or 1, size)."""

    def first(key):
        start, now = jax.random.split(key)
        state = disturbance.init(start, size, n_agents)
        return disturbance.sample(state, now, view(0, n_agents))[1].T

    with jax.enable_x64(True):
        disturbance = jax.tree.map(jnp.asarray, disturbance)
        return jax.jit(jax.vmap(first))(jax.random.split(jax.random.key(0), worlds))


def view(t, n_agents):
    return PopulationView(jnp.asarray(t), jnp.zeros((1, n_agents)), jnp.zeros(1))
