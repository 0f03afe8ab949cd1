"""What is it worth to be told what the others did? P2's information settings, head to head on the same worlds."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from phalanx._record import Record
from phalanx.costs import Quadratic, Tracking
from phalanx.disturbances import Replay
from phalanx.equilibria import stabilising_gains
from phalanx.evaluation import regret
from phalanx.experiments import _online as online
from phalanx.experiments._panels import Claim, Curve, Panel, Table, reproduction
from phalanx.online import team
from phalanx.simulation import simulate
from phalanx.systems import LinearSystem

SETTINGS = ("independent", "aggregated", "aggregated-agentwise")
DISTURBANCES = ("iid", "sinusoid", "steps")
MEMORY, RADIUS, BOUND = 4, 2.0, 1.0
ETAS = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)
# Agents of a world whose regret is taken; a paired difference of costs below this share is a draw.
JUDGED, DRAW = 2, 0.01


@dataclass(frozen=True, eq=False)
class World:
    """Agents, gains and costs. Attributes: title, system, gains, costs, coupling: Σ_{j≠i}‖B_j‖ beside ‖B_i‖, worst i."""

    title: str
    system: LinearSystem
    gains: tuple[np.ndarray, ...]
    costs: list[Any]

    @property
    def coupling(self) -> float:
        """Static gain from everybody else's controls to the state that i pays for, over i's own; the largest."""
        N = self.system.n_agents
        B = [self.system.input_matrix(i) for i in range(N)]
        closed = self.system.A - sum(b @ k for b, k in zip(B, self.gains, strict=True))
        still = np.linalg.inv(np.eye(len(closed)) - closed)
        ratios = []
        for i in range(N):
            root = np.linalg.cholesky(self.costs[i].Q * np.eye(len(closed)) + 1e-12 * np.eye(len(closed))).T  # fmt: skip
            push = [np.linalg.norm(root @ still @ b, 2) for b in B]
            ratios.append((sum(push) - push[i]) / push[i])
        return float(max(ratios))


@dataclass(frozen=True, eq=False)
class Cell:
    """One world, disturbance and setting.

    Attributes:
        costs: (steps, seeds) mean cost of an agent and round; infinite where the run diverged.
        best: index of the step size with the least cost. regret: (seeds, judged) at that step size, per round.
        path: (T,) running mean of the agents' cost at that step size, first seed.
    """

    costs: np.ndarray
    best: int
    regret: np.ndarray
    path: np.ndarray

    @property
    def tuned(self) -> np.ndarray:
        """(seeds,) costs at the best step size."""
        return self.costs[self.best]


def run(quick: bool, seed: int, progress: Any) -> Record:
    """The comparison; see `reproduce`."""
    T, seeds = (1000, 2) if quick else (10_000, 5)
    etas = (0.1, 0.03, 0.01, 0.003, 0.001) if quick else ETAS
    places = worlds(T)
    cells: dict[tuple[str, str, str], Cell] = {}
    fixed: dict[tuple[str, str], np.ndarray] = {}
    for done, (name, world) in enumerate(places.items()):
        progress(done / len(places), world.title)
        for kind in DISTURBANCES:
            records = [
                online.signal(kind, T, world.system.disturbance_size, BOUND, np.random.default_rng((seed, s)))
                for s in range(seeds)
            ]  # fmt: skip
            fixed[name, kind] = np.array([_mean(_run(world, "independent", 0.0, w)) for w in records])  # fmt: skip
            for setting in SETTINGS:
                cells[name, kind, setting] = _cell(world, setting, etas, records)
    progress(1.0, "done")
    return reproduction(
        "information",
        "What it is worth to know what the others did",
        _story(T, seeds, etas),
        _panels(places, cells, etas),
        [_cost_table(places, cells, fixed), _regret_table(places, cells), _step_table(places, cells, etas)],
        _claims(places, cells, fixed, etas),
        {
            "worlds": {name: world.title for name, world in places.items()},
            "disturbances": [online.DISTURBANCES[kind] for kind in DISTURBANCES],
            "W": BOUND,
            "memory": MEMORY,
            "radius": RADIUS,
            "step_sizes": etas,
            "rounds": T,
            "seeds": seeds,
            "seed": seed,
        },
        _notes(),
        {"costs_by_cell": {", ".join(key): c.tuned.mean() for key, c in cells.items()}},
    )  # fmt: skip


def worlds(rounds: int) -> dict[str, World]:
    """From loosely to strongly coupled."""
    n = 4
    ring = 0.7 * np.eye(n) + 0.05 * (np.roll(np.eye(n), 1, 0) + np.roll(np.eye(n), -1, 0))
    loose = LinearSystem(ring, [np.eye(n)[:, [i]] for i in range(n)])
    own = [Quadratic(np.diag(np.eye(n)[i]), 0.5) for i in range(n)]
    shared = LinearSystem([[0.8, 0.2], [-0.2, 0.8]], [[[1.0], [0.0]], [[0.0], [1.0]], [[0.6], [0.6]]])  # fmt: skip
    unequal = [Quadratic(np.diag(q), 1.0) for q in ((1.0, 0.2), (0.2, 1.0), (1.0, 1.0))]
    crowd = LinearSystem([[0.8]], [[[0.25]]] * 12)
    duel = LinearSystem([[0.8]], [[[1.0]], [[1.0]]])
    sides = [Tracking(np.full((rounds, 1), r), 1.0, 0.5) for r in (1.0, -1.0)]

    def gains(system: LinearSystem, costs: list[Any], method: Any) -> tuple[np.ndarray, ...]:
        return stabilising_gains(system, costs, method).K

    return {
        "ring": World("four neighbours, each its own state", loose, gains(loose, own, "lqr"), own),
        "shared": World("three agents on two states, Nash gains", shared, gains(shared, unequal, "nash"), unequal),
        "duel": World("two that pull one state to opposite sides, K = 0", duel, gains(duel, sides, "zero"), sides),
        "crowd": World("twelve on one state, K = 0", crowd, gains(crowd, [Quadratic(1.0, 0.1)] * 12, "zero"), [Quadratic(1.0, 0.1)] * 12),
    }  # fmt: skip


def _run(world: World, setting: Any, step: float, w: np.ndarray) -> Any:
    learners = team(world.system, world.gains, setting, memory=MEMORY, radius=RADIUS, step_size=step)  # fmt: skip
    told = "independent" if setting == "independent" else "aggregated"
    return simulate(world.system, learners, Replay(w), world.costs, len(w), information=told, throw=False)  # fmt: skip


def _mean(found: Any) -> float:
    return float(found.cost.mean()) if found.outcome.ok else np.inf


def _cell(world: World, setting: str, etas: tuple[float, ...], records: list[np.ndarray]) -> Cell:
    costs = np.array([[_mean(_run(world, setting, eta, w)) for w in records] for eta in etas])
    best = int(np.argmin(costs.mean(1)))
    regrets, path = [], np.zeros(0)
    for w in records:
        found = _run(world, setting, etas[best], w)
        if not found.outcome.ok:
            continue
        judged = range(min(JUDGED, world.system.n_agents))
        regrets.append([regret(found, i).regret / len(w) for i in judged])
        if not len(path):
            path = found.cost.mean(1).cumsum() / np.arange(1, len(w) + 1)
    return Cell(costs, best, np.array(regrets), path)


# --- what is shown -----------------------------------------------------------------------------------


def winner(cells: dict, name: str, kind: str) -> str:
    """The setting that is better in every seed, independent or aggregated, or "draw"."""
    alone, told = (cells[name, kind, setting].tuned for setting in SETTINGS[:2])
    if np.all(alone < told * (1 - DRAW)):
        return SETTINGS[0]
    return SETTINGS[1] if np.all(told < alone * (1 - DRAW)) else "draw"


def _ratio(cells: dict, name: str, kind: str, one: int = 1, other: int = 0) -> float:
    """Cost in one setting as a share of that in another, each at its best step size."""
    above, below = cells[name, kind, SETTINGS[one]], cells[name, kind, SETTINGS[other]]
    if not np.isfinite(below.tuned).all():
        return 0.0 if np.isfinite(above.tuned).all() else float("nan")
    return float(above.tuned.mean() / below.tuned.mean())


def _panels(places: dict[str, World], cells: dict, etas: tuple[float, ...]) -> list[Panel]:
    x = [world.coupling for world in places.values()]
    worth = [
        Curve(
            online.DISTURBANCES[kind],
            x,
            [max(_ratio(cells, name, kind), 1e-2) for name in places],
            style="marks",
            colour=i,
        )
        for i, kind in enumerate(DISTURBANCES)
    ]
    worth.append(Curve("no difference", [min(x), max(x)], [1.0, 1.0], style="dotted", colour=7))
    panels = [
        Panel(
            "Being told what the others did is worth most where they matter most (each setting at its best step size)",
            "coupling: the others' static gain over one's own", "aggregated cost / independent cost", worth, True, True,
        )
    ]  # fmt: skip
    for name, world in places.items():
        curves = []
        for i, setting in enumerate(SETTINGS):
            costs = cells[name, "sinusoid", setting].costs
            seen = np.where(np.isfinite(costs).all(1)[:, None], costs, np.nan)
            style = "dashed" if i == 2 else "both"
            curves.append(
                Curve(setting, etas, seen.mean(1), seen.min(1), seen.max(1), style, colour=i)
            )
        title = f"{world.title[0].upper()}{world.title[1:]}: sinusoids; where a line ends, the run diverged"
        panels.append(Panel(title, "step size η", "mean cost of an agent and round", curves, True, True))  # fmt: skip
    return panels


def _number(value: float) -> str:
    return "diverged" if not np.isfinite(value) else f"{value:.4g}"


def _cost_table(places: dict[str, World], cells: dict, fixed: dict) -> Table:
    rows = []
    for name, world in places.items():
        for kind in DISTURBANCES:
            costs = [_number(cells[name, kind, setting].tuned.mean()) for setting in SETTINGS]
            rows.append([world.title, online.DISTURBANCES[kind], _number(fixed[name, kind].mean()), *costs, winner(cells, name, kind)])  # fmt: skip
    header = ["world", "disturbance", "fixed gains, M = 0", *SETTINGS, "winner of the first two"]
    title = f"Mean cost of an agent and round, each setting at its best step size (a win: by {DRAW:.0%} or more in every seed)"
    return Table(title, header, rows)


def _regret_table(places: dict[str, World], cells: dict) -> Table:
    rows = []
    for name, world in places.items():
        for kind in DISTURBANCES:
            found = [_regret(cells[name, kind, setting]) for setting in SETTINGS]
            rows.append([world.title, online.DISTURBANCES[kind], *(_number(r) if np.isfinite(r) else "–" for r in found)])  # fmt: skip
    header = ["world", "disturbance", *SETTINGS]
    return Table(f"Regret per round against the best DAC, mean of the first {JUDGED} agents, each setting in its own counterfactual", header, rows)  # fmt: skip


def _step_table(places: dict[str, World], cells: dict, etas: tuple[float, ...]) -> Table:
    rows = []
    for name, world in places.items():
        for setting in SETTINGS:
            row = []
            for kind in DISTURBANCES:
                cell = cells[name, kind, setting]
                fine = [
                    eta for eta, c in zip(etas, cell.costs, strict=True) if np.isfinite(c).all()
                ]
                row.append(f"{etas[cell.best]:g} / {max(fine):g}" if fine else "none")
            rows.append([world.title, setting, *row])
    header = ["world", "setting", *(online.DISTURBANCES[kind] for kind in DISTURBANCES)]
    return Table("Best step size / largest without divergence", header, rows)


def _regret(cell: Cell) -> float:
    return float(cell.regret.mean()) if cell.regret.size else float("nan")


def _claims(
    places: dict[str, World], cells: dict, fixed: dict, etas: tuple[float, ...]
) -> list[Claim]:
    pairs = [(name, kind) for name in places for kind in DISTURBANCES]
    won = {setting: [pair for pair in pairs if winner(cells, *pair) == setting] for setting in (*SETTINGS[:2], "draw")}  # fmt: skip
    lost = {setting: sum(int((~np.isfinite(cells[*pair, setting].costs)).sum()) for pair in pairs) for setting in SETTINGS}  # fmt: skip
    runs = cells[*pairs[0], SETTINGS[0]].costs.size * len(pairs)
    learned = {setting: sum(bool(cells[*p, setting].tuned.mean() < fixed[p].mean()) for p in pairs) for setting in SETTINGS}  # fmt: skip
    worth = {name: [_ratio(cells, name, kind) for kind in DISTURBANCES] for name in places}
    loose, tight = min(places, key=lambda n: places[n].coupling), max(places, key=lambda n: places[n].coupling)  # fmt: skip
    known = {name: [_ratio(cells, name, kind, 2, 1) for kind in DISTURBANCES] for name in places}
    crossed = [
        pair for pair in pairs
        if (_regret(cells[*pair, SETTINGS[0]]) - _regret(cells[*pair, SETTINGS[1]]))
        * (cells[*pair, SETTINGS[0]].tuned.mean() - cells[*pair, SETTINGS[1]].tuned.mean()) < 0
    ]  # fmt: skip

    def place(pair: tuple[str, str]) -> str:
        return f"{pair[0]} with {online.DISTURBANCES[pair[1]]}"

    return [
        Claim(
            "Neither setting is better everywhere.",
            "this project",
            bool(won[SETTINGS[0]] and won[SETTINGS[1]]),
            "; ".join(f"{setting} wins {len(found)} of {len(pairs)}" + (f" ({', '.join(place(p) for p in found)})" if found and setting != "draw" else "") for setting, found in won.items()).replace("draw wins", "undecided are") + ".",
        ),
        Claim(
            "It is worth most to be told where the others matter most, and nothing where they hardly do.",
            "this project",
            bool(np.nanmean(worth[tight]) < 0.8 and min(worth[loose]) > 1 - 0.1 and np.nanmean(worth[tight]) == min(np.nanmean(v) for v in worth.values())),
            "Aggregated cost as a share of independent cost, by disturbance: " + "; ".join(f"{', '.join(f'{v:.2f}' if v > 0 else '0 (untold, it diverges)' for v in values)} ({name}, coupling {places[name].coupling:.2g})" for name, values in worth.items()) + ".",
        ),
        Claim(
            "Told agents stay bounded at every step size; untold ones lose the larger ones.",
            "docs/notation.md",
            bool(lost[SETTINGS[1]] == 0 and lost[SETTINGS[0]] > 0),
            f"Of {runs} runs in each setting " + ", ".join(f"{n} diverge {setting}" for setting, n in lost.items()) + ". Told, the learned part acts on the true w, and nothing of it circulates.",
        ),
        Claim(
            "The third variant needs nobody's gains and costs about the same as the aggregated setting.",
            "P2, C.3",
            bool(max(max(v) for v in known.values()) < 1.1),
            "Its cost as a share of the aggregated one's: " + "; ".join(f"{min(v):.3f} to {max(v):.3f} ({name})" for name, v in known.items()) + ". With K = 0 the two are one.",
        ),
        Claim(
            "Learning beats the fixed gains in either setting wherever there is something to learn.",
            "this project",
            bool(all(cells[name, kind, s].tuned.mean() < fixed[name, kind].mean() for name in places for kind in ("sinusoid", "steps") for s in SETTINGS)),
            ", ".join(f"{setting}: {n} of {len(pairs)}" for setting, n in learned.items()) + " cells below the cost of M = 0 (independent draws included, where gains that fit leave nothing to learn).",
        ),
        Claim(
            "Regrets of different settings are not comparable: the setting with the lower regret need not be the cheaper one.",
            "this project",
            bool(crossed),
            f"In {len(crossed)} of {len(pairs)} cells the order by regret is not that by cost" + (f": {', '.join(place(p) for p in crossed)}." if crossed else "."),
        ),
    ]  # fmt: skip


def _notes() -> list[str]:
    return [
        "Every setting plays at the step size that is best for it, chosen from the same list after the fact; the list is in the settings.",
        "In the first figure a share of 0.01 marks worlds in which the untold diverge at every step size of the list.",
        "The mean is over all agents: a setting may be better for one agent and worse for another.",
        "Regret is open-loop in the independent setting and reacting in the others: the best policies are looked for in different worlds.",
        "Coupling is the largest ratio of the others' summed static gains to one's own, through the closed loop, onto the states that one pays for.",
        "An untold agent takes the others' reactions for disturbance: where loops are damped that tells it more than w does, where they are not it is fed back.",
        f"The set is ‖M^[p]‖ ≤ {RADIUS:g}, H = {MEMORY}: far outside the small gain that would keep independent learners bounded (see bounded).",
    ]


def _story(T: int, seeds: int, etas: tuple[float, ...]) -> str:
    return (
        "In P2's first setting an agent sees the state and nothing else, in the second it is also told what the others did to it, and knows their gains; in a third variant it is told, but "
        "knows no gains. Regret bounds say that the second is better by a factor N. Is it? The same learners play the same disturbances in all three, in four worlds from four neighbours who hardly "
        f"meet to twelve agents on one state, for {T} rounds and {seeds} seeds, each at the best of {len(etas)} step sizes."
    )
