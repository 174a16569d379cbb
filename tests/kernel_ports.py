"""Gives the kernels that tests start ports that nobody else takes meanwhile.

jupyter_client asks the system for a free port, lets it go, and the kernel binds it about a second later. With several
workers that start kernels and servers, somebody else has it by then now and then: "Address already in use". Ports below
the range from which systems hand out free ones are only taken by those who name them.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
from collections.abc import Iterator

import pytest

LOWEST, HIGHEST = 10_000, 32_000


def _ports() -> Iterator[int]:
    """Yield ports in a circle, beginning somewhere else in each process."""
    port = random.Random(os.getpid()).randrange(LOWEST, HIGHEST)
    while True:
        port = port + 1 if port < HIGHEST else LOWEST
        yield port


def find_available_port(ip: str, ports: Iterator[int]) -> int:
    """Return the next port that is free."""
    for port in ports:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((ip, port))
            return port
    raise AssertionError("a circle has no end")


def pytest_configure(config: pytest.Config) -> None:
    try:
        from jupyter_client.connect import LocalPortCache
    except ImportError:
        return
    ports = _ports()
    LocalPortCache.find_available_port = lambda self, ip: find_available_port(ip, ports)  # type: ignore[method-assign]
