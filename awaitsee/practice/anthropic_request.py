"""Reads what a client asks of Anthropic's messages, and refuses what Anthropic would refuse."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from . import model
from .exchange import MAX_NESTING, nesting, schema_excess
from .wire import Refusal, short

MAX_OUTPUT = 64_000
"""The most that `max_tokens` may be."""
WITHOUT_SAMPLING = "2026-10-21"
"""The first API version that has no sampling parameters any more."""

_ROLES = ("user", "assistant", "system")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_SAMPLING = {"temperature": (0, 1), "top_p": (0, 1), "top_k": (0, 2**31)}
_TO_COUNT = {
    "cache_control",
    "messages",
    "model",
    "output_config",
    "system",
    "thinking",
    "tool_choice",
    "tools",
    "user_profile_id",
}
_KNOWN = _TO_COUNT | {"inference_geo", "max_tokens", "metadata", "service_tier", "stop_sequences", "stream", *_SAMPLING}
"""What Anthropic knows and this server takes; a deterministic model has no use for some of it."""
_NOT_OFFERED = {
    "container": "the practice server runs no code",
    "context_management": "the practice model reads the whole context",
    "diagnostics": "the practice server caches no prompts",
    "mcp_servers": "the practice server calls no MCP servers; give the model a tool",
    "output_format": "use 'output_config.format', which replaced it",
    "speed": "its speed is the practice server's tokens_per_second",
}
_BLOCK_FIELDS = {
    "text": {"cache_control", "citations", "text", "type"},
    "tool_use": {"cache_control", "caller", "id", "input", "name", "toolset_name", "type"},
    "tool_result": {"cache_control", "content", "is_error", "tool_use_id", "toolset_name", "type"},
    "json_schema": {"schema", "type"},
}
_CHOICES = {"auto": "auto", "any": "required", "none": "none", "tool": ""}
_EFFORTS = ("low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class MessagesRequest:
    """A request for a message that was found to be in order."""

    prompt: model.Prompt
    stop: tuple[str, ...]
    stream: bool

    @property
    def text(self) -> str:
        """Everything that its system prompt and its messages say."""
        return "\n".join(message.text for message in self.prompt.messages)


def read_messages(body: Mapping[str, Any], version: str, *, to_count: bool = False) -> MessagesRequest:
    """Check a request's body and take the wire format off.

    With `to_count` it is a request for the number of tokens, which has no `max_tokens` and the like.

    Raises:
        Refusal: Something is missing, wrong or not offered here; the message says what.
    """
    _check_names(body, _TO_COUNT if to_count else _KNOWN, version)
    _check_options(body)
    messages = _messages(body)
    tools = _tools(body)
    choice, parallel = _tool_choice(body, tools)
    _check_thinking(body, forced=choice not in ("auto", "none"))
    return MessagesRequest(
        prompt=model.Prompt(
            messages=(*_system(body), *messages),
            tools=tools,
            tool_choice=choice,
            parallel_tool_calls=parallel,
            schema=_schema(body),
            max_tokens=None if to_count else _max_tokens(body),
        ),
        stop=_stop(body),
        stream=_boolean(body, "stream", "stream"),
    )


def invalid(where: str, what: str) -> Refusal:
    """Return the 400 for a place in the body."""
    return Refusal(400, f"{where}: {what}")


def required(body: Mapping[str, Any], name: str, where: str) -> Any:
    """Return a field that must be there."""
    if name not in body:
        raise invalid(where, "Field required")
    return body[name]


def string(value: object, where: str) -> str:
    """Return a value that must be a string."""
    if not isinstance(value, str):
        raise invalid(where, "Input should be a valid string")
    return value


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise invalid(where, "Input should be a valid list")
    return value


def _dictionary(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid(where, "Input should be a valid dictionary")
    return value


def _no_more(body: Mapping[str, Any], known: set[str], where: str) -> None:
    for name in body:
        if name not in known:
            raise invalid(f"{where}.{name}", "Extra inputs are not permitted")


def _boolean(body: Mapping[str, Any], name: str, where: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid(where, "Input should be a valid boolean")
    return bool(value)


def _wrong_tag(where: str, value: object, tags: Sequence[str]) -> Refusal:
    expected = ", ".join(f"'{tag}'" for tag in tags)
    return invalid(
        where, f"Input tag {short(value)} found using 'type' does not match any of the expected tags: {expected}"
    )


# --- names and options


def _check_names(body: Mapping[str, Any], known: set[str], version: str) -> None:
    for name in body:
        if name in _NOT_OFFERED:
            raise invalid(name, f"not offered here: {_NOT_OFFERED[name]}")
        if name not in known:
            raise invalid(name, "Extra inputs are not permitted")
        if name in _SAMPLING and version >= WITHOUT_SAMPLING:
            raise invalid(name, f"Extra inputs are not permitted: API version {WITHOUT_SAMPLING} removed '{name}'")


def _check_options(body: Mapping[str, Any]) -> None:
    for name, (least, most) in _SAMPLING.items():
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise invalid(name, "Input should be a valid number")
        if not least <= value <= most:
            raise invalid(name, f"range: {least}..{most}")
    if body.get("metadata") is not None:
        _dictionary(body["metadata"], "metadata")
    if body.get("service_tier") not in (None, "auto", "standard_only"):
        raise invalid("service_tier", "Input should be 'auto' or 'standard_only'")


def _check_thinking(body: Mapping[str, Any], *, forced: bool) -> None:
    """Let thinking be off or adaptive: the practice model then decides each time that there is nothing to think."""
    if body.get("thinking") is None:
        return
    kind = _dictionary(body["thinking"], "thinking").get("type")
    if kind == "enabled":
        raise Refusal(
            400,
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
            '"output_config.effort" to control thinking behavior.',
        )
    if kind not in ("adaptive", "between_tools", "disabled"):
        raise _wrong_tag("thinking", kind, ("enabled", "disabled", "between_tools", "adaptive"))
    if kind == "adaptive" and forced:
        raise Refusal(400, "Thinking may not be enabled when tool_choice forces tool use.")


def _max_tokens(body: Mapping[str, Any]) -> int:
    value = required(body, "max_tokens", "max_tokens")
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid("max_tokens", "Input should be a valid integer")
    if value < 1:
        raise invalid("max_tokens", "Input should be greater than or equal to 1")
    if value > MAX_OUTPUT:
        raise invalid(
            "max_tokens",
            f"{short(value)} > {MAX_OUTPUT}, which is the maximum allowed number of output tokens for "
            f"{model.MODEL_NAME}",
        )
    return value


def _stop(body: Mapping[str, Any]) -> tuple[str, ...]:
    if body.get("stop_sequences") is None:
        return ()
    entries = _list(body["stop_sequences"], "stop_sequences")
    sequences = tuple(string(entry, f"stop_sequences.{index}") for index, entry in enumerate(entries))
    if not all(sequence.strip() for sequence in sequences):
        raise invalid("stop_sequences", "each stop sequence must contain non-whitespace")
    return sequences


# --- system and messages


def _system(body: Mapping[str, Any]) -> tuple[model.Message, ...]:
    value = body.get("system")
    if value is None:
        return ()
    if isinstance(value, str):
        text = value
    else:
        blocks = [_block(entry, f"system.{index}", ("text",)) for index, entry in enumerate(_list(value, "system"))]
        text = "\n".join(_text(block, f"system.{index}", "system") for index, block in enumerate(blocks))
    return (model.Message("system", text),) if text else ()


def _messages(body: Mapping[str, Any]) -> tuple[model.Message, ...]:
    entries = _list(required(body, "messages", "messages"), "messages")
    if not entries:
        raise invalid("messages", "at least one message is required")
    messages: list[model.Message] = []
    open_calls: list[str] = []
    for index, entry in enumerate(entries):
        where = f"messages.{index}"
        role = required(_dictionary(entry, where), "role", f"{where}.role")
        _no_more(entry, {"content", "role"}, where)
        if role not in _ROLES:
            expected = "'user', 'assistant' or 'system'"
            raise invalid(where + ".role", f"Input should be {expected}, but it is {short(role)}")
        blocks = _content(role, required(entry, "content", f"{where}.content"), where, last=index == len(entries) - 1)
        results = _results(blocks, open_calls, where)
        _check_answered(open_calls, results, index - 1)
        messages += _model_messages(role, blocks, results, where)
        open_calls = [call.id for call in messages[-1].tool_calls]
    _check_answered(open_calls, [], len(entries) - 1)
    if role == "assistant":
        raise Refusal(
            400, "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    return tuple(messages)


def _content(role: str, content: object, where: str, *, last: bool) -> list[dict[str, Any]]:
    if isinstance(content, str):
        blocks = [{"type": "text", "text": content}] if content else []
    else:
        kinds = {"user": ("text", "tool_result"), "assistant": ("text", "tool_use"), "system": ("text",)}[role]
        entries = enumerate(_list(content, f"{where}.content"))
        blocks = [_block(entry, f"{where}.content.{index}", kinds) for index, entry in entries]
    if not blocks and not (role == "assistant" and last):
        raise invalid(where, "all messages must have non-empty content except for the optional final assistant message")
    return blocks


def _block(entry: object, where: str, kinds: Sequence[str]) -> dict[str, Any]:
    block = _dictionary(entry, where)
    kind = required(block, "type", f"{where}.type")
    if kind not in kinds:
        raise _wrong_tag(where, kind, kinds)
    _no_more(block, _BLOCK_FIELDS[kind], f"{where}.{kind}")
    return block


def _text(block: Mapping[str, Any], where: str, whole: str) -> str:
    text = string(required(block, "text", f"{where}.text.text"), f"{where}.text.text")
    if not text:
        raise invalid(whole, "text content blocks must be non-empty")
    if block.get("citations"):
        raise invalid(f"{where}.text.citations", "not offered here: the practice model gives no citations")
    return text


def _results(blocks: Sequence[Mapping[str, Any]], open_calls: Sequence[str], where: str) -> list[str]:
    """Return the ids of the tool calls that a message answers; the answers must come before its other blocks."""
    results: list[str] = []
    for index, block in enumerate(blocks):
        if block["type"] != "tool_result":
            continue
        place = f"{where}.content.{index}"
        call_id = string(
            required(block, "tool_use_id", f"{place}.tool_result.tool_use_id"), f"{place}.tool_result.tool_use_id"
        )
        if call_id not in open_calls:
            raise invalid(
                place,
                f"unexpected `tool_use_id` found in `tool_result` blocks: {call_id}. Each `tool_result` block must "
                "have a corresponding `tool_use` block in the previous message.",
            )
        if call_id in results:
            raise invalid(
                place,
                f"each tool_use must have a single result. Found multiple `tool_result` blocks with id: {call_id}",
            )
        results.append(call_id)
    leading = takewhile(lambda block: block["type"] == "tool_result", blocks)
    return results[: sum(1 for _ in leading)]


def _check_answered(open_calls: Sequence[str], results: Sequence[str], index: int) -> None:
    missing = [call_id for call_id in open_calls if call_id not in results]
    if missing:
        raise invalid(
            f"messages.{index}",
            f"`tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(missing)}. Each "
            "`tool_use` block must have a corresponding `tool_result` block in the next message.",
        )


def _model_messages(
    role: Any, blocks: Sequence[Mapping[str, Any]], results: Sequence[str], where: str
) -> list[model.Message]:
    """Return what the practice model reads of one message: each tool's result is a message of its own there."""
    places = [(block, f"{where}.content.{index}") for index, block in enumerate(blocks)]
    answers = [
        model.Message("tool", _result_text(block, place), tool_call_id=call_id)
        for (block, place), call_id in zip(places[: len(results)], results, strict=True)
    ]
    said = "\n".join(_text(block, place, "messages") for block, place in places if block["type"] == "text")
    calls = tuple(_call(block, place) for block, place in places if block["type"] == "tool_use")
    _check_call_ids(calls)
    return answers if answers and not said else [*answers, model.Message(role, said, calls)]


