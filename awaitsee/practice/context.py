"""Answers from a context that stands in the prompt, and from nothing else."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from awaitsee.practice.text import STOP_WORDS, leans, sentences, stem, terms, word_set, words

NOT_SAID = "The context does not say."

_LABEL = (
    r"(?:context|contexts|documents?|sources?|passages?|excerpts?|retrieved (?:documents|"
    r"context|passages)|background|reference(?: text)?|material|article|text|information|"
    r"search results|knowledge)"
)
_TAGGED = re.compile(
    r"<(context|contexts|documents?|docs|passages?|sources?|article|text|excerpts?)\b[^>]*>(.*)</\1>",
    re.DOTALL | re.IGNORECASE,
)
_LABELLED = re.compile(
    rf"(?:^|(?<=[.!?] ))[ \t#*]*(?:here (?:is|are) )?(?:the )?(?:[\w-]+ )?{_LABEL}[ \t*]*:[ \t*]*(?=\S|\n)",
    re.IGNORECASE | re.MULTILINE,
)
_QUESTION = re.compile(
    r"^[ \t#*]*(?:here is )?(?:the )?(?:user(?:'s)? |the |final |new )?(?:question|query|"
    r"input|human|user)[ \t*]*:[ \t*]*",
    re.IGNORECASE | re.MULTILINE,
)
_ANSWER = re.compile(
    r"^[ \t#*]*(?:helpful |final |your |short )?(?:answer|response|assistant)(?: in [\w ]+)?[ \t*]*:?[ \t*]*$",
    re.IGNORECASE | re.MULTILINE,
)
_FENCED = re.compile(r"(\"\"\"|'''|^-{3,}$)\n?(.+?)\1", re.DOTALL | re.MULTILINE)
_PIECES = re.compile(
    r"\b(?:following|these|this|given|provided|retrieved)\b[^.\n]{0,60}\b(?:context|pieces|"
    r"passages|documents|excerpts|sources|text|notes)\b",
    re.IGNORECASE,
)
_MARK = re.compile(
    r"^[ \t]*(?:(?:document|source|passage|doc)\s*)?\[(\d{1,3})\]:?[ \t]*|^[ \t]*(?:document|"
    r"source|passage)[ \t]+#?(\d{1,3})[ \t]*[:.)][ \t]*",
    re.MULTILINE | re.IGNORECASE,
)
_TAGGED_DOCUMENT = re.compile(r"<document\b([^>]*)>(.*?)</document>", re.DOTALL | re.IGNORECASE)
_META = re.compile(
    r"^[ \t]*(?:source|url|page|title|metadata|file|id|score|heading)[ \t]*[:=][ \t]*(.+)$|\A\s*\(([\w./# -]+)\)(?=\s)",
    re.IGNORECASE | re.MULTILINE,
)
_REFUSAL = (
    re.compile(
        r"(?:say|answer|reply|respond|write|output|return|state|print)(?:\s+(?:with|only|just|"
        r"exactly|simply))*\s*:?\s*[\"\u201c'`]([^\"\u201d'`\n]{2,120}?)[\"\u201d'`](?=[\s.,;)]|"
        r"$)",
        re.IGNORECASE,
    ),
    re.compile(
        r"\b(?:if|when|where)\b[^.\n]{0,120}?\b(?:say|answer|reply|respond)(?: with)?:? ((?:I "
        r")?[a-z][\w' ]{2,60}?)(?=[.,;\n]|$)",
        re.IGNORECASE,
    ),
)
_INSTRUCTED = re.compile(
    r"\b(?:don'?t|do not|does not|doesn'?t|cannot|can'?t|isn'?t|not|no|unsure|unknown|missing|absent|insufficient)\b",
    re.IGNORECASE,
)
_DO_NOT_KNOW = re.compile(r"say (?:that )?(?:you|it) (?:just )?(?:don'?t|do not|does not) know", re.IGNORECASE)
_GENERIC = frozenset(
    map(
        stem,
        word_set(
            "context document passage text article source handbook according mentioned mention based "
            "provided state answer question author page note say find give name list concept term "
            "purpose"
        ),
    )
)
_PAST = {
    "who": r"\b[A-Z][a-z]+",
    "when": r"\d|\b(?:January|February|March|April|May|June|July|August|September|October|November|December)\b|day\b",
    "how many": r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten)\b",
    "how much": r"\d",
    "how long": r"\d",
    "how old": r"\d",
    "where": r"\b(?:in|at|on|near) [A-Z]",
}
_NEXT_QUESTION = re.compile(r"(?:,?\s+and|\?(?:\s+and)?)\s+(?=(?:what|who|when|where|why|how|which)\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Grounded:
    """A question with the only text that may answer it."""

    text: str
    question: str
    refusal: str = NOT_SAID


@dataclass(frozen=True, slots=True)
class _Line:
    sentence: str
    mark: str
    terms: frozenset[str]
    around: frozenset[str]
    """The terms of the heading or title above it."""


def grounded(system: str, user: str) -> Grounded | None:
    """Find the context that a prompt carries, in its system text or in the user's, or return `None`."""
    refusal = _refusal(f"{system}\n{user}")
    in_user = _split(user)
    if in_user:
        text, question = in_user
        return Grounded(text.strip(), question, refusal)
    in_system = _split(f"{system}\n\nQuestion: ") if system else None
    if in_system and in_system[0].strip():
        return Grounded(in_system[0].strip(), user, refusal)
    return None


