"""An event loop whose clock jumps from timer to timer.

What needs no real time takes none: when nobody is ready, the clock goes to the next timer. What the loop cannot hurry
stays in real time: while a thread, a process or a socket may still report, the clock runs as fast as the real one.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import selectors
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future as ThreadFuture
from concurrent.futures import thread as pool
from contextvars import Context
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal

from awaitsee.observe.observation import Block
from awaitsee.observe.origin import place_in, users_line
from awaitsee.observe.tasklog import GivenUp, TaskLog, name_of

Ending = Literal["finished", "failed", "deadlock", "out of time", "stuck", "cancelled"]
Order = Literal["stuck", "cancelled", "quit"]
Events = list[tuple[selectors.SelectorKey, int]]

HELD_SECONDS = 0.1
"""A step that takes as long in real time has held the loop."""
_DIGITS = 9
_SHORTEST = 10**-_DIGITS
_SLICE = 0.05
"""Real seconds between two looks at what else might have happened."""
_CLEANUP_SECONDS = 10.0
"""Simulated seconds that cancelled tasks have to end."""
_WAIT_FOR_ONE = ("as_completed.<locals>._wait_for_one", "_AsCompletedIterator._wait_for_one")
_WAITS_FOR_TASKS = frozenset({"TaskGroup.__aexit__", "_wait", *_WAIT_FOR_ONE})
_WRAP_FUTURE = asyncio.wrap_future.__code__


@dataclass(frozen=True, slots=True)
class Waiting:
    """Where a task waits: the innermost line of the user's code in it."""

    task: str
    file: str
    line: int
    for_tasks: bool
    """What it waits for is other tasks."""


class SimulatedThread(threading.Thread):
    """A thread that belongs to a simulation itself, not to the code in it."""


class _Noted:
    """A callback that tells the loop when it begins and ends."""

    __slots__ = ()
    _loop: SimulatedLoop
    _callback: Callable[..., object]

    def _run(self) -> None:
        loop = self._loop
        outer, began, start = loop.step, perf_counter(), loop.time()
        loop.last_step += 1
        number = loop.step = loop.last_step
        try:
            super()._run()  # type: ignore[misc]
        finally:
            loop.step = outer
            loop.note_step(self._callback, number, start, began)


class _Ready(_Noted, asyncio.Handle):
    __slots__ = ()


class _Timer(_Noted, asyncio.TimerHandle):
    """A timer. Of two that are due at the same moment, the one that was set first goes first."""

    __slots__ = ("_order",)

    def __init__(
        self, when: float, callback: Any, args: Any, loop: SimulatedLoop, context: Context | None, order: int
    ) -> None:
        super().__init__(when, callback, args, loop, context)
        self._order = order

    def __lt__(self, other: asyncio.TimerHandle) -> bool:
        when, others = self.when(), other.when()
        return when < others or (when == others and isinstance(other, _Timer) and self._order < other._order)


