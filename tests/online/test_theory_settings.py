"""The theorems' memory, set and step size: limits, monotonicity, and that bounds bound."""

import numpy as np
import pytest

import phalanx as px

GIVEN = {
    "kappa": 1.5, "decay": 0.2, "rounds": 1000, "bound": 1.0, "growth": 2.0,
    "input_norm": 1.0, "state_size": 2, "control_size": 1,
}  # fmt: skip


def theory(**changes):
    given = GIVEN | changes
    return px.theory_settings(given.pop("kappa"), given.pop("decay"), **given)


def test_what_the_memory_cuts_off_is_below_one_over_t():
    found = theory()
    assert 1.5**2 * 0.8**found.memory <= 1 / 1000 < 1.5**2 * 0.8 ** (found.memory - 1)


def test_the_memory_grows_with_log_t_and_the_step_falls_with_its_root():
    few, many = theory(rounds=10**4), theory(rounds=10**8)
    assert abs((many.memory - few.memory) - np.log(10**4) / -np.log(0.8)) <= 1
    slope = np.log(theory(rounds=10**12).step_size / theory(rounds=10**6).step_size) / np.log(1e6)
    assert -0.8 < slope < -0.5  # 1/√T up to powers of log T


def test_the_set_is_the_papers():
    found = theory(input_norm=2.0)
    assert found.radius == 2.0 * 1.5**3
    assert found.decay == 0.2


def test_among_n_agents_the_step_is_n_times_smaller_but_for_the_memory():
    alone, among = theory(rounds=6400), theory(rounds=100, n_agents=64)
    assert alone.memory == among.memory
    assert among.step_size == pytest.approx(alone.step_size * 8 / 64)


def test_no_state_or_slope_exceeds_its_bound():
    """M on the set's edge against the worst signs: |y|, |v| ≤ D and |∂ℓ/∂M| ≤ G_f."""
    F, B, K = np.array([[0.6, 0.1], [0.0, 0.5]]), np.array([[0.0], [1.0]]), np.zeros((1, 2))
    S = np.eye(2)
    kappa, decay = 1.0, 1 - np.linalg.norm(F, 2)
    found = theory(kappa=kappa, decay=decay, rounds=50)
    rng = np.random.default_rng(0)
    H = found.memory
    learner = px.GradientPerturbation(F, B, K, memory=H, step_size=0.0, radius=found.radius, decay=decay,
        initial=found.radius * np.sign(rng.normal(size=(H, 1, 2))))  # fmt: skip
    w = rng.normal(size=(400, 2))
    w /= np.linalg.norm(w, axis=1, keepdims=True)
    run = px.simulate(
        px.LinearSystem(F, B), learner, px.Replay(w), px.Quadratic(1.0, 1.0), rounds=400
    )
    assert np.abs(run.x @ S).max() <= found.reach
    assert np.abs(run.u).max() <= found.reach
    stepping = px.GradientPerturbation(F, B, K, memory=H, step_size=1e-9, radius=1e9,
        initial=learner.initial.reshape(H, 1, 2))  # fmt: skip
    moved = px.simulate(px.LinearSystem(F, B), stepping, px.Replay(w), px.Quadratic(1.0, 1.0), rounds=400, record="parameters")  # fmt: skip
    slopes = np.diff(moved.parameters[0], axis=0) / 1e-9
    assert np.sqrt((slopes**2).sum((1, 2, 3))).max() <= found.lipschitz


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kappa": 0.5}, "kappa must be at least 1"),
        ({"decay": 0.0}, "decay must be at least 1e-09 and below 1"),
        ({"rounds": 0}, "rounds must be at least 1"),
        ({"bound": -1.0}, "bound must be at least 0"),
    ],
)
def test_numbers_outside_their_range_get_a_sentence(changes, sentence):
    with pytest.raises(px.InputError, match=sentence):
        theory(**changes)
