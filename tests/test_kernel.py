"""The kernel extension, in real kernels, stopped the way JupyterLab stops them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from awaitsee.interrupt import Stopped, Stopper

ROOT = Path(__file__).parents[1]
LIMIT = 60.0
"""Seconds after which a cell counts as hanging."""
LONG = 30
"""Seconds that a cell to be stopped would go on for by itself."""


@dataclass
class Run:
    """What a client saw of one cell."""

    status: str = "no reply"
    reply: dict[str, Any] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)
    stdout: str = ""
    stderr: str = ""
    results: list[str] = field(default_factory=list)
    seconds_after_stop: float = 0.0

    @property
    def traceback(self) -> str:
        """The text of the error outputs, without colours."""
        return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join("\n".join(error["traceback"]) for error in self.errors))


class Kernel:
    """A kernel process and one client of it."""

    def __init__(self, extension: bool = True, arguments: tuple[str, ...] = ()) -> None:
        # Without a network port, and without the warning that a port is not encrypted.
        if sys.platform == "win32":
            self.manager = KernelManager()
        else:
            self.sockets = tempfile.TemporaryDirectory(prefix="kernel-", ignore_cleanup_errors=True)
            self.manager = KernelManager(transport="ipc", ip=f"{self.sockets.name}/ipc")
        self.manager.start_kernel(env=os.environ | {"PYTHONPATH": str(ROOT)}, extra_arguments=list(arguments))
        self.client: BlockingKernelClient = self.manager.blocking_client()
        self.client.start_channels()
        try:
            self.client.wait_for_ready(timeout=60)
            if extension:
                loading = self.run("%load_ext awaitsee")
                assert loading == Run(status="ok", reply=loading.reply), "loading prints nothing"
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def run(self, code: str, stop_after: tuple[float, ...] = (), limit: float = LIMIT) -> Run:
        """Run a cell. With `stop_after`, press the stop button so many seconds after the cell printed `go`."""
        run = Run()
        message = self.client.execute(code, stop_on_error=False)
        deadline = time.monotonic() + limit
        presses: list[float] = []
        first_press = 0.0
        started = idle = False
        while not idle and time.monotonic() < deadline:
            if presses and time.monotonic() >= presses[0]:
                presses.pop(0)
                first_press = first_press or time.monotonic()
                self.manager.interrupt_kernel()
            try:
                got = self.client.iopub_channel.get_msg(timeout=0.02 if presses else 0.1)
            except queue.Empty:
                continue
            if got["parent_header"].get("msg_id") != message:
                continue
            content = got["content"]
            match got["msg_type"]:
                case "error":
                    run.errors.append(content)
                case "execute_result":
                    run.results.append(content["data"]["text/plain"])
                case "stream":
                    setattr(run, content["name"], getattr(run, content["name"]) + content["text"])
                    if "go\n" in run.stdout and not started:
                        started = True
                        presses = [time.monotonic() + after for after in stop_after]
                case "status":
                    idle = content["execution_state"] == "idle"
        if first_press:
            run.seconds_after_stop = time.monotonic() - first_press
        with contextlib.suppress(queue.Empty):
            while not run.reply:
                got = self.client.shell_channel.get_msg(timeout=max(0.0, deadline - time.monotonic()))
                if got["parent_header"].get("msg_id") == message:
                    run.reply, run.status = got["content"], got["content"]["status"]
        return run

    def value(self, expression: str) -> str:
        """Evaluate an expression in a cell of its own."""
        run = self.run(expression)
        assert run.status == "ok", run
        return run.results[0]


@pytest.fixture(scope="module")
def bare() -> Iterator[Kernel]:
    kernel = Kernel(extension=False)
    try:
        yield kernel
    finally:
        kernel.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Kernel]:
    """A kernel with the extension, and a task in the background that every test below must leave alone."""
    kernel = Kernel()
    try:
        assert kernel.run(SETUP).status == "ok"
        yield kernel
    finally:
        kernel.close()


@pytest.fixture
def kernel(shared: Kernel) -> Iterator[Kernel]:
    """The shared kernel; afterwards it still runs cells of both kinds, and its background task still ticks."""
    yield shared
    assert shared.value("seen = ticks[0]; ticker.done()") == "False"
    assert shared.value("await asyncio.sleep(0.05); ticks[0] > seen") == "True"


SETUP = """
import asyncio, contextlib, sys, threading, time
ticks = [0]
async def tick():
    while True:
        await asyncio.sleep(0.01)
        ticks[0] += 1
