"""What holds the kernel of a submission back, inside the kernel: a seat belt, no wall.

Python tells its audit hooks what it is about to do, and a hook can refuse. `fasten` refuses to write, move or delete
outside the submission's own folder, to read what the course keeps from learners, to connect to other machines, and to
send signals to processes that the kernel did not start. It binds the Python code of this process and of its forks. It
does not bind other programs that it starts, nor code in C, such as what ctypes can reach.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Any

from . import processes
from .collect import SUFFIX

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_ONE_PATH = {
    "os.remove": 1,
    "os.rmdir": 1,
    "os.mkdir": 2,
    "os.truncate": None,
    "os.chmod": 2,
    "os.chown": 3,
    "os.utime": 3,
    "shutil.rmtree": 1,
}
"""Events about one path, and where a folder's handle stands that it is relative to."""
_TWO_PATHS = {"os.rename", "os.link", "shutil.move", "shutil.copyfile", "shutil.copytree"}


def fasten(folder: str, private: Iterable[str] = (), handed_in: str = "") -> None:
    """Hold this process back for the rest of its life.

    It may write in `folder` alone, and read neither what is in the folders `private` nor the notebooks in `handed_in`.
    """
    home = os.path.realpath(folder)
    closed = [os.path.realpath(path) for path in private]
    others = os.path.realpath(handed_in) if handed_in else ""
    refused: dict[str, Callable[[tuple[Any, ...]], None]] = {
        "socket.connect": lambda arguments: _only_here(arguments[1]),
        "socket.sendto": lambda arguments: _only_here(arguments[1]),
        "socket.getaddrinfo": lambda arguments: _only_names_from_here(arguments[0]),
        "socket.gethostbyname": lambda arguments: _only_names_from_here(arguments[0]),
        "os.kill": lambda arguments: _only_own_processes(arguments[0]),
        "os.killpg": lambda arguments: _only_own_processes(arguments[0]),
        "open": lambda arguments: _open(home, closed, others, *arguments),
        "os.symlink": lambda arguments: _only_within(home, arguments[1]),
    }

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in refused:
            refused[event](arguments)
        elif event in _ONE_PATH:
            at = _ONE_PATH[event]
            # A path that is relative to an open folder: opening the folder's tree was asked for before.
            if at is None or len(arguments) <= at or arguments[at] in (-1, None):
                _only_within(home, arguments[0])
        elif event in _TWO_PATHS:
            if event in ("os.rename", "shutil.move"):
                _only_within(home, arguments[0])
            _only_within(home, arguments[1])

    sys.addaudithook(hook)


def _open(home: str, closed: list[str], others: str, path: Any, mode: Any, flags: Any) -> None:
    if isinstance(path, int) or path is None:
        return
    if isinstance(flags, int) and flags & _WRITES:
        _only_within(home, path)
        return
    real = _real(path)
    is_anothers = others and real.endswith(SUFFIX) and _lies_in(real, others) and not _lies_in(real, home)
    if is_anothers or any(_lies_in(real, each) for each in closed):
        raise PermissionError(f"While a submission is checked, {real} cannot be read.")


def _real(path: Any) -> str:
    return os.path.realpath(os.fsdecode(path))


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)


def _only_within(home: str, path: Any) -> None:
    if isinstance(path, int):
        return
    real = _real(path)
    if not _lies_in(real, home) and not _lies_in(real, "/dev"):
        raise PermissionError(f"While a submission is checked, it can change files in its own folder only, not {real}.")


def _only_here(address: Any) -> None:
    if isinstance(address, tuple) and not _is_loopback(address[0]):
        raise PermissionError(f"While a submission is checked, it can reach this machine only, not {address[0]}.")


def _only_names_from_here(host: Any) -> None:
    name = os.fsdecode(host) if host else ""
    if name and not _is_loopback(name) and name != socket.gethostname():
        raise socket.gaierror(socket.EAI_NONAME, f"{name} is not looked up while a submission is checked")


def _is_loopback(host: Any) -> bool:
    name = str(host).partition("%")[0]
    if name in ("localhost", "0.0.0.0", "::", ""):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _only_own_processes(pid: int) -> None:
    if pid not in (0, os.getpid()) and pid not in processes.below(os.getpid()):
        raise PermissionError("While a submission is checked, it can send signals to its own processes only.")
