"""`observe`: run something and keep a record of what its tasks and threads did, step by step."""

from __future__ import annotations

import asyncio
import inspect
import threading
import warnings
from collections.abc import Awaitable, Generator
from contextlib import suppress
from contextvars import ContextVar, Token
from dataclasses import replace
from time import perf_counter
from types import TracebackType
from typing import Any

from awaitsee.journal import JournalSource, Request, sources
from awaitsee.observe import hooks
from awaitsee.observe.observation import Block, Facts, Observation, Outcome, Step, TaskRecord, ThreadCall
from awaitsee.observe.origin import shown_file
from awaitsee.observe.recording import RUN, LongStep, Run, Track, describe, is_inside
from awaitsee.observe.steps import adopted

_JOURNAL_SECONDS = 2.0
_JOURNAL_POLL_SECONDS = 0.05
_SETTLE_POLL_SECONDS = 0.01
# A request that the client has just let go of: the server needs a moment to notice.
_LAST_WORD_SECONDS = 0.04
_LAST_WORDS = 2
# With more runs than this inside one another, the whole journal is asked for once.
_MAX_JOURNAL_QUESTIONS = 4

_BLOCK: Any = object()

PATIENCE: ContextVar[float | None] = ContextVar("awaitsee_patience", default=None)
"""Seconds that a cancelled run gets to end before it is left alone; None waits for it, as plain `await` does."""
_abandoned: set[asyncio.Future[Any]] = set()


