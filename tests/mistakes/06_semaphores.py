"""What the checks of lesson 06 must find, and what they must let pass."""

from tests.answers import right, wrong

ANSWERS = [
    wrong(
        "06.1",
        "a semaphore for each topic",
        "limit 4: never more at once; saw 9 at once",
        """
async def briefs(function, topics, limit):
    answers = await asyncio.gather(*(bounded_map(function, questions, limit) for questions in topics.values()))
    return dict(zip(topics, answers))
""",
    ),
    wrong(
        "06.1",
        "one topic after the other",
        "limit 4: 4 s or less; saw 5 s",
        """
async def briefs(function, topics, limit):
    return {topic: await bounded_map(function, questions, limit) for topic, questions in topics.items()}
""",
    ),
    wrong(
        "06.1",
        "no cap at all",
        "limit 4: never more at once; saw 10 at once",
        """
async def briefs(function, topics, limit):
    async def brief(questions):
        return await asyncio.gather(*(function(question) for question in questions))

    return dict(zip(topics, await asyncio.gather(*(brief(questions) for questions in topics.values()))))
""",
    ),
    wrong(
        "06.1",
        "a slot around each topic",
        "limit 4: never more at once; saw 10 at once",
        """
async def briefs(function, topics, limit):
    slots = asyncio.Semaphore(limit)

    async def brief(questions):
        async with slots:
            return await asyncio.gather(*(function(question) for question in questions))

    return dict(zip(topics, await asyncio.gather(*(brief(questions) for questions in topics.values()))))
""",
    ),
    wrong(
        "06.1",
        "a slot around each topic and around each question",
        "limit 1: it ends; saw",
        """
async def briefs(function, topics, limit):
    slots = asyncio.Semaphore(limit)

    async def brief(questions):
        async with slots:
            return await bounded_map(function, questions, slots)

    return dict(zip(topics, await asyncio.gather(*(brief(questions) for questions in topics.values()))))
""",
    ),
    wrong(
        "06.1",
        "a semaphore of the module, with a number of its own",
        "limit 1: never more at once; saw 4 at once",
        """
def slots_of_this_loop(known={}):
    loop = asyncio.get_running_loop()
    return known.setdefault(loop, asyncio.Semaphore(4))

async def briefs(function, topics, limit):
    slots = slots_of_this_loop()
    answers = await asyncio.gather(*(bounded_map(function, questions, slots) for questions in topics.values()))
    return dict(zip(topics, answers))
""",
    ),
    wrong(
        "06.1",
        "a semaphore of the module, bound to another loop",
        "the answers of each topic, in order; saw",
        """
SLOTS = asyncio.Semaphore(1)

async def briefs(function, topics, limit):
    SLOTS._value = limit
    answers = await asyncio.gather(*(bounded_map(function, questions, SLOTS) for questions in topics.values()))
    return dict(zip(topics, answers))
""",
    ),
    wrong(
        "06.1",
        "the limit shared out among the topics",
        "limit 4: 4 s or less; saw 7 s",
        """
async def briefs(function, topics, limit):
    share = max(1, limit // len(topics))
    answers = await asyncio.gather(*(bounded_map(function, questions, share) for questions in topics.values()))
    return dict(zip(topics, answers))
""",
    ),
    wrong(
        "06.1",
        "all answers in one list",
        "the answers of each topic, in order; saw ['about l1'",
        """
async def briefs(function, topics, limit):
    return await bounded_map(function, [question for questions in topics.values() for question in questions], limit)
""",
    ),
    wrong(
        "06.1",
        "waves instead of slots",
        "limit 4: 4 s or less; saw 5 s",
        """
async def briefs(function, topics, limit):
    waiting = [question for questions in topics.values() for question in questions]
    known = {}
    while waiting:
        wave, waiting = waiting[:limit], waiting[limit:]
        known |= zip(wave, await asyncio.gather(*(function(question) for question in wave)))
    return {topic: [known[question] for question in questions] for topic, questions in topics.items()}
""",
    ),
    wrong(
        "06.1",
        "its own ask instead of the function",
        "the answers of each topic, in order; saw",
        """
async def briefs(function, topics, limit):
    slots = asyncio.Semaphore(limit)

    async def pretend(question):
        await asyncio.sleep(1)
        return question

    answers = await asyncio.gather(*(bounded_map(pretend, questions, slots) for questions in topics.values()))
    return dict(zip(topics, answers))
""",
    ),
    right(
        "06.1",
        "one bounded_map over all questions",
        """
async def briefs(function, topics, limit):
    answers = iter(await bounded_map(function, [each for questions in topics.values() for each in questions], limit))
    return {topic: [next(answers) for _ in questions] for topic, questions in topics.items()}
""",
    ),
    right(
        "06.1",
        "task groups and acquire and release",
        """
async def briefs(function, topics, limit):
    slots = asyncio.BoundedSemaphore(limit)

    async def call(question):
        await slots.acquire()
        try:
            return await function(question)
        finally:
            slots.release()

    async with asyncio.TaskGroup() as group:
        tasks = {topic: [group.create_task(call(each)) for each in questions] for topic, questions in topics.items()}
    return {topic: [task.result() for task in each] for topic, each in tasks.items()}
""",
    ),
    right(
        "06.1",
        "a fixed number of workers",
        """
async def briefs(function, topics, limit):
    waiting = [(topic, index) for topic, questions in topics.items() for index in range(len(questions))][::-1]
    answers = {topic: [""] * len(questions) for topic, questions in topics.items()}

    async def work():
        while waiting:
            topic, index = waiting.pop()
            answers[topic][index] = await function(topics[topic][index])

    await asyncio.gather(*(work() for _ in range(limit)))
    return answers
""",
    ),
    wrong(
        "06.2",
        "powers of two, as in the lesson",
        "capacity 12: cap 10 is the smallest with 80 %; saw 16, with 100%",
        """
async def find_cap(measure, highest):
    caps = [2**n for n in range(10) if 2**n <= highest]
    rates = [await measure(cap) for cap in caps]
    return next(cap for cap, rate in zip(caps, rates) if rate >= 0.8 * max(rates))
""",
    ),
    wrong(
        "06.2",
        "every cap",
        "at most 15 measurements; saw 64",
        """
async def find_cap(measure, highest):
    rates = [await measure(cap) for cap in range(1, highest + 1)]
    return next(cap for cap, rate in enumerate(rates, 1) if rate >= 0.8 * max(rates))
""",
    ),
    wrong(
        "06.2",
        "up until it no longer grows",
        "at most 15 measurements; saw 38",
        """
async def find_cap(measure, highest):
    rates = [await measure(1)]
    while len(rates) < highest and (len(rates) == 1 or rates[-1] > rates[-2]):
        rates.append(await measure(len(rates) + 1))
    return next(cap for cap, rate in enumerate(rates, 1) if rate >= 0.8 * rates[-1])
""",
    ),
    wrong(
        "06.2",
        "all at the same time",
        "one after the other; saw 7 at once",
        """
async def find_cap(measure, highest):
    caps = [2**n for n in range(10) if 2**n <= highest]
    rates = await asyncio.gather(*(measure(cap) for cap in caps))
    return next(cap for cap, rate in zip(caps, rates) if rate >= 0.8 * max(rates))
""",
    ),
    wrong(
        "06.2",
        "the knee itself",
        "capacity 12: cap 10 is the smallest with 80 %; saw 12, with 100%",
        """
async def find_cap(measure, highest):
    best = await measure(highest)
    low, high = 1, highest
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if await measure(middle) >= best else (middle + 1, high)
    return low
""",
    ),
    wrong(
        "06.2",
        "the last that is not enough",
        "capacity 12: cap 10 is the smallest with 80 %; saw 9, with 75%",
        """
async def find_cap(measure, highest):
    best = await measure(highest)
    low, high = 1, highest
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if await measure(middle) >= 0.8 * best else (middle, high)
    return low
""",
    ),
    wrong(
        "06.2",
        "beyond the highest",
        "none out of range; saw",
        """
async def find_cap(measure, highest):
    best = await measure(1000)
    low, high = 1, highest
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if await measure(middle) >= 0.8 * best else (middle + 1, high)
    return low
""",
    ),
    wrong(
        "06.2",
        "a loop that does not end",
        "capacity 4: it ends; saw",
        """
async def find_cap(measure, highest):
    best = await measure(highest)
    low, high = 1, highest
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if await measure(middle) >= 0.8 * best else (middle, high)
    return low
""",
    ),
    wrong(
        "06.2",
        "nothing returned",
        "capacity 4: cap 4 is the smallest with 80 %; saw None",
        """
async def find_cap(measure, highest):
    best = await measure(highest)
""",
    ),
    right(
        "06.2",
        "doubling until it stays, then halving",
        """
async def find_cap(measure, highest):
    rates = {1: await measure(1)}
    low, high = 1, 1
    while high < highest:
        low, high = high, min(2 * high, highest)
        rates[high] = await measure(high)
        if rates[high] == rates[low]:
            break
    enough = 0.8 * rates[high]
    high = min(cap for cap, rate in rates.items() if rate >= enough)
    low = max([cap for cap, rate in rates.items() if rate < enough], default=0)
    while high - low > 1:
        middle = (low + high) // 2
        if await measure(middle) >= enough:
            high = middle
        else:
            low = middle
    return high
""",
    ),
    right(
        "06.2",
        "proportion from one slot",
        """
import math

async def find_cap(measure, highest):
    best, one = await measure(highest), await measure(1)
    return max(1, math.ceil(0.8 * best / one - 1e-9))
""",
    ),
    wrong(
        "06.3",
        "as it was given",
        "tax, law, art, press, war, limit 3: it ends; saw",
        """
async def report(function, topics, limit):
    slots = asyncio.Semaphore(limit)

    async def call(question):
        async with slots:
            return await function(question)

    async def brief(topic):
        async with slots:
            plan = await function(f"plan {topic}")
            return await asyncio.gather(call(f"facts for {plan}"), call(f"doubts about {plan}"))

    return await asyncio.gather(*(brief(topic) for topic in topics))
""",
    ),
    wrong(
        "06.3",
        "the plan goes round the slots",
        "tax, law, art, press, war, limit 3: never more than 3 at once; saw 5 at once",
        """
async def report(function, topics, limit):
    slots = asyncio.Semaphore(limit)

    async def call(question):
        async with slots:
            return await function(question)

    async def brief(topic):
        plan = await function(f"plan {topic}")
        return await asyncio.gather(call(f"facts for {plan}"), call(f"doubts about {plan}"))

    return await asyncio.gather(*(brief(topic) for topic in topics))
""",
    ),
    wrong(
        "06.3",
        "only the slot around the brief stays",
        "law, press, limit 3: never more than 3 at once; saw 4 at once",
        """
async def report(function, topics, limit):
    slots = asyncio.Semaphore(limit)

    async def brief(topic):
        async with slots:
            plan = await function(f"plan {topic}")
            return await asyncio.gather(function(f"facts for {plan}"), function(f"doubts about {plan}"))

    return await asyncio.gather(*(brief(topic) for topic in topics))
""",
    ),
    wrong(
        "06.3",
        "one topic after the other",
        "tax, law, art, press, war, limit 3: 6 s or less; saw 10 s",
        """
async def report(function, topics, limit):
    result = []
    for topic in topics:
        plan = await function(f"plan {topic}")
        result.append(await bounded_map(function, [f"facts for {plan}", f"doubts about {plan}"], limit))
    return result
""",
    ),
    wrong(
        "06.3",
        "more slots",
        "tax, law, art, press, war, limit 3: never more than 3 at once; saw",
        """
async def report(function, topics, limit):
    slots = asyncio.Semaphore(limit + len(topics))

    async def call(question):
        async with slots:
            return await function(question)

    async def brief(topic):
        async with slots:
            plan = await function(f"plan {topic}")
            return await asyncio.gather(call(f"facts for {plan}"), call(f"doubts about {plan}"))

    return await asyncio.gather(*(brief(topic) for topic in topics))
""",
    ),
    wrong(
        "06.3",
        "a second semaphore, which the plan goes round",
        "tax, law, art, press, war, limit 3: never more than 3 at once; saw",
        """
async def report(function, topics, limit):
    agents, slots = asyncio.Semaphore(limit), asyncio.Semaphore(limit)

    async def call(question):
        async with slots:
            return await function(question)

    async def brief(topic):
        async with agents:
            plan = await function(f"plan {topic}")
            return await asyncio.gather(call(f"facts for {plan}"), call(f"doubts about {plan}"))

    return await asyncio.gather(*(brief(topic) for topic in topics))
""",
    ),
    wrong(
        "06.3",
        "a timeout instead of a repair",
        "tax, law, art, press, war, limit 3: it ends; saw",
        """
async def report(function, topics, limit):
    slots = asyncio.Semaphore(limit)

    async def call(question):
        async with slots:
            return await function(question)

    async def brief(topic):
        async with slots, asyncio.timeout(5):
            plan = await function(f"plan {topic}")
            return await asyncio.gather(call(f"facts for {plan}"), call(f"doubts about {plan}"))

    return await asyncio.gather(*(brief(topic) for topic in topics))
""",
    ),
    wrong(
        "06.3",
        "questions without the plan's answer",
        "two answers for each, in order; saw",
        """
async def report(function, topics, limit):
    slots = asyncio.Semaphore(limit)

    async def brief(topic):
        questions = [f"plan {topic}", f"facts for {topic}", f"doubts about {topic}"]
        return (await bounded_map(function, questions, slots))[1:]

    return await asyncio.gather(*(brief(topic) for topic in topics))
""",
    ),
    right(
        "06.3",
        "the slot given back before the questions",
        """
async def report(function, topics, limit):
    slots = asyncio.Semaphore(limit)

    async def brief(topic):
        async with slots:
            plan = await function(f"plan {topic}")
        return await bounded_map(function, [f"facts for {plan}", f"doubts about {plan}"], slots)

    return await asyncio.gather(*(brief(topic) for topic in topics))
""",
    ),
    right(
        "06.3",
        "all plans first, then all questions",
        """
async def report(function, topics, limit):
    plans = await bounded_map(function, [f"plan {topic}" for topic in topics], limit)
    questions = [question for plan in plans for question in (f"facts for {plan}", f"doubts about {plan}")]
    answers = await bounded_map(function, questions, limit)
    return [answers[index : index + 2] for index in range(0, len(answers), 2)]
""",
    ),
    right(
        "06.3",
        "a second semaphore for the briefs",
        """
async def report(function, topics, limit):
    agents, slots = asyncio.Semaphore(limit), asyncio.Semaphore(limit)

    async def call(question):
        async with slots:
            return await function(question)

    async def brief(topic):
        async with agents:
            plan = await call(f"plan {topic}")
            return await asyncio.gather(call(f"facts for {plan}"), call(f"doubts about {plan}"))

    return await asyncio.gather(*(brief(topic) for topic in topics))
""",
    ),
    wrong(
        "06.1",
        "one slot too few",
        "all of them used; saw",
        """
async def briefs(function, topics, limit):
    slots = asyncio.Semaphore(max(1, limit - 1))

    async def call(question):
        async with slots:
            return await function(question)

    lists = await asyncio.gather(*(asyncio.gather(*(call(each) for each in part)) for part in topics.values()))
    return dict(zip(topics, lists))
""",
    ),
    wrong(
        "06.2",
        "float(cap)",
        "is the smallest with 80 %; saw 4.0",
        """
async def find_cap(measure, highest):
    wanted = 0.8 * await measure(highest)
    low, high = 1, highest
    while low < high:
        middle = (low + high) // 2
        if await measure(middle) >= wanted:
            high = middle
        else:
            low = middle + 1
    return float(low)
""",
    ),
    wrong(
        "06.2",
        "64 instead of highest",
        "none out of range; saw",
        """
async def find_cap(measure, highest):
    wanted = 0.8 * await measure(64)
    low, high = 1, 64
    while low < high:
        middle = (low + high) // 2
        if await measure(middle) >= wanted:
            high = middle
        else:
            low = middle + 1
    return low
""",
    ),
    wrong(
        "06.2",
        "more than 80 %",
        "is the smallest with 80 %; saw 5",
        """
async def find_cap(measure, highest):
    wanted = 0.8 * await measure(highest)
    low, high = 1, highest
    while low < high:
        middle = (low + high) // 2
        if await measure(middle) > wanted:
            high = middle
        else:
            low = middle + 1
    return low
""",
    ),
    wrong(
        "06.3",
        "a slot around the brief, its questions one after the other",
        "2 s or less; saw 3 s",
        """
async def report(function, topics, limit):
    slots = asyncio.Semaphore(limit)

    async def brief(topic):
        async with slots:
            plan = await function(f"plan {topic}")
            return [await function(f"facts for {plan}"), await function(f"doubts about {plan}")]

    return await asyncio.gather(*(brief(topic) for topic in topics))
""",
    ),
    wrong(
        "06.3",
        "a slot for each call, the questions one after the other",
        "2 s or less; saw 3 s",
        """
async def report(function, topics, limit):
    slots = asyncio.Semaphore(limit)

    async def call(question):
        async with slots:
            return await function(question)

    async def brief(topic):
        plan = await call(f"plan {topic}")
        return [await call(f"facts for {plan}"), await call(f"doubts about {plan}")]

    return await asyncio.gather(*(brief(topic) for topic in topics))
""",
    ),
]
