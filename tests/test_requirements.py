"""The lists of packages hold together: pyproject.toml, requirements.txt, environment.yml, imports and what is there."""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import start

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
GROUPS = {"runtime": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
DIRECT = [Requirement(line) for lines in GROUPS.values() for line in lines]
LINES = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
PINS = {
    canonicalize_name(requirement.name): requirement
    for requirement in (Requirement(line) for line in LINES if line and not line.startswith("#"))
}
# Checks that are skipped without their packages have them in lists of their own.
OPTIONAL = {
    canonicalize_name(Requirement(line).name)
    for path in (*ROOT.glob("tests/requirements-*.txt"), *ROOT.glob("requirements-*.txt"))
    for line in path.read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
}
# Where the distribution's name is not the module's with hyphens for underscores.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "faiss": "faiss-cpu",
    "fpdf": "fpdf2",
    "markdown_it": "markdown-it-py",
    "xdist": "pytest-xdist",
}
OWN = {
    "awaitsee",
    "tests",
    "tools",
    "start",
    "benchmarks",
    "conftest",
    "recipes",
    *(path.stem for path in ROOT.glob("tools/*.py")),
}
IMPORT = re.compile(r"^\s*(?:from\s+(\w+)[\w.]*\s+import\b|import\s+(\w+))", re.MULTILINE)


def pinned_version(requirement: Requirement) -> Version:
    (specifier,) = requirement.specifier
    return Version(specifier.version)


def test_every_line_is_pinned() -> None:
    for name, requirement in PINS.items():
        assert [specifier.operator for specifier in requirement.specifier] == ["=="], name
        assert requirement.url is None
        assert not pinned_version(requirement).local, f"{name}: a local version exists on one index only"
    assert list(PINS) == sorted(PINS)


@pytest.mark.parametrize("wanted", DIRECT, ids=lambda requirement: requirement.name)
def test_direct_dependency_is_pinned_within_its_bounds(wanted: Requirement) -> None:
    pin = PINS[canonicalize_name(wanted.name)]
    assert pin.marker is None, "a direct dependency is needed everywhere"
    assert pinned_version(pin) in wanted.specifier


def test_bounds_have_both_ends_where_a_major_version_may_break() -> None:
    for requirement in DIRECT:
        operators = {specifier.operator for specifier in requirement.specifier}
        assert ">=" in operators, f"{requirement.name} has no lower bound"
        assert "<" in operators or requirement.name in {"packaging", "setuptools"}, (
            f"{requirement.name} has no upper bound"
        )


def test_no_group_lists_a_package_twice() -> None:
    names = [canonicalize_name(requirement.name) for requirement in DIRECT]
    assert sorted(names) == sorted(set(names))


def test_the_package_alone_is_small() -> None:
    """`pip install .` without a group brings neither torch nor JupyterLab nor LangChain."""
    runtime = {canonicalize_name(Requirement(line).name) for line in GROUPS["runtime"]}
    assert runtime <= {"aiohttp", "matplotlib", "pillow", "typer"}


def test_no_host_and_no_cuda_in_the_lists() -> None:
    for name in ("requirements.txt", "requirements-model.txt", "environment.yml", "pyproject.toml"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text and not re.search(r"^\s*--?(extra-)?(index|find)", text, re.MULTILINE), name
    assert not [name for name in PINS if name.startswith(("nvidia", "cuda", "triton"))]


def test_environment_file_is_no_second_list() -> None:
    lines = (ROOT / "environment.yml").read_text(encoding="utf-8").splitlines()
    packages = [line.strip()[2:] for line in lines if line.startswith(("  - ", "      - "))]
    assert packages[-4:-1] == ["pip", "pip:", "-r requirements.txt"]
    assert packages[-1] == "-e ."
    (python,) = [package.partition("=")[2] for package in packages if package.startswith("python=")]
    assert f"{python}.0" in SpecifierSet(PROJECT["requires-python"])
    assert python in start.tested()


def test_every_list_names_the_same_pythons() -> None:
    prefix = "Programming Language :: Python :: 3."
    classifiers = [f"3.{line.removeprefix(prefix)}" for line in PROJECT["classifiers"] if line.startswith(prefix)]
    assert sorted(classifiers, reverse=True) == start.tested()
    assert PROJECT["requires-python"] == f">={start.dotted(start.OLDEST)}"
    checks = (ROOT / ".github/workflows/checks.yml").read_text(encoding="utf-8")
    assert json.dumps(sorted(classifiers)) in checks


@pytest.mark.parametrize("name", sorted(PINS))
def test_pinned_version_is_for_the_first_release_of_every_tested_python(name: str) -> None:
    """A distribution's Python is seldom the newest patch release: Debian 12 has 3.11.2."""
    try:
        (needs,) = metadata.metadata(name).get_all("Requires-Python") or [""]
    except metadata.PackageNotFoundError:
        pytest.skip("not installed on this platform")
    if metadata.version(name) != str(pinned_version(PINS[canonicalize_name(name)])):
        pytest.skip("another version is installed")
    assert all(f"{python}.0" in SpecifierSet(needs) for python in start.tested()), needs


def python_files() -> Iterator[Path]:
    for folder in ("awaitsee", "tests", "tools", "benchmarks", "classroom"):
        yield from sorted((ROOT / folder).rglob("*.py"))
    yield from sorted(ROOT.glob("*.py"))


def may_be_missing(node: ast.AST) -> bool:
    """Whether a statement is a `try` that goes on without what it could not import."""
    handlers = node.handlers if isinstance(node, ast.Try) else []
    return any("ImportError" in ast.dump(handler.type) for handler in handlers if handler.type)


def imported_by(source: str) -> set[str]:
    """Top-level names that a Python source cannot do without."""
    found = set()
    tree = ast.parse(source)
    optional = {inner for node in ast.walk(tree) if may_be_missing(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if node in optional:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def imports() -> dict[str, str]:
    """Every third-party module that is imported, with one file that does."""
    found: dict[str, str] = {}
    for path in python_files():
        for module in imported_by(path.read_text(encoding="utf-8")):
            found.setdefault(module, str(path.relative_to(ROOT)))
    written = set()
    for path in sorted((ROOT / "lessons").glob("*.md")):
        # A module that a lesson writes and then imports.
        written |= set(re.findall(r'/ "(\w+)\.py"\)', path.read_text(encoding="utf-8")))
        for cell in re.findall(r"^```\{code-cell\}.*?^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            for match in IMPORT.finditer(cell):
                found.setdefault(match[1] or match[2], str(path.relative_to(ROOT)))
    return {
        module: path for module, path in found.items() if module not in OWN | written | set(sys.stdlib_module_names)
    }


def test_every_import_is_a_direct_dependency() -> None:
    direct = OPTIONAL | {canonicalize_name(requirement.name) for requirement in DIRECT}
    missing = {
        module: path
        for module, path in imports().items()
        if canonicalize_name(DISTRIBUTIONS.get(module, module)) not in direct
    }
    assert not missing, f"imported but not in pyproject.toml: {missing}"


def test_installed_versions_are_the_pinned_ones() -> None:
    if not start.inside_own_venv():
        pytest.skip("runs outside .venv, where other versions may be installed")
    values = {"sys_platform": sys.platform}
    wrong = {}
    for name, pin in PINS.items():
        if pin.marker and not pin.marker.evaluate(values):
            continue
        installed = Version(metadata.version(name))
        if installed.public != str(pinned_version(pin)):
            wrong[name] = f"{installed} instead of {pinned_version(pin)}"
    assert not wrong, wrong