class Observing:
    """What `observe` returns: await it, or use it in `async with`."""

    def __init__(self, awaitable: Any, keep_error: bool, settle: float, internals: bool, name: str | None) -> None:
        self._awaitable = awaitable
        self._keep_error = keep_error
        self._settle_seconds = settle
        self._internals = internals
        self._name = name
        self._run: Run | None = None
        self._observation = Observation()
        self._token: Token[Run | None] | None = None
        self._cancels = 0

    def __await__(self) -> Generator[Any, None, Observation]:
        if self._awaitable is _BLOCK:
            raise TypeError("observe() without a coroutine records a block: write `async with observe() as run:`.")
        return self._observe().__await__()

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and hasattr(Observation, name):
            raise AttributeError(f"There is no {name!r} before the run: write `run = await observe(...)`, with await.")
        raise AttributeError(name)

    # -- a coroutine -----------------------------------------------------------------------------------------------

    async def _observe(self) -> Observation:
        __tracebackhide__ = True
        loop = asyncio.get_running_loop()
        self._cancels = _cancels()
        run = self._open(loop)
        result: Any = None
        error: BaseException | None = None
        try:
            future = self._begin(run, loop)
            try:
                patience = PATIENCE.get()
                result = await (future if patience is None else _outcome(future, patience))
            except BaseException as raised:
                _end_root(run, raised)
                if not self._keeps(raised):
                    raise
                error = raised.with_traceback(raised.__traceback__ and raised.__traceback__.tb_next)
            _end_root(run, error)
            await self._settle(run)
        finally:
            facts = _close(run)
        facts.result, facts.error, facts.internals = result, error, self._internals
        facts.requests = _relative(run, await _journal(run))
        self._observation.fill(facts)
        return self._observation

    def _open(self, loop: asyncio.AbstractEventLoop) -> Run:
        watch = hooks.acquire(loop)
        try:
            return Run(loop, watch)
        except BaseException:
            hooks.release(watch)
            raise

    def _begin(self, run: Run, loop: asyncio.AbstractEventLoop) -> asyncio.Future[Any]:
        """Start what is to be observed as a task whose context knows the run, or adopt what runs already."""
        awaitable = self._awaitable
        if isinstance(awaitable, asyncio.Future):
            future: asyncio.Future[Any] = awaitable
            if not isinstance(future, asyncio.Task):
                # What `gather` returns: its tasks exist, but have not run yet.
                run.plain_root(self._name or "gather")
            for task in getattr(future, "_children", [future]):
                if isinstance(task, asyncio.Task) and not task.done():
                    track = run.adopt(task)
                    track.internal = False
                    adopted[id(task)] = run
            if run.root is None:
                run.plain_root(self._name or "done")
        else:
            token = RUN.set(run)
            try:
                future = asyncio.ensure_future(awaitable, loop=loop)
            finally:
                RUN.reset(token)
        if run.root is not None and self._name is not None:
            run.root.name = run.root.given = self._name
        return future

    def _keeps(self, error: BaseException) -> bool:
        """Tell whether an error stays in `run.error`. The cancellation of whoever observes is not the run's error."""
        if not self._keep_error or not isinstance(error, (Exception, asyncio.CancelledError)):
            return False
        return not (isinstance(error, asyncio.CancelledError) and _cancels() > self._cancels)

    async def _settle(self, run: Run) -> None:
        """Go on recording until nothing is left behind, at most for `settle` seconds."""
        deadline = perf_counter() + self._settle_seconds
        asked = 0.0
        while perf_counter() < deadline:
            if not run.busy() and perf_counter() - asked > _JOURNAL_POLL_SECONDS:
                if all(request.finished is not None for request in await _ask_journals(run)):
                    return
                asked = perf_counter()
            await asyncio.sleep(_SETTLE_POLL_SECONDS)

    # -- a block ---------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Observation:
        if self._awaitable is not _BLOCK:
            raise TypeError("observe() with a coroutine is awaited: write `run = await observe(...)`.")
        loop = asyncio.get_running_loop()
        self._cancels = _cancels()
        run = self._run = self._open(loop)
        task = asyncio.current_task()
        assert task is not None
        run.enter(task, self._name)
        self._token = RUN.set(run)
        try:
            # The present step began before the run: with a new one, the block's first step can be timed too.
            await asyncio.sleep(0)
        except BaseException:
            self._leave(run)
            _close(run)
            raise
        return self._observation

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        run = self._run
        assert run is not None
        requests: list[Request] = []
        kept = error is not None and self._keeps(error)
        run.end_step()
        _end_root(run, error)
        try:
            if error is None or kept:
                await self._settle(run)
        finally:
            self._leave(run)
            facts = _close(run)
            facts.internals = self._internals
            facts.error = error if kept else None
            self._observation.fill(facts)
        if not isinstance(error, GeneratorExit):
            requests = await _journal(run)
        facts.requests = _relative(run, requests)
        return kept

    def _leave(self, run: Run) -> None:
        assert self._token is not None
        try:
            RUN.reset(self._token)
        except ValueError:
            # Left in another context than entered, as a fixture may do.
            RUN.set(run.outer)


def observe(
    awaitable: Awaitable[Any] = _BLOCK,
    /,
    *,
    keep_error: bool = False,
    settle: float = 0.0,
    internals: bool = False,
    name: str | None = None,
) -> Observing:
    """Record what a coroutine or a block does: `run = await observe(main())`, or `async with observe() as run:`.

    The coroutine runs as a child task; its exception passes through as it would without `observe`. Only tasks have
    lanes: what a task awaits directly is part of it. A task, or the future of a `gather`, that exists already is
    recorded from now on. The first step of an eager task lies inside the step of the task that made it. A run inside
    another run is recorded by both.

    Args:
        awaitable: The coroutine, task or other awaitable to run; leave it out to record a block.
        keep_error: Keep an exception in `run.error` instead of raising it. Cancelling the task that observes still
            raises.
        settle: Go on recording for up to so many seconds while tasks, thread calls or requests that were left behind
            are unfinished. `run.elapsed` and `run.leaked` are taken before.
        internals: Show the tasks that libraries make for themselves as lanes of their own.
        name: What to call the observed coroutine in the figure.

    Raises:
        TypeError: When the argument cannot be awaited.
    """
    if awaitable is not _BLOCK and not inspect.isawaitable(awaitable):
        raise TypeError(_what_to_pass(awaitable))
    return Observing(awaitable, keep_error, settle, internals, name)


