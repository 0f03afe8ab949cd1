"""`phalanx design` and `phalanx scenarios`: names, numbers, shapes, exit codes."""

import numpy as np
import pytest
from _oracles import halves, textbook, value

import phalanx as px
from phalanx.scenarios import Scenario

NUMBERS = [
    "gamma",
    "gamma_saddle",
    "gamma_mean_field",
    "gamma_population",
    "gamma_theorem3",
    "margin",
    "value",
    "value_mean_field",
]
GAINS = ["K1", "K2", "L1", "L2"]
F16 = {
    "system.A": "[[0.906488, 0.0816012, -0.0005], [0.0741349, 0.90121, -0.000708383], [0.0, 0.0, 0.132655]]",
    "system.B": "[[-0.00150808], [-0.0096], [0.867345]]",
    "system.D": "[[0.00951892], [0.00038373], [0.0]]",
    "noise": None,
    "game.horizon": "inf",
    "game.gamma": "1.0",
}


@pytest.fixture
def reference(phalanx):
    """The theory page's case at γ = 3 for ten agents."""
    return phalanx("design", "two-by-two", "--gamma", 3, "--agents", 10, "--json").object


# --- names and numbers -------------------------------------------------------------------------


def test_every_promised_name_is_there(reference):
    assert {*NUMBERS, *GAINS, "viable", "binding", "stage", "notes"} <= set(reference)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("gamma", 3.0),
        ("gamma_saddle", 1.7953086334615822),
        ("gamma_mean_field", 2.6642831853301514),
        ("gamma_population", 2.708150580893253),
        ("gamma_theorem3", 2.8393440676547193),
        ("value", 58.22202517621917),
        ("value_mean_field", 56.26035517708528),
    ],
)
def test_the_numbers_are_those_of_the_theory_page(reference, name, number):
    assert reference[name] == pytest.approx(number, rel=1e-9)


@pytest.mark.parametrize(
    ("agents", "level"),
    [
        ("1", 3.077535251724298),
        ("2", 2.8776575927149315),
        ("100", 2.6686982536294233),
        ("1000", 2.664724978563579),
        ("inf", 2.6642831853301514),
    ],
)
def test_the_level_is_that_of_the_number_of_agents_asked_for(phalanx, agents, level):
    found = phalanx("design", "two-by-two", "--agents", agents, "--json").object
    assert found["gamma_population"] == pytest.approx(level, rel=1e-9)


def test_the_scenarios_own_number_of_agents_is_the_default(phalanx):
    found = phalanx("design", "two-by-two", "--json").object
    assert found["n_agents"] == 100
    assert found["gamma_theorem3"] == pytest.approx(2.682337814628684, rel=1e-9)


def test_auto_is_a_tenth_above_the_least_viable_level(phalanx):
    found = phalanx("design", "two-by-two", "--gamma", "auto", "--json").object
    assert found["gamma"] == pytest.approx(1.1 * 2.6686982536294233, rel=1e-9)


def test_the_gains_are_those_of_the_theory_page(reference):
    K1, L2 = reference["K1"][0], reference["L2"][0]
    np.testing.assert_allclose(
        K1, [[0.5821050453, 0.2084319129], [0.0094690314, 0.5327616869]], atol=1e-9
    )
    np.testing.assert_allclose(
        L2, [[0.0643725655, -0.0011724754], [0.0026243897, 0.1093929281]], atol=1e-9
    )


def test_all_gains_of_all_stages_agree_with_the_textbook(reference, two_by_two):
    deviation, mean = (textbook(half, 3.0) for half in halves(two_by_two))
    for name, gain in (
        ("K1", deviation.K1),
        ("K2", deviation.K2),
        ("L1", mean.K1),
        ("L2", mean.K2),
    ):
        np.testing.assert_allclose(reference[name], gain, atol=1e-9)


