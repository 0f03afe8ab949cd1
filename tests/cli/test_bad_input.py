"""Bad input: exit code 2, one sentence that names what is wrong, nothing printed, nothing written."""

import numpy as np
import pytest

STAGES = "[[[0.9, 0.2], [0.1, 0.8]], [[0.9, 0.2], [0.1, 0.8]]]"


def assert_refused(answer, *words: str) -> None:
    """Exit code 2, and one sentence with these words on standard error."""
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("phalanx: ")
    assert answer.err.endswith("\n")
    assert answer.err.count("\n") == 1
    assert "Traceback" not in answer.err
    for word in words:
        assert word in answer.err


@pytest.fixture
def untouched(tmp_path, monkeypatch):
    """The working folder, in which nothing may appear."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield folder
    assert list(folder.iterdir()) == []


# --- what a scenario file can get wrong ---------------------------------------------------------

CHANGES: dict[str, tuple[dict[str, str | None], list[str]]] = {
    # unknown keys, in every table, with the nearest known one
    "unknown key": ({"titel": '"x"'}, ["'titel'", "'title'"]),
    "unknown table": ({"gmae.horizon": "3"}, ["'gmae'", "'game'"]),
    "unknown key in system": ({"system.Abar": "0.0"}, ["'Abar' in [system]", "'A_bar'"]),
    "unknown key in cost": ({"cost.q": "1.0"}, ["'q' in [cost]", "'Q'"]),
    "unknown key in noise": ({"noise.sigma_0": "1.0"}, ["'sigma_0' in [noise]", "'Sigma_0'"]),
    "unknown key in game": ({"game.agent": "3"}, ["'agent' in [game]", "'agents'"]),
    "unknown key in labels": ({"labels.state": "[]"}, ["'state' in [labels]", "'states'"]),
    "unknown key in limits": ({"limits.lo": "[]"}, ["'lo' in [limits]", "'low'"]),
    "unknown key in disturbance": (
        {"disturbance.kind": '"step"', "disturbance.sise": "1.0"},
        ["'sise' in [disturbance]", "'size'"],
    ),
    # missing keys and tables
    "no system": ({"system": None}, ["[system] is missing"]),
    "no cost": ({"cost": None}, ["[cost] is missing"]),
    "no game": ({"game": None}, ["[game] is missing"]),
    "no kind": ({"system.kind": None}, ["'kind' is missing in [system]"]),
    "no A": ({"system.A": None}, ["'A' is missing in [system]"]),
    "no B": ({"system.B": None}, ["'B' is missing in [system]"]),
    "no Q": ({"cost.Q": None}, ["'Q' is missing in [cost]"]),
    "no horizon": ({"game.horizon": None}, ["'horizon' is missing in [game]"]),
    "no high": ({"limits.low": "[0.0, 0.0]"}, ["'high' is missing in [limits]"]),
    "no disturbance kind": (
        {"disturbance.size": "1.0"},
        ["'kind' is missing in [disturbance]"],
    ),
    # tables and kinds
    "a table that is none": ({"system": "3"}, ["[system] must be a table", "3"]),
    "unknown kind": ({"system.kind": '"meanfield"'}, ["[system] kind", "'mean-field'"]),
    "kind linear": ({"system.kind": '"linear"'}, ["linear", "mean-field"]),
    "name with a folder": ({"name": '"../elsewhere"'}, ["name", "plain", "'../elsewhere'"]),
    "name that is none": ({"name": '".."'}, ["name", "plain"]),
    "name not a string": ({"name": "3"}, ["name must be a string", "3"]),
    # shapes
    "A not square": ({"system.A": "[[0.9, 0.2]]"}, ["A has shape (1, 2)", "(2, 2)"]),
    "A a list": ({"system.A": "[0.9, 0.2]"}, ["A has shape (2,)"]),
    "A empty": ({"system.A": "[]"}, ["A has shape (0,)"]),
    "B transposed": ({"system.B": "[[1.0, 0.0]]"}, ["B has shape (1, 2)", "(2, 2)"]),
    "B scalar, not square": (
        {"system.B": "1.0", "system.B_bar": "[[1.0], [0.0]]"},
        ["B is the scalar 1", "(2, 1)", "not square"],
    ),
    "Q too large": (
        {"cost.Q": "[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]"},
        ["Q has shape (3, 3)", "(2, 2)"],
    ),
    "R not square": ({"cost.R": "[[1.0, 0.0]]"}, ["R has shape (1, 2)"]),
    "Sigma too large": (
        {"noise.Sigma": "[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]"},
        ["Sigma has shape (3, 3)"],
    ),
    "x0 too short": ({"system.x0": "[1.0]"}, ["x0 has shape (1,)", "(2,)"]),
    "too few labels": ({"labels.states": '["x"]'}, ["[labels] states", "1", "2"]),
    "limits too short": (
        {"limits.low": "[0.0]", "limits.high": "[1.0]"},
        ["[limits] low", "2 numbers"],
    ),
    "limits crossed": (
        {"limits.low": "[0.0, 2.0]", "limits.high": "[1.0, 1.0]"},
        ["[limits] low", "high", "entry 1"],
    ),
    # entries
    "ragged": ({"system.A": "[[0.9, 0.2], [0.1]]"}, ["A is ragged"]),
    "a word": ({"system.A": '[[0.9, "b"], [0.1, 0.8]]'}, ["[system] A", "numbers only", "'b'"]),
    "numbers as words": ({"cost.Q": '[["1.0", "0"], ["0", "1"]]'}, ["[cost] Q", "numbers only"]),
    "truth values": ({"cost.Q": "[[true, false], [false, true]]"}, ["[cost] Q", "numbers only"]),
    "a date": ({"noise.Sigma": "2016-01-01"}, ["[noise] Sigma", "numbers only"]),
    "a file name alone": ({"system.A": '"A.csv"'}, ["[system] A", "{file = 'A.csv'}"]),
    "NaN": ({"system.A": "[[nan, 0.2], [0.1, 0.8]]"}, ["A must be finite", "nan", "(0, 0)"]),
    "infinity": ({"system.B": "[[1.0, 0.0], [0.2, inf]]"}, ["B must be finite", "inf", "(1, 1)"]),
    "NaN in Q": ({"cost.Q": "nan"}, ["Q must be finite"]),
    "NaN in Sigma": ({"noise.Sigma": "nan"}, ["Sigma must be finite"]),
    "infinite x0": ({"system.x0": "[0.0, inf]"}, ["x0 must be finite"]),
    "a label that is none": ({"labels.states": '["x", 1]'}, ["[labels] states[1]", "string"]),
    "a limit that is none": (
        {"limits.low": '["a", 0.0]', "limits.high": "[1.0, 1.0]"},
        ["[limits] low[0]", "number", "'a'"],
    ),
    "a limit that is nan": (
        {"limits.low": "[nan, 0.0]", "limits.high": "[1.0, 1.0]"},
        ["[limits] low", "nan"],
    ),
    # signs
    "Q asymmetric": ({"cost.Q": "[[1.0, 0.5], [0.0, 1.0]]"}, ["Q must be symmetric"]),
    "Q indefinite": (
        {"cost.Q": "[[1.0, 0.0], [0.0, -1.0]]"},
        ["Q must be positive semidefinite", "-1"],
    ),
    "Q_bar indefinite": ({"cost.Q_bar": "-2.0"}, ["Q_bar must be positive semidefinite"]),
    "Q_T indefinite": ({"cost.Q_T": "-2.0"}, ["Q_T must be positive semidefinite"]),
    "R zero": ({"cost.R": "0.0"}, ["R must be positive definite"]),
    "R semidefinite": (
        {"cost.R": "[[1.0, 0.0], [0.0, 0.0]]"},
        ["R must be positive definite"],
    ),
    "R_bar negative": ({"cost.R_bar": "-1.0"}, ["R_bar must be positive definite"]),
    "Sigma negative": ({"noise.Sigma": "-0.1"}, ["Sigma must be positive semidefinite"]),
    "Sigma_0 indefinite": (
        {"noise.Sigma_0": "[[1.0, 0.0], [0.0, -0.5]]"},
        ["Sigma_0 must be positive semidefinite"],
    ),
    "Sigma_bar asymmetric": (
        {"noise.Sigma_bar": "[[1.0, 0.5], [0.0, 1.0]]"},
        ["Sigma_bar must be symmetric"],
    ),
    # horizon, agents, gamma
    "horizon 0": ({"game.horizon": "0"}, ["horizon", "positive whole number", "0"]),
    "horizon negative": ({"game.horizon": "-3"}, ["horizon", "-3"]),
    "horizon fractional": ({"game.horizon": "2.5"}, ["horizon", "whole", "2.5"]),
    "horizon a word": ({"game.horizon": '"ten"'}, ["horizon", "'ten'"]),
    "horizon a truth value": ({"game.horizon": "true"}, ["horizon", "True"]),
    "horizon NaN": ({"game.horizon": "nan"}, ["horizon", "nan"]),
    "horizon minus infinity": ({"game.horizon": "-inf"}, ["horizon", "-inf"]),
    "horizon a list": ({"game.horizon": "[3]"}, ["horizon", "[3]"]),
    "agents 0": ({"game.agents": "0"}, ["agents", "at least 1", "0"]),
    "agents negative": ({"game.agents": "-1"}, ["agents", "-1"]),
    "agents fractional": ({"game.agents": "2.5"}, ["agents", "whole", "2.5"]),
    "agents minus infinity": ({"game.agents": "-inf"}, ["agents", "-inf"]),
    "agents a word": ({"game.agents": '"many"'}, ["agents", "'many'"]),
    "gamma 0": ({"game.gamma": "0"}, ["gamma", "positive", "0"]),
    "gamma negative": ({"game.gamma": "-1.5"}, ["gamma", "positive", "-1.5"]),
    "gamma NaN": ({"game.gamma": "nan"}, ["gamma", "positive", "nan"]),
    "gamma a word": ({"game.gamma": '"nonsense"'}, ["gamma", '"auto"', "'nonsense'"]),
    "gamma a truth value": ({"game.gamma": "true"}, ["gamma", "True"]),
    "gamma a list": ({"game.gamma": "[3.0]"}, ["gamma", "[3.0]"]),
    # time
    "A of the wrong length": ({"system.A": STAGES}, ["vary over 2 stages", "horizon is 3"]),
    "Q of the wrong length": (
        {"cost.Q": "[[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]]"},
        ["vary over 2 stages", "horizon is 3"],
    ),
    "lengths that differ": (
        {
            "system.A": STAGES,
            "system.B": "[[[1.0], [0.0]], [[1.0], [0.0]], [[1.0], [0.0]]]",
        },
        ["A has 2", "B has 3"],
    ),
    "horizon inf, A varies": (
        {"system.A": STAGES, "game.horizon": "inf"},
        ["horizon is inf", "constant matrices"],
    ),
    "noise that varies": (
        {"noise.Sigma": "[[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]]"},
        ["Sigma", "does not vary in time"],
    ),
    "Q_T that varies": (
        {"cost.Q_T": "[[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]]"},
        ["Q_T", "last state"],
    ),
    # files named in the scenario
    "no such file": ({"system.A": '{file = "absent.csv"}'}, ["[system] A", "absent.csv"]),
    "file with a word": ({"system.A": '{file = "word.csv"}'}, ["[system] A", "word.csv", "'x'"]),
    "file ragged": ({"system.A": '{file = "ragged.csv"}'}, ["[system] A", "ragged.csv is ragged"]),
    "file empty": ({"system.A": '{file = "empty.csv"}'}, ["[system] A", "empty.csv is empty"]),
    "file not text": ({"system.A": '{file = "bytes.csv"}'}, ["[system] A", "bytes.csv"]),
    "file with NaN": ({"system.A": '{file = "nan.csv"}'}, ["[system] A", "nan.csv", "finite"]),
    "npy damaged": ({"cost.Q": '{file = "bad.npy"}'}, ["[cost] Q", "bad.npy"]),
    "npy of objects": ({"cost.Q": '{file = "objects.npy"}'}, ["[cost] Q", "objects.npy"]),
    "npy of the wrong shape": ({"system.A": '{file = "vector.npy"}'}, ["A has shape (3,)"]),
    "file of another type": ({"system.A": '{file = "a.txt"}'}, ["[system] A", "a.txt", ".csv"]),
    "file a folder": ({"system.A": '{file = ".."}'}, ["[system] A"]),
    "file misspelt": ({"system.A": '{fil = "A.csv"}'}, ["[system] A", "{file = "]),
    "file and more": ({"system.A": '{file = "a.csv", sep = ";"}'}, ["[system] A", "{file = "]),
    "file not a name": ({"system.A": "{file = 3}"}, ["[system] A", "{file = "]),
}

DISTURBANCES: dict[str, tuple[dict[str, str], list[str]]] = {
    "unknown kind": ({"kind": '"gausian"'}, ["[disturbance] kind", "'gaussian'", "'gausian'"]),
    "unknown scope": (
        {"kind": '"gaussian"', "covariance": "1.0", "scope": '"all"'},
        ["[disturbance] scope", "'common'", "'all'"],
    ),
    "no covariance": ({"kind": '"gaussian"'}, ["'covariance'", "[disturbance]", "'gaussian'"]),
    "no radius": ({"kind": '"uniform"'}, ["'radius'", "[disturbance]"]),
    "no period": ({"kind": '"sinusoid"', "amplitude": "1.0"}, ["'period'", "[disturbance]"]),
    "no step": ({"kind": '"random-walk"'}, ["'step'", "[disturbance]"]),
    "no size": ({"kind": '"step"'}, ["'size'", "[disturbance]"]),
    "no file": ({"kind": '"replay"'}, ["'file'", "[disturbance]"]),
    "another kind's key": (
        {"kind": '"gaussian"', "covariance": "1.0", "radius": "1.0"},
        ["'radius'", "'gaussian'", "'covariance'"],
    ),
    "a file where none is read": (
        {"kind": '"gaussian"', "covariance": "1.0", "file": '"days.csv"'},
        ["'file'", "'gaussian'"],
    ),
    "a period where none is": (
        {"kind": '"replay"', "file": '"days.csv"', "period": "3"},
        ["'period'", "'replay'"],
    ),
    "covariance negative": ({"kind": '"gaussian"', "covariance": "-1.0"}, ["covariance", "-1"]),
    "covariance too large": (
        {"kind": '"gaussian"', "covariance": "[[1.0]]"},
        ["[disturbance] covariance", "(1, 1)", "(2, 2)"],
    ),
    "radius negative": ({"kind": '"uniform"', "radius": "-1.0"}, ["radius", "-1"]),
    "radius a word": ({"kind": '"uniform"', "radius": '"a"'}, ["[disturbance] radius", "number"]),
    "period 0": ({"kind": '"sinusoid"', "amplitude": "1.0", "period": "0"}, ["period", "positive"]),
    "amplitude too long": (
        {"kind": '"sinusoid"', "amplitude": "[1.0, 1.0, 1.0]", "period": "3"},
        ["[disturbance] amplitude", "(3,)", "(2,)"],
    ),
    "size too long": (
        {"kind": '"step"', "size": "[1.0, 1.0, 1.0]"},
        ["[disturbance] size", "(3,)", "(2,)"],
    ),
    "size NaN": ({"kind": '"step"', "size": "nan"}, ["size", "finite"]),
    "at fractional": (
        {"kind": '"step"', "size": "1.0", "at": "1.5"},
        ["[disturbance] at", "whole number", "1.5"],
    ),
    "no such record": (
        {"kind": '"replay"', "file": '"absent.csv"'},
        ["[disturbance] file", "absent.csv"],
    ),
    "record too short": (
        {"kind": '"replay"', "file": '"short.csv"'},
        ["[disturbance] file has 2 rows", "horizon is 3"],
    ),
    "record too wide": (
        {"kind": '"replay"', "file": '"wide.csv"'},
        ["[disturbance] file", "(3, 3)", "(T, 2)"],
    ),
    "record of agents without entries": (
        {"kind": '"replay"', "file": '"days.csv"', "scope": '"idiosyncratic"'},
        ["[disturbance] file", "(T, 2, records)"],
    ),
    "record of agents with other entries": (
        {"kind": '"replay"', "file": '"homes.npy"', "scope": '"idiosyncratic"'},
        ["[disturbance] file", "(3, 1, 4)", "(T, 2, records)"],
    ),
    "record of both": (
        {"kind": '"replay"', "file": '"days.csv"', "scope": '"both"'},
        ["[disturbance] scope", '"both"'],
    ),
}
CASES = {
    **CHANGES,
    **{
        f"disturbance, {name}": ({f"disturbance.{k}": v for k, v in table.items()}, words)
        for name, (table, words) in DISTURBANCES.items()
    },
}


@pytest.fixture
def files(tmp_path):
    """What scenarios of this page name."""
    texts = {
        "word.csv": "1,2\n3,x\n",
        "ragged.csv": "1,2\n3\n",
        "empty.csv": "",
        "nan.csv": "1,nan\n3,4\n",
        "a.txt": "1",
        "a.csv": "1,2\n3,4\n",
        "days.csv": "1,2\n3,4\n5,6\n",
        "short.csv": "1,2\n3,4\n",
        "wide.csv": "1,2,3\n4,5,6\n7,8,9\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "bad.npy").write_bytes(b"not an array")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "vector.npy", np.ones(3))
    np.save(tmp_path / "homes.npy", np.ones((3, 1, 4)))


@pytest.mark.parametrize("command", ["design", "run"])
@pytest.mark.parametrize("case", CASES)
def test_a_scenario_with_something_wrong(phalanx, toml, files, untouched, command, case):
    changes, words = CASES[case]
    answer = phalanx(command, toml(changes), "--out", untouched / "out")
    assert_refused(answer, "bad.toml: ", *words)


def test_an_entry_of_four_hundred_digits(phalanx, toml, untouched):
    path = toml({"system.A": f"[[1{'0' * 400}, 0], [0, 1]]"})
    assert_refused(phalanx("design", path), "A must")


def test_a_horizon_of_four_hundred_digits(phalanx, toml, untouched):
    assert_refused(phalanx("design", toml({"game.horizon": f"1{'0' * 400}"})), "horizon")


# --- scenarios that cannot be read -------------------------------------------------------------


@pytest.mark.parametrize("command", ["design", "run"])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent.toml", ["there is no file", "absent.toml"]),
        ("two-by-too", ["there is no scenario 'two-by-too'", "did you mean 'two-by-two'?"]),
        ("zzz", ["there is no scenario 'zzz'", "two-by-two, battery-fleet"]),
        ("folder", ["folder", "is a folder"]),
        ("folder.toml", ["folder.toml is a folder"]),
        ("", ["is a folder"]),
        ("empty.toml", ["empty.toml: ", "[system] is missing"]),
        ("broken.toml", ["broken.toml is not valid TOML", "line 1"]),
        ("twice.toml", ["twice.toml is not valid TOML"]),
        ("bytes.toml", ["bytes.toml is not a readable text file"]),
    ],
)
def test_a_scenario_that_cannot_be_read(phalanx, tmp_path, untouched, command, name, words):
    for folder in ("folder", "folder.toml"):
        (tmp_path / folder).mkdir()
    (tmp_path / "empty.toml").write_text("")
    (tmp_path / "broken.toml").write_text("[system\nA = 1\n")
    (tmp_path / "twice.toml").write_text("[system]\nA = 1\nA = 2\n")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    scenario = tmp_path / name if (tmp_path / name).exists() and name else name
    assert_refused(phalanx(command, scenario, "--out", untouched / "out"), *words)


# --- options -----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["design", "run"])
@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--gamma", "0"], ["gamma", "positive", "'0'"]),
        (["--gamma", "-1"], ["gamma", "positive", "'-1'"]),
        (["--gamma", "nan"], ["gamma", "positive", "'nan'"]),
        (["--gamma", "nonsense"], ["gamma", '"auto"', "'nonsense'"]),
        (["--gamma", ""], ["gamma", "''"]),
        (["--agents", "0"], ["agents", "at least 1", "'0'"]),
        (["--agents", "-1"], ["agents", "'-1'"]),
        (["--agents", "2.5"], ["agents", "whole", "'2.5'"]),
        (["--agents", "nan"], ["agents", "'nan'"]),
        (["--agents=-inf"], ["agents", "'-inf'"]),
        (["--agents", "many"], ["agents", "'many'"]),
        (["--seed", "-1"], ["--seed"]),
        (["--seed", "x"], ["--seed", "x"]),
        (["--gama", "3"], ["--gama", "--gamma"]),
        (["--gamma"], ["--gamma"]),
        (["surplus"], ["surplus"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_bad_option(phalanx, untouched, command, words, named):
    assert_refused(phalanx(command, "two-by-two", *words), *named)


@pytest.mark.parametrize("command", ["design", "run", "report"])
def test_a_missing_argument_is_named(phalanx, untouched, command):
    assert_refused(phalanx(command), "DIR" if command == "report" else "SCENARIO")


def test_a_misspelt_command_is_named_with_the_nearest(phalanx, untouched):
    assert_refused(phalanx("desing", "two-by-two"), "desing", "design")


def test_with_json_a_refusal_prints_nothing_on_standard_output(phalanx, untouched):
    assert_refused(phalanx("design", "two-by-two", "--agents", "0", "--json"), "agents")


# --- folders -----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["design", "run"])
@pytest.mark.parametrize("below", ["", "sub"])
def test_an_output_folder_that_cannot_be_written_to(phalanx, tmp_path, untouched, command, below):
    (tmp_path / "file").write_text("in the way")
    answer = phalanx(command, "two-by-two", "--agents", 5, "--out", tmp_path / "file" / below)
    assert_refused(answer, "output folder", "file", "cannot be written to", "--out")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_report_needs_a_folder_with_a_record(phalanx, tmp_path, untouched):
    for folder in (tmp_path / "absent", untouched):
        assert_refused(phalanx("report", folder), folder.name, "no record", "phalanx run")


def test_a_report_of_a_damaged_record_is_refused(phalanx, tmp_path, untouched):
    (tmp_path / "record.json").write_text('{"format": 1, "kind"')
    assert_refused(phalanx("report", tmp_path, "--out", untouched / "out"), "damaged")


def test_a_report_of_a_design_is_refused(phalanx, tmp_path, untouched):
    phalanx("design", "two-by-two", "--out", tmp_path)
    answer = phalanx("report", tmp_path, "--out", untouched / "out")
    assert_refused(answer, "'design'", "phalanx run")
