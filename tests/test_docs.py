"""Every ```python block of README.md and of the pages in docs/ runs, in order, as one program per page.

How to write examples for it:

- A page shares one namespace, so a later block may use what an earlier one made; pages share nothing.
- A block is run as it stands: an `assert` in it is a test. A block that opens with `>>>` is a doctest.
- A block that must be shown but not run stands after the line `<!-- skip: next -->`.
- Code runs in an empty temporary folder, so that what a page writes is gone afterwards.
- Other languages (```toml, ```console) are not run.

One page is one test, not one block: under pytest-xdist the blocks of a page would otherwise be dealt to
different workers, and lose the namespace they share.
"""

from pathlib import Path

import pytest
from sybil import Document
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert page.is_file(), f"{page.name} is missing."
    monkeypatch.chdir(tmp_path)
    for example in Document.parse(str(page), PythonCodeBlockParser(), SkipParser()):
        example.evaluate()  # an error's traceback names the page and the line in it
