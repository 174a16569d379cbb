"""Builds `data/handbook.pdf` from the pages in `data/handbook/`: the same text as one document, for PDF loaders.

    python tools/handbook_pdf.py

Each page of the handbook begins a page of the PDF and has a bookmark. The same pages always give the same bytes.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from fpdf import FPDF, FontFace, TextStyle
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "data" / "handbook"
PDF = ROOT / "data" / "handbook.pdf"
TITLE = "The handbook of Await and See"
DATE = datetime(2026, 1, 1, tzinfo=UTC)
"""The clock would make each build another file."""
INK, ACCENT, FAINT = (25, 35, 50), (20, 80, 130), (110, 120, 135)
STYLES = {
    "h1": TextStyle("Helvetica", "B", 20, ACCENT, b_margin=1),
    "h2": TextStyle("Helvetica", "B", 12, INK, t_margin=4, b_margin=1),
    "p": TextStyle("Helvetica", "", 10.5, INK, b_margin=1.5),
    "li": TextStyle("Helvetica", "", 9, FAINT, l_margin=4),
    "pre": TextStyle("Courier", "", 9, INK, t_margin=1, b_margin=1),
    "code": FontFace("Courier", size_pt=9.5, color=INK),
    "a": FontFace(color=ACCENT),
}


class Handbook(FPDF):
    """An A4 document with the running title and the page number at the foot of each page."""

    running_title = ""

    def footer(self) -> None:
        """Write the foot of a page."""
        if not self.running_title:
            return
        self.set_y(-14)
        self.set_font("Helvetica", "", 8)
        self.set_text_color(*FAINT)
        self.cell(0, 8, f"{TITLE}  |  {self.running_title}  |  {self.page_no()}", align="C")


def build(pages: list[Path]) -> bytes:
    """Return the PDF of some pages in Markdown."""
    document = Handbook(format="A4")
    document.set_creation_date(DATE)
    document.set_title(TITLE)
    document.set_author("Await and See")
    document.set_lang("en")
    document.set_margins(22, 20)
    document.set_auto_page_break(True, 20)
    markdown = MarkdownIt("commonmark")
    texts = [path.read_text(encoding="utf-8") for path in pages]
    titles = [text.partition("\n")[0].removeprefix("# ") for text in texts]
    _cover(document, titles)
    for title, text in zip(titles, texts, strict=True):
        # the footer is written when the next page begins, so the title follows after that
        document.add_page()
        document.running_title = title
        document.write_html(_html(markdown, text), tag_styles=STYLES)
    return bytes(document.output())


def _cover(document: Handbook, titles: list[str]) -> None:
    document.add_page()
    document.set_text_color(*INK)
    document.set_font("Helvetica", "B", 26)
    document.cell(0, 30, TITLE, new_x="LMARGIN", new_y="NEXT")
    document.set_font("Helvetica", "", 11)
    document.multi_cell(
        0,
        6,
        "A short reference on async Python for LLM applications.\nText under CC BY 4.0.",
        new_x="LMARGIN",
        new_y="NEXT",
    )
    document.ln(6)
    document.set_font("Helvetica", "", 10)
    with document.text_columns(ncols=2, gutter=8, line_height=1.35) as columns:
        columns.write("\n".join(f"{number}. {title}" for number, title in enumerate(titles, start=1)))


def _html(markdown: MarkdownIt, text: str) -> str:
    # the highlighter's language means nothing here, and fpdf takes an attribute of <code> for a colour
    return re.sub(r'<code class="[^"]*">', "<code>", str(markdown.render(text)))


def main() -> None:
    """Write the file."""
    pages = sorted(PAGES.glob("*.md"))
    PDF.write_bytes(build(pages))
    print(f"{PDF.relative_to(ROOT)}: {len(pages)} pages of the handbook")


if __name__ == "__main__":
    main()
