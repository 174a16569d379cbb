"""Requests and tokens per minute, one limiter for all tasks of a loop. Lesson 07 of Await and See; MIT licence.

>>> import asyncio
>>> async def ask(question: str, limiter: RateLimiter) -> str:
...     await limiter.acquire(tokens=150)  # an estimate, before every attempt
...     answer, used = question.upper(), 40  # here: send the request; after a 429: limiter.pause(seconds_told(...))
...     limiter.correct(150, used)
...     return answer
>>> async def main() -> None:
...     limiter = RateLimiter(requests_per_minute=6_000, tokens_per_minute=120_000)
...     print(await asyncio.gather(*(ask(question, limiter) for question in ("who?", "why?"))))
>>> asyncio.run(main())
['WHO?', 'WHY?']
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


class Bucket:
    """Fills at a steady rate up to its size; a request takes its share out."""

    def __init__(self, per_minute: float, burst: float) -> None:
        if not 0 < per_minute < float("inf"):
            raise ValueError(f"A limit of {per_minute} a minute is no limit: give a positive number.")
        self.rate = per_minute / 60
        self.size = max(1.0, self.rate * burst)
        self.level, self.updated = self.size, 0.0

    def seconds_until(self, amount: float) -> float:
        """Return how long it takes until this amount is there, or the bucket is full."""
        now = asyncio.get_running_loop().time()
        self.level = min(self.size, self.level + (now - self.updated) * self.rate)
        self.updated = now
        wait = (min(amount, self.size) - self.level) / self.rate
        return wait if wait > 1e-6 else 0.0


class RateLimiter:
    """Lets requests go no faster than two limits allow, first come, first served; `burst` is in seconds' worth.

    Make one inside `main` and pass it on: it belongs to one event loop, and knows nothing of other processes.
    """

    def __init__(self, requests_per_minute: float, tokens_per_minute: float, burst: float = 0.5) -> None:
        self.requests, self.tokens = Bucket(requests_per_minute, burst), Bucket(tokens_per_minute, burst)
        self.turn, self.changed = asyncio.Semaphore(1), asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    async def acquire(self, tokens: float = 0) -> None:
        """Wait until one more request, of about so many tokens, may go; whoever is cancelled has taken nothing.

        A request with more tokens than the bucket holds waits until it is full, and leaves a debt to those behind.
        Raises RuntimeError on another event loop than the first call's.
        """
        loop = asyncio.get_running_loop()
        self.loop = self.loop or loop
        if self.loop is not loop:
            raise RuntimeError("This limiter belongs to another event loop: make one for each loop, inside main.")
        async with self.turn:
            while (wait := max(self.requests.seconds_until(1), self.tokens.seconds_until(tokens))) > 0:
                self.changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):  # not wait_for: on Python 3.11 that can lose a cancellation
                        await self.changed.wait()
            self.requests.level -= 1
            self.tokens.level -= tokens

    def correct(self, estimate: float, used: float) -> None:
        """Replace an estimate by what the request really used."""
        self.tokens.level += estimate - used
        self.changed.set()

    def pause(self, seconds: float, jitter: float = 1.0) -> None:
        """After a refusal: let nobody go for so long, plus a random time, and then one at a time.

        Others who are refused meanwhile do not make it longer than the longest of them.
        """
        self.requests.seconds_until(1)
        seconds += random.uniform(0, jitter)  # other processes with the same key have been told the same
        self.requests.level = min(self.requests.level, 1 - seconds * self.requests.rate)


def seconds_told(headers: Mapping[str, str]) -> float:
    """Return how long the headers of a refusal (in lower case, or httpx's) say to wait, or 0 where they do not."""
    with suppress(ValueError):
        return max(0.0, float(headers.get("retry-after-ms", "")) / 1000)
    told = headers.get("retry-after", "")
    with suppress(ValueError):
        return max(0.0, float(told))
    with suppress(ValueError):
        when = parsedate_to_datetime(told)
        return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    return 0.0
