"""The handbook as the practice model knows it: passages, ranked by how well they answer a question."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

from awaitsee.practice.material import data_folder
from awaitsee.practice.text import leans, sentences, stem, terms, words

_K1, _B = 1.2, 0.4
_HEADING, _TITLE, _BODY = 3, 2, 1
_SPELLABLE = 6
"""Shorter words are not taken for misspellings."""
_WEAK = frozenset(
    stem(word)
    for word in (
        "python",
        "async",
        "asyncio",
        "await",
        "code",
        "handbook",
        "program",
        "call",
        "llm",
        "application",
        "app",
        "script",
    )
)
_FENCE = re.compile(r"^```.*?^```[ \t]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Passage:
    """A section of a page."""

    page: str
    """The file's name without its ending, such as `06_semaphores`, or a page's address."""
    title: str
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    passage: Passage
    score: float
    coverage: float
    """The share of the question's meaning, from 0 to 1, that the passage has words for."""


class Index:
    """Ranks passages by BM25 over heading, title and text."""

    def __init__(self, passages: Iterable[Passage]) -> None:
        self.passages = tuple(passages)
        counted: list[Counter[str]] = []
        for passage in self.passages:
            counts: Counter[str] = Counter()
            for weight, field in ((_HEADING, passage.heading), (_TITLE, passage.title), (_BODY, passage.text)):
                for term in terms(field):
                    counts[term] += weight
            counted.append(counts)
        lengths = [sum(counts.values()) for counts in counted]
        average = sum(lengths) / max(len(lengths), 1) or 1.0
        self._saturated: dict[str, list[tuple[int, float]]] = {}
        for number, counts in enumerate(counted):
            norm = _K1 * (1 - _B + _B * lengths[number] / average)
            for term, count in counts.items():
                self._saturated.setdefault(term, []).append((number, count * (_K1 + 1) / (count + norm)))
        self._headings = [frozenset(map(stem, words(passage.heading))) for passage in self.passages]
        self._titles = [frozenset(terms(passage.title)) for passage in self.passages]
        pages = [passage.page for passage in self.passages]
        self._opens = [number == pages.index(page) for number, page in enumerate(pages)]
        self._unknown = self._rarity(0)

    def _rarity(self, holders: int) -> float:
        return math.log(1 + (len(self.passages) - holders + 0.5) / (holders + 0.5))

    def weight(self, term: str) -> float:
        """Return how much a term tells passages apart; one that no passage has counts most."""
        holders = len(self._saturated.get(term, ()))
        rarity = self._rarity(holders) if holders else self._unknown
        return 0.2 * rarity if term in _WEAK else rarity

    def _nearest(self, term: str) -> str:
        """Return the known term that an unknown one is a misspelling of, or the term itself."""
        if len(term) < _SPELLABLE:
            return term
        alike = [known for known in self._saturated if known[0] == term[0] and abs(len(known) - len(term)) <= 1]
        return next(iter(get_close_matches(term, alike, 1, 0.85)), term)

    def rank(self, question: str, limit: int = 3) -> list[Hit]:
        """Return the passages that share terms with the question, best first."""
        asked = dict.fromkeys(term if term in self._saturated else self._nearest(term) for term in terms(question))
        total = sum(map(self.weight, asked)) or 1.0
        scores: dict[int, float] = {}
        covered: dict[int, float] = {}
        for term in asked:
            weight = self.weight(term)
            for number, saturated in self._saturated.get(term, ()):
                scores[number] = scores.get(number, 0.0) + weight * saturated
                covered[number] = covered.get(number, 0.0) + weight
        strong = set(asked) - _WEAK
        all_words = frozenset(map(stem, words(question)))
        for number in scores:
            heading = self._headings[number]
            if not heading.isdisjoint(asked):
                # a question put in the heading's own words is that heading's, whatever other sections say
                scores[number] += 4.0 * len(all_words & heading) / max(len(all_words | heading), 1)
            if self._opens[number] and strong and strong <= self._titles[number]:
                # a question that names no more than the page's subject is answered where the page begins
                scores[number] += 3.0
        best = sorted(scores, key=lambda number: (-scores[number], number))[:limit]
        return [Hit(self.passages[number], scores[number], covered[number] / total) for number in best]


