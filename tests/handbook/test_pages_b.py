"""What pages 21 to 30 of the handbook say, checked on this Python and with these libraries."""

from __future__ import annotations

import asyncio
import heapq
import os
import random
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from pickle import PicklingError
from typing import TYPE_CHECKING, Any

import pytest

from awaitsee import simulate

if TYPE_CHECKING:  # made before the first test: tests/lazily.py
    import aiohttp
    import aiosqlite
    import httpx
    from aiohttp import web

Write = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


async def answer_ok(path: str, writer: asyncio.StreamWriter) -> None:
    status = {"/missing": "404 Not Found", "/moved": "302 Found"}.get(path, "200 OK")
    writer.write(f"HTTP/1.1 {status}\r\nLocation: /new\r\nContent-Length: 2\r\n\r\nok".encode())


@asynccontextmanager
async def http_server(write: Write = answer_ok) -> AsyncIterator[str]:
    """Serve HTTP with `write`, and give the address."""
    connections = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                await write(head.split()[1].decode(), writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield "http://127.0.0.1:{1}".format(*server.sockets[0].getsockname())
    finally:
        server.close()
        for writer in connections:
            writer.close()


# ---- 21 HTTP clients


def test_21_defaults_statuses_and_redirects() -> None:
    async def main() -> None:
        assert not issubclass(httpx.TimeoutException, TimeoutError)
        async with (
            http_server() as url,
            httpx.AsyncClient(base_url=url) as client,
            aiohttp.ClientSession(url) as session,
        ):
            assert client.timeout == httpx.Timeout(5)
            pool: Any = client._transport._pool  # type: ignore[attr-defined]
            assert (pool._max_connections, pool._max_keepalive_connections, pool._keepalive_expiry) == (100, 20, 5)
            assert session.timeout.total == 300
            assert session.connector is not None
            assert session.connector.limit == 100
            missing = await client.get("/missing")
            with pytest.raises(httpx.HTTPStatusError):
                missing.raise_for_status()
            assert (await client.get("/moved")).status_code == 302
            async with session.get("/missing") as response:
                assert response.status == 404
            async with session.get("/moved") as response:
                assert response.url.path == "/new"

    asyncio.run(main())


def test_21_an_open_stream_holds_its_connection() -> None:
    async def main() -> None:
        limits, timeout = httpx.Limits(max_connections=1), httpx.Timeout(1, pool=0.05)
        async with http_server() as url, httpx.AsyncClient(base_url=url, limits=limits, timeout=timeout) as client:
            async with client.stream("GET", "/"):
                with pytest.raises(httpx.PoolTimeout) as caught:
                    await client.get("/")
            assert str(caught.value) == ""
            assert (await client.get("/")).status_code == 200

    asyncio.run(main())


# ---- 22 Connections and event loops


def test_22_who_may_use_a_client() -> None:
    async def main() -> None:
        async with http_server() as url, httpx.AsyncClient(base_url=url) as client:
            loop = asyncio.get_running_loop()

            async def fetch() -> int:
                return (await client.get("/")).status_code

            assert await fetch() == 200
            handed_over = asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(fetch(), loop).result())
            assert await handed_over == 200

    asyncio.run(main())
    with pytest.raises(RuntimeError, match="no running event loop"):
        aiohttp.ClientSession()
    httpx.AsyncClient()


# ---- 23 Streaming over HTTP


async def cut_off(path: str, writer: asyncio.StreamWriter) -> None:
    """Send two events cut in the middle of a word, and hang up without an end."""
    chunked = path == "/chunked"
    writer.write(b"HTTP/1.1 200 OK\r\n" + (b"Transfer-Encoding: chunked" if chunked else b"Connection: close"))
    writer.write(b"\r\n\r\n")
    for piece in (b"data: one\n\nda", b"ta: two\n\n"):
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        await writer.drain()
        await asyncio.sleep(0.02)
    writer.close()


def test_23_a_stream_that_breaks_off() -> None:
    whole = ["data: one", "", "data: two", ""]

    async def main() -> None:
        async with (
            http_server(cut_off) as url,
            httpx.AsyncClient(base_url=url) as client,
            aiohttp.ClientSession(url) as session,
        ):
            got: list[str] = []
            with pytest.raises(httpx.RemoteProtocolError):
                async with client.stream("GET", "/chunked") as response:
                    got += [piece async for piece in response.aiter_text()]
            async with client.stream("GET", "/") as response:
                pieces = [piece async for piece in response.aiter_text()]
            async with client.stream("GET", "/") as response:
                assert [line async for line in response.aiter_lines()] == whole
            assert pieces[0].endswith("\nda")
            got = []
            with pytest.raises(aiohttp.ClientPayloadError):
                async with session.get("/chunked") as reply:
                    async for line in reply.content:
                        got.append(line.decode().strip())
            assert got == whole
            async with session.get("/") as reply:
                assert await reply.text() == "\n".join([*whole, ""])

    asyncio.run(main())


