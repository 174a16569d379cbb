"""What tests of the handbook's pages 31 to 50 share: models and embeddings that need no server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field


def where() -> str:
    """Return `loop` in the thread of the event loop, and `thread` in another."""
    return "loop" if threading.current_thread() is threading.main_thread() else "thread"


class Letters(Embeddings):
    """Embeds a text as its counts of letters, and notes where."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def embed_query(self, text: str) -> list[float]:
        self.ran.append(where())
        counts = [float(text.count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz"]
        size = sum(count * count for count in counts) ** 0.5 or 1.0
        return [count / size for count in counts]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]


WORDS = [Document(page_content=word) for word in ("apple", "pear", "plum", "grape", "lemon", "melon")]


class Whole(BaseChatModel):
    """A model that has the least that a model needs."""

    @property
    def _llm_type(self) -> str:
        return "whole"

    def _generate(self, messages: list[BaseMessage], *_: Any, **options: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("abc"))])


class Piecewise(Whole):
    """A model with a synchronous stream."""

    def _stream(self, messages: list[BaseMessage], *_: Any, **options: Any) -> Iterator[ChatGenerationChunk]:
        for letter in "abc":
            thread = threading.current_thread() is not threading.main_thread()
            yield ChatGenerationChunk(message=AIMessageChunk(content=letter, additional_kwargs={letter: thread}))


class Asks(BaseChatModel):
    """A model that asks for a tool four times in its first reply, or for ever."""

    tool: str
    arguments: dict[str, str] | None = None
    for_ever: bool = False
    calls: list[int] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "asks"

    def bind_tools(self, *_: Any, **__: Any) -> Any:
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        self.calls.append(len(messages))
        message = AIMessage("done")
        if self.for_ever or messages[-1].type == "human":
            calls: Any = [
                {"name": self.tool, "args": self.arguments or {"number": n}, "id": f"{len(messages)}{n}"}
                for n in range(4)
            ]
            message = AIMessage("", tool_calls=calls)
        return ChatResult(generations=[ChatGeneration(message=message)])
