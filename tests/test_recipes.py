"""The recipes in recipes/: each one cancelled at every moment, failing, out of order, and with nothing left behind."""

from __future__ import annotations

import asyncio
import doctest
import gc
import importlib
import logging
import os
import random
import subprocess
import sys
import warnings
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, suppress
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from awaitsee.observe.simulation import Simulation, simulate
from recipes import spawn
from recipes.app_client import AppClient, open_client
from recipes.batcher import Batcher
from recipes.bounded_map import as_they_come, bounded_map
from recipes.idle_timeout import with_idle_timeout
from recipes.limiter import RateLimiter, seconds_told
from recipes.spawn import background, drain

ROOT = Path(__file__).resolve().parents[1]
NAMES = sorted(path.stem for path in (ROOT / "recipes").glob("*.py"))


def run(fn: Callable[..., Any], *args: Any, **options: Any) -> Simulation:
    return asyncio.run(simulate(fn, *args, **options))


def now() -> float:
    return round(asyncio.get_running_loop().time(), 4)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "conftest_blockbuster"])
def test_the_example_is_true(name: str) -> None:
    tried = doctest.testmod(importlib.import_module(f"recipes.{name}"))
    assert tried.attempted >= 3 and tried.failed == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_stands_alone_and_is_in_the_list(name: str) -> None:
    source = (ROOT / "recipes" / f"{name}.py").read_text(encoding="utf-8")
    assert "import awaitsee" not in source and "from recipes" not in source and len(source.splitlines()) <= 110
    assert f"]({name}.py)" in (ROOT / "recipes" / "README.md").read_text(encoding="utf-8")


# --- limiter --------------------------------------------------------------------------------------


async def _go(limiter: RateLimiter, name: object, gone: list[tuple[object, float]], tokens: float = 0) -> None:
    await limiter.acquire(tokens)
    gone.append((name, now()))


def test_requests_go_at_the_rate_in_the_order_in_which_they_came() -> None:
    async def thirty() -> list[tuple[object, float]]:
        limiter = RateLimiter(600, 600_000)
        gone: list[tuple[object, float]] = []
        await asyncio.gather(*(_go(limiter, number, gone) for number in range(30)))
        return gone

    gone = run(thirty).result
    assert [name for name, _ in gone] == list(range(30))
    assert [when for _, when in gone] == [0.0] * 5 + [pytest.approx((number - 4) / 10) for number in range(5, 30)]


def test_a_large_request_waits_for_a_full_bucket_and_is_not_overtaken() -> None:
    async def three() -> list[tuple[object, float]]:
        gone: list[tuple[object, float]] = []
        limiter = RateLimiter(6_000, 6_000)  # a bucket of 50 tokens, 100 a second
        calls = [_go(limiter, tokens, gone, tokens) for tokens in (50, 120, 10)]
        await asyncio.gather(*calls)
        return gone

    assert run(three).result == [(50, 0.0), (120, pytest.approx(0.5)), (10, pytest.approx(1.3))]


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.1, 0.15, 0.2, 0.25])
def test_whoever_is_cancelled_while_waiting_has_taken_nothing(moment: float) -> None:
    async def cancelled() -> tuple[list[tuple[object, float]], int]:
        limiter = RateLimiter(600, 600_000, burst=0.1)
        gone: list[tuple[object, float]] = []
        tasks = [asyncio.create_task(_go(limiter, number, gone)) for number in range(6)]
        await asyncio.sleep(moment)
        for task in (tasks[1], tasks[3]):
            task.cancel()
        await asyncio.wait(tasks)
        return gone, sum(task.cancelled() for task in tasks)

    sim = run(cancelled)
    gone, lost = sim.result
    assert len(gone) == 6 - lost and [name for name, _ in gone] == sorted(name for name, _ in gone)
    # One goes every 0.1 s, whoever was cancelled and when: nothing was taken, and no turn was lost.
    assert gone[-1][1] == pytest.approx((len(gone) - 1) / 10) and sim.leaked == []


