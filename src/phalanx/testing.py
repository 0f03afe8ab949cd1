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
SIDE_BY_SIDE = 3


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
        AssertionError: Bang.act cannot be compiled (TracerBoolConversionError); write branches with jnp.where and keep to jax.numpy.
    """
    name = type(policy).__name__
    _has_methods(policy, name, ("init", "act", "observe"))
    for precision in PRECISIONS:
        with jax.enable_x64(precision == "float64"):
            _check_policy(_cast(policy, precision), _view(view, precision), name, precision)


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
            _check_disturbance(_cast(disturbance, precision), size, n_agents, name, precision)


def _check_policy(policy: Any, view: Any, name: str, precision: str) -> None:
    state = _arrays(policy.init())
    control = policy.act(state, view)
    _is_array(control, f"{name}.act", "control", precision)
    _require(
        control.ndim == 1,
        f"{name}.act gives a control of shape {control.shape}; it must be (p,), one agent's control.",
    )
    following = policy.observe(state, Feedback(view, control, _next(view)))
    _keeps_structure(state, following, f"{name}.observe", f"{name}.init")
    _same(_arrays(policy.init()), state, f"{name}.init starts differently when called again")
    _same(policy.act(state, view), control, f"{name}.act answers differently when asked again")
    if precision != "float64":
        return  # what follows does not depend on the precision, and compiling takes time

    def team(policy: Any, views: Any) -> jax.Array:
        return jax.vmap(lambda one: policy.act(state, one))(views)

    views = [jax.tree.map(lambda leaf, k=k: leaf + k, view) for k in range(SIDE_BY_SIDE)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *views)
    together = _compiled(f"{name}.act", team, policy, stacked)
    alone = jnp.stack([policy.act(state, one) for one in views])
    what = f"{name}.act answers differently when compiled for agents side by side"
    _same(together, alone, what, TOLERANCE)

    def play(policy: Any, first: Any) -> Any:
        def round_(carry: Any, _: None) -> tuple[Any, Any]:
            state, now = carry
            u = policy.act(state, now)
            return (policy.observe(state, Feedback(now, u, _next(now))), _next(now)), u

        return jax.lax.scan(round_, first, None, ROUNDS)[1]

    where = f"{name}, over {ROUNDS} rounds,"
    _is_array(_compiled(where, play, policy, (state, view)), where, "control", precision)


def _check_disturbance(source: Any, size: int, n_agents: int, name: str, precision: str) -> None:
    key = jax.random.key(0)
    y = jax.random.normal(jax.random.key(1), (size, n_agents), jnp.dtype(precision))
    view = PopulationView(jnp.asarray(0), y - y.mean(axis=1, keepdims=True), y.mean(axis=1))
    state = _arrays(source.init(key, size, n_agents))
    following, d = source.sample(state, key, view)
    _is_array(d, f"{name}.sample", "d", precision)
    _require(
        d.shape in ((size, n_agents), (size, 1)),
        f"{name}.sample gives d of shape {d.shape}; it must be ({size}, {n_agents}), agents last, "
        f"or ({size}, 1) when common to all.",
    )
    _keeps_structure(state, following, f"{name}.sample", f"{name}.init")
    again = _arrays(source.init(key, size, n_agents))
    _same(again, state, f"{name}.init draws differently from the same key")
    again = source.sample(state, key, view)[1]
    _same(again, d, f"{name}.sample draws differently from the same key")
    if precision != "float64":
        return  # what follows does not depend on the precision, and compiling takes time

    def world(source: Any, view: PopulationView, key: jax.Array) -> jax.Array:
        def round_(state: Any, t: jax.Array) -> tuple[Any, jax.Array]:
            now = PopulationView(t, view.y, view.z)
            return source.sample(state, jax.random.fold_in(key, t), now)

        return jax.lax.scan(round_, source.init(key, size, n_agents), jnp.arange(ROUNDS))[1]

    def worlds(source: Any, view: PopulationView, keys: jax.Array) -> jax.Array:
        return jax.vmap(lambda key: world(source, view, key))(keys)

    keys = jax.random.split(key, SIDE_BY_SIDE)
    together = _compiled(f"{name}.sample", worlds, source, view, keys)
    _is_array(together, f"{name}, over {ROUNDS} rounds,", "d", precision)
    with jax.disable_jit():  # a scan is then a loop
        alone = world(source, view, keys[-1])
    what = f"{name}.sample draws differently when compiled for worlds side by side"
    _same(together[-1], alone, what, TOLERANCE)


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
    _require(bool(jnp.isfinite(value).all()), f"{where} gives a {what} that is not finite.")


def _keeps_structure(before: Any, after: Any, where: str, origin: str) -> None:
    old, new = (
        jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", _arrays(state))
        for state in (before, after)
    )
    _require(
        old == new,
        f"{where} changes the state from {old} to {new}; structure, shapes and types must stay as {origin} made them.",
    )


def _same(a: Any, b: Any, what: str, tolerance: float = 0.0) -> None:
    equal = jax.tree.structure(a) == jax.tree.structure(b) and all(
        np.shape(x) == np.shape(y)
        and np.all(np.abs(x - y) <= tolerance * np.maximum(1.0, np.abs(y).max(initial=0.0)))
        for x, y in zip(*(map(_numbers, jax.tree.leaves(tree)) for tree in (a, b)), strict=True)
    )
    _require(equal, f"{what}; it must depend on its arguments alone.")


def _compiled(what: str, function: Callable, *args: Any) -> Any:
    """function(*args), compiled; arrays inside the arguments are traced, as the simulator has them."""
    try:
        return eqx.filter_jit(function)(*args)
    except Exception as error:
        raise AssertionError(
            f"{what} cannot be compiled ({type(error).__name__}); write branches with jnp.where and keep to jax.numpy."
        ) from error


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


def _arrays(state: Any) -> Any:
    return jax.tree.map(jnp.asarray, state)


def _numbers(leaf: Any) -> np.ndarray:
    """A leaf as numbers that can be subtracted; keys give their bits."""
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf).astype(np.float64)
