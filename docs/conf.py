# Sphinx settings: Markdown pages (MyST), the API from docstrings, formulas by MathJax, furo's look.

import re

import latex2mathml.converter
from docutils import nodes

import phalanx

project = "phalanx"
author = "The phalanx developers"
copyright = "2026, The phalanx developers"
version = release = phalanx.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "reproductions_results.md"]  # included by reproductions.md

# `make docs` runs with -W, and no kind of warning is suppressed: a broken link is a broken build.
nitpicky = False  # names from NumPy and JAX in signatures have no target here to resolve to

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # an attribute told in a class's docstring is not told again as a member

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = "phalanx"
napoleon_attr_annotations = False  # jaxtyping's "*T m m" is a shape, not emphasis
autodoc_typehints = "none"  # shapes are told in the docstrings' own words

html_math_renderer = "mathml"  # formulas in the page itself: readable without a network


def _inline(self, node):
    self.body.append(latex2mathml.converter.convert(node.astext()))
    raise nodes.SkipNode


def _display(self, node):
    formula = latex2mathml.converter.convert(node.astext(), display="block")
    self.body.append(f'<div class="math" style="overflow-x: auto">{formula}</div>')
    raise nodes.SkipNode


def _plain_text_marks(app, what, name, obj, options, lines):
    """Read docstrings as they are written: `code` in single backticks, and |d| as a norm."""
    for i, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            line = re.sub(r"(?<![`:])`([^`]+)`(?!`)", r"``\1``", line)
            parts = re.split(r"(``[^`]*``)", line)
            lines[i] = "".join(p if p.startswith("``") else p.replace("|", r"\|") for p in parts)


def setup(app):
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    app.connect("autodoc-process-docstring", _plain_text_marks, priority=100)
