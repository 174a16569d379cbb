"""From what was recorded to what can be drawn: lanes become rows of spans. Pure functions; times stay seconds."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, Protocol

from awaitsee.journal import Request
from awaitsee.observe.observation import Block, Lane, Outcome, Step, Superstep, TaskRecord, ThreadCall

MOST_LANES = 40
"""More lanes than this fold into a band."""
_ROUNDING = 1e-6
"""Seconds. Times closer than this are the same; differences of clock readings are not exact."""
SHORTEST_AXIS = 0.001
"""Seconds shown at least, so that a run that took no time has an axis."""
NEAR = 3
"""Steps, and requests, closer to each other than this many pixels cannot be told apart: they are drawn as one."""
MOST_TRACKS = 6
"""More requests at once in one lane than this become a profile instead of blocks."""


class Run(Protocol):
    """What the drawing asks of an `Observation`. Times are seconds since the run began."""

    @property
    def elapsed(self) -> float: ...
    @property
    def recorded(self) -> float: ...
    @property
    def tasks(self) -> Sequence[TaskRecord]: ...
    @property
    def all_tasks(self) -> Sequence[TaskRecord]: ...
    @property
    def threads(self) -> Sequence[ThreadCall]: ...
    @property
    def requests(self) -> Sequence[Request]: ...
    @property
    def blocks(self) -> Sequence[Block]: ...
    @property
    def longest_block(self) -> Block | None: ...
    @property
    def leaked(self) -> Sequence[str]: ...
    @property
    def peak_requests(self) -> int: ...
    @property
    def peak_tasks(self) -> int: ...
    @property
    def wasted(self) -> int: ...
    @property
    def supersteps(self) -> Sequence[Superstep]: ...
    def lanes(self, internals: bool | None = None) -> list[Lane]: ...


SpanKind = Literal[
    "queue",
    "waiting",
    "request",
    "failed request",
    "aborted request",
    "request queue",
    "thread",
    "running",
    "held",
]


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of a row, from `start` to `end` seconds."""

    kind: SpanKind
    start: float
    end: float
    track: int = 0
    """Which of the row's tracks, when it has several."""
    share: float = 1.0
    """How much of the span is filled, where several short pieces were merged into one."""
    count: int = 1
    """How many pieces were merged."""
    number: int = 0
    """Its place in the row, from 1, where the drawing should number it."""


@dataclass(slots=True)
class Row:
    """One row of the drawing."""

    label: str
    depth: int
    kind: Literal["task", "thread", "request"]
    end: float
    """When it ended, or where the recording stopped."""
    outcome: Outcome
    spans: list[Span] = field(default_factory=list)
    tracks: int = 1
    profile: list[tuple[float, int]] = field(default_factory=list)
    """Requests in flight at each moment, when there are too many for tracks."""
    note: str = ""


@dataclass(slots=True)
class Folded:
    """Lanes as they are drawn: the first ones named, the rest as one band."""

    named: list[Lane]
    band: list[Lane]


@dataclass(frozen=True, slots=True)
class Axis:
    """Where the ticks stand (seconds) and what they say."""

    ticks: list[tuple[float, str]]


def last_moment(run: Run, lanes: Sequence[Lane]) -> float:
    """Return when the last thing worth drawing happened, in seconds."""
    latest = run.elapsed
    for lane in lanes:
        latest = max(latest, run.recorded if lane.finished is None else min(lane.finished, run.recorded))
        for _, finished, _ in lane.requests:
            latest = max(latest, run.recorded if finished is None else min(finished, run.recorded))
    return latest


def fold(lanes: Sequence[Lane], most: int = MOST_LANES) -> Folded:
    """Keep all lanes when they are at most `most`, else the first one by name and the others as a band."""
    if len(lanes) <= most:
        return Folded(list(lanes), [])
    return Folded(list(lanes[:1]), list(lanes[1:]))


def held_spans(run: Run, end: float) -> list[tuple[float, float]]:
    """Return when the loop was held too long, in order of time: everybody waits then, whatever lane it was.

    `run.blocks` knows which steps were too long, and the tasks' own steps when. A lane's `running` does not: several
    short steps in a row may be one piece there.
    """
    lengths = sorted(block.seconds for block in run.blocks)

    def is_block(seconds: float) -> bool:
        index = bisect_left(lengths, seconds - _ROUNDING)
        return index < len(lengths) and lengths[index] <= seconds + _ROUNDING

    return sorted(
        (max(step.start, 0.0), min(step.end, end))
        for task in run.all_tasks
        for step in task.steps
        if step.start < end and is_block(step.end - step.start)
    )


