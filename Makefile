# `make` alone lists the targets. Nothing but Python ≥ 3.11 and make is needed; everything goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test install lint bench bench-large bench-kafka soak docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/installed ## create .venv and install the backbone into it

$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Care Backbone needs Python 3.11 or newer: set PYTHON=…")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) pip
	@touch $@

$(VENV)/installed: $(VENV)/python pyproject.toml constraints.txt
	$(PIP) --editable .
	@touch $@

$(VENV)/tested: $(VENV)/installed
	$(PIP) --group test --group lint
	@touch $@

demo: $(VENV)/installed ## start the backbone, send the samples, print one person's timeline (ONCE=1: then stop)
	@$(BIN)/backbone demo $(if $(ONCE),--once)

lint: $(VENV)/tested ## style, types, import contracts, dependencies, security rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/bandit --quiet --recursive schemas adapters consumers gateway

test: $(VENV)/tested lint ## every check and every test, real engines included
	$(BIN)/pytest -m "not soak" --numprocesses logical --maxprocesses 4 --dist worksteal

soak: $(VENV)/tested ## the long fault tests: hours
	$(BIN)/pytest -m soak

bench: $(VENV)/tested ## speed against bare floors, as ratios in one run
	$(BIN)/python -m tests.bench

bench-kafka: $(VENV)/tested ## the production shape against its floor, on three brokers and on one
	$(BIN)/python -m tests.bench.kafka

bench-large: $(VENV)/tested ## pages among 1,000,000 entries on SQLite and 10,000,000 on PostgreSQL: half an hour, 40 GB of disk
	$(BIN)/python -m tests.bench.pages sqlite 1_000_000
	$(BIN)/python -m tests.bench.pages postgresql 10_000_000

docs: $(VENV)/installed ## write docs/reference from the code
	$(BIN)/python docs/build.py

clean: ## remove .venv and caches
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
