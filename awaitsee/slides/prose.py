"""Markdown cells as pieces of slides: paragraphs, lists, tables, and details to open."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from functools import cache
from html import escape, unescape
from itertools import pairwise
from math import ceil
from mimetypes import guess_type
from pathlib import Path
from typing import TYPE_CHECKING

from awaitsee.slides.pieces import GAP, HEIGHT, PROSE_CHARACTERS, PROSE_LINE, Kind, Piece, code_height, prose_height

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

QUESTION = re.compile(r"\*\*(Predict\.|True, false)")
"""What makes a paragraph a question to the room: what follows must not stand on its slide."""
_TAG = re.compile(r"<[^>]+>")
_SENTENCE = re.compile(r"(?<=[.!?:])\s+(?=[A-Z`(*])")


@cache
def reader() -> MarkdownIt:
    """Return the parser for a lesson's prose."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": True}).enable("table")


def parts(source: str) -> list[str]:
    """Return a Markdown cell cut before each heading of level 1 or 2."""
    lines = source.split("\n")
    cuts = [
        token.map[0]
        for token in reader().parse(source)
        if token.type == "heading_open" and token.tag in ("h1", "h2") and token.level == 0 and token.map
    ]
    bounds = [0, *(cut for cut in cuts if cut), len(lines)]
    return ["\n".join(lines[start:end]) for start, end in pairwise(bounds)]


def pieces(source: str, folder: Path, course: Path) -> list[Piece]:
    """Take a part of a Markdown cell apart, without the heading of level 1 or 2 that it begins with.

    A link to a page on the web stays one; a link into the course becomes its text, since a deck travels alone. A
    picture of the course is embedded. Raises OSError when a picture is not there.
    """
    parser = reader()
    found: list[Piece] = []
    for group in _groups(parser.parse(source)):
        first = group[0]
        if first.type == "heading_open" and first.tag in ("h1", "h2"):
            continue
        _mend_links(group, folder, course)
        if first.type in ("bullet_list_open", "ordered_list_open"):
            found += _items(parser, group)
        elif first.type == "table_open":
            found += _tables(parser, group)
        elif first.type == "paragraph_open":
            found += _paragraphs(parser, group)
        else:
            found.append(_other(parser, group))
    return found


def heading(source: str) -> tuple[str, str] | None:
    """Return tag and text, as HTML, of the heading of level 1 or 2 with which a cell begins; None without one."""
    parser = reader()
    tokens = parser.parse(source)
    if len(tokens) > 1 and tokens[0].type == "heading_open" and tokens[0].tag in ("h1", "h2"):
        return tokens[0].tag, parser.renderInline(tokens[1].content)
    return None


def text_of(html: str) -> str:
    """Return what is read of a piece of HTML."""
    return " ".join(unescape(_TAG.sub("", html)).split())


