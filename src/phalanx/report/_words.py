"""Sentences, made from the numbers they state.

Nothing here knows a scenario: which controller is cheaper, who keeps the promise, what binds and by
how much is worked out from the facts each time, so that no sentence can outlive its number. The
tone is that of a careful engineer speaking to the person who pays. All of it is plain text; the page
escapes it.
"""

import re
from datetime import timedelta
from typing import Any

from phalanx.report._checks import Check
from phalanx.report._facts import Facts, Row
from phalanx.report._numbers import against, listing, number, percent, plural, times

# The least difference in cost that is worth a word.
ALIKE = 5e-4
_BINDS = {
    "mean_game": "the game of the fleet's average",
    "deviation_game": "the game of the differences between agents",
    "stabilising_solution": "the stabilising solution of the endless game",
    "noise_budget": "the noise budget",
}


def status(facts: Facts, failed: int) -> tuple[str, str]:
    """A class for the badge, and its words."""
    if facts.guarantee is None:
        return "open", "No promise asked for"
    if facts.noiseless:
        return (
            ("bad", f"Certified from rest, but {plural(failed, 'check')} failed")
            if failed
            else ("good", "Certified from rest")
        )
    if not facts.viable:
        return "open", "Not certified against noise"
    if failed:
        return "bad", f"Certified, but {plural(failed, 'check')} failed"
    return "good", "Certified"


def verdict(facts: Facts, failed: int) -> str:
    """The page in one sentence or two."""
    if facts.guarantee is None:
        return f"At γ = ∞ nothing is promised about this {facts.fleet}; {_worst_cases(facts)}."
    level = f"(γ = {number(facts.gamma)})"
    trouble = (
        f" But {plural(failed, 'check')} below did not come out as computed: read them before trusting this page."
        if failed
        else ""
    )
    if facts.noiseless:
        return (
            f"Whatever disturbs this {facts.fleet}, even an opponent who knows the controller, its cost stays below {times(facts.guarantee)} "
            f"the energy of what disturbs it, plus a share of the initial state {level}; {_worst_cases(facts)}.{trouble}"
        )
    if not facts.viable:
        return (
            f"Without noise, what disturbs this {facts.fleet} can cost at most {times(facts.guarantee)} its energy, plus a share "
            f"of the initial state {level}. With noise, that is not promised: {_budget(facts)}.{trouble}"
        )
    return (
        f"Whatever disturbs this {facts.fleet}, even an opponent who knows the controller, its expected cost stays below "
        f"{times(facts.guarantee)} the energy of what disturbs it {level}; {_worst_cases(facts)}.{trouble}"
    )


def _worst_cases(facts: Facts) -> str:
    """The exact worst cases side by side."""
    own = f"the exact worst case is {times(facts.certified.gain)}"
    if not facts.others:
        return own
    rest = [f"{times(row.gain)} for {called(row.label)}" for row in facts.others]
    return f"{own}, against {listing(rest)}"


def _budget(facts: Facts) -> str:
    least = facts.levels["gamma_population"]
    if facts.slack is None or facts.value is None:
        return "the noise budget could not be computed"
    over = f"the expected cost of the worst case, {number(facts.value)}, exceeds the noise budget, {number(facts.value + facts.slack)}"
    if least is None:
        return f"{over}, and no γ would do"
    return f"{over}; the least γ that would do is {number(least)}"


def promise(facts: Facts) -> list[str]:
    """The promise in plain words, a paragraph each."""
    if facts.guarantee is None:
        return [
            "The level γ limits how strongly disturbances may show in the cost. Here it is infinite: the controller is the best one "
            "against noise alone, and its exact worst case below is whatever it happens to be."
        ]
    kept = (
        f"the fleet's expected cost stays within {number(facts.guarantee)} for every unit of it, noise included"
        if facts.viable
        else f"the fleet's cost rises by at most {number(facts.guarantee)} for every unit of it as long as there is no noise"
    )
    out = [
        f"Read γ² = {number(facts.guarantee)} as an exchange rate. The energy of a disturbance is the sum of its squares over time, per "
        "agent; the cost is the weighted sum of squares of everything that should stay small. Whatever energy the world, or an opponent, "
        f"puts in, {kept}. A smaller γ is a stronger promise."
    ]
    least = facts.levels["gamma_population"]
    who = "the mean-field limit" if facts.agents is None else plural(facts.agents, "agent")
    if least is None:
        out.append(
            "What the initial state costs comes on top: with no process noise to weigh it against, no γ, however large, can cover it."
        )
    elif least > 0 and facts.gamma is not None and facts.gamma >= least:
        out.append(
            f"The chosen γ = {number(facts.gamma)} lies {percent(facts.gamma / least - 1)} above {number(least)}, the smallest for which "
            f"any controller could make this promise to {who}. At that level itself there would be nothing to spare."
        )
    elif least > 0:
        out.append(
            f"The chosen γ = {number(facts.gamma)} lies below {number(least)}, the smallest for which any controller could make this promise to "
            f"{who} with noise."
        )
    return out