ticker = asyncio.get_running_loop().create_task(tick())

async def fail(number):
    raise ValueError(f"number {number}")

async def block():
    time.sleep(LONG)
""".replace("LONG", str(LONG))

GO = "print('go', flush=True)\n"

FIRST_CELL_FAILS = """
import asyncio
async def fail(number): raise ValueError(f"number {number}")
async with asyncio.TaskGroup() as group:
    group.create_task(fail(1))
    group.create_task(fail(2))
"""

CANCELLED_AT_THE_END = "import asyncio\nawait asyncio.sleep(0)\nasyncio.current_task().cancel()\nNone"

CANNOT_BE_SHOWN = "class Shy:\n    def __repr__(self): raise ValueError('shy')\nawait asyncio.sleep(0)\nShy()"


# The faults, in a kernel without the extension. When one of these fails, its repair has had its day.


def mended(what: str, repair: str) -> str:
    return f"upstream has mended {what}: remove {repair} from awaitsee/kernel.py"


def test_bare_kernel_does_not_reply_when_its_first_failure_is_a_group() -> None:
    kernel = Kernel(extension=False)
    try:
        run = kernel.run(FIRST_CELL_FAILS, limit=1.5)
    finally:
        kernel.close()
    assert run.status == "no reply", mended("the reply to a first failure", "repair_reply")


def test_bare_kernel_fails_cells_after_one_that_could_not_be_shown(bare: Kernel) -> None:
    bare.run("import asyncio")
    assert bare.run(CANNOT_BE_SHOWN).status == "error"
    run = bare.run("await asyncio.sleep(0)")
    assert (run.status, run.errors) == ("error", []), mended("the flag of a failed display", "repair_reply")


def test_bare_kernel_prints_groups_to_stderr(bare: Kernel) -> None:
    bare.run("import asyncio")
    run = bare.run(FIRST_CELL_FAILS)
    assert "ExceptionGroup" in run.stderr and not run.errors, mended("exception groups", "repair_groups")


def test_bare_kernel_loses_the_reply_of_a_cell_cancelled_at_its_end(bare: Kernel) -> None:
    run = bare.run(CANCELLED_AT_THE_END, limit=1.5)
    assert run.status == "no reply", mended("the end of a cancelled cell", "repair_end")


def test_bare_kernel_does_not_wake_for_the_stop_button(bare: Kernel) -> None:
    run = bare.run("import asyncio\n" + GO + "await asyncio.sleep(2)", stop_after=(0.1,))
    assert run.seconds_after_stop > 1, mended("stopping a cell that waits", "that part of repair_stop")


def test_bare_kernel_does_not_stop_code_that_holds_the_loop(bare: Kernel) -> None:
    code = "import asyncio, time\n" + GO + "async def block(): time.sleep(1.5)\nawait block()"
    run = bare.run(code, stop_after=(0.1,))
    assert run.status == "ok", mended("stopping a cell that holds the loop", "repair_stop")


def test_bare_kernel_runs_cells_that_were_on_their_way(bare: Kernel) -> None:
    assert queued(bare, "1 / 0", delay=0.1) == ["error", "ok"], mended("the cells behind a failure", "repair_queue")


def test_the_collector_passes_over_large_imports_as_long_as_the_extension_is_there() -> None:
    kernel = Kernel()
    try:
        assert kernel.value("__import__('gc').get_freeze_count()") == "0"
        kernel.run("import gc, langchain_core.messages, langchain_core.runnables, aiohttp, httpx, matplotlib.pyplot")
        frozen = int(kernel.value("gc.get_freeze_count()"))
        assert frozen > 10_000
        kernel.run("import wave")
        assert 10_000 < int(kernel.value("gc.get_freeze_count()")) <= frozen
        kernel.run("%unload_ext awaitsee")
        assert kernel.value("gc.get_freeze_count()") == "0"
    finally:
        kernel.close()


# Garbage whose end parses code, as asyncio's complaint about a failed task does; there is new garbage at once.
GARBAGE = """
import ast, gc
class Garbage:
    def __init__(self):
        self.me = self
    def __del__(self):
        ast.parse("1 + (2 * 3)")
        Garbage()
