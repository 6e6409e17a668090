# Calanque: `make demo` is all that a newcomer needs. Set-up runs by itself, and again when a lock changes.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo build serve test prove lint bench lock lock-check clean
SHELL := /bin/sh

BIN := .venv/bin
SETUP := .venv/.setup-done
PACKAGES := layers hexgrid spatial risk_surfaces styles ogc_server data_samples
WORKERS ?= 2
PYTEST_OPTIONS ?=

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make .venv from the hashed locks (no root; safe to interrupt and repeat)
	@tools/setup.sh

$(SETUP): requirements.lock requirements-java.lock requirements-node.lock package-lock.json
	@tools/setup.sh

demo: build ## Set up, build the sample city of Marseille, serve it and print the address
	@$(BIN)/calanque serve

build: $(SETUP) ## Set up and build the sample city, without serving
	@$(BIN)/calanque build

serve: $(SETUP) ## Serve what is built
	@$(BIN)/calanque serve

test: lint ## Lint, then every test that guards a change (under 10 minutes)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_OPTIONS)

prove: $(SETUP) ## Long evidence: calibration, power, crash points, fuzzing
	@$(BIN)/python -m pytest -m prove $(PYTEST_OPTIONS)

lint: $(SETUP) ## ruff, import contract, mypy strict
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/mypy

bench: $(SETUP) ## Measure against peers on this machine; each script prints JSON
	@for script in benchmarks/*.py; do echo "$$script"; $(BIN)/python "$$script" || exit 1; done

lock: $(SETUP) ## Resolve the locks anew (needs uv)
	@$(BIN)/python tools/lock.py

lock-check: $(SETUP) ## Check that Python 3.12, 3.13 and 3.14 find a wheel of everything (needs uv)
	@$(BIN)/python tools/lock.py --check

clean: ## Remove what was built (var, generated deliveries, caches); set-up stays
	rm -rf var data_samples/marseille/generated build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis \
	    .import_linter_cache
	find $(PACKAGES) tests benchmarks tools -name __pycache__ -type d -prune -exec rm -rf {} +
