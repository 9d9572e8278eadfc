.DEFAULT_GOAL := help
.PHONY: help setup check fix test golden bench notebooks docs demo

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## environment from the lock file, and the hooks of .pre-commit-config.yaml where prek is installed
	uv sync --locked
	@if command -v prek >/dev/null; then prek install; fi

check:  ## lock file, lint, format, types, layers: what CI checks before any test
	uv lock --check
	uv run ruff check .
	uv run ruff format --check .
	uv run basedpyright
	uv run lint-imports

fix:  ## lint and format what can be mended automatically
	uv run ruff check --fix .
	uv run ruff format .

test:  ## every test
	uv run pytest

golden:  ## the golden runs against their stored results (rewrite: uv run ufos golden --update)
	uv run ufos golden

bench:  ## benchmarks: rows per second, memory, ratios
	uv run python -m benchmarks

notebooks:  ## execute every notebook
	scripts/notebooks

docs:  ## rewrite what is generated: the capability table and the pinned public names
	uv run python scripts/capabilities.py --write
	uv run python scripts/public_names.py --write

demo:  ## a first result
	uv run ufos demo
