"""Runs in which everyone learns independently: a map over agents, step sizes and radii, and cases that are kept."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from phalanx.costs import Huber, Quadratic
from phalanx.disturbances import Replay
from phalanx.experiments import _joint_loop as joint
from phalanx.experiments._panels import Table
from phalanx.online import DisturbanceAction, team
from phalanx.simulation import LinearTrajectory, simulate
from phalanx.systems import LinearSystem

# The map's world: a stable scalar plant, nothing fed back, so that every loop without learning is stable.
PLANT, MEMORY, PERIOD = 0.9, 3, 40.0
RADII = (0.1, 1.0, 10.0)
# A control this many times the disturbance is taken for unbounded, even before it leaves all numbers.
LARGE = 1e4
# Kept: two agents, each stable alone and both together before they learn, that destroy each other.
KEPT = {"plant": 0.5, "memory": 1, "step_size": 0.3, "radius": 2.0}
# Small gain does not suffice where K ≠ 0 (docs/notation.md).
COUNTEREXAMPLE = {"A": -0.866, "K": (-0.381, -1.421), "M": (0.086, 0.021)}


@dataclass(frozen=True, eq=False)
class Cell:
    """One run of the map. Attributes: N, eta, radius, world; largest: max |u|/W, inf if unbounded; rounds played; end: spectral radius of the joint loop of the M then played."""

    N: int
    eta: float
    radius: float
    world: str
    largest: float
    rounds: int
    end: float

    @property
    def bounded(self) -> bool:
        """Whether it stayed so for all rounds."""
        return self.largest < LARGE

    @property
    def gain(self) -> float:
        """The small gain that the set allows, (N − 1) a H."""
        return (self.N - 1) * self.radius * MEMORY


def disturbances(T: int, seed: int, draws: int) -> dict[str, np.ndarray]:
    """Disturbances of size 1, one row a round; replayed, so that all share one program."""
    wave = np.sin(2 * np.pi * np.arange(T) / PERIOD)[:, None]
    noise = np.random.default_rng(seed)
    out = {"sinusoid": wave, "constant": np.ones((T, 1))}
    return out | {f"noise {i + 1}": noise.uniform(-1, 1, (T, 1)) for i in range(draws)}


def play(
    N: int,
    w: np.ndarray,
    *,
    plant: float = PLANT,
    memory: int = MEMORY,
    step_size: float,
    radius: float,
    setting: Any = "independent",
    costs: Any = None,
    inputs: Any = None,
    record: Any = "means",
) -> LinearTrajectory:
    """N learners on a scalar plant, K = 0."""
    inputs = np.ones(N) if inputs is None else inputs
    system = LinearSystem(A=[[plant]], B=[[[b]] for b in inputs])
    learners = team(
        system, [[[0.0]]] * N, setting, memory=memory, step_size=step_size, radius=radius
    )
    information = "independent" if setting == "independent" else "aggregated"
    return simulate(
        system,
        learners,
        Replay(w),
        Quadratic() if costs is None else costs,
        len(w),
        information=information,
        record=record,
        throw=False,
    )


def size(run: LinearTrajectory) -> float:
    """Max |u|; infinite where the run left all numbers."""
    return float(np.abs(run.u).max()) if run.outcome.ok else np.inf


def cell(N: int, eta: float, a: float, name: str, w: np.ndarray) -> Cell:
    """One run of the map."""
    run = play(N, w, step_size=eta, radius=a, record="parameters")
    peak = np.abs(run.u).max((1, 2))
    gone = not run.outcome.ok or peak.max() >= LARGE
    last = int(np.argmax(peak >= LARGE)) if gone and peak.max() >= LARGE else run.rounds - 1
    largest = np.inf if gone else float(peak.max())
    return Cell(N, eta, a, name, largest, last + 1, _radius_at(run, last))


def _radius_at(run: LinearTrajectory, t: int) -> float:
    """Spectral radius of the joint loop of the parameters of round t."""
    system = run.system
    inputs = [system.input_matrix(i) for i in range(run.n_agents)]
    M = [path[t] for path in run.parameters or () if path is not None]
    return joint.radius(joint.joint_loop(system.A, inputs, [p.K for p in run.policies], M))


def kept_case(seed: int, draws: int, T: int) -> dict[str, Any]:
    """The two that destroy each other: together, alone, told what the other did; over several draws of w."""
    settings = {key: KEPT[key] for key in ("plant", "memory", "step_size", "radius")}
    table = np.random.default_rng(seed + 1).uniform(-1, 1, (draws, T, 1))
    together = [play(2, w, **settings, record="parameters") for w in table]
    alone = [play(1, w, **settings, record="parameters") for w in table]
    told = [play(2, w, **settings, setting="aggregated") for w in table]
    halved = [play(2, w, **(settings | {"step_size": KEPT["step_size"] / 3})) for w in table]
    first = together[0]
    path = np.array([_radius_at(first, t) for t in range(first.rounds)])
    return {
        "together": first,
        "alone": alone[0],
        "told": told[0],
        "path": path,
        "destroyed": int(sum(size(r) >= LARGE for r in together)),
        "draws": draws,
        "rounds": [r.rounds for r in together],
        "alone_largest": max(size(r) for r in alone),
        "told_largest": max(size(r) for r in told),
        "slower_largest": max(size(r) for r in halved),
    }


def other_cases(T: int, counts: tuple[int, ...]) -> Table:
    """Whether the cause is symmetry, unbounded slopes, or this experiment's settings."""
    wave, draw = disturbances(T, 0, 0)["sinusoid"], np.random.default_rng(5)
    rows: list[list[Any]] = []
    for N in counts:
        b, R = draw.uniform(0.7, 1.3, N), draw.uniform(0.5, 2.0, N)
        cases = {
            "all different: B_i in [0.7, 1.3], R_i in [0.5, 2]; η = 0.01, a = 1": play(
                N, wave, step_size=0.01, radius=1.0, inputs=b, costs=[Quadratic(1.0, r) for r in R]
            ),
            "Lipschitz costs (Huber, width 0.1); η = 0.1, a = 1": play(
                N, wave, step_size=0.1, radius=1.0, costs=Huber(0.1)
            ),
            "the library's defaults: H = 6, η = 0.003, a = 10": play(
                N, wave, memory=6, step_size=0.003, radius=10.0
            ),
        }
        rows += [
            [name, N, "bounded" if size(r) < LARGE else "unbounded", r.rounds]
            for name, r in cases.items()
        ]
    header = ["agents", "N", "controls", "rounds until all numbers were left"]
    return Table(f"It is not symmetry, nor quadratic costs (sinusoid, T = {T})", header, sorted(rows, key=lambda row: row[0]))  # fmt: skip