def _split(prompt: str) -> tuple[str, str] | None:
    """Return context and question of one text."""
    tagged = _TAGGED.search(prompt)
    if tagged:
        rest = (prompt[: tagged.start()] + "\n" + prompt[tagged.end() :]).strip()
        return tagged[0] if tagged[1].lower() in ("documents", "document") else tagged[2], _asked(rest)
    fenced = _FENCED.search(prompt)
    if fenced:
        rest = (prompt[: fenced.start()] + "\n" + prompt[fenced.end() :]).strip()
        if "?" in rest:
            return fenced[2], _asked(rest)
    label = next((match for match in _LABELLED.finditer(prompt) if prompt[match.end() :].strip()), None)
    questions = list(_QUESTION.finditer(prompt))
    if label:
        after = next((match for match in reversed(questions) if match.start() > label.start()), None)
        before = next((match for match in questions if match.start() < label.start()), None)
        if after:
            return prompt[label.end() : after.start()], _asked(prompt[after.end() :])
        if before:
            return _without_answer(prompt[label.end() :]), _asked(prompt[before.end() : label.start()])
        body, _, tail = prompt[label.end() :].rstrip().rpartition("\n\n")
        if (
            body
            and len(tail) < 300
            and (
                "?" in tail or re.match(r"(?:what|who|when|where|why|how|which|answer|explain)\b", tail, re.IGNORECASE)
            )
        ):
            return body, _asked(tail)
        head = prompt[: label.start()].strip()
        if "?" in head:
            return prompt[label.end() :], _asked(head)
    numbered = list(_MARK.finditer(prompt))
    if questions and (len(numbered) > 1 or _PIECES.search(prompt[: questions[-1].start()])):
        start = numbered[0].start() if numbered else _PIECES.search(prompt).end()  # type: ignore[union-attr]
        if not numbered:
            paragraph = prompt.find("\n", start)
            start = paragraph if 0 <= paragraph < questions[-1].start() else start
        if start < questions[-1].start():
            return prompt[start : questions[-1].start()], _asked(prompt[questions[-1].end() :])
    if len(numbered) > 1:
        head, body = prompt[: numbered[0].start()], prompt[numbered[0].start() :]
        body, _, tail = body.rstrip().rpartition("\n\n")
        if body and "?" in tail and not _MARK.match(tail):
            return body, _asked(tail)
        if "?" in head:
            return prompt[numbered[0].start() :], _asked(head)
    return None


def _without_answer(text: str) -> str:
    return _ANSWER.sub("", text)


def _asked(text: str) -> str:
    """Return the question in what stands beside the context."""
    text = _without_answer(text).strip()
    label = list(_QUESTION.finditer(text))
    if label:
        text = text[label[-1].end() :].strip()
    asking = [sentence for sentence in sentences(text) if sentence.rstrip("\"' ").endswith("?")]
    return " ".join(asking) if asking else text


def _refusal(prompt: str) -> str:
    for pattern in _REFUSAL:
        for match in pattern.finditer(prompt):
            clause = prompt[max(0, match.start() - 160) : match.start()] + prompt[match.start() : match.start(1)]
            if _INSTRUCTED.search(clause.rpartition("\n\n")[2]) and not re.match(
                r"(?:that|you|it|so)\b", match[1], re.IGNORECASE
            ):
                return match[1].strip()
    if _DO_NOT_KNOW.search(prompt):
        return "I don't know."
    return NOT_SAID


def questions(text: str) -> list[str]:
    """Cut a text that asks several things into its questions."""
    return [part for part in _NEXT_QUESTION.split(text) if part.strip()]


