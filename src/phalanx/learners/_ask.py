"""What the outer loops ask of an oracle: curvature, slopes and scales, every rollout counted in the state.

Where costs say nothing that could be learned from, the state says so, and the question has no answer.
An oracle that offers gradients answers with expected costs: no rollout is spent on them.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from phalanx.learners import _quadratic
from phalanx.learners._base import Oracle
from phalanx.learners._gains import JointGains
from phalanx.learners._method import Method
from phalanx.learners._state import State
from phalanx.learners._trouble import trouble

PROBE_SALT = 2**30


def probe(oracle: Oracle, method: Method, gamma: float, key: Any, state: State) -> tuple | None:
    """The stage's curvature, and where its saddle point seems to be; None, with the state's status, where costs are of no use."""
    found, state.status = fit(
        oracle, gamma, key, state, method.probe, method.radius, salt=PROBE_SALT
    )
    if found is None:
        state.note = state.stage
        return None
    target = state.W[0] + _quadratic.newton(found.gradient, found.bend, found.spread)
    return found, target


def fit(
    oracle: Oracle, gamma: float, key: Any, state: State, batch: int, radius: float, salt: int
) -> tuple[_quadratic.Fit | None, str]:
    """S, Ŷ and the gradient at the present iterate, and "running"; None, and a status, where costs are of no use."""
    found, plan = measure(oracle, gamma, key, state, batch, True, radius, salt)
    wrong = trouble(found, plan, oracle.sizes.control, gamma)
    if wrong:
        return None, wrong
    return _quadratic.fit(found, plan, oracle.sizes.control, start_covariances(oracle)), "running"


def measure(
    oracle: Oracle,
    gamma: float,
    key: Any,
    state: State,
    batch: int,
    full: bool,
    radius: float,
    salt: int,
) -> tuple[_quadratic.Moments, _quadratic.Design]:
    """Averages at the present iterate from about `batch` rollouts, which are counted."""
    sizes, t = oracle.sizes, state.stage
    p, rows = sizes.control, sizes.control + sizes.disturbance
    # How much a row bends the payoff hardly changes from stage to stage.
    known = [
        S for S in (state.S[t], state.S[min(t + 1, sizes.horizon - 1)]) if not np.isnan(S).any()
    ]
    scale = _quadratic.scales(known[0], radius) if known else np.full((rows, 2), radius)
    plan = _quadratic.design(rows, sizes.state, scale, full)
    # No fewer draws than it takes to see every direction of the first state, twice over.
    draws = max(batch // plan.rollouts, 4 * sizes.state)
    draws += draws % 2
    theta1, theta2 = state.theta1.copy(), state.theta2.copy()
    theta1[t], theta2[t] = state.W[0, :p], state.W[0, p:]
    how = _quadratic.measure if oracle.traceable else _quadratic.moments
    found = how(
        oracle,
        JointGains(jnp.asarray(theta1), jnp.asarray(theta2)),
        jnp.asarray(gamma),
        jnp.asarray(t),
        jax.random.fold_in(jax.random.fold_in(key, t), salt),
        draws,
        jnp.asarray(plan.directions),
        full,
    )
    count(oracle, state, draws * plan.rollouts)
    return _quadratic.Moments(*(np.asarray(part) for part in found)), plan


def count(oracle: Oracle, state: State, rollouts: int) -> None:
    """Add rollouts to the state's; expected costs in closed form are none."""
    if not hasattr(oracle, "gradient"):
        state.rollouts += rollouts


def all_stage_step(oracle: Oracle, gamma: float, key: Any, state: State) -> float:
    """A step size for all stages at once, from how fast the payoff bends along random directions.

    Infinite where the payoff does not bend at all; NaN where a cost is no finite number.
    """
    p, tries = oracle.sizes.control, 64
    gains = JointGains(jnp.asarray(state.theta1), jnp.asarray(state.theta2))
    rng = np.random.default_rng(int(jax.random.bits(jax.random.fold_in(key, 2**30))))
    e = rng.normal(size=(*state.W.shape, tries))
    e *= 0.1 / np.sqrt((e**2).sum(axis=(0, 1, 2)))
    e = np.stack([e, -e, 0 * e], axis=-2)
    payoffs = _compiled_payoffs if oracle.traceable else _payoffs
    offset = JointGains(jnp.asarray(e[:, :p]), jnp.asarray(e[:, p:]))
    own = jax.random.fold_in(key, 2**30 + 1)
    payoff = np.asarray(payoffs(oracle, gains, offset, jnp.asarray(gamma), own, tries))
    count(oracle, state, payoff.size)
    if not np.isfinite(payoff).all():
        return np.nan
    if (payoff == payoff[2]).all():
        return np.inf
    bends = np.abs(payoff[0] + payoff[1] - 2 * payoff[2]) / 0.1**2
    # A random direction sees the mean of the eigenvalues; the largest of n may be n times that.
    return float(1 / (bends.mean() * np.sqrt(state.W.size)))


def _payoffs(
    oracle: Oracle, gains: JointGains, offset: JointGains, gamma: Any, key: Any, draws: int
) -> Any:
    """Payoffs of whole runs."""
    drawn = oracle.draws(key, draws, None)
    cost, energy = oracle.costs(oracle.prepare(gains, None), gains, offset, drawn, None)
    return cost - gamma**2 * energy


_compiled_payoffs = eqx.filter_jit(_payoffs)


def start_covariances(oracle: Oracle) -> np.ndarray:
    return np.stack([oracle.Sigma_y, oracle.Sigma_z])


def bend_of(state: State, t: int, sizes: Any) -> _quadratic.Curvature | None:
    return None if np.isnan(state.S[t]).any() else _quadratic.Curvature(state.S[t], sizes.control)


def gradient_of(field: np.ndarray, sizes: Any) -> np.ndarray:
    """(∇_{θ¹}, ∇_{θ²}) from F, whose second player's rows have changed sign."""
    G = field.copy()
    G[sizes.control :] *= -1
    return G
