"""What `observe` records on plain asyncio, and that it leaves no trace."""

from __future__ import annotations

import asyncio
import concurrent.futures
import concurrent.futures.thread
import gc
import inspect
import itertools
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from awaitsee.observe import Observation, observe

PAUSE = 0.05


async def nap(seconds: float = PAUSE) -> float:
    await asyncio.sleep(seconds)
    return seconds


async def fail(after: float = 0.0) -> None:
    await asyncio.sleep(after)
    raise ValueError("bad input")


async def five() -> list[float]:
    return await asyncio.gather(*(nap() for _ in range(5)))


def names(run: Observation) -> list[str]:
    return [task.name for task in run.tasks]


def outcomes(run: Observation) -> dict[str, str]:
    return {task.name: task.outcome for task in run.tasks}


def hooks() -> tuple[object, ...]:
    """Return everything that a run replaces, so that it can be compared by identity."""
    item = concurrent.futures.thread._WorkItem
    return (
        asyncio.events.Handle.__dict__["_run"],
        asyncio.Task,
        item.__dict__["__init__"],
        item.__dict__["run"],
        tuple(sys.meta_path),
    )


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """After every test of this file all is as it was before, by identity."""
    before = hooks()
    yield
    assert all(now is then or now == then for now, then in zip(hooks(), before, strict=True))
    assert hooks()[0] is before[0]
    assert not [thread.name for thread in threading.enumerate() if thread.name == "awaitsee-watchdog"]


# -- what is recorded ----------------------------------------------------------------------------------------------


def test_a_gather_of_five_has_five_tasks_in_flight() -> None:
    run = asyncio.run(_observed(five()))
    assert run.result == [PAUSE] * 5
    assert run.peak_tasks == 5
    assert len(run.tasks) == 6
    assert [task.parent for task in run.tasks] == [None, 0, 0, 0, 0, 0]
    assert [task.id for task in run.tasks] == list(range(6))
    assert {task.outcome for task in run.tasks} == {"returned"}
    assert run.speedup > 2.5
    assert run.leaked == []
    for task in run.tasks:
        assert task.started is not None and task.finished is not None
        assert task.created <= task.started <= task.finished <= run.elapsed
        assert len(task.steps) == 2
        assert all(step.start <= step.end for step in task.steps)


async def _observed(coroutine: Coroutine[Any, Any, Any], **options: Any) -> Observation:
    return await observe(coroutine, **options)


def test_code_without_tasks_has_one_lane() -> None:
    async def one_by_one() -> None:
        for _ in range(3):
            await nap(0.01)

    run = asyncio.run(_observed(one_by_one()))
    assert names(run) == ["one_by_one"]
    assert run.peak_tasks == 1
    assert len(run.tasks[0].steps) == 4


def test_tasks_one_after_another_are_never_together() -> None:
    async def one_by_one() -> None:
        for _ in range(3):
            await asyncio.create_task(nap(0.01))

    run = asyncio.run(_observed(one_by_one()))
    assert len(run.tasks) == 4
    assert run.peak_tasks == 1


def test_names() -> None:
    async def ask(question: str, retries: int = 2) -> None:
        await asyncio.sleep(0)

    class Desk:
        async def answer(self, number: int) -> None:
            await asyncio.sleep(0)

    class Branch(Desk):
        pass

    async def limited(work: Coroutine[Any, Any, None]) -> None:
        await work

    async def main() -> None:
        renamed = asyncio.create_task(ask("x"))
        async with asyncio.TaskGroup() as group:
            group.create_task(ask("What is a coroutine, and why should I care?"))
            group.create_task(ask("x"), name="by hand")
            group.create_task(Branch().answer(7))
            group.create_task(limited(ask("y")))
            renamed.set_name("renamed")

    run = asyncio.run(_observed(main()))
    assert sorted(names(run)) == sorted(
        [
            "main",
            "renamed",
            "ask('What is a coroutine, and why sh…')",
            "by hand",
            "Branch.answer(7)",
            "limited(ask('y'))",
        ]
    )


def test_the_runs_name_is_its_first_lanes() -> None:
    async def main() -> None:
        async with observe(name="block") as block:
            await nap(0)
        assert names(block) == ["block"]
        assert names(await observe(nap(0), name="together")) == ["together"]

    asyncio.run(main())


