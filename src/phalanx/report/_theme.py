"""Every figure twice wide and twice coloured, from one drawing.

A drawing function is asked for a wide and for a narrow figure (a phone is not a small desktop). It
draws in sentinel colours: exact hexadecimal values that stand for a role. In the page's inline SVG
each becomes a CSS variable, and ink becomes `currentColor`, so dark mode costs no second drawing; the
files for documents and slides keep the light colours on white. Text stays text.

Colours are told apart under every common colour blindness, and no line relies on colour alone.
"""

import io
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phalanx.report._numbers import GLUE

# role: (light, dark). Light values are the sentinels, so each may stand for one role only.
COLOURS = {
    "page": ("#fefefe", "#14181d"),
    "ink": ("#1c2128", "#e8ebef"),
    "muted": ("#57606b", "#a5afbb"),
    "grid": ("#dfe3e8", "#343c46"),
    "zone": ("#e3f1e8", "#1d3a2c"),
    "limit": ("#b3261e", "#ff8f86"),
    "s0": ("#0067a5", "#5cb5f2"),
    "s1": ("#c24e00", "#ff9f52"),
    "s2": ("#007f66", "#3ccfa4"),
    "s3": ("#95458f", "#e3a0de"),
    "s4": ("#6b7079", "#adb4be"),
}
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
DASHES: list[Any] = ["-", (0, (6, 2)), (0, (7, 2, 1.5, 2)), (0, (1.2, 1.4)), (0, (3, 2.5))]
MARKERS = ["o", "s", "^", "D", "v"]
PIXELS_PER_INCH = 192  # twice a screen's 96


@dataclass(frozen=True)
class Picture:
    """One figure of the report.

    Attributes:
        name: of its files. title: what it is. caption: what to see. description: what is seen, with
            numbers, for those who do not see it.
        draw: given whether the figure is to be wide, draws it.
    """

    name: str
    title: str
    caption: str
    description: str
    draw: Callable[[bool], Figure]


@dataclass(frozen=True)
class Rendered:
    """A picture in its three forms: for the page, and as files."""

    picture: Picture
    inline: str
    svg: str
    png: bytes


def ink(role: str) -> str:
    """The sentinel colour of a role."""
    return COLOURS[role][0]


def line(index: int) -> dict[str, Any]:
    """How the line of the index-th controller looks."""
    slot = index % len(DASHES)
    return {
        "color": ink(f"s{slot}"),
        "linestyle": DASHES[slot],
        "marker": MARKERS[slot],
        "linewidth": 1.8 if index == 0 else 1.3,
        "markersize": 4 if slot else 4.5,
    }


def clean(text: str, length: int = 70) -> str:
    """A label from a record, fit to be drawn: no control characters, not endless."""
    text = "".join(c if c.isprintable() or c == GLUE else " " for c in text)
    text = " ".join(part for part in text.split(" ") if part)
    return text if len(text) <= length else text[: length - 1] + "…"


def figure(wide: bool, height: float, narrow_height: float | None = None) -> Figure:
    """An empty figure of the page's width."""
    size = (7.6, height) if wide else (3.9, narrow_height or height)
    return Figure(figsize=size, layout="constrained")


def frame(axes: Axes, title: str, letters: int = 60) -> None:
    """The common look of a panel: its title, in lines of so many letters, says what is measured."""
    text = textwrap.fill(clean(title, 3 * letters), letters)
    axes.set_title(text, loc="left", fontsize=8.5, color=ink("ink"))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color=ink("grid"), linewidth=0.6)
    axes.set_axisbelow(True)


def legend(fig: Figure, handles: list[Any], labels: list[str], wide: bool) -> None:
    """A legend above all panels."""
    # A leading underscore would hide a label.
    shown = [clean(label, 40) for label in labels]
    shown = [f"\u200b{label}" if label.startswith("_") else label for label in shown]
    row = sum(len(label) + 8 for label in shown) <= 100
    columns = (len(shown) if row else 3) if wide else 2 if max(map(len, shown)) < 20 else 1
    fig.legend(
        handles, shown, loc="outside upper left", ncols=columns, frameon=False, handlelength=3.2
    )


def render(picture: Picture) -> Rendered:
    """Draw a picture in both widths."""
    with _style():
        wide, narrow = _laid_out(picture.draw(True)), _laid_out(picture.draw(False))
        wide_svg, narrow_svg, png = _svg(wide), _svg(narrow), _png(wide)
    inline = _inline(wide_svg, picture, "wide") + _inline(narrow_svg, picture, "narrow")
    return Rendered(picture, inline, _standalone(wide_svg, picture), png)


