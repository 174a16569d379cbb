"""Run a coroutine function on a simulated clock: exact times, in a few milliseconds.

    sim = await simulate(ask_all, QUESTIONS)

The function runs on an event loop of its own, in a thread of its own, while the caller's loop stays free. Ten sleeps of a second take
exactly 1 s of simulated time when they are gathered and exactly 10 s one after the other. In simulated time:

- everything that waits on the loop: `asyncio.sleep`, timeouts, queues, locks, task groups, anyio's the same; and `loop.time()`,
- `time.sleep`, which holds the loop as a real one does, and is counted and located; `time.time`, `monotonic` and `perf_counter`.

In real time, so not exact: threads, processes and sockets. While one of them is awaited, the simulated clock keeps pace with the real
one. A thread that the code starts by itself, without an executor, is not waited for while a timer is set; when there is none, it has
`wall` seconds to wake somebody. Computing takes no simulated time at all. `datetime.now()` is the real one, and so is a `sleep` that
was taken out of `time` earlier (`from time import sleep`): it shows in `held`, because it holds the loop in real time.
"""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import inspect
import linecache
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from awaitsee.observe import clock
from awaitsee.observe.observation import Block, TaskRecord
from awaitsee.observe.origin import shown_file, users_line
from awaitsee.observe.simulated_loop import Ending, GivenUp, SimulatedLoop, SimulatedThread, Waiting

_PERIOD = 0.02
"""Real seconds between two looks at the simulation."""
_LOOKS = 5
"""A step that is seen that often in a row, each time when it was due, holds the loop."""
_PUNCTUAL = 1.75 * _PERIOD
_GRACE = 0.3
"""Real seconds to end after being told to."""
_LAST_GRACE = 3.0
"""Real seconds after which a thread that cannot be stopped is left alone."""
_TOTAL = 10
"""A simulation may take this many times `wall` altogether."""
_MOST_NAMED = 5
_LIMIT, _WALL = 60.0, 3.0

_given_up: list[object] = []


@dataclass(eq=False, slots=True, repr=False)
class Simulation:
    """What a function did on the simulated clock. Times are simulated seconds since it began, unless it says real."""

    status: Ending
    """`finished`, `failed` (it raised), `deadlock`, `out of time` or `stuck`."""
    result: Any
    """What the function returned."""
    error: BaseException | None
    """What it raised; or `Deadlock`, `OutOfTime` or `Stuck`."""
    elapsed: float
    """How long it took, exact to the nanosecond when it needed nothing that runs in real time."""
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
    """The steps that held the loop for more than 0.1 s of real time. This depends on the machine; `sleeps` does not."""
    abandoned: list[str]
    """The names of the tasks that did not end although they were cancelled."""

    @property
    def blocked(self) -> float:
        """Simulated seconds in which a `time.sleep` held the loop."""
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
        parts = [self.status, f"{count} task{'s'[: count > 1]}", f"{self.elapsed:.3f} s"]
        if self.sleeps:
            parts.append(f"blocked for {self.blocked:.3f} s")
        if self.leaked:
            parts.append(f"{len(self.leaked)} left behind")
        return f"<Simulation: {', '.join(parts)}>"


class SimulationError(Exception):
    """The simulated code did not end by itself, or tried to end Python. `simulation` tells what it did."""

    simulation: Simulation | None = None


class Deadlock(SimulationError):
    """Every task waits and nobody is left who could wake one."""


class OutOfTime(SimulationError):
    """The simulated clock reached the limit."""


class Stuck(SimulationError):
    """The simulated clock stood still for too long in real time: the code computes without end."""


