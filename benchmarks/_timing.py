"""How a race is run: both contestants in turn, pair by pair, so that a drifting machine hits both."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Race:
    """One line of the results.

    Attributes:
        name: what was timed.
        ours, peer: median seconds; peer None where there is nobody to race.
        ratio: median over pairs of peer / ours: above 1 we are faster.
        target: what the issue asks of the ratio (or of the rate), in words.
        floor: median share of the hardware's limit that was reached, in words.
    """

    name: str
    ours: float
    peer: float | None
    ratio: float | None
    target: str
    floor: str


def race(
    name: str,
    ours: Callable[[], object],
    peer: Callable[[], object] | None,
    *,
    target: str,
    pairs: int = 7,
    calls: int = 1,
    warm: bool = True,
    floor: Callable[[float], str] = lambda seconds: "",
) -> Race:
    """Time `ours` and `peer` in turn, after a warm-up of each unless told otherwise; the median over pairs decides.

    A turn is `calls` calls, for work so short that the other's turn would still be in the caches.
    """
    mine, theirs = [], []
    if warm:
        ours()
        if peer is not None:
            peer()
    for _ in range(pairs):
        mine.append(_seconds(ours, calls))
        if peer is not None:
            theirs.append(_seconds(peer, calls))
    ratio = statistics.median(b / a for a, b in zip(mine, theirs, strict=True)) if theirs else None
    typical = statistics.median(mine)
    return Race(
        name, typical, statistics.median(theirs) if theirs else None, ratio, target, floor(typical)
    )


def _seconds(call: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls
