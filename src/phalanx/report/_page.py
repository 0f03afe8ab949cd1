"""The page: sections in the order in which a reader asks.

Is it certified? What is this? What exactly is promised? How do the others do? What did it look like?
Can I trust it? Where do the numbers come from, what is left out, and how do I make it again? Each
section is a function from facts to HTML; one with nothing to say returns nothing and has no heading.
"""

from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

import phalanx.report._bars as _bars
import phalanx.report._paths as _paths
import phalanx.report._tables as _tables
import phalanx.report._theme as _theme
import phalanx.report._words as _words
from phalanx._files import writable_folder, write_atomically
from phalanx._record import Record
from phalanx.report._checks import Check, checks
from phalanx.report._facts import Facts, read
from phalanx.report._numbers import number, plural, times

PAGE_FILE, FIGURES = "report.html", "figures"


@dataclass(frozen=True)
class _Material:
    """What the sections draw from."""

    facts: Facts
    checks: list[Check]
    figures: dict[str, _theme.Rendered]

    def figure(self, name: str) -> str:
        """A figure with its caption; "" where the record has nothing for it."""
        if name not in self.figures:
            return ""
        drawn = self.figures[name]
        caption = f"<figcaption>{escape(drawn.picture.caption)}</figcaption>"
        return f'<figure id="figure-{name}">\n{drawn.inline}\n{caption}\n</figure>'


def write(record: Record, folder: Path) -> Path:
    """Write `report.html` and its figures.

    The page holds everything it shows and asks nothing of a network. The figures are written beside
    it too, as SVG and as PNG at twice a screen's resolution, for documents and slides.

    Args:
        record: of kind "fleet".
        folder: where to; made if need be.

    Returns:
        The path of the page.

    Raises:
        InputError: a record of another kind or with something missing, or a folder that cannot be
            written to.
    """
    facts = read(record)
    pictures = _paths.pictures(facts) | _bars.pictures(facts)
    figures = {name: _theme.render(picture) for name, picture in pictures.items()}
    page = _html(_Material(facts, checks(facts), figures))
    place = writable_folder(writable_folder(folder) / FIGURES)
    for name, drawn in figures.items():
        _save(place / f"{name}.svg", drawn.svg.encode())
        _save(place / f"{name}.png", drawn.png)
    return _save(folder / PAGE_FILE, page.encode())


def _save(path: Path, content: bytes) -> Path:
    write_atomically(path, lambda temporary: _put(temporary, content))
    return path


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _html(material: _Material) -> str:
    facts = material.facts
    failed = sum(check.holds is False for check in material.checks)
    kind, badge = _words.status(facts, failed)
    sections = [
        ("what", "What this is", _what(material)),
        ("promise", "The promise", _promise(material)),
        ("comparison", "How the others do", _comparison(material)),
        ("world", _world_title(facts), _world(material)),
        ("attack", "Under attack", _attack(material)),
        ("checks", "Checks", _checks(material)),
        ("gains", "The controller", _gains(material)),
        ("numbers", "Where the numbers come from", _numbers(material)),
        ("limits", "What the model leaves out", _limits(material)),
        ("again", "How to make this page again", _again(material)),
    ]
    sections = [section for section in sections if section[2]]
    files = resources.files("phalanx.report")
    return Template(files.joinpath("page.html").read_text(encoding="utf-8")).substitute(
        title=escape(facts.title),
        name=escape(facts.name),
        colours=_theme.css(),
        style=files.joinpath("style.css").read_text(encoding="utf-8"),
        kind=kind,
        badge=escape(badge),
        verdict=escape(_words.verdict(facts, failed)),
        caveat=_paragraphs([_words.caveat(facts)], "caveat"),
        tiles=_tiles(material),
        contents="\n".join(f'<li><a href="#{id}">{escape(t)}</a></li>' for id, t, _ in sections),
        sections="\n".join(
            f'<section id="{id}" aria-labelledby="{id}-heading">\n<h2 id="{id}-heading">{escape(title)}</h2>\n{body}\n</section>'
            for id, title, body in sections
        ),
    )


