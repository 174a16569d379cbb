"""What a learner's command line does besides `progress`: reset a lesson, see what is missing."""

from __future__ import annotations

import datetime
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from awaitsee import checkup, doctor, overview
from awaitsee.checkup import Finding
from awaitsee.cli import app
from awaitsee.course import NoCourse, start_script
from awaitsee.reset import RELOAD, CannotReset, find, reset
from tests.test_start import edit, sources, write_notebook

ROOT = Path(__file__).resolve().parents[1]
POSIX = os.name == "posix"
SHEET = "exercises/06_semaphores.ipynb"


@pytest.fixture
def start(tmp_path: Path) -> Any:
    """The start.py of a course with two lessons, laid out once."""
    for name in ("start.py", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for folder in ("notebooks", "exercises"):
        for lesson in ("06_semaphores", "07_rate_limits"):
            write_notebook(tmp_path / folder / f"{lesson}.ipynb", "raise YourTurn", "check()")
    module = start_script(tmp_path)
    module.lay_out()
    return module


def kept(start: Any, folder: str = "exercises") -> dict[str, list[str]]:
    return {path.name: sources(path) for path in sorted((start.MY / folder).glob("*.mine-*.ipynb"))}


# --- reset ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["06", "6", " 06 ", "06_semaphores"])
def test_a_lesson_has_three_names(start: Any, which: str) -> None:
    assert find(which, start.ROOT / "exercises").name == "06_semaphores.ipynb"


@pytest.mark.parametrize(
    "which", ["", "8", "006", "-6", "²", "06_sema", "06_semaphores.ipynb", "../06_semaphores", "*"]
)
def test_anything_else_is_refused_in_one_sentence(start: Any, which: str) -> None:
    with pytest.raises(CannotReset, match=r"is no lesson: say its number \(from 06 to 07\) or its notebook's name"):
        reset(which, course=start.ROOT)


def test_one_exercise_is_not_reset_by_itself(start: Any) -> None:
    with pytest.raises(CannotReset, match=r"^One exercise cannot be .*: `awaitsee reset 06` resets its lesson's\.$"):
        reset("06.1", course=start.ROOT)


def test_what_was_written_is_kept_and_a_fresh_copy_is_laid_out(start: Any, capsys: pytest.CaptureFixture[str]) -> None:
    edit(start.MY / SHEET, "return 42")
    said = reset("06", course=start.ROOT)
    copy = f"06_semaphores.mine-{datetime.date.today()}.ipynb"
    assert said == f"my/{SHEET} is fresh again. What you had is beside it: {copy}.\n{RELOAD}"
    assert kept(start) == {copy: ["return 42", "check()"]}
    fresh = json.loads((start.MY / SHEET).read_text(encoding="utf-8"))
    assert sources(start.MY / SHEET) == ["raise YourTurn", "check()"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in fresh["cells"]] == [([], None)] * 2
    assert not kept(start, "notebooks")

    before = {path: path.stat().st_mtime_ns for path in start.MY.rglob("*")}
    start.lay_out()
    assert {path: path.stat().st_mtime_ns for path in start.MY.rglob("*")} == before, (
        "the next `make lab` changes nothing"
    )
    assert capsys.readouterr().out == ""


def test_each_version_is_kept_and_none_twice(start: Any) -> None:
    for written in ("one", "two", "three", "two"):
        edit(start.MY / SHEET, written)
        reset("06", course=start.ROOT)
    assert {name: first for name, (first, _) in kept(start).items()} == {
        f"06_semaphores.mine-{datetime.date.today()}.ipynb": "one",
        f"06_semaphores.mine-{datetime.date.today()}-2.ipynb": "two",
        f"06_semaphores.mine-{datetime.date.today()}-3.ipynb": "three",
    }


def test_what_was_only_run_is_not_kept(start: Any) -> None:
    shutil.copy(start.ROOT / SHEET, start.MY / SHEET)
    assert "You had written nothing in it, so nothing was kept." in reset("06", course=start.ROOT)
    assert not kept(start)
    assert not start.has_outputs(json.loads((start.MY / SHEET).read_text(encoding="utf-8")))


def test_a_damaged_notebook_is_kept_byte_by_byte(start: Any) -> None:
    (start.MY / SHEET).write_bytes(b"\xff{ half")
    reset("06", course=start.ROOT)
    assert (start.MY / f"exercises/06_semaphores.mine-{datetime.date.today()}.ipynb").read_bytes() == b"\xff{ half"
    assert sources(start.MY / SHEET) == ["raise YourTurn", "check()"]


def test_the_lessons_notebook_or_a_missing_file(start: Any) -> None:
    lesson = start.MY / "notebooks/06_semaphores.ipynb"
    edit(lesson, "mine")
    assert "my/notebooks/06_semaphores.ipynb is fresh again" in reset("6", lesson=True, course=start.ROOT)
    assert list(kept(start, "notebooks").values()) == [["mine", "check()"]]
    (start.MY / SHEET).unlink()
    assert reset("6", course=start.ROOT) == f"my/{SHEET} was not there; it is laid out now."
    assert not kept(start)


def test_a_reset_settles_a_version_that_lies_beside(start: Any, capsys: pytest.CaptureFixture[str]) -> None:
    edit(start.MY / SHEET, "mine")
    write_notebook(start.ROOT / SHEET, "better")
    start.lay_out()
    assert "is yours and stays" in capsys.readouterr().out
    reset("06", course=start.ROOT)
    assert sources(start.MY / SHEET) == ["better"]
    write_notebook(start.ROOT / SHEET, "still better")
    start.lay_out()
    assert sources(start.MY / SHEET) == ["still better"], "a fresh copy follows the course"
    assert capsys.readouterr().out == ""
    assert list(kept(start).values()) == [["mine", "check()"]]


@pytest.mark.parametrize("failing", ["mkstemp", "replace"])
def test_a_failed_reset_changes_nothing(start: Any, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    edit(start.MY / SHEET, "mine")
    home = start.tempfile if failing == "mkstemp" else start.os

    def fail(*arguments: object, **options: object) -> None:
        monkeypatch.undo()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(home, failing, fail)
    with pytest.raises(CannotReset, match=r"^my/exercises/06_semaphores\.ipynb cannot be laid out \(No space left"):
        reset("06", course=start.ROOT)
    assert sources(start.MY / SHEET) == ["mine", "check()"]
    assert not kept(start)


def test_a_damaged_course_is_told(start: Any) -> None:
    (start.ROOT / SHEET).write_text("<<<<<<< HEAD", encoding="utf-8")
    with pytest.raises(CannotReset, match=f"^{SHEET} cannot be read as a notebook: get it again"):
        reset("06", course=start.ROOT)


def test_the_command_tells_and_refuses(start: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    defaults = reset.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "course", start.ROOT)
    edit(start.MY / "notebooks/06_semaphores.ipynb", "mine")
    done = CliRunner().invoke(app, ["reset", "6", "--lesson"])
    assert done.exit_code == 0
    assert done.output.startswith("my/notebooks/06_semaphores.ipynb is fresh again. What you had is beside it: ")
    refused = CliRunner().invoke(app, ["reset", "99"])
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("'99' is no lesson: ")
    monkeypatch.setitem(defaults, "course", tmp_path / "elsewhere")
    alone = CliRunner().invoke(app, ["reset", "6"])
    assert (alone.exit_code, alone.stderr.count("\n")) == (1, 1)
    assert alone.stderr.startswith("The course is not here, only its package: ")


# --- doctor --------------------------------------------------------------------------------------


def test_server_kernel_and_disk_of_this_very_environment() -> None:
    pytest.importorskip("ipykernel")
    assert str(checkup.practice_server()).startswith("ok  the practice server starts and answers (")
    assert str(checkup.kernel()).startswith("ok  a kernel starts and loads the course's extension (")
    assert checkup.disk().well
    assert checkup.real_model().well, "it is optional"
    assert checkup.course().sentence == f"the course is in {overview.COURSE}"


@pytest.mark.skipif(not POSIX, reason="uses a shell script as a Python")
def test_what_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("ipykernel")
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'No module named ipykernel' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    repair = doctor.REPAIR
    assert str(checkup.kernel()) == f"NO  no kernel starts: No module named ipykernel. {repair}"
    server = str(checkup.practice_server())
    assert server.startswith(f"NO  The practice server could not start: No module named ipykernel. {repair}")


def test_python_and_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    expected = "NO  Python 3.14 is not a tested one (3.11 to 3.13). Install Python 3.13, then run `make lab`."
    assert str(checkup.python()) == expected
    monkeypatch.undo()
    wrong = tmp_path / "requirements.txt"
    wrong.write_text('pytest==0.1\nno-such-package==1\ntyper==0 ; sys_platform == "never"\n', encoding="utf-8")
    monkeypatch.setattr(doctor.package_complaints, "__defaults__", (wrong,))
    assert (
        str(checkup.packages()) == f"NO  pytest is {pytest.__version__}: 0.1 was tested (and 1 more). {doctor.REPAIR}"
    )
    wrong.write_text(f"pytest=={pytest.__version__}\n", encoding="utf-8")
    assert checkup.packages().well
    wrong.unlink()
    assert "not a checkout" in str(checkup.packages())


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=1e8))
    assert str(checkup.disk()).startswith("NO  0.1 GB are free in ")


