"""What `tests/mistakes/` is written in: answers to exercises, wrong and right ones."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

MISTAKES = Path(__file__).parent / "mistakes"


@dataclass(frozen=True)
class Answer:
    """Something that a learner might write.

    `exercise` is its number, `name` says in a few words what is special about it, `code` goes in place of the stub, and
    `shows` is what a wrong answer must make the check say; a right answer has none and must pass.
    """

    exercise: str
    name: str
    code: str
    shows: str = ""

    @property
    def is_right(self) -> bool:
        return not self.shows


def wrong(exercise: str, name: str, shows: str, code: str) -> Answer:
    return Answer(exercise, name, code, shows)


def right(exercise: str, name: str, code: str) -> Answer:
    return Answer(exercise, name, code)


def kernel_of(lesson: str) -> int:
    """Return the number of the kernel that tries the answers to a lesson; three lessons share one."""
    return int(lesson[:2]) // 3


def answers(stem: str) -> list[Answer]:
    """Return the answers for the exercises of one lesson, or an empty list where nobody wrote any."""
    path = MISTAKES / f"{stem}.py"
    if not path.exists():
        return []
    spec = importlib.util.spec_from_file_location(f"mistakes_{stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: list[Answer] = module.ANSWERS
    return found
