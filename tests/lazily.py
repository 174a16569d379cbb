"""Imports what a file of tests needs when its first test comes, and not in every worker that collects the file.

A file writes such imports under `if TYPE_CHECKING:`, as type checkers read them; `tests/conftest.py` has them made
before the file's first test, so that no test's time has an import in it. At the top of a file stays what its classes,
decorators and parameters need.
"""

from __future__ import annotations

import ast
import gc
import importlib
import inspect
import warnings
from collections.abc import Iterator
from types import ModuleType


def imports_of(source: str) -> Iterator[tuple[str, str, str | None]]:
    """Yield what stands under a file's `if TYPE_CHECKING:`: the name that it gets, the module, the name in the module.

    The last is None for the module itself.
    """
    for statement in ast.parse(source).body:
        if not (isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"):
            continue
        for node in statement.body:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    assert "." not in alias.name, f"write `from ... import ...` for {alias.name}"
                    yield alias.asname or alias.name, alias.name, None
            elif isinstance(node, ast.ImportFrom):
                assert node.module and not node.level, "write the whole name of the module"
                for alias in node.names:
                    yield alias.asname or alias.name, node.module, alias.name


def imported(module: str, name: str | None) -> object:
    """Return a module, or what it has by that name: something in it, or a module below it."""
    found = importlib.import_module(module)
    if name is None:
        return found
    return getattr(found, name) if hasattr(found, name) else importlib.import_module(f"{module}.{name}")


def make_imports(module: ModuleType) -> None:
    """Make a file's imports under `if TYPE_CHECKING:`.

    The garbage collector rests meanwhile and passes over them, and what they change of the filters for warnings is
    undone, as after the collection: otherwise the file's first test would have other filters than the rest.
    """
    if "TYPE_CHECKING" not in vars(module):
        return
    gc.collect()
    gc.disable()
    try:
        with warnings.catch_warnings():
            for here, where, name in imports_of(inspect.getsource(module)):
                setattr(module, here, imported(where, name))
    finally:
        gc.freeze()
        gc.enable()
