"""What the page knows: a record of kind "fleet", read once, with every absence made explicit.

Records come with holes: a mean-field limit has no N, a stationary game no stages, a controller may
have failed, a world may be simulated instead of recorded. Here and only here these holes are looked
for; the rest of the report asks `Facts` and gets a value or None.
"""

import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from unicodedata import category

import numpy as np

from phalanx._outcome import InputError
from phalanx._record import Record, plain

CERTIFIED = "robust"
LEVELS = ("gamma_saddle", "gamma_mean_field", "gamma_population", "gamma_theorem3")


@dataclass(frozen=True)
class Row:
    """One controller.

    Attributes:
        key, label, note: as recorded.
        gain: exact worst-case gain, infinite where it is unbounded.
        gain_deviation, gain_mean: of the two halves.
        keeps: whether the gain is within the promise.
        recorded, attack, adversary: what it did in the three worlds, or None.
        pathwise: the inequality per episode, or None.
        failure: why a world has no result; "" where nothing failed.
    """

    key: str
    label: str
    note: str
    gain: float
    gain_deviation: float
    gain_mean: float
    keeps: bool
    recorded: dict[str, Any] | None
    attack: dict[str, Any] | None
    adversary: dict[str, Any] | None
    pathwise: list[dict[str, Any]] | None
    failure: str

    @property
    def cost(self) -> float | None:
        """Cost over the whole recorded world."""
        return None if self.recorded is None else self.recorded["cost"]

    @property
    def attack_cost(self) -> float | None:
        """Exact cost of its own worst attack."""
        return None if self.attack is None else self.attack["exact"]


@dataclass(frozen=True)
class Clock:
    """What a round means in time.

    Attributes:
        minutes: length of a round; 0 without a clock. start: first instant, or None.
    """

    minutes: float = 0.0
    start: datetime | None = None


@dataclass(frozen=True, eq=False)
class Facts:
    """A fleet's record, read.

    Attributes:
        name, title, story, data, licence: of the scenario.
        agents: N, or None for the mean-field limit. simulated: how many were simulated.
        horizon: rounds of a game; None when stationary.
        states, controls, disturbances: labels. key: index of the state that matters most.
        low, high: limits per state, None where there is none.
        parameters: where each number comes from.
        world: title and episodes of the recorded data; None where the world is simulated.
        gamma, levels: γ and the levels; None where infinite or undefined.
        guarantee: γ²; None at γ = ∞.
        viable, binding, stage, margin, value, slack, reason: the certificate.
        gains: K1, L1, K2, L2; None where a gain does not exist.
        rows: the controllers. noise: the measured noise gain, or None. energy: of each attack.
        notes: what the model leaves out. design_notes: why numbers are missing.
        provenance: how the record was made. paths: labelled arrays by name. clock: of the rounds.
    """

    name: str
    title: str
    story: str
    data: str
    licence: str
    agents: int | None
    simulated: int
    horizon: int | None
    states: list[str]
    controls: list[str]
    disturbances: list[str]
    key: int
    low: list[float | None]
    high: list[float | None]
    parameters: list[dict[str, str]]
    world: dict[str, Any] | None
    gamma: float | None
    levels: dict[str, float | None]
    guarantee: float | None
    viable: bool
    binding: str
    stage: int | None
    margin: float | None
    value: float | None
    slack: float | None
    reason: str
    gains: dict[str, Any]
    rows: list[Row]
    noise: dict[str, Any] | None
    energy: float
    notes: list[str]
    design_notes: list[str]
    provenance: dict[str, Any]
    paths: dict[str, np.ndarray] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)

    @property
    def certified(self) -> Row:
        """The controller the certificate is about."""
        return next((row for row in self.rows if row.key == CERTIFIED), self.rows[0])

    @property
    def others(self) -> list[Row]:
        """The baselines."""
        return [row for row in self.rows if row is not self.certified]

    @property
    def key_name(self) -> str:
        """Label of the key state."""
        return self.states[self.key]

    @property
    def limited(self) -> list[int]:
        """States with a limit."""
        both = enumerate(zip(self.low, self.high, strict=True))
        return [i for i, (low, high) in both if low is not None or high is not None]

    @property
    def noiseless(self) -> bool:
        """Whether no γ can be viable, because no process noise is there to pay for the initial state."""
        return not self.viable and self.levels["gamma_population"] is None

    @property
    def episodes(self) -> int:
        """How many episodes the recorded world has."""
        return 1 if self.world is None else int(self.world["episodes"])

    @property
    def fleet(self) -> str:
        """The fleet in words that follow "this"."""
        if self.agents is None:
            return "fleet in the limit of infinitely many agents"
        return "single agent" if self.agents == 1 else f"fleet of {self.agents:,}"

    @property
    def where(self) -> str:
        """The recorded world in words that follow "over"; a title's first clause is enough."""
        if self.world is None:
            return "the simulated run"
        return str(self.world.get("title") or "").split(",")[0].strip() or "the recorded data"

    def row(self, key: str) -> Row | None:
        """The controller of that key."""
        return next((row for row in self.rows if row.key == key), None)

    def labels(self, name: str) -> list[str]:
        """Labels along a coordinate of the paths, such as the keys of "controller"."""
        return [str(label) for label in self.paths.get(name, [])]


