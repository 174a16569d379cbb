"""A figure of a measured table, in the timelines' style: a number in each cell, the darker the higher."""

from __future__ import annotations

import math
from collections.abc import Mapping

from awaitsee.observe import style
from awaitsee.observe.sheet import MARGIN, Line, Measure, Sheet, Text, snap
from awaitsee.observe.timeline import Picture

ROW = 0.42
WIDEST_COLUMN = 1.5
GAP = 0.03
POINTS = 72
LIGHT, DARK = (232, 238, 243), (20, 48, 77)
"""The shades of the lowest and the highest number."""

Cells = Mapping[tuple[float, float], float]


def heatmap(
    cells: Mapping[tuple[int, int], float] | Cells,
    title: str = "",
    *,
    x: str,
    y: str,
    value: str,
    log: bool = False,
    width: float = 10.0,
) -> Picture:
    """Draw a number for each pair of two settings, on a shade that is darker where the number is higher.

    Args:
        cells: the measured number by `(x, y)`; every x with every y.
        title: the finding that the figure shows.
        x: what differs from column to column.
        y: what differs from row to row.
        value: what the numbers count, with their unit.
        log: shades by factors instead of by differences; all numbers must be above 0 then.
        width: inches; text keeps its size.

    Raises:
        ValueError: there is nothing to draw, a cell is missing, or a number does not fit.
    """
    from awaitsee.observe import drawing

    measured: Cells = {(column, row): number for (column, row), number in cells.items()}
    columns, rows = sorted({column for column, _ in measured}), sorted({row for _, row in measured})
    _refuse_what_cannot_be_drawn(measured, columns, rows, log)
    words = _describe(columns, rows, title, x, y, value)
    return Picture(
        words, title, _compose(measured, columns, rows, (title, x, y, value), log, width, drawing.measure), ()
    )


def _refuse_what_cannot_be_drawn(cells: Cells, columns: list[float], rows: list[float], log: bool) -> None:
    if not cells:
        raise ValueError("There is nothing to draw: give each cell its number, as in heatmap({(1, 8): 70.0}).")
    missing = [(column, row) for column in columns for row in rows if (column, row) not in cells]
    if missing:
        raise ValueError(f"A cell has no number: {missing[0]}. Measure every column with every row.")
    if not all(math.isfinite(number) for number in cells.values()):
        raise ValueError("A number of the heat map is not finite.")
    if log and min(cells.values()) <= 0:
        raise ValueError("Shades by factors need numbers above 0.")


def _describe(columns: list[float], rows: list[float], title: str, x: str, y: str, value: str) -> str:
    """Name what is drawn, without the measured numbers: those differ from run to run, and nbval compares this."""
    head = f'Heat map "{title}": ' if title else "Heat map: "
    across, down = (", ".join(f"{place:g}" for place in places) for places in (columns, rows))
    return f"{head}{value} for {x} ({across}) and {y} ({down})"


def _compose(
    cells: Cells,
    columns: list[float],
    rows: list[float],
    words: tuple[str, str, str, str],
    log: bool,
    width: float,
    measure: Measure,
) -> Sheet:
    title, x, y, value = words
    sheet = Sheet(width)
    top = sheet.add_title(title, measure)
    sheet.add(Text(MARGIN, top + 0.08, value, style.TEXT_SIZE, style.SOFT))
    top += 0.28
    left = MARGIN + max(
        measure(y, style.TEXT_SIZE, False), *(measure(f"{row:g}", style.TEXT_SIZE, False) for row in rows)
    )
    left = snap(left + 0.16)
    wide = snap(min(WIDEST_COLUMN, (width - MARGIN - left) / len(columns)))
    sheet.add(Text(left - 0.12, top + 0.1, y, style.TEXT_SIZE, style.SOFT, align="right"))
    for index, column in enumerate(columns):
        middle = left + wide * (index + 0.5)
        sheet.add(Text(middle, top + 0.1, f"{column:g}", style.TEXT_SIZE, style.SOFT, align="center"))
    top += 0.24
    for number, row in enumerate(rows):
        middle = snap(top + ROW * (number + 0.5))
        sheet.add(Text(left - 0.12, middle, f"{row:g}", style.TEXT_SIZE, style.SOFT, align="right"))
        for index, column in enumerate(columns):
            measured, start = cells[column, row], left + wide * index
            share = _share(measured, list(cells.values()), log)
            sheet.add(Line(start, middle, start + wide - GAP, middle, _shade(share), (ROW - GAP) * POINTS, order=2))
            ink = style.CARD if share > 0.45 else style.INK
            shown = _shown(measured)
            sheet.add(Text(start + (wide - GAP) / 2, middle, shown, style.TEXT_SIZE, ink, bold=True, align="center"))
    bottom = top + ROW * len(rows)
    sheet.add(Text(left + wide * len(columns) / 2, bottom + 0.16, x, style.TEXT_SIZE, style.SOFT, align="center"))
    return sheet.ending_at(bottom + 0.24 + MARGIN)


def _share(number: float, numbers: list[float], log: bool) -> float:
    """Return where a number lies between the lowest (0) and the highest (1)."""
    low, high = min(numbers), max(numbers)
    if log:
        number, low, high = math.log(number), math.log(low), math.log(high)
    return (number - low) / (high - low) if high > low else 0.0


def _shade(share: float) -> str:
    return "#" + "".join(
        f"{round(light + (dark - light) * share):02x}" for light, dark in zip(LIGHT, DARK, strict=True)
    )


def _shown(number: float) -> str:
    """Write a number with at most three digits that say something."""
    return f"{float(f'{number:.3g}'):,.0f}" if abs(number) >= 100 else f"{number:.3g}"
