"""The shipped slice of SimBench is whole, says what the source says, and refuses to be damaged."""

import hashlib
import shutil

import numpy as np
import pytest

from phalanx._outcome import InputError
from phalanx.scenarios import _simbench
from phalanx.scenarios._simbench import forecast_error, load

STEPS = 366 * 96
LOADS = ["H0-A", "H0-B", "H0-C", "H0-G", "H0-H", "H0-L"]
GRIDS = ["lv_rural1_pload", "lv_semiurb4_pload", "lv_urban6_pload"]
SOLAR = ["PV1", "PV3", "PV5", "lv_rural1_pv"]
WIND = ["WP4", "WP7"]

# (series, row, value): read from LoadProfile.csv and RESProfile.csv of the simbench 1.6.3 wheel,
# complete data set 1-complete_data-mixed-all-0-sw; row counts the data lines from 0.
RAW = [
    ("H0-A", 0, 0.276685),  # 01.01.2016 00:00
    ("H0-A", 26544, 0.102528),  # 03.10.2016 13:00
    ("H0-L", 35135, 0.022936),  # 31.12.2016 23:45
    ("H0-H", 20000, 0.754286),  # 27.07.2016 09:00
    ("lv_rural1_pload", 1, 0.345769),  # 01.01.2016 00:15
    ("lv_semiurb4_pload", 0, 0.175225),  # 01.01.2016 00:00
    ("lv_urban6_pload", 29092, 0.056412),  # 30.10.2016 02:00
    ("PV1", 14640, 0.371636469),  # 01.06.2016 13:00
    ("PV5", 17568, 0),  # 02.07.2016 01:00
    ("lv_rural1_pv", 14640, 0.413496),  # 01.06.2016 13:00
    ("WP4", 0, 0.980905615),  # 01.01.2016 00:00
    ("WP7", 1, 0.991022535),  # 01.01.2016 00:15
]


def test_checksum_is_listed_and_named_in_the_notice():
    digest = hashlib.sha256(_simbench._folder().joinpath("simbench_2016.npz").read_bytes())
    sums = _simbench._folder().joinpath("SHA256SUMS").read_text()
    assert sums == f"{digest.hexdigest()}  simbench_2016.npz\n"
    notice = _simbench._folder().joinpath("NOTICE.md").read_text()
    assert digest.hexdigest() in notice
    assert "opendatacommons.org/licenses/odbl/1.0" in notice


def test_shapes_and_frozen_arrays():
    year = load()
    assert list(year.series) == LOADS + GRIDS + SOLAR + WIND
    for values in year.series.values():
        assert values.shape == (STEPS,)
        assert values.dtype == np.float64
        assert not values.flags.writeable
    assert year.start == np.datetime64("2016-01-01T00:00")
    assert year.step_minutes == 15
    assert load() is year


def test_ranges():
    series = load().series
    for name, values in series.items():
        assert np.isfinite(values).all()
        assert values.min() >= 0.0, name
        assert values.max() <= 1.0 + 1e-12, name
    for name in LOADS:  # a household profile is scaled to its own annual peak
        assert series[name].max() == pytest.approx(1.0, abs=1e-12)
    for name in SOLAR:  # exactly dark at night, about 600 to 700 full-load hours
        assert (series[name].reshape(-1, 96)[:, :12] == 0.0).all()
        assert 600 < series[name].mean() * 8784 < 720


@pytest.mark.parametrize(("name", "row", "value"), RAW)
def test_values_of_the_source(name, row, value):
    assert load().series[name][row] == pytest.approx(value, abs=1e-5)


def test_rows_are_even_in_true_time():
    # Across the change of the clock on 27 March the sun keeps its hour (row within the day), while
    # the profile H0-H, tied to opening hours, comes an hour (4 rows) earlier.
    change = load().row("2016-03-27") // 96

    def lag(name):
        days = load().series[name].reshape(-1, 96)
        before, after = days[change - 14 : change].mean(0), days[change + 1 : change + 15].mean(0)
        return max(range(-8, 9), key=lambda s: np.corrcoef(np.roll(before, s), after)[0, 1])

    assert abs(lag("PV5")) <= 1
    assert lag("H0-H") == -4


def test_row_of_an_instant():
    year = load()
    assert year.row("2016-01-01T00:15") == 1
    assert year.row("2016-12-31T23:59") == STEPS - 1
    assert year.row("2016-10-03") == 276 * 96
    for outside in ("2015-12-31T23:45", "2017-01-01"):
        with pytest.raises(InputError, match="stamp"):
            year.row(outside)


def test_forecast_error_by_a_second_route():
    values = load().series["H0-A"]
    days = values.reshape(-1, 96)
    second = np.diff(days, axis=0).ravel()
    first = forecast_error(values)
    assert first.shape == (STEPS - 96,)
    np.testing.assert_array_equal(first, second)
    pair = np.stack([values, load().series["PV1"]], axis=1)
    np.testing.assert_array_equal(forecast_error(pair)[:, 0], first)


def test_forecast_error_of_a_daily_rhythm_is_zero():
    rhythm = np.tile(np.sin(np.arange(24.0)), 5)
    assert not forecast_error(rhythm, steps_per_day=24).any()


@pytest.mark.parametrize(("values", "steps"), [(np.ones(96), 96), (np.ones(4), 0), (1.0, 1)])
def test_forecast_error_refuses_bad_input(values, steps):
    with pytest.raises(InputError):
        forecast_error(values, steps)


def test_corrupted_file_is_refused(tmp_path, monkeypatch):
    for name in ("simbench_2016.npz", "SHA256SUMS"):
        shutil.copy(str(_simbench._folder().joinpath(name)), tmp_path / name)
    monkeypatch.setattr(_simbench, "_folder", lambda: tmp_path)
    assert len(load.__wrapped__().series) == 15  # the copy is sound before the damage
    blob = bytearray((tmp_path / "simbench_2016.npz").read_bytes())
    blob[len(blob) // 2] ^= 1
    (tmp_path / "simbench_2016.npz").write_bytes(bytes(blob))
    with pytest.raises(InputError, match=r"simbench_2016\.npz has sha256"):
        load.__wrapped__()
