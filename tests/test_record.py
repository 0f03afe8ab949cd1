"""A saved run comes back as it was; damage is refused in a sentence; nothing is half written."""

import json

import numpy as np
import pytest
import xarray

from phalanx import _record
from phalanx._outcome import InputError
from phalanx._record import JSON_FILE, SERIES_FILE, Record, plain


@pytest.fixture
def series() -> xarray.Dataset:
    rng = np.random.default_rng(0)
    return xarray.Dataset(
        {"x_bar": (("time", "state"), rng.normal(size=(4, 2)))},
        coords={"time": np.arange(4), "state": ["gap (m)", "λ"]},
        attrs={"cost": 0.1},
    )


@pytest.fixture
def record(series) -> Record:
    summary = {"gamma": 0.1 + 0.2, "gains": [[1.0, 2.0]], "label": "γ", "stage": None, "ok": True}
    return Record("fleet", "mine", summary, series, {"seed": 3, "version": "0"})


# --- round trip --------------------------------------------------------------------------------


def test_numbers_and_words_come_back(record, tmp_path):
    loaded = Record.load(record.save(tmp_path))
    for name in ("kind", "name", "summary", "provenance"):
        assert getattr(loaded, name) == getattr(record, name)


def test_series_come_back_identical(record, series, tmp_path):
    xarray.testing.assert_identical(Record.load(record.save(tmp_path)).series, series)


def test_a_record_needs_no_series(tmp_path):
    loaded = Record.load(Record("design", "mine", {"gamma": 1.0}).save(tmp_path))
    assert loaded.series is None
    assert not (tmp_path / SERIES_FILE).exists()


def test_loading_leaves_the_files_free_to_be_replaced(record, tmp_path):
    record.save(tmp_path)
    loaded = Record.load(tmp_path)
    record.save(tmp_path)
    assert loaded.series["x_bar"].shape == (4, 2)


def test_saving_twice_gives_the_same_bytes(record, tmp_path):
    first = (record.save(tmp_path) / JSON_FILE).read_bytes()
    assert (record.save(tmp_path) / JSON_FILE).read_bytes() == first


def test_every_digit_is_kept(tmp_path):
    number = np.nextafter(1.0, 2.0)
    loaded = Record.load(Record("design", "mine", {"x": number}).save(tmp_path))
    assert loaded.summary["x"] == number


def test_the_file_is_json_for_every_reader(tmp_path):
    """Not a number and infinity, which JSON does not have, become null."""

    def refuse(token):
        raise AssertionError(token)

    summary = {"a": np.inf, "b": np.array([1.0, np.nan]), "c": -np.inf, "d": np.float32(0.5)}
    Record("design", "mine", summary).save(tmp_path)
    text = (tmp_path / JSON_FILE).read_text(encoding="utf-8")
    found = json.loads(text, parse_constant=refuse)["summary"]
    assert found == {"a": None, "b": [1.0, None], "c": None, "d": 0.5}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.bool_(True), True),
        (np.int64(3), 3),
        (np.float64(0.1), 0.1),
        (float("nan"), None),
        ((1, (2.0, np.inf)), [1, [2.0, None]]),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        ({1: np.ones(1)}, {"1": [1.0]}),
        ("γ", "γ"),
        (None, None),
    ],
)
def test_plain_is_jsons_own_types(value, expected):
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)


# --- damage ------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["absent", ""])
def test_a_folder_without_a_record_says_how_to_make_one(tmp_path, folder):
    with pytest.raises(
        InputError, match=r"holds no record \(record.json is missing\).*phalanx run"
    ):
        Record.load(tmp_path / folder)


DAMAGE = {
    "cut short": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "a list": lambda text: "[]",
    "a number": lambda text: "3",
    "without a summary": lambda text: text.replace('"summary"', '"summery"'),
    "without a format": lambda text: text.replace('"format"', '"fromat"'),
    "without a kind": lambda text: text.replace('"kind"', '"kin"'),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused(record, tmp_path, damage):
    path = record.save(tmp_path) / JSON_FILE
    path.write_text(DAMAGE[damage](path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(InputError, match=r"the record in .* is damaged \(.*run it again"):
        Record.load(tmp_path)


def test_bytes_that_are_no_text_are_refused(record, tmp_path):
    (record.save(tmp_path) / JSON_FILE).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is damaged"):
        Record.load(tmp_path)


@pytest.mark.parametrize("content", [None, b"", b"not HDF5"])
def test_damaged_series_are_refused(record, tmp_path, content):
    path = record.save(tmp_path) / SERIES_FILE
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="is damaged"):
        Record.load(tmp_path)


@pytest.mark.parametrize("number", [0, 2, "1", None])
def test_another_format_is_refused(record, tmp_path, number):
    path = record.save(tmp_path) / JSON_FILE
    text = path.read_text(encoding="utf-8").replace(
        '"format": 1', f'"format": {json.dumps(number)}'
    )
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"has format .*, but this version reads format 1"):
        Record.load(tmp_path)


# --- half written ------------------------------------------------------------------------------


def fail(*_, **__):
    raise OSError(28, "No space left on device")


def contents(folder) -> dict:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def saved(record, tmp_path):
    """A folder with an older record in it."""
    record.save(tmp_path)
    return tmp_path


def test_the_old_record_survives_series_that_cannot_be_written(saved, record, monkeypatch):
    before = contents(saved)
    monkeypatch.setattr(xarray.Dataset, "to_netcdf", fail)
    with pytest.raises(OSError, match="No space left"):
        record.save(saved)
    assert contents(saved) == before


def test_the_old_numbers_survive_numbers_that_cannot_be_written(saved, record, monkeypatch):
    before = contents(saved)[JSON_FILE]
    monkeypatch.setattr(_record, "_write_text", fail)
    with pytest.raises(OSError, match="No space left"):
        record.save(saved)
    assert contents(saved)[JSON_FILE] == before


def test_a_summary_that_is_not_json_leaves_the_whole_old_record(saved, series):
    before = contents(saved)
    with pytest.raises(TypeError):
        Record("fleet", "mine", {"x": object()}, 2 * series).save(saved)
    assert contents(saved) == before


def test_nothing_else_is_left_in_the_folder(saved):
    assert sorted(contents(saved)) == [JSON_FILE, SERIES_FILE]
