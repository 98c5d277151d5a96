# imcnas: every target sets up what it needs; PYTHON= chooses the interpreter (3.11 or newer).
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# On another Linux machine the public index gives torch's CUDA build (gigabytes); for the CPU build:
#   make setup PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_ARGS ?=
WORKERS  ?= 2
TEST_ARGS ?=

.PHONY: help setup check test e2e protos search up bench clean

help: ## say what can be made
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

setup: $(READY) ## make ./.venv with everything in it

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "imcnas needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Fix: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@echo "Installing imcnas and what it stands on into $(VENV) (a minute or two)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[dev]'
	$(BIN)/python -m services.hw_oracle.compiled
	@touch $@

check: $(READY) ## lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(READY) ## every test
	$(BIN)/pytest $(TEST_ARGS)

e2e: $(READY) ## only the end-to-end tests: processes, SIGKILL, three services
	$(BIN)/pytest -m e2e $(TEST_ARGS)

protos: $(READY) ## generate the gRPC stubs and docs/reference.md from protos/
	$(BIN)/python protos/generate.py
	$(BIN)/python protos/reference.py

search: $(READY) ## the main job: a real search on handwritten digits
	$(BIN)/imcnas search --dataset digits-hard --space small --objective accuracy/latency --trials 30 --workers $(WORKERS)

up: $(READY) ## the three services on loopback, until Ctrl-C
	$(BIN)/imcnas serve all

bench: $(READY) ## measure, and print what benchmarks/RESULTS.md records
	$(BIN)/python -m benchmarks.oracle
	$(BIN)/python -m benchmarks.oracle_rpc
	$(BIN)/python -m benchmarks.search_time
	$(BIN)/python -m benchmarks.store
	$(BIN)/python -m benchmarks.search_loop
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.stop_rule
	$(BIN)/python -m benchmarks.analog
	$(BIN)/python -m benchmarks.fine_tuning
	$(BIN)/python -m benchmarks.trainer_overhead

clean: ## remove the environment and caches; never a study
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
