"""Works out plain arithmetic without running it as code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable

_LARGEST_POWER = 64
_OPERATORS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


def evaluate(expression: str) -> float | None:
    """Return the value of an expression of numbers, parentheses and `+ - * / // % **`, or `None` if it is not one."""
    try:
        value = _value(ast.parse(expression.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError):
        return None
    if isinstance(value, complex):
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return float(node.value) if isinstance(node.value, float) else node.value  # type: ignore[return-value]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
        return -_value(node.operand) if isinstance(node.op, ast.USub) else _value(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow) and (abs(right) > _LARGEST_POWER or abs(left) > 1e6):
            raise ValueError("The power is too large.")
        return _OPERATORS[type(node.op)](left, right)
    raise ValueError("This is not plain arithmetic.")
