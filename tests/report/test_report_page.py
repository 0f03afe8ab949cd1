"""The page is whole in itself, readable by everyone, safe, repeatable, and true to its numbers."""

import math
import re
from html import unescape
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
import xarray

from phalanx._outcome import InputError
from phalanx._record import Record
from phalanx.report import _theme, _words, write
from phalanx.report._checks import checks
from phalanx.report._facts import read
from phalanx.report._numbers import number

VOID = {"meta", "link", "br", "hr", "img", "input"}
LABELS = {"robust": "certified robust", "lqr": "LQR", "idle": "doing nothing"}


def controller(key, gain, cost, attack, m=2, /, **more):
    shape = {"rms_mean": [0.1 * cost] * m, "peak_mean": [0.3 * cost] * m}
    return {
        "key": key,
        "label": LABELS.get(key, key),
        "note": f"Note on {key}.",
        "worst_gain": gain,
        "worst_gain_deviation": 0.5,
        "worst_gain_mean": gain,
        "keeps_promise": gain is not None and gain <= 9.0,
        "recorded": {
            "cost": cost,
            "cost_per_episode": [cost],
            "disturbance_energy": 2.0,
            "rms_control": [0.5],
            "outside_limits": [0.0] * m,
            **shape,
        },
        "attack": {
            "exact": attack,
            "measured": attack,
            "energy": attack / gain if gain else 2.0,
            "through": "mean",
            "outside_limits": [0.25] + [0.0] * (m - 1),
            **shape,
        },
        "adversary": {
            "payoff": 5.0 + gain if gain else 50.0,
            "standard_error": 4.0,
            "value": 8.0,
            "runs": 50,
        },
    } | more


def record(*, controllers=None, scenario=None, design=None, summary=None, series=True, seed=0):
    """A small record; keywords replace parts of it."""
    T, m = 12, 2
    rows = controllers or [
        controller(
            "robust", 4.0, 12.0, 8.0, pathwise=[{"cost": 12.0, "bound": 40.0, "holds": True}]
        ),
        controller("lqr", 6.0, 10.0, 12.0),
        controller("idle", 80.0, 90.0, 160.0),
    ]
    keys = [row["key"] for row in rows if row.get("recorded")]
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(len(keys), 2 * T, m)) * np.array([1, 2, 30])[: len(keys), None, None]
    data = {
        "recorded_x_bar": (("controller", "round", "state"), x),
        "recorded_x_std": (("controller", "round", "state"), np.full_like(x, 0.5)),
        "recorded_x_min": (("controller", "round", "state"), x - 1),
        "recorded_x_max": (("controller", "round", "state"), x + 1),
        "recorded_d_bar": (("round", "disturbance"), rng.normal(size=(2 * T, 1))),
        "attack_x_bar": (("attacked", "attack_time", "state"), x[:, : T + 1]),
        "attack_d_bar": (("attacked", "attack_round", "disturbance"), x[:, :T, :1]),
        "margin_deviation": (("stage",), np.linspace(8, 9, T)),
        "margin_mean": (("stage",), np.linspace(5, 9, T)),
    }
    return Record(
        "fleet",
        "toy",
        {
            "scenario": {
                "title": "A toy fleet",
                "story": "Some agents hold together.",
                "agents_simulated": 20,
                "horizon": T,
                "stationary": False,
                "state_names": ["position (m)", "speed (m/s)"],
                "control_names": ["force (N)"],
                "disturbance_names": ["wind (N)"],
                "key_state": 0,
                "limits": [[-3.0, None], [3.0, None]],
                "parameters": [{"name": "mass", "value": "2 kg", "source": "weighed"}],
                "data": "A log",
                "licence": "CC0",
                "recorded": {
                    "title": "a windy day, unseen",
                    "episodes": 2,
                    "start": "2024-02-28T00:00",
                    "step_minutes": 120.0,
                },
            }
            | (scenario or {}),
            "design": {
                "n_agents": 20,
                "gamma": 3.0,
                "gamma_saddle": 2.0,
                "gamma_mean_field": 2.4,
                "gamma_population": 2.5,
                "gamma_theorem3": 2.7,
                "viable": True,
                "binding": "noise_budget",
                "stage": None,
                "margin": 5.0,
                "value": 8.0,
                "budget_slack": 3.0,
                "reason": "gamma = 3 is viable.",
                "K1": [[[1.0, 0.5]]] * T,
                "L1": [[[2.0, 0.25]]] * T,
                "notes": [],
            }
            | (design or {}),
            "guarantee": 9.0,
            "controllers": rows,
            "noise_gain": {"ratio": 3.0, "low": 2.5, "high": 3.5, "runs": 50},
            "attack_energy": 2.0,
            "notes": ["The model is linear."],
        }
        | (summary or {}),
        xarray.Dataset(data, coords={"controller": keys, "attacked": keys}) if series else None,
        {"seed": 0, "precision": "float64", "version": "0.1.0", "command": "phalanx run toy"},
    )


