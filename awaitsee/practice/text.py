"""Words, sentences and vectors: what the practice model and the practice search engine know of language."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

_TOKEN = re.compile(r" ?[A-Za-z]{1,11}| ?\d{1,3}| ?[^\sA-Za-z\d]{1,2}|\s+(?= \S)|\s+")
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_TIME_OUT = re.compile(r"\b(?:time|times|timed|timing)[ -]out\b", re.IGNORECASE)
_IDENTIFIER = re.compile(r"\b[A-Za-z]+(?:_[A-Za-z]+)+\b|\b[A-Z][a-z]+[A-Z][A-Za-z]*\b")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|Dr|Mr|Mrs|Ms|St|approx|cf)|\b[A-Z])\.$")
_SENTENCE_END = re.compile(r"[.!?][)\"'\u201d\u2019`*]*(?:\s*\[\d+\])*(?=\s+|$)")
_LIST_MARK = re.compile(r"^\s*(?:[-*+\u2022]|\d{1,2}[.)])\s+")


def word_set(written: str) -> frozenset[str]:
    """Return the words of a list that is written with blanks between them."""
    return frozenset(written.split())


STOP_WORDS = word_set(
    """a about all also am an and any are as at be because been before being but by can could did do does doing done
    each either else even ever for from get gets give go goes got had has have having he her here him his how i
    if in into is it its itself just let like make makes many may me mean means might more most much must my
    need needs no not of off on one only or other our out over own please rather really s same say says shall
    she should show so some such t tell than that the their them then there these they thing things this those
    through time to too up us use used using very want was way we were what when where whether which while who
    whom whose why will with without would you your yours explain describe briefly exactly actually know
    understand works work happen happens handle handling deal manage implement help confused possible way ways
    different difference differences better best good bad well compare compared versus vs meaning definition
    purpose concept basics correct correctly properly ask question answer point five old mean anything something
    topic what's i'm don't doesn't isn't can't it's"""
)
"""Words that say nothing about a topic."""

_IRREGULAR = {
    "ran": "run", "wrote": "write", "written": "write", "built": "build", "held": "hold", "sent": "send",
    "took": "take", "taken": "take", "kept": "keep", "began": "begin", "begun": "begin", "lost": "lose",
    "paid": "pay", "froze": "freeze", "frozen": "freeze", "stuck": "stick", "limiter": "limit",
    "limiters": "limit", "cancellation": "cancel", "cancellations": "cancel", "cancelled": "cancel",
    "canceled": "cancel", "canceling": "cancel", "cancelling": "cancel", "concurrently": "concurrent",
    "concurrency": "concurrent", "simultaneously": "concurrent", "simultaneous": "concurrent",
    "simultaneus": "concurrent", "parallelism": "parallel", "retries": "retry", "retried": "retry",
    "retrying": "retry", "throttle": "rate", "throttling": "rate", "mutex": "lock", "ratelimit": "rate",
    "429s": "429", "coro": "coroutine", "coros": "coroutine", "exception": "error", "exceptions": "error",
    "failure": "fail", "failures": "fail", "queue": "queue", "queues": "queue", "queued": "queue",
    "queuing": "queue", "queueing": "queue", "hang": "stick", "hangs": "stick", "hung": "stick",
    "hanging": "stick", "freeze": "block", "freezes": "block", "freezing": "block", "abort": "cancel",
    "aborted": "cancel", "deadline": "timeout", "deadlines": "timeout", "timeouts": "timeout",
    "threading": "thread", "threaded": "thread", "multithreading": "thread", "multithreaded": "thread",
    "multiprocessing": "process", "processes": "process", "backpressure": "back", "dies": "die", "died": "die",
    "lives": "live", "found": "find", "made": "make", "forgot": "forget", "forgotten": "forget",
    "quicker": "fast", "quick": "fast", "quickly": "fast", "faster": "fast", "speed": "fast", "stopped": "stop",
    "stopping": "stop", "large": "size", "larger": "size", "big": "size", "chose": "choose", "chosen": "choose",
}  # fmt: skip