def test_a_failing_gather_leaves_its_siblings_running() -> None:
    async def main() -> None:
        await asyncio.gather(nap(0.2), fail(0.01), nap(0.2))

    async def watch() -> tuple[Observation, Observation]:
        short = await observe(main(), keep_error=True)
        return short, await observe(main(), keep_error=True, settle=5.0)

    short, settled = asyncio.run(watch())
    assert isinstance(short.error, ValueError)
    assert short.leaked == ["nap", "nap"]
    assert [task.outcome for task in short.tasks] == ["raised", "running", "raised", "running"]
    assert short.tasks[2].error == "ValueError: bad input"
    assert [task.outcome for task in settled.tasks] == ["raised", "returned", "raised", "returned"]
    assert settled.recorded > 2 * settled.elapsed
    assert settled.leaked == ["nap", "nap"]


def test_a_task_group_cancels_what_is_left() -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(nap(5), name="slow")
            group.create_task(fail(), name="bad")

    run = asyncio.run(_observed(main(), keep_error=True))
    assert isinstance(run.error, ExceptionGroup)
    assert outcomes(run) == {"main": "raised", "slow": "cancelled", "bad": "raised"}
    assert run.leaked == []


def test_timeouts_and_cancelled_before_the_start() -> None:
    async def main() -> str:
        never = asyncio.create_task(nap(5), name="never began")
        never.cancel()
        with suppress(TimeoutError):
            await asyncio.wait_for(nap(5), 0.01)
        try:
            async with asyncio.timeout(0.01):
                await nap(5)
        except TimeoutError:
            return "in time"
        return "late"

    run = asyncio.run(_observed(main()))
    assert run.result == "in time"
    assert outcomes(run)["never began"] == "cancelled"
    assert run.tasks[0].outcome == "returned"


def test_a_cancel_that_is_scheduled_is_no_step() -> None:
    async def main() -> None:
        task = asyncio.create_task(nap(5), name="scheduled")
        loop = asyncio.get_running_loop()
        loop.call_soon(task.cancel)
        with suppress(asyncio.CancelledError):
            await task

    run = asyncio.run(_observed(main()))
    (task,) = [task for task in run.tasks if task.name == "scheduled"]
    assert task.outcome == "cancelled" and task.started is not None


def test_async_generators_and_their_finalizers() -> None:
    closed = []

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in range(10):
                yield number
                await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    async def main() -> int:
        total = 0
        async for number in numbers():
            total += number
            if number == 3:
                break
        gc.collect()
        await nap(0.02)
        return total

    run = asyncio.run(_observed(main()))
    assert run.result == 6 and closed == [True]
    assert names(run) == ["main"]


def test_what_bare_callbacks_do() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        cancelled = loop.call_later(0.01, future.set_result, -1)
        cancelled.cancel()
        loop.call_soon(future.set_result, 3)
        tasks: list[asyncio.Task[float]] = []
        loop.call_soon(lambda: tasks.append(loop.create_task(nap(0.01), name="from a callback")))
        number = await future
        await asyncio.sleep(0)
        await tasks[0]
        return number

    run = asyncio.run(_observed(main()))
    assert run.result == 3
    assert names(run) == ["main", "from a callback"]
    assert run.tasks[1].parent == 0


def test_a_callback_that_blocks_has_a_place() -> None:
    def blocking() -> None:
        time.sleep(0.15)

    async def main() -> None:
        asyncio.get_running_loop().call_soon(blocking)
        await nap(0.01)

    run = asyncio.run(_observed(main()))
    assert run.longest_block is not None
    assert run.longest_block.task.endswith("blocking")
    assert run.longest_block.file == "test_recorder.py"


def test_a_block_has_task_file_and_line() -> None:
    def busy() -> None:
        time.sleep(0.2)

    async def main() -> None:
        await asyncio.gather(nap(0.1), asyncio.create_task(hold(), name="holder"))

    async def hold() -> None:
        await nap(0.01)
        busy()

    run = asyncio.run(_observed(main()))
    block = run.longest_block
    assert block is not None and block.task == "holder" and 0.1 < block.seconds < 0.6
    assert (block.file, block.line) == ("test_recorder.py", inspect.getsourcelines(busy)[1] + 1)
    assert run.lag.max > 0.1
    assert any(came - due > 0.1 for due, came in run.ticks)


