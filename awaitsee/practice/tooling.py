"""Which tools a question calls for, with which arguments, and what their results say."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from awaitsee.practice import context, extract, knowledge
from awaitsee.practice.fill import MISSING, Source, fill, find
from awaitsee.practice.schema import listed, part, required_names, resolve, types
from awaitsee.practice.text import STOP_WORDS, sentences, stem, terms, words

if TYPE_CHECKING:
    from awaitsee.practice.model import Message, Prompt, Tool

Call = tuple[str, dict[str, Any]]

_SUBJECTS: dict[str, frozenset[str]] = {
    subject: frozenset(map(stem, said.split()))
    for subject, said in {
        "weather": (
            "weather temperature forecast warmer warmest hotter hottest colder coldest cooler "
            "coolest rain raining rainy sunny hot cold warm snow snowing wind windy humid humidity "
            "umbrella degrees climate"
        ),
        "calculate": (
            "calculator calculate calculation compute arithmetic math multiply divide subtract "
            "evaluate expression sum product multiplication addition"
        ),
        "search": "search web internet google lookup online news browse engine",
        "handbook": "handbook docs documentation manual",
        "fetch": "fetch page url download scrape crawl website webpage site read open visit",
        "clock": "time clock date today hour timezone",
        "mail": "email mail inbox",
    }.items()
}
_KNOWING = ("handbook", "search")
_STRONG, _ENOUGH = 4.0, 2.0
_LONGEST = 1500
"""Characters of a question that are read for what to call."""
_CLAUSE = re.compile(
    r"[;?!]\s*|\.\s+|,\s*(?:and\s+)?(?:then\s+|also\s+)?|\s+and\s+(?:then\s+|also\s+)?|"
    r"\s+then\s+|\s+as well as\s+|\s+or\s+(?=[A-Z])|\n+",
    re.IGNORECASE,
)
_ONE_THING = re.compile(r"\b(?:between|compare|versus|vs\.?|difference|both)\b", re.IGNORECASE)
_LOOK_UP = re.compile(r"\b(?:search(?:es)?|look(?: it| them)? up|look up|find|research|google|lookup)\b", re.IGNORECASE)
_ASKS = re.compile(
    r"^\W*(?:(?:please|can you|could you|would you)\s+)?(?:what|what's|who|who's|when|where|"
    r"why|how|which|is|are|does|do|did|was|were|can|should|"
    r"tell me (?!a joke|about yourself)|find|look|search|research|explain|describe|compare|summari[sz]e|list)\b",
    re.IGNORECASE,
)
_SELF = re.compile(r"\b(?:you|your|yourself|my|me|i|i'm)\b", re.IGNORECASE)
_OPERATION = re.compile(r"(?:^|_)(?:multipl|add(?:$|_|ition)|sum$|subtract|divi)", re.IGNORECASE)
_ERROR = re.compile(
    r"^\s*(?:error\b|exception\b|traceback\b|\w*(?:Error|Exception|Timeout)\b\s*[:(]|failed\b|"
    r"failure\b|.{0,60}\bis not a valid tool\b)",
    re.IGNORECASE,
)


def plan(prompt: Prompt) -> list[Call]:
    """Return the calls to make now: none when no tool fits, or when all that was asked for has been called."""
    if not prompt.tools or prompt.tool_choice == "none":
        return []
    question, since = turn(prompt.messages)
    question = _in_full(question[:_LONGEST], prompt)
    made = [(call.name, call.arguments) for message in since for call in message.tool_calls]
    results = "\n".join(message.text for message in since if message.role == "tool")
    named = next((tool for tool in prompt.tools if tool.name == prompt.tool_choice), None)
    if named:
        return [(named.name, _all_arguments(named, question, results))]
    wanted = _wanted(question, prompt.tools, results)
    left = [call for call in wanted if not _done(call, wanted, made)]
    if not left and prompt.tool_choice == "required":
        left = [_forced(prompt.tools, question, results, made)]
    return left if prompt.parallel_tool_calls else left[:1]


_ELLIPTIC = re.compile(r"^\s*(?:and|what about|how about)\b", re.IGNORECASE)


def _in_full(question: str, prompt: Prompt) -> str:
    """Say a follow-up such as "And in Rome?" with the word that the question before it turned on."""
    if not _ELLIPTIC.match(question) or len(question.split()) > 6:
        return question
    before = [message.text for message in prompt.messages if message.role == "user"][:-1]
    asked = _clauses(before[-1], prompt.tools) if before else []
    if not asked or find(wrapped(*_main(asked[0][0])), Source(question)) is MISSING:
        return question
    return f"{question.rstrip('?! .')} {asked[0][0].name}"


def turn(messages: Sequence[Message]) -> tuple[str, Sequence[Message]]:
    """Return the last thing that the user said, and what was called and answered since."""
    last = max((n for n, message in enumerate(messages) if message.role == "user"), default=-1)
    return (messages[last].text if last >= 0 else ""), messages[last + 1 :]


def _done(call: Call, wanted: list[Call], made: list[Call]) -> bool:
    """Tell whether a call was made; whoever changed its arguments on the way does not get it again."""
    if any(_alike(call, other) for other in made):
        return True
    return sum(name == call[0] for name, _ in made) >= sum(name == call[0] for name, _ in wanted)


def _alike(first: Call, second: Call) -> bool:
    return first[0] == second[0] and _key(first[1]) == _key(second[1])


def _key(arguments: dict[str, Any]) -> str:
    return json.dumps(arguments, sort_keys=True, default=str).lower()


def _forced(tools: Sequence[Tool], question: str, results: str, made: list[Call]) -> Call:
    """Choose when something has to be called: a tool not called yet, such as one that takes the final answer."""
    called = {name for name, _ in made}
    fresh = [tool for tool in tools if tool.name not in called] or list(tools)
    best = max(fresh, key=lambda tool: (_score(tool, question, tools), -fresh.index(tool)))
    if made and fresh:
        # what is left after the lookups is the tool that takes what they found
        best = min(fresh, key=lambda tool: (bool(_subjects(tool)), fresh.index(tool)))
    return best.name, _all_arguments(best, question, results)


def _all_arguments(tool: Tool, question: str, results: str) -> dict[str, Any]:
    """Fill the arguments of a tool that has to be called, from everything said in this turn."""
    if not results and _main(tool)[0]:
        sets = _argument_sets(tool, question, question, results)
        if sets:
            return sets[0]
    said = f"{question}\n{results}".strip()
    told = context.quote(results, question) if results else knowledge.answer(question)
    made = fill(
        {**tool.parameters, "type": "object"}, Source(said, prose=lambda: told or sentences(results or question)[:2])
    )
    return made if isinstance(made, dict) else {}


def _subjects(tool: Tool) -> set[str]:
    """Return what a tool is about; its name says more than its description."""
    name = set(map(stem, words(tool.name)))
    if _OPERATION.search(tool.name):
        return set()
    found = {subject for subject, said in _SUBJECTS.items() if name & said}
    if "fetch" in found and "search" in found:
        found.discard("fetch")
    if not found:
        described = set(terms(sentences(tool.description)[0])) if tool.description.strip() else set()
        found = {subject for subject, said in _SUBJECTS.items() if described & said}
    if "handbook" in found:
        found.discard("search")
    return found


def _score(tool: Tool, clause: str, tools: Sequence[Tool]) -> float:
    """Tell how well a tool fits a clause."""
    if re.search(rf"\b{re.escape(tool.name)}\b", clause):
        return 10.0
    said = {stem(word) for word in words(clause) if word not in STOP_WORDS or word == "time"}
    subjects = _subjects(tool)
    score = 0.0
    for subject in subjects:
        if said & _SUBJECTS[subject]:
            score += _STRONG
        if subject == "calculate" and extract.calculations(clause):
            score += _STRONG
        if subject == "fetch" and extract.URL.search(clause):
            score += _STRONG
    if _OPERATION.search(tool.name):
        score += _STRONG * _operation_fits(tool.name, clause)
    own = {stem(word) for word in words(tool.name)} - {"get", "tool", "run", "call", "do"}
    shared = {stem(word) for other in tools if other is not tool for word in words(f"{other.name} {other.description}")}
    score += sum(1.0 if term in shared else 2.0 for term in own & said)
    described = set(terms(tool.description)) - own - shared
    score += 0.8 * len(described & said)
    chosen = {
        str(one).lower()
        for one_schema in part(tool.parameters, "properties").values()
        for one in listed(one_schema, "enum")
    }
    score += 1.0 * len(chosen & set(words(clause)))
    return score


def _operation_fits(name: str, clause: str) -> bool:
    signs = {"multipl": "*", "add": "+", "sum": "+", "subtract": "-", "divi": "/"}
    sums = extract.calculations(clause)
    return any(part in name.lower() and sign in one for part, sign in signs.items() for one in sums)


def _wanted(question: str, tools: Sequence[Tool], results: str) -> list[Call]:
    """Return all calls that a question asks for, in its order."""
    calls: list[Call] = []
    for tool, clause in _clauses(question, tools):
        for arguments in _argument_sets(tool, clause, question, results):
            call = (tool.name, arguments)
            if not any(_alike(call, other) for other in calls):
                calls.append(call)
    return calls


def _clauses(question: str, tools: Sequence[Tool]) -> list[tuple[Tool, str]]:
    """Cut a question into clauses and give each to the tool that fits; one that fits none continues the one before."""
    found: list[tuple[Tool, int, int]] = []
    lead: int | None = None
    for start, end in _pieces(question):
        piece = question[start:end]
        tool = _best(tools, piece, question)
        if tool is None and found and not _ASKS.match(piece):
            last, begun, ended = found[-1]
            if _continues(last, piece, question[begun:ended], question):
                found.append((last, start, end))
            else:
                found[-1] = (last, begun, end)
        elif tool is None:
            lead = start if lead is None else lead
        else:
            if found and found[-1][0] is tool and not _stands_alone(tool, piece, question[found[-1][1] : found[-1][2]]):
                found[-1] = (tool, found[-1][1], end)
            else:
                found.append((tool, start if lead is None else lead, end))
            lead = None
    clauses = [(tool, question[start:end]) for tool, start, end in found]
    rest = question if not clauses else question[lead:] if lead is not None else ""
    knowing = _knowing(rest, tools) if rest else None
    return [*clauses, (knowing, rest)] if knowing else clauses


def _pieces(question: str) -> list[tuple[int, int]]:
    """Return where each clause of a question begins and ends."""
    masked = _WHOLE.sub(lambda match: "\ue000" * len(match[0]), question)
    ends = [(match.start(), match.end()) for match in _CLAUSE.finditer(masked)] + [(len(question), len(question))]
    begins = [0, *(after for _, after in ends)]
    return [(start, end) for start, (end, _) in zip(begins, ends, strict=False) if question[start:end].strip()]


_WHOLE = re.compile(r"\"[^\"]*\"|\u201c[^\u201d]*\u201d|(?<!\w)'[^'\n]*'(?!\w)|`[^`]*`|\([^)]*\)|https?://\S+")
"""What is not cut, whatever stands in it."""


def _best(tools: Sequence[Tool], clause: str, question: str) -> Tool | None:
    ranked = sorted(tools, key=lambda tool: -_score(tool, clause, tools))
    for tool in ranked:
        if _score(tool, clause, tools) >= _ENOUGH and _can_call(tool, clause, question):
            return tool
    return _knowing(clause, tools) if _ASKS.match(clause) else None


def _can_call(tool: Tool, clause: str, question: str) -> bool:
    """Tell whether a question holds what a tool cannot be called without.

    An address may come from another tool's result.
    """
    name, schema = _main(tool)
    if name not in required_names(tool.parameters) or types(schema) == ["object"] or _wants_address(tool, name):
        return True
    field = wrapped(name, schema)
    return (
        "default" in schema
        or find(field, Source(clause)) is not MISSING
        or find(field, Source(question)) is not MISSING
        or types(schema) != ["string"]
        or not ({"calculate", "weather"} & _subjects(tool))
    )


def asks_back(prompt: Prompt) -> str | None:
    """Ask for what is missing when a tool fits but the question does not say what it needs, or return `None`."""
    if not prompt.tools or prompt.tool_choice == "none":
        return None
    question, since = turn(prompt.messages)
    for tool in prompt.tools:
        if (
            not since
            and _score(tool, question, prompt.tools) >= _STRONG
            and not _can_call(tool, question, question)
            and "weather" in _subjects(tool)
        ):
            return f"Which {' '.join(words(_main(tool)[0]))} do you mean?"
    return None


def _knowing(clause: str, tools: Sequence[Tool]) -> Tool | None:
    """Return the tool that answers questions of knowledge, for a clause that is one."""
    if (
        not _ASKS.match(clause)
        or not terms(clause)
        or _SELF.search(
            re.sub(
                r"\b(?:tell|give|show|get) me\b|\b(?:can|could|would|should|do) (?:you|i)\b|\bmy (?:code|"
                r"loop|task|program|calls?|requests?)\b",
                "",
                clause,
                flags=re.IGNORECASE,
            )
        )
    ):
        return None
    if extract.calculations(clause) or _subject_of(clause):
        return None
    by_subject = {subject: tool for tool in reversed(tools) for subject in _subjects(tool)}
    known = bool(knowledge.answer(clause))
    order = _KNOWING if known else _KNOWING[::-1][:1]
    return next((by_subject[subject] for subject in order if subject in by_subject), None)


def about_weather(clause: str) -> bool:
    """Tell whether a clause asks for the weather."""
    return bool({"weather", "forecast", "temperatur"} & set(map(stem, words(clause))))


def _subject_of(clause: str) -> bool:
    said = set(map(stem, words(clause)))
    return bool(said & (_SUBJECTS["weather"] | _SUBJECTS["mail"]))


def _main(tool: Tool) -> tuple[str, dict[str, Any]]:
    """Return the argument that a tool is mostly about: its first required one, else its first."""
    properties = part(tool.parameters, "properties")
    required = [name for name in required_names(tool.parameters) if name in properties]
    name = next(iter([*required, *properties]), "")
    return name, resolve(properties.get(name, {}), tool.parameters)


def _continues(tool: Tool, piece: str, clause: str, question: str) -> bool:
    """Tell whether a piece such as `Rome` is one more argument for the tool of the clause before it."""
    name, schema = _main(tool)
    if types(schema) == ["array"] or not name:
        return False
    short = len(piece.split()) <= 4
    value, before = find(wrapped(name, schema), Source(piece)), find(wrapped(name, schema), Source(clause))
    subjects = _subjects(tool)
    if "calculate" in subjects:
        return bool(extract.calculations(piece))
    if "fetch" in subjects:
        return bool(extract.URL.search(piece))
    if subjects & set(_KNOWING):
        return (
            short
            and not re.search(r"\d|\bresults?\b", piece)
            and bool(_LOOK_UP.search(question))
            and not _ONE_THING.search(question)
        )
    if not short or value is MISSING or before is MISSING:
        return False
    return bool(extract.places(piece) or extract.names(piece) or extract.quoted(piece))


def _stands_alone(tool: Tool, piece: str, clause: str) -> bool:
    """Tell whether a second clause for the same tool asks for something of its own."""
    name, schema = _main(tool)
    if not name:
        return False
    inner = wrapped(name, schema)
    mine, before = find(inner, Source(piece)), find(inner, Source(clause))
    return mine is not MISSING and mine != before


def wrapped(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Make one field an object's only one, so that it is looked for under its name."""
    return {"type": "object", "properties": {name: schema}}


