"""All cores for a learner: JAX sees the CPU as several devices, and chunks of draws are dealt to them."""

import os

import jax
import numpy as np

from phalanx._outcome import InputError

MOST = 8  # more devices than this, a batch of draws is not dealt to
COUNT_FLAG = "xla_force_host_platform_device_count"
UNTRIED = (0, 12)
WAIT_FLAGS = (
    "xla_cpu_collective_call_terminate_timeout_seconds",
    "xla_cpu_collective_call_warn_stuck_timeout_seconds",
)


def use_cores(count: int | None = None) -> int:
    """Let `learn` use several cores of the CPU. Call it before anything else touches JAX.

    Within one device XLA shares out each operation, and waits after each; devices share out the draws
    of a large batch, which keeps cores busy. What is learned does not depend on how many there are, to the last bit.

    Args:
        count: cores, at most the 8 that are of use; by default as many as this process may run on,
            or what JAX_NUM_CPU_DEVICES or XLA_FLAGS already say.

    Returns:
        How many.

    Raises:
        InputError: no number from 1 to 8, or JAX has begun: it fixes its devices at the first array.

    Example:
        >>> import phalanx as px
        >>> px.use_cores(1)
        1
    """
    if count is None:
        said = getattr(jax.config, "jax_num_cpu_devices", -1)
        if said > 0 or COUNT_FLAG in os.environ.get("XLA_FLAGS", ""):
            return len(jax.devices("cpu"))
        count = min(available(), MOST)
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or not 1 <= count <= MOST:
        raise InputError(f"count must be a number of cores from 1 to {MOST}, but it is {count!r}.")
    count = int(count)
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:
        begun = len(jax.devices("cpu"))
        if begun != count:
            raise InputError(
                f"use_cores({count}) comes too late: JAX has begun with {begun} device(s) on the CPU and keeps to that. "
                "Call it right after importing phalanx, before anything is computed."
            ) from None
        return count
    _be_patient()
    return count


def _be_patient() -> None:
    """XLA ends the process where one device waits 40 s for another; a large population may take longer."""
    if jax.__version_info__ >= UNTRIED:  # a flag that XLA does not know ends the process too
        return
    said = os.environ.get("XLA_FLAGS", "")
    if WAIT_FLAGS[0] not in said:
        waits = " ".join(f"--{flag}={10**6}" for flag in WAIT_FLAGS)
        os.environ["XLA_FLAGS"] = f"{said} {waits}".strip()


def available() -> int:
    """Cores that this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity else os.cpu_count() or 1
