"""Panels of named bars: on the page, in words, whatever the numbers."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from phalanx.experiments._panels import Bars, Curve, Panel, reproduction
from phalanx.report import _theme, write

HOSTILE = '<script>alert("x")</script>&$title ${style} $\\frac{ _x </svg><b id="q">'


@pytest.fixture
def page(tmp_path, monkeypatch):
    monkeypatch.setattr(_theme, "_png", lambda fig: b"")

    def made(*panels) -> str:
        record = reproduction("toy", "A study", "Why?", panels, [], [], {})
        return write(record, tmp_path).read_text(encoding="utf-8")

    return made


def bars(labels, values) -> Bars:
    return Bars("What it costs", "cost", labels, values, list(range(len(labels))))


def test_names_and_numbers_are_in_the_description(page):
    text = page(bars(["idle", "LQR", "lost"], [2.0, 0.5, None]))
    assert "What it costs: idle 2, LQR 0.5, lost –" in text
    assert text.count("<svg") == 2
    assert "no result" in text


VALUES = {
    "alike": [1.0, 2.0, 3.0],
    "far apart": [1e-3, 1.0, 1e6],
    "zero": [0.0, 1.0, 2.0],
    "all zero": [0.0, 0.0, 0.0],
    "negative": [-1.0, 2.0, 0.5],
    "infinite": [np.inf, 1.0, np.nan],
    "nothing": [None, None, None],
    "none at all": [],
}


@pytest.mark.parametrize("name", VALUES)
def test_any_numbers_can_be_drawn_beside_any_other_panel(page, tmp_path, name):
    values = VALUES[name]
    curve = Panel("A curve", "t", "y", [Curve("a", [0, 1], [0, 1])], y_range=(-2.0, 2.0))
    labels = ["a", HOSTILE, "c" * 300][: len(values)]
    text = page(bars(labels, values), curve, bars(labels, values))
    assert "<script" not in text
    assert not re.search(r'[" ,](nan|inf)[", ]', "".join(re.findall(r' d="[^"]*"', text)))
    for file in tmp_path.rglob("*.svg"):
        ElementTree.fromstring(file.read_text(encoding="utf-8"))


def test_a_logarithmic_scale_says_so(page):
    assert "log" not in re.sub(
        r"<style.*?</style>", "", page(bars(["a", "b"], [1.0, 2.0])), flags=re.S
    )
    assert "cost, log" in page(bars(["a", "b"], [1.0, 100.0]))
