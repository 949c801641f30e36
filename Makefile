# The commands of docs/development.md. `make` lists them. Each needs uv: pip install uv
.DEFAULT_GOAL := help
.PHONY: help setup test check lint format types layers coverage floors fuzz run ci

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## make .venv with all packages, extras and tools
	uv sync

test:  ## all tests, offline; `make test ARGS=tests/repo` runs one folder
	uv run pytest $(ARGS)

check: lint types layers  ## everything but the tests

lint:  ## the linter and the formatter, without changing a file
	uv run ruff check
	uv run ruff format --check

format:  ## correct style and format
	uv run ruff check --fix
	uv run ruff format

types:  ## both type checkers, strict
	uv run mypy
	uv run pyright

layers:  ## the direction of imports
	uv run lint-imports

coverage:  ## all tests, then the share of lines and branches that they run
	uv run pytest --cov --cov-report=term --cov-report=html $(ARGS)

floors:  ## all tests against the oldest dependencies that the packages allow
	uv run --resolution lowest-direct pytest $(ARGS)

fuzz:  ## the long run of schemathesis over the OpenAPI documents
	ONEBRAIN_FUZZ=10 uv run pytest tests/server/test_openapi.py

run:  ## the quickstart
	uv run cookbooks/quickstart.py

ci:  ## everything that CI runs, from a clean checkout
	.ci/run
