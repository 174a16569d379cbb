"""What the checks of lesson 02 must find, and what they must let pass."""

from tests.answers import right, wrong

ANSWERS = [
    wrong(
        "02.1",
        "forgets that nobody may hold it",
        "AttributeError: 'NoneType' object has no attribute 'task'",
        """
def blocker(run):
    return run.longest_block.task, sum(block.seconds for block in run.blocks) / run.elapsed
""",
    ),
    wrong(
        "02.1",
        "only the longest block counts",
        "another run: for which share of the time the loop was held; saw (",
        """
def blocker(run):
    longest = run.longest_block
    return (longest.task, longest.seconds / run.elapsed) if longest else None
""",
    ),
    wrong(
        "02.1",
        "the longest task instead of the longest step",
        "this morning: who held the loop longest without a break; saw (",
        """
def blocker(run):
    if not run.blocks:
        return None
    longest = max(run.tasks[1:], key=lambda task: task.finished - task.started)
    return longest.name, sum(block.seconds for block in run.blocks) / run.elapsed
""",
    ),
    wrong(
        "02.1",
        "who held it longest in all",
        "another run: who held the loop longest without a break; saw (\"shift('often'",
        """
def blocker(run):
    totals = {}
    for block in run.blocks:
        totals[block.task] = totals.get(block.task, 0) + block.seconds
    return (max(totals, key=totals.get), sum(totals.values()) / run.elapsed) if totals else None
""",
    ),
    wrong(
        "02.1",
        "read off the figure",
        "another run: who held the loop longest without a break; saw (\"welcome('Ada')\"",
        """
def blocker(run):
    return "welcome('Ada')", sum(block.seconds for block in run.blocks) / run.elapsed
""",
    ),
    right(
        "02.1",
        "sorted blocks",
        """
def blocker(run):
    blocks = sorted(run.blocks, key=lambda block: block.seconds)
    return (blocks[-1].task, sum(block.seconds for block in blocks) / run.elapsed) if blocks else None
""",
    ),
    right(
        "02.1",
        "from the steps of the tasks",
        """
def blocker(run):
    steps = [(step.end - step.start, task.name) for task in run.all_tasks for step in task.steps]
    steps = [step for step in steps if step[0] >= 0.05]
    return (max(steps)[1], sum(seconds for seconds, _ in steps) / run.elapsed) if steps else None
""",
    ),
    wrong(
        "02.2",
        "on the loop",
        "two answers are read before the searches are over; saw ['search', 'answer', 'answer']",
        """
async def search_all(queries):
    return {query: search_archive(query) for query in queries}
""",
    ),
    wrong(
        "02.2",
        "gather of blocking coroutines",
        "five searches, all at the same time; saw 5 searches",
        """
async def search_all(queries):
    async def search(query):
        return search_archive(query)

    return dict(zip(queries, await asyncio.gather(*(search(query) for query in queries))))
""",
    ),
    wrong(
        "02.2",
        "threads, one after the other",
        "five searches, all at the same time; saw 5 searches",
        """
async def search_all(queries):
    return {query: await asyncio.to_thread(search_archive, query) for query in queries}
""",
    ),
    wrong(
        "02.2",
        "called instead of handed over",
        "each query with its own titles; saw TypeError(\"'list' object is not callable",
        """
async def search_all(queries):
    found = await asyncio.gather(*(asyncio.to_thread(search_archive(query)) for query in queries))
    return dict(zip(queries, found))
""",
    ),
    wrong(
        "02.2",
        "a list",
        "each query with its own titles; saw [[",
        """
async def search_all(queries):
    return await asyncio.gather(*(asyncio.to_thread(search_archive, query) for query in queries))
""",
    ),
    wrong(
        "02.2",
        "failures swallowed",
        "a search that fails raises what search_archive raises; saw {'thread'",
        """
async def search_all(queries):
    found = await asyncio.gather(
        *(asyncio.to_thread(search_archive, query) for query in queries), return_exceptions=True
    )
    return {query: titles for query, titles in zip(queries, found) if isinstance(titles, list)}
""",
    ),
    wrong(
        "02.2",
        "an async def in a thread",
        "each query with its own titles; saw {'deadlock': <coroutine object search_all",
        """
async def search_all(queries):
    async def search(query):
        return search_archive(query)

    return dict(zip(queries, await asyncio.gather(*(asyncio.to_thread(search, query) for query in queries))))
""",
    ),
    right(
        "02.2",
        "a pool of its own",
        """
from concurrent.futures import ThreadPoolExecutor

async def search_all(queries):
    with ThreadPoolExecutor(max_workers=8) as pool:
        loop = asyncio.get_running_loop()
        found = await asyncio.gather(*(loop.run_in_executor(pool, search_archive, query) for query in queries))
    return dict(zip(queries, found))
""",
    ),
    wrong(
        "02.3",
        "as it was",
        "a turn for others after every twenty pieces at the latest; saw 62 pieces",
        """
async def relay(body):
    sent = []
    async for piece in pieces(body):
        if may_go_out(piece):
            sent.append(piece)
    return sent
""",
    ),
    wrong(
        "02.3",
        "time.sleep(0)",
        "a turn for others after every twenty pieces at the latest; saw 62 pieces",
        """
async def relay(body):
    sent = []
    async for piece in pieces(body):
        if may_go_out(piece):
            sent.append(piece)
        time.sleep(0)
    return sent
""",
    ),
    wrong(
        "02.3",
        "awaits a coroutine that does not wait",
        "a turn for others after every twenty pieces at the latest; saw 62 pieces",
        """
async def relay(body):
    async def checked(piece):
        return may_go_out(piece)

    sent = []
    async for piece in pieces(body):
        if await checked(piece):
            sent.append(piece)
    return sent
""",
    ),
    wrong(
        "02.3",
        "a turn too rarely",
        "a turn for others after every twenty pieces at the latest; saw",
        """
async def relay(body):
    sent, number = [], 0
    async for piece in pieces(body):
        number += 1
        if may_go_out(piece):
            sent.append(piece)
        if number % 25 == 0:
            await asyncio.sleep(0)
    return sent
""",
    ),
    wrong(
        "02.3",
        "gathered, and the answers taken for the pieces",
        "the pieces that may go out, all of them and in order; saw [True, True",
        """
async def relay(body):
    return await asyncio.gather(*[asyncio.to_thread(may_go_out, piece) async for piece in pieces(body)])
""",
    ),
    wrong(
        "02.3",
        "the comparison left out",
        "each piece is compared once; saw 0 comparisons for 62 pieces",
        """
async def relay(body):
    sent = []
    async for piece in pieces(body):
        sent.append(piece)
        await asyncio.sleep(0)
    return sent
""",
    ),
    right(
        "02.3",
        "each comparison in a thread",
        """
async def relay(body):
    return [piece async for piece in pieces(body) if await asyncio.to_thread(may_go_out, piece)]
""",
    ),
    right(
        "02.3",
        "all comparisons in one thread",
        """
async def relay(body):
    arrived = [piece async for piece in pieces(body)]
    return await asyncio.to_thread(lambda: [piece for piece in arrived if may_go_out(piece)])
""",
    ),
    right(
        "02.3",
        "a generator that gives turns",
        """
async def in_turns(body):
    async for piece in pieces(body):
        await asyncio.sleep(0)
        yield piece

async def relay(body):
    return [piece async for piece in in_turns(body) if may_go_out(piece)]
""",
    ),
    wrong(
        "02.2",
        "a pool that the loop waits for",
        "two answers are read before the searches are over; saw",
        """
from concurrent.futures import ThreadPoolExecutor

async def search_all(queries):
    with ThreadPoolExecutor(8) as pool:
        return dict(zip(queries, pool.map(search_archive, queries)))
""",
    ),
    wrong(
        "02.2",
        "three at a time",
        "five searches, all at the same time; saw 5 searches",
        """
async def search_all(queries):
    found = {}
    for start in range(0, len(queries), 3):
        part = queries[start : start + 3]
        lists = await asyncio.gather(*(asyncio.to_thread(search_archive, query) for query in part))
        found |= dict(zip(part, lists))
    return found
""",
    ),
    right(
        "02.2",
        "a task group",
        """
async def search_all(queries):
    async with asyncio.TaskGroup() as group:
        tasks = {query: group.create_task(asyncio.to_thread(search_archive, query)) for query in queries}
    return {query: task.result() for query, task in tasks.items()}
""",
    ),
]
