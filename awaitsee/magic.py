"""`%awaitsee progress`: the command line's `awaitsee progress` in a cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

NAME = "awaitsee"


def run(line: str) -> None:
    """Print what a line after `%awaitsee` asks for."""
    if line.strip() != "progress":
        print("There is one such line: %awaitsee progress")
        return
    from awaitsee import overview, progress

    print(overview.describe(overview.lessons(), progress.read()))


def register(shell: InteractiveShell) -> Callable[[], None]:
    """Make the magic known to a shell; the returned function takes it back."""
    known = shell.magics_manager.magics["line"]
    before = known.get(NAME)
    shell.register_magic_function(run, "line", NAME)  # type: ignore[arg-type]  # its decorator hides `self`

    def undo() -> None:
        if before is not None:
            known[NAME] = before
        elif known.get(NAME) is run:
            del known[NAME]

    return undo
