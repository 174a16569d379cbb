"""What the checks of lesson 04 must find, and what they must let pass."""

from tests.answers import right, wrong

ANSWERS = [
    wrong(
        "04.1",
        "asks for the exception of every task",
        "no task makes it raise; saw InvalidStateError('Exception is not set.')",
        """
def status(task):
    error = task.exception()
    return "answered" if error is None else f"failed: {type(error).__name__}"
""",
    ),
    wrong(
        "04.1",
        "forgets the cancelled ones",
        "no task makes it raise; saw CancelledError()",
        """
def status(task):
    if not task.done():
        return "waiting"
    error = task.exception()
    return "answered" if error is None else f"failed: {type(error).__name__}"
""",
    ),
    wrong(
        "04.1",
        "takes None for no answer",
        "None: answered; saw waiting",
        """
def status(task):
    if task.cancelled():
        return "cancelled"
    if task.done() and task.exception():
        return f"failed: {type(task.exception()).__name__}"
    return "answered" if task.done() and task.result() else "waiting"
""",
    ),
    wrong(
        "04.1",
        "the exception instead of its class",
        "ConnectionError: failed: ConnectionError; saw failed: ConnectionError(",
        """
def status(task):
    if not task.done():
        return "waiting"
    if task.cancelled():
        return "cancelled"
    return f"failed: {task.exception()!r}" if task.exception() else "answered"
""",
    ),
    wrong(
        "04.1",
        "cancelled is done, and done is answered",
        "cancelled: cancelled; saw answered",
        """
def status(task):
    if not task.done():
        return "waiting"
    try:
        return f"failed: {type(task.exception()).__name__}" if task.exception() else "answered"
    except asyncio.CancelledError:
        return "answered"
""",
    ),
    right(
        "04.1",
        "by what result() does",
        """
def status(task):
    try:
        task.result()
    except asyncio.CancelledError:
        return "cancelled"
    except asyncio.InvalidStateError:
        return "waiting"
    except Exception as error:
        return f"failed: {type(error).__name__}"
    return "answered"
""",
    ),
    right(
        "04.1",
        "match",
        """
def status(task):
    match (task.done(), task.cancelled()):
        case (False, _):
            return "waiting"
        case (_, True):
            return "cancelled"
    return "failed: " + task.exception().__class__.__name__ if task.exception() is not None else "answered"
""",
    ),
    wrong(
        "04.2",
        "keeps nothing",
        "a task that nobody else keeps survives the garbage collector; saw it was destroyed",
        """
def spawn(coroutine, name, report):
    def end(task):
        if not task.cancelled() and task.exception() is not None:
            report(name, task.exception())

    task = asyncio.create_task(coroutine, name=name)
    task.add_done_callback(end)
    return task
""",
    ),
    wrong(
        "04.2",
        "keeps for ever",
        "what is done is not kept; saw 5 kept",
        """
def spawn(coroutine, name, report):
    def end(task):
        if not task.cancelled() and task.exception() is not None:
            report(name, task.exception())

    task = asyncio.create_task(coroutine, name=name)
    background.add(task)
    task.add_done_callback(end)
    return task
""",
    ),
    wrong(
        "04.2",
        "the documentation's recipe",
        "each failure is reported once, under its name; a cancellation and an answer are not; saw []",
        """
def spawn(coroutine, name, report):
    task = asyncio.create_task(coroutine, name=name)
    background.add(task)
    task.add_done_callback(background.discard)
    return task
""",
    ),
    wrong(
        "04.2",
        "a cancellation raises in the callback, and answers are reported",
        "each failure is reported once, under its name; a cancellation and an answer are not; saw [('archive'",
        """
def spawn(coroutine, name, report):
    def end(task):
        background.discard(task)
        report(name, task.exception())

    task = asyncio.create_task(coroutine, name=name)
    background.add(task)
    task.add_done_callback(end)
    return task
""",
    ),
    wrong(
        "04.2",
        "swallows the failure",
        "whoever awaits a failed task gets the exception too; saw ['NoneType', 'NoneType']",
        """
def spawn(coroutine, name, report):
    async def watched():
        try:
            return await coroutine
        except Exception as error:
            report(name, error)

    task = asyncio.create_task(watched(), name=name)
    background.add(task)
    task.add_done_callback(background.discard)
    return task
""",
    ),
    wrong(
        "04.2",
        "reports cancellations",
        "a cancellation and an answer are not; saw [('slow', 'CancelledError')",
        """
def spawn(coroutine, name, report):
    async def watched():
        try:
            return await coroutine
        except BaseException as error:
            report(name, error)
            raise

    async def started():
        return await watched()

    task = asyncio.create_task(started(), name=name)
    background.add(task)
    task.add_done_callback(background.discard)
    task.add_done_callback(lambda task: task.cancelled() and report(name, asyncio.CancelledError()))
    return task
""",
    ),
    wrong(
        "04.2",
        "no name",
        "the task has its name; saw Task-",
        """
def spawn(coroutine, name, report):
    def end(task):
        background.discard(task)
        if not task.cancelled() and task.exception() is not None:
            report(name, task.exception())

    task = asyncio.create_task(coroutine)
    background.add(task)
    task.add_done_callback(end)
    return task
""",
    ),
    wrong(
        "04.2",
        "an async function",
        "it returns the task at once; saw <coroutine object spawn",
        """
async def spawn(coroutine, name, report):
    try:
        return await coroutine
    except Exception as error:
        report(name, error)
""",
    ),
    wrong(
        "04.2",
        "returns nothing",
        "it returns the task at once; saw None",
        """
def spawn(coroutine, name, report):
    background.add(asyncio.create_task(coroutine, name=name))
""",
    ),
    right(
        "04.2",
        "reported from inside, and raised again",
        """
def spawn(coroutine, name, report):
    async def watched():
        try:
            return await coroutine
        except Exception as error:
            report(name, error)
            raise

    task = asyncio.create_task(watched(), name=name)
    background.add(task)
    task.add_done_callback(background.discard)
    return task
""",
    ),
    right(
        "04.2",
        "two callbacks and a dictionary of its own",
        """
kept = {}

def spawn(coroutine, name, report):
    def tell(task):
        if task.cancelled():
            return
        if error := task.exception():
            report(task.get_name(), error)

    task = asyncio.create_task(coroutine)
    task.set_name(name)
    kept[id(task)] = task
    task.add_done_callback(tell)
    task.add_done_callback(lambda task: kept.pop(id(task)))
    return task
""",
    ),
    wrong(
        "04.3",
        "all at the end",
        "each as soon as it is there; saw [(2.0, 'handbook')",
        """
async def show_all(sources, show):
    found = await asyncio.gather(*(look_up(source) for source in sources), return_exceptions=True)
    for source, outcome in zip(sources, found):
        show(source, outcome)
""",
    ),
    wrong(
        "04.3",
        "one after the other",
        "each as soon as it is there; saw [(2.0, 'handbook'), (2.5, 'web')",
        """
async def show_all(sources, show):
    for source in sources:
        try:
            show(source, await look_up(source))
        except Exception as error:
            show(source, error)
""",
    ),
    wrong(
        "04.3",
        "paired by position",
        "each under its source, the failure as the exception that it was; saw",
        """
async def show_all(sources, show):
    for source, coming in zip(sources, asyncio.as_completed([look_up(source) for source in sources])):
        try:
            show(source, await coming)
        except Exception as error:
            show(source, error)
""",
    ),
    wrong(
        "04.3",
        "a failure ends the loop",
        "four times something is shown, nothing is raised; saw [(0.5, 'web', 'found in the web'), (1.0, 'wiki',",
        """
async def with_source(source):
    return source, await look_up(source)

async def show_all(sources, show):
    for coming in asyncio.as_completed([with_source(source) for source in sources]):
        show(*await coming)
""",
    ),
    wrong(
        "04.3",
        "a failure is left out",
        "four times something is shown, nothing is raised; saw [(0.5, 'web', 'found in the web'), (1.0, 'wiki',",
        """
async def with_source(source):
    return source, await look_up(source)

async def show_all(sources, show):
    for coming in asyncio.as_completed([with_source(source) for source in sources]):
        try:
            show(*await coming)
        except Exception:
            continue
""",
    ),
    wrong(
        "04.3",
        "the failure as a text",
        "each under its source, the failure as the exception that it was; saw",
        """
async def with_source(source):
    try:
        return source, await look_up(source)
    except Exception as error:
        return source, str(error)

async def show_all(sources, show):
    for coming in asyncio.as_completed([with_source(source) for source in sources]):
        show(*await coming)
""",
    ),
    wrong(
        "04.3",
        "returns before the last is shown",
        "nothing is left running; saw",
        """
async def show_all(sources, show):
    async def one(source):
        try:
            show(source, await look_up(source))
        except Exception as error:
            show(source, error)

    for source in sources:
        asyncio.create_task(one(source))
""",
    ),
    right(
        "04.3",
        "each shows itself, in a task group",
        """
async def show_all(sources, show):
    async def one(source):
        try:
            found = await look_up(source)
        except Exception as error:
            found = error
        show(source, found)

    async with asyncio.TaskGroup() as group:
        for source in sources:
            group.create_task(one(source))
""",
    ),
    right(
        "04.3",
        "asyncio.wait",
        """
async def show_all(sources, show):
    waiting = {asyncio.create_task(look_up(source)): source for source in sources}
    while waiting:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            show(waiting.pop(task), task.exception() or task.result())
""",
    ),
    wrong(
        "04.4",
        "as it was",
        "all of them are written when it returns; saw 1 written, 2 left running",
        """
async def converse(questions, reply, write):
    replies = []
    for question in questions:
        replies.append(await reply(question))
        asyncio.create_task(write(replies[-1]))
    return replies
""",
    ),
    wrong(
        "04.4",
        "waits for each write",
        "no question waits for a write: 4.5 s in all; saw 7.5 s",
        """
async def converse(questions, reply, write):
    replies = []
    for question in questions:
        replies.append(await reply(question))
        await write(replies[-1])
    return replies
""",
    ),
    wrong(
        "04.4",
        "keeps the tasks, and waits for none",
        "all of them are written when it returns; saw 1 written, 2 left running",
        """
writes = set()

async def converse(questions, reply, write):
    replies = []
    for question in questions:
        replies.append(await reply(question))
        task = asyncio.create_task(write(replies[-1]))
        writes.add(task)
        task.add_done_callback(writes.discard)
    return replies
""",
    ),
    wrong(
        "04.4",
        "swallows the failure",
        "a failed write is raised; saw ['WHY?', 'HOW!', 'WHEN?']",
        """
async def converse(questions, reply, write):
    replies, writes = [], []
    for question in questions:
        replies.append(await reply(question))
        writes.append(asyncio.create_task(write(replies[-1])))
    await asyncio.gather(*writes, return_exceptions=True)
    return replies
""",
    ),
    wrong(
        "04.4",
        "gather leaves the other write behind",
        "and nothing is left running then; saw",
        """
async def converse(questions, reply, write):
    replies, writes = [], []
    for question in questions:
        replies.append(await reply(question))
        writes.append(asyncio.create_task(write(replies[-1])))
    await asyncio.gather(*writes)
    return replies
""",
    ),
    wrong(
        "04.4",
        "writes all at the end",
        "no question waits for a write: 4.5 s in all; saw 7.5 s",
        """
async def converse(questions, reply, write):
    replies = [await reply(question) for question in questions]
    for text in replies:
        await write(text)
    return replies
""",
    ),
    right(
        "04.4",
        "waits for all writes, then raises the first failure",
        """
async def converse(questions, reply, write):
    replies, writes = [], []
    for question in questions:
        replies.append(await reply(question))
        writes.append(asyncio.create_task(write(replies[-1])))
    for result in await asyncio.gather(*writes, return_exceptions=True):
        if isinstance(result, Exception):
            raise result
    return replies
""",
    ),
    right(
        "04.4",
        "a pool of tasks, cancelled at the first failure",
        """
async def converse(questions, reply, write):
    replies, writes = [], set()
    try:
        for question in questions:
            replies.append(await reply(question))
            writes.add(asyncio.create_task(write(replies[-1])))
        await asyncio.gather(*writes)
    finally:
        for task in writes:
            task.cancel()
        await asyncio.gather(*writes, return_exceptions=True)
    return replies
""",
    ),
    wrong(
        "04.2",
        "result() in the callback",
        "no callback raises; saw [",
        """
def spawn(coroutine, name, report):
    task = asyncio.create_task(coroutine, name=name)
    background.add(task)

    def end(task):
        background.discard(task)
        try:
            task.result()
        except Exception as error:
            report(name, error)

    task.add_done_callback(end)
    return task
""",
    ),
    wrong(
        "04.3",
        "the exception as a text",
        "each under its source, the failure as the exception that it was; saw",
        """
async def show_all(sources, show):
    async def with_source(source):
        try:
            show(source, await look_up(source))
        except Exception as error:
            show(source, repr(error))

    await asyncio.gather(*(with_source(source) for source in sources))
""",
    ),
    wrong(
        "04.3",
        "only the failure that one knows",
        "other sources, another failure: the same; saw",
        """
async def show_all(sources, show):
    async def with_source(source):
        try:
            show(source, await look_up(source))
        except ConnectionError as error:
            show(source, error)

    await asyncio.gather(*(with_source(source) for source in sources))
""",
    ),
    wrong(
        "04.4",
        "all writes at the end",
        "each write begins when its reply is there; saw [3",
        """
async def converse(questions, reply, write):
    replies = [await reply(question) for question in questions]
    async with asyncio.TaskGroup() as group:
        for text in replies:
            group.create_task(write(text))
    return replies
""",
    ),
]
