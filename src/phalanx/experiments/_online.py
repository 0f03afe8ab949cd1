"""What several experiments on online control share: bounded disturbances by name, and regrets of many runs.

P2 asks one thing of a disturbance, |w_t| ≤ W. Five kinds are played here, from independent to hostile. All
are handed to the simulator in one form, a record plus an adversary of size 0 or W, so that one
compiled program serves all of them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from phalanx.disturbances import BoundedAdversary, Replay, Sum
from phalanx.evaluation import Exponent, regret_curve

# Names, and how a legend calls them.
DISTURBANCES = {
    "iid": "independent draws",
    "sinusoid": "sinusoid",
    "random-walk": "random walk",
    "steps": "steps",
    "adversarial": "adversary",
}
# Rounds between jumps of "steps", on average; periods of the sinusoids, one per entry in turn; step of the walk.
JUMPS = 30
PERIODS = (20.0, 33.0)
WALK = 0.1
# How far above a bound a fitted exponent may lie and still count as keeping to it.
SLACK = 0.1


def lengths(longest: int, per_decade: int = 2, shortest: int = 100) -> list[int]:
    """Run lengths spread evenly in the logarithm: `per_decade` of them from `shortest` to `longest`."""
    count = round(np.log10(longest / shortest) * per_decade) + 1
    return [int(T) for T in np.round(np.geomspace(shortest, longest, count))]


def signal(kind: str, rounds: int, size: int, bound: float, rng: np.random.Generator) -> np.ndarray:
    """(T, q) one record of a disturbance with |w_t| ≤ bound; zeros for "adversarial", which is no record.

    Args:
        kind: one of `DISTURBANCES`.
        rounds: T.
        size: q.
        bound: W.
        rng: draws it.
    """
    if kind == "adversarial":
        return np.zeros((rounds, size))
    if kind == "sinusoid":
        period = np.resize(PERIODS, size)
        phase = 2 * np.pi * (np.arange(rounds)[:, None] / period + rng.random(size))
        return bound * np.sin(phase) / np.sqrt(size)
    if kind == "random-walk":
        # Reflected in each entry's share of the bound: unfolded, the walk is free.
        walk = 2 * rng.random(size) - 1 + np.cumsum(WALK * rng.standard_normal((rounds, size)), 0)
        folded = np.mod(walk + 1, 4)
        return bound * (np.minimum(folded, 4 - folded) - 1) / np.sqrt(size)
    if kind == "iid":
        distance = rng.random((rounds, 1)) ** (1 / size)
        return bound * distance * _directions(rounds, size, rng)
    jumps = (rng.random(rounds) < 1 / JUMPS).cumsum()
    return bound * _directions(int(jumps[-1]) + 1, size, rng)[jumps]


def disturbance(
    kind: str, rounds: int, gain: np.ndarray, bound: float, rng: np.random.Generator
) -> Sum:
    """A disturbance by name; the adversary answers the state through `gain` (q, n), as in `BoundedAdversary`."""
    record = signal(kind, rounds, len(gain), bound, rng)
    return Sum(Replay(record), BoundedAdversary(gain, bound if kind == "adversarial" else 0.0))


def regrets(
    trajectory: Any, agents: Sequence[int], rounds: Sequence[int], **settings: Any
) -> np.ndarray:
    """(agents, lengths) regret after each length, against the best policy of that length."""
    return np.array(
        [
            [found.regret for found in regret_curve(trajectory, i, rounds=rounds, **settings)]
            for i in agents
        ]
    )


def verdict(fit: Exponent, bound: float) -> bool | None:
    """Whether a fitted exponent keeps to a bound: True, False, or None where the interval says too little."""
    if fit.nonpositive:
        return True
    if fit.exponent is None or fit.low is None or fit.high is None:  # nothing could be fitted
        return None
    if fit.low > bound:
        return False
    return True if fit.exponent <= bound + SLACK or fit.high <= bound + SLACK else None


def worst(verdicts: Sequence[bool | None]) -> bool | None:
    """False if one is, else None if one is, else True."""
    if False in verdicts:
        return False
    return None if None in verdicts else True


def words(fit: Exponent) -> str:
    """The exponent and its interval, or "≤ 0"."""
    if fit.nonpositive:
        return "≤ 0"
    if fit.exponent is None:
        return "not fitted"
    return f"{fit.exponent:.2f} [{fit.low:.2f}, {fit.high:.2f}]"


def _directions(count: int, size: int, rng: np.random.Generator) -> np.ndarray:
    drawn = rng.standard_normal((count, size))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
