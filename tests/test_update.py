"""An update as it happens: a learner pulls a new version from a real remote, and lays the copy out again."""

from __future__ import annotations

import datetime
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GIT = shutil.which("git")
pytestmark = pytest.mark.skipif(GIT is None, reason="git is not installed")

TODAY = datetime.date.today().isoformat()
AUTHOR = ("-c", "user.name=Author", "-c", "user.email=author@example.org", "-c", "commit.gpgsign=false")
GLOSSARY = "docs/glossary.md"

# What the learner does to it before the update, and the author in it.
EDITED_LESSON = "notebooks/00_edited.ipynb"
UNTOUCHED_LESSON = "notebooks/01_untouched.ipynb"
DELETED_LESSON = "notebooks/02_deleted.ipynb"
DELETED_EDITED = "notebooks/03_deleted_edited.ipynb"
EDITED_EXERCISE = "exercises/00_edited.ipynb"
UNTOUCHED_EXERCISE = "exercises/01_untouched.ipynb"
RUN_EXERCISE = "exercises/02_run.ipynb"
RENAMED = "exercises/03_old_name.ipynb"
RENAMED_EDITED = "exercises/04_old_name_edited.ipynb"
QUIET = "exercises/05_edited_by_the_learner_alone.ipynb"
FIRST_VERSION = (
    *(EDITED_LESSON, UNTOUCHED_LESSON, DELETED_LESSON, DELETED_EDITED),
    *(EDITED_EXERCISE, UNTOUCHED_EXERCISE, RUN_EXERCISE, RENAMED, RENAMED_EDITED, QUIET),
)
NEW_NAME, NEW_NAME_EDITED = "exercises/06_new_name.ipynb", "exercises/07_new_name_edited.ipynb"
NEW_LESSON = "notebooks/04_new.ipynb"


def git(folder: Path, *arguments: str) -> str:
    """Run git as on a machine where nobody set anything up."""
    environment = {"PATH": str(Path(str(GIT)).parent), "HOME": str(folder.parent), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        [str(GIT), *AUTHOR, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write(path: Path, *sources: str) -> None:
    """Write a notebook as the course has it: with outputs."""
    output = {"output_type": "stream", "name": "stdout", "text": "out"}
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {},
            "source": source,
            "execution_count": number,
            "outputs": [output],
        }
        for number, source in enumerate(sources, start=1)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), encoding="utf-8")


def sources(path: Path) -> list[str]:
    return [cell["source"] for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]