def _what_to_pass(thing: object) -> str:
    if inspect.isasyncgen(thing) or inspect.isasyncgenfunction(thing):
        return (
            "observe() got an async generator: put the `async for` into a coroutine function and pass a call of that."
        )
    if callable(thing):
        name = getattr(thing, "__name__", type(thing).__name__)
        return f"observe() got the function {name} itself: call it, as in `await observe({name}(...))`."
    if isinstance(thing, (list, tuple, set)) and thing and all(inspect.isawaitable(each) for each in thing):
        return (
            f"observe() got a {type(thing).__name__} of coroutines: join them in one coroutine with `asyncio.gather`."
        )
    return (
        f"observe() got a value of type {type(thing).__name__}: pass the coroutine, `await observe(work())`, "
        "not what it returned, `observe(await work())`."
    )


async def _outcome(future: asyncio.Future[Any], patience: float) -> Any:
    """Await `future`, but not for more than `patience` seconds once it was cancelled."""
    try:
        await asyncio.wait([future])
    except BaseException:
        future.cancel()
        await asyncio.wait([future], timeout=patience)
        if not future.done():
            # Collected, a coroutine that swallows every exception would hang the interpreter.
            _abandoned.add(future)
        raise
    return future.result()


def _cancels() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


def _end_root(run: Run, error: BaseException | None) -> None:
    """Note the end of what is observed, where it is not a task that notes its end itself."""
    run.end(perf_counter())
    if error is None:
        run.outcome = "returned"
    elif isinstance(error, asyncio.CancelledError):
        run.outcome = "cancelled"
    else:
        run.outcome, run.error = "raised", describe(error)


def _close(run: Run) -> Facts:
    """Stop recording and return the facts."""
    for key in [key for key, value in adopted.items() if value is run]:
        del adopted[key]
    run.close()
    hooks.release(run.watch)
    return _facts(run)


# -- from tracks to records ----------------------------------------------------------------------------------------


def _facts(run: Run) -> Facts:
    recording = run.recording
    assert run.ended is not None and run.closed is not None
    zero, closed = run.opened, run.closed
    tracks = [run.root] if run.root is not None else []
    tracks += [track for track in recording.tracks if track is not run.root and run.holds(track)]
    run.numbers = {track.serial: number for number, track in enumerate(tracks)}
    longs = [step for step in recording.long_steps if step.start >= zero and step.end <= closed]
    longs = [step for step in longs if run.holds(step)] + run.long_last_steps()
    built: list[TaskRecord] = []

    def tasks() -> list[TaskRecord]:
        if not built:
            built.extend(_record(run, track) for track in tracks)
        return built

    return Facts(
        elapsed=run.ended - zero,
        recorded=closed - zero,
        tasks=tasks,
        threads=[
            ThreadCall(
                name=call.name,
                thread=call.thread,
                task=run.numbers.get(call.track.serial) if call.track is not None else None,
                submitted=call.submitted - zero,
                started=_before(call.started, zero, closed),
                finished=_before(call.finished, zero, closed),
                error=call.error,
                internal=call.internal,
                superstep=call.superstep,
            )
            for call in recording.calls
            if run.holds(call)
        ],
        blocks=[_block(step) for step in longs],
        ticks=[(due - zero, came - zero) for due, came in run.watch.beats_between(zero, closed)],
        leaked=[track.name for track in run.leaked],
    )


def _before(when: float | None, zero: float, closed: float) -> float | None:
    return None if when is None or when > closed else when - zero


def _block(step: LongStep) -> Block:
    track = step.track
    while track is not None and track.internal and track.parent is not None:
        track = track.parent
    file, line = step.place if step.place is not None else ("", 0)
    return Block(step.end - step.start, track.name if track is not None else step.name, shown_file(file), line)


