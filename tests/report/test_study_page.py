"""The page of a study says everything its record says, is only text, stands alone, and never changes."""

import dataclasses
import itertools
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from phalanx._outcome import InputError
from phalanx._record import Record
from phalanx.experiments._panels import Claim, Curve, Panel, Table, reproduction
from phalanx.report import _theme, write

VOID = {"meta", "br", "hr"}
X = np.array([1.0, 2.0, 5.0, 10.0])
CLAIMS = [
    Claim("Errors fall linearly.", "P1, Fig. 1b", True, "By 0.93 in each step."),
    Claim("Errors pile up.", "P1, Theorem 5", False, "They do not: 0.1 at most."),
    Claim("The bound is tight.", "this project", None, "Too few draws to say."),
]
TABLE = Table(
    "How many it takes",
    ["step", "iterations", "error", "reached", "never"],
    [["P1's", 200, 0.125, True, None], ["best", 31, float("nan"), False, float("inf")]],
)


def panel(*curves: Curve, **more) -> Panel:
    return Panel("The gap falls", "rollouts", "gap", curves or [Curve("gap", X, 1 / X)], **more)


def study(panels=(), tables=(TABLE,), claims=CLAIMS, notes=("Nothing here is random.",), **more):
    """A small record of kind "reproduction"."""
    words = {"title": "A small study", "story": "Does it converge?", "settings": {"gamma": 3.0}}
    made = reproduction(
        "toy", panels=panels, tables=tables, claims=claims, notes=notes, **(words | more)
    )
    command = "phalanx reproduce toy --quick --seed 0"
    return dataclasses.replace(made, provenance={"version": "0.1.0", "command": command, "seed": 0})


