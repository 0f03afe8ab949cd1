"""One door for every kind of record."""

from pathlib import Path

from phalanx._record import Record
from phalanx.report import _page, _study


def write(record: Record, folder: Path) -> Path:
    """Write `report.html` and its figures.

    The page holds everything it shows and asks nothing of a network. The figures are written beside
    it too, as SVG and as PNG at twice a screen's resolution, for documents and slides.

    Args:
        record: of kind "fleet", "learn", "online-run", "play" or "reproduction".
        folder: where to; made if need be.

    Returns:
        The path of the page.

    Raises:
        InputError: a record of another kind or with something missing, or a folder that cannot be
            written to.
    """
    if record.kind in ("learn", "online-run", "play", "reproduction"):
        return _study.write(record, folder)
    return _page.write(record, folder)