def running_spans(steps: Iterable[Step], held: Iterable[tuple[float, float]], pixel: float, end: float) -> list[Span]:
    """Turn steps into spans at least a `pixel` (in seconds) wide; pieces less than `NEAR` pixels apart become one.

    What lies in the steps of the times when the loop was `held` too long becomes spans of its own.
    """
    ordered = sorted(
        (max(step.start, 0.0), min(max(step.end, step.start), end))
        for step in steps
        if step.end >= 0 and step.start <= end
    )
    starts = [start for start, _ in ordered]
    pieces: list[tuple[float, float]] = []
    reds: list[Span] = []
    cut: dict[int, list[tuple[float, float]]] = {}
    for start, stop in held:
        index = bisect_right(starts, start + _ROUNDING) - 1
        if index >= 0 and stop <= ordered[index][1] + _ROUNDING:
            cut.setdefault(index, []).append((start, stop))
            reds.append(Span("held", start, max(stop, start + pixel)))
    for index, (start, stop) in enumerate(ordered):
        for red_start, red_stop in cut.get(index, []):
            if red_start > start + _ROUNDING:
                pieces.append((start, red_start))
            start = red_stop
        if stop > start + _ROUNDING or index not in cut:
            pieces.append((start, stop))
    return _merged(pieces, pixel) + reds


def _merged(pieces: Sequence[tuple[float, float]], pixel: float) -> list[Span]:
    """Join what is too narrow to be told apart; a piece that is wide enough to be seen stays itself."""
    merged: list[Span] = []
    busy = 0.0
    for start, stop in pieces:
        before = merged[-1] if merged else None
        if (
            before is not None
            and start - before.end < NEAR * pixel
            and stop - start < NEAR * pixel
            and (before.count > 1 or before.end - before.start < NEAR * pixel)
        ):
            busy += stop - start
            finish = max(before.end, stop)
            share = min(1.0, busy / (finish - before.start))
            merged[-1] = Span("running", before.start, finish, share=share, count=before.count + 1)
        else:
            busy = stop - start
            merged.append(Span("running", start, max(stop, start + pixel)))
    return merged


def in_flight(intervals: Iterable[tuple[float, float | None]], end: float) -> list[tuple[float, int]]:
    """Count how many intervals are open: `(time, number from then on)`, in order of time, starting at 0 seconds."""
    changes: dict[float, int] = {0.0: 0}
    for start, stop in intervals:
        begin = min(max(start, 0.0), end)
        changes[begin] = changes.get(begin, 0) + 1
        if stop is not None:
            finish = min(max(stop, begin), end)
            changes[finish] = changes.get(finish, 0) - 1
    level = 0
    counted = []
    for time in sorted(changes):
        level += changes[time]
        counted.append((time, level))
    if counted[-1][0] < end:
        counted.append((end, level))
    return counted


def envelope(counted: Sequence[tuple[float, int]], width: float) -> list[tuple[float, float, int]]:
    """Turn counts into `(start, end, level)` on a grid of `width` seconds; within a cell the highest level counts.

    So no peak gets lost, and the dips between one request and the next do not turn the strip into a comb.
    """
    highest: dict[int, int] = {}
    for (start, level), (end, _) in pairwise(counted):
        for cell in range(int(start / width), math.ceil(end / width - 1e-9)):
            highest[cell] = max(level, highest.get(cell, 0))
    pieces: list[tuple[float, float, int]] = []
    final = counted[-1][0]
    for cell in sorted(highest):
        start, end, level = cell * width, min((cell + 1) * width, final), highest[cell]
        if pieces and pieces[-1][2] == level:
            pieces[-1] = (pieces[-1][0], end, level)
        else:
            pieces.append((start, end, level))
    return pieces


_REQUEST_KIND: dict[str, SpanKind] = {"ok": "request", "error": "failed request", "aborted": "aborted request"}
_SERVED_KIND: dict[str, SpanKind] = {"cancelled": "aborted request", "raised": "failed request"}


def request_spans(
    requests: Sequence[tuple[float, float | None, str]], pixel: float, end: float
) -> tuple[list[Span], int, list[tuple[float, int]]]:
    """Place a lane's requests on as few tracks as possible: `(spans, number of tracks, profile)`.

    With more than `MOST_TRACKS` at once there are no spans but a profile of how many were in flight.
    """
    ordered = sorted(requests, key=lambda request: request[0])
    free: list[float] = []
    spans: list[Span] = []
    for number, (arrived, finished, mark) in enumerate(ordered, 1):
        start = min(max(arrived, 0.0), end)
        stop = end if finished is None else min(max(finished, start), end)
        track = next((index for index, until in enumerate(free) if until <= start), len(free))
        if track == len(free):
            free.append(stop)
        else:
            free[track] = stop
        if track >= MOST_TRACKS:
            return [], 1, in_flight(((arrived, finished) for arrived, finished, _ in ordered), end)
        spans.append(Span(_REQUEST_KIND[mark], start, stop, track=track, number=number if len(ordered) > 1 else 0))
    return _merge_thin(spans, pixel), max(len(free), 1), []