class Reader(HTMLParser):
    """Text, tags and cells of a page whose elements all close."""

    def __init__(self, page: str):
        super().__init__()
        self.open, self.tags, self.text, self.cells = [], [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.text.append(data)
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture
def page(tmp_path, monkeypatch):
    """`page(record)`: the page as text; pictures in pixels are slow, and looked at elsewhere."""
    monkeypatch.setattr(_theme, "_png", lambda fig: b"")
    count = itertools.count()

    def write_page(made: Record) -> str:
        return write(made, tmp_path / str(next(count))).read_text(encoding="utf-8")

    return write_page


def assert_sound(text: str) -> Reader:
    """Well formed, by itself, each id once, every reference arrives, every picture has its words."""
    reader = Reader(text)
    tags = [tag for tag, _ in reader.tags]
    assert tags.count("h1") == tags.count("html") == tags.count("main") == 1
    assert not {"script", "link", "img", "iframe", "object", "embed"} & set(tags)
    assert "http" not in text
    assert not re.search(r"@import|url\((?!#)", text)
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = set(re.findall(r"url\(#([^)]*)\)", text))
    for _, attributes in reader.tags:
        for name in ("href", "xlink:href", "src"):
            if name in attributes:
                assert attributes[name].startswith("#")
                wanted.add(attributes[name][1:])
        wanted |= set(attributes.get("aria-labelledby", "").split())
    assert wanted <= set(ids)
    for picture in re.findall(r"<svg.*?</svg>", text, flags=re.S):
        assert 'role="img"' in picture[:300]
        assert re.search(r"<title [^>]*>[^<]+</title>", picture)
        assert re.search(r"<desc [^>]*>[^<]+</desc>", picture)
    return reader


# --- everything is said --------------------------------------------------------------------------


def test_every_part_of_a_record_is_on_the_page(page):
    words = assert_sound(page(study([panel()]))).words
    said = ["A small study", "Does it converge?", "Nothing here is random.", "gamma 3"]
    said += [part for claim in CLAIMS for part in (claim.text, claim.source, claim.measured)]
    said += ["How many it takes", *TABLE.header, "phalanx reproduce toy --quick --seed 0", "0.1.0"]
    for part in said:
        assert part in words


@pytest.mark.parametrize(
    ("holds", "word"), [(True, "✓ holds"), (False, "✗ does not hold"), (None, "○ undecided")]
)
def test_each_claim_has_its_verdict_in_its_row(page, holds, word):
    claims = [dataclasses.replace(CLAIMS[0], holds=holds)]
    cells = Reader(page(study(claims=claims, tables=()))).cells
    assert cells[3:] == ["Errors fall linearly. (P1, Fig. 1b)", word, "By 0.93 in each step."]


@pytest.mark.parametrize(
    ("verdicts", "kind", "badge"),
    [
        ([True, True], "good", "2 of 2 claims hold"),
        ([True, False], "open", "1 of 2 claims hold"),
        ([True, None], "good", "1 of 2 claims hold"),
        ([None], "open", "0 of 1 claims hold"),
    ],
)
def test_the_badge_counts_claims_that_hold(page, verdicts, kind, badge):
    claims = [dataclasses.replace(CLAIMS[0], holds=holds) for holds in verdicts]
    text = page(study(claims=claims))
    assert f'<div class="verdict {kind}">\n<p class="badge">{badge}</p>' in text


def test_table_cells_are_numbers_words_and_dashes_for_what_is_missing(page):
    cells = Reader(page(study(claims=()))).cells
    assert cells == [
        *TABLE.header,
        *("P1's", "200", "0.125", "yes", "–"),
        *("best", "31", "–", "no", "–"),
    ]


def test_no_missing_number_is_spelt_out(page):
    rows = [["x", None, float("nan"), np.float64("nan"), None]]
    curve = Curve("gap", X, np.full(4, np.nan))
    made = study([panel(curve)], [dataclasses.replace(TABLE, rows=rows)], settings={"ball": None})
    assert not re.search(r"\b(nan|None|inf|Infinity)\b", Reader(page(made)).words, re.IGNORECASE)


def test_what_is_empty_has_no_section(page):
    text = page(study(panels=(), tables=(), claims=(), notes=(), settings={}))
    assert set(re.findall('<section id="([^"]*)"', text)) == {"again"}
    assert_sound(text)


def test_the_outcome_of_learning_is_the_badge_and_its_numbers_are_tiles(page):
    numbers = {"outcome": "budget_spent", "gamma": 2.5, "nash_gap": None, "rollouts": 1200}
    made = study([panel()], claims=(), numbers=numbers | {"attenuation": 2.25})
    text = page(dataclasses.replace(made, kind="learn"))
    assert '<p class="badge">budget spent</p>' in text
    tiles = re.findall("<dt>([^<]*)</dt><dd>([^<]*)</dd></div>", text)
    assert tiles == [
        ("level γ", "2.5"),
        ("distance from Nash", "–"),
        ("rollouts", "1,200"),
        ("level it guarantees", "2.25"),
    ]


def test_settings_are_written_for_people(page):
    settings = {"steps": [0.5, None], "iterations": {"P1": 200, "best": 31}, "exact": True}
    text = unescape(page(study(settings=settings)))
    assert "<dd>[0.5, –]</dd>" in text
    assert "<dd>yes</dd>" in text
    assert "{'" not in text
    assert "P1" in text.split("<dt>iterations</dt>")[1].split("</dl>")[0]


# --- only text -----------------------------------------------------------------------------------

HOSTILE = '<script>alert("x")</script>&$title ${style} $\\frac{ _x </svg><b id="q">'
CONTROL = "a\x00b\x1bc\x0bd"


def everywhere(text: str) -> Record:
    """A record whose every word is this one."""
    made = study(
        [Panel(text, text, text, [Curve(text, X, X), Curve(f"_{text}", X, 2 * X)])],
        [Table(text, [text, text], [[text, text]])],
        [Claim(text, text, None, text)],
        [text],
        title=text,
        story=text,
        settings={text: text, "nested": [text], "named": {text: text}},
    )
    return dataclasses.replace(made, provenance={text: text, "command": text})


@pytest.mark.parametrize("kind", ["reproduction", "learn"])
def test_hostile_words_are_only_text(page, kind):
    made = dataclasses.replace(everywhere(HOSTILE), kind=kind)
    made.summary.update(outcome=HOSTILE, gamma=HOSTILE, nash_gap=HOSTILE)
    text = page(made)
    assert "<script" not in text
    assert '<b id="q">' not in text
    reader = assert_sound(text)
    assert 'alert("x")' in reader.words
    assert "$title ${style}" in reader.words


@pytest.mark.parametrize("word", [HOSTILE, CONTROL, "漢字 🙂", "x" * 3000])
def test_figures_of_odd_words_are_well_formed(page, tmp_path, word):
    assert_sound(page(everywhere(word)))
    files = list(tmp_path.rglob("*.svg"))
    assert len(files) == 1
    root = ElementTree.fromstring(files[0].read_text(encoding="utf-8"))
    assert [child.tag.split("}")[1] for child in root[:2]] == ["title", "desc"]


def test_a_label_that_begins_with_an_underscore_is_in_the_legend(page):
    text = page(study([panel(Curve("_hidden", X, X))]))
    picture = re.search(r"</desc>(.*?)</svg>", text, flags=re.S)
    assert "_hidden" in picture[1]


@pytest.mark.parametrize("name", ["../../escaped", "a/b", "..", HOSTILE])
def test_no_name_in_a_record_leads_out_of_the_folder(tmp_path, name):
    made = dataclasses.replace(study([panel()]), name=name)
    folder = tmp_path / "deep" / "er" / "out"
    write(made, folder)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.parent for path in files} == {folder, folder / "figures"}
    assert sorted(path.suffix for path in files) == [".html", ".png", ".svg"]


# --- curves --------------------------------------------------------------------------------------

