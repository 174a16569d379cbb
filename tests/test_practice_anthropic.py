"""Anthropic's wire format, with Anthropic's own SDK and with LangChain's ChatAnthropic."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from awaitsee.practice import Fault, PracticeServer

if TYPE_CHECKING:  # made before the first test: tests/lazily.py
    import anthropic
    import httpx
    import openai
    from langchain_anthropic import ChatAnthropic
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
    from langchain_core.tools import tool

QUESTION: Any = [{"role": "user", "content": "What is a semaphore?"}]
TWO_CITIES: list[dict[str, Any]] = [{"role": "user", "content": "What is the weather in Paris and in Rome?"}]
WEATHER_TOOL: Any = {
    "name": "get_weather",
    "description": "Get the weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all: every ChatAnthropic shares one HTTP client, whose connections belong to the first."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def client(server: PracticeServer) -> Iterator[Any]:
    with anthropic.Anthropic(max_retries=0) as client:
        yield client


@pytest.fixture
def get_weather() -> Any:
    """LangChain's tool of that name."""

    def get_weather(city: str) -> str:
        """Get the weather in a city."""
        return f"{city}: 21 degrees"

    return tool(get_weather)


class Summary(BaseModel):
    topic: str
    facts: list[str]


def ask(client: Any, messages: Any = QUESTION, **more: Any) -> Any:
    """Return the message for a request whose model and length are the usual ones."""
    return client.messages.create(**{"model": "practice-1", "max_tokens": 1000, "messages": messages, **more})


def said(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


# --- messages


def test_sync_and_async_give_the_same_answer(server: PracticeServer, client: Any) -> None:
    async def there() -> Any:
        async with anthropic.AsyncAnthropic() as asynchronous:
            return await asynchronous.messages.create(model=server.model, max_tokens=1000, messages=QUESTION)

    here, other = ask(client), asyncio.run(there())
    assert here.content == other.content
    assert (here.type, here.role, here.model, here.stop_reason) == ("message", "assistant", server.model, "end_turn")
    assert here.id != other.id and here.id.startswith("msg_")
    assert here._request_id.startswith("req_")
    recorded = server.journal[0]
    assert (here.usage.input_tokens, here.usage.output_tokens) == (recorded.input_tokens, recorded.output_tokens)
    assert recorded.model == server.model


def test_it_says_the_same_as_in_openais_format(server: PracticeServer, client: Any) -> None:
    system = "Answer in one sentence."
    conversation = [*QUESTION, {"role": "assistant", "content": "It limits."}, {"role": "user", "content": "And why?"}]
    with openai.OpenAI() as other:
        for messages in (QUESTION, conversation):
            asked: Any = [{"role": "system", "content": system}, *messages]
            theirs = other.chat.completions.create(model=server.model, messages=asked)
            blocks = [{**message, "content": [{"type": "text", "text": message["content"]}]} for message in messages]
            for given in (messages, blocks):
                for prompt in (system, [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]):
                    ours = ask(client, given, system=prompt)
                    assert said(ours) == theirs.choices[0].message.content
                    assert theirs.usage is not None
                    assert ours.usage.input_tokens == theirs.usage.prompt_tokens


def test_a_stream_has_the_providers_events_and_joins_to_the_whole_answer(server: PracticeServer, client: Any) -> None:
    whole = ask(client)
    with client.messages.stream(model=server.model, max_tokens=1000, messages=QUESTION) as stream:
        assert "".join(stream.text_stream) == said(whole)
        final = stream.get_final_message()
    assert (final.content[0].text, final.stop_reason) == (said(whole), "end_turn")
    assert (final.usage.input_tokens, final.usage.output_tokens) == (
        whole.usage.input_tokens,
        whole.usage.output_tokens,
    )
    assert server.journal[1].output_tokens == whole.usage.output_tokens
    events = list(ask(client, stream=True))
    kinds = [kind for kind, _ in itertools.groupby(event.type for event in events)]
    assert kinds == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert (events[0].message.content, events[0].message.stop_reason) == ([], None)
    assert len(events) > 15


def test_the_events_on_the_wire(server: PracticeServer) -> None:
    headers = {"x-api-key": "practice", "anthropic-version": "2023-06-01"}
    body = {"model": server.model, "max_tokens": 100, "messages": QUESTION, "stream": True}
    response = httpx.post(f"{server.url}/v1/messages", json=body, headers=headers)
    assert response.headers["content-type"].startswith("text/event-stream")
    parts = [part.split("\n") for part in response.text.removesuffix("\n\n").split("\n\n")]
    for name, data in parts:
        assert name.removeprefix("event: ") == json.loads(data.removeprefix("data: "))["type"]
    assert [name for name, _ in parts[:3]] == ["event: message_start", "event: content_block_start", "event: ping"]


def test_max_tokens_and_stop_sequences_end_an_answer(server: PracticeServer, client: Any) -> None:
    whole = said(ask(client))
    short = ask(client, max_tokens=5)
    assert (short.stop_reason, short.usage.output_tokens) == ("max_tokens", 5)
    assert whole.startswith(said(short))
    word = whole.split()[4]
    stopped = ask(client, stop_sequences=["no such word", word])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", word)
    assert said(stopped) == whole[: whole.index(word)]
    with client.messages.stream(
        model=server.model, max_tokens=1000, messages=QUESTION, stop_sequences=[word]
    ) as stream:
        assert stream.get_final_message().stop_sequence == word
    assert ask(client, stop_sequences=[whole[:3]]).content == []


def test_parallel_tool_calls_and_their_results(server: PracticeServer, client: Any) -> None:
    asked = ask(client, TWO_CITIES, tools=[WEATHER_TOOL])
    calls = [block for block in asked.content if block.type == "tool_use"]
    assert asked.stop_reason == "tool_use"
    assert [call.input for call in calls] == [{"city": "Paris"}, {"city": "Rome"}]
    assert all(call.id.startswith("toolu_") for call in calls)
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": f"{call.input['city']}: 21 degrees"}
        for call in calls
    ]
    history = [*TWO_CITIES, {"role": "assistant", "content": asked.content}]
    answer = ask(client, [*history, {"role": "user", "content": results}], tools=[WEATHER_TOOL])
    assert answer.stop_reason == "end_turn" and "21" in said(answer)
    in_blocks = [{**result, "content": [{"type": "text", "text": result["content"]}]} for result in results]
    same = ask(client, [*history, {"role": "user", "content": in_blocks}], tools=[WEATHER_TOOL])
    assert said(same) == said(answer)
    failed = [{**results[0], "content": "no such station", "is_error": True}, results[1]]
    told = ask(client, [*history, {"role": "user", "content": failed}], tools=[WEATHER_TOOL])
    assert "failed" in said(told) and "no such station" in said(told)


