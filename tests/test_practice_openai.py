"""OpenAI's wire format, with OpenAI's own SDK and with LangChain's ChatOpenAI."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import struct
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from awaitsee.practice import Fault, PracticeServer

if TYPE_CHECKING:  # made before the first test: tests/lazily.py
    import openai
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings

QUESTION: Any = [{"role": "user", "content": "What is a semaphore?"}]
WEATHER_TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
TWO_CITIES: list[dict[str, Any]] = [{"role": "user", "content": "What is the weather in Paris and in Rome?"}]


@pytest.fixture
def client(server: PracticeServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(max_retries=0) as client:
        yield client


@pytest.fixture
def get_weather() -> Any:
    """LangChain's tool of that name."""

    def get_weather(city: str) -> str:
        """Get the weather in a city."""
        return "sunny"

    return tool(get_weather)


class Summary(BaseModel):
    topic: str
    facts: list[str]


# --- chat


def test_sync_and_async_give_the_same_answer(server: PracticeServer, client: Any) -> None:
    async def ask() -> Any:
        async with openai.AsyncOpenAI() as asynchronous:
            return await asynchronous.chat.completions.create(model=server.model, messages=QUESTION)

    there, here = asyncio.run(ask()), client.chat.completions.create(model=server.model, messages=QUESTION)
    assert there.choices == here.choices
    assert "semaphore" in here.choices[0].message.content.lower()
    assert here.choices[0].finish_reason == "stop"
    assert here.id != there.id and here.id.startswith("chatcmpl-")
    assert here.usage.total_tokens == here.usage.prompt_tokens + here.usage.completion_tokens
    assert here._request_id.startswith("req_")


def test_a_stream_joins_to_the_whole_answer(server: PracticeServer, client: Any) -> None:
    whole = client.chat.completions.create(model=server.model, messages=QUESTION)
    chunks = list(client.chat.completions.create(model=server.model, messages=QUESTION, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert all(chunk.usage is None for chunk in chunks)
    assert len(chunks) > 10


def test_usage_comes_at_the_end_of_a_stream_that_asks_for_it(server: PracticeServer, client: Any) -> None:
    whole = client.chat.completions.create(model=server.model, messages=QUESTION)
    options: Any = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(model=server.model, messages=QUESTION, stream=True, stream_options=options)
    )
    assert chunks[-1].usage == whole.usage and chunks[-1].choices == []
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert server.journal[1].output_tokens == whole.usage.completion_tokens


def test_max_tokens_and_stop_end_an_answer(server: PracticeServer, client: Any) -> None:
    create = client.chat.completions.create
    whole = create(model=server.model, messages=QUESTION).choices[0].message.content
    for limit in ({"max_tokens": 5}, {"max_completion_tokens": 5}):
        short = create(model=server.model, messages=QUESTION, **limit)
        assert short.choices[0].finish_reason == "length"
        assert short.usage.completion_tokens == 5
        assert whole.startswith(short.choices[0].message.content)
    word = whole.split()[4]
    stopped = create(model=server.model, messages=QUESTION, stop=[word, "no such word"])
    assert stopped.choices[0].message.content == whole[: whole.index(word)]
    assert stopped.choices[0].finish_reason == "stop"


def test_parallel_tool_calls_and_their_results(server: PracticeServer, client: Any) -> None:
    create = client.chat.completions.create
    asked = create(model=server.model, messages=TWO_CITIES, tools=[WEATHER_TOOL])
    message = asked.choices[0].message
    cities = [json.loads(call.function.arguments)["city"] for call in message.tool_calls]
    assert (asked.choices[0].finish_reason, message.content, cities) == ("tool_calls", None, ["Paris", "Rome"])
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": f"{city}: 21 degrees"}
        for call, city in zip(message.tool_calls, cities, strict=True)
    ]
    answer = create(
        model=server.model, messages=[*TWO_CITIES, message.model_dump(), *results], tools=[WEATHER_TOOL]
    ).choices[0]
    assert answer.finish_reason == "stop" and "21" in answer.message.content
    single = create(model=server.model, messages=TWO_CITIES, tools=[WEATHER_TOOL], parallel_tool_calls=False)
    assert len(single.choices[0].message.tool_calls) == 1
    none = create(model=server.model, messages=TWO_CITIES, tools=[WEATHER_TOOL], tool_choice="none")
    assert none.choices[0].message.tool_calls is None
    forced: Any = {"type": "function", "function": {"name": "get_weather"}}
    chosen = create(model=server.model, messages=QUESTION, tools=[WEATHER_TOOL], tool_choice=forced)
    assert chosen.choices[0].message.tool_calls[0].function.name == "get_weather"


