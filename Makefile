# Every target works on a fresh clone with Python 3.11 to 3.13 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

COMPILED := build/compiled

.PHONY: setup up test check fuzz protos bench bench-reliability simulations docs lock image release-check clean

setup: $(INSTALLED)

$(INSTALLED): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) else f"Python 3.11 to 3.13 is needed, this is {v[0]}.{v[1]}: make PYTHON=python3.12")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

up: setup
	$(BIN)/fairlead up digits

# All tests on the source tree, then those of the request path on the modules that a wheel has compiled.
test: setup $(COMPILED)
	tools/install_test_packages.sh
	-$(BIN)/python -m benchmarks.harness.environments triton
	$(BIN)/python -m pytest
	PYTHONPATH=$(COMPILED) $(BIN)/python -m pytest tests/serving tests/telemetry tests/transport

# The wheel that `pip install .` makes, unpacked: whoever has it first on PYTHONPATH runs what is compiled.
$(COMPILED): $(INSTALLED) hatch_build.py pyproject.toml $(shell find src -name '*.py')
	rm -rf $@ build/wheel
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir build/wheel .
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $@ build/wheel/*.whl
	@touch $@

# Format, lint, types, import contracts, and that the lock files and generated pages are up to date.
check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_tree.py

# The descriptors that the gRPC port loads, from the .proto files beside them; settings.md too.
protos: setup
	$(BIN)/python tools/check_tree.py --write

# Every REST route and both codecs, with as many examples each as one likes: make fuzz EXAMPLES=1000000
EXAMPLES ?= 10000
fuzz: setup
	FAIRLEAD_FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest --timeout=0 $$(grep -l @given tests/transport/test_*.py)

# Needs wrk and h2load (Debian: wrk, nghttp2-client) and two cores; benchmarks/README.md tells the method.
bench: setup $(COMPILED)
	PYTHONPATH=$(COMPILED) $(BIN)/python -m benchmarks.throughput
	PYTHONPATH=$(COMPILED) $(BIN)/python -m benchmarks.prediction_log
	PYTHONPATH=$(COMPILED) $(BIN)/python -m benchmarks.instrumentation
	$(BIN)/python -m benchmarks.training
	PYTHONPATH=$(COMPILED) $(BIN)/python -m benchmarks.messages

bench-reliability: export PYTHONPATH = $(COMPILED)
bench-reliability: setup $(COMPILED)
	$(BIN)/python -m benchmarks.swaps
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.overload
	$(BIN)/python -m benchmarks.slow_clients
	$(BIN)/python -m benchmarks.authentication
	$(BIN)/python -m benchmarks.tenants
	$(BIN)/python -m benchmarks.tenants --overload --workers 2
	$(BIN)/python -m benchmarks.container
	$(BIN)/python -m benchmarks.scrape
	$(BIN)/python -m benchmarks.outages
	$(BIN)/python -m benchmarks.kills

# The statistics at full size, into docs/simulations; the pictures need a published digits model and MNIST.
simulations: setup
	$(BIN)/python -m benchmarks.simulations.rollouts
	$(BIN)/python -m benchmarks.simulations.drift
	$(BIN)/python -m benchmarks.simulations.estimators
	$(BIN)/python -m benchmarks.simulations.pictures --store $(or $(FAIRLEAD_HOME),.fairlead)/store

# The documentation as a site, in build/site: open its index.html.
docs: setup
	$(BIN)/python -m mkdocs build --strict

# Needs uv (pip install uv); the files name no index, and those of the product keep hashes.
# Not with PyTorch, whose wheels for Linux bring gigabytes of CUDA: tests take that of Debian.
LOCK = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml
SERVE = --extra access --extra console --extra object-store --extra postgresql --extra redis --extra signing --extra tracing
TRAIN = --extra control --extra parquet --extra sklearn --extra tensorflow --extra train
lock:
	$(LOCK) --extra all --group dev -o requirements/dev.txt
	$(LOCK) -c requirements/dev.txt -o requirements/serve.txt
	$(LOCK) -c requirements/dev.txt --group build -o requirements/build.txt
	$(LOCK) -c requirements/dev.txt $(SERVE) -o requirements/image-serve.txt
	$(LOCK) -c requirements/dev.txt $(SERVE) $(TRAIN) -o requirements/image-train.txt
	$(LOCK) -c requirements/dev.txt --extra tensorboard -o requirements/image-tensorboard.txt
	for peer in benchmarks/peers/*/requirements.in; do \
		uv pip compile --quiet --python-version 3.11 --no-header --no-annotate $$peer -o $${peer%.in}.txt; done

# The images, by the names that deploy/ knows them by: make image BUILDER=podman
BUILDER ?= docker
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
IMAGE = $(BUILDER) build -f deploy/container/Dockerfile --build-arg VERSION=$(VERSION)
# podman's own format has no health checks.
image: export BUILDAH_FORMAT = docker
image:
	$(IMAGE) --target serve -t fairlead:$(VERSION) .
	$(IMAGE) --target controller -t fairlead-train:$(VERSION) .
	$(IMAGE) --target tensorboard -t fairlead-tensorboard:$(VERSION) .

# What a release goes through: tests (TESTS=... for some), a trained model, its gate, the image with it, and a run of that.
TESTS ?= tests
release-check: setup
	$(BIN)/python -m pytest $(TESTS)
	PATH="$(CURDIR)/$(BIN):$$PATH" tools/release_check.sh

clean:
	rm -rf $(VENV) .bench build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
