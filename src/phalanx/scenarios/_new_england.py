"""The New England grid as matrices, read from the package itself and sampled exactly.

The file behind this module holds dx/dt = A x + B u + E w, linearised from the nonlinear 39-bus model
of the package `tops` (MIT, see `data/new_england_39.NOTICE.md`). Three steps make it a world:

1. Check that the bytes are the ones that were shipped.
2. Measure angles from machine G1. Turning every rotor by the same angle changes nothing, so A has an
   eigenvalue 0 that no control or load can move back: 123 states hold 122 that mean something.
3. Sample: controls and loads are held over a round, so that the matrix exponential of
   [[A, B, E], [0, 0, 0]] gives the round exactly, however stiff the machine's fast windings are.

Units are chosen for reading and for learning alike (what a megawatt does within a round is of the
order of one): speeds in mHz, angles in degrees, all else in thousandths, u and w in MW.
"""

import hashlib
import io
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
from jaxtyping import Float

from phalanx._outcome import InputError
from phalanx._types import frozen

FILE = "new_england_39.npz"
SUMS = "new_england_39.sha256"
REFERENCE = "G1"
THOUSANDTHS = 1000.0


@dataclass(frozen=True, eq=False)
class NewEngland:
    """The file, decoded; units are those of the source.

    Attributes:
        A: (123, 123) per second. B: (123, 9) per unit of a machine's rated power. E: (123, 19) as a
            share of the load at rest.
        states: (device, variable) of each state.
        machines, machine_mw: names and rated power of the ten machines.
        governed, valve: the nine machines with a governor, and their valve positions at rest.
        load_buses, load_mw: where the loads are, and how large.
        frequency: nominal, Hz.
    """

    A: Float[np.ndarray, "n n"]
    B: Float[np.ndarray, "n N"]
    E: Float[np.ndarray, "n q"]
    states: tuple[tuple[str, str], ...]
    machines: tuple[str, ...]
    machine_mw: Float[np.ndarray, " g"]
    governed: tuple[str, ...]
    valve: Float[np.ndarray, " N"]
    load_buses: tuple[str, ...]
    load_mw: Float[np.ndarray, " q"]
    frequency: float

    @property
    def governed_mw(self) -> Float[np.ndarray, " N"]:
        """Rated power of the governed machines, MW."""
        return self.machine_mw[[self.machines.index(name) for name in self.governed]]


@dataclass(frozen=True, eq=False)
class SampledGrid:
    """x' = A x + B u + E w from round to round, in the units of the world.

    Attributes:
        A: (122, 122). B: (122, 9), one column a governed machine, per MW. E: (122, 19), per MW.
        frequency: (10, 122) rows that read each machine's frequency deviation, mHz.
        valves: (9, 122) rows that read each governed machine's valve movement, MW.
        states: names with units.
    """

    A: Float[np.ndarray, "n n"]
    B: Float[np.ndarray, "n N"]
    E: Float[np.ndarray, "n q"]
    frequency: Float[np.ndarray, "g n"]
    valves: Float[np.ndarray, "N n"]
    states: tuple[str, ...]


def _folder() -> Any:
    """Folder of the shipped data; a function of its own so that a test can point elsewhere."""
    return resources.files("phalanx.scenarios").joinpath("data")


@lru_cache(maxsize=1)
def load() -> NewEngland:
    """Read the matrices once and keep them.

    Returns:
        The grid, its arrays shared and read-only.

    Raises:
        InputError: if the file is not the one whose checksum is listed beside it.

    Example:
        >>> grid = load()
        >>> (
        ...     grid.A.shape,
        ...     len(grid.governed),
        ...     len(grid.load_buses),
        ...     float(grid.load_mw.sum().round(1)),
        ... )
        ((123, 123), 9, 19, 6097.1)
    """
    blob = _folder().joinpath(FILE).read_bytes()
    listed = _folder().joinpath(SUMS).read_text().split()[0]
    found = hashlib.sha256(blob).hexdigest()
    if found != listed:
        raise InputError(
            f"{FILE} has sha256 {found[:12]}..., but {SUMS} lists {listed[:12]}...; "
            "the file is damaged and must be reinstalled or rebuilt."
        )
    with np.load(io.BytesIO(blob), allow_pickle=False) as file:
        return NewEngland(
            A=frozen(file["A"]),
            B=frozen(file["B"]),
            E=frozen(file["E"]),
            states=tuple((str(device), str(name)) for device, name in file["states"]),
            machines=tuple(file["machines"].tolist()),
            machine_mw=frozen(file["machine_mw"]),
            governed=tuple(file["governed"].tolist()),
            valve=frozen(file["valve"]),
            load_buses=tuple(file["load_buses"].tolist()),
            load_mw=frozen(file["load_mw"]),
            frequency=float(file["frequency"]),
        )


