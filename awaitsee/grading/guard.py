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
from urllib.parse import unquote, urlsplit

from . import processes
from .collect import SUFFIX

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NEVER = 99
"""The place of a handle in an event that has none."""
_CHANGES = {
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.mkdir": ((0, 2),),
    "os.truncate": ((0, _NEVER),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.utime": ((0, 3),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "shutil.rmtree": ((0, 1),),
    "shutil.move": ((0, _NEVER), (1, _NEVER)),
    "shutil.copyfile": ((1, _NEVER),),
    "shutil.copytree": ((1, _NEVER),),
}
"""Events that change something: where each path stands, and where the handle of a folder that it is relative to."""
_DEVICES = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/ptmx", "/dev/tty"}
"""What may be opened for writing and keeps nothing: no memory that outlives the process, no terminal of others."""


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
        "socket.bind": lambda arguments: _bind(home, arguments[1]),
        "sqlite3.connect": lambda arguments: _database(home, arguments[0]),
    }

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in refused:
            refused[event](arguments)
        for path, handle in _CHANGES.get(event, ()):
            _only_within(home, _from(arguments[handle] if handle < len(arguments) else None, arguments[path]))

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


def _database(home: str, database: Any) -> None:
    """SQLite opens its files itself, and Python tells of that with an event of its own."""
    name = os.fsdecode(database)
    if name.startswith("file:"):
        name = unquote(urlsplit(name).path)
    if name not in ("", ":memory:"):
        _only_within(home, name)


def _bind(home: str, address: Any) -> None:
    # A name that begins with a zero byte is no file.
    if isinstance(address, str | bytes) and not os.fsencode(address).startswith(b"\0"):
        _only_within(home, address)


def _from(handle: Any, path: Any) -> Any:
    """Return a path that is relative to an open folder as one that is not."""
    if handle in (None, -1) or isinstance(path, int):
        return path
    if sys.platform == "darwin":
        import fcntl

        folder = os.fsdecode(fcntl.fcntl(handle, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))
    else:
        folder = os.readlink(f"/proc/self/fd/{handle}")
    return os.path.join(folder, os.fsdecode(path))


def _real(path: Any) -> str:
    return os.path.realpath(os.fsdecode(path))


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)


def _only_within(home: str, path: Any) -> None:
    if isinstance(path, int):
        return
    real = _real(path)
    if not _lies_in(real, home) and real not in _DEVICES:
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
