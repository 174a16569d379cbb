"""Whatever comes in, the server answers in the provider's words and goes on: never a 500 of its own, never a hang."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import io
import json
import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from awaitsee.practice.model import MODEL_NAME
from awaitsee.practice.openai import EMBEDDING_MODEL

if TYPE_CHECKING:  # made before the first test: tests/lazily.py
    import aiohttp

    from awaitsee.practice.server import MAX_BODY, HttpServer, PracticeApp

PATIENCE = 20.0
EXAMPLES = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))

ON_THE_SOCKET = settings(EXAMPLES, max_examples=40)

VALID_CHAT: dict[str, Any] = {
    "model": MODEL_NAME,
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is the weather in Paris?"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"city": "Paris"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        {"role": "user", "content": "And in Rome?"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "f",
                "description": "Get the weather",
                "parameters": {
                    "type": "object",
                    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
                    "required": ["city"],
                },
            },
        }
    ],
    "tool_choice": "auto",
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "a", "schema": {"type": "object", "properties": {"x": {"enum": [1, 2]}}}},
    },
    "temperature": 0.5,
    "max_tokens": 50,
    "stop": ["END"],
    "stream": False,
    "n": 1,
}
VALID_EMBEDDINGS: dict[str, Any] = {
    "model": EMBEDDING_MODEL,
    "input": ["one", "two"],
    "dimensions": 8,
    "encoding_format": "float",
}

VALID_MESSAGES: dict[str, Any] = {
    "model": MODEL_NAME,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": "What is the weather in Paris?"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I will look."},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"city": "Paris"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "sunny"}]},
                {"type": "text", "text": "And in Rome?"},
            ],
        },
    ],
    "tools": [
        {
            "name": "f",
            "description": "Get the weather",
            "input_schema": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
                "required": ["city"],
            },
        }
    ],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "output_config": {
        "format": {
            "type": "json_schema",
            "schema": {"type": "object", "properties": {"x": {"enum": [1, 2]}}, "additionalProperties": False},
        }
    },
    "thinking": {"type": "adaptive"},
    "metadata": {"user_id": "x"},
    "max_tokens": 50,
    "stop_sequences": ["END"],
    "stream": False,
}

VALID_OLLAMA_CHAT: dict[str, Any] = {
    "model": MODEL_NAME,
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is the weather in Paris?", "images": []},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "call_1", "function": {"index": 0, "name": "f", "arguments": {"city": "Paris"}}}],
        },
        {"role": "tool", "tool_name": "f", "tool_call_id": "call_1", "content": "sunny"},
        {"role": "user", "content": "And in Rome?"},
    ],
    "tools": VALID_CHAT["tools"],
    "format": {"type": "object", "properties": {"x": {"enum": [1, 2]}}},
    "options": {"num_predict": 50, "stop": ["END"], "temperature": 0.5, "seed": 1, "use_mmap": True},
    "keep_alive": "5m",
    "think": False,
    "logprobs": False,
    "top_logprobs": 0,
    "stream": False,
}


def is_openai_error(body: Any) -> bool:
    """The four fields that OpenAI's errors have."""
    error = body["error"]
    return set(error) == {"message", "type", "param", "code"} and is_said(error["message"])


def is_anthropic_error(body: Any) -> bool:
    return (
        set(body) == {"type", "error", "request_id"}
        and body["type"] == "error"
        and set(body["error"]) == {"type", "message"}
        and is_said(body["error"]["message"])
    )


def is_ollama_error(body: Any) -> bool:
    return set(body) == {"error"} and is_said(body["error"])


def is_said(message: Any) -> bool:
    return isinstance(message, str) and bool(message)


def openai_with_schema(schema: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}


def openai_with_tool(schema: Any) -> dict[str, Any]:
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    return {"tools": [tool], "tool_choice": "required"}


def anthropic_with_schema(schema: Any) -> dict[str, Any]:
    return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}


def anthropic_with_tool(schema: Any) -> dict[str, Any]:
    return {"tools": [{"name": "f", "input_schema": schema}], "tool_choice": {"type": "any"}}


def ollama_with_schema(schema: Any) -> dict[str, Any]:
    return {"format": schema}


