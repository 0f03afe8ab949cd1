"""One learner among strangers, the small version: the record, what must hold, and limit cases."""

import json

import numpy as np
import pytest

import phalanx as px
from phalanx._record import Record, plain
from phalanx.experiments import _strangers, strangers

SEED = 3


@pytest.fixture(scope="module")
def record() -> Record:
    return strangers.run(True, SEED, lambda done, text: None)


def test_the_quick_run_is_a_reproduction_that_json_takes(record: Record):
    assert (record.kind, record.name) == ("reproduction", "strangers")
    json.dumps(plain(record.summary), allow_nan=False)
    assert record.series is not None


def test_no_claim_fails(record: Record):
    held = [claim["holds"] for claim in record.summary["claims"]]
    assert False not in held
    # A quick run is too short for a learner to settle in.
    assert held[2:] == [True, None, True]


def test_among_nobody_both_settings_are_one(record: Record):
    (table,) = record.summary["tables"]
    alone = [row for row in table["rows"] if row[0] == strangers.CASTS["nobody"]]
    np.testing.assert_allclose(alone[0][3:], alone[1][3:], rtol=1e-9)


def test_strangers_keep_to_their_bound_and_do_what_they_say():
    system = px.LinearSystem(strangers.A, strangers.B)
    T = 300
    for cast in ("nobody", "erratic", "hostile"):
        others = _strangers.cast_of(cast, system, 0.7, T, np.random.default_rng(0))
        idle = px.LinearFeedback(np.zeros((1, 2)))
        run = px.simulate(system, [idle, *others], None, None, T, x0=[1.0, -0.5])
        u = run.u[:, 1:, 0]
        assert np.abs(u).max() <= (0.0 if cast == "nobody" else 0.7)
        if cast == "hostile":
            push = np.sign(run.x[:-1] @ strangers.A.T @ strangers.B[1:, :, 0].T)
            np.testing.assert_array_equal(u, 0.7 * push)
    fixed = _strangers.cast_of("fixed", system, 0.7, T, np.random.default_rng(0))
    run = px.simulate(system, [idle, *fixed], None, None, T, x0=[1.0, -0.5])
    for j, stranger in enumerate(fixed, start=1):
        np.testing.assert_allclose(run.u[:, j], -run.x[:-1] @ stranger.K.T, atol=1e-12)
    moods = [
        s.gain.any() and s.size > 0
        for s in _strangers.cast_of("mixed", system, 0.7, T, np.random.default_rng(0))
    ]
    assert moods == [False, False, True]


def test_a_wrecking_neighbour_and_the_learner_are_stable_apart():
    found = strangers.wreck(
        px.LinearSystem(strangers.A, strangers.B), px.Quadratic(), strangers.own_gain(), SEED
    )
    assert found["alone"] < 1 < found["joint"]
    growth = np.log(found["late_state"] / found["early_state"]) / (found["rounds"] - 100)
    np.testing.assert_allclose(growth, np.log(found["joint"]), rtol=0.1)


def test_the_learner_at_rest_is_its_gain():
    K = strangers.own_gain()
    quiet = px.DisturbanceAction(strangers.A, strangers.B[0], K, np.zeros((2, 1, 2)))
    system = px.LinearSystem(strangers.A, strangers.B)
    others = _strangers.cast_of("erratic", system, 1.0, 50, np.random.default_rng(0))
    w = px.Replay(np.random.default_rng(1).uniform(-0.5, 0.5, (50, 2)))
    runs = [
        px.simulate(system, [first, *others], w, px.Quadratic(), 50)
        for first in (quiet, px.LinearFeedback(K))
    ]
    np.testing.assert_allclose(runs[0].cost, runs[1].cost, rtol=1e-12)
