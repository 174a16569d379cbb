"""The pages to look things up in: what they point at is there, and the lessons point at them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
GLOSSARY = (DOCS / "glossary.md").read_text(encoding="utf-8")
SYMPTOMS = (DOCS / "symptoms.md").read_text(encoding="utf-8")
CLAIMS = (DOCS / "claims.md").read_text(encoding="utf-8")

FEWEST_SYMPTOMS = 25
VERDICTS = {"works", "works with a change", "misleading", "broken", "false"}
ALL_CLAIMS = 105
# "[03 · Heading](../notebooks/03_gather.ipynb#Heading), `code of the cell`"
PLACE = re.compile(r"\[(\d\d) · ([^\]]+)\]\(\.\./notebooks/([\w]+)\.ipynb#([^)\s]+)\), `([^`]+)`")


class Place(NamedTuple):
    """A cell of a lesson: the heading that it stands under, and a piece of its code."""

    number: str
    heading: str
    stem: str
    anchor: str
    code: str


def places(text: str) -> list[Place]:
    return [Place(*found) for found in PLACE.findall(text)]


@cache
def sections(stem: str) -> dict[str, list[str]]:
    """Return the code cells of a lesson by the heading that they stand under."""
    found: dict[str, list[str]] = {}
    heading = ""
    for cell in nbformat.read(ROOT / "notebooks" / f"{stem}.ipynb", as_version=4).cells:
        if cell.cell_type == "code":
            found.setdefault(heading, []).append(cell.source)
        elif headings := re.findall(r"^#{1,3} (.+)$", cell.source, re.MULTILINE):
            heading = headings[-1]
    return found


@pytest.mark.parametrize("place", [*places(CLAIMS), *places(SYMPTOMS)], ids=lambda place: f"{place.stem}: {place.code}")
def test_each_cell_exists(place: Place) -> None:
    assert place.stem.startswith(f"{place.number}_")
    assert unquote(place.anchor) == place.heading.replace(" ", "-")
    cells = sections(place.stem)
    assert place.heading in cells, f"{place.stem} has no section {place.heading!r} with code; it has {list(cells)}"
    holders = [cell for cell in cells[place.heading] if place.code in cell]
    assert len(holders) == 1, f"{len(holders)} cells under {place.heading!r} have {place.code!r}"


def rows() -> list[list[str]]:
    """Return the cells of the claims' table: number, claim, verdict, what is true, where."""
    lines = re.findall(r"^\| (\d+ \|.*) \|$", CLAIMS, re.MULTILINE)
    return [re.split(r"(?<!\\) \| ", line) for line in lines]


def test_each_claim_has_a_verdict_and_a_cell_or_a_reason_for_none() -> None:
    numbers = [int(row[0]) for row in rows()]
    assert numbers == list(range(1, ALL_CLAIMS + 1))
    for number, claim, verdict, truth, where in rows():
        assert verdict in VERDICTS, f"claim {number}: {verdict}"
        assert claim and truth, f"claim {number}"
        assert places(where) or re.match(r"no cell: \w.{20,}", where), f"claim {number} names no cell and no reason"


def test_the_verdicts_are_counted() -> None:
    counted = {verdict: int(number) for number, verdict in re.findall(r"(\d+) ([a-z ]+?)(?=,| and|\.)", CLAIMS)}
    for verdict in VERDICTS:
        assert counted[verdict] == sum(row[2] == verdict for row in rows()), verdict


def entries() -> list[str]:
    return re.split(r"^### ", SYMPTOMS, flags=re.MULTILINE)[1:]


def test_there_are_enough_symptoms() -> None:
    titles = [entry.splitlines()[0] for entry in entries()]
    assert len(titles) == len(set(titles)) >= FEWEST_SYMPTOMS


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.splitlines()[0])
def test_each_symptom_is_explained_shown_cured_and_reported(entry: str) -> None:
    for label in ("**Happened.**", "**Do.**", "**Shown in**", "**Reported**"):
        assert entry.count(label) == 1, label
    assert places(entry.split("**Shown in**")[1])
    assert re.search(r"\]\(https://github\.com/[\w.-]+/[\w.-]+/(issues|pull)/\d+\)", entry.split("**Reported**")[1])


def terms() -> list[str]:
    return re.findall(r"^## (.+)$", GLOSSARY, re.MULTILINE)


def anchor(term: str) -> str:
    return term.replace(" ", "-")


def glossary_links() -> set[str]:
    """Return the terms that lessons and pages link to, as they stand in the links."""
    texts = [path.read_text(encoding="utf-8") for path in [*(ROOT / "lessons").glob("*.md"), *DOCS.glob("*.md")]]
    return {found for text in texts for found in re.findall(r"glossary\.md#([^)\s]+)\)", text)}


def test_the_glossary_is_in_order() -> None:
    assert terms() == sorted(terms(), key=str.lower)
    assert len(terms()) == len(set(terms()))


def test_links_to_the_glossary_lead_to_a_term() -> None:
    assert glossary_links() <= {anchor(term) for term in terms()}


@pytest.mark.parametrize("term", terms())
def test_each_term_is_linked_from_a_lesson_and_links_back(term: str) -> None:
    # JupyterLab's anchors keep upper case, a code host's do not: lower case works in both.
    assert term == term.lower() and re.fullmatch(r"[a-z0-9_. -]+", term)
    definition = GLOSSARY.split(f"## {term}\n")[1].split("\n## ")[0]
    linked = re.findall(r"\(\.\./notebooks/(\w+)\.ipynb\)", definition)
    assert linked, "no lesson is named"
    lesson = (ROOT / "lessons" / f"{linked[0]}.md").read_text(encoding="utf-8")
    links_back = f"glossary.md#{anchor(term)})" in lesson
    assert links_back, f"{linked[0]} does not link to it"
