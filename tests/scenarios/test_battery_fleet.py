"""battery-fleet: the model is what its page says, and its data are what SimBench recorded."""

import numpy as np
import pytest

import phalanx as px
from phalanx.scenarios._simbench import load

DAY = 96
HOMES = ("H0-A", "H0-B", "H0-C", "H0-G", "H0-L")
AREA = ("lv_rural1_pload", "lv_semiurb4_pload", "lv_urban6_pload")
PANELS = ("PV1", "PV3", "PV5", "lv_rural1_pv")


@pytest.fixture(scope="module")
def fleet() -> px.Scenario:
    return px.scenario("battery-fleet")


@pytest.fixture(scope="module")
def area() -> np.ndarray:
    """Residual load per home in kW, every quarter hour of 2016."""
    series = load().series
    demand = sum(series[name] / series[name].mean() for name in AREA) / 3 * 0.5
    return demand - sum(series[name] for name in PANELS) / 4 * 2.5


@pytest.fixture(scope="module")
def homes() -> np.ndarray:
    """Five households' loads in kW."""
    return np.stack([3.0 * load().series[name] for name in HOMES], axis=1)


def error(power: np.ndarray, row: int) -> np.ndarray:
    """Energy in kWh by which the quarter hour `row` differs from yesterday's."""
    return 0.25 * (power[row] - power[row - DAY])


# --- the model ---------------------------------------------------------------------------------


def test_the_plants_equations(fleet):
    """e' = λe + hp − φd, p' = p + u, g' = λ_g g + h p̄ + (1−φ) d̄, played by three homes."""
    rng = np.random.default_rng(0)
    e, p, g = rng.normal(size=(3, 3))
    u, d = rng.normal(size=(2, 3))
    s = fleet.game.system
    x = np.stack([e, p, g], axis=1)
    found = (
        x @ s.A.T
        + x.mean(0) @ s.A_bar.T
        + u[:, None] @ s.B.T
        + u.mean() * s.B_bar[:, 0]
        + d[:, None] @ s.D.T
        + d.mean() * s.D_bar[:, 0]
    )
    # Self-discharge of 2 % a month, and trading back to half full with a time constant of 6 h.
    keep = 0.98 ** (1 / (30.4375 * DAY)) * np.exp(-0.25 / 6)
    np.testing.assert_allclose(found[:, 0], keep * e + 0.25 * p - 0.3 * d, rtol=1e-13)
    np.testing.assert_allclose(found[:, 1], p + u, rtol=1e-13)
    settled = np.exp(-0.25 / 4) * g
    np.testing.assert_allclose(
        found[:, 2], settled + 0.25 * p.mean() + 0.7 * d.mean(), rtol=1e-13, atol=1e-15
    )


def test_only_means_drive_the_imbalance(fleet):
    s = fleet.game.system
    assert not s.A[2, :2].any()
    assert not s.B[2].any()
    assert not s.D[2].any()
    assert s.A_bar[2, 1] > 0
    assert s.D_bar[2] > 0


def test_the_agents_meet_in_the_imbalance_alone(fleet):
    s = fleet.game.system
    assert not s.A_bar[:2].any()
    assert not s.B_bar.any()
    assert not s.D_bar[:2].any()


def test_weights_are_one_over_the_tolerable_size_squared(fleet):
    c = fleet.game.cost
    np.testing.assert_allclose(c.Q, np.diag([2.0**-2, 2.0**-2, 0.0]))
    np.testing.assert_allclose(c.Q_bar, np.diag([2.0**-2, 2.0**-2, 0.1**-2]))
    np.testing.assert_allclose(c.R, [[1.0]])
    np.testing.assert_allclose(c.R_bar, [[1.0]])


def test_a_thousand_homes_play_a_day_of_quarter_hours(fleet):
    assert (fleet.n_agents, fleet.game.horizon, fleet.recorded.step_minutes) == (1000, DAY, 15)


def test_limits_are_those_of_the_battery_and_the_account_has_none(fleet):
    low, high = fleet.limits
    np.testing.assert_allclose(high, [8.9 / 2, 5.15, np.inf])
    np.testing.assert_array_equal(low, -high)


def test_every_entry_has_a_name_with_its_unit(fleet):
    s = fleet.game.system
    names = [fleet.state_names, fleet.control_names, fleet.disturbance_names]
    assert [len(n) for n in names] == [s.state_size, s.control_size, s.disturbance_size]
    units = [name[name.index("(") + 1 :] for group in names for name in group]
    assert [unit.partition(" ")[0].rstrip(")") for unit in units] == [
        "kWh",
        "kW",
        "kWh",
        "kW",
        "kWh",
    ]