def _result_text(block: Mapping[str, Any], where: str) -> str:
    content = block.get("content")
    failed = _boolean(block, "is_error", f"{where}.tool_result.is_error")
    if content is None or isinstance(content, str):
        text = content or ""
    else:
        place = f"{where}.tool_result.content"
        parts = [_block(part, f"{place}.{index}", ("text",)) for index, part in enumerate(_list(content, place))]
        text = "\n".join(_text(part, f"{place}.{index}", "messages") for index, part in enumerate(parts))
    # the practice model reads words only, so the flag has to become one
    return f"Error: {text}" if failed and "error" not in text[:40].lower() else text


def _call(block: Mapping[str, Any], where: str) -> model.ToolCall:
    call_id, name = (
        string(required(block, field, f"{where}.tool_use.{field}"), f"{where}.tool_use.{field}")
        for field in ("id", "name")
    )
    if not _NAME.fullmatch(call_id):
        raise invalid(f"{where}.tool_use.id", "String should match pattern '^[a-zA-Z0-9_-]+$'")
    given = _dictionary(required(block, "input", f"{where}.tool_use.input"), f"{where}.tool_use.input")
    return model.ToolCall(call_id, name, given if nesting(given) <= MAX_NESTING else {})


def _check_call_ids(calls: Sequence[model.ToolCall]) -> None:
    if len({call.id for call in calls}) < len(calls):
        raise invalid("messages", "`tool_use` ids must be unique")


