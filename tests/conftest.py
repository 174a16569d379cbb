"""What several files of tests use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from awaitsee.practice import PracticeServer, practice_server
from tests.lazily import make_imports
from tools.chromium import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module", autouse=True)
def imports(request: pytest.FixtureRequest) -> None:
    """Make a file's imports under `if TYPE_CHECKING:` before its first test."""
    make_imports(request.module)


@pytest.fixture(scope="module")
def running() -> Iterator[PracticeServer]:
    """A practice server for all tests of a file."""
    server = practice_server()
    assert isinstance(server, PracticeServer)
    yield server
    server.close()


@pytest.fixture
def server(running: PracticeServer) -> PracticeServer:
    """The file's practice server with its usual settings and an empty journal."""
    practice_server()
    return running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for all tests of a file."""
    with chromium() as browser:
        yield browser
