"""Gains from a wrong model, the small version: the record, what must hold, and figures by a second route."""

import json

import numpy as np
import pytest
from _oracles import Half, halves, play, saddle_level, value

import phalanx as px
from phalanx._record import Record, plain
from phalanx.experiments import misspecified

SEED = 3
PLAN = misspecified.PLANS[0]


@pytest.fixture(scope="module")
def record() -> Record:
    return misspecified.run(True, SEED, lambda done, text: None)


def verdict(record: Record, world: str, words: str) -> bool | None:
    (claim,) = [
        c
        for c in record.summary["claims"]
        if c["text"].startswith(f"{world}: ") and words in c["text"]
    ]
    return claim["holds"]


def true_game(nominal: px.RobustGame, error: misspecified.Direction, delta: float):
    s = nominal.system
    system = px.MeanFieldSystem(
        s.A + delta * error.A,
        s.A_bar + delta * error.A_bar,
        s.B + delta * error.B,
        s.B_bar + delta * error.B_bar,
        s.D,
        s.D_bar,
    )
    return px.RobustGame(system, nominal.cost, nominal.noise, nominal.horizon)


def loop_of(half: Half, K: np.ndarray) -> Half:
    """What u = −K x leaves of a half, with a control that does nothing."""
    n, stages = len(half.Q_T), zip(half.A, half.B, half.Q, half.R, K, strict=True)
    closed = [(A - B @ k, Q + k.T @ R @ k) for A, B, Q, R, k in stages]
    T = len(closed)
    none, one = [np.zeros((n, 1))] * T, [np.eye(1)] * T
    A, Q = (list(part) for part in zip(*closed, strict=True))
    return Half(A, none, half.D, Q, one, half.Q_T, half.E)


def test_the_quick_run_is_a_reproduction_that_json_takes(record: Record):
    assert (record.kind, record.name) == ("reproduction", "misspecified")
    json.dumps(plain(record.summary), allow_nan=False)
    assert record.series is not None
    for panel in record.summary["panels"]:
        for curve in panel["curves"]:
            assert record.series[curve["x"]].shape == record.series[curve["y"]].shape


@pytest.mark.parametrize("world", ["two-by-two", "battery-fleet"])
def test_theorems_hold(record: Record, world: str):
    assert verdict(record, world, "small gain bounds the worst case")
    assert verdict(record, world, "LQR is the cheapest under noise when the model is right")
    promises = [
        c["holds"]
        for c in record.summary["claims"]
        if c["text"].startswith(f"{world}: the promise γ")
    ]
    assert promises == [True, True]


@pytest.mark.parametrize("world", ["two-by-two", "battery-fleet"])
def test_on_the_right_model_robust_gains_keep_their_promise(record: Record, world: str):
    found = record.summary["worlds"][world]["controllers"]
    for key in (misspecified.ROBUST, misspecified.OWN):
        assert np.all(found[key]["gain"][0] <= found[key]["gamma"] ** 2)
    right = {key: found[key]["gain"][0, 0] for key in found}
    assert right[misspecified.ROBUST] < right[misspecified.OWN] < right[misspecified.LQR]


def test_figures_by_a_second_route(record: Record):
    world = px.scenario(PLAN.scenario)
    rng = np.random.default_rng(SEED)
    error = PLAN.draw(world.game.system, rng)
    size, gains = 2, px.baselines.lqr(world.game)
    truth = true_game(world.game, error, PLAN.quick[size])
    loops = [loop_of(half, K) for half, K in zip(halves(truth), (gains.K, gains.L), strict=True)]
    found = record.summary["worlds"][PLAN.scenario]["controllers"][misspecified.LQR]
    np.testing.assert_allclose(found["gain"][size, 0], saddle_level(*loops) ** 2, rtol=1e-9)
    M = [play(loop, np.zeros((10, 1, 2)), np.zeros((10, 2, 2)), 1.0) for loop in loops]
    expected = value(truth, M[0], M[1], world.n_agents)
    np.testing.assert_allclose(found["noise"][size, 0], expected, rtol=1e-12)
    single = px.induced_gain(truth, gains.K, gains.L, world.n_agents).gain
    np.testing.assert_allclose(found["gain"][size, 0], single, rtol=1e-9)


def test_drawn_errors_have_the_size_they_claim():
    system, rng = px.scenario("battery-fleet").game.system, np.random.default_rng(0)
    for _ in range(5):
        d = misspecified.any_direction(system, rng)
        own, nominal = np.hstack([d.A, d.B]), np.hstack([system.A, system.B])
        np.testing.assert_allclose(np.linalg.norm(own, 2), np.linalg.norm(nominal, 2))
        mean = np.hstack([d.A + d.A_bar, d.B + d.B_bar])
        nominal = np.hstack([system.A + system.A_bar, system.B + system.B_bar])
        np.testing.assert_allclose(np.linalg.norm(mean, 2), np.linalg.norm(nominal, 2))
        entries = misspecified.each_entry(system, rng)
        assert np.all(np.abs(entries.A) <= np.abs(system.A))
        assert np.all(entries.A[system.A == 0] == 0)


def test_a_second_run_has_the_same_bits_and_another_seed_other_models(record: Record):
    def quiet(done: float, text: str) -> None:
        pass

    again = misspecified.study(PLAN, True, SEED, quiet)
    other = misspecified.study(PLAN, True, SEED + 1, quiet)
    known = record.summary["worlds"][PLAN.scenario]["controllers"]
    for key, measured in again.measured.items():
        np.testing.assert_array_equal(known[key]["gain"], measured.gain)
        assert not np.array_equal(known[key]["gain"], other.measured[key].gain)
