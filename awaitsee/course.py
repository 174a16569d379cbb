"""The course's folder, which a package installed by itself does not have, and its start.py."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

COURSE = Path(__file__).resolve().parents[1]
"""Where the course is, if this package is installed from it."""


class NoCourse(RuntimeError):
    """The course's folder is not here; the message says what to do."""


def start_script(course: Path = COURSE) -> ModuleType:
    """Load the course's start.py as a module: it knows how the learner's copy is laid out.

    Raises:
        NoCourse: There is no course here.
    """
    script = course / "start.py"
    # Beside an installed package, a start.py could be anybody's.
    if not (script.is_file() and (course / "notebooks").is_dir() and (course / "requirements.txt").is_file()):
        raise NoCourse(
            "The course is not here, only its package: run this with the awaitsee in the .venv that `make lab` made."
        )
    spec = spec_from_file_location("awaitsee_start", script)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
