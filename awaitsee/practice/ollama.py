"""Ollama's wire format: chat, generate, embeddings and the list of models, with Ollama's error bodies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from . import model
from .exchange import Call, Exchange, exchange, remembered
from .ollama_request import (
    EmbedRequest,
    Struct,
    TextRequest,
    known_model,
    read_chat,
    read_embed,
    read_embeddings,
    read_generate,
)
from .openai import CREATED, EMBEDDING_MODEL
from .wire import Answer, Incoming, Limit, Piece, Reason, Refusal, Route, Words

VERSION = "0.40.0+practice"
"""The release of Ollama whose format this follows."""
CREATED_AT = datetime.fromtimestamp(CREATED, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
"""The time stamp of every answer: a clock in the answers would make each run's output differ."""
FOREVER = "2318-04-11T23:47:16Z"
"""When the models will be unloaded: about what Ollama says of a model that is kept for ever."""
DIMENSIONS = len(model.embed(""))
NO_TIME = {"total_duration": 0, "load_duration": 0}
NO_TIME_TO_WRITE = {"prompt_eval_duration": 0, "eval_duration": 0}
"""What the model measures of itself: it takes no time, the practice server waits in its place."""

_CAPABILITIES = {model.MODEL_NAME: ["completion", "tools"], EMBEDDING_MODEL: ["embedding"]}
_NOT_OFFERED = (
    ("POST", "/api/pull"),
    ("POST", "/api/push"),
    ("POST", "/api/create"),
    ("POST", "/api/copy"),
    ("DELETE", "/api/delete"),
    ("POST", "/api/blobs/*"),
)


class Ollama:
    """The routes under `/api`. They need no key, and know no headers for their limits."""

    metered = True
    words: Mapping[Reason, Words] = {
        400: Words(400, "invalid request: the practice server was told to refuse it"),
        401: Words(401, "unauthorized"),
        404: Words(404, "not found: the practice server was told to refuse it"),
        429: Words(429, "too many concurrent requests"),
        500: Words(500, "an error was encountered while running the model"),
        503: Words(503, "server busy, please try again.  maximum pending requests exceeded"),
        529: Words(529, "Server overloaded, please retry shortly"),
        "quota": Words(429, "you've reached your hourly usage limit, please wait or upgrade to continue"),
        "limit": Words(429, "rate limit reached: {limit} {unit} per minute"),
        "route": Words(404, "404 page not found"),
        "method": Words(405, "405 method not allowed: use {allowed}"),
        "size": Words(413, "http: request body too large: more than {size} MB"),
    }

    def takes(self, path: str, headers: Mapping[str, str]) -> bool:
        """Take what lies under `/api`."""
        return path.startswith("/api/")

    def routes(self) -> Mapping[tuple[str, str], Route]:
        """Return its routes by method and path."""
        return {
            ("POST", "/api/chat"): lambda incoming: _chat(incoming.body).answer(),
            ("POST", "/api/generate"): lambda incoming: _generate(incoming.body).answer(),
            ("POST", "/api/embed"): _embed,
            ("POST", "/api/embeddings"): _embeddings,
            ("GET", "/api/tags"): _tags,
            ("HEAD", "/api/tags"): _tags,
            ("POST", "/api/show"): _show,
            ("GET", "/api/ps"): _ps,
            ("GET", "/api/version"): _version,
            ("HEAD", "/api/version"): _version,
            **dict.fromkeys(_NOT_OFFERED, _not_offered),
        }

    def error(self, refusal: Refusal, request_id: str) -> dict[str, Any]:
        """Return Ollama's error body."""
        return {"error": refusal.message}

    def headers(self, request_id: str, limits: Sequence[Limit]) -> dict[str, str]:
        """Return nothing: Ollama's answers have no id, and do not tell of limits."""
        return {}


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _answer(body: Mapping[str, Any], **details: Any) -> Answer:
    return Answer(body=_dump(body), content_type="application/json; charset=utf-8", **details)


# --- chat and generate


@remembered
def _chat(body: bytes) -> _Worked:
    return _Worked(read_chat(body), _message)


@remembered
def _generate(body: bytes) -> _Worked:
    return _Worked(read_generate(body), _response)


