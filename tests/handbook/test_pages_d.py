"""What pages 41 to 50 of the handbook say, checked on this Python: retrieval, graphs, agents, serving."""

from __future__ import annotations

import asyncio
import contextlib
import operator
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import pytest
from pydantic import SecretStr

if TYPE_CHECKING:  # made before the first test: tests/lazily.py
    from aiohttp import ClientSession, ClientTimeout, web
    from langchain_classic.retrievers import MultiQueryRetriever  # imported in a test, it changes that test's filters
    from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.language_models.fake_chat_models import FakeListChatModel
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.tools import Tool, tool
    from langchain_core.vectorstores import InMemoryVectorStore
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.errors import GraphRecursionError, InvalidUpdateError
    from langgraph.func import task
    from langgraph.graph import START, StateGraph
    from langgraph.types import Command, Send, interrupt

    from tests.handbook.models import WORDS, Asks, Letters, where

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*deprecat"),
]


class State(TypedDict, total=False):
    found: Annotated[list[Any], operator.add]
    plain: Any


def graph(**nodes: Any) -> StateGraph[Any]:
    """Return a graph in which every node follows the start."""
    made: StateGraph[Any] = StateGraph(State)
    for name, node in nodes.items():
        made.add_node(name, node)
        made.add_edge(START, name)
    return made


def fan(node: Any, count: int) -> Any:
    made: StateGraph[Any] = StateGraph(State)
    made.add_node("one", node)
    made.add_conditional_edges(START, lambda _: [Send("one", {"number": n}) for n in range(count)], ["one"])
    return made


def thread_id(name: str) -> Any:
    return {"configurable": {"thread_id": name}}


class Peak:
    """Counts how many are inside at the same time."""

    def __init__(self) -> None:
        self.inside = self.most = 0

    def __enter__(self) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)

    def __exit__(self, *_: object) -> None:
        self.inside -= 1


# ---- 41 loading documents


@pytest.mark.filterwarnings("ignore:coroutine 'WebBaseLoader:RuntimeWarning")
def test_41_a_pdf_is_parsed_in_a_thread_and_web_pages_two_at_a_time(tmp_path: Path) -> None:
    from langchain_community import document_loaders
    from langchain_community.document_loaders import PyPDFLoader, WebBaseLoader
    from pypdf import PdfWriter

    assert not hasattr(document_loaders, "AsyncPyPDFLoader")
    assert not hasattr(document_loaders, "AsyncWebBaseLoader")
    writer = PdfWriter()
    for _ in range(3):
        writer.add_blank_page(100, 100)
    writer.write(tmp_path / "three.pdf")
    ran = []

    class Noting(PyPDFLoader):
        def lazy_load(self) -> Any:
            for document in super().lazy_load():
                ran.append(where())
                yield document

    peak = Peak()

    async def page(_: web.Request) -> web.Response:
        with peak:
            await asyncio.sleep(0.02)
        return web.Response(text="<p>page</p>", content_type="text/html")

    async def main() -> None:
        documents = await Noting(str(tmp_path / "three.pdf")).aload()
        assert [document.metadata["page"] for document in documents] == [0, 1, 2]
        assert ran == ["thread"] * 3
        with pytest.raises(RuntimeError, match="cannot be called from a running event loop"):
            WebBaseLoader("http://127.0.0.1:1").aload()
        async with serving(page) as address:
            loader = WebBaseLoader([address] * 5, show_progress=False)
            assert len([document async for document in loader.alazy_load()]) == 5

    asyncio.run(main())
    assert peak.most == 2


@contextlib.asynccontextmanager
async def serving(handler: Any, **options: Any) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app, **options)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}/"
    finally:
        await runner.cleanup()


# ---- 42 splitting and embedding


