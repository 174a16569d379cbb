"""start.py: which Python, the environment and what breaks it, the learner's copy, JupyterLab, the list of checks.

Each test loads its own copy of start.py from a folder of its own, so that nothing here touches the real .venv or my/.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.failed_list import alone

ROOT = Path(__file__).resolve().parent.parent
POSIX = os.name == "posix"
OLD_PYTHONS = ("3.6", "3.7", "3.8", "3.9", "3.10")


def load(folder: Path) -> Any:
    """The module start.py, at home in `folder`."""
    for name in ("start.py", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    spec = importlib.util.spec_from_file_location("start_copy", folder / "start.py")
    assert spec is not None and spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def start(tmp_path: Path) -> Any:
    folder = tmp_path / "course"
    folder.mkdir()
    module = load(folder.resolve())
    module.NEEDED_GB = 1e9  # a test that got as far as a real installation by mistake ends there
    return module


def bare_environment(**changes: str) -> dict[str, str]:
    """This process's variables, without those that steer start.py or pip."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWAITSEE_", "PIP_", "JUPYTER_"))}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, **changes}


# --- Which Python --------------------------------------------------------------------------------


def test_an_old_python_can_read_the_file() -> None:
    tree = ast.parse((ROOT / "start.py").read_text(encoding="utf-8"), feature_version=(3, 6))
    for node in ast.walk(tree):
        annotations = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        for annotation in annotations:
            assert annotation is None or isinstance(annotation, ast.Constant | ast.Name | ast.Attribute), (
                f"line {annotation.lineno}: old Pythons evaluate this annotation: put it in quotes"
            )


