"""What the research desk asks for: search queries, notes, drafts, edits, summaries."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from awaitsee.practice import extract, knowledge
from awaitsee.practice.form import N, number_of, words_wanted
from awaitsee.practice.knowledge import best_window
from awaitsee.practice.text import sentences, stem, terms, words

_MOST_QUERIES = 50
_LONGEST_COUNT = 999
_ROLE = re.compile(
    r"\b(?:you are|you're|act as|as|role:)\s+(?:an?|the|our)?\s*(?:[\w'-]+ ){0,5}?(planner|"
    r"researcher|writer|editor|critic|reviewer|summari[sz]er|translator|journalist|copywriter|"
    r"analyst)\b",
    re.IGNORECASE,
)
_SUMMARY = re.compile(r"\b(?:summari[sz]e|summary|tl;?dr|condense|shorten|main points?|key points?)\b", re.IGNORECASE)
_MERGE = re.compile(
    r"\b(?:merge|combine|synthesi[sz]e|consolidate|join)\b.{0,60}\b(?:notes?|answers?|"
    r"findings|drafts?|results?|summaries|perspectives|briefs?|texts?|these|following|them|"
    r"into)\b",
    re.IGNORECASE | re.DOTALL,
)
_EDIT = re.compile(
    r"^\W*(?:please )?(?:improve|edit|revise|polish|proofread|rewrite|tighten|clean up|fix)\b|"
    r"\b(?:improve|edit|revise|polish|proofread|rewrite|tighten) (?:this|the|my|following)\b",
    re.IGNORECASE,
)
_REVIEW = re.compile(
    r"^\W*(?:please )?(?:review|critique|criticise|criticize|check)\b.{0,40}\b(?:draft|text|"
    r"brief|article|answer|report)\b",
    re.IGNORECASE,
)
_QUERIES = re.compile(
    r"\b(?:queries|sub-?questions|search terms|research questions|questions (?:to|on|about|for))\b", re.IGNORECASE
)
_HOW_MANY = re.compile(
    rf"\b{N}\s+(?:[\w-]+ ){{0,3}}?(?:queries|(?:sub-?)?questions|search terms|searches|topics|"
    rf"steps|points|parts|sections|tasks)\b",
    re.IGNORECASE,
)
_MAKES = re.compile(r"\b(?:write|give|make|list|generate|suggest|propose|plan|create|produce|break)\b", re.IGNORECASE)
_VERSIONS = re.compile(
    rf"\b(?:generate|write|give|create|produce)\s+(?:me )?{N}?\s*(?:\w+ ){{0,2}}?(?:(?:"
    rf"versions|variations|alternatives?|rephrasings|paraphrases)\b|(?:sub-?questions|queries|"
    rf"questions)\b.{{0,60}}\b(?:input|user|original|given) (?:question|query))",
    re.IGNORECASE,
)
_ORIGINAL = re.compile(r"\b(?:original|input|user) (?:question|query):\s*(.+)", re.IGNORECASE | re.DOTALL)
_STANDALONE = re.compile(r"\bstand-?alone\b.{0,40}\b(?:question|query)\b", re.IGNORECASE | re.DOTALL)
_FOLLOW_UP = re.compile(
    r"\bfollow[- ]?up (?:input|question|query):\s*(.+?)(?=\n\s*\n|\n?\s*stand-?alone|$)", re.IGNORECASE | re.DOTALL
)
_CHAT_LINE = re.compile(r"^\s*(?:human|user):\s*(.+)$", re.IGNORECASE | re.MULTILINE)
_WRITE = re.compile(
    r"\b(?:write|draft|compose)\b.{0,40}\b(?:brief|article|report|paragraphs?|essay|section|"
    r"post|draft|text|introduction|words|page|story|note)\b",
    re.IGNORECASE | re.DOTALL,
)
_PLAN = re.compile(
    r"^\W*(?:please )?(?:(?:write|make|create|draft) an? (?:\w+ )?(?:plan|outline)|plan|outline)\b", re.IGNORECASE
)
_ABOUT = re.compile(
    r"\b(?:about|on|for|of|regarding|covering|into|to research|to answer|topic:|question:|"
    r"brief:|subject:)\s+(?:the (?:topic|question|subject|brief)(?: of)?:?\s+)?(.+)",
    re.IGNORECASE | re.DOTALL,
)
_TRANSLATE = re.compile(
    r"^\W*(?:please |can you |could you )?translate\b|\btranslate (?:this|the|it|following)\b|"
    r"\bhow do you say\b|\bin (?:french|german|spanish|italian|japanese|chinese|russian|"
    r"portuguese)\W*$",
    re.IGNORECASE,
)
_CANNOT = re.compile(r"\b(?:joke|poem|haiku|limerick|song|sonnet|rap|story|fairy tale|rhyme|lyrics)\b", re.IGNORECASE)
_WISH = re.compile(
    r"\W*(?:please |can you |could you )?(?:tell|write|make|give|sing|compose|create|invent)\b", re.IGNORECASE
)
_ECHO = re.compile(
    r"^\W*(?:please )?(?:just |only |simply )*(?:say|repeat|reply|respond|answer|echo|print|"
    r"write|output)(?: after me| with| back| only| just| exactly| the word| the words| the "
    r"following| this)*\s*:?\s*(?:\"([^\"]+)\"|\u201c([^\u201d]+)\u201d|'([^'\n]+)'|`([^`]+)`|"
    r"(?:(?<=exactly)|(?<=with)|(?<=me:)|(?<=say)|(?<=:))\s*([\w ,!.'-]{1,80}?))(?:\s+(?:and "
    r")?nothing else)?[.!]?\s*$",
    re.IGNORECASE,
)
_COUNT_TO = re.compile(
    r"^\W*(?:please |slowly )*count (?:slowly )?(?:from (\d{1,6}) )?(?:up )?to (\d{1,6})", re.IGNORECASE
)
_FILLER = re.compile(
    r"\b(?:very|really|basically|simply|just|actually|quite|of course|in fact|needless to say|"
    r"it should be noted that|it is important to note that)\s+",
    re.IGNORECASE,
)
_WORDY = (
    (r"\bin order to\b", "to"),
    (r"\butili[sz]e(s|d)?\b", r"use\1"),
    (r"\bdue to the fact that\b", "because"),
    (r"\bat this point in time\b", "now"),
    (r"\ba large number of\b", "many"),
    (r"\b(\w+) \1\b", r"\1"),
)
_ANGLES = {
    "risk": "fail error raise never wrong lost worthless blocks swallows waits for ever forget",
    "benefit": "free gain faster together choose use limits share",
    "example": "write call with create run pass put",
    "alternative": "should instead difference choose use one",
    "definition": "what is object holds",
}
_ANGLE_WORDS = (
    (
        re.compile(
            r"\b(?:risks?|dangers?|pitfalls?|drawbacks?|disadvantages?|cons|problems?|mistakes?|wrong|"
            r"against|sceptic\w*|skeptic\w*|critical)\b",
            re.IGNORECASE,
        ),
        "risk",
    ),
    (
        re.compile(
            r"\b(?:benefits?|advantages?|pros|strengths?|gains?|in favou?r|optimist\w*|enthusiast\w*|why use)\b",
            re.IGNORECASE,
        ),
        "benefit",
    ),
    (
        re.compile(
            r"\b(?:examples?|practical\w*|practitioner|how[- ]to|engineer\w*|operations?|operator|hands-on)\b",
            re.IGNORECASE,
        ),
        "example",
    ),
    (
        re.compile(r"\b(?:alternatives?|trade-?offs?|compar\w*|manager|architect\w*|when to use)\b", re.IGNORECASE),
        "alternative",
    ),
    (
        re.compile(
            r"\b(?:beginner|basics|novice|newcomer|student|definition|introduc\w*|historical?|theor\w*)\b",
            re.IGNORECASE,
        ),
        "definition",
    ),
)


def how_many(instruction: str) -> int:
    """Return how many queries or steps an instruction asks for, 3 if it does not say."""
    found = _HOW_MANY.search(instruction)
    return min(number_of(found[1] if found else None, 3), _MOST_QUERIES)


def role_of(system: str) -> str:
    """Return the part that a system text gives to the model, such as `planner`, or an empty string."""
    found = _ROLE.search(system)
    return found[1].lower() if found else ""


def desk(system: str, user: str, asked_before: Sequence[str]) -> str | None:
    """Do a piece of desk work if the prompt asks for one, or return `None`.

    The work is to plan, research, write, edit, review, summarise, merge; or a small job such as counting.
    """
    both = f"{system}\n{user}"
    made = _templates(system, user, both, asked_before) or _small_jobs(user)
    if made:
        return made
    role = role_of(system)
    body = body_of(user)
    if _REVIEW.search(user) or (role in ("critic", "reviewer")):
        return review(body)
    if _MERGE.search(user) and len(sentences(body)) > 1:
        return merge(body)
    if _EDIT.search(user) and len(body.split()) > 3:
        return edit(body)
    if _SUMMARY.search(_instruction(user)) and len(sentences(body)) > 1:
        return " ".join(summarize(body, 2))
    if _QUERIES.search(_instruction(user)) and _MAKES.search(_instruction(user)):
        return "\n".join(plan(about(user), how_many(both)))
    if role:
        return _as_role(role, system, user, body)
    if _PLAN.search(user):
        return "\n".join(f"{n}. {step}" for n, step in enumerate(plan(about(user), 3), 1))
    if _WRITE.search(_instruction(user)):
        return write(about(user), body if len(sentences(body)) > 1 else "", words_wanted(user))
    return None


def _as_role(role: str, system: str, user: str, body: str) -> str | None:
    if role == "planner":
        return "\n".join(plan(about(user), how_many(f"{user}\n{system}")))
    if role in ("researcher", "analyst"):
        return research(user)
    if role in ("writer", "journalist", "copywriter"):
        notes = body if len(sentences(body)) > 1 else ""
        return write(about(user) if not notes else about(_instruction(user)), notes, words_wanted(f"{system}\n{user}"))
    if role == "editor":
        return edit(body)
    if role.startswith("summari"):
        return " ".join(summarize(body, 2))
    return CANNOT_TRANSLATE


CANNOT_TRANSLATE = "I cannot translate: I am a practice model and only put together what I am given."


def _templates(system: str, user: str, both: str, asked_before: Sequence[str]) -> str | None:
    """Do the jobs that retrieval chains give to a model in set words."""
    versions = _VERSIONS.search(both)
    if versions:
        original = _ORIGINAL.search(user)
        question = (original[1] if original else body_of(user)).strip()
        return "\n".join(rephrase(re.split(r"\n\s*\n", question)[0], number_of(versions[1], 3)))
    if _STANDALONE.search(both):
        follow = _FOLLOW_UP.search(user)
        question = (follow[1] if follow else user).strip()
        earlier = (
            [line.strip() for line in _CHAT_LINE.findall(user[: follow.start()])] if follow else list(asked_before)
        )
        return standalone(question, earlier)
    return None


def _small_jobs(user: str) -> str | None:
    if _TRANSLATE.search(user) and "?" not in user.rstrip()[:-1]:
        return CANNOT_TRANSLATE
    counting = _COUNT_TO.match(user)
    if counting:
        first = int(counting[1] or 1)
        last = min(int(counting[2]), first + _LONGEST_COUNT)
        return ", ".join(map(str, range(first, last + 1))) + "."
    echo = _ECHO.match(user)
    if echo:
        return next(filter(None, echo.groups()), "").strip() or None
    wish = _CANNOT.search(user)
    if wish and _WISH.match(user):
        return (
            f"I cannot make up a {wish[0].lower()}: I am a practice model and only answer from the handbook, "
            "a context or tools."
        )
    return None


def _instruction(user: str) -> str:
    """Return the part of a message that says what to do: its first paragraph, or what stands before a colon."""
    head = re.split(r"\n\s*\n|:\s*\n", user.strip(), maxsplit=1)[0]
    return head if len(head) < 400 else head[:400]


def body_of(user: str) -> str:
    """Return the text that a message asks to work on, without the instruction before it."""
    user = re.sub(r"\n\s*[A-Z][A-Z ]+:\s*$", "", user.rstrip())
    if user.lstrip().startswith("#"):
        return user.strip()
    fenced = re.search(r"(\"\"\"|```)\n?(.+?)\1", user, re.DOTALL)
    tagged = re.search(r"<(\w+)>(.+?)</\1>", user, re.DOTALL)
    if fenced or tagged:
        return (fenced or tagged)[2].strip()  # type: ignore[index]
    wrapped = re.search(r":\s*\"([^\"]{80,})\"\s*$", user)
    if wrapped:
        return wrapped[1].strip()
    head, found, rest = user.strip().partition("\n")
    if found and rest.strip() and (head.rstrip().endswith((":", ".")) or not rest.startswith("- ")) and len(head) < 400:
        return rest.strip()
    split = re.match(r"([^:.!?]{3,160}?):\s+(\S.*)", user.strip(), re.DOTALL)
    return split[2].strip() if split else user.strip()


def about(user: str) -> str:
    """Return the topic of a request: `rate limits` in `Write three search queries for a brief on rate limits.`"""
    text = user.strip()
    named = extract.quoted(re.split(r"\n\s*\n", text, maxsplit=1)[0])
    if named and _MAKES_OR_WRITES.match(text) and len(named[0]) > 3:
        return named[0].strip(" .?!")
    colon = re.match(
        r"[^\n]{0,160}?(?:topic|question|subject|brief|for|about|on|request|task|queries|plan)[\w ]{0,20}:\s*(\S.*)",
        text,
        re.IGNORECASE | re.DOTALL,
    )
    topic = colon[1] if colon else text
    if not colon:
        for _ in range(3):
            found = _ABOUT.search(topic)
            if not found or not _MAKES_OR_WRITES.match(topic):
                break
            topic = found[1]
    topic = re.split(r"\n|(?<=[.?!])\s", topic.strip())[0]
    topic = re.sub(
        r"\b(?:for|in|using|with|from) (?:\d+|a few|at most|these|the following|exactly|about) "
        r"?(?:\w+ )?(?:words?|sentences?|points?|bullets?|notes?|paragraphs?)\b.*",
        "",
        topic,
        flags=re.IGNORECASE,
    )
    topic = re.sub(
        r"^(?:an?|the|our|this)?\s*(?:short |research |brief )*(?:brief|report|article|essay|"
        r"question)\s+(?:about|on|of|for)\s+",
        "",
        topic,
        flags=re.IGNORECASE,
    )
    return topic.strip(" .?!:,;\"'") or text.strip(" .?!:,;")


_MAKES_OR_WRITES = re.compile(
    rf"\W*(?:please )?(?:write|give|make|list|generate|suggest|propose|plan|create|produce|"
    rf"draft|compose|research|explain|describe|outline|prepare|find|an?\b|the\b|{N}\b|notes|"
    rf"short|research|queries|in \w+)",
    re.IGNORECASE,
)


def plan(topic: str, count: int) -> list[str]:
    """Return search queries on a topic: the handbook's own questions where it has them, plain ones where it has not."""
    hits = knowledge.handbook().rank(topic, limit=3 * max(count, 1))
    fitting = [hit for hit in hits if hit.coverage >= 0.5 and hit.score >= 0.25 * hits[0].score]
    headings = [hit.passage.heading for hit in fitting]
    plain = [
        f"{topic}: what it is",
        f"{topic}: how it works",
        f"{topic}: when to use it",
        f"{topic}: what goes wrong",
        f"{topic}: limits",
    ]
    if (
        topic.strip()
        .lower()
        .startswith(("what", "how", "why", "when", "who", "where", "which", "is ", "does ", "can "))
    ):
        plain = [
            f"{topic.rstrip('?')}?",
            f"Background: {topic.rstrip('?')}",
            f"Examples: {topic.rstrip('?')}",
            f"Limits: {topic.rstrip('?')}",
        ]
    found = list(dict.fromkeys([*headings, *plain]))
    while len(found) < count:
        found.append(f"{topic}, part {len(found) + 1}")
    return found[: max(count, 1)]


