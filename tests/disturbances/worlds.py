"""A world in which nothing happens but the disturbance."""

import numpy as np

import phalanx as px


def draw(disturbance, rounds, size, n_agents, key=0, **settings) -> np.ndarray:
    """What the disturbance did to each agent, (rounds, n_agents, size), through the public door."""
    still = px.MeanFieldFeedback(K=np.zeros((1, size)), L=np.zeros((1, size)))
    world = px.MeanFieldSystem(A=np.zeros((size, size)), B=np.zeros((size, 1)))
    return px.simulate(
        world,
        still,
        disturbance,
        rounds=rounds,
        n_agents=n_agents,
        record="states",
        key=key,
        **settings,
    ).d