NUMBER_WORDS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12,
}  # fmt: skip


def tokenize(text: str) -> list[str]:
    """Cut `text` into word-like pieces, each with its leading blank; joined they give `text` back."""
    return _TOKEN.findall(text)


def count_tokens(text: str) -> int:
    """Return the number of pieces that `tokenize` makes: about one for four characters of English."""
    return len(tokenize(text))


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """Bring the forms of a lower-case English word together: `waits`, `waited` and `waiting` become `wait`."""
    word = _IRREGULAR.get(word, word)
    if len(word) <= 3 or not word.isascii():
        return word
    if word.endswith(("ies", "ied")):
        word = word[:-3] + "y"
    elif word.endswith(("sses", "xes", "ches", "shes", "zes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for suffix in ("ing", "edly", "ed", "ly"):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word[: -len(suffix)]
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiou":
        word = word[:-1]
    if len(word) > 3 and word.endswith("e"):
        word = word[:-1]
    return word


def words(text: str) -> list[str]:
    """Return the words of `text` in lower case; `TaskGroup` and `create_task` count as two words."""
    return [part.lower() for word in _WORD.findall(text) for part in _CAMEL.split(word)]


def terms(text: str) -> list[str]:
    """Return the stems of the words of `text` that say something about its topic, and each identifier whole as well."""
    whole = [match[0].lower() for match in _IDENTIFIER.finditer(text)]
    return [stem(word) for word in words(_TIME_OUT.sub("timeout", text)) if word not in STOP_WORDS] + whole


def sentences(text: str) -> list[str]:
    """Cut running text into sentences; a list item, a heading line or a paragraph's end closes a sentence too."""
    found: list[str] = []
    for block in _blocks(text):
        start = 0
        for match in _SENTENCE_END.finditer(block):
            if _ABBREVIATION.search(block[start : match.start() + 1]):
                continue
            found.append(block[start : match.end()].strip())
            start = match.end()
        if block[start:].strip():
            found.append(block[start:].strip())
    return found


def _blocks(text: str) -> Iterable[str]:
    """Join the lines of each paragraph; list items and headings stand alone."""
    joined: list[str] = []
    for line in [*text.splitlines(), ""]:
        stands_alone = _LIST_MARK.match(line) or line.lstrip().startswith("#")
        if joined and (not line.strip() or stands_alone):
            yield " ".join(joined)
            joined = []
        if line.lstrip().startswith("#"):
            yield line.strip()
        elif line.strip():
            joined.append(_LIST_MARK.sub("", line).strip())


_LEANING = word_set("it its they them this that these those he she then so there but both neither such")


def leans(sentence: str) -> bool:
    """Tell whether a sentence begins by pointing back at the one before it."""
    first = words(sentence)[:1]
    return bool(first) and first[0] in _LEANING


@lru_cache(maxsize=20_000)
def _slot(term: str) -> tuple[int, float]:
    digest = int.from_bytes(hashlib.blake2b(term.encode("utf-8", "replace"), digest_size=8).digest(), "big")
    return digest >> 1, 1.0 if digest & 1 else -1.0


def embed(text: str, dimensions: int = 256) -> list[float]:
    """Return a vector of unit length in which texts that share words are near each other.

    Raises:
        ValueError: `dimensions` is below 1.
    """
    if dimensions < 1:
        raise ValueError(f"An embedding needs at least 1 dimension, not {dimensions}.")
    vector = [0.0] * dimensions
    for term, count in Counter(terms(text) or words(text) or [text]).items():
        place, sign = _slot(term)
        vector[place % dimensions] += sign * (1.0 + math.log(count))
    length = math.sqrt(sum(value * value for value in vector))
    if length == 0.0:  # the terms cancelled each other out
        vector[0] = length = 1.0
    return [value / length for value in vector]
