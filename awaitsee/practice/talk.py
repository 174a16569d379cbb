"""What a conversation said: facts that the user told, what was asked before, and small talk."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from awaitsee.practice.text import stem, word_set, words

if TYPE_CHECKING:
    from awaitsee.practice.model import Message

_END = r"(?=\s*(?:[.!?;,\n]|\band\b|\bbut\b|\bso\b|\bwhat\b|$))"
_SPELLING = {"favourite": "favorite", "colour": "color"}
_TOLD: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(rf"\b(?i:my name(?:'s| is))\s+([^\W\d_][\w'-]*(?: [A-Z][\w'-]*)*){_END}"), "name"),
    (re.compile(rf"\b(?i:call me|i am called|i'm called)\s+([^\W\d_][\w'-]*(?: [A-Z][\w'-]*)*){_END}"), "name"),
    (
        re.compile(
            r"(?:^|[.!,]\s*|\b[Hh](?:i|ello|ey)\b[ ,!]*)(?:I'm|I am|i'm|i am)\s+([A-Z][\w'-]*(?: "
            r"[A-Z][\w'-]*)*)(?=\s*(?:[.!,\n]|and\b|$))"
        ),
        "name",
    ),
    (re.compile(r"\buser(?:'s)? name(?: is|:)\s+([A-Z][\w'-]*)", re.IGNORECASE), "name"),
    (re.compile(rf"\bI(?:'m| am)? (?:live|living|based) in\s+([A-Z][\w -]*?){_END}", re.IGNORECASE), "home"),
    (re.compile(rf"\bI(?:'m| am)? (?:work|working) (?:as|for|at)\s+(.+?){_END}", re.IGNORECASE), "work"),
    (re.compile(r"\bI(?:'m| am) (\d{1,3})(?: years old)?\b", re.IGNORECASE), "age"),
    (re.compile(r"\bI (?:really )?(?:like|love|enjoy)\s+(.+?)(?=\s*(?:[.!?;\n]|\bbut\b|$))", re.IGNORECASE), "likes"),
    (re.compile(rf"\bI am (?:a|an) ([\w -]+?){_END}|\bI'm (?:a|an) ([\w -]+?){_END}", re.IGNORECASE), "job"),
)
_FACT = re.compile(
    r"\b(?:my|the user's|our) (?!name\b)([\w' -]{2,40}?) (?:is|are|was)(?: called| named)? "
    r"(?!what|not\b|there|it\b)(.+?)(?=\s*[.!?;\n]|,?\s+(?:and|but) (?:my|i|the|our|what)\b|"
    r"\s*$)",
    re.IGNORECASE,
)
_REMEMBER = re.compile(
    r"\b(?:remember|note|keep in mind)(?: that)?:? (?:the|this) ?([\w -]{2,40}?)(?: is|:) (.+?)(?=\s*(?:[.!?;\n]|$))",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"\b(?:what|what's|which|who|where|when|how|tell me|say|do you (?:know|remember)|remind "
    r"me)\b(?:(?!\b(?:if|when)\b).)*?\b(?:my|our) ([\w' -]{2,40}?)(?: is| are| was| called| "
    r"named)?\s*(?:[?.!,]|$)|"
    r"\b(?:what|which|who) ([\w ]{2,30}?) (?:do i (?:like|love|prefer) (?:most|best)|is my favou?rite)",
    re.IGNORECASE,
)
_ASKED_THE = re.compile(
    r"\bwhat(?: is|'s| was) the ([\w -]{2,40}?)(?: (?:i|that i) (?:told|gave|said).*)?\s*[?.!]*$", re.IGNORECASE
)
_WHO_AM_I = re.compile(r"\bwho am i\b|\bwhat(?:'s| is) my name\b|\bmy name\b.*\?|\bwhat am i called\b", re.IGNORECASE)
_WHERE = re.compile(r"\bwhere (?:do|am) i (?:live|living|based|from)\b|\bwhat city\b.*\bi live\b", re.IGNORECASE)
_WORK = re.compile(
    r"\bwhat do i do\b|\bwhere do i work\b|\bwhat(?:'s| is) my (?:job|profession|occupation|work)\b", re.IGNORECASE
)
_LIKE = re.compile(r"\bwhat (?:else )?do i (?:like|love|enjoy)\b", re.IGNORECASE)
_OLD = re.compile(r"\bhow old am i\b|\bwhat(?:'s| is) my age\b", re.IGNORECASE)
_HOW_MANY = re.compile(r"\bhow many (\w+) do i have\b", re.IGNORECASE)
_OWNED = re.compile(r"\bI have (\d+|one|two|three|four|five|six|seven|eight|nine|ten) (\w+)", re.IGNORECASE)
_FIRST = re.compile(
    r"\b(?:what|which)\b.*\b(?:i|my)\b.*\b(?:first|start with|begin with)\b.*|\bfirst (?:"
    r"thing|question|message)\b.*\b(?:i|my)\b",
    re.IGNORECASE,
)
_BEFORE = re.compile(
    r"\b(?:what|which)\b.*\b(?:i|my)\b.*\b(?:before|last|previous|previously|just|"
    r"earlier)\b.*\b(?:ask|asked|say|said|question|message)?",
    re.IGNORECASE,
)
_ASKING = re.compile(r"\b(?:ask|asked|say|said|question|message|write|wrote)\b", re.IGNORECASE)
_COUNT = re.compile(r"\bhow many (?:questions|messages|things)\b.*\bi\b", re.IGNORECASE)
_REPEAT = re.compile(
    r"^\W*(?:(?:please|can you|could you)\s+)?(?:repeat (?:that|yourself|your (?:last "
    r")?answer)|say (?:that|it) again|what did you (?:just )?say)\b",
    re.IGNORECASE,
)
_GREETING = re.compile(
    r"^\W*(?:hi|hello|hey|good (?:morning|afternoon|evening|day)|greetings|howdy)(?: there| everyone| again)?\W*$",
    re.IGNORECASE,
)
_THANKS = re.compile(
    r"^\W*(?:thanks|thank you|thx|cheers|great|perfect|ok|okay|cool|nice|got it)\b[^?]{0,30}$", re.IGNORECASE
)
_BYE = re.compile(r"^\W*(?:bye|goodbye|good night|see you)\b[^?]{0,20}$", re.IGNORECASE)
_HOW_ARE_YOU = re.compile(r"\bhow (?:are|do) you (?:do\b|doing\b|today\b)?\W*$|\bhow are you\b", re.IGNORECASE)
_WHO_ARE_YOU = re.compile(
    r"\b(?:who|what) (?:exactly )?are you\b|\bwhat(?:'s| is) your name\b|\b(?:which|what) (?:"
    r"\w+ ){0,3}model\b.*\b(?:you|this|i)\b|\bare you (?:a |an |the )?(?:real|human|bot|robot|"
    r"ai|gpt|chatgpt|claude|llama|model|language model|llm|openai)\b|"
    r"\bintroduce yourself\b|\btell me about yourself\b|\bwho (?:made|built|trained) you\b",
    re.IGNORECASE,
)
_WHAT_CAN_YOU = re.compile(r"\bwhat (?:can|do) you (?:do|know)\b|\bhow can you help\b|^\W*help\W*$", re.IGNORECASE)

WHO_I_AM = (
    "I am practice-1, the practice model of this course: a deterministic stand-in, not a real language model. "
    "I answer from the course's handbook, from a context that you give me and from tools."
)


def about_me(text: str) -> str | None:
    """Answer small talk and questions about the model itself, or return `None`."""
    if _WHO_ARE_YOU.search(text):
        return WHO_I_AM
    if _WHAT_CAN_YOU.search(text) and len(text.split()) < 10:
        return (
            "I answer questions about async Python from the handbook, quote a context that you give "
            "me, call tools, fill a JSON schema "
            "and remember what this conversation said. The same prompt always gets the same reply."
        )
    if _GREETING.match(text):
        return "Hello. Ask me something about async Python."
    if _HOW_ARE_YOU.search(text) and len(text.split()) < 12:
        return "I am a program, so always the same. Ask me something about async Python."
    if _THANKS.match(text):
        return "You are welcome."
    return "Goodbye." if _BYE.match(text) else None


def facts(texts: Sequence[str]) -> dict[str, str]:
    """Return what the user told about themselves; a later word on a thing replaces an earlier one."""
    known: dict[str, str] = {}
    for text in texts:
        for line in re.split(r"(?<=[.!?])\s+|\n+", text):
            if line.rstrip().endswith("?"):
                continue
            for match in [*_FACT.finditer(line), *_REMEMBER.finditer(line)]:
                known[_normal(match[1])] = _trimmed(match[2])
            for match in _OWNED.finditer(line):
                known[f"have {stem(match[2].lower())}"] = f"{match[1]} {match[2]}"
            for pattern, key in _TOLD:
                for match in pattern.finditer(line):
                    known[key] = _trimmed(next(filter(None, match.groups())))
    return known


def _normal(thing: str) -> str:
    return " ".join(
        stem(_SPELLING.get(word, word))
        for word in words(thing.replace("'s", ""))
        if word not in ("the", "really", "very", "name", "called")
    )


def _trimmed(value: str) -> str:
    return value.strip().strip("\"'").rstrip(",")


def recall(messages: Sequence[Message]) -> str | None:
    """Answer a question about the conversation itself, or return `None` if it is none."""
    asked = [message.text for message in messages if message.role == "user"]
    if not asked:
        return None
    question, before = asked[-1], asked[:-1]
    if _COUNT.search(question):
        number = sum(text.rstrip().endswith("?") for text in before)
        return f"You asked {number} question{'' if number == 1 else 's'} before this one."
    if _FIRST.search(question) and _ASKING.search(question):
        return f'You first said: "{_line(before[0])}"' if before else "This is the first thing that you said to me."
    if _BEFORE.search(question) and _ASKING.search(question):
        return f'Before this you said: "{_line(before[-1])}"' if before else "You said nothing before this."
    if _REPEAT.match(question):
        said = [message.text for message in messages if message.role == "assistant" and message.text]
        return said[-1] if said else "I have not said anything yet."
    # what stands in the question's own message counts too: "My name is Bob. What is my name?"
    said = [message.text for message in messages if message.role in ("system", "user")]
    return _about_the_user(question, facts(said), before)


def _about_the_user(question: str, known: dict[str, str], before: Sequence[str]) -> str | None:
    answers: list[str] = []
    plain = (
        (_WHO_AM_I, "name", "Your name is {}.", "your name"),
        (_WHERE, "home", "You live in {}.", "where you live"),
        (_OLD, "age", "You are {} years old.", "your age"),
        (_LIKE, "likes", "You like {}.", "what you like"),
    )
    for pattern, key, said, missing in plain:
        if pattern.search(question):
            answers.append(said.format(known[key]) if key in known else f"You have not told me {missing}.")
    if _WORK.search(question):
        job = known.get("work") or known.get("job")
        answers.append(f"You told me: {job}." if job else "You have not told me what you do.")
    counted = _HOW_MANY.search(question)
    if counted:
        owned = known.get(f"have {stem(counted[1].lower())}")
        answers.append(f"You have {owned}." if owned else f"You have not told me how many {counted[1]} you have.")
    for match in _ASKED.finditer(question):
        thing = (match[1] or match[2]).strip()
        value = known.get(_normal(thing)) or known.get(_normal(f"favorite {thing}") if match[2] else "")
        if thing.lower() == "name" or any(thing in one for one in answers):
            continue
        if value:
            answers.append(f"Your {thing} is {value}.")
        elif _personal(thing, question):
            answers.append(f"You have not told me your {thing}.")
    if answers:
        return " ".join(answers)
    the = _ASKED_THE.search(question)
    if the and _normal(the[1]) in known:
        return f"The {the[1]} is {known[_normal(the[1])]}."
    return None


_CODE = word_set(
    "code loop task tasks program request requests call calls semaphore queue script app "
    "application notebook cell server agent graph chain event functions function coroutine "
    "coroutines threads worker workers tests test rate model llm prompt retries answer "
    "answers"
)


def _personal(thing: str, question: str) -> bool:
    """Tell whether a thing is the user's own, not their code's."""
    return not _CODE & set(words(thing)) and bool(
        re.search(
            r"\b(?:what|who|which|where|when|how old)(?:'s| is| are| was)\s+(?:the name of )?my\b|"
            r"\bremember my\b|\bknow my\b|\bremind me\b|\btell me my\b",
            question,
            re.IGNORECASE,
        )
    )


def acknowledge(text: str) -> str | None:
    """Answer a message that only tells something about the user, or return `None`."""
    if "?" in text or len(text) > 300:
        return None
    told = facts([text])
    if not told:
        return None
    if "name" in told:
        hello = "Hello" if re.match(r"\W*(?:hi|hello|hey)\b", text, re.IGNORECASE) else "Nice to meet you"
        return f"{hello}, {told['name']}."
    return "I will remember that for this conversation."


def _line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 200 else text[:200].rsplit(" ", 1)[0] + " ..."


_POINTING = re.compile(r"\b(?:it|its|that|this|they|them|their|those|these|one|the same)\b", re.IGNORECASE)


def topic_before(messages: Sequence[Message]) -> str | None:
    """Return the question before this one if this one points back at it ("And how do I stop it?"), or `None`."""
    asked = [message.text for message in messages if message.role == "user"]
    if len(asked) < 2 or len(asked[-1].split()) > 12:
        return None
    if not _POINTING.search(asked[-1]) and not re.match(
        r"\W*(?:and|but|why|what about|how about|more|go on|continue|tell me more|explain)\b", asked[-1], re.IGNORECASE
    ):
        return None
    return next((text for text in reversed(asked[:-1]) if not about_me(text) and not acknowledge(text)), None)
