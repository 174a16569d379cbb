"""What the checks of lesson 13 must find, and what they must let pass."""

from tests.answers import right, wrong

GATEWAY = """
class GatewayModel(BaseChatModel):
    @property
    def _llm_type(self):
        return "gateway"

    def _generate(self, messages, stop=None, run_manager=None, **options):
        return result_of(gateway.chat.completions.create(**request_of(messages, stop)))

    async def _agenerate(self, messages, stop=None, run_manager=None, **options):
        return {answer}


def request_of(messages, stop):
    sent = [{{"role": "user", "content": message.text}} for message in messages]
    return {{"model": server.model, "messages": sent, "stop": stop}}


def result_of(answer):
    return ChatResult(generations=[ChatGeneration(message=AIMessage(answer.choices[0].message.content))])
"""


def gateway(answer: str) -> str:
    """Return the class with another `_agenerate`."""
    return GATEWAY.format(answer=answer)


ANSWERS = [
    wrong(
        "13.1",
        "as they come, without the order",
        "the texts in the order of the questions, None for the two that failed; saw",
        """
async def answer_all(questions, show):
    texts, failures = [], {}
    async for index, result in llm.abatch_as_completed(questions, return_exceptions=True):
        if isinstance(result, Exception):
            failures[questions[index]] = result
            texts.append(None)
        else:
            texts.append(result.text)
            show(questions[index], result.text)
    return texts, failures
""",
    ),
    wrong(
        "13.1",
        "the first failure ends it",
        "nothing is raised; saw",
        """
async def answer_all(questions, show):
    texts = [None] * len(questions)
    async for index, result in llm.abatch_as_completed(questions):
        texts[index] = result.text
        show(questions[index], result.text)
    return texts, {}
""",
    ),
    wrong(
        "13.1",
        "one after another",
        "five requests, all at once, nothing left running; saw 1 of 5 at once",
        """
async def answer_all(questions, show):
    texts, failures = [], {}
    for question in questions:
        try:
            texts.append((await llm.ainvoke(question)).text)
            show(question, texts[-1])
        except Exception as error:
            texts.append(None)
            failures[question] = error
    return texts, failures
""",
    ),
    wrong(
        "13.1",
        "kept in a list, shown after the loop",
        "the first shown while others were on their way; saw",
        """
async def answer_all(questions, show):
    texts, failures, order = [None] * len(questions), {}, []
    async for index, result in llm.abatch_as_completed(questions, return_exceptions=True):
        if isinstance(result, Exception):
            failures[questions[index]] = result
        else:
            texts[index] = result.text
            order.append(index)
    for index in order:
        show(questions[index], texts[index])
    return texts, failures
""",
    ),
    wrong(
        "13.1",
        "failures as texts, and shown",
        "the two failures under their questions, as exceptions; saw",
        """
async def answer_all(questions, show):
    texts, failures = [None] * len(questions), {}
    async for index, result in llm.abatch_as_completed(questions, return_exceptions=True):
        if isinstance(result, Exception):
            failures[questions[index]] = str(result)
            show(questions[index], str(result))
        else:
            texts[index] = result.text
            show(questions[index], result.text)
    return texts, failures
""",
    ),
    right(
        "13.1",
        "a task for each question",
        """
async def answer_all(questions, show):
    texts, failures = {}, {}

    async def one(question):
        try:
            texts[question] = (await llm.ainvoke(question)).text
            show(question, texts[question])
        except Exception as error:
            failures[question] = error

    async with asyncio.TaskGroup() as group:
        for question in questions:
            group.create_task(one(question))
    return [texts.get(question) for question in questions], failures
""",
    ),
    right(
        "13.1",
        "a dictionary by index",
        """
async def answer_all(questions, show):
    results = {}
    async for index, result in llm.abatch_as_completed(questions, return_exceptions=True):
        results[index] = result
        if not isinstance(result, Exception):
            show(questions[index], result.text)
    texts = [getattr(results[index], "text", None) for index in range(len(questions))]
    return texts, {questions[index]: result for index, result in results.items() if isinstance(result, Exception)}
""",
    ),
    wrong(
        "13.2",
        "a semaphore for each section",
        "with a cap of 3: 3 at once, no more and no fewer; saw 9 at once",
        """
async def report(sections, cap):
    async def section(questions):
        slots = asyncio.Semaphore(cap)

        async def answer(question):
            async with slots:
                return (await llm.ainvoke(question)).text

        return await asyncio.gather(*(answer(question) for question in questions))

    texts = await asyncio.gather(*(section(questions) for questions in sections.values()))
    return dict(zip(sections, texts))
""",
    ),
    wrong(
        "13.2",
        "section after section",
        "with a cap of 4: 4 at once, no more and no fewer; saw 1 at once",
        """
async def report(sections, cap):
    texts = {}
    for name, questions in sections.items():
        texts[name] = [message.text for message in await llm.abatch(questions, {"max_concurrency": cap})]
    return texts
""",
    ),
    wrong(
        "13.2",
        "groups of as many as the cap",
        "no slot is empty while questions wait; saw",
        """
async def report(sections, cap):
    flat = [question for questions in sections.values() for question in questions]
    answers = []
    for start in range(0, len(flat), cap):
        answers += await asyncio.gather(*(llm.ainvoke(question) for question in flat[start : start + cap]))
    texts = iter(answers)
    return {name: [next(texts).text for _ in questions] for name, questions in sections.items()}
""",
    ),
    wrong(
        "13.2",
        "the synchronous batch",
        "the loop stays free; saw",
        """
async def report(sections, cap):
    flat = [question for questions in sections.values() for question in questions]
    texts = iter(llm.batch(flat, {"max_concurrency": cap}))
    return {name: [next(texts).text for _ in questions] for name, questions in sections.items()}
""",
    ),
    right(
        "13.2",
        "workers that share an iterator",
        """
async def report(sections, cap):
    texts = {name: [""] * len(questions) for name, questions in sections.items()}
    todo = iter([(name, place, q) for name, asked in sections.items() for place, q in enumerate(asked)])

    async def work():
        for name, place, question in todo:
            texts[name][place] = (await llm.ainvoke(question)).text

    await asyncio.gather(*(work() for _ in range(cap)))
    return texts
""",
    ),
    right(
        "13.2",
        "bounded_map with one semaphore",
        """
from awaitsee.desk import ask, bounded_map

async def report(sections, cap):
    slots = asyncio.Semaphore(cap)
    async with asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(bounded_map(ask, asked, slots)) for name, asked in sections.items()}
    return {name: task.result() for name, task in tasks.items()}
""",
    ),
    wrong(
        "13.3",
        "the receipt after the loop",
        "left after ten pieces: one receipt, an estimate; saw []",
        """
async def stream_with_receipt(question, receipts):
    usage, model = None, ChatOpenAI(model=server.model, stream_usage=True)
    async for piece in model.astream(question):
        usage = piece.usage_metadata or usage
        if piece.text:
            yield piece.text
    receipts.append(Receipt(usage["input_tokens"], usage["output_tokens"], True))
""",
    ),
    wrong(
        "13.3",
        "without stream_usage",
        "three receipts, exact, and together what the server bills; saw",
        """
async def stream_with_receipt(question, receipts):
    usage, count = None, 0
    try:
        async for piece in llm.astream(question):
            usage = piece.usage_metadata or usage
            if piece.text:
                count += 1
                yield piece.text
    finally:
        if usage:
            receipts.append(Receipt(usage["input_tokens"], usage["output_tokens"], True))
        else:
            receipts.append(Receipt(estimate(question), count, False))
""",
    ),
    wrong(
        "13.3",
        "swallows the broken connection",
        "the error comes out; saw None",
        """
async def stream_with_receipt(question, receipts):
    model = ChatOpenAI(model=server.model, stream_usage=True)
    usage, count = None, 0
    try:
        async with aclosing(model.astream(question)) as pieces:
            async for piece in pieces:
                usage = piece.usage_metadata or usage
                if piece.text:
                    count += 1
                    yield piece.text
    except Exception:
        pass
    finally:
        exact = usage is not None
        tokens = (usage["input_tokens"], usage["output_tokens"]) if exact else (estimate(question), count)
        receipts.append(Receipt(*tokens, exact))
""",
    ),
    wrong(
        "13.3",
        "holds the model's stream open",
        "left after ten pieces: as many tokens as pieces came; saw",
        """
held_open = []

async def stream_with_receipt(question, receipts):
    model = ChatOpenAI(model=server.model, stream_usage=True)
    usage, count = None, 0
    stream = model.astream(question)
    held_open.append(stream)
    try:
        async for piece in stream:
            usage = piece.usage_metadata or usage
            if piece.text:
                count += 1
                yield piece.text
    finally:
        exact = usage is not None
        tokens = (usage["input_tokens"], usage["output_tokens"]) if exact else (estimate(question), count)
        receipts.append(Receipt(*tokens, exact))
""",
    ),
    wrong(
        "13.3",
        "the broken connection is forgotten",
        "broken half-way: one receipt, an estimate; saw []",
        """
async def stream_with_receipt(question, receipts):
    usage, count = None, 0
    try:
        async with aclosing(llm.astream(question, stream_usage=True)) as pieces:
            async for piece in pieces:
                usage = piece.usage_metadata or usage
                if piece.text:
                    count += 1
                    yield piece.text
    except GeneratorExit:
        receipts.append(Receipt(estimate(question), count, False))
        raise
    receipts.append(Receipt(usage["input_tokens"], usage["output_tokens"], True))
""",
    ),
    wrong(
        "13.3",
        "asks again for the usage",
        "one request for each; saw 6",
        """
async def stream_with_receipt(question, receipts):
    used, count = None, 0
    try:
        async with aclosing(llm.astream(question)) as pieces:
            async for piece in pieces:
                if piece.text:
                    count += 1
                    yield piece.text
        used = (await llm.ainvoke(question)).usage_metadata
    finally:
        tokens = (used["input_tokens"], used["output_tokens"]) if used else (estimate(question), count)
        receipts.append(Receipt(*tokens, used is not None))
""",
    ),
    right(
        "13.3",
        "a callback counts",
        """
from langchain_core.callbacks import UsageMetadataCallbackHandler

async def stream_with_receipt(question, receipts):
    handler, count = UsageMetadataCallbackHandler(), 0
    try:
        async with aclosing(llm.astream(question, {"callbacks": [handler]}, stream_usage=True)) as pieces:
            async for piece in pieces:
                if piece.text:
                    count += 1
                    yield piece.text
    finally:
        used = next(iter(handler.usage_metadata.values()), None)
        tokens = (used["input_tokens"], used["output_tokens"]) if used else (estimate(question), count)
        receipts.append(Receipt(*tokens, used is not None))
""",
    ),
    right(
        "13.3",
        "stream_usage in the call",
        """
async def stream_with_receipt(question, receipts):
    receipt = Receipt(estimate(question), 0, False)
    try:
        async with aclosing(llm.astream(question, stream_usage=True)) as pieces:
            async for piece in pieces:
                if piece.usage_metadata:
                    used = piece.usage_metadata
                    receipt = Receipt(used["input_tokens"], used["output_tokens"], True)
                if piece.text:
                    receipt.tokens_out += 1
                    yield piece.text
    finally:
        receipts.append(receipt)
""",
    ),
    wrong(
        "13.4",
        "blocks the loop",
        "one request each, all at once; saw at most 1 of 8 at once",
        gateway("result_of(gateway.chat.completions.create(**request_of(messages, stop)))"),
    ),
    wrong(
        "13.4",
        "still a thread",
        "no thread is used; saw 8 calls in threads",
        gateway("await asyncio.to_thread(self._generate, messages, stop)"),
    ),
    wrong(
        "13.4",
        "forgets stop",
        "stop: ainvoke answers as invoke does; saw",
        gateway("result_of(await async_gateway.chat.completions.create(**request_of(messages, None)))"),
    ),
    wrong(
        "13.4",
        "forgets to await",
        "eight answers, in order; saw",
        gateway("result_of(async_gateway.chat.completions.create(**request_of(messages, stop)))"),
    ),
    wrong(
        "13.4",
        "a client for each call",
        "no client for each call; saw 8 clients",
        gateway("result_of(await AsyncOpenAI().chat.completions.create(**request_of(messages, stop)))"),
    ),
    wrong(
        "13.4",
        "sends the last message only",
        "two messages: ainvoke answers as invoke does; saw",
        gateway("result_of(await async_gateway.chat.completions.create(**request_of(messages[-1:], stop)))"),
    ),
    right(
        "13.4",
        "the desk's model does it",
        gateway("ChatResult(generations=[ChatGeneration(message=await llm.ainvoke(messages, stop=stop))])"),
    ),
    right(
        "13.4",
        "with options of the client",
        gateway(
            "result_of(await async_gateway.with_options(max_retries=0)"
            ".chat.completions.create(**request_of(messages, stop)))"
        ),
    ),
]
