"""How fast and how exact the practice server is, beside a minimal aiohttp handler that sends as many bytes.

    python benchmarks/practice_server.py

First: requests per second with no latency at 1, 50 and 200 connections, once with 20 questions that come again and
again, and once with a new question each time. Second: the latency seen when 200 ms are asked for at 1, 50 and 200 in
flight, with all callers in step and with callers spread over the 200 ms. The load comes from a process of its own, so
that with two cores each side has one; it takes its own time too, which is why the minimal handler, here with a plain
`asyncio.sleep(0.2)`, is measured in the same run. Each rate is the median of some rounds in which all take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import multiprocessing
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter

import aiohttp

from awaitsee.practice import practice_server

CONNECTIONS = (1, 50, 200)
LATENCY = 0.2
QUESTION = "What is a semaphore, and why would I want {} of them?"
REPEATED = 20

MINIMAL = """
import asyncio, sys
from aiohttp import web

body = sys.stdin.buffer.read(int(sys.argv[1]))

pause = float(sys.argv[2])

async def answer(request):
    await request.read()
    if pause:
        await asyncio.sleep(pause)
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


@dataclass(frozen=True, slots=True)
class Plan:
    """What load to put on a server."""

    url: str
    connections: int
    seconds: float
    new_questions: bool = False
    spread: float = 0.0
    """Seconds over which the callers begin."""


async def _load(plan: Plan) -> Load:
    headers = {"authorization": "Bearer practice", "content-type": "application/json"}
    numbers = itertools.count()
    repeated = [_body(number) for number in range(REPEATED)]

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as session:

        async def caller(delay: float, end: float, seen: list[float]) -> None:
            await asyncio.sleep(delay)
            while (asked := perf_counter()) < end:
                number = next(numbers)
                body = _body(number) if plan.new_questions else repeated[number % REPEATED]
                async with session.post(plan.url, data=body) as response:
                    await response.read()
                    response.raise_for_status()
                seen.append(perf_counter() - asked)

        async def all_callers(duration: float) -> tuple[float, list[float]]:
            seen: list[float] = []
            began = perf_counter()
            delays = [plan.spread * index / plan.connections for index in range(plan.connections)]
            await asyncio.gather(*(caller(delay, began + duration, seen) for delay in delays))
            return perf_counter() - began, seen

        await all_callers(plan.seconds / 4)
        elapsed, latencies = await all_callers(plan.seconds)
    return Load(len(latencies) / elapsed, sorted(latencies))


def _body(number: int) -> bytes:
    return json.dumps(
        {"model": "practice-1", "messages": [{"role": "user", "content": QUESTION.format(number)}]}
    ).encode()


def _run_load(plan: Plan) -> Load:
    return asyncio.run(_load(plan))


def measure(plan: Plan) -> Load:
    """Put load on a server from another process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(_run_load, [plan])[0]


@contextlib.contextmanager
def minimal(size: int, pause: float) -> Iterator[str]:
    """Run a server that answers every request with the same `size` bytes after `pause` seconds; give its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", MINIMAL, str(size), str(pause)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b"x" * size)
    process.stdin.flush()
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1/chat/completions"
    finally:
        process.stdin.close()
        process.wait()


def _answer_size(url: str) -> int:
    request = urllib.request.Request(
        url, _body(0), {"authorization": "Bearer practice", "content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as response:
        return len(response.read())


def measure_rates(url: str, size: int, seconds: float, rounds: int, reset: Callable[[], None]) -> None:
    """Print how many requests per second each server answers."""
    print("\nRequests per second, no latency")
    print("connections   minimal handler   practice server   share   new questions   share")
    with minimal(size, 0.0) as plain:
        for connections in CONNECTIONS:
            plans = [
                Plan(plain, connections, seconds),
                Plan(url, connections, seconds),
                Plan(url, connections, seconds, new_questions=True),
            ]
            seen: list[list[float]] = [[] for _ in plans]
            for _ in range(rounds):
                for rates, plan in zip(seen, plans, strict=True):
                    rates.append(measure(plan).rate)
                    reset()
            base, again, new = (statistics.median(rates) for rates in seen)
            print(
                f"{connections:11}   {base:15,.0f}   {again:15,.0f}   {again / base:5.0%}"
                f"   {new:13,.0f}   {new / base:5.0%}"
            )


def measure_latency(url: str, size: int, seconds: float) -> None:
    """Print which latency the callers see."""
    print(f"\nLatency seen in ms, {LATENCY * 1000:.0f} asked for")
    print("in flight   callers   server                p50      p95      p99")
    with minimal(size, LATENCY) as plain:
        for connections, spread in itertools.product(CONNECTIONS, (0.0, LATENCY)):
            if connections == 1 and spread:
                continue
            for name, target in (("minimal handler", plain), ("practice server", url)):
                load = measure(Plan(target, connections, seconds, spread=spread))
                print(
                    f"{connections:9}   {'spread' if spread else 'in step':7}   {name}"
                    f"   {load.percentile(50):6.1f}   {load.percentile(95):6.1f}   {load.percentile(99):6.1f}"
                )


def main() -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of the first table")
    options = parser.parse_args()
    server = practice_server()
    url = f"{server.url}/v1/chat/completions"
    size = _answer_size(url)
    try:
        measure_rates(url, size, options.seconds, options.rounds, server.reset)
        server.configure(latency=LATENCY)
        measure_latency(url, size, 2 * options.seconds)
    finally:
        server.close()


if __name__ == "__main__":
    main()
