"""Measured curves and rasters: what is refused, what is said, and where things lie on the sheet."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from awaitsee import chart, raster
from awaitsee.observe.sheet import Box, Line, Mark, Text

POINTS = [(1.0, 1.0), (10.0, 7.5), (50.0, 9.0)]


def test_the_text_names_the_curves_and_holds_no_measured_value() -> None:
    one = chart({"slots": POINTS}, "The finding", x="calls", y="times as fast")
    other = chart({"slots": [(x, y * 1.3) for x, y in POINTS]}, "The finding", x="calls", y="times as fast")
    assert repr(one) == 'Chart "The finding": times as fast against calls from 1 to 50; slots'
    assert repr(one) == repr(other)
    assert one.png != other.png


def test_the_same_points_give_the_same_bytes() -> None:
    assert chart({"a": POINTS}, x="x", y="y").png == chart({"a": POINTS}, x="x", y="y").png


def test_more_is_higher_and_further_right() -> None:
    marks = [item for item in chart({"a": POINTS}, x="x", y="y").sheet.items if isinstance(item, Mark)]
    assert [mark.x for mark in marks] == sorted(mark.x for mark in marks)
    assert [mark.y for mark in marks] == sorted((mark.y for mark in marks), reverse=True)


def test_a_logarithmic_axis_spaces_factors_evenly() -> None:
    points = [(1.0, 1.0), (10.0, 1.0), (100.0, 1.0)]
    marks = [item for item in chart({"a": points}, x="x", y="y", log_x=True).sheet.items if isinstance(item, Mark)]
    assert math.isclose(marks[1].x - marks[0].x, marks[2].x - marks[1].x, abs_tol=0.02)


def test_the_names_of_curves_that_end_together_do_not_overlap() -> None:
    sheet = chart({name: POINTS for name in "abcd"}, x="calls", y="rate").sheet
    heights = sorted(item.y for item in sheet.items if isinstance(item, Text) and item.words in set("abcd"))
    assert len(heights) == 4
    assert all(below - above > 0.15 for above, below in itertools.pairwise(heights))


def test_the_names_of_curves_that_end_at_zero_stay_above_the_axis() -> None:
    sheet = chart({name: [(0.0, 1.0), (1.0, 0.0)] for name in "abcd"}, x="calls", y="rate").sheet
    axis = max(item.y0 for item in sheet.items if isinstance(item, Line) and item.y0 == item.y1)
    heights = sorted(item.y for item in sheet.items if isinstance(item, Text) and item.words in set("abcd"))
    assert heights[-1] <= axis + 0.01
    assert all(below - above > 0.15 for above, below in itertools.pairwise(heights))


def test_a_mark_stands_at_its_place_with_its_name() -> None:
    drawn = chart({"a": POINTS}, x="cap", y="rate", mark={"knee": 10.0})
    (dot,) = [item for item in drawn.sheet.items if isinstance(item, Mark)][1:2]
    assert any(
        isinstance(item, Line) and item.x0 == item.x1 == dot.x and item.y1 - item.y0 > 1 for item in drawn.sheet.items
    )
    assert any(isinstance(item, Text) and item.words == "knee: 10" for item in drawn.sheet.items)
    assert repr(drawn).endswith("; marked: knee")
    with pytest.raises(ValueError, match="'knee' at 51 lies beside the points"):
        chart({"a": POINTS}, x="cap", y="rate", mark={"knee": 51.0})


@pytest.mark.parametrize("points", [[(3.0, 2.0)], [(3.0, 0.0)], [(0.0, 0.0), (1.0, 0.0)], [(1.0, 1e-9), (2.0, 1e9)]])
def test_odd_points_can_be_drawn(points: Sequence[tuple[float, float]]) -> None:
    assert chart({"a": points}, x="x", y="y").png.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("curves", "log_x", "words"),
    [
        ({}, False, "nothing to draw"),
        ({"a": []}, False, "nothing to draw"),
        ({name: POINTS for name in "abcde"}, False, "at most 4 curves"),
        ({"a": [(1.0, math.nan)]}, False, "not a finite number"),
        ({"a": [(1.0, -1.0)]}, False, "begins at 0"),
        ({"a": [(0.0, 1.0)]}, True, "values above 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    curves: dict[str, Sequence[tuple[float, float]]], log_x: bool, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        chart(curves, x="x", y="y", log_x=log_x)


def test_it_is_saved_as_a_page_without_a_table_of_lanes(tmp_path: Path) -> None:
    chart({"a <b>": POINTS}, "A & B", x="x", y="y").save(tmp_path / "chart.html")
    page = (tmp_path / "chart.html").read_text(encoding="utf-8")
    assert "<table" not in page and "A &amp; B" in page and "a <b>" not in page


STREAMS = {"one": [0.3, 0.4, 0.5], "two": [0.35, 0.6], "whole": [1.0]}


def test_a_raster_names_its_rows_and_holds_no_measured_value() -> None:
    one = raster(STREAMS, "The finding", x="seconds")
    other = raster(
        {name: [1.2 * moment for moment in row] for name, row in STREAMS.items()}, "The finding", x="seconds"
    )
    assert repr(one) == repr(other) == 'Raster "The finding": seconds; one, two, whole'
    assert one.png != other.png and one.png == raster(STREAMS, "The finding", x="seconds").png


def test_a_raster_has_a_row_for_each_name_a_dot_at_its_first_moment_and_a_stroke_at_each_other() -> None:
    items = raster(STREAMS, x="seconds").sheet.items
    dots = [item for item in items if isinstance(item, Mark)][:-1]
    assert [dot.y for dot in dots] == sorted({dot.y for dot in dots}) and len(dots) == len(STREAMS)
    assert dots[0].x < dots[1].x < dots[2].x
    strokes = [item for item in items if isinstance(item, Line) and item.order == 4][:-1]
    assert [sum(math.isclose((each.y0 + each.y1) / 2, dot.y, abs_tol=0.01) for each in strokes) for dot in dots] == [
        2,
        1,
        0,
    ]
    bars = [item for item in items if isinstance(item, Box) and item.look == "waiting"][:-1]
    assert all(math.isclose(bar.x + bar.width, dot.x, abs_tol=0.01) for bar, dot in zip(bars, dots, strict=True))


def test_a_raster_of_moments_at_zero_can_be_drawn() -> None:
    assert raster({"a": [0.0]}, x="seconds").png.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({}, "nothing to draw"),
        ({"a": []}, "nothing to draw"),
        ({"a": [-0.1]}, "from 0 on, in order"),
        ({"a": [0.2, 0.1]}, "from 0 on, in order"),
        ({"a": [math.nan]}, "from 0 on, in order"),
    ],
)
def test_a_raster_that_cannot_be_drawn_is_refused(rows: dict[str, list[float]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        raster(rows, x="seconds")
