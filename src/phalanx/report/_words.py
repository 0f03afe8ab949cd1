"""Sentences, made from the numbers they state.

Nothing here knows a scenario: which controller is cheaper, who keeps the promise, what binds and by
how much is worked out from the facts each time, so that no sentence can outlive its number. The
tone is that of a careful engineer speaking to the person who pays. All of it is plain text; the page
escapes it.
"""

import math
from datetime import timedelta

from phalanx.report._checks import Check
from phalanx.report._facts import Facts, Row
from phalanx.report._numbers import against, listing, number, percent, plural

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
    if not facts.viable:
        return (
            f"Without noise, what disturbs this {facts.fleet} can cost at most {number(facts.guarantee)} × its energy, plus a share "
            f"of the initial state {level}. With noise, that is not promised: {_budget(facts)}."
        )
    trouble = (
        f" But {plural(failed, 'check')} below did not come out as computed: read them before trusting this page."
        if failed
        else ""
    )
    return (
        f"Whatever disturbs this {facts.fleet}, even an opponent who knows the controller, its expected cost stays below "
        f"{number(facts.guarantee)} × the energy of what disturbs it {level}; {_worst_cases(facts)}.{trouble}"
    )


def _worst_cases(facts: Facts) -> str:
    """The exact worst cases side by side."""
    own = f"the exact worst case is {_gain(facts.certified.gain)}"
    if not facts.others:
        return own
    rest = [f"{_gain(row.gain)} for {row.label}" for row in facts.others]
    return f"{own}, against {listing(rest)}"


def _gain(gain: float) -> str:
    return f"{number(gain)} ×" if math.isfinite(gain) else "unbounded"


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
            "against noise alone, and nothing limits what an opponent can do."
        ]
    out = [
        f"Read γ² = {number(facts.guarantee)} as an exchange rate. The energy of a disturbance is the sum of its squares over time, per "
        "agent; the cost is the weighted sum of squares of everything that should stay small. Whatever energy the world, or an opponent, "
        f"puts in, the fleet's cost rises by at most {number(facts.guarantee)} for every unit of it. A smaller γ is a stronger promise."
    ]
    least = facts.levels["gamma_population"]
    who = "the mean-field limit" if facts.agents is None else plural(facts.agents, "agent")
    if least is None:
        out.append(
            f"For {who} no γ, however large, covers the initial state by noise, because there is no noise to weigh it against."
        )
    elif least > 0 and facts.gamma is not None and facts.gamma >= least:
        out.append(
            f"The chosen γ = {number(facts.gamma)} lies {percent(facts.gamma / least - 1)} above {number(least)}, the smallest for which "
            f"any controller of {who} could make this promise. The step in between keeps the gains moderate."
        )
    elif least > 0:
        out.append(
            f"The chosen γ = {number(facts.gamma)} lies below {number(least)}, the smallest for which any controller of {who} could make "
            "this promise when there is noise."
        )
    return out


def binds(facts: Facts) -> str:
    """What binds, where, and by how much."""
    what = _BINDS.get(facts.binding, facts.binding)
    if not facts.viable and facts.guarantee is not None:
        return f"What fails is {what}: {_budget(facts)}."
    level = facts.levels["gamma_population"] or facts.levels["gamma_saddle"]
    if not level:
        return "Nothing binds: the disturbance reaches no cost, so every level can be kept."
    text = f"What would break first if more were asked: {what}{_at_stage(facts)}. It breaks at γ = {number(level)}."
    if facts.margin is not None and facts.guarantee is not None:
        text += (
            f" At the chosen γ the least margin is {number(facts.margin)}, {percent(facts.margin / facts.guarantee)} of γ²; "
            "at 0 there would be no answer left to the worst disturbance."
        )
    if facts.slack is not None:
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
    also = [f"{row.label} ({_gain(row.gain)})" for row in facts.others if row.keeps]
    broken = [f"{row.label} ({_gain(row.gain)})" for row in facts.others if not row.keeps]
    out = []
    if also:
        verb = "also stays" if len(also) == 1 else "also stay"
        out.append(
            f"In the worst case {listing(also)} {verb} below γ² = {bound}, without having been designed for it."
        )
    if broken:
        verb = "breaks" if len(broken) == 1 else "break"
        out.append(f"{_capital(listing(broken))} {verb} the promise of γ² = {bound}.")
    return " ".join(out)


def price(facts: Facts) -> str:
    """What the promise costs on the recorded world: who was cheaper there, and what they risk."""
    own = facts.certified
    if own.cost is None:
        return f"The certified controller has no result on {facts.where}."
    compared = [row for row in facts.others if row.cost is not None]
    if not compared:
        return f"On {facts.where} the certified controller cost {number(own.cost)}."
    cheaper = [row for row in compared if _less(row.cost, own.cost)]
    if not cheaper:
        best = min(compared, key=lambda row: row.cost or 0.0)
        if not _less(own.cost, best.cost):
            return f"On {facts.where} {best.label} cost as much as the certified controller, {number(own.cost)}."
        return (
            f"On {facts.where} the certified controller was also the cheapest: {number(own.cost)}. "
            f"Next comes {best.label} at {number(best.cost)}, {against(best.cost or 0.0, own.cost)}."
        )
    cheaper.sort(key=lambda row: row.cost or 0.0)
    names = [
        f"{row.label} was cheaper at {number(row.cost)} ({against(row.cost or 0.0, own.cost)})"
        for row in cheaper
    ]
    text = f"On {facts.where} the certified controller cost {number(own.cost)}; {listing(names)}. That difference is the price of the promise."
    risks = [_risk(row, own) for row in cheaper]
    return f"{text} {' '.join(risk for risk in risks if risk)}".strip()


def _risk(row: Row, own: Row) -> str:
    if row.attack_cost is None or own.attack_cost is None:
        return ""
    return (
        f"Under its own worst attack {row.label} costs {_than(row.attack_cost, own.attack_cost)}."
    )


def _than(value: float, reference: float) -> str:
    words = against(value, reference)
    link = "as" if words == "the same" or words.endswith("as much") else "than"
    return f"{words} {link} the certified controller under its own"


def _less(value: float | None, reference: float | None) -> bool:
    if value is None or reference is None:
        return False
    return value < reference - ALIKE * abs(reference)


def limits(facts: Facts) -> list[str]:
    """How often the certified controller leaves the limits that the linear model does not know."""
    out = []
    worlds = ((facts.where, facts.certified.recorded), ("its worst attack", facts.certified.attack))
    for where, world in worlds:
        shares = world and world.get("outside_limits")
        if not shares:
            continue
        left = [(facts.states[i], shares[i]) for i in facts.limited if shares[i]]
        if not left:
            out.append(f"On {where} the certified controller stays within all limits.")
            continue
        parts = [f"{name} in {percent(share)}" for name, share in left]
        out.append(
            f"On {where} the certified controller leaves the limits ({listing(parts)} of the time, over all agents). The linear model does "
            "not know them, so there the real fleet would do something else than computed."
        )
    return out


def worst_outside(facts: Facts, world: dict | None) -> float | None:
    """The largest share over the states that have limits."""
    shares = world and world.get("outside_limits")
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


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
