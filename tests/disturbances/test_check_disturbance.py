"""`check_disturbance` admits every disturbance of the package, by one row each, and says what is wrong."""

import inspect
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import phalanx.disturbances
from phalanx import (
    BoundedAdversary,
    Gaussian,
    LinearAdversary,
    RandomWalk,
    Replay,
    Sinusoid,
    Step,
    Sum,
    UniformBall,
)
from phalanx.disturbances import Disturbance
from phalanx.testing import check_disturbance

q, N, T = 2, 5, 4
GAIN = np.arange(4.0).reshape(q, q) / 10
RECORD = np.random.default_rng(0).normal(size=(T, q, 3))

# One row admits a disturbance.
ADMITTED = {
    "gaussian": Gaussian([[1.0, 0.5], [0.5, 2.0]], scope="both"),
    "gaussian, common": Gaussian(0.1, scope="common"),
    "uniform ball": UniformBall(2.0, scope="both"),
    "sinusoid": Sinusoid([1.0, 2.0], period=24),
    "sinusoid, random phases": Sinusoid(1.0, period=24, phase=None, scope="both"),
    "walk": RandomWalk(0.1, scope="idiosyncratic"),
    "walk, bounded": RandomWalk([0.1, 0.2], bound=0.15, scope="both"),
    "step": Step([1.0, 2.0], at=1, until=2, scope="both"),
    "replay, common": Replay(common=RECORD[..., 0]),
    "replay, both": Replay(common=RECORD[..., 0], idiosyncratic=RECORD),
    "adversary": LinearAdversary(GAIN, 2 * GAIN),
    "adversary by stage": LinearAdversary(np.stack([GAIN] * T), np.stack([GAIN] * T), repeat=True),
    "adversary, bounded": BoundedAdversary(GAIN, 0.5),
    "sum": Sum(Gaussian(0.1), Sinusoid(1.0, period=24), Replay(common=RECORD[..., 0])),
}


@pytest.mark.parametrize("disturbance", ADMITTED.values(), ids=ADMITTED)
def test_ours_are_admitted(disturbance):
    check_disturbance(disturbance, q, N)


def test_every_disturbance_of_the_package_has_a_row():
    exported = {
        value
        for value in vars(phalanx.disturbances).values()
        if inspect.isclass(value)
        and issubclass(value, Disturbance)
        and not inspect.isabstract(value)
    }
    assert exported == {type(disturbance) for disturbance in ADMITTED.values()}


class Plain(Disturbance):
    """A disturbance that is right, for the wrong ones below to differ from in one thing."""

    def init(self, key, size, n_agents):
        return jnp.zeros((size, n_agents))

    def sample(self, state, key, view):
        d = state + jax.random.normal(key, state.shape, state.dtype)
        return d, d


class Mute:
    def init(self, key, size, n_agents):
        return None


class AgentsFirst(Plain):
    def sample(self, state, key, view):
        return state, state.T


class ANumber(Plain):
    def sample(self, state, key, view):
        return state, 0.5


class Undefined(Plain):
    def sample(self, state, key, view):
        return state, state / 0


class Single(Plain):
    """Draws in single precision whatever it is asked in."""

    def sample(self, state, key, view):
        return state, state.astype(jnp.float32)


class Whim(Plain):
    """Draws from a generator of its own."""

    def sample(self, state, key, view):
        return state, state + next(WHIMS)


class Restless(Plain):
    def init(self, key, size, n_agents):
        return jnp.full((size, n_agents), next(WHIMS))


class Branch(Plain):
    def sample(self, state, key, view):
        return state, state + 1 if view.z[0] > 0 else state


class Growing(Plain):
    def sample(self, state, key, view):
        return jnp.concatenate([state, state]), state


class Late(Plain):
    """Bursts in the second round only."""

    def sample(self, state, key, view):
        return state + jnp.inf, state


WHIMS = itertools.count(1.0)


def test_the_plain_one_is_admitted():
    check_disturbance(Plain(), q, N)


@pytest.mark.parametrize(
    ("disturbance", "sentence"),
    [
        (Mute(), "Mute has no method sample"),
        (AgentsFirst(), r"AgentsFirst.sample gives d of shape \(5, 2\); it must be \(2, 5\)"),
        (ANumber(), "ANumber.sample gives a d that is a float; it must be a JAX array"),
        (Undefined(), "Undefined.sample gives a d that is not finite"),
        (Single(), "Single.sample gives a d of type float32 in a float64 run"),
        (Whim(), "Whim draws differently when asked again with the same key"),
        (Restless(), "Restless draws differently when asked again with the same key"),
        (Branch(), r"Branch cannot be compiled \(TracerBoolConversionError\)"),
        (Growing(), "Growing.sample changes the state from"),
        (Late(), "Late.sample, over 3 rounds, gives a d that is not finite"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_what_is_wrong_is_said_in_one_sentence(disturbance, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check_disturbance(disturbance, q, N)


def test_one_agent_cannot_tell_the_two_shapes_apart():
    with pytest.raises(AssertionError, match="n_agents must be at least 2"):
        check_disturbance(Plain(), q, 1)
