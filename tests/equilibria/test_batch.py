"""Many games at once are each game alone, in either engine, and so are many γ's."""

import numpy as np
import pytest
from _oracles import random_game

import phalanx as px

INF = float("inf")
ARRAYS = ("M", "M_bar", "K1", "K2", "L1", "L2", "margin_deviation", "margin_mean")
NUMBERS = ("value", "noise_power", "margin")
LEVELS = ("saddle", "mean_field", "population", "saddle_deviation", "saddle_mean")


def random_games(count, T, sizes=(2, 2, 2), varying=False, seed=71):
    rng = np.random.default_rng([seed, count])
    return [random_game(rng, *sizes, T=T, varying=varying) for _ in range(count)]


def assert_same(batch, alone, rtol=1e-12):
    """Game by game: every array and number of a batch's saddle point."""
    for i, one in enumerate(alone):
        for name in ARRAYS:
            theirs = getattr(one, name)
            scale = np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0)
            np.testing.assert_allclose(
                getattr(batch, name)[i], theirs, rtol=rtol, atol=rtol * scale, err_msg=name
            )
        for name in NUMBERS:
            np.testing.assert_allclose(
                np.broadcast_to(getattr(batch, name), len(alone))[i],
                getattr(one, name),
                rtol=10 * rtol,
                err_msg=name,
            )
        assert batch.feasible[i] == one.feasible


@pytest.mark.parametrize("engine", ["auto", "host", "compiled"])
@pytest.mark.parametrize("varying", [False, True])
def test_a_batch_is_each_game_alone(engine, varying):
    games = random_games(70, T=4, varying=varying)
    gamma = [1.5 * px.attenuation_levels(g).saddle for g in games]
    batch = px.solve(px.RobustGame.stack(games), gamma, 3, engine=engine)
    assert batch.feasible.all()
    assert_same(
        batch, [px.solve(g, x, 3, engine="host") for g, x in zip(games, gamma, strict=True)]
    )


@pytest.mark.parametrize("engine", ["host", "compiled"])
def test_games_without_a_saddle_point_leave_their_neighbours_alone(engine):
    games = random_games(40, T=4)
    gamma = float(np.median([px.attenuation_levels(g).saddle for g in games]))
    batch = px.solve(px.RobustGame.stack(games), gamma, engine=engine)
    alone = [px.solve(g, gamma, engine="host") for g in games]
    assert 0 < batch.feasible.sum() < 40
    np.testing.assert_array_equal(batch.feasible, [one.feasible for one in alone])
    for i in np.flatnonzero(batch.feasible):
        np.testing.assert_allclose(batch.M[i], alone[i].M, rtol=1e-9, atol=1e-11)
    for i in np.flatnonzero(~batch.feasible):
        np.testing.assert_array_equal(np.isnan(batch.M[i]), np.isnan(alone[i].M))
        assert np.isnan(batch.value[i])


def test_a_batch_says_how_many_games_fail_and_which_is_first(two_by_two):
    games = px.RobustGame.stack([two_by_two] * 4)
    outcome = px.solve(games, [3.0, 1.5, 3.0, 1.2]).outcome
    assert outcome.status == "infeasible"
    assert "2 of 4 games" in outcome.sentence
    assert "first is game 1, at gamma = 1.5" in outcome.sentence


def test_a_single_game_takes_many_gammas(two_by_two):
    gammas = np.array([1.5, 1.9, 3.0, INF])
    batch = px.solve(two_by_two, gammas, 10)
    np.testing.assert_array_equal(batch.feasible, [False, True, True, True])
    assert_same(batch, [px.solve(two_by_two, x, 10) for x in gammas])


def test_constant_and_varying_games_stack(two_by_two):
    s = two_by_two.system
    repeated = px.RobustGame(
        px.MeanFieldSystem(
            A=np.stack([s.A] * 10), A_bar=s.A_bar, B=s.B, B_bar=np.stack([s.B_bar] * 10)
        ),
        two_by_two.cost,
        two_by_two.noise,
        horizon=10,
    )
    batch = px.solve(px.RobustGame.stack([two_by_two, repeated]), 3.0)
    np.testing.assert_array_equal(batch.M[0], batch.M[1])
    assert batch.value[0] == batch.value[1]


