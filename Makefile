# The front door. Every target makes its own environment first: Python >= 3.11, make and git are enough.
# An environment is set up again only when a lock or pyproject.toml has changed.

SHELL        := /bin/sh
MAKEFLAGS    += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV    := .venv
PY      := $(VENV)/bin/python
PIP     := $(PY) -m pip --disable-pip-version-check --no-input
LOCKS   := requirements
# Folders that hold Python, as far as they exist.
SOURCES := $(wildcard src tests benchmarks docs examples)

# Yours to set:
#   make test ARGS="-k ledger"   what pytest is given besides
#   make test WORKERS=4          how many test processes
#   make test PYTHON=/path/to/python3   which interpreter makes the environment
ARGS    ?=
WORKERS ?= auto
PYTHON  ?=

PYTEST  := $(PY) -m pytest -n $(WORKERS) --maxprocesses=8 --dist=worksteal

.PHONY: help
help: ## Show this list
	@if [ -t 1 ]; then bold=$$(printf '\033[1m'); plain=$$(printf '\033[0m'); else bold=; plain=; fi; \
	printf '\nToolgate: the gate between a model and your systems\n\n'; \
	awk -v bold="$$bold" -v plain="$$plain" 'BEGIN { FS = ":.*## " } \
	    /^[a-z-]+:.*## / { printf "  %smake %-10s%s %s\n", bold, $$1, plain, $$2 }' $(MAKEFILE_LIST); \
	printf '\n'

# --- What people come for -------------------------------------------------------------------------------------

.PHONY: demo
demo: $(VENV)/.runtime ## Run a scripted agent's day through the real gate
	@$(VENV)/bin/toolgate demo $(ARGS)

.PHONY: cluster
cluster: proxy ## Run the cluster of examples/cluster: three gateways, two workers, faults, and who counts
	@$(PY) -m examples.cluster.run $(ARGS)

.PHONY: test
test: browser peers proxy ## Run every test
	@$(PYTEST) $(ARGS)

.PHONY: check
check: peers ## Lint, format, types, direction of imports, generated docs, MCP's own suite
	@echo '==> ruff check'  && $(PY) -m ruff check .
	@echo '==> ruff format' && $(PY) -m ruff format --check .
	@echo '==> mypy'        && $(PY) -m mypy $(SOURCES)
	@echo '==> imports'     && $(VENV)/bin/lint-imports --no-logo
	@echo '==> docs'        && $(PY) docs/build.py --check
	@echo '==> conformance' && $(PY) -m tests.mcp.conformance

.PHONY: format
format: $(VENV)/.dev ## Format the code and mend what can be mended
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

.PHONY: bench
bench: $(VENV)/.bench ## Measure governed calls beside ungoverned ones
	@$(PY) -m benchmarks $(ARGS)

.PHONY: docs
docs: $(VENV)/.dev ## Write the reference pages from the code
	@$(PY) docs/build.py $(ARGS)

.PHONY: soak
soak: browser peers proxy ## Run the properties, the crash tests and the cluster's faults for long
	@HYPOTHESIS_PROFILE=soak $(PYTEST) --timeout=0 $(ARGS)

.PHONY: cover
cover: browser peers proxy ## Run every test and fail below the branch coverage that is asked for
	@$(PYTEST) --cov --cov-report=term-missing $(ARGS)

# --- The environment ------------------------------------------------------------------------------------------

# An environment that was made elsewhere (the tree was moved or copied), or whose interpreter has gone, is made anew;
# one made here by hand is taken as it is.
VENV_IS_OURS := $(shell test "$$(cat $(VENV)/.root 2>/dev/null)" = "$(CURDIR)" && $(PY) -c '' 2>/dev/null && echo yes)

.PHONY: FORCE
FORCE:

$(VENV)/.root: $(if $(VENV_IS_OURS),,FORCE)
	@set -eu; \
	if [ ! -e $(VENV)/.root ] && $(PY) -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    printf '%s\n' "$(CURDIR)" > $@; exit 0; \
	fi; \
	found=; without_venv=; \
	for candidate in $(if $(PYTHON),"$(PYTHON)",python3.13 python3.12 python3.11 python3.14 python3 python); do \
	    command -v "$$candidate" >/dev/null 2>&1 || continue; \
	    "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	    if "$$candidate" -c 'import ensurepip, venv' 2>/dev/null; then found=$$candidate; break; fi; \
	    without_venv=$${without_venv:-$$candidate}; \
	done; \
	if [ -z "$$found" ] && [ -n "$$without_venv" ]; then \
	    version=$$("$$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	    { echo "error: $$without_venv (Python $$version) cannot make environments: its venv or ensurepip module is missing."; \
	      echo "       On Debian and Ubuntu: apt install python$$version-venv"; \
	      echo "       Or name another one:  make PYTHON=/path/to/python3"; } >&2; \
	    exit 1; \
	fi; \
	if [ -z "$$found" ]; then \
	    { echo "error: no Python 3.11 or newer was found$(if $(PYTHON), at $(PYTHON))."; \
	      echo "       Install one, or name it: make PYTHON=/path/to/python3"; } >&2; \
	    exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$found" --version)"; \
	"$$found" -m venv --clear $(VENV); \
	printf '%s\n' "$(CURDIR)" > $@

