"""What the checks of lesson 18 must find, and what they must let pass."""

from tests.answers import right, wrong

ANSWERS = [
    wrong(
        "18.1",
        "the code as it was",
        "on taxes, write runs once; saw ['law', 'search',",
        """
def build():
    builder = StateGraph(Report)
    for node in (law, search, read, write):
        builder.add_node(node)
    builder.add_edge(START, "law")
    builder.add_edge(START, "search")
    builder.add_conditional_edges("search", worth_reading, ["read", END])
    builder.add_edge("law", "write")
    builder.add_edge("read", "write")
    return builder
""",
    ),
    wrong(
        "18.1",
        "a list edge",
        "on parking, write runs once; saw ['law', 'search']",
        """
def build():
    builder = StateGraph(Report)
    for node in (law, search, read, write):
        builder.add_node(node)
    builder.add_edge(START, "law")
    builder.add_edge(START, "search")
    builder.add_conditional_edges("search", worth_reading, ["read", END])
    builder.add_edge(["law", "read"], "write")
    return builder
""",
    ),
    wrong(
        "18.1",
        "always reads",
        "on parking, the others run once each: law, search; saw",
        """
def build():
    builder = StateGraph(Report)
    for node in (law, search, read, write):
        builder.add_node(node)
    builder.add_edge(START, "law")
    builder.add_edge(START, "search")
    builder.add_edge("search", "read")
    builder.add_edge(["law", "read"], "write")
    return builder
""",
    ),
    wrong(
        "18.1",
        "one after the other",
        "it takes 5 s, as long as its longest branch and write; saw 6.0 s",
        """
def build():
    builder = StateGraph(Report)
    for node in (law, search, read, write):
        builder.add_node(node)
    builder.add_edge(START, "law")
    builder.add_edge("law", "search")
    builder.add_conditional_edges("search", worth_reading, {"read": "read", END: "write"})
    builder.add_edge("read", "write")
    return builder
""",
    ),
    wrong(
        "18.1",
        "write only after law",
        "the report on taxes has all its parts; saw law",
        """
def build():
    builder = StateGraph(Report)
    for node in (law, search, read, write):
        builder.add_node(node)
    builder.add_edge(START, "law")
    builder.add_edge(START, "search")
    builder.add_conditional_edges("search", worth_reading, ["read", END])
    builder.add_edge("law", "write")
    return builder
""",
    ),
    right(
        "18.1",
        "the press as a subgraph, and a list edge",
        """
class Topic(TypedDict):
    topic: str

def build():
    press = StateGraph(Report, input_schema=Topic)
    press.add_node(search)
    press.add_node(read)
    press.add_edge(START, "search")
    press.add_conditional_edges("search", worth_reading, ["read", END])
    builder = StateGraph(Report)
    builder.add_node(law)
    builder.add_node("press", press.compile())
    builder.add_node(write)
    builder.add_edge(START, "law")
    builder.add_edge(START, "press")
    builder.add_edge(["law", "press"], "write")
    return builder
""",
    ),
    right(
        "18.1",
        "search and read in one node, compiled",
        """
async def press(state):
    await search(state)
    return await read(state) if worth_reading(state) == "read" else {}

def build():
    builder = StateGraph(Report)
    for node in (law, press, write):
        builder.add_node(node)
    builder.add_edge(START, "law")
    builder.add_edge(START, "press")
    builder.add_edge("law", "write")
    builder.add_edge("press", "write")
    return builder.compile()
""",
    ),
    right(
        "18.1",
        "the end of the search leads to write, a list edge from read",
        """
def build():
    builder = StateGraph(Report)
    for node in (law, search, read, write):
        builder.add_node(node)
    builder.add_edge(START, "law")
    builder.add_edge(START, "search")
    builder.add_conditional_edges("search", worth_reading, {"read": "read", END: "write"})
    builder.add_edge(["law", "read"], "write")
    return builder
""",
    ),
    wrong(
        "18.2",
        "slots made in the node",
        "2 runs at once, limit 3: at most 3 calls going, and as many; saw 7 at once",
        """
def build_lookups(look_up, limit):
    async def one(state):
        try:
            async with asyncio.Semaphore(limit):
                return {"found": [await look_up(state["term"])]}
        except LookupError:
            return {"failed": [state["term"]]}

    builder = StateGraph(Lookups)
    builder.add_node("one", one)
    builder.add_conditional_edges(START, lambda state: [Send("one", {"term": t}) for t in state["terms"]], ["one"])
    return builder
""",
    ),
    wrong(
        "18.2",
        "max_concurrency in each run",
        "2 runs at once, limit 3: at most 3 calls going, and as many; saw 6 at once",
        """
def build_lookups(look_up, limit):
    async def one(state):
        try:
            return {"found": [await look_up(state["term"])]}
        except LookupError:
            return {"failed": [state["term"]]}

    builder = StateGraph(Lookups)
    builder.add_node("one", one)
    builder.add_conditional_edges(START, lambda state: [Send("one", {"term": t}) for t in state["terms"]], ["one"])
    return builder.compile().with_config(max_concurrency=limit)
""",
    ),
    wrong(
        "18.2",
        "gather in one node",
        "four terms, four nodes; saw nodes that wrote something: 1",
        """
def build_lookups(look_up, limit):
    slots = asyncio.Semaphore(limit)

    async def one(term):
        async with slots:
            return await look_up(term)

    async def everything(state):
        results = await asyncio.gather(*map(one, state["terms"]), return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, LookupError):
                raise result
        pairs = list(zip(state["terms"], results))
        return {
            "found": [result for _, result in pairs if not isinstance(result, Exception)],
            "failed": [term for term, result in pairs if isinstance(result, Exception)],
        }

    builder = StateGraph(Lookups)
    builder.add_node(everything)
    builder.add_edge(START, "everything")
    return builder
""",
    ),
    wrong(
        "18.2",
        "the failure is not caught",
        "what was found, in the order of the terms, and what failed; saw LookupError",
        """
def build_lookups(look_up, limit):
    slots = asyncio.Semaphore(limit)

    async def one(state):
        async with slots:
            return {"found": [await look_up(state["term"])]}

    builder = StateGraph(Lookups)
    builder.add_node("one", one)
    builder.add_conditional_edges(START, lambda state: [Send("one", {"term": t}) for t in state["terms"]], ["one"])
    return builder
""",
    ),
    wrong(
        "18.2",
        "every failure is caught",
        "another exception comes out; saw",
        """
def build_lookups(look_up, limit):
    slots = asyncio.Semaphore(limit)

    async def one(state):
        try:
            async with slots:
                return {"found": [await look_up(state["term"])]}
        except Exception:
            return {"failed": [state["term"]]}

    builder = StateGraph(Lookups)
    builder.add_node("one", one)
    builder.add_conditional_edges(START, lambda state: [Send("one", {"term": t}) for t in state["terms"]], ["one"])
    return builder
""",
    ),
    wrong(
        "18.2",
        "one run after the other",
        "3 runs at once, limit 2: at most 2 calls going, and as many; saw 1 at once",
        """
class OneByOne:
    def __init__(self, app, limit):
        self.app, self.limit, self.lock, self.astream = app, limit, asyncio.Lock(), app.astream

    async def ainvoke(self, state):
        async with self.lock:
            return await self.app.ainvoke(state, {"max_concurrency": self.limit})

def build_lookups(look_up, limit):
    async def one(state):
        try:
            return {"found": [await look_up(state["term"])]}
        except LookupError:
            return {"failed": [state["term"]]}

    builder = StateGraph(Lookups)
    builder.add_node("one", one)
    builder.add_conditional_edges(START, lambda state: [Send("one", {"term": t}) for t in state["terms"]], ["one"])
    return OneByOne(builder.compile(), limit)
""",
    ),
    wrong(
        "18.2",
        "a slot is lost at each failure",
        "what was found, in the order of the terms, and what failed; saw Deadlock",
        """
def build_lookups(look_up, limit):
    slots = asyncio.Semaphore(limit)

    async def one(state):
        await slots.acquire()
        try:
            text = await look_up(state["term"])
        except LookupError:
            return {"failed": [state["term"]]}
        slots.release()
        return {"found": [text]}

    builder = StateGraph(Lookups)
    builder.add_node("one", one)
    builder.add_conditional_edges(START, lambda state: [Send("one", {"term": t}) for t in state["terms"]], ["one"])
    return builder
""",
    ),
    wrong(
        "18.2",
        "the message in place of the term",
        "saw [(['ACTOR', 'QUEUE', 'LOCK', 'TASK'], ['no entry: ghost'",
        """
def build_lookups(look_up, limit):
    slots = asyncio.Semaphore(limit)

    async def one(state):
        try:
            async with slots:
                return {"found": [await look_up(state["term"])]}
        except LookupError as error:
            return {"failed": [str(error)]}

    builder = StateGraph(Lookups)
    builder.add_node("one", one)
    builder.add_conditional_edges(START, lambda state: [Send("one", {"term": t}) for t in state["terms"]], ["one"])
    return builder
""",
    ),
    right(
        "18.2",
        "a node that plans, then the Sends; compiled",
        """
def build_lookups(look_up, limit):
    slots = asyncio.BoundedSemaphore(limit)

    async def one(state):
        await slots.acquire()
        try:
            return {"found": [await look_up(state["term"])], "failed": []}
        except LookupError:
            return {"failed": [state["term"]]}
        finally:
            slots.release()

    async def one_each(state):
        return [Send("one", {"term": term}) for term in state["terms"]]

    async def plan(state):
        return {}

    builder = StateGraph(Lookups)
    builder.add_node("plan", plan)
    builder.add_node("one", one)
    builder.add_edge(START, "plan")
    builder.add_conditional_edges("plan", one_each, ["one"])
    builder.add_edge("one", END)
    return builder.compile()
""",
    ),
    right(
        "18.2",
        "the try inside the slot",
        """
def build_lookups(look_up, limit):
    slots = asyncio.Semaphore(limit)

    async def look(term):
        async with slots:
            try:
                return {"found": [await look_up(term)]}
            except LookupError:
                return {"failed": [term]}

    builder = StateGraph(Lookups)
    builder.add_node("look", look)
    builder.add_conditional_edges(START, lambda state: [Send("look", term) for term in state["terms"]], ["look"])
    return builder
""",
    ),
    wrong(
        "18.3",
        "the code as it was",
        "twelve requests, at most four at once; saw 12 requests, 12 at once",
        """
async def report(topics):
    async def note(state):
        slots = asyncio.Semaphore(4)
        topic = state["topic"]
        async with slots:
            sections, pages = await asyncio.gather(search_handbook(web, topic), search_web(web, topic))
        return {"lines": [f"{topic}: {sections[0]['heading']} / {pages[0]['title']}"]}

    builder = StateGraph(Topics)
    builder.add_node(note)
    builder.add_conditional_edges(START, one_each, ["note"])
    result = await builder.compile().ainvoke({"topics": topics}, {"configurable": {"max_concurrency": 4}})
    return result["lines"]
""",
    ),
    wrong(
        "18.3",
        "the key moved to the top, counted in requests",
        "twelve requests, at most four at once; saw 12 requests, 8 at once",
        """
async def report(topics):
    async def note(state):
        topic = state["topic"]
        sections, pages = await asyncio.gather(search_handbook(web, topic), search_web(web, topic))
        return {"lines": [f"{topic}: {sections[0]['heading']} / {pages[0]['title']}"]}

    builder = StateGraph(Topics)
    builder.add_node(note)
    builder.add_conditional_edges(START, one_each, ["note"])
    result = await builder.compile().ainvoke({"topics": topics}, {"max_concurrency": 4})
    return result["lines"]
""",
    ),
    wrong(
        "18.3",
        "the semaphore outside, around the node's pair",
        "twelve requests, at most four at once; saw 12 requests, 8 at once",
        """
async def report(topics):
    slots = asyncio.Semaphore(4)

    async def note(state):
        topic = state["topic"]
        async with slots:
            sections, pages = await asyncio.gather(search_handbook(web, topic), search_web(web, topic))
        return {"lines": [f"{topic}: {sections[0]['heading']} / {pages[0]['title']}"]}

    builder = StateGraph(Topics)
    builder.add_node(note)
    builder.add_conditional_edges(START, one_each, ["note"])
    return (await builder.compile().ainvoke({"topics": topics}))["lines"]
""",
    ),
    wrong(
        "18.3",
        "one node at a time",
        "and four when there is work for four; saw at most 2 at once",
        """
async def report(topics):
    async def note(state):
        topic = state["topic"]
        sections, pages = await asyncio.gather(search_handbook(web, topic), search_web(web, topic))
        return {"lines": [f"{topic}: {sections[0]['heading']} / {pages[0]['title']}"]}

    builder = StateGraph(Topics)
    builder.add_node(note)
    builder.add_conditional_edges(START, one_each, ["note"])
    return (await builder.compile().ainvoke({"topics": topics}, {"max_concurrency": 1}))["lines"]
""",
    ),
    right(
        "18.3",
        "two nodes with two requests each",
        """
async def report(topics):
    async def note(state):
        topic = state["topic"]
        sections, pages = await asyncio.gather(search_handbook(web, topic), search_web(web, topic))
        return {"lines": [f"{topic}: {sections[0]['heading']} / {pages[0]['title']}"]}

    builder = StateGraph(Topics)
    builder.add_node(note)
    builder.add_conditional_edges(START, one_each, ["note"])
    return (await builder.compile().ainvoke({"topics": topics}, {"max_concurrency": 2}))["lines"]
""",
    ),
    right(
        "18.3",
        "four nodes that ask one source after the other",
        """
async def report(topics):
    async def note(state):
        topic = state["topic"]
        sections = await search_handbook(web, topic)
        pages = await search_web(web, topic)
        return {"lines": [f"{topic}: {sections[0]['heading']} / {pages[0]['title']}"]}

    builder = StateGraph(Topics)
    builder.add_node(note)
    builder.add_conditional_edges(START, one_each, ["note"])
    return (await builder.compile().ainvoke({"topics": topics}, {"max_concurrency": 4}))["lines"]
""",
    ),
    right(
        "18.3",
        "a client with four connections",
        """
async def report(topics):
    async with httpx.AsyncClient(base_url=server.url, limits=httpx.Limits(max_connections=4)) as client:
        async def note(state):
            topic = state["topic"]
            sections, pages = await asyncio.gather(search_handbook(client, topic), search_web(client, topic))
            return {"lines": [f"{topic}: {sections[0]['heading']} / {pages[0]['title']}"]}

        builder = StateGraph(Topics)
        builder.add_node(note)
        builder.add_conditional_edges(START, one_each, ["note"])
        return (await builder.compile().ainvoke({"topics": topics}))["lines"]
""",
    ),
]
