"""A simulated population against a loop over its agents: paths, costs, energies, records."""

import jax
import numpy as np
import pytest
from brute_force import (
    N,
    T,
    energies,
    general_world,
    m,
    p,
    play_population,
    q,
    stage_costs,
    terminal_cost,
)

import phalanx as px

EXACT = {"rtol": 1e-12, "atol": 1e-12}
PATHS = ("stage_cost", "x_bar", "x_std", "x_min", "x_max", "u_bar", "d_bar", "d_energy")
STATES = ("x", "u", "d")
TOTALS = ("cost", "disturbance_energy", "noise_energy")

WORLD = general_world()
LIMITS = (np.full(m, -0.5), np.array([0.1, 0.5, 1.0]))


def simulate(world=WORLD, **settings):
    settings = {"n_agents": N, "x0": world.x0, "record": "states", "limits": LIMITS} | settings
    return px.simulate(
        world.system,
        px.MeanFieldFeedback(world.K, world.L),
        px.Replay(idiosyncratic=world.d.swapaxes(1, 2)),
        world.cost,
        **settings,
    )


@pytest.fixture(scope="module")
def by_hand():
    return play_population(WORLD)


@pytest.fixture(scope="module")
def run():
    return simulate()


# --- paths -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", STATES)
def test_the_paths_are_those_of_a_loop_over_agents(run, by_hand, path):
    np.testing.assert_allclose(getattr(run, path), getattr(by_hand, path), **EXACT)


def one_controller(system, x0, gain, d):
    """A half of the split, simulated: one controller u = −gain·x, one disturbance."""
    policy, record = px.LinearFeedback(gain), px.Replay(common=d)
    return px.simulate(system, policy, record, x0=x0).x


def test_the_mean_obeys_the_mean_half_of_the_split(run):
    z = one_controller(
        WORLD.system.split().mean, WORLD.x0.mean(axis=0), WORLD.L, WORLD.d.mean(axis=1)
    )
    np.testing.assert_allclose(run.x.mean(axis=1), z, **EXACT)


@pytest.mark.parametrize("agent", range(N))
def test_each_deviation_obeys_the_deviation_half_of_the_split(run, agent):
    y0 = (WORLD.x0 - WORLD.x0.mean(axis=0))[agent]
    d = (WORLD.d - WORLD.d.mean(axis=1, keepdims=True))[:, agent]
    y = one_controller(WORLD.system.split().deviation, y0, WORLD.K, d)
    np.testing.assert_allclose((run.x - run.x.mean(axis=1, keepdims=True))[:, agent], y, **EXACT)


@pytest.fixture(scope="module")
def stacked():
    """The same population as one linear system, each agent's gain written on the stacked state."""
    mean = np.full((1, N), 1 / N)
    gains = [
        np.kron(np.eye(N)[i] - mean, WORLD.K) + np.kron(mean, WORLD.L)  # K(x^i − x̄) + L x̄
        for i in range(N)
    ]
    return px.simulate(
        WORLD.system.population(N),
        [px.LinearFeedback(gain) for gain in gains],
        px.Replay(common=WORLD.d.reshape(T, N * q)),
        x0=WORLD.x0.reshape(-1),
    )


def test_the_population_as_one_linear_system_takes_the_same_path(run, stacked):
    np.testing.assert_allclose(stacked.x.reshape(T + 1, N, m), run.x, **EXACT)


def test_the_population_as_one_linear_system_plays_the_same_controls(run, stacked):
    np.testing.assert_allclose(stacked.u, run.u, **EXACT)


# --- costs and energies ------------------------------------------------------------------------


def test_the_cost_is_equation_2(run, by_hand):
    J = stage_costs(WORLD.cost, by_hand.x, by_hand.u).sum() + terminal_cost(
        WORLD.cost, by_hand.x[-1]
    )
    np.testing.assert_allclose(run.cost, J, rtol=1e-12)


def test_each_rounds_cost_is_its_summand(run, by_hand):
    np.testing.assert_allclose(
        run.stage_cost, stage_costs(WORLD.cost, by_hand.x, by_hand.u), rtol=1e-12
    )


