.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.installed-runtime
DEV := $(VENV)/.installed-dev
CHECKED = $(wildcard schemas detectors sinks streams tests examples benchmarks)
DEMO_ARGS ?=
TEST_ARGS ?=
TEST_PROCESSES ?= 2
BENCH_ARGS ?=
export PYTHON

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: $(RUNTIME) ## a silent model update, from the first event to the Slack thread; about a minute
	@$(BIN)/gleaner demo $(DEMO_ARGS)

.PHONY: setup
setup: $(DEV) ## .venv with everything: runtime, judge, tests, linters
	@:

.PHONY: test
test: setup ## all tests, in two processes; the delivery tests start a real Kafka where Java and Maven are there
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) $(TEST_ARGS)

.PHONY: lint
lint: setup ## ruff, mypy strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(CHECKED)
	$(BIN)/lint-imports

.PHONY: bench
bench: setup ## what the numbers in docs/ were measured with
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

.PHONY: accept-detect
accept-detect: setup ## the detectors' run lengths, delays and attribution, beside the field's; 20 minutes of two cores
	$(BIN)/python -m benchmarks.detectors $(DETECT_ARGS)

.PHONY: accept-evalstore
accept-evalstore: setup ## the eval store at length: near-duplicates, speed, reading under load, 50 kills; about 25 minutes
	$(BIN)/python -m benchmarks.evalstore $(EVALSTORE_ARGS)
	GLEANER_KILLS=50 GLEANER_REQUIRE_KAFKA=1 $(BIN)/python -m pytest -q -s tests/evalstore/test_kills.py

.PHONY: test-exports
test-exports: setup ## the exports read by ragas, promptfoo (needs npm), DeepEval, Inspect, datasets: installs them; minutes
	$(BIN)/python -m tests.exports $(EXPORT_ARGS)

.PHONY: accept-alerts
accept-alerts: setup ## a thousand runs with faults, storms, hostile text, and event to Slack; twenty minutes
	$(BIN)/python -m benchmarks.alerts $(ALERTS_ARGS)

.PHONY: kafka
kafka: setup ## a single real Kafka node on loopback, without Docker (needs Java 17 and Maven)
	$(BIN)/python -m tests.kafka.server

.PHONY: requirements
requirements: setup ## compile the lock files again (UPGRADE=1: to the newest versions)
	requirements/compile.sh $(if $(UPGRADE),--upgrade)

.PHONY: screenshots
screenshots: setup ## shoot the demo's incidents on the fake Slack's page again (needs Chromium)
	$(BIN)/python docs/make_screenshots.py

.PHONY: readme-svg
readme-svg: setup ## draw the README's picture of the demo again
	$(BIN)/python docs/make_demo_svg.py

.PHONY: clean
clean: ## remove .venv, caches and builds
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: a second run costs nothing. The full set contains the runtime set, in the same versions.
$(RUNTIME): requirements/runtime.txt requirements/bootstrap.txt requirements/install.sh pyproject.toml
	@requirements/install.sh runtime
	@touch $@

$(DEV): requirements/dev.txt requirements/bootstrap.txt requirements/install.sh pyproject.toml
	@requirements/install.sh dev
	@touch $(RUNTIME) $@
