"""What the checks of lesson 11 must find, and what they must let pass."""

from tests.answers import right, wrong

ANSWERS = [
    wrong(
        "11.1",
        "closes after the yield, without finally",
        "it raises: client opened, archive opened, client and archive in use, archive closed, client closed; saw",
        """
async def session(open_client, open_archive):
    client = await open_client()
    archive = await open_archive()
    yield client, archive
    await archive.aclose()
    await client.aclose()
""",
    ),
    wrong(
        "11.1",
        "the try begins when both are open",
        "no archive: client opened, client closed; saw ['client opened']",
        """
async def session(open_client, open_archive):
    client = await open_client()
    archive = await open_archive()
    try:
        yield client, archive
    finally:
        await archive.aclose()
        await client.aclose()
""",
    ),
    wrong(
        "11.1",
        "the second is not closed when closing the first fails",
        "the archive cannot be closed: client opened, archive opened, client and archive in use, client closed; saw",
        """
async def session(open_client, open_archive):
    client = archive = None
    try:
        client = await open_client()
        archive = await open_archive()
        yield client, archive
    finally:
        if archive:
            await archive.aclose()
        if client:
            await client.aclose()
""",
    ),
    wrong(
        "11.1",
        "closes in the order of opening",
        "it ends: client opened, archive opened, client and archive in use, archive closed, client closed; saw",
        """
async def session(open_client, open_archive):
    client = await open_client()
    try:
        archive = await open_archive()
        try:
            yield client, archive
        finally:
            await client.aclose()
            await archive.aclose()
    except OSError:
        await client.aclose()
        raise
""",
    ),
    wrong(
        "11.1",
        "closes only what an Exception ends",
        "it is cancelled: client opened, archive opened, client and archive in use, archive closed, client closed; saw",
        """
async def session(open_client, open_archive):
    client = await open_client()
    try:
        archive = await open_archive()
        try:
            yield client, archive
        except Exception:
            await archive.aclose()
            raise
        else:
            await archive.aclose()
    except Exception:
        await client.aclose()
        raise
    else:
        await client.aclose()
""",
    ),
    wrong(
        "11.1",
        "swallows what the block raises",
        "it raises: out comes KeyError; saw no exception",
        """
async def session(open_client, open_archive):
    async with aclosing(await open_client()) as client, aclosing(await open_archive()) as archive:
        try:
            yield client, archive
        except Exception:
            pass
""",
    ),
    wrong(
        "11.1",
        "returns instead of yielding",
        "it ends: client opened, archive opened, client and archive in use, archive closed, client closed; saw",
        """
async def session(open_client, open_archive):
    async with aclosing(await open_client()) as client, aclosing(await open_archive()) as archive:
        return client, archive
""",
    ),
    wrong(
        "11.1",
        "closes both at the same time",
        "it ends: client opened, archive opened, client and archive in use, archive closed, client closed; saw",
        """
async def session(open_client, open_archive):
    client = await open_client()
    try:
        archive = await open_archive()
    except BaseException:
        await client.aclose()
        raise
    try:
        yield client, archive
    finally:
        for failure in await asyncio.gather(archive.aclose(), client.aclose(), return_exceptions=True):
            if failure:
                raise failure
""",
    ),
    wrong(
        "11.1",
        "a failure of closing is swallowed",
        "the archive cannot be closed: out comes OSError; saw no exception",
        """
async def session(open_client, open_archive):
    async with aclosing(await open_client()) as client:
        archive = await open_archive()
        try:
            yield client, archive
        finally:
            try:
                await archive.aclose()
            except OSError:
                pass
""",
    ),
    right(
        "11.1",
        "nested try and finally",
        """
async def session(open_client, open_archive):
    client = await open_client()
    try:
        archive = await open_archive()
        try:
            yield client, archive
        finally:
            await archive.aclose()
    finally:
        await client.aclose()
""",
    ),
    right(
        "11.1",
        "an exit stack, with the decorator",
        """
from contextlib import AsyncExitStack

@asynccontextmanager
async def session(open_client, open_archive):
    async with AsyncExitStack() as stack:
        things = []
        for open_one in (open_client, open_archive):
            things.append(await open_one())
            stack.push_async_callback(things[-1].aclose)
        yield tuple(things)
""",
    ),
    right(
        "11.1",
        "a class",
        """
class session:
    def __init__(self, open_client, open_archive):
        self.opens = open_client, open_archive

    async def __aenter__(self):
        self.client = await self.opens[0]()
        try:
            self.archive = await self.opens[1]()
        except BaseException:
            await self.client.aclose()
            raise
        return self.client, self.archive

    async def __aexit__(self, *failure):
        try:
            await self.archive.aclose()
        finally:
            await self.client.aclose()
""",
    ),
    wrong(
        "11.2",
        "one after another",
        "index, depth 2: 2 or more at once, at most 2; saw 1 at most",
        """
async def crawl(client, start, *, slots, pause, depth):
    rules = read_rules(await fetch_page(client, "/pages/robots.txt"))
    pages, problems, seen, level = {}, {}, set(), [start]
    for _ in range(depth + 1):
        following = []
        while level:
            address = level.pop(0)
            if address in seen or not rules.can_fetch("*", address):
                continue
            seen.add(address)
            await asyncio.sleep(pause)
            try:
                response = await client.get(address)
            except httpx.HTTPError as error:
                problems[address] = repr(error)
                continue
            if response.is_redirect:
                level.append(response.headers["location"])
            elif response.is_error:
                problems[address] = str(response.status_code)
            else:
                pages[address] = response.text
                following += links(address, response.text)
        level = following
    return pages, problems
""",
    ),
    wrong(
        "11.2",
        "each waits out its own pause",
        "queues, depth 1: 0.1 s between two starts; saw",
        """
async def crawl(client, start, *, slots, pause, depth):
    rules = read_rules(await fetch_page(client, "/pages/robots.txt"))
    free, pages, problems, seen, level = asyncio.Semaphore(slots), {}, {}, set(), [start]

    async def visit(address):
        if address in seen or not rules.can_fetch("*", address):
            return []
        seen.add(address)
        async with free:
            await asyncio.sleep(pause)
            try:
                response = await client.get(address)
            except httpx.HTTPError as error:
                problems[address] = repr(error)
                return []
        if response.is_redirect:
            return await visit(response.headers["location"])
        if response.is_error:
            problems[address] = str(response.status_code)
            return []
        pages[address] = response.text
        return links(address, response.text)

    for _ in range(depth + 1):
        level = sum(await asyncio.gather(*map(visit, level)), [])
    return pages, problems
""",
    ),
    wrong(
        "11.2",
        "knows no robots.txt, and lets the client follow redirects",
        "index, depth 2: each address requested once, none forbidden; saw",
        """
async def crawl(client, start, *, slots, pause, depth):
    await fetch_page(client, "/pages/robots.txt")
    free, gate, pages, problems, seen, level = asyncio.Semaphore(slots), asyncio.Lock(), {}, {}, set(), [start]

    async def visit(address):
        if address in seen:
            return []
        seen.add(address)
        async with free:
            async with gate:
                await asyncio.sleep(pause)
            try:
                response = await client.get(address, follow_redirects=True)
            except httpx.HTTPError as error:
                problems[address] = repr(error)
                return []
        if response.is_error:
            problems[address] = str(response.status_code)
            return []
        pages[response.url.path] = response.text
        return links(address, response.text)

    for _ in range(depth + 1):
        level = sum(await asyncio.gather(*map(visit, level)), [])
    return pages, problems
""",
    ),
    wrong(
        "11.2",
        "one bad page ends it",
        "index, depth 2: the pages: ['cancellation.html',",
        """
async def crawl(client, start, *, slots, pause, depth):
    rules = read_rules(await fetch_page(client, "/pages/robots.txt"))
    free, gate, pages, seen, level = asyncio.Semaphore(slots), asyncio.Lock(), {}, set(), [start]

    async def visit(address):
        if address in seen or not rules.can_fetch("*", address):
            return []
        seen.add(address)
        async with free:
            async with gate:
                await asyncio.sleep(pause)
            response = await client.get(address)
        if response.is_redirect:
            return await visit(response.headers["location"])
        response.raise_for_status()
        pages[address] = response.text
        return links(address, response.text)

    for _ in range(depth + 1):
        level = sum(await asyncio.gather(*map(visit, level)), [])
    return pages, {}
""",
    ),
    wrong(
        "11.2",
        "one level too many",
        "'queues.html', 'semaphores.html', 'tasks.html']; saw ['cancellation.html',",
        """
async def crawl(client, start, *, slots, pause, depth):
    rules = read_rules(await fetch_page(client, "/pages/robots.txt"))
    free, gate, pages, problems, seen, level = asyncio.Semaphore(slots), asyncio.Lock(), {}, {}, set(), [start]

    async def visit(address):
        if address in seen or not rules.can_fetch("*", address):
            return []
        seen.add(address)
        async with free:
            async with gate:
                await asyncio.sleep(pause)
            try:
                response = await client.get(address)
            except httpx.HTTPError as error:
                problems[address] = repr(error)
                return []
        if response.is_redirect:
            return await visit(response.headers["location"])
        if response.is_error:
            problems[address] = str(response.status_code)
            return []
        pages[address] = response.text
        return links(address, response.text)

    while level and depth >= -1:
        level = sum(await asyncio.gather(*map(visit, level)), [])
        depth -= 1
    return pages, problems
""",
    ),
    wrong(
        "11.2",
        "two slots, whatever is allowed",
        "queues, depth 1: 3 or more at once, at most 8; saw 2 at most",
        """
async def crawl(client, start, *, slots, pause, depth):
    rules = read_rules(await fetch_page(client, "/pages/robots.txt"))
    free, gate, pages, problems, seen, level = asyncio.Semaphore(2), asyncio.Lock(), {}, {}, set(), [start]

    async def visit(address):
        if address in seen or not rules.can_fetch("*", address):
            return []
        seen.add(address)
        async with free:
            async with gate:
                await asyncio.sleep(pause)
            try:
                response = await client.get(address)
            except httpx.HTTPError as error:
                problems[address] = repr(error)
                return []
        if response.is_redirect:
            return await visit(response.headers["location"])
        if response.is_error:
            problems[address] = str(response.status_code)
            return []
        pages[address] = response.text
        return links(address, response.text)

    for _ in range(depth + 1):
        level = sum(await asyncio.gather(*map(visit, level)), [])
    return pages, problems
""",
    ),
    wrong(
        "11.2",
        "a client for each page",
        "index, depth 2: all with the given client; saw 1 of 16 requests",
        """
async def crawl(client, start, *, slots, pause, depth):
    rules = read_rules(await fetch_page(client, "/pages/robots.txt"))
    free, gate, pages, problems, seen, level = asyncio.Semaphore(slots), asyncio.Lock(), {}, {}, set(), [start]

    async def visit(address):
        if address in seen or not rules.can_fetch("*", address):
            return []
        seen.add(address)
        async with free:
            async with gate:
                await asyncio.sleep(pause)
            try:
                async with httpx.AsyncClient(base_url=client.base_url) as own:
                    response = await own.get(address)
            except httpx.HTTPError as error:
                problems[address] = repr(error)
                return []
        if response.is_redirect:
            return await visit(response.headers["location"])
        if response.is_error:
            problems[address] = str(response.status_code)
            return []
        pages[address] = response.text
        return links(address, response.text)

    for _ in range(depth + 1):
        level = sum(await asyncio.gather(*map(visit, level)), [])
    return pages, problems
""",
    ),
    wrong(
        "11.2",
        "the rules and the first page at the same time",
        "index, depth 2: robots.txt before all others; saw",
        """
async def crawl(client, start, *, slots, pause, depth):
    free, gate, pages, problems, seen, level = asyncio.Semaphore(slots), asyncio.Lock(), {}, {}, {start}, [start]

    async def get(address):
        async with free:
            async with gate:
                await asyncio.sleep(pause)
            return await client.get(address)

    early = asyncio.create_task(get(start))
    rules = read_rules((await get("/pages/robots.txt")).text)

    async def visit(address):
        try:
            response = await (early if address == start else get(address))
        except httpx.HTTPError as error:
            problems[address] = repr(error)
            return []
        if response.is_redirect:
            moved = response.headers["location"]
            if moved in seen or not rules.can_fetch("*", moved):
                return []
            seen.add(moved)
            return await visit(moved)
        if response.is_error:
            problems[address] = str(response.status_code)
            return []
        pages[address] = response.text
        return links(address, response.text)

    for _ in range(depth + 1):
        found = sum(await asyncio.gather(*map(visit, level)), [])
        level = [each for each in dict.fromkeys(found) if each not in seen and rules.can_fetch("*", each)]
        seen.update(level)
    return pages, problems
""",
    ),
    wrong(
        "11.2",
        "waits longer and longer within a level, and not between levels",
        "start, depth 0: 0.15 s between two starts; saw",
        """
async def crawl(client, start, *, slots, pause, depth):
    rules = read_rules(await fetch_page(client, "/pages/robots.txt"))
    free, pages, problems, seen, level = asyncio.Semaphore(slots), {}, {}, {start}, [start]

    async def visit(number, address):
        await asyncio.sleep(number * pause)
        async with free:
            try:
                response = await client.get(address)
            except httpx.HTTPError as error:
                problems[address] = repr(error)
                return []
        if response.is_redirect:
            moved = response.headers["location"]
            if moved in seen:
                return []
            seen.add(moved)
            return await visit(0, moved)
        if response.is_error:
            problems[address] = str(response.status_code)
            return []
        pages[address] = response.text
        return links(address, response.text)

    for _ in range(depth + 1):
        found = sum(await asyncio.gather(*map(visit, range(len(level)), level)), [])
        level = [each for each in dict.fromkeys(found) if each not in seen and rules.can_fetch("*", each)]
        seen.update(level)
    return pages, problems
""",
    ),
    right(
        "11.2",
        "start times given out in advance, a task group",
        """
async def crawl(client, start, *, slots, pause, depth):
    rules = read_rules(await fetch_page(client, "/pages/robots.txt"))
    loop, free = asyncio.get_running_loop(), asyncio.Semaphore(slots)
    pages, problems, seen = {}, {}, set()
    following, turn = set(), loop.time()

    async def visit(address):
        nonlocal turn
        async with free:
            turn = max(turn + pause, loop.time())
            await asyncio.sleep(turn - loop.time())
            try:
                response = await client.get(address)
            except httpx.HTTPError as error:
                problems[address] = type(error).__name__
                return
        if response.is_redirect:
            target = response.headers["location"]
            if target not in seen and rules.can_fetch("crawler", target):
                seen.add(target)
                await visit(target)
        elif response.status_code >= 400:
            problems[address] = f"{response.status_code}"
        else:
            pages[address] = response.text
            following.update(links(address, response.text))

    level = {start}
    for _ in range(depth + 1):
        following = set()
        async with asyncio.TaskGroup() as group:
            for address in level - seen:
                if rules.can_fetch("crawler", address):
                    seen.add(address)
                    group.create_task(visit(address))
        level = following
    return pages, problems
""",
    ),
    right(
        "11.2",
        "workers and a queue",
        """
async def crawl(client, start, *, slots, pause, depth):
    rules = read_rules(await fetch_page(client, "/pages/robots.txt"))
    queue, gate, pages, problems, seen = asyncio.Queue(), asyncio.Lock(), {}, {}, set()

    def offer(address, level):
        if level <= depth and address not in seen and rules.can_fetch("*", address):
            seen.add(address)
            queue.put_nowait((address, level))

    async def work():
        while True:
            address, level = await queue.get()
            async with gate:
                await asyncio.sleep(pause)
            try:
                response = await client.get(address)
                if response.is_redirect:
                    offer(response.headers["location"], level)
                else:
                    response.raise_for_status()
                    pages[address] = response.text
                    for link in links(address, response.text):
                        offer(link, level + 1)
            except httpx.HTTPError as error:
                problems[address] = repr(error)
            queue.task_done()

    offer(start, 0)
    workers = [asyncio.create_task(work()) for _ in range(slots)]
    await queue.join()
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    return pages, problems
""",
    ),
    wrong(
        "11.3",
        "as given",
        "all texts, in order; saw [\"RuntimeError('Event loop is closed')\"]",
        """
def read_on(open_client, first, choose):
    client = open_client()

    async def fetch_all(addresses):
        return await asyncio.gather(*(fetch_page(client, address) for address in addresses))

    texts, addresses = [], first
    while addresses:
        found = asyncio.run(fetch_all(addresses))
        texts += found
        addresses = choose(found)
    return texts
""",
    ),
    wrong(
        "11.3",
        "a client for each round",
        "one client, closed at the end; saw closed: [True, True, True]",
        """
def read_on(open_client, first, choose):
    async def fetch_all(addresses):
        async with open_client() as client:
            return await asyncio.gather(*(fetch_page(client, address) for address in addresses))

    texts, addresses = [], first
    while addresses:
        found = asyncio.run(fetch_all(addresses))
        texts += found
        addresses = choose(found)
    return texts
""",
    ),
    wrong(
        "11.3",
        "tries again",
        "each page requested as often as it is named; saw",
        """
def read_on(open_client, first, choose):
    client = open_client()

    async def fetch_all(addresses):
        return await asyncio.gather(*(fetch_page(client, address) for address in addresses))

    texts, addresses = [], first
    while addresses:
        for _ in range(5):
            try:
                found = asyncio.run(fetch_all(addresses))
                break
            except RuntimeError:
                continue
        texts += found
        addresses = choose(found)
    return texts
""",
    ),
    wrong(
        "11.3",
        "one loop, never closed",
        "one client, closed at the end; saw closed: [False]",
        """
def read_on(open_client, first, choose):
    client = open_client()

    async def fetch_all(addresses):
        return await asyncio.gather(*(fetch_page(client, address) for address in addresses))

    texts, addresses = [], first
    with asyncio.Runner() as runner:
        while addresses:
            found = runner.run(fetch_all(addresses))
            texts += found
            addresses = choose(found)
    return texts
""",
    ),
    wrong(
        "11.3",
        "closed only when all went well",
        "one client, closed at the end; saw closed: [False]",
        """
def read_on(open_client, first, choose):
    client = open_client()

    async def fetch_all(addresses):
        return await asyncio.gather(*(fetch_page(client, address) for address in addresses))

    texts, addresses = [], first
    with asyncio.Runner() as runner:
        while addresses:
            found = runner.run(fetch_all(addresses))
            texts += found
            addresses = choose(found)
        runner.run(client.aclose())
    return texts
""",
    ),
    wrong(
        "11.3",
        "a task group's exception group comes out",
        "then missing: HTTPStatusError; saw ExceptionGroup",
        """
def read_on(open_client, first, choose):
    async def rounds():
        texts, addresses = [], first
        async with open_client() as client:
            while addresses:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(fetch_page(client, address)) for address in addresses]
                texts += [task.result() for task in tasks]
                addresses = choose([task.result() for task in tasks])
        return texts

    return asyncio.run(rounds())
""",
    ),
    wrong(
        "11.3",
        "the pages of a round one after another",
        "tasks and queues, then threads, then gather and tasks: two at once; saw 1 at most",
        """
def read_on(open_client, first, choose):
    async def rounds():
        async with open_client() as client:
            texts, addresses = [], first
            while addresses:
                found = [await fetch_page(client, address) for address in addresses]
                texts.extend(found)
                addresses = choose(found)
            return texts

    return asyncio.run(rounds())
""",
    ),
    wrong(
        "11.3",
        "choose gets all texts so far",
        "`choose` gets the texts of each round; saw",
        """
def read_on(open_client, first, choose):
    async def rounds():
        texts, addresses = [], first
        async with open_client() as client:
            while addresses:
                texts += await asyncio.gather(*(fetch_page(client, address) for address in addresses))
                addresses = choose(texts)
        return texts

    return asyncio.run(rounds())
""",
    ),
    right(
        "11.3",
        "a runner",
        """
def read_on(open_client, first, choose):
    async def fetch_all(client, addresses):
        return await asyncio.gather(*(fetch_page(client, address) for address in addresses))

    texts, addresses = [], first
    with asyncio.Runner() as runner:
        client = open_client()
        try:
            while addresses:
                found = runner.run(fetch_all(client, addresses))
                texts += found
                addresses = choose(found)
        finally:
            runner.run(client.aclose())
    return texts
""",
    ),
    right(
        "11.3",
        "choose in a thread, a task for each page",
        """
def read_on(open_client, first, choose):
    async def rounds():
        async with open_client() as client:
            texts, addresses = [], first
            while addresses:
                tasks = [asyncio.create_task(fetch_page(client, address)) for address in addresses]
                found = [await task for task in tasks]
                texts.extend(found)
                addresses = await asyncio.to_thread(choose, found)
            return texts

    return asyncio.run(rounds())
""",
    ),
]
