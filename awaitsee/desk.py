"""The research desk: code that the lessons share. Each function is shown in full in the lesson that first uses it."""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from langchain_openai import ChatOpenAI

if TYPE_CHECKING:
    import httpx

QUESTIONS = [
    "What is a coroutine?",
    "What does the event loop do?",
    "How does a deadlock happen?",
    "What does a semaphore limit?",
    "When should I use a thread?",
]
"""The five questions of the day."""


_IMPORTED_LATE = (
    "anyio._backends._asyncio",
    "langchain_core.messages.block_translators.langchain_v0",
    "langchain_core.tracers.langchain",
    "langchain_core.tracers.run_collector",
    "langchain_core.tracers.stdout",
)
"""What the libraries import in the first request; on a busy machine that would hold the loop in the first figure."""


@cache
def chat_model() -> ChatOpenAI:
    """Return the desk's one chat model, which talks to the practice server or to the provider that was chosen.

    The first call takes a while, because it sets up the client: make it before you measure anything.

    Raises RuntimeError when `practice_server()` was not called before.
    """
    model = os.environ.get("AWAITSEE_MODEL")
    if not model:
        raise RuntimeError("No model to ask: call `practice_server()` before the desk's functions.")
    for module in _IMPORTED_LATE:
        with suppress(ImportError):
            importlib.import_module(module)
    return ChatOpenAI(model=model)


async def ask(question: str) -> str:
    """Ask the model one question and return its answer (lesson 00)."""
    message = await chat_model().ainvoke(question)
    return message.text


T = TypeVar("T")
R = TypeVar("R")


async def bounded_map(
    function: Callable[[T], Awaitable[R]], items: Iterable[T], limit: int | asyncio.Semaphore
) -> list[R | BaseException]:
    """Call the function for every item, at most `limit` at once; return results and exceptions in order (lesson 06).

    A number limits this call; a semaphore is shared with everybody else who uses it. When the caller is cancelled, all
    calls are cancelled and have ended before this function does.

    Raises ValueError when the limit is below 1.
    """
    if isinstance(limit, int) and limit < 1:
        raise ValueError(f"A limit of {limit} would let nothing through.")
    slots = asyncio.Semaphore(limit) if isinstance(limit, int) else limit

    async def call(item: T) -> R:
        async with slots:
            return await function(item)

    return await asyncio.gather(*(call(item) for item in items), return_exceptions=True)


async def fetch_page(client: httpx.AsyncClient, url: str) -> str:
    """Get a page and return its text; a page that is missing raises (lesson 11)."""
    response = await client.get(url)
    response.raise_for_status()
    return response.text


async def search_web(client: httpx.AsyncClient, query: str, limit: int = 3) -> list[dict[str, str]]:
    """Search the web; return title, address and snippet of each result, the best first (lesson 17)."""
    response = await client.get("/search", params={"q": query, "limit": limit})
    response.raise_for_status()
    results: list[dict[str, str]] = response.json()["results"]
    return results


async def search_handbook(client: httpx.AsyncClient, query: str, limit: int = 3) -> list[dict[str, str]]:
    """Search the handbook; return page, heading and text of each section, the best first (lesson 17)."""
    response = await client.get("/handbook", params={"q": query, "limit": limit})
    response.raise_for_status()
    results: list[dict[str, str]] = response.json()["results"]
    return results
