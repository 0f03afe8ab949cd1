"""Feedback gains, by stage: the control is the formula's, on a device as in the simulator."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phalanx import InputError, LinearFeedback, MeanFieldFeedback
from phalanx.policies import LinearView, MeanFieldView

p, m, T = 2, 3, 4
rng = np.random.default_rng(0)
K, L = rng.normal(size=(T, p, m)), rng.normal(size=(T, p, m))
x, x_bar = rng.normal(size=m), rng.normal(size=m)

# How the policy is told to go on after its last stage, and the gain it then plays at t = 0 … 2T.
STAGES = {
    "last stays": (False, [0, 1, 2, 3, 3, 3, 3, 3, 3]),
    "repeat": (True, [0, 1, 2, 3, 0, 1, 2, 3, 0]),
}
each_ending = pytest.mark.parametrize(("repeat", "stages"), STAGES.values(), ids=STAGES)


def act(policy, view):
    """The control as the simulator has it computed: compiled, in double precision."""
    with jax.enable_x64(True):
        policy, view = jax.tree.map(jnp.asarray, (policy, view))
        return np.array(jax.jit(lambda policy, view: policy.act(policy.init(), view))(policy, view))


@each_ending
def test_the_control_is_the_stages_feedback_on_deviation_and_mean(repeat, stages):
    policy = MeanFieldFeedback(K, L, repeat=repeat)
    for t, k in enumerate(stages):
        expected = -K[k] @ (x - x_bar) - L[k] @ x_bar
        np.testing.assert_allclose(act(policy, MeanFieldView(t, x, x_bar)), expected, rtol=1e-12)


@each_ending
def test_a_device_computes_the_same_control(repeat, stages):
    policy = MeanFieldFeedback(K, L, repeat=repeat)
    for t, k in enumerate(stages):
        expected = -K[k] @ (x - x_bar) - L[k] @ x_bar
        np.testing.assert_allclose(policy(x, x_bar, t), expected, rtol=1e-14)


@each_ending
def test_linear_feedback_plays_its_stages_gain(repeat, stages):
    policy = LinearFeedback(K, repeat=repeat)
    for t, k in enumerate(stages):
        np.testing.assert_allclose(act(policy, LinearView(t, x)), -K[k] @ x, rtol=1e-12)


def test_one_gain_serves_every_stage():
    policy = MeanFieldFeedback(K[0], L[0])
    np.testing.assert_array_equal(policy(x, x_bar, 0), policy(x, x_bar, 100))


def test_a_device_works_in_double_precision_whatever_it_is_handed():
    control = MeanFieldFeedback(K[0], L[0])(x.astype(np.float32), list(x_bar))
    assert control.dtype == np.float64


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: MeanFieldFeedback(K, L)(x[:2], x_bar, 0),
            r"x has shape \(2,\) and must have.*\(3,\)",
        ),
        (lambda: MeanFieldFeedback(K, L)(x, [x_bar], 0), r"x_bar has shape \(1, 3\)"),
        (lambda: MeanFieldFeedback(K, L)(x, np.nan * x, 0), "x_bar must be finite"),
        (lambda: MeanFieldFeedback(K, L)(x, x_bar), "t is missing: these gains vary over 4"),
        (lambda: MeanFieldFeedback(K, L)(x, x_bar, -1), "t must be a stage"),
        (lambda: MeanFieldFeedback(K, L)(x, x_bar, 1.5), "t must be a stage"),
        (lambda: MeanFieldFeedback(K, L[0]), r"L has shape \(2, 3\) and must have K's shape"),
        (lambda: MeanFieldFeedback(x, x), r"K has shape \(3,\) and must be a matrix"),
        (lambda: MeanFieldFeedback([[np.inf]], [[1.0]]), "K must be finite"),
        (lambda: LinearFeedback(1.0), r"K has shape \(\) and must be a matrix"),
    ],
)
def test_a_fault_names_the_argument(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()
