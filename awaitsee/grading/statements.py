"""The top-level statements of a cell: what each binds and what it needs. Nothing is run here."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

MAGIC = re.compile(r"^([ \t]*)(?:[%!].*|\?{0,2}[\w.]+\?{1,2}[ \t]*)$", re.MULTILINE)
HARMLESS = re.compile(r"\s*%%(time|timeit|capture)\b")
OTHER_CELL = re.compile(r"\s*%%")
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What Python's parser raises on text that it cannot read: too deep, with null bytes, or simply wrong."""
THROWN_AWAY = "_"
"""A name that nobody means: a loop that counts with it is no definition that something else needs."""

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_COMPOUND = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement at the top level of a cell."""

    source: str
    binds: frozenset[str]
    """The names that it gives a value, an attribute or an item."""
    needs: frozenset[str]
    """The names that it looks up anywhere in it, and those that a call of a method at its top changes."""
    is_import: bool
    is_compound: bool
    """Whether it holds other statements, so that it may bind a name by the way: a loop, an `if`, a `try`, a `with`."""
    is_check: bool
    """Whether it is a `with exercise(...)`."""
    mutates: str = ""
    """The name whose method it calls, if it does nothing else: `found.append(1)`."""


def statements(source: str) -> list[Statement] | None:
    """Take a cell apart; None when it is not Python. Lines of magic count as `pass`."""
    if OTHER_CELL.match(source) and not HARMLESS.match(source):
        return None
    # As it is first: a line of a long expression may begin with `%`, too.
    for text in (source, MAGIC.sub(r"\1pass", source)):
        try:
            lines = source.split("\n")
            return [_statement(node, lines) for node in _parse(text).body]
        except UNREADABLE:
            continue
    return None


def _parse(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = compile(text, "<cell>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assert isinstance(tree, ast.Module)
    return tree


def _statement(node: ast.stmt, lines: list[str]) -> Statement:
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return Statement(
        source="\n".join(lines[first - 1 : node.end_lineno]),
        binds=frozenset(_bound(node)) - {THROWN_AWAY},
        needs=frozenset(each.id for each in ast.walk(node) if isinstance(each, ast.Name)),
        is_import=isinstance(node, ast.Import | ast.ImportFrom),
        is_compound=isinstance(node, _COMPOUND),
        is_check=_is_check(node),
        mutates=_mutated(node),
    )


def _bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement binds in the scope that it stands in."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    if isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
        yield node.id
    if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        yield _root(node)
    if isinstance(node, _SCOPES):
        return
    for child in ast.iter_child_nodes(node):
        yield from _bound(child)


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_check(node: ast.AST) -> bool:
    if not isinstance(node, ast.With | ast.AsyncWith):
        return False
    calls = [item.context_expr for item in node.items]
    return any(
        isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "exercise" for call in calls
    )


def _mutated(node: ast.AST) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return _root(node.value.func) if isinstance(node.value.func, ast.Attribute) else ""
    return ""
