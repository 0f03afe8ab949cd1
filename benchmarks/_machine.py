"""The limits of this machine, measured in the same run: arithmetic and memory, one thread and all."""

import os
import time
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits


@dataclass(frozen=True)
class Machine:
    """What the hardware can do.

    Attributes:
        cores: processors this process may use.
        flops: float64 operations a second of one thread, in a large matrix product.
        bandwidth: bytes a second of one thread, in a large copy (read plus written).
    """

    cores: int
    flops: float
    bandwidth: float


def measure() -> Machine:
    """The two ceilings, each the best of five."""
    rng = np.random.default_rng(0)
    A = rng.normal(size=(1200, 1200))
    with threadpool_limits(1):
        product = min(_time(lambda: A @ A) for _ in range(5))
    source = rng.normal(size=32_000_000)
    target = np.empty_like(source)
    copy = min(_time(lambda: np.copyto(target, source)) for _ in range(5))
    return Machine(
        len(os.sched_getaffinity(0)), 2 * len(A) ** 3 / product, 2 * source.nbytes / copy
    )


def _time(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