def test_the_limits_hold_under_random_arrivals_and_cancellations() -> None:
    async def crowd(seed: int) -> list[float]:
        dice, limiter = random.Random(seed), RateLimiter(1_200, 60_000)
        gone: list[tuple[object, float]] = []
        tasks = [asyncio.create_task(_go(limiter, number, gone, dice.randint(1, 90))) for number in range(60)]
        for task in tasks:
            await asyncio.sleep(dice.choice([0, 0, 0.01, 0.1]))
            if dice.random() < 0.3:
                task.cancel()
        await asyncio.wait(tasks)
        return [when for _, when in gone]

    for seed in range(5):
        moments = run(crowd, seed).result
        assert len(moments) > 30
        for start, first in enumerate(moments):
            for end, last in enumerate(moments[start:], start + 1):
                assert end - start <= 10 + 20 * (last - first) + 1e-6


def test_a_correction_lets_the_next_go_earlier() -> None:
    async def corrected() -> float:
        limiter = RateLimiter(6_000, 6_000)
        await limiter.acquire(1_000)
        waiting = asyncio.create_task(limiter.acquire(50))
        await asyncio.sleep(1)
        limiter.correct(1_000, 50)
        await waiting
        return now()

    assert run(corrected).result == 1.0


def test_after_a_refusal_nobody_goes_for_as_long_as_told_and_then_one_at_a_time() -> None:
    async def refused() -> list[tuple[object, float]]:
        limiter = RateLimiter(600, 600_000)
        gone: list[tuple[object, float]] = []
        tasks = [asyncio.create_task(_go(limiter, number, gone)) for number in range(8)]
        await asyncio.sleep(0.05)
        for seconds in (2.0, 1.0, 2.0):  # three of those under way are refused; the pauses do not add up
            limiter.pause(seconds, jitter=0)
        await asyncio.wait(tasks)
        return gone[5:]

    assert [when for _, when in run(refused).result] == [pytest.approx(2.05 + number / 10) for number in range(3)]


def test_a_pause_is_longer_at_random() -> None:
    async def paused() -> float:
        limiter = RateLimiter(600, 600_000)
        limiter.pause(1)
        await limiter.acquire()
        return now()

    ends = {run(paused).result for _ in range(5)}
    assert len(ends) > 1 and all(1 <= end <= 2 for end in ends)


def test_a_limiter_belongs_to_its_loop_and_says_so() -> None:
    limiter = RateLimiter(60, 60)
    asyncio.run(limiter.acquire())
    with pytest.raises(RuntimeError, match="another event loop: make one for each loop, inside main"):
        asyncio.run(limiter.acquire())


@pytest.mark.parametrize("limits", [(0, 1), (1, 0), (-5, 1), (float("inf"), 1), (1, float("nan"))])
def test_what_is_no_limit_is_refused(limits: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="give a positive number"):
        RateLimiter(*limits)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"retry-after": "2"}, 2),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "soon"}, 0),
        ({"retry-after": "2", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        (httpx.Headers({"Retry-After": "7"}), 7),
    ],
)
def test_what_a_refusal_says(headers: dict[str, str], seconds: float) -> None:
    assert seconds_told(headers) == seconds


def test_a_refusal_may_name_a_date() -> None:
    import datetime

    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=60)
    assert 30 < seconds_told({"retry-after": format_datetime(later, usegmt=True)}) <= 60


# --- bounded_map ----------------------------------------------------------------------------------


