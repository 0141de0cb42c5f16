# Two commands do everything on a fresh machine: `make demo` and `make test`.
# Python 3.11, 3.12 or 3.13 is needed; the first of these that is there is taken, `make PYTHON=python3.12 demo` names another.

FITS   := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(or $(shell for name in python3 python3.13 python3.12 python3.11; do \
  $$name -c '$(FITS)' >/dev/null 2>&1 && echo $$name && break; done),python3)
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(or $(shell command -v uv 2>/dev/null),$(BIN)/uv)
REQ    := requirements
# The interpreter is the machine's own; nothing is fetched but packages with the hashes in requirements/.
export UV_PYTHON_DOWNLOADS := never
export PYTHONPATH := $(CURDIR)
# A company's copy has settings and use cases of its own, which the tests of the product do not know.
AS_SHIPPED := $(BIN)/python tests/as_shipped.py
# What a machine downloads that has none of the packages yet.
MEGABYTES_RUN := 900
MEGABYTES_DEV := 1000
announce = echo "installing $$(grep -c '^[a-z].*==' $(REQ)/$(1).txt) packages into $(VENV), each with its hash; a machine that" \
  "has none of them downloads about $(2) MB, once"

.DEFAULT_GOAL := help
.PHONY: help setup demo cloud rehearse test prove check bench audit lock clean

help: ## say what each command does
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 8

setup: $(VENV)/.dev ## install everything and run nothing; afterwards there is a command .venv/bin/mlops

demo: $(VENV)/.run ## set everything up, synthesize three environments and live through a year of flights in them
	@$(BIN)/python -m infra describe --json build/estate.json >/dev/null
	@$(BIN)/python -m infra cost --json build/cost.json >/dev/null
	@$(BIN)/python -m pipelines demo --estate build/estate.json

cloud: $(VENV)/.run ## serve an emulated Azure and Databricks on this machine, until Ctrl-C
	$(BIN)/python -m infra cloud

rehearse: $(VENV)/.dev ## go from a commit to prod and back in the emulated cloud, with the steps of the pipelines
	$(BIN)/python -m infra rehearse

test: $(VENV)/.dev ## set everything up and run the tests
	@$(AS_SHIPPED) $(BIN)/pytest -n auto --dist loadgroup --no-loadscope-reorder

prove: $(VENV)/.dev ## run the tests that take too long for every run: injected errors at each step, second engine, writers at once
	@$(AS_SHIPPED) $(BIN)/pytest -n auto --dist loadgroup --no-loadscope-reorder -m proof

check: $(VENV)/.dev ## before a commit: style, types, walls between the rooms, tests of what changed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(AS_SHIPPED) $(BIN)/pytest -n auto --dist loadgroup $$($(BIN)/python tests/changed_rooms.py)

bench: $(VENV)/.dev $(VENV)-peers/.peers $(VENV)-serving-peer/.peers ## print the figures, each beside its alternative
	$(BIN)/python -m benchmarks

audit: $(VENV)-audit/.audit ## look for known weaknesses in every package that the lock files name
	failed=; for name in dev run job build uv peers serving_peer audit az; do \
	  $(VENV)-audit/bin/pip-audit --vulnerability-service osv --require-hashes --disable-pip --progress-spinner off \
	    -r $(REQ)/$$name.txt || failed="$$failed $$name"; \
	done; test -z "$$failed" || { echo "known weaknesses in:$$failed"; exit 1; }

lock: $(VENV)/.dev ## compile the requirements again
	for name in dev run job build uv peers serving_peer audit az; do \
	  $(UV) pip compile $(REQ)/$$name.in -o $(REQ)/$$name.txt \
	    $$(case $$name in run | job) echo -c $(REQ)/dev.txt;; esac) \
	    --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q || exit 1; \
	done

clean: ## remove what runs have left, but not the lakehouse
	rm -rf demo cdktf.out dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@$(PYTHON) -c '$(FITS)' || \
	  { echo "Python 3.11, 3.12 or 3.13 is needed, $(PYTHON) is $$($(PYTHON) --version 2>&1): make PYTHON=python3.12 ..."; exit 1; }
	@echo "making the environment $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

# uv from the PATH, or else installed into the project's own environment.
$(BIN)/uv: | $(BIN)/python
	@echo "installing uv, which installs the rest"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(REQ)/uv.txt

$(VENV)/.run: $(REQ)/run.txt | $(BIN)/python $(UV)
	@$(call announce,run,$(MEGABYTES_RUN))
	@$(UV) pip install --python $(BIN)/python --require-hashes --compile-bytecode -r $(REQ)/run.txt
	@cp pipelines/command_line/mlops.sh $(BIN)/mlops
	@touch $@

$(VENV)/.dev: $(REQ)/dev.txt | $(BIN)/python $(UV)
	@$(call announce,dev,$(MEGABYTES_DEV))
	@$(UV) pip install --python $(BIN)/python --require-hashes --compile-bytecode -r $(REQ)/dev.txt
	@cp pipelines/command_line/mlops.sh $(BIN)/mlops
	@touch $@ $(VENV)/.run

# The tools that `make bench` compares with; they fit into one environment neither with the rest nor with each other.
$(VENV)-peers/.peers: $(REQ)/peers.txt | $(BIN)/python $(UV)
	$(PYTHON) -m venv $(VENV)-peers
	$(UV) pip install --quiet --python $(VENV)-peers/bin/python --require-hashes --compile-bytecode -r $(REQ)/peers.txt
	@touch $@

$(VENV)-serving-peer/.peers: $(REQ)/serving_peer.txt | $(BIN)/python $(UV)
	$(PYTHON) -m venv $(VENV)-serving-peer
	$(UV) pip install --quiet --python $(VENV)-serving-peer/bin/python --require-hashes --compile-bytecode -r $(REQ)/serving_peer.txt
	@touch $@

# The real Azure command line, with which a rehearsal signs in where it is installed.
$(VENV)-az/.az: $(REQ)/az.txt | $(BIN)/python $(UV)
	$(PYTHON) -m venv $(VENV)-az
	$(UV) pip install --quiet --python $(VENV)-az/bin/python --require-hashes --compile-bytecode -r $(REQ)/az.txt
	@touch $@

# The tool that `make audit` looks with, apart from what it looks at.
$(VENV)-audit/.audit: $(REQ)/audit.txt | $(BIN)/python $(UV)
	$(PYTHON) -m venv $(VENV)-audit
	$(UV) pip install --quiet --python $(VENV)-audit/bin/python --require-hashes --compile-bytecode -r $(REQ)/audit.txt
	@touch $@