def css() -> str:
    """The roles as CSS variables, light and dark."""

    def block(which: int) -> str:
        return "".join(f"--{role}:{pair[which]};" for role, pair in COLOURS.items())

    dark = f"@media screen and (prefers-color-scheme:dark){{:root{{{block(1)}}}}}"
    return f":root{{{block(0)}}}\n{dark}\n"


@contextmanager
def _style() -> Iterator[None]:
    """Our settings and nobody else's, so that the same record gives the same bytes everywhere."""
    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "phalanx",
        "text.parse_math": False,
        "font.family": ["DejaVu Sans"],
        "font.size": 8.5,
        "axes.edgecolor": ink("muted"),
        "axes.labelcolor": ink("ink"),
        "axes.linewidth": 0.7,
        "axes.unicode_minus": True,
        "text.color": ink("ink"),
        "xtick.color": ink("muted"),
        "ytick.color": ink("muted"),
        "xtick.labelcolor": ink("ink"),
        "ytick.labelcolor": ink("ink"),
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.fontsize": 8.5,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
    }
    defaults: dict[Any, Any] = {
        key: value
        for key, value in matplotlib.rcParamsDefault.items()
        if not key.startswith(("backend", "date.epoch"))
    }
    with warnings.catch_warnings(), matplotlib.rc_context(defaults | settings):
        # A label may use letters that the measuring font lacks; the page's font will have them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def _laid_out(fig: Figure) -> Figure:
    """The figure with its layout found once and then kept, for the drawing and the picture alike."""
    fig.draw_without_rendering()
    fig.set_layout_engine(None)
    return fig


def _svg(fig: Figure) -> str:
    buffer = io.StringIO()
    fig.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = re.sub(
        r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.S
    )
    text = text.replace("'DejaVu Sans'", FONTS)
    text = re.sub(r' transform="rotate\(-?0 [^)]*\)"', "", text)
    text = re.sub(r' d="([^"]*)"', _shorter, text)
    # Matplotlib names clips after coordinates, down to the last bit of a layout that was found by a solver.
    for place, name in enumerate(dict.fromkeys(re.findall(r'<clipPath id="([^"]*)"', text))):
        text = text.replace(name, f"clip{place}")
    return re.sub(r"\n\s*", "\n", text).strip()


def _shorter(match: re.Match[str]) -> str:
    """Path data to a hundredth of a point."""

    def rounded(found: re.Match[str]) -> str:
        return f"{float(found[0]):.2f}".rstrip("0").rstrip(".")

    path = re.sub(r"-?\d+\.\d+", rounded, match[1])
    return f' d="{" ".join(path.split())}"'


def _inline(svg: str, picture: Picture, variant: str) -> str:
    """For the page: ids of its own, colours by role, and words for those who do not see it."""
    prefix = f"{picture.name}-{variant}"
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(?:xlink:)?href="#', f'href="#{prefix}-', svg)
    svg = svg.replace("url(#", f"url(#{prefix}-")
    svg = svg.replace(f"font-family: {FONTS}; ", "")
    svg = re.sub(r' xmlns(?::xlink)?="[^"]*"', "", svg)
    for role, (light, _) in COLOURS.items():
        svg = svg.replace(light, "currentColor" if role == "ink" else f"var(--{role})")
    label = f'class="{variant}" role="img" aria-labelledby="{prefix}-title {prefix}-desc"'
    head = (
        f'<title id="{prefix}-title">{escape(picture.title)}</title>'
        f'<desc id="{prefix}-desc">{escape(picture.description)}</desc>'
    )
    box = re.search(r'viewBox="[^"]*"', svg)
    opening = f"<svg {box[0] if box else ''} {label}>"
    return re.sub(r"<svg[^>]*>", lambda _: f"{opening}\n{head}", svg, count=1)


def _standalone(svg: str, picture: Picture) -> str:
    """For a document: on white, with its words."""
    head = (
        f"<title>{escape(picture.title)}</title>\n<desc>{escape(picture.description)}</desc>\n"
        '<rect width="100%" height="100%" fill="#fefefe"/>'
    )
    opened = re.sub(r"(<svg[^>]*)>", lambda m: f'{m[1]} role="img">\n{head}', svg, count=1)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{opened}\n'


def _png(fig: Figure) -> bytes:
    buffer = io.BytesIO()
    fig.savefig(
        buffer,
        format="png",
        dpi=PIXELS_PER_INCH,
        facecolor=ink("page"),
        metadata={"Software": None},
    )
    return buffer.getvalue()
