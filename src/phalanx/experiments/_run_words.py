"""What the run of a linear world says: sentences, tables and notes, all made from its numbers."""

from typing import Any

from phalanx.experiments._panels import Table
from phalanx.experiments._rivals import IDLE, Played
from phalanx.scenarios import LinearScenario

Row = dict[str, Any]
# Agents that get a column of their own; of more, the mean and the extremes are listed.
COLUMNS = 12
# A controller that moves an output so many times as far as it goes without control is pointed out.
DESTRUCTIVE = 2.0
KNOWING = "mpc-perfect"
# Whom the best is held against in words.
WITH = {IDLE.key: "without control", "lqr": "when each plays its own LQR"}


def finished(rows: list[Row]) -> list[Row]:
    """Those that played to the end."""
    return [row for row in rows if row["mean_cost"] is not None]


def best(rows: list[Row]) -> Row | None:
    """The cheapest of those who do not know the future."""
    honest = [row for row in finished(rows) if row["key"] != KNOWING]
    return min(honest, key=lambda row: row["mean_cost"]) if honest else None


def verdict(rows: list[Row]) -> list[str]:
    """How it came out, in a few sentences."""
    first = best(rows)
    if first is None:
        return ["No controller played to the end."]
    said = []
    others = [row for row in finished(rows) if row["key"] in WITH and row is not first]
    against = " and ".join(f"{_n(row['mean_cost'])} {WITH[row['key']]}" for row in others)
    against = f", against {against}" if against else ""
    said.append(
        f"Of those who do not know the future, {first['label']} did best: a round cost an agent {_n(first['mean_cost'])} "
        f"on average{against}."
    )
    for place, output in enumerate(first["outputs"]):
        if "outside" in output or not others:
            continue
        then = " and ".join(
            f"{_n(row['outputs'][place]['largest'])} {output['unit']} {WITH[row['key']]}"
            for row in others
        )
        said.append(
            f"Its largest {output['name']} was {_n(output['largest'])} {output['unit']}, against {then}."
        )
    paid = sum(agent["total_cost"] for agent in first["agents"]) / len(first["agents"])
    if first["mean_regret"] is not None and paid > 0:
        share = first["mean_regret"] / paid
        said.append(
            f"In hindsight, one fixed policy of the learners' kind would have saved each of its agents {share:.0%} of that."
            if share > 0
            else "In hindsight, no fixed policy of the learners' kind would have saved its agents anything on average."
        )
    lost = [row["label"] for row in rows if row["mean_cost"] is None]
    if lost:
        said.append(f"Without a result to the end: {', '.join(lost)}.")
    return said


def tiles(scenario: LinearScenario, rows: list[Row]) -> list[list[Any]]:
    """The numbers at the head of the page."""
    out: list[list[Any]] = [["agents", scenario.n_agents], ["states", scenario.system.state_size]]
    out.append(["rounds", scenario.rounds])
    first = best(rows)
    if first is not None:
        out.append([f"mean cost, {first['label']}", first["mean_cost"]])
    return out


def tables(scenario: LinearScenario, rows: list[Row], names: list[str]) -> list[Table]:
    """Everything that is compared, one controller a row."""
    out = [_overview(rows)]
    out.append(_by_agent("Mean cost of a round, by agent", rows, names, "mean_cost", "mean_cost"))
    out.append(
        _by_agent(
            "Regret over the run, by agent: what the best fixed DAC would have saved",
            rows,
            names,
            "regret_dac",
            "mean_regret",
        )
    )
    for place, output in enumerate(scenario.outputs):
        limited = output.low is not None or output.high is not None
        make = _outside if limited else _extremes
        out.append(make(rows, place, output))
    if scenario.parameters:
        parameters = [[p.name, p.value, p.source] for p in scenario.parameters]
        out.append(Table("Parameters", ["parameter", "value", "source"], parameters, "words"))
    return out


def _overview(rows: list[Row]) -> Table:
    header = ["controller", "mean cost", "mean regret", "rms control", "radius alone", "together"]
    keys = (
        "mean_cost",
        "mean_regret",
        "rms_control",
        "spectral_radius_own",
        "spectral_radius_joint",
    )
    cells = [
        [
            row["label"],
            *(row.get(key) for key in keys[:3]),
            *(None if row[key] is None else f"{row[key]:.4f}" for key in keys[3:]),
        ]
        for row in rows
    ]
    return Table(
        "Everyone on the same disturbance (radius: spectral, of the worst agent alone and of all together)",
        header,
        cells,
    )


