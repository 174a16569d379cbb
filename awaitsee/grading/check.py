"""Check a folder: what `awaitsee check` does between its options and its table."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from .collect import Found, find
from .outcome import Row
from .sheets import read_sheets
from .supervise import Limits, Supervisor


class CannotCheck(Exception):
    """The folder cannot be checked; the message says what to do."""


def check_folder(
    folder: Path, course: Path, *, csv: Path | None, jobs: int, limits: Limits, tell: Callable[[list[Row]], None]
) -> tuple[list[Row], Found]:
    """Check every submission in a folder against the course's sheets; return the rows and what was found.

    `csv` is where the table will be written, which is not done here; `tell` hears of each submission when it is done.

    Raises:
        CannotCheck: Nothing can be checked, or no table can be written there.
    """
    if os.name != "posix":
        raise CannotCheck("Submissions are checked on Linux and macOS only: on Windows run this in WSL.")
    if not read_sheets(course):
        raise CannotCheck("The course's exercises are not here: run this with the awaitsee of the course's own .venv.")
    try:
        found = find(folder)
    except OSError as error:
        raise CannotCheck(f"{folder} cannot be read ({error.strerror}): give the folder of submissions.") from None
    if not found.submissions:
        raise CannotCheck(f"No notebook (*.ipynb) is in {folder}: give the folder that the submissions are in.")
    if csv is not None:
        if csv.exists() or csv.is_symlink():
            raise CannotCheck(f"{csv} exists, and nothing is overwritten: move it, or give --csv another name.")
        if not os.access(csv.parent, os.W_OK | os.X_OK):
            raise CannotCheck(f"The table cannot be written to {csv.parent}: give --csv a folder that can be written.")
    rows = Supervisor(course, folder, limits).check_all(found.submissions, jobs, tell)
    rows += [Row(each.name, "", "", "missing", "no notebook is in this folder") for each in found.empty]
    return rows, found
