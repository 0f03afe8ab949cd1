"""Ctrl-C, made certain.

Python's own answer, an exception raised wherever the program happens to be, is not safe here: it may
be raised inside a callback of a compiled library, which swallows it or does not survive it. So the
program ends on the spot, taking back what it had half written; nothing else needs unwinding. Work
that has a state worth keeping asks for time (`deferred`): then the signal is remembered, the work
asks between its steps (`check`), and a second Ctrl-C ends it on the spot all the same.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from phalanx._unfinished import take_back

CODE = 130
_seen = False
_deferred = False


def install() -> None:
    """Answer Ctrl-C from now on."""
    signal.signal(signal.SIGINT, _answer)


@contextmanager
def deferred() -> Iterator[None]:
    """While it lasts, Ctrl-C is remembered for `check`."""
    global _deferred
    _deferred = True
    try:
        yield
        check()  # a Ctrl-C after the last step is answered too
    finally:
        _deferred = False


def check() -> None:
    """Raise KeyboardInterrupt if there was a Ctrl-C that nobody answered."""
    if _seen:
        raise KeyboardInterrupt


def _answer(signum: int, frame: FrameType | None) -> None:
    global _seen
    if _deferred and not _seen:
        _seen = True
        return
    take_back()
    # A progress bar hides the cursor and stands in the last line.
    bar = "\r\x1b[2K\x1b[?25h" if sys.stderr is not None and sys.stderr.isatty() else ""
    os.write(2, f"{bar}phalanx: interrupted.\n".encode())
    os._exit(CODE)  # without the interpreter's shutdown, which compiled threads may not survive
