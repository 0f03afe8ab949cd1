"""Agents at play: the record holds what was played, and every number has a second route."""

import json
from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg

import phalanx as px
from phalanx._outcome import InputError, NoSolutionError
from phalanx._record import Record, plain
from phalanx.experiments.play import play
from phalanx.report import write
from phalanx.scenarios import LinearScenario, OnlineSettings

A, B = [[1.0, 1.0], [0.0, 1.0]], [[0.0], [1.0]]
LEAST = ("mean_cost", "total_cost", "best_dac_cost", "best_linear_cost", "regret_dac")


def regulator() -> np.ndarray:
    P = scipy.linalg.solve_discrete_are(np.array(A), np.array(B), np.eye(2), np.eye(1))
    return np.linalg.solve(1 + np.array(B).T @ P @ B, np.array(B).T @ P @ A)


@pytest.fixture(scope="module")
def integrator() -> LinearScenario:
    """The reference case of online control: a double integrator under a slow sine."""
    wave = np.sin(np.arange(1000) / (2 * np.pi))[:, None] * np.ones(2)
    return LinearScenario(
        "integrator",
        "Double integrator",
        px.LinearSystem(A, B),
        (px.Quadratic(1.0, 1.0),),
        (regulator(),),
        px.Replay(wave),
        rounds=1000,
        agent_names=("agent 0",),
        state_names=("position", "speed"),
    )


@pytest.fixture(scope="module")
def pair() -> LinearScenario:
    """Two agents of different widths with one cost of the state, each told what the other does."""
    system = px.LinearSystem(
        [[0.9, 0.2], [0.0, 0.8]], [[[0.3], [1.0]], [[1.0, 0.0], [0.0, 0.5]]], [[1.0], [0.5]]
    )
    cost = px.Quadratic(1.0, 0.0)
    return LinearScenario(
        "pair",
        "Two agents",
        system,
        (cost, cost),
        (np.zeros((1, 2)), np.zeros((2, 2))),
        px.Sinusoid(1.0, period=20),
        rounds=60,
        x0=np.array([1.0, 0.0]),
        online=OnlineSettings(memory=2, setting="aggregated"),
    )


@pytest.fixture(scope="module")
def lqr(integrator) -> Record:
    return play(integrator, "lqr", hindsight="dac")


@pytest.fixture(scope="module")
def learned(pair) -> Record:
    return play(pair)


def only(record: Record) -> dict:
    (agent,) = record.summary["agents"]
    return agent


def test_the_reference_case(lqr):
    assert round(only(lqr)["mean_cost"], 4) == 14.8636
    assert only(lqr)["best_dac_cost"] / 1000 < 1


def test_its_cost_by_a_loop_of_ones_own(lqr, integrator):
    K, x, total = regulator(), np.zeros(2), 0.0
    for w in integrator.disturbance.common:
        u = -K @ x
        total += x @ x + u @ u
        x = np.array(A) @ x + np.array(B) @ u + w
    np.testing.assert_allclose(only(lqr)["total_cost"], total, rtol=1e-12)


def test_learning_pays(lqr, integrator):
    record = play(integrator, "gpc", hindsight="dac")
    assert only(record)["mean_cost"] < 1.5
    assert only(record)["best_dac_cost"] == pytest.approx(only(lqr)["best_dac_cost"], rel=1e-9)
    assert np.shape(only(record)["final_M"]) == (6, 1, 2)
    assert only(lqr)["final_M"] is None


def test_every_agent_has_its_numbers(learned):
    for agent in learned.summary["agents"]:
        assert all(np.isfinite(agent[key]) for key in LEAST)
        assert agent["counterfactual"] == "reacting"
        assert agent["regret_dac"] == pytest.approx(agent["total_cost"] - agent["best_dac_cost"])
        assert agent["regret_linear"] == pytest.approx(
            agent["total_cost"] - agent["best_linear_cost"]
        )
    shapes = [np.shape(agent["final_M"]) for agent in learned.summary["agents"]]
    assert shapes == [(2, 1, 2), (2, 2, 2)]


