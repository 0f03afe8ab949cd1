"""J ≤ γ²·energy + what the initial state is worth, run by run, against any disturbance."""

import dataclasses

import numpy as np
import pytest
from _oracles import random_game
from hypothesis import given, settings
from hypothesis import strategies as st
from populations import play, spread

import phalanx as px

AGENTS = 6


def checked(game, saddle, disturbance, x0=None, rounds=10, policy=None, **options):
    """The check on a simulated run of the saddle-point controller (or another policy)."""
    run = px.simulate(
        game.system,
        policy or px.MeanFieldFeedback(saddle.K1, saddle.L1),
        disturbance,
        game.cost,
        rounds,
        n_agents=AGENTS,
        x0=np.zeros(game.system.state_size) if x0 is None else x0,
        record="totals",
        **options,
    )
    return px.pathwise_check(run, game, saddle)


def any_disturbance(rng: np.random.Generator, rounds: int = 10, q: int = 2) -> px.Replay:
    """Common and idiosyncratic, of any size."""
    size = 10 ** rng.uniform(-2, 2, size=2)
    return px.Replay(
        size[0] * rng.normal(size=(rounds, q)), size[1] * rng.normal(size=(rounds, q, AGENTS))
    )


@pytest.fixture(scope="module")
def saddle(two_by_two):
    return px.solve(two_by_two, 2.0)


def test_it_holds_against_many_random_disturbances_from_many_starts(two_by_two, saddle):
    rng = np.random.default_rng(0)
    for _ in range(100):
        x0 = 10 ** rng.uniform(-2, 2) * rng.normal(size=(AGENTS, 2))
        found = checked(two_by_two, saddle, any_disturbance(rng), x0)
        assert found.holds
        assert found.slack >= -1e-9 * found.bound


def test_it_holds_against_many_linear_adversaries(two_by_two, saddle):
    rng = np.random.default_rng(1)
    for _ in range(50):
        adversary = px.LinearAdversary(
            saddle.K2 + 0.3 * rng.normal(size=saddle.K2.shape),
            saddle.L2 + 0.3 * rng.normal(size=saddle.L2.shape),
        )
        found = checked(two_by_two, saddle, adversary, rng.normal(size=(AGENTS, 2)))
        assert found.holds


def test_the_saddle_points_adversary_leaves_nothing(two_by_two, saddle):
    x0 = np.random.default_rng(2).normal(size=(AGENTS, 2))
    found = checked(two_by_two, saddle, px.LinearAdversary(saddle.K2, saddle.L2), x0)
    assert found.holds
    assert found.cost == pytest.approx(found.bound, rel=1e-9)


def test_any_other_disturbance_leaves_something(two_by_two, saddle):
    x0 = np.random.default_rng(2).normal(size=(AGENTS, 2))
    adversary = px.LinearAdversary(0.9 * saddle.K2, 1.1 * saddle.L2)
    assert checked(two_by_two, saddle, adversary, x0).slack > 1e-4


def test_the_bound_is_the_energy_and_the_initial_states_value(two_by_two, saddle):
    rng = np.random.default_rng(3)
    x0, d = rng.normal(size=(AGENTS, 2)), rng.normal(size=(10, AGENTS, 2))
    found = checked(two_by_two, saddle, px.Replay(idiosyncratic=d.swapaxes(1, 2)), x0)
    cost, energy = play(two_by_two, saddle.K1, saddle.L1, d, x0)
    z = x0.mean(axis=0)
    worth = sum((x - z) @ saddle.M[0] @ (x - z) for x in x0) / AGENTS + z @ saddle.M_bar[0] @ z
    assert found.cost == pytest.approx(cost, rel=1e-12)
    assert found.bound == pytest.approx(4.0 * energy + worth, rel=1e-12)
    assert found.slack == found.bound - found.cost


def test_it_fails_for_a_bad_controller_and_its_worst_disturbance(two_by_two, saddle):
    idle = np.zeros((2, 2))
    worst = px.worst_disturbance(two_by_two, idle, idle)
    assert worst.gain > 2.0**2
    d = spread(worst.signal, worst.through, AGENTS)
    found = checked(
        two_by_two,
        saddle,
        px.Replay(idiosyncratic=d.swapaxes(1, 2)),
        policy=px.MeanFieldFeedback(idle, idle),
    )
    assert not found.holds
    assert found.slack < 0
    assert found.cost == pytest.approx(worst.gain, rel=1e-9)


