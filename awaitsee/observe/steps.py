"""The clock on `asyncio.Handle._run`: for a handle of a recorded run each call is one step on the loop."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from awaitsee.observe.recording import BLOCK_SECONDS, MAX_STEPS, RUN, Run, compacted

adopted: dict[int, Run] = {}
"""Tasks that are older than the run which is to record them, by identity."""


def timed_run(original: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return `original`, which is `Handle._run`, with a clock around it."""

    def _run(self: Any) -> None:
        run = self._context.get(RUN)
        if run is None or run.loop is not self._loop:
            run = _adopting(self) if adopted else None
            if run is None:
                return original(self)
        callback = self._callback
        watch = run.watch
        before = watch.step_started
        watch.callback = callback
        start = watch.step_started = perf_counter()
        try:
            return original(self)
        finally:
            end = perf_counter()
            watch.step_started = before
            # Kept any longer it would keep the task alive.
            watch.callback = None
            owner: Any = getattr(callback, "__self__", None)
            track = run.live.get(id(owner))
            if track is None:
                track = run.stranger(callback, owner)
            if track is not None:
                steps = track.steps
                if steps or run.first_step(track, callback, owner, start):
                    steps.append(start)
                    steps.append(end)
                    if owner.done():
                        run.finish(track, owner, end)
                    elif len(steps) > MAX_STEPS:
                        track.steps = compacted(steps)
            if end - start > BLOCK_SECONDS:
                run.long_step(callback, owner, track, start, end)

    return _run


def _adopting(handle: Any) -> Run | None:
    """Return the run that wants a task older than itself, and put it into the task's context for its later steps."""
    run = adopted.pop(id(getattr(handle._callback, "__self__", None)), None)
    if run is None or run.loop is not handle._loop:
        return None
    run.entered.append((handle._context, handle._context.run(RUN.set, run)))
    return run