NAN = np.nan
LOGS = [{}, {"x_log": True}, {"y_log": True}, {"x_log": True, "y_log": True}]
CURVES = {
    "plain": [Curve("a", X, 1 / X)],
    "no label": [Curve("", X, 1 / X)],
    "all NaN": [Curve("a", X, np.full(4, NAN))],
    "gaps": [Curve("a", X, [1.0, NAN, 0.1, NAN])],
    "zeros": [Curve("a", X - 1, [1.0, 0.0, 0.1, 0.0])],
    "all zero": [Curve("a", 0 * X, 0 * X)],
    "negative": [Curve("a", -X, -X)],
    "both signs": [Curve("a", X - 3, X - 3)],
    "infinite": [Curve("a", X, [1.0, np.inf, -np.inf, 2.0])],
    "one point": [Curve("a", [3.0], [2.0], style="both")],
    "no point": [Curve("a", [], [])],
    "no curve": [],
    "tiny and huge": [Curve("a", X, [1e-100, 1e-10, 1e10, 1e100])],
    "band": [Curve("a", X, 1 / X, 0.5 / X, 2 / X)],
    "band down to 0": [Curve("a", X, 1 / X, 0 * X, 2 / X)],
    "band below 0": [Curve("a", X, 1 / X, 1 / X - 1, 1 / X + 1)],
    "band of NaN": [Curve("a", X, 1 / X, np.full(4, NAN), np.full(4, NAN))],
    "band around nothing": [Curve("a", X, np.full(4, NAN), 0 * X, X)],
    "band of no point": [Curve("a", [], [], [], [])],
    "many": [Curve(f"curve {i}", X, X + i) for i in range(8)],
    "unknown style": [Curve("a", X, 1 / X, style="zigzag")],
    "all styles": [
        Curve(style, X, 1 / X, style=style)
        for style in ("line", "dashed", "dotted", "marks", "both")
    ],
}


@pytest.mark.parametrize("name", CURVES)
def test_every_panel_is_drawn_on_every_pair_of_axes(page, name):
    text = page(study([Panel("The gap", "k", "gap", CURVES[name], **logs) for logs in LOGS]))
    reader = assert_sound(text)
    assert text.count("<svg") == 2
    assert not re.search(r"\b(nan|inf)\b", reader.words, re.IGNORECASE)
    assert not re.search(r'[" ,](nan|inf)[", ]', "".join(re.findall(r' d="[^"]*"', text)))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_any_number_of_panels_is_one_figure(page, count):
    panels = [
        dataclasses.replace(panel(), title=f"Panel number {i}.", y_log=bool(i % 2))
        for i in range(count)
    ]
    text = page(study(panels))
    assert_sound(text)
    pictures = re.findall(r"<svg.*?</svg>", text, flags=re.S)
    assert len(pictures) == 2
    caption = re.search("<figcaption>([^<]*)</figcaption>", text)[1]
    for i in range(count):
        assert caption.count(f"Panel number {i}.") == 1
        assert all(f"Panel number {i}" in picture.split("</desc>")[1] for picture in pictures)


def test_a_study_without_panels_has_no_figure(page, tmp_path):
    text = page(study())
    assert_sound(text)
    assert "<svg" not in text
    assert list(tmp_path.rglob("*.svg")) == []


def test_the_description_gives_both_ends_of_each_curve(page):
    curves = [Curve("falling", X, [NAN, 8.0, 4.0, 0.25]), Curve("rising", X, X)]
    text = page(study([panel(*curves)]))
    described = re.findall("<desc [^>]*>([^<]*)</desc>", text)
    assert len(set(described)) == 1
    assert described[0] == "The gap falls: falling from 8 to 0.25, rising from 1 to 10"
    assert set(re.findall("<title [^>]*>([^<]*)</title>", text)) == {"A small study"}


@pytest.mark.parametrize("part", ["x", "y", "low", "high"])
def test_an_array_that_is_missing_is_named_in_one_sentence(tmp_path, part):
    made = study([panel(Curve("a", X, X, X, X))])
    short = made.series.drop_vars(f"panel0_curve0_{part}")
    with pytest.raises(InputError, match=rf"'panel0_curve0_{part}', which it does not hold\.$"):
        write(dataclasses.replace(made, series=short), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_record_without_arrays_is_refused_when_it_has_panels(tmp_path):
    made = dataclasses.replace(study([panel()]), series=None)
    with pytest.raises(InputError, match="does not hold"):
        write(made, tmp_path / "out")


# --- the same bytes ------------------------------------------------------------------------------


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_saved_record_gives_the_same_bytes(tmp_path):
    """Whatever numbers it was made of: NumPy's, tuples, keys that are numbers, infinities."""
    rows = [["a", np.int64(3), np.float64(0.5), np.bool_(True), np.inf]]
    settings = {
        "steps": np.array([0.1, 0.3]),
        "pair": (1, np.float64(2.5)),
        "by stage": {0: np.float64(0.25), 1: None},
        "limit": np.inf,
    }
    made = study([panel()], [dataclasses.replace(TABLE, rows=rows)], settings=settings)
    folders = [tmp_path / name for name in ("saved", "live", "again", "loaded")]
    folders[0].mkdir()
    made.save(folders[0])
    write(made, folders[1])
    write(made, folders[2])
    write(Record.load(folders[0]), folders[3])
    live = bytes_of(folders[1])
    assert set(live) == {"report.html", "figures/toy.svg", "figures/toy.png"}
    assert live == bytes_of(folders[2])
    assert live == bytes_of(folders[3])
