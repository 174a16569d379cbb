"""What watches an event loop during a run: its task factory, a heartbeat, and a thread that looks who blocks."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from contextvars import Context
from time import perf_counter
from typing import Any

from awaitsee.observe.origin import users_line
from awaitsee.observe.recording import RUN, Track

BEAT_SECONDS = 0.01
_LOOK_SECONDS = 0.02
# A block shows at 50 ms; to have a place for it by then one looks earlier.
_LOOK_FROM_SECONDS = 0.025
_MAX_LOOKS = 64

# Python 3.13.0 gives the name "None" to a nameless task that a task factory made.
_NAMES_GET_LOST = sys.version_info[:2] == (3, 13)

TaskFactory = Callable[..., "asyncio.Task[Any]"]


class LoopWatch:
    """Installed on a loop by the first run on it and taken away by the last."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.users = 0
        self.step_started = 0.0
        """When the present step began, or 0 while the loop waits."""
        self.callback: Any = None
        """What the present step runs."""
        self.beats: list[tuple[float, float]] = []
        """When each beat was due and when it came."""
        self._thread_id = threading.get_ident()
        self._looks: dict[float, Counter[tuple[str, int]]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="awaitsee-watchdog", daemon=True)
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._factory: Any = None
        self._previous: Any = None

    def start(self) -> None:
        self._previous = self.loop.get_task_factory()
        self._factory = make_factory(self._previous)
        self.loop.set_task_factory(self._factory)
        self._thread.start()
        self._arm()

    def stop(self) -> None:
        if self.loop.get_task_factory() is self._factory:
            self.loop.set_task_factory(self._previous)
        if self._timer is not None:
            self._timer.cancel()
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=1.0)

    def beats_between(self, begin: float, end: float) -> list[tuple[float, float]]:
        """Return the beats that were due in that time; one that is overdue counts as coming now."""
        overdue = [(self._due, end)] if self._due < end else []
        return [beat for beat in (*self.beats, *overdue) if begin <= beat[0] < end]

    def place_of(self, step_started: float) -> tuple[str, int] | None:
        """Return where the step that began then was seen most often."""
        seen = self._looks.get(step_started)
        return seen.most_common(1)[0][0] if seen else None

    def _arm(self) -> None:
        self._due = perf_counter() + BEAT_SECONDS
        # An empty context keeps the heartbeat out of every run.
        self._timer = self.loop.call_later(BEAT_SECONDS, self._beat, context=Context())

    def _beat(self) -> None:
        self.beats.append((self._due, perf_counter()))
        self._arm()

    def _look(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            started = self.step_started
            if started and perf_counter() - started > _LOOK_FROM_SECONDS:
                frame = sys._current_frames().get(self._thread_id)
                place = users_line(frame)
                del frame
                if len(self._looks) > _MAX_LOOKS:
                    self._looks.clear()
                if place is not None and started == self.step_started:
                    self._looks.setdefault(started, Counter())[place] += 1


def make_factory(previous: TaskFactory | None) -> TaskFactory:
    """Return a task factory that notes each new task and wraps nothing; `previous` goes on making the tasks."""

    def factory(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **kwargs: Any) -> asyncio.Task[Any]:
        context = kwargs.get("context")
        run = RUN.get() if context is None else context.get(RUN)
        if run is None or run.loop is not loop:
            return _made(previous, loop, coro, kwargs)
        track = run.announce(coro, sys._getframe(1))
        if _NAMES_GET_LOST and "name" not in kwargs:
            # In line before the task's first step.
            loop.call_soon(_give_back_name, track, context=Context())
        try:
            task = _made(previous, loop, coro, kwargs)
        except BaseException:
            run.forget(track)
            raise
        run.bind(track, task)
        if _NAMES_GET_LOST:
            track.automatic_name = task.get_name()
        return task

    return factory


def _give_back_name(track: Track) -> None:
    task = track.ref() if track.ref is not None else None
    if task is not None and task.get_name() == "None":
        task.set_name(track.automatic_name)


_EAGER_CODE = getattr(getattr(asyncio, "eager_task_factory", None), "__code__", None)


def _made(
    previous: TaskFactory | None,
    loop: asyncio.AbstractEventLoop,
    coro: Coroutine[Any, Any, Any],
    kwargs: dict[str, Any],
) -> asyncio.Task[Any]:
    if previous is None:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **kwargs)
        traceback = getattr(task, "_source_traceback", None)
        if traceback:
            # Debug mode shows where a task was made: without this function, the factory and `create_task`.
            del traceback[-3:]
        return task
    closure = getattr(previous, "__closure__", None)
    if closure and getattr(previous, "__code__", None) is _EAGER_CODE and _is_anyios(coro):
        # anyio starts its tasks later when it sees that the factory is the eager one; it cannot see through ours.
        lazy: asyncio.Task[Any] = closure[0].cell_contents(coro, loop=loop, **kwargs)
        return lazy
    return previous(loop, coro, **kwargs)


def _is_anyios(coro: object) -> bool:
    return bool(re.search(r"[\\/]anyio[\\/]", getattr(getattr(coro, "cr_code", None), "co_filename", "")))
