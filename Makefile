# Two commands do all: `make study` runs the main job, `make test` the tests. Each sets up by itself.
PYTHON ?= python3
BIN := .venv/bin
STUDY ?= center-weight

.PHONY: study test quick torture golden check docs results clean

study: .venv/installed
	$(BIN)/n2n-ablate study $(STUDY)

test: .venv/installed-dev check
	$(BIN)/pytest -n 2 --dist worksteal

# What needs no study of its own, in two minutes, for daily work
quick: .venv/installed-dev
	$(BIN)/pytest -n 2 --dist worksteal -q --ignore tests/e2e --ignore tests/execute --ignore tests/browser \
		--ignore tests/tracking --ignore tests/torture --ignore tests/contract --ignore tests/project

# All slow tests, then kill -9 of workers, nodes and coordinators at 20 seeded moments with a table of
# what was lost (the same as the test that is left out): about an hour
torture: .venv/installed-dev
	$(BIN)/pytest -m "slow and not gpu" --timeout 1200 \
		--deselect tests/torture/test_torture.py::test_sixty_fits_and_twenty_kills
	$(BIN)/python benchmarks/torture.py

# The pages in tests/report/golden again, after a sentence or a table has changed: read them all
golden: .venv/installed-dev
	UPDATE_GOLDEN=1 $(BIN)/python -m pytest -q tests/report/test_golden.py
	git --no-pager diff --stat tests/report/golden

# Lint, format, types, layers
check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Generated pages, then the site in site/. The pictures of the gallery: docs/generate.py --gallery
docs: .venv/installed-dev
	$(BIN)/python docs/generate.py
	$(BIN)/zensical build --strict

# Every page of results, and what makes its figures again
results:
	@awk 'FNR == 1 {print FILENAME} /^(n2n-ablate|python benchmarks|make torture|Commands?:)/ {print "    " $$0}' docs/results/*.md

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "n2n-ablate needs Python 3.11 or newer; try: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/installed-dev: .venv/installed pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[dev,docs,ray,postgres]'
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info
