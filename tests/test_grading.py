"""`awaitsee check`: what of a submission is run, what comes of it, and what it cannot do to the others."""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from awaitsee.cli import app
from awaitsee.grading import processes
from awaitsee.grading.answers import Answer, answers
from awaitsee.grading.check import check_folder
from awaitsee.grading.collect import NotANotebook, Submission, find, open_submission
from awaitsee.grading.outcome import Row
from awaitsee.grading.report import as_csv, summary, table
from awaitsee.grading.sheets import Cell, Sheet, code_cells, read_sheets, sheet_of
from awaitsee.grading.statements import statements
from awaitsee.grading.supervise import MOST_ENTRIES, Limits, Supervisor, environment, extent, remove
from tests import submissions as handed_in

ROOT = Path(__file__).resolve().parents[1]
LOOP = "12_build_a_loop"
BEST = handed_in.solved(LOOP)
DRIVE = BEST["12.1"]
EASY_DONE = 'with exercise("12.1") as check:\n    check("fine", True)'
RESTLESS = """
import time

while True:
    try:
        time.sleep(3600)
    except BaseException:
        pass
"""
"""It cannot be interrupted, and costs no processor."""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="submissions are checked on Linux and macOS")


@pytest.fixture(scope="module")
def sheets() -> list[Sheet]:
    return read_sheets(ROOT)


@pytest.fixture(scope="module")
def loop(sheets: list[Sheet]) -> Sheet:
    return next(sheet for sheet in sheets if sheet.stem == LOOP)


# --- what of a submission is run


def said(loop: Sheet, *cells: Cell | str, exercise: str = "12.1") -> Answer:
    """Return what a notebook of some cells answers to an exercise."""
    listed = [Cell("", each) if isinstance(each, str) else each for each in cells]
    return next(each for each in answers(listed, loop) if each.exercise == exercise)


def sources(answer: Answer) -> tuple[str, ...]:
    return tuple(step.source for step in answer.steps)


def test_every_solution_is_found_whole_with_and_without_ids(sheets: list[Sheet]) -> None:
    for sheet in sheets:
        notebook = handed_in.sheet(sheet.stem, "solutions")
        assert sheet_of(notebook, sheets) is sheet
        solved = handed_in.solved(sheet.stem)
        for each in (notebook, handed_in.without_ids(handed_in.without_checks(notebook))):
            found = {answer.exercise: sources(answer) for answer in answers(code_cells(each), sheet)}
            assert found == {number: (code,) for number, code in solved.items()}


def test_an_untouched_sheet_has_nothing_to_run(sheets: list[Sheet]) -> None:
    for sheet in sheets:
        cells = code_cells(handed_in.sheet(sheet.stem))
        assert {(answer.found, answer.attempted) for answer in answers(cells, sheet)} == {(True, False)}


def test_the_sheet_is_known_by_any_of_its_marks(sheets: list[Sheet], loop: Sheet) -> None:
    for code in (EASY_DONE, DRIVE):
        assert sheet_of({"cells": [handed_in.cell(code)]}, sheets) is loop
    heading = {"cell_type": "markdown", "source": ["## Exercise 12.3 · gather\n"]}
    assert sheet_of({"cells": [heading]}, sheets) is loop
    assert sheet_of({"cells": [handed_in.cell("milk = 1")]}, sheets) is None


def test_a_helper_comes_along_and_a_trial_does_not(loop: Sheet) -> None:
    helpers = (
        "import json as j\nNOTES = []\n\n\ndef step(coroutine):\n    NOTES.append(1)\n    return coroutine.send(None)"
    )
    answer = "def drive(coroutine, answer):\n    return step(coroutine)"
    trial = "NOTES.append(0)\nprint(drive(None, None))\nserver.configure(latency=9)\nresult = drive(1, 2)"
    found = said(loop, helpers, answer, trial, EASY_DONE)
    assert sources(found) == (
        "NOTES = []",
        "def step(coroutine):\n    NOTES.append(1)\n    return coroutine.send(None)",
        answer,
        "NOTES.append(0)",
    )


def test_a_loop_that_only_counts_is_no_helper(loop: Sheet) -> None:
    answer = "def drive(coroutine, answer):\n    _, found = answer(1)\n    return found"
    assert sources(said(loop, "for _ in range(9):\n    print('a trial')", answer)) == (answer,)


def test_lines_may_end_as_another_program_ends_them() -> None:
    (cell,) = code_cells({"cells": [handed_in.cell("a = 1\rb = 2\r\nc = 3\n")]})
    assert [statement.source for statement in cell.statements or []] == ["a = 1", "b = 2", "c = 3"]


