# Each target builds what it needs from a machine that has Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests mostly wait, so that two cores have time for four.
SPREAD := -n 4 --dist loadfile
# In their short forms; the one against a cluster mostly waits, and is run by itself.
CAMPAIGNS := tests/campaigns tests/clients tests/bench
ALONE := tests/campaigns/cluster
CONSTRAINTS := playsmart_gateway/constraints.txt
PIP := $(BIN)/pip --quiet --disable-pip-version-check

# A container's habit that costs each of the tests' processes a second: all compile the same modules.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test campaigns properties lint check bench load simulate crash lake phones conformance abuse cluster fuzz mutants constraints install clean

help: ## list these targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: $(VENV)/.core ## start a development gateway on 127.0.0.1:8000 and print a request to paste
	@$(BIN)/playsmart-gateway serve --dev $(ARGS)

test: $(VENV)/.dev ## run the tests
	@$(BIN)/pytest $(SPREAD) $(CAMPAIGNS:%=--ignore %) $(ARGS)

campaigns: $(VENV)/.dev ## run the campaigns, the clients and the benchmark in their short forms
	@$(BIN)/pytest $(SPREAD) $(CAMPAIGNS) --ignore $(ALONE) $(ARGS)
	@$(BIN)/pytest $(ALONE) $(ARGS)

properties: $(VENV)/.dev ## show each property all its examples; `make test` shows it a quarter
	@$(BIN)/pytest $(SPREAD) --ignore $(ALONE) -m hypothesis --hypothesis-profile=all $(ARGS)

lint: $(VENV)/.dev ## format, lint, import rules, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

check: lint ## the gate: lint, and all tests with coverage, those of campaigns too
	$(BIN)/pytest $(SPREAD) --ignore $(ALONE) --cov --cov-fail-under=75 $(ARGS)

bench: $(VENV)/.dev ## measure durable throughput beside its ceilings (ARGS="--json", "--plot FILE.png")
	@$(BIN)/python -m tests.bench $(ARGS)

load: $(VENV)/.core ## load a running gateway (ARGS="--duration 10 --connections 16")
	@$(BIN)/playsmart-gateway load $(ARGS)

simulate: $(VENV)/.dev ## run seeded simulations of faults (SEEDS=5000)
	@$(BIN)/python -m tests.campaigns.simulation --seeds $(or $(SEEDS),5000) $(ARGS)

crash: $(VENV)/.dev ## kill the real server again and again, move and remove its files, and count (ARGS="--rounds 200 --hands 100")
	@$(BIN)/python -m tests.campaigns.crash $(ARGS)

lake: $(VENV)/.dev ## kill what writes the lake a thousand times, and count (ARGS="--kills 1000 --seed 7", "--cost 600000" to measure)
	@$(BIN)/python -m tests.campaigns.lake $(ARGS)

phones: $(VENV)/.dev ## kill phones, their network and the server, and have SQL judge (ARGS="--client python --scene sqlite --lives 500", "--mutants")
	@$(BIN)/python -m tests.campaigns.phones $(ARGS)

conformance: $(VENV)/.dev ## hold our clients of every language to all cases, and kill them (ARGS="--client python --lives 300")
	@$(BIN)/python -m tests.campaigns.clients $(ARGS)

abuse: $(VENV)/.dev ## attack the real server beside a player, and measure (ARGS="--seconds 10 --workers 2")
	@$(BIN)/python -m tests.campaigns.abuse $(ARGS)

cluster: $(VENV)/.dev ## kill and cut off NATS servers, PostgreSQL, workers and gateways, and count (ARGS="--rounds 5")
	@$(BIN)/python -m tests.campaigns.cluster $(ARGS)

fuzz: $(VENV)/.dev ## hold a running gateway against /openapi.json (ARGS="--examples 1000 --seed 7")
	@$(BIN)/python -m tests.campaigns.fuzz $(ARGS)

mutants: $(VENV)/.dev ## change the core in some 5,000 places, and see whether a test notices (an hour; ARGS="playsmart_gateway.economy.coins*"; who survived: tests/survivors.md)
	@$(PIP) install 'mutmut>=3.8,<4'
	@$(BIN)/mutmut run $(ARGS); $(BIN)/mutmut results

constraints: ## write the newest versions that fit pyproject.toml into constraints.txt; run the tests then
	rm -rf $(VENV).fresh
	$(PYTHON) -m venv $(VENV).fresh
	$(VENV).fresh/bin/pip --quiet --disable-pip-version-check install '.[dev]'
	$(VENV).fresh/bin/pip --disable-pip-version-check freeze --exclude playsmart-gateway > $(VENV).fresh/frozen
	mv $(VENV).fresh/frozen $(CONSTRAINTS)
	rm -rf $(VENV).fresh

install: $(VENV)/.dev ## build .venv with everything for development

clean: ## remove .venv and caches; keeps data/
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .schemathesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.core: pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit("Python >= 3.11 is needed; try make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "building $(VENV) ..." >&2
	@$(PIP) install --constraint $(CONSTRAINTS) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	@$(PIP) install --constraint $(CONSTRAINTS) --editable '.[dev]'
	@touch $@
