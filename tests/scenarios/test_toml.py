"""A scenario file says exactly what the constructors say."""

import textwrap

import equinox as eqx
import numpy as np
import pytest
from _oracles import random_game
from hypothesis import given
from hypothesis import strategies as st

import phalanx as px

PARTS = {
    "system": ("A", "A_bar", "B", "B_bar", "D", "D_bar"),
    "cost": ("Q", "Q_bar", "R", "R_bar", "Q_T", "Q_bar_T"),
    "noise": ("Sigma", "Sigma_bar", "Sigma_0", "Sigma_bar_0"),
}
A = [[0.9, 0.2], [0.1, 0.8]]
B = [[1.0, 0.0], [0.2, 0.7]]


def assert_same_game(a: px.RobustGame, b: px.RobustGame) -> None:
    assert a.horizon == b.horizon
    for part, names in PARTS.items():
        for name in names:
            x, y = (getattr(getattr(game, part), name) for game in (a, b))
            np.testing.assert_array_equal(x, y, err_msg=name, strict=True)


@pytest.fixture
def load(tmp_path):
    """The scenario of a text in TOML."""

    def read(text: str, name: str = "mine.toml") -> px.Scenario:
        path = tmp_path / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return px.scenario(path)

    return read


def small(system: str = "", cost: str = "", noise: str = "", game: str = "", more: str = "") -> str:
    """A two-state scenario, with lines added to its tables."""
    return "\n".join(
        [
            '[system]\nkind = "mean-field"',
            system if "A =" in system else f"A = {A}\n{system}",
            "" if "B =" in system else f"B = {B}",
            f"[cost]\n{cost if 'Q =' in cost else 'Q = 1.0' + chr(10) + cost}",
            f"[noise]\n{noise}",
            f"[game]\n{game if 'horizon' in game else 'horizon = 3' + chr(10) + game}",
            more,
        ]
    )


# --- the game ----------------------------------------------------------------------------------


def test_inline_matrices(load, two_by_two):
    assert_same_game(px.scenario("two-by-two").game, two_by_two)


def test_a_scenario_may_have_its_tables_alone(load):
    game = px.RobustGame(px.MeanFieldSystem(A=A, B=B), px.MeanFieldCost(Q=1.0), horizon=3)
    assert_same_game(load(small()).game, game)


def test_a_scalar_is_a_multiple_of_the_identity(load):
    game = load(small("A = 0.5\nB = 2\nD = 0.1", "Q = 3\nR = 0.25", "Sigma = 0.5")).game
    # Nothing but scalars: one state.
    assert game.system.A == [[0.5]]
    text = small("A = 0.5\nB = [[1.0, 0.0], [0.0, 1.0]]", "Q = 3", "Sigma = 0.5")
    game = load(text).game
    np.testing.assert_array_equal(game.system.A, 0.5 * np.eye(2))
    np.testing.assert_array_equal(game.cost.Q, 3 * np.eye(2))
    np.testing.assert_array_equal(game.noise.Sigma, 0.5 * np.eye(2))


def test_zero_is_the_zero_matrix_of_any_shape(load):
    game = load(small("A_bar = 0\nB = [[1.0], [0.5]]\nB_bar = 0")).game
    np.testing.assert_array_equal(game.system.B_bar, np.zeros((2, 1)))


def test_whole_numbers_are_numbers(load):
    assert_same_game(
        load(small("A = [[1, 0], [0, 1]]", "Q = [[2, 0], [0, 2]]")).game,
        load(small("A = 1.0\nA_bar = [[0.0, 0.0], [0.0, 0.0]]", "Q = 2.0")).game,
    )


def test_weights_default_to_each_other(load):
    cost = load(small(cost="Q = 2.0\nR = 3.0")).game.cost
    for name, weight in {"Q_bar": 2, "Q_T": 2, "Q_bar_T": 2, "R_bar": 3}.items():
        np.testing.assert_array_equal(getattr(cost, name), weight * np.eye(2))


def test_every_key_reaches_its_matrix(load):
    rng = np.random.default_rng(0)
    game = random_game(rng, m=2, p=1, q=3, T=4)
    tables = {
        part: "\n".join(f"{n} = {getattr(getattr(game, part), n).tolist()}" for n in names)
        for part, names in PARTS.items()
    }
    assert_same_game(load(small(**tables, game="horizon = 4")).game, game)


@pytest.mark.parametrize("suffix", ["csv", "npy"])
def test_a_matrix_from_a_file_beside_the_scenario(load, tmp_path, suffix):
    if suffix == "npy":
        np.save(tmp_path / "A.npy", np.array(A))
    else:
        (tmp_path / "A.csv").write_text("\n".join(",".join(map(repr, row)) for row in A))
    from_file = load(small(f'A = {{file = "A.{suffix}"}}')).game
    np.testing.assert_array_equal(from_file.system.A, A)