def _paragraphs(texts: list[str], kind: str = "") -> str:
    opening = f'<p class="{kind}">' if kind else "<p>"
    return "\n".join(f"{opening}{escape(text)}</p>" for text in texts if text)


def _details(summary: str, body: str) -> str:
    if not body:
        return ""
    return f"<details>\n<summary>{escape(summary)}</summary>\n{body}\n</details>"


def _tiles(material: _Material) -> str:
    facts = material.facts
    own = facts.certified
    applied = [check for check in material.checks if check.holds is not None]
    held = sum(bool(check.holds) for check in applied)
    tiles = [
        ("level γ", "∞" if facts.gamma is None else number(facts.gamma)),
        ("promise γ²", "none" if facts.guarantee is None else times(facts.guarantee)),
        ("exact worst case", times(own.gain)),
        (f"cost, {facts.where}", number(own.cost)),
        ("checks that hold", f"{held} of {len(applied)}"),
    ]
    return "\n".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in tiles
    )


def _what(material: _Material) -> str:
    facts = material.facts
    simulated = (
        f"The controller was designed for infinitely many agents and simulated with {facts.simulated:,}."
        if facts.agents is None
        else f"The controller was designed for {plural(facts.agents, 'agent')}, and that many were simulated."
    )
    horizon = (
        "The game has no end: one set of gains for all time."
        if facts.horizon is None
        else f"A game lasts {plural(int(facts.horizon), 'round')}."
    )
    episodes = (
        f" The recorded world plays it {plural(facts.episodes, 'time')}, states carried over."
        if facts.episodes > 1
        else ""
    )
    return _paragraphs([facts.story, f"{simulated} {horizon}{episodes}"])


def _promise(material: _Material) -> str:
    facts = material.facts
    expert = [
        "In the notation of the theory page, "
        + (
            "E J ≤ γ²ϖ for every disturbance, where J is the cost and ϖ the energy of the disturbance and of the process "
            "noise, both per agent. "
            if facts.viable
            else "E J ≤ γ²ϖ, with J the cost and ϖ the energy of disturbance and process noise, does not hold for every "
            "disturbance: the noise budget is exceeded. What holds is the bound from rest. "
        )
        + "Without noise it holds path by path: "
        "J ≤ γ² Σ|d|² + ⟨y₀, M₀ y₀⟩ + ⟨z₀, M̄₀ z₀⟩, with y the deviations from the mean and z the mean. The margin of a stage is the "
        "least eigenvalue of γ²I − DᵀMD.",
        facts.reason,
    ]
    if facts.value is not None:
        slack = "" if facts.slack is None else f"; slack of the noise budget {number(facts.slack)}"
        expert.append(f"Value V = {number(facts.value, 6)}{slack}.")
    notes = "".join(f"<li>{escape(note)}</li>" for note in facts.design_notes)
    body = _paragraphs(expert) + (f"<ul>{notes}</ul>" if notes else "")
    parts = [
        _paragraphs(_words.promise(facts)),
        material.figure("levels"),
        _paragraphs([_words.binds(facts) if facts.guarantee is not None else ""]),
        material.figure("margins"),
        _details("For experts: the exact statement", body),
    ]
    return "\n".join(part for part in parts if part)


def _comparison(material: _Material) -> str:
    facts = material.facts
    notes = "".join(
        f"<dt>{escape(row.label)}</dt><dd>{escape(row.note)}</dd>" for row in facts.rows if row.note
    )
    parts = [
        _paragraphs([_words.price(facts), _words.keepers(facts), *_words.failures(facts)]),
        _tables.comparison(facts),
        _paragraphs([_reading(facts)], "note"),
        material.figure("gains"),
        material.figure("costs"),
        _details("Who the controllers are", f"<dl>{notes}</dl>" if notes else ""),
    ]
    return "\n".join(part for part in parts if part)


