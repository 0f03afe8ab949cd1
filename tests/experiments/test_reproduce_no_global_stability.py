"""Without Assumption 4: growth by hand, the window that independent learners have, and a learner that is the library's."""

import numpy as np
import pytest

import phalanx as px
from phalanx.equilibria import stabilising_gains
from phalanx.experiments import _two_agents as two
from phalanx.experiments import no_global_stability


@pytest.fixture(scope="module")
def w() -> np.ndarray:
    return two.disturbances(1, 1, 1200)[0]


def test_the_worlds_are_what_their_names_say():
    for name, (A, K) in two.WORLDS.items():
        found = stabilising_gains(px.LinearSystem(A=A, B=[[[1.0]]] * 2), method=[[[K]]] * 2)
        own, together = all(loop.ok for loop in found.own), found.joint.ok
        assert own == ("only" not in name or "3" in name), name
        assert together == ("only" not in name or "4" in name), name


@pytest.mark.parametrize("setting", ["aggregated", "aggregated-agentwise"])
def test_what_informed_agents_learn_does_not_matter_to_the_loop(setting, w: np.ndarray):
    run = two.pair(1.0, 1.5, w, setting, memory=2)
    assert not run.outcome.ok
    np.testing.assert_allclose(two.growth(run), 2.0, rtol=1e-6)


def test_independent_learners_find_the_window(w: np.ndarray):
    run = two.pair(1.0, 1.5, w, "independent", memory=1, radius=0.6)
    assert run.outcome.ok
    assert np.abs(run.x[-200:]).max() < 2
    assert two.radius_with(float(run.states[0].M[0, 0, 0])) < 1


def test_the_window_by_hand():
    """Both play m: (x, w̃) moves by [[−2, 2m], [−1.5, m]]; the mode in which they differ by [[1, 0], [0, −m]]."""
    for m in np.linspace(0, 1.5, 31):
        common = np.array([[-2.0, 2 * m], [-1.5, m]])
        radius = max(np.abs(np.linalg.eigvals(common)).max(), abs(m))
        np.testing.assert_allclose(two.radius_with(m), radius, rtol=1e-6)
        assert (two.radius_with(m) < 1) == (0.5 < m < 1)


@pytest.mark.parametrize("setting", two.SETTINGS)
def test_where_the_loop_is_stable_the_learner_is_the_librarys(setting, w: np.ndarray):
    ours = two.pair(1.0, 0.5, w[:300], setting, memory=3)
    known = {"others": [[0.5]]} if setting == "aggregated" else {}
    theirs = px.GradientPerturbation(
        [[1.0]], [[1.0]], [[0.5]], memory=3, step_size=two.STEP, radius=two.RADIUS, setting=setting, **known
    )  # fmt: skip
    run = two._simulate(1.0, [theirs] * 2, w[:300], setting)
    np.testing.assert_allclose(ours.x, run.x, atol=1e-12)


def test_beside_a_stranger_only_what_was_announced_misleads(w: np.ndarray):
    cost = {
        setting: two.beside_a_stranger(w, setting, 6).cost[600:, 0].mean()
        for setting in two.SETTINGS
    }
    assert max(cost["independent"], cost["aggregated-agentwise"]) < 4
    assert cost["aggregated"] > 20


def test_the_quick_run_says_what_was_found():
    record = no_global_stability.run(True, 0, lambda done, text: None)
    verdicts = [claim["holds"] for claim in record.summary["claims"]]
    assert verdicts == [True, False, *[True] * 5]
