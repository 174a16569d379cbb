"""The way through the course: each notebook says where one is and where to go on, and no link leads nowhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode

import start
from awaitsee.overview import PARTS
from tests.test_notebooks import ENDS_A_PART
from tools import build, navigation

ROOT = Path(__file__).resolve().parents[1]
COURSE = navigation.places(ROOT / "lessons")
FOLDERS = ("notebooks", "exercises", "solutions")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def read(folder: str, index: int) -> NotebookNode:
    notebook: NotebookNode = nbformat.read(ROOT / folder / f"{COURSE[index].stem}.ipynb", as_version=4)
    return notebook


def lines(folder: str, index: int) -> tuple[str, str]:
    """The first and the last cell of a built notebook."""
    cells = read(folder, index).cells
    return cells[0].source, cells[-1].source


# --- What the lines say ----------------------------------------------------------------------------


def test_each_lesson_is_in_one_part_and_a_quiz_ends_it() -> None:
    numbers = [number for part in PARTS for number in part]
    assert numbers == [place.number for place in COURSE]
    assert {part[-1] for part in PARTS} == ENDS_A_PART


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_notebook_leads_to_its_neighbours_and_to_the_pages(folder: str) -> None:
    for index, place in enumerate(COURSE):
        top, end = lines(folder, index)
        links = LINK.findall(top)
        near = [COURSE[each].stem for each in (index - 1, index + 1) if 0 <= each < len(COURSE)]
        assert [f"../{folder}/{stem}.ipynb" for stem in near] == [
            link for link in links if link.startswith(f"../{folder}/")
        ]
        assert {"../docs/glossary.md", "../docs/symptoms.md"} <= set(links)
        assert f"lesson {place.number} of {COURSE[-1].number}" in top
        other = "exercises" if folder == "notebooks" else "notebooks"
        assert f"../{other}/{place.stem}.ipynb" in links and f"../{other}/{place.stem}.ipynb" in LINK.findall(end)
        assert all(f"../notebooks/{later.stem}.ipynb" in end for later in COURSE[index + 1 : index + 2])


def test_a_track_that_leaves_lessons_out_says_where_it_goes_on() -> None:
    ends = {place.number: lines("notebooks", index)[1] for index, place in enumerate(COURSE)}
    assert "next in the track Core day: [13 · Async chat models](../notebooks/13_async_chat_models.ipynb)" in ends["06"]
    assert "next in the track In production: [20 · Durable graphs]" in ends["11"]
    assert "the last of the track RAG half-day" in ends["16"]
    assert "next in the track" not in ends["03"]


def test_slides_leave_the_lines_out() -> None:
    cells = read("notebooks", 0).cells
    assert [cell.metadata["slideshow"]["slide_type"] for cell in (cells[0], cells[-1])] == ["skip", "skip"]


# --- What follows from them ------------------------------------------------------------------------


def small_course(root: Path, *titles: str) -> None:
    (root / "lessons").mkdir(exist_ok=True)
    for title in titles:
        text = f"# {title}\n\n```{{code-cell}}\n1 + 1\n```\n"
        (root / "lessons" / f"{title.replace(' · ', '_')}.md").write_text(text, encoding="utf-8")


def make(root: Path) -> dict[str, str]:
    return {
        target.stem: build.build(notebook, target, force=False, fresh=False, sanitize=str)
        for source in build.sources(root)
        for target, notebook in build.products(source, root)
    }


def test_a_new_lesson_links_the_others_to_it_and_runs_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(build, "execute", lambda notebook, folder: ran.append(notebook.cells[1].source))
    small_course(tmp_path, "40 · One", "41 · Two")
    assert set(make(tmp_path).values()) == {"executed"}
    assert set(make(tmp_path).values()) == {"unchanged"}
    ran.clear()
    small_course(tmp_path, "42 · Three")
    assert build.check(tmp_path), "the check names what does not link to the new lesson"
    assert make(tmp_path) == {"40_One": "linked", "41_Two": "linked", "42_Three": "executed"}
    assert ran == ["# 42 · Three"]
    assert build.check(tmp_path) == []
    second = nbformat.read(tmp_path / "notebooks" / "41_Two.ipynb", as_version=4)
    assert "[next](../notebooks/42_Three.ipynb)" in second.cells[0].source
    assert len(second.cells) == 4


def test_what_a_learner_wrote_in_a_line_with_links_counts_and_new_links_do_not() -> None:
    notebook: dict[str, Any] = json.loads((ROOT / "notebooks" / "03_gather.ipynb").read_text(encoding="utf-8"))
    bare = {"cells": notebook["cells"][1:-1]}
    assert start.fingerprint(notebook) == start.fingerprint(bare)
    for position in (0, -1):
        line = dict(notebook["cells"][position])
        line["source"] = [*line["source"], "\n", "\n", "my note"]
        cells = list(notebook["cells"])
        cells[position] = line
        assert start.fingerprint({"cells": cells}) != start.fingerprint(bare)


# --- Every link ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A learner's copy of this very course."""
    my = tmp_path_factory.mktemp("learner") / "my"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start, "MY", my)
        patch.setattr(start, "MANIFEST", my / ".laid_out.json")
        start.lay_out()
    return my


def prose(path: Path) -> str:
    """The text of a page, or of a notebook's Markdown cells, without its code."""
    if path.suffix == ".md":
        text = path.read_text(encoding="utf-8")
    else:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)


def dead_links(path: Path, root: Path) -> Iterator[str]:
    """Yield the links of a page or a notebook that lead nowhere, or out of the folder that JupyterLab shows."""
    for target in LINK.findall(prose(path)):
        if not re.match(r"https?://|#|mailto:", target):
            led_to = (path.parent / target.split("#")[0]).resolve()
            if not (led_to.exists() and led_to.is_relative_to(root.resolve())):
                yield f"{path.relative_to(root)}: {target}"


def test_every_link_of_the_course_leads_somewhere() -> None:
    pages = [path for folder in (*FOLDERS, "docs", "recipes") for path in (ROOT / folder).glob("*.*")]
    read_here = [path for path in pages if path.suffix in (".md", ".ipynb")]
    assert len(read_here) > 70
    assert [dead for path in read_here for dead in dead_links(path, ROOT)] == []


def test_every_link_of_the_learners_copy_leads_somewhere_in_it(laid_out: Path) -> None:
    pages = [path for path in laid_out.rglob("*") if path.suffix in (".md", ".ipynb")]
    assert {"docs/choose.md", "docs/cheatsheet.md", "docs/review.md", "recipes/README.md"} <= {
        path.relative_to(laid_out).as_posix() for path in pages
    }
    assert [dead for path in pages for dead in dead_links(path, laid_out)] == []


def test_the_recipes_are_there_to_be_copied(laid_out: Path) -> None:
    given = {path.name for path in (ROOT / "recipes").glob("*.*") if path.is_file()}
    assert {path.name for path in (laid_out / "recipes").iterdir()} == given
