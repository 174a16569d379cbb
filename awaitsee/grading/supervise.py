"""Start a worker for a submission, watch it, and end it with all that it started; several at a time."""

from __future__ import annotations

import json
import os
import secrets
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import processes
from .collect import NotANotebook, Submission, open_submission
from .outcome import Outcome, Row
from .worker import Task

POLL = 0.15
MOST_WRITTEN = 256_000_000
"""Bytes that a submission may keep in its folder."""
MOST_ENTRIES = 10_000
"""Files and folders that it may make."""
MOST_PROCESSES = 100
KEPT_FROM_LEARNERS = ("solutions", "lessons", "tests/mistakes")
"""The course's folders that hold answers."""
STEP_SHARE, CHECK_SHARE = 0.25, 0.6
"""The parts of a submission's time that one cell of it, and one check, may take."""
WORTH_A_START = 3.0
"""Seconds that have to be left for a new kernel to make sense."""
PASSED_ON = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "SYSTEMROOT", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "AWAITSEE_DATA")
"""The variables that a submission sees: no keys, no tokens."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one submission may take."""

    seconds: float = 120.0
    megabytes: int = 1500


@dataclass(frozen=True, slots=True)
class _Ending:
    """Why a worker ended before it was done."""

    outcome: Outcome
    detail: str
    final: bool = False
    """Whether nothing more of the submission is run."""


@dataclass
class _Account:
    """What is known of a submission so far."""

    submission: Submission
    lesson: str = ""
    exercises: list[str] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)
    whole: Row | None = None
    begun: str = ""
    since: float = field(default_factory=time.monotonic)
    ended: bool = False

    @property
    def undecided(self) -> list[str]:
        return [number for number in self.exercises if number not in self.rows]

    def note(self, finding: dict[str, Any]) -> _Ending | None:
        """Take in a finding of the worker; return why it ended, if it says so."""
        match finding:
            case {"unreadable": str(why)}:
                self.whole = self.row("", "not a notebook", why)
            case {"unknown": str(why)}:
                self.whole = self.row("", "missing", why)
            case {"lesson": str(lesson), "exercises": list(exercises)}:
                self.lesson, self.exercises = lesson, exercises
            case {"begin": str(number)}:
                self.begun, self.since = number, time.monotonic()
            case {"exercise": str(number), "outcome": outcome, "detail": str(detail), "seconds": float(seconds)}:
                self.rows[number] = self.row(number, outcome, detail, seconds)
            case {"crashed": str(why)}:
                return _Ending("crashed", why)
            case {"timed_out": True}:
                return _Ending("timed out", "a cell did not end, and could not be stopped")
            case {"end": True}:
                self.ended = True
        return None

    def row(self, exercise: str, outcome: Outcome, detail: str, seconds: float = 0.0) -> Row:
        return Row(self.submission.name, self.lesson, exercise, outcome, detail, seconds)

    def blame(self, ending: _Ending) -> list[str]:
        """Note why a worker ended; return the exercise that did it, if there is one and others can still be tried."""
        seconds = round(time.monotonic() - self.since, 2)
        if not self.exercises:
            self.whole = self.row("", ending.outcome, ending.detail, seconds)
            return []
        guilty = [self.begun] if self.begun else []
        for number in self.undecided if ending.final or not guilty else guilty:
            if number not in self.rows:
                self.rows[number] = self.row(number, ending.outcome, ending.detail, seconds)
                seconds = 0.0
        return [] if ending.final else guilty


@contextmanager
def _on_guard() -> Iterator[None]:
    """End what is left of submissions that ended the worker above them; it became a child of this process.

    Meanwhile this process is hidden from them: its open files are the pipes that the workers' findings come through.
    """
    before = set(processes.below(os.getpid()))
    processes.adopt()
    processes.hide()
    try:
        yield
    finally:
        processes.bury(processes.end_below(os.getpid(), spared=before))
        processes.adopt(False)
        processes.hide(False)


