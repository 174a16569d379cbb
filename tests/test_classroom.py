"""The class server's settings, a learner's start, the rehearsal's report; Binder's files and the dev container's.

A hub is started only where JupyterHub and its proxy are installed (docs/classroom.md); the rest does without them.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import runpy
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import start

ROOT = Path(__file__).resolve().parent.parent
CLASSROOM = ROOT / "classroom"
PAGE = ROOT / "docs" / "classroom.md"
POSTBUILD = ROOT / "binder" / "postBuild"
CONFIG = "jupyterhub_config.py"
SETTINGS = "AWAITSEE_CLASS_"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a hub runs on Linux and macOS only")


# --- The hub's settings ---------------------------------------------------------------------------


@pytest.fixture
def course(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A course that is set up, with a proxy, in a folder that every account may read; nothing of the class is set."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        shutil.copytree(CLASSROOM, folder / "classroom", ignore=shutil.ignore_patterns("__pycache__"))
        for program in (".venv/bin/python", "class/node_modules/.bin/configurable-http-proxy"):
            (folder / program).parent.mkdir(parents=True)
            (folder / program).touch()
        for variable in [name for name in os.environ if name.startswith(SETTINGS)]:
            monkeypatch.delenv(variable)
        monkeypatch.setenv(f"{SETTINGS}FOLDER", str(folder / "class"))
        monkeypatch.setenv("PATH", str(folder))
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        yield folder


class Section(dict[str, Any]):
    """What the hub is told about one of its parts."""

    def __getattr__(self, name: str) -> Any:
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


class Told(dict[str, Section]):
    """What the hub is told, by part."""

    def __getattr__(self, name: str) -> Section:
        return self.setdefault(name, Section())


def configured(course: Path, monkeypatch: pytest.MonkeyPatch, **given: str) -> Told:
    """What the hub is told with these settings of the class."""
    for name, value in given.items():
        monkeypatch.setenv(f"{SETTINGS}{name}", value)
    hub = Told()
    runpy.run_path(str(course / "classroom" / CONFIG), {"get_config": lambda: hub})
    return hub


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, r"There is no password for the class: set AWAITSEE_CLASS_PASSWORD"),
        ({"PASSWORD": "short"}, r"There is no password for the class: set AWAITSEE_CLASS_PASSWORD"),
        ({"PASSWORD": "long enough", "TEACHER": "ada"}, r"AWAITSEE_CLASS_TEACHER_PASSWORD together"),
        ({"PASSWORD": "long enough", "TEACHER": "ada", "TEACHER_PASSWORD": "x" * 31}, r"too weak: give 32"),
        ({"PASSWORD": "long enough", "IP": "0.0.0.0"}, r"the password would cross the network unencrypted"),
        ({"PASSWORD": "long enough", "IP": "0.0.0.0", "CERT": "a"}, r"AWAITSEE_CLASS_KEY together"),
        ({"PASSWORD": "long enough", "PORT": "many"}, r"AWAITSEE_CLASS_PORT is many: give a number above 0"),
        ({"PASSWORD": "long enough", "AT_ONCE": "0"}, r"AWAITSEE_CLASS_AT_ONCE is 0: give a number above 0"),
        ({"PASSWORD": "long enough", "LIST": "/no/such"}, r"/no/such cannot be read .*correct AWAITSEE_CLASS_LIST"),
        ({"SPAWNER": "docker"}, r"is docker: choose one-account, accounts, systemd"),
        ({"SPAWNER": "accounts"}, r"servers for other accounts: run it as root"),
    ],
)
def test_the_hub_refuses_with_one_sentence(
    course: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as refusal:
        configured(course, monkeypatch, **given)
    assert re.search(sentence, str(refusal.value.code))
    assert "\n" not in str(refusal.value.code)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ("anna\nBerta\n", "has 'Berta': a name is up to 32 small letters"),
        ("../anna\n", "has '../anna'"),
        ("anna\nanna\n", "has 'anna' twice"),
        ("# nobody yet\n", "is empty"),
    ],
)
def test_a_class_list_that_would_mix_learners_up_is_refused(
    course: Path, monkeypatch: pytest.MonkeyPatch, names: str, sentence: str
) -> None:
    (course / "names.txt").write_text(names, encoding="utf-8")
    with pytest.raises(SystemExit, match=sentence):
        configured(course, monkeypatch, PASSWORD="long enough", LIST=str(course / "names.txt"))


def test_root_shares_its_account_with_nobody(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(SystemExit, match="this one is root: make an account for the class"):
        configured(course, monkeypatch, PASSWORD="long enough")


def test_an_afternoon_on_one_account(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (course / "names.txt").write_text("# the class\nanna\nbob-2\n\n", encoding="utf-8")
    hub = configured(course, monkeypatch, PASSWORD="long enough", LIST=str(course / "names.txt"))
    assert hub.JupyterHub.bind_url == "http://127.0.0.1:8000"
    assert len({8000, hub.JupyterHub.hub_port, int(hub.ConfigurableHTTPProxy.api_url.rpartition(":")[2])}) == 3
    assert hub.Authenticator.allowed_users == {"anna", "bob-2"} and "allow_all" not in hub.Authenticator
    assert hub.Spawner.cmd == [str(course / ".venv/bin/python"), str(course / "classroom/learner.py")]
    assert hub.SimpleLocalProcessSpawner.home_dir_template == str(course / "class/learners/{username}")
    assert not {"mem_limit", "cpu_limit"} & set(hub.Spawner), "nothing would enforce them"
    assert not [name for name in hub.Spawner.env_keep if name.startswith("AWAITSEE")], "passwords stay with the hub"
    assert (course / "class/hub").stat().st_mode & 0o077 == 0


def test_accounts_cannot_use_a_course_that_they_may_not_read(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    course.chmod(0o700)
    with pytest.raises(SystemExit, match=r"may not look into .*: put the course where everybody may read it"):
        configured(course, monkeypatch, SPAWNER="accounts")


def test_only_systemd_is_told_limits(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if any(not folder.stat().st_mode & 0o001 for folder in course.parents):
        pytest.skip("the folder for temporary files is closed to other accounts")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    hub = configured(course, monkeypatch, SPAWNER="systemd", MEMORY="3G", TEACHER="ada")
    assert (hub.JupyterHub.spawner_class, hub.JupyterHub.authenticator_class) == ("systemd", "pam")
    assert (hub.Spawner.mem_limit, hub.Spawner.cpu_limit) == ("3G", 2.0)
    assert hub.Authenticator.admin_users == {"ada"} and hub.SystemdSpawner.readonly_paths == [str(course)]
    other = configured(course, monkeypatch, SPAWNER="accounts")
    assert "mem_limit" not in other.Spawner


def test_every_setting_is_told_at_the_top() -> None:
    source = (CLASSROOM / CONFIG).read_text(encoding="utf-8")
    told = source.split('"""')[1]
    used = set(re.findall(r'(?:given|number)\("(\w+)"', source))
    assert used == {name.removeprefix(SETTINGS) for name in re.findall(r"AWAITSEE_CLASS_\w+", told)}


