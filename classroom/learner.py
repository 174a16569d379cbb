"""Starts one learner's JupyterLab on a class server, after laying out their copy of the course in ~/my.

JupyterHub runs this, as the learner, with the course's own Python: see jupyterhub_config.py.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

COURSE = Path(__file__).resolve().parents[1]
MY = Path.home() / "my"
NAME = os.environ.get("JUPYTERHUB_USER") or getpass.getuser()
IDLE = 1800
"""Seconds after which a kernel is ended that does nothing and whose notebook no browser shows: its memory is needed."""


def lay_out() -> None:
    """Bring the learner's copy up to date. What goes wrong is told in the log and does not keep the learner out."""
    MY.mkdir(parents=True, exist_ok=True)
    # start.py reads the variable when it is imported.
    sys.path.insert(0, str(COURSE))
    import start

    try:
        start.lay_out()
    except (OSError, start.Stop) as error:
        print(f"The copy of {NAME} was not laid out: {error}", flush=True)


def runtime_folder() -> str:
    """A new folder for the sockets of kernels, in place of those that this learner's earlier servers left behind.

    It is not in the home folder: the name of a socket has at most 107 characters, and a home folder's may be too long.
    """
    prefix = f"awaitsee-{NAME}-"
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        if re.fullmatch(r"[a-z0-9_]{8}", folder.name.removeprefix(prefix)) and folder.stat().st_uid == os.geteuid():
            shutil.rmtree(folder, ignore_errors=True)
    return tempfile.mkdtemp(prefix=prefix)


def command(arguments: list[str]) -> list[str]:
    """The command of the single-user server."""
    options = {
        # Files instead of ports: with many kernels starting at once two would be given the same port, and what a kernel
        # prints could be read at its ports by every account of the machine.
        "KernelManager.transport": "ipc",
        "MappingKernelManager.cull_idle_timeout": str(IDLE),
        "LabApp.extension_manager": "readonly",
        # Looking for language servers runs npm at each start.
        "LanguageServerManager.autodetect": "False",
    }
    return [
        sys.executable,
        "-m",
        "jupyterhub.singleuser",
        *(f"--{name}={value}" for name, value in options.items()),
        *arguments,
    ]


def main() -> None:
    """Lay out, then become the single-user server."""
    os.umask(0o077)
    os.environ["AWAITSEE_MY"] = str(MY)
    lay_out()
    os.environ.update(
        JUPYTER_PREFER_ENV_PATH="1",
        PYDEVD_DISABLE_FILE_VALIDATION="1",
        JUPYTER_RUNTIME_DIR=runtime_folder(),
    )
    as_root = ["--allow-root"] if os.geteuid() == 0 else []
    os.execv(sys.executable, command([*as_root, *sys.argv[1:]]))


if __name__ == "__main__":
    main()
