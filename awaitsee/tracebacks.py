"""Tracebacks as a notebook shows them: cells by their number, IPython's own frames left out."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_RED, _GREEN, _PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[39m"
_LIBRARIES = tuple({sysconfig.get_path(name) + os.sep for name in ("purelib", "platlib", "stdlib")})


def has_group(error: BaseException | None) -> bool:
    """Tell whether a traceback of `error` has an exception group in it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, BaseExceptionGroup):
            return True
        seen.add(id(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return False


def format_error(shell: InteractiveShell, error: BaseException, trace: TracebackType | None) -> list[str]:
    """Return the lines of Python's own traceback of `error`, which shows the tree of an exception group.

    `%xmode Minimal` leaves the frames out.
    """
    report = traceback.TracebackException(type(error), error, trace, compact=True)
    names: set[str] = set()
    for part in _parts(report):
        part.stack = _Frames(shell, [] if shell.InteractiveTB.mode == "Minimal" else _below_ipython(part.stack))
        names.update(line.partition(":")[0].strip() for line in list(part.format_exception_only())[:1])
    text = "".join(report.format())
    if _coloured(shell):
        listed = "|".join(re.escape(name) for name in names)
        text = re.sub(rf"^([ |+]*)({listed})(?=:|$)", rf"\1{_RED}\2{_PLAIN}", text, flags=re.MULTILINE)
    return text.splitlines()


def format_place(shell: InteractiveShell, stack: Iterable[traceback.FrameSummary], line: str) -> list[str]:
    """Return a short traceback: the frames of the user's code in `stack`, then `line`, such as `ValueError: no`."""
    frames = _Frames(shell, [frame for frame in stack if not frame.filename.startswith(_LIBRARIES)])
    name, colon, message = line.partition(":")
    last = f"{_RED}{name}{_PLAIN}{colon}{message}" if _coloured(shell) else line
    return ["".join(frames.format()).rstrip("\n"), last] if frames else [last]


class _Frames(traceback.StackSummary):
    """Frames that name a cell as `Cell In[3]`, and a library's file without the place where this machine keeps it."""

    def __init__(self, shell: InteractiveShell, frames: Iterable[traceback.FrameSummary]) -> None:
        super().__init__(frames)
        self._shell = shell

    def format_frame_summary(self, frame_summary: traceback.FrameSummary, **options: Any) -> str:
        text = super().format_frame_summary(frame_summary, **options)
        first, newline, rest = text.partition("\n")
        python_name = f'File "{frame_summary.filename}"'
        cell = self._shell.compile.format_code_name(frame_summary.filename)
        if cell is None:
            return first.replace(python_name, f'File "{_without_home(frame_summary.filename)}"') + newline + rest
        place = " ".join(cell)
        if _coloured(self._shell):
            place = f"{_GREEN}{place}{_PLAIN}"
        return first.replace(python_name, place).replace(", in <module>", "") + newline + rest


def _without_home(filename: str) -> str:
    # Where there is no virtual environment, packages lie in a folder of the standard library.
    homes = [home for home in _LIBRARIES if filename.startswith(home)]
    return filename.removeprefix(max(homes, key=len)) if homes else filename


def _coloured(shell: InteractiveShell) -> bool:
    return bool(shell.colors.lower() != "nocolor")


def _parts(report: traceback.TracebackException) -> Iterable[traceback.TracebackException]:
    yield report
    for part in (report.__cause__, report.__context__, *(report.exceptions or ())):
        if part is not None:
            yield from _parts(part)


def _below_ipython(stack: traceback.StackSummary) -> list[traceback.FrameSummary]:
    home = str(Path(sys.modules["IPython"].__file__ or "").parent)
    frames = list(stack)
    while frames and frames[0].filename.startswith(home):
        del frames[0]
    return frames
