"""What one run did: records filled in by the recorder, and the questions one can ask of them."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from awaitsee.journal import Bill, Request

if TYPE_CHECKING:
    from awaitsee.observe.timeline import Picture

Outcome = Literal["returned", "raised", "cancelled", "lost", "running"]


@dataclass(slots=True)
class Step:
    """One turn on the event loop, in seconds since the run began: code ran without giving control back."""

    start: float
    end: float


@dataclass(slots=True)
class TaskRecord:
    """One asyncio task. Times are seconds since the run began; `None` means that it did not happen."""

    id: int
    """Order of creation; the observed coroutine's own task is 0."""
    name: str
    parent: int | None
    created: float
    started: float | None = None
    finished: float | None = None
    outcome: Outcome = "running"
    error: str = ""
    """`ValueError: bad input` when the task raised; why it was never finished when it was lost."""
    steps: list[Step] = field(default_factory=list)
    internal: bool = False
    """Its code lies in an installed package or the standard library, and so does the code that made it."""
    superstep: int | None = None
    """The superstep of LangGraph that it is a node of."""


@dataclass(slots=True)
class ThreadCall:
    """One function run in a worker thread. Times are seconds since the run began."""

    name: str
    """The function's name."""
    thread: str
    task: int | None
    """The task that handed it over, where it is known."""
    submitted: float
    started: float | None = None
    finished: float | None = None
    error: str = ""
    internal: bool = False
    """A library handed it over for business of its own."""
    superstep: int | None = None
    """The superstep of LangGraph that it is a node of."""


@dataclass(frozen=True, slots=True)
class Superstep:
    """One round of a LangGraph graph: nodes that run together, and that the next round waits for."""

    number: int
    """As LangGraph counts them, from 1."""
    start: float
    end: float
    """When the last of its nodes ended, in seconds since the run began."""
    nodes: tuple[str, ...]
    """The names of the nodes that ran, in order of their start; a node that ran several times stands here as often."""


@dataclass(frozen=True, slots=True)
class Block:
    """The longest step: who held the loop, for how many seconds, and where."""

    seconds: float
    task: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Lag:
    """How late the loop ran what was due, in seconds."""

    max: float
    p99: float


@dataclass(slots=True)
class Lane:
    """One row of the drawing: a task with the library's inner tasks folded into it, or a worker thread's call."""

    name: str
    depth: int
    kind: Literal["task", "thread"]
    created: float
    started: float | None
    finished: float | None
    outcome: Outcome
    running: list[Step]
    requests: list[tuple[float, float | None, str]]
    """(arrived, finished, mark) of each request made from this lane; the mark is `ok`, `error` or `aborted`."""


_GRACE_SECONDS = 0.1
"""How much later than the end of its task a request may end at the server before it counts as wasted."""


@dataclass(slots=True)
class Facts:
    """Everything that is known of a finished run. Times are seconds since the run began."""

    elapsed: float
    tasks: Callable[[], list[TaskRecord]]
    """All tasks, inner ones of libraries too; called when somebody asks for the first time."""
    recorded: float = 0.0
    """How long was recorded: `elapsed`, or more with `settle`."""
    threads: Sequence[ThreadCall] = ()
    requests: Sequence[Request] = ()
    blocks: Sequence[Block] = ()
    ticks: Sequence[tuple[float, float]] = ()
    leaked: Sequence[str] = ()
    result: Any = None
    error: BaseException | None = None
    internals: bool = False


_latest: weakref.ref[Observation] | None = None


def latest() -> Observation | None:
    """Return the run that was observed last, as long as anybody keeps it."""
    return _latest() if _latest is not None else None


