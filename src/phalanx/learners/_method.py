"""A method is an estimator × an update × a schedule, and its settings."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from phalanx._outcome import InputError

Estimator = Literal["exact", "one_point", "two_point", "coordinate", "regression"]
Update = Literal[
    "simultaneous",
    "alternating",
    "extragradient",
    "optimistic",
    "natural",
    "gauss_newton",
    "newton",
]
Schedule = Literal["receding", "all_stages"]

ESTIMATORS = ("exact", "one_point", "two_point", "coordinate", "regression")
UPDATES = (
    "simultaneous",
    "alternating",
    "extragradient",
    "optimistic",
    "natural",
    "gauss_newton",
    "newton",
)
SCHEDULES = ("receding", "all_stages")


@dataclass(frozen=True)
class Method:
    """How gains are learned.

    Args:
        estimator: where gradients come from: "exact" (an oracle that offers them), "one_point"
            (P1's), "two_point", "coordinate", or "regression" (a quadratic fitted to costs).
        update: "simultaneous" descent–ascent (P1's), "alternating", "extragradient", "optimistic";
            "natural" (gradients divided by Σ_y, Σ_z), "gauss_newton" (each player divided by its own
            curvature) and "newton" (by both players' joint curvature), which take curvature from costs.
        schedule: "receding" (stage by stage, backwards: P1's) or "all_stages" (at once).
        iterations: K per stage, or in all; for "regression" the rounds of fit and solve.
        batch: N_b, rollouts per gradient and player; for "regression" rollouts per round. It is rounded
            to whole draws, each tried under all the variants of the gains that are compared.
        step_size: η, a number; "auto" (the best for the curvature that costs show) or "theory"
            (Theorem 4's rule μ/L²); regression takes no steps.
        decay: whether η falls like 1/k; None: with "auto" and a sampled gradient.
        radius: r, of the perturbations.
        ball: radius that each player's gains of one stage are projected on; None: ten times what the
            first costs suggest, at least 10.
        average: return the average over the second half of the iterations.
        probe: rollouts that each stage's curvature may take, where it is needed.
        tolerance: a result is called converged where its estimated distance from the saddle point is at
            most this share of the gains' size (of 1, where they are smaller).

    Raises:
        InputError: an unknown word, a number out of range, or words that do not go together.

    Example:
        >>> import phalanx as px
        >>> px.Method("two_point", "extragradient", batch=2000).schedule
        'receding'
    """

    estimator: Estimator = "two_point"
    update: Update = "simultaneous"
    schedule: Schedule = "receding"
    iterations: int = 200
    batch: int = 2000
    step_size: float | Literal["auto", "theory"] = "auto"
    decay: bool | None = None
    radius: float = 1.0
    ball: float | None = None
    average: bool = False
    probe: int = 4500
    tolerance: float = 1e-2

    def __post_init__(self):
        for name, value, known in (
            ("estimator", self.estimator, ESTIMATORS),
            ("update", self.update, UPDATES),
            ("schedule", self.schedule, SCHEDULES),
        ):
            if not isinstance(value, str) or value not in known:
                raise InputError(f"{name} must be one of {', '.join(known)}, but it is {value!r}.")
        for name in ("iterations", "batch", "probe"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise InputError(
                    f"{name} must be a whole number of at least 1, but it is {value!r}."
                )
            object.__setattr__(self, name, int(value))
        for name in ("radius", "ball", "step_size", "tolerance"):
            value = getattr(self, name)
            if value is None and name == "ball":
                continue
            if name == "step_size" and isinstance(value, str) and value in ("auto", "theory"):
                continue
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float | np.number)
                or not 0 < float(value) < float("inf")
            ):
                words = ', "auto" or "theory"' if name == "step_size" else ""
                raise InputError(f"{name} must be a positive number{words}, but it is {value!r}.")
            object.__setattr__(self, name, float(value))
        if not isinstance(self.average, bool):
            raise InputError(f"average must be True or False, but it is {self.average!r}.")
        if self.decay is not None and not isinstance(self.decay, bool):
            raise InputError(f"decay must be True, False or None, but it is {self.decay!r}.")
        if self.all_stages and (
            self.estimator == "regression" or self.update in ("natural", "gauss_newton", "newton")
        ):
            what = "regression" if self.estimator == "regression" else self.update
            raise InputError(
                f'{what} needs the quadratic of one stage at a time; use schedule="receding".'
            )
        if self.all_stages and self.step_size == "theory":
            raise InputError(
                'step_size="theory" is Theorem 4\'s, for one stage at a time; with all stages at once give a number or "auto".'
            )
        if self.estimator == "regression" and self.update not in ("newton", "simultaneous"):
            raise InputError(
                f'regression ends in a linear solve, which takes no update, but update is "{self.update}"; leave it out.'
            )
        if self.estimator == "regression" and self.step_size != "auto":
            raise InputError(
                f'regression (the method "fast") ends in a linear solve, which takes no steps, but step_size is {self.step_size!r}; '
                'leave it out, or take another method, such as "rgda".'
            )

    @property
    def all_stages(self) -> bool:
        """Whether all stages move at once."""
        return self.schedule == "all_stages"

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that determines the result, JSON-able."""
        return asdict(self)


PRESETS = {
    "rgda": Method("one_point", "simultaneous", iterations=200, batch=2000),
    "e-rgda": Method("exact", "simultaneous", iterations=300, tolerance=1e-6),
    "e-ddpg": Method("exact", "simultaneous", "all_stages", iterations=20_000, tolerance=1e-5),
    "fast": Method("regression", "newton", iterations=2, batch=2000),
}


def as_method(method: "str | Method", **changes: Any) -> Method:
    """A preset by name, or a method, with some settings changed; None leaves a setting as it is.

    Raises:
        InputError: an unknown name, or settings that do not go together.
    """
    if isinstance(method, str):
        if method not in PRESETS:
            raise InputError(
                f"method must be one of {', '.join(PRESETS)}, or a px.Method, but it is {method!r}."
            )
        method = PRESETS[method]
    if not isinstance(method, Method):
        raise InputError(
            f"method must be one of {', '.join(PRESETS)}, or a px.Method, but it is {method!r}."
        )
    return replace(method, **{name: value for name, value in changes.items() if value is not None})
