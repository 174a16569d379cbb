"""The research desk's own code, as far as it is more than one call."""

from __future__ import annotations

import ast
import asyncio
import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from awaitsee.observe.simulation import Simulation, simulate

if TYPE_CHECKING:  # made before the first test: tests/lazily.py
    from awaitsee import desk
    from awaitsee.desk import bounded_map

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def run(fn: Callable[..., Any], *args: Any, **options: Any) -> Simulation:
    return asyncio.run(simulate(fn, *args, **options))


class Calls:
    """A function that takes a second, fails for negative numbers, and counts how many of its calls run at once."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.started: list[int] = []
        self.ended: list[int] = []

    async def __call__(self, number: int) -> int:
        self.started.append(number)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(1)
            if number < 0:
                raise ValueError(str(number))
            return number * 10
        finally:
            self.now -= 1
            self.ended.append(number)


@pytest.mark.parametrize(("limit", "seconds"), [(1, 7), (3, 3), (7, 1), (100, 1)])
def test_never_more_than_the_limit_and_all_of_it_used(limit: int, seconds: int) -> None:
    calls = Calls()
    sim = run(bounded_map, calls, range(7), limit)
    assert sim.result == [0, 10, 20, 30, 40, 50, 60]
    assert calls.most == min(limit, 7)
    assert sim.elapsed == seconds
    assert calls.started == list(range(7))
    assert sim.leaked == []


def test_results_are_in_the_order_of_the_items_whoever_was_first() -> None:
    async def later(number: int) -> int:
        await asyncio.sleep(number)
        return number

    assert run(bounded_map, later, iter([3, 1, 2]), 3).result == [3, 1, 2]


def test_a_failure_stands_in_its_place_and_stops_nobody() -> None:
    calls = Calls()
    sim = run(bounded_map, calls, [1, -2, 3, -4, 5], 2)
    assert [type(each) for each in sim.result] == [int, ValueError, int, ValueError, int]
    assert str(sim.result[3]) == "-4"
    assert sim.elapsed == 3


def test_no_items_no_results() -> None:
    assert run(bounded_map, Calls(), [], 3).result == []


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_lets_nothing_through_is_refused_instead_of_waited_for(limit: int) -> None:
    sim = run(bounded_map, Calls(), [1], limit, keep_error=True)
    assert isinstance(sim.error, ValueError)
    assert sim.elapsed == 0


def test_a_semaphore_is_shared_by_all_who_use_it() -> None:
    calls = Calls()

    async def three_batches() -> list[list[int | BaseException]]:
        slots = asyncio.Semaphore(2)
        return await asyncio.gather(*(bounded_map(calls, range(start, start + 2), slots) for start in (0, 10, 20)))

    sim = run(three_batches)
    assert sim.result == [[0, 10], [100, 110], [200, 210]]
    assert calls.most == 2
    assert sim.elapsed == 3


def test_cancelled_it_cancels_its_calls_and_waits_until_they_have_cleaned_up() -> None:
    cleaned = []

    async def careful(number: int) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(number)
            cleaned.append(number)

    async def give_up() -> tuple[bool, int]:
        slots = asyncio.Semaphore(2)
        batch = asyncio.create_task(bounded_map(careful, [1, 3, 5, 7], slots))
        await asyncio.sleep(0.5)
        batch.cancel()
        await asyncio.wait([batch])
        return batch.cancelled(), slots._value

    sim = run(give_up)
    assert sim.result == (True, 2), "and every slot is given back"
    assert cleaned == [1, 3], "the other two had not begun"
    assert sim.elapsed == 3.5
    assert sim.leaked == []


def test_a_timeout_around_it_ends_all_of_it() -> None:
    calls = Calls()

    async def impatient() -> None:
        async with asyncio.timeout(1.5):
            await bounded_map(calls, range(6), 2)

    sim = run(impatient, keep_error=True)
    assert isinstance(sim.error, TimeoutError)
    assert sim.elapsed == 1.5
    assert calls.started == calls.ended == [0, 1, 2, 3]
    assert sim.leaked == []


@pytest.mark.parametrize(
    ("name", "lesson"), [("bounded_map", "06_semaphores"), ("fetch_page", "11_async_resources")], ids=["map", "page"]
)
def test_the_lesson_shows_this_very_code(name: str, lesson: str) -> None:
    def code_of(source: str) -> str:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.AsyncFunctionDef) and node.name == name:
                node.body = node.body[1:]
                return ast.unparse(node)
        raise AssertionError(f"no {name}")

    notebook = nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", as_version=4)
    cells = [cell.source for cell in notebook.cells if f"async def {name}(" in cell.source]
    assert len(cells) == 1
    assert code_of(cells[0]) == code_of(inspect.getsource(getattr(desk, name)))


def test_the_first_request_imports_next_to_nothing() -> None:
    code = """
import asyncio, sys
from awaitsee import practice_server
from awaitsee.desk import ask, chat_model
server = practice_server()
chat_model()
before = set(sys.modules)
asyncio.run(ask("What is a task?"))
print(*sorted(set(sys.modules) - before), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.split()) <= 3, done.stderr