def rephrase(question: str, count: int) -> list[str]:
    """Return other questions that find passages for the same one."""
    close = [hit.passage.heading for hit in knowledge.handbook().rank(question, limit=count + 2) if hit.coverage >= 0.3]
    bare = question.strip().rstrip("?. ")
    keys = " ".join(dict.fromkeys(word for word in words(bare) if stem(word) in terms(bare))) or bare
    plain = [
        f"Explain {keys}.",
        f"{keys.capitalize()} in practice",
        f"{keys.capitalize()}: definition and example",
        f"Problems with {keys}",
        f"{keys.capitalize()} in asyncio",
    ]
    others = [one for one in dict.fromkeys([*close, *plain]) if one.rstrip("?. ").lower() != bare.lower()]
    return others[:count]


def standalone(question: str, earlier: Sequence[str]) -> str:
    """Say a follow-up question so that it needs no history, by naming what it points at."""
    pointing = re.search(r"\b(?:it|that|this|them|they|those|these|one)\b", question, re.IGNORECASE)
    before = next((text for text in reversed(earlier) if terms(text)), "")
    if not pointing or not before:
        return question
    asked = re.match(
        r"\W*(?:what|who|how|when|where|why)\s+(?:is|are|does|do|should|can)\s+(?:i use )?((?:an?|the)\s+)?(.+?)\W*$",
        before,
        re.IGNORECASE,
    )
    thing = f"{asked[1] or ''}{asked[2]}" if asked else before.rstrip("?. ")
    if asked and re.search(r"\b(?:does|do)\b", before[: asked.start(2)], re.IGNORECASE) and len(asked[2].split()) > 1:
        thing = thing.rsplit(" ", 1)[0]
    return question[: pointing.start()] + thing + question[pointing.end() :]


