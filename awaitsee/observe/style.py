"""How timelines look: colours, sizes and names of looks. No drawing library here."""

from __future__ import annotations

from dataclasses import dataclass

# Hues after Okabe and Ito (sky blue, vermillion, orange, bluish green) at clearly different lightness, so that a figure
# also reads in grey: running is nearly black, requests are mid-tone, waiting is nearly white.
CARD = "#fdfdfb"
BORDER = "#d5dadf"
INK = "#1b2733"
SOFT = "#566370"
GRID = "#e9edf0"
RULE = "#8c98a4"
RUNNING = "#14304d"
WAITING = "#d9e2ea"
REQUEST = "#6fb3e3"
QUEUED = "#b7cfe2"
THREAD = "#4fb093"
HELD = "#d55e00"
FAILED = "#b3261e"
CANCELLED = "#c98700"
SUPERSTEP = "#aab48a"


@dataclass(frozen=True, slots=True)
class Look:
    """How an area is filled. Hatches set apart in grey what colour sets apart otherwise."""

    fill: str
    edge: str | None = None
    hatch: str | None = None
    hatch_colour: str = "#ffffff"
    alpha: float = 1.0
    order: int = 2
    """What is drawn later lies on top."""


LOOKS: dict[str, Look] = {
    "waiting": Look(WAITING, order=2),
    "request": Look(REQUEST, order=4),
    "failed request": Look("#f6d5c8", edge=FAILED, order=4),
    "aborted request": Look("#ffffff", hatch="///", hatch_colour=CANCELLED, edge=CANCELLED, order=4),
    "request queue": Look(QUEUED, order=4),
    "in flight": Look(REQUEST, order=4),
    "alive": Look("#b4c1cd", order=4),
    "thread": Look(THREAD, hatch="\\\\\\", hatch_colour="#ffffff", edge="#1f6b55", order=5),
    "superstep": Look("#eef1e4", order=1),
    "shade": Look(HELD, alpha=0.16, order=3),
    "running": Look(RUNNING, order=6),
    "held": Look(HELD, hatch="////", hatch_colour="#ffffff", edge="#7a3500", order=7),
    "card": Look(CARD, edge=BORDER, order=0),
}

LEGEND: dict[str, str] = {
    "running": "running",
    "waiting": "waiting",
    "request": "request",
    "failed request": "request failed",
    "aborted request": "request cut off",
    "request queue": "in the server's queue",
    "thread": "in a worker thread",
    "held": "held the loop",
}

MARKS: dict[str, str] = {
    "raised": "raised",
    "cancelled": "cancelled",
    "lost": "lost",
    "running": "still running",
}

TITLE_SIZE = 13.5
TEXT_SIZE = 10.0
LABEL_SIZE = 9.5
SMALL_SIZE = 9.0

DENSITY = 192
"""Pixels to the inch in a PNG."""
CSS_DENSITY = 96
"""Pixels to the inch on a page: half of `DENSITY`, so that the figure is crisp on a fine screen."""
PIXEL = 1 / DENSITY
