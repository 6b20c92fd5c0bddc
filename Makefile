# Everything that is done with this project. `make help` tells.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

UV_VERSION := 0.13.9
# A uv that is on PATH serves; otherwise one is put into .uv.
UV := $(or $(shell command -v uv),.uv/bin/uv)
T ?= tests
RUN := .venv/bin/python -m
PYTEST := $(RUN) pytest -p tests.plugins.no_skips -p tests.plugins.tallies
# What takes other servers and tools, or long; `make test` leaves it out.
HEAVY := minio or helm or faults or image
# Tests that measure time run by themselves. Of a narrow choice one group may be empty (5).
EACH := -n auto --dist loadgroup -m
# The last that there was; whoever has none and no Go skips its tests, aloud.
MINIO := github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
HELM := helm.sh/helm/v4/cmd/helm@v4.3.1
GO_BIN := $(CURDIR)/.go/bin
# What is neither on PATH nor built is built where Go is.
build = if command -v go >/dev/null && ! command -v $(1) >/dev/null && ! test -x $(GO_BIN)/$(1); then GOBIN=$(GO_BIN) go install $(2); fi
BUILD_MINIO = $(call build,minio,$(MINIO))
BUILD_HELM = $(call build,helm,$(HELM))
OR_NONE := || [ $$? -eq 5 ]
LAST_TAG := $(shell git describe --tags --abbrev=0 --match 'v*' 2>/dev/null)
CHART := deploy/helm/modelkeep
PROTOS := $(shell find proto -name '*.proto')
# Inside .venv, so that it goes when that does.
READY := .venv/.ready

.PHONY: help setup gen check fix test test-all test-long soak mutants demo bench image clean

help: ## Print every target
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## Make .venv with everything, .venv/bin/modelkeep too

$(READY): pyproject.toml uv.lock hatch_build.py $(PROTOS)
	@./tools/preflight
	@command -v uv >/dev/null || test -x .uv/bin/uv || { python3 -m venv .uv && .uv/bin/pip install --quiet uv==$(UV_VERSION); }
	$(UV) sync --frozen --reinstall-package modelkeep
	@touch $@

gen: ## Make what is made from the contract: Python code, the page of errors
	@rm -f $(READY)
	@$(MAKE) --no-print-directory setup
	.venv/bin/python tools/errors_page.py

check: setup ## Format, lint, types, layers, contract, what is deployed
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy $(wildcard client/modelkeep server/modelkeep_server tests tools bench demo)
	.venv/bin/lint-imports
	.venv/bin/buf format --diff --exit-code --path proto/modelkeep
	.venv/bin/buf lint
	.venv/bin/python tools/errors_page.py --check
	.venv/bin/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml
	.venv/bin/check-jsonschema --schemafile $(CHART)/values.schema.json $(CHART)/values.yaml
	.venv/bin/hadolint Dockerfile
	$(if $(LAST_TAG),.venv/bin/buf breaking --against '.git#tag=$(LAST_TAG)',@echo "no release yet: nothing to break")

fix: setup ## Repair what check can repair
	$(RUN) ruff format .
	$(RUN) ruff check --fix .
	.venv/bin/buf format --write --path proto/modelkeep

test: setup ## Run the tests; T=tests/domain narrows
	$(PYTEST) $(EACH) "not alone and not ($(HEAVY))" $(T) $(OR_NONE)
	$(PYTEST) -m "alone and not ($(HEAVY))" $(T) $(OR_NONE)

test-all: test ## Run also what takes MinIO or Helm, built with Go if not on PATH, or takes long
	@$(BUILD_MINIO)
	@$(BUILD_HELM)
	PATH="$(GO_BIN):$$PATH" $(PYTEST) $(EACH) "($(HEAVY)) and not alone" $(T) $(OR_NONE)
	PATH="$(GO_BIN):$$PATH" $(PYTEST) -m "($(HEAVY)) and alone" $(T) $(OR_NONE)

test-long: setup ## Run the suites of rounds at full length: an hour or so
	LONG=1 $(PYTEST) $(EACH) "rounds and not alone" $(T) $(OR_NONE)
	LONG=1 $(PYTEST) -m "rounds and alone" $(T) $(OR_NONE)

soak: setup ## Let 200 clients use three replicas for 10 minutes, or MINUTES=120, while these are restarted
	@$(BUILD_MINIO)
	PATH="$(GO_BIN):$$PATH" $(RUN) tests.soak

mutants: setup ## Show that each test of faults fails on a build with its fault; M=name for one
	$(RUN) tools.mutants $(M)

demo: setup ## Train, push, promote, pull and compare real models
	$(RUN) demo

bench: setup ## Measure speed as ratios; QUICK=1 for a short run, ROWS="get list" for some
	@$(BUILD_MINIO)
	PATH="$(GO_BIN):$$PATH" UV=$(UV) $(RUN) bench

image: ## Build the container image; IMAGE_FLAGS="--build-arg BASE=…" for another base
	@# Of the two formats only docker's keeps the health check.
	@if command -v buildah >/dev/null; then \
	    buildah bud --format docker --tag modelkeep $(IMAGE_FLAGS) .; \
	elif command -v docker >/dev/null; then \
	    docker build --tag modelkeep $(IMAGE_FLAGS) .; \
	else \
	    echo "modelkeep needs buildah or docker to build an image. On Debian and Ubuntu: sudo apt-get install buildah" >&2; exit 1; \
	fi

clean: ## Remove what was made
	rm -rf .venv .venv-mlflow .uv .go build dist client/modelkeep/v1 .*_cache .hypothesis
