"""P2, Theorems 3.2 and 3.4: regret against T, in both information settings, for five kinds of disturbance."""

from typing import Any

import numpy as np

from phalanx._record import Record
from phalanx.equilibria import StabilisingGains
from phalanx.evaluation import fit_exponent
from phalanx.experiments import _online as lab
from phalanx.experiments import _three_learners as three
from phalanx.experiments._panels import Claim, Curve, Panel, Table, reproduction
from phalanx.experiments._three_learners import MEMORY, SETTINGS, Played, Size

# Memories that are too short for loops of these radii, and the disturbance that shows it best.
SHORT, SHOWN = (2, 5), "iid"
# A decade that starts before this says little about the end.
LONG = 10_000


def run(quick: bool, seed: int, progress: Any) -> Record:
    """The reproduction of regret's growth with T; see `reproduce`."""
    size = Size(3162, 3, SHORT[:1]) if quick else Size(100_000, 6, SHORT)
    system, costs, gains = three.world()
    cells = [(kind, setting, MEMORY) for setting in SETTINGS for kind in lab.DISTURBANCES]
    cells += [(SHOWN, "independent", memory) for memory in size.short]
    played = {}
    for done, cell in enumerate(cells):
        progress(done / len(cells), f"{lab.DISTURBANCES[cell[0]]}, {cell[1]}, {size.rounds} rounds")
        played[cell] = three.play(system, costs, gains, *cell, size, seed)
    progress(1.0, "done")
    main = {(kind, setting): played[kind, setting, MEMORY] for kind, setting, _ in cells}
    memories = {H: played[SHOWN, "independent", H] for H in (*size.short, MEMORY)}
    return reproduction(
        "regret-rounds",
        "Regret against the number of rounds",
        _story(size),
        _panels(size, main, memories),
        [_table(size, main), _linear_table(size, main), _memory_table(size, memories, gains)],
        _claims(size, main, memories, gains),
        {
            "A": three.A,
            "B": three.B,
            "Q": three.WEIGHTS,
            "R": 1.0,
            "gains": "LQ Nash feedback",
            "spectral radius of A − B_iK_i": [loop.spectral_radius for loop in gains.own],
            "spectral radius of A − ΣB_jK_j": gains.joint.spectral_radius,
            "W": three.BOUND,
            "memory": MEMORY,
            "radius": three.RADIUS,
            "decay": three.DECAY,
            "step_size": {"initial": three.STEP, "decay": "sqrt"},
            "rounds": size.lengths,
            "seeds": size.seeds,
            "seed": seed,
        },
        _notes(main, memories),
        {
            "exponents": {f"{kind}, {setting}": _numbers(p) for (kind, setting), p in main.items()},
            "exponents_by_memory": {str(H): _numbers(p) for H, p in memories.items()},
        },
    )


# --- what is shown -----------------------------------------------------------------------------------


def _panels(size: Size, main: dict, memories: dict) -> list[Panel]:
    T = np.array(size.lengths)

    def curve(label: str, found: Played, colour: int) -> Curve:
        mean = found.by_seed.mean(0)
        low, high = found.by_seed.min(0), found.by_seed.max(0)
        seen = [np.where(v > 0, v, np.nan) for v in (mean, low, high)]
        return Curve(label, T, *seen, style="both", colour=colour)

    def guide(level: float) -> Curve:
        return Curve("∝ √T", T, level * np.sqrt(T / T[0]), style="dotted", colour=7)

    panels = []
    for setting in SETTINGS:
        curves = [
            curve(words, main[kind, setting], i)
            for i, (kind, words) in enumerate(lab.DISTURBANCES.items())
        ]
        title = {
            "independent": "Independent setting (2.1): regret grows no faster than √T",
            "aggregated": "Aggregated setting (2.2): the same",
        }[setting]
        level = float(np.exp(np.mean([np.log(max(c.y[0], 1e-3)) for c in curves])))
        panels.append(
            Panel(
                title,
                "rounds T",
                "regret, mean of the agents",
                [*curves, guide(level)],
                True,
                True,
            )
        )
    curves = [
        Curve(
            f"H = {H}",
            T,
            found.by_seed.mean(0) / np.sqrt(T),
            found.by_seed.min(0) / np.sqrt(T),
            found.by_seed.max(0) / np.sqrt(T),
            "both",
            i,
        )
        for i, (H, found) in enumerate(memories.items())
    ]
    panels.append(
        Panel(
            "Independent draws: a memory too short leaves an error that never averages out",
            "rounds T",
            "regret / √T, independent setting",
            curves,
            True,
            True,
        )
    )
    return panels