def test_42_the_defaults_of_a_splitter_and_which_embeddings_are_async() -> None:
    from langchain_ollama import OllamaEmbeddings
    from langchain_openai import OpenAIEmbeddings
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    splitter = RecursiveCharacterTextSplitter()
    assert (splitter._chunk_size, splitter._chunk_overlap) == (4000, 200)
    assert splitter._separators == ["\n\n", "\n", " ", ""]
    cut = RecursiveCharacterTextSplitter(chunk_size=20, chunk_overlap=8, add_start_index=True)
    chunks = cut.split_documents([Document(page_content="one two three four five six", metadata={"page": 3})])
    assert [chunk.page_content for chunk in chunks] == ["one two three four", "four five six"]
    assert chunks[1].metadata == {"page": 3, "start_index": 14}
    assert "aembed_documents" in OpenAIEmbeddings.__dict__
    assert "aembed_documents" in OllamaEmbeddings.__dict__
    letters = Letters()
    asyncio.run(letters.aembed_documents(["a"]))
    assert letters.ran == ["thread"]


def test_42_openai_embeddings_send_one_batch_after_another() -> None:
    from langchain_openai import OpenAIEmbeddings

    sent, peak = [], Peak()

    class Client:
        async def create(self, input: Sequence[str], **_: object) -> dict[str, Any]:
            with peak:
                await asyncio.sleep(0.001)
                sent.append(len(input))
            return {"data": [{"embedding": [1.0]} for _ in input]}

    embeddings = OpenAIEmbeddings(api_key=SecretStr("none"), check_embedding_ctx_length=False)
    embeddings.async_client = Client()
    assert len(asyncio.run(embeddings.aembed_documents(["text"] * 2500))) == 2500
    assert sent == [1000, 1000, 500]
    assert peak.most == 1


# ---- 43 vector stores and 44 retrieval


def test_43_which_step_runs_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    from langchain_community.vectorstores import FAISS

    searched = []
    compare: Callable[..., Any] = InMemoryVectorStore._similarity_search_with_score_by_vector
    search: Callable[..., Any] = FAISS.similarity_search_with_score_by_vector

    def noting(function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*given: Any, **named: Any) -> Any:
            searched.append(where())
            return function(*given, **named)

        return noted

    monkeypatch.setattr(InMemoryVectorStore, "_similarity_search_with_score_by_vector", noting(compare))
    monkeypatch.setattr(FAISS, "similarity_search_with_score_by_vector", noting(search))

    async def main() -> None:
        letters = Letters()
        FAISS.from_documents(WORDS, letters)
        assert set(letters.ran) == {"loop"}
        letters.ran.clear()
        faiss = await FAISS.afrom_documents(WORDS, letters)
        store = InMemoryVectorStore(letters)
        await store.aadd_documents(WORDS)
        for one in (faiss, store):
            assert (await one.asimilarity_search("pear", k=1))[0].page_content == "pear"
        assert set(letters.ran) == {"thread"}
        assert searched == ["thread", "loop"]
        await faiss.aadd_documents(WORDS)
        assert faiss.index.ntotal == 2 * len(WORDS)
        await faiss.aadd_documents([WORDS[0]], ids=["1"])
        with pytest.raises(ValueError, match="already exist"):
            await faiss.aadd_documents([WORDS[0]], ids=["1"])
        for word in ("one", "two"):
            await store.aadd_documents([Document(page_content=word, id="1")])
        assert [document.page_content for document in await store.aget_by_ids(["1"])] == ["two"]

    asyncio.run(main())


