"""A scenario file of kind "linear" says exactly what the constructors say."""

import textwrap

import equinox as eqx
import numpy as np
import pytest

import phalanx as px
from phalanx.equilibria import nash_feedback, stabilising_gains
from phalanx.online._agent import SETTINGS as SETTINGS_OF_AGENTS
from phalanx.scenarios import LinearScenario, OnlineSettings
from phalanx.scenarios._linear_scenario import SETTINGS

A = [[1.0, 1.0], [0.0, 1.0]]
BLOCK = [[0.0], [1.0]]


@pytest.fixture
def load(tmp_path):
    """The scenario of a text in TOML."""

    def read(text: str, name: str = "mine.toml") -> LinearScenario:
        path = tmp_path / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return px.scenario(path)

    return read


def agent(B: object = BLOCK, K: str = '"lqr"', cost: str = "Q = 1.0", more: str = "") -> str:
    return f"[[agent]]\n{more}\nB = {B}\nK = {K}\n[agent.cost]\n{cost}\n"


def linear(*agents: str, system: str = "", more: str = "", top: str = "") -> str:
    """A two-state scenario, with lines added to its tables."""
    matrices = system if "A =" in system else f"A = {A}\n{system}"
    return "\n".join([top, f'[system]\nkind = "linear"\n{matrices}', *(agents or [agent()]), more])


# --- the system --------------------------------------------------------------------------------


def test_a_scenario_may_have_its_tables_alone(load):
    world = load(linear())
    assert isinstance(world, LinearScenario)
    np.testing.assert_array_equal(world.system.A, A)
    np.testing.assert_array_equal(world.system.input_matrix(0), BLOCK)
    np.testing.assert_array_equal(world.system.E, np.eye(2))
    assert (world.n_agents, world.x0, world.disturbance, world.rounds) == (1, None, None, 1000)
    assert world.online == OnlineSettings()


def test_agents_may_have_different_numbers_of_inputs(load):
    wide = [[1.0, 0.0], [0.0, 2.0]]
    world = load(linear(agent(), agent(wide), agent(0.5, '"zero"')))
    assert world.system.control_sizes == (1, 2, 2)
    np.testing.assert_array_equal(world.system.input_matrix(1), wide)
    np.testing.assert_array_equal(world.system.input_matrix(2), 0.5 * np.eye(2))
    assert [K.shape for K in world.gains] == [(1, 2), (2, 2), (2, 2)]


def test_scalars_are_one_state(load):
    world = load(linear(agent("2.0"), system="A = 0.5\nE = 3.0\nx0 = 1.5"))
    assert (world.system.A, world.system.E, world.x0) == ([[0.5]], [[3.0]], [1.5])
    assert world.system.input_matrix(0) == [[2.0]]


def test_E_and_x0_and_matrices_from_files(load, tmp_path):
    np.save(tmp_path / "A.npy", np.array(A))
    (tmp_path / "E.csv").write_text("1\n0.5\n")
    world = load(linear(system='A = {file = "A.npy"}\nE = {file = "E.csv"}\nx0 = [1, 2]'))
    np.testing.assert_array_equal(world.system.A, A)
    np.testing.assert_array_equal(world.system.E, [[1.0], [0.5]])
    np.testing.assert_array_equal(world.x0, [1.0, 2.0])


# --- gains -------------------------------------------------------------------------------------


def test_gains_by_the_names_of_methods(load):
    cost = "Q = 2.0\nR = 0.5"
    for method in ("zero", "lqr", "nash", "hinf"):
        world = load(linear(agent(K=f'"{method}"', cost=cost), agent(0.5, f'"{method}"', cost)))
        expected = stabilising_gains(world.system, [px.Quadratic(2.0, 0.5)] * 2, method).K
        for K, same in zip(world.gains, expected, strict=True):
            np.testing.assert_allclose(K, same, rtol=1e-12, atol=0)