@pytest.mark.parametrize("cancels", [False, True])
def test_23_what_a_handler_notices_when_the_client_is_gone(cancels: bool) -> None:
    ends: list[str] = []

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"data: x\n\n")
                await asyncio.sleep(0.01)
        except ConnectionResetError:
            ends.append("reset")
        except asyncio.CancelledError:
            ends.append("cancelled")
        return response

    arrived = asyncio.Event()

    async def quiet(request: web.Request) -> web.Response:
        arrived.set()
        try:
            await asyncio.sleep(0.3)
            ends.append("quiet finished")
        except asyncio.CancelledError:
            ends.append("quiet cancelled")
            raise
        return web.Response()

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/", stream)
        app.router.add_get("/quiet", quiet)
        runner = web.AppRunner(app, handler_cancellation=cancels)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = "http://127.0.0.1:{1}".format(*runner.addresses[0])
        async with asyncio.timeout(20), aiohttp.ClientSession(url) as session:
            async with session.get("/") as response:
                await response.content.readline()
                response.close()
            while not ends:
                await asyncio.sleep(0.01)
            asking = asyncio.ensure_future(session.get("/quiet"))
            await arrived.wait()
            asking.cancel()
            while len(ends) < 2:
                await asyncio.sleep(0.01)
        await runner.cleanup()

    asyncio.run(main())
    assert ends == (["cancelled", "quiet cancelled"] if cancels else ["reset", "quiet finished"])


# ---- 24 Databases


def test_24_connections_and_commits(tmp_path: Path) -> None:
    path, inside, peaks = tmp_path / "desk.db", 0, [0]

    def slow(value: int) -> int:
        nonlocal inside
        inside += 1
        peaks[-1] = max(peaks[-1], inside)
        time.sleep(0.1)
        inside -= 1
        return value

    async def query(db: aiosqlite.Connection) -> None:
        await db.execute_fetchall("SELECT slow(1)")

    async def query_alone() -> None:
        async with aiosqlite.connect(path) as db:
            await db.create_function("slow", 1, slow)
            await query(db)

    async def main() -> None:
        async with aiosqlite.connect(path) as db:
            await db.execute("CREATE TABLE briefs (topic TEXT)")
            await db.execute("INSERT INTO briefs VALUES ('law')")
        async with aiosqlite.connect(path) as db:
            assert not list(await db.execute_fetchall("SELECT * FROM briefs"))
            await db.create_function("slow", 1, slow)
            await asyncio.gather(query(db), query(db), query(db))
        peaks.append(0)
        await asyncio.gather(query_alone(), query_alone(), query_alone())
        async with aiosqlite.connect(path) as writer, aiosqlite.connect(path, timeout=0.05) as other:
            await writer.execute_fetchall("PRAGMA journal_mode=WAL")
            await writer.execute("BEGIN IMMEDIATE")
            await writer.execute("INSERT INTO briefs VALUES ('tax')")
            assert not list(await other.execute_fetchall("SELECT * FROM briefs"))
            with pytest.raises(sqlite3.OperationalError, match="database is locked"):
                await other.execute("INSERT INTO briefs VALUES ('art')")
            await writer.commit()

    asyncio.run(main())
    assert peaks == [1, 3]


def test_24_what_sqlalchemy_opens(tmp_path: Path) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import InvalidRequestError
    from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

    async def main() -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'desk.db'}")
        pool: Any = engine.pool
        assert (pool.size(), pool._max_overflow, pool._timeout) == (5, 10, 30)
        async with async_sessionmaker(engine)() as session:
            statements = (session.execute(text("SELECT 1")) for _ in range(2))
            results = await asyncio.gather(*statements, return_exceptions=True)
        assert any(isinstance(result, InvalidRequestError) for result in results)
        await engine.dispose()

    asyncio.run(main())


# ---- 25 Files and subprocesses


@pytest.mark.skipif(sys.platform != "linux", reason="how a loop refuses a file differs")
def test_25_a_loop_cannot_watch_a_file(tmp_path: Path) -> None:
    async def main() -> None:
        with (tmp_path / "file").open("w") as file, pytest.raises(PermissionError):
            asyncio.get_running_loop().add_reader(file.fileno(), print)

    asyncio.run(main())