def test_tool_choice(server: PracticeServer, client: Any) -> None:
    def calls(messages: Any, choice: Any) -> list[str]:
        answer = ask(client, messages, tools=[WEATHER_TOOL], tool_choice=choice)
        return [block.name for block in answer.content if block.type == "tool_use"]

    assert calls(TWO_CITIES, {"type": "auto"}) == ["get_weather"] * 2
    assert calls(TWO_CITIES, {"type": "auto", "disable_parallel_tool_use": True}) == ["get_weather"]
    assert calls(TWO_CITIES, {"type": "none"}) == []
    assert calls(QUESTION, {"type": "auto"}) == []
    assert calls(QUESTION, {"type": "any"}) == ["get_weather"]
    assert calls(QUESTION, {"type": "tool", "name": "get_weather"}) == ["get_weather"]


def test_streamed_tool_calls_come_with_their_input_in_pieces(server: PracticeServer, client: Any) -> None:
    whole = ask(client, TWO_CITIES, tools=[WEATHER_TOOL])
    pieces = 0
    with client.messages.stream(
        model=server.model, max_tokens=1000, messages=TWO_CITIES, tools=[WEATHER_TOOL]
    ) as stream:
        for event in stream:
            pieces += event.type == "input_json"
        final = stream.get_final_message()
    assert final.content == whole.content
    assert pieces > 2 * len(whole.content)
    assert final.usage.output_tokens == whole.usage.output_tokens == server.journal[-1].output_tokens


def test_structured_output(server: PracticeServer, client: Any) -> None:
    parsed = client.messages.parse(model=server.model, max_tokens=1000, messages=QUESTION, output_format=Summary)
    assert isinstance(parsed.parsed_output, Summary)
    assert "semaphore" in parsed.parsed_output.topic.lower()


