"""A limiter that counts requests and tokens, shown in full in lesson 07.

Not thread-safe, and bound to the event loop in which somebody first waited: make one for each loop.
"""

# ruff: noqa: ASYNC110  (the wait is computed; the loop is for corrections that come in meanwhile)

from __future__ import annotations

import asyncio


class Bucket:
    """Fills at a steady rate up to its size; a request takes its share out."""

    def __init__(self, per_minute: float, burst: float) -> None:
        self.rate = per_minute / 60
        self.size = max(1.0, self.rate * burst)
        self.level = self.size
        self.updated = 0.0

    def seconds_until(self, amount: float) -> float:
        """Return how long it takes until this amount is there, or the bucket is full."""
        now = asyncio.get_running_loop().time()
        self.level = min(self.size, self.level + (now - self.updated) * self.rate)
        self.updated = now
        wait = (min(amount, self.size) - self.level) / self.rate
        return wait if wait > 1e-6 else 0.0


class RateLimiter:
    """Lets requests go no faster than two limits allow, first come, first served."""

    def __init__(self, requests_per_minute: float, tokens_per_minute: float, burst: float = 0.5) -> None:
        self.requests, self.tokens = Bucket(requests_per_minute, burst), Bucket(tokens_per_minute, burst)
        self.turn = asyncio.Semaphore(1)

    async def acquire(self, tokens: float = 0) -> None:
        """Wait until one more request, of about so many tokens, may go."""
        async with self.turn:
            while (wait := max(self.requests.seconds_until(1), self.tokens.seconds_until(tokens))) > 0:
                await asyncio.sleep(wait)
            self.requests.level -= 1
            self.tokens.level -= tokens

    def correct(self, estimate: float, used: float) -> None:
        """Replace an estimate by what the request really used."""
        self.tokens.level += estimate - used
