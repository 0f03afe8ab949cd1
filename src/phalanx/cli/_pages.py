"""What commands that leave a record have in common: its page, and how it was made."""

from pathlib import Path
from typing import Any

import phalanx


def page_of(record: Any, folder: Path) -> Path:
    """Write the page of a record; a record that lacks something is said to."""
    from phalanx._outcome import InputError, PhalanxError
    from phalanx.report import write

    try:
        return write(record, folder)
    except (PhalanxError, OSError):
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"the record for {folder} does not hold what a page needs ({type(error).__name__}: {error}); run it again."
        ) from error


def provenance(
    command: str, scenario: str, seed: int, precision: str, gamma: Any = None, agents: Any = None
) -> dict[str, Any]:
    words = ["phalanx", command, Path(scenario).name]
    words += [] if gamma is None else ["--gamma", str(gamma)]
    words += [] if agents is None else ["--agents", str(agents)]
    words += ["--seed", str(seed)] + (["--float32"] if precision == "float32" else [])
    return {
        "version": phalanx.__version__,
        "command": " ".join(words),
        "seed": seed,
        "precision": precision,
    }