def stationary():
    made = record(
        scenario={"stationary": True, "horizon": None, "recorded": None, "limits": None},
        design={
            "n_agents": None,
            "gamma_theorem3": None,
            "K1": [[1.0, 0.5]],
            "L1": [[2.0, 0.25]],
            "notes": ["n_agents is null: the mean-field limit."],
        },
        summary={"noise_gain": None},
    )
    rows = [row | {"adversary": None, "pathwise": None} for row in made.summary["controllers"]]
    return Record(
        "fleet",
        "s",
        made.summary | {"controllers": rows},
        made.series.drop_vars(["margin_deviation", "margin_mean"]),
        {},
    )


def failing():
    failed = {
        "recorded": None,
        "attack": None,
        "adversary": None,
        "pathwise": None,
        "failure": "The loop diverged.",
    }
    return record(
        controllers=[
            controller("robust", 4.0, 12.0, 8.0),
            controller("idle", None, 1.0, 1.0, **failed),
        ]
    )


def apart():
    rows = [controller(key, 4.0, 12.0, 8.0) for key in ("robust", "lqr")]
    for row in rows:
        row["attack"]["through"] = "deviation"
    return record(controllers=rows)


DEGENERATE = {
    "plain": record,
    "stationary, mean-field limit": stationary,
    "a controller failed": failing,
    "all failed, no paths": lambda: record(
        controllers=[controller("robust", 4.0, 1.0, 1.0, recorded=None, attack=None, adversary=None, failure="It diverged.")],
        series=False,
    ),
    "no recorded world": lambda: record(scenario={"recorded": None, "limits": None, "story": "", "parameters": [], "data": "", "licence": ""}),
    "unreadable start": lambda: record(scenario={"recorded": {"title": "", "episodes": 1, "start": "yesterday", "step_minutes": 5.0}}),
    "no clock": lambda: record(scenario={"recorded": {"title": "t", "episodes": 1, "start": "", "step_minutes": 0.0}}),
    "gamma infinite": lambda: record(design={"gamma": math.inf, "margin": math.nan, "budget_slack": math.inf}, summary={"guarantee": math.inf}),
    "not viable": lambda: record(design={"viable": False, "gamma": 2.2, "budget_slack": -4.0}, summary={"guarantee": 4.84}),
    "no noise": lambda: record(design={"viable": False, "gamma_population": None, "gamma_mean_field": None, "gamma_theorem3": None, "budget_slack": -8.0}),
    "one agent": lambda: record(design={"n_agents": 1, "K1": None}),
    "attack through differences": apart,
    "no levels above 0": lambda: record(design={"gamma": 1.0, "gamma_saddle": 0.0, "gamma_mean_field": 0.0, "gamma_population": 0.0, "gamma_theorem3": 0.0}),
    "costs of 0": lambda: record(controllers=[controller("robust", 4.0, 0.0, 0.0)]),
    "many states": lambda: record(
        scenario={"state_names": ["position (m)"] + [f"x{i}" for i in range(1, 2)]},
        design={"K1": [[[0.5] * 30] * 20], "L1": [[[0.5] * 30] * 20]},
    ),
}  # fmt: skip


class Reader(HTMLParser):
    """Headings, ids, text and structure of a page."""

    def __init__(self, page):
        super().__init__()
        self.open, self.headings, self.ids, self.text, self.tags = [], [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)


def page_of(made, folder):
    return write(made, folder).read_text(encoding="utf-8")


