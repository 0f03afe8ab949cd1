"""`phalanx play`: linear worlds from TOML, what it prints, and a sentence for everything that is wrong."""

import numpy as np
import pytest
from test_bad_input import assert_refused

WAVE = np.sin(np.arange(200) / (2 * np.pi))[:, None] * np.ones(2)

LINEAR = """
name = "small"
{top}
[system]
kind = "linear"
A = [[1.0, 1.0], [0.0, 1.0]]
{system}
[[agent]]
B = {B}
K = {K}
{agent}
[agent.cost]
{cost}
{more}
[disturbance]
{disturbance}
[online]
rounds = {rounds}
{online}
"""
PLAIN = {
    "top": "",
    "system": "",
    "B": "[[0.0], [1.0]]",
    "K": '"lqr"',
    "agent": "",
    "cost": "Q = 1.0\nR = 1.0",
    "more": "",
    "disturbance": 'kind = "replay"\nfile = "w.csv"',
    "rounds": "200",
    "online": "memory = 3",
}


@pytest.fixture
def linear(tmp_path):
    """Write the small linear world, some of its parts changed."""
    np.savetxt(tmp_path / "w.csv", WAVE, delimiter=",")

    def write(**changes: str):
        path = tmp_path / "small.toml"
        path.write_text(LINEAR.format(**PLAIN | changes), encoding="utf-8")
        return path

    return write


