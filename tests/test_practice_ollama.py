"""Ollama's wire format, with Ollama's own SDK and with LangChain's ChatOllama and OllamaEmbeddings."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import pytest
from pydantic import BaseModel

from awaitsee.practice import Fault, PracticeServer, practice_server

if TYPE_CHECKING:  # made before the first test: tests/lazily.py
    import httpx
    import ollama
    import openai
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool
    from langchain_ollama import ChatOllama, OllamaEmbeddings

QUESTION: Any = [{"role": "user", "content": "What is a semaphore?"}]
TWO_CITIES: Any = [{"role": "user", "content": "What is the weather in Paris and in Rome?"}]
WEATHER_TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def client(running: PracticeServer) -> Iterator[ollama.Client]:
    with ollama.Client() as client:
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


def post(server: PracticeServer, path: str, body: Any) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    # without TLS there is no need to read certificates for each request
    return httpx.post(server.url + path, content=content, verify=False)


# --- chat


def test_sync_and_async_give_the_same_answer_as_openais_format(server: PracticeServer, client: ollama.Client) -> None:
    async def ask() -> ollama.ChatResponse:
        async with ollama.AsyncClient() as asynchronous:
            answer: ollama.ChatResponse = await asynchronous.chat(server.model, QUESTION)
            return answer

    here, there = client.chat(server.model, QUESTION), asyncio.run(ask())
    assert here == there
    assert (here.model, here.done, here.done_reason) == (server.model, True, "stop")
    with openai.OpenAI() as other:
        theirs = other.chat.completions.create(model=server.model, messages=QUESTION)
    assert theirs.choices[0].message.content == here.message.content
    assert theirs.usage is not None
    assert (theirs.usage.prompt_tokens, theirs.usage.completion_tokens) == (here.prompt_eval_count, here.eval_count)
    assert (server.journal[0].input_tokens, server.journal[0].output_tokens) == (
        here.prompt_eval_count,
        here.eval_count,
    )


def test_a_stream_joins_to_the_whole_answer(server: PracticeServer, client: ollama.Client) -> None:
    whole = client.chat(server.model, QUESTION)
    *parts, last = client.chat(server.model, QUESTION, stream=True)
    assert "".join(part.message.content or "" for part in parts) == whole.message.content
    assert len(parts) == last.eval_count == whole.eval_count
    assert all(part.done is False and part.eval_count is None for part in parts)
    assert last.model_copy(update={"message": whole.message}) == whole

    async def stream() -> list[ollama.ChatResponse]:
        async with ollama.AsyncClient() as asynchronous:
            return [part async for part in await asynchronous.chat(server.model, QUESTION, stream=True)]

    assert asyncio.run(stream()) == [*parts, last]


def test_it_streams_lines_unless_told_otherwise(server: PracticeServer) -> None:
    body = {"model": server.model, "messages": QUESTION}
    streamed = post(server, "/api/chat", body)
    assert streamed.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in streamed.text.splitlines()]
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    whole = post(server, "/api/chat", {**body, "stream": False})
    assert whole.headers["content-type"] == "application/json; charset=utf-8"
    assert whole.json()["message"]["role"] == "assistant"


def test_every_run_gives_the_same_bytes(server: PracticeServer) -> None:
    body = {"model": server.model, "messages": TWO_CITIES, "tools": [WEATHER_TOOL]}
    first, second = post(server, "/api/chat", body), post(server, "/api/chat", body)
    assert first.content == second.content
    last = json.loads(first.text.splitlines()[-1])
    durations = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
    assert [last[name] for name in durations] == [0, 0, 0, 0]


@pytest.mark.parametrize("name", ["practice-1", "practice-1:latest", "library/Practice-1"])
def test_a_model_has_several_names(server: PracticeServer, client: ollama.Client, name: str) -> None:
    assert client.chat(name, QUESTION).model == name
    assert client.show(name).capabilities == ["completion", "tools"]
    assert server.journal[0].model == server.model


def test_options_end_an_answer(server: PracticeServer, client: ollama.Client) -> None:
    whole = client.chat(server.model, QUESTION).message.content or ""
    short = client.chat(server.model, QUESTION, options={"num_predict": 5})
    assert (short.done_reason, short.eval_count) == ("length", 5)
    assert whole.startswith(short.message.content or "no")
    word = whole.split()[4]
    stopped = client.chat(server.model, QUESTION, options=ollama.Options(stop=["no such word", word]))
    assert (stopped.message.content, stopped.done_reason) == (whole[: whole.index(word)], "stop")
    unlimited = client.chat(server.model, QUESTION, options={"num_predict": -1, "temperature": 0, "unheard_of": "x"})
    assert unlimited.message.content == whole


def test_a_system_prompt_is_followed(server: PracticeServer, client: ollama.Client) -> None:
    system = "Answer in one sentence."
    brief = client.chat(server.model, [{"role": "system", "content": system}, *QUESTION])
    assert (brief.message.content or "").count(".") < (client.chat(server.model, QUESTION).message.content or "").count(
        "."
    )
    assert client.generate(server.model, QUESTION[0]["content"], system=system).response == brief.message.content


def test_a_request_without_words_loads_or_unloads(server: PracticeServer, client: ollama.Client) -> None:
    assert client.chat(server.model).done_reason == "load"
    assert client.chat(server.model, keep_alive=0).done_reason == "unload"
    assert client.generate(server.model, keep_alive="10m").done_reason == "load"
    assert client.generate(server.model, keep_alive="0s").done_reason == "unload"
    (only,) = client.generate(server.model, stream=True)
    assert (only.response, only.done) == ("", True)
    assert server.bill().output_tokens == 0


# --- tools


def test_two_tool_calls_and_their_results(server: PracticeServer, client: ollama.Client) -> None:
    asked = client.chat(server.model, TWO_CITIES, tools=[WEATHER_TOOL])
    calls = asked.message.tool_calls or []
    assert [(call.function.name, call.function.arguments) for call in calls] == [
        ("get_weather", {"city": "Paris"}),
        ("get_weather", {"city": "Rome"}),
    ]
    assert (asked.done_reason, asked.message.content) == ("stop", "")
    results = [
        {"role": "tool", "tool_name": "get_weather", "content": f"{degrees} degrees"} for degrees in ("21", "28")
    ]
    messages = [*TWO_CITIES, asked.message, *results]
    answer = client.chat(server.model, messages, tools=[WEATHER_TOOL]).message
    assert answer.tool_calls is None
    assert "21" in (answer.content or "") and "28" in (answer.content or "")


def test_results_find_their_calls_by_id_by_name_or_by_order(server: PracticeServer) -> None:
    def ask(*results: dict[str, str]) -> str:
        asking = [
            {"id": "a", "function": {"name": "get_weather", "arguments": {"city": "Rome"}}},
            {"id": "b", "function": {"name": "search_web", "arguments": {"query": "semaphore"}}},
        ]
        assistant = {"role": "assistant", "tool_calls": asking}
        messages = [*TWO_CITIES, assistant, *({"role": "tool", **result} for result in results)]
        return str(post(server, "/api/chat", {"model": server.model, "messages": messages, "stream": False}).json())

    broken = {"content": "Error: no route"}
    for named in ({"tool_call_id": "b"}, {"tool_name": "search_web"}):
        assert "The tool search_web failed" in ask({**broken, **named})
    assert "The tool get_weather failed" in ask(broken)
    assert "The tool search_web failed" in ask({"content": "sunny"}, broken)


def test_a_tool_result_that_nobody_asked_for_is_taken(server: PracticeServer, client: ollama.Client) -> None:
    stray = {"role": "tool", "tool_name": "get_weather", "content": "sunny"}
    assert client.chat(server.model, [*QUESTION, stray]).message.content


def test_each_streamed_tool_call_is_whole(server: PracticeServer, client: ollama.Client) -> None:
    def tools_of(part: ollama.ChatResponse) -> list[Any]:
        return [call.function.arguments for call in part.message.tool_calls or []]

    *parts, last = client.chat(server.model, TWO_CITIES, tools=[WEATHER_TOOL], stream=True)
    assert [tools_of(part) for part in parts] == [[{"city": "Paris"}], [{"city": "Rome"}]]
    assert (last.done_reason, last.message.tool_calls) == ("stop", None)
    assert last.eval_count == client.chat(server.model, TWO_CITIES, tools=[WEATHER_TOOL]).eval_count


def test_a_function_may_be_the_tool(server: PracticeServer, client: ollama.Client) -> None:
    def get_weather(city: str) -> str:
        """Get the weather in a city.

        Args:
            city: Where.
        """
        return "sunny"

    calls = client.chat(server.model, TWO_CITIES, tools=[get_weather]).message.tool_calls or []
    assert [call.function.arguments["city"] for call in calls] == ["Paris", "Rome"]


# --- structured output


def test_formats(server: PracticeServer, client: ollama.Client) -> None:
    shaped = client.chat(server.model, QUESTION, format=Summary.model_json_schema())
    assert Summary.model_validate_json(shaped.message.content or "").facts
    generated = client.generate(server.model, QUESTION[0]["content"], format=Summary.model_json_schema())
    assert generated.response == shaped.message.content
    loose = client.chat(server.model, QUESTION, format="json")
    assert isinstance(json.loads(loose.message.content or ""), dict)
    assert client.chat(server.model, QUESTION, format="") == client.chat(server.model, QUESTION)


# --- generate


def test_generate_answers_as_chat_does(server: PracticeServer, client: ollama.Client) -> None:
    asked = QUESTION[0]["content"]
    whole = client.generate(server.model, asked)
    assert whole.response == client.chat(server.model, QUESTION).message.content
    *parts, last = client.generate(server.model, asked, stream=True)
    assert "".join(part.response or "" for part in parts) == whole.response
    assert (last.done_reason, last.eval_count) == ("stop", len(parts))
    assert client.generate(server.model, asked, raw=True).response == whole.response


# --- embeddings


def test_embeddings_are_those_of_openais_format(server: PracticeServer, client: ollama.Client) -> None:
    texts = ["a lock", "the weather in Rome"]
    found = client.embed(server.embedding_model, texts)
    with openai.OpenAI() as other:
        theirs = other.embeddings.create(model=server.embedding_model, input=texts, encoding_format="float")
        small = other.embeddings.create(model=server.embedding_model, input="a lock", dimensions=32)
    assert found.embeddings == [entry.embedding for entry in theirs.data]
    assert found.prompt_eval_count == theirs.usage.total_tokens == server.journal[0].input_tokens
    assert client.embed(server.embedding_model, "a lock").embeddings == found.embeddings[:1]
    assert client.embeddings(server.embedding_model, "a lock").embedding == found.embeddings[0]
    shorter = client.embed(server.embedding_model, "a lock", dimensions=32).embeddings[0]
    assert shorter == pytest.approx(small.data[0].embedding, rel=1e-6)
    assert len(client.embed(server.embedding_model, "a lock", dimensions=10**6).embeddings[0]) == 256
    assert client.embed(server.embedding_model, "").embeddings == client.embed(server.embedding_model, []).embeddings
    assert client.embeddings(server.embedding_model, "").embedding == []


# --- models


def test_models(server: PracticeServer, client: ollama.Client) -> None:
    names = [f"{server.model}:latest", f"{server.embedding_model}:latest"]
    assert [card.model for card in client.list().models] == names
    assert [card.name for card in client.ps().models] == names
    shown = client.show(server.embedding_model)
    assert shown.capabilities == ["embedding"]
    assert shown.modelinfo is not None and shown.modelinfo["practice.embedding_length"] == 256
    assert httpx.get(f"{server.url}/api/version").json()["version"].startswith("0.")
    assert httpx.head(f"{server.url}/api/tags").status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        lambda client: client.pull("llama3.2"),
        lambda client: list(client.pull("llama3.2", stream=True)),
        lambda client: client.push("llama3.2"),
        lambda client: client.create("mine", from_="llama3.2"),
        lambda client: client.copy("practice-1", "mine"),
        lambda client: client.delete("practice-1"),
    ],
)
def test_the_models_cannot_be_changed(server: PracticeServer, client: ollama.Client, change: Any) -> None:
    with pytest.raises(ollama.ResponseError, match="are built in and cannot be changed") as caught:
        change(client)
    assert caught.value.status_code == 403


# --- LangChain


def test_chat_ollama(server: PracticeServer, client: ollama.Client) -> None:
    async def main() -> None:
        llm = ChatOllama(model=server.model, validate_model_on_init=True)
        answer = await llm.ainvoke("What is a semaphore?")
        assert answer.content == client.chat(server.model, QUESTION).message.content
        usage = answer.usage_metadata
        assert usage is not None and usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 20
        joined: Any = None
        async for chunk in llm.astream("What is a semaphore?"):
            joined = chunk if joined is None else joined + chunk
        assert (joined.content, joined.usage_metadata) == (answer.content, usage)
        assert joined.response_metadata["done_reason"] == "stop"
        answers = await llm.abatch([f"What is a semaphore of {number}?" for number in range(5)])
        assert len(answers) == 5
        assert threading.active_count() == before

    before = threading.active_count()
    asyncio.run(main())


def test_tools_with_chat_ollama(server: PracticeServer, get_weather: Any) -> None:
    async def main() -> None:
        llm = ChatOllama(model=server.model).bind_tools([get_weather])
        asked = HumanMessage("What is the weather in Paris and in Rome?")
        called: Any = await llm.ainvoke([asked])
        assert [call["args"] for call in called.tool_calls] == [{"city": "Paris"}, {"city": "Rome"}]
        together: Any = None
        async for chunk in llm.astream([asked]):
            together = chunk if together is None else together + chunk
        assert [call["args"] for call in together.tool_calls] == [call["args"] for call in called.tool_calls]
        results = [
            ToolMessage(f"{degrees} degrees", tool_call_id=call["id"])
            for call, degrees in zip(called.tool_calls, (21, 28), strict=True)
        ]
        answer = await llm.ainvoke([asked, called, *results])
        assert not answer.tool_calls and "21" in str(answer.content) and "28" in str(answer.content)

    asyncio.run(main())


def test_structured_output_with_chat_ollama(server: PracticeServer) -> None:
    structured = ChatOllama(model=server.model).with_structured_output(Summary)
    summary = asyncio.run(structured.ainvoke("What is a semaphore?"))
    assert isinstance(summary, Summary) and "semaphore" in summary.topic.lower()


def test_an_unknown_model_is_found_out_when_the_class_is_made(server: PracticeServer) -> None:
    with pytest.raises(ValueError, match=f"not found in Ollama.*{server.model}:latest"):
        ChatOllama(model="llama3.2", validate_model_on_init=True)


def test_ollama_embeddings(server: PracticeServer, client: ollama.Client) -> None:
    embeddings = OllamaEmbeddings(model=server.embedding_model, validate_model_on_init=True)
    texts = ["a lock", "the weather in Rome"]
    vectors = asyncio.run(embeddings.aembed_documents(texts))
    assert vectors == embeddings.embed_documents(texts) == client.embed(server.embedding_model, texts).embeddings
    assert embeddings.embed_query("a lock") == vectors[0]


# --- refusals


def test_an_unknown_model_is_not_found(server: PracticeServer, client: ollama.Client) -> None:
    for ask in (
        lambda: client.chat("llama3.2", QUESTION),
        lambda: list(client.chat("llama3.2", QUESTION, stream=True)),
        lambda: client.generate("llama3.2", "hello"),
        lambda: client.show("llama3.2"),
    ):
        with pytest.raises(ollama.ResponseError) as caught:
            ask()
        assert (caught.value.status_code, caught.value.error) == (404, "model 'llama3.2' not found")
    with pytest.raises(ollama.ResponseError, match=r'model "llama3\.2" not found, try pulling it first'):
        client.embed("llama3.2", "hello")


def test_a_model_does_what_it_can(server: PracticeServer, client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match='"practice-embedding-1" does not support chat'):
        client.chat(server.embedding_model, QUESTION)
    with pytest.raises(ollama.ResponseError, match='"practice-embedding-1" does not support generate'):
        client.generate(server.embedding_model, "hello")
    with pytest.raises(ollama.ResponseError, match="this model does not support embeddings") as caught:
        client.embed(server.model, "hello")
    assert caught.value.status_code == 501


def test_no_key_is_needed_and_none_refused(server: PracticeServer) -> None:
    with ollama.Client(headers={"authorization": "Bearer wrong-key"}) as client:
        assert client.chat(server.model, QUESTION).done


CALL = {"function": {"name": "get_weather", "arguments": '{"city": "Rome"}'}}
BLOCKS = [{"type": "text", "text": "hello"}]
STRUCT = "into Go struct field ChatRequest"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": None}, "model is required"),
        ({"model": 5}, f"json: cannot unmarshal number 5 {STRUCT}.model of type string"),
        ({"messages": "hello"}, f"cannot unmarshal string {STRUCT}.messages of type []api.Message"),
        ({"messages": ["hello"]}, f"cannot unmarshal string {STRUCT}.messages of type api.Message"),
        (
            {"messages": [{"role": "user", "content": BLOCKS}]},
            f"cannot unmarshal array {STRUCT}.messages.content of type string",
        ),
        (
            {"messages": [{"role": "robot", "content": "x"}]},
            'invalid role: "robot", role must be one of [system, user, assistant, tool]',
        ),
        (
            {"messages": [{"role": "user", "content": "x", "images": ["aGVsbG8="]}]},
            "this model is missing data required for image input",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [CALL]}]},
            f"cannot unmarshal string {STRUCT}.messages.tool_calls.function.arguments "
            "of type api.ToolCallFunctionArguments",
        ),
        ({"stream": "yes"}, f"cannot unmarshal string {STRUCT}.stream of type bool"),
        ({"format": "xml"}, 'invalid format: "\\"xml\\""; expected "json" or a valid JSON Schema object'),
        ({"format": {"type": "array", "minItems": 10**9}}, "invalid JSON schema in format: 'minItems' must not be"),
        ({"think": True}, '"practice-1" does not support thinking'),
        ({"think": "high"}, '"practice-1" does not support thinking'),
        ({"think": "a lot"}, 'invalid think value: "a lot" (must be "high"'),
        ({"think": 3}, "think must be a boolean or string"),
        ({"keep_alive": "soon"}, 'time: invalid duration "soon"'),
        ({"keep_alive": "5"}, 'time: missing unit in duration "5"'),
        ({"keep_alive": True}, "Unsupported type: 'bool'"),
        ({"options": []}, f"cannot unmarshal array {STRUCT}.options of type map[string]interface {{}}"),
        ({"options": {"num_predict": "5"}}, 'option "num_predict" must be of type integer'),
        ({"options": {"temperature": True}}, 'option "temperature" must be of type float32'),
        ({"options": {"use_mmap": 1}}, 'option "use_mmap" must be of type boolean'),
        ({"options": {"stop": "END"}}, 'option "stop" must be of type array'),
        ({"options": {"stop": [5]}}, 'option "stop" must be of an array of strings'),
        ({"logprobs": True}, "the practice model has no log probabilities"),
        ({"top_logprobs": 21}, "top_logprobs must be between 0 and 20"),
        ({"tools": {}}, f"cannot unmarshal object {STRUCT}.tools of type api.Tools"),
        (
            {"tools": [{"function": {"name": "f", "parameters": []}}]},
            f"cannot unmarshal array {STRUCT}.tools.function.parameters of type api.ToolFunctionParameters",
        ),
        (
            {"tools": [{"function": {"name": "f", "parameters": {"required": [5]}}}]},
            f"cannot unmarshal number 5 {STRUCT}.tools.function.parameters.required of type string",
        ),
    ],
)
def test_a_wrong_chat_is_told_what_is_wrong(server: PracticeServer, changes: dict[str, Any], message: str) -> None:
    response = post(server, "/api/chat", {"model": server.model, "messages": QUESTION, **changes})
    assert response.status_code == 400
    assert list(response.json()) == ["error"]
    assert message in response.json()["error"]
    (request,) = server.journal
    assert (request.status, request.input_tokens) == (400, 0)


@pytest.mark.parametrize(
    ("path", "changes", "message"),
    [
        ("generate", {"suffix": "end"}, "practice-1:latest does not support insert"),
        ("generate", {"raw": True, "system": "x"}, "raw mode does not support template, system, or context"),
        ("generate", {"template": "{{ .Prompt }}"}, "template is not offered here"),
        ("generate", {"context": [1, 2]}, "context is not offered here: it is deprecated"),
        ("generate", {"images": ["aGVsbG8="]}, "this model is missing data required for image input"),
        ("generate", {"prompt": 5}, "cannot unmarshal number 5 into Go struct field GenerateRequest.prompt"),
        ("embed", {"input": 5}, "invalid input type"),
        ("embed", {"input": ["a", 5]}, "invalid input type"),
        ("embed", {"input": ["a"] * 2049}, "input must not hold more than 2048 texts"),
        ("embed", {"dimensions": 1.5}, "cannot unmarshal number 1.5 into Go struct field EmbedRequest.dimensions"),
        ("embeddings", {"prompt": ["a"]}, "cannot unmarshal array into Go struct field EmbeddingRequest.prompt"),
        ("show", {"model": None}, "model is required"),
    ],
)
def test_other_wrong_requests_too(server: PracticeServer, path: str, changes: dict[str, Any], message: str) -> None:
    name = server.embedding_model if path.startswith("embed") else server.model
    response = post(server, f"/api/{path}", {"model": name, "prompt": "hello", **changes})
    assert response.status_code == 400
    assert message in response.json()["error"]


def test_what_ollama_does_not_know_it_ignores(server: PracticeServer, client: ollama.Client) -> None:
    body = {"model": server.model, "messages": QUESTION, "stream": False}
    plain = post(server, "/api/chat", body).json()
    assert post(server, "/api/chat", {**body, "temperature": 3, "tool_choice": "required"}).json() == plain
    nameless = {"type": "function", "function": {"description": "x"}}
    assert post(server, "/api/chat", {**body, "tools": [nameless]}).json() == plain
    nothing = {"format": None, "options": None, "tools": None, "think": False, "keep_alive": -1, "truncate": True}
    assert post(server, "/api/chat", {**body, **nothing}).json() == plain


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/api/nothing", 404, "404 page not found"),
        ("GET", "/api/chat", 405, "405 method not allowed: use POST"),
        ("POST", "/api/chat", 400, "missing request body"),
        ("POST", "/api/blobs/sha256:00", 403, "does not offer /api/blobs"),
    ],
)
def test_wrong_paths_and_methods(server: PracticeServer, method: str, path: str, status: int, message: str) -> None:
    response = httpx.request(method, server.url + path, verify=False)
    assert response.status_code == status
    assert message in response.json()["error"]


def test_what_is_no_json_is_refused(server: PracticeServer) -> None:
    for body in (b"{", b"[]", b'"hello"', b'{"model": NaN}', b"\xff"):
        response = post(server, "/api/chat", body)
        assert (response.status_code, list(response.json())) == (400, ["error"])


# --- faults and limits


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        (400, 400, "invalid request"),
        (401, 401, "unauthorized"),
        (404, 404, "not found"),
        (429, 429, "too many concurrent requests"),
        (500, 500, "an error was encountered while running the model"),
        (503, 503, "server busy, please try again"),
        (529, 529, "Server overloaded"),
        ("quota", 429, "usage limit"),
    ],
)
def test_faults_are_response_errors_and_nobody_retries(
    server: PracticeServer, client: ollama.Client, kind: Any, status: int, message: str, stream: Literal[True, False]
) -> None:
    server.configure(faults=[Fault(kind)])
    with pytest.raises(ollama.ResponseError, match=message) as caught:
        list(client.chat(server.model, QUESTION, stream=stream))
    assert caught.value.status_code == status
    assert len(server.journal) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("hang", "ReadTimeout"),
        ("drop", "RemoteProtocolError"),
        ("drop_midstream", "RemoteProtocolError"),
    ],
)
def test_broken_connections_are_errors_of_httpx(server: PracticeServer, kind: Any, error: str, stream: bool) -> None:
    server.configure(faults=[Fault(kind)])
    raises = pytest.raises(getattr(httpx, error))
    with ollama.Client(timeout=0.3 if kind == "hang" else 20) as client, raises:
        list(client.chat(server.model, QUESTION, stream=stream))


def test_a_stream_that_is_truncated_ends_without_done(server: PracticeServer, client: ollama.Client) -> None:
    server.configure(faults=[Fault("truncate", times=2)])
    parts = list(client.chat(server.model, QUESTION, stream=True))
    assert parts and not any(part.done for part in parts)
    # which LangChain does not notice either
    answer = asyncio.run(ChatOllama(model=server.model).ainvoke("What is a semaphore?"))
    assert answer.content and answer.usage_metadata is None


def test_a_slow_tail_brings_the_whole_answer(server: PracticeServer, client: ollama.Client) -> None:
    whole = client.chat(server.model, QUESTION).message.content
    server.configure(tokens_per_second=2000, faults=[Fault("slow_tail", after=0.1)])
    parts = list(client.chat(server.model, QUESTION, stream=True))
    assert parts[-1].done and "".join(part.message.content or "" for part in parts) == whole


def test_limits_and_capacity_hold(server: PracticeServer) -> None:
    async def ask(client: ollama.AsyncClient) -> int:
        try:
            await client.chat(server.model, QUESTION)
        except ollama.ResponseError as error:
            assert "requests per minute" in error.error
            return error.status_code
        return 200

    async def main(count: int) -> list[int]:
        async with ollama.AsyncClient() as client:
            return list(await asyncio.gather(*(ask(client) for _ in range(count))))

    server.configure(requests_per_minute=60)
    assert sorted(set(asyncio.run(main(5)))) == [200, 429]
    response = post(server, "/api/chat", {"model": server.model, "messages": QUESTION})
    assert not [name for name in response.headers if "ratelimit" in name]
    practice_server(latency=0.05, capacity=2)
    assert asyncio.run(main(6)) == [200] * 6
    times = [(request.started or 0, request.finished or 0) for request in server.journal]
    assert max(sum(begun <= start < done for begun, done in times) for start, _ in times) <= 2


def test_a_fault_finds_its_request_by_text(server: PracticeServer, client: ollama.Client) -> None:
    server.configure(faults=[Fault(500, when="semaphore")])
    assert client.generate(server.model, "What is a lock?").done
    for ask in (
        lambda: client.generate(server.model, "What is a Semaphore?"),
        lambda: client.chat(server.model, QUESTION),
        lambda: client.embed(server.embedding_model, "semaphore"),
    ):
        with pytest.raises(ollama.ResponseError):
            ask()


def test_a_client_that_leaves_is_seen(server: PracticeServer) -> None:
    server.configure(tokens_per_second=20)

    async def leave() -> None:
        async with ollama.AsyncClient() as client:
            stream: Any = await client.chat(server.model, QUESTION, stream=True)
            async for _ in stream:
                break
            await stream.aclose()

    asyncio.run(leave())
    for _ in range(200):
        if server.journal[-1].finished is not None:
            break
        time.sleep(0.01)
    (request,) = server.journal
    assert request.aborted and request.output_tokens < 20