def relative(grid: NewEngland) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, ...]]:
    """The continuous matrices with angles measured from G1, in the units of the world.

    With x_r = T x, T taking G1's angle from every other angle, and T⁺ the right inverse that puts
    G1's angle at 0: A_r = T A T⁺, B_r = T B, E_r = T E, exact because A maps the common turn to 0.

    Returns:
        A_r (122, 122), B_r (122, 9) per MW, E_r (122, 19) per MW, and which states were kept.
    """
    variables = [variable for _, variable in grid.states]
    angles = [k for k, variable in enumerate(variables) if variable == "angle"]
    reference = grid.states.index((REFERENCE, "angle"))
    keep = tuple(k for k in range(len(variables)) if k != reference)
    unit = {"speed": 1000.0 * grid.frequency, "angle": float(np.degrees(1.0))}
    scale = np.array([unit.get(variables[k], THOUSANDTHS) for k in keep])
    turn = np.eye(len(variables))
    turn[angles, reference] -= 1.0
    T = scale[:, None] * turn[list(keep)]
    back = np.zeros((len(variables), len(keep)))
    back[list(keep), range(len(keep))] = 1.0 / scale
    return T @ grid.A @ back, T @ grid.B / grid.governed_mw, T @ grid.E / grid.load_mw, keep


def sampled(grid: NewEngland, seconds: float) -> SampledGrid:
    """The grid from round to round, controls and loads held over each.

    Args:
        grid: from `load`.
        seconds: length of a round.

    Example:
        >>> model = sampled(load(), 0.1)
        >>> bool(np.abs(np.linalg.eigvals(model.A)).max() < 1)
        True
    """
    from scipy.linalg import expm

    A, B, E, keep = relative(grid)
    n, N, q = len(A), B.shape[1], E.shape[1]
    whole = np.zeros((n + N + q, n + N + q))
    whole[:n] = np.hstack([A, B, E])
    flow = expm(seconds * whole)
    kept = [grid.states[k] for k in keep]
    frequency, valves = np.zeros((len(grid.machines), n)), np.zeros((N, n))
    for row, machine in enumerate(grid.machines):
        frequency[row, kept.index((machine, "speed"))] = 1.0
    for row, machine in enumerate(grid.governed):
        at = kept.index((f"GOV{machine[1:]}/TimeConstantLims", "x"))
        valves[row, at] = grid.governed_mw[row] / THOUSANDTHS
    return SampledGrid(
        A=flow[:n, :n],
        B=flow[:n, n : n + N],
        E=flow[:n, n + N :],
        frequency=frequency,
        valves=valves,
        states=tuple(_label(device, variable) for device, variable in kept),
    )


_PARTS = {
    "GOV/LeadLag": "turbine",
    "GOV/TimeConstantLims": "valve",
    "AVR/LeadLag": "voltage regulator",
    "AVR/TimeConstantLims": "field voltage",
    "PSS/LeadLag": "stabiliser, first lead",
    "PSS/LeadLag-2": "stabiliser, second lead",
    "PSS/Washout": "stabiliser, washout",
}
_VARIABLES = {
    "speed": "speed (mHz)",
    "angle": f"angle to {REFERENCE} (degrees)",
    "e_q_t": "transient EMF, q axis (1/1000)",
    "e_d_t": "transient EMF, d axis (1/1000)",
    "e_q_st": "subtransient EMF, q axis (1/1000)",
    "e_d_st": "subtransient EMF, d axis (1/1000)",
}


def _label(device: str, variable: str) -> str:
    """What a state is called: the source's GOV2/LeadLag, x becomes G2 turbine (1/1000)."""
    if "/" not in device:
        return f"{device} {_VARIABLES[variable]}"
    owner, part = device.split("/")
    return f"G{owner[3:]} {_PARTS[f'{owner[:3]}/{part}']} (1/1000)"
