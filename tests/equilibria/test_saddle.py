"""The saddle point: neither side gains by leaving it; what `solve` says and how it says it."""

import subprocess
import sys

import jax
import numpy as np
import pytest
from _oracles import halves, play, random_game, saddle_level, stack, stacked_gain, value

import phalanx as px

INF = float("inf")
NAMES = ("M", "M_bar", "K1", "K2", "L1", "L2", "margin_deviation", "margin_mean")


# --- the inequality itself ---------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [1e-2, 0.3])
def test_no_other_gains_improve_a_side_against_the_saddle_gains(seed, size):
    rng = np.random.default_rng([41, seed])
    game = random_game(rng, 2, 2, 2, T=4, varying=bool(seed % 2))
    parts = halves(game)
    gamma, N = 1.15 * saddle_level(*parts), 5
    saddle = px.solve(game, gamma, N)

    def worth(K1, K2, L1, L2) -> float:
        P, P_bar = play(parts[0], K1, K2, gamma), play(parts[1], L1, L2, gamma)
        return value(game, P, P_bar, N)

    def moved(K):
        return K + size * rng.normal(size=K.shape)

    K1, K2, L1, L2 = saddle.K1, saddle.K2, saddle.L1, saddle.L2
    slack = 1e-12 * abs(saddle.value)
    for _ in range(10):
        assert worth(moved(K1), K2, moved(L1), L2) >= saddle.value - slack
        assert worth(K1, moved(K2), L1, moved(L2)) <= saddle.value + slack


@pytest.mark.parametrize("N", [2, 3])
def test_no_centralised_gains_improve_a_side_against_the_saddle_gains(N):
    rng = np.random.default_rng([42, N])
    game = random_game(rng, 2, 1, 2, T=3)
    gamma = 1.15 * saddle_level(*halves(game))
    saddle = px.solve(game, gamma, N)
    whole, first, each = stack(game, N)
    K1 = np.array([stacked_gain(K, L, N) for K, L in zip(saddle.K1, saddle.L1, strict=True)])
    K2 = np.array([stacked_gain(K, L, N) for K, L in zip(saddle.K2, saddle.L2, strict=True)])

    def worth(K1, K2) -> float:
        P = play(whole, K1, K2, gamma)
        return np.trace(P[0] @ first) + sum(np.trace(X @ each) for X in P[1:])

    slack = 1e-12 * abs(saddle.value)
    assert worth(K1, K2) == pytest.approx(saddle.value, rel=1e-10)
    for size in (1e-3, 0.1, 1.0):
        for _ in range(5):
            assert worth(K1 + size * rng.normal(size=K1.shape), K2) >= saddle.value - slack
            assert worth(K1, K2 + size * rng.normal(size=K2.shape)) <= saddle.value + slack


# --- limits ------------------------------------------------------------------------------------


def test_without_coupling_both_games_are_the_same():
    game = px.RobustGame(
        px.MeanFieldSystem(A=[[0.9, 0.2], [0.1, 1.1]], B=[[1.0], [0.5]], D=[[0.3], [1.0]]),
        px.MeanFieldCost(Q=1.5, R=0.5),
        px.MeanFieldNoise(Sigma=0.1),
        horizon=6,
    )
    saddle = px.solve(game, 4.0)
    for ours, theirs in (("M", "M_bar"), ("K1", "L1"), ("K2", "L2")):
        np.testing.assert_array_equal(getattr(saddle, ours), getattr(saddle, theirs))


def test_one_agent_is_the_single_game_of_the_summed_matrices(two_by_two):
    s, c = two_by_two.system, two_by_two.cost
    single = px.RobustGame(
        px.MeanFieldSystem(A=s.A + s.A_bar, B=s.B + s.B_bar),
        px.MeanFieldCost(Q=c.Q_bar, R=c.R_bar),
        px.MeanFieldNoise(Sigma_bar=np.diag([0.4, 0.4]), Sigma_bar_0=10.0),
        horizon=10,
    )
    team, alone = px.solve(two_by_two, 3.0, 1), px.solve(single, 3.0)
    np.testing.assert_allclose(team.L1, alone.K1, rtol=1e-13)
    assert team.value == pytest.approx(alone.value, rel=1e-13)
    assert team.margin == pytest.approx(alone.margin, rel=1e-13)


def test_one_agent_has_a_saddle_point_where_only_the_deviation_game_fails(deviation_binds):
    assert not px.solve(deviation_binds, 2.0).feasible
    alone = px.solve(deviation_binds, 2.0, n_agents=1)
    assert alone.feasible
    assert alone.outcome.ok
    assert np.isfinite(alone.value)
    assert alone.margin == alone.margin_mean.min() > 0


@pytest.fixture(scope="module")
def deviation_binds():
    """Agents that diverge from each other while their mean is calm."""
    return px.RobustGame(
        px.MeanFieldSystem(A=1.3, A_bar=-1.0, B=0.5, B_bar=0.5),
        px.MeanFieldCost(Q=2.0, Q_bar=0.1, R=1.0),
        px.MeanFieldNoise(Sigma=0.1, Sigma_bar=0.1),
        horizon=8,
    )


