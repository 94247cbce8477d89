# Every verb makes what it needs, in the repository, and a second call finds it made.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first interpreter found whose version the locked packages support.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c '$(SUPPORTED)' 2>/dev/null && echo "$$p" && break; done)
UV_VERSION := 0.13.9

BIN := .venv/bin
DATA ?= data
LISTEN ?= 127.0.0.1:50051
DEMO_ARGS ?=
PYTEST_ARGS ?=
# Two processes: the crash tests wait for disks more than they compute.
PYTEST := $(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)

# The locks are complete, so pip neither resolves nor builds. Byte code is made at first import, which is sooner than
# making it for everything.
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check --no-input
# Where an environment forbids byte code, every start of every process would parse its packages anew.
export PYTHONDONTWRITEBYTECODE :=
PIP_LOCKED := $(PIP) install --no-deps --no-compile --require-hashes --only-binary :all:
PIP_OURS := $(PIP) install --no-deps --no-build-isolation

.PHONY: help
help: ## list the verbs
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

.PHONY: demo
demo: .venv/.demo ## route real prompts with a real server and compare with the baselines; writes out/demo
	$(BIN)/python -m banditd_sim.demo $(DEMO_ARGS)

.PHONY: sim
sim: .venv/.demo ## install the simulator and real prompts for it; then: .venv/bin/banditd-sim --help
	@echo "Try: .venv/bin/banditd-sim datasets"

.PHONY: run
run: .venv/.server ## serve on LISTEN (127.0.0.1:50051) with the state in DATA (./data)
	$(BIN)/banditd serve --data $(DATA) --listen $(LISTEN)

.PHONY: test
test: .venv/.dev ## run the tests, then those of the kernels interpreted and with bounds checks
	$(PYTEST) -m "not long and not bench"
	NUMBA_DISABLE_JIT=1 $(PYTEST) -m "not long and not bench" tests/kernels
	NUMBA_BOUNDSCHECK=1 $(PYTEST) -m "not long and not bench" tests/kernels

.PHONY: test-long
test-long: .venv/.dev ## run the tests that take minutes to hours
	$(PYTEST) -m "long and not bench"

.PHONY: check
check: .venv/.dev .venv-proto/.made ## lint, types, layers, protos, generated code, Dockerfile
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/python -m mypy banditd clients/python/banditd_client sim/banditd_sim proto/generate.py
	$(BIN)/lint-imports --no-logo --cache-dir .cache/import-linter
	$(BIN)/buf lint proto
	.venv-proto/bin/python proto/generate.py --check
	$(BIN)/hadolint Dockerfile

.PHONY: bench
bench: .venv/.dev ## measure speed; prints a table and writes out/bench.json
	$(BIN)/python tests/bench/run.py

.PHONY: proto
proto: .venv-proto/.made ## generate clients/python/banditd_proto from proto/
	.venv-proto/bin/python proto/generate.py

# What this builds on is pinned already; UPGRADE=1 takes the newest versions instead.
.PHONY: lock
lock: .venv-lock/.made ## recompute requirements/*.lock from the pyproject files
	UV=.venv-lock/bin/uv requirements/lock.sh $(if $(UPGRADE),--upgrade)

# --- what the verbs need ---------------------------------------------------------------------------------------------

.venv/bin/python:
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(SUPPORTED)' || \
		{ echo "banditd needs Python 3.11 to 3.14; name one with: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version), once."
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

LOCKS_server := requirements/build.lock requirements/server.lock
LOCKS_demo := $(LOCKS_server) requirements/demo.lock
LOCKS_dev := $(LOCKS_demo) requirements/dev.lock

.venv/.server: $(LOCKS_server) pyproject.toml clients/python/pyproject.toml | .venv/bin/python
	@echo "Installing the server into .venv, once."
	@$(PIP_LOCKED) $(addprefix -r ,$(LOCKS_server))
	@$(PIP_OURS) -e clients/python -e .
	@touch $@

.venv/.demo: $(LOCKS_demo) pyproject.toml clients/python/pyproject.toml sim/pyproject.toml | .venv/bin/python
	@echo "Installing the server, the simulator and the demo's data into .venv, once."
	@$(PIP_LOCKED) $(addprefix -r ,$(LOCKS_demo))
	@$(PIP_OURS) -e clients/python -e . -e sim
	@touch .venv/.server $@

.venv/.dev: $(LOCKS_dev) pyproject.toml clients/python/pyproject.toml sim/pyproject.toml | .venv/bin/python
	@echo "Installing everything that tests and checks need into .venv, once."
	@$(PIP_LOCKED) $(addprefix -r ,$(LOCKS_dev))
	@$(PIP_OURS) -e clients/python -e . -e sim
	@touch .venv/.server .venv/.demo $@

# Generated code is made with an old grpcio-tools, which wants an older protobuf than the server's.
.venv-proto/.made: requirements/proto.lock | .venv/bin/python
	@echo "Installing the proto compiler into .venv-proto, once."
	@$(BIN)/python -m venv --without-pip .venv-proto
	@$(BIN)/python -m pip --python .venv-proto/bin/python -qq --disable-pip-version-check --no-input \
		install --no-deps --no-compile --require-hashes --only-binary :all: -r requirements/proto.lock
	@touch $@

.venv-lock/.made: | .venv/bin/python
	@$(BIN)/python -m venv --without-pip .venv-lock
	@$(BIN)/python -m pip --python .venv-lock/bin/python -qq --disable-pip-version-check --no-input \
		install --only-binary :all: uv==$(UV_VERSION)
	@touch $@
