"""Stop a task from outside: when it waits, and when its code holds the event loop.

Cancelling is the whole answer for code that waits. Code that computes or sleeps without giving control back never sees
a cancellation, because the loop that would deliver it does not turn. Such code runs in the main thread, and one thing
reaches it there: a signal handler, which Python calls between two bytecodes and out of a sleeping system call. An
exception raised in the handler comes up in the code that was interrupted.

Two questions decide when to raise. *Is the loop held?* A callback is put on the loop; if it has not run after `GRACE`
seconds, it is. (Raising at once would kill whichever task happens to be in the middle of a short step.) *Is it safe?*
An exception in the middle of the event loop or of the kernel's own code would take a message, or the kernel, with it;
so the handler looks at the stack and raises in steps of other code only.

The second look needs a clock that does not live on the loop, so a thread waits for the callback and wakes the main
thread with a signal. It starts when something is stopped and ends with it; nothing runs before that.

What this cannot stop: C code that runs no bytecode, until it returns; code that swallows every `BaseException` it is
given; a task that swallows cancellations and never waits for longer than `sleep(0)`; a loop in another thread than the
main one, while it is held.
"""

from __future__ import annotations

import _thread
import asyncio
import signal
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

GRACE = 0.2
"""Seconds that a turn of the loop may take before it counts as held."""
RETRY = 0.05
"""Seconds between two attempts to break into a task."""
PATIENCE = 3.0
"""Seconds after which a call of `Stopper.stop` has failed."""
SAME_PRESS = 0.5
"""Seconds within which a second call of `Stopper.stop` counts as the first: a double click."""
SWALLOWED = 3
"""Attempts after which the code is taken to swallow what is raised in it."""

_KERNEL_PACKAGES = {"IPython", "comm", "ipykernel", "jupyter_client", "tornado", "traitlets", "zmq"}
_KERNEL_MODULES = {"awaitsee.kernel"}
# Taken at import, because the recorder replaces the method while it observes, and calls this one.
_HANDLE_RUN = asyncio.Handle._run.__code__


class Stopped(BaseException):
    """Raised in code that held the event loop, or that ignored a cancellation, when it was stopped from outside.

    A `BaseException`, as `CancelledError` is, so that `except Exception` and retry helpers let it through. Not a
    `KeyboardInterrupt`: raised in a task's step, that one leaves `run_forever` and ends the kernel.
    """