class Calls:
    """A function that takes as many seconds as it is told, fails for negative ones, and counts its calls."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.started: list[float] = []
        self.ended: list[float] = []

    async def __call__(self, seconds: float) -> float:
        self.started.append(seconds)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(abs(seconds))
            if seconds < 0:
                raise ValueError(str(seconds))
            return seconds * 10
        finally:
            self.now -= 1
            self.ended.append(seconds)


@pytest.mark.parametrize(("limit", "seconds"), [(1, 7), (3, 3), (7, 1), (100, 1)])
def test_never_more_than_the_limit_and_all_of_it_used(limit: int, seconds: int) -> None:
    calls = Calls()
    sim = run(bounded_map, calls, [1] * 7, limit)
    assert sim.result == [10] * 7 and calls.most == min(limit, 7)
    assert sim.elapsed == seconds and sim.leaked == []


def test_results_and_failures_are_in_the_order_of_the_items() -> None:
    def function(seconds: float) -> Any:
        if seconds == 9:
            raise KeyError("at once")  # before there is anything to await
        return Calls()(seconds)

    results = run(bounded_map, function, [4, -3, 9, 1], 4).result
    assert (results[0], results[3]) == (40, 10)
    assert [type(result) for result in results[1:3]] == [ValueError, KeyError]
    assert run(bounded_map, function, [], 4).result == []


def test_a_call_that_ends_in_a_cancellation_of_its_own_is_a_result_too() -> None:
    async def gives_up(number: int) -> int:
        if number == 1:
            raise asyncio.CancelledError
        return number

    assert [repr(each) for each in run(bounded_map, gives_up, range(3), 2).result] == ["0", "CancelledError()", "2"]


def test_items_are_read_as_they_are_needed() -> None:
    read: list[int] = []

    def source() -> Iterator[float]:
        for number in range(1000):
            read.append(number)
            yield 1

    async def stopped() -> None:
        async with aclosing(as_they_come(Calls(), source(), 5)) as coming:
            async for _ in coming:
                break

    assert run(stopped).elapsed == 1 and len(read) == 5


@pytest.mark.parametrize("moment", [0, 0.5, 1, 1.5, 2, 3.5])
def test_when_the_caller_is_cancelled_all_calls_have_ended(moment: float) -> None:
    calls = Calls()

    async def cancelled() -> bool:
        task = asyncio.create_task(bounded_map(calls, [1, 2, 1, 2, 1, 2], 2))
        await asyncio.sleep(moment)
        task.cancel()
        await asyncio.wait({task})
        assert calls.now == 0 and len(calls.ended) == len(calls.started)
        return task.cancelled()

    sim = run(cancelled)
    assert sim.result and sim.elapsed == moment and sim.leaked == []


def test_a_failure_of_the_items_stops_the_calls_and_comes_out() -> None:
    calls = Calls()

    def source() -> Iterator[float]:
        yield from (1, 2)
        raise OSError("the list is torn")

    sim = run(bounded_map, calls, source(), 2, keep_error=True)
    assert isinstance(sim.error, OSError) and calls.now == 0 and sim.leaked == []


def test_a_semaphore_is_shared() -> None:
    calls = Calls()

    async def two_maps() -> list[list[float | BaseException]]:
        slots = asyncio.Semaphore(3)
        return await asyncio.gather(*(bounded_map(calls, [1] * 6, slots) for _ in range(2)))

    sim = run(two_maps)
    assert sim.result == [[10] * 6] * 2 and calls.most == 3 and sim.elapsed == 4


def test_as_they_come() -> None:
    async def noted() -> list[tuple[float, float, object]]:
        async with aclosing(as_they_come(Calls(), [3, 1, -2, 1], 2)) as coming:
            return [(now(), item, outcome) async for item, outcome in coming]

    found = run(noted).result
    assert [(when, item) for when, item, _ in found] == [(1, 1), (3, 3), (3, -2), (4, 1)]
    assert isinstance(found[2][2], ValueError)


def test_leaving_early_cancels_and_a_slow_reader_holds_the_calls_up() -> None:
    calls = Calls()

    async def slow() -> int:
        async with aclosing(as_they_come(calls, [1] * 9, 3)) as coming:
            async for _ in coming:
                await asyncio.sleep(10)
                if len(calls.started) > 3:
                    break
        return len(calls.ended)

    sim = run(slow)
    assert sim.result == len(calls.started) < 9 and calls.most <= 3 and sim.leaked == []


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_lets_nothing_through_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="would let nothing through"):
        asyncio.run(bounded_map(Calls(), [1], limit))


# --- spawn ----------------------------------------------------------------------------------------


async def _job(seconds: float, outcome: object = "done") -> object:
    await asyncio.sleep(seconds)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def test_a_failure_is_logged_once_with_its_name_and_a_cancellation_is_not(caplog: pytest.LogCaptureFixture) -> None:
    async def jobs() -> list[object]:
        tasks = [
            spawn.spawn(_job(1), name="fine"),
            spawn.spawn(_job(1, OSError("full")), name="archive"),
            spawn.spawn(_job(9), name="slow"),
        ]
        await asyncio.sleep(0.5)
        tasks[2].cancel()
        await asyncio.sleep(1)
        assert len(caplog.records) == 1, "it is logged when it happens"
        return await asyncio.gather(*tasks, return_exceptions=True)

    with caplog.at_level(logging.ERROR):
        sim = run(jobs)
        gc.collect()
    assert [type(each).__name__ for each in sim.result] == ["str", "OSError", "CancelledError"]
    (record,) = caplog.records
    assert record.name == "recipes.spawn" and record.getMessage() == "background task 'archive' failed"
    assert record.exc_info and isinstance(record.exc_info[1], OSError) and not background


def test_what_nobody_else_keeps_survives_and_is_let_go() -> None:
    class Line:
        def __init__(self) -> None:
            self.message = asyncio.Event()

        async def listen(self) -> None:
            await self.message.wait()

    async def day() -> tuple[bool, bool]:
        line = Line()
        spawn.spawn(line.listen(), name="line")
        seen = weakref.ref(line)
        del line
        await asyncio.sleep(1)
        gc.collect()
        kept = seen()
        assert kept is not None
        kept.message.set()
        kept = None
        await asyncio.sleep(1)
        gc.collect()
        return seen() is None, not background

    assert run(day).result == (True, True)


def test_drain_waits_for_what_is_spawned_meanwhile_too() -> None:
    async def parent() -> None:
        await asyncio.sleep(1)
        spawn.spawn(_job(2), name="child")

    async def program() -> list[str]:
        spawn.spawn(parent(), name="parent")
        return await drain(timeout=9)

    sim = run(program)
    assert sim.result == [] and sim.elapsed == 3 and sim.leaked == []


def test_drain_cuts_off_what_takes_too_long_and_names_it() -> None:
    cleaned: list[str] = []

    async def stubborn(name: str, cleaning: float) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(cleaning)
            cleaned.append(name)
            raise

    async def program() -> list[str]:
        spawn.spawn(_job(1), name="quick")
        spawn.spawn(stubborn("b", 0.2), name="b")
        spawn.spawn(stubborn("a", 0.4), name="a")
        return await drain(timeout=2)

    sim = run(program)
    assert sim.result == ["a", "b"] and cleaned == ["b", "a"]
    assert sim.elapsed == pytest.approx(2.4) and sim.leaked == []


def test_drain_does_not_wait_for_ever_for_what_does_not_let_itself_be_cancelled() -> None:
    async def deaf(rounds: int) -> None:
        for _ in range(rounds):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(5)

    async def program() -> tuple[list[str], float]:
        spawn.spawn(deaf(2), name="deaf")
        cut = await drain(timeout=1, grace=0.5)
        return cut, now()

    assert run(program).result == (["deaf"], 1.5)
    background.clear()


@pytest.mark.parametrize("moment", [0.5, 2.1])
def test_when_drain_is_cancelled_it_cuts_off_what_is_left(moment: float) -> None:
    async def program() -> tuple[bool, int]:
        spawn.spawn(_job(60), name="slow")
        task = asyncio.create_task(drain(timeout=2))
        await asyncio.sleep(moment)
        task.cancel()
        await asyncio.wait({task})
        return task.cancelled() or moment > 2, len(background)

    sim = run(program)
    assert sim.result == (True, 0) and sim.leaked == []


def test_a_background_task_may_drain_the_others() -> None:
    async def shutdown() -> list[str]:
        return await drain(timeout=5)

    async def program() -> object:
        spawn.spawn(_job(1), name="work")
        return await spawn.spawn(shutdown(), name="shutdown")

    assert run(program).result == []


def test_without_a_loop_one_sentence_and_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeError, match="'save' cannot be spawned here: no event loop is running"):
            spawn.spawn(_job(1), name="save")
        gc.collect()


# --- batcher --------------------------------------------------------------------------------------


class Endpoint:
    """Takes a second for a batch; fails for a batch with "bad" in it; notes what was sent and when."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.times: list[float] = []

    async def __call__(self, items: list[str]) -> list[str]:
        self.batches.append(items)
        self.times.append(now())
        await asyncio.sleep(1)
        if "bad" in items:
            raise ConnectionError("refused")
        return [item.upper() for item in items]


