"""`practice_server()`: start the practice server as a child process, point the clients at it, read its journal."""

from __future__ import annotations

import atexit
import http.client
import json
import os
import secrets
import threading
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any
from urllib.parse import quote

from ..journal import Bill, Request, register, unregister
from .child import Child, ChildFailed
from .environment import LOOPBACK, Environment, past_proxies
from .outbox import Mail
from .providers import ProviderError, RealProvider, real_provider
from .settings import Fault, Settings

__all__ = ["PracticeServer", "PracticeServerError", "ProviderError", "RealProvider", "practice_server"]


CALL_TIMEOUT = 10.0
"""Seconds that a call for configuration or the journal may take; it usually takes a few milliseconds."""
CLOCK_SAMPLES = 5


class PracticeServerError(RuntimeError):
    """The practice server could not be started, or does not answer any more."""


class PracticeServer:
    """The handle to a running practice server. `practice_server()` makes it."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._child: Child | None = None
        self._environment = Environment()
        self._settings = Settings()
        self._port = 0
        self._model = self._embedding_model = ""
        self._start()
        atexit.register(self._stop)

    # --- where it is

    @property
    def url(self) -> str:
        """Where it listens, such as `http://127.0.0.1:40123`."""
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def model(self) -> str:
        """The name of its chat model."""
        return self._model

    @property
    def embedding_model(self) -> str:
        """The name of its embedding model."""
        return self._embedding_model

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that point OpenAI's, Anthropic's and Ollama's clients at it."""
        return _variables(self.url, self.model)

    @property
    def owner(self) -> int:
        """The id of the process that it belongs to: in a fork, another one than this."""
        return self._owner

    @property
    def running(self) -> bool:
        """Whether its process lives and belongs to this one."""
        return self._child is not None and self._child.running

    # --- what it does

    def configure(self, **settings: Any) -> None:
        """Change some of the settings of `practice_server`; it takes effect at once, and the others stay.

        Raises:
            ValueError: A setting is unknown or makes no sense; nothing was changed then.
            PracticeServerError: The server does not answer.
        """
        self._configure(settings, whole=False)

    def reset(self) -> None:
        """Empty the journal and begin again with peak, bill, the plan of faults and all random draws; settings stay."""
        self._call("POST", "reset")

    def close(self) -> None:
        """Stop the server and put the environment back as it was. A second call does nothing."""
        global _current
        self._stop()
        unregister(self)
        self._environment.restore()
        atexit.unregister(self._stop)
        if _current is self:
            _current = None

    # --- what it saw

    @property
    def journal(self) -> list[Request]:
        """Every request since the last reset, in order of arrival."""
        return self.requests()

    def requests(self, run: str | None = None) -> list[Request]:
        """Return the journal, or only the requests labelled with `run`."""
        query = f"?run={quote(run)}" if run is not None else ""
        return [self._request(record) for record in self._call("GET", f"journal{query}")]

    @property
    def peak(self) -> int:
        """The most requests in flight at once since the last reset: those that held or waited for a slot."""
        return int(self._call("GET", "peak")["peak"])

    def bill(self, *, lifetime: bool = False) -> Bill:
        """Return what the requests cost since the last reset, or since the server started."""
        return Bill(**self._call("GET", "bill")["lifetime" if lifetime else "journal"])

    @property
    def outbox(self) -> list[Mail]:
        """Every mail that was really sent since the last reset, in order."""
        return [Mail(**record) for record in self._call("GET", "outbox")]

    def __repr__(self) -> str:
        usual = Settings().as_json()
        changed = {name: value for name, value in self._settings.as_json().items() if value != usual[name]}
        if self._settings.faults:
            changed["faults"] = len(self._settings.faults)
        listed = "".join(f", {name}={value}" for name, value in changed.items())
        return f"PracticeServer({self.url if self.running else 'not running'}, model={self._model}{listed})"

    # --- the child process

    def _start(self) -> None:
        """Start the process, at the same port as one that died before if that is free, and point the clients at it."""
        self._token = secrets.token_urlsafe(24)
        environment = {
            "AWAITSEE_PRACTICE_TOKEN": self._token,
            "AWAITSEE_PRACTICE_PORT": str(self._port),
            # aiohttp reads all root certificates when it is imported, a sixth of the start, and nothing here uses TLS
            "SSL_CERT_FILE": os.devnull,
        }
        try:
            self._child = Child("awaitsee.practice.server", environment)
        except ChildFailed as failure:
            raise PracticeServerError(f"The practice server could not start: {failure}") from None
        said = self._child.said
        self._port, self._model, self._embedding_model = said["port"], said["model"], said["embedding_model"]
        self._offset = self._measure_clock()
        self._environment.set(self.variables)
        register(self)

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.stop()

    def _configure(self, settings: Mapping[str, Any], *, whole: bool) -> None:
        wanted = (Settings() if whole else self._settings).changed(settings)
        changes = wanted.as_json()
        sent = changes if whole else {name: changes[name] for name in settings}
        self._call("POST", "configure", {"settings": sent, "whole": whole})
        self._settings = wanted

    def _call(self, method: str, name: str, body: Mapping[str, Any] | None = None) -> Any:
        if self._child is None:
            raise PracticeServerError("The practice server was closed: call practice_server() to start a new one.")
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=CALL_TIMEOUT)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, f"/_practice/{name}", content, {"x-awaitsee-token": self._token})
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise PracticeServerError(
                f"The practice server at {self.url} does not answer: call practice_server() to start a new one."
            ) from error
        finally:
            connection.close()
        if response.status == 400:
            raise ValueError(answer["error"])
        if response.status != 200:
            raise PracticeServerError(
                f"Another program answers at {self.url}: call practice_server() to start a new server."
            )
        return answer

    def _measure_clock(self) -> float:
        """Return what to add to the server's clock to get this process's, from the quickest of a few round trips."""
        samples = []
        for _ in range(CLOCK_SAMPLES):
            asked = perf_counter()
            theirs = self._call("GET", "time")["time"]
            answered = perf_counter()
            samples.append((answered - asked, (asked + answered) / 2 - theirs))
        trip, offset = min(samples)
        # most systems have one such clock for all processes: a difference within the error of measurement is none
        return 0.0 if abs(offset) <= trip / 2 else offset

    def _request(self, record: dict[str, Any]) -> Request:
        for name in ("arrived", "started", "first_byte", "finished"):
            if record[name] is not None:
                record[name] += self._offset
        return Request(**record)


