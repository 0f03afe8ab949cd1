"""Shapes and signs of what users hand in, checked where it enters.

Every matrix that enters phalanx passes through `matrix` once. It comes out as a read-only float64
NumPy array with its meaning fixed by its number of axes:

    2 axes  (rows, columns)                 constant in time
    3 axes  (T, rows, columns)              one matrix per stage
    4 axes  (batch, T or 1, rows, columns)  a batch of games (see `RobustGame.stack`)

A scalar means scalar times identity, and 0 the zero matrix of whatever shape is needed; a square
shape is required for every other scalar. The sentences below are part of the product: each names
the argument, what it was, what it must be, and where it helps, the likely mend.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from phalanx._outcome import InputError

Matrix = Float[np.ndarray, "*time rows columns"]
MatrixLike = Any  # a number, nested lists, a NumPy or JAX array: anything np.array accepts

# Asymmetry and negative eigenvalues below this share of the matrix's size are rounding, not intent.
ROUNDING = 1e-10
LARGEST_GAMMA = 1e100
LONGEST = 10_000_000
MOST_AGENTS = 1e15


def array(name: str, value: MatrixLike, finite: bool = True) -> np.ndarray:
    """`value` as a float64 array of finite numbers (or of any, on request), or an `InputError` that names it.

    Example:
        >>> array("A", [[1, 2], [3, 4]]).dtype
        dtype('float64')
    """
    try:
        raw = np.asarray(value)
        if raw.dtype.kind not in "biuf":  # text, complex numbers, dates
            raise TypeError
        out = np.array(raw, dtype=np.float64)
    except (ValueError, TypeError) as error:
        if _is_ragged(value):
            raise InputError(
                f"{name} is ragged: its rows differ in length; give every row the same number of entries."
            ) from error
        raise InputError(f"{name} must hold numbers only, but it is {_short(value)}.") from error
    if finite and not np.all(np.isfinite(out)):
        where = np.argwhere(~np.isfinite(out))[0]
        at = "" if out.ndim == 0 else f" at index {tuple(int(i) for i in where)}"
        bad = out[tuple(where)] if out.ndim else out
        raise InputError(
            f"{name} must be finite, but it holds {bad}{at}; replace or drop that entry."
        )
    return out


def matrix(name: str, value: MatrixLike, rows: int, columns: int) -> Matrix:
    """`value` as a matrix of the shape asked for, with an optional leading time (and batch) axis."""
    out = array(name, value)
    if out.ndim == 0:
        if out != 0 and rows != columns:
            raise InputError(
                f"{name} is the scalar {out:g}, which means {out:g} times the identity, but {name} must have shape "
                f"({rows}, {columns}), which is not square; write the matrix out."
            )
        out = out * np.eye(rows, columns)
    if out.ndim not in (2, 3, 4) or out.shape[-2:] != (rows, columns):
        hint = ""
        if out.ndim == 1 and out.size == rows == columns:
            hint = f"; write np.diag({name}) for a diagonal matrix, or one row per entry for a single column"
        elif out.ndim == 1 and out.size == rows:
            hint = f"; for a single column write one row per entry, as np.reshape({name}, (-1, 1)) does"
        elif out.ndim == 1 and out.size == rows * columns:
            hint = f"; write it as a matrix, for example np.reshape({name}, ({rows}, {columns}))"
        elif out.ndim >= 2 and out.shape[-2:] == (columns, rows):
            hint = "; it looks transposed"
        elif out.ndim >= 2 and out.shape[-1] == rows != out.shape[-2]:
            hint = f"; it looks transposed: it needs {rows} rows, one per entry of the state"
        raise InputError(
            f"{name} has shape {out.shape} and must have shape ({rows}, {columns}), or (T, {rows}, {columns}) "
            f"when it varies in time{hint}."
        )
    return frozen(out)


def symmetric(name: str, value: MatrixLike, size: int, *, definite: bool = False) -> Matrix:
    """A symmetric positive semidefinite (or, on request, definite) matrix, exactly symmetrised."""
    out = matrix(name, value, size, size)
    scale = np.maximum(np.abs(out).max(initial=0.0), np.finfo(float).tiny)
    asymmetry = np.abs(out - out.swapaxes(-1, -2)).max(initial=0.0)
    if asymmetry > ROUNDING * scale:
        raise InputError(
            f"{name} must be symmetric, but {name} and its transpose differ by up to {asymmetry:.3g}; "
            f"if only the quadratic form matters, use ({name} + {name}ᵀ)/2."
        )
    out = (out + out.swapaxes(-1, -2)) / 2
    # Signs are judged at unit diagonal, so that weights of very different sizes are no matter.
    diagonal = np.einsum("...ii->...i", out)
    unit = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    scaled = np.linalg.eigvalsh(out / (unit[..., :, None] * unit[..., None, :]))[..., 0]
    negative = (diagonal < -np.finfo(float).eps * size * scale).any() or (scaled < -ROUNDING).any()
    least = np.linalg.eigvalsh(out)[..., 0].min()
    if definite and (
        negative or (diagonal <= 0).any() or (scaled <= np.finfo(float).eps * size).any()
    ):
        raise InputError(
            f"{name} must be positive definite, but its least eigenvalue is {least:.3g}; every control must cost something."
        )
    if negative:
        raise InputError(
            f"{name} must be positive semidefinite, but its least eigenvalue is {least:.3g}."
        )
    return frozen(out)


def horizon(name: str, value: Any) -> float:
    """A number of stages: a positive whole number, or infinity for the stationary problem."""
    number = _real(name, value, "a positive whole number, or inf")
    if np.isposinf(number):
        return float("inf")
    if number < 1 or number != int(number):
        raise InputError(
            f"{name} must be a positive whole number of stages, or inf for the stationary game, but it is {value!r}."
        )
    if number > LONGEST:
        raise InputError(
            f"{name} is {number:g} stages and must be at most {LONGEST:,}; say inf for the stationary game."
        )
    return int(number)


def agents(name: str, value: Any) -> float:
    """A number of agents: a positive whole number, or infinity for the mean-field limit."""
    number = _real(name, value, "a positive whole number, or inf")
    if np.isposinf(number):
        return float("inf")
    if number < 1 or number != int(number):
        raise InputError(
            f"{name} must be at least 1 and whole, or inf for the mean-field limit, but it is {value!r}."
        )
    if number > MOST_AGENTS:
        raise InputError(
            f"{name} is {number:g} and must be at most {MOST_AGENTS:g}; say inf for the limit."
        )
    return int(number)


def attenuation(name: str, value: Any) -> Float[np.ndarray, "*batch"]:
    """An attenuation level γ > 0 (infinity allowed: the LQR limit), or a batch of them."""
    try:
        raw = np.asarray(value)
        if raw.dtype.kind not in "iuf":
            raise TypeError
        out = np.array(raw, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(f"{name} must be a positive number, but it is {_short(value)}.") from error
    if out.ndim > 1 or np.isnan(out).any() or (out <= 0).any():
        raise InputError(
            f"{name} must be a positive number, or one per game of a batch, but it is {_short(value)}."
        )
    # A γ whose square is beyond floating point is the LQR limit.
    out = np.where(out > LARGEST_GAMMA, np.inf, out)
    return out


def same_time_axis(named: Sequence[tuple[str, np.ndarray]]) -> int | None:
    """The common length of the time axes of the arrays, None when none varies in time."""
    # In a batch every array has a time axis, of length 1 where it is constant.
    lengths = {n: a.shape[-3] for n, a in named if a.ndim == 3 or (a.ndim == 4 and a.shape[1] != 1)}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{n} has {length}" for n, length in lengths.items())
        raise InputError(
            f"matrices that vary in time must have as many stages as each other, but {listed}."
        )
    return next(iter(lengths.values()), None)


def frozen(value: np.ndarray) -> np.ndarray:
    """The array, marked read-only: nouns are values and may be shared freely."""
    value.setflags(write=False)
    return value


def _real(name: str, value: Any, wanted: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise InputError(f"{name} must be {wanted}, but it is {_short(value)}.")
    try:
        number = float(value)
    except OverflowError as error:
        raise InputError(
            f"{name} must be {wanted}, but it has {len(str(value))} digits."
        ) from error
    if np.isnan(number):
        raise InputError(f"{name} must be {wanted}, but it is nan.")
    return number


def _is_ragged(value: Any) -> bool:
    if not isinstance(value, list | tuple) or not value:
        return False
    lengths = {len(row) if isinstance(row, list | tuple) else -1 for row in value}
    return len(lengths) > 1 or any(_is_ragged(row) for row in value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
