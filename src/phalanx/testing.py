"""Checkers for controllers and disturbances of your own: what the simulator will ask of them.

The simulator compiles a policy once, runs it for all agents side by side, in either precision, and
hands its state from round to round. A class that merely works when called by hand may still fail
there, or worse, answer otherwise. Each checker plays those parts in turn and raises an
`AssertionError` with one sentence about the first that fails; `None` means admitted. Every policy
and disturbance of this package is admitted by the same two functions.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from phalanx.disturbances import PopulationView
from phalanx.policies import Feedback

__all__ = ["check_disturbance", "check_policy"]

PRECISIONS = ("float64", "float32")
# How far two routes to the same number may lie apart, relative to the largest, in float64.
TOLERANCE = 1e-10
ROUNDS = 3
SIDE_BY_SIDE = 2


def check_policy(policy: Any, view: Any) -> None:
    """Admit a policy, or say in one sentence what the simulator would trip over.

    Checked in both precisions: a control (p,) of finite numbers in the view's precision; the same
    answer to the same question; the same answer compiled and side by side with other agents; a
    state that keeps its structure, shapes and types from round to round.

    Args:
        policy: anything with `init`, `act` and `observe` (see `phalanx.policies.Policy`).
        view: one view as the policy will be shown it, a `MeanFieldView` or a `LinearView`.

    Raises:
        AssertionError: the first thing that is wrong, in one sentence.

    Example:
        >>> import numpy as np
        >>> import phalanx as px
        >>> from phalanx.policies import MeanFieldView, Policy
        >>> view = MeanFieldView(t=0, x=np.array([1.0, -1.0]), x_bar=np.zeros(2))
        >>> check_policy(px.MeanFieldFeedback(K=[[0.5, 0.1]], L=[[0.2, 0.0]]), view)

        A policy that branches on a number works by hand, but not compiled:

        >>> class Bang(Policy):
        ...     def init(self):
        ...         return None
        ...
        ...     def act(self, state, view):
        ...         return -view.x[:1] if view.x[0] > 0 else view.x[:1]
        ...
        ...     def observe(self, state, feedback):
        ...         return None
        >>> check_policy(Bang(), view)
        Traceback (most recent call last):
        AssertionError: Bang cannot be compiled (TracerBoolConversionError); write branches with jnp.where and keep to jax.numpy.
    """
    name = type(policy).__name__
    _has_methods(policy, name, ("init", "act", "observe"))
    for precision in PRECISIONS:
        with jax.enable_x64(precision == "float64"):
            now = _view(view, precision)
            _trace(name, _policy_shapes, _cast(policy, precision), now, name, precision)
    with jax.enable_x64(True):
        _policy_values(_cast(policy, "float64"), _view(view, "float64"), name)


def check_disturbance(disturbance: Any, size: int, n_agents: int) -> None:
    """Admit a disturbance, or say in one sentence what the simulator would trip over.

    Checked in both precisions: d of shape (q, N), or (q, 1) when common to all agents, and finite;
    the same draw from the same key; the same draw compiled and in several worlds side by side; a
    state that keeps its structure, shapes and types from round to round.

    Args:
        disturbance: anything with `init` and `sample` (see `phalanx.disturbances.Disturbance`).
        size: q, entries of one agent's disturbance; the probing states have as many.
        n_agents: N, at least 2, so that (q, N) and (q, 1) can be told apart.

    Raises:
        AssertionError: the first thing that is wrong, in one sentence.

    Example:
        >>> import jax.numpy as jnp
        >>> import phalanx as px
        >>> from phalanx.disturbances import Disturbance
        >>> check_disturbance(px.Sinusoid(1.0, period=24), size=2, n_agents=5)

        Agents belong on the last axis:

        >>> class Gust(Disturbance):
        ...     def init(self, key, size, n_agents):
        ...         return None
        ...
        ...     def sample(self, state, key, view):
        ...         return None, jnp.ones((view.y.shape[1], view.y.shape[0]))
        >>> check_disturbance(Gust(), size=2, n_agents=5)
        Traceback (most recent call last):
        AssertionError: Gust.sample gives d of shape (5, 2); it must be (2, 5), agents last, or (2, 1) when common to all.
    """
    _require(n_agents >= 2, f"n_agents must be at least 2, but it is {n_agents}.")
    name = type(disturbance).__name__
    _has_methods(disturbance, name, ("init", "sample"))
    for precision in PRECISIONS:
        with jax.enable_x64(precision == "float64"):
            source, now = _cast(disturbance, precision), _population(size, n_agents, precision)
            _trace(name, _disturbance_shapes, source, now, name, precision)
    with jax.enable_x64(True):
        now = _population(size, n_agents, "float64")
        _disturbance_values(_cast(disturbance, "float64"), now, name)


def _policy_shapes(policy: Any, view: Any, name: str, precision: str) -> None:
    state = _arrays(policy.init())
    control = policy.act(state, view)
    _is_array(control, f"{name}.act", "control", precision)
    _require(
        control.ndim == 1,
        f"{name}.act gives a control of shape {control.shape}; it must be (p,), one agent's control.",
    )
    following = policy.observe(state, Feedback(view, control, _next(view)))
    _keeps_structure(state, following, f"{name}.observe", f"{name}.init")


def _policy_values(policy: Any, view: Any, name: str) -> None:
    def answers(policy: Any, views: Any) -> tuple[jax.Array, jax.Array]:
        answer = lambda one: policy.act(policy.init(), one)  # noqa: E731
        return jax.vmap(answer)(views), jax.lax.map(answer, views)

    def play(policy: Any, view: Any) -> jax.Array:
        def round_(carry: Any, _: None) -> tuple[Any, Any]:
            state, now = carry
            u = policy.act(state, now)
            return (policy.observe(state, Feedback(now, u, _next(now))), _next(now)), u

        return jax.lax.scan(round_, (policy.init(), view), None, ROUNDS)[1]

    views = jax.tree.map(lambda leaf: jnp.stack([leaf + k for k in range(SIDE_BY_SIDE)]), view)
    beside, alone = _trace(name, answers, policy, views, run=True)
    _is_finite(alone[0], f"{name}.act gives a control")
    _same(beside, alone, f"{name}.act answers differently when asked again, or beside other agents")
    controls = _trace(name, play, policy, view, run=True)
    _is_finite(controls, f"{name}.act, over {ROUNDS} rounds, gives a control")


def _disturbance_shapes(source: Any, view: PopulationView, name: str, precision: str) -> None:
    key, (size, n_agents) = jax.random.key(0), view.y.shape
    state = _arrays(source.init(key, size, n_agents))
    following, d = source.sample(state, key, view)
    _is_array(d, f"{name}.sample", "d", precision)
    _require(
        d.shape in ((size, n_agents), (size, 1)),
        f"{name}.sample gives d of shape {d.shape}; it must be ({size}, {n_agents}), agents last, "
        f"or ({size}, 1) when common to all.",
    )
    _keeps_structure(state, following, f"{name}.sample", f"{name}.init")


def _disturbance_values(source: Any, view: PopulationView, name: str) -> None:
    def worlds(source: Any, view: PopulationView, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
        def world(key: jax.Array) -> jax.Array:
            def round_(state: Any, t: jax.Array) -> tuple[Any, jax.Array]:
                now = PopulationView(t, view.y, view.z)
                return source.sample(state, jax.random.fold_in(key, t), now)

            return jax.lax.scan(round_, source.init(key, *view.y.shape), jnp.arange(ROUNDS))[1]

        return jax.vmap(world)(keys), world(keys[-1])

    keys = jax.random.split(jax.random.key(0), SIDE_BY_SIDE)
    beside, alone = _trace(name, worlds, source, view, keys, run=True)
    _is_finite(alone[0], f"{name}.sample gives a d")
    _is_finite(alone, f"{name}.sample, over {ROUNDS} rounds, gives a d")
    what = f"{name} draws differently when asked again with the same key, or beside other worlds"
    _same(beside[-1], alone, what)


def _trace(name: str, function: Callable, *args: Any, run: bool = False) -> Any:
    """function(*args) as the compiler sees it, arrays inside the arguments traced; run on request."""
    try:
        return (eqx.filter_jit(function) if run else _shapes_only(function))(*args)
    except (
        AssertionError
    ) as error:  # JAX appends a note of its own on the way; say the sentence only
        raise AssertionError(str(error)) from None
    except Exception as error:
        raise AssertionError(
            f"{name} cannot be compiled ({type(error).__name__}); write branches with jnp.where and keep to jax.numpy."
        ) from error


def _shapes_only(function: Callable) -> Callable:
    return lambda *args: eqx.filter_eval_shape(function, *args)


def _require(holds: bool, sentence: str) -> None:
    """Not an `assert`: those vanish under `python -O`, and pytest adds to their text."""
    if not holds:
        raise AssertionError(sentence)


def _next(view: Any) -> Any:
    return eqx.tree_at(lambda v: v.t, view, view.t + 1)


def _has_methods(thing: Any, name: str, methods: tuple[str, ...]) -> None:
    for method in methods:
        _require(callable(getattr(thing, method, None)), f"{name} has no method {method}.")


def _is_array(value: Any, where: str, what: str, precision: str) -> None:
    _require(
        isinstance(value, jax.Array),
        f"{where} gives a {what} that is a {type(value).__name__}; it must be a JAX array.",
    )
    _require(
        value.dtype == precision,
        f"{where} gives a {what} of type {value.dtype} in a {precision} run; make arrays in the view's precision.",
    )


def _is_finite(value: jax.Array, what: str) -> None:
    _require(bool(jnp.isfinite(value).all()), f"{what} that is not finite.")


def _keeps_structure(before: Any, after: Any, where: str, origin: str) -> None:
    old, new = (
        jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", _arrays(state))
        for state in (before, after)
    )
    _require(
        old == new,
        f"{where} changes the state from {old} to {new}; structure, shapes and types must stay as {origin} made them.",
    )


def _same(a: jax.Array, b: jax.Array, what: str) -> None:
    scale = np.maximum(1.0, np.abs(b).max())
    _require(
        bool(np.all(np.abs(a - b) <= TOLERANCE * scale)),
        f"{what}; it must depend on its arguments alone.",
    )


def _cast(part: Any, precision: str) -> Any:
    """NumPy's and JAX's arrays in the run's precision, as the simulator casts them."""

    def leaf(value: Any) -> Any:
        if not isinstance(value, np.ndarray | jax.Array):
            return value
        floating = jnp.issubdtype(value.dtype, jnp.floating)
        return jnp.asarray(np.asarray(value), precision) if floating else jnp.asarray(value)

    return jax.tree.map(leaf, part)


def _view(view: Any, precision: str) -> Any:
    """The view as the simulator makes it: arrays, the round an integer."""

    def leaf(value: Any) -> jax.Array:
        value = np.asarray(value)
        return jnp.asarray(value, None if value.dtype.kind in "iu" else precision)

    return jax.tree.map(leaf, view)


def _population(size: int, n_agents: int, precision: str) -> PopulationView:
    """Some population, before the first round."""
    y = jax.random.normal(jax.random.key(1), (size, n_agents), jnp.dtype(precision))
    return PopulationView(jnp.asarray(0), y - y.mean(axis=1, keepdims=True), y.mean(axis=1))


def _arrays(state: Any) -> Any:
    return jax.tree.map(jnp.asarray, state)
