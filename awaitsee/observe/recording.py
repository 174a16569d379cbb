"""What is noted while a run goes on: tasks, their steps, calls in threads. `recorder` makes records of it."""

from __future__ import annotations

import asyncio
import itertools
import threading
import uuid
import weakref
from array import array
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from contextvars import Context, ContextVar, Token
from time import perf_counter
from types import FrameType
from typing import TYPE_CHECKING, Any

from awaitsee.observe.observation import Outcome
from awaitsee.observe.origin import Handed, origin_of, owner_of, place_in

if TYPE_CHECKING:
    from awaitsee.observe.loopwatch import LoopWatch

BLOCK_SECONDS = 0.05
"""A step as long as this holds the loop."""
MAX_STEPS = 1 << 17
"""Beyond so many numbers a task's steps are joined in pairs."""
_STEP_NAMES = frozenset({"task_wakeup", "__step", "__wakeup"})

RUN: ContextVar[Run | None] = ContextVar("awaitsee_run", default=None)
"""The innermost run whose context this is."""
HERE = threading.local()
"""`HERE.call` is the call that this worker thread is busy with."""


class TaskRef(weakref.ref[Any]):
    """A weak reference to a task that knows the task's track, so that a lost task can be told from a running one."""

    __slots__ = ("key", "track")
    key: int
    track: Track


class Track:
    """One task while it is recorded. Times are on `perf_counter`; steps lie as start, end, start, end, ..."""

    __slots__ = (
        "automatic_name",
        "coroutine",
        "created",
        "error",
        "finished",
        "given",
        "internal",
        "label",
        "name",
        "outcome",
        "parent",
        "ref",
        "run",
        "serial",
        "started",
        "steps",
        "superstep",
    )

    def __init__(self, serial: int, run: Run, label: str, internal: bool, parent: Track | None) -> None:
        self.serial = serial
        self.run = run
        self.label = label
        self.name = label
        self.automatic_name = ""
        self.given = ""
        self.internal = internal
        self.parent = parent
        self.created = perf_counter()
        self.started: float | None = None
        self.finished: float | None = None
        self.outcome: Outcome = "running"
        self.error = ""
        self.steps = array("d")
        self.superstep: int | None = None
        self.ref: TaskRef | None = None
        self.coroutine: Coroutine[Any, Any, Any] | None = None


class Call:
    """One function handed to a worker thread. Times are on `perf_counter`."""

    __slots__ = ("error", "finished", "internal", "name", "run", "started", "submitted", "superstep", "thread", "track")

    def __init__(self, run: Run, handed: Handed, track: Track | None) -> None:
        self.run = run
        self.name, self.internal, self.superstep = handed
        self.track = track
        self.thread = ""
        self.submitted = perf_counter()
        self.started: float | None = None
        self.finished: float | None = None
        self.error = ""


class LongStep:
    """A step that held the loop."""

    __slots__ = ("end", "name", "place", "run", "start", "track")

    def __init__(
        self, run: Run, start: float, end: float, track: Track | None, name: str, place: tuple[str, int] | None
    ) -> None:
        self.run = run
        self.start = start
        self.end = end
        self.track = track
        self.name = name
        self.place = place


class Recording:
    """What an outermost run and the runs inside it share."""

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self.live: dict[int, Track] = {}
        """The unfinished tasks by identity; they are not kept alive by this."""
        self.calls: list[Call] = []
        self.long_steps: list[LongStep] = []
        self.announced: list[Track] = []
        """Tasks that are being made at this moment: an eager one runs before it can be told who it is."""
        self.unnamed: list[tuple[Track, asyncio.Task[Any]]] = []
        """Tasks that ended before they could be given their name."""
        self.runs: list[Run] = []
        self.serials: Iterator[int] = itertools.count()


