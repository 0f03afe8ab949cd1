"""From a TOML file to a `Scenario`."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from phalanx._files import read_table
from phalanx._outcome import InputError
from phalanx._types import agents, array, attenuation, horizon
from phalanx.costs import MeanFieldCost
from phalanx.equilibria import RobustGame
from phalanx.scenarios._scenario import RecordedWorld, Scenario
from phalanx.scenarios._schema import DisturbanceTable, parse
from phalanx.systems import MeanFieldNoise, MeanFieldSystem


def load_toml(path: Path) -> Scenario:
    """The scenario in a TOML file; files it names are looked for beside it.

    Raises:
        InputError: one sentence, beginning with the file's name, about the first thing that is wrong.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}.")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} is not valid TOML: {error}.") from error
    try:
        return _build(content, path)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error


def _build(content: dict[str, Any], path: Path) -> Scenario:
    file = parse(content)

    def table(model: Any, *names: str) -> dict[str, Any]:
        return {
            name: _value(f"[{path_of(model)}] {name}", getattr(model, name), path) for name in names
        }

    def path_of(model: Any) -> str:
        return type(model).__name__.removesuffix("Table").lower()

    s = file.system
    system = MeanFieldSystem(**table(s, "A", "A_bar", "B", "B_bar", "D", "D_bar"))
    cost = MeanFieldCost(**table(file.cost, "Q", "Q_bar", "R", "R_bar", "Q_T", "Q_bar_T"))
    noise = MeanFieldNoise(**table(file.noise, "Sigma", "Sigma_bar", "Sigma_0", "Sigma_bar_0"))
    game = RobustGame(system, cost, noise, horizon("horizon", file.game.horizon))
    gamma = file.game.gamma
    if gamma != "auto":
        if isinstance(gamma, str | bool) or not np.isscalar(gamma):
            raise InputError(f'gamma must be a positive number or "auto", but it is {gamma!r}.')
        gamma = float(attenuation("gamma", gamma))
    m, p, q = system.state_size, system.control_size, system.disturbance_size
    recorded, disturbance = None, None
    if file.disturbance is not None:
        recorded, disturbance = _disturbance(file.disturbance, game, path)
    limits = None
    if file.limits is not None:
        limits = (_vector("low", file.limits.low, m), _vector("high", file.limits.high, m))
    return Scenario(
        name=file.name or path.stem,
        title=file.title or file.name or path.stem,
        game=game,
        n_agents=agents("agents", file.game.agents),
        gamma=gamma,
        x0=None if s.x0 is None else _vector("x0", _value("[system] x0", s.x0, path), m),
        state_names=_names("states", file.labels.states, m, "x"),
        control_names=_names("controls", file.labels.controls, p, "u"),
        disturbance_names=_names("disturbances", file.labels.disturbances, q, "d"),
        limits=limits,
        recorded=recorded,
        disturbance=disturbance,
    )


def _value(name: str, value: Any, path: Path) -> Any:
    """A matrix as written, or read from the file beside the TOML that it names."""
    if not isinstance(value, dict):
        return value
    if set(value) != {"file"} or not isinstance(value["file"], str):
        raise InputError(
            f'{name} is {value!r}; a matrix is a number, a list of rows, or {{file = "A.csv"}}.'
        )
    return read_table(path.parent / value["file"], name)


def _vector(name: str, value: Any, size: int) -> np.ndarray:
    out = array(name, value)
    if out.ndim == 2 and 1 in out.shape:
        out = out.ravel()
    if out.shape != (size,):
        raise InputError(
            f"{name} has shape {out.shape} and must have shape ({size},), one entry per state."
        )
    return out


def _names(key: str, given: list[str], size: int, letter: str) -> tuple[str, ...]:
    if given and len(given) != size:
        raise InputError(f"[labels] {key} holds {len(given)} names, but there are {size}.")
    return tuple(given) or tuple(f"{letter}{i}" for i in range(size))


_NEEDS = {
    "replay": ("file",),
    "gaussian": ("covariance",),
    "uniform": ("radius",),
    "sinusoid": ("amplitude", "period"),
    "random-walk": ("step",),
    "step": ("size",),
}


def _disturbance(
    table: DisturbanceTable, game: RobustGame, path: Path
) -> tuple[RecordedWorld | None, Any]:
    for key in _NEEDS[table.kind]:
        if getattr(table, key) is None:
            raise InputError(
                f"the key {key!r} is missing in [disturbance]; kind {table.kind!r} needs it."
            )
    if table.kind == "replay":
        return _recorded(table, game, path), None
    from phalanx import disturbances

    given = {
        key: _value(f"[disturbance] {key}", value, path)
        for key, value in table.model_dump(exclude={"kind", "file"}).items()
        if value is not None
    }
    kinds = {
        "gaussian": disturbances.Gaussian,
        "uniform": disturbances.UniformBall,
        "sinusoid": disturbances.Sinusoid,
        "random-walk": disturbances.RandomWalk,
        "step": disturbances.Step,
    }
    try:
        return None, kinds[table.kind](**given)
    except TypeError as error:
        key = str(error).rsplit("'", 2)[-2]
        raise InputError(
            f"the key {key!r} in [disturbance] does not belong to kind {table.kind!r}."
        ) from error


def _recorded(table: DisturbanceTable, game: RobustGame, path: Path) -> RecordedWorld:
    rows = read_table(path.parent / str(table.file), "[disturbance] file")
    q = game.system.disturbance_size
    if table.scope == "common":
        if rows.shape[1:] != (q,):
            raise InputError(
                f"[disturbance] file has {rows.shape[-1]} columns, but the disturbance has {q} entries."
            )
        common, own = rows, None
    elif table.scope == "idiosyncratic":
        if rows.ndim == 2 and q != 1:
            raise InputError(
                "[disturbance] file with scope idiosyncratic needs one entry per agent; give a .npy of shape (T, q, records)."
            )
        own = rows[:, None, :] if rows.ndim == 2 else rows
        common = np.zeros((len(own), q))
    else:
        raise InputError(
            '[disturbance] scope must be "common" or "idiosyncratic" for kind "replay".'
        )
    T = len(rows) if game.stationary else int(game.horizon)
    episodes = len(rows) // T
    if episodes == 0:
        raise InputError(
            f"[disturbance] file has {len(rows)} rows, but the horizon is {T}; give at least one row per stage."
        )
    used = episodes * T
    return RecordedWorld(
        common[:used], None if own is None else own[:used], episodes, str(table.file)
    )
