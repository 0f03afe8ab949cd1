"""The main job in a linear world: everybody on the same draws, regrets that mean the same, trouble as a row."""

from dataclasses import replace

import numpy as np
import pytest
import xarray

import phalanx as px
from phalanx._record import Record, plain
from phalanx.experiments._rivals import IDLE, play
from phalanx.experiments._run_pictures import _binned
from phalanx.experiments.online_run import run
from phalanx.scenarios import LinearScenario, OnlineSettings, Output

T = 60
A = np.array([[0.9, 0.2], [0.0, 0.8]])
B = np.array([[[0.0], [1.0]], [[0.1], [0.6]]])
E = np.array([[0.0], [1.0]])
DRAWS = np.random.default_rng(4)
W = np.sin(np.arange(T) / 6)[:, None] + 0.2
COST = px.Quadratic(np.diag([1.0, 0.2]), 5.0)
HEIGHT = Output("height", "m", ("left", "right"), np.array([[1.0, 0.0], [1.0, 0.1]]))
ROOM = Output("room", "m", ("door",), np.array([[0.0, 1.0]]), np.array([-0.5]), np.array([1.0]))
EVERYONE = [
    "zero",
    "lqr",
    "hinf",
    "nash",
    "mpc",
    "mpc-perfect",
    "gpc-independent",
    "gpc-aggregated",
    "gpc-agentwise",
    "gpc-aggregated-bare",
]


def world(**changes) -> LinearScenario:
    """Two levers on one mass that comes to rest by itself."""
    gains = tuple(np.array([[0.1, 0.2]]) for _ in range(2))
    made = LinearScenario(
        name="levers",
        title="Two levers",
        system=px.LinearSystem(A, B, E),
        costs=(COST, COST),
        gains=gains,
        disturbance=px.Replay(common=W),
        rounds=T,
        online=OnlineSettings(memory=3, step_size=0.02, radius=1.0),
        agent_names=("short", "long"),
        control_names=("pull (N)",),
        step_seconds=0.5,
        outputs=(HEIGHT, ROOM),
        notes=("Levers do not bend.",),
    )
    return replace(made, **changes)


@pytest.fixture(scope="module")
def record() -> Record:
    return run(world())


def rows(record: Record) -> dict[str, dict]:
    return {row["key"]: row for row in record.summary["controllers"]}


