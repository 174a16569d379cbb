"""Reads what a client asks of Ollama, and refuses what Ollama would refuse.

Ollama is written in Go: what is null or missing has the zero value of its type, what it does not know it ignores, and a
wrong type is refused in the words of Go's JSON package.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from . import model
from .exchange import MAX_NESTING, nesting, schema_excess
from .openai import EMBEDDING_MODEL
from .wire import Refusal, describe, read_json

MAX_INPUTS = 2048
"""How many texts an embedding request may hold."""

_ROLES: Mapping[str, model.Role] = {role: role for role in get_args(model.Role)}
_OPTIONS = {
    "num_keep": "integer",
    "seed": "integer",
    "num_predict": "integer",
    "top_k": "integer",
    "top_p": "float32",
    "min_p": "float32",
    "typical_p": "float32",
    "repeat_last_n": "integer",
    "temperature": "float32",
    "repeat_penalty": "float32",
    "presence_penalty": "float32",
    "frequency_penalty": "float32",
    "stop": "array",
    "num_ctx": "integer",
    "num_batch": "integer",
    "num_gpu": "integer",
    "main_gpu": "integer",
    "use_mmap": "boolean",
    "num_thread": "integer",
}
"""The options that Ollama knows; a deterministic model makes use of `num_predict` and `stop` only."""
_THINKING = ("low", "medium", "high", "max")
_MAX_INTEGER = 2**63 - 1
_MAP = "map[string]interface {}"
_DURATION = re.compile(r"[-+]?(?:0|(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)")


@dataclass(frozen=True, slots=True)
class TextRequest:
    """A request for a chat's next message or for the answer to one prompt, found to be in order."""

    name: str
    """The model's name as the client wrote it."""
    prompt: model.Prompt
    stop: tuple[str, ...]
    stream: bool
    loads: str
    """`load` or `unload` if it asks for nothing but to have the model ready or gone, else empty."""

    @property
    def text(self) -> str:
        """Everything that its messages say."""
        return "\n".join(message.text for message in self.prompt.messages)


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """A request for vectors that was found to be in order."""

    name: str
    """The model's name as the client wrote it."""
    inputs: tuple[str, ...]
    dimensions: int | None


