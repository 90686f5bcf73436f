# Everything runs in .venv, which the bootstrap makes from the hashed lock files the first time.
# Honoured by all: PORT, IDENTITY_PORTAL_HOME, IDENTITY_PORTAL_PUBLIC_URL, DATABASE_URL, DATABASE_OWNER_URL,
# REDIS_URL, IDENTITY_PORTAL_ALLOWED_PRIVATE_UPSTREAMS. ARGS is passed on to pytest and to the bench.

PYTHON ?= python3
ARGS ?=
# -I: nothing beside the script, and nothing from the caller's environment, stands in for a standard module.
BOOTSTRAP = $(PYTHON) -I identity_portal/bootstrap.py
RUN = $(BOOTSTRAP) run --
DEV = $(BOOTSTRAP) dev --
VENV = .venv/bin/python
# Tools that only load the settings need key files and addresses, not a running portal.
NOWHERE = $(CURDIR)/.venv/nowhere
TOOL_ENV = env IDENTITY_PORTAL_HOME=$(CURDIR)/.venv/tool-home DATABASE_OWNER_URL= \
	DATABASE_URL='postgresql://portal_app@/identity_portal?host=$(NOWHERE)' REDIS_URL='unix://$(NOWHERE)/redis.sock'

.DEFAULT_GOAL := help
.PHONY: help demo run test test-faults bench lint types migrations check

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## start the portal with a demo provider and walk one agent through it (ONCE=1: then stop)
	@exec $(DEV) $(VENV) -m identity_portal.supervisor --demo

run: ## start the portal on PORT (8080), with its own PostgreSQL and Redis unless their URLs are set
	@exec $(RUN) $(VENV) -m identity_portal.supervisor

test: ## run the test suite but for the slow ones (ARGS="-k word" narrows it)
	@exec $(DEV) $(VENV) -m pytest -n auto -m "not slow" $(ARGS)

test-faults: ## run the slow tests: kills, outages, the whole demo, long measurements
	@exec $(DEV) $(VENV) -m pytest -m slow $(ARGS)

bench: ## measure the hot path on this machine
	@exec $(DEV) $(VENV) -m benchmarks $(ARGS)

lint: ## check style, formatting and the import contracts
	@$(DEV) $(VENV) -m ruff check .
	@$(DEV) $(VENV) -m ruff format --check .
	@$(DEV) .venv/bin/lint-imports

types: ## check the types
	@$(TOOL_ENV) $(DEV) $(VENV) -m identity_portal.supervisor --prepare
	@$(TOOL_ENV) $(DEV) $(VENV) -m mypy apps identity_portal manage.py

migrations: ## check that every model change has its migration
	@$(TOOL_ENV) $(DEV) $(VENV) -m identity_portal.supervisor --prepare
	@$(TOOL_ENV) $(DEV) $(VENV) -W ignore manage.py makemigrations --check --dry-run

check: lint types migrations test test-faults ## everything that has to pass before a change is merged