async def simulate(
    fn: Callable[..., Any],
    /,
    *args: Any,
    limit: float = _LIMIT,
    wall: float = _WALL,
    keep_error: bool = False,
    **kwargs: Any,
) -> Simulation:
    """Run the coroutine function `fn` with these arguments on a simulated clock and return what it did.

    `limit`: simulated seconds after which it is cancelled. `wall`: real seconds for which the simulated clock may stand still; ten
    times as long is allowed for everything. What `fn` leaves behind is cancelled at the end.

    What `fn` raises passes through. `Deadlock`, `OutOfTime` or `Stuck` is raised when it did not end by itself, and `SimulationError`
    when the code tried to end Python (`sys.exit()`, `KeyboardInterrupt`). With `keep_error` nothing is raised and the exception is in
    the simulation's `error`. Raises `TypeError` when `fn` is no coroutine function, or when it has a parameter that `simulate` takes.
    """
    _check(fn, {"limit": (limit, _LIMIT), "wall": (wall, _WALL)}, keep_error)
    here = asyncio.get_running_loop()
    supervisor = _Supervisor(_Worker(fn, args, kwargs, limit, wall), here, wall)
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
    simulation = supervisor.over.result()
    if simulation.error is not None and not keep_error:
        raise _passable(simulation)
    return simulation


def _check(fn: Callable[..., Any], own: dict[str, tuple[float, float]], keep_error: bool) -> None:
    if inspect.iscoroutine(fn):
        fn.close()
        raise TypeError(
            f"simulate() takes the function and its arguments, as in simulate({fn.__name__}, ...), not a coroutine: "
            f"leave the call to simulate()."
        )
    if not callable(fn):
        raise TypeError(f"simulate() takes a coroutine function and its arguments, not {type(fn).__name__}.")
    taken = [name for name, (value, default) in own.items() if value is not default] + ["keep_error"] * keep_error
    for name in taken:
        if name in _parameters(fn):
            raise TypeError(
                f"Both simulate() and {_called(fn)}() have a parameter {name!r}: "
                f"write simulate(functools.partial({_called(fn)}, {name}=...)) for the function's, or pass it by position."
            )
    for name, (value, _) in own.items():
        if not value > 0:
            raise ValueError(f"simulate() needs a {name} of more than 0 seconds, not {value!r}.")


def _parameters(fn: Callable[..., Any]) -> Collection[str]:
    try:
        return inspect.signature(fn).parameters
    except (TypeError, ValueError):
        return ()


def _called(fn: object) -> str:
    return str(getattr(fn, "__name__", type(fn).__name__))


def _passable(simulation: Simulation) -> BaseException:
    """Return the exception to raise where the simulation was awaited."""
    error = simulation.error
    assert error is not None
    if isinstance(error, Exception | asyncio.CancelledError):
        return error
    # Raised in a task, these end the event loop, and with it a notebook's kernel.
    passable = SimulationError(f"the simulated code tried to end Python: {type(error).__name__}({error})")
    passable.simulation = simulation
    passable.__cause__ = error
    return passable