def test_tokens_are_counted_and_not_billed(server: PracticeServer, client: Any) -> None:
    counted = client.messages.count_tokens(
        model=server.model, messages=TWO_CITIES, system="Be brief.", tools=[WEATHER_TOOL]
    )
    assert server.bill().input_tokens == 0
    answer = ask(client, TWO_CITIES, system="Be brief.", tools=[WEATHER_TOOL])
    assert counted.input_tokens == answer.usage.input_tokens > 0
    with pytest.raises(anthropic.BadRequestError, match="max_tokens: Extra inputs are not permitted"):
        client.messages.count_tokens(model=server.model, messages=QUESTION, extra_body={"max_tokens": 5})


def test_each_client_sees_the_models_in_its_own_shape(server: PracticeServer, client: Any) -> None:
    assert [(card.id, card.type, card.lifecycle) for card in client.models.list()] == [
        (server.model, "model", "active")
    ]
    assert client.models.retrieve(server.model).display_name
    with pytest.raises(anthropic.NotFoundError, match="model: claude-17"):
        client.models.retrieve("claude-17")
    with openai.OpenAI() as other:
        assert other.models.retrieve(server.model).object == "model"


def test_thinking_may_be_adaptive_and_comes_to_nothing(server: PracticeServer, client: Any) -> None:
    for thinking in ({"type": "adaptive"}, {"type": "disabled"}):
        answer = ask(client, thinking=thinking, output_config={"effort": "high"})
        assert [block.type for block in answer.content] == ["text"]
    with pytest.raises(anthropic.BadRequestError, match=r"thinking\.type\.adaptive"):
        ask(client, thinking={"type": "enabled", "budget_tokens": 1024})
    with pytest.raises(anthropic.BadRequestError, match="Thinking may not be enabled when tool_choice forces"):
        ask(client, thinking={"type": "adaptive"}, tools=[WEATHER_TOOL], tool_choice={"type": "any"})


# --- LangChain


def test_chat_anthropic(server: PracticeServer, runner: asyncio.Runner) -> None:
    async def main() -> None:
        llm: Any = ChatAnthropic(model=server.model)  # type: ignore[call-arg]
        answer = await llm.ainvoke("What is a semaphore?")
        joined: Any = None
        async for chunk in llm.astream("What is a semaphore?"):
            joined = chunk if joined is None else joined + chunk
        assert joined.content == answer.content
        usage = {name: answer.usage_metadata[name] for name in ("input_tokens", "output_tokens", "total_tokens")}
        assert usage == {name: joined.usage_metadata[name] for name in usage}
        assert usage["output_tokens"] == server.journal[0].output_tokens > 0
        assert answer.response_metadata["stop_reason"] == joined.response_metadata["stop_reason"] == "end_turn"
        for method in ("function_calling", "json_schema"):
            summary = await llm.with_structured_output(Summary, method=method).ainvoke("What is a semaphore?")
            assert isinstance(summary, Summary)
        assert len(await llm.abatch([f"What is a semaphore of {number}?" for number in range(5)])) == 5
        assert llm.get_num_tokens_from_messages([HumanMessage("What is a semaphore?")]) == usage["input_tokens"]

    runner.run(main())


def test_a_round_trip_with_tools_in_langchain(server: PracticeServer, runner: asyncio.Runner, get_weather: Any) -> None:
    async def main() -> None:
        chat: Any = ChatAnthropic(model=server.model)  # type: ignore[call-arg]
        llm = chat.bind_tools([get_weather])
        messages: list[Any] = [SystemMessage("Be brief."), HumanMessage(TWO_CITIES[0]["content"])]
        called: Any = await llm.ainvoke(messages)
        assert [call["args"] for call in called.tool_calls] == [{"city": "Paris"}, {"city": "Rome"}]
        together: Any = None
        async for chunk in llm.astream(messages):
            together = chunk if together is None else together + chunk
        assert [call["args"] for call in together.tool_calls] == [call["args"] for call in called.tool_calls]
        results = await asyncio.gather(*(get_weather.ainvoke(call) for call in called.tool_calls))
        answer = await llm.ainvoke([*messages, called, *results])
        assert not answer.tool_calls
        assert "Paris" in str(answer.content) and "Rome" in str(answer.content)
        one_call = chat.bind_tools([get_weather], tool_choice="any", parallel_tool_calls=False)
        single: Any = await one_call.ainvoke(messages)
        assert len(single.tool_calls) == 1

    runner.run(main())