def test_the_learners_copy_can_be_written_to(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(checkup.learners_copy(start.ROOT)) == "ok  my/ can be written to"
    assert not list(start.MY.glob(".doctor-*"))
    theirs = start.MY / SHEET
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != theirs)
    assert str(checkup.learners_copy(start.ROOT)).startswith(f"NO  my/{SHEET} cannot be written to: ")
    shutil.rmtree(start.MY)
    assert str(checkup.learners_copy(start.ROOT)).startswith("NO  my/ is not there yet: `make lab`")


@pytest.mark.skipif(not POSIX or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(start: Any) -> None:
    start.MY.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert str(checkup.learners_copy(start.ROOT)).startswith("NO  my/ cannot be written to (Permission denied): ")
    finally:
        start.MY.chmod(stat.S_IRWXU)


def test_ports(start: Any) -> None:
    script = start.ROOT / "start.py"
    code = script.read_text(encoding="utf-8")
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        number = busy.getsockname()[1]
        script.write_text(code.replace("\nPORT = 8888\n", f"\nPORT = {number}\n"), encoding="utf-8")
        assert str(checkup.port(start.ROOT)).startswith(f"ok  port {number} is taken (by another JupyterLab?), so ")
    script.write_text(f"{code.partition('if __name__')[0]}\n\ndef taken(port):\n    return True\n", encoding="utf-8")
    assert str(checkup.port(start.ROOT)).startswith("NO  the ports 8888 to 8987 are all taken: choose one")


def test_a_check_that_fails_is_a_finding_and_the_others_go_on() -> None:
    def fail() -> Finding:
        raise ImportError("No module named 'aiohttp'.")

    found = list(checkup.findings({"the kernel": fail, "the rest": lambda: Finding(True, "well")}))
    assert str(found[0]) == f"NO  the kernel could not be checked: No module named 'aiohttp'. {doctor.REPAIR}"
    assert str(found[1]) == "ok  well"


def test_without_a_course_the_doctor_says_so_and_ends(tmp_path: Path) -> None:
    with pytest.raises(NoCourse):
        start_script(tmp_path)
    (tmp_path / "start.py").write_text("raise SystemExit('somebody else')")
    found = list(checkup.findings({"the course": lambda: checkup.course(tmp_path), "more": checkup.python}))
    assert [finding.well for finding in found] == [False]


@pytest.mark.parametrize(
    ("wrong", "code", "last"),
    [
        (0, 0, "Everything that a lesson needs is here."),
        (1, 1, "One thing is not as it should be."),
        (2, 1, "2 things are not as they should be."),
    ],
)
def test_the_command_tells_each_thing_on_a_line(
    monkeypatch: pytest.MonkeyPatch, wrong: int, code: int, last: str
) -> None:
    checks = {str(number): lambda number=number: Finding(number >= wrong, "a thing") for number in range(3)}
    monkeypatch.setattr(checkup.findings, "__defaults__", (checks,))
    ran = CliRunner().invoke(app, ["doctor"])
    assert ran.exit_code == code
    assert ran.output.splitlines() == ["NO  a thing"] * wrong + ["ok  a thing"] * (3 - wrong) + [last]


def noting(ran: list[list[str]]) -> Callable[[list[str], Any], int]:
    """Return a stand-in for start.py's `run` that notes what it is given, and succeeds."""

    def run(command: list[str], environment: Any) -> int:
        ran.append(command)
        return 0

    return run


@pytest.fixture
def diagnosing(start: Any, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """start.py with this Python as its .venv; holds what it ran. A set-up fails the test."""
    ran: list[list[str]] = []
    monkeypatch.setattr(start, "set_up", lambda: pytest.fail("something was installed"))
    monkeypatch.setattr(start, "venv_python", lambda: Path(sys.executable))
    monkeypatch.setattr(start, "run", noting(ran))
    return ran


def test_start_py_runs_the_doctor_and_installs_nothing(
    start: Any, diagnosing: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    start.write_atomically(start.STAMP, json.dumps(start.stamp_for(start.venv_version())))
    assert start.main(["doctor"]) == 0
    assert capsys.readouterr().out == ""
    start.STAMP.unlink()
    assert start.main(["doctor"]) == 1
    assert capsys.readouterr().out.startswith(
        "NO  .venv is not what the course's lists of packages say now: `make lab`"
    )
    assert diagnosing == [["-m", "awaitsee", "doctor"]] * 2


def test_start_py_without_an_environment_says_how_to_get_one(
    start: Any, diagnosing: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(start, "venv_python", lambda: start.VENV / "bin" / "python")
    monkeypatch.setattr(start, "free_gb", lambda folder=None: 10.0)
    assert start.main(["doctor"]) == 1
    assert capsys.readouterr().err.startswith("NO  The course is not set up here, or only in part: `make lab`")
    monkeypatch.setattr(start, "free_gb", lambda folder=None: 1.0)
    assert start.main(["doctor"]) == 1
    assert capsys.readouterr().err.startswith("The disk is full: ")
    assert diagnosing == []


@pytest.mark.parametrize("command", [["progress"], ["reset", "06", "--lesson"]])
def test_start_py_hands_the_learners_commands_on(
    start: Any, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(start, "set_up", lambda: None)
    monkeypatch.setattr(start, "run", noting(ran))
    assert start.main(command) == 0
    assert ran == [["-m", "awaitsee", *command]]


def test_the_command_line_loads_nothing_heavy() -> None:
    code = "import sys, awaitsee.cli; print({'aiohttp', 'matplotlib', 'IPython'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT).strip() == "set()"


# --- without an argument, and the practice server ------------------------------------------------


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("reset", "Name a lesson, such as 06 or 06_semaphores."),
        ("check", "Name the folder of submitted notebooks, such as handed_in."),
    ],
)
def test_a_command_without_its_argument_is_one_sentence(command: str, sentence: str) -> None:
    told = CliRunner().invoke(app, [command])
    assert (told.exit_code, told.stderr.strip(), told.stdout) == (1, sentence, "")


@pytest.mark.skipif(not POSIX, reason="presses Ctrl-C as a terminal does")
def test_the_practice_server_serves_a_program_until_it_is_stopped() -> None:
    command = [sys.executable, "-m", "awaitsee", "serve", "--latency", "0.01"]
    group: dict[str, Any] = {"start_new_session": True} if POSIX else {}
    with subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": str(ROOT), "AWAITSEE_PROVIDER": "openai"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **group,
    ) as served:
        assert served.stdout
        variables = {}
        for line in iter(served.stdout.readline, ""):
            if found := re.fullmatch(r"  export (\w+)=(.*)\n", line):
                variables[found[1]] = found[2]
            if line.startswith("Ctrl-C"):
                break
        question = {"model": variables["AWAITSEE_MODEL"], "messages": [{"role": "user", "content": "What is a task?"}]}
        request = urllib.request.Request(
            variables["OPENAI_BASE_URL"] + "/chat/completions",
            json.dumps(question).encode(),
            {"Authorization": f"Bearer {variables['OPENAI_API_KEY']}", "Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as reply:
            assert "task" in json.load(reply)["choices"][0]["message"]["content"].lower()
        # As Ctrl-C in a terminal reaches the whole group.
        os.killpg(served.pid, signal.SIGINT)
        rest = served.stdout.read()
    assert re.search(r"1 requests, \d+ tokens in, \d+ tokens out, .*, at most 1 in flight\.", rest), rest
    assert served.returncode == 0


def test_the_practice_server_refuses_what_makes_no_sense() -> None:
    told = CliRunner().invoke(app, ["serve", "--latency", "-1"])
    assert told.exit_code == 1
    assert "latency" in told.stderr
