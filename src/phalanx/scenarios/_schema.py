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
        raise InputError(_sentence(error.errors()[0])) from None


def _sentence(error: Any) -> str:
    *path, key = error["loc"]
    where = f" in [{'.'.join(map(str, path))}]" if path else ""
    if error["type"] == "extra_forbidden":
        table = _table(path)
        known = sorted(table.model_fields)
        near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)
        return f"unknown key {key!r}{where}; the nearest known key is {near[0]!r}."
    if error["type"] == "missing":
        what = "the table" if not path else "the key"
        name = f"[{key}]" if not path else repr(key)
        return f"{what} {name} is missing{where}."
    expected = error.get("ctx", {}).get("expected")
    must = f"must be {expected}" if expected else error["msg"][0].lower() + error["msg"][1:]
    return (
        f"{key}{where} is {error['input']!r}: it {must}."
        if expected
        else f"{key}{where} is {error['input']!r}: {must}."
    )


def _table(path: list[Any]) -> type[BaseModel]:
    tables: dict[str, type[BaseModel]] = {
        "system": SystemTable,
        "cost": CostTable,
        "noise": NoiseTable,
        "game": GameTable,
        "disturbance": DisturbanceTable,
        "labels": LabelsTable,
        "limits": LimitsTable,
    }
    return tables[path[0]] if path else MeanFieldFile