def test_25_a_full_pipe_a_long_line_and_a_timeout() -> None:
    async def start(code: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", code, stdout=pipe)

    async def main() -> None:
        process = await start("print('x' * 300_000)")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.wait(), 0.3)
        output, _ = await asyncio.wait_for(process.communicate(), 20)
        assert len(output.strip()) == 300_000
        assert process.returncode == 0

        process = await start("print('x' * 100_000)")
        assert process.stdout is not None
        with pytest.raises(ValueError, match="limit"):
            await process.stdout.readline()
        await process.communicate()

        process = await start("import time; time.sleep(60)")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.communicate(), 0.05)
        await asyncio.sleep(0.05)
        assert process.returncode is None
        process.kill()
        assert await process.wait() != 0

    asyncio.run(main())


# ---- 26 Computing on several cores


def test_26_what_a_worker_cannot_get_and_what_breaks_a_pool() -> None:
    def local() -> None:
        pass

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            calls: list[tuple[Any, ...]] = [(lambda: 1,), (local,), (len, sqlite3.connect(":memory:"))]
            for call in calls:
                with pytest.raises((TypeError, AttributeError, PicklingError), match="pickle"):
                    await loop.run_in_executor(pool, *call)
            assert await loop.run_in_executor(pool, len, "pool") == 4
            with pytest.raises(BrokenProcessPool):
                await loop.run_in_executor(pool, os._exit, 1)
            with pytest.raises(BrokenProcessPool):
                await loop.run_in_executor(pool, len, "pool")

    asyncio.run(main())


# ---- 27 Caching and single flight


def test_27_alru_cache_keeps_the_call_and_not_the_failure() -> None:
    from async_lru import alru_cache

    calls: list[str] = []

    @alru_cache
    async def ask(question: str) -> str:
        calls.append(question)
        await asyncio.sleep(0.01)
        if question == "bad":
            raise ValueError("no")
        return question

    async def main() -> None:
        await asyncio.gather(*(ask("good") for _ in range(10)))
        assert calls == ["good"]
        for _ in range(2):
            with pytest.raises(ValueError, match="no"):
                await ask("bad")
        assert calls == ["good", "bad", "bad"]

    asyncio.run(main())


def test_27_the_cache_of_langchain_is_not_single_flight() -> None:
    from langchain_core.caches import InMemoryCache
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult

    calls: list[int] = []

    class Model(BaseChatModel):
        @property
        def _llm_type(self) -> str:
            return "counted"

        def _generate(self, *_: Any, **__: Any) -> ChatResult:
            raise NotImplementedError

        async def _agenerate(self, *_: Any, **__: Any) -> ChatResult:
            calls.append(1)
            await asyncio.sleep(0.01)
            return ChatResult(generations=[ChatGeneration(message=AIMessage("yes"))])

    async def main() -> None:
        model = Model(cache=InMemoryCache(maxsize=10))
        await asyncio.gather(*(model.ainvoke("question") for _ in range(5)))
        assert len(calls) == 5
        await model.ainvoke("question")
        assert len(calls) == 5
        await model.ainvoke("question ")
        assert len(calls) == 6

    asyncio.run(main())


# ---- 28 Batching requests


def test_28_how_openai_embeddings_cuts_its_texts() -> None:
    from langchain_openai import OpenAIEmbeddings

    sizes: list[int] = []
    inside, peak = 0, 0

    class Endpoint:
        async def create(self, *, input: list[str], **_: Any) -> dict[str, Any]:
            nonlocal inside, peak
            inside += 1
            peak = max(peak, inside)
            sizes.append(len(input))
            await asyncio.sleep(0.001)
            inside -= 1
            return {"data": [{"embedding": [0.0]} for _ in input]}

    embeddings = OpenAIEmbeddings(api_key="none", check_embedding_ctx_length=False)  # type: ignore[arg-type]
    embeddings.async_client = Endpoint()
    assert len(asyncio.run(embeddings.aembed_documents(["text"] * 2_500))) == 2_500
    assert (sizes, peak) == ([1_000, 1_000, 500], 1)


# ---- 29 Hedged requests and circuit breakers