def test_a_block_that_keeps_the_interpreter_to_itself_still_has_a_task() -> None:
    async def main() -> None:
        await nap(0)
        sum(range(12_000_000))

    run = asyncio.run(_observed(main()))
    assert run.longest_block is not None
    assert run.longest_block.task == "main" and run.longest_block.file == "test_recorder.py"


def test_a_loop_that_is_free_has_no_block_and_beats() -> None:
    run = asyncio.run(_observed(nap(0.3)))
    assert run.longest_block is None or run.longest_block.seconds < 0.15
    assert len(run.ticks) > 5


def test_the_block_that_ends_a_run_counts() -> None:
    async def main() -> Observation:
        async with observe() as run:
            await asyncio.sleep(0)
            time.sleep(0.15)
        return run

    run = asyncio.run(main())
    assert run.longest_block is not None and run.longest_block.file == "test_recorder.py"
    assert run.lag.max > 0.07
    assert run.tasks[0].steps[-1].end <= run.elapsed


# -- threads -------------------------------------------------------------------------------------------------------


def test_threads() -> None:
    def work(number: int) -> int:
        time.sleep(0.02)
        if number == 2:
            raise KeyError(number)
        return number

    async def main() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.create_task(asyncio.to_thread(work, 1), name="handing over")
        with suppress(KeyError):
            await loop.run_in_executor(None, work, 2)
        with concurrent.futures.ThreadPoolExecutor(1, "own") as pool:
            await asyncio.wrap_future(pool.submit(work, 3))

    run = asyncio.run(_observed(main()))
    first, second, third = run.threads
    assert [call.name for call in run.threads] == ["work(1)", "work(2)", "work(3)"]
    assert run.tasks[first.task or 0].name == "handing over"
    assert second.task == third.task == 0
    assert second.error.startswith("KeyError") and not first.error
    assert third.thread.startswith("own")
    for call in run.threads:
        assert call.started is not None and call.finished is not None
        assert call.submitted <= call.started < call.finished
    assert [(lane.name, lane.depth, lane.kind) for lane in run.lanes()] == [
        ("main", 0, "task"),
        ("handing over", 1, "task"),
        ("work(1)", 2, "thread"),
        ("work(2)", 1, "thread"),
        ("work(3)", 1, "thread"),
    ]


def test_a_cancelled_call_never_started() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            first = loop.run_in_executor(pool, time.sleep, 0.1)
            pool.submit(time.sleep, 0).cancel()
            await first

    run = asyncio.run(_observed(main()))
    assert [call.started is None for call in run.threads] == [False, True]


# -- what goes in --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (nap, "observe(nap(...))"),
        (3, "not what it returned"),
        (None, "not what it returned"),
        ([], "type list"),
    ],
)
def test_what_cannot_be_awaited_is_refused(thing: Any, words: str) -> None:
    with pytest.raises(TypeError) as caught:
        observe(thing)
    assert words in str(caught.value)


def test_a_list_of_coroutines_and_an_async_generator_are_refused() -> None:
    async def stream() -> AsyncIterator[int]:
        yield 1

    coroutine = nap()
    with pytest.raises(TypeError, match="gather"):
        observe([coroutine])  # type: ignore[arg-type]
    coroutine.close()
    with pytest.raises(TypeError, match="async generator"):
        observe(stream())  # type: ignore[arg-type]


def test_forgetting_await_or_mixing_the_forms_says_what_to_write() -> None:
    async def main() -> None:
        coroutine = nap()
        forgotten = observe(coroutine)
        with pytest.raises(AttributeError, match="with await"):
            _ = forgotten.elapsed
        with pytest.raises(TypeError, match="is awaited"):
            async with forgotten:
                pass
        coroutine.close()
        with pytest.raises(TypeError, match="async with"):
            await observe()

    asyncio.run(main())


def test_tasks_futures_and_gathers_that_exist_already() -> None:
    async def children() -> float:
        await asyncio.sleep(0)
        return sum(await asyncio.gather(nap(0.01), nap(0.02)))

    class Later:
        def __await__(self) -> Any:
            return nap(0.01).__await__()

    async def main() -> None:
        token = copy_context().get(MARK)
        run = await observe(asyncio.create_task(children(), name="older"))
        assert names(run) == ["older", "nap", "nap"]
        assert [task.parent for task in run.tasks] == [None, 0, 0]

        run = await observe(asyncio.gather(nap(0.01), nap(0.02), children()))
        assert run.result == [0.01, 0.02, 0.03]
        assert names(run) == ["gather", "nap", "nap", "children", "nap", "nap"]
        assert run.peak_tasks == 5
        assert run.tasks[0].finished is not None

        done = asyncio.create_task(nap(0))
        await done
        assert (await observe(done)).result == 0
        assert (await observe(Later())).result == 0.01
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.01, future.set_result, 4)
        assert (await observe(future)).result == 4
        assert copy_context().get(MARK) is token

    asyncio.run(main())


