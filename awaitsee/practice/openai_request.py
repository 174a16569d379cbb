"""Reads what a client asks of OpenAI's chat completions, and refuses what OpenAI would refuse."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import model
from .exchange import MAX_NESTING, nesting, schema_excess
from .wire import Refusal, describe, short

_ROLES = ("system", "developer", "user", "assistant", "tool")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_RANGES = {"temperature": (0, 2), "top_p": (0, 1), "frequency_penalty": (-2, 2), "presence_penalty": (-2, 2)}
_KNOWN = {
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "moderation",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_p",
    "user",
    "verbosity",
}
"""What OpenAI knows and this server takes; a deterministic model has no use for some of it."""
_NOT_OFFERED = {
    "audio": "the practice model answers in text only",
    "function_call": "use 'tool_choice', which replaced it",
    "functions": "use 'tools', which replaced it",
    "prediction": "the practice model makes no use of predicted outputs",
    "top_logprobs": "the practice model has no log probabilities",
    "web_search_options": "the practice model does not search the web; give it a tool",
}


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A chat request that was found to be in order."""

    prompt: model.Prompt
    stop: tuple[str, ...]
    stream: bool
    include_usage: bool

    @property
    def text(self) -> str:
        """Everything that its messages say."""
        return "\n".join(message.text for message in self.prompt.messages)


def read_chat(body: Mapping[str, Any]) -> ChatRequest:
    """Check a request's body and take the wire format off.

    Raises:
        Refusal: Something is missing, wrong or not offered here; the message says what.
    """
    for name in body:
        if name in _NOT_OFFERED:
            raise invalid(f"Unsupported parameter: '{name}' is not offered here: {_NOT_OFFERED[name]}.", name)
        if name not in _KNOWN:
            raise invalid(f"Unrecognized request argument supplied: {name}", None)
    _check_options(body)
    messages = _messages(body)
    tools = _tools(body)
    stream = _boolean(body, "stream")
    return ChatRequest(
        prompt=model.Prompt(
            messages=messages,
            tools=tools,
            tool_choice=_tool_choice(body, tools),
            parallel_tool_calls=_boolean(body, "parallel_tool_calls", default=True),
            schema=_schema(body, messages),
            max_tokens=_max_tokens(body),
        ),
        stop=_stop(body),
        stream=stream,
        include_usage=_include_usage(body, stream),
    )


def invalid(message: str, param: str | None, code: str | None = None) -> Refusal:
    """Return the 400 for a parameter."""
    return Refusal(400, message, param=param, code=code)


def wrong_type(param: str, wanted: str, value: object) -> Refusal:
    """Return the 400 for a value of the wrong JSON type."""
    return invalid(
        f"Invalid type for '{param}': expected {wanted}, but got {describe(value)} instead.", param, "invalid_type"
    )


def required(body: Mapping[str, Any], name: str) -> Any:
    """Return a parameter that must be there."""
    if body.get(name) is None:
        raise invalid(f"Missing required parameter: '{name}'.", name, "missing_required_parameter")
    return body[name]


