"""P2, Theorems 3.2, 3.4 and 3.5: regret against the number of agents, and what it costs that nobody leads."""

from typing import Any

import numpy as np

from phalanx._record import Record
from phalanx.evaluation import Exponent, fit_exponent
from phalanx.experiments import _crowds as crowd
from phalanx.experiments import _online as lab
from phalanx.experiments._crowds import BLIND, FAMILIES, REGIMES, Size
from phalanx.experiments._panels import Claim, Curve, Panel, Table, reproduction

# What a fitted exponent may exceed the bound's by: N − 1 others, counted as N, look steeper while N is small.
FINITE = 0.1


def run(quick: bool, seed: int, progress: Any) -> Record:
    """The reproduction of regret's growth with N; see `reproduce`."""
    size = (
        Size((1, 8, 32, 128), 500, 4, 8)
        if quick
        else Size((1, 2, 4, 8, 16, 32, 64, 128, 256), 4000, 5, 32)
    )
    steps: list[tuple] = [(regime, None) for regime in (*REGIMES, BLIND)]
    steps += [(regime, family) for family in FAMILIES for regime in REGIMES]
    found: dict = {}
    for done, (regime, family) in enumerate(steps):
        about = (
            "beside agents that push together" if family is None else f"all learn, {family.label}"
        )
        progress(done / (len(steps) + 1), f"{regime.label}, {about}")
        if family is None:
            found[regime.label, "pushed"] = crowd.beside_pushers(regime, size, seed)
        else:
            found[regime.label, family.label] = crowd.all_learn(regime, family, size, seed)
    progress(len(steps) / (len(steps) + 1), "the planner")
    planned = {family.label: crowd.planner(family, size, seed) for family in FAMILIES}
    progress(1.0, "done")
    pushed = {regime: found[regime.label, "pushed"] for regime in (*REGIMES, BLIND)}
    joint = {
        (regime, family.label): found[regime.label, family.label]
        for family in FAMILIES
        for regime in REGIMES
    }
    fits = {regime: _fit(size, values) for regime, values in pushed.items()}
    joint_fits = {key: _fit(size, values[0]) for key, values in joint.items()}
    return reproduction(
        "regret-agents",
        "Regret against the number of agents",
        _story(size),
        _panels(size, pushed, joint, planned),
        [_table(size, pushed, fits, joint, joint_fits), _price_table(size, joint, planned)],
        _claims(size, pushed, fits, joint_fits, joint, planned),
        {
            "A": crowd.A,
            "B_i": crowd.INPUT,
            "K": crowd.IDLE,
            "W": crowd.BOUND,
            "size of a pusher's control": crowd.PUSH,
            "memory": crowd.MEMORY,
            "radius": crowd.RADIUS,
            "decay": crowd.DECAY,
            "step_size": {"initial": crowd.STEP, "decay": "sqrt"},
            "agents": size.agents,
            "rounds": size.rounds,
            "seeds": size.seeds,
            "seed": seed,
        },
        _notes(size),
        {
            "regret_beside_pushers": {r.label: values.mean(0) for r, values in pushed.items()},
            "regret_all_learn": {f"{r.label}, {f}": v[0].mean(0) for (r, f), v in joint.items()},
        },
    )


def _fit(size: Size, values: np.ndarray) -> Exponent:
    kept = np.array(size.agents) >= size.first
    return fit_exponent(np.array(size.agents)[kept], values[:, kept])


def _local(size: Size, values: np.ndarray) -> float:
    """Exponent between the last two N."""
    mean, N = values.mean(0)[-2:], size.agents[-2:]
    return float(np.log(mean[1] / mean[0]) / np.log(N[1] / N[0]))


# --- what is shown -----------------------------------------------------------------------------------


def _curve(size: Size, label: str, values: np.ndarray, colour: int) -> Curve:
    label = f"{label} (≤ 0)" if values[:, -1].mean() <= 0 else label
    seen = np.where(values > 0, values, np.nan)
    return Curve(
        label, size.agents, seen.mean(0), seen.min(0), seen.max(0), style="both", colour=colour
    )