def page_asks_nothing_of_a_network(page):
    assert "http" not in page
    assert not re.search(r"<(script|link|img|iframe|object)\b|@import|url\((?!#)", page)
    assert all(href.startswith("#") for href in re.findall(r'(?:href|src)="([^"]*)"', page))


def page_is_well_formed_and_its_headings_are_in_order(page):
    reader = Reader(page)
    assert reader.open == []
    assert reader.headings[0] == 1
    assert reader.headings.count(1) == 1
    assert all(
        after <= before + 1
        for before, after in zip(reader.headings, reader.headings[1:], strict=False)
    )
    assert ("html", {"lang": "en"}) in reader.tags
    assert "width=device-width" in page


def every_id_is_unique_and_every_reference_arrives(page):
    reader = Reader(page)
    assert len(reader.ids) == len(set(reader.ids))
    references = re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', page)
    named = re.findall(r'aria-labelledby="([^"]*)"', page)
    wanted = {a or b for a, b in references} | {name for names in named for name in names.split()}
    assert wanted <= set(reader.ids)


def every_figure_says_what_it_shows(page):
    pictures = re.findall(r"<svg.*?</svg>", page, flags=re.S)
    assert pictures
    for picture in pictures:
        assert 'role="img"' in picture[:300]
        assert re.search(r"<title [^>]*>[^<]+</title>", picture)
        assert re.search(r"<desc [^>]*>[^<]*\d[^<]*</desc>", picture)
    for figure in re.findall(r"<figure.*?</figure>", page, flags=re.S):
        assert re.search(r"<figcaption>[^<]+</figcaption>", figure)
        assert 'class="wide"' in figure
        assert 'class="narrow"' in figure


def every_table_header_has_a_scope(page):
    headers = [attributes for tag, attributes in Reader(page).tags if tag == "th"]
    assert headers
    assert all(attributes.get("scope") in ("col", "row") for attributes in headers)
    assert page.count("<table") == page.count("<caption>")


def nothing_missing_is_printed(page):
    texts = Reader(page).text
    assert not re.search(r"\b(nan|NaN|None|inf|Infinity)\b", " ".join(texts))
    assert not [text for text in texts if "  " in text.strip() or " ." in text]


def colours_follow_the_scheme(page):
    assert "prefers-color-scheme:dark" in page
    inside = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.S))
    assert "currentColor" in inside
    assert not re.search(r"#[0-9a-f]{6}", inside)


@pytest.mark.parametrize("name", DEGENERATE)
def test_every_page(name, tmp_path, monkeypatch):
    monkeypatch.setattr(_theme, "_png", lambda fig: b"")  # slow, and not looked at here
    page = page_of(DEGENERATE[name](), tmp_path)
    page_asks_nothing_of_a_network(page)
    page_is_well_formed_and_its_headings_are_in_order(page)
    every_id_is_unique_and_every_reference_arrives(page)
    every_figure_says_what_it_shows(page)
    every_table_header_has_a_scope(page)
    nothing_missing_is_printed(page)
    colours_follow_the_scheme(page)