class _Selector(selectors.DefaultSelector):
    """Asks the loop what to do instead of waiting."""

    loop: SimulatedLoop

    def select(self, timeout: float | None = None) -> Events:
        events: Events = super().select(0)
        if events:
            self.loop.catch_up()
        return events if events or timeout == 0 else self.loop.when_idle()

    def wait(self, seconds: float) -> Events:
        """Wait in real time."""
        events: Events = super().select(seconds)
        return events


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop on a simulated clock; it starts at 0 and ends with the task `main`.

    `limit`: simulated seconds after which `main` is cancelled. `patience`: real seconds that a thread started by the
    code itself may take to wake a loop on which everybody waits.
    """

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]
    _selector: _Selector
    _ssock: Any

    def __init__(self, limit: float, patience: float) -> None:
        self._now = 0.0
        self._deadline = limit
        self._patience = patience
        self._timers = 0
        self._awaited_outside: set[asyncio.Future[Any]] = set()
        self._jobs: set[ThreadFuture[Any]] = set()
        self._processes: list[asyncio.SubprocessTransport] = []
        self._outside_since: float | None = None
        self._older_threads = weakref.WeakSet(threading.enumerate())
        self.log = TaskLog()
        self.main: asyncio.Task[Any] | None = None
        self.ending: Ending | None = None
        """How it ended, once that is known."""
        self.elapsed = 0.0
        self.leaked: list[str] = []
        self.waiting: list[Waiting] = []
        self.sleeps: list[Block] = []
        self.held: list[Block] = []
        self.order: Order | None = None
        """What whoever watches from another thread wants."""
        self.step = 0
        """The number of the running step, or 0 between two steps."""
        self.last_step = 0
        self.suspect: tuple[int, tuple[str, int] | None] | None = None
        """The step that seems to hold the loop, as seen from another thread, and where."""
        self.simulations = 0
        """Simulations that run inside this one. The clock stands still for them."""
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        # Of two times that far apart, the loop sees only one; a float's steps must not be wider.
        self._clock_resolution = max(1e-9, 2 * math.ulp(min(limit, 1e9)))

    # -- the clock ----------------------------------------------------------------------------------------------------

    def time(self) -> float:
        """Return the seconds since the simulation began."""
        return self._now

    def block(self, seconds: float) -> None:
        """Let `seconds` pass for everybody at once, and note who did that and where."""
        if seconds == 0:
            return
        place = users_line(sys._getframe(2)) or ("", 0)
        until = min(round(self._now + seconds, _DIGITS), self._deadline)
        if self.ending is None:
            self.sleeps.append(Block(round(until - self._now, _DIGITS), self._running(), *place))
        late = self._now + seconds > self._deadline
        self._now = until
        if late:
            self.conclude("out of time")
            raise asyncio.CancelledError

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call `callback` later: after a nanosecond at least, unless the delay is 0 or less.

        A limiter that finds a rounding error missing waits for it again and again; a real clock goes on meanwhile.
        """
        if 0 < delay < _SHORTEST:
            delay = _SHORTEST
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call `callback` at a simulated time, to the nanosecond."""
        self._check_closed()  # type: ignore[attr-defined]
        if math.isnan(when):
            raise ValueError("Invalid delay: NaN (not a number)")
        self._timers += 1
        timer = _Timer(round(when, _DIGITS), callback, args, self, context, self._timers)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def catch_up(self) -> None:
        """Add the real time that has passed since something outside was asked for."""
        if self._outside_since is not None:
            now = perf_counter()
            self._now = round(self._now + now - self._outside_since, _DIGITS)
            self._outside_since = now

    def when_idle(self) -> Events:
        """Nobody is ready: go to the next timer, or wait for what happens outside, or end."""
        while self.order is None:
            due = self._scheduled[0].when() if self._scheduled else math.inf
            if self.simulations:
                self._outside_since = None
                events = self._selector.wait(_SLICE)
            elif self._is_busy_outside():
                events = self._wait_outside(min(due, self._deadline))
                if not events and self._now >= self._deadline < due:
                    self._now = self._deadline
                    self.conclude("out of time")
            else:
                self._outside_since = None
                return self._jump(due)
            if events or self._ready or self._now >= due:
                return events
        return []

    def _jump(self, due: float) -> Events:
        if due == math.inf:
            events = self._wait_for_threads()
            if not events and self.order is None:
                self.conclude("deadlock")
            return events
        if due > self._deadline:
            self._now = self._deadline
            self.conclude("out of time")
        else:
            self._now = max(self._now, due)
        return []

    # -- the outside world --------------------------------------------------------------------------------------------

    def _is_busy_outside(self) -> bool:
        return bool(
            self._awaited_outside
            or len(self._selector.get_map()) > 1
            or any(process.get_returncode() is None for process in self._processes)
            or any(_is_anyios(thread, self) and _is_busy(thread) for thread in threading.enumerate())
        )

    def _wait_outside(self, until: float) -> Events:
        if self._outside_since is None:
            self._outside_since = perf_counter()
        self.catch_up()
        events = self._selector.wait(min(max(until - self._now, 0), _SLICE))
        self.catch_up()
        return events

    def _wait_for_threads(self) -> Events:
        """Give threads that the code started by itself a while to wake somebody."""
        began = perf_counter()
        while self.order is None and perf_counter() - began < self._patience:
            if not any(_may_call(thread, self._older_threads) for thread in threading.enumerate()):
                break
            events = self._selector.wait(_SLICE)
            if events:
                self._now = round(self._now + perf_counter() - began, _DIGITS)
                return events
        return []

    def create_future(self) -> asyncio.Future[Any]:
        """Create a future; one that stands for a thread's or a process's is waited for in real time."""
        future = super().create_future()
        maker = sys._getframe(1)
        if maker.f_code is _WRAP_FUTURE:
            if self._outside_since is None:
                self._outside_since = perf_counter()
            self._awaited_outside.add(future)
            future.add_done_callback(self._awaited_outside.discard)
            job: ThreadFuture[Any] = maker.f_locals["future"]
            self._jobs.add(job)
            job.add_done_callback(self._jobs.discard)
        return future

    async def subprocess_exec(self, *args: Any, **kwargs: Any) -> Any:
        """Start a process, and wait for it in real time."""
        transport, protocol = await super().subprocess_exec(*args, **kwargs)
        self._processes.append(transport)
        return transport, protocol

    async def subprocess_shell(self, *args: Any, **kwargs: Any) -> Any:
        """Start a shell command, and wait for it in real time."""
        transport, protocol = await super().subprocess_shell(*args, **kwargs)
        self._processes.append(transport)
        return transport, protocol

    def close(self) -> None:
        """Close the loop and end its idle threads; one that is still at work ends when its work does."""
        executor, self._default_executor = getattr(self, "_default_executor", None), None
        if executor is not None:
            executor.shutdown(wait=not self._jobs, cancel_futures=True)
        for thread in threading.enumerate():
            if _is_anyios(thread, self) and not _is_busy(thread):
                thread.join(timeout=1.0)
        super().close()

    # -- tasks and steps ----------------------------------------------------------------------------------------------

    def create_task(self, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        """Create a task, and note it."""
        parent = self.log.find(asyncio.current_task(self))
        record = self.log.announce(coro, sys._getframe(1), parent, self._now)
        try:
            task: asyncio.Task[Any] = super().create_task(coro, **kwargs)
        except BaseException:
            self.log.forget(record)
            raise
        self.log.bind(record, task, self._now)
        return task

    def _call_soon(self, callback: Any, args: Any, context: Context | None) -> asyncio.Handle:
        handle = _Ready(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def note_step(self, callback: Callable[..., object], number: int, start: float, began: float) -> None:
        """Note what a step did. `start` is in simulated time, `began` in real time."""
        task = getattr(callback, "__self__", None)
        if self.suspect is not None and self.suspect[0] == number:
            seconds = perf_counter() - began
            if seconds >= HELD_SECONDS and self.ending is None:
                record = self.log.find(task)
                name = record.name if record is not None else getattr(callback, "__qualname__", type(callback).__name__)
                self.held.append(Block(seconds, name, *(self.suspect[1] or ("", 0))))
        if isinstance(task, asyncio.Task):
            if task is self.main and task.done() and self.ending is None:
                self.elapsed = self._now
            self.log.note_step(task, start, self._now)

    def _running(self) -> str:
        task = asyncio.current_task(self)
        record = self.log.find(task)
        return "" if task is None or record is None else name_of(task, record)

    # -- the end ------------------------------------------------------------------------------------------------------

    def _run_once(self) -> None:
        order, self.order = self.order, None
        if order == "quit":
            raise GivenUp
        if order is not None and self.ending is None:
            self.conclude(order)
        super()._run_once()  # type: ignore[misc]

    def tell(self, order: Order) -> None:
        """Have the loop end `main`, or give it up. Called from another thread."""
        self.order = order
        self._write_to_self()  # type: ignore[attr-defined]

    def conclude(self, ending: Ending) -> None:
        """End the run: take stock, and cancel `main` if it has not ended. When that was done before, give up."""
        if self.ending is not None:
            raise GivenUp
        self.ending = ending
        main_alive = self.main is not None and not self.main.done()
        if main_alive or ending in ("deadlock", "out of time", "stuck"):
            self.elapsed = self._now
        alive = self.log.close(asyncio.all_tasks(self))
        self.leaked = [record.name for record, task in alive if task is not self.main]
        for record, task in alive:
            place = place_in(task.get_coro())
            if place is not None:
                self.waiting.append(Waiting(record.name, *place, for_tasks=_waits_for_tasks(task)))
        self._deadline = self._now + _CLEANUP_SECONDS
        if self.main is not None and main_alive:
            self.main.cancel()


def _waits_for_tasks(task: asyncio.Task[Any]) -> bool:
    future = getattr(task, "_fut_waiter", None)
    if isinstance(future, asyncio.Task) or type(future).__name__ == "_GatheringFuture":
        return True
    coroutine: Any = task.get_coro()
    names = []
    while (code := getattr(coroutine, "cr_code", None)) is not None:
        names.append(code.co_qualname)
        coroutine = coroutine.cr_await
    return not _WAITS_FOR_TASKS.isdisjoint(names)


def _is_anyios(thread: Any, loop: asyncio.AbstractEventLoop) -> bool:
    """Tell whether this is one of the worker threads that anyio made for `loop`."""
    return hasattr(thread, "idle_workers") and thread.loop is loop


def _is_busy(worker: Any) -> bool:
    return worker in worker.workers and worker not in worker.idle_workers


def _may_call(thread: threading.Thread, older: weakref.WeakSet[threading.Thread]) -> bool:
    """Tell whether a thread might call the loop: one that the code itself started, not one that waits for work."""
    return not (
        thread in older
        or isinstance(thread, SimulatedThread)
        or thread in pool._threads_queues
        or hasattr(thread, "idle_workers")
    )
