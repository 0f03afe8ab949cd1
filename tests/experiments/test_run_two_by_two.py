"""The main job on the reference case: as a function, and as `phalanx run` from end to end.

One file, because all of it shares the simulations' compiled programs.
"""

import json

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
from phalanx.cli import main
from phalanx.experiments import fleet
from phalanx.experiments.design import design, design_summary

AGENTS = 10


@pytest.fixture(scope="module")
def record() -> Record:
    return fleet.run(px.scenario("two-by-two"), n_agents=AGENTS)


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> dict:
    """What `phalanx run two-by-two --agents 10 --json` printed, and the folder it wrote."""
    import contextlib
    import io

    folder = tmp_path_factory.mktemp("runs") / "two"
    out, err = io.StringIO(), io.StringIO()
    words = ["run", "two-by-two", "--agents", str(AGENTS), "--json", "--out", str(folder)]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    return {"code": code, "out": out.getvalue(), "err": err.getvalue(), "folder": folder}


# --- the function ------------------------------------------------------------------------------


def test_all_controllers_are_there(record):
    assert list(rows(record)) == KEYS


def test_the_design_is_the_design_commands(record):
    certificate = design(px.scenario("two-by-two"), n_agents=AGENTS)
    assert plain(record.summary["design"]) == plain(design_summary(certificate))


def test_the_guarantee_is_gamma_squared(record):
    assert record.summary["guarantee"] == record.summary["design"]["gamma"] ** 2


def test_the_certified_controller_keeps_its_promise(record):
    robust = rows(record)["robust"]
    assert robust["keeps_promise"]
    assert robust["worst_gain"] <= record.summary["guarantee"]


def test_doing_nothing_does_not(record):
    assert not rows(record)["idle"]["keeps_promise"]


def test_worst_gains_are_the_induced_gains(record):
    game = px.scenario("two-by-two").game
    gains = px.baselines.lqr(game)
    found = rows(record)["lqr"]
    exact = px.induced_gain(game, gains.K, gains.L, AGENTS)
    assert (found["worst_gain"], found["worst_gain_mean"]) == (exact.gain, exact.mean)


def test_attacks_cost_what_was_computed(record):
    assert_attacks_cost_what_was_computed(record)


def test_attacks_come_close_to_the_worst_gain(record):
    for row in rows(record).values():
        attack = row["attack"]
        assert attack["exact"] / attack["energy"] == pytest.approx(row["worst_gain"], rel=1e-9)


def test_nobody_beats_the_saddle_point(record):
    assert_nobody_beats_the_saddle_point(record)


def test_the_value_is_that_of_these_agents(record):
    assert rows(record)["robust"]["adversary"]["value"] == pytest.approx(
        record.summary["design"]["value"], rel=1e-12
    )


def test_the_noise_gain_lies_below_the_guarantee(record):
    measured = record.summary["noise_gain"]
    assert measured["low"] < measured["ratio"] < measured["high"]
    assert measured["low"] <= record.summary["guarantee"]


def test_with_process_noise_no_single_run_is_held_to_the_promise(record):
    assert rows(record)["robust"]["pathwise"] is None


def test_series_are_whole(record):
    assert_series_are_whole(record)


def test_series_are_labelled(record):
    paths = record.series
    assert list(paths["controller"].values) == KEYS
    assert paths["recorded_x_bar"].dims == ("controller", "round", "state")
    assert paths["recorded_x_bar"].shape == (5, 10, 2)
    assert paths["K1"].dims == ("stage", "control", "state")
    np.testing.assert_array_equal(paths["L2"].values, record.summary["design"]["L2"])


def test_attacks_start_from_rest(record):
    assert not record.series["attack_x_bar"].isel(attack_time=0).any()


def test_all_controllers_start_from_the_same_states(record):
    start = record.series["recorded_x_bar"].isel(round=0)
    assert start.any()
    np.testing.assert_array_equal(start, np.broadcast_to(start[0], start.shape))


def test_a_record_comes_back(record, tmp_path):
    loaded = Record.load(record.save(tmp_path))
    assert loaded.summary == plain(record.summary)
    xarray.testing.assert_identical(loaded.series, record.series)


def test_the_same_seed_gives_the_same_bytes(record, tmp_path):
    again = fleet.run(px.scenario("two-by-two"), n_agents=AGENTS)
    pages = [
        (r.save(_made(tmp_path / name)) / "record.json").read_bytes()
        for name, r in (("a", record), ("b", again))
    ]
    assert pages[0] == pages[1]
    xarray.testing.assert_identical(record.series, again.series)