def test_the_key_state_is_the_imbalance(fleet):
    assert fleet.state_names[fleet.key_state].startswith("imbalance")


# --- where the numbers come from ---------------------------------------------------------------


def test_every_parameter_has_a_value_and_a_source(fleet):
    assert len(fleet.parameters) >= 10
    for parameter in fleet.parameters:
        assert parameter.name
        assert any(letter.isdigit() for letter in parameter.value)
        assert parameter.source


def test_what_is_chosen_says_so(fleet):
    sources = {p.name: p.source for p in fleet.parameters}
    assert "chosen" in sources["tolerable sizes"]
    assert "chosen" in sources["spread of stored energy at midnight"]
    assert "register" in sources["usable capacity"]


def test_the_printed_parameters_are_those_of_the_model(fleet):
    printed = {
        p.name: float(p.value.split()[0].rstrip("%,"))
        for p in fleet.parameters
        if p.value[0].isdigit()
    }
    assert printed["usable capacity"] == pytest.approx(2 * fleet.limits[1][0])
    assert printed["power limit"] == fleet.limits[1][1]
    assert printed["φ, own error covered at once"] == -fleet.game.system.D[0, 0]
    own, common = (printed[f"σ of {whose} error"] for whose in ("a home's own", "the common"))
    assert own**2 * 0.3**2 == pytest.approx(fleet.game.noise.Sigma[0, 0], rel=1e-3)
    assert common**2 * 0.7**2 == pytest.approx(fleet.game.noise.Sigma_bar[2, 2], rel=1e-3)


def test_data_and_licence_are_named(fleet):
    assert "SimBench" in fleet.data
    assert "ODbL" in fleet.licence


def test_what_the_model_leaves_out_is_said(fleet):
    notes = " ".join(fleet.notes)
    assert "losses" in notes
    assert "Limits" in notes


# --- calibration -------------------------------------------------------------------------------


def test_covariances_come_from_the_days_before_october(fleet, area, homes):
    rows = range(DAY, load().row("2016-10-01"))
    common = np.std([error(area, row) for row in rows])
    own = np.sqrt(np.mean(np.square([error(homes, row) for row in rows])))
    D = np.array([[-0.3], [0.0], [0.0]])
    both = np.array([[-0.3], [0.0], [0.7]])
    np.testing.assert_allclose(fleet.game.noise.Sigma, own**2 * D @ D.T, rtol=1e-10)
    np.testing.assert_allclose(fleet.game.noise.Sigma_bar, common**2 * both @ both.T, rtol=1e-10)


def test_the_initial_spread_is_of_stored_energy_alone(fleet):
    np.testing.assert_array_equal(fleet.game.noise.Sigma_0, np.diag([1.0, 0.0, 0.0]))
    assert not fleet.game.noise.Sigma_bar_0.any()


# --- the trial week ----------------------------------------------------------------------------


def test_the_trial_week_lies_after_the_calibration(fleet):
    assert np.datetime64(fleet.recorded.start) >= np.datetime64("2016-10-01")
    assert np.datetime64(fleet.recorded.start).astype(object).weekday() == 0


def test_the_trial_is_seven_whole_days(fleet):
    world = fleet.recorded
    assert (world.episodes, len(world.common), len(world.idiosyncratic)) == (7, 7 * DAY, 7 * DAY)


def test_the_common_error_is_the_areas_as_it_was(fleet, area):
    first = load().row(fleet.recorded.start)
    expected = [error(area, first + k) for k in range(7 * DAY)]
    np.testing.assert_allclose(fleet.recorded.common[:, 0], expected, rtol=0, atol=1e-14)


def test_own_errors_are_recorded_weeks_of_households_less_what_they_share(fleet, homes):
    first, week = load().row(fleet.recorded.start), 7 * DAY
    weeks = (len(homes) - first) // week
    expected = np.stack(
        [
            [error(homes[:, home], first + w * week + k) for k in range(week)]
            for w in range(weeks)
            for home in range(len(HOMES))
        ],
        axis=1,
    )
    expected -= expected.mean(axis=1, keepdims=True)
    assert fleet.recorded.idiosyncratic.shape == (week, 1, weeks * len(HOMES))
    np.testing.assert_allclose(fleet.recorded.idiosyncratic[:, 0], expected, rtol=0, atol=1e-14)


def test_own_errors_add_up_to_nothing_over_the_homes(fleet):
    sums = fleet.recorded.idiosyncratic.mean(axis=2)
    assert np.abs(sums).max() < 1e-14


def test_a_plausible_size_of_errors(fleet):
    """A home errs by some tenths of a kWh in a quarter hour, the area by less."""
    own = fleet.recorded.idiosyncratic.std()
    common = fleet.recorded.common.std()
    assert 0.02 < common < own < 0.5
