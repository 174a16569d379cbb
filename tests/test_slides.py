"""Decks and live copies of lessons: what is in them, and that nothing of anybody's is lost. No browser, no kernel."""

from __future__ import annotations

import ast
import base64
import json
import re
import shutil
import subprocess
import sys
import tarfile
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from awaitsee.cli import app
from awaitsee.slides.choose import NoSuchLesson, choose
from awaitsee.slides.code import MOST_LINES, code_pieces, narrowed, output_pieces, output_text
from awaitsee.slides.command import CannotMake, make
from awaitsee.slides.deck import MARK, deck
from awaitsee.slides.pages import Section, distribute, slides_of
from awaitsee.slides.pieces import HEIGHT, ROOM, Piece
from awaitsee.slides.prose import parts, pieces, text_of
from tools.fetch_reveal import HERE, KEPT, FetchFailed, unpack

ROOT = Path(__file__).resolve().parents[1]
DOT = base64.b64encode(b"\x89PNG\r\n\x1a\nonly a few bytes").decode()
LEAVES = ("http:", "https:", "//", "file:")


def markdown(source: str, kind: str = "", **metadata: Any) -> dict[str, Any]:
    show = {"slideshow": {"slide_type": kind}} if kind else {}
    return {"cell_type": "markdown", "source": source, "metadata": {**show, **metadata}}


def code(source: str, *outputs: dict[str, Any], tags: tuple[str, ...] = (), kind: str = "") -> dict[str, Any]:
    metadata = {"tags": list(tags), "slideshow": {"slide_type": kind}}
    return {"cell_type": "code", "source": source, "metadata": metadata, "outputs": list(outputs), "id": "a"}


