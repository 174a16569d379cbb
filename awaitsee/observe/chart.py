"""Figures of what was measured, in the timelines' style: `chart` draws curves, `raster` moments in rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from awaitsee.observe import style
from awaitsee.observe.sheet import MARGIN, Box, Line, Mark, Measure, Sheet, Text, shorten, snap
from awaitsee.observe.timeline import Picture

HEIGHT = 2.3
DOT = 0.085
LINE = 0.17
MOST_TICKS = 6
ROW = 0.27
STROKE = 0.15
# The shapes set the curves apart in grey, where the colours may not; the words at their ends do everywhere.
CURVES = (("dot", style.RUNNING), ("square", "#2f7fbf"), ("triangle", style.HELD), ("diamond", "#1f6b55"))

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class _Scale:
    """Maps values to inches."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def at(self, value: float) -> float:
        low, high, value = (math.log(each) if self.log else each for each in (self.low, self.high, value))
        return snap(self.start + (self.stop - self.start) * (value - low) / (high - low))


def chart(
    curves: Mapping[str, Points],
    title: str = "",
    *,
    x: str,
    y: str,
    log_x: bool = False,
    mark: Mapping[str, float] | None = None,
    width: float = 10.0,
) -> Picture:
    """Draw measured points as curves, each with its name at its end; the y axis begins at 0.

    Args:
        curves: the points `(x, y)` of each curve, in order of x, by the curve's name; at most four.
        title: the finding that the figure shows.
        x: what the x axis measures, with its unit.
        y: what the y axis measures, with its unit.
        log_x: a logarithmic x axis; all x must be above 0 then.
        mark: places on the x axis that were found by measuring, by name; each gets an upright line.
        width: inches; text keeps its size.

    Raises:
        ValueError: there is nothing to draw, there are more than four curves, a value does not fit the axes, or a mark
            lies beside the points.
    """
    from awaitsee.observe import drawing

    named = {name: list(points) for name, points in curves.items()}
    marks = dict(mark or {})
    _refuse_what_cannot_be_drawn(named, log_x, marks)
    words = _describe(named, title, x, y, marks)
    return Picture(words, title, _compose(named, title, x, y, log_x, marks, width, drawing.measure), ())


def _refuse_what_cannot_be_drawn(curves: Mapping[str, Points], log_x: bool, marks: Mapping[str, float]) -> None:
    if not curves or not all(curves.values()):
        raise ValueError('There is nothing to draw: give each curve its points, as in chart({"measured": [(1, 2.0)]}).')
    if len(curves) > len(CURVES):
        raise ValueError(f"A chart holds at most {len(CURVES)} curves, not {len(curves)}: draw two charts.")
    values = [value for points in curves.values() for point in points for value in point]
    if not all(math.isfinite(value) for value in values):
        raise ValueError("A point of the chart is not a finite number.")
    if min(y for points in curves.values() for _, y in points) < 0:
        raise ValueError("The y axis begins at 0: a negative value cannot be drawn.")
    if log_x and min(x for points in curves.values() for x, _ in points) <= 0:
        raise ValueError("A logarithmic x axis needs values above 0.")
    places = [x for points in curves.values() for x, _ in points]
    for name, place in marks.items():
        if not min(places) <= place <= max(places):
            raise ValueError(f"The mark {name!r} at {place:g} lies beside the points.")


def _describe(curves: Mapping[str, Points], title: str, x: str, y: str, marks: Mapping[str, float]) -> str:
    """Name what is drawn, without the measured values: those differ from run to run, and nbval compares this."""
    places = sorted({place for points in curves.values() for place, _ in points})
    head = f'Chart "{title}": ' if title else "Chart: "
    marked = f"; marked: {', '.join(marks)}" if marks else ""
    return f"{head}{y} against {x} from {places[0]:g} to {places[-1]:g}; {', '.join(curves)}{marked}"


