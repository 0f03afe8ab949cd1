"""`certify`: viable or not, what binds, where, and by how much, for each of the four conditions."""

import numpy as np
import pytest
from _oracles import halves, power, saddle_level, stabilising_mp, textbook, value

import phalanx as px

INF = float("inf")


def game(A, A_bar, Q, Q_bar, *, T=8, B=1.0, Q_T=None, Q_bar_T=None, **noise):
    return px.RobustGame(
        px.MeanFieldSystem(A=A, A_bar=A_bar, B=B),
        px.MeanFieldCost(Q=Q, Q_bar=Q_bar, Q_T=Q_T, Q_bar_T=Q_bar_T),
        px.MeanFieldNoise(**noise),
        horizon=T,
    )


@pytest.fixture(scope="module")
def deviation_binds():
    """Agents that diverge from each other; their mean is calm and cheap."""
    return game(1.3, -1.0, 2.0, 0.1, B=0.5, Sigma=0.1, Sigma_bar=0.1)


@pytest.fixture(scope="module")
def mean_binds():
    """A mean that runs away from agents who keep together by themselves."""
    return game(0.3, 1.0, 0.1, 2.0, B=0.5, Sigma=0.1, Sigma_bar=0.1)


# --- viable, or missed by the noise budget -----------------------------------------------------


@pytest.mark.parametrize("N", [1, 2, 10, 1000, INF])
@pytest.mark.parametrize("gamma", [2.0, 2.7, 3.0, 5.0])
def test_viable_is_the_value_within_the_noise_budget(two_by_two, gamma, N):
    M, M_bar = (textbook(half, gamma).M for half in halves(two_by_two))
    V, budget = value(two_by_two, M, M_bar, N), gamma**2 * power(two_by_two)
    certificate = px.certify(two_by_two, gamma, N)
    assert certificate.viable == (budget >= V)
    assert certificate.value == pytest.approx(V, rel=1e-11)
    assert certificate.budget_slack == pytest.approx(budget - V, rel=1e-10)


def test_missed_noise_budget_is_an_answer_not_a_failure(two_by_two):
    certificate = px.certify(two_by_two, 2.0, 10)
    assert not certificate.viable
    assert certificate.outcome.ok
    assert certificate.binding == "noise_budget"
    assert certificate.stage is None
    assert certificate.margin > 0
    assert "exceeds the noise budget" in certificate.reason
    assert "10 agents" in certificate.reason


def test_a_viable_gamma_names_what_fails_first_below_it(two_by_two):
    certificate = px.certify(two_by_two, 3.0, 10)
    assert certificate.viable
    assert certificate.binding == "noise_budget"
    assert certificate.stage is None
    assert f"{certificate.levels.population:.10g}" in certificate.reason


@pytest.mark.parametrize("N", [1, 2, 10, INF])
def test_viability_changes_exactly_at_the_population_level(two_by_two, N):
    level = px.attenuation_levels(two_by_two, N).population
    assert px.certify(two_by_two, level * (1 + 1e-10), N).viable
    assert not px.certify(two_by_two, level * (1 - 1e-10), N).viable


def test_margin_is_the_least_over_stages_and_games(two_by_two):
    margin = min(textbook(half, 3.0).margin.min() for half in halves(two_by_two))
    assert px.certify(two_by_two, 3.0).margin == pytest.approx(margin, rel=1e-12)


def test_margin_of_one_agent_is_the_mean_games(deviation_binds):
    margin = textbook(halves(deviation_binds)[1], 4.0).margin.min()
    certificate = px.certify(deviation_binds, 4.0, 1)
    assert certificate.margin == pytest.approx(margin, rel=1e-12)


# --- the games ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fixture", "binding", "which"),
    [("deviation_binds", "deviation_game", 0), ("mean_binds", "mean_game", 1)],
)
def test_below_the_saddle_level_the_failing_game_and_stage_are_named(
    request, fixture, binding, which
):
    game = request.getfixturevalue(fixture)
    half = halves(game)[which]
    gamma = 0.98 * saddle_level(half)
    margins = textbook(half, gamma).margin
    stage = int(np.flatnonzero(margins <= 0)[-1])
    certificate = px.certify(game, gamma)
    assert not certificate.viable
    assert certificate.binding == binding
    assert certificate.stage == stage
    assert certificate.margin == pytest.approx(margins[stage], rel=1e-9)
    assert certificate.margin <= 0
    assert certificate.value is None
    assert certificate.budget_slack is None
    assert f"the {binding.replace('_', ' ')} fails at stage {stage}" in certificate.reason
    assert certificate.outcome.status == "infeasible"
    assert f"{certificate.levels.saddle:.10g}" in certificate.outcome.text


@pytest.mark.parametrize(
    ("fixture", "binding", "which"),
    [("deviation_binds", "deviation_game", 0), ("mean_binds", "mean_game", 1)],
)
def test_above_the_saddle_level_the_game_that_closes_first_is_named(
    request, fixture, binding, which
):
    game = request.getfixturevalue(fixture)
    level = saddle_level(halves(game)[which])
    stage = int(np.flatnonzero(textbook(halves(game)[which], level * (1 - 1e-9)).margin <= 0)[-1])
    certificate = px.certify(game, 2 * level)
    assert certificate.viable
    assert certificate.binding == binding
    assert certificate.stage == stage
    assert f"margin closes at stage {stage}" in certificate.reason


def test_a_terminal_weight_that_binds_is_the_last_stage():
    certificate = px.certify(game(0.5, 0.0, 1.0, 1.0, Q_T=50.0, Q_bar_T=1.0, Sigma=1.0), 20.0)
    assert certificate.levels.saddle == pytest.approx(np.sqrt(50), rel=1e-10)
    assert (certificate.binding, certificate.stage) == ("deviation_game", 7)


