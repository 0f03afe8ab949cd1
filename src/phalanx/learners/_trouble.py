"""What is wrong with costs that no learner can learn from: no numbers, or the same whatever is played.

A quadratic that is fitted to such costs looks like a perfect one, with its saddle point at 0.
"""

import numpy as np

from phalanx.learners._quadratic import Design, Moments

# Changes of the payoff below this share of its size are rounding.
ROUNDING = 1e-14


def trouble(found: Moments, plan: Design, controls: int, gamma: float) -> str:
    """A status of the state, or "" where costs can be learned from.

    Args:
        found: a full measurement.
        plan: its perturbations.
        controls: p, the rows that are player 1's.
        gamma: γ.

    Returns:
        "cost_nan", "cost_inf", "energy_nan" or "energy_inf"; "diverged": numbers beyond all squares; "flat": nothing changes with any gains, "flat_control" or "flat_disturbance": with
        this player's; "no_energy": disturbances are played and cost their player nothing.
    """
    if not np.isfinite(found.square).all():
        for name, value in (("cost", found.cost), ("energy", found.energy)):
            if not np.isfinite(value):
                return f"{name}_{'nan' if np.isnan(value) else 'inf'}"
        return "diverged"
    rows, columns = plan.directions.shape[1:]
    n = rows * columns
    # Every entry by itself: what is odd in it, and what is even.
    size = np.sqrt(np.diagonal(found.square)[: 2 * n]).reshape(2, rows, columns)
    level = float(found.cost) + gamma**2 * float(found.energy)
    moves = size.max(axis=(0, 2)) > ROUNDING * level
    if not moves.any():
        return "flat"
    if found.energy == 0:
        return "no_energy"
    if not moves[:controls].any():
        return "flat_control"
    return "" if moves[controls:].any() else "flat_disturbance"