@pytest.mark.parametrize("N", [1, 4, INF])
@pytest.mark.parametrize(("count", "varying"), [(3, False), (3, True), (20, False)])
def test_levels_of_a_batch_are_each_games_levels(count, varying, N):
    games = random_games(count, T=3, varying=varying)
    batch = px.attenuation_levels(px.RobustGame.stack(games), N)
    for i, game in enumerate(games):
        alone = px.attenuation_levels(game, N)
        for name in (*LEVELS, "theorem3"):
            assert getattr(batch, name)[i] == pytest.approx(getattr(alone, name), rel=1e-11), name


def test_levels_of_a_batch_hold_for_games_of_very_different_scale():
    games = [
        px.RobustGame(px.MeanFieldSystem(A=1.0, D=scale), px.MeanFieldCost(Q=1.0), horizon=3)
        for scale in (1.0, 1e-9)
    ]
    batch = px.attenuation_levels(px.RobustGame.stack(games)).saddle
    np.testing.assert_allclose(batch[1], 1e-9 * batch[0], rtol=1e-10)


@pytest.mark.parametrize("N", [1, 4, INF])
def test_a_stationary_batch_is_each_game_alone(N):
    games = random_games(12, T=INF, sizes=(3, 2, 2))
    gamma = [1.2 * px.attenuation_levels(g, N).saddle for g in games]
    batch = px.solve(px.RobustGame.stack(games), gamma, N)
    alone = [px.solve(g, x, N) for g, x in zip(games, gamma, strict=True)]
    assert batch.feasible.all()
    for i, one in enumerate(alone):
        for name in ("M_bar", "L1", "L2") if N == 1 else ("M", "M_bar", "K1", "K2", "L1", "L2"):
            np.testing.assert_allclose(
                getattr(batch, name)[i], getattr(one, name), rtol=1e-9, atol=1e-11, err_msg=name
            )
        assert batch.value[i] == pytest.approx(one.value, rel=1e-9)


def test_stationary_levels_of_a_batch_are_each_games_levels():
    games = random_games(6, T=INF, sizes=(3, 2, 2))
    batch = px.attenuation_levels(px.RobustGame.stack(games), 4)
    assert batch.theorem3 is None
    for i, game in enumerate(games):
        alone = px.attenuation_levels(game, 4)
        for name in LEVELS:
            assert getattr(batch, name)[i] == pytest.approx(getattr(alone, name), rel=1e-10), name


def test_a_stationary_batch_may_mix_games_whose_regulator_grows_from_zero_with_others():
    games = [
        px.RobustGame(
            px.MeanFieldSystem(A=np.diag([a, 0.5]), B=1.0, D=[[0.3], [1.0]]),
            px.MeanFieldCost(Q=np.diag([q, 1.0])),
        )
        for a, q in ((0.9, 1.0), (1.2, 0.0), (1.2, 1.0))
    ]
    batch = px.solve(px.RobustGame.stack(games), 3.0)
    levels = px.attenuation_levels(px.RobustGame.stack(games))
    for i, game in enumerate(games):
        alone = px.solve(game, 3.0)
        assert alone.feasible
        np.testing.assert_allclose(batch.M[i], alone.M, rtol=1e-10, atol=1e-12)
        assert levels.saddle[i] == pytest.approx(px.attenuation_levels(game).saddle, rel=1e-10)


def test_games_of_different_shape_or_horizon_do_not_stack(two_by_two):
    shorter = px.RobustGame(two_by_two.system, two_by_two.cost, horizon=9)
    smaller = px.RobustGame(px.MeanFieldSystem(A=1.0), px.MeanFieldCost(Q=1.0), horizon=10)
    for other in (shorter, smaller):
        with pytest.raises(
            px.InputError, match=r"games\[1\] has sizes .* stack games of one shape"
        ):
            px.RobustGame.stack([two_by_two, other])


def test_an_empty_stack_is_refused():
    with pytest.raises(px.InputError, match="games is empty"):
        px.RobustGame.stack([])


@pytest.mark.parametrize("gamma", [[3.0, 4.0], []])
def test_as_many_gammas_as_games(two_by_two, gamma):
    with pytest.raises(px.InputError, match="gamma"):
        px.solve(px.RobustGame.stack([two_by_two] * 3), gamma)
