# make demo: the whole way in a few minutes.   make test: make lint (linter, type checker) and make tests.   make bench: speed.
# make docs: this documentation as a site, in site/index.html.   make tutorials: its notebooks, run and stored anew.
# make plain-install: builds the wheel and uses it in a fresh environment elsewhere, as a user would.
# Another Python: make test PYTHON=python3.12 VENV=.venv312
# Another torch than PyPI's: make demo TORCH="what pip install is given for it" (README, "Installing by hand")

PYTHON ?= python3
VENV ?= .venv
TORCH ?=
BIN = $(VENV)/bin
LAVA = lava-nc==0.10.0
NEUROBENCH = neurobench==2.3.0
# What is imported is compiled when it first is: of the 14,000 modules that pip would compile, most never are.
export PIP_COMPILE ?= 0
CODE = aspen hardware emulator examples benchmarks tests website setup.py setup_editable.py

.PHONY: demo dev test tests docs tutorials plain-install bench mutants lint format clean

demo: $(VENV)/installed
	$(BIN)/aspen demo

# To change ASPEN itself: all that the tests need.
dev: $(VENV)/tested
	@echo "ready: $(BIN)/python -m pytest tests/aspen/network, make lint, make test"

test: lint tests

tests: $(VENV)/tested
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadgroup

# Warnings are errors, and links are looked at in what was built. Nothing is looked up on a network.
docs: $(VENV)/tested
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

tutorials: $(VENV)/tested
	$(BIN)/python -m tests.notebooks --write

plain-install:
	$(PYTHON) tests/plain_install.py --torch "$(TORCH)"

# Ratios against Lava and snnTorch, measured in one run: plots in runs/bench, tables in docs/benchmarks.md.
# Options of both in BENCH, of one alone in RUNNING and TRAINING:
# make bench BENCH=--quick RUNNING=--full-convolutions TRAINING="--threads 1"
bench: $(VENV)/installed
	$(BIN)/python benchmarks/emulation.py $(BENCH) $(RUNNING) --output runs/bench
	$(BIN)/python benchmarks/training.py $(BENCH) $(TRAINING) --output runs/bench
	$(BIN)/python benchmarks/page.py runs/bench docs/benchmarks.md

# Small mistakes in the numeric core, one at a time: hours; a sample: make mutants MUTANTS="--sample 10 aspen/control/"
mutants: $(VENV)/tested
	$(BIN)/python -m tests.mutants $(MUTANTS)

lint: $(VENV)/tested
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy

format: $(VENV)/tested
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

# Lava 0.10 declares Python 3.10 only; on newer ones it is installed without that check (docs/dependencies.md).
$(VENV)/installed: setup.cfg setup.py setup_editable.py pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(if $(TORCH),$(BIN)/pip install --quiet $(TORCH))
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[train,plot,exchange,microcontroller,lava]"
	$(BIN)/python -c "import sys; sys.exit(sys.version_info >= (3, 11))" || \
		$(BIN)/pip install --quiet --no-deps --ignore-requires-python $(LAVA)
	touch $@

# What the demo does without: linter, type checker, the site's tools, browsers' driver, and Triton, which runs a GPU's loops
# in its interpreter. NeuroBench's counters are tested against; the data loaders that it requires are not needed for that.
$(VENV)/tested: $(VENV)/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[train,gpu,docs,dev]"
	$(BIN)/pip install --quiet --no-deps $(NEUROBENCH)
	touch $@

clean:
	rm -rf $(VENV) build dist site *.egg-info