def _argument_sets(tool: Tool, clause: str, question: str, results: str) -> list[dict[str, Any]]:
    """Return the arguments of each call that one clause asks for: one, or one for each city or address in it.

    None where the tool needs an address that is not known yet.
    """
    name, schema = _main(tool)
    if not name:
        return [{}]
    rest = _arguments(tool, clause, question)
    several = _several(name, schema, clause) or _several(name, schema, question)
    if not several and _wants_address(tool, name):
        several = list(dict.fromkeys(extract.URL.findall(results)))[: _how_many(clause)]
        if not several:
            return []
    return [{**rest, name: value} for value in several] or [rest]


def _several(name: str, schema: dict[str, Any], text: str) -> list[Any]:
    """Return every city, address or calculation that a text has for an argument; other arguments have one value."""
    if types(schema) != ["string"] or listed(schema, "enum"):
        return []
    one = find(wrapped(name, schema), Source(text))
    if one is MISSING:
        return []
    all_kinds = (
        extract.places(text),
        [url.rstrip(".,;:!?") for url in extract.URL.findall(text)],
        extract.calculations(text),
    )
    return next((list(dict.fromkeys(kind)) for kind in all_kinds if one[name] in kind), [])


def _wants_address(tool: Tool, name: str) -> bool:
    return bool({"url", "urls", "link", "address", "page", "path"} & set(words(name))) and "fetch" in _subjects(tool)


