"""What happens at the grid's loads: real quarter hours played fast, and an attacker with switches.

**Quarter hours.** Every quarter hour the dispatch moves to the residual load (load minus wind minus
sun) as it was; what is left for the generators of `power-grid` is the change since. Each bus gets the
changes of its own recorded loads, and of the wind and sun of the day. A change stays until the next
one replaces it. The grid has settled long before a quarter hour is over, so quarter hours are played
every 15 s: five hours of real changes in five minutes. A change comes as a step, though in truth most
of it creeps: that is the hard case.

**The attacker** holds switches of many small appliances (chargers, heaters, air conditioners) and
turns them on and off together in the rhythm to which the grid answers most: the peak of the largest
singular value from loads to frequencies, faster than the slow drift that droop holds anyway. Where it
switches and in which phase follows from the singular vector. It reads the matrices and nothing else.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from phalanx._outcome import InputError
from phalanx.scenarios import _simbench
from phalanx.scenarios._new_england import NewEngland, SampledGrid

DAY = "2016-10-05"  # a Wednesday
HOUR = 8
HOLD = 15.0  # s, how long a quarter hour is played
FIRST_MONDAY = "2016-10-03"
WEEKDAYS = tuple(day for day in range(89) if day % 7 < 5)  # to the year's end
DAYS_PER_BUS = 3
GRIDS = ("lv_rural1_pload", "lv_semiurb4_pload", "lv_urban6_pload")
PARKS = ("WP4", "WP7")
PANELS = ("PV1", "PV3", "PV5", "lv_rural1_pv")
WIND_SHARE = 0.3  # installed wind power, as a share of the bus's load
SUN_SHARE = 0.2

ATTACK_SHARE = 0.01  # of the grid's load
ATTACK_CAP = 0.05  # of one bus's load
SLOWEST = 0.2  # Hz, below which droop holds the frequency anyway
FASTEST = 2.5  # Hz


def quarter_hours(grid: NewEngland, rounds: int, seconds: float) -> Float[np.ndarray, "T q"]:
    """Changes of residual load, MW, one column a load bus.

    The load of bus i is its size times the mean of nine records: three low-voltage grids on three
    weekdays of the autumn, no day twice among the buses, all at the same hour. Wind and sun are
    those of one day, because buses share their weather.

    Args:
        grid: whose loads are meant.
        rounds: T.
        seconds: length of a round.

    Raises:
        InputError: rounds that reach beyond the recorded day.

    Example:
        >>> from phalanx.scenarios import _new_england
        >>> w = quarter_hours(_new_england.load(), 3000, 0.1)
        >>> w.shape, bool((w[0] == w[149]).all()), bool((w[149] == w[150]).any())
        ((3000, 19), True, False)
    """
    quarters = int(np.ceil(rounds * seconds / HOLD))
    if quarters > 4 * (24 - HOUR):
        raise InputError(
            f"{rounds} rounds of {seconds:g} s are {quarters} quarter hours, but the recorded day has "
            f"{4 * (24 - HOUR)} from {HOUR}:00 on; play fewer rounds."
        )
    year = _simbench.load()
    monday, today = year.row(FIRST_MONDAY), year.row(f"{DAY}T{HOUR:02d}:00")
    changes = np.empty((quarters, len(grid.load_mw)))

    def window(name: str, row: int) -> np.ndarray:
        return year.series[name][row - 1 : row + quarters]

    for bus, size in enumerate(grid.load_mw):
        days = WEEKDAYS[bus :: len(grid.load_mw)][:DAYS_PER_BUS]
        rows = [monday + 96 * day + 4 * HOUR for day in days]
        load = np.mean(
            [window(name, row) / year.series[name].mean() for row in rows for name in GRIDS], axis=0
        )
        wind = window(PARKS[bus % len(PARKS)], today)
        sun = window(PANELS[bus % len(PANELS)], today)
        residual = load / load.mean() - WIND_SHARE * wind - SUN_SHARE * sun
        changes[:, bus] = size * np.diff(residual)
    return changes[np.floor(np.arange(rounds) * seconds / HOLD + 1e-9).astype(int)]


@dataclass(frozen=True, eq=False)
class Attack:
    """A switching attack on loads.

    Attributes:
        hertz: its rhythm. gain: largest singular value there, mHz per MW.
        megawatts: (q,) size of what each bus switches. phase: (q,) in radians.
    """

    hertz: float
    gain: float
    megawatts: Float[np.ndarray, " q"]
    phase: Float[np.ndarray, " q"]

    def play(self, rounds: int, seconds: float) -> Float[np.ndarray, "T q"]:
        """Square waves of this rhythm, MW: (T, q)."""
        turns = 2 * np.pi * self.hertz * seconds * np.arange(rounds)[:, None] + self.phase
        return self.megawatts * np.where(np.cos(turns) >= 0, 1.0, -1.0)


def attack(
    grid: NewEngland,
    model: SampledGrid,
    seconds: float,
    share: float = ATTACK_SHARE,
    cap: float = ATTACK_CAP,
) -> Attack:
    """The worst rhythm and where to play it, within a budget.

    With G(f) = C (e^{2πi f s} I − A)⁻¹ E the answer of all frequencies to all loads, f maximises
    σ₁(G(f)) and v is the right singular vector. To first order what switching a_j at bus j in phase
    with v_j adds is |v_j| a_j, so a budget is spent on the largest |v_j| first, each to its cap.

    Args:
        grid: whose loads are meant.
        model: the same grid, sampled.
        seconds: length of a round.
        share: of the whole load that may be switched.
        cap: of a single bus's load.

    Raises:
        InputError: a share or a cap outside 0..1.

    Example:
        >>> from phalanx.scenarios import _new_england
        >>> grid = _new_england.load()
        >>> worst = attack(grid, _new_england.sampled(grid, 0.1), 0.1)
        >>> round(worst.hertz, 2), float(worst.megawatts.sum().round(1))
        (0.79, 61.0)
    """
    for name, value in (("share", share), ("cap", cap)):
        if not 0 <= value <= 1:
            raise InputError(f"{name} is {value!r}; it must be a share of the load, from 0 to 1.")
    coarse = np.arange(SLOWEST, FASTEST, 0.05)
    near = coarse[np.argmax(_gains(model, coarse, seconds))]
    fine = near + np.arange(-0.05, 0.055, 0.01)
    hertz = float(fine[np.argmax(_gains(model, fine, seconds))])
    _, gains, right = np.linalg.svd(_answer(model, np.array([hertz]), seconds)[0])
    v = right[0].conj()
    left, megawatts = share * grid.load_mw.sum(), np.zeros(len(v))
    for bus in np.argsort(-np.abs(v)):
        megawatts[bus] = min(left, cap * grid.load_mw[bus])
        left -= megawatts[bus]
    v = v * np.exp(-1j * np.angle(v[np.argmax(megawatts)]))  # the largest switch starts at 0
    return Attack(hertz, float(gains[0]), megawatts, np.angle(v))


def _answer(model: SampledGrid, hertz: np.ndarray, seconds: float) -> np.ndarray:
    """G(f), frequencies to loads, mHz per MW: (F, g, q)."""
    circle = np.exp(2j * np.pi * hertz * seconds)[:, None, None]
    return model.frequency @ np.linalg.solve(circle * np.eye(len(model.A)) - model.A, model.E)


def _gains(model: SampledGrid, hertz: np.ndarray, seconds: float) -> np.ndarray:
    """Largest singular value of G(f): (F,)."""
    return np.linalg.norm(_answer(model, hertz, seconds), 2, axis=(1, 2))
