# Every entry point. A fresh machine needs Python 3.11 to 3.13, pip, make, gcc and git.
.DEFAULT_GOAL := help
SHELL   := /bin/bash

PYTHON  ?= python3
DATASET ?= auto
DATA_DIR ?= $(or $(TFDS_DATA_DIR),build/datasets)
MODELS  ?= build/models
NAME    ?= films
ADDRESS ?= localhost:8500
ARCHIVE ?= ml-100k.zip
BASE    ?= HEAD~1

UV_VERSION := 0.13.9
UV      := .tools/uv-$(UV_VERSION)/bin/uv
UVX     := $(UV) tool run -q --python $(PYTHON)
RUN     := $(UV) run --no-sync
BUF     := $(UVX) --from buf-bin==1.72.0 buf
PROTOC  := $(UVX) --from grpcio-tools==1.80.0 --with mypy-protobuf==5.1.0 python -m grpc_tools.protoc
STUBS   := client/src/recserve
# Contracts are held against the last release; before the first one, against main.
AGAINST := $(shell git describe --tags --abbrev=0 2>/dev/null || echo main)

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-13s %s\n",$$1,$$2}' $(MAKEFILE_LIST)

$(UV):
	$(PYTHON) -m venv .tools/uv-$(UV_VERSION)
	.tools/uv-$(UV_VERSION)/bin/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)

setup: $(UV) ## install everything into .venv
	$(UV) sync --locked --all-packages --python $(PYTHON)

demo: setup ## train, serve and ask for recommendations, then stop (DATASET=... DATA_DIR=...)
	$(RUN) python tests/e2e/demo.py --dataset $(DATASET) --data-dir $(DATA_DIR)

train: setup ## train and export a new version (DATASET=... MODELS=... NAME=...)
	$(RUN) recserve-train --dataset $(DATASET) --data-dir $(DATA_DIR) --models $(MODELS) --name $(NAME)

serve: setup ## serve the newest version until interrupted (MODELS=... ADDRESS=...)
	$(RUN) recserve-serve --models $(MODELS) --address $(ADDRESS)

test: setup ## every fast test, one real train, serve and ask included
	$(RUN) pytest -q -n 2 --dist loadfile

test-long: setup ## tests that take long, one after another (about 30 minutes)
	$(RUN) pytest -q -m long

test-batcher: setup ## the batcher's state machine under 10,000 examples (about 3 minutes)
	RECSERVE_EXAMPLES=10000 $(RUN) pytest -q --timeout 1800 tests/unit/server/test_batching_machine.py

chaos: setup ## faults at random times on three replicas under load (CHAOS="--minutes 15 --seed 1 ...", 20 minutes)
	$(RUN) python tests/chaos/run.py --report build/chaos.json --markdown build/chaos.md $(CHAOS)

soak: setup ## an hour of steady load with a new version each minute (SOAK="--minutes 60 ...")
	$(RUN) python tests/chaos/soak.py --report build/soak.json --markdown build/soak.md $(SOAK)

bench: setup ## measure recserve against a bare gRPC server (BENCH="--rivals --rounds 5 ...")
	$(RUN) python benchmarks/bench.py $(BENCH)

quality: setup ## measure every model family against published results (ARCHIVE=ml-100k.zip, about an hour)
	$(RUN) python benchmarks/quality.py --archive $(ARCHIVE)

bench-growth: setup ## measure and plot what larger catalogues cost (BENCH="--sizes 1000 10000 ...")
	$(RUN) python benchmarks/growth.py $(BENCH)
	$(RUN) --with matplotlib==3.11.2 python benchmarks/growth_plot.py

bench-sdk: setup ## measure what the SDK costs over gRPC's own stub
	$(RUN) python benchmarks/sdk.py $(BENCH)

bench-reload: setup ## measure what callers feel of a new version under load
	$(RUN) python benchmarks/reload.py $(BENCH)

bench-against: setup ## compare with an earlier revision (BASE=main~20 BENCH="--rounds 7 ...")
	$(RUN) python benchmarks/against.py --base $(BASE) $(BENCH)

bench-admission: setup ## simulate whom to let in when there are too many (BENCH="--rounds 5")
	$(RUN) python benchmarks/admission.py $(BENCH)

bench-loadtest: setup ## hold the load tester's figures against h2load's
	$(RUN) python benchmarks/agreement.py $(BENCH)

descriptors: setup ## write build/recserve.pb, what Envoy needs to speak JSON
	$(RUN) python deploy/envoy/make_descriptors.py build/recserve.pb

diversity: setup ## measure what a more varied list costs in accuracy (MODELS=... DATASET=...)
	$(RUN) python benchmarks/diversity.py --models $(MODELS) --dataset $(if $(filter auto,$(DATASET)),movielens/100k,$(DATASET)) --data-dir $(DATA_DIR)

check: lint protos-check ## all of lint, stub drift, contract compatibility

lint: setup ## formatting, lint, types, import direction, proto lint
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(RUN) lint-imports
	$(BUF) lint protos
	$(BUF) format --diff --exit-code protos

format: setup ## rewrite formatting
	$(RUN) ruff format .
	$(RUN) ruff check --fix .
	$(BUF) format --write protos

protos: $(UV) ## regenerate the stubs in client/src/recserve
	rm -rf $(STUBS)
	cd protos && ../$(PROTOC) -I . --python_out=../client/src --mypy_out=../client/src $$(find recserve -name '*.proto' | sort)
	cd protos && ../$(PROTOC) -I . --grpc_python_out=../client/src --mypy_grpc_out=../client/src $$(grep -lrE '^service ' recserve | sort)
	find $(STUBS) -type d -exec touch {}/__init__.py \;
	touch $(STUBS)/py.typed

protos-check: protos ## fail if the stubs were stale or a contract broke
	@test -z "$$(git status --porcelain -- $(STUBS))" || { git status --short -- $(STUBS); echo "stubs were stale: commit the result of 'make protos'"; exit 1; }
	$(BUF) breaking protos --against '.git#ref=$(AGAINST),subdir=protos'

docs: $(UV) ## build the documentation into build/site
	$(UV) run --isolated --locked --only-group docs --python $(PYTHON) mkdocs build --strict

wheels: $(UV) ## build dist/*.whl
	$(UV) build --all-packages --wheel -o dist

clean: ## remove what the targets made, the environment included
	rm -rf .venv .tools build dist

.PHONY: help setup demo train serve test test-long test-batcher chaos soak bench quality bench-growth bench-sdk bench-against bench-admission bench-loadtest bench-reload descriptors diversity check lint format protos protos-check docs wheels clean
