"""Code cells as pieces of slides: the code, what it printed, and its figure."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from awaitsee.slides.pieces import CODE_CHARACTERS, CODE_LINE, GAP, HEIGHT, WIDTH, Piece, code_height

MOST_LINES = 17
"""Lines of output on a slide; of more, the first and the last are shown."""
MOST_ADDED = 3
"""Lines that formatting for the slide's width may add to a cell, beyond what wrapping its long lines would."""
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_ARROW = re.compile(r"^\s*(\w+)\s*-->\s*(\w+);?\s*$")


def source_of(cell: Mapping[str, Any], key: str = "source") -> str:
    """Return a text of a cell or an output, which notebooks keep as one string or as lines."""
    value = cell[key]
    return value if isinstance(value, str) else "".join(value)


def narrowed(sources: Sequence[str]) -> list[str]:
    """Return cells formatted for lines as long as a slide is wide; as they are where the formatter is not installed."""
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], "execution_count": None}
        for source in sources
    ]
    notebook = {"cells": cells, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 4}
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft.ipynb"
        draft.write_text(json.dumps(notebook), encoding="utf-8")
        command = [sys.executable, "-m", "ruff", "format", "--quiet", "--isolated", "--target-version=py311"]
        formatted = subprocess.run(
            [*command, f"--line-length={CODE_CHARACTERS}", str(draft)], capture_output=True, check=False
        )
        if formatted.returncode:
            return list(sources)
        narrow = [source_of(cell) for cell in json.loads(draft.read_text(encoding="utf-8"))["cells"]]
    return [_shorter(source, shape) for source, shape in zip(sources, narrow, strict=True)]


def _shorter(source: str, narrow: str) -> str:
    """Return the formatted cell, or the cell itself where wrapping its long lines takes far fewer lines."""
    wrapped, formatted = code_height(source.split("\n")), code_height(narrow.split("\n"))
    return narrow if formatted <= wrapped + MOST_ADDED * CODE_LINE else source


def code_pieces(source: str) -> list[Piece]:
    """Return the code of a cell, in more than one piece where it is higher than a slide.

    Of two blank lines one is left: the room is needed.
    """
    source = re.sub(r"\n{3,}", "\n\n", source.rstrip("\n"))
    lines = source.split("\n")
    shown = highlighted(source)
    found = []
    for start, end in _folds(lines):
        part = lines[start:end]
        html = f'<pre class="code">{"".join(shown[start:end])}</pre>'
        found.append(Piece("code", html, code_height(part)))
    return found


def _folds(lines: list[str]) -> list[tuple[int, int]]:
    """Return where each piece of long code begins and ends: at functions, else at blank lines, else anywhere."""
    if code_height(lines) <= HEIGHT:
        return [(0, len(lines))]
    middle = len(lines) / 2
    candidates = [index for index in range(2, len(lines) - 1) if code_height(lines[:index]) <= HEIGHT]

    def ugliness(index: int) -> tuple[int, float]:
        line, before = lines[index], lines[index - 1]
        top = bool(line) and not line[0].isspace() and not line.startswith((")", "]", "}"))
        rank = 0 if top and not before.strip() else 1 if top else 2 if line.strip() and not before.strip() else 3
        return rank, abs(index - middle)

    fold = min(candidates, key=ugliness)
    rest = next(index for index in range(fold, len(lines)) if lines[index].strip())
    end = next(index for index in range(fold, 0, -1) if lines[index - 1].strip())
    return [(0, end), *((start + rest, stop + rest) for start, stop in _folds(lines[rest:]))]


def highlighted(source: str) -> list[str]:
    """Return the lines of Python as HTML; a long one is wrapped and then indented further."""
    from pygments import highlight  # type: ignore[import-untyped]
    from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
    from pygments.lexers import PythonLexer  # type: ignore[import-untyped]

    coloured = highlight(source.rstrip("\n"), PythonLexer(stripnl=False), HtmlFormatter(nowrap=True))
    plain = source.rstrip("\n").split("\n")
    lines = coloured.rstrip("\n").split("\n")
    if len(lines) != len(plain):
        lines = [escape(line) for line in plain]
    return [_line(html, len(text) - len(text.lstrip())) for html, text in zip(lines, plain, strict=True)]


