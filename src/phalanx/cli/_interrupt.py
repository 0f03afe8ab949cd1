"""Ctrl-C, made certain.

Python raises KeyboardInterrupt wherever it happens to be, and that may be inside a callback of a
compiled library, which swallows it, or at shutdown, beside threads that do not survive it. So the
signal is also remembered: work asks between its steps, and the program ends at once when it is over.
A second Ctrl-C ends it on the spot.
"""

import os
import signal
import sys
from types import FrameType

CODE = 130
_seen = False


def install() -> None:
    """Answer Ctrl-C from now on."""
    signal.signal(signal.SIGINT, _answer)
    usual = sys.unraisablehook

    def quiet(swallowed: "sys.UnraisableHookArgs") -> None:
        if not isinstance(swallowed.exc_value, KeyboardInterrupt):
            usual(swallowed)

    sys.unraisablehook = quiet


def check() -> None:
    """Raise KeyboardInterrupt if there was a Ctrl-C that nobody answered."""
    if _seen:
        raise KeyboardInterrupt


def leave(code: int) -> None:
    """End the program with `code`, or with 130 after a Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not _seen:
        sys.exit(code)
    if code != CODE:
        print("phalanx: interrupted.", file=sys.stderr)  # noqa: T201
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(CODE)  # without the interpreter's shutdown, which compiled threads may not survive


def _answer(signum: int, frame: FrameType | None) -> None:
    global _seen
    if _seen:
        os._exit(CODE)
    _seen = True
    raise KeyboardInterrupt
