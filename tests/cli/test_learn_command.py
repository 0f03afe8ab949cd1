"""`phalanx learn`: true numbers, options that count, refusals that write nothing, runs that survive a kill."""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import phalanx as px
from phalanx.cli import _learning, main
from phalanx.learners import _learn
from phalanx.scenarios import Scenario

GAINS = ("K1", "K2", "L1", "L2")
OUTCOMES = {"converged", "budget_spent", "diverged", "projection_active", "infeasible"}
KEYS = {
    *("scenario", "gamma", "outcome", "nash_gap", "nash_gap_by_stage", "estimated_gap"),
    *("rollouts", "attenuation", "method", "notes", "out", "report", *GAINS),
}
QUICK = {
    "fast": ["--iterations", 2, "--batch", 200],
    "rgda": ["--iterations", 4, "--batch", 30],
    "e-rgda": ["--iterations", 20],
    "e-ddpg": ["--iterations", 20],
}
# One state, two controls, one disturbance, three stages that differ.
UNEVEN = {
    "system.A": "[[[0.9]], [[0.8]], [[1.1]]]",
    "system.B": "[[1.0, 0.5]]",
    "system.D": "[[0.7]]",
    "cost.Q": "[[[1.0]], [[2.0]], [[0.5]]]",
}


def assert_refused(answer, *words: str) -> None:
    """Exit code 2, and one sentence with these words on standard error."""
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("phalanx: ")
    assert answer.err.count("\n") == 1
    for word in words:
        assert word in answer.err


def strict(text: str) -> dict:
    """One JSON object on one line, without NaN and infinities."""

    def refuse(token):
        raise AssertionError(f"{token} is not JSON")

    assert text.count("\n") == 1
    return json.loads(text, parse_constant=refuse)


def assert_true(found: dict, scenario, agents=None) -> None:
    """Every number that can be known from the printed gains is what is printed."""
    world = px.scenario(scenario)
    game, N = world.game, world.n_agents if agents is None else agents
    T, m = game.horizon, game.system.state_size
    p, q = game.system.control_size, game.system.disturbance_size
    assert set(found) >= KEYS
    assert found["scenario"] == world.name
    assert found["outcome"] in OUTCOMES
    gains = {name: np.array(found[name]) for name in GAINS}
    shapes = {name: value.shape for name, value in gains.items()}
    assert shapes == {"K1": (T, p, m), "L1": (T, p, m), "K2": (T, q, m), "L2": (T, q, m)}
    saddle = px.solve(game, found["gamma"])
    apart = [np.sum((gains[name] - getattr(saddle, name)) ** 2, axis=(1, 2)) for name in GAINS]
    by_stage = np.sqrt(sum(apart))
    np.testing.assert_allclose(found["nash_gap_by_stage"], by_stage, rtol=1e-9, atol=1e-14)
    assert found["nash_gap"] == pytest.approx(np.linalg.norm(by_stage), rel=1e-9, abs=1e-14)
    level = np.sqrt(px.induced_gain(game, gains["K1"], gains["L1"], N).gain)
    assert found["attenuation"] == pytest.approx(level, rel=1e-9)
    assert found["keeps_promise"] == (level <= found["gamma"])
    for name in ("estimated_gap", "attenuation"):
        assert (found[name] is None) == any(f"{name} is null" in note for note in found["notes"])


