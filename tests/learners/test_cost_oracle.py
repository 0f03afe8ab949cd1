"""A simulator of one's own, behind the only door that a learner knows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import simulators
from learning_worlds import shortened

import phalanx as px
from phalanx.learners import JointGains

GAMMA = 3.0


@pytest.fixture(scope="module")
def gains():
    rng = np.random.default_rng(91)
    return JointGains(*(0.3 * rng.normal(size=(2, 1, 2)) for _ in range(2)))


def little(form, **settings):
    simulate = getattr(simulators, f"little_{form}")
    return px.CostOracle(simulate, 2, 1, 1, form=form, **settings)


def offset(stage, seed=92):
    """Three variants of the gains, other ones for each of four draws."""
    rng, length = np.random.default_rng(seed), 2 if stage is None else 1
    return JointGains(*(jnp.asarray(rng.normal(size=(length, 1, 2, 3, 4))) for _ in range(2)))


@pytest.mark.parametrize("stage", [None, 0, 1])
def test_all_forms_of_a_simulator_cost_the_same_for_the_same_seeds(gains, stage):
    """Against gains moved by hand, rollout by rollout; the traced form draws from the key's bits."""
    with jax.enable_x64(True):
        extra, found = offset(stage), {}
        by_hand = [np.asarray(e) for e in extra]
        keys = jax.random.split(jax.random.key(1), 4)
        seeds = np.array([int(jax.random.bits(k, (), jnp.uint32)) for k in keys])
        for form in ("each", "batch", "jax"):
            drawn = keys if form == "jax" else seeds
            t = stage if stage is None or form != "jax" else jnp.asarray(stage)
            found[form] = np.asarray(little(form).costs(None, gains, extra, drawn, t))
    hand = np.zeros((2, 3, 4))
    for g, b in np.ndindex(3, 4):
        moved = [np.array(theta) for theta in gains]
        for theta, e in zip(moved, by_hand, strict=True):
            theta[slice(None) if stage is None else slice(stage, stage + 1)] += e[..., g, b]
        hand[:, g, b] = simulators.little_each(JointGains(*moved), stage, int(seeds[b]))
    for form, costs in found.items():
        np.testing.assert_allclose(costs, hand, rtol=1e-12, err_msg=form)


@pytest.mark.parametrize("form", ["each", "batch"])
def test_draws_are_seeds_that_fit_any_generator(form):
    drawn = little(form).draws(jax.random.key(3), 1000, 0)
    assert drawn.min() >= 0
    assert len(np.unique(drawn)) == 1000
    np.testing.assert_array_equal(drawn, little(form).draws(jax.random.key(3), 1000, 0))
    np.random.default_rng(drawn[0])
    assert drawn.max() < 2**32  # NumPy's old generators take no more


def test_every_form_learns_the_same_gains():
    learned = [px.learn(little(form), GAMMA, batch=40, iterations=1) for form in ("each", "batch")]
    np.testing.assert_array_equal(learned[0].K1, learned[1].K1)
    assert learned[0].rollouts == learned[1].rollouts
    traced = px.learn(little("jax"), GAMMA, batch=40, iterations=1)
    # Other seeds; but a world without noise in its slopes has one saddle point.
    np.testing.assert_allclose(traced.K1[1], learned[0].K1[1], rtol=0.2)


@pytest.mark.parametrize(
    "method",
    ["fast", pytest.param(px.Method("two_point", batch=20), marks=pytest.mark.slow)],
    ids=str,
)
def test_workers_learn_the_same_bits(method):
    """In processes of their own, which end when they are told to."""
    alone = px.learn(little("each"), GAMMA, method, batch=40, iterations=1)
    oracle = little("each", workers=2)
    try:
        together = px.learn(oracle, GAMMA, method, batch=40, iterations=1)
    finally:
        oracle.close()
    for name in ("K1", "K2", "L1", "L2"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(together, name))


def test_a_numpy_simulator_of_the_reference_game_learns_its_gains(two_by_two):
    """Written from P1's eq. 1: at the end within three times the gap that the costs estimate."""
    game = shortened(two_by_two, 2)
    saddle = px.solve(game, GAMMA)
    oracle = px.CostOracle(simulators.two_by_two, 2, 2, 2)
    learned = px.learn(oracle, GAMMA, batch=3000, iterations=1, key=1)
    pairs = [(getattr(learned, n), getattr(saddle, n)) for n in ("K1", "K2", "L1", "L2")]
    gap = np.sqrt(sum(((a - b) ** 2).sum() for a, b in pairs))
    assert gap < 3 * learned.estimated_gap < 0.5
    assert learned.nash is None
    assert learned.nash_gap is None
    assert learned.attenuation is None
    assert learned.rollouts == pytest.approx(2 * 3000, rel=0.1)


