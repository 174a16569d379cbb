"""The guard fails the cells that nbval would let pass, and only those."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tests import kernel_ports
from tests.nbval_guard import WRITTEN_FOR, complaint

ROOT = Path(__file__).resolve().parents[1]

GROUP = """
import asyncio
async def fail():
    raise ValueError("the third question")
async with asyncio.TaskGroup() as group:
    group.create_task(fail())
"""


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What nbval with the guard says, cell by cell, of a notebook with honest cells and some that hide something."""
    cells = [
        new_code_cell("print('fine')", execution_count=1, outputs=[new_output("stream", name="stdout", text="fine\n")]),
        new_code_cell(GROUP, execution_count=2),
        new_code_cell("print('no error')", execution_count=3, metadata={"tags": ["raises-exception"]}),
        new_code_cell("1 + 1;", execution_count=4),
    ]
    folder = tmp_path_factory.mktemp("notebooks")
    nbformat.write(new_notebook(cells=cells), folder / "guarded.ipynb")
    command = [sys.executable, "-m", "pytest", "-p", "tests.nbval_guard", "-p", "no:cacheprovider"]
    command += [
        "-p",
        "nbval.plugin",
        "--color=no",
        "-rA",
        "--nbval",
        "--nbval-current-env",
        "--nbval-cell-timeout=5",
        str(folder),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    found = re.findall(r"^(PASSED|FAILED) .*::(Cell \d+)", done.stdout, re.MULTILINE)
    assert len(found) == len(cells), done.stdout + done.stderr
    return {cell: verdict for verdict, cell in found}


@pytest.mark.parametrize("cell", ["Cell 0", "Cell 3"])
def test_an_honest_cell_passes(verdicts: dict[str, str], cell: str) -> None:
    assert verdicts[cell] == "PASSED"


@pytest.mark.parametrize("cell", ["Cell 1", "Cell 2"])
def test_a_cell_that_hides_its_failure_fails(verdicts: dict[str, str], cell: str) -> None:
    assert verdicts[cell] == "FAILED"


def test_each_complaint_says_what_is_wrong() -> None:
    assert "never replied" in complaint(None, should_raise=False)
    assert "did not raise" in complaint({"status": "ok"}, should_raise=True)
    assert "ValueError: bad" in complaint(
        {"status": "error", "ename": "ValueError", "evalue": "bad"}, should_raise=False
    )
    assert complaint({"status": "ok"}, should_raise=False) == ""
    assert complaint({"status": "error", "ename": "E", "evalue": ""}, should_raise=True) == ""


def test_the_guard_knows_this_nbval() -> None:
    assert version("nbval") == WRITTEN_FOR, "nbval moved: read tests/nbval_guard.py against it, then raise WRITTEN_FOR"


def test_kernels_get_ports_that_the_system_hands_to_nobody() -> None:
    from jupyter_client.connect import LocalPortCache

    with socket.socket() as taken:
        cache = LocalPortCache()
        first = cache.find_available_port("127.0.0.1")
        taken.bind(("127.0.0.1", first + 1))
        second = cache.find_available_port("127.0.0.1")
    assert kernel_ports.LOWEST <= first <= kernel_ports.HIGHEST
    assert second not in (first, first + 1)
