"""`awaitsee check` in the terminal: a line for each submission as it ends, then the table and the file."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

from .check import CannotCheck, check_folder
from .outcome import Row
from .report import shown, summary, table, write_csv
from .supervise import Limits

MOST_NAMED = 5
AS_ROOT = (
    "You are root, from whom nothing is hidden, and so was every submission while it ran: better check from an account"
    " that owns nothing."
)


def run(folder: Path, course: Path, *, csv: Path | None, jobs: int, timeout: float, memory: int) -> None:
    """Check a folder and show what came of it. Ctrl-C shows what is done so far, then goes on as KeyboardInterrupt.

    Raises:
        CannotCheck: Nothing can be checked, or the table cannot be written.
    """
    done: list[Row] = []
    submissions = 0

    def tell(rows: list[Row]) -> None:
        nonlocal submissions
        done.extend(rows)
        submissions += 1
        counts = Counter(row.outcome for row in rows)
        came = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
        print(f"{submissions}  {shown(rows[0].submission)}: {came}", file=sys.stderr, flush=True)

    try:
        rows, found = check_folder(folder, course, csv=csv, jobs=jobs, limits=Limits(timeout, memory), tell=tell)
    except KeyboardInterrupt:
        show(sorted(done, key=lambda row: row.submission))
        print("Stopped: what was still running was ended, and no file was written.", file=sys.stderr)
        raise
    show(rows)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        print(AS_ROOT, file=sys.stderr, flush=True)
    if found.others:
        named = ", ".join(shown(name) for name in found.others[:MOST_NAMED])
        more = f" and {len(found.others) - MOST_NAMED} more" if len(found.others) > MOST_NAMED else ""
        print(f"Not looked at, because their names do not end in .ipynb: {named}{more}.")
    if csv is not None:
        try:
            write_csv(rows, csv)
        except OSError as error:
            raise CannotCheck(
                f"The table could not be written to {csv} ({error.strerror}): copy it from above."
            ) from None
        print(f"The table is in {csv}.")


def show(rows: list[Row]) -> None:
    """Print the table and the counts."""
    from rich.console import Console

    if rows:
        # What is no terminal is no reason to fold names in the middle.
        Console(width=None if sys.stdout.isatty() else 200).print(table(rows))
        print(summary(rows))