def test_a_run_is_the_simulation_of_the_team(pair, learned):
    online = pair.online
    team = px.team(pair.system, pair.gains, online.setting, memory=2)
    run = px.simulate(
        pair.system,
        team,
        pair.disturbance,
        list(pair.costs),
        60,
        x0=pair.x0,
        information="aggregated",
    )
    np.testing.assert_allclose(learned.series["x"], run.x, rtol=1e-12, atol=1e-14)
    assert learned.summary["agents"][0]["total_cost"] == pytest.approx(run.cost[:, 0].sum())


def test_common_costs_and_knowledge_have_an_equilibrium_gap(learned, pair):
    gap = learned.summary["equilibrium_gap"]
    assert gap["potential"]
    assert 0 < gap["mean"] ** 2 <= gap["mean_square"]
    alone = play(pair, setting="independent", hindsight="none")
    assert alone.summary["equilibrium_gap"] is None
    assert any('defined in the setting "aggregated"' in note for note in alone.summary["notes"])
    assert alone.summary["agents"][0]["counterfactual"] is not None


def test_the_regret_curve_ends_in_the_regret(learned):
    ends = learned.series["regret"].values[-1]
    assert ends == pytest.approx([agent["regret_dac"] for agent in learned.summary["agents"]])


def test_what_is_not_asked_for_is_null_and_said_to_be(integrator):
    record = play(integrator, "zero", rounds=20, hindsight="none")
    assert only(record)["best_dac_cost"] is None
    assert only(record)["regret_linear"] is None
    assert any("not asked for" in note for note in record.summary["notes"])


@pytest.mark.parametrize("controller", ["zero", "lqr", "hinf", "nash", "mpc", "mpc-perfect"])
def test_every_baseline_plays(integrator, controller):
    record = play(integrator, controller, rounds=60, hindsight="none")
    assert record.summary["outcome"] == "solved"
    assert record.summary["controller"] == controller


def test_knowing_the_future_is_best(integrator):
    costs = {
        name: only(play(integrator, name, rounds=300, hindsight="none"))["mean_cost"]
        for name in ("lqr", "mpc", "mpc-perfect", "gpc")
    }
    assert min(costs, key=lambda name: costs[name]) == "mpc-perfect"
    assert costs["mpc"] < costs["lqr"]


def test_a_forecast_knows_what_will_be_drawn(integrator):
    """The same seed draws the same disturbance, whatever is played."""
    noisy = replace(integrator, disturbance=px.Gaussian(1.0, scope="common"), rounds=100)
    known = play(noisy, "mpc-perfect", seed=3, hindsight="none")
    blind = play(noisy, "mpc", seed=3, hindsight="none")
    np.testing.assert_array_equal(known.series["w"], blind.series["w"])
    assert known.summary["mean_cost"] < blind.summary["mean_cost"]


def test_theory_chooses_a_memory_and_a_small_step(integrator):
    record = play(integrator, rounds=50, memory="theory", step_size="theory", hindsight="none")
    assert record.summary["memory"] > 6
    assert 0 < record.summary["step_size"] < 1e-3


# --- what goes wrong ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def destroyers() -> LinearScenario:
    """Each agent alone is stable at −0.5, both together are at −2."""
    cost = px.Quadratic(1.0, 1.0)
    return LinearScenario(
        "destroyers",
        "Two that overdo it",
        px.LinearSystem(1.0, [[[1.0]], [[1.0]]]),
        (cost, cost),
        (np.array([[1.5]]),) * 2,
        px.Gaussian(1.0, scope="common"),
        rounds=2000,
        agent_names=("a", "b"),
    )


