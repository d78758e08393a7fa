# PART="unit lint-mypy" restricts `make test`; KEEP=1 leaves the demo's hosts up.
PYTHON ?= python3
MAKEFLAGS += --no-print-directory

.PHONY: demo test lint format benchmark setup clean

demo:
	@$(PYTHON) -m tools.setup demo
	@KEEP='$(KEEP)' tools/demo

test: setup
	@$(PYTHON) -m tools.check $(PART)

lint: setup
	@$(PYTHON) -m tools.check lint sanity unit

format: setup
	@.venv/newest/bin/ruff check --fix --unsafe-fixes --select I,UP006,UP007,UP035,UP045,RUF005 --quiet --exit-zero
	@.venv/newest/bin/ruff format

# SUITE="role traffic" restricts it.
benchmark:
	@$(PYTHON) -m tools.setup benchmark
	@.venv/benchmark/bin/python -m benchmarks $(SUITE)

setup:
	@$(PYTHON) -m tools.setup

clean:
	rm -rf .ansible .cache .venv tests/output
