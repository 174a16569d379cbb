"""Inside the kernel of a submission: what the sheet defined is put back when an answer's own code has run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_kept: dict[str, Any] = {}


def keep(namespace: dict[str, Any], names: Iterable[str]) -> None:
    """Remember what some names stand for, those of them that are there."""
    _kept.clear()
    _kept.update({name: namespace[name] for name in names if name in namespace})


def put_back(namespace: dict[str, Any]) -> None:
    """Let the names stand for what they stood for."""
    namespace.update(_kept)