@pytest.mark.filterwarnings("ignore:Relevance scores must be")
def test_44_k_scores_and_thresholds() -> None:
    from langchain_community.vectorstores import FAISS

    async def main() -> None:
        faiss = await FAISS.afrom_documents(WORDS, Letters())
        store = InMemoryVectorStore(Letters())
        await store.aadd_documents(WORDS)
        assert len(await faiss.as_retriever().ainvoke("zzz")) == len(await store.as_retriever().ainvoke("zzz")) == 4
        assert len(await store.as_retriever(search_kwargs={"k": 2}).ainvoke("zzz")) == 2
        assert not hasattr(faiss.as_retriever(), "aretrieve")
        assert not hasattr(faiss.as_retriever(), "aget_relevant_documents")
        distances = [score for _, score in await faiss.asimilarity_search_with_score("apple", k=2)]
        similarities = [score for _, score in await store.asimilarity_search_with_score("apple", k=2)]
        assert distances[0] < distances[1]
        assert similarities[0] > similarities[1]
        strict: Any = {"search_type": "similarity_score_threshold", "search_kwargs": {"score_threshold": 0.9}}
        assert [found.page_content for found in await faiss.as_retriever(**strict).ainvoke("apple")] == ["apple"]
        assert await faiss.as_retriever(**strict).ainvoke("zzz") == []
        with pytest.raises(NotImplementedError):
            await store.as_retriever(**strict).ainvoke("apple")

    asyncio.run(main())


def test_44_several_wordings_are_searched_together() -> None:
    peak = Peak()

    class Mine(BaseRetriever):
        def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
            return [Document(page_content=where())]

    class Async(Mine):
        async def _aget_relevant_documents(
            self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
        ) -> list[Document]:
            with peak:
                await asyncio.sleep(0.005)
            return [Document(page_content=query), Document(page_content="both")]

    async def main() -> None:
        assert (await Mine().ainvoke("a"))[0].page_content == "thread"
        assert [found[0].page_content for found in await Async().abatch(["a", "b", "c"])] == ["a", "b", "c"]
        assert peak.most == 3
        many = MultiQueryRetriever.from_llm(Async(), FakeListChatModel(responses=["a\nb\nc"]))
        assert [found.page_content for found in await many.ainvoke("x")] == ["a", "both", "b", "c"]
        assert peak.most == 3

    asyncio.run(main())


# ---- 45 grounded answers


def test_45_braces_in_a_value_and_in_a_template() -> None:
    prompt = ChatPromptTemplate.from_messages([("system", "Passages: {context}"), ("human", "{question}")])
    assert "write {x}" in str(prompt.invoke({"context": "write {x}", "question": "?"}).to_messages()[0].content)
    pasted = ChatPromptTemplate.from_messages([("system", "Passages: write {x}"), ("human", "{question}")])
    with pytest.raises(KeyError, match="missing variables"):
        pasted.invoke({"question": "?"})


# ---- 46 graphs and 47 fan-out


def test_46_what_a_node_may_return_and_where_it_runs() -> None:
    made: list[Any] = []

    async def on_loop(_: State) -> Any:
        return {"found": [where()]}

    def in_thread(_: State) -> Any:
        return {"found": [where()]}

    async def nothing(_: State) -> Any:
        return None

    async def misspelled(_: State) -> Any:
        return {"fuond": ["lost"]}

    async def never_awaited(state: State) -> Any:
        made.append(on_loop(state))
        return made[0]

    async def plain(_: State) -> Any:
        return {"plain": 1}

    async def main() -> None:
        app = graph(a=on_loop, b=in_thread).compile()
        assert (await app.ainvoke({"found": []}))["found"] == ["loop", "thread"]
        with pytest.raises(TypeError, match="No synchronous function provided"):
            app.invoke({"found": []})
        for node in (nothing, misspelled):
            assert await graph(a=node).compile().ainvoke({"found": ["kept"]}) == {"found": ["kept"]}
        with pytest.raises(InvalidUpdateError, match="Expected dict"):
            await graph(a=never_awaited).compile().ainvoke({"found": []})
        with pytest.raises(InvalidUpdateError, match="Can receive only one value per step"):
            await graph(a=plain, b=plain).compile().ainvoke({"found": []})

    asyncio.run(main())
    made[0].close()


def named(name: str, seconds: float, log: list[str]) -> Any:
    async def node(_: State) -> Any:
        await asyncio.sleep(seconds)
        log.append(name)
        return {"found": [name]}

    return node