def test_a_file_is_looked_for_beside_the_scenario_not_in_the_working_folder(
    load, tmp_path, monkeypatch
):
    np.save(tmp_path / "A.npy", np.array(A))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    np.testing.assert_array_equal(load(small('A = {file = "A.npy"}')).game.system.A, A)


def test_a_matrix_that_varies_in_time_from_a_file(load, tmp_path):
    stages = np.stack([np.array(A) * t for t in (1.0, 0.5, 0.25)])
    np.save(tmp_path / "A.npy", stages)
    np.testing.assert_array_equal(load(small('A = {file = "A.npy"}')).game.system.A, stages)


def test_a_list_of_matrices_varies_in_time(load):
    stages = [A, [[0.5, 0.0], [0.0, 0.5]], [[1.0, 0.0], [0.0, 1.0]]]
    weights = [[[t, 0.0], [0.0, 1.0]] for t in (1.0, 2.0, 3.0)]
    found = load(small(f"A = {stages}", f"Q = {weights}")).game
    game = px.RobustGame(px.MeanFieldSystem(A=stages, B=B), px.MeanFieldCost(Q=weights), horizon=3)
    assert_same_game(found, game)
    assert found.cost.Q_T[0, 0] == 3.0


@pytest.mark.parametrize("text", ["inf", "+inf"])
def test_horizon_inf_is_the_stationary_game(load, text):
    assert load(small(game=f"horizon = {text}")).game.stationary


def test_a_horizon_may_be_written_as_a_whole_float(load):
    horizon = load(small(game="horizon = 3.0")).game.horizon
    assert (horizon, type(horizon)) == (3, int)


@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 3)),
    T=st.one_of(st.integers(1, 4), st.just(float("inf"))),
    varying=st.booleans(),
)
def test_what_is_written_is_read_back(tmp_path_factory, seed, sizes, T, varying):
    varying = varying and T != float("inf")
    game = random_game(np.random.default_rng(seed), *sizes, T=T, varying=varying)
    tables = {
        part: "\n".join(f"{n} = {getattr(getattr(game, part), n).tolist()}" for n in names)
        for part, names in PARTS.items()
    }
    path = tmp_path_factory.mktemp("games") / "game.toml"
    path.write_text(small(**tables, game=f"horizon = {T}"))
    assert_same_game(px.scenario(path).game, game)


# --- what is around it -------------------------------------------------------------------------


def test_the_name_is_the_files_unless_it_says_another(load):
    assert load(small(), "fleet.toml").name == "fleet"
    assert load('name = "ships"\n' + small(), "fleet.toml").name == "ships"


def test_the_title_is_the_name_unless_it_says_another(load):
    assert load('name = "ships"\n' + small()).title == "ships"
    assert load('title = "Five ships"\n' + small()).title == "Five ships"


def test_agents_are_infinitely_many_by_default(load):
    assert load(small()).n_agents == float("inf")
    assert load(small(game="agents = inf")).n_agents == float("inf")
    assert load(small(game="agents = 12")).n_agents == 12


def test_gamma_is_auto_by_default(load):
    assert load(small()).gamma == "auto"
    assert load(small(game='gamma = "auto"')).gamma == "auto"
    assert load(small(game="gamma = 3")).gamma == 3.0


def test_x0(load, tmp_path):
    np.testing.assert_array_equal(load(small()).game.noise.x0, [0.0, 0.0])
    np.testing.assert_array_equal(load(small("x0 = [1, -2.5]")).game.noise.x0, [1.0, -2.5])
    np.save(tmp_path / "x0.npy", np.array([3.0, 4.0]))
    np.testing.assert_array_equal(load(small('x0 = {file = "x0.npy"}')).game.noise.x0, [3.0, 4.0])


def test_x0_may_be_a_row_or_a_column_of_a_csv(load, tmp_path):
    (tmp_path / "row.csv").write_text("1,2\n")
    (tmp_path / "column.csv").write_text("1\n2\n")
    for name in ("row", "column"):
        np.testing.assert_array_equal(
            load(small(f'x0 = {{file = "{name}.csv"}}')).game.noise.x0, [1.0, 2.0]
        )


def test_labels(load):
    plain = load(small("B = [[1.0], [0.0]]"))
    assert (plain.state_names, plain.control_names) == (("x0", "x1"), ("u0",))
    assert plain.disturbance_names == ("d0", "d1")
    named = load(
        small(more='[labels]\nstates = ["speed (m/s)", "gap (m)"]\ndisturbances = ["a", "b"]')
    )
    assert named.state_names == ("speed (m/s)", "gap (m)")
    assert (named.control_names, named.disturbance_names) == (("u0", "u1"), ("a", "b"))


def test_limits(load):
    assert load(small()).limits is None
    low, high = load(small(more="[limits]\nlow = [-1, -inf]\nhigh = [1.5, inf]")).limits
    np.testing.assert_array_equal(low, [-1.0, -np.inf])
    np.testing.assert_array_equal(high, [1.5, np.inf])


# --- [disturbance] -----------------------------------------------------------------------------

