"""The commands. Each imports what it needs when it is called, so that `--help` answers at once."""

from pathlib import Path
from typing import Annotated, Any

import typer

import phalanx
from phalanx.cli._options import (
    AgentsOption,
    Float32Option,
    GammaOption,
    JsonOption,
    OutOption,
    ScenarioArgument,
    SeedOption,
    agents_of,
    gamma_of,
    mean_field_world,
    world_to_run,
)
from phalanx.cli._output import number, print_json, progress, say, table, warn
from phalanx.cli._pages import page_of, provenance

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Design, certify and try controllers for fleets that hold when the world pushes back.",
    epilog="SCENARIO is a built-in name (see `phalanx scenarios`) or a path to a TOML file.",
)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"phalanx {phalanx.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Say the version and stop."
        ),
    ] = False,
) -> None:
    """Options of the program itself."""


@app.command()
def scenarios(out: OutOption = None, seed: SeedOption = 0, json: JsonOption = False) -> None:
    """List the worlds: agents, state size, data, licence."""
    from phalanx._files import writable_folder
    from phalanx._record import Record

    rows = [_scenario_row(phalanx.scenario(name)) for name in phalanx.scenario_names()]
    if out is not None:
        Record("scenarios", "scenarios", {"scenarios": rows}).save(writable_folder(out))
    if json:
        print_json({"scenarios": rows})
        return
    header = ["name", "agents", "state", "control", "horizon", "data", "licence"]
    table(
        "Worlds",
        header,
        [[number(row[key]) if row[key] is not None else "∞" for key in header] for row in rows],
    )


@app.command()
def design(
    scenario: ScenarioArgument,
    gamma: GammaOption = None,
    agents: AgentsOption = None,
    out: OutOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
    float32: Float32Option = False,
) -> int:
    """Attenuation levels, gains and certificate, always in float64."""
    from phalanx._files import writable_folder
    from phalanx._record import Record
    from phalanx.experiments.design import design as make
    from phalanx.experiments.design import design_summary

    world = mean_field_world(scenario, "design")
    certificate = make(world, gamma_of(gamma, world), agents_of(agents))
    summary = {"scenario": world.name, **design_summary(certificate)}
    if certificate.outcome.ok and out is not None:
        made = provenance("design", scenario, seed, "float64", gamma, agents)
        Record("design", world.name, summary, None, made).save(writable_folder(out))
    if json:
        print_json(summary)
    else:
        _say_design(world, summary)
    if not certificate.outcome.ok:
        warn(certificate.outcome.text)
        return 3
    return 0


@app.command()
def run(
    scenario: ScenarioArgument,
    gamma: GammaOption = None,
    agents: AgentsOption = None,
    out: OutOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
    float32: Float32Option = False,
    rounds: Annotated[
        int | None,
        typer.Option("--rounds", "-t", metavar="T", help="Rounds to play, in a linear world."),
    ] = None,
) -> int:
    """The main job, end to end: design, certify, simulate on the data and under attack, report.

    In a linear world: play every kind of controller on the same disturbance, compare, report.
    """
    from dataclasses import replace

    from phalanx._files import folder_for_results
    from phalanx.experiments import fleet
    from phalanx.scenarios import LinearScenario

    world = world_to_run(scenario, gamma, agents, float32, rounds)
    if isinstance(world, LinearScenario):
        from phalanx.cli._online_run import run_online

        return run_online(world, scenario, rounds, out, seed, json)
    level, count = gamma_of(gamma, world), agents_of(agents)
    precision = "float32" if float32 else "float64"
    folder = Path("runs") / world.name if out is None else out
    with progress(json, fleet.STEPS + 1) as advance:
        # Nothing is written for a question without an answer, and nothing is computed for no folder.
        certificate = fleet.certified(world, level, count)
        with folder_for_results(folder):
            record = fleet.run(world, level, count, seed, precision, advance, certificate)
            record = replace(
                record, provenance=provenance("run", scenario, seed, precision, gamma, agents)
            )
            record.save(folder)
        advance("report")
        page = page_of(record, folder)
    if json:
        print_json(
            {
                "scenario": world.name,
                **record.summary["design"],
                **_results(record.summary),
                "out": str(folder),
                "report": str(page),
            }
        )
    else:
        _say_design(world, record.summary["design"])
        _say_results(record.summary)
        for note in record.summary["notes"]:
            say(f"note: {note}")
        say(f"\nReport: {page}")
    return 0


