"""An adversary answers the state by its formula; disturbances add up."""

import numpy as np
import pytest
from scipy import stats
from worlds import sampled

import phalanx as px

m, q, N, T = 3, 2, 4, 5
rng = np.random.default_rng(0)
K2, L2 = rng.normal(size=(T, q, m)) / 4, rng.normal(size=(T, q, m)) / 4
X0 = rng.normal(size=(N, m))


def play(disturbance, rounds=T, **settings):
    """A population that obeys a fixed linear feedback under the disturbance."""
    draw = np.random.default_rng(1)
    A, A_bar, B, D = (draw.normal(size=(m, c)) / 4 for c in (m, m, 1, q))
    system = px.MeanFieldSystem(A=A, A_bar=A_bar, B=B, D=D)
    controller = px.MeanFieldFeedback(K=np.ones((1, m)), L=np.ones((1, m)))
    settings = {"n_agents": N, "x0": X0, "record": "states"} | settings
    return px.simulate(system, controller, disturbance, rounds=rounds, **settings)


def answer(run, stages):
    """d^i = K2 (x^i − x̄) + L2 x̄ at the stages' gains."""
    z = run.x[:-1].mean(axis=1, keepdims=True)
    own = np.einsum("tqm,tim->tiq", K2[stages], run.x[:-1] - z)
    return own + np.einsum("tqm,tim->tiq", L2[stages], z)


def test_the_adversary_plays_its_gains():
    run = play(px.LinearAdversary(K2[0], L2[0]))
    np.testing.assert_allclose(run.d, answer(run, [0] * T), rtol=1e-12)


def test_the_adversary_plays_each_stages_gains():
    run = play(px.LinearAdversary(K2, L2))
    np.testing.assert_allclose(run.d, answer(run, np.arange(T)), rtol=1e-12)


def test_the_last_stages_gains_stay():
    run = play(px.LinearAdversary(K2[:2], L2[:2]))
    np.testing.assert_allclose(run.d, answer(run, [0, 1, 1, 1, 1]), rtol=1e-12)


def test_gains_repeat_on_request():
    run = play(px.LinearAdversary(K2[:2], L2[:2], repeat=True))
    np.testing.assert_allclose(run.d, answer(run, [0, 1, 0, 1, 0]), rtol=1e-12)


@pytest.mark.parametrize("gains", [(K2, L2[0]), (K2[0, 0], L2[0, 0]), (K2[..., :1], L2)])
def test_gains_of_different_shapes_are_refused(gains):
    with pytest.raises(px.InputError, match=r"K2 has shape .* and L2"):
        px.LinearAdversary(*gains)


def test_a_sum_of_signals_is_their_sum():
    wave, record = px.Sinusoid([1.0, 2.0], period=7), px.Replay(common=np.ones((T, q)))
    whole, parts = play(px.Sum(wave, record)), [play(wave), play(record)]
    np.testing.assert_allclose(whole.d, parts[0].d + parts[1].d, atol=1e-13)


def test_the_parts_of_a_sum_are_drawn_independently():
    """z-test of the variance, 1 + 1 = 2; two parts that shared a draw would have 4."""
    d = sampled(px.Sum(px.Gaussian(1.0), px.Gaussian(1.0)), 1, 1, 20_000)
    z = (d.var() / 2 - 1) / np.sqrt(2 / d.size)
    assert 2 * stats.norm.sf(abs(z)) > 1e-3


def test_common_and_idiosyncratic_parts_add_up():
    common = play(px.Step(1.0, scope="common"))
    both = play(px.Sum(px.Replay(idiosyncratic=np.zeros((T, q, N))), px.Step(1.0)))
    np.testing.assert_array_equal(both.d, common.d)


def test_a_sum_may_hold_an_adversary():
    run = play(px.Sum(px.LinearAdversary(K2[0], L2[0]), px.Step(1.0)))
    np.testing.assert_allclose(run.d, answer(run, [0] * T) + 1, rtol=1e-12)


def test_the_sum_of_nothing_is_refused():
    with pytest.raises(px.InputError, match="at least one disturbance"):
        px.Sum()