def test_streamed_tool_calls_come_with_their_arguments_in_pieces(server: PracticeServer, client: Any) -> None:
    create = client.chat.completions.create
    whole = create(model=server.model, messages=TWO_CITIES, tools=[WEATHER_TOOL]).choices[0].message.tool_calls
    calls: dict[int, dict[str, Any]] = {}
    pieces = 0
    finish = None
    for chunk in create(model=server.model, messages=TWO_CITIES, tools=[WEATHER_TOOL], stream=True):
        finish = chunk.choices[0].finish_reason or finish
        for part in chunk.choices[0].delta.tool_calls or []:
            pieces += 1
            call = calls.setdefault(part.index, {"id": part.id, "name": part.function.name, "arguments": ""})
            call["arguments"] += part.function.arguments
    assert finish == "tool_calls"
    assert pieces > 2 * len(whole)
    assert [calls[index] for index in sorted(calls)] == [
        {"id": call.id, "name": call.function.name, "arguments": call.function.arguments} for call in whole
    ]


def test_response_formats(server: PracticeServer, client: Any) -> None:
    parsed = client.chat.completions.parse(model=server.model, messages=QUESTION, response_format=Summary)
    assert isinstance(parsed.choices[0].message.parsed, Summary)
    messages: Any = [{"role": "user", "content": "What is a semaphore? Answer in JSON."}]
    loose = client.chat.completions.create(
        model=server.model, messages=messages, response_format={"type": "json_object"}
    )
    assert isinstance(json.loads(loose.choices[0].message.content), dict)


# --- LangChain


def test_chat_openai(server: PracticeServer, get_weather: Any) -> None:
    async def main() -> None:
        llm = ChatOpenAI(model=server.model, stream_usage=True)
        answer = await llm.ainvoke("What is a semaphore?")
        streamed = [chunk async for chunk in llm.astream("What is a semaphore?")]
        joined: Any = streamed[0]
        for part in streamed[1:]:
            joined += part
        assert joined.content == answer.content
        assert joined.usage_metadata == answer.usage_metadata
        called = await llm.bind_tools([get_weather]).ainvoke("What is the weather in Paris and in Rome?")
        assert [call["args"] for call in called.tool_calls] == [{"city": "Paris"}, {"city": "Rome"}]
        together: Any = None
        async for chunk in llm.bind_tools([get_weather]).astream("What is the weather in Paris and in Rome?"):
            together = chunk if together is None else together + chunk
        assert together is not None and together.tool_calls == called.tool_calls
        for method in ("json_schema", "function_calling"):
            summary = await llm.with_structured_output(Summary, method=method).ainvoke("What is a semaphore?")
            assert isinstance(summary, Summary)
        answers = await llm.abatch([f"What is a semaphore of {number}?" for number in range(5)])
        assert len(answers) == 5

    asyncio.run(main())


def test_openai_embeddings(server: PracticeServer, client: Any) -> None:
    texts = ["a lock", "a lock", "the weather in Rome"]
    vectors = OpenAIEmbeddings(model=server.embedding_model, check_embedding_ctx_length=False).embed_documents(texts)
    assert vectors[0] == vectors[1] != vectors[2]
    # the SDK asks for base64 by itself when it may choose, and unpacks it
    unpacked = client.embeddings.create(model=server.embedding_model, input=texts)
    floats = client.embeddings.create(model=server.embedding_model, input=texts, encoding_format="float")
    packed = client.embeddings.create(model=server.embedding_model, input=texts, encoding_format="base64")
    for plain, other, raw in zip(floats.data, unpacked.data, packed.data, strict=True):
        assert other.embedding == pytest.approx(plain.embedding, rel=1e-6)
        count = len(plain.embedding)
        assert struct.unpack(f"<{count}f", base64.b64decode(str(raw.embedding))) == tuple(other.embedding)
    assert floats.usage.total_tokens == server.journal[-1].input_tokens > 0
    small = client.embeddings.create(model=server.embedding_model, input="a lock", dimensions=32)
    assert len(small.data[0].embedding) == 32
    tokens = client.embeddings.create(model=server.embedding_model, input=[[1, 2, 3], [4]])
    assert len(tokens.data) == 2


def test_models(server: PracticeServer, client: Any) -> None:
    assert [card.id for card in client.models.list()] == [server.model, server.embedding_model]
    assert client.models.retrieve(server.model).id == server.model
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-17")


# --- refusals


def test_an_unknown_model_says_which_there_are(server: PracticeServer, client: Any) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-17", messages=QUESTION)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert server.model in str(caught.value)
    with pytest.raises(openai.NotFoundError, match=server.embedding_model):
        client.embeddings.create(model=server.model, input="a")


