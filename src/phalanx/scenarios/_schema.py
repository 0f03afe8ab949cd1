"""The TOML of a mean-field scenario: which keys there are.

Shapes and signs are checked by the nouns' own constructors, whose sentences name the same keys.
Matrices stay `Any` here: a number, nested lists, or `{file = "A.csv"}`.
"""

from typing import Any, Literal

from pydantic import Field

from phalanx.scenarios._tables import Table, validated

Scope = Literal["idiosyncratic", "common", "both"]


class SystemTable(Table):
    """[system]: the population's dynamics."""

    kind: Literal["mean-field", "linear"]  # for the sentence: linear files are read elsewhere
    A: Any
    A_bar: Any = 0.0
    B: Any
    B_bar: Any = 0.0
    D: Any = 1.0
    D_bar: Any = 0.0
    x0: Any = None


class CostTable(Table):
    """[cost]: what the team pays."""

    Q: Any
    Q_bar: Any = None
    R: Any = 1.0
    R_bar: Any = None
    Q_T: Any = None
    Q_bar_T: Any = None


class NoiseTable(Table):
    """[noise]: covariances."""

    Sigma: Any = 0.0
    Sigma_bar: Any = 0.0
    Sigma_0: Any = 0.0
    Sigma_bar_0: Any = 0.0


class GameTable(Table):
    """[game]: how long, how many, how robust."""

    horizon: Any
    agents: Any = float("inf")
    gamma: Any = "auto"


class DisturbanceTable(Table):
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


class LabelsTable(Table):
    """[labels]: names with units, for figures and tables."""

    states: list[str] = Field(default_factory=list)
    controls: list[str] = Field(default_factory=list)
    disturbances: list[str] = Field(default_factory=list)


class LimitsTable(Table):
    """[limits]: what the linear model ignores and a run counts."""

    low: list[float | int]
    high: list[float | int]


class MeanFieldFile(Table):
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
    return validated(MeanFieldFile, content)