def test_gains_are_p1s_controls():
    """u = −K y − L z and d = +K y + L z, of one agent or of many."""
    rng = np.random.default_rng(93)
    K1, K2, L1, L2 = (rng.normal(size=(3, rows, 2)) for rows in (1, 2, 1, 2))
    gains = JointGains.of(K1, K2, L1, L2)
    x, x_bar = rng.normal(size=(5, 2)), rng.normal(size=2)
    for i in range(5):
        u = -K1[1] @ (x[i] - x_bar) - L1[1] @ x_bar
        d = K2[1] @ (x[i] - x_bar) + L2[1] @ x_bar
        np.testing.assert_allclose(gains.control(1, x, x_bar)[i], u)
        np.testing.assert_allclose(gains.control(1, x[i], x_bar), u)
        np.testing.assert_allclose(gains.disturbance(1, x, x_bar)[i], d)
        np.testing.assert_allclose(gains.disturbance(1, x[i], x_bar), d)
    for name, whole in (("K1", K1), ("K2", K2), ("L1", L1), ("L2", L2)):
        np.testing.assert_array_equal(getattr(gains, name), whole)


# --- simulators that answer otherwise --------------------------------------------------------------


@pytest.mark.parametrize(
    "answer", [None, 1.0, (1.0,), (1.0, 2.0, 3.0), ("a", "b"), ([1, 2], [3, 4])]
)
@pytest.mark.parametrize("form", ["each", "batch"])
def test_a_simulator_that_does_not_return_cost_and_energy_is_told_so(form, answer):
    oracle = px.CostOracle(lambda *_: answer, 2, 1, 1, form=form)
    with pytest.raises(px.InputError, match="the simulator must return"):
        px.learn(oracle, GAMMA, batch=40)


@pytest.mark.parametrize("answer", [None, 1.0, (1.0,), (1.0, 2.0, 3.0), ([1.0, 2.0], [3.0, 4.0])])
def test_a_traced_simulator_that_does_not_return_them_is_told_so(answer):
    oracle = px.CostOracle(lambda *_: answer, 2, 1, 1, form="jax")
    with pytest.raises(px.InputError, match="the simulator must return"):
        px.learn(oracle, GAMMA, batch=40)


@pytest.mark.parametrize("form", ["each", "batch", "jax"])
def test_costs_that_are_no_numbers_end_in_an_outcome(form):
    shape = (lambda seeds: seeds.shape) if form == "batch" else (lambda seed: ())
    xp = jnp if form == "jax" else np
    simulate = lambda gains, start, seed: (xp.full(shape(seed), xp.nan), xp.ones(shape(seed)))  # noqa: E731
    oracle = px.CostOracle(simulate, 2, 1, 1, form=form)
    assert px.learn(oracle, GAMMA, batch=40).outcome.status == "diverged"


def test_an_error_of_the_simulators_own_comes_through():
    def simulate(gains, start, seed):
        raise KeyError("a mistake of the user's")

    with pytest.raises(KeyError, match="of the user's"):
        px.learn(px.CostOracle(simulate, 2, 1, 1), GAMMA, batch=40)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"simulate": 3}, "simulate"),
        ({"horizon": 0}, "horizon"),
        ({"horizon": 2.0}, "horizon"),
        ({"state_size": -1}, "state_size"),
        ({"control_size": True}, "control_size"),
        ({"disturbance_size": "two"}, "disturbance_size"),
        ({"form": "all"}, "form"),
        ({"workers": -1}, "workers"),
        ({"workers": 1.5}, "workers"),
        ({"workers": 2, "form": "jax"}, "workers"),
        ({"Sigma_y": -1.0}, "Sigma_y"),
        ({"Sigma_z": [[1.0, 0.0], [0.0, 1.0]]}, "Sigma_z"),
    ],
    ids=str,
)
def test_bad_settings_are_refused_by_name(settings, named):
    good = {"simulate": simulators.little_each, "horizon": 2, "state_size": 1, "control_size": 1}
    with pytest.raises(px.InputError, match=named):
        px.CostOracle(**(good | settings))


def test_there_are_as_many_disturbances_as_states_by_default():
    assert px.CostOracle(simulators.little_each, 2, 3, 1).sizes == (2, 3, 1, 3)