def test_one_agent_is_never_bound_by_the_deviation_game(deviation_binds):
    gamma = 0.9 * saddle_level(halves(deviation_binds)[0])
    assert px.certify(deviation_binds, gamma, 2).binding == "deviation_game"
    certificate = px.certify(deviation_binds, gamma, 1)
    assert certificate.viable
    assert certificate.binding == "mean_game"
    assert "1 agent;" in certificate.reason


# --- the stationary game -----------------------------------------------------------------------


def test_the_stabilising_solution_binds_above_the_level(f16):
    certificate = px.certify(f16, 0.4)
    margin = stabilising_mp(halves(f16)[0], 0.4)[1]
    assert certificate.viable
    assert (certificate.binding, certificate.stage) == ("stabilising_solution", None)
    assert certificate.margin == pytest.approx(margin, rel=1e-9)
    assert "stabilising solution ceases to exist" in certificate.reason


def test_the_stabilising_solution_fails_below_the_level(f16):
    certificate = px.certify(f16, 0.363762)
    assert not certificate.viable
    assert (certificate.binding, certificate.stage) == ("stabilising_solution", None)
    assert certificate.value is None
    assert "no stabilising solution" in certificate.reason
    assert certificate.outcome.status == "infeasible"


def test_without_a_stabilising_solution_there_is_no_margin(f16):
    certificate = px.certify(f16, 0.363762)
    assert certificate.binding == "stabilising_solution"
    assert np.isnan(certificate.margin)


def test_a_stationary_margin_that_closes_is_the_games():
    scalar = px.RobustGame(px.MeanFieldSystem(A=1.0), px.MeanFieldCost(Q=1.0))
    for gamma, viable in ((1.5, True), (1.4, False)):
        certificate = px.certify(scalar, gamma)
        assert certificate.viable is viable
        assert (certificate.binding, certificate.stage) == ("mean_game", None)


def test_the_stationary_value_is_per_step(two_by_two):
    stationary = px.RobustGame(two_by_two.system, two_by_two.cost, two_by_two.noise)
    M, M_bar = (stabilising_mp(half, 3.0)[0] for half in halves(stationary))
    certificate = px.certify(stationary, 3.0, 10)
    each = 0.9 * np.trace(M @ np.diag([0.3, 0.2]))
    common = np.trace(M_bar @ (np.diag([0.1, 0.2]) + np.diag([0.03, 0.02])))
    assert certificate.value == pytest.approx(each + common, rel=1e-11)
    assert certificate.budget_slack == pytest.approx(9 * 0.8 - each - common, rel=1e-10)


# --- no process noise --------------------------------------------------------------------------


def test_an_uncertain_start_without_process_noise_is_viable_at_no_gamma():
    certificate = px.certify(game(0.9, 0.1, 1.0, 1.0, Sigma_0=6.0), 1e6, 10)
    assert not certificate.viable
    assert certificate.binding == "noise_budget"
    assert certificate.levels.population == INF
    assert certificate.budget_slack == pytest.approx(-certificate.value, rel=1e-14)
    assert "no gamma meets the noise budget" in certificate.reason


def test_without_any_noise_a_saddle_point_is_viable():
    certificate = px.certify(game(0.9, 0.1, 1.0, 1.0), 5.0, 10)
    assert certificate.viable
    assert certificate.value == certificate.budget_slack == 0
    assert certificate.binding in ("deviation_game", "mean_game")


def test_a_disturbance_that_reaches_no_cost_leaves_every_gamma_viable():
    harmless = px.RobustGame(
        px.MeanFieldSystem(A=np.diag([0.5, 0.9]), B=[[1.0], [0.0]], D=[[0.0], [1.0]]),
        px.MeanFieldCost(Q=np.diag([1.0, 0.0])),
        horizon=5,
    )
    certificate = px.certify(harmless, 1e-3)
    assert certificate.viable
    assert "every gamma > 0 is viable" in certificate.reason


# --- the call ----------------------------------------------------------------------------------


def test_the_regulator_has_infinite_slack(two_by_two):
    certificate = px.certify(two_by_two, INF)
    assert certificate.viable
    assert certificate.budget_slack == certificate.margin == INF


def test_levels_at_hand_are_used_only_for_the_same_number_of_agents(two_by_two):
    levels = px.attenuation_levels(two_by_two, 10)
    assert px.certify(two_by_two, 3.0, 10, levels).levels is levels
    other = px.certify(two_by_two, 3.0, 2, levels).levels
    assert other.n_agents == 2
    assert other.population == px.attenuation_levels(two_by_two, 2).population


def test_a_batch_is_refused(two_by_two):
    for batch, gamma in ((px.RobustGame.stack([two_by_two] * 2), 3.0), (two_by_two, [3.0, 4.0])):
        with pytest.raises(px.InputError, match="certify takes one game and one gamma"):
            px.certify(batch, gamma)


@pytest.mark.parametrize("gamma", [0.0, -2.0, float("nan")])
def test_gamma_must_be_positive(two_by_two, gamma):
    with pytest.raises(px.InputError, match="gamma must be a positive number"):
        px.certify(two_by_two, gamma)


@pytest.mark.parametrize("N", [0, 1.5, "many"])
def test_the_number_of_agents_must_be_positive_and_whole(two_by_two, N):
    with pytest.raises(px.InputError, match="n_agents must be"):
        px.certify(two_by_two, 3.0, N)