def _reading(facts: Facts) -> str:
    text = f"Worst case: cost per unit of disturbance energy. Cost, RMS (root mean square) and peak: over {facts.where}. Key state: mean {facts.key_name}."
    if facts.limited:
        text += " Outside limits: share of the time, counting every agent, for the state that is out most often."
    return text


def _world_title(facts: Facts) -> str:
    return "A simulated run" if facts.world is None else "On recorded data"


def _world(material: _Material) -> str:
    facts = material.facts
    figures = [part for name in ("recorded", "fleet") if (part := material.figure(name))]
    if not figures:
        return ""
    title = "" if facts.world is None else str(facts.world.get("title") or "")
    intro = f"{_words.capital(title)}." if title else ""
    limits = _words.limits(facts, f"Over {facts.where}", facts.certified.recorded)
    run = facts.certified.recorded or {}
    calm = (
        ""
        if run.get("disturbance_energy")
        else "No disturbance was given here: the fleet meets process noise, or its initial state, alone."
    )
    return "\n".join([_paragraphs([intro, calm, limits]), *figures])


def _attack(material: _Material) -> str:
    figure = material.figure("attack")
    if not figure:
        return ""
    text = (
        "For each controller the worst disturbance of a given energy can be computed exactly. Here each meets its own: nothing that nature or "
        "an opponent could do with that energy costs it more."
    )
    facts = material.facts
    limits = _words.limits(facts, "Under its own worst attack", facts.certified.attack)
    return f"{_paragraphs([text, limits])}\n{figure}"


def _checks(material: _Material) -> str:
    facts = material.facts
    parts = [
        _paragraphs(
            [
                f"A proof is only as good as its computation, so what was computed is held against what was measured. {_words.checked(material.checks)}"
            ]
        ),
        _tables.check_list(material.checks),
        _details("Episode by episode", _tables.episodes(facts)),
        _details("Against the saddle point's disturber", _tables.payoffs(facts)),
        _details("Worst attacks, computed and replayed", _tables.attacks(facts)),
    ]
    return "\n".join(part for part in parts if part)


def _gains(material: _Material) -> str:
    facts = material.facts
    tables = [
        _tables.matrix(facts, "K1", "answers an agent's own deviation from the average"),
        _tables.matrix(facts, "L1", "answers the average of the fleet"),
    ]
    tables = [found for found in tables if found]
    if not tables:
        return ""
    stage = "at every stage" if facts.horizon is None else "at the first stage"
    text = "Every agent computes its control from two things, its own state x and the average x̄ of the fleet: u = −K1 (x − x̄) − L1 x̄."
    return f"{_paragraphs([text])}\n{_details(f'Gains {stage}', chr(10).join(tables))}"


def _numbers(material: _Material) -> str:
    facts = material.facts
    items = [("Data", facts.data), ("Licence", facts.licence)]
    items = [(name, text) for name, text in items if text]
    described = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in items)
    parts = [f"<dl>{described}</dl>" if described else "", _tables.parameters(facts)]
    return "\n".join(part for part in parts if part)


def _limits(material: _Material) -> str:
    notes = [*material.facts.notes]
    if material.facts.agents is None:
        notes.append(
            f"The promise is about infinitely many agents; {material.facts.simulated:,} stand in for them in every simulation."
        )
    return f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in notes)}</ul>" if notes else ""


def _again(material: _Material) -> str:
    provenance = {k: v for k, v in material.facts.provenance.items() if v is not None}
    command = provenance.pop("command", None)
    parts = []
    if command:
        parts.append(f"<pre><code>{escape(str(command))}</code></pre>")
    items = "".join(
        f"<dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd>"
        for name, value in provenance.items()
    )
    if items:
        parts.append(f"<dl>{items}</dl>")
    parts.append(
        "<p>This page was drawn from the saved record beside it (<code>record.json</code>, <code>series.nc</code>); "
        "<code>phalanx report DIR</code> draws it again, to the byte.</p>"
    )
    return "\n".join(parts)
