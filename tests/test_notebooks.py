"""Every built notebook has the rhythm, the order and the cleanliness that a reader relies on."""

from __future__ import annotations

import ast
import html
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import nbformat
import pytest
from nbformat import NotebookNode

from tests.test_docs import rows, sections

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BUILT = [path for folder in ("notebooks", "exercises", "solutions") for path in sorted((ROOT / folder).glob("*.ipynb"))]

LARGEST_LESSON = 500_000
LONGEST_CELL = 15
MOST_SECTIONS = 5
MOST_PLOTS = 4
# A part of the course ends with a quiz: claims, each with a cell that settles it and a verdict.
ENDS_A_PART = {"06", "11", "16", "20"}
QUIZ = "## Quiz: true or false?"
FEWEST_CLAIMS, MOST_CLAIMS = 5, 7
LONGEST_QUIZ_CELL = 10
CLAIM = re.compile(r'\*\*(\d)\.\*\* ".+" \*\*True, false, or only half\?\*\*')
VERDICT = re.compile(
    r"<details><summary>Verdict</summary>\n\n"
    r"\*\*([A-Z][a-z ]+)\*\* \(\[claim (\d+)\]\(\.\./docs/claims\.md\)\)(.+)\n\n</details>",
    re.DOTALL,
)
STORY = re.compile(r"\[lesson (\d\d)\]\((\w+)\.ipynb#([^)\s]+)\)")
SECRET = re.compile(r"\b(sk-[A-Za-z0-9_-]{8,}|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,}|lsv2_\w{20,})")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:root|home|Users|work|tmp|private|var)/[\w.-]+|[A-Z]:\\\\?Users")
# What every lesson may use: the words of the language that a reader of the course already has.
ALWAYS_KNOWN = {"asyncio"}


@cache
def read(path: Path) -> NotebookNode:
    """Return a notebook, read once for all tests: none may change it."""
    notebook: NotebookNode = nbformat.read(path, as_version=4)
    return notebook


def code(notebook: NotebookNode) -> Iterator[NotebookNode]:
    return (cell for cell in notebook.cells if cell.cell_type == "code")


def prose(notebook: NotebookNode) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tags(cell: NotebookNode) -> list[str]:
    found: list[str] = cell.metadata.get("tags", [])
    return found


every_lesson = pytest.mark.parametrize("path", LESSONS, ids=name)
every_notebook = pytest.mark.parametrize("path", BUILT, ids=name)


def test_there_are_lessons() -> None:
    assert LESSONS


@every_notebook
def test_all_cells_are_executed_in_order(path: Path) -> None:
    counts = [cell.execution_count for cell in code(read(path))]
    assert counts == list(range(1, len(counts) + 1)), (
        "nbval compares nothing for a cell that never ran: run `make build`"
    )


@every_notebook
def test_no_cell_fails_unless_it_is_meant_to(path: Path) -> None:
    for number, cell in enumerate(code(read(path))):
        failed = [output.ename for output in cell.outputs if output.output_type == "error"]
        assert bool(failed) == ("raises-exception" in tags(cell)), f"code cell {number} ends in {failed}"


@every_notebook
def test_nothing_is_printed_to_the_error_stream(path: Path) -> None:
    for number, cell in enumerate(code(read(path))):
        noise = [output.text for output in cell.outputs if output.get("name") == "stderr"]
        assert not noise or "writes-stderr" in tags(cell), f"code cell {number} writes to stderr: {noise}"


@every_notebook
def test_no_secret_and_no_path_of_a_machine(path: Path) -> None:
    text = json.dumps(json.loads(path.read_text(encoding="utf-8")), ensure_ascii=False)
    without_pictures = re.sub(r'"image/png": "[^"]*"', "", text)
    assert not SECRET.findall(without_pictures)
    assert not MACHINE_PATH.findall(without_pictures)


@every_notebook
def test_no_dollar_sign_turns_prose_into_a_formula(path: Path) -> None:
    plain = re.sub(r"`[^`]*`", "", re.sub(r"```.*?```", "", prose(read(path)), flags=re.DOTALL))
    assert not re.findall(r".{0,30}(?<!\\)\$.{0,30}", plain), "write \\$ for a dollar sign"


@every_notebook
def test_links_within_the_course_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(read(path))):
        if not re.match(r"https?://|#|mailto:", target):
            assert (path.parent / target.split("#")[0]).exists(), f"{target} does not exist"


