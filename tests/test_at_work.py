"""What the course gives for work afterwards: the README's section on your own code, and the pages to look things up."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHOOSE = (ROOT / "docs" / "choose.md").read_text(encoding="utf-8")
REVIEW = (ROOT / "docs" / "review.md").read_text(encoding="utf-8")
CHEATSHEET = (ROOT / "docs" / "cheatsheet.md").read_text(encoding="utf-8")
RECIPES = (ROOT / "recipes" / "README.md").read_text(encoding="utf-8")

SECTION = re.compile(r"\[([^\]]+)\]\(\.\./notebooks/(\w+)\.ipynb#([^)\s]+)\)")
LINKS = sorted({(stem, anchor) for page in (CHOOSE, REVIEW, RECIPES) for _, stem, anchor in SECTION.findall(page)})


def headings(stem: str) -> set[str]:
    cells = nbformat.read(ROOT / "notebooks" / f"{stem}.ipynb", as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return set(re.findall(r"^#{1,3} (.+)$", prose, re.MULTILINE))


@pytest.mark.parametrize("stem", sorted({stem for stem, _ in LINKS}))
def test_each_section_exists(stem: str) -> None:
    there = {heading.replace(" ", "-") for heading in headings(stem)}
    assert {unquote(anchor) for linked, anchor in LINKS if linked == stem} <= there


def test_a_link_says_where_it_leads() -> None:
    for text, stem, anchor in SECTION.findall(CHOOSE + REVIEW):
        assert text == f"{stem[:2]} · {unquote(anchor).replace('-', ' ')}" or "-" in text.replace(" · ", "")


def test_links_from_the_recipes_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", RECIPES):
        assert (ROOT / "recipes" / target.split("#")[0]).exists(), target


def rows() -> list[list[str]]:
    return [
        line.strip("| ").split(" | ") for line in CHOOSE.splitlines() if line.startswith("|") and "notebooks/" in line
    ]


def test_each_choice_has_a_reason_in_ten_words_and_a_lesson() -> None:
    assert len(rows()) >= 30
    for row in rows():
        assert len(row) == 5, row
        assert len(row[2].split()) <= 10 and SECTION.fullmatch(row[3]), row
        assert row[4] == "-" or re.fullmatch(r"\[(\w+)\]\(\.\./recipes/\1\.py\)", row[4]), row


def test_each_recipe_is_chosen_somewhere() -> None:
    for path in (ROOT / "recipes").glob("*.py"):
        assert f"../recipes/{path.name}" in CHOOSE + REVIEW, path.name


def test_each_question_of_a_review_says_what_to_look_for_and_where_it_is_shown() -> None:
    questions = re.findall(r"^(\d+)\. \*\*.+\?\*\* (.+)$", REVIEW, re.MULTILINE)
    assert [int(number) for number, _ in questions] == list(range(1, len(questions) + 1))
    assert 15 <= len(questions) <= 20
    assert all(len(SECTION.findall(text)) == 1 for _, text in questions)


def test_the_cheat_sheet_is_one_page_and_has_every_lesson() -> None:
    lines = CHEATSHEET.splitlines()
    assert len(lines) <= 64 and max(map(len, lines)) <= 118
    named = {number for group in re.findall(r"\[([\d, ]+)\]", CHEATSHEET) for number in group.split(", ")}
    assert named >= {path.name[:2] for path in (ROOT / "notebooks").glob("*.ipynb") if path.name < "21"}


def test_the_code_of_the_cheat_sheet_is_python() -> None:
    (code,) = re.findall(r"```python\n(.+?)```", CHEATSHEET, re.DOTALL)
    body = "".join(f"    {line}\n" for line in code.splitlines())
    compile(f"async def page():\n{body}", "cheatsheet.md", "exec")


def test_the_readme_runs_on_your_own_code(tmp_path: Path) -> None:
    section = README.split("## On your own code")[1].split("\n## ")[0]
    script, test = re.findall(r"```python\n(.+?)```", section, re.DOTALL)
    name = re.findall(r"def (test_\w+)", test)[0]
    (tmp_path / "saved").mkdir()
    call = f"from pathlib import Path\n{name}(Path('saved'))\nprint('passed')\n"
    (tmp_path / "script.py").write_text(f"{script}\n{test}\n{call}", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert re.fullmatch(r"\d\.\d s, held the loop: .+, left running: \[\]\npassed\n", done.stdout), done.stderr
    for path in (tmp_path / "run.html", tmp_path / "saved" / "run.html"):
        page = path.read_text(encoding="utf-8")
        assert "<html" in page and "look_up" in page
