"""The simulated clock: exact times, and code that does not end, misbehaves, or leaves things behind."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import functools
import gc
import inspect
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from time import sleep as sleep_taken_earlier
from typing import Any

import anyio
import anyio.to_thread
import pytest

from awaitsee.observe import simulator
from awaitsee.observe.simulation import Deadlock, OutOfTime, Simulation, SimulationError, Stuck, simulate

TIME_FUNCTIONS = ("sleep", "monotonic", "perf_counter", "time", "monotonic_ns", "perf_counter_ns", "time_ns")
REAL = {name: getattr(time, name) for name in TIME_FUNCTIONS}
real_clock = time.perf_counter


def run(fn: Callable[..., Any], *args: Any, **options: Any) -> Simulation:
    return asyncio.run(simulate(fn, *args, **options))


def line_of(fn: Callable[..., Any], marker: str) -> int:
    lines, start = inspect.getsourcelines(fn)
    return start + next(index for index, line in enumerate(lines) if marker in line)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Any:
    threads = set(threading.enumerate())
    yield
    assert {name: getattr(time, name) for name in TIME_FUNCTIONS} == REAL
    deadline = real_clock() + 5
    while (left := set(threading.enumerate()) - threads) and real_clock() < deadline:
        REAL["sleep"](0.01)
    assert not left


# -- exact times ------------------------------------------------------------------------------------------------------


async def gathered() -> None:
    await asyncio.gather(*(asyncio.sleep(1) for _ in range(10)))


async def one_by_one() -> None:
    for _ in range(10):
        await asyncio.sleep(1)


async def tenths() -> None:
    for _ in range(10):
        await asyncio.sleep(0.1)


async def thirds_together() -> None:
    async def thrice() -> None:
        for _ in range(3):
            await asyncio.sleep(0.1)

    await asyncio.gather(thrice(), asyncio.sleep(0.3))


async def nanosecond() -> None:
    await asyncio.sleep(1e-9)


async def task_group() -> None:
    async with asyncio.TaskGroup() as group:
        for seconds in (1, 2, 3):
            group.create_task(asyncio.sleep(seconds))


async def three_at_a_time() -> None:
    limit = asyncio.Semaphore(3)

    async def job() -> None:
        async with limit:
            await asyncio.sleep(1)

    await asyncio.gather(*(job() for _ in range(10)))


async def wait_for_too_long() -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.sleep(10), 2)


async def timeout_too_long() -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.25):
            await asyncio.sleep(10)


async def timeout_long_enough() -> None:
    async with asyncio.timeout(10):
        await asyncio.sleep(0.25)


async def queue_of_five() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue(maxsize=1)

    async def produce() -> None:
        for item in range(5):
            await asyncio.sleep(0.1)
            await queue.put(item)

    async def consume() -> None:
        for _ in range(5):
            await queue.get()
            await asyncio.sleep(0.3)

    await asyncio.gather(produce(), consume())


async def event() -> None:
    rung = asyncio.Event()
    asyncio.get_running_loop().call_later(1.5, rung.set)
    await rung.wait()


async def lock() -> None:
    key = asyncio.Lock()

    async def hold() -> None:
        async with key:
            await asyncio.sleep(0.7)

    await asyncio.gather(hold(), hold(), hold())


async def condition() -> None:
    changed = asyncio.Condition()

    async def change() -> None:
        await asyncio.sleep(2)
        async with changed:
            changed.notify_all()

    async def wait() -> None:
        async with changed:
            await changed.wait()

    await asyncio.gather(wait(), wait(), change())


async def first_of_three() -> None:
    tasks = [asyncio.create_task(asyncio.sleep(seconds)) for seconds in (3, 1, 2)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def two_as_completed() -> None:
    finished = asyncio.as_completed([asyncio.sleep(seconds) for seconds in (3, 1, 2)])
    await next(finished)
    await next(finished)


async def call_at() -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_at(loop.time() + 4, done.set_result, None)
    await done


async def ticks() -> AsyncIterator[int]:
    for number in range(3):
        yield number
        await asyncio.sleep(0.5)


async def async_generator() -> None:
    async for _ in ticks():
        await asyncio.sleep(0.25)


async def anyio_group() -> None:
    async with anyio.create_task_group() as group:
        for seconds in (1, 2, 3):
            group.start_soon(anyio.sleep, seconds)


async def anyio_timeout() -> None:
    with anyio.move_on_after(1.25):
        await anyio.sleep(10)


async def plain_blocking() -> None:
    time.sleep(0.3)


async def three_blocking() -> None:
    await asyncio.gather(*(plain_blocking() for _ in range(3)))


async def one_blocks_one_waits() -> None:
    await asyncio.gather(asyncio.sleep(1), plain_blocking())


async def a_day() -> None:
    for _ in range(24):
        await asyncio.sleep(3600)


EXACT: list[tuple[Callable[[], Coroutine[Any, Any, None]], float, int]] = [
    (gathered, 1.0, 10),
    (one_by_one, 10.0, 1),
    (tenths, 1.0, 1),
    (thirds_together, 0.3, 2),
    (nanosecond, 1e-9, 1),
    (task_group, 3.0, 3),
    (three_at_a_time, 4.0, 10),
    (wait_for_too_long, 2.0, 1),
    (timeout_too_long, 0.25, 1),
    (timeout_long_enough, 0.25, 1),
    (queue_of_five, 1.6, 2),
    (event, 1.5, 1),
    (lock, 2.1, 3),
    (condition, 2.0, 3),
    (first_of_three, 1.0, 3),
    (two_as_completed, 2.0, 3),
    (call_at, 4.0, 1),
    (async_generator, 2.25, 1),
    (anyio_group, 3.0, 3),
    (anyio_timeout, 1.25, 1),
    (plain_blocking, 0.3, 1),
    (three_blocking, 0.9, 3),
    (one_blocks_one_waits, 1.0, 2),
]


@pytest.mark.parametrize(("fn", "seconds", "peak"), EXACT, ids=lambda value: getattr(value, "__name__", ""))
def test_times_and_peaks_are_exact(fn: Callable[[], Coroutine[Any, Any, None]], seconds: float, peak: int) -> None:
    sim = run(fn)
    assert (sim.status, sim.elapsed, sim.peak_tasks) == ("finished", seconds, peak)
    assert not sim.held and not sim.abandoned


def test_who_waits_for_a_rounding_error_gets_on() -> None:
    async def fill_up() -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        await asyncio.sleep(3)
        while loop.time() <= start + 3:
            await asyncio.sleep(1e-17)

    assert run(fill_up).status == "finished"


def test_the_same_function_is_exact_again_and_again() -> None:
    async def many() -> set[tuple[float, int]]:
        sims = [await simulate(three_at_a_time) for _ in range(50)]
        return {(sim.elapsed, sim.steps) for sim in sims}

    assert len(asyncio.run(many())) == 1


def test_a_long_limit_is_exact_too() -> None:
    assert run(a_day, until=1e6).elapsed == 86400.0


def test_what_is_due_at_the_same_moment_runs_in_the_order_in_which_it_was_set() -> None:
    order: list[int] = []

    async def note(number: int) -> None:
        await asyncio.sleep(1)
        order.append(number)

    async def many() -> None:
        await asyncio.gather(*(note(number) for number in range(50)))

    run(many)
    assert order == list(range(50))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_eager_tasks() -> None:
    async def eager() -> list[int]:
        async def at_once(number: int) -> int:
            if number:
                await asyncio.sleep(number)
            return number

        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined, unused-ignore]
        return await asyncio.gather(*(at_once(number) for number in range(3)))

    sim = run(eager)
    assert sim.elapsed == 2.0
    assert sim.result == [0, 1, 2]
    assert [(task.name, task.finished, task.parent) for task in sim.tasks[1:]] == [
        ("at_once(0)", 0.0, 0),
        ("at_once(1)", 1.0, 0),
        ("at_once(2)", 2.0, 0),
    ]


def test_clocks_agree_with_the_loop() -> None:
    async def read() -> list[float]:
        loop = asyncio.get_running_loop()
        starts = [loop.time(), time.monotonic(), time.perf_counter(), time.time(), time.monotonic_ns() / 1e9]
        await asyncio.sleep(2)
        time.sleep(1)
        ends = [loop.time(), time.monotonic(), time.perf_counter(), time.time(), time.monotonic_ns() / 1e9]
        return [end - start for start, end in zip(starts, ends, strict=True)]

    assert run(read).result == [3.0] * 5


def test_the_date_is_the_real_one() -> None:
    async def now() -> float:
        return time.time()

    before = time.time()
    assert before - 2 < run(now).result < before + 3600


def test_time_sleep_checks_its_argument_as_the_real_one_does() -> None:
    async def wrong() -> list[str]:
        said = []
        for value in (-1, "1", float("nan")):
            try:
                time.sleep(value)  # type: ignore[arg-type]
            except (TypeError, ValueError) as error:
                said.append(type(error).__name__)
        time.sleep(0)
        time.sleep(True)
        return said

    sim = run(wrong)
    assert sim.result == ["ValueError", "TypeError", "ValueError"]
    assert sim.elapsed == sim.blocked == 1.0


# -- what is known afterwards -----------------------------------------------------------------------------------------


def test_a_blocking_sleep_is_counted_and_located() -> None:
    async def polite() -> None:
        await asyncio.sleep(0.1)

    async def rude() -> None:
        await asyncio.sleep(0.1)
        time.sleep(0.4)  # here

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(polite())
            group.create_task(rude(), name="rude one")

    sim = run(both)
    assert [(sleep.seconds, sleep.task, sleep.line) for sleep in sim.sleeps] == [
        (0.4, "rude one", line_of(test_a_blocking_sleep_is_counted_and_located, "# here"))
    ]
    assert sim.sleeps[0].file == __file__
    assert sim.blocked == 0.4
    assert sim.longest_block == sim.sleeps[0]
    assert repr(sim) == "<Simulation: finished, 2 tasks, 0.500 s, blocked for 0.400 s>"


def test_a_sleep_that_was_imported_earlier_is_seen_and_located() -> None:
    async def rude() -> None:
        sleep_taken_earlier(0.8)  # here

    sim = run(rude)
    assert not sim.sleeps
    assert [(block.task, block.line) for block in sim.held] == [
        ("rude", line_of(test_a_sleep_that_was_imported_earlier_is_seen_and_located, "# here"))
    ]
    assert sim.held[0].seconds >= 0.4


def test_tasks_tell_their_story() -> None:
    async def step(seconds: float) -> None:
        await asyncio.sleep(seconds)
        if seconds == 2:
            raise ValueError("two")

    async def story() -> None:
        await asyncio.sleep(1)
        tasks = [asyncio.create_task(step(seconds)) for seconds in (1, 2, 3, 4)]
        tasks[0].set_name("first")
        await asyncio.wait(tasks[:2])
        tasks[2].cancel()
        await asyncio.wait([tasks[2]])

    sim = run(story)
    told = [(task.name, task.parent, task.created, task.started, task.finished, task.outcome) for task in sim.tasks]
    assert told == [
        ("story", None, 0.0, 0.0, 3.0, "returned"),
        ("first", 0, 1.0, 1.0, 2.0, "returned"),
        ("step(2)", 0, 1.0, 1.0, 3.0, "raised"),
        ("step(3)", 0, 1.0, 1.0, 3.0, "cancelled"),
        ("step(4)", 0, 1.0, 1.0, None, "running"),
    ]
    assert sim.tasks[2].error == "ValueError: two"
    assert [(step.start, step.end) for step in sim.tasks[1].steps] == [(1.0, 1.0), (2.0, 2.0)]
    assert sim.cancelled == ["step(3)"]
    assert sim.leaked == ["step(4)"]
    assert repr(sim) == "<Simulation: finished, 4 tasks, 3.000 s, 1 left behind>"


def test_what_is_left_behind_is_cancelled_and_may_clean_up() -> None:
    ended = []

    async def background() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(1)
            ended.append(True)

    async def careless() -> None:
        careless.task = asyncio.create_task(background(), name="heartbeat")  # type: ignore[attr-defined]
        await asyncio.sleep(2)

    sim = run(careless)
    assert (sim.elapsed, sim.leaked, sim.abandoned, ended) == (2.0, ["heartbeat"], [], [True])


def test_a_task_that_nobody_refers_to_can_get_lost_as_on_any_loop() -> None:
    async def forgetful() -> int:
        async def wait() -> None:
            await asyncio.get_running_loop().create_future()

        asyncio.create_task(wait())  # noqa: RUF006 - that is the point
        await asyncio.sleep(1)
        gc.collect()
        return len(asyncio.all_tasks())

    assert run(forgetful).result == 1


def test_an_async_generator_that_was_left_open_is_closed() -> None:
    closed = []

    async def numbers() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            await asyncio.sleep(0.1)
            closed.append(True)

    async def take_one() -> None:
        take_one.source = numbers()  # type: ignore[attr-defined]
        await anext(take_one.source)  # type: ignore[attr-defined]

    assert run(take_one).status == "finished"
    assert closed == [True]


def test_context_variables_of_the_caller_are_visible_and_stay_as_they_are() -> None:
    language = contextvars.ContextVar("language", default="none")

    async def speak() -> str:
        before = language.get()
        language.set("Latin")
        assert asyncio.current_task() in asyncio.all_tasks(asyncio.get_running_loop())
        return before

    async def main() -> tuple[str, str]:
        language.set("Greek")
        sim = await simulate(speak)
        return sim.result, language.get()

    assert asyncio.run(main()) == ("Greek", "Greek")


def test_arguments_are_handed_on() -> None:
    async def add(a: int, b: int, *, c: int) -> int:
        return a + b + c

    assert run(add, 1, 2, c=3).result == 6
    assert run(functools.partial(add, 1), 2, c=3).result == 6
    assert run(lambda: asyncio.gather(add(1, 2, c=3), asyncio.sleep(1))).result == [6, None]


# -- errors -----------------------------------------------------------------------------------------------------------


def test_an_exception_passes_through_with_a_short_traceback_that_ends_in_the_code() -> None:
    async def inner() -> None:
        await asyncio.sleep(1)
        raise KeyError("lost")

    async def outer() -> None:
        await inner()

    with pytest.raises(KeyError) as caught:
        run(outer)
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[-3:] == ["simulate", "outer", "inner"]

    sim = run(outer, keep_error=True)
    assert sim.status == "failed"
    assert isinstance(sim.error, KeyError)
    assert [frame.name for frame in traceback.extract_tb(sim.error.__traceback__)] == ["outer", "inner"]
    assert sim.elapsed == 1.0


def test_exception_groups_pass_through() -> None:
    async def fail() -> None:
        raise OSError("no")

    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail())

    with pytest.raises(ExceptionGroup) as caught:
        run(group)
    assert isinstance(caught.value.exceptions[0], OSError)


def test_a_function_that_cancels_itself_looks_cancelled() -> None:
    async def quitter() -> None:
        asyncio.current_task().cancel()  # type: ignore[union-attr]
        await asyncio.sleep(1)

    sim = run(quitter, keep_error=True)
    assert sim.status == "failed"
    assert isinstance(sim.error, asyncio.CancelledError)
    with pytest.raises(asyncio.CancelledError):
        run(quitter)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
@pytest.mark.parametrize("in_child", [False, True])
def test_code_that_tries_to_end_python_ends_only_the_simulation(error: BaseException, in_child: bool) -> None:
    cleaned = []

    async def leave() -> None:
        await asyncio.sleep(1)
        raise error

    async def main() -> None:
        if not in_child:
            await leave()
        try:
            await asyncio.gather(leave(), asyncio.sleep(5))
        finally:
            cleaned.append(True)

    with pytest.raises(SimulationError, match=type(error).__name__) as caught:
        run(main)
    assert caught.value.__cause__ is error
    sim = run(main, keep_error=True)
    assert (sim.status, sim.error, sim.elapsed) == ("failed", error, 1.0)
    assert cleaned == [True] * (2 * in_child)


def test_wrong_uses_are_explained() -> None:
    async def work(until: int = 0) -> int:
        return until

    async def limited(limit: int) -> int:
        return limit

    assert run(limited, limit=3).result == 3
    with pytest.raises(TypeError, match=r"simulate\(work, \.\.\.\)"):
        run(work())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes a coroutine function"):
        run(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"Both simulate\(\) and work\(\) have a parameter 'until'"):
        run(work, until=3)
    assert run(functools.partial(work, 3)).result == 3
    assert run(work).result == 0
    with pytest.raises(TypeError, match="needs `async def`"):
        run(lambda: 5)
    with pytest.raises(TypeError, match="missing 1 required positional"):
        run(asyncio.sleep)
    with pytest.raises(ValueError, match="more than 0 seconds for 'until'"):
        run(gathered, until=0)


def test_asyncio_run_and_loop_calls_inside_fail_as_everywhere() -> None:
    async def nested_run() -> None:
        coroutine = gathered()
        try:
            asyncio.run(coroutine)
        finally:
            coroutine.close()

    async def close_loop() -> None:
        asyncio.get_running_loop().close()

    async def stop_loop() -> None:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(1)

    with pytest.raises(RuntimeError, match="cannot be called from a running event loop"):
        run(nested_run)
    with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
        run(close_loop)
    with pytest.raises(RuntimeError, match=r"do not call loop\.stop"):
        run(stop_loop)


def test_endless_recursion_is_an_error() -> None:
    async def deeper() -> None:
        await deeper()

    with pytest.raises(RecursionError):
        run(deeper)


def test_a_primitive_of_another_simulation_is_refused_clearly() -> None:
    shared = asyncio.Lock()

    async def use() -> None:
        async def hold() -> None:
            async with shared:
                await asyncio.sleep(1)

        await asyncio.gather(hold(), hold())

    assert run(use).elapsed == 2.0
    with pytest.raises(RuntimeError, match="is bound to a different event loop") as caught:
        run(use)
    assert "inside the function that it runs" in "".join(traceback.format_exception(caught.value))


# -- code that does not end -------------------------------------------------------------------------------------------


def test_a_deadlock_is_reported_at_once_with_its_place() -> None:
    async def reader(queue: asyncio.Queue[int]) -> None:
        await queue.get()  # here

    async def main() -> None:
        queue: asyncio.Queue[int] = asyncio.Queue()
        await asyncio.sleep(2)
        await asyncio.create_task(reader(queue), name="reader")

    began = real_clock()
    with pytest.raises(Deadlock) as caught:
        run(main, wall=30)
    assert real_clock() - began < 10
    line = line_of(test_a_deadlock_is_reported_at_once_with_its_place, "# here")
    assert str(caught.value) == (
        f"task 'reader' waits at test_simulation.py, line {line}: await queue.get()  # here; "
        f"nobody is left to wake them."
    )
    sim = caught.value.simulation
    assert (sim.status, sim.elapsed) == ("deadlock", 2.0)
    assert [(wait.task, wait.line) for wait in sim.waiting][1] == ("reader", line)
    assert [task.outcome for task in sim.tasks] == ["running", "running"]


def test_two_tasks_that_hold_each_others_lock() -> None:
    async def take(first: asyncio.Lock, second: asyncio.Lock) -> None:
        async with first:
            await asyncio.sleep(1)
            async with second:
                pass

    async def main() -> None:
        fork, knife = asyncio.Lock(), asyncio.Lock()
        await asyncio.gather(take(fork, knife), take(knife, fork))

    sim = run(main, keep_error=True)
    assert isinstance(sim.error, Deadlock)
    assert sim.error.simulation is sim
    assert sim.elapsed == 1.0
    assert str(sim.error).startswith("2 tasks like 'take' wait at test_simulation.py, line ")


def test_a_deadlock_of_workers_names_who_waits_for_what() -> None:
    async def worker(queue: asyncio.Queue[int]) -> None:
        while True:
            await queue.get()
            await asyncio.sleep(1)

    async def forgets_task_done() -> None:
        queue: asyncio.Queue[int] = asyncio.Queue()
        workers = [asyncio.create_task(worker(queue)) for _ in range(3)]
        for number in range(6):
            queue.put_nowait(number)
        await queue.join()
        for task in workers:
            task.cancel()

    sim = run(forgets_task_done, keep_error=True)
    first, second, _ = str(sim.error).split("; ")
    assert first.startswith("task 'forgets_task_done' waits at") and first.endswith(": await queue.join()")
    assert second.startswith("3 tasks like 'worker' wait at") and second.endswith(": await queue.get()")
    assert sim.elapsed == 2.0


def test_a_deadlock_runs_the_clean_up_of_the_code() -> None:
    cleaned = []

    async def main() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(5)
            cleaned.append(True)

    sim = run(main, keep_error=True)
    assert (sim.status, sim.elapsed, sim.result, cleaned) == ("deadlock", 0.0, None, [True])


def test_code_without_end_stops_at_the_limit() -> None:
    async def forever() -> None:
        while True:
            await asyncio.sleep(1)

    with pytest.raises(OutOfTime, match="not finished after 60 simulated seconds: task 'forever' is at"):
        run(forever)
    assert run(forever, until=5.5, keep_error=True).elapsed == 5.5


def test_just_in_time_is_in_time() -> None:
    assert run(one_by_one, until=10).status == "finished"
    assert run(one_by_one, until=9.999, keep_error=True).status == "out of time"


def test_blocking_without_end_stops_at_the_limit() -> None:
    async def forever() -> None:
        while True:
            time.sleep(7)

    sim = run(forever, keep_error=True)
    assert (sim.status, sim.elapsed, sim.blocked) == ("out of time", 60.0, 60.0)


async def spin() -> None:
    while True:
        pass


async def turn_in_circles() -> None:
    while True:
        await asyncio.sleep(0)


async def swallow_and_turn() -> None:
    while True:
        with contextlib.suppress(BaseException):
            await asyncio.sleep(0)


async def swallow_and_wait() -> None:
    while True:
        with contextlib.suppress(BaseException):
            await asyncio.get_running_loop().create_future()


async def swallow_and_spin() -> None:
    number = 0
    while True:
        try:  # noqa: SIM105 - leaving a `with` is a place at which it could be stopped
            number += 1
        except BaseException:
            pass


async def spin_in_a_child() -> None:
    await asyncio.gather(asyncio.sleep(1), spin())


@pytest.mark.parametrize(
    ("fn", "status", "abandoned"),
    [
        (spin, "stuck", []),
        (spin_in_a_child, "stuck", []),
        (turn_in_circles, "stuck", []),
        (swallow_and_turn, "stuck", ["swallow_and_turn"]),
        (swallow_and_wait, "deadlock", ["swallow_and_wait"]),
        (swallow_and_spin, "stuck", []),
    ],
)
def test_endless_loops_are_stopped(fn: Callable[[], Awaitable[None]], status: str, abandoned: list[str]) -> None:
    began = real_clock()
    sim = run(fn, wall=0.15, keep_error=True)
    assert real_clock() - began < 4
    assert (sim.status, sim.abandoned) == (status, abandoned)
    assert isinstance(sim.error, Stuck | Deadlock)
    assert run(gathered).elapsed == 1.0
    gc.collect()


def test_a_spinning_loop_is_located() -> None:
    with pytest.raises(Stuck, match=f"line {line_of(spin, 'while')}|line {line_of(spin, 'pass')}"):
        run(spin, wall=0.15)
    with pytest.raises(Stuck, match=f"line {line_of(turn_in_circles, 'await')}: await asyncio.sleep"):
        run(turn_in_circles, wall=0.1)


def test_a_blocking_call_that_nothing_ends_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def c_code() -> None:
        sleep_taken_earlier(2)

    monkeypatch.setattr(simulator, "_LAST_GRACE", 0.5)
    began = real_clock()
    sim = run(c_code, wall=0.2, keep_error=True)
    assert real_clock() - began < 1.9
    assert (sim.status, sim.abandoned) == ("stuck", ["c_code"])
    assert "sleep_taken_earlier" in str(sim.error)
    assert time.sleep is REAL["sleep"]


def test_python_exits_after_code_that_swallows_everything() -> None:
    program = """if True:
        import asyncio
        from awaitsee.observe.simulation import simulate
        async def bad():
            while True:
                try: await asyncio.sleep(1)
                except BaseException: pass
        async def main():
            print(await simulate(bad, keep_error=True))
        asyncio.run(main())
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == "<Simulation: out of time, 1 task, 60.000 s>\n"
    assert done.returncode == 0