gc.set_threshold(20, 1, 1)
for _ in range(9):
    Garbage()
"""
LONG_CELL = "\n".join(
    f"value_{number} = [number + ({number} * 2) for number in range(3) if number]" for number in range(99)
)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python 3.12 parses while it parses")
def test_bare_kernel_does_not_answer_when_garbage_parses_code() -> None:
    # whether the collector runs in the middle of the parser is a matter of luck, mostly good
    for _ in range(5):
        kernel = Kernel(extension=False)
        try:
            kernel.run(GARBAGE)
            run = kernel.run(LONG_CELL + "\nawait __import__('asyncio').sleep(0)", limit=1.5)
        finally:
            kernel.close()
        if run.status == "no reply":
            return
    pytest.fail(mended("cells that are parsed while garbage is collected", "repair_parse"))


def test_garbage_that_parses_code_while_a_cell_is_parsed() -> None:
    kernel = Kernel()
    try:
        kernel.run(GARBAGE)
        assert kernel.run(LONG_CELL + "\nawait __import__('asyncio').sleep(0)").status == "ok"
        assert kernel.run(LONG_CELL).status == "ok"
        assert kernel.value("gc.isenabled()") == "True"
    finally:
        kernel.close()


# Errors


def test_first_failure_is_answered_when_no_cell_loaded_the_extension() -> None:
    kernel = Kernel(extension=False, arguments=("--ext", "awaitsee"))
    try:
        run = kernel.run(FIRST_CELL_FAILS)
    finally:
        kernel.close()
    assert (run.status, run.reply["ename"], len(run.errors)) == ("error", "ExceptionGroup", 1)


def test_failed_display_fails_its_own_cell_only(kernel: Kernel) -> None:
    assert kernel.run(CANNOT_BE_SHOWN).status == "error"
    assert kernel.run("await asyncio.sleep(0)").status == "ok"


def test_group_is_an_error_with_its_tree(kernel: Kernel) -> None:
    run = kernel.run(
        "async def search():\n"
        "    async with asyncio.TaskGroup() as group:\n"
        "        group.create_task(fail(1))\n"
        "        group.create_task(fail(2))\n"
        "await search()"
    )
    assert run.status == "error"
    assert run.stderr == ""
    (error,) = run.errors
    assert error["ename"] == run.reply["ename"] == "ExceptionGroup"
    assert error["evalue"] == run.reply["evalue"] == "unhandled errors in a TaskGroup (2 sub-exceptions)"
    number = run.reply["execution_count"]
    lines = run.traceback.splitlines()
    assert lines[:3] == [
        "  + Exception Group Traceback (most recent call last):",
        f"  |   Cell In[{number}], line 5",
        "  |     await search()",
    ]
    assert f"  |   Cell In[{number}], line 2, in search" in lines
    assert [line for line in lines if "| ValueError" in line] == [f"    | ValueError: number {n}" for n in (1, 2)]
    assert any(line.startswith('  |   File "asyncio/taskgroups.py", line ') for line in lines)
    assert "IPython" not in run.traceback and "ipykernel" not in run.traceback


def test_group_is_coloured_unless_colours_are_off(kernel: Kernel) -> None:
    code = "raise ExceptionGroup('several', [ValueError('one')])"
    assert "\x1b[31mValueError\x1b[39m: one" in "\n".join(kernel.run(code).errors[0]["traceback"])
    kernel.run("%colors nocolor")
    assert "\x1b" not in "".join(kernel.run(code).errors[0]["traceback"])
    kernel.run("%colors neutral")


def test_minimal_mode_leaves_the_frames_out(kernel: Kernel) -> None:
    kernel.run("%xmode Minimal")
    run = kernel.run("raise ExceptionGroup('several', [ValueError('one')])")
    kernel.run("%xmode Context")
    assert "Cell In" not in run.traceback
    assert "ValueError: one" in run.traceback


def test_group_behind_another_error_is_shown(kernel: Kernel) -> None:
    run = kernel.run(
        "try:\n    raise ExceptionGroup('several', [ValueError('one')])\n"
        "except* ValueError as group:\n    raise KeyError('two') from group"
    )
    assert run.stderr == "" and len(run.errors) == 1
    assert "ValueError: one" in run.traceback
    assert "KeyError: 'two'" in run.traceback


def test_hidden_group_leaves_the_usual_traceback(kernel: Kernel) -> None:
    run = kernel.run(
        "try:\n    raise ExceptionGroup('several', [ValueError('one')])\n"
        "except ExceptionGroup:\n    raise KeyError('two') from None"
    )
    assert run.stderr == "" and len(run.errors) == 1
    assert run.errors[0]["ename"] == "KeyError"
    assert "----> 4     raise KeyError" in run.traceback
    assert "Exception Group Traceback" not in run.traceback


def test_group_can_be_looked_at_afterwards(kernel: Kernel) -> None:
    shown = kernel.run("raise ExceptionGroup('several', [ValueError('one')])").traceback
    assert kernel.value("type(sys.last_value), sys.last_value.exceptions") == ("(ExceptionGroup, (ValueError('one'),))")
    assert kernel.run("%tb").traceback == shown


@pytest.mark.parametrize(
    "code",
    [
        "import asyncio\nawait asyncio.sleep(0)\n1 / 0",
        "def divide():\n    return 1 / 0\ndivide()",
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise KeyError('x') from error",
        "1 +",
        "%no_such_magic",
        "import asyncio\nawait asyncio.wait_for(asyncio.sleep(1), 0.01)",
        "import asyncio\nraise asyncio.CancelledError('mine')",
    ],
)
def test_other_errors_look_as_they_do_without_the_extension(bare: Kernel, kernel: Kernel, code: str) -> None:
    def seen(run: Run) -> tuple[str, str, object]:
        return re.sub(r"In\[\d+\]", "In[n]", run.traceback), run.stderr, run.reply.get("ename")

    assert seen(kernel.run(code)) == seen(bare.run(code))


def queued(kernel: Kernel, code: str, delay: float) -> list[str]:
    """How a cell and one that is sent so many seconds after it are answered, as Run All sends them."""
    messages = [kernel.client.execute(code)]
    time.sleep(delay)
    messages.append(kernel.client.execute("1"))
    replies: dict[str, str] = {}
    while len(replies) < 2:
        reply = kernel.client.get_shell_msg(timeout=LIMIT)
        replies[reply["parent_header"]["msg_id"]] = reply["content"]["status"]
    # Cells run again after a while.
    deadline = time.monotonic() + LIMIT
    while kernel.run("1").status == "aborted":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return [replies[message] for message in messages]


def test_failing_group_stops_the_queued_cells(kernel: Kernel) -> None:
    code = "await asyncio.sleep(0.1)\nraise ExceptionGroup('several', [ValueError('one')])"
    assert queued(kernel, code, delay=0) == ["error", "aborted"]


@pytest.mark.parametrize("code", ["import asyncio\nawait asyncio.sleep(0)\n1 / 0", "1 / 0"])
def test_a_failure_stops_the_cells_that_are_on_their_way(kernel: Kernel, code: str) -> None:
    assert queued(kernel, code, delay=0.1) == ["error", "aborted"]


def test_cell_cancelled_at_its_end_is_answered(kernel: Kernel) -> None:
    run = kernel.run(CANCELLED_AT_THE_END)
    assert (run.status, run.reply["ename"], len(run.errors)) == ("error", "CancelledError", 1)


def test_lost_exceptions_of_tasks_are_still_reported(kernel: Kernel) -> None:
    run = kernel.run(
        "lost = asyncio.create_task(fail(7))\nawait asyncio.sleep(0.05)\ndel lost\nimport gc; gc.collect()"
    )
    assert "Task exception was never retrieved" in run.stderr


# The stop button

WAITING = {
    "sleep": "await asyncio.sleep(LONG)",
    "gather": "await asyncio.gather(*(asyncio.sleep(LONG) for _ in range(3)))",
    "task group": "async with asyncio.TaskGroup() as group:\n    group.create_task(asyncio.sleep(LONG))",
    "timeout": "async with asyncio.timeout(LONG):\n    await asyncio.Event().wait()",
    "shield": "kept = asyncio.create_task(asyncio.sleep(LONG))\nawait asyncio.shield(kept)",
    "thread": "await asyncio.to_thread(time.sleep, 3)",
    "hot loop": "while True: await asyncio.sleep(0)",
    "async for": "async def items():\n    while True: yield await asyncio.sleep(0.02)\nasync for _ in items(): pass",
}
HOLDING = {
    "sleep": "await block()",
    "loop": "async def spin():\n    while True: pass\nawait spin()",
    "cell itself": "await asyncio.sleep(0)\ntime.sleep(LONG)",
    "child of gather": "await asyncio.gather(asyncio.sleep(LONG), block(), return_exceptions=True)",
    "many children": "async with asyncio.TaskGroup() as group:\n    for _ in range(20): group.create_task(block())",
    "child that is waited for": "await asyncio.wait([asyncio.create_task(block())])",
    "callback": "asyncio.get_running_loop().call_soon(lambda: time.sleep(LONG))\nawait asyncio.sleep(LONG)",
    "thread's result": "import concurrent.futures\nawait asyncio.sleep(0)\nconcurrent.futures.Future().result()",
    "except Exception": (
        "async def stubborn():\n    while True:\n        try: time.sleep(LONG)\n        except Exception: pass\n"
        "await asyncio.gather(stubborn())"
    ),
}


def check_stopped(run: Run, how: str) -> None:
    assert run.status == "error", run
    assert run.seconds_after_stop < LONG / 3
    (error,) = run.errors
    assert error["ename"] == run.reply["ename"] == "KeyboardInterrupt"
    assert error["evalue"] == run.reply["evalue"] == f"stopped while this line {how}"
    assert len(run.traceback.splitlines()) < 10
    assert "site-packages" not in run.traceback


@pytest.mark.parametrize("name", WAITING)
def test_stop_ends_a_cell_that_waits(kernel: Kernel, name: str) -> None:
    run = kernel.run(GO + WAITING[name].replace("LONG", str(LONG)), stop_after=(0.1,))
    check_stopped(run, "waited")
    assert f"Cell In[{run.reply['execution_count']}], line " in run.traceback


@pytest.mark.parametrize("name", HOLDING)
def test_stop_ends_a_cell_that_holds_the_loop(kernel: Kernel, name: str) -> None:
    run = kernel.run(GO + HOLDING[name].replace("LONG", str(LONG)), stop_after=(0.1,))
    check_stopped(run, "held the event loop")


def test_stop_shows_the_line_that_held_the_loop(kernel: Kernel) -> None:
    run = kernel.run(GO + f"async def slow():\n    time.sleep({LONG})\nawait asyncio.gather(slow())", stop_after=(0.1,))
    assert run.traceback.splitlines() == [
        f"  Cell In[{run.reply['execution_count']}], line 3, in slow",
        f"    time.sleep({LONG})",
        "KeyboardInterrupt: stopped while this line held the event loop",
    ]


def test_stopped_tasks_are_not_reported_later(kernel: Kernel) -> None:
    kernel.run(GO + f"lost = asyncio.create_task(block())\nawait asyncio.sleep({LONG})", stop_after=(0.1,))
    assert kernel.value("type(lost._exception).__name__") == "'Stopped'"
    assert kernel.run("del lost\nsys.last_traceback = sys.last_value = None\nimport gc; gc.collect()").stderr == ""


def test_stop_ends_code_that_is_observed(kernel: Kernel) -> None:
    kernel.run("from awaitsee import observe")
    for work, how in [("block()", "held the event loop"), (f"asyncio.sleep({LONG})", "waited")]:
        check_stopped(kernel.run(GO + f"await observe({work})", stop_after=(0.3,)), how)
    assert kernel.value("import asyncio.events; asyncio.Handle._run.__module__") == "'asyncio.events'"


def test_shielded_task_goes_on(kernel: Kernel) -> None:
    check_stopped(
        kernel.run(
            GO + f"kept = asyncio.create_task(asyncio.sleep({LONG}))\nawait asyncio.shield(kept)", stop_after=(0.1,)
        ),
        "waited",
    )
    assert kernel.value("kept.done(), kept.cancel()") == "(False, True)"


CLEAN_UP = """
log = []
@contextlib.asynccontextmanager
async def connection():
    try:
        yield
    finally:
        await asyncio.sleep(0.3)
        log.append('closed')