def test_margin_is_the_least_over_stages_and_both_games(reference, two_by_two):
    margins = [textbook(half, 3.0).margin.min() for half in halves(two_by_two)]
    assert reference["margin"] == pytest.approx(min(margins), rel=1e-9)


def test_with_one_agent_the_deviation_games_margin_does_not_count(phalanx, toml):
    # Deviations grow, means do not: only the deviation game is hard.
    path = toml({"system.A": "1.2", "system.A_bar": "-1.1", "game.gamma": "3.0"})
    alone = phalanx("design", path, "--agents", 1, "--json").object
    both = phalanx("design", path, "--agents", 2, "--json").object
    deviation, mean = (textbook(half, 3.0).margin.min() for half in halves(px.scenario(path).game))
    assert (alone["margin"], both["margin"]) == pytest.approx((mean, deviation), rel=1e-9)
    assert deviation < mean


def test_value_is_that_of_the_agents_asked_for(phalanx, two_by_two):
    deviation, mean = (textbook(half, 4.0) for half in halves(two_by_two))
    for agents in (1, 7):
        found = phalanx("design", "two-by-two", "-g", 4, "-n", agents, "--json").object
        expected = value(two_by_two, deviation.M, mean.M, agents)
        assert found["value"] == pytest.approx(expected, rel=1e-9)


def test_gains_have_time_control_and_state_axes(phalanx, toml):
    path = toml(
        {
            "system.B": "[[1.0], [0.5]]",
            "system.D": "[[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]]",
            "game.horizon": "4",
            "game.gamma": '"auto"',
        }
    )
    found = phalanx("design", path, "--json").object
    shapes = {name: np.shape(found[name]) for name in GAINS}
    assert shapes == {"K1": (4, 1, 2), "L1": (4, 1, 2), "K2": (4, 3, 2), "L2": (4, 3, 2)}


def test_numbers_come_at_full_precision(phalanx):
    found = phalanx("design", "two-by-two", "--gamma", 3, "--json").object
    saddle = px.solve(px.scenario("two-by-two").game, 3.0, 100)
    assert found["value"] == saddle.value
    assert np.array_equal(found["K1"], saddle.K1)


# --- the stationary game -----------------------------------------------------------------------


def test_the_f16_game_from_a_file(phalanx, toml):
    found = phalanx("design", toml(F16), "--json").object
    assert found["gamma_saddle"] == pytest.approx(0.3637736009, abs=2e-10)
    np.testing.assert_allclose(found["K1"], [[-0.0836371, -0.0956330, 0.0660826]], atol=1e-7)


def test_stationary_gains_have_no_time_axis(phalanx, toml):
    found = phalanx("design", toml(F16), "--json").object
    shapes = {name: np.shape(found[name]) for name in GAINS}
    assert shapes == {"K1": (1, 3), "K2": (1, 3), "L1": (1, 3), "L2": (1, 3)}


def test_the_f16_games_level_is_where_the_stabilising_solution_ends(phalanx, toml):
    found = phalanx("design", toml(F16), "--json").object
    assert (found["binding"], found["stage"], found["viable"]) == (
        "stabilising_solution",
        None,
        True,
    )


def test_below_the_f16_games_level_there_is_no_design(phalanx, toml):
    answer = phalanx("design", toml(F16), "--gamma", 0.36, "--json")
    assert answer.code == 3
    assert "0.3637736009" in answer.err
    assert answer.object["K1"] is None


def test_theorem3_does_not_exist_in_the_stationary_game(phalanx, toml):
    found = phalanx("design", toml(F16), "--json").object
    assert found["gamma_theorem3"] is None
    assert any(note.startswith("gamma_theorem3 is null") for note in found["notes"])


