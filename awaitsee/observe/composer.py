"""Composes timelines on a sheet: heading, strip, lanes and server of one run or several, on one time axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from awaitsee.observe import layout, style
from awaitsee.observe.layout import Row, Run
from awaitsee.observe.observation import Lane
from awaitsee.observe.sheet import MARGIN, Area, Box, Line, Mark, Measure, Raster, Sheet, Text, shorten, snap
from awaitsee.observe.summary import facts, trouble

RIGHT = 0.30
STRIP = 0.38
INDENT = 0.13
TAG = "thread"
TAG_GAP = 0.05
MOST_COMPARED = 48
"""Lanes of all runs together that a comparison names."""
BAR = 0.74
"""How much of a row its bar takes."""


@dataclass(slots=True)
class _Panel:
    """One run on a sheet."""

    run: Run
    lanes: list[Lane]
    last: float
    """When the last thing worth drawing happened."""
    name: str = ""
    requests: bool = False
    supersteps: bool = False
    strip: bool = True
    most: int = layout.MOST_LANES
    rows: list[Row] = field(default_factory=list)
    band: list[Lane] = field(default_factory=list)
    server: list[Row] = field(default_factory=list)
    held: list[tuple[float, float]] = field(default_factory=list)
    """When the loop was held too long."""
    beyond: bool = False
    """Something went on after the observed coroutine had ended."""


class _Composer:
    """Puts panels on a sheet, one below the other, on one time axis."""

    def __init__(self, panels: Sequence[_Panel], title: str, width: float, measure: Measure) -> None:
        self.panels = panels
        self.title = title
        self.measure = measure
        self.sheet = Sheet(width)
        self.end = max(layout.SHORTEST_AXIS, *(panel.last for panel in panels))
        self.many = len(panels) > 1 or bool(panels[0].name)
        self.seen: set[str] = set()
        self.marks: set[str] = set()
        self.y = MARGIN
        self._prepare()

    def _prepare(self) -> None:
        """Lay out the rows. The label column's width depends on them, and a pixel's worth of seconds on the column."""
        column = 0.0
        room = min(0.3 * self.sheet.width, 2.9)
        for panel in self.panels:
            folded = layout.fold(panel.lanes, panel.most)
            panel.lanes, panel.band = folded.named, folded.band
            for lane in panel.lanes:
                tag = self._tag() if lane.kind == "thread" else 0.0
                column = max(column, self._indent(lane.depth) + self.measure(lane.name, style.LABEL_SIZE, False) + tag)
            if panel.band:
                column = max(column, 1.3)
            if panel.strip:
                peak = f"requests in flight   {max(panel.run.peak_requests, panel.run.peak_tasks)}"
                column = max(column, self.measure(peak, style.LABEL_SIZE, False))
            if panel.requests:
                column = max(column, self.measure("the server's view", style.SMALL_SIZE, True))
        right = RIGHT + (0.35 if self.many else 0.0)
        self.column = min(max(column, 0.6), room)
        self.left = snap(MARGIN + self.column + 0.12)
        self.right = snap(self.sheet.width - MARGIN - right)
        self.pixel = self.end / ((self.right - self.left) * style.DENSITY)
        for panel in self.panels:
            panel.held = layout.held_spans(panel.run, self.end)
            panel.rows = [layout.row_of(lane, panel.held, self.pixel, self.end) for lane in panel.lanes]
            panel.beyond = panel.last > panel.run.elapsed + 2 * layout.NEAR * self.pixel
            if panel.requests:
                panel.server = [
                    layout.server_row(number, request, self.pixel, self.end)
                    for number, request in enumerate(panel.run.requests, 1)
                ]
        rows = sum(len(panel.rows) + min(len(panel.server), layout.MOST_LANES) for panel in self.panels)
        crowd = rows + 3 * (len(self.panels) - 1)
        self.pitch = snap(min(0.29, max(0.15, 0.29 - (crowd - 8) * 0.0055)))
        self.label_size = style.LABEL_SIZE if self.pitch > 0.17 else style.SMALL_SIZE

    def _tag(self) -> float:
        return TAG_GAP + self.measure(TAG, style.SMALL_SIZE, False)

    def _indent(self, depth: int) -> float:
        return INDENT * min(depth, 8)

    def x(self, seconds: float) -> float:
        """Where on the sheet a moment lies."""
        return snap(self.left + (self.right - self.left) * seconds / self.end)

    def compose(self) -> Sheet:
        self._heading()
        for index, panel in enumerate(self.panels):
            if index:
                self.y += 0.13
            self._panel(panel)
        self._axis()
        self._legend()
        self.y += 0.04
        return self.sheet.ending_at(self.y + 0.06)

    def _heading(self) -> None:
        wide = self.sheet.width - 2 * MARGIN
        if self.title:
            words = shorten(self.title, wide, style.TITLE_SIZE, self.measure, bold=True)
            self.sheet.add(Text(MARGIN, self.y + 0.11, words, style.TITLE_SIZE, bold=True))
            self.y += 0.33 if self.many else 0.27
        if not self.many:
            run = self.panels[0].run
            self._facts(MARGIN, facts(run), trouble(run))
            self.y += 0.25

    def _facts(self, at: float, quiet: Sequence[str], loud: Sequence[str]) -> None:
        """Write a line of facts; what went wrong stands out."""
        for words, colour in ((" · ".join(quiet), style.SOFT), (" · ".join(loud), style.FAILED)):
            if words:
                fitting = shorten(words, self.sheet.width - MARGIN - at, style.TEXT_SIZE, self.measure)
                self.sheet.add(Text(at, self.y + 0.08, fitting, style.TEXT_SIZE, colour))
                at += self.measure(fitting, style.TEXT_SIZE, False) + 0.22

    def _panel(self, panel: _Panel) -> None:
        if self.many:
            self._panel_heading(panel)
        annotations = self._annotate(panel)
        if panel.supersteps:
            self._superstep_numbers(panel)
        self.y += 0.03
        grid_top = self.y
        if panel.strip:
            self._strip(panel)
        top = self.y
        for row in panel.rows:
            self._row(row)
        if panel.band:
            self._band([layout.row_of(lane, panel.held, self.pixel, self.end) for lane in panel.band], len(self.panels))
        self._held(panel, annotations, self.y)
        if panel.requests:
            self._server(panel)
        if panel.supersteps:
            self._supersteps(panel, grid_top, self.y)
        self._ending(panel, annotations, top, self.y)
        for seconds, _ in layout.axis(self.end).ticks:
            self.sheet.add(Line(self.x(seconds), grid_top, self.x(seconds), self.y, style.GRID, 0.8, order=1))

    def _panel_heading(self, panel: _Panel) -> None:
        size = style.TEXT_SIZE + 0.5
        name = shorten(panel.name, 0.5 * self.sheet.width, size, self.measure, bold=True)
        self.sheet.add(Text(MARGIN, self.y + 0.08, name, size, bold=True))
        start = MARGIN + self.measure(name, size, True) + 0.14
        # The line at its end carries the duration, unless something went on after it.
        self._facts(start, facts(panel.run)[: None if panel.beyond else -1], trouble(panel.run))
        self.y += 0.20

    def _annotate(self, panel: _Panel) -> float:
        """Write what the lines and shades across all lanes mean, above them; return where the words end."""
        notes: list[tuple[float, str, str]] = []
        if panel.beyond:
            words = f"ended at {layout.duration(panel.run.elapsed)}, left behind →"
            notes.append((self.x(panel.run.elapsed), words, style.INK))
        if panel.held:
            start, stop = max(panel.held, key=lambda span: span[1] - span[0])
            words = f"loop held for {layout.duration(stop - start)}"
            notes.append((self.x(start), words, style.LOOKS["held"].edge or style.INK))
        lines: list[float] = []
        for at, words, colour in sorted(notes):
            wide = self.measure(words, style.SMALL_SIZE, True)
            left = min(at, self.sheet.width - MARGIN - wide)
            # The first line on which nothing stands in the way; notes come from left to right.
            level = next((level for level, taken in enumerate(lines) if taken + 0.1 < left), len(lines))
            lines[level : level + 1] = [left + wide]
            self.sheet.add(Text(left, self.y + 0.07 + 0.17 * level, words, style.SMALL_SIZE, colour, bold=True))
        self.y += 0.17 * len(lines)
        return self.y

    def _superstep_numbers(self, panel: _Panel) -> None:
        """Write each superstep's number over its band, with the word where there is room."""
        for step in panel.run.supersteps:
            left, right = self.x(step.start), self.x(step.end)
            for words in (f"superstep {step.number}", str(step.number)):
                if self.measure(words, style.SMALL_SIZE, False) + 0.04 < right - left:
                    middle = (left + right) / 2
                    self.sheet.add(Text(middle, self.y + 0.07, words, style.SMALL_SIZE, style.SOFT, align="center"))
                    break
        self.y += 0.14

    def _supersteps(self, panel: _Panel, top: float, bottom: float) -> None:
        """Shade every other superstep behind the lanes, and draw a line where each ends: nothing crosses it."""
        for index, step in enumerate(panel.run.supersteps):
            left, right = self.x(step.start), self.x(step.end)
            if index % 2 == 0:
                self._box(left, top, max(right - left, style.PIXEL), bottom - top, "superstep")
            for at in (left, right):
                self.sheet.add(Line(at, top, at, bottom, style.SUPERSTEP, 0.8, order=1))

    def _strip(self, panel: _Panel) -> None:
        """Draw how many were in flight, with the peak as the axis's one number."""
        run = panel.run
        if run.requests:
            counted = layout.in_flight(((request.arrived, request.finished) for request in run.requests), panel.last)
            peak, words, look = run.peak_requests, "requests in flight", "in flight"
        else:
            tasks = [lane for lane in [*panel.lanes, *panel.band] if lane.kind == "task"]
            # As in `peak_tasks`, the observed coroutine's own task counts only while it is alone.
            alive = tasks[1:] or tasks
            counted = layout.in_flight(((lane.created, lane.finished) for lane in alive), panel.last)
            peak, words, look = run.peak_tasks, "tasks in flight", "alive"
        top, bottom = self.y, snap(self.y + STRIP)
        self._profile(counted, top + 0.05, bottom, look)
        self.sheet.add(Line(self.left, bottom, self.right, bottom, style.RULE, 0.6))
        middle = (top + bottom) / 2 + 0.02
        self.sheet.add(Text(MARGIN, middle, words, style.SMALL_SIZE, style.SOFT))
        if peak:
            self.sheet.add(Line(self.left - 0.04, top + 0.05, self.left, top + 0.05, style.RULE, 0.6))
            self.sheet.add(Text(self.left - 0.07, top + 0.08, str(peak), style.LABEL_SIZE, bold=True, align="right"))
        self.y = bottom + 0.08

    def _profile(self, counted: Sequence[tuple[float, int]], top: float, bottom: float, look: str) -> None:
        highest = max((level for _, level in counted), default=0)
        if not highest:
            return
        points: list[tuple[float, float]] = [(self.x(0), bottom)]
        for start, stop, level in layout.envelope(counted, layout.NEAR * self.pixel):
            y = bottom - (bottom - top) * level / highest
            points += [(self.x(start), y), (self.x(stop), y)]
        points.append((points[-1][0], bottom))
        self.sheet.add(Area(tuple(points), look))

    def _row(self, row: Row) -> None:
        tracks = max(row.tracks, 1)
        height = snap(self.pitch * (1 if tracks == 1 else 0.5 + 0.42 * tracks))
        if row.profile:
            height = snap(max(self.pitch, 0.55))
        gap = self.pitch * (1 - BAR) / 2
        top, bottom = snap(self.y + gap), snap(self.y + height - gap)
        middle = (top + bottom) / 2
        self._label(row, middle)
        for span in row.spans:
            self._span(span, row, top, bottom, tracks)
        if row.profile:
            self._profile(row.profile, top + 0.04, bottom - 0.03, "in flight")
            self.seen.add("request")
        self._end_mark(row, middle)
        self.y += height

    def _label(self, row: Row, middle: float) -> None:
        indent = self._indent(row.depth)
        room = self.column - indent
        if row.kind == "thread":
            words = shorten(row.label, room - self._tag(), self.label_size, self.measure)
            at = MARGIN + indent + self.measure(words, self.label_size, False) + TAG_GAP
            self.sheet.add(Text(at, middle, TAG, style.SMALL_SIZE, style.LOOKS["thread"].edge or style.SOFT))
        else:
            words = shorten(row.label, room, self.label_size, self.measure)
        self.sheet.add(Text(MARGIN + indent, middle, words, self.label_size))

    def _span(self, span: layout.Span, row: Row, top: float, bottom: float, tracks: int) -> None:
        left, right = self.x(span.start), self.x(span.end)
        self.seen.add(span.kind)
        if span.kind == "queue":
            middle = (top + bottom) / 2
            self.sheet.add(Line(left, middle, right, middle, style.RULE, 1.0, order=2))
            self.sheet.add(Line(left, middle - 0.04, left, middle + 0.04, style.RULE, 1.0, order=2))
            return
        if "request" in span.kind and row.kind != "request":
            inset = (bottom - top) * 0.14 if tracks == 1 else 0.02
            track = (bottom - top - 2 * inset) / tracks
            top = top + inset + span.track * track
            bottom = top + track - (style.PIXEL * 2 if tracks > 1 else 0)
            divider = 4 * style.PIXEL if right - left > 12 * style.PIXEL else 0.0
            self._box(left + divider / 2, top, right - left - divider, bottom - top, span.kind)
            self._number(span, left, right, (top + bottom) / 2, tracks)
            return
        if span.kind == "running" and span.share < 0.5 and right - left > 2 * layout.NEAR * style.PIXEL:
            top = bottom - (bottom - top) * max(0.2, span.share)
        self._box(left, top, max(right - left, style.PIXEL), bottom - top, span.kind)

    def _number(self, span: layout.Span, left: float, right: float, middle: float, tracks: int) -> None:
        if span.count > 1:
            words = f"{span.count:,} requests"
        elif span.number:
            words = str(span.number)
        else:
            return
        if self.measure(words, style.SMALL_SIZE, False) + 0.1 > right - left:
            return
        if tracks > 1:
            self.sheet.add(Text(left + 0.06, middle, words, style.SMALL_SIZE, style.RUNNING))
        else:
            self.sheet.add(Text((left + right) / 2, middle, words, style.SMALL_SIZE, style.RUNNING, align="center"))

    def _box(self, x: float, y: float, width: float, height: float, look: str) -> None:
        self.sheet.add(Box(snap(x), snap(y), snap(width), snap(y + height) - snap(y), look))

    def _end_mark(self, row: Row, middle: float) -> None:
        size = min(0.115, self.pitch * 0.5)
        at = self.x(row.end)
        self.marks.add(row.outcome)
        self.sheet.add(Mark(at, middle, size, row.outcome))
        if row.note:
            self.sheet.add(Text(at + 0.11, middle, row.note, style.SMALL_SIZE, style.FAILED))

    def _band(self, rows: Sequence[Row], sharing: int = 1) -> None:
        """Draw rows too many to name as a picture with a thin line for each, in their order.

        `sharing` is the number of panels that share the page.
        """
        height = snap(min(2.4, max(0.9, len(rows) * 0.009)) / (1 + 0.2 * (sharing - 1)))
        self.y += 0.05
        top = snap(self.y)
        columns = round((self.right - self.left) * style.DENSITY)
        scale = columns / self.end
        lines = []
        for row in rows:
            cells: list[tuple[str, float, float]] = [
                (span.kind, span.start * scale, span.end * scale) for span in row.spans if span.kind != "queue"
            ]
            if row.profile:
                cells.append(("request", row.profile[0][0] * scale, row.end * scale))
            self.seen.update(kind for kind, _, _ in cells)
            if row.outcome != "returned":
                self.marks.add(row.outcome)
                cells.append((row.outcome, row.end * scale - 6, row.end * scale))
            lines.append(tuple(cells))
        self.sheet.add(Raster(self.left, top, self.right - self.left, height, columns, tuple(lines)))
        self._band_label(rows, top, height)
        self.y = top + height + 0.05

    def _band_label(self, rows: Sequence[Row], top: float, height: float) -> None:
        """Say how many there are, between the names of the first and the last."""
        nouns = {"task": "tasks", "thread": "thread calls", "request": "requests"}
        counts = [(sum(row.kind == kind for row in rows), noun) for kind, noun in nouns.items()]
        bold = [f"{count:,} {noun}" for count, noun in counts if count]
        bracket = self.left - 0.06
        for y in (top, top + height):
            self.sheet.add(Line(bracket, y, bracket + 0.03, y, style.RULE, 0.8))
        self.sheet.add(Line(bracket, top, bracket, top + height, style.RULE, 0.8))
        if height > 0.16 * (len(bold) + 2):
            for y, words in ((top + 0.07, rows[0].label), (top + height - 0.07, rows[-1].label)):
                fitting = shorten(words, self.column, style.SMALL_SIZE, self.measure)
                self.sheet.add(Text(MARGIN, y, fitting, style.SMALL_SIZE, style.SOFT))
        y = top + height / 2 - 0.08 * (len(bold) - 1)
        for words in bold:
            self.sheet.add(Text(MARGIN, y, words, style.LABEL_SIZE, bold=True))
            y += 0.16

    def _server(self, panel: _Panel) -> None:
        self.y += 0.06
        self.sheet.add(Line(MARGIN, self.y, self.right, self.y, style.BORDER, 0.8))
        self.sheet.add(Text(MARGIN, self.y + 0.11, "the server's view", style.SMALL_SIZE, style.SOFT, bold=True))
        self.y += 0.21
        if len(panel.server) > layout.MOST_LANES:
            self._band(panel.server)
            return
        for row in panel.server:
            self._row(row)

    def _held(self, panel: _Panel, top: float, bottom: float) -> None:
        for start, stop in panel.held:
            left = self.x(start)
            self._box(left, top, max(self.x(stop) - left, style.PIXEL), bottom - top, "shade")

    def _ending(self, panel: _Panel, notes: float, top: float, bottom: float) -> None:
        at = self.x(panel.run.elapsed)
        if panel.beyond:
            self.sheet.add(Line(at, notes, at, bottom, style.INK, 1.0, order=8))
        elif self.many:
            words = layout.duration(panel.run.elapsed)
            self.sheet.add(Line(at, top, at, bottom, style.INK, 1.0, order=8))
            self.sheet.add(Text(at + 0.12, (top + bottom) / 2, words, style.TEXT_SIZE + 1, bold=True))

    def _axis(self) -> None:
        bottom = snap(self.y + 0.04)
        self.sheet.add(Line(self.left, bottom, self.right, bottom, style.RULE, 0.8))
        for seconds, words in layout.axis(self.end).ticks:
            at = self.x(seconds)
            self.sheet.add(Line(at, bottom, at, bottom + 0.04, style.RULE, 0.8))
            self.sheet.add(Text(at, bottom + 0.13, words, style.SMALL_SIZE, style.SOFT, align="center"))
        self.y = bottom + 0.24

    def _legend(self) -> None:
        """Explain what occurs in this figure, and nothing else, in as few lines as fit."""
        entries: list[tuple[Box | Mark, float, str]] = [
            (Box(0, -0.05, 0.2, 0.1, look), 0.2, words) for look, words in style.LEGEND.items() if look in self.seen
        ]
        entries += [(Mark(0.06, 0, 0.1, end), 0.12, words) for end, words in style.MARKS.items() if end in self.marks]
        x, y = self.left, self.y + 0.08
        for sample, wide, words in entries:
            length = wide + 0.06 + self.measure(words, style.SMALL_SIZE, False)
            if x > self.left and x + length > self.sheet.width - MARGIN:
                x, y = self.left, y + 0.18
            self.sheet.add(replace(sample, x=sample.x + x, y=sample.y + y))
            self.sheet.add(Text(x + wide + 0.06, y, words, style.SMALL_SIZE, style.SOFT))
            x += length + 0.2
        self.y = y + 0.08


def one_run(
    run: Run,
    title: str,
    measure: Measure,
    *,
    requests: bool,
    internals: bool | None,
    width: float,
    supersteps: bool = False,
) -> Sheet:
    """Compose the timeline of one run."""
    lanes = run.lanes(internals=internals)
    panel = _Panel(run, lanes, layout.last_moment(run, lanes), requests=requests, supersteps=supersteps)
    return _Composer([panel], title, width, measure).compose()


def several_runs(runs: Mapping[str, Run], title: str, measure: Measure, supersteps: bool, width: float) -> Sheet:
    """Compose several runs on one time axis."""
    panels = []
    most = max(6, MOST_COMPARED // len(runs))
    for name, run in runs.items():
        lanes = run.lanes()
        last = layout.last_moment(run, lanes)
        panels.append(_Panel(run, lanes, last, name=name, supersteps=supersteps, strip=False, most=most))
    return _Composer(panels, title, width, measure).compose()