class Observation:
    """The facts of one run. `observe` makes it; all times are seconds since the run began.

    Inside `async with observe() as run:` the run is still going on, and asking it anything raises `RuntimeError`.
    """

    def __init__(self, facts: Facts | None = None) -> None:
        self._known = facts

    def fill(self, facts: Facts) -> None:
        """Take the facts of the run, at its end."""
        global _latest
        self._known = facts
        _latest = weakref.ref(self)

    @property
    def finished(self) -> bool:
        """Whether the run is over and can be asked."""
        return self._known is not None

    @property
    def _facts(self) -> Facts:
        if self._known is None:
            raise RuntimeError("This run is still being recorded: ask after the `async with observe()` block.")
        return self._known

    @property
    def result(self) -> Any:
        """What the observed coroutine returned."""
        return self._facts.result

    @property
    def error(self) -> BaseException | None:
        """What the observed coroutine raised, when `keep_error=True` kept it."""
        return self._facts.error

    @property
    def elapsed(self) -> float:
        """Seconds from the beginning of the run to the end of the observed coroutine or block."""
        return self._facts.elapsed

    @property
    def recorded(self) -> float:
        """Seconds that were recorded: `elapsed`, and what `settle` added."""
        return max(self._facts.recorded, self._facts.elapsed)

    @cached_property
    def all_tasks(self) -> list[TaskRecord]:
        """Every task, also those that libraries made for themselves, in order of creation."""
        return self._facts.tasks()

    @property
    def tasks(self) -> list[TaskRecord]:
        """The tasks of the user's, in order of creation; the first is the observed coroutine's own.

        What is awaited without a task runs in the task that awaits it and has no record of its own.
        """
        return self.all_tasks if self._facts.internals else [task for task in self.all_tasks if not task.internal]

    @property
    def all_threads(self) -> list[ThreadCall]:
        """Every call in a worker thread, also those that libraries made for themselves."""
        return list(self._facts.threads)

    @property
    def threads(self) -> list[ThreadCall]:
        """The calls in worker threads, without those that libraries made for themselves."""
        return [call for call in self._facts.threads if self._facts.internals or not call.internal]

    @cached_property
    def supersteps(self) -> list[Superstep]:
        """The supersteps of the graph that ran, in order; empty when several graphs ran at once, or none."""
        records = {task.id: task for task in self.all_tasks}

        def is_outermost(item: TaskRecord | ThreadCall) -> bool:
            above = item.parent if isinstance(item, TaskRecord) else item.task
            while above is not None and records[above].superstep is None:
                above = records[above].parent
            return item.superstep is not None and above is None

        items: list[TaskRecord | ThreadCall] = [*self.all_tasks, *self.all_threads]
        nodes = [item for item in items if is_outermost(item)]
        rounds: list[list[TaskRecord | ThreadCall]] = []
        for node in sorted(nodes, key=_began):
            if not rounds or rounds[-1][0].superstep != node.superstep:
                rounds.append([])
            rounds[-1].append(node)
        steps = [
            Superstep(
                number=each[0].superstep or 0,
                start=_began(each[0]),
                end=max(self.recorded if node.finished is None else node.finished for node in each),
                nodes=tuple(node.name for node in each),
            )
            for each in rounds
        ]
        overlapping = any(after.start < before.end for before, after in pairwise(steps))
        return [] if overlapping else steps

    @property
    def requests(self) -> list[Request]:
        """The run's requests from the journals, in order of arrival; `task` is the id of the task that made it."""
        return list(self._facts.requests)

    @property
    def blocks(self) -> list[Block]:
        """Every step of 50 ms or more, in order."""
        return list(self._facts.blocks)

    @property
    def longest_block(self) -> Block | None:
        """The longest step, or None when no step took 50 ms."""
        return max(self._facts.blocks, key=lambda block: block.seconds, default=None)

    @property
    def ticks(self) -> list[tuple[float, float]]:
        """When each beat of the heartbeat was due and when it came; a beat is due 10 ms after the last one."""
        return list(self._facts.ticks)

    @property
    def lag(self) -> Lag:
        """How late the loop ran the heartbeat."""
        late = sorted(max(0.0, came - due) for due, came in self._facts.ticks)
        return Lag(max=late[-1], p99=_percentile(late, 99)) if late else Lag(max=0.0, p99=0.0)

    @property
    def leaked(self) -> list[str]:
        """The names of the tasks that were still alive when the observed coroutine ended."""
        return list(self._facts.leaked)

    @property
    def peak_tasks(self) -> int:
        """Most tasks in flight at once; the observed coroutine's own task counts only while it is alone."""
        return max(1, _peak((task.created, task.finished) for task in self.tasks[1:]))

    @property
    def peak_requests(self) -> int:
        """Most requests in flight at once."""
        return _peak((request.arrived, request.finished) for request in self._facts.requests)

    def latency(self, p: float) -> float:
        """Return the p-th percentile, p from 0 to 100, of the finished requests' durations in seconds.

        Raises `ValueError` when no request finished or p is out of range.
        """
        if not 0 <= p <= 100:
            raise ValueError(f"latency() takes a percentile from 0 to 100, not {p}.")
        durations = sorted(each.finished - each.arrived for each in self._facts.requests if each.finished is not None)
        if not durations:
            raise ValueError("No request of this run finished, so there is no latency: send some to a practice server.")
        return _percentile(durations, p)

    @property
    def bill(self) -> Bill:
        """What the run's requests cost, including what was written after nobody wanted it any more."""
        return Bill.of(self._facts.requests)

    @property
    def wasted(self) -> int:
        """How many requests the server went on with when nobody could want the answer any more.

        That is after the observed coroutine ended, or after the task that made the request, or one above it, was
        cancelled, failed or was lost. A request that ends within 0.1 s of that moment does not count.
        """
        tasks = {task.id: task for task in self.all_tasks}
        return sum(self._is_wasted(request, tasks) for request in self._facts.requests)

    def _is_wasted(self, request: Request, tasks: dict[int, TaskRecord]) -> bool:
        unwanted = self.elapsed
        task = tasks.get(int(request.task)) if request.task else None
        while task is not None:
            if task.finished is not None and task.outcome in ("raised", "cancelled", "lost"):
                unwanted = min(unwanted, task.finished)
            task = tasks.get(task.parent) if task.parent is not None else None
        return request.finished is None or request.finished > unwanted + _GRACE_SECONDS

    @property
    def speedup(self) -> float:
        """The sum of the requests' durations, else of the times that the innermost lanes were alive, over `elapsed`."""
        if self.elapsed <= 0:
            return 1.0
        spans = [(request.arrived, request.finished) for request in self._facts.requests]
        if not spans:
            lanes = self.lanes()
            spans = [
                (lane.created, lane.finished)
                for lane, following in zip(lanes, [*lanes[1:], None], strict=True)
                if following is None or following.depth <= lane.depth
            ]
        return sum((self.recorded if end is None else end) - begin for begin, end in spans) / self.elapsed

    def lanes(self, internals: bool | None = None) -> list[Lane]:
        """Return the rows of the drawing: each task, and below it, one deeper, the tasks and thread calls made from it.

        Siblings are in order of creation. With `internals` the tasks that libraries made have lanes of their own;
        without, their steps and requests are in the lane of the task that they were made from. The default is what
        `observe` was told.
        """
        unfolded = self._facts.internals if internals is None else internals
        return _lanes(self, unfolded)

    def plot(self, title: str = "", **options: Any) -> Picture:
        """Draw the timeline; see `awaitsee.observe.timeline.plot` for the options."""
        from awaitsee.observe import timeline  # draws with matplotlib, which takes long to import

        return timeline.plot(self, title=title, **options)

    def save(self, path: str | Path, **options: Any) -> None:
        """Write the timeline to a PNG, SVG or HTML file; see `awaitsee.observe.timeline.save`."""
        from awaitsee.observe import timeline  # draws with matplotlib, which takes long to import

        timeline.save(self, path, **options)

    def __repr__(self) -> str:
        if self._known is None:
            return "<Observation: still recording>"
        # As in `peak_tasks`, the observed coroutine's own task counts only while it is alone.
        parts = [_count(max(1, len(self.tasks) - 1), "task")]
        if self.threads:
            parts.append(_count(len(self.threads), "thread call"))
        if self.requests:
            parts += [_count(len(self.requests), "request"), f"at most {self.peak_requests} in flight"]
        else:
            parts.append(f"at most {self.peak_tasks} in flight")
        parts.append(f"{self.elapsed:.1f} s")
        if self.error is not None:
            parts.append(type(self.error).__name__)
        return f"<Observation: {', '.join(parts)}>"


