"""How the command line speaks: JSON alone on standard output, or words for people; progress beside it."""

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from phalanx.cli._interrupt import check


def print_json(content: dict[str, Any]) -> None:
    """One JSON object on standard output, nothing else, at full precision."""
    from phalanx._record import plain

    print(json.dumps(plain(content), ensure_ascii=False, allow_nan=False))  # noqa: T201


def say(text: str = "") -> None:
    """One line on standard output."""
    print(text)  # noqa: T201


def warn(text: str) -> None:
    """One line on standard error."""
    print(f"phalanx: {text}", file=sys.stderr)  # noqa: T201


def number(value: Any, digits: int = 6) -> str:
    """A number for people; a dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, float) and not math.isfinite(value):
        return "∞" if value > 0 else "–"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def table(title: str, header: list[str], rows: list[list[str]]) -> None:
    """A table on standard output, as wide as the terminal allows."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    out = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    need = 2
    for i, name in enumerate(header):
        # Words may go to the next line where the terminal is narrow; no name or number is broken.
        words = " ".join([name, *(row[i] for row in rows)]).split()
        width = max(len(word) for word in words)
        need += 1 + (width if i else max(len(name), *(len(row[0]) for row in rows), 0))
        justify = "right" if i else "left"
        out.add_column(name, justify=justify, overflow="fold", no_wrap=not i, min_width=width)
    for row in rows:
        out.add_row(*row)
    console = Console()
    # A table that is wider than the terminal is broken by the terminal, not cut by us.
    Console(width=max(console.width, need)).print(out)


@contextmanager
def progress(quiet: bool, steps: int) -> Iterator[Callable[[str], None]]:
    """A bar on standard error that advances with each call; nothing unless that is a terminal."""
    done = 0
    with share(quiet) as advance:

        def step(text: str) -> None:
            nonlocal done
            advance(done / steps, text)
            done += 1

        yield step


@contextmanager
def share(quiet: bool) -> Iterator[Callable[[float, str], None]]:
    """A bar on standard error that is set to a share of the work, 0 to 1, with the time left."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, text: check()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        BarColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1.0)

        def advance(done: float, text: str) -> None:
            check()
            bar.update(task, completed=done, description=text)

        yield advance