async def _ask_all(endpoint: Callable[..., Any], arrivals: list[tuple[float, str]], size: int, delay: float) -> Any:
    """Let items arrive, and return what each caller got, and when."""

    async def caller(batcher: Batcher[str, str], arrival: float, item: str) -> tuple[object, float]:
        await asyncio.sleep(arrival)
        try:
            return await batcher.ask(item), now()
        except Exception as error:
            return type(error).__name__, now()

    async with Batcher(endpoint, size, delay) as batcher:
        return await asyncio.gather(*(caller(batcher, arrival, item) for arrival, item in arrivals))


def test_a_batch_goes_when_it_is_full_or_when_its_time_is_up() -> None:
    endpoint = Endpoint()
    sim = run(_ask_all, endpoint, [(0, "a"), (0, "b"), (0, "a"), (0.1, "c"), (0.3, "d"), (5, "e")], 3, 0.5)
    assert endpoint.batches == [["a", "b", "a"], ["c", "d"], ["e"]] and endpoint.times == [0, 0.6, 5.5]
    assert [answer for answer, _ in sim.result] == ["A", "B", "A", "C", "D", "E"] and sim.leaked == []
    assert [when for _, when in sim.result] == [1, 1, 1, 1.6, 1.6, 6.5]


def test_one_failure_is_the_failure_of_its_batch_only_and_batches_overlap() -> None:
    endpoint = Endpoint()
    sim = run(_ask_all, endpoint, [(0, "a"), (0, "bad"), (0, "c"), (0, "d")], 2, 1)
    assert [answer for answer, _ in sim.result] == ["ConnectionError", "ConnectionError", "C", "D"]
    assert endpoint.times == [0, 0] and sim.elapsed == 1