class _Worker(SimulatedThread):
    """The thread in which the function runs."""

    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], limit: float, wall: float) -> None:
        super().__init__(name=f"simulation of {_called(fn)}", daemon=True)
        self._fn, self._args, self._kwargs = fn, args, kwargs
        self._limit, self._wall = limit, wall
        # The output of a cell finds its way by a context variable.
        self._context = contextvars.copy_context()
        self._gate = threading.Lock()
        self._interruptible = False
        self._exit: BaseException | None = None
        self.loop = SimulatedLoop(limit, patience=wall)
        self.changed = threading.Event()
        """Set when there is something new for whoever supervises."""
        self.simulation: Simulation | None = None
        self.broken: BaseException | None = None
        self.endings = 0
        """How often it was told to end and did."""

    def run(self) -> None:
        clock.attach(self.loop)
        try:
            self._context.run(self._simulate)
        except BaseException as error:
            self.broken = error
        finally:
            clock.detach(self.ident)
            self.changed.set()

    def _simulate(self) -> None:
        self._interruptible = True
        try:
            self._run_main()
            self._clean_up()
        except GivenUp:
            pass
        self._settle(interruptible=False)
        loop = self.loop
        if loop.ending is None:
            loop.conclude("stuck")
        left = [task for task in asyncio.all_tasks(loop) if not task.done()]
        if left:
            keep_for_ever(loop, left)
        loop.close()
        self.simulation = self.report(left)

    def _run_main(self) -> None:
        loop = self.loop
        try:
            loop.main = loop.create_task(self._coroutine())
            self._run_until_done([loop.main])
        except GivenUp:
            self._settle(interruptible=True)
            if loop.ending is None:
                loop.conclude("stuck")
            return
        except BaseException as error:
            # Everything else ends a task; only sys.exit() and KeyboardInterrupt end the loop, whichever task they were in.
            self._exit = error
            if loop.ending is None:
                loop.conclude("failed")
            return
        if loop.ending is None:
            assert loop.main is not None
            loop.conclude("failed" if loop.main.cancelled() or loop.main.exception() else "finished")

    def _coroutine(self) -> Coroutine[Any, Any, Any]:
        if inspect.iscoroutinefunction(self._fn):
            return self._fn(*self._args, **self._kwargs)  # type: ignore[no-any-return]
        return self._await_result()

    async def _await_result(self) -> Any:
        awaitable = self._fn(*self._args, **self._kwargs)
        if not inspect.isawaitable(awaitable):
            raise TypeError(f"simulate() runs coroutine functions: {_called(self._fn)}() needs `async def`.")
        return await awaitable

    def _run_until_done(self, tasks: list[asyncio.Task[Any]], stops: int = 0) -> None:
        loop = self.loop
        running = {task for task in tasks if not task.done()}

        def ended(task: asyncio.Task[Any]) -> None:
            running.discard(task)
            if not running:
                loop.stop()

        for task in running.copy():
            task.add_done_callback(ended)
        while running:
            loop.run_forever()
            stops -= 1
            if running and stops < 0:
                raise RuntimeError("the event loop was stopped before the coroutine was done: leave loop.stop() to who runs the loop")

    def _clean_up(self) -> None:
        """Cancel what is left, as `asyncio.run` does, and let it end."""
        loop = self.loop
        for _ in range(3):
            left = [task for task in asyncio.all_tasks(loop) if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            self._run_out(left)
        self._run_out([loop.create_task(loop.shutdown_asyncgens())])

    def _run_out(self, tasks: list[asyncio.Task[Any]]) -> None:
        try:
            self._run_until_done(tasks, stops=3)
        except GivenUp:
            self._settle(interruptible=True)
        except BaseException:
            # What goes wrong during the clean-up, after the end, is nobody's result.
            return

    def report(self, left: list[asyncio.Task[Any]]) -> Simulation:
        """Put together what is known."""
        loop = self.loop
        main, ending = loop.main, loop.ending or "stuck"
        simulation = Simulation(
            status=ending,
            result=None,
            error=self._exit,
            elapsed=loop.elapsed,
            tasks=[task for task in loop.log.records if not task.internal],
            peak_tasks=loop.log.peak,
            steps=loop.log.steps,
            leaked=loop.leaked,
            waiting=loop.waiting,
            sleeps=loop.sleeps,
            held=loop.held,
            abandoned=[record.name for task in left if (record := loop.log.find(task)) is not None],
        )
        if ending in _MESSAGES:
            kind, message = _MESSAGES[ending]
            simulation.error = kind(message(simulation))
            simulation.error.simulation = simulation
        elif main is not None and main.done() and self._exit is None:
            try:
                simulation.result = main.result()
            except BaseException as error:
                trace = error.__traceback__
                simulation.error = error.with_traceback(trace and trace.tb_next)
        return simulation

    def quit(self, endings: int) -> None:
        """Raise `GivenUp` between two steps, or in the running one, unless that has happened since. Called from another thread."""
        with self._gate:
            if not self._interruptible or self.endings != endings or self.ident is None:
                return
            self.loop.tell("quit")
            # The second one comes while `except BaseException: pass` handles the first, and gets out.
            for _ in range(3 if self.loop.step else 0):
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.ident), ctypes.py_object(GivenUp))
                for _ in range(50):
                    pass

    def _settle(self, interruptible: bool) -> None:
        """Let nothing come through any more of what `quit` did before; nor of what it will do, unless `interruptible`."""
        while True:
            try:
                with self._gate:
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(threading.get_ident()), None)
                    self.loop.order = None
                    self.endings += 1
                    self._interruptible = interruptible
                return
            except GivenUp:
                continue


