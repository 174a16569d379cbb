"""The public face of the package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import awaitsee

ROOT = Path(__file__).parents[1]
HEAVY = ["IPython", "aiohttp", "anthropic", "httpx", "ipykernel", "langchain", "langchain_core", "matplotlib", "numpy"]
HEAVY += ["openai", "torch"]


def in_new_process(code: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return run.stdout.strip()


def test_import_loads_nothing_heavy() -> None:
    assert in_new_process(f"import sys, awaitsee; print([name for name in {HEAVY} if name in sys.modules])") == "[]"


def test_import_loads_only_the_package_itself() -> None:
    code = "import sys, awaitsee; print(sorted(name for name in sys.modules if name.startswith('awaitsee')))"
    assert in_new_process(code) == "['awaitsee']"


@pytest.mark.parametrize("name", awaitsee.__all__)
def test_public_names_load_when_asked_for(name: str) -> None:
    assert in_new_process(f"import awaitsee; print(awaitsee.{name}.__name__)") == name
    assert name in dir(awaitsee)


@pytest.mark.parametrize("name", awaitsee.__all__)
def test_public_names_beat_submodules(name: str) -> None:
    code = (
        "import awaitsee.journal, awaitsee.observe.timeline, awaitsee.practice\n"
        f"from awaitsee import {name}\n"
        f"print(type({name}).__name__ != 'module', {name} is awaitsee.{name})"
    )
    assert in_new_process(code) == "True True"


def test_submodules_can_still_be_imported() -> None:
    code = (
        "from awaitsee import observe\n"
        "import awaitsee.observe.observation\n"
        "from awaitsee.observe.observation import TaskRecord\n"
        "import sys\n"
        "print(sys.modules['awaitsee.observe.observation'].TaskRecord is TaskRecord, awaitsee.observe is observe)"
    )
    assert in_new_process(code) == "True True"


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        awaitsee.nonsense  # noqa: B018
