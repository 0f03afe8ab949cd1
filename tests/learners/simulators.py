"""Simulators that learners may roll out: P1's eq. 1 in NumPy, and one small world in three forms."""

import jax
import jax.numpy as jnp
import numpy as np

from phalanx.learners import JointGains

T, N = 2, 8
A, A_BAR = np.array([[0.9, 0.2], [0.1, 0.8]]), np.array([[0.1, 0.0], [0.05, 0.1]])
B, B_BAR = np.array([[1.0, 0.0], [0.2, 0.7]]), np.diag([0.2, 0.1])
ROOT, ROOT_BAR = np.sqrt(np.diag([0.3, 0.2])), np.sqrt(np.diag([0.1, 0.2]))


def two_by_two(gains, start, seed):
    """The reference game of theory.md over two stages, eight agents, from its equations alone.

    Costs and energies are means over the agents (P1, eqs. 2 and 3); noise is Gaussian.
    """
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(N, 2))
    x = (y - y.mean(axis=0)) * np.sqrt(N / (N - 1)) + rng.normal(size=2)
    cost = energy = 0.0
    for t in range(start, T):
        x_bar = x.mean(axis=0)
        u, d = gains.control(t, x, x_bar), gains.disturbance(t, x, x_bar)
        u_bar, d_bar = u.mean(axis=0), d.mean(axis=0)
        cost += np.mean(np.sum((x - x_bar) ** 2, axis=1)) + 2 * np.sum(x_bar**2)
        cost += np.mean(np.sum((u - u_bar) ** 2, axis=1)) + np.sum(u_bar**2)
        energy += np.mean(np.sum((d - d_bar) ** 2, axis=1)) + np.sum(d_bar**2)
        x = x @ A.T + A_BAR @ x_bar + u @ B.T + B_BAR @ u_bar + d
        x = x + rng.normal(size=(N, 2)) @ ROOT + rng.normal(size=2) @ ROOT_BAR
    x_bar = x.mean(axis=0)
    cost += np.mean(np.sum((x - x_bar) ** 2, axis=1)) + 2 * np.sum(x_bar**2)
    return cost, energy


# --- one world in three forms: noise is a sine of the seed, so that every form can draw it ---------


def _little(gains, start, seed, xp):
    x = xp.sin(seed * xp.asarray([1.0, 2.0, 3.0]))[:, None]
    cost = energy = 0.0
    for t in range(0 if start is None else start, T):
        x_bar = x.mean(axis=0)
        u, d = gains.control(t, x, x_bar), gains.disturbance(t, x, x_bar)
        cost = cost + xp.mean(x**2) + xp.mean(u**2)
        energy = energy + xp.mean(d**2)
        x = 0.9 * x + u + 0.5 * d + 0.1 * xp.cos(seed * (t + 1.0))
    return cost + xp.mean(x**2), energy


def little_each(gains, start, seed):
    """One rollout."""
    cost, energy = _little(gains, start, seed % 1000, np)
    return float(cost), float(energy)


def little_batch(gains, start, seeds):
    """Many: gains have a leading axis."""
    pairs = zip(*gains, seeds, strict=True)
    rows = [_little(JointGains(one, two), start, seed % 1000, np) for one, two, seed in pairs]
    return np.array(rows).T


def little_jax(gains, start, key):
    """One, traced, with the number that the key stands for; every stage before `start` weighs 0."""
    seed = (jax.random.bits(key, (), jnp.uint32) % 1000).astype(jnp.float64)
    x = jnp.sin(seed * jnp.asarray([1.0, 2.0, 3.0]))[:, None]
    cost = energy = 0.0
    for t in range(T):
        on = jnp.asarray(True) if start is None else t >= start
        x_bar = x.mean(axis=0)
        u, d = gains.control(t, x, x_bar), gains.disturbance(t, x, x_bar)
        cost = cost + on * (jnp.mean(x**2) + jnp.mean(u**2))
        energy = energy + on * jnp.mean(d**2)
        moved = 0.9 * x + u + 0.5 * d + 0.1 * jnp.cos(seed * (t + 1.0))
        x = jnp.where(on, moved, x)
    return cost + jnp.mean(x**2), energy
