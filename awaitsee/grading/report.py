"""The rows as a table in the terminal and as a CSV file."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING

from .outcome import Outcome, Row

if TYPE_CHECKING:
    from rich.table import Table

COLOURS: dict[Outcome, str] = {"passed": "green", "failed": "red", "not attempted": "dim", "missing": "yellow"}
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet compute a cell instead of showing it."""
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(text: str) -> str:
    """Return text of a submission without what a terminal or a reader could be misled by."""
    return _INVISIBLE.sub("�", text)


def table(rows: Sequence[Row]) -> Table:
    """Return the rows as a table, each submission named once."""
    from rich.table import Table
    from rich.text import Text

    listed = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("submission", "lesson", "exercise", "outcome", "detail"):
        listed.add_column(heading, overflow="fold")
    listed.add_column("seconds", justify="right")
    before = ""
    for row in rows:
        name = row.submission if row.submission != before else ""
        before = row.submission
        # Text and not str: a detail may hold what rich would take for markup.
        listed.add_row(
            Text(shown(name)),
            row.lesson,
            row.exercise,
            Text(row.outcome, style=COLOURS.get(row.outcome, "magenta")),
            Text(shown(row.detail)),
            f"{row.seconds:.1f}" if row.seconds else "",
        )
    return listed


def summary(rows: Sequence[Row]) -> str:
    """Return how often each outcome came, in one line."""
    counts = Counter(row.outcome for row in rows)
    submissions = len({row.submission for row in rows})
    listed = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    return f"{submissions} {'submission' if submissions == 1 else 'submissions'}: {listed}."


def as_csv(rows: Sequence[Row]) -> str:
    """Return the rows as CSV with a header. No cell is a formula to a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(Row))
    for row in rows:
        cells = [shown(value) if isinstance(value, str) else value for value in astuple(row)]
        writer.writerow(f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell for cell in cells)
    return text.getvalue()


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write the CSV file.

    Raises FileExistsError when there is one, and OSError when it cannot be written.
    """
    with path.open("x", encoding="utf-8", newline="") as file:
        file.write(as_csv(rows))
