"""What `awaitsee slides` does: decks or live copies, and what is said about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from awaitsee.course import COURSE, NoCourse, start_script
from awaitsee.slides.choose import NoSuchLesson, choose


class CannotMake(Exception):
    """Nothing more was made; the message says why and what to do."""


def make(
    names: Sequence[str],
    *,
    every: bool = False,
    live: bool = False,
    output: Path | None = None,
    show: bool = False,
    course: Path = COURSE,
) -> Iterator[str]:
    """Make the decks, or the live copies, of the lessons that are named, and yield a line for each.

    Raises CannotMake when that is not possible.
    """
    try:
        notebooks = choose(names, every=every, course=course)
        if live and (output or show):
            raise CannotMake("--live makes a notebook in my/live/: leave --output and --open out.")
        if (output or show) and len(notebooks) > 1:
            raise CannotMake("--output and --open are for one lesson: name one.")
        for notebook in notebooks:
            yield _live(notebook, course) if live else _deck(notebook, output, show, course)
    except (NoSuchLesson, NoCourse) as refusal:
        raise CannotMake(str(refusal)) from None
    except ModuleNotFoundError as missing:
        raise CannotMake(
            f"{missing.name} is not installed here: run this with the awaitsee in the .venv that `make lab` made."
        ) from None
    except OSError as error:
        name = error.filename or "a file"
        raise CannotMake(f"{name}: {error.strerror or error}; put that right and run this again.") from None


def _live(notebook: Path, course: Path) -> str:
    from awaitsee.slides.live import describe, make_live

    try:
        return describe(make_live(notebook, start_script(course).MY / "live", course), course)
    except ValueError as refusal:
        raise CannotMake(str(refusal)) from None


def _deck(notebook: Path, output: Path | None, show: bool, course: Path) -> str:
    from awaitsee.slides.deck import NotADeck, write_deck

    target = output or start_script(course).MY / "slides" / f"{notebook.stem}.html"
    try:
        made = write_deck(notebook, target, course)
    except (NotADeck, ValueError) as refusal:
        raise CannotMake(str(refusal)) from None
    shown = made.relative_to(course).as_posix() if made.is_relative_to(course) else str(made)
    if show:
        import webbrowser

        if not webbrowser.open(made.resolve().as_uri()):
            return f"{shown} is there; no browser could be opened: open it yourself."
    return f"{shown} is there: open it in a browser, and press ? for the keys."
