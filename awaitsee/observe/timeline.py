"""The drawing of a run: `plot` for one, `compare` for several on one time axis, `save` for use outside notebooks."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from awaitsee.observe import summary
from awaitsee.observe.layout import Run
from awaitsee.observe.observation import Lane
from awaitsee.observe.sheet import Sheet

UNSEEN = "position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden; clip-path: inset(50%)"
"""The style of words that are there for screen readers only."""


@dataclass(frozen=True)
class Picture:
    """A drawing that shows as an image in a notebook and as a sentence everywhere else.

    It is a snapshot: what happens to the run later does not change it.
    """

    text: str
    title: str
    sheet: Sheet
    lanes: tuple[tuple[str, Lane], ...]
    """The lanes drawn, each with its run's label; for the table in the HTML file."""

    @cached_property
    def png(self) -> bytes:
        from awaitsee.observe import drawing

        return drawing.png(self.sheet)

    @property
    def svg(self) -> str:
        from awaitsee.observe import drawing

        return drawing.svg(self.sheet)

    @property
    def html(self) -> str:
        from awaitsee.observe import page

        return page.write(self.title, self.text, self.svg, self.lanes)

    def save(self, path: str | Path) -> None:
        """Write the picture to a `.png`, `.svg` or self-contained `.html` file.

        Raises:
            ValueError: the file's name ends otherwise.
        """
        path = Path(path)
        match path.suffix.lower():
            case ".png":
                path.write_bytes(self.png)
            case ".svg":
                path.write_text(self.svg, encoding="utf-8")
            case ".html":
                path.write_text(self.html, encoding="utf-8")
            case _:
                raise ValueError(
                    f"A timeline is saved as .png, .svg or .html; give {str(path)!r} one of these endings."
                )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        from awaitsee.observe.style import CSS_DENSITY

        size = {
            "width": round(self.sheet.width * CSS_DENSITY),
            "height": round(self.sheet.height * CSS_DENSITY),
            "alt": self.text,
        }
        return {"image/png": self.png, "text/plain": self.text}, {"image/png": size}

    def _ipython_display_(self) -> None:
        """Show the image, and after it its words where a screen reader finds them.

        JupyterLab 4 gives an image no text alternative, whatever its metadata say. The words are there for those who do
        not see it, and take no room; where styles are not kept they stand below the image.
        """
        from IPython.display import display

        data, metadata = self._repr_mimebundle_()
        display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
        if "image/png" in data:
            words = html.escape(self.text, quote=False)
            display({"text/html": f'<p style="{UNSEEN}">{words}</p>'}, raw=True)  # type: ignore[no-untyped-call]

    def __repr__(self) -> str:
        return self.text


def plot(
    run: Run,
    title: str = "",
    *,
    requests: bool = False,
    internals: bool | None = None,
    supersteps: bool = False,
    width: float = 10.0,
) -> Picture:
    """Draw one run: a lane per task, dark where it ran and light where it waited, on a time axis in seconds.

    Args:
        run: an `Observation`.
        title: the finding that the figure shows.
        requests: draw the server's view of each request below.
        internals: show the tasks that libraries made for themselves, too; by default as `observe` was told.
        supersteps: draw the supersteps of a LangGraph graph as bands behind the lanes.
        width: inches; text keeps its size.
    """
    from awaitsee.observe import composer, drawing

    drawn = composer.one_run(
        run, title, drawing.measure, requests=requests, internals=internals, supersteps=supersteps, width=width
    )
    lanes = tuple(("", lane) for lane in run.lanes(internals=internals))
    return Picture(summary.of_run(run, title, supersteps), title, drawn, lanes)


def compare(runs: Mapping[str, Run], title: str = "", *, supersteps: bool = False, width: float = 10.0) -> Picture:
    """Draw several runs below each other on one time axis, each with its label and how long it took.

    With `supersteps` those of a LangGraph graph are bands behind the lanes.

    Raises:
        ValueError: there is no run to draw.
    """
    from awaitsee.observe import composer, drawing

    if not runs:
        raise ValueError('There is nothing to compare; pass at least one run, as in compare({"one by one": run}).')
    drawn = composer.several_runs(runs, title, drawing.measure, supersteps, width)
    lanes = tuple((label, lane) for label, run in runs.items() for lane in run.lanes())
    return Picture(summary.of_runs(runs, title, supersteps), title, drawn, lanes)


def save(
    run: Run,
    path: str | Path,
    title: str = "",
    *,
    requests: bool = False,
    internals: bool | None = None,
    supersteps: bool = False,
    width: float = 10.0,
) -> None:
    """Draw one run like `plot` and write it to a `.png`, `.svg` or self-contained `.html` file.

    Raises:
        ValueError: the file's name ends otherwise.
    """
    plot(run, title, requests=requests, internals=internals, supersteps=supersteps, width=width).save(path)
