# make run · make test · make lint · make bench · make storm · make evaluate
PYTHON ?= python3
PHOTOS ?= sample_data
VENV := .venv
BIN := $(VENV)/bin
# Where PyTorch's build for CPUs is found; empty, pip takes what its usual index has.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: run test lint bench storm evaluate clean

run: $(VENV)/.run
	@$(BIN)/python -m local

test: $(VENV)/.test
	$(BIN)/python -m pytest --cov --cov-report=term --cov-fail-under=95

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

evaluate: $(VENV)/.test
	$(BIN)/python -m training.evaluate $(PHOTOS) $(if $(filter sample_data,$(PHOTOS)),--all)

clean:
	rm -rf $(VENV) .run .cache .coverage .mypy_cache .pytest_cache .ruff_cache *.egg-info

$(VENV)/.base:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.base constraints.txt pyproject.toml $(wildcard */requirements.txt)
	@echo "Installing what the system needs into $(VENV), about 500 MB; this takes a minute or two."
	$(PIP) --no-deps $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
	$(PIP) -r serving/requirements.txt -r traffic/requirements.txt -r experiment/requirements.txt
	$(PIP) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) $(addprefix -r ,$(wildcard app_*/requirements.txt))
	$(PIP) --no-deps --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.run
	$(PIP) -r tests/requirements.txt
	@touch $@