class Stopper:
    """Stops `task` when `stop()` is called, between entering (`with Stopper(task) as stopper:`) and leaving.

    The first call cancels the task, after breaking into whatever holds the loop, if something does. Further calls are
    for a task that ignored this: they raise `Stopped` where it waits or runs.

    While entered it handles SIGINT and passes on the signals that are not its own, so stoppers nest. Entered in another
    thread than the main one, it cancels but cannot break into a held loop. On Windows a signal does not end a
    `time.sleep`: there a held loop is broken into at the next bytecode.
    """

    def __init__(
        self,
        task: asyncio.Task[Any],
        *,
        on_sigint: bool = False,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare to stop `task`.

        `on_sigint`: a SIGINT from outside calls `stop`; otherwise the handler that was there before gets it.
        `on_failure`: called, in another thread, when `stop` had no effect for `PATIENCE` seconds: the loop was held
        throughout, or the task ignored a second call too.
        """
        self.calls = 0
        """How often `stop` was called, double clicks not counted."""
        self.held_at: traceback.StackSummary | None = None
        """Where the loop was held when it was first broken into, outermost frame first; None if it never was."""
        self._task = task
        self._loop = task.get_loop()
        self._on_sigint = on_sigint
        self._on_failure = on_failure
        self._older: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
        self._previous: Any = None
        self._lock = _thread.allocate_lock()
        self._handling = False
        self._nudged = False
        self._turned = False
        self._broke_task = False
        self._last_call = float("-inf")
        self._breaks = 0

    def __enter__(self) -> Self:
        self._older = weakref.WeakSet(asyncio.all_tasks(self._loop))
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._handle)
            self._handling = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The lock makes sure that no signal of ours is on its way when the handler goes: the next one might raise
        # KeyboardInterrupt. One that was sent before is handled before signal.signal() changes anything.
        with self._lock:
            handled, self._handling = self._handling, False
        if handled and self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def stop(self) -> None:
        """Stop the task. Returns at once; may be called from any thread and from a signal handler."""
        now = time.monotonic()
        if self._task.done() or now - self._last_call < SAME_PRESS:
            return
        self._last_call = now
        self.calls += 1
        self._turned = self._broke_task = False
        # Locks and threads of `threading` run Python code that a signal handler may have interrupted half-way.
        turned = _thread.allocate_lock()
        turned.acquire()
        self._loop.call_soon_threadsafe(self._on_turn, turned)
        _thread.start_new_thread(self._watch, (turned, self.calls))

    def _on_turn(self, turned: _thread.LockType) -> None:
        self._turned = True
        turned.release()
        if self._task.done() or self._broke_task:
            return
        if self.calls == 1:
            self._task.cancel()
        else:
            self._fail_what_it_awaits()

    def _fail_what_it_awaits(self) -> None:
        awaited: Any = self._task
        while isinstance(awaited, asyncio.Task):
            awaited = getattr(awaited, "_fut_waiter", None)
        if awaited is None or awaited.done():
            self._task.cancel()
        else:
            awaited.set_exception(Stopped("stopped while it waited, after it had ignored a cancellation"))

    def _watch(self, turned: _thread.LockType, call: int) -> None:
        deadline = time.monotonic() + PATIENCE
        pause = GRACE
        while not turned.acquire(timeout=pause):
            pause = RETRY
            if time.monotonic() > deadline:
                self._on_failure()
                return
            if not self._nudge():
                return
        if call == 1:
            return
        while time.monotonic() < deadline:
            time.sleep(RETRY)
            if self._task.done() or not self._nudge():
                return
        self._on_failure()

    def _nudge(self) -> bool:
        """Have `_handle` called in the main thread; False when it is not installed any more."""
        with self._lock:
            if not self._handling:
                return False
            self._nudged = True
            if hasattr(signal, "pthread_kill"):
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            else:
                _thread.interrupt_main(signal.SIGINT)
            return True

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self._nudged:
            self._nudged = False
            self._break_into(_running_step(frame))
        elif self._on_sigint:
            self.stop()
        elif callable(self._previous):
            self._previous(signum, frame)
        elif self._previous == signal.SIG_DFL:
            signal.default_int_handler(signum, frame)

    def _break_into(self, step: list[FrameType]) -> None:
        current = asyncio.current_task(self._loop)
        if self._task.done() or not _may_break(step):
            return
        if self._turned and current is not self._task and current not in self.newer():
            return
        if self.held_at is None:
            self.held_at = traceback.StackSummary.extract((frame, frame.f_lineno) for frame in reversed(step))
        else:
            # Another step holds the loop now. When ten children block, nine have not begun yet and need not.
            for task in self.newer():
                task.cancel()
        self._broke_task = current is self._task
        if current is not None:
            current.add_done_callback(_take_note)
        self._breaks += 1
        if self._breaks >= SWALLOWED and sys.gettrace() is None:
            self._raise_in_the_handler(step)
        raise Stopped("stopped while it held the event loop")

    def _raise_in_the_handler(self, step: list[FrameType]) -> None:
        """Have the exception raised once more on the next line: that is in the `except` that swallows it."""

        def on_line(frame: FrameType, event: str, argument: Any) -> Any:
            if event != "line":
                return on_line
            sys.settrace(None)
            raise Stopped("stopped while it held the event loop")

        for frame in step:
            frame.f_trace = on_line
        sys.settrace(lambda *_: None)

    def newer(self) -> list[asyncio.Task[Any]]:
        """The tasks that the task has made, or those it made."""
        return [task for task in asyncio.all_tasks(self._loop) if task not in self._older and not _is_kernels(task)]


def _running_step(frame: FrameType | None) -> list[FrameType]:
    """The frames of the step that the loop is running, innermost first; empty between two steps and in this module."""
    step: list[FrameType] = []
    while frame is not None and frame.f_globals is not globals():
        if frame.f_code is _HANDLE_RUN:
            return step
        step.append(frame)
        frame = frame.f_back
    return []


def _take_note(task: asyncio.Task[Any]) -> None:
    """Keep asyncio from reporting, some time later, that nobody asked how a task ended that was stopped on purpose."""
    # Only of that end: asking for the exception would also hide another one, raised while cleaning up.
    if isinstance(getattr(task, "_exception", None), Stopped):
        task.exception()


def _may_break(step: list[FrameType]) -> bool:
    outermost = next((frame for frame in reversed(step) if _package(frame) != "asyncio"), None)
    if outermost is None or not _is_kernel_code(outermost):
        return outermost is not None
    # In a step of the kernel an exception is safe between the frame of a cell and the code that awaits the cell's end.
    return any(frame.f_globals.get("__name__") == "__main__" for frame in step)


def _is_kernels(task: asyncio.Task[Any]) -> bool:
    frame = getattr(task.get_coro(), "cr_frame", None)
    return frame is None or _is_kernel_code(frame)


def _is_kernel_code(frame: FrameType) -> bool:
    return _package(frame) in _KERNEL_PACKAGES or frame.f_globals.get("__name__") in _KERNEL_MODULES


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