def test_a_run_that_blows_up_keeps_its_record(destroyers, tmp_path):
    said = []
    record = play(destroyers, warn=said.append)
    summary = record.summary
    assert summary["outcome"] == "diverged"
    assert f"In round {summary['rounds_played']} " in summary["reason"]
    assert 0 < summary["rounds_played"] < 2000
    assert record.series.sizes["round"] == summary["rounds_played"]
    assert np.isfinite(record.series["x"]).all()
    assert summary["warnings"] == said
    assert len(said) == 1
    assert "together" in said[0]
    assert "eigenvalue -2" in said[0]
    loaded = Record.load(record.save(tmp_path))
    assert loaded.summary == plain(summary)
    assert write(loaded, tmp_path).is_file()


def test_gains_that_do_not_stabilise_are_refused(destroyers):
    with pytest.raises(InputError, match=r"K of all agents together .* eigenvalue -2 "):
        play(destroyers, setting="aggregated")
    weak = replace(destroyers, gains=(np.array([[1.5]]), np.array([[0.0]])))
    with pytest.raises(InputError, match=r"K of agent 1 does not stabilise: .* eigenvalue 1 "):
        play(weak)
    with pytest.raises(InputError, match=r"K of agent 1"):
        play(weak, setting="aggregated-agentwise")


def test_a_baseline_may_do_anything(destroyers):
    assert play(destroyers, "zero", rounds=20, hindsight="none").summary["outcome"] == "solved"


def test_what_cannot_be_played(integrator, destroyers):
    with pytest.raises(InputError, match=r"controller must be one of gpc, zero, .* 'ppo'"):
        play(integrator, "ppo")
    with pytest.raises(InputError, match=r"rounds is 1001, but .* has 1000 rows"):
        play(integrator, rounds=1001)
    with pytest.raises(InputError, match=r"rounds must be a whole number from 1 .* 0\."):
        play(integrator, rounds=0)
    with pytest.raises(InputError, match=r"hindsight must be one of all, dac, none, .*'best'"):
        play(integrator, hindsight="best")
    answering = replace(destroyers, disturbance=px.BoundedAdversary([[1.0]], 1.0))
    with pytest.raises(InputError, match=r"mpc-perfect knows .* may answer"):
        play(answering, "mpc-perfect")
    lipschitz = replace(integrator, costs=(px.Huber(),))
    for controller in ("lqr", "mpc"):
        with pytest.raises(InputError, match=r"agent 0"):
            play(lipschitz, controller)
    helpless = replace(integrator, system=px.LinearSystem([[2.0, 0.0], [0.0, 0.5]], B))
    with pytest.raises(NoSolutionError, match=r"agent 0.* eigenvalue 2"):
        play(helpless, "lqr")


# --- the record and its page -------------------------------------------------------------------


def test_it_comes_back_from_a_file(learned, tmp_path):
    loaded = Record.load(learned.save(tmp_path))
    assert loaded.summary == plain(learned.summary)
    assert loaded.kind == "play"
    assert "NaN" not in (tmp_path / "record.json").read_text()
    assert json.loads((tmp_path / "record.json").read_text())["name"] == "pair"


def test_its_page_shows_costs_regrets_and_the_guide(learned, tmp_path):
    page = write(Record.load(learned.save(tmp_path)), tmp_path)
    text = page.read_text()
    for words in ("growth like √T", "How far the state was from rest", "best DAC", "aggregated"):
        assert words in text
    (tmp_path / "again").mkdir()
    assert write(learned, tmp_path / "again").read_text() == text


def test_many_agents_are_drawn_as_mean_and_range():
    n = 8
    cost = px.Quadratic(1.0, 1.0)
    world = LinearScenario(
        "many",
        "Many",
        px.LinearSystem(0.5, np.full((n, 1, 1), 1.0 / n)),
        (cost,) * n,
        (np.zeros((1, 1)),) * n,
        px.Step(1.0),
        rounds=30,
        online=OnlineSettings(memory=2),
    )
    record = play(world, hindsight="dac")
    assert [len(panel["curves"]) for panel in record.summary["panels"]] == [1, 1, 2]
    assert "range" in record.summary["panels"][1]["curves"][0]["label"]
    assert len(record.summary["agents"]) == n
