"""The outer loop: stage after stage, chunk after chunk, from an oracle and nothing else.

What happens between two calls of `on_step` depends on the state and the settings alone, never on the
clock, so a run that was cut anywhere and resumed makes the same numbers to the last bit.
"""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from phalanx import _random
from phalanx._outcome import InputError, Outcome
from phalanx.learners import _descent, _quadratic, _steps
from phalanx.learners._base import Oracle
from phalanx.learners._gains import JointGains
from phalanx.learners._method import Method
from phalanx.learners._state import State

RECORDS = 50  # iterates recorded per stage
PROBE_SALT, NOISE_SALT, VERIFY_SALT = 2**30, 2**30 + 2, 2**30 + 3
HUGE = 1e100  # gains beyond this have diverged, before a square overflows
LEAST_BALL, BALL = 5.0, 3.0  # radius of an automatic ball: at least, and times what costs suggest
SMALLEST = 1e-12  # step size below which nothing would move
NOISE = 0.3  # share of the gains that an automatic step lets sampling noise shake them by

OnStep = Callable[[State], None]


def check_oracle(oracle: Oracle, method: Method) -> None:
    """Refuse an oracle that does not offer what the method needs.

    Raises:
        InputError: exact gradients asked of costs.
    """
    if method.estimator == "exact" and not hasattr(oracle, "gradient"):
        raise InputError(
            'estimator "exact" needs an oracle that offers gradients, such as oracle="exact"; this one offers costs '
            'alone. Use "two_point", "one_point", "coordinate" or "regression".'
        )


def run(
    oracle: Oracle, method: Method, gamma: float, seed: int, state: State, on_step: OnStep
) -> State:
    """Go on from `state` until done.

    Args:
        oracle: all that is known of the world.
        method: how to learn.
        gamma: γ.
        seed: of everything random.
        state: where to start; changed in place.
        on_step: called after each chunk, when the state can be saved; may raise to stop.

    Raises:
        InputError: a method that asks the oracle for what it does not offer.
    """
    check_oracle(oracle, method)
    with jax.enable_x64(True):
        key = _random.as_key(seed)
        while not state.done:
            if method.estimator == "regression":
                _regression_round(oracle, method, gamma, key, state)
            else:
                _descent_chunk(oracle, method, gamma, key, state)
            on_step(state)
    return state


# --- descent–ascent ------------------------------------------------------------------------------


