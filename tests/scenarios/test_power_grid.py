"""The power grid: its file is whole, its model is derived again, its world is sane."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import solve_discrete_lyapunov

from phalanx._outcome import InputError
from phalanx.scenarios import _grid_disturbance as happening
from phalanx.scenarios import _new_england, _simbench
from phalanx.scenarios._new_england import load, relative, sampled
from phalanx.scenarios._power_grid import SECONDS, own_regulators, power_grid, weights

BUILDER = Path(__file__).resolve().parents[2] / "tools" / "build_new_england_grid.py"


@pytest.fixture(scope="module")
def grid():
    return load()


@pytest.fixture(scope="module")
def model(grid):
    return sampled(grid, SECONDS)


@pytest.fixture(scope="module")
def world():
    return power_grid()


def radius(matrix):
    return np.abs(np.linalg.eigvals(matrix)).max()


# --- the file


def test_a_damaged_file_is_refused(tmp_path, monkeypatch):
    for name in (_new_england.FILE, _new_england.SUMS):
        shutil.copy(str(_new_england._folder().joinpath(name)), tmp_path / name)
    monkeypatch.setattr(_new_england, "_folder", lambda: tmp_path)
    assert load.__wrapped__().A.shape == (123, 123)  # the copy is sound before the damage
    blob = bytearray((tmp_path / _new_england.FILE).read_bytes())
    blob[len(blob) // 2] ^= 1
    (tmp_path / _new_england.FILE).write_bytes(bytes(blob))
    with pytest.raises(InputError, match=r"new_england_39\.npz has sha256 .* damaged"):
        load.__wrapped__()


def test_the_notice_names_file_source_and_licence():
    folder = _new_england._folder()
    notice = folder.joinpath("new_england_39.NOTICE.md").read_text()
    assert folder.joinpath(_new_england.SUMS).read_text().split()[0] in notice
    assert "MIT License" in notice
    assert "Hallvar Haugdal" in notice


def test_what_the_file_holds(grid):
    assert grid.B.shape == (123, 9)
    assert grid.E.shape == (123, 19)
    assert grid.frequency == 60.0
    assert grid.governed == grid.machines[1:]
    assert grid.governed_mw.tolist() == [595, 680, 680, 510, 680, 595, 595, 850, 850]
    assert grid.load_mw[grid.load_buses.index("39")] == 1104.0
    assert ((grid.valve > 0) & (grid.valve < 1)).all()
    for array in (grid.A, grid.B, grid.E, grid.load_mw):
        assert not array.flags.writeable


# --- from the continuous matrices to the model, by second routes


def test_one_mode_is_the_common_turn_and_is_dropped(grid):
    turn = np.array([float(variable == "angle") for _, variable in grid.states])
    assert turn.sum() == 10
    assert np.abs(grid.A @ turn).max() < 1e-7
    full = np.linalg.eigvals(grid.A)
    assert (np.abs(full) < 1e-6).sum() == 1
    left = np.sort_complex(np.round(full[np.abs(full) > 1e-6], 3))
    A = relative(grid)[0]
    kept = np.linalg.eigvals(A)
    assert kept.real.max() == pytest.approx(-0.0723, abs=1e-3)
    # The same modes, up to what rounding does to eigenvalues that nearly coincide.
    gap = np.abs(kept[:, None] - left[None, :]).min(axis=1)
    assert gap.max() < 1e-2


def test_a_round_of_the_model_is_a_round_of_the_123_states(grid, model):
    rng = np.random.default_rng(0)
    x = 1e-3 * rng.normal(size=123)
    u, w = 20 * rng.normal(size=9), 20 * rng.normal(size=19)
    push = grid.B @ (u / grid.governed_mw) + grid.E @ (w / grid.load_mw)
    after = solve_ivp(
        lambda t, z: grid.A @ z + push, (0, SECONDS), x, method="Radau", rtol=1e-10, atol=1e-14
    ).y[:, -1]

    def seen(z):  # angles from G1, then the units of the world
        out = []
        for (_, variable), value in zip(grid.states, z, strict=True):
            if variable == "angle":
                out.append(np.degrees(value - z[grid.states.index(("G1", "angle"))]))
            else:
                out.append(value * (60_000 if variable == "speed" else 1000))
        return np.delete(out, grid.states.index(("G1", "angle")))

    predicted = model.A @ seen(x) + model.B @ u + model.E @ w
    np.testing.assert_allclose(predicted, seen(after), rtol=1e-6, atol=1e-6)


def test_two_half_rounds_make_a_round(grid, model):
    half = sampled(grid, SECONDS / 2)
    np.testing.assert_allclose(half.A @ half.A, model.A, atol=1e-8)
    np.testing.assert_allclose(half.A @ half.B + half.B, model.B, atol=1e-8)
    np.testing.assert_allclose(half.A @ half.E + half.E, model.E, atol=1e-8)


def test_the_grid_is_stable_by_itself(model):
    assert radius(model.A) == pytest.approx(np.exp(-0.0723389 * SECONDS), abs=1e-6)


def test_a_load_lowers_and_a_set_point_raises_the_frequency_of_all(grid, model):
    at_rest = np.linalg.inv(np.eye(122) - model.A)
    by_load = model.frequency @ at_rest @ model.E
    by_control = model.frequency @ at_rest @ model.B
    assert np.ptp(by_load, axis=0).max() < 1e-6  # one frequency everywhere once settled
    assert ((by_load > -0.47) & (by_load < -0.4)).all()
    # Droop alone: 5 % of 60 Hz over all governed megawatts; loads that follow the voltage help a little.
    droop = 0.05 * 60_000 / grid.governed_mw.sum()
    assert ((by_control > 0.85 * droop) & (by_control < droop)).all()
    A, _, E, _ = relative(grid)
    np.testing.assert_allclose(-model.frequency @ np.linalg.solve(A, E), by_load, atol=1e-6)


def test_rows_read_what_they_say(model):
    names = np.array(model.states)
    for row, machine in zip(model.frequency, (f"G{k}" for k in range(1, 11)), strict=True):
        assert names[row != 0].tolist() == [f"{machine} speed (mHz)"]
    for row, machine in zip(model.valves, (f"G{k}" for k in range(2, 11)), strict=True):
        assert names[row != 0].tolist() == [f"{machine} valve (1/1000)"]
    assert len(set(model.states)) == 122


def test_a_megawatt_more_of_set_point_opens_the_valve_by_a_megawatt_less_droop(grid, model):
    x = np.linalg.solve(np.eye(122) - model.A, model.B[:, 0])
    droop = grid.governed_mw / 0.05 * (model.frequency[1:] @ x) / 60_000
    np.testing.assert_allclose(model.valves @ x, np.eye(9)[0] - droop, atol=1e-6)


# --- what happens at the loads


def test_quarter_hours_by_a_second_route(grid):
    w = happening.quarter_hours(grid, 3000, SECONDS)
    year = _simbench.load()
    row = year.row("2016-10-05T09:00")  # the fifth quarter hour played
    days = [year.row(f"{day}T09:00") for day in ("2016-10-03", "2016-10-28", "2016-11-24")]
    names = ("lv_rural1_pload", "lv_semiurb4_pload", "lv_urban6_pload")
    series = {name: values / values.mean() for name, values in year.series.items()}

    def load_of(shift):
        return np.mean([series[name][day + shift] for day in days for name in names])

    span = np.mean([load_of(k) for k in range(-5, 16)])
    expected = (load_of(0) - load_of(-1)) / span
    expected -= 0.3 * (year.series["WP4"][row] - year.series["WP4"][row - 1])
    expected -= 0.2 * (year.series["PV1"][row] - year.series["PV1"][row - 1])
    np.testing.assert_allclose(w[600:750, 0], 322.0 * expected)


def test_quarter_hours_are_of_a_sane_size(grid):
    w = happening.quarter_hours(grid, 3000, SECONDS)
    assert np.abs(np.diff(w, axis=0)).any(axis=1).sum() == 19
    share = w[::150] / grid.load_mw
    assert 0.02 < share.std() < 0.08
    assert np.abs(share).max() < 0.25
    assert np.abs(w.sum(axis=1)).max() < 0.05 * grid.load_mw.sum()


def test_the_attack_is_at_a_peak_and_within_its_budget(grid, model):
    worst = happening.attack(grid, model, SECONDS)
    assert worst.megawatts.sum() == pytest.approx(0.01 * grid.load_mw.sum())
    assert (worst.megawatts <= 0.05 * grid.load_mw + 1e-12).all()

    def gain(hertz):
        z = np.exp(2j * np.pi * hertz * SECONDS)
        return np.linalg.norm(
            model.frequency @ np.linalg.solve(z * np.eye(122) - model.A, model.E), 2
        )

    assert worst.gain == pytest.approx(gain(worst.hertz))
    assert worst.gain > max(gain(0.8 * worst.hertz), gain(1.25 * worst.hertz))
    played = worst.play(400, SECONDS)
    assert np.array_equal(np.abs(played), np.tile(worst.megawatts, (400, 1)))


def test_the_attack_beats_the_same_budget_spread_evenly(grid, model):
    worst = happening.attack(grid, model, SECONDS)
    even = happening.Attack(worst.hertz, worst.gain, 0.01 * grid.load_mw, np.zeros(19))
    assert swing(model, worst.play(600, SECONDS)) > 1.2 * swing(model, even.play(600, SECONDS))


def swing(model, w):
    """Root mean square of all frequencies, mHz."""
    x, total = np.zeros(122), 0.0
    for row in w:
        x = model.A @ x + model.E @ row
        total += np.sum((model.frequency @ x) ** 2)
    return np.sqrt(total / (10 * len(w)))


def test_no_budget_is_no_attack(grid, model):
    assert not happening.attack(grid, model, SECONDS, share=0.0).megawatts.any()


def test_bad_input_is_refused(grid, model):
    with pytest.raises(InputError, match=r"share is 2\.0; it must be a share"):
        happening.attack(grid, model, SECONDS, share=2.0)
    with pytest.raises(InputError, match="the recorded day has 64"):
        happening.quarter_hours(grid, 9601, SECONDS)
    with pytest.raises(InputError, match="world is 'storm'; it must be one of both"):
        power_grid("storm")
    with pytest.raises(InputError, match="rounds is 0; it must be a whole number"):
        power_grid(rounds=0)


# --- the world


def test_each_generator_pays_for_its_own_shaft_and_knob(world):
    for i in (0, 3, 8):
        x = np.zeros(122)
        x[world.state_names.index(f"G{i + 2} speed (mHz)")] = 40.0
        paid = [float(cost(0, x, np.array([100.0]))) for cost in world.costs]
        assert paid == pytest.approx([8.0 if j == i else 4.0 for j in range(9)])


def test_gains_are_best_responses_to_a_grid_without_others(grid, model):
    # A second route to the Riccati equation: what the gain costs, and the best answer to that cost.
    Q, R = weights(grid, model)[4]
    K, B = own_regulators(grid, model)[4], model.B[:, [4]]
    loop = model.A - B @ K
    P = solve_discrete_lyapunov(loop.T, Q + K.T @ R @ K)
    best = np.linalg.solve(R + B.T @ P @ B, B.T @ P @ model.A)
    np.testing.assert_allclose(K, best, atol=1e-6 * np.abs(K).max())


def test_gains_stabilise_alone_and_together(world, model):
    alone = [radius(model.A - model.B[:, [i]] @ K) for i, K in enumerate(world.gains)]
    assert max(alone) < 0.992
    assert radius(model.A - model.B @ np.vstack(world.gains)) < 0.991


def test_names_sizes_and_limits_fit(world):
    assert (world.system.state_size, world.system.n_agents) == (122, 9)
    assert len(world.state_names) == 122
    assert len(world.disturbance_names) == world.system.disturbance_size == 19
    assert world.agent_names == tuple(f"G{k}" for k in range(2, 11))
    assert world.disturbance.rounds_available == world.rounds == 3000
    frequency, valves = world.outputs
    assert (frequency.unit, valves.unit) == ("Hz", "MW")
    assert frequency.matrix.shape == valves.matrix.shape == (9, 122)
    assert (valves.low < 0).all()
    assert (valves.high > 0).all()
    assert all(p.name and p.value and p.source for p in world.parameters)


def test_frequencies_look_like_a_grid(world):
    A, E = world.system.A, world.system.E
    K = np.vstack(world.gains)
    B = world.system.B[:, :, 0].T
    w = np.asarray(world.disturbance.common)
    deviation = {}
    for name, loop in (("nothing", A), ("regulators", A - B @ K)):
        x, path = np.zeros(122), []
        for row in w:
            path.append(world.outputs[0].matrix @ x)
            x = loop @ x + E @ row
        deviation[name] = np.array(path)
    nothing, regulators = deviation["nothing"], deviation["regulators"]
    assert -0.15 < nothing.min() < -0.08  # Hz
    assert -0.08 < regulators.min() < -0.03
    assert regulators.std() < 0.5 * nothing.std()
    held = nothing[1480:1500]  # a quarter hour nearly over, before the attack: settled
    assert np.ptp(held, axis=0).max() < 0.002


def test_calm_and_attack_alone():
    assert power_grid("calm").disturbance is None
    attacked = power_grid("attack", rounds=50)
    assert attacked.disturbance.rounds_available == attacked.rounds == 50
    assert np.abs(attacked.disturbance.common).sum(axis=1) == pytest.approx(60.971, abs=1e-3)


# --- against the source


def test_the_matrices_are_those_of_tops():
    pytest.importorskip("tops")
    if not BUILDER.exists():
        pytest.skip("the builder script is not beside these tests")
    spec = importlib.util.spec_from_file_location("build_new_england_grid", BUILDER)
    builder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(builder)
    with np.load(str(_new_england._folder().joinpath(_new_england.FILE))) as stored:
        assert builder.mismatch(dict(stored), builder.arrays()) == ""
    w = np.zeros(19)
    w[8] = 5.0
    largest, difference = builder.compare(np.zeros(9), w, limits=False, seconds=2.0)
    assert largest > 0.5  # mHz
    assert difference < 0.005 * largest
