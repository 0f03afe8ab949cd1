"""Linearise the New England grid that the scenario `power-grid` runs on, and check it.

The Python package `tops` (extra `grid`) carries the 39-bus New England system as a nonlinear model:
ten synchronous machines, nine with governor, voltage regulator and stabiliser, 19 loads. Around its
power flow this script takes the derivatives by central differences of fourth order,

    dx/dt = A x + B u + E w        x (123,) deviations, u (9,) set-points, w (19,) loads switched on

and writes them, with what is needed to read them in MW, into one compressed `.npz` with its notice
and checksum beside it. Limits (valves, field voltages, stabilisers) are lifted while derivatives are
taken: one stabiliser step of the difference would hit them otherwise.

    python tools/build_new_england_grid.py            # builds
    python tools/build_new_england_grid.py --check    # rebuilds, compares, writes nothing
    python tools/build_new_england_grid.py --verify   # linear against nonlinear, steps of several sizes
"""

import argparse
import hashlib
import importlib.metadata
import io
import sys
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import expm

VERSION = "0.3.0"
SOURCE_SHA256 = "399e6a97697964448728641bb3cee0d94f584ca349ed1920e154f800df0e2a09"
TARGET = Path(__file__).resolve().parents[1] / "src" / "phalanx" / "scenarios" / "data"
FILE = "new_england_39.npz"
SUMS = "new_england_39.sha256"
NOTICE = "new_england_39.NOTICE.md"
STEP = 1e-3  # of the differences; halving or doubling it changes no entry by more than 1e-9
DIGITS = 9  # decimals that are kept; what is below is rounding of the differences
TOLERANCE = 1e-7  # other machines round differently


@dataclass
class Plant:
    """The nonlinear model with its two doors: governor set-points and loads.

    Attributes:
        model: tops' power system, initialised at its power flow.
        set_points: (9,) governor set-points at rest; loads: (19,) conductances at rest.
    """

    model: Any
    set_points: np.ndarray
    loads: np.ndarray

    def derivative(self, x: np.ndarray, u: np.ndarray, w: np.ndarray) -> np.ndarray:
        """dx/dt; u per unit of each machine's rated power, w as a share of each load."""
        governors, loads = self.model.gov["TGOV1"], self.model.loads["DynamicLoad"]
        governors.int_par["bias"][:] = self.set_points + governors.par["R"] * u
        loads._input_values["g_setp"][:] = self.loads * (1 + w)
        return self.model.state_derivatives(0.0, x, self.model.solve_algebraic(0.0, x))


def plant(limits: bool) -> Plant:
    """The New England system at its power flow, with its limits or with none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # tops uses a name NumPy has moved
        import tops.dynamic
        import tops.ps_models.ieee39

        data = tops.ps_models.ieee39.load()
        data["loads"] = {"DynamicLoad": data["loads"]}  # the same impedances, but open to change
        if not limits:
            for kind, model in (("gov", "TGOV1"), ("avr", "SEXS"), ("pss", "STAB1")):
                head, *rows = data[kind][model]
                for row in rows:
                    for name, value in (("min", -1e3), ("max", 1e3), ("lim", 1e3)):
                        for at, column in enumerate(head):
                            if column.endswith(f"_{name}"):
                                row[at] = value
        model = tops.dynamic.PowerSystemModel(model=data)
        model.init_dyn_sim()
    set_points = model.gov["TGOV1"].int_par["bias"].copy()
    return Plant(model, set_points, model.loads["DynamicLoad"]._input_values["g_setp"].copy())


def linearise(grid: Plant) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A (123, 123), B (123, 9), E (123, 19) at the power flow."""
    at = [grid.model.x_0.copy(), np.zeros(len(grid.set_points)), np.zeros(len(grid.loads))]

    def column(which: int, entry: int) -> np.ndarray:
        def moved(by: float) -> np.ndarray:
            point = [value.copy() for value in at]
            point[which][entry] += by
            return grid.derivative(*point)

        near, far = moved(STEP) - moved(-STEP), moved(2 * STEP) - moved(-2 * STEP)
        return (8 * near - far) / (12 * STEP)

    A, B, E = (
        np.stack([column(which, entry) for entry in range(len(at[which]))], axis=1)
        for which in range(3)
    )
    return A, B, E


