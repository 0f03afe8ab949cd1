"""`phalanx reproduce`: what there is, its files, its JSON, and its page drawn again."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from phalanx.experiments._panels import Claim, Curve, Panel, Table, reproduction
from phalanx.experiments.reproduce import REPRODUCTIONS
from phalanx.report import _theme

START = "from phalanx.cli import run; run()"


def small(quick: bool, seed: int, progress):
    """A record as a reproduction makes it, in no time."""
    progress(0.5, "half")
    progress(1.0, "done")
    x = np.arange(1.0, 4.0)
    return reproduction(
        "small",
        "A small study",
        "Does it hold?",
        [Panel("The gap falls", "k", "gap", [Curve("gap", x, 1 / x, 0.5 / x, 2 / x)], y_log=True)],
        [Table("Numbers", ["step", "error"], [["best", 0.125], ["worst", float("nan")]])],
        [
            Claim("It holds.", "P1", True, "By 1."),
            Claim("It is tight.", "P1", None, "Not decided."),
            Claim("It is fast.", "P1", False, "It is not."),
        ],
        {"quick": quick, "seed": seed},
        ["A note."],
        {"limit": float("inf"), "draws": np.array([1.0, np.nan])},
    )


@pytest.fixture
def stand_in(monkeypatch):
    """`stand_in(name)` puts the small record in the place of a reproduction that exists."""

    def put(name: str) -> None:
        module = importlib.import_module(f"phalanx.experiments.{REPRODUCTIONS[name].file}")
        assert callable(module.run)
        monkeypatch.setattr(module, "run", small)
        monkeypatch.setattr(_theme, "_png", lambda fig: b"")  # slow, and not looked at here

    return put


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def assert_refused(answer, *words: str) -> None:
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("phalanx: ")
    assert answer.err.count("\n") == 1
    for word in words:
        assert word in answer.err


# --- what there is -------------------------------------------------------------------------------


def test_without_a_name_the_reproductions_are_listed(phalanx, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    answer = phalanx("reproduce")
    assert (answer.code, answer.err) == (0, "")
    for name in REPRODUCTIONS:
        assert name in answer.out
    found = phalanx("reproduce", "--json").object
    assert [row["name"] for row in found["reproductions"]] == list(REPRODUCTIONS)
    assert all(set(row) == {"name", "title", "source", "time"} for row in found["reproductions"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["fig1c", "", "../x", "FIG1A", "x" * 300])
def test_an_unknown_name_is_refused_and_nothing_is_written(phalanx, monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    assert_refused(phalanx("reproduce", name), "reproduction", *REPRODUCTIONS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["--seed", "-1"], ["--seed", "x"], ["--quik"], ["more"]])
def test_a_bad_option_is_refused(phalanx, monkeypatch, tmp_path, words):
    monkeypatch.chdir(tmp_path)
    assert_refused(phalanx("reproduce", "fig1b", *words))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_refused(phalanx, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert_refused(phalanx("reproduce", "fig1b", "--out", tmp_path / "file"), "output folder")


# --- each of them, through a stand-in ------------------------------------------------------------


@pytest.mark.parametrize("name", REPRODUCTIONS)
def test_each_name_leads_to_its_record_its_page_and_its_figures(
    phalanx, stand_in, tmp_path, monkeypatch, name
):
    monkeypatch.chdir(tmp_path)
    stand_in(name)
    found = phalanx("reproduce", name, "--quick", "--json", "--seed", 7).object
    folder = tmp_path / "runs" / f"reproduce-{name}"
    assert (found["name"], found["quick"]) == (name, True)
    assert found["settings"] == {"quick": True, "seed": 7}
    assert (found["out"], found["report"]) == (
        f"runs/reproduce-{name}",
        f"runs/reproduce-{name}/report.html",
    )
    assert [claim["holds"] for claim in found["claims"]] == [True, None, False]
    assert found["notes"] == ["A note."]
    assert (found["limit"], found["draws"]) == (None, [1.0, None])
    assert "panels" not in found
    files = {"record.json", "series.nc", "report.html", "figures/small.svg", "figures/small.png"}
    assert set(bytes_of(folder)) == files
    made = json.loads((folder / "record.json").read_text())["provenance"]
    assert made["command"] == f"phalanx reproduce {name} --quick --seed 7"
    assert made["command"] in (folder / "report.html").read_text()


def test_the_full_size_is_asked_for_unless_quick_is_said(phalanx, stand_in, tmp_path):
    stand_in("fig1b")
    found = phalanx("reproduce", "fig1b", "--json", "--out", tmp_path / "out").object
    assert found["quick"] is False
    assert found["settings"]["quick"] is False


def test_words_for_people_have_every_verdict_number_and_note(phalanx, stand_in, tmp_path):
    stand_in("fig1b")
    answer = phalanx("reproduce", "fig1b", "--out", tmp_path / "out")
    assert (answer.code, answer.err) == (0, "")
    for words in (
        "A small study",
        "Does it hold?",
        "0.125",
        "- It holds. (P1): holds. By 1.",
        "- It is tight. (P1): undecided. Not decided.",
        "- It is fast. (P1): does not hold. It is not.",
        "note: A note.",
        f"Report: {tmp_path / 'out' / 'report.html'}",
    ):
        assert words in answer.out


def test_a_study_that_fails_leaves_no_folder(phalanx, monkeypatch, tmp_path):
    module = importlib.import_module("phalanx.experiments.fig1b")

    def fails(quick, seed, progress):
        raise ValueError("no such luck")

    monkeypatch.setattr(module, "run", fails)
    monkeypatch.delenv("PHALANX_DEBUG", raising=False)
    answer = phalanx("reproduce", "fig1b", "--out", tmp_path / "out")
    assert (answer.code, answer.out) == (1, "")
    assert "no such luck" in answer.err
    assert not (tmp_path / "out").exists()


# --- one of them as it is ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fig1b(tmp_path_factory):
    """(standard output, folder) of a process that made Fig. 1b, quick."""
    folder = tmp_path_factory.mktemp("reproduce")
    words = ["reproduce", "fig1b", "--quick", "--json", "--out", "out"]
    process = subprocess.Popen(
        [sys.executable, "-c", START, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONWARNINGS": "default"},
    )
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    return out, folder / "out"


def test_a_process_prints_one_json_object_and_writes_everything(fig1b):
    out, folder = fig1b
    assert out.count("\n") == 1

    def refuse(token):
        raise AssertionError(f"{token} is not JSON")

    found = json.loads(out, parse_constant=refuse)
    assert (found["name"], found["quick"]) == ("fig1b", True)
    assert all(set(claim) == {"text", "source", "holds", "measured"} for claim in found["claims"])
    files = {"record.json", "series.nc", "report.html", "figures/fig1b.svg", "figures/fig1b.png"}
    assert set(bytes_of(folder)) == files
    assert found["tables"] == json.loads((folder / "record.json").read_text())["summary"]["tables"]


def test_the_page_is_drawn_again_to_the_same_bytes(fig1b, phalanx, tmp_path):
    folder = fig1b[1]
    answer = phalanx("report", folder, "--out", tmp_path / "again", "--json")
    assert (answer.code, answer.err) == (0, "")
    again = bytes_of(tmp_path / "again")
    assert set(again) == {"report.html", "figures/fig1b.svg", "figures/fig1b.png"}
    before = bytes_of(folder)
    assert again == {name: before[name] for name in again}