def _table(size: Size, main: dict) -> Table:
    rows = []
    for (kind, setting), found in main.items():
        last = found.regret[:, :, -1].mean(0)
        rows.append(
            [
                lab.DISTURBANCES[kind],
                setting,
                lab.words(found.fit),
                lab.words(found.last),
                float(last.min()),
                float(last.max()),
                f"{_early(size, found):.0%}",
            ]
        )
    T = size.lengths[-1]
    header = [
        "disturbance",
        "setting",
        "exponent, all T",
        "exponent, last decade",
        f"regret at T = {T}, best-off agent",
        "worst-off agent",
        f"share paid by T = {size.lengths[-3]}",
    ]
    title = "Regret against the best DAC in hindsight: fitted exponents with 95 % intervals"
    return Table(title, header, rows)


def _early(size: Size, found: Played) -> float:
    """Share of the final regret that was there a decade before the end; √T makes it 32 %."""
    mean = found.by_seed.mean(0)
    return float(mean[-3] / mean[-1])


def _linear_table(size: Size, main: dict) -> Table:
    rows = []
    for (kind, setting), found in main.items():
        fit = fit_exponent(size.linear, found.linear)
        means = [float(v) for v in found.linear.mean(0)]
        rows.append([lab.DISTURBANCES[kind], setting, means[0], means[-1], lab.words(fit)])
    header = [
        "disturbance",
        "setting",
        f"regret at T = {size.linear[0]}",
        f"at T = {size.linear[-1]}",
        "exponent",
    ]
    return Table(
        "Agent 0 against the best linear feedback found (a lower bound of its regret)", header, rows
    )


def _memory_table(size: Size, memories: dict, gains: StabilisingGains) -> Table:
    rows = [
        [
            H,
            f"{_cut(gains, H):.2g}",
            lab.words(found.fit),
            lab.words(found.last),
            _growth(found),
            float(found.by_seed[:, -1].mean()),
        ]
        for H, found in memories.items()
    ]
    header = ["memory H", "largest ‖(A − B_iK_i)^{H+1}‖", "exponent, all T", "last decade"]
    header += ["growth over the last decade (√T: 3.16)", f"regret at T = {size.lengths[-1]}"]
    return Table("Independent draws, independent setting: memory", header, rows)


def _cut(gains: StabilisingGains, memory: int) -> float:
    """What of a state the idealised cost leaves out: the largest ‖(A − B_iK_i)^{H+1}‖."""
    loops = [np.array(three.A) - np.array(b) @ K for b, K in zip(three.B, gains.K, strict=True)]
    return max(float(np.linalg.norm(np.linalg.matrix_power(F, memory + 1), 2)) for F in loops)


def _growth(found: Played) -> float:
    """Regret at the end over that a decade earlier."""
    mean = found.by_seed.mean(0)
    return float(mean[-1] / mean[-3])


def _numbers(found: Played) -> dict[str, Any]:
    return {
        name: None if fit.nonpositive else [fit.exponent, fit.low, fit.high]
        for name, fit in (("all", found.fit), ("last_decade", found.last))
    } | {"regret": found.by_seed.mean(0)}