@pytest.mark.parametrize("fn", [spin, turn_in_circles, swallow_and_turn, gathered])
def test_cancelling_the_caller_stops_the_worker(fn: Callable[[], Awaitable[None]]) -> None:
    async def main() -> float:
        task = asyncio.create_task(simulate(fn, wall=60))
        await asyncio.sleep(0.05 if fn is not gathered else 0)
        began = real_clock()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return real_clock() - began

    assert asyncio.run(main()) < 5


def test_the_callers_loop_stays_free() -> None:
    async def main() -> int:
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0.01)
                beats += 1

        heart = asyncio.create_task(beat())
        await simulate(spin, wall=0.3, keep_error=True)
        heart.cancel()
        return beats

    assert asyncio.run(main()) > 2


# -- several at once --------------------------------------------------------------------------------------------------


def test_simulations_at_the_same_time_do_not_mix() -> None:
    async def busy(number: int) -> float:
        started = time.monotonic()
        for _ in range(20):
            await asyncio.sleep(number)
            time.sleep(0.25)
        return time.monotonic() - started

    async def main() -> list[Simulation]:
        return await asyncio.gather(*(simulate(busy, number, until=1000) for number in range(1, 9)))

    sims = asyncio.run(main())
    assert [sim.elapsed for sim in sims] == [20 * number + 5 for number in range(1, 9)]
    assert [sim.result for sim in sims] == [sim.elapsed for sim in sims]
    assert all(len(sim.sleeps) == 20 for sim in sims)


