"""From a scenario file of kind "linear" to a `LinearScenario`."""

from pathlib import Path
from typing import Any

import numpy as np

from phalanx._files import read_table
from phalanx._outcome import InputError
from phalanx._types import LONGEST, ROUNDING, array, matrix
from phalanx.scenarios._linear_gains import own_gains
from phalanx.scenarios._linear_scenario import LinearScenario, OnlineSettings, whole
from phalanx.scenarios._linear_schema import (
    CostTable,
    DisturbanceTable,
    LinearFile,
    OnlineTable,
    parse,
)
from phalanx.scenarios._tables import check_keys
from phalanx.scenarios._values import REPLAY, names, plain_name, signal, value_of, vector
from phalanx.systems import LinearSystem

DEFAULT_ROUNDS = 1000
# For each kind of stage cost the keys it needs, and those it may have.
COSTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "quadratic": (("Q",), ("R",)),
    "tracking": (("target",), ("Q", "R")),
    "huber": ((), ("width", "weight", "control_weight")),
    "linear": (("state_price",), ("control_price",)),
}


def build(content: dict[str, Any], path: Path) -> LinearScenario:
    """The scenario that a file's content describes.

    Args:
        content: as the TOML reader left it.
        path: of the file; files it names are looked for beside it.

    Raises:
        InputError: one sentence about the first thing that is wrong.
    """
    file = parse(content)
    name = plain_name(file.name)
    system = _system(file, path)
    n, q = system.state_size, system.disturbance_size
    costs = [
        _cost(agent.cost, i, n, system.control_sizes[i], path) for i, agent in enumerate(file.agent)
    ]
    asked = [
        agent.K if isinstance(agent.K, str) else value_of(f"K of agent {i}", agent.K, path)
        for i, agent in enumerate(file.agent)
    ]
    online = _online(file.online)
    record = None
    if file.disturbance is not None and file.disturbance.kind == "replay":
        record = _record(file.disturbance, q, path)
    rounds = _rounds(file.online.rounds, record)
    x0 = file.system.x0
    agent_names = tuple(agent.name or f"agent {i}" for i, agent in enumerate(file.agent))
    return LinearScenario(
        name=name or path.stem,
        title=file.title or name or path.stem,
        story=file.story,
        system=system,
        costs=tuple(cost for cost, _ in costs),
        gains=own_gains(system, [cost for cost, _ in costs], asked),
        disturbance=_disturbance(file.disturbance, record, system, path),
        rounds=rounds,
        x0=None if x0 is None else vector("x0", value_of("[system] x0", x0, path), n),
        online=online,
        state_names=names("states", file.labels.states, n, "x"),
        agent_names=agent_names,
        control_names=names("controls", file.labels.controls, system.control_size, "u"),
        disturbance_names=names("disturbances", file.labels.disturbances, q, "w"),
        data="" if record is None else file.disturbance.title or str(file.disturbance.file),  # pyright: ignore[reportOptionalMemberAccess]
        notes=tuple(
            f"The {what} of agent {i} has {length} rows; from then on the last one stays."
            for i, (_, lengths) in enumerate(costs)
            for what, length in lengths.items()
            if 1 < length < rounds
        ),
    )


def _system(file: LinearFile, path: Path) -> LinearSystem:
    A, E = (
        array(key, value_of(f"[system] {key}", getattr(file.system, key), path)) for key in "AE"
    )
    A = A.reshape(1, 1) if A.ndim == 0 else A
    n = A.shape[-1]
    A = matrix("A", A, n, n)
    inputs = []
    for i, agent in enumerate(file.agent):
        where = f"B of agent {i}"
        B = array(where, value_of(where, agent.B, path))
        inputs.append(matrix(where, B, n, n if B.ndim == 0 else B.shape[-1] if B.ndim > 1 else 1))
    for where, value in (
        ("A", A),
        ("E", E),
        *((f"B of agent {i}", B) for i, B in enumerate(inputs)),
    ):
        if value.ndim > 2:
            raise InputError(
                f"{where} varies in time; agents who learn online know one constant {where}."
            )
    return LinearSystem(A, inputs, E)


