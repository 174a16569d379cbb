"""The colours of figures, as people see them who see colours differently, and on paper without any."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from awaitsee.observe import style
from awaitsee.observe.chart import CURVES
from awaitsee.observe.style import LOOKS, Look

Vector = NDArray[np.float64]

# Machado, Oliveira and Fernandes 2009, "A physiologically-based model for simulation of color vision deficiency",
# severity 1.0, for linear RGB.
EYES = {
    "all colours": np.eye(3),
    "no red (protanopia)": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green (deuteranopia)": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "no blue (tritanopia)": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
D65 = np.array([0.95047, 1.0, 1.08883])
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
GREY = np.tile(TO_XYZ[1], (3, 1))
SEEN_AT_A_GLANCE = 20.0
"""CIE76 difference of two areas that need no second sign; 2.3 is what can just be noticed side by side."""
SEEN = 8.0
"""The same with a second sign: a hatch, an edge, or a place. A request's queue is in its lane, right before it."""


def linear(colour: str) -> Vector:
    """A colour like "#14304d" as linear RGB from 0 to 1."""
    share = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    bright: Vector = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return bright


def lab(rgb: Vector) -> Vector:
    """Linear RGB as CIE L*a*b*, in which distances are about as large as they look."""
    part = TO_XYZ @ np.clip(rgb, 0, 1) / D65
    root = np.where(part > 0.008856, np.cbrt(part), 7.787 * part + 16 / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def difference(one: str, other: str, eye: Vector) -> float:
    return float(np.linalg.norm(lab(eye @ linear(one)) - lab(eye @ linear(other))))


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2, from 1 to 21."""
    bright = sorted(float(TO_XYZ[1] @ linear(colour)) for colour in (one, other))
    return (bright[1] + 0.05) / (bright[0] + 0.05)


def signs(look: Look) -> tuple[str | None, bool]:
    """What sets an area apart without its colour: its hatch, and whether it has an edge."""
    return look.hatch, look.edge is not None


def test_the_measure_tells_red_from_green_only_for_who_sees_both() -> None:
    red, green = "#b3261e", "#4a7a1e"
    assert difference(red, green, EYES["all colours"]) > 80
    assert difference(red, green, EYES["no green (deuteranopia)"]) < SEEN_AT_A_GLANCE
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("eye", EYES)
def test_what_stands_in_one_timeline_is_told_apart(eye: str) -> None:
    for (name, look), (other, another) in itertools.combinations([(name, LOOKS[name]) for name in style.LEGEND], 2):
        enough = SEEN if signs(look) != signs(another) or "queue" in name + other else SEEN_AT_A_GLANCE
        assert difference(look.fill, another.fill, EYES[eye]) > enough, (name, other)


def test_what_stands_in_one_timeline_is_told_apart_on_paper_without_colour() -> None:
    for (name, look), (other, another) in itertools.combinations([(name, LOOKS[name]) for name in style.LEGEND], 2):
        in_grey = abs(difference(look.fill, another.fill, GREY))
        assert in_grey > 5 or signs(look) != signs(another), (name, other)


@pytest.mark.parametrize("eye", EYES)
def test_curves_are_told_apart_by_colour_and_by_shape(eye: str) -> None:
    assert len({shape for shape, _ in CURVES}) == len(CURVES)
    for (_, colour), (_, other) in itertools.combinations(CURVES, 2):
        assert difference(colour, other, EYES[eye]) > SEEN


@pytest.mark.parametrize("colour", [style.INK, style.SOFT, style.FAILED, *(colour for _, colour in CURVES)])
def test_words_can_be_read_on_the_card(colour: str) -> None:
    # WCAG 2.2, 1.4.3: 4.5 for text, 3 for large or bold text.
    bold = colour in dict(CURVES).values()
    assert contrast(colour, style.CARD) >= (3 if bold else 4.5)
