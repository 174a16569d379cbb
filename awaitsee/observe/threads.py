"""Notes what runs in worker threads: those of `concurrent.futures`, which asyncio uses, and those of anyio."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from time import perf_counter
from typing import Any

from awaitsee.observe.origin import handed_over
from awaitsee.observe.recording import HERE, RUN, Call, Run, describe


def current_run() -> Run | None:
    """Return the run that the calling code belongs to, in whatever thread it is."""
    call: Call | None = getattr(HERE, "call", None)
    run = call.run if call is not None else RUN.get()
    return run if run is not None and run.loop is not None else None


def _noted(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Call | None:
    run = current_run()
    if run is None:
        return None
    track = run.current_track()
    in_users_task = track is not None and not track.internal
    call = Call(run, handed_over(function, arguments, sys._getframe(2), in_users_task), track)
    run.recording.calls.append(call)
    return call


def noting_init(original: Callable[..., None]) -> Callable[..., None]:
    """Return `_WorkItem.__init__`, noting who hands over what."""

    def __init__(self: Any, future: Any, *rest: Any) -> None:
        original(self, future, *rest)
        # Python 3.14 passes function and arguments as one tuple.
        function, arguments = rest[:2] if len(rest) > 1 else rest[0][:2]
        self.awaitsee_call = call = _noted(function, arguments)
        if call is not None:
            # The first to be told, before the loop is: when the run goes on, the call's end is known.
            future.add_done_callback(partial(_settled, call))

    return __init__


def _settled(call: Call, future: Future[Any]) -> None:
    cancelled = future.cancelled()
    _end(call, None if cancelled else future.exception(), ran=not cancelled)


def noting_run(original: Callable[..., None]) -> Callable[..., None]:
    """Return `_WorkItem.run`, noting when the work began."""

    def run(self: Any, *args: Any) -> None:
        call: Call | None = getattr(self, "awaitsee_call", None)
        if call is None or self.future.cancelled():
            return original(self, *args)
        _begin(call)
        try:
            return original(self, *args)
        finally:
            HERE.call = None

    return run


def noting_anyio(original: Any) -> Any:
    """Return anyio's `run_sync_in_worker_thread` with the function replaced by one that keeps the time."""

    def run_sync_in_worker_thread(
        cls: Any, func: Callable[..., Any], args: tuple[Any, ...], *rest: Any, **kwargs: Any
    ) -> Any:
        call = _noted(func, args)
        return original.__get__(None, cls)(func if call is None else _timed(func, call), args, *rest, **kwargs)

    return classmethod(run_sync_in_worker_thread)


def _timed(func: Callable[..., Any], call: Call) -> Callable[..., Any]:
    def keep_time(*args: Any) -> Any:
        _begin(call)
        error: BaseException | None = None
        try:
            return func(*args)
        except BaseException as raised:
            error = raised
            raise
        finally:
            HERE.call = None
            _end(call, error, ran=True)
            error = None

    return keep_time


def unframed_report(original: Callable[..., None]) -> Callable[..., None]:
    """Return anyio's `WorkerThread._report_result`, taking our one frame out of the exception's traceback."""

    def _report_result(self: Any, future: Any, result: Any, exc: BaseException | None) -> None:
        entry = exc.__traceback__ if exc is not None else None
        while entry is not None:
            following = entry.tb_next
            if following is not None and following.tb_frame.f_code.co_name == "keep_time":
                entry.tb_next = following.tb_next
            entry = following
        original(self, future, result, exc)

    return _report_result


def _begin(call: Call) -> None:
    call.thread = threading.current_thread().name
    call.started = perf_counter()
    HERE.call = call


def _end(call: Call, error: BaseException | None, ran: bool) -> None:
    call.finished = perf_counter()
    call.error = describe(error)
    if not ran:
        call.started = None