class _Supervisor(SimulatedThread):
    """The thread that starts the worker, looks after it, and tells the waiting loop when it is over."""

    def __init__(self, worker: _Worker, here: asyncio.AbstractEventLoop, wall: float) -> None:
        super().__init__(name="simulation supervisor", daemon=True)
        self._worker = worker
        self._here = here
        self._wall = wall
        self._stopped = False
        self._looked_at = 0
        self._looks = 0
        self._places: Counter[tuple[str, int]] = Counter()
        self.over: asyncio.Future[Simulation] = here.create_future()

    def stop(self) -> None:
        """End the simulation. Called from another thread."""
        self._stopped = True
        self._worker.changed.set()

    def run(self) -> None:
        worker = self._worker
        try:
            with clock.simulated_time():
                worker.start()
                if self._watch():
                    worker.join()
                else:
                    clock.detach(worker.ident)
            outcome: Simulation | BaseException = worker.simulation or worker.broken or self._last_report()
        except BaseException as error:
            worker.quit(worker.endings)
            outcome = error
        try:
            self._here.call_soon_threadsafe(self._tell, outcome)
        except RuntimeError:
            # The loop that waited is closed; nobody wants to know.
            return

    def _tell(self, outcome: Simulation | BaseException) -> None:
        if self.over.done():
            return
        if isinstance(outcome, Simulation):
            self.over.set_result(outcome)
        else:
            self.over.set_exception(outcome)

    def _watch(self) -> bool:
        """Wait for the worker's end. Stop it when its time is up; False when it cannot be stopped."""
        worker, loop = self._worker, self._worker.loop
        standing = total = told = last_told = 0.0
        seen: tuple[float, int] | None = None
        endings = worker.endings
        while worker.is_alive() and worker.simulation is None and worker.broken is None:
            before = perf_counter()
            worker.changed.wait(_PERIOD)
            worker.changed.clear()
            waited = perf_counter() - before
            self._look(punctual=waited < _PUNCTUAL)
            # A machine that was asleep has not been waiting.
            waited = min(waited, 5 * _PERIOD)
            total += waited
            now = loop.time(), loop.simulations
            standing = 0.0 if now != seen or loop.simulations else standing + waited
            seen = now
            if told:
                told += waited
                last_told += waited
                if worker.endings != endings:
                    endings, last_told = worker.endings, 0.0
                if told > _LAST_GRACE:
                    return False
                if last_told > _GRACE:
                    worker.quit(endings)
            elif self._stopped:
                loop.tell("cancelled")
                told = last_told = _PERIOD
            elif standing > (_GRACE if loop.ending else self._wall) or total > _TOTAL * self._wall:
                loop.tell("stuck")
                told = last_told = _PERIOD
        return True

    def _look(self, punctual: bool) -> None:
        """See whether the loop is in the same step as before, and where."""
        loop = self._worker.loop
        step = loop.step
        if step != self._looked_at or not step:
            self._looked_at, self._looks = step, 0
            self._places.clear()
            return
        self._looks += punctual
        ident = self._worker.ident
        place = users_line(sys._current_frames().get(ident or 0))
        if place is not None:
            self._places[place] += 1
        if self._looks >= _LOOKS:
            most = self._places.most_common(1)
            loop.suspect = step, most[0][0] if most else None

    def _last_report(self) -> Simulation:
        """Report on a worker that is still busy and cannot be asked."""
        loop = self._worker.loop
        keep_for_ever(self._worker, loop)
        loop.ending = "stuck"
        if loop.suspect is not None:
            loop.held.append(Block(self._wall, "", *(loop.suspect[1] or ("", 0))))
        return self._worker.report([])


def keep_for_ever(*what: object) -> None:
    """Keep tasks that cannot be ended from being collected.

    Collecting a coroutine raises `GeneratorExit` in it. One that swallows everything and tries again would then spin, in whichever
    thread collects it or when Python exits.
    """
    _given_up.extend(what)
    for item in what:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(item))


def _place(file: str, line: int) -> str:
    return f"{shown_file(file)}, line {line}" if file else "an unknown place"


