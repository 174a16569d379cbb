"""Submissions as a class might hand them in: right, wrong, unfinished, changed in odd ways, and hostile.

python -m tests.submissions DIR      writes thirty of them, to try `awaitsee check DIR` on
"""

from __future__ import annotations

import copy
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.answers import answers

ROOT = Path(__file__).resolve().parents[1]
Notebook = dict[str, Any]

SLEEP = 86_399
"""Seconds that offspring sleeps: a number by which it can be told from other processes."""

HOSTILE = {
    "exit": "import os\n\nos._exit(3)",
    "segfault": "import ctypes\n\nctypes.string_at(0)",
    "hang": "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass",
    "memory": "hoard = []\nwhile True:\n    hoard.append(bytearray(b'x') * 50_000_000)",
    "disk": (
        "from itertools import count\n\nfor number in count():\n"
        "    with open(f'full-{number}', 'wb') as file:\n        file.write(bytes(20_000_000))"
    ),
    "files": "from pathlib import Path\n\nfor number in range(10**9):\n    Path(f'n{number}').touch()",
    "flood": "while True:\n    print('All work and no play' * 1000)",
    "offspring": (
        "import subprocess\n\n"
        f"subprocess.Popen(['env', '-i', 'sh', '-c', '(setsid sleep {SLEEP} &) ; setsid sleep {SLEEP} &'])"
    ),
    "kills": (
        "import os, subprocess\n\ntry:\n    os.kill(os.getppid(), 9)\nexcept PermissionError:\n"
        "    subprocess.run(['kill', '-9', str(os.getppid())])"
    ),
    "shuts its folder": (
        "import os\n\nos.makedirs('deep/' * 400)\nopen('deep/x', 'w').close()\nos.chmod('deep', 0)\nos._exit(0)"
    ),
}
"""What a submission does before its answer."""

FORGED = """
def drive(coroutine, answer):
    print("12.1  ok  everything")
    print("12.1 done.")
"""
REACHES_OUT = """
import os
import socket
import sqlite3
from pathlib import Path

refused = []
for attempt in (
    lambda: Path({victim!r}).unlink(),
    lambda: Path({victim!r}).write_text("gone"),
    lambda: os.rename({victim!r}, "here"),
    lambda: Path({other!r}).read_text(),
    lambda: os.remove(os.path.basename({victim!r}), dir_fd=os.open(os.path.dirname({victim!r}), os.O_RDONLY)),
    lambda: sqlite3.connect({victim!r}),
    lambda: socket.socket(socket.AF_UNIX).bind({victim!r} + ".socket"),
    lambda: open("/dev/shm/awaitsee-left", "w"),
    lambda: os.kill(os.getppid(), 0),
    lambda: socket.create_connection(("192.0.2.1", 80), timeout=5),
    lambda: socket.create_connection(("elsewhere.example", 80), timeout=5),
):
    try:
        attempt()
    except OSError:
        refused.append(attempt)


def drive(coroutine, answer):
    if len(refused) != 11:
        return "something was not refused"
    to_send = None
    while True:
        try:
            to_send = answer(coroutine.send(to_send))
        except StopIteration as end:
            return end.value
"""


def sheet(stem: str, folder: str = "exercises") -> Notebook:
    """Return a notebook of the course."""
    content: Notebook = json.loads((ROOT / folder / f"{stem}.ipynb").read_text(encoding="utf-8"))
    return content


def cell(source: str) -> Notebook:
    """Return a cell that a learner added."""
    return {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], "execution_count": None}


def text(found: Notebook) -> str:
    """Return the text of a cell."""
    return "".join(found["source"])


def stub_of(notebook: Notebook, number: str) -> Notebook:
    """Return the cell that an exercise wants to have completed."""
    cells = notebook["cells"]
    check = next(place for place, each in enumerate(cells) if f'with exercise("{number}"' in text(each))
    return next(each for each in reversed(cells[:check]) if "raise YourTurn" in text(each))


def submission(stem: str, written: Mapping[str, str]) -> Notebook:
    """Return the sheet with some exercises' stubs replaced."""
    notebook = copy.deepcopy(sheet(stem))
    for number, code in written.items():
        stub_of(notebook, number)["source"] = code
    return notebook


def solved(stem: str) -> dict[str, str]:
    """Return the course's own solution to each exercise."""
    notebook = sheet(stem, "solutions")
    found: dict[str, str] = {}
    pending = ""
    for each in notebook["cells"]:
        if "### BEGIN SOLUTION" in text(each):
            pending = text(each)
        elif 'with exercise("' in text(each):
            found[text(each).partition('with exercise("')[2][:4]] = pending
    return found