def test_another_seed_gives_another_run_of_the_same_design(record):
    other = fleet.run(px.scenario("two-by-two"), n_agents=AGENTS, seed=1)
    assert plain(other.summary["design"]) == plain(record.summary["design"])
    costs = [rows(r)["robust"]["recorded"]["cost"] for r in (record, other)]
    assert costs[0] != costs[1]


def _made(folder):
    folder.mkdir()
    return folder


def test_progress_is_told_at_every_step():
    told = []
    fleet.run(px.scenario("two-by-two"), n_agents=AGENTS, progress=told.append)
    assert told[0] == "levels and gains"
    assert len(told) == 2 + 2 * len(KEYS)


def test_the_mean_field_limit_is_simulated_by_many(record, monkeypatch):
    monkeypatch.setattr(fleet, "STAND_IN", AGENTS)
    limit = fleet.run(px.scenario("two-by-two"), n_agents=float("inf"))
    assert limit.summary["scenario"]["agents_simulated"] == AGENTS
    assert plain(limit.summary["design"])["n_agents"] is None
    assert rows(limit)["robust"]["keeps_promise"]
    assert_attacks_cost_what_was_computed(limit)


def test_a_gamma_without_a_saddle_point_is_refused():
    with pytest.raises(px.NoSolutionError, match=r"the saddle level is 1\.795308633"):
        fleet.run(px.scenario("two-by-two"), gamma=1.5)


def test_a_gamma_that_misses_the_noise_budget_is_run_all_the_same():
    missed = fleet.run(px.scenario("two-by-two"), gamma=2.0, n_agents=AGENTS)
    assert not missed.summary["design"]["viable"]
    assert rows(missed)["robust"]["worst_gain"] <= 4.0


# --- the command -------------------------------------------------------------------------------


def test_run_ends_well(said):
    assert (said["code"], said["err"]) == (0, "")


def test_run_prints_one_object(said):
    def refuse(token):
        raise AssertionError(token)

    assert said["out"].count("\n") == 1
    found = json.loads(said["out"], parse_constant=refuse)
    assert found["scenario"] == "two-by-two"
    assert found["gamma_population"] == pytest.approx(2.708150580893253, rel=1e-9)
    assert np.shape(found["K1"]) == (10, 2, 2)
    assert [row["key"] for row in found["controllers"]] == KEYS


def test_run_prints_what_it_saved(said):
    found = json.loads(said["out"])
    saved = Record.load(said["folder"]).summary
    assert {name: found[name] for name in saved["design"]} == saved["design"]
    assert found["controllers"] == saved["controllers"]


def test_run_is_the_function(said, record):
    assert Record.load(said["folder"]).summary == plain(record.summary)


def test_run_leaves_a_page_that_is_whole_in_itself(said):
    page = (said["folder"] / "report.html").read_text(encoding="utf-8")
    assert json.loads(said["out"])["report"].endswith("report.html")
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert "two" in page


def test_run_keeps_its_command_and_no_folder_of_this_machine(said):
    record = Record.load(said["folder"])
    assert record.provenance["command"] == "phalanx run two-by-two --agents 10 --seed 0"
    assert str(said["folder"].parent) not in (said["folder"] / "record.json").read_text()


def test_the_same_words_give_the_same_bytes(said, tmp_path, capsys):
    words = ["run", "two-by-two", "--agents", str(AGENTS), "--json"]
    assert main([*words, "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    for name in ("record.json", "report.html"):
        assert (tmp_path / name).read_bytes() == (said["folder"] / name).read_bytes(), name


def test_other_words_give_other_bytes(said, tmp_path, capsys):
    words = ["run", "two-by-two", "--agents", str(AGENTS), "--seed", "1", "--json"]
    assert main([*words, "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    first, second = (f / "record.json" for f in (said["folder"], tmp_path))
    assert first.read_bytes() != second.read_bytes()


def test_report_makes_the_same_page_again(said, tmp_path, capsys):
    assert main(["report", str(said["folder"]), "--out", str(tmp_path / "page"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["scenario"] == "two-by-two"
    page = (said["folder"] / "report.html").read_bytes()
    assert (tmp_path / "page" / "report.html").read_bytes() == page


def test_without_json_run_ends_in_a_table(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "two-by-two", "--agents", str(AGENTS)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "Against the others" in out
    assert "certified robust" in out
    assert (tmp_path / "runs" / "two-by-two" / "report.html").is_file()
