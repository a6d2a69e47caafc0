# The commands of this project. Nothing needs to be exported, and nothing is installed outside .venv.
#
#   make setup PYTHON=python3.12      another Python
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make setup
#                                     Linux without a GPU: torch from its CPU index, without gigabytes of CUDA

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
TORCH := 2.13.0

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-gpu check docs bench constraints clean

help:  ## list these commands
	@sed -n 's/^\([a-z-]*\):.*  ## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(STAMP)  ## make .venv once, every version from constraints.txt

# The build backend comes first and isolation is off: pip applies constraints to no isolated build.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "'$(PYTHON)' is not Python 3.11 or newer; name one: make setup PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt hatchling editables
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $@

demo: $(STAMP)  ## the first minute: a small net trained, judged and shown, without a download
	$(BIN)/alexnet demo

test: $(STAMP)  ## the tests of every day: plain CPU, about two minutes
	$(BIN)/pytest

test-slow: $(STAMP)  ## those that take minutes
	$(BIN)/pytest -m 'slow and not gpu and not network'

test-gpu: $(STAMP)  ## those that need a CUDA device
	$(BIN)/pytest -m 'gpu and not network'

# mypy refuses a folder without Python files, hence the wildcard.
check: $(STAMP)  ## lint, format, types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy src $(wildcard bench/*.py)

docs: $(STAMP)  ## are the pages true: links, commands and options in them exist
	$(BIN)/pytest tests/test_docs.py

bench: $(STAMP)  ## run every script in bench/, one after the other
	@for script in $(wildcard bench/*.py); do \
		echo "== $$script"; $(BIN)/python "$$script" || exit 1; \
	done

# From a venv of its own, so that nothing installed by hand is pinned. A local part (+cpu) would fit one platform only.
constraints:  ## pin the newest versions of everything anew
	rm -rf build/constraints
	$(PYTHON) -m venv build/constraints
	build/constraints/bin/python -m pip install -q --upgrade setuptools hatchling editables
	build/constraints/bin/python -m pip install -q --no-build-isolation torch==$(TORCH) '.[dev]'
	build/constraints/bin/python -m pip check
	{ head -1 constraints.txt; build/constraints/bin/python -m pip freeze --all --exclude pip --exclude alexnet \
		| sed 's/+[a-z0-9.]*$$//'; } > build/constraints.txt
	mv build/constraints.txt constraints.txt
	rm -rf build/constraints

clean:  ## remove caches and build outputs; .venv and runs/ stay
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