def test_stationary_value_is_an_average_per_step(phalanx, toml):
    path = toml({"game.horizon": "inf", "noise.Sigma_0": None})
    long = toml({"game.horizon": "400", "noise.Sigma_0": None}, "long.toml")
    per_step = phalanx("design", path, "--json").object
    total = phalanx("design", long, "--json").object["value"]
    shorter = px.solve(
        px.RobustGame(
            px.scenario(long).game.system,
            px.scenario(long).game.cost,
            px.scenario(long).game.noise,
            300,
        ),
        4.0,
        5,
    ).value
    assert per_step["value"] == pytest.approx((total - shorter) / 100, rel=1e-9)
    assert any("averages per step" in note for note in per_step["notes"])


def test_an_unstabilisable_problem_names_its_mode(phalanx, toml):
    path = toml(
        {
            "system.A": "[[1.5, 0.0], [0.0, 0.5]]",
            "system.B": "[[0.0], [1.0]]",
            "game.horizon": "inf",
        }
    )
    answer = phalanx("design", path)
    assert (answer.code, answer.out) == (3, "")
    assert "eigenvalue 1.5" in answer.err
    assert "cannot be stabilised" in answer.err


def test_a_problem_that_no_regulator_stabilises_writes_nothing(phalanx, toml, tmp_path):
    path = toml({"system.A": "1.5", "system.B": "0.0", "game.horizon": "inf"})
    for command in ("design", "run"):
        assert phalanx(command, path, "--out", tmp_path / "out").code == 3
    assert not (tmp_path / "out").exists()


# --- viable, not viable, no saddle point -------------------------------------------------------


def test_a_missed_noise_budget_is_an_answer(phalanx):
    answer = phalanx("design", "two-by-two", "--gamma", 2, "--json")
    assert (answer.code, answer.err) == (0, "")
    found = answer.object
    assert (found["viable"], found["binding"], found["stage"]) == (False, "noise_budget", None)
    assert np.shape(found["K1"]) == (10, 2, 2)


def test_above_the_level_the_design_is_viable(reference):
    assert (reference["viable"], reference["binding"]) == (True, "noise_budget")


def test_below_the_saddle_level_the_sentence_has_the_level_and_the_stage(phalanx):
    answer = phalanx("design", "two-by-two", "--gamma", 1.5)
    assert answer.code == 3
    assert "saddle level is 1.795308633" in answer.err
    assert "mean game fails at stage 8" in answer.err


def first_failure(half, gamma: float) -> int:
    """The stage at which the recursion, backwards, first loses its margin."""
    return int(np.flatnonzero(textbook(half, gamma).margin <= 0).max())


def test_the_failing_stage_is_the_first_backwards(phalanx, two_by_two):
    answer = phalanx("design", "two-by-two", "--gamma", 1.5, "--json")
    assert answer.object["stage"] == first_failure(halves(two_by_two)[1], 1.5)
    assert f"fails at stage {answer.object['stage']}," in answer.err


def test_below_the_saddle_level_json_still_is_one_object(phalanx):
    answer = phalanx("design", "two-by-two", "--gamma", 1.5, "--json")
    assert answer.code == 3
    found = answer.object
    assert (found["viable"], found["binding"]) == (False, "mean_game")
    assert found["margin"] <= 0
    assert [found[name] for name in GAINS] == [None] * 4


def test_below_the_saddle_level_nothing_is_written(phalanx, tmp_path):
    for command in ("design", "run"):
        answer = phalanx(command, "two-by-two", "--gamma", 1.5, "--out", tmp_path / "out")
        assert answer.code == 3
        assert "saddle level is 1.795308633" in answer.err
    assert not (tmp_path / "out").exists()


def test_the_deviation_game_can_be_the_one_that_fails(phalanx, toml):
    path = toml({"system.A": "1.2", "system.A_bar": "-1.1", "game.gamma": "1.05"})
    answer = phalanx("design", path, "--json")
    assert answer.code == 3
    assert answer.object["binding"] == "deviation_game"
    assert "deviation game fails at stage" in answer.err


# --- null, and why -----------------------------------------------------------------------------