def _claims(size: Size, main: dict, memories: dict, gains: StabilisingGains) -> list[Claim]:
    out = []
    for setting, source in zip(SETTINGS, ("P2, Theorem 3.2", "P2, Theorem 3.4"), strict=True):
        cells = {kind: main[kind, setting] for kind in lab.DISTURBANCES}
        said = ", ".join(
            f"{lab.DISTURBANCES[kind]} {lab.words(found.fit)}" for kind, found in cells.items()
        )
        out.append(
            Claim(
                f"In the {setting} setting regret grows no faster than √T, whatever the disturbance.",
                source,
                lab.worst([lab.verdict(found.fit, 0.5) for found in cells.values()]),
                f"Exponents over T = {size.lengths[0]} to {size.lengths[-1]}, with 95 % intervals: {said}.",
            )
        )
    calm, noisy = ([_early(size, main[kind, s]) for s in SETTINGS] for kind in ("sinusoid", "iid"))
    out.append(
        Claim(
            "Where regret grows more slowly than √T, learning is a price paid once: a wave that can be predicted leaves no noise in "
            "the gradients, while independent draws go on costing noise times step size, which sums to √T (aggregated setting).",
            "this project",
            bool(calm[1] > 0.8 and noisy[1] < 0.5),
            f"Share of the final regret already there at T = {size.lengths[-3]} (√T makes it {10**-0.5:.0%}): sinusoid {calm[1]:.0%}, "
            f"independent draws {noisy[1]:.0%}. In the independent setting they are {calm[0]:.0%} and {noisy[0]:.0%}: there even a wave is not "
            "done with, because what each takes for the disturbance holds what the others are still learning.",
        )
    )
    growth = {H: _growth(found) for H, found in memories.items()}
    enough = size.lengths[-3] >= LONG
    told = ", ".join(
        f"{growth[H]:.2f} with H = {H} (which leaves out {_cut(gains, H):.2g} of a state)"
        for H in memories
    )
    out.append(
        Claim(
            "H has to grow with log T: a memory too short for the loop leaves an error in every gradient, and regret ends up linear in T.",
            "P2, Theorem 3.2 (H ≍ κ²ρ⁻¹ log T)",
            bool(growth[SHORT[0]] > 1.2 * np.sqrt(10) and growth[MEMORY] < 1.1 * np.sqrt(10))
            if enough
            else None,
            f"Regret at T = {size.lengths[-1]} over that at T = {size.lengths[-3]}, where √T gives 3.16 and T gives 10: {told}."
            + ("" if enough else " Runs this short do not tell."),
        )
    )
    return out


def _notes(main: dict, memories: dict) -> list[str]:
    x = max(found.largest[0] for found in (*main.values(), *memories.values()))
    u = max(found.largest[1] for found in (*main.values(), *memories.values()))
    return [
        "Regret is P2's: costs really paid, less those of an exact replay from round 0 under the best fixed M for that T, chosen with "
        "hindsight from the same set and certified to a millionth of the cost. Replays are open-loop in the independent setting and "
        "reacting in the aggregated one.",
        "One run serves all T: the step size η/√(t+1) does not know when the run will end. Bands are the least and greatest of the seeds.",
        "Points at different T come from the same runs, so an interval says how seeds and a straight line disagree, not how "
        "independent runs would.",
        "The adversary answers the state it sees; the replay holds what it did. A regret says nothing about what it would have done.",
        "The set does not grow with T, so the best linear feedback need not be within reach: regret against it, "
        "in the second table, may grow faster than √T where the set binds, and is far below 0 where DAC is the richer class.",
        f"Everyone learned at once and nothing was clipped: |x| stayed below {x:.2g} and |u| below {u:.2g} throughout.",
    ]


def _story(size: Size) -> str:
    return (
        "How fast does regret grow when everyone learns? Three agents push two states in three directions and pay for them unequally; "
        "each plays gradient perturbation on top of LQ Nash gains, which hold each agent's loop and all loops together. The disturbance is "
        "bounded, |w| ≤ 1, and of five kinds: independent draws from the ball, a sinusoid per state, a random walk reflected at the bound, steps "
        f"that come every {lab.JUMPS} rounds on average, and an adversary that pushes with all it has the way the state is already going. "
        f"Regret is taken at T = {size.lengths[0]} to {size.lengths[-1]} in {size.seeds} runs of each."
    )
