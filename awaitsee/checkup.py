"""`awaitsee doctor`: what a lesson needs, checked one by one, each with what to do where it is not so."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from awaitsee import doctor
from awaitsee.course import COURSE, NoCourse, start_script

LITTLE_SPACE = 0.5
"""Gigabytes below which saving notebooks and temporary files may fail in the middle of a lesson."""
KERNEL_TIMEOUT = 60.0
"""Seconds that a kernel may take to start, and once more to load the extension; together it takes about three."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether one thing is as a lesson needs it, and if not, what to do."""

    well: bool
    sentence: str

    def __str__(self) -> str:
        return f"{'ok' if self.well else 'NO'}  {self.sentence}"


def course(place: Path = COURSE) -> Finding:
    """Is this package part of a course? Raises NoCourse where it is not."""
    start_script(place)
    return Finding(True, f"the course is in {place}")


def python() -> Finding:
    """Is this Python a tested one?"""
    found = doctor.python_complaints()
    if found:
        return Finding(False, f"{found[0]} Install Python {_dotted(doctor.TESTED_PYTHONS[1])}, then run `make lab`.")
    return Finding(True, f"Python {_dotted(sys.version_info[:3])} in {sys.prefix}")


def packages() -> Finding:
    """Is every package the tested version?"""
    found = doctor.package_complaints()
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return Finding(False, f"{found[0].rstrip('.')}{more}. {doctor.REPAIR}")
    return Finding(True, "every package is the tested version")


def disk() -> Finding:
    """Is there room for notebooks and for temporary files?"""
    free = {place: shutil.disk_usage(place).free / 1e9 for place in (str(COURSE), tempfile.gettempdir())}
    place, least = min(free.items(), key=lambda item: item[1])
    if least < LITTLE_SPACE:
        return Finding(False, f"{least:.1f} GB are free in {place}: make room, {LITTLE_SPACE:g} GB at least.")
    return Finding(True, f"{least:.1f} GB of disk are free")


def learners_copy(place: Path = COURSE) -> Finding:
    """Can everything in `my/` be written to? Raises NoCourse where there is no course."""
    start = start_script(place)
    my: Path = start.MY
    if not my.is_dir():
        return Finding(False, "my/ is not there yet: `make lab` lays out your copy of the course.")
    try:
        with tempfile.NamedTemporaryFile(dir=my, prefix=".doctor-"):
            pass
    except OSError as error:
        return Finding(False, f"my/ cannot be written to ({error.strerror}): {_own(my)}")
    folders = [my, *(my / name for name in start.LAID_OUT)]
    for path in [*folders, *(path for folder in folders for path in sorted(folder.glob("*")))]:
        if path.exists() and not os.access(path, os.W_OK):
            name = path.relative_to(my.parent).as_posix()
            return Finding(False, f"{name} cannot be written to: {_own(my)}")
    return Finding(True, "my/ can be written to")


def _own(folder: Path) -> str:
    if sys.platform == "win32":
        return f"take away the write protection of {folder} and what is in it."
    return f'if another user (or sudo) made it, `sudo chown -R "$USER" {folder}` makes it yours.'


def port(place: Path = COURSE) -> Finding:
    """Is there a port for JupyterLab? Raises NoCourse where there is no course."""
    start = start_script(place)
    first: int = start.PORT
    free = next((number for number in range(first, first + 100) if not start.taken(number)), None)
    if free is None:
        return Finding(
            False, f"the ports {first} to {first + 99} are all taken: choose one with `make lab ARGS='--port N'`."
        )
    if free != first:
        return Finding(True, f"port {first} is taken (by another JupyterLab?), so the next one takes {free}")
    return Finding(True, f"port {first} is free for JupyterLab")


def practice_server() -> Finding:
    """Does the practice server start and answer?"""
    from awaitsee.practice.handle import PracticeServer, PracticeServerError

    began = perf_counter()
    try:
        server = PracticeServer()
        server.close()
    except PracticeServerError as error:
        words = str(error).rstrip(".")
        return Finding(False, f"{words}. {doctor.REPAIR} If it comes back, let Python use 127.0.0.1 in your firewall.")
    return Finding(True, f"the practice server starts and answers ({perf_counter() - began:.1f} s)")


def kernel(place: Path = COURSE) -> Finding:
    """Does this environment's kernel start, as JupyterLab would start it, and load the course's extension?"""
    from jupyter_client.blocking.client import BlockingKernelClient
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import KernelManager

    specs = KernelSpecManager(kernel_dirs=[str(Path(sys.prefix) / "share" / "jupyter" / "kernels")])
    manager = KernelManager(kernel_name="python3", kernel_spec_manager=specs)
    variables = start_script(place).lab_environment(Path(sys.prefix), "")
    began = perf_counter()
    with tempfile.TemporaryFile() as said:
        manager.start_kernel(env=variables, stdout=said, stderr=said)
        client: BlockingKernelClient = manager.client()
        try:
            client.start_channels()
            client.wait_for_ready(timeout=KERNEL_TIMEOUT)
            reply = client.execute_interactive(
                "%load_ext awaitsee", timeout=KERNEL_TIMEOUT, output_hook=lambda message: None
            )
        except (RuntimeError, TimeoutError) as error:
            said.seek(0)
            lines = said.read().decode(errors="replace").split("\n")
            last = next((line.strip() for line in reversed(lines) if line.strip()), str(error))
            return Finding(False, f"no kernel starts: {last.rstrip('.')}. {doctor.REPAIR}")
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
    if reply["content"]["status"] != "ok":
        reason = f"{reply['content'].get('ename')}: {reply['content'].get('evalue')}"
        return Finding(False, f"a kernel starts, but does not load the course's extension ({reason}). {doctor.REPAIR}")
    return Finding(True, f"a kernel starts and loads the course's extension ({perf_counter() - began:.1f} s)")


def real_model() -> Finding:
    """Is the real small model there? No lesson needs it."""
    from awaitsee.practice.local_model import is_installed

    if is_installed():
        return Finding(True, "the real model of lesson 13 is installed")
    return Finding(True, "the real model of lesson 13 is not installed; it is optional, and `make model` installs it")


CHECKS: Mapping[str, Callable[[], Finding]] = {
    "the course": course,
    "Python": python,
    "the packages": packages,
    "the disk": disk,
    "my/": learners_copy,
    "JupyterLab's port": port,
    "the practice server": practice_server,
    "the kernel": kernel,
    "the real model": real_model,
}
"""What is checked, in this order: quick things first."""


def findings(checks: Mapping[str, Callable[[], Finding]] = CHECKS) -> Iterator[Finding]:
    """Check one thing after the other. A check that fails by itself is a finding, too; without a course it ends."""
    for what, check in checks.items():
        try:
            yield check()
        except NoCourse as error:
            yield Finding(False, str(error))
            return
        except Exception as error:
            reason = str(error).rstrip(".") or type(error).__name__
            yield Finding(False, f"{what} could not be checked: {reason}. {doctor.REPAIR}")


def verdict(found: list[Finding]) -> str:
    """Return the last line of the doctor's report."""
    wrong = sum(not finding.well for finding in found)
    if not wrong:
        return "Everything that a lesson needs is here."
    return "One thing is not as it should be." if wrong == 1 else f"{wrong} things are not as they should be."


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
