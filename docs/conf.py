# Sphinx settings: Markdown pages (MyST), the API from docstrings, formulas by MathJax, furo's look.

import phalanx

project = "phalanx"
author = "The phalanx developers"
copyright = "2026, The phalanx developers"
version = release = phalanx.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]

# `make docs` runs with -W, and no kind of warning is suppressed: a broken link is a broken build.
nitpicky = False  # names from NumPy and JAX in signatures have no target here to resolve to

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # an attribute told in a class's docstring is not told again as a member

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = "phalanx"
