"""What the course handed out: its exercise sheets, cell by cell."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from .statements import Statement, statements

CHECK = re.compile(r"^with exercise\(\s*['\"](\d\d\.\d)['\"]", re.MULTILINE)
HEADING = re.compile(r"^#+ Exercise (\d\d\.\d)\b", re.MULTILINE)
STUB = re.compile(r"^\s+raise YourTurn\b", re.MULTILINE)

Kind = Literal["given", "stub", "check"]


@dataclass(frozen=True)
class Cell:
    """A code cell: its id, which may be empty, its text, and the statements in it (None if Python cannot read it)."""

    id: str
    source: str

    @cached_property
    def statements(self) -> list[Statement] | None:
        return statements(self.source)

    @cached_property
    def binds(self) -> frozenset[str]:
        """The names that it gives a value."""
        return frozenset(name for statement in self.statements or [] for name in statement.binds)

    @cached_property
    def plain(self) -> str:
        """Its text without what a program may add at the ends of lines."""
        return "\n".join(line.rstrip() for line in self.source.strip().split("\n"))


@dataclass(frozen=True)
class CourseCell(Cell):
    """A code cell of a sheet: what it is for, and the exercise that it belongs to; `given` cells belong to the next."""

    kind: Kind
    exercise: str


@dataclass(frozen=True)
class Sheet:
    """The exercise sheet of one lesson."""

    stem: str
    cells: tuple[CourseCell, ...]

    @property
    def lesson(self) -> str:
        """The lesson's number."""
        return self.stem[:2]

    @property
    def exercises(self) -> list[str]:
        """The numbers of its exercises, in order."""
        return [cell.exercise for cell in self.cells if cell.kind == "check"]

    def stub(self, exercise: str) -> CourseCell:
        """Return the cell that the learner completes."""
        return next(cell for cell in self.cells if cell.kind == "stub" and cell.exercise == exercise)

    @cached_property
    def given_names(self) -> frozenset[str]:
        """What the sheet defines and a submission does not: the names of the given cells."""
        given = {name for cell in self.cells if cell.kind == "given" for name in cell.binds}
        return frozenset(given - {name for cell in self.cells if cell.kind == "stub" for name in cell.binds})

    @cached_property
    def texts(self) -> frozenset[str]:
        """What its cells say."""
        return frozenset(cell.plain for cell in self.cells)


def code_cells(notebook: Any) -> list[Cell]:
    """Return the code cells of a notebook's content.

    Raises ValueError, in half a sentence, when it is no notebook of format 4.
    """
    return [Cell(_id(cell), _source(cell)) for cell in _cells(notebook) if cell.get("cell_type") == "code"]


def prose(notebook: Any) -> str:
    """Return the text of the Markdown cells of a notebook's content."""
    return "\n\n".join(_source(cell) for cell in _cells(notebook) if cell.get("cell_type") == "markdown")


def _cells(notebook: Any) -> list[dict[str, Any]]:
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise ValueError("it has no list of cells, as a notebook has")
    return [cell for cell in cells if isinstance(cell, dict)]


def _id(cell: dict[str, Any]) -> str:
    found = cell.get("id")
    return found if isinstance(found, str) else ""


def _source(cell: dict[str, Any]) -> str:
    source = cell.get("source", "")
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    return source.replace("\r\n", "\n").replace("\r", "\n") if isinstance(source, str) else ""


def read_sheet(path: Path) -> Sheet:
    """Read one of the course's own exercise notebooks."""
    numbered: list[CourseCell] = []
    pending: list[tuple[Cell, Kind]] = []
    for cell in code_cells(json.loads(path.read_text(encoding="utf-8"))):
        check = CHECK.search(cell.source)
        if check is None:
            pending.append((cell, "stub" if STUB.search(cell.source) else "given"))
            continue
        pending.append((cell, "check"))
        numbered += [CourseCell(each.id, each.source, kind, check[1]) for each, kind in pending]
        pending.clear()
    return Sheet(path.stem, tuple(numbered))


def read_sheets(course: Path) -> list[Sheet]:
    """Read the exercise sheets of a course; empty where there are none."""
    return [read_sheet(path) for path in sorted((course / "exercises").glob("[0-9][0-9]_*.ipynb"))]


def sheet_of(notebook: Any, sheets: Sequence[Sheet]) -> Sheet | None:
    """Return the sheet that a submission was made from, or None.

    What counts are the numbers in its checks and headings, then the ids of its cells, then the names it defines: its
    file's name says nothing, and a learner may have deleted any of these.
    """
    cells, text = code_cells(notebook), prose(notebook)
    numbers = {found for cell in cells for found in CHECK.findall(cell.source)} | set(HEADING.findall(text))
    ids = {cell.id for cell in cells if cell.id}

    def marks(sheet: Sheet) -> int:
        return 10 * len(numbers & set(sheet.exercises)) + len(ids & {cell.id for cell in sheet.cells})

    def names(sheet: Sheet) -> int:
        defined = {name for cell in cells for name in cell.binds}
        return sum(bool(defined & cell.binds) for cell in sheet.cells if cell.kind == "stub")

    for score in (marks, names):
        best = max(sheets, key=score, default=None)
        if best is not None and score(best):
            return best
    return None