def _compose(
    curves: Mapping[str, Points],
    title: str,
    x: str,
    y: str,
    log_x: bool,
    marks: Mapping[str, float],
    width: float,
    measure: Measure,
) -> Sheet:
    sheet = Sheet(width)
    top = sheet.add_title(title, measure)
    sheet.add(Text(MARGIN, top + 0.08, y, style.TEXT_SIZE, style.SOFT))
    top += 0.28
    bottom = top + HEIGHT
    heights = _round_ticks(max(value for points in curves.values() for _, value in points))
    names = {name: shorten(name, 0.3 * width, style.TEXT_SIZE, measure, bold=True) for name in curves}
    left = MARGIN + max(measure(f"{tick:g}", style.SMALL_SIZE, False) for tick in heights) + 0.16
    right = width - MARGIN - max(measure(name, style.TEXT_SIZE, True) for name in names.values()) - 0.3
    up = _Scale(0.0, heights[-1], bottom, top)
    places = sorted({place for points in curves.values() for place, _ in points})
    across = _x_scale(places, left, right, log_x)
    for tick in heights:
        at = up.at(tick)
        sheet.add(Line(left, at, right, at, style.RULE if tick == 0 else style.GRID, 0.8))
        sheet.add(Text(left - 0.1, at, f"{tick:g}", style.SMALL_SIZE, style.SOFT, align="right"))
    taken = -math.inf
    for place in places:
        label = f"{place:g}"
        half = measure(label, style.SMALL_SIZE, False) / 2
        if across.at(place) - half > taken + 0.08:
            sheet.add(Line(across.at(place), bottom, across.at(place), bottom + 0.04, style.RULE, 0.8))
            sheet.add(Text(across.at(place), bottom + 0.13, label, style.SMALL_SIZE, style.SOFT, align="center"))
            taken = across.at(place) + half
    sheet.add(Text((left + right) / 2, bottom + 0.35, x, style.TEXT_SIZE, style.SOFT, align="center"))
    for name, place in marks.items():
        at = across.at(place)
        sheet.add(Line(at, top, at, bottom, style.SOFT, 1.2, order=2))
        sheet.add(Text(at + 0.07, bottom - 0.12, f"{name}: {place:g}", style.TEXT_SIZE, style.SOFT, bold=True))
    _draw_curves(sheet, curves, names, across, up)
    return sheet.ending_at(bottom + 0.35 + 0.08 + MARGIN)


def _x_scale(places: Sequence[float], left: float, right: float, log_x: bool) -> _Scale:
    low, high = places[0], places[-1]
    if low == high:
        low, high = (low / 2, high * 2) if log_x else (low - 1, high + 1)
    return _Scale(low, high, left + 0.12, right, log_x)