def research(query: str) -> str:
    """Return notes on a query: sentences of the handbook, each with its page."""
    text = about(query)
    hits = [hit for hit in knowledge.handbook().rank(text, limit=2) if hit.coverage >= 0.3]
    notes = [
        f"- {sentence} ({hit.passage.page})"
        for hit in hits
        for sentence in best_window(knowledge.statement(hit.passage), text, 2)
    ]
    return "\n".join(notes) or f"- Nothing found on {text}."


def write(topic: str, notes: str, size: int | None) -> str:
    """Return a draft with a title: from the notes if there are any, else from the handbook's pages on the topic."""
    title = extract.title(topic)
    if notes:
        kept = _distinct(re.sub(r"\s*\((?:\d\d_\w+|/pages/[\w.]+)\)", "", notes))
        kept = [one if one[-1] in ".!?])" else f"{one}." for one in kept if not one.startswith("#")]
        paragraphs = [" ".join(kept[start : start + 3]) for start in range(0, len(kept), 3)]
        return "\n\n".join([f"# {title}", *paragraphs])
    text = lengthen(topic, size or 120)
    return f"# {title}\n\n{text}" if text else f"The handbook has nothing on {topic}, so I have nothing to write from."


def lengthen(topic: str, size: int) -> str:
    """Return about `size` words of the handbook on a topic, best passages first, or an empty text."""
    hits = knowledge.handbook().rank(topic, limit=100)
    if not hits or not knowledge.covers(hits[0]):
        return ""
    home = hits[0].passage.page
    near = [hit.passage for hit in hits]
    rest = [passage for passage in knowledge.handbook().passages if passage not in near]
    ordered = sorted(near, key=lambda passage: passage.page != home) + sorted(
        rest, key=lambda passage: passage.page != home
    )
    paragraphs: list[str] = []
    count = 0
    for passage in ordered:
        if count >= size or (count and size <= 150 and passage.page != home):
            break
        paragraphs.append(" ".join(knowledge.statement(passage)))
        count += len(paragraphs[-1].split())
    return "\n\n".join(paragraphs)


