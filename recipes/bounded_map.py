"""One function for many items, so many at once, every result and every failure kept. Lesson 06; MIT licence.

>>> import asyncio
>>> async def ask(question: str) -> str:
...     if not question:
...         raise ValueError("nothing was asked")
...     return question.upper()
>>> async def main() -> None:
...     print(await bounded_map(ask, ["who?", "", "why?"], limit=2))
...     async with aclosing(as_they_come(ask, ["who?"], limit=2)) as coming:
...         async for question, outcome in coming:
...             print(question, "->", outcome)
>>> asyncio.run(main())
['WHO?', ValueError('nothing was asked'), 'WHY?']
who? -> WHO?
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing, nullcontext
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def bounded_map(
    function: Callable[[T], Awaitable[R]], items: Iterable[T], limit: int | asyncio.Semaphore
) -> list[R | BaseException]:
    """Call the function for every item, at most `limit` at once; return results and exceptions in order.

    A number limits this call, and reads the items as it goes. A semaphore is shared with everybody else who uses it;
    then all items are read at the start. When the caller is cancelled, all calls are cancelled and have ended before
    this function does. Raises ValueError when the limit is below 1, and what `items` raises.
    """

    async def numbered(entry: tuple[int, T]) -> R:
        return await function(entry[1])

    outcomes: dict[int, R | BaseException] = {}
    async with aclosing(as_they_come(numbered, enumerate(items), limit)) as coming:
        async for (number, _), outcome in coming:
            outcomes[number] = outcome
    return [outcomes[number] for number in range(len(outcomes))]


async def as_they_come(
    function: Callable[[T], Awaitable[R]], items: Iterable[T], limit: int | asyncio.Semaphore
) -> AsyncGenerator[tuple[T, R | BaseException], None]:
    """Do as `bounded_map`, and yield each item with its result or its exception as soon as it is there.

    Read it inside `aclosing`: leaving that block, also by `break`, cancels the calls that are under way and waits for
    their end. A slow reader holds the calls up: no more than `limit` are under way or waiting to be read.
    """
    if isinstance(limit, int) and limit < 1:
        raise ValueError(f"A limit of {limit} would let nothing through.")

    async def call(item: T) -> R:
        async with limit if isinstance(limit, asyncio.Semaphore) else nullcontext():
            return await function(item)

    source, calls = iter(items), dict[asyncio.Task[R], T]()
    # Not as_completed: its items are not these tasks (with `async for` they are, from Python 3.13 on).
    ended = asyncio.Queue[asyncio.Task[R]]()
    try:
        while True:
            room = None if isinstance(limit, asyncio.Semaphore) else limit - len(calls)
            for item in islice(source, room):
                task = asyncio.create_task(call(item))
                calls[task] = item
                task.add_done_callback(ended.put_nowait)
            if not calls:
                return
            task = await ended.get()
            yield calls.pop(task), _outcome(task)
    finally:
        for task in calls:
            task.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


def _outcome(task: asyncio.Task[R]) -> R | BaseException:
    """Return what a task that is done has returned or raised."""
    if task.cancelled():
        return asyncio.CancelledError()
    error = task.exception()
    return task.result() if error is None else error
