"""Run one submission in a kernel: `python -m awaitsee.grading.worker '{...}'`, the notebook on the standard input.

What is run is the course's sheet with the submission's answers in it. What came of a check is asked of the kernel in
the reply to the check cell, after it ended without an error; what a cell prints does not count. Each finding goes out
as a line of JSON. Whoever started this process watches it, and ends it when it takes too long or too much.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any

from . import processes
from .answers import WHOLE, Answer, Place, Step, answers
from .outcome import Outcome
from .sheets import CourseCell, Sheet, code_cells, read_sheets, sheet_of

if TYPE_CHECKING:
    from jupyter_client.blocking.client import BlockingKernelClient
    from jupyter_client.manager import KernelManager

START_LIMIT = 60.0
"""Seconds that a kernel may take to start."""
TICK = 0.2
LARGEST_FILE = 64_000_000
"""Bytes that a submission may write to one file."""
MOST_FILES = 1024
"""Files that it may have open at once."""
MOST_PRINTED = 5_000_000
"""Characters that it may print."""
LONGEST_DETAIL = 200
NEVER_ENDED = "did not end within"
VERDICT = (
    "(lambda module, check: (isinstance(check, module.exercise) and check.number, check.untouched, check.conditions,"
    " check.failures))(__import__('sys').modules['awaitsee.exercise'], check)"
)
"""What the kernel is asked after a check: which exercise it was, and what its check cell found."""
BEGIN = """\
from awaitsee.grading.guard import fasten as _fasten

_fasten({folder!r}, {private!r}, {handed_in!r})
del _fasten
from awaitsee.observe.timeline import Picture

