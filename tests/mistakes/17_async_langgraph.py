"""What the checks of lesson 17 must find, and what they must let pass."""

from tests.answers import right, wrong

DIGEST = """
def app_of(*nodes):
    graph = StateGraph(Digest)
    for name, node in zip(("read_handbook", "read_web", "write", "apply_rules"), nodes):
        graph.add_node(name, node)
    for name in ("read_handbook", "read_web"):
        graph.add_edge(START, name)
        graph.add_edge(name, "write")
    graph.add_edge("write", "apply_rules")
    graph.add_edge("apply_rules", END)
    return graph.compile()

async def ask_handbook(state):
    response = await web.get("/handbook", params={"q": state["topic"], "limit": 1})
    return {"passage": response.json()["results"][0]["text"]}

async def ask_web(state):
    response = await web.get("/search", params={"q": state["topic"], "limit": 1})
    return {"snippet": response.json()["results"][0]["snippet"]}

async def draft(state):
    notes = f"{state['passage']}\\n{state['snippet']}"
    return {"text": (await llm.ainvoke(f"Write a brief on {state['topic']} from these notes:\\n\\n{notes}")).text}
"""
GATHERED = """
    states = await asyncio.gather(*(app.ainvoke({"topic": topic}) for topic in topics))
    return {topic: state["text"] for topic, state in zip(topics, states)}
"""
REVIEW = """
def app_of(Review, review, chief, edges=None):
    graph = StateGraph(Review)
    graph.add_node("chief", chief)
    for name in SECONDS:
        graph.add_node(name, partial(review, name))
    for name in SECONDS if edges is None else ():
        graph.add_edge(START, name)
        graph.add_edge(name, "chief")
    for before, after in edges or ():
        graph.add_edge(before, after)
    graph.add_edge("chief", END)
    return graph.compile()

async def chief(state):
    return {"verdict": f"{len(state['remarks'])} remarks, {state['cents']} cents"}

async def only_new(name, state):
    said, cents = await remark(name, state["text"])
    return {"remarks": [said], "cents": cents}

class Adding(TypedDict, total=False):
    text: str
    remarks: Annotated[list[str], operator.add]
    cents: Annotated[int, operator.add]
    verdict: str
"""

