# Everything a person needs to run, test and change Samen. `make` alone lists it.
# Needed beforehand: make, and Python 3.11 or newer with its venv module. Everything else is built under .venv.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

PORT ?= 8080
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet
CATALOGUES := $(shell find fhir_server -name '*.po' 2>/dev/null)
PACKAGE := pyproject.toml hatch_build.py $(CATALOGUES)

.PHONY: help
help: ## list what there is to do
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: .venv/demo ## tell the story on this machine and leave it running (PORT=8080 changes the port)
	@exec $(BIN)/fhir-server demo --port $(PORT)

.PHONY: demo-reset
demo-reset: ## forget the demo's data (stop the demo first)
	@if [ -x $(BIN)/fhir-server ]; then exec $(BIN)/fhir-server demo-reset; else rm -rf var; fi

.PHONY: setup
setup: .venv/test ## build .venv with everything that running, testing and changing needs

.PHONY: test
test: .venv/test ## pass every test
	@$(BIN)/python -m pytest

.PHONY: check
check: .venv/test ## style, types, import contracts, documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q -n 0 tests/unit/test_docs.py tests/unit/test_compose.py

.PHONY: format
format: .venv/test ## let ruff put the code in its usual shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: conformance
conformance: .venv/test ## do we say and do what R4 says? fetches HL7's packages by npm once, and asks every one of them
	@eval "$$($(BIN)/python tools/fetch_r4.py)" && $(BIN)/python -m pytest tests/conformance tests/story/test_real_clients.py

.PHONY: bench
bench: .venv/test ## measure and record; never fails
	@$(BIN)/python -m bench

.PHONY: wheel
wheel: .venv/test ## build the package into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

.PHONY: lock
lock: .venv-lock/bin/uv ## write the lock files from pyproject.toml (UPGRADE=--upgrade takes the newest of everything)
	$(COMPILE) --all-extras --output-file requirements-test.lock
	$(COMPILE) --extra embedded --extra build --constraint requirements-test.lock --output-file requirements-demo.lock
	$(COMPILE) --constraint requirements-test.lock --output-file requirements.lock

COMPILE = .venv-lock/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header --quiet $(UPGRADE)

# A stamp says which lock the environment was built from: it is built again when the lock, the package's description or
# a message catalogue changes, and never otherwise, so that the second `make demo` needs no network.
.venv/demo: requirements-demo.lock $(PACKAGE) | .venv/bin/python
	@echo "Installing what the demo needs into .venv (about a minute the first time) ..."
	@$(INSTALL) --require-hashes --requirement requirements-demo.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/test: requirements-test.lock $(PACKAGE) | .venv/bin/python
	@echo "Installing what the tests need into .venv (a minute or two the first time) ..."
	@$(INSTALL) --require-hashes --requirement requirements-test.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/bin/python:
	@[ -n "$(PYTHON)" ] || { echo "Samen needs Python 3.11 or newer, and none was found." \
		"On Debian or Ubuntu: apt install python3 python3-venv; or name one: make PYTHON=/path/to/python3"; exit 1; } >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Samen needs Python 3.11 or newer;" \
		"$(PYTHON) is not. Name another: make PYTHON=/path/to/python3"; exit 1; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module." \
		"On Debian or Ubuntu: apt install python3-venv; elsewhere install a full Python 3.11 or newer."; exit 1; } >&2
	@$(PYTHON) -m venv --clear .venv

.venv-lock/bin/uv: | .venv/bin/python
	$(BIN)/python -m venv .venv-lock
	.venv-lock/bin/pip install --disable-pip-version-check --quiet uv