MARK: ContextVar[str] = ContextVar("mark")


def test_an_older_task_forgets_the_run() -> None:
    from awaitsee.observe.recording import RUN

    async def main() -> None:
        seen = []
        go = asyncio.Event()

        async def older() -> None:
            await asyncio.sleep(0)
            seen.append(RUN.get())
            await go.wait()
            seen.append(RUN.get())

        task = asyncio.create_task(older())
        with suppress(TimeoutError):
            await asyncio.wait_for(observe(asyncio.shield(task)), 0.05)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await observe(asyncio.gather(asyncio.shield(task)))
        go.set()
        await task
        assert seen[1] is None

    asyncio.run(main())


# -- errors and cancellation ---------------------------------------------------------------------------------------


def test_an_exception_passes_through() -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="bad input") as caught:
            await observe(fail())
        assert [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)][-1] == "fail"

    asyncio.run(main())


def test_a_kept_error_has_no_frame_of_ours() -> None:
    run = asyncio.run(_observed(fail(), keep_error=True))
    assert run.error is not None
    assert [frame.name for frame in traceback.extract_tb(run.error.__traceback__)] == ["fail"]
    assert run.tasks[0].outcome == "raised"


@pytest.mark.parametrize("keep", [False, True])
def test_cancelling_whoever_observes_passes_through(keep: bool) -> None:
    ended = []

    async def work() -> None:
        try:
            await nap(5)
        finally:
            ended.append(True)

    async def main() -> None:
        outer = asyncio.create_task(_observed(work(), keep_error=keep))
        await nap(0.01)
        outer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer
        assert ended == [True]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await observe(work(), keep_error=keep)

    asyncio.run(main())


def test_a_coroutine_that_cancels_itself_is_kept() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    run = asyncio.run(_observed(work(), keep_error=True))
    assert isinstance(run.error, asyncio.CancelledError)
    assert run.tasks[0].outcome == "cancelled"


def test_a_block_that_raises_is_filled() -> None:
    async def main() -> tuple[Observation, Observation]:
        with pytest.raises(ValueError):
            async with observe() as run:
                with pytest.raises(RuntimeError, match="still being recorded"):
                    _ = run.elapsed
                assert repr(run) == "<Observation: still recording>"
                await asyncio.create_task(fail())
        async with observe(keep_error=True) as kept:
            raise KeyError("kept")
        return run, kept

    run, kept = asyncio.run(main())
    assert outcomes(run) == {"main": "raised", "fail": "raised"}
    assert isinstance(kept.error, KeyError)


def test_a_cancelled_block() -> None:
    runs = []

    async def work() -> None:
        async with observe(keep_error=True) as run:
            runs.append(run)
            await nap(5)

    async def main() -> None:
        task = asyncio.create_task(work())
        await nap(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert runs[0].tasks[0].outcome == "cancelled"


def test_nobody_retrieves_an_exception_for_the_user() -> None:
    complaints: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context["message"]))

        async def forget() -> None:
            task = asyncio.create_task(fail())
            await nap(0.01)
            del task

        await observe(forget())
        gc.collect()

    asyncio.run(main())
    assert complaints == ["Task exception was never retrieved"]


def test_a_thread_call_has_ended_when_the_run_that_waited_for_it_has() -> None:
    async def main() -> None:
        await asyncio.to_thread(time.sleep, 0.001)

    for _ in range(50):
        run = asyncio.run(_observed(main()))
        assert [lane.outcome for lane in run.lanes()] == ["returned", "returned"]


def test_a_lost_task_stays_lost() -> None:
    ended = []

    async def stuck() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(True)

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        task = asyncio.create_task(stuck(), name="lost")
        await nap(0.01)
        del task
        gc.collect()
        await nap(0.01)

    run = asyncio.run(_observed(main()))
    assert ended == [True]
    (lost,) = [task for task in run.tasks if task.name == "lost"]
    assert lost.outcome == "lost" and lost.error.startswith("lost:")
    assert lost.finished is not None and lost.created < lost.finished < run.elapsed
    assert run.leaked == []