class Supervisor:
    """Checks submissions against a course, each in a folder and a process of its own."""

    def __init__(self, course: Path, handed_in: Path, limits: Limits) -> None:
        self._course = course
        self._handed_in = handed_in.resolve()
        self._limits = limits
        self._stopping = threading.Event()

    def check_all(self, submissions: Sequence[Submission], jobs: int, tell: Callable[[list[Row]], None]) -> list[Row]:
        """Check submissions, `jobs` of them at once; `tell` hears of each when it is done.

        A KeyboardInterrupt ends all workers before it goes on.
        """
        rows: dict[int, list[Row]] = {}
        with _on_guard(), ThreadPoolExecutor(jobs) as pool:
            try:
                waiting = {pool.submit(self.check, each): place for place, each in enumerate(submissions)}
                for done in as_completed(waiting):
                    rows[waiting[done]] = done.result()
                    tell(done.result())
            except BaseException:
                self._stopping.set()
                pool.shutdown(cancel_futures=True)
                raise
        return [row for place in sorted(rows) for row in rows[place]]

    def check(self, submission: Submission) -> list[Row]:
        """Check one submission, and leave nothing of it behind: no process, no folder."""
        account = _Account(submission)
        folder = Path(tempfile.mkdtemp(prefix="awaitsee-check-")).resolve()
        deadline = time.monotonic() + self._limits.seconds
        left_out: list[str] = []
        try:
            while not self._stopping.is_set():
                ending = self._run_worker(account, folder, left_out, deadline)
                if ending is None:
                    break
                guilty = account.blame(ending)
                if not guilty or not account.undecided or set(guilty) <= set(left_out):
                    break
                left_out += guilty
                remove(folder)
                folder.mkdir(mode=0o700)
                if deadline - time.monotonic() < WORTH_A_START:
                    account.blame(_Ending("timed out", self._too_long(), final=True))
                    break
        except NotANotebook as why:
            return [account.row("", "not a notebook", str(why))]
        except Exception as error:
            # Whatever it was, the other submissions have their rows.
            account.blame(_Ending("crashed", f"it could not be checked ({type(error).__name__}: {error})", final=True))
        finally:
            remove(folder)
        if account.whole is None and (account.undecided or not account.exercises):
            account.blame(_Ending("crashed", "it ended without a result", final=True))
        if account.whole is not None:
            return [account.whole]
        return [account.rows[number] for number in account.exercises if number in account.rows]

    def _too_long(self) -> str:
        return f"the submission took longer than {self._limits.seconds:g} s"

    def _run_worker(self, account: _Account, folder: Path, left_out: list[str], deadline: float) -> _Ending | None:
        """Run a worker to its end; return why it ended early, or None. Nothing that it started lives on.

        Raises NotANotebook when the submission cannot be opened.
        """
        mark = f"AWAITSEE_CHECK={secrets.token_hex(16)}"
        account.begun, account.since = "", time.monotonic()
        task = Task(
            course=str(self._course),
            folder=str(folder),
            private=[str(self._course / name) for name in KEPT_FROM_LEARNERS],
            handed_in=str(self._handed_in),
            step_limit=self._limits.seconds * STEP_SHARE,
            check_limit=self._limits.seconds * CHECK_SHARE,
            decided=list(account.rows),
            left_out=left_out,
        )
        notebook = open_submission(account.submission.path)
        try:
            worker = subprocess.Popen(
                [sys.executable, "-P", "-m", "awaitsee.grading.worker", task.as_json()],
                stdin=notebook,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=folder,
                env=environment(folder, mark),
                start_new_session=True,
            )
        finally:
            os.close(notebook)
        try:
            return self._watch(worker, account, folder, deadline)
        finally:
            ended = processes.end(worker.pid, mark)
            worker.wait()
            processes.bury(ended)
            if worker.stdout is not None:
                worker.stdout.close()

    def _watch(
        self, worker: subprocess.Popen[bytes], account: _Account, folder: Path, deadline: float
    ) -> _Ending | None:
        assert worker.stdout is not None
        pipe = worker.stdout.fileno()
        heard = b""
        while True:
            if select.select([pipe], [], [], POLL)[0]:
                piece = os.read(pipe, 65536)
                if not piece:
                    break
                *lines, heard = (heard + piece).split(b"\n")
                for line in lines:
                    ending = account.note(json.loads(line))
                    if ending is not None:
                        return ending
                if account.ended or account.whole is not None:
                    return None
            # A submission may have told it to stand still, and that shall not cost the other exercises.
            worker.send_signal(signal.SIGCONT)
            ending = self._too_much(worker.pid, folder, deadline)
            if ending is not None:
                return ending
        return _Ending("crashed", "the process that ran it was ended")

    def _too_much(self, pid: int, folder: Path, deadline: float) -> _Ending | None:
        """Return why a worker has to be ended, or None."""
        if self._stopping.is_set():
            return _Ending("timed out", "the checking was stopped", final=True)
        if time.monotonic() > deadline:
            return _Ending("timed out", self._too_long(), final=True)
        known = processes.everything()
        started = processes.below(pid, known)
        limit = self._limits.megabytes * 1_000_000
        if processes.memory_of({**started, **{each: known[each] for each in (pid,) if each in known}}, limit) > limit:
            return _Ending("out of memory", f"it took more than {self._limits.megabytes} MB")
        if len(started) > MOST_PROCESSES:
            return _Ending("crashed", f"it started more than {MOST_PROCESSES} processes")
        size, entries = extent(folder)
        if size > MOST_WRITTEN:
            return _Ending("crashed", f"it wrote more than {MOST_WRITTEN / 1e6:.0f} MB")
        if entries > MOST_ENTRIES:
            return _Ending("crashed", f"it made more than {MOST_ENTRIES:,} files")
        return None


