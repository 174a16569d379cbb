"""What the transport and a wire format say to each other: a request comes in, an answer or a refusal goes out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, Protocol


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as it came off the wire."""

    id: str
    """Unique on this server and the same in every fresh run: wire formats derive their ids from it."""
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Looked up without regard to case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of a stream, and the tokens that they hold."""

    data: bytes
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What will be sent, worked out before any time passes; the transport decides when, and whether all of it."""

    body: bytes = b""
    """The whole body of an answer that is not streamed."""
    pieces: Sequence[Piece] | None = None
    """The stream, for a streamed answer."""
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    text: str = ""
    """What the request said: the text that a fault's `when` is looked for in."""
    input_tokens: int = 0
    output_tokens: int = 0
    delay: float = 0.0
    """Seconds that this answer takes on top of the server's latency."""
    act: Callable[[], Answer] | None = None
    """Does what the request asks for and returns the answer to it; called once the request has its slot, unless a fault
    refuses it. The answer that it is a field of serves until then."""


class Refusal(Exception):
    """A request that gets an error instead of an answer.

    `kind` and `code` are the provider's words for it; a wire format fills in what is left empty.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "",
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param
        self.code = code
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Limit:
    """One rate limit as it stands after a request was counted."""

    unit: str
    """`requests` or `tokens`."""
    per_minute: int
    remaining: int
    reset: float
    """Seconds until nothing of it is used any more."""


Route = Callable[[Incoming], Answer]
"""Works out the answer to a request, or raises `Refusal`. It takes no time of its own and changes nothing; what is to
be done, `Answer.act` does."""


Reason = Literal[400, 401, 404, 429, 500, 503, 529, "quota", "limit", "route", "method", "size"]
"""Why the transport refuses a request: a fault of that kind, a rate limit, a path that nobody knows, a method that the
path does not take, or a body that is too large."""


@dataclass(frozen=True, slots=True)
class Words:
    """How a service refuses for a reason."""

    status: int
    message: str
    """`{limit}` and `{unit}` stand for the rate limit, `{method}` and `{path}` for the request, `{allowed}` for the
    methods that the path takes, and `{size}` for the most megabytes of a body."""
    kind: str = ""
    code: str | None = None

    def refusal(self, headers: Mapping[str, str] | None = None, **details: object) -> Refusal:
        """Return the refusal, its message filled in."""
        message = self.message.format(**details)
        return Refusal(self.status, message, kind=self.kind.format(**details), code=self.code, headers=headers)


TOO_LARGE = Words(413, "The body of the request is larger than {size} MB.")
"""What a service without words of its own for it says to a body that is too large."""


class Service(Protocol):
    """A wire format, or another family of routes that shares one way to say no."""

    metered: bool
    """Whether capacity and rate limits hold for it."""
    words: Mapping[Reason, Words]
    """What it says for each reason."""

    def takes(self, path: str, headers: Mapping[str, str]) -> bool:
        """Tell whether a request is meant for it, known path or not; the first service that says so has it."""

    def routes(self) -> Mapping[tuple[str, str], Route]:
        """Return its routes by method and path; a path that ends in `/*` takes everything below."""

    def error(self, refusal: Refusal, request_id: str) -> dict[str, Any]:
        """Return the JSON body of an error response."""

    def headers(self, request_id: str, limits: Sequence[Limit]) -> dict[str, str]:
        """Return the headers of every response: its id, and how much of the rate limits is left."""


def read_json(
    body: bytes, sentence: str = "We could not parse the JSON body of your request: {problem}."
) -> dict[str, Any]:
    """Read a request's body, or raise the `Refusal` that a provider would send for it."""
    try:
        value = _DECODER.decode(body.decode())
        if b"\\u" in body:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Refusal(400, sentence.format(problem=error or "it is nested too deeply")) from error
    if not isinstance(value, dict):
        raise Refusal(400, f"The body must be a JSON object, but it is {describe(value)}.")
    return value


def describe(value: object) -> str:
    """Name the JSON type of a value with its article, as error messages say it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"


def short(value: object) -> str:
    """Write a JSON value for an error message, cut where it is long."""
    text = repr(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)