def test_the_disturbance_energy_is_equation_3s(run):
    np.testing.assert_allclose(run.d_energy, energies(WORLD.d), rtol=1e-12)
    np.testing.assert_allclose(run.disturbance_energy, energies(WORLD.d).sum(), rtol=1e-12)


def test_a_common_disturbances_energy_is_its_square():
    d = WORLD.d[:, 0]
    run = px.simulate(
        WORLD.system,
        px.MeanFieldFeedback(WORLD.K, WORLD.L),
        px.Replay(common=d),
        n_agents=N,
        record="totals",
    )
    np.testing.assert_allclose(run.disturbance_energy, (d**2).sum(), rtol=1e-12)


def test_without_noise_the_noise_index_is_the_disturbances_energy(run):
    assert run.noise_energy == 0
    assert run.noise_index == run.disturbance_energy


def test_the_share_outside_is_counted_over_agents_and_rounds(run, by_hand):
    outside = (by_hand.x[1:] < LIMITS[0]) | (by_hand.x[1:] > LIMITS[1])
    np.testing.assert_allclose(run.outside, outside.mean(axis=(0, 1)), rtol=1e-12)


# --- records -----------------------------------------------------------------------------------


def test_means_are_those_of_the_states(run):
    np.testing.assert_allclose(run.x_bar, run.x.mean(axis=1), **EXACT)
    np.testing.assert_allclose(run.x_std, run.x.std(axis=1), **EXACT)
    np.testing.assert_array_equal(run.x_min, run.x.min(axis=1))
    np.testing.assert_array_equal(run.x_max, run.x.max(axis=1))
    np.testing.assert_allclose(run.u_bar, run.u.mean(axis=1), **EXACT)
    np.testing.assert_allclose(run.d_bar, run.d.mean(axis=1), **EXACT)


@pytest.mark.parametrize("record", ["totals", "means"])
def test_every_record_tells_the_same_story(run, record):
    other = simulate(record=record)
    told = (*TOTALS, "outside", "final", "initial") + (PATHS if record == "means" else ())
    for name in told:
        np.testing.assert_allclose(getattr(other, name), getattr(run, name), **EXACT)


@pytest.mark.parametrize(
    ("record", "absent"), [("totals", PATHS + STATES), ("means", STATES), ("states", ())]
)
def test_a_record_holds_what_was_asked_for_and_no_more(record, absent):
    run = simulate(record=record)
    assert {name for name in PATHS + STATES if getattr(run, name) is None} == set(absent)


def test_the_run_begins_and_ends_where_its_path_does(run):
    np.testing.assert_array_equal(run.initial, run.x[0])
    np.testing.assert_array_equal(run.final, run.x[-1])


def test_shapes(run):
    assert run.x.shape == (T + 1, N, m)
    assert run.u.shape == (T, N, p)
    assert run.d.shape == (T, N, q)
    assert run.stage_cost.shape == (T,)


def test_nothing_is_reported_that_was_not_asked():
    run = px.simulate(WORLD.system, px.MeanFieldFeedback(WORLD.K, WORLD.L), n_agents=N)
    assert run.cost is None
    assert run.stage_cost is None
    assert run.outside is None


def test_the_dataset_is_labelled(run):
    data = run.to_dataset(state_names=["a", "b", "c"])
    np.testing.assert_array_equal(data["x"].sel(state="b", time=2), run.x[2, :, 1])
    assert data.attrs["cost"] == run.cost


def test_totals_alone_make_no_dataset():
    with pytest.raises(px.InputError, match="only totals were recorded"):
        simulate(record="totals").to_dataset()


# --- agents, rounds, precision -----------------------------------------------------------------


def test_permuting_the_agents_permutes_everything(run):
    order = np.random.default_rng(3).permutation(N)
    world = general_world()
    world.x0, world.d = world.x0[order], world.d[:, order]
    permuted = simulate(world)
    for path in STATES:
        np.testing.assert_allclose(getattr(permuted, path), getattr(run, path)[:, order], **EXACT)
    np.testing.assert_allclose(permuted.cost, run.cost, rtol=1e-12)


def test_one_state_serves_all_agents():
    alike = simulate(x0=WORLD.x0[0])
    np.testing.assert_array_equal(alike.initial, np.broadcast_to(WORLD.x0[0], (N, m)))