def test_same_record_same_bytes_and_the_files_are_there(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    write(record(), first)
    made = record()
    (tmp_path / "saved").mkdir()
    write(Record.load(made.save(tmp_path / "saved")), second)
    names = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    stems = ("attack", "costs", "fleet", "gains", "levels", "margins", "recorded")
    assert {f"{path}" for path in names} == {"report.html"} | {
        f"figures/{stem}.{end}" for stem in stems for end in ("svg", "png")
    }
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    for path in first.glob("figures/*.svg"):
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        assert root[0].tag.endswith("title")
        assert root[1].tag.endswith("desc")


def test_hostile_strings_are_only_text(tmp_path):
    hostile = '<script>alert("x")</script>&$title ${style} $\\frac{ _x\x00\x1b </svg><b id="q">'
    rows = [controller("robust", 4.0, 12.0, 8.0, label=hostile, note=hostile), controller("_k", 6.0, 10.0, 12.0, label="_hidden\nline", failure=hostile)]  # fmt: skip
    scenario = dict.fromkeys(("title", "story", "data", "licence"), hostile) | {
        "state_names": [hostile, "漢字"],
        "control_names": [hostile],
        "disturbance_names": [hostile],
        "parameters": [{"name": hostile, "value": hostile, "source": hostile}],
        "recorded": {"title": hostile, "episodes": 2, "start": hostile, "step_minutes": 15.0},
    }
    made = record(controllers=rows, scenario=scenario, design={"reason": hostile, "notes": [hostile]}, summary={"notes": [hostile]})  # fmt: skip
    made = Record(
        "fleet", hostile, made.summary, made.series, {hostile: hostile, "command": hostile}
    )
    page = page_of(made, tmp_path)
    assert "<script" not in page
    assert '<b id="q">' not in page
    reader = Reader(page)
    assert reader.open == []
    assert 'alert("x")' in unescape(" ".join(reader.text))
    assert "${style}" in page
    for path in (tmp_path / "figures").glob("*.svg"):
        ElementTree.fromstring(path.read_text(encoding="utf-8"))


def test_another_kind_or_a_hole_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match='kind "fleet"'):
        write(Record("online", "x", {}), tmp_path)
    summary = record().summary
    for hole in ("controllers", "design", "scenario"):
        with pytest.raises(InputError, match="incomplete"):
            write(Record("fleet", "x", {k: v for k, v in summary.items() if k != hole}), tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- sentences -----------------------------------------------------------------------------------


def sentences(made):
    facts = read(made)
    failed = sum(check.holds is False for check in checks(facts))
    return facts, failed


def test_verdict_states_the_numbers_of_the_record():
    facts, failed = sentences(record())
    assert failed == 0
    assert _words.status(facts, failed) == ("good", "Certified")
    text = _words.verdict(facts, failed).replace("\u00a0", " ")
    assert "fleet of 20," in text
    assert "below 9 × the energy" in text
    assert "worst case is 4 ×, against 6 × for LQR and 80 × for doing nothing" in text


def test_a_cheaper_baseline_is_named_and_what_it_risks():
    text = _words.price(read(record())).replace("\u00a0", " ")
    assert "cost 12. Cheaper there: LQR 10 (17 % less)." in text
    assert "LQR keeps the promise too" in text
    assert "4 × instead of 6 ×" in text
    assert "LQR 50 % more" in text
    assert "doing nothing" not in text


def test_a_cheaper_baseline_that_breaks_the_promise_is_told_apart():
    rows = [controller("robust", 4.0, 12.0, 8.0), controller("lqr", 16.0, 10.0, 32.0)]
    text = _words.price(read(record(controllers=rows)))
    assert "price of the promise, which they do not keep" in text
    assert "LQR (16\u00a0×) breaks the promise" in _words.keepers(read(record(controllers=rows)))


def test_a_better_baseline_is_admitted():
    rows = [controller("robust", 4.0, 12.0, 8.0), controller("lqr", 3.0, 10.0, 6.0)]
    facts = read(record(controllers=rows))
    assert "does not pay" in _words.price(facts)
    assert "LQR has a lower worst case than the certified controller" in _words.keepers(facts)


def test_the_cheapest_is_said_to_be_so():
    rows = [controller("robust", 4.0, 9.0, 8.0), controller("lqr", 6.0, 10.0, 12.0)]
    text = _words.price(read(record(controllers=rows)))
    assert "also the cheapest: 9. Next comes LQR at 10, 11\u00a0% more." in text
    rows[1]["recorded"]["cost"] = 9.0
    assert "as much: nobody was cheaper" in _words.price(read(record(controllers=rows)))


def test_leaving_the_limits_is_not_hidden():
    text = _words.caveat(read(record()))
    assert "25\u00a0% of the time under its own worst attack" in text
    assert "a windy day" not in text  # stayed within them there
    assert "position 25\u00a0%" in _words.limits(
        read(record()), "Under attack", read(record()).certified.attack
    )


def test_what_binds_names_stage_time_and_margin():
    facts = read(record(design={"binding": "mean_game", "stage": 3}))
    text = _words.binds(facts)
    assert "average, at stage 3 of 12 (counted from 0, at 06:00)" in text
    assert "breaks at γ = 2.5." in text
    assert "margin is 5, 56\u00a0% of γ²" in text


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda row: row["pathwise"][0].update(holds=False), "episode"),
        (lambda row: row["attack"].update(measured=7.9), "replayed"),
        (lambda row: row["adversary"].update(payoff=30.0), "earns the game's value"),
        (lambda row: row.update(worst_gain=9.5), "Exact worst case"),
    ],
)
def test_a_failed_check_reaches_the_verdict(change, name):
    made = record()
    change(made.summary["controllers"][0])
    facts, failed = sentences(made)
    wrong = [check.name for check in checks(facts) if check.holds is False]
    assert any(name in found for found in wrong)
    assert _words.status(facts, failed)[0] == "bad"
    assert "did not come out" in _words.verdict(facts, failed)