def _how_many(clause: str) -> int:
    if re.search(r"\b(?:all|each|every|them)\b", clause, re.IGNORECASE):
        return 5
    counted = extract.number_for("results", clause) or extract.number_for("pages", clause)
    return max(1, int(counted or 1))


def _arguments(tool: Tool, clause: str, question: str) -> dict[str, Any]:
    """Fill a tool's arguments from the clause that asks for it, then the question; optional ones only if named."""
    properties = part(tool.parameters, "properties")
    required = required_names(tool.parameters)
    main, _ = _main(tool)
    made: dict[str, Any] = {}
    for name in properties:
        one = find(_alone(tool, name), Source(clause))
        plain = resolve(properties[name], tool.parameters)
        if one is MISSING and (name in required or types(plain) != ["string"] or listed(plain, "enum")):
            one = find(_alone(tool, name), Source(question))
        if (
            isinstance(one, dict)
            and name in one
            and (name in required or name == main or _named(name, one[name], clause))
        ):
            made[name] = one[name]
    if all(name in made for name in required):
        return made
    filled = fill({**tool.parameters, "type": "object"}, Source(clause))
    if not isinstance(filled, dict):
        return made
    return {name: made.get(name, filled.get(name)) for name in properties if name in made or name in required}


def _named(name: str, value: Any, clause: str) -> bool:
    """Tell whether an optional argument was asked for, and not just found because any text has something for it."""
    if isinstance(value, str) and value == extract.topic(clause):
        return False
    return not isinstance(value, list) or bool(set(map(stem, words(name))) & set(map(stem, words(clause))))


