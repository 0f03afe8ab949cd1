"""`python -m benchmarks [NAME …] [--record]`: time everything, or the suites named, and print a table.

With `--record` the table is written to docs/benchmarks_table.md, where the docs show it.
"""

import importlib
import platform
import sys
from pathlib import Path

from benchmarks._machine import measure

SUITES = ("riccati", "levels", "population", "learning", "online", "commands")
TABLE = Path(__file__).parent.parent / "docs" / "benchmarks_table.md"


def main(arguments: list[str]) -> None:
    record = "--record" in arguments
    chosen = [name for name in arguments if name != "--record"] or list(SUITES)
    unknown = [name for name in chosen if name not in SUITES]
    if unknown:
        sys.exit(f"unknown suite {unknown[0]!r}; there are {', '.join(SUITES)}.")
    machine = measure()
    import jax

    import phalanx

    phalanx.use_cores()

    device = "" if jax.default_backend() == "cpu" else f", {jax.devices()[0].device_kind}"
    lines = [
        f"{machine.cores} cores, {platform.machine()}{device}; Python {platform.python_version()}, JAX {jax.__version__}. "
        f"Measured in the same run: {machine.flops / 1e9:.0f} GFLOP/s (float64 matrix product, one thread), "
        f"{machine.bandwidth / 1e9:.0f} GB/s (copy, one thread).",
        "",
        "| what | ours, median | peer, median | peer / ours | target | against the limit |",
        "| --- | ---: | ---: | ---: | --- | --- |",
    ]
    print("\n".join(lines), flush=True)
    for name in chosen:
        for r in importlib.import_module(f"benchmarks.{name}").run(machine):
            peer = "–" if r.peer is None else duration(r.peer)
            ratio = "–" if r.ratio is None else f"{r.ratio:.2f}"
            line = f"| {r.name} | {duration(r.ours)} | {peer} | {ratio} | {r.target} | {r.floor} |"
            lines.append(line)
            print(line, flush=True)
    if record:
        TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


main(sys.argv[1:])
