"""What is noted about the tasks of a simulation."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Coroutine
from types import FrameType
from typing import Any

from awaitsee.observe.observation import Step, TaskRecord
from awaitsee.observe.origin import origin_of
from awaitsee.observe.recording import describe

# Before 3.12, wait_for runs what it waits for in a task of its own; later Pythons need none, so it does not count.
_WAIT_FOR = asyncio.wait_for.__code__ if sys.version_info < (3, 12) else None
_MADE_UP_NAME = re.compile(r"Task-\d+|None")


class GivenUp(SystemExit):
    """Leaves the loop although the code on it would not end.

    A `SystemExit`, because a task keeps every other exception to itself.
    """


class TaskLog:
    """The tasks of a simulation."""

    def __init__(self) -> None:
        self.records: list[TaskRecord] = []
        self.peak = 0
        self.steps = 0
        self._open = True
        self._alive = 0
        self._live: dict[int, TaskRecord] = {}
        """The unfinished tasks by identity, so that a task that nobody refers to can be lost, as on any loop."""
        self._announced: list[TaskRecord] = []
        """Tasks that are being made: an eager one runs before it can be told who it is."""

    def announce(
        self, coroutine: Coroutine[Any, Any, Any], maker: FrameType, parent: TaskRecord | None, now: float
    ) -> TaskRecord:
        """Note a task that is about to be made."""
        label, internal, _ = origin_of(coroutine, maker)
        internal = bool(self.records) and (internal or _is_made_by_wait_for(maker))
        record = TaskRecord(len(self.records), label, None if parent is None else parent.id, now, internal=internal)
        if self._open:
            self.records.append(record)
            if record.id and not internal:
                self._alive += 1
            self.peak = max(self.peak, self._alive, 1)
        self._announced.append(record)
        return record

    def forget(self, record: TaskRecord) -> None:
        """Take back an announced task that could not be made."""
        self._announced.remove(record)
        if self._open:
            self.records.remove(record)
            self._alive -= bool(record.id) and not record.internal

    def bind(self, record: TaskRecord, task: asyncio.Task[Any], now: float) -> None:
        """Tell a record which task it is of."""
        self._announced.remove(record)
        self._live[id(task)] = record
        if task.done():
            self.note_step(task, record.created, now)

    def find(self, task: object) -> TaskRecord | None:
        """Return the record of a task that has not finished."""
        if task is None:
            return None
        record = self._live.get(id(task))
        return record or (self._announced[-1] if self._announced else None)

    def note_step(self, task: asyncio.Task[Any], start: float, end: float) -> None:
        """Note that a task ran from `start` to `end`."""
        if not self._open:
            return
        record = self._live.get(id(task))
        if record is None:
            return
        self.steps += 1
        if record.started is None:
            record.started = start
        if end > start or not record.steps or record.steps[-1].end != end:
            record.steps.append(Step(start, end))
        if task.done():
            self._finish(record, task, end)

    def _finish(self, record: TaskRecord, task: asyncio.Task[Any], now: float) -> None:
        del self._live[id(task)]
        name_of(task, record)
        if record.id and not record.internal:
            self._alive -= 1
        if task.cancelled():
            record.outcome = "cancelled"
        else:
            # `task.exception()` would count as retrieving it and silence asyncio's complaint about one that nobody did.
            error = task._exception
            if isinstance(error, SystemExit | KeyboardInterrupt):
                # This one leaves the loop as well, and is reported there.
                task.exception()
            if isinstance(error, GivenUp):
                return
            record.outcome = "returned" if error is None else "raised"
            record.error = describe(error)
        record.finished = now

    def close(self, tasks: set[asyncio.Task[Any]]) -> list[tuple[TaskRecord, asyncio.Task[Any]]]:
        """Note nothing more; return the tasks that are alive, without those that libraries made for themselves."""
        self._open = False
        alive = []
        for task in tasks:
            record = self._live.get(id(task))
            if record is not None and not task.done():
                name_of(task, record)
                if not record.internal:
                    alive.append((record, task))
        return sorted(alive, key=lambda pair: pair[0].id)


def name_of(task: asyncio.Task[Any], record: TaskRecord) -> str:
    """Return the name that the user gave; one that asyncio or anyio made up says less than the label."""
    name = task.get_name()
    if not _MADE_UP_NAME.fullmatch(name) and not ("." in name and name.endswith(f".{record.name.partition('(')[0]}")):
        record.name = name
    return record.name


def _is_made_by_wait_for(maker: FrameType | None) -> bool:
    for _ in range(4 if _WAIT_FOR is not None else 0):
        if maker is None or maker.f_code is _WAIT_FOR:
            return maker is not None
        maker = maker.f_back
    return False
