"""The outer loop: stage after stage, chunk after chunk, from an oracle and nothing else.

What happens between two calls of `on_step` depends on the state and the settings alone, never on the
clock, so a run that was cut anywhere and resumed makes the same numbers to the last bit.
"""

from collections.abc import Callable

import jax

from phalanx import _random
from phalanx._outcome import InputError
from phalanx.learners import _descend, _regress
from phalanx.learners._base import Oracle
from phalanx.learners._method import Method
from phalanx.learners._state import State

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
                _regress.round_(oracle, method, gamma, key, state)
            else:
                _descend.chunk(oracle, method, gamma, key, state)
            on_step(state)
    return state
