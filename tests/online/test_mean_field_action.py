"""The mean-field disturbance action: what it recovers, what it plays, and its N-agent twin."""

import numpy as np
import pytest

import phalanx as px

m, p, H, N, T = 2, 1, 3, 5, 25
rng = np.random.default_rng(8)
SYSTEM = px.MeanFieldSystem(
    A=[[0.8, 0.2], [0.0, 0.7]], A_bar=0.1, B=[[0.0], [1.0]], B_bar=[[0.3], [0.1]]
)
K, L = 0.2 * rng.normal(size=(2, p, m))
M, M_BAR = 0.3 * rng.normal(size=(2, H, p, m))
PUSH = px.Sum(px.Sinusoid(1.0, period=7, scope="both"), px.RandomWalk(0.1, scope="idiosyncratic"))


@pytest.fixture(scope="module")
def run():
    policy = px.MeanFieldDisturbanceAction(SYSTEM, K, L, M, M_BAR)
    return px.simulate(SYSTEM, policy, PUSH, rounds=T, n_agents=N, x0=rng.normal(size=(N, m)), record="states")  # fmt: skip


def test_every_agent_plays_the_formula_on_the_true_disturbances(run):
    """Recovered from its own view alone, the disturbances are those that were there."""
    mean = run.d.mean(axis=1)
    for t in range(T):
        y, z = run.x[t] - run.x[t].mean(axis=0), run.x[t].mean(axis=0)
        u = -y @ K.T - L @ z
        for k in range(1, min(H, t) + 1):
            u = u + (run.d[t - k] - mean[t - k]) @ M[k - 1].T + M_BAR[k - 1] @ mean[t - k]
        np.testing.assert_allclose(run.u[t], u, rtol=1e-10, atol=1e-12)


def test_it_is_one_linear_systems_agents_disturbance_action(run):
    """The population as one linear system of N controllers, each with its block of a stacked M."""
    stacked = SYSTEM.population(N)
    spread = np.full((N, N), 1 / N)
    blocks = np.stack(
        [np.kron(np.eye(N) - spread, M[k]) + np.kron(spread, M_BAR[k]) for k in range(H)]
    )
    gains = np.kron(np.eye(N) - spread, K) + np.kron(spread, L)
    agents = [
        px.DisturbanceAction(
            stacked.A, stacked.input_matrix(i), gains[i * p : (i + 1) * p], blocks[:, i * p : (i + 1) * p],
            setting="aggregated",
        )
        for i in range(N)
    ]  # fmt: skip
    twin = px.simulate(
        stacked, agents, px.Replay(run.d.reshape(T, N * m)), rounds=T, x0=run.x[0].reshape(-1), information="aggregated",
    )  # fmt: skip
    np.testing.assert_allclose(twin.x.reshape(T + 1, N, m), run.x, rtol=1e-9, atol=1e-11)


def test_without_m_it_is_mean_field_feedback():
    zero = np.zeros((1, p, m))
    arguments = {"rounds": T, "n_agents": N, "x0": [1.0, -1.0], "record": "states"}
    ours = px.simulate(
        SYSTEM, px.MeanFieldDisturbanceAction(SYSTEM, K, L, zero, zero), PUSH, **arguments
    )
    plain = px.simulate(SYSTEM, px.MeanFieldFeedback(K, L), PUSH, **arguments)
    np.testing.assert_allclose(ours.u, plain.u, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"M": np.zeros((p, m))}, r"M has shape \(1, 2\) and must have shape \(H, 1, 2\) with H"),
        ({"M_bar": np.zeros((2, p, m))}, r"M_bar has shape \(2, 1, 2\) and must have shape \(3, 1, 2\)"),
        ({"K": np.zeros((m, p))}, r"K has shape \(2, 1\) and must have shape \(1, 2\)"),
    ],
)  # fmt: skip
def test_wrong_sizes_get_a_sentence(changes, sentence):
    given = {"K": K, "L": L, "M": M, "M_bar": M_BAR} | changes
    with pytest.raises(px.InputError, match=sentence):
        px.MeanFieldDisturbanceAction(SYSTEM, **given)