# Three layers, each on top of the one before: what the program needs, what its tests need, what it is measured beside.
$(VENV)/.runtime: $(VENV)/.root $(LOCKS)/build.txt $(LOCKS)/runtime.txt pyproject.toml
	@echo 'Installing Toolgate from $(LOCKS)/runtime.txt'
	@$(PIP) install -qq --require-hashes -r $(LOCKS)/build.txt -r $(LOCKS)/runtime.txt
	@$(PIP) install -qq --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime $(LOCKS)/dev.txt
	@echo 'Installing the tools from $(LOCKS)/dev.txt'
	@$(PIP) install -qq --require-hashes -r $(LOCKS)/dev.txt
	@touch $@

$(VENV)/.bench: $(VENV)/.dev $(LOCKS)/bench.txt
	@echo 'Installing what we are measured beside from $(LOCKS)/bench.txt'
	@$(PIP) install -qq --require-hashes -r $(LOCKS)/bench.txt
	@touch $@

# Asked each time, because a browser of the machine may go without a word; it takes less than a tenth of a second.
.PHONY: browser
browser: $(VENV)/.dev
	@$(PY) -m tests.browser.provide

# What tests speak MCP with: programs of npm, run by the Node that comes with the environment.
.PHONY: peers
peers: $(VENV)/.dev
	@$(PY) -m tests.mcp.node.provide

# What stands before the gateways of a cluster, in its tests and its example.
.PHONY: proxy
proxy: $(VENV)/.dev
	@$(PY) -m tests.cluster.provide

.PHONY: setup
setup: browser peers proxy ## Set up the environment and nothing else

# --- Upkeep ---------------------------------------------------------------------------------------------------

# No local index may leave its files' hashes in a lock that everybody installs from.
UV      := env -u UV_FIND_LINKS -u UV_EXTRA_INDEX_URL -u UV_INDEX $(shell command -v uv || echo $(VENV)/bin/uv)
COMPILE := $(UV) --no-config pip compile --quiet --universal --python-version 3.11 --generate-hashes \
           --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'
# make lock UPGRADE=1 takes the newest of everything; without it only what pyproject.toml asks for moves.
COMPILE += $(if $(UPGRADE),--upgrade)

.PHONY: lock
lock: ## Write the hashed locks anew from pyproject.toml (needs uv; UPGRADE=1 for the newest)
	@$(COMPILE) pyproject.toml --extra server --extra jobs --extra postgres --extra otel -o $(LOCKS)/runtime.txt
	@$(COMPILE) --group build -c $(LOCKS)/runtime.txt -o $(LOCKS)/build.txt
	@$(COMPILE) pyproject.toml --extra server --extra jobs --extra postgres --extra otel --group dev -c $(LOCKS)/runtime.txt -c $(LOCKS)/build.txt -o $(LOCKS)/dev.txt
	@$(COMPILE) pyproject.toml --extra server --extra jobs --extra postgres --extra otel --group bench -c $(LOCKS)/dev.txt -o $(LOCKS)/bench.txt

.PHONY: lowest
lowest: ## Run every test on the oldest versions that pyproject.toml admits (needs uv)
	@$(UV) --no-config venv --quiet --clear --python $(PY) .cache/lowest
	@$(UV) --no-config pip install --quiet --python .cache/lowest/bin/python --resolution lowest-direct --group dev -e '.[server,jobs,postgres,otel]'
	@.cache/lowest/bin/python -m tests.browser.provide
	@.cache/lowest/bin/python -m tests.mcp.node.provide
	@.cache/lowest/bin/python -m pytest -n $(WORKERS) --maxprocesses=8 $(ARGS)

.PHONY: clean
clean: ## Remove what tools left behind, and keep the environment
	@rm -rf .cache build dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find $(SOURCES) -type d -name __pycache__ -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## Remove the environment as well
	@rm -rf $(VENV)
