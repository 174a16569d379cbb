"""Run a coroutine function on a simulated clock: exact times, in a few milliseconds.

    sim = await simulate(ask_all, QUESTIONS)

The function runs on an event loop of its own, in a thread of its own, while the caller's loop stays free. Ten sleeps of
a second take exactly 1 s of simulated time when they are gathered and exactly 10 s one after the other.

In simulated time are all that waits on the loop (`asyncio.sleep`, timeouts, queues, locks, task groups, and anyio's)
and `loop.time()`; `time.sleep`, which holds the loop as a real one does, and is counted and located; and what
`time.time`, `monotonic` and `perf_counter` say. Computing takes no simulated time at all.

In real time, so not exact, are threads, processes and sockets. While one of them is awaited or a socket is open, the
simulated clock keeps pace with the real one. A thread that the code starts by itself, without an executor, is not
waited for while a timer is set; when there is none, it has `wall` seconds to wake somebody. `datetime.now()` is real,
and so is a `sleep` that was taken out of `time` earlier (`from time import sleep`): it shows in `Simulation.held`.
"""

from __future__ import annotations

import asyncio
import inspect
import linecache
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from awaitsee.observe.observation import Block, TaskRecord
from awaitsee.observe.origin import shown_file
from awaitsee.observe.simulated_loop import Ending, SimulatedLoop, Waiting
from awaitsee.observe.simulator import Supervisor, Worker, called

_MOST_PLACES = 5
_UNTIL, _WALL = 60.0, 3.0


@dataclass(eq=False, slots=True, repr=False)
class Simulation:
    """What a function did on the simulated clock. Times are simulated seconds since it began, unless it says real."""

    status: Ending
    """`finished`, `failed` (it raised), `deadlock`, `out of time` or `stuck`."""
    result: Any
    """What the function returned."""
    error: BaseException | None
    """What it raised; or a `Deadlock`, `OutOfTime` or `Stuck`."""
    elapsed: float
    """How long it took; exact to the nanosecond when it needed nothing that runs in real time."""
    tasks: list[TaskRecord]
    """The tasks, in order of creation, as they were at the end; the first is the function's own."""
    peak_tasks: int
    """Most tasks in flight at once; the function's own task counts only while it is alone."""
    steps: int
    """How often a task got the loop."""
    leaked: list[str]
    """The names of the tasks that were still alive at the end. They were cancelled then."""
    waiting: list[Waiting]
    """Where the tasks waited that were alive at the end."""
    sleeps: list[Block]
    """The calls of `time.sleep` on the loop, in simulated seconds."""
    held: list[Block]
    """The steps that held the loop for over 0.1 s of real time, imports left out; unlike `sleeps`, not exact."""
    abandoned: list[str]
    """The names of the tasks that did not end although they were cancelled."""

    @property
    def blocked(self) -> float:
        """Simulated seconds in which `time.sleep` held the loop."""
        return round(sum(sleep.seconds for sleep in self.sleeps), 9)

    @property
    def longest_block(self) -> Block | None:
        """The longest `time.sleep` on the loop, or None."""
        return max(self.sleeps, key=lambda sleep: sleep.seconds, default=None)

    @property
    def cancelled(self) -> list[str]:
        """The names of the tasks that were cancelled before the end."""
        return [task.name for task in self.tasks if task.outcome == "cancelled"]

    def __repr__(self) -> str:
        count = max(1, len(self.tasks) - 1)
        parts = [self.status, "1 task" if count == 1 else f"{count} tasks", f"{self.elapsed:.3f} s"]
        if self.sleeps:
            parts.append(f"blocked for {self.blocked:.3f} s")
        if self.leaked:
            parts.append(f"{len(self.leaked)} left behind")
        return f"<Simulation: {', '.join(parts)}>"


class SimulationError(Exception):
    """The simulated code did not end by itself, or tried to end Python. `simulation` tells what it did."""

    def __init__(self, message: str, simulation: Simulation) -> None:
        super().__init__(message)
        self.simulation = simulation


class Deadlock(SimulationError):
    """Every task waits and nobody is left who could wake one."""


class OutOfTime(SimulationError):
    """The simulated clock reached the limit."""


class Stuck(SimulationError):
    """The simulated clock stood still for too long in real time: the code computes or turns in circles."""


async def simulate(
    fn: Callable[..., Any],
    /,
    *args: Any,
    until: float = _UNTIL,
    wall: float = _WALL,
    keep_error: bool = False,
    **kwargs: Any,
) -> Simulation:
    """Run the coroutine function `fn` with these arguments on a simulated clock and return what it did.

    `until`: simulated seconds after which it is cancelled. `wall`: real seconds for which the simulated clock may stand
    still; ten times as long is allowed for everything. What `fn` leaves behind is cancelled at the end.

    What `fn` raises passes through. `Deadlock`, `OutOfTime` or `Stuck` is raised when it did not end by itself, and
    `SimulationError` when the code tried to end Python (`sys.exit()`, `KeyboardInterrupt`). With `keep_error` none of
    this is raised, and the exception is in the simulation's `error`. Raises `TypeError` when `fn` is no coroutine
    function, or has a parameter of the same name as one that is meant for `simulate`.
    """
    _check(fn, {"until": (until, _UNTIL), "wall": (wall, _WALL)}, keep_error)
    here = asyncio.get_running_loop()
    worker = Worker(fn, args, kwargs, until, wall)
    supervisor = Supervisor(worker, here, wall)
    outer = here if isinstance(here, SimulatedLoop) else None
    if outer is not None:
        outer.simulations += 1
    supervisor.start()
    try:
        await asyncio.shield(supervisor.over)
    except asyncio.CancelledError:
        supervisor.stop()
        await supervisor.over
        raise
    finally:
        supervisor.stop()
        if outer is not None:
            outer.simulations -= 1
    supervisor.join(timeout=1.0)
    simulation = _report(worker)
    if simulation.error is not None and not keep_error:
        raise _passable(simulation.error, simulation)
    return simulation


