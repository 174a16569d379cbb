"""The handbook as one PDF: it says what the pages say, and it is up to date."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from awaitsee.practice.material import data_folder

if TYPE_CHECKING:  # made before the first test: tests/lazily.py
    from pypdf import PdfReader

    from tools import handbook_pdf

PAGES = sorted((data_folder() / "handbook").glob("*.md"))


@pytest.fixture(scope="module")
def committed() -> PdfReader:
    return PdfReader(handbook_pdf.PDF)


@pytest.fixture(scope="module")
def shown(committed: PdfReader) -> list[str]:
    """The text of each page."""
    return [page.extract_text() for page in committed.pages]


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def test_it_is_what_the_script_builds_from_the_pages(shown: list[str]) -> None:
    assert sorted(handbook_pdf.PAGES.glob("*.md")) == PAGES
    built = PdfReader(io.BytesIO(handbook_pdf.build(PAGES)))
    assert [page.extract_text() for page in built.pages] == shown, (
        "run `python tools/handbook_pdf.py` with .venv's Python"
    )


def test_the_same_pages_give_the_same_bytes() -> None:
    assert handbook_pdf.build(PAGES[:2]) == handbook_pdf.build(PAGES[:2])


def test_it_has_a_cover_and_then_a_page_for_each_of_40_to_60(committed: PdfReader) -> None:
    assert 40 <= len(PAGES) <= 60
    assert len(committed.pages) == 1 + len(PAGES)


def test_every_page_has_a_bookmark_in_order(committed: PdfReader) -> None:
    titles = [path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ") for path in PAGES]
    assert [entry.title for entry in committed.outline if not isinstance(entry, list)] == titles


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_is_in_it_whole(shown: list[str], path: Path) -> None:
    title, _, body = path.read_text(encoding="utf-8").removeprefix("# ").partition("\n")
    foot = f"|  {title}  |"
    found = words("\n".join(text for text in shown if foot in text))
    wanted = words(re.sub(r"^```\w*$", "", body, flags=re.MULTILINE))
    assert found[: len(words(title))] == words(title)
    # a long address is broken at the end of a line
    joined = "".join(found)
    assert not [word for word in wanted if word not in joined]
    assert len(joined) >= len("".join(wanted))