def _panels(size: Size, pushed: dict, joint: dict, planned: dict) -> list[Panel]:
    N = np.array(size.agents, dtype=float)
    tight = [_curve(size, r.label, values, i) for i, (r, values) in enumerate(pushed.items())]
    last = N >= size.first
    for i, (r, values) in enumerate(pushed.items()):
        anchor = values.mean(0)[-1] / N[-1] ** r.bound
        name = {2.0: "∝ N²", 1.0: "∝ N", 0.0: "∝ 1"}[r.bound]
        tight.append(Curve(name, N[last], anchor * N[last] ** r.bound, style="dotted", colour=i))
    panels = [
        Panel(
            "One learner beside N − 1 agents that push together: the powers of N in the bounds are reached",
            "agents N",
            "regret of the learner",
            tight,
            True,
            True,
        )
    ]
    for family in FAMILIES:
        curves = [
            _curve(size, r.label, joint[r, family.label][0], i) for i, r in enumerate(REGIMES)
        ]
        panels.append(
            Panel(
                f"All learn, jointly stable ({family.label}): regret falls with N",
                "agents N",
                "regret of an agent",
                curves,
                True,
                True,
            )
        )
    for family in FAMILIES:
        curves = [
            _curve(size, r.label, _price(joint[r, family.label][1], planned[family.label]), i)
            for i, r in enumerate(REGIMES)
            if not r.lipschitz
        ]
        title = {
            "B_i ~ 1/N": "The price of decentralisation: with B_i ~ 1/N everybody waits for somebody else to act",
            "radius ~ 1/N": "With radius ~ 1/N only the independent pay: they take each other for weather",
        }[family.label]
        panels.append(
            Panel(title, "agents N", "mean cost / least a planner can pay", curves, x_log=True)
        )
    return panels


def _price(paid: np.ndarray, planned: np.ndarray) -> np.ndarray:
    return paid / planned


def _table(size: Size, pushed: dict, fits: dict, joint: dict, joint_fits: dict) -> Table:
    rows: list[list[Any]] = []
    for r, values in pushed.items():
        rows.append(["beside pushers", r.label, r.source, f"{r.bound:g}", lab.words(fits[r])])
        rows[-1] += [float(values.mean(0)[0]), float(values.mean(0)[-1])]
    for (r, family), (values, _) in joint.items():
        rows.append([f"all learn, {family}", r.label, r.source, f"{r.bound:g}"])
        rows[-1] += [
            lab.words(joint_fits[r, family]),
            float(values.mean(0)[0]),
            float(values.mean(0)[-1]),
        ]
    header = ["family", "regime", "theorem", "bound's exponent", "fitted"]
    header += ["regret at N = 1", f"at N = {size.agents[-1]}"]
    return Table(
        f"Exponents of N, fitted from N = {size.first} on, with 95 % intervals", header, rows
    )


def _price_table(size: Size, joint: dict, planned: dict) -> Table:
    rows = []
    for family in FAMILIES:
        for r in REGIMES:
            if not r.lipschitz:
                price = _price(joint[r, family.label][1], planned[family.label]).mean(0)
                rows.append([family.label, r.setting, *(float(v) for v in price)])
    header = ["family", "setting", *(f"N = {N}" for N in size.agents)]
    return Table(
        "Price of decentralisation: mean cost over the least a planner can pay", header, rows
    )


