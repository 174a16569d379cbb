"""What a slide is filled with: pieces of a lesson, each with the height that it will take."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import Literal

WIDTH = 1192
"""Pixels between the margins of a slide that is 1280 wide."""
HEIGHT = 572
"""Pixels below the heading and above the foot of a slide that is 720 high."""
PROSE_LINE, PROSE_CHARACTERS = 39, 78
CODE_LINE, CODE_CHARACTERS = 29, 90
GAP = 16
"""Pixels between two pieces."""
ROOM = HEIGHT + GAP // 2
"""What the heights of a slide's pieces may add up to: each counts the gap below it, and the last one has none."""

Kind = Literal["prose", "heading", "question", "details", "table", "item", "code", "output", "figure", "notes"]


@dataclass(slots=True)
class Piece:
    """One thing on a slide: a paragraph, an item of a list, a table, some code, what it printed, a figure."""

    kind: Kind
    html: str
    height: int
    cell: int = 0
    """The number of the notebook's cell that it comes from."""
    step: bool = False
    """Whether the speaker uncovers it."""
    leads: bool = False
    """Whether it announces what follows, by a colon at its end."""
    notes: list[str] = field(default_factory=list)
    """What the speaker sees while it is shown, as HTML."""


def prose_height(characters: int, *, width: int = PROSE_CHARACTERS) -> int:
    """Return the height of a paragraph of so many characters."""
    # Lines break between words, so a line is never quite full.
    return max(1, ceil(characters * 1.04 / width)) * PROSE_LINE + GAP


def code_height(lines: list[str]) -> int:
    """Return the height of lines of code or of output, of which long ones are wrapped."""
    return sum(max(1, ceil(len(line) / CODE_CHARACTERS)) for line in lines) * CODE_LINE + 24 + GAP