@pytest.fixture
def untouched(tmp_path, monkeypatch):
    """The working folder, in which nothing may appear."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def uneven(toml):
    return toml(UNEVEN, "uneven.toml")


@pytest.fixture
def pageless(monkeypatch):
    """Pages take longer than what is learned here; those that are looked at are drawn."""
    monkeypatch.setattr(_learning, "_page", lambda record, folder: folder / "report.html")


@pytest.fixture
def learn(phalanx, tmp_path, pageless):
    """`learn(scenario, *words)`: the JSON of a run that may have ended anyhow but in a refusal."""
    count = 0

    def run(scenario, *words) -> dict:
        nonlocal count
        count += 1
        answer = phalanx("learn", scenario, "--json", "--out", tmp_path / f"out{count}", *words)
        found = answer.object
        spoken = found["outcome"] not in ("converged", "budget_spent")
        assert answer.code == (3 if spoken else 0)
        assert answer.err == (f"phalanx: {found['reason']}\n" if spoken else "")
        return found

    return run


def gains_of(found: dict) -> list:
    return [found[name] for name in GAINS]


# --- true numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "oracle"),
    [
        ("fast", "law"),
        ("fast", "population"),
        ("fast", "exact"),
        ("rgda", "law"),
        ("e-rgda", "exact"),
        ("e-ddpg", "exact"),
    ],
)
def test_every_method_and_oracle_prints_true_numbers(learn, uneven, method, oracle):
    found = learn(uneven, "--method", method, "--oracle", oracle, *QUICK[method])
    assert_true(found, uneven)
    assert found["gamma"] == 4.0
    assert (found["rollouts"] > 0) == (oracle != "exact")  # expected costs are no rollouts


MEAN_FIELD = [
    name
    for name, world in ((name, px.scenario(name)) for name in px.scenario_names())
    if isinstance(world, Scenario) and not world.game.stationary and world.transition is None
]


@pytest.mark.parametrize("scenario", MEAN_FIELD)
def test_the_defaults_learn_every_built_in_world(phalanx, tmp_path, monkeypatch, scenario):
    monkeypatch.chdir(tmp_path)
    answer = phalanx("learn", scenario, "--json")
    assert (answer.code, answer.err) == (0, "")
    found = answer.object
    assert_true(found, scenario)
    assert found["outcome"] == "converged"
    assert found["nash_gap"] < 1e-2 * max(1, np.linalg.norm(np.ravel(found["K1"])))
    folder = tmp_path / "runs" / f"{scenario}-fast"
    # Where a run takes longer than it takes to save its state, the one before it is there too.
    assert {path.name for path in folder.iterdir()} - {"learner.state.previous"} == {
        *("figures", "learner.state", "record.json", "report.html", "series.nc"),
    }


def test_the_reference_worlds_are_among_them():
    assert {"two-by-two", "battery-fleet"} <= set(MEAN_FIELD)


def test_words_for_people(phalanx, uneven, tmp_path):
    answer = phalanx("learn", uneven, *QUICK["fast"], "--out", tmp_path / "out")
    assert (answer.code, answer.err) == (0, "")
    for words in ("Converged", "distance from the saddle point", "rollouts", "Report: "):
        assert words in answer.out
    assert "Traceback" not in answer.out


def test_the_page_is_drawn_again_to_the_same_bytes(phalanx, uneven, tmp_path):
    words = ("learn", uneven, "--method", "e-ddpg", *QUICK["e-ddpg"], "--json")
    phalanx(*words, "--out", tmp_path / "out")
    phalanx("report", tmp_path / "out", "--out", tmp_path / "again")
    for name in ("report.html", "figures/small.svg", "figures/small.png"):
        again = (tmp_path / "again" / name).read_bytes()
        assert again == (tmp_path / "out" / name).read_bytes()


# --- options that count --------------------------------------------------------------------------


def test_settings_are_those_asked_for_and_every_rollout_is_counted(learn, uneven):
    words = ["--iterations", 3, "--batch", 30, "--step-size", 0.001, "--radius-smoothing", 0.5]
    found = learn(uneven, "-m", "rgda", *words, "--ball", 7, "--gamma", 5)
    asked = {"iterations": 3, "batch": 30, "step_size": 0.001, "radius": 0.5, "ball": 7.0}
    assert {name: found["method"][name] for name in asked} == asked
    assert (found["step_size"], found["ball"], found["gamma"]) == ([0.001] * 3, [7.0] * 3, 5.0)
    # Two players, thirty rollouts each, three iterations, three stages; nothing was probed.
    assert found["rollouts"] == 2 * 30 * 3 * 3
    assert found["estimated_gap"] is None


@pytest.mark.parametrize("step", ["auto", "theory"])
def test_step_sizes_by_rule_are_found_and_differ(learn, uneven, step):
    found = learn(uneven, "-m", "e-rgda", "--step-size", step, *QUICK["e-rgda"])
    assert found["method"]["step_size"] == step
    assert all(eta > 0 for eta in found["step_size"])
    other = learn(uneven, "-m", "e-rgda", "--step-size", "0.001", *QUICK["e-rgda"])
    assert gains_of(other) != gains_of(found)


def test_gains_stay_within_the_ball(learn, uneven):
    found = learn(uneven, "-m", "e-rgda", "--ball", 0.05, *QUICK["e-rgda"])
    for one, other in (("K1", "L1"), ("K2", "L2")):
        norms = np.sqrt(
            np.sum(np.square(found[one]) + np.square(found[other]), axis=(1, 2), where=True)
        )
        assert norms.max() <= 0.05 * (1 + 1e-12)
    assert (found["outcome"], found["projected"]) == ("projection_active", [1.0] * 3)


def test_first_covariances_scale_the_exact_gradient_of_their_own_half(learn, uneven):
    """One step from 0 at the last stage is the gradient there, which is linear in Sigma_y and Sigma_z."""
    words = ["-m", "e-rgda", "--iterations", 1, "--step-size", 0.01, "--ball", 100]
    plain = learn(uneven, *words)
    for option, scaled in (("--sigma-y", "K1"), ("--sigma-z", "L1")):
        found = learn(uneven, *words, option, 4)
        for name in ("K1", "L1"):
            factor = 4 if name == scaled else 1
            np.testing.assert_allclose(found[name][-1], factor * np.array(plain[name][-1]))
        assert np.any(plain[scaled][-1])


def test_same_seed_same_bytes_another_seed_others(learn, uneven):
    words = ["-m", "rgda", *QUICK["rgda"]]
    first, again = learn(uneven, *words, "--seed", 3), learn(uneven, *words, "--seed", 3)
    other = learn(uneven, *words, "--seed", 4)
    assert json.dumps(gains_of(first)) == json.dumps(gains_of(again))
    for one, two in zip(gains_of(first), gains_of(other), strict=True):
        assert not np.any(np.array(one)[:-1] == np.array(two)[:-1])


def test_the_number_of_agents_counts(learn, uneven):
    words = ["-m", "rgda", *QUICK["rgda"]]
    few, many = learn(uneven, *words, "--agents", 2), learn(uneven, *words, "--agents", "inf")
    assert gains_of(few) != gains_of(many)
    assert_true(few, uneven, 2)
    assert_true(many, uneven, float("inf"))


def test_single_precision_is_another_rounding_of_the_same(learn, uneven):
    words = [*QUICK["fast"]]
    single, double = learn(uneven, *words, "--float32"), learn(uneven, *words)
    assert gains_of(single) != gains_of(double)
    for one, two in zip(gains_of(single), gains_of(double), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-3)


def test_noise_in_pairs_cancels_and_independent_noise_does_not(learn, uneven):
    words = [*QUICK["fast"]]
    paired, default = learn(uneven, *words, "--antithetic"), learn(uneven, *words)
    alone = learn(uneven, *words, "--independent")
    assert gains_of(paired) == gains_of(default)
    assert paired["nash_gap"] < 1e-9
    assert 1e-6 < alone["nash_gap"] < 1


OPTIONS = ["--oracle", "population", "--sigma-y", "2.0", "--sigma-z", "0.5", "--independent"]


def test_the_command_that_is_kept_makes_the_same_gains(phalanx, learn, uneven, tmp_path):
    words = ["--method", "rgda", *QUICK["rgda"], *OPTIONS, "--gamma", 5, "--seed", 2]
    found = learn(uneven, *words)
    made = json.loads((Path(found["out"]) / "record.json").read_text())["provenance"]
    command = made["command"].split()
    assert command[:3] == ["phalanx", "learn", "uneven.toml"]
    again = phalanx("learn", uneven, *command[3:], "--json", "--out", tmp_path / "again").object
    assert gains_of(again) == gains_of(found)


# --- no gains ------------------------------------------------------------------------------------


def test_below_the_level_the_stage_is_named_and_gains_are_null(learn):
    found = learn("two-by-two", "--gamma", 1.5)
    assert found["outcome"] == "infeasible"
    assert "stage 8" in found["reason"]
    assert "Raise gamma" in found["reason"]
    assert all(found[name] is None for name in (*GAINS, "nash_gap", "attenuation"))
    assert any("gains are null" in note for note in found["notes"])


@pytest.mark.parametrize(("method", "where"), [("rgda", "stage 2"), ("e-rgda", "stage 2"), ("e-ddpg", "all stages")])  # fmt: skip
def test_divergence_names_the_stage_and_what_to_change(learn, uneven, method, where):
    words = ["--step-size", 100, "--ball", 1e300, "--iterations", 100]
    found = learn(uneven, "-m", method, *words, *(["--batch", 30] if method == "rgda" else []))
    assert found["outcome"] == "diverged"
    for word in (where, "step size 100", "smaller step size", "smaller ball"):
        assert word in found["reason"]
    assert all(found[name] is None for name in (*GAINS, "nash_gap", "attenuation"))
    assert any("gains are null" in note for note in found["notes"])


def test_an_unbounded_attenuation_is_null_with_a_note(learn, uneven, monkeypatch):
    without_bound = SimpleNamespace(gain=np.inf)
    monkeypatch.setattr(_learn, "induced_gain", lambda *given: without_bound)
    found = learn(uneven, *QUICK["fast"])
    assert (found["attenuation"], found["keeps_promise"]) == (None, False)
    assert any(note.startswith("attenuation is null") for note in found["notes"])


# --- refusals ------------------------------------------------------------------------------------

LIMITS = "battery-fleet-limits"
REFUSED = {
    "unknown method": (["--method", "slow"], ["'slow'", "rgda, e-rgda, e-ddpg, fast"]),
    "unknown oracle": (["--oracle", "delphi"], ["oracle", "'delphi'"]),
    "batch negative": (["--batch", "-1"], ["batch", "at least 1", "-1"]),
    "batch fractional": (["--batch", "2.5"], ["--batch", "integer"]),
    "iterations 0": (["--iterations", "0"], ["iterations", "at least 1"]),
    "step a word": (["--step-size", "abc"], ["step-size", '"auto"', "'abc'"]),
    "step NaN": (["--step-size", "nan"], ["step-size", "'nan'"]),
    "step 0": (["--step-size", "0"], ["step-size", "positive", "'0'"]),
    "step infinite": (["--step-size", "inf"], ["step", "positive", "inf"]),
    "step by theory, all stages": (
        ["--method", "e-ddpg", "--step-size", "theory"],
        ["theory", "one stage at a time"],
    ),
    "radius 0": (["--radius-smoothing", "0"], ["radius", "positive", "0"]),
    "radius NaN": (["--radius-smoothing", "nan"], ["radius", "positive", "nan"]),
    "ball 0": (["--ball", "0"], ["ball", "positive", "0"]),
    "ball infinite": (["--ball", "inf"], ["ball", "positive", "inf"]),
    "gamma NaN": (["--gamma", "nan"], ["gamma", "positive", "'nan'"]),
    "gamma infinite": (["--gamma", "inf"], ["gamma", "finite"]),
    "agents 0": (["--agents", "0"], ["agents", "at least 1"]),
    "sigma-y negative": (["--sigma-y", "-1"], ["Sigma_y", "positive", "-1"]),
    "sigma-z NaN": (["--sigma-z", "nan"], ["Sigma_z", "finite"]),
    "seed negative": (["--seed", "-1"], ["--seed"]),
    "save-every NaN": (["--save-every", "nan"], ["save", "nan"]),
    "save-every negative": (["--save-every", "-1"], ["save", "-1"]),
    "gradients of costs": (["--method", "e-rgda", "--oracle", "law"], ["gradients", "exact"]),
}
REFUSED_LIMITS = {
    "oracle law": (["--oracle", "law"], [LIMITS, "not linear", '"law"', '"population"']),
    "oracle exact": (["--oracle", "exact"], [LIMITS, "not linear", '"exact"']),
    "exact method": (["--method", "e-rgda"], ["gradients", "exact"]),
    "exact method, all stages": (["--method", "e-ddpg"], ["gradients", "exact"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_option_is_refused_and_nothing_is_written(phalanx, untouched, case):
    words, named = REFUSED[case]
    assert_refused(phalanx("learn", "two-by-two", *words, "--json"), *named)


@pytest.mark.parametrize("case", REFUSED_LIMITS)
def test_a_world_that_is_not_linear_refuses_what_needs_its_model(phalanx, untouched, case):
    words, named = REFUSED_LIMITS[case]
    assert_refused(phalanx("learn", LIMITS, *words), *named)


def test_a_stationary_game_is_refused(phalanx, toml, untouched):
    path = toml({"game.horizon": "inf"}, "long.toml")
    assert_refused(phalanx("learn", path), "horizon inf", "finite horizon")


def test_a_folder_that_cannot_be_written_to_is_refused(phalanx, tmp_path, untouched):
    (tmp_path / "file").write_text("in the way")
    assert_refused(phalanx("learn", "two-by-two", "--out", tmp_path / "file"), "output folder")


# --- a state in the folder -----------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


ANEW = {
    "seed": ["--seed", 2],
    "gamma": ["--gamma", 4.5],
    "batch": ["--batch", 250],
    "method": ["--method", "e-rgda"],
    "oracle": ["--oracle", "exact"],
    "agents": ["--agents", 6],
    "precision": ["--float32"],
    "antithetic": ["--independent"],
    "sigma-y": ["--sigma-y", 2],
    "sigma-z": ["--sigma-z", 2],
}


@pytest.fixture
def finished(phalanx, uneven, tmp_path, pageless):
    """(words, answer, folder) of a run that is done."""
    words = ["learn", uneven, "--json", "--out", tmp_path / "out", *QUICK["fast"], "--seed", 1]
    return words, phalanx(*words), tmp_path / "out"


def test_a_finished_run_resumed_says_the_same(phalanx, finished):
    words, answer, folder = finished
    before = contents(folder)
    assert phalanx(*words, "--resume") == answer
    assert contents(folder)["learner.state"] == before["learner.state"]


@pytest.mark.parametrize("setting", ANEW)
def test_a_state_of_other_settings_is_refused_and_left_as_it_was(phalanx, finished, setting):
    words, _, folder = finished
    before = contents(folder)
    answer = phalanx(*words, *ANEW[setting], "--resume")
    assert_refused(answer, "learner.state was learned with", "without resume")
    assert contents(folder) == before


def test_a_state_of_another_game_is_refused(phalanx, finished, toml):
    words, _, folder = finished
    before = contents(folder)
    other = toml(UNEVEN | {"cost.R": "3.0"}, "other.toml")
    assert_refused(phalanx("learn", other, *words[2:], "--resume"), "was learned with")
    assert contents(folder) == before


@pytest.mark.parametrize("with_previous", [False, True])
def test_damaged_states_without_a_good_one_are_refused(phalanx, finished, with_previous):
    words, _, folder = finished
    whole = (folder / "learner.state").read_bytes()
    (folder / "learner.state").write_bytes(whole[:-9])
    if with_previous:
        (folder / "learner.state.previous").write_bytes(whole[:99])
    before = contents(folder)
    answer = phalanx(*words, "--resume")
    assert_refused(answer, "damaged", "No earlier one is good", "without resume")
    assert contents(folder) == before


def test_a_run_that_starts_anew_sets_the_old_state_aside(phalanx, finished):
    words, answer, folder = finished
    old = (folder / "learner.state").read_bytes()
    again = phalanx(*words, "--seed", 2)
    assert again.code == answer.code
    assert (folder / "learner.state.old").read_bytes() == old
    assert (folder / "learner.state").read_bytes() != old


def test_a_refusal_leaves_the_state_in_its_place(phalanx, finished):
    words, _, folder = finished
    before = contents(folder)
    assert_refused(phalanx(*words, "--oracle", "delphi"), "'delphi'")
    assert contents(folder) == before


# --- runs that are killed ------------------------------------------------------------------------

LONG = {
    "fast": ["--method", "fast", "--iterations", "40"],
    "rgda": [
        *("--method", "rgda", "--iterations", "50", "--batch", "100"),
        *("--step-size", "0.003", "--radius-smoothing", "0.5"),
    ],
    "e-ddpg": ["--method", "e-ddpg", "--iterations", "2000"],
}
# A signal to itself, at so many dealings with the files of its state, or some time after that:
# the moment does not depend on how busy the machine is.
START = """
import os, signal, sys, threading

