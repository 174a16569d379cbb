"""Anthropic's wire format: messages, token counts and models, with Anthropic's error bodies and headers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from . import model
from .anthropic_request import MAX_OUTPUT, MessagesRequest, read_messages, required, string
from .exchange import Call, Exchange, count_prompt_tokens, exchange, remembered
from .wire import Answer, Incoming, Limit, Piece, Reason, Refusal, Route, Words, read_json

CREATED = "2026-01-01T00:00:00Z"
"""The model's date of release; a clock in the answers would make each run's output differ."""

_ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    529: "overloaded_error",
}


class Anthropic:
    """The routes under `/v1/messages`, and `/v1/models` for clients that send `anthropic-version`."""

    metered = True
    words: Mapping[Reason, Words] = {
        400: Words(400, "Invalid request: the practice server was told to refuse it."),
        401: Words(401, "invalid x-api-key"),
        404: Words(404, "Not found: the practice server was told to refuse it."),
        429: Words(429, "This request would exceed your account's rate limit. Please try again later."),
        500: Words(500, "Internal server error"),
        503: Words(503, "Service unavailable"),
        529: Words(529, "Overloaded"),
        "quota": Words(
            400,
            "Your credit balance is too low to access the Anthropic API. "
            "Please go to Plans & Billing to upgrade or purchase credits.",
        ),
        "limit": Words(
            429,
            "This request would exceed the rate limit for your organization of {limit} {unit} per minute. "
            "The retry-after header says how long to wait.",
        ),
        "route": Words(404, "Not Found: there is nothing at {path}."),
        "method": Words(405, "Method Not Allowed: use {allowed} on {path}."),
        "size": Words(413, "Request exceeds the maximum allowed number of bytes, here {size} MB."),
    }

    def takes(self, path: str, headers: Mapping[str, str]) -> bool:
        """Take messages, and from a client that speaks Anthropic also the models, which OpenAI has at the same path."""
        if path.startswith("/v1/models"):
            return "anthropic-version" in headers
        return path.startswith(("/v1/messages", "/v1/v1/messages"))

    def routes(self) -> Mapping[tuple[str, str], Route]:
        """Return its routes by method and path."""
        return {
            ("POST", "/v1/messages"): _authorised(_message),
            ("POST", "/v1/messages/count_tokens"): _authorised(_count),
            ("GET", "/v1/models"): _authorised(_models),
            ("GET", "/v1/models/*"): _authorised(_model),
            ("POST", "/v1/messages/batches"): _batches,
            ("POST", "/v1/v1/messages"): _version_twice,
        }

    def error(self, refusal: Refusal, request_id: str) -> dict[str, Any]:
        """Return Anthropic's error body."""
        kind = refusal.kind or _ERROR_TYPES.get(refusal.status, "invalid_request_error")
        error = {"type": kind, "message": refusal.message}
        return {"type": "error", "error": error, "request_id": f"req_{request_id}"}

    def headers(self, request_id: str, limits: Sequence[Limit]) -> dict[str, str]:
        """Return `request-id`, `anthropic-ratelimit-requests-limit`, `-remaining`, `-reset`, and so on for tokens."""
        headers = {"request-id": f"req_{request_id}"}
        now = datetime.now(UTC)
        for limit in limits:
            name = f"anthropic-ratelimit-{limit.unit}"
            headers[f"{name}-limit"] = str(limit.per_minute)
            headers[f"{name}-remaining"] = str(limit.remaining)
            headers[f"{name}-reset"] = _time(now + timedelta(seconds=limit.reset))
        return headers


