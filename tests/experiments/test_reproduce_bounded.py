"""Everyone learns, the small version: claims, the joint loop against play, and the kept case by hand."""

import numpy as np
import pytest

import phalanx as px
from phalanx.experiments import _everyone as everyone
from phalanx.experiments import _joint_loop as joint
from phalanx.experiments import bounded


def play_by_hand(A, B, K, M, w):
    """Agents with fixed M, each taking the others for noise; (T+1, n) states."""
    N, H, n = len(B), len(M[0]), len(A)
    x, seen, path = np.zeros(n), np.zeros((N, H, n)), []
    for now in w:
        path.append(x)
        u = [M[i].transpose(1, 0, 2).reshape(len(K[i]), -1) @ seen[i].ravel() - K[i] @ x for i in range(N)]  # fmt: skip
        after = A @ x + sum(B[i] @ u[i] for i in range(N)) + now
        for i in range(N):
            estimate = after - A @ x - B[i] @ u[i]
            seen[i] = np.concatenate([estimate[None], seen[i][:-1]])
        x = after
    return np.array([*path, x])


def test_the_joint_loop_is_the_loop_that_is_played():
    rng = np.random.default_rng(0)
    n, sizes, H = 2, (1, 2, 1), 3
    A = 0.5 * rng.normal(size=(n, n))
    B = [rng.normal(size=(n, p)) for p in sizes]
    K = [0.1 * rng.normal(size=(p, n)) for p in sizes]
    M = [0.1 * rng.normal(size=(H, p, n)) for p in sizes]
    w = np.zeros((30, n))
    w[0] = 1.0
    path = play_by_hand(A, B, K, M, w)
    z = np.zeros(n + len(sizes) * H * n)
    z[:n] = 1.0
    for i in range(len(sizes)):
        z[n + i * H * n : n + i * H * n + n] = 1.0
    loop = joint.joint_loop(A, B, K, M)
    for t in range(1, 31):
        np.testing.assert_allclose(path[t], z[:n], rtol=1e-9, atol=1e-12)
        z = loop @ z
    policies = [px.DisturbanceAction(A, b, k, m) for b, k, m in zip(B, K, M, strict=True)]
    run = px.simulate(px.LinearSystem(A, B), policies, px.Replay(w), rounds=30)
    np.testing.assert_allclose(run.x, path, rtol=1e-9, atol=1e-12)


def test_the_counterexample_of_the_theory_page():
    c = everyone.COUNTEREXAMPLE
    M = np.array(c["M"])[:, None]
    gain, radius = everyone._point(c["A"], np.array(c["K"]), M)
    assert gain < 1
    np.testing.assert_allclose(radius, 1.062, atol=5e-4)
    assert max(abs(c["A"] - k) for k in c["K"]) < 1
    assert abs(c["A"] - sum(c["K"])) < 1


def test_the_two_that_are_kept_destroy_each_other_and_nobody_else():
    kept = everyone.kept_case(seed=3, draws=2, T=2500)
    assert kept["destroyed"] == 2
    assert max(kept["alone_largest"], kept["told_largest"], kept["slower_largest"]) < 5
    assert kept["path"][0] == pytest.approx(0.5)
    assert kept["path"][-1] > 1


def test_the_kept_case_by_hand():
    """The same learners in plain NumPy, scalar and with memory 1: they are alike, so one is enough."""
    c = everyone.KEPT
    w = np.random.default_rng(4).uniform(-1, 1, 1500)
    A, eta, limit = c["plant"], c["step_size"], c["radius"]
    M, x, f, seen, largest, path = 0.0, 0.0, 0.0, [0.0, 0.0, 0.0], [], []
    for now in w:
        path.append(M)
        u = M * seen[0]
        y = f + M * (seen[1] + A * seen[2])
        slope = 2 * u * seen[0] + 2 * y * (seen[1] + A * seen[2])
        after = A * x + 2 * u + now
        M = np.clip(M - eta * slope, -limit, limit)
        new = after - A * x - u
        f = new + A * seen[0]
        seen, x = [new, *seen[:2]], after
        largest.append(abs(u))
        if abs(u) > everyone.LARGE:
            break
    assert largest[-1] > everyone.LARGE
    run = everyone.play(2, w[:100, None], record="parameters", **c)
    np.testing.assert_allclose(run.parameters[0][:, 0, 0, 0], path[:100], atol=1e-12)


def test_inside_the_small_gain_controls_keep_its_bound():
    w = everyone.disturbances(400, 0, 1)
    for eta in (0.01, 10.0):
        cell = everyone.cell(4, eta, 0.1, "noise", w["noise 1"])
        assert cell.gain < 1
        assert cell.largest <= cell.radius * everyone.MEMORY / (1 - cell.gain)


def test_a_single_agent_has_nobody_to_fall_out_with():
    w = everyone.disturbances(400, 0, 1)["noise 1"]
    cell = everyone.cell(1, 0.1, 10.0, "noise", w)
    assert cell.bounded
    assert cell.gain == 0
    np.testing.assert_allclose(cell.end, everyone.PLANT)


def test_the_quick_run_says_what_was_found():
    record = bounded.run(True, 0, lambda done, text: None)
    verdicts = [claim["holds"] for claim in record.summary["claims"]]
    assert verdicts == [False, *[True] * 8]