def ollama_with_tool(schema: Any) -> dict[str, Any]:
    return {"tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]}


@dataclass(frozen=True)
class Format:
    """A wire format, as the tests below need it."""

    path: str
    """Where its chats go."""
    body: Mapping[str, Any]
    """A chat that uses as much of the format as one request can."""
    is_error: Callable[[Any], bool]
    with_schema: Callable[[Any], dict[str, Any]]
    """What to add to a chat so that its answer has to fit a JSON schema."""
    with_tool: Callable[[Any], dict[str, Any]]
    """What to add to a chat so that it calls a tool with these parameters."""
    basics: Mapping[str, Any] = field(default_factory=dict)
    """What the smallest chat needs beside its model and its messages."""
    headers: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Other routes that take a body, each with a valid one."""

    def chat(self, question: str = "What is a task?", **more: Any) -> dict[str, Any]:
        messages = [{"role": "user", "content": question}]
        return {"model": MODEL_NAME, "messages": messages, **self.basics, **more}


FORMATS = {
    "openai": Format(
        path="/v1/chat/completions",
        body=VALID_CHAT,
        is_error=is_openai_error,
        with_schema=openai_with_schema,
        with_tool=openai_with_tool,
        others={"/v1/embeddings": VALID_EMBEDDINGS},
    ),
    "anthropic": Format(
        path="/v1/messages",
        body=VALID_MESSAGES,
        is_error=is_anthropic_error,
        with_schema=anthropic_with_schema,
        with_tool=anthropic_with_tool,
        basics={"max_tokens": 100},
        headers={"anthropic-version": "2026-10-21"},
        others={
            "/v1/messages/count_tokens": {
                name: VALID_MESSAGES[name] for name in ("model", "system", "messages", "tools", "tool_choice")
            }
        },
    ),
    "ollama": Format(
        path="/api/chat",
        body=VALID_OLLAMA_CHAT,
        is_error=is_ollama_error,
        with_schema=ollama_with_schema,
        with_tool=ollama_with_tool,
        others={
            "/api/generate": {
                "model": MODEL_NAME,
                "prompt": "What is a task?",
                "system": "Be brief.",
                "raw": False,
                "format": "json",
                "options": {"num_predict": 50},
                "keep_alive": 5,
            },
            "/api/embed": {"model": EMBEDDING_MODEL, "input": ["one", "two"], "dimensions": 8, "truncate": True},
            "/api/embeddings": {"model": EMBEDDING_MODEL, "prompt": "one", "options": {"num_ctx": 10}},
            "/api/show": {"model": MODEL_NAME, "verbose": False},
        },
    ),
}
"""The formats that every property below holds for; the examples are shared out among them."""
OF_ANY_FORMAT = st.sampled_from(list(FORMATS.values()))
IN_EVERY_FORMAT = pytest.mark.parametrize("format", FORMATS.values(), ids=list(FORMATS))

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


class Running:
    """A server inside this process, on a loop of its own, and a client for it."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.runner.run(self._start())

    async def _start(self) -> None:
        self.app = PracticeApp("token")
        loop = asyncio.get_running_loop()
        self.listening = await loop.create_server(HttpServer(self.app), "127.0.0.1", 0)
        self.port = self.listening.sockets[0].getsockname()[1]
        self.session = aiohttp.ClientSession(f"http://127.0.0.1:{self.port}", skip_auto_headers=["content-type"])

    def close(self) -> None:
        async def stop() -> None:
            await self.session.close()
            self.listening.close()

        self.runner.run(stop())
        self.runner.close()

    def request(
        self, method: str, path: str, body: bytes | io.BytesIO, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        async def send() -> tuple[int, bytes]:
            async with (
                asyncio.timeout(PATIENCE),
                self.session.request(
                    method, path, data=body, headers={"authorization": "Bearer x", **(headers or {})}
                ) as response,
            ):
                return response.status, await response.read()

        return self.runner.run(send())

    def raw(self, data: bytes, patience: float = 0.02) -> bytes:
        """Send bytes, give the server a moment, close the sending half, and return all that came back."""

        async def send() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(data)
                received = b""
                # a server that sees the end of the input at once answers nobody
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(patience):
                        received = await reader.read(2**20)
                writer.write_eof()
                async with asyncio.timeout(PATIENCE):
                    return received + await reader.read()
            except OSError:
                return b""
            finally:
                writer.close()

        return self.runner.run(send())

    def post(self, format: Format, body: Any, path: str = "") -> tuple[int, bytes]:
        """Post JSON, or bytes as they are, to a format's chat or to another path of it."""
        data = body if isinstance(body, bytes | io.BytesIO) else json.dumps(body).encode()
        return self.request("POST", path or format.path, data, dict(format.headers))

    def still_works(self) -> None:
        for format in FORMATS.values():
            assert self.post(format, format.chat())[0] == 200
            assert self.post(format, format.body)[0] == 200
            for path, body in format.others.items():
                assert self.post(format, body, path)[0] == 200


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    running = Running()
    yield running
    running.still_works()
    running.close()


def assert_fine(format: Format, status: int, content: bytes) -> None:
    """An answer, or a refusal in the provider's shape."""
    if status == 200:
        return
    assert 400 <= status < 500, (status, content)
    assert format.is_error(json.loads(content)), content


def mutated(value: Any, draw: Any) -> Any:
    """Return a copy with one place replaced, removed or doubled."""
    value = copy.deepcopy(value)
    places: list[tuple[Any, Any]] = []

    def collect(inner: Any) -> None:
        keys = list(inner) if isinstance(inner, dict) else range(len(inner)) if isinstance(inner, list) else ()
        for key in keys:
            places.append((inner, key))
            collect(inner[key])

    collect(value)
    holder, key = draw(st.sampled_from(places))
    what = draw(st.sampled_from(["replace", "remove", "double"]))
    if what == "replace":
        holder[key] = draw(JSON_VALUES)
    elif what == "remove":
        del holder[key]
    elif isinstance(holder, list):
        holder.append(holder[key])
    else:
        holder[draw(st.text(max_size=10))] = holder[key]
    return value


@EXAMPLES
@given(data=st.data(), format=OF_ANY_FORMAT, body=JSON_VALUES)
def test_any_json(running: Running, data: Any, format: Format, body: Any) -> None:
    path = data.draw(st.sampled_from([format.path, *format.others]))
    assert_fine(format, *running.post(format, body, path))


@IN_EVERY_FORMAT
@EXAMPLES
@given(data=st.data(), stream=st.booleans())
def test_almost_valid_chats(running: Running, data: Any, format: Format, stream: bool) -> None:
    body: Any = {**format.body, "stream": stream}
    for _ in range(data.draw(st.integers(1, 3))):
        body = mutated(body, data.draw)
        if not isinstance(body, dict) or not body:
            break
    assert_fine(format, *running.post(format, body))


@EXAMPLES
@given(data=st.data(), format=OF_ANY_FORMAT)
def test_almost_valid_bodies_for_other_routes(running: Running, data: Any, format: Format) -> None:
    path = data.draw(st.sampled_from(list(format.others)))
    assert_fine(format, *running.post(format, mutated(format.others[path], data.draw), path))


@EXAMPLES
@given(
    format=OF_ANY_FORMAT,
    body=st.binary(max_size=200),
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]),
)
def test_any_bytes_and_methods(running: Running, format: Format, body: bytes, method: str) -> None:
    assert_fine(format, *running.request(method, format.path, body, dict(format.headers)))


