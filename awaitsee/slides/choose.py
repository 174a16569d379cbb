"""Which lessons are meant: "03", "3" or "03_gather"."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from awaitsee.course import COURSE
from awaitsee.overview import NOT_HERE
from awaitsee.reset import CannotReset, find


class NoSuchLesson(Exception):
    """What was asked for is no lesson of the course; the message says which there are."""


def choose(names: Sequence[str], *, every: bool = False, course: Path = COURSE) -> list[Path]:
    """Return the built notebooks of the lessons that are named, each once and in the order of the names.

    Raises NoSuchLesson when there are none, or a name is not one of them.
    """
    folder = course / "notebooks"
    built = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not built:
        raise NoSuchLesson(NOT_HERE)
    if every and names:
        raise NoSuchLesson("Name lessons or say --all, not both.")
    if every:
        return built
    if not names:
        raise NoSuchLesson("Name a lesson, such as 03 or 03_gather, or say --all.")
    return list(dict.fromkeys(_find(name, folder, built) for name in names))


def _find(name: str, folder: Path, built: Sequence[Path]) -> Path:
    try:
        return find(name, folder)
    except CannotReset:
        raise NoSuchLesson(
            f"There is no lesson {name!r}: say its number, from {built[0].stem[:2]} to {built[-1].stem[:2]}, "
            f"or its notebook's name, such as {built[0].stem}."
        ) from None
