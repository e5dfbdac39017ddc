# Everything happens in .venv; every target sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin

# Of `make image`: the engine is the first that answers; flags go to its build.
ENGINE ?= $(firstword $(foreach name,docker podman,$(shell $(name) info >/dev/null 2>&1 && echo $(name))))
BASE_IMAGE ?= python:3.11-slim
IMAGE ?= lacuna
IMAGE_FLAGS ?=
# Of `make image-multi`.
PLATFORMS ?= linux/amd64,linux/arm64
VERSION = $(shell sed -n 's/^VERSION = "\(.*\)"/\1/p' lacuna/distribution.py)
# The time and name of the commit, so that the same sources make the same labels.
EPOCH = $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null),0)
CREATED = $(shell $(PYTHON) -c 'import time; print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime($(EPOCH))))')
REVISION = $(or $(shell git rev-parse HEAD 2>/dev/null),unknown)
BUILD_ARGS = --build-arg BASE_IMAGE=$(BASE_IMAGE) --build-arg VERSION=$(VERSION) \
	--build-arg REVISION=$(REVISION) --build-arg CREATED=$(CREATED)
IS_PODMAN = $(filter podman,$(notdir $(ENGINE)))
RELEASE = dist/lacuna-$(VERSION)

# On a terminal pip shows what it downloads, because that takes minutes.
QUIET := $(shell test -t 2 || echo --quiet)
INSTALL = $(BIN)/python -m pip install $(QUIET) --disable-pip-version-check
# A line below pip's own errors.
OR_EXPLAIN = || { echo "pip must download the packages of $< once, and could not; its errors are above. Is this machine online? PIP_INDEX_URL names a mirror."; exit 1; }
# Distributions of this repository, as they stand in it; what they need is locked and installed before.
INSTALL_OURS = $(INSTALL) --no-build-isolation --no-deps
COMPILE = uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
	$(foreach name,-server -training,--no-emit-package lacuna-segmentation$(name)) --no-emit-package lacuna-segmentation

# A file stays with one worker, and so do its servers. Files keep their order: those with few tests, which
# would come last, take longest. Many quick tests wait, so there is a worker more than there are cores.
PYTEST = $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder --maxprocesses 8 --durations 20
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
SLOW_WORKERS ?= auto

.PHONY: help setup ray-setup train-setup serve test test-slow test-all check format unasync interfaces docs docs-site bench lock demo wheels image image-multi sbom clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

.venv/pyvenv.cfg:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed; $(PYTHON) is not installed. Name one with make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; $(PYTHON) is %d.%d. Name another with make PYTHON=..." % sys.version_info[:2])'
	$(PYTHON) -m venv .venv

.venv/serve.stamp: requirements/serve.txt pyproject.toml service/pyproject.toml | .venv/pyvenv.cfg
	@echo "Installing TensorFlow and the server's other packages into .venv, once. This takes some minutes."
	@$(INSTALL) --require-hashes -r $< $(OR_EXPLAIN)
	$(INSTALL_OURS) -e . -e service
	@touch $@

.venv/ray.stamp: requirements/ray.txt .venv/serve.stamp
	$(INSTALL) --require-hashes -r requirements/ray.txt
	@touch $@

.venv/docs.stamp: requirements/docs.txt .venv/serve.stamp
	$(INSTALL) --require-hashes -r requirements/docs.txt
	@touch $@

.venv/train.stamp: requirements/train.txt pyproject.toml model/pyproject.toml | .venv/pyvenv.cfg
	$(INSTALL) --require-hashes -r requirements/train.txt
	$(INSTALL_OURS) -e . -e model
	@touch $@

.venv/dev.stamp: .venv/serve.stamp requirements/dev.txt model/pyproject.toml
	$(INSTALL) --require-hashes -r requirements/dev.txt
	$(INSTALL_OURS) -e model
	@touch $@