def test_gains_may_come_from_different_methods(load):
    world = load(
        linear(agent(), agent(0.5, "[[1, 2], [3, 4]]"), agent(0.5, '"zero"'), agent(K='"nash"'))
    )
    alone = stabilising_gains(px.LinearSystem(A, BLOCK), px.Quadratic(1.0, 1.0)).K[0]
    np.testing.assert_allclose(world.gains[0], alone, rtol=1e-12)
    np.testing.assert_array_equal(world.gains[1], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(world.gains[2], np.zeros((2, 2)))
    inputs = [world.system.input_matrix(i) for i in range(4)]
    nash = nash_feedback(A, inputs, [1.0] * 4, [1.0] * 4).K[3]
    np.testing.assert_allclose(world.gains[3], nash, rtol=1e-9)


def test_the_gain_is_lqr_unless_said_otherwise(load):
    silent = linear(f"[[agent]]\nB = {BLOCK}\ncost = {{Q = 1.0}}\n")
    np.testing.assert_array_equal(load(silent).gains[0], load(linear()).gains[0])


def test_an_agent_without_quadratic_weights_may_stand_beside_one_with_them(load):
    world = load(linear(agent(), agent(K='"zero"', cost='kind = "huber"')))
    assert np.abs(world.gains[0]).min() > 0
    assert not world.gains[1].any()


# --- costs -------------------------------------------------------------------------------------

COSTS = {
    "quadratic": ("Q = 1.0", px.Quadratic(1.0, 1.0)),
    "quadratic, full": (
        "Q = [[2.0, 0.5], [0.5, 1.0]]\nR = 3.0",
        px.Quadratic([[2.0, 0.5], [0.5, 1.0]], 3.0),
    ),
    "quadratic, diagonal": ("Q = {diag = [2, 1]}", px.Quadratic([[2.0, 0.0], [0.0, 1.0]], 1.0)),
    "tracking, one target": (
        "target = [1.0, 2.0]\nQ = 2.0\nR = 0.5",
        px.Tracking([[1.0, 2.0]], 2.0, 0.5),
    ),
    "tracking, a path": ('target = {file = "path.csv"}', px.Tracking([[1, 2], [3, 4]], 1.0, 1.0)),
    "huber": ("", px.Huber()),
    "huber, all": (
        "width = 0.5\nweight = 2\ncontrol_weight = 0",
        px.Huber(width=0.5, weight=2.0, control_weight=0.0),
    ),
    "linear": ("state_price = [[1, 0], [0, 1]]", px.LinearStage([[1, 0], [0, 1]])),
    "linear, controls": (
        "state_price = [1, 0]\ncontrol_price = [[1], [2]]",
        px.LinearStage([[1, 0]], [[1], [2]]),
    ),
}


@pytest.mark.parametrize("case", COSTS)
def test_a_cost_of_every_kind(load, tmp_path, case):
    (tmp_path / "path.csv").write_text("a,b\n1,2\n3,4\n")
    lines, expected = COSTS[case]
    kind = case.partition(",")[0]
    found = load(linear(agent(K="[[1, 2]]", cost=f'kind = "{kind}"\n{lines}'))).costs[0]
    assert type(found) is type(expected)
    for mine, theirs in zip(_leaves(found), _leaves(expected), strict=True):
        np.testing.assert_array_equal(np.squeeze(mine), np.squeeze(theirs))


def _leaves(cost) -> list:
    return [value for value in vars(cost).values() if value is not None]


def test_rows_that_end_before_the_rounds_do_are_noted(load):
    cost = 'kind = "linear"\nstate_price = [[1, 0], [0, 1]]'
    notes = load(linear(agent(K='"zero"', cost=cost), more="[online]\nrounds = 3")).notes
    assert notes == ("The state_price of agent 0 has 2 rows; from then on the last one stays.",)
    assert load(linear(agent(K='"zero"', cost=cost), more="[online]\nrounds = 2")).notes == ()


# --- disturbances ------------------------------------------------------------------------------

SIGNALS = {
    "gaussian": ("covariance = 2.0", px.Gaussian(2.0, scope="common")),
    "uniform": ("radius = 2", px.UniformBall(2.0, scope="common")),
    "sinusoid": ("amplitude = [2, 1]\nperiod = 5", px.Sinusoid([2.0, 1.0], period=5.0)),
    "random-walk": ("step = 0.5\nbound = 3", px.RandomWalk(0.5, bound=3.0)),
    "step": ("size = 1.5\nat = 2", px.Step(1.5, at=2)),
    "adversary": (
        "gain = [[1, 0], [0, 2]]",
        px.LinearAdversary(np.zeros((2, 2)), [[1, 0], [0, 2]]),
    ),
    "adversary, bounded": ("size = 0.5", px.BoundedAdversary(A, 0.5)),
    "adversary, both": ("size = 0.5\ngain = 2", px.BoundedAdversary([[2, 0], [0, 2]], 0.5)),
}


@pytest.mark.parametrize("case", SIGNALS)
def test_a_disturbance_of_every_kind(load, case):
    lines, expected = SIGNALS[case]
    text = f'[disturbance]\nkind = "{case.partition(",")[0]}"\n{lines}'
    assert eqx.tree_equal(load(linear(more=text)).disturbance, expected)


def test_a_record_is_replayed_and_sets_the_rounds(load, tmp_path):
    rows = np.arange(12.0).reshape(6, 2)
    np.savetxt(tmp_path / "w.csv", rows, delimiter=",", header="a,b", comments="")
    text = '[disturbance]\nkind = "replay"\nfile = "w.csv"\n'
    world = load(linear(more=text))
    np.testing.assert_array_equal(world.disturbance.common, rows)
    assert (world.rounds, world.data) == (6, "w.csv")
    assert load(linear(more=text + "[online]\nrounds = 4")).rounds == 4


def test_a_record_of_one_entry_may_be_a_vector(load, tmp_path):
    np.save(tmp_path / "w.npy", np.arange(5.0))
    text = '[disturbance]\nkind = "replay"\nfile = "w.npy"\n'
    world = load(linear(system="E = [[1.0], [0.0]]", more=text))
    np.testing.assert_array_equal(world.disturbance.common, np.arange(5.0)[:, None])


def test_the_bounded_adversary_spends_its_budget_every_round():
    system = px.LinearSystem(0.9 * np.eye(2), np.eye(2))
    adversary = px.BoundedAdversary(system.E.T @ system.A, 0.5)
    run = px.simulate(system, px.LinearFeedback(np.zeros((2, 2))), adversary, rounds=30)
    np.testing.assert_allclose(np.linalg.norm(run.w, axis=1), 0.5)
    # It pushes where the state already is, so the state goes straight out to 0.5/(1 − 0.9).
    sizes = np.linalg.norm(run.x, axis=1)
    np.testing.assert_allclose(sizes, 5 * (1 - 0.9 ** np.arange(31)), atol=1e-12)


# --- [online], names ---------------------------------------------------------------------------


def test_online_settings(load):
    text = """
    [online]
    rounds = 50
    memory = "theory"
    setting = "aggregated"
    step_size = {initial = 0.1, decay = "sqrt"}
    radius = 2
    decay = 0.25
    """
    world = load(linear(more=textwrap.dedent(text)))
    step = {"initial": 0.1, "decay": "sqrt"}
    assert world.online == OnlineSettings("theory", "aggregated", step, 2, 0.25)
    assert world.rounds == 50


def test_settings_are_the_learners_own():
    assert SETTINGS == SETTINGS_OF_AGENTS


def test_names(load):
    plain = load(linear(agent(), agent(0.5)), "grid.toml")
    assert (plain.name, plain.title) == ("grid", "grid")
    assert plain.agent_names == ("agent 0", "agent 1")
    assert plain.state_names == ("x0", "x1")
    assert plain.control_names == ("u0", "u1")
    labels = '[labels]\nstates = ["gap (m)", "speed (m/s)"]\ndisturbances = ["a", "b"]'
    named = load(
        linear(agent(more='name = "north"'), more=labels, top='name = "ships"\ntitle = "Two ships"')
    )
    assert (named.name, named.title) == ("ships", "Two ships")
    assert named.agent_names == ("north",)
    assert named.state_names == ("gap (m)", "speed (m/s)")
    assert named.disturbance_names == ("a", "b")
