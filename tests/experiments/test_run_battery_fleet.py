"""The main job on the real world, with fifty homes instead of a thousand."""

import numpy as np
import pytest
import xarray
from runs import (
    KEYS,
    assert_attacks_cost_what_was_computed,
    assert_nobody_beats_the_saddle_point,
    assert_series_are_whole,
    rows,
)

import phalanx as px
from phalanx._record import Record, plain
from phalanx.experiments import fleet

HOMES = 50


@pytest.fixture(scope="module")
def record() -> Record:
    return fleet.run(px.scenario("battery-fleet"), n_agents=HOMES)


def test_all_controllers_are_there(record):
    assert list(rows(record)) == KEYS


def test_gamma_is_a_tenth_above_the_level_of_these_homes(record):
    level = px.attenuation_levels(px.scenario("battery-fleet").game, HOMES).population
    assert record.summary["design"]["gamma"] == pytest.approx(1.1 * level, rel=1e-9)


def test_the_certified_controller_keeps_its_promise(record):
    robust = rows(record)["robust"]
    assert robust["keeps_promise"]
    assert robust["worst_gain"] <= record.summary["guarantee"]


def test_doing_nothing_does_not(record):
    assert not rows(record)["idle"]["keeps_promise"]


def test_every_recorded_day_holds_the_pathwise_promise(record):
    days = rows(record)["robust"]["pathwise"]
    assert len(days) == 7
    assert all(day["holds"] and day["cost"] <= day["bound"] for day in days)


def test_attacks_cost_what_was_computed(record):
    assert_attacks_cost_what_was_computed(record)


def test_the_attack_has_the_energy_of_a_recorded_day(record):
    assert record.summary["attack_energy"] == pytest.approx(
        rows(record)["robust"]["recorded"]["disturbance_energy"] / 7, rel=1e-12
    )


def test_nobody_beats_the_saddle_point(record):
    assert_nobody_beats_the_saddle_point(record)


def test_all_controllers_meet_the_same_week(record):
    energies = [row["recorded"]["disturbance_energy"] for row in rows(record).values()]
    assert energies == [energies[0]] * len(KEYS)


def test_the_week_is_the_scenarios(record):
    world = px.scenario("battery-fleet").recorded
    played = record.series["recorded_d_bar"].values
    # The homes' own errors are drawn from a pool of mean 0: their sample's mean remains.
    assert np.corrcoef(played[:, 0], world.common[:, 0])[0, 1] > 0.9
    assert played.shape == world.common.shape


def test_states_are_carried_over_from_day_to_day(record):
    """Had they not been, every midnight would look like the first."""
    energy = record.series["recorded_x_bar"].sel(controller="robust").values[::96, 0]
    assert len(np.unique(energy)) == 7


def test_how_often_the_model_leaves_the_limits_is_counted(record):
    for row in rows(record).values():
        outside = np.array(row["recorded"]["outside_limits"])
        assert outside.shape == (3,)
        assert ((0 <= outside) & (outside <= 1)).all()
        assert outside[2] == 0  # the account has no limit


def test_series_are_whole(record):
    assert_series_are_whole(record)


def test_a_record_comes_back(record, tmp_path):
    loaded = Record.load(record.save(tmp_path))
    assert loaded.summary == plain(record.summary)
    xarray.testing.assert_identical(loaded.series, record.series)


def test_the_parameters_and_their_sources_are_kept(record):
    kept = record.summary["scenario"]["parameters"]
    assert len(kept) == len(px.scenario("battery-fleet").parameters)
    assert all(row["source"] for row in kept)
