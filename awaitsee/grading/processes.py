"""The processes that a process started, also those that have cut loose from it: find, measure and end them.

Linux tells in /proc; other systems are asked with `ps`, where one that cut loose and lost its parent is not found.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = "/proc"
LINUX = sys.platform == "linux"
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
ROUNDS = 100
"""How often processes that keep starting others are hunted for."""

_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_DUMPABLE = 4


@dataclass(frozen=True, slots=True)
class Process:
    """A process that is no zombie: who started it, and how much memory it holds."""

    pid: int
    parent: int
    memory: int


def everything() -> dict[int, Process]:
    """Return all processes of this machine that can be seen."""
    return {process.pid: process for process in (_from_proc() if LINUX else _from_ps())}


def _from_proc() -> Iterator[Process]:
    for name in os.listdir(PROC):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name of a program may hold anything, also brackets.
            with open(f"{PROC}/{name}/stat", "rb") as file:
                state, parent, *rest = file.read().rpartition(b")")[2].split()
            if state not in b"ZX":
                yield Process(int(name), int(parent), int(rest[19]) * PAGE)


def _from_ps() -> Iterator[Process]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,rss=,stat="], capture_output=True, text=True, check=False)
    for line in listed.stdout.splitlines():
        pid, parent, kilobytes, state = line.split(None, 3)
        if not state.startswith("Z"):
            yield Process(int(pid), int(parent), int(kilobytes) * 1024)


def below(root: int, known: dict[int, Process] | None = None) -> dict[int, Process]:
    """Return the living descendants of a process."""
    known = everything() if known is None else known
    children: dict[int, list[Process]] = {}
    for process in known.values():
        children.setdefault(process.parent, []).append(process)
    found: dict[int, Process] = {}
    to_look_at = [root]
    while to_look_at:
        for child in children.get(to_look_at.pop(), []):
            if child.pid not in found and child.pid != root:
                found[child.pid] = child
                to_look_at.append(child.pid)
    return found


def marked(mark: str) -> set[int]:
    """Return the processes whose environment holds `mark`; on Linux only."""
    if not LINUX or not mark:
        return set()
    found = set()
    for name in os.listdir(PROC):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"{PROC}/{name}/environ", "rb") as file:
                if mark.encode() in file.read():
                    found.add(int(name))
    return found - {os.getpid()}


def memory_of(pids: dict[int, Process], limit: int) -> int:
    """Return the memory that processes hold in bytes, pages that several share counted once where that matters."""
    resident = sum(process.memory for process in pids.values())
    if resident <= limit or not LINUX:
        return resident
    # Forks share most of their pages. To ask for the exact share takes the kernel milliseconds: only if it counts.
    return sum(_share(process) for process in pids.values())


def _share(process: Process) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in Path(PROC, str(process.pid), "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return process.memory


def end(root: int, mark: str = "") -> set[int]:
    """End a process with all that it started, also what calls itself independent; return what was ended below it.

    The root goes last: what loses its parent becomes the root's child (see `adopt`), and can be found there.
    """
    ended = end_below(root, mark)
    _signal(root, signal.SIGKILL)
    return ended


def end_below(root: int, mark: str = "", spared: Iterable[int] = ()) -> set[int]:
    """End all that a process started, but not the process itself; return what was ended."""
    spared = {root, *spared}
    ended: set[int] = set()
    for _ in range(ROUNDS):
        doomed = (set(below(root)) | marked(mark)) - spared
        if not doomed:
            break
        ended |= doomed
        # First all stand still: nobody starts another one while the others are ended.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in doomed:
                _signal(pid, number)
        time.sleep(0.01)
    return ended


def bury(ended: Iterable[int]) -> None:
    """Let the system forget ended processes that have become children of this one."""
    for pid in ended:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def adopt(wanted: bool = True) -> None:
    """Become the parent of descendants that lose theirs, or no longer; Linux only."""
    _prctl(_PR_SET_CHILD_SUBREAPER, int(wanted))


def hide(wanted: bool = True) -> None:
    """Hide this process's memory and open files from others of the same user, or no longer; Linux only."""
    _prctl(_PR_SET_DUMPABLE, int(not wanted))


def _prctl(option: int, value: int) -> None:
    if LINUX:
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