class Run:
    """One `observe`. A run inside another one shares its recording, so the outer run sees the inner one's tasks."""

    def __init__(self, loop: asyncio.AbstractEventLoop, watch: LoopWatch) -> None:
        outer = RUN.get()
        self.outer = outer if outer is not None and outer.loop is loop else None
        self.recording: Recording = self.outer.recording if self.outer is not None else Recording()
        self.recording.runs.append(self)
        self.id = uuid.uuid4().hex[:12]
        self.watch = watch
        self.live = self.recording.live
        self.loop: asyncio.AbstractEventLoop | None = loop
        """The loop, or None once nobody wants to know any more."""
        self.open = True
        self.root: Track | None = None
        self.opened = perf_counter()
        self.ended: float | None = None
        self.closed: float | None = None
        self.leaked: list[Track] = []
        self.entered: list[tuple[Context, Token[Run | None]]] = []
        """Contexts of older tasks that were told of this run."""
        self.outcome: Outcome = "running"
        self.error = ""
        self.last_step: list[tuple[float, float]] = []
        """The step in which a recorded block ends: the run is over before the step is."""
        self.numbers: dict[int, int] = {}
        """The number of each task in this run's records, by serial."""

    def current_track(self) -> Track | None:
        """Return the track of the task that runs on this thread, or that handed this thread its work."""
        call: Call | None = getattr(HERE, "call", None)
        if call is not None:
            return call.track
        try:
            task = asyncio.current_task()
        except RuntimeError:
            return None
        if task is None:
            return None
        return self.live.get(id(task)) or self._being_made(task) or self._unannounced(task)

    def _being_made(self, task: asyncio.Task[Any]) -> Track | None:
        """Return the track of an eager task in its first step, which runs before the task is known."""
        coroutine = task.get_coro()
        for track in reversed(self.recording.announced):
            if track.coroutine is coroutine:
                self._follow(track, task)
                return track
        return None

    def _unannounced(self, task: asyncio.Task[Any]) -> Track | None:
        """Adopt the present task if it is of this run but made past the task factory, as LangGraph makes eager ones."""
        run = RUN.get()
        if run is None or run.recording is not self.recording or self.root is None:
            return None
        track = self.adopt(task)
        track.started = track.created
        return track

    # -- what the patched loop calls -------------------------------------------------------------------------------

    def announce(self, coroutine: Coroutine[Any, Any, Any], maker: FrameType) -> Track:
        """Note a task that is about to be made."""
        if self.recording.unnamed:
            self.name_the_finished()
        origin = origin_of(coroutine, maker)
        track = self._new_track(origin.label, origin.internal, self.current_track())
        track.superstep = origin.superstep
        track.coroutine = coroutine
        self.recording.announced.append(track)
        return track

    def _new_track(self, label: str, internal: bool, parent: Track | None) -> Track:
        track = Track(next(self.recording.serials), self, label, internal, parent)
        self.recording.tracks.append(track)
        if self.root is None:
            self.root = track
            track.internal = False
        return track

    def bind(self, track: Track, task: asyncio.Task[Any]) -> None:
        """Tell a track which task it is of; an eager task has run its first step by now and may have ended."""
        track.coroutine = None
        self.recording.announced.remove(track)
        if track.ref is None:
            self._follow(track, task)
        done = task.done()
        if done or getattr(task.get_coro(), "cr_suspended", False):
            now = perf_counter()
            track.started = track.created
            track.steps.extend((track.created, now))
            if done:
                self.finish(track, task, now)
                self.recording.unnamed.append((track, task))

    def forget(self, track: Track) -> None:
        """Take back an announced task that could not be made."""
        self.recording.announced.remove(track)
        self.recording.tracks.remove(track)
        if self.root is track:
            self.root = None

    def _follow(self, track: Track, task: asyncio.Task[Any]) -> None:
        ref = TaskRef(task, self._lost)
        ref.key = id(task)
        ref.track = track
        track.ref = ref
        self.live[ref.key] = track

    def _lost(self, ref: weakref.ref[Any]) -> None:
        assert isinstance(ref, TaskRef)
        if self.live.get(ref.key) is ref.track:
            del self.live[ref.key]
        ref.track.ref = None
        ref.track.finished = perf_counter()
        ref.track.outcome = "lost"
        ref.track.error = "lost: nothing referred to the task any more, so it was never finished"

    def adopt(self, task: asyncio.Task[Any]) -> Track:
        """Begin to record a task that exists already."""
        known = self.live.get(id(task))
        if known is not None:
            return known
        label, internal, _ = origin_of(task.get_coro(), None)
        # The task whose step this is, unless this is the first step that is seen of the task itself.
        parent = self.live.get(id(getattr(self.watch.callback, "__self__", None)))
        track = self._new_track(label, internal, parent)
        self._follow(track, task)
        return track

    def stranger(self, callback: Callable[..., object], task: object) -> Track | None:
        """Return the track for a step of a task that our factory has not made, or None when it is no step of a task."""
        if not isinstance(task, asyncio.Task) or not _is_step(callback):
            return None
        return self.adopt(task)

    def first_step(self, track: Track, callback: Callable[..., object], task: asyncio.Task[Any], start: float) -> bool:
        """Note that a task begins to run; False when this is not a step of it."""
        if not _is_step(callback):
            return False
        if track.started is None:
            track.started = start
        self.read_name(track, task)
        return True

    def read_name(self, track: Track, task: asyncio.Task[Any]) -> None:
        """Take over the name that the user gave; one that asyncio or anyio made up says less than the label."""
        if track.given:
            return
        name = task.get_name()
        if name == "None" and track.automatic_name:
            # An eager task that ended before its name could be given back.
            return
        if name.startswith("Task-") and name[5:].isdigit():
            return
        head = track.label.partition("(")[0]
        if "." in name and name.endswith(f".{head}"):
            return
        track.name = name

    def name_the_finished(self) -> None:
        """Read the names of tasks that ended before anyone could name them."""
        unnamed, self.recording.unnamed = self.recording.unnamed, []
        for track, task in unnamed:
            self.read_name(track, task)

    def finish(self, track: Track, task: asyncio.Task[Any], end: float) -> None:
        """Note how a task ended."""
        self.read_name(track, task)
        track.finished = end
        ref, track.ref = track.ref, None
        if ref is not None:
            self.live.pop(ref.key, None)
        if task.cancelled():
            track.outcome = "cancelled"
        else:
            # `task.exception()` would count as retrieving it and silence asyncio's complaint about one that nobody did.
            error = task._exception
            track.outcome = "returned" if error is None else "raised"
            track.error = describe(error)
        run: Run | None = track.run
        while run is not None:
            if run.root is track:
                run.end(end)
            run = run.outer

    def end(self, when: float) -> None:
        """Note that the observed coroutine ended and who is still alive."""
        if self.ended is None:
            self.ended = when
            self.leaked = [track for track in self.alive() if not track.internal]

    def alive(self) -> list[Track]:
        """Return the unfinished tasks of this run without its root, in order of creation."""
        return sorted(
            (track for track in self.live.values() if track is not self.root and self.holds(track)),
            key=lambda track: track.serial,
        )

    def holds(self, item: Track | Call | LongStep) -> bool:
        """Tell whether something belongs to this run or to a run inside it."""
        return item is self.root or is_inside(item.run, self)

    def busy(self) -> bool:
        """Tell whether a task or a thread call of the user's is unfinished."""
        if any(not track.internal for track in self.alive()):
            return True
        return any(call.finished is None and not call.internal and self.holds(call) for call in self.recording.calls)

    def long_step(
        self, callback: Callable[..., object], owner: object, track: Track | None, start: float, end: float
    ) -> None:
        """Note a step that held the loop, and where."""
        place = self.watch.place_of(start)
        if place is None and isinstance(owner, asyncio.Task):
            place = place_in(owner.get_coro())
        if place is None and (code := getattr(callback, "__code__", None)) is not None:
            place = code.co_filename, code.co_firstlineno
        name = getattr(callback, "__qualname__", type(callback).__name__)
        self.recording.long_steps.append(LongStep(self, start, end, track, name, place))

    # -- beginning and end -----------------------------------------------------------------------------------------

    def plain_root(self, name: str) -> None:
        """Begin with a root that is not a task."""
        self._new_track(name, internal=False, parent=None).started = self.opened

    def enter(self, task: asyncio.Task[Any], name: str | None) -> None:
        """Begin with the running task as root."""
        known = self.live.get(id(task))
        root = self.root = known if known is not None else self.adopt(task)
        if known is None:
            root.started = self.opened
            root.internal = False
            if _owner_of_coroutine(task.get_coro()) != "user":
                root.name = root.given = "cell"
            if name is not None:
                root.name = root.given = name

    def end_step(self) -> None:
        """Count what has passed of the present step: the run ends before the step does."""
        if self.watch.step_started:
            self.last_step.append((self.watch.step_started, perf_counter()))

    def long_last_steps(self) -> list[LongStep]:
        """Return the step in which the run ended when it held the loop."""
        return [
            LongStep(self, start, end, self.root, "", self.watch.place_of(start))
            for start, end in self.last_step
            if end - start > BLOCK_SECONDS
        ]

    def close(self) -> None:
        """Stop recording for this run; an outer run goes on."""
        self.open = False
        self.closed = perf_counter()
        self.end(self.closed)
        self.name_the_finished()
        for track in self.alive():
            task = track.ref() if track.ref is not None else None
            if task is not None:
                self.read_name(track, task)
        if self.root is not None and self.root.run is self and self.root.ref is not None and self.outcome != "running":
            # The root of a block goes on, but not as part of the run.
            self.live.pop(self.root.ref.key, None)
            self.root.ref = None
        for run in self.recording.runs:
            outer: Run | None = run
            while outer is not None and not outer.open:
                outer = outer.outer
            if outer is None:
                run.loop = None
                run._leave()

    def _leave(self) -> None:
        entered, self.entered = self.entered, []
        for context, token in entered:
            # A context that is being run at this moment keeps the variable; a run without a loop records nothing.
            with suppress(RuntimeError):
                context.run(RUN.reset, token)


def is_inside(run: Run | None, outer: Run) -> bool:
    """Tell whether a run is `outer` or was begun in it."""
    while run is not None and run is not outer:
        run = run.outer
    return run is outer


def _is_step(callback: Callable[..., object]) -> bool:
    """Tell a task's step or wake-up from another of its methods, such as a `task.cancel` given to `call_later`."""
    return type(callback).__name__ == "TaskStepMethWrapper" or getattr(callback, "__name__", "") in _STEP_NAMES


def _owner_of_coroutine(coroutine: object) -> str:
    code = getattr(coroutine, "cr_code", None)
    return "library" if code is None else owner_of(code.co_filename)


def describe(error: BaseException | None) -> str:
    """Return an exception as one line, as in `ValueError: bad input`."""
    if error is None:
        return ""
    first = str(error).partition("\n")[0][:200]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def compacted(steps: array[float]) -> array[float]:
    """Halve the memory that very many steps take by joining each with its neighbour."""
    halved = array("d")
    halved.extend(value for index in range(0, len(steps) - 3, 4) for value in (steps[index], steps[index + 3]))
    halved.extend(steps[len(steps) - len(steps) % 4 :])
    return halved
