"""power-grid: nine generators of the New England grid hold the frequency, each for itself.

The grid has ten machines, 39 buses and 19 loads. Nine machines have a governor, whose set-point is a
knob; G1 stands for the neighbouring grid and has none. Generator i sees the grid's state,
turns its own knob by u^i (MW) and pays for the frequency at its own shaft and for its own effort:

    c^i = (Δf_i / 20 mHz)² + (u^i / 50 MW)²

The frequency is nearly one and the same for all, so everybody's effort is everybody's gain, and
nobody pays for another's. The droop that every governor has by itself is part of the grid: without
any control the frequency settles, off by 0.4 mHz a megawatt.
"""

from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from phalanx._outcome import InputError
from phalanx._types import LONGEST, frozen
from phalanx.costs import Quadratic
from phalanx.disturbances import Replay
from phalanx.scenarios import _grid_disturbance as happening
from phalanx.scenarios._linear_scenario import LinearScenario, OnlineSettings, Output, whole
from phalanx.scenarios._new_england import NewEngland, SampledGrid, load, sampled
from phalanx.scenarios._scenario import Parameter
from phalanx.systems import LinearSystem

SECONDS = 0.1
ROUNDS = 3000
ATTACKED_FROM = 2000  # round
TOLERABLE_MHZ = 20.0
TOLERABLE_MW = 50.0
ONLINE = OnlineSettings(memory=20, step_size=0.0005, radius=1.0)

World = Literal["both", "quarter-hours", "attack", "calm"]


def power_grid(world: World = "both", rounds: int = ROUNDS) -> LinearScenario:
    """The scenario.

    Args:
        world: what happens at the loads: real "quarter-hours", the switching "attack" all the time,
            "both" (the attack joins after 200 s), or nothing ("calm").
        rounds: of 0.1 s.

    Returns:
        Five minutes of the grid, unless asked for otherwise. `outputs` read frequencies in Hz and
        the movement of valves in MW with the room they have; gains are each generator's own LQR.

    Raises:
        InputError: another world, or more rounds than there is data for.

    Example:
        >>> world = power_grid()
        >>> world.system.state_size, world.system.n_agents, world.system.disturbance_size
        (122, 9, 19)
    """
    if world not in get_args(World):
        raise InputError(f"world is {world!r}; it must be one of {', '.join(get_args(World))}.")
    if not whole(rounds, LONGEST):
        raise InputError(f"rounds is {rounds!r}; it must be a whole number from 1 to {LONGEST}.")
    grid, model, gains, worst = _parts()
    return LinearScenario(
        name="power-grid",
        title="Nine generators of the New England grid",
        story=(
            "Nine power stations keep an electric grid at its frequency. Whenever people and weather draw more than was "
            "planned, all rotors slow down together; a station that turns up its set-point pays for it alone, and all of "
            "them gain. Nobody tells a station what the others do. The loads are real quarter hours, played fast. After "
            "200 seconds an attacker joins who switches one per cent of the load on and off, in the rhythm to which the "
            "grid answers most. Which controller holds the frequency best, and how well could each station have done "
            "had it known everything in advance?"
        ),
        system=LinearSystem(model.A, model.B.T[:, :, None], model.E),
        costs=tuple(Quadratic(Q, R) for Q, R in weights(grid, model)),
        gains=gains,
        disturbance=None if world == "calm" else Replay(common=_loads(world, grid, worst, rounds)),
        rounds=rounds,
        online=ONLINE,
        state_names=model.states,
        agent_names=grid.governed,
        control_names=("set-point (MW)",),
        disturbance_names=tuple(f"load at bus {bus} (MW)" for bus in grid.load_buses),
        step_seconds=SECONDS,
        outputs=_outputs(grid, model),
        parameters=_parameters(worst),
        data="New England 39-bus system, linearised from tops 0.3.0; SimBench 1.6.3, profiles of 2016",
        licence="MIT (grid), ODbL 1.0 (profiles)",
        notes=(
            "The grid is linearised around its power flow. For loads of up to 100 MW the nonlinear model differs by at "
            "most 4 % of the largest deviation, for 300 MW by about 10 %.",
            "Limits of valves are not part of it. At rest G5's valve is 99.6 % open and G9's 97.6 %: they cannot open "
            "much further, and how often the simulation does so all the same is counted and reported.",
            "Loads are constant impedances: what a bus really draws follows its voltage.",
            "Every generator is handed the whole state, angles, fluxes and all. Real ones would have to estimate it.",
        ),
    )


