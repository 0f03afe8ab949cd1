"""Sums over many draws, a chunk at a time: memory stays flat, and every device takes its share.

Chunks are dealt in turn to a few lanes, each with its own sum, and devices are dealt the lanes. Which chunks a lane
adds up, in which order, and how lanes are added in the end does not depend on how many devices there
are, so that one core and many learn the same.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from phalanx._cores import MOST
from phalanx.learners._base import Oracle

# Entries of one chunk's perturbations: with what a rollout needs beside them, they stay in the cache.
CHUNK = 2**16
LANES = MOST  # devices beyond this have no lane of their own
WORTH = 4  # chunks that a device must have to be worth waiting for
AXIS = "lanes"


def chunked(oracle: Oracle, wanted: int, entries: int, G: int) -> tuple[int, int]:
    """(chunks, draws in each) for `entries` numbers of perturbations per draw."""
    if not oracle.traceable:
        return 1, wanted
    most = max(1, CHUNK // max(entries, G * getattr(oracle, "footprint", 0)))
    chunks = -(-wanted // most)
    size = -(-wanted // chunks)
    # Antithetic draws stay together.
    return chunks, size + size % 2 if getattr(oracle, "antithetic", False) else size


def sum_over(chunks: int, draw: Callable[[Any], Any], total: Callable[[Any, Any], Any]) -> Any:
    """Σ over chunks of total(draw(chunk), chunk) in float64, drawing one chunk ahead."""
    if chunks == 1:
        only = jnp.asarray(0)
        return jax.tree.map(lambda X: X.astype(jnp.float64), total(draw(only), only))
    lanes = min(LANES, chunks)
    devices = _devices(chunks, lanes)
    sums = functools.partial(_sums, chunks, lanes, len(devices), draw, total)
    if len(devices) == 1:
        by_lane = sums(0)
    else:
        mesh = jax.sharding.Mesh(np.array(devices), (AXIS,))
        everywhere = jax.sharding.PartitionSpec()
        # Each lane is zero but on one device, so that this sum rounds nothing.
        by_lane = jax.shard_map(
            lambda: jax.lax.psum(sums(jax.lax.axis_index(AXIS)), AXIS),
            mesh=mesh,
            in_specs=(),
            out_specs=everywhere,
            check_vma=False,
        )()
    return jax.tree.map(lambda X: functools.reduce(operator.add, list(X)), by_lane)


def _devices(chunks: int, lanes: int) -> list:
    """Devices that share the lanes evenly: one that is done waits for the others."""
    chosen = getattr(jax.config, "jax_default_device", None)
    if chosen is not None:
        return [chosen]
    there = jax.local_devices()
    most = min(len(there), max(1, chunks // WORTH))
    return there[: max(d for d in range(1, lanes + 1) if lanes % d == 0 and d <= most)]


def _sums(chunks: int, lanes: int, devices: int, draw: Any, total: Any, device: Any) -> Any:
    """The sums of one device's lanes, (lanes, …); other devices' are zero."""
    own = (lanes - 1 - device) // devices + 1  # lanes of this device
    whole, rest = divmod(chunks, lanes)
    count = whole * own + jnp.maximum((rest - 1 - device) // devices + 1, 0)

    def place(k: Any) -> tuple:
        """Lane and chunk of this device's k-th chunk."""
        lane = device + devices * (k % own)
        return lane, lane + lanes * (k // own)

    def step(k: Any, carry: tuple) -> tuple:
        sums, drawn = carry
        lane, chunk = place(k)
        new = total(drawn, chunk)
        sums = jax.tree.map(lambda s, x: s.at[lane].add(x.astype(jnp.float64)), sums, new)
        return sums, draw(place(k + 1)[1])

    first = draw(place(jnp.asarray(0))[1])
    shapes = jax.eval_shape(total, first, jnp.asarray(0))
    zero = jax.tree.map(lambda X: jnp.zeros((lanes, *X.shape), jnp.float64), shapes)
    return jax.lax.fori_loop(0, count, step, (zero, first))[0]