@pytest.mark.parametrize("answer", [["only one"], ["one", "two", "three"], None, 7])
def test_an_answer_that_does_not_fit_is_a_failure_and_leaves_nobody_waiting(answer: Any) -> None:
    async def endpoint(items: list[str]) -> Any:
        return answer

    sim = run(_ask_all, endpoint, [(0, "a"), (0, "b")], 2, 1)
    assert {answer for answer, _ in sim.result} <= {"ValueError", "TypeError"}


@pytest.mark.parametrize("moment", [0, 0.2, 0.5, 0.8, 1.5])
@pytest.mark.parametrize("who", [0, 1, 2])
def test_a_caller_who_is_cancelled_changes_nothing_for_the_others(moment: float, who: int) -> None:
    endpoint = Endpoint()

    async def program() -> list[object]:
        async with Batcher(endpoint, size=5, delay=0.5) as batcher:
            tasks = [asyncio.create_task(batcher.ask(item)) for item in "abc"]
            await asyncio.sleep(moment)
            tasks[who].cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

    sim = run(program)
    answers = [repr(answer) for answer in sim.result]
    # At 1.5 s the result may be there first.
    assert answers[who].startswith("CancelledError") or (moment == 1.5 and answers[who] == repr("ABC"[who]))
    assert [answer for number, answer in enumerate(answers) if number != who] == [
        repr(item) for number, item in enumerate("ABC") if number != who
    ]
    assert len(endpoint.batches) == 1 and sim.leaked == []
    if moment < 0.5:
        assert len(endpoint.batches[0]) == 2, "whoever has left is not sent"


