# Everything is done by start.py, which runs without make too: python start.py help
PYTHON ?= python3
ARGS ?=

.PHONY: help .venv lab test model build bench lint

help:
	@$(PYTHON) start.py help

.venv:
	@$(PYTHON) start.py setup

lab:
	@$(PYTHON) start.py lab $(ARGS)

test:
	@$(PYTHON) start.py test $(ARGS)

model:
	@$(PYTHON) start.py model

build:
	@$(PYTHON) start.py build $(ARGS)

bench:
	@$(PYTHON) start.py bench $(ARGS)

lint:
	@$(PYTHON) start.py lint