def _cost(table: CostTable, agent: int, n: int, p: int, path: Path) -> tuple[Any, dict[str, int]]:
    """The stage cost, and how many rows those of its values have that change from round to round."""
    from phalanx import costs

    where = f"[agent.cost] of agent {agent}"
    given = table.model_dump(exclude={"kind"}, exclude_none=True)
    check_keys(where, table.kind, given, *COSTS[table.kind])
    values: dict[str, Any] = {}
    lengths: dict[str, int] = {}
    try:
        for key, value in given.items():
            values[key] = value_of(key, value, path)
            if key in ("Q", "R"):
                _check_convex(key, values[key], n if key == "Q" else p)
            elif key in ("target", "state_price", "control_price"):
                values[key] = _by_round(key, values[key], p if key == "control_price" else n)
                lengths[key] = len(values[key])
        kinds = {
            "quadratic": costs.Quadratic,
            "tracking": costs.Tracking,
            "huber": costs.Huber,
            "linear": costs.LinearStage,
        }
        return kinds[table.kind](**values), lengths
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _check_convex(name: str, value: Any, size: int) -> None:
    """xᵀQx has the Hessian Q + Qᵀ, whatever the symmetry of Q."""
    weight = matrix(name, value, size, size)
    if weight.ndim > 2:
        raise InputError(f"{name} varies in time and must be one constant matrix.")
    least = np.linalg.eigvalsh(weight + weight.T)[0] / 2
    if least < -ROUNDING * np.abs(weight).max(initial=0.0):
        raise InputError(
            f"the cost is not convex: {name} must be positive semidefinite, but its least eigenvalue is {least:.3g}."
        )


def _by_round(name: str, value: Any, size: int) -> np.ndarray:
    """(T, size), one row a round; a single row may be written as a list."""
    rows = array(name, value)
    if rows.ndim < 2:
        rows = rows.reshape(-1, 1) if size == 1 else rows.reshape(1, -1)
    if rows.ndim != 2 or rows.shape[1] != size or not len(rows):
        raise InputError(
            f"{name} has shape {np.shape(value)} and must have {size} columns and one row a round, or be one row."
        )
    return rows


def _online(table: OnlineTable) -> OnlineSettings:
    try:
        return OnlineSettings(**table.model_dump(exclude={"rounds"}, exclude_none=True))
    except InputError as error:
        raise InputError(f"[online] {error}") from error


def _rounds(value: Any, record: np.ndarray | None) -> int:
    """T: as written, or as long as the record lasts."""
    if value is None:
        return DEFAULT_ROUNDS if record is None else len(record)
    if not whole(value, LONGEST):
        raise InputError(
            f"[online] rounds must be a whole number from 1 to {LONGEST:,}, but it is {value!r}."
        )
    if record is not None and len(record) < value:
        raise InputError(
            f"[disturbance] file has {len(record)} rows, but [online] rounds is {value}; give at least one row per round, "
            "or play fewer rounds."
        )
    return int(value)


def _record(table: DisturbanceTable, q: int, path: Path) -> np.ndarray:
    given = table.model_dump(exclude={"kind", "title"}, exclude_none=True)
    check_keys("[disturbance]", table.kind, given, *REPLAY)
    rows = read_table(path.parent / str(table.file), "[disturbance] file", finite=False)
    rows = rows[:, None] if rows.ndim == 1 and q == 1 else rows
    if rows.ndim != 2 or rows.shape[1] != q or not len(rows):
        raise InputError(
            f"[disturbance] file has shape {rows.shape} and must have shape (T, {q}), one row a round, "
            f"as the disturbance has {q} entries."
        )
    bad = np.argwhere(~np.isfinite(rows))
    if len(bad):
        r, k = bad[0]
        raise InputError(
            f"[disturbance] file must be finite, but row {r} (rounds are counted from 0) holds {rows[r, k]}; "
            "replace that entry, or drop the row."
        )
    return rows


def _disturbance(
    table: DisturbanceTable | None, record: np.ndarray | None, system: LinearSystem, path: Path
) -> Any:
    if table is None:
        return None
    from phalanx import disturbances

    if record is not None:
        return disturbances.Replay(common=record)
    q = system.disturbance_size
    given = table.model_dump(exclude={"kind", "title"}, exclude_none=True)
    if table.kind != "adversary":
        return signal(table.kind, given, q, "common", path)
    check_keys("[disturbance]", table.kind, given, (), ("gain", "size"))
    if not given:
        raise InputError(
            "[disturbance] of kind 'adversary' needs 'gain' (it plays gain · x), 'size' (it pushes with that size in the "
            "worst direction), or both (with that size, in the direction of gain · x)."
        )
    gain = system.E.T @ system.A
    if "gain" in given:
        gain = matrix(
            "[disturbance] gain",
            value_of("[disturbance] gain", given["gain"], path),
            q,
            system.state_size,
        )
    if "size" not in given:
        return disturbances.LinearAdversary(np.zeros_like(gain), gain)
    size = array("[disturbance] size", value_of("[disturbance] size", given["size"], path))
    if size.ndim or size < 0:
        raise InputError(
            f"[disturbance] size must be one number that is not negative, but it is {given['size']!r}."
        )
    return disturbances.BoundedAdversary(gain, float(size))