def _round_ticks(highest: float) -> list[float]:
    """Return round numbers from 0 to the first one that is not below `highest`."""
    rough = (highest or 1.0) / (MOST_TICKS - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    return [round(index * step, 12) for index in range(math.ceil(highest / step - 1e-9) + 1)] if highest else [0.0, 1.0]


def _draw_curves(
    sheet: Sheet, curves: Mapping[str, Points], names: Mapping[str, str], across: _Scale, up: _Scale
) -> None:
    ends: list[tuple[float, float, str, str]] = []
    for (name, points), (shape, colour) in zip(curves.items(), CURVES, strict=False):
        placed = [(across.at(place), up.at(value)) for place, value in points]
        for (x0, y0), (x1, y1) in pairwise(placed):
            sheet.add(Line(x0, y0, x1, y1, colour, 1.8, order=4))
        for at, height in placed:
            sheet.add(Mark(at, height, DOT, shape, colour))
        ends.append((placed[-1][1], placed[-1][0], names[name], colour))
    ends.sort()
    # Each name beside its curve's end, none on top of another and none below the axis.
    heights = [height for height, _, _, _ in ends]
    for index in range(1, len(heights)):
        heights[index] = max(heights[index], heights[index - 1] + LINE)
    limit = up.start
    for index in reversed(range(len(heights))):
        heights[index] = min(heights[index], limit)
        limit = heights[index] - LINE
    for height, (_, at, name, colour) in zip(heights, ends, strict=True):
        sheet.add(Text(at + 0.14, height, name, style.TEXT_SIZE, colour, bold=True))


def raster(rows: Mapping[str, Sequence[float]], title: str = "", *, x: str, width: float = 10.0) -> Picture:
    """Draw moments as upright strokes, a row for each name: a bar up to the first, a dot at it, a stroke at each other.

    Args:
        rows: the moments of each row, from 0 on and in order, by the row's name.
        title: the finding that the figure shows.
        x: what the axis measures, with its unit.
        width: inches; text keeps its size.

    Raises:
        ValueError: there is nothing to draw, or a moment is negative, out of order or not a finite number.
    """
    from awaitsee.observe import drawing

    named = {name: list(moments) for name, moments in rows.items()}
    if not named or not all(named.values()):
        raise ValueError('There is nothing to draw: give each row its moments, as in raster({"stream": [0.3, 0.4]}).')
    for name, moments in named.items():
        if not all(math.isfinite(moment) and moment >= 0 for moment in moments) or moments != sorted(moments):
            raise ValueError(f"The moments of {name!r} must be finite numbers from 0 on, in order.")
    head = f'Raster "{title}": ' if title else "Raster: "
    return Picture(
        f"{head}{x}; {', '.join(named)}", title, _compose_raster(named, title, x, width, drawing.measure), ()
    )


def _compose_raster(rows: Mapping[str, list[float]], title: str, x: str, width: float, measure: Measure) -> Sheet:
    sheet = Sheet(width)
    top = sheet.add_title(title, measure)
    names = {name: shorten(name, 0.33 * width, style.TEXT_SIZE, measure) for name in rows}
    last = max(moments[-1] for moments in rows.values()) or 1.0
    ticks = [tick for tick in _round_ticks(last) if tick <= last]
    left = MARGIN + max(measure(name, style.TEXT_SIZE, False) for name in names.values()) + 0.2
    across = _Scale(0.0, last, left, width - MARGIN - 0.1)
    bottom = top + ROW * len(rows) + 0.04
    for tick in ticks:
        at = across.at(tick)
        sheet.add(Line(at, top, at, bottom, style.GRID, 0.8))
        sheet.add(Text(at, bottom + 0.13, f"{tick:g}", style.SMALL_SIZE, style.SOFT, align="center"))
    sheet.add(Line(left, bottom, across.stop, bottom, style.RULE, 0.8))
    for index, (name, moments) in enumerate(rows.items()):
        middle = snap(top + ROW * (index + 0.5))
        sheet.add(Text(MARGIN, middle, names[name], style.TEXT_SIZE))
        first = across.at(moments[0])
        if first > left:
            sheet.add(Box(left, middle - 0.05, first - left, 0.1, "waiting"))
        for moment in moments[1:]:
            at = across.at(moment)
            sheet.add(Line(at, middle - STROKE / 2, at, middle + STROKE / 2, style.RUNNING, 1.1, order=4))
        sheet.add(Mark(first, middle, 1.4 * DOT, "dot", style.HELD))
    sheet.add(Text((left + across.stop) / 2, bottom + 0.35, x, style.TEXT_SIZE, style.SOFT, align="center"))
    at, middle = left, snap(bottom + 0.62)
    for what in ("nothing yet", "the first", "each further one"):
        if what == "nothing yet":
            sheet.add(Box(at, middle - 0.05, 0.24, 0.1, "waiting"))
        elif what == "the first":
            sheet.add(Mark(at + 0.12, middle, 1.4 * DOT, "dot", style.HELD))
        else:
            sheet.add(Line(at + 0.12, middle - STROKE / 2, at + 0.12, middle + STROKE / 2, style.RUNNING, 1.1, order=4))
        sheet.add(Text(at + 0.32, middle, what, style.SMALL_SIZE, style.SOFT))
        at += 0.32 + measure(what, style.SMALL_SIZE, False) + 0.3
    return sheet.ending_at(middle + 0.08 + MARGIN)
