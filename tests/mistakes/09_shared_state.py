"""What the checks of lesson 09 must find, and what they must let pass."""

from tests.answers import right, wrong

BUDGET = """
class OverBudget(Exception):
    pass

class Budget:
    def __init__(self, cents):
        self.left = cents
        self.lock = asyncio.Lock()
"""

FLIGHT = """
class SingleFlight:
    def __init__(self):
        self.flights = {}
        self.answers = {}
        self.lock = asyncio.Lock()
"""

ANSWERS = [
    wrong(
        "09.1",
        "as given",
        "14 tokens; saw 2",
        """
async def note(topic, question, usage):
    usage.requests += 1
    usage.topics.add(topic)
    longest = usage.longest
    usage.tokens += (tokens := await count_tokens(topic, question))
    usage.longest = max(longest, tokens)
""",
    ),
    wrong(
        "09.1",
        "a lock around the wait",
        "over after 3 s; saw 9.5 s",
        """
lock = None

async def note(topic, question, usage):
    global lock
    if usage.requests == 0:
        lock = asyncio.Lock()
    usage.requests += 1
    usage.topics.add(topic)
    async with lock:
        usage.tokens += (tokens := await count_tokens(topic, question))
    usage.longest = max(usage.longest, tokens)
""",
    ),
    wrong(
        "09.1",
        "only the tokens",
        "6 tokens in the longest; saw 2",
        """
async def note(topic, question, usage):
    usage.requests += 1
    usage.topics.add(topic)
    longest = usage.longest
    tokens = await count_tokens(topic, question)
    usage.tokens += tokens
    usage.longest = max(longest, tokens)
""",
    ),
    wrong(
        "09.1",
        "only the longest",
        "14 tokens; saw 2",
        """
async def note(topic, question, usage):
    usage.requests += 1
    usage.topics.add(topic)
    usage.tokens += (tokens := await count_tokens(topic, question))
    usage.longest = max(usage.longest, tokens)
""",
    ),
    wrong(
        "09.1",
        "the sum written out, still across the wait",
        "14 tokens; saw 2",
        """
async def note(topic, question, usage):
    usage.requests += 1
    usage.topics.add(topic)
    usage.tokens = usage.tokens + (tokens := await count_tokens(topic, question))
    usage.longest = max(usage.longest, tokens)
""",
    ),
    wrong(
        "09.1",
        "counted in the background",
        "14 tokens; saw 0",
        """
async def note(topic, question, usage):
    async def count():
        tokens = await count_tokens(topic, question)
        usage.tokens += tokens
        usage.longest = max(usage.longest, tokens)

    usage.requests += 1
    usage.topics.add(topic)
    asyncio.create_task(count())
""",
    ),
    wrong(
        "09.1",
        "the counter asked, its number not used",
        "14 tokens; saw 43",
        """
async def note(topic, question, usage):
    usage.requests += 1
    usage.topics.add(topic)
    await count_tokens(topic, question)
    usage.tokens += len(question)
    usage.longest = max(usage.longest, len(question))
""",
    ),
    wrong(
        "09.1",
        "counted twice, the second time across the wait",
        "over after 3 s; saw 6 s",
        """
async def note(topic, question, usage):
    usage.requests += 1
    usage.topics.add(topic)
    usage.tokens = await count_tokens(topic, question) + usage.tokens
    usage.longest = max(usage.longest, await count_tokens(topic, question))
""",
    ),
    right(
        "09.1",
        "all after the wait",
        """
async def note(topic, question, usage):
    tokens = await count_tokens(topic, question)
    usage.requests += 1
    usage.topics.add(topic)
    usage.tokens = usage.tokens + tokens
    if tokens > usage.longest:
        usage.longest = tokens
""",
    ),
    right(
        "09.1",
        "a lock, but not around the wait",
        """
lock = asyncio.Lock()

async def note(topic, question, usage):
    tokens = await count_tokens(topic, question)
    async with lock:
        usage.requests += 1
        usage.topics.add(topic)
        usage.tokens += tokens
        usage.longest = max(usage.longest, tokens)
""",
    ),
    wrong(
        "09.2",
        "as given",
        "saw answer, answer, answer, answer; calls: 4, finished: 4, left: -4, 1 s",
        BUDGET
        + """
    async def buy(self, price, call):
        if price > self.left:
            raise OverBudget(price)
        answer, cost = await call()
        self.left -= cost
        return answer
""",
    ),
    wrong(
        "09.2",
        "a lock around the call",
        "saw answer, answer, OverBudget, answer; calls: 3, finished: 3, left: 0, 3 s",
        BUDGET
        + """
    async def buy(self, price, call):
        async with self.lock:
            if price > self.left:
                raise OverBudget(price)
            answer, cost = await call()
            self.left -= cost
            return answer
""",
    ),
    wrong(
        "09.2",
        "a lock around the check and one around the booking",
        "saw answer, answer, answer, answer; calls: 4, finished: 4, left: -4, 1 s",
        BUDGET
        + """
    async def buy(self, price, call):
        async with self.lock:
            if price > self.left:
                raise OverBudget(price)
        answer, cost = await call()
        async with self.lock:
            self.left -= cost
        return answer
""",
    ),
    wrong(
        "09.2",
        "nothing given back",
        "saw ZeroDivisionError, answer, OverBudget, OverBudget; calls: 2, finished: 2, left: 1",
        BUDGET
        + """
    async def buy(self, price, call):
        if price > self.left:
            raise OverBudget(price)
        self.left -= price
        answer, _ = await call()
        return answer
""",
    ),
    wrong(
        "09.2",
        "given back after a failure, not after an answer",
        "saw answer, OverBudget, OverBudget; calls: 1, finished: 1, left: 2, 1.5 s",
        BUDGET
        + """
    async def buy(self, price, call):
        if price > self.left:
            raise OverBudget(price)
        self.left -= price
        try:
            answer, cost = await call()
            return answer
        except BaseException:
            self.left += price
            raise
""",
    ),
    wrong(
        "09.2",
        "a cancelled call keeps the money",
        "saw TimeoutError, OverBudget, OverBudget; calls: 1, finished: 0, left: 1",
        BUDGET
        + """
    async def buy(self, price, call):
        if price > self.left:
            raise OverBudget(price)
        self.left -= price
        try:
            answer, cost = await call()
        except Exception:
            self.left += price
            raise
        self.left += price - cost
        return answer
""",
    ),
    wrong(
        "09.2",
        "given back whole, and never paid",
        "saw answer, answer, OverBudget, answer; calls: 3, finished: 3, left: 10, 1 s",
        BUDGET
        + """
    async def buy(self, price, call):
        if price > self.left:
            raise OverBudget(price)
        self.left -= price
        try:
            answer, cost = await call()
            return answer
        finally:
            self.left += price
""",
    ),
    wrong(
        "09.2",
        "the cost given back, not the rest",
        "saw answer, answer, OverBudget, answer; calls: 3, finished: 3, left: 10, 1 s",
        BUDGET
        + """
    async def buy(self, price, call):
        if price > self.left:
            raise OverBudget(price)
        self.left -= price
        cost = price
        try:
            answer, cost = await call()
            return answer
        finally:
            self.left += cost
""",
    ),
    wrong(
        "09.2",
        "a failure costs the whole price",
        "saw ZeroDivisionError, answer, OverBudget, OverBudget; calls: 2",
        BUDGET
        + """
    async def buy(self, price, call):
        if price > self.left:
            raise OverBudget(price)
        self.left -= price
        cost = price
        try:
            answer, cost = await call()
            return answer
        finally:
            self.left += price - cost
""",
    ),
    wrong(
        "09.2",
        "set back to what it was",
        "saw ZeroDivisionError, answer, OverBudget, answer; calls: 3, finished: 3, left: 3, 3 s",
        BUDGET
        + """
    async def buy(self, price, call):
        before = self.left
        if price > before:
            raise OverBudget(price)
        self.left = before - price
        try:
            answer, cost = await call()
        except BaseException:
            self.left = before
            raise
        self.left += price - cost
        return answer
""",
    ),
    wrong(
        "09.2",
        "refused in silence",
        "calls: 3, finished: 3, left: 0, 1 s; saw answer, answer, None, answer",
        BUDGET
        + """
    async def buy(self, price, call):
        if price > self.left:
            return None
        self.left -= price
        cost = 0
        try:
            answer, cost = await call()
            return answer
        finally:
            self.left += price - cost
""",
    ),
    wrong(
        "09.2",
        "checked after the call",
        "calls: 4",
        BUDGET
        + """
    async def buy(self, price, call):
        answer, cost = await call()
        if cost > self.left:
            raise OverBudget(price)
        self.left -= cost
        return answer
""",
    ),
    wrong(
        "09.2",
        "the answer returned with its cost",
        "saw ('answer', 4), ('answer', 4), OverBudget, ('answer', 2); calls: 3",
        BUDGET
        + """
    async def buy(self, price, call):
        if price > self.left:
            raise OverBudget(price)
        self.left -= price
        cost = 0
        try:
            answer, cost = await call()
            return answer, cost
        finally:
            self.left += price - cost
""",
    ),
    wrong(
        "09.2",
        "the call goes on behind a shield, the price is given back",
        "finished: 1, left: 0, 1.75 s; saw TimeoutError, OverBudget, answer; calls: 2, finished: 2, left: 0",
        BUDGET
        + """
    async def buy(self, price, call):
        if price > self.left:
            raise OverBudget(price)
        self.left -= price
        cost = 0
        try:
            answer, cost = await asyncio.shield(asyncio.create_task(call()))
            return answer
        finally:
            self.left += price - cost
""",
    ),
    wrong(
        "09.2",
        "asyncio.wait, which cancels nothing",
        "saw TimeoutError, OverBudget, answer; calls: 2, finished: 2, left: 0, 1.75 s",
        BUDGET
        + """
    async def buy(self, price, call):
        if price > self.left:
            raise OverBudget(price)
        self.left -= price
        cost, task = 0, asyncio.create_task(call())
        try:
            await asyncio.wait({task})
            answer, cost = task.result()
            return answer
        finally:
            self.left += price - cost
""",
    ),
    wrong(
        "09.2",
        "given back a second later",
        "saw ZeroDivisionError, answer, OverBudget, OverBudget",
        BUDGET
        + """
    async def buy(self, price, call):
        if price > self.left:
            raise OverBudget(price)
        self.left -= price
        cost = 0
        try:
            answer, cost = await call()
            return answer
        finally:
            await asyncio.sleep(1.5)
            self.left += price - cost
""",
    ),
    right(
        "09.2",
        "a lock for the check and the booking only, and a flag",
        BUDGET
        + """
    async def buy(self, price, call):
        async with self.lock:
            if price > self.left:
                raise OverBudget(price)
            self.left -= price
        answered = False
        try:
            answer, cost = await call()
            answered = True
            return answer
        finally:
            self.left += price - cost if answered else price
""",
    ),
    right(
        "09.2",
        "two ways out",
        BUDGET
        + """
    async def buy(self, price, call):
        if price > self.left:
            raise OverBudget(price)
        self.left -= price
        try:
            answer, cost = await call()
        except BaseException:
            self.left += price
            raise
        self.left += price - cost
        return answer
""",
    ),
    right(
        "09.2",
        "what is reserved is kept apart",
        BUDGET
        + """
        self.reserved = 0

    async def buy(self, price, call):
        if price > self.left - self.reserved:
            raise OverBudget(price)
        self.reserved += price
        try:
            answer, cost = await call()
            self.left -= cost
        finally:
            self.reserved -= price
        return answer
""",
    ),
    right(
        "09.2",
        "the call in a task of its own",
        BUDGET
        + """
    async def buy(self, price, call):
        if price > self.left:
            raise OverBudget(price)
        self.left -= price
        task = asyncio.ensure_future(call())
        try:
            answer, cost = await task
        except (Exception, asyncio.CancelledError):
            self.left += price
            raise
        else:
            self.left += price - cost
            return answer
""",
    ),
    right(
        "09.2",
        "a done callback settles",
        BUDGET
        + """
    async def buy(self, price, call):
        if price > self.left:
            raise OverBudget(price)
        self.left -= price

        def over(task):
            failed = task.cancelled() or task.exception()
            self.left += price if failed else price - task.result()[1]

        task = asyncio.create_task(call())
        task.add_done_callback(over)
        return (await task)[0]
""",
    ),
    wrong(
        "09.3",
        "the answer kept, not the task",
        "three callers: a 1, a 1, a 1; calls: 1, 1 s; saw a 1, a 2, a 3; calls: 3, 1.5 s",
        FLIGHT
        + """
    async def get(self, key, make):
        if key not in self.answers:
            self.answers[key] = await make()
            return self.answers[key]
        return self.answers[key]
""",
    ),
    wrong(
        "09.3",
        "no shield",
        "the first gives up: TimeoutError, a 1; calls: 1, 1 s; saw TimeoutError, CancelledError",
        FLIGHT
        + """
    async def get(self, key, make):
        if key not in self.flights:
            self.flights[key] = asyncio.create_task(make())
        try:
            return await self.flights[key]
        except Exception:
            self.flights.pop(key, None)
            raise
""",
    ),
    wrong(
        "09.3",
        "a failure is kept",
        "saw ZeroDivisionError, ZeroDivisionError, ZeroDivisionError; calls: 1",
        FLIGHT
        + """
    async def get(self, key, make):
        if key not in self.flights:
            self.flights[key] = asyncio.create_task(make())
        return await asyncio.shield(self.flights[key])
""",
    ),
    wrong(
        "09.3",
        "a failure is kept when nobody waits",
        "failure, all gone: TimeoutError, bad 2; calls: 2, 4 s; saw TimeoutError, ZeroDivisionError; calls: 1",
        FLIGHT
        + """
    async def get(self, key, make):
        if key not in self.flights:
            self.flights[key] = asyncio.create_task(make())
        try:
            return await asyncio.shield(self.flights[key])
        except Exception:
            self.flights.pop(key, None)
            raise
""",
    ),
    wrong(
        "09.3",
        "everybody who waited takes out whatever flies then",
        "again 2, again 2, again 2; calls: 2, 2 s; saw again 2, again 3, again 4; calls: 4, 2 s",
        FLIGHT
        + """
    async def get(self, key, make):
        task = self.flights.get(key)
        if task is None or task.done() and (task.cancelled() or task.exception()):
            task = self.flights[key] = asyncio.create_task(make())
        try:
            return await asyncio.shield(task)
        except Exception:
            self.flights.pop(key, None)
            raise
""",
    ),
    wrong(
        "09.3",
        "one lock for all keys",
        "other keys: a 1, b 1; calls: 2, 1 s; saw a 1, b 1; calls: 2, 2 s",
        FLIGHT
        + """
    async def get(self, key, make):
        async with self.lock:
            if key not in self.answers:
                self.answers[key] = await make()
            return self.answers[key]
""",
    ),
    wrong(
        "09.3",
        "a lock for each key",
        "the first gives up: TimeoutError, a 1; calls: 1, 1 s; saw TimeoutError, a 2; calls: 2, 1.25 s",
        FLIGHT
        + """
    async def get(self, key, make):
        async with self.flights.setdefault(key, asyncio.Lock()):
            if key not in self.answers:
                self.answers[key] = await make()
            return self.answers[key]
""",
    ),
    wrong(
        "09.3",
        "forgotten when it is over",
        "a later one: a 1, a 1; calls: 1, 5 s; saw a 1, a 2; calls: 2, 6 s",
        FLIGHT
        + """
    async def get(self, key, make):
        if key not in self.flights:
            task = self.flights[key] = asyncio.create_task(make())
            task.add_done_callback(lambda task: self.flights.pop(key))
        return await asyncio.shield(self.flights[key])
""",
    ),
    wrong(
        "09.3",
        "forgotten by whoever gives up",
        "all give up: TimeoutError, a 1; calls: 1, 3 s; saw TimeoutError, a 2; calls: 2, 4 s",
        FLIGHT
        + """
    async def get(self, key, make):
        if key not in self.flights:
            self.flights[key] = asyncio.create_task(make())
        try:
            return await asyncio.shield(self.flights[key])
        except BaseException:
            self.flights.pop(key, None)
            raise
""",
    ),
    wrong(
        "09.3",
        "the first makes the call, the others wait for an event",
        "the first gives up: TimeoutError, a 1; calls: 1, 1 s; saw",
        FLIGHT
        + """
    async def get(self, key, make):
        if key in self.answers:
            return self.answers[key]
        if key in self.flights:
            await self.flights[key].wait()
            return self.answers[key]
        self.flights[key] = asyncio.Event()
        try:
            self.answers[key] = await make()
        finally:
            self.flights.pop(key).set()
        return self.answers[key]
""",
    ),
    wrong(
        "09.3",
        "the coroutine kept",
        "saw a 1, RuntimeError, RuntimeError; calls: 1, 1 s",
        FLIGHT
        + """
    async def get(self, key, make):
        if key not in self.flights:
            self.flights[key] = make()
        return await self.flights[key]
""",
    ),
    right(
        "09.3",
        "looks at the task when somebody asks",
        FLIGHT
        + """
    async def get(self, key, make):
        task = self.flights.get(key)
        if task is None or task.done() and (task.cancelled() or task.exception()):
            task = self.flights[key] = asyncio.create_task(make())
        return await asyncio.shield(task)
""",
    ),
    right(
        "09.3",
        "answers and flights apart",
        FLIGHT
        + """
    async def fly(self, key, make):
        try:
            self.answers[key] = await make()
            return self.answers[key]
        finally:
            del self.flights[key]

    async def get(self, key, make):
        if key in self.answers:
            return self.answers[key]
        if key not in self.flights:
            self.flights[key] = asyncio.create_task(self.fly(key, make))
        return await asyncio.shield(self.flights[key])
""",
    ),
    right(
        "09.3",
        "asyncio.wait instead of shield",
        FLIGHT
        + """
    async def get(self, key, make):
        if key not in self.flights:
            self.flights[key] = asyncio.create_task(make())
            self.flights[key].add_done_callback(lambda task: task.exception() and self.flights.pop(key))
        task = self.flights[key]
        await asyncio.wait({task})
        return task.result()
""",
    ),
]
