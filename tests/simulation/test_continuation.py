"""Going on from where a run stopped is the same as not having stopped."""

import numpy as np
import pytest

import phalanx as px

m, p, N, T = 2, 1, 5, 8
rng = np.random.default_rng(0)
SYSTEM = px.MeanFieldSystem(
    A=[[0.9, 0.2], [0.1, 0.8]], A_bar=0.1, B=[[1.0], [0.2]], B_bar=[[0.2], [0.0]]
)
COST = px.MeanFieldCost(Q=1.0, Q_T=0.0, Q_bar_T=0.0)  # a free last state: halves add up
X0 = rng.normal(size=(N, m))
RECORD = px.Replay(common=rng.normal(size=(T, m)), idiosyncratic=rng.normal(size=(T, m, N)))
CONSTANT = px.MeanFieldFeedback([[0.3, 0.1]], [[0.2, 0.4]])
GAINS = rng.normal(size=(3, 2, p, m)) / 5
REPEATED = px.MeanFieldFeedback(*GAINS[:2], repeat=True)  # two stages, over and over
BY_STAGE = px.MeanFieldFeedback(*rng.normal(size=(2, T, p, m)) / 5)
POLICIES = {"constant": CONSTANT, "repeated": REPEATED, "by stage": BY_STAGE}
each_policy = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)


def simulate(policy, disturbance, rounds=T, system=SYSTEM, **settings):
    settings = {"x0": X0, "record": "states"} | settings
    return px.simulate(system, policy, disturbance, COST, rounds, n_agents=N, **settings)


def in_halves(policy, disturbance, **settings):
    first = simulate(policy, disturbance, T // 2, **settings)
    second = simulate(
        policy, disturbance, T // 2, **(settings | {"x0": first.final, "first_round": T // 2})
    )
    return first, second


@each_policy
def test_two_halves_make_a_whole(policy):
    whole, (first, second) = simulate(policy, RECORD), in_halves(policy, RECORD)
    for path in ("u", "d"):
        halves = np.concatenate([getattr(first, path), getattr(second, path)])
        np.testing.assert_allclose(halves, getattr(whole, path), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(second.final, whole.final, rtol=1e-12)


@each_policy
def test_the_halves_costs_add_up(policy):
    whole, (first, second) = simulate(policy, RECORD), in_halves(policy, RECORD)
    np.testing.assert_allclose(first.cost + second.cost, whole.cost, rtol=1e-12)


def test_repeated_gains_begin_again():
    run = simulate(REPEATED, None)
    for t in range(T):
        mean = run.x[t].mean(axis=0)
        expected = [-GAINS[0, t % 2] @ (x - mean) - GAINS[1, t % 2] @ mean for x in run.x[t]]
        np.testing.assert_allclose(run.u[t], expected, rtol=1e-12, atol=1e-13)


def test_an_adversary_goes_on_at_its_stage():
    adversary = px.LinearAdversary(*rng.normal(size=(2, 3, m, m)) / 9, repeat=True)
    whole, (_, second) = simulate(CONSTANT, adversary), in_halves(CONSTANT, adversary)
    np.testing.assert_allclose(second.d, whole.d[T // 2 :], rtol=1e-12, atol=1e-13)


def test_a_wave_goes_on_in_its_phase():
    wave = px.Sinusoid(1.0, period=5)
    whole, (_, second) = simulate(CONSTANT, wave), in_halves(CONSTANT, wave)
    np.testing.assert_allclose(second.d, whole.d[T // 2 :], atol=1e-13)


def test_the_same_key_goes_on_with_the_same_noise():
    """Draws depend on the key and the round, not on when the run began."""
    noise = px.MeanFieldNoise(Sigma=0.1)
    whole, (_, second) = (
        simulate(CONSTANT, None, noise=noise),
        in_halves(CONSTANT, None, noise=noise),
    )
    np.testing.assert_allclose(second.final, whole.final, rtol=1e-12)


def test_matrices_that_vary_in_time_go_on_at_their_stage():
    system = px.MeanFieldSystem(A=rng.normal(size=(T, m, m)) / 2, B=[[1.0], [0.2]])
    whole = simulate(CONSTANT, RECORD, system=system)
    _, second = in_halves(CONSTANT, RECORD, system=system)
    np.testing.assert_allclose(second.final, whole.final, rtol=1e-12)
