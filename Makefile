# Everything happens in .venv; every target sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin

# Of `make image`: the engine is the first that answers; flags go to its build.
ENGINE ?= $(firstword $(foreach name,docker podman,$(shell $(name) info >/dev/null 2>&1 && echo $(name))))
BASE_IMAGE ?= python:3.11-slim
IMAGE ?= lacuna
IMAGE_FLAGS ?=
VERSION = $(shell sed -n 's/^VERSION = "\(.*\)"/\1/p' lacuna/distribution.py)

INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Distributions of this repository, as they stand in it; what they need is locked and installed before.
INSTALL_OURS = $(INSTALL) --no-build-isolation --no-deps
COMPILE = uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
	$(foreach name,-server -training,--no-emit-package lacuna-segmentation$(name)) --no-emit-package lacuna-segmentation

# Several workers, because many tests wait. A file stays with one worker, and so do its servers.
PYTEST = $(BIN)/python -m pytest --numprocesses $(WORKERS) --maxprocesses 8 --dist loadfile
WORKERS ?= auto

.PHONY: help setup train-setup serve test test-slow test-all check format unasync docs bench lock demo wheels image clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

.venv/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one with make PYTHON=…"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/serve.stamp: requirements/serve.txt pyproject.toml service/pyproject.toml | .venv/pyvenv.cfg
	$(INSTALL) --require-hashes -r requirements/serve.txt
	$(INSTALL_OURS) -e . -e service
	@touch $@

.venv/train.stamp: requirements/train.txt pyproject.toml model/pyproject.toml | .venv/pyvenv.cfg
	$(INSTALL) --require-hashes -r requirements/train.txt
	$(INSTALL_OURS) -e . -e model
	@touch $@

.venv/dev.stamp: .venv/serve.stamp requirements/dev.txt model/pyproject.toml
	$(INSTALL) --require-hashes -r requirements/dev.txt
	$(INSTALL_OURS) -e model
	@touch $@

setup: .venv/serve.stamp  ## install the server into .venv

train-setup: .venv/train.stamp  ## install the training code into .venv

serve: .venv/serve.stamp  ## set up and serve the demo model on http://127.0.0.1:8000
	@exec $(BIN)/lacuna serve

test: .venv/dev.stamp  ## set up and run the tests, but for the slow ones
	$(PYTEST) -m "not slow"

test-slow: .venv/dev.stamp  ## the slow tests
	$(PYTEST) -m slow

test-all: test test-slow  ## all tests

check: .venv/dev.stamp  ## formatting, lint, strict types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python scripts/write_blocking_client.py --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/dev.stamp  ## put the code into its canonical form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

unasync: .venv/dev.stamp  ## write the blocking client from the asynchronous one
	$(BIN)/python scripts/write_blocking_client.py

docs: .venv/dev.stamp  ## write docs/formats.md and the table of docs/configuration.md from the code
	$(BIN)/python docs/write_configuration.py
	$(BIN)/python docs/write_formats.py

bench: .venv/dev.stamp  ## benchmarks, as ratios
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/serving.py
	$(BIN)/python benchmarks/memory.py

demo: .venv/dev.stamp  ## train, score and export the demo model again, with its samples and the README's picture
	$(BIN)/lacuna-model train --preset groundcover --output runs/groundcover
	$(BIN)/lacuna-model evaluate runs/groundcover
	$(BIN)/lacuna-model export runs/groundcover service/demo/models/groundcover/1
	$(BIN)/lacuna check service/demo/models/groundcover/1
	$(BIN)/lacuna-model samples service/demo/samples
	$(BIN)/python docs/draw_pictures.py

image:  ## build the container image, with docker or podman
	@test -n "$(ENGINE)" || { echo "docker or podman is needed, and its daemon where it has one"; exit 1; }
	$(ENGINE) build $(if $(filter podman,$(notdir $(ENGINE))),--format docker) $(IMAGE_FLAGS) \
		--build-arg BASE_IMAGE=$(BASE_IMAGE) --build-arg VERSION=$(VERSION) \
		-t $(IMAGE):latest -t $(IMAGE):$(VERSION) .
	@$(ENGINE) image inspect --format '{{.Size}}' $(IMAGE):$(VERSION) \
		| awk '{ printf "$(IMAGE):$(VERSION) has %.2f GB\n", $$1 / 1e9 }'

lock:  ## resolve the dependencies again (needs uv)
	$(COMPILE) --extra serve --extra otel --group build pyproject.toml -o requirements/serve.txt
	$(COMPILE) --extra serve --extra otel --extra train --extra vector --group dev -c requirements/serve.txt pyproject.toml -o requirements/dev.txt
	$(COMPILE) --extra train --extra vector --group build -c requirements/dev.txt pyproject.toml -o requirements/train.txt

wheels: .venv/serve.stamp  ## build the three wheels into dist/
	@for folder in . service model; do (cd $$folder && $(CURDIR)/$(BIN)/python -m hatchling build -t wheel -d $(CURDIR)/dist) || exit 1; done

clean:  ## remove the environment and all caches
	rm -rf .venv .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache dist
