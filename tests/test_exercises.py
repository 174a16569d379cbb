"""Each exercise: unsolved it is friendly, solved it passes, a wrong answer is told why, another right one passes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from tests.answers import MISTAKES, Answer, answers, kernel_of
from tools.build import CHANGING, merge_streams, read_sanitizer, says_the_same, tags, without_private_paths

ROOT = Path(__file__).resolve().parents[1]
STEMS = [path.stem for path in sorted((ROOT / "exercises").glob("*.ipynb"))]
CHECK = re.compile(r'^with exercise\("(\d\d\.\d)"', re.MULTILINE)
FEWEST_WRONG_ANSWERS = 3
WITHOUT_PICTURES = """
from awaitsee.observe.timeline import Picture

Picture.as_drawn = Picture._repr_mimebundle_
Picture._repr_mimebundle_ = lambda self, include=None, exclude=None: ({"text/plain": self.text}, {})
"""
"""Nobody looks at the timelines of hundreds of wrong answers, and drawing them takes a tenth of their time."""
FORGET = """
import awaitsee.practice.handle
from awaitsee.desk import chat_model
from awaitsee.observe.timeline import Picture

Picture._repr_mimebundle_ = Picture.as_drawn
if awaitsee.practice.handle._current is not None:
    awaitsee.practice.handle._current.close()
chat_model.cache_clear()
%unload_ext awaitsee
%reset -f
"""
"""What the next lesson must not find."""
SANITIZE = read_sanitizer(ROOT / "tests" / "nbval_sanitize.cfg")

ALL = [(stem, answer) for stem in STEMS for answer in answers(stem)]


class Outcome(NamedTuple):
    text: str
    error: str
    stderr: str


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def read(folder: str, stem: str) -> NotebookNode:
    notebook: NotebookNode = nbformat.read(ROOT / folder / f"{stem}.ipynb", as_version=4)
    return notebook


def checks(notebook: NotebookNode) -> dict[str, NotebookNode]:
    """Return the check cells by exercise number."""
    return {found[1]: cell for cell in code(notebook) if (found := CHECK.search(cell.source))}


NUMBERS = {number: stem for stem in STEMS for number in checks(read("exercises", stem))}


def outcome(cell: NotebookNode) -> Outcome:
    """Return what a cell printed, and the name of its error with its message."""
    errors = [f"{output.ename}: {output.evalue}" for output in cell.outputs if output.output_type == "error"]
    texts = [(output.get("name"), output.get("text", "")) for output in cell.outputs]
    stderr = "".join(text for name, text in texts if name == "stderr")
    return Outcome("".join(text for _, text in texts), "\n".join(errors), stderr)


class Run(NamedTuple):
    outcomes: dict[Answer | str, Outcome]
    """What each check said: to the stub, by the exercise's number, and to every answer."""
    solutions: list[NotebookNode]
    """The code cells of the solutions, with the outputs of this run."""


def run_of(stem: str) -> Run:
    """Return what a lesson's solutions said, and its checks to the stubs and to every answer."""
    return runs_in(kernel_of(stem))[stem]


@cache
def runs_in(kernel: int) -> dict[str, Run]:
    """Run the lessons that share a kernel, one after the other: starting one takes as long as a dozen answers.

    Of each lesson the solutions come first, with nothing left of the lesson before, as when they were built.
    """
    runs: dict[str, Run] = {}
    cells: list[NotebookNode] = []
    checked: dict[str, dict[Answer | str, NotebookNode]] = {}
    for stem in (stem for stem in STEMS if kernel_of(stem) == kernel):
        solutions = [copy_of(cell) for cell in code(read("solutions", stem))]
        runs[stem] = Run({}, solutions)
        checked[stem] = {}
        cells += [*solutions, new_code_cell(WITHOUT_PICTURES), *cells_of(stem, checked[stem]), new_code_cell(FORGET)]
    NotebookClient(
        new_notebook(cells=cells),
        timeout=60,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(ROOT)}},
    ).execute()
    for stem, run in runs.items():
        run.outcomes.update({answer: outcome(cell) for answer, cell in checked[stem].items()})
    return runs


def cells_of(stem: str, checked: dict[Answer | str, NotebookNode]) -> Iterator[NotebookNode]:
    """Yield the cells of a lesson's exercises, every check once more behind each answer; note which checks what."""
    given = [answer for owner, answer in ALL if owner == stem]
    for cell in code(read("exercises", stem)):
        found = CHECK.search(cell.source)
        unsolved = copy_of(cell)
        yield unsolved
        if found is None:
            continue
        checked[found[1]] = unsolved
        for answer in given:
            if answer.exercise == found[1]:
                yield new_code_cell(answer.code)
                checked[answer] = copy_of(cell)
                yield checked[answer]


