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
.PHONY: help install imagenet ray run check test test-all lint schema ui serve viz viz-static clean \
	$(addprefix measure-,augmentation fashion_mnist planted robustness scores serving speed variants)

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z%_-]+:.*## / {printf "make %-22s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/installed  ## install what is pinned into .venv, and nothing else

imagenet: .venv/installed-imagenet  ## install the feature extractor scoring.extractor: imagenet, 60 MB

ray: .venv/installed-ray  ## install Ray, for runtime.engine: ray

run: .venv/installed  ## train a conditional GAN on handwritten digits, score it, see whether it helps a classifier
	$(BIN)/kedro run

check: .venv/installed-dev lint  ## linters and unit tests, about a minute
	$(BIN)/pytest $(TWO_AT_ONCE) $(UNIT_TESTS)

test: .venv/installed-dev lint  ## linters and all tests but slow ones and those in a browser
	$(BIN)/pytest $(TWO_AT_ONCE) -m "not slow and not browser"

test-all: .venv/installed-dev .venv/installed-viz lint  ## linters and all tests, with the slow ones and those of kedro-viz and MLflow in Chromium; coverage
	$(BIN)/pytest --cov --cov-report=term:skip-covered

lint: .venv/installed-dev  ## ruff, mypy and the import contract
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

schema: .venv/installed  ## write the JSON schema of the parameters, for editors
	$(BIN)/python -m gan_pipelines.project.schema > conf/parameters.schema.json

ui: .venv/installed  ## compare runs in MLflow's browser interface
	$(BIN)/kedro ui

VARIANT ?= cdcgan
serve: .venv/installed  ## serve the newest model of VARIANT with MLflow's server, on this machine
	$(BIN)/kedro serve $(VARIANT)

viz: .venv/installed-viz  ## see the pipelines in kedro-viz
	$(BIN)/kedro viz run

viz-static: .venv/installed-viz  ## write the pipelines and what they have left as a web site into build
	rm -rf build
	$(BIN)/kedro viz build --include-previews

results-%: .venv/installed  ## write a page of docs/results from the rows beside it
	PYTHONPATH=benchmarks $(BIN)/python -m pages $*

# Each takes hours. fashion_mnist and scores keep what they have trained in data/benchmarks; remove it to begin anew.
RESULTS := docs/results
MEASURED := data/benchmarks
DATASETS = $(or $(DATA),$(error DATA=<folder with the datasets> is missing))

measure-speed: .venv/installed-ray  ## run the benchmarks of speed.md, then write the page
	$(BIN)/python benchmarks/training_speed.py $(RESULTS)/speed/speed.jsonl
	$(BIN)/python benchmarks/training_speed.py $(RESULTS)/speed/remedies.jsonl \
		--workloads "dcgan 32,wgan_gp 32" --remedies --rounds 3 --seconds 3
	$(BIN)/python benchmarks/precisions.py $(RESULTS)/speed
	$(BIN)/python benchmarks/startup.py $(RESULTS)/speed 11
	$(BIN)/python benchmarks/growth.py $(RESULTS)/speed
	rm -f $(RESULTS)/speed/engines.csv
	$(BIN)/python benchmarks/engines.py $(RESULTS)/speed/engines.csv
	$(BIN)/python benchmarks/waiting_threads.py $(RESULTS)/speed/waiting_threads.csv
	$(MAKE) results-speed

measure-robustness: .venv/installed-ray  ## kill and resume runs, and parts of a Ray cluster, then write robustness.md
	$(BIN)/python benchmarks/kill_and_resume.py 20 --rows $(RESULTS)/robustness/kill_and_resume.csv
	rm -f $(RESULTS)/robustness/kills_on_ray.csv
	$(BIN)/python benchmarks/kills_on_ray.py 20 --rows $(RESULTS)/robustness/kills_on_ray.csv
	$(MAKE) results-robustness

measure-augmentation: .venv/installed  ## run the experiment on the digits, then write augmentation.md
	$(BIN)/python benchmarks/augmentation.py $(RESULTS)/augmentation
	$(MAKE) results-augmentation

measure-planted: .venv/installed  ## run that experiment with images of known effect, then write augmentation.md
	$(BIN)/python benchmarks/planted_truths.py $(RESULTS)/augmentation
	$(MAKE) results-augmentation

measure-serving: .venv/installed  ## measure the newest model of cdcgan as a service, then write serving.md
	rm -f $(RESULTS)/serving/service.csv
	$(BIN)/python benchmarks/serving.py $$(ls -d data/06_models/digits/cdcgan/model/*/model | tail -1) \
		$(RESULTS)/serving/service.csv
	$(BIN)/python benchmarks/serving_parity.py $(RESULTS)/serving/parity.csv
	$(MAKE) results-serving

measure-variants: .venv/installed  ## train every variant on the digits with three seeds, sweep three, then write variants.md
	$(BIN)/python benchmarks/variants.py $(RESULTS)/variants
	$(BIN)/python benchmarks/sweep.py $(RESULTS)/variants
	$(MAKE) results-variants

measure-fashion_mnist: .venv/installed  ## train and score all objectives on DATA, then write fashion_mnist.md
	$(BIN)/python benchmarks/fashion_mnist.py all $(MEASURED)/fashion_mnist --data $(DATASETS)
	cp $(addprefix $(MEASURED)/fashion_mnist/,history.csv scores.csv) $(RESULTS)/fashion_mnist
	$(MAKE) results-fashion_mnist

SCORES = $(BIN)/python benchmarks/scores.py
measure-scores: .venv/installed-imagenet  ## score real and generated images of DATA and the digits, then write scores.md
	$(SCORES) floors $(MEASURED)/scores --env base
	$(SCORES) floors $(MEASURED)/scores --env fashion_mnist --data $(DATASETS) --classifier-epochs 3
	$(SCORES) floors $(MEASURED)/scores --env cifar10_32 --data $(DATASETS) --classifier-epochs 3
	$(SCORES) floors $(MEASURED)/scores --env playing_cards --data $(DATASETS)/playing-cards --classifier-epochs 3
	$(SCORES) floors $(MEASURED)/scores --env base --extractor imagenet
	$(SCORES) floors $(MEASURED)/scores --env fashion_mnist --data $(DATASETS) --extractor imagenet --images 2000
	$(SCORES) floors $(MEASURED)/scores --env cifar10_32 --data $(DATASETS) --extractor imagenet --images 2000
	$(SCORES) chance $(MEASURED)/scores --env base --epochs 50
	$(SCORES) chance $(MEASURED)/scores --env fashion_mnist --data $(DATASETS) --variant mlp_gan --epochs 10 \
		--classifier-epochs 3
	cp $(MEASURED)/scores/*.csv $(RESULTS)/scores
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/frechet_distance.py $(RESULTS)/scores/frechet_distance.csv
	$(MAKE) results-scores

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

.venv/installed-dev .venv/installed-imagenet .venv/installed-ray .venv/installed-viz: .venv/installed-%: .venv/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[$*]'
	@touch $@