def test_47_supersteps_and_joins() -> None:
    async def main() -> None:
        log: list[str] = []
        made = graph(zeta=named("zeta", 0.03, log), alpha=named("alpha", 0.06, log), beta=named("beta", 0.001, log))
        made.add_node("after", named("after", 0, log))
        made.add_edge("beta", "after")
        result = await made.compile().ainvoke({"found": []})
        assert log == ["beta", "zeta", "alpha", "after"]
        assert result["found"] == ["alpha", "beta", "zeta", "after"]
        branch = graph(beta=named("beta", 0.001, log))
        branch.add_node("after", named("after", 0, log))
        branch.add_edge("beta", "after")
        log.clear()
        await graph(alpha=named("alpha", 0.06, log), branch=branch.compile()).compile().ainvoke({"found": []})
        assert log == ["beta", "after", "alpha"]
        for sources, runs in ((["left", "second"], 1), (None, 2)):
            log.clear()
            made = graph(left=named("left", 0, log), right=named("right", 0, log))
            made.add_node("second", named("second", 0, log))
            made.add_node("join", named("join", 0, log))
            made.add_edge("right", "second")
            if sources:
                made.add_edge(sources, "join")
            else:
                made.add_edge("left", "join")
                made.add_edge("second", "join")
            await made.compile().ainvoke({"found": []})
            assert log.count("join") == runs

    asyncio.run(main())


def test_47_the_cap_the_order_and_a_failure_among_sends() -> None:
    peak = Peak()

    async def work(given: Any) -> Any:
        with peak:
            await asyncio.sleep(0.02 - 0.002 * given["number"])
        return {"found": [given["number"]]}

    async def sees(given: Any) -> Any:
        return {"found": [dict(given)]}

    log: list[str] = []

    async def fails(given: Any) -> Any:
        try:
            await asyncio.sleep(0.001 if given["number"] == 1 else 1)
        except asyncio.CancelledError:
            log.append("cancelled")
            raise
        raise ValueError("no")

    started = threading.Event()

    def plain(_: State) -> Any:
        started.set()
        time.sleep(0.1)
        log.append("thread finished")

    async def fails_soon(_: State) -> Any:
        while not started.is_set():
            await asyncio.sleep(0.001)
        raise ValueError("no")

    async def main() -> None:
        app = fan(work, 8).compile()
        for config, most in (({}, 8), ({"max_concurrency": 3}, 3), ({"configurable": {"max_concurrency": 3}}, 8)):
            peak.most = 0
            assert (await app.ainvoke({"found": []}, config))["found"] == list(range(8))
            assert peak.most == most
        peak.most = 0
        await asyncio.gather(*(app.ainvoke({"found": []}, {"max_concurrency": 2}) for _ in range(2)))
        assert peak.most == 4
        assert (await fan(sees, 1).compile().ainvoke({"found": [], "plain": 1}))["found"] == [{"number": 0}]
        with pytest.raises(ValueError, match="no"):
            await fan(fails, 3).compile().ainvoke({"found": []})
        assert log == ["cancelled"] * 2
        with pytest.raises(ValueError, match="no"):
            await graph(a=plain, b=fails_soon).compile().ainvoke({"found": []})
        assert "thread finished" not in log

    asyncio.run(main())
    assert log[-1] == "thread finished"


# ---- 48 agents and tools


async def run_agent(made: Any, config: Any = None, *, model: Asks | None = None, middleware: Any = ()) -> list[Any]:
    from langchain.agents import create_agent

    agent: Any = create_agent(model or Asks(tool=made.name), [made], middleware=middleware)
    result = await agent.ainvoke({"messages": [("human", "go")]}, config)
    return [message.content for message in result["messages"]]