def test_an_exception_in_the_exception_handler() -> None:
    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        raise RuntimeError("in the handler")

    async def main() -> int:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(handler)
        loop.call_soon(lambda: 1 / 0)
        await nap(0.01)
        return 1

    assert asyncio.run(_observed(main())).result == 1


@pytest.mark.parametrize("kind", ["coroutine", "block"])
def test_keyboard_interrupt_in_a_step(kind: str) -> None:
    before = hooks()

    async def interrupt() -> None:
        await nap(0)
        raise KeyboardInterrupt

    async def main() -> None:
        if kind == "coroutine":
            await observe(interrupt(), keep_error=True)
        else:
            async with observe(keep_error=True):
                await interrupt()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert hooks()[0] is before[0]


def test_a_stopped_loop_that_goes_on() -> None:
    loop = asyncio.new_event_loop()

    async def main() -> Observation:
        loop.call_soon(loop.stop)
        return await observe(nap(0.02))

    task = loop.create_task(main())
    loop.run_forever()
    assert not task.done()
    run = loop.run_until_complete(task)
    loop.close()
    assert run.tasks[0].outcome == "returned"


def test_a_loop_that_is_closed_before_the_end() -> None:
    async def main() -> None:
        await observe(nap(5))

    loop = asyncio.new_event_loop()
    loop.call_later(0.02, loop.stop)
    task = loop.create_task(main())
    loop.run_forever()
    loop.close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    del task
    gc.collect()


# -- leaving no trace ----------------------------------------------------------------------------------------------


def test_hooks_are_in_place_only_during_a_run() -> None:
    async def main() -> None:
        before = hooks()
        loop = asyncio.get_running_loop()

        async def look() -> None:
            assert hooks()[0] is not before[0]
            assert loop.get_task_factory() is not None

        await observe(look())
        assert hooks() == before
        assert loop.get_task_factory() is None

    asyncio.run(main())


@pytest.mark.parametrize("first_ends_first", [True, False])
def test_overlapping_runs_do_not_mix(first_ends_first: bool) -> None:
    async def lap(name: str, seconds: float) -> Observation:
        async def main() -> None:
            await asyncio.gather(*(asyncio.create_task(nap(seconds), name=name) for _ in range(2)))

        return await observe(main())

    async def main() -> None:
        before = hooks()
        times = (0.03, 0.08) if first_ends_first else (0.08, 0.03)
        one, two = await asyncio.gather(lap("one", times[0]), lap("two", times[1]))
        assert names(one) == ["main", "one", "one"]
        assert names(two) == ["main", "two", "two"]
        assert hooks()[0] is before[0]
        assert asyncio.get_running_loop().get_task_factory() is None

    asyncio.run(main())


def test_overlapping_blocks_may_end_in_either_order() -> None:
    async def block(name: str, seconds: float) -> Observation:
        async with observe(name=name) as run:
            await nap(seconds)
            await asyncio.create_task(nap(0), name=f"{name}'s")
        return run

    async def main() -> None:
        for times in ((0.02, 0.05), (0.05, 0.02)):
            one, two = await asyncio.gather(block("one", times[0]), block("two", times[1]))
            assert (names(one), names(two)) == (["one", "one's"], ["two", "two's"])
            assert asyncio.get_running_loop().get_task_factory() is None

    asyncio.run(main())


def test_an_outer_run_sees_the_inner_one() -> None:
    inner: list[Observation] = []

    async def part() -> None:
        inner.append(await observe(five(), name="inner"))

    async def main() -> Observation:
        return await observe(asyncio.gather(part(), nap(0.2)), name="outer")

    run = asyncio.run(main())
    assert names(run) == ["outer", "part", "nap", "inner", *["nap"] * 5]
    assert names(inner[0]) == ["inner", *["nap"] * 5]
    assert [task.parent for task in inner[0].tasks] == [None, 0, 0, 0, 0, 0]
    assert run.tasks[3].parent == 1
    assert inner[0].elapsed < run.elapsed


