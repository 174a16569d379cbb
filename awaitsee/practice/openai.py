"""OpenAI's wire format: chat completions, embeddings and models, with OpenAI's error bodies and headers."""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from . import model
from .exchange import Call, Exchange, exchange, remembered
from .openai_request import ChatRequest, integer, invalid, read_chat, required, wrong_type
from .wire import TOO_LARGE, Answer, Incoming, Limit, Piece, Reason, Refusal, Route, Words, read_json

EMBEDDING_MODEL = "practice-embedding-1"
CREATED = 1_767_225_600
"""The time stamp of every answer, 2026-01-01: a clock in the answers would make each run's output differ."""
MAX_DIMENSIONS = 4096
MAX_INPUTS = 2048

_ERROR_TYPES = {429: "rate_limit_error", 500: "server_error", 503: "server_error", 529: "server_error"}


class OpenAI:
    """The routes under `/v1`; it also answers for paths that nobody knows."""

    metered = True
    words: Mapping[Reason, Words] = {
        400: Words(400, "Invalid request: the practice server was told to refuse it."),
        401: Words(
            401, "Incorrect API key provided: the practice server was told to refuse it.", code="invalid_api_key"
        ),
        404: Words(404, "Not found: the practice server was told to refuse it."),
        429: Words(429, "Rate limit reached for requests.", "requests", "rate_limit_exceeded"),
        500: Words(500, "The server had an error while processing your request. Sorry about that!"),
        503: Words(503, "The engine is currently overloaded, please try again later."),
        529: Words(529, "Overloaded.", "overloaded_error"),
        "quota": Words(
            429,
            "You exceeded your current quota, please check your plan and billing details. For more information on this "
            "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
            "insufficient_quota",
            "insufficient_quota",
        ),
        "limit": Words(
            429,
            "Rate limit reached for {unit} per min: limit {limit}. The retry-after header says how long to wait.",
            "{unit}",
            "rate_limit_exceeded",
        ),
        "route": Words(404, "Invalid URL ({method} {path})"),
        "method": Words(405, "Not allowed to {method} on {path}: use {allowed}."),
        "size": TOO_LARGE,
    }

    def takes(self, path: str, headers: Mapping[str, str]) -> bool:
        """Take whatever nobody else took."""
        return True

    def routes(self) -> Mapping[tuple[str, str], Route]:
        """Return its routes by method and path."""
        return {
            ("POST", "/v1/chat/completions"): _authorised(_chat),
            ("POST", "/v1/embeddings"): _authorised(_embeddings),
            ("GET", "/v1/models"): _authorised(_models),
            ("GET", "/v1/models/*"): _authorised(_model),
            ("POST", "/v1/responses"): _responses,
            ("POST", "/chat/completions"): _without_version,
            ("POST", "/embeddings"): _without_version,
        }

    def error(self, refusal: Refusal, request_id: str) -> dict[str, Any]:
        """Return OpenAI's error body."""
        kind = refusal.kind or _ERROR_TYPES.get(refusal.status, "invalid_request_error")
        return {"error": {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.code}}

    def headers(self, request_id: str, limits: Sequence[Limit]) -> dict[str, str]:
        """Return `x-request-id`, `x-ratelimit-limit-requests`, `-remaining-requests`, `-reset-requests`, and so on."""
        headers = {"x-request-id": f"req_{request_id}"}
        for limit in limits:
            headers[f"x-ratelimit-limit-{limit.unit}"] = str(limit.per_minute)
            headers[f"x-ratelimit-remaining-{limit.unit}"] = str(limit.remaining)
            headers[f"x-ratelimit-reset-{limit.unit}"] = _duration(limit.reset)
        return headers


