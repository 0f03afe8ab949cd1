"""Do controls stay bounded when everyone learns independently? P2 assumes it; here it is mapped."""

from typing import Any

import numpy as np

from phalanx._record import Record
from phalanx.experiments import _everyone as everyone
from phalanx.experiments import _joint_loop as joint
from phalanx.experiments._everyone import KEPT, MEMORY, PLANT, RADII, Cell
from phalanx.experiments._panels import Claim, Curve, Panel, Table, reproduction
from phalanx.simulation import LinearTrajectory

# Edge of the panel of fixed parameters.
NEAR = 2.0


def run(quick: bool, seed: int, progress: Any) -> Record:
    """The map and the kept cases; see `reproduce`."""
    T = 1500 if quick else 4000
    counts = (1, 2, 4, 8, 16) if quick else (1, 2, 3, 4, 6, 8, 12, 16, 32, 64)
    etas = (1e-4, 1e-3, 1e-2, 1e-1) if quick else tuple(10.0 ** np.arange(-4, -0.4, 0.5))
    worlds = everyone.disturbances(T, seed, 1 if quick else 3)
    cells = []
    for i, N in enumerate(counts):
        progress(0.7 * i / len(counts), f"map: {N} agents")
        cells += [everyone.cell(N, eta, a, name, w) for a in RADII for eta in etas for name, w in worlds.items()]  # fmt: skip
    progress(0.7, "kept cases")
    kept = everyone.kept_case(seed, 3 if quick else 10, 2500 if quick else 5000)
    progress(0.85, "other costs, other agents, the library's defaults")
    others = everyone.other_cases(T, (4, 8) if quick else (2, 4, 8, 16))
    fixed = everyone.fixed_parameters(seed, 200 if quick else 1000)
    progress(1.0, "done")
    return reproduction(
        "bounded",
        "Do controls stay bounded when everyone learns independently?",
        _story(T),
        _panels(cells, kept, fixed, etas),
        [_frontier(cells, counts, etas, worlds), others],
        _claims(cells, kept, fixed, others, T),
        {
            "map": f"x' = {PLANT:g}x + Σ u^i + w, |w| ≤ 1, cost x² + u_i², K = 0, H = {MEMORY}, T = {T}",
            "agents": list(counts),
            "step_sizes": list(etas),
            "radii": list(RADII),
            "disturbances": list(worlds),
            "kept": KEPT,
            "seed": seed,
        },
        _notes(T),
        {"cells": [vars(c) for c in cells], "kept": {k: v for k, v in kept.items() if not isinstance(v, LinearTrajectory)}},
    )  # fmt: skip


