"""battery-fleet: a virtual power plant of a thousand home batteries, on real load and sun.

The plant has promised the grid its residual load (load minus sun) as it was yesterday at the same
quarter hour. Reality differs; the difference is the disturbance. Batteries move to make it good.

State of home i, every quarter hour (all of it relative to the plan):

    e   energy in the battery, kWh          e' = λ e + h p − φ d
    p   battery power, charging > 0, kW     p' = p + u
    g   the plant's imbalance account, kWh  g' = λ_g g + h p̄ + (1 − φ) d̄       per home

d is the home's forecast error of the quarter hour in kWh: real household profiles on top of the real
error of the whole area. The home's own energy manager covers the share φ from its battery at once;
the rest reaches the meter. Each quarter hour the plant also trades a share of its stored energy back
to half full on the intraday market: a change of plan, which λ holds together with self-discharge,
and which is no imbalance because it is announced. u moves the battery's set-point, from the next quarter hour on. g is one
account for the whole plant: only means drive it, which is what makes this a mean-field problem.
"""

import numpy as np

from phalanx.costs import MeanFieldCost
from phalanx.equilibria import RobustGame
from phalanx.scenarios._scenario import Parameter, RecordedWorld, Scenario
from phalanx.scenarios._simbench import forecast_error, load
from phalanx.systems import MeanFieldNoise, MeanFieldSystem

STEPS_PER_DAY = 96
HOURS = 0.25  # h, length of a step
AGENTS = 1000

CAPACITY = 8.9  # kWh usable
POWER = 5.15  # kW
SELF_DISCHARGE = 0.02  # per month
BUYBACK_HOURS = 6.0  # time constant of trading stored energy back to half full
COVERED = 0.3  # φ
SETTLING_HOURS = 4.0  # time constant of λ_g
# Deviations that are as bad as each other: Bryson's rule turns them into weights 1/size².
TOLERABLE = {"e": 2.0, "p": 2.0, "g": 0.1, "u": 1.0}
INITIAL_SPREAD = 1.0  # kWh, standard deviation of stored energy at midnight

HOME_PEAK = 3.0  # kW, what one per unit of a household profile means
AREA_LOAD = 0.5  # kW per home, mean of the area's load
SUN = 2.5  # kWp per home
HOMES = ("H0-A", "H0-B", "H0-C", "H0-G", "H0-L")
AREA = ("lv_rural1_pload", "lv_semiurb4_pload", "lv_urban6_pload")
PANELS = ("PV1", "PV3", "PV5", "lv_rural1_pv")

CALIBRATED_UNTIL = "2016-10-01"  # covariances come from before, the trial week from after
WEEK = "2016-10-03"
DAYS = 7


def battery_fleet() -> Scenario:
    """The scenario, with the held-out week from 3 October 2016 as its recorded world."""
    area, homes = _errors()
    year = load()
    until = year.row(CALIBRATED_UNTIL) - STEPS_PER_DAY  # errors start on the second day
    own = float(np.sqrt(np.mean(homes[:until] ** 2)))
    common = float(area[:until].std())
    return Scenario(
        name="battery-fleet",
        title="A virtual power plant of 1000 home batteries",
        story=(
            "A thousand homes with batteries act as one power plant. Every day the plant tells the grid what its homes "
            "will draw, quarter hour by quarter hour: as much as yesterday. The sun and the people decide otherwise, and "
            "the batteries must make up the difference without drifting empty or full. The controller below was computed "
            "with a proof: whatever the disturbance, even a malicious one, the cost stays below a stated multiple of its "
            "energy. Each home needs only two things to act: its own battery, and the plant's average."
        ),
        game=game(own, common),
        n_agents=AGENTS,
        state_names=("stored energy (kWh)", "battery power (kW)", "imbalance (kWh per home)"),
        control_names=("set-point change (kW)",),
        disturbance_names=("forecast error (kWh per home and quarter hour)",),
        limits=(
            np.array([-CAPACITY / 2, -POWER, -np.inf]),
            np.array([CAPACITY / 2, POWER, np.inf]),
        ),
        recorded=_week(area, homes),
        key_state=2,
        parameters=_parameters(own, common),
        data="SimBench 1.6.3, 15-minute load and solar profiles of 2016",
        licence="ODbL 1.0 (data)",
        notes=(
            "Trading stored energy back is taken to work at once and its price is not part of the cost.",
            "The model is linear. Limits of energy and power are not part of it; how often the simulation leaves them is counted and reported.",
            "Conversion losses are not part of it: a charge-discharge cycle really loses about a tenth of the energy, which a linear "
            "model cannot express (losses take the absolute value of power). They act like a further forecast error.",
        ),
    )