def _descent_chunk(oracle: Oracle, method: Method, gamma: float, key: Any, state: State) -> None:
    """Some iterations of the present stage; its beginning and end where they fall."""
    t = None if method.all_stages else state.stage
    here = 0 if t is None else t
    if state.iteration == 0 and not (method.all_stages and state.eta[0] > 0):
        _begin(oracle, method, gamma, key, state)
        if state.done:
            return
    sizes = oracle.sizes
    rows = sizes.control + sizes.disturbance
    Sigma = _start_covariances(oracle)
    left, right = _steps.preconditioner(method.update, _bend(state, here, sizes), Sigma, rows)
    numbers = _numbers(method, gamma, state, here, left, right)
    rule = _descent.Rule(method.estimator, method.update, method.batch)
    every = max(1, method.iterations // RECORDS)
    last = min(method.iterations, state.iteration + every)
    now = _descent.Iterate(
        *(jnp.asarray(getattr(state, name)) for name in _descent.Iterate._fields)
    )
    now = _descent.advance(
        oracle,
        rule,
        JointGains(jnp.asarray(state.theta1), jnp.asarray(state.theta2)),
        now,
        numbers,
        None if t is None else jnp.asarray(t),
        jax.random.fold_in(key, here),
        jnp.asarray(state.iteration),
        jnp.asarray(last),
    )
    for name in _descent.Iterate._fields:
        setattr(state, name, np.asarray(getattr(now, name)))
    n1, n2 = (size * (sizes.horizon if t is None else 1) for size in sizes.players)
    state.rollouts += (last - state.iteration) * _descent.rollouts_per_iteration(rule, (n1, n2))
    state.iteration = last
    if not max(np.abs(state.W).max(), np.abs(state.field).max()) < HUGE:
        if method.all_stages and method.step_size == "auto" and state.eta[0] > SMALLEST:
            _again(state)  # costs of a few directions did not show how steep it gets
            return
        state.status, state.note = "diverged", here
        return
    state.record(-1 if t is None else t)
    if state.iteration == method.iterations or _settled(method, state, here, sizes, Sigma):
        _finish(oracle, method, gamma, key, state)


def _again(state: State) -> None:
    """Start all stages anew, with a smaller step."""
    state.eta[:] /= 4
    state.iteration = 0
    for name, value in _descent.start(np.zeros_like(state.W))._asdict().items():
        setattr(state, name, np.asarray(value))


def _numbers(
    method: Method, gamma: float, state: State, here: int, left: Any, right: Any
) -> _descent.Numbers:
    """The inner loop's settings at a stage, as arrays."""
    number = functools.partial(jnp.asarray, dtype=jnp.float64)
    tail = method.iterations // 2
    return _descent.Numbers(
        gamma=number(gamma),
        radius=number(method.radius),
        eta=number(state.eta[here]),
        decay=number(state.decay[here]),
        ball=number(state.ball[here]),
        left=number(left),
        right=number(right),
        tail=jnp.asarray(tail),
        middle=jnp.asarray(tail + (method.iterations - tail) // 2),
    )


def _begin(oracle: Oracle, method: Method, gamma: float, key: Any, state: State) -> None:
    """Set a stage's iterate to 0, and find its step size and ball."""
    start = _descent.start(np.zeros_like(state.W))
    for name, value in start._asdict().items():
        setattr(state, name, np.asarray(value))
    if method.all_stages:
        state.ball[:] = LEAST_BALL if method.ball is None else method.ball
        eta = (
            _all_stage_step(oracle, gamma, key, state)
            if method.step_size == "auto"
            else method.step_size
        )
        state.eta[:], state.decay[:] = eta, 0.0
        state.record(-1)
        return
    t = state.stage
    Sigma = _start_covariances(oracle)
    needs = isinstance(method.step_size, str) or method.update in ("gauss_newton", "newton")
    if needs or method.ball is None:
        found = _probe(oracle, method, gamma, key, state)
        if found is None:
            return
        fitted, target = found
        bend = fitted.bend
        state.S[t] = bend.S
        state.ball[t] = max(LEAST_BALL, BALL * float(np.linalg.norm(target)))
        if fitted.quadratic:  # otherwise there is no μ, and no L
            _, state.mu[t], state.lipschitz[t] = _steps.theory(bend, Sigma)
            if state.mu[t] <= 0:
                state.status, state.note = "infeasible", t
                return
        left, right = _steps.preconditioner(method.update, bend, Sigma, bend.S.shape[-1])
        eigenvalues = _steps.spectrum(bend, Sigma, left, right)
        if method.step_size == "theory":
            state.eta[t] = _steps.theory(bend, Sigma)[0]
        elif method.step_size == "auto":
            state.eta[t] = _steps.best(method.update, eigenvalues)
        falls = method.decay
        if falls is None:
            falls = method.step_size == "auto" and method.estimator != "exact"
        slowest = max(float(np.real(eigenvalues).min()), 0.0)
        if method.step_size == "auto" and method.estimator != "exact":
            _heed_noise(oracle, method, gamma, key, state, left, right, slowest, target)
        # The classical 1/(μk) tail of stochastic approximation.
        state.decay[t] = state.eta[t] * slowest / 2 if falls else 0.0
    if not isinstance(method.step_size, str):
        state.eta[t] = method.step_size
        state.decay[t] = 1 / method.iterations * 10 if method.decay else 0.0
    if method.ball is not None:
        state.ball[t] = method.ball
    state.record(t)


def _heed_noise(
    oracle: Oracle,
    method: Method,
    gamma: float,
    key: Any,
    state: State,
    left: Any,
    right: Any,
    slowest: float,
    target: np.ndarray,
) -> None:
    """Shorten an automatic step until sampling noise, as two estimates show it, shakes the gains little.

    Steps η with noise σ² a step settle at a mean square distance of about ησ²/2λ.
    """
    sizes, t = oracle.sizes, state.stage
    rule = _descent.Rule(method.estimator, method.update, method.batch)
    state.decay[t] = 0.0
    numbers = _numbers(method, gamma, state, t, left, right)
    gains = JointGains(jnp.asarray(state.theta1), jnp.asarray(state.theta2))
    own = jax.random.fold_in(jax.random.fold_in(key, t), NOISE_SALT)
    both = [
        np.asarray(
            _descent.field(
                oracle,
                rule,
                gains,
                jnp.asarray(state.W),
                numbers,
                jnp.asarray(t),
                jax.random.fold_in(own, i),
            )
        )
        for i in (0, 1)
    ]
    state.rollouts += 2 * _descent.rollouts_per_iteration(rule._replace(update=""), sizes.players)
    variance = float(np.sum((both[0] - both[1]) ** 2)) / 2
    allowed = 2 * slowest * (NOISE * max(float(np.linalg.norm(target)), 1e-3)) ** 2
    if variance > 0 and slowest > 0:
        state.eta[t] = min(state.eta[t], allowed / variance)


def _probe(oracle: Oracle, method: Method, gamma: float, key: Any, state: State) -> tuple | None:
    """The stage's curvature, and where its saddle point seems to be; None where costs are no numbers."""
    found = _fit(oracle, gamma, key, state, method.probe, method.radius, salt=PROBE_SALT)
    if found is None:
        state.status, state.note = "diverged", state.stage
        return None
    target = state.W[0] + _quadratic.newton(found.gradient, found.bend, found.spread)
    return found, target


def _fit(
    oracle: Oracle, gamma: float, key: Any, state: State, batch: int, radius: float, salt: int
) -> _quadratic.Fit | None:
    """S, Ŷ and the gradient at the present iterate; None where costs are no numbers."""
    found, plan = _measure(oracle, gamma, key, state, batch, True, radius, salt)
    if not np.isfinite(found.square).all():
        return None
    return _quadratic.fit(found, plan, oracle.sizes.control, _start_covariances(oracle))


def _measure(
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
    state.rollouts += draws * plan.rollouts
    return _quadratic.Moments(*(np.asarray(part) for part in found)), plan


def _start_covariances(oracle: Oracle) -> np.ndarray:
    return np.stack([oracle.Sigma_y, oracle.Sigma_z])


def _all_stage_step(oracle: Oracle, gamma: float, key: Any, state: State) -> float:
    """A step size for all stages at once, from how fast the payoff bends along random directions."""
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
    state.rollouts += payoff.size
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


def _bend(state: State, t: int, sizes: Any) -> _quadratic.Curvature | None:
    return None if np.isnan(state.S[t]).any() else _quadratic.Curvature(state.S[t], sizes.control)


def _settled(method: Method, state: State, t: int, sizes: Any, Sigma: np.ndarray) -> bool:
    """Whether exact gradients say that there is nothing left to gain."""
    if method.estimator != "exact":
        return False
    F = np.linalg.norm(state.field)
    if method.all_stages:
        return bool(F <= 1e-3 * method.tolerance * state.first)
    bend = _bend(state, t, sizes)
    if bend is None:
        return False
    gap = np.linalg.norm(_quadratic.newton(_gradient_of(state.field[0], sizes), bend, Sigma))
    return bool(gap <= 1e-3 * method.tolerance)


def _gradient_of(field: np.ndarray, sizes: Any) -> np.ndarray:
    """(∇_{θ¹}, ∇_{θ²}) from F, whose second player's rows have changed sign."""
    G = field.copy()
    G[sizes.control :] *= -1
    return G


def _finish(oracle: Oracle, method: Method, gamma: float, key: Any, state: State) -> None:
    """Keep the gains, judge them, and go to the stage before."""
    sizes, Sigma = oracle.sizes, _start_covariances(oracle)
    p, t = sizes.control, state.stage
    tail = method.iterations // 2
    counts = np.array([(method.iterations - tail) // 2, 0.0])
    counts[1] = max(method.iterations - tail - counts[0], 1)
    count = max(state.iteration - tail, 1)
    averaged = state.sum_W.sum(axis=0) / count
    W = averaged if method.average and state.sum_W.any() else state.W
    if method.all_stages:
        state.theta1, state.theta2 = W[:, :p].copy(), W[:, p:].copy()
        state.projected[:] = float(state.outside) / count
        _verify(oracle, method, gamma, key, state)
        state.stage = -1
    else:
        state.theta1[t], state.theta2[t] = W[0, :p], W[0, p:]
        state.projected[t] = float(state.outside) / count
        bend = _bend(state, t, sizes)
        if bend is not None and not np.isnan(state.mu[t]):
            if method.estimator == "exact" or not state.sum_field.any():
                step = _quadratic.newton(_gradient_of(state.field[0], sizes), bend, Sigma)
                state.estimate[t] = np.linalg.norm(W[0] - state.W[0] - step)
            else:
                state.estimate[t] = _from_halves(state, W, counts, bend, sizes, Sigma)
        state.stage -= 1
        if state.projected[t] >= 1 and state.stage >= 0 and method.ball is None:
            # Earlier stages would be learned against gains that are wrong. A ball that was given
            # is kept to, as P1's algorithm does.
            state.status, state.note = "projected", t
            return
    state.iteration = 0
    state.W = np.zeros_like(state.W)
    if state.stage < 0:
        state.status = "done"


def _from_halves(
    state: State,
    W: np.ndarray,
    counts: np.ndarray,
    bend: _quadratic.Curvature,
    sizes: Any,
    Sigma: np.ndarray,
) -> float:
    """Distance of W from the saddle point, with what is not known of it.

    The field is linear: its average over some iterations belongs to their average iterate, and both
    together point at the saddle point. Two halves point twice; how far apart says how well.
    """
    points = [
        sums / n + _quadratic.newton(_gradient_of(field / n, sizes), bend, Sigma)
        for sums, field, n in zip(state.sum_W[:, 0], state.sum_field[:, 0], counts, strict=True)
        if n > 0
    ]
    middle = np.mean(points, axis=0)
    apart = np.linalg.norm(points[0] - points[-1]) / 2
    return float(np.hypot(np.linalg.norm(W[0] - middle), apart))


def _verify(oracle: Oracle, method: Method, gamma: float, key: Any, state: State) -> None:
    """All stages were learned at once: is each, with the later ones as they are, at its saddle point?

    A gradient that vanishes does not say so: runs may never show what some gains do.
    """
    for t in reversed(range(oracle.sizes.horizon)):
        state.stage = t
        state.W = np.concatenate([state.theta1[t], state.theta2[t]])[None]
        found = _fit(oracle, gamma, key, state, method.probe, method.radius, VERIFY_SALT)
        if found is None:
            continue
        step = _quadratic.newton(found.gradient, found.bend, found.spread)
        variance = _quadratic.newton_variance(found.error, found.bend, found.spread)
        state.S[t], state.estimate[t] = found.bend.S, np.hypot(np.linalg.norm(step), variance**0.5)
        if found.quadratic:
            Sigma = _start_covariances(oracle)
            _, state.mu[t], state.lipschitz[t] = _steps.theory(found.bend, Sigma)


# --- regression ----------------------------------------------------------------------------------


def _regression_round(oracle: Oracle, method: Method, gamma: float, key: Any, state: State) -> None:
    """One round of fit and solve: quadratics from costs, then the linear solve for the saddle point."""
    sizes, t, round_ = oracle.sizes, state.stage, state.iteration
    Sigma = _start_covariances(oracle)
    if round_ == 0:
        start = _descent.start(np.zeros_like(state.W))
        for name, value in start._asdict().items():
            setattr(state, name, np.asarray(value))
        state.ball[t] = np.inf if method.ball is None else method.ball
        state.record(t)
        state.weight = np.zeros(())
        found = _fit(oracle, gamma, key, state, method.batch, method.radius, salt=0)
        if found is None:
            state.status, state.note = "diverged", t
            return
        bend, spread, G, error = found[1:]
        state.S[t] = bend.S
        state.first = np.asarray(float(found.quadratic))
        state.mu[t] = np.nan
        if found.quadratic:
            state.mu[t] = _steps.theory(bend, Sigma)[1]
    else:
        bend, spread = _quadratic.Curvature(state.S[t], sizes.control), Sigma
        found, plan = _measure(
            oracle, gamma, key, state, method.batch, False, method.radius, salt=round_
        )
        G, error = _quadratic.slope(found, plan)
    if not np.isfinite(G).all():
        state.status, state.note = "diverged", t
        return
    if state.mu[t] <= 0:
        state.status, state.note = "infeasible", t
        return
    target = state.W[0] + _quadratic.newton(G, bend, spread)
    variance = max(_quadratic.newton_variance(error, bend, Sigma), 1e-30)
    if state.first:  # each round points at the same saddle point with an error of its own
        state.sum_W = state.sum_W + target / variance  # both halves alike: here they are one
        state.weight = state.weight + 1 / variance
    else:  # each round starts from where the last one led
        state.sum_W = np.zeros_like(state.sum_W) + target / variance
        state.weight = np.asarray(1 / variance)
    W = state.sum_W[0, 0] / state.weight
    state.estimate[t] = np.sqrt(1 / state.weight)
    state.projected[t] = 0.0
    for player in (slice(0, sizes.control), slice(sizes.control, None)):
        norm = np.linalg.norm(W[player])
        if norm > state.ball[t]:
            W[player] *= state.ball[t] / norm
            state.projected[t] = 1.0
    state.W, state.iteration = W[None], round_ + 1
    state.record(t)
    if state.iteration == method.iterations:
        state.theta1[t], state.theta2[t] = W[: sizes.control], W[sizes.control :]
        state.stage, state.iteration, state.W = t - 1, 0, np.zeros_like(state.W)
        if state.stage < 0:
            state.status = "done"


# --- the verdict -----------------------------------------------------------------------------------


def verdict(method: Method, state: State) -> Outcome:
    """How it ended, in a sentence and a mend."""
    t = state.note
    if state.status == "diverged":
        eta = state.eta[t]
        step = f" (step size {eta:.3g})" if np.isfinite(eta) else ""
        where = "with all stages at once" if method.all_stages else f"at stage {t}"
        return Outcome(
            "diverged",
            f"Learning diverged {where}{step}: gains or costs grew beyond any number.",
            "Give a smaller --step-size or a smaller --ball, or raise --gamma.",
        )
    on_ball = np.nan_to_num(state.projected)
    if state.status == "infeasible" and on_ball.max() < 1:  # else the ball is what made it so
        return Outcome(
            "infeasible",
            f"At stage {t} the costs show no saddle point: what the disturbance gains there is not concave in its gains.",
            "Raise --gamma; or, if it is near the level, take a larger --batch.",
        )
    if on_ball.max() >= 1:
        t = int(np.flatnonzero(on_ball >= 1)[-1])  # the first that was learned
        where = "" if method.all_stages else f" at stage {t}"
        stopped = "" if state.status == "done" else f"; learning stopped at stage {state.note}"
        return Outcome(
            "projection_active",
            f"The projection was active{where} in every iteration of the last half{stopped}: the gains stand on the ball of radius "
            f"{state.ball[t]:.4g}.",
            "Give a larger --ball, a larger --batch or a smaller --step-size; if that does not help, raise --gamma.",
        )
    spent = f"The budget of {method.iterations} iterations{'' if method.all_stages else ' of each stage'} is spent"
    if np.isnan(state.estimate).any() and np.isnan(state.S).any():
        return Outcome(
            "budget_spent",
            f"{spent}; with step size and ball both given nothing says how far the gains are from the saddle point.",
            'Leave --step-size at "auto" to have the distance estimated.',
        )
    if np.isnan(state.mu).any():
        return Outcome(
            "budget_spent",
            f"{spent}; the costs are no quadratic in the gains of stage {int(np.flatnonzero(np.isnan(state.mu))[-1])}, or do not repeat with the "
            "seed, so they do not say how far the gains are from a saddle point.",
            "Compare the gains with others on fresh rollouts.",
        )
    if state.mu.min() <= 0:
        return Outcome(
            "budget_spent",
            f"{spent}, and where it ended stage {int(np.flatnonzero(state.mu <= 0)[-1])} has no saddle point under the later gains.",
            "Give more --iterations; or learn stage by stage, which does not start a stage before the later ones are right.",
        )
    total = float(np.sqrt(np.sum(state.estimate**2)))
    norm = float(np.sqrt(np.sum(state.theta1**2) + np.sum(state.theta2**2)))
    if total <= method.tolerance * max(norm, 1.0):
        return Outcome(
            "solved",
            f"Converged: the gains are an estimated {total:.2g} from the saddle point, {total / max(norm, 1e-300):.2g} of their size.",
        )
    worst = int(np.argmax(state.estimate))
    return Outcome(
        "budget_spent",
        f"The budget of {state.rollouts} rollouts is spent, and the gains are still an estimated {total:.2g} from the saddle point "
        f"({total / max(norm, 1e-300):.2g} of their size; most of it at stage {worst}).",
        "Give more --iterations or a larger --batch.",
    )
