"""What the handbook's pages 11 to 20 say, checked on this Python."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import logging.handlers
import os
import queue
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from contextvars import ContextVar, copy_context
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest


def test_11_break_leaves_a_generator_open_and_aclosing_closes_it() -> None:
    closed_in: list[asyncio.Task[Any] | None] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in range(3):
                yield number
        finally:
            closed_in.append(asyncio.current_task())

    async def main() -> None:
        held = numbers()
        async for _ in held:
            break
        await asyncio.sleep(0.01)
        assert closed_in == []
        await held.aclose()  # type: ignore[attr-defined]
        async for _ in numbers():
            break
        await asyncio.sleep(0.01)
        async with aclosing(numbers()) as items:  # type: ignore[type-var]
            async for _ in items:
                break
        me = asyncio.current_task()
        assert [task is me for task in closed_in] == [True, False, True]

    asyncio.run(main())


def test_11_one_reader_at_a_time_and_a_timeout_ends_the_generator() -> None:
    async def slow() -> AsyncIterator[int]:
        yield 0
        await asyncio.sleep(0.03)
        yield 1

    async def main() -> None:
        first, second = slow(), slow()
        await anext(first)
        _, error = await asyncio.gather(anext(first), anext(first), return_exceptions=True)
        assert str(error) == "anext(): asynchronous generator is already running"
        await anext(second)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(second), 0.005)
        with pytest.raises(StopAsyncIteration):
            await anext(second)

    asyncio.run(main())


def test_12_a_runner_keeps_its_loop_and_its_context() -> None:
    name: ContextVar[str] = ContextVar("name", default="none")

    async def work() -> tuple[asyncio.AbstractEventLoop, str]:
        before = name.get()
        name.set("set")
        return asyncio.get_running_loop(), before

    with asyncio.Runner() as runner:
        (first, _), (second, kept) = runner.run(work()), runner.run(work())
    assert first is second
    assert kept == "set"
    (one, _), (other, fresh) = asyncio.run(work()), asyncio.run(work())
    assert one is not other
    assert one.is_closed()
    assert fresh == "none"


_SERVICE = """
import asyncio, signal, sys, time

async def background():
    try:
        await asyncio.sleep(10)
    finally:
        print("background cleaned")

async def main():
    task = asyncio.create_task(background())
    await asyncio.sleep(0)
    stop = asyncio.Event()
    if "handle" in sys.argv:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print("ready", flush=True)
    try:
        if "swallow" in sys.argv:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                pass
        await asyncio.wait_for(stop.wait(), 0.1 if "swallow" in sys.argv else 10)
    except TimeoutError:
        pass
    finally:
        print("main cleaned")

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of Unix")
def test_13_signals() -> None:
    cleaned = ["main cleaned", "background cleaned"]
    cases: list[tuple[signal.Signals, list[str], int, list[str]]] = [
        (signal.SIGINT, [], 0, [*cleaned, "interrupted"]),
        (signal.SIGINT, ["swallow"], 0, cleaned),
        (signal.SIGTERM, [], -signal.SIGTERM, []),
        (signal.SIGTERM, ["handle"], 0, cleaned),
    ]
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen([sys.executable, "-c", _SERVICE, *given], stdout=subprocess.PIPE, text=True)
            )
            for _, given, _, _ in cases
        ]
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        time.sleep(0.05)
        for process, (sent, _, code, lines) in zip(running, cases, strict=True):
            process.send_signal(sent)
            output, _ = process.communicate(timeout=10)
            assert (process.returncode, output.splitlines()) == (code, lines)


def test_14_a_missed_event_and_three_consumers() -> None:
    async def main() -> None:
        event = asyncio.Event()
        early = asyncio.create_task(event.wait())
        await asyncio.sleep(0)
        late = asyncio.create_task(event.wait())
        event.set()
        event.clear()
        assert await early
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(late, 0.01)

        condition, items, taken = asyncio.Condition(), list[str](), list[str]()

        async def consume() -> None:
            async with condition:
                while not items:
                    await condition.wait()
                taken.append(items.pop())

        consumers = [asyncio.create_task(consume()) for _ in range(3)]
        await asyncio.sleep(0)
        async with condition:
            items.append("one")
            condition.notify_all()
        await asyncio.sleep(0.01)
        assert taken == ["one"]
        assert [task.done() for task in consumers].count(False) == 2
        with pytest.raises(RuntimeError, match="un-acquired lock"):
            condition.notify()
        for task in consumers:
            task.cancel()

        barrier = asyncio.Barrier(2)
        alone = asyncio.create_task(barrier.wait())
        await asyncio.sleep(0)
        assert not alone.done()
        await barrier.abort()
        with pytest.raises(asyncio.BrokenBarrierError):
            await alone

    asyncio.run(main())


