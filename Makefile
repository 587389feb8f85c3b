# One command each; they need Python 3.10 or newer (with venv) and make, nothing else.
#   make demo     a real pipeline on this machine          make test      the tests
#   make lint     ruff                                     make types     mypy --strict
#   make layers   who imports whom                         make wheels    built wheels work outside this folder
#   make check    lint, types, layers and tests            make docker    tests on a real Docker engine
#   make cluster  tests on a real Kubernetes node          make long      those of them that take many minutes
#   make test-all all of these                             make clean     forget the environment
#   make bench    what a step costs, how fast it starts    make bench-docker   what a container costs
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PROJECTS := $(wildcard pyproject.toml plugins/*/pyproject.toml)
# How many tests run at once. Many only wait for what they started, so more than there are cores.
WORKERS ?= 4
# On the cluster the scenarios run many at a time by themselves, and pods take the processor.
CLUSTER_WORKERS ?= 2
# The controllers of the Kubernetes node.
ENGINES ?= argo tekton

.DEFAULT_GOAL := help
.PHONY: help demo test lint format types layers wheels docker cluster-build cluster-up cluster long check test-all
.PHONY: bench bench-docker clean

help:
	@sed -n 's/^#   //p' Makefile

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "flowcore needs Python 3.10 or newer; say which one with: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "Python's venv module is missing; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

$(VENV)/.installed: $(PROJECTS) | $(VENV)/bin/python
	@echo "installing flowcore and flowcore-local into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e . -e plugins/local
	@touch $@

$(VENV)/.developing: $(PROJECTS) requirements-dev.txt | $(VENV)/bin/python
	@echo "installing flowcore, flowcore-local and the tools of requirements-dev.txt into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ $(VENV)/.installed

demo: $(VENV)/.installed
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/iris/demo.sh

test: $(VENV)/.developing
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup

lint: $(VENV)/.developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.developing
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.developing
	$(BIN)/mypy

layers: $(VENV)/.developing
	$(BIN)/lint-imports

wheels: $(VENV)/.developing
	$(BIN)/python -m pytest -q -m wheels tests/test_wheels.py

check: lint types layers test

# Starts an engine, unless one answers; as root on Debian 12 it installs what that takes, else it fails.
docker: $(VENV)/.developing
	$(BIN)/python tests/cluster docker-up
	$(BIN)/python -m pytest -q -m docker -n $(WORKERS) --dist loadgroup tests plugins

# What a node with controllers takes, as root on Debian 12: once, and it takes minutes. Needs nothing but Python.
cluster-build:
	$(PYTHON) tests/cluster build $(ENGINES)

cluster-up:
	$(PYTHON) tests/cluster up $(ENGINES)

# Starts the node and the controllers, unless they run, and builds what is missing; it fails where it cannot.
# Tests that stop what all others use (alone) come last.
CLUSTER_TESTS = $(BIN)/python -m pytest -q -o faulthandler_timeout=900 tests plugins/kubernetes $(ENGINES:%=plugins/%)
cluster: $(VENV)/.developing cluster-up
	$(CLUSTER_TESTS) -m "cluster and not alone and not long" -n $(CLUSTER_WORKERS) --dist loadgroup
	$(CLUSTER_TESTS) -m "cluster and alone and not long"

long: $(VENV)/.developing cluster-up
	$(CLUSTER_TESTS) -m long

test-all: check wheels docker cluster long

bench: $(VENV)/.developing
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/engine.py

bench-docker: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e plugins/docker_local
	$(BIN)/python tests/cluster docker-up
	$(BIN)/python benchmarks/containers.py

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
