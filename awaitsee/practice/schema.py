"""JSON Schema, as much as tools and structured output use: does a value fit, and which is the smallest that does."""

from __future__ import annotations

import math
import re
from datetime import date, datetime
from typing import Any

Schema = dict[str, Any]

_DEEPEST = 40
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int, float),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}
_FORMATS = {
    "date": "2025-01-01",
    "date-time": "2025-01-01T09:00:00Z",
    "time": "09:00:00Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "idn-email": "someone@example.com",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uri-reference": "/",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_FORMAT_PATTERNS = {
    "email": re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"),
    "uri": re.compile(r"[a-z][a-z0-9+.-]*:\S+", re.IGNORECASE),
    "url": re.compile(r"[a-z][a-z0-9+.-]*:\S+", re.IGNORECASE),
    "hostname": re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*", re.IGNORECASE),
    "ipv4": re.compile(r"\d{1,3}(?:\.\d{1,3}){3}"),
    "uuid": re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE),
    "time": re.compile(r"\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"),
}


def part(schema: Any, key: str) -> dict[str, Any]:
    """Return a keyword's value if it is an object, else an empty one."""
    found = schema.get(key) if isinstance(schema, dict) else None
    return found if isinstance(found, dict) else {}


def listed(schema: Any, key: str) -> list[Any]:
    """Return a keyword's value if it is an array, else an empty one."""
    found = schema.get(key) if isinstance(schema, dict) else None
    return found if isinstance(found, list) else []


def required_names(schema: Any) -> list[str]:
    """Return the names of the properties that an object must have."""
    return [name for name in listed(schema, "required") if isinstance(name, str)]


def number(schema: Schema, key: str) -> float | None:
    """Return a keyword's value if it is a finite number."""
    found = schema.get(key)
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        return None
    return found


def resolve(schema: Any, root: Schema, followed: frozenset[str] = frozenset()) -> Schema:
    """Follow `$ref` and merge `allOf`, so that what is left stands in one object; a circle of references ends."""
    if not isinstance(schema, dict):
        return {}
    reference = schema.get("$ref")
    if isinstance(reference, str):
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        target = {} if reference in followed else _target(reference, root)
        return resolve(merge(target, beside), root, followed | {reference})
    if listed(schema, "allOf"):
        merged: Schema = {key: value for key, value in schema.items() if key != "allOf"}
        for one in schema["allOf"]:
            merged = merge(resolve(one, root, followed), merged)
        return merged
    return schema


def _target(reference: str, root: Schema) -> Schema:
    found: Any = root
    for key in reference.removeprefix("#").split("/")[1:]:
        key = key.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        else:
            found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def merge(first: Schema, second: Schema) -> Schema:
    """Lay two schemas over each other; where both say something the properties join and the second wins."""
    merged = {**first, **second}
    if "properties" in first and "properties" in second:
        merged["properties"] = {**part(first, "properties"), **part(second, "properties")}
    if "required" in first and "required" in second:
        merged["required"] = list(dict.fromkeys([*required_names(first), *required_names(second)]))
    return merged


def types(schema: Schema) -> list[str]:
    """Return the types that a schema allows, the named or implied ones first; none means any."""
    named = schema.get("type")
    if isinstance(named, str):
        return [named]
    if isinstance(named, list):
        return [one for one in named if isinstance(one, str)]
    if "properties" in schema or "required" in schema:
        return ["object"]
    if "items" in schema or "prefixItems" in schema:
        return ["array"]
    return []


def fits(value: Any, schema: Any, root: Schema, depth: int = 0) -> bool:
    """Tell whether a value satisfies a schema. Keywords that are not known here are ignored."""
    if isinstance(schema, bool):
        return schema
    if depth > _DEEPEST:
        return True
    schema = resolve(schema, root)
    if "const" in schema and not same(value, schema["const"]):
        return False
    if isinstance(schema.get("enum"), list) and not any(same(value, one) for one in schema["enum"]):
        return False
    allowed = types(schema) if "type" in schema else []
    if allowed and not any(_is(value, name) for name in allowed):
        return False
    below = depth + 1
    if listed(schema, "anyOf") and not any(fits(value, one, root, below) for one in schema["anyOf"]):
        return False
    if listed(schema, "oneOf") and sum(fits(value, one, root, below) for one in schema["oneOf"]) != 1:
        return False
    if "not" in schema and fits(value, schema["not"], root, below):
        return False
    if isinstance(value, str):
        return _string_fits(value, schema)
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int | float):
        return _number_fits(value, schema)
    if isinstance(value, list):
        return _array_fits(value, schema, root, below)
    return not isinstance(value, dict) or _object_fits(value, schema, root, below)


