"""A limit on the silence of a stream, not on its length. Lesson 05, exercise 05.2; MIT licence.

>>> from contextlib import aclosing
>>> async def answer() -> AsyncGenerator[str, None]:
...     try:
...         yield "An event"
...         await asyncio.sleep(60)
...         yield " loop ..."
...     finally:
...         print("closed")
>>> async def main() -> None:
...     try:
...         async with aclosing(with_idle_timeout(answer(), 0.02)) as stream:
...             async for piece in stream:
...                 print(piece)
...     except TimeoutError as error:
...         print(error)
>>> asyncio.run(main())
An event
closed
The stream was silent for 0.02 s after 1 piece.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import AsyncExitStack
from typing import TypeVar

T = TypeVar("T")


async def with_idle_timeout(
    stream: AsyncIterable[T], seconds: float, first: float | None = None
) -> AsyncGenerator[T, None]:
    """Pass on the pieces of a stream; raise TimeoutError when none comes for some seconds.

    `first` is the limit for the first piece, where a model needs longer to begin than to go on. The time that the
    reader spends on a piece does not count. However it ends, it closes the stream, if that can be closed; read it
    inside `aclosing`, because `break` closes nothing. An error of the stream comes out as it is. A stream that is
    closed in a way of its own, such as that of OpenAI's client, needs its own `async with` around it.
    """
    iterator, limit, pieces = aiter(stream), seconds if first is None else first, 0
    async with AsyncExitStack() as stack:
        if hasattr(iterator, "aclose"):
            stack.push_async_callback(iterator.aclose)
        while True:
            try:
                # Around one wait, never around a `yield`: there it would cancel the reader. And not wait_for, which
                # on Python 3.11 can lose a cancellation that comes in the same moment as the piece.
                async with asyncio.timeout(limit) as clock:
                    piece = await anext(iterator)
            except StopAsyncIteration:
                return
            except TimeoutError:
                if not clock.expired():  # the stream's own
                    raise
                count = "1 piece" if pieces == 1 else f"{pieces} pieces"
                raise TimeoutError(f"The stream was silent for {limit} s after {count}.") from None
            pieces, limit = pieces + 1, seconds
            yield piece