def test_48_tools_of_one_reply() -> None:
    peak, ran = Peak(), []

    @tool
    async def native(number: int) -> str:
        """Wait."""
        with peak:
            await asyncio.sleep(0.02 - 0.004 * number)
        return str(number)

    @tool
    def plain(number: int) -> str:
        """Block a thread."""
        ran.append(where())
        with peak:
            time.sleep(0.02)
        return str(number)

    @tool
    async def blocks(number: int) -> str:
        """Block the loop."""
        with peak:
            time.sleep(0.002)
        return str(number)

    async def coroutine_function(_: str) -> str:
        return "never"

    async def main() -> None:
        for made, config, most in ((native, {}, 4), (native, {"max_concurrency": 2}, 2), (blocks, {}, 1)):
            peak.most = 0
            assert await run_agent(made, config) == ["go", "", "0", "1", "2", "3", "done"]
            assert peak.most == most
        peak.most = 0
        await run_agent(plain)
        assert peak.most > 1
        assert set(ran) == {"thread"}
        with pytest.raises(NotImplementedError, match="StructuredTool does not support sync invocation"):
            native.invoke({"number": 1})
        unused: Any = await Tool(name="t", func=coroutine_function, description="d").ainvoke("x")
        assert asyncio.iscoroutine(unused)
        unused.close()

    asyncio.run(main())


def test_48_failing_tools_and_an_agent_that_never_finishes() -> None:
    from langchain.agents.middleware import ModelCallLimitMiddleware, ToolErrorMiddleware

    @tool
    async def fails(number: int) -> str:
        """Fail."""
        raise ValueError("no")

    async def main() -> None:
        wrong = await run_agent(fails, model=Asks(tool="fails", arguments={"digit": "1"}))
        assert wrong[-1] == "done"
        assert "Field required" in wrong[2]
        with pytest.raises(ValueError, match="no"):
            await run_agent(fails)
        shown = ToolErrorMiddleware(on_error=lambda error, _: f"failed: {error}")
        assert (await run_agent(fails, middleware=[shown]))[2] == "failed: no"
        endless = Asks(tool="fails", for_ever=True)
        limits = [shown, ModelCallLimitMiddleware(run_limit=3)]
        assert "limit" in (await run_agent(fails, model=endless, middleware=limits))[-1]
        assert len(endless.calls) == 3
        with pytest.raises(GraphRecursionError):
            await run_agent(fails, {"recursion_limit": 6}, model=endless, middleware=[shown])

    asyncio.run(main())


# ---- 49 durable graphs


def test_49_resuming_repeats_the_interrupted_node_and_no_finished_one() -> None:
    effects, charged, ran = [], [], []
    broken = True

    async def asks(_: State) -> Any:
        effects.append("sent")
        return {"plain": interrupt("sure?")}

    @task
    async def charge() -> str:
        charged.append("charged")
        return "receipt"

    async def asks_after_a_task(_: State) -> Any:
        await charge()
        return {"plain": interrupt("sure?")}

    async def swallows(_: State) -> Any:
        try:
            return {"plain": interrupt("sure?")}
        except Exception:
            return {"plain": "swallowed"}

    async def flaky(given: Any) -> Any:
        ran.append(given["number"])
        if broken and given["number"] == 1:
            await asyncio.sleep(0.02)
            raise ConnectionError
        return {"found": [given["number"]]}

    async def main() -> None:
        nonlocal broken
        for node in (asks, asks_after_a_task):
            app = graph(a=node).compile(checkpointer=InMemorySaver())
            paused = await app.ainvoke({"found": []}, thread_id("1"))
            assert paused["__interrupt__"][0].value == "sure?"
            assert (await app.ainvoke(Command(resume="yes"), thread_id("1")))["plain"] == "yes"
        assert effects == ["sent", "sent"]
        assert charged == ["charged"]
        app = graph(a=swallows).compile(checkpointer=InMemorySaver())
        assert "__interrupt__" not in await app.ainvoke({"found": []}, thread_id("1"))
        app = fan(flaky, 3).compile(checkpointer=InMemorySaver())
        with pytest.raises(ValueError, match="thread_id"):
            await app.ainvoke({"found": []})
        with pytest.raises(ConnectionError):
            await app.ainvoke({"found": []}, thread_id("1"))
        broken = False
        assert (await app.ainvoke(None, thread_id("1")))["found"] == [0, 1, 2]
        assert ran == [0, 1, 2, 1]

    asyncio.run(main())


