"""What the handbook's pages 31 to 40 say of models and chains, checked with the pinned versions."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Iterator
from contextlib import aclosing
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, ValidationError

from awaitsee.practice import Fault, PracticeServer, practice_server

if TYPE_CHECKING:  # made before the first test: tests/lazily.py
    import anthropic
    import httpx
    import httpx2
    import ollama
    import openai
    from langchain_anthropic import ChatAnthropic
    from langchain_core.exceptions import (
        ContextOverflowError,
        ModelAPIError,
        ModelAuthenticationError,
        ModelConnectionError,
        ModelError,
        ModelNotFoundError,
        ModelRateLimitError,
        ModelTimeoutError,
        OutputParserException,
    )
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import (
        AIMessage,
        AIMessageChunk,
        HumanMessage,
        SystemMessage,
        trim_messages,
    )
    from langchain_core.runnables import RunnableLambda, RunnablePassthrough
    from langchain_ollama import ChatOllama
    from langchain_openai import ChatOpenAI, StreamChunkTimeoutError

    from tests.handbook.models import Piecewise, Whole

QUESTION = "What is a semaphore?"


def worth_it() -> tuple[type[ModelError], ...]:
    """Return the exceptions after which page 37 says to try again."""
    return ModelRateLimitError, ModelAPIError, ModelConnectionError, ModelTimeoutError


def gpt(**options: Any) -> ChatOpenAI:
    """Return a ChatOpenAI."""
    return ChatOpenAI(**options)


def claude(**options: Any) -> ChatAnthropic:
    """Return a ChatAnthropic."""
    return ChatAnthropic(**options)


@pytest.fixture
def server(running: PracticeServer) -> PracticeServer:
    practice_server()
    running.configure(latency=0.01, tokens_per_second=None, capacity=None, faults=[])
    return running


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all, because models of a class share an HTTP client."""
    with asyncio.Runner() as runner:
        yield runner


async def failure(awaitable: Any) -> BaseException:
    """Await something that fails and return its exception."""
    try:
        outcome = await awaitable
    except Exception as error:
        return error
    raise AssertionError(f"it gave {outcome!r}")


class Note(BaseModel):
    """What the handbook says on a topic."""

    topic: str
    summary: str
    points: list[str]


class Short(BaseModel):
    """What the handbook says on a topic, in short."""

    topic: str
    summary: str


def test_31_what_a_class_without_astream_streams(runner: asyncio.Runner) -> None:
    async def pieces(model: BaseChatModel) -> list[AIMessageChunk]:
        return [piece async for piece in model.astream("x") if piece.text]

    assert [piece.text for piece in runner.run(pieces(Whole()))] == ["abc"]
    assert [piece.additional_kwargs for piece in runner.run(pieces(Piecewise()))] == [
        {"a": True},
        {"b": True},
        {"c": True},
    ]


def test_32_timeouts_of_a_stream_count_its_silence(server: PracticeServer, runner: asyncio.Runner) -> None:
    server.configure(tokens_per_second=120, faults=[Fault("slow_tail", after=2, when="deadlock")])

    async def read(model: BaseChatModel, question: str) -> int:
        pieces: Any = model.astream(question)
        async with aclosing(pieces) as stream:
            return len([piece async for piece in stream if piece.text])

    async def main() -> list[Any]:
        limited = gpt(model=server.model, timeout=0.4, max_retries=0)
        anthropic_model = claude(model=server.model, timeout=0.4, max_retries=0)
        chunked = gpt(model=server.model, stream_chunk_timeout=0.4, max_retries=0)
        silent = (read(model, "How does a deadlock happen?") for model in (limited, anthropic_model, chunked))
        return await asyncio.gather(read(limited, QUESTION), *silent, return_exceptions=True)

    steady, at_openai, at_anthropic, in_chunks = runner.run(main())
    assert steady > 50, "at this speed it took longer than the timeout"
    assert isinstance(at_openai, ModelTimeoutError)
    assert not isinstance(at_openai, TimeoutError)
    assert type(at_anthropic).__name__ == "ReadTimeout"
    assert not isinstance(at_anthropic, ModelError | TimeoutError)
    assert isinstance(in_chunks, StreamChunkTimeoutError)
    assert isinstance(in_chunks, TimeoutError)