def passages_of(page: str, markdown: str) -> list[Passage]:
    """Cut a Markdown page at its second-level headings; what stands under "Sources" is left out."""
    title, found = page, []
    for part in re.split(r"^(?=#{1,2} )", markdown, flags=re.MULTILINE):
        head, _, body = part.partition("\n")
        if head.startswith("# "):
            title = head[2:].strip()
        if head.startswith("#") and body.strip() and head.lstrip("# ").strip() != "Sources":
            found.append(Passage(page, title, head.lstrip("# ").strip(), body.strip()))
    return found


@cache
def handbook() -> Index:
    """Return the handbook's index, built at the first call."""
    found: list[Passage] = []
    for path in sorted((data_folder() / "handbook").glob("*.md")):
        found += passages_of(path.stem, path.read_text(encoding="utf-8"))
    return Index(found)


def prose(markdown: str) -> list[str]:
    """Return the sentences of a passage, without its code blocks."""
    return sentences(_FENCE.sub("", markdown))


def best_window(candidates: Sequence[str], question: str, size: int) -> list[str]:
    """Return the `size` sentences in a row that answer the question best."""
    if len(candidates) <= size:
        return list(candidates)
    asked = set(terms(question))
    hits = [len(asked.intersection(terms(sentence))) for sentence in candidates]

    def worth(start: int) -> float:
        return (
            sum(hits[start : start + size]) + (1.5 if start == 0 else 0.0) - (2.0 if leans(candidates[start]) else 0.0)
        )

    start = max(range(len(candidates) - size + 1), key=lambda start: (worth(start), -start))
    return list(candidates[start : start + size])


def answer(question: str, size: int = 3, said: Collection[str] = ()) -> list[str]:
    """Return up to `size` sentences of the handbook that answer the question, or none.

    Passages whose answer is in `said` already are passed over.
    """
    for hit in handbook().rank(question, limit=len(said) + 1):
        if not covers(hit):
            return []
        found = best_window(_to_the_point(hit.passage, question), question, size)
        if not any(found[-1] in one for one in said):
            return found
    return []


_YES_NO = re.compile(r"(?:yes|no)\.$", re.IGNORECASE)
_ASKS_YES_NO = re.compile(
    r"\b(?:is|are|does|do|did|can|could|should|will|would|has|have|may|must)\s+\w+.*\?|^\W*(?:"
    r"is|are|does|do|can|should|will)\b",
    re.IGNORECASE,
)
_ASKS_OPENLY = re.compile(r"\b(?:what|how|why|when|where|which|who|explain|describe|define)\b", re.IGNORECASE)


def _to_the_point(passage: Passage, question: str) -> list[str]:
    """Return a passage's sentences without those at its head that answer its heading but not the question."""
    found = prose(passage.text)
    if (
        len(found) > 1
        and _YES_NO.match(found[0])
        and (_ASKS_OPENLY.search(question) or not _ASKS_YES_NO.search(question))
    ):
        found = found[1:]
    asked = set(terms(question))
    if asked.isdisjoint(terms(f"{passage.title} {passage.heading}")):
        first = next((n for n, sentence in enumerate(found) if not asked.isdisjoint(terms(sentence))), 0)
        found = found[first - 1 if first and leans(found[first]) else first :]
    return found


def covers(hit: Hit) -> bool:
    """Tell whether a hit says enough of what was asked to count as an answer."""
    return hit.coverage >= 0.5


def statement(passage: Passage) -> list[str]:
    """Return a passage's sentences as they can stand without its heading: not with the `No.` that answers it."""
    found = prose(passage.text)
    return found[1:] if len(found) > 1 and _YES_NO.match(found[0]) else found