def test_a_simulation_inside_a_simulation_takes_no_time() -> None:
    async def inner() -> float:
        await asyncio.sleep(3)
        return time.monotonic()

    async def outer() -> tuple[float, float]:
        ticker = asyncio.create_task(asyncio.sleep(0.5))
        sim = await simulate(inner)
        between = time.monotonic()
        await ticker
        return sim.result, between

    sim = run(outer)
    assert sim.result == (3.0, 0.0)
    assert sim.elapsed == 0.5


def test_the_caller_keeps_the_real_time() -> None:
    async def main() -> None:
        task = asyncio.create_task(simulate(spin, wall=0.2, keep_error=True))
        await asyncio.sleep(0.05)
        before = real_clock()
        time.sleep(0.05)
        assert real_clock() - before >= 0.05
        assert abs(time.perf_counter() - real_clock()) < 1
        await task

    asyncio.run(main())


def test_whoever_replaced_a_time_function_meanwhile_keeps_it() -> None:
    def mine(seconds: float) -> None:
        return None

    async def replace() -> None:
        time.sleep = mine  # type: ignore[assignment]
        await asyncio.sleep(1)

    try:
        run(replace)
        assert time.sleep is mine
    finally:
        time.sleep = REAL["sleep"]


def test_nothing_stays_open() -> None:
    async def main() -> list[int]:
        counts = []
        for _ in range(8):
            await simulate(three_at_a_time)
            await simulate(turn_in_circles, wall=0.02, keep_error=True)
            counts.append(len(os.listdir("/proc/self/fd")))
        return counts

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc")
    counts = asyncio.run(main())
    assert max(counts) == min(counts)


