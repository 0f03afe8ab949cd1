"""`learn` and `reproduce`: the commands that may take long."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from phalanx.cli import _interrupt
from phalanx.cli._app import app
from phalanx.cli._options import (
    AgentsOption,
    CoresOption,
    Float32Option,
    GammaOption,
    JsonOption,
    OutOption,
    ScenarioArgument,
    SeedOption,
    agents_of,
    begin_with,
    gamma_of,
    mean_field_world,
    number_of,
)
from phalanx.cli._output import number, print_json, say, share, table, warn
from phalanx.cli._pages import provenance

STATE_FILE = "learner.state"


@app.command()
def learn(
    scenario: ScenarioArgument,
    method: Annotated[
        str,
        typer.Option(
            "--method", "-m", metavar="M", help="fast, rgda (P1's), e-rgda or e-ddpg (exact)."
        ),
    ] = "fast",
    gamma: GammaOption = None,
    agents: AgentsOption = None,
    iterations: Annotated[
        int | None,
        typer.Option("--iterations", "-k", metavar="K", help="Per stage (e-ddpg: in all)."),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option("--batch", "-b", metavar="N_b", help="Rollouts per gradient and player."),
    ] = None,
    step_size: Annotated[
        str | None,
        typer.Option("--step-size", metavar="η", help='A number, "auto" or "theory".'),
    ] = None,
    radius: Annotated[
        float | None,
        typer.Option("--radius-smoothing", metavar="r", help="Radius of the perturbations."),
    ] = None,
    ball: Annotated[
        float | None,
        typer.Option("--ball", metavar="D", help="Radius that each player's gains stay within."),
    ] = None,
    oracle: Annotated[
        str | None,
        typer.Option("--oracle", metavar="O", help="law, population or exact."),
    ] = None,
    sigma_y: Annotated[
        float, typer.Option("--sigma-y", metavar="S", help="Covariance of first deviations: S·I.")
    ] = 1.0,
    sigma_z: Annotated[
        float, typer.Option("--sigma-z", metavar="S", help="Covariance of first means: S·I.")
    ] = 1.0,
    antithetic: Annotated[
        bool | None,
        typer.Option(
            "--antithetic/--independent",
            help="Draw noise in pairs of opposite sign (fast: on unless said otherwise).",
        ),
    ] = None,
    identify: Annotated[
        bool,
        typer.Option(
            "--identify", help="Also fit a model to as many rollouts, for the price of having none."
        ),
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the state in the folder.")
    ] = False,
    save_every: Annotated[
        float, typer.Option("--save-every", metavar="SECONDS", help="How often the state is kept.")
    ] = 10.0,
    out: OutOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
    float32: Float32Option = False,
    cores: CoresOption = None,
) -> int:
    """Gains from costs alone. Interrupted, it keeps its state; --resume goes on to the same bits."""
    from dataclasses import replace

    from phalanx._files import folder_for_results
    from phalanx.experiments.learning import learning, learning_record, learning_summary, rival
    from phalanx.learners._method import as_method

    begin_with(cores)
    world = mean_field_world(scenario, "learn")
    settings = {
        "iterations": iterations,
        "batch": batch,
        "step_size": _step_size(step_size),
        "radius": radius,
        "ball": ball,
    }
    as_method(method, **settings)  # a wrong setting is refused before anything is written
    folder = Path("runs") / f"{world.name}-{method}" if out is None else out
    precision = "float32" if float32 else "float64"
    level, count = gamma_of(gamma, world), agents_of(agents)
    state = folder / STATE_FILE
    with folder_for_results(folder):
        with _kept(state, resume), _interrupt.deferred(), share(json) as advance:
            learned = learning(
                world,
                level,
                method,
                oracle=oracle,
                n_agents=count,
                Sigma_y=sigma_y,
                Sigma_z=sigma_z,
                antithetic=antithetic,
                precision=precision,
                key=seed,
                state=state,
                resume=resume,
                save_every=save_every,
                progress=lambda now: advance(now.done, _where(now)),
                **settings,
            )
        summary = learning_summary(world, learned)
        if identify:
            summary["identified"] = rival(world, learned, count, seed)
        made = provenance("learn", scenario, seed, precision, gamma, agents)
        made["command"] += f" --method {method}" + _words(
            settings
            | {
                "oracle": oracle,
                "sigma-y": None if sigma_y == 1 else sigma_y,
                "sigma-z": None if sigma_z == 1 else sigma_z,
            }
        )
        if antithetic is not None:
            made["command"] += " --antithetic" if antithetic else " --independent"
        record = replace(learning_record(world, learned, summary), provenance=made)
        record.save(folder)
        page = _page(record, folder)
    summary |= {"out": str(folder), "report": str(page)}
    if json:
        print_json(summary)
    else:
        _say_learned(world, summary)
    if summary["outcome"] not in ("converged", "budget_spent"):
        warn(learned.outcome.text)
        return 3
    return 0


@app.command()
def reproduce(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Of a reproduction; none: list them.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small: seconds instead of minutes.")
    ] = False,
    out: OutOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
    cores: CoresOption = None,
) -> int:
    """A figure or table of a paper, or what it leaves open: numbers, figure, verdict on each claim."""
    from phalanx._files import folder_for_results
    from phalanx.experiments.reproduce import REPRODUCTIONS, known
    from phalanx.experiments.reproduce import reproduce as make

    if name is None:
        rows = [[key, r.title, r.source, r.time] for key, r in REPRODUCTIONS.items()]
        if json:
            words = ("name", "title", "source", "time")
            print_json({"reproductions": [dict(zip(words, row, strict=True)) for row in rows]})
        else:
            table("Reproductions", ["name", "what", "source", "time in full"], rows)
        return 0
    known(name)
    begin_with(cores)
    folder = Path("runs") / f"reproduce-{name}" if out is None else out
    with share(json) as advance:
        with folder_for_results(folder):
            record = make(name, quick, seed, advance)
            record.save(folder)
        page = _page(record, folder)
    summary = record.summary
    if json:
        rest = {key: value for key, value in summary.items() if key != "panels"}
        print_json({"name": name, "quick": quick, **rest, "out": str(folder), "report": str(page)})
        return 0
    say(summary["title"])
    say(summary["story"])
    for one in summary["tables"]:
        table(one["title"], one["header"], [[_cell(cell) for cell in row] for row in one["rows"]])
    for claim in summary["claims"]:
        mark = {True: "holds", False: "does not hold", None: "undecided"}[claim["holds"]]
        say(f"- {claim['text']} ({claim['source']}): {mark}. {claim['measured']}")
    for note in summary["notes"]:
        say(f"note: {note}")
    say(f"\nReport: {page}")
    return 0


def _page(record: Any, folder: Path) -> Path:
    from phalanx.report import write

    return write(record, folder)


def _step_size(text: str | None) -> Any:
    """What `--step-size` says: a positive number, or the word for a rule."""
    from phalanx._outcome import InputError

    if text in (None, "auto", "theory"):
        return text
    step = number_of(text)
    if not step > 0:
        raise InputError(
            f'step-size must be a positive number, "auto" or "theory", but it is {text!r}.'
        )
    return step


@contextlib.contextmanager
def _kept(state: Path, resume: bool) -> Iterator[None]:
    """A learner's state file is never lost: not to a new run, not to a wrong word, not to Ctrl-C."""
    from phalanx._outcome import InputError

    aside = None if resume else _set_aside(state)
    try:
        yield
    except InputError:
        if aside is not None:  # nothing was learned, so nothing was in the way
            aside.replace(state)
        raise
    except KeyboardInterrupt:
        if state.exists():
            warn(f"the state is kept in {state}; the same command with --resume goes on.")
        raise


