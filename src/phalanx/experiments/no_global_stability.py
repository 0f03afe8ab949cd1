"""The aggregated setting where Assumption 4 fails: the smallest example, and what the third variant does there."""

from typing import Any

import numpy as np

from phalanx._record import Record
from phalanx.evaluation._regret import regret
from phalanx.experiments._panels import Claim, Curve, Panel, Table, reproduction
from phalanx.experiments._two_agents import (
    PERIOD,
    RADIUS,
    SETTINGS,
    STEP,
    WORLDS,
    beside_a_stranger,
    disturbances,
    growth,
    pair,
    radius_with,
)
from phalanx.simulation import LinearTrajectory

NAMES = {"independent": "independent (2.1)", "aggregated": "aggregated (2.2)", "aggregated-agentwise": "third variant (C.3)"}  # fmt: skip
# The pair that independent learners can hold: memory 1 and this radius.
RESCUE = 0.6
MEMORIES, RADII = (1, 2, 3), (RESCUE, 1.0, 2.0)


def run(quick: bool, seed: int, progress: Any) -> Record:
    """The aggregated setting without Assumption 4; see `reproduce`."""
    T, seeds = (1200, 2) if quick else (4000, 8)
    table = disturbances(seed, seeds, T)
    worlds = {}
    for i, (name, (A, K)) in enumerate(WORLDS.items()):
        progress(0.3 * i / 3, name)
        for setting in SETTINGS:
            worlds[name, setting] = [pair(A, K, w, setting, memory=3) for w in table]
    A, K = WORLDS["Assumption 3 only"]
    progress(0.3, "the pair that falls apart")
    grid = {
        (setting, H, a): pair(A, K, table[0], setting, memory=H, radius=a)
        for setting in SETTINGS
        for H in MEMORIES
        for a in RADII
    }
    rescued = [pair(A, K, w, "independent", memory=1, radius=RESCUE) for w in table]
    progress(0.6, "one learner, and an agent that does not play what it announced")
    memories = (1, 2, 3, 6) if quick else (1, 2, 3, 4, 6, 8)
    guest = {
        (setting, H): [beside_a_stranger(w, setting, H) for w in table]
        for setting in SETTINGS
        for H in memories
    }
    progress(1.0, "done")
    return reproduction(
        "no-global-stability",
        "The aggregated setting without Assumption 4",
        STORY,
        _panels(grid, guest, memories),
        [_world_table(worlds), _grid_table(grid), _guest_table(guest, memories)],
        _claims(worlds, grid, rescued, guest, memories),
        {
            "worlds": {name: {"A": A, "K of both": K} for name, (A, K) in WORLDS.items()},
            "disturbance": f"sin(2πt/{PERIOD:g} + phase) + noise in [−0.3, 0.3]",
            "cost": "x² + u_i²",
            "step_size": STEP,
            "radius": RADIUS,
            "memory": 3,
            "rounds": T,
            "seeds": seeds,
            "seed": seed,
        },
        NOTES,
    )


