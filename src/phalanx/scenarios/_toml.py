"""From a TOML file to a `Scenario`."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from phalanx._files import read_table
from phalanx._outcome import InputError
from phalanx._types import agents, array, horizon
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
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the path of a TOML file.")
    if not path.is_file():
        raise InputError(f"there is no file {path}.")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise InputError(f"{path.name} is nested too deeply to be a scenario.") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path.name} is not valid TOML: {error}.") from error
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path.name} is not a readable text file.") from error
    try:
        return _build(content, path)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error


def _build(content: dict[str, Any], path: Path) -> Scenario:
    file = parse(content)
    plain = file.name.isprintable() and len(file.name) <= 100
    if not plain or file.name != Path(file.name).name or file.name == "..":
        raise InputError(
            f"name must be a plain name, because results go to a folder of that name, but it is {file.name!r}."
        )

    def table(model: Any, *names: str) -> dict[str, Any]:
        return {
            name: _value(f"[{path_of(model)}] {name}", getattr(model, name), path) for name in names
        }

    def path_of(model: Any) -> str:
        return type(model).__name__.removesuffix("Table").lower()

    s = file.system
    system = MeanFieldSystem(**table(s, "A", "A_bar", "B", "B_bar", "D", "D_bar"))
    cost = MeanFieldCost(**table(file.cost, "Q", "Q_bar", "R", "R_bar", "Q_T", "Q_bar_T"))
    m, p, q = system.state_size, system.control_size, system.disturbance_size
    x0 = _vector("x0", _value("[system] x0", s.x0, path), m) if s.x0 is not None else 0.0
    noise = MeanFieldNoise(
        **table(file.noise, "Sigma", "Sigma_bar", "Sigma_0", "Sigma_bar_0"), x0=x0
    )
    game = RobustGame(system, cost, noise, horizon("horizon", file.game.horizon))
    gamma = file.game.gamma
    if gamma not in ("auto", "saddle"):
        if isinstance(gamma, bool) or not isinstance(gamma, int | float) or not gamma > 0:
            raise InputError(
                f'gamma must be a positive number, "auto" or "saddle", but it is {gamma!r}.'
            )
        gamma = float(gamma)
    recorded, disturbance = None, None
    if file.disturbance is not None:
        recorded, disturbance = _disturbance(file.disturbance, game, path)
    limits = None
    if file.limits is not None:
        limits = _limits(file.limits.low, file.limits.high, m)
    return Scenario(
        name=file.name or path.stem,
        title=file.title or file.name or path.stem,
        story=file.story,
        notes=_unplayed(file.disturbance, recorded),
        game=game,
        n_agents=agents("agents", file.game.agents),
        gamma=gamma,
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
        for entry in [] if value is None else _entries(value):
            if isinstance(entry, bool) or not isinstance(entry, int | float):
                hint = (
                    f"; to read a file, write {{file = {value!r}}}"
                    if isinstance(value, str)
                    else ""
                )
                raise InputError(f"{name} must hold numbers only, but it holds {entry!r}{hint}.")
        return value
    if set(value) == {"diag"} and isinstance(value["diag"], list):
        return np.diag(array(name, value["diag"]))
    if set(value) != {"file"} or not isinstance(value["file"], str):
        raise InputError(
            f'{name} is {value!r}; a matrix is a number, a list of rows, or {{file = "A.csv"}}.'
        )
    return read_table(path.parent / value["file"], name)


def _entries(value: Any) -> Iterator[Any]:
    """What nested lists hold."""
    if not isinstance(value, list):
        yield value
        return
    for item in value:
        yield from _entries(item)


def _limits(low: list[float], high: list[float], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Both sides, one entry per state; infinite where a state has no limit."""
    sides = np.array(low, float), np.array(high, float)
    for name, side in zip(("low", "high"), sides, strict=True):
        if side.shape != (size,) or np.isnan(side).any():
            raise InputError(
                f"[limits] {name} must hold {size} numbers, one per state (inf: no limit), but it is {side.tolist()}."
            )
    if (sides[0] > sides[1]).any():
        k = int(np.argmax(sides[0] > sides[1]))
        raise InputError(
            f"[limits] low must not exceed high, but entry {k} of low is {low[k]} and of high {high[k]}."
        )
    return sides


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


