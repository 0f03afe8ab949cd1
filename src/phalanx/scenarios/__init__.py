"""Scenarios: named worlds with real data, and your own from TOML."""

import difflib
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Literal, overload

from phalanx._outcome import InputError
from phalanx.scenarios._linear_scenario import LinearScenario, OnlineSettings, Output
from phalanx.scenarios._scenario import Parameter, RecordedWorld, Scenario

__all__ = [
    "LinearScenario",
    "MeanFieldName",
    "OnlineSettings",
    "Output",
    "Parameter",
    "RecordedWorld",
    "Scenario",
    "scenario",
    "scenario_names",
]


MeanFieldName = Literal["two-by-two", "battery-fleet", "battery-fleet-limits"]
LinearName = Literal["power-grid"]


def _two_by_two() -> Scenario:
    from phalanx.scenarios._mean_field_toml import build
    from phalanx.scenarios._toml import read_toml

    with resources.as_file(resources.files(__name__) / "data" / "two-by-two.toml") as path:
        return build(read_toml(path), path)


def _fleet() -> Scenario:
    from phalanx.scenarios._battery_fleet import battery_fleet

    return battery_fleet()


def _fleet_limits() -> Scenario:
    from phalanx.scenarios._battery_limits import battery_fleet_limits

    return battery_fleet_limits()


def _power_grid() -> LinearScenario:
    from phalanx.scenarios._power_grid import power_grid

    return power_grid()


_BUILT_IN: dict[str, Callable[[], Scenario | LinearScenario]] = {
    "two-by-two": _two_by_two,
    "battery-fleet": _fleet,
    "battery-fleet-limits": _fleet_limits,
    "power-grid": _power_grid,
}


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long for a file
        return False


def scenario_names() -> list[str]:
    """Names of the built-in worlds.

    Example:
        >>> scenario_names()
        ['two-by-two', 'battery-fleet', 'battery-fleet-limits', 'power-grid']
    """
    return list(_BUILT_IN)


@overload
def scenario(name: MeanFieldName) -> Scenario: ...


@overload
def scenario(name: LinearName) -> LinearScenario: ...


@overload
def scenario(name: str | Path) -> Scenario | LinearScenario: ...


def scenario(name: str | Path) -> Scenario | LinearScenario:
    """A built-in world by its name, or your own from a TOML file.

    Args:
        name: one of `scenario_names()`, or a path ending in `.toml`.

    Returns:
        `Scenario` for a mean-field game of a fleet, `LinearScenario` for one linear system with many
        selfish agents, as the file's `[system] kind` says.

    Raises:
        InputError: no such world, or a file with something wrong in it; the key is named.

    Example:
        >>> scenario("two-by-two").n_agents
        100
    """
    if str(name) in _BUILT_IN:
        return _BUILT_IN[str(name)]()
    path = Path(name)
    if path.suffix == ".toml" or _exists(path):
        from phalanx.scenarios._toml import load_toml

        return load_toml(path)
    near = difflib.get_close_matches(str(name), _BUILT_IN, n=1)
    hint = (
        f"; did you mean {near[0]!r}?"
        if near
        else f"; the built-in ones are {', '.join(_BUILT_IN)}, anything else is a path to a TOML file."
    )
    raise InputError(f"there is no scenario {str(name)!r}{hint}")
