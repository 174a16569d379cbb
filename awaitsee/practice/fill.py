"""Fills a JSON schema with what a text says, and with the smallest thing that fits where it says nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from awaitsee.practice import extract
from awaitsee.practice.schema import (
    Schema,
    fits,
    listed,
    merge,
    number,
    part,
    required_names,
    resolve,
    same,
    smallest_number,
    smallest_string,
    types,
)
from awaitsee.practice.text import STOP_WORDS, stem, terms, word_set, words

MISSING: Final = object()
"""Stands for a value that the text does not give; `None` is a value."""

_DEEPEST = 8
_MOST = 50
_ANSWERS = word_set(
    "answer response reply summary content explanation reasoning result output body draft description definition "
    "abstract brief report setup text message feedback comment rationale thought conclusion finding"
)
_REQUESTS = word_set(
    "query question search topic subject keyword term prompt input request text message task q what problem instruction"
)
_PLACES = word_set("city location place town destination origin where country capital region")
_PEOPLE = word_set("name person author user customer who recipient company organization organisation to speaker player")
_LISTS = word_set("point bullet fact finding step section sentence item note argument answer claim line")
_PLANS = word_set("query question search subquestion subquery topic")
_POSITIVE = frozenset(
    map(
        stem,
        word_set("love great good excellent happy wonderful fantastic amazing best nice helpful like perfect pleased"),
    )
)
_NEGATIVE = frozenset(
    map(stem, word_set("hate bad terrible awful sad poor worst horrible broken disappointing slow angry useless never"))
)
_CERTAINTIES = frozenset(("confidence", "certainty", "probability", "score", "relevance"))
_UNITS = {
    "celsius": r"\u00b0 ?c\b|\bcentigrade\b|\bmetric\b",
    "fahrenheit": r"\u00b0 ?f\b|\bimperial\b",
    "metric": r"\bcelsius\b",
    "imperial": r"\bfahrenheit\b",
}
_YES_OR_NO = re.compile(r"['\"]?yes['\"]?\s*(?:or|/|,)\s*['\"]?no\b", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """What a schema is filled from."""

    text: str
    """What was said: names, numbers and chosen words are looked for here."""
    prose: Callable[[], Sequence[str]] | None = None
    """Gives the sentences that would be the answer without a schema; asked only if a field wants prose."""
    plan: Callable[[], Sequence[str]] | None = None
    """Gives search queries for what was asked."""
    verdict: Callable[[], bool | None] | None = None
    """Tells whether what the text asks to be judged is so."""
    sources: Callable[[], Sequence[str]] | None = None
    """Gives the pages or marks that the prose comes from."""
    subject: str = ""
    """What the text is about, for a title."""


def fill(schema: Any, source: Source) -> Any:
    """Return a value that fits `schema`, drawn from the source where it can be.

    A schema that nothing fits gets the nearest thing to it; nothing is raised.
    """
    root = schema if isinstance(schema, dict) else {}
    return _Filler(root, source).required(root, "", 0)


def find(schema: Any, source: Source) -> Any:
    """Return what the source gives for `schema`, or `MISSING`."""
    root = schema if isinstance(schema, dict) else {}
    return _Filler(root, source).found(root, "", 0)


class _Filler:
    def __init__(self, root: Schema, source: Source) -> None:
        self.root, self.source = root, source
        self.text = source.text
        self._numbers_given = 0

    def fits(self, value: Any, schema: Any) -> bool:
        return fits(value, schema, self.root)

    def required(self, schema: Any, name: str, depth: int) -> Any:
        """Return a value in any case: found, else the default, else the smallest."""
        value = self.found(schema, name, depth)
        if value is not MISSING and self.fits(value, schema):
            return value
        return self.smallest(schema, name, depth)

    def found(self, schema: Any, name: str, depth: int) -> Any:
        """Return what the text says, or `MISSING`."""
        if depth > _DEEPEST:
            return MISSING
        plain = resolve(schema, self.root)
        if "const" in plain:
            return plain["const"]
        if listed(plain, "enum"):
            return self._mentioned(plain, name)
        branches = listed(plain, "anyOf") or listed(plain, "oneOf")
        if branches:
            return self._found_in_branch(plain, branches, name, depth)
        kinds = types(plain)
        for kind in kinds:
            value = self._found_kind(kind, plain, name, depth)
            if value is not MISSING and self.fits(value, plain):
                return value
        return MISSING

    def _found_in_branch(self, plain: Schema, branches: list[Any], name: str, depth: int) -> Any:
        beside = {key: value for key, value in plain.items() if key not in ("anyOf", "oneOf")}
        found: list[Any] = []
        for branch in branches:
            whole = merge(resolve(branch, self.root), {key: value for key, value in beside.items() if key != "title"})
            if types(whole) != ["null"]:
                value = self.found(whole, name, depth + 1)
                if value is not MISSING and self.fits(value, plain):
                    found.append(value)
        # of several shapes, the one that the text fills most is meant
        return max(found, key=_size, default=MISSING)

    def _found_kind(self, kind: str, schema: Schema, name: str, depth: int) -> Any:
        if kind == "object":
            return self._object(schema, depth, needed=False)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind in ("integer", "number"):
            return self._number(schema, name, whole=kind == "integer")
        if kind == "boolean":
            return self._boolean(schema, name)
        return self._string(schema, name) if kind == "string" else MISSING

    # ---- leaves

    def _mentioned(self, schema: Schema, name: str) -> Any:
        """Choose among fixed values the one that the text names; where it names them all, the one that it means."""
        options = [one for one in schema["enum"] if one is not None]
        spelled = {n: " ".join(words(str(one))) for n, one in enumerate(options)}
        said = " ".join(words(self.text))
        counts = {n: len(re.findall(rf"\b{re.escape(one)}(?:s|es)?\b", said)) for n, one in spelled.items() if one}
        for n, one in spelled.items():
            if one in _UNITS and re.search(_UNITS[one], self.text, re.IGNORECASE):
                counts[n] = counts.get(n, 0) + 1
        named = [n for n, count in counts.items() if count]
        if len(named) == 1 and not ({"yes", "no"} & set(spelled.values())):
            return options[named[0]]
        meant = self._meant(spelled)
        if meant is not None:
            return options[meant]
        if named:
            return options[max(named, key=lambda n: (counts[n], -n))]
        close = {n: len(set(map(stem, one.split())) & set(terms(self.text))) for n, one in spelled.items()}
        best = max(close, key=lambda n: (close[n], -n), default=None)
        return options[best] if best is not None and close[best] else MISSING

    def _meant(self, spelled: dict[int, str]) -> int | None:
        by_word = {one: n for n, one in spelled.items()}
        if "yes" in by_word and "no" in by_word:
            verdict = self.source.verdict() if self.source.verdict else None
            return None if verdict is None else by_word["yes" if verdict else "no"]
        if "positive" in by_word and "negative" in by_word:
            feeling = self._feeling()
            word = "positive" if feeling > 0 else "negative" if feeling < 0 else "neutral"
            return by_word.get(word)
        return None

    def _feeling(self) -> int:
        said = [stem(word) for word in words(self.text)]
        return sum(word in _POSITIVE for word in said) - sum(word in _NEGATIVE for word in said)

    def _number(self, schema: Schema, name: str, *, whole: bool) -> Any:
        value = extract.number_for(name, self.text)
        if value is None and self.source.prose and _CERTAINTIES & set(words(name)):
            sure = bool(self.source.sources and self.source.sources()) or bool(
                self.source.verdict and self.source.verdict()
            )
            most = number(schema, "maximum")
            value = (1.0 if most is None else most) if sure else 0.0
        if value is None:
            return MISSING
        return int(value) if whole and float(value).is_integer() else value

    def _boolean(self, schema: Schema, name: str) -> Any:
        label = r"[\s_-]*".join(map(re.escape, words(name)))
        if not label:
            return MISSING
        outright = re.search(
            rf"\b{label}\b[\"']?\s*(?:is|=|:)\s*[\"']?(true|yes|on|false|no|off)\b", self.text, re.IGNORECASE
        )
        if outright:
            return outright[1].lower() in ("true", "yes", "on")
        if re.search(rf"\b(?:no|not|without|don't|do not|non)[\s-]+(?:\w+\s+)?(?:{label})", self.text, re.IGNORECASE):
            return False
        if re.search(
            rf"\b(?:with|and|be|is|are|include|use|enable|urgent|make it)?\s*{label}\b", self.text, re.IGNORECASE
        ):
            return True
        judged = set(map(stem, words(name) + words(str(schema.get("description", "")))))
        if (
            judged
            & {
                stem(word)
                for word in (
                    "relevant",
                    "grounded",
                    "useful",
                    "supported",
                    "correct",
                    "score",
                    "found",
                    "answered",
                    "answerable",
                )
            }
            and self.source.verdict
        ):
            verdict = self.source.verdict()
            return MISSING if verdict is None else verdict
        return MISSING

    def _string(self, schema: Schema, name: str) -> Any:
        for value in self._strings(schema, name):
            if self.fits(value, schema):
                return value
        return MISSING

    def _strings(self, schema: Schema, name: str) -> list[str]:
        """Return what a string field may mean, the likeliest first."""
        field = {stem(word) for word in words(name)} | {word.rstrip("s") for word in words(name)}
        about = f"{name} {schema.get('description', '')}"
        outright = extract.labelled(name, self.text) if name else None
        by_label = [outright] if outright else []
        form = schema.get("format")
        if form == "email" or "email" in field or "mail" in field:
            return extract.EMAIL.findall(self.text)
        if {"to", "recipient", "sender"} & field:
            return [*extract.EMAIL.findall(self.text), *extract.names(self.text)]
        if (
            form in ("uri", "url")
            or {"url", "uri", "link", "href", "address"} & field
            or ({"page", "path", "site"} & field and re.search(r"\b(?:url|address|path)\b", about, re.IGNORECASE))
        ):
            return [url.rstrip(".,;:!?") for url in extract.URL.findall(self.text)]
        if form in ("date", "date-time") or {"date", "day", "when"} & field:
            return [*by_label, *extract.dates(self.text)]
        if form == "time" or "time" in field:
            return [*by_label, *extract.clocks(self.text)]
        if {stem(word) for word in ("expression", "formula", "calculation", "equation", "math", "arithmetic")} & {
            stem(word) for word in words(about)
        }:
            return extract.calculations(self.text)
        if _YES_OR_NO.search(about) and self.source.verdict:
            verdict = self.source.verdict()
            return [] if verdict is None else ["yes" if verdict else "no"]
        if _PLACES & field:
            return [*by_label, *extract.places(self.text)]
        if self.source.prose and (_ANSWERS & field or stem("summary") in field):
            return [" ".join(self.source.prose())]
        if self.source.prose and {"title", "headline", "heading", "titl"} & field:
            return [*by_label, extract.title(self.source.subject or self.text)]
        if by_label:
            return by_label
        if _REQUESTS & field or {stem(word) for word in _REQUESTS} & field:
            return [extract.topic(self.text)]
        if _PEOPLE & field:
            return extract.people(self.text)
        return []

    # ---- containers

    def _object(self, schema: Schema, depth: int, *, needed: bool) -> Any:
        found: dict[str, Any] = {}
        properties = part(schema, "properties")
        must = required_names(schema)
        for name, one in properties.items():
            value = self.found(one, name, depth + 1)
            if value is not MISSING and self.fits(value, one):
                found[name] = value
        if not found and not needed:
            return MISSING
        ordered = [*properties, *(name for name in must if name not in properties)]
        made = {}
        for name in ordered:
            if name in found:
                made[name] = found[name]
            elif name in must:
                made[name] = self.smallest(
                    properties.get(name, schema.get("additionalProperties", {})), name, depth + 1
                )
        return made

    def _array(self, schema: Schema, name: str, depth: int) -> Any:
        items = resolve(schema.get("items", {}), self.root)
        if listed(schema, "prefixItems"):
            return MISSING
        values = self._objects(items, name, depth) if types(items) == ["object"] else self._several(items, name)
        kept: list[Any] = []
        for value in values:
            if self.fits(value, items) and not any(same(value, one) for one in kept):
                kept.append(value)
        most = number(schema, "maxItems")
        wanted = extract.number_for(name, self.text) if name else None
        limit = min(_MOST if most is None else int(most), _MOST if wanted is None or wanted < 1 else int(wanted))
        return kept[:limit] if kept else MISSING

    def _several(self, items: Schema, name: str) -> list[Any]:
        """Return every value that the text has for the items of a list."""
        if listed(items, "enum"):
            said = f" {' '.join(words(self.text))} "
            return [
                one
                for one in items["enum"]
                if re.search(rf"\b{re.escape(' '.join(words(str(one))))}\b", said) and str(one)
            ]
        if set(types(items)) & {"integer", "number"}:
            return [one for one in extract.numbers(self.text) if types(items) != ["integer"] or isinstance(one, int)]
        if types(items) not in (["string"], []):
            return []
        field = {stem(word) for word in words(name)} | {word.rstrip("s") for word in words(name)}
        if self.source.plan and ({*_PLANS, *map(stem, _PLANS), "querie"} & field):
            return list(self.source.plan())
        if self.source.prose and ({*_LISTS, *map(stem, _LISTS)} & field):
            return list(self.source.prose())
        if {"keyword", "tag", "topic", "label"} & field or (stem("category") in field):
            return _listed_after(name, self.text) or _keywords(
                " ".join(self.source.prose()) if self.source.prose else self.text
            )
        if self.source.sources and {"source", "citation", "reference", "page"} & field:
            return list(self.source.sources())
        strings = self._strings(items, name)
        if {"participant", "attendee", "people", "member", "guest", "person", "customer", "name"} & field:
            return extract.people(self.text)
        return (
            strings
            if len(strings) > 1
            else (_listed_after(name, self.text) or extract.quoted(self.text) or strings or extract.names(self.text))
        )

    def _objects(self, items: Schema, name: str, depth: int) -> list[Any]:
        """Cut the text where each new item begins, and fill one object from each piece."""
        starts = self._starts(items)
        if depth >= _DEEPEST:
            return []
        counted = self._counted(items)
        if counted:
            return counted
        pieces = [self.text[start:end] for start, end in zip(starts, [*starts[1:], len(self.text)], strict=True)]
        made = []
        for piece in pieces[:_MOST]:
            filler = _Filler(self.root, replace(self.source, text=piece))
            value = filler._object(items, depth + 1, needed=False)
            if value is not MISSING:
                made.append(value)
        return made

    def _counted(self, items: Schema) -> list[Any]:
        """Return an object for each `3 apples` in the text if the items are a name with a number."""
        properties = {name: types(resolve(one, self.root)) for name, one in part(items, "properties").items()}
        named = next((name for name, kinds in properties.items() if kinds == ["string"]), None)
        counts = next((name for name, kinds in properties.items() if kinds in (["integer"], ["number"])), None)
        if named is None or counts not in ("quantity", "count", "amount", "number"):
            return []
        return [
            {named: word, counts: int(digits)} for digits, word in re.findall(r"\b(\d{1,6}) ([a-z][\w-]+)", self.text)
        ]

    def _starts(self, items: Schema) -> list[int]:
        for name, one in part(items, "properties").items():
            plain = resolve(one, self.root)
            if "string" in types(plain) and not listed(plain, "enum"):
                strings = [value for value in self._strings(plain, name) if value in self.text]
                return sorted({self.text.index(value) for value in strings}) or [0]
        return [0]

    # ---- when the text says nothing

    def smallest(self, schema: Any, name: str, depth: int) -> Any:
        """Return the default, or the smallest value that fits."""
        plain = resolve(schema, self.root)
        for key in ("default", "const"):
            if key in plain and self.fits(plain[key], plain):
                return plain[key]
        if listed(plain, "enum"):
            return next((one for one in plain["enum"] if self.fits(one, plain)), plain["enum"][0])
        branches = listed(plain, "anyOf") or listed(plain, "oneOf")
        if branches:
            beside = {key: value for key, value in plain.items() if key not in ("anyOf", "oneOf")}
            wholes = [merge(beside, resolve(branch, self.root)) for branch in branches]
            wholes.sort(key=lambda whole: types(whole) != ["null"])
            if depth <= 2 * _DEEPEST:
                made = [self.smallest(whole, name, depth + 1) for whole in wholes]
                return next((value for value in made if self.fits(value, plain)), made[0])
            return None
        kinds = types(plain) or ["string"]
        made = [self._smallest_kind(kind, plain, name, depth) for kind in (["null"] if "null" in kinds else kinds)]
        return next((value for value in made if self.fits(value, plain)), made[0] if made else None)

    def _smallest_kind(self, kind: str, schema: Schema, name: str, depth: int) -> Any:
        if kind == "object":
            return self._smallest_object(schema, depth)
        if kind == "array":
            return self._smallest_array(schema, name, depth)
        if kind in ("integer", "number"):
            return self._next_number(schema, whole=kind == "integer")
        if kind == "boolean":
            return False
        if kind == "null":
            return None
        return smallest_string(schema, self._wish(schema, name))

    def _next_number(self, schema: Schema, *, whole: bool) -> float:
        """Hand out the numbers of the text in order to fields that it does not label."""
        given = [one for one in extract.numbers(self.text) if not whole or isinstance(one, int)]
        if self._numbers_given < len(given):
            value = given[self._numbers_given]
            self._numbers_given += 1
            if self.fits(value, schema):
                return value
        return smallest_number(schema, whole=whole)

    def _wish(self, schema: Schema, name: str) -> str:
        candidates = self._strings(schema, name)
        if candidates:
            return candidates[0]
        return "unknown" if not self.source.prose or _PEOPLE & set(words(name)) else " ".join(self.source.prose())

    def _smallest_object(self, schema: Schema, depth: int) -> dict[str, Any]:
        if depth > 4 * _DEEPEST:
            return {}
        made: dict[str, Any] = self._object(schema, depth, needed=True)
        fewest = int(number(schema, "minProperties") or 0)
        properties, others = part(schema, "properties"), schema.get("additionalProperties", True)
        for name in properties:
            if len(made) < fewest and name not in made:
                made[name] = self.required(properties[name], name, depth + 1)
        for place in range(min(fewest, _MOST)):
            if len(made) < fewest and others is not False:
                made[f"field_{place}"] = self.required(others, "", depth + 1)
        return made

    def _smallest_array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        fewest = min(int(number(schema, "minItems") or 0), 1000)
        first, items = listed(schema, "prefixItems"), schema.get("items", {})
        made = self._array(schema, name, depth) if depth <= _DEEPEST else MISSING
        made = list(made) if isinstance(made, list) else []
        unique = schema.get("uniqueItems") is True
        while len(made) < fewest and depth <= 4 * _DEEPEST:
            one = first[len(made)] if len(made) < len(first) else items
            value = self.required(one, "", depth + 1)
            if unique and any(same(value, other) for other in made):
                value = self._another(one, made, value)
            made.append(value)
        return made

    def _another(self, schema: Any, taken: list[Any], value: Any) -> Any:
        """Return a value that fits and is not among those taken."""
        plain = resolve(schema, self.root)
        step = number(plain, "multipleOf") or 1
        tried: list[Any] = [*listed(plain, "enum"), *([True, False] if "boolean" in types(plain) else [])]
        for n in range(1, len(taken) + 2):
            if isinstance(value, str):
                tried += [f"{value}{n}", f"{n}{value}"[: len(value) or None], value + value[-1:] * n]
            elif isinstance(value, int | float) and not isinstance(value, bool):
                tried += [value + n * step, value - n * step]
            elif isinstance(value, list):
                tried.append([*value, *[self.required(plain.get("items", {}), "", _DEEPEST)] * n])
            elif isinstance(value, dict):
                for name in (*part(plain, "properties"), f"field_{n}"):
                    old = value.get(name, "")
                    one = part(plain, "properties").get(name, {})
                    tried.append(
                        {
                            **value,
                            name: _Filler(self.root, self.source)._another(one, [t.get(name) for t in taken], old),
                        }
                        if n == 1
                        else value
                    )
        return next(
            (one for one in tried if self.fits(one, plain) and not any(same(one, other) for other in taken)), value
        )


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return sum(map(_size, value.values())) + 1
    return sum(map(_size, value)) if isinstance(value, list) else 1


def _listed_after(name: str, text: str) -> list[str]:
    """Return the items of an enumeration that follows a field's name: `tags: a, b and c`."""
    label = r"[\s_-]*".join(map(re.escape, words(name)))
    found = re.search(rf"\b{label}\b\s*(?::|=|are|of)?\s*([^\n.;?!:]+)", text, re.IGNORECASE) if label else None
    items = re.split(r",\s*(?:and\s+)?|\s+and\s+", found[1]) if found else []
    return [item.strip().strip("\"'") for item in items if item.strip()] if len(items) > 1 else []


def _keywords(text: str) -> list[str]:
    counts: dict[str, int] = {}
    first: dict[str, str] = {}
    for word in words(text):
        if word not in STOP_WORDS and len(word) > 3:
            counts[stem(word)] = counts.get(stem(word), 0) + 1
            first.setdefault(stem(word), word)
    best = sorted(counts, key=lambda one: (-counts[one], list(counts).index(one)))[:5]
    return [first[one] for one in best]
