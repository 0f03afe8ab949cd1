"""The page of a study: a reproduction, a controller learned from costs, agents at play, or several such plays.

What was asked, what became of each claim, the figure, the numbers, and how to do it again.
"""

import math
import re
from dataclasses import replace
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import phalanx.report._curves as _curves
import phalanx.report._tables as _tables
import phalanx.report._theme as _theme
from phalanx._files import writable_folder, write_atomically
from phalanx._record import Record, plain
from phalanx.report._numbers import number

PAGE_FILE, FIGURES = "report.html", "figures"


def write(record: Record, folder: Path) -> Path:
    """Write the study's page and figure; see `phalanx.report.write`."""
    # As it would be read back: a page drawn now and one drawn from the saved record are the same.
    record = replace(record, summary=plain(record.summary))
    summary, name = record.summary, _file_name(record.name)
    drawn = None
    if summary["panels"]:
        drawn = _theme.render(_curves.picture(summary["title"], summary["panels"], record.series))
    page = _html(record, drawn)
    place = writable_folder(writable_folder(folder) / FIGURES)
    if drawn is not None:
        _save(place / f"{name}.svg", drawn.svg.encode())
        _save(place / f"{name}.png", drawn.png)
    return _save(folder / PAGE_FILE, page.encode())


def _file_name(name: str) -> str:
    """A record's name as a file's: nothing in it leads out of the folder."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-") or "figure"


def _save(path: Path, content: bytes) -> Path:
    def put(to: Path) -> None:
        to.write_bytes(content)

    write_atomically(path, put)
    return path


def _html(record: Record, drawn: _theme.Rendered | None) -> str:
    summary = record.summary
    figure = ""
    if drawn is not None:
        caption = f"<figcaption>{escape(drawn.picture.caption)}</figcaption>"
        figure = f'<figure id="figure-study">\n{drawn.inline}\n{caption}\n</figure>'
    sections = [
        ("claims", "What became of each claim", _claims(summary["claims"])),
        ("figure", "What it looks like", figure),
        ("numbers", "Numbers", "\n".join(_table(table) for table in summary["tables"])),
        ("settings", "Settings", _listed(summary["settings"])),
        ("notes", "What to keep in mind", _notes(summary["notes"])),
        ("again", "How to make this page again", _again(record)),
    ]
    sections = [section for section in sections if section[2]]
    claims = summary["claims"]
    kind, badge = _badge(record, claims)
    files = resources.files("phalanx.report")
    return Template(files.joinpath("page.html").read_text(encoding="utf-8")).substitute(
        title=escape(summary["title"]),
        name=escape(record.name),
        colours=_theme.css(),
        style=files.joinpath("style.css").read_text(encoding="utf-8"),
        kind=kind,
        badge=escape(badge),
        verdict=escape(summary["story"]),
        caveat="",
        tiles=_tiles(summary),
        contents="\n".join(f'<li><a href="#{id}">{escape(t)}</a></li>' for id, t, _ in sections),
        sections="\n".join(
            f'<section id="{id}" aria-labelledby="{id}-heading">\n<h2 id="{id}-heading">{escape(title)}</h2>\n{body}\n</section>'
            for id, title, body in sections
        ),
    )


def _badge(record: Record, claims: list[dict[str, Any]]) -> tuple[str, str]:
    """The style of the verdict, and its word."""
    if record.kind in ("learn", "online-run", "play"):
        outcome = record.summary["outcome"]
        good = outcome in ("converged", "solved")
        word = "played to the end" if outcome == "solved" else outcome.replace("_", " ")
        return ("good" if good else "open"), word
    decided = [claim["holds"] for claim in claims if claim["holds"] is not None]
    kind = "good" if decided and all(decided) else "open"
    return kind, f"{sum(decided)} of {len(claims)} claims hold"


def _tiles(summary: dict[str, Any]) -> str:
    names = {
        "gamma": "level γ",
        "nash_gap": "distance from Nash",
        "rollouts": "rollouts",
        "attenuation": "level it guarantees",
        "rounds_played": "rounds",
        "mean_cost": "mean cost of a round",
        "spectral_radius_joint": "spectral radius, all gains",
    }
    tiles = [
        f"<div><dt>{escape(label)}</dt><dd>{escape(_cell(summary[key]))}</dd></div>"
        for key, label in names.items()
        if key in summary
    ]
    tiles += [
        f"<div><dt>{escape(label)}</dt><dd>{escape(_cell(value))}</dd></div>"
        for label, value in summary.get("tiles", [])
    ]
    return "\n".join(tiles)


def _claims(claims: list[dict[str, Any]]) -> str:
    if not claims:
        return ""
    words = ("holds", "does not hold", "undecided")
    rows = [
        [
            f"{escape(claim['text'])} <small>({escape(claim['source'])})</small>",
            _tables.mark(claim["holds"], words),
            escape(claim["measured"]),
        ]
        for claim in claims
    ]
    return _tables.table("Claims", ["claim", "verdict", "measured"], rows, "words")


def _table(table: dict[str, Any]) -> str:
    rows = [[escape(_cell(cell)) for cell in row] for row in table["rows"]]
    header = [str(name) for name in table["header"]]
    return _tables.table(table["title"], header, rows, table.get("kind", "numbers"))


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value) if math.isfinite(value) else "–"
    return str(value)


def _listed(items: dict[str, Any]) -> str:
    rows = "".join(
        f"<dt>{escape(str(name))}</dt><dd>{escape(_setting(value))}</dd>"
        for name, value in items.items()
    )
    return f"<dl>{rows}</dl>" if rows else ""


def _setting(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_setting(part) for part in value) + "]"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_setting(part)}" for name, part in value.items())
    return _cell(value)


def _notes(notes: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in notes)}</ul>" if notes else ""


def _again(record: Record) -> str:
    made = {key: value for key, value in record.provenance.items() if value is not None}
    command = made.pop("command", None)
    parts = [f"<pre><code>{escape(str(command))}</code></pre>"] if command else []
    parts.append(_listed(made))
    parts.append(
        "<p>This page was drawn from the saved record beside it; <code>phalanx report DIR</code> draws it again.</p>"
    )
    return "\n".join(part for part in parts if part)
