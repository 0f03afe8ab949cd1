"""`phalanx run` in a linear world: names, words, files, refusals, exit codes."""

import pytest

from phalanx._record import Record

WORLD = """
name = "pair"
title = "A pair"
[system]
kind = "linear"
A = {A}
[[agent]]
B = {B}
K = {K}
[agent.cost]
Q = 1.0
[[agent]]
B = {B}
K = {K}
[agent.cost]
Q = 2.0
[disturbance]
kind = "sinusoid"
amplitude = 1.0
period = 20
[online]
rounds = 40
memory = 2
"""


@pytest.fixture
def pair(tmp_path):
    path = tmp_path / "pair.toml"
    path.write_text(WORLD.format(A=0.9, B=0.4, K='"lqr"'))
    return path


def test_one_object_with_a_row_for_everybody_and_a_page_that_is_drawn_again(
    phalanx, pair, tmp_path
):
    answer = phalanx("run", pair, "--json", "--out", tmp_path / "out")
    assert (answer.code, answer.err) == (0, "")
    found = answer.object
    assert (found["scenario"], found["rounds"]) == ("pair", 40)
    rows = {row["key"]: row for row in found["controllers"]}
    assert {"zero", "lqr", "hinf", "nash", "mpc", "gpc-independent", "gpc-aggregated"} <= set(rows)
    assert rows["gpc-independent"]["agents"][0]["regret_dac"] is not None
    assert not {"panels", "tables", "story"} & set(found)
    page = tmp_path / "out" / "report.html"
    assert found["report"] == str(page)
    before = page.read_bytes()
    page.unlink()
    assert phalanx("report", tmp_path / "out").code == 0
    assert page.read_bytes() == before


def test_rounds_can_be_chosen_and_are_in_the_command(phalanx, pair, tmp_path):
    found = phalanx("run", pair, "--rounds", 20, "--json", "--out", tmp_path / "out").object
    assert found["rounds"] == 20
    made = Record.load(tmp_path / "out").provenance
    assert made["command"] == "phalanx run pair.toml --seed 0 --rounds 20"


def test_words_for_people(phalanx, pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = phalanx("run", pair)
    assert (answer.code, answer.err) == (0, "")
    for words in ("A pair", "own LQR", "Mean cost of a round", "Regret", "did best", "note: "):
        assert words in answer.out
    assert answer.out.strip().endswith("Report: runs/pair/report.html")


@pytest.mark.parametrize("option", [["--gamma", "3"], ["--agents", "5"], ["--float32"]])
def test_options_of_fleets_are_refused(phalanx, pair, tmp_path, option):
    answer = phalanx("run", pair, *option, "--out", tmp_path / "out")
    assert (answer.code, answer.out) == (2, "")
    assert (
        answer.err
        == f"phalanx: {option[0]} is for mean-field fleets, and pair is a linear world; leave it out.\n"
    )
    assert not (tmp_path / "out").exists()


def test_rounds_of_a_fleet_are_refused(phalanx):
    answer = phalanx("run", "two-by-two", "--rounds", "5")
    assert answer.code == 2
    assert "--rounds is for linear worlds" in answer.err


def test_no_rounds_are_refused_and_leave_nothing(phalanx, pair, tmp_path):
    answer = phalanx("run", pair, "--rounds", 0, "--out", tmp_path / "out")
    assert (answer.code, answer.out) == (2, "")
    assert "rounds must be a whole number from 1" in answer.err
    assert not (tmp_path / "out").exists()


def test_a_world_nobody_can_hold_is_kept_and_exits_with_three(phalanx, tmp_path):
    path = tmp_path / "wild.toml"
    path.write_text(WORLD.format(A=9.0, B=0.0, K='"zero"'))
    answer = phalanx("run", path, "--json", "--out", tmp_path / "out")
    assert answer.code == 3
    assert "no controller played to the end" in answer.err
    assert {row["mean_cost"] for row in answer.object["controllers"]} == {None}
    assert Record.load(tmp_path / "out").kind == "online-run"


def test_the_list_of_worlds_has_the_grid_with_size_data_and_licence(phalanx):
    rows = {row["name"]: row for row in phalanx("scenarios", "--json").object["scenarios"]}
    grid = rows["power-grid"]
    assert (grid["agents"], grid["state"], grid["control"], grid["horizon"]) == (9, 122, 1, 3000)
    assert "tops" in grid["data"]
    assert "MIT" in grid["licence"]
    assert "ODbL" in grid["licence"]
