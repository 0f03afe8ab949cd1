"""What a simulator of the user's own answers, checked, with a sentence for each way to answer otherwise."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from phalanx._outcome import InputError

# What rounding may take from an energy that is 0.
ROUNDING = 1e-9


def pair(answer: Any) -> tuple[float, float]:
    """Cost and energy of one rollout.

    Raises:
        InputError: anything but two numbers.
    """
    try:
        parts = [np.asarray(part, dtype=np.float64) for part in _two(answer)]
    except (TypeError, ValueError) as error:
        raise InputError(_one_of(answer)) from error
    _numbers(parts, answer)
    return float(parts[0]), float(parts[1])


def traced_pair(answer: Any) -> tuple[Any, Any]:
    """The same of a traced rollout.

    Raises:
        InputError: anything but two numbers.
    """
    try:
        parts = [jnp.asarray(part, jnp.float64) for part in _two(answer)]
    except (TypeError, ValueError) as error:
        raise InputError(_one_of(answer)) from error
    _numbers(parts, answer)
    return parts[0], parts[1]


def pairs(answer: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Costs and energies of n rollouts.

    Raises:
        InputError: anything but two arrays of shape (n,), or one of shape (2, n).
    """
    wanted = (
        f"the simulator must return costs and energies of {n} rollouts, two arrays of shape ({n},)"
    )
    try:
        cost, energy = (np.asarray(part, dtype=np.float64) for part in _two(answer))
    except (TypeError, ValueError) as error:
        shape = getattr(answer, "shape", None)
        what = _short(answer) if shape is None else f"one array of shape {shape}"
        hint = "; give its transpose" if shape == (n, 2) else ""
        raise InputError(f"{wanted}, but it returned {what}{hint}.") from error
    if cost.shape != (n,) or energy.shape != (n,):
        raise InputError(
            f"{wanted}, but it returned costs of shape {cost.shape} and energies of shape {energy.shape}."
        )
    return cost, energy


def refuse_negative(energy: Any, stage: int | None) -> None:
    """Refuse energies below 0.

    Raises:
        InputError: there is one.
    """
    least = float(np.nanmin(energy, initial=0.0))
    largest = float(np.nanmax(np.abs(energy), initial=0.0))
    if least < -ROUNDING * largest:
        where = "" if stage is None else f" at stage {stage}"
        raise InputError(
            f"the simulator must return an energy of at least 0, Σ|d|², but{where} it returned {least:.4g}; give it without "
            "a sign and without γ, as learn takes γ² times it from the cost."
        )


def _two(answer: Any) -> Any:
    first, second = answer
    return first, second


def _numbers(parts: list, answer: Any) -> None:
    for name, part in zip(("a cost", "an energy"), parts, strict=True):
        if part.shape:
            hint = (
                "write .item() or [0] for its only entry"
                if part.size == 1
                else 'form="batch" is for a simulator that plays many rollouts at once'
            )
            raise InputError(
                f"the simulator must return two numbers, cost and energy, but it returned {name} of shape {part.shape}; {hint}."
            )


def _one_of(answer: Any) -> str:
    return (
        f"the simulator must return two numbers, cost and energy, but it returned {_short(answer)}."
    )


def _short(answer: Any) -> str:
    text = repr(answer)
    return text if len(text) <= 80 else f"{text[:77]}..."
