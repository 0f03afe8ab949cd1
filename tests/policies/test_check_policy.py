"""`check_policy` admits every policy of the package, by one row each, and says what is wrong."""

import inspect
import itertools

import jax.numpy as jnp
import numpy as np
import pytest

import phalanx.policies
from phalanx.policies import LinearFeedback, LinearView, MeanFieldFeedback, MeanFieldView, Policy
from phalanx.testing import check_policy

TEAM = MeanFieldView(t=2, x=np.array([1.0, -2.0, 0.5]), x_bar=np.array([0.2, 0.1, 0.0]))
PAIR = MeanFieldView(t=2, x=np.array([1.0, -2.0]), x_bar=np.zeros(2))
SHARED = LinearView(t=2, x=np.array([1.0, -2.0, 0.5]))
K = np.arange(6.0).reshape(2, 3) / 10
STAGES = np.stack([K, 2 * K, 3 * K, 4 * K])

# One row admits a policy: name, policy, the view it is shown.
ADMITTED = {
    "mean-field feedback": (MeanFieldFeedback(K, 2 * K), TEAM),
    "mean-field feedback by stage": (MeanFieldFeedback(STAGES, 2 * STAGES), TEAM),
    "mean-field feedback, repeated": (MeanFieldFeedback(STAGES[:2], STAGES[:2], repeat=True), TEAM),
    "linear feedback": (LinearFeedback(K), SHARED),
    "linear feedback by stage": (LinearFeedback(STAGES), SHARED),
    "linear feedback, repeated": (LinearFeedback(STAGES[:2], repeat=True), SHARED),
}


@pytest.mark.parametrize(("policy", "view"), ADMITTED.values(), ids=ADMITTED)
def test_ours_are_admitted(policy, view):
    check_policy(policy, view)


def test_every_policy_of_the_package_has_a_row():
    exported = {
        value
        for value in vars(phalanx.policies).values()
        if inspect.isclass(value) and issubclass(value, Policy) and not inspect.isabstract(value)
    }
    assert exported == {type(policy) for policy, _ in ADMITTED.values()}


class Plain(Policy):
    """A policy that is right, for the wrong ones below to differ from in one thing."""

    def init(self):
        return jnp.zeros(2)

    def act(self, state, view):
        return state - view.x

    def observe(self, state, feedback):
        return state + feedback.u


class NotAPolicy:
    def act(self, state, view):
        return view.x


class Scalar(Plain):
    def act(self, state, view):
        return view.x[0]


class ANumber(Plain):
    def act(self, state, view):
        return 1.0


class Undefined(Plain):
    def act(self, state, view):
        return jnp.log(view.x)


class Single(Plain):
    """Answers in single precision whatever it is asked in."""

    def act(self, state, view):
        return view.x.astype(jnp.float32)


class Whim(Plain):
    """Another answer to the same question, from a generator outside the key."""

    def act(self, state, view):
        return view.x + next(WHIMS)


class Late(Plain):
    """Drifts off in the second round only."""

    def observe(self, state, feedback):
        return state + jnp.inf


class Branch(Plain):
    def act(self, state, view):
        return view.x if view.x[0] > 0 else -view.x


class Growing(Plain):
    """Keeps every control it ever played."""

    def observe(self, state, feedback):
        return jnp.concatenate([state, feedback.u])


class Forgetful(Plain):
    def observe(self, state, feedback):
        return None


class Restless(Plain):
    def init(self):
        return jnp.full(2, next(WHIMS))


WHIMS = itertools.count(1.0)


def test_the_plain_one_is_admitted():
    check_policy(Plain(), PAIR)


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        (NotAPolicy(), "NotAPolicy has no method init"),
        (Scalar(), r"Scalar.act gives a control of shape \(\); it must be \(p,\)"),
        (ANumber(), "ANumber.act gives a control that is a float; it must be a JAX array"),
        (Undefined(), "Undefined.act gives a control that is not finite"),
        (Single(), "Single.act gives a control of type float32 in a float64 run"),
        (Whim(), "Whim.act answers differently when asked again"),
        (Late(), "Late.act, over 3 rounds, gives a control that is not finite"),
        (Branch(), r"Branch cannot be compiled \(TracerBoolConversionError\)"),
        (Growing(), "Growing.observe changes the state from"),
        (Forgetful(), "Forgetful.observe changes the state from"),
        (Restless(), "Restless.act answers differently when asked again"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_what_is_wrong_is_said_in_one_sentence(policy, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check_policy(policy, PAIR)
