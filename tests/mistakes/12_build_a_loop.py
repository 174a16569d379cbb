"""What the checks of lesson 12 must find, and what they must let pass."""

from tests.answers import right, wrong

LOOP = """
def run_all(coroutines, clock):
    results = [None] * len(coroutines)
    ready = deque(enumerate(coroutines))
    timers = []
    numbers = itertools.count()
    while ready or timers:
        {sleep}
        {fetch}
        for _ in range(len(ready)):
            place, coroutine = ready.popleft()
            try:
                {send}
            except StopIteration as end:
                results[place] = end.value
                continue
            if until is None:
                ready.append((place, coroutine))
            else:
                {push}
    return results
"""
PARTS = {
    "sleep": "if not ready: clock.sleep(max(0.0, timers[0][0] - clock.monotonic()))",
    "fetch": "while timers and timers[0][0] <= clock.monotonic(): ready.append(heapq.heappop(timers)[-1])",
    "send": "until = coroutine.send(None)",
    "push": "heapq.heappush(timers, (clock.monotonic() + until, next(numbers), (place, coroutine)))",
}


def loop(**parts: str) -> str:
    """Return the solution of 12.2 with some of its lines replaced."""
    return LOOP.format(**(PARTS | parts))


ANSWERS = [
    wrong(
        "12.1",
        "answers before it asks",
        "can't send non-None value to a just-started coroutine",
        """
def drive(coroutine, answer):
    sent = answer("")
    while True:
        try:
            sent = answer(coroutine.send(sent))
        except StopIteration as end:
            return end.value
""",
    ),
    wrong(
        "12.1",
        "one question only",
        "4 asked: the result of the coroutine; saw None",
        """
def drive(coroutine, answer):
    try:
        coroutine.send(answer(coroutine.send(None)))
    except StopIteration as end:
        return end.value
""",
    ),
    wrong(
        "12.1",
        "stops at an empty question",
        "4 asked: the result of the coroutine; saw None",
        """
def drive(coroutine, answer):
    try:
        question = coroutine.send(None)
        while question:
            question = coroutine.send(answer(question))
    except StopIteration as end:
        return end.value
""",
    ),
    wrong(
        "12.1",
        "returns the answers",
        "1 asked: the result of the coroutine; saw ['yes, late']",
        """
def drive(coroutine, answer):
    answers, sent = [], None
    while True:
        try:
            sent = answer(coroutine.send(sent))
            answers.append(sent)
        except StopIteration:
            return answers
""",
    ),
    wrong(
        "12.1",
        "sends nothing in",
        "1 asked: the result of the coroutine; saw {'late': None}",
        """
def drive(coroutine, answer):
    while True:
        try:
            answer(coroutine.send(None))
        except StopIteration as end:
            return end.value
""",
    ),
    wrong(
        "12.1",
        "asks twice",
        "1 asked: each question answered once, in order; saw ['late', 'late']",
        """
def drive(coroutine, answer):
    sent = None
    while True:
        try:
            question = coroutine.send(sent)
            print(answer(question))
            sent = answer(question)
        except StopIteration as end:
            return end.value
""",
    ),
    wrong(
        "12.1",
        "catches everything",
        "what the coroutine raises comes out; saw None",
        """
def drive(coroutine, answer):
    sent = None
    while True:
        try:
            sent = answer(coroutine.send(sent))
        except StopIteration as end:
            return end.value
        except Exception:
            return None
""",
    ),
    wrong(
        "12.1",
        "awaits instead",
        "1 asked: the result of the coroutine; saw <coroutine object drive",
        """
async def drive(coroutine, answer):
    return await coroutine
""",
    ),
    right(
        "12.1",
        "a generator delegates",
        """
def drive(coroutine, answer):
    def outcome():
        found.append((yield from coroutine.__await__()))

    found = []
    generator = outcome()
    question = next(generator, generator)
    while question is not generator:
        try:
            question = generator.send(answer(question))
        except StopIteration:
            break
    return found[0]
""",
    ),
    right(
        "12.1",
        "recursion",
        """
def drive(coroutine, answer, sent=None):
    try:
        question = coroutine.send(sent)
    except StopIteration as end:
        return end.value
    return drive(coroutine, answer, answer(question))
""",
    ),
    wrong(
        "12.2",
        "unchanged",
        "each is woken at its time; saw [('web', 0.0)",
        """
def run_all(coroutines, clock):
    results = [None] * len(coroutines)
    ready = deque(enumerate(coroutines))
    while ready:
        place, coroutine = ready.popleft()
        try:
            coroutine.send(None)
        except StopIteration as end:
            results[place] = end.value
            continue
        ready.append((place, coroutine))
    return results
""",
    ),
    wrong(
        "12.2",
        "one after the other",
        "each is woken at its time; saw [('web', 3.0), ('press', 5.0)",
        """
def run_all(coroutines, clock):
    results = []
    for coroutine in coroutines:
        try:
            while True:
                clock.sleep(coroutine.send(None) or 0)
        except StopIteration as end:
            results.append(end.value)
    return results
""",
    ),
    wrong(
        "12.2",
        "sleeps at each pause",
        "each is woken at its time; saw",
        loop(push="clock.sleep(until); ready.append((place, coroutine))"),
    ),
    wrong(
        "12.2",
        "looks every tenth of a second",
        "three sleeps of 1 s; saw",
        loop(sleep="if not ready: clock.sleep(0.125)"),
    ),
    wrong(
        "12.2",
        "sleeps although somebody is ready",
        "no sleep while somebody is ready; saw",
        loop(sleep="if timers: clock.sleep(max(0.0, timers[0][0] - clock.monotonic()))"),
    ),
    wrong(
        "12.2",
        "no running number",
        "at equal times, who went to sleep first; saw",
        loop(push="heapq.heappush(timers, (clock.monotonic() + until, place, (place, coroutine)))"),
    ),
    wrong(
        "12.2",
        "compares coroutines",
        "not supported between instances of 'coroutine' and 'coroutine'",
        loop(push="heapq.heappush(timers, (clock.monotonic() + until, coroutine, (place, coroutine)))"),
    ),
    wrong(
        "12.2",
        "negative sleep",
        "after a long step, who had to be woken first; saw ValueError",
        loop(
            sleep="if not ready: clock.sleep(timers[0][0] - clock.monotonic())",
            fetch="if not ready: ready.append(heapq.heappop(timers)[-1])",
        ),
    ),
    wrong(
        "12.2",
        "timers only when idle",
        "a sleeper gets its turn although somebody is always ready; saw",
        loop(fetch="while not ready and timers: ready.append(heapq.heappop(timers)[-1])"),
    ),
    wrong(
        "12.2",
        "the time of the round",
        "a sleep begins when it is asked for; saw [('index', 2.0), ('web', 2.0)]",
        loop(
            sleep=f"{PARTS['sleep']}\n        now = clock.monotonic()",
            push="heapq.heappush(timers, (now + until, next(numbers), (place, coroutine)))",
        ),
    ),
    wrong(
        "12.2",
        "the time before the step",
        "a sleep begins when it is asked for; saw [('index', 2.0), ('web', 4.0)]",
        loop(
            send="now = clock.monotonic(); until = coroutine.send(None)",
            push="heapq.heappush(timers, (now + until, next(numbers), (place, coroutine)))",
        ),
    ),
    wrong("12.2", "never sleeps", "simulated time stands still", loop(sleep="pass")),
    wrong(
        "12.2",
        "the results as they come",
        "the results in the order of the coroutines; saw ['books went home'",
        loop()
        .replace("[None] * len(coroutines)", "[]")
        .replace("results[place] = end.value", "results.append(end.value)"),
    ),
    wrong(
        "12.2",
        "catches everything",
        "what a coroutine raises comes out; saw",
        loop().replace("StopIteration as end", "Exception as end").replace("end.value", "getattr(end, 'value', None)"),
    ),
    wrong("12.2", "real time", "each is woken at its time; saw", "import time\n" + loop().replace("clock.", "time.")),
    right(
        "12.2",
        "a sorted list",
        """
def run_all(coroutines, clock):
    results = {}
    ready, sleeping = list(enumerate(coroutines)), []
    while ready or sleeping:
        now = clock.monotonic()
        if not ready and (pause := min(when for when, *_ in sleeping) - now) > 0:
            clock.sleep(pause)
            now = clock.monotonic()
        due = sorted((entry for entry in sleeping if entry[0] <= now), key=lambda entry: entry[0])
        sleeping = [entry for entry in sleeping if entry[0] > now]
        this_round, ready = ready + [(place, coroutine) for _, place, coroutine in due], []
        for place, coroutine in this_round:
            try:
                until = coroutine.send(None)
            except StopIteration as end:
                results[place] = end.value
            else:
                if until is None:
                    ready.append((place, coroutine))
                else:
                    sleeping.append((clock.monotonic() + until, place, coroutine))
    return [results[place] for place in range(len(coroutines))]
""",
    ),
    right(
        "12.2",
        "one step at a time",
        """
def run_all(coroutines, clock):
    results = [None] * len(coroutines)
    ready, timers, numbers = deque(range(len(coroutines))), [], itertools.count()
    while ready or timers:
        if not ready and timers[0][0] > clock.monotonic():
            clock.sleep(timers[0][0] - clock.monotonic())
        while timers and timers[0][0] <= clock.monotonic():
            ready.append(heapq.heappop(timers)[2])
        place = ready.popleft()
        try:
            until = coroutines[place].send(None)
        except StopIteration as end:
            results[place] = end.value
            continue
        if until is None:
            ready.append(place)
        else:
            heapq.heappush(timers, (clock.monotonic() + until, next(numbers), place))
    return results
""",
    ),
    wrong(
        "12.3",
        "one after the other",
        "all at once; saw done in the order [60, 20, 0, 40]",
        """
async def gather(loop, *coroutines):
    return [await coroutine for coroutine in coroutines]
""",
    ),
    wrong(
        "12.3",
        "awaits the tasks in order",
        "at once; saw failed in tick 22, raised in tick 6",
        """
async def gather(loop, *coroutines):
    tasks = [loop.create_task(coroutine) for coroutine in coroutines]
    return [await task for task in tasks]
""",
    ),
    wrong(
        "12.3",
        "looks again and again",
        "no turns while it waits; saw",
        """
async def gather(loop, *coroutines):
    tasks = [loop.create_task(coroutine) for coroutine in coroutines]
    while not all(task.done for task in tasks):
        for task in tasks:
            if task.done:
                await task
        await turn()
    return [await task for task in tasks]
""",
    ),
    wrong(
        "12.3",
        "waits although there is nothing",
        "of no coroutines, an empty list; saw RuntimeError('nobody is ready, and the first task still waits')",
        """
async def gather(loop, *coroutines):
    everything, results = Future(loop), {}

    async def run_one(place, coroutine):
        try:
            results[place] = await coroutine
        except Exception as error:
            if not everything.done:
                everything.finish(error=error)
        if len(results) == len(coroutines):
            everything.finish([results[place] for place in range(len(coroutines))])

    for place, coroutine in enumerate(coroutines):
        loop.create_task(run_one(place, coroutine))
    return await everything
""",
    ),
    wrong(
        "12.3",
        "results as they come",
        "the results in the order of the coroutines; saw [None, 'after 20', 'after 40', 'after 60']",
        """
async def gather(loop, *coroutines):
    everything, results = Future(loop), []

    async def run_one(coroutine):
        try:
            results.append(await coroutine)
        except Exception as error:
            if not everything.done:
                everything.finish(error=error)
        if len(results) == len(coroutines):
            everything.finish(results)

    for coroutine in coroutines:
        loop.create_task(run_one(coroutine))
    return await everything if coroutines else []
""",
    ),
    wrong(
        "12.3",
        "None as not there yet",
        "the results in the order of the coroutines; saw RuntimeError('nobody is ready",
        """
async def gather(loop, *coroutines):
    everything, results = Future(loop), [None] * len(coroutines)

    async def run_one(place, coroutine):
        try:
            results[place] = await coroutine
        except Exception as error:
            if not everything.done:
                everything.finish(error=error)
        if not everything.done and None not in results:
            everything.finish(results)

    for place, coroutine in enumerate(coroutines):
        loop.create_task(run_one(place, coroutine))
    return await everything if coroutines else []
""",
    ),
    wrong(
        "12.3",
        "all of the results are true",
        "the results in the order of the coroutines; saw RuntimeError('nobody is ready",
        """
async def gather(loop, *coroutines):
    everything, results = Future(loop), [None] * len(coroutines)

    async def run_one(place, coroutine):
        try:
            results[place] = await coroutine
            if all(results):
                everything.finish(results)
        except Exception as error:
            if not everything.done:
                everything.finish(error=error)

    for place, coroutine in enumerate(coroutines):
        loop.create_task(run_one(place, coroutine))
    return await everything if coroutines else []
""",
    ),
    wrong(
        "12.3",
        "finishes when the last in the list is done",
        "the results in the order of the coroutines; saw [None, 'after 20', None, 'after 40']",
        """
async def gather(loop, *coroutines):
    everything, results = Future(loop), [None] * len(coroutines)

    async def run_one(place, coroutine):
        try:
            results[place] = await coroutine
        except Exception as error:
            everything.finish(error=error)
        if place == len(coroutines) - 1:
            everything.finish(results)

    for place, coroutine in enumerate(coroutines):
        loop.create_task(run_one(place, coroutine))
    return await everything if coroutines else []
""",
    ),
    wrong(
        "12.3",
        "exceptions as results",
        "the first failure is raised; saw ['after 60', OSError('press'), KeyError('archive')]",
        """
async def gather(loop, *coroutines):
    async def run_one(coroutine):
        try:
            return await coroutine
        except Exception as error:
            return error

    tasks = [loop.create_task(run_one(coroutine)) for coroutine in coroutines]
    return [await task for task in tasks]
""",
    ),
    wrong(
        "12.3",
        "nobody reports a failure",
        "the first failure is raised; saw RuntimeError('nobody is ready, and the first task still waits')",
        """
async def gather(loop, *coroutines):
    everything, results = Future(loop), {}

    async def run_one(place, coroutine):
        results[place] = await coroutine
        if len(results) == len(coroutines):
            everything.finish([results[place] for place in range(len(coroutines))])

    for place, coroutine in enumerate(coroutines):
        loop.create_task(run_one(place, coroutine))
    return await everything if coroutines else []
""",
    ),
    wrong(
        "12.3",
        "stops the others",
        "the others go on; saw [20]",
        """
async def gather(loop, *coroutines):
    everything, results = Future(loop), {}

    async def run_one(place, coroutine):
        try:
            results[place] = await coroutine
        except Exception as error:
            everything.finish(error=error)
            loop.ready.clear()
            loop.ready.extend(everything.waiters)
        if len(results) == len(coroutines):
            everything.finish([results[place] for place in range(len(coroutines))])

    for place, coroutine in enumerate(coroutines):
        loop.create_task(run_one(place, coroutine))
    return await everything if coroutines else []
""",
    ),
    right(
        "12.3",
        "tasks, and one to watch each of them",
        """
async def gather(loop, *coroutines):
    tasks = [loop.create_task(coroutine) for coroutine in coroutines]
    over = Future(loop)

    async def watch(task):
        try:
            await task
        except Exception as error:
            if not over.done:
                over.finish(error=error)
        if all(task.done for task in tasks) and not over.done:
            over.finish()

    for task in tasks:
        loop.create_task(watch(task))
    if tasks:
        await over
    return [task.result for task in tasks]
""",
    ),
    right(
        "12.3",
        "a future that tells of the next end",
        """
async def gather(loop, *coroutines):
    news = Future(loop)

    async def run_one(coroutine):
        nonlocal news
        try:
            return await coroutine
        finally:
            told, news = news, Future(loop)
            told.finish()

    tasks = [loop.create_task(run_one(coroutine)) for coroutine in coroutines]
    while not all(task.done for task in tasks):
        await news
        await turn()
        for task in tasks:
            if task.error is not None:
                raise task.error
    return [task.result for task in tasks]
""",
    ),
]