SIGNALS = {
    "gaussian": ("covariance = 2.0", px.Gaussian(2.0, scope="common")),
    "gaussian, full": (
        "covariance = [[2.0, 0.5], [0.5, 1.0]]",
        px.Gaussian([[2.0, 0.5], [0.5, 1.0]], scope="common"),
    ),
    "uniform": ("radius = 2", px.UniformBall(2.0, scope="common")),
    "sinusoid": ("amplitude = 2.0\nperiod = 5", px.Sinusoid(2.0, period=5.0)),
    "sinusoid, phase": (
        "amplitude = [1.0, 2.0]\nperiod = 5.5\nphase = 0.25",
        px.Sinusoid([1.0, 2.0], period=5.5, phase=0.25),
    ),
    "random-walk": ("step = 0.5", px.RandomWalk(0.5)),
    "random-walk, bound": ("step = [0.5, 1.0]\nbound = 3", px.RandomWalk([0.5, 1.0], bound=3.0)),
    "step": ("size = 1.5", px.Step(1.5)),
    "step, until": ("size = [1.0, -1.0]\nat = 2\nuntil = 7", px.Step([1.0, -1.0], at=2, until=7)),
}


@pytest.mark.parametrize("case", SIGNALS)
def test_a_disturbance_of_every_kind(load, case):
    lines, expected = SIGNALS[case]
    kind = case.partition(",")[0]
    found = load(small(more=f'[disturbance]\nkind = "{kind}"\n{lines}'))
    assert found.recorded is None
    assert eqx.tree_equal(found.disturbance, expected)


@pytest.mark.parametrize("scope", ["common", "idiosyncratic", "both"])
def test_a_disturbance_of_every_scope(load, scope):
    text = f'[disturbance]\nkind = "uniform"\nscope = "{scope}"\nradius = 1.0'
    assert load(small(more=text)).disturbance.scope == scope


def test_a_disturbances_matrix_from_a_file(load, tmp_path):
    np.save(tmp_path / "cov.npy", np.diag([2.0, 1.0]))
    text = '[disturbance]\nkind = "gaussian"\ncovariance = {file = "cov.npy"}'
    np.testing.assert_array_equal(
        load(small(more=text)).disturbance.covariance, np.diag([2.0, 1.0])
    )


def test_a_recorded_common_signal_is_cut_into_episodes(load, tmp_path):
    rows = np.arange(16.0).reshape(8, 2)
    np.savetxt(tmp_path / "wind.csv", rows, delimiter=",", header="east,north", comments="")
    found = load(small(more='[disturbance]\nkind = "replay"\nfile = "wind.csv"'))
    world = found.recorded
    assert (found.disturbance, world.idiosyncratic) == (None, None)
    assert world.episodes == 2  # of 3 stages; the last two rows fill no episode
    np.testing.assert_array_equal(world.common, rows[:6])


def test_recorded_signals_of_agents(load, tmp_path):
    pool = np.random.default_rng(0).normal(size=(3, 2, 5))
    np.save(tmp_path / "gusts.npy", pool)
    text = '[disturbance]\nkind = "replay"\nscope = "idiosyncratic"\nfile = "gusts.npy"'
    world = load(small(more=text)).recorded
    np.testing.assert_array_equal(world.idiosyncratic, pool)
    np.testing.assert_array_equal(world.common, np.zeros((3, 2)))


def test_recorded_signals_of_agents_with_one_entry_fit_a_csv(load, tmp_path):
    (tmp_path / "gusts.csv").write_text("1,2,3,4\n5,6,7,8\n9,10,11,12\n")
    text = '[disturbance]\nkind = "replay"\nscope = "idiosyncratic"\nfile = "gusts.csv"'
    world = load(small("D = [[1.0], [0.0]]", more=text)).recorded
    assert world.idiosyncratic.shape == (3, 1, 4)
    np.testing.assert_array_equal(world.idiosyncratic[1, 0], [5, 6, 7, 8])


def test_a_record_of_one_entry_may_be_a_vector(load, tmp_path):
    np.save(tmp_path / "wind.npy", np.arange(3.0))
    text = '[disturbance]\nkind = "replay"\nfile = "wind.npy"'
    world = load(small("D = [[1.0], [0.0]]", more=text)).recorded
    np.testing.assert_array_equal(world.common, [[0.0], [1.0], [2.0]])


def test_in_the_stationary_game_a_record_is_one_episode(load, tmp_path):
    np.save(tmp_path / "wind.npy", np.ones((7, 2)))
    text = '[disturbance]\nkind = "replay"\nfile = "wind.npy"'
    world = load(small(game="horizon = inf", more=text)).recorded
    assert (world.episodes, len(world.common)) == (1, 7)


# --- names -------------------------------------------------------------------------------------


def test_a_path_may_be_a_string_or_a_path(load, tmp_path):
    load(small())
    assert px.scenario(str(tmp_path / "mine.toml")).name == "mine"


def test_every_world_loads_under_its_name():
    for name in px.scenario_names():
        assert px.scenario(name).name == name
