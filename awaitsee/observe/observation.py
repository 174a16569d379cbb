"""What one run did: records filled in by the recorder, and the questions one can ask of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["returned", "raised", "cancelled", "running"]


@dataclass(slots=True)
class Step:
    """One turn on the event loop: code ran from `start` to `end` without giving control back. Seconds since the run began."""

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
    """`ValueError: bad input` when the task raised."""
    steps: list[Step] = field(default_factory=list)
    internal: bool = False
    """Its code lies in an installed package or the standard library."""


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
    """What the drawing shows as one row: a task with the library's inner tasks folded into it, or a worker thread's call."""

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
