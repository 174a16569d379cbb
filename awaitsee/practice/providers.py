"""A real provider in place of the practice server, with the same face."""

from __future__ import annotations

import http.client
import os
from typing import Any
from urllib.parse import urlsplit

from ..journal import Bill, Price, Request
from .environment import Environment

PROVIDERS = ("practice", "openai", "ollama")
OPENAI_MODEL = "gpt-4o-mini"
OPENAI_EMBEDDING_MODEL = "text-embedding-3-small"
OPENAI_PRICE = Price(input=0.15, output=0.60)
"""US dollars for a million tokens of `OPENAI_MODEL`."""
OPENAI_PRICE_DATE = "November 2026"
TYPICAL_TOKENS = (300, 200)
"""Tokens in and out of a typical call of a lesson: a question with some context, and a paragraph as the answer."""
OLLAMA_MODEL = "llama3.2"
OLLAMA_EMBEDDING_MODEL = "nomic-embed-text"
OLLAMA_HOST = "http://127.0.0.1:11434"


class ProviderError(RuntimeError):
    """The provider asked for cannot be used; the message says what to do."""


class RealProvider:
    """Stands where `PracticeServer` would: it knows the model; the rest is off."""

    def __init__(self, name: str, url: str, model: str, embedding_model: str, variables: dict[str, str]) -> None:
        self.name = name
        self.url = url
        self.model = model
        self.embedding_model = embedding_model
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

    def reset(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Put the environment back as it was."""
        self._environment.restore()

    def __repr__(self) -> str:
        return f"RealProvider({self.name}, {self.url}, model={self.model})"


def real_provider(name: str) -> RealProvider:
    """Point the clients at a real provider and say what is used.

    Raises:
        ProviderError: It is unknown, not there yet, or something is missing.
    """
    if name in ("anthropic", "local"):
        raise ProviderError(
            f"AWAITSEE_PROVIDER={name} comes with the lesson on chat models: use {_one_of(PROVIDERS)} until then."
        )
    if name not in PROVIDERS[1:]:
        raise ProviderError(f"AWAITSEE_PROVIDER cannot be {name!r}: use {_one_of(PROVIDERS)}.")
    return _openai() if name == "openai" else _ollama()


def _one_of(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _openai() -> RealProvider:
    if not os.environ.get("OPENAI_API_KEY"):
        raise ProviderError("AWAITSEE_PROVIDER=openai needs a key: set OPENAI_API_KEY before you start.")
    model = os.environ.get("AWAITSEE_MODEL") or OPENAI_MODEL
    url = os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
    cost = f"its price is not known here, {OPENAI_MODEL} would cost" if model != OPENAI_MODEL else "it costs"
    tokens_in, tokens_out = TYPICAL_TOKENS
    dollars = (tokens_in * OPENAI_PRICE.input + tokens_out * OPENAI_PRICE.output) / 1000
    print(
        f"OpenAI with your key, model {model}: {cost} about ${dollars:.2f} for 1,000 typical calls "
        f"({tokens_in} tokens in, {tokens_out} out; {OPENAI_PRICE_DATE}). Faults, journal and latency settings are off."
    )
    return RealProvider("openai", url, model, OPENAI_EMBEDDING_MODEL, {})


def _ollama() -> RealProvider:
    host = (os.environ.get("OLLAMA_HOST") or OLLAMA_HOST).rstrip("/")
    url = host if "://" in host else f"http://{host}"
    if not _listens(url):
        raise ProviderError(f"No Ollama answers at {url}: start it with `ollama serve`, or set OLLAMA_HOST.")
    model = os.environ.get("AWAITSEE_MODEL") or OLLAMA_MODEL
    print(f"Ollama at {url}, model {model}: no cost. Faults, journal and latency settings are off.")
    variables = {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_BASE": f"{url}/v1", "OPENAI_API_KEY": "ollama"}
    return RealProvider("ollama", url, model, OLLAMA_EMBEDDING_MODEL, variables)


def _listens(url: str) -> bool:
    try:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 11434, timeout=3)
        connection.request("GET", "/api/version")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException, ValueError):
        return False
