"""What `observe` records of code that uses libraries: whose tasks have lanes, and which request came from which."""

from __future__ import annotations

import asyncio
import operator
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import anyio
import anyio.to_thread
import pytest

from awaitsee import journal
from awaitsee.journal import RUN_HEADER, TASK_HEADER, Request
from awaitsee.observe import Observation, observe, recorder
from awaitsee.practice import Fault
from awaitsee.practice.handle import PracticeServer

if TYPE_CHECKING:  # made before the first test: tests/lazily.py
    import aiohttp
    import httpx
    import httpx2
    import requests

LATENCY = 0.15
KEY = {"authorization": "Bearer practice"}


@pytest.fixture
def server(running: PracticeServer) -> PracticeServer:
    running.configure(latency=LATENCY, faults=[])
    running.reset()
    return running


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    places = [
        (asyncio.events.Handle, "_run"),
        (httpx.AsyncHTTPTransport, "handle_async_request"),
        (httpx.HTTPTransport, "handle_request"),
        (httpx2.AsyncHTTPTransport, "handle_async_request"),
        (httpx2.HTTPTransport, "handle_request"),
        (aiohttp.ClientRequest, "send"),
        (requests.adapters.HTTPAdapter, "add_headers"),
    ]
    before = [owner.__dict__[name] for owner, name in places]
    yield
    assert all(owner.__dict__[name] is then for (owner, name), then in zip(places, before, strict=True))


# LangChain keeps one HTTP client for all models, and a client belongs to the loop that it was first used on.
RUNNER = asyncio.Runner()


@pytest.fixture(scope="module", autouse=True)
def _one_loop() -> Iterator[None]:
    yield
    RUNNER.close()


def observed(work: Coroutine[Any, Any, Any], **options: Any) -> Observation:
    async def main() -> Observation:
        return await observe(work, **options)

    return RUNNER.run(main())


def lanes(run: Observation) -> list[tuple[int, str]]:
    return [(lane.depth, lane.name) for lane in run.lanes()]


def made_by(run: Observation) -> list[str]:
    """Return the name of the lane of each request."""
    return [lane.name for lane in run.lanes() for _ in lane.requests]


QUESTIONS = ["What is a task?", "What is a loop?", "What is gather?", "What is await?", "What is a lock?"]


# -- HTTP clients --------------------------------------------------------------------------------------------------


def test_httpx_and_aiohttp_requests_find_their_lanes(server: PracticeServer) -> None:
    url = f"{server.url}/v1/models"

    async def by_httpx() -> int:
        async with httpx.AsyncClient(headers=KEY) as client:
            return (await client.get(url)).status_code

    async def by_httpx2() -> int:
        async with httpx2.AsyncClient(headers=KEY) as client:
            return (await client.get(url)).status_code

    async def by_aiohttp() -> int:
        async with aiohttp.ClientSession(headers=KEY) as session, session.get(url) as response:
            return response.status

    def sync() -> int:
        return httpx.get(url, headers=KEY).status_code

    def by_requests() -> int:
        return requests.get(url, headers=KEY).status_code

    async def by_thread() -> int:
        return await asyncio.to_thread(sync)

    async def by_pool() -> int:
        return await asyncio.get_running_loop().run_in_executor(None, sync)

    async def main() -> list[int]:
        ways = by_httpx(), by_httpx2(), by_aiohttp(), by_thread(), by_pool(), asyncio.to_thread(by_requests)
        return list(await asyncio.gather(*ways))

    run = observed(main())
    assert run.result == [200] * 6
    assert sorted(made_by(run)) == ["by_aiohttp", "by_httpx", "by_httpx2", "by_pool", "by_requests", "by_thread"]
    assert len(run.requests) == 6 and run.wasted == 0
    made = ["by_httpx", "by_httpx2", "by_aiohttp", "by_thread", "by_pool", "by_requests"]
    assert [task.name for task in run.tasks] == ["main", *made]
    assert sorted(call.name for call in run.threads) == ["by_requests", "sync", "sync"]
    assert len(run.all_tasks) > len(run.tasks)
    for request in run.requests:
        assert 0 <= request.arrived < (request.finished or 0) <= run.recorded
    assert run.latency(50) > LATENCY / 2