def binds(facts: Facts) -> str:
    """What binds, where, and by how much."""
    what = _BINDS.get(facts.binding, facts.binding)
    if not facts.viable and not facts.noiseless and facts.guarantee is not None:
        return f"What fails is {what}: {_budget(facts)}."
    level = facts.levels["gamma_population"] or facts.levels["gamma_saddle"]
    if not level:
        return "Nothing binds: the disturbance reaches no cost, so every level can be kept."
    if facts.noiseless:
        what = "the worst-case game itself"
    text = f"What would break first if more were asked: {what}{_at_stage(facts)}. It breaks at γ = {number(level)}."
    if facts.margin is not None and facts.guarantee is not None:
        text += (
            f" At the chosen γ the least margin is {number(facts.margin)}, {percent(facts.margin / facts.guarantee)} of γ²; "
            "at 0 there would be no answer left to the worst disturbance."
        )
    if facts.slack is not None and facts.slack > 0:
        text += f" The noise budget has {number(facts.slack)} to spare."
    return text


def _at_stage(facts: Facts) -> str:
    if facts.stage is None:
        return ""
    place = "the first" if facts.stage == 0 else "counted from 0"
    if facts.horizon is not None and facts.stage == facts.horizon - 1 and facts.stage > 0:
        place = "the last"
    when = ""
    if facts.clock.start is not None:
        start = facts.clock.start + timedelta(minutes=facts.stage * facts.clock.minutes)
        when = f", at {start:%H:%M}"
    of = "" if facts.horizon is None else f" of {facts.horizon:,}"
    return f", at stage {facts.stage:,}{of} ({place}{when})"


def keepers(facts: Facts) -> str:
    """Who keeps the promise, and who only happens to."""
    if facts.guarantee is None or not facts.others:
        return ""
    bound = number(facts.guarantee)
    also = [f"{called(row.label)} ({times(row.gain)})" for row in facts.others if row.keeps]
    broken = [f"{called(row.label)} ({times(row.gain)})" for row in facts.others if not row.keeps]
    out = []
    if also:
        verb = "stays" if len(also) == 1 else "stay"
        out.append(
            f"In the worst case {listing(also)} also {verb} within γ² = {bound}, without having been designed for it."
        )
    lower = [
        called(row.label) for row in facts.others if row.gain < facts.certified.gain * (1 - ALIKE)
    ]
    if lower:
        verb = "has" if len(lower) == 1 else "have"
        out.append(
            f"{capital(listing(lower))} {verb} a lower worst case than the certified controller."
        )
    if broken:
        verb = "breaks" if len(broken) == 1 else "break"
        out.append(f"{capital(listing(broken))} {verb} the promise of γ² = {bound}.")
    return " ".join(out)


def price(facts: Facts) -> str:
    """What the promise costs on the recorded world: who was cheaper there, and what they risk."""
    own = facts.certified
    over = f"Over {facts.where} the certified controller"
    if own.cost is None:
        return f"{over} has no result."
    cost = {row.key: row.cost for row in facts.others if row.cost is not None}
    compared = sorted((row for row in facts.others if row.key in cost), key=lambda r: cost[r.key])
    if not compared:
        return f"{over} cost {number(own.cost)}."
    cheaper = [row for row in compared if cost[row.key] < own.cost - ALIKE * abs(own.cost)]
    if not cheaper:
        best, least = compared[0], cost[compared[0].key]
        if least <= own.cost + ALIKE * abs(own.cost):
            return f"{over} cost {number(own.cost)}, and {called(best.label)} as much: nobody was cheaper."
        return (
            f"{over} was also the cheapest: {number(own.cost)}. "
            f"Next comes {called(best.label)} at {number(least)}, {against(least, own.cost)}."
        )
    names = [
        f"{called(row.label)} {number(cost[row.key])} ({against(cost[row.key], own.cost)})"
        for row in cheaper
    ]
    text = f"{over} cost {number(own.cost)}. Cheaper there: {listing(names)}."
    return " ".join(part for part in (text, _bought(facts, cheaper), _risk(cheaper, own)) if part)


