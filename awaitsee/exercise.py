"""Check cells: what was wanted, what was seen, and what to try next."""

from __future__ import annotations

import _thread
import asyncio
import inspect
import re
import signal
import sys
import threading
from contextvars import Token
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from awaitsee import progress
from awaitsee.interrupt import Stopped, Stopper
from awaitsee.observe import observation, recorder
from awaitsee.observe.origin import owner_of

DEADLINE = 15.0
"""Seconds that the code of an exercise may take."""
PATIENCE = 0.5
"""Seconds after which code that goes on although it was stopped is left alone."""
SECOND_STOP = 1.0
"""Seconds after the deadline at which code that ignored the first attempt to stop it is stopped for good."""
LONGEST_SIGHT = 200
"""Characters of what was seen that are shown."""

_UNSEEN: Any = object()
_open: list[exercise] = []


class YourTurn(NotImplementedError):
    """What the stub of an exercise raises: this part is yours to write.

    Making one is enough: a library that swallows it, or an observed run that keeps it, does not hide it from the check.
    """

    def __init__(self, *details: object) -> None:
        super().__init__(*details)
        if _open:
            _open[-1].untouched = True


class ExerciseFailed(Exception):
    """The check of an exercise found something that is not as wanted. It shows as one line, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class exercise:
    """The check of one exercise: `with exercise("06.1") as check:`, and in the block `check(wanted, passed, ...)`.

    Prints a line per condition. An exercise whose stub was not touched says so and is no failure; a condition that is
    not met raises ExerciseFailed at the end of the block, with the timeline of the last observed run; an exception of
    the learner's code passes through. Code that does not end is stopped after `deadline` seconds, whether it waits or
    holds the event loop: for that it has to run in `await observe(...)` or `await simulate(...)`.
    """

    def __init__(self, number: str, *, deadline: float = DEADLINE) -> None:
        """Name the exercise, such as "06.1".

        Raises ValueError when the number has another form.
        """
        if not re.fullmatch(r"\d\d\.\d", number):
            raise ValueError(f"An exercise is named like '06.1', not {number!r}.")
        self.number = number
        self.deadline = deadline
        self.untouched = False
        self.conditions = 0
        self.failures = 0
        self._task: asyncio.Task[Any] | None = None
        self._cancelled_before = 0
        self._stopper: Stopper | None = None
        self._patience: Token[float | None] | None = None
        self._timers: list[threading.Timer] = []
        self._over = False
        self._earlier_run = observation.latest()

    def __call__(self, wanted: str, passed: object, *, saw: object = _UNSEEN, hint: str = "") -> bool:
        """Note one condition and return whether it is met.

        Args:
            wanted: The condition in words, such as "never more than 3 in flight".
            passed: Whether it is met: anything that is true or false.
            saw: What was seen instead; shown when it is not met.
            hint: What to try; shown when it is not met.

        Raises:
            TypeError: When `passed` is something to await instead of a yes or no.
        """
        if inspect.isawaitable(passed):
            raise TypeError("The condition is a coroutine, which always counts as true: await it first.")
        self.conditions += 1
        if self.untouched:
            return False
        if passed:
            print(f"{self.number}  ok  {wanted}")
            return True
        self.failures += 1
        seen = "" if saw is _UNSEEN else f"; saw {_shorten(saw)}"
        print(f"{self.number}  NO  {wanted}{seen}")
        if hint:
            print(f"          Try: {hint}")
        return False

    def __enter__(self) -> Self:
        _open.append(self)
        self._patience = recorder.PATIENCE.set(PATIENCE)
        caller = sys._getframe(1)
        if caller.f_code.co_flags & inspect.CO_COROUTINE:
            self._task = asyncio.current_task()
        if self._task is not None:
            self._cancelled_before = self._task.cancelling()
            self._stopper = Stopper(self._task, on_failure=_advise_restart)
            self._stopper.__enter__()
        for seconds in (self.deadline, self.deadline + SECOND_STOP):
            timer = threading.Timer(seconds, self._stop)
            timer.daemon = True
            timer.start()
            self._timers.append(timer)
        return self

    def _stop(self) -> None:
        self._over = True
        if self._stopper is not None:
            self._stopper.stop()
        elif hasattr(signal, "pthread_kill"):
            # A real signal ends a `time.sleep`; interrupt_main waits for its end.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        else:
            _thread.interrupt_main()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        for timer in self._timers:
            timer.cancel()
        if self._stopper is not None:
            # What is left of the learner's code must not run on into the next check.
            for task in self._stopper.newer():
                task.cancel("the check is over")
            self._stopper.__exit__(kind, error, traceback)
        _open.remove(self)
        _throw_away_unawaited()
        if self._patience is not None:
            recorder.PATIENCE.reset(self._patience)
        if self._over and isinstance(error, asyncio.CancelledError | Stopped | KeyboardInterrupt):
            self._take_back_cancellation()
            self._note("tried")
            raise ExerciseFailed(self._what_did_not_end()) from None
        if self.untouched and not _has_other_errors(error):
            print(f"{self.number} is yours to write: the code still says `raise YourTurn`.")
            return True
        if error is not None:
            if isinstance(error, Exception):
                self._note("tried")
            return False
        if self._over:
            self._note("tried")
            raise ExerciseFailed(self._what_did_not_end())
        if not self.conditions:
            raise ExerciseFailed(f"{self.number} checks nothing: its check cell was changed. Take a fresh copy of it.")
        if self.failures:
            self._note("tried")
            self._show_run()
            raise ExerciseFailed(
                f"{self.number}: {self.failures} of {self.conditions} conditions not met. "
                "Change your code, run its cell, then run this cell again."
            )
        self._note("done")
        print(f"{self.number} done.")
        return False

    def _show_run(self) -> None:
        """Show the timeline of the last run that this check observed, where there is a notebook to show it in."""
        run = observation.latest()
        if run is None or run is self._earlier_run:
            return
        from IPython import get_ipython
        from IPython.display import display

        if get_ipython() is not None:
            display(run.plot("What your code did"))  # type: ignore[no-untyped-call]

    def _take_back_cancellation(self) -> None:
        while self._task is not None and self._task.cancelling() > self._cancelled_before:
            self._task.uncancel()

    def _what_did_not_end(self) -> str:
        sentence = f"{self.number}: your code did not end within {self.deadline:g} s, so it was stopped."
        if self._stopper is None:
            return sentence
        held = self._stopper.held_at
        if held:
            place = next((frame for frame in reversed(held) if owner_of(frame.filename) == "user"), held[-1])
            return f"{sentence} It held the event loop at line {place.lineno}: {place.line}"
        return f"{sentence} Look for something that is awaited and never comes, or a loop that never ends."

    def _note(self, state: progress.State) -> None:
        try:
            if progress.is_learners_copy(Path.cwd()):
                progress.note(self.number, state)
        except OSError as error:
            print(f"Your progress could not be noted ({error.strerror}); the exercise counts all the same.")


def _has_other_errors(error: BaseException | None) -> bool:
    """Tell whether something else than a stub failed: a group may hold both."""
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(lambda each: not isinstance(each, YourTurn | BaseExceptionGroup)) is not None
    return error is not None and not isinstance(error, Exception)


def _advise_restart() -> None:
    print("This code does not react to being stopped. To end it, restart the kernel.", file=sys.stderr, flush=True)


def _throw_away_unawaited() -> None:
    """Close the coroutines in the last run's result: Python would warn of them at the next, perhaps better, try."""
    run = observation.latest()
    if run is None or not run.finished:
        return
    for thing in run.result if isinstance(run.result, list | tuple | set) else [run.result]:
        if inspect.iscoroutine(thing):
            thing.close()


def _shorten(thing: object) -> str:
    try:
        text = thing if isinstance(thing, str) else repr(thing)
    except Exception as error:
        text = f"a {type(thing).__name__} whose repr raises {type(error).__name__}"
    text = " ".join(text.split()) or "an empty text"
    return text if len(text) <= LONGEST_SIGHT else text[: LONGEST_SIGHT - 1] + "…"