# For each kind the keys it needs, and those it may have besides kind and scope.
_KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "replay": (("file",), ()),
    "gaussian": (("covariance",), ()),
    "uniform": (("radius",), ()),
    "sinusoid": (("amplitude", "period"), ("phase",)),
    "random-walk": (("step",), ("bound",)),
    "step": (("size",), ("at", "until")),
}


def _disturbance(
    table: DisturbanceTable, game: RobustGame, path: Path
) -> tuple[RecordedWorld | None, Any]:
    needed, allowed = _KEYS[table.kind]
    given = table.model_dump(exclude={"kind", "scope", "title"}, exclude_none=True)
    for key in given:
        if key not in (*needed, *allowed):
            raise InputError(
                f"the key {key!r} in [disturbance] does not belong to kind {table.kind!r}, which takes {_listed((*needed, *allowed))}."
            )
    for key in needed:
        if key not in given:
            raise InputError(
                f"the key {key!r} is missing in [disturbance]; kind {table.kind!r} needs it."
            )
    if table.kind == "replay":
        return _recorded(table, game, path), None
    from phalanx import disturbances

    kinds = {
        "gaussian": disturbances.Gaussian,
        "uniform": disturbances.UniformBall,
        "sinusoid": disturbances.Sinusoid,
        "random-walk": disturbances.RandomWalk,
        "step": disturbances.Step,
    }
    q = game.system.disturbance_size
    for key, value in given.items():
        name = f"[disturbance] {key}"
        given[key] = _value(name, value, path)
        fits = (q, q) if key == "covariance" else (q,)
        if (shape := array(name, given[key]).shape) not in ((), fits):
            raise InputError(
                f"{name} has shape {shape} and must be one number or have shape {fits}, as the disturbance has {q} entries."
            )
    return None, kinds[table.kind](**given, scope=table.scope)


def _recorded(table: DisturbanceTable, game: RobustGame, path: Path) -> RecordedWorld:
    rows = read_table(path.parent / str(table.file), "[disturbance] file")
    q = game.system.disturbance_size
    if table.scope == "both":
        raise InputError(
            '[disturbance] scope must be "common" or "idiosyncratic" for kind "replay", but it is "both".'
        )
    if table.scope == "common":
        rows = rows[:, None] if rows.ndim == 1 and q == 1 else rows
        fits, wanted = rows.shape[1:] == (q,), f"(T, {q})"
    else:
        rows = rows[:, None, :] if rows.ndim == 2 and q == 1 else rows
        fits, wanted = rows.ndim == 3 and rows.shape[1] == q and rows.size > 0, f"(T, {q}, records)"
    if not fits:
        raise InputError(
            f"[disturbance] file has shape {rows.shape} and must have shape {wanted} with scope {table.scope}, "
            f"as the disturbance has {q} entries."
        )
    T = len(rows) if game.stationary else int(game.horizon)
    episodes = len(rows) // max(T, 1)
    if episodes == 0:
        raise InputError(
            f"[disturbance] file has {len(rows)} rows, but the horizon is {T}; give at least one row per stage."
        )
    dropped = len(rows) - episodes * T
    rows = rows[: episodes * T]
    own = rows if table.scope == "idiosyncratic" else None
    return RecordedWorld(
        rows if own is None else np.zeros((len(rows), q)),
        own,
        episodes,
        table.title or f"the recording {table.file}",
        dropped=dropped,
    )


def _unplayed(table: DisturbanceTable | None, recorded: RecordedWorld | None) -> tuple[str, ...]:
    if table is None or recorded is None or not recorded.dropped:
        return ()
    played = len(recorded.common)
    return (
        f"{table.file} has {played + recorded.dropped} rows: {recorded.episodes} games of "
        f"{played // recorded.episodes} rounds are played, and the last {recorded.dropped} rows are not.",
    )


def _listed(words: tuple[str, ...]) -> str:
    return " and ".join(filter(None, (", ".join(map(repr, words[:-1])), repr(words[-1]))))