def game(own: float, common: float) -> RobustGame:
    """The plant's game over one day.

    Args:
        own: standard deviation of a home's own forecast error, kWh per quarter hour.
        common: of the error that all homes share.
    """
    kept = (1 - SELF_DISCHARGE) ** (1 / (365.25 / 12 * STEPS_PER_DAY))
    keep = kept * np.exp(-HOURS / BUYBACK_HOURS)
    settle = np.exp(-HOURS / SETTLING_HOURS)
    A = np.array([[keep, HOURS, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, settle]])
    A_bar = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, HOURS, 0.0]])
    B = np.array([[0.0], [1.0], [0.0]])
    D = np.array([[-COVERED], [0.0], [0.0]])
    D_bar = np.array([[0.0], [0.0], [1 - COVERED]])
    weight = {name: size**-2 for name, size in TOLERABLE.items()}
    cost = MeanFieldCost(
        Q=np.diag([weight["e"], weight["p"], 0.0]),
        Q_bar=np.diag([weight["e"], weight["p"], weight["g"]]),
        R=weight["u"],
    )
    both = D + D_bar
    noise = MeanFieldNoise(
        Sigma=own**2 * D @ D.T,
        Sigma_bar=common**2 * both @ both.T,
        Sigma_0=np.diag([INITIAL_SPREAD**2, 0.0, 0.0]),
    )
    return RobustGame(MeanFieldSystem(A, A_bar, B, 0.0, D, D_bar), cost, noise, STEPS_PER_DAY)


def _errors() -> tuple[np.ndarray, np.ndarray]:
    """Forecast errors in kWh per quarter hour, from the second day on: of the area per home (rows,), and of homes (rows, 5)."""
    series = load().series
    demand = np.mean([series[name] / series[name].mean() for name in AREA], axis=0) * AREA_LOAD
    sun = np.mean([series[name] for name in PANELS], axis=0) * SUN
    homes = np.stack([series[name] for name in HOMES], axis=1) * HOME_PEAK
    return HOURS * forecast_error(demand - sun), HOURS * forecast_error(homes)


def _week(area: np.ndarray, homes: np.ndarray) -> RecordedWorld:
    """The trial week: the area's error as it was, and the homes' errors of the weeks from then to the year's end.

    Homes play recorded weeks of real households, each on its right weekday. What the recorded homes
    share is taken out, because the area's error already holds it.
    """
    start = load().row(WEEK) - STEPS_PER_DAY
    rounds = DAYS * STEPS_PER_DAY
    weeks = (len(homes) - start) // rounds
    pool = homes[start : start + weeks * rounds].reshape(weeks, rounds, -1)
    pool = pool.transpose(1, 0, 2).reshape(rounds, -1)
    pool = pool - pool.mean(axis=1, keepdims=True)
    return RecordedWorld(
        common=area[start : start + rounds, None],
        idiosyncratic=pool[:, None, :],
        episodes=DAYS,
        title="the week of 3 October 2016, unseen in calibration",
        start=f"{WEEK}T00:00",
        step_minutes=60 * HOURS,
    )


def _parameters(own: float, common: float) -> tuple[Parameter, ...]:
    register = "German market register, 3,452 home storage units (contextcrew.de)"
    measured = "SimBench, yesterday's value as forecast, January to September 2016"
    return (
        Parameter("usable capacity", f"{CAPACITY:g} kWh, half full on average", register),
        Parameter("power limit", f"{POWER:g} kW", register),
        Parameter(
            "self-discharge",
            f"{SELF_DISCHARGE:.0%} a month",
            "lithium-ion cells lose 2 to 3 % a month (daviddarling.info)",
        ),
        Parameter(
            "buying back stored energy",
            f"{BUYBACK_HOURS:g} h time constant",
            "intraday trading, announced and so no imbalance; chosen",
        ),
        Parameter(
            "φ, own error covered at once",
            f"{COVERED:g}",
            "setting of the homes' energy managers; chosen",
        ),
        Parameter(
            "settling time of the imbalance account",
            f"{SETTLING_HOURS:g} h",
            "older imbalance is traded away intraday; chosen",
        ),
        Parameter(
            "tolerable sizes",
            ", ".join(f"{name} {size:g}" for name, size in TOLERABLE.items())
            + " (kWh, kW, kWh per home, kW per step)",
            "Bryson's rule: weights are 1/size²; chosen",
        ),
        Parameter("spread of stored energy at midnight", f"{INITIAL_SPREAD:g} kWh", "chosen"),
        Parameter(
            "household peak",
            f"{HOME_PEAK:g} kW per unit",
            "median of 28,777 household loads in SimBench",
        ),
        Parameter(
            "area load",
            f"{AREA_LOAD:g} kW per home",
            "three SimBench low-voltage grids, scaled; a home and its share of small business",
        ),
        Parameter(
            "solar power",
            f"{SUN:g} kWp per home",
            "SimBench's median plant of 9.8 kW on every fourth roof",
        ),
        Parameter("σ of a home's own error", f"{own:.4f} kWh per quarter hour", measured),
        Parameter("σ of the common error", f"{common:.4f} kWh per quarter hour", measured),
    )
