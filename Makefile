SHELL := /bin/bash
PYTHON := .venv/bin/python
export PYTHONPATH := $(CURDIR)
JOBS ?= 3
TESTS := $(PYTHON) -m pytest
PARALLEL := -n $(JOBS) --dist worksteal
COVERAGE := $(PYTHON) -m coverage
KIND ?= all
MINUTES ?= 60
RESULTS ?= bench/results/soak.json
SEEDS ?= 1000000
FROM ?= 0

.DEFAULT_GOAL := help
.PHONY: help setup hooks format check test coverage test-unit test-stores conformance screenshots test-mount test-faults simulate bench soak docs build clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup: ## install what running, testing and checking need
	@bin/setup dev

hooks: setup ## run the checks on every commit, by pre-commit
	.venv/bin/pre-commit install

format: setup ## format the code
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix --quiet .

check: setup ## lint, types, imports
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	.venv/bin/lint-imports

test: setup ## all tests, against real servers and real mounts, JOBS at a time (3); coverage of those without
	rm -rf .coverage
	$(COVERAGE) run -m pytest $(PARALLEL)
	@$(COVERAGE) combine --quiet
	@$(COVERAGE) report

coverage: setup ## all tests, measured in every process: slower; pages in .coverage/html
	rm -rf .coverage
	VSTOREFS_TEST_MEASURE=all $(COVERAGE) run -m pytest $(PARALLEL)
	@$(COVERAGE) combine --quiet
	@$(COVERAGE) report
	@$(COVERAGE) html --quiet

test-unit: setup ## tests without servers and mounts
	$(TESTS) -m "not mount and not stores"

test-stores: setup ## the conformance suite; KIND=file, gcs-native, … for one kind
	VSTOREFS_TEST_KIND=$(KIND) $(TESTS) tests/stores

conformance: setup ## run the suite of every kind of store, and write its table into the docs
	$(TESTS) $(PARALLEL) tests/stores --write-table docs/reference/conformance.md

screenshots: setup ## run the page's tests in a browser, and write the pictures of the documentation
	$(TESTS) tests/web/test_browser.py --write-screenshots docs/how-to/images

test-mount: setup ## tests on mounts in the kernel
	$(TESTS) -m mount

test-faults: setup ## kills, stalls and cuts, those that take long, too; and write their tables into the docs
	$(TESTS) tests/mount -m faults --long --write-faults docs/explanation/guarantees.md

simulate: setup ## SEEDS simulated histories (1,000,000) on JOBS processes: hours; a seed that fails says how to replay it
	$(PYTHON) -m tests.simulation $(SEEDS) --from $(FROM) --jobs $(JOBS)

bench: setup ## speed beside rclone mount, as ratios
	$(PYTHON) -m bench.main
	$(PYTHON) -m bench.layouts
	$(PYTHON) -m bench.start
	$(PYTHON) -m bench.startup
	$(PYTHON) -m bench.wide
	$(PYTHON) -m bench.readers
	$(PYTHON) -m bench.runs
	$(PYTHON) -m bench.ledger

soak: setup ## read through a small cache for MINUTES (60) with faults between; figures into RESULTS
	mkdir -p $(dir $(RESULTS))
	$(PYTHON) -m bench.soak --minutes $(MINUTES) --results $(RESULTS)

docs: setup ## check that every command and setting has its page, and run the README
	$(TESTS) tests/docs

build: setup ## wheel and source archive of a tagged commit, into dist/
	@bin/build

clean: ## remove what was set up and built
	rm -rf .venv .setup .mypy_cache .ruff_cache .hypothesis .coverage build dist bench/results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