@EXAMPLES
@given(
    format=OF_ANY_FORMAT,
    headers=st.dictionaries(
        st.sampled_from(
            [
                "authorization", "x-api-key", "anthropic-version", "anthropic-beta",
                "content-type", "accept", "x-awaitsee-run", "content-encoding", "expect",
            ]
        ),
        st.text(string.ascii_letters + string.digits + " ;=,-/*", max_size=30),
    ),
)  # fmt: skip
def test_any_headers(running: Running, format: Format, headers: dict[str, str]) -> None:
    assert_fine(format, *running.request("POST", format.path, json.dumps(format.chat()).encode(), headers))


@EXAMPLES
@given(path=st.text(max_size=30), query=st.text(max_size=20))
def test_any_path(running: Running, path: str, query: str) -> None:
    from yarl import URL

    url = URL.build(path="/" + path, query={"q": query} if query else {})
    if url.path.startswith(("/search", "/weather", "/handbook", "/pages", "/_practice/")):
        return
    format = next((known for known in FORMATS.values() if url.path.startswith(known.path)), FORMATS["openai"])
    assert_fine(format, *running.request("GET", str(url), b""))


@EXAMPLES
@given(
    path=st.sampled_from(["/search", "/weather", "/handbook", "/pages/"]),
    name=st.sampled_from(["q", "city", "limit"]),
    value=st.text(max_size=30),
    tail=st.text(max_size=10),
)
def test_any_question_to_the_places(running: Running, path: str, name: str, value: str, tail: str) -> None:
    from yarl import URL

    query = {"q": "timeout", "city": "Rome", name: value}
    url = URL.build(path=path + (tail if path == "/pages/" else ""), query=query)
    status, content = running.request("GET", str(url), b"")
    if status != 200:
        assert 300 <= status < 500
        assert status < 400 or json.loads(content)["error"]


