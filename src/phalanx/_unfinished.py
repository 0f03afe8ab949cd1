"""What is not finished yet, so that a program that ends on the spot can take it back."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

_paths: list[Path] = []


@contextlib.contextmanager
def unfinished(paths: Iterable[Path]) -> Iterator[None]:
    """While it lasts, these files and folders are unfinished."""
    paths = list(paths)
    _paths.extend(paths)
    try:
        yield
    finally:
        for path in paths:
            _paths.remove(path)


def take_back() -> None:
    """Remove what is unfinished: files, and folders as long as they are empty."""
    for path in reversed(_paths):
        with contextlib.suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()