def test_agents_start_at_rest_by_default():
    np.testing.assert_array_equal(simulate(x0=None).initial, np.zeros((N, m)))


def test_a_single_agent_is_its_own_mean():
    world = general_world()
    world.x0, world.d = world.x0[:1], world.d[:, :1]
    alone = simulate(world, n_agents=1)
    np.testing.assert_allclose(alone.x[:, 0], alone.x_bar, **EXACT)
    np.testing.assert_array_equal(alone.x_std, 0)


def test_rounds_come_from_the_time_axis():
    assert simulate().rounds == T


def test_fewer_rounds_are_the_first_ones(run):
    np.testing.assert_allclose(simulate(rounds=3).x, run.x[:4], **EXACT)


def test_single_precision_agrees_to_single_precision(run):
    single = simulate(precision="float32")
    assert single.x.dtype == np.float32
    np.testing.assert_allclose(single.x, run.x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_jaxs_global_precision_is_left_alone(precision):
    before = jax.config.jax_enable_x64
    simulate(precision=precision)
    assert jax.config.jax_enable_x64 == before


def test_runs_lead_every_figure():
    runs = simulate(runs=3)
    assert runs.x.shape == (3, T + 1, N, m)
    assert runs.final.shape == (3, N, m)
    assert runs.cost.shape == (3,)
    assert runs.noise_index.shape == (3,)
    assert runs.outside.shape == (3, m)


def test_runs_of_a_world_without_chance_are_one_run(run):
    runs = simulate(runs=3)
    for name in (*TOTALS, *PATHS, *STATES):
        np.testing.assert_allclose(getattr(runs, name), np.stack([getattr(run, name)] * 3), **EXACT)


# --- faults and outcomes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"n_agents": 0}, "n_agents must be a whole number of at least 1, but it is 0"),
        ({"n_agents": None}, "n_agents must be a whole number of at least 1, but it is None"),
        ({"rounds": 0}, "rounds must be a whole number of at least 1"),
        ({"rounds": 2.0}, "rounds must be a whole number of at least 1"),
        ({"x0": np.ones((N + 1, m))}, r"x0 has shape \(6, 3\) and must have shape \(3,\)"),
        ({"first_round": -1, "rounds": 2}, "first_round"),
        ({"runs": 0}, "runs"),
        ({"record": "all"}, 'record must be "totals", "means" or "states"'),
        ({"precision": "float16"}, 'precision must be "float64" or "float32"'),
    ],
)
def test_a_fault_names_the_argument(settings, sentence):
    with pytest.raises(px.InputError, match=sentence):
        simulate(**settings)


def test_rounds_are_needed_where_nothing_varies_in_time():
    with pytest.raises(px.InputError, match="rounds is missing"):
        px.simulate(px.MeanFieldSystem(A=0.5), px.MeanFieldFeedback([[0.1]], [[0.1]]), n_agents=2)


def test_rounds_past_the_time_axis_are_refused():
    with pytest.raises(
        px.InputError, match="A is given for 6 stages, but the run goes from round 0 to round 6"
    ):
        px.simulate(WORLD.system, px.MeanFieldFeedback(WORLD.K, WORLD.L), rounds=7, n_agents=2)


def test_a_linear_systems_cost_is_refused():
    with pytest.raises(px.InputError, match="costs must be a MeanFieldCost"):
        px.simulate(
            WORLD.system, px.MeanFieldFeedback(WORLD.K, WORLD.L), None, px.Quadratic(), n_agents=2
        )


def test_gains_of_the_wrong_size_are_refused():
    with pytest.raises(px.InputError):
        px.simulate(
            px.MeanFieldSystem(A=np.eye(2) / 2),
            px.MeanFieldFeedback(K=np.ones((2, 3)), L=np.ones((2, 3))),
            rounds=2,
            n_agents=2,
        )


def test_divergence_is_an_outcome():
    with pytest.raises(px.NoSolutionError, match="grew beyond any number within 400 rounds") as e:
        px.simulate(
            px.MeanFieldSystem(A=10.0),
            px.MeanFieldFeedback([[0.0]], [[0.0]]),
            rounds=400,
            n_agents=2,
            x0=[1.0],
            record="totals",
        )
    assert e.value.outcome.status == "diverged"