def _groups(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Yield the tokens of each block; details, which Markdown takes for three blocks, are one."""
    group: list[Token] = []
    level = opened = 0
    for token in tokens:
        group.append(token)
        level += token.nesting
        if token.type == "html_block":
            opened += token.content.count("<details") - token.content.count("</details>")
        if level == 0 and opened <= 0:
            yield group
            group = []
    if group:
        yield group


def _mend_links(tokens: Sequence[Token], folder: Path, course: Path) -> None:
    for token in tokens:
        inside: list[str] = []
        for child in token.children or []:
            if child.type == "image":
                child.attrs["src"] = _embedded(str(child.attrs["src"]), folder, course)
            elif child.type == "link_open":
                outside = str(child.attrs["href"]).startswith(("http://", "https://"))
                inside.append("a" if outside else "span")
                child.attrs = {"href": child.attrs["href"], "target": "_blank", "rel": "noopener"} if outside else {}
                child.tag = inside[-1]
            elif child.type == "link_close":
                child.tag = inside.pop()


def _embedded(source: str, folder: Path, course: Path) -> str:
    if source.startswith("data:"):
        return source
    path = (folder / source).resolve()
    if not path.is_relative_to(course.resolve()):
        raise OSError(0, "lies outside the course", source)
    kind = guess_type(path.name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def _render(parser: MarkdownIt, tokens: Sequence[Token]) -> str:
    return str(parser.renderer.render(tokens, parser.options, {}))


def _paragraphs(parser: MarkdownIt, group: list[Token]) -> list[Piece]:
    source = group[1].content
    html = _render(parser, group)
    if "<img" in html:
        return [Piece("figure", f'<div class="figure">{html}</div>', HEIGHT)]
    if QUESTION.search(source):
        return [Piece("question", html, _line_by_line(html) + 28)]
    height = _line_by_line(html)
    if height <= HEIGHT:
        return [Piece("prose", html, height, leads=source.rstrip().endswith(":"))]
    sentences = _SENTENCE.split(source)
    middle = len(sentences) // 2
    if middle == 0:
        return [Piece("prose", html, height)]
    halves = (" ".join(sentences[:middle]), " ".join(sentences[middle:]))
    return [piece for half in halves for piece in _paragraphs(parser, parser.parse(half))]


def _line_by_line(html: str, width: int = PROSE_CHARACTERS) -> int:
    """Return the height of a paragraph in which some lines are broken on purpose."""
    lines = re.split(r"<br ?/?>", html)
    return sum(prose_height(len(text_of(line)), width=width) - GAP for line in lines) + GAP


def _items(parser: MarkdownIt, group: list[Token]) -> list[Piece]:
    """Make a piece of each item of a list, so that a list can go on on the next slide."""
    tag = group[0].tag
    number = int(group[0].attrs.get("start", 1))
    found = []
    starts = [index for index, token in enumerate(group) if token.type == "list_item_open" and token.level == 1]
    for start, end in pairwise([*starts, len(group) - 1]):
        item = _render(parser, group[start:end])
        attribute = f' start="{number}"' if tag == "ol" else ""
        height = prose_height(len(text_of(item)), width=PROSE_CHARACTERS - 3) - 4
        found.append(Piece("item", f"<{tag}{attribute}>{item}</{tag}>", height))
        number += 1
    return found


def _tables(parser: MarkdownIt, group: list[Token]) -> list[Piece]:
    """Make one table, or several with the head repeated where it would not fit on a slide."""
    rows = [index for index, token in enumerate(group) if token.type == "tr_open"]
    ends = [index for index, token in enumerate(group) if token.type == "tr_close"]
    cells = [
        [
            text_of(parser.renderer.render([token], parser.options, {}))
            for token in group[start:end]
            if token.type == "inline"
        ]
        for start, end in zip(rows, ends, strict=True)
    ]
    widest = [min(60, max(4, *(len(row[column]) for row in cells))) for column in range(len(cells[0]))]
    # A browser gives a wide column what narrow ones leave.
    free = PROSE_CHARACTERS - 3 * len(widest) - sum(width for width in widest if width <= 12)
    wide = sum(width for width in widest if width > 12) or 1
    shares = [width if width <= 12 else max(8, free * width // wide) for width in widest]
    heights = [
        max(1, *(ceil(len(text) * 1.06 / share) for text, share in zip(row, shares, strict=True))) * PROSE_LINE + 14
        for row in cells
    ]
    html = [_render(parser, group[start : end + 1]) for start, end in zip(rows, ends, strict=True)]
    empty = not any(cells[0])
    found: list[Piece] = []
    body: list[str] = []
    head = "" if empty else f"<thead>{html[0]}</thead>"
    height = base = (0 if empty else heights[0]) + GAP

    def close() -> None:
        if body:
            found.append(Piece("table", f"<table>{head}<tbody>{''.join(body)}</tbody></table>", height))

    for row, needed in zip(html[1:], heights[1:], strict=True):
        if height + needed > HEIGHT and body:
            close()
            body, height = [], base
        body.append(row)
        height += needed
    close()
    return found


def _other(parser: MarkdownIt, group: list[Token]) -> Piece:
    first = group[0]
    html = _render(parser, group)
    if first.type == "heading_open":
        return Piece("heading", html, 64, leads=True)
    if first.type == "fence":
        lines = first.content.rstrip("\n").split("\n")
        from awaitsee.slides.code import highlighted

        shown = highlighted(first.content) if first.info.startswith("python") else [escape(line) for line in lines]
        return Piece("code", f'<pre class="code">{"".join(shown)}</pre>', code_height(lines))
    kind: Kind = "details" if html.lstrip().startswith("<details") else "prose"
    blocks = [block for block in re.split(r"</summary>|</p>|</li>|</pre>", html) if text_of(block)]
    return Piece(kind, html, sum(_line_by_line(block, PROSE_CHARACTERS - 3) for block in blocks))
