"""What the checks of lesson 10 must find, and what they must let pass."""

from tests.answers import right, wrong

ANSWERS = [
    wrong(
        "10.1",
        "only the search",
        "most_alike does not run in the loop's thread; saw 2 calls in the loop's thread",
        """
async def handle(question):
    titles = await asyncio.to_thread(search_archive, question)
    answer = await ask(question)
    return titles, answer, most_alike(SENTENCES)
""",
    ),
    wrong(
        "10.1",
        "only the calculation",
        "search_archive does not run in the loop's thread; saw 2 calls in the loop's thread",
        """
async def handle(question):
    titles = search_archive(question)
    answer = await ask(question)
    return titles, answer, await asyncio.to_thread(most_alike, SENTENCES)
""",
    ),
    wrong(
        "10.1",
        "sleep(0) between the calls",
        "the longest lag is at most half of what it was; saw",
        """
async def handle(question):
    titles = search_archive(question)
    await asyncio.sleep(0)
    answer = await ask(question)
    await asyncio.sleep(0)
    return titles, answer, most_alike(SENTENCES)
""",
    ),
    wrong(
        "10.1",
        "called before the thread",
        "the same titles, answer and sentences as before; saw TypeError(",
        """
async def handle(question):
    titles = await asyncio.to_thread(search_archive(question))
    answer = await ask(question)
    return titles, answer, await asyncio.to_thread(most_alike(SENTENCES))
""",
    ),
    right(
        "10.1",
        "all three together",
        """
async def handle(question):
    return tuple(
        await asyncio.gather(
            asyncio.to_thread(search_archive, question), ask(question), asyncio.to_thread(most_alike, SENTENCES)
        )
    )
""",
    ),
    right(
        "10.1",
        "an ordinary function in a thread",
        """
def handle_in_thread(question):
    return search_archive(question), llm.invoke(question).text, most_alike(SENTENCES)

async def handle(question):
    return await asyncio.to_thread(handle_in_thread, question)
""",
    ),
    wrong(
        "10.2",
        "await in the old loop",
        "at least four times as fast as one after another; saw",
        """
async def digest(sections, path, limit):
    failures = {}
    with path.open("w") as file:
        for section in sections:
            try:
                question = await asyncio.to_thread(fetch_question, section)
                answer = await ask(question)
                file.write(json.dumps({"section": section, "question": question, "answer": answer}) + "\\n")
            except Exception as error:
                failures[section] = error
    return failures
""",
    ),
    wrong(
        "10.2",
        "requests stays on the loop",
        "or a thread",
        """
async def digest(sections, path, limit):
    async def line(section):
        question = fetch_question(section)
        answer = await ask(question)
        return json.dumps({"section": section, "question": question, "answer": answer}) + "\\n"

    results = await bounded_map(line, sections, limit)
    path.write_text("".join(result for result in results if isinstance(result, str)))
    return {section: result for section, result in zip(sections, results) if isinstance(result, Exception)}
""",
    ),
    wrong(
        "10.2",
        "a limit for pages and one for questions",
        "never more requests at once; saw",
        """
async def digest(sections, path, limit):
    pages, questions = asyncio.Semaphore(limit), asyncio.Semaphore(limit)

    async with httpx.AsyncClient(base_url=server.url, limits=httpx.Limits(max_connections=100)) as client:
        async def line(section):
            page, number = section.split("/")
            async with pages:
                response = await client.get(f"/pages/{page}.html")
            response.raise_for_status()
            question = heading(response.text, int(number))
            async with questions:
                answer = await ask(question)
            return json.dumps({"section": section, "question": question, "answer": answer}) + "\\n"

        results = await asyncio.gather(*(line(section) for section in sections), return_exceptions=True)
    path.write_text("".join(result for result in results if isinstance(result, str)))
    return {section: result for section, result in zip(sections, results) if isinstance(result, Exception)}
""",
    ),
    wrong(
        "10.2",
        "the first failure ends it",
        "nothing is raised; saw HTTPStatusError(",
        """
async def digest(sections, path, limit):
    slots = asyncio.Semaphore(limit)

    async with httpx.AsyncClient(base_url=server.url) as client:
        async def line(section):
            page, number = section.split("/")
            async with slots:
                response = await client.get(f"/pages/{page}.html")
                response.raise_for_status()
                question = heading(response.text, int(number))
                answer = await ask(question)
            return json.dumps({"section": section, "question": question, "answer": answer}) + "\\n"

        lines = await asyncio.gather(*(line(section) for section in sections))
    path.write_text("".join(lines))
    return {}
""",
    ),
    wrong(
        "10.2",
        "in the order in which they come",
        "the lines of the script, in the same order, for the 13 sections that work; saw",
        """
async def digest(sections, path, limit):
    slots, failures = asyncio.Semaphore(limit), {}
    with path.open("w") as file:
        async def line(section):
            async with slots:
                try:
                    question = await asyncio.to_thread(fetch_question, section)
                    answer = await ask(question)
                    file.write(json.dumps({"section": section, "question": question, "answer": answer}) + "\\n")
                except Exception as error:
                    failures[section] = error

        await asyncio.gather(*(line(section) for section in reversed(sections)))
    return failures
""",
    ),
    wrong(
        "10.2",
        "a limit of its own",
        "with a limit of 10 and of 3, never more requests at once; saw 10 and 5",
        """
async def digest(sections, path, limit):
    async with httpx.AsyncClient(base_url=server.url) as client:
        async def line(section):
            page, number = section.split("/")
            response = await client.get(f"/pages/{page}.html")
            response.raise_for_status()
            question = heading(response.text, int(number))
            answer = await ask(question)
            return json.dumps({"section": section, "question": question, "answer": answer}) + "\\n"

        results = await bounded_map(line, sections, 10)
    path.write_text("".join(result for result in results if isinstance(result, str)))
    return {section: result for section, result in zip(sections, results) if isinstance(result, Exception)}
""",
    ),
    wrong(
        "10.2",
        "the file is added to",
        "a second run writes the file anew; saw 18 lines for 5 sections",
        """
async def digest(sections, path, limit):
    async with httpx.AsyncClient(base_url=server.url) as client:
        async def line(section):
            page, number = section.split("/")
            response = await client.get(f"/pages/{page}.html")
            response.raise_for_status()
            question = heading(response.text, int(number))
            answer = await ask(question)
            return json.dumps({"section": section, "question": question, "answer": answer}) + "\\n"

        results = await bounded_map(line, sections, limit)
    with path.open("a") as file:
        file.write("".join(result for result in results if isinstance(result, str)))
    return {section: result for section, result in zip(sections, results) if isinstance(result, Exception)}
""",
    ),
    wrong(
        "10.2",
        "a missing page is read for headings",
        "the two that fail come back with their exceptions; saw {'nothing/1': IndexError(",
        """
async def digest(sections, path, limit):
    async with httpx.AsyncClient(base_url=server.url) as client:
        async def line(section):
            page, number = section.split("/")
            response = await client.get(f"/pages/{page}.html")
            question = heading(response.text, int(number))
            answer = await ask(question)
            return json.dumps({"section": section, "question": question, "answer": answer}) + "\\n"

        results = await bounded_map(line, sections, limit)
    path.write_text("".join(result for result in results if isinstance(result, str)))
    return {section: result for section, result in zip(sections, results) if isinstance(result, Exception)}
""",
    ),
    right(
        "10.2",
        "a page for two sections is fetched once",
        """
async def digest(sections, path, limit):
    pages, slots = {}, asyncio.Semaphore(limit)

    async def get(page):
        async with slots:
            response = await client.get(f"/pages/{page}.html")
        return response.raise_for_status().text

    async def line(section):
        page, number = section.split("/")
        if page not in pages:
            pages[page] = asyncio.create_task(get(page))
        question = heading(await pages[page], int(number))
        async with slots:
            answer = await ask(question)
        return json.dumps({"section": section, "question": question, "answer": answer}) + "\\n"

    async with httpx.AsyncClient(base_url=server.url) as client:
        results = await asyncio.gather(*map(line, sections), return_exceptions=True)
    path.write_text("".join(result for result in results if isinstance(result, str)))
    return {section: result for section, result in zip(sections, results) if isinstance(result, Exception)}
""",
    ),
    right(
        "10.2",
        "the page in a thread",
        """
async def digest(sections, path, limit):
    async def line(section):
        question = await asyncio.to_thread(fetch_question, section)
        answer = (await llm.ainvoke(question)).text
        return json.dumps({"section": section, "question": question, "answer": answer}) + "\\n"

    results = await bounded_map(line, sections, limit)
    with path.open("w") as file:
        file.writelines(result for result in results if isinstance(result, str))
    return {section: result for section, result in zip(sections, results) if not isinstance(result, str)}
""",
    ),
    wrong(
        "10.3",
        "a semaphore of six in the default pool",
        "the coordinator hears from the worker while it works; saw",
        """
async def work(topics):
    slots = asyncio.Semaphore(6)

    async def read(topic):
        async with slots:
            return await asyncio.to_thread(read_handbook, topic)

    reporting = asyncio.create_task(keep_reporting())
    await asyncio.sleep(0.05)
    try:
        return await asyncio.gather(*(read(topic) for topic in topics))
    finally:
        reporting.cancel()
        await asyncio.gather(reporting, return_exceptions=True)
""",
    ),
    wrong(
        "10.3",
        "five jobs leave a thread free",
        "six at a time; saw at most 5",
        """
async def work(topics):
    reporting = asyncio.create_task(keep_reporting())
    try:
        results = await bounded_map(lambda topic: asyncio.to_thread(read_handbook, topic), topics, 5)
        for result in results:
            if isinstance(result, Exception):
                raise result
        return results
    finally:
        reporting.cancel()
        await asyncio.gather(reporting, return_exceptions=True)
""",
    ),
    wrong(
        "10.3",
        "one thread for each topic",
        "six at a time; saw at most 12",
        """
async def work(topics):
    loop = asyncio.get_running_loop()
    reporting = asyncio.create_task(keep_reporting())
    with ThreadPoolExecutor(len(topics)) as jobs:
        try:
            return await asyncio.gather(*(loop.run_in_executor(jobs, read_handbook, topic) for topic in topics))
        finally:
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)
""",
    ),
    wrong(
        "10.3",
        "the reporting goes on",
        "nothing is left running, also when a job fails; saw ['keep_reporting",
        """
jobs_of_mine = ThreadPoolExecutor(6)

async def work(topics):
    loop = asyncio.get_running_loop()
    reporting = asyncio.create_task(keep_reporting())
    return await asyncio.gather(*(loop.run_in_executor(jobs_of_mine, read_handbook, topic) for topic in topics))
""",
    ),
    wrong(
        "10.3",
        "the reporting goes on when a job fails",
        "nothing is left running, also when a job fails; saw ['keep_reporting",
        """
async def work(topics):
    loop = asyncio.get_running_loop()
    reporting = asyncio.create_task(keep_reporting())
    jobs = ThreadPoolExecutor(6)
    results = await asyncio.gather(*(loop.run_in_executor(jobs, read_handbook, topic) for topic in topics))
    reporting.cancel()
    await asyncio.gather(reporting, return_exceptions=True)
    return results
""",
    ),
    wrong(
        "10.3",
        "nobody reports",
        "the coordinator hears from the worker while it works; saw 0 reports",
        """
async def work(topics):
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(6) as jobs:
        return await asyncio.gather(*(loop.run_in_executor(jobs, read_handbook, topic) for topic in topics))
""",
    ),
    wrong(
        "10.3",
        "the pool is waited for on the loop",
        "the coordinator hears from the worker while it works; saw",
        """
async def work(topics):
    reporting = asyncio.create_task(keep_reporting())
    try:
        with ThreadPoolExecutor(6) as jobs:
            return list(jobs.map(read_handbook, topics))
    finally:
        reporting.cancel()
        await asyncio.gather(reporting, return_exceptions=True)
""",
    ),
    right(
        "10.3",
        "a pool that ends with the work",
        """
async def work(topics):
    loop = asyncio.get_running_loop()
    reporting = asyncio.create_task(keep_reporting())
    with ThreadPoolExecutor(6) as jobs:
        try:
            return await asyncio.gather(*(loop.run_in_executor(jobs, read_handbook, topic) for topic in topics))
        finally:
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)
""",
    ),
    right(
        "10.3",
        "a pool made once, and failures at the end",
        """
JOBS = ThreadPoolExecutor(6)

async def work(topics):
    loop = asyncio.get_running_loop()
    reporting = asyncio.create_task(keep_reporting())
    results = await asyncio.gather(
        *(loop.run_in_executor(JOBS, read_handbook, topic) for topic in topics), return_exceptions=True
    )
    reporting.cancel()
    await asyncio.gather(reporting, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results
""",
    ),
    right(
        "10.3",
        "the jobs on one loop of another thread",
        """
def read_all(topics):
    with ThreadPoolExecutor(6) as jobs:
        return list(jobs.map(read_handbook, topics))

async def work(topics):
    reporting = asyncio.create_task(keep_reporting())
    try:
        return await asyncio.to_thread(read_all, topics)
    finally:
        reporting.cancel()
        await asyncio.gather(reporting, return_exceptions=True)
""",
    ),
]
