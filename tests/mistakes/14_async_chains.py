"""What the checks of lesson 14 must find, and what they must let pass."""

from tests.answers import right, wrong

ANSWERS = [
    wrong(
        "14.1",
        "await forgotten",
        "one look-up and one call of the model for each question; saw 0 look-ups",
        """
def reading_chain():
    def with_passage(question):
        passage = look_up(question)
        passage.close()
        return {"passage": passage, "question": question}
    return with_passage | FROM_PASSAGE | one_try | StrOutputParser()
""",
    ),
    wrong(
        "14.1",
        "a message instead of a text",
        "the answers are texts, each about its question; saw [AIMessage",
        """
def reading_chain():
    async def with_passage(question):
        return {"passage": await look_up(question), "question": question}
    return with_passage | FROM_PASSAGE | one_try
""",
    ),
    wrong(
        "14.1",
        "blocking in an async function",
        "nothing holds the loop; saw the look-ups overlap: False",
        """
def reading_chain():
    async def with_passage(question):
        response = requests.get(f"{server.url}/handbook", params={"q": question, "limit": 1})
        return {"passage": response.json()["results"][0]["text"], "question": question}
    return with_passage | FROM_PASSAGE | one_try | StrOutputParser()
""",
    ),
    wrong(
        "14.1",
        "a coroutine function instead of a chain",
        "a chain; saw",
        """
def reading_chain():
    async def answer(question):
        return await (FROM_PASSAGE | one_try | StrOutputParser()).ainvoke(
            {"passage": await look_up(question), "question": question}
        )
    return answer
""",
    ),
    right(
        "14.1",
        "two links side by side",
        """
def reading_chain():
    return {"passage": look_up, "question": lambda question: question} | FROM_PASSAGE | one_try | StrOutputParser()
""",
    ),
    right(
        "14.1",
        "one function that does it all, as a link",
        """
from langchain_core.runnables import RunnableLambda

def reading_chain():
    async def answer(question):
        message = await (FROM_PASSAGE | llm).ainvoke({"passage": await look_up(question), "question": question})
        return message.text
    return RunnableLambda(answer)
""",
    ),
    wrong(
        "14.2",
        "the lesson's parallel step",
        "without benefits and example: the failures are reported; saw OpenAIInvalidRequestError",
        """
async def brief(topic, show):
    notes = await RunnableParallel(PERSPECTIVES).ainvoke({"topic": topic})
    async for piece in MERGE.astream({"notes": "\\n\\n".join(notes.values())}):
        show(piece)
    return []
""",
    ),
    wrong(
        "14.2",
        "one after the other",
        "all three answer: three requests at once, then one; saw 4 requests, at most 1 at once",
        """
async def brief(topic, show):
    notes, failed = [], []
    for name, chain in PERSPECTIVES.items():
        try:
            notes.append(await chain.ainvoke({"topic": topic}))
        except Exception:
            failed.append(name)
    async for piece in MERGE.astream({"notes": "\\n\\n".join(notes)}):
        show(piece)
    return failed
""",
    ),
    wrong(
        "14.2",
        "pieces collected first",
        "all three answer: the text is shown while it is written; saw",
        """
async def brief(topic, show):
    results = await asyncio.gather(
        *(chain.ainvoke({"topic": topic}) for chain in PERSPECTIVES.values()), return_exceptions=True
    )
    notes = [result for result in results if isinstance(result, str)]
    pieces = [piece async for piece in MERGE.astream({"notes": "\\n\\n".join(notes)})]
    for piece in pieces:
        show(piece)
    return [name for name, result in zip(PERSPECTIVES, results) if not isinstance(result, str)]
""",
    ),
    wrong(
        "14.2",
        "only the first failure is reported",
        "without benefits and example: the failures are reported; saw ['benefits']",
        """
async def brief(topic, show):
    notes, failed = [], []
    tasks = {name: asyncio.create_task(chain.ainvoke({"topic": topic})) for name, chain in PERSPECTIVES.items()}
    try:
        for name, task in tasks.items():
            notes.append(await task)
    except Exception:
        failed.append(name)
        await asyncio.wait(tasks.values())
        notes = [task.result() for task in tasks.values() if not task.exception()]
    async for piece in MERGE.astream({"notes": "\\n\\n".join(notes)}):
        show(piece)
    return failed
""",
    ),
    right(
        "14.2",
        "fallbacks in a parallel step",
        """
from langchain_core.runnables import RunnableLambda

async def brief(topic, show):
    nothing = RunnableLambda(lambda _: None)
    asked = RunnableParallel({name: chain.with_fallbacks([nothing]) for name, chain in PERSPECTIVES.items()})
    notes = await asked.ainvoke({"topic": topic})
    async for piece in MERGE.astream({"notes": "\\n\\n".join(note for note in notes.values() if note)}):
        show(piece)
    return [name for name, note in notes.items() if note is None]
""",
    ),
    right(
        "14.2",
        "a task group, and a try in each",
        """
async def brief(topic, show):
    notes, failed = {}, []

    async def ask_one(name):
        try:
            notes[name] = await PERSPECTIVES[name].ainvoke({"topic": topic})
        except Exception:
            failed.append(name)

    async with asyncio.TaskGroup() as group:
        for name in PERSPECTIVES:
            group.create_task(ask_one(name))
    async for piece in MERGE.astream({"notes": "\\n\\n".join(notes.values())}):
        show(piece)
    return failed
""",
    ),
    wrong(
        "14.3",
        "awaited in the old loop",
        "more than 1.7 times as fast as one after the other; saw",
        """
async def report(topics):
    texts = []
    for topic in topics:
        passage = await asyncio.to_thread(passage_on, topic)
        texts.append(await ANSWER.ainvoke({"topic": topic, "passage": passage}))
    return dict(zip(topics, await SHORTEN.abatch([{"text": text} for text in texts], {"max_concurrency": 4})))
""",
    ),
    wrong(
        "14.3",
        "a limit for each kind of call",
        "four model calls at once; saw at most",
        """
async def report(topics):
    answering, shortening = asyncio.Semaphore(4), asyncio.Semaphore(4)
    async def one(topic):
        passage = await asyncio.to_thread(passage_on, topic)
        async with answering:
            text = await ANSWER.ainvoke({"topic": topic, "passage": passage})
        async with shortening:
            return await SHORTEN.ainvoke({"text": text})
    return dict(zip(topics, await asyncio.gather(*(one(topic) for topic in topics))))
""",
    ),
    wrong(
        "14.3",
        "a blocking look-up on the loop",
        "nothing blocks the loop; saw the loop was held for",
        """
async def report(topics):
    slots = asyncio.Semaphore(4)
    async def one(topic):
        passage = passage_on(topic)
        async with slots:
            text = await ANSWER.ainvoke({"topic": topic, "passage": passage})
            return await SHORTEN.ainvoke({"text": text})
    return dict(zip(topics, await asyncio.gather(*(one(topic) for topic in topics))))
""",
    ),
    wrong(
        "14.3",
        "invoke in threads",
        "when it is cancelled, the model calls stop, and nothing is left running; saw TimeoutError",
        """
async def report(topics):
    slots = asyncio.Semaphore(4)
    async def one(topic):
        passage = await asyncio.to_thread(passage_on, topic)
        async with slots:
            text = await asyncio.to_thread(ANSWER.invoke, {"topic": topic, "passage": passage})
        async with slots:
            return await asyncio.to_thread(SHORTEN.invoke, {"text": text})
    return dict(zip(topics, await asyncio.gather(*(one(topic) for topic in topics))))
""",
    ),
    wrong(
        "14.3",
        "the sentences in the order in which they are done",
        "the same result as before; saw",
        """
async def report(topics):
    slots, sentences = asyncio.Semaphore(4), []
    async def one(topic):
        passage = await asyncio.to_thread(passage_on, topic)
        async with slots:
            text = await ANSWER.ainvoke({"topic": topic, "passage": passage})
        async with slots:
            sentences.append(await SHORTEN.ainvoke({"text": text}))
    await asyncio.gather(*(one(topic) for topic in topics))
    return dict(zip(topics, sentences))
""",
    ),
    wrong(
        "14.3",
        "failures in the report",
        "a failure comes out; saw",
        """
async def report(topics):
    slots = asyncio.Semaphore(4)
    async def one(topic):
        passage = await asyncio.to_thread(passage_on, topic)
        async with slots:
            text = await ANSWER.ainvoke({"topic": topic, "passage": passage})
        async with slots:
            return await SHORTEN.ainvoke({"text": text})
    return dict(zip(topics, await asyncio.gather(*(one(topic) for topic in topics), return_exceptions=True)))
""",
    ),
    right(
        "14.3",
        "a chain in a batch",
        """
async def report(topics):
    async def with_passage(topic):
        return {"topic": topic, "passage": await asyncio.to_thread(passage_on, topic)}
    inputs = await asyncio.gather(*(with_passage(topic) for topic in topics))
    texts = await ANSWER.abatch(inputs, {"max_concurrency": 4})
    return dict(zip(topics, await SHORTEN.abatch([{"text": text} for text in texts], {"max_concurrency": 4})))
""",
    ),
    right(
        "14.3",
        "an async client, and slots held for both calls",
        """
async def report(topics):
    slots = asyncio.Semaphore(4)
    async def one(client, topic):
        response = await client.get("/handbook", params={"q": topic, "limit": 1})
        passage = response.json()["results"][0]["text"]
        async with slots:
            text = await ANSWER.ainvoke({"topic": topic, "passage": passage})
            return await SHORTEN.ainvoke({"text": text})
    async with httpx.AsyncClient(base_url=server.url) as client:
        return dict(zip(topics, await asyncio.gather(*(one(client, topic) for topic in topics))))
""",
    ),
    wrong(
        "14.4",
        "the history read before it is its turn",
        "each message is answered from what was said before; saw",
        """
class Bot:
    def __init__(self):
        self.histories = defaultdict(list)
        self.slots = asyncio.Semaphore(3)
        self.locks = defaultdict(asyncio.Lock)
    async def reply(self, user, text):
        history = list(self.histories[user])
        async with self.locks[user], self.slots:
            message = await talk.ainvoke({"history": history, "text": text})
            self.histories[user] = [*history, ("user", text), ("ai", message.text)]
            return message.text
""",
    ),
    wrong(
        "14.4",
        "one lock for all",
        "seven requests, three at once; saw 7 requests, at most 1 at once",
        """
class Bot:
    def __init__(self):
        self.histories = defaultdict(list)
        self.lock = asyncio.Lock()
    async def reply(self, user, text):
        async with self.lock:
            message = await talk.ainvoke({"history": self.histories[user], "text": text})
            self.histories[user] += [("user", text), ("ai", message.text)]
            return message.text
""",
    ),
    wrong(
        "14.4",
        "a slot first, then the lock",
        "Ann's three messages hold up nobody else; saw 1 requests before the first answer",
        """
class Bot:
    def __init__(self):
        self.histories = defaultdict(list)
        self.slots = asyncio.Semaphore(3)
        self.locks = defaultdict(asyncio.Lock)
    async def reply(self, user, text):
        async with self.slots, self.locks[user]:
            message = await talk.ainvoke({"history": self.histories[user], "text": text})
            self.histories[user] += [("user", text), ("ai", message.text)]
            return message.text
""",
    ),
    wrong(
        "14.4",
        "a lock without the semaphore",
        "seven requests, three at once; saw 7 requests, at most 4 at once",
        """
class Bot:
    def __init__(self):
        self.histories = defaultdict(list)
        self.locks = defaultdict(asyncio.Lock)
    async def reply(self, user, text):
        async with self.locks[user]:
            message = await talk.ainvoke({"history": self.histories[user], "text": text})
            self.histories[user] += [("user", text), ("ai", message.text)]
            return message.text
""",
    ),
    wrong(
        "14.4",
        "the question is kept when the call fails",
        "a failed turn raises, leaves no trace, and the next one works; saw",
        """
class Bot:
    def __init__(self):
        self.histories = defaultdict(list)
        self.slots = asyncio.Semaphore(3)
        self.locks = defaultdict(asyncio.Lock)
    async def reply(self, user, text):
        async with self.locks[user], self.slots:
            self.histories[user].append(("user", text))
            message = await talk.ainvoke({"history": self.histories[user][:-1], "text": text})
            self.histories[user].append(("ai", message.text))
            return message.text
""",
    ),
    right(
        "14.4",
        "a lock made when it is needed, and message objects in the history",
        """
class Bot:
    def __init__(self):
        self.histories = defaultdict(list)
        self.slots = asyncio.Semaphore(3)
        self.locks = {}
    async def reply(self, user, text):
        async with self.locks.setdefault(user, asyncio.Lock()):
            async with self.slots:
                message = await talk.ainvoke({"history": list(self.histories[user]), "text": text})
            self.histories[user] += [("user", text), message]
            return message.text
""",
    ),
    right(
        "14.4",
        "a queue for each user in place of a lock",
        """
class Bot:
    def __init__(self):
        self.histories = defaultdict(list)
        self.slots = asyncio.Semaphore(3)
        self.last = {}
    async def reply(self, user, text):
        before, mine = self.last.get(user), asyncio.Event()
        self.last[user] = mine
        if before is not None:
            await before.wait()
        try:
            async with self.slots:
                message = await talk.ainvoke({"history": self.histories[user], "text": text})
            self.histories[user] += [("user", text), ("ai", message.text)]
            return message.text
        finally:
            mine.set()
""",
    ),
]
