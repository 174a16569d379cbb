"""What came of one exercise of one submission."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal[
    "passed", "failed", "not attempted", "crashed", "timed out", "out of memory", "not a notebook", "missing"
]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. A row about a whole submission names no exercise; one that was not read, no lesson."""

    submission: str
    lesson: str
    exercise: str
    outcome: Outcome
    detail: str = ""
    seconds: float = 0.0
