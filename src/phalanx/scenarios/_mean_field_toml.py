"""From a scenario file of kind "mean-field" to a `Scenario`."""

from pathlib import Path
from typing import Any

import numpy as np

from phalanx._files import read_table
from phalanx._outcome import InputError
from phalanx._types import agents, horizon
from phalanx.costs import MeanFieldCost
from phalanx.equilibria import RobustGame
from phalanx.scenarios._scenario import RecordedWorld, Scenario
from phalanx.scenarios._schema import DisturbanceTable, parse
from phalanx.scenarios._tables import check_keys
from phalanx.scenarios._values import REPLAY, names, plain_name, signal, value_of, vector
from phalanx.systems import MeanFieldNoise, MeanFieldSystem


def build(content: dict[str, Any], path: Path) -> Scenario:
    """The scenario that a file's content describes.

    Args:
        content: as the TOML reader left it.
        path: of the file; files it names are looked for beside it.

    Raises:
        InputError: one sentence about the first thing that is wrong.
    """
    file = parse(content)
    name = plain_name(file.name)

    def table(model: Any, *names: str) -> dict[str, Any]:
        return {
            name: value_of(f"[{path_of(model)}] {name}", getattr(model, name), path)
            for name in names
        }

    def path_of(model: Any) -> str:
        return type(model).__name__.removesuffix("Table").lower()

    s = file.system
    system = MeanFieldSystem(**table(s, "A", "A_bar", "B", "B_bar", "D", "D_bar"))
    cost = MeanFieldCost(**table(file.cost, "Q", "Q_bar", "R", "R_bar", "Q_T", "Q_bar_T"))
    m, p, q = system.state_size, system.control_size, system.disturbance_size
    x0 = vector("x0", value_of("[system] x0", s.x0, path), m) if s.x0 is not None else 0.0
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
        name=name or path.stem,
        title=file.title or name or path.stem,
        story=file.story,
        notes=_unplayed(file.disturbance, recorded),
        game=game,
        n_agents=agents("agents", file.game.agents),
        gamma=gamma,
        state_names=names("states", file.labels.states, m, "x"),
        control_names=names("controls", file.labels.controls, p, "u"),
        disturbance_names=names("disturbances", file.labels.disturbances, q, "d"),
        limits=limits,
        recorded=recorded,
        disturbance=disturbance,
    )


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


def _disturbance(
    table: DisturbanceTable, game: RobustGame, path: Path
) -> tuple[RecordedWorld | None, Any]:
    given = table.model_dump(exclude={"kind", "scope", "title"}, exclude_none=True)
    if table.kind == "replay":
        check_keys("[disturbance]", table.kind, given, *REPLAY)
        return _recorded(table, game, path), None
    q = game.system.disturbance_size
    return None, signal(table.kind, given, q, table.scope, path)


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
