"""Find the submissions in a folder, and open each without being led elsewhere."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

SUFFIX = ".ipynb"
LARGEST = 32_000_000
"""Bytes of a notebook that is read. The course's own have less than one million, with their figures."""


class NotANotebook(Exception):
    """What is submitted cannot be read; the message is half a sentence."""


@dataclass(frozen=True, slots=True)
class Submission:
    """Something with the name of a notebook, or a folder that holds none. `name` is the path within the folder."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Found:
    """What is in a folder of submissions."""

    submissions: list[Submission]
    empty: list[Submission]
    """Folders in it that hold no notebook."""
    others: list[str]
    """Files that are no notebooks by their name."""


def find(folder: Path) -> Found:
    """Look through a folder and its sub-folders. Links to folders are not followed, hidden names not looked at.

    Raises OSError when the folder itself cannot be read.
    """
    os.listdir(folder)
    notebooks: list[Submission] = []
    others: list[str] = []
    top_folders: dict[str, Submission] = {}
    for place, folders, files in os.walk(folder):
        hidden = {name for name in (*folders, *files) if name.startswith(".") or name == "__MACOSX"}
        folders[:] = sorted(set(folders) - hidden)
        here = Path(place)
        if here == folder:
            top_folders = {name: Submission(name, here / name) for name in folders}
        for name in sorted({*folders, *files} - hidden):
            path = here / name
            within = path.relative_to(folder).as_posix()
            if name.casefold().endswith(SUFFIX):
                notebooks.append(Submission(within, path))
            elif name in files:
                others.append(within)
    taken = {submission.name.split("/")[0] for submission in notebooks}
    empty = [submission for name, submission in top_folders.items() if name not in taken]
    return Found(sorted(notebooks, key=lambda each: each.name), empty, sorted(others))


def open_submission(path: Path) -> int:
    """Open a submission for reading, and return the file's number.

    Raises NotANotebook when it is no plain file, a link, too large, empty, or cannot be read.
    """
    try:
        if path.is_symlink():
            raise NotANotebook("it is a link, and links are not followed")
        # Not following and not blocking: the name may have become a link, or be that of a pipe.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise NotANotebook(f"it cannot be read ({error.strerror})") from None
    about = os.fstat(handle)
    why = ""
    if stat.S_ISDIR(about.st_mode):
        why = "it is a folder"
    elif not stat.S_ISREG(about.st_mode):
        why = "it is no plain file"
    elif about.st_size > LARGEST:
        why = f"it has {about.st_size / 1e6:.0f} MB, and a notebook may have {LARGEST / 1e6:.0f}"
    elif not about.st_size:
        why = "it is empty"
    if why:
        os.close(handle)
        raise NotANotebook(why)
    return handle
