"""The README says what is true: its table, its picture, its links and its commands."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

import start

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_each_lesson_has_its_row(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    title = notebook.cells[1].source.splitlines()[0].removeprefix("# ")
    cells = [title, str(notebook.metadata["awaitsee"]["minutes"]), f"[notebook](notebooks/{path.name})"]
    for folder, word in (("exercises", "exercises"), ("solutions", "solutions")):
        built = ROOT / folder / path.name
        cells.append(f"[{word}]({folder}/{path.name})" if built.exists() else "")
    assert f"| {' | '.join(cells)} |" in README


def test_no_row_without_a_lesson() -> None:
    assert len(re.findall(r"^\| \d\d · ", README, re.MULTILINE)) == len(LESSONS)


def test_there_is_one_picture_and_it_has_words() -> None:
    pictures = re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", README)
    assert [path for _, path in pictures] == ["docs/images/lesson_00.png"]
    assert len(pictures[0][0]) > 60


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not re.match(r"https?://|#", target):
            assert (page.parent / target.split("#")[0]).exists(), f"{page.name}: {target}"


def test_its_commands_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in re.findall(r"\bmake ([a-z.]+)", README):
        assert re.search(rf"^{re.escape(command)}:", makefile, re.MULTILINE), command
    for command in re.findall(r"start\.py ([a-z]+)", README):
        assert command in start.COMMANDS


def test_it_names_the_sentences_that_a_user_sees() -> None:
    source = (ROOT / "start.py").read_text(encoding="utf-8")
    for sentence in ("and the course needs", "The package index cannot be reached"):
        assert sentence in README and sentence in source