# --- tools and schema


def _tools(body: Mapping[str, Any]) -> tuple[model.Tool, ...]:
    if body.get("tools") is None:
        return ()
    tools = tuple(_tool(entry, f"tools.{index}") for index, entry in enumerate(_list(body["tools"], "tools")))
    if len({tool.name for tool in tools}) < len(tools):
        raise invalid("tools", "Tool names must be unique.")
    return tools


def _tool(entry: object, where: str) -> model.Tool:
    given = _dictionary(entry, where)
    if given.get("type") not in (None, "custom"):
        raise invalid(
            f"{where}.type",
            f"{short(given['type'])} is not offered here: the practice server has no tools of its own. Define the "
            "tool yourself, with 'name', 'description' and 'input_schema'.",
        )
    where = f"{where}.custom"
    name = string(required(given, "name", f"{where}.name"), f"{where}.name")
    if not _NAME.fullmatch(name):
        raise invalid(f"{where}.name", "String should match pattern '^[a-zA-Z0-9_-]{1,128}$'")
    description = given.get("description")
    if description is not None:
        string(description, f"{where}.description")
    place = f"{where}.input_schema"
    schema = _json_schema(required(given, "input_schema", place), place)
    if required(schema, "type", f"{place}.type") != "object":
        raise invalid(f"{place}.type", "Input should be 'object'")
    return model.Tool(name, description or "", schema)


