"""What a learner sees in JupyterLab, in a real browser: a lesson run from top to bottom, a failure, the stop button."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import start
from tests.browsing import NEEDS_BROWSER, keep_sight

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "for-this-test"
PATIENCE = 60_000
"""Milliseconds that anything on the page may take."""

pytestmark = NEEDS_BROWSER

FAILING = [
    "%load_ext awaitsee\nimport asyncio",
    "async def fail() -> None:\n    raise ValueError('the third question')\n\n\n"
    "async with asyncio.TaskGroup() as group:\n    group.create_task(fail())",
    "print('this cell must not run')",
]
STOPPING = [
    "%load_ext awaitsee\nimport asyncio\nimport time",
    "await asyncio.sleep(60)",
    "async def block() -> None:\n    time.sleep(60)\n\n\nawait asyncio.gather(block(), block())",
    "print('the kernel', 'lives')",
]


def write_notebook(path: Path, cells: list[str]) -> None:
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    notebook = new_notebook(cells=[new_code_cell(source) for source in cells], metadata={"kernelspec": kernel})
    nbformat.write(notebook, path)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """JupyterLab as `start.py lab` runs it, on a copy of the course; gives its address."""
    folder = tmp_path_factory.mktemp("my")
    for built in (*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "exercises").glob("*.ipynb")):
        notebook = json.loads(built.read_text(encoding="utf-8"))
        laid_out = folder / built.relative_to(ROOT)
        laid_out.parent.mkdir(exist_ok=True)
        laid_out.write_text(json.dumps(start.without_outputs(notebook)), encoding="utf-8")
    write_notebook(folder / "failing.ipynb", FAILING)
    write_notebook(folder / "stopping.ipynb", STOPPING)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = start.lab_environment(Path(sys.prefix), TOKEN)
    own = {name: str(folder / ".own") for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    with open(folder / "jupyter.log", "wb") as log:
        server = subprocess.Popen(
            start.lab_command(Path(sys.executable), folder, port),
            cwd=folder,
            env={**environment, **own, "PYTHONPATH": str(ROOT), "AWAITSEE_MY": str(folder)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while start.fetch(f"{address}/api/status", TOKEN) != 200:
            assert server.poll() is None and time.monotonic() < deadline, (folder / "jupyter.log").read_text()
            time.sleep(0.1)
        yield address
    finally:
        start.end_lab(server, address, TOKEN)


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page whose last sight is kept as a test artefact."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(PATIENCE)
    yield page
    keep_sight(page, request)
    page.close()


def open_notebook(page: Page, lab: str, name: str) -> None:
    page.goto(f"{lab}/lab/tree/{name}?reset&token={TOKEN}")
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
    # Before the kernel is there, Run All would ask which one to use.
    page.wait_for_selector("#jp-main-statusbar >> text=Python 3 (ipykernel) | Idle")
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]')


def run_all(page: Page) -> None:
    page.click('.lm-MenuBar-itemLabel:text-is("Run")')
    page.click('.lm-Menu-itemLabel:text-is("Run All Cells")')
    page.wait_for_selector(".jp-InputPrompt:has-text('[*]'), .jp-InputPrompt:has-text('[1]')")


def saved(lab: str, page: Page, name: str, until_run: int) -> list[dict[str, Any]]:
    """Save as Ctrl+S does, until code cell number `until_run` has run; return the code cells as the server has them.

    JupyterLab draws only the cells near the visible part, so what is further down cannot be read off the page.
    """
    page.keyboard.press("Escape")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        page.keyboard.press("Control+s")
        question = urllib.request.Request(f"{lab}/api/contents/{name}", headers={"Authorization": f"token {TOKEN}"})
        page.wait_for_timeout(1000)
        try:
            with urllib.request.urlopen(question, timeout=5) as reply:
                cells = [cell for cell in json.load(reply)["content"]["cells"] if cell["cell_type"] == "code"]
        except urllib.error.HTTPError:
            # Read while it is being written, a notebook is no JSON.
            continue
        if cells[until_run]["execution_count"]:
            return cells
    raise AssertionError(f"cell {until_run} of {name} did not run")


def stop_when_running(page: Page, cell: int) -> float:
    """Press the stop button once a cell runs; return the seconds until the kernel was idle again."""
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="busy"]')
    page.wait_for_selector(f".jp-CodeCell >> nth={cell} >> .jp-InputPrompt:has-text('[*]')")
    time.sleep(1)
    began = time.monotonic()
    page.click('[data-command="notebook:interrupt-kernel"], [title^="Interrupt the kernel"]')
    page.wait_for_selector(f".jp-CodeCell >> nth={cell} >> text=KeyboardInterrupt")
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]')
    stopped = time.monotonic() - began
    # What arrives right behind a failure counts as part of the same Run All. A reader takes longer to go on.
    page.wait_for_timeout(1000)
    return stopped


@pytest.mark.parametrize(("lesson", "figures"), [("00_start_here", 2), ("03_gather", 4), ("19_async_agents", 4)])
def test_a_lesson_runs_from_top_to_bottom(page: Page, lab: str, lesson: str, figures: int) -> None:
    complaints: list[str] = []
    outside: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: outside.append(request.url) if is_outside(request.url) else None)
    name = f"notebooks/{lesson}.ipynb"
    open_notebook(page, lab, name)
    run_all(page)
    cells = saved(lab, page, name, until_run=-1)
    page.keyboard.press("Control+Home")
    page.wait_for_selector(".jp-RenderedImage img")
    picture = page.locator(".jp-RenderedImage").last
    picture.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    words = page.locator(".jp-RenderedHTMLCommon p", has_text=re.compile("^Timeline")).last
    # There for a screen reader, and for nobody else.
    place = words.bounding_box()
    assert place and place["width"] == 1
    assert words.get_attribute("aria-hidden") is None
    outputs = [output for cell in cells for output in cell["outputs"]]
    expected = {"raises-exception"}
    errors = [
        output
        for cell in cells
        for output in cell["outputs"]
        if (output["output_type"] == "error" and not expected & set(cell["metadata"].get("tags", [])))
        or output.get("name") == "stderr"
    ]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert errors == []
    assert sum("image/png" in output.get("data", {}) for output in outputs) == figures
    assert complaints == []
    assert outside == []


def is_outside(address: str) -> bool:
    return not address.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:", "chrome"))


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def type_cell(page: Page, source: str) -> None:
    """Make a cell below the active one, type into it, run it, and stay on it."""
    press(page, "Escape", "b", "Enter")
    page.keyboard.type(source)
    press(page, "Control+Enter", "Escape")


def code_cells(lab: str, name: str) -> list[dict[str, Any]]:
    """The code cells of a notebook as the server has them."""
    question = urllib.request.Request(f"{lab}/api/contents/{name}", headers={"Authorization": f"token {TOKEN}"})
    with urllib.request.urlopen(question, timeout=5) as reply:
        return [cell for cell in json.load(reply)["content"]["cells"] if cell["cell_type"] == "code"]


def test_exercise_00_1_is_done_by_keyboard(page: Page, lab: str) -> None:
    open_notebook(page, lab, "exercises/00_start_here.ipynb")
    page.click(".jp-Cell >> nth=0")
    cells = page.locator(".jp-Cell")
    stub = next(place for place in range(cells.count()) if "raise YourTurn" in cells.nth(place).inner_text())
    # From here on by keyboard alone: everything as it was given, down to the check, and the progress below it.
    press(page, "Escape", *["Shift+Enter"] * (stub + 1), "Control+Enter")
    page.wait_for_selector("text=00.1 is yours to write")
    type_cell(page, "%awaitsee progress")
    page.wait_for_selector("text=/00  Start here +1 open/")
    # Up to the stub: its last line is replaced, as a learner would.
    press(page, *["ArrowUp"] * 2, "Enter", "Control+End", "Shift+Home")
    page.keyboard.type("return list(await asyncio.gather(ask(first), ask(second)))")
    press(page, "Shift+Enter", "Shift+Enter")
    page.wait_for_selector("text=00.1 done")
    press(page, "Shift+Enter")
    page.wait_for_selector("text=/00  Start here +1 done/")


def test_a_failing_task_group_is_red_and_stops_run_all(page: Page, lab: str) -> None:
    open_notebook(page, lab, "failing.ipynb")
    run_all(page)
    page.wait_for_selector('.jp-CodeCell >> nth=1 >> [data-mime-type="application/vnd.jupyter.stderr"]')
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]')
    _first, second, third = saved(lab, page, "failing.ipynb", until_run=1)
    assert [output["output_type"] for output in second["outputs"]] == ["error"]
    assert second["outputs"][0]["ename"] == "ExceptionGroup"
    assert third["outputs"] == [] and third["execution_count"] is None


def test_the_stop_button_ends_a_cell_that_waits_and_one_that_blocks(page: Page, lab: str) -> None:
    open_notebook(page, lab, "stopping.ipynb")
    run_all(page)
    waited = stop_when_running(page, 1)
    page.click(".jp-CodeCell >> nth=2 >> .jp-InputPrompt")
    page.keyboard.press("Shift+Enter")
    blocked = stop_when_running(page, 2)
    page.click(".jp-CodeCell >> nth=3 >> .jp-InputPrompt")
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector(".jp-CodeCell >> nth=3 >> text=the kernel lives")
    # Both cells would take a minute; what was measured is printed with -s.
    print(f"stopped after {waited:.2f} s and {blocked:.2f} s")
    assert max(waited, blocked) < 20


def test_no_account_of_the_machine_is_used(lab: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{lab}/api/contents", timeout=5)
    assert refused.value.code == 403
    assert "JUPYTER_TOKEN" not in os.environ or os.environ["JUPYTER_TOKEN"] != TOKEN
