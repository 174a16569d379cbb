"""The practice model: what it answers, which tools it picks, what it puts into a schema."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from awaitsee.practice import knowledge
from awaitsee.practice.arithmetic import evaluate
from awaitsee.practice.model import (
    ANY_OBJECT,
    MODEL_NAME,
    Message,
    Prompt,
    Reply,
    Tool,
    ToolCall,
    count_tokens,
    embed,
    reply,
    tokenize,
    warm_up,
)
from awaitsee.practice.schema import may_backtrack_for_ever
from awaitsee.practice.text import sentences, stem

TEXT = {"type": "string"}
CONTEXT = (
    "A lighthouse keeper named Ada lit the lamp in 1871. The lamp burned whale oil.\n\n"
    "The tower is 42 metres tall. It stands on Gull Island."
)
NUMBERED = (
    "[1] The ferry leaves at nine.\n\n[2] The museum is closed on Mondays.\n\n[3] Dogs may ride the ferry on a lead."
)


def fields(*, required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties) if required is None else required}


WEATHER = Tool(
    "get_weather",
    "Get the current weather for a city.",
    fields(required=["city"], city=TEXT, unit={"enum": ["celsius", "fahrenheit"], "default": "celsius"}),
)
CALCULATOR = Tool("calculator", "Evaluate an arithmetic expression.", fields(expression=TEXT))
WEB = Tool(
    "search_web",
    "Search the web for pages on a topic.",
    fields(required=["query"], query=TEXT, limit={"type": "integer", "default": 5}),
)
HANDBOOK = Tool("search_handbook", "Look up the course handbook on async Python.", fields(query=TEXT))
FETCH = Tool("fetch_page", "Fetch a web page and return its text.", fields(url=TEXT))
MAIL = Tool("send_email", "Send an email.", fields(to=TEXT, subject=TEXT, body=TEXT))
ADD = Tool("add", "Add two numbers.", fields(a={"type": "integer"}, b={"type": "integer"}))
MULTIPLY = Tool("multiply", "Multiply two numbers.", fields(a={"type": "integer"}, b={"type": "integer"}))
BOOK = Tool(
    "book_table",
    "Book a restaurant table.",
    fields(
        required=["city", "guests"],
        city=TEXT,
        guests={"type": "integer"},
        outdoor={"type": "boolean"},
        contact=fields(required=[], name=TEXT, email={"type": "string", "format": "email"}),
    ),
)
FORECAST = Tool("forecast", "Weather forecast for several cities.", fields(cities={"type": "array", "items": TEXT}))
TOOLS = (WEATHER, CALCULATOR, WEB, HANDBOOK, FETCH)


def prompt(*texts: str, system: str = "", **options: Any) -> Prompt:
    """A conversation in which the model answers every text but the last."""
    messages = [Message("system", system)] if system else []
    for text in texts[:-1]:
        messages.append(Message("user", text))
        messages.append(Message("assistant", reply(Prompt(tuple(messages))).text))
    messages.append(Message("user", texts[-1]))
    return Prompt(tuple(messages), **options)


def say(*texts: str, **options: Any) -> str:
    return reply(prompt(*texts, **options)).text


def calls(text: str, tools: tuple[Tool, ...] = TOOLS, **options: Any) -> list[tuple[str, dict[str, Any]]]:
    answer = reply(prompt(text, tools=tools, **options))
    assert (answer.finish == "tool_calls") == bool(answer.tool_calls)
    return [(call.name, call.arguments) for call in answer.tool_calls]


def after(question: str, *results: str, tools: tuple[Tool, ...] = TOOLS, **options: Any) -> Reply:
    """Let the model call its tools, give it these results in order, and return what it makes of them."""
    first = prompt(question, tools=tools, **options)
    made = reply(first).tool_calls
    assert len(made) == len(results)
    answered = [Message("tool", text, tool_call_id=call.id) for call, text in zip(made, results, strict=True)]
    return reply(Prompt((*first.messages, Message("assistant", "", made), *answered), tools=tools, **options))


# ---- tokens and vectors


@given(st.text())
def test_tokens_join_to_the_text(text: str) -> None:
    assert "".join(tokenize(text)) == text
    assert count_tokens(text) == len(tokenize(text))


def test_a_token_is_about_four_characters_of_english() -> None:
    text = " ".join(sentence for passage in knowledge.handbook().passages for sentence in knowledge.prose(passage.text))
    assert 3.5 < len(text) / count_tokens(text) < 5.0
    assert tokenize("What is a coroutine?") == ["What", " is", " a", " coroutine", "?"]


def test_texts_that_share_words_have_near_vectors() -> None:
    def likeness(first: str, second: str) -> float:
        return sum(one * other for one, other in zip(embed(first), embed(second), strict=True))

    question = "What does a semaphore limit?"
    assert likeness(question, question) == pytest.approx(1.0)
    near, far = likeness(question, "Semaphores limit tasks."), likeness(question, "Bread is baked in an oven.")
    assert near > 0.5 > abs(far) + 0.2
    assert len(embed("", 8)) == 8
    with pytest.raises(ValueError, match="at least 1"):
        embed("x", 0)


@given(st.text(), st.integers(min_value=1, max_value=64))
def test_a_vector_has_unit_length(text: str, dimensions: int) -> None:
    assert sum(value * value for value in embed(text, dimensions)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "forms",
    [
        "wait waits waited waiting",
        "cancel cancelled cancellation cancels",
        "coroutine coroutines",
        "block blocks blocked blocking",
        "queue queues queued",
        "limit limits limited limiter",
        "schedule scheduled scheduling",
        "retry retries retried",
        "call calling calls",
    ],
)
def test_forms_of_a_word_have_one_stem(forms: str) -> None:
    assert len({stem(form) for form in forms.split()}) == 1


def test_sentences() -> None:
    assert sentences("One, e.g. this. Two!\nstill two\n\n- three\n- four") == [
        "One, e.g. this.",
        "Two!",
        "still two",
        "three",
        "four",
    ]
    assert sentences("Call `asyncio.run(main())` once. No. Then 0.5 seconds pass.") == [
        "Call `asyncio.run(main())` once.",
        "No.",
        "Then 0.5 seconds pass.",
    ]


# ---- small talk, honesty, memory


@pytest.mark.parametrize(
    "question", ["Who are you?", "What model is this that you are?", "Are you ChatGPT?", "What's your name?"]
)
def test_it_says_what_it_is(question: str) -> None:
    assert MODEL_NAME in say(question)
    assert "stand-in" in say(question)


@pytest.mark.parametrize(
    "question",
    [
        "What is the capital of France?",
        "How do I bake bread?",
        "Who won the world cup in 2018?",
        "What is a decorator in Python?",
        "How does a CPU work?",
    ],
)
def test_it_says_when_the_handbook_has_nothing(question: str) -> None:
    assert say(question).startswith("The handbook has nothing on")


@pytest.mark.parametrize(
    ("texts", "answer"),
    [
        (["My name is Bob.", "What is my name?"], "Your name is Bob."),
        (["Hi! I'm Ann and I live in Oslo.", "Where do I live?"], "You live in Oslo."),
        (["My name is Bob.", "Call me Robert.", "Who am I?"], "Your name is Robert."),
        (
            ["Hi, my name is Bob and my favourite colour is green.", "What is my favorite color?"],
            "Your favorite color is green.",
        ),
        (["My project is called Heron.", "What is my project called?"], "Your project is Heron."),
        (["My dog's name is Rex.", "What is my dog's name?"], "Your dog's name is Rex."),
        (["My deadline is Friday.", "When is my deadline?"], "Your deadline is Friday."),
        (["I have 3 cats.", "How many cats do I have?"], "You have 3 cats."),
        (["I am 42 years old.", "How old am I?"], "You are 42 years old."),
        (["I like tea and chess.", "What do I like?"], "You like tea and chess."),
        (["Remember that the code word is banana.", "What is the code word?"], "The code word is banana."),
        (["Hello", "What is my name?"], "You have not told me your name."),
        (["Hello", "What is my favourite food?"], "You have not told me your favourite food."),
        (["What is a task?", "What is a queue?", "What did I ask first?"], 'You first said: "What is a task?"'),
        (
            ["What is a task?", "What is a queue?", "What was my last question?"],
            'Before this you said: "What is a queue?"',
        ),
        (
            ["What is a task?", "What is a queue?", "How many questions have I asked?"],
            "You asked 2 questions before this one.",
        ),
    ],
)
def test_it_remembers_the_conversation(texts: list[str], answer: str) -> None:
    assert say(*texts) == answer


def test_a_fact_is_not_carried_into_another_conversation() -> None:
    assert say("My name is Bob.", "What is my name?") != say("What is my name?")


def test_a_follow_up_keeps_the_topic() -> None:
    assert "`task.cancel()`" in say("What is a task?", "How do I cancel it?")
    assert "outside the function" in say("What is a semaphore?", "And where should I create it?")


# ---- the form of an answer


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("Explain the event loop in one sentence.", lambda text: len(sentences(text)) == 1),
        ("What is a queue? Answer in two sentences.", lambda text: len(sentences(text)) == 2),
        ("Explain the event loop in 10 words.", lambda text: len(text.split()) == 10),
        ("What is a queue? Use at most 30 words.", lambda text: 15 <= len(text.split()) <= 30),
        (
            "What is a queue? Answer in three bullet points.",
            lambda text: [line[:2] for line in text.splitlines()] == ["- "] * 3,
        ),
        ("Explain coroutines as a numbered list.", lambda text: text.startswith("1. A coroutine") and "\n2. " in text),
        ("Write 300 words on rate limits.", lambda text: 180 <= len(text.split()) <= 300),
        ("Count to 5", lambda text: text == "1, 2, 3, 4, 5."),
        ('Say "pong".', lambda text: text == "pong"),
        ("Reply with exactly: OK", lambda text: text == "OK"),
        ("What is 17*23?", lambda text: text == "17*23 = 391."),
        ("Translate 'good morning' to French.", lambda text: text.startswith("I cannot translate")),
    ],
)
def test_the_form_is_as_asked(question: str, wanted: Any) -> None:
    assert wanted(say(question)), say(question)


def test_the_system_text_sets_the_form_too() -> None:
    assert len(sentences(say("What is a coroutine?", system="Answer in one sentence."))) == 1


def test_max_tokens_cuts_at_a_token() -> None:
    whole = say("What is a coroutine?")
    cut = reply(prompt("What is a coroutine?", max_tokens=5))
    assert cut == Reply("".join(tokenize(whole)[:5]), finish="length")
    assert reply(prompt("What is a coroutine?", max_tokens=count_tokens(whole))) == Reply(whole)


# ---- a context in the prompt

FORMS = {
    "labels": ("", "Context:\n{context}\n\nQuestion: {question}"),
    "only the context": (
        "",
        "Answer the question based only on the following context:\n{context}\n\nQuestion: {question}",
    ),
    "pieces": (
        "",
        "Use the following pieces of context to answer the question at the "
        "end.\n\n{context}\n\nQuestion: {question}\nHelpful Answer:",
    ),
    "system": (
        "You are an assistant. Use the following pieces of retrieved context to answer.\n\nContext: {context}",
        "{question}",
    ),
    "system without a label": (
        "Use the following pieces of retrieved context to answer the question.\n\n{context}",
        "{question}",
    ),
    "tags": ("", "<context>\n{context}\n</context>\n\n{question}"),
    "tags in the system": ("Answer from the context only.\n<context>\n{context}\n</context>", "{question}"),
    "question first": ("", "Question: {question}\nContext: {context}\nAnswer:"),
    "quotes": ("", 'Text: """{context}"""\n{question}'),
    "documents": ("", "<documents>\n<document>{context}</document>\n</documents>\n{question}"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("question", "quoted"),
    [
        ("Who lit the lamp?", "A lighthouse keeper named Ada lit the lamp in 1871."),
        ("How tall is the tower?", "The tower is 42 metres tall."),
        ("What is a coroutine?", "The context does not say."),
        ("What is the capital of France?", "The context does not say."),
    ],
)
def test_it_answers_from_the_context_alone(form: str, question: str, quoted: str) -> None:
    system, user = (part.format(context=CONTEXT, question=question) for part in FORMS[form])
    assert say(user, system=system) == quoted


def test_the_answer_depends_on_what_was_retrieved() -> None:
    ask = "Context:\n{}\n\nQuestion: Where should I create a semaphore?"
    with_it = say(ask.format("## Where should I create a semaphore?\n\nCreate it once, outside the function."))
    without = say(ask.format("## What is a task?\n\nA task is a coroutine that runs."))
    assert with_it == "Create it once, outside the function."
    assert without == "The context does not say."


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When does the ferry leave?", "The ferry leaves at nine. [1]"),
        ("When is the museum closed?", "The museum is closed on Mondays. [2]"),
        (
            "When is the museum closed and when does the ferry leave?",
            "The museum is closed on Mondays. [2] The ferry leaves at nine. [1]",
        ),
    ],
)
def test_a_quote_carries_its_number(question: str, answer: str) -> None:
    assert say(f"Answer with the number of the source.\n\n{NUMBERED}\n\nQuestion: {question}") == answer
    assert say(question, system=f"Cite your sources.\n\nContext:\n{NUMBERED}") == answer


@pytest.mark.parametrize(
    ("instruction", "words"),
    [
        ('If the context does not hold the answer, say "not in the handbook".', "not in the handbook"),
        ("If you don't know the answer, just say that you don't know.", "I don't know."),
        ("If it is not there, reply with 'NOT FOUND'.", "NOT FOUND"),
    ],
)
def test_it_refuses_in_the_words_that_the_prompt_gives(instruction: str, words: str) -> None:
    assert say(f"{instruction}\n\nContext:\n{CONTEXT}\n\nQuestion: What is a mutex?") == words
    assert (
        say(f"{instruction}\n\nContext:\n{CONTEXT}\n\nQuestion: How tall is the tower?")
        == "The tower is 42 metres tall."
    )


def test_it_grades_a_document() -> None:
    ask = (
        "You grade documents. Here is the retrieved document:\n\n{}\n\nHere is the user question:"
        " What does a semaphore limit?\nAnswer 'yes' or 'no': is the document relevant?"
    )
    assert say(ask.format("A semaphore limits tasks.")) == "yes"
    assert say(ask.format("Cats purr.")) == "no"


# ---- tools


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("What is the weather in Paris?", [("get_weather", {"city": "Paris"})]),
        (
            "What is the weather in Paris and Rome?",
            [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})],
        ),
        (
            "In Paris and Rome, what is the weather like?",
            [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})],
        ),
        ("Which is warmer, Paris or Rome?", [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})]),
        ("Is it raining in Bogota?", [("get_weather", {"city": "Bogota"})]),
        ("What's the weather in Oslo in fahrenheit?", [("get_weather", {"city": "Oslo", "unit": "fahrenheit"})]),
        (
            "What is the weather in Paris and what is 17*23?",
            [("get_weather", {"city": "Paris"}), ("calculator", {"expression": "17*23"})],
        ),
        (
            "weather in Paris and 17 times 23",
            [("get_weather", {"city": "Paris"}), ("calculator", {"expression": "17 * 23"})],
        ),
        ("What is (3+4)*12?", [("calculator", {"expression": "(3+4)*12"})]),
        ("What is a coroutine?", [("search_handbook", {"query": "What is a coroutine"})]),
        ("Search the web for LangGraph releases", [("search_web", {"query": "LangGraph releases"})]),
        ("Search the web for async Python, 3 results", [("search_web", {"query": "async Python", "limit": 3})]),
        (
            "What is a semaphore and what is a queue?",
            [("search_handbook", {"query": "What is a semaphore"}), ("search_handbook", {"query": "what is a queue"})],
        ),
        (
            "Search the web for tasks, queues and locks",
            [
                ("search_web", {"query": "tasks"}),
                ("search_web", {"query": "queues"}),
                ("search_web", {"query": "locks"}),
            ],
        ),
        ("Compare gather and TaskGroup", [("search_handbook", {"query": "Compare gather and TaskGroup"})]),
        (
            "Fetch /pages/index.html and /pages/tasks.html",
            [("fetch_page", {"url": "/pages/index.html"}), ("fetch_page", {"url": "/pages/tasks.html"})],
        ),
        ("Use search_web to find the population of France", [("search_web", {"query": "the population of France"})]),
        ("Who won the Nobel prize in 2020?", [("search_web", {"query": "Who won the Nobel prize in 2020"})]),
        ("Hello!", []),
        ("My name is Bob.", []),
        ("What is my name?", []),
        ("Tell me a joke", []),
        ("Who are you?", []),
    ],
)
def test_it_picks_tools(question: str, wanted: list[tuple[str, dict[str, Any]]]) -> None:
    assert calls(question) == wanted


@pytest.mark.parametrize(
    ("question", "tools", "wanted"),
    [
        ("What is 3 plus 4?", (MULTIPLY, ADD), [("add", {"a": 3, "b": 4})]),
        (
            "Multiply 6 by 7 and add 3 and 4",
            (ADD, MULTIPLY),
            [("multiply", {"a": 6, "b": 7}), ("add", {"a": 3, "b": 4})],
        ),
        (
            "Send an email to bob@x.org with subject 'Hello' and body 'See you, soon'",
            (MAIL, WEATHER),
            [("send_email", {"to": "bob@x.org", "subject": "Hello", "body": "See you, soon"})],
        ),
        (
            "Book an outdoor table in Rome for 4 guests",
            (BOOK, WEATHER),
            [("book_table", {"city": "Rome", "guests": 4, "outdoor": True})],
        ),
        (
            "Book a table in Rome for 2 guests, my email is ann@x.org",
            (BOOK,),
            [("book_table", {"city": "Rome", "guests": 2, "contact": {"email": "ann@x.org"}})],
        ),
        (
            "Give me the forecast for Paris, Rome and Oslo",
            (FORECAST,),
            [("forecast", {"cities": ["Paris", "Rome", "Oslo"]})],
        ),
        ("What is a coroutine?", (WEATHER,), []),
        (
            "What time is it?",
            (Tool("get_time", "Return the current time.", {"type": "object", "properties": {}}),),
            [("get_time", {})],
        ),
    ],
)
def test_it_fills_arguments(question: str, tools: tuple[Tool, ...], wanted: list[tuple[str, dict[str, Any]]]) -> None:
    assert calls(question, tools) == wanted


def test_without_a_fitting_tool_it_answers_plainly() -> None:
    assert say("What is a coroutine?", tools=(WEATHER,)) == say("What is a coroutine?")
    assert say("What is the weather?", tools=TOOLS) == "Which city do you mean?"


def test_tool_choice() -> None:
    assert calls("What is the weather in Paris?", tool_choice="none") == []
    assert calls("I am in Paris", tool_choice="get_weather") == [("get_weather", {"city": "Paris"})]
    assert len(calls("Hello", tool_choice="required")) == 1
    assert calls("What is the weather in Paris and Rome?", parallel_tool_calls=False) == [
        ("get_weather", {"city": "Paris"})
    ]


def test_calls_have_ids_of_their_own() -> None:
    made = reply(prompt("What is the weather in Paris, Rome and Oslo?", tools=TOOLS)).tool_calls
    assert len({call.id for call in made}) == 3
    again = reply(
        Prompt(
            (
                Message("user", "Hello"),
                Message("assistant", "Hello."),
                Message("user", "What is the weather in Paris?"),
            ),
            TOOLS,
        )
    )
    assert again.tool_calls[0].id not in {call.id for call in made}


@pytest.mark.parametrize(
    ("question", "results", "answer"),
    [
        (
            "What is the weather in Paris?",
            ['{"city": "Paris", "temperature_c": 18, "condition": "cloudy"}'],
            "Paris: 18 \u00b0C, cloudy.",
        ),
        ("What is the weather in Paris?", ["{'city': 'Paris', 'temperature_c': 18}"], "Paris: 18 \u00b0C."),
        (
            "What is the weather in Paris and Rome?",
            ["18 degrees", "24 degrees"],
            "Paris: 18 degrees. Rome: 24 degrees.",
        ),
        (
            "What is the weather in Paris and 17*23?",
            ["It is sunny in Paris.", "391"],
            "It is sunny in Paris. 17*23 = 391.",
        ),
        (
            "Which is warmer, Paris or Rome?",
            ['{"city": "Paris", "temperature_c": 18}', '{"city": "Rome", "temperature_c": 24}'],
            "Paris: 18 \u00b0C. Rome: 24 \u00b0C. Rome is warmer.",
        ),
        (
            "Search the web for otters",
            [
                '[{"title": "Otters", "url": "/pages/otters.html", "snippet": "Otters eat fish."}, '
                '{"title": "Bread", "url": "/b", "snippet": "Bake it."}]'
            ],
            "Otters eat fish. (/pages/otters.html)",
        ),
        (
            "What is the weather in Atlantis?",
            ['{"error": "no such city"}'],
            "The tool get_weather failed: no such city.",
        ),
        (
            "What is the weather in Atlantis?",
            ["Error: ConnectionError('no route')\n Please fix your mistakes."],
            "The tool get_weather failed: ConnectionError: no route.",
        ),
        ("Search the web for otters", ["[]"], "search_web found nothing for otters."),
    ],
)
def test_it_answers_from_the_results(question: str, results: list[str], answer: str) -> None:
    assert after(question, *results) == Reply(answer)


def test_it_quotes_what_answers_from_a_long_result() -> None:
    page = " ".join([CONTEXT.replace("\n\n", " "), "The sea is cold. " * 30])
    assert after("Search the web for how tall the tower is", page).text == "The tower is 42 metres tall."


def test_one_call_at_a_time_goes_on_until_all_are_made() -> None:
    messages: tuple[Message, ...] = (Message("user", "What is the weather in Paris and Rome?"),)
    made = []
    for _ in range(2):
        call = reply(Prompt(messages, TOOLS, parallel_tool_calls=False)).tool_calls[0]
        made.append(call.arguments["city"])
        messages += (
            Message("assistant", "", (call,)),
            Message("tool", f"mild in {call.arguments['city']}", tool_call_id=call.id),
        )
    assert made == ["Paris", "Rome"]
    assert reply(Prompt(messages, TOOLS, parallel_tool_calls=False)).text == "mild in Paris. mild in Rome."


def test_it_fetches_what_a_search_found() -> None:
    found = '[{"title": "Semaphores", "url": "/pages/semaphores.html", "snippet": "On semaphores."}]'
    second = after("Search the web for semaphores and read the first result", found)
    assert [(call.name, call.arguments) for call in second.tool_calls] == [
        ("fetch_page", {"url": "/pages/semaphores.html"})
    ]


def test_a_follow_up_calls_the_same_tool() -> None:
    messages = (
        Message("user", "What is the weather in Paris?"),
        Message("assistant", "", (ToolCall("1", "get_weather", {"city": "Paris"}),)),
        Message("tool", "sunny", tool_call_id="1"),
        Message("assistant", "It is sunny."),
        Message("user", "And in Rome?"),
    )
    assert [(call.name, call.arguments) for call in reply(Prompt(messages, TOOLS)).tool_calls] == [
        ("get_weather", {"city": "Rome"})
    ]


def test_changed_arguments_are_not_called_again() -> None:
    messages = (
        Message("user", "What is the weather in Paris?"),
        Message("assistant", "", (ToolCall("1", "get_weather", {"city": "Paris, France"}),)),
        Message("tool", "sunny", tool_call_id="1"),
    )
    assert reply(Prompt(messages, TOOLS)) == Reply("sunny.")


def test_required_after_the_lookups_takes_the_final_answer_tool() -> None:
    final = Tool("WeatherReport", "The final answer.", fields(city=TEXT, summary=TEXT))
    result = '{"city": "Paris", "temperature_c": 18}'
    answer = after("What is the weather in Paris?", result, tools=(WEATHER, final), tool_choice="required")
    assert [(call.name, call.arguments["city"]) for call in answer.tool_calls] == [("WeatherReport", "Paris")]


# ---- structured output


@pytest.mark.parametrize(
    ("text", "schema", "wanted"),
    [
        (
            "Bob Smith is 42 years old and lives in Rome.",
            fields(name=TEXT, age={"type": "integer"}, city=TEXT),
            {"name": "Bob Smith", "age": 42, "city": "Rome"},
        ),
        (
            "Ann is 31 and Bob is 42.",
            fields(people={"type": "array", "items": fields(name=TEXT, age={"type": "integer"})}),
            {"people": [{"name": "Ann", "age": 31}, {"name": "Bob", "age": 42}]},
        ),
        (
            "Write to ann@x.org by 2025-03-04.",
            fields(
                email={"type": "string", "format": "email"},
                date={"type": "string", "format": "date"},
                phone={"anyOf": [TEXT, {"type": "null"}]},
            ),
            {"email": "ann@x.org", "date": "2025-03-04", "phone": None},
        ),
        (
            "Classify as positive, negative or neutral: I love it",
            fields(label={"enum": ["positive", "negative", "neutral"]}),
            {"label": "positive"},
        ),
        (
            "Classify as positive, negative or neutral: I hate it",
            fields(label={"enum": ["positive", "negative", "neutral"]}),
            {"label": "negative"},
        ),
        (
            "The ticket is urgent, priority high",
            fields(priority={"enum": ["low", "high"]}, urgent={"type": "boolean"}),
            {"priority": "high", "urgent": True},
        ),
        (
            "Order 3 apples and 5 pears",
            fields(items={"type": "array", "items": fields(name=TEXT, quantity={"type": "integer"})}),
            {"items": [{"name": "apples", "quantity": 3}, {"name": "pears", "quantity": 5}]},
        ),
        (
            "Context:\nA semaphore limits tasks.\n\nQuestion: What does a semaphore limit?",
            fields(answer=TEXT, found={"type": "boolean"}),
            {"answer": "A semaphore limits tasks.", "found": True},
        ),
    ],
)
def test_a_schema_is_filled_from_the_prompt(text: str, schema: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert json.loads(say(text, schema=schema)) == wanted


def test_a_schema_may_hold_the_answer() -> None:
    answer = json.loads(
        say("What does a semaphore limit?", schema=fields(answer=TEXT, sources={"type": "array", "items": TEXT}))
    )
    assert answer == {"answer": say("What does a semaphore limit?"), "sources": ["06_semaphores"]}


def test_a_schema_may_ask_for_a_plan() -> None:
    plan = json.loads(
        say(
            "Write four search queries for a brief on deadlocks.",
            schema=fields(queries={"type": "array", "items": TEXT}),
        )
    )
    assert len(set(plan["queries"])) == 4
    assert "How does a deadlock happen?" in plan["queries"]


def test_format_instructions_in_words_count_too() -> None:
    written = json.dumps({"properties": {"answer": TEXT}, "required": ["answer"]})
    text = say(
        f"Answer the user query.\nThe output should conform to the JSON schema "
        f"below.\n```\n{written}\n```\nWhat is a coroutine?"
    )
    assert json.loads(text) == {"answer": say("What is a coroutine?")}
    assert set(json.loads(say("Answer in JSON with keys answer and topic: What is a queue?"))) == {"answer", "topic"}


NAMES = st.sampled_from(["name", "city", "age", "answer", "queries", "date", "url", "score", "tags", "to", "x"])


def _strings() -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.just({"type": "string"}),
        st.builds(
            lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
            st.integers(0, 9),
            st.integers(0, 30),
        ),
        st.builds(
            lambda name: {"type": "string", "format": name},
            st.sampled_from(["date", "date-time", "email", "time", "uuid", "uri", "ipv4"]),
        ),
        st.builds(
            lambda pattern: {"type": "string", "pattern": pattern},
            st.sampled_from(["^[A-Z]{2}-\\d{3}$", "^(yes|no)$", "[a-z]+\\d?", "^\\S+$"]),
        ),
        st.builds(
            lambda values: {"enum": values},
            st.lists(st.sampled_from(["red", "green", "Paris", "yes", "no", 1, None]), min_size=1, unique=True),
        ),
        st.builds(lambda value: {"const": value}, st.sampled_from(["fixed", 7, True, None])),
    )


def _numbers() -> st.SearchStrategy[dict[str, Any]]:
    whole = st.integers(-50, 50)
    return st.one_of(
        st.sampled_from(
            [
                {"type": "integer"},
                {"type": "number"},
                {"type": "boolean"},
                {"type": "null"},
                {"type": ["string", "null"]},
            ]
        ),
        st.builds(
            lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more}, whole, st.integers(0, 60)
        ),
        st.builds(
            lambda low, more: {"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": low + more},
            whole,
            st.integers(1, 60),
        ),
        st.builds(lambda low, step: {"type": "integer", "minimum": low, "multipleOf": step}, whole, st.integers(1, 9)),
    )


def _nested(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    def objects(properties: dict[str, Any], count: int, closed: bool) -> dict[str, Any]:
        made = {"type": "object", "properties": properties, "required": sorted(properties)[:count]}
        return {**made, "additionalProperties": False} if closed else made

    return st.one_of(
        st.builds(objects, st.dictionaries(NAMES, inner, max_size=4), st.integers(0, 4), st.booleans()),
        st.builds(
            lambda items, low, more: {"type": "array", "items": items, "minItems": low, "maxItems": low + more},
            inner,
            st.integers(0, 3),
            st.integers(0, 3),
        ),
        st.builds(
            lambda items, low: {"type": "array", "items": items, "minItems": low, "uniqueItems": True},
            st.sampled_from([TEXT, {"type": "integer"}, {"enum": ["a", "b", "c"]}]),
            st.integers(0, 3),
        ),
        st.builds(lambda one: {"anyOf": [one, {"type": "null"}]}, inner),
        st.builds(lambda one: {"allOf": [one]}, inner),
        st.builds(
            lambda one: {
                "oneOf": [
                    one,
                    {"type": "object", "properties": {"kind": {"const": "other"}}, "required": ["kind", "only"]},
                ]
            },
            _numbers(),
        ),
    )


SCHEMAS = st.recursive(st.one_of(_strings(), _numbers()), _nested, max_leaves=12)
SAID = st.sampled_from(
    [
        "",
        "Bob is 42 and lives in Paris.",
        "What is a coroutine?",
        "yes, red: 3 tags a, b and c",
        CONTEXT,
        "Write three search queries on tasks.",
    ]
)


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(SCHEMAS, SAID)
def test_what_it_writes_always_fits_the_schema(schema: dict[str, Any], text: str) -> None:
    value = json.loads(say(text, schema=schema))
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(NAMES, SCHEMAS, max_size=4), SAID)
def test_arguments_always_fit_the_tool(properties: dict[str, Any], text: str) -> None:
    tool = Tool("lookup", "Look something up.", fields(**properties))
    made = reply(prompt(text, tools=(tool,), tool_choice="lookup")).tool_calls
    Draft202012Validator(tool.parameters).validate(made[0].arguments)


def test_references_and_recursion() -> None:
    node = {
        "type": "object",
        "properties": {"name": TEXT, "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
        "required": ["name", "children"],
    }
    schema = {"$ref": "#/$defs/Node", "$defs": {"Node": node}}
    Draft202012Validator(schema).validate(json.loads(say("Ann has a child named Bob.", schema=schema)))


# ---- the research desk


def test_each_part_of_the_desk_answers_in_its_own_way() -> None:
    topic = "Rate limits for async calls"
    parts = ("planner", "researcher", "writer", "editor", "critic")
    answers = {part: say(topic, system=f"You are the {part} of a research desk.") for part in parts}
    assert len(set(answers.values())) == len(parts)
    assert all(line.endswith("?") for line in answers["planner"].splitlines())
    assert all(
        line.startswith("- ") and line.endswith("(07_rate_limits)") for line in answers["researcher"].splitlines()
    )
    assert answers["writer"].startswith("# Rate limits")


def test_the_desk_works_hand_in_hand() -> None:
    queries = say(
        "Topic: semaphores", system="You are the planner. Write three search queries, one per line."
    ).splitlines()
    assert len(queries) == 3
    notes = "\n".join(say(query, system="You are the researcher.") for query in queries)
    draft = say(f"Topic: semaphores\n\nNotes:\n{notes}", system="You are the writer. Write a brief from the notes.")
    assert draft.startswith("# Semaphores")
    assert "three tasks pass" in draft
    final = say(f"{draft}\n\n{draft.splitlines()[-1]}", system="You are the editor.")
    assert final.splitlines()[-1] == draft.splitlines()[-1]
    assert final.count(draft.splitlines()[-1]) == 1


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (
            "Merge these notes:\n- A semaphore limits tasks.\n- A queue hands on items.\n- A semaphore limits tasks.",
            "A semaphore limits tasks. A queue hands on items.",
        ),
        ("Improve this draft: async is is very really good . It basically waits", "Async is good. It waits."),
        (
            "Summarize in one sentence: The loop runs tasks. The loop sleeps when no tasks are ready. Cats purr.",
            "The loop runs tasks.",
        ),
        (
            "Write a brief about timeouts using these notes:\n- A timeout cancels the task.\n- It raises TimeoutError.",
            "# Timeouts\n\nA timeout cancels the task. It raises TimeoutError.",
        ),
    ],
)
def test_small_jobs_on_a_text(text: str, answer: str) -> None:
    assert say(text) == answer


def test_a_question_is_rephrased_for_retrieval() -> None:
    lines = say(
        "Your task is to generate 3 different versions of the given user question to retrieve relevant documents. "
        "Separate them by newlines. Original question: What does a semaphore limit?"
    ).splitlines()
    assert len(set(lines)) == 3
    assert "What does a semaphore limit?" not in lines


def test_a_follow_up_is_made_to_stand_alone() -> None:
    system = "Given a chat history and the latest user question, formulate a standalone question."
    assert say("What is a semaphore?", "How do I create it?", system=system) == "How do I create a semaphore?"


# ---- never an exception, always the same, fast


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.builds(Message, st.sampled_from(["system", "user", "assistant", "tool"]), st.text(max_size=200) | SAID),
        max_size=5,
    ),
    st.sampled_from(["auto", "none", "required", "get_weather", "unknown"]),
    st.booleans(),
    st.none() | st.integers(0, 20),
)
def test_it_never_raises(messages: list[Message], choice: str, tools: bool, limit: int | None) -> None:
    answer = reply(Prompt(tuple(messages), TOOLS if tools else (), choice, max_tokens=limit))
    assert isinstance(answer, Reply)
    assert limit is None or count_tokens(answer.text) <= limit


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["string", "object", "#/x", "#"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "properties",
                    "required",
                    "items",
                    "enum",
                    "anyOf",
                    "allOf",
                    "$ref",
                    "minItems",
                    "pattern",
                    "const",
                    "minimum",
                    "default",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(["type", "properties", "required", "items", "anyOf", "allOf", "$ref", "enum", "$defs"]),
        JSON,
        max_size=4,
    )
)
def test_a_senseless_schema_does_not_raise(schema: dict[str, Any]) -> None:
    json.loads(say("Bob is 42.", schema=schema))
    assert calls("Look up Bob", (Tool("look_up", "", schema),), tool_choice="required")[0][0] == "look_up"


def test_the_same_prompt_gets_the_same_reply_in_every_process() -> None:
    script = (
        "from awaitsee.practice.model import Message, Prompt, Tool, embed, reply\n"
        "tool = Tool('get_weather', 'Get the weather.', {'properties': {'city': {'type': "
        "'string'}}, 'required': ['city']})\n"
        "for text in ('What is a coroutine?', 'weather in Paris and Rome', 'Plan a brief on queues'):\n"
        "    print(reply(Prompt((Message('user', text),), (tool,))))\n"
        "print(embed('a semaphore limits tasks', 8))\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_a_reply_takes_little_of_the_servers_time() -> None:
    warm_up()
    usual = [
        prompt(text, tools=TOOLS)
        for text in ("What is a coroutine?", "What is the weather in Paris and Rome?", "Hello")
    ]
    for one in usual:
        reply(one)
    started = time.perf_counter()
    for one in usual * 50:
        reply(one)
    # aimed at: 2 ms; asserted with a wide margin, because the machine that tests may be busy
    assert (time.perf_counter() - started) / 150 < 0.02


@pytest.mark.parametrize("piece", [" ", "\n", "(", "1+", "1", "A ", "x and ", "what? ", "[1] ", "`", "<a ", '"'])
def test_a_long_senseless_prompt_takes_time_in_proportion(piece: str) -> None:
    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        started = time.perf_counter()
        reply(prompt(text, tools=TOOLS))
        reply(prompt(text, schema=fields(name=TEXT, age={"type": "integer"})))
        return time.perf_counter() - started

    seconds(1500)
    # sixteen times the text: 16 times the time would be in proportion, 256 times would not
    assert seconds(24_000) < 100 * (seconds(1500) + 0.005)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("17*23", 391),
        ("(3+4)*12", 84),
        ("2**10", 1024),
        ("7/2", 3.5),
        ("8/2", 4),
        ("-3 + 1", -2),
        ("1/0", None),
        ("9**9**9", None),
        ("__import__('os')", None),
        ("", None),
        ("'a'*3", None),
    ],
)
def test_arithmetic_runs_no_code(expression: str, value: float | None) -> None:
    assert evaluate(expression) == value


@pytest.mark.parametrize(
    ("pattern", "risky"),
    [
        ("(a+)+$", True),
        ("(a|aa)+$", True),
        ("((a+))+", True),
        (r"(\\w+\\s?)*!", True),
        ("(?:[a-z]+,)*x", True),
        ("^[a-z]+$", False),
        (r"^\\d{3}-\\d{4}$", False),
        ("(ab)+", False),
        ("(a+)?", False),
        ("(cat|dog)", False),
        (")(", False),
    ],
)
def test_a_pattern_that_could_backtrack_for_ever_is_known(pattern: str, risky: bool) -> None:
    assert may_backtrack_for_ever(pattern) is risky


def test_such_a_pattern_does_not_stop_the_model() -> None:
    schema = {"type": "object", "properties": {"word": {"type": "string", "pattern": "(a+)+$"}}, "required": ["word"]}
    prompt = Prompt((Message("user", f"The word is {'a' * 40}!"),), schema=schema)
    began = time.perf_counter()
    word = json.loads(reply(prompt).text)["word"]
    assert set(word) == {"a"}
    assert time.perf_counter() - began < 5, "an exponential search would take years"


def test_json_mode_takes_the_keys_from_the_prompt() -> None:
    def answered(text: str) -> dict[str, str]:
        filled: dict[str, str] = json.loads(reply(Prompt((Message("user", text),), schema=ANY_OBJECT)).text)
        return filled

    assert set(answered("What is a lock? Answer in JSON with the keys topic and answer.")) == {"topic", "answer"}
    assert "lock" in answered("What is a lock? JSON, please.")["answer"].lower()
