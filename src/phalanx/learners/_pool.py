"""Worker processes for a simulator in plain Python."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.reduction import ForkingPickler
from typing import Any

from phalanx._outcome import InputError

GUARD = (
    'a script that starts workers must do its work under `if __name__ == "__main__":`, because every worker imports '
    "the script anew"
)


class Pool:
    """Worker processes that start when they are first needed; compared by identity, as jit asks."""

    def __init__(self, workers: int):
        self.workers, self.pool = workers, None

    def map(self, simulate: Callable, jobs: list) -> list:
        """What `simulate` answers to each job, in their order.

        Raises:
            InputError: workers that cannot start, or that ended before they answered.
        """
        if not self.workers:
            return [simulate(*job) for job in jobs]
        try:
            if self.pool is None:
                # A forked child of a process that runs JAX's threads may hang.
                self.pool = ProcessPoolExecutor(
                    self.workers,
                    multiprocessing.get_context("spawn"),
                    initializer=_ignore_interrupts,
                )
            chunk = max(1, len(jobs) // (4 * self.workers))
            return list(self.pool.map(_call, [(simulate, job) for job in jobs], chunksize=chunk))
        except BrokenProcessPool as error:
            self.close()
            raise InputError(
                f"a worker process ended before it answered: {GUARD}; the simulator must be a function of a file, not of "
                "an interactive session; and workers that ran out of memory end so too."
            ) from error
        except RuntimeError as error:
            if "bootstrapping" in str(error):  # Python's own words for a script without the guard
                raise InputError(f"workers cannot start workers of their own: {GUARD}.") from error
            raise

    def close(self) -> None:
        """End the processes."""
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)
            self.pool = None


def check_importable(simulate: Callable) -> None:
    """Refuse what another process cannot import.

    Raises:
        InputError: a lambda, or a function within another.
    """
    try:
        ForkingPickler.dumps(simulate)
    except Exception as error:
        raise InputError(
            f"workers need a simulator that other processes can import, a function written with def at the top of a module, "
            f"but it is {simulate!r}; move it there, or leave workers out."
        ) from error


def _ignore_interrupts() -> None:
    """Ctrl-C reaches the whole group; the parent answers it."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _call(work: tuple) -> Any:
    simulate, job = work
    return simulate(*job)
