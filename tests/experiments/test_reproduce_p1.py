"""P1's learning results: what the quick reproductions have to show, and the exact formulas they measure with."""

import json
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import phalanx as px
from phalanx._record import Record, plain
from phalanx.experiments import _learning as lab
from phalanx.experiments import fig1a, fig1b, theorem4, theorem5
from phalanx.learners import ExactOracle, JointGains

MODULES = {"fig1a": fig1a, "fig1b": fig1b, "theorem4": theorem4, "theorem5": theorem5}


@cache
def made(name: str, again: bool = False) -> tuple[Record, tuple[tuple[float, str], ...]]:
    """A quick record, and every call of its progress; `again` makes it a second time."""
    calls: list[tuple[float, str]] = []
    record = MODULES[name].run(True, 1, lambda done, text: calls.append((done, text)))
    return record, tuple(calls)


def claims(name: str) -> dict[str, bool | None]:
    return {c["text"][:20]: c["holds"] for c in made(name)[0].summary["claims"]}


# --- the shape of every record ---------------------------------------------------------------------


@pytest.mark.parametrize("name", MODULES)
def test_a_quick_record_is_whole(name):
    record, calls = made(name)
    assert (record.kind, record.name) == ("reproduction", name)
    summary = plain(record.summary)
    json.dumps(summary, allow_nan=False)
    assert summary["panels"]
    assert summary["tables"]
    assert summary["claims"]
    assert summary["settings"]["seed"] == 1
    assert all(0 <= done <= 1 and text for done, text in calls)
    assert calls[-1][0] == 1


@pytest.mark.parametrize("name", MODULES)
def test_every_curve_can_be_drawn(name):
    record, _ = made(name)
    for panel in record.summary["panels"]:
        for curve in panel["curves"]:
            x, y = (record.series[curve[part]].values for part in ("x", "y"))
            seen = np.isfinite(y)
            assert x.shape == y.shape
            assert seen.any(), (panel["title"], curve["label"])
            if "low" in curve:
                low, high = (record.series[curve[part]].values for part in ("low", "high"))
                assert (low[seen] <= y[seen]).all()
                assert (y[seen] <= high[seen]).all()
                assert not panel["y_log"] or (low[seen] > 0).all()


@pytest.mark.parametrize("name", MODULES)
def test_no_number_of_a_table_is_lost(name):
    for table in made(name)[0].summary["tables"]:
        for row in table["rows"]:
            assert len(row) == len(table["header"])
            assert all(np.isfinite(cell) for cell in row if isinstance(cell, float)), table["title"]


def test_a_seed_says_it_all():
    first, second = (made("theorem5", again)[0] for again in (False, True))
    assert plain(first.summary) == plain(second.summary)
    assert first.series.identical(second.series)


def test_a_seed_says_it_all_of_rollouts_too():
    w = lab.world(fig1a.HORIZON)
    size = fig1a.Size(iterations=20, batch=100, runs=2)
    runs = [fig1a._sampled(w, size, 1.0, 3, lambda done, text: None, 0, 1) for _ in range(2)]
    first, second = ([run.iterates.gains for run in of] for of in runs)
    np.testing.assert_array_equal(first, second)
    assert np.abs(first[0] - first[1]).max() > 0


# --- what has to hold ------------------------------------------------------------------------------


def test_fig1a_claims():
    found = claims("fig1a")
    assert found["E-RGDA converges lin"] is True
    assert found["RGDA imitates E-RGDA"] is True
    assert found["The approximation is"] is False  # a smaller r is no better


def test_fig1b_claims():
    assert all(claims("fig1b").values())


def test_theorem4_claims():
    found = claims("theorem4")
    assert found["K = Ω(log 1/ε): with"] is True
    assert found["N_b = Ω(1/ε): the sq"] is True
    assert found["r = O(ε) is needed, "] is False
    assert found["A small r hurts inst"] is True
    assert found["With all stages at o"] is True


def test_theorem4_figures():
    summary = made("theorem4")[0].summary
    assert summary["smoothing_receding"] < 1e-12
    assert summary["slope_smoothing"][0] == pytest.approx(2, abs=0.05)
    assert summary["slope_batch"][0] == pytest.approx(-1, abs=0.35)
    rate = summary["rate"]
    assert rate["fitted"] == pytest.approx(rate["predicted"], rel=0.01)
    assert rate["fitted"] < rate["bound"]


def test_theorem5_claims_and_slopes():
    summary = made("theorem5")[0].summary
    assert all(claims("theorem5").values())
    for T in theorem5.HORIZONS:
        assert summary["slope_total"][T][0] == pytest.approx(1, abs=0.03)
        assert summary["slope_inherited"][T][0] == pytest.approx(2, abs=0.05)
        assert summary["slope_early_stop"][T][0] == pytest.approx(1, abs=0.03)
    fitted, _, predicted = summary["damping_per_stage"]
    assert fitted == pytest.approx(predicted, abs=0.02)


