"""What can go wrong, said once.

Two kinds of trouble exist. A *fault* is bad input: it raises `InputError` at construction, naming
the argument, what it was and what it must be. An *outcome* is what the numbers say: infeasible,
unstabilisable, not converged. Outcomes are values that carry a sentence and a mend; callers who
prefer exceptions ask for `throw=True` and get a `NoSolutionError` that carries the same outcome.
The exit codes of the command line are written here, beside the errors they belong to.
"""

from dataclasses import dataclass
from typing import Literal

Status = Literal[
    "solved",
    "infeasible",
    "unstabilisable",
    "not_converged",
    "diverged",
    "budget_spent",
    "projection_active",
]


class PhalanxError(Exception):
    """Base of every error phalanx raises on purpose."""

    exit_code = 1


class InputError(PhalanxError, ValueError):
    """Bad input: one sentence that names the argument, what it was and what it must be."""

    exit_code = 2


class NoSolutionError(PhalanxError):
    """A well-posed question without an answer; `outcome` says why and what to try."""

    exit_code = 3

    def __init__(self, outcome: "Outcome"):
        super().__init__(outcome.text)
        self.outcome = outcome


@dataclass(frozen=True)
class Outcome:
    """How a computation ended.

    Attributes:
        status: one word, `"solved"` when the result can be used.
        sentence: what happened, in one sentence.
        mend: what to change, in one sentence; empty when nothing needs mending.
    """

    status: Status
    sentence: str
    mend: str = ""

    @property
    def ok(self) -> bool:
        """True when the result can be used."""
        return self.status == "solved"

    @property
    def text(self) -> str:
        """The sentence followed by its mend."""
        return f"{self.sentence} {self.mend}".strip()

    def raise_if_failed(self) -> None:
        """Raise `NoSolutionError` unless the outcome is `"solved"`."""
        if not self.ok:
            raise NoSolutionError(self)