@every_notebook
def test_the_extension_is_loaded_first_in_a_cell_without_await(path: Path) -> None:
    first = next(code(read(path))).source
    assert first.splitlines()[0] == "%load_ext awaitsee"
    assert "await " not in first


@every_lesson
def test_a_lesson_stays_small(path: Path) -> None:
    assert path.stat().st_size < LARGEST_LESSON


@every_lesson
def test_a_lesson_opens_with_title_reason_and_table(path: Path) -> None:
    first = read(path).cells[1].source  # the first is the line with links
    title, reason, *_ = [line for line in first.splitlines() if line.strip()]
    assert re.fullmatch(rf"# {path.stem[:2]} · .+", title)
    assert len(reason) > 40 and not reason.startswith(("|", "#"))
    minutes = read(path).metadata["awaitsee"]["minutes"]
    assert f"| Time | {minutes} minutes |" in first
    assert "| You need |" in first and "| Afterwards you can |" in first


@every_lesson
def test_the_first_example_runs_on_the_first_screen(path: Path) -> None:
    cells = read(path).cells
    codes = [index for index, cell in enumerate(cells) if cell.cell_type == "code"]
    assert codes[1] <= 5, "the line with links, the set-up, one paragraph, then the first example"
    assert "ModuleNotFoundError" in "".join(cell.source for cell in cells[: codes[0]])


@every_lesson
def test_sections_are_few_timed_and_predicted(path: Path) -> None:
    notebook = read(path)
    headings = [cell for cell in notebook.cells if cell.cell_type == "markdown" and cell.source.startswith("## ")]
    timed = [cell for cell in headings if not re.match(r"## (Recap|Going further|Next)", cell.source)]
    for cell in timed:
        assert cell.metadata.get("minutes"), f"no minutes: {cell.source.splitlines()[0]}"
        assert cell.metadata.get("slideshow", {}).get("slide_type") == "slide"
    taught = [cell for cell in timed if not cell.source.startswith(QUIZ)]
    assert 1 <= len(taught) <= MOST_SECTIONS
    planned = sum(cell.metadata["minutes"] for cell in taught)
    assert planned <= notebook.metadata["awaitsee"]["minutes"]


@every_lesson
def test_each_prediction_offers_three_answers(path: Path) -> None:
    text = prose(read(path))
    predictions = re.findall(r"\*\*Predict\.\*\*.*?(?=\n\n|\Z)", text, re.DOTALL)
    assert len(predictions) >= 2
    for prediction in predictions:
        assert all(f"{letter}: " in prediction for letter in "ABC"), prediction


@every_lesson
def test_the_recap_is_short(path: Path) -> None:
    recap = prose(read(path)).split("## Recap")[1].split("\n## ")[0]
    rules = [line for line in recap.splitlines() if line.startswith("- ")]
    assert 1 <= len(rules) <= 5


@every_lesson
def test_cells_are_short(path: Path) -> None:
    for number, cell in enumerate(code(read(path))):
        lines = [line for line in cell.source.splitlines() if line.strip()]
        assert len(lines) <= LONGEST_CELL, f"code cell {number} has {len(lines)} lines"