DEAD_DEVIATION = {
    "system.A": "[[3.0, 0.0], [0.0, 0.5]]",
    "system.A_bar": "[[-3.0, 0.0], [0.0, 0.0]]",
    "system.B": "[[0.1], [1.0]]",
    "game.gamma": '"auto"',
}


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({}, ["--agents", "inf"]),
        ({"noise.Sigma": None}, []),
        ({"game.horizon": "inf"}, []),
        pytest.param({"game.horizon": "inf", "game.gamma": "0.5"}, []),
        pytest.param({"game.gamma": "0.5"}, []),
        (DEAD_DEVIATION, ["--agents", 1]),
        pytest.param({}, ["--gamma", "inf"]),
        pytest.param({"game.horizon": "inf"}, ["--gamma", "inf"]),
    ],
    ids=[
        "agents",
        "noise",
        "stationary",
        "stationary, below",
        "below",
        "one agent",
        "gamma",
        "stationary, gamma",
    ],
)
def test_every_null_but_the_stage_is_explained(phalanx, toml, changes, options):
    found = phalanx("design", toml(changes), *options, "--json").object
    nulls = {name for name, entry in found.items() if entry is None} - {"stage"}
    assert nulls
    explained = " ".join(note for note in found["notes"] if "null" in note)
    explained += " K1 K2 L1 L2" if "the gains are null" in explained else ""
    missing = [name for name in nulls if name not in explained.replace(",", " ").split()]
    assert missing == []


def test_without_process_noise_the_levels_with_a_budget_are_null(phalanx, toml):
    found = phalanx("design", toml({"noise.Sigma": None}), "--json").object
    assert found["gamma_population"] is None
    assert found["gamma_saddle"] > 0


def test_the_mean_field_limit_has_a_null_number_of_agents(phalanx):
    found = phalanx("design", "two-by-two", "--gamma", 3, "--agents", "inf", "--json").object
    assert found["n_agents"] is None
    assert found["value"] == found["value_mean_field"]
    assert found["value"] == pytest.approx(56.26035517708528, rel=1e-9)


def test_one_agent_does_not_need_the_deviation_game(phalanx, toml):
    found = phalanx("design", toml(DEAD_DEVIATION), "--agents", 1, "--json").object
    assert found["viable"]
    assert (found["K1"], found["K2"]) == (None, None)
    assert np.shape(found["L1"]) == (3, 1, 2)


def test_one_agent_does_not_need_a_deviation_that_can_be_stabilised(phalanx, toml):
    path = toml(
        {
            "system.A": "[[1.5, 0.0], [0.0, 0.5]]",
            "system.A_bar": "[[-1.0, 0.0], [0.0, 0.0]]",
            "system.B": "[[0.0], [1.0]]",
            "game.horizon": "inf",
            "game.gamma": '"auto"',
        }
    )
    answer = phalanx("design", path, "--agents", 1, "--json")
    assert answer.code == 0
    assert answer.object["viable"]


@pytest.mark.parametrize("horizon", ["3", "inf"])
def test_an_enormous_gamma_is_the_lqr_limit(phalanx, toml, horizon):
    answer = phalanx("design", toml({"game.horizon": horizon}), "--gamma", "1e160", "--json")
    assert answer.code == 0
    limit = phalanx("design", toml({"game.horizon": horizon}), "--gamma", "inf", "--json")
    np.testing.assert_allclose(answer.object["K1"], limit.object["K1"], rtol=1e-12)


# --- words for people, the saved design, the list of worlds ------------------------------------


def test_without_json_the_design_is_said_in_words(phalanx):
    answer = phalanx("design", "two-by-two", "--gamma", 3, "--agents", 10)
    assert (answer.code, answer.err) == (0, "")
    for part in (
        "10 agents, 2 states, 2 controls, 10 stages",
        "1.79530863",
        "L1[0] =",
        "viable",
    ):
        assert part in answer.out