async def stream():
    try:
        while True:
            yield
    finally:
        log.append('stream ended')
async def work():
    async with connection(), contextlib.aclosing(stream()) as items:
        async for _ in items:
            WORK
print('go', flush=True)
await work()
"""


@pytest.mark.parametrize("work", [f"await asyncio.sleep({LONG})", f"time.sleep({LONG})"])
@pytest.mark.parametrize("presses", [(0.1,), (0.1, 0.2)], ids=["one press", "double click"])
def test_stop_lets_the_cell_clean_up(kernel: Kernel, work: str, presses: tuple[float, ...]) -> None:
    run = kernel.run(CLEAN_UP.replace("WORK", work), stop_after=presses)
    check_stopped(run, "waited" if "await" in work else "held the event loop")
    assert kernel.value("log") == "['stream ended', 'closed']"


def test_error_while_cleaning_up_is_the_error_of_the_cell(kernel: Kernel) -> None:
    run = kernel.run(GO + f"try:\n    await asyncio.sleep({LONG})\nfinally:\n    1 / 0", stop_after=(0.1,))
    assert [error["ename"] for error in run.errors] == ["ZeroDivisionError"]
    assert run.reply["ename"] == "ZeroDivisionError"


def test_second_press_ends_a_cell_that_swallows_the_cancellation(kernel: Kernel) -> None:
    run = kernel.run(
        GO + f"while True:\n    try: await asyncio.sleep({LONG})\n    except (Exception, asyncio.CancelledError): pass",
        stop_after=(0.1, 0.8),
    )
    check_stopped(run, "waited")


def test_second_press_ends_a_child_that_swallows_the_cancellation(kernel: Kernel) -> None:
    run = kernel.run(
        f"async def deaf():\n    while True:\n        try: await asyncio.sleep({LONG})\n"
        "        except asyncio.CancelledError: pass\n" + GO + "await asyncio.create_task(deaf())",
        stop_after=(0.1, 0.8),
    )
    check_stopped(run, "waited")


SWALLOWING = "    try: time.sleep(0.01)\n    except BaseException: pass\nawait asyncio.sleep(0)"


def test_stop_ends_a_cell_that_blocks_and_swallows_everything(kernel: Kernel) -> None:
    check_stopped(kernel.run(GO + "while True:\n" + SWALLOWING, stop_after=(0.1,)), "held the event loop")


def test_cell_that_cannot_be_stopped_is_told_of(kernel: Kernel) -> None:
    # While somebody traces, as a debugger does, the exception cannot be raised in the `except` that swallows it.
    kernel.run("import awaitsee.interrupt\nimport sys\nawaitsee.interrupt.PATIENCE = 0.4")
    run = kernel.run(
        "end = time.monotonic() + 1.5\nsys.settrace(lambda *_: None)\n"
        + GO
        + "while time.monotonic() < end:\n"
        + SWALLOWING
        + "\nsys.settrace(None)",
        stop_after=(0.1,),
    )
    kernel.run("awaitsee.interrupt.PATIENCE = 3.0")
    assert run.stderr == "This cell does not react to being stopped. To end it, restart the kernel.\n"


def test_stop_ends_one_cell_after_another(kernel: Kernel) -> None:
    for _ in range(3):
        check_stopped(kernel.run(GO + f"await asyncio.sleep({LONG})", stop_after=(0.1,)), "waited")
        check_stopped(kernel.run(GO + "await block()", stop_after=(0.1,)), "held the event loop")


def test_stop_of_a_cell_without_await_is_as_before(bare: Kernel, kernel: Kernel) -> None:
    code = "import time\n" + GO + f"time.sleep({LONG})"
    runs = [each.run(code, stop_after=(0.1,)) for each in (bare, kernel)]
    seen = [re.sub(r"In\[\d+\]", "In[n]", run.traceback) for run in runs]
    assert seen[0] == seen[1]
    assert runs[1].reply["ename"] == "KeyboardInterrupt"
    assert runs[1].seconds_after_stop < LONG / 3


def test_stop_of_an_idle_kernel_does_nothing(kernel: Kernel) -> None:
    kernel.manager.interrupt_kernel()
    run = kernel.run("await asyncio.sleep(0.3)")
    assert (run.status, run.errors) == ("ok", [])


# Loading and unloading

SNAPSHOT = """
import asyncio, signal, sys, threading
def snapshot():
    shell = get_ipython()
    owners = {"shell": vars(shell), "kernel": vars(shell.kernel)}
    # What every cell changes.
    changing = {"_control_parent", "_control_parent_ident", "_last_input_line", "_last_traceback", "_save_getpass",
                "_parent_header_global", "_shell_context", "_shell_parent", "_sys_raw_input", "_trait_values",
                "last_execution_result", "saved_sigint_handler"}
    kept = {
        (name, key): value for name, values in owners.items() for key, value in values.items() if key not in changing
    }
    kept |= {("events", name): list(calls) for name, calls in shell.events.callbacks.items()}
    kept |= {
        "SIGINT": signal.getsignal(signal.SIGINT),
        "excepthook": sys.excepthook,
        "exceptions": (shell.custom_exceptions, shell.CustomTB),
        "exception handler": asyncio.get_running_loop().get_exception_handler(),
        "task factory": asyncio.get_running_loop().get_task_factory(),
        "Handle._run": asyncio.Handle._run,
        "magics": {kind: sorted(table) for kind, table in shell.magics_manager.magics.items()},
        "tasks": len(asyncio.all_tasks()),
        "threads": sorted(thread.name for thread in threading.enumerate()),
    }
    return kept
