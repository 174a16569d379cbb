"""What the checks of lesson 15 must find, and what they must let pass."""

from tests.answers import right, wrong

ANSWERS = [
    wrong(
        "15.1",
        "one after the other in threads",
        "3 at the same time; saw 1",
        """
async def read_all(names, limit):
    texts, failures = {}, {}
    for name in names:
        try:
            texts[name] = await asyncio.to_thread(read_document, name)
        except ValueError as error:
            failures[name] = error
    return texts, failures
""",
    ),
    wrong(
        "15.1",
        "all at once",
        "3 at the same time; saw",
        """
async def read_all(names, limit):
    calls = (asyncio.to_thread(read_document, name) for name in names)
    results = await asyncio.gather(*calls, return_exceptions=True)
    pairs = dict(zip(names, results))
    failures = {name: each for name, each in pairs.items() if isinstance(each, Exception)}
    return {name: each for name, each in pairs.items() if name not in failures}, failures
""",
    ),
    wrong(
        "15.1",
        "async in front of a call that blocks",
        "none read on the loop; saw 9",
        """
async def read_all(names, limit):
    async def read(name):
        return read_document(name)

    pairs = dict(zip(names, await bounded_map(read, names, limit)))
    failures = {name: each for name, each in pairs.items() if isinstance(each, Exception)}
    return {name: each for name, each in pairs.items() if name not in failures}, failures
""",
    ),
    wrong(
        "15.1",
        "the first failure ends it",
        "nothing is raised; saw ValueError('cannot read damaged document 4')",
        """
async def read_all(names, limit):
    slots = asyncio.Semaphore(limit)

    async def read(name):
        async with slots:
            return await asyncio.to_thread(read_document, name)

    texts = await asyncio.gather(*(read(name) for name in names))
    return dict(zip(names, texts)), {}
""",
    ),
    wrong(
        "15.1",
        "failures among the texts",
        "the texts by name; saw",
        """
async def read_all(names, limit):
    async def read(name):
        return await asyncio.to_thread(read_document, name)

    return dict(zip(names, await bounded_map(read, names, limit))), {}
""",
    ),
    right(
        "15.1",
        "a semaphore and a try",
        """
async def read_all(names, limit):
    slots, found, failures = asyncio.Semaphore(limit), {}, {}

    async def read(name):
        async with slots:
            try:
                found[name] = await asyncio.to_thread(read_document, name)
            except ValueError as error:
                failures[name] = error

    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(read(name))
    return {name: found[name] for name in names if name in found}, failures
""",
    ),
    right(
        "15.1",
        "a pool of its own",
        """
from concurrent.futures import ThreadPoolExecutor

async def read_all(names, limit):
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(limit) as pool:
        calls = (loop.run_in_executor(pool, read_document, name) for name in names)
        results = await asyncio.gather(*calls, return_exceptions=True)
    texts = {name: each for name, each in zip(names, results) if isinstance(each, str)}
    return texts, {name: each for name, each in zip(names, results) if not isinstance(each, str)}
""",
    ),
    wrong(
        "15.1",
        "messages instead of exceptions",
        "and the failure, as an exception; saw",
        """
async def read_all(names, limit):
    async def read(name):
        return await asyncio.to_thread(read_document, name)

    pairs = dict(zip(names, await bounded_map(read, names, limit)))
    failures = {name: str(each) for name, each in pairs.items() if isinstance(each, Exception)}
    return {name: each for name, each in pairs.items() if name not in failures}, failures
""",
    ),
    wrong(
        "15.2",
        "parsed on the loop",
        "none parsed on the loop; saw 100 pages",
        """
async def ingest(library, at_once):
    batches = asyncio.Queue(maxsize=at_once)

    async def collect():
        waiting = []
        for page in library.pages():
            waiting += library.split(page)
            while len(waiting) >= 16:
                await batches.put(waiting[:16])
                del waiting[:16]
        if waiting:
            await batches.put(waiting)
        for _ in range(at_once):
            await batches.put(None)

    async def work():
        while (batch := await batches.get()) is not None:
            library.add(batch, await embedder.aembed_documents(batch))

    async with asyncio.TaskGroup() as group:
        group.create_task(collect())
        for _ in range(at_once):
            group.create_task(work())
""",
    ),
    wrong(
        "15.2",
        "a queue without a bound",
        "few in memory; saw",
        """
async def ingest(library, at_once):
    batches = asyncio.Queue()

    async def collect():
        pages, waiting = library.pages(), []
        while (page := await asyncio.to_thread(next, pages, None)) is not None:
            waiting += library.split(page)
            while len(waiting) >= 16:
                await batches.put(waiting[:16])
                del waiting[:16]
        if waiting:
            await batches.put(waiting)
        for _ in range(at_once):
            await batches.put(None)

    async def work():
        while (batch := await batches.get()) is not None:
            library.add(batch, await embedder.aembed_documents(batch))

    async with asyncio.TaskGroup() as group:
        group.create_task(collect())
        for _ in range(at_once):
            group.create_task(work())
""",
    ),
    wrong(
        "15.2",
        "the last batch is forgotten",
        "all in the index, once; saw 112 of 124",
        """
async def ingest(library, at_once):
    batches = asyncio.Queue(maxsize=at_once)

    async def collect():
        pages, waiting = library.pages(), []
        while (page := await asyncio.to_thread(next, pages, None)) is not None:
            waiting += library.split(page)
            if len(waiting) >= 16:
                await batches.put(waiting)
                waiting = []
        for _ in range(at_once):
            await batches.put(None)

    async def work():
        while (batch := await batches.get()) is not None:
            library.add(batch, await embedder.aembed_documents(batch))

    async with asyncio.TaskGroup() as group:
        group.create_task(collect())
        for _ in range(at_once):
            group.create_task(work())
""",
    ),
    wrong(
        "15.2",
        "a request for each page, one after another",
        "25 requests; saw 100 requests",
        """
async def ingest(library, at_once):
    pages = library.pages()
    slots = asyncio.Semaphore(at_once)

    async def work(page):
        async with slots:
            chunks = library.split(page)
            library.add(chunks, await embedder.aembed_documents(chunks))

    async with asyncio.TaskGroup() as group:
        while (page := await asyncio.to_thread(next, pages, None)) is not None:
            group.create_task(work(page))
""",
    ),
    wrong(
        "15.2",
        "one request at a time",
        "4 requests at once; saw 1",
        """
async def ingest(library, at_once):
    pages, waiting = library.pages(), []
    while (page := await asyncio.to_thread(next, pages, None)) is not None:
        waiting += library.split(page)
        if len(waiting) >= 16:
            library.add(waiting[:16], await embedder.aembed_documents(waiting[:16]))
            del waiting[:16]
    if waiting:
        library.add(waiting, await embedder.aembed_documents(waiting))
""",
    ),
    right(
        "15.2",
        "a task for each batch, behind a semaphore",
        """
async def ingest(library, at_once):
    slots, pages, waiting = asyncio.Semaphore(at_once), library.pages(), []

    async def work(batch):
        try:
            library.add(batch, await embedder.aembed_documents(batch))
        finally:
            slots.release()

    async with asyncio.TaskGroup() as group:
        while (page := await asyncio.to_thread(next, pages, None)) is not None:
            waiting += library.split(page)
            if len(waiting) >= 16:
                await slots.acquire()
                group.create_task(work(waiting[:16]))
                waiting = waiting[16:]
        if waiting:
            await slots.acquire()
            group.create_task(work(waiting))
""",
    ),
    right(
        "15.2",
        "join instead of a sentinel",
        """
async def ingest(library, at_once):
    batches = asyncio.Queue(maxsize=1)

    async def work():
        while True:
            batch = await batches.get()
            library.add(batch, await embedder.aembed_documents(batch))
            batches.task_done()

    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(work()) for _ in range(at_once)]
        pages, waiting = library.pages(), []
        while (page := await asyncio.to_thread(next, pages, None)) is not None:
            for chunk in library.split(page):
                waiting.append(chunk)
                if len(waiting) == 16:
                    await batches.put(waiting)
                    waiting = []
        if waiting:
            await batches.put(waiting)
        await batches.join()
        for worker in workers:
            worker.cancel()
""",
    ),
    wrong(
        "15.2",
        "gather leaves the others waiting when one fails",
        "and nothing is left running then; saw",
        """
async def ingest(library, at_once):
    batches = asyncio.Queue(maxsize=at_once)

    async def collect():
        pages, waiting = library.pages(), []
        while (page := await asyncio.to_thread(next, pages, None)) is not None:
            waiting += library.split(page)
            if len(waiting) >= 16:
                await batches.put(waiting[:16])
                waiting = waiting[16:]
        if waiting:
            await batches.put(waiting)
        for _ in range(at_once):
            await batches.put(None)

    async def work():
        while (batch := await batches.get()) is not None:
            library.add(batch, await embedder.aembed_documents(batch))

    await asyncio.gather(collect(), *(work() for _ in range(at_once)))
""",
    ),
    wrong(
        "15.3",
        "one commit at the end",
        "after an exception: three batches saved; saw 0",
        """
async def ingest_into(path, texts, size):
    async with aiosqlite.connect(path) as db:
        done = {row[0] for row in await db.execute_fetchall("SELECT id FROM chunks")}
        todo = [id for id in texts if id not in done]
        for start in range(0, len(todo), size):
            ids = todo[start : start + size]
            vectors = await embedder.aembed_documents([texts[id] for id in ids])
            rows = [(id, json.dumps(vector)) for id, vector in zip(ids, vectors)]
            await db.executemany("INSERT OR REPLACE INTO chunks VALUES (?, ?)", rows)
        await db.commit()
    return len(todo)
""",
    ),
    wrong(
        "15.3",
        "begins again",
        "then: only the missing, in 3 requests; saw 6 requests",
        """
async def ingest_into(path, texts, size):
    async with aiosqlite.connect(path) as db:
        ids = list(texts)
        for start in range(0, len(ids), size):
            part = ids[start : start + size]
            vectors = await embedder.aembed_documents([texts[id] for id in part])
            rows = [(id, json.dumps(vector)) for id, vector in zip(part, vectors)]
            await db.executemany("INSERT OR REPLACE INTO chunks VALUES (?, ?)", rows)
            await db.commit()
    return len(ids)
""",
    ),
    wrong(
        "15.3",
        "marked before it is done",
        "after an exception: three batches saved; saw 24",
        """
async def ingest_into(path, texts, size):
    async with aiosqlite.connect(path) as db:
        done = {row[0] for row in await db.execute_fetchall("SELECT id FROM chunks")}
        todo = [id for id in texts if id not in done]
        for start in range(0, len(todo), size):
            ids = todo[start : start + size]
            await db.executemany("INSERT INTO chunks VALUES (?, NULL)", [(id,) for id in ids])
            await db.commit()
            vectors = await embedder.aembed_documents([texts[id] for id in ids])
            rows = [(json.dumps(vector), id) for id, vector in zip(ids, vectors)]
            await db.executemany("UPDATE chunks SET vector = ? WHERE id = ?", rows)
            await db.commit()
    return len(todo)
""",
    ),
    wrong(
        "15.3",
        "the failure is swallowed",
        "after an exception: it is raised; saw",
        """
async def ingest_into(path, texts, size):
    async with aiosqlite.connect(path) as db:
        done = {row[0] for row in await db.execute_fetchall("SELECT id FROM chunks")}
        todo = [id for id in texts if id not in done]
        for start in range(0, len(todo), size):
            ids = todo[start : start + size]
            try:
                vectors = await embedder.aembed_documents([texts[id] for id in ids])
            except BadRequestError:
                break
            rows = [(id, json.dumps(vector)) for id, vector in zip(ids, vectors)]
            await db.executemany("INSERT OR REPLACE INTO chunks VALUES (?, ?)", rows)
            await db.commit()
    return len(todo)
""",
    ),
    wrong(
        "15.3",
        "counts rows instead of asking which",
        "then: all are there, each with its vector; saw",
        """
async def ingest_into(path, texts, size):
    async with aiosqlite.connect(path) as db:
        ((done,),) = await db.execute_fetchall("SELECT count(*) FROM chunks")
        todo = list(texts)[done:]
        for start in range(0, len(todo), size):
            ids = todo[start : start + size]
            vectors = await embedder.aembed_documents([texts[id] for id in ids])
            rows = [(id, json.dumps(vector)) for id, vector in zip(sorted(ids), vectors)]
            await db.executemany("INSERT OR REPLACE INTO chunks VALUES (?, ?)", rows)
            await db.commit()
    return len(todo)
""",
    ),
    right(
        "15.3",
        "a connection for each batch",
        """
async def ingest_into(path, texts, size):
    async with aiosqlite.connect(path) as db:
        done = {row[0] for row in await db.execute_fetchall("SELECT id FROM chunks")}
    todo = {id: text for id, text in texts.items() if id not in done}
    ids = list(todo)
    for start in range(0, len(ids), size):
        part = ids[start : start + size]
        vectors = await embedder.aembed_documents([todo[id] for id in part])
        async with aiosqlite.connect(path) as db:
            for id, vector in zip(part, vectors):
                await db.execute("INSERT INTO chunks VALUES (?, ?)", (id, json.dumps(vector)))
            await db.commit()
    return len(ids)
""",
    ),
    right(
        "15.3",
        "asks for each batch what is missing",
        """
async def ingest_into(path, texts, size):
    embedded = 0
    async with aiosqlite.connect(path) as db:
        while True:
            done = {row[0] for row in await db.execute_fetchall("SELECT id FROM chunks")}
            batch = [id for id in texts if id not in done][:size]
            if not batch:
                return embedded
            vectors = await embedder.aembed_documents([texts[id] for id in batch])
            rows = [(id, json.dumps(vector)) for id, vector in zip(batch, vectors)]
            await db.executemany("INSERT INTO chunks VALUES (?, ?)", rows)
            await db.commit()
            embedded += len(batch)
""",
    ),
    wrong(
        "15.3",
        "one commit in finally, which a power cut does not run",
        "before a cancellation: they were on the disk; saw 0 rows",
        """
async def ingest_into(path, texts, size):
    async with aiosqlite.connect(path) as db:
        done = {row[0] for row in await db.execute_fetchall("SELECT id FROM chunks")}
        todo = [id for id in texts if id not in done]
        try:
            for start in range(0, len(todo), size):
                ids = todo[start : start + size]
                vectors = await embedder.aembed_documents([texts[id] for id in ids])
                rows = [(id, json.dumps(vector)) for id, vector in zip(ids, vectors)]
                await db.executemany("INSERT INTO chunks VALUES (?, ?)", rows)
        finally:
            await db.commit()
    return len(todo)
""",
    ),
    wrong(
        "15.4",
        "as given",
        "every chunk, once; saw",
        """
async def add_files(files, embed, store, limit):
    slots = asyncio.Semaphore(limit)

    async def add(chunks):
        async with slots:
            vectors = await embed(chunks)
        await store.aadd(list(zip(chunks, vectors)))

    async with asyncio.TaskGroup() as group:
        for chunks in files.values():
            group.create_task(add(chunks))
""",
    ),
    wrong(
        "15.4",
        "a lock around everything",
        "12 files, 4 at once: 4 calls at once; saw 1",
        """
async def add_files(files, embed, store, limit):
    writing = asyncio.Lock()

    async def add(chunks):
        async with writing:
            await store.aadd(list(zip(chunks, await embed(chunks))))

    async with asyncio.TaskGroup() as group:
        for chunks in files.values():
            group.create_task(add(chunks))
""",
    ),
    wrong(
        "15.4",
        "a lock for each file",
        "every chunk, once; saw",
        """
async def add_files(files, embed, store, limit):
    slots = asyncio.Semaphore(limit)

    async def add(chunks):
        writing = asyncio.Lock()
        async with slots:
            vectors = await embed(chunks)
        async with writing:
            await store.aadd(list(zip(chunks, vectors)))

    async with asyncio.TaskGroup() as group:
        for chunks in files.values():
            group.create_task(add(chunks))
""",
    ),
    wrong(
        "15.4",
        "no limit any more",
        "12 files, 4 at once: 4 calls at once; saw 12",
        """
async def add_files(files, embed, store, limit):
    vectors = await asyncio.gather(*(embed(chunks) for chunks in files.values()))
    for chunks, each in zip(files.values(), vectors):
        await store.aadd(list(zip(chunks, each)))
""",
    ),
    wrong(
        "15.4",
        "failures swallowed",
        "a failure is raised; saw None",
        """
async def add_files(files, embed, store, limit):
    slots, writing = asyncio.Semaphore(limit), asyncio.Lock()

    async def add(chunks):
        try:
            async with slots:
                vectors = await embed(chunks)
        except ValueError:
            return
        async with writing:
            await store.aadd(list(zip(chunks, vectors)))

    await asyncio.gather(*(add(chunks) for chunks in files.values()))
""",
    ),
    wrong(
        "15.4",
        "writes with the slot in hand",
        "5 files, 1 at once: at most",
        """
async def add_files(files, embed, store, limit):
    slots, writing = asyncio.Semaphore(limit), asyncio.Lock()

    async def add(chunks):
        async with slots:
            vectors = await embed(chunks)
            async with writing:
                await store.aadd(list(zip(chunks, vectors)))

    async with asyncio.TaskGroup() as group:
        for chunks in files.values():
            group.create_task(add(chunks))
""",
    ),
    right(
        "15.4",
        "one writer at a queue",
        """
async def add_files(files, embed, store, limit):
    slots, entries = asyncio.Semaphore(limit), asyncio.Queue()

    async def produce(chunks):
        async with slots:
            vectors = await embed(chunks)
        await entries.put(list(zip(chunks, vectors)))

    async def write():
        for _ in files:
            await store.aadd(await entries.get())

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        for chunks in files.values():
            group.create_task(produce(chunks))
""",
    ),
    right(
        "15.4",
        "bounded_map, then the failure",
        """
async def add_files(files, embed, store, limit):
    writing, slots = asyncio.Semaphore(1), asyncio.Semaphore(limit)
    tasks = []

    async def add(chunks):
        (vectors,) = await bounded_map(embed, [chunks], slots)
        if isinstance(vectors, Exception):
            raise vectors
        async with writing:
            await store.aadd([*zip(chunks, vectors)])

    results = await asyncio.gather(*map(add, files.values()), return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
""",
    ),
    wrong(
        "15.4",
        "skips what failed",
        "a failure is raised; saw None",
        """
async def add_files(files, embed, store, limit):
    entries = []
    for chunks, vectors in zip(files.values(), await bounded_map(embed, files.values(), limit)):
        if not isinstance(vectors, Exception):
            entries += zip(chunks, vectors)
    await store.aadd(entries)
""",
    ),
    right(
        "15.4",
        "everything embedded, then written once",
        """
async def add_files(files, embed, store, limit):
    entries = []
    for chunks, vectors in zip(files.values(), await bounded_map(embed, files.values(), limit)):
        if isinstance(vectors, Exception):
            raise vectors
        entries += zip(chunks, vectors)
    await store.aadd(entries)
""",
    ),
]
