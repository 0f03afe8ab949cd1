"""Sums over chunks: every draw once, whatever the chunks, the lanes and the devices."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phalanx.learners import _chunks


def drawn(chunk):
    return jnp.asarray(chunk, jnp.float64) + 0.1


def total(drawn, chunk):
    """A vector that names its chunk, and how often it was added."""
    return drawn**2 * jnp.arange(1.0, 4.0), jnp.where(jnp.arange(200) == chunk, 1, 0)


@settings(max_examples=10)  # each is a program of its own
@given(chunks=st.integers(1, 200))
def test_the_sum_is_the_sum(chunks):
    with jax.enable_x64(True):
        value, count = _chunks.sum_over(chunks, drawn, total)
    expected = np.sum((np.arange(chunks) + 0.1) ** 2)
    np.testing.assert_allclose(value, expected * np.arange(1, 4), rtol=1e-13)
    np.testing.assert_array_equal(count, np.arange(200) < chunks)


@settings(max_examples=10)
@given(chunks=st.integers(2, 200), devices=st.integers(1, _chunks.LANES))
def test_each_lane_is_summed_by_one_device_in_the_same_order(chunks, devices):
    lanes = min(_chunks.LANES, chunks)
    devices = min(devices, lanes)
    with jax.enable_x64(True):
        parts = [_chunks._sums(chunks, lanes, devices, drawn, total, d) for d in range(devices)]
        alone = _chunks._sums(chunks, lanes, 1, drawn, total, 0)
    counts = np.stack([count for _, count in parts])
    assert ((counts.sum(axis=2) > 0).sum(axis=0) == 1).all()
    for lane in range(lanes):
        np.testing.assert_array_equal(
            counts.sum(axis=0)[lane], (np.arange(200) % lanes == lane) & (np.arange(200) < chunks)
        )
    np.testing.assert_array_equal(sum(np.asarray(value) for value, _ in parts), alone[0])


LEARN = """
import sys
import phalanx as px
cores = px.use_cores(int(sys.argv[1]))
import jax
assert jax.device_count() == cores
game = px.scenario("two-by-two").game
game = px.RobustGame(game.system, game.cost, game.noise, 2)
one_point = px.Method("one_point", iterations=3, batch=30_000, step_size=1e-3, ball=5.0)
for method, options in [
    (one_point, {"precision": "float32"}),
    (px.Method("regression", iterations=1, batch=40_000), {}),
    (px.Method("two_point", schedule="all_stages", iterations=2, batch=20_000), {"antithetic": True}),
    (px.Method("coordinate", iterations=2, batch=2_000), {"oracle": "population", "n_agents": 20}),
]:
    learned = px.learn(game, 4.0, method, key=5, **{"n_agents": 100, **options})
    print(*(float(x).hex() for x in (*learned.K1.ravel(), *learned.L2.ravel())), learned.rollouts)
"""


def learned_with(cores: int) -> str:
    words = [sys.executable, "-c", LEARN, str(cores)]
    out = subprocess.run(words, capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
    return out.stdout


@pytest.fixture(scope="module")
def on_one_core() -> str:
    return learned_with(1)


@pytest.mark.parametrize("cores", [2, 3])
def test_many_cores_learn_the_bits_of_one(on_one_core, cores):
    assert len(on_one_core.splitlines()) == 4
    assert learned_with(cores) == on_one_core


@pytest.mark.parametrize("there", range(1, 12))
@pytest.mark.parametrize("chunks", [2, 3, 7, 8, 25, 1000])
def test_devices_share_the_lanes_evenly_and_only_where_it_pays(monkeypatch, there, chunks):
    monkeypatch.setattr(jax, "local_devices", lambda: list(range(there)))
    lanes = min(_chunks.LANES, chunks)
    devices = len(_chunks._devices(chunks, lanes))
    assert lanes % devices == 0
    assert devices <= there
    assert devices == 1 or chunks >= _chunks.WORTH * devices
