"""Equilibrium tracking, the small version: what must hold, and closed forms by a second route."""

import json

import numpy as np
import pytest

import phalanx as px
from phalanx._record import Record, plain
from phalanx.experiments import _potential as lab
from phalanx.experiments import _settling as worlds
from phalanx.experiments import equilibrium_tracking

STEP_SIZE = "constant step size 1/L"


@pytest.fixture(scope="module")
def record() -> Record:
    return equilibrium_tracking.run(True, 0, lambda done, text: None)


@pytest.fixture(scope="module")
def settled() -> tuple[lab.Team, np.ndarray]:
    players = worlds.separable()
    return players, worlds.settling("fading like 0.97ᵗ", 60, np.random.default_rng(3))


def learners_run(players: lab.Team, w: np.ndarray, step: float, cost: object = None):
    learners = px.team(
        players.system,
        players.gains,
        "aggregated",
        memory=players.memory,
        radius=players.radius,
        step_size=step,
    )
    return px.simulate(
        players.system,
        learners,
        px.Replay(w),
        players.costs if cost is None else cost,
        len(w),
        information="aggregated",
        record="parameters",
    )


def potential(players: lab.Team, w: np.ndarray, t: int, M: list[np.ndarray]) -> float:
    """Φ_t in loops."""
    A, H = players.system.A, players.memory
    past = lambda s: w[s] if s >= 0 else np.zeros(w.shape[1])  # noqa: E731
    y = np.zeros(len(A))
    for k in range(H + 1):
        e = past(t - 1 - k)
        for i, m in enumerate(M):
            part = sum(m[p] @ past(t - 2 - k - p) for p in range(H))
            e = e + players.system.input_matrix(i) @ part
        y = y + np.linalg.matrix_power(A, k) @ e
    own = [sum(m[p] @ past(t - 1 - p) for p in range(H)) for m in M]
    return float(y @ players.Q @ y + sum(r * (v @ v) for r, v in zip(players.R, own, strict=True)))


def test_all_claims_hold_but_that_learners_settle_at_one_over_l(record):
    json.dumps(plain(record.summary), allow_nan=False)
    verdicts = {claim["text"]: claim["holds"] for claim in record.summary["claims"]}
    assert [text for text, holds in verdicts.items() if not holds] == [
        text for text in verdicts if STEP_SIZE in text
    ]


def test_gaps_are_those_of_the_library_within_what_both_prove(settled):
    players, w = settled
    played = lab.play(players, w, 0.5)
    run = learners_run(players, w, 0.5 / played.curvature)
    for ours, theirs in zip(played.M, run.parameters, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    found = px.equilibrium_gap(run, every=6, tolerance=1e-5)
    unsure = found.certificate + played.certificate[found.rounds] + 1e-9
    assert (np.abs(found.gap - played.gap[found.rounds]) <= unsure).all()


def test_potential_slopes_and_curvature_are_those_of_the_loops(settled):
    players, w = settled
    played = lab.play(players, w, 0.5)
    frozen, recorded = lab.slopes(players, played)
    shape = played.M[0].shape[1:]
    rng = np.random.default_rng(0)
    for t in (5, 20):
        M = [m[t] for m in played.M]
        assert played.potential[t] == pytest.approx(potential(players, w, t, M))
        way = [rng.standard_normal(shape) for _ in M]
        moved = [
            potential(players, w, t, [m + h * d for m, d in zip(M, way, strict=True)])
            for h in (1.0, 0.0, -1.0)
        ]
        flat = np.concatenate([d.reshape(-1) for d in way])
        assert frozen[t] @ flat == pytest.approx((moved[0] - moved[2]) / 2)
        assert moved[0] - 2 * moved[1] + moved[2] <= played.curvature * flat @ flat
    # Inside the set the learners' step is their gradient's.
    M = np.concatenate([m.reshape(len(w), -1) for m in played.M], 1)
    np.testing.assert_allclose(M[:-1] - M[1:], 0.5 / played.curvature * recorded[:-1], atol=1e-13)


def test_frozen_play_steps_along_the_frozen_gradient(settled):
    players, w = settled
    played = lab.play(players, w, 0.7, frozen=True)
    frozen, _ = lab.slopes(players, played)
    M = np.concatenate([m.reshape(len(w), -1) for m in played.M], 1)
    np.testing.assert_allclose(M[:-1] - M[1:], 0.7 / played.curvature * frozen[:-1], atol=1e-13)


def test_one_agent_has_no_others_to_freeze():
    alone = worlds.crowd(1)
    w = np.ones((50, 1))
    learned, frozen = (lab.play(alone, w, frozen=which) for which in (False, True))
    np.testing.assert_allclose(learned.M[0], frozen.M[0], atol=1e-12)
    assert worlds.largest_share(1) == pytest.approx(2.0)


def test_gaps_under_flat_costs_are_the_librarys():
    players = worlds.three_agents([np.zeros((1, 2))] * 3)
    w = np.tile(worlds.LEVEL, (80, 1))
    run = learners_run(players, w, 0.002, worlds.Power(4.0))
    found = px.equilibrium_gap(run, every=20, tolerance=1e-7)
    ours = worlds.flat_gaps(players, run.parameters, w, 4.0)[found.rounds]
    np.testing.assert_allclose(ours[1:], found.gap[1:], atol=2e-6 * found.cost.max())


@pytest.mark.parametrize("kind", worlds.SETTLING)
def test_settling_disturbances_settle(kind):
    w = worlds.settling(kind, 4096, np.random.default_rng(1))
    moved = np.abs(np.diff(w, axis=0)).sum()
    # The part of all movement that is left after 512 rounds: none, a logarithm's share, or a root's.
    late = np.abs(np.diff(w[512:], axis=0)).sum() / moved
    assert late < (0.05 if worlds.SETTLING[kind] == "1" else 0.8)


def test_what_the_bound_promises():
    T = np.array([1000.0, 2000.0])
    assert worlds.promised("ever smaller steps", T) == pytest.approx(-1.0)
    assert worlds.promised("fading like 1/√t", T) == pytest.approx(-0.5)
    between = np.log(np.log(2000) / np.log(1000)) / np.log(2) - 1
    assert worlds.promised("ever rarer steps", T) == pytest.approx(between)