# --- A learner's server ---------------------------------------------------------------------------

SINGLE_USER = """\
import json, os, sys
from awaitsee import progress
names = ("AWAITSEE_MY", "JUPYTER_RUNTIME_DIR", "JUPYTER_PREFER_ENV_PATH")
print(json.dumps([sys.argv[1:], {name: os.environ[name] for name in names}, str(progress.HOME)]))
"""


@pytest.fixture
def small_course(tmp_path: Path) -> Path:
    """A course of one notebook, and a single-user server that tells how it was started."""
    course = tmp_path / "course"
    shutil.copytree(CLASSROOM, course / "classroom", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "start.py", course)
    (course / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / "00_start_here.ipynb", course / "notebooks")
    (tmp_path / "fake" / "jupyterhub").mkdir(parents=True)
    (tmp_path / "fake" / "jupyterhub" / "__init__.py").touch()
    (tmp_path / "fake" / "jupyterhub" / "singleuser.py").write_text(SINGLE_USER, encoding="utf-8")
    return course


def started(course: Path, name: str) -> tuple[Path, list[str], dict[str, str], str, str]:
    """Start a learner's server; return the home folder, its arguments, variables, where progress is kept, the log."""
    folder = course.parent
    home = folder / "learners" / name
    home.mkdir(parents=True, exist_ok=True)
    (folder / "tmp").mkdir(exist_ok=True)
    # As small as the hub gives it.
    variables = {"HOME": str(home), "JUPYTERHUB_USER": name, "PATH": os.defpath, "TMPDIR": str(folder / "tmp")}
    variables["PYTHONPATH"] = os.pathsep.join([str(folder / "fake"), str(ROOT)])
    log = subprocess.run(
        [sys.executable, str(course / "classroom" / "learner.py"), "--port=1"],
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    arguments, seen, progress = json.loads(log.splitlines()[-1])
    return home, arguments, seen, progress, log


def test_each_learner_has_a_copy_a_progress_and_sockets_of_their_own(small_course: Path) -> None:
    before = sorted(small_course.rglob("*"))
    runtimes = set()
    for name in ("anna", "anna-b", "anna"):
        home, arguments, seen, progress, _ = started(small_course, name)
        assert (home / "my" / "notebooks" / "00_start_here.ipynb").exists()
        assert (home / "my").stat().st_mode & 0o077 == 0
        assert seen["AWAITSEE_MY"] == progress == str((home / "my").resolve())
        assert "--KernelManager.transport=ipc" in arguments and arguments[-1] == "--port=1"
        runtime = Path(seen["JUPYTER_RUNTIME_DIR"])
        assert runtime.stat().st_mode & 0o077 == 0
        runtimes.add(runtime)
    # Anna's second start took away what her first had left, and only that.
    assert len(runtimes) == 3 and len([runtime for runtime in runtimes if runtime.exists()]) == 2
    assert [path for path in sorted(small_course.rglob("*")) if "__pycache__" not in path.parts] == before


def test_what_cannot_be_laid_out_keeps_nobody_out(small_course: Path) -> None:
    (small_course / "notebooks" / "00_start_here.ipynb").write_text("<<<<<<< HEAD", encoding="utf-8")
    *_, log = started(small_course, "anna")
    assert "The copy of anna was not laid out: notebooks/00_start_here.ipynb cannot be read" in log


# --- The rehearsal --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rehearsal() -> ModuleType:
    """The module classroom/try_class.py."""
    spec = importlib.util.spec_from_file_location("try_class", CLASSROOM / "try_class.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["try_class"] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def test_the_report_names_who_failed_and_why(rehearsal: Any) -> None:
    times = {"server": 5.0, "kernel": 1.0, "lesson": 20.0}
    anna = rehearsal.Learner("", "anna", "", None, times, cells=12, ports={40001})
    bob = rehearsal.Learner("", "bob", "", None, {"server": 9.0}, failure="the server did not start")
    said = rehearsal.describe_learners([anna, bob], "03")
    assert said[1].endswith("12 cells, practice server at 40001")
    assert said[2].endswith("FAILED: the server did not start")
    assert said[3:] == [
        "1 of 2 learners ran lesson 03 to its end.",
        "Median: server 5.0 s, kernel 1.0 s, lesson 20.0 s.",
    ]


def test_what_larger_classes_need_is_computed_from_what_was_measured(rehearsal: Any) -> None:
    need = rehearsal.Need
    before = {"hub": need(1, 100_000_000, 2.0)}
    server = {"server": need(2, 200_000_000, 8.0), "hub": need(1, 100_000_000, 4.0)}
    kernel = server | {"kernel": need(2, 300_000_000, 2.0)}
    after = kernel | {"kernel": need(2, 300_000_000, 26.0), "practice server": need(2, 100_000_000, 0.0)}
    said = rehearsal.describe_needs([before, server, kernel, after], 2, 40)
    assert "5.0 until the server is there, 1.0 for a kernel, 12.0 for the lesson's cells." in "\n".join(said)
    # 0.1 + 10 x (0.1 + 0.2), (0.1 + 0.4), (0.1 + 0.8) GB; 10 x 6 s in a minute; 10 x 12 s in 40 minutes
    assert next(line for line in said if line.split()[0:1] == ["10"]).split() == [
        *("10", "3.1", "GB", "5.1", "GB", "9.1", "GB"),
        *("1.0", "0.1"),
    ]
    assert len([line for line in said if re.match(r" +\d+ +\d", line)]) == len(rehearsal.SIZES)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_processes_are_told_apart_and_other_learners_left_out(rehearsal: Any) -> None:
    code = "import sys; print(flush=True); sys.stdin.read()"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, part],
            env={"JUPYTERHUB_USER": name},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for name, part in [("try-me", "ipykernel_launcher"), ("try-me", "other"), ("somebody", "ipykernel_launcher")]
    ]
    try:
        for process in running:
            assert process.stdout is not None
            process.stdout.readline()
        found = rehearsal.processes_of(["try-me"], port=0)
        assert list(found) == ["kernel"] and found["kernel"].processes == 1 and found["kernel"].bytes > 1e6
    finally:
        for process in running:
            process.communicate()


