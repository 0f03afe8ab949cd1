"""Regret against N, the small version: the record, what must hold, and figures by a second route."""

import json

import numpy as np
import pytest

import phalanx as px
from phalanx._record import Record, plain
from phalanx.experiments import _crowds as crowd
from phalanx.experiments import _online as lab
from phalanx.experiments import regret_agents
from phalanx.experiments._strangers import Stranger

SEED = 3


@pytest.fixture(scope="module")
def record() -> Record:
    return regret_agents.run(True, SEED, lambda done, text: None)


def test_the_quick_run_is_a_reproduction_that_json_takes(record: Record):
    assert (record.kind, record.name) == ("reproduction", "regret-agents")
    json.dumps(plain(record.summary), allow_nan=False)
    assert record.series is not None


def test_no_claim_fails_and_prices_show(record: Record):
    held = [claim["holds"] for claim in record.summary["claims"]]
    assert False not in held
    assert held[-3:] == [True, True, True]


def test_one_pusher_of_greater_reach_is_many_pushers():
    T, N, rng = 60, 5, np.random.default_rng(0)
    pusher = Stranger(rng.choice([-1.0, 1.0], size=(T, 1)), crowd.IDLE)
    w = px.Replay(lab.signal("iid", T, 2, 1.0, rng))
    learner = px.GradientPerturbation(
        crowd.A, crowd.INPUT, crowd.IDLE, memory=2, step_size=1e-3, setting="aggregated-agentwise"
    )
    paid = []
    for B, others in (
        (np.broadcast_to(crowd.INPUT, (N, 2, 1)), [pusher] * (N - 1)),
        (np.stack([crowd.INPUT, (N - 1) * crowd.INPUT]), [pusher]),
    ):
        run = px.simulate(
            px.LinearSystem(crowd.A, B),
            [learner, *others],
            w,
            px.Quadratic(),
            T,
            information="aggregated",
        )
        paid.append((run.cost[:, 0].sum(), px.regret(run, 0).regret))
    np.testing.assert_allclose(paid[0], paid[1], rtol=1e-9)


def test_all_regimes_with_the_same_costs_are_one_for_a_single_agent(record: Record):
    alone = {k: v[0] for k, v in record.summary["regret_beside_pushers"].items()}
    np.testing.assert_allclose(
        alone["independent, quadratic"], alone["aggregated, quadratic"], rtol=1e-9
    )
    np.testing.assert_allclose(
        alone["independent, Lipschitz"], alone["aggregated, Lipschitz"], rtol=1e-6
    )


def test_families_are_jointly_stable_whatever_is_learned():
    """The small-gain bound, and the loop itself at random corners of the set (independent setting, K = 0)."""
    lags = crowd.RADIUS * ((1 - crowd.DECAY) ** np.arange(1, crowd.MEMORY + 1))
    rng, H = np.random.default_rng(0), crowd.MEMORY
    for family in crowd.FAMILIES:
        for N in (1, 3):
            B = family.reach(N) * crowd.INPUT
            assert N * np.linalg.norm(B) * family.share(N) * lags.sum() < 1
            for _ in range(5):
                M = rng.standard_normal((N, H, 1, 2))
                M *= (family.share(N) * lags / np.linalg.norm(M, axis=(2, 3)))[..., None, None]
                assert radius_of_all(N, B, M) < 1


def radius_of_all(N: int, B: np.ndarray, M: np.ndarray) -> float:
    """Spectral radius of (x, the last H of every agent's w̃), put together by stepping unit vectors."""
    H = crowd.MEMORY

    def step(z: np.ndarray) -> np.ndarray:
        x, past = z[:2], z[2:].reshape(N, H, 2)
        u = np.einsum("ihpn,ihn->ip", M, past)
        after = crowd.A @ x + sum(B @ ui for ui in u)
        fresh = np.array([after - crowd.A @ x - B @ ui for ui in u])
        past = np.concatenate([fresh[:, None], past[:, :-1]], axis=1)
        return np.concatenate([after, past.ravel()])

    loop = np.stack([step(e) for e in np.eye(2 + 2 * N * H)], axis=1)
    return float(np.abs(np.linalg.eigvals(loop)).max())


def test_the_planner_is_where_no_agent_can_help_another():
    """Convex costs: moving agents' parameters from the planner's common M by any little makes the sum no cheaper."""
    N, size, rng = 3, crowd.Size((3,), 120, 1, 3), np.random.default_rng(1)
    family, prices = crowd.FAMILIES[1], crowd.efforts(3)
    least = crowd.planner(family, size, SEED)[0, 0]
    w = lab.signal("random-walk", size.rounds, 2, 1.0, np.random.default_rng((SEED, 0)))
    system = px.LinearSystem(crowd.A, np.broadcast_to(crowd.INPUT, (N, 2, 1)))
    costs = [px.Quadratic(1.0, price) for price in prices]
    limits = crowd.RADIUS / N * (1 - crowd.DECAY) ** np.arange(1, crowd.MEMORY + 1)
    for _ in range(5):
        M = rng.standard_normal((N, crowd.MEMORY, 1, 2))
        M *= (limits / np.linalg.norm(M, axis=(2, 3)))[..., None, None] * rng.random()
        team = [
            px.DisturbanceAction(
                crowd.A, crowd.INPUT, crowd.IDLE, own, setting="aggregated-agentwise"
            )
            for own in M
        ]
        run = px.simulate(system, team, px.Replay(w), costs, size.rounds, information="aggregated")
        assert run.cost.mean() >= least


def test_efforts_lie_in_their_range():
    prices = crowd.efforts(500)
    assert prices.min() >= 0.5
    assert prices.max() <= 2.0
    assert crowd.efforts(1)[0] == 1.0
