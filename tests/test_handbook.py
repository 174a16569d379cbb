"""The handbook: its form, which page answers which question, and that what it says is so."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import os
import re
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from awaitsee.practice import knowledge
from awaitsee.practice.knowledge import prose
from awaitsee.practice.material import data_folder
from awaitsee.practice.model import Message, Prompt, reply
from awaitsee.practice.text import sentences

FIRST_FIVE = {
    "What is a coroutine?": "01_coroutines",
    "What does the event loop do?": "02_event_loop",
    "How does a deadlock happen?": "09_deadlocks_and_shared_state",
    "What does a semaphore limit?": "06_semaphores",
    "When should I use a thread?": "10_blocking_code_and_threads",
}
QUESTIONS = [
    ("01", "What does await do?"),
    ("01", "I forgot await, what happens?"),
    ("01", "What does 'was never awaited' mean?"),
    ("01", "Why does asyncio.run fail in a notebook?"),
    ("01", "Can I await a coroutine twice?"),
    ("01", "What is asyncio?"),
    ("01", "Why use async?"),
    ("02", "Explain the event loop."),
    ("02", "Is async code parallel?"),
    ("02", "What blocks the loop?"),
    ("02", "What does time.sleep do in a coroutine?"),
    ("02", "How do I find slow callbacks?"),
    ("02", "What does debug mode log?"),
    ("02", "Why do I get 'Event loop is closed'?"),
    ("03", "What is a task?"),
    ("03", "What is the difference between a coroutine and a task?"),
    ("03", "When does a task start running?"),
    ("03", "Why can a task be garbage collected?"),
    ("03", "Task exception was never retrieved"),
    ("03", "What is InvalidStateError?"),
    ("03", "How do I get results as they finish?"),
    ("03", "What does as_completed do?"),
    ("04", "What does asyncio.gather do?"),
    ("04", "In which order does gather return results?"),
    ("04", "What happens if one call in gather fails?"),
    ("04", "What does return_exceptions do?"),
    ("04", "What is a TaskGroup?"),
    ("04", "gather or TaskGroup?"),
    ("04", "How much faster is gather?"),
    ("04", "What is an ExceptionGroup?"),
    ("05", "How do I set a timeout?"),
    ("05", "How to time out a call?"),
    ("05", "How do I cancel a task?"),
    ("05", "What is CancelledError?"),
    ("05", "What does shield do?"),
    ("05", "Can a thread be cancelled?"),
    ("05", "What happens when I swallow CancelledError?"),
    ("05", "What does wait_for do?"),
    ("06", "Where should I create a semaphore?"),
    ("06", "Is a semaphore a rate limit?"),
    ("06", "How large should a semaphore be?"),
    ("06", "Does max_concurrency limit everything?"),
    ("06", "What is a BoundedSemaphore?"),
    ("06", "Tell me about semaphores."),
    ("07", "What is a rate limit?"),
    ("07", "What does 429 mean?"),
    ("07", "What is a token bucket?"),
    ("07", "What is Retry-After?"),
    ("07", "What is exponential backoff?"),
    ("07", "Does LangChain have a rate limiter?"),
    ("07", "Why are there nine requests for one call?"),
    ("07", "Why do retries multiply?"),
    ("08", "What is a queue for?"),
    ("08", "What does maxsize do?"),
    ("08", "What is back-pressure?"),
    ("08", "What is backpressure?"),
    ("08", "How do I build a worker pool?"),
    ("08", "What does queue.join wait for?"),
    ("08", "How do I stop the workers?"),
    ("08", "What does task_done do?"),
    ("09", "How do I avoid a deadlock?"),
    ("09", "Why is my program stuck?"),
    ("09", "What is a race condition?"),
    ("09", "When do I need a lock?"),
    ("09", "Is asyncio.Lock reentrant?"),
    ("09", "Are queues thread-safe?"),
    ("09", "What is a mutex for?"),
    ("10", "What does to_thread do?"),
    ("10", "How do I run blocking code?"),
    ("10", "How many threads does the default pool have?"),
    ("10", "When should I use a process?"),
    ("10", "What is the GIL?"),
    ("10", "Does LangChain use threads?"),
    ("10", "When should I use multiprocessing?"),
    ("10", "What is run_in_executor?"),
]


def pages() -> list[Path]:
    return sorted((data_folder() / "handbook").glob("*.md"))


def say(question: str) -> str:
    return reply(Prompt((Message("user", question),))).text


def page_of(answer: str) -> set[str]:
    """Return the pages that hold every sentence of an answer."""
    whole: dict[str, list[str]] = {}
    for passage in knowledge.handbook().passages:
        whole.setdefault(passage.page, []).extend(prose(passage.text))
    return {page for page, held in whole.items() if set(sentences(answer)) <= set(held)}


@pytest.mark.parametrize("question", FIRST_FIVE)
def test_the_first_five_questions(question: str) -> None:
    answer = say(question)
    assert FIRST_FIVE[question] in page_of(answer)
    assert 2 <= len(sentences(answer)) <= 4


def test_the_first_five_answers_differ() -> None:
    assert len({say(question) for question in FIRST_FIVE}) == 5


@pytest.mark.parametrize(("page", "question"), QUESTIONS)
def test_the_right_page_answers(page: str, question: str) -> None:
    answer = say(question)
    assert {name[:2] for name in page_of(answer)} == {page}, answer


@pytest.mark.parametrize(
    "passage", knowledge.handbook().passages, ids=lambda passage: f"{passage.page[:2]} {passage.heading}"
)
def test_every_heading_is_answered_by_its_own_section(passage: knowledge.Passage) -> None:
    assert set(sentences(say(passage.heading))) <= set(prose(passage.text))


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.stem)
def test_a_page_has_its_form(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.match(r"\d\d_[a-z_]+$", path.stem)
    assert text.startswith("# ")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[-1] == "Sources"
    assert all(heading.endswith("?") for heading in headings[:-1])
    body, sources = text.split("## Sources")
    assert 150 <= len(body.split()) <= 300
    assert "<https://" in sources
    assert body.isascii()


# ---- what the pages say, checked on this Python


def test_01_a_call_runs_nothing_and_a_second_await_fails() -> None:
    ran = []

    async def work() -> int:
        ran.append(1)
        return 7

    async def main() -> None:
        coroutine = work()
        assert inspect.iscoroutine(coroutine)
        assert ran == []
        assert await coroutine == 7
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            await coroutine
        # asyncio.run closes the coroutine that it was given only on some versions
        unused = work()
        with pytest.raises(RuntimeError, match=re.escape("asyncio.run() cannot be called from a running event loop")):
            asyncio.run(unused)
        unused.close()

    asyncio.run(main())
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        work()  # type: ignore[unused-coroutine]
        gc.collect()
    assert "coroutine 'test_01_a_call_runs_nothing_and_a_second_await_fails.<locals>.work' was never awaited" in str(
        seen[0].message
    )


def test_01_an_await_with_nothing_to_wait_for_gives_no_turn() -> None:
    async def main() -> list[str]:
        log: list[str] = []

        async def quick() -> None:
            log.append("quick")

        async def other() -> None:
            log.append("other")

        task = asyncio.create_task(other())
        await quick()
        log.append("after")
        await task
        return log

    assert asyncio.run(main()) == ["quick", "after", "other"]


def test_02_debug_mode_logs_slow_steps(caplog: pytest.LogCaptureFixture) -> None:
    limits = []

    async def main() -> None:
        limits.append(asyncio.get_running_loop().slow_callback_duration)
        time.sleep(0.15)

    asyncio.run(main(), debug=True)
    assert limits == [0.1]
    assert any("Executing <Task" in record.message and "main()" in record.message for record in caplog.records)


def test_02_a_lock_and_a_queue_belong_to_the_loop_they_waited_on() -> None:
    lock, semaphore, queue = asyncio.Lock(), asyncio.Semaphore(1), asyncio.Queue[int]()

    async def wait_on(entry: Any) -> None:
        async with asyncio.timeout(0.05):
            await entry()

    async def main() -> None:
        for one in (lock, semaphore):
            if not one.locked():
                await one.acquire()
        for entry in (lock.acquire, semaphore.acquire, queue.get):
            with pytest.raises(TimeoutError):
                await wait_on(entry)

    async def again() -> None:
        for entry in (lock.acquire, semaphore.acquire, queue.get):
            with pytest.raises(RuntimeError, match="is bound to a different event loop"):
                await wait_on(entry)

    asyncio.run(main())
    asyncio.run(again())


def test_03_a_task_starts_at_the_next_pause_and_keeps_its_exception() -> None:
    async def main() -> list[str]:
        log: list[str] = []

        async def fail() -> None:
            log.append("started")
            raise ValueError("no")

        task = asyncio.create_task(fail())
        log.append("printed")
        with pytest.raises(asyncio.InvalidStateError):
            task.result()
        with pytest.raises(asyncio.InvalidStateError):
            task.exception()
        await asyncio.sleep(0)
        assert isinstance(task.exception(), ValueError)
        with pytest.raises(ValueError, match="no"):
            task.result()
        return log

    assert asyncio.run(main()) == ["printed", "started"]


def test_03_as_completed_gives_the_first_to_finish_first() -> None:
    async def after(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    async def main() -> list[float]:
        return [await item for item in asyncio.as_completed([after(0.1), after(0.01)])]

    assert asyncio.run(main()) == [0.01, 0.1]


def test_04_gather_lets_the_others_run_and_a_group_cancels_them() -> None:
    async def fail() -> None:
        raise ValueError("no")

    async def main() -> list[str]:
        log: list[str] = []

        async def slow(name: str) -> str:
            try:
                await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                log.append(f"{name} cancelled")
                raise
            log.append(f"{name} finished")
            return name

        with pytest.raises(ValueError, match="no"):
            await asyncio.gather(slow("gathered"), fail())
        await asyncio.sleep(0.1)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(slow("grouped"))
                group.create_task(fail())
        except* ValueError:
            log.append("group")
        kept = await asyncio.gather(slow("kept"), fail(), return_exceptions=True)
        assert kept[0] == "kept"
        assert isinstance(kept[1], ValueError)
        return log

    assert asyncio.run(main()) == ["gathered finished", "grouped cancelled", "group", "kept finished"]


def test_05_cancellation() -> None:
    async def swallow() -> str:
        for _ in range(3):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.02)
        return "ran on"

    async def main() -> None:
        assert not issubclass(asyncio.CancelledError, Exception)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.sleep(1)
        async with asyncio.timeout(0.01):
            assert await swallow() == "ran on"
        inner = asyncio.create_task(asyncio.sleep(0.03, "done"))
        outer = asyncio.create_task(_shielded(inner))
        await asyncio.sleep(0)
        outer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer
        assert await inner == "done"

    asyncio.run(main())


async def _shielded(task: asyncio.Task[str]) -> None:
    await asyncio.shield(task)


def test_05_a_thread_outlives_its_timeout() -> None:
    finished = threading.Event()

    def work() -> None:
        time.sleep(0.2)
        finished.set()

    async def main() -> bool:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await asyncio.to_thread(work)
        return finished.is_set()

    assert asyncio.run(main()) is False
    assert finished.is_set(), "asyncio.run waited for the thread"


def test_06_semaphores() -> None:
    async def main() -> int:
        inside = peak = 0
        shared = asyncio.Semaphore(3)

        async def enter() -> None:
            nonlocal inside, peak
            async with shared:
                inside += 1
                peak = max(peak, inside)
                await asyncio.sleep(0.001)
                inside -= 1

        await asyncio.gather(*(enter() for _ in range(10)))
        with pytest.raises(ValueError, match="released too many times"):
            asyncio.BoundedSemaphore(1).release()
        asyncio.Semaphore(1).release()
        return peak

    assert asyncio.run(main()) == 3


def test_06_max_concurrency_multiplies() -> None:
    from langchain_core.runnables import RunnableLambda

    running = peak = 0

    async def work(_: int) -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0.02)
        running -= 1

    async def outer(_: int) -> None:
        await RunnableLambda(work).abatch(list(range(6)), {"max_concurrency": 2})

    asyncio.run(RunnableLambda(work).abatch(list(range(10)), {"max_concurrency": 3}))
    assert peak == 3
    peak = 0
    asyncio.run(RunnableLambda(outer).abatch([1, 2, 3, 4], {"max_concurrency": 2}))
    assert peak == 4


def test_07_the_limiter_of_langchain() -> None:
    from langchain_core.rate_limiters import InMemoryRateLimiter

    limiter = InMemoryRateLimiter(requests_per_second=0.001, max_bucket_size=2)
    limiter.available_tokens = 1.0
    assert limiter.acquire(blocking=False)
    assert not limiter.acquire(blocking=False)
    assert set(inspect.signature(InMemoryRateLimiter).parameters) == {
        "requests_per_second",
        "check_every_n_seconds",
        "max_bucket_size",
    }


def test_08_queues() -> None:
    async def main() -> None:
        queue = asyncio.Queue[int](maxsize=1)
        await queue.put(1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queue.put(2), 0.01)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queue.join(), 0.01)
        assert await queue.get() == 1
        queue.task_done()
        await asyncio.wait_for(queue.join(), 1)
        assert hasattr(queue, "shutdown") == (sys.version_info >= (3, 13))

    asyncio.run(main())


def test_09_deadlocks_and_races() -> None:
    async def main() -> None:
        first, second = asyncio.Lock(), asyncio.Lock()

        async def take(one: asyncio.Lock, other: asyncio.Lock) -> None:
            async with one:
                await asyncio.sleep(0)
                async with other:
                    pass

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.gather(take(first, second), take(second, first)), 0.05)
        await asyncio.wait_for(asyncio.gather(take(first, second), take(first, second)), 1)
        async with first:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(first.acquire(), 0.01)
        seats, sold = 1, 0

        async def book() -> None:
            nonlocal seats, sold
            if seats > 0:
                await asyncio.sleep(0)
                seats -= 1
                sold += 1

        await asyncio.gather(book(), book())
        assert sold == 2

    asyncio.run(main())


def test_10_threads() -> None:
    from contextvars import ContextVar

    name: ContextVar[str] = ContextVar("name", default="none")

    async def main() -> tuple[str, str, int]:
        name.set("ann")
        loop = asyncio.get_running_loop()
        by_thread = await asyncio.to_thread(name.get)
        by_executor = await loop.run_in_executor(None, name.get)
        return by_thread, by_executor, loop._default_executor._max_workers  # type: ignore[attr-defined]

    cores = os.process_cpu_count() if sys.version_info >= (3, 13) else os.cpu_count()  # type: ignore[attr-defined]
    assert asyncio.run(main()) == ("ann", "none", min(32, (cores or 1) + 4))


def test_10_langchain_runs_sync_code_in_threads() -> None:
    from langchain_core.runnables import RunnableLambda

    def where(_: int) -> str:
        return threading.current_thread().name

    async def main() -> str:
        return await RunnableLambda(where).ainvoke(1)

    assert asyncio.run(main()) != threading.main_thread().name
