"""The inner loop: descent for player 1, ascent for player 2, from wherever gradients come.

An iterate is W = [θ¹; θ²] of one stage, (1, p + q, 2m), or of all, (T, p + q, 2m). The field is
F = (∇_{θ¹}, −∇_{θ²}), so that both players step along −F (P1, Algorithm 1).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from phalanx._xla import wide_jit
from phalanx.learners import _estimators
from phalanx.learners._base import Oracle
from phalanx.learners._gains import JointGains, project


class Rule(NamedTuple):
    """What the compiled loop is specialised to."""

    estimator: Any
    update: str
    batch: int


class Numbers(NamedTuple):
    """The loop's settings that do not change the program.

    Attributes:
        gamma, radius: γ and r. eta: η. decay: η_k = η / (1 + decay·k). ball: of the projection.
        left, right: preconditioner, (2, p+q, p+q) and (2, m, m).
        tail, middle: first iterations of the two halves of the sums.
    """

    gamma: Any
    radius: Any
    eta: Any
    decay: Any
    ball: Any
    left: Any
    right: Any
    tail: Any
    middle: Any


class Iterate(NamedTuple):
    """State of the loop.

    Attributes:
        W: the iterate. field: the last F. first: ‖F‖ of the first iteration.
        sum_W, sum_field: over the two halves of the tail, (2, …).
        outside: iterations of the tail that left the ball.
    """

    W: Any
    field: Any
    first: Any
    sum_W: Any
    sum_field: Any
    outside: Any


def start(W: Any) -> Iterate:
    """Before the first iteration."""
    zero = W * 0.0
    both = np.stack([zero, zero])
    return Iterate(W, zero, zero.sum(), both, both, zero.sum())


def advance(
    oracle: Oracle,
    rule: Rule,
    gains: JointGains,
    now: Iterate,
    numbers: Numbers,
    stage: Any,
    key: jax.Array,
    first: Any,
    last: Any,
) -> Iterate:
    """Iterations `first` to `last` − 1; compiled where the oracle allows it."""
    if oracle.traceable:
        return _compiled(oracle, rule, gains, now, numbers, stage, key, first, last)
    gains, now, numbers = jax.tree.map(jnp.asarray, (gains, now, numbers))
    for k in range(int(first), int(last)):
        now = _iterate(oracle, None, rule, gains, now, numbers, stage, key, jnp.asarray(k))
    return now


@wide_jit
def _compiled(oracle, rule, gains, now, numbers, stage, key, first, last):
    shared = None if stage is None else oracle.prepare(gains, stage)

    def body(k: Any, carry: Iterate) -> Iterate:
        return _iterate(oracle, shared, rule, gains, carry, numbers, stage, key, k)

    return jax.lax.fori_loop(first, last, body, now)


def field(
    oracle: Oracle,
    rule: Rule,
    gains: JointGains,
    W: Any,
    numbers: Numbers,
    stage: Any,
    key: jax.Array,
) -> jax.Array:
    """The preconditioned field at W, both players', as a step would use it."""
    how = _compiled_field if oracle.traceable else _one_field
    return how(oracle, rule, gains, W, numbers, stage, key)


def _one_field(oracle, rule, gains, W, numbers, stage, key):
    shared = None if stage is None else oracle.prepare(gains, stage)
    found = _field(oracle, shared, rule, gains, W, numbers, stage, key, (0, 1))
    return _precondition(found, numbers)


_compiled_field = wide_jit(_one_field)


def _iterate(oracle, shared, rule, gains, now, numbers, stage, key, k) -> Iterate:
    p = gains.theta1.shape[-2]
    W, key = now.W, jax.random.fold_in(key, k)
    eta = numbers.eta / (1 + numbers.decay * k)

    def at(W: Any, salt: int = 0, players: tuple[int, ...] = (0, 1)) -> Any:
        own = jax.random.fold_in(key, salt)
        return _field(oracle, shared, rule, gains, W, numbers, stage, own, players)

    def step(W: Any, direction: Any) -> tuple[Any, Any]:
        moved = W - eta * _precondition(direction, numbers)
        one, left1 = project(moved[:, :p], numbers.ball)
        two, left2 = project(moved[:, p:], numbers.ball)
        return jnp.concatenate([one, two], axis=1), left1 | left2

    F = at(W, players=(0,) if rule.update == "alternating" else (0, 1))
    if rule.update == "alternating":
        moved, _ = step(W, F)
        F = F + at(moved, 1, players=(1,))
        new, outside = step(W, F)
    elif rule.update == "extragradient":
        moved, _ = step(W, F)
        F = at(moved, 1)
        new, outside = step(W, F)
    elif rule.update == "optimistic":
        new, outside = step(W, jnp.where(k == 0, F, 2 * F - now.field))
    else:
        new, outside = step(W, F)
    in_tail = jnp.where(k >= numbers.tail, 1.0, 0.0)
    second = jnp.where(k >= numbers.middle, 1.0, 0.0)
    half = in_tail * jnp.stack([1 - second, second]).reshape(2, 1, 1, 1)
    return Iterate(
        W=new,
        field=F,
        first=jnp.where(k == 0, jnp.sqrt(jnp.sum(F**2)), now.first),
        sum_W=now.sum_W + half * W,
        sum_field=now.sum_field + half * F,
        outside=now.outside + in_tail * outside,
    )


def _field(oracle, shared, rule, gains, W, numbers, stage, key, players) -> Any:
    """F at W; 0 for a player that is not asked for."""
    p = gains.theta1.shape[-2]
    theta = (W[:, :p], W[:, p:])
    if stage is None:
        here = JointGains(*theta)
    else:
        here = JointGains(
            *(
                jax.lax.dynamic_update_index_in_dim(jnp.asarray(all_stages), own[0], stage, 0)
                for all_stages, own in zip(gains, theta, strict=True)
            )
        )
    if not oracle.traceable:
        shared = oracle.prepare(here, stage)
    parts = [jnp.zeros_like(own) for own in theta]
    if rule.estimator == "exact":
        both = oracle.gradient(shared, here, numbers.gamma, stage)
        parts = [own if j in players else parts[j] for j, own in enumerate(both)]
    else:
        found = _estimators.gradients(
            oracle,
            shared,
            here,
            numbers.gamma,
            stage,
            key,
            players,
            rule.estimator,
            rule.batch,
            numbers.radius,
        )
        for j, own in zip(players, found, strict=True):
            parts[j] = own
    return jnp.concatenate([parts[0], -parts[1]], axis=1)


def _precondition(F: Any, numbers: Numbers) -> Any:
    m = F.shape[-1] // 2
    parts = (F[..., :m], F[..., m:])
    return jnp.concatenate([numbers.left[h] @ parts[h] @ numbers.right[h] for h in (0, 1)], axis=-1)


def rollouts_per_iteration(rule: Rule, n: tuple[int, int]) -> int:
    """Rollouts of one iteration; each is counted, both players'."""
    one, two = (_estimators.rollouts(rule.estimator, rule.batch, size) for size in n)
    return (2 if rule.update == "extragradient" else 1) * (one + two)