def test_out_saves_the_design(phalanx, tmp_path):
    words = ("design", "two-by-two", "--gamma", 3, "--agents", 10, "--json")
    printed = phalanx(*words, "--out", tmp_path / "a" / "b").object
    from phalanx._record import Record

    record = Record.load(tmp_path / "a" / "b")
    assert record.kind == "design"
    assert record.summary == printed


def test_the_saved_design_knows_how_it_was_asked_for(phalanx, tmp_path):
    phalanx("design", "two-by-two", "-g", 3, "-n", 10, "--seed", 4, "--out", tmp_path)
    from phalanx._record import Record

    made = Record.load(tmp_path).provenance["command"]
    assert made == "phalanx design two-by-two --gamma 3 --agents 10 --seed 4"


def test_the_command_kept_names_no_folder_of_this_machine(phalanx, toml, tmp_path):
    phalanx("design", toml(), "--out", tmp_path / "out")
    assert str(tmp_path) not in (tmp_path / "out" / "record.json").read_text()


def test_scenarios_lists_the_worlds(phalanx):
    answer = phalanx("scenarios", "--json")
    assert (answer.code, answer.err) == (0, "")
    rows = {row["name"]: row for row in answer.object["scenarios"]}
    assert set(rows) >= {"two-by-two", "battery-fleet"}
    fleet = rows["battery-fleet"]
    assert (fleet["agents"], fleet["state"], fleet["control"], fleet["horizon"]) == (1000, 3, 1, 96)
    assert "SimBench" in fleet["data"]
    assert "ODbL" in fleet["licence"]


def test_scenarios_in_words_name_every_world(phalanx):
    out = phalanx("scenarios").out
    assert all(name in out for name in px.scenario_names())


def test_all_fleets_can_be_designed(phalanx):
    for name in px.scenario_names():
        if not isinstance(px.scenario(name), Scenario):
            continue
        found = phalanx("design", name, "--json").object
        assert found["viable"]
        assert found["gamma"] == pytest.approx(1.1 * found["gamma_population"], rel=1e-12)


def test_help_and_version_are_done(phalanx):
    assert phalanx("--help").code == 0
    version = phalanx("--version")
    assert (version.code, version.out) == (0, f"phalanx {px.__version__}\n")


def test_without_a_command_the_help_is_shown(phalanx):
    answer = phalanx()
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == phalanx("--help").out


@pytest.mark.parametrize("command", ["scenarios", "design", "run", "report"])
def test_every_command_explains_itself(phalanx, command):
    answer = phalanx(command, "--help")
    assert answer.code == 0
    assert "--json" in answer.out


def test_interrupted_work_exits_with_130(phalanx, monkeypatch):
    from phalanx.experiments import design

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(design, "design", interrupt)
    assert phalanx("design", "two-by-two") == (130, "", "phalanx: interrupted.\n")


def test_a_fault_of_our_own_is_one_sentence_too(phalanx, monkeypatch):
    from phalanx.experiments import design

    def fail(*_):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(design, "design", fail)
    answer = phalanx("design", "two-by-two")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("phalanx: internal error (ZeroDivisionError: division by zero)")
    assert answer.err.count("\n") == 1


def test_the_traceback_is_there_for_who_asks(phalanx, monkeypatch):
    from phalanx.experiments import design

    def fail(*_):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(design, "design", fail)
    monkeypatch.setenv("PHALANX_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        phalanx("design", "two-by-two")


def test_tables_break_neither_names_nor_numbers(capsys, monkeypatch):
    from phalanx.cli._output import table

    monkeypatch.setenv("COLUMNS", "80")
    header = [
        "controller",
        "worst gain",
        "≤ 1107.95",
        "cost, recorded",
        "rms imbalance (kWh per home)",
    ]
    cells = ["single-agent H∞, per agent", "22486.06", "yes", "0.0040093", "0.05772"]
    table("Against the others", header, [cells])
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines) <= 80
    assert any(all(cell in line for cell in cells) for line in lines)
