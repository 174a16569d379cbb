"""What the checks of lesson 08 must find, and what they must let pass."""

from tests.answers import right, wrong

ANSWERS = [
    wrong(
        "08.1",
        "takes all questions before the workers begin",
        "12 questions, 6 workers: 4 s; saw 6 s",
        """
async def answer_all(function, questions, workers):
    queue, answers = asyncio.Queue(), {}
    async for question in questions:
        queue.put_nowait(question)

    async def work():
        while True:
            question = await queue.get()
            answers[question] = await function(question)
            queue.task_done()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work()) for _ in range(workers)]
        await queue.join()
        for task in tasks:
            task.cancel()
    return answers
""",
    ),
    wrong(
        "08.1",
        "a queue without a bound",
        "40 questions, 4 workers: few taken in advance; saw 40 open",
        """
async def answer_all(function, questions, workers):
    queue, answers = asyncio.Queue(), {}

    async def work():
        while True:
            question = await queue.get()
            answers[question] = await function(question)
            queue.task_done()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work()) for _ in range(workers)]
        async for question in questions:
            await queue.put(question)
        await queue.join()
        for task in tasks:
            task.cancel()
    return answers
""",
    ),
    wrong(
        "08.1",
        "one after the other",
        "12 questions, 6 workers: 4 s; saw 16 s",
        """
async def answer_all(function, questions, workers):
    return {question: await function(question) async for question in questions}
""",
    ),
    wrong(
        "08.1",
        "no task_done",
        "12 questions, 6 workers: it ends; saw",
        """
async def answer_all(function, questions, workers):
    queue, answers = asyncio.Queue(maxsize=workers), {}

    async def work():
        while True:
            question = await queue.get()
            answers[question] = await function(question)

    tasks = [asyncio.create_task(work()) for _ in range(workers)]
    async for question in questions:
        await queue.put(question)
    await queue.join()
    for task in tasks:
        task.cancel()
    return answers
""",
    ),
    wrong(
        "08.1",
        "workers left waiting",
        "12 questions, 6 workers: nothing is left running; saw",
        """
async def answer_all(function, questions, workers):
    queue, answers = asyncio.Queue(maxsize=workers), {}

    async def work():
        while True:
            question = await queue.get()
            answers[question] = await function(question)
            queue.task_done()

    tasks = [asyncio.create_task(work()) for _ in range(workers)]
    async for question in questions:
        await queue.put(question)
    await queue.join()
    return answers
""",
    ),
    wrong(
        "08.1",
        "a task for each question",
        "40 questions, 4 workers: at most 4 calls at once; saw 40",
        """
async def answer_all(function, questions, workers):
    answers = {}

    async def work(question):
        answers[question] = await function(question)

    async with asyncio.TaskGroup() as group:
        async for question in questions:
            group.create_task(work(question))
    return answers
""",
    ),
    wrong(
        "08.1",
        "four workers, whatever is asked for",
        "12 questions, 6 workers: 4 s; saw 4.25 s",
        """
async def answer_all(function, questions, workers):
    queue, answers = asyncio.Queue(maxsize=4), {}

    async def work():
        while True:
            question = await queue.get()
            answers[question] = await function(question)
            queue.task_done()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work()) for _ in range(4)]
        async for question in questions:
            await queue.put(question)
        await queue.join()
        for task in tasks:
            task.cancel()
    return answers
""",
    ),
    wrong(
        "08.1",
        "pairs the questions with the answers as they come",
        "12 questions, 6 workers: each with its answer; saw {'question 0': 'answer to question 1'",
        """
async def answer_all(function, questions, workers):
    queue, asked, answers = asyncio.Queue(maxsize=workers), [], []

    async def work():
        while True:
            answers.append(await function(await queue.get()))
            queue.task_done()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work()) for _ in range(workers)]
        async for question in questions:
            asked.append(question)
            await queue.put(question)
        await queue.join()
        for task in tasks:
            task.cancel()
    return dict(zip(asked, answers))
""",
    ),
    wrong(
        "08.1",
        "reads the iterator with for",
        "Try: this was raised in your code; an async iterator is read with `async for`",
        """
async def answer_all(function, questions, workers):
    return {question: await function(question) for question in questions}
""",
    ),
    right(
        "08.1",
        "a sentinel for each worker",
        """
async def answer_all(function, questions, workers):
    queue, answers = asyncio.Queue(maxsize=workers), {}

    async def work():
        while (question := await queue.get()) is not None:
            answers[question] = await function(question)

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(work())
        async for question in questions:
            await queue.put(question)
        for _ in range(workers):
            await queue.put(None)
    return answers
""",
    ),
    right(
        "08.1",
        "a slot before each task",
        """
async def answer_all(function, questions, workers):
    slots, answers = asyncio.Semaphore(workers), {}

    async def work(question):
        try:
            answers[question] = await function(question)
        finally:
            slots.release()

    async with asyncio.TaskGroup() as group:
        async for question in questions:
            await slots.acquire()
            group.create_task(work(question))
    return answers
""",
    ),
    wrong(
        "08.2",
        "stop cancels the workers",
        "stopped after 4.5 s: nothing is lost; saw ['topic",
        """
class Pipeline:
    def __init__(self, look_up, summarize, write):
        self.stages = [(look_up, 2), (summarize, 3), (write, 1)]

    async def work(self, function, inbox, outbox):
        while True:
            result = await function(await inbox.get())
            if outbox is not None:
                await outbox.put(result)
            inbox.task_done()

    async def feed(self, topics, queues):
        for topic in topics:
            await queues[0].put(topic)
        for queue in queues:
            await queue.join()
        self.stop()

    async def run(self, topics):
        queues = [asyncio.Queue(maxsize=2) for _ in self.stages]
        self.tasks = [asyncio.create_task(self.feed(topics, queues))]
        for (function, number), inbox, outbox in zip(self.stages, queues, [*queues[1:], None]):
            self.tasks += [asyncio.create_task(self.work(function, inbox, outbox)) for _ in range(number)]
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def stop(self):
        for task in self.tasks:
            task.cancel()
""",
    ),
    wrong(
        "08.2",
        "stop cancels the feeder",
        "stopped after 4.5 s: nothing is lost; saw ['topic",
        """
class Pipeline:
    def __init__(self, look_up, summarize, write):
        self.stages = [(look_up, 2), (summarize, 3), (write, 1)]

    async def work(self, function, inbox, outbox):
        while True:
            result = await function(await inbox.get())
            if outbox is not None:
                await outbox.put(result)
            inbox.task_done()

    async def feed(self, topics, queue):
        for topic in topics:
            await queue.put(topic)

    async def run(self, topics):
        queues = [asyncio.Queue(maxsize=2) for _ in self.stages]
        async with asyncio.TaskGroup() as group:
            workers = []
            for (function, number), inbox, outbox in zip(self.stages, queues, [*queues[1:], None]):
                workers += [group.create_task(self.work(function, inbox, outbox)) for _ in range(number)]
            self.feeder = group.create_task(self.feed(topics, queues[0]))
            await asyncio.wait({self.feeder})
            for queue in queues:
                await queue.join()
            for worker in workers:
                worker.cancel()

    def stop(self):
        self.feeder.cancel()
""",
    ),
    wrong(
        "08.2",
        "looks at the flag after it has taken a topic",
        "stopped after 4.5 s: none is taken afterwards; saw 1 more",
        """
class Pipeline:
    def __init__(self, look_up, summarize, write):
        self.stages = [(look_up, 2), (summarize, 3), (write, 1)]
        self.stopped = False

    async def work(self, function, inbox, outbox):
        while True:
            result = await function(await inbox.get())
            if outbox is not None:
                await outbox.put(result)
            inbox.task_done()

    async def run(self, topics):
        queues = [asyncio.Queue(maxsize=2) for _ in self.stages]
        async with asyncio.TaskGroup() as group:
            workers = []
            for (function, number), inbox, outbox in zip(self.stages, queues, [*queues[1:], None]):
                workers += [group.create_task(self.work(function, inbox, outbox)) for _ in range(number)]
            for topic in topics:
                if self.stopped:
                    break
                await queues[0].put(topic)
            for queue in queues:
                await queue.join()
            for worker in workers:
                worker.cancel()

    def stop(self):
        self.stopped = True
""",
    ),
    wrong(
        "08.2",
        "joins the first queue only",
        "40 topics: nothing is lost; saw ['topic",
        """
class Pipeline:
    def __init__(self, look_up, summarize, write):
        self.stages = [(look_up, 2), (summarize, 3), (write, 1)]
        self.stopped = False

    async def work(self, function, inbox, outbox):
        while True:
            result = await function(await inbox.get())
            if outbox is not None:
                await outbox.put(result)
            inbox.task_done()

    async def run(self, topics):
        queues = [asyncio.Queue(maxsize=2) for _ in self.stages]
        async with asyncio.TaskGroup() as group:
            workers = []
            for (function, number), inbox, outbox in zip(self.stages, queues, [*queues[1:], None]):
                workers += [group.create_task(self.work(function, inbox, outbox)) for _ in range(number)]
            while not self.stopped and (topic := next(topics, None)) is not None:
                await queues[0].put(topic)
            await queues[0].join()
            for worker in workers:
                worker.cancel()

    def stop(self):
        self.stopped = True
""",
    ),
    wrong(
        "08.2",
        "queues without a bound",
        "stopped after 4.5 s: run returns; saw",
        """
class Pipeline:
    def __init__(self, look_up, summarize, write):
        self.stages = [(look_up, 2), (summarize, 3), (write, 1)]
        self.stopped = False

    async def work(self, function, inbox, outbox):
        while True:
            result = await function(await inbox.get())
            if outbox is not None:
                await outbox.put(result)
            inbox.task_done()

    async def run(self, topics):
        queues = [asyncio.Queue() for _ in self.stages]
        workers = []
        for (function, number), inbox, outbox in zip(self.stages, queues, [*queues[1:], None]):
            workers += [asyncio.create_task(self.work(function, inbox, outbox)) for _ in range(number)]
        while not self.stopped and (topic := next(topics, None)) is not None:
            await queues[0].put(topic)
        for queue in reversed(queues):
            await queue.join()
        await asyncio.gather(*workers)

    def stop(self):
        self.stopped = True
""",
    ),
    wrong(
        "08.2",
        "takes everything at once",
        "stopped after 4.5 s: at most 15 open; saw 1000",
        """
class Pipeline:
    def __init__(self, look_up, summarize, write):
        self.stages = [(look_up, 2), (summarize, 3), (write, 1)]
        self.stopped = False

    async def run(self, topics):
        slots = [asyncio.Semaphore(number) for _, number in self.stages]

        async def through(topic):
            for slot, (function, _) in zip(slots, self.stages):
                async with slot:
                    topic = await function(topic)

        await asyncio.gather(*(through(topic) for topic in topics))

    def stop(self):
        self.stopped = True
""",
    ),
    wrong(
        "08.2",
        "one topic after the other",
        "40 topics: at most 46 s; saw 164 s",
        """
class Pipeline:
    def __init__(self, look_up, summarize, write):
        self.stages = [look_up, summarize, write]
        self.stopped = False

    async def run(self, topics):
        while not self.stopped and (topic := next(topics, None)) is not None:
            for function in self.stages:
                topic = await function(topic)

    def stop(self):
        self.stopped = True
""",
    ),
    wrong(
        "08.2",
        "the first fifteen topics",
        "40 topics: all are taken; saw 15",
        """
class Pipeline:
    def __init__(self, look_up, summarize, write):
        self.stages = [(look_up, 2), (summarize, 3), (write, 1)]
        self.stopped = False

    async def work(self, function, inbox, outbox):
        while True:
            result = await function(await inbox.get())
            if outbox is not None:
                await outbox.put(result)
            inbox.task_done()

    async def run(self, topics):
        queues = [asyncio.Queue(maxsize=2) for _ in self.stages]
        async with asyncio.TaskGroup() as group:
            workers = []
            for (function, number), inbox, outbox in zip(self.stages, queues, [*queues[1:], None]):
                workers += [group.create_task(self.work(function, inbox, outbox)) for _ in range(number)]
            for _, topic in zip(range(15), topics):
                await queues[0].put(topic)
            for queue in queues:
                await queue.join()
            for worker in workers:
                worker.cancel()

    def stop(self):
        pass
""",
    ),
    wrong(
        "08.2",
        "awaits the feeder that stop cancelled",
        "Try: you await a task that stop() cancelled, so run is cancelled too",
        """
class Pipeline:
    def __init__(self, look_up, summarize, write):
        self.stages = [(look_up, 2), (summarize, 3), (write, 1)]
        self.stopped = False

    async def work(self, function, inbox, outbox):
        while True:
            result = await function(await inbox.get())
            if outbox is not None:
                await outbox.put(result)
            inbox.task_done()

    async def feed(self, topics, queue):
        for topic in topics:
            await queue.put(topic)

    async def run(self, topics):
        queues = [asyncio.Queue(maxsize=2) for _ in self.stages]
        async with asyncio.TaskGroup() as group:
            workers = []
            for (function, number), inbox, outbox in zip(self.stages, queues, [*queues[1:], None]):
                workers += [group.create_task(self.work(function, inbox, outbox)) for _ in range(number)]
            self.feeder = group.create_task(self.feed(topics, queues[0]))
            await self.feeder
            for queue in queues:
                await queue.join()
            for worker in workers:
                worker.cancel()

    def stop(self):
        self.feeder.cancel()
""",
    ),
    right(
        "08.2",
        "a task for each topic, and few of them",
        """
class Pipeline:
    def __init__(self, look_up, summarize, write):
        self.stages = [(look_up, 2), (summarize, 3), (write, 1)]
        self.stopped = False

    async def run(self, topics):
        open_topics = asyncio.Semaphore(10)
        slots = [asyncio.Semaphore(number) for _, number in self.stages]

        async def through(topic):
            for slot, (function, _) in zip(slots, self.stages):
                async with slot:
                    topic = await function(topic)
            open_topics.release()

        async with asyncio.TaskGroup() as group:
            while True:
                await open_topics.acquire()
                if self.stopped or (topic := next(topics, None)) is None:
                    return
                group.create_task(through(topic))

    def stop(self):
        self.stopped = True
""",
    ),
    right(
        "08.2",
        "sentinels, stage after stage",
        """
class Pipeline:
    def __init__(self, look_up, summarize, write):
        self.stages = [(look_up, 2), (summarize, 3), (write, 1)]
        self.stopped = False

    async def work(self, function, inbox, outbox):
        while (item := await inbox.get()) is not None:
            result = await function(item)
            if outbox is not None:
                await outbox.put(result)

    async def run(self, topics):
        queues = [asyncio.Queue(maxsize=1) for _ in self.stages]
        teams = [
            [asyncio.create_task(self.work(function, inbox, outbox)) for _ in range(number)]
            for (function, number), inbox, outbox in zip(self.stages, queues, [*queues[1:], None])
        ]
        while not self.stopped and (topic := next(topics, None)) is not None:
            await queues[0].put(topic)
        for team, queue in zip(teams, queues):
            for _ in team:
                await queue.put(None)
            await asyncio.gather(*team)

    def stop(self):
        self.stopped = True
""",
    ),
    wrong(
        "08.3",
        "the lesson's, with a close",
        "a cancelled caller harms nobody; saw",
        """
class Batcher:
    def __init__(self, send, size, delay):
        self.send, self.size, self.delay = send, size, delay
        self.queue = asyncio.Queue()
        self.running = asyncio.create_task(self.run())

    async def ask(self, item):
        answer = asyncio.get_running_loop().create_future()
        await self.queue.put((item, answer))
        return await answer

    async def collect(self):
        batch = [await self.queue.get()]
        with suppress(TimeoutError):
            async with asyncio.timeout(self.delay):
                while len(batch) < self.size:
                    batch.append(await self.queue.get())
        return batch

    async def send_batch(self, batch):
        results = await self.send([item for item, _ in batch])
        for (_, answer), result in zip(batch, results):
            answer.set_result(result)

    async def run(self):
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self.send_batch(await self.collect()))

    async def close(self):
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
""",
    ),
    wrong(
        "08.3",
        "one batch after the other",
        "others half a second after the first item; saw {'d': 1.5",
        """
class Batcher:
    def __init__(self, send, size, delay):
        self.send, self.size, self.delay = send, size, delay
        self.queue = asyncio.Queue()
        self.running = asyncio.create_task(self.run())

    async def ask(self, item):
        answer = asyncio.get_running_loop().create_future()
        await self.queue.put((item, answer))
        return await answer

    async def run(self):
        last = False
        while not last:
            batch = [await self.queue.get()]
            with suppress(TimeoutError):
                async with asyncio.timeout(self.delay):
                    while len(batch) < self.size and batch[-1] is not None:
                        batch.append(await self.queue.get())
            if last := batch[-1] is None:
                batch.pop()
            if not batch:
                continue
            try:
                results = await self.send([item for item, _ in batch])
            except Exception as error:
                results = [error] * len(batch)
            for (_, answer), result in zip(batch, results):
                if answer.done():
                    continue
                if isinstance(result, Exception):
                    answer.set_exception(result)
                else:
                    answer.set_result(result)

    async def close(self):
        await self.queue.put(None)
        await self.running
""",
    ),
    wrong(
        "08.3",
        "only the first caller hears of the failure",
        "a failure reaches all of its batch; saw {'bad': 'ValueError', 'h': 'TimeoutError'",
        """
class Batcher:
    def __init__(self, send, size, delay):
        self.send, self.size, self.delay = send, size, delay
        self.waiting, self.timer, self.sending = [], None, set()

    async def ask(self, item):
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        self.waiting.append((item, answer))
        if len(self.waiting) == self.size:
            self.flush()
        elif len(self.waiting) == 1:
            self.timer = loop.call_later(self.delay, self.flush)
        return await answer

    def flush(self):
        if self.timer is not None:
            self.timer.cancel()
        batch, self.waiting = self.waiting, []
        if batch:
            task = asyncio.create_task(self.send_batch(batch))
            self.sending.add(task)
            task.add_done_callback(self.sending.discard)

    async def send_batch(self, batch):
        try:
            results = await self.send([item for item, _ in batch])
        except Exception as error:
            batch[0][1].set_exception(error)
            return
        for (_, answer), result in zip(batch, results):
            if not answer.done():
                answer.set_result(result)

    async def close(self):
        self.flush()
        await asyncio.gather(*self.sending)
""",
    ),
    wrong(
        "08.3",
        "each new item begins the delay again",
        "others half a second after the first item; saw {'d': 0.5, 'lone': 2.5, 'j': 14.8",
        """
class Batcher:
    def __init__(self, send, size, delay):
        self.send, self.size, self.delay = send, size, delay
        self.waiting, self.timer, self.sending = [], None, set()

    async def ask(self, item):
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        self.waiting.append((item, answer))
        if self.timer is not None:
            self.timer.cancel()
        if len(self.waiting) == self.size:
            self.flush()
        else:
            self.timer = loop.call_later(self.delay, self.flush)
        return await answer

    def flush(self):
        if self.timer is not None:
            self.timer.cancel()
        batch, self.waiting = self.waiting, []
        if batch:
            task = asyncio.create_task(self.send_batch(batch))
            self.sending.add(task)
            task.add_done_callback(self.sending.discard)

    async def send_batch(self, batch):
        try:
            results = await self.send([item for item, _ in batch])
        except Exception as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, answer), result in zip(batch, results):
            if not answer.done():
                answer.set_result(result)

    async def close(self):
        self.flush()
        await asyncio.gather(*self.sending)
""",
    ),
    wrong(
        "08.3",
        "close waits for the delay",
        "close drains; saw ('LAST', 26.6)",
        """
class Batcher:
    def __init__(self, send, size, delay):
        self.send, self.size, self.delay = send, size, delay
        self.waiting, self.timer, self.open = [], None, set()

    async def ask(self, item):
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        self.waiting.append((item, answer))
        self.open.add(answer)
        answer.add_done_callback(self.open.discard)
        if len(self.waiting) == self.size:
            self.flush()
        elif len(self.waiting) == 1:
            self.timer = loop.call_later(self.delay, self.flush)
        return await answer

    def flush(self):
        if self.timer is not None:
            self.timer.cancel()
        batch, self.waiting = self.waiting, []
        self.sending = asyncio.create_task(self.send_batch(batch))

    async def send_batch(self, batch):
        try:
            results = await self.send([item for item, _ in batch])
        except Exception as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, answer), result in zip(batch, results):
            if not answer.done():
                answer.set_result(result)

    async def close(self):
        await asyncio.gather(*self.open, return_exceptions=True)
""",
    ),
    wrong(
        "08.3",
        "no batches",
        "a full batch goes at once",
        """
class Batcher:
    def __init__(self, send, size, delay):
        self.send, self.size, self.delay = send, size, delay

    async def ask(self, item):
        await asyncio.sleep(self.delay)
        return (await self.send([item]))[0]

    async def close(self):
        pass
""",
    ),
    wrong(
        "08.3",
        "size and delay ignored",
        "a batcher of two, a quarter of a second; saw [(0.0, ['p', 'q', 'r'])]",
        """
class Batcher:
    def __init__(self, send, size, delay):
        self.send, self.size, self.delay = send, size, delay
        self.waiting, self.timer, self.sending = [], None, set()

    async def ask(self, item):
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        self.waiting.append((item, answer))
        if len(self.waiting) == 3:
            self.flush()
        elif len(self.waiting) == 1:
            self.timer = loop.call_later(0.5, self.flush)
        return await answer

    def flush(self):
        if self.timer is not None:
            self.timer.cancel()
        batch, self.waiting = self.waiting, []
        if batch:
            task = asyncio.create_task(self.send_batch(batch))
            self.sending.add(task)
            task.add_done_callback(self.sending.discard)

    async def send_batch(self, batch):
        try:
            results = await self.send([item for item, _ in batch])
        except Exception as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, answer), result in zip(batch, results):
            if not answer.done():
                answer.set_result(result)

    async def close(self):
        self.flush()
        await asyncio.gather(*self.sending)
""",
    ),
    wrong(
        "08.3",
        "futures in a dictionary by item",
        "also when two ask for the same; saw",
        """
class Batcher:
    def __init__(self, send, size, delay):
        self.send, self.size, self.delay = send, size, delay
        self.waiting, self.timer, self.sending, self.answers = [], None, set(), {}

    async def ask(self, item):
        loop = asyncio.get_running_loop()
        answer = self.answers[item] = loop.create_future()
        self.waiting.append(item)
        if len(self.waiting) == self.size:
            self.flush()
        elif len(self.waiting) == 1:
            self.timer = loop.call_later(self.delay, self.flush)
        return await answer

    def flush(self):
        if self.timer is not None:
            self.timer.cancel()
        batch, self.waiting = self.waiting, []
        if batch:
            task = asyncio.create_task(self.send_batch(batch))
            self.sending.add(task)
            task.add_done_callback(self.sending.discard)

    async def send_batch(self, batch):
        try:
            results = await self.send(batch)
        except Exception as error:
            for item in batch:
                if not self.answers[item].done():
                    self.answers[item].set_exception(error)
            return
        for item, result in zip(batch, results):
            if not self.answers[item].done():
                self.answers[item].set_result(result)

    async def close(self):
        self.flush()
        await asyncio.gather(*self.sending)
""",
    ),
    wrong(
        "08.3",
        "close awaits only the last batch",
        "close drains; saw ('LAST', 26.2), closed at 26.2 s",
        """
class Batcher:
    def __init__(self, send, size, delay):
        self.send, self.size, self.delay = send, size, delay
        self.waiting, self.timer, self.last = [], None, None

    async def ask(self, item):
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        self.waiting.append((item, answer))
        if len(self.waiting) == self.size:
            self.flush()
        elif len(self.waiting) == 1:
            self.timer = loop.call_later(self.delay, self.flush)
        return await answer

    def flush(self):
        if self.timer is not None:
            self.timer.cancel()
        batch, self.waiting = self.waiting, []
        if batch:
            self.last = asyncio.create_task(self.send_batch(batch))

    async def send_batch(self, batch):
        try:
            results = await self.send([item for item, _ in batch])
        except Exception as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, answer), result in zip(batch, results):
            if not answer.done():
                answer.set_result(result)

    async def close(self):
        self.flush()
        await self.last
""",
    ),
    wrong(
        "08.3",
        "an idle close sends an empty list",
        "a batcher of two, a quarter of a second; saw",
        """
class Batcher:
    def __init__(self, send, size, delay):
        self.send, self.size, self.delay = send, size, delay
        self.queue = asyncio.Queue()
        self.running = asyncio.create_task(self.run())

    async def ask(self, item):
        answer = asyncio.get_running_loop().create_future()
        await self.queue.put((item, answer))
        return await answer

    async def collect(self):
        batch = [await self.queue.get()]
        with suppress(TimeoutError):
            async with asyncio.timeout(self.delay):
                while len(batch) < self.size and batch[-1] is not None:
                    batch.append(await self.queue.get())
        return batch

    async def send_batch(self, batch):
        try:
            results = await self.send([item for item, _ in batch])
        except Exception as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, answer), result in zip(batch, results):
            if not answer.done():
                answer.set_result(result)

    async def run(self):
        async with asyncio.TaskGroup() as group:
            closed = False
            while not closed:
                batch = await self.collect()
                if closed := batch[-1] is None:
                    batch.pop()
                group.create_task(self.send_batch(batch))

    async def close(self):
        await self.queue.put(None)
        await self.running
""",
    ),
    wrong(
        "08.3",
        "a failure also for callers still being collected",
        "and only those; saw",
        """
class Batcher:
    def __init__(self, send, size, delay):
        self.send, self.size, self.delay = send, size, delay
        self.waiting, self.timer, self.sending = [], None, set()

    async def ask(self, item):
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        self.waiting.append((item, answer))
        if len(self.waiting) == self.size:
            self.flush()
        elif len(self.waiting) == 1:
            self.timer = loop.call_later(self.delay, self.flush)
        return await answer

    def flush(self):
        if self.timer is not None:
            self.timer.cancel()
        batch, self.waiting = self.waiting, []
        if batch:
            task = asyncio.create_task(self.send_batch(batch))
            self.sending.add(task)
            task.add_done_callback(self.sending.discard)

    async def send_batch(self, batch):
        try:
            results = await self.send([item for item, _ in batch])
        except Exception as error:
            for _, answer in batch + self.waiting:
                if not answer.done():
                    answer.set_exception(error)
            self.waiting = []
            return
        for (_, answer), result in zip(batch, results):
            if not answer.done():
                answer.set_result(result)

    async def close(self):
        self.flush()
        await asyncio.gather(*self.sending)
""",
    ),
    wrong(
        "08.3",
        "a failure without done()",
        "a failure reaches all of its batch; saw",
        """
class Batcher:
    def __init__(self, send, size, delay):
        self.send, self.size, self.delay = send, size, delay
        self.waiting, self.timer, self.sending = [], None, set()

    async def ask(self, item):
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        self.waiting.append((item, answer))
        if len(self.waiting) == self.size:
            self.flush()
        elif len(self.waiting) == 1:
            self.timer = loop.call_later(self.delay, self.flush)
        return await answer

    def flush(self):
        if self.timer is not None:
            self.timer.cancel()
        batch, self.waiting = self.waiting, []
        if batch:
            task = asyncio.create_task(self.send_batch(batch))
            self.sending.add(task)
            task.add_done_callback(self.sending.discard)

    async def send_batch(self, batch):
        try:
            results = await self.send([item for item, _ in batch])
        except Exception as error:
            for _, answer in batch:
                answer.set_exception(error)
            return
        for (_, answer), result in zip(batch, results):
            if not answer.done():
                answer.set_result(result)

    async def close(self):
        self.flush()
        await asyncio.gather(*self.sending)
""",
    ),
    right(
        "08.3",
        "a list and a timer",
        """
class Batcher:
    def __init__(self, send, size, delay):
        self.send, self.size, self.delay = send, size, delay
        self.waiting, self.timer, self.sending = [], None, set()

    async def ask(self, item):
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        self.waiting.append((item, answer))
        if len(self.waiting) == self.size:
            self.flush()
        elif len(self.waiting) == 1:
            self.timer = loop.call_later(self.delay, self.flush)
        return await answer

    def flush(self):
        if self.timer is not None:
            self.timer.cancel()
        batch, self.waiting = self.waiting, []
        if batch:
            task = asyncio.create_task(self.send_batch(batch))
            self.sending.add(task)
            task.add_done_callback(self.sending.discard)

    async def send_batch(self, batch):
        try:
            results = await self.send([item for item, _ in batch])
        except Exception as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, answer), result in zip(batch, results):
            if not answer.done():
                answer.set_result(result)

    async def close(self):
        self.flush()
        await asyncio.gather(*self.sending)
""",
    ),
    right(
        "08.3",
        "callers share the task of their batch",
        """
class Batcher:
    def __init__(self, send, size, delay):
        self.send, self.size, self.delay = send, size, delay
        self.items, self.full, self.batch, self.batches = [], None, None, set()

    async def ask(self, item):
        if self.batch is None:
            self.items, self.full = [], asyncio.get_running_loop().create_future()
            self.batch = asyncio.create_task(self.run(self.items, self.full))
            self.batches.add(self.batch)
        number, batch = len(self.items), self.batch
        self.items.append(item)
        if len(self.items) == self.size:
            self.go()
        return (await asyncio.shield(batch))[number]

    def go(self):
        if self.batch is not None and not self.full.done():
            self.full.set_result(None)
        self.batch = None

    async def run(self, items, full):
        await asyncio.wait({full}, timeout=self.delay)
        if self.items is items:
            self.batch = None
        return await self.send(items)

    async def close(self):
        self.go()
        await asyncio.gather(*self.batches, return_exceptions=True)
""",
    ),
    wrong(
        "08.4",
        "as given",
        "a cancelled handler ends deliver; saw Deadlock(",
        """
async def deliver(events, handler):
    queue = asyncio.Queue()
    failed = []

    async def consume():
        while True:
            event = await queue.get()
            try:
                await handler(event)
            except Exception:
                failed.append(event)
            finally:
                queue.task_done()

    consumer = asyncio.create_task(consume())
    async for event in events:
        await queue.put(event)
    await queue.join()
    consumer.cancel()
    return failed
""",
    ),
    wrong(
        "08.4",
        "a task group around the join",
        "a cancelled handler ends deliver; saw Deadlock(",
        """
async def deliver(events, handler):
    queue = asyncio.Queue()
    failed = []

    async def consume():
        while True:
            event = await queue.get()
            try:
                await handler(event)
            except Exception:
                failed.append(event)
            finally:
                queue.task_done()

    async with asyncio.TaskGroup() as group:
        consumer = group.create_task(consume())
        async for event in events:
            await queue.put(event)
        await queue.join()
        consumer.cancel()
    return failed
""",
    ),
    wrong(
        "08.4",
        "catches everything",
        "a cancelled handler ends deliver; saw ['cancelled']",
        """
async def deliver(events, handler):
    queue = asyncio.Queue()
    failed = []

    async def consume():
        while (event := await queue.get()) is not None:
            try:
                await handler(event)
            except BaseException:
                failed.append(event)

    consumer = asyncio.create_task(consume())
    async for event in events:
        await queue.put(event)
    await queue.put(None)
    await consumer
    return failed
""",
    ),
    wrong(
        "08.4",
        "no clean-up",
        "and the consumer with it; saw",
        """
async def deliver(events, handler):
    queue = asyncio.Queue()
    failed = []

    async def consume():
        while (event := await queue.get()) is not None:
            try:
                await handler(event)
            except Exception:
                failed.append(event)

    consumer = asyncio.create_task(consume())
    async for event in events:
        await queue.put(event)
    await queue.put(None)
    await consumer
    return failed
""",
    ),
    wrong(
        "08.4",
        "no consumer",
        "in 5.5 s; saw 7.5 s",
        """
async def deliver(events, handler):
    failed = []
    async for event in events:
        try:
            await handler(event)
        except Exception:
            failed.append(event)
    return failed
""",
    ),
    wrong(
        "08.4",
        "the first failure ends it",
        "it ends; saw ValueError('damaged')",
        """
async def deliver(events, handler):
    queue = asyncio.Queue()

    async def consume():
        while (event := await queue.get()) is not None:
            await handler(event)

    consumer = asyncio.create_task(consume())
    async for event in events:
        await queue.put(event)
    await queue.put(None)
    await consumer
    return []
""",
    ),
    wrong(
        "08.4",
        "cancels without awaiting",
        "and the consumer with it; saw ['deliver.<locals>.consume']",
        """
async def deliver(events, handler):
    queue = asyncio.Queue()
    failed = []

    async def consume():
        while (event := await queue.get()) is not None:
            try:
                await handler(event)
            except Exception:
                failed.append(event)

    consumer = asyncio.create_task(consume())
    try:
        async for event in events:
            await queue.put(event)
        await queue.put(None)
        await consumer
    finally:
        consumer.cancel()
    return failed
""",
    ),
    right(
        "08.4",
        "a task group around the consumer",
        """
async def deliver(events, handler):
    queue = asyncio.Queue()
    failed = []

    async def consume():
        while (event := await queue.get()) is not None:
            try:
                await handler(event)
            except Exception:
                failed.append(event)

    async with asyncio.TaskGroup() as group:
        consumer = group.create_task(consume())
        async for event in events:
            await queue.put(event)
        await queue.put(None)
        await consumer
    return failed
""",
    ),
    right(
        "08.4",
        "waits for the join or the consumer, whichever is first",
        """
async def deliver(events, handler):
    queue = asyncio.Queue()
    failed = []

    async def consume():
        while True:
            event = await queue.get()
            try:
                await handler(event)
            except Exception:
                failed.append(event)
            queue.task_done()

    consumer = asyncio.create_task(consume())
    joined = None
    try:
        async for event in events:
            await queue.put(event)
        joined = asyncio.create_task(queue.join())
        await asyncio.wait({joined, consumer}, return_when=asyncio.FIRST_COMPLETED)
        if consumer.done():
            await consumer
    finally:
        tasks = [task for task in (joined, consumer) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return failed
""",
    ),
]
