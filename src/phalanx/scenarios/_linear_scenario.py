"""What an online world is: one linear system, many agents that each pay their own cost, a disturbance."""

import difflib
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from phalanx._outcome import InputError
from phalanx.scenarios._scenario import Parameter
from phalanx.systems import LinearSystem

SETTINGS = ("independent", "aggregated", "aggregated-agentwise")
LONGEST_MEMORY = 10_000


@dataclass(frozen=True)
class OnlineSettings:
    """How the agents learn (docs/notation.md).

    Attributes:
        memory: H, how many past disturbances a control reads; "theory" takes it from the gains' certificate.
        setting: "independent", "aggregated" or "aggregated-agentwise".
        step_size: a number, "theory", or {"initial": η, "decay": "sqrt"}.
        radius: a, and decay: ρ, of the set ‖M^[p]‖ ≤ a (1 − ρ)^p.

    Raises:
        InputError: a value that is none of these.

    Example:
        >>> OnlineSettings(memory=10, setting="aggregated").radius
        10.0
    """

    memory: int | str = 6
    setting: str = "independent"
    step_size: Any = 0.003
    radius: float = 10.0
    decay: float = 0.0

    def __post_init__(self) -> None:
        if self.memory != "theory" and not whole(self.memory, LONGEST_MEMORY):
            raise InputError(
                f'memory must be a whole number from 1 to {LONGEST_MEMORY}, or "theory", but it is {self.memory!r}.'
            )
        if self.setting not in SETTINGS:
            near = difflib.get_close_matches(str(self.setting), SETTINGS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise InputError(
                f"setting must be one of {', '.join(SETTINGS)}, but it is {self.setting!r}{hint}"
            )
        step = self.step_size
        if isinstance(step, dict):
            right = set(step) == {"initial", "decay"} and step["decay"] == "sqrt"
            right = right and _is_number(step["initial"]) and step["initial"] > 0
        else:
            right = step == "theory" or (_is_number(step) and step > 0)
        if not right:
            raise InputError(
                'step_size must be a positive number, "theory", or {initial = 0.1, decay = "sqrt"}, '
                f"but it is {step!r}."
            )
        if not (_is_number(self.radius) and self.radius > 0):
            raise InputError(f"radius must be a positive number, but it is {self.radius!r}.")
        if not (_is_number(self.decay) and 0 <= self.decay < 1):
            raise InputError(f"decay must be a number from 0 to below 1, but it is {self.decay!r}.")


@dataclass(frozen=True, eq=False)
class Output:
    """Something to be shown of a world: y = C x, in units that people read.

    Attributes:
        name: what it is. unit: of its entries. labels: one name per row.
        matrix: C (k, n).
        low, high: (k,) limits that the linear model does not know and a run counts, or None.
    """

    name: str
    unit: str
    labels: tuple[str, ...]
    matrix: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class LinearScenario:
    """A named online problem, ready for `play`.

    Attributes:
        name: short name. title: one line. story: a paragraph for the report.
        system: the shared linear system. costs: one stage cost per agent.
        gains: (p_i, n) per agent, the stabilising K_i around which the agents learn.
        disturbance: where w comes from, or None.
        rounds: T. x0: (n,) initial state, zero when None.
        online: how the agents learn.
        state_names, agent_names, control_names, disturbance_names: labels with units.
        step_seconds: length of a round, 0 when rounds have no clock.
        outputs: what figures and tables show besides costs and controls.
        parameters: where every number comes from.
        data, licence: origin of the data, in a few words; "" without.
    """

    name: str
    title: str
    system: LinearSystem
    costs: tuple[Any, ...]
    gains: tuple[np.ndarray, ...]
    disturbance: Any
    rounds: int
    x0: np.ndarray | None = None
    online: OnlineSettings = field(default_factory=OnlineSettings)
    story: str = ""
    state_names: tuple[str, ...] = ()
    agent_names: tuple[str, ...] = ()
    control_names: tuple[str, ...] = ()
    disturbance_names: tuple[str, ...] = ()
    step_seconds: float = 0.0
    outputs: tuple[Output, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    data: str = ""
    licence: str = ""
    notes: tuple[str, ...] = ()

    @property
    def n_agents(self) -> int:
        """N."""
        return self.system.n_agents


def whole(value: Any, most: int) -> bool:
    """Whether it is a whole number from 1 to `most`."""
    right = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return right and bool(1 <= value <= most)


def _is_number(value: Any) -> bool:
    right = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return right and math.isfinite(float(value))