@every_lesson
def test_functions_have_type_hints(path: Path) -> None:
    for cell in code(read(path)):
        for node in ast.walk(parse(cell.source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.returns is not None, f"{node.name} has no return type"
                assert all(each.annotation for each in node.args.args if each.arg not in ("self", "cls")), (
                    f"{node.name} has a bare argument"
                )


@every_lesson
def test_figures_are_few_and_have_a_text(path: Path) -> None:
    outputs = [output for cell in code(read(path)) for output in cell.outputs]
    figures = [place for place, output in enumerate(outputs) if "image/png" in output.get("data", {})]
    assert len(figures) <= MOST_PLOTS
    for place in figures:
        text = outputs[place].data["text/plain"]
        assert len(text) > 20
        assert outputs[place].metadata["image/png"]["alt"] == text
        # JupyterLab shows no `alt`.
        assert html.escape(text, quote=False) in outputs[place + 1].data["text/html"]


class Settled(NamedTuple):
    """A claim of a quiz: the cell that quotes it, the cell that settles it, and the cell with the verdict."""

    claim: NotebookNode
    code: NotebookNode
    verdict: NotebookNode


def quiz(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the cells of a lesson's quiz that follow its heading, or none."""
    starts = [index for index, cell in enumerate(notebook.cells) if cell.source.startswith(QUIZ)]
    if not starts:
        return []
    cells = notebook.cells[starts[0] + 1 :]
    end = next(index for index, cell in enumerate(cells) if cell.source.startswith("## "))
    found: list[NotebookNode] = cells[:end]
    return found


def claims(path: Path) -> list[Settled]:
    cells = quiz(read(path))
    return [Settled(*cells[start : start + 3]) for start in range(0, len(cells), 3)]


every_quiz = pytest.mark.parametrize("path", [path for path in LESSONS if quiz(read(path))], ids=name)


def test_each_part_ends_with_a_quiz() -> None:
    assert {path.stem[:2] for path in LESSONS if quiz(read(path))} == ENDS_A_PART


@every_quiz
def test_the_quiz_stands_before_next(path: Path) -> None:
    last = [line for line in prose(read(path)).splitlines() if line.startswith("## ")][-3:]
    assert last[0] in ("## Recap", "## Going further") and last[1:] == [QUIZ, "## Next"]


@every_quiz
def test_each_claim_of_a_quiz_has_a_cell_and_a_verdict(path: Path) -> None:
    cells = quiz(read(path))
    number = len(cells) // 3
    assert FEWEST_CLAIMS <= number <= MOST_CLAIMS
    assert [cell.cell_type for cell in cells] == ["markdown", "code", "markdown"] * number
    for position, (claim, settles, verdict) in enumerate(claims(path), start=1):
        quoted = CLAIM.fullmatch(claim.source)
        assert quoted and int(quoted[1]) == position, claim.source
        lines = [line for line in settles.source.splitlines() if line.strip()]
        assert len(lines) <= LONGEST_QUIZ_CELL, f"claim {position} takes {len(lines)} lines"
        assert settles.outputs and not any("image/png" in output.get("data", {}) for output in settles.outputs)
        assert VERDICT.fullmatch(verdict.source), verdict.source


@every_quiz
def test_the_verdicts_of_a_quiz_are_those_on_the_page_of_claims(path: Path) -> None:
    on_the_page = {row[0]: row[2] for row in rows()}
    found = [VERDICT.fullmatch(verdict.source) for _, _, verdict in claims(path)]
    given = {match[2]: match[1].lower() for match in found if match}
    assert len(given) == len(found), "a claim is there twice"
    assert given == {number: on_the_page.get(number) for number in given}
    true = sum(verdict == "works" for verdict in given.values())
    assert 2 <= true <= len(given) / 2, "neither verdict may be the one to guess"


@every_quiz
def test_each_verdict_leads_to_the_section_with_the_whole_story(path: Path) -> None:
    for _, _, verdict in claims(path):
        stories = STORY.findall(verdict.source)
        assert stories, verdict.source
        for number, stem, anchor in stories:
            assert stem.startswith(f"{number}_") and stem <= path.stem
            assert unquote(anchor) in {heading.replace(" ", "-") for heading in sections(stem)}, anchor


def parse(source: str) -> ast.Module:
    """Parse a cell's code without its magics; top-level `await` is allowed."""
    plain = "\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("%", "!")))
    tree: ast.Module = compile(plain, "<cell>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return tree


def names_used(notebook: NotebookNode) -> set[str]:
    """Return the dotted names of asyncio, LangChain and LangGraph that a notebook's code uses."""
    used = set()
    for cell in code(notebook):
        for node in ast.walk(parse(cell.source)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "asyncio":
                used.add(f"asyncio.{node.attr}")
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("asyncio", "lang")):
                used.update(f"{node.module}.{alias.name}" for alias in node.names)
    return used


def test_nothing_is_used_before_it_is_taught() -> None:
    known = set(ALWAYS_KNOWN)
    for path in LESSONS:
        notebook = read(path)
        course = notebook.metadata["awaitsee"]
        used, introduced, previewed = names_used(notebook), set(course["introduces"]), set(course.get("previews", []))
        assert used <= known | introduced | previewed, f"{path.stem} uses {used - known - introduced - previewed}"
        assert introduced <= used, f"{path.stem} says that it introduces {introduced - used}"
        known |= introduced
