"""What the values of a scenario file stand for: matrices as written or in files beside it, names, signals."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from phalanx._files import read_table
from phalanx._outcome import InputError
from phalanx._types import array
from phalanx.scenarios._tables import check_keys

# For each kind of signal the keys it needs, and those it may have.
SIGNALS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "gaussian": (("covariance",), ()),
    "uniform": (("radius",), ()),
    "sinusoid": (("amplitude", "period"), ("phase",)),
    "random-walk": (("step",), ("bound",)),
    "step": (("size",), ("at", "until")),
}
REPLAY: tuple[tuple[str, ...], tuple[str, ...]] = (("file",), ())


def value_of(name: str, value: Any, path: Path) -> Any:
    """A matrix as written, or read from the file beside the TOML that it names."""
    if not isinstance(value, dict):
        for entry in [] if value is None else _entries(value):
            if isinstance(entry, bool) or not isinstance(entry, int | float):
                hint = (
                    f"; to read a file, write {{file = {value!r}}}"
                    if isinstance(value, str)
                    else ""
                )
                raise InputError(f"{name} must hold numbers only, but it holds {entry!r}{hint}.")
        return value
    if set(value) == {"diag"} and isinstance(value["diag"], list):
        return np.diag(array(name, value["diag"]))
    if set(value) != {"file"} or not isinstance(value["file"], str):
        raise InputError(
            f'{name} is {value!r}; a matrix is a number, a list of rows, or {{file = "A.csv"}}.'
        )
    return read_table(path.parent / value["file"], name)


def _entries(value: Any) -> Iterator[Any]:
    """What nested lists hold."""
    if not isinstance(value, list):
        yield value
        return
    for item in value:
        yield from _entries(item)


def vector(name: str, value: Any, size: int) -> np.ndarray:
    """(size,) from a list, a row or a column, one entry per state."""
    out = array(name, value)
    if (out.ndim == 2 and 1 in out.shape) or (out.ndim == 0 and size == 1):
        out = out.ravel()
    if out.shape != (size,):
        raise InputError(
            f"{name} has shape {out.shape} and must have shape ({size},), one entry per state."
        )
    return out


def names(key: str, given: list[str], size: int, letter: str) -> tuple[str, ...]:
    """The names given in [labels], or x0, x1, .."""
    if given and len(given) != size:
        raise InputError(f"[labels] {key} holds {len(given)} names, but there are {size}.")
    return tuple(given) or tuple(f"{letter}{i}" for i in range(size))


def plain_name(name: str) -> str:
    """A scenario's name, which is a folder's as well."""
    plain = name.isprintable() and len(name) <= 100
    if not plain or name != Path(name).name or name == "..":
        raise InputError(
            f"name must be a plain name, because results go to a folder of that name, but it is {name!r}."
        )
    return name


def signal(kind: str, given: dict[str, Any], size: int, scope: Any, path: Path) -> Any:
    """The disturbance that [disturbance] describes, of a kind in `SIGNALS`.

    Args:
        kind: of the signal.
        given: its keys as written.
        size: q, entries of the disturbance.
        scope: who shares it.
        path: of the scenario file.

    Raises:
        InputError: keys that are missing or another kind's, or a value of the wrong shape.
    """
    from phalanx import disturbances

    check_keys("[disturbance]", kind, given, *SIGNALS[kind])
    kinds = {
        "gaussian": disturbances.Gaussian,
        "uniform": disturbances.UniformBall,
        "sinusoid": disturbances.Sinusoid,
        "random-walk": disturbances.RandomWalk,
        "step": disturbances.Step,
    }
    values = {}
    for key, value in given.items():
        name = f"[disturbance] {key}"
        values[key] = value_of(name, value, path)
        fits = (size, size) if key == "covariance" else (size,)
        if (shape := array(name, values[key]).shape) not in ((), fits):
            raise InputError(
                f"{name} has shape {shape} and must be one number or have shape {fits}, as the disturbance has {size} entries."
            )
    return kinds[kind](**values, scope=scope)
