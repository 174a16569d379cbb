"""Decks in a real browser: nothing runs off a slide, nothing leaves the file, keys and clicks do what they should."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from awaitsee.slides.deck import deck, write_deck
from tests.browsing import NEEDS_BROWSER, keep_sight
from tools.walk_slides import open_deck, walk

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[1]
WALKED = ["03_gather", "17_async_langgraph", "20_durable_graphs"]
"""The last has the most slides; `tools/walk_slides.py` walks all lessons."""
FOLDED = "[...Reveal.getCurrentSlide().querySelectorAll('details')].map(each => each.open)"

pytestmark = NEEDS_BROWSER


@pytest.fixture(scope="module")
def gather(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_deck(ROOT / "notebooks" / "03_gather.ipynb", tmp_path_factory.mktemp("deck") / "03_gather.html")


@pytest.fixture
def page(browser: Browser, gather: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The deck of lesson 03; whatever it complains of or asks for fails the test. Its last sight is kept."""
    trouble: list[str] = []
    page = open_deck(browser, gather, trouble)
    yield page
    keep_sight(page, request)
    page.close()
    assert trouble == []


def write_lesson(folder: Path, *prose: str) -> Path:
    cells = [{"cell_type": "markdown", "source": text, "metadata": {}} for text in ("# 99 · much", *prose)]
    path = folder / "99_much.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), encoding="utf-8")
    return write_deck(path, folder / "99_much.html", folder)


@pytest.mark.parametrize("stem", WALKED)
def test_nothing_runs_off_a_slide_and_all_can_be_read(browser: Browser, tmp_path: Path, stem: str) -> None:
    seen = walk(browser, write_deck(ROOT / "notebooks" / f"{stem}.ipynb", tmp_path / f"{stem}.html"))
    assert len(seen.slides) > 20
    assert seen.complaints == []


def test_a_slide_that_is_estimated_too_small_is_scaled(browser: Browser, tmp_path: Path) -> None:
    # Capitals are wider than what the estimate reckons with.
    seen = walk(browser, write_lesson(tmp_path, "WORDS IN CAPITALS, MANY MORE WMW. " * 30))
    assert seen.complaints == []
    ((number, scale),) = seen.scaled
    assert number == 1 and 6 / 7 <= scale < 1


def test_what_does_not_fit_at_all_is_found(browser: Browser, tmp_path: Path) -> None:
    seen = walk(
        browser,
        write_lesson(tmp_path, "<details><summary>S</summary>\n\n" + "Much more text. " * 160 + "\n\n</details>"),
    )
    assert any("does not fit" in line for line in seen.complaints)
    assert any("runs into the foot" in line or "crosses the edge" in line for line in seen.complaints)


def test_a_request_that_leaves_the_file_is_found(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "leaking.html"
    text = deck(ROOT / "notebooks" / "03_gather.ipynb")
    path.write_text(text.replace("</body>", '<img src="http://127.0.0.1:9/x.png"></body>'), encoding="utf-8")
    trouble: list[str] = []
    open_deck(browser, path, trouble).close()
    assert "asks for http://127.0.0.1:9/x.png" in trouble


def test_keys_go_through_every_slide_and_enter_unfolds(page: Page) -> None:
    page.keyboard.press("ArrowRight")
    assert page.evaluate(FOLDED) == [False, False, False]
    page.keyboard.press("Enter")
    assert page.evaluate(FOLDED) == [True, False, False]
    page.click(".slides section.present section.present summary >> nth=1")
    assert page.evaluate(FOLDED) == [True, True, False]
    page.keyboard.press("Space")
    assert page.evaluate("Reveal.getIndices()")["v"] == 2, "after a click the keys turn slides again"
    page.keyboard.press("ArrowLeft")
    page.focus(".slides section.present section.present summary >> nth=2")
    page.keyboard.press("Space")
    assert page.evaluate(FOLDED) == [True, True, True]
    assert page.evaluate("Reveal.getIndices()")["v"] == 1, "a key that unfolds does not turn the slide"
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Home")
    presses = 0
    while not page.evaluate("Reveal.isLastSlide() && !Reveal.availableFragments().next"):
        page.keyboard.press("ArrowRight")
        presses += 1
        assert presses < 200
    assert presses >= page.evaluate("Reveal.getTotalSlides()") - 1


def test_outputs_wait_to_be_uncovered(page: Page) -> None:
    hidden = page.evaluate(
        "[...document.querySelectorAll('.fragment.output')].every(each => getComputedStyle(each).opacity === '0')"
    )
    assert hidden and page.evaluate("document.querySelectorAll('.fragment.output').length") > 3


def test_the_window_for_the_speaker_has_the_notes(page: Page) -> None:
    with page.expect_popup() as popup:
        page.keyboard.press("s")
    notes = popup.value.locator(".speaker-controls-notes .value")
    notes.get_by_text("40 minutes in all.").wait_for(timeout=20_000)
    assert "As they come" not in notes.inner_text() and "Misconceptions" in notes.inner_text()
    popup.value.close()


def test_printing_unfolds_everything_on_one_page_for_each_slide(browser: Browser, gather: Path) -> None:
    trouble: list[str] = []
    page = open_deck(browser, gather, trouble, "?print-pdf")
    page.wait_for_selector(".pdf-page")
    slides = page.evaluate("document.querySelectorAll('.page').length")
    assert page.evaluate("document.querySelectorAll('.pdf-page').length") == slides
    assert page.evaluate("[...document.querySelectorAll('.page details')].every(each => each.open)")
    assert page.evaluate(
        "[...document.querySelectorAll('.fragment')].every(each => getComputedStyle(each).opacity === '1')"
    )
    page.close()
    assert trouble == []
