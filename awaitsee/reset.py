"""`awaitsee reset`: a lesson's exercises as they were, with what the learner wrote kept beside them."""

from __future__ import annotations

import re
from pathlib import Path

from awaitsee.course import COURSE, start_script

_NUMBER = re.compile(r"[0-9]{1,2}")
_ONE_EXERCISE = re.compile(r"([0-9]{1,2})\.[0-9]+")
RELOAD = (
    "Where it is open in JupyterLab: File > Reload Notebook from Disk (which drops what was not saved), then "
    "Kernel > Restart Kernel."
)


class CannotReset(RuntimeError):
    """Nothing was laid out; the message says why and what to do."""


def find(which: str, folder: Path) -> Path:
    """Return the notebook of a lesson in one of the course's folders, by "06", "6" or "06_semaphores".

    Raises:
        CannotReset: It names no lesson.
    """
    known = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    wanted = which.strip()
    start = f"{int(wanted):02}_" if _NUMBER.fullmatch(wanted) else None
    for path in known:
        if path.stem == wanted or (start and path.name.startswith(start)):
            return path
    one = _ONE_EXERCISE.fullmatch(wanted)
    if one:
        raise CannotReset(f"One exercise cannot be reset by itself: `awaitsee reset {one[1]}` resets its lesson's.")
    lessons = f"from {known[0].stem[:2]} to {known[-1].stem[:2]}" if known else "none here"
    raise CannotReset(
        f"{which!r} is no lesson: say its number ({lessons}) or its notebook's name, such as 06_semaphores."
    )


def reset(which: str, *, lesson: bool = False, course: Path = COURSE) -> str:
    """Lay a lesson's exercises, or its notebook, out afresh in `my/`, and return what to tell the learner.

    What the learner wrote is kept beside it under a dated name.

    Raises:
        NoCourse: There is no course here.
        CannotReset: `which` names no lesson, or the file could not be written; nothing was changed then.
    """
    start = start_script(course)
    folder = "notebooks" if lesson else "exercises"
    name = f"{folder}/{find(which, course / folder).name}"
    there: bool = (start.MY / name).exists()
    try:
        kept: str = start.lay_out_again(name)
    except start.Stop as stop:
        raise CannotReset(str(stop)) from None
    except OSError as error:
        raise CannotReset(
            f"my/{name} cannot be laid out ({error.strerror or error}): put that right and run this again."
        ) from None
    if not there:
        return f"my/{name} was not there; it is laid out now."
    before = f"What you had is beside it: {kept}." if kept else "You had written nothing in it, so nothing was kept."
    return f"my/{name} is fresh again. {before}\n{RELOAD}"
