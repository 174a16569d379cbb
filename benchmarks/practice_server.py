"""How fast and how exact the practice server is, beside a minimal aiohttp handler that sends as many bytes.

    python benchmarks/practice_server.py

Requests per second with no latency at 1, 50 and 200 connections, and the latency seen when 200 ms are asked for at
1, 50 and 200 requests in flight. The load comes from a process of its own, so that with two cores each side has one; each
figure is the median of a few rounds in which the two servers take turns. One core of load generator is itself a
limit: the minimal handler's figures show it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import subprocess
import sys
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import aiohttp

from awaitsee.practice import practice_server

CONNECTIONS = (1, 50, 200)
LATENCY = 0.2
QUESTIONS = [f"What is a semaphore, and why would I want {number} of them?" for number in range(20)]

MINIMAL = """
import asyncio, sys
from aiohttp import web

body = sys.stdin.buffer.read(int(sys.argv[1]))

async def answer(request):
    await request.read()
    return web.Response(body=body, content_type="application/json")

async def main():
    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)

asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What one round of load saw."""

    rate: float
    """Requests per second."""
    latencies: list[float]
    """Seconds, in order."""

    def percentile(self, percent: float) -> float:
        """Return the latency that `percent` of the requests stayed within, in milliseconds."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * percent / 100))] * 1000


async def _load(url: str, connections: int, seconds: float) -> Load:
    latencies: list[float] = []
    bodies = [
        json.dumps({"model": "practice-1", "messages": [{"role": "user", "content": question}]}).encode()
        for question in QUESTIONS
    ]
    headers = {"authorization": "Bearer practice", "content-type": "application/json"}
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def caller(number: int, end: float, seen: list[float]) -> None:
            while (asked := perf_counter()) < end:
                async with session.post(url, data=bodies[number % len(bodies)]) as response:
                    await response.read()
                    response.raise_for_status()
                seen.append(perf_counter() - asked)
                number += 1

        async def all_callers(duration: float, seen: list[float]) -> float:
            began = perf_counter()
            await asyncio.gather(*(caller(number, began + duration, seen) for number in range(connections)))
            return perf_counter() - began

        await all_callers(seconds / 4, [])
        elapsed = await all_callers(seconds, latencies)
    return Load(len(latencies) / elapsed, sorted(latencies))


def _run_load(arguments: tuple[str, int, float]) -> Load:
    return asyncio.run(_load(*arguments))


def measure(url: str, connections: int, seconds: float) -> Load:
    """Put load on `url` from another process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(_run_load, [(url, connections, seconds)])[0]


def start_minimal(size: int) -> tuple[subprocess.Popen[bytes], str]:
    """Start a server that answers every request with the same `size` bytes."""
    process = subprocess.Popen(
        [sys.executable, "-c", MINIMAL, str(size)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b"x" * size)
    process.stdin.flush()
    return process, f"http://127.0.0.1:{int(process.stdout.readline())}/v1/chat/completions"


async def _answer_size(url: str) -> int:
    body = {"model": "practice-1", "messages": [{"role": "user", "content": QUESTIONS[0]}]}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=body, headers={"authorization": "Bearer practice"}) as response,
    ):
        return len(await response.read())


def main() -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one round")
    parser.add_argument("--rounds", type=int, default=3)
    options: Any = parser.parse_args()

    server = practice_server()
    url = f"{server.url}/v1/chat/completions"
    process, minimal = start_minimal(asyncio.run(_answer_size(url)))
    try:
        print("\nRequests per second, no latency")
        print("connections   minimal handler   practice server   share")
        for connections in CONNECTIONS:
            rates: dict[str, list[float]] = {minimal: [], url: []}
            for _ in range(options.rounds):
                for target, seen in rates.items():
                    seen.append(measure(target, connections, options.seconds).rate)
                    server.reset()
            plain, ours = (statistics.median(seen) for seen in rates.values())
            print(f"{connections:11}   {plain:15,.0f}   {ours:15,.0f}   {ours / plain:5.0%}")

        print(f"\nLatency seen in ms, {LATENCY * 1000:.0f} asked for")
        print("in flight      p50      p95      p99   server's own p50      p99")
        for connections in CONNECTIONS:
            server.configure(latency=LATENCY)
            server.reset()
            load = measure(url, connections, options.seconds * 2)
            own = Load(0, sorted((seen.finished or 0) - seen.arrived for seen in server.journal))
            print(
                f"{connections:9}   {load.percentile(50):6.1f}   {load.percentile(95):6.1f}   {load.percentile(99):6.1f}"
                f"   {own.percentile(50):16.1f}   {own.percentile(99):6.1f}"
            )
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
        server.close()


if __name__ == "__main__":
    main()