class Struct:
    """A JSON object as Go reads it into a struct.

    Every method raises `Refusal` for a value of a wrong type.
    """

    def __init__(self, value: Mapping[str, Any], place: str) -> None:
        self._value = value
        self._place = place
        """The struct's name and the fields that lead to this object, as Go's messages name it."""

    @classmethod
    def read(cls, body: bytes, name: str) -> Struct:
        """Read a request's body."""
        if not body.strip():
            raise Refusal(400, "missing request body")
        return cls(read_json(body, "invalid JSON in the request body: {problem}"), name)

    def get(self, name: str) -> Any:
        """Return a field as it is, or `None`."""
        return self._value.get(name)

    def string(self, name: str) -> str:
        """Return a string field."""
        value = self.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.mismatch(name, value, "string")
        return value

    def boolean(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean field."""
        value = self.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.mismatch(name, value, "bool")
        return value

    def integer(self, name: str) -> int:
        """Return an integer field."""
        value = self.get(name)
        if value is None:
            return 0
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _MAX_INTEGER:
            raise self.mismatch(name, value, "int")
        return value

    def mapping(self, name: str, kind: str = _MAP) -> dict[str, Any]:
        """Return a field that holds an object; `kind` is Go's name of its type."""
        value = self.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.mismatch(name, value, kind)
        return value

    def struct(self, name: str, kind: str) -> Struct:
        """Return a field that holds a struct."""
        return Struct(self.mapping(name, kind), f"{self._place}.{name}")

    def array(self, name: str, kind: str) -> list[Any]:
        """Return a field that holds an array."""
        value = self.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.mismatch(name, value, kind)
        return value

    def structs(self, name: str, kind: str, each: str) -> list[Struct]:
        """Return a field that holds an array of structs; `each` is Go's name of their type."""
        found = []
        for value in self.array(name, kind):
            if not isinstance(value, dict | None):
                raise self.mismatch(name, value, each)
            found.append(Struct(value or {}, f"{self._place}.{name}"))
        return found

    def mismatch(self, name: str, value: object, kind: str) -> Refusal:
        """Return the 400 for a value of a wrong type."""
        return Refusal(
            400, f"json: cannot unmarshal {_go_kind(value)} into Go struct field {self._place}.{name} of type {kind}"
        )


def _go_kind(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return f"number {_short(value)}"
    return describe(value).split()[-1]


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


# --- names of models


def canonical(name: str) -> str:
    """Bring a model's name to the form that the practice models are known by; Ollama knows them with more around it."""
    bare = name.lower().removeprefix("registry.ollama.ai/").removeprefix("library/")
    return bare.removesuffix(":latest")


def known_model(name: str) -> str:
    """Return the name of the practice model that a client means.

    Raises:
        Refusal: It names none, or one that is not here.
    """
    if not name:
        raise Refusal(400, "model is required")
    found = canonical(name)
    if found not in (model.MODEL_NAME, EMBEDDING_MODEL):
        raise Refusal(404, f"model '{name}' not found")
    return found


def _check_writes(request: Struct, what: str) -> None:
    name = request.string("model")
    if known_model(name) == EMBEDDING_MODEL:
        raise Refusal(400, f"{_short(name)} does not support {what}")


# --- chat and generate


def read_chat(body: bytes) -> TextRequest:
    """Check a chat request's body and take the wire format off.

    Raises:
        Refusal: Something is wrong or not offered here; the message says what.
    """
    request = Struct.read(body, "ChatRequest")
    _check_writes(request, "chat")
    messages = _messages(request)
    tools = _tools(request)
    return _text_request(request, messages, tools, empty=not messages)


def read_generate(body: bytes) -> TextRequest:
    """Check the body of a request to complete one prompt, and take the wire format off.

    Raises:
        Refusal: Something is wrong or not offered here; the message says what.
    """
    request = Struct.read(body, "GenerateRequest")
    _check_writes(request, "generate")
    prompt, system = request.string("prompt"), request.string("system")
    _check_generate(request, system)
    messages = [model.Message("system", system)] if system else []
    return _text_request(request, (*messages, model.Message("user", prompt)), (), empty=not prompt)


def _text_request(
    request: Struct, messages: tuple[model.Message, ...], tools: tuple[model.Tool, ...], *, empty: bool
) -> TextRequest:
    stream = request.boolean("stream", default=True)
    stays = _keep_alive(request)
    options = request.mapping("options")
    name = request.string("model")
    _check_thinking(request, name)
    _check_logprobs(request)
    _check_options(options)
    limit = options.get("num_predict")
    prompt = model.Prompt(
        messages=messages,
        tools=tools,
        schema=_schema(request.get("format")),
        # from 0 down it means no limit
        max_tokens=int(limit) if limit is not None and limit >= 1 else None,
    )
    stop = tuple(filter(None, options.get("stop") or ()))
    return TextRequest(name, prompt, stop, stream, ("load" if stays else "unload") if empty else "")


def _check_generate(request: Struct, system: str) -> None:
    template, context = request.string("template"), request.array("context", "[]int")
    if request.boolean("raw") and (template or system or context):
        raise Refusal(400, "raw mode does not support template, system, or context")
    if request.string("suffix"):
        raise Refusal(400, f"registry.ollama.ai/library/{model.MODEL_NAME}:latest does not support insert")
    if template:
        raise Refusal(400, "template is not offered here: the practice model has none; use system or /api/chat")
    if context:
        raise Refusal(400, "context is not offered here: it is deprecated; send the conversation to /api/chat")
    _check_images(request)


def _check_images(struct: Struct) -> None:
    if struct.array("images", "[]api.ImageData"):
        raise Refusal(400, "this model is missing data required for image input")


def _check_thinking(request: Struct, name: str) -> None:
    think = request.get("think")
    if think is None or think is False:
        return
    levels = '"high", "medium", "low", "max", true, or false'
    if not isinstance(think, str | bool):
        raise Refusal(400, f"think must be a boolean or string ({levels})")
    if isinstance(think, str) and think not in _THINKING:
        raise Refusal(400, f"invalid think value: {_short(think)} (must be {levels})")
    raise Refusal(400, f"{_short(name)} does not support thinking")


def _check_logprobs(request: Struct) -> None:
    if not 0 <= request.integer("top_logprobs") <= 20:
        raise Refusal(400, "top_logprobs must be between 0 and 20")
    if request.boolean("logprobs"):
        raise Refusal(400, "logprobs is not offered here: the practice model has no log probabilities")


def _check_options(options: Mapping[str, Any]) -> None:
    for name, kind in _OPTIONS.items():
        value = options.get(name)
        if value is None:
            continue
        if not _is_of(value, kind):
            raise Refusal(400, f'option "{name}" must be of type {kind}')
        if kind == "array" and not all(isinstance(entry, str) for entry in value):
            raise Refusal(400, f'option "{name}" must be of an array of strings')


def _is_of(value: object, kind: str) -> bool:
    if kind == "array":
        return isinstance(value, list)
    if kind == "boolean" or isinstance(value, bool):
        return kind == "boolean" and isinstance(value, bool)
    # Go reads every number of the options as a float, so that 5.0 is an integer too
    return isinstance(value, int | float) and (isinstance(value, int) or math.isfinite(value))


def _keep_alive(request: Struct) -> bool:
    """Tell whether the model stays loaded afterwards."""
    value = request.get("keep_alive")
    if value is None:
        return True
    if isinstance(value, str):
        if not _DURATION.fullmatch(value):
            missing = value.strip().isdecimal()
            raise Refusal(400, f"time: {'missing unit in' if missing else 'invalid'} duration {_short(value)}")
        return any(digit in value for digit in "123456789")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value != 0
    go_type = {"a boolean": "bool", "an array": "[]interface {}"}.get(describe(value), _MAP)
    raise Refusal(400, f"Unsupported type: '{go_type}'")


def _schema(wanted: object) -> dict[str, Any] | None:
    if wanted is None or wanted == "":
        return None
    if wanted == "json":
        return model.ANY_OBJECT
    if not isinstance(wanted, dict):
        raise Refusal(400, f'invalid format: {_short(_short(wanted))}; expected "json" or a valid JSON Schema object')
    if excess := schema_excess(wanted):
        raise Refusal(400, f"invalid JSON schema in format: {excess}")
    return wanted


# --- messages and tools


def _messages(request: Struct) -> tuple[model.Message, ...]:
    messages = []
    open_calls = _OpenCalls()
    for place, entry in enumerate(request.structs("messages", "[]api.Message", "api.Message")):
        message = _message(entry, place, open_calls)
        if message.role == "assistant":
            open_calls = _OpenCalls(message.tool_calls)
        messages.append(message)
    return tuple(messages)


def _message(entry: Struct, place: int, open_calls: _OpenCalls) -> model.Message:
    written = entry.string("role").lower()
    if written not in _ROLES:
        raise Refusal(400, f"invalid role: {_short(written)}, role must be one of [{', '.join(_ROLES)}]")
    role = _ROLES[written]
    text = entry.string("content")
    _check_images(entry)
    calls = _calls(entry, place) if role == "assistant" else ()
    return model.Message(role, text, calls, open_calls.answered_by(entry) if role == "tool" else "")


def _calls(entry: Struct, place: int) -> tuple[model.ToolCall, ...]:
    calls = []
    for number, call in enumerate(entry.structs("tool_calls", "[]api.ToolCall", "api.ToolCall")):
        function = call.struct("function", "api.ToolCallFunction")
        arguments = function.mapping("arguments", "api.ToolCallFunctionArguments")
        # the SDK does not send the id back
        id = call.string("id") or f"call_{place}_{number}"
        fine = nesting(arguments) <= MAX_NESTING
        calls.append(model.ToolCall(id, function.string("name"), arguments if fine else {}))
    return tuple(calls)


class _OpenCalls:
    """The tool calls of a message that wait for their results."""

    def __init__(self, calls: Iterable[model.ToolCall] = ()) -> None:
        self._open: set[str] = set()
        self._in_order: deque[str] = deque()
        self._by_name: defaultdict[str, deque[str]] = defaultdict(deque)
        for call in calls:
            self._open.add(call.id)
            self._in_order.append(call.id)
            self._by_name[call.name].append(call.id)

    def answered_by(self, entry: Struct) -> str:
        """Return the id of the call that a tool's message answers: the one it names by id or tool, else the next one.

        Ollama checks none of this: results go into the prompt in their order, and the SDK sends no ids.
        """
        id, name = entry.string("tool_call_id"), entry.string("tool_name")
        if id not in self._open:
            id = self._next(self._by_name[name]) or self._next(self._in_order) or id
        self._open.discard(id)
        return id

    def _next(self, ids: deque[str]) -> str | None:
        while ids and ids[0] not in self._open:
            ids.popleft()
        return ids[0] if ids else None


def _tools(request: Struct) -> tuple[model.Tool, ...]:
    entries = request.structs("tools", "api.Tools", "api.Tool")
    tools = [_tool(entry.struct("function", "api.ToolFunction")) for entry in entries]
    # Ollama takes a tool without a name, but no call could ever mean it
    return tuple(tool for tool in tools if tool.name)


def _tool(function: Struct) -> model.Tool:
    name, description = function.string("name"), function.string("description")
    parameters = function.mapping("parameters", "api.ToolFunctionParameters")
    details = function.struct("parameters", "api.ToolFunctionParameters")
    details.string("type")
    for required in details.array("required", "[]string"):
        if not isinstance(required, str | None):
            raise details.mismatch("required", required, "string")
    for value in details.mapping("properties", "api.ToolPropertiesMap").values():
        if not isinstance(value, dict | None):
            raise details.mismatch("properties", value, "api.ToolProperty")
    if excess := schema_excess(parameters):
        raise Refusal(400, f"invalid parameters of tool {_short(name)}: {excess}")
    return model.Tool(name, description, parameters or {"type": "object", "properties": {}})


# --- embeddings


def read_embed(body: bytes) -> EmbedRequest:
    """Check the body of a request for vectors, and take the wire format off.

    Raises:
        Refusal: Something is wrong or not offered here; the message says what.
    """
    request = Struct.read(body, "EmbedRequest")
    value = request.get("input")
    inputs = [value] if isinstance(value, str) and value else (value or [])
    if not isinstance(inputs, list) or not all(isinstance(entry, str) for entry in inputs):
        raise Refusal(400, "invalid input type")
    if len(inputs) > MAX_INPUTS:
        raise Refusal(400, f"input must not hold more than {MAX_INPUTS} texts here")
    dimensions = request.integer("dimensions")
    request.boolean("truncate")
    return _embed_request(request, inputs, dimensions if dimensions > 0 else None)


def read_embeddings(body: bytes) -> EmbedRequest:
    """Check the body of a request to the older route, which takes one text, and take the wire format off.

    Raises:
        Refusal: Something is wrong or not offered here; the message says what.
    """
    request = Struct.read(body, "EmbeddingRequest")
    prompt = request.string("prompt")
    return _embed_request(request, [prompt] if prompt else [], None)


def _embed_request(request: Struct, inputs: list[str], dimensions: int | None) -> EmbedRequest:
    _keep_alive(request)
    options = request.mapping("options")
    name = request.string("model")
    if name and canonical(name) not in (model.MODEL_NAME, EMBEDDING_MODEL):
        raise Refusal(404, f"model {_short(name)} not found, try pulling it first")
    if known_model(name) != EMBEDDING_MODEL:
        raise Refusal(501, f"this model does not support embeddings: use '{EMBEDDING_MODEL}'")
    _check_options(options)
    return EmbedRequest(name, tuple(inputs), dimensions)