def _duration(seconds: float) -> str:
    """Write a time span as OpenAI does: `167ms`, `1.5s`, `6m0s`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:.0f}m{rest:.0f}s" if minutes else f"{rest:.3g}s"


# --- keys and models


def _authorised(route: Route) -> Route:
    def checked(incoming: Incoming) -> Answer:
        scheme, _, key = incoming.headers.get("authorization", "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise Refusal(
                401,
                "You didn't provide an API key: send it in an Authorization header with Bearer auth "
                "(Authorization: Bearer YOUR_KEY). Any key will do here.",
            )
        if key.startswith("wrong"):
            raise Refusal(
                401, f"Incorrect API key provided: {'*' * 8}{key[-4:] if len(key) > 8 else ''}.", code="invalid_api_key"
            )
        return route(incoming)

    return checked


def _models(incoming: Incoming) -> Answer:
    return _answer({"object": "list", "data": [_card(name) for name in (model.MODEL_NAME, EMBEDDING_MODEL)]})


def _model(incoming: Incoming) -> Answer:
    name = incoming.path.removeprefix("/v1/models/")
    if name not in (model.MODEL_NAME, EMBEDDING_MODEL):
        raise _unknown_model(name)
    return _answer(_card(name))


def _card(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "awaitsee"}


def _unknown_model(name: str) -> Refusal:
    return Refusal(
        404,
        f"The model '{name}' does not exist here: use '{model.MODEL_NAME}' for chat "
        f"or '{EMBEDDING_MODEL}' for embeddings.",
        param="model",
        code="model_not_found",
    )


def _responses(incoming: Incoming) -> Answer:
    raise Refusal(
        404,
        "The practice server does not offer the Responses API (/v1/responses): use chat completions, "
        "in LangChain ChatOpenAI(..., use_responses_api=False).",
    )


def _without_version(incoming: Incoming) -> Answer:
    raise Refusal(404, f"Invalid URL ({incoming.method} {incoming.path}): the base URL must end in /v1.")


def _answer(body: Mapping[str, Any]) -> Answer:
    return Answer(body=json.dumps(body).encode())


# --- chat completions


def _chat(incoming: Incoming) -> Answer:
    worked = _work_out(incoming.body)
    chat = worked.chat
    return Answer(
        body=b"" if chat.stream else worked.completion(incoming.id),
        pieces=worked.chunks(incoming.id) if chat.stream else None,
        content_type="text/event-stream" if chat.stream else "application/json",
        model=model.MODEL_NAME,
        text=chat.text,
        input_tokens=worked.exchanged.input_tokens,
        output_tokens=worked.exchanged.output_tokens,
    )


@remembered
def _work_out(body: bytes) -> _Worked:
    wanted = read_json(body)
    _check_model(wanted, model.MODEL_NAME)
    chat = read_chat(wanted)
    return _Worked(chat, exchange(chat.prompt, chat.stop))


def _check_model(body: Mapping[str, Any], offered: str) -> None:
    name = required(body, "model")
    if not isinstance(name, str):
        raise wrong_type("model", "a string", name)
    if name != offered:
        raise _unknown_model(name)


class _Worked:
    """A chat request with its answer, in which only the id is missing."""

    def __init__(self, chat: ChatRequest, exchanged: Exchange) -> None:
        self.chat = chat
        self.exchanged = exchanged
        self._usage = {
            "prompt_tokens": exchanged.input_tokens,
            "completion_tokens": exchanged.output_tokens,
            "total_tokens": exchanged.input_tokens + exchanged.output_tokens,
        }
        self._after_id = b"" if chat.stream else self._completion_after_id()

    def completion(self, id: str) -> bytes:
        """Return the whole body of an answer that is not streamed."""
        return b'{"id": "chatcmpl-' + id.encode() + b'", ' + self._after_id

    def chunks(self, id: str) -> list[Piece]:
        """Return the events of a streamed answer."""
        reply, calls = self.exchanged.reply, self.exchanged.calls
        head = {
            "id": f"chatcmpl-{id}",
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": model.MODEL_NAME,
        }
        opening = "data: " + json.dumps(head)[:-1]
        # with include_usage every chunk has the field, and it is null in all but the last
        ending = ', "usage": null}\n\n' if self.chat.include_usage else "}\n\n"

        def chunk(delta: Mapping[str, Any], tokens: int = 0, finish: str | None = None) -> Piece:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return Piece(f'{opening}, "choices": [{json.dumps(choice)}]{ending}'.encode(), tokens)

        pieces = [chunk({"role": "assistant", "content": None if calls and not reply.text else "", "refusal": None})]
        pieces += [chunk({"content": token}, 1) for token in model.tokenize(reply.text)]
        for index, call in enumerate(calls):
            opened = {"index": index, **_call_json(call, "")}
            pieces.append(chunk({"tool_calls": [opened]}, model.count_tokens(call.name)))
            for token in model.tokenize(call.arguments):
                pieces.append(chunk({"tool_calls": [{"index": index, "function": {"arguments": token}}]}, 1))
        pieces.append(chunk({}, finish=reply.finish))
        if self.chat.include_usage:
            pieces.append(Piece(f'{opening}, "choices": [], "usage": {json.dumps(self._usage)}}}\n\n'.encode()))
        pieces.append(Piece(b"data: [DONE]\n\n"))
        return pieces

    def _completion_after_id(self) -> bytes:
        reply, calls = self.exchanged.reply, self.exchanged.calls
        message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
        if calls:
            message["content"] = reply.text or None
            message["tool_calls"] = [_call_json(call, call.arguments) for call in calls]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish}
        body = {
            "object": "chat.completion",
            "created": CREATED,
            "model": model.MODEL_NAME,
            "choices": [choice],
            "usage": self._usage,
        }
        return json.dumps(body)[1:].encode()


def _call_json(call: Call, arguments: str) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


# --- embeddings


def _embeddings(incoming: Incoming) -> Answer:
    body = read_json(incoming.body)
    _check_model(body, EMBEDDING_MODEL)
    for name in body:
        if name not in ("input", "model", "dimensions", "encoding_format", "user"):
            raise invalid(f"Unrecognized request argument supplied: {name}", None)
    inputs = _inputs(required(body, "input"))
    dimensions = integer(body, "dimensions", 1, MAX_DIMENSIONS)
    encoding = body.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise invalid("Invalid value for 'encoding_format': expected 'float' or 'base64'.", "encoding_format")
    vectors = [model.embed(text) if dimensions is None else model.embed(text, dimensions) for text in inputs]
    tokens = sum(model.count_tokens(text) for text in inputs)
    data = [
        {"object": "embedding", "index": index, "embedding": _packed(vector) if encoding == "base64" else vector}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Answer(
        body=json.dumps({"object": "list", "data": data, "model": EMBEDDING_MODEL, "usage": usage}).encode(),
        model=EMBEDDING_MODEL,
        text="\n".join(inputs),
        input_tokens=tokens,
    )


def _packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _inputs(value: object) -> list[str]:
    """Return one text for each vector wanted; tokens, which a client may send instead, stand for themselves."""
    if isinstance(value, str):
        texts = [value]
    elif _are_tokens(value):
        texts = [" ".join(map(str, value))]
    elif isinstance(value, list) and all(isinstance(entry, str) or _are_tokens(entry) for entry in value):
        texts = [entry if isinstance(entry, str) else " ".join(map(str, entry)) for entry in value]
    else:
        raise wrong_type("input", "a string, an array of strings, or an array of token ids", value)
    if not texts or not all(texts) or len(texts) > MAX_INPUTS:
        raise invalid(f"Invalid 'input': expected 1 to {MAX_INPUTS} inputs that are not empty.", "input")
    return texts


def _are_tokens(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and bool(value) and all(isinstance(entry, int) for entry in value)
