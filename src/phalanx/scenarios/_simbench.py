"""A year of real household, grid, solar and wind power, read from the package itself.

The file behind this module is a slice of SimBench (ODbL 1.0, see `data/NOTICE.md`): quarter hours
of 2016, stored as 16-bit codes. Reading it means three steps: check that the bytes are the ones
that were shipped, turn codes into per-unit values, and freeze them, since everyone shares the one
cached copy. A load of one per unit is the rated power of its owner, so `kW = rating * value`.

Rows are evenly spaced in true time. Row 0 is the quarter hour from 2016-01-01T00:00 Central
European Time; in summer the clock on the wall is an hour ahead of `start + i * step`.
"""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from types import MappingProxyType

import numpy as np

from phalanx._outcome import InputError

_FILE = "simbench_2016.npz"


@dataclass(frozen=True)
class SimbenchYear:
    """The slice, decoded.

    Attributes:
        series: name to per-unit values, each a read-only float64 array of shape [35136]. Loads
            `H0-A`, `-B`, `-C`, `-G`, `-H`, `-L` are single profiles, `lv_*_pload` the loads of a
            low-voltage grid; `PV1`, `PV3`, `PV5`, `lv_rural1_pv`, `WP4`, `WP7` are generation.
        start: first stamp, Central European Time (UTC+1) all year round.
        step_minutes: length of a step in minutes.
    """

    series: Mapping[str, np.ndarray]
    start: np.datetime64
    step_minutes: int

    def row(self, stamp: str) -> int:
        """Row that holds an instant, given as an ISO string in Central European Time.

        Raises:
            InputError: if the year does not contain the instant.

        Example:
            >>> load().row("2016-10-03")
            26496
        """
        step = np.timedelta64(self.step_minutes, "m")
        row = int((np.datetime64(stamp, "m") - self.start) // step)
        length = len(next(iter(self.series.values())))
        if not 0 <= row < length:
            last = self.start + (length - 1) * step
            raise InputError(f"stamp is {stamp}; it must lie within {self.start} .. {last}.")
        return row


def _folder():
    """Folder of the shipped data; a function of its own so that a test can point elsewhere."""
    return resources.files("phalanx.scenarios").joinpath("data")


@lru_cache(maxsize=1)
def load() -> SimbenchYear:
    """Read the slice once and keep it.

    Returns:
        The year, its arrays shared and read-only.

    Raises:
        InputError: if the file is not the one whose checksum is listed in `data/SHA256SUMS`.

    Example:
        >>> year = load()
        >>> len(year.series), year.series["H0-A"].shape, str(year.start), year.step_minutes
        (15, (35136,), '2016-01-01T00:00', 15)
    """
    blob = _folder().joinpath(_FILE).read_bytes()
    listed = _folder().joinpath("SHA256SUMS").read_text().split()[0]
    found = hashlib.sha256(blob).hexdigest()
    if found != listed:
        raise InputError(
            f"{_FILE} has sha256 {found[:12]}..., but SHA256SUMS lists {listed[:12]}...; "
            "the file is damaged and must be reinstalled or rebuilt."
        )
    with np.load(io.BytesIO(blob), allow_pickle=False) as file:
        values = file["offset"][:, None] + file["scale"][:, None] * file["codes"]
        values.flags.writeable = False
        series = dict(zip(file["names"].tolist(), values, strict=True))
        return SimbenchYear(
            MappingProxyType(series),
            np.datetime64(file["start"].item(), "m"),
            int(file["step_minutes"]),
        )


def forecast_error(series: np.ndarray, steps_per_day: int = 96) -> np.ndarray:
    """What is left after the forecast "the same as yesterday": value minus the value a day before.

    The first day has no yesterday and is dropped, so entry `k` belongs to row `k + steps_per_day`.

    Args:
        series: values of shape [T] or [T, ...], time along the first axis, in any unit.
        steps_per_day: number of steps in a day.

    Returns:
        Errors of shape [T - steps_per_day] or [T - steps_per_day, ...], in the unit of `series`.

    Raises:
        InputError: if `steps_per_day` is below 1 or the series does not outlast the first day.

    Example:
        >>> forecast_error(np.array([1.0, 2.0, 4.0, 7.0]), steps_per_day=2)
        array([3., 5.])
    """
    series = np.asarray(series, dtype=float)
    if steps_per_day < 1:
        raise InputError(f"steps_per_day is {steps_per_day}; it must be at least 1.")
    length = series.shape[0] if series.ndim else 0
    if length <= steps_per_day:
        raise InputError(f"series has {length} steps; it must be longer than {steps_per_day}.")
    return series[steps_per_day:] - series[:-steps_per_day]