def _message(text: str, calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a chat's answer has of its own."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    return {"message": {**message, "tool_calls": calls} if calls else message}


def _response(text: str, calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the answer to one prompt has of its own; no tools come with one."""
    return {"response": text}


_Says = Callable[[str, Sequence[Mapping[str, Any]]], dict[str, Any]]


class _Worked:
    """A request with its answer."""

    def __init__(self, request: TextRequest, says: _Says) -> None:
        self._request = request
        self._says = says
        self._head = {"model": request.name, "created_at": CREATED_AT}
        self._exchanged = None if request.loads else exchange(request.prompt, request.stop)
        self._body = b"" if request.stream and self._exchanged else _dump(self._whole())

    def answer(self) -> Answer:
        """Return the answer as it goes out."""
        request, exchanged = self._request, self._exchanged
        if exchanged is None:
            return Answer(self._body, content_type="application/json; charset=utf-8", model=model.MODEL_NAME)
        return Answer(
            body=self._body,
            pieces=self._lines(exchanged) if request.stream else None,
            content_type="application/x-ndjson" if request.stream else "application/json; charset=utf-8",
            model=model.MODEL_NAME,
            text=request.text,
            input_tokens=exchanged.input_tokens,
            output_tokens=exchanged.output_tokens,
        )

    def _whole(self) -> dict[str, Any]:
        if self._exchanged is None:
            return {**self._head, **self._says("", ()), "done": True, "done_reason": self._request.loads}
        calls = [_call_json(index, call) for index, call in enumerate(self._exchanged.calls)]
        return {**self._head, **self._says(self._exchanged.reply.text, calls), **_ending(self._exchanged)}

    def _lines(self, exchanged: Exchange) -> list[Piece]:
        """Return the lines of a streamed answer: one for each token, one for each whole tool call, and the end."""

        def line(text: str, calls: Sequence[Mapping[str, Any]] = (), tokens: int = 0) -> Piece:
            return Piece(_dump({**self._head, **self._says(text, calls), "done": False}) + b"\n", tokens)

        pieces = [line(token, tokens=1) for token in model.tokenize(exchanged.reply.text)]
        for index, call in enumerate(exchanged.calls):
            pieces.append(line("", [_call_json(index, call)], call.count_tokens()))
        last = {**self._head, **self._says("", ()), **_ending(exchanged)}
        return [*pieces, Piece(_dump(last) + b"\n")]


def _ending(exchanged: Exchange) -> dict[str, Any]:
    return {
        "done": True,
        # Ollama has no reason of its own for tool calls
        "done_reason": "length" if exchanged.reply.finish == "length" else "stop",
        **NO_TIME,
        "prompt_eval_count": exchanged.input_tokens,
        "eval_count": exchanged.output_tokens,
        **NO_TIME_TO_WRITE,
    }


def _call_json(index: int, call: Call) -> dict[str, Any]:
    return {"id": call.id, "function": {"index": index, "name": call.name, "arguments": json.loads(call.arguments)}}


# --- embeddings


def _embed(incoming: Incoming) -> Answer:
    request = read_embed(incoming.body)
    tokens = _count_tokens(request)
    vectors = _vectors(request)
    body = {"model": request.name, "embeddings": vectors, **NO_TIME, "prompt_eval_count": tokens}
    return _answer(body, model=EMBEDDING_MODEL, text="\n".join(request.inputs), input_tokens=tokens)


def _embeddings(incoming: Incoming) -> Answer:
    request = read_embeddings(incoming.body)
    return _answer(
        {"embedding": next(iter(_vectors(request)), [])},
        model=EMBEDDING_MODEL,
        text="\n".join(request.inputs),
        input_tokens=_count_tokens(request),
    )


def _vectors(request: EmbedRequest) -> list[list[float]]:
    # Ollama can make vectors shorter, not longer
    dimensions = min(request.dimensions or DIMENSIONS, DIMENSIONS)
    return [model.embed(text, dimensions) for text in request.inputs]


def _count_tokens(request: EmbedRequest) -> int:
    return sum(model.count_tokens(text) for text in request.inputs)


# --- models


def _tags(incoming: Incoming) -> Answer:
    return _answer({"models": [{**_card(name), "modified_at": CREATED_AT} for name in _CAPABILITIES]})


def _ps(incoming: Incoming) -> Answer:
    return _answer({"models": [{**_card(name), "expires_at": FOREVER, "size_vram": 0} for name in _CAPABILITIES]})


def _card(name: str) -> dict[str, Any]:
    tagged = f"{name}:latest"
    digest = hashlib.sha256(tagged.encode()).hexdigest()
    return {"name": tagged, "model": tagged, "size": 0, "digest": digest, "details": _details()}


def _details() -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "",
        "family": "practice",
        "families": ["practice"],
        "parameter_size": "",
        "quantization_level": "",
    }


def _show(incoming: Incoming) -> Answer:
    request = Struct.read(incoming.body, "ShowRequest")
    name = known_model(request.string("model") or request.string("name"))
    info: dict[str, Any] = {"general.architecture": "practice"}
    if name == EMBEDDING_MODEL:
        info["practice.embedding_length"] = DIMENSIONS
    return _answer(
        {
            "details": _details(),
            "model_info": info,
            "capabilities": _CAPABILITIES[name],
            "modified_at": CREATED_AT,
        }
    )


def _version(incoming: Incoming) -> Answer:
    return _answer({"version": VERSION})


def _not_offered(incoming: Incoming) -> Answer:
    what = incoming.path.split("/")[2]
    raise Refusal(
        403,
        f"the practice server does not offer /api/{what}: its models, '{model.MODEL_NAME}' and '{EMBEDDING_MODEL}', "
        "are built in and cannot be changed",
    )
