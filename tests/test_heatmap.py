"""The heat map: what is refused, what is said, and what is drawn darker."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import pytest

from awaitsee import heatmap
from awaitsee.observe.sheet import Line, Text

CELLS: dict[tuple[float, float], float] = {(1, 1): 9.0, (4, 1): 35.0, (1, 128): 1009.0, (4, 128): 1998.0}
ACROSS, DOWN, VALUE = "requests at once", "texts in a request", "texts a second"
draw = partial(heatmap, x=ACROSS, y=DOWN, value=VALUE)


def strips(cells: dict[tuple[float, float], float], *, log: bool = False) -> list[Line]:
    """Return the coloured cells, row by row."""
    return [item for item in draw(cells, log=log).sheet.items if isinstance(item, Line)]


def brightness(line: Line) -> int:
    return sum(int(line.colour[place : place + 2], 16) for place in (1, 3, 5))


def test_the_text_names_the_settings_and_holds_no_measured_value() -> None:
    one = draw(CELLS, "The finding")
    other = draw({place: number * 1.3 + 1 for place, number in CELLS.items()}, "The finding")
    assert repr(one) == (
        'Heat map "The finding": texts a second for requests at once (1, 4) and texts in a request (1, 128)'
    )
    assert repr(one) == repr(other)
    assert one.png != other.png


def test_the_same_numbers_give_the_same_bytes() -> None:
    assert draw(CELLS).png == draw(CELLS).png


@pytest.mark.parametrize("log", [False, True])
def test_higher_is_darker(log: bool) -> None:
    shades = [brightness(line) for line in strips(CELLS, log=log)]
    assert shades == sorted(shades, reverse=True)
    assert len(set(shades)) == 4


def test_shades_by_factors_set_small_numbers_apart() -> None:
    plain, by_factors = ([brightness(line) for line in strips(CELLS, log=log)] for log in (False, True))
    assert by_factors[0] - by_factors[1] > 5 * (plain[0] - plain[1])


def test_each_number_stands_in_its_cell() -> None:
    sheet = draw(CELLS, "A finding").sheet
    words = [item.words for item in sheet.items if isinstance(item, Text)]
    assert [word for word in words if word in ("9", "35", "1,010", "2,000")] == ["9", "35", "1,010", "2,000"]
    assert "A finding" in words and {ACROSS, DOWN, VALUE} <= set(words)


def test_cells_lie_inside_the_sheet_and_beside_one_another() -> None:
    many = {(column, row): column + row + 1.0 for column in range(12) for row in range(3)}
    sheet = draw(many, width=6.0).sheet
    lines = [item for item in sheet.items if isinstance(item, Line)]
    assert max(line.x1 for line in lines) <= sheet.width
    assert all(left.x1 < right.x0 for left, right in pairwise(lines[:12]))


def test_equal_numbers_are_drawn() -> None:
    assert len({line.colour for line in strips({(1, 1): 5.0, (2, 1): 5.0})}) == 1
    assert len(strips({(1, 1): 5.0}, log=True)) == 1


@pytest.mark.parametrize(
    ("cells", "log", "words"),
    [
        ({}, False, "nothing to draw"),
        ({(1, 1): 1.0, (2, 2): 1.0}, False, r"no number: \(1, 2\)"),
        ({(1, 1): float("nan")}, False, "not finite"),
        ({(1, 1): 0.0}, True, "above 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(cells: dict[tuple[float, float], float], log: bool, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        draw(cells, log=log)