def angle(user: str) -> str | None:
    """Answer a request for one side of a topic (risks, benefits, an example, a beginner's view), or return `None`."""
    name = next((name for pattern, name in _ANGLE_WORDS if pattern.search(user)), None)
    topic = about(user) if name else ""
    for pattern, _ in _ANGLE_WORDS:
        topic = pattern.sub("", topic)
    topic = re.sub(
        r"\b(?:from )?(?:the )?(?:perspective|point of view|view|side|standpoint) of (?:an?|"
        r"the)?\b|\b(?:perspective|viewpoint|view)\b",
        "",
        topic,
        flags=re.IGNORECASE,
    )
    hits = (
        [hit for hit in knowledge.handbook().rank(topic, limit=8) if knowledge.covers(hit)]
        if name and terms(topic)
        else []
    )
    if not hits or name is None:
        return None
    hints = set(map(stem, _ANGLES[name].split()))
    asked = set(terms(topic))

    def worth(hit: knowledge.Hit) -> float:
        said = set(map(stem, words(f"{hit.passage.heading} {hit.passage.text}")))
        return len(hints & said) + 3.0 * len(asked & set(terms(hit.passage.heading)))

    return " ".join(knowledge.statement(max(hits, key=worth).passage)[:3])


def summarize(text: str, size: int) -> list[str]:
    """Return the sentences that say most of a text, in their order."""
    found = [sentence for sentence in sentences(text) if not sentence.startswith("#")]
    if len(found) <= size:
        return found
    common = Counter(term for sentence in found for term in set(terms(sentence)))

    def worth(place: int) -> float:
        own = set(terms(found[place]))
        return sum(common[term] - 1 for term in own) / (len(own) + 4) + (0.6 if place == 0 else 0.0)

    return [
        found[place] for place in sorted(sorted(range(len(found)), key=lambda place: (-worth(place), place))[:size])
    ]


