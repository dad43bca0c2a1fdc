# make run · make test · make test-swarm · make lint · make images REGISTRY=… · make bench · make storm · make attack
# make evaluate · make screenshots · make lock · make sbom · make audit DATABASE=… · make pin
PYTHON ?= python3
PHOTOS ?= sample_data
# The least that tests have to run of the code, in percent.
COVERAGE ?= 95
VENV := .venv
COMPOSE ?= docker-compose
BIN := $(VENV)/bin
# Where PyTorch's build for CPUs is found; empty, pip takes what its usual index has.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
LOCKED := $(PIP) --no-deps --require-hashes

.PHONY: run test test-swarm lint images bench storm attack evaluate lock sbom audit pin screenshots clean

run: $(VENV)/.run
	@$(BIN)/python -m local

test: $(VENV)/.test
	$(BIN)/python -m pytest --ignore=tests/swarm --cov --cov-report=term --cov-fail-under=$(COVERAGE)

# Three hosts on this machine, about 8 minutes.
test-swarm: $(VENV)/.test
	$(BIN)/python -m pytest tests/swarm

# Built and pushed, for deploy/: make images REGISTRY=registry.example.org/team TAG=1
images:
	@test -n "$(REGISTRY)" || { echo "REGISTRY says where to: make images REGISTRY=registry.example.org/team"; exit 2; }
	REGISTRY=$(REGISTRY) TAG=$(or $(TAG),latest) $(COMPOSE) -f docker-compose.yml -f deploy/images.yml build
	REGISTRY=$(REGISTRY) TAG=$(or $(TAG),latest) $(COMPOSE) -f docker-compose.yml -f deploy/images.yml push

lint: $(VENV)/.test
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy .
	$(BIN)/hadolint app_*/Dockerfile serving/Dockerfile nginx/Dockerfile experiment/Dockerfile
	$(BIN)/python -m tests.checks

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks

storm: $(VENV)/.test
	$(BIN)/python -m storm

attack: $(VENV)/.test
	$(BIN)/python -m attack

# The hashes of what constraints.txt names, after a change there or in a requirements.txt.
lock: $(VENV)/.test
	$(BIN)/python -m supply.lock

# What is installed, as CycloneDX.
sbom: $(VENV)/.test
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file sbom.json $(VENV)
	@echo "sbom.json"

# What is known against it, in a copy of a database of advisories (OSV).
audit: $(VENV)/.test
	@$(BIN)/python -m supply.audit $(DATABASE)

# The base images by digest, into .env, from the registry.
pin:
	@$(PYTHON) -m supply.pin

evaluate: $(VENV)/.test
	$(BIN)/python -m training.evaluate $(PHOTOS)

screenshots: $(VENV)/.test
	$(BIN)/python -m tests.pages.screenshots screenshots

clean:
	rm -rf $(VENV) .run .cache .coverage .mypy_cache .pytest_cache .ruff_cache *.egg-info

$(VENV)/.base:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.base constraints.txt pyproject.toml $(wildcard */requirements.lock app_*/requirements.txt)
	@echo "Installing what the system needs into $(VENV), about 500 MB; this takes a minute or two."
	$(PIP) --no-deps $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
	$(LOCKED) -r serving/requirements.lock -r traffic/requirements.lock -r experiment/requirements.lock
# A build of PyTorch for GPUs needs more.
	$(PIP) torch
	$(PIP) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) $(addprefix -r ,$(wildcard app_*/requirements.txt))
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.run
	$(PIP) --no-deps $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torchvision
	$(LOCKED) -r tests/requirements.lock
	@touch $@