def edit(path: Path, words: str) -> bytes:
    """Write into the first cell as a learner does; return the file's bytes."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["cells"][0]["source"] = words
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path.read_bytes()


def lay_out(course: Path) -> str:
    """Lay the copy out as `make lab` does, in a process of its own; return what it said."""
    command = [sys.executable, "-B", "-c", "import start; start.lay_out()"]
    return subprocess.run(command, cwd=course, capture_output=True, text=True, check=True).stdout


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return each file's bytes, and when it was written."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


class Updated:
    """A learner's clone after the update, and what was the learner's before it."""

    def __init__(self, folder: Path) -> None:
        remote, author, self.course = folder / "remote.git", folder / "author", folder / "learner"
        author.mkdir()
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(remote))
        git(author, "init", "--quiet", "--initial-branch=main")
        for name in ("start.py", ".gitignore"):
            shutil.copy(ROOT / name, author)
        for name in FIRST_VERSION:
            write(author / name, f"{name}, first version", "2 + 2")
        (author / "docs").mkdir()
        (author / GLOSSARY).write_text("first version", encoding="utf-8")
        git(author, "add", ".")
        git(author, "commit", "--quiet", "-m", "first version")
        git(author, "push", "--quiet", str(remote), "main")
        git(folder, "clone", "--quiet", str(remote), "learner")

        self.my = self.course / "my"
        lay_out(self.course)
        edited = (EDITED_LESSON, EDITED_EXERCISE, DELETED_EDITED, RENAMED_EDITED, QUIET)
        self.mine = {name: edit(self.my / name, f"my own work on {name}") for name in edited}
        write(self.my / RUN_EXERCISE, f"{RUN_EXERCISE}, first version", "2 + 2")
        own = self.my / "notebooks" / "scratch.ipynb"
        write(own, "a notebook of my own")
        (self.my / "progress.json").write_text('{"00.1": {}}', encoding="utf-8")
        self.mine |= {name: (self.my / name).read_bytes() for name in ("notebooks/scratch.ipynb", "progress.json")}

        for name in (EDITED_LESSON, UNTOUCHED_LESSON, EDITED_EXERCISE, UNTOUCHED_EXERCISE, RUN_EXERCISE):
            write(author / name, f"{name}, second version", "2 + 2", "a new cell")
        git(author, "rm", "--quiet", DELETED_LESSON, DELETED_EDITED)
        git(author, "mv", RENAMED, NEW_NAME)
        git(author, "mv", RENAMED_EDITED, NEW_NAME_EDITED)
        write(author / NEW_LESSON, "a new lesson")
        (author / GLOSSARY).write_text("second version", encoding="utf-8")
        git(author, "add", ".")
        git(author, "commit", "--quiet", "-m", "second version")
        git(author, "push", "--quiet", str(remote), "main")

        git(self.course, "pull", "--quiet")
        self.said = lay_out(self.course)

    def beside(self, name: str) -> list[str]:
        """The sources of the new version that lies beside a notebook."""
        path = self.my / name
        return sources(path.with_name(f"{path.stem}.new-{TODAY}.ipynb"))


@pytest.fixture(scope="module")
def updated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Updated]:
    yield Updated(tmp_path_factory.mktemp("update"))


def test_nothing_of_the_learners_is_changed(updated: Updated) -> None:
    for name, content in updated.mine.items():
        assert (updated.my / name).read_bytes() == content, name


def test_git_has_nothing_to_say_about_the_learners_work(updated: Updated) -> None:
    assert git(updated.course, "status", "--porcelain") == ""


def test_the_new_version_is_beside_what_was_edited(updated: Updated) -> None:
    for name in (EDITED_LESSON, EDITED_EXERCISE):
        assert updated.beside(name) == [f"{name}, second version", "2 + 2", "a new cell"]
        assert f"my/{name} is yours and stays; the course's new version is beside it" in updated.said


def test_what_was_not_edited_is_the_new_version(updated: Updated) -> None:
    for name in (UNTOUCHED_LESSON, UNTOUCHED_EXERCISE, RUN_EXERCISE):
        assert sources(updated.my / name)[0] == f"{name}, second version"
        assert name not in updated.said
    assert sources(updated.my / NEW_LESSON) == ["a new lesson"]
    assert (updated.my / GLOSSARY).read_text(encoding="utf-8") == "second version"


def test_what_the_course_no_longer_has_goes_unless_it_was_edited(updated: Updated) -> None:
    assert not (updated.my / DELETED_LESSON).exists()
    assert not (updated.my / RENAMED).exists()
    assert sources(updated.my / NEW_NAME) == [f"{RENAMED}, first version", "2 + 2"]
    assert sources(updated.my / NEW_NAME_EDITED) == [f"{RENAMED_EDITED}, first version", "2 + 2"]
    for name in (DELETED_EDITED, RENAMED_EDITED):
        assert f"my/{name} is no longer part of the course under this name; your copy stays." in updated.said


def test_no_file_came_that_nobody_expects(updated: Updated) -> None:
    news = {f"{Path(name).stem}.new-{TODAY}.ipynb" for name in (EDITED_LESSON, EDITED_EXERCISE)}
    there = {name for name in state(updated.my) if ".new-" in name}
    assert {Path(name).name for name in there} == news and len(there) == 2
    assert QUIET not in updated.said


def test_laying_out_again_changes_and_says_nothing(updated: Updated) -> None:
    before = state(updated.my)
    assert lay_out(updated.course) == ""
    assert state(updated.my) == before