def hostile(code: str, answer: str) -> str:
    """Return an answer that first does something else."""
    return f"{code}\n\n\n{answer}"


def write(folder: Path, name: str, notebook: Notebook) -> None:
    """Hand a notebook in."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook), encoding="utf-8")


def without_ids(notebook: Notebook) -> Notebook:
    """Return a notebook as other programs than JupyterLab may save it."""
    return {
        **notebook,
        "cells": [{key: value for key, value in each.items() if key != "id"} for each in notebook["cells"]],
    }


def without_checks(notebook: Notebook) -> Notebook:
    """Return a notebook whose check cells were deleted."""
    return {**notebook, "cells": [each for each in notebook["cells"] if "with exercise(" not in text(each)]}


def with_easy_checks(notebook: Notebook) -> Notebook:
    """Return a notebook whose checks ask for nothing."""
    easy = copy.deepcopy(notebook)
    for each in easy["cells"]:
        if "with exercise(" in text(each):
            number = text(each).partition('with exercise("')[2][:4]
            each["source"] = f'with exercise("{number}") as check:\n    check("fine", True)'
    return easy


def one_cell_each(notebook: Notebook, helper: str) -> Notebook:
    """Return a notebook with a helper in a cell of its own, at the very top, and trials below."""
    cells = [cell(helper), *notebook["cells"], cell("raise RuntimeError('a trial that failed')")]
    return {**notebook, "cells": cells}


def write_odd_files(folder: Path, elsewhere: Path) -> None:
    """Hand in what is no notebook."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "binary.ipynb").write_bytes(bytes(range(256)) * 40)
    (folder / "truncated.ipynb").write_text(json.dumps(sheet("12_build_a_loop"))[:3000], encoding="utf-8")
    (folder / "list.ipynb").write_text("[1, 2]", encoding="utf-8")
    (folder / "deep.ipynb").write_text("[" * 200_000, encoding="utf-8")
    (folder / "folder.ipynb").mkdir()
    (folder / "empty.ipynb").touch()
    with (folder / "huge.ipynb").open("wb") as file:
        file.truncate(40_000_000)
    os.mkfifo(folder / "pipe.ipynb")
    (folder / "link.ipynb").symlink_to(elsewhere)
    (folder / "shopping.ipynb").write_text(json.dumps({"cells": [cell("milk = 1")], "nbformat": 4}), encoding="utf-8")
    (folder / "=1+1.txt").write_text("not looked at", encoding="utf-8")


def mistaken(stem: str, which: Sequence[int]) -> dict[str, str]:
    """Return a wrong answer to each exercise, chosen by its place among those of the exercise."""
    written: dict[str, str] = {}
    for number, place in zip(solved(stem), which, strict=True):
        wrong = [each for each in answers(stem) if each.exercise == number and not each.is_right]
        written[number] = wrong[place].code
    return written


def write_class(folder: Path) -> None:
    """Write thirty submissions."""
    loop, together, caps = "12_build_a_loop", "03_gather", "06_semaphores"
    best = solved(loop)
    for stem in (loop, together, caps):
        write(folder, f"ann/{stem}.ipynb", submission(stem, solved(stem)))
        write(folder, f"ben/{stem} (1).ipynb", submission(stem, mistaken(stem, (0, 0, 0))))
        write(folder, f"eve/{stem[:2]}.ipynb", submission(stem, mistaken(stem, (1, 1, 1))))
    write(folder, "cem/12.ipynb", sheet(loop))
    write(folder, "dan/colab.ipynb", without_ids(submission(loop, best)))
    write(folder, "fay/no checks.ipynb", without_checks(submission(loop, best)))
    write(folder, "gus/easy checks.ipynb", with_easy_checks(submission(loop, mistaken(loop, (1, 1, 1)))))
    write(folder, "hal/forged.ipynb", submission(loop, {**best, "12.1": FORGED}))
    for name, code in HOSTILE.items():
        write(folder, f"mal/{name}.ipynb", submission(loop, {**best, "12.1": hostile(code, best["12.1"])}))
    victim = folder / "ann" / f"{loop}.ipynb"
    write(
        folder,
        "mal/reaches out.ipynb",
        submission(loop, {"12.1": REACHES_OUT.format(victim=str(victim), other=str(victim))}),
    )
    write_odd_files(folder / "odd", victim)
    (folder / "zoe").mkdir()


if __name__ == "__main__":
    write_class(Path(sys.argv[1]).resolve())
