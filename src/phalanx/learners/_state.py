"""A learner's state: all that it takes to go on, in one file.

It is a sealed file (`phalanx._sealed`): one that was cut short or changed is refused instead of read,
and the one before it is kept beside it.
"""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from phalanx._outcome import InputError
from phalanx._sealed import is_whole, seal, unseal
from phalanx.learners._gains import Sizes

MAGIC = "phalanx-learner-2"


@dataclass(eq=False)
class State:
    """Where a learner stands.

    Attributes:
        settings: everything that determines the numbers, as JSON; a state goes on under these only.
        stage: t being learned; −1 when done. For all stages at once, 0 until done.
        iteration: iterations (or rounds) of this stage that are done.
        rollouts: used so far.
        theta1, theta2: (T, ·, 2m) gains so far.
        W, field, first, sum_W, sum_field, outside: the inner loop's (`_descent.Iterate`).
        eta, decay, ball: (T,) settings of each stage, as found. mu: (T,) strong convexity. lipschitz: (T,).
        S: (T, 2, p+q, p+q) curvature of each stage, NaN where it was not measured.
        weight: sum over the rounds of this stage's regression of one over their variances.
        estimate: (T,) estimated distance of each stage's gains from that stage's saddle point.
        projected: (T,) share of the last half's iterations that left the ball.
        record_stage, record_iteration, record_rollouts: (n,) of the recorded iterates.
        record_W: (n, 1 | T, p+q, 2m) recorded iterates.
        status: "running", or how it ended (`_verdict` has a sentence for each). note: a stage, for
            that sentence; −1 for all at once.
    """

    settings: str
    stage: int
    iteration: int
    rollouts: int
    theta1: np.ndarray
    theta2: np.ndarray
    W: np.ndarray
    field: np.ndarray
    first: np.ndarray
    sum_W: np.ndarray
    sum_field: np.ndarray
    outside: np.ndarray
    eta: np.ndarray
    decay: np.ndarray
    ball: np.ndarray
    mu: np.ndarray
    lipschitz: np.ndarray
    S: np.ndarray
    weight: np.ndarray
    estimate: np.ndarray
    projected: np.ndarray
    record_stage: np.ndarray
    record_iteration: np.ndarray
    record_rollouts: np.ndarray
    record_W: np.ndarray
    status: str = "running"
    note: int = -1

    @classmethod
    def fresh(cls, sizes: Sizes, all_stages: bool, settings: dict[str, Any]) -> "State":
        """Before anything was learned: all gains 0."""
        T, m, p, q = sizes
        shape = (T if all_stages else 1, p + q, 2 * m)
        zero = np.zeros(())
        nan = np.full(T, np.nan)
        return cls(
            settings=json.dumps(settings, sort_keys=True),
            stage=0 if all_stages else T - 1,
            iteration=0,
            rollouts=0,
            theta1=np.zeros((T, p, 2 * m)),
            theta2=np.zeros((T, q, 2 * m)),
            W=np.zeros(shape),
            field=np.zeros(shape),
            first=zero,
            sum_W=np.zeros((2, *shape)),
            sum_field=np.zeros((2, *shape)),
            outside=zero,
            eta=nan.copy(),
            decay=nan.copy(),
            ball=nan.copy(),
            mu=nan.copy(),
            lipschitz=nan.copy(),
            S=np.full((T, 2, p + q, p + q), np.nan),
            weight=zero,
            estimate=nan.copy(),
            projected=nan.copy(),
            record_stage=np.zeros(0, int),
            record_iteration=np.zeros(0, int),
            record_rollouts=np.zeros(0, int),
            record_W=np.zeros((0, *shape)),
        )

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return self.status != "running"

    def record(self, stage: int) -> None:
        """Remember the present iterate."""
        self.record_stage = np.append(self.record_stage, stage)
        self.record_iteration = np.append(self.record_iteration, self.iteration)
        self.record_rollouts = np.append(self.record_rollouts, self.rollouts)
        self.record_W = np.concatenate([self.record_W, self.W[None]])

    def save(self, path: Path) -> None:
        """Write the state; the one that was there before stays as `<name>.previous`.

        Raises:
            InputError: a place that cannot be written to.
        """
        try:
            if is_whole(path, MAGIC):  # never put a damaged file in the place of a good one
                path.replace(previous(path))
            seal(path, MAGIC, {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)})
        except OSError as error:
            raise InputError(
                f"state: {path} cannot be written to ({error.strerror or error}); choose another place."
            ) from error

    @classmethod
    def load(cls, path: Path) -> "State":
        """Read a state back.

        Raises:
            InputError: no such file, or one that is damaged or from another version.
        """
        values: dict[str, Any] = unseal(path, MAGIC, "learner's state")
        for f in fields(cls):
            if f.type in (int, str):
                values[f.name] = f.type(values[f.name])
        return cls(**values)


def previous(path: Path) -> Path:
    """Where the state before the last is kept."""
    return path.with_name(path.name + ".previous")


def load_best(path: Path, settings: dict[str, Any]) -> tuple[State | None, str]:
    """The newest good state under these settings, and a sentence where the newest was not good.

    Returns:
        (None, "") where there is none at all.

    Raises:
        InputError: states are there, but all are damaged; or the state belongs to other settings.
    """
    sentence = ""
    candidates = [each for each in (path, previous(path)) if each.exists()]
    for candidate in candidates:
        try:
            state = State.load(candidate)
        except InputError as error:
            sentence = sentence or str(error)
            continue
        _same(candidate, json.loads(state.settings), settings)
        if sentence:
            sentence += f" Going on from the one before it, {candidate.name}."
        return state, sentence
    if candidates:
        raise InputError(f"{sentence} No earlier one is good either; start anew, without resume.")
    return None, ""


def _same(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    wanted = json.loads(json.dumps(wanted))
    for name in sorted(found | wanted):
        if found.get(name) != wanted.get(name):
            raise InputError(
                f"{path} was learned with {name} = {found.get(name)!r}, but now it is {wanted.get(name)!r}; resume with "
                "the same settings, or start anew, without resume."
            )
