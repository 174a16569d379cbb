"""What the checks of lesson 03 must find, and what they must let pass."""

from tests.answers import right, wrong

ANSWERS = [
    wrong(
        "03.1",
        "one after the other",
        "as long as the slowest, 3 s; saw 6.5 s",
        """
async def reports(departments):
    return {department: await report(department) for department in departments}
""",
    ),
    wrong(
        "03.1",
        "a list",
        "each department with its own report; saw ['report of law'",
        """
async def reports(departments):
    return await asyncio.gather(*(report(department) for department in departments))
""",
    ),
    wrong(
        "03.1",
        "wrongly paired",
        "each department with its own report; saw",
        """
async def reports(departments):
    texts = await asyncio.gather(*(report(department) for department in sorted(departments)))
    return dict(zip(departments, texts))
""",
    ),
    wrong(
        "03.1",
        "blocking",
        "as long as the slowest, 3 s; saw 6.5 s",
        """
import time

async def blocking(department):
    time.sleep(SECONDS[department])
    return f"report of {department}"

async def reports(departments):
    texts = await asyncio.gather(*(blocking(department) for department in departments))
    return dict(zip(departments, texts))
""",
    ),
    wrong(
        "03.1",
        "coroutines instead of reports",
        "each department with its own report; saw",
        """
async def reports(departments):
    return {department: report(department) for department in departments}
""",
    ),
    wrong(
        "03.1",
        "the first in a task, the others one by one",
        "as long as the slowest, 3 s; saw 3.5 s",
        """
async def reports(departments):
    if not departments:
        return {}
    first, *others = departments
    task = asyncio.create_task(report(first))
    texts = {department: await report(department) for department in others}
    return {first: await task} | texts
""",
    ),
    right(
        "03.1",
        "a task group",
        """
async def reports(departments):
    async with asyncio.TaskGroup() as group:
        tasks = {department: group.create_task(report(department)) for department in departments}
    return {department: task.result() for department, task in tasks.items()}
""",
    ),
    wrong(
        "03.2",
        "failures dropped",
        "each failure under its question, as the exception that it was; saw {}",
        """
async def answer_all(questions):
    results = await asyncio.gather(*(ask(question) for question in questions), return_exceptions=True)
    return {q: r for q, r in zip(questions, results) if not isinstance(r, Exception)}, {}
""",
    ),
    wrong(
        "03.2",
        "first failure raised",
        "nothing is raised; saw OpenAI",
        """
async def answer_all(questions):
    results = await asyncio.gather(*(ask(question) for question in questions))
    return dict(zip(questions, results)), {}
""",
    ),
    wrong(
        "03.2",
        "failures as texts",
        "each failure under its question, as the exception that it was",
        """
async def answer_all(questions):
    results = await asyncio.gather(*(ask(question) for question in questions), return_exceptions=True)
    answers = {q: r for q, r in zip(questions, results) if not isinstance(r, Exception)}
    return answers, {q: str(r) for q, r in zip(questions, results) if isinstance(r, Exception)}
""",
    ),
    wrong(
        "03.2",
        "failures among the answers, too",
        "an answer for each of the two good questions; saw",
        """
async def answer_all(questions):
    results = await asyncio.gather(*(ask(question) for question in questions), return_exceptions=True)
    return dict(zip(questions, results)), {q: r for q, r in zip(questions, results) if isinstance(r, Exception)}
""",
    ),
    wrong(
        "03.2",
        "one after the other",
        "four requests, all at once; saw at most 1 of 4 at once",
        """
async def answer_all(questions):
    answers, failures = {}, {}
    for question in questions:
        try:
            answers[question] = await ask(question)
        except Exception as error:
            failures[question] = error
    return answers, failures
""",
    ),
    right(
        "03.2",
        "a try in each call",
        """
async def answer_all(questions):
    answers, failures = {}, {}

    async def sort_in(question):
        try:
            answers[question] = await ask(question)
        except Exception as error:
            failures[question] = error

    await asyncio.gather(*(sort_in(question) for question in questions))
    return answers, failures
""",
    ),
    wrong(
        "03.3",
        "gather",
        "the server writes nothing once the failure is known; saw",
        """
async def brief(questions):
    return await asyncio.gather(*(ask(question) for question in questions))
""",
    ),
    wrong(
        "03.3",
        "the group as it is",
        "the failure itself is raised: BadRequestError; saw ExceptionGroup",
        """
async def brief(questions):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(question)) for question in questions]
    return [task.result() for task in tasks]
""",
    ),
    wrong(
        "03.3",
        "one after the other",
        "five requests, all at once; saw at most 1 of 5 at once",
        """
async def brief(questions):
    return [await ask(question) for question in questions]
""",
    ),
    wrong(
        "03.3",
        "waits for all before it raises",
        "the server writes nothing once the failure is known; saw",
        """
async def brief(questions):
    results = await asyncio.gather(*(ask(question) for question in questions), return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results
""",
    ),
    wrong(
        "03.3",
        "swallows the failure",
        "the failure itself is raised: BadRequestError; saw []",
        """
async def brief(questions):
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(question)) for question in questions]
    except* Exception:
        pass
    return [task.result() for task in tasks if not task.cancelled() and not task.exception()]
""",
    ),
    right(
        "03.3",
        "gather, then cancel the rest",
        """
async def brief(questions):
    tasks = [asyncio.create_task(ask(question)) for question in questions]
    try:
        return await asyncio.gather(*tasks)
    except Exception:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
""",
    ),
]
