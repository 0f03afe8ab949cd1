"""Descent–ascent, stage by stage or all stages at once: begin, some iterations at a time, finish."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from phalanx.learners import _descent, _quadratic, _steps
from phalanx.learners._ask import (
    all_stage_step,
    bend_of,
    count,
    fit,
    gradient_of,
    probe,
    start_covariances,
)
from phalanx.learners._base import Oracle
from phalanx.learners._gains import JointGains
from phalanx.learners._method import Method
from phalanx.learners._state import State

RECORDS = 50  # iterates recorded per stage
NOISE_SALT, VERIFY_SALT = 2**30 + 2, 2**30 + 3
HUGE = 1e100  # gains beyond this have diverged, before a square overflows
LEAST_BALL, BALL = 5.0, 3.0  # radius of an automatic ball: at least, and times what costs suggest
SMALLEST = 1e-12  # step size below which nothing would move
NOISE = 0.3  # share of the gains that an automatic step lets sampling noise shake them by
FALLS_TO = (
    10  # a given step that is to fall does so to a share of 1/(1 + FALLS_TO) over the iterations
)


def chunk(oracle: Oracle, method: Method, gamma: float, key: Any, state: State) -> None:
    """Some iterations of the present stage; its beginning and end where they fall."""
    t = None if method.all_stages else state.stage
    here = 0 if t is None else t
    if state.iteration == 0 and not (method.all_stages and state.eta[0] > 0):
        _begin(oracle, method, gamma, key, state)
        if state.done:
            return
    sizes = oracle.sizes
    rows = sizes.control + sizes.disturbance
    Sigma = start_covariances(oracle)
    left, right = _steps.preconditioner(method.update, bend_of(state, here, sizes), Sigma, rows)
    numbers = _numbers(method, gamma, state, here, left, right)
    rule = _descent.Rule(method.estimator, method.update, method.batch)
    every = max(1, method.iterations // RECORDS)
    last = min(method.iterations, state.iteration + every)
    now = _descent.Iterate(*(getattr(state, name) for name in _descent.Iterate._fields))
    now = _descent.advance(
        oracle,
        rule,
        JointGains(state.theta1, state.theta2),
        now,
        numbers,
        None if t is None else np.asarray(t),
        jax.random.fold_in(key, here),
        np.asarray(state.iteration),
        np.asarray(last),
    )
    for name in _descent.Iterate._fields:
        setattr(state, name, np.asarray(getattr(now, name)))
    n1, n2 = (size * (sizes.horizon if t is None else 1) for size in sizes.players)
    spent = (last - state.iteration) * _descent.rollouts_per_iteration(rule, (n1, n2))
    count(oracle, state, spent)
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
    number = functools.partial(np.asarray, dtype=np.float64)
    tail = method.iterations // 2
    return _descent.Numbers(
        gamma=number(gamma),
        radius=number(method.radius),
        eta=number(state.eta[here]),
        decay=number(state.decay[here]),
        ball=number(state.ball[here]),
        left=number(left),
        right=number(right),
        tail=np.asarray(tail),
        middle=np.asarray(tail + (method.iterations - tail) // 2),
    )


def _begin(oracle: Oracle, method: Method, gamma: float, key: Any, state: State) -> None:
    """Set a stage's iterate to 0, and find its step size and ball."""
    start = _descent.start(np.zeros_like(state.W))
    for name, value in start._asdict().items():
        setattr(state, name, np.asarray(value))
    if method.all_stages:
        state.ball[:] = LEAST_BALL if method.ball is None else method.ball
        eta = (
            all_stage_step(oracle, gamma, key, state)
            if method.step_size == "auto"
            else method.step_size
        )
        if not np.isfinite(eta):
            state.status, state.note = ("cost_nan" if np.isnan(eta) else "flat"), -1
            return
        state.eta[:], state.decay[:] = eta, 0.0
        state.record(-1)
        return
    t = state.stage
    Sigma = start_covariances(oracle)
    needs = isinstance(method.step_size, str) or method.update in ("gauss_newton", "newton")
    if needs or method.ball is None:
        found = probe(oracle, method, gamma, key, state)
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
        state.decay[t] = FALLS_TO / method.iterations if method.decay else 0.0
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
    spent = 2 * _descent.rollouts_per_iteration(rule._replace(update=""), sizes.players)
    count(oracle, state, spent)
    variance = float(np.sum((both[0] - both[1]) ** 2)) / 2
    allowed = 2 * slowest * (NOISE * max(float(np.linalg.norm(target)), 1e-3)) ** 2
    if variance > 0 and slowest > 0:
        state.eta[t] = min(state.eta[t], allowed / variance)


def _settled(method: Method, state: State, t: int, sizes: Any, Sigma: np.ndarray) -> bool:
    """Whether exact gradients say that there is nothing left to gain."""
    if method.estimator != "exact":
        return False
    F = np.linalg.norm(state.field)
    if method.all_stages:
        return bool(F <= 1e-3 * method.tolerance * state.first)
    bend = bend_of(state, t, sizes)
    if bend is None:
        return False
    gap = np.linalg.norm(_quadratic.newton(gradient_of(state.field[0], sizes), bend, Sigma))
    return bool(gap <= 1e-3 * method.tolerance)


def _finish(oracle: Oracle, method: Method, gamma: float, key: Any, state: State) -> None:
    """Keep the gains, judge them, and go to the stage before."""
    sizes, Sigma = oracle.sizes, start_covariances(oracle)
    p, t = sizes.control, state.stage
    tail = method.iterations // 2
    counts = np.array([(method.iterations - tail) // 2, 0.0])
    counts[1] = max(method.iterations - tail - counts[0], 1)
    iterations = max(state.iteration - tail, 1)
    averaged = state.sum_W.sum(axis=0) / iterations
    W = averaged if method.average and state.sum_W.any() else state.W
    if method.all_stages:
        state.theta1, state.theta2 = W[:, :p].copy(), W[:, p:].copy()
        state.projected[:] = float(state.outside) / iterations
        _verify(oracle, method, gamma, key, state)
        state.stage = -1
    else:
        state.theta1[t], state.theta2[t] = W[0, :p], W[0, p:]
        state.projected[t] = float(state.outside) / iterations
        bend = bend_of(state, t, sizes)
        if bend is not None and not np.isnan(state.mu[t]):
            if method.estimator == "exact" or not state.sum_field.any():
                step = _quadratic.newton(gradient_of(state.field[0], sizes), bend, Sigma)
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
    if state.stage < 0 and not state.done:
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
        sums / n + _quadratic.newton(gradient_of(field / n, sizes), bend, Sigma)
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
        found, wrong = fit(oracle, gamma, key, state, method.probe, method.radius, VERIFY_SALT)
        if found is None and wrong in ("flat", "flat_control", "flat_disturbance", "no_energy"):
            state.status, state.note = wrong, t
        if found is None:
            continue
        step = _quadratic.newton(found.gradient, found.bend, found.spread)
        variance = _quadratic.newton_variance(found.error, found.bend, found.spread)
        state.S[t], state.estimate[t] = found.bend.S, np.hypot(np.linalg.norm(step), variance**0.5)
        if found.quadratic:
            Sigma = start_covariances(oracle)
            _, state.mu[t], state.lipschitz[t] = _steps.theory(found.bend, Sigma)
