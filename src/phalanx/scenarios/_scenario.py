"""What a scenario is: a game, how many agents play it, and the world it is tried in."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from phalanx.equilibria import RobustGame


@dataclass(frozen=True)
class Parameter:
    """One number of a world and where it comes from.

    Attributes:
        name: what it is. value: as printed, with its unit. source: where it comes from.
    """

    name: str
    value: str
    source: str


@dataclass(frozen=True, eq=False)
class RecordedWorld:
    """Recorded disturbances that a run replays, one episode of T rounds after the other.

    Attributes:
        common: (episodes·T, q), the same for all agents.
        idiosyncratic: (episodes·T, q, P) a pool of own signals, or None. Agents draw from it.
        episodes: how many times the game is played through, states carried over.
        title: what was recorded, in a few words. start: first instant, ISO 8601, or "".
        step_minutes: length of a round in minutes, 0 when rounds have no clock.
        dropped: rounds at the end of the recording that fill no whole episode and are not played.
    """

    common: np.ndarray
    idiosyncratic: np.ndarray | None
    episodes: int
    title: str
    start: str = ""
    step_minutes: float = 0.0
    dropped: int = 0


@dataclass(frozen=True, eq=False)
class Scenario:
    """A named problem, ready for `design` and `run`.

    Attributes:
        name: short name. title: one line. story: a paragraph for the report.
        game: the robust game. n_agents: N, possibly infinite.
        gamma: the level asked for, "auto" (1.1 × the least viable level) or "saddle" (1.1 × the
            saddle level).
        state_names, control_names, disturbance_names: labels with units.
        limits: (low, high), each (m,), or None: what the linear model ignores and the run counts.
        recorded: real disturbances to replay, or None.
        disturbance: any other disturbance to simulate, or None.
        transition: f(t, x, u, d) → next states where the true world is not the game's linear one
            (see `PopulationOracle`), or None.
        key_state: index of the state entry whose mean the figures show.
        parameters: where every number comes from.
        data, licence: origin of the data, in a few words; "" without.
    """

    name: str
    title: str
    game: RobustGame
    n_agents: float
    gamma: float | Literal["auto", "saddle"] = "auto"
    story: str = ""
    state_names: tuple[str, ...] = ()
    control_names: tuple[str, ...] = ()
    disturbance_names: tuple[str, ...] = ()
    limits: tuple[np.ndarray, np.ndarray] | None = None
    recorded: RecordedWorld | None = None
    disturbance: Any = None
    transition: Any = None
    key_state: int = 0
    parameters: tuple[Parameter, ...] = ()
    data: str = ""
    licence: str = ""
    notes: tuple[str, ...] = field(default=())