def _bought(facts: Facts, cheaper: list[Row]) -> str:
    """What the higher cost bought, which is not always the promise itself."""
    if facts.guarantee is None:
        return ""
    kept = [row for row in cheaper if row.keeps]
    if not kept:
        return "The difference is the price of the promise, which they do not keep."
    names = listing([called(row.label) for row in kept])
    keep = f"Of these, {names} {'keeps' if len(kept) == 1 else 'keep'} the promise too"
    if any(row.gain <= facts.certified.gain for row in kept):
        return f"{keep}, with a worst case no higher: here the certified design does not pay."
    worst = listing([times(row.gain) for row in kept])
    return (
        f"{keep}; next to {'it' if len(kept) == 1 else 'them'} the certified design buys only a lower worst case, "
        f"{times(facts.certified.gain)} instead of {worst}."
    )


def _risk(cheaper: list[Row], own: Row) -> str:
    """What the cheaper ones pay under attack."""
    if own.attack_cost is None:
        return ""
    costs = [
        f"{called(row.label)} {against(row.attack_cost, own.attack_cost)}"
        for row in cheaper
        if row.attack_cost is not None
    ]
    if not costs:
        return ""
    return f"Each under its own worst attack, compared with the certified controller under its own, pays: {listing(costs)}."


def limits(facts: Facts, where: str, world: dict[str, Any] | None) -> str:
    """How often the certified controller leaves the limits that the linear model does not know."""
    shares = None if world is None else world.get("outside_limits")
    if not shares or not facts.limited:
        return ""
    left = [(facts.states[i], shares[i]) for i in facts.limited if shares[i]]
    if not left:
        return f"{where} the certified controller stays within all limits."
    parts = [f"{bare(name)} {percent(share)} of the time" for name, share in left]
    return (
        f"{where} the certified controller leaves the limits: {listing(parts)}, counting every agent. The linear model does not know "
        "limits; beyond them the real fleet would do something else than computed."
    )


def caveat(facts: Facts) -> str:
    """What the verdict must not hide: how far the model is left behind."""
    if facts.certified.failure:
        return f"The certified controller could not be simulated in every world: {facts.certified.failure}"
    worlds = {
        f"over {facts.where}": facts.certified.recorded,
        "under its own worst attack": facts.certified.attack,
    }
    shares = {where: worst_outside(facts, world) for where, world in worlds.items()}
    left = [f"{percent(share)} of the time {where}" for where, share in shares.items() if share]
    if not left:
        return ""
    return f"The promise is about the linear model. The simulated fleet is outside the stated limits, which the model does not know, {listing(left)}."


def worst_outside(facts: Facts, world: dict[str, Any] | None) -> float | None:
    """The largest share over the states that have limits."""
    shares = None if world is None else world.get("outside_limits")
    if not shares or not facts.limited:
        return None
    return max(shares[i] or 0.0 for i in facts.limited)


def failures(facts: Facts) -> list[str]:
    """Which controllers have no result, and why."""
    return [
        f"{row.label} has no complete result: {row.failure}" for row in facts.rows if row.failure
    ]


def checked(found: list[Check]) -> str:
    """How the checks came out."""
    applied = [check for check in found if check.holds is not None]
    held = sum(bool(check.holds) for check in applied)
    rest = len(found) - len(applied)
    text = f"{held} of {plural(len(applied), 'check')} {'holds' if held == 1 else 'hold'}"
    return text + (f"; {rest} {'does' if rest == 1 else 'do'} not apply here." if rest else ".")


def called(label: str) -> str:
    """A label inside a sentence; quoted where its own commas would confuse."""
    return f"“{label}”" if "," in label else label


def bare(name: str) -> str:
    """A label without its unit.

    Example:
        >>> bare("stored energy (kWh)")
        'stored energy'
    """
    return re.sub(r"\s*\([^()]*\)$", "", name) or name


def capital(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]
