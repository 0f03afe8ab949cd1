"""`play`: many agents in one linear world, learning or not, and what they could have paid."""

from pathlib import Path
from typing import Annotated, Any

import typer

from phalanx.cli._app import app
from phalanx.cli._options import (
    JsonOption,
    OutOption,
    ScenarioArgument,
    SeedOption,
    linear_world,
    number_of,
)
from phalanx.cli._output import number, print_json, say, share, table, warn
from phalanx.cli._pages import page_of, provenance

# What the record keeps for the page, and nobody reads on a terminal.
DRAWN = ("title", "story", "settings", "claims", "tables", "panels")


@app.command()
def play(
    scenario: ScenarioArgument,
    controller: Annotated[
        str,
        typer.Option(
            "--controller",
            "-c",
            metavar="C",
            help="gpc (learns), zero, lqr, hinf, nash, mpc or mpc-perfect.",
        ),
    ] = "gpc",
    setting: Annotated[
        str | None,
        typer.Option(
            "--setting",
            metavar="S",
            help="What agents are told: independent, aggregated or aggregated-agentwise.",
        ),
    ] = None,
    rounds: Annotated[
        int | None, typer.Option("--rounds", "-t", metavar="T", help="Rounds to play.")
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option("--memory", metavar="H", help="Disturbances that a control reads, or theory."),
    ] = None,
    step_size: Annotated[
        str | None,
        typer.Option(
            "--step-size", metavar="η", help="A number, theory, or 0.1/sqrt for 0.1/√(t+1)."
        ),
    ] = None,
    radius: Annotated[
        float | None, typer.Option("--radius", metavar="a", help="Of the set |M^[p]| ≤ a (1−ρ)^p.")
    ] = None,
    decay: Annotated[
        float | None, typer.Option("--decay", metavar="ρ", help="Of the same set.")
    ] = None,
    hindsight: Annotated[
        str,
        typer.Option(
            "--hindsight", metavar="W", help="What to compare with: all, dac (quicker) or none."
        ),
    ] = "all",
    out: OutOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> int:
    """Online control by selfish agents: costs, regrets, and the distance from equilibrium."""
    from dataclasses import replace

    from phalanx._files import folder_for_results
    from phalanx.experiments.play import play as make

    world = linear_world(scenario, "play")
    settings: dict[str, Any] = {
        "rounds": rounds,
        "setting": setting,
        "memory": _memory(memory),
        "step_size": _step_size(step_size),
        "radius": radius,
        "decay": decay,
    }
    folder = Path("runs") / f"{world.name}-play-{controller}" if out is None else out
    _known(controller)
    with share(json) as advance:
        with folder_for_results(folder):
            record = make(
                world,
                controller,
                **settings,
                hindsight=hindsight,
                seed=seed,
                progress=advance,
                warn=lambda text: warn(f"warning: {text}"),
            )
            made = provenance("play", scenario, seed, "float64")
            given = settings | {"memory": memory, "step_size": step_size}
            given["hindsight"] = None if hindsight == "all" else hindsight
            made["command"] += f" --controller {controller}" + "".join(
                f" --{name.replace('_', '-')} {value}"
                for name, value in given.items()
                if value is not None
            )
            record = replace(record, provenance=made)
            record.save(folder)
        page = page_of(record, folder)
    summary = {key: value for key, value in record.summary.items() if key not in DRAWN}
    summary |= {"out": str(folder), "report": str(page)}
    if json:
        print_json(summary)
    else:
        _say_played(record.summary, page)
    if summary["outcome"] != "solved":
        warn(summary["reason"])
        return 3
    return 0


def _known(controller: str) -> None:
    """A controller's name becomes a folder's, so it is looked at first."""
    from phalanx._outcome import InputError
    from phalanx.experiments._contestants import CONTROLLERS

    if controller not in CONTROLLERS:
        raise InputError(
            f"controller must be one of {', '.join(CONTROLLERS)}, but it is {controller!r}."
        )


def _memory(text: str | None) -> Any:
    if text is None or text == "theory":
        return text
    value = number_of(text)
    return int(value) if value.is_integer() else text


def _step_size(text: str | None) -> Any:
    if text is None or text == "theory":
        return text
    if text.endswith("/sqrt"):
        return {"initial": number_of(text.removesuffix("/sqrt")), "decay": "sqrt"}
    value = number_of(text)
    return text if value != value else value


def _say_played(summary: dict[str, Any], page: Path) -> None:
    say(summary["title"])
    say(
        f"  {summary['rounds_played']:,} rounds, setting {summary['setting']}, "
        f"mean cost of a round {number(summary['mean_cost'])}, all agents"
    )
    say()
    for one in summary["tables"]:
        table(one["title"], one["header"], [[number(c, 6) for c in row] for row in one["rows"]])
    if summary["equilibrium_gap"] is not None:
        gap = summary["equilibrium_gap"]
        say(
            f"equilibrium gap: mean {number(gap['mean'])}, mean square {number(gap['mean_square'])}"
        )
    for note in summary["notes"]:
        say(f"note: {note}")
    say(f"\nReport: {page}")