def printed(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


def figure(alt: str, width: int = 960, height: int = 350) -> dict[str, Any]:
    about = {"image/png": {"alt": alt, "width": width, "height": height}}
    return {"output_type": "display_data", "data": {"image/png": DOT, "text/plain": alt}, "metadata": about}


def notebook(*cells: dict[str, Any]) -> dict[str, Any]:
    return {"cells": list(cells), "metadata": {"awaitsee": {"minutes": 40}}, "nbformat": 4, "nbformat_minor": 5}


LESSON = notebook(
    {**markdown("[Previous](02_b.ipynb)"), "id": "navigation-top-0"},
    markdown("# 03 · gather\n\nWhat it is about.\n", "slide"),
    code("%load_ext awaitsee\nserver = 1", printed("Practice server\n")),
    markdown(
        "## In which order?\n\nA [task](../docs/glossary.md#task) and [a page](https://example.org/x).",
        "slide",
        minutes=6,
    ),
    markdown("**Predict.** In which order?\\\nA: theirs.\\\nB: as they arrive."),
    code("async def ask() -> str:\n    return 'x'", tags=("given",)),
    code("run = await ask()\nrun", printed("done\n"), figure('Chart "<A> & B"')),
    code("assert run == 'x'"),
    markdown("A. In theirs."),
    markdown("A word for the speaker.", "notes"),
    markdown("Nobody sees this.", "skip"),
    markdown("One thing more.", "fragment"),
    markdown("<details><summary>Verdict</summary>\n\nIt **works**.\n\n</details>", "subslide"),
    markdown("## Recap\n\n- one\n- two\n\n## Next\n\nThe exercises.", "slide"),
)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course with one lesson, its teaching guide, and start.py."""
    folder = tmp_path_factory.mktemp("course")
    for name in ("start.py", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / "notebooks").mkdir()
    (folder / "docs").mkdir()
    (folder / "notebooks" / "03_gather.ipynb").write_text(json.dumps(LESSON), encoding="utf-8")
    guide = (
        "## The lessons\n\n### 03 · gather\n\n**Misconceptions to expect**\n\n- As they come.\n\n**Polls**\n\n"
        "- [In which order?](../notebooks/03_gather.ipynb#In-which-order?) *How?* Right: **A**. "
        "Most pick B: a habit.\n\n"
        "**Group task** (8 minutes). Draw [it](../docs/x.md).\n\n### 04 · other\n\n**Group task** Not this.\n"
    )
    (folder / "docs" / "teaching.md").write_text(guide, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def made(course: Path) -> str:
    return deck(course / "notebooks" / "03_gather.ipynb", course)


@pytest.fixture(scope="module")
def sections(course: Path) -> list[Section]:
    return slides_of(LESSON, course / "notebooks", course)


class References(HTMLParser):
    """Collects what the elements of a page refer to, and the text of the scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.inside: list[tuple[str, str]] = []
        self._raw = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._raw = tag if tag in ("script", "style") else ""
        for name, value in attrs:
            if tag == "a" and name == "href":
                self.linked.append(value or "")
            elif name in ("src", "href", "srcset", "data", "poster", "action"):
                self.loaded.append(value or "")

    def handle_data(self, data: str) -> None:
        if self._raw:
            self.inside.append((self._raw, data))
            self._raw = ""


# --- the deck ------------------------------------------------------------------------------------


def test_the_deck_asks_for_nothing_outside_the_file(made: str) -> None:
    seen = References(made)
    assert seen.loaded and all(reference.startswith("data:") for reference in seen.loaded)
    assert seen.linked == ["https://example.org/x"], "a link into the course would lead nowhere"
    assert [tag for tag, _ in seen.inside] == ["style", "script", "script", "script"]
    for tag, text in seen.inside:
        if tag == "style":
            assert "@import" not in text
            assert all(found.startswith("data:") for found in re.findall(r"url\(\s*['\"]?([^'\")]+)", text))


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb"))[3:4], ids=lambda path: path.stem)
def test_the_deck_of_a_real_lesson_asks_for_nothing_either(path: Path) -> None:
    page = deck(path)
    assert all(reference.startswith("data:") for reference in References(page).loaded)
    assert page.count('<img src="data:') == 4 and 'alt=""' not in page
    assert "<h2>Next</h2>" in page and "Most pick B" in page


def test_the_metadata_decide_what_is_a_slide(sections: list[Section]) -> None:
    assert [text_of(section.heading) for section in sections] == ["03 · gather", "In which order?", "Recap", "Next"]
    shown = [
        [" ".join(text_of(piece.html) for piece in slide.pieces) for slide in section.slides] for section in sections
    ]
    everything = json.dumps(shown)
    assert "Nobody sees this" not in everything and "Previous" not in everything and "speaker" not in everything
    assert shown[1][-1].startswith("Verdict"), "a subslide is a slide of the same section"
    assert any("A word for the speaker" in note for slide in sections[1].slides for note in slide.notes)


def test_the_answer_is_not_on_the_slide_with_the_question(sections: list[Section]) -> None:
    asking = [slide for slide in sections[1].slides if any(piece.kind == "question" for piece in slide.pieces)]
    assert len(asking) == 1 and asking[0].pieces[-1].kind == "question"


def test_outputs_and_explanations_are_uncovered_one_after_another(sections: list[Section]) -> None:
    for slide in sections[1].slides:
        kinds = [piece.kind for piece in slide.pieces]
        if "output" in kinds:
            first = kinds.index("output")
            assert all(piece.step for piece in slide.pieces[first:]) and first > 0
    (late,) = [piece for slide in sections[1].slides for piece in slide.pieces if "One thing more" in piece.html]
    assert late.step, "a fragment is uncovered by the speaker"


def test_figures_keep_their_alternative_text(made: str) -> None:
    assert 'alt="Chart &quot;&lt;A&gt; &amp; B&quot;"' in made and DOT in made


def test_speaker_notes_have_the_minutes_and_the_teaching_guide(made: str) -> None:
    notes = [text_of(found) for found in re.findall(r'<aside class="notes">(.*?)</aside>', made, re.DOTALL)]
    assert "40 minutes in all." in notes[0] and "As they come." in notes[0]
    assert any("6 minutes for this section" in note for note in notes)
    assert any("Most pick B: a habit" in note for note in notes)
    assert "Draw it." in notes[-1] and "Not this" not in "".join(notes)


def test_details_stay_details_with_their_text_inside(made: str) -> None:
    assert re.search(r"<details><summary>Verdict</summary>\s*<p>It <strong>works</strong>.</p>\s*</details>", made)


def test_a_script_cannot_end_its_element_early(made: str) -> None:
    assert made.lower().count("</script") == made.lower().count("<script") == 3


# --- what fits on a slide ------------------------------------------------------------------------


def test_no_slide_is_higher_than_estimated() -> None:
    """The browser is asked in test_slides_browser.py; this estimate divides the lessons; here every third."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb"))[::3]:
        for section in slides_of(json.loads(path.read_text(encoding="utf-8")), path.parent, ROOT):
            for slide in section.slides:
                height = sum(piece.height for piece in slide.pieces)
                assert height <= ROOM or len(slide.pieces) == 1, f"{path.stem}: {text_of(section.heading)}: {height}"
                assert not slide.pieces or slide.pieces[-1].kind != "heading", path.stem


def test_pieces_go_on_few_slides_and_an_output_stays_with_its_code() -> None:
    page = [Piece("prose", "", 300, cell=1), Piece("code", "", 260, cell=2), Piece("output", "", 60, cell=2)]
    assert [[piece.kind for piece in slide] for slide in distribute(page)] == [["prose"], ["code", "output"]]
    asked = [Piece("prose", "", 150), Piece("code", "", 350, cell=1), Piece("question", "", 200)]
    assert [[piece.kind for piece in slide] for slide in distribute(asked)] == [["prose"], ["code", "question"]]
    seen = [Piece("figure", "", 250), Piece("prose", "", 250), Piece("prose", "", 200)]
    assert [len(slide) for slide in distribute(seen)] == [2, 1], "what explains a figure stands below it"
    assert distribute([]) == []
    assert len(distribute([Piece("prose", "", 5000)])) == 1


def test_long_code_is_folded_at_a_function() -> None:
    function = "def work_{0}() -> None:\n" + "    print('a line')\n" * 9
    source = "\n\n".join(function.format(number) for number in range(3))
    folded = code_pieces(source)
    assert len(folded) > 1 and all(piece.height <= HEIGHT for piece in folded)
    assert all(text_of(piece.html).startswith("def work_") for piece in folded)
    assert "".join(text_of(piece.html) for piece in folded).count("a line") == 27
    assert all(piece.height <= HEIGHT for piece in code_pieces("values = [\n" + "    1,\n" * 60 + "]"))


def test_code_is_narrowed_and_says_the_same() -> None:
    wide = "print(first_name, 'a text that is long enough', second_name, 'and one more text of the same kind', third)"
    calls = f"value = function({', '.join(f'argument_{number}' for number in range(6))})  # {'x' * 5}"
    for source, narrow in zip((wide, calls), narrowed([wide, calls]), strict=True):
        assert ast.dump(ast.parse(narrow)) == ast.dump(ast.parse(source))
    assert max(map(len, narrowed([calls])[0].split("\n"))) <= 90
    assert narrowed(["def (:"]) == ["def (:"], "what cannot be read stays as it is"


def test_long_output_is_cut_in_the_middle_and_escapes_are_dropped() -> None:
    (long,) = output_pieces([printed("\n".join(f"line {number}" for number in range(40)))])
    lines = text_of(long.html.replace("\n", " | ")).split(" | ")
    assert len(lines) == MOST_LINES and lines[0] == "line 0" and lines[-1] == "line 39"
    assert "[24 lines more, in the notebook]" in lines
    error = {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["\x1b[31mE\x1b[0m: <v>"]}
    (shown,) = output_pieces([error])
    assert ">E: &lt;v&gt;</pre>" in shown.html and output_text([error]) == "E: v"


def test_a_graph_that_is_a_line_is_drawn_and_another_is_shown_as_text() -> None:
    def graph(text: str) -> dict[str, Any]:
        return {"output_type": "display_data", "data": {"text/vnd.mermaid": text, "text/plain": text}, "metadata": {}}

    (line,) = output_pieces([graph("graph TD;\n\t__start__ --> plan;\n\tplan --> __end__;\n")])
    assert text_of(line.html) == "start → plan → end"
    for other in ("graph TD;\n\ta --> b;\n\ta --> c;\n", "graph TD;\n\ta -.-> b;\n", "graph TD;\n\ta --> a;\n"):
        (shown,) = output_pieces([graph(other)])
        assert shown.html.startswith('<pre class="printed">')


def test_words_that_stand_below_a_figure_are_not_printed_again() -> None:
    unseen = {"output_type": "display_data", "data": {"text/html": "<p>words</p>"}, "metadata": {}}
    assert [piece.kind for piece in output_pieces([figure("words"), unseen])] == ["figure"]


def test_a_long_table_goes_on_with_its_head_repeated() -> None:
    table = "| name | what |\n|---|---|\n" + "| a | some words to say what it is |\n" * 30
    shown = pieces(table, ROOT, ROOT)
    assert len(shown) > 1 and all(piece.height <= HEIGHT and "<th>name</th>" in piece.html for piece in shown)
    assert sum(piece.html.count("some words") for piece in shown) == 30


def test_a_long_list_and_a_long_paragraph_can_be_divided() -> None:
    items = pieces("3. one\n4. two", ROOT, ROOT)
    assert [piece.html.split(">")[0] for piece in items] == ['<ol start="3"', '<ol start="4"']
    halves = pieces("A sentence of some length, as they are. " * 60, ROOT, ROOT)
    assert len(halves) > 1 and all(piece.height <= HEIGHT for piece in halves)
    assert sum(text_of(piece.html).count("A sentence") for piece in halves) == 60


def test_headings_in_code_are_no_parts() -> None:
    assert parts("## Recap\n\ntext\n\n```\n## no\n```\n\n## Next\n\nmore") == [
        "## Recap\n\ntext\n\n```\n## no\n```\n",
        "## Next\n\nmore",
    ]


def test_a_picture_is_embedded_and_none_from_outside_the_course(tmp_path: Path) -> None:
    (tmp_path / "course").mkdir()
    (tmp_path / "course" / "dot.png").write_bytes(base64.b64decode(DOT))
    (tmp_path / "secret.png").write_bytes(b"x")
    (shown,) = pieces("![a dot](dot.png)", tmp_path / "course", tmp_path / "course")
    assert f"data:image/png;base64,{DOT}" in shown.html
    for outside in ("../secret.png", "missing.png"):
        with pytest.raises(OSError):
            pieces(f"![x]({outside})", tmp_path / "course", tmp_path / "course")


# --- the command ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["03", "3", "03_gather"])
def test_a_lesson_has_three_names(course: Path, name: str) -> None:
    assert [path.name for path in choose([name, "3"], course=course)] == ["03_gather.ipynb"]


@pytest.mark.parametrize("name", ["", "99", "03.1", "../03_gather", "03_gather.ipynb", "gather", "-3"])
def test_another_name_is_refused_in_one_sentence(course: Path, name: str) -> None:
    with pytest.raises(NoSuchLesson, match=r"^There is no lesson .*: say its number, from 03 to 03, or .*\.$"):
        choose([name], course=course)


def test_no_name_both_kinds_of_names_and_no_course_are_refused(course: Path, tmp_path: Path) -> None:
    for names, every in (([], False), (["3"], True)):
        with pytest.raises(NoSuchLesson, match="--all"):
            choose(names, every=every, course=course)
    with pytest.raises(NoSuchLesson, match="make lab"):
        choose(["3"], course=tmp_path)
    for wrong in ({"live": True, "show": True}, {"live": True, "output": tmp_path / "x.html"}):
        with pytest.raises(CannotMake, match="--live"):
            list(make(["3"], course=course, **wrong))


def test_a_deck_is_written_again_and_nothing_else_is_overwritten(course: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert list(make([], every=True, course=course)) == [
            "my/slides/03_gather.html is there: open it in a browser, and press ? for the keys."
        ]
    assert (course / "my/slides/03_gather.html").read_text(encoding="utf-8").startswith(MARK)
    mine = tmp_path / "notes.html"
    mine.write_text("mine", encoding="utf-8")
    for target, why in ((mine, "is no deck"), (tmp_path, "is a folder")):
        with pytest.raises(CannotMake, match=why):
            list(make(["3"], output=target, course=course))
    assert mine.read_text(encoding="utf-8") == "mine"
    list(make(["3"], output=tmp_path / "a" / "deck.html", course=course))
    assert (tmp_path / "a" / "deck.html").exists()


def test_open_hands_the_file_to_the_browser(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)  # returns None: no browser
    (said,) = make(["3"], show=True, course=course)
    assert opened == [(course / "my/slides/03_gather.html").resolve().as_uri()] and "open it yourself" in said


def test_a_damaged_notebook_is_told_in_one_sentence(tmp_path: Path) -> None:
    shutil.copy(ROOT / "start.py", tmp_path)
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "03_gather.ipynb").write_text("{", encoding="utf-8")
    for live in (False, True):
        with pytest.raises(CannotMake, match="cannot be read as a notebook"):
            list(make(["3"], live=live, course=tmp_path))


def test_the_command_line_says_what_is_wrong_and_exits_with_1() -> None:
    refused = CliRunner().invoke(app, ["slides", "99"])
    assert refused.exit_code == 1 and refused.stderr.startswith("There is no lesson '99'")


# --- the copy to type in -------------------------------------------------------------------------


def test_the_live_copy_has_the_prose_and_not_the_code(course: Path) -> None:
    (said,) = make(["3"], live=True, course=course)
    assert said == "my/live/03_gather.ipynb is ready to type in; what to type is in my/live/03_gather.script.md."
    copy = json.loads((course / "my/live/03_gather.ipynb").read_text(encoding="utf-8"))
    code_cells = [cell for cell in copy["cells"] if cell["cell_type"] == "code"]
    assert [cell["source"] for cell in code_cells] == [
        "%load_ext awaitsee\nserver = 1",
        "async def ask() -> str:\n    return 'x'",
        "# 1\n",
        "assert run == 'x'",
    ]
    assert all(cell["outputs"] == [] for cell in code_cells)
    prose = [cell["source"] for cell in copy["cells"] if cell["cell_type"] == "markdown"]
    assert "<details><summary>The answer</summary>\n\nA. In theirs.\n\n</details>" in prose, "nobody reads it before"
    assert "**Predict.** In which order?\\\nA: theirs.\\\nB: as they arrive." in prose
    assert "[Previous](../notebooks/02_b.ipynb)" in prose, "the copy does not stand beside the lessons"


def test_the_script_has_what_to_type_and_what_it_prints(course: Path) -> None:
    list(make(["3"], live=True, course=course))
    script = (course / "my/live/03_gather.script.md").read_text(encoding="utf-8")
    order = [
        "# 03 · gather",
        "## In which order? · 6 minutes",
        "**Predict.**",
        "**1**",
        "run = await ask()",
        "done\nChart",
        "A. In theirs.",
        "## Recap",
    ]
    places = [script.index(part) for part in order]
    assert places == sorted(places)
    assert "server = 1" not in script


def test_what_was_typed_is_kept_beside_the_new_copy(course: Path) -> None:
    list(make(["3"], live=True, course=course))
    folder, target = course / "my" / "live", course / "my/live/03_gather.ipynb"
    copy = json.loads(target.read_text(encoding="utf-8"))
    copy["cells"][2]["outputs"] = [printed("it ran\n")]
    target.write_text(json.dumps(copy), encoding="utf-8")
    list(make(["3"], live=True, course=course))
    assert not list(folder.glob("*.mine-*")), "nothing was typed, so nothing is kept"
    copy["cells"][6]["source"] = "typed in the room"
    for text in (json.dumps(copy), "no notebook any more"):
        target.write_text(text, encoding="utf-8")
        (said,) = make(["3"], live=True, course=course)
        assert "is kept as 03_gather.mine-" in said
    script = folder / "03_gather.script.md"
    script.write_text(script.read_text(encoding="utf-8") + "my own remark\n", encoding="utf-8")
    list(make(["3"], live=True, course=course))
    kept = {path.read_text(encoding="utf-8") for path in folder.glob("*.mine-*.ipynb")}
    assert kept == {json.dumps(copy), "no notebook any more"}
    (remarks,) = folder.glob("*.mine-*.md")
    assert remarks.read_text(encoding="utf-8").endswith("my own remark\n")
    assert "remark" not in script.read_text(encoding="utf-8")


# --- what is vendored ----------------------------------------------------------------------------


def test_reveal_is_there_with_its_licence_and_version() -> None:
    assert sorted(path.name for path in HERE.iterdir()) == sorted([*KEPT.values(), "VERSION"])
    assert re.fullmatch(r"reveal\.js \d+\.\d+\.\d+\n", (HERE / "VERSION").read_text(encoding="utf-8"))
    assert "MIT" in (HERE / "LICENSE").read_text(encoding="utf-8") or "Permission is hereby granted" in (
        HERE / "LICENSE"
    ).read_text(encoding="utf-8")
    registry = re.compile(r"https?://[^/\s\"']*(npmjs|pypi|registry)")
    assert not [path.name for path in HERE.iterdir() if registry.search(path.read_text(encoding="utf-8"))]


def test_an_update_is_taken_from_the_package_whole_or_not_at_all(tmp_path: Path) -> None:
    def package(*names: str) -> Path:
        archive = tmp_path / f"{len(names)}.tgz"
        with tarfile.open(archive, "w:gz") as file:
            for name in names:
                content = b'{"version": "9.9.9"}' if name.endswith(".json") else name.encode()
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                file.addfile(entry, BytesIO(content))
        return archive

    target = tmp_path / "reveal"
    with pytest.raises(FetchFailed, match=r"notes\.js is not in the package"):
        unpack(package("package/package.json", *[name for name in KEPT if "notes" not in name]), target)
    assert not target.exists()
    assert unpack(package("package/package.json", *KEPT), target) == "9.9.9"
    assert (target / "notes.js").read_text(encoding="utf-8") == "package/dist/plugin/notes.js\n"
    assert (target / "VERSION").read_text(encoding="utf-8") == "reveal.js 9.9.9\n"


def test_the_heavy_parts_are_loaded_only_when_a_deck_is_made() -> None:
    code = (
        "import sys, awaitsee.cli, awaitsee.slides.command\n"
        "print([name for name in ('pygments', 'markdown_it', 'IPython', 'matplotlib') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


@pytest.mark.parametrize(("live", "made"), [(False, "slides/03_gather.html"), (True, "live/03_gather.ipynb")])
def test_they_go_to_the_folder_that_is_the_users_own(
    course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live: bool, made: str
) -> None:
    monkeypatch.setenv("AWAITSEE_MY", str(tmp_path / "mine"))
    (said,) = make(["3"], live=live, course=course)
    assert (tmp_path / "mine" / made).is_file()
    assert said.startswith(str(tmp_path / "mine" / made))