# -- what stays in real time ------------------------------------------------------------------------------------------


def test_threads_stay_in_real_time() -> None:
    async def four() -> None:
        await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.2) for _ in range(4)), asyncio.sleep(0.1))

    sim = run(four)
    assert sim.status == "finished"
    assert 0.2 <= sim.elapsed < 3
    assert not sim.sleeps


def test_the_clock_is_simulated_again_after_a_thread() -> None:
    async def both() -> float:
        await asyncio.to_thread(time.sleep, 0.01)
        await anyio.to_thread.run_sync(time.sleep, 0.01)
        before = time.monotonic()
        await asyncio.sleep(30)
        return time.monotonic() - before

    sim = run(both, until=100)
    assert round(sim.result, 6) == 30.0


def test_a_thread_is_waited_for_although_a_timeout_is_set() -> None:
    async def fetch(run_in_thread: Callable[..., Awaitable[Any]]) -> str:
        async with asyncio.timeout(20):
            await run_in_thread(time.sleep, 0.1)
        return "in time"

    assert run(fetch, asyncio.to_thread).result == "in time"
    assert run(fetch, anyio.to_thread.run_sync).result == "in time"


def test_a_timeout_on_a_thread_is_in_real_time() -> None:
    async def impatient() -> None:
        await asyncio.wait_for(asyncio.to_thread(time.sleep, 1.0), 0.1)

    began = real_clock()
    sim = run(impatient, keep_error=True)
    assert isinstance(sim.error, TimeoutError)
    assert 0.1 <= sim.elapsed < 1.0
    assert real_clock() - began < 1.0


