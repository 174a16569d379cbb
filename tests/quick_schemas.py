"""Spares every process of the tests several seconds: loaded before pytest's other plugins, see `check_command`.

nbformat needs jsonschema, which takes the grammar of international web addresses from a package that works it out anew
at each import. A notebook has no such field, and jsonschema does without the package where it is missing.

The garbage collector looks again and again through the millions of objects that imports and collected tests bring, and
which stay until the end: it rests while they come, and passes over them afterwards.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Generator

import pytest

sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
gc.disable()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Put the collector back to work when the tests are collected; also in xdist's controller, which collects none."""
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