def _began(node: TaskRecord | ThreadCall) -> float:
    return node.created if isinstance(node, TaskRecord) else node.submitted


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _percentile(ordered: Sequence[float], p: float) -> float:
    position = (len(ordered) - 1) * p / 100
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def _peak(spans: Iterable[tuple[float, float | None]]) -> int:
    changes: list[tuple[float, int]] = []
    for begin, end in spans:
        changes.append((begin, 1))
        if end is not None:
            changes.append((end, -1))
    present = highest = 0
    # What ends at the moment at which another begins is not in flight together with it: -1 sorts before 1.
    for _, change in sorted(changes):
        present += change
        highest = max(highest, present)
    return highest


class _Branch:
    """A lane in the making, with what lies below it."""

    def __init__(self, task: TaskRecord) -> None:
        self.task = task
        self.steps: list[Step] = []
        self.tasks: list[TaskRecord] = []
        self.calls: list[ThreadCall] = []
        self.requests: list[Request] = []


def _lanes(run: Observation, unfolded: bool) -> list[Lane]:
    tasks = run.all_tasks
    if not tasks:
        return []
    records = {task.id: task for task in tasks}
    root = tasks[0]

    def visible(identity: int | None) -> TaskRecord:
        task = records.get(identity, root) if identity is not None else root
        while task.internal and not unfolded and task is not root:
            task = records.get(task.parent, root) if task.parent is not None else root
        return task

    branches: dict[int, _Branch] = {task.id: _Branch(task) for task in tasks if visible(task.id) is task}
    for task in tasks:
        branches[visible(task.id).id].steps += task.steps
        if task.id in branches and task is not root:
            branches[visible(task.parent).id].tasks.append(task)
    for call in run.all_threads:
        if unfolded or not call.internal:
            branches[visible(call.task).id].calls.append(call)
    for request in run.requests:
        branches[visible(int(request.task) if request.task else None).id].requests.append(request)

    lanes: list[Lane] = []
    # A stack instead of recursion: a chain of tasks may be deeper than Python's limit.
    waiting: list[tuple[TaskRecord | ThreadCall, int]] = [(root, 0)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, ThreadCall):
            lanes.append(_thread_lane(item, depth, (), run.recorded))
            continue
        branch = branches[item.id]
        if not unfolded and _is_call_in_disguise(branch):
            lanes.append(_thread_lane(branch.calls[0], depth, branch.requests, run.recorded))
            continue
        lanes.append(_task_lane(branch, depth))
        below: list[tuple[float, TaskRecord | ThreadCall]] = [(task.created, task) for task in branch.tasks]
        below += [(call.submitted, call) for call in branch.calls]
        waiting += [(each, depth + 1) for _, each in reversed(sorted(below, key=lambda pair: pair[0]))]
    return lanes


