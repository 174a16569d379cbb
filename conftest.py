"""Settings for every test run, whatever is collected."""

from __future__ import annotations

import re

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

pytest_plugins = ["tests.nbval_guard", "tests.kernel_ports"]

_ANSWER = re.compile(r"tests/test_exercises\.py::.*\[(\d\d)\.\d[ \]]")


class LoadKernelScheduling(LoadFileScheduling):  # type: ignore[misc]
    """Keeps in one worker what shares a kernel: the cells of a notebook, the answers to one lesson's exercises."""

    def _split_scope(self, nodeid: str) -> str:
        answer = _ANSWER.match(nodeid)
        file: str = super()._split_scope(nodeid)
        return f"{file} {answer[1]}" if answer else file


# What takes longest begins first, so that no worker is busy alone at the end.
_FIRST = ("tests/test_browser.py", "tests/test_exercises.py", "tests/test_start.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    files = {name: place for place, name in enumerate(_FIRST)}
    items.sort(key=lambda item: files.get(item.nodeid.split("::")[0], len(files)))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadKernelScheduling | None:
    return LoadKernelScheduling(config, log) if config.getvalue("dist") == "loadfile" else None
