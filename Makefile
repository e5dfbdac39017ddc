# Everything happens in .venv; every target sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin

# Of `make image`: the engine is the first that answers; flags go to its build.
ENGINE ?= $(firstword $(foreach name,docker podman,$(shell $(name) info >/dev/null 2>&1 && echo $(name))))
BASE_IMAGE ?= python:3.11-slim
IMAGE ?= lacuna
IMAGE_FLAGS ?=
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

.PHONY: help serve test check format docs bench lock demo image clean

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

.venv/serve.stamp: requirements/serve.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one with make PYTHON=…"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/serve.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

.venv/dev.stamp: .venv/serve.stamp requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

serve: .venv/serve.stamp  ## set up and serve the demo model on http://127.0.0.1:8000
	@exec $(BIN)/lacuna serve

test: .venv/dev.stamp  ## set up and run all tests
	$(BIN)/python -m pytest

check: .venv/dev.stamp  ## formatting, lint, strict types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/dev.stamp  ## put the code into its canonical form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/dev.stamp  ## write the table of docs/configuration.md from the settings
	$(BIN)/python docs/write_configuration.py

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
	uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --extra serve --extra otel --group build pyproject.toml -o requirements/serve.txt
	uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --extra serve --extra otel --extra train --group dev -c requirements/serve.txt pyproject.toml -o requirements/dev.txt

clean:  ## remove the environment and all caches
	rm -rf .venv .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache dist
