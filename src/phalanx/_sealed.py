"""A file of arrays that is read back whole or not at all.

An archive of arrays behind a line that names the format and the archive's SHA-256: a file that was
cut short or changed is refused instead of read. It is written under a temporary name and renamed.
Nothing is pickled.
"""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from phalanx._files import write_atomically
from phalanx._outcome import InputError


def seal(path: Path, magic: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the arrays to `path`, in format `magic`."""
    archive = io.BytesIO()
    np.savez(archive, allow_pickle=False, **arrays)
    content = archive.getvalue()
    write_atomically(path, lambda to: _write(to, _head(magic, content) + content))


def unseal(path: Path, magic: str, what: str) -> dict[str, np.ndarray]:
    """The arrays in `path`.

    Args:
        path: of the file.
        magic: the format it must have.
        what: what it is, for the sentences.

    Raises:
        InputError: no such file, another format, or a checksum that does not fit.
    """
    if not path.is_file():
        raise InputError(f"there is no {what} {path}.")
    content = path.read_bytes()
    if not content.startswith(magic.encode()):
        raise InputError(f"{path} is not a {what} of this version ({magic}).")
    if not is_whole(path, magic):
        raise InputError(f"the {what} {path} is damaged: its checksum does not fit.")
    with np.load(io.BytesIO(content.partition(b"\n")[2]), allow_pickle=False) as archive:
        return dict(archive)


def is_whole(path: Path, magic: str) -> bool:
    """Whether there is such a file of this format whose checksum fits."""
    if not path.is_file():
        return False
    head, line, content = path.read_bytes().partition(b"\n")
    return head + line == _head(magic, content)


def _head(magic: str, content: bytes) -> bytes:
    return f"{magic} {hashlib.sha256(content).hexdigest()}\n".encode()


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