def fixed_parameters(seed: int, draws: int) -> dict[str, Any]:
    """Random fixed parameters: small gain against spectral radius; and growth in play against the radius."""
    rng = np.random.default_rng(seed + 2)
    out: dict[str, Any] = {}
    for name, feedback in (("K = 0", False), ("K ≠ 0, all loops stable", True)):
        points = []
        while len(points) < draws:
            N, A = int(rng.integers(2, 5)), rng.uniform(-0.95, 0.95)
            K = rng.uniform(-1.5, 1.5, N) * feedback
            if max(abs(A - K.sum()), np.abs(A - K).max()) >= 0.99:
                continue
            M = rng.normal(size=(N, 2)) * rng.uniform(0, 1)
            points.append(_point(A, K, M))
        out[name] = np.array(points)
    c = COUNTEREXAMPLE
    M = np.array(c["M"])[:, None]
    out["counterexample"] = _point(c["A"], np.array(c["K"]), M)
    system = LinearSystem(A=[[c["A"]]], B=[[[1.0]]] * 2)
    policies = [
        DisturbanceAction(system.A, [[1.0]], [[k]], m[:, None, None])
        for k, m in zip(c["K"], M, strict=True)
    ]
    kick = np.zeros((400, 1))
    kick[0] = 1.0
    x = simulate(system, policies, Replay(kick), rounds=400).x[:, 0]
    size = np.log(np.abs(x[100:400]))
    out["growth"] = float(np.exp(np.polyfit(np.arange(len(size)), size, 1)[0]))
    return out


def _point(A: float, K: np.ndarray, M: np.ndarray) -> tuple[float, float]:
    """(small gain, spectral radius) of scalar agents with B = 1."""
    inputs, blocks = [np.eye(1)] * len(K), [m[:, None, None] for m in M]
    gains = [np.array([[k]]) for k in K]
    loop = joint.joint_loop(np.array([[A]]), inputs, gains, blocks)
    return joint.small_gain(inputs, blocks), joint.radius(loop)
