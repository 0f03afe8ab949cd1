"""A few rollouts before the first: does a simulator of the user's own keep what it promises?

What is looked for would not be seen later: a simulator that answers every seed alike, or the same seed
differently, is learned from without complaint, and to the wrong gains.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from phalanx._outcome import InputError
from phalanx.learners._answers import refuse_negative
from phalanx.learners._gains import JointGains
from phalanx.learners._method import Method
from phalanx.learners._oracle import CostOracle

SEEDS = 3
SALT = 2**30 + 4
# Costs of the same rollout may differ by this share where a simulator sums in any order.
REPEATS = 1e-5


def trial(oracle: CostOracle, method: Method, seed: int) -> int:
    """Play the last stage with three seeds, one of them twice, with gains 0 and with others.

    Returns:
        How many rollouts that were.

    Raises:
        InputError: what the simulator must not do, and what it must do instead.
    """
    sizes = oracle.sizes
    t = sizes.horizon - 1
    rng = np.random.default_rng(0)
    extra = [
        np.stack(
            [np.zeros((rows, 2 * sizes.state)), 0.1 * rng.normal(size=(rows, 2 * sizes.state))]
        )
        for rows in (sizes.control, sizes.disturbance)
    ]
    with jax.enable_x64(True):
        offset = JointGains(*(jnp.asarray(np.moveaxis(e, 0, -1)[None, ..., None]) for e in extra))
        key = jax.random.fold_in(jax.random.key(seed), SALT)
        drawn = oracle.draws(key, SEEDS, t)[np.array([*range(SEEDS), 0])]
        gains = JointGains(*(jnp.asarray(theta) for theta in JointGains.zeros(sizes)))
        costs = _compiled_costs if oracle.traceable else _costs
        cost, energy = map(np.asarray, costs(oracle, gains, offset, drawn, jnp.asarray(t)))
    if np.isfinite(cost).all() and np.isfinite(energy).all():
        refuse_negative(energy, t)
        _check_seeds(cost, t, _compares(method))
    return cost.size


def _check_seeds(cost: np.ndarray, t: int, compares: bool) -> None:
    first, again = cost[:, 0], cost[:, -1]
    apart = np.abs(first - again) > REPEATS * np.maximum(np.abs(first), np.abs(again))
    if compares and apart.any():
        at = int(apart.argmax())
        raise InputError(
            f"The same seed and the same gains cost {first[at]:.6g} and then {again[at]:.6g} at stage {t}: draw the first state "
            "and all noise from `seed`, with a generator made within the simulator. (One that cannot repeat itself is "
            'learned from by Method("one_point") with step_size and ball given.)'
        )
    if (cost == cost[:, :1]).all() and (cost[0] != cost[1]).any():
        raise InputError(
            f"Different seeds cost exactly the same at stage {t}: draw the first state and the noise from `seed`."
        )


def _compares(method: Method) -> bool:
    """Whether the method is wrong, and not only slow, where seeds do not repeat."""
    curvature = method.update in ("natural", "gauss_newton", "newton")
    automatic = isinstance(method.step_size, str) or method.ball is None
    return method.estimator == "regression" or curvature or (automatic and not method.all_stages)


def _costs(oracle: CostOracle, gains: Any, offset: Any, drawn: Any, stage: Any) -> Any:
    return oracle.costs(None, gains, offset, drawn, stage)


_compiled_costs = eqx.filter_jit(_costs)