def _set_aside(state: Path) -> Path | None:
    """A learner that starts anew does not write over what an interrupted one left."""
    if state.exists():
        with contextlib.suppress(OSError):
            # The one before it would answer a later --resume in the new run's place.
            state.with_name(f"{state.name}.previous").unlink(missing_ok=True)
            return state.replace(state.with_name(f"{state.name}.old"))
    return None


def _where(now: Any) -> str:
    stage = "" if now.stage < 0 else f"stage {now.stage}, "
    gap = "" if now.gap is None else f", gap {now.gap:.3g}"
    return f"{stage}{now.rollouts:,} rollouts{gap}"


def _words(settings: dict[str, Any]) -> str:
    names = {"radius": "radius-smoothing", "step_size": "step-size"}
    return "".join(
        f" --{names.get(name, name)} {value}"
        for name, value in settings.items()
        if value is not None
    )


def _cell(value: Any) -> str:
    return number(value, 4)


def _say_learned(world: Any, summary: dict[str, Any]) -> None:
    say(world.title)
    say(summary["reason"])
    rows = [
        ("distance from the saddle point, all gains", "nash_gap"),
        ("the same, as costs alone tell it", "estimated_gap"),
        ("rollouts, both players'", "rollouts"),
        ("level asked for, gamma", "gamma"),
        ("level the learned controller really guarantees", "attenuation"),
    ]
    table(
        "Learned from costs",
        ["what", "value"],
        [[what, number(summary[key])] for what, key in rows],
    )
    if "identified" in summary:
        fitted = summary["identified"]
        say(
            f"A model fitted to {fitted['rollouts']} rollouts, states and inputs seen: distance {number(fitted['nash_gap'], 4)}, "
            f"level {number(fitted['attenuation'])}."
        )
    for note in summary["notes"]:
        say(f"note: {note}")
    say(f"\nReport: {summary['report']}")
