"""Puts a composed sheet on paper with matplotlib, as PNG or SVG, without touching anybody's figures or settings."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font
from PIL import Image

from awaitsee.observe import style
from awaitsee.observe.sheet import Area, Box, Line, Mark, Raster, Sheet, Text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 72
"""Points to the inch."""

_POINTS = {"dot": "o", "square": "s", "triangle": "^", "diamond": "D"}

# The file that matplotlib brings along, so that every machine draws the same.
_FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
_FILES = {False: _FONTS / "DejaVuSans.ttf", True: _FONTS / "DejaVuSans-Bold.ttf"}


@lru_cache(maxsize=2)
def _font(bold: bool) -> FT2Font:
    font = FT2Font(str(_FILES[bold]))
    font.set_size(100, POINTS)
    return font


@lru_cache(maxsize=4096)
def _advance(character: str, bold: bool) -> float:
    """Return the width of one character at 100 points, in points."""
    return float(_font(bold).load_char(ord(character)).linearHoriAdvance / 65536)


def drawable(words: str) -> str:
    """Replace characters that the font lacks by a white rectangle; matplotlib would warn in the notebook."""
    return "".join(character if _font(False).get_char_index(ord(character)) else "▯" for character in words)


def measure(words: str, size: float, bold: bool) -> float:
    """Return the width in inches of `words` at `size` points."""
    return sum(_advance(character, bold) for character in drawable(words)) * size / 100 / POINTS


@contextmanager
def _own_settings() -> Iterator[None]:
    """Draw with matplotlib's defaults whatever style the notebook has set, and put the notebook's settings back."""
    defaults = {key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith("backend")}
    defaults |= {"svg.hashsalt": "awaitsee", "svg.fonttype": "none", "hatch.linewidth": 0.9}
    with matplotlib.rc_context(defaults):
        yield


def png(sheet: Sheet) -> bytes:
    """Draw as PNG with `style.DENSITY` pixels to the inch and a small palette; the same sheet gives the same bytes."""
    with _own_settings():
        canvas = FigureCanvasAgg(_figure(sheet))
        canvas.draw()  # type: ignore[no-untyped-call]
        pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    image = Image.fromarray(pixels[:, :, :3])
    out = io.BytesIO()
    few_colours = image.quantize(64, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few_colours.save(out, "PNG", optimize=True, dpi=(style.DENSITY, style.DENSITY))
    return out.getvalue()


def svg(sheet: Sheet) -> str:
    """Draw as SVG with text as text; the same sheet gives the same words."""
    # Imported here: it takes as long as all the rest of matplotlib, and few figures are wanted as SVG.
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    out = io.BytesIO()
    with _own_settings():
        figure = _figure(sheet)
        canvas = FigureCanvasSVG(figure)
        canvas.print_svg(out, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    return out.getvalue().decode()


def _figure(sheet: Sheet) -> Figure:
    figure = Figure(figsize=(sheet.width, sheet.height), dpi=style.DENSITY, facecolor=style.CARD)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    areas: dict[str, list[Any]] = defaultdict(list)
    lines: dict[tuple[str, float, int], list[Any]] = defaultdict(list)
    for item in sheet.items:
        match item:
            case Box(x, y, width, height, look):
                areas[look].append([(x, y), (x + width, y), (x + width, y + height), (x, y + height)])
            case Area(points, look):
                areas[look].append(points)
            case Line(x0, y0, x1, y1, colour, width, order):
                lines[colour, width, order].append([(x0, y0), (x1, y1)])
            case Mark():
                _mark(axes, item)
            case Text():
                _text(axes, item)
            case Raster():
                _raster(axes, item)
    for name, shapes in areas.items():
        for layer in _layers(style.LOOKS[name], shapes):
            axes.add_collection(layer, autolim=False)
    for (colour, thickness, order), segments in lines.items():
        axes.add_collection(
            LineCollection(
                segments,
                colors=colour,
                linewidths=thickness,
                zorder=order,
                capstyle="butt",
            ),
            autolim=False,
        )
    # Last, because an image sets limits of its own.
    axes.set_xlim(0, sheet.width)
    axes.set_ylim(sheet.height, 0)
    return figure


def _layers(look: style.Look, shapes: list[Any]) -> Iterator[PolyCollection]:
    """Yield the filling, which has the hatch's colour for its edge, and the outline."""
    alpha = look.alpha if look.alpha < 1 else None
    settings: dict[str, Any] = {"antialiaseds": False, "zorder": look.order, "alpha": alpha}
    if look.hatch:
        yield PolyCollection(
            shapes, facecolors=look.fill, edgecolors=look.hatch_colour, linewidths=0, hatch=look.hatch, **settings
        )
    else:
        yield PolyCollection(shapes, facecolors=look.fill, edgecolors="none", linewidths=0, **settings)
    if look.edge:
        yield PolyCollection(shapes, facecolors="none", edgecolors=look.edge, linewidths=0.8, **settings)


