"""The horizontal axis: rounds, hours, or real dates, whichever the record allows.

Tick labels are made here from plain tables, not by the machine's locale: the same record must give
the same figure everywhere.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from phalanx.report._facts import Clock

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HOUR_STEPS = (1, 2, 3, 6, 12)


@dataclass(frozen=True)
class TimeAxis:
    """Where rounds lie on the axis.

    Attributes:
        at: (rounds,) positions: hours with a clock, else rounds.
        label: of the axis. ticks: (position, label) pairs; empty leaves ticks to matplotlib.
    """

    at: np.ndarray
    label: str
    ticks: list[tuple[float, str]]

    def put(self, axes: Axes) -> None:
        """Set the ticks of the lowest panel."""
        axes.set_xlim(self.at[0], self.at[-1] if len(self.at) > 1 else self.at[0] + 1)
        if self.ticks:
            axes.set_xticks([at for at, _ in self.ticks], [label for _, label in self.ticks])
        else:
            axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))


def time_axis(clock: Clock, rounds: int, wide: bool, dated: bool = True) -> TimeAxis:
    """The axis of so many rounds.

    Args:
        clock: of the record.
        rounds: how many.
        wide: whether there is room for long labels.
        dated: whether the rounds are those of the recorded calendar.
    """
    at = np.arange(rounds, dtype=float)
    if clock.minutes <= 0:
        return TimeAxis(at, "round", [])
    at = at * clock.minutes / 60
    if clock.start is None or not dated:
        return TimeAxis(at, "hours", [])
    room = 8 if wide else 4
    start, span = clock.start, at[-1] if rounds else 0.0
    hour = start.hour + start.minute / 60 + start.second / 3600
    if span > 36:
        days = int(span // 24) + 1
        step = max(1, -(-days // room))
        midnights = np.arange(0 if hour == 0 else 1, days + 1, step) * 24.0 - hour
        ticks = [(m, _day(start, m, wide and step == 1)) for m in midnights if 0 <= m <= span]
        return TimeAxis(at, str(start.year), [(float(m), label) for m, label in ticks])
    step = next((s for s in _HOUR_STEPS if span / s <= room), 24)
    hours = np.arange(-(-hour // step) * step, hour + span + 1e-9, step)
    ticks = [(float(h - hour), f"{int(h) % 24:02d}:00") for h in hours]
    return TimeAxis(at, f"{start.day} {_MONTHS[start.month - 1]} {start.year}", ticks)


def _day(start: datetime, hours: float, weekday: bool) -> str:
    day = start + timedelta(hours=float(hours))
    text = f"{day.day} {_MONTHS[day.month - 1]}"
    return f"{_DAYS[day.weekday()]} {text}" if weekday else text