def test_32_what_a_stream_yields(server: PracticeServer, runner: asyncio.Runner) -> None:
    async def read(model: BaseChatModel) -> list[Any]:
        return [piece async for piece in model.astream(QUESTION)]

    pieces = runner.run(read(gpt(model=server.model, stream_usage=True)))
    assert {type(piece) for piece in pieces} == {AIMessageChunk}
    assert sum(not piece.text for piece in pieces) > 1
    assert [bool(piece.text) for piece in pieces if piece.usage_metadata] == [False]
    assert gpt(model=server.model).stream_chunk_timeout == 120


def test_33_an_answer_that_reached_max_tokens_raises_nothing(server: PracticeServer, runner: asyncio.Runner) -> None:
    models = {
        ("finish_reason", "length"): gpt(model=server.model, max_tokens=5),
        ("stop_reason", "max_tokens"): claude(model=server.model, max_tokens=5),
        ("done_reason", "length"): ChatOllama(model=server.model, num_predict=5),
    }
    for (field, reason), model in models.items():
        message = runner.run(model.ainvoke(QUESTION))
        assert message.response_metadata[field] == reason
        assert message.usage_metadata
        assert message.usage_metadata["output_tokens"] == 5


def test_33_which_streams_carry_counts(server: PracticeServer, runner: asyncio.Runner) -> None:
    async def counted(model: BaseChatModel) -> bool:
        stream: Any = model.astream(QUESTION)
        return any([piece.usage_metadata async for piece in stream])

    openai_by_default = gpt(model=server.model)
    always = claude(model=server.model), ChatOllama(model=server.model)
    assert runner.run(counted(openai_by_default)) is False
    assert [runner.run(counted(model)) for model in always] == [True, True]


def test_34_requests_for_one_failing_call(server: PracticeServer, runner: asyncio.Runner) -> None:
    models = (
        gpt(model=server.model),
        claude(model=server.model),
        ChatOllama(model=server.model),
    )
    sent: dict[int, list[int]] = {}
    kinds: tuple[Any, ...] = (400, 503)
    for kind in kinds:
        server.configure(faults=[Fault(kind, probability=1.0, retry_after=0.01)])
        for model in models:
            before = len(server.journal)
            error = runner.run(failure(model.ainvoke(QUESTION)))
            sent.setdefault(kind, []).append(len(server.journal) - before)
            assert isinstance(error, ollama.ResponseError if isinstance(model, ChatOllama) else ModelError)
    assert sent == {400: [1, 1, 1], 503: [3, 3, 1]}
    assert "max_retries" not in ChatOllama.model_fields


def test_34_defaults(server: PracticeServer, runner: asyncio.Runner) -> None:
    unknown = claude(model="practice-1")
    assert (unknown.max_tokens, gpt(model="x").max_tokens, ChatOllama(model="x").num_predict) == (
        4096,
        None,
        None,
    )
    assert claude(model="claude-sonnet-4-5").max_tokens == 64_000
    ollama_client: Any = ChatOllama(model="x")._async_client
    waits = [
        gpt(model="x").root_async_client.timeout,
        unknown._async_client.timeout,
        ollama_client._client.timeout.read,
    ]
    assert waits == [None, None, None]
    sdks: tuple[Any, ...] = (openai.AsyncOpenAI, anthropic.AsyncAnthropic)
    assert [kind(api_key="x").timeout.read for kind in sdks] == [600, 600]
    create = inspect.signature(anthropic.resources.messages.AsyncMessages.create).parameters
    assert create["max_tokens"].default is inspect.Parameter.empty
    assert "temperature" not in create
    assert anthropic._constants.ANTHROPIC_API_VERSION >= "2026-10-21"
    warm = claude(model=server.model, temperature=1.0)
    error = runner.run(failure(warm.ainvoke(QUESTION)))
    assert "temperature" in str(error)