def test_a_block_in_a_block() -> None:
    async def main() -> None:
        async with observe(name="outer") as outer:
            await nap(0.01)
            async with observe() as inner:
                await asyncio.create_task(nap(0.02), name="child")
            await asyncio.create_task(nap(0.01), name="later")
        assert names(outer) == ["outer", "child", "later"]
        assert names(inner)[1:] == ["child"]
        assert inner.tasks[0].created == 0.0 and inner.tasks[0].finished == inner.elapsed
        assert all(0 <= step.start <= step.end <= inner.elapsed for step in inner.tasks[0].steps)

    asyncio.run(main())


def test_an_inner_run_may_outlive_the_outer() -> None:
    async def main() -> None:
        kept: list[asyncio.Task[Observation]] = []

        async def start() -> None:
            kept.append(asyncio.create_task(_observed(five())))
            await nap(0.01)

        outer = await observe(start())
        assert outer.leaked != []
        inner = await kept[0]
        assert inner.peak_tasks == 5 and [task.outcome for task in inner.tasks] == ["returned"] * 6
        assert asyncio.get_running_loop().get_task_factory() is None

    asyncio.run(main())


def test_what_others_do_on_the_loop_stays_out() -> None:
    async def main() -> None:
        noise = asyncio.create_task(noisy())
        run = await observe(nap(0.05))
        assert names(run) == ["nap"]
        noise.cancel()

    async def noisy() -> None:
        while True:
            await asyncio.create_task(nap(0.001))

    asyncio.run(main())


