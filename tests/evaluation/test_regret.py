"""Regret against replays by hand: own controls, given policies, both readings of the counterfactual."""

import numpy as np
import pytest
from online_worlds import (
    action,
    fixture,
    lqr,
    play_agents,
    play_three,
    quadratic_costs,
    team_of_three,
)

import phalanx as px
from phalanx.evaluation._counterfactual import build
from phalanx.policies import Policy


@pytest.fixture(scope="module")
def independent() -> px.LinearTrajectory:
    return play_three("independent")


@pytest.fixture(scope="module")
def aggregated() -> px.LinearTrajectory:
    return play_three("aggregated")


@pytest.mark.parametrize("agent", [0, 1, 2])
@pytest.mark.parametrize("reading", ["open-loop", "reacting"])
def test_replaying_its_own_controls_gives_back_what_the_agent_paid(aggregated, agent, reading):
    world = build(aggregated, agent, reading)
    u = aggregated.u[:, agent, : world.B.shape[1]]
    x, costs = world.x0, []
    for t in range(world.rounds):
        costs.append(x @ x + 0.5 * u[t] @ u[t])
        x = world.A @ x + world.B @ u[t] + world.e[t]
    np.testing.assert_allclose(costs, aggregated.cost[:, agent], rtol=1e-10)
    np.testing.assert_allclose(x, aggregated.x[-1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("setting", ["independent", "aggregated", "aggregated-agentwise"])
def test_an_agent_has_no_regret_against_the_policy_it_played(setting):
    system, gains = team_of_three()
    draws = np.random.default_rng(3)
    Ms = [0.1 * draws.normal(size=(3, *K.shape)) for K in gains]
    told = "independent" if setting == "independent" else "aggregated"
    run = px.simulate(
        system,
        [
            px.DisturbanceAction(system.A, system.input_matrix(i), K, M, setting=setting)
            for i, (K, M) in enumerate(zip(gains, Ms, strict=True))
        ],
        px.Gaussian(1.0),
        px.Quadratic(),
        rounds=50,
        x0=[1.0, 0.0, -1.0],
        information=told,
    )
    readings = ["open-loop"] if setting == "independent" else ["open-loop", "reacting"]
    for agent in range(3):
        for reading in readings:
            for given in (Ms[agent], run.policies[agent]):
                found = px.regret(run, agent, given, reading)
                assert abs(found.regret) < 1e-9 * found.agent_cost
                np.testing.assert_allclose(found.curve, 0.0, atol=1e-9 * found.agent_cost)


@pytest.mark.parametrize("agent", [0, 2])
def test_reacting_is_a_run_of_all_agents_with_one_policy_exchanged(aggregated, agent):
    system, gains = team_of_three()
    draws = np.random.default_rng(8)
    M = 0.2 * draws.normal(size=(3, *gains[agent].shape))
    controls = [
        action(K, np.asarray(aggregated.parameters[i]) if i != agent else M)
        for i, K in enumerate(gains)
    ]
    x, u = play_agents(system, aggregated.w, aggregated.x[0], controls)
    costs = quadratic_costs(x, u[agent], 1.0, 0.5)
    found = px.regret(aggregated, agent, M)
    assert found.counterfactual == "reacting"
    assert found.comparator_cost == pytest.approx(costs.sum(), rel=1e-10)
    np.testing.assert_allclose(found.curve, np.cumsum(aggregated.cost[:, agent] - costs), atol=1e-8)


def test_open_loop_is_a_run_in_which_the_others_do_what_they_did(independent):
    system, gains = team_of_three()
    draws, agent = np.random.default_rng(8), 1
    M = 0.2 * draws.normal(size=(3, *gains[agent].shape))
    T, sizes = independent.rounds, system.control_sizes
    x, paid = independent.x[0], 0.0
    seen: list[np.ndarray] = []
    for t in range(T):
        u = [independent.u[t, j, : sizes[j]] for j in range(3)]
        u[agent] = -gains[agent] @ x
        for m, w in zip(M, reversed(seen), strict=False):
            u[agent] = u[agent] + m @ w
        paid += x @ x + 0.5 * u[agent] @ u[agent]
        after = system.A @ x + system.E @ independent.w[t]
        after = after + sum(system.input_matrix(j) @ u[j] for j in range(3))
        seen.append(after - system.A @ x - system.input_matrix(agent) @ u[agent])
        x = after
    found = px.regret(independent, agent, M)
    assert found.counterfactual == "open-loop"
    assert found.comparator_cost == pytest.approx(paid, rel=1e-10)


def test_the_fixture_of_the_issue():
    system, K, w = fixture()
    run = px.simulate(system, px.LinearFeedback(K), px.Replay(w), px.Quadratic(), rounds=1000)
    assert run.cost.mean() == pytest.approx(14.8636, abs=5e-5)
    found = px.regret(run, 0, memory=6, radius=10.0)
    assert found.comparator_cost / 1000 < 1.0
    assert found.outcome.ok
    assert found.optimality_gap < 1e-6 * found.comparator_cost
    assert found.curve[-1] == pytest.approx(found.regret)
    assert found.regret == pytest.approx(found.agent_cost - found.comparator_cost)


def test_prefixes_and_burn_in(independent):
    curve = px.regret_curve(independent, 0, rounds=[20, 60])
    assert [r.rounds for r in curve] == [20, 60]
    assert curve[1].regret == pytest.approx(px.regret(independent, 0).regret)
    assert curve[0].agent_cost == pytest.approx(independent.cost[:20, 0].sum())
    late = px.regret(independent, 0, comparator=np.zeros((1, 2, 3)), burn_in=10)
    assert late.agent_cost == pytest.approx(independent.cost[10:, 0].sum())
    np.testing.assert_array_equal(late.curve[:10], 0.0)
    assert late.curve[-1] == pytest.approx(late.regret)


def test_costs_that_vary_in_time_go_on_from_the_first_round():
    target = np.cumsum(np.ones((40, 1)), axis=0)
    system = px.LinearSystem(A=0.9, B=1.0)
    run = px.simulate(
        system,
        px.LinearFeedback([[0.5]]),
        px.Gaussian(1.0),
        px.Tracking(target),
        rounds=15,
        first_round=20,
    )
    assert abs(px.regret(run, 0, [[0.5]]).regret) < 1e-9
    best = px.best_dac(run, 0, memory=2)
    assert best.outcome.ok
    assert best.cost <= run.cost.sum()


def test_a_counterfactual_that_explodes_is_an_outcome():
    # Together the agents hold the loop (A − 2K = 0.2); alone each leaves it at 1.6.
    system = px.LinearSystem(A=3.0, B=[[[1.0]], [[1.0]]])
    gains = [np.array([[1.4]])] * 2
    run = px.simulate(
        system,
        px.team(system, gains, setting="aggregated", memory=2),
        px.Gaussian(1.0),
        px.Quadratic(),
        rounds=2000,
        information="aggregated",
    )
    exploded = px.regret(run, 0, counterfactual="open-loop")
    assert exploded.outcome.status == "diverged"
    assert exploded.comparator_cost == np.inf
    assert exploded.spectral_radius == pytest.approx(1.6)
    assert "spectral radius 1.6" in exploded.outcome.text
    assert "reacting" in exploded.outcome.mend
    with pytest.raises(px.NoSolutionError, match="grows beyond any number"):
        px.regret(run, 0, counterfactual="open-loop", throw=True)
    assert px.regret(run, 0).outcome.ok
    assert px.regret(run, 0, [[5.0]]).outcome.status == "diverged"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"counterfactual": "reacting"}, "independent setting"),
        ({"counterfactual": "closed"}, '"open-loop" or "reacting"'),
        ({"agent": 3}, "from 0 to 2"),
        ({"comparator": "best"}, "comparator must be"),
        ({"comparator": np.zeros((3, 3))}, r"must have shape \(2, 3\)"),
        ({"comparator": np.zeros((2, 3, 3))}, r"must have shape \(H, 2, 3\)"),
        ({"memory": 0}, "memory must be"),
        ({"radius": -1.0}, "radius must be"),
        ({"decay": 1.0}, "decay must be"),
        ({"rounds": 61}, "from 1 to 60"),
        ({"burn_in": 60}, "burn_in must be"),
        ({"comparator": "linear", "margin": 1.0}, "margin must be"),
        ({"comparator": "linear", "starts": 0}, "starts must be"),
    ],
)
def test_bad_input(independent, change, message):
    with pytest.raises(px.InputError, match=message):
        px.regret(independent, **{"agent": 0, **change})


def test_runs_that_cannot_be_evaluated():
    system, K, w = fixture(20)
    with pytest.raises(px.InputError, match="no costs"):
        px.regret(px.simulate(system, px.LinearFeedback(K), px.Replay(w), rounds=20), 0)
    moving = px.LinearSystem(np.stack([system.A] * 20), system.B)
    run = px.simulate(moving, px.LinearFeedback(K), px.Replay(w), px.Quadratic(), rounds=20)
    with pytest.raises(px.InputError, match="vary in time"):
        px.regret(run, 0)


def test_reacting_needs_every_other_agents_feedback(aggregated):
    class Still(Policy):
        def init(self):
            return None

        def act(self, state, view):
            return 0.0 * view.x[:1]

        def observe(self, state, feedback):
            return None

    system = px.LinearSystem(A=0.5, B=[[[1.0]], [[1.0]]])
    run = px.simulate(
        system,
        [px.LinearFeedback([[0.1]]), Still()],
        px.Gaussian(1.0),
        px.Quadratic(),
        rounds=5,
    )
    with pytest.raises(px.InputError, match="agent 1 has no K"):
        px.regret(run, 0, counterfactual="reacting")
    assert px.regret(run, 0, lqr(system.A, system.input_matrix(0))).outcome.ok
