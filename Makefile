# Everything this project does, by name: `make` lists it. A clean clone, Python 3.11+ and make are enough.
#
# The environment is two stamps in .venv: `.core` (what it takes to run phalanx) and `.dev` (the tests',
# linters' and docs' tools on top). Each is made again only when pyproject.toml or the lock changes.

PYTHON  ?= python3
WORKERS ?= 2
VENV    := .venv
BIN     := $(VENV)/bin
LOCK    := requirements/lock.txt
PIP     := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help env demo test lint check docs slow bench lock clean

help: ## list these targets
	@echo "make TARGET   (PYTHON=python3.12 picks another interpreter for a new .venv)"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

env: $(VENV)/.dev ## make .venv with the locked packages and phalanx itself, editable

demo: $(VENV)/.core ## design, certify and attack a battery fleet on real data, and write its report
	$(BIN)/phalanx run battery-fleet
	@echo "The report is at runs/battery-fleet/report.html: open it in a browser."

test: lint docs check ## all that CI runs: lint, types, docs, and every test that is not slow

lint: $(VENV)/.dev ## ruff (rules and format) and pyright
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

check: $(VENV)/.dev ## only pytest: tests, doctests in src/, and the examples of README.md and docs/
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

docs: $(VENV)/.dev ## build the pages into docs/_build; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build
	@echo "The pages are at docs/_build/index.html."

slow: $(VENV)/.dev ## the tests marked slow: slopes of rates, long learning runs
	$(BIN)/python -m pytest -n $(WORKERS) -m slow

bench: $(VENV)/.dev ## time the solvers, the simulator and the commands
	$(BIN)/python -m benchmarks

# The lock is resolved on the oldest Python we support and carries names and versions only: no index, no
# link, no path. The last line refuses it otherwise.
lock: ## resolve requirements/lock.txt anew from pyproject.toml (Python 3.11)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	  || { echo "The lock is resolved on Python 3.11, the oldest supported: say make lock PYTHON=python3.11." >&2; exit 2; }
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip --disable-pip-version-check install --quiet pip-tools
	.venv-lock/bin/python -m piptools compile --quiet --upgrade --allow-unsafe --strip-extras --no-header \
	  --no-emit-options --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	  --extra test --extra lint --extra docs --output-file $(LOCK) pyproject.toml
	@! grep -nE '://|^-|^ *#.*(via +-|[ (]/)|@ ' $(LOCK) \
	  || { echo "$(LOCK) names an index, a link or a path (above): a lock holds names and versions only." >&2; exit 1; }

clean: ## remove .venv, caches, built docs and packages; runs/ stays
	rm -rf $(VENV) .venv-lock docs/_build dist build .pytest_cache .ruff_cache .hypothesis
	find src tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the environment ---------------------------------------------------------------------------

$(VENV)/.core: pyproject.toml $(LOCK)
	@command -v "$(PYTHON)" > /dev/null && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "phalanx needs Python 3.11 or newer, and '$(PYTHON)' is not: name one that is, for example make env PYTHON=python3.12." >&2; exit 2; }
	@echo "Making $(VENV) (a few minutes the first time) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --quiet --constraint $(LOCK) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	@echo "Adding the tools for tests, linting and docs ..."
	@$(PIP) install --quiet --requirement $(LOCK)
	@touch $@
