"""A panel of named bars, each with its number beside it, so that nobody has to read a scale.

Names stand beside the axis, or above their bar where the panel is narrow. The scale turns logarithmic, and
says so, when the largest number is more than twenty times the smallest.
"""

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

import phalanx.report._theme as theme
from phalanx.report._numbers import number

LOG_FROM = 20.0
BAR_HEIGHT = 0.25  # inches
# The longest name that is drawn.
NAME = 40


def height(panel: dict[str, Any]) -> float:
    """Inches that the panel needs."""
    return 1.0 + BAR_HEIGHT * len(panel["bars"])


def draw(axes: Axes, panel: dict[str, Any], letters: int) -> None:
    """The bars, from the top down.

    Args:
        axes: to draw on.
        panel: title, x_label and bars (label, value or None, colour) of a record's summary.
        letters: that a line of the title holds.
    """
    bars = panel["bars"]
    seen = [v for v in (_value(bar) for bar in bars) if v is not None and v > 0] or [1.0]
    log = max(seen) / min(seen) > LOG_FROM
    left = min(seen) / 3 if log else 0.0
    right = max(seen) * (max(seen) / min(seen)) ** 0.25 if log else 1.2 * max(seen)
    # The title begins where the bars do, to the right of their names.
    longest = max((len(theme.clean(bar["label"], NAME)) for bar in bars), default=0)
    theme.frame(axes, panel["title"], max(letters - longest + 4, 20))
    axes.set_xlabel(theme.clean(panel["x_label"]) + (", log\u00a0scale" if log else ""))
    axes.set_xscale("log" if log else "linear")
    axes.set_xlim(left, right)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.set_yticks(range(len(bars)), [theme.clean(bar["label"], NAME) for bar in bars])
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    for place, bar in enumerate(bars):
        value = _value(bar)
        end = left if value is None else max(value, left)
        colour = theme.ink(f"s{bar['colour'] % len(theme.DASHES)}")
        axes.barh(place, end - left, left=left, height=0.62, color=colour)
        text = "no result" if value is None else number(value, 3)
        axes.annotate(
            text,
            (end, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=7.5,
        )
    if log:
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value, 2)))


def described(panel: dict[str, Any]) -> str:
    """Names and numbers, in words."""
    parts = [f"{theme.clean(bar['label'], NAME)} {number(_value(bar), 3)}" for bar in panel["bars"]]
    return ", ".join(parts)


def _value(bar: dict[str, Any]) -> float | None:
    value = bar["value"]
    return float(value) if value is not None and math.isfinite(value) else None
