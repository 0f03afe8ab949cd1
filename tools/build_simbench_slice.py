"""Cut the slice of SimBench that the scenario `battery-fleet` runs on.

The Python package `simbench` carries a year (2016) of quarter-hourly power profiles of German
households, low-voltage grids, photovoltaics and wind. Fifteen of them are enough here. This script
takes them out of the published wheel, stores each as 16-bit integers with its own scale and
offset, and writes one compressed `.npz` with its licence notice and checksum beside it. The bytes
are the same on every build: the wheel is pinned by checksum and the zip carries a fixed date.

    python tools/build_simbench_slice.py path/to/simbench.whl   # from a wheel at hand
    python tools/build_simbench_slice.py                        # fetches the pinned wheel with pip
    python tools/build_simbench_slice.py --check [wheel]        # rebuilds, compares, writes nothing

The stamps of the source are German local clock time without an offset. Row by row they run evenly:
the four stamps skipped on 27 March and the four repeated on 30 October 2016 are the two changes of
the clock. Row i is therefore 2016-01-01T00:00 CET plus i quarter hours, and this is checked below.
"""

import argparse
import csv
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

VERSION = "1.6.3"
WHEEL_SHA256 = "8b48bdab2445286a96649eb18bb09476d000a0e212fd57fdba83399df54af4de"
FOLDER = "simbench/networks/1-complete_data-mixed-all-0-sw"
TARGET = Path(__file__).resolve().parents[1] / "src" / "phalanx" / "scenarios" / "data"
FILE = "simbench_2016.npz"
STEPS = 366 * 96

# name in the slice -> (file, column, what it is)
LOADS = {f"H0-{k}": ("LoadProfile", f"H0-{k}_pload", f"household H0-{k}") for k in "ABCGHL"}
GRIDS = {
    f"{k}_pload": ("LoadProfile", f"{k}_pload", f"all loads of the low-voltage grid {k}")
    for k in ("lv_rural1", "lv_semiurb4", "lv_urban6")
}
SOLAR = {k: ("RESProfile", k, f"photovoltaic plant {k}") for k in ("PV1", "PV3", "PV5")} | {
    "lv_rural1_pv": ("RESProfile", "lv_rural1", "all photovoltaics of the grid lv_rural1")
}
WIND = {k: ("RESProfile", k, f"wind park {k}") for k in ("WP4", "WP7")}
SERIES = LOADS | GRIDS | SOLAR | WIND


def fetch(folder: Path) -> Path:
    """Download the pinned wheel into `folder` with pip and return its path."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*command, "--dest", str(folder), f"simbench=={VERSION}"], check=True)
    return next(folder.glob("simbench-*.whl"))


def check_clock(stamps: list[str]) -> None:
    """Stop unless the stamps are German local time, evenly spaced in true time."""
    start = np.datetime64("2015-12-31T23:00")  # UTC of the first local midnight of 2016
    berlin, utc = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
    for row, stamp in enumerate(stamps):
        moment = (start + np.timedelta64(15 * row, "m")).item().replace(tzinfo=utc)
        if moment.astimezone(berlin).strftime("%d.%m.%Y %H:%M") != stamp:
            raise SystemExit(f"Row {row} carries the stamp {stamp}, which breaks the even grid.")
    if len(stamps) != STEPS:
        raise SystemExit(f"Expected {STEPS} rows, found {len(stamps)}.")


def read(wheel: Path) -> dict[str, np.ndarray]:
    """Per-unit values of every series, each of shape [35136], straight from the wheel's CSV."""
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != WHEEL_SHA256:
        raise SystemExit(f"{wheel.name} is not the pinned wheel of simbench {VERSION}.")
    raw = {}
    with zipfile.ZipFile(wheel) as archive:
        for file in ("LoadProfile", "RESProfile"):
            with archive.open(f"{FOLDER}/{file}.csv") as member:
                head, *rows = csv.reader(io.TextIOWrapper(member, "utf-8"), delimiter=";")
            check_clock([row[0] for row in rows])
            for name, (origin, column, _) in SERIES.items():
                if origin == file:
                    at = head.index(column)
                    raw[name] = np.array([float(row[at]) for row in rows])
    return {name: raw[name] for name in SERIES}


