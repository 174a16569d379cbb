"""What a learner is told of the way done and left: by lesson, by track, on the command line and in a cell."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from awaitsee import magic, overview, progress
from awaitsee.overview import TRACKS, Lesson
from awaitsee.progress import Progress

if TYPE_CHECKING:  # made before the first test: tests/lazily.py
    from typer.testing import CliRunner

    from awaitsee.cli import app

ROOT = Path(__file__).resolve().parents[1]
LESSONS = overview.lessons()
THREE = Lesson("03", "gather", 40, {"03.1": 5, "03.2": 15, "03.3": 10})


def noted(state: Any) -> Progress:
    return Progress(state, 1, "2026-01-01T10:00:00", "2026-01-01T10:00:00")


def test_every_lesson_and_every_exercise_is_counted() -> None:
    assert [lesson.number for lesson in LESSONS] == [path.stem[:2] for path in sorted(ROOT.glob("notebooks/*.ipynb"))]
    for lesson in LESSONS:
        sheet = next(ROOT.glob(f"exercises/{lesson.number}_*.ipynb")).read_text(encoding="utf-8")
        assert set(lesson.exercises) == set(re.findall(r'with exercise\(\\"(\d\d\.\d)\\"', sheet))
        assert lesson.minutes >= 20 and all(3 <= minutes <= 60 for minutes in lesson.exercises.values())


def test_each_lesson_stands_in_one_track_or_beside_them() -> None:
    numbers = [number for track in TRACKS.values() for number in track]
    assert len(numbers) == len(set(numbers))
    assert {lesson.number for lesson in LESSONS} - set(numbers) == {"12", "14"}


@pytest.mark.parametrize(
    ("done", "left"),
    [
        ({}, 70),
        ({"03.1": noted("tried")}, 30),
        ({"03.1": noted("done")}, 25),
        ({"03.1": noted("done"), "03.2": noted("done"), "03.3": noted("done")}, 0),
        ({"04.1": noted("done")}, 70),
    ],
)
def test_minutes_left(done: dict[str, Progress], left: int) -> None:
    assert THREE.minutes_left(done) == left


def test_a_line_for_each_lesson_and_track() -> None:
    said = overview.describe([THREE], {"03.1": noted("done"), "03.2": noted("tried")}).splitlines()
    assert re.fullmatch(r"03  gather  1 done, 1 tried, 1 open +about +25 minutes left", said[0])
    assert re.fullmatch(r"Core day +1 of +3 exercises done, about +25 minutes left", said[2])
    assert "Nothing is noted yet" not in "\n".join(said)
    assert "Nothing is noted yet" in overview.describe([THREE], {})


def test_without_the_course_it_says_so(tmp_path: Path) -> None:
    assert overview.describe(overview.lessons(tmp_path), {}) == overview.NOT_HERE


def test_the_command_line_and_the_cell_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "progress.json"
    kept.write_text(json.dumps({"00.1": {"state": "done", "tries": 2, "first": "a", "last": "b"}}), encoding="utf-8")
    monkeypatch.setattr(progress.read, "__defaults__", (kept,))
    said = CliRunner().invoke(app, ["progress"])
    assert said.exit_code == 0
    assert re.search(r"^00  Start here +1 done +about +0 minutes left$", said.output, re.MULTILINE)
    magic.run("progress")
    assert capsys.readouterr().out == said.output
    magic.run("")
    assert capsys.readouterr().out == "There is one such line: %awaitsee progress\n"


def test_the_magic_comes_and_goes() -> None:
    known: dict[str, object] = {}

    def note(function: object, kind: str, name: str) -> None:
        known[name] = function

    shell: Any = SimpleNamespace(magics_manager=SimpleNamespace(magics={"line": known}), register_magic_function=note)
    undo = magic.register(shell)
    assert known == {"awaitsee": magic.run}
    undo()
    assert known == {}


def test_the_readme_has_the_tracks_with_their_minutes() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\w[\w -]+?) \| [^|]+ \| ([\d,]+) \|$", readme.split("## Tracks")[1], re.MULTILINE))
    minutes = {
        name: sum(lesson.all_minutes for lesson in LESSONS if lesson.number in numbers)
        for name, numbers in TRACKS.items()
    }
    assert rows == {name: str(total) for name, total in minutes.items()}
