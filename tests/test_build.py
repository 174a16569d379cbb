"""The build: the same source gives the same notebook, and a notebook that is not what its source gives is named."""

from __future__ import annotations

import base64
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tools import build

LESSON = """---
awaitsee:
  minutes: 5
---

# 42 · A lesson

+++ {"minutes": 2}

## First section

```{code-cell}
import asyncio, os, random
await asyncio.sleep(0.01)
print(f"took {random.random():.3f} s at {hex(id(asyncio))}")
```

```{code-cell}
:tags: [nbval-ignore-output]

random.random()
```

```{code-cell}
:tags: [raises-exception]

open("/nowhere")
```

```{code-cell}
print(os.getcwd(), os.environ.get("OPENAI_API_KEY"))
```
"""

EXERCISES = '''# 42 · Exercises

```{code-cell}
class YourTurn(NotImplementedError): ...
```

```{code-cell}
def double(number: int) -> int:
    """Return twice the number."""
    ### BEGIN SOLUTION
    return 2 * number
    ### END SOLUTION
```

```{code-cell}
try:
    print(double(2))
except YourTurn:
    print("yours to write")
```

+++ {"tags": ["solution"]}

Why it works.
'''

SANITIZE = build.read_sanitizer(build.ROOT / "tests" / "nbval_sanitize.cfg")


def make(root: Path, **how: bool) -> dict[str, str]:
    options = {"force": False, "fresh": False} | how
    return {
        target.relative_to(root).as_posix(): build.build(notebook, target, sanitize=SANITIZE, **options)
        for source in build.sources(root)
        for target, notebook in build.products(source, root)
    }


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course of one lesson and its exercises, built once."""
    root = tmp_path_factory.mktemp("course")
    (root / "lessons").mkdir()
    (root / "lessons" / "42_lesson.md").write_text(LESSON, encoding="utf-8")
    (root / "lessons" / "42_lesson.exercises.md").write_text(EXERCISES, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "sk-must-not-be-seen")
        assert set(make(root).values()) == {"executed"}
    return root


def read(root: Path, name: str) -> NotebookNode:
    notebook: NotebookNode = nbformat.read(root / name, as_version=4)
    return notebook


def code_cells(root: Path, name: str) -> list[NotebookNode]:
    return [cell for cell in read(root, name).cells if cell.cell_type == "code"]


def test_all_cells_are_executed_in_order(course: Path) -> None:
    assert [cell.execution_count for cell in code_cells(course, "notebooks/42_lesson.ipynb")] == [1, 2, 3, 4]


def test_a_rebuild_without_a_change_runs_no_kernel(course: Path) -> None:
    assert set(make(course).values()) == {"unchanged"}


def test_a_forced_rebuild_gives_no_diff(course: Path) -> None:
    before = (course / "notebooks/42_lesson.ipynb").read_bytes()
    assert make(course, force=True)["notebooks/42_lesson.ipynb"] == "kept"
    assert (course / "notebooks/42_lesson.ipynb").read_bytes() == before


def test_no_key_and_no_path_of_the_author_gets_into_an_output(course: Path) -> None:
    text = (course / "notebooks/42_lesson.ipynb").read_text(encoding="utf-8")
    assert "sk-must-not-be-seen" not in text
    assert str(Path.home()) not in text
    assert str(build.ROOT) not in text


def test_the_solution_is_cut_out_of_the_exercise_and_stays_in_the_solution(course: Path) -> None:
    solved, unsolved = (code_cells(course, f"{folder}/42_lesson.ipynb") for folder in ("solutions", "exercises"))
    assert "return 2 * number" in solved[1].source
    assert "return 2 * number" not in unsolved[1].source
    assert "raise YourTurn" in unsolved[1].source
    assert '"""Return twice the number."""' in unsolved[1].source
    assert (solved[2].outputs[0].text, unsolved[2].outputs[0].text) == ("4\n", "yours to write\n")
    assert not any("Why it works" in cell.source for cell in read(course, "exercises/42_lesson.ipynb").cells)


def test_a_source_is_formatted_like_the_notebook_and_its_prose_is_left_alone(tmp_path: Path) -> None:
    source = tmp_path / "44_odd.md"
    prose = "# 44 ·  odd   prose\n\n```\nx  =  1\n```\n\n"
    source.write_text(
        prose + "```{code-cell}\n:tags: [a]\n\n%load_ext awaitsee\nx  =  await f( 1 )\n```\n", encoding="utf-8"
    )
    assert build.format_source(source)
    wanted = prose + "```{code-cell}\n:tags: [a]\n\n%load_ext awaitsee\nx = await f(1)\n```\n"
    assert source.read_text(encoding="utf-8") == wanted
    assert not build.format_source(source)


def test_code_to_repair_is_given_in_the_exercise_and_gone_from_the_solution() -> None:
    source = """async def first(question):
    ### BEGIN SOLUTION
    return await ask(question)
    ### GIVEN
    # return ask(question)  # forgotten
    #     and indented
    ### END SOLUTION

