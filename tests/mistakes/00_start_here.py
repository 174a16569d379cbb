"""What the check of lesson 00 must find, and what it must let pass."""

from tests.answers import right, wrong

ANSWERS = [
    wrong(
        "00.1",
        "one after the other",
        "both under way at the same time; saw at most 1 at a time",
        """
async def ask_two(first, second):
    return [await ask(first), await ask(second)]
""",
    ),
    wrong(
        "00.1",
        "gather awaited one by one",
        "both under way at the same time; saw at most 1 at a time",
        """
async def ask_two(first, second):
    [one] = await asyncio.gather(ask(first))
    [two] = await asyncio.gather(ask(second))
    return [one, two]
""",
    ),
    wrong(
        "00.1",
        "nothing awaited",
        "two requests, one for each question; saw 0",
        """
async def ask_two(first, second):
    return [ask(first), ask(second)]
""",
    ),
    wrong(
        "00.1",
        "the wrong order",
        "the first question's answer first; saw",
        """
async def ask_two(first, second):
    return await asyncio.gather(ask(second), ask(first))
""",
    ),
    wrong(
        "00.1",
        "the answers are not returned",
        "two answers; saw None",
        """
async def ask_two(first, second):
    await asyncio.gather(ask(first), ask(second))
""",
    ),
    wrong(
        "00.1",
        "one question asked twice",
        "the first question's answer first",
        """
async def ask_two(first, second):
    return await asyncio.gather(ask(first), ask(first))
""",
    ),
    right(
        "00.1",
        "two tasks",
        """
async def ask_two(first, second):
    tasks = [asyncio.create_task(ask(question)) for question in (first, second)]
    return [await task for task in tasks]
""",
    ),
    right(
        "00.1",
        "a task group and a tuple",
        """
async def ask_two(first, second):
    async with asyncio.TaskGroup() as group:
        one = group.create_task(ask(first))
        two = group.create_task(ask(second))
    return one.result(), two.result()
""",
    ),
]