def test_a_missing_tool_result_is_refused_in_langchain_too(server: PracticeServer) -> None:
    llm = ChatAnthropic(model=server.model)  # type: ignore[call-arg]
    call = {"id": "call_1", "name": "get_weather", "args": {"city": "Rome"}}
    history = [HumanMessage("Rome?"), AIMessage("", tool_calls=[call])]
    with pytest.raises(anthropic.BadRequestError, match="without `tool_result` blocks immediately after: call_1"):
        llm.invoke([*history, HumanMessage("And Paris?")])
    assert llm.invoke([*history, ToolMessage("sunny", tool_call_id="call_1"), HumanMessage("Thanks.")]).content


def test_a_temperature_is_refused_by_the_newest_version_only(server: PracticeServer, client: Any) -> None:
    with pytest.raises(anthropic.BadRequestError, match="temperature: Extra inputs are not permitted"):
        ChatAnthropic(model=server.model, temperature=0).invoke("What is a semaphore?")  # type: ignore[call-arg]
    older = {"anthropic-version": "2023-06-01"}
    assert ask(client, extra_body={"temperature": 0.5, "top_k": 5}, extra_headers=older).content
    with pytest.raises(anthropic.BadRequestError, match=r"temperature: range: 0\.\.1"):
        ask(client, extra_body={"temperature": 2}, extra_headers=older)


# --- refusals


