"""What every run of the main job has to show, whatever the world."""

from typing import Any

import numpy as np

from phalanx._record import Record

KEYS = ["robust", "lqr", "certainty_equivalent", "per_agent", "idle"]


def rows(record: Record) -> dict[str, dict[str, Any]]:
    """The controllers of a run by their keys."""
    return {row["key"]: row for row in record.summary["controllers"]}


def assert_attacks_cost_what_was_computed(record: Record) -> None:
    """Exact, from one matrix, and measured, by playing every agent."""
    for key, row in rows(record).items():
        attack = row["attack"]
        np.testing.assert_allclose(attack["measured"], attack["exact"], rtol=1e-9, err_msg=key)
        np.testing.assert_allclose(attack["energy"], record.summary["attack_energy"], rtol=1e-9)


def assert_nobody_beats_the_saddle_point(record: Record) -> None:
    """Against the saddle point's disturber every controller pays the value or more."""
    for key, row in rows(record).items():
        adversary = row["adversary"]
        low = adversary["value"] - 4 * adversary["standard_error"]
        assert adversary["payoff"] >= low, key
    robust = rows(record)["robust"]["adversary"]
    assert abs(robust["payoff"] - robust["value"]) <= 4 * robust["standard_error"]


def assert_series_are_whole(record: Record) -> None:
    """Every path labelled and finite."""
    for name, path in record.series.data_vars.items():
        assert np.isfinite(path.values).all(), name
        assert all(size > 0 for size in path.shape), name
