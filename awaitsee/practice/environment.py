"""Environment variables that are set for a while and given back afterwards."""

from __future__ import annotations

import os
from collections.abc import Mapping


class Environment:
    """Sets variables of this process and keeps what they were before, in memory only."""

    def __init__(self) -> None:
        self._before: dict[str, str | None] = {}
        self._set: dict[str, str] = {}

    def set(self, variables: Mapping[str, str]) -> None:
        """Set variables; what was there before the first time is kept."""
        for name, value in variables.items():
            self._before.setdefault(name, os.environ.get(name))
            self._set[name] = os.environ[name] = value

    def restore(self) -> None:
        """Put back what was there, except where somebody else has set the variable since."""
        for name, before in self._before.items():
            if os.environ.get(name) != self._set[name]:
                continue
            if before is None:
                del os.environ[name]
            else:
                os.environ[name] = before
        self._before.clear()
        self._set.clear()


LOOPBACK = "127.0.0.1"


def past_proxies() -> dict[str, str]:
    """Return the variables that keep requests to this machine's servers away from any proxy."""
    return {name: _with_loopback(os.environ.get(name, "")) for name in ("NO_PROXY", "no_proxy")}


def _with_loopback(hosts: str) -> str:
    listed = [host.strip() for host in hosts.split(",") if host.strip()]
    return ",".join(listed if LOOPBACK in listed else [*listed, LOOPBACK])