def _distinct(text: str) -> list[str]:
    """Return the sentences of a text once each, whatever their case and punctuation."""
    kept: dict[str, str] = {}
    for sentence in sentences(text):
        key = " ".join(words(sentence))
        if key and not re.fullmatch(
            r"(?:notes?|draft|answer|summary|perspective|section|source)\s*\w*:?", sentence, re.IGNORECASE
        ):
            kept.setdefault(key, sentence)
    return list(kept.values())


def merge(text: str) -> str:
    """Join notes into one text without saying anything twice."""
    return " ".join(one if one[-1] in ".!?])" else f"{one}." for one in _distinct(text) if not one.startswith("#"))


def edit(draft: str) -> str:
    """Return a draft without filler, repeated words and repeated sentences; headings and paragraphs stay."""
    seen: set[str] = set()
    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", draft.strip()):
        if paragraph.startswith("#"):
            paragraphs.append(paragraph.strip())
            continue
        kept = []
        for sentence in sentences(paragraph):
            plain = _FILLER.sub("", sentence)
            for wordy, short in _WORDY:
                plain = re.sub(wordy, short, plain, flags=re.IGNORECASE)
            plain = re.sub(r"\s+([,.;!?])", r"\1", plain).strip()
            plain = plain[:1].upper() + plain[1:]
            plain = plain if not plain or plain[-1] in '.!?:])"' else f"{plain}."
            key = " ".join(words(plain))
            if key and key not in seen:
                seen.add(key)
                kept.append(plain)
        if kept:
            paragraphs.append(" ".join(kept))
    return "\n\n".join(paragraphs)


def review(draft: str) -> str:
    """Say what a draft still needs, or that it is approved."""
    found = [sentence for sentence in sentences(draft) if not sentence.startswith("#")]
    count = sum(len(sentence.split()) for sentence in found)
    longest = max((len(sentence.split()) for sentence in found), default=0)
    remarks = []
    if len(found) < 3:
        remarks.append(f"It has only {len(found)} sentence{'' if len(found) == 1 else 's'}; say more.")
    if longest > 35:
        remarks.append(f"One sentence has {longest} words; split it.")
    if edit(draft) != draft.strip():
        remarks.append("It repeats itself or has filler words; tighten it.")
    return " ".join(["Revise.", *remarks]) if remarks else f"Approved: {len(found)} sentences, {count} words."
