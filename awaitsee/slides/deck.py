"""One HTML file with a lesson's slides: everything that it needs is inside."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from awaitsee.course import COURSE
from awaitsee.slides.notes import add_notes
from awaitsee.slides.pages import Section, Slide, slides_of
from awaitsee.slides.pieces import HEIGHT, Piece
from awaitsee.slides.prose import text_of

HERE = Path(__file__).parent
MARK = "<!doctype html><!-- slides made by awaitsee -->"
"""How a deck begins: another file is never overwritten by one."""


class NotADeck(Exception):
    """A file in the place where a deck should go is something else."""


def write_deck(notebook: Path, target: Path, course: Path = COURSE) -> Path:
    """Write the slides of a built notebook into one HTML file, over an earlier deck if there is one; return its path.

    Raises NotADeck when another file stands there, ValueError when the notebook is none, and OSError when a file
    cannot be read or written.
    """
    if target.is_dir():
        raise NotADeck(f"{target} is a folder: name a file, such as {target / (notebook.stem + '.html')}.")
    if target.exists():
        with target.open("rb") as present:
            if not present.read(len(MARK)).startswith(MARK.encode()):
                raise NotADeck(f"{target} is no deck of slides, so it stays as it is: give another name.")
    text = deck(notebook, course)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8", newline="\n")
    return target


def deck(notebook: Path, course: Path = COURSE) -> str:
    """Return the slides of a built notebook as one HTML page that asks for nothing else.

    Raises ValueError when the file is no notebook, and OSError when it or one of its pictures cannot be read.
    """
    try:
        content = json.loads(notebook.read_text(encoding="utf-8"))
        cells = content["cells"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"{notebook} cannot be read as a notebook: get it again (git checkout {notebook.name})."
        ) from None
    sections = slides_of({"cells": cells}, notebook.parent, course)
    title = text_of(sections[0].heading) if sections and sections[0].heading else notebook.stem
    minutes = content.get("metadata", {}).get("awaitsee", {}).get("minutes")
    add_notes(sections, title, minutes, course / "docs" / "teaching.md")
    return _page(title, sections)


def _page(title: str, sections: Sequence[Section]) -> str:
    styles = "\n".join(_asset(name) for name in ("reveal/reset.css", "reveal/reveal.css", "deck.css"))
    scripts = "\n".join(
        f"<script>\n{_script(name)}\n</script>" for name in ("reveal/reveal.js", "reveal/notes.js", "deck.js")
    )
    body = "\n".join(_section(section, title) for section in sections)
    return (
        f'{MARK}\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>\n{styles}\n</style>\n</head>\n<body>\n"
        f'<div class="reveal"><div class="slides">\n{body}\n</div></div>\n{scripts}\n</body>\n</html>\n'
    )


def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _script(name: str) -> str:
    """Return a script in which nothing looks like the end of the element that it stands in."""
    return re.sub(r"<(/script|script|!--)", r"\\x3c\1", _asset(name), flags=re.IGNORECASE)


def _section(section: Section, title: str) -> str:
    slides = "\n".join(_slide(slide, title) for slide in section.slides)
    return f"<section>\n{slides}\n</section>"


def _slide(slide: Slide, title: str) -> str:
    name = "title" if slide.title else "first" if slide.first else "later"
    tag = "h1" if slide.title else "h2"
    minutes = f'<span class="minutes">{slide.minutes} min</span>' if slide.minutes and slide.first else ""
    heading = f"<{tag}>{slide.heading}{minutes}</{tag}>" if slide.heading else ""
    notes = f'<aside class="notes">{"".join(slide.notes)}</aside>' if slide.notes else ""
    foot = "" if slide.title else f'<div class="foot">{escape(title)}</div>'
    body = f'<div class="{_body_class(slide.pieces)}">{_body(slide.pieces)}</div>'
    return f'<section class="{name}"><div class="page">{heading}{body}{foot}</div>{notes}</section>'


def _body_class(pieces: Sequence[Piece]) -> str:
    """A question that has a slide of its own is written larger: the room looks at it for a while."""
    alone = len(pieces) == 1 and pieces[0].kind == "question" and pieces[0].height * 1.7 < HEIGHT
    return "body alone" if alone else "body"


def _body(pieces: Sequence[Piece]) -> str:
    """Put the pieces into boxes; those of one cell, and prose after it, are uncovered together."""
    boxes: list[str] = []
    step, last = -1, ""
    for piece in pieces:
        if piece.step:
            group = str(piece.cell) if piece.kind in ("output", "figure", "code") else "prose"
            group += "" if piece.kind != "code" else " code"
            if group != last:
                step += 1
                last = group
        attributes = f'class="piece {piece.kind}"'
        if piece.step:
            attributes = f'class="piece {piece.kind} fragment" data-fragment-index="{step}"'
        boxes.append(f"<div {attributes}>{piece.html}</div>")
    return "\n".join(boxes)