def changed(before, after):
    return sorted(
        str(key) for key in before.keys() | after.keys()
        if not (key in before and key in after and (before[key] is after[key] or before[key] == after[key]))
    )
"""


def test_unloading_leaves_the_kernel_as_it_was() -> None:
    kernel = Kernel(extension=False)
    try:
        kernel.run(SNAPSHOT)
        kernel.run("None")
        kernel.run("before = snapshot()")
        for _ in range(2):
            kernel.run("%load_ext awaitsee")
            loaded = kernel.value("changed(before, snapshot())")
            assert "('shell', 'showtraceback')" in loaded
            assert "('kernel', '_cancel_on_sigint')" in loaded
            assert "'magics'" in loaded, "%awaitsee"
            assert not {"'tasks'", "'threads'", "'SIGINT'"} & set(re.findall(r"'\w+'", loaded))
            stopped = kernel.run(GO + f"await asyncio.sleep({LONG})", stop_after=(0.1,))
            check_stopped(stopped, "waited")
            assert kernel.run("raise ExceptionGroup('several', [ValueError('one')])").stderr == ""
            assert kernel.run("%unload_ext awaitsee").stdout == ""
            assert kernel.value("changed(before, snapshot())") == "[]"
    finally:
        kernel.close()


def test_loading_again_is_harmless(kernel: Kernel) -> None:
    kernel.run(SNAPSHOT + "before = snapshot()")
    assert "already loaded" in kernel.run("%load_ext awaitsee").stdout
    assert kernel.value(
        "import awaitsee\nawaitsee.load_ipython_extension(get_ipython())\nchanged(before, snapshot())"
    ) == ("[]")
    assert kernel.run("%reload_ext awaitsee").status == "ok"
    check_stopped(kernel.run(GO + f"await asyncio.sleep({LONG})", stop_after=(0.1,)), "waited")
    assert kernel.run("raise ExceptionGroup('several', [ValueError('one')])").stderr == ""


def test_another_extension_on_top_survives_unloading() -> None:
    kernel = Kernel()
    try:
        kernel.run(
            "shell = get_ipython()\nbelow = shell.showtraceback\n"
            "def mine(*args, **options): below(*args, **options)\nshell.showtraceback = mine"
        )
        kernel.run("%unload_ext awaitsee")
        assert kernel.value("shell.showtraceback is mine") == "True"
        assert kernel.run("1 / 0").reply["ename"] == "ZeroDivisionError"
    finally:
        kernel.close()


def test_loading_in_a_terminal_changes_nothing() -> None:
    code = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "import awaitsee, sys\n"
        "shell = InteractiveShell.instance()\n"
        "before = dict(vars(shell))\n"
        "awaitsee.load_ipython_extension(shell)\n"
        "print([key for key in before | vars(shell) if vars(shell).get(key) is not before.get(key)])\n"
        "awaitsee.unload_ipython_extension(shell)\n"
        "print('ipykernel' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "IPYTHONDIR": os.devnull}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert run.stdout == "[]\nFalse\n", run.stderr


# The stopper by itself, as at a deadline


async def spin() -> None:
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        pass


async def stopped_by_timer(work: Any) -> Stopper:
    task = asyncio.ensure_future(work)
    with Stopper(task) as stopper:
        timer = threading.Timer(0.1, stopper.stop)
        timer.start()
        await asyncio.wait([task])
    assert task.cancelled() or isinstance(task.exception(), Stopped)
    return stopper


def test_stopper_breaks_a_task_that_holds_the_loop() -> None:
    before = signal.getsignal(signal.SIGINT)
    stopper = asyncio.run(stopped_by_timer(spin()))
    assert stopper.held_at is not None
    assert stopper.held_at[-1].name == "spin"
    assert signal.getsignal(signal.SIGINT) is before


def test_stopper_cancels_a_task_that_waits() -> None:
    stopper = asyncio.run(stopped_by_timer(asyncio.sleep(LONG)))
    assert stopper.held_at is None


def test_stopper_in_another_thread_cancels() -> None:
    stopped: list[Stopper] = []
    thread = threading.Thread(target=lambda: stopped.append(asyncio.run(stopped_by_timer(asyncio.sleep(LONG)))))
    thread.start()
    thread.join(LONG / 2)
    assert len(stopped) == 1


def test_inner_stopper_leaves_the_outer_task_alone() -> None:
    async def outer() -> str:
        await stopped_by_timer(spin())
        return "went on"

    async def main() -> None:
        task = asyncio.create_task(outer())
        with Stopper(task) as stopper:
            assert await task == "went on"
        assert stopper.calls == 0

    asyncio.run(main())


def test_outer_stopper_reaches_through_the_inner_one() -> None:
    async def outer() -> None:
        child = asyncio.create_task(spin())
        with Stopper(child):
            await asyncio.wait([child])

    stopper = asyncio.run(stopped_by_timer(outer()))
    assert stopper.held_at is not None


def test_stopper_passes_on_a_signal_that_is_not_its_own() -> None:
    async def main() -> None:
        with Stopper(asyncio.create_task(asyncio.sleep(LONG))) as stopper:
            signal.raise_signal(signal.SIGINT)
            assert stopper.calls == 0
            await asyncio.sleep(LONG)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())


def test_stopper_without_thread_signals_breaks_at_the_next_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "pthread_kill")
    assert asyncio.run(stopped_by_timer(spin())).held_at is not None


def test_stopper_spares_the_code_and_the_tasks_of_a_kernel() -> None:
    of_kernel: dict[str, Any] = {"__name__": "ipykernel.pretended", "time": time, "asyncio": asyncio, "log": []}
    exec(
        "async def hold():\n    time.sleep(0.5)\n    log.append('held')\n"
        "async def wait():\n    await asyncio.sleep(1)\n    log.append('waited')",
        of_kernel,
    )

    async def main() -> Stopper:
        task = asyncio.create_task(asyncio.sleep(LONG))
        with Stopper(task) as stopper:
            works = [of_kernel["wait"](), of_kernel["hold"](), spin(), spin(), spin()]
            threading.Timer(0.1, stopper.stop).start()
            await asyncio.wait([task, *map(asyncio.create_task, works)])
        return stopper

    stopper = asyncio.run(main())
    assert stopper.held_at is not None and stopper.held_at[-1].name == "spin"
    assert of_kernel["log"] == ["held", "waited"]
