"""The main job on worlds at the edge: stationary, one agent, nothing but a bare file."""

import json

import numpy as np
import pytest
from runs import KEYS, assert_attacks_cost_what_was_computed, assert_series_are_whole, rows

import phalanx as px
from phalanx._record import Record, plain
from phalanx.experiments import fleet

WORLD = """
name = "valve"
[system]
kind = "mean-field"
A = {A}
A_bar = 0.1
B = 1.0
[cost]
Q = 1.0
[noise]
Sigma = 0.1
[game]
horizon = {horizon}
agents = {agents}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    def make(A="0.9", horizon="3", agents="4", more="") -> px.Scenario:
        path = tmp_path_factory.mktemp("worlds") / "valve.toml"
        path.write_text(WORLD.format(A=A, horizon=horizon, agents=agents) + more)
        return px.scenario(path)

    return make


@pytest.fixture(scope="module")
def stationary(world) -> Record:
    return fleet.run(world(horizon="inf"))


def test_a_stationary_world_runs_through(stationary):
    assert list(rows(stationary)) == KEYS
    assert stationary.summary["scenario"]["stationary"]
    assert stationary.summary["scenario"]["horizon"] is None


def test_its_certified_controller_keeps_its_promise(stationary):
    assert rows(stationary)["robust"]["keeps_promise"]


def test_its_attacks_cost_what_was_computed(stationary):
    assert_attacks_cost_what_was_computed(stationary)


def test_its_attacks_stay_below_the_worst_gain_of_all_time(stationary):
    for row in rows(stationary).values():
        assert row["attack"]["exact"] <= row["worst_gain"] * row["attack"]["energy"] * (1 + 1e-9)


def test_its_series_are_whole(stationary):
    assert_series_are_whole(stationary)
    assert stationary.series["K1"].dims == ("control", "state")


def test_it_comes_back_from_a_file(stationary, tmp_path):
    loaded = Record.load(stationary.save(tmp_path))
    assert loaded.summary == plain(stationary.summary)


def test_a_controller_that_diverges_says_so_and_the_others_go_on(world, tmp_path):
    """Left alone, the state grows beyond any number within the rounds."""
    record = fleet.run(world(A="60.0", horizon="inf"))
    idle = rows(record)["idle"]
    assert "grew beyond any number" in idle["failure"]
    assert not idle["keeps_promise"]
    assert "recorded" not in idle
    assert "idle" not in record.series["controller"].values
    saved = json.loads((record.save(tmp_path) / "record.json").read_text())
    last = saved["summary"]["controllers"][-1]
    assert (last["key"], last["worst_gain"]) == ("idle", None)
    assert rows(record)["robust"]["keeps_promise"]


@pytest.fixture(scope="module")
def alone(world) -> Record:
    return fleet.run(world(agents="1"))


def test_one_agent_runs_through(alone):
    assert list(rows(alone)) == KEYS
    assert alone.summary["scenario"]["agents_simulated"] == 1


def test_one_agent_has_no_deviations(alone):
    for row in rows(alone).values():
        assert row["worst_gain_deviation"] == 0.0
        assert row["attack"]["through"] == "mean"


def test_one_agents_attacks_cost_what_was_computed(alone):
    assert_attacks_cost_what_was_computed(alone)
    assert rows(alone)["robust"]["keeps_promise"]


def test_one_agents_spread_is_nothing(alone):
    assert np.abs(alone.series["recorded_x_std"]).max() < 1e-12


# --- a recorded world of one's own --------------------------------------------------------------


def test_a_recorded_signal_is_played_and_held_to_the_promise(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("worlds")
    signal = np.random.default_rng(0).normal(size=(9, 1))
    np.save(folder / "wind.npy", signal)
    (folder / "valve.toml").write_text(
        WORLD.format(A="0.9", horizon=3, agents=1)
        + '[disturbance]\nkind = "replay"\nfile = "wind.npy"\n'
    )
    record = fleet.run(px.scenario(folder / "valve.toml"))
    np.testing.assert_array_equal(record.series["recorded_d_bar"].values, signal)
    robust = rows(record)["robust"]
    assert [day["holds"] for day in robust["pathwise"]] == [True] * 3
    assert robust["recorded"]["disturbance_energy"] == pytest.approx(np.sum(signal**2))