left, pause = int(os.environ["LEFT"]), float(os.environ["PAUSE"])
number = getattr(signal, os.environ["SIGNAL"])

def hook(event, arguments):
    global left
    if event in ("open", "os.rename", "os.chmod", "os.remove") and ".state" in str(arguments[0]):
        left -= 1
        if left == 0:
            strike = lambda: os.kill(os.getpid(), number)
            threading.Timer(pause, strike).start() if pause else strike()

if left:
    sys.addaudithook(hook)
from phalanx.cli import run
run()
"""


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    """`process(folder, method, ...)`: (exit code, standard output, standard error)."""
    cache = tmp_path_factory.mktemp("compiled")

    def run(folder, method, *words, left=0, pause=0.0, number="SIGKILL"):
        words = [*LONG[method], "--gamma", "3", "--json", "--save-every", "0", *words]
        started = subprocess.Popen(
            [sys.executable, "-c", START, "learn", "two-by-two", *words, "--out", folder],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ
            | {"LEFT": str(left), "PAUSE": str(pause), "SIGNAL": number}
            # Each process would compile the same programs for seconds.
            | {
                "JAX_COMPILATION_CACHE_DIR": str(cache),
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
                "TF_CPP_MIN_LOG_LEVEL": "3",
            },
        )
        out, err = started.communicate(timeout=300)
        return started.returncode, out, err

    return run


@pytest.fixture(scope="module")
def whole(process, tmp_path_factory):
    """`whole(method)`: exit code and JSON of the run that nothing interrupts."""
    known = {}

    def find(method):
        if method not in known:
            folder = tmp_path_factory.mktemp("whole") / "out"
            code, out, err = process(folder, method)
            known[method] = code, strict(out), err
        return known[method]

    return find


def assert_same(found: dict, expected: dict, resumed_note: str = "") -> None:
    """The same to the last bit: JSON holds every digit."""
    own = ("out", "report", "notes")
    assert {k: v for k, v in found.items() if k not in own} == {
        k: v for k, v in expected.items() if k not in own
    }
    notes = [resumed_note] if resumed_note else []
    assert found["notes"] == notes + expected["notes"]


def assert_tidy(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        *("figures", "learner.state", "learner.state.previous"),
        *("record.json", "report.html", "series.nc"),
    ]


@pytest.mark.parametrize(
    ("method", "seed", "events", "pauses"),
    [("fast", 1, 800, (0.0, 0.013)), ("rgda", 2, 2000, (0.007,)), ("e-ddpg", 3, 200, (0.0,))],
)
def test_killed_again_and_again_and_resumed_it_has_the_same_bits(
    process, whole, tmp_path, method, seed, events, pauses
):
    code, expected, err = whole(method)
    rng = np.random.default_rng(seed)
    for pause in pauses:
        left = int(rng.integers(1, events))
        killed = process(tmp_path / "out", method, "--resume", left=left, pause=pause)
        assert killed == (-signal.SIGKILL, "", "")
    finished = process(tmp_path / "out", method, "--resume")
    assert (finished[0], finished[2]) == (code, err)
    assert_same(strict(finished[1]), expected)
    assert_tidy(tmp_path / "out")


@pytest.fixture(scope="module")
def interrupted(process, tmp_path_factory):
    """(answer, folder) of a run that Ctrl-C stopped half way."""
    folder = tmp_path_factory.mktemp("interrupted") / "out"
    return process(folder, "fast", left=1000, number="SIGINT"), folder


def test_ctrl_c_keeps_the_state_and_says_how_to_go_on(interrupted):
    (code, out, err), folder = interrupted
    assert (code, out) == (130, "")
    state = folder / "learner.state"
    assert err == (
        f"phalanx: the state is kept in {state}; the same command with --resume goes on.\n"
        "phalanx: interrupted.\n"
    )
    assert sorted(path.name for path in folder.iterdir()) == [state.name, f"{state.name}.previous"]


def resumed(folder: Path) -> dict:
    words = ["learn", "two-by-two", *LONG["fast"], "--gamma", "3", "--json", "--resume"]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert main([*words, "--out", str(folder)]) == 0
    assert err.getvalue() == ""
    return strict(out.getvalue())


DAMAGE = {
    "none": lambda content: content,
    "a byte": lambda content: content[:777] + bytes([content[777] ^ 4]) + content[778:],
    "cut short": lambda content: content[: len(content) // 2],
    "nothing left": lambda content: b"",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_an_interrupted_run_goes_on_to_the_same_bits_whatever_became_of_its_last_state(
    interrupted, whole, tmp_path, damage
):
    folder = shutil.copytree(interrupted[1], tmp_path / "out")
    state = folder / "learner.state"
    state.write_bytes(DAMAGE[damage](state.read_bytes()))
    found = resumed(folder)
    if damage == "none":
        assert_same(found, whole("fast")[1])
    else:
        assert "Going on from the one before it, learner.state.previous." in found["notes"][0]
        assert_same(found, whole("fast")[1], found["notes"][0])
    assert_tidy(folder)