@ON_THE_SOCKET
@given(junk=st.binary(max_size=300))
def test_junk_on_the_socket(running: Running, junk: bytes) -> None:
    answer = running.raw(junk)
    assert answer == b"" or answer.startswith(b"HTTP/1.")
    assert b" 500 " not in answer.split(b"\r\n")[0]


@ON_THE_SOCKET
@given(
    first=st.sampled_from(
        [
            b"POST /v1/chat/completions HTTP/1.1", b"POST /v1/messages HTTP/1.1",
            b"GET / HTTP/1.0", b"GET //[ HTTP/1.1", b"GET * HTTP/1.1",
        ]
    ),
    lines=st.lists(
        st.sampled_from(
            [
                b"host: x", b"content-length: 5", b"content-length: -1", b"content-length: 99999999999",
                b"transfer-encoding: chunked", b"connection: upgrade", b"upgrade: websocket", b": ", b"\x00: \xff",
                b"authorization: Bearer x", b"expect: 100-continue", b"content-encoding: gzip",
            ]
        ),
        max_size=5,
    ),
    body=st.binary(max_size=20),
)  # fmt: skip
def test_half_sensible_http_on_the_socket(running: Running, first: bytes, lines: list[bytes], body: bytes) -> None:
    answer = running.raw(b"\r\n".join([first, *lines, b"", body]))
    status = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").split(b"\r\n")[0]
    assert b" 500 " not in status


def test_junk_is_refused_in_the_providers_shape(running: Running) -> None:
    head, _, content = running.raw(b"this is no HTTP\r\n\r\n", PATIENCE).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400") or head.startswith(b"HTTP/1.0 400")
    assert_fine(FORMATS["openai"], 400, content)


@IN_EVERY_FORMAT
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"temperature": NaN}',
        b'{"n": ' + b"9" * 10_000 + b"}",
        b'{"model": "\\ud800"}',
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b"",
    ],
)
def test_nasty_json_is_refused(running: Running, format: Format, body: bytes) -> None:
    status, content = running.post(format, body)
    assert status == 400
    assert_fine(format, status, content)


@IN_EVERY_FORMAT
@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"type": "array", "items": {"$ref": "#"}, "minItems": 1},
        {"type": "array", "minItems": 10**9, "items": {"type": "string"}},
        {"type": "string", "minLength": 10**9},
        {"type": "string", "pattern": "("},
        {"anyOf": []},
        {"enum": []},
        {"type": 5, "properties": 7, "required": 9},
    ],
)
def test_nasty_schemas_are_survived(running: Running, format: Format, schema: dict[str, Any]) -> None:
    question = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"
    assert_fine(format, *running.post(format, format.chat(question, **format.with_schema(schema))))
    assert_fine(format, *running.post(format, format.chat(question, **format.with_tool(schema))))


@IN_EVERY_FORMAT
def test_a_body_that_is_too_large_is_refused(running: Running, format: Format) -> None:
    status, content = running.post(format, io.BytesIO(b"x" * (MAX_BODY + 1)))
    assert status == 413
    assert_fine(format, status, content)


def test_a_body_that_never_comes_is_refused(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("awaitsee.practice.server.BODY_TIMEOUT", 0.1)

    async def send() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(b"POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc")
        try:
            async with asyncio.timeout(PATIENCE):
                return await reader.readline()
        finally:
            writer.close()

    assert b" 408 " in running.runner.run(send())
