"""Finds in a text what a field of a schema asks for: cities, names, numbers, dates, addresses, calculations, topics."""

from __future__ import annotations

import math
import re
from functools import lru_cache

from awaitsee.practice.places import cities
from awaitsee.practice.text import NUMBER_WORDS, STOP_WORDS, sentences, word_set, words

URL = re.compile(r"https?://[^\s<>\"')\]]+|(?<![\w/])/pages/[\w./-]*")
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+")
QUOTED = re.compile(r"\"([^\"\n]+)\"|\u201c([^\u201d\n]+)\u201d|(?<!\w)'([^'\n]+)'(?!\w)|`([^`\n]+)`")
NUMBER = re.compile(r"(?<![\w.])-?\d{1,15}(?:,\d{3})*(?:\.\d{1,15})?(?!\d|\w{0,20}-\d)")
_DATE = re.compile(
    r"\b\d{4}-\d\d-\d\d\b|\b(?:today|tomorrow|yesterday|tonight)\b|\b(?:next |this |on )?(?:"
    r"Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b"
    r"|\b(?:January|February|March|April|May|June|July|August|September|October|November|"
    r"December) \d{1,2}(?:, \d{4})?\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"\b\d{1,2}:\d\d(?::\d\d)?(?: ?[ap]m)?\b|\b\d{1,2} ?[ap]m\b", re.IGNORECASE)
_NAME = re.compile(r"\b[A-Z][\w\u00c0-\u024f'-]*(?:(?: (?:de|da|di|van|von|of|la|le|del))? [A-Z][\w\u00c0-\u024f'-]*)*")
_OPERATOR = r"(?:\*\*|//|[-+*/%^\u00d7\u00f7])"
_OPERAND = r"[-+(]*\d+(?:\.\d+)?\)*"
CALCULATION = re.compile(rf"(?<![\w.(]){_OPERAND}(?:\s*{_OPERATOR}\s*{_OPERAND})+")
_FARTHEST = 4000
"""How many characters of a text are searched for what people write in a line: calculations, fields."""
_SPOKEN = (
    (r"\bdivided by\b|\bover\b(?=\s*\d)", "/"),
    (r"\bmultiplied by\b|\btimes\b", "*"),
    (r"(?<=\d)\s*[x\u00d7]\s*(?=\d)", " * "),
    (r"\bplus\b", "+"),
    (r"\bminus\b", "-"),
    (r"\bto the power of\b", "**"),
    (r"\b(\d{1,15})\s+squared\b", r"\1 ** 2"),
    (r"((?<!\d)\d{1,15}(?:\.\d{1,15})?) ?(?:%|percent) of ((?<!\d)\d{1,15}(?:\.\d{1,15})?)", r"\1 / 100 * \2"),
    (r"\b(?:the )?sum of ((?<!\d)\d{1,15}(?:\.\d{1,15})?) and ((?<!\d)\d{1,15}(?:\.\d{1,15})?)", r"\1 + \2"),
    (r"\b(?:the )?product of ((?<!\d)\d{1,15}(?:\.\d{1,15})?) and ((?<!\d)\d{1,15}(?:\.\d{1,15})?)", r"\1 * \2"),
    (r"\badd ((?<!\d)\d{1,15}(?:\.\d{1,15})?) (?:and|to) ((?<!\d)\d{1,15}(?:\.\d{1,15})?)", r"\1 + \2"),
    (r"\bmultiply ((?<!\d)\d{1,15}(?:\.\d{1,15})?) (?:and|by|with) ((?<!\d)\d{1,15}(?:\.\d{1,15})?)", r"\1 * \2"),
    (r"\bdivide ((?<!\d)\d{1,15}(?:\.\d{1,15})?) by ((?<!\d)\d{1,15}(?:\.\d{1,15})?)", r"\1 / \2"),
    (r"\bsubtract ((?<!\d)\d{1,15}(?:\.\d{1,15})?) from ((?<!\d)\d{1,15}(?:\.\d{1,15})?)", r"\2 - \1"),
)
_DIGITS = {word: str(value) for word, value in NUMBER_WORDS.items()}
_NOT_NAMES = word_set(
    """I I'm I've I'll What What's When Where Which Who Who's Whose Why How Is Are Was Were Do Does Did Can Could Will
    Would Should Shall May Might Please Tell Give Show Find Get Search Look Fetch Read Open Write List Name
    Compare Explain Describe Summarize Summarise Use Call Calculate Compute Add Multiply Divide Subtract And Or
    But Then Also Both The A An In On At For From To Of By With My Your Our Their His Her Its It This That These
    Those He She We They You Hello Hi Hey Thanks Thank Yes No Not If So Answer Question Context Translate
    Extract Classify Check Book Send Create Make Plan Research See Monday Tuesday Wednesday Thursday Friday
    Saturday Sunday January February March April May June July August September October November December
    Celsius Fahrenheit Python API URL HTTP JSON LLM AI"""
)
_NOT_A_SUBJECT = re.compile(r" (?:\d|with\b|about\b|for\b|on\b|by\b|to\b|a\b|an\b|the\b|me\b)")
"""What follows a sentence's first word when that word is no name: `Order 3 apples`, `Meeting with Ann`."""
_REQUEST = re.compile(
    r"^(?:(?:please|can you|could you|would you|will you|i want you to|i would like you to|i "
    r"want to know|i'd like to know|i need to know|now|then|and|also|first|next|finally|"
    r"search (?:(?:the|our) )?(?:web|internet|handbook|docs|documentation|pages|site)?\s*(?:for|about|on)?|"
    r"(?:do|run|make) a (?:web )?search (?:for|about|on)|look (?:up|for)|look into|find(?: "
    r"out)?(?: information| something| more)?(?: about| on)?|google|research|"
    r"tell me(?: more)?(?: about)?|what does the handbook say (?:about|on)|according to the handbook,?|"
    r"use (?:the |your )?\w+(?: \w+)?(?: tools?)? (?:to|for)|check|get me|get|show me|give me|"
    r"read up on|let me know)\b[\s,:]*)+",
    re.IGNORECASE,
)
_TRAILING = re.compile(
    r"[\s,]*(?:\b(?:(?:the )?(?:top|first|best|at most|up to|give me|with|,)?\s*\d+ results?|"
    r"please|for me|on the web|on the internet|in the handbook|in the docs|online)\b[\s,]*)+$",
    re.IGNORECASE,
)


def calculations(text: str) -> list[str]:
    """Return the arithmetic in a text, also when it is spelled out: `17 times 23` gives `17 * 23`."""
    text = text[:_FARTHEST]
    for number_word, digits in _DIGITS.items():
        text = re.sub(
            rf"\b{number_word}\b(?=\s+(?:plus|minus|times|divided|multiplied|squared|and\s+\w+\s*$))|"
            rf"(?<=plus )\b{number_word}\b|(?<=minus )\b{number_word}\b|(?<=times )\b{number_word}\b|"
rf"(?<=by )\b{number_word}\b",
            digits, text, flags=re.IGNORECASE,
        )  # fmt: skip
    for spoken, sign in _SPOKEN:
        text = re.sub(spoken, sign, text, flags=re.IGNORECASE)
    found = []
    for match in CALCULATION.finditer(text):
        made = _balance(match[0].strip())
        if not re.fullmatch(r"\d{4}-\d\d-\d\d|\d+(?:-\d+)+|\d{1,2}/\d{1,2}/\d{2,4}", made):
            found.append(made.replace("\u00d7", "*").replace("\u00f7", "/").replace("^", "**"))
    return found


def _balance(expression: str) -> str:
    while expression.count("(") > expression.count(")") and expression.startswith("("):
        expression = expression[1:].lstrip()
    while expression.count(")") > expression.count("(") and expression.endswith(")"):
        expression = expression[:-1].rstrip()
    return expression


def names(text: str) -> list[str]:
    """Return the capitalised names in a text, in order, without words that are capitalised for their place only."""
    found = []
    for match in _NAME.finditer(text):
        if match.start() == 0 and _NOT_A_SUBJECT.match(text[match.end() :]):
            continue
        kept = match[0].split()
        while kept and (kept[0] in _NOT_NAMES or kept[0].removesuffix("'s") in _NOT_NAMES):
            kept = kept[1:]
        name = re.sub(r"'s$", "", " ".join(kept)).rstrip("'-")
        if name and name not in _NOT_NAMES and name.lower() not in STOP_WORDS:
            found.append(name)
    return found


def people(text: str) -> list[str]:
    """Return the names in a text that are not said to be places."""
    known = set(_city_names().values())
    return [
        name
        for name in names(text)
        if name not in known and not re.search(rf"\b(?:in|at|to|from|near)\s+{re.escape(name)}\b", text)
    ]


def places(text: str) -> list[str]:
    """Return the cities in a text: those that the practice weather knows, and others by their capital letter."""
    known = [(match.start(), _city_names()[match[0].lower()]) for match in _known_cities().finditer(text)]
    taken = {name.lower() for _, name in known}
    named = [
        (text.find(name), name)
        for name in names(text)
        if not any(city in name.lower() for city in taken)
        and re.search(rf"\b(?:in|for|at|of|to|from|and|or|near|,)\s+{re.escape(name)}", text)
    ]
    if not known and not named and len(words(text)) <= 4:  # "Weather Bogota?": nothing else can be meant
        named = [(text.find(name), name) for name in names(text)]
    return list(dict.fromkeys(name for _, name in sorted(known + named)))


@lru_cache(maxsize=1)
def _city_names() -> dict[str, str]:
    return {city.lower(): city for city in cities()}


@lru_cache(maxsize=1)
def _known_cities() -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, _city_names()))})\b", re.IGNORECASE)