def _line(html: str, indent: int) -> str:
    return f'<span class="line" style="--indent:{indent + 4}ch">{html or " "}\n</span>'


def output_pieces(outputs: Sequence[Mapping[str, Any]]) -> list[Piece]:
    """Return what a cell printed and drew, in the order of its outputs; the words for a figure are its alt text."""
    found: list[Piece] = []
    for output in outputs:
        if output["output_type"] == "stream":
            found.append(_printed(source_of(output, "text"), "printed"))
        elif output["output_type"] == "error":
            found.append(_printed("\n".join(output["traceback"]), "printed error"))
        elif set(output["data"]) != {"text/html"}:
            # HTML alone stands below each figure, for screen readers; the figure in a deck has an alternative text.
            found.append(_shown(output))
    return found


def output_text(outputs: Sequence[Mapping[str, Any]]) -> str:
    """Return what a cell printed, and of figures and errors what they say, as plain text."""
    texts = []
    for output in outputs:
        if output["output_type"] == "stream":
            texts.append(source_of(output, "text"))
        elif output["output_type"] == "error":
            texts.append(f"{output['ename']}: {output['evalue']}")
        elif "text/plain" in output["data"]:
            texts.append(source_of(output["data"], "text/plain"))
    return _ANSI.sub("", "\n".join(text.rstrip("\n") for text in texts))


def _printed(text: str, name: str) -> Piece:
    lines = _ANSI.sub("", text).rstrip("\n").split("\n")
    if len(lines) > MOST_LINES:
        left_out = len(lines) - MOST_LINES + 1
        head = MOST_LINES // 2
        lines = [
            *lines[:head],
            f"[{left_out} lines more, in the notebook]",
            *lines[len(lines) - (MOST_LINES - head - 1) :],
        ]
    html = f'<pre class="{name}">{escape(chr(10).join(lines))}</pre>'
    return Piece("output", html, code_height(lines))


def _shown(output: Mapping[str, Any]) -> Piece:
    data = output["data"]
    for kind in ("image/png", "image/jpeg", "image/svg+xml"):
        if kind in data:
            return _figure(kind, source_of(data, kind), output.get("metadata", {}).get(kind, {}), data)
    if "text/vnd.mermaid" in data:
        chain = _chain(source_of(data, "text/vnd.mermaid"))
        if chain:
            return Piece("output", chain, 80 + GAP)
    return _printed(source_of(data, "text/plain") if "text/plain" in data else "", "printed")


def _figure(kind: str, content: str, about: Mapping[str, Any], data: Mapping[str, Any]) -> Piece:
    if kind == "image/svg+xml":
        import base64

        content = base64.b64encode(content.encode()).decode("ascii")
    wide, high = float(about.get("width", 960)), float(about.get("height", 480))
    scale = min(WIDTH / wide, (HEIGHT - GAP) / high)
    width, height = round(wide * scale), round(high * scale)
    alternative = about.get("alt") or (source_of(data, "text/plain") if "text/plain" in data else "Figure")
    encoded = "".join(content.split())
    html = (
        f'<div class="figure"><img src="data:{kind};base64,{encoded}" alt="{escape(alternative)}" '
        f'style="--width:{width}px;--height:{height}px"></div>'
    )
    return Piece("figure", html, height + GAP, notes=[f"<p>The figure in words: {escape(alternative)}</p>"])


def _chain(mermaid: str) -> str:
    """Draw a graph that is one line of nodes; return nothing for another one."""
    arrows = [(found[1], found[2]) for line in mermaid.splitlines() if (found := _ARROW.match(line))]
    edges = sum("--" in line or "-." in line for line in mermaid.splitlines())
    nodes = [arrows[0][0], *(target for _, target in arrows)] if arrows else []
    joined = all(first[1] == second[0] for first, second in pairwise(arrows))
    if not nodes or len(arrows) != edges or len(set(nodes)) != len(nodes) or not joined:
        return ""
    boxes = " <b>&rarr;</b> ".join(f"<span>{escape(node.strip('_'))}</span>" for node in nodes)
    return f'<div class="graph">{boxes}</div>'
