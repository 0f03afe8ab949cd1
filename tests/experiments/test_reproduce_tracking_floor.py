"""The floor of the equilibrium gap, the small version: what must hold, and its parts by a second route."""

import json

import numpy as np
import pytest

from phalanx._record import Record, plain
from phalanx.experiments import _potential as lab
from phalanx.experiments import _settling as worlds
from phalanx.experiments import tracking_floor as floor


@pytest.fixture(scope="module")
def record() -> Record:
    return floor.run(True, 0, lambda done, text: None)


def team() -> lab.Team:
    return worlds.three_agents([np.zeros((1, 2))] * 3)


def test_claims_hold(record):
    json.dumps(plain(record.summary), allow_nan=False)
    verdicts = {claim["text"]: claim["holds"] for claim in record.summary["claims"]}
    # Few rounds do not show that walks and jumps have been learned as far as they can be.
    assert [text for text, holds in verdicts.items() if holds is False] == []
    assert {text for text, holds in verdicts.items() if holds is None} <= {
        text for text in verdicts if "the floor is real" in text
    }


@pytest.mark.parametrize(
    ("octave", "above", "verdict"), [(1.0, 1.2, True), (0.5, 3.0, None), (0.5, 0.9, False)]
)
def test_a_floor_lasts_or_is_still_being_learned_or_falls(octave, above, verdict):
    assert floor._lasts(octave, above) is verdict


def test_a_target_at_rest_at_the_origin_is_no_target():
    w = np.tile(worlds.LEVEL, (60, 1))
    plain_, aimed = (lab.play(team(), w, 0.5, target=r) for r in (None, np.zeros((60, 2))))
    np.testing.assert_allclose(aimed.gap, plain_.gap, atol=1e-12)


def test_best_fixed_parameters_are_best():
    players, rng = team(), np.random.default_rng(0)
    w = worlds.LEVEL + floor.variation("iid", 100, rng)

    def total(M: list[np.ndarray]) -> float:
        everywhere = [np.tile(m, (len(w), 1, 1, 1)) for m in M]
        return float(lab.evaluated(players, w, everywhere, 1.0).potential.sum())

    best = lab.best_fixed(players, w)
    least = total(best)
    for _ in range(5):
        assert total([m + 0.01 * rng.standard_normal(m.shape) for m in best]) > least


def test_a_wave_has_one_best_answer_to_every_round_and_short_memories_have_none():
    w = worlds.LEVEL + floor.variation("wave", 200, np.random.default_rng(0))
    for kind, level in (("wave", 1e-20), ("short", 1e-2)):
        players = floor._team(kind)
        M = [np.tile(m, (len(w), 1, 1, 1)) for m in lab.best_fixed(players, w[:])]
        potential = lab.evaluated(players, w, M, 1.0).potential[50:]
        # Least squares also weigh the first rounds, whose windows are not full: they cost it little.
        assert (potential.mean() < 1e-2) == (kind == "wave")
        assert potential.mean() > level or kind == "wave"


@pytest.mark.parametrize("kind", ["iid", "walk", "jumps", "spaced", "wave"])
def test_variation_is_of_size_one(kind):
    drawn = floor.variation(kind, 5000, np.random.default_rng(0))
    assert drawn.shape == (5000, 2)
    assert 0.9 < np.abs(drawn).max() <= 1 + 1e-12
