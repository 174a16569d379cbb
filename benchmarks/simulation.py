"""What one simulation costs, and whether it is ever wrong, on a quiet and on a busy machine.

    python benchmarks/simulation.py [--runs 1000] [--hogs 2]

Ten tasks with a semaphore of three, a queue, a timeout and a blocking sleep have one right answer. Prints real times.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator

from awaitsee.observe.simulation import simulate

RIGHT = (5.55, 0.3, 11, ("finished", 10))


async def work() -> int:
    limit = asyncio.Semaphore(3)
    done: asyncio.Queue[int] = asyncio.Queue()

    async def job(number: int) -> None:
        async with limit:
            await asyncio.sleep(1)
            await done.put(number)

    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(job(number))
        group.create_task(asyncio.sleep(0.1))
    time.sleep(0.3)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.25):
            await asyncio.Event().wait()
    return done.qsize()


@contextlib.contextmanager
def hogs(number: int) -> Iterator[None]:
    """Keep that many processes computing."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


async def measure(runs: int) -> tuple[list[float], int, int]:
    """Return the sorted real seconds of the runs, how many were wrong, and how many were said to hold the loop."""
    await simulate(work)
    seconds, wrong, held = [], 0, 0
    for _ in range(runs):
        began = time.perf_counter()
        sim = await simulate(work)
        seconds.append(time.perf_counter() - began)
        wrong += (sim.elapsed, sim.blocked, sim.peak_tasks, (sim.status, sim.result)) != RIGHT
        held += bool(sim.held)
    return sorted(seconds), wrong, held


def report(title: str, runs: int) -> None:
    seconds, wrong, held = asyncio.run(measure(runs))
    names, values = ("median", "p99", "max"), (seconds[runs // 2], seconds[runs * 99 // 100], seconds[-1])
    times = ", ".join(f"{name} {value * 1e3:.1f} ms" for name, value in zip(names, values, strict=True))
    print(f"{title:<8} {runs} runs: {times}; {wrong} wrong, {held} falsely held")


async def crowd(size: int) -> None:
    await asyncio.gather(*(asyncio.sleep(1) for _ in range(size)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--hogs", type=int, default=2)
    options = parser.parse_args()
    print(f"Python {sys.version.split()[0]}")
    report("quiet", options.runs)
    with hogs(options.hogs):
        report(f"{options.hogs} hogs", options.runs)
    for size in (1_000, 10_000):
        began = time.perf_counter()
        asyncio.run(simulate(crowd, size, wall=60))
        print(f"{size:,} tasks: {(time.perf_counter() - began) * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