# --- the outcome in words ----------------------------------------------------------------------


def test_a_saddle_point_is_solved_and_feasible(two_by_two):
    saddle = px.solve(two_by_two, 3.0)
    assert saddle.feasible is True
    assert saddle.outcome.status == "solved"
    assert isinstance(saddle.value, float)


def test_the_sentence_names_the_game_the_stage_and_the_mend(two_by_two):
    saddle = px.solve(two_by_two, 1.7)
    stage = int(np.flatnonzero(saddle.margin_mean <= 0)[0])
    assert saddle.feasible is False
    assert saddle.outcome.status == "infeasible"
    assert f"the mean game fails at stage {stage}" in saddle.outcome.sentence
    assert f"{saddle.margin_mean[stage]:.6g}" in saddle.outcome.sentence
    assert "Raise gamma" in saddle.outcome.mend


def test_the_sentence_names_the_deviation_game_when_only_it_fails(deviation_binds):
    assert "the deviation game fails at stage" in px.solve(deviation_binds, 2.0).outcome.sentence


def test_throw_raises_the_outcome(two_by_two):
    with pytest.raises(px.NoSolutionError, match="mean game fails at stage") as caught:
        px.solve(two_by_two, 1.7, throw=True)
    assert caught.value.outcome.status == "infeasible"
    assert px.solve(two_by_two, 3.0, throw=True).feasible


def test_value_for_is_nan_where_there_is_no_saddle_point(two_by_two):
    assert np.isnan(px.solve(two_by_two, 1.7).value_for(10))


@pytest.mark.parametrize("gamma", [0, -1.0, float("nan"), "much", None, [3.0, -1.0], [[3.0]]])
def test_gamma_must_be_a_positive_number(two_by_two, gamma):
    with pytest.raises(px.InputError, match="gamma must be a positive number"):
        px.solve(two_by_two, gamma)


@pytest.mark.parametrize("N", [0, -3, 1.5, float("nan"), "ten", None, True])
def test_the_number_of_agents_must_be_positive_and_whole(two_by_two, N):
    with pytest.raises(px.InputError, match="n_agents must be"):
        px.solve(two_by_two, 3.0, N)


def test_minus_infinity_is_no_number_of_agents(two_by_two):
    with pytest.raises(px.InputError, match="n_agents must be"):
        px.solve(two_by_two, 3.0, -INF)


# --- float64, whatever JAX's default -----------------------------------------------------------


@pytest.mark.parametrize("engine", ["host", "compiled"])
@pytest.mark.parametrize("x64", [False, True])
def test_results_are_float64_whatever_jax_computes_in(two_by_two, engine, x64):
    with jax.enable_x64(x64):
        saddle = px.solve(two_by_two, 3.0, engine=engine)
    for name in NAMES:
        assert getattr(saddle, name).dtype == np.float64, name
        assert type(getattr(saddle, name)) is np.ndarray, name


@pytest.mark.parametrize("engine", ["host", "compiled"])
def test_results_are_identical_whatever_jax_computes_in(two_by_two, engine):
    saddles = []
    for x64 in (False, True):
        with jax.enable_x64(x64):
            saddles.append(px.solve(two_by_two, 3.0, engine=engine))
    for name in NAMES:
        np.testing.assert_array_equal(getattr(saddles[0], name), getattr(saddles[1], name))
    assert saddles[0].value == saddles[1].value


def test_solving_leaves_jaxs_default_precision_alone(two_by_two):
    before = jax.config.jax_enable_x64
    px.solve(two_by_two, 3.0, engine="compiled")
    assert jax.config.jax_enable_x64 == before
    assert jax.numpy.ones(1).dtype == (np.float64 if before else np.float32)


def test_levels_and_values_are_identical_in_processes_of_either_precision():
    program = """
import numpy as np, phalanx as px, jax
game = px.RobustGame(
    px.MeanFieldSystem(A=[[.9, .2], [.1, .8]], A_bar=.1), px.MeanFieldCost(Q=1., Q_bar=2.),
    px.MeanFieldNoise(Sigma=.3, Sigma_0=6.), horizon=10)
levels = px.attenuation_levels(px.RobustGame.stack([game] * 3), 10)
value = px.solve(game, 3.0, 10, engine="compiled").value
print(jax.numpy.ones(1).dtype, [float(x).hex() for x in levels.population], value.hex())
"""
    lines = [
        subprocess.run(
            [sys.executable, "-c", f"import os; os.environ['JAX_ENABLE_X64'] = '{x64}'{program}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split(maxsplit=1)
        for x64 in (0, 1)
    ]
    assert [line[0] for line in lines] == ["float32", "float64"]
    assert lines[0][1] == lines[1][1]