def arrays() -> dict[str, np.ndarray]:
    """What the file holds."""
    grid = plant(limits=False)
    A, B, E = (np.round(matrix, DIGITS) + 0.0 for matrix in linearise(grid))
    machines, loads = grid.model.gen["GEN"].par, grid.model.loads["DynamicLoad"].par
    governors = grid.model.gov["TGOV1"]
    valve = governors.time_constant_lim.output(grid.model.x_0, grid.model.v_0)
    return {
        "A": A,
        "B": B,
        "E": E,
        "states": np.array(grid.model.state_desc).astype("<U24"),
        "machines": np.array(machines["name"]).astype("<U4"),
        "machine_mw": np.array(machines["S_n"] * machines["N_par"] * machines["PF_n"], dtype="<f8"),
        "governed": np.array(governors.par["gen"]).astype("<U4"),
        "valve": np.round(valve, DIGITS),
        "load_buses": np.array(loads["bus"]).astype("<U4"),
        "load_mw": np.array(loads["P"], dtype="<f8"),
        "frequency": np.array(float(grid.model.f_n)),
    }


def pack(content: dict[str, np.ndarray]) -> bytes:
    """The bytes of a compressed `.npz` that carries no date of its own."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, array in content.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, member.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)
    return out.getvalue()


def mismatch(stored: dict[str, np.ndarray], rebuilt: dict[str, np.ndarray]) -> str:
    """What differs between two contents, "" if nothing does."""
    if list(stored) != list(rebuilt):
        return f"members {list(stored)} against {list(rebuilt)}"
    for name, array in rebuilt.items():
        if array.dtype.kind == "U":
            same = np.array_equal(stored[name], array)
        else:
            same = stored[name].shape == array.shape and np.allclose(
                stored[name], array, rtol=1e-9, atol=TOLERANCE
            )
        if not same:
            return f"the array {name}"
    return ""


def compare(
    u: np.ndarray, w: np.ndarray, limits: bool, seconds: float = 20.0, step: float = 0.01
) -> tuple[float, float]:
    """A step of the set-points u (MW) or loads w (MW): linear against nonlinear.

    Returns:
        The largest frequency deviation of the nonlinear model, and the largest difference of the
        linear one from it, both in mHz over all machines and the whole time.
    """
    content, grid = arrays(), plant(limits)
    rated = content["machine_mw"][np.isin(content["machines"], content["governed"])]
    u, w = u / rated, w / content["load_mw"]
    x = grid.model.x_0.copy()
    n = len(x)
    z = np.zeros(n)
    constant = content["B"] @ u + content["E"] @ w
    flow = expm(step * np.block([[content["A"], constant[:, None]], [np.zeros((1, n + 1))]]))
    speed = np.flatnonzero(content["states"][:, 1] == "speed")
    largest = error = 0.0
    for _ in range(round(seconds / step)):
        k1 = grid.derivative(x, u, w)
        k2 = grid.derivative(x + step / 2 * k1, u, w)
        k3 = grid.derivative(x + step / 2 * k2, u, w)
        x = x + step / 6 * (k1 + 2 * k2 + 2 * k3 + grid.derivative(x + step * k3, u, w))
        z = flow[:n, :n] @ z + flow[:n, n]
        millihertz = 1000 * float(content["frequency"])
        largest = max(largest, millihertz * float(np.abs(x[speed]).max()))
        error = max(error, millihertz * float(np.abs(x[speed] - z[speed]).max()))
    return largest, error


def verify() -> None:
    """Print the comparison for load and set-point steps from small to large."""
    content = arrays()
    loads, governed = content["load_buses"].tolist(), content["governed"].tolist()
    print("step                          limits   largest mHz   difference mHz")
    for limits in (False, True):
        for bus, mw in (("20", 5.0), ("20", 62.8), ("16", -100.0), ("39", 300.0)):
            w = np.zeros(len(loads))
            w[loads.index(bus)] = mw
            _print(f"load at bus {bus} {mw:+.0f} MW", limits, np.zeros(len(governed)), w)
        for machine, mw in (("G10", 5.0), ("G10", 50.0), ("G6", -50.0)):
            u = np.zeros(len(governed))
            u[governed.index(machine)] = mw
            _print(f"set-point of {machine} {mw:+.0f} MW", limits, u, np.zeros(len(loads)))


def _print(what: str, limits: bool, u: np.ndarray, w: np.ndarray) -> None:
    largest, error = compare(u, w, limits)
    print(
        f"{what:28s}  {'as set' if limits else 'lifted'}  {largest:11.3f}  {error:15.4f}",
        flush=True,
    )


def notice(digest: str, licence: str) -> str:
    """The text of the notice."""
    quoted = "\n".join(f"> {line}".rstrip() for line in licence.strip().splitlines())
    return f"""# Notice for `{FILE}`