ANSWERS = [
    wrong(
        "17.1",
        "the newer text",
        "every source, the longer text; saw",
        """
def longer(old, new):
    return old | new
""",
    ),
    wrong(
        "17.1",
        "the newer of two equally long texts",
        "the same, whoever is first; saw",
        """
def longer(old, new):
    merged = dict(old)
    for source, text in new.items():
        if len(text) >= len(merged.get(source, "")):
            merged[source] = text
    return merged
""",
    ),
    wrong(
        "17.1",
        "changes the old one in place",
        "the arguments are as they were; saw",
        """
def longer(old, new):
    for source, text in new.items():
        old[source] = min(old.get(source, text), text, key=lambda each: (-len(each), each))
    return old
""",
    ),
    wrong(
        "17.1",
        "only what both have",
        "every source, the longer text; saw",
        """
def longer(old, new):
    return {source: max(old[source], new[source], key=len) for source in old if source in new}
""",
    ),
    right(
        "17.1",
        "over all the sources",
        """
def longer(old, new):
    return {
        source: min((each[source] for each in (old, new) if source in each), key=lambda text: (-len(text), text))
        for source in old | new
    }
""",
    ),
    right(
        "17.1",
        "sorted, so that the longest comes last",
        """
def longer(old, new):
    pairs = [*old.items(), *new.items()]
    pairs.sort(key=lambda pair: pair[1], reverse=True)
    return dict(sorted(pairs, key=lambda pair: len(pair[1])))
""",
    ),
    wrong(
        "17.2",
        "one topic after the other",
        "four look-ups, all at once; saw 4 look-ups, at most 2",
        DIGEST
        + """
async def digest(topics):
    app = app_of(ask_handbook, ask_web, draft, apply_rules)
    return {topic: (await app.ainvoke({"topic": topic}))["text"] for topic in topics}
""",
    ),
    wrong(
        "17.2",
        "plain nodes in threads",
        "cancelled, it stops its look-ups; saw [False, False]",
        DIGEST
        + """
async def digest(topics):
    app = app_of(read_handbook, read_web, write, apply_rules)
"""
        + GATHERED,
    ),
    wrong(
        "17.2",
        "async in front of everything",
        "nothing holds the loop; saw held for",
        DIGEST
        + """
async def digest(topics):
    async def rules(state):
        return apply_rules(state)
    app = app_of(ask_handbook, ask_web, draft, rules)
"""
        + GATHERED,
    ),
    wrong(
        "17.2",
        "the model still in a thread",
        "cancelled, it stops its model calls; saw [False, False]",
        DIGEST
        + """
async def digest(topics):
    app = app_of(ask_handbook, ask_web, write, apply_rules)
"""
        + GATHERED,
    ),
    wrong(
        "17.2",
        "invoke on async nodes",
        "the same digests; saw TypeError('No synchronous function provided to",
        DIGEST
        + """
async def digest(topics):
    app = app_of(ask_handbook, ask_web, draft, apply_rules)
    return {topic: app.invoke({"topic": topic})["text"] for topic in topics}
""",
    ),
    wrong(
        "17.2",
        "every exception is swallowed, cancellation too",
        "cancelled, it stops its look-ups; saw [True, True], cancelled: False",
        DIGEST
        + """
async def digest(topics):
    app = app_of(ask_handbook, ask_web, draft, apply_rules)
    try:
        states = await asyncio.gather(*(app.ainvoke({"topic": topic}) for topic in topics))
    except BaseException:
        return {}
    return {topic: state["text"] for topic, state in zip(topics, states)}
""",
    ),
    right(
        "17.2",
        "without a graph",
        DIGEST
        + """
async def digest(topics):
    async def one(topic):
        state = {"topic": topic}
        for found in await asyncio.gather(ask_handbook(state), ask_web(state)):
            state |= found
        return await asyncio.to_thread(house_rules, (await draft(state))["text"])
    return dict(zip(topics, await asyncio.gather(*map(one, topics))))
""",
    ),
    right(
        "17.2",
        "a batch of the graph",
        DIGEST
        + """
async def digest(topics):
    app = app_of(ask_handbook, ask_web, draft, apply_rules)
    states = await app.abatch([{"topic": topic} for topic in topics])
    return {state["topic"]: state["text"] for state in states}
""",
    ),
    wrong(
        "17.3",
        "as it was",
        "each remark once, the earlier ones first; saw InvalidUpdateError",
        REVIEW
        + """
def review_app():
    class Review(TypedDict, total=False):
        text: str
        remarks: list[str]
        cents: int
        verdict: str
    async def review(name, state):
        said, cents = await remark(name, state["text"])
        state["remarks"].append(said)
        state["cents"] += cents
        return state
    return app_of(Review, review, chief)
""",
    ),
    wrong(
        "17.3",
        "the newer value wins",
        "each remark once, the earlier ones first; saw",
        REVIEW
        + """
def review_app():
    def newer(old, new):
        return new
    class Review(TypedDict, total=False):
        text: Annotated[str, newer]
        remarks: Annotated[list[str], newer]
        cents: Annotated[int, newer]
        verdict: str
    async def review(name, state):
        said, cents = await remark(name, state["text"])
        return {**state, "remarks": [*state["remarks"], said], "cents": state["cents"] + cents}
    return app_of(Review, review, chief)
""",
    ),
    wrong(
        "17.3",
        "reducers, and everything returned",
        "each remark once, the earlier ones first; saw",
        REVIEW
        + """
def review_app():
    async def review(name, state):
        said, cents = await remark(name, state["text"])
        return {"remarks": [*state["remarks"], said], "cents": state["cents"] + cents}
    return app_of(Adding, review, chief)
""",
    ),
    wrong(
        "17.3",
        "a sorted set",
        "each remark once, the earlier ones first; saw",
        REVIEW
        + """
def review_app():
    class Review(TypedDict, total=False):
        text: str
        remarks: Annotated[list[str], lambda old, new: sorted({*old, *new})]
        cents: Annotated[int, operator.add]
        verdict: str
    async def review(name, state):
        said, cents = await remark(name, state["text"])
        return {"remarks": [*state["remarks"], said], "cents": cents}
    return app_of(Review, review, chief)
""",
    ),
    wrong(
        "17.3",
        "the chief reads beside the reviewers",
        "and the chief knows; saw",
        REVIEW
        + """
def review_app():
    return app_of(Adding, only_new, chief, [(START, name) for name in (*SECONDS, "chief")])
""",
    ),
    wrong(
        "17.3",
        "one reviewer after the other",
        "the reviewers read side by side, 3 s; saw 6 s",
        REVIEW
        + """
def review_app():
    line = [START, *SECONDS, "chief"]
    return app_of(Adding, only_new, chief, list(zip(line, line[1:])))
""",
    ),
    wrong(
        "17.3",
        "the list is appended to, without a reducer for it",
        "the caller's list is as it was; saw",
        REVIEW
        + """
def review_app():
    class Review(TypedDict, total=False):
        text: str
        remarks: list[str]
        cents: Annotated[int, operator.add]
        verdict: str
    async def review(name, state):
        said, cents = await remark(name, state["text"])
        state["remarks"].append(said)
        return {"cents": cents}
    return app_of(Review, review, chief)
""",
    ),
    right(
        "17.3",
        "a reducer of its own",
        REVIEW
        + """
def review_app():
    def joined(old, new):
        return [*old, *(each for each in new if each not in old)]
    class Review(TypedDict, total=False):
        text: str
        remarks: Annotated[list[str], joined]
        cents: Annotated[int, lambda old, new: old + new]
        verdict: str
    async def review(name, state):
        said, cents = await remark(name, state["text"])
        return {"remarks": [*state["remarks"], said], "cents": cents}
    return app_of(Review, review, chief)
""",
    ),
    right(
        "17.3",
        "all reviewers in one node",
        REVIEW
        + """
def review_app():
    async def review_all(state):
        said = await asyncio.gather(*(remark(name, state["text"]) for name in SECONDS))
        return {"remarks": [text for text, _ in said], "cents": sum(cents for _, cents in said)}
    graph = StateGraph(Adding)
    graph.add_sequence([("reviewers", review_all), ("chief", chief)])
    graph.add_edge(START, "reviewers")
    return graph.compile()
""",
    ),
]
