"""Settings for every test run, whatever is collected."""

from __future__ import annotations

import re

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.answers import kernel_of

pytest_plugins = ["tests.nbval_guard", "tests.kernel_ports"]

_ANSWER = re.compile(r"tests/test_exercises\.py::.*\[(\d\d)\.\d[ \]]")


class LoadKernelScheduling(LoadFileScheduling):  # type: ignore[misc]
    """Keeps in one worker what shares a kernel: a notebook's cells, the answers to the exercises of some lessons."""

    def _split_scope(self, nodeid: str) -> str:
        answer = _ANSWER.match(nodeid)
        file: str = super()._split_scope(nodeid)
        return f"{file} {kernel_of(answer[1])}" if answer else file


_LESSON = re.compile(r"notebooks/(\d\d)_")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is busy alone at the end: the later a lesson, the longer."""

    def place(item: pytest.Item) -> tuple[int, int]:
        lesson = _LESSON.match(item.nodeid) or _ANSWER.match(item.nodeid)
        if lesson:
            return 1, -int(lesson[1])
        return {"tests/test_browser.py": 0, "tests/test_start.py": 2}.get(item.nodeid.split("::")[0], 3), 0

    items.sort(key=place)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadKernelScheduling | None:
    return LoadKernelScheduling(config, log) if config.getvalue("dist") == "loadfile" else None
