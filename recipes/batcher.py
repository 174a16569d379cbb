"""The items of many callers in one request: a number of them, or what came within a delay. Lesson 08; MIT licence.

    >>> import asyncio
    >>> async def embed(texts: list[str]) -> list[int]:
    ...     print("a request with", len(texts), "texts")
    ...     return [len(text) for text in texts]
    >>> async def main() -> None:
    ...     async with Batcher(embed, size=16, delay=0.02) as batcher:
    ...         print(await asyncio.gather(*(batcher.ask(text) for text in ("one", "three", "five"))))
    >>> asyncio.run(main())
    a request with 3 texts
    [3, 5, 4]

It pays where requests are scarce: where nobody queues, a batch only adds its delay. To bound the requests in flight,
put a semaphore into `send`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """Calls `send` with up to `size` items, at the latest `delay` seconds after the first of them came.

    `send` returns their results in the same order. When it fails, each caller of that batch gets the exception, and
    nobody else. A caller who is cancelled changes nothing for the others; before the batch is sent, its item is left
    out. A batch does not wait for the one before it. Raises ValueError for a size below 1 or a negative delay.
    """

    def __init__(self, send: Callable[[list[T]], Awaitable[Sequence[R]]], size: int, delay: float) -> None:
        if size < 1 or delay < 0:
            raise ValueError(f"A batch needs a size from 1 and a delay from 0, not {size} and {delay}.")
        self.send, self.size, self.delay, self.closed = send, size, delay, False
        self.waiting: dict[asyncio.Future[R], T] = {}
        self.sending: set[asyncio.Task[list[R]]] = set()
        self.timer: asyncio.TimerHandle | None = None

    async def ask(self, item: T) -> R:
        """Return the result for this item. Raises what `send` raised, and RuntimeError when the batcher is closed."""
        if self.closed:
            raise RuntimeError("This batcher is closed: ask before close(), or make a new one.")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R] = loop.create_future()
        self.waiting[answer] = item
        if len(self.waiting) >= self.size:
            self.flush()
        elif len(self.waiting) == 1:
            self.timer = loop.call_later(self.delay, self.flush)
        try:
            return await answer
        finally:
            if answer in self.waiting:
                del self.waiting[answer]
                if not self.waiting and self.timer:
                    self.timer.cancel()

    def flush(self) -> None:
        """Send what has been collected, if anything, without waiting for more."""
        if self.timer:
            self.timer.cancel()
        # A caller that is cancelled in this very moment has not yet taken its item out itself.
        batch = {answer: item for answer, item in self.waiting.items() if not answer.done()}
        self.waiting.clear()
        if batch:
            # A task of its own: the caller that filled the batch may be cancelled, and the others want their results.
            task = asyncio.create_task(self._send(list(batch.values())), name=f"batch of {len(batch)}")
            self.sending.add(task)
            # A callback, not a `finally` in the task: one that is cancelled before its first step runs no `finally`.
            task.add_done_callback(partial(self._hand_out, batch))

    async def _send(self, items: list[T]) -> list[R]:
        """Send one batch."""
        return list(await self.send(items))

    def _hand_out(self, batch: dict[asyncio.Future[R], T], task: asyncio.Task[list[R]]) -> None:
        """Give each caller of a batch who still waits the result or the failure: nobody is left to wait for ever."""
        self.sending.discard(task)
        if task.cancelled():
            failure: BaseException | None = RuntimeError("The batch was cancelled before its results were there.")
        else:
            failure = task.exception()
        results = [] if failure else task.result()
        if failure is None and len(results) != len(batch):
            failure = ValueError(f"send returned {len(results)} results for {len(batch)} items.")
        for number, answer in enumerate(batch):
            if not answer.done():
                answer.set_exception(failure) if failure else answer.set_result(results[number])

    async def close(self) -> None:
        """Take no more items, send what has been collected, and wait for all batches that are on their way."""
        self.closed = True
        self.flush()
        if self.sending:
            await asyncio.wait(set(self.sending))

    async def __aenter__(self) -> Batcher[T, R]:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