@pytest.fixture
def untouched(tmp_path, monkeypatch):
    """The working folder, in which nothing may appear."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield folder
    assert list(folder.iterdir()) == []


# --- what it gives back ------------------------------------------------------------------------


@pytest.fixture
def played(phalanx, linear, tmp_path):
    answer = phalanx("play", linear(), "--json", "--out", tmp_path / "out")
    assert (answer.code, answer.err) == (0, "")
    return answer.object


def test_json(played, tmp_path):
    assert played["scenario"] == "small"
    assert (played["controller"], played["setting"]) == ("gpc", "independent")
    assert (played["rounds"], played["rounds_played"], played["outcome"]) == (200, 200, "solved")
    assert (played["memory"], played["step_size"], played["radius"]) == (3, 0.003, 10.0)
    assert played["warnings"] == []
    (agent,) = played["agents"]
    assert agent["mean_cost"] == pytest.approx(agent["total_cost"] / 200)
    assert agent["regret_dac"] == pytest.approx(agent["total_cost"] - agent["best_dac_cost"])
    assert agent["regret_linear"] == pytest.approx(agent["total_cost"] - agent["best_linear_cost"])
    assert agent["counterfactual"] == "open-loop"
    assert np.shape(agent["final_M"]) == (3, 1, 2)
    assert played["equilibrium_gap"] is None
    assert any("equilibrium_gap is null" in note for note in played["notes"])
    assert played["spectral_radius_joint"] < 1
    assert (tmp_path / "out" / "record.json").is_file()


def test_its_report_is_rebuilt_to_the_byte(phalanx, played, tmp_path):
    page = tmp_path / "out" / "report.html"
    before = page.read_bytes()
    page.unlink()
    assert phalanx("report", tmp_path / "out").code == 0
    assert page.read_bytes() == before
    assert b"phalanx play small.toml --seed 0 --controller gpc" in before


def test_options_come_before_the_file(phalanx, linear, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("--rounds", "50", "--memory", "2", "--step-size", "0.1/sqrt", "--radius", "2.5")
    more = ("--decay", "0.1", "--setting", "aggregated", "--hindsight", "none", "--seed", "4")
    got = phalanx("play", linear(), *words, *more, "--json").object
    assert (got["rounds"], got["memory"], got["radius"], got["decay"]) == (50, 2, 2.5, 0.1)
    assert got["step_size"] == {"initial": 0.1, "decay": "sqrt"}
    assert (got["setting"], got["seed"]) == ("aggregated", 4)
    assert got["agents"][0]["best_dac_cost"] is None
    assert got["equilibrium_gap"]["mean"] >= 0  # one agent, and all costs are common
    assert (tmp_path / "runs" / "small-play-gpc" / "report.html").is_file()


def test_words(phalanx, linear, tmp_path):
    answer = phalanx("play", linear(), "-c", "lqr", "--hindsight", "dac", "-o", tmp_path / "out")
    assert answer.code == 0
    for words in ("own LQR", "200 rounds", "mean cost", "best DAC", "Report: "):
        assert words in answer.out


TWO = """
[[agent]]
B = [[0.0], [1.0]]
K = {K}
[agent.cost]
Q = 1.0
"""


def test_a_user_is_warned_before_the_first_round_and_a_blow_up_keeps_its_record(
    phalanx, linear, tmp_path
):
    K = "[[0.6, 1.6]]"
    path = linear(
        K=K,
        more=TWO.format(K=K),
        disturbance='kind = "gaussian"\ncovariance = 1.0',
        rounds="5000",
    )
    answer = phalanx("play", path, "--json", "--out", tmp_path / "out")
    got = answer.object
    assert answer.code == 3
    warning, sentence = answer.err.splitlines()
    assert "Every agent alone is stable, all together are not" in warning
    assert got["warnings"] == [warning.removeprefix("phalanx: warning: ")]
    assert got["outcome"] == "diverged"
    assert f"In round {got['rounds_played']} " in sentence
    assert "step size" in sentence
    assert 0 < got["rounds_played"] < 5000
    assert (tmp_path / "out" / "series.nc").is_file()
    assert (tmp_path / "out" / "report.html").is_file()


# --- what is refused ---------------------------------------------------------------------------

CHANGES: dict[str, tuple[dict[str, str], list[str]]] = {
    # keys and tables
    "unknown key": ({"top": 'titel = "x"'}, ["'titel'", "'title'"]),
    "unknown key in system": ({"system": "F = 1"}, ["'F' in [system]", "known key"]),
    "unknown key in agent": ({"agent": "k = 1"}, ["'k' in [agent] of agent 0", "'K'"]),
    "unknown key in cost": (
        {"cost": "Q = 1.0\nr = 1.0"},
        ["'r' in [agent.cost] of agent 0", "'R'"],
    ),
    "unknown key in online": ({"online": "memry = 3"}, ["'memry' in [online]", "'memory'"]),
    "unknown key in disturbance": (
        {"disturbance": 'kind = "step"\nsise = 1.0'},
        ["'sise' in [disturbance]", "'size'"],
    ),
    "a table of another kind": (
        {"more": "[game]\nhorizon = 3"},
        ["[game]", "mean-field", "[[agent]]"],
    ),
    "no Q": ({"cost": "R = 1.0"}, ["'Q'", "[agent.cost] of agent 0", "'quadratic'"]),
    "another cost's key": (
        {"cost": "Q = 1.0\nwidth = 1.0"},
        ["'width'", "[agent.cost] of agent 0", "'quadratic'"],
    ),
    "unknown cost": (
        {"cost": 'kind = "cubic"'},
        ["[agent.cost] kind of agent 0", "'huber'", "'cubic'"],
    ),
    "unknown disturbance": (
        {"disturbance": 'kind = "gausian"'},
        ["[disturbance] kind", "'adversary'", "'gausian'"],
    ),
    "second agent without B": (
        {"more": "[[agent]]\ncost = {Q = 1.0}"},
        ["'B' is missing in [agent] of agent 1"],
    ),
    "second agent without cost": (
        {"more": "[[agent]]\nB = [[0.0], [1.0]]"},
        ["[agent.cost] of agent 1 is missing"],
    ),
    "name with a folder": ({"top": "", "agent": "name = 3"}, ["[agent] name of agent 0", "string"]),
    # shapes and numbers
    "B transposed": ({"B": "[[0.0, 1.0]]"}, ["B of agent 0 has shape (1, 2)", "transposed"]),
    "B a list": ({"B": "[0.0, 1.0]"}, ["B of agent 0 has shape (2,)", "one row per entry"]),
    "B with a word": ({"B": '[["a"], [1.0]]'}, ["B of agent 0", "numbers only", "'a'"]),
    "B not finite": ({"B": "[[nan], [1.0]]"}, ["B of agent 0 must be finite"]),
    "E of the wrong shape": ({"system": "E = [[1.0, 0.0]]"}, ["E has shape (1, 2)"]),
    "x0 too short": ({"system": "x0 = [1.0]"}, ["x0 has shape (1,)", "(2,)"]),
    "A varies": (
        {"system": "", "B": "[[[0.0], [1.0]], [[0.0], [1.0]]]"},
        ["B of agent 0 varies in time"],
    ),
    "K of the wrong shape": ({"K": "[[1.0]]"}, ["K of agent 0 has shape (1, 1)", "(1, 2)"]),
    "K unknown": ({"K": '"lqg"'}, ["K of agent 0", "'lqr'", "'lqg'"]),
    "Q too large": (
        {"cost": "Q = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]"},
        ["[agent.cost] of agent 0", "Q has shape (3, 3)"],
    ),
    "target too wide": (
        {"cost": 'kind = "tracking"\ntarget = [[1.0, 2.0, 3.0]]'},
        ["[agent.cost] of agent 0", "target has shape (1, 3)", "2 columns"],
    ),
    # convexity
    "Q indefinite": (
        {"cost": "Q = [[1.0, 0.0], [0.0, -1.0]]"},
        ["[agent.cost] of agent 0", "not convex", "Q must be positive semidefinite", "-1"],
    ),
    "R negative": (
        {"cost": "Q = 1.0\nR = -2.0", "K": '"zero"'},
        ["[agent.cost] of agent 0", "not convex", "R must be positive semidefinite", "-2"],
    ),
    "Huber negative": (
        {"cost": 'kind = "huber"\nweight = -1.0', "K": '"zero"'},
        ["[agent.cost] of agent 0", "weights", "-1"],
    ),
    # gains
    "K does not stabilise": (
        {"K": "[[0.0, 3.0]]"},
        ["K of agent 0 does not stabilise", "eigenvalue -2 (modulus 2)"],
    ),
    "zero does not stabilise": ({"K": '"zero"'}, ["K of agent 0", "eigenvalue 1 (modulus 1)"]),
    "nothing can stabilise": (
        {"B": "[[1.0], [0.0]]", "system": ""},
        ['K of agent 0 cannot be "lqr"', "eigenvalue 1"],
    ),
    "no regulator for this cost": (
        {"cost": 'kind = "huber"'},
        ['K of agent 0 cannot be "lqr"', "quadratic weights", '"zero"'],
    ),
    # [online]
    "memory 0": ({"online": "memory = 0"}, ["[online] memory", "from 1", "0"]),
    "memory fractional": ({"online": "memory = 2.5"}, ["[online] memory", "2.5"]),
    "memory a truth value": ({"online": "memory = true"}, ["[online] memory", "True"]),
    "setting unknown": (
        {"online": 'setting = "agregated"'},
        ["[online] setting", "did you mean 'aggregated'?"],
    ),
    "step size 0": ({"online": "step_size = 0"}, ["[online] step_size", "positive", "0"]),
    "step size with another decay": (
        {"online": 'step_size = {initial = 0.1, decay = "linear"}'},
        ["[online] step_size", '"sqrt"', "'linear'"],
    ),
    "radius negative": ({"online": "radius = -1"}, ["[online] radius", "positive", "-1"]),
    "decay 1": ({"online": "decay = 1.0"}, ["[online] decay", "below 1", "1.0"]),
    "rounds 0": ({"rounds": "0"}, ["[online] rounds", "from 1", "0"]),
    # records
    "record too short": (
        {"rounds": "201"},
        ["[disturbance] file has 200 rows", "[online] rounds is 201"],
    ),
    "record not finite": (
        {"disturbance": 'kind = "replay"\nfile = "nan.csv"', "rounds": "3"},
        ["[disturbance] file must be finite", "row 2 ", "nan"],
    ),
    "record too wide": (
        {"disturbance": 'kind = "replay"\nfile = "wide.csv"'},
        ["[disturbance] file has shape (2, 3)", "(T, 2)"],
    ),
    "no such record": (
        {"disturbance": 'kind = "replay"\nfile = "absent.csv"'},
        ["[disturbance] file", "absent.csv"],
    ),
    "adversary without anything": (
        {"disturbance": 'kind = "adversary"'},
        ["'adversary'", "'gain'", "'size'"],
    ),
    "adversary of the wrong shape": (
        {"disturbance": 'kind = "adversary"\ngain = [[1.0]]'},
        ["[disturbance] gain has shape (1, 1)", "(2, 2)"],
    ),
    "adversary of negative size": (
        {"disturbance": 'kind = "adversary"\nsize = -1.0'},
        ["[disturbance] size", "not negative", "-1"],
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_world_with_something_wrong(phalanx, linear, untouched, tmp_path, case):
    (tmp_path / "nan.csv").write_text("1,2\n3,4\n5,nan\n7,8\n")
    (tmp_path / "wide.csv").write_text("1,2,3\n4,5,6\n")
    changes, words = CHANGES[case]
    # What only a play can tell does not begin with the file's name.
    assert_refused(phalanx("play", linear(**changes), "--out", untouched / "out"), *words)


def test_one_bracket_too_few(phalanx, linear, untouched):
    path = linear()
    path.write_text(path.read_text().replace("[[agent]]", "[agent]"))
    assert_refused(phalanx("play", path), "[[agent]]", "two brackets")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--controller", "ppo"], ["controller", "gpc", "'ppo'"]),
        (["--controller", "../x"], ["controller", "'../x'"]),
        (["--memory", "0"], ["memory", "0"]),
        (["--memory", "many"], ["memory", "'many'"]),
        (["--memory", "inf"], ["memory", "'inf'"]),
        (["--step-size", "-1"], ["step_size", "-1"]),
        (["--step-size", "fast"], ["step_size", "'fast'"]),
        (["--step-size", "x/sqrt"], ["step_size", "sqrt"]),
        (["--radius", "0"], ["radius", "0"]),
        (["--decay", "1"], ["decay", "1.0"]),
        (["--setting", "telepathic"], ["setting", "'telepathic'"]),
        (["--rounds", "0"], ["rounds", "0"]),
        (["--rounds", "1000"], ["rounds is 1000", "200 rows"]),
        (["--hindsight", "some"], ["hindsight", "'some'"]),
        (["--gamma", "3"], ["--gamma"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_bad_option(phalanx, linear, untouched, words, named):
    assert_refused(phalanx("play", linear(), *words), *named)


@pytest.mark.parametrize("command", ["design", "learn"])
def test_a_linear_world_is_played_and_nothing_else(phalanx, linear, untouched, command):
    assert_refused(
        phalanx(command, linear()), "small is a linear world", f"`{command}`", "`phalanx play "
    )


def test_a_fleet_is_not_played(phalanx, untouched):
    answer = phalanx("play", "two-by-two")
    assert_refused(answer, "two-by-two is a mean-field fleet", "phalanx run two-by-two")


def test_with_json_a_refusal_prints_nothing_on_standard_output(phalanx, linear, untouched):
    assert_refused(phalanx("play", linear(), "--memory", "0", "--json"), "memory")