def free_port() -> int:
    """The first of three free ports in a row."""
    for port in range(20_000, 30_000, 3):
        if not any(start.taken(port + offset) for offset in range(3)):
            return port
    raise AssertionError("no free port")


@pytest.mark.slow
def test_a_learner_on_a_real_hub(tmp_path: Path) -> None:
    for package in ("jupyterhub", "jupyterhub_idle_culler"):
        pytest.importorskip(package, reason=f"{package} is not installed: classroom/requirements.txt")
    if not shutil.which("configurable-http-proxy") or not start.VENV.exists():
        pytest.skip("configurable-http-proxy or .venv is missing")
    port = free_port()
    given = {"PASSWORD": "see-and-await", "FOLDER": str(tmp_path), "PORT": str(port), "AS_ROOT": "1"}
    variables = os.environ | {f"{SETTINGS}{name}": value for name, value in given.items()}
    with open(tmp_path / "hub.log", "wb") as log:
        hub = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "-f", str(CLASSROOM / CONFIG)],
            cwd=tmp_path,
            env=variables,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + 60
            while hub.poll() is None and time.monotonic() < deadline:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.2)
            command = [sys.executable, str(CLASSROOM / "try_class.py"), f"http://127.0.0.1:{port}"]
            said = subprocess.run(
                [*command, "--learners", "1", "--lesson", "00"], env=variables, capture_output=True, text=True
            )
            assert said.returncode == 0, said.stdout + said.stderr
            assert "1 of 1 learners ran lesson 00 to its end." in said.stdout
        finally:
            hub.terminate()
            hub.wait(60)


