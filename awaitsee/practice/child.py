"""A server in a child process: start it, hear where it listens, end it. `lifeline` is the child's side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

START_TIMEOUT = 30.0
"""Seconds until a server that says nothing counts as failed; the practice server takes well under one."""


class ChildFailed(RuntimeError):
    """The child ended or kept silent; the message is its last words."""


class Child:
    """A module of this package that runs as a server in a process of its own and dies with this one.

    It prints one line of JSON when it is ready, which is `said`.

    Raises:
        ChildFailed: It did not come up.
    """

    def __init__(self, module: str, environment: Mapping[str, str], timeout: float = START_TIMEOUT) -> None:
        self.owner = os.getpid()
        # kept for the words that a server which cannot start says; a pipe that nobody reads could fill up and block it
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        package_folder = str(Path(__file__).resolve().parents[2])
        search_path = [package_folder, *filter(None, [os.environ.get("PYTHONPATH")])]
        options: dict[str, Any] = (
            {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}  # type: ignore[attr-defined,unused-ignore]
            if sys.platform == "win32"
            else {"start_new_session": True}
        )
        # -P: a learner's queue.py or random.py in the current folder must not become part of the server
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(search_path), **environment},
            **options,
        )
        assert self._process.stdout is not None
        try:
            self.said: dict[str, Any] = json.loads(_first_line(self._process.stdout, timeout))
        except ValueError:
            self._process.kill()
            self._process.wait()
            reason = self._last_words()
            self.stop()
            raise ChildFailed(reason) from None

    @property
    def running(self) -> bool:
        """Whether it lives and belongs to this process."""
        return self.owner == os.getpid() and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def stop(self) -> None:
        """End it; a second call does nothing, and a fork's copy only lets go of it."""
        for file in (self._process.stdin, self._process.stdout, self._errors):
            if file is not None:
                file.close()
        if self.owner != os.getpid():
            # a fork's copy of the handle: the server belongs to the process that was forked
            return
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing.")


def _first_line(pipe: IO[bytes], timeout: float) -> bytes:
    """Read a line, or give up; pipes know no timeout on every system, so a thread does the reading."""
    lines: list[bytes] = []
    reader = threading.Thread(target=lambda: lines.append(pipe.readline()), daemon=True)
    reader.start()
    reader.join(timeout)
    return lines[0] if lines else b""