after = 1
"""
    notebook = new_notebook(cells=[new_code_cell(source)])
    [unsolved], [solved] = build.cut_solutions(notebook).cells, build.keep_solutions(notebook).cells
    assert unsolved.source.splitlines() == [
        "async def first(question):",
        "    raise YourTurn  # Delete this line, then repair the rest.",
        "    return ask(question)  # forgotten",
        "        and indented",
        "",
        "after = 1",
    ]
    assert "return ask(question)" not in solved.source and "GIVEN" not in solved.source
    assert "return await ask(question)" in solved.source


def test_a_new_meaning_replaces_the_committed_output() -> None:
    old = [new_output("stream", name="stdout", text="took 0.1 s, peak 5\n")]
    assert build.says_the_same(old, [new_output("stream", name="stdout", text="took 0.3 s, peak 5\n")], SANITIZE)
    assert not build.says_the_same(old, [new_output("stream", name="stdout", text="took 0.1 s, peak 4\n")], SANITIZE)
    assert not build.says_the_same(old, [new_output("stream", name="stderr", text="took 0.1 s, peak 5\n")], SANITIZE)
    assert not build.says_the_same(old, [], SANITIZE)


def test_a_picture_counts_by_its_text() -> None:
    def picture(pixels: bytes, words: str) -> list[NotebookNode]:
        data = {"image/png": base64.b64encode(pixels).decode(), "text/plain": words}
        return [new_output("display_data", data=data)]

    assert build.says_the_same(picture(b"one", "5 tasks, 1.0 s"), picture(b"two", "5 tasks, 1.1 s"), SANITIZE)
    assert not build.says_the_same(picture(b"one", "5 tasks"), picture(b"one", "6 tasks"), SANITIZE)


def test_printed_pieces_are_joined_by_stream() -> None:
    pieces = [("stdout", "a"), ("stderr", "x"), ("stdout", "b")]
    joined = build.merge_streams([new_output("stream", name=name, text=text) for name, text in pieces])
    assert [(output.name, output.text) for output in joined] == [("stdout", "ab"), ("stderr", "x")]


def test_a_failing_cell_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "lessons").mkdir()
    (tmp_path / "lessons" / "43_broken.md").write_text("```{code-cell}\n1 / 0\n```\n", encoding="utf-8")
    with pytest.raises(CellExecutionError):
        make(tmp_path)
    assert not (tmp_path / "notebooks" / "43_broken.ipynb").exists()


def test_the_check_names_what_differs(course: Path, tmp_path: Path) -> None:
    assert build.check(course) == []
    for folder in ("lessons", "notebooks", "exercises", "solutions"):
        (tmp_path / folder).mkdir()
        for file in (course / folder).iterdir():
            (tmp_path / folder / file.name).write_bytes(file.read_bytes())
    edited = read(tmp_path, "notebooks/42_lesson.ipynb")
    edited.cells[1].source += " edited by hand"
    nbformat.write(edited, tmp_path / "notebooks/42_lesson.ipynb")
    (tmp_path / "solutions/42_lesson.ipynb").unlink()
    (tmp_path / "exercises/99_stray.ipynb").write_bytes((course / "exercises/42_lesson.ipynb").read_bytes())
    sentences = build.check(tmp_path)
    assert len(sentences) == 3
    for name, word in [
        ("notebooks/42_lesson", "differs"),
        ("solutions/42_lesson", "missing"),
        ("exercises/99_stray", "no source"),
    ]:
        assert any(name in sentence and word in sentence for sentence in sentences), sentences


def test_the_committed_notebooks_are_what_their_sources_give() -> None:
    assert build.check(build.ROOT) == []
