"""The compiled loop: traced once for all stages, seeds, levels and step sizes; its memory flat in N_b."""

import jax
import jax.numpy as jnp
import pytest

import phalanx as px
from phalanx.learners import LawOracle, _estimators

TRACES = []


class Counted(LawOracle):
    """Says when it is traced."""

    def costs(self, shared, gains, offset, drawn, stage):
        TRACES.append(stage)
        return super().costs(shared, gains, offset, drawn, stage)


@pytest.fixture(scope="module")
def game():
    return px.RobustGame(
        px.MeanFieldSystem(A=0.9, A_bar=0.1, B=1.0, D=0.5),
        px.MeanFieldCost(Q=1.0),
        px.MeanFieldNoise(Sigma=0.1, Sigma_bar=0.1),
        horizon=4,
    )


@pytest.mark.parametrize("estimator", ["one_point", "regression"])
def test_nothing_is_compiled_anew_for_another_seed_level_step_or_number_of_iterations(
    game, estimator
):
    def learn(gamma, key, **changes):
        update = "newton" if estimator == "regression" else "simultaneous"
        settings = {"batch": 100, "probe": 100, "iterations": 3} | changes
        method = px.Method(estimator, update, **settings)
        return px.learn(Counted(game, 50), gamma, method, key=key)

    TRACES.clear()
    learn(3.0, 0)
    assert TRACES
    TRACES.clear()
    learn(2.5, 1, radius=0.5, ball=20.0)
    learn(2.5, 1, iterations=7)
    if estimator == "one_point":
        learn(2.5, 1, step_size=0.01)
    assert TRACES == []


def test_the_memory_of_an_estimate_does_not_grow_with_the_batch(game):
    oracle = LawOracle(game, 50, dtype="float32")

    def bytes_of(batch: int) -> int:
        def estimate(key):
            gains = px.JointGains(jnp.zeros((4, 1, 2)), jnp.zeros((4, 1, 2)))
            return _estimators.gradients(
                oracle, None, gains, 3.0, jnp.asarray(1), key, (0, 1), "one_point", batch, 0.1
            )

        with jax.enable_x64(True):
            compiled = jax.jit(estimate).lower(jax.random.key(0)).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    few, many = bytes_of(100_000), bytes_of(10_000_000)
    assert many <= 1.5 * few