def test_whoever_is_cancelled_in_the_moment_of_sending_is_not_sent() -> None:
    endpoint = Endpoint()

    async def program() -> list[object]:
        async with Batcher(endpoint, size=5, delay=0.5) as batcher:
            tasks = [asyncio.create_task(batcher.ask(item)) for item in "abc"]
            await asyncio.sleep(0.1)
            tasks[1].cancel()
            batcher.flush()
            return await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(answer) for answer in run(program).result] == [str, asyncio.CancelledError, str]
    assert endpoint.batches == [["a", "c"]]


def test_the_delay_counts_from_the_first_who_is_still_there() -> None:
    endpoint = Endpoint()

    async def program() -> None:
        async with Batcher(endpoint, size=5, delay=0.5) as batcher:
            early = asyncio.create_task(batcher.ask("a"))
            await asyncio.sleep(0.3)
            early.cancel()
            await asyncio.sleep(0.1)
            assert await batcher.ask("b") == "B"

    run(program)
    assert (endpoint.batches, endpoint.times) == ([["b"]], [0.9])


def test_closing_sends_what_there_is_and_waits() -> None:
    endpoint = Endpoint()

    async def program() -> tuple[float, bool]:
        batcher = Batcher(endpoint, size=9, delay=60)
        task = asyncio.create_task(batcher.ask("a"))
        await asyncio.sleep(0.1)
        await batcher.close()
        closed = now()
        with pytest.raises(RuntimeError, match="This batcher is closed"):
            await batcher.ask("b")
        await batcher.close()
        return closed, await task == "A"

    sim = run(program)
    assert sim.result == (1.1, True) and endpoint.batches == [["a"]] and sim.leaked == []


def test_when_nothing_waits_closing_sends_nothing() -> None:
    endpoint = Endpoint()
    assert run(_ask_all, endpoint, [], 3, 1).elapsed == 0 and endpoint.batches == []


def test_a_batch_that_is_cancelled_leaves_nobody_waiting() -> None:
    async def cancelled(items: list[str]) -> list[str]:
        raise asyncio.CancelledError

    sim = run(_ask_all, cancelled, [(0, "a"), (0, "b")], 2, 1)
    assert [answer for answer, _ in sim.result] == ["RuntimeError"] * 2


def test_a_batch_that_is_cancelled_before_it_is_sent_leaves_nobody_waiting() -> None:
    endpoint = Endpoint()

    async def program() -> list[object]:
        batcher = Batcher(endpoint, size=2, delay=1)
        callers = [asyncio.create_task(batcher.ask(item)) for item in "ab"]
        while not batcher.sending:
            await asyncio.sleep(0)
        (sending,) = batcher.sending
        sending.cancel()
        return await asyncio.gather(*callers, return_exceptions=True)

    sim = run(program)
    assert [type(answer) for answer in sim.result] == [RuntimeError] * 2 and sim.leaked == []


@pytest.mark.parametrize(("size", "delay"), [(0, 1), (1, -1)])
def test_a_batch_without_size_is_refused(size: int, delay: float) -> None:
    with pytest.raises(ValueError, match="A batch needs a size from 1"):
        Batcher(Endpoint(), size, delay)


# --- idle_timeout ---------------------------------------------------------------------------------


class Dictation:
    """A stream that yields 0, 1, 2 ..., each after a pause, breaks where it is negative, and notes its closing."""

    def __init__(self, pauses: list[float]) -> None:
        self.pauses, self.closed = pauses, 0

    async def stream(self) -> AsyncGenerator[int, None]:
        try:
            for number, pause in enumerate(self.pauses):
                await asyncio.sleep(abs(pause))
                if pause < 0:
                    raise TimeoutError("the line broke")
                yield number
        finally:
            await asyncio.sleep(0.1)
            self.closed += 1


