"""Background tasks that are kept, named, heard of when they fail, and waited for at the end. Lesson 04; MIT licence.

    >>> import asyncio
    >>> async def save(text: str) -> None:
    ...     await asyncio.sleep(0.01)
    ...     print("saved", text)
    >>> async def main() -> None:
    ...     spawn(save("the brief"), name="save the brief")
    ...     print("answered")
    ...     print("cut off:", await drain(timeout=5))
    >>> asyncio.run(main())
    answered
    saved the brief
    cut off: []

Where you know a place in the program at which the work has to be done, a task group there is better: it does all this.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
logger = logging.getLogger(__name__)

# The loop holds its tasks only weakly: this set is what keeps them.
background: set[asyncio.Task[Any]] = set()


def spawn(coroutine: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Start a named task in the background; keep it until it is done, and log its failure when it happens.

    Whoever awaits the task that it returns gets the result, or the exception, all the same. A cancellation is no
    failure. Raises RuntimeError when no event loop is running.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        coroutine.close()  # or Python would also complain that it was never awaited
        raise RuntimeError(f"{name!r} cannot be spawned here: no event loop is running.") from None
    task = asyncio.create_task(coroutine, name=name)
    background.add(task)
    # A callback, not a `finally` in the coroutine: one that is cancelled before its first step runs no `finally`.
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[Any]) -> None:
    """Let a task go, and say so if it failed."""
    background.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("background task %r failed", task.get_name(), exc_info=error)


async def drain(timeout: float, grace: float = 1.0) -> list[str]:  # noqa: ASYNC109  (what is left is cancelled, too)
    """Wait until this loop's background tasks are done, those that they spawn too; return the names of those cut off.

    What is not done after `timeout` seconds, or when the caller is cancelled, is cancelled, and has `grace` seconds to
    clean up. Call it before the program ends, and before what the tasks use is closed.
    """
    loop = asyncio.get_running_loop()
    until, cut = loop.time() + timeout, set[asyncio.Task[Any]]()
    try:
        while (left := _pending(loop)) and (seconds := until - loop.time()) > 0:
            await asyncio.wait(left, timeout=seconds)
    finally:
        until = loop.time() + grace
        while (left := _pending(loop)) and (seconds := until - loop.time()) > 0:
            for task in left - cut:
                task.cancel()
            cut |= left
            await asyncio.wait(left, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    return sorted(task.get_name() for task in cut)


def _pending(loop: asyncio.AbstractEventLoop) -> set[asyncio.Task[Any]]:
    """Return the background tasks of a loop that are not done, without the task that asks."""
    asking = asyncio.current_task()
    return {task for task in background if task.get_loop() is loop and task is not asking and not task.done()}