def test_49_checkpoints_of_the_durability_modes() -> None:
    import sqlite3

    from langgraph.checkpoint.sqlite import SqliteSaver

    class Counting(InMemorySaver):
        puts = 0

        async def aput(self, *given: Any, **named_too: Any) -> Any:
            self.puts += 1
            return await super().aput(*given, **named_too)

    def chain() -> Any:
        made: StateGraph[Any] = StateGraph(State)
        before = START
        for name in "abcde":
            made.add_node(name, named(name, 0, []))
            made.add_edge(before, name)
            before = name
        return made

    async def main() -> dict[str, int]:
        counts = {}
        for mode in ("sync", "async", "exit"):
            saver = Counting()
            await chain().compile(checkpointer=saver).ainvoke({"found": []}, thread_id("1"), durability=mode)
            counts[mode] = saver.puts
        with contextlib.closing(sqlite3.connect(":memory:")) as connection:
            app = chain().compile(checkpointer=SqliteSaver(connection))
            with pytest.raises(NotImplementedError, match="AsyncSqliteSaver"):
                await app.ainvoke({"found": []}, thread_id("1"))
        return counts

    assert asyncio.run(main()) == {"sync": 7, "async": 7, "exit": 1}


# ---- 50 serving


def test_50_a_handler_outlives_its_client_unless_told_otherwise() -> None:
    log: list[str] = []

    async def answer(_: web.Request) -> web.Response:
        log.append("started")
        try:
            await asyncio.sleep(0.08)
        except asyncio.CancelledError:
            log.append("cancelled")
            raise
        log.append("finished")
        return web.Response()

    async def main() -> None:
        for options, end in (({}, "finished"), ({"handler_cancellation": True}, "cancelled")):
            log.clear()
            async with serving(answer, **options) as address, ClientSession() as client:
                with pytest.raises(TimeoutError):
                    await client.get(address, timeout=ClientTimeout(total=0.03))
                async with asyncio.timeout(5):
                    while len(log) < 2:
                        await asyncio.sleep(0.005)
                assert log == ["started", end]
        for allowed, end in ((5.0, "finished"), (0.01, "cancelled")):
            log.clear()
            async with ClientSession() as client:
                async with serving(answer, shutdown_timeout=allowed) as address:
                    asked = asyncio.create_task(client.get(address))
                    while not log:
                        await asyncio.sleep(0.001)
                await asyncio.gather(asked, return_exceptions=True)
            assert log == ["started", end]

    asyncio.run(main())


def test_50_a_slow_reader_and_a_greedy_user() -> None:
    sent = 0

    async def stream(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            for _ in range(400):
                await response.write(bytes(65_536))
                sent += 1
        return response

    async def main() -> None:
        async with serving(stream) as address:
            port = int(address.rstrip("/").rsplit(":", 1)[1])
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            before = -1
            while before != sent or not sent:
                before = sent
                await asyncio.sleep(0.05)
            assert 0 < sent < 400
            writer.close()
        server, users, served = asyncio.Semaphore(4), defaultdict[str, Any](lambda: asyncio.Semaphore(2)), []

        async def serve(user: str) -> None:
            async with users[user], server:
                await asyncio.sleep(0.001)
                served.append(user)

        await asyncio.gather(*(serve("greedy") for _ in range(20)), serve("ann"), serve("bob"))
        assert {"ann", "bob"} < set(served[:6])

    asyncio.run(main())