def _time(moment: datetime) -> str:
    """Write a time as RFC 3339 wants it, to the millisecond."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- keys, versions and models


def _authorised(route: Route) -> Route:
    def checked(incoming: Incoming) -> Answer:
        scheme, _, token = incoming.headers.get("authorization", "").partition(" ")
        key = incoming.headers.get("x-api-key", "").strip()
        bearer = token.strip() if scheme.lower() == "bearer" else ""
        if not key and not bearer:
            raise Refusal(
                401,
                "x-api-key header is required, or an Authorization header with Bearer auth "
                "(Authorization: Bearer YOUR_KEY). Any key will do here.",
            )
        if (key or bearer).startswith("wrong"):
            raise Refusal(401, "invalid x-api-key" if key else "Invalid bearer token")
        _version(incoming)
        return route(incoming)

    return checked


def _version(incoming: Incoming) -> str:
    version = incoming.headers.get("anthropic-version", "").strip()
    if not version:
        raise Refusal(400, "anthropic-version: header is required")
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", version, re.ASCII):
        raise Refusal(400, f"anthropic-version: {version!r} is not a valid version: use a date such as '2026-10-21'")
    return version


def _models(incoming: Incoming) -> Answer:
    return _answer({"data": [_card()], "has_more": False, "first_id": model.MODEL_NAME, "last_id": model.MODEL_NAME})


def _model(incoming: Incoming) -> Answer:
    name = incoming.path.removeprefix("/v1/models/")
    if name != model.MODEL_NAME:
        raise _unknown_model(name)
    return _answer(_card())


def _card() -> dict[str, Any]:
    return {
        "type": "model",
        "id": model.MODEL_NAME,
        "display_name": "Practice 1",
        "created_at": CREATED,
        "lifecycle": "active",
        "max_tokens": MAX_OUTPUT,
    }


def _unknown_model(name: str) -> Refusal:
    return Refusal(404, f"model: {name} (there is only '{model.MODEL_NAME}' here)")


def _batches(incoming: Incoming) -> Answer:
    raise Refusal(404, "The practice server does not offer message batches: send the messages one by one.")


def _version_twice(incoming: Incoming) -> Answer:
    raise Refusal(404, f"Not Found: there is nothing at {incoming.path}; the base URL must not end in /v1.")


def _answer(body: Mapping[str, Any]) -> Answer:
    return Answer(body=json.dumps(body).encode())


# --- messages


def _message(incoming: Incoming) -> Answer:
    worked = _work_out(incoming.body, _version(incoming))
    request = worked.request
    return Answer(
        body=b"" if request.stream else worked.message(incoming.id),
        pieces=worked.events(incoming.id) if request.stream else None,
        content_type="text/event-stream; charset=utf-8" if request.stream else "application/json",
        model=model.MODEL_NAME,
        text=request.text,
        input_tokens=worked.exchanged.input_tokens,
        output_tokens=worked.exchanged.output_tokens,
    )


def _count(incoming: Incoming) -> Answer:
    body = _read(incoming.body)
    request = read_messages(body, _version(incoming), to_count=True)
    answer = {"input_tokens": count_prompt_tokens(request.prompt)}
    # counting is free, so it has no tokens on the bill
    return Answer(body=json.dumps(answer).encode(), model=model.MODEL_NAME, text=request.text)


@remembered
def _work_out(body: bytes, version: str) -> _Worked:
    request = read_messages(_read(body), version)
    return _Worked(request, exchange(request.prompt, request.stop))


def _read(body: bytes) -> dict[str, Any]:
    wanted = read_json(body, "The request body is not valid JSON: {problem}")
    name = string(required(wanted, "model", "model"), "model")
    if name != model.MODEL_NAME:
        raise _unknown_model(name)
    return wanted


class _Worked:
    """A request with its message, in which only the id is missing."""

    def __init__(self, request: MessagesRequest, exchanged: Exchange) -> None:
        self.request = request
        self.exchanged = exchanged
        self._after_id = b"" if request.stream else self._message_after_id()

    def message(self, id: str) -> bytes:
        """Return the whole body of a message that is not streamed."""
        return b'{"id": "msg_' + id.encode() + b'", ' + self._after_id

    def events(self, id: str) -> list[Piece]:
        """Return the events of a streamed message."""
        reply, calls = self.exchanged.reply, self.exchanged.calls
        head = {"id": f"msg_{id}", **_frame([], None, None), "usage": self._usage(0)}
        pieces = [_event("message_start", message=head)]
        if reply.text:
            pieces += _text_block(reply.text)
        for index, call in enumerate(calls, start=1 if reply.text else 0):
            pieces += _tool_block(index, call)
        # once, as the provider does between the first block's start and its content
        pieces.insert(min(2, len(pieces)), _event("ping"))
        end = {"stop_reason": self._stop_reason(), "stop_sequence": self.exchanged.stop_sequence}
        tokens = {"input_tokens": self.exchanged.input_tokens, "output_tokens": self.exchanged.output_tokens}
        pieces += [_event("message_delta", delta=end, usage={**_NO_CACHE, **tokens}), _event("message_stop")]
        return pieces

    def _message_after_id(self) -> bytes:
        reply, calls = self.exchanged.reply, self.exchanged.calls
        content: list[dict[str, Any]] = [{"type": "text", "text": reply.text}] if reply.text else []
        content += [_tool_use(call, json.loads(call.arguments)) for call in calls]
        frame = _frame(content, self._stop_reason(), self.exchanged.stop_sequence)
        return json.dumps({**frame, "usage": self._usage(self.exchanged.output_tokens)})[1:].encode()

    def _stop_reason(self) -> str:
        if self.exchanged.stop_sequence is not None:
            return "stop_sequence"
        return {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}[self.exchanged.reply.finish]

    def _usage(self, output_tokens: int) -> dict[str, Any]:
        tokens = {"input_tokens": self.exchanged.input_tokens, "output_tokens": output_tokens}
        return {**_NO_CACHE, **tokens, "service_tier": "standard"}


_NO_CACHE = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}


def _frame(content: Sequence[Mapping[str, Any]], stop_reason: str | None, stop_sequence: str | None) -> dict[str, Any]:
    return {
        "type": "message",
        "role": "assistant",
        "model": model.MODEL_NAME,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": stop_sequence,
    }


def _text_block(text: str) -> list[Piece]:
    deltas = [
        _event("content_block_delta", 1, index=0, delta={"type": "text_delta", "text": token})
        for token in model.tokenize(text)
    ]
    start = _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    return [start, *deltas, _event("content_block_stop", index=0)]


def _tool_block(index: int, call: Call) -> list[Piece]:
    start = _event("content_block_start", model.count_tokens(call.name), index=index, content_block=_tool_use(call, {}))
    deltas = [
        _event("content_block_delta", 1, index=index, delta={"type": "input_json_delta", "partial_json": token})
        for token in model.tokenize(call.arguments)
    ]
    return [start, *deltas, _event("content_block_stop", index=index)]


def _tool_use(call: Call, given: Mapping[str, Any]) -> dict[str, Any]:
    id = f"toolu_{call.id.removeprefix('call_')}"
    return {"type": "tool_use", "id": id, "name": call.name, "input": given}


def _event(name: str, tokens: int = 0, **fields: Any) -> Piece:
    return Piece(f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode(), tokens)