def _late(run: LinearTrajectory) -> float:
    """Agent 0's mean cost over the second half; infinite where there is none."""
    return float(run.cost[len(run.cost) // 2 :, 0].mean()) if run.outcome.ok and run.cost is not None else np.inf  # fmt: skip


def _mean(runs: list[LinearTrajectory]) -> float:
    return float(np.mean([_late(r) for r in runs]))


def _claims(worlds: dict, grid: dict, rescued: list, guest: dict, memories: tuple) -> list[Claim]:
    told = [r for (setting, _, _), r in grid.items() if setting != "independent"]
    factors = [growth(r) for r in told]
    agentwise = [growth(r) for (s, _, _), r in grid.items() if s == "aggregated-agentwise"]
    M = [float(r.states[0].M[0, 0, 0]) for r in rescued]
    peak = max(np.abs(r.x).max() for r in rescued)
    late = max(np.abs(r.x[r.rounds // 2 :]).max() for r in rescued)
    inside = [x for x in np.linspace(0, 1.5, 301) if radius_with(x) < 1]
    third = {H: _mean(guest["aggregated-agentwise", H]) for H in memories}
    wrong = {H: _mean(guest["aggregated", H]) for H in memories}
    best = {H: _best(guest["aggregated-agentwise", H]) for H in memories}
    shares = {H: _regret_share(guest["aggregated-agentwise", H]) for H in memories}
    only = {s: _mean(worlds["Assumption 4 only", s]) for s in SETTINGS}
    both = {s: _mean(worlds["both assumptions", s]) for s in SETTINGS}
    far = max(memories)
    return [
        Claim(
            "The aggregated setting fails without Assumption 4: two scalar agents with A = B = 1 and K = 1.5, each stable alone (−0.5).",
            "P2, Assumption 4; the example is this project's smallest",
            bool(np.allclose(factors, 2.0, atol=1e-3)),
            f"With every memory and radius tried the state grows by {_span(factors)} a round, as the joint loop −2 says: "
            "M acts on the true w, which no state enters.",
        ),
        Claim(
            "Agent-wise stability is enough when agents are told what the others did (third variant).",
            "P2, C.3",
            not np.allclose(agentwise, 2.0, atol=1e-3),
            f"It grows by {_span(agentwise)} a round just the same: the variant mends what an agent believes, not the loop.",
        ),
        Claim(
            "Independent learners can hold the very pair that informed ones cannot: their estimates contain the state.",
            "this project",
bool(all(r.outcome.ok for r in rescued) and late < 2 and max(map(radius_with, M)) < 1),
            f"With memory 1 the joint loop is stable for M from {min(inside):.2f} to {max(inside):.2f}; learning with a = {RESCUE:g} ends at M from {min(M):.3f} to "
            f"{max(M):.3f} in all {len(rescued)} runs, after a peak of |x| = {peak:.0f}, and |x| is at most {late:.2f} in the second half. "
            f"With longer memories or a larger radius {_lost(grid)} of the other {len(MEMORIES) * len(RADII) - 1} pairs are lost.",
        ),
        Claim(
            "The third variant is right where the others' controls are bounded whatever they announced; the aggregated one is not.",
            "docs/notation.md",
            bool(all(share < 0.2 for share in shares.values()) and wrong[far] > 10 * third[far]),
            f"Beside a square wave in place of the announced −1.5x the third variant's mean cost is {third[far]:.2f} with H = {far} (best M {best[far]:.2f}; regret "
            f"{max(shares.values()):.1%} of its cost at most), the aggregated one's {wrong[far]:.3g}.",
        ),
        Claim(
            "There the aggregated setting's mistake grows with its memory, as powers of −2 do.",
            "this project",
            bool(wrong[far] > wrong[memories[0]] and wrong[far] > 10 * wrong[2]),
            "Mean cost " + ", ".join(f"{wrong[H]:.3g} (H = {H})" for H in memories) + ".",
        ),
        Claim(
            "Conversely, where only Assumption 4 holds (each alone 1.2, together 0.6) the aggregated setting is the one that works.",
            "P2, Assumption 4",
            bool(only["aggregated"] < min(only["independent"], only["aggregated-agentwise"]) / 10),
            "Mean cost " + ", ".join(f"{NAMES[s]} {_shown(only[s])}" for s in SETTINGS) + ".",
        ),
        Claim(
            "Where both hold all three work.",
            "P2, Theorems 3.2 and 3.4",
            bool(max(both.values()) < 1.0),
            "Mean cost " + ", ".join(f"{NAMES[s]} {both[s]:.3f}" for s in SETTINGS) + "; without learning "
            f"{_idle(worlds):.3f}.",
        ),
    ]  # fmt: skip


def _idle(worlds: dict) -> float:
    """What agent 0 pays in the first world when nobody learns: x' = (A − 2K) x + w."""
    A, K = WORLDS["both assumptions"]
    costs = []
    for run in worlds["both assumptions", "aggregated"]:
        x = np.zeros(len(run.w))
        for t in range(1, len(x)):
            x[t] = (A - 2 * K) * x[t - 1] + run.w[t - 1, 0]
        costs.append(np.mean((1 + K**2) * x[len(x) // 2 :] ** 2))
    return float(np.mean(costs))


def _lost(grid: dict) -> int:
    return sum(not r.outcome.ok for (s, H, a), r in grid.items() if s == "independent" and (H, a) != (1, RESCUE))  # fmt: skip


def _best(runs: list[LinearTrajectory]) -> float:
    found = [regret(r, 0, "dac", counterfactual="open-loop") for r in runs]
    return float(np.mean([f.comparator_cost / f.rounds for f in found]))


def _regret_share(runs: list[LinearTrajectory]) -> float:
    """Regret as a share of what was paid, the largest over seeds."""
    found = [regret(r, 0, "dac", counterfactual="open-loop") for r in runs]
    return max(f.regret / f.agent_cost for f in found)


def _span(values: list[float]) -> str:
    low, high = f"{min(values):.4f}", f"{max(values):.4f}"
    return low if low == high else f"{low} to {high}"


def _shown(cost: float) -> str:
    return f"{cost:.3g}" if np.isfinite(cost) else "without bound"


def _panels(grid: dict, guest: dict, memories: tuple) -> list[Panel]:
    paths = []
    for i, setting in enumerate(SETTINGS):
        x = np.abs(grid[setting, 1, RESCUE].x[:120, 0])
        size = np.maximum.accumulate(np.maximum(x, 1e-2))
        # Once it has peaked, the present size says more; averaged over a wave.
        if setting == "independent":
            size = np.sqrt(np.convolve(x**2, np.ones(int(PERIOD)) / PERIOD, "same"))
        paths.append(Curve(NAMES[setting], np.arange(len(size)), np.maximum(size, 1e-2), colour=i, style="dashed" if i == 2 else "line"))  # fmt: skip
    m = np.linspace(0, 1.5, 151)
    loops = [
        Curve(
            "independent: |λ| with M = (m)",
            m,
            [radius_with(v) for v in m],
        ),
        Curve("aggregated, third variant: 2 whatever M", m, np.full(len(m), 2.0), colour=1),
        Curve("stable below", m, np.ones(len(m)), style="dotted", colour=3),
    ]
    beside = []
    for i, setting in enumerate(SETTINGS):
        runs = np.array([[_late(r) for r in guest[setting, H]] for H in memories])
        beside.append(Curve(NAMES[setting], memories, runs.mean(1), runs.min(1), runs.max(1), "both", colour=i))  # fmt: skip
    best = [_best(guest["aggregated-agentwise", H]) for H in memories]
    beside.append(
        Curve("best M of the third variant's class", memories, best, style="dashed", colour=3)
    )
    return [
        Panel(
            "The pair with joint loop −2, memory 1: informed agents lose it, independent ones hold it",
            "t (rounds)", "size of x", paths, y_log=True,
        ),
        Panel(
            "Why: an independent agent's estimate contains the other's −1.5x, so that M closes a second loop",
            "m", "spectral radius of the joint loop", loops,
        ),
        Panel(
            "One learner beside an agent that does not play its announced K (band: seeds)",
            "memory H", "mean cost, second half", beside, y_log=True,
        ),
    ]  # fmt: skip


def _world_table(worlds: dict) -> Table:
    rows = []
    for name, (A, K) in WORLDS.items():
        for setting in SETTINGS:
            runs = worlds[name, setting]
            lost = [r for r in runs if not r.outcome.ok]
            rows.append(
                [name, NAMES[setting], abs(A - K), abs(A - 2 * K), _shown(_mean(runs)),
                 float(np.mean([growth(r) for r in lost])) if lost else None]
            )  # fmt: skip
    header = ["world", "setting of both", "|A − K|", "|A − 2K|", "mean cost, second half", "growth a round"]  # fmt: skip
    return Table("Two learners in three worlds", header, rows)


def _grid_table(grid: dict) -> Table:
    rows = []
    for H in MEMORIES:
        for a in RADII:
            rows.append([H, a, *(_fate(grid[setting, H, a]) for setting in SETTINGS)])
    return Table("The pair with joint loop −2: what becomes of it", ["H", "radius a", *NAMES.values()], rows)  # fmt: skip


def _fate(run: LinearTrajectory) -> str:
    return f"bounded, |x| ≤ {np.abs(run.x).max():.0f}" if run.outcome.ok else f"lost in round {run.rounds}"  # fmt: skip


def _guest_table(guest: dict, memories: tuple) -> Table:
    rows = [
        [H, *(_mean(guest[setting, H]) for setting in SETTINGS), _best(guest["aggregated-agentwise", H])]
        for H in memories
    ]  # fmt: skip
    return Table("Beside a stranger: mean cost in the second half", ["H", *NAMES.values(), "best M, whole run"], rows)  # fmt: skip


NOTES = [
    "The first panel shows the largest |x| so far, and for independent learners its root mean square over one wave.",
    "The best M is the best of the class that acts on the true w. Independent learners act on the stranger's square wave as well and can therefore do better.",
    "Growth is fitted over the last twenty rounds before the record ends; it ends where the state is so large that no digit of w is left in it.",
    "That Assumption 4 fails is known before the first round: `stabilising_gains` warns of the joint loop −2.",
    "What is held by independent learning is luck, not a theorem: a window of M, memory 1, and a radius that keeps M in it.",
]
STORY = (
    "In the aggregated setting (P2, 2.2) agents recover the true disturbance and reckon with everybody's announced feedback, A − Σ_j B_jK_j, which must be "
    "stable (Assumption 4). P2's C.3 discusses a third variant with agent-wise stability only: the true w, powers of A − B_iK_i, the others' controls taken as "
    "known inputs. Two scalar agents suffice to see where each fails: both learn, in worlds where both assumptions hold or only one; and one learns beside "
    "an agent that announced a feedback and plays a bounded signal instead."
)
