"""One HTTP client for an app: opened once, shared by all, bounded, closed at the end. Lesson 11; MIT licence.

    >>> import asyncio
    >>> def answer(request: httpx.Request) -> httpx.Response:
    ...     return httpx.Response(200, text=f"a page from {request.url.path}")
    >>> async def main() -> None:
    ...     transport = httpx.MockTransport(answer)  # leave it out, and the requests go to the network
    ...     async with open_client("https://desk.example", in_flight=4, transport=transport) as desk:
    ...         pages = await asyncio.gather(*(desk.request("GET", f"/{number}") for number in range(2)))
    ...         print([page.text for page in pages])
    >>> asyncio.run(main())
    ['a page from /0', 'a page from /1']

In a web server, the lifespan is the place: FastAPI(lifespan=lifespan) with

    @asynccontextmanager
    async def lifespan(app):
        async with open_client("https://desk.example") as app.state.desk:
            yield
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx


class AppClient:
    """An open client with its slots; `open_client` makes one."""

    def __init__(self, http: httpx.AsyncClient, in_flight: int) -> None:
        self.http, self.slots, self.loop = http, asyncio.Semaphore(in_flight), asyncio.get_running_loop()

    async def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Send a request in one of the slots and return the answer, read to its end.

        Raises httpx.HTTPStatusError for a refusal and httpx.TransportError for what went wrong on the way (log
        `repr(error)`, some have no message); RuntimeError on another event loop, or when the client is closed.
        """
        async with self.stream(method, url, **options) as response:
            await response.aread()
        return response

    @asynccontextmanager
    async def stream(self, method: str, url: str, **options: Any) -> AsyncIterator[httpx.Response]:
        """Send a request and hand out the answer unread; its slot and its connection are taken until the block ends."""
        if asyncio.get_running_loop() is not self.loop:
            raise RuntimeError("This client belongs to another event loop: open one for each loop, inside main.")
        async with self.slots, self.http.stream(method, url, **options) as response:
            if not response.is_success:
                await response.aread()  # so that whoever catches the error can read what it says
                response.raise_for_status()
            yield response


@asynccontextmanager
async def open_client(
    base_url: str, *, in_flight: int = 20, connect: float = 5.0, silence: float = 30.0, **settings: Any
) -> AsyncIterator[AppClient]:
    """Open the client of an app, and close it however the block ends. Once per service and event loop, inside `main`.

    At most `in_flight` requests are under way; the others wait in line without a clock. `silence` limits the wait for
    the next bytes, not the whole answer: how long a user waits is an `asyncio.timeout` around everything. Other
    settings (headers, transport, ...) go to httpx. Raises ValueError when `in_flight` is below 1.
    """
    if in_flight < 1:
        raise ValueError(f"With {in_flight} requests in flight nothing would ever be sent: give 1 or more.")
    # The pool is as large as the semaphore, so nobody waits in it: a PoolTimeout would mean that somebody goes past
    # the slots. Making a client loads certificates, some 30 ms of computing: one more reason to do it once.
    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    timeout = httpx.Timeout(silence, connect=connect)
    async with httpx.AsyncClient(base_url=base_url, limits=limits, timeout=timeout, **settings) as http:
        yield AppClient(http, in_flight)
