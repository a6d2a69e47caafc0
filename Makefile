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
TORCH_FREE_TESTS := tests/arch tests/data tests/interop tests/test_atomic.py tests/test_cores.py tests/test_lock.py \
	tests/recipes tests/test_memory.py tests/test_metrics.py tests/test_describe.py tests/test_preprocess.py \
	tests/test_peers.py tests/test_imports.py $(addprefix tests/cli/test_,nets.py summary.py failures.py \
	progress.py)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-torch-free test-slow test-gpu test-distributed fuzz check docs docs-pictures claims-page bench bench-gpu constraints clean

help:  ## list these commands
	@sed -n 's/^\([a-z-]*\):.*  ## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 24

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

# Two workers are right for two cores: make test WORKERS=8. A worker takes up to 2 GB of memory.
WORKERS ?= 2
test: $(STAMP)  ## the tests of every day: plain CPU, about five minutes on two cores
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal

# torch is by far the largest of the dependencies: without it another Python is tried in two minutes.
test-torch-free:  ## what needs no torch, on another Python: make test-torch-free PYTHON=python3.13
	$(PYTHON) -m venv --clear build/venv
	build/venv/bin/python -m pip install --disable-pip-version-check -q -c constraints.txt hatchling editables
	build/venv/bin/python -m pip install --disable-pip-version-check -q -c constraints.txt --no-build-isolation \
		-e '.[plot,download,demo]' pytest pytest-timeout webdataset
	build/venv/bin/python --version
	build/venv/bin/python -m pytest $(TORCH_FREE_TESTS)

test-slow: $(STAMP)  ## those that take minutes
	$(BIN)/pytest -m 'slow and not gpu and not network and not distributed'

test-gpu: $(STAMP)  ## those that need a CUDA device
	$(BIN)/pytest -m 'gpu and not network'

test-distributed: $(STAMP)  ## four processes, kills, two hosts as network namespaces
	$(BIN)/pytest -m distributed

fuzz: $(STAMP)  ## change good files of every format at random, 23,400 times: three minutes on two cores
	$(BIN)/python -m tests.fuzz

# mypy refuses a folder without Python files, hence the wildcard.
check: $(STAMP)  ## lint, format, types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy src $(wildcard bench/*.py)

docs: $(STAMP)  ## are the pages true: links, commands and options in them exist
	$(BIN)/pytest tests/test_docs.py

# Photographs to measure on: a folder with sixteen or more.
PHOTOS ?= ../shared/data/imagenet-samples
docs-pictures: $(STAMP)  ## draw the pictures of the pages and run the notebook anew
	$(BIN)/python -m alexnet.experiments.why_it_stalls $(PHOTOS) --out docs/why-it-stalls.png \
		--curves results/krizhevsky-145-tiny-imagenet_epyc-2-cores_2026-11-20.jsonl \
		results/krizhevsky-145-std-0.01-tiny-imagenet_epyc-2-cores_2026-11-21.jsonl
	$(BIN)/python examples/run_notebook.py examples/learn_alexnet_on_cifar10.ipynb

claims-page: $(STAMP)  ## docs/claims.md from what is in results/claims
	$(BIN)/python -m alexnet.experiments.claims.page

# The others take longer, or a GPU: their first lines say how they are run.
BENCHES := lrn.py train_step.py\ --quick inference.py\ --quick input.py\ --rounds\ 3\ --images\ 512

bench: $(STAMP)  ## the short benchmarks, in under ten minutes; each appends to results/bench/
	@for script in $(BENCHES); do \
		echo "== bench/$$script"; $(BIN)/python bench/$$script || exit 1; \
	done

bench-gpu: $(STAMP)  ## training and prediction on a CUDA device, its correctness first
	$(BIN)/python bench/gpu.py

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
