"""What a lesson would cost at a real provider, from the tokens that it was measured to use here."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..journal import Price

FILE = Path(__file__).resolve().parents[2] / "data" / "lesson_costs.json"
"""Requests and tokens of each lesson, run from top to bottom: written by `benchmarks/lesson_costs.py --write`."""
TOKENS_OF_AN_ANSWER = 200
"""A real model's answer; the practice model's are shorter."""
LESSON = re.compile(r"(\d\d)_\w+\.ipynb$")


@dataclass(frozen=True, slots=True)
class Use:
    """What one run of a lesson's notebook asks of the model."""

    requests: int
    input_tokens: int
    output_tokens: int

    def dollars(self, price: Price) -> float:
        """Return the price of it with answers as long as a real model's."""
        written = max(self.output_tokens, self.requests * TOKENS_OF_AN_ANSWER)
        return (self.input_tokens * price.input + written * price.output) / 1e6


def measured(file: Path = FILE) -> dict[str, Use]:
    """Return the use by lesson number; empty when nothing was measured."""
    if not file.exists():
        return {}
    return {lesson: Use(**use) for lesson, use in json.loads(file.read_text(encoding="utf-8")).items()}


def lesson_of_this_kernel() -> str:
    """Return the number of the lesson that this kernel runs, such as `13`; empty where that is not known."""
    notebook = LESSON.search(os.environ.get("JPY_SESSION_NAME", ""))
    return notebook[1] if notebook else ""


def estimate(model: str, prices: Mapping[str, Price], usual: str) -> str:
    """Say in a sentence what this lesson would cost with a model, or the dearest lesson if this one is not known.

    Where the model's price is not known, that of the `usual` one is given.
    """
    uses = measured()
    price = prices.get(model, prices[usual])
    if not uses:
        return "what a lesson costs was not measured."
    lesson = lesson_of_this_kernel()
    name = f"lesson {lesson}" if lesson in uses else "the lesson that asks most"
    use = uses.get(lesson) or max(uses.values(), key=lambda one: one.dollars(price))
    cost = f"${use.dollars(price):.2f}" if use.dollars(price) >= 0.01 else "less than $0.01"
    said = f"{name} makes {use.requests} calls, about {cost}"
    if model not in prices:
        said += f" with {usual} (the price of {model} is not known here)"
    return f"{said}, in November 2026."
