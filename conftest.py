"""Settings for every test run, whatever is collected."""

from __future__ import annotations

import re
import signal

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.answers import kernel_of

pytest_plugins = ["tests.nbval_guard", "tests.kernel_ports", "tests.failed_list"]

# A shell starts what runs in its background deaf to Ctrl-C, and every process that a test starts would inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_ANSWER = re.compile(r"tests/test_exercises\.py::.*\[(\d\d)\.\d[ \]]")
_LESSON = re.compile(r"notebooks/(\d\d)_")
_BROWSER = "tests/test_browser.py"


def scope_of(nodeid: str) -> str:
    """Return what a test shares a worker with: a notebook's cells, the answers to some lessons' exercises, a file."""
    file = nodeid.split("::")[0]
    answer = _ANSWER.match(nodeid)
    return f"{file} {kernel_of(answer[1])}" if answer else file


class LoadKernelScheduling(LoadFileScheduling):  # type: ignore[misc]
    """Keeps in one worker what shares a kernel."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: the later a lesson, the longer.

    Lessons mostly wait and the other tests mostly compute, so they take turns.
    """
    lessons: dict[str, int] = {}
    others: dict[str, int] = {}
    for item in items:
        lesson = _LESSON.match(item.nodeid) or _ANSWER.match(item.nodeid)
        scope = scope_of(item.nodeid)
        if lesson:
            lessons[scope] = max(int(lesson[1]), lessons.get(scope, 0))
        else:
            others.setdefault(scope, len(others))
    latest_first = sorted(lessons, key=lambda scope: -lessons[scope])
    places = {scope: 2 * place for place, scope in enumerate(latest_first)}
    places |= {scope: 2 * place + 1 for scope, place in others.items()}
    items.sort(key=lambda item: -1 if item.nodeid.startswith(_BROWSER) else places[scope_of(item.nodeid)])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadKernelScheduling | None:
    return LoadKernelScheduling(config, log) if config.getvalue("dist") == "loadfile" else None