def test_a_piece_that_two_exercises_need_is_known_as_one(loop: Sheet) -> None:
    both = f"{DRIVE}\n\n\ndef run_all(coroutines, clock):\n    return HELP"
    first, second, third = answers([Cell("", "HELP = 1"), Cell("", both)], loop)
    assert first.steps == second.steps and first.steps[0].source == "HELP = 1"
    assert first.attempted and second.attempted and not third.found


def test_checks_and_what_the_sheet_gives_are_not_the_submissions(loop: Sheet) -> None:
    own = "class Clock:\n    pass\n\n\nclass exercise:\n    pass\n\n\nasked = ['late']"
    kept = "from awaitsee import exercise, compare\ndef drive(coroutine, answer):\n    return 1"
    assert sources(said(loop, f"{own}\n{kept}\n{EASY_DONE}")) == (kept,)


def test_of_several_answers_those_before_the_check_count(loop: Sheet) -> None:
    first, second, third = (f"def drive(coroutine, answer):\n    return {number}" for number in range(3))
    assert sources(said(loop, first, second, EASY_DONE, third)) == (first, second)
    assert sources(said(loop, first, EASY_DONE, second, EASY_DONE)) == (first, second)
    assert sources(said(loop, EASY_DONE, third)) == (third,)
    stub = loop.stub("12.1")
    assert sources(said(loop, stub, first, EASY_DONE)) == (first,)


def test_code_that_python_cannot_read_is_still_the_answer(loop: Sheet) -> None:
    broken = "def drive(coroutine, answer)\n    return None"
    assert sources(said(loop, broken)) == (broken,)
    assert sources(said(loop, Cell(loop.stub("12.1").id, "was soll ich hier?"))) == ("was soll ich hier?",)
    assert not said(loop, "x = = 1").found
    for text in ("(" * 5000, "-" * 100_000 + "1", "a\0b", "%%bash\necho drive"):
        assert statements(text) is None or isinstance(statements(text), list)


def test_magics_and_awaits_are_read_over() -> None:
    for text in (
        "%%time\n%load_ext awaitsee\n!ls\ndrive?\nif True:\n    %pwd\nawait f()",
        "left = (7\n    % 2)\nawait f()",
    ):
        found = statements(text)
        assert found is not None and found[-1].source == "await f()"


# --- what is handed in


def test_folders_are_looked_through_and_links_are_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "class"
    handed_in.write(folder, "ann/deep/one.IPYNB", {})
    handed_in.write(folder, "ann/.ipynb_checkpoints/one.ipynb", {})
    handed_in.write(folder, "._one.ipynb", {})
    handed_in.write(tmp_path, "elsewhere/secret.ipynb", {})
    (folder / "away").symlink_to(tmp_path / "elsewhere")
    (folder / "zoe").mkdir()
    (folder / "notes.txt").touch()
    found = find(folder)
    assert [each.name for each in found.submissions] == ["ann/deep/one.IPYNB"]
    assert [each.name for each in found.empty] == ["away", "zoe"]
    assert found.others == ["notes.txt"]


def test_what_cannot_be_a_notebook_is_not_opened(tmp_path: Path) -> None:
    folder = tmp_path / "class"
    handed_in.write_odd_files(folder, ROOT / "solutions" / f"{LOOP}.ipynb")
    why = {}
    for name in ("folder", "pipe", "link", "huge", "empty", "not there"):
        with pytest.raises(NotANotebook) as refusal:
            open_submission(folder / f"{name}.ipynb")
        why[name] = str(refusal.value)
    assert why == {
        "folder": "it is a folder",
        "pipe": "it is no plain file",
        "link": "it is a link, and links are not followed",
        "huge": "it has 40 MB, and a notebook may have 32",
        "empty": "it is empty",
        "not there": "it cannot be read (No such file or directory)",
    }


