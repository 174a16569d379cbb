"""A real provider in place of the practice server, with the same face."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from ..journal import Bill, Price, Request
from .costs import estimate
from .environment import Environment
from .local_model import INSTALL, is_installed, local_model
from .outbox import Mail

PROVIDERS = ("practice", "openai", "anthropic", "ollama", "local")
OPENAI_URL = "https://api.openai.com/v1"
OPENAI_MODEL = "gpt-4o-mini"
OPENAI_EMBEDDING_MODEL = "text-embedding-3-small"
OPENAI_PRICES = {OPENAI_MODEL: Price(input=0.15, output=0.60)}
"""US dollars for a million tokens, in November 2026."""
ANTHROPIC_URL = "https://api.anthropic.com/v1"
"""Anthropic answers requests in OpenAI's format too, so the cells stay as they are: https://platform.claude.com/docs"""
ANTHROPIC_MODEL = "claude-haiku-4-5"
OLLAMA_MODEL = "llama3.2"
OLLAMA_EMBEDDING_MODEL = "nomic-embed-text"
OLLAMA_HOST = "http://127.0.0.1:11434"
FIRST_CALL_TOKENS = 16
"""The longest answer to the call that tries a key out: some models refuse to answer with less."""
TIMEOUT = 20.0
"""Seconds that a provider may take for it."""

_OFF = "Faults, journal and latency settings are off."


class ProviderError(RuntimeError):
    """The provider asked for cannot be used; the message says what to do."""