def test_a_baseline_that_beats_the_saddle_point_fails_a_check():
    made = record()
    made.summary["controllers"][1]["adversary"]["payoff"] = -6.0
    found = next(check for check in checks(read(made)) if "no other" in check.name)
    assert found.holds is False
    assert "LQR, is 3.5 standard errors below" in found.measured


@pytest.mark.parametrize(("low", "high", "holds"), [(8.0, 8.9, True), (8.5, 9.5, None), (9.1, 9.9, False)])  # fmt: skip
def test_the_noise_check_knows_three_answers(low, high, holds):
    made = record(summary={"noise_gain": {"ratio": (low + high) / 2, "low": low, "high": high, "runs": 50}})  # fmt: skip
    found = next(check for check in checks(read(made)) if "noise" in check.name)
    assert found.holds is holds


def test_not_viable_and_no_promise_are_not_called_certified():
    for name, words in (
        ("not viable", "Not certified against noise"),
        ("gamma infinite", "No promise asked for"),
        ("no noise", "Certified from rest"),
    ):
        facts, failed = sentences(DEGENERATE[name]())
        assert _words.status(facts, failed)[1] == words
    assert "expected cost stays" not in _words.promise(read(DEGENERATE["not viable"]()))[0]


def test_table_cells_are_the_records_numbers(tmp_path):
    page = unescape(page_of(record(), tmp_path)).replace("\u00a0", " ")
    row = re.search(r'<th scope="row"[^>]*>LQR</th>(.*?)</tr>', page)
    cells = re.findall(r"<td[^>]*>(.*?)</td>", row[1])
    assert cells[0] == "6 ×"
    assert "yes (67 % of γ²)" in cells[1]
    assert cells[2:] == ["10", "1", "3", "12", "0 %", "25 %"]
    assert "phalanx run toy" in page
    assert "<dd>0.1.0</dd>" in page


# --- colours -------------------------------------------------------------------------------------


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first, second):
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1])
def test_contrast_is_sufficient_in_both_schemes(scheme, tmp_path):
    style = page_of(record(), tmp_path).split("<style>")[1].split("</style>")[0]
    light, dark = (
        dict(re.findall(r"--(\w+): (#\w{6})", part))
        for part in style.split("color-scheme: light dark;")[1].split("@media screen")[:2]
    )
    own = (light, dark)[scheme]
    roles = {role: pair[scheme] for role, pair in _theme.COLOURS.items()}
    for background in (roles["page"], own["soft"]):
        for role in ("ink", "muted", "s0"):
            assert contrast(roles[role], background) >= 4.5, role
        for name in ("good", "bad", "open"):
            assert contrast(own[name], background) >= 4.5, name
    assert contrast(roles["ink"], roles["zone"]) >= 4.5
    for role in ("s0", "s1", "s2", "s3", "s4", "limit"):
        assert contrast(roles[role], roles["page"]) >= 3.0, role


def test_a_sentinel_stands_for_one_role_and_lines_differ_without_colour():
    light = [pair[0] for pair in _theme.COLOURS.values()]
    assert len(set(light)) == len(light)
    looks = [_theme.line(index) for index in range(5)]
    assert len({str(look["linestyle"]) for look in looks}) == 5
    assert len({look["marker"] for look in looks}) == 5


def test_settings_of_the_user_neither_leak_in_nor_out(tmp_path):
    import matplotlib

    plain = page_of(record(), tmp_path / "a")
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red"}):
        assert page_of(record(), tmp_path / "b") == plain
        assert matplotlib.rcParams["font.size"] == 20
    assert number(float("nan")) == "–"
