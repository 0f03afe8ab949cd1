"""Files appear whole or not at all; what cannot be read is refused in a sentence."""

import pickle

import numpy as np
import pytest

from phalanx._files import read_table, writable_folder, write_atomically
from phalanx._outcome import InputError

TABLE = [[1.0, 2.0], [3.5, -4e-3]]


@pytest.mark.parametrize(
    "text",
    [
        "1,2\n3.5,-4e-3\n",
        "load,wind\n1,2\n3.5,-4e-3\n",
        "1;2\n3.5;-4e-3",
        "1 2\n3.5\t-4e-3\n",
        "\ufeff1,2\n\n3.5, -4e-3\n\n",
    ],
    ids=["commas", "header", "semicolons", "blanks", "byte order mark and empty lines"],
)
def test_a_csv_is_read(tmp_path, text):
    file = tmp_path / "table.csv"
    file.write_text(text, encoding="utf-8")
    np.testing.assert_array_equal(read_table(file, "load"), TABLE)


def test_an_npy_is_read_with_its_axes(tmp_path):
    np.save(tmp_path / "table.npy", np.ones((2, 3, 4), np.float32))
    assert read_table(tmp_path / "table.npy", "load").shape == (2, 3, 4)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", b"1,2\n3\n", "load: a.csv is ragged: line 2 has 1 entries and line 1 has 2"),
        ("a.csv", b"1,2\n3,much\n", "load: a.csv holds 'much' in line 2, which is not a number"),
        ("a.csv", b"", "load: a.csv is empty"),
        ("a.csv", b"load,wind\n", "load: a.csv is empty"),
        ("a.csv", b"1,nan\n", r"load \(a.csv\) must be finite, but it holds nan at index \(0, 1\)"),
        ("a.csv", b"\xff\xfe\x00\x80", "load: a.csv"),
        ("a.npy", b"not an array", "load: a.npy is not a readable .npy array of numbers"),
        ("a.npy", b"", "load: a.npy is not a readable .npy array of numbers"),
        ("a.txt", b"1", "load: a.txt must be a .csv or .npy file"),
    ],
)
def test_what_is_no_table_is_refused_in_a_sentence(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_table(tmp_path / name, "load")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"load: there is no file .*absent.csv"):
        read_table(tmp_path / "absent.csv", "load")


class Bomb:
    """Unpickling this would raise a KeyboardInterrupt."""

    def __reduce__(self):
        return (_explode, ())


def _explode():
    raise KeyboardInterrupt


def test_nothing_is_unpickled(tmp_path):
    file = tmp_path / "bomb.npy"
    with file.open("wb") as handle:
        np.lib.format.write_array_header_1_0(
            handle, {"descr": "|O", "fortran_order": False, "shape": (1,)}
        )
        pickle.dump(Bomb(), handle)
    with pytest.raises(InputError, match=r"bomb.npy is not a readable"):
        read_table(file, "load")


def test_a_file_is_written(tmp_path):
    write_atomically(tmp_path / "out.txt", lambda path: path.write_text("new"))
    assert (tmp_path / "out.txt").read_text() == "new"


def fails_halfway(path):
    path.write_text("half")
    raise RuntimeError("the disk is on fire")


def test_the_old_file_survives_a_writer_that_fails(tmp_path):
    (tmp_path / "out.txt").write_text("old")
    with pytest.raises(RuntimeError, match="on fire"):
        write_atomically(tmp_path / "out.txt", fails_halfway)
    assert (tmp_path / "out.txt").read_text() == "old"


def test_a_writer_that_fails_leaves_nothing_behind(tmp_path):
    with pytest.raises(RuntimeError, match="on fire"):
        write_atomically(tmp_path / "out.txt", fails_halfway)
    assert list(tmp_path.iterdir()) == []


def test_the_writers_path_keeps_the_suffix(tmp_path):
    """Writers choose their format by it."""
    suffixes = []
    write_atomically(tmp_path / "out.npz", lambda path: suffixes.append(path.suffix))
    assert suffixes == [".npz"]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    out = tmp_path / "out.txt"
    out.write_text("old")
    seen = []

    def write(path):
        path.write_text("new")
        seen.append(out.read_text())

    write_atomically(out, write)
    assert seen == ["old"]


def test_a_folder_is_made_with_its_parents(tmp_path):
    assert writable_folder(tmp_path / "a" / "b").is_dir()


def test_a_folder_that_cannot_be_made_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"output folder .*file cannot be written to .*--out"):
        writable_folder(tmp_path / "file")
