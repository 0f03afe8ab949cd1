"""The command line from a cold shell, a whole process each time."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks._machine import Machine
from benchmarks._timing import Race, race


def phalanx(*arguments: str, cache: str | None = None) -> None:
    environment = dict(os.environ)
    if cache is not None:
        environment |= {
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
    command = [sys.executable, "-c", "from phalanx.cli import run; run()", *arguments]
    subprocess.run(command, check=True, capture_output=True, env=environment)


def run(machine: Machine) -> list[Race]:
    with tempfile.TemporaryDirectory() as folder:
        out, cache = str(Path(folder) / "out"), str(Path(folder) / "cache")
        return [
            race("phalanx --help", lambda: phalanx("--help"), None, target="< 0.5 s"),
            race(
                "phalanx design two-by-two (peer: with JAX's persistent compilation cache)",
                lambda: phalanx("design", "two-by-two"),
                lambda: phalanx("design", "two-by-two", cache=cache),
                target="< 4 s",
                floor=lambda s: "no JAX is loaded, so the cache changes nothing",
            ),
            race(
                "phalanx run battery-fleet (peer: with JAX's persistent compilation cache)",
                lambda: phalanx("run", "battery-fleet", "--out", out),
                lambda: phalanx("run", "battery-fleet", "--out", out, cache=cache),
                target="–",
                pairs=3,
                floor=lambda s: "a ratio below 1: what the cache saves",
            ),
        ]