def test_only_journalled_addresses_get_headers(server: PracticeServer) -> None:
    seen: list[dict[str, str]] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    other = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    Thread(target=other.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{other.server_port}"

    async def main() -> None:
        async with httpx.AsyncClient() as client, aiohttp.ClientSession() as session:
            labelled = await client.get(f"{server.url}/v1/models")
            assert RUN_HEADER in labelled.request.headers and TASK_HEADER in labelled.request.headers
            await client.get(address)
            # as a redirect from the server to elsewhere would: the headers were copied along
            await client.get(address, headers=labelled.request.headers)
            async with session.get(address):
                pass
        assert RUN_HEADER in requests.get(f"{server.url}/v1/models").request.headers
        requests.get(address, headers=dict(labelled.request.headers))

    observed(main())
    other.shutdown()
    other.server_close()
    assert len(seen) == 4
    assert not any(RUN_HEADER in headers or TASK_HEADER in headers for headers in seen)


def test_a_client_imported_during_the_run(server: PracticeServer) -> None:
    code = f"""
import asyncio, sys
from awaitsee.journal import RUN_HEADER
from awaitsee.observe import observe
from awaitsee import journal
class Source:
    url = {server.url!r}
    def requests(self, run=None): return []
journal.register(Source())
async def main():
    assert not {{"httpx", "aiohttp", "httpx2", "anyio"}} & set(sys.modules)
    import httpx
    async with httpx.AsyncClient() as client:
        response = await client.get({server.url + "/v1/models"!r})
    import httpx2
    async with httpx2.AsyncClient() as client:
        second = await client.get({server.url + "/v1/models"!r})
    import aiohttp
    async with aiohttp.ClientSession() as session, session.get({server.url + "/v1/models"!r}) as third:
        pass
    return [RUN_HEADER in each.headers for each in (response.request, second.request, third.request_info)]
async def outer():
    run = await observe(main())
    import httpx, aiohttp
    assert httpx._transports.default.__spec__.loader.__class__.__module__ == "_frozen_importlib_external"
    assert httpx.AsyncHTTPTransport.handle_async_request.__qualname__ == "AsyncHTTPTransport.handle_async_request"
    assert aiohttp.ClientRequest.send.__qualname__ == "ClientRequest.send"
    print(run.result)
asyncio.run(outer())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[True, True, True]", done.stderr


def test_a_dead_journal_neither_hangs_nor_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "_JOURNAL_SECONDS", 0.2)

    class Dead:
        url = "http://127.0.0.1:9"

        def requests(self, run: str | None = None) -> list[Request]:
            raise ConnectionError("gone")

    class Stuck(Dead):
        url = "http://127.0.0.1:10"

        def requests(self, run: str | None = None) -> list[Request]:
            time.sleep(30)
            return []

    async def nothing() -> str:
        return "done"

    for source, words in ((Dead(), "gone"), (Stuck(), "no answer")):
        journal.register(source)
        try:
            with pytest.warns(RuntimeWarning, match=words):
                run = observed(nothing())
        finally:
            journal.unregister(source)
        assert run.result == "done" and run.requests == []


def test_a_failing_call_leaves_paid_requests_behind(server: PracticeServer) -> None:
    server.configure(faults=[Fault(400, when="deadlock")])
    bodies = [*QUESTIONS[:4], "What is a deadlock?"]

    # one client: making one takes longer on a busy machine than a request
    client = httpx.AsyncClient(headers=KEY)

    async def ask(question: str) -> None:
        message = {"model": server.model, "messages": [{"role": "user", "content": question}]}
        (await client.post(f"{server.url}/v1/chat/completions", json=message)).raise_for_status()

    async def by_gather() -> None:
        await asyncio.gather(*(ask(question) for question in bodies))

    async def by_group() -> None:
        async with asyncio.TaskGroup() as group:
            for question in bodies:
                group.create_task(ask(question))

    server.configure(latency=1.0)
    run = observed(by_gather(), keep_error=True, settle=5.0)
    assert isinstance(run.error, httpx.HTTPStatusError)
    assert run.wasted == 4 and run.bill.requests == 5
    assert run.recorded > run.elapsed
    assert len(run.leaked) == 4
    run = observed(by_group(), keep_error=True, settle=5.0)
    assert run.wasted == 0 and run.leaked == []
    assert sorted(mark for lane in run.lanes() for _, _, mark in lane.requests) == ["aborted"] * 4 + ["error"]
    RUNNER.run(client.aclose())


# -- anyio ---------------------------------------------------------------------------------------------------------


async def anyio_work(number: int) -> None:
    await anyio.sleep(0.02)


def anyio_thread(number: int) -> int:
    time.sleep(0.02)
    if number < 0:
        raise ValueError("negative")
    return number


async def anyio_main() -> int:
    async with anyio.create_task_group() as group:
        group.start_soon(anyio_work, 1)
        group.start_soon(anyio_work, 2)
    with suppress(TimeoutError):
        with anyio.fail_after(0.01):
            await anyio_work(3)
    return await anyio.to_thread.run_sync(anyio_thread, 4)


def test_anyio_task_groups_and_threads() -> None:
    run = observed(anyio_main())
    assert run.result == 4
    assert [task.name for task in run.tasks] == ["anyio_main", "anyio_work(1)", "anyio_work(2)"]
    assert run.peak_tasks == 2
    (call,) = run.threads
    assert call.name == "anyio_thread(4)" and call.task == 0 and call.thread.startswith("AnyIO")
    assert call.started is not None and call.finished is not None and call.finished - call.started > 0.01


def test_anyio_tracebacks_have_no_frame_of_ours() -> None:
    async def main() -> list[str]:
        try:
            await anyio.to_thread.run_sync(anyio_thread, -1)
        except ValueError as error:
            return [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
        return []

    run = observed(main())
    assert run.result and not [name for name in run.result if "observe" in name]
    assert run.threads[0].error == "ValueError: negative"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_anyio_under_the_eager_factory() -> None:
    async def main() -> Observation:
        eager = vars(asyncio)["eager_task_factory"]  # mypy reads the types of Python 3.11
        asyncio.get_running_loop().set_task_factory(eager)
        return await observe(anyio_main())

    run = asyncio.run(main())
    assert run.result == 4 and run.peak_tasks == 2


# -- LangChain -----------------------------------------------------------------------------------------------------


@pytest.fixture
def llm(server: PracticeServer) -> Any:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model=server.model)


def test_a_fan_out_of_library_calls_has_a_lane_each(server: PracticeServer, llm: Any) -> None:
    server.configure(latency=0.5)

    async def together() -> list[Any]:
        return await asyncio.gather(*(llm.ainvoke(question) for question in QUESTIONS))

    run = observed(together())
    assert lanes(run) == [(0, "together"), *((1, f"ChatOpenAI.ainvoke({question!r})") for question in QUESTIONS)]
    assert run.peak_tasks == run.peak_requests == 5
    assert all(len(lane.requests) == 1 for lane in run.lanes()[1:])
    assert run.threads == [] and run.all_threads != []
    assert run.speedup > 2
    assert repr(run).startswith("<Observation: 5 tasks, 5 requests, at most 5 in flight, ")
    assert len(run.lanes(internals=True)) == len(run.all_tasks) + len(run.all_threads) > 6


def test_one_by_one(llm: Any) -> None:
    async def one_by_one() -> None:
        for question in QUESTIONS[:3]:
            await llm.ainvoke(question)

    run = observed(one_by_one())
    assert lanes(run) == [(0, "one_by_one")]
    assert (run.peak_tasks, run.peak_requests, len(run.requests)) == (1, 1, 3)
    assert len(run.lanes()[0].requests) == 3


def test_a_users_function_around_the_call(llm: Any) -> None:
    limit = asyncio.Semaphore(2)

    async def ask(question: str) -> str:
        async with limit:
            return str((await llm.ainvoke(question)).content)

    async def main() -> None:
        await asyncio.gather(*(ask(question) for question in QUESTIONS))

    run = observed(main())
    assert lanes(run) == [(0, "main"), *((1, f"ask({question!r})") for question in QUESTIONS)]
    assert run.peak_tasks == 5 and run.peak_requests == 2


def test_a_stream_that_is_left_is_aborted(server: PracticeServer, llm: Any) -> None:
    server.configure(latency=0.05, tokens_per_second=20)

    async def first_words() -> str:
        async for chunk in llm.astream("Explain asyncio.gather in detail."):
            if chunk.content:
                return str(chunk.content)
        return ""

    run = observed(first_words(), settle=3.0)
    server.configure(tokens_per_second=None)
    assert run.result
    assert [request.aborted for request in run.requests] == [True]


def test_batches_and_parallel_branches_have_lanes(llm: Any) -> None:
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.runnables import RunnableLambda, RunnableParallel

    def shorten(text: str) -> str:
        return text[:10]

    async def chain() -> None:
        await (RunnableLambda(shorten) | llm).ainvoke("x")

    ask = ChatPromptTemplate.from_template("About {topic}?")

    async def batch() -> None:
        await llm.abatch(QUESTIONS[:3], config={"max_concurrency": 2})

    async def branches() -> None:
        parallel = RunnableParallel(one=ask | llm, two=ask | llm)
        await parallel.ainvoke("x")

    def threads() -> None:
        llm.batch(QUESTIONS[:2])

    run = observed(batch())
    assert [depth for depth, _ in lanes(run)] == [0, 1, 1, 1]
    assert all(len(lane.requests) == 1 for lane in run.lanes()[1:])
    assert run.peak_requests == 2
    run = observed(branches())
    assert [name for _, name in lanes(run)] == ["branches", "one", "two"]
    assert run.peak_tasks == 2
    assert lanes(observed(chain())) == [(0, "chain"), (1, "shorten('x')")]
    run = observed(asyncio.to_thread(threads))
    assert run.threads[0].name == "threads" and len(run.threads) == 3
    assert run.peak_requests == 2


# -- LangGraph -----------------------------------------------------------------------------------------------------


class State(TypedDict):
    notes: Annotated[list[str], operator.add]


def graph_of(**nodes: Callable[..., Any]) -> Any:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(State)
    for name, node in nodes.items():
        graph.add_node(name, node)
        graph.add_edge(START, name)
        graph.add_edge(name, END)
    return graph.compile()


def test_graph_nodes_have_lanes_of_their_name(llm: Any) -> None:
    async def research(state: State) -> State:
        await asyncio.gather(*(llm.ainvoke(question) for question in QUESTIONS[:2]))
        return {"notes": ["research"]}

    async def weather(state: State) -> State:
        await asyncio.sleep(0.05)
        return {"notes": ["weather"]}

    def archive(state: State) -> State:
        time.sleep(0.05)
        return {"notes": ["archive"]}

    graph = graph_of(a_researcher=research, b_forecaster=weather, c_archivist=archive)

    async def main() -> Any:
        return await graph.ainvoke({"notes": []})

    run = observed(main())
    assert lanes(run) == [
        (0, "main"),
        (1, "a_researcher"),
        (2, f"ChatOpenAI.ainvoke({QUESTIONS[0]!r})"),
        (2, f"ChatOpenAI.ainvoke({QUESTIONS[1]!r})"),
        (1, "b_forecaster"),
        (1, "c_archivist"),
    ]
    assert [lane.kind for lane in run.lanes()][-1] == "thread"
    assert [call.name for call in run.threads] == ["c_archivist"]
    assert run.peak_requests == 2 and run.peak_tasks == 5
    assert run.speedup > 0
    alone = observed(graph_of(only=research).ainvoke({"notes": []}))
    assert [name for _, name in lanes(alone)][1:2] == ["only"] and [depth for depth, _ in lanes(alone)] == [0, 1, 2, 2]
    assert [(lane.name, lane.kind) for lane in observed(graph_of(sync=archive).ainvoke({"notes": []})).lanes()][1:] == [
        ("sync", "thread")
    ]


def test_tools_that_run_together_have_lanes() -> None:
    from langchain_core.messages import AIMessage
    from langchain_core.tools import tool
    from langgraph.graph import END, START, MessagesState, StateGraph
    from langgraph.prebuilt import ToolNode

    @tool
    async def search(query: str) -> str:
        """Search."""
        await asyncio.sleep(0.05)
        return query

    @tool
    def lookup(query: str) -> str:
        """Look up."""
        time.sleep(0.05)
        return query

    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode([search, lookup]))
    graph.add_edge(START, "tools")
    graph.add_edge("tools", END)
    calls = [{"name": name, "args": {"query": name}, "id": name} for name in ("search", "search", "lookup")]
    app = graph.compile()

    async def main() -> None:
        await app.ainvoke({"messages": [AIMessage(content="", tool_calls=calls)]})

    run = observed(main())
    assert lanes(run)[:5] == [(0, "main"), (1, "tools"), (2, "search"), (2, "search"), (2, "lookup")]
    assert len(run.threads) == 1