Picture._repr_mimebundle_ = lambda self, include=None, exclude=None: ({{"text/plain": self.text}}, {{}})
del Picture
"""
"""Nobody looks at the figures, and drawing one takes longer than most checks."""
KEEP = "__import__('awaitsee.grading.names').grading.names.keep(globals(), {names!r})"
PUT_BACK = "__import__('awaitsee.grading.names').grading.names.put_back(globals())"


@dataclass(frozen=True)
class Task:
    """What a worker is to do."""

    course: str
    folder: str
    """Where the submission may write: its current and its home folder."""
    private: list[str]
    """Folders in which it shall not read."""
    handed_in: str
    """The folder of all submissions, of which it shall read none."""
    step_limit: float
    check_limit: float
    decided: list[str] = field(default_factory=list)
    """The exercises that an earlier worker has decided."""
    left_out: list[str] = field(default_factory=list)
    """The exercises whose answer ended an earlier worker."""

    def as_json(self) -> str:
        """Return it as text for the command line."""
        return json.dumps(asdict(self))


class KernelDied(Exception):
    """The kernel is gone, or has to go; the message is half a sentence."""


class NoReply(Exception):
    """A cell took longer than it may, and did not react to being interrupted."""


@dataclass(frozen=True)
class Reply:
    """What a cell came to: its error, if it had one, what it printed first of note, and what was asked after it."""

    error: str
    printed: str
    asked: str
    interrupted: bool
    """Whether it took longer than it may."""


class Kernel:
    """A kernel for one submission."""

    def __init__(self, task: Task) -> None:
        from jupyter_client.manager import KernelManager

        self._folder = task.folder
        self._printed = 0
        self._parent = os.getppid()
        # Local sockets in the submission's folder: no ports, which others might take or listen to.
        self._manager: KernelManager = KernelManager(
            kernel_name="python3", transport="ipc", ip=str(Path(task.folder, "k"))
        )
        self._manager.connection_file = str(Path(task.folder, "kernel.json"))
        self._manager.start_kernel(
            cwd=task.folder,
            stdout=open(os.devnull, "w"),  # noqa: SIM115
            stderr=open(os.devnull, "w"),  # noqa: SIM115
            extra_arguments=["--HistoryManager.enabled=False"],
        )
        self._client: BlockingKernelClient = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=START_LIMIT)

    def run(self, source: str, limit: float, *, ask: str = "", note: str = "") -> Reply:
        """Run a cell; `ask` is evaluated after it, and the first printed line that holds `note` is kept.

        Raises KernelDied and NoReply.
        """
        message = self._client.execute(
            source, store_history=False, allow_stdin=False, stop_on_error=False, user_expressions={"asked": ask}
        )
        deadline, interrupted = time.monotonic() + limit, False
        reply: dict[str, Any] | None = None
        text, idle = "", False
        while reply is None or not idle:
            for printed in self._listen(message):
                idle = idle or printed is None
                if printed and len(text) < 100_000:
                    text += printed
            try:
                answer = self._client.get_shell_msg(timeout=0 if reply else TICK / 4)
                if answer["parent_header"].get("msg_id") == message:
                    reply = answer["content"]
                    deadline = time.monotonic() + 2
            except Empty:
                self._look_after_it()
            if time.monotonic() > deadline:
                if reply is not None:
                    break
                if interrupted:
                    raise NoReply
                self._manager.interrupt_kernel()
                deadline, interrupted = time.monotonic() + 3, True
        return _reply(reply or {}, text, note, interrupted)

    def _listen(self, message: str) -> Iterator[str | None]:
        """Yield what a cell printed, and None when the kernel has nothing more to do for it."""
        while True:
            try:
                heard = self._client.get_iopub_msg(timeout=TICK / 10)
            except Empty:
                return
            content = heard["content"]
            printed = content.get("text", "") if heard["msg_type"] == "stream" else ""
            self._printed += len(printed) if printed else len(str(content))
            if self._printed > MOST_PRINTED:
                raise KernelDied(f"it printed more than {MOST_PRINTED / 1e6:.0f} MB")
            if heard["parent_header"].get("msg_id") != message:
                continue
            if heard["msg_type"] == "status" and content.get("execution_state") == "idle":
                yield None
                return
            yield printed

    def _look_after_it(self) -> None:
        if os.getppid() != self._parent:
            # Nobody is there any more to hear of it.
            give_up(self._folder)
        if not self._manager.is_alive():
            status = getattr(self._manager.provisioner, "process", None)
            raise KernelDied(_how_it_ended(status.poll() if status is not None else None))


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        import signal

        try:
            return f"its process was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"its process was ended by signal {-code}"
    return f"its process ended itself with exit code {code}"


def _reply(content: dict[str, Any], text: str, note: str, interrupted: bool) -> Reply:
    error = ""
    if content.get("status") != "ok":
        error = f"{content.get('ename', 'no reply')}: {content.get('evalue', '')}"
    asked = content.get("user_expressions", {}).get("asked", {})
    found = next((line.strip() for line in text.splitlines() if note and note in line), "")
    return Reply(error, found, asked.get("data", {}).get("text/plain", ""), interrupted)


def say(**finding: Any) -> None:
    """Send a finding to whoever started this process."""
    sys.stdout.write(json.dumps(finding) + "\n")
    sys.stdout.flush()


def check_submission(task: Task, content: bytes) -> None:
    """Say what comes of a submission, exercise by exercise."""
    try:
        notebook = json.loads(content)
        cells = code_cells(notebook)
    except RecursionError:
        say(unreadable="it is nested too deep")
        return
    except json.JSONDecodeError as error:
        say(unreadable=f"it is no JSON: {error}")
        return
    except UnicodeDecodeError:
        say(unreadable="it is no text")
        return
    except ValueError as error:
        say(unreadable=str(error))
        return
    sheet = sheet_of(notebook, read_sheets(Path(task.course)))
    if sheet is None:
        say(unknown="none of the course's exercises is in it")
        return
    say(lesson=sheet.lesson, exercises=sheet.exercises)
    given = {answer.exercise: answer for answer in answers(cells, sheet)}
    for answer in given.values():
        if answer.exercise not in task.decided and not answer.attempted:
            decide(answer.exercise, "not attempted" if answer.found else "missing", "", 0.0)
    to_run = [number for number in sheet.exercises if given[number].attempted and number not in task.decided]
    if to_run:
        try:
            run_sheet(task, sheet, given, to_run)
        except KernelDied as reason:
            say(crashed=str(reason))
        except NoReply:
            say(timed_out=True)
        return
    say(end=True)


def run_sheet(task: Task, sheet: Sheet, given: dict[str, Answer], to_run: list[str]) -> None:
    """Run the sheet up to the last exercise that has to be checked.

    Raises KernelDied and NoReply.
    """
    say(begin="")
    kernel = Kernel(task)
    begin = kernel.run(BEGIN.format(**asdict(task)), START_LIMIT)
    if begin.error:
        raise KernelDied(f"nothing of it was run, because its kernel could not be guarded: {begin.error}")
    run = Steps(kernel, sheet, task.step_limit)
    broken, started, begun = "", time.monotonic(), ""
    for cell in sheet.cells:
        if cell.exercise > to_run[-1]:
            break
        answer = given[cell.exercise]
        is_run = answer.attempted and cell.exercise not in task.left_out
        if cell.exercise != begun:
            begun, started, broken = cell.exercise, time.monotonic(), ""
            say(begin=begun if begun not in task.left_out else "")
        if cell.kind == "given":
            error = kernel.run(cell.source, task.check_limit).error
            broken = broken or (error and f"a cell of the sheet failed: {error}")
        elif cell.kind == "stub" and is_run:
            run.all_of(answer.steps)
        elif cell.kind == "stub":
            kernel.run(cell.source, task.step_limit)
        elif cell.exercise in to_run:
            # What failed may have needed what the sheet gives below the stub.
            run.all_of(answer.steps)
            outcome, detail = run_check(kernel, cell, task.check_limit)
            if outcome == "failed" and run.late:
                outcome, detail = "timed out", f"the answer's own cell did not end within {task.step_limit:g} s"
            elif outcome != "passed" and (run.trouble or broken):
                detail = f"{run.trouble or broken}; {detail}"
            decide(cell.exercise, outcome, detail, time.monotonic() - started)
    say(end=True)


class Steps:
    """Runs the pieces of answers: each until it has run once without an error, and none twice that took too long."""

    def __init__(self, kernel: Kernel, sheet: Sheet, limit: float) -> None:
        self.late = False
        """Whether one of the last pieces took too long."""
        self.trouble = ""
        """What went wrong with the last pieces, in words; empty if nothing did."""
        self._kernel = kernel
        self._names = sorted(sheet.given_names)
        self._limit = limit
        self._ran: set[Place] = set()
        self._too_long: set[Place] = set()

    def all_of(self, steps: Sequence[Step]) -> None:
        """Run what is left to be run of some pieces; then the names that the sheet gives are its own again."""
        self.late, self.trouble = any(step.place in self._too_long for step in steps), ""
        left = [step for step in steps if not {step.place, (step.place[0], WHOLE)} & (self._ran | self._too_long)]
        if not left:
            return
        self._kernel.run(KEEP.format(names=self._names), self._limit)
        for step in left:
            reply = self._kernel.run(step.source, self._limit)
            if reply.interrupted:
                self.late = True
                self._too_long.add(step.place)
            elif not reply.error:
                self._ran.add(step.place)
            self.trouble = self.trouble or (reply.error and f"the answer's own cell: {reply.error}")
        self._kernel.run(PUT_BACK, self._limit)


def run_check(kernel: Kernel, cell: CourseCell, limit: float) -> tuple[Outcome, str]:
    """Run a check cell of the course, and return what it found."""
    reply = kernel.run(cell.source, limit, ask=VERDICT, note=f"{cell.exercise}  NO  ")
    if reply.error:
        if NEVER_ENDED in reply.error:
            return "timed out", reply.error.partition(": ")[2].removeprefix(f"{cell.exercise}: ")
        return "failed", reply.printed.removeprefix(f"{cell.exercise}  ") or reply.error
    try:
        number, untouched, conditions, failures = ast.literal_eval(reply.asked)
    except (ValueError, SyntaxError, TypeError):
        return "failed", "the check was tampered with"
    if number != cell.exercise or not (untouched or (conditions and not failures)):
        return "failed", "the check was tampered with"
    return ("not attempted", "the code still says `raise YourTurn`") if untouched else ("passed", "")


def decide(exercise: str, outcome: Outcome, detail: str, seconds: float) -> None:
    """Say what came of one exercise."""
    line = " ".join(detail.split())
    short = line if len(line) <= LONGEST_DETAIL else line[: LONGEST_DETAIL - 1] + "…"
    say(exercise=exercise, outcome=outcome, detail=short, seconds=round(seconds, 2))


def give_up(folder: str) -> None:
    """End everything and take the folder away: whoever started this process is gone, and nobody else will."""
    processes.end_below(os.getpid())
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def limit_this_process() -> None:
    """Set the limits that the kernel inherits: the size of a file, open files, no core dump."""
    import resource

    for kind, limit in (
        (resource.RLIMIT_FSIZE, LARGEST_FILE),
        (resource.RLIMIT_NOFILE, MOST_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hardest = resource.getrlimit(kind)
        least = limit if hardest == resource.RLIM_INFINITY else min(limit, hardest)
        resource.setrlimit(kind, (least, least))
    if processes.LINUX:
        # When memory runs out all the same, the system shall end this one and not the instructor's.
        Path("/proc/self/oom_score_adj").write_text("1000")


def main() -> None:
    """Do the task of the command line."""
    task = Task(**json.loads(sys.argv[1]))
    limit_this_process()
    processes.adopt()
    processes.hide()
    check_submission(task, sys.stdin.buffer.read())
    # It waits to be ended: what the submission left running is this process's child until then, and so can be found.
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(1)
    give_up(task.folder)


if __name__ == "__main__":
    main()