def environment(folder: Path, mark: str) -> dict[str, str]:
    """Return the variables of a worker and its kernel: this process's few that matter, and homes in the folder."""
    package = str(Path(__file__).resolve().parents[2])
    variables = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    homes = dict.fromkeys(("HOME", "TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"), str(folder))
    homes |= {name: str(folder / ".jupyter") for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")}
    name, _, value = mark.partition("=")
    return {
        **variables,
        **homes,
        name: value,
        "IPYTHONDIR": str(folder / ".ipython"),
        "MPLCONFIGDIR": str(folder / ".matplotlib"),
        "PYTHONPATH": package,
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8",
        "LANGSMITH_TRACING": "false",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def extent(folder: Path) -> tuple[int, int]:
    """Return how many bytes a folder takes on the disk and how many entries it has, counted to `MOST_ENTRIES`."""
    size = entries = 0
    to_look_at = [str(folder)]
    while to_look_at and entries <= MOST_ENTRIES:
        try:
            with os.scandir(to_look_at.pop()) as found:
                for entry in found:
                    about = entry.stat(follow_symlinks=False)
                    entries += 1
                    size += about.st_blocks * 512
                    if stat.S_ISDIR(about.st_mode):
                        to_look_at.append(entry.path)
        except OSError:
            # It goes away while it is looked at, or its owner shut it.
            continue
    return size, entries


def remove(folder: Path) -> None:
    """Remove a folder, whatever was done to it: shut, nested too deep for Python to follow, or no folder any more."""
    if folder.is_symlink() or folder.is_file():
        # First of all, so that nothing is done to what a link points to.
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        subprocess.run(["chmod", "-R", "u+rwx", "--", str(folder)], stderr=subprocess.DEVNULL, check=False)
        subprocess.run(["rm", "-rf", "--", str(folder)], stderr=subprocess.DEVNULL, check=False)
