"""The research desk: code that the lessons share. Each function is shown in full in the lesson that first uses it."""

from __future__ import annotations

import os
from functools import cache

from langchain_openai import ChatOpenAI

QUESTIONS = [
    "What is a coroutine?",
    "What does the event loop do?",
    "How does a deadlock happen?",
    "What does a semaphore limit?",
    "When should I use a thread?",
]
"""The five questions of the day."""


@cache
def chat_model() -> ChatOpenAI:
    """Return the desk's one chat model, which talks to the practice server or to the provider that was chosen.

    The first call takes a while, because it sets up the client: make it before you measure anything.

    Raises RuntimeError when `practice_server()` was not called before.
    """
    model = os.environ.get("AWAITSEE_MODEL")
    if not model:
        raise RuntimeError("No model to ask: call `practice_server()` before the desk's functions.")
    return ChatOpenAI(model=model)


async def ask(question: str) -> str:
    """Ask the model one question and return its answer (lesson 00)."""
    message = await chat_model().ainvoke(question)
    return message.text
