"""What `equilibrium-tracking` shows: its figures and tables, and what both need of a run."""

from typing import Any

import numpy as np

from phalanx.experiments import _potential as lab
from phalanx.experiments import _settling as worlds
from phalanx.experiments._panels import Curve, Panel, Table

# Agents of the slow plant whose run is drawn; shares of the computed limit that are played.
CROWD, AROUND = 8, (0.9, 1.1)


def log_spaced(rounds: int, decades: float = 1.5, count: int = 40) -> np.ndarray:
    return np.unique(np.geomspace(rounds / 10**decades, rounds - 1, count).astype(int))


def gradients_apart(players: lab.Team, played: lab.Played) -> tuple[np.ndarray, np.ndarray]:
    """By round: how far M moved within the last H+1 rounds, and how far the two gradients are apart."""
    frozen, recorded = lab.slopes(players, played)
    M = np.concatenate([m.reshape(len(m), -1) for m in played.M], 1)
    back = players.memory + 1
    moved = [np.linalg.norm(M[back:] - M[back - k : -k], axis=1) for k in range(1, back + 1)]
    return np.max(moved, 0), np.linalg.norm(recorded - frozen, axis=1)[back:]


def panels(
    size: Any, settled: dict, flat: dict, persistent: dict, common: lab.Team, settles: lab.Played, crowd: dict
) -> list[Panel]:  # fmt: skip
    drawn = []
    for name in dict.fromkeys(key[0] for key in settled):
        curves = []
        for i, kind in enumerate(worlds.SETTLING):
            mean = settled[name, kind].mean
            at = log_spaced(size.rounds, np.log10(size.rounds / 5), 120)
            parts = (mean.mean(0), mean.min(0), mean.max(0))
            curves.append(Curve(kind, at + 1, *(part[at] for part in parts), colour=i))
        at = np.array([20.0, size.rounds])
        curves.append(Curve("∝ 1/T", at, 0.3 / at, style="dotted", colour=7))
        drawn.append(Panel(f"When the world settles, the mean squared gap falls like 1/T: {name}", "rounds T", "(1/T) Σ gap²", curves, True, True))  # fmt: skip
    at = np.unique(np.geomspace(10, size.static - 1, 150).astype(int))
    curves = []
    for i, (p, (gap, _)) in enumerate(flat.items()):
        curves.append(Curve(f"Σ|x_k|^{p:g}", at, np.maximum(gap[at], 1e-16), colour=i))
        if p > 2:
            guide = gap[at[-1]] * (at / at[-1]) ** (-p / (p - 2))
            curves.append(Curve(f"∝ t^−{p:g}/{p - 2:g}", at, guide, style="dotted", colour=i))
    drawn.append(Panel("A static world: flat costs are learned slowly, and still faster than 1/t", "round t", "gap", curves, True, True))  # fmt: skip
    played = persistent[True]
    at = log_spaced(size.rounds, np.log10(size.rounds / 10), 120)
    met, promised = worlds.bounds(common, played)
    drawn.append(
        Panel(
            "Persistent variation: the gap stays, and far below the bound (8)",
            "rounds T", "(1/T) Σ gap²",
            [
                Curve("measured, others frozen", at + 1, lab.running_mean(played.gap**2)[at]),
                Curve("measured, the learners", at + 1, lab.running_mean(persistent[False].gap ** 2)[at]),
                Curve("the proof's chain, drift as it was met", at + 1, met[at], style="dashed"),
                Curve("bound (8), with the proof's constants", at + 1, promised[at], style="dashed"),
            ],
            True, True,
        )
    )  # fmt: skip
    moved, apart = gradients_apart(common, settles)
    seen = (moved > 1e-12) & (apart > 1e-12)
    seen &= np.isin(np.arange(len(seen)), np.unique(np.geomspace(1, len(seen) - 1, 250).astype(int)))  # fmt: skip
    drawn.append(
        Panel(
            "The learners' gradient comes to the proof's as M settles",
            "how far M moved in H + 1 rounds", "‖recorded − frozen gradient‖",
            [
                Curve("rounds of one run", moved[seen], apart[seen], style="marks"),
                Curve("∝ movement", np.sort(moved[seen]), np.sort(moved[seen]) * np.median(apart[seen] / moved[seen]), style="dotted", colour=7),
            ],
            True, True,
        )
    )  # fmt: skip
    words = {(1.0, False): "learners, 1/L", (0.5, False): "learners, 1/(2L)", (1.0, True): "others frozen, 1/L"}  # fmt: skip
    curves = [
        Curve(text, np.arange(400), np.maximum(crowd[key].gap[:400], 1e-12), colour=i)
        for i, (key, text) in enumerate(words.items())
    ]
    drawn.append(Panel(f"w ≡ 1, {CROWD} agents, slow plant: at 1/L the learners themselves do not settle", "round t", "gap", curves, y_log=True))  # fmt: skip
    N = np.arange(2, 65)
    limit = [worlds.largest_share(int(n)) for n in N]
    drawn.append(
        Panel(
            "The largest step size that settles, by the recursion of the delays",
            "N (agents)", "step size, in 1/L",
            [Curve("limit", N, limit), Curve("Theorem 4.1's 1/L", N, np.ones(len(N)), style="dashed", colour=7)],
            x_log=True,
        )
    )  # fmt: skip
    return drawn


def slopes_table(settled: dict) -> Table:
    rows = []
    for (name, kind), found in settled.items():
        last = found.mean[:, -1].mean()
        rows.append([name, kind, worlds.SETTLING[kind], f"{found.promised:.3f}", f"{found.exponents.min():.3f} to {found.exponents.max():.3f}", float(last)])  # fmt: skip
    header = ["costs", "disturbance", "Σ|Δw| ∝", "exponent of (8)", "fitted, over seeds", "mean squared gap at the end"]  # fmt: skip
    return Table("Exponent of T in (1/T) Σ gap², over the last decade and a half", header, rows)


def flat_table(flat: dict) -> Table:
    rows = []
    for p, (gap, fitted) in flat.items():
        first = [_first(gap, e) for e in (1e-1, 1e-2, 1e-3, 1e-4)]
        law = "geometric" if p == 2 else f"{-p / (p - 2):.3f}"
        fitted_ = "geometric" if fitted < -10 or not np.isfinite(fitted) else f"{fitted:.3f}"
        rows.append([f"Σ|x_k|^{p:g}", *first, fitted_, law])
    header = ["cost", "ε = 0.1", "ε = 0.01", "ε = 0.001", "ε = 0.0001", "exponent of t in the gap", "expected"]  # fmt: skip
    return Table("Static world: rounds until the play is an ε-Nash equilibrium, and stays one", header, rows)  # fmt: skip


def _first(gap: np.ndarray, level: float) -> Any:
    above = np.flatnonzero(gap > level)
    last = int(above[-1]) + 1 if len(above) else 0
    return "–" if last >= len(gap) else last


def symmetry_table(symmetry: dict[str, float]) -> Table:
    rows = [[name, v, "yes" if v < 1e-8 else "no"] for name, v in symmetry.items()]
    return Table("Mixed second derivatives: how far from symmetric", ["costs", "largest difference, relative", "potential game"], rows)  # fmt: skip


def crowd_table(limits: dict, tried: dict) -> Table:
    rows = [[N, v, *(tried[N, f] for f in AROUND)] for N, v in limits.items()]
    header = ["N", "limit, in 1/L", *(f"gap at {f:g} × limit" for f in AROUND)]
    return Table("Slow plant, w ≡ 1: step sizes at which the learners settle, and the gap at the end of runs beside the limit", header, rows)  # fmt: skip
