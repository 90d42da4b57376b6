# SPDX-License-Identifier: Apache-2.0
# Every target sets itself up in $(VENV) first; a set-up that is still valid costs nothing.

VENV ?= .venv
PYTHON ?= python3
JOBS ?= 2
BIN = $(VENV)/bin
ASKING = $(addprefix benchmarks/,realism.py audit_auroc.py translation_real.py)  # for files of yours
SHELL = /bin/bash
.SHELLFLAGS = -eu -o pipefail -c
.DEFAULT_GOAL = help
.PHONY: help setup check format test demo bench clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 10

setup: $(VENV)/.stamp  ## make the virtual environment and find the system libraries
	@bash scripts/system_libraries.sh "$(VENV)"

$(VENV)/.stamp: pyproject.toml constraints.txt scripts/set_up.sh scripts/system_libraries.sh
	@PYTHON="$(PYTHON)" bash scripts/set_up.sh "$(VENV)"
	@touch $@

check: $(VENV)/.stamp  ## format, lint, types, direction of imports, a light --help
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python scripts/check_light_help.py

format: $(VENV)/.stamp  ## rewrite the sources the way `check` wants them
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

test: $(VENV)/.stamp  ## all tests in JOBS processes, warnings are errors
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile

demo: $(VENV)/.stamp  ## the whole pipeline, small and offline, with a report in demo/
	$(BIN)/endoforge demo --out demo

bench: $(VENV)/.stamp-bench  ## every figure that the README quotes, one JSON object each
	@mkdir -p benchmarks/results
	@for script in $(filter-out $(ASKING),$(wildcard benchmarks/*.py)); do \
	  echo "$$script" >&2; \
	  $(BIN)/python "$$script" | tee "benchmarks/results/$$(basename "$$script" .py).json"; \
	done

# Open3D only serves as the opponent in a comparison; where it cannot be had, that part is left out.
$(VENV)/.stamp-bench: $(VENV)/.stamp
	@$(BIN)/python -m pip install -qq -c constraints.txt --group bench \
	  || echo "Open3D could not be installed: the comparison with it is left out." >&2
	@touch $@

clean:  ## remove what the targets made, the virtual environment included
	rm -rf "$(VENV)" demo dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
