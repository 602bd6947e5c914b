# kapsim: `make demo` to see it work, `make test` to check it. Each sets up what it needs, from nothing, in .venv.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
UV_INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test slow lint format docs linkcheck lock release browser clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.demo-ready  ## simulate six KAP sessions and leave demo/report.html
	$(BIN)/kapsim demo

# The workers share the cores; threads of the linear algebra within each would only get in each other's way.
test slow: export OMP_NUM_THREADS = 1
test slow: export OPENBLAS_NUM_THREADS = 1

test: lint  ## everything: style, types, tests
	$(BIN)/python -m pytest

slow: $(VENV)/.test-ready  ## the scientific checks that take minutes, in full; their small forms are in `make test`
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.test-ready  ## style and types only
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.test-ready  ## put imports and layout right
	$(BIN)/ruff check --select I --fix
	$(BIN)/ruff format

# Read anew each time, because pages take from the package what Sphinx does not know to have changed.
SPHINX := $(BIN)/python -m sphinx -W --keep-going -n -E -j auto docs

docs: $(VENV)/.docs-ready  ## the documentation site, gallery included, in docs/_build/html
	$(SPHINX) docs/_build/html

linkcheck: $(VENV)/.docs-ready  ## whether every link of the site to somewhere else still leads there (network)
	$(SPHINX) -b linkcheck -D plot_gallery=0 docs/_build/linkcheck

lock: $(VENV)/.installer-ready  ## remake requirements/*.lock from pyproject.toml (UPGRADE=1: newest versions)
	$(BIN)/python scripts/lock.py $(if $(UPGRADE),--upgrade)

release: $(VENV)/.test-ready  ## wheel, source distribution and bill of materials in dist/, tried in a bare environment
	$(BIN)/python scripts/release.py --try

browser:  ## find or install Chromium, for the tests that look at a page
	@scripts/browser.sh

clean:  ## remove the environment, caches and what the demo left
	rm -rf $(VENV) demo build dist docs/_build docs/api docs/gallery docs/links .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment, in steps: each leaves a stamp, so that a second run has nothing to do.

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "kapsim needs Python 3.11 or newer, and there is no '$(PYTHON)' here; name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "kapsim needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) -V 2>&1); name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make environments: install its venv module (Debian: apt-get install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installer-ready: requirements/installer.lock | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# kapsim itself is installed editable, by the hatchling that the lock pins.
$(VENV)/.demo-ready $(VENV)/.test-ready $(VENV)/.docs-ready: $(VENV)/.%-ready: requirements/%.lock pyproject.toml $(VENV)/.installer-ready
	$(UV_INSTALL) --require-hashes -r $<
	$(UV_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@
