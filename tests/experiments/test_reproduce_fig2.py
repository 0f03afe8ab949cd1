"""E-RGDA against E-DDPG, the small version: shape of the record, claims, and both algorithms by hand."""

import json

import numpy as np
import pytest
from _oracles import halves, saddle_level, textbook

import phalanx as px
from phalanx._record import Record, plain
from phalanx.experiments import fig2

STEPS = 50


@pytest.fixture(scope="module")
def record() -> Record:
    return fig2.run(True, 0, lambda done, text: None)


def verdicts(record: Record) -> dict[str, bool | None]:
    return {claim["text"]: claim["holds"] for claim in record.summary["claims"]}


def descend_by_hand(world: fig2.World, T: int, eta: float) -> tuple[np.ndarray, np.ndarray]:
    """E-DDPG written from theory.md §2; errors, and least eigenvalues at stage 0 before each step.

    Both games are the same here, so that ‖(K, L)‖_F = √2 ‖K‖_F.
    """
    half = halves(world.game(T))[0]
    nash = textbook(half, world.gamma)
    A, B, Q, R = half.A[0], half.B[0], half.Q[0], half.R[0]
    K1, K2 = np.zeros_like(nash.K1), np.zeros_like(nash.K2)
    errors, least = [], []
    for _ in range(STEPS):
        closed = A - B @ K1 + K2
        P = [half.Q_T]
        for t in reversed(range(T)):
            paid = Q + K1[t].T @ R @ K1[t] - world.gamma**2 * K2[t].T @ K2[t]
            P.insert(0, paid + closed[t].T @ P[0] @ closed[t])
        X, slopes = np.array(world.initial), []
        for t in range(T):
            ahead = P[t + 1] @ closed[t]
            slopes.append(
                (2 * (R @ K1[t] - B.T @ ahead) @ X, 2 * (-(world.gamma**2) * K2[t] + ahead) @ X)
            )
            X = closed[t] @ X @ closed[t].T + world.noise
        least.append(np.linalg.eigvalsh(world.gamma**2 * np.eye(2) - P[1])[0])
        for t, (down, up) in enumerate(slopes):
            for K, new in ((K1, K1[t] - eta * down), (K2, K2[t] + eta * up)):
                norm = np.sqrt(2) * np.linalg.norm(new)
                K[t] = new * min(1.0, world.ball / norm)
        errors.append(np.sqrt(2 * np.sum((K1 - nash.K1) ** 2 + (K2 - nash.K2) ** 2)))
    return np.array(errors), np.array(least)


def test_the_quick_run_is_a_reproduction_that_json_takes(record: Record):
    assert (record.kind, record.name) == ("reproduction", "fig2")
    json.dumps(plain(record.summary), allow_nan=False)
    assert record.series is not None
    for panel in record.summary["panels"]:
        for curve in panel["curves"]:
            assert record.series[curve["x"]].shape == record.series[curve["y"]].shape


def test_on_these_matrices_p1s_picture_is_there(record: Record):
    found = verdicts(record)
    assert found["E-RGDA converges linearly within each stage"]
    assert found["E-RGDA does not diverge"]
    assert found["E-DDPG comes back, and needs longer as T grows (η = 0.025)"]
    assert found[
        "E-DDPG first diverges to the projection radius for each T ≥ 2 (on these matrices)"
    ]
    assert found[fig2.CAUSE]


def test_it_is_not_so_on_all_matrices(record: Record):
    found = verdicts(record)
    assert not found["E-DDPG first diverges to the projection radius whatever the matrices"]
    assert found["Lost concavity is enough to make E-DDPG diverge"] is False


def test_a_second_run_has_the_same_bits(record: Record):
    again = fig2.run(True, 0, lambda done, text: None)
    assert plain(again.summary) == plain(record.summary)
    assert again.series is not None
    assert again.series.identical(record.series)


@pytest.mark.parametrize("T", [2, 3])
def test_the_first_iterations_of_e_ddpg_are_those_of_the_plain_recursion(T: int):
    # Touch and return lie within these iterations, so the projection is checked too.
    found = fig2.e_ddpg(fig2.SWAP, T, fig2.STEP, most=STEPS, level=0.0)
    errors, least = descend_by_hand(fig2.SWAP, T, fig2.STEP)
    assert found.touches[0] < STEPS
    np.testing.assert_allclose(found.error[:STEPS], errors, rtol=1e-9)
    np.testing.assert_allclose(found.least[:STEPS, 0], least, rtol=1e-8)


def test_both_algorithms_end_where_learn_ends():
    world, T = fig2.SWAP, 2
    game = world.game(T)
    common = {"gamma": world.gamma, "ball": world.ball, "step_size": fig2.STEP}
    stages = px.learn(
        game,
        method=px.Method("exact", iterations=fig2.INNER),
        Sigma_y=world.start,
        Sigma_z=world.start,
        **common,
    )
    by_hand = fig2.e_rgda(world, T)
    np.testing.assert_allclose(stages.nash_gap, by_hand.error[-1], rtol=1e-9)
    at_once = px.learn(
        game, method=px.Method("exact", schedule="all_stages", iterations=2000), **common
    )
    by_hand = fig2.e_ddpg(world, T, fig2.STEP, most=2000, level=0.0)
    np.testing.assert_allclose(at_once.nash_gap, by_hand.error[-1], rtol=1e-8)


def test_the_matrices_are_a_case_for_both_players():
    for world in (fig2.SWAP, fig2.NO_DIVERGENCE):
        half = halves(world.game(5))[0]
        assert saddle_level(half) < world.gamma
        nash = textbook(half, world.gamma)
        for K in (nash.K1, nash.K2):
            assert np.sqrt(2) * np.linalg.norm(K, axis=(1, 2)).max() < world.ball
