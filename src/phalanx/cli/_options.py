"""Options that commands share, and how their words become numbers."""

import contextlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from phalanx.scenarios import LinearScenario, Scenario

ScenarioArgument = Annotated[
    str, typer.Argument(metavar="SCENARIO", help="A built-in name, or a path to TOML.")
]
GammaOption = Annotated[
    str | None,
    typer.Option(
        "--gamma", "-g", metavar="G", help="Attenuation level; auto: 1.1 × the least viable one."
    ),
]
AgentsOption = Annotated[
    str | None,
    typer.Option(
        "--agents", "-n", metavar="N", help="Number of agents; inf: the mean-field limit."
    ),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder for the results.")
]
SeedOption = Annotated[
    int, typer.Option("--seed", "-s", min=0, max=2**63 - 1, help="Seed of everything random.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="One JSON object on standard output, nothing else.")
]
Float32Option = Annotated[
    bool, typer.Option("--float32", help="Simulate in single precision: faster, fewer digits.")
]

CoresOption = Annotated[
    int | None,
    typer.Option(
        "--cores",
        metavar="C",
        min=1,
        max=8,
        help="Of the CPU; all of them, up to 8, unless said otherwise.",
    ),
]


def begin_with(cores: int | None) -> None:
    """Let learners use the cores asked for, or all; what they learn does not depend on it."""
    from phalanx._cores import use_cores
    from phalanx._outcome import InputError

    if cores is not None:
        use_cores(cores)
        return
    with contextlib.suppress(InputError):  # JAX began before the command did, and keeps its devices
        use_cores()


def gamma_of(text: str | None, world: Any) -> float | None:
    """The level asked for on the command line; None leaves the choice to the scenario."""
    from phalanx._outcome import InputError

    if text is None:
        return None
    if text in ("auto", "saddle"):
        choice: Any = text
        return choice
    gamma = number_of(text)
    if not gamma > 0:
        raise InputError(
            f'gamma must be a positive number, "auto" or "saddle", but it is {text!r}.'
        )
    return gamma


def agents_of(text: str | None) -> float | None:
    from phalanx._outcome import InputError

    if text is None:
        return None
    number = number_of(text)
    if not (number == math.inf or (number >= 1 and number.is_integer())):
        raise InputError(
            f"agents must be a whole number of at least 1, or inf for the mean-field limit, but it is {text!r}."
        )
    return number if number == math.inf else int(number)


def number_of(text: str) -> float:
    """The number that is written, or NaN."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def mean_field_world(name: str, command: str) -> "Scenario":
    """The fleet's game of that name or file, for a command that is about one."""
    from phalanx import scenario
    from phalanx._outcome import InputError
    from phalanx.scenarios import Scenario

    world = scenario(name)
    if not isinstance(world, Scenario):
        raise InputError(
            f"{world.name} is a linear world, in which every agent pays for itself, and `{command}` is for mean-field fleets; "
            f"use `phalanx play {name}`."
        )
    return world


def world_to_run(
    name: str, gamma: str | None, agents: str | None, float32: bool, rounds: int | None
) -> "Scenario | LinearScenario":
    """The world of that name or file; options that mean nothing in it are refused."""
    from phalanx import scenario
    from phalanx._outcome import InputError
    from phalanx.scenarios import LinearScenario

    world = scenario(name)
    if isinstance(world, LinearScenario):
        given = {"--gamma": gamma is not None, "--agents": agents is not None, "--float32": float32}
        for option, there in given.items():
            if there:
                raise InputError(
                    f"{option} is for mean-field fleets, and {world.name} is a linear world; leave it out."
                )
    elif rounds is not None:
        raise InputError(
            f"--rounds is for linear worlds, and {world.name} is a mean-field fleet; leave it out."
        )
    return world


def linear_world(name: str, command: str) -> "LinearScenario":
    """The linear world of that name or file, for a command that is about one."""
    from phalanx import scenario
    from phalanx._outcome import InputError
    from phalanx.scenarios import LinearScenario

    world = scenario(name)
    if not isinstance(world, LinearScenario):
        raise InputError(
            f"{world.name} is a mean-field fleet, and `{command}` is for linear worlds, in which every agent pays for itself; "
            f"use `phalanx run {name}`, or `phalanx learn {name}`."
        )
    return world
