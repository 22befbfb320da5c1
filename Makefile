# Two commands do everything on a fresh machine:
#
#   make demo    sets up an environment and diarizes examples/call.wav with the embedded model
#   make test    sets up an environment for development and runs the tests
#
# Paths are relative, so a checkout in a folder with spaces works. PYTHON=python3.12 chooses another
# interpreter (3.11 or newer).

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint docs benchmarks clean

demo: .venv/user
	$(BIN)/sed diarize examples/call.wav --channel split --rttm out/call.rttm --timeline
	@echo; echo 'out/call.rttm:'; cat out/call.rttm

test: .venv/developer
	$(BIN)/pytest -q

lint: .venv/developer
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/developer
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

benchmarks: .venv/developer
	for script in benchmarks/*.py; do $(BIN)/python "$$script" || exit 1; done

clean:
	rm -rf .venv site out

# The stamps make the second run quick; a changed pyproject.toml installs anew.
.venv/user: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/developer: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch .venv/user $@