_current: PracticeServer | RealProvider | None = None
_lock = threading.Lock()


def practice_server(
    latency: float | Mapping[str, float] = 0.0,
    *,
    jitter: float = 0.0,
    tokens_per_second: float | None = None,
    capacity: int | None = None,
    requests_per_minute: float | None = None,
    tokens_per_minute: float | None = None,
    faults: Sequence[Fault] = (),
    seed: int = 0,
) -> PracticeServer | RealProvider:
    """Start the practice server, or take this process's running one, and point the clients at it.

    Those of OpenAI, Anthropic and Ollama take the address from this process's environment. The server is a process of
    its own on this machine. A running one gets exactly these settings, the rest at their defaults, and an empty
    journal.

    With the environment variable `AWAITSEE_PROVIDER` set to `openai`, `anthropic`, `ollama` or `local`, OpenAI's
    clients reach that provider instead; the handle that comes back has the same face, but nothing to configure and an
    empty journal.

    Args:
        latency: Seconds to the first token, or seconds by start of the path, such as `{"/v1": 1.0, "/search": 0.3}`.
        jitter: Sigma of the lognormal factor on the latency; 0 means exact.
        tokens_per_second: Speed of the answers; `None` means all at once.
        capacity: How many requests the model works on at once, while the others queue; `None` means any number.
        requests_per_minute: Rate limit of the model, answered with a 429 beyond; at most a second's worth at once.
        tokens_per_minute: The same for the tokens of requests and answers.
        faults: What goes wrong on purpose.
        seed: Start of all random draws.

    Raises:
        ValueError: A setting makes no sense.
        PracticeServerError: The server could not be started.
        ProviderError: The provider that `AWAITSEE_PROVIDER` names cannot be used; the message says what to do.
    """
    settings = {
        "latency": latency,
        "jitter": jitter,
        "tokens_per_second": tokens_per_second,
        "capacity": capacity,
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
        "faults": faults,
        "seed": seed,
    }
    Settings().changed(settings)
    with _lock:
        provider = os.environ.get("AWAITSEE_PROVIDER", "").strip().lower() or "practice"
        return _practice(settings) if provider == "practice" else _real(provider)


def _practice(settings: Mapping[str, Any]) -> PracticeServer:
    global _current
    if not isinstance(_current, PracticeServer) or _current.owner != os.getpid():
        if _current is not None:
            _current.close()
        _current = PracticeServer()
        print(f"Practice server at {_current.url} (this machine only; no key, no cost).")
    elif not _current.running:
        _current._stop()
        _current._start()
        print(f"The practice server had stopped; a new one runs at {_current.url}.")
    _current._configure(settings, whole=True)
    _current.reset()
    return _current


def _real(provider: str) -> RealProvider:
    global _current
    if isinstance(_current, RealProvider) and _current.name == provider and not _current.closed:
        return _current
    if _current is not None:
        _current.close()
        _current = None
    _current = real_provider(provider)
    return _current


def _variables(url: str, model: str) -> dict[str, str]:
    """Return what points the clients of the process at the server."""
    return {
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_BASE": f"{url}/v1",
        "OPENAI_API_KEY": "practice",
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "practice",
        "OLLAMA_HOST": url,
        "AWAITSEE_MODEL": model,
        **past_proxies(),
    }