def paths(gain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """States and controls when everybody plays the fixed gain, round by round."""
    x, xs, us = np.zeros(2), [], []
    for w in W:
        u = np.array([-(gain @ x)[0]] * 2)
        xs.append(x)
        us.append(u)
        x = A @ x + B[:, :, 0].T @ u + E @ w
    return np.array([*xs, x]), np.array(us)


def test_everybody_plays_to_the_end(record):
    assert list(rows(record)) == EVERYONE
    assert {row["outcome"] for row in rows(record).values()} == {"solved"}
    assert record.summary["outcome"] == "solved"


def test_doing_nothing_costs_what_a_loop_by_hand_costs(record):
    x, _ = paths(np.zeros((1, 2)))
    costs = np.einsum("ti,ij,tj->t", x[:-1], COST.Q, x[:-1])
    row = rows(record)["zero"]
    assert row["mean_cost"] == pytest.approx(costs.mean(), rel=1e-12)
    assert [agent["mean_cost"] for agent in row["agents"]] == pytest.approx([costs.mean()] * 2)
    assert (row["rms_control"], row["spectral_radius_joint"]) == (0, pytest.approx(0.9))


def test_outputs_are_read_off_the_states(record):
    x, _ = paths(np.zeros((1, 2)))
    height, room = rows(record)["zero"]["outputs"]
    y = x @ HEIGHT.matrix.T
    assert (height["lowest"], height["highest"]) == pytest.approx((y.min(), y.max()))
    assert height["lowest_at"] == HEIGHT.labels[np.argmin(y.min(axis=0))]
    assert height["rms"] == pytest.approx(np.sqrt((y**2).mean()))
    assert "outside" not in height
    outside = (x[:, 1] < -0.5) | (x[:, 1] > 1.0)
    assert 0 < outside.mean() < 1
    assert room["outside"] == pytest.approx([outside.mean()])


@pytest.mark.parametrize("key", ["zero", "mpc", "gpc-aggregated"])
def test_regret_is_against_the_same_class_whoever_played(record, key):
    """The same comparison, from the best policy's own replay."""
    found = rows(record)[key]["agents"][1]
    assert found["regret_dac"] == pytest.approx(found["total_cost"] - found["best_dac_cost"])
    learner = px.team(px.LinearSystem(A, B, E), list(world().gains), memory=3, radius=1.0)
    if key != "zero":
        return
    still = px.LinearFeedback(np.zeros((1, 2)))
    played = px.simulate(
        px.LinearSystem(A, B, E), [still] * 2, px.Replay(common=W), [COST] * 2, rounds=T
    )
    swapped = replace(played, policies=(still, learner[1]))
    best = px.best_dac(swapped, 1, "open-loop", tolerance=1e-8)
    assert found["best_dac_cost"] == pytest.approx(best.cost, rel=1e-4)


def test_the_same_run_gives_the_same_record(record):
    again = run(world())
    assert plain(again.summary) == plain(record.summary)
    xarray.testing.assert_identical(again.series, record.series)


def test_the_seed_is_that_of_the_disturbance():
    noisy = world(disturbance=px.Gaussian(0.1))
    w = [play(noisy, IDLE, seed, print).trajectory.w for seed in (3, 3, 4)]
    np.testing.assert_array_equal(w[0], w[1])
    assert not np.array_equal(w[0], w[2])


def test_what_is_kept_is_thin_and_comes_back(record, tmp_path):
    loaded = Record.load(record.save(tmp_path))
    assert loaded.kind == "online-run"
    assert loaded.summary == plain(record.summary)
    xarray.testing.assert_identical(loaded.series, record.series)
    kept = record.series
    assert list(kept["controller"].values) == EVERYONE
    assert list(kept["row0"].values) == ["left", "right"]
    assert kept.sizes["bin"] <= 300
    low = kept["output0_lowest"].sel(controller="zero").min().item()
    x, _ = paths(np.zeros((1, 2)))
    assert low == pytest.approx((x[:-1] @ HEIGHT.matrix.T).min(), rel=1e-6)
    last = kept["regret"].sel(judged="zero").values[-1]
    wanted = [agent["regret_dac"] for agent in rows(record)["zero"]["agents"]]
    assert last == pytest.approx(wanted, rel=1e-5)


def test_tables_have_a_row_for_everybody(record):
    for table in record.summary["tables"]:
        assert len(table["rows"]) == len(EVERYONE), table["title"]
        assert all(len(row) == len(table["header"]) for row in table["rows"])
    assert "Levers do not bend." in record.summary["notes"]


def test_bins_hold_every_round_once_and_no_peak_is_lost():
    y = DRAWS.normal(size=(1500, 2))
    low, mean, high = _binned(y)
    assert len(low) == len(mean) == len(high) == 300
    assert (low.min(), high.max()) == (y.min(), y.max())
    assert mean.mean() == pytest.approx(y.mean())
    np.testing.assert_array_equal(_binned(y[:7])[1], y[:7])


def test_a_single_agent_has_nobody_to_be_told_of():
    alone = world(
        system=px.LinearSystem(A, B[:1], E), costs=(COST,), gains=world().gains[:1], agent_names=()
    )
    found = rows(run(alone))
    assert list(found) == EVERYONE[:7]
    assert found["lqr"]["agents"][0]["name"] == "agent 0"
    cheapest = min(found.values(), key=lambda row: row["mean_cost"])
    assert cheapest["key"] == "mpc-perfect"  # with nobody else to reckon with


def test_worlds_without_outputs_show_the_state():
    found = run(world(outputs=())).summary
    assert any("state" in panel["title"] for panel in found["panels"])
    assert len(found["tables"]) == 3


def test_nobody_moves_where_nothing_happens():
    still = world(disturbance=px.Replay(common=0 * W))
    found = run(still).summary
    assert {row["mean_cost"] for row in found["controllers"]} == {0.0}
    calm = play(replace(still, disturbance=None), IDLE, 0, print)
    assert not calm.trajectory.x.any()


# --- trouble is a row ----------------------------------------------------------------------------


def scalar(a: float, gain: float, **changes) -> LinearScenario:
    """Two agents who push the same number, each with the same gain."""
    return world(
        system=px.LinearSystem(a, [[[1.0]], [[1.0]]]),
        costs=(px.Quadratic(), px.Quadratic()),
        gains=(np.array([[gain]]),) * 2,
        disturbance=px.Replay(common=W),
        outputs=(),
        **changes,
    )


@pytest.fixture(scope="module")
def clash() -> tuple[Record, list[str]]:
    """Each agent alone is stable at −0.9, both together are at −2.8."""
    said: list[str] = []
    return run(scalar(1.0, 1.9), warn=said.append), said


def test_agents_who_destroy_each_other_are_rows_with_a_sentence(clash):
    found = rows(clash[0])
    learners = found["gpc-independent"]
    assert learners["outcome"] == "diverged"
    assert 0 < learners["rounds_played"] < T
    assert "grew beyond any number" in learners["reason"]
    assert learners["mean_cost"] is learners["agents"] is None
    assert found["gpc-aggregated"]["outcome"] == "infeasible"
    assert "does not stabilise" in found["gpc-aggregated"]["reason"]
    assert found["gpc-aggregated"]["rounds_played"] == 0
    assert found["lqr"]["outcome"] == "solved"
    assert clash[0].summary["outcome"] == "not_all_played_to_the_end"


def test_agents_not_stable_together_are_warned_of_before_they_play(clash):
    record, said = clash
    assert [text for text in said if text.startswith("GPC, independent")] == [
        "GPC, independent: every agent alone is stable (largest spectral radius 0.9000), all together are not (2.8000)."
    ]
    assert record.summary["warnings"] == said
    assert set(said) <= set(record.summary["notes"])


def test_both_radii_are_stated(clash):
    row = rows(clash[0])["gpc-independent"]
    assert (row["spectral_radius_own"], row["spectral_radius_joint"]) == pytest.approx((0.9, 2.8))


def test_the_page_and_the_record_of_trouble_are_whole(clash, tmp_path):
    from phalanx.report import write

    loaded = Record.load(clash[0].save(tmp_path))
    text = write(loaded, tmp_path).read_text(encoding="utf-8")
    assert "not all played to the end" in text
    assert "GPC, independent: In round" in text


def test_costs_without_weights_leave_out_who_needs_them():
    huber = px.Huber(0.3, 1.0, 0.5)
    found = rows(run(world(costs=(huber, huber))))
    assert {key for key, row in found.items() if row["mean_cost"] is None} == {
        "lqr",
        "hinf",
        "nash",
        "mpc",
        "mpc-perfect",
    }
    assert "weights" in found["lqr"]["reason"]
    assert found["gpc-independent"]["mean_regret"] is not None


def test_a_world_that_explodes_whatever_they_do_is_still_a_record(tmp_path):
    from phalanx.report import write

    record = run(
        world(system=px.LinearSystem(5.0 * np.eye(2), 0.0 * B, E), gains=(np.zeros((1, 2)),) * 2)
    )
    assert all(row["mean_cost"] is None for row in record.summary["controllers"])
    assert "No controller played to the end." in record.summary["story"]
    record.save(tmp_path)
    assert write(Record.load(tmp_path), tmp_path).is_file()


@pytest.mark.parametrize(
    ("rounds", "words"), [(0, "whole number"), (2.5, "whole number"), (T + 1, "60 rows")]
)
def test_rounds_out_of_range_are_refused(rounds, words):
    with pytest.raises(px.InputError, match=words):
        run(world(), rounds=rounds)


# --- the grid ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_power_grid_comes_out_as_the_worlds_page_says():
    found = rows(run(px.scenario("power-grid")))
    cost = {key: row["mean_cost"] for key, row in found.items()}
    assert cost["zero"] == pytest.approx(3.19, abs=0.01)
    assert cost["lqr"] == pytest.approx(0.613, abs=0.001)
    assert cost["gpc-independent"] == pytest.approx(0.173, abs=0.001)
    assert cost["gpc-aggregated"] == pytest.approx(0.407, abs=0.001)
    lowest = {key: row["outputs"][0]["lowest"] for key, row in found.items()}
    assert lowest["zero"] == pytest.approx(-0.117, abs=0.001)
    assert lowest["gpc-aggregated-bare"] < -2.0
    assert found["gpc-independent"]["mean_regret"] < 0.1 * found["lqr"]["mean_regret"]
    for row in found.values():
        for agent in row["agents"]:
            assert agent["optimality_gap"] <= 1e-4 * agent["best_dac_cost"]