def _merge_thin(spans: list[Span], pixel: float) -> list[Span]:
    """Join neighbours of one kind and track that are too narrow to be told apart."""
    merged: list[Span] = []
    latest: dict[int, int] = {}
    for span in spans:
        index = latest.get(span.track)
        before = None if index is None else merged[index]
        if (
            index is not None
            and before is not None
            and before.kind == span.kind
            and span.end - span.start < NEAR * pixel
            and span.start - before.end < NEAR * pixel
            and (before.count > 1 or before.end - before.start < NEAR * pixel)
        ):
            merged[index] = Span(span.kind, before.start, span.end, span.track, count=before.count + 1)
            continue
        latest[span.track] = len(merged)
        merged.append(span)
    return merged


def row_of(lane: Lane, held: Sequence[tuple[float, float]], pixel: float, end: float) -> Row:
    """Lay out one lane.

    `held` says when the loop was held too long, `pixel` is the number of seconds that one pixel shows, and `end` is
    where the axis ends.
    """
    finish = end if lane.finished is None else min(lane.finished, end)
    begin = finish if lane.started is None else max(lane.started, 0.0)
    row = Row(lane.name, lane.depth, lane.kind, finish, lane.outcome)
    created = max(lane.created, 0.0)
    if begin - created > 2 * NEAR * pixel:
        row.spans.append(Span("queue", created, begin))
    if lane.kind == "thread":
        if lane.started is not None:
            row.spans.append(Span("thread", begin, max(finish, begin + pixel)))
        return row
    if lane.started is not None:
        row.spans.append(Span("waiting", begin, max(finish, begin + pixel)))
    requests, row.tracks, row.profile = request_spans(lane.requests, pixel, end)
    row.spans += requests
    row.spans += running_spans(lane.running, held, pixel, end)
    return row


def failed(request: Request) -> bool:
    """Tell whether the server refused the request or dropped it, and the client did not go away first."""
    return request.finished is not None and not request.aborted and (request.status == 0 or request.status >= 400)


def server_row(number: int, request: Request, pixel: float, end: float) -> Row:
    """Lay out the run's request number `number` as the server saw it: in its queue, then served."""
    finish = end if request.finished is None else min(request.finished, end)
    started = finish if request.started is None else min(max(request.started, 0.0), end)
    outcome: Outcome = "returned"
    if request.aborted:
        outcome = "cancelled"
    elif request.finished is None:
        outcome = "running"
    elif failed(request):
        outcome = "raised"
    row = Row(f"{number}  {request.path.removeprefix('/v1/').strip('/')}", 0, "request", finish, outcome)
    if outcome == "raised":
        row.note = str(request.status or "dropped")
    arrived = max(request.arrived, 0.0)
    if started - arrived > NEAR * pixel:
        row.spans.append(Span("request queue", arrived, started))
    else:
        started = arrived
    kind = _SERVED_KIND.get(outcome, "request")
    row.spans.append(Span(kind, started, max(finish, started + pixel)))
    return row


def axis(end: float, most: int = 8) -> Axis:
    """Choose round ticks for an axis from 0 to `end` seconds; the last one carries the unit."""
    unit, scale = "s", 1.0
    if end < 0.1:
        unit, scale = "ms", 1e-3
    elif end > 300:
        unit, scale = ("min", 60.0)
    length = end / scale
    rough = length / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    digits = next(digits for digits in range(9) if math.isclose(round(step, digits), step, rel_tol=1e-6))
    count = math.floor(length / step + 1e-9)
    ticks = [(index * step * scale, f"{index * step:.{digits}f}") for index in range(count + 1)]
    ticks[0] = (0.0, "0")
    ticks[-1] = (ticks[-1][0], f"{ticks[-1][1]} {unit}")
    return Axis(ticks)


def duration(seconds: float) -> str:
    """Write a duration as people say it: `1.0 s`, `3 ms`, `10.0 min`."""
    if seconds >= 300:
        return f"{seconds / 60:.1f} min"
    if seconds >= 0.095:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.0f} ms"
