"""One exchange with the practice model: what every wire format needs of it, before it is written in that format."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

from . import model

T = TypeVar("T")

CACHED_ANSWERS = 512
"""How many answers each route remembers."""
CACHED_BODY = 32 * 2**10
"""Larger requests are worked out anew each time, so that a cache stays below 16 MB."""
MAX_NESTING = 100
"""How deep a schema or a tool's parameters may go."""
MAX_LEAST = {"minLength": 10_000, "minItems": 100, "minProperties": 100}
"""How much a schema may demand at least: more than this is no answer that anybody wants."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call of the reply, its arguments written as JSON."""

    id: str
    name: str
    arguments: str

    def count_tokens(self) -> int:
        """Return the tokens of its name and its arguments."""
        return model.count_tokens(self.name) + model.count_tokens(self.arguments)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A prompt, the reply to it, and the tokens of both."""

    reply: model.Reply
    """Ended before the first stop sequence, if there was one in it."""
    calls: tuple[Call, ...]
    stop_sequence: str | None
    """The stop sequence that ended the reply."""
    input_tokens: int
    output_tokens: int


def remembered(work_out: Callable[..., T]) -> Callable[..., T]:
    """Let a function of a request's body remember its last answers.

    The model is a pure function, and retries and load tests send the same bytes again and again.
    """
    once = lru_cache(CACHED_ANSWERS)(work_out)

    def answered(body: bytes, *rest: str) -> T:
        return (once if len(body) <= CACHED_BODY else work_out)(body, *rest)

    return answered


def exchange(prompt: model.Prompt, stop: Sequence[str] = ()) -> Exchange:
    """Ask the practice model; the same prompt always gives the same exchange."""
    reply = model.reply(prompt)
    found = [] if reply.tool_calls else [(reply.text.find(sequence), sequence) for sequence in stop]
    end, stop_sequence = min((place for place in found if place[0] >= 0), default=(-1, None))
    if stop_sequence is not None:
        reply = replace(reply, text=reply.text[:end], finish="stop")
    calls = tuple(Call(call.id, call.name, json.dumps(call.arguments)) for call in reply.tool_calls)
    written = model.count_tokens(reply.text) + sum(call.count_tokens() for call in calls)
    return Exchange(reply, calls, stop_sequence, count_prompt_tokens(prompt), written)


def count_prompt_tokens(prompt: model.Prompt) -> int:
    """Return the tokens of a prompt, with a few for each message's frame as providers count them."""
    frame = 3 + 4 * len(prompt.messages)
    spoken = sum(model.count_tokens(message.text) for message in prompt.messages)
    calls = [call for message in prompt.messages for call in message.tool_calls]
    called = sum(model.count_tokens(call.name) + model.count_tokens(json.dumps(call.arguments)) for call in calls)
    tools = sum(
        model.count_tokens(f"{tool.name} {tool.description} {json.dumps(tool.parameters)}") for tool in prompt.tools
    )
    return frame + spoken + called + tools


def schema_excess(schema: object) -> str | None:
    """Say what is too much about a JSON schema that came from outside, or return `None`."""
    if nesting(schema) > MAX_NESTING:
        return f"it is nested more than {MAX_NESTING} levels deep"
    for keyword, most in MAX_LEAST.items():
        if any(isinstance(least, int | float) and least > most for least in _values_of(keyword, schema)):
            return f"'{keyword}' must not be above {most} here"
    return None


def nesting(value: object) -> int:
    """Return how many arrays and objects lie within each other in a JSON value."""
    depth, level = 0, [value]
    while level := [inner for outer in level for inner in _inside(outer)]:
        depth += 1
    return depth


def _values_of(keyword: str, value: object) -> Iterator[object]:
    if isinstance(value, dict) and keyword in value:
        yield value[keyword]
    for inner in _inside(value):
        yield from _values_of(keyword, inner)


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
