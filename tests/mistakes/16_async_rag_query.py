"""What the checks of lesson 16 must find, and what they must let pass."""

from tests.answers import right, wrong

ANSWERS = [
    wrong(
        "16.1",
        "one after the other",
        "all at once: 3 s; saw 5.5 s",
        """
async def search_all(questions, search):
    found, failed = {}, []
    for question in questions:
        try:
            found[question] = await search(question)
        except Exception:
            failed.append(question)
    return found, failed
""",
    ),
    wrong(
        "16.1",
        "a failed search looks empty",
        "three searches that worked, each with its headings; saw {'locks': ['What are locks?'], 'storms': []",
        """
async def search_all(questions, search):
    results = await asyncio.gather(*(search(question) for question in questions), return_exceptions=True)
    return {q: [] if isinstance(r, Exception) else r for q, r in zip(questions, results)}, []
""",
    ),
    wrong(
        "16.1",
        "an empty result counts as failed",
        "three searches that worked, each with its headings; saw",
        """
async def search_all(questions, search):
    results = await asyncio.gather(*(search(question) for question in questions), return_exceptions=True)
    good = {q: r for q, r in zip(questions, results) if isinstance(r, list) and r}
    return good, [q for q in questions if q not in good]
""",
    ),
    wrong(
        "16.1",
        "the failure is raised",
        "nothing is raised; saw ConnectionError('the index is not reachable')",
        """
async def search_all(questions, search):
    results = await asyncio.gather(*(search(question) for question in questions))
    return dict(zip(questions, results)), []
""",
    ),
    wrong(
        "16.1",
        "in the order of arrival",
        "in the order of the questions; saw ['cooking', 'queues', 'locks']",
        """
async def search_all(questions, search):
    found, failed = {}, []

    async def one(question):
        try:
            found[question] = await search(question)
        except Exception:
            failed.append(question)

    await asyncio.gather(*map(one, questions))
    return found, failed
""",
    ),
    right(
        "16.1",
        "tasks awaited in order",
        """
async def search_all(questions, search):
    tasks = {question: asyncio.create_task(search(question)) for question in questions}
    found, failed = {}, []
    for question, task in tasks.items():
        try:
            found[question] = await task
        except ConnectionError:
            failed.append(question)
    return found, failed
""",
    ),
    right(
        "16.1",
        "the exceptions kept, then sorted",
        """
async def search_all(questions, search):
    async def one(question):
        try:
            return await search(question)
        except Exception:
            return None

    results = dict(zip(questions, await asyncio.gather(*map(one, questions))))
    return {q: r for q, r in results.items() if r is not None}, [q for q, r in results.items() if r is None]
""",
    ),
    wrong(
        "16.2",
        "one after the other",
        "at most two at once, and two; saw 1 at once",
        """
async def search_wordings(question, reword, search, limit):
    scores = Counter()
    for wording in dict.fromkeys([question, *await reword(question)]):
        for rank, heading in enumerate(await search(wording), 1):
            scores[heading] += 1 / (60 + rank)
    return [heading for heading, _ in scores.most_common()]
""",
    ),
    wrong(
        "16.2",
        "no limit",
        "at most two at once, and two; saw 4 at once",
        """
async def search_wordings(question, reword, search, limit):
    wordings = dict.fromkeys([question, *await reword(question)])
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(search(wording)) for wording in wordings]
    scores = Counter()
    for task in tasks:
        for rank, heading in enumerate(task.result(), 1):
            scores[heading] += 1 / (60 + rank)
    return [heading for heading, _ in scores.most_common()]
""",
    ),
    wrong(
        "16.2",
        "each wording as it comes",
        "each text once; saw ['q', 'q one', 'q two', 'q', 'q one', 'q three']",
        """
async def search_wordings(question, reword, search, limit):
    slots = asyncio.Semaphore(limit)

    async def one(wording):
        async with slots:
            return await search(wording)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(wording)) for wording in [question, *await reword(question)]]
    scores = Counter()
    for task in tasks:
        for rank, heading in enumerate(task.result(), 1):
            scores[heading] += 1 / (60 + rank)
    return [heading for heading, _ in scores.most_common()]
""",
    ),
    wrong(
        "16.2",
        "joined, not merged by rank",
        "merged by rank; saw ['a', 'c', 'd', 'e', 'b']",
        """
async def search_wordings(question, reword, search, limit):
    slots = asyncio.Semaphore(limit)

    async def one(wording):
        async with slots:
            return await search(wording)

    wordings = dict.fromkeys([question, *await reword(question)])
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(wording)) for wording in wordings]
    return list(dict.fromkeys(heading for task in tasks for heading in task.result()))
""",
    ),
    wrong(
        "16.2",
        "one divided by the rank",
        "merged by rank; saw ['e', 'c', 'd', 'a', 'b']",
        """
async def search_wordings(question, reword, search, limit):
    slots = asyncio.Semaphore(limit)

    async def one(wording):
        async with slots:
            return await search(wording)

    wordings = dict.fromkeys([question, *await reword(question)])
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(wording)) for wording in wordings]
    scores = Counter()
    for task in tasks:
        for rank, heading in enumerate(task.result(), 1):
            scores[heading] += 1 / rank
    return [heading for heading, _ in scores.most_common()]
""",
    ),
    wrong(
        "16.2",
        "the lists are counted",
        "merged by rank; saw ['c', 'd', 'e', 'b', 'a']",
        """
async def search_wordings(question, reword, search, limit):
    slots = asyncio.Semaphore(limit)

    async def one(wording):
        async with slots:
            return await search(wording)

    wordings = dict.fromkeys([question, *await reword(question)])
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(wording)) for wording in wordings]
    return [heading for heading, _ in Counter(each for task in tasks for each in task.result()).most_common()]
""",
    ),
    wrong(
        "16.2",
        "in batches",
        "4 s in all, or less; saw 5 s",
        """
async def search_wordings(question, reword, search, limit):
    wordings = list(dict.fromkeys([question, *await reword(question)]))
    scores = Counter()
    for first in range(0, len(wordings), limit):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(search(wording)) for wording in wordings[first : first + limit]]
        for task in tasks:
            for rank, heading in enumerate(task.result(), 1):
                scores[heading] += 1 / (60 + rank)
    return [heading for heading, _ in scores.most_common()]
""",
    ),
    wrong(
        "16.2",
        "gather lets the others run on",
        "at once, and the others have stopped by then; saw 1.5 s",
        """
async def search_wordings(question, reword, search, limit):
    slots = asyncio.Semaphore(limit)

    async def one(wording):
        async with slots:
            return await search(wording)

    wordings = dict.fromkeys([question, *await reword(question)])
    scores = Counter()
    for found in await asyncio.gather(*map(one, wordings)):
        for rank, heading in enumerate(found, 1):
            scores[heading] += 1 / (60 + rank)
    return [heading for heading, _ in scores.most_common()]
""",
    ),
    wrong(
        "16.2",
        "failures left out",
        "a failure comes out; saw ['c', 'e', 'd', 'a', 'b']",
        """
async def search_wordings(question, reword, search, limit):
    slots = asyncio.Semaphore(limit)

    async def one(wording):
        async with slots:
            return await search(wording)

    wordings = dict.fromkeys([question, *await reword(question)])
    scores = Counter()
    for found in await asyncio.gather(*map(one, wordings), return_exceptions=True):
        for rank, heading in enumerate([] if isinstance(found, Exception) else found, 1):
            scores[heading] += 1 / (60 + rank)
    return [heading for heading, _ in scores.most_common()]
""",
    ),
    right(
        "16.2",
        "the question's own search begins at once",
        """
async def search_wordings(question, reword, search, limit):
    slots = asyncio.Semaphore(limit)
    found = {}

    async def one(wording):
        async with slots:
            found[wording] = await search(wording)

    async with asyncio.TaskGroup() as group:
        group.create_task(one(question))
        wordings = dict.fromkeys([question, *await reword(question)])
        for wording in list(wordings)[1:]:
            group.create_task(one(wording))
    scores = {}
    for wording in wordings:
        for place, heading in enumerate(found[wording]):
            scores[heading] = scores.get(heading, 0) + 1 / (61 + place)
    return sorted(scores, key=scores.get, reverse=True)
""",
    ),
    right(
        "16.2",
        "gather, then cancel the rest",
        """
async def search_wordings(question, reword, search, limit):
    slots = asyncio.Semaphore(limit)

    async def one(wording):
        async with slots:
            return await search(wording)

    wordings = dict.fromkeys([question, *await reword(question)])
    tasks = [asyncio.create_task(one(wording)) for wording in wordings]
    try:
        lists = await asyncio.gather(*tasks)
    except Exception:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        raise
    scores = Counter()
    for found in lists:
        scores.update({heading: 1 / (60 + rank) for rank, heading in enumerate(found, 1)})
    return [heading for heading, _ in scores.most_common()]
""",
    ),
    wrong(
        "16.3",
        "half for each step",
        "the search leaves the model more than half: answer after 9.5 s; saw ('sources only', '', ['Locks']) after 6 s",
        """
async def reply(question, seconds, search, write):
    try:
        async with asyncio.timeout(seconds / 2):
            headings = await search(question)
    except (TimeoutError, ConnectionError):
        return "unavailable", "", []
    if not headings:
        return "nothing found", "", []
    text = ""
    try:
        async with asyncio.timeout(seconds / 2):
            async for piece in write(question, headings):
                text += piece
    except TimeoutError:
        return ("cut off" if text else "sources only"), text, headings
    return "answer", text, headings
""",
    ),
    wrong(
        "16.3",
        "one timeout around everything",
        "the search is late: unavailable after 5 s; saw",
        """
async def reply(question, seconds, search, write):
    text, headings = "", []
    try:
        async with asyncio.timeout(seconds):
            headings = await search(question)
            if not headings:
                return "nothing found", "", []
            async for piece in write(question, headings):
                text += piece
    except ConnectionError:
        return "unavailable", "", []
    except TimeoutError:
        kind = "cut off" if text else "sources only" if headings else "unavailable"
        return kind, text, headings
    return "answer", text, headings
""",
    ),
    wrong(
        "16.3",
        "the pieces are collected inside",
        "the time is over within the text: cut off after 10 s; saw ('sources only', '', ['Locks']) after 10 s",
        """
async def reply(question, seconds, search, write):
    deadline = asyncio.get_running_loop().time() + seconds
    try:
        async with asyncio.timeout_at(deadline - seconds / 2):
            headings = await search(question)
    except (TimeoutError, ConnectionError):
        return "unavailable", "", []
    if not headings:
        return "nothing found", "", []
    try:
        async with asyncio.timeout_at(deadline):
            text = "".join([piece async for piece in write(question, headings)])
    except TimeoutError:
        return "sources only", "", headings
    return "answer", text, headings
""",
    ),
    wrong(
        "16.3",
        "asks without sources",
        "the model is asked once, and only with sources; saw ['nothing is found']",
        """
async def reply(question, seconds, search, write):
    deadline = asyncio.get_running_loop().time() + seconds
    try:
        async with asyncio.timeout_at(deadline - seconds / 2):
            headings = await search(question)
    except (TimeoutError, ConnectionError):
        return "unavailable", "", []
    text = ""
    try:
        async with asyncio.timeout_at(deadline), aclosing(write(question, headings)) as pieces:
            async for piece in pieces:
                if not headings:
                    return "nothing found", "", []
                text += piece
    except TimeoutError:
        return ("cut off" if text else "sources only"), text, headings
    return "answer", text, headings
""",
    ),
    wrong(
        "16.3",
        "a second after ten",
        "with four seconds: sources only after 4 s; saw",
        """
async def reply(question, seconds, search, write):
    deadline = asyncio.get_running_loop().time() + 10
    try:
        async with asyncio.timeout_at(deadline - 5):
            headings = await search(question)
    except (TimeoutError, ConnectionError):
        return "unavailable", "", []
    if not headings:
        return "nothing found", "", []
    text = ""
    try:
        async with asyncio.timeout_at(deadline):
            async for piece in write(question, headings):
                text += piece
    except TimeoutError:
        return ("cut off" if text else "sources only"), text, headings
    return "answer", text, headings
""",
    ),
    wrong(
        "16.3",
        "the late search runs on",
        "nothing runs on; saw ['the search is late']",
        """
async def reply(question, seconds, search, write):
    deadline = asyncio.get_running_loop().time() + seconds
    searching = asyncio.create_task(search(question))
    done, _ = await asyncio.wait({searching}, timeout=seconds / 2)
    if not done or searching.exception():
        return "unavailable", "", []
    headings = searching.result()
    if not headings:
        return "nothing found", "", []
    text = ""
    try:
        async with asyncio.timeout_at(deadline):
            async for piece in write(question, headings):
                text += piece
    except TimeoutError:
        return ("cut off" if text else "sources only"), text, headings
    return "answer", text, headings
""",
    ),
    wrong(
        "16.3",
        "a failing model looks like a late one",
        "what `write` raises comes out; saw ('cut off', 'Hold ', ['mute'])",
        """
async def reply(question, seconds, search, write):
    deadline = asyncio.get_running_loop().time() + seconds
    try:
        async with asyncio.timeout_at(deadline - seconds / 2):
            headings = await search(question)
    except (TimeoutError, ConnectionError):
        return "unavailable", "", []
    if not headings:
        return "nothing found", "", []
    text = ""
    try:
        async with asyncio.timeout_at(deadline):
            async for piece in write(question, headings):
                text += piece
    except (TimeoutError, ConnectionError):
        return ("cut off" if text else "sources only"), text, headings
    return "answer", text, headings
""",
    ),
    right(
        "16.3",
        "wait_for, and what is left of the time",
        """
async def reply(question, seconds, search, write):
    now = asyncio.get_running_loop().time
    deadline = now() + seconds
    try:
        headings = await asyncio.wait_for(search(question), seconds / 2)
    except (TimeoutError, ConnectionError):
        return ["unavailable", "", []]
    if not headings:
        return ["nothing found", "", []]
    pieces = []

    async def read():
        async for piece in write(question, headings):
            pieces.append(piece)

    try:
        await asyncio.wait_for(read(), deadline - now())
        kind = "answer"
    except TimeoutError:
        kind = "cut off" if pieces else "sources only"
    return [kind, "".join(pieces), headings]
""",
    ),
    right(
        "16.3",
        "one timeout, rescheduled",
        """
async def reply(question, seconds, search, write):
    deadline = asyncio.get_running_loop().time() + seconds
    headings, text = None, ""
    try:
        async with asyncio.timeout(seconds / 2) as limit:
            headings = await search(question)
            if not headings:
                return "nothing found", "", []
            limit.reschedule(deadline)
            async with aclosing(write(question, headings)) as pieces:
                async for piece in pieces:
                    text += piece
    except ConnectionError:
        if headings is None:
            return "unavailable", "", []
        raise
    except TimeoutError:
        if headings is None:
            return "unavailable", "", []
        return "cut off" if text else "sources only", text, headings
    return "answer", text, headings
""",
    ),
    wrong(
        "16.4",
        "the code as it was",
        "the old document and all five new ones; saw [('eeeee', 5), ('old', 3)]",
        """
async def add(document, archive, embed):
    entries = await archive.load()
    entries.append((document, await embed(document)))
    async with archive.lock:
        await archive.save(entries)
""",
    ),
    wrong(
        "16.4",
        "everything under the lock",
        "all five are embedded together: 2 s in all; saw 6 s",
        """
async def add(document, archive, embed):
    async with archive.lock:
        entries = await archive.load()
        entries.append((document, await embed(document)))
        await archive.save(entries)
""",
    ),
    wrong(
        "16.4",
        "the lock taken twice",
        "the old document and all five new ones; saw",
        """
async def add(document, archive, embed):
    async with archive.lock:
        entries = await archive.load()
    vector = await embed(document)
    async with archive.lock:
        await archive.save([*entries, (document, vector)])
""",
    ),
    wrong(
        "16.4",
        "a lock of one's own",
        "the old document and all five new ones; saw",
        """
async def add(document, archive, embed):
    vector = await embed(document)
    async with asyncio.Lock():
        entries = await archive.load()
        await archive.save([*entries, (document, vector)])
""",
    ),
    wrong(
        "16.4",
        "a failure is swallowed",
        "one that fails leaves the others alone, and says so; saw",
        """
async def add(document, archive, embed):
    try:
        vector = await embed(document)
    except ConnectionError:
        return
    async with archive.lock:
        await archive.save([*await archive.load(), (document, vector)])
""",
    ),
    wrong(
        "16.4",
        "past the file",
        "all five are embedded together: 2 s in all; saw 1 s",
        """
async def add(document, archive, embed):
    archive.saved.append((document, await embed(document)))
""",
    ),
    right(
        "16.4",
        "the embedding in a task, awaited under no lock",
        """
async def add(document, archive, embed):
    vector = await asyncio.create_task(embed(document))
    await archive.lock.acquire()
    try:
        entries = await archive.load()
        entries.append((document, vector))
        await archive.save(entries)
    finally:
        archive.lock.release()
""",
    ),
    right(
        "16.4",
        "a function for what belongs together",
        """
async def add(document, archive, embed):
    async def enter(vector):
        async with archive.lock:
            await archive.save([*await archive.load(), (document, vector)])

    await enter(await embed(document))
""",
    ),
]
