"""Information settings head to head, the small version: what must hold, and where the settings are one."""

import json

import numpy as np
import pytest

from phalanx._record import Record, plain
from phalanx.costs import Quadratic
from phalanx.experiments import information
from phalanx.systems import LinearSystem


@pytest.fixture(scope="module")
def record() -> Record:
    return information.run(True, 0, lambda done, text: None)


def verdict(record: Record, words: str) -> bool | None:
    (claim,) = [c for c in record.summary["claims"] if words in c["text"]]
    return claim["holds"]


@pytest.mark.parametrize(
    "words", ["Neither setting", "worth most", "stay bounded", "third variant", "not comparable"]
)
def test_claims_hold(record, words):
    json.dumps(plain(record.summary), allow_nan=False)
    assert verdict(record, words)


def test_the_untold_duel_with_steps_finds_no_step_size(record):
    assert verdict(record, "Learning beats the fixed gains") is False
    assert not np.isfinite(record.summary["costs_by_cell"]["duel, steps, independent"])
    assert np.isfinite(record.summary["costs_by_cell"]["duel, steps, aggregated"])


def test_a_single_agent_has_nothing_to_be_told():
    system = LinearSystem([[0.9, 0.1], [0.0, 0.8]], [[[0.0], [1.0]]])
    alone = information.World("one", system, (np.array([[0.1, 0.2]]),), [Quadratic()])
    w = np.random.default_rng(0).uniform(-0.5, 0.5, (300, 2))
    costs = [information._run(alone, setting, 0.01, w).cost for setting in information.SETTINGS]
    np.testing.assert_allclose(costs[1], costs[0], atol=1e-10)
    np.testing.assert_allclose(costs[2], costs[0], atol=1e-10)


@pytest.mark.parametrize("name", ["duel", "crowd"])
def test_without_gains_the_two_aggregated_settings_are_one(name):
    world = information.worlds(200)[name]
    w = np.random.default_rng(1).uniform(-0.5, 0.5, (200, 1))
    costs = [information._run(world, setting, 0.01, w).cost for setting in information.SETTINGS[1:]]
    np.testing.assert_allclose(costs[1], costs[0], atol=1e-10)


def test_coupling_counts_the_others():
    """Without feedback and with alike inputs it is the number of the others."""
    assert information.worlds(10)["crowd"].coupling == pytest.approx(11.0)
    assert information.worlds(10)["duel"].coupling == pytest.approx(1.0)