# --- a class, two at a time


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("handed in")
    top = "from collections import deque\n\n\ndef first(coroutine):\n    return coroutine.send(None)"
    helped = DRIVE.replace("coroutine.send(None)", "first(coroutine)", 1)
    both = {"12.1": f"{helped}\n\n\n{BEST['12.2']}", "12.3": BEST["12.3"]}
    notebook = handed_in.without_checks(handed_in.submission(LOOP, both))
    handed_in.write(folder, "ann/renamed (2).ipynb", handed_in.without_ids(handed_in.one_cell_each(notebook, top)))
    victim = folder / "victim.txt"
    victim.write_text("still here", encoding="utf-8")
    reaches = handed_in.REACHES_OUT.format(victim=str(victim), other=str(folder / "ann/renamed (2).ipynb"))
    forged = {"12.1": reaches, "12.2": 'def run_all(coroutines, clock):\n    print("12.2 done.")'}
    handed_in.write(folder, "mal/forged.ipynb", handed_in.with_easy_checks(handed_in.submission(LOOP, forged)))
    leaves = handed_in.hostile(handed_in.HOSTILE["offspring"] + "\n\n" + handed_in.HOSTILE["exit"], DRIVE)
    handed_in.write(folder, "mal/leaves.ipynb", handed_in.submission(LOOP, {**BEST, "12.1": leaves}))
    untouched = handed_in.sheet(LOOP)
    untouched["cells"] = [each for each in untouched["cells"] if "def gather" not in handed_in.text(each)]
    handed_in.write(folder, "cem.ipynb", untouched)
    handed_in.write_odd_files(folder / "odd", victim)
    (folder / "zoe").mkdir()
    return folder


@pytest.fixture(scope="module")
def checked(folder: Path) -> Iterator[list[Row]]:
    told: list[list[Row]] = []
    before = set(processes.below(os.getpid()))
    rows, found = check_folder(folder, ROOT, csv=None, jobs=2, limits=Limits(), tell=told.append)
    assert sorted(row.submission for rows in told for row in rows) == sorted(row.submission for row in rows[:-1])
    assert found.others == ["odd/=1+1.txt", "victim.txt"]
    assert set(processes.below(os.getpid())) <= before
    yield rows


def outcomes(rows: list[Row], submission: str) -> dict[str, str]:
    return {row.exercise: row.outcome for row in rows if row.submission == submission}


def test_right_answers_pass_however_the_notebook_was_changed(checked: list[Row]) -> None:
    assert outcomes(checked, "ann/renamed (2).ipynb") == dict.fromkeys(("12.1", "12.2", "12.3"), "passed")


def test_what_is_printed_and_easier_checks_do_not_count(checked: list[Row], folder: Path) -> None:
    # The first passes only if it could change, read and reach nothing that is not its own.
    assert outcomes(checked, "mal/forged.ipynb") == {"12.1": "passed", "12.2": "failed", "12.3": "not attempted"}
    assert "each is woken at its time" in next(row.detail for row in checked if row.outcome == "failed")
    assert (folder / "victim.txt").read_text(encoding="utf-8") == "still here"


def test_a_kernel_that_ends_costs_one_exercise_and_leaves_no_process(checked: list[Row]) -> None:
    assert outcomes(checked, "mal/leaves.ipynb") == {"12.1": "crashed", "12.2": "passed", "12.3": "passed"}
    assert "exit code 3" in next(row.detail for row in checked if row.outcome == "crashed")
    if processes.LINUX:
        asleep = f"sleep\0{handed_in.SLEEP}".encode()
        commands = [path for path in Path("/proc").glob("[0-9]*/cmdline")]
        assert not [path for path in commands if asleep in read_bytes(path)]


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_what_is_untouched_or_deleted_is_told_apart(checked: list[Row]) -> None:
    assert outcomes(checked, "cem.ipynb") == {"12.1": "not attempted", "12.2": "not attempted", "12.3": "missing"}


def test_what_is_no_notebook_costs_its_own_row(checked: list[Row]) -> None:
    odd = {row.submission: row for row in checked if row.submission.startswith("odd/")}
    assert len(odd) == 10 and odd.pop("odd/shopping.ipynb").outcome == "missing"
    assert {row.outcome for row in odd.values()} == {"not a notebook"}
    assert all(row.detail for row in odd.values())
    assert checked[-1] == Row("zoe", "", "", "missing", "no notebook is in this folder")


# --- limits


def check_one(tmp_path: Path, code: str, limits: Limits) -> list[Row]:
    handed_in.write(tmp_path, "one.ipynb", handed_in.submission(LOOP, {"12.1": f"{code}\n\n\n{DRIVE}"}))
    return Supervisor(ROOT, tmp_path, limits).check(Submission("one.ipynb", tmp_path / "one.ipynb"))


def test_a_submission_that_cannot_be_interrupted_is_ended(tmp_path: Path) -> None:
    begun = time.monotonic()
    (first, *others) = check_one(tmp_path, RESTLESS, Limits(seconds=12))
    assert (first.exercise, first.outcome) == ("12.1", "timed out")
    assert time.monotonic() - begun < 60
    assert {row.outcome for row in others} == {"not attempted"}