def integer(body: Mapping[str, Any], name: str, least: int, most: int | None = None) -> int | None:
    """Return an optional parameter that must be an integer within bounds."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_type(name, "an integer", value)
    if value < least or (most is not None and value > most):
        bounds = f">= {least}" if most is None else f"between {least} and {most}"
        raise invalid(
            f"Invalid '{name}': expected a value {bounds}, but got {short(value)} instead.", name, "invalid_value"
        )
    return value


def _boolean(body: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise wrong_type(name, "a boolean", value)
    return value


def _check_options(body: Mapping[str, Any]) -> None:
    for name, (least, most) in _RANGES.items():
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise wrong_type(name, "a decimal", value)
        if not least <= value <= most:
            raise invalid(
                f"Invalid '{name}': expected a value between {least} and {most}, but got {short(value)} instead.",
                name,
                "decimal_above_max_value" if value > most else "decimal_below_min_value",
            )
    if (choices := integer(body, "n", 1, 128)) is not None and choices > 1:
        raise invalid("'n' must be 1 here: the practice model would give the same answer each time.", "n")
    if _boolean(body, "logprobs"):
        raise invalid("'logprobs' is not offered here: the practice model has no log probabilities.", "logprobs")
    if body.get("modalities") not in (None, ["text"]):
        raise invalid("'modalities' must be [\"text\"]: the practice model answers in text only.", "modalities")
    integer(body, "seed", -(2**63), 2**63 - 1)


# --- messages


def _messages(body: Mapping[str, Any]) -> tuple[model.Message, ...]:
    entries = required(body, "messages")
    if not isinstance(entries, list):
        raise wrong_type("messages", "an array of objects", entries)
    if not entries:
        raise invalid(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            "messages",
            "empty_array",
        )
    messages = tuple(_message(entry, f"messages[{index}]") for index, entry in enumerate(entries))
    _check_tool_messages(messages)
    return messages


def _message(entry: object, where: str) -> model.Message:
    if not isinstance(entry, dict):
        raise wrong_type(where, "an object", entry)
    role = entry.get("role")
    if role is None:
        raise invalid(f"Missing required parameter: '{where}.role'.", f"{where}.role", "missing_required_parameter")
    if role not in _ROLES:
        supported = ", ".join(f"'{known}'" for known in _ROLES)
        raise invalid(
            f"Invalid value: {short(role)}. Supported values are: {supported}.", f"{where}.role", "invalid_value"
        )
    calls = _calls(entry.get("tool_calls"), f"{where}.tool_calls") if role == "assistant" else ()
    call_id = entry.get("tool_call_id") if role == "tool" else ""
    if not isinstance(call_id, str):
        raise invalid(
            "Missing parameter 'tool_call_id': messages with role 'tool' must have a 'tool_call_id'.",
            f"{where}.tool_call_id",
        )
    text = _content(entry.get("content"), f"{where}.content", may_be_null=role == "assistant")
    return model.Message("system" if role == "developer" else role, text, calls, call_id)


def _content(content: object, where: str, *, may_be_null: bool) -> str:
    if isinstance(content, str):
        return content
    if content is None and may_be_null:
        return ""
    if content is None:
        raise invalid(f"Invalid value for '{where}': expected a string, got null.", where)
    if not isinstance(content, list):
        raise wrong_type(where, "one of a string or array of objects", content)
    if not content:
        raise invalid(f"Invalid '{where}': empty array. Expected an array with minimum length 1.", where, "empty_array")
    return "\n".join(_part(part, f"{where}[{index}]") for index, part in enumerate(content))


def _part(part: object, where: str) -> str:
    if not isinstance(part, dict):
        raise wrong_type(where, "an object", part)
    kind = part.get("type")
    if kind not in ("text", "refusal"):
        raise invalid(
            f"Invalid value for '{where}.type': the practice model reads parts of type 'text' only, "
            f"but got {short(kind)}.",
            f"{where}.type",
            "invalid_value",
        )
    text = part.get(kind)
    if not isinstance(text, str):
        raise wrong_type(f"{where}.{kind}", "a string", text)
    return text


def _calls(entries: object, where: str) -> tuple[model.ToolCall, ...]:
    if entries is None:
        return ()
    if not isinstance(entries, list):
        raise wrong_type(where, "an array of objects", entries)
    if not entries:
        raise invalid(f"Invalid '{where}': empty array. Expected an array with minimum length 1.", where, "empty_array")
    return tuple(_call(entry, f"{where}[{index}]") for index, entry in enumerate(entries))


def _call(entry: object, where: str) -> model.ToolCall:
    if not isinstance(entry, dict):
        raise wrong_type(where, "an object", entry)
    if entry.get("type", "function") != "function":
        raise invalid(f"Invalid value for '{where}.type': expected 'function'.", f"{where}.type", "invalid_value")
    function = entry.get("function")
    if not isinstance(function, dict):
        raise wrong_type(f"{where}.function", "an object", function)
    for name, value in (("id", entry.get("id")), ("function.name", function.get("name"))):
        if not isinstance(value, str):
            raise wrong_type(f"{where}.{name}", "a string", value)
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        raise wrong_type(f"{where}.function.arguments", "a string", arguments)
    return model.ToolCall(entry["id"], function["name"], _arguments(arguments))


def _arguments(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        # a model may have written anything here, and OpenAI takes it back as it is
        return {}
    return value if isinstance(value, dict) and nesting(value) <= MAX_NESTING else {}


def _check_tool_messages(messages: tuple[model.Message, ...]) -> None:
    """Every tool call must be answered right after the message that made it, and nothing else may be."""
    open_calls: set[str] = set()
    answering = False
    for index, message in enumerate(messages):
        if message.role != "tool":
            _check_all_answered(open_calls)
            open_calls = {call.id for call in message.tool_calls}
            answering = bool(open_calls)
        elif not answering:
            raise invalid(
                "Invalid parameter: messages with role 'tool' must be a response to a preceding message with "
                "'tool_calls'.",
                f"messages[{index}].role",
            )
        elif message.tool_call_id not in open_calls:
            raise invalid(
                f"Invalid parameter: 'tool_call_id' of '{message.tool_call_id}' not found in 'tool_calls' of previous "
                "message.",
                f"messages[{index}].tool_call_id",
            )
        else:
            open_calls.discard(message.tool_call_id)
    _check_all_answered(open_calls)


def _check_all_answered(open_calls: set[str]) -> None:
    if open_calls:
        raise invalid(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            "'tool_call_id'. The following tool_call_ids did not have response messages: "
            f"{', '.join(sorted(open_calls))}",
            "messages",
        )


# --- tools, schema and length


def _tools(body: Mapping[str, Any]) -> tuple[model.Tool, ...]:
    entries = body.get("tools")
    if entries is None:
        return ()
    if not isinstance(entries, list):
        raise wrong_type("tools", "an array of objects", entries)
    if not entries:
        raise invalid(
            "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            "tools",
            "empty_array",
        )
    return tuple(_tool(entry, f"tools[{index}]") for index, entry in enumerate(entries))


def _tool(entry: object, where: str) -> model.Tool:
    if not isinstance(entry, dict):
        raise wrong_type(where, "an object", entry)
    if entry.get("type") != "function":
        raise invalid(
            f"Invalid value for '{where}.type': expected 'function', but got {short(entry.get('type'))}.",
            f"{where}.type",
            "invalid_value",
        )
    function = entry.get("function")
    if not isinstance(function, dict):
        raise wrong_type(f"{where}.function", "an object", function)
    name = function.get("name")
    if not isinstance(name, str):
        raise wrong_type(f"{where}.function.name", "a string", name)
    if not _NAME.fullmatch(name):
        raise invalid(
            f"Invalid '{where}.function.name': expected 1 to 64 letters, digits, underscores or dashes, "
            f"but got {short(name)}.",
            f"{where}.function.name",
            "invalid_value",
        )
    description = function.get("description") or ""
    if not isinstance(description, str):
        raise wrong_type(f"{where}.function.description", "a string", description)
    parameters = _json_schema(function.get("parameters"), f"{where}.function.parameters")
    return model.Tool(name, description, parameters or {"type": "object", "properties": {}})


def _tool_choice(body: Mapping[str, Any], tools: tuple[model.Tool, ...]) -> str:
    choice = body.get("tool_choice")
    for name in ("tool_choice", "parallel_tool_calls"):
        if body.get(name) is not None and not tools:
            raise invalid(f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified.", name)
    if choice is None:
        return "auto"
    if choice in ("auto", "none", "required"):
        return str(choice)
    function = choice.get("function") if isinstance(choice, dict) else None
    wanted = function.get("name") if isinstance(function, dict) else None
    if not isinstance(wanted, str):
        raise invalid(
            "Invalid value for 'tool_choice': expected 'none', 'auto', 'required', or "
            '{"type": "function", "function": {"name": ...}}, '
            f"but got {short(choice)}.",
            "tool_choice",
            "invalid_value",
        )
    if wanted not in [tool.name for tool in tools]:
        raise invalid(
            f"Invalid value for 'tool_choice': the function {short(wanted)} is not among the 'tools'.", "tool_choice"
        )
    return wanted


def _schema(body: Mapping[str, Any], messages: tuple[model.Message, ...]) -> dict[str, Any] | None:
    wanted = body.get("response_format")
    if wanted is None:
        return None
    if not isinstance(wanted, dict):
        raise wrong_type("response_format", "an object", wanted)
    kind = wanted.get("type")
    if kind == "text":
        return None
    if kind == "json_object":
        if not any("json" in message.text.lower() for message in messages):
            raise invalid(
                "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
                "messages",
            )
        return model.ANY_OBJECT
    if kind != "json_schema":
        raise invalid(
            f"Invalid value for 'response_format.type': expected 'text', 'json_object' or 'json_schema', "
            f"but got {short(kind)}.",
            "response_format.type",
            "invalid_value",
        )
    where = "response_format.json_schema"
    details = wanted.get("json_schema")
    if not isinstance(details, dict):
        raise wrong_type(where, "an object", details)
    if not isinstance(details.get("name"), str) or not _NAME.fullmatch(details["name"]):
        raise invalid(
            f"Invalid '{where}.name': expected 1 to 64 letters, digits, underscores or dashes.", f"{where}.name"
        )
    return _json_schema(required(details, "schema"), f"{where}.schema")


def _json_schema(value: object, where: str) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise wrong_type(where, "an object", value)
    if excess := schema_excess(value):
        raise invalid(f"Invalid '{where}': {excess}.", where)
    return value


def _max_tokens(body: Mapping[str, Any]) -> int | None:
    old, new = integer(body, "max_tokens", 1), integer(body, "max_completion_tokens", 1)
    if old is not None and new is not None:
        raise invalid(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported: use the latter.",
            "max_tokens",
        )
    return new if new is not None else old


def _stop(body: Mapping[str, Any]) -> tuple[str, ...]:
    value = body.get("stop")
    if value is None:
        return ()
    sequences = [value] if isinstance(value, str) else value
    if not isinstance(sequences, list) or not all(isinstance(sequence, str) for sequence in sequences):
        raise wrong_type("stop", "a string or an array of strings", value)
    if not 1 <= len(sequences) <= 4 or not all(sequences):
        raise invalid("Invalid 'stop': expected 1 to 4 sequences that are not empty.", "stop", "invalid_value")
    return tuple(sequences)


def _include_usage(body: Mapping[str, Any], stream: bool) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict):
        raise wrong_type("stream_options", "an object", options)
    if not stream:
        raise invalid(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options", None
        )
    return _boolean(options, "include_usage")