async def _read(stream: AsyncIterator[int], thinking: float = 0, most: int = 99) -> list[object]:
    pieces: list[object] = []
    try:
        async with aclosing(stream):  # type: ignore[type-var]
            async for piece in stream:
                pieces.append(piece)
                await asyncio.sleep(thinking)
                if len(pieces) == most:
                    break
    except TimeoutError as error:
        pieces.append(str(error))
    return pieces


@pytest.mark.parametrize(
    ("pauses", "reading", "wanted", "seconds"),
    [
        ([2, 2, 2, 2, 2], {}, [0, 1, 2, 3, 4], 10.1),
        ([1, 60], {}, [0, "The stream was silent for 5 s after 1 piece."], 6.1),
        ([60], {}, ["The stream was silent for 5 s after 0 pieces."], 5.1),
        ([1, 1], {"thinking": 20}, [0, 1], 42.1),
        ([1, 1, 1], {"most": 2}, [0, 1], 2.1),
        ([1, -1], {}, [0, "the line broke"], 2.1),
        ([], {}, [], 0.1),
    ],
)
def test_the_silence_is_limited_and_the_stream_closed(
    pauses: list[float], reading: dict[str, Any], wanted: list[object], seconds: float
) -> None:
    dictation = Dictation(pauses)

    async def program() -> list[object]:
        return await _read(with_idle_timeout(dictation.stream(), 5), **reading)

    sim = run(program, until=100)
    assert sim.result == wanted and sim.elapsed == pytest.approx(seconds)
    assert dictation.closed == 1 and sim.leaked == []


def test_the_first_piece_may_have_a_limit_of_its_own() -> None:
    async def program(first: float) -> list[object]:
        return await _read(with_idle_timeout(Dictation([8, 1, 60]).stream(), 5, first=first))

    assert run(program, 10).result == [0, 1, "The stream was silent for 5 s after 2 pieces."]
    assert run(program, 2).result == ["The stream was silent for 2 s after 0 pieces."]


@pytest.mark.parametrize("moment", [0, 0.5, 1, 1.5, 2, 2.05])
def test_a_reader_who_is_cancelled_closes_the_stream(moment: float) -> None:
    dictation = Dictation([1, 1])

    async def program() -> bool:
        task = asyncio.create_task(_read(with_idle_timeout(dictation.stream(), 5), thinking=0.2))
        await asyncio.sleep(moment)
        task.cancel()
        await asyncio.wait({task})
        return task.cancelled()

    sim = run(program)
    assert sim.result and sim.leaked == [] and dictation.closed == 1


def test_an_iterator_that_cannot_be_closed_will_do() -> None:
    class Counting:
        number = 0

        def __aiter__(self) -> Counting:
            return self

        async def __anext__(self) -> int:
            if self.number == 3:
                raise StopAsyncIteration
            self.number += 1
            return self.number

    async def program() -> list[object]:
        return await _read(with_idle_timeout(Counting(), 5))

    assert run(program).result == [1, 2, 3]


# --- app_client -----------------------------------------------------------------------------------


