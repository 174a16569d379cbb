"""Speaker notes: what docs/teaching.md says of a lesson, beside the slides that it is about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from awaitsee.slides import prose
from awaitsee.slides.pages import Section, Slide

_POLL = re.compile(r"^- \[(?P<heading>.+?)\]\([^)]*\)+ (?P<rest>\*.+)$", re.MULTILINE)
_PART = re.compile(r"^\*\*(?P<name>[^*]+)\*\*(?P<text>.*?)(?=^\*\*|\Z)", re.MULTILINE | re.DOTALL)


def add_notes(sections: Sequence[Section], title: str, minutes: int | None, teaching: Path) -> None:
    """Add to the slides of a lesson its minutes, the guide's polls, misconceptions, mishaps and group task.

    Where the guide has no entry for the lesson, only the minutes are added.
    """
    if not sections or not sections[0].slides:
        return
    first = sections[0].slides[0]
    if minutes:
        first.notes.insert(0, f"<p>{minutes} minutes in all.</p>")
    for section in sections:
        if section.slides and section.slides[0].minutes:
            section.slides[0].notes.insert(0, f"<p>{section.slides[0].minutes} minutes for this section.</p>")
    parts = _entry(title, teaching)
    for name in ("Misconceptions to expect", "What goes wrong live, and how to recover"):
        if name in parts:
            first.notes.append(f"<p><b>{escape(name)}</b></p>{_html(parts[name])}")
    if "Group task" in parts:
        sections[-1].slides[-1].notes.append(f"<p><b>Group task</b></p>{_html(parts['Group task'])}")
    polls = [(_plain(found["heading"]), found["rest"]) for found in _POLL.finditer(parts.get("Polls", ""))]
    for section in sections:
        mine = [rest for heading, rest in polls if heading == prose.text_of(section.heading)]
        asking = [slide for slide in section.slides if _asks(slide)]
        for slide, rest in zip(asking, mine, strict=False):
            slide.notes.append(f"<p><b>Poll</b></p>{_html(rest)}")


def _asks(slide: Slide) -> bool:
    return any(piece.kind == "question" and "Predict." in piece.html for piece in slide.pieces)


def _entry(title: str, teaching: Path) -> dict[str, str]:
    """Return the parts of the lesson's entry by their names."""
    if not teaching.exists():
        return {}
    for entry in re.split(r"^### ", teaching.read_text(encoding="utf-8"), flags=re.MULTILINE):
        if entry.startswith(f"{title}\n"):
            return {found["name"].rstrip("."): found["text"] for found in _PART.finditer(entry)}
    return {}


def _plain(markdown: str) -> str:
    return prose.text_of(prose.reader().renderInline(markdown))


def _html(markdown: str) -> str:
    """Render a part of the guide, with links into the course as plain text."""
    text = re.sub(r"\[([^\]]+)\]\((?!https?:)[^()\s]*(?:\([^()]*\)[^()\s]*)*\)", r"\1", markdown.lstrip(" ,."))
    return str(prose.reader().render(text))
