# Every target works from a fresh clone: it first makes what it needs.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
UNDER_CI := $(if $(CI),1,)

.PHONY: demo demo-reset test check format bench soak system clean

demo: $(BIN)/.run                ## serve on port 8000 with a made-up agency
	@$(BIN)/kaona demo

demo-reset: $(BIN)/.run          ## the same, starting anew
	@rm -rf var/demo.db var/demo.db-wal var/demo.db-shm var/demo.db.lock
	@$(BIN)/kaona demo

test: system $(BIN)/.dev check   ## everything that CI runs
	$(BIN)/kaona check
	TMPDIR=$$(.ci/scratch) $(BIN)/pytest -q -n auto --dist loadfile --no-loadscope-reorder

check: $(BIN)/.dev               ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(BIN)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(BIN)/.dev               ## the figures in docs/benchmarks.md
	$(BIN)/python -m benchmarks

soak: $(BIN)/.dev                ## long: thousands of kills, a large walk; not in CI
	$(BIN)/pytest -q -m soak -o addopts= tests

system:                          ## what tests need from the system, where it is missing
	@.ci/packages

# the whole environment is made at once: the lock is pinned and hashed and names no host
$(BIN)/.run: requirements/run.lock pyproject.toml
	@.ci/environment "$(PYTHON)" requirements/run.lock
	@touch $@

$(BIN)/.dev: requirements/dev.lock pyproject.toml
	@.ci/environment "$(PYTHON)" requirements/dev.lock
	@touch $@ $(BIN)/.run

lock:                            ## after a change of dependencies in pyproject.toml (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml -o requirements/run.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml --group dev -o requirements/dev.lock

clean:
	rm -rf .venv var .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