def test_executors_of_ones_own() -> None:
    async def threads() -> int:
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(2) as executor:
            first = await loop.run_in_executor(executor, len, "four")
            return first + await asyncio.wrap_future(executor.submit(len, "four"))

    async def processes() -> list[float]:
        loop = asyncio.get_running_loop()
        with concurrent.futures.ProcessPoolExecutor(1) as executor:
            before = time.perf_counter()
            await loop.run_in_executor(executor, time.sleep, 0.3)
            return [time.perf_counter() - before]

    assert run(threads).result == 8
    sim = run(processes, wall=20)
    assert sim.result[0] >= 0.3
    assert not sim.sleeps


def test_a_thread_started_by_hand_may_wake_the_loop() -> None:
    async def by_hand() -> str:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()

        def work() -> None:
            time.sleep(0.2)
            loop.call_soon_threadsafe(answer.set_result, "woken")

        threading.Thread(target=work).start()
        return await answer

    assert run(by_hand).result == "woken"


def test_an_idle_thread_does_not_hide_a_deadlock() -> None:
    async def main() -> None:
        await asyncio.to_thread(len, "")
        await anyio.to_thread.run_sync(len, "")
        await asyncio.get_running_loop().create_future()

    began = real_clock()
    with pytest.raises(Deadlock):
        run(main, wall=30)
    assert real_clock() - began < 10