async def hedged(call: Callable[[], Awaitable[None]], delay: float) -> None:
    tasks = {asyncio.ensure_future(call())}
    done, _ = await asyncio.wait(tasks, timeout=delay)
    if not done:
        tasks.add(asyncio.ensure_future(call()))
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_29_hedging_helps_with_a_few_slow_calls_and_harms_when_all_are() -> None:
    sent, answered, took = 0, 0, list[float]()

    async def one_in_twenty_is_slow() -> None:
        nonlocal sent, answered
        sent += 1
        await asyncio.sleep(0.4 if sent % 20 == 0 and sent <= 400 else 0.02)
        answered += 1

    async def timed() -> None:
        began = asyncio.get_running_loop().time()
        await hedged(one_in_twenty_is_slow, 0.1)
        took.append(asyncio.get_running_loop().time() - began)

    async def many() -> None:
        await asyncio.gather(*(timed() for _ in range(400)))

    async def overload() -> None:
        slots = asyncio.Semaphore(2)

        async def call() -> None:
            nonlocal sent
            sent += 1
            async with slots:
                await asyncio.sleep(0.02)

        await asyncio.gather(*(hedged(call, 0.05) for _ in range(40)))

    async def main() -> tuple[float, float]:
        nonlocal sent
        await simulate(many)
        assert (sent, answered) == (420, 400)
        sent = 0
        return (await simulate(overload)).elapsed, sent

    elapsed, copies = asyncio.run(main())
    assert max(took) == pytest.approx(0.12)
    assert elapsed == pytest.approx(0.4)
    assert copies == 76


class Refused(Exception):
    pass


class Breaker:
    """Closed until `limit` failures in a row; then open until `until`, then half-open for one trial."""

    def __init__(self, limit: int, pause: float) -> None:
        self.limit, self.pause = limit, pause
        self.failures, self.now, self.until, self.trying = 0, 0.0, 0.0, False

    async def call(self, function: Callable[[], Awaitable[None]]) -> None:
        if self.failures >= self.limit:
            if self.now < self.until or self.trying:
                raise Refused
            self.trying = True
        try:
            await function()
        except ConnectionError:
            self.failures += 1
            self.until = self.now + self.pause
            raise
        finally:
            self.trying = False
        self.failures = 0


def test_29_a_breaker_refuses_and_lets_one_trial_pass() -> None:
    sent, broken = 0, True

    async def send() -> None:
        nonlocal sent
        sent += 1
        await asyncio.sleep(0)
        if broken:
            raise ConnectionError

    async def main() -> None:
        nonlocal sent, broken
        breaker = Breaker(limit=3, pause=10)
        for _ in range(20):
            with suppress(ConnectionError, Refused):
                await breaker.call(send)
        assert sent == 3
        for now, fails, passing in ((11, True, 1), (15, True, 0), (22, False, 1), (22, False, 5)):
            sent, breaker.now, broken = 0, now, fails
            await asyncio.gather(*(breaker.call(send) for _ in range(5)), return_exceptions=True)
            assert sent == passing

    asyncio.run(main())


# ---- 30 Capacity and Little's law


def test_30_the_knee_of_six_slots() -> None:
    def serve(in_flight: int, slots: int = 6, seconds: float = 0.1, requests: int = 3_000) -> tuple[float, float]:
        """Return throughput and latency when so many callers send one request after another."""
        free, callers, waited, end = [0.0] * slots, [0.0] * in_flight, 0.0, 0.0
        for _ in range(requests):
            asked = heapq.heappop(callers)
            end = max(asked, heapq.heappop(free)) + seconds
            heapq.heappush(free, end)
            heapq.heappush(callers, end)
            waited += end - asked
        return requests / end, waited / requests

    for in_flight, throughput, latency in ((3, 30, 0.1), (6, 60, 0.1), (12, 60, 0.2)):
        measured = serve(in_flight)
        assert measured == pytest.approx((throughput, latency), rel=0.02)
        assert measured[0] * measured[1] == pytest.approx(in_flight, rel=0.02)


def test_30_requests_wait_before_a_server_is_full() -> None:
    def average_wait(load: float, slots: int = 6, requests: int = 40_000) -> float:
        chance, free, now, waited = random.Random(1), [0.0] * slots, 0.0, 0.0
        for _ in range(requests):
            now += chance.expovariate(load * slots)
            begins = max(now, heapq.heappop(free))
            heapq.heappush(free, begins + chance.expovariate(1))
            waited += begins - now
        return waited / requests

    half, eighty, ninety = (average_wait(load) for load in (0.5, 0.8, 0.9))
    assert half < 0.06
    assert 0.3 < eighty < 0.6
    assert 0.9 < ninety < 1.6
