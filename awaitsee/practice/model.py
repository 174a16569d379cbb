"""The practice model: a deterministic stand-in for a language model. It knows nothing of wire formats."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from awaitsee.practice import context, extract, form, knowledge, places, talk, tooling, writing
from awaitsee.practice.arithmetic import evaluate
from awaitsee.practice.fill import Source, fill
from awaitsee.practice.text import count_tokens, embed, sentences, terms, tokenize

__all__ = [
    "ANY_OBJECT",
    "MODEL_NAME",
    "Message",
    "Prompt",
    "Reply",
    "Role",
    "Tool",
    "ToolCall",
    "count_tokens",
    "embed",
    "reply",
    "tokenize",
    "warm_up",
]

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    """For a tool's message: the call that it answers."""


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    description: str
    parameters: dict[str, Any]
    """JSON schema of the arguments."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request with its wire format taken off."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    """`auto`, `none`, `required`, or the name of one tool."""
    parallel_tool_calls: bool = True
    schema: dict[str, Any] | None = None
    """JSON schema that the answer must fit."""
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Literal["stop", "tool_calls", "length"] = "stop"


MODEL_NAME = "practice-1"
ANY_OBJECT: dict[str, Any] = {"type": "object"}
"""The schema of what providers call JSON mode: which object is said in the prompt, in words."""

_LONGEST_QUESTION = 400
_QUESTION_START = re.compile(
    r"\W*(?:what|what's|who|when|where|why|how|which|is|are|does|do|did|can|should|could|"
    r"would|will|explain|describe|define|tell|give|list|name|compare|write|show|find)\b",
    re.IGNORECASE,
)
_THING = re.compile(
    r"\W*(?:please )?(?:what(?:'s| is| are| was| were)|who(?:'s| is| are| was)|where(?:'s| is|"
    r" are)|tell me about|explain|describe|define|what about)\s+(.+)",
    re.IGNORECASE,
)
_GRADE = re.compile(r"\byes\b\W{1,4}(?:or|/)\W{1,4}no\b", re.IGNORECASE)
_LABELS = re.compile(r"\b(?:classify|sentiment|categori[sz]e|label)\b", re.IGNORECASE)
_JSON = re.compile(r"\bjson\b", re.IGNORECASE)
_KEYS = re.compile(
    r"\b(?:keys?|fields?)\b\W*(?:are|named|called)?\W*((?:[\"'`]?\w+[\"'`]?(?:\s*,\s*(?:and\s+)?|\s+and\s+)?)+)",
    re.IGNORECASE,
)
_WRITERS = frozenset(("planner", "writer", "editor", "critic", "reviewer", "journalist", "copywriter"))


def warm_up() -> None:
    """Read the handbook and the pages now, so that the first request is as fast as the others.

    Raises:
        FileNotFoundError: The course's data is not there.
    """
    reply(Prompt((Message("user", "What is the weather in Paris, and what is a coroutine?"),)))
    extract.places("")
    places.search("coroutine")


def reply(prompt: Prompt) -> Reply:
    """Answer a prompt; the same prompt always gets the same reply."""
    prompt = replace(prompt, messages=tuple(map(_tidied, prompt.messages)))
    calls = tooling.plan(prompt)
    if calls:
        made = tuple(
            ToolCall(_call_id(prompt, place, name, arguments), name, arguments)
            for place, (name, arguments) in enumerate(calls)
        )
        return Reply("", made, "tool_calls")
    text = _structured(prompt) if prompt.schema is not None else _text(prompt)
    pieces = tokenize(text)
    if prompt.max_tokens is not None and 0 <= prompt.max_tokens < len(pieces):
        return Reply("".join(pieces[: prompt.max_tokens]), finish="length")
    return Reply(text)


_LONG_GAP = re.compile(r"([^\S\n]{8})[^\S\n]+|(\n{3})\n+")


def _tidied(message: Message) -> Message:
    """Shorten long runs of blanks and line ends, which mean nothing and would take time to look through."""
    return replace(message, text=_LONG_GAP.sub(r"\1\2", message.text))


def _call_id(prompt: Prompt, place: int, name: str, arguments: dict[str, Any]) -> str:
    said = f"{len(prompt.messages)}/{place}/{name}/{json.dumps(arguments, sort_keys=True, default=str)}"
    return "call_" + hashlib.blake2b(said.encode("utf-8", "replace"), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class _Turn:
    """A prompt taken apart."""

    system: str
    user: str
    messages: tuple[Message, ...]
    given: context.Grounded | None
    """The context in the prompt, if there is one."""
    own: bool
    """The context stands in the user's message, not in the system's."""

    @property
    def question(self) -> str:
        return self.given.question if self.given else self.user

    @property
    def instruction(self) -> str:
        """What the prompt says of the form of the answer: everything but the context and long texts."""
        system = self.system
        user = self.user
        if self.given:
            system, user = (part.replace(self.given.text, " ") for part in (system, user))
        if len(user) > _LONGEST_QUESTION:
            parts = re.split(r"\n\s*\n|:\s*\n", user.strip())
            user = f"{parts[0][:_LONGEST_QUESTION]}\n{parts[-1][-_LONGEST_QUESTION:] if len(parts) > 2 else ''}"
        return f"{system[:4000]}\n{user}"


def _turn(prompt: Prompt) -> _Turn:
    system = "\n".join(message.text for message in prompt.messages if message.role == "system")
    user = next((message.text for message in reversed(prompt.messages) if message.role == "user"), "")
    given = context.grounded(system, user)
    return _Turn(system, user, prompt.messages, given, own=given is not None and given.text in user)


def _text(prompt: Prompt) -> str:
    turn = _turn(prompt)
    schema = _asked_schema(f"{turn.system}\n{turn.user}")
    if schema:
        rest = replace(prompt, messages=_without_schema(prompt.messages))
        return json.dumps(fill(schema, _source(_turn(rest), prompt)), ensure_ascii=False)
    return _plain(turn, prompt)


def _plain(turn: _Turn, prompt: Prompt) -> str:
    """Return the answer in words."""
    from_tools = tooling.answer(prompt)
    if from_tools is not None:
        return form.shape(from_tools, turn.instruction)
    role = writing.role_of(turn.system)
    made = (
        tooling.asks_back(prompt)
        or _about_the_talk(turn)
        or _graded(turn)
        or (None if turn.given and role not in _WRITERS else writing.desk(turn.system, turn.user, _asked_before(turn)))
    )
    if made is None and turn.given:
        made = context.answer(turn.given)
        if made == turn.given.refusal:
            return made
    made = made or _from_handbook(turn)
    return form.shape(made, turn.instruction) if made else _nothing_on(_question_in(turn.user))


def _asked_before(turn: _Turn) -> list[str]:
    return [message.text for message in turn.messages if message.role == "user"][:-1]


def _about_the_talk(turn: _Turn) -> str | None:
    """Answer what is about the conversation or the model itself."""
    if turn.own or len(turn.user) > _LONGEST_QUESTION:
        return None
    if not any(char.isalnum() for char in turn.user):
        return "Ask me something about async Python."
    return talk.about_me(turn.user) or talk.recall(turn.messages) or talk.acknowledge(turn.user)


def _verdict(turn: _Turn) -> bool | None:
    """Judge whether a document in the prompt is relevant to a question in it."""
    return context.relevant(turn.given.text, turn.given.question) if turn.given else None


def _graded(turn: _Turn) -> str | None:
    """Answer a prompt that asks for one word: a grade or a label."""
    both = f"{turn.system}\n{turn.user}"
    if (
        turn.given
        and _GRADE.search(turn.instruction)
        and re.search(r"\b(?:relevan\w+|grade|grader|score)\b", both, re.IGNORECASE)
    ):
        return "yes" if _verdict(turn) else "no"
    if _LABELS.search(turn.instruction) and "positive" in both.lower() and "negative" in both.lower():
        chosen: str = fill({"enum": ["positive", "negative", "neutral"]}, Source(both))
        return chosen
    return None


def _from_handbook(turn: _Turn) -> str | None:
    """Answer from the handbook, or return `None` where it has nothing."""
    question = form.bare(_question_in(turn.user))
    wanted = form.wants_length(turn.instruction)
    before = talk.topic_before(turn.messages)
    side = writing.angle(turn.user)
    if wanted or side:
        found = writing.lengthen(question, wanted) if wanted else side
        if found:
            return found
    parts = [part for part in context.questions(question) if terms(part)]
    if len(parts) > 1:
        answers = [" ".join(knowledge.answer(part, 2)) for part in parts]
        if any(answers):
            return " ".join(one or _nothing_on(part) for one, part in zip(answers, parts, strict=True))
    if before:
        said = [message.text for message in turn.messages if message.role == "assistant"]
        follow = knowledge.answer(f"{question} {before}", said=said)
        return " ".join(follow) if follow else None
    sums = extract.calculations(question)
    values = [(one, evaluate(one)) for one in sums]
    if values and all(value is not None for _, value in values):
        return " ".join(f"{one} = {value}." for one, value in values)
    return " ".join(knowledge.answer(question)) or None


def _question_in(user: str) -> str:
    """Return the sentences of a message that ask, or the whole of it."""
    asking = [sentence for sentence in sentences(user) if sentence.endswith("?")]
    return " ".join(asking[-2:]) if asking else user


def _nothing_on(question: str) -> str:
    short = " ".join(question.split())
    if not _QUESTION_START.match(short) and not short.endswith("?"):
        return "I have no answer to that: I answer questions about async Python from the handbook."
    short = " ".join(form.bare(short).split())
    if tooling.about_weather(short):
        return "I cannot look up the weather: no tool for it was given to me."
    if not terms(short):
        return "Ask me something about async Python."
    thing = _THING.match(short)
    named = (thing[1] if thing else f'"{short}"').rstrip()
    named = re.split(r"(?<=[?.!])\s", named)[0].rstrip("?.! ")
    if len(named) > 120:
        return "The handbook has nothing on that."
    return (
        f"The handbook has nothing on {named}."
        if thing
        else f'The handbook has nothing on {named.rstrip(chr(34)).rstrip("?.! ")}".'
    )


# ---- structured output


def _structured(prompt: Prompt) -> str:
    turn = _turn(replace(prompt, schema=None))
    if prompt.schema != ANY_OBJECT:
        return json.dumps(fill(prompt.schema, _source(turn, prompt)), ensure_ascii=False)
    if _asked_schema(f"{turn.system}\n{turn.user}"):
        return _text(prompt)
    return json.dumps({"answer": _plain(turn, prompt)}, ensure_ascii=False)


def _source(turn: _Turn, prompt: Prompt) -> Source:
    """Return what a schema is filled from: what the user said, what the tools found, and the answer in words."""
    _, since = tooling.turn(prompt.messages)
    results = "\n".join(message.text for message in since if message.role == "tool")
    text = "\n".join(filter(None, (turn.user, results)))
    if turn.given and not turn.own:
        text = f"{text}\n{turn.given.text}"
    words_only = replace(prompt, messages=turn.messages, schema=None, tools=(), max_tokens=None)

    def prose() -> list[str]:
        if turn.given is None and not results and _is_material(turn.user):
            return writing.summarize(writing.body_of(turn.user), 2)
        return [line for line in sentences(_plain(turn, words_only)) if line.strip()]

    def plan() -> list[str]:
        return writing.plan(writing.about(turn.user), writing.how_many(f"{turn.user}\n{turn.system}"))

    def sources() -> list[str]:
        if turn.given:
            return re.findall(r"\[\d+\]", context.answer(turn.given))
        return [hit.passage.page for hit in knowledge.handbook().rank(turn.question, limit=1) if knowledge.covers(hit)]

    return Source(text, prose, plan, lambda: _verdict(turn), sources, writing.about(turn.user))


def _is_material(user: str) -> bool:
    """Tell whether a message is a text to work on and not a question."""
    return len(sentences(user)) > 3 and not user.rstrip().endswith("?")


def _asked_schema(prompt: str) -> dict[str, Any] | None:
    """Return the schema that a prompt spells out in words, as output parsers do, or `None`."""
    if not _JSON.search(prompt):
        return None
    for schema, _ in _schemas_in(prompt):
        return schema
    keys = _KEYS.search(prompt)
    if keys and re.search(
        r"\b(?:answer|reply|respond|return|output|give|as|in)\b[^.\n]{0,40}\bjson\b", prompt, re.IGNORECASE
    ):
        names = [
            name for name in re.findall(r"\w+", keys[1]) if name.lower() not in ("and", "are", "named", "called", "the")
        ]
        return {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": names}
    if re.search(
        r"\breturn a json object\b|\b(?:answer|reply|respond) (?:only )?(?:in|with|as) (?:valid )?json\b",
        prompt,
        re.IGNORECASE,
    ):
        return {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
    return None


def _schemas_in(text: str) -> list[tuple[dict[str, Any], str]]:
    """Return each JSON schema that stands in a text, with the text of it; an example of a schema does not count."""
    found = []
    decoder = json.JSONDecoder()
    position = text.find("{")
    while position >= 0:
        try:
            value, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            position = text.find("{", position + 1)
            continue
        example = re.search(r"(?:example|for instance|e\.g\.)[^.\n]*$", text[:position], re.IGNORECASE)
        if (
            isinstance(value, dict)
            and isinstance(value.get("properties"), dict)
            and not example
            and "schema" in text.lower()
        ):
            found.append((value, text[position:end]))
        position = text.find("{", end)
    return found


def _without_schema(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Take format instructions out of messages, so that a schema's own words are not taken for what was said."""
    cleaned = []
    for message in messages:
        text = message.text
        if _schemas_in(text):
            text = "\n".join(line for line in text.splitlines() if not _FORMAT_WORDS.search(line) and '{"' not in line)
        cleaned.append(replace(message, text=_FORMAT_WORDS.sub("", text).strip()))
    return tuple(cleaned)


_FORMAT_WORDS = re.compile(
    r"[^.:?!\n]{0,200}(?:\bjson\b|```|\bschema\b|\bwell-formatted instance\b)[^.:?!\n]{0,200}[.:]?", re.IGNORECASE
)
"""The parts of a sentence that only speak of the format."""
