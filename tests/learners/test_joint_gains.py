"""Gains at hand: played by one agent or many, of one rollout or many, and refused on states of another size."""

import jax.numpy as jnp
import numpy as np
import pytest

import phalanx as px
from phalanx.learners import JointGains


@pytest.mark.parametrize("xp", [np, jnp], ids=["numpy", "jax"])
@pytest.mark.parametrize("stages", [1, 3])
def test_gains_of_many_rollouts_are_played_rollout_by_rollout(stages, xp):
    """Against each rollout's own gains; T = 1 too, where a wrong axis would not show."""
    n, m, p, q = 4, 2, 3, 1
    rng = np.random.default_rng(94)
    theta = [xp.asarray(rng.normal(size=(n, stages, rows, 2 * m))) for rows in (p, q)]
    x = xp.asarray(rng.normal(size=(n, 5, m)))
    gains, t = JointGains(*theta), stages - 1
    assert gains.K1.shape == (n, stages, p, m)
    for name, rows in (("control", p), ("disturbance", q)):
        play = getattr(gains, name)
        by_hand = [
            getattr(JointGains(theta[0][i], theta[1][i]), name)(t, x[i], x[i].mean(axis=0))
            for i in range(n)
        ]
        flat, kept = x.mean(axis=1), x.mean(axis=1, keepdims=True)
        for found in (play(t, x, flat), play(t, x, kept)):
            assert found.shape == (n, 5, rows)
            np.testing.assert_allclose(found, by_hand, rtol=1e-5)
        one = play(t, x[:, 0], flat)
        np.testing.assert_allclose(one, np.array(by_hand)[:, 0], rtol=1e-5)


def test_a_mean_may_keep_its_axis():
    rng = np.random.default_rng(95)
    gains = JointGains(*(rng.normal(size=(2, 1, 4)) for _ in range(2)))
    x = rng.normal(size=(5, 2))
    flat = gains.control(0, x, x.mean(axis=0))
    np.testing.assert_array_equal(gains.control(0, x, x.mean(axis=0, keepdims=True)), flat)


@pytest.mark.parametrize(
    ("lead", "x", "x_bar", "sentence"),
    [
        ((), (5, 2), (2,), "x has 2 entries .*, but the oracle was made with state_size=3"),
        ((), (5, 3), (2,), "x_bar has 2 entries .*, but the oracle was made with state_size=3"),
        ((), (), (3,), r"x has shape \(\), but it must be \(3,\) or \(N, 3\)"),
        ((), (5, 3), (5, 3), r"x_bar has shape \(5, 3\), but it must be \(3,\) or \(1, 3\)"),
        ((), (4, 5, 3), (3,), r"x has shape \(4, 5, 3\), but"),
        ((4,), (5, 3), (3,), r"x has shape \(5, 3\), .* the gains of 4 rollouts"),
        ((4,), (4, 5, 3), (3,), "x_bar has shape .* the gains of 4 rollouts"),
        ((4,), (4, 5, 3), (4, 5, 3), "x_bar has shape"),
        ((4,), (4, 5, 2), (4, 2), "x has 2 entries"),
    ],
    ids=str,
)
def test_states_of_another_size_are_told_so(lead, x, x_bar, sentence):
    gains = JointGains(np.zeros((*lead, 2, 1, 6)), np.zeros((*lead, 2, 3, 6)))
    for play in (gains.control, gains.disturbance):
        with pytest.raises(px.InputError, match=sentence):
            play(0, np.zeros(x), np.zeros(x_bar))


def test_agents_without_an_axis_for_their_one_entry_are_told():
    gains = JointGains(np.zeros((2, 1, 2)), np.zeros((2, 1, 2)))
    with pytest.raises(px.InputError, match=r"x\[:, None\] for 5 agents"):
        gains.control(0, np.zeros(5), np.zeros(1))
