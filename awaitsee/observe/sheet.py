"""What a drawing is made of: boxes, lines, marks and words with their places in inches, y downwards from the top."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from awaitsee.observe import style

MARGIN = 0.16
"""Inches around what is drawn."""

Measure = Callable[[str, float, bool], float]
"""The width in inches of a text of this size in points, bold or not."""

Align = Literal["left", "center", "right"]


@dataclass(frozen=True, slots=True)
class Box:
    x: float
    y: float
    width: float
    height: float
    look: str


@dataclass(frozen=True, slots=True)
class Line:
    x0: float
    y0: float
    x1: float
    y1: float
    colour: str
    width: float = 0.8
    """In points."""
    order: int = 1


@dataclass(frozen=True, slots=True)
class Area:
    """A filled outline, for steps in a strip."""

    points: tuple[tuple[float, float], ...]
    look: str


@dataclass(frozen=True, slots=True)
class Mark:
    """How something ended, where `shape` is an outcome, or a point of a curve."""

    x: float
    y: float
    size: float
    shape: str
    colour: str = style.INK
    """The colour of a curve's point; the outcomes have theirs."""


@dataclass(frozen=True, slots=True)
class Text:
    x: float
    y: float
    """The middle of the line."""
    words: str
    size: float
    colour: str = style.INK
    bold: bool = False
    align: Align = "left"


@dataclass(frozen=True, slots=True)
class Raster:
    """A picture of many rows: for each row, spans as `(look, first column, last column + 1)`."""

    x: float
    y: float
    width: float
    height: float
    columns: int
    rows: tuple[tuple[tuple[str, float, float], ...], ...]


Item = Box | Line | Area | Mark | Text | Raster


@dataclass(slots=True)
class Sheet:
    """A finished drawing, independent of the run it was made from."""

    width: float
    height: float = 0.0
    items: list[Item] = field(default_factory=list)

    def add(self, *items: Item) -> None:
        self.items.extend(items)

    def add_title(self, title: str, measure: Measure) -> float:
        """Write the title, if there is one, and return where the rest begins."""
        if not title:
            return MARGIN
        words = shorten(title, self.width - 2 * MARGIN, style.TITLE_SIZE, measure, bold=True)
        self.add(Text(MARGIN, MARGIN + 0.11, words, style.TITLE_SIZE, bold=True))
        return MARGIN + 0.33

    def ending_at(self, bottom: float) -> Sheet:
        """End here and lie on a card; return this sheet."""
        self.height = snap(bottom)
        self.items.insert(0, Box(0, 0, self.width, self.height, "card"))
        return self


def shorten(words: str, room: float, size: float, measure: Measure, bold: bool = False) -> str:
    """Cut `words` with an ellipsis so that they fit into `room` inches; line breaks become spaces."""
    words = " ".join(words.split())
    if measure(words, size, bold) <= room:
        return words
    low, high = 0, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        if measure(words[:middle].rstrip() + "…", size, bold) <= room:
            low = middle
        else:
            high = middle - 1
    return words[:low].rstrip() + "…"


def snap(inches: float) -> float:
    """Round to the pixel grid, so that edges are sharp."""
    return round(inches * style.DENSITY) / style.DENSITY
