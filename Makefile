# keras_nnx: `make help` lists what there is. Everything runs in .venv, made from the locked, hashed requirements.

PYTHON ?= $(shell for p in python3 python python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.locked
OUT ?= build/demo
WORKERS ?= auto

export TF_CPP_MIN_LOG_LEVEL ?= 2
# TensorFlow computes some operators otherwise, or not at all, where it does not take oneDNN by itself.
export TF_ENABLE_ONEDNN_OPTS ?= 1

.PHONY: help install demo test zoo bench support recurrence check format docs build lock clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## make .venv from the locked requirements

$(STAMP): requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.13 on PATH: install one, or call make PYTHON=/path/to/python."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: $(STAMP)  ## train on real digits, export, prove, report (about two minutes)
	$(BIN)/keras-nnx demo --out $(OUT) --overwrite $(ARGS)

test: $(STAMP)  ## the whole test suite, but for the zoo
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not zoo" $(ARGS)

zoo: $(STAMP)  ## export every layer of Keras, its applications and KerasHub's backbones (about half an hour)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m zoo $(ARGS)

bench: $(STAMP)  ## latency, training, size, time and memory beside stock Keras, in turns (an hour)
	$(BIN)/python -m tests.bench $(ARGS)

support: $(STAMP)  ## write export/SUPPORT.md anew
	$(BIN)/python -m tests.zoo.support

recurrence: $(STAMP)  ## write export/RECURRENCE.md anew
	$(BIN)/python -m tests.zoo.recurrence

check: $(STAMP)  ## format, lint, types, docstrings, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg --no-logo

format: $(STAMP)  ## rewrite the sources in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP)  ## the site, in docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

build: $(STAMP)  ## the sdist and the wheel, in dist/
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .

lock:  ## renew requirements/*.txt (needs uv on PATH)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--custom-compile-command "make lock" --extra all pyproject.toml -o requirements/all.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--custom-compile-command "make lock" --extra all --group dev -c requirements/all.txt pyproject.toml -o requirements/dev.txt

clean:  ## remove what the other targets made
	rm -rf $(VENV) build dist docs/_build *.egg-info .pytest_cache .mypy_cache .ruff_cache
