# Everything is done by start.py, which runs without make too: python start.py help
PYTHON ?= python3
ARGS ?=

.PHONY: help .venv lab test model wheels build bench lint progress reset doctor

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

wheels:
	@$(PYTHON) start.py wheels $(ARGS)

build:
	@$(PYTHON) start.py build $(ARGS)

bench:
	@$(PYTHON) start.py bench $(ARGS)

lint:
	@$(PYTHON) start.py lint

progress:
	@$(PYTHON) start.py progress

reset:
	@$(PYTHON) start.py reset $(ARGS)

doctor:
	@$(PYTHON) start.py doctor
