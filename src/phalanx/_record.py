"""A run, saved: numbers in one JSON file, labelled paths in one NetCDF file, and nothing else.

Whatever draws (figures, the page) reads a `Record` and only a `Record`, so that any page can be made
again from what was saved. JSON holds no NaN and no infinity: such a number becomes null, and
`notes` says why. Both files are written under a temporary name and renamed; nothing is pickled.
"""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phalanx._files import write_all_atomically
from phalanx._outcome import InputError

if TYPE_CHECKING:
    import xarray

FORMAT = 1
JSON_FILE, SERIES_FILE = "record.json", "series.nc"


@dataclass(frozen=True, eq=False)
class Record:
    """One saved run.

    Attributes:
        kind: what made it, such as "fleet".
        name: of the scenario.
        summary: numbers and words, JSON-able once `plain` has been applied.
        series: labelled arrays, or None.
        provenance: version, seed, precision, command.
    """

    kind: str
    name: str
    summary: dict[str, Any]
    series: "xarray.Dataset | None" = None
    provenance: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> Path:
        """Write the record into `folder`, which must exist; returns the folder."""
        content = {
            "format": FORMAT,
            "kind": self.kind,
            "name": self.name,
            "provenance": plain(self.provenance),
            "summary": plain(self.summary),
            "has_series": self.series is not None,
        }
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        writers = {folder / JSON_FILE: lambda path: _write_text(path, text)}
        if (series := self.series) is not None:
            writers[folder / SERIES_FILE] = lambda path: series.to_netcdf(path, engine="h5netcdf")
        write_all_atomically(writers)
        return folder

    @classmethod
    def load(cls, folder: Path) -> "Record":
        """Read a record back.

        Raises:
            InputError: a folder without a record, or one that cannot be read.
        """
        path = folder / JSON_FILE
        if not path.is_file():
            raise InputError(
                f"{folder} holds no record ({JSON_FILE} is missing); make one with `phalanx run`."
            )
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["format"] != FORMAT:
                raise InputError(
                    f"{path} has format {content['format']}, but this version reads format {FORMAT}; run it again."
                )
            series = None
            if content["has_series"]:
                import xarray

                with xarray.open_dataset(folder / SERIES_FILE, engine="h5netcdf") as opened:
                    series = opened.load()
            return cls(
                content["kind"], content["name"], content["summary"], series, content["provenance"]
            )
        except InputError:
            raise
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise InputError(
                f"the record in {folder} is damaged ({error}); run it again."
            ) from error


def plain(value: Any) -> Any:
    """JSON's own types: arrays become nested lists, and what is not a finite number becomes null.

    Example:
        >>> plain({"gamma": np.float64(2.0), "level": float("inf")})
        {'gamma': 2.0, 'level': None}
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value


def _write_text(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8")
