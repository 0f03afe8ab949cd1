"""The command line, called in process, and scenario files to hand to it."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from phalanx.cli import main

# A small game, every value as it is written in TOML.
SMALL: dict[str, dict[str, str]] = {
    "": {"name": '"small"'},
    "system": {
        "kind": '"mean-field"',
        "A": "[[0.9, 0.2], [0.1, 0.8]]",
        "B": "[[1.0, 0.0], [0.2, 0.7]]",
    },
    "cost": {"Q": "1.0", "R": "1.0"},
    "noise": {"Sigma": "0.3", "Sigma_0": "1.0"},
    "game": {"horizon": "3", "agents": "5", "gamma": "4.0"},
}


class Answer(NamedTuple):
    """What a call of the command line gave back."""

    code: int
    out: str
    err: str

    @property
    def object(self) -> dict[str, Any]:
        """The one JSON object that standard output consists of."""
        assert self.out.count("\n") == 1
        return strict_json(self.out)


def strict_json(text: str) -> Any:
    """JSON proper: Python's reader also takes NaN and Infinity, which no other does."""

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def phalanx(capsys) -> Callable[..., Answer]:
    """`phalanx("design", "two-by-two", "--json")`."""

    def call(*words: Any) -> Answer:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Answer(code, *capsys.readouterr())

    return call


@pytest.fixture
def toml(tmp_path) -> Callable[..., Path]:
    """Write the small game, with some entries ("table.key") put in, changed or (None) left out."""

    def write(changes: dict[str, Any] | None = None, name: str = "bad.toml") -> Path:
        tables = copy.deepcopy(SMALL)
        for where, value in (changes or {}).items():
            table, _, key = where.rpartition(".")
            if key in tables and not table:
                del tables[key]
                if value is not None:
                    tables[""][key] = value
            elif value is None:
                del tables[table][key]
            else:
                tables.setdefault(table, {})[key] = value
        lines = [f"{key} = {value}" for key, value in tables.pop("").items()]
        for table, entries in tables.items():
            lines += [f"[{table}]", *(f"{key} = {value}" for key, value in entries.items())]
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write
