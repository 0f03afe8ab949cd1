"""battery-fleet-limits: the same plant with small batteries that really are full, empty, or at full power.

The linear model lets a battery charge beyond full and at any power. Here set-points saturate at the
converter's power, and what a full or empty battery cannot take or give reaches the meter instead:

    p' = clip(p + u, ±P)
    e' = clip(λ e + h p − φ d, ±C/2),   what is cut off = x
    g' = λ_g g + h p̄ + (1 − φ) d̄ − x̄

There is no Riccati equation for this world; gains for it are learned from costs.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from phalanx.scenarios._battery_fleet import battery_fleet
from phalanx.scenarios._scenario import Parameter, Scenario
from phalanx.systems import MeanFieldSystem

CAPACITY = 2.0  # C, kWh usable: a small battery, so that limits are met on ordinary days
POWER = 0.6  # P, kW


def battery_fleet_limits() -> Scenario:
    """The scenario: battery-fleet's game for its cost and noise, and the world it is really played in."""
    plain = battery_fleet()
    chosen = "chosen small, so that limits are met on ordinary days"
    parameters = [
        Parameter("usable capacity", f"{CAPACITY:g} kWh", chosen)
        if parameter.name == "usable capacity"
        else Parameter("power limit", f"{POWER:g} kW", chosen)
        if parameter.name == "power limit"
        else parameter
        for parameter in plain.parameters
    ]
    return replace(
        plain,
        name="battery-fleet-limits",
        title="Small home batteries that run full, empty and out of power",
        story=(
            "The virtual power plant of battery-fleet with small batteries: set-points saturate at the converter's power, "
            "and what a full or empty battery cannot take or give reaches the meter. No Riccati equation knows this world; "
            "its gains are learned from costs of simulated fleets."
        ),
        limits=(
            np.array([-CAPACITY / 2, -POWER, -np.inf]),
            np.array([CAPACITY / 2, POWER, np.inf]),
        ),
        parameters=tuple(parameters),
        transition=transition(plain.game.system),
        notes=(
            "The design and its certificate are for the linear model; in this world they are a starting point and a rival.",
        ),
    )


def transition(system: MeanFieldSystem) -> Any:
    """Next states (3, M) of one fleet, in JAX; see the module's equations."""
    A, A_bar, D, D_bar = (np.asarray(X) for X in (system.A, system.A_bar, system.D, system.D_bar))

    def step(t: Any, x: Any, u: Any, d: Any) -> Any:
        import jax.numpy as jnp

        energy, power, account = x
        wanted = A[0, 0] * energy + A[0, 1] * power + D[0, 0] * d[0]
        held = jnp.clip(wanted, -CAPACITY / 2, CAPACITY / 2)
        met = A_bar[2, 1] * power.mean() + (D[2, 0] + D_bar[2, 0]) * d[0].mean()
        account = A[2, 2] * account + met - (wanted - held).mean()
        return jnp.stack([held, jnp.clip(power + u[0], -POWER, POWER), account])

    return step
