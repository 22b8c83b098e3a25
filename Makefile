# Needs Python 3.11 or newer, and nothing else: everything is installed into .venv.

PYTHON ?= python3
CORES ?= all
VENV := .venv
INSTALLED := $(VENV)/.installed
DEMO := results/demo
SOAK ?= 20
SNAKEMAKE := snakemake --configfile config/demo.yaml --cores $(CORES)
SNAKEMAKE_TABLES := snakemake --configfile config/demo.yaml config/demo_tables.yaml \
    --cores $(CORES)
SNAKEMAKE_SPOT := snakemake --configfile config/demo.yaml config/demo_spot.yaml \
    --cores $(CORES)

# The tools of .venv come first, in every command below.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help venv demo demo-tables demo-spot test soak lint schema clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

venv: $(INSTALLED) ## install everything into .venv

$(INSTALLED): requirements.lock pyproject.toml
	@test -x $(VENV)/bin/python || \
	    $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) --version 2>&1);" \
	         "name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --disable-pip-version-check --quiet -r requirements.lock
	$(VENV)/bin/python -m pip install --disable-pip-version-check --quiet --no-deps -e .
	touch $@

demo: venv ## generate videos, train everything on them, print the table
	$(SNAKEMAKE) demo
	@$(MAKE) --no-print-directory $(DEMO)/report.zip
	@cat $(DEMO)/tables/charades.md
	@echo "Report: $(DEMO)/report.zip   Result: $(DEMO)/charades_ensemble.json"

demo-tables: venv ## the papers' tables, every row trained on the demo's videos; longer
	$(SNAKEMAKE_TABLES) paper_results
	$(SNAKEMAKE_TABLES) paper_tables
	@cat $(DEMO)/tables/table*.md
	@echo "Figure: $(DEMO)/figures/figure2.svg"

demo-spot: venv ## segments of which few are labelled, five seeds, after the demo
	$(SNAKEMAKE_SPOT) $(DEMO)/tables/spot_charades.md
	$(SNAKEMAKE_SPOT) --report $(DEMO)/spot_report.zip $(DEMO)/tables/spot_charades.md
	@cat $(DEMO)/tables/spot_charades.md
	@echo "Report: $(DEMO)/spot_report.zip"

$(DEMO)/report.zip: $(DEMO)/tables/charades.csv
	$(SNAKEMAKE) --report $@ demo

$(DEMO)/tables/charades.csv: ;

test: venv ## all tests, the whole tiny workflow among them
	OMP_NUM_THREADS=1 pytest -n auto --dist worksteal -m 'slow or not slow'

soak: venv ## tests of faults, SOAK times over; writes the matrix of tests/faults/README.md
	OMP_NUM_THREADS=1 pytest -n auto --timeout 3600 tests/faults \
	    --soak $(SOAK) --keep-matrix

lint: venv ## format, lint and types, of the package and of the workflow
	ruff format --check .
	ruff check .
	mypy ssdet
	snakefmt --check workflow
	snakemake --lint

schema: venv ## write workflow/schemas/config.schema.json anew
	python -m ssdet.config_schema > workflow/schemas/config.schema.json

environment.yml: requirements.lock
	{ printf '%s\n' \
	    '# For conda users: the versions of requirements.lock. Made by make environment.yml.' \
	    'name: ssdet' 'channels: [conda-forge]' 'dependencies:' \
	    '  - python =3.11' '  - pip' '  - pip:'; \
	  sed -nE 's/^([A-Za-z].*)$$/      - \1/p' requirements.lock; } > $@

clean: ## remove what the demo and the tests wrote; results of real work stay
	rm -rf $(DEMO) results/test .pytest_cache .mypy_cache .ruff_cache .hypothesis
