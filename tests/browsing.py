"""What the checks in a browser have in common; the fixture `browser` stands in tests/conftest.py."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools.chromium import CHROMIUM

if TYPE_CHECKING:
    from playwright.sync_api import Page

ARTIFACTS = Path(__file__).resolve().parents[1] / "test-artifacts"
NEEDS_BROWSER = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(
        importlib.util.find_spec("playwright") is None,
        reason="playwright is not installed: pip install -r tests/requirements-browser.txt",
    ),
]


def keep_sight(page: Page, request: pytest.FixtureRequest) -> None:
    """Keep the last sight of a page as a test artefact."""
    ARTIFACTS.mkdir(exist_ok=True)
    name = re.sub(r"\W+", "_", request.node.name).strip("_")
    page.screenshot(path=ARTIFACTS / f"{name}.png")