def test_subprocesses() -> None:
    async def ask(stdout: int | None) -> Any:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "import time; time.sleep(0.2); print(42)", stdout=stdout
        )
        async with asyncio.timeout(30):
            return await process.communicate(), process.returncode

    sim = run(ask, subprocess.PIPE, wall=20)
    assert sim.result == ((b"42\n", None), 0)
    sim = run(ask, subprocess.DEVNULL, wall=20)
    assert sim.result == ((None, None), 0)
    assert 0.2 <= sim.elapsed < 20


def test_sockets() -> None:
    async def talk() -> bytes:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.1)
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello\n")
            line = await reader.readline()
            writer.close()
            await writer.wait_closed()
        return line

    sim = run(talk)
    assert sim.result == b"hello\n"
    assert 0.1 <= sim.elapsed < 3


def test_aiohttp_client_and_server() -> None:
    aiohttp = pytest.importorskip("aiohttp")
    web = pytest.importorskip("aiohttp.web")

    async def talk() -> list[str]:
        async def hello(request: Any) -> Any:
            await asyncio.sleep(0.1)
            return web.Response(text="hello")

        app = web.Application()
        app.router.add_get("/", hello)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]

        async def get(session: Any) -> str:
            async with session.get(f"http://127.0.0.1:{port}/") as response:
                return str(await response.text())

        async with aiohttp.ClientSession() as session:
            texts = await asyncio.gather(*(get(session) for _ in range(5)))
        await runner.cleanup()
        return texts

    sim = run(talk, wall=20)
    assert sim.result == ["hello"] * 5
    assert 0.1 <= sim.elapsed < 20