def test_36_functions_in_a_chain(runner: asyncio.Runner) -> None:
    name: ContextVar[str] = ContextVar("name", default="none")
    running = peak = 0

    async def branch(value: Any) -> str:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0.01)
        running -= 1
        return "async"

    async def main() -> list[Any]:
        name.set("ann")
        here: Any = RunnableLambda(lambda _: (name.get(), threading.current_thread() is threading.main_thread()))
        where = await here.ainvoke(1)
        both = RunnableLambda(lambda _: "sync", branch)
        calling: Any = RunnableLambda(lambda value: branch(value))
        inside = await calling.ainvoke(1)
        assert inspect.iscoroutine(inside)
        inside.close()
        await RunnablePassthrough.assign(a=branch, b=branch).ainvoke({"q": 1}, {"max_concurrency": 1})
        return [where, both.invoke(1), await both.ainvoke(1)]

    assert runner.run(main()) == [("ann", False), "sync", "async"]
    assert peak == 2
    with pytest.raises(TypeError, match="Cannot invoke a coroutine function synchronously"):
        RunnableLambda(branch).invoke(1)


def test_37_with_retry(server: PracticeServer, runner: asyncio.Runner) -> None:
    one_try = gpt(model=server.model, max_retries=0)
    again = one_try.with_retry(wait_exponential_jitter=False)
    chosen = one_try.with_retry(retry_if_exception_type=worth_it(), wait_exponential_jitter=False)

    def sent(model: Any, fault: Fault, questions: list[str], expected: type[Exception] | None = None) -> int:
        server.configure(faults=[fault])
        before = len(server.journal)
        if expected:
            assert isinstance(runner.run(failure(model.ainvoke(questions[0]))), expected)
        else:
            assert len(runner.run(model.abatch(questions))) == len(questions)
        return len(server.journal) - before

    assert sent(again, Fault(400, probability=1.0), [QUESTION], openai.BadRequestError) == 3
    assert sent(chosen, Fault(400, probability=1.0), [QUESTION], openai.BadRequestError) == 1
    assert sent(chosen, Fault(503, probability=1.0), [QUESTION], ModelAPIError) == 3
    three = [QUESTION, "What is a task?", "How does a deadlock happen?"]
    assert sent(again, Fault(503, when="deadlock", times=1), three) == 4

    async def read() -> None:
        async for _ in again.astream(QUESTION):
            pass

    server.configure(faults=[Fault(503, times=1)])
    before = len(server.journal)
    assert isinstance(runner.run(failure(read())), ModelAPIError)
    assert len(server.journal) - before == 1


def test_37_with_fallbacks(runner: asyncio.Runner) -> None:
    async def first(value: Any) -> str:
        raise ValueError("first")

    async def second(value: Any) -> str:
        raise KeyError("second")

    async def slow(value: Any) -> str:
        await asyncio.sleep(5)
        return "slow"

    async def impatient(value: Any) -> str:
        async with asyncio.timeout(0.01):
            return await slow(value)

    spare: RunnableLambda[Any, Any] = RunnableLambda(lambda value: value)

    async def main() -> None:
        error = await failure(RunnableLambda(first).with_fallbacks([RunnableLambda(second)]).ainvoke(1))
        assert str(error) == "first"
        told = await RunnableLambda(first).with_fallbacks([spare], exception_key="error").ainvoke({"q": 1})
        assert isinstance(told["error"], ValueError)
        assert await RunnableLambda(impatient).with_fallbacks([spare]).ainvoke(1) == 1
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await RunnableLambda(slow).with_fallbacks([spare]).ainvoke(1)

    runner.run(main())


