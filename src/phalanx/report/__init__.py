"""The report: one page and its figures, drawn from a saved record and from nothing else.

`write(record, folder)` leaves `report.html`, which is whole in itself, and a folder of figures.
The rooms behind it: `_facts` reads the record, `_checks` holds the promise against what was
measured, `_words` says it in sentences, `_paths` and `_bars` draw it, `_theme` gives every figure
its two colour schemes and two widths, `_tables` and `_page` set the page. Studies (reproductions, learned
controllers) bring their own panels and claims: `_curves` draws them and `_study` sets their page.
"""

from phalanx.report._write import write

__all__ = ["write"]