def test_14_a_plain_set_in_a_thread_does_not_wake_the_loop() -> None:
    async def main() -> None:
        loop, event, other = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        began = time.perf_counter()
        threading.Timer(0.02, event.set).start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), 0.3)
        plain, began = time.perf_counter() - began, time.perf_counter()
        threading.Timer(0.02, loop.call_soon_threadsafe, [other.set]).start()
        await asyncio.wait_for(other.wait(), 5)
        assert plain > 2 * (time.perf_counter() - began)

    asyncio.run(main())


def test_15_context_variables() -> None:
    name: ContextVar[str] = ContextVar("name", default="none")

    async def change() -> str:
        seen = name.get()
        name.set("changed")
        return seen

    async def main() -> None:
        name.set("parent")
        task = asyncio.create_task(change())
        name.set("later")
        assert await task == "parent"
        assert name.get() == "later"
        await change()
        assert name.get() == "changed"

        items, seen = asyncio.Queue[str](), list[str]()

        async def worker() -> None:
            while True:
                await items.get()
                seen.append(name.get())
                items.task_done()

        name.set("start")
        working = asyncio.create_task(worker())
        name.set("request")
        items.put_nowait("item")
        await items.join()
        working.cancel()
        assert seen == ["start"]

        loop, context = asyncio.get_running_loop(), copy_context()
        assert await asyncio.to_thread(name.get) == "request"
        assert await loop.run_in_executor(None, name.get) == "none"
        assert await loop.run_in_executor(None, context.run, name.get) == "request"

    asyncio.run(main())


def test_16_resources_close_in_reverse_and_all_of_them() -> None:
    log: list[str] = []

    @asynccontextmanager
    async def resource(name: str, *, fails: bool = False) -> AsyncIterator[None]:
        try:
            yield
        finally:
            log.append(name)
            if fails:
                raise KeyError(name)

    @asynccontextmanager
    async def slow() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await asyncio.sleep(0.02)
            log.append("closed")

    async def hold() -> None:
        async with slow():
            await asyncio.sleep(10)

    async def main() -> None:
        with pytest.raises(KeyError) as caught:
            async with AsyncExitStack() as stack:
                for name in "abc":
                    await stack.enter_async_context(resource(name, fails=name == "b"))
                raise ValueError
        assert isinstance(caught.value.__context__, ValueError)
        assert log == ["c", "b", "a"]
        for cancels, left in ((1, ["closed"]), (2, [])):
            log.clear()
            task = asyncio.create_task(hold())
            for _ in range(cancels):
                await asyncio.sleep(0.005)
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert log == left

    asyncio.run(main())