def answering(status: int, body: dict[str, Any]) -> Any:
    """Return an HTTP client whose server always gives this answer."""
    return httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: httpx2.Response(status, json=body)))


def completion(**message: str | None) -> dict[str, Any]:
    """Return an answer in OpenAI's format."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": None} | message}
    return {"id": "x", "object": "chat.completion", "created": 1, "model": "x", "choices": [choice]}


def test_38_what_broken_answers_raise(server: PracticeServer, runner: asyncio.Runner) -> None:
    asked = "What does the handbook say on semaphores?"
    openai_model = gpt(model=server.model, max_retries=0)
    anthropic_model = claude(model=server.model, max_retries=0)
    local = ChatOllama(model=server.model)
    server.configure(faults=[Fault("truncate", probability=1.0)])
    raised = [
        runner.run(failure(model.with_structured_output(Note).ainvoke(asked)))
        for model in (openai_model, anthropic_model, local)
    ]
    assert [type(error).__name__ for error in raised] == ["JSONDecodeError", "JSONDecodeError", "OutputParserException"]
    kept: Any = runner.run(local.with_structured_output(Note, include_raw=True).ainvoke(asked))
    assert kept["parsed"] is None
    assert isinstance(kept["parsing_error"], OutputParserException)
    outside = runner.run(failure(openai_model.with_structured_output(Note, include_raw=True).ainvoke(asked)))
    assert type(outside).__name__ == "JSONDecodeError"
    server.configure(faults=[])
    short = gpt(model=server.model, max_tokens=8).with_structured_output(Note)
    cut = runner.run(failure(short.ainvoke(asked)))
    text = gpt(model="x", http_async_client=answering(200, completion(content="no JSON")))
    no = gpt(model="x", http_async_client=answering(200, completion(refusal="No.")))
    wrong = runner.run(failure(text.with_structured_output(Note).ainvoke("x")))
    refused = runner.run(failure(no.with_structured_output(Note).ainvoke("x")))
    assert isinstance(wrong, ValidationError)
    assert [type(error).__name__ for error in (cut, refused)] == ["LengthFinishReasonError", "OpenAIRefusalError"]
    assert [isinstance(error, ValueError) for error in (*raised, wrong, cut, refused)] == [True] * 4 + [False] * 2
    called = text.with_structured_output(Note, method="function_calling")
    assert runner.run(called.ainvoke("x")) is None


def test_38_default_methods_and_pieces(server: PracticeServer, runner: asyncio.Runner) -> None:
    async def kinds(model: Any, schema: Any) -> list[str]:
        asked = "What does the handbook say on locks?"
        return [type(part).__name__ async for part in model.with_structured_output(schema).astream(asked)]

    openai_model = gpt(model=server.model)
    anthropic_model = claude(model=server.model)
    bound: dict[str, Any] = {}
    for each in (openai_model, anthropic_model, ChatOllama(model=server.model)):
        chain: Any = each.with_structured_output(Note)
        bound[type(each).__name__] = chain.first.kwargs
    assert bound["ChatOpenAI"]["response_format"]
    assert bound["ChatAnthropic"]["tool_choice"]
    assert bound["ChatOllama"]["format"]
    assert runner.run(kinds(openai_model, Short)) == ["Short"]
    assert len(runner.run(kinds(anthropic_model, Short))) > 1, "an object from unfinished JSON"
    grown = runner.run(kinds(openai_model, Short.model_json_schema()))
    assert set(grown) == {"dict"}
    assert len(grown) > 1


def test_39_a_conversation(server: PracticeServer, runner: asyncio.Runner) -> None:
    from langchain.agents import create_agent
    from langgraph.checkpoint.memory import InMemorySaver

    llm = gpt(model=server.model, max_retries=0)
    agent: Any = create_agent(llm, tools=[], checkpointer=InMemorySaver())
    ann = {"configurable": {"thread_id": "ann"}}

    async def turn(text: str) -> list[str]:
        return [message.text for message in (await agent.ainvoke({"messages": [("user", text)]}, ann))["messages"]]

    server.configure(faults=[Fault(400, times=1)])
    assert isinstance(runner.run(failure(turn("Hello"))), openai.BadRequestError)
    assert runner.run(turn(QUESTION))[:2] == ["Hello", QUESTION]
    assert isinstance(runner.run(failure(agent.ainvoke({"messages": []}))), ValueError)

    async def inputs() -> list[int]:
        history: list[Any] = []
        counts = []
        for _ in range(3):
            history.append(("user", QUESTION))
            reply = await llm.ainvoke(history)
            history.append(reply)
            counts.append(reply.usage_metadata["input_tokens"] if reply.usage_metadata else 0)
        return counts

    counts = runner.run(inputs())
    assert counts == sorted(set(counts))
    long = [SystemMessage("Be brief."), *(kind("word " * 20) for _ in range(9) for kind in (HumanMessage, AIMessage))]
    kept = trim_messages(
        long, max_tokens=100, strategy="last", token_counter="approximate", include_system=True, start_on="human"
    )
    assert [type(message) for message in kept[:2]] == [SystemMessage, HumanMessage]
    assert 2 < len(kept) < len(long)


def test_40_which_exception(server: PracticeServer, runner: asyncio.Runner) -> None:
    def of(model: Any, **configured: Any) -> tuple[BaseException, int]:
        server.configure(**{"faults": []} | configured)
        before = len(server.journal)
        return runner.run(failure(model.ainvoke(QUESTION))), len(server.journal) - before

    wrong_keys = (
        gpt(model=server.model, api_key="wrong"),
        claude(model=server.model, api_key="wrong"),
    )
    for model in wrong_keys:
        error, requests = of(model)
        assert isinstance(error, ModelAuthenticationError)
        assert requests == 1
    unknown = gpt(model="gpt-x"), claude(model="gpt-x")
    for model in unknown:
        error, requests = of(model)
        assert isinstance(error, ModelNotFoundError)
        assert requests == 1
    error, requests = of(ChatOllama(model="gpt-x"))
    assert isinstance(error, ollama.ResponseError)
    assert (error.status_code, requests) == (404, 1)
    error, requests = of(gpt(model=server.model, max_retries=0), faults=[Fault("quota", probability=1.0)])
    assert isinstance(error, openai.RateLimitError)
    assert isinstance(error, ModelRateLimitError)
    assert (error.type, error.is_retryable) == ("insufficient_quota", True)
    error, _ = of(ChatOllama(model=server.model), faults=[Fault("drop", probability=1.0)])
    assert isinstance(error, httpx.TransportError)
    slow = gpt(model=server.model, timeout=0.05, max_retries=0)
    error, _ = of(slow, faults=[Fault("hang", probability=1.0)])
    assert isinstance(error, ModelTimeoutError)
    assert not isinstance(error, TimeoutError)


def test_40_a_prompt_that_is_too_long(runner: asyncio.Runner) -> None:
    def of(said: str, **fields: Any) -> BaseException:
        body = {"error": {"message": said, "type": "invalid_request_error", "param": "messages"} | fields}
        model = gpt(model="x", http_async_client=answering(400, body), api_key="x")
        return runner.run(failure(model.ainvoke("x")))

    known = of("Input tokens exceed the configured limit of 1000 tokens.")
    unknown = of("This model's maximum context length is 8192 tokens.", code="context_length_exceeded")
    assert isinstance(known, ContextOverflowError)
    assert isinstance(unknown, openai.BadRequestError)
    assert not isinstance(unknown, ContextOverflowError)
    assert unknown.code == "context_length_exceeded"
    assert not any(kind.is_retryable for kind in (ContextOverflowError, ModelAuthenticationError, ModelNotFoundError))
    assert all(kind.is_retryable for kind in worth_it())