def _alone(tool: Tool, name: str) -> dict[str, Any]:
    return {
        **tool.parameters,
        "type": "object",
        "properties": {name: part(tool.parameters, "properties")[name]},
        "required": [],
    }


def answer(prompt: Prompt) -> str | None:
    """Answer from the results of the tools called since the user last spoke, or return `None` if there are none."""
    question, since = turn(prompt.messages)
    calls = {call.id: (call.name, call.arguments) for message in since for call in message.tool_calls}
    results = [(calls.get(message.tool_call_id, ("", {})), message.text) for message in since if message.role == "tool"]
    if not results:
        return None
    said = [_said(name, arguments, text, question, alone=len(results) == 1) for (name, arguments), text in results]
    compared = _compared(question, [_decoded(text) for _, text in results])
    return " ".join(dict.fromkeys([*said, *compared]))


def _said(name: str, arguments: dict[str, Any], text: str, question: str, *, alone: bool) -> str:
    """Say in words what one tool returned."""
    failed = _failure(text)
    if failed:
        return f"The tool {name} failed: {_closed(failed)}" if name else f"The tool failed: {_closed(failed)}"
    value = _decoded(text)
    asked = (
        str(next((one for key, one in arguments.items() if key in ("query", "question", "q", "topic")), "")) or question
    )
    label = next((str(one) for one in arguments.values() if isinstance(one, str | int | float)), "")
    if value in (None, "", [], {}):
        return f"{name or 'The tool'} found nothing{f' for {label}' if label else ''}."
    if isinstance(value, dict) and isinstance(value.get("results"), list):
        value = value["results"]
    if isinstance(value, dict):
        return _closed(_report(value, label))
    if isinstance(value, list):
        return _findings(value, asked)
    if isinstance(value, int | float):
        return f"{label} = {value}." if label else f"The result is {value}."
    said = str(value).strip()
    if len(said) > 300:
        return " ".join(context.quote(said, asked) or context.quote(said, question) or sentences(said)[:2])
    if not alone and label and len(label) < 40 and label.lower() not in said.lower():
        said = f"{label}: {said}"
    return _closed(said)


