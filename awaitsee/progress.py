"""What a learner has done so far, kept in a file of the learner's own folder: `my/`, or what AWAITSEE_MY names."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

State = Literal["tried", "done"]

HOME = Path(os.environ.get("AWAITSEE_MY") or Path(__file__).resolve().parents[1] / "my")
FILE = HOME / "progress.json"
STALE = 1.0
"""Seconds after which a lock counts as left behind by a kernel that died."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one exercise is. Times are local, in ISO format."""

    state: State
    tries: int
    first: str
    last: str


def read(file: Path = FILE) -> dict[str, Progress]:
    """Return the progress by exercise number; empty when there is none. A damaged file is put aside and dated."""
    if not file.exists():
        return {}
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return {
            number: Progress(entry["state"], int(entry["tries"]), entry["first"], entry["last"])
            for number, entry in kept.items()
        }
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        aside = file.with_name(f"{file.stem}.damaged-{datetime.now():%Y-%m-%d-%H%M%S}{file.suffix}")
        file.replace(aside)
        print(
            f"The list of your finished exercises could not be read: it is kept as {aside.name}, and a new one begins."
        )
        return {}


def note(number: str, state: State, file: Path = FILE) -> None:
    """Note that an exercise was tried or done. What is done stays done.

    Raises OSError when the file cannot be written; it is left as it was then.
    """
    with _locked(file):
        _note(number, state, file)


def _note(number: str, state: State, file: Path) -> None:
    everything = read(file)
    before = everything.get(number)
    now = f"{datetime.now():%Y-%m-%dT%H:%M:%S}"
    everything[number] = Progress(
        state="done" if before and before.state == "done" else state,
        tries=before.tries + 1 if before else 1,
        first=before.first if before else now,
        last=now,
    )
    _write(everything, file)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Let one kernel at a time change the file; a lock that is older than `STALE` seconds was left behind."""
    lock = file.with_name(f".{file.name}.lock")
    deadline = time.monotonic() + STALE
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
            break
        except FileExistsError:
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _write(everything: dict[str, Progress], file: Path) -> None:
    # Two kernels may write at once: a rename never leaves half a file behind.
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".progress-", suffix=".json")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump({number: asdict(entry) for number, entry in sorted(everything.items())}, stream, indent=1)
        Path(name).replace(file)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def is_learners_copy(folder: Path) -> bool:
    """Tell whether a notebook in `folder` is the learner's own; only those count."""
    return HOME in [folder, *folder.parents]
