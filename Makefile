# `make demo` from a bare clone shows the whole idea; `make test` proves it. Both set up everything they need.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

# nothing we start reports to anybody, and no interpreter is downloaded
export DO_NOT_TRACK := 1
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export DAGSTER_DISABLE_TELEMETRY := yes
export UV_PYTHON_DOWNLOADS := never
# compiled once here: where PYTHONDONTWRITEBYTECODE is set, every process would otherwise compile Dagster and dbt anew (7 CPU s a run)
export UV_COMPILE_BYTECODE := 1
export LAKE_ROOT ?= $(CURDIR)/lake

PYTHON ?= python3
BIN := .venv/bin
PEOPLE ?= 1500
SEED ?= 7

.PHONY: help setup parse demo test slow faults ui lint format types imports check bench screenshots clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-12s %s\n", $$1, $$2}'

setup: $(BIN)/biodam dbt_project/target/manifest.stamp ## install from the lock file, parse the dbt project

$(BIN)/biodam: pyproject.toml uv.lock
	@if command -v uv >/dev/null && uv --version >/dev/null 2>&1; then
	  uv=uv
	else
	  uv=.uv/bin/uv
	  if [ ! -x $$uv ]; then
	    $(PYTHON) -m venv .uv
	    .uv/bin/pip install --quiet --disable-pip-version-check uv
	  fi
	fi
	$$uv sync --locked
	$(BIN)/python -m compileall -q assets orchestration
	touch $@

dbt_project/target/manifest.stamp: $(BIN)/biodam $(shell find dbt_project -name target -prune -o -name logs -prune -o -type f \( -name '*.sql' -o -name '*.yml' -o -name '*.csv' \) -print) $(wildcard assets/contracts/*.toml assets/privacy/rules/*.toml)
	@echo "reading the dbt project"
	$(BIN)/python -c 'from assets.dbt_manifest import parse_project; parse_project()'

parse: $(BIN)/biodam ## parse the dbt project again
	@$(BIN)/python -c 'from assets.dbt_manifest import parse_project; parse_project()'

demo: setup ## simulate a small country, land it, build every mart, publish, look at it
	@country=$$(mktemp -d)
	trap 'rm -rf "$$country"' EXIT
	say() { printf '\n\033[1m$$ %s\033[0m\n' "$$*"; }
	try() { say "$$@"; $(BIN)/"$$@"; }
	query() { say "biodam sql \"$$1\""; $(BIN)/biodam sql "$$1"; }
	try biodam simulate --people $(PEOPLE) --seed $(SEED) --out "$$country/country"
	try biodam deliver "$$country/country/deliveries" --link
	try biodam run
	try biodam status
	query "select count(*) as people, count(*) filter (where gender_concept_id = 8532) as women, min(year_of_birth) as oldest from person"
	query "select count(*) as people, round(avg(hba1c_latest_percent), 2) as mean_latest_hba1c from cohort_type2_diabetes"
	query "select name, rows, description from biodam_tables order by rows desc limit 8"
	printf '\n%s\n' "The lake is in $(LAKE_ROOT). What next:" \
	  "  .venv/bin/biodam run                     nothing new: costs next to nothing" \
	  "  .venv/bin/biodam sql                     type SQL on the published tables" \
	  "  .venv/bin/biodam quarantine list         what was planted and refused, with file, record and rule" \
	  "  make ui                                  lineage, partitions, checks and runs in Dagster" \
	  "  README.md                                five minutes as analyst, five as data engineer"

test: setup ## the whole test suite
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

slow: setup ## tests that take minutes
	@$(BIN)/python -m pytest -q -m slow

faults: setup ## every fault scenario, long ones too, and a table of what held; REPORT=docs/FAULTS.md writes it there, SITES=all tries every system call
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal -m scenario --fault-costs 20 $(if $(SITES),--fault-sites $(SITES) --timeout 0) $(if $(REPORT),--fault-report $(REPORT))

ui: setup ## Dagster on this lake, http://127.0.0.1:3000
	@$(BIN)/biodam ui

lint: $(BIN)/biodam ## ruff
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(BIN)/biodam ## let ruff rewrite
	@$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(BIN)/biodam ## mypy
	@$(BIN)/mypy

imports: $(BIN)/biodam ## import rules
	@$(BIN)/lint-imports

check: lint types imports test ## what CI runs

bench: setup ## figures of bench/README.md (minutes)
	@$(BIN)/python -m bench.fhir_door
	$(BIN)/python -m bench.synthea_build --patients 10000
	$(BIN)/python -m bench.country --people 100000

screenshots: setup ## pictures of the UI for docs/images (needs Chromium; see bench/screenshots.py)
	@$(BIN)/python -m bench.screenshots

clean: ## what builds leave; never the lake
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache dbt_project/target dbt_project/logs