def _tool_choice(body: Mapping[str, Any], tools: Sequence[model.Tool]) -> tuple[str, bool]:
    """Return the tool choice as the model has it, and whether several calls may come at once."""
    if body.get("tool_choice") is None:
        return "auto", True
    choice = _dictionary(body["tool_choice"], "tool_choice")
    kind = required(choice, "type", "tool_choice.type")
    if not isinstance(kind, str) or kind not in _CHOICES:
        raise _wrong_tag("tool_choice", kind, tuple(_CHOICES))
    if not tools and kind != "none":
        raise Refusal(400, "tool_choice may only be specified while providing tools.")
    parallel = not _boolean(choice, "disable_parallel_tool_use", f"tool_choice.{kind}.disable_parallel_tool_use")
    if kind != "tool":
        return _CHOICES[kind], parallel
    name = string(required(choice, "name", "tool_choice.tool.name"), "tool_choice.tool.name")
    if name not in [tool.name for tool in tools]:
        raise Refusal(400, f"Tool {short(name)} not found in provided tools")
    return name, parallel


def _schema(body: Mapping[str, Any]) -> dict[str, Any] | None:
    if body.get("output_config") is None:
        return None
    config = _dictionary(body["output_config"], "output_config")
    _no_more(config, {"effort", "format"}, "output_config")
    if config.get("effort") not in (None, *_EFFORTS):
        raise invalid("output_config.effort", f"Input should be one of {', '.join(map(repr, _EFFORTS))}")
    if config.get("format") is None:
        return None
    wanted = _block(config["format"], "output_config.format", ("json_schema",))
    where = "output_config.format.schema"
    schema = _json_schema(required(wanted, "schema", where), where)
    if any(
        part.get("type") == "object" and part.get("additionalProperties") is not False for part in _dictionaries(schema)
    ):
        raise invalid(where, "For 'object' type, 'additionalProperties' must be explicitly set to false")
    return schema


def _json_schema(value: object, where: str) -> dict[str, Any]:
    schema = _dictionary(value, where)
    if excess := schema_excess(schema):
        raise invalid(where, excess)
    return schema


def _dictionaries(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _dictionaries(inner)
