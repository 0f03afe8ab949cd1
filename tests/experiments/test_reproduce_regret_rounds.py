"""Regret against T, the small version: the record, what must hold, and figures by a second route."""

import json

import numpy as np
import pytest

import phalanx as px
from phalanx._record import Record, plain
from phalanx.experiments import _online as lab
from phalanx.experiments import _three_learners as three
from phalanx.experiments import regret_rounds

SEED = 3
SMALL = three.Size(316, 2, ())


@pytest.fixture(scope="module")
def record() -> Record:
    return regret_rounds.run(True, SEED, lambda done, text: None)


def test_the_quick_run_is_a_reproduction_that_json_takes(record: Record):
    assert (record.kind, record.name) == ("reproduction", "regret-rounds")
    json.dumps(plain(record.summary), allow_nan=False)
    assert record.series is not None
    for panel in record.summary["panels"]:
        for curve in panel["curves"]:
            assert record.series[curve["x"]].shape == record.series[curve["y"]].shape


def test_no_claim_fails_and_short_runs_do_not_judge_the_memory(record: Record):
    held = [claim["holds"] for claim in record.summary["claims"]]
    assert False not in held
    assert held[2] is True
    assert held[3] is None


def test_every_disturbance_keeps_to_its_bound_and_differs_by_seed():
    for kind in lab.DISTURBANCES:
        drawn = [lab.signal(kind, 5000, 2, 0.7, np.random.default_rng(seed)) for seed in (0, 0, 1)]
        assert np.linalg.norm(drawn[0], axis=1).max() <= 0.7 * (1 + 1e-12), kind
        np.testing.assert_array_equal(drawn[0], drawn[1])
        if kind != "adversarial":
            assert not np.array_equal(drawn[0], drawn[2]), kind


def test_the_reflected_walk_walks():
    walk = lab.signal("random-walk", 5000, 2, 1.0, np.random.default_rng(0))
    assert np.abs(np.diff(walk, axis=0)).max() < 5 * lab.WALK
    assert np.abs(walk).max() > 0.95 / np.sqrt(2)


def test_gains_hold_every_loop_and_all_together():
    gains = three.world()[2]
    assert all(loop.ok for loop in gains.own)
    assert gains.joint.ok


def test_a_step_of_zero_pays_what_the_gains_pay():
    system, costs, gains = three.world()
    learners = px.team(system, gains.K, memory=3, step_size=0.0, radius=three.RADIUS)
    push = lab.disturbance("steps", 200, system.A, 1.0, np.random.default_rng(0))
    learned = px.simulate(system, learners, push, costs, 200)
    fixed = px.simulate(system, [px.LinearFeedback(K) for K in gains.K], push, costs, 200)
    np.testing.assert_allclose(learned.cost, fixed.cost, rtol=1e-12)


@pytest.mark.parametrize("setting", three.SETTINGS)
def test_regret_by_a_second_route(setting: str):
    """The comparator's cost from a loop in NumPy, with everybody else as the setting says."""
    system, costs, gains = three.world()
    T, agent, rng = 150, 2, np.random.default_rng(SEED)
    learners = px.team(
        system, gains.K, setting, memory=3, radius=three.RADIUS, decay=three.DECAY, step_size=0.05
    )
    push = lab.disturbance("steps", T, system.A, 1.0, rng)
    run = px.simulate(system, learners, push, costs, T, information=setting)
    found = px.regret(run, agent)
    K, M, Q = gains.K[agent], found.M, costs[agent].Q
    inputs = [system.input_matrix(j) for j in range(three.AGENTS)]
    rest = [j for j in range(three.AGENTS) if j != agent]
    x, past, paid = run.x[0].copy(), np.zeros((3, 2)), 0.0
    for t in range(T):
        u = -K @ x + np.einsum("hpn,hn->p", M, past)
        paid += x @ Q @ x + u @ u
        others = sum(inputs[j] @ run.u[t, j] for j in rest)
        fed = run.w[t]
        if setting == "aggregated":
            others = others + sum(inputs[j] @ gains.K[j] @ (run.x[t] - x) for j in rest)
        else:
            fed = fed + others
        x = system.A @ x + inputs[agent] @ u + others + run.w[t]
        past = np.vstack([fed, past[:-1]])
    np.testing.assert_allclose(run.cost[:, agent].sum() - paid, found.regret, rtol=1e-8)


def test_a_second_run_has_the_same_bits_and_another_seed_another_regret():
    def regret(seed: int) -> np.ndarray:
        return three.play(*three.world(), "iid", "aggregated", 3, SMALL, seed).regret

    np.testing.assert_array_equal(regret(0), regret(0))
    assert not np.array_equal(regret(0), regret(1))


def test_verdicts():
    T = np.array([100.0, 1000.0, 10000.0])
    steep, flat = px.fit_exponent(T, [T, 1.01 * T]), px.fit_exponent(T, [T**0.5, 1.01 * T**0.5])
    below = px.fit_exponent(T, [-T, -T])
    vague = px.fit_exponent(T, [[1.0, 90.0, 100.0], [20.0, 30.0, 900.0]])
    assert [lab.verdict(fit, 0.5) for fit in (steep, flat, below, vague)] == [
        False,
        True,
        True,
        None,
    ]
    assert lab.worst([True, None]) is None
    assert lab.worst([None, False]) is False
    assert lab.words(below) == "≤ 0"
