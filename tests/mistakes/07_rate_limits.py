"""What the checks of lesson 07 must find, and what they must let pass."""

from tests.answers import right, wrong

ANSWERS = [
    wrong(
        "07.1",
        "the burst forgotten",
        "requests are scarce: the last of 40 goes after 3.5 s; saw 4.0 s",
        """
def batch_seconds(number, tokens_each, requests_per_minute, tokens_per_minute, burst):
    return max(number / requests_per_minute * 60, number * tokens_each / tokens_per_minute * 60)
""",
    ),
    wrong(
        "07.1",
        "requests only",
        "tokens are scarce: the last of 30 goes after 5.5 s; saw 0.0 s",
        """
def batch_seconds(number, tokens_each, requests_per_minute, tokens_per_minute, burst):
    rate = requests_per_minute / 60
    return max(0, (number - max(1, rate * burst)) / rate)
""",
    ),
    wrong(
        "07.1",
        "both waits added",
        "requests are scarce, another burst: the last of 25 goes after 3.0 s; saw",
        """
def batch_seconds(number, tokens_each, requests_per_minute, tokens_per_minute, burst):
    rate, speed = requests_per_minute / 60, tokens_per_minute / 60
    return (number - max(1, rate * burst)) / rate + (number * tokens_each - max(1, speed * burst)) / speed
""",
    ),
    wrong(
        "07.1",
        "less than nothing",
        "the last of 3 goes after 0.0 s; saw -0.2 s",
        """
def batch_seconds(number, tokens_each, requests_per_minute, tokens_per_minute, burst):
    waits = []
    for amount, rate in ((1, requests_per_minute / 60), (tokens_each, tokens_per_minute / 60)):
        waits.append((number * amount - max(1, rate * burst)) / rate)
    return max(waits)
""",
    ),
    wrong(
        "07.1",
        "minutes",
        "requests are scarce: the last of 40 goes after 3.5 s; saw 0.1 s",
        """
def batch_seconds(number, tokens_each, requests_per_minute, tokens_per_minute, burst):
    waits = [0]
    for amount, rate in ((1, requests_per_minute), (tokens_each, tokens_per_minute)):
        waits.append((number * amount - max(1, rate / 60 * burst)) / rate)
    return max(waits)
""",
    ),
    wrong(
        "07.1",
        "no burst below one request",
        "a burst of less than one request: the last of 7 goes after 12.0 s; saw 13.5 s",
        """
def batch_seconds(number, tokens_each, requests_per_minute, tokens_per_minute, burst):
    waits = [0]
    for amount, per_minute in ((1, requests_per_minute), (tokens_each, tokens_per_minute)):
        rate = per_minute / 60
        waits.append((number * amount - rate * burst) / rate)
    return max(waits)
""",
    ),
    wrong(
        "07.1",
        "a coroutine",
        "requests are scarce: the last of 40 goes after 3.5 s; saw <coroutine",
        """
async def batch_seconds(number, tokens_each, requests_per_minute, tokens_per_minute, burst):
    return 0.0
""",
    ),
    right(
        "07.1",
        "one bucket after the other",
        """
def seconds_for(total, per_minute, burst):
    full = per_minute * burst / 60
    if full < 1:
        full = 1
    return 0 if total <= full else (total - full) * 60 / per_minute

def batch_seconds(number, tokens_each, requests_per_minute, tokens_per_minute, burst):
    by_requests = seconds_for(number, requests_per_minute, burst)
    by_tokens = seconds_for(number * tokens_each, tokens_per_minute, burst)
    return by_requests if by_requests > by_tokens else by_tokens
""",
    ),
    right(
        "07.1",
        "played through, request by request",
        """
def batch_seconds(number, tokens_each, requests_per_minute, tokens_per_minute, burst):
    now = 0.0
    buckets = [[1, requests_per_minute / 60], [tokens_each, tokens_per_minute / 60]]
    levels = [max(1.0, rate * burst) for _, rate in buckets]
    sizes = list(levels)
    for _ in range(number):
        wait = max(0.0, *((amount - level) / rate for (amount, rate), level in zip(buckets, levels)))
        now += wait
        for index, (amount, rate) in enumerate(buckets):
            levels[index] = min(sizes[index], levels[index] + wait * rate) - amount
    return now
""",
    ),
    wrong(
        "07.2",
        "the limiter around the retries",
        "each went through the limiter, with its estimate; saw 15",
        """
async def answer_all(questions, limiter):
    again = tenacity.retry(
        retry=tenacity.retry_if_exception_type((RateLimitError, InternalServerError)),
        wait=PAUSE, stop=tenacity.stop_after_attempt(5), reraise=True,
    )(one_try.ainvoke)

    async def answer(question):
        await limiter.acquire(ESTIMATE)
        message = await again(question)
        limiter.correct(ESTIMATE, message.usage_metadata["total_tokens"])
        return message.text

    return await asyncio.gather(*(answer(question) for question in questions))
""",
    ),
    wrong(
        "07.2",
        "nothing tried again",
        "fifteen answers, in order; saw OpenAI",
        """
async def answer_all(questions, limiter):
    async def answer(question):
        await limiter.acquire(ESTIMATE)
        message = await one_try.ainvoke(question)
        limiter.correct(ESTIMATE, message.usage_metadata["total_tokens"])
        return message.text

    return await asyncio.gather(*(answer(question) for question in questions))
""",
    ),
    wrong(
        "07.2",
        "only refusals tried again",
        "21 requests: six failed on purpose; saw",
        """
async def answer_all(questions, limiter):
    @tenacity.retry(
        retry=tenacity.retry_if_exception_type(RateLimitError),
        wait=PAUSE, stop=tenacity.stop_after_attempt(5), reraise=True,
    )
    async def answer(question):
        await limiter.acquire(ESTIMATE)
        message = await one_try.ainvoke(question)
        limiter.correct(ESTIMATE, message.usage_metadata["total_tokens"])
        return message.text

    results = await asyncio.gather(*(answer(question) for question in questions), return_exceptions=True)
    return [result for result in results if isinstance(result, str)]
""",
    ),
    wrong(
        "07.2",
        "one after the other",
        "several in flight; saw 1",
        """
async def answer_all(questions, limiter):
    @tenacity.retry(
        retry=tenacity.retry_if_exception_type((RateLimitError, InternalServerError)),
        wait=PAUSE, stop=tenacity.stop_after_attempt(5), reraise=True,
    )
    async def answer(question):
        await limiter.acquire(ESTIMATE)
        message = await one_try.ainvoke(question)
        limiter.correct(ESTIMATE, message.usage_metadata["total_tokens"])
        return message.text

    return [await answer(question) for question in questions]
""",
    ),
    wrong(
        "07.2",
        "never corrected",
        "the limiter knows what the answers used; saw 3150 tokens counted,",
        """
async def answer_all(questions, limiter):
    @tenacity.retry(
        retry=tenacity.retry_if_exception_type((RateLimitError, InternalServerError)),
        wait=PAUSE, stop=tenacity.stop_after_attempt(5), reraise=True,
    )
    async def answer(question):
        await limiter.acquire(ESTIMATE)
        return (await one_try.ainvoke(question)).text

    return await asyncio.gather(*(answer(question) for question in questions))
""",
    ),
    wrong(
        "07.2",
        "everything tried again",
        "always a 400: 1 x, then BadRequestError; saw 5 requests",
        """
async def answer_all(questions, limiter):
    @tenacity.retry(wait=PAUSE, stop=tenacity.stop_after_attempt(5), reraise=True)
    async def answer(question):
        await limiter.acquire(ESTIMATE)
        message = await one_try.ainvoke(question)
        limiter.correct(ESTIMATE, message.usage_metadata["total_tokens"])
        return message.text

    return await asyncio.gather(*(answer(question) for question in questions))
""",
    ),
    wrong(
        "07.2",
        "RetryError instead of the failure",
        "always a 500: 5 x, then InternalServerError; saw 5 requests, then RetryError",
        """
async def answer_all(questions, limiter):
    @tenacity.retry(
        retry=tenacity.retry_if_exception_type((RateLimitError, InternalServerError)),
        wait=PAUSE, stop=tenacity.stop_after_attempt(5),
    )
    async def answer(question):
        await limiter.acquire(ESTIMATE)
        message = await one_try.ainvoke(question)
        limiter.correct(ESTIMATE, message.usage_metadata["total_tokens"])
        return message.text

    return await asyncio.gather(*(answer(question) for question in questions))
""",
    ),
    right(
        "07.2",
        "a loop instead of tenacity, estimates of failures given back",
        """
async def answer_all(questions, limiter):
    async def answer(question):
        for attempt in range(1, 6):
            await limiter.acquire(ESTIMATE)
            used = 0
            try:
                message = await one_try.ainvoke(question)
                used = message.usage_metadata["total_tokens"]
                return message.text
            except (RateLimitError, InternalServerError):
                if attempt == 5:
                    raise
            finally:
                limiter.correct(ESTIMATE, used)
            await asyncio.sleep(0.1 + random.uniform(0, 0.1))

    return await asyncio.gather(*(answer(question) for question in questions))
""",
    ),
    right(
        "07.2",
        "a task group",
        """
async def answer_all(questions, limiter):
    async def attempt(question):
        await limiter.acquire(ESTIMATE)
        message = await one_try.ainvoke(question)
        limiter.correct(ESTIMATE, message.usage_metadata["total_tokens"])
        return message.text

    again = tenacity.retry(
        retry=tenacity.retry_if_exception_type((RateLimitError, InternalServerError)),
        wait=PAUSE, stop=tenacity.stop_after_attempt(5), reraise=True,
    )(attempt)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(again(question)) for question in questions]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]
""",
    ),
    wrong(
        "07.3",
        "written at the end",
        "while five hang, 15 answers are on file; saw 0 lines",
        """
async def run_batch(questions, path):
    text = path.read_text() if path.exists() else ""
    answers = {}
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        answers[record["question"]] = record["answer"]
    missing = [question for question in questions if question not in answers]
    results = await bounded_map(ask_once, missing, limit=10)
    answers |= {question: result for question, result in zip(missing, results) if isinstance(result, str)}
    lines = [json.dumps({"question": question, "answer": answer}) + "\\n" for question, answer in answers.items()]
    path.write_text("".join(lines))
    return answers, {question: result for question, result in zip(missing, results) if not isinstance(result, str)}
""",
    ),
    wrong(
        "07.3",
        "appended to the line that was cut off",
        "the file has all answers; saw 19 whole lines",
        """
async def run_batch(questions, path):
    answers = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        answers[record["question"]] = record["answer"]
    missing = [question for question in questions if question not in answers]
    with path.open("a") as file:
        async def answer(question):
            answers[question] = await ask_once(question)
            print(json.dumps({"question": question, "answer": answers[question]}), file=file, flush=True)

        results = await bounded_map(answer, missing, limit=10)
    return answers, {question: result for question, result in zip(missing, results) if isinstance(result, Exception)}
""",
    ),
    wrong(
        "07.3",
        "a cut-off line ends it",
        "after a cut-off line: asks six, has all 20; saw 0 answers, 0 failures, 0 requests; JSONDecodeError",
        """
async def run_batch(questions, path):
    answers = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        record = json.loads(line)
        answers[record["question"]] = record["answer"]
    missing = [question for question in questions if question not in answers]
    with path.open("a") as file:
        async def answer(question):
            answers[question] = await ask_once(question)
            print(json.dumps({"question": question, "answer": answers[question]}), file=file, flush=True)

        results = await bounded_map(answer, missing, limit=10)
    return answers, {question: result for question, result in zip(missing, results) if isinstance(result, Exception)}
""",
    ),
    wrong(
        "07.3",
        "everything asked again",
        "after a cut-off line: asks six, has all 20; saw 20 answers, 0 failures, 20 requests",
        """
async def run_batch(questions, path):
    answers = {}
    with path.open("w") as file:
        async def answer(question):
            answers[question] = await ask_once(question)
            print(json.dumps({"question": question, "answer": answers[question]}), file=file, flush=True)

        results = await bounded_map(answer, questions, limit=10)
    return answers, {question: result for question, result in zip(questions, results) if isinstance(result, Exception)}
""",
    ),
    wrong(
        "07.3",
        "failures dropped",
        "first run: 15 answers, 5 failures; saw 15 answers, 0 failures, 20 requests",
        """
async def run_batch(questions, path):
    text = path.read_text() if path.exists() else ""
    answers = {}
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        answers[record["question"]] = record["answer"]
    with path.open("a") as file:
        file.write("\\n" if text and text[-1] != "\\n" else "")
        async def answer(question):
            answers[question] = await ask_once(question)
            print(json.dumps({"question": question, "answer": answers[question]}), file=file, flush=True)

        await bounded_map(answer, [question for question in questions if question not in answers], limit=10)
    return answers, {}
""",
    ),
    wrong(
        "07.3",
        "all at once",
        "up to ten at once; saw",
        """
async def run_batch(questions, path):
    text = path.read_text() if path.exists() else ""
    answers = {}
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        answers[record["question"]] = record["answer"]
    missing = [question for question in questions if question not in answers]
    with path.open("a") as file:
        file.write("\\n" if text and text[-1] != "\\n" else "")
        async def answer(question):
            answers[question] = await ask_once(question)
            print(json.dumps({"question": question, "answer": answers[question]}), file=file, flush=True)

        results = await asyncio.gather(*(answer(question) for question in missing), return_exceptions=True)
    return answers, {question: result for question, result in zip(missing, results) if isinstance(result, Exception)}
""",
    ),
    wrong(
        "07.3",
        "one by one, in memory only",
        "the file has all answers; saw 0 whole lines",
        """
MEMORY = {}

async def run_batch(questions, path):
    failures = {}
    for question in questions:
        try:
            MEMORY[question] = MEMORY.get(question) or await ask_once(question)
        except Exception as error:
            failures[question] = error
    return MEMORY, failures
""",
    ),
    wrong(
        "07.3",
        "the first failure ends it",
        "first run: 15 answers, 5 failures; saw 0 answers, 0 failures",
        """
async def run_batch(questions, path):
    answers = {}
    slots = asyncio.Semaphore(10)
    with path.open("a") as file:
        async def answer(question):
            async with slots:
                answers[question] = await ask_once(question)
                print(json.dumps({"question": question, "answer": answers[question]}), file=file, flush=True)

        async with asyncio.TaskGroup() as group:
            for question in questions:
                group.create_task(answer(question))
    return answers, {}
""",
    ),
    right(
        "07.3",
        "whole lines kept in a new file, a file opened for each line",
        """
async def run_batch(questions, path):
    whole = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").split("\\n"):
            try:
                whole.append(json.loads(line))
            except ValueError:
                pass
        clean = path.with_suffix(".clean")
        clean.write_text("".join(json.dumps(record) + "\\n" for record in whole), encoding="utf-8")
        clean.replace(path)
    answers = {record["question"]: record["answer"] for record in whole}
    failures = {}
    slots = asyncio.Semaphore(10)

    async def answer(question):
        async with slots:
            try:
                answers[question] = await ask_once(question)
            except Exception as error:
                failures[question] = error
                return
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"answer": answers[question], "question": question}, ensure_ascii=False) + "\\n")

    async with asyncio.TaskGroup() as group:
        for question in questions:
            if question not in answers:
                group.create_task(answer(question))
    return answers, failures
""",
    ),
    right(
        "07.3",
        "written down as they come out of as_completed",
        """
async def run_batch(questions, path):
    text = path.read_text() if path.exists() else ""
    answers, failures = {}, {}
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        answers[record["question"]] = record["answer"]
    missing = [question for question in questions if question not in answers]
    slots = asyncio.Semaphore(10)

    async def outcome(question):
        async with slots:
            try:
                return question, await ask_once(question), None
            except Exception as error:
                return question, None, error

    with path.open("a", buffering=1) as file:
        if text and not text.endswith("\\n"):
            file.write("\\n")
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(outcome(question)) for question in missing]
            for next_one in asyncio.as_completed(tasks):
                question, answer, error = await next_one
                if error:
                    failures[question] = error
                else:
                    answers[question] = answer
                    file.write(json.dumps({"question": question, "answer": answer}) + "\\n")
    return answers, failures
""",
    ),
    wrong(
        "07.4",
        "as it was",
        "at most 18 come back within 0.1 s; saw",
        """
async def ask_patiently(service, question):
    for attempt in range(9):
        try:
            return await service.answer(question)
        except Busy:
            await asyncio.sleep(2**attempt)
    return await service.answer(question)
""",
    ),
    wrong(
        "07.4",
        "exactly when told",
        "at most 18 come back within 0.1 s; saw 30 within 0.1 s",
        """
async def ask_patiently(service, question):
    for _ in range(9):
        try:
            return await service.answer(question)
        except Busy as busy:
            await asyncio.sleep(busy.retry_after)
    return await service.answer(question)
""",
    ),
    wrong(
        "07.4",
        "jitter, but not what was told",
        "nobody comes before 3 s, as told; saw",
        """
async def ask_patiently(service, question):
    for attempt in range(9):
        try:
            return await service.answer(question)
        except Busy:
            await asyncio.sleep(random.uniform(0, 2**attempt))
    return await service.answer(question)
""",
    ),
    wrong(
        "07.4",
        "a random part that is too small",
        "at most 18 come back within 0.1 s; saw",
        """
async def ask_patiently(service, question):
    for _ in range(9):
        try:
            return await service.answer(question)
        except Busy as busy:
            await asyncio.sleep(busy.retry_after + random.uniform(0, 0.05))
    return await service.answer(question)
""",
    ),
    wrong(
        "07.4",
        "one random number for all",
        "at most 18 come back within 0.1 s; saw",
        """
SPREAD = random.uniform(0, 1)

async def ask_patiently(service, question):
    for _ in range(9):
        try:
            return await service.answer(question)
        except Busy as busy:
            await asyncio.sleep(busy.retry_after + SPREAD)
    return await service.answer(question)
""",
    ),
    wrong(
        "07.4",
        "time.sleep",
        "nothing blocks the others; saw",
        """
import time

async def ask_patiently(service, question):
    for _ in range(9):
        try:
            return await service.answer(question)
        except Busy as busy:
            time.sleep(busy.retry_after + random.uniform(0, 1))
    return await service.answer(question)
""",
    ),
    wrong(
        "07.4",
        "for ever",
        "never open: ten attempts, then Busy; saw",
        """
async def ask_patiently(service, question):
    while True:
        try:
            return await service.answer(question)
        except Busy as busy:
            await asyncio.sleep(busy.retry_after + random.uniform(0, 1))
""",
    ),
    wrong(
        "07.4",
        "the last Busy swallowed",
        "never open: ten attempts, then Busy; saw 10 attempts, then None",
        """
async def ask_patiently(service, question):
    for _ in range(10):
        try:
            return await service.answer(question)
        except Busy as busy:
            await asyncio.sleep(busy.retry_after + random.uniform(0, 1))
""",
    ),
    right(
        "07.4",
        "tenacity",
        """
@tenacity.retry(
    retry=tenacity.retry_if_exception_type(Busy),
    wait=tenacity.wait_exception(lambda busy: busy.retry_after) + tenacity.wait_random(0, 1),
    stop=tenacity.stop_after_attempt(10),
    reraise=True,
)
async def ask_patiently(service, question):
    return await service.answer(question)
""",
    ),
    right(
        "07.4",
        "a window that doubles",
        """
async def ask_patiently(service, question, attempt=1):
    try:
        return await service.answer(question)
    except Busy as busy:
        if attempt == 10:
            raise
        await asyncio.sleep(busy.retry_after + random.random() * min(8, 2**attempt))
    return await ask_patiently(service, question, attempt + 1)
""",
    ),
    wrong(
        "07.2",
        "no pause",
        "a pause before each new attempt; saw done after",
        """
async def answer_all(questions, limiter):
    async def answer(question):
        for attempt in range(1, 6):
            await limiter.acquire(ESTIMATE)
            try:
                message = await one_try.ainvoke(question)
            except (RateLimitError, InternalServerError):
                if attempt == 5:
                    raise
                continue
            limiter.correct(ESTIMATE, message.usage_metadata["total_tokens"])
            return message.text

    return await asyncio.gather(*(answer(question) for question in questions))
""",
    ),
    wrong(
        "07.2",
        "acquire without the estimate",
        "each went through the limiter, with its estimate; saw 0",
        """
async def answer_all(questions, limiter):
    @tenacity.retry(
        retry=tenacity.retry_if_exception_type((RateLimitError, InternalServerError)),
        wait=PAUSE,
        stop=tenacity.stop_after_attempt(5),
        reraise=True,
    )
    async def answer(question):
        await limiter.acquire()
        message = await one_try.ainvoke(question)
        limiter.correct(0, message.usage_metadata["total_tokens"])
        return message.text

    return await asyncio.gather(*(answer(question) for question in questions))
""",
    ),
    wrong(
        "07.3",
        "never flushed",
        "while five hang, 15 answers are on file; saw",
        """
async def run_batch(questions, path):
    text = path.read_text() if path.exists() else ""
    answers = {}
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        answers[record["question"]] = record["answer"]
    missing = [question for question in questions if question not in answers]
    with path.open("a") as file:
        if text and not text.endswith("\\n"):
            file.write("\\n")

        async def answer(question):
            answers[question] = await ask_once(question)
            file.write(json.dumps({"question": question, "answer": answers[question]}) + "\\n")

        results = await bounded_map(answer, missing, limit=10)
    return answers, {question: result for question, result in zip(missing, results) if isinstance(result, Exception)}
""",
    ),
    wrong(
        "07.4",
        "spread over a minute",
        "they come back over about a second; saw",
        """
async def ask_patiently(service, question):
    for _ in range(9):
        try:
            return await service.answer(question)
        except Busy as busy:
            await asyncio.sleep(busy.retry_after + random.uniform(0, 60))
    return await service.answer(question)
""",
    ),
]