def test_17_pytest_alone_runs_no_coroutine(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        textwrap.dedent("""
            import unittest

            async def test_plain():
                pass

            class TestPlain(unittest.TestCase):
                async def test_never_run(self):
                    assert False

            class TestIsolated(unittest.IsolatedAsyncioTestCase):
                async def test_run(self):
                    assert False
        """)
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    clean["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=60, check=False)
    assert "async def functions are not natively supported" in done.stdout
    failed = {line.split("::")[-1].split(" ")[0] for line in done.stdout.splitlines() if line.startswith("FAILED")}
    assert {"test_plain", "test_run"} <= failed
    if sys.version_info < (3, 12):
        assert "test_never_run" not in failed


def test_17_an_async_mock_gives_no_turn() -> None:
    async def main() -> None:
        log: list[str] = []

        async def other() -> None:
            log.append("other")

        mock = AsyncMock(side_effect=["first", TimeoutError])
        task = asyncio.create_task(other())
        assert await mock() == "first"
        assert log == []
        with pytest.raises(TimeoutError):
            await mock()
        assert mock.await_count == 2
        await task

    asyncio.run(main())


def test_18_where_a_task_pauses() -> None:
    async def inner(event: asyncio.Event) -> None:
        await event.wait()

    async def outer(event: asyncio.Event) -> None:
        await inner(event)

    async def main() -> None:
        event = asyncio.Event()
        task = asyncio.create_task(outer(event), name="fetch 7")
        await asyncio.sleep(0)
        assert task in asyncio.all_tasks()
        assert "name='fetch 7'" in repr(task)
        assert "wait_for=<Future" in repr(task)
        assert len(task.get_stack()) == 1
        coroutine: Any = task.get_coro()
        names = []
        while hasattr(coroutine, "cr_frame"):
            names.append(coroutine.__name__)
            coroutine = coroutine.cr_await
        assert names == ["outer", "inner", "wait"]
        event.set()
        await task
        assert task not in asyncio.all_tasks()

    asyncio.run(main())


def test_18_faulthandler_names_the_line_that_holds_the_loop() -> None:
    async def blocked() -> None:
        time.sleep(0.2)

    with tempfile.TemporaryFile("w+") as file:
        faulthandler.dump_traceback_later(0.05, file=file)
        try:
            asyncio.run(blocked())
        finally:
            faulthandler.cancel_dump_traceback_later()
        file.seek(0)
        assert "in blocked" in file.read()


def test_18_the_checks_find_a_foreign_thread() -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()

        def foreign() -> str:
            try:
                loop.call_soon(list)
            except RuntimeError as error:
                return str(error)
            return "silence"

        return await asyncio.to_thread(foreign)

    assert asyncio.run(main(), debug=False) == "silence"
    assert "Non-thread-safe operation" in asyncio.run(main(), debug=True)


def test_19_a_queue_takes_the_handler_off_the_loop() -> None:
    threads: list[str] = []

    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            time.sleep(0.03)
            threads.append(threading.current_thread().name)

    logger, slow, records = logging.Logger("page 19"), Slow(), queue.SimpleQueue[Any]()
    began = time.perf_counter()
    logger.addHandler(slow)
    logger.warning("one")
    direct, began = time.perf_counter() - began, time.perf_counter()
    logger.removeHandler(slow)
    logger.addHandler(logging.handlers.QueueHandler(records))
    listener = logging.handlers.QueueListener(records, slow)
    listener.start()
    logger.warning("two")
    assert time.perf_counter() - began < direct
    listener.stop()
    main = threading.main_thread().name
    assert [name == main for name in threads] == [True, False]


def test_19_callback_handlers() -> None:
    from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
    from langchain_core.language_models import FakeListChatModel

    here: list[bool] = []

    def note() -> None:
        here.append(threading.current_thread() is threading.main_thread())

    class Sync(BaseCallbackHandler):
        def on_chat_model_start(self, *_: Any, **__: Any) -> None:
            note()

    class Inline(Sync):
        run_inline = True

    class Async(AsyncCallbackHandler):
        async def on_chat_model_start(self, *_: Any, **__: Any) -> None:
            note()

    class Failing(BaseCallbackHandler):
        def on_chat_model_start(self, *_: Any, **__: Any) -> None:
            raise ValueError("no")

    class Strict(Failing):
        raise_error = True

    async def main() -> None:
        model = FakeListChatModel(responses=["answer"])
        for handler in (Sync(), Inline(), Async(), Failing()):
            assert (await model.ainvoke("question", {"callbacks": [handler]})).text == "answer"
        with pytest.raises(ValueError, match="no"):
            await model.ainvoke("question", {"callbacks": [Strict()]})

    asyncio.run(main())
    assert here == [False, True, True]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_20_eager_tasks() -> None:
    async def main() -> None:
        log: list[str] = []

        async def work() -> None:
            log.append("start")
            await asyncio.sleep(0)
            log.append("end")

        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
        task = asyncio.create_task(work())
        log.append("created")
        await task
        assert log == ["start", "created", "end"]
        assert asyncio.create_task(asyncio.sleep(0, "x")).done() is False

    asyncio.run(main())


def test_20_eager_tasks_need_python_3_12() -> None:
    assert hasattr(asyncio, "eager_task_factory") == (sys.version_info >= (3, 12))
