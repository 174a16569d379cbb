"""`awaitsee.limits` on the simulated clock: exact rates, order, debts and cancellation."""

from __future__ import annotations

import asyncio
import inspect
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from awaitsee import Simulation, limits, simulate
from awaitsee.limits import RateLimiter

LESSON = Path(__file__).resolve().parents[1] / "lessons" / "07_rate_limits.md"


def run(fn: Any, *args: Any) -> Simulation:
    async def main() -> Simulation:
        return await simulate(fn, *args, until=1_000)

    return asyncio.run(main())


async def moments(limiter: RateLimiter, amounts: list[float]) -> list[tuple[int, float]]:
    """Return who got through when, for requests that come together."""
    loop, passed = asyncio.get_running_loop(), []
    start = loop.time()

    async def go(number: int, tokens: float) -> None:
        await limiter.acquire(tokens)
        passed.append((number, round(loop.time() - start, 6)))

    await asyncio.gather(*(go(number, tokens) for number, tokens in enumerate(amounts)))
    return passed


def passing(amounts: list[float], *settings: float) -> list[float]:
    """Return when each passes, and hold them to the order in which they came."""

    async def main() -> list[tuple[int, float]]:
        return await moments(RateLimiter(*settings), amounts)

    passed = run(main).result
    assert [number for number, _ in passed] == list(range(len(amounts)))
    return [moment for _, moment in passed]


@pytest.mark.parametrize("name", ["Bucket", "RateLimiter"])
def test_the_lesson_shows_the_same_class(name: str) -> None:
    shown = re.search(rf"^class {name}:.*?(?=^```)", LESSON.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert shown is not None
    assert shown[0].strip() == inspect.getsource(getattr(limits, name)).strip()


def test_a_burst_goes_at_once_and_the_rest_at_the_rate() -> None:
    assert passing([0] * 10, 600, 1_000) == [0, 0, 0, 0, 0, 0.1, 0.2, 0.3, 0.4, 0.5]


def test_the_burst_can_be_set_and_is_at_least_one_request() -> None:
    assert passing([0] * 5, 120, 1_000, 1.0) == [0, 0, 0.5, 1, 1.5]
    assert passing([0] * 3, 60, 1_000, 0.0) == [0, 1, 2]


def test_tokens_hold_back_when_they_are_scarcer() -> None:
    # 10 tokens a second, 5 at once
    assert passing([5] * 4, 6_000, 600) == [0, 0.5, 1, 1.5]


def test_the_scarcer_of_both_decides() -> None:
    tokens, requests = passing([5] * 20, 6_000, 600), passing([0] * 20, 600, 600)
    assert passing([5] * 20, 600, 600) == [max(pair) for pair in zip(tokens, requests, strict=True)]


def test_a_request_larger_than_the_bucket_waits_until_it_is_full_and_leaves_a_debt() -> None:
    # the bucket holds 5 and gets 10 a second
    assert passing([25, 0, 5, 25], 60_000, 600) == [0, 2, 2.5, 3]


def test_a_large_request_is_not_overtaken() -> None:
    assert passing([5, 5, 1, 1], 6_000, 600) == [0, 0.5, 0.6, 0.7]


def test_an_idle_bucket_fills_no_further_than_its_size() -> None:
    async def main() -> list[tuple[int, float]]:
        limiter = RateLimiter(600, 1_000)
        await moments(limiter, [0] * 5)
        await asyncio.sleep(100)
        return await moments(limiter, [0] * 7)

    assert [moment for _, moment in run(main).result] == [0, 0, 0, 0, 0, 0.1, 0.2]


@pytest.mark.parametrize(("used", "moment"), [(0, 0.0), (5, 0.5), (25, 2.5)])
def test_a_correction_gives_back_or_takes_more(used: float, moment: float) -> None:
    async def main() -> list[tuple[int, float]]:
        limiter = RateLimiter(6_000, 600)
        await limiter.acquire(5)
        limiter.correct(5, used)
        return await moments(limiter, [5])

    assert run(main).result == [(0, moment)]


def test_a_correction_while_somebody_waits_counts() -> None:
    async def main() -> list[tuple[int, float]]:
        limiter = RateLimiter(6_000, 600)
        await limiter.acquire(5)
        waiting = asyncio.create_task(moments(limiter, [5]))
        await asyncio.sleep(0.25)
        limiter.correct(5, 15)
        return await waiting

    assert run(main).result == [(0, 1.5)]


def test_a_correction_cannot_overfill() -> None:
    async def main() -> list[tuple[int, float]]:
        limiter = RateLimiter(60_000, 600)
        limiter.correct(1_000, 0)
        return await moments(limiter, [5, 5])

    assert run(main).result == [(0, 0), (1, 0.5)]


@pytest.mark.parametrize("victims", [[0], [1], [0, 1], [0, 2]])
def test_who_is_cancelled_while_waiting_takes_nothing(victims: list[int]) -> None:
    async def main() -> list[float]:
        limiter = RateLimiter(60, 60_000)
        await limiter.acquire()
        waiting = [asyncio.create_task(moments(limiter, [0])) for _ in range(4)]
        await asyncio.sleep(0.5)
        for victim in victims:
            waiting[victim].cancel()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        return [result[0][1] for result in done if isinstance(result, list)]

    simulation = run(main)
    assert simulation.result == [float(turn) for turn in range(1, 5 - len(victims))]
    assert simulation.leaked == []


def test_waiting_is_computed_not_polled() -> None:
    async def main() -> list[tuple[int, float]]:
        return await moments(RateLimiter(1, 1_000), [0] * 3)

    simulation = run(main)
    assert simulation.elapsed == pytest.approx(120)
    assert simulation.steps < 20


def test_rates_hold_for_long_and_odd_numbers() -> None:
    times = passing([7.3] * 400, 997, 7_777, 0.7)
    spacing = max(60 / 997, 7.3 * 60 / 7_777)
    for first, second in pairwise(times[100:]):
        assert second - first == pytest.approx(spacing, abs=2e-6)


def test_it_may_be_made_where_no_loop_runs() -> None:
    limiter = RateLimiter(600, 1_000)

    async def main() -> list[tuple[int, float]]:
        return await moments(limiter, [0] * 6)

    assert [number for number, _ in asyncio.run(main())] == list(range(6))
