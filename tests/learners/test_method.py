"""A method's words and numbers: what goes together, and what is refused by name."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import phalanx as px
from phalanx.learners import PRESETS
from phalanx.learners._method import ESTIMATORS, SCHEDULES, UPDATES, as_method

words = st.one_of(
    st.sampled_from([*ESTIMATORS, *UPDATES, *SCHEDULES, "auto", "theory"]), st.text(max_size=5)
)
anything = st.one_of(
    words,
    st.none(),
    st.booleans(),
    st.integers(-3, 10**6),
    st.floats(),
    st.complex_numbers(),
    st.lists(st.floats(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)
NUMBERS = ["iterations", "batch", "probe", "radius", "ball", "step_size", "tolerance"]
SETTINGS = ["estimator", "update", "schedule", *NUMBERS, "decay", "average"]


@given(name=st.sampled_from(SETTINGS), value=anything)
def test_a_setting_is_kept_or_refused_by_name(name, value):
    """Whatever it is, nothing but an `InputError` with the setting's name comes out."""
    try:
        method = px.Method(**{name: value})
    except px.InputError as error:
        assert name in str(error) or value in ("regression", "natural", "theory")  # noqa: PT017
        return
    kept = getattr(method, name)
    assert kept == value
    assert json.loads(json.dumps(method.settings))[name] == kept


@given(
    estimator=st.sampled_from(ESTIMATORS),
    update=st.sampled_from(UPDATES),
    schedule=st.sampled_from(SCHEDULES),
    step_size=st.sampled_from(["auto", "theory", 0.1]),
)
def test_words_that_do_not_go_together_are_refused(estimator, update, schedule, step_size):
    """One stage's quadratic is no quadratic in all gains, and a linear solve takes no update and no steps."""
    together = schedule == "receding" or not (
        estimator == "regression"
        or update in ("natural", "gauss_newton", "newton")
        or step_size == "theory"
    )
    if estimator == "regression" and update not in ("simultaneous", "newton"):
        together = False
    if estimator == "regression" and step_size != "auto":
        together = False
    if together:
        method = px.Method(estimator, update, schedule, step_size=step_size)
        assert method.all_stages == (schedule == "all_stages")
    else:
        with pytest.raises(px.InputError):
            px.Method(estimator, update, schedule, step_size=step_size)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"estimator": "exactly"}, "estimator must be one of exact, one_point"),
        ({"update": "adam"}, "update must be one of simultaneous"),
        ({"schedule": "forwards"}, "schedule must be one of receding"),
        ({"iterations": 0}, "iterations must be a whole number of at least 1"),
        ({"iterations": 1.0}, "iterations must be a whole number"),
        ({"batch": True}, "batch must be a whole number"),
        ({"probe": "many"}, "probe must be a whole number"),
        ({"radius": 0}, "radius must be a positive number"),
        ({"radius": float("nan")}, "radius must be a positive number"),
        ({"radius": None}, "radius must be a positive number"),
        ({"ball": -1.0}, "ball must be a positive number"),
        ({"step_size": "small"}, 'step_size must be a positive number, "auto" or "theory"'),
        ({"step_size": float("inf")}, "step_size must be a positive number"),
        ({"step_size": np.array([0.1, 0.2])}, "step_size must be a positive number"),
        ({"update": np.array(["newton", "newton"])}, "update must be one of simultaneous"),
        ({"tolerance": "auto"}, "tolerance must be a positive number"),
        ({"decay": "yes"}, "decay"),
        ({"average": "yes"}, "average"),
    ],
    ids=str,
)
def test_bad_settings_are_refused_in_a_sentence(settings, named):
    with pytest.raises(px.InputError, match=named):
        px.Method(**settings)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_method_with_some_settings_changed(name):
    assert as_method(name) == PRESETS[name]
    changed = as_method(name, batch=7, radius=None)
    assert changed.batch == 7
    assert changed.radius == PRESETS[name].radius
    assert changed.estimator == PRESETS[name].estimator


def test_fast_takes_no_steps():
    """Before, a step size given with it was not looked at."""
    for step_size in (0.1, "theory"):
        with pytest.raises(px.InputError, match="takes no steps, but step_size is"):
            as_method("fast", step_size=step_size)
    assert as_method("fast", step_size="auto") == PRESETS["fast"]


def test_presets_are_the_four_of_the_theory():
    """P1's Algorithm 1 sampled and exact, its baseline, and the regression."""
    words = {n: (m.estimator, m.update, m.schedule) for n, m in PRESETS.items()}
    assert words == {
        "rgda": ("one_point", "simultaneous", "receding"),
        "e-rgda": ("exact", "simultaneous", "receding"),
        "e-ddpg": ("exact", "simultaneous", "all_stages"),
        "fast": ("regression", "newton", "receding"),
    }


@pytest.mark.parametrize("method", ["RGDA", "", None, 3, ["fast"]], ids=str)
def test_an_unknown_method_is_refused_with_the_known_ones(method):
    with pytest.raises(px.InputError, match="method must be one of rgda, e-rgda, e-ddpg, fast"):
        as_method(method)


def test_numbers_from_numpy_become_pythons():
    method = px.Method(iterations=np.int64(3), radius=np.float32(0.5))
    assert type(method.iterations) is int
    assert type(method.radius) is float
    assert json.dumps(method.settings)