def test_two_loops_in_two_threads() -> None:
    results: dict[str, list[str]] = {}

    def run_in(name: str) -> None:
        async def main() -> None:
            await asyncio.gather(*(asyncio.create_task(nap(0.03), name=name) for _ in range(3)))

        results[name] = names(asyncio.run(_observed(main())))

    threads = [threading.Thread(target=run_in, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {name: ["main", *[name] * 3] for name in ("a", "b")}


def test_a_task_factory_that_was_set_goes_on_working() -> None:
    made = []

    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        made.append(coro.__qualname__)
        return asyncio.Task(coro, loop=loop, **kwargs)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(factory)
        run = await observe(five())
        assert len(made) == 6 and len(run.tasks) == 6
        assert loop.get_task_factory() is factory

        async def replace() -> None:
            loop.set_task_factory(other)
            await asyncio.create_task(nap(0))

        def other(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
            return asyncio.Task(coro, loop=loop, **kwargs)

        run = await observe(replace())
        assert loop.get_task_factory() is other
        assert len(run.tasks) == 2

    asyncio.run(main())


def test_tasks_in_pure_python_and_tasks_that_no_factory_made() -> None:
    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> Any:
        return asyncio.tasks._PyTask(coro, loop=loop, **kwargs)  # type: ignore[attr-defined]

    async def past_the_factory() -> None:
        await asyncio.Task(nap(0.01), loop=asyncio.get_running_loop(), name="direct")

    async def main() -> None:
        run = await observe(past_the_factory())
        assert outcomes(run) == {"past_the_factory": "returned", "direct": "returned"}
        asyncio.get_running_loop().set_task_factory(factory)
        run = await observe(five())
        assert [len(task.steps) for task in run.tasks] == [2] * 6
        assert run.peak_tasks == 5

    asyncio.run(main())


def test_a_hook_that_cannot_start_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        coroutine = nap()
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="new thread"):
                await observe(coroutine)
        coroutine.close()
        assert asyncio.get_running_loop().get_task_factory() is None
        assert (await observe(nap(0))).result == 0

    asyncio.run(main())


def test_a_factory_that_fails() -> None:
    def refusing(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        if coro.__qualname__.endswith("nap"):
            coro.close()
            raise MemoryError("no more tasks")
        return asyncio.Task(coro, loop=loop, **kwargs)

    async def one() -> None:
        await asyncio.create_task(nap())

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(refusing)
        run = await observe(one(), keep_error=True)
        assert isinstance(run.error, MemoryError)
        assert len(run.tasks) == 1
        with pytest.raises(MemoryError):
            await observe(nap())
        assert asyncio.get_running_loop().get_task_factory() is refusing

    asyncio.run(main())


def test_coroutines_and_tasks_are_what_they_were() -> None:
    async def child() -> str:
        task = asyncio.current_task()
        assert task is not None and type(task) is asyncio.Task
        return inspect.getcoroutinestate(task.get_coro())  # type: ignore[arg-type]

    async def main() -> None:
        coroutine = child()
        task = asyncio.create_task(coroutine)
        assert task.get_coro() is coroutine
        assert inspect.getcoroutinestate(coroutine) == "CORO_CREATED"
        assert await task == "CORO_RUNNING"
        waiting = asyncio.create_task(nap(0.05))
        await nap(0.01)
        assert [frame.f_code.co_name for frame in waiting.get_stack()] == ["nap"]
        assert inspect.getcoroutinestate(waiting.get_coro()) == "CORO_SUSPENDED"  # type: ignore[arg-type]
        await waiting
        with pytest.raises(ValueError) as caught:
            await asyncio.create_task(fail())
        frames = traceback.extract_tb(caught.value.__traceback__)
        assert [frame.name for frame in frames] == ["main", "fail"]
        inner = asyncio.create_task(nap(0), name="named")
        assert inner.get_name() == "named"
        await inner

    asyncio.run(_observed(main()))


def test_context_and_keywords_reach_the_task() -> None:
    async def mark() -> str:
        return MARK.get("none")

    async def main() -> None:
        context = copy_context()
        context.run(MARK.set, "given")
        assert await asyncio.create_task(mark(), context=context) == "given"
        assert await asyncio.create_task(mark()) == "none"
        MARK.set("own")

    async def outer() -> None:
        run = await observe(main())
        assert len(run.tasks) == 3
        assert MARK.get("none") == "none"

    asyncio.run(outer())


def test_debug_mode_shows_where_a_task_was_made() -> None:
    async def made_here() -> list[str]:
        task = asyncio.create_task(nap(0))
        await task
        return [f"{frame.filename}:{frame.name}" for frame in task._source_traceback]  # type: ignore[attr-defined]

    async def main() -> None:
        plain = await asyncio.create_task(made_here())
        observed = (await observe(made_here())).result
        assert observed[-2:] == plain[-2:]
        assert not any("awaitsee" in line and "loopwatch" in line for line in observed)

    asyncio.run(main(), debug=True)


def test_very_many_steps_stay_small(monkeypatch: pytest.MonkeyPatch) -> None:
    from awaitsee.observe import steps

    monkeypatch.setattr(steps, "MAX_STEPS", 200)

    async def spin() -> None:
        for _ in range(2000):
            await asyncio.sleep(0)

    run = asyncio.run(_observed(spin()))
    taken = run.tasks[0].steps
    assert len(taken) <= 101
    assert taken[0].start < taken[-1].end and all(a.end <= b.start for a, b in itertools.pairwise(taken))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_eager_tasks() -> None:
    async def at_once(number: int) -> int:
        return number

    async def parent() -> int:
        return await asyncio.create_task(at_once(1))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        eager = vars(asyncio)["eager_task_factory"]  # mypy reads the types of Python 3.11
        loop.set_task_factory(eager)
        run = await observe(asyncio.wait_for(parent(), 5))
        assert loop.get_task_factory() is eager
        assert names(run)[-2:] == ["parent", "at_once(1)"]
        *_, made, child = run.tasks
        assert child.parent == made.id
        assert {task.outcome for task in run.tasks} == {"returned"}
        run = await observe(five())
        assert run.peak_tasks == 5
        assert [len(task.steps) for task in run.tasks][1:] == [2] * 5
        named = await observe(_named())
        assert "given" in names(named)

    async def _named() -> None:
        await asyncio.create_task(at_once(2), name="given")

    asyncio.run(main())


def test_names_survive_the_factory() -> None:
    async def own_name() -> str:
        task = asyncio.current_task()
        assert task is not None
        return task.get_name()

    async def main() -> None:
        assert (await asyncio.create_task(own_name())).startswith("Task-")

    asyncio.run(_observed(main()))


def test_importing_it_is_light() -> None:
    code = (
        "import sys, awaitsee.observe; "
        "print([m for m in ('matplotlib','aiohttp','httpx','langchain_core','IPython','anyio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_callable_object_says_its_name() -> None:
    class Work:
        def __call__(self) -> None: ...

    work: Callable[[], None] = Work()
    with pytest.raises(TypeError, match="Work"):
        observe(work)  # type: ignore[arg-type]


def test_a_task_made_of_to_thread_is_one_lane_in_a_thread() -> None:
    async def main() -> None:
        await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.05) for _ in range(3)))

    async def cell() -> Observation:
        return await observe(main())

    lanes = asyncio.run(cell()).lanes()
    assert [(lane.depth, lane.name, lane.kind) for lane in lanes[1:]] == [(1, "sleep", "thread")] * 3