def _text(axes: Axes, text: Text) -> None:
    axes.text(
        text.x,
        text.y,
        drawable(text.words),
        fontproperties=FontProperties(
            family="DejaVu Sans", weight="bold" if text.bold else "normal", size=text.size, fname=str(_FILES[text.bold])
        ),
        color=text.colour,
        ha=text.align,
        va="center_baseline",
        zorder=10,
        parse_math=False,
    )


def _mark(axes: Axes, mark: Mark) -> None:
    """Draw how a lane ended; the shapes differ, so that colour is not needed to tell them apart."""
    size = mark.size * POINTS
    match mark.shape:
        case "returned":
            axes.plot(mark.x, mark.y, "o", ms=size * 0.62, mfc=style.RUNNING, mec=style.CARD, mew=0.8, zorder=9)
        case "raised":
            axes.plot(mark.x, mark.y, "X", ms=size * 1.25, mfc=style.FAILED, mec=style.CARD, mew=0.7, zorder=9)
        case "cancelled":
            axes.plot(mark.x, mark.y, "s", ms=size * 0.8, mfc=style.CARD, mec=style.CANCELLED, mew=2.0, zorder=9)
        case "lost":
            axes.plot(mark.x, mark.y, "D", ms=size * 0.8, mfc=style.CARD, mec=style.FAILED, mew=2.0, zorder=9)
        case "running":
            axes.plot(mark.x, mark.y, ">", ms=size * 0.95, mfc=style.CARD, mec=style.RUNNING, mew=1.1, zorder=9)
        case _:
            axes.plot(mark.x, mark.y, _POINTS[mark.shape], ms=size, mfc=mark.colour, mec=style.CARD, mew=0.7, zorder=9)


def _raster(axes: Axes, raster: Raster) -> None:
    """Draw a thin row for each lane; where there are more lanes than pixels, neighbours blend."""
    height = round(raster.height * style.DENSITY)
    depth = min(len(raster.rows), height)
    total = np.zeros((depth, raster.columns, 3))
    lanes = np.zeros((depth, 1, 1))
    colours = {name: np.array(to_rgb(look.fill)) for name, look in style.LOOKS.items()}
    colours |= {"raised": np.array(to_rgb(style.FAILED)), "cancelled": np.array(to_rgb(style.CANCELLED))}
    colours["lost"] = colours["raised"]
    for index, cells in enumerate(raster.rows):
        row = np.tile(np.array(to_rgb(style.CARD)), (raster.columns, 1))
        for look, start, stop in cells:
            if look in colours:
                first = min(max(int(start), 0), raster.columns - 1)
                row[first : max(first + 1, int(stop))] = colours[look]
        target = index * depth // len(raster.rows)
        total[target] += row
        lanes[target] += 1
    axes.imshow(
        total / lanes,
        extent=(raster.x, raster.x + raster.width, raster.y + raster.height, raster.y),
        interpolation="nearest",
        aspect="auto",
        zorder=3,
    )
