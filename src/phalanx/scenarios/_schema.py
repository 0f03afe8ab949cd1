"""The TOML of a mean-field scenario: which keys there are, and a sentence for everything else.

pydantic checks the structure (which tables, which keys, which kinds of value); shapes and signs are
checked by the nouns' own constructors, whose sentences name the same keys. Matrices stay `Any` here:
a number, nested lists, or `{file = "A.csv"}`.
"""

import difflib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phalanx._outcome import InputError

Scope = Literal["idiosyncratic", "common", "both"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class SystemTable(_Table):
    """[system]: the population's dynamics."""

    kind: Literal["mean-field"]
    A: Any
    A_bar: Any = 0.0
    B: Any
    B_bar: Any = 0.0
    D: Any = 1.0
    D_bar: Any = 0.0
    x0: Any = None


class CostTable(_Table):
    """[cost]: what the team pays."""

    Q: Any
    Q_bar: Any = None
    R: Any = 1.0
    R_bar: Any = None
    Q_T: Any = None
    Q_bar_T: Any = None


class NoiseTable(_Table):
    """[noise]: covariances."""

    Sigma: Any = 0.0
    Sigma_bar: Any = 0.0
    Sigma_0: Any = 0.0
    Sigma_bar_0: Any = 0.0


class GameTable(_Table):
    """[game]: how long, how many, how robust."""

    horizon: Any
    agents: Any = float("inf")
    gamma: Any = "auto"


class DisturbanceTable(_Table):
    """[disturbance]: what the run is tried against."""

    kind: Literal["replay", "gaussian", "uniform", "sinusoid", "random-walk", "step"]
    scope: Scope = "common"
    title: str | None = None
    file: str | None = None
    covariance: Any = None
    radius: float | int | None = None
    amplitude: Any = None
    period: float | int | None = None
    phase: float | int | None = None
    step: Any = None
    bound: float | int | None = None
    size: Any = None
    at: int | None = None
    until: int | None = None


class LabelsTable(_Table):
    """[labels]: names with units, for figures and tables."""

    states: list[str] = Field(default_factory=list)
    controls: list[str] = Field(default_factory=list)
    disturbances: list[str] = Field(default_factory=list)


class LimitsTable(_Table):
    """[limits]: what the linear model ignores and a run counts."""

    low: list[float | int]
    high: list[float | int]


class MeanFieldFile(_Table):
    """A whole scenario file of kind "mean-field"."""

    name: str = ""
    title: str = ""
    story: str = ""
    system: SystemTable
    cost: CostTable
    noise: NoiseTable = Field(default_factory=NoiseTable)
    game: GameTable
    disturbance: DisturbanceTable | None = None
    labels: LabelsTable = Field(default_factory=LabelsTable)
    limits: LimitsTable | None = None


def parse(content: dict[str, Any]) -> MeanFieldFile:
    """The file's content as typed tables.

    Raises:
        InputError: one sentence about the first key that is unknown, missing or of the wrong kind.
    """
    kind = (
        content.get("system", {}).get("kind") if isinstance(content.get("system"), dict) else None
    )
    if kind == "linear":
        raise InputError(
            '[system] kind "linear" belongs to online control, which this version does not have yet; use "mean-field".'
        )
    try:
        return MeanFieldFile.model_validate(content)
    except ValidationError as error:
        # A misspelt key is why another one is missing: say that first.
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        raise InputError(_sentence(first)) from None


_WANTED = {
    "model_type": "a table",
    "list_type": "a list",
    "string_type": "a string",
    "int_type": "a whole number",
    "float_type": "a number",
}


def _sentence(error: Any) -> str:
    *path, key = error["loc"]
    where = f" in [{'.'.join(map(str, path))}]" if path else ""
    if error["type"] == "extra_forbidden":
        known = sorted((_TABLES[path[0]] if path else MeanFieldFile).model_fields)
        return (
            f"unknown key {key!r}{where}; the nearest known key is {_nearest(str(key), known)!r}."
        )
    if error["type"] == "missing":
        what = "the table" if not path else "the key"
        name = f"[{key}]" if not path else repr(key)
        return f"{what} {name} is missing{where}."
    table, *inside = error["loc"]
    # What follows the key is a place in a list, or pydantic's name for one kind of number.
    name = "".join(f"[{part}]" if isinstance(part, int) else "" for part in inside[1:])
    if table not in _TABLES:
        name = str(table)
    else:
        name = f"[{table}]" + (f" {inside[0]}{name}" if inside else "")
    wanted = error.get("ctx", {}).get("expected") or _WANTED.get(error["type"])
    must = f"must be {wanted}, but it" if wanted else f"does not fit ({error['msg']}): it"
    return f"{name} {must} is {error['input']!r}."


def _nearest(key: str, known: list[str]) -> str:
    """The known key most like `key`; upper and lower case are alike unless that leaves a choice."""

    def likeness(candidate: str) -> tuple[float, float]:
        def ratio(a: str, b: str) -> float:
            return difflib.SequenceMatcher(None, a, b).ratio()

        return ratio(key.lower(), candidate.lower()), ratio(key, candidate)

    return max(known, key=likeness)


_TABLES: dict[str, type[BaseModel]] = {
    "system": SystemTable,
    "cost": CostTable,
    "noise": NoiseTable,
    "game": GameTable,
    "disturbance": DisturbanceTable,
    "labels": LabelsTable,
    "limits": LimitsTable,
}
