"""The places that tools talk to: a search engine, a weather service, the handbook, a web site. All is practice data."""

from __future__ import annotations

import json
import mimetypes
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from awaitsee.practice import knowledge
from awaitsee.practice.knowledge import Index, Passage, best_window, prose
from awaitsee.practice.material import data_folder

PAGES = "/pages/"
_INDEX = "index.html"


@dataclass(frozen=True, slots=True)
class Page:
    """An answer of the practice web site."""

    status: int
    content_type: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds to wait before answering."""


def search(query: str, limit: int = 5) -> list[dict[str, str]]:
    """Return up to `limit` practice pages, best first: `title`, `url` (a path under `/pages/`) and `snippet`."""
    found: dict[str, dict[str, str]] = {}
    for hit in _site_index().rank(query, limit=4 * max(limit, 0)):
        passage = hit.passage
        if passage.page not in found and len(found) < limit:
            snippet = " ".join(best_window(prose(passage.text), query, 2))
            found[passage.page] = {"title": passage.title, "url": PAGES + passage.page, "snippet": snippet}
    return list(found.values())


def weather(city: str) -> dict[str, Any] | None:
    """Return the made-up weather of a city, always the same, or `None` for a city that is not known here."""
    service = _places()["weather"]
    name = _plain(city).split(",")[0].strip()
    for known, report in service["cities"].items():
        if name in (_plain(known), *map(_plain, report.get("also", ()))):
            shown = {key: value for key, value in report.items() if key != "also"}
            return {"city": known, **shown, "note": service["note"]}
    return None


def cities() -> list[str]:
    """Return the names of the cities that `weather` knows."""
    return list(_places()["weather"]["cities"])


def handbook(query: str, limit: int = 3) -> list[dict[str, str]]:
    """Return up to `limit` passages of the handbook for `query`, best first: `page`, `heading` and `text`."""
    hits = knowledge.handbook().rank(query, limit=max(limit, 0))
    return [{"page": hit.passage.page, "heading": hit.passage.heading, "text": hit.passage.text} for hit in hits]


def page(path: str) -> Page | None:
    """Return the practice page at `path`, given with or without `/pages/`, or `None` where there is none."""
    name = unquote(path).split("?")[0].split("#")[0].removeprefix(PAGES).removeprefix("/") or _INDEX
    site = _places()["site"]
    if name in site["redirects"]:
        target = PAGES + site["redirects"][name]
        body = f'<!doctype html><title>Moved</title><p>This page is now at <a href="{target}">{target}</a>.</p>'
        return Page(301, "text/html; charset=utf-8", body.encode(), {"location": target})
    # looked up among the files that exist, never joined to a folder: no path can lead outside
    file = _site().get(name)
    if file is None:
        return None
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    return Page(200, kind, file.read_bytes(), delay=float(site["delays"].get(name, 0.0)))


@cache
def _places() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((data_folder() / "places.json").read_text(encoding="utf-8"))
    return loaded


@cache
def _site() -> dict[str, Path]:
    root = (data_folder() / "pages").resolve()
    found = sorted(file for file in root.rglob("*") if file.is_file() and file.resolve().is_relative_to(root))
    return {file.relative_to(root).as_posix(): file for file in found}


@cache
def _site_index() -> Index:
    return Index(
        passage for name, file in _site().items() if name.endswith(".html") for passage in _passages(name, file)
    )


def _passages(name: str, file: Path) -> Iterator[Passage]:
    reader = _Reader()
    reader.feed(file.read_text(encoding="utf-8"))
    reader.close()
    for heading, paragraphs in reader.sections:
        if paragraphs:
            yield Passage(name, reader.title, heading, "\n\n".join(paragraphs))


class _Reader(HTMLParser):
    """Collects a page's title and, under each heading, its paragraphs. Navigation and footers are not content."""

    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.sections: list[tuple[str, list[str]]] = [("", [])]
        self._open: list[str] = []
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("title", "h1", "h2", "h3", "p", "li", "pre"):
            self._text = ""
        if tag in ("nav", "footer"):
            self._open.append(tag)

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        text = " ".join(self._text.split())
        if tag in ("nav", "footer") and self._open:
            self._open.pop()
        elif self._open:
            return
        elif tag == "title":
            self.title = text
        elif tag in ("h1", "h2", "h3"):
            self.sections.append((text, []))
        elif tag in ("p", "li"):
            self.sections[-1][1].append(text)


def _plain(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name)
    return "".join(char for char in decomposed if not unicodedata.combining(char)).casefold().strip()