# --- the stationary game ------------------------------------------------------------------------


def test_the_stationary_promise_holds_over_any_number_of_rounds(f16):
    saddle = px.solve(f16, 0.5)
    rng = np.random.default_rng(4)
    for rounds in (1, 40):
        for _ in range(20):
            x0 = rng.normal(size=(AGENTS, 3))
            found = checked(f16, saddle, any_disturbance(rng, rounds, 1), x0, rounds)
            assert found.holds


def test_the_stationary_adversary_leaves_nothing(f16):
    saddle = px.solve(f16, 0.5)
    x0 = np.random.default_rng(5).normal(size=(AGENTS, 3))
    found = checked(f16, saddle, px.LinearAdversary(saddle.K2, saddle.L2), x0, 40)
    assert found.cost == pytest.approx(found.bound, rel=1e-9)


# --- any game: runs made by hand ----------------------------------------------------------------


def by_hand(game, saddle, d, x0) -> px.Trajectory:
    """A trajectory as the simulator would leave it, from plain NumPy."""
    cost, energy = play(game, saddle.K1, saddle.L1, d, x0)
    T, N, _ = d.shape
    return px.Trajectory(
        n_agents=N,
        rounds=T,
        cost=cost,
        disturbance_energy=energy,
        noise_energy=0.0,
        outside=None,
        initial=x0,
        final=x0,
    )


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    T=st.integers(1, 5),
    N=st.integers(1, 4),
    factor=st.sampled_from([1 + 1e-4, 1.1, 3.0]),
    varying=st.booleans(),
)
def test_it_holds_in_every_game_that_has_a_saddle_point(seed, T, N, factor, varying):
    rng = np.random.default_rng(seed)
    game = random_game(rng, T=T, varying=varying)
    gamma = factor * px.attenuation_levels(game, np.inf).saddle
    saddle = px.solve(game, gamma, throw=True)
    d = 10 ** rng.uniform(-2, 2) * rng.normal(size=(T, N, game.system.disturbance_size))
    x0 = rng.normal(size=(N, game.system.state_size))
    assert px.pathwise_check(by_hand(game, saddle, d, x0), game, saddle).holds


def test_one_agent_needs_no_deviation_game():
    """Where the deviation game has no saddle point, its value matrices are NaN and are not read."""
    game = px.RobustGame(
        px.MeanFieldSystem(A=3.0, A_bar=-2.9, B=0.1), px.MeanFieldCost(Q=1.0), horizon=3
    )
    saddle = px.solve(game, 2.0, 1, throw=True)
    assert np.isnan(saddle.M[0]).all()
    rng = np.random.default_rng(0)
    run = by_hand(
        game,
        dataclasses.replace(saddle, K1=np.zeros((1, 1))),
        rng.normal(size=(3, 1, 1)),
        np.ones((1, 1)),
    )
    found = px.pathwise_check(run, game, saddle)
    assert found.holds
    assert np.isfinite(found.bound)


# --- what is refused ----------------------------------------------------------------------------


@pytest.fixture
def run(two_by_two, saddle) -> px.Trajectory:
    d = np.ones((10, 3, 2))
    return by_hand(two_by_two, saddle, d, np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"cost": None}, "the trajectory has no cost; simulate with costs=game.cost"),
        ({"cost": np.ones(3)}, "the trajectory holds several runs; check them one by one"),
        ({"noise_energy": 0.1}, "the run has process noise, .* see noise_gain"),
        ({"rounds": 9}, "the run lasts 9 rounds, but the game 10"),
    ],
)
def test_runs_that_prove_nothing(two_by_two, saddle, run, changes, sentence):
    with pytest.raises(px.InputError, match=sentence):
        px.pathwise_check(dataclasses.replace(run, **changes), two_by_two, saddle)


def test_the_run_itself_can_be_checked(two_by_two, saddle, run):
    assert px.pathwise_check(run, two_by_two, saddle).holds
