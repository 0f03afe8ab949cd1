"""The TOML of a linear scenario, one system and many agents: which keys there are.

As with mean-field scenarios, shapes and signs are checked by the nouns' own constructors, and
matrices stay `Any` here: a number, nested lists, or `{file = "A.csv"}`.
"""

from typing import Any, Literal

from pydantic import Field

from phalanx._outcome import InputError
from phalanx.scenarios._tables import Table, validated


class SystemTable(Table):
    """[system]: what all agents share."""

    kind: Literal["linear"]
    A: Any
    E: Any = 1.0
    x0: Any = None


class CostTable(Table):
    """[agent.cost]: what one agent pays a round."""

    kind: Literal["quadratic", "tracking", "huber", "linear"] = "quadratic"
    Q: Any = None
    R: Any = None
    target: Any = None
    width: Any = None
    weight: Any = None
    control_weight: Any = None
    state_price: Any = None
    control_price: Any = None


class AgentTable(Table):
    """[[agent]]: one agent."""

    name: str = ""
    B: Any
    K: Any = "lqr"
    cost: CostTable


class DisturbanceTable(Table):
    """[disturbance]: what the world does."""

    kind: Literal["replay", "gaussian", "uniform", "sinusoid", "random-walk", "step", "adversary"]
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
    gain: Any = None


class OnlineTable(Table):
    """[online]: how long, and how the agents learn."""

    rounds: Any = None
    memory: Any = None
    setting: Any = None
    step_size: Any = None
    radius: Any = None
    decay: Any = None


class LabelsTable(Table):
    """[labels]: names with units, for figures and tables."""

    states: list[str] = Field(default_factory=list)
    controls: list[str] = Field(default_factory=list)
    disturbances: list[str] = Field(default_factory=list)


class LinearFile(Table):
    """A whole scenario file of kind "linear"."""

    name: str = ""
    title: str = ""
    story: str = ""
    system: SystemTable
    agent: list[AgentTable]
    disturbance: DisturbanceTable | None = None
    online: OnlineTable = Field(default_factory=OnlineTable)
    labels: LabelsTable = Field(default_factory=LabelsTable)


def parse(content: dict[str, Any]) -> LinearFile:
    """The file's content as typed tables.

    Raises:
        InputError: one sentence about the first key that is unknown, missing or of the wrong kind.
    """
    for table in ("cost", "noise", "game", "limits"):
        if table in content:
            raise InputError(
                f'[{table}] belongs to worlds of kind "mean-field", but [system] kind is "linear": its agents are [[agent]] '
                "tables, each with a B and an [agent.cost] of its own."
            )
    agents = content.get("agent")
    if isinstance(agents, dict):
        raise InputError(
            "[agent] must be an array of tables; write [[agent]], with two brackets, once for each agent."
        )
    if agents == []:
        raise InputError("agent is empty; write one table [[agent]] for each agent.")
    return validated(LinearFile, content)
