"""The form that a prompt asks an answer to have: sentences, words, a list; and the question without those words."""

from __future__ import annotations

import re

from awaitsee.practice.text import NUMBER_WORDS, sentences, terms

_COUNTED = {**NUMBER_WORDS, "a": 1, "single": 1}
N = r"(\d{1,4}|one|two|three|four|five|six|seven|eight|nine|ten)"
"""A number in digits or as a word."""
_LONG = re.compile(
    r"\b(?:in detail|in depth|essay|at length|thoroughly|(?:long|detailed|thorough) (?:answer|"
    r"text|explanation|article|essay|description))\b",
    re.IGNORECASE,
)
_SENTENCES = re.compile(
    rf"\b(?:in|with|using|use|at most|max(?:imum)?(?: of)?|no more than|exactly|only|a)\s+(?:"
    rf"at most |only |exactly |just |about |no more than )?(?:{N}|a single|a|one)\s*(?:short |"
    rf"concise |brief |plain )?sentences?\b|\b{N} sentences? (?:max(?:imum)?|at most|or (?:"
    rf"less|fewer))\b|\b(?:one|single)[- ]sentence\b",
    re.IGNORECASE,
)
_WORDS = re.compile(
    r"\b(?:in|with|under|within|below|fewer than|less than|at most|no more than|max(?:"
    r"imum)?(?: of)?|about|around|exactly|of|up to|write|use)\s+(?:at most |about |around |"
    r"exactly |under |fewer than |less than |no more than |up to )?(\d{1,4}|one|two|three|"
    r"four|five|six|seven|eight|nine|ten)[- ]words?\b|\b(\d{1,4})[- ]words?(?: or (?:less|"
    r"fewer)| max(?:imum)?|\b)|\b(?:one|single)[- ]word\b",
    re.IGNORECASE,
)
_BULLETS = re.compile(
    rf"\b(?:{N}\s+(?:short |key |main )?)?(?:bullet(?:s|ed)?(?:[ -]points?|[ -]list)?|bullet "
    rf"list)\b|\bas an? (?:\w+ )?list\b|\bin (?:list|bullet) form\b|\blist (?:of )?{N} (?:"
    rf"points|facts|things|reasons|items)\b|\b(?:in|as|give|give me|list|name|write|with) {N} "
    rf"(?:key |main )?(?:points|facts|reasons|items)\b",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"\b(?:numbered list|numbered|as steps|step by step)\b", re.IGNORECASE)
_CASE = re.compile(r"\b(?:in|all) (?:upper ?case|all caps|capitals)\b", re.IGNORECASE)


def number_of(word: str | None, otherwise: int) -> int:
    """Return the number that a word or digits stand for."""
    if not word:
        return otherwise
    return int(word) if word.isdigit() else _COUNTED.get(word.lower(), otherwise)


def words_wanted(instruction: str) -> int | None:
    """Return the number of words that an answer should have at most, or `None`."""
    found = _WORDS.search(instruction)
    return number_of(found[1] or found[2], 1) if found else None


def wants_length(instruction: str) -> int | None:
    """Return how many words a long answer should have if one is asked for, or `None`."""
    wanted = words_wanted(instruction)
    if wanted and wanted > 60:
        return wanted
    return 250 if _LONG.search(instruction) else None


def shape(text: str, instruction: str) -> str:
    """Bring an answer into the form that the instruction asks for: sentences, words, a list, capitals."""
    wanted = _SENTENCES.search(instruction)
    if wanted:
        count = number_of(wanted[1] or wanted[2], 1)
        text = " ".join(sentences(text)[:count])
    limit = words_wanted(instruction)
    if limit and len(text.split()) > limit:
        text = _cut(text, limit)
    bullets = _BULLETS.search(instruction)
    if (bullets or _NUMBERED.search(instruction)) and not text.lstrip().startswith(("- ", "1. ", "#")):
        given = next((group for group in bullets.groups() if group), None) if bullets else None
        items = [one for line in text.splitlines() for one in sentences(line)][: number_of(given, 10)]
        marks = [f"{n}." for n in range(1, len(items) + 1)] if _NUMBERED.search(instruction) else ["-"] * len(items)
        text = "\n".join(f"{mark} {item}" for mark, item in zip(marks, items, strict=True))
    return text.upper() if _CASE.search(instruction) else text


def _cut(text: str, limit: int) -> str:
    """Return at most `limit` words: whole sentences if they use most of them, else the first words."""
    whole: list[str] = []
    left = limit
    for paragraph in text.split("\n\n"):
        kept = []
        for sentence in sentences(paragraph):
            left -= len(sentence.split())
            if left < 0:
                break
            kept.append(sentence)
        whole += [" ".join(kept)] if kept else []
        if left < 0:
            break
    if sum(len(one.split()) for one in whole) >= 0.6 * limit:
        return "\n\n".join(whole)
    return " ".join(text.split()[:limit]).rstrip(",;:.-") + "."


_ASIDE = re.compile(
    r"^\W*(?:question|q)\s*#?\d*\s*[:.)]\s*|\b(?:please|briefly|in detail|in depth|at length|"
    r"to me|for me|in plain (?:words|english)|in simple terms|in your own words|step by "
    r"step)\b|"
    r"\b(?:like|as if) i(?:'m| am| were) \w+(?: years old)?\b|\b(?:from|for) (?:the )?(?:"
    r"perspective|point of view|viewpoint)?(?: of)? ?(?:an? )(?:beginner|novice|manager|"
    r"engineer|student|child|practitioner)\b|"
    r"\b(?:answer|reply|respond|write|use|keep it)(?: (?:me|it|only|just|"
    r"back))*(?=\s*[.!]?\s*$)|\b(?:list|give|name|tell)\s+(?:me )?(?:the )?(?:\d+|two|three|"
    r"four|five|six|seven|some|key|main)?\s*(?:key |main )?(?:facts|points|reasons|things|"
    r"items)\b",
    re.IGNORECASE,
)


def bare(question: str) -> str:
    """Return a question without what it says of the form of its answer."""
    short = question
    for pattern in (_SENTENCES, _WORDS, _BULLETS, _NUMBERED, _CASE, _ASIDE):
        short = pattern.sub(" ", short)
    short = re.sub(r"\s+([?.!,:])", r"\1", " ".join(short.split())).lstrip(" :,.;-")
    return short if terms(short) else question