def _line(file: str, line: int) -> str:
    code = linecache.getline(file, line).strip()
    return f"{_place(file, line)}: {code}" if code else _place(file, line)


def _tasks_at(simulation: Simulation, verb: str) -> str:
    """Say which task is where, without those that wait for others."""
    named = [wait for wait in simulation.waiting if not wait.parent] or simulation.waiting
    said = [f"task {wait.task!r} {verb} at {_line(wait.file, wait.line)}" for wait in named[:_MOST_NAMED]]
    if len(named) > _MOST_NAMED:
        said.append(f"and {len(named) - _MOST_NAMED} more")
    return "; ".join(said) or "the function waits"


def _deadlock(simulation: Simulation) -> str:
    whom = "it" if len(simulation.waiting) <= 1 else "one of them"
    return f"{_tasks_at(simulation, 'waits')}; nobody is left to wake {whom}."


def _out_of_time(simulation: Simulation) -> str:
    return f"not finished after {simulation.elapsed:g} simulated seconds: {_tasks_at(simulation, 'is')}."


def _stuck(simulation: Simulation) -> str:
    if simulation.held:
        block = simulation.held[-1]
        return f"simulated time stands still: the loop is held at {_line(block.file, block.line)}."
    return f"simulated time stands still: {_tasks_at(simulation, 'goes on')}."


_MESSAGES:
            kind, message = _MESSAGES[ending]
            simulation.error = kind(message(simulation))
            simulation.error.simulation = simulation
        elif main is not None and main.done() and self._exit is None:
            try:
                simulation.result = main.result()
            except BaseException as error:
                trace = error.__traceback__
                simulation.error = error.with_traceback(trace and trace.tb_next)
        return simulation

    def quit(self, endings: int) -> None:
        """Raise `GivenUp` between two steps, or in the running one, unless that has happened since. Called from another thread."""
        with self._gate:
            if not self._interruptible or self.endings != endings or self.ident is None:
                return
            self.loop.tell("quit")
            # The second one comes while `except BaseException: pass` handles the first, and gets out.
            for _ in range(3 if self.loop.step else 0):
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.ident), ctypes.py_object(GivenUp))
                for _ in range(50):
                    pass

    def _settle(self, interruptible: bool) -> None:
        """Let nothing come through any more of what `quit` did before; nor of what it will do, unless `interruptible`."""
        while True:
            try:
                with self._gate:
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(threading.get_ident()), None)
                    self.loop.order = None
                    self.endings += 1
                    self._interruptible = interruptible
                return
            except GivenUp:
                continue