def test_a_submission_that_takes_all_memory_is_ended(tmp_path: Path) -> None:
    (first, *_) = check_one(tmp_path, handed_in.HOSTILE["memory"], Limits(megabytes=400))
    assert (first.exercise, first.outcome, first.detail) == ("12.1", "out of memory", "it took more than 400 MB")


def test_a_folder_is_measured_and_removed_whatever_was_done_to_it(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    (folder / "shut").mkdir(parents=True)
    (folder / "shut" / "full").write_bytes(os.urandom(200_000))
    size, entries = extent(folder)
    assert size >= 200_000 and entries == 2 < MOST_ENTRIES
    (folder / "link").symlink_to(tmp_path)
    (folder / "shut").chmod(0)
    remove(folder)
    assert not folder.exists() and tmp_path.exists()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o500)
    for target in (elsewhere, tmp_path / "nowhere"):
        folder.symlink_to(target)
        remove(folder)
        assert not folder.is_symlink()
    assert elsewhere.stat().st_mode & 0o777 == 0o500


def test_what_nobody_foresaw_costs_its_own_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run(supervisor: Supervisor, account: Any, *_: object) -> None:
        if account.submission.name == "odd.ipynb":
            raise OSError("no space left")
        account.note({"lesson": "12", "exercises": ["12.1", "12.2"]})
        account.note({"exercise": "12.1", "outcome": "passed", "detail": "", "seconds": 0.1})
        account.note({"end": True})

    monkeypatch.setattr(Supervisor, "_run_worker", run)
    submissions = [Submission(name, tmp_path / name) for name in ("odd.ipynb", "short.ipynb")]
    told: list[list[Row]] = []
    rows = Supervisor(ROOT, tmp_path, Limits()).check_all(submissions, 1, told.append)
    assert [(row.submission, row.exercise, row.outcome, row.detail) for row in rows] == [
        ("odd.ipynb", "", "crashed", "it could not be checked (OSError: no space left)"),
        ("short.ipynb", "12.1", "passed", ""),
        ("short.ipynb", "12.2", "crashed", "it ended without a result"),
    ]
    assert len(told) == 2


def test_no_key_reaches_a_submission(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("AWAITSEE_PROVIDER", "openai")
    given = environment(tmp_path, "MARK=1")
    assert "secret" not in given.values() and "AWAITSEE_PROVIDER" not in given
    assert given["HOME"] == given["TMPDIR"] == str(tmp_path)


# --- the report and the command


def test_the_table_cannot_mislead_a_spreadsheet_or_a_terminal() -> None:
    rows = [Row("=1+1.ipynb", "12", "12.1", "failed", "NO [red]x[/]\x1b[2J\nsaw \u202e1", 0.4)]
    (read,) = csv.DictReader(io.StringIO(as_csv(rows)))
    assert read["submission"] == "'=1+1.ipynb"
    assert read["detail"] == "NO [red]x[/]�[2J�saw �1"
    assert table(rows).row_count == 1
    assert summary(rows) == "1 submission: 1 failed."


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


def test_the_command_prints_a_table_and_writes_it(tmp_path: Path) -> None:
    folder = tmp_path / "class"
    handed_in.write(folder, "ann/12.ipynb", handed_in.sheet(LOOP))
    result = invoke(folder, "--csv", tmp_path / "table.csv", "--timeout", 30)
    assert result.exit_code == 0, result.output
    assert "1 submission: 3 not attempted." in result.output
    with (tmp_path / "table.csv").open(encoding="utf-8") as file:
        assert [row["exercise"] for row in csv.DictReader(file)] == ["12.1", "12.2", "12.3"]


def test_what_cannot_be_checked_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    handed_in.write(tmp_path, "full/12.ipynb", handed_in.sheet(LOOP))
    (tmp_path / "table.csv").write_text("marks", encoding="utf-8")
    for arguments, sentence in (
        ([tmp_path / "nowhere"], "cannot be read (No such file or directory): give the folder of submissions."),
        ([tmp_path / "full/12.ipynb"], "cannot be read (Not a directory): give the folder of submissions."),
        ([tmp_path / "empty"], "give the folder that the submissions are in."),
        ([tmp_path / "full", "--csv", tmp_path / "table.csv"], "exists, and nothing is overwritten"),
        ([tmp_path / "full", "--csv", tmp_path / "no/table.csv"], "give --csv a folder that can be written."),
    ):
        result = invoke(*arguments)
        assert result.exit_code == 1
        assert sentence in result.output and len(result.output.strip().splitlines()) == 1
    assert (tmp_path / "table.csv").read_text(encoding="utf-8") == "marks"