def same(first: Any, second: Any) -> bool:
    """Compare as JSON does: `True` is not 1."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(value, second[key]) for key, value in first.items())
    return bool(first == second)


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(name, ()))


def _string_fits(value: str, schema: Schema) -> bool:
    shortest, longest = number(schema, "minLength"), number(schema, "maxLength")
    if (shortest is not None and len(value) < shortest) or (longest is not None and len(value) > longest):
        return False
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        if may_backtrack_for_ever(pattern):
            return value == from_pattern(pattern, int(shortest or 0))
        try:
            if not re.search(pattern, value):
                return False
        except re.error:
            pass
    return _format_fits(value, schema.get("format"))


def _format_fits(value: str, name: Any) -> bool:
    if name == "date":
        return _parses(date.fromisoformat, value) and len(value) == len("2025-01-01")
    if name == "date-time":
        return _parses(datetime.fromisoformat, value) and "T" in value and bool(re.search(r"(Z|[+-]\d\d:\d\d)$", value))
    known = _FORMAT_PATTERNS.get(name) if isinstance(name, str) else None
    return known is None or known.fullmatch(value) is not None


def _parses(parse: Any, value: str) -> bool:
    try:
        parse(value)
    except ValueError:
        return False
    return True


def _number_fits(value: float, schema: Schema) -> bool:
    low, high = number(schema, "minimum"), number(schema, "maximum")
    above, below = number(schema, "exclusiveMinimum"), number(schema, "exclusiveMaximum")
    step = number(schema, "multipleOf")
    return (
        (low is None or value >= low)
        and (high is None or value <= high)
        and (above is None or value > above)
        and (below is None or value < below)
        and (not step or (value / step) == math.floor(value / step))
    )


def _array_fits(value: list[Any], schema: Schema, root: Schema, depth: int) -> bool:
    fewest, most = number(schema, "minItems"), number(schema, "maxItems")
    if (fewest is not None and len(value) < fewest) or (most is not None and len(value) > most):
        return False
    if schema.get("uniqueItems") is True and any(
        same(one, other) for n, one in enumerate(value) for other in value[:n]
    ):
        return False
    first = listed(schema, "prefixItems")
    rest = schema.get("items", True)
    return all(
        fits(one, first[place] if place < len(first) else rest, root, depth)
        for place, one in enumerate(value)
        if place < len(first) or isinstance(rest, dict | bool)
    )


def _object_fits(value: dict[str, Any], schema: Schema, root: Schema, depth: int) -> bool:
    fewest, most = number(schema, "minProperties"), number(schema, "maxProperties")
    if (fewest is not None and len(value) < fewest) or (most is not None and len(value) > most):
        return False
    known, others = part(schema, "properties"), schema.get("additionalProperties", True)
    return all(name in value for name in required_names(schema)) and all(
        fits(one, known.get(name, others), root, depth)
        for name, one in value.items()
        if name in known or isinstance(others, dict | bool)
    )


def smallest_number(schema: Schema, *, whole: bool) -> float:
    """Return a number near zero that the bounds allow, or 0 where none of those tried fits."""
    bounds = [number(schema, key) for key in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")]
    known = [bound for bound in bounds if bound is not None]
    step = number(schema, "multipleOf") or 1
    tried: list[float] = [0, *known]
    for bound in known:
        tried += [math.floor(bound / step) * step, math.ceil(bound / step) * step]
        tried += [math.floor(bound / step + 1) * step, math.ceil(bound / step - 1) * step]
        tried += [math.floor(bound), math.ceil(bound), math.floor(bound) + 1, math.ceil(bound) - 1]
    tried += [(one + other) / 2 for one in known for other in known if one < other]
    fitting = [one for one in tried if _number_fits(one, schema) and (not whole or float(one).is_integer())]
    found = min(fitting, key=abs, default=0)
    return int(found) if float(found).is_integer() else found


def smallest_string(schema: Schema, wish: str) -> str:
    """Return a string that fits, `wish` or as near to it as length, format and pattern allow."""
    named = schema.get("format")
    if isinstance(named, str) and named in _FORMATS and not _format_fits(wish, named):
        return _FORMATS[named]
    longest = number(schema, "maxLength")
    shortest = int(number(schema, "minLength") or 0)
    if longest is not None and len(wish) > longest:
        wish = wish[: int(longest)].rstrip()
    if len(wish) < shortest:
        wish = (wish + "." * shortest)[:shortest]
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and not _string_fits(wish, {"pattern": pattern}):
        return from_pattern(pattern, shortest)
    return wish


_PIECE = re.compile(
    r"(?P<set>\[\^?(?:\\.|[^\]\\])+\])|(?P<escape>\\.)|(?P<open>\((?:\?:|\?P<\w+>)?)|"
    r"(?P<close>\))|(?P<bar>\|)|(?P<anchor>[\^$])|(?P<char>.)",
    re.DOTALL,
)
_REPEAT = re.compile(r"([*+?]|\{(\d+)(?:,\d*)?\})\??")
_ESCAPES = {
    "d": "0",
    "w": "a",
    "s": " ",
    "S": "a",
    "D": "a",
    "W": "-",
    "b": "",
    "B": "",
    "A": "",
    "Z": "",
    "z": "",
    "t": "\t",
    "n": "\n",
}


def may_backtrack_for_ever(pattern: str) -> bool:
    """Tell whether a repetition repeats something that repeats or has alternatives, as in `(a+)+$`.

    A search for such a pattern can take time exponential in the length of the text, and the server would stand still.
    """
    loose = [False]
    position = 0
    while match := _PIECE.match(pattern, position):
        position = match.end()
        kind = match.lastgroup
        repeat = _REPEAT.match(pattern, position) if kind not in ("open", "bar", "anchor") else None
        repeats = repeat is not None and repeat[1] != "?"
        if kind == "open":
            loose.append(False)
        elif kind == "bar":
            loose[-1] = True
        elif kind == "close" and len(loose) > 1:
            inner = loose.pop()
            if inner and repeats:
                return True
            loose[-1] |= inner or repeats
        else:
            loose[-1] |= repeats
        if repeat is not None:
            position = repeat.end()
    return False


def from_pattern(pattern: str, shortest: int = 0) -> str:
    """Return a short string that a plain regular expression matches: of alternatives, the first."""
    position = 0

    def sequence() -> str:
        nonlocal position
        made, chosen = "", False
        while position < len(pattern):
            match = _PIECE.match(pattern, position)
            if match is None:
                break
            position = match.end()
            kind, text = match.lastgroup, match[0]
            if kind == "close":
                break
            if kind == "open":
                unit = sequence()
            elif kind == "bar":
                chosen = True
                continue
            else:
                unit = _unit(kind, text)
            times = 1
            repeat = _REPEAT.match(pattern, position)
            if repeat and kind != "anchor":
                position = repeat.end()
                times = int(repeat[2]) if repeat[2] else (1 if repeat[1] == "+" else 0)
                if unit and times <= 1 and repeat[0][-1] not in "?}" and len(made) + len(unit) < shortest:
                    times = (shortest - len(made)) // len(unit)
            if not chosen:
                made += unit * times
        return made

    return sequence()


def _unit(kind: str | None, text: str) -> str:
    if kind == "escape":
        return _ESCAPES.get(text[1], text[1])
    if kind == "anchor":
        return ""
    if kind != "set":
        return "a" if text == "." else text
    tried = "aA0-_ .,:/@b1" + text[1:]
    try:
        return next((char for char in tried if re.fullmatch(text, char)), "")
    except re.error:
        return ""
