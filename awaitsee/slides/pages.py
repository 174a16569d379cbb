"""From a notebook to slides: which pieces stand together, and what the speaker uncovers one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from awaitsee.slides import code, prose
from awaitsee.slides.pieces import HEIGHT, ROOM, Piece

PAGE_COST = 100.0
"""What another slide costs, against which an ugly break is weighed."""


@dataclass(slots=True)
class Slide:
    """One slide: a heading, what stands below it, and what the speaker sees."""

    heading: str
    pieces: list[Piece]
    first: bool = False
    """Whether the section begins with it."""
    title: bool = False
    """Whether it is the lesson's first."""
    minutes: int | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Section:
    """The slides from one slide break to the next: in the deck's overview, a column."""

    heading: str
    slides: list[Slide]


def slides_of(notebook: Mapping[str, Any], folder: Path, course: Path) -> list[Section]:
    """Lay a built notebook out as slides, by the slide breaks in its cells' metadata and by the room on a slide.

    Raises OSError when a picture of the notebook is not there.
    """
    cells = [cell for cell in notebook["cells"] if _shown(cell)]
    sources = iter(code.narrowed([code.source_of(cell) for cell in cells if cell["cell_type"] == "code"]))
    sections: list[Section] = []
    batch: list[Piece] = []
    minutes: int | None = None

    def close() -> None:
        nonlocal batch, minutes
        if sections and (batch or not sections[-1].slides):
            section = sections[-1]
            for pieces in distribute(batch) or [[]]:
                section.slides.append(Slide(section.heading, pieces, first=not section.slides))
                if len(section.slides) == 1:
                    section.slides[0].minutes = minutes
                    section.slides[0].title = len(sections) == 1
        batch = []

    for number, cell in enumerate(cells):
        kind = cell["metadata"].get("slideshow", {}).get("slide_type", "")
        source = code.source_of(cell)
        if kind == "slide" or not sections:
            close()
            found = prose.heading(source) if cell["cell_type"] == "markdown" else None
            sections.append(Section(found[1] if found else "", []))
            minutes = cell["metadata"].get("minutes")
        elif kind == "subslide":
            close()
        new: list[Piece] = []
        if cell["cell_type"] == "markdown":
            for part in prose.parts(source):
                found = prose.heading(part)
                if found and sections[-1].heading and found[1] != sections[-1].heading:
                    # A second heading after one slide break, such as Next after Recap.
                    batch += new
                    new = []
                    close()
                    sections.append(Section(found[1], []))
                    minutes = None
                new += prose.pieces(part, folder, course)
        elif cell["cell_type"] == "code":
            new = [*code.code_pieces(next(sources)), *code.output_pieces(cell.get("outputs", []))]
        if kind == "notes":
            new = [Piece("notes", "".join(piece.html for piece in new), 0)]
        for piece in new:
            piece.cell = number
            piece.step = kind == "fragment"
        batch += new
    close()
    for section in sections:
        _uncover(section)
        _tell_what_to_say(section)
    return sections


def _shown(cell: Mapping[str, Any]) -> bool:
    if str(cell.get("id", "")).startswith("navigation-"):
        return False  # The line with links to the neighbouring lessons: in a deck they lead nowhere.
    return cell["metadata"].get("slideshow", {}).get("slide_type") != "skip" and bool(code.source_of(cell).strip())


def distribute(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Divide pieces over slides: as few as can be, with breaks where they disturb least, evenly filled."""
    best: list[tuple[float, int]] = [(0.0, 0)]
    for end in range(1, len(pieces) + 1):
        options = []
        for start in range(end - 1, -1, -1):
            page = pieces[start:end]
            if start < end - 1 and (sum(piece.height for piece in page) > ROOM or pieces[start].kind == "question"):
                break
            options.append((best[start][0] + _cost(page, pieces[end : end + 1]), start))
        best.append(min(options))
    pages: list[list[Piece]] = []
    end = len(pieces)
    while end:
        start = best[end][1]
        pages.insert(0, list(pieces[start:end]))
        end = start
    return pages


def _cost(page: Sequence[Piece], after: Sequence[Piece]) -> float:
    """Say how little one wants a slide with these pieces, when those come next."""
    free = max(0.0, 1 - sum(piece.height for piece in page) / HEIGHT)
    cost = PAGE_COST + 40 * free * free
    if not after:
        return cost
    last, following = page[-1], after[0]
    if last.kind == "heading":
        cost += 1000
    if last.kind == "question":
        return cost
    if following.kind == "question":
        # The room looks at what is asked about while it decides.
        return cost + (0 if last.kind in ("output", "figure") else 40)
    if following.kind == "notes":
        cost += 1000
    if last.kind in ("output", "figure") and following.kind == "prose":
        cost += 40  # An explanation points at what it explains.
    if last.leads:
        cost += 60 if following.kind == "code" else 130
    if last.cell == following.cell:
        cost += {"output": 70, "figure": 20, "item": 25, "code": 10}.get(following.kind, 10)
    return cost


def _uncover(section: Section) -> None:
    """Have outputs, and what explains them, uncovered by the speaker; a slide that begins with one shows it at once."""
    for slide in section.slides:
        seen = False
        for index, piece in enumerate(slide.pieces):
            output = piece.kind in ("output", "figure")
            if seen or (output and index > 0 and slide.pieces[index - 1].kind == "code"):
                piece.step = True
            seen = seen or output


def _tell_what_to_say(section: Section) -> None:
    """Put the explanation that stands on the next slide into the notes of the slide with the figure."""
    for slide in section.slides:
        for piece in list(slide.pieces):
            slide.notes += piece.notes
            if piece.kind == "notes":
                slide.notes.append(piece.html)
                slide.pieces.remove(piece)
    for slide, following in zip(section.slides, section.slides[1:], strict=False):
        if slide.pieces and following.pieces and slide.pieces[-1].kind in ("output", "figure"):
            explanation = following.pieces[0]
            if explanation.kind == "prose":
                slide.notes.append(f"<p>The next slide explains it:</p>{explanation.html}")