def _claims(cells: list[Cell], kept: dict, fixed: dict, others: Table, T: int) -> list[Claim]:
    inside = [c for c in cells if c.gain < 1]
    within = max(c.largest * (1 - c.gain) / (c.radius * MEMORY) for c in inside)
    outside = [c for c in cells if c.gain >= 1]
    lost = [c for c in outside if not c.bounded]
    alone_lost = [c for c in cells if c.N == 1 and not c.bounded]
    edge = [c for c in cells if c.bounded and c.end > 1]
    ended = [c.end for c in lost if np.isfinite(c.end)]
    sizes = sorted({(c.N, c.radius) for c in cells if c.N > 1})
    worst = [_worst(N, a) for N, a in sizes]
    tight = all((rho >= 1) == ((N - 1) * a * MEMORY >= 1) for (N, a), rho in zip(sizes, worst, strict=True))  # fmt: skip
    free, fed = fixed["K = 0"], fixed["K ≠ 0, all loops stable"]
    broken = int(np.sum((fed[:, 0] < 1) & (fed[:, 1] >= 1)))
    sum_, rho = fixed["counterexample"]
    also = [row for row in others.rows if row[2] == "unbounded"]
    families = {row[0] for row in others.rows}
    return [
        Claim(
            "Controls stay bounded when every agent learns independently.",
            "P2, Section 3 (assumed: |u| ≤ U)",
            not lost,
            f"In {len(lost)} of the {len(cells)} runs of the map they leave all bounds within {T} rounds, though every loop without learning is stable (0.9). "
            f"With a single agent that happens in {len(alone_lost)}.",
        ),
        Claim(
            "They do if no more than (N − 1)‖B‖Σ_p a(1−ρ)^p < 1 is allowed (small gain, K = 0), whatever the step size.",
            "docs/notation.md",
            all(c.bounded for c in inside) and within <= 1 + 1e-9,
            f"All {len(inside)} runs inside are bounded, and the largest control is {within:.2f} of the bound aH·W/(1 − gain) at most.",
        ),
        Claim(
            "The small gain is tight for the set: beyond it some fixed M of the set destabilises (K = 0).",
            "this project",
            tight,
            f"Over the map's {len(sizes)} sets with N > 1 the radius of the worst M crosses 1 together with the gain.",
        ),
        Claim(
            "But it is far from necessary for learners: outside it many runs stay bounded, small steps help.",
            "this project",
            any(c.bounded for c in outside),
            f"{len(outside) - len(lost)} of {len(outside)} runs outside stay bounded, {len(edge)} of them ending at an M whose own loop has a radius above 1 "
            f"(up to {max((c.end for c in edge), default=float('nan')):.3f}): learning pushes back.",
        ),
        Claim(
            "Two agents that are stable alone, and together before they learn, can destroy each other by learning.",
            "this project; kept",
            bool(kept["destroyed"] == kept["draws"] and max(kept["alone_largest"], kept["told_largest"]) < 10),
            f"A = {KEPT['plant']:g}, B = 1, K = 0, H = {KEPT['memory']}, η = {KEPT['step_size']:g}, a = {KEPT['radius']:g}, noise in [−1, 1]: destroyed in {kept['destroyed']} of {kept['draws']} draws, after "
            f"{min(kept['rounds'])} to {max(kept['rounds'])} rounds. Alone the same learner's controls never exceed {kept['alone_largest']:.2f}; told what the other "
            f"did (2.2), {kept['told_largest']:.2f}; with a third of the step size, {kept['slower_largest']:.2f}.",
        ),
        Claim(
            "Neither identical agents, nor quadratic costs, nor unusual settings are needed.",
            "this project",
            {row[0] for row in also} == families,
            "Unbounded: " + "; ".join(f"{row[0]}: N = {', '.join(str(r[1]) for r in also if r[0] == row[0])}" for row in _firsts(also)) + ".",
        ),
        Claim(
            "With K = 0 a small gain below 1 makes the loop of fixed parameters stable.",
            "docs/notation.md",
            bool(np.all(free[free[:, 0] < 1, 1] < 1)),
            f"Of {int(np.sum(free[:, 0] < 1))} random cases with gain below 1 the largest radius is {free[free[:, 0] < 1, 1].max():.3f}.",
        ),
        Claim(
            "With K ≠ 0 it does not, though every agent alone and all without learning are stable.",
            "docs/notation.md",
            bool(rho > 1 and sum_ < 1 and broken > 0 and abs(fixed["growth"] - rho) < 1e-3),
            f"The kept counterexample: gain {sum_:.3f}, radius {rho:.4f}, growth per round in play {fixed['growth']:.4f}. {broken} of "
            f"{int(np.sum(fed[:, 0] < 1))} random cases with gain below 1 are unstable.",
        ),
        Claim(
            "A learner that blows up does so on parameters whose loop is unstable.",
            "this project",
            bool(ended and min(ended) > 1) if ended else None,
            f"Of {len(lost)} unbounded runs {len(ended)} left an M that is a number; its radius is {min(ended, default=float('nan')):.3f} at least."
            if ended else "No unbounded run left an M that is a number: the gradients overflow before the state does.",
        ),
    ]  # fmt: skip


def _firsts(rows: list) -> list:
    return list({row[0]: row for row in rows}.values())


def _worst(N: int, a: float) -> float:
    blocks = [np.full((MEMORY, 1, 1), a)] * N
    return joint.radius(
        joint.joint_loop(np.array([[PLANT]]), [np.eye(1)] * N, [np.zeros((1, 1))] * N, blocks)
    )


def _frontier(cells: list[Cell], counts: tuple, etas: tuple, worlds: dict) -> Table:
    def largest(N: int, a: float, name: str) -> Any:
        fine = True
        best: Any = "none"
        for eta in etas:
            fine = fine and all(
                c.bounded for c in cells if (c.N, c.radius, c.eta) == (N, a, eta) and c.world.startswith(name)
            )  # fmt: skip
            best = f"{eta:.2g}" if fine else best
        return best

    kinds = list(dict.fromkeys(name.split()[0] for name in worlds))
    rows = [
        [a, N, (N - 1) * a * MEMORY, *(largest(N, a, name) for name in kinds)]
        for a in RADII
        for N in counts
    ]
    header = ["radius a", "N", "gain (N−1)aH", *kinds]
    return Table(f"Largest η with bounded controls at it and at every smaller one tried ({etas[0]:g} to {etas[-1]:.2g})", header, rows)  # fmt: skip


