# `make run` and `make test` do all their own set-up: a virtual environment in .venv, from the locks, with hashes.
PYTHON ?= python3
ROWS ?= 800000
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
# A lock is complete, so nothing is resolved. Left to resolve, pip fails on the day that a package asked for with an extra
# has a newer release than the lock, which names no extras.
LOCKED := $(PIP) install --no-deps --require-hashes -r

# Tests are spread over this many processes. No other target runs beside them, also under make -j.
TEST_JOBS ?= 2
PYTEST := $(BIN)/python -m pytest
SPREAD := $(PYTEST) -n $(TEST_JOBS) --dist worksteal
ENGINES ?= localstack localstack-data
WHEEL ?=

.NOTPARALLEL:
.PHONY: help run test test-wheel test-unit test-deep test-docker test-compose test-fidelity lint check coverage bench gate setup setup-dev wheel lock clean

help:
	@echo "make run      generate, deploy, upload, watch and audit 800,000 rows (ROWS=50000 for fewer, ARGS=... for options)"
	@echo "make check    lint and the quick unit tests"
	@echo "make test     all tests but those that need Docker"
	@echo "make test-deep  tests of laws and of random moments, with ten times as many examples"
	@echo "make test-docker  the tests that need Docker: docker compose, and the contract tests on LocalStack"
	@echo "make lint     ruff, mypy, cfn-lint, and which package may import which"
	@echo "make bench    the ci suite: repeated runs, median and spread, and a report"
	@echo "make gate     is this commit slower than its parent? paired trials, an exact test, a verdict; ARGS=--replay: the handlers alone"
	@echo "make coverage  what the unit tests reach of the code, by file"
	@echo "make setup    only install; make setup-dev with what tests and lint need"
	@echo "make wheel    the commit as a wheel, in dist/; make test-wheel WHEEL=dist/... tests it as installed"
	@echo "make clean    remove what these commands made"

run: $(VENV)/.run
	$(BIN)/harness run --rows $(ROWS) $(ARGS)

test: $(VENV)/.dev
	$(SPREAD) tests/unit tests/contract $(ARGS)
	$(SPREAD) tests/e2e tests/packaging $(ARGS)

test-wheel: $(VENV)/.dev
	$(PYTEST) tests/packaging $(if $(WHEEL),--wheel $(WHEEL)) $(ARGS)

test-unit: $(VENV)/.dev
	$(SPREAD) tests/unit -m "not slow" $(ARGS)

test-deep: $(VENV)/.dev
	$(SPREAD) tests/unit tests/e2e/test_leftovers.py --hypothesis-profile deep $(ARGS)

test-docker: test-compose test-fidelity

test-compose: $(VENV)/.dev
	$(PYTEST) tests/docker $(ARGS)

test-fidelity: $(VENV)/.dev
	set -e; for engine in $(ENGINES); do $(PYTEST) tests/contract --engine $$engine $(ARGS); done

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/cfn-lint handlers/template.yaml harness/lessons/*/stack.yaml

check: lint test-unit

# Unit tests alone: what they start with an environment of its own is not measured, and end-to-end tests start little else.
coverage: $(VENV)/.dev
	$(SPREAD) tests/unit -m "not slow" --cov --cov-report=term $(ARGS)

bench: $(VENV)/.run
	$(BIN)/harness bench ci $(ARGS)

gate: $(VENV)/.run
	$(BIN)/harness gate $(ARGS)

setup: $(VENV)/.run

setup-dev: $(VENV)/.dev

# From the commit and not from this folder: uncommitted files, and what an earlier build left, do not get in.
wheel: $(VENV)/.dev
	rm -rf build dist
	mkdir -p build/source
	git archive HEAD | tar -x -C build/source
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist build/source
	rm -rf build
	@ls dist/*.whl

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, $(PYTHON) is `$(PYTHON) --version 2>&1`; try make PYTHON=python3.12 ..."; exit 5; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "python's venv module does not work; on Debian and Ubuntu: apt install python3-venv"; exit 5; }
	@touch $@

$(VENV)/.run: $(VENV)/.python requirements.lock pyproject.toml
	@test -f $(VENV)/.dev || { echo "installing the packages of requirements.lock (about a minute, once)"; \
	  $(LOCKED) requirements.lock; }
	@$(PIP) install --no-deps --no-build-isolation -e .
	@$(PIP) check
	@touch $@

$(VENV)/.dev: $(VENV)/.python requirements-dev.lock pyproject.toml
	@echo "installing the packages of requirements-dev.lock (about a minute, once)"
	@$(LOCKED) requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@$(PIP) check
	@touch $(VENV)/.run $@

# Needs uv. Versions in the second lock follow the first.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links
lock:
	$(LOCK) pyproject.toml requirements-build.in -o requirements.lock
	$(LOCK) --extra dev --extra bench -c requirements.lock pyproject.toml requirements-build.in -o requirements-dev.lock

clean:
	rm -rf $(VENV) *.egg-info build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage runs
