"""`run` in a linear world: every kind of controller on the same disturbance."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from phalanx.cli._output import number, print_json, say, share, table, warn
from phalanx.cli._pages import page_of, provenance

if TYPE_CHECKING:
    from phalanx._record import Record
    from phalanx.scenarios import LinearScenario

# What the record keeps for the page, and nobody reads on a terminal.
DRAWN = ("title", "story", "settings", "claims", "tables", "panels", "tiles")
NOT_SAID = ("Parameters",)
DIGITS = 4


def run_online(
    world: "LinearScenario",
    scenario: str,
    rounds: int | None,
    out: Path | None,
    seed: int,
    json: bool,
) -> int:
    """Play, save, draw and print."""
    from phalanx._files import folder_for_results
    from phalanx.experiments.online_run import run

    folder = Path("runs") / world.name if out is None else out
    with share(json) as advance:
        with folder_for_results(folder):
            record = run(world, rounds, seed, advance, lambda text: warn(f"warning: {text}"))
            made = provenance("run", scenario, seed, "float64")
            made["command"] += "" if rounds is None else f" --rounds {rounds}"
            record = replace(record, provenance=made)
            record.save(folder)
        page = page_of(record, folder)
    if json:
        summary = {key: value for key, value in record.summary.items() if key not in DRAWN}
        print_json(summary | {"out": str(folder), "report": str(page)})
    else:
        _say(record, world, page)
    if all(row["mean_cost"] is None for row in record.summary["controllers"]):
        warn("no controller played to the end; the record says why, one by one.")
        return 3
    return 0


def _say(record: "Record", world: "LinearScenario", page: Path) -> None:
    from phalanx.experiments._run_words import verdict

    summary = record.summary
    say(summary["title"])
    say(
        f"  {world.n_agents} agent{'s' * (world.n_agents > 1)}, {world.system.state_size} states, "
        f"{summary['rounds']:,} rounds"
    )
    say()
    for one in summary["tables"]:
        if one["title"] not in NOT_SAID:
            rows = [[number(cell, DIGITS) for cell in row] for row in one["rows"]]
            table(one["title"], one["header"], rows)
    for sentence in verdict(summary["controllers"]):
        say(sentence)
    for note in summary["notes"]:
        say(f"note: {note}")
    say(f"\nReport: {page}")