def _failure(text: str) -> str:
    """Return what went wrong, if a result is an error."""
    value = _decoded(text)
    if isinstance(value, dict) and value.get("error"):
        return str(value["error"])
    if not isinstance(value, str) or not _ERROR.search(value):
        return ""
    plain = re.sub(r"\s*Please fix your mistakes\.?\s*$", "", value.strip())
    plain = re.sub(r"^Error(?: executing tool [\w-]+)?[:\s]+", "", plain)
    return re.sub(r"^(\w+)\([\"'](.*)[\"'],?\)$", r"\1: \2", plain, flags=re.DOTALL) or "no reason given"


def _decoded(text: str) -> Any:
    """Return what a result says as data if it is JSON, or written like a Python literal; else the text itself."""
    text = text.strip()
    try:
        return json.loads(text)
    except ValueError:
        pass
    if text[:1] in "{[" and len(text) < 20_000:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            pass
    return text


def _temperature(value: dict[Any, Any]) -> tuple[str, Any] | None:
    return next(
        ((str(key), one) for key, one in value.items() if str(key).startswith("temp") and isinstance(one, int | float)),
        None,
    )


def _report(value: dict[Any, Any], label: str) -> str:
    warmth = _temperature(value)
    place = str(value.get("city") or value.get("location") or label)
    if warmth:
        key, degrees = warmth
        unit = "\u00b0F" if key.endswith("_f") or "fahrenheit" in str(value.get("unit", "")).lower() else "\u00b0C"
        sky = value.get("condition") or value.get("conditions") or value.get("description")
        return f"{place}: {degrees} {unit}" + (f", {sky}" if sky else "")
    told = ", ".join(
        f"{str(key).replace('_', ' ')}: "
        f"{json.dumps(one, ensure_ascii=False, default=str) if isinstance(one, dict | list) else one}"
        for key, one in value.items()
    )
    return told if not label or label.lower() in told.lower() else f"{label}: {told}"


