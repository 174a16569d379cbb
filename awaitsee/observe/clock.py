"""The `time` module as code on a simulated clock sees it.

Each simulated thread has its own time, all others have the real one.
"""

from __future__ import annotations

import functools
import operator
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from awaitsee.observe.patching import Patch


class Clock(Protocol):
    """A simulated clock."""

    def time(self) -> float:
        """Return the seconds since the simulation began."""

    def block(self, seconds: float) -> None:
        """Let `seconds` pass for everybody at once, as a blocking call does."""


_clocks: dict[int, Clock] = {}
"""The simulated threads, by identity."""
_lock = threading.Lock()
_patches: list[Patch] = []
_users = 0


@contextmanager
def simulated_time() -> Iterator[None]:
    """Make the `time` module look at who asks.

    Any number of simulations share one replacement; the last one takes it back.
    """
    global _users
    with _lock:
        if not _users:
            _patches.extend(Patch(time, name, make) for name, make in _REPLACEMENTS.items())
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                while _patches:
                    _patches.pop().undo()


def attach(clock: Clock) -> None:
    """From now on this thread lives in the time of `clock`."""
    _clocks[threading.get_ident()] = clock


def detach(thread_id: int | None) -> None:
    """Give a thread the real time back."""
    if thread_id is not None:
        _clocks.pop(thread_id, None)


def _sleep(original: Callable[[float], None]) -> Callable[[float], None]:
    @functools.wraps(original)
    def sleep(seconds: float, /) -> None:
        clock = _clocks.get(threading.get_ident())
        if clock is None:
            return original(seconds)
        length = float(seconds if isinstance(seconds, float) else operator.index(seconds))
        if not length >= 0:
            raise ValueError("sleep length must be non-negative")
        return clock.block(length)

    return sleep


def _seconds(original: Callable[[], float]) -> Callable[[], float]:
    @functools.wraps(original)
    def read() -> float:
        clock = _clocks.get(threading.get_ident())
        return original() if clock is None else clock.time()

    return read


def _nanoseconds(original: Callable[[], int]) -> Callable[[], int]:
    @functools.wraps(original)
    def read() -> int:
        clock = _clocks.get(threading.get_ident())
        return original() if clock is None else round(clock.time() * 1e9)

    return read


def _since_epoch(original: Callable[[], float]) -> Callable[[], float]:
    # A simulation starts at a full second, so that whole seconds of simulated time stay whole.
    start = int(original())

    @functools.wraps(original)
    def read() -> float:
        clock = _clocks.get(threading.get_ident())
        return original() if clock is None else start + clock.time()

    return read


def _nanoseconds_since_epoch(original: Callable[[], int]) -> Callable[[], int]:
    start = original() // 1_000_000_000 * 1_000_000_000

    @functools.wraps(original)
    def read() -> int:
        clock = _clocks.get(threading.get_ident())
        return original() if clock is None else start + round(clock.time() * 1e9)

    return read


_REPLACEMENTS: dict[str, Callable[[Any], Callable[..., Any]]] = {
    "sleep": _sleep,
    "monotonic": _seconds,
    "perf_counter": _seconds,
    "time": _since_epoch,
    "monotonic_ns": _nanoseconds,
    "perf_counter_ns": _nanoseconds,
    "time_ns": _nanoseconds_since_epoch,
}


def _forget_in_child() -> None:
    # A forked child's only thread has the identity of the thread that forked, which may be a simulated one.
    global _lock
    _lock = threading.Lock()
    _clocks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