@lru_cache(maxsize=1)
def _parts() -> tuple[NewEngland, SampledGrid, tuple[np.ndarray, ...], happening.Attack]:
    """What all its worlds share: a second or two of linear algebra, done once."""
    grid = load()
    model = sampled(grid, SECONDS)
    return grid, model, own_regulators(grid, model), happening.attack(grid, model, SECONDS)


def weights(grid: NewEngland, model: SampledGrid) -> list[tuple[np.ndarray, np.ndarray]]:
    """Q (122, 122) and R (1, 1) of each generator: its own frequency, and its own effort."""
    pairs = []
    for name in grid.governed:
        row = model.frequency[grid.machines.index(name)] / TOLERABLE_MHZ
        pairs.append((np.outer(row, row), np.array([[TOLERABLE_MW**-2]])))
    return pairs


def own_regulators(grid: NewEngland, model: SampledGrid) -> tuple[np.ndarray, ...]:
    """K_i (1, 122) of each generator's own LQ regulator, as if the others stood still.

    K_i = (R + B_iᵀ P B_i)⁻¹ B_iᵀ P A, P the solution of the algebraic Riccati equation of (A, B_i, Q_i, R_i).
    """
    from scipy.linalg import solve_discrete_are

    gains = []
    for B, (Q, R) in zip(model.B.T[:, :, None], weights(grid, model), strict=True):
        P = solve_discrete_are(model.A, B, Q, R)
        gains.append(frozen(np.linalg.solve(R + B.T @ P @ B, B.T @ P @ model.A)))
    return tuple(gains)


def _loads(world: World, grid: NewEngland, worst: happening.Attack, rounds: int) -> np.ndarray:
    """What happens at the loads, MW: (T, 19)."""
    w = np.zeros((rounds, len(grid.load_mw)))
    if world in ("both", "quarter-hours"):
        w += happening.quarter_hours(grid, rounds, SECONDS)
    if world in ("both", "attack"):
        start = ATTACKED_FROM if world == "both" else 0
        w[start:] += worst.play(max(rounds - start, 0), SECONDS)
    return w


def _outputs(grid: NewEngland, model: SampledGrid) -> tuple[Output, ...]:
    rated = grid.governed_mw
    governed = [grid.machines.index(name) for name in grid.governed]
    return (
        Output(
            name="frequency deviation",
            unit="Hz",
            labels=grid.governed,
            matrix=model.frequency[governed] / 1000.0,
        ),
        Output(
            name="valve movement",
            unit="MW",
            labels=grid.governed,
            matrix=model.valves,
            low=-grid.valve * rated,
            high=(1.0 - grid.valve) * rated,
        ),
    )


def _parameters(worst: happening.Attack) -> tuple[Parameter, ...]:
    tops = "IEEE 39-bus model of the Python package tops 0.3.0"
    simbench = "SimBench 1.6.3"
    return (
        Parameter("grid", "39 buses, 10 machines, 19 loads of 6097 MW in all, 60 Hz", tops),
        Parameter("droop of the governors", "5 % of rated power", tops),
        Parameter(
            "length of a round",
            f"{SECONDS:g} s",
            "several rounds within the fastest swing (1.6 Hz) and the governor's 0.2 s; chosen",
        ),
        Parameter(
            "tolerable frequency deviation",
            f"{TOLERABLE_MHZ:g} mHz",
            "Bryson's rule: weights are 1/size²; chosen",
        ),
        Parameter(
            "tolerable set-point change",
            f"{TOLERABLE_MW:g} MW",
            "5 to 10 % of a machine; Bryson's rule; chosen",
        ),
        Parameter(
            "load at a bus",
            "mean of 3 low-voltage grids on 3 weekdays, scaled to the bus",
            f"{simbench}, weekdays from 3 October 2016, no day at two buses",
        ),
        Parameter(
            "installed wind and sun",
            f"{happening.WIND_SHARE:.0%} and {happening.SUN_SHARE:.0%} of a bus's load",
            "chosen",
        ),
        Parameter("weather", f"{happening.DAY}, from {happening.HOUR}:00 on", simbench),
        Parameter(
            "a quarter hour is played in",
            f"{happening.HOLD:g} s",
            "the slowest mode of the grid has a time constant of 13.8 s, the frequency settles sooner; chosen",
        ),
        Parameter(
            "attacker's budget",
            f"{happening.ATTACK_SHARE:.0%} of the load, at most {happening.ATTACK_CAP:.0%} of a bus's",
            "chosen",
        ),
        Parameter(
            "attacker's rhythm",
            f"{worst.hertz:.2f} Hz",
            f"peak of the largest singular value from loads to frequencies, {worst.gain:.2f} mHz/MW",
        ),
    )