`{FILE}` holds matrices computed from the New England 39-bus model of the Python package
`tops` (Tiny Open Power System Simulator), version {VERSION}, <https://github.com/hallvar-h/TOPS>.
The package is under the MIT licence, kept here as it stands:

{quoted}

- Model: `tops/ps_models/ieee39.py`, sha256 `{SOURCE_SHA256}`.
- File: sha256 `{digest}`.
- Built by `tools/build_new_england_grid.py`; `--check` rebuilds and compares, `--verify` holds the
  matrices against the nonlinear model.

## What it holds

| member | what |
| --- | --- |
| `A` (123, 123) | derivative of the state's rate of change by the state, per second, in the units of the source |
| `B` (123, 9) | by the governors' set-points, per unit of rated power of the machine |
| `E` (123, 19) | by the loads' conductance, as a share of the load at rest |
| `states` (123, 2) | device and variable of each state, as the source names them |
| `machines`, `machine_mw` | names and rated active power of the ten machines |
| `governed`, `valve` | the nine machines with a governor, and their valve positions at rest |
| `load_buses`, `load_mw` | where the 19 loads are, and their active power |
| `frequency` | 60 Hz |

## What was changed

- Loads are constant impedances as in the source; their conductance was made an input.
- Limits of valves, field voltages and stabilisers were lifted for the derivatives.
- Derivatives are central differences of fourth order, rounded to {DIGITS} decimals.
"""


def main() -> int:
    """Build, check or verify; the exit code is 0 when all is well."""
    parser = argparse.ArgumentParser(description="Build the matrices of power-grid.")
    parser.add_argument("--check", action="store_true", help="rebuild and compare, write nothing")
    parser.add_argument("--verify", action="store_true", help="compare with the nonlinear model")
    options = parser.parse_args()
    package = importlib.metadata.distribution("tops")
    source = Path(str(package.locate_file("tops/ps_models/ieee39.py"))).read_bytes()
    if package.version != VERSION or hashlib.sha256(source).hexdigest() != SOURCE_SHA256:
        raise SystemExit(f"tops {package.version} is installed; this script reads tops {VERSION}.")
    if options.verify:
        verify()
        return 0
    rebuilt = arrays()
    if not options.check:
        blob = pack(rebuilt)
        digest = hashlib.sha256(blob).hexdigest()
        licence = next(file for file in package.files or [] if file.name.startswith("LICENSE"))
        (TARGET / FILE).write_bytes(blob)
        (TARGET / SUMS).write_text(f"{digest}  {FILE}\n")
        (TARGET / NOTICE).write_text(notice(digest, licence.read_text()))
        print(f"Wrote {FILE}: {len(blob)} bytes, sha256 {digest}.")
        return 0
    blob = (TARGET / FILE).read_bytes()
    if (TARGET / SUMS).read_text() != f"{hashlib.sha256(blob).hexdigest()}  {FILE}\n":
        print(f"{FILE} in the tree does not match its line in {SUMS}.")
        return 1
    with np.load(io.BytesIO(blob), allow_pickle=False) as stored:
        wrong = mismatch(dict(stored), rebuilt)
    print(
        f"{FILE} does not rebuild: {wrong}." if wrong else f"{FILE} rebuilds to the same numbers."
    )
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
