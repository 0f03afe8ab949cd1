"""The promise, held against what was measured.

A certificate is a computation, and computations can be wrong. Each check here compares a number of
the design with one that reached the record by another road: the exact gain of the closed loop, the
replayed episodes, Monte Carlo runs, the attack replayed on the explicit population. A check that
does not apply says why; it never counts as passed.
"""

import math
from dataclasses import dataclass

from phalanx.report._facts import Facts, Row
from phalanx.report._numbers import number, percent, plural, times

# How many standard errors a Monte Carlo mean may be off before the check fails.
SIGMAS = 3.0
# Relative difference that rounding may leave between two exact routes, by precision of the run.
ROUNDING = {"float64": 1e-6, "float32": 1e-3}


@dataclass(frozen=True)
class Check:
    """One comparison.

    Attributes:
        name: what is compared. measured: what was found. needed: what must hold.
        holds: whether it does; None where the check does not apply.
    """

    name: str
    measured: str
    needed: str
    holds: bool | None


def checks(facts: Facts) -> list[Check]:
    """All checks, in the order of the page."""
    return [
        _worst_case(facts),
        _pathwise(facts),
        _noise(facts),
        _saddle(facts),
        _saddle_others(facts),
        _replay(facts),
        _two_routes(facts),
    ]


def errors_off(row: Row) -> float | None:
    """How many standard errors the payoff against the saddle point's disturber lies above the value."""
    if row.adversary is None or row.adversary.get("value") is None:
        return None
    difference = row.adversary["payoff"] - row.adversary["value"]
    error = row.adversary["standard_error"]
    if error > 0:
        return difference / error
    return 0.0 if abs(difference) <= 1e-9 * abs(row.adversary["value"]) else math.inf * difference


def _tolerance(facts: Facts) -> float:
    return ROUNDING.get(str(facts.provenance.get("precision")), ROUNDING["float64"])


def _worst_case(facts: Facts) -> Check:
    name = "Exact worst case of the certified controller"
    if facts.guarantee is None:
        return Check(name, "γ is infinite", "no promise to hold against it", None)
    gain = facts.certified.gain
    return Check(
        name,
        times(gain),
        f"at most γ² = {number(facts.guarantee)}",
        gain <= facts.guarantee * (1 + 1e-9),
    )


def _pathwise(facts: Facts) -> Check:
    name = "Cost within its bound in every episode"
    found = facts.certified.pathwise
    if not found:
        why = "not applicable: with process noise the promise is about expectations"
        return Check(
            name, why if not facts.certified.failure else "not measured", "cost ≤ bound", None
        )
    held = sum(bool(item["holds"]) for item in found)
    shares = [item["cost"] / item["bound"] for item in found if item["bound"] > 0]
    closest = f"; at most {percent(max(shares))} of the bound is used" if shares else ""
    return Check(
        name,
        f"holds in {held} of {plural(len(found), 'episode')}{closest}",
        "cost ≤ γ² × energy + share of the initial state",
        held == len(found),
    )


def _noise(facts: Facts) -> Check:
    name = "Cost per unit of noise, measured"
    if facts.noise is None or facts.guarantee is None:
        return Check(name, "not applicable: there is no process noise or no bound", "–", None)
    low, high = facts.noise["low"], facts.noise["high"]
    measured = (
        f"{number(facts.noise['ratio'])}, 95 % interval {number(low)} to {number(high)} "
        f"({plural(facts.noise['runs'], 'run')})"
    )
    needed = f"at most γ² = {number(facts.guarantee)}"
    if not facts.viable:
        return Check(name, measured, f"{needed}; not promised at this γ", None)
    if low <= facts.guarantee < high:
        return Check(name, measured, f"{needed}; too few runs to tell", None)
    return Check(name, measured, needed, high <= facts.guarantee)


def _saddle(facts: Facts) -> Check:
    name = "Against the worst-case opponent, the certified controller earns the game's value"
    off = errors_off(facts.certified)
    payoff = facts.certified.adversary
    if off is None or payoff is None:
        return Check(name, "not applicable: played only in finite games", "payoff = value", None)
    return Check(
        name,
        f"{number(payoff['payoff'])} ± {number(payoff['standard_error'], 2)}, {abs(off):.1f} standard errors from V",
        f"within {SIGMAS:g} standard errors of V = {number(payoff['value'])}",
        abs(off) <= SIGMAS,
    )


def _saddle_others(facts: Facts) -> Check:
    name = "Against the same opponent, no other controller does better"
    offs = {row.label: off for row in facts.others if (off := errors_off(row)) is not None}
    if not offs:
        return Check(name, "not applicable: played only in finite games", "payoff ≥ value", None)
    label = min(offs, key=lambda key: offs[key])
    return Check(
        name,
        f"the nearest, {label}, is {abs(offs[label]):.1f} standard errors {'above' if offs[label] >= 0 else 'below'} the value",
        f"none more than {SIGMAS:g} standard errors below the value",
        offs[label] >= -SIGMAS,
    )


def _replay(facts: Facts) -> Check:
    name = "Worst attack: computed cost against replayed cost"
    attacks = [row.attack for row in facts.rows if row.attack is not None]
    if not attacks:
        return Check(name, "not measured", "equal up to rounding", None)
    worst = max(_difference(attack["exact"], attack["measured"]) for attack in attacks)
    return Check(
        name,
        f"largest relative difference {number(worst, 2)} over {plural(len(attacks), 'controller')}",
        f"at most {number(_tolerance(facts), 1)}",
        worst <= _tolerance(facts),
    )


def _two_routes(facts: Facts) -> Check:
    name = "Worst-case gain by two routes: bisection and singular vector"
    pairs = [
        (row.gain * row.attack["energy"], row.attack["measured"])
        for row in facts.rows
        if row.attack is not None and math.isfinite(row.gain)
    ]
    if facts.horizon is None or not pairs:
        why = "an attack of finite length stays below the gain over an endless one"
        return Check(name, f"not applicable: {why}", "equal up to rounding", None)
    worst = max(_difference(*pair) for pair in pairs)
    return Check(
        name,
        f"largest relative difference {number(worst, 2)}",
        f"at most {number(_tolerance(facts), 1)}",
        worst <= _tolerance(facts),
    )


def _difference(first: float | None, second: float | None) -> float:
    if first is None or second is None:
        return math.inf
    scale = max(abs(first), abs(second))
    return abs(first - second) / scale if scale > 0 else 0.0