def answer(given: Grounded, size: int = 2) -> str:
    """Quote the one or two sentences of the context that answer, each with its number where it has one."""
    lines = _lines(given.text)
    quotes: list[str] = []
    for question in questions(given.question):
        for quote in quote_from(lines, question, size):
            if quote not in quotes:
                quotes.append(quote)
    return " ".join(quotes) or given.refusal


def _lines(text: str) -> list[_Line]:
    """Cut a context into sentences that know their document's number and the heading above them."""
    found: list[_Line] = []
    for mark, document in _documents(text):
        titles = " ".join(match[1] or match[2] for match in _META.finditer(document))
        around = frozenset(terms(titles))
        heading = around
        for sentence in sentences(_META.sub("", document)):
            if sentence.startswith("#") or (sentence.endswith("?") and len(sentence) < 80):
                heading = around | frozenset(terms(sentence))
                continue
            quoted = re.sub(r"\s*\[\d+\]$", "", sentence)
            # "It stands in Paris" speaks of what the sentence before it names
            named = found[-1].terms if found and found[-1].mark == mark and leans(quoted) else frozenset()
            found.append(_Line(quoted, mark, frozenset(terms(quoted)), heading | named))
    return found


def _documents(text: str) -> list[tuple[str, str]]:
    tagged = [(match[1], match[2]) for match in _TAGGED_DOCUMENT.finditer(text)]
    if tagged:
        numbers = [re.search(r"(?:id|index|number)\s*=\s*[\"']?(\d+)", attributes) for attributes, _ in tagged]
        return [(f" [{number[1]}]" if number else "", body) for number, (_, body) in zip(numbers, tagged, strict=True)]
    marks = list(_MARK.finditer(text))
    if not marks:
        return [("", text)]
    ends = [*(match.start() for match in marks[1:]), len(text)]
    return [("", text[: marks[0].start()])] + [
        (f" [{match[1] or match[2]}]", text[match.end() : end]) for match, end in zip(marks, ends, strict=True)
    ]


def quote_from(lines: Sequence[_Line], question: str, size: int) -> list[str]:
    """Return up to `size` quotes that answer a question, or none where the lines do not hold it."""
    asked = [term for term in dict.fromkeys(terms(question)) if term not in _GENERIC]
    if not asked:
        asked = list(dict.fromkeys(stem(word) for word in words(question) if word not in STOP_WORDS))
    if not asked or not lines:
        return []
    holders = {term: sum(term in line.terms or term in line.around for line in lines) for term in asked}
    weight = {term: math.log(1 + (len(lines) + 1) / (count + 0.5)) for term, count in holders.items()}
    total = sum(weight.values())
    kind = next(
        (pattern for start, pattern in _PAST.items() if re.search(rf"\b{start}\b", question, re.IGNORECASE)), None
    )

    def score(line: _Line) -> float:
        own = sum(weight[term] for term in asked if term in line.terms)
        above = sum(weight[term] for term in asked if term in line.around and term not in line.terms)
        fitting = 0.15 * total if kind and re.search(kind, line.sentence[1:]) else 0.0
        return (own + 0.8 * above) + (fitting if own else 0.0)

    scores = [score(line) for line in lines]
    best = max(range(len(lines)), key=lambda n: (scores[n], -n))
    covered = sum(weight[term] for term in asked if term in lines[best].terms or term in lines[best].around)
    if covered < 0.5 * total or not covered:
        return []
    chosen = [best]
    if leans(lines[best].sentence) and best > 0 and lines[best - 1].mark == lines[best].mark:
        chosen.insert(0, best - 1)
    elif size > 1:
        after = best + 1
        if (
            after < len(lines)
            and lines[after].mark == lines[best].mark
            and lines[after].around == lines[best].around
            and (scores[after] > 0.55 * scores[best])
        ):
            chosen.append(after)
        else:
            second = max((n for n in range(len(lines)) if n != best), key=lambda n: (scores[n], -n), default=best)
            if scores[second] >= 0.9 * scores[best] and second != best and not leans(lines[second].sentence):
                chosen.append(second)
    quotes: list[str] = []
    for place in chosen[:size]:
        joined_next = lines[place].mark and any(
            lines[other].mark == lines[place].mark for other in chosen[chosen.index(place) + 1 :]
        )
        quotes.append(lines[place].sentence + ("" if joined_next else lines[place].mark))
    return quotes


def relevant(document: str, question: str) -> bool:
    """Tell whether a document holds most of what a question asks for."""
    asked = {term for term in terms(question) if term not in _GENERIC}
    return bool(asked) and len(asked & set(terms(document))) >= 0.5 * len(asked)


def quote(text: str, question: str, size: int = 2) -> list[str]:
    """Return the sentences of a text that answer a question, or none."""
    return quote_from(_lines(text), question, size)