def quantise(raw: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of the slice; value = offset + scale * code, a code being 0 .. 65535."""
    values = np.stack([np.maximum(x, 0.0) if n in WIND else x for n, x in raw.items()])
    low, high = values.min(axis=1), values.max(axis=1)
    scale = (high - low) / 65535.0
    codes = np.rint((values - low[:, None]) / scale[:, None]).astype("<u2")
    error = np.abs(low[:, None] + scale[:, None] * codes - np.stack(list(raw.values())))
    return {
        "names": np.array(list(raw)),
        "codes": codes,
        "scale": scale,
        "offset": low,
        "max_error": error.max(axis=1),
        "start": np.array("2016-01-01T00:00", dtype="<M8[m]"),
        "step_minutes": np.array(15, dtype="<i8"),
    }


def pack(arrays: dict[str, np.ndarray]) -> bytes:
    """The bytes of a compressed `.npz` that carries no date of its own."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, member.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)
    return out.getvalue()


def contents(blob: bytes) -> dict[str, bytes]:
    """Uncompressed members of a zip, by name."""
    with zipfile.ZipFile(io.BytesIO(blob)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def notice(arrays: dict[str, np.ndarray], digest: str) -> str:
    """The text of NOTICE.md."""
    rows = "\n".join(
        f"| `{name}` | {SERIES[name][2]} | `{SERIES[name][0]}.csv`, `{SERIES[name][1]}` | "
        f"{scale:.3e} | {error:.1e} |"
        for name, scale, error in zip(
            arrays["names"].tolist(), arrays["scale"], arrays["max_error"], strict=True
        )
    )
    return f"""# Notice for `{FILE}`

`{FILE}` contains information from SimBench, which is made available under the Open
Database License (ODbL) 1.0, <http://opendatacommons.org/licenses/odbl/1.0/>. Any rights in
individual contents of the database are licensed under the Database Contents License (DbCL) 1.0,
<http://opendatacommons.org/licenses/dbcl/1.0/>. The slice is a derivative database and is itself
offered under the ODbL 1.0. The licence of the code of phalanx does not extend to it.

Notice of the source, kept as it stands in the file LICENSE of the wheel:

> Copyright (c) 2019-2026 by University of Kassel, TU Dortmund, RWTH Aachen University and
> Fraunhofer Institute for Energy Economics and Energy System Technology (IEE) Kassel and
> individual contributors (see AUTHORS file for details). All rights reserved.
>
> The database called SimBench is made available under the Open Database License:
> http://opendatacommons.org/licenses/odbl/1.0/. Any rights in individual contents of the database
> are licensed under the Database Contents License: http://opendatacommons.org/licenses/dbcl/1.0/

- Source: the Python package `simbench`, version {VERSION}, project site <https://www.simbench.net>.
- Wheel: sha256 `{WHEEL_SHA256}`.
- Slice: sha256 `{digest}`.
- Members used: `LoadProfile.csv` and `RESProfile.csv` of `1-complete_data-mixed-all-0-sw`.

## What was changed

- {len(SERIES)} active-power series were selected; every other column was left out.
- Each series was rounded to 65536 levels between its smallest and its largest value.
  `value = offset + scale * code` gives it back; the last two columns below are the size of a
  level and the largest difference from the source, both per unit.
- Wind values between -1e-5 and 0 were set to 0.
- The local clock stamps were replaced by a start, 2016-01-01T00:00 CET, and a step of 15 minutes.
  The rows were neither added to, removed nor reordered. The source skips the stamps 02:00 to 02:45
  of 27 March and repeats those of 30 October, the two changes of the clock, so its rows are
  evenly spaced in true time.
- `H0-H` is included as SimBench names it, but no load of its complete data set uses it and its
  shape (high and flat from 8 to 22 o'clock) is not that of a single home.

| name | what | origin | level | largest error |
| --- | --- | --- | --- | --- |
{rows}

Rebuilt by `tools/build_simbench_slice.py`; `--check` compares without writing.
"""


def main() -> int:
    """Build or check the slice; the exit code is 0 when all is well."""
    parser = argparse.ArgumentParser(description="Build the SimBench slice of battery-fleet.")
    parser.add_argument("wheel", nargs="?", type=Path, help="the pinned wheel; fetched if left out")
    parser.add_argument("--check", action="store_true", help="rebuild and compare, write nothing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        arrays = quantise(read(options.wheel or fetch(Path(folder))))
        rebuilt = Path(folder) / FILE
        rebuilt.write_bytes(pack(arrays))
        blob = rebuilt.read_bytes()
    digest = hashlib.sha256(blob).hexdigest()
    sums = f"{digest}  {FILE}\n"
    if not options.check:
        text = notice(arrays, digest)
        TARGET.mkdir(parents=True, exist_ok=True)
        (TARGET / FILE).write_bytes(blob)
        (TARGET / "SHA256SUMS").write_text(sums)
        (TARGET / "NOTICE.md").write_text(text)
        print(f"Wrote {FILE}: {len(blob)} bytes, sha256 {digest}.")
        return 0
    stored = (TARGET / FILE).read_bytes()
    listed = (TARGET / "SHA256SUMS").read_text()
    if listed != f"{hashlib.sha256(stored).hexdigest()}  {FILE}\n":
        print(f"{FILE} in the tree does not match its line in SHA256SUMS.")
        return 1
    if listed == sums:
        print(f"{FILE} rebuilds to the same sha256 {digest}.")
        return 0
    if contents(stored) == contents(blob):
        print(f"{FILE} rebuilds to the same arrays; only this zlib compresses them differently.")
        return 0
    print(f"{FILE} does not rebuild: the arrays differ.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