class RealProvider:
    """Stands where `PracticeServer` would: it knows the model; the rest is off."""

    def __init__(self, name: str, url: str, model: str, embedding_model: str, variables: Mapping[str, str]) -> None:
        self.name = name
        self.url = url
        self.model = model
        self.embedding_model = embedding_model
        self.closed = False
        self._said = False
        self._environment = Environment()
        self._environment.set({**variables, "AWAITSEE_MODEL": model})

    def configure(self, **settings: Any) -> None:
        """Change nothing, and say so the first time."""
        if not self._said:
            self._said = True
            print(f"{self.name} cannot be configured: latency, limits and faults are the practice server's.")

    @property
    def journal(self) -> list[Request]:
        """Always empty."""
        return []

    def requests(self, run: str | None = None) -> list[Request]:
        """Return nothing: only the practice server keeps a journal."""
        return []

    @property
    def peak(self) -> int:
        """Always 0: nobody counts."""
        return 0

    def bill(self, *, lifetime: bool = False) -> Bill:
        """Return an empty bill: the provider's own page has the true one."""
        return Bill(0, 0, 0)

    @property
    def outbox(self) -> list[Mail]:
        """Always empty: only the practice server takes mail."""
        return []

    def reset(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Put the environment back as it was. A second call does nothing."""
        self.closed = True
        self._environment.restore()

    def __repr__(self) -> str:
        return f"RealProvider({self.name}, {self.url}, model={self.model})"


def real_provider(name: str) -> RealProvider:
    """Point the clients at a real provider, after saying what it will cost and trying it out.

    Raises:
        ProviderError: There is no such provider, something is missing, or it refuses; the message says what to do.
    """
    makers = {"openai": _openai, "anthropic": _anthropic, "ollama": _ollama, "local": _local}
    if name not in makers:
        raise ProviderError(
            f"AWAITSEE_PROVIDER cannot be {name!r}: use {', '.join(PROVIDERS[:-1])} or {PROVIDERS[-1]}."
        )
    return makers[name]()


def _openai() -> RealProvider:
    model = os.environ.get("AWAITSEE_MODEL") or OPENAI_MODEL
    _say_the_cost("OpenAI", model)
    key = _key("openai", "OPENAI_API_KEY")
    url = os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
    _try("OpenAI", url, key, model, "OPENAI_API_KEY")
    return RealProvider("openai", url, model, OPENAI_EMBEDDING_MODEL, {})


def _anthropic() -> RealProvider:
    model = os.environ.get("AWAITSEE_MODEL") or ANTHROPIC_MODEL
    _say_the_cost("Anthropic", model)
    key = _key("anthropic", "ANTHROPIC_API_KEY")
    host = os.environ.get("ANTHROPIC_BASE_URL")
    url = f"{host.rstrip('/')}/v1" if host else ANTHROPIC_URL
    _try("Anthropic", url, key, model, "ANTHROPIC_API_KEY")
    return RealProvider("anthropic", url, model, "", _openai_variables(url, key))


def _ollama() -> RealProvider:
    host = (os.environ.get("OLLAMA_HOST") or OLLAMA_HOST).rstrip("/")
    url = host if "://" in host else f"http://{host}"
    model = os.environ.get("AWAITSEE_MODEL") or OLLAMA_MODEL
    try:
        _post(f"{url}/api/show", {"model": model}, {})
    except urllib.error.HTTPError as error:
        if error.code == 404:
            raise ProviderError(f"Ollama at {url} has no model {model}: `ollama pull {model}` gets it.") from None
    except (OSError, ValueError):
        raise ProviderError(f"No Ollama answers at {url}: start it with `ollama serve`, or set OLLAMA_HOST.") from None
    print(f"Ollama at {url}, model {model}: no cost. {_OFF}")
    return RealProvider("ollama", url, model, OLLAMA_EMBEDDING_MODEL, _openai_variables(f"{url}/v1", "ollama"))


def _local() -> RealProvider:
    if not is_installed():
        raise ProviderError(f"AWAITSEE_PROVIDER=local needs the real model. {INSTALL}.")
    local = local_model()
    assert local is not None
    print(f"It knows little and calls no tools. {_OFF}")
    return RealProvider("local", local.url, local.model, "", _openai_variables(f"{local.url}/v1", "local"))


def _openai_variables(url: str, key: str) -> dict[str, str]:
    return {"OPENAI_BASE_URL": url, "OPENAI_API_BASE": url, "OPENAI_API_KEY": key}


# --- money and keys


def _say_the_cost(provider: str, model: str) -> None:
    print(f"{provider} with your key, model {model}: {estimate(model, OPENAI_PRICES, OPENAI_MODEL)} {_OFF}")


def _key(provider: str, variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ProviderError(
            f"AWAITSEE_PROVIDER={provider} needs a key: set {variable} before you start, "
            "or unset AWAITSEE_PROVIDER to go on with the practice server."
        )
    return key


def _try(provider: str, url: str, key: str, model: str, variable: str) -> None:
    """Make one call, which costs next to nothing, so that a wrong key shows here and not inside a lesson."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "Say yes."}],
        "max_completion_tokens": FIRST_CALL_TOKENS,
    }
    try:
        _post(f"{url.rstrip('/')}/chat/completions", body, {"authorization": f"Bearer {key}"})
    except urllib.error.HTTPError as error:
        sentence = _refused(provider, error, model, variable)
        if sentence:
            raise ProviderError(sentence) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ProviderError(
            f"{provider} cannot be reached at {url} ({reason}): look at your network or proxy."
        ) from None


def _refused(provider: str, error: urllib.error.HTTPError, model: str, variable: str) -> str:
    """Say in one sentence why a provider refused, or nothing where it will answer later."""
    said = _error_of(error)
    message, code = str(said.get("message") or ""), said.get("code")
    if error.code == 401:
        return f"{provider} does not accept your key: set {variable} to a valid one and start again."
    if error.code == 403:
        return f"Your key may not use {model} at {provider}: allow it there, or set AWAITSEE_MODEL to another model."
    if error.code == 404:
        return f"{provider} has no model {model} for your key: set AWAITSEE_MODEL to one that it lists."
    if code == "insufficient_quota" or error.code == 402 or "credit balance" in message:
        return f"Your account at {provider} has no quota left: look at its billing page, or unset AWAITSEE_PROVIDER."
    if error.code == 429 or error.code >= 500:
        return ""
    return f"{provider} refused the first call ({error.code}): {message or 'without a reason'}"


def _error_of(error: urllib.error.HTTPError) -> dict[str, Any]:
    try:
        said = json.loads(error.read())
    except (OSError, ValueError):
        return {}
    inner = said.get("error") if isinstance(said, dict) else None
    return inner if isinstance(inner, dict) else {}


def _post(url: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    if not url.startswith(("https://", "http://")):
        raise ValueError("the address must begin with https://")
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"content-type": "application/json", **headers}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        answer.read()