def read(record: Record) -> Facts:
    """Read a record.

    Raises:
        InputError: a record of another kind, or one with something missing.
    """
    if record.kind != "fleet":
        raise InputError(
            f'the report draws records of kind "fleet", but this one is of kind {record.kind!r}.'
        )
    try:
        return _read(record, _legible(plain(record.summary)))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise InputError(
            f"the record {record.name!r} is incomplete ({type(error).__name__}: {error}); run it again."
        ) from error


def _read(record: Record, summary: dict[str, Any]) -> Facts:
    scenario, design = summary["scenario"], summary["design"]
    states = [str(name) for name in scenario["state_names"]]
    low, high = scenario.get("limits") or ([None] * len(states), [None] * len(states))
    rows = [_row(content, len(states)) for content in summary["controllers"]]
    if not rows or not states or len(low) != len(states) or len(high) != len(states):
        raise KeyError("controllers, state_names or limits")
    world = scenario.get("recorded")
    agents = design["n_agents"]
    return Facts(
        name=_legible(record.name),
        title=scenario.get("title") or _legible(record.name),
        story=scenario.get("story") or "",
        data=scenario.get("data") or "",
        licence=scenario.get("licence") or "",
        agents=None if agents is None else int(agents),
        simulated=int(scenario["agents_simulated"]),
        horizon=None if scenario.get("stationary") else scenario.get("horizon"),
        states=states,
        controls=[str(name) for name in scenario.get("control_names") or []],
        disturbances=[str(name) for name in scenario.get("disturbance_names") or []],
        key=min(int(scenario.get("key_state") or 0), len(states) - 1),
        low=list(low),
        high=list(high),
        parameters=scenario.get("parameters") or [],
        world=world,
        gamma=design["gamma"],
        levels={name: design.get(name) for name in LEVELS},
        guarantee=summary.get("guarantee"),
        viable=bool(design["viable"]),
        binding=str(design.get("binding") or ""),
        stage=design.get("stage"),
        margin=design.get("margin"),
        value=design.get("value"),
        slack=design.get("budget_slack"),
        reason=design.get("reason") or "",
        gains={name: design.get(name) for name in ("K1", "L1", "K2", "L2")},
        rows=rows,
        noise=summary.get("noise_gain"),
        energy=float(summary.get("attack_energy") or 0.0),
        notes=[str(note) for note in summary.get("notes") or []],
        design_notes=[str(note) for note in design.get("notes") or []],
        provenance=_legible(plain(record.provenance)),
        paths=_paths(record),
        clock=_clock(world),
    )


def _legible(value: Any) -> Any:
    """The same without control characters and stray surrogates, which neither HTML nor SVG may hold."""
    if isinstance(value, dict):
        return {_legible(key): _legible(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_legible(item) for item in value]
    if isinstance(value, str):
        return "".join(c for c in value if c in "\n\t" or category(c) not in ("Cc", "Cs"))
    return value


def _row(content: dict[str, Any], states: int) -> Row:
    def gain(name: str) -> float:
        value = content.get(name)
        return math.inf if value is None else float(value)

    def world(name: str) -> dict[str, Any] | None:
        found = content.get(name)
        if found is not None and len(found["rms_mean"]) != states:
            raise KeyError(f"{name} of all {states} states")
        return found

    return Row(
        key=str(content["key"]),
        label=str(content["label"]),
        note=str(content.get("note") or ""),
        gain=gain("worst_gain"),
        gain_deviation=gain("worst_gain_deviation"),
        gain_mean=gain("worst_gain_mean"),
        keeps=bool(content.get("keeps_promise")),
        recorded=world("recorded"),
        attack=world("attack"),
        adversary=content.get("adversary"),
        pathwise=content.get("pathwise") or None,
        failure=str(content.get("failure") or ""),
    )


def _paths(record: Record) -> dict[str, np.ndarray]:
    if record.series is None:
        return {}
    return {str(name): np.asarray(array.values) for name, array in record.series.variables.items()}


def _clock(world: dict[str, Any] | None) -> Clock:
    if world is None:
        return Clock()
    minutes = float(world.get("step_minutes") or 0.0)
    try:
        start = datetime.fromisoformat(world.get("start") or "")
    except ValueError:
        start = None
    return Clock(minutes, start if minutes > 0 else None)
