"""Where the course's data lies: the handbook, the practice pages, the made-up weather."""

from __future__ import annotations

import os
from pathlib import Path

DATA_VARIABLE = "AWAITSEE_DATA"


def data_folder() -> Path:
    """Return the course's `data` folder.

    `AWAITSEE_DATA` names it if set; otherwise it is a `data` folder inside the installed package, or the checkout's.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    named = os.environ.get(DATA_VARIABLE)
    package = Path(__file__).resolve().parents[1]
    candidates = [Path(named)] if named else [package / "data", package.parent / "data"]
    for folder in candidates:
        if (folder / "handbook").is_dir():
            return folder
    raise FileNotFoundError(
        f"No course data in {' or '.join(map(str, candidates))}: "
        f"run from a checkout of the course, or set {DATA_VARIABLE} to its data folder."
    )
