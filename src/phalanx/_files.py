"""Files in and out: tables of numbers are read with sentences, everything is written atomically.

A file appears under its name only when it is whole: it is written beside its place under a
temporary name and renamed. Nothing is ever unpickled or evaluated.
"""

import contextlib
import glob
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from phalanx._outcome import InputError
from phalanx._types import array
from phalanx._unfinished import unfinished


def read_table(path: Path, what: str, finite: bool = True) -> np.ndarray:
    """Numbers from a `.csv` (comma, semicolon or blank separated; one header line allowed) or `.npy`.

    Args:
        path: of the file.
        what: it is, for the sentence.
        finite: refuse NaN and infinity; else the caller does, who may know what a row stands for.

    Raises:
        InputError: a missing file, another type of file, or something that is not a number.
    """
    if not path.is_file():
        raise InputError(f"{what}: there is no file {path}.")
    if path.suffix == ".npy":
        try:
            return array(f"{what} ({path.name})", np.load(path, allow_pickle=False), finite)
        except (ValueError, EOFError, OSError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{what}: {path.name} is not a readable .npy array of numbers."
            ) from error
    if path.suffix != ".csv":
        raise InputError(f"{what}: {path.name} must be a .csv or .npy file.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"{what}: {path.name} is not a readable text file.") from error
    if ";" in text and "," in text:
        raise InputError(
            f"{what}: {path.name} has both ';' and ','; separate columns with one of them and write decimals with a point."
        )
    lines = [
        (number, line.replace(";", ","))
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip()
    ]
    rows = [
        (number, [cell.strip() for cell in (line.split(",") if "," in line else line.split())])
        for number, line in lines
    ]
    if rows and not any(_is_number(cell) for cell in rows[0][1]):
        rows = rows[1:]
    if not rows:
        raise InputError(f"{what}: {path.name} is empty.")
    first, columns = rows[0][0], len(rows[0][1])
    for number, row in rows:
        if len(row) != columns:
            raise InputError(
                f"{what}: {path.name} is ragged: line {number} has {len(row)} entries and line {first} has {columns}."
            )
        for cell in row:
            if not _is_number(cell):
                raise InputError(
                    f"{what}: {path.name} holds {cell!r} in line {number}, which is not a number."
                )
    return array(
        f"{what} ({path.name})", [[float(cell) for cell in row] for _, row in rows], finite
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def write_all_atomically(writers: dict[Path, Callable[[Path], None]]) -> None:
    """Write several files that belong together: each is whole before the first one is renamed.

    Args:
        writers: for each path, what writes the whole file to the path it is handed. If any of them
            fails, every older file stays as it was.
    """
    with contextlib.ExitStack() as stack:
        temporary: dict[Path, Path] = {}
        for path, write in writers.items():
            handle, name = tempfile.mkstemp(
                prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent
            )
            temporary[path] = Path(name)
            stack.enter_context(unfinished([temporary[path]]))
            stack.callback(temporary[path].unlink, missing_ok=True)
            os.close(handle)
            write(temporary[path])
            temporary[path].chmod(0o644)
        for path, whole in temporary.items():
            whole.replace(path)


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call `write` on a temporary path beside `path`, then rename it to `path`.

    Args:
        path: where the file is to appear; an older file there stays until the new one is whole.
        write: writes the whole file to the path it is handed.
    """
    write_all_atomically({path: write})


def sweep(path: Path) -> None:
    """Remove what a program that was killed while writing `path` left beside it."""
    for left in path.parent.glob(f".{glob.escape(path.stem)}-????????{glob.escape(path.suffix)}"):
        with contextlib.suppress(OSError):
            left.unlink()


def writable_folder(path: Path) -> Path:
    """The folder, made if need be.

    Raises:
        InputError: a folder that cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"the output folder {path} cannot be written to ({reason}); choose another with --out."
        ) from error
    return path


@contextlib.contextmanager
def folder_for_results(path: Path) -> Iterator[Path]:
    """The folder, made if need be; where the work inside fails, what was made for it is taken back.

    Raises:
        InputError: a folder that cannot be made or written to.
    """
    made = [each for each in (*reversed(path.parents), path) if not each.exists()]
    with unfinished(made):
        try:
            yield writable_folder(path)
        except BaseException:
            with contextlib.suppress(OSError):  # as long as they are empty
                for each in reversed(made):
                    each.rmdir()
            raise