def copy_of(cell: NotebookNode) -> NotebookNode:
    """Return a code cell with the same source and tags, not yet run."""
    copy: NotebookNode = new_code_cell(cell.source, metadata=cell.metadata)
    return copy


def title(pair: tuple[str, Answer]) -> str:
    """Name a test; conftest.py gives those of one lesson, which share a kernel, to one worker by this name."""
    return f"{pair[1].exercise} {pair[1].name}"


@pytest.mark.parametrize("pair", [pair for pair in ALL if not pair[1].is_right], ids=title)
def test_a_wrong_answer_is_told_what_is_wrong(pair: tuple[str, Answer]) -> None:
    stem, answer = pair
    text, error, _ = run_of(stem).outcomes[answer]
    assert error, f"passed, and printed:\n{text}"
    assert answer.shows in f"{text}\n{error}"


@pytest.mark.parametrize("pair", [pair for pair in ALL if pair[1].is_right], ids=title)
def test_another_right_answer_passes(pair: tuple[str, Answer]) -> None:
    stem, answer = pair
    text, error, _ = run_of(stem).outcomes[answer]
    assert not error, f"{error}\n{text}"
    assert f"{answer.exercise} done." in text


@pytest.mark.parametrize("number", NUMBERS)
def test_unsolved_it_says_whose_turn_it_is(number: str) -> None:
    for text, error, stderr in (
        run_of(NUMBERS[number]).outcomes[number],
        outcome(checks(read("exercises", NUMBERS[number]))[number]),
    ):
        assert not error
        assert not stderr
        assert text.splitlines()[-1].startswith(f"{number} is yours to write")
        assert "  NO  " not in text


@pytest.mark.parametrize("number", NUMBERS)
def test_solved_it_passes(number: str) -> None:
    text, error, _ = outcome(checks(read("solutions", NUMBERS[number]))[number])
    assert not error
    assert text.splitlines()[-1] == f"{number} done."


@pytest.mark.parametrize("number", [f"{stem[:2]}.1" for stem in STEMS])
def test_the_solutions_say_what_is_committed(number: str) -> None:
    """Compared as nbval compares, every cell of them."""
    stem = NUMBERS[number]
    for committed, cell in zip(code(read("solutions", stem)), run_of(stem).solutions, strict=True):
        outputs = [without_private_paths(output) for output in merge_streams(cell.outputs)]
        said = "\n".join(str(output.get("text") or output.get("evalue") or "") for output in outputs)
        failed = [output for output in outputs if output.output_type == "error"]
        assert bool(failed) == ("raises-exception" in tags(cell)), f"{cell.source}\n{said}"
        if CHANGING not in tags(cell):
            assert says_the_same(committed.outputs, outputs, SANITIZE), f"{cell.source}\n{said}"


@pytest.mark.parametrize("stem", STEMS)
def test_the_stub_is_there_and_the_solution_is_not(stem: str) -> None:
    unsolved, solved = read("exercises", stem), read("solutions", stem)
    stubs = [cell.source for cell in code(unsolved) if "raise YourTurn" in cell.source]
    assert len(stubs) >= len(checks(unsolved)) > 0
    assert checks(unsolved).keys() == checks(solved).keys()
    assert not any("### BEGIN SOLUTION" in cell.source for cell in unsolved.cells)


@pytest.mark.parametrize("stem", STEMS)
def test_each_exercise_has_statement_time_and_two_hints(stem: str) -> None:
    prose = "\n".join(cell.source for cell in read("exercises", stem).cells if cell.cell_type == "markdown")
    for number in checks(read("exercises", stem)):
        section = prose.split(f"## Exercise {number} · ")[1].split("\n## ")[0]
        assert re.search(r"\*(warm-up|core|repair this|stretch), \d+ minutes\*", section)
        assert section.count("<details>") == 2


@pytest.mark.parametrize("stem", STEMS)
def test_each_exercise_was_attacked(stem: str) -> None:
    counts = Counter((answer.exercise, answer.is_right) for answer in answers(stem))
    for number in checks(read("exercises", stem)):
        assert counts[number, False] >= FEWEST_WRONG_ANSWERS, f"{number}: too few wrong answers in tests/mistakes/"
        assert counts[number, True] >= 1, f"{number}: no other right answer in tests/mistakes/"


def test_no_answers_without_an_exercise() -> None:
    assert {path.stem for path in MISTAKES.glob("[0-9]*.py")} <= set(STEMS)
