"""All cores for a learner: JAX sees the CPU as several devices, and chunks of draws are dealt to them."""

import os

import jax

from phalanx._outcome import InputError

MOST = 8  # more devices than this, a batch of draws is not dealt to


def use_cores(count: int | None = None) -> int:
    """Let `learn` use several cores of the CPU. Call it before anything else touches JAX.

    Within one device XLA shares out each operation, and waits after each; devices share out the draws
    of a whole batch, which is nearly twice as fast on two cores. What is learned does not depend on
    how many there are. GPUs need no call: a batch is spread over all that JAX sees.

    Args:
        count: cores; by default as many as this process may run on, up to the 8 that are of use.

    Returns:
        How many.

    Raises:
        InputError: no positive number, or JAX has begun: it fixes its devices at the first array.

    Example:
        >>> import phalanx as px
        >>> px.use_cores(1)
        1
    """
    if count is None:
        count = min(available(), MOST)
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise InputError(f"count must be a positive number of cores, but it is {count!r}.")
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:
        begun = len(jax.devices("cpu"))
        if begun != count:
            raise InputError(
                f"use_cores({count}) comes too late: JAX has begun on {begun} of the CPU's cores and keeps to that. "
                "Call it right after importing phalanx, before anything is computed."
            ) from None
    return count


def available() -> int:
    """Cores that this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity else os.cpu_count() or 1