def test_a_wrong_key_is_refused_and_not_echoed(server: PracticeServer) -> None:
    key = "wrong-key-with-a-secret-1234"
    with openai.OpenAI(api_key=key, max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            client.chat.completions.create(model=server.model, messages=QUESTION)
        assert caught.value.code == "invalid_api_key"
        assert key[-4:] in str(caught.value) and key[-5:] not in str(caught.value)
        with pytest.raises(openai.AuthenticationError, match="provide an API key"):
            client.chat.completions.create(model=server.model, messages=QUESTION, extra_headers={"authorization": ""})


def test_the_responses_api_is_not_there(server: PracticeServer, client: Any) -> None:
    with pytest.raises(openai.NotFoundError, match="does not offer the Responses API"):
        client.responses.create(model=server.model, input="hello")


def test_a_base_url_without_v1_is_explained(server: PracticeServer) -> None:
    with (
        openai.OpenAI(base_url=server.url) as client,
        pytest.raises(openai.NotFoundError, match="base URL must end in /v1"),
    ):
        client.chat.completions.create(model=server.model, messages=QUESTION)


CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}


@pytest.mark.parametrize(
    ("changes", "message", "param"),
    [
        ({"messages": None}, "Missing required parameter: 'messages'", "messages"),
        ({"messages": []}, "Invalid 'messages': empty array", "messages"),
        ({"messages": "hello"}, "expected an array of objects, but got a string", "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "Invalid value: 'robot'", "messages[0].role"),
        ({"messages": [{"content": "x"}]}, "Missing required parameter: 'messages[0].role'", "messages[0].role"),
        ({"messages": [{"role": "user", "content": None}]}, "expected a string, got null", "messages[0].content"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "reads parts of type 'text' only",
            "messages[0].content[0].type",
        ),
        ({"messages": [*QUESTION, RESULT]}, "must be a response to a preceding message", "messages[1].role"),
        (
            {"messages": [CALLING, {**RESULT, "tool_call_id": "call_2"}]},
            "'tool_call_id' of 'call_2' not found",
            "messages[1].tool_call_id",
        ),
        ({"messages": [CALLING, *QUESTION]}, "did not have response messages: call_1", "messages"),
        ({"messages": [CALLING]}, "did not have response messages: call_1", "messages"),
        ({"temperature": 3}, "expected a value between 0 and 2, but got 3", "temperature"),
        ({"temperature": "hot"}, "expected a decimal, but got a string", "temperature"),
        ({"max_tokens": 0}, "expected a value >= 1, but got 0", "max_tokens"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "at the same time is not supported", "max_tokens"),
        ({"n": 2}, "'n' must be 1 here", "n"),
        ({"stop": ["a"] * 5}, "expected 1 to 4 sequences", "stop"),
        ({"tools": []}, "Invalid 'tools': empty array", "tools"),
        ({"tools": [{"type": "function"}]}, "expected an object, but got null", "tools[0].function"),
        (
            {"tools": [{"type": "function", "function": {"name": "get weather"}}]},
            "letters, digits, underscores or dashes",
            "tools[0].function.name",
        ),
        ({"tool_choice": "auto"}, "only allowed when 'tools' are specified", "tool_choice"),
        ({"tools": [WEATHER_TOOL], "tool_choice": "some"}, "expected 'none', 'auto', 'required'", "tool_choice"),
        (
            {"tools": [WEATHER_TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
            "is not among the 'tools'",
            "tool_choice",
        ),
        ({"response_format": {"type": "json_object"}}, "must contain the word 'json'", "messages"),
        ({"response_format": {"type": "xml"}}, "'json_schema', but got 'xml'", "response_format.type"),
        ({"stream_options": {"include_usage": True}}, "only allowed when 'stream' is enabled", "stream_options"),
        ({"stream": "yes"}, "expected a boolean, but got a string", "stream"),
        ({"functions": []}, "use 'tools', which replaced it", "functions"),
        ({"temprature": 1}, "Unrecognized request argument supplied: temprature", None),
        ({"model": None}, "Missing required parameter: 'model'", "model"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    server: PracticeServer, client: Any, changes: dict[str, Any], message: str, param: str | None
) -> None:
    body = {"model": server.model, "messages": QUESTION, **changes}
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", body=body, cast_to=object)
    error: Any = caught.value.body
    assert message in error["message"]
    assert (error["param"], error["type"]) == (param, "invalid_request_error")
    (request,) = server.journal
    assert (request.status, request.input_tokens) == (400, 0)


def test_answered_tool_calls_are_in_order(server: PracticeServer, client: Any) -> None:
    messages: Any = [*QUESTION, CALLING, RESULT]
    assert client.chat.completions.create(model=server.model, messages=messages).choices[0].message.content


# --- retries, timeouts, clients that leave


def test_the_sdk_waits_as_long_as_a_429_says(server: PracticeServer) -> None:
    server.configure(faults=[Fault(429, times=2, retry_after=0.2)])
    with openai.OpenAI(max_retries=2) as client:
        client.chat.completions.create(model=server.model, messages=QUESTION)
    journal = server.journal
    assert [request.status for request in journal] == [429, 429, 200]
    waits = [later.arrived - (earlier.finished or 0) for earlier, later in itertools.pairwise(journal)]
    assert all(0.2 <= wait < 0.4 for wait in waits)


def test_a_rate_limit_lets_everybody_in_who_waits(server: PracticeServer) -> None:
    server.configure(requests_per_minute=600)

    async def main() -> None:
        async with openai.AsyncOpenAI(max_retries=10) as client:
            create = client.chat.completions.create
            await asyncio.gather(*(create(model=server.model, messages=QUESTION) for _ in range(14)))

    asyncio.run(main())
    statuses = [request.status for request in server.journal]
    assert statuses.count(200) == 14
    assert statuses.count(429) >= 4


def test_a_used_up_quota_looks_like_a_rate_limit_and_is_retried(server: PracticeServer) -> None:
    server.configure(faults=[Fault("quota", times=9)])
    with openai.OpenAI(max_retries=1) as client, pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model=server.model, messages=QUESTION)
    assert (caught.value.code, caught.value.type) == ("insufficient_quota", "insufficient_quota")
    assert "retry-after" not in caught.value.response.headers
    assert [(request.status, request.fault) for request in server.journal] == [(429, "quota")] * 2


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (404, "NotFoundError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
        (503, "InternalServerError"),
        (529, "InternalServerError"),
        ("hang", "APITimeoutError"),
        ("drop", "APIConnectionError"),
        ("drop_midstream", "APIConnectionError"),
    ],
)
def test_faults_raise_what_they_raise_in_production(server: PracticeServer, kind: Any, error: str) -> None:
    server.configure(faults=[Fault(kind)])
    raises = pytest.raises(getattr(openai, error))
    with openai.OpenAI(max_retries=0, timeout=0.3 if kind == "hang" else 20) as client, raises:
        client.chat.completions.create(model=server.model, messages=QUESTION)


def test_a_stream_that_is_truncated_ends_without_a_reason(server: PracticeServer, client: Any) -> None:
    server.configure(faults=[Fault("truncate")])
    chunks = list(client.chat.completions.create(model=server.model, messages=QUESTION, stream=True))
    assert chunks and all(chunk.choices[0].finish_reason is None for chunk in chunks)


def test_a_stream_that_breaks_raises_after_what_came_before(server: PracticeServer, client: Any) -> None:
    server.configure(tokens_per_second=500, faults=[Fault("drop_midstream")])
    received = []
    with pytest.raises(Exception) as caught:
        for chunk in client.chat.completions.create(model=server.model, messages=QUESTION, stream=True):
            received.append(chunk)
    assert received
    assert "peer closed connection" in str(caught.value) or isinstance(caught.value, openai.APIConnectionError)


def aborted(server: PracticeServer) -> bool:
    for _ in range(200):
        if server.journal[-1].finished is not None:
            return server.journal[-1].aborted
        time.sleep(0.01)
    raise AssertionError("the request never ended")


def test_cancel_timeout_and_close_are_seen_by_the_server(server: PracticeServer) -> None:
    server.configure(latency=0.5, tokens_per_second=20)

    async def cancelled() -> None:
        async with openai.AsyncOpenAI() as client:
            create = client.chat.completions.create
            task = asyncio.create_task(create(model=server.model, messages=QUESTION))
            while not await asyncio.to_thread(lambda: server.journal):
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert await asyncio.to_thread(aborted, server)

    async def timed_out() -> None:
        async with openai.AsyncOpenAI(max_retries=0, timeout=0.2) as client:
            with pytest.raises(openai.APITimeoutError):
                await client.chat.completions.create(model=server.model, messages=QUESTION)
        assert await asyncio.to_thread(aborted, server)

    async def broken_off() -> None:
        async with openai.AsyncOpenAI() as client:
            stream: Any = await client.chat.completions.create(model=server.model, messages=QUESTION, stream=True)
            async for _ in stream:
                break
            await stream.close()
            assert await asyncio.to_thread(aborted, server)

    for leave in (cancelled, timed_out, broken_off):
        server.reset()
        asyncio.run(leave())
    (request,) = server.journal
    assert request.output_tokens < 20
