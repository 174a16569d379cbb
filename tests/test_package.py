"""The public face of the package."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from functools import cache
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


def test_an_installed_package_has_every_folder_and_the_data() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = {file.parent for file in (ROOT / "awaitsee").rglob("*.py")} | {ROOT / "awaitsee" / "slides" / "reveal"}
    packages = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    data = {file.parent for file in (ROOT / "data").rglob("*") if file.is_file() and "__pycache__" not in file.parts}
    assert listed["package-dir"] == {"awaitsee.data": "data"}
    packages |= {".".join(("awaitsee", *folder.relative_to(ROOT).parts)) for folder in data}
    assert sorted(listed["packages"]) == sorted(packages)
    others = {file.parent for name in ("*.css", "*.js", "*.md", "*.html") for file in ROOT.glob(f"awaitsee/**/{name}")}
    with_files = {".".join(folder.relative_to(ROOT).parts) for folder in others}
    assert set(listed["package-data"]) == with_files | {name for name in packages if name.startswith("awaitsee.data")}


def test_import_loads_nothing_heavy() -> None:
    assert in_new_process(f"import sys, awaitsee; print([name for name in {HEAVY} if name in sys.modules])") == "[]"


def test_import_loads_only_the_package_itself() -> None:
    code = "import sys, awaitsee; print(sorted(name for name in sys.modules if name.startswith('awaitsee')))"
    assert in_new_process(code) == "['awaitsee']"


@cache
def for_each_public_name(code: str) -> dict[str, str]:
    """Return what `code` prints for each public name, which it calls NAME, with nothing of the package imported before.

    One process does it for all of them and forgets the package in between.
    """
    loop = f"""
import sys

for name in {awaitsee.__all__}:
    for module in [module for module in sys.modules if module.partition(".")[0] == "awaitsee"]:
        del sys.modules[module]
    print(name, end=" ")
    exec({code!r}.replace("NAME", name), {{}})
"""
    return dict(line.split(" ", 1) for line in in_new_process(loop).splitlines())


@pytest.mark.parametrize("name", awaitsee.__all__)
def test_public_names_load_when_asked_for(name: str) -> None:
    assert for_each_public_name("import awaitsee; print(awaitsee.NAME.__name__)")[name] == name
    assert name in dir(awaitsee)


@pytest.mark.parametrize("name", awaitsee.__all__)
def test_public_names_beat_submodules(name: str) -> None:
    code = (
        "import awaitsee.journal, awaitsee.observe.timeline, awaitsee.practice\n"
        "from awaitsee import NAME\n"
        "print(type(NAME).__name__ != 'module', NAME is awaitsee.NAME)"
    )
    assert for_each_public_name(code)[name] == "True True"


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
