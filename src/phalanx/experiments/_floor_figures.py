"""What `tracking-floor` shows: its figures and tables."""

from typing import Any

import numpy as np

from phalanx.experiments._panels import Curve, Panel, Table


def panels(
    size: Any,
    kinds: dict[str, str],
    floors: dict,
    rates: dict,
    periods: dict,
    steps: dict,
    fixed: float,
) -> list[Panel]:
    at = np.unique(np.geomspace(10, size.rounds - 1, 150).astype(int))
    paths = [
        Curve(
            text,
            at + 1,
            np.maximum(floors[kind, 0.3].path[at], 1e-16),
            style="dashed" if kind == "target" else "line",
            colour=i,
        )
        for i, (kind, text) in enumerate(kinds.items())
    ]
    scaling = []
    for i, (kind, text) in enumerate(kinds.items()):
        seen = [max(floors[kind, a].mean, 1e-34) for a in size.amplitudes]
        scaling.append(
            Curve(
                text,
                size.amplitudes,
                seen,
                style="dashed" if kind == "target" else "both",
                colour=i,
            )
        )
    a = np.array(size.amplitudes)
    scaling.append(
        Curve("∝ a⁴", a, floors["iid", 0.1].mean * (10 * a) ** 4, style="dotted", colour=7)
    )
    speed = []
    for i, (found, text) in enumerate(((rates, "jumps of size 1, by their spacing"), (periods, "unpredictable wave of size 1, by its period"))):  # fmt: skip
        x = np.array([f.variation for f in found.values()])
        y = np.array([f.square for f in found.values()])
        speed.append(Curve(text, x, y.mean(1), y.min(1), y.max(1), "both", i))
    x, found_rare = np.array([f.variation for f in rates.values()]), rates[size.spaces[-1]].mean
    speed.append(Curve("∝ variation, the order of (8)", x, found_rare * x / x[-1], style="dotted", colour=7))  # fmt: skip
    shares = np.array(list(steps))
    level = np.array([f.square for f in steps.values()])
    return [
        Panel("Variation of size 0.3 that goes on: a floor, unless the learner can predict it", "rounds T", "mean gap², last half up to T", paths, True, True),
        Panel("The floor falls with the fourth power of the variation's size; (8) falls with the first", "amplitude a", "mean gap², last half", scaling, True, True),
        Panel("At a fixed size it is proportional to how often the world jumps: there (8) has the right order", "variation per round, mean |Δw|", "mean gap², last half", speed, True, True),
        Panel(
            "Independent draws of size 1: no step size removes the floor, nor does the best fixed M",
            "step size, in 1/L", "mean gap², last half",
            [
                Curve("learners", shares, level.mean(1), level.min(1), level.max(1), "both"),
                Curve("the best fixed M in hindsight", shares, np.full(len(shares), fixed), style="dashed"),
            ],
            x_log=True,
        ),
    ]  # fmt: skip


def words(fit: tuple[float, float] | None) -> str:
    return "none" if fit is None else f"{fit[0]:.2f} ± {fit[1]:.2g}"


def table(
    size: Any, kinds: dict[str, str], floors: dict, fits: dict, fixed: dict[str, float]
) -> Table:
    rows = []
    for kind, text in kinds.items():
        rows.append(
            [
                text,
                *(floors[kind, a].mean for a in size.amplitudes),
                fixed.get(kind, "–"),
                words(fits[kind]),
            ]
        )
    header = [
        "variation",
        *(f"a = {a:g}" for a in size.amplitudes),
        "best fixed M, a = 1",
        "exponent of a",
    ]
    return Table("Mean squared gap over the last half of the run, by the variation's size a", header, rows)  # fmt: skip


def speed_table(rates: dict, periods: dict) -> Table:
    rows = [["jumps of size 1", f"one in {q} rounds", f.variation, f.mean] for q, f in rates.items()]  # fmt: skip
    rows += [["wave of size 1, H = 1", f"period {p:g}", f.variation, f.mean] for p, f in periods.items()]  # fmt: skip
    return Table("The floor by how often, or how fast, the world moves", ["variation", "pace", "mean |Δw|", "mean gap²"], rows)  # fmt: skip
