"""The two threads of a simulation: the worker runs the code, the supervisor looks after the worker."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import inspect
import sys
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from time import perf_counter
from types import FrameType
from typing import Any

from awaitsee.observe import clock
from awaitsee.observe.observation import Block
from awaitsee.observe.origin import users_line
from awaitsee.observe.simulated_loop import SimulatedLoop, SimulatedThread
from awaitsee.observe.tasklog import GivenUp

_PERIOD = 0.02
"""Real seconds between two looks at the worker."""
_LOOKS = 5
"""A step that is seen that often in a row, each time when it was due, holds the loop."""
_PUNCTUAL = 1.75 * _PERIOD
_GRACE = 0.3
"""Real seconds to end after being told to."""
_LAST_GRACE = 3.0
"""Real seconds after which a thread that cannot be stopped is left alone."""
_TOTAL = 10
"""A simulation may take this many times `wall` altogether."""

_kept: list[object] = []


def called(fn: object) -> str:
    """Return what to call a function in a message."""
    return str(getattr(fn, "__name__", type(fn).__name__))


class Worker(SimulatedThread):
    """The thread in which a coroutine function runs on a loop of its own."""

    def __init__(
        self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], limit: float, wall: float
    ) -> None:
        super().__init__(name=f"simulation of {called(fn)}", daemon=True)
        self._fn, self._args, self._kwargs = fn, args, kwargs
        # The output of a notebook's cell finds its way by a context variable.
        self._context = contextvars.copy_context()
        self._gate = threading.Lock()
        self._interruptible = False
        self._told: set[asyncio.Task[Any]] = set()
        """The tasks that have been cancelled at the end and do not deserve a second chance."""
        self.loop = SimulatedLoop(limit, patience=wall)
        self.changed = threading.Event()
        """Set when there is something new for the supervisor."""
        self.over = False
        self.result: Any = None
        self.error: BaseException | None = None
        """What the function raised, or what ended the loop."""
        self.abandoned: list[str] = []
        """The names of the tasks that did not end although they were cancelled."""
        self.broken: BaseException | None = None
        """What went wrong in the simulation itself."""
        self.endings = 0
        """How often it was told to quit and did."""

    def run(self) -> None:
        clock.attach(self.loop)
        try:
            self._context.run(self._simulate)
        except BaseException as error:
            self.broken = error
        finally:
            clock.detach(self.ident)
            self.over = True
            self.changed.set()

    def _simulate(self) -> None:
        loop = self.loop
        self._interruptible = True
        try:
            self._run_main()
            self._clean_up()
        except GivenUp:
            pass
        self._settle(interruptible=False)
        if loop.ending is None:
            loop.conclude("stuck")
        left = [task for task in asyncio.all_tasks(loop) if not task.done()]
        self.abandoned = [record.name for task in left if (record := loop.log.find(task)) is not None]
        if left:
            keep_for_ever(loop, *left)
        self._take_result()
        loop.close()

    def _run_main(self) -> None:
        loop = self.loop
        try:
            loop.main = loop.create_task(self._coroutine())
            self._run_until_done([loop.main])
        except GivenUp:
            self._settle(interruptible=True)
            if loop.ending is None:
                loop.conclude("stuck")
            elif loop.main is not None:
                self._told.add(loop.main)
            return
        except BaseException as error:
            # Everything else ends a task; sys.exit() and KeyboardInterrupt end the loop, whichever task they are in.
            self.error = error
            if loop.ending is None:
                loop.conclude("failed")
            return
        if loop.ending is None:
            loop.conclude("failed" if loop.main.cancelled() or loop.main.exception() else "finished")

    def _coroutine(self) -> Coroutine[Any, Any, Any]:
        if inspect.iscoroutinefunction(self._fn):
            return self._fn(*self._args, **self._kwargs)  # type: ignore[no-any-return]
        return self._await_result()

    async def _await_result(self) -> Any:
        awaitable = self._fn(*self._args, **self._kwargs)
        if not inspect.isawaitable(awaitable):
            raise TypeError(f"simulate() runs coroutine functions: {called(self._fn)}() needs `async def`.")
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
                raise RuntimeError("The event loop was stopped before the coroutine was done: do not call loop.stop().")

    def _clean_up(self) -> None:
        """Cancel what is left, as `asyncio.run` does, and let it end."""
        loop = self.loop
        for _ in range(3):
            # Tasks may make new ones when they are cancelled.
            left = [task for task in asyncio.all_tasks(loop) - self._told if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            self._told.update(left)
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

    def _take_result(self) -> None:
        main = self.loop.main
        if main is None or not main.done() or self.error is not None:
            return
        try:
            self.result = main.result()
        except BaseException as error:
            # The first entry is this function; the code's own lines follow.
            self.error = error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)

    def quit(self, endings: int, held: bool) -> None:
        """Raise `GivenUp` before the next step, and when the loop is `held` also in this one.

        Does nothing when that has happened since `endings` was read. Called from another thread.
        """
        with self._gate:
            if not self._interruptible or self.endings != endings or self.ident is None:
                return
            self.loop.tell("quit")
            # The second one comes while `except BaseException: pass` handles the first, and gets out.
            for _ in range(3 if held and self.loop.step else 0):
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.ident), ctypes.py_object(GivenUp))
                for _ in range(50):
                    pass

    def _settle(self, interruptible: bool) -> None:
        """Let nothing through of what `quit` did before; nor of what it will do, unless `interruptible`."""
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


class Supervisor(SimulatedThread):
    """The thread that starts a worker, looks after it, and tells the waiting loop when it is over."""

    def __init__(self, worker: Worker, here: asyncio.AbstractEventLoop, wall: float) -> None:
        super().__init__(name="simulation supervisor", daemon=True)
        self._worker = worker
        self._here = here
        self._wall = wall
        self._stopped = False
        self._looked_at = 0
        self._looks = 0
        self._places: Counter[tuple[str, int]] = Counter()
        self.over: asyncio.Future[None] = here.create_future()
        """Done when the worker has ended or was given up; an exception means that the simulation itself is broken."""

    def stop(self) -> None:
        """End the simulation. Called from another thread."""
        self._stopped = True
        self._worker.changed.set()

    def run(self) -> None:
        worker = self._worker
        broken: BaseException | None = None
        try:
            with clock.simulated_time():
                worker.start()
                if self._watch():
                    worker.join()
                else:
                    self._abandon()
        except BaseException as error:
            broken = error
            worker.quit(worker.endings, held=True)
        try:
            self._here.call_soon_threadsafe(self._tell, broken or worker.broken)
        except RuntimeError:
            # The loop that waited is closed; nobody wants to know.
            return

    def _tell(self, broken: BaseException | None) -> None:
        if self.over.done():
            return
        if broken is None:
            self.over.set_result(None)
        else:
            self.over.set_exception(broken)

    def _watch(self) -> bool:
        """Wait for the worker's end and stop it when its time is up; False when it cannot be stopped."""
        worker, loop = self._worker, self._worker.loop
        standing = total = told = last_told = 0.0
        seen: tuple[float, int] | None = None
        endings = worker.endings
        while not worker.over:
            before = perf_counter()
            worker.changed.wait(_PERIOD)
            worker.changed.clear()
            waited = perf_counter() - before
            held = self._look(punctual=waited < _PUNCTUAL, guilty=told > 0)
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
                    worker.quit(endings, held)
            elif self._stopped:
                loop.tell("cancelled")
                told = last_told = _PERIOD
            elif standing > (_GRACE if loop.ending else self._wall) or total > _TOTAL * self._wall:
                loop.tell("stuck")
                told = last_told = _PERIOD
        return True

    def _look(self, punctual: bool, guilty: bool) -> bool:
        """Return whether the loop is in the same step as before, and note where; a `guilty` one was told to end."""
        loop = self._worker.loop
        step = loop.step
        if step != self._looked_at or not step:
            self._looked_at, self._looks = step, 0
            self._places.clear()
            return False
        frame = sys._current_frames().get(self._worker.ident or 0)
        # Importing a module takes time once, and in an exercise nobody means it.
        self._looks += punctual and not _is_importing(frame)
        place = users_line(frame)
        if place is not None:
            self._places[place] += 1
        if self._looks >= _LOOKS or guilty:
            most = self._places.most_common(1)
            loop.suspect = step, most[0][0] if most else None
        return True

    def _abandon(self) -> None:
        """Leave a worker alone that runs code which nothing ends, such as a blocking call in C."""
        worker, loop = self._worker, self._worker.loop
        clock.detach(worker.ident)
        keep_for_ever(worker, loop)
        loop.ending = "stuck"
        if loop.suspect is not None:
            loop.held.append(Block(self._wall, "", *(loop.suspect[1] or ("", 0))))
        worker.abandoned = [record.name for record in loop.log.records if record.finished is None]


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def keep_for_ever(*things: object) -> None:
    """Keep tasks that cannot be ended from being collected.

    Collecting a coroutine raises `GeneratorExit` in it. One that swallows everything and tries again would then spin,
    in whichever thread collects it or when Python exits.
    """
    _kept.extend(things)
    for thing in things:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