def test_only_the_standard_library_is_imported() -> None:
    tree = ast.parse((ROOT / "start.py").read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= set(sys.stdlib_module_names)


@cache
def interpreter(version: str) -> str:
    """The path of a Python of some version, on PATH or where pyenv keeps it; empty if there is none that runs."""
    candidates = [shutil.which(f"python{version}"), *Path.home().glob(f".pyenv/versions/{version}.*/bin/python")]
    for candidate in candidates:
        if candidate:
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                code = "import sys; print('%d.%d' % sys.version_info[:2])"
                if (
                    subprocess.check_output([candidate, "-c", code], stderr=subprocess.DEVNULL, text=True).strip()
                    == version
                ):
                    return str(candidate)
    return ""


@pytest.mark.parametrize("version", OLD_PYTHONS)
def test_real_old_python_says_what_is_needed(start: Any, version: str) -> None:
    python = interpreter(version)
    if not python:
        pytest.skip(f"no Python {version} on this machine")
    command = [python, str(start.ROOT / "start.py"), "lab"]
    ended = subprocess.run(command, env=bare_environment(PATH=""), capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.strip() == (
        f"This is Python {version}, and the course needs 3.11 to 3.13: install Python 3.13 from python.org or with "
        "your system's package manager, and run this again."
    )


@pytest.mark.skipif(not POSIX, reason="uses a shell script as a Python")
def test_old_python_goes_on_in_a_fitting_one(start: Any, tmp_path: Path) -> None:
    python = next(filter(None, map(interpreter, OLD_PYTHONS)), "")
    if not python:
        pytest.skip("no Python older than 3.11 on this machine")
    version = start.dotted(sys.version_info[:2])
    (tmp_path / "broken").mkdir()
    (tmp_path / "good").mkdir()
    for folder, action in (("broken", "exit 127"), ("good", f'exec "{sys.executable}" "$@"')):
        script = tmp_path / folder / f"python{version}"
        script.write_text(f"#!/bin/sh\n{action}\n")
        script.chmod(0o755)
    path = f"{tmp_path / 'broken'}{os.pathsep}{tmp_path / 'good'}"
    command = [python, str(start.ROOT / "start.py"), "bench", "no-such"]
    ended = subprocess.run(command, env=bare_environment(PATH=path), capture_output=True, text=True)
    assert f"going on with {tmp_path / 'good'}/python{version}." in ended.stdout
    assert ended.stderr.strip() == "No such benchmark: there are none yet."


@pytest.mark.parametrize(
    ("version", "bits", "reason"),
    [
        ((3, 10), 64, "This is Python 3.10, and the course needs 3.11 to 3.13"),
        ((3, 14), 64, "This is Python 3.14, newer than the tested 3.11 to 3.13"),
        ((3, 12), 32, "This is a 32-bit Python 3.12, and PyTorch needs a 64-bit one"),
        ((3, 11), 64, ""),
        ((3, 13), 64, ""),
    ],
)
def test_which_python_fits(start: Any, version: tuple[int, int], bits: int, reason: str) -> None:
    assert start.misfit(version, bits) == reason


def test_newer_python_may_try_if_told_to(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "NEWEST", (3, 10))
    monkeypatch.setattr(start, "OLDEST", (3, 10))
    monkeypatch.setattr(start, "other_python", lambda: [])
    monkeypatch.delenv("AWAITSEE_ANY_PYTHON", raising=False)
    with pytest.raises(start.Stop, match=r"newer than the tested .* \(or set AWAITSEE_ANY_PYTHON=1 to try"):
        start.ensure_python(["lab"])
    monkeypatch.setenv("AWAITSEE_ANY_PYTHON", "1")
    assert start.ensure_python(["lab"]) is None


def test_a_python_is_handed_over_to_once_only(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a wrapper on PATH claims to be, two Pythons do not call each other for ever."""
    monkeypatch.setattr(start, "NEWEST", (3, 10))
    monkeypatch.setattr(start, "other_python", lambda: pytest.fail("looked for another Python again"))
    monkeypatch.setenv("AWAITSEE_HANDED_OVER", "1")
    with pytest.raises(start.Stop):
        start.ensure_python(["lab"])


# --- The environment -----------------------------------------------------------------------------


@pytest.fixture
def installs(start: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Counts installations in place of doing them."""
    done: list[str] = []
    monkeypatch.setattr(start, "install", lambda: done.append("installed"))
    monkeypatch.setattr(start, "NEEDED_GB", 0.0)
    return done


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real .venv without pip, made once for all tests."""
    folder = tmp_path_factory.mktemp("pattern") / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder


def make_small_venv(start: Any, pattern: Path) -> None:
    """A copy of a real .venv without pip, and something that answers for pip."""
    shutil.copytree(pattern, start.VENV, symlinks=True)
    config = start.VENV / "pyvenv.cfg"
    config.write_text(config.read_text().replace(str(pattern), str(start.VENV)))
    pip = start.site_packages() / "pip"
    pip.mkdir()
    (pip / "__init__.py").write_text('__version__ = "0"\n')


@pytest.fixture
def small_venv(start: Any, pattern: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Makes a small .venv where a whole one would be made, and counts how often."""
    made: list[str] = []

    def make() -> None:
        made.append("made")
        start.remove_venv()
        make_small_venv(start, pattern)

    monkeypatch.setattr(start, "make_venv", make)
    return made


def test_second_run_starts_no_pip(
    start: Any, installs: list[str], small_venv: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start.set_up()
    assert (small_venv, installs) == (["made"], ["installed"])
    started = []
    real = subprocess.Popen

    class Counting(real):  # type: ignore[misc, valid-type]
        def __init__(self, command: Any, *args: Any, **options: Any) -> None:
            started.append(command)
            super().__init__(command, *args, **options)

    monkeypatch.setattr(subprocess, "Popen", Counting)
    start.set_up()
    assert (small_venv, installs) == (["made"], ["installed"])
    assert len(started) == 1, "only .venv's Python is asked whether it runs"
    assert "pip" not in str(started[0][1:])


def test_changed_list_updates_in_place(start: Any, installs: list[str], small_venv: list[str]) -> None:
    start.set_up()
    start.REQUIREMENTS.write_text(start.REQUIREMENTS.read_text(encoding="utf-8") + "more==1\n", encoding="utf-8")
    start.set_up()
    start.set_up()
    assert (small_venv, installs) == (["made"], ["installed"] * 2)


def test_line_ends_and_tool_settings_do_not_matter(start: Any, installs: list[str], small_venv: list[str]) -> None:
    start.set_up()
    start.REQUIREMENTS.write_bytes(start.REQUIREMENTS.read_bytes().replace(b"\n", b"\r\n"))
    with open(start.PROJECT, "a", encoding="utf-8") as project:
        project.write('[tool.another]\nsetting = "new"\n')
    start.set_up()
    assert installs == ["installed"]


def test_interrupted_installation_is_done_again(
    start: Any, installs: list[str], small_venv: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as during:
        during.setattr(start, "install", interrupted)
        with pytest.raises(KeyboardInterrupt):
            start.set_up()
    assert not start.STAMP.exists()
    start.set_up()
    assert (small_venv, installs) == (["made"], ["installed"])
    assert start.STAMP.exists()


def test_interrupted_update_is_done_again(
    start: Any, installs: list[str], small_venv: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start.set_up()
    text = start.PROJECT.read_text(encoding="utf-8")
    start.PROJECT.write_text(text.replace('name = "awaitsee"', 'name = "renamed"'), encoding="utf-8")
    with monkeypatch.context() as during:
        during.setattr(start, "install", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            start.set_up()
    assert not start.STAMP.exists(), "the old stamp must not stand for the half-made update"
    start.set_up()
    assert len(installs) == 2


def test_damaged_project_file_is_named(start: Any, capsys: pytest.CaptureFixture[str]) -> None:
    start.PROJECT.write_text("<<<<<<< HEAD\n", encoding="utf-8")
    assert start.main(["setup"]) == 1
    assert capsys.readouterr().err.startswith("pyproject.toml cannot be read (")


def break_python(start: Any) -> None:
    start.venv_python().unlink()


def break_pip(start: Any) -> None:
    start.STAMP.unlink()
    shutil.rmtree(start.site_packages() / "pip")


def move(start: Any) -> None:
    stamp = json.loads(start.STAMP.read_text(encoding="utf-8"))
    start.STAMP.write_text(json.dumps({**stamp, "folder": "/elsewhere/course"}), encoding="utf-8")


def move_half_made(start: Any) -> None:
    start.STAMP.unlink()
    config = start.VENV / "pyvenv.cfg"
    config.write_text(config.read_text().replace(str(start.VENV), "/elsewhere/course/.venv"))


def change_python(start: Any) -> None:
    stamp = json.loads(start.STAMP.read_text(encoding="utf-8"))
    start.STAMP.write_text(json.dumps({**stamp, "python": "3.9"}), encoding="utf-8")


@pytest.mark.parametrize("damage", [break_python, break_pip, move, move_half_made, change_python])
def test_unusable_environment_is_made_anew(start: Any, installs: list[str], small_venv: list[str], damage: Any) -> None:
    start.set_up()
    (start.VENV / "left-over").touch()
    damage(start)
    start.set_up()
    assert (small_venv, installs) == (["made"] * 2, ["installed"] * 2)
    assert not (start.VENV / "left-over").exists()
    start.set_up()
    assert len(installs) == 2


def test_environment_made_by_hand_is_taken_over(
    start: Any, installs: list[str], small_venv: list[str], pattern: Path
) -> None:
    make_small_venv(start, pattern)
    start.set_up()
    assert (small_venv, installs) == ([], ["installed"])


def write_package(site: Path, name: str) -> Path:
    """An installed package as pip leaves it. Returns its dist-info folder."""
    info = site / f"{name}-1.dist-info"
    info.mkdir(parents=True)
    (site / f"{name}.py").write_text("x = 1\n")
    (info / "INSTALLER").write_text("pip\n")
    record = f"{name}.py,sha256=any,6\n__pycache__/{name}.cpython-311.pyc,,\n{name}-1.dist-info/RECORD,,\n"
    (info / "RECORD").write_text(record)
    return info


def test_half_written_packages_are_forgotten(start: Any) -> None:
    site = start.VENV / ("Lib/site-packages" if not POSIX else "lib/python3.11/site-packages")
    good, cut, lost, unfinished = (write_package(site, name) for name in ("good", "cut", "lost", "unfinished"))
    (site / "cut.py").write_text("x")
    (site / "lost.py").unlink()
    (unfinished / "INSTALLER").unlink()
    (site / "~ood").mkdir()
    start.forget_broken_packages()
    assert [path.exists() for path in (good, cut, lost, unfinished, site / "~ood")] == [
        True,
        False,
        False,
        False,
        False,
    ]


HOLD = """\
import importlib.util, sys
spec = importlib.util.spec_from_file_location("start", sys.argv[1])
start = importlib.util.module_from_spec(spec)
spec.loader.exec_module(start)
with start.locked():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_lock_waits_for_a_living_set_up_and_outlives_no_dead_one(
    start: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-c", HOLD, str(start.ROOT / "start.py")]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    handle = os.open(start.STATE / "setup.lock", os.O_RDWR)
    try:
        assert not start.try_lock(handle)
        holder.kill()
        holder.communicate()
    finally:
        os.close(handle)
    with start.locked():
        pass
    assert capsys.readouterr().out == ""


def test_lock_says_that_it_waits(
    start: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([False, False, True])
    monkeypatch.setattr(start, "try_lock", lambda handle: next(answers))
    with start.locked():
        pass
    assert capsys.readouterr().out == "Another set-up of this folder is at work: waiting for it to end.\n"


# --- What pip says -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "The disk is full"),
        ("OSError: [WinError 112] There is not enough space on the disk", "The disk is full"),
        (
            "WARNING: Retrying (Retry(total=4)) after connection broken by 'SSLError(SSLCertVerificationError(1, "
            "'[SSL: CERTIFICATE_VERIFY_FAILED]'))'\nERROR: No matching distribution found for aiohttp==1",
            "The package index's certificate was not accepted",
        ),
        ("after connection broken by 'ProxyError('Cannot connect to proxy.'", "The proxy does not let pip through"),
        (
            "after connection broken by 'NewConnectionError(<...>: [Errno -3] Temporary failure in name resolution)'\n"
            "ERROR: No matching distribution found for aiohttp==1",
            "The package index cannot be reached",
        ),
        ('ReadTimeoutError("HTTPSConnectionPool: Read timed out.")', "The package index cannot be reached"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "A package arrived damaged"),
        ("ERROR: No matching distribution found for torch==2.13.0", "There is no torch==2.13.0 for Python"),
        ("ERROR: ResolutionImpossible: for help visit", "The pinned versions contradict one another"),
        ("ERROR: [Errno 13] Permission denied: '/x'", "pip may not write into .venv"),
        ("PermissionError: [WinError 32] The process cannot access the file", "pip may not write into .venv"),
    ],
)
def test_failure_is_told_in_one_sentence(start: Any, said: str, sentence: str) -> None:
    told = start.why_pip_failed(said)
    assert told.startswith(sentence)
    assert "\n" not in told
    assert told.endswith((".", ")"))


def test_unknown_failure_shows_the_last_words(start: Any) -> None:
    told = start.why_pip_failed("".join(f"line {number}\n\n" for number in range(20)))
    assert told.splitlines()[1:] == [f"line {number}" for number in range(15, 20)]


def test_full_disk_is_seen_before_anything_is_made(
    start: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(start, "NEEDED_GB", 3.0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0.4e9))
    assert start.main(["setup"]) == 1
    assert capsys.readouterr().err == (
        "The disk is full: the installation needs about 3 GB and 0.4 GB are free on this disk; make room and run this "
        "again.\n"
    )
    assert not start.VENV.exists()


def test_disk_that_fills_up_while_writing_is_told_the_same(
    start: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(start, "set_up", full)
    assert start.main(["setup"]) == 1
    assert capsys.readouterr().err.startswith("The disk is full:")


def own_pip(start: Any, monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    """Let the copy run the pip of the Python that runs the tests, cut off from the network."""
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    variables = {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "1", "NO_PROXY": "127.0.0.1", **variables}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    start.VENV.mkdir()
    monkeypatch.setattr(start, "venv_python", lambda: Path(sys.executable))
    monkeypatch.setattr(start, "torch_index", lambda: "")
    start.REQUIREMENTS.write_text("torch==2.13.0\nawaitsee-no-such-package==1\n", encoding="utf-8")


def test_no_network(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    own_pip(start, monkeypatch, PIP_INDEX_URL=f"http://127.0.0.1:{port}/simple")
    start.REQUIREMENTS.write_text("awaitsee-no-such-package==1\ntorch==2.13.0\n", encoding="utf-8")
    with pytest.raises(start.Stop, match=r"^The package index cannot be reached: connect .*install\.log\)$"):
        start.install()
    assert "Retrying" in start.LOG.read_text(encoding="utf-8")


def test_package_missing_from_wheels(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own_pip(start, monkeypatch)
    start.WHEELS.mkdir()
    start.REQUIREMENTS.write_text("awaitsee-no-such-package==1\ntorch==2.13.0\n", encoding="utf-8")
    with pytest.raises(start.Stop, match=r"^The folder wheels/ has no awaitsee-no-such-package==1 for this Python"):
        start.install()


def test_no_venv_module(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def refuse(command: list[str], **options: Any) -> Any:
        tried.append(command[command.index("-m") + 1])
        return SimpleNamespace(
            returncode=1, stdout=b"The virtual environment was not created: ensurepip is not available"
        )

    monkeypatch.setattr(subprocess, "run", refuse)
    with pytest.raises(
        start.Stop, match=r"install its venv module \(Debian and Ubuntu: apt install python3\.\d+-venv;"
    ):
        start.make_venv()
    assert tried == ["venv", "virtualenv", "venv"]


def test_unreachable_index_answers_no_in_time(start: Any) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert not start.answers(f"http://127.0.0.1:{silent.getsockname()[1]}/", seconds=0.3)


@pytest.mark.parametrize(
    ("platform", "variables", "reachable", "index"),
    [
        ("linux", {}, True, "https://download.pytorch.org/whl/cpu"),
        ("linux", {}, False, ""),
        ("darwin", {}, True, ""),
        ("linux", {"AWAITSEE_TORCH_INDEX": "http://mirror/"}, False, "http://mirror/"),
        ("win32", {"AWAITSEE_TORCH_INDEX": "http://mirror/"}, False, "http://mirror/"),
        ("linux", {"PIP_NO_INDEX": "1"}, True, ""),
    ],
)
def test_where_torch_is_taken_from(
    start: Any,
    monkeypatch: pytest.MonkeyPatch,
    platform: str,
    variables: dict[str, str],
    reachable: bool,
    index: str,
) -> None:
    for name in ("AWAITSEE_TORCH_INDEX", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(start, "answers", lambda address: reachable)
    assert start.torch_index() == index


def test_variables_that_lead_python_or_pip_away_are_dropped(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET"):
        monkeypatch.setenv(name, "elsewhere")
    assert "elsewhere" not in start.clean_environment().values()


# A build backend without setuptools, so that a whole set-up needs no package from anywhere. The first editable build
# waits as long as a file "hold-0" is there, the second for "hold-1": a set-up can be caught in the middle of pip.
BACKEND = """\
import os, time, zipfile

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    number = sum(name.startswith("building-") for name in os.listdir("."))
    open(f"building-{number}", "w").close()
    for _ in range(600):
        if not os.path.exists(f"hold-{number}"):
            break
        time.sleep(0.1)
    return write(wheel_directory, "awaitsee", "0")

def write(folder, name, version):
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(os.path.join(folder, f"{name}-{version}-py3-none-any.whl"), "w") as wheel:
        wheel.writestr(f"{name}.py", "x = 1\\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return f"{name}-{version}-py3-none-any.whl"
"""


@pytest.fixture
def small_course(start: Any) -> Any:
    """A course whose tested set is one empty wheel in wheels/, with a real pip and a real .venv."""
    root: Path = start.ROOT
    (root / "backend.py").write_text(BACKEND)
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "awaitsee"\nversion = "0"\n'
    )
    (root / "requirements.txt").write_text("torch==0.1\n")
    start.WHEELS.mkdir()
    code = "import sys, backend; backend.write(sys.argv[1], 'torch', '0.1')"
    subprocess.run([sys.executable, "-c", code, str(start.WHEELS)], cwd=root, check=True)
    write_notebook(root / "notebooks/00_start_here.ipynb", "print(1)")
    return start


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(not POSIX, reason="kills a process group as a terminal would")
def test_whole_set_up_killed_interrupted_and_mended(small_course: Any) -> None:
    root: Path = small_course.ROOT
    command = [sys.executable, "start.py", "setup"]
    environment = bare_environment()

    def begin() -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    (root / "hold-0").touch()
    (root / "hold-1").touch()
    killed = begin()
    wait_for(root / "building-0")
    killed.kill()  # start.py alone: its pip goes on, and holds the lock
    killed.communicate()
    assert not small_course.STAMP.exists()

    interrupted = begin()
    assert interrupted.stdout is not None
    assert interrupted.stdout.readline().startswith("Another set-up of this folder is at work")
    (root / "hold-0").unlink()
    assert interrupted.stdout.readline() == "Bringing .venv up to date.\n"
    wait_for(root / "building-1")
    os.killpg(interrupted.pid, signal.SIGINT)  # as Ctrl-C does
    said, _ = interrupted.communicate()
    assert interrupted.returncode == 130
    assert said.splitlines()[-1] == "Stopped; run the same command again and it goes on from here."
    assert "Traceback" not in said
    assert not small_course.STAMP.exists()

    # From here on as in an activated .venv, whose Python cannot mend its own environment and hands over.
    python = str(small_course.venv_python())
    for expected in (["Bringing .venv up to date."], []):
        ended = subprocess.run([python, *command[1:]], cwd=root, env=environment, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        assert [line for line in ended.stdout.splitlines() if line.startswith(("Bringing", "Making"))] == expected
        assert "Ready" in ended.stdout
        assert small_course.STAMP.exists()
    subprocess.run([python, "-c", "import torch, awaitsee"], check=True)


# --- The learner's copy --------------------------------------------------------------------------


def write_notebook(path: Path, *sources: str, outputs: bool = True, **metadata: Any) -> None:
    """A notebook of one cell for each source, executed."""
    shown = [{"output_type": "stream", "name": "stdout", "text": ["the answer\n"]}] if outputs else []
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {"execution": {"iopub.status.busy": "now"}, **metadata},
            "source": source.splitlines(keepends=True),
            "outputs": shown,
            "execution_count": number,
        }
        for number, source in enumerate(sources, 1)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(
        {"cells": cells, "metadata": {"kernelspec": {"name": "python3"}}, "nbformat": 4, "nbformat_minor": 5}
    )
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def course(start: Any) -> Any:
    """A course with two lessons and an exercise, laid out once."""
    write_notebook(start.ROOT / "notebooks/00_start_here.ipynb", "first()", "second()")
    write_notebook(start.ROOT / "notebooks/01_next.ipynb", "third()")
    write_notebook(start.ROOT / "exercises/00_start_here.ipynb", "raise YourTurn")
    start.lay_out()
    return start


LESSON = "notebooks/00_start_here.ipynb"
EXERCISE = "exercises/00_start_here.ipynb"


def sources(path: Path) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]


def files(start: Any) -> list[str]:
    return sorted(path.relative_to(start.MY).as_posix() for path in start.MY.rglob("*.ipynb"))


def edit(path: Path, source: str) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["cells"][0]["source"] = source
    path.write_text(json.dumps(notebook), encoding="utf-8")


def test_copy_has_everything_but_the_outputs(course: Any) -> None:
    assert files(course) == [EXERCISE, LESSON, "notebooks/01_next.ipynb"]
    notebook = json.loads((course.MY / LESSON).read_text(encoding="utf-8"))
    assert [cell["outputs"] for cell in notebook["cells"]] == [[], []]
    assert [cell["execution_count"] for cell in notebook["cells"]] == [None, None]
    assert [cell["id"] for cell in notebook["cells"]] == ["cell-1", "cell-2"]
    assert notebook["cells"][0]["metadata"] == {}
    assert notebook["metadata"] == {"kernelspec": {"name": "python3"}}
    assert "make lab" in (course.MY / "README.md").read_text(encoding="utf-8")


def test_laying_out_again_writes_nothing(course: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "write_atomically", lambda path, text: pytest.fail(f"{path} was written again"))
    course.lay_out()


def test_new_lesson_is_added(course: Any) -> None:
    write_notebook(course.ROOT / "notebooks/02_more.ipynb", "fourth()")
    course.lay_out()
    assert sources(course.MY / "notebooks/02_more.ipynb") == ["fourth()"]


def test_touched_notebook_stays_while_the_course_does(course: Any) -> None:
    edit(course.MY / EXERCISE, "return 42")
    before = (course.MY / EXERCISE).read_bytes()
    course.lay_out()
    assert (course.MY / EXERCISE).read_bytes() == before
    assert len(files(course)) == 3


def test_untouched_notebook_follows_the_course(course: Any, capsys: pytest.CaptureFixture[str]) -> None:
    write_notebook(course.ROOT / LESSON, "better()")
    course.lay_out()
    assert sources(course.MY / LESSON) == ["better()"]
    assert capsys.readouterr().out == ""


def test_notebook_that_was_only_run_keeps_its_outputs_until_the_course_changes(course: Any) -> None:
    write_notebook(course.MY / LESSON, "first()", "second()", collapsed=True)
    before = (course.MY / LESSON).read_bytes()
    course.lay_out()
    assert (course.MY / LESSON).read_bytes() == before
    write_notebook(course.ROOT / LESSON, "better()")
    course.lay_out()
    assert sources(course.MY / LESSON) == ["better()"]


def test_new_version_is_laid_beside_a_touched_notebook_once(course: Any, capsys: pytest.CaptureFixture[str]) -> None:
    edit(course.MY / EXERCISE, "return 42")
    write_notebook(course.ROOT / EXERCISE, "a better exercise")
    for _ in range(3):
        course.lay_out()
    (beside,) = (course.MY / "exercises").glob("*.new-*.ipynb")
    assert sources(course.MY / EXERCISE) == ["return 42"]
    assert sources(beside) == ["a better exercise"]
    told = f"my/{EXERCISE} is yours and stays; the course's new version is beside it: {beside.name}\n"
    assert capsys.readouterr().out == told

    beside.unlink()
    course.lay_out()
    assert len(files(course)) == 3, "what the learner threw away does not come back"

    write_notebook(course.ROOT / EXERCISE, "a third exercise")
    course.lay_out()
    (beside,) = (course.MY / "exercises").glob("*.new-*.ipynb")
    assert sources(beside) == ["a third exercise"]


def test_two_new_versions_on_one_day_do_not_overwrite_each_other(course: Any) -> None:
    edit(course.MY / EXERCISE, "return 42")
    for version in ("second", "third"):
        write_notebook(course.ROOT / EXERCISE, version)
        course.lay_out()
    assert {tuple(sources(path)) for path in (course.MY / "exercises").glob("*.new-*.ipynb")} == {
        ("second",),
        ("third",),
    }


def test_taking_the_new_version_over_settles_it(course: Any, capsys: pytest.CaptureFixture[str]) -> None:
    edit(course.MY / EXERCISE, "return 42")
    write_notebook(course.ROOT / EXERCISE, "better")
    course.lay_out()
    (beside,) = (course.MY / "exercises").glob("*.new-*.ipynb")
    beside.replace(course.MY / EXERCISE)
    write_notebook(course.ROOT / EXERCISE, "better still")
    capsys.readouterr()
    course.lay_out()
    assert sources(course.MY / EXERCISE) == ["better still"]
    assert capsys.readouterr().out == ""


def test_deleted_notebook_comes_back_fresh(course: Any) -> None:
    edit(course.MY / LESSON, "a mess")
    (course.MY / LESSON).unlink()
    course.lay_out()
    assert sources(course.MY / LESSON) == ["first()", "second()"]


@pytest.mark.parametrize("damage", ["", "{ half", "[]", '{"cells": [1]}'])
def test_file_that_is_no_notebook_is_the_learners(course: Any, damage: str) -> None:
    (course.MY / LESSON).write_text(damage, encoding="utf-8")
    write_notebook(course.ROOT / LESSON, "better()")
    course.lay_out()
    assert (course.MY / LESSON).read_text(encoding="utf-8") == damage
    assert len(files(course)) == 4


def test_lost_manifest_loses_nothing(course: Any) -> None:
    edit(course.MY / EXERCISE, "return 42")
    course.MANIFEST.unlink()
    course.lay_out()
    assert sources(course.MY / EXERCISE) == ["return 42"]
    assert len(files(course)) == 4, "the course's version is beside it, as nobody knows what was laid out"
    write_notebook(course.ROOT / LESSON, "better()")
    course.lay_out()
    assert sources(course.MY / LESSON) == ["better()"]


def test_renamed_lesson(course: Any, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = course.ROOT / "notebooks/01_next.ipynb", course.ROOT / "notebooks/02_later.ipynb"
    old.rename(new)
    course.lay_out()
    assert files(course) == [EXERCISE, LESSON, "notebooks/02_later.ipynb"]
    assert capsys.readouterr().out == ""

    edit(course.MY / "notebooks/02_later.ipynb", "mine")
    new.rename(old)
    course.lay_out()
    course.lay_out()
    assert files(course) == [EXERCISE, LESSON, "notebooks/01_next.ipynb", "notebooks/02_later.ipynb"]
    told = "my/notebooks/02_later.ipynb is no longer part of the course under this name; your copy stays.\n"
    assert capsys.readouterr().out == told


def test_course_that_is_not_built_takes_nothing_away(course: Any) -> None:
    shutil.rmtree(course.ROOT / "notebooks")
    course.lay_out()
    assert len(files(course)) == 3


def test_changed_tags_reach_an_unrun_copy(course: Any) -> None:
    write_notebook(course.ROOT / LESSON, "first()", "second()", tags=["raises-exception"])
    course.lay_out()
    notebook = json.loads((course.MY / LESSON).read_text(encoding="utf-8"))
    assert notebook["cells"][0]["metadata"] == {"tags": ["raises-exception"]}


GLOSSARY = "docs/glossary.md"


def write_page(start: Any, text: str) -> None:
    page = start.ROOT / GLOSSARY
    page.parent.mkdir(exist_ok=True)
    page.write_text(text, encoding="utf-8")
    start.lay_out()


def pages(start: Any) -> list[str]:
    return [
        path.read_text(encoding="utf-8")
        for path in sorted((start.MY / "docs").iterdir(), key=lambda path: len(path.name))
    ]


def test_pages_follow_the_course(course: Any) -> None:
    write_page(course, "first")
    assert pages(course) == ["first"]
    write_page(course, "second")
    assert pages(course) == ["second"]
    (course.MY / GLOSSARY).unlink()
    course.lay_out()
    assert pages(course) == ["second"]


def test_page_with_notes_stays_and_gets_the_new_one_beside_it_once(
    course: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    write_page(course, "first")
    (course.MY / GLOSSARY).write_text("first, and my notes", encoding="utf-8")
    course.lay_out()
    assert pages(course) == ["first, and my notes"]
    write_page(course, "second")
    assert pages(course) == ["first, and my notes", "second"]
    assert "my/docs/glossary.md is yours and stays" in capsys.readouterr().out
    course.lay_out()
    assert len(pages(course)) == 2


def test_pictures_of_lessons_follow_the_course(course: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "docs/images/picture.png"
    monkeypatch.setattr(course, "PICTURES", (name, "docs/images/not_there.png"))
    picture = course.ROOT / name
    picture.parent.mkdir(parents=True)
    for content in (b"\x89PNG\r\nfirst", b"\x89PNG\r\nsecond"):
        picture.write_bytes(content)
        course.lay_out()
        assert (course.MY / name).read_bytes() == content


def test_every_picture_of_a_lesson_is_laid_out(start: Any) -> None:
    shown = {
        f"docs/{found}"
        for lesson in (ROOT / "lessons").glob("*.md")
        for found in re.findall(r"\]\(\.\./docs/(images/[^)]+)\)", lesson.read_text(encoding="utf-8"))
    }
    assert shown == set(start.PICTURES)


def test_failed_write_leaves_the_old_file(course: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (course.MY / LESSON).read_bytes()
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        course.write_atomically(course.MY / LESSON, "half")
    assert (course.MY / LESSON).read_bytes() == before
    assert not list((course.MY / "notebooks").glob(".new-*"))


def test_damaged_course_notebook_is_named(course: Any) -> None:
    (course.ROOT / LESSON).write_text("<<<<<<< HEAD", encoding="utf-8")
    with pytest.raises(course.Stop, match=f"{LESSON} cannot be read as a notebook: get it again"):
        course.lay_out()


# --- JupyterLab ----------------------------------------------------------------------------------


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_taken_port(
    start: Any, busy_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(start.Stop, match=f"^Port {busy_port} is taken: give another one"):
        start.choose_port(busy_port)
    monkeypatch.setattr(start, "PORT", busy_port)
    port = start.choose_port(None)
    assert busy_port < port < busy_port + 100
    assert capsys.readouterr().out == f"Port {busy_port} is taken: using {port}.\n"


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_impossible_port(start: Any, port: int) -> None:
    with pytest.raises(start.Stop, match=f"{port} is no port"):
        start.choose_port(port)


def test_taken_port_is_told_before_the_installation(
    start: Any, busy_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(start, "set_up", lambda: pytest.fail("installed first"))
    assert start.main(["lab", "--port", str(busy_port)]) == 1
    assert (
        capsys.readouterr().err == f"Port {busy_port} is taken: give another one, or none to have a free one chosen.\n"
    )


def test_lab_without_the_first_lesson(
    start: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(start, "set_up", lambda: None)
    assert start.main(["lab"]) == 1
    assert capsys.readouterr().err.startswith("notebooks/00_start_here.ipynb is missing: get it again")


@pytest.mark.parametrize(
    ("platform", "variables", "root", "shown"),
    [
        ("linux", {"DISPLAY": ":0"}, False, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, False, True),
        ("linux", {"DISPLAY": ":0"}, True, False),
        ("linux", {}, False, False),
        ("linux", {"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "a b"}, False, False),
        ("darwin", {}, False, True),
        ("darwin", {"SSH_TTY": "/dev/ttys0"}, False, False),
        ("win32", {}, False, True),
        ("win32", {"CI": "true"}, False, False),
    ],
)
def test_when_a_browser_is_opened(
    start: Any, monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], root: bool, shown: bool
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION", "SSH_TTY", "CI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000, raising=False)
    assert start.can_show_browser() is shown


LAB = """\
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("start", "start.py")
start = importlib.util.module_from_spec(spec)
spec.loader.exec_module(start)
start.VENV = Path(sys.prefix)
start.venv_python = lambda: Path(sys.executable)
start.set_up = lambda: None
start.inside_own_venv = lambda: False
start.NEEDED_GB = 1e9
sys.exit(start.main(["lab", "--no-browser"]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not POSIX, reason="ends it with a signal, as Ctrl-C does")
def test_real_lab_runs_kernels_of_its_own_environment_and_ends_with_them(course: Any, tmp_path: Path) -> None:
    pytest.importorskip("jupyterlab")
    from jupyter_client.blocking.client import BlockingKernelClient

    home = tmp_path / "home"
    stray = {"argv": ["/no/such/python"], "display_name": "Stray", "language": "python"}
    for folder in (home / ".local/share/jupyter", home / "Library/Jupyter", tmp_path / "path"):
        (folder / "kernels/python3").mkdir(parents=True)
        (folder / "kernels/python3/kernel.json").write_text(json.dumps(stray))
    environment = bare_environment(
        HOME=str(home),
        JUPYTER_PATH=str(tmp_path / "path"),
        JUPYTER_RUNTIME_DIR=str(tmp_path / "run"),
        PYTHONPATH="/stray",
    )
    lab = subprocess.Popen(
        [sys.executable, "-c", LAB],
        cwd=course.ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert lab.stdout is not None
        line = lab.stdout.readline()
        while line and "Open this address" not in line:
            line = lab.stdout.readline()
        address = line.partition(": ")[2].strip()
        assert address.startswith("http://127.0.0.1:"), line
        base, token = address.partition("/lab/")[0], address.partition("token=")[2]
        assert len(token) > 30

        def ask(path: str, method: str = "GET", data: bytes | None = None) -> Any:
            headers = {"Authorization": f"token {token}"}
            with urllib.request.urlopen(urllib.request.Request(base + path, data, headers, method=method)) as reply:
                return json.load(reply)

        with urllib.request.urlopen(address) as page:
            assert page.status == 200
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{base}/api/contents")
        assert ask(f"/api/contents/{LESSON}")["type"] == "notebook"
        assert "Stray" not in json.dumps(ask("/api/kernelspecs"))

        kernel = ask("/api/kernels", "POST", b'{"name": "python3"}')["id"]
        client = BlockingKernelClient(connection_file=str(tmp_path / "run" / f"kernel-{kernel}.json"))
        client.load_connection_file()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        shown: list[str] = []
        client.execute_interactive(
            "import os, sys; print(sys.prefix, os.getpid(), os.getcwd(), 'stray' in str(sys.path))",
            output_hook=lambda message: shown.append(message["content"].get("text", "")),
            timeout=60,
        )
        client.stop_channels()
        prefix, pid, _, led_away = "".join(shown).split()
        assert (prefix, led_away) == (sys.prefix, "False")

        lab.send_signal(signal.SIGINT)
        said, _ = lab.communicate(timeout=60)
        assert lab.returncode == 0
        assert said.splitlines()[-1] == "Ending JupyterLab; what you saved is in my/."
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)
    finally:
        if lab.poll() is None:
            lab.terminate()
            lab.wait(30)


def test_lab_that_cannot_start_says_where_to_look(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    start.MY.mkdir()
    monkeypatch.setattr(start, "lab_command", lambda *arguments: [sys.executable, "-c", "print('broken'); exit(3)"])
    with pytest.raises(start.Stop, match=r"JupyterLab did not start: what it said is in .*jupyter-1\.log"):
        start.run_lab(1, browser=False)
    assert (start.STATE / "jupyter-1.log").read_text().strip() == "broken"


# --- The checks ----------------------------------------------------------------------------------


def test_checks_are_the_tests_and_every_lesson(start: Any) -> None:
    assert start.check_command([])[-1] == "tests"
    for folder in ("notebooks", "solutions", "my/notebooks"):
        write_notebook(start.ROOT / f"{folder}/00.ipynb", "x")
    command = start.check_command([])
    assert command[:2] == ["-m", "pytest"]
    assert command[-2:] == ["tests", "notebooks"], "the tests run the solutions"
    assert {"--nbval", "--nbval-current-env", "--nbval-cell-timeout=60", "loadfile"} <= set(command)


def test_options_are_handed_on_and_paths_choose(start: Any) -> None:
    write_notebook(start.ROOT / "notebooks/00.ipynb", "x")
    (start.ROOT / "tests").mkdir()
    (start.ROOT / "tests/test_a.py").touch()
    assert start.check_command(["-x"])[-3:] == ["-x", "tests", "notebooks"]
    assert start.check_command(["tests/test_a.py::test_b", "-x"])[-2:] == ["-x", "tests/test_a.py::test_b"]
    assert start.check_command(["notebooks/00.ipynb"])[-1] == "notebooks/00.ipynb"


@pytest.mark.parametrize(
    ("codes", "verdict"),
    [
        ([0, 0], 0),
        ([1, 0], 1),
        ([0, 2], 2),
        ([3, 1], 3),
    ],
)
def test_every_check_runs_and_the_first_failure_counts(
    start: Any, monkeypatch: pytest.MonkeyPatch, codes: list[int], verdict: int
) -> None:
    ran: list[int] = []

    def run(command: list[str], environment: dict[str, str]) -> int:
        ran.append(int(command[0]))
        return ran[-1]

    monkeypatch.setattr(start, "run", run)
    assert start.run_all([[str(code)] for code in codes], {}) == verdict
    assert ran == codes


def test_checks_see_nobodys_keys_settings_or_proxies(
    start: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    secret = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "AWAITSEE_PROVIDER", "OLLAMA_HOST", "HF_TOKEN")
    for name in (*secret, "LANGSMITH_API_KEY", "LANGSMITH_TRACING", "PYTEST_ADDOPTS", "JUPYTER_PATH", "PYTHONPATH"):
        monkeypatch.setenv(name, "theirs")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:1")
    monkeypatch.setattr(start, "venv_python", lambda: Path(sys.executable))
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    assert start.run_all([["-c", code]], start.check_environment(str(tmp_path))) == 0
    seen = json.loads(capfd.readouterr().out)
    assert "theirs" not in seen.values()
    assert not set(secret) & set(seen)
    assert (seen["LANGSMITH_TRACING"], seen["HF_HUB_OFFLINE"], seen["MPLBACKEND"]) == ("false", "1", "Agg")
    assert "127.0.0.1" in seen["NO_PROXY"].split(",")


def digest(folder: Path) -> str:
    content = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        content.update(str(path).encode() + (path.read_bytes() if path.is_file() else b""))
    return content.hexdigest()


def test_a_solved_exercise_does_not_change_the_verdict(
    course: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(course.MY / EXERCISE, "raise SystemExit('my own code')")
    before = digest(course.MY)
    monkeypatch.setattr(course, "set_up", lambda: None)
    monkeypatch.setattr(course, "run", lambda command, environment: 0)
    assert course.main(["test"]) == 0
    assert digest(course.MY) == before
    assert capsys.readouterr().out.startswith("Every check passed after ")


def running(start: Any, monkeypatch: pytest.MonkeyPatch, *runs: tuple[int, list[str]]) -> list[list[str]]:
    """Let `start.run` return these exit codes after noting what failed; return the list of its commands."""
    commands: list[list[str]] = []

    def run(command: list[str], environment: dict[str, str]) -> int:
        commands.append(command)
        code, failed = runs[len(commands) - 1]
        if "AWAITSEE_FAILED_LIST" in environment:
            Path(environment["AWAITSEE_FAILED_LIST"]).write_text("".join(f"{each}\n" for each in failed))
        return code

    monkeypatch.setattr(start, "set_up", lambda: None)
    monkeypatch.setattr(start, "run", run)
    (start.ROOT / "tests").mkdir(exist_ok=True)
    (start.ROOT / "tests/test_a.py").touch()
    return commands


def test_failed_checks_are_told(
    start: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = ["tests/test_a.py::test_b[1]"]
    commands = running(start, monkeypatch, (1, one), (1, one))
    assert start.main(["test"]) == 1
    assert commands[1][-2:] == ["-n0", *one]
    assert capsys.readouterr().out.splitlines()[-1].startswith("Some checks failed after ")


def test_what_passes_by_itself_is_named(
    start: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    running(start, monkeypatch, (1, ["tests/test_a.py::test_b[1]"]), (0, []))
    assert start.main(["test"]) == 0
    assert capsys.readouterr().out.endswith(", these only by themselves: tests/test_a.py::test_b[1].\n")


@pytest.mark.parametrize(
    ("code", "failed", "arguments"),
    [
        (1, 11, []),  # too many for want of time
        (1, 0, []),
        (1, 1, ["-x"]),  # somebody looks at something
        (2, 1, []),  # stopped, or wrong in another way
        (0, 0, []),
    ],
)
def test_nothing_else_is_run_again(
    start: Any, monkeypatch: pytest.MonkeyPatch, code: int, failed: int, arguments: list[str]
) -> None:
    commands = running(start, monkeypatch, (code, ["tests/test_a.py::test_b"] * failed))
    assert start.main(["test", *arguments]) == code
    assert len(commands) == 1


def test_what_failed_is_listed_and_a_cell_as_its_notebook(tmp_path: Path) -> None:
    tried = "import pytest\n@pytest.mark.parametrize('n', [1, 2])\ndef test_odd(n): assert n % 2\n"
    (tmp_path / "test_tried.py").write_text(tried)
    listed = tmp_path / "failed"
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.failed_list", "--rootdir", tmp_path, "-c", os.devnull, tmp_path],
        env=os.environ | {"AWAITSEE_FAILED_LIST": str(listed), "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1, run.stdout
    assert listed.read_text() == "test_tried.py::test_odd[2]\n"
    assert alone("notebooks/03_gather.ipynb::Cell 4") == "notebooks/03_gather.ipynb"


@pytest.mark.parametrize("arguments", [[], ["help"], ["--help"]])
def test_help(start: Any, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert start.main(arguments) == 0
    told = capsys.readouterr().out
    assert all(f"start.py {command} " in told for command in start.COMMANDS)


def test_unknown_command(start: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert start.main(["run"]) == 2
    assert capsys.readouterr().err.startswith("There is no command run: choose one of lab, test, setup")


def test_makefile_has_a_line_for_every_command() -> None:
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    called = {line.split()[2] for line in lines if line.startswith("\t@$(PYTHON) start.py")}
    spec = importlib.util.spec_from_file_location("start_here", ROOT / "start.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert called == {*module.COMMANDS, "help"}
