"""What the outside world noted about each request: the type that the practice server writes and the recorder reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

RUN_HEADER = "x-awaitsee-run"
TASK_HEADER = "x-awaitsee-task"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the server saw it.

    Times are seconds on this process's `time.perf_counter()`; `None` means "not yet".
    """

    number: int
    """Order of arrival, from 1."""
    path: str
    model: str
    """The model the request named, or an empty string."""
    arrived: float
    started: float | None
    """When it left the queue and got one of the server's slots."""
    first_byte: float | None
    finished: float | None
    status: int
    """The HTTP status sent, or 0 when no status line was sent (in flight, hung or dropped)."""
    input_tokens: int
    output_tokens: int
    """Tokens written so far; these are billed whether or not anyone reads them."""
    aborted: bool
    """The client went away before the end."""
    fault: str
    """The kind of fault that was injected, or an empty string."""
    run: str
    task: str
    """Labels sent by the recorder in `RUN_HEADER` and `TASK_HEADER`, or empty strings."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens."""

    input: float
    output: float


PRACTICE_PRICE = Price(input=0.15, output=0.60)
"""What the practice model pretends to cost."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What a set of requests costs: tokens are counted, dollars follow from the price."""

    requests: int
    input_tokens: int
    output_tokens: int
    price: Price = PRACTICE_PRICE

    @classmethod
    def of(cls, requests: Iterable[Request], price: Price = PRACTICE_PRICE) -> Bill:
        """Add up the tokens of `requests`."""
        listed = list(requests)
        return cls(
            requests=len(listed),
            input_tokens=sum(request.input_tokens for request in listed),
            output_tokens=sum(request.output_tokens for request in listed),
            price=price,
        )

    @property
    def dollars(self) -> float:
        return (self.input_tokens * self.price.input + self.output_tokens * self.price.output) / 1_000_000

    def __str__(self) -> str:
        return (
            f"{self.requests} requests, {self.input_tokens} tokens in, {self.output_tokens} tokens out, "
            f"${self.dollars:.6f}"
        )


class JournalSource(Protocol):
    """Something that keeps a journal: the practice server's handle."""

    @property
    def url(self) -> str:
        """Where it listens, such as `http://127.0.0.1:40123`."""

    def requests(self, run: str | None = None) -> list[Request]:
        """Return every request in order of arrival, or only those labelled with `run`."""


_sources: list[JournalSource] = []


def register(source: JournalSource) -> None:
    """Make a journal known to the recorder."""
    if source not in _sources:
        _sources.append(source)


def unregister(source: JournalSource) -> None:
    """Forget a journal; unknown ones are ignored."""
    if source in _sources:
        _sources.remove(source)


def sources() -> tuple[JournalSource, ...]:
    """Return the journals known at the moment."""
    return tuple(_sources)


def is_journalled(host: str, port: int | None) -> bool:
    """Tell whether requests to this address end up in a known journal."""
    for source in _sources:
        known = urlsplit(source.url)
        if known.port == port and known.hostname == host:
            return True
    return False