def _record(run: Run, track: Track) -> TaskRecord:
    assert run.ended is not None and run.closed is not None
    zero, closed = run.opened, run.closed
    is_root = track is run.root
    # A block ends within a step, and its task goes on.
    until = run.last_step[0][0] if is_root and run.last_step else closed
    numbers = iter(track.steps)
    steps = [
        Step(max(start, zero) - zero, min(end, closed) - zero)
        for start, end in zip(numbers, numbers, strict=True)
        if start < until and end > zero
    ]
    if is_root:
        steps += [Step(max(start, zero) - zero, end - zero) for start, end in run.last_step]
    finished = _before(track.finished, zero, closed)
    outcome: Outcome = track.outcome if finished is not None else "running"
    error = track.error
    if is_root and run.outcome != "running":
        finished, outcome, error = run.ended - zero, run.outcome, run.error
    started = _before(track.started, zero, closed)
    return TaskRecord(
        id=run.numbers[track.serial],
        name=track.name,
        parent=None if is_root else _parent(run, track),
        created=max(track.created - zero, 0.0),
        started=None if started is None else max(started, 0.0),
        finished=finished,
        outcome=outcome,
        error=error,
        steps=steps,
        internal=track.internal and not is_root,
        superstep=track.superstep,
    )


def _parent(run: Run, track: Track) -> int:
    """Return the number of the task that made this one; what a bare callback made counts as made by the root."""
    return run.numbers.get(track.parent.serial, 0) if track.parent is not None else 0


# -- the journals --------------------------------------------------------------------------------------------------


async def _journal(run: Run) -> list[Request]:
    """Return what the journals know of the run. One that does not answer in time is left out, with a warning."""
    for _ in range(_LAST_WORDS):
        requests = await _ask_journals(run)
        if all(request.finished is not None for request in requests):
            return requests
        await asyncio.sleep(_LAST_WORD_SECONDS)
    return await _ask_journals(run)


async def _ask_journals(run: Run) -> list[Request]:
    labels = [each.id for each in run.recording.runs if is_inside(each, run)]
    pending = {_in_thread(source, labels): source for source in sources()}
    if not pending:
        return []
    done, late = await asyncio.wait(pending, timeout=_JOURNAL_SECONDS)
    requests: list[Request] = []
    for future in done:
        answer = future.result()
        if isinstance(answer, Exception):
            _warn_about(pending[future], describe(answer))
        else:
            requests += answer
    for future in late:
        _warn_about(pending[future], f"no answer in {_JOURNAL_SECONDS:g} s")
    return sorted(requests, key=lambda request: request.arrived)


def _warn_about(source: JournalSource, why: str) -> None:
    warnings.warn(
        f"The journal at {source.url} could not be read ({why}), so run.requests is not complete.",
        RuntimeWarning,
        stacklevel=2,
    )


def _in_thread(source: JournalSource, labels: list[str]) -> asyncio.Future[list[Request] | Exception]:
    """Ask a journal in a thread of its own: the loop's pool may be full of what is observed."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[Request] | Exception] = loop.create_future()

    def deliver(answer: list[Request] | Exception) -> None:
        if not future.done():
            future.set_result(answer)

    def ask() -> None:
        answer: list[Request] | Exception
        try:
            if len(labels) > _MAX_JOURNAL_QUESTIONS:
                wanted = set(labels)
                answer = [request for request in source.requests() if request.run in wanted]
            else:
                answer = [request for label in labels for request in source.requests(run=label)]
        except Exception as error:
            answer = error
        # The loop may have been closed meanwhile.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(deliver, answer)

    threading.Thread(target=ask, name="awaitsee-journal", daemon=True).start()
    return future


def _relative(run: Run, requests: list[Request]) -> list[Request]:
    """Put requests on the run's clock, and name the task by its number in this run."""
    zero = run.opened

    def shifted(when: float | None) -> float | None:
        return None if when is None else when - zero

    def task(label: str) -> str:
        return str(run.numbers[int(label)]) if label.isdigit() and int(label) in run.numbers else ""

    return [
        replace(
            request,
            arrived=request.arrived - zero,
            started=shifted(request.started),
            first_byte=shifted(request.first_byte),
            finished=shifted(request.finished),
            task=task(request.task),
        )
        for request in requests
    ]
