"""From a TOML file to a scenario: which kind of world it is, its `[system] kind` says."""

import tomllib
from pathlib import Path
from typing import Any

from phalanx._outcome import InputError
from phalanx.scenarios import _linear_toml, _mean_field_toml
from phalanx.scenarios._linear_scenario import LinearScenario
from phalanx.scenarios._scenario import Scenario


def load_toml(path: Path) -> Scenario | LinearScenario:
    """The scenario in a TOML file; files it names are looked for beside it.

    Raises:
        InputError: one sentence, beginning with the file's name, about the first thing that is wrong.
    """
    content = read_toml(path)
    try:
        system = content.get("system")
        linear = isinstance(system, dict) and system.get("kind") == "linear"
        return (_linear_toml if linear else _mean_field_toml).build(content, path)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        InputError: one sentence about a file that is missing or cannot be read.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the path of a TOML file.")
    if not path.is_file():
        raise InputError(f"there is no file {path}.")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise InputError(f"{path.name} is nested too deeply to be a scenario.") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path.name} is not valid TOML: {error}.") from error
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path.name} is not a readable text file.") from error