def _check(fn: object, own: dict[str, tuple[float, float]], keep_error: bool) -> None:
    if inspect.iscoroutine(fn):
        fn.close()
        raise TypeError(
            f"simulate() takes the function and its arguments, not a coroutine: "
            f"write simulate({called(fn)}, ...) and leave the call to it."
        )
    if not callable(fn):
        raise TypeError(f"simulate() takes a coroutine function and its arguments, not {type(fn).__name__}.")
    given = [name for name, (value, default) in own.items() if value is not default] + ["keep_error"] * keep_error
    for name in given:
        if name in _parameters(fn):
            raise TypeError(
                f"Both simulate() and {called(fn)}() have a parameter {name!r}: "
                f"give the function's with functools.partial({called(fn)}, {name}=...), or by position."
            )
    for name, (value, _) in own.items():
        if not value > 0:
            raise ValueError(f"simulate() needs more than 0 seconds for {name!r}, not {value!r}.")


def _parameters(fn: Callable[..., Any]) -> Collection[str]:
    try:
        return inspect.signature(fn).parameters
    except (TypeError, ValueError):
        return ()


def _report(worker: Worker) -> Simulation:
    loop = worker.loop
    ending = loop.ending or "stuck"
    simulation = Simulation(
        status=ending,
        result=worker.result,
        error=worker.error,
        elapsed=loop.elapsed,
        tasks=[task for task in loop.log.records if not task.internal],
        peak_tasks=loop.log.peak,
        steps=loop.log.steps,
        leaked=loop.leaked,
        waiting=loop.waiting,
        sleeps=loop.sleeps,
        held=loop.held,
        abandoned=worker.abandoned,
    )
    if ending in _MESSAGES:
        kind, message = _MESSAGES[ending]
        simulation.error = kind(message(simulation), simulation)
    _explain(simulation.error)
    return simulation


def _explain(error: BaseException | None) -> None:
    """Add what to do about an object that belongs to another loop, such as a lock that two simulations share."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            _explain(part)
    elif isinstance(error, RuntimeError) and re.search("(bound|attached) to a different (event )?loop", str(error)):
        error.add_note("Every simulation has a loop of its own: make the object inside the function that it runs.")


def _passable(error: BaseException, simulation: Simulation) -> BaseException:
    """Return the exception to raise where the simulation was awaited."""
    if isinstance(error, Exception | asyncio.CancelledError):
        return error
    # Raised in a task, these end the event loop, and with it a notebook's kernel.
    passable = SimulationError(f"the simulated code tried to end Python: {type(error).__name__}({error})", simulation)
    passable.__cause__ = error
    return passable


def _line(file: str, line: int) -> str:
    if not file:
        return "an unknown place"
    code = linecache.getline(file, line).strip()
    return f"{shown_file(file)}, line {line}" + (f": {code}" if code else "")


def _tasks_at(simulation: Simulation, does: str, do: str) -> str:
    """Say which tasks are where, without those that wait for other tasks."""
    places: dict[tuple[str, int], list[str]] = {}
    for wait in [wait for wait in simulation.waiting if not wait.for_tasks] or simulation.waiting:
        places.setdefault((wait.file, wait.line), []).append(wait.task)
    said = []
    for (file, line), tasks in places.items():
        who = f"task {tasks[0]!r} {does}" if len(tasks) == 1 else f"{len(tasks)} tasks like {tasks[0]!r} {do}"
        said.append(f"{who} at {_line(file, line)}")
    if len(said) > _MOST_PLACES:
        said[_MOST_PLACES:] = [f"more at {len(said) - _MOST_PLACES} other places"]
    return "; ".join(said) or f"the function {does}"


def _deadlock(simulation: Simulation) -> str:
    alone = len(simulation.waiting) <= 1
    return f"{_tasks_at(simulation, 'waits', 'wait')}; nobody is left to wake {'it' if alone else 'them'}."


def _out_of_time(simulation: Simulation) -> str:
    return f"not finished after {simulation.elapsed:g} simulated seconds: {_tasks_at(simulation, 'is', 'are')}."


def _stuck(simulation: Simulation) -> str:
    if simulation.held:
        block = simulation.held[-1]
        return f"simulated time stands still: the loop is held at {_line(block.file, block.line)}."
    return f"simulated time stands still: {_tasks_at(simulation, 'goes on', 'go on')}."


_MESSAGES: dict[str, tuple[type[SimulationError], Callable[[Simulation], str]]] = {
    "deadlock": (Deadlock, _deadlock),
    "out of time": (OutOfTime, _out_of_time),
    "stuck": (Stuck, _stuck),
}