# --- the exact formulas they measure with -------------------------------------------------------------


@pytest.fixture(scope="module")
def world() -> lab.World:
    return lab.world(3, Sigma_y=2.0, Sigma_z=0.5)


@pytest.fixture(scope="module")
def gains(world) -> np.ndarray:
    return world.nash + 0.1 * np.random.default_rng(0).normal(size=world.nash.shape)


def test_nash_is_every_stage_s_target(world):
    np.testing.assert_allclose(lab.targets(world, world.nash), world.nash, atol=1e-13)
    for t in range(world.horizon):
        after = lab.value_after(world, t, world.nash)
        np.testing.assert_allclose(after, world.values[:, t + 1], atol=1e-12)


@eqx.filter_jit
def gradient(oracle: Any, gains: JointGains, gamma: Any, t: Any) -> Any:
    return oracle.gradient(oracle.prepare(gains, t), gains, gamma, t)


def exact_gradient(world: lab.World, W: np.ndarray, t: int) -> list[np.ndarray]:
    """Both players' gradients of stage t by the exact oracle, (p | q, 2m)."""
    oracle = ExactOracle(world.game, lab.AGENTS, Sigma_y=world.Sigma[0], Sigma_z=world.Sigma[1])
    with jax.enable_x64(True):
        both = lab.players(jnp.asarray(W), world.controls)
        found = gradient(oracle, both, jnp.asarray(world.gamma), jnp.asarray(t))
        return [np.asarray(part)[0] for part in found]


def test_a_target_is_where_the_exact_gradient_vanishes(world, gains):
    for t in range(world.horizon):
        there = gains.copy()
        there[t] = lab.targets(world, gains)[t]
        assert max(np.abs(part).max() for part in exact_gradient(world, there, t)) < 1e-12


def test_rates_are_those_of_the_exact_field(world, gains):
    """μ and L from differences of the oracle's own gradient, which is affine in the stage's gains."""
    t, shape = 1, gains.shape[1:]

    def field(W: np.ndarray) -> np.ndarray:
        moved = gains.copy()
        moved[t] = W
        one, two = exact_gradient(world, moved, t)
        return np.concatenate([one, -two]).ravel()

    start = field(np.zeros(shape))
    units = np.eye(start.size).reshape(-1, *shape)
    G = np.stack([field(e) - start for e in units], axis=1)
    found = lab.rates(world, t, lab.value_after(world, t, gains), 0.01)
    assert found.mu == pytest.approx(np.linalg.eigvalsh((G + G.T) / 2).min())
    assert found.lipschitz == pytest.approx(np.linalg.norm(G, 2))
    assert found.slowest == pytest.approx(np.abs(1 - 0.01 * np.linalg.eigvals(G)).max())


@pytest.mark.parametrize("stage", [0, 2])
def test_e_rgda_falls_at_the_slowest_eigenvalue_s_rate(world, stage):
    eta = lab.best_step(world)
    options: dict[str, Any] = world.learn_options() | {"step_size": eta, "iterations": 800}
    learned = px.learn(world.game, world.gamma, "e-rgda", **options)
    path, final = lab.path(world, learned), lab.result(learned)
    here = path.stage == stage
    found = lab.rates(world, stage, lab.value_after(world, stage, final), eta)
    fitted = lab.fitted_factor(path.iteration[here], path.inner[here])
    assert np.log(fitted) == pytest.approx(2 * np.log(found.slowest), rel=0.05)
    assert fitted <= 1 - found.mu * eta


def test_a_path_ends_where_the_run_ends(world):
    options = world.learn_options() | {"step_size": 0.02, "iterations": 60}
    learned = px.learn(world.game, world.gamma, "e-rgda", **options)
    path = lab.path(world, learned)
    assert path.every[-1] == pytest.approx(learned.nash_gap, rel=1e-9)
    assert path.every[0] == pytest.approx(np.linalg.norm(world.nash), rel=1e-9)
    assert path.total[-1] == 180
    for t in range(world.horizon):
        assert path.nash[path.stage == t][-1] == pytest.approx(
            learned.nash_gap_by_stage[t], rel=1e-9
        )


def test_an_error_of_a_later_stage_counts_squared(world):
    """The value is flat at a saddle point: halving the error quarters what is inherited."""
    E = np.zeros_like(world.nash)
    E[-1] = np.random.default_rng(1).normal(size=E.shape[1:])
    shares = [theorem5._with_errors(world, e * E)[1][0] for e in (1e-3, 5e-4)]
    assert shares[0] / shares[1] == pytest.approx(4, rel=0.01)
