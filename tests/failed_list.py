"""Writes down what failed, for the second look that `start.py test` takes at it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Taken out, so that a pytest that a test starts does not write there too.
_LIST = os.environ.pop("AWAITSEE_FAILED_LIST", "")
_failed: dict[str, None] = {}


def alone(nodeid: str) -> str:
    """What to run to run a test again: a cell needs the cells above it."""
    file = nodeid.split("::")[0]
    return file if file.endswith(".ipynb") else nodeid


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        _failed[alone(report.nodeid)] = None


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _LIST and not hasattr(session.config, "workerinput"):
        Path(_LIST).write_text("".join(f"{nodeid}\n" for nodeid in _failed), encoding="utf-8")
