"""Tests that fail when something blocks the event loop: copy this into your `conftest.py`. Lesson 10; MIT licence.

It needs `pip install blockbuster pytest`. While a test runs, the blocking functions of the standard library (sleep,
files, sockets, subprocesses) raise `BlockingError` when your code calls them on an event loop. A failed test says in
one more section which line it was, and what to do. Blockbuster sees only what a test really runs, and no computing:
for that, look at the `longest_block` of a run that `awaitsee.observe` recorded.
"""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Generator, Iterator

import pytest
from blockbuster import BlockBuster, BlockingError, blockbuster_ctx

# The packages whose calls are watched, such as ["shop"]; empty: everybody's, your libraries' too.
WATCHED: list[str] = []
# Where blocking is allowed: the end of a file's path, the function's name, and why. Whatever that function calls may
# block as well, so name the innermost function that you can answer for.
# Imports, pytest and coverage are allowed already.
ALLOWED: list[tuple[str, str, str]] = [
    # ("shop/settings.py", "read_settings", "called once, before the first request"),
]
NOT_YOURS = (sysconfig.get_path("stdlib"), "<frozen")


@pytest.fixture(autouse=True)
def no_blocking() -> Iterator[BlockBuster]:
    """Let a test fail when code that is watched blocks the event loop."""
    with blockbuster_ctx(WATCHED or None) as guard:
        for file, function, _why in ALLOWED:
            for blocker in guard.functions.values():
                blocker.can_block_in(file, function)
        yield guard


def how_to_read(error: BlockingError) -> str:
    """Say in plain words what blocked, where, and what to do."""
    frames = traceback.extract_tb(error.__traceback__)[:-1]  # the last one is blockbuster's own
    own = [
        frame for frame in frames if not frame.filename.startswith(NOT_YOURS) and "site-packages" not in frame.filename
    ]
    where = (own or frames)[-1]
    return (
        f"{str(error).removeprefix('Blocking call to ')} held the event loop, called by {where.name} in line "
        f"{where.lineno} of {where.filename}. Use the async version, or `await asyncio.to_thread(...)` around it; "
        f"if it may block here, add this file and function to ALLOWED in conftest.py, with the reason."
    )


def find(error: BaseException | None) -> BlockingError | None:
    """Return the BlockingError behind an exception: itself, its cause, or inside an exception group."""
    if error is None or isinstance(error, BlockingError):
        return error
    inside = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    behind = (*inside, error.__cause__, error.__context__)
    return next((found for each in behind if (found := find(each)) is not None), None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the plain words to the report of a test that failed so."""
    report = yield
    if call.excinfo is not None and (error := find(call.excinfo.value)) is not None:
        report.sections.append(("what blocked", how_to_read(error)))
    return report
