"""Walk every slide of the decks in a real browser, and tell what does not fit.

Opens the deck of each lesson (by default of all), goes to each slide with everything uncovered and unfolded, and
measures. A slide that had to be made smaller is listed with its scale; what crosses the frame, is cut or too small to
read is a failure, as is an error on the page or a request that leaves it.

    python tools/walk_slides.py [LESSON ...] [--shots FOLDER]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awaitsee.slides.choose import NoSuchLesson, choose
from awaitsee.slides.deck import write_deck

# As a script it would find the modules of its own folder only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.chromium import CHROMIUM, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PROSE_FLOOR, CODE_FLOOR, FOOT_FLOOR = 24.0, 18.0, 18.0
"""Least sizes in pixels, on a slide of 1280 x 720."""

MEASURE = """
(floors) => {
  const found = [];
  const slides = Reveal.getSlides();
  for (const slide of slides) {
    const place = Reveal.getIndices(slide);
    Reveal.slide(place.h, place.v, 1000);
    for (const each of slide.querySelectorAll("details")) each.open = true;
    const number = slides.indexOf(slide) + 1;
    const page = slide.querySelector(".page");
    const frame = page.getBoundingClientRect();
    const complaints = [];
    const say = (what, element) => complaints.push(`${what}: ${element.textContent.trim().slice(0, 60)}`);
    if (slide !== Reveal.getCurrentSlide()) say("not shown", slide);
    const within = frame.left > -0.5 && frame.top > -0.5 && frame.right < 1280.5 && frame.bottom < 720.5;
    if (!within) say("off the screen", page);
    const foot = page.querySelector(".foot");
    const end = foot ? foot.getBoundingClientRect().top : frame.bottom;
    for (const element of page.querySelectorAll("*")) {
      const style = getComputedStyle(element);
      const box = element.getBoundingClientRect();
      if (!box.width && !box.height) { if (element.textContent.trim()) say("takes no room", element); continue; }
      const faded = element.matches(".fragment") && style.opacity !== "1";
      if (style.visibility === "hidden" || faded) say("hidden", element);
      if (box.left < frame.left - 0.5 || box.right > frame.right + 0.5) say("crosses the side", element);
      if (box.top < frame.top - 0.5 || box.bottom > frame.bottom + 0.5) say("crosses the edge", element);
      if (element !== foot && box.bottom > end + 0.5 && element.closest(".piece")) say("runs into the foot", element);
      const inline = style.display === "inline";
      if (!inline && (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1))
        if (!element.matches("span, b")) say("is cut or overflows", element);
      const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
      if (own) {
        const scale = frame.width / page.offsetWidth;
        const size = parseFloat(style.fontSize) * scale;
        const kind = element.closest(".foot") ? "foot" : element.closest("pre, code") ? "code" : "prose";
        const floor = floors[kind];
        if (size < floor - 0.01) say(`is ${size.toFixed(1)} px`, element);
      }
      const bare = element.tagName === "IMG" && !(element.complete && element.naturalWidth && element.alt);
      if (bare) say("no picture or no alt", slide);
    }
    found.push({
      number,
      heading: (page.querySelector("h1, h2") || page).textContent,
      scale: Number(page.dataset.fit || 1),
      over: page.dataset.over === "yes",
      filled: Math.max(0, ...[...page.querySelectorAll(".piece")].map((each) => each.getBoundingClientRect().bottom)),
      complaints,
    });
  }
  return found;
}
"""


@dataclass(slots=True)
class Walk:
    """What was seen on the slides of one deck."""

    slides: list[dict[str, Any]]
    """Number, heading, scale and complaints of each slide."""
    trouble: list[str] = field(default_factory=list)
    """Errors of the page, and addresses that it asked for."""

    @property
    def complaints(self) -> list[str]:
        """What is wrong, by slide."""
        found = [f"slide {slide['number']}: {line}" for slide in self.slides for line in slide["complaints"]]
        found += [f"slide {slide['number']} does not fit at the least scale" for slide in self.slides if slide["over"]]
        return found + self.trouble

    @property
    def scaled(self) -> list[tuple[int, float]]:
        """The slides that were made smaller, with their scale."""
        return [(slide["number"], slide["scale"]) for slide in self.slides if slide["scale"] < 1]


def open_deck(browser: Browser, deck: Path, trouble: list[str], query: str = "") -> Page:
    """Open a deck from its file at 1280 x 720, and note the page's errors and requests in `trouble`."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    address = deck.resolve().as_uri()

    def note(url: str) -> None:
        if not url.startswith((address, "data:", "blob:", "about:")):
            trouble.append(f"asks for {url}")

    page.on("request", lambda request: note(request.url))
    page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
    page.on("console", lambda line: trouble.append(f"error: {line.text}") if line.type == "error" else None)
    page.goto(address + query)
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    return page


def walk(browser: Browser, deck: Path, shots: Path | None = None) -> Walk:
    """Go through every slide of a deck; with `shots`, keep a picture of each in that folder."""
    trouble: list[str] = []
    page = open_deck(browser, deck, trouble)
    slides = page.evaluate(MEASURE, {"prose": PROSE_FLOOR, "code": CODE_FLOOR, "foot": FOOT_FLOOR})
    if shots is not None:
        shots.mkdir(parents=True, exist_ok=True)
        for number in range(len(slides)):
            show = "n => { const s = Reveal.getSlides()[n], i = Reveal.getIndices(s); Reveal.slide(i.h, i.v, 1000) }"
            page.evaluate(show, number)
            page.screenshot(path=shots / f"{deck.stem}-{number + 1:03}.png")
    page.close()
    return Walk(slides, trouble)


def main(arguments: list[str]) -> int:
    """Walk the decks of the lessons that are named; return 1 when something does not fit."""
    parser = argparse.ArgumentParser(prog="walk_slides.py", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("lessons", nargs="*")
    parser.add_argument("--shots", type=Path, help="keep a picture of each slide in this folder")
    options = parser.parse_args(arguments)
    if CHROMIUM is None:
        print("There is no Chromium on this machine: install it, then run this again.", file=sys.stderr)
        return 1
    try:
        notebooks = choose(options.lessons, every=not options.lessons)
    except NoSuchLesson as refusal:
        print(refusal, file=sys.stderr)
        return 1
    wrong = 0
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        for notebook in notebooks:
            seen = walk(browser, write_deck(notebook, Path(folder) / f"{notebook.stem}.html"), options.shots)
            scaled = ", ".join(f"{number} at {scale}" for number, scale in seen.scaled)
            print(f"{notebook.stem}: {len(seen.slides)} slides; made smaller: {scaled or 'none'}")
            for line in seen.complaints:
                print(f"    {line}")
            wrong += len(seen.complaints)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