def quoted(text: str) -> list[str]:
    """Return what stands in quotation marks."""
    return [next(filter(None, match.groups())) for match in QUOTED.finditer(text)]


def topic(text: str) -> str:
    """Return what a request is about: itself, without the words that only ask."""
    text = text.strip()
    asked = [sentence for sentence in sentences(text) if sentence.endswith("?")] if "\n" in text else []
    text = asked[-1] if asked else text
    inner = quoted(text)
    if inner and len(inner[0]) > 2:
        return inner[0]
    trimmed = _TRAILING.sub("", _REQUEST.sub("", text).rstrip(" ?.!")).strip(" ,;:")
    return trimmed or text


def numbers(text: str) -> list[float]:
    """Return the numbers in a text, whole ones as integers."""
    found: list[float] = []
    for match in NUMBER.finditer(text):
        value = float(match[0].replace(",", ""))
        if not math.isfinite(value):
            continue
        found.append(int(value) if value.is_integer() and "." not in match[0] else value)
    return found


_MONEY = r"dollars|euros|usd|eur|\$|\u20ac"
_UNIT_AFTER = {
    "age": r"years?[- ]old|years? of age",
    "price": _MONEY,
    "cost": _MONEY,
    "amount": _MONEY,
    "budget": _MONEY,
    "temperature": r"degrees|\u00b0|celsius|fahrenheit",
    "day": r"days?\b",
    "hour": r"hours?\b",
    "minute": r"minutes?\b",
    "second": r"seconds?\b",
    "percent": r"%|percent",
}
_UNIT_BEFORE = {
    "age": r"\b(?:aged?|turned|is)",
    "price": r"[$\u20ac]",
    "cost": r"[$\u20ac]",
    "year": r"\b(?:in|since)",
    "amount": r"[$\u20ac]",
}
_COUNTS = word_set("limit k n num number count max top results size")
_COUNTED = r"(?:\w+\s+)?(?:results?|pages?|hits?|passages?|items?|documents?|sources?|entries|queries)\b"