# --- The lists of packages ------------------------------------------------------------------------


def pins(path: Path) -> dict[str, str]:
    """The packages of a list with their versions."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_hub_and_learners_have_the_same_jupyterhub_and_the_course_keeps_its_versions() -> None:
    hub, learner = pins(CLASSROOM / "requirements.txt"), pins(CLASSROOM / "requirements-learner.txt")
    assert learner == {"jupyterhub": hub["jupyterhub"]}
    course = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert not [name for name in hub if re.search(rf"^{name}==", course, re.MULTILINE)]


def test_one_version_of_the_proxy_is_named() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (CLASSROOM / CONFIG, CLASSROOM / "requirements.txt", PAGE)]
    assert len({found for text in texts for found in re.findall(r"configurable-http-proxy@([\d.]+)", text)}) == 1


def test_what_the_page_names_is_there() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in re.findall(r"(?:classroom|binder)/[\w.-]+\.\w+", text):
        assert (ROOT / name).exists() or name.endswith("names.txt"), name
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:`|^)make ([.\w]+)", text, re.MULTILINE):
        assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), target
    config = (CLASSROOM / CONFIG).read_text(encoding="utf-8")
    assert set(re.findall(r"AWAITSEE_CLASS_\w+", text)) <= set(re.findall(r"AWAITSEE_CLASS_\w+", config))


# --- Binder and the dev container -----------------------------------------------------------------


def test_binder_has_a_tested_python_and_no_second_list() -> None:
    text = (ROOT / "binder" / "environment.yml").read_text(encoding="utf-8")
    (python,) = re.findall(r"- python=([\d.]+)$", text, re.MULTILINE)
    assert python in start.tested()
    assert f"- python={python}\n" in (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert "==" not in text + POSTBUILD.read_text(encoding="utf-8")


def test_binder_calls_what_there_is() -> None:
    script = POSTBUILD.read_text(encoding="utf-8")
    called = re.findall(r"\bstart\.(\w+)", script)
    assert {"torch_index", "pinned", "lay_out"} <= set(called)
    assert all(callable(getattr(start, name)) for name in called)
    assert start.pinned("torch").startswith("torch==")
    for name in ("postBuild", "start"):
        path = ROOT / "binder" / name
        assert path.stat().st_mode & 0o100, f"{name} must be executable"
        subprocess.run(["bash", "-n", str(path)], check=True)


def test_dev_container_sets_the_course_up() -> None:
    settings = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    python, script, command = settings["postCreateCommand"].split()
    assert (python, script) == ("python", "start.py") and command in start.COMMANDS
    assert settings["image"].rpartition(":")[2] in start.tested()
    assert settings["forwardPorts"] == [start.PORT] and str(start.PORT) in settings["portsAttributes"]
    assert settings["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"].endswith(
        start.venv_python().relative_to(ROOT).as_posix()
    )
