"""What of a submission is run: the answers, and what they need. Everything else comes from the course's own sheet.

For each exercise the sheet has one cell to complete, the stub. An answer is a cell of the submission with the stub's
id, or one that defines a name that the stub defines. It counts if it stands before the submission's (last) check of
that exercise; where there is none, anywhere. From other cells come the statements that the answers need, by name. What
the sheet itself defines stays as the sheet defines it, and checks of the submission are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .sheets import CHECK, Cell, Sheet
from .statements import Statement

Place = tuple[int, int]
"""Where a piece of code stands: its cell, and the statement in it, or WHOLE for all of the cell."""
WHOLE = -1


@dataclass(frozen=True)
class Step:
    """A piece of code that an answer needs. Another answer may need it, too: then it has the same place."""

    place: Place
    source: str


@dataclass(frozen=True)
class Answer:
    """What a submission says to one exercise, and the pieces of code that have to be run for it, in their order."""

    exercise: str
    found: bool
    """Whether the submission has anything that could be an answer, be it the untouched stub."""
    attempted: bool = False
    """Whether it has more than the untouched stub."""
    steps: tuple[Step, ...] = ()


def answers(cells: list[Cell], sheet: Sheet) -> list[Answer]:
    """Return the submission's answer to each exercise of the sheet, in order."""
    return [_answer(exercise, cells, sheet) for exercise in sheet.exercises]


def _answer(exercise: str, cells: list[Cell], sheet: Sheet) -> Answer:
    stub = sheet.stub(exercise)
    everywhere = [place for place, cell in enumerate(cells) if _is_answer(cell, stub.id, stub.binds)]
    changed = [place for place in everywhere if cells[place].plain != stub.plain]
    if not changed:
        return Answer(exercise, bool(everywhere))
    last = max((place for place, cell in enumerate(cells) if exercise in CHECK.findall(cell.source)), default=None)
    # A check and its answer may be merged into one cell, so the check's own cell is within.
    within = [place for place in changed if last is None or place <= last]
    end = last if within and last is not None else len(cells)
    chosen = set(within or changed)
    pieces: dict[Place, str] = {}
    needed: set[str] = set()
    own: set[str] = set()
    for place in chosen:
        cell = cells[place]
        if cell.statements is None:
            pieces[place, WHOLE] = cell.source
            needed |= set(re.findall(r"\w+", cell.source))
            continue
        kept = [each for each in cell.statements if not _is_the_sheets(each, sheet.given_names)]
        # Whole, with its comments and its magics, unless something has to be left out.
        pieces[place, WHOLE] = (
            cell.source if len(kept) == len(cell.statements) else "\n".join(each.source for each in kept)
        )
        needed |= {name for each in kept for name in each.needs}
        own |= cell.binds
    helpers = {
        (place, index): statement
        for place, cell in enumerate(cells[: end + 1])
        if place not in chosen and cell.plain not in sheet.texts
        for index, statement in enumerate(cell.statements or [])
        if not _is_the_sheets(statement, sheet.given_names)
    }
    pieces |= {place: helpers[place].source for place in _needed(needed, own, helpers)}
    steps = tuple(Step(place, source) for place, source in sorted(pieces.items()) if source.strip())
    return Answer(exercise, True, True, steps)


def _is_answer(cell: Cell, id: str, names: Iterable[str]) -> bool:
    if cell.id and cell.id == id:
        return True
    if cell.statements is not None:
        return any(name in cell.binds for name in names)
    return any(re.search(rf"^(?:(?:async )?def|class) {name}\b", cell.source, re.MULTILINE) for name in names)


def _is_the_sheets(statement: Statement, given: frozenset[str]) -> bool:
    """Tell whether a statement is a check, or changes what the sheet gives.

    One that does so by the way, such as a loop with a variable of that name, is run; `names.py` puts the name back.
    """
    if statement.is_check:
        return True
    if statement.is_import:
        return statement.binds <= given
    return not statement.is_compound and bool(statement.binds & given)


def _needed(names: set[str], own: set[str], helpers: dict[Place, Statement]) -> set[Place]:
    """Return where the statements stand that the names come from, and those that these need in turn.

    `own` are the names that the answer itself binds. A call of a method counts if the submission made the object: one
    on the practice server is a trial of the learner's.
    """
    found: set[Place] = set()
    names, own = set(names), set(own)
    while True:
        more = {
            place
            for place, statement in helpers.items()
            if place not in found
            and (statement.binds & (names | {"*"}) or (statement.mutates in names and statement.mutates in own))
        }
        if not more:
            return found
        found |= more
        names |= {name for place in more for name in helpers[place].needs}
        own |= {name for place in more for name in helpers[place].binds}