def number_for(field: str, text: str) -> float | None:
    """Return the number that a text gives for a field, by the words beside it."""
    text = text[:_FARTHEST]
    spelled = re.sub(
        rf"\b(?:{'|'.join(_DIGITS)})\b", lambda match: _DIGITS[match[0].lower()], text, flags=re.IGNORECASE
    )
    parts = words(field)
    if not parts:
        return None
    plain, last = NUMBER.pattern, parts[-1].rstrip("s")
    label = r"[\s_-]*".join(map(re.escape, parts))
    patterns = [
        rf"\b{label}s?\b[\"']?\s*(?:is|was|of|to|=|:|at|about|around)*\s*[$\u20ac]?({plain})",
        rf"({plain})[\s-]*(?:{label}|{re.escape(last)})s?\b",
    ]
    if _COUNTS.intersection(parts):
        patterns += [rf"\b(?:top|first|best|at most|up to|only)\s+({plain})", rf"({plain})\s+{_COUNTED}"]
    if last in _UNIT_AFTER:
        patterns.append(rf"({plain})\s*-?(?:{_UNIT_AFTER[last]})")
    if last in _UNIT_BEFORE:
        patterns.append(rf"{_UNIT_BEFORE[last]}\s*({plain})")
    for pattern in patterns:
        found = re.search(pattern, spelled, re.IGNORECASE)
        if found:
            return numbers(found[1])[0]
    return None


def labelled(field: str, text: str) -> str | None:
    """Return what a text says outright for a field: `title: Async` or `the title is "Async"`."""
    label = r"[\s_-]*".join(map(re.escape, words(field)))
    if not label:
        return None
    found = re.search(rf"\b{label}\b[\"']?\s*(?::|=|\bis\b|\bas\b)\s*([^\n.;,?!]+(?:\.\w+)*)", text, re.IGNORECASE)
    in_quotes = re.search(
        rf"\b{label}\b[\"']?\s*(?:is|as|of|:|=)?\s*(?:\"([^\"]+)\"|(?<!\w)'([^'\n]+)'(?!\w))", text, re.IGNORECASE
    )
    if in_quotes:
        return in_quotes[1] or in_quotes[2]
    value = found[1].strip().strip("\"'`") if found else ""
    return value if value and not re.match(r"(?:a|an|the|not|what|how)\b", value, re.IGNORECASE) else None


def dates(text: str) -> list[str]:
    """Return the dates in a text as they stand there: `2025-05-01`, `tomorrow`, `May 3`."""
    return [match[0] for match in _DATE.finditer(text)]


def clocks(text: str) -> list[str]:
    """Return the times of day in a text as they stand there."""
    return [match[0] for match in _CLOCK.finditer(text)]


def title(text: str) -> str:
    """Return a title for what a text is about, at most eight words long."""
    about = re.sub(
        r"^(?:what|who|where) (?:is|are|does|do) (?:an? |the )?|^how (?:does|do) (?:an? |the )?|^(?:an?|the) ",
        "",
        topic(text),
        flags=re.IGNORECASE,
    )
    about = re.split(r"[.?!\n:]", about)[0].strip() or about.strip()
    kept = " ".join(about.split()[:8])
    return kept[:1].upper() + kept[1:]