class Site:
    """A web site that takes a second for a page and counts how many requests it works on at once."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(1)
            status = int(request.url.path[1:] or 200)
            return httpx.Response(status, text="no" if status >= 300 else "a page")
        finally:
            self.now -= 1


async def _with_site(site: Site, work: Callable[[AppClient], Any], in_flight: int = 3) -> Any:
    settings: dict[str, Any] = {"transport": httpx.MockTransport(site), "verify": False, "trust_env": False}
    async with open_client("https://desk.example", in_flight=in_flight, **settings) as desk:
        result = await work(desk)
    assert desk.http.is_closed
    return result


def test_no_more_in_flight_than_slots_whoever_fails() -> None:
    site = Site()

    async def ten(desk: AppClient) -> list[Any]:
        calls = [desk.request("GET", "/404" if number % 3 == 0 else "/200") for number in range(10)]
        return await asyncio.gather(*calls, return_exceptions=True)

    sim = run(_with_site, site, ten)
    assert site.most == 3 and sim.elapsed == 4 and sim.leaked == []
    assert [type(each).__name__ for each in sim.result[:3]] == ["HTTPStatusError", "Response", "Response"]
    assert sim.result[0].response.text == "no" and sim.result[1].text == "a page"


def test_a_redirect_is_no_page() -> None:
    async def moved(desk: AppClient) -> Any:
        return await desk.request("GET", "/302")

    assert isinstance(run(_with_site, Site(), moved, keep_error=True).error, httpx.HTTPStatusError)


def test_a_stream_keeps_its_slot_until_its_block_ends_and_a_cancelled_one_gives_it_back() -> None:
    async def two(desk: AppClient) -> float:
        async with desk.stream("GET", "/200") as response:
            waiting = asyncio.create_task(desk.request("GET", "/200"))
            await asyncio.sleep(5)
            assert not waiting.done() and await response.aread() == b"a page"
        await waiting
        cancelled = asyncio.create_task(desk.request("GET", "/200"))
        await asyncio.sleep(0.5)
        cancelled.cancel()
        await asyncio.wait({cancelled})
        await desk.request("GET", "/200")
        return now()

    assert run(_with_site, Site(), two, in_flight=1).result == 8.5


def test_a_client_belongs_to_its_loop_and_to_its_block() -> None:
    async def opened() -> AppClient:
        async with open_client("https://desk.example", verify=False, trust_env=False) as desk:
            return desk

    async def use(desk: AppClient) -> None:
        await desk.request("GET", "/")

    async def use_closed() -> None:
        await use(await opened())

    with pytest.raises(RuntimeError, match="another event loop: open one for each loop, inside main"):
        asyncio.run(use(asyncio.run(opened())))
    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(use_closed())


def test_without_a_slot_nothing_is_opened() -> None:
    async def none() -> None:
        async with open_client("https://desk.example", in_flight=0):
            pass

    with pytest.raises(ValueError, match="give 1 or more"):
        asyncio.run(none())


def test_over_a_real_connection_the_pool_is_as_large_as_the_semaphore() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(0.02)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        writer.close()

    async def program() -> set[str]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with open_client(f"http://127.0.0.1:{port}", in_flight=4, trust_env=False) as desk:
            pages = await asyncio.gather(*(desk.request("GET", "/") for _ in range(12)))
        server.close()
        return {page.text for page in pages}

    assert asyncio.run(program()) == {"hi"} and 1 <= connections <= 4


# --- conftest_blockbuster -------------------------------------------------------------------------

APP = """
import asyncio
import time


def back_off():
    time.sleep(0.01)


def read_settings():
    time.sleep(0.01)


async def careless():
    back_off()


async def in_a_group():
    async with asyncio.TaskGroup() as group:
        group.create_task(careless())


async def careful():
    read_settings()
    await asyncio.to_thread(back_off)
"""
TESTS = """
import asyncio
import app


def test_careless():
    asyncio.run(app.careless())


def test_in_a_group():
    asyncio.run(app.in_a_group())


def test_careful():
    asyncio.run(app.careful())


def test_without_a_loop():
    app.back_off()
"""


def test_blocking_fails_a_test_and_the_report_says_where(tmp_path: Path) -> None:
    recipe = (ROOT / "recipes" / "conftest_blockbuster.py").read_text(encoding="utf-8")
    commented = '    # ("shop/settings.py", "read_settings", "called once, before the first request"),\n'
    assert commented in recipe
    allowed = commented.replace("# ", "").replace("shop/settings.py", "app.py")
    (tmp_path / "conftest.py").write_text(recipe.replace(commented, allowed), encoding="utf-8")
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    (tmp_path / "test_app.py").write_text(TESTS, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "."],
        cwd=tmp_path,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "2 failed, 2 passed" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("what blocked") == 2
    line = APP.splitlines().index("    time.sleep(0.01)") + 1
    assert done.stdout.count(f"time.sleep held the event loop, called by back_off in line {line} of") == 2
