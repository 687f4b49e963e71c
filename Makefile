# `make run` and `make test` set up a fresh clone by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

PHOTOS ?= build/samples
REPORT ?= build/report
SHARED ?= ../shared

.DEFAULT_GOAL := help

help: ## what each target does
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  \1|\2/' | column -t -s '|'

run: $(VENV)/.run ## tag the photos of PHOTOS=folder (or sample pictures), print a table, write a report
ifeq ($(PHOTOS),build/samples)
	$(BIN)/veduta samples $(PHOTOS)
endif
	$(BIN)/veduta tag "$(PHOTOS)" --report "$(REPORT)" --heat-maps

serve: $(VENV)/.serve ## the web page and its API on http://127.0.0.1:8000
	$(BIN)/veduta serve

browser: ## Chromium for the tests of the web page, by Debian's package, where none is there and we may install it
	@command -v chromium chromium-browser google-chrome >/dev/null && exit 0; \
	command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && apt-get update -qq \
	    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null \
	    || echo "no Chromium, and it can't be installed: the tests of the web page will be skipped"

pictures: $(VENV)/.dev browser ## the screenshots of the web page, and a walk through it, for docs/
	$(BIN)/python -m bench.walkthrough

test: $(VENV)/.dev browser ## the tests that take seconds
	$(BIN)/pytest -m "not slow and not alone" --numprocesses 2 --dist loadfile
	$(BIN)/pytest -m "not slow and alone"

test-all: $(VENV)/.dev browser ## every test, the slow ones too (nightly)
	$(BIN)/pytest

check: $(VENV)/.dev ## ruff, mypy strict, import-linter
	$(BIN)/ruff check src tests bench
	$(BIN)/ruff format --check src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev ## put the code into ruff's form
	$(BIN)/ruff check --fix src tests bench
	$(BIN)/ruff format src tests bench

bench: $(VENV)/.dev ## measure speed, agreement, heat maps and start against the alternatives
	$(BIN)/python -m bench all

bench-quick: $(VENV)/.dev ## the same, rougher, in a few minutes
	$(BIN)/python -m bench all --quick

bench-classes: $(VENV)/.dev ## models of one's own classes: accuracy in five parts, time (an hour or so)
	$(BIN)/python -m bench transfer
	$(BIN)/python -m bench new-classes

bench-names: $(VENV)/.dev ## from nothing but names to sorted photos: accuracy in three folds, what cleaning found, time (20 minutes)
	$(BIN)/python -m bench names-only

bench-landmarks: $(VENV)/.dev ## landmarks: trainings with and without each part, people in front, few photos (two hours)
	$(BIN)/python -m bench landmarks

bench-generation: $(VENV)/.dev ## generators: the good one and DCGAN, alarms, classic experiments, their use (some six hours)
	$(BIN)/python -m bench generation

bench-serving: $(VENV)/.dev ## the web server: latency, 64 clients for ten minutes, cost against `veduta tag`
	$(BIN)/python -m bench serving

load: $(VENV)/.dev ## memory over 20,000 photos, and over 20,000 requests to the web server
	$(BIN)/python -m bench memory
	$(BIN)/python -m bench soak

places100: $(VENV)/.dev ## train the bundled model again (some 80 minutes on two cores)
	$(BIN)/veduta recipe places100 --data $(SHARED)/data \
	    --weights $(SHARED)/weights/mobilenet_v2_imagenet.safetensors --out src/veduta/models/places100

attributes: $(VENV)/.dev ## learn the attributes of the bundled model again (some minutes)
	$(BIN)/veduta recipe attributes --data $(SHARED)/data --bundle src/veduta/models/places100

clean: ## remove what the targets made, the environment included
	rm -rf $(VENV) build

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[samples]'
	touch $@

$(VENV)/.serve: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[server,samples]'
	touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[dev,bench]'
	touch $@ $(VENV)/.run $(VENV)/.serve

.PHONY: help run serve browser pictures test test-all check format bench bench-quick bench-classes bench-names bench-landmarks bench-serving load places100 attributes clean