def _map_panel(cells: list[Cell], a: float, etas: tuple) -> Panel:
    groups: dict[str, list[tuple[int, float]]] = {"all bounded": [], "some unbounded": [], "all unbounded": []}  # fmt: skip
    for N, eta in sorted({(c.N, c.eta) for c in cells}):
        here = [c.bounded for c in cells if (c.N, c.eta, c.radius) == (N, eta, a)]
        name = "all bounded" if all(here) else "some unbounded" if any(here) else "all unbounded"
        groups[name].append((N, eta))
    curves = [
        Curve(name, [p[0] for p in points], [p[1] for p in points], style="marks", colour=i)
        for i, (name, points) in enumerate(groups.items())
        if points
    ]
    limit = 1 + 1 / (a * MEMORY)
    edges = [etas[0], etas[-1]]
    curves.append(Curve("small gain = 1", [limit, limit], edges, style="dashed", colour=3))
    return Panel(
        f"Radius a = {a:g}: left of the line bounded for certain, with small steps also beyond",
        "N (agents)", "step size η", curves, x_log=True, y_log=True,
    )  # fmt: skip


def _panels(cells: list[Cell], kept: dict, fixed: dict, etas: tuple) -> list[Panel]:
    runs: dict[str, LinearTrajectory] = {
        "two, independent": kept["together"],
        "one alone": kept["alone"],
        "two, told what the other did": kept["told"],
    }
    paths = []
    for i, (name, r) in enumerate(runs.items()):
        until = int(min(r.rounds, kept["together"].rounds * 1.2))
        size = np.abs(r.u[:until]).max((1, 2))
        # The running maximum: a path that crosses 0 is not read off a logarithmic axis.
        paths.append(Curve(name, np.arange(until), np.minimum(np.maximum(np.maximum.accumulate(size), 1e-3), 1e12), colour=i))  # fmt: skip
    path = kept["path"]
    gains = []
    for i, name in enumerate(("K = 0", "K ≠ 0, all loops stable")):
        gains.append(Curve(name, *_near(fixed[name]), style="marks", colour=i))
    gains.append(Curve("kept counterexample", *([v] for v in fixed["counterexample"]), style="marks", colour=2))  # fmt: skip
    gains.append(Curve("stable below", [0.0, NEAR], [1.0, 1.0], style="dashed", colour=3))
    gains.append(Curve("", [1.0, 1.0], [0.0, NEAR], style="dashed", colour=3))
    return [
        *(_map_panel(cells, a, etas) for a in RADII),
        Panel(
            "Kept: two stable agents destroy each other, cut off at 10¹²; alone, or informed, they do not",
            "t (rounds)", "largest |u| so far", paths, y_log=True,
        ),
        Panel(
            "Kept: the loop of the parameters of the moment crosses 1 and is thrown back, until it is not",
            "t (rounds)", "spectral radius",
            [
                Curve("of the two learners' M_t", np.arange(len(path)), path),
                Curve("stable below", [0, len(path)], [1.0, 1.0], style="dashed", colour=3),
            ],
        ),
        Panel(
            "Fixed parameters: gain below 1 is stable with K = 0, and not always with K ≠ 0",
            "small gain: the others' Σ ‖B‖ ‖M‖", "spectral radius of the joint loop", gains,
        ),
    ]  # fmt: skip


def _near(points: np.ndarray) -> np.ndarray:
    """(2, n) those that the panel has room for."""
    return points[(points < NEAR).all(1)].T


def _notes(T: int) -> list[str]:
    return [
        f"Bounded means within {T} rounds: a run that is bounded here may leave later, and small steps take longer to get anywhere.",
        "P2's Theorem 3.2 is not contradicted: it holds for a given bound U on all controls, and what is shown is that learning may leave every such bound.",
        "P2's C.1 says that projection alone bounds the controls; it bounds M, and the states that M acts on are not bounded by it.",
        "In the aggregated setting with K = 0 a control is ΣM w with the true w, at most aHW: nothing can circulate.",
        "Agents of the map are alike, so that all learn the same M: the mode in which everybody does too much at once.",
        "Small gain is stated for agent i's sum over the others, which is sharper than the sum over all.",
    ]


def _story(T: int) -> str:
    return (
        "Every regret bound of P2 for independent learners assumes that the controls stay below some U. Each agent takes the others for part of the "
        "disturbance; but they act on what they see, so that everybody's estimate is fed back through everybody else. Here all agents learn on a plant "
        f"that is stable by itself, x' = {PLANT:g}x + Σ u^i + w with |w| ≤ 1 and K = 0, for {T} rounds: a map over the number of agents, the step size and "
        "the radius of the learner's set, beside two conditions: the spectral radius of the joint loop for fixed M, and the small gain."
    )
