"""The line that opens and the line that ends each built notebook: where one is in the course, and where to go on.

Both are cells of their own, generated and never typed, and slides leave them out. They have no part in what a notebook
is known by: neither the digest of a source nor what start.py knows a learner's copy by changes with them, so that a new
lesson makes no notebook run again and lays no new version beside anybody's work.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from awaitsee.overview import PARTS, TRACKS

PREFIX = "navigation-"
"""How the id of such a cell begins; a digest of its text follows, by which start.py sees that nobody wrote in it."""

PAGES = "[glossary](../docs/glossary.md) · [symptoms](../docs/symptoms.md)"
AFTERWARDS = (
    "This was the last lesson. For your own work: [what to choose](../docs/choose.md) · "
    "[reviewing async code](../docs/review.md) · [the course on one page](../docs/cheatsheet.md)"
)
_TITLE = re.compile(r"^# (\d\d) · (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Place:
    """A lesson as others link to it."""

    stem: str
    number: str
    title: str
    has_exercises: bool

    def link(self, folder: str, words: str = "") -> str:
        """Return a link to this lesson's notebook in one of the three folders, from any of them."""
        return f"[{words or f'{self.number} · {self.title}'}](../{folder}/{self.stem}.ipynb)"


def places(lessons: Path) -> list[Place]:
    """Return the lessons of a folder of sources, in order."""
    found = []
    for source in sorted(lessons.glob("[0-9][0-9]_*.md")):
        if source.name.endswith(".exercises.md"):
            continue
        title = _TITLE.search(source.read_text(encoding="utf-8"))
        number, words = title.groups() if title else (source.stem[:2], source.stem[3:])
        found.append(Place(source.stem, number, words, source.with_suffix(".exercises.md").exists()))
    return found


def is_navigation(cell: NotebookNode) -> bool:
    """Tell whether a cell is one of the two lines."""
    return str(cell.get("id", "")).startswith(PREFIX)


def add(notebook: NotebookNode, folder: str, stem: str, course: Sequence[Place]) -> NotebookNode:
    """Put the two lines around the cells of a notebook that goes to `folder`, and return it."""
    index = next((index for index, place in enumerate(course) if place.stem == stem), None)
    if index is not None:
        top, end = opening(folder, index, course), ending(folder, index, course)
        notebook.cells = [_cell("top", top), *notebook.cells, _cell("end", end)]
    return notebook


def renew(old: NotebookNode, wanted: NotebookNode) -> None:
    """Give a built notebook the lines of a newer one; its other cells stay as they are."""
    kept = [cell for cell in old.cells if not is_navigation(cell)]
    lines = [cell for cell in wanted.cells if is_navigation(cell)]
    old.cells = [*lines[:1], *kept, *lines[1:]]


def opening(folder: str, index: int, course: Sequence[Place]) -> str:
    """Return the first line: part, lesson and track, the neighbours, and the pages to look things up in."""
    here = course[index]
    kind = "lesson" if folder == "notebooks" else f"{folder} of lesson"
    words = [*_part(here), f"{kind} {here.number} of {course[-1].number}"]
    words += [f"track {name}" for name in _track(here)]
    if index:
        words.append(course[index - 1].link(folder, "previous"))
    if index + 1 < len(course):
        words.append(course[index + 1].link(folder, "next"))
    return " · ".join([*words, *_siblings(folder, here), PAGES])


def ending(folder: str, index: int, course: Sequence[Place]) -> str:
    """Return the last line: the exercises, or back to the lesson; the next lesson, and the next one of the track."""
    here, after = course[index], course[index + 1 : index + 2]
    words = [*_siblings(folder, here), *(f"next lesson: {place.link('notebooks')}" for place in after)]
    for name in _track(here):
        numbers = TRACKS[name]
        later = [place for place in course if place.number in numbers and place.number > here.number]
        if not later:
            words.append(f"the last of the track {name}")
        elif later[0] not in after:
            words.append(f"next in the track {name}: {later[0].link('notebooks')}")
    return f"**Go on** · {' · '.join(words)}" + ("" if after else f"\n\n{AFTERWARDS}")


def _part(here: Place) -> Iterator[str]:
    for number, lessons in enumerate(PARTS, start=1):
        if here.number in lessons:
            yield f"Part {number} of {len(PARTS)}"


def _track(here: Place) -> Iterator[str]:
    return (name for name, numbers in TRACKS.items() if here.number in numbers)


def _siblings(folder: str, here: Place) -> Iterator[str]:
    """Yield links to the lesson and its exercises; none to the solutions, which are not in a learner's copy."""
    if folder != "notebooks":
        yield here.link("notebooks", f"lesson {here.number}")
    if folder != "exercises" and here.has_exercises:
        yield here.link("exercises", "exercises")


def _cell(name: str, text: str) -> NotebookNode:
    digest = hashlib.sha1(text.encode()).hexdigest()[:8]
    metadata = {"slideshow": {"slide_type": "skip"}}
    cell: NotebookNode = new_markdown_cell(text, id=f"{PREFIX}{name}-{digest}", metadata=metadata)
    return cell