def _claims(
    size: Size, pushed: dict, fits: dict, joint_fits: dict, joint: dict, planned: dict
) -> list[Claim]:
    out = []
    for r in REGIMES:
        fit = fits[r]
        reached = not fit.nonpositive and fit.exponent is not None and fit.exponent > r.bound - 0.25
        power = {2.0: "N²", 1.0: "N", 0.0: "a power of log N"}[r.bound]
        same = [joint_fits[r, family.label] for family in FAMILIES]
        verdicts = [lab.verdict(f, r.bound + FINITE) for f in (fit, *same)]
        out.append(
            Claim(
                f"Regret grows no faster than {power} ({r.label}).",
                f"P2, {r.source}",
                lab.worst(verdicts),
                f"Exponent {lab.words(fit)} beside agents that push together, {_local(size, pushed[r]):.3f} between the last two N; {lab.words(same[0])} and {lab.words(same[1])} "
                f"where all learn ({FAMILIES[0].label}; {FAMILIES[1].label}).",
            )
        )
        if r.bound:
            out.append(
                Claim(
                    f"The {power} is reached, so it is no artefact of the proof ({r.label}).",
                    "this project",
                    bool(reached),
                    f"Exponent {lab.words(fit)}; regret {pushed[r].mean(0)[0]:.3g} at N = {size.agents[0]}, "
                    f"{pushed[r].mean(0)[-1]:.3g} at N = {size.agents[-1]}.",
                )
            )
    blind, told = fits[BLIND], fits[REGIMES[2]]
    out.append(
        Claim(
            "Lipschitz costs alone do not take N out: it takes being told what the others do as well.",
            "this project",
            bool(
                not blind.nonpositive and blind.low > 0.5 and (told.nonpositive or told.high < 0.5)
            ),
            f"The same costs and the same pushers: exponent {lab.words(blind)} independent, {lab.words(told)} aggregated.",
        )
    )
    prices = {
        (r.setting, family.label): _price(joint[r, family.label][1], planned[family.label]).mean(0)
        for family in FAMILIES
        for r in REGIMES
        if not r.lipschitz
    }
    thin, small = (family.label for family in FAMILIES)
    falling = [bool(np.all(np.diff(prices[s, thin]) > 0)) for s in ("independent", "aggregated")]
    out.append(
        Claim(
            "Falling regret is not falling cost: where B_i ~ 1/N each agent's own best is to do next to nothing, and all pay for it.",
            "this project",
            all(falling) and prices["aggregated", thin][-1] > 1.2,
            "; ".join(
                f"{s}: mean cost over the planner's {prices[s, thin][0]:.3f} at N = 1, {prices[s, thin][-1]:.3f} at N = {size.agents[-1]}"
                for s in ("independent", "aggregated")
            )
            + ".",
        )
    )
    gap = prices["independent", small][-1] - prices["aggregated", small][-1]
    spread = (joint[REGIMES[0], small][1][:, -1] - joint[REGIMES[1], small][1][:, -1]) / planned[
        small
    ][:, -1]
    out.append(
        Claim(
            "Not being told what the others do has a price of its own.",
            "this project",
            bool(spread.min() > 0),
            f"Radius ~ 1/N, N = {size.agents[-1]}: {prices['independent', small][-1]:.3f} of the planner's cost independent, "
            f"{prices['aggregated', small][-1]:.3f} aggregated; the difference is {gap:.3f}, from {spread.min():.3f} to {spread.max():.3f} over seeds.",
        )
    )
    return out


def _notes(size: Size) -> list[str]:
    return [
        f"Fits start at N = {size.first}: the learner faces W and N − 1 others, which is no power of N while N is small. A fit counts as within a "
        f"bound up to {FINITE:g} above it; the exponent between the last two N shows where it is going.",
        "The families in which all learn satisfy the small-gain bound Σ_j |B_j| Σ_p radius (1 − decay)^p < 1 with K = 0 and a stable A, so no "
        "choice of parameters can make them unstable. The same bound keeps what others do to an agent of order 1, so that the "
        "theorems' N, which stands for N agents of undiminished reach, never comes into play: regret falls because each agent's own influence does.",
        "Beside pushers the step is η/N², η/N and η (η/N for Lipschitz costs in the independent setting), as theory scales it with the gradient; a step that does not fall with N would diverge or "
        "jump between the ends of the set.",
        "The pushers' common random sign is independent of the world's disturbance and the same in all three regimes.",
        "The planner's cost is a lower bound: it may spread a control over agents as it likes, each within the mean of their sets, and knows the disturbance's course. "
        "At N = 1 what is left above 1 is the cost of learning.",
        "Regret below 0 in the independent setting where all learn: what each takes for the disturbance changes as the others learn, and "
        "M that follows does better than any fixed one.",
        "Memory does not grow with log(NT), as P2's does; it is 3 for all N.",
    ]


def _story(size: Size) -> str:
    return (
        f"What do N agents cost each other? Over T = {size.rounds} rounds N = {size.agents[0]} to {size.agents[-1]} agents push a stable system of two states "
        "through the same input, with K = 0. The theorems bound the regret of one learner whatever the others do, so first the others do "
        "their worst: they all push the same random way, at full strength. Then everyone learns, in two families that stay jointly stable for "
        "every N: inputs that shrink like 1/N, as in a market where each is small, and sets that do. In those the sum of what all agents "
        "pay is set against what one planner would pay in hindsight: the price of decentralisation."
    )
