# SPDX-License-Identifier: Apache-2.0
# Builds and tests this repository. `perennial` (in .venv/bin) operates a live platform.
# Variables: ENV= environment (lab), AREA= one area only, YES=1 do not ask, PYTEST= arguments for pytest,
# UPGRADE=1 for lock.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

ENV ?= lab
AREA ?=
YES ?=
PYTEST ?=

root := $(CURDIR)
export PATH := $(root)/.tools/bin:$(root)/.venv/bin:$(PATH)
export PYTHONPATH := $(root)
python := $(root)/.venv/bin/python
SETUP := infra/toolchain/setup.sh
OPERATE := $(python) -m infra.make
area := $(if $(AREA),--area $(AREA))
yes := $(if $(YES),--yes)

# Folders that hold Python of ours; one that does not exist yet, or holds none, is left out.
python_dirs = $(foreach d,infra backup loadtests alerts runbooks tests,$(if $(shell find $(d) -name '*.py' -print -quit 2>/dev/null),$(d)))
fast_tests = $(wildcard $(if $(AREA),tests/*/test_$(AREA)*.py,tests/unit tests/policy tests/templates))
lab_tests = $(wildcard tests/host tests/lab)

.PHONY: help setup up converge down check test verify bench drill lock
.PHONY: check-ruff check-format check-types check-yaml check-ansible check-shell check-php check-tests

help: ## list the targets (this list)
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile
	@echo "  Variables: ENV=lab (environment), AREA=<one area>, YES=1 (do not ask)"

setup: ## packages, .venv, Pulumi CLI; fast when all is there
	@$(SETUP) up check

up: ## from nothing to a running platform: provision, configure, check
	@$(SETUP) up
	@$(OPERATE) up --env $(ENV) $(yes)

converge: ## configure the hosts of a platform that is up
	@$(SETUP) up
	@$(OPERATE) converge --env $(ENV) $(if $(AREA),--tags $(AREA))

down: ## take the platform down without a trace (disposable environments)
	@$(SETUP) up
	@$(OPERATE) down --env $(ENV) $(yes)

check: setup ## linters, types and fast tests: under 2 minutes, touches no lab
	@$(MAKE) -k -j2 --output-sync=target check-ruff check-format check-types check-yaml check-ansible check-shell check-php
	@$(MAKE) check-tests

check-ruff:
	@echo "== ruff check"; ruff check --quiet .
check-format:
	@echo "== ruff format"; ruff format --quiet --check --diff .
check-types:
	@echo "== mypy"; mypy --no-error-summary $(python_dirs)
check-yaml:
	@echo "== yamllint"; yamllint --strict .
check-ansible:
	@echo "== ansible-lint"; ANSIBLE_INVENTORY=infra/toolchain/lint-inventory.yml ANSIBLE_INVENTORY_ENABLED=yaml ansible-lint -q
check-shell:
	@echo "== shellcheck"; infra/toolchain/lint.sh shell
check-php:
	@echo "== php -l"; infra/toolchain/lint.sh php
check-tests:
	@echo "== pytest"; pytest -n 2 -q $(PYTEST) $(fast_tests)

test: ## check, then the lab layers on a lab of their own, named test
	@$(SETUP) up check test
	@$(MAKE) check
	@$(if $(lab_tests),pytest -m "not drill" $(PYTEST) $(if $(AREA),-k "$(AREA)") $(lab_tests),echo "no lab tests yet")

verify: ## the platform as visitors, authors and administrators meet it
	@$(SETUP) up test
	@$(OPERATE) verify --env $(ENV) $(area)

bench: ## measure, side by side in one run, and print ratios
	@$(SETUP) up bench
	@$(OPERATE) bench --env $(ENV) $(area)

drill: ## every alert, fault and recovery: hours, resumable
	@$(SETUP) up test
	@$(OPERATE) drill --env $(ENV) $(area)

compile = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)
lock: setup ## turn requirements/*.in into locks with hashes (UPGRADE=1: newest versions)
	@$(compile) requirements/dev.in -o requirements/dev.txt
	@$(compile) -c requirements/dev.txt requirements/run.in -o requirements/run.txt
