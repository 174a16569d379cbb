"""Is this the environment that the course was tested with?"""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

TESTED_PYTHONS = ((3, 11), (3, 13))
"""The oldest and the newest Python that the course was tested with."""
REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements.txt"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)\s*(?:;\s*(.+))?$")
REPAIR = "Close JupyterLab, then `make lab` in the course's folder repairs it (`py start.py lab` on Windows)."


def complaints(requirements: Path = REQUIREMENTS) -> list[str]:
    """Return one sentence for each thing that differs from the tested set, or an empty list."""
    return [*python_complaints(), *package_complaints(requirements)]


def python_complaints() -> list[str]:
    """Return a sentence if this Python is none of the tested ones."""
    oldest, newest = TESTED_PYTHONS
    if oldest <= sys.version_info[:2] <= newest:
        return []
    return [
        f"Python {sys.version_info[0]}.{sys.version_info[1]} is not a tested one "
        f"({oldest[0]}.{oldest[1]} to {newest[0]}.{newest[1]})."
    ]


def package_complaints(requirements: Path = REQUIREMENTS) -> list[str]:
    """Return one sentence for each package that is not the tested version."""
    if not requirements.exists():
        return ["The list of tested versions is not here: this is not a checkout of the course."]
    found = []
    for line in requirements.read_text(encoding="utf-8").splitlines():
        pin = PIN.match(line.strip())
        if pin is None or pin[3]:
            continue
        try:
            installed = version(pin[1]).split("+")[0]
        except PackageNotFoundError:
            found.append(f"{pin[1]} is missing: {pin[2]} was tested.")
            continue
        if installed != pin[2].split("+")[0]:
            found.append(f"{pin[1]} is {installed}: {pin[2]} was tested.")
    return found


def check_setup() -> None:
    """Print one line when Python and every package are the tested ones, otherwise what differs and what to do."""
    found = complaints()
    if not found:
        print("Set-up: Python and every package are the tested ones.")
        return
    shown = found[:5] + ([f"... and {len(found) - 5} more."] if len(found) > 5 else [])
    print("Set-up: not what the course was tested with.", *shown, sep="\n  ")
    print(REPAIR)
