# make report   install, simulate the demo operator, render the monthly edition
# make test     what CI runs; make test-all also runs the slow tests
# make lab      open the notebooks
# make validate measure coverage and bias against simulated truth (slow), written to tests/VALIDITY.md
# make bench    time the monthly edition, then time and memory on large tables, beside other ways to the same (slow)
# make upgrade  pin the newest packages (needs uv), install them, and compare with every witness again

ENV := .venv
BIN := $(ENV)/bin
STAMP := $(ENV)/installed
SUITABLE := import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))
# The first Python that fits. Override with `make PYTHON=/path/to/python report`.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c "$(SUITABLE)" 2>/dev/null && { command -v $$p; break; }; done)

.DEFAULT_GOAL := report
.PHONY: report test test-all lab validate bench upgrade

report: $(STAMP)
	$(BIN)/cxresearch report monthly

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow"

test-all: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

lab: $(STAMP)
	$(BIN)/cxresearch lab

validate: $(STAMP)
	$(BIN)/python tests/validity.py

bench: $(STAMP)
	$(BIN)/python -m benchmarks.report
	$(BIN)/python -m benchmarks

# The stamp is written last, so an installation that was interrupted is taken up again.
# First the pinned packages, checked against their hashes; then this project, which adds no package.
$(STAMP): requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || command -v uv >/dev/null || { \
		echo "make: no Python 3.11 to 3.14 with venv found (Debian: apt install python3-venv); or name one: make PYTHON=/path/to/python" >&2; exit 2; }
	@if command -v uv >/dev/null; then set -ex; \
		uv venv --quiet --allow-existing $(if $(PYTHON),--python "$(PYTHON)") $(ENV); \
		uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.txt; \
		uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .; \
	else set -ex; \
		"$(PYTHON)" -m venv $(ENV); \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	fi
	@touch $@

upgrade:
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
		--no-annotate --custom-compile-command "make upgrade" --extra test --group build pyproject.toml -o requirements.txt
	$(MAKE) $(STAMP)
	$(BIN)/python -m pytest -q -n 2 --dist loadfile tests/test_witness*.py tests/test_reference*.py tests/test_published.py