# What these clients require is locked but for what their tests do not need; so nothing is resolved.
.venv/stock-clients.stamp: requirements/stock-clients.txt | .venv/pyvenv.cfg
	$(BIN)/python -m venv --clear .venv/stock-clients
	.venv/stock-clients/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/stock-clients.txt
	@touch $@

# Generators of clients; that for TypeScript needs npm, and its test is skipped without it.
CLIENTS = .venv/openapi-clients
.venv/openapi-clients.stamp: requirements/openapi-clients.txt tests/service/generated/typescript/package-lock.json | .venv/pyvenv.cfg
	$(BIN)/python -m venv --clear $(CLIENTS)
	$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/openapi-clients.txt
	cp tests/service/generated/typescript/package*.json $(CLIENTS)
	if command -v npm >/dev/null; then cd $(CLIENTS) && npm ci --silent --ignore-scripts; else echo "npm cannot be had"; fi
	@touch $@

setup: .venv/serve.stamp  ## install the server into .venv

ray-setup: .venv/ray.stamp  ## install the server and Ray into .venv

train-setup: .venv/train.stamp  ## install the training code into .venv

serve: .venv/serve.stamp  ## set up and serve the demo's models on http://127.0.0.1:8000
	@exec $(BIN)/lacuna serve

test: .venv/dev.stamp  ## set up and run the tests, but for the slow ones
	$(PYTEST) --numprocesses $(WORKERS) -m "not slow"

test-slow: .venv/dev.stamp .venv/stock-clients.stamp .venv/openapi-clients.stamp  ## the slow tests
	$(PYTEST) --numprocesses $(SLOW_WORKERS) -m slow $(shell grep -rl --include='*.py' 'pytest.mark.slow' tests)

test-all: test test-slow  ## all tests

check: .venv/dev.stamp  ## formatting, lint, strict types, import contracts, links of the documentation
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python scripts/write_blocking_client.py --check
	$(BIN)/python scripts/compile_interfaces.py --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m scripts.documentation

format: .venv/dev.stamp  ## put the code into its canonical form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

unasync: .venv/dev.stamp  ## write the blocking client from the asynchronous one
	$(BIN)/python scripts/write_blocking_client.py

interfaces: .venv/dev.stamp  ## compile the interface files of gRPC
	$(BIN)/python scripts/compile_interfaces.py

docs: .venv/dev.stamp  ## write docs/formats.md, the table of docs/configuration.md and Kubernetes' alerts from their sources
	$(BIN)/python docs/write_configuration.py
	$(BIN)/python docs/write_formats.py
	$(BIN)/python scripts/write_prometheus_rules.py

docs-site: .venv/docs.stamp  ## build the documentation site in runs/site/html
	$(BIN)/python -m scripts.documentation

# As the server has it. A comment behind the value would leave spaces in it.
bench: export TF_ENABLE_ONEDNN_OPTS = 1
bench: .venv/dev.stamp  ## benchmarks, as ratios, and their record
	rm -rf runs/bench
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/converted.py
	$(BIN)/python benchmarks/serving.py --rows runs/bench/serving.json
	$(BIN)/python benchmarks/protocols.py --rows runs/bench/protocols.json
	$(BIN)/python benchmarks/scenes.py --side 10000 --valid 1.0 0.5 --kills 0 --rows runs/bench/scenes.json
	$(BIN)/python benchmarks/memory.py --rows runs/bench/memory.json
	$(BIN)/python benchmarks/record.py runs/bench

demo: .venv/dev.stamp  ## train, score and export groundcover again, with the samples and the README's pictures
	$(BIN)/lacuna-model train --preset groundcover --output runs/groundcover
	$(BIN)/lacuna-model evaluate runs/groundcover
	$(BIN)/lacuna-model export runs/groundcover service/demo/models/groundcover/1
	$(BIN)/lacuna check service/demo/models/groundcover/1
	$(BIN)/lacuna-model samples service/demo/samples
	$(BIN)/python docs/draw_pictures.py
	$(BIN)/python docs/film_page.py