@app.command()
def report(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="A folder that `phalanx run`, `learn`, `play` or `reproduce` wrote."
        ),
    ],
    out: OutOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> int:
    """Rebuild the page from a saved record."""
    from phalanx._files import writable_folder
    from phalanx._outcome import InputError
    from phalanx._record import Record

    record = Record.load(folder)
    if record.kind not in ("fleet", "learn", "online-run", "play", "reproduction"):
        raise InputError(
            f"{folder} holds a record of kind {record.kind!r}; a page is made from what `phalanx run`, `learn`, "
            "`play` or `reproduce` wrote."
        )
    page = page_of(record, writable_folder(folder if out is None else out))
    if json:
        print_json({"scenario": record.name, "report": str(page)})
    else:
        say(f"Report: {page}")
    return 0


def _scenario_row(world: Any) -> dict[str, Any]:
    from phalanx.scenarios import LinearScenario

    linear = isinstance(world, LinearScenario)
    system = world.system if linear else world.game.system
    return {
        "name": world.name,
        "kind": "linear" if linear else "mean-field",
        "agents": world.n_agents,
        "state": system.state_size,
        "control": system.control_size,
        "horizon": world.rounds if linear else world.game.horizon,
        "data": world.data or "none",
        "licence": world.licence or "–",
        "title": world.title,
    }


def _results(summary: dict[str, Any]) -> dict[str, Any]:
    return {
        key: summary[key] for key in ("guarantee", "controllers", "noise_gain", "attack_energy")
    }


def _say_design(world: Any, summary: dict[str, Any]) -> None:
    game = world.game
    horizon = "stationary" if game.stationary else f"{game.horizon} stages"
    say(f"{world.title}")
    sizes = (
        (number(float(summary["n_agents"]), 10), "agent"),
        (str(game.system.state_size), "state"),
        (str(game.system.control_size), "control"),
    )
    counts = ", ".join(f"{count} {what}{'' if count == '1' else 's'}" for count, what in sizes)
    say(f"  {counts}, {horizon}")
    say()
    rows = [
        ("saddle point exists from", "gamma_saddle"),
        ("mean-field limit", "gamma_mean_field"),
        ("exact for this many agents", "gamma_population"),
        ("Theorem 3 of Zaman et al. (a condition, no guarantee)", "gamma_theorem3"),
    ]
    table(
        "Least attenuation levels",
        ["condition", "gamma"],
        [[label, number(summary[key], 9)] for label, key in rows],
    )
    if summary["value"] is not None:  # otherwise the same sentence follows as the error
        say(summary["reason"])
    stage = "" if summary["stage"] is None else f" at stage {summary['stage']}"
    say(
        f"binding: {summary['binding']}{stage}; least margin {number(summary['margin'])}; value {number(summary['value'])}"
    )
    for note in summary["notes"]:
        say(f"note: {note}")
    for name in ("K1", "L1"):
        if summary[name] is not None:
            gain = summary[name]
            first = gain if game.stationary else gain[0]
            say(f"{name}{'' if game.stationary else '[0]'} =")
            for row in first:
                say("  [" + ", ".join(f"{entry: .6f}" for entry in row) + "]")


def _say_results(summary: dict[str, Any]) -> None:
    say()
    names = summary["scenario"]["state_names"]
    key = summary["scenario"]["key_state"]
    rows = []
    for row in summary["controllers"]:
        recorded, attack = row.get("recorded"), row.get("attack")
        rows.append(
            [
                row["label"],
                number(row["worst_gain"], 5),
                "yes" if row["keeps_promise"] else "no",
                "diverged" if recorded is None else number(recorded["cost"], 5),
                "–" if recorded is None else number(float(recorded["rms_mean"][key]), 4),
                "–" if attack is None else number(attack["measured"], 5),
            ]
        )
    header = [
        "controller",
        "worst gain",
        f"≤ γ² = {number(summary['guarantee'], 5)}?",
        "cost, recorded" if summary["scenario"]["recorded"] else "cost, simulated",
        f"rms {names[key]}",
        "cost, attacked",
    ]
    table("Against the others", header, rows)
