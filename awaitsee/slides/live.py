"""Copies of lessons to type in front of a room: the prose stays, the code cells are empty, the script has the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awaitsee.course import COURSE, start_script
from awaitsee.slides.code import output_text, source_of
from awaitsee.slides.prose import QUESTION

_SIBLING = re.compile(r"\]\((\d\d_\w+\.ipynb)")
"""A link to another lesson's notebook: the copy does not stand beside it."""
_ANSWER = re.compile(r"^[ABC][.,] ", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6} ", re.MULTILINE)
GIVEN = "given"
"""The tag of a cell that is not typed."""


@dataclass(frozen=True, slots=True)
class LiveCopy:
    """A copy that was made."""

    notebook: Path
    script: Path
    kept: str
    """The name of the file that keeps an earlier copy in which somebody had typed; empty if there was none."""


def make_live(notebook: Path, folder: Path, course: Path = COURSE) -> LiveCopy:
    """Write a lesson's copy to type in, and its script, into a folder.

    An earlier copy that was typed in is kept beside the new one, dated. Raises ValueError when the notebook is none,
    NoCourse where there is no course, and OSError when a file cannot be written; then the earlier copy is as it was.
    """
    start = start_script(course)
    content = start.read_notebook(notebook)
    if content is None:
        raise ValueError(f"{notebook} cannot be read as a notebook: get it again (git checkout {notebook.name}).")
    copy, script = emptied(start.without_outputs(content)), script_of(content)
    copy["metadata"] = dict(copy["metadata"], awaitsee_live=start.fingerprint(copy))
    target, companion = folder / notebook.name, folder / f"{notebook.stem}.script.md"
    kept = None
    if target.exists() and _was_typed_in(target, start):
        kept = start.set_aside(target)
    try:
        start.write_atomically(target, start.as_text(copy))
    except BaseException:
        if kept and not target.exists():
            kept.replace(target)
        raise
    # Whoever writes notes into the script wants to keep them too; a line at its end says whether it is as it was made.
    if companion.exists() and not _is_ours(companion.read_text(encoding="utf-8"), start):
        start.set_aside(companion)
    start.write_atomically(companion, _sealed(script, start))
    return LiveCopy(target, companion, kept.name if kept else "")


def _was_typed_in(path: Path, start: Any) -> bool:
    mine = start.read_notebook(path)
    return not mine or mine.get("metadata", {}).get("awaitsee_live") != start.fingerprint(mine)


_SEAL = "\n<!-- as made: "


def _sealed(text: str, start: Any) -> str:
    return f"{text}{_SEAL}{_digest(text, start)} -->\n"


def _is_ours(text: str, start: Any) -> bool:
    body, _, seal = text.rpartition(_SEAL)
    return seal == f"{_digest(body, start)} -->\n"


def _digest(text: str, start: Any) -> str:
    digest: str = start.fingerprint({"cells": [{"cell_type": "raw", "source": text}]})
    return digest[:16]


def emptied(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """Return a notebook to type in.

    A cell to type is empty but for the number that it has in the script. The paragraph that gives a prediction's right
    letter, and what follows it in its cell, is folded, so that nobody reads it before the cell has run.
    """
    cells = []
    number = 0
    for cell, typed in zip(notebook["cells"], _typed(notebook["cells"]), strict=True):
        source = source_of(cell)
        if typed:
            number += 1
            source = f"# {number}\n"
        elif cell["cell_type"] == "markdown":
            source = _folded(_SIBLING.sub(r"](../notebooks/\1", source))
        cells.append(dict(cell, source=source))
    return dict(notebook, cells=cells)


def _folded(source: str) -> str:
    found = _ANSWER.search(source)
    if not found or _HEADING.search(source, found.start()):
        return source
    answer = source[found.start() :].rstrip("\n")
    return f"{source[: found.start()]}<details><summary>The answer</summary>\n\n{answer}\n\n</details>"


def script_of(notebook: Mapping[str, Any]) -> str:
    """Return what to type, cell by cell, what it will print, and each poll with its answer: to read while you teach."""
    lines: list[str] = []
    number = 0
    for cell, typed in zip(notebook["cells"], _typed(notebook["cells"]), strict=True):
        if cell["cell_type"] == "markdown":
            lines += _landmarks(source_of(cell), cell["metadata"].get("minutes"))
        elif typed:
            number += 1
            lines += [f"**{number}**", "", "```python", source_of(cell).rstrip("\n"), "```", ""]
            printed = output_text(cell.get("outputs", []))
            if printed:
                lines += ["```text", printed, "```", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _landmarks(source: str, minutes: int | None) -> list[str]:
    """Return of a Markdown cell the headings, the questions to ask before the next cell is run, and the answers."""
    found: list[str] = []
    copying = False
    for line in source.split("\n"):
        begins = bool(QUESTION.search(line) or _ANSWER.match(line))
        copying = begins or (copying and bool(line.strip()))
        if line.startswith(("# ", "## ", "### ")):
            found += [f"{line} · {minutes} minutes" if minutes and line.startswith("## ") else line, ""]
        elif copying:
            found.append(line)
    return [*found, ""] if found and found[-1] else found


def _typed(cells: Sequence[Mapping[str, Any]]) -> list[bool]:
    """Tell of each cell whether it is typed.

    Not typed are the set-up before the first section, what is tagged as given, and cells that only assert.
    """
    found = []
    sections = 0
    for cell in cells:
        if cell["cell_type"] == "markdown" and any(line.startswith("## ") for line in source_of(cell).split("\n")):
            sections += 1
        code = cell["cell_type"] == "code"
        given = sections == 0 or GIVEN in cell.get("metadata", {}).get("tags", [])
        found.append(code and not given and not _only_checks(source_of(cell)))
    return found


def _only_checks(source: str) -> bool:
    try:
        statements = ast.parse(source).body
    except SyntaxError:
        return False
    return bool(statements) and all(isinstance(statement, ast.Assert) for statement in statements)


def describe(copy: LiveCopy, root: Path) -> str:
    """Say in one or two sentences what was made, with paths as seen from a folder."""

    def shown(path: Path) -> str:
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)

    kept = f" What was typed in the one before is kept as {copy.kept}." if copy.kept else ""
    return f"{shown(copy.notebook)} is ready to type in; what to type is in {shown(copy.script)}.{kept}"