def _findings(found: list[Any], asked: str) -> str:
    """Quote what answers the question from a list of search results or passages, with where it stands."""
    if not all(isinstance(one, dict) for one in found):
        return _closed(", ".join(map(str, found)))
    best: list[tuple[float, int, str]] = []
    for place, one in enumerate(found):
        body = next(
            (
                str(one[key])
                for key in ("text", "snippet", "content", "page_content", "body", "summary")
                if one.get(key)
            ),
            "",
        )
        source = next((str(one[key]) for key in ("url", "link", "page", "source", "title") if one.get(key)), "")
        heading = f"{one.get('title', '')} {one.get('heading', '')}"
        shared = set(terms(asked)) & set(terms(f"{heading} {body}"))
        quotes = context.quote(body, asked) or sentences(body)[:2]
        if quotes:
            best.append((-len(shared), place, " ".join(quotes) + (f" ({source})" if source else "")))
    if not best:
        return _closed("; ".join(_report(one, "") for one in found[:3]))
    return min(best)[2]


def _compared(question: str, values: list[Any]) -> list[str]:
    """Answer which place is warmer or colder."""
    sought = re.search(r"\b(warmer|hotter|warmest|hottest|colder|cooler|coldest|coolest)\b", question, re.IGNORECASE)
    known = [
        (warmth[1], str(one.get("city")))
        for one in values
        if isinstance(one, dict) and one.get("city") and (warmth := _temperature(one))
    ]
    if not sought or len(known) < 2:
        return []
    word = sought[1].lower()
    chosen = (max if word.startswith(("w", "h")) else min)(known)
    return [f"{chosen[1]} is {'the ' if word.endswith('est') else ''}{word}."]


def _closed(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?", ")")) else f"{text}."