def test_ten_thousand_tasks() -> None:
    async def crowd() -> int:
        return sum(await asyncio.gather(*(asyncio.sleep(1, 1) for _ in range(10_000))))

    sim = run(crowd, wall=30)
    assert (sim.result, sim.elapsed, sim.peak_tasks, len(sim.tasks)) == (10_000, 1.0, 10_000, 10_001)


# -- in a notebook ----------------------------------------------------------------------------------------------------

CELLS = [
    "import asyncio, time\nfrom awaitsee.observe.simulation import simulate",
    "async def speak(word):\n"
    "    await asyncio.sleep(1)\n"
    "    print('said', word)\n"
    "    await asyncio.to_thread(print, 'thread', word)\n"
    "    return word",
    "sim = await simulate(speak, 'one')\nprint(sim.result)",
    "async def dead():\n    await asyncio.sleep(1)\n    await asyncio.Event().wait()\nawait simulate(dead)",
    "async def spin():\n    while True: pass\nawait simulate(spin, wall=0.3, keep_error=True)",
    "(await asyncio.gather(simulate(speak, 'two'), simulate(speak, 'three')))[1].result",
]


def test_in_a_kernel() -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    nbclient.NotebookClient(notebook, timeout=60, allow_errors=True, kernel_name="python3").execute()
    outputs = [cell.outputs for cell in notebook.cells]

    def printed(index: int) -> list[str]:
        text = "".join(output.text for output in outputs[index] if output.get("name") == "stdout")
        return sorted(text.split("\n"))

    assert printed(2) == ["", "one", "said one", "thread one"]
    assert outputs[3][-1].ename == "Deadlock"
    assert outputs[3][-1].evalue.startswith("task 'dead' waits at cell 4, line 3: await asyncio.Event().wait(); nobody")
    assert outputs[4][-1].data["text/plain"] == "<Simulation: stuck, 1 task, 0.000 s>"
    # Two threads print at the same time, so their words may mix.
    assert sorted("".join(printed(5))) == sorted("saidthreesaidtwothreadthreethreadtwo    ")
    assert outputs[5][-1].data["text/plain"] == "'three'"