class _Supervisor(SimulatedThread):
    """The thread that starts the worker, looks after it, and tells the waiting loop when it is over."""

    def __init__(self, worker: _Worker, here: asyncio.AbstractEventLoop, wall: float) -> None:
        super().__init__(name="simulation supervisor", daemon=True)
        self._worker = worker
        self._here = here
        self._wall = wall
        self._stopped = False
        self._looked_at = 0
        self._looks = 0
        self._places: Counter[tuple[str, int]] = Counter()
        self.over: asyncio.Future[Simulation] = here.create_future()

    def stop(self) -> None:
        """End the simulation. Called from another thread."""
        self._stopped = True
        self._worker.changed.set()

    def run(self) -> None:
        worker = self._worker
        try:
            with clock.simulated_time():
                worker.start()
                if self._watch():
                    worker.join()
                else:
                    clock.detach(worker.ident)
            outcome: Simulation | BaseException = worker.simulation or worker.broken or self._last_report()
        except BaseException as error:
            worker.quit(worker.endings)
            outcome = error
        try:
            self._here.call_soon_threadsafe(self._tell, outcome)
        except RuntimeError:
            # The loop that waited is closed; nobody wants to know.
            return

    def _tell(self, outcome: Simulation | BaseException) -> None:
        if self.over.done():
            return
        if isinstance(outcome, Simulation):
            self.over.set_result(outcome)
        else:
            self.over.set_exception(outcome)

    def _watch(self) -> bool:
        """Wait for the worker's end. Stop it when its time is up; False when it cannot be stopped."""
        worker, loop = self._worker, self._worker.loop
        standing = total = told = last_told = 0.0
        seen: tuple[float, int] | None = None
        endings = worker.endings
        while worker.is_alive() and worker.simulation is None and worker.broken is None:
            before = perf_counter()
            worker.changed.wait(_PERIOD)
            worker.changed.clear()
            waited = perf_counter() - before
            self._look(punctual=waited < _PUNCTUAL)
            # A machine that was asleep has not been waiting.
            waited = min(waited, 5 * _PERIOD)
            total += waited
            now = loop.time(), loop.simulations
            standing = 0.0 if now != seen or loop.simulations else standing + waited
            seen = now
            if told:
                told += waited
                last_told += waited
                if worker.endings != endings:
                    endings, last_told = worker.endings, 0.0
                if told > _LAST_GRACE:
                    return False
                if last_told > _GRACE:
                    worker.quit(endings)
            elif self._stopped:
                loop.tell("cancelled")
                told = last_told = _PERIOD
            elif standing > (_GRACE if loop.ending else self._wall) or total > _TOTAL * self._wall:
                loop.tell("stuck")
                told = last_told = _PERIOD
        return True

    def _look(self, punctual: bool) -> None:
        """See whether the loop is in the same step as before, and where."""
        loop = self._worker.loop
        step = loop.step
        if step != self._looked_at or not step:
            self._looked_at, self._looks = step, 0
            self._places.clear()
            return
        self._looks += punctual
        ident = self._worker.ident
        place = users_line(sys._current_frames().get(ident or 0))
        if place is not None:
            self._places[place] += 1
        if self._looks >= _LOOKS:
            most = self._places.most_common(1)
            loop.suspect = step, most[0][0] if most else None

    def _last_report(self) -> Simulation:
        """Report on a worker that is still busy and cannot be asked."""
        loop = self._worker.loop
        keep_for_ever(self._worker, loop)
        loop.ending = "stuck"
        if loop.suspect is not None:
            loop.held.append(Block(self._wall, "", *(loop.suspect[1] or ("", 0))))
        return self._worker.report([])


def keep_for_ever(*what: object) -> None:
    """Keep tasks that cannot be ended from being collected.

    Collecting a coroutine raises `GeneratorExit` in it. One that swallows everything and tries again would then spin, in whichever
    thread collects it or when Python exits.
    """
    _given_up.extend(what)
    for item in what:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(item))


def _place(file: str, line: int) -> str:
    return f"{shown_file(file)}, line {line}" if file else "an unknown place"


def _line(file: str, line: int) -> str:
    code = linecache.getline(file, line).strip()
    return f"{_place(file, line)}: {code}" if code else _place(file, line)


def _waits(simulation: Simulation) -> str:
    """Say who waits where, without those who wait for others."""
    named = [wait for wait in simulation.waiting if not wait.parent] or simulation.waiting
    said = [f"task {wait.task!r} waits at {_line(wait.file, wait.line)}" for wait in named[:_MOST_NAMED]]
    if len(named) > _MOST_NAMED:
        said.append(f"{len(named) - _MOST_NAMED} more wait")
    return "; ".join(said)


def _deadlock(simulation: Simulation) -> str:
    return f"{_waits(simulation) or 'The function waits'}; nobody is left to wake {'it' if len(simulation.waiting) == 1 else 'them'}."


def _out_of_time(simulation: Simulation) -> str:
    waits = _waits(simulation)
    return f"Not finished after {simulation.elapsed:g} simulated seconds{f': {waits}' if waits else ''}."


def _stuck(simulation: Simulation) -> str:
    if simulation.held:
        block = simulation.held[-1]
        where = f"the loop is held at {_line(block.file, block.line)}"
    else:
        where = _waits(simulation)
    return f"No end in sight, and no simulated time passes{f': {where}' if where else ''}."


_MESSAGES: dict[str, tuple[type[SimulationError], Callable[[Simulation], str]]] = {
    "deadlock": (Deadlock, _deadlock),
    "out of time": (OutOfTime, _out_of_time),
    "stuck": (Stuck, _stuck),
}
