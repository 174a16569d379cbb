"""What a learner has done so far, kept in a file of the learner's own folder `my/`."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

State = Literal["tried", "done"]

HOME = Path(__file__).resolve().parents[1] / "my"
FILE = HOME / "progress.json"


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
        return {number: Progress(**entry) for number, entry in json.loads(file.read_text(encoding="utf-8")).items()}
    except (ValueError, TypeError, AttributeError):
        aside = file.with_name(f"{file.stem}.damaged-{datetime.now():%Y-%m-%d-%H%M%S}{file.suffix}")
        file.replace(aside)
        print(
            f"The list of your finished exercises could not be read: it is kept as {aside.name}, and a new one begins."
        )
        return {}


def note(number: str, state: State, file: Path = FILE) -> None:
    """Note that an exercise was tried or done. What is done stays done. A file that cannot be written is left alone."""
    everything = read(file)
    before = everything.get(number)
    now = f"{datetime.now():%Y-%m-%dT%H:%M:%S}"
    everything[number] = Progress(
        state="done" if before and before.state == "done" else state,
        tries=before.tries + 1 if before else 1,
        first=before.first if before else now,
        last=now,
    )
    try:
        _write(everything, file)
    except OSError as error:
        print(f"Your progress could not be noted ({error.strerror}); the exercise counts all the same.")


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