def _by_agent(title: str, rows: list[Row], names: list[str], key: str, mean: str) -> Table:
    few = len(names) <= COLUMNS
    header = ["controller", "mean", *(names if few else ["least", "most"])]
    cells = []
    for row in rows:
        values = [None] * len(names) if row["agents"] is None else [a[key] for a in row["agents"]]
        known = [value for value in values if value is not None]
        ends = [min(known), max(known)] if known else [None, None]
        cells.append([row["label"], row[mean], *(values if few else ends)])
    return Table(title, header, cells)


def _extremes(rows: list[Row], place: int, output: Any) -> Table:
    header = ["controller", "lowest (nadir)", "at", "highest", "at", "largest", "rms"]
    keys = ("lowest", "lowest_at", "highest", "highest_at", "largest", "rms")
    cells = []
    for row in rows:
        found = {} if row["outputs"] is None else row["outputs"][place]
        cells.append([row["label"], *(found.get(key) for key in keys)])
    title = f"{output.name[:1].upper()}{output.name[1:]}, {output.unit}"
    return Table(title, header, cells)


def _outside(rows: list[Row], place: int, output: Any) -> Table:
    few = len(output.labels) <= COLUMNS
    header = ["controller", "any", *(output.labels if few else ["the worst"])]
    cells = []
    for row in rows:
        if row["outputs"] is None:
            cells.append([row["label"], *([None] * (len(header) - 1))])
            continue
        found = row["outputs"][place]
        each = found["outside"] if few else [max(found["outside"])]
        cells.append([row["label"], *(round(100 * v, 1) for v in (found["outside_any"], *each))])
    name = output.name[:1].upper() + output.name[1:]
    return Table(f"{name} beyond its limits, % of rounds", header, cells)


def notes(
    scenario: LinearScenario, found: list[Played], rows: list[Row], warnings: list[str]
) -> list[str]:
    """What to keep in mind."""
    out = [f"{one.rival.label}: {one.outcome.text}" for one in found if not one.finished]
    out += _destructive(rows)
    out += warnings
    radii = [row for row in rows if row["spectral_radius_joint"] is not None]
    if scenario.n_agents > 1 and radii:
        own = next((row for row in radii if row["key"] == "gpc-independent"), radii[0])
        out.append(
            "Agents who are stable one by one need not be stable together, so both were checked: the gains that the "
            f"learners stand on have spectral radius {own['spectral_radius_own']:.4f} (worst agent alone) and "
            f"{own['spectral_radius_joint']:.4f} (all together)."
        )
    online = scenario.online
    out.append(
        "Regret compares with one class for all controllers: the best fixed disturbance-action policy (DAC) around the "
        f"scenario's own gain, of memory {online.memory} and radius {online.radius:g}, which sees all that moves the state "
        "but its own control, while the others' controls are replayed as recorded. A controller outside that class may "
        "do better than its best member; its regret is then negative."
    )
    worst = [
        agent["optimality_gap"] / max(agent["best_dac_cost"], 1e-300)
        for row in finished(rows)
        for agent in row["agents"]
        if agent["optimality_gap"] is not None
    ]
    if worst:
        out.append(
            f"Costs in hindsight are proved to be at most {max(max(worst), 1e-6):.2g} of themselves above the least."
        )
    if scenario.n_agents > 1:
        out.append(
            "joint H∞ is one design for all agents together against the sum of their costs, at 1.1 times its least level; "
            "it is the one contestant that is not selfish. MPC, clairvoyant knows the disturbances to come, which nobody can."
        )
    out += [note for one in found for note in one.notes]
    return [*out, *scenario.notes]


def _destructive(rows: list[Row]) -> list[str]:
    """Controllers that do worse than nothing, however bounded they stay."""
    idle = next((row for row in finished(rows) if row["key"] == IDLE.key), None)
    if idle is None:
        return []
    said = []
    for row in finished(rows):
        for mine, still in zip(row["outputs"], idle["outputs"], strict=True):
            limited = "outside" in mine
            if limited or not mine["largest"] > DESTRUCTIVE * still["largest"] > 0:
                continue
            why = (
                " Its learners push one another, and only the ball that their policies must stay in ends it."
                if row["setting"] is not None
                else ""
            )
            said.append(
                f"{row['label']} stayed bounded but is destructive: {mine['name']} up to {_n(mine['largest'])} {mine['unit']}, "
                f"{mine['largest'] / still['largest']:.0f} times as far as without any control.{why}"
            )
    return said


def _n(value: float) -> str:
    return f"{value:.3g}"