def test_keys_and_versions(server: PracticeServer, client: Any) -> None:
    def post(**headers: str) -> tuple[int, str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = {"model": server.model, "max_tokens": 10, "messages": QUESTION}
        response = httpx.post(f"{server.url}/v1/messages", json=body, headers=named)
        error = response.json().get("error", {})
        return response.status_code, error.get("type", "") + ": " + error.get("message", "")

    version = "2023-06-01"
    assert post(x_api_key="practice", anthropic_version=version)[0] == 200
    assert post(authorization="Bearer practice", anthropic_version=version)[0] == 200
    missing = post(anthropic_version=version)
    assert missing[0] == 401 and "authentication_error: x-api-key header is required" in missing[1]
    assert post(x_api_key="wrong-key", anthropic_version=version) == (401, "authentication_error: invalid x-api-key")
    assert post(authorization="Bearer wrong", anthropic_version=version)[1].endswith("Invalid bearer token")
    assert post(x_api_key="practice") == (400, "invalid_request_error: anthropic-version: header is required")
    assert "is not a valid version" in post(x_api_key="practice", anthropic_version="latest")[1]
    with anthropic.Anthropic(api_key="wrong-key") as other, pytest.raises(anthropic.AuthenticationError):
        ask(other)


def test_paths_and_methods_in_anthropics_words(server: PracticeServer, client: Any) -> None:
    def refused(method: str, path: str, **headers: str) -> tuple[int, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = httpx.request(method, server.url + path, headers=named)
        return response.status_code, response.json()

    status, body = refused("GET", "/v1/messages/nothing")
    assert (status, body["type"], body["error"]["type"]) == (404, "error", "not_found_error")
    assert body["request_id"].startswith("req_")
    assert refused("GET", "/v1/messages")[0] == 405
    assert (
        refused("GET", "/v1/models/x/y", anthropic_version="2026-10-21")[1]["error"]["type"] == "authentication_error"
    )
    with (
        anthropic.Anthropic(base_url=f"{server.url}/v1", max_retries=0) as other,
        pytest.raises(anthropic.NotFoundError, match="the base URL must not end in /v1"),
    ):
        ask(other)
    with pytest.raises(anthropic.NotFoundError, match="message batches"):
        client.messages.batches.create(requests=[])
    with pytest.raises(anthropic.NotFoundError, match="model: claude-17") as caught:
        ask(client, model="claude-17")
    assert caught.value.type == "not_found_error"
    assert caught.value.request_id is not None


CALL = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Rome"}}
CALLING = {"role": "assistant", "content": [CALL]}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}
LATE = [{"type": "text", "text": "here"}, RESULT]
FORMAT = {"type": "json_schema", "schema": {"type": "object", "properties": {}}}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"messages": []}, "messages: at least one message is required"),
        ({"messages": "hello"}, "messages: Input should be a valid list"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role: Input should be 'user'"),
        ({"messages": [{"content": "x"}]}, "messages.0.role: Field required"),
        ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages.0: all messages must have non-empty content"),
        ({"messages": [{"role": "user", "content": "x", "name": "y"}]}, "messages.0.name: Extra inputs"),
        ({"messages": [user({"type": "text", "text": ""})]}, "messages: text content blocks must be non-empty"),
        ({"messages": [user({"type": "text"})]}, "messages.0.content.0.text.text: Field required"),
        ({"messages": [user({"type": "image"})]}, "messages.0.content.0: Input tag 'image' found using 'type'"),
        ({"messages": [*QUESTION, {"role": "assistant", "content": "A"}]}, "not support assistant message prefill"),
        ({"messages": [*QUESTION, user(RESULT)]}, "messages.1.content.0: unexpected `tool_use_id` found"),
        ({"messages": [*QUESTION, CALLING, *QUESTION]}, "messages.1: `tool_use` ids were found without `tool_result`"),
        ({"messages": [*QUESTION, CALLING]}, "messages.1: `tool_use` ids were found without `tool_result`"),
        ({"messages": [*QUESTION, CALLING, user(*LATE)]}, "without `tool_result` blocks immediately after: toolu_1"),
        ({"messages": [*QUESTION, CALLING, user(RESULT, RESULT)]}, "each tool_use must have a single result"),
        ({"system": 5}, "system: Input should be a valid list"),
        ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
        ({"max_tokens": 100_000}, "max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens"),
        ({"max_tokens": "many"}, "max_tokens: Input should be a valid integer"),
        ({"stop_sequences": [" "]}, "stop_sequences: each stop sequence must contain non-whitespace"),
        ({"stream": "yes"}, "stream: Input should be a valid boolean"),
        ({"temprature": 1}, "temprature: Extra inputs are not permitted"),
        ({"tools": [{"name": "f"}]}, "tools.0.custom.input_schema: Field required"),
        ({"tools": [{**WEATHER_TOOL, "name": "get weather"}]}, "tools.0.custom.name: String should match pattern"),
        ({"tools": [WEATHER_TOOL, WEATHER_TOOL]}, "tools: Tool names must be unique"),
        ({"tools": [{"name": "f", "input_schema": {"type": "string"}}]}, "input_schema.type: Input should be 'object'"),
        ({"tools": [{"type": "web_search_20260209", "name": "web_search"}]}, "practice server has no tools of its own"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "with 'name', 'description' and 'input_schema'"),
        ({"tool_choice": {"type": "auto"}}, "tool_choice may only be specified while providing tools"),
        ({"tools": [WEATHER_TOOL], "tool_choice": "auto"}, "tool_choice: Input should be a valid dictionary"),
        ({"tools": [WEATHER_TOOL], "tool_choice": {"type": "some"}}, "tool_choice: Input tag 'some' found"),
        ({"tools": [WEATHER_TOOL], "tool_choice": {"type": "tool", "name": "f"}}, "Tool 'f' not found in provided"),
        ({"output_config": {"format": FORMAT}}, "'additionalProperties' must be explicitly set to false"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort: Input should be one of"),
        ({"output_format": FORMAT}, "use 'output_config.format', which replaced it"),
        ({"mcp_servers": []}, "the practice server calls no MCP servers"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_told_what_is_wrong(
    server: PracticeServer, client: Any, changes: dict[str, Any], message: str
) -> None:
    body = {"model": server.model, "max_tokens": 100, "messages": QUESTION, **changes}
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.post("/v1/messages", body=body, cast_to=object)
    assert caught.value.type == "invalid_request_error"
    assert message in str(caught.value.api_message)
    (request,) = server.journal
    assert (request.status, request.input_tokens) == (400, 0)


@pytest.mark.parametrize("name", ["model", "messages", "max_tokens"])
def test_what_is_missing_is_named(server: PracticeServer, client: Any, name: str) -> None:
    body = {"model": server.model, "max_tokens": 100, "messages": QUESTION}
    del body[name]
    with pytest.raises(anthropic.BadRequestError, match=f"{name}: Field required"):
        client.post("/v1/messages", body=body, cast_to=object)


# --- limits, faults, clients that leave


def test_rate_limits_are_told_in_anthropics_headers(server: PracticeServer, client: Any) -> None:
    server.configure(requests_per_minute=6)
    response = client.messages.with_raw_response.create(model=server.model, max_tokens=10, messages=QUESTION)
    name = "anthropic-ratelimit-requests"
    assert (response.headers[f"{name}-limit"], response.headers[f"{name}-remaining"]) == ("6", "0")
    assert datetime.fromisoformat(response.headers[f"{name}-reset"]).tzinfo is not None
    assert "x-ratelimit-limit-requests" not in response.headers
    with pytest.raises(anthropic.RateLimitError, match="6 requests per minute") as caught:
        ask(client)
    assert 0 < int(caught.value.response.headers["retry-after"]) <= 10
    assert caught.value.type == "rate_limit_error"


def test_the_sdk_waits_as_long_as_it_is_told(server: PracticeServer) -> None:
    # longer than the SDK would wait by itself, which is half a second at most
    server.configure(faults=[Fault(529, retry_after=0.7)])
    with anthropic.Anthropic() as client:
        ask(client)
    refused, answered = server.journal
    assert (refused.status, answered.status) == (529, 200)
    assert answered.arrived - (refused.finished or 0) >= 0.7


@pytest.mark.parametrize(
    ("kind", "error", "type"),
    [
        (400, "BadRequestError", "invalid_request_error"),
        (401, "AuthenticationError", "authentication_error"),
        (404, "NotFoundError", "not_found_error"),
        (429, "RateLimitError", "rate_limit_error"),
        (500, "InternalServerError", "api_error"),
        (503, "InternalServerError", "api_error"),
        (529, "OverloadedError", "overloaded_error"),
        ("quota", "BadRequestError", "invalid_request_error"),
        ("hang", "APITimeoutError", None),
        ("drop", "APIConnectionError", None),
        ("drop_midstream", "APIConnectionError", None),
    ],
)
def test_faults_raise_what_they_raise_in_production(
    server: PracticeServer, kind: Any, error: str, type: str | None
) -> None:
    server.configure(faults=[Fault(kind)])
    with (
        anthropic.Anthropic(max_retries=0, timeout=0.3 if kind == "hang" else 20) as client,
        pytest.raises(getattr(anthropic, error)) as caught,
    ):
        ask(client)
    assert getattr(caught.value, "type", None) == type


def test_a_credit_that_is_used_up_is_not_retried(server: PracticeServer) -> None:
    server.configure(faults=[Fault("quota", times=9)])
    with anthropic.Anthropic() as client, pytest.raises(anthropic.BadRequestError, match="credit balance is too low"):
        ask(client)
    (request,) = server.journal
    assert (request.status, request.fault, request.input_tokens) == (400, "quota", 0)


def test_a_stream_that_is_truncated_ends_without_a_reason(server: PracticeServer, client: Any) -> None:
    server.configure(faults=[Fault("truncate")])
    events = list(ask(client, stream=True))
    assert events[-1].type == "content_block_delta"


def test_a_stream_that_breaks_raises_after_what_came_before(server: PracticeServer, client: Any) -> None:
    server.configure(tokens_per_second=500, faults=[Fault("drop_midstream")])
    received = []
    with pytest.raises(Exception) as caught:
        for event in ask(client, stream=True):
            received.append(event)
    assert received
    assert "peer closed connection" in str(caught.value) or isinstance(caught.value, anthropic.APIConnectionError)


def test_a_client_that_leaves_is_seen_by_the_server(server: PracticeServer) -> None:
    server.configure(tokens_per_second=20)

    async def leave() -> None:
        async with (
            anthropic.AsyncAnthropic() as client,
            client.messages.stream(model=server.model, max_tokens=1000, messages=QUESTION) as stream,
        ):
            async for _ in stream.text_stream:
                break

    asyncio.run(leave())
    for _ in range(200):
        (request,) = server.journal
        if request.finished is not None:
            break
        time.sleep(0.01)
    assert request.aborted
    assert request.output_tokens < 20
