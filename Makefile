# make lists the targets. Each installs what it needs into .venv, once.

PYTHON ?= python3
BIN := .venv/bin

# kedro-mlflow starts a bare "mlflow".
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Two files of tests at a time, the longest first, each on one core.
check test test-all: export OMP_NUM_THREADS := 1
TWO_AT_ONCE := --numprocesses=2 --dist=loadfile --no-loadscope-reorder

# Folders and files that are about the project as a whole are not even imported: that takes seconds.
UNIT_TESTS := -m "not integration" $(addprefix --ignore=,tests/browser tests/pipelines tests/tracking $(wildcard tests/test_*.py))

# Neither Kedro nor MLflow calls home.
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true

.DEFAULT_GOAL := help
.PHONY: help install run check test test-all lint schema ui viz viz-static table bench measure-planted clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/installed  ## install what is pinned into .venv, and nothing else

run: .venv/installed  ## train a conditional GAN on handwritten digits, score it, see whether it helps a classifier
	$(BIN)/kedro run

check: .venv/installed-dev lint  ## linters and unit tests, about a minute
	$(BIN)/pytest $(TWO_AT_ONCE) $(UNIT_TESTS)

test: .venv/installed-dev lint  ## linters and all tests but slow ones and those in a browser
	$(BIN)/pytest $(TWO_AT_ONCE) -m "not slow and not browser" --cov --cov-report=term:skip-covered

test-all: .venv/installed-dev .venv/installed-viz lint  ## linters and all tests, with the slow ones and those of kedro-viz and MLflow in Chromium
	$(BIN)/pytest --cov --cov-report=term:skip-covered

lint: .venv/installed-dev  ## ruff, mypy and the import contract
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

schema: .venv/installed  ## write the JSON schema of the parameters, for editors
	$(BIN)/python -m gan_pipelines.project.schema > conf/parameters.schema.json

ui: .venv/installed  ## compare runs in MLflow's browser interface
	$(BIN)/kedro mlflow ui

viz: .venv/installed-viz  ## see the pipelines in kedro-viz
	$(BIN)/kedro viz run

viz-static: .venv/installed-viz  ## write the pipelines and what they have left as a web site into build
	rm -rf build
	$(BIN)/kedro viz build --include-previews

table: .venv/installed  ## train every variant on the digits and write docs/results/variants.md
	$(BIN)/python benchmarks/variants.py docs/results

bench: .venv/installed  ## measure the speed of training beside the tutorial way, into docs/results/speed
	$(BIN)/python benchmarks/training_speed.py docs/results/speed

measure-planted: .venv/installed  ## run the augmentation experiment with images of known effect, into docs/results/augmentation
	$(BIN)/python benchmarks/planted_truths.py docs/results/augmentation

results-%: .venv/installed  ## write a page of docs/results from the rows beside it
	$(BIN)/python benchmarks/pages.py $*

clean:  ## remove the environment and caches, but no data and no results
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage .viz

.venv/created:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "Python 3.11 to 3.13 is needed, and $$($(PYTHON) --version) was found: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv --clear .venv
	@touch $@

.venv/installed: pyproject.toml constraints.txt | .venv/created
	@echo "Installing into .venv, about 6 GB: this takes some minutes, once."
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	@touch $@

.venv/installed-dev .venv/installed-viz: .venv/installed-%: .venv/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[$*]'
	@touch $@
