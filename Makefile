# Targets that a user or a developer pastes. Override with `make VENV=elsewhere PYTHON=python3.12 ARGS="..." target`;
# pip reads its own PIP_* variables and configuration (index, wheel folders, proxies).

PYTHON ?= python3.11
VENV ?= .venv
DIST ?= dist
TORCH ?= 2.13.0
ARGS ?=

BIN := $(VENV)/bin
# Each test process has one thread (tests/conftest.py). A file's tests stay in one process, which shares its fixtures.
# The order is that of the folders: those with the longest tests come first, so that the processes end together.
PYTEST := $(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
PIP_INSTALL := $(BIN)/python -m pip install --constraint constraints.txt
SAFE_VENV := test ! -e $(VENV) -o -f $(VENV)/pyvenv.cfg || { \
  echo "$(VENV) exists and is no virtual environment: remove it, or name another with 'make VENV=...'" >&2; exit 2; }

.PHONY: help demo test coverage lint format hooks docs results wheel constraints clean

help: ## list these targets
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

demo: $(VENV)/.installed ## install, then edit the sample clip and say where the result lies
	$(BIN)/dynstream demo $(ARGS)

test: $(VENV)/.installed-test ## install, then run the tests (ARGS="-k name" for some of them)
	$(PYTEST) $(ARGS)

coverage: $(VENV)/.installed-test ## the tests, and how much of the code they run; fails below the floor in pyproject.toml
	$(PYTEST) --cov --cov-report=term:skip-covered $(ARGS)

lint: $(VENV)/.installed-dev ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev ## let ruff mend and format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

hooks: $(VENV)/.installed-dev ## make git run the linters before each commit
	$(BIN)/pre-commit install

docs: $(VENV)/.installed-docs ## build docs/ and the reference into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

results: $(VENV)/.installed-test ## measure everything and write docs/results.md (ARGS="--data FOLDER --cores 2")
	$(BIN)/dynstream results run $(ARGS)

wheel: $(VENV)/.installed-test ## build the sdist, and the wheel from that sdist, into dist/
	$(BIN)/python -m build --no-isolation --outdir $(DIST) .

constraints: ## pin anew: install the newest of everything into a fresh environment and freeze it
	set -eu; fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	$(PYTHON) -m venv "$$fresh/venv"; pip="$$fresh/venv/bin/python -m pip"; \
	$$pip install --upgrade pip; \
	$$pip install --group dev --group docs --editable '.[dlib,face-alignment,ray,research,webcam]' torch==$(TORCH); \
	{ grep '^#' constraints.txt; $$pip freeze --all --exclude-editable | sed -E 's/[+][A-Za-z0-9.]+$$//'; } > "$$fresh/pins"; \
	cp "$$fresh/pins" constraints.txt

clean: ## remove the environment, builds and caches (never downloaded weights)
	@$(SAFE_VENV)
	rm -rf $(VENV) $(DIST) site build dynstream.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find stream models pipelines cli tests -name __pycache__ -prune -exec rm -rf {} +

# The stamps lie inside the environment, so making it anew also forgets what was installed into it.
# Dependency groups need pip 25.1, and the pip that Python 3.11 brings is older: hence the upgrade.
$(VENV)/.made: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) was not found: install Python 3.11, or name another with 'make PYTHON=...'" >&2; exit 2; }
	@$(SAFE_VENV)
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP_INSTALL) --upgrade pip
	@touch $@

$(VENV)/.installed: $(VENV)/.made
	$(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP_INSTALL) --editable '.[research]' --group test
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed-test
	$(PIP_INSTALL) --group dev
	@touch $@

# The reference is made from the sources as text, so dynstream itself need not be installed.
$(VENV)/.installed-docs: $(VENV)/.made
	$(PIP_INSTALL) --group docs
	@touch $@
