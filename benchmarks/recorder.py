"""What `observe` costs: on a loop that does nothing but switch, and on 200 calls of a chat model, beside viztracer.

Runs with and without alternate, and the medians are compared, so that a busy machine hits both alike. viztracer is
measured when it is installed. Run: `python benchmarks/recorder.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from statistics import median
from time import perf_counter, process_time
from typing import Any, NamedTuple

from awaitsee.observe import observe
from awaitsee.practice import practice_server

TASKS = 5_000
SWITCHES = 10
CALLS = 200
IN_FLIGHT = 50
LATENCY = 0.5

Workload = Callable[[], Awaitable[None]]
Way = Callable[[Workload], Awaitable[float]]


async def switching() -> None:
    async def switch() -> None:
        for _ in range(SWITCHES):
            await asyncio.sleep(0)

    await asyncio.gather(*(switch() for _ in range(TASKS)))


async def plain(work: Workload) -> float:
    started = perf_counter()
    await work()
    return perf_counter() - started


async def recorded(work: Workload) -> float:
    return float((await observe(plain(work))).result)


def traced(viztracer: Any) -> Way:
    async def way(work: Workload) -> float:
        tracer = viztracer.VizTracer(log_async=True, verbose=0, tracer_entries=10_000_000)
        tracer.start()
        try:
            return await plain(work)
        finally:
            tracer.stop()
            tracer.clear()

    return way


def ways() -> dict[str, Way]:
    found: dict[str, Way] = {"plain": plain, "observe": recorded}
    try:
        import viztracer
    except ImportError:
        print("viztracer is not installed, so it is not measured.")
    else:
        found["viztracer"] = traced(viztracer)
    return found


class Cost(NamedTuple):
    """Seconds by the clock, and of processor time of this process."""

    wall: float
    processor: float


async def measure(work: Workload, repeats: int) -> dict[str, Cost]:
    walls: dict[str, list[float]] = {}
    processors: dict[str, list[float]] = {}
    await plain(work)
    for _ in range(repeats):
        for name, way in ways_found.items():
            gc.collect()
            before = process_time()
            walls.setdefault(name, []).append(await way(work))
            processors.setdefault(name, []).append(process_time() - before)
    return {name: Cost(median(walls[name]), median(processors[name])) for name in walls}


async def on_switching(repeats: int) -> None:
    costs = await measure(switching, repeats)
    steps = TASKS * (SWITCHES + 1)
    print(f"{TASKS} tasks, {steps} steps that do nothing, median of {repeats}:")
    base = costs["plain"].wall
    for name, cost in costs.items():
        more = (cost.wall - base) / steps * 1e6
        print(f"  {name:10} {cost.wall:.3f} s  {cost.wall / base:.2f} times  {more:5.2f} us more a step")


async def on_calls(repeats: int) -> None:
    from langchain_openai import ChatOpenAI

    server = practice_server(latency=LATENCY)
    llm = ChatOpenAI(model=server.model)
    limit = asyncio.Semaphore(IN_FLIGHT)

    async def ask(number: int) -> None:
        async with limit:
            await llm.ainvoke(f"What is task number {number}?")

    async def calls() -> None:
        await asyncio.gather(*(ask(number) for number in range(CALLS)))

    costs = await measure(calls, repeats)
    print(f"{CALLS} ChatOpenAI calls, {IN_FLIGHT} in flight, {LATENCY:g} s each, median of {repeats}:")
    base = costs["plain"]
    for name, cost in costs.items():
        print(
            f"  {name:10} {cost.wall:.3f} s  {cost.wall / base.wall - 1:+.1%} wall time"
            f"  {cost.processor:.2f} s of processor  {(cost.processor - base.processor) / CALLS * 1e3:+.2f} ms a call"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9, help="runs of each kind (default 9)")
    options = parser.parse_args()
    ways_found = ways()
    print(f"Python {sys.version.split()[0]}")
    asyncio.run(on_switching(options.repeats))
    asyncio.run(on_calls(options.repeats))