def _is_call_in_disguise(branch: _Branch) -> bool:
    """Tell a task that only waits for a thread, as a graph's node with a sync function does: one lane is enough."""
    return not branch.tasks and len(branch.calls) == 1 and branch.calls[0].name == branch.task.name


def _task_lane(branch: _Branch, depth: int) -> Lane:
    task = branch.task
    return Lane(
        name=task.name,
        depth=depth,
        kind="task",
        created=task.created,
        started=task.started,
        finished=task.finished,
        outcome=task.outcome,
        running=sorted(branch.steps, key=lambda step: step.start),
        requests=[(request.arrived, request.finished, _mark(request)) for request in branch.requests],
    )


def _thread_lane(call: ThreadCall, depth: int, requests: Iterable[Request], end: float) -> Lane:
    outcome: Outcome = "running" if call.finished is None else "raised" if call.error else "returned"
    return Lane(
        name=call.name,
        depth=depth,
        kind="thread",
        created=call.submitted,
        started=call.started,
        finished=call.finished,
        outcome=outcome,
        running=[] if call.started is None else [Step(call.started, end if call.finished is None else call.finished)],
        requests=[(request.arrived, request.finished, _mark(request)) for request in requests],
    )


def _mark(request: Request) -> str:
    if request.aborted:
        return "aborted"
    failed = request.finished is not None and not 0 < request.status < 400
    return "error" if failed or request.status >= 400 else "ok"
