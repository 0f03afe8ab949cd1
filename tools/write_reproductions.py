"""Write docs/reproductions_results.md and its figures from saved records.

    phalanx reproduce NAME --out runs/reproductions/NAME      for each name, in full
    python tools/write_reproductions.py runs/reproductions

Nothing is computed here: every number comes from a record.
"""

import sys
from pathlib import Path

from phalanx._record import Record
from phalanx.experiments.reproduce import REPRODUCTIONS
from phalanx.report import write

DOCS = Path(__file__).parents[1] / "docs"
IMAGES = DOCS / "images" / "reproductions"
MARKS = {True: "holds", False: "**does not hold**", None: "undecided"}


def main(records: Path) -> None:
    """All of them, in the order of the list."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    parts = []
    for name in REPRODUCTIONS:
        folder = records / name
        if not (folder / "record.json").is_file():
            print(f"no record of {name} in {folder}: left out")
            continue
        record = Record.load(folder)
        write(record, folder)
        figure = folder / "figures" / f"{name}.png"
        if figure.is_file():
            (IMAGES / f"{name}.png").write_bytes(figure.read_bytes())
        parts.append(section(name, record, figure.is_file()))
    (DOCS / "reproductions_results.md").write_text("\n".join(parts), encoding="utf-8")


def section(name: str, record: Record, figure: bool) -> str:
    """One reproduction: claims, tables and notes under its figure."""
    summary = record.summary
    lines = [f"## {name}: {summary['title']}", "", f"*{REPRODUCTIONS[name].source}.*", ""]
    command = record.provenance.get("command", f"phalanx reproduce {name} --seed 0")
    lines += [summary["story"], "", f"```console\n$ {command}\n```", ""]
    if figure:
        titles = "; ".join(panel["title"].rstrip(".") for panel in summary["panels"])
        lines += [f"![{titles}](images/reproductions/{name}.png)", ""]
    lines += ["| claim | verdict | measured |", "| --- | --- | --- |"]
    for claim in summary["claims"]:
        text = f"{claim['text']} ({claim['source']})"
        lines.append(f"| {cell(text)} | {MARKS[claim['holds']]} | {cell(claim['measured'])} |")
    for table in summary["tables"]:
        lines += ["", f"**{table['title']}**", ""]
        lines.append("| " + " | ".join(cell(word) for word in table["header"]) + " |")
        lines.append("| --- |" + " ---: |" * (len(table["header"]) - 1))
        lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in table["rows"]]
    lines += ["", *(f"- {note}" for note in summary["notes"]), ""]
    return "\n".join(lines)


def cell(value: object) -> str:
    """A table cell: numbers to four digits, no bar that would end it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