image:  ## build the container image, with docker or podman
	@test -n "$(ENGINE)" || { echo "docker or podman is needed, and its daemon where it has one"; exit 1; }
	$(ENGINE) build $(if $(IS_PODMAN),--format docker) $(IMAGE_FLAGS) $(BUILD_ARGS) \
		-t $(IMAGE):latest -t $(IMAGE):$(VERSION) .
	@$(ENGINE) image inspect --format '{{.Size}}' $(IMAGE):$(VERSION) \
		| awk '{ printf "$(IMAGE):$(VERSION) has %.2f GB\n", $$1 / 1e9 }'

image-multi:  ## build the image for several platforms into dist/, as an archive
	@test -n "$(ENGINE)" || { echo "docker or podman is needed, and its daemon where it has one"; exit 1; }
	@mkdir -p dist
	@rm -f $(RELEASE).oci.tar
ifneq ($(IS_PODMAN),)
	-$(ENGINE) manifest rm $(IMAGE)-multi:$(VERSION) 2>/dev/null
	$(ENGINE) build $(IMAGE_FLAGS) $(BUILD_ARGS) --platform $(PLATFORMS) --manifest $(IMAGE)-multi:$(VERSION) .
	$(ENGINE) manifest push --all $(IMAGE)-multi:$(VERSION) oci-archive:$(RELEASE).oci.tar
else
	$(ENGINE) buildx build $(IMAGE_FLAGS) $(BUILD_ARGS) --platform $(PLATFORMS) --output type=oci,dest=$(RELEASE).oci.tar .
endif

sbom: .venv/dev.stamp  ## copy the SBOM and the licences out of the image into dist/, and check them
	@mkdir -p dist
	$(ENGINE) run --rm --network none --entrypoint cat $(IMAGE):$(VERSION) /usr/share/doc/lacuna/sbom.cdx.json >$(RELEASE).cdx.json
	$(ENGINE) run --rm --network none --entrypoint cat $(IMAGE):$(VERSION) /usr/share/doc/lacuna/THIRD-PARTY-NOTICES >$(RELEASE)-THIRD-PARTY-NOTICES
	$(BIN)/python -m deploy.inventory.check $(RELEASE).cdx.json requirements/serve.txt

lock:  ## resolve the dependencies again (needs uv)
	$(COMPILE) --extra serve --extra grpc --extra onnx --extra otel --group build pyproject.toml -o requirements/serve.txt
	$(COMPILE) --extra serve --extra grpc --extra onnx --extra otel --extra ray --extra train --extra vector --extra compare --group dev -c requirements/serve.txt pyproject.toml -o requirements/dev.txt
	$(COMPILE) --extra serve --extra grpc --extra onnx --extra otel --extra ray --group build -c requirements/dev.txt pyproject.toml -o requirements/ray.txt
	$(COMPILE) --group inventory -c requirements/dev.txt -o requirements/inventory.txt
	$(COMPILE) --group docs -c requirements/dev.txt -o requirements/docs.txt
	$(COMPILE) --extra train --extra vector --extra compare --group build -c requirements/dev.txt pyproject.toml -o requirements/train.txt
	$(COMPILE) --python-version 3.11 --group stock-clients --overrides requirements/stock-clients-overrides.in -o requirements/stock-clients.txt
	$(COMPILE) --python-version 3.11 --group openapi-clients -o requirements/openapi-clients.txt

wheels: .venv/serve.stamp  ## build the three wheels into dist/
	@for folder in . service model; do (cd $$folder && $(CURDIR)/$(BIN)/python -m hatchling build -t wheel -d $(CURDIR)/dist) || exit 1; done

clean:  ## remove the environment, all caches, and the packages built in dist/
	rm -rf .venv .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache dist
