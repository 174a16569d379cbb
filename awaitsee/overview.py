"""How far a learner is: what is done, tried and open, by lesson and by track, and about how many minutes are left."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from awaitsee.progress import Progress

COURSE = Path(__file__).resolve().parents[1]

TRACKS: Mapping[str, tuple[str, ...]] = {
    "Core day": ("00", "01", "02", "03", "04", "05", "06", "13"),
    "RAG half-day": ("15", "16"),
    "Agents half-day": ("17", "18", "19"),
    "In production": ("07", "08", "09", "10", "11", "20"),
}
"""The lessons of each way through the course."""

PARTS: tuple[tuple[str, ...], ...] = (
    ("00", "01", "02", "03", "04", "05", "06"),
    ("07", "08", "09", "10", "11"),
    ("12", "13", "14", "15", "16"),
    ("17", "18", "19", "20"),
)
"""The lessons of each part; the last of a part ends with a quiz."""

NOT_HERE = (
    "The course's notebooks are not here, so there is nothing to count: run this in the folder that `make lab` set up."
)
_EXERCISE = re.compile(r"^## Exercise (\d\d\.\d) .*?^\*[^*\n]+, (\d+) minutes\*", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Lesson:
    """A lesson and its exercises, in minutes."""

    number: str
    title: str
    minutes: int
    exercises: Mapping[str, int]
    """The minutes of each exercise by its number."""

    @property
    def all_minutes(self) -> int:
        """The lesson's minutes and those of its exercises."""
        return self.minutes + sum(self.exercises.values())

    def minutes_left(self, done: Mapping[str, Progress]) -> int:
        """Return the minutes of what is open. A lesson counts as read as soon as one of its exercises was tried."""
        read = any(number in done for number in self.exercises)
        open_exercises = sum(minutes for number, minutes in self.exercises.items() if _state(done, number) != "done")
        return open_exercises + (0 if read else self.minutes)


def lessons(course: Path = COURSE) -> list[Lesson]:
    """Read the lessons of a course from its notebooks, in order; empty where there are none."""
    return [_lesson(path, course / "exercises" / path.name) for path in sorted((course / "notebooks").glob("*.ipynb"))]


def _lesson(notebook: Path, exercises: Path) -> Lesson:
    content = json.loads(notebook.read_text(encoding="utf-8"))
    heading = next(line for line in _prose(content).splitlines() if line.startswith("# "))
    number, _, title = heading.removeprefix("# ").partition(" · ")
    sheet = _prose(json.loads(exercises.read_text(encoding="utf-8"))) if exercises.exists() else ""
    minutes = {found[1]: int(found[2]) for found in _EXERCISE.finditer(sheet)}
    return Lesson(number, title, int(content["metadata"]["awaitsee"]["minutes"]), minutes)


def _prose(notebook: Mapping[str, list[Mapping[str, str | list[str]]]]) -> str:
    cells = (cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    return "\n\n".join(source if isinstance(source, str) else "".join(source) for source in cells)


def _state(done: Mapping[str, Progress], number: str) -> str:
    return done[number].state if number in done else "open"


def describe(course: Iterable[Lesson], done: Mapping[str, Progress]) -> str:
    """Write a line for each lesson and each track, for a screen or a cell."""
    listed = list(course)
    if not listed:
        return NOT_HERE
    widest = max(len(lesson.title) for lesson in listed)
    lines = [
        f"{lesson.number}  {lesson.title:{widest}}  {_count(lesson.exercises, done):24}"
        f"  about {lesson.minutes_left(done):3} minutes left"
        for lesson in listed
    ]
    lines.append("")
    for name, numbers in TRACKS.items():
        track = [lesson for lesson in listed if lesson.number in numbers]
        exercises = [number for lesson in track for number in lesson.exercises]
        finished = sum(_state(done, number) == "done" for number in exercises)
        left = sum(lesson.minutes_left(done) for lesson in track)
        lines.append(f"{name:16} {finished:2} of {len(exercises):2} exercises done, about {left:3} minutes left")
    if not done:
        lines += [
            "",
            "Nothing is noted yet: it begins with the first check that you run, in my/exercises/00_start_here.ipynb.",
        ]
    return "\n".join(lines)


def _count(exercises: Iterable[str], done: Mapping[str, Progress]) -> str:
    states = [_state(done, number) for number in exercises]
    return ", ".join(f"{states.count(state)} {state}" for state in ("done", "tried", "open") if states.count(state))
