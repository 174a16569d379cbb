"""What the checks of lesson 05 must find, and what they must let pass."""

from tests.answers import right, wrong

ANSWERS = [
    wrong(
        "05.1",
        "gather under a timeout: all or nothing",
        "by 4 s there are answers on tax, loan; the others are listed; saw ({}, ['rent', 'tax', 'visa', 'loan'])",
        """
async def answers_by(ask_one, questions, seconds):
    try:
        async with asyncio.timeout(seconds):
            texts = await asyncio.gather(*(ask_one(question) for question in questions))
    except TimeoutError:
        return {}, list(questions)
    return dict(zip(questions, texts)), []
""",
    ),
    wrong(
        "05.1",
        "one after the other",
        "by 4 s there are answers on tax, loan; the others are listed; saw ({}, ['rent', 'tax', 'visa', 'loan'])",
        """
async def answers_by(ask_one, questions, seconds):
    answers = {}
    try:
        async with asyncio.timeout(seconds):
            for question in questions:
                answers[question] = await ask_one(question)
    except TimeoutError:
        pass
    return answers, [question for question in questions if question not in answers]
""",
    ),
    wrong(
        "05.1",
        "nothing is cancelled",
        "nothing left running; saw [",
        """
async def answers_by(ask_one, questions, seconds):
    tasks = {question: asyncio.create_task(ask_one(question)) for question in questions}
    await asyncio.wait(tasks.values(), timeout=seconds)
    answers = {question: task.result() for question, task in tasks.items() if task.done()}
    return answers, [question for question in questions if question not in answers]
""",
    ),
    wrong(
        "05.1",
        "cancelled, but not waited for",
        "nothing written for nobody; saw 2 stopped, 0 wasted, still running: [",
        """
async def answers_by(ask_one, questions, seconds):
    tasks = {question: asyncio.create_task(ask_one(question)) for question in questions}
    await asyncio.wait(tasks.values(), timeout=seconds)
    answers = {question: task.result() for question, task in tasks.items() if task.done()}
    for task in tasks.values():
        task.cancel()
    return answers, [question for question in questions if question not in answers]
""",
    ),
    wrong(
        "05.1",
        "always waits until the deadline",
        "back after 30 s; saw 45 s",
        """
async def answers_by(ask_one, questions, seconds):
    tasks = {question: asyncio.create_task(ask_one(question)) for question in questions}
    await asyncio.sleep(seconds)
    answers = {question: task.result() for question, task in tasks.items() if task.done()}
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    return answers, [question for question in questions if question not in answers]
""",
    ),
    wrong(
        "05.1",
        "the deadline of each question begins anew",
        "back after 4 s; saw 11.5 s",
        """
async def answers_by(ask_one, questions, seconds):
    answers = {}
    for question in questions:
        try:
            answers[question] = await asyncio.wait_for(ask_one(question), seconds)
        except TimeoutError:
            pass
    return answers, [question for question in questions if question not in answers]
""",
    ),
    right(
        "05.1",
        "asyncio.wait, then in a finally cancel and wait again",
        """
async def answers_by(ask_one, questions, seconds):
    tasks = {question: asyncio.create_task(ask_one(question)) for question in questions}
    try:
        done, _ = await asyncio.wait(tasks.values(), timeout=seconds)
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
    answers = {question: task.result() for question, task in tasks.items() if task in done}
    return answers, [question for question in questions if question not in answers]
""",
    ),
    wrong(
        "05.1",
        "asyncio.wait, then cancel and wait again",
        "cancelled from outside after 3 s, it leaves nothing running; saw",
        """
async def answers_by(ask_one, questions, seconds):
    tasks = {question: asyncio.create_task(ask_one(question)) for question in questions}
    done, pending = await asyncio.wait(tasks.values(), timeout=seconds)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    answers = {question: task.result() for question, task in tasks.items() if task in done}
    return answers, [question for question in questions if question not in answers]
""",
    ),
    right(
        "05.1",
        "a wait_for for each, all at once",
        """
async def answers_by(ask_one, questions, seconds):
    calls = (asyncio.wait_for(ask_one(question), seconds) for question in questions)
    results = await asyncio.gather(*calls, return_exceptions=True)
    pairs = list(zip(questions, results))
    answers = {question: text for question, text in pairs if isinstance(text, str)}
    return answers, [question for question, text in pairs if not isinstance(text, str)]
""",
    ),
    wrong(
        "05.2",
        "a limit for all of it",
        "a steady stream of 10 s: [0, 1, 2, 3, 4, 'end'] after 10 s; saw [0, 'closed', 'TimeoutError'",
        """
async def with_idle_timeout(stream, seconds):
    async with aclosing(stream), asyncio.timeout(seconds):
        async for piece in stream:
            yield piece
""",
    ),
    wrong(
        "05.2",
        "the timeout stretches over the yield",
        "a slow reader: [0, 1, 2, 'end']; saw CancelledError()",
        """
async def with_idle_timeout(stream, seconds):
    loop = asyncio.get_running_loop()
    async with aclosing(stream), asyncio.timeout(seconds) as limit:
        async for piece in stream:
            yield piece
            limit.reschedule(loop.time() + seconds)
""",
    ),
    wrong(
        "05.2",
        "a silence looks like the end",
        "a silence: [0, 1, 'TimeoutError', 'end'] after 6 s; saw [0, 1, 'closed', 'end'] after 6 s",
        """
async def with_idle_timeout(stream, seconds):
    async with aclosing(stream):
        while True:
            try:
                piece = await asyncio.wait_for(anext(stream), seconds)
            except (TimeoutError, StopAsyncIteration):
                return
            yield piece
""",
    ),
    wrong(
        "05.2",
        "the stream is not closed when the reader stops",
        "a reader who stops: the stream is closed, and nothing left running; saw [0, 1, 'end', 'closed']",
        """
async def with_idle_timeout(stream, seconds):
    while True:
        try:
            piece = await asyncio.wait_for(anext(stream), seconds)
        except StopAsyncIteration:
            return
        yield piece
""",
    ),
    wrong(
        "05.2",
        "asyncio.wait, and the task is left behind",
        "nothing left running; saw [0, 1, 'TimeoutError', 'end', 'closed'], running: ['following']",
        """
async def with_idle_timeout(stream, seconds):
    async def following():
        return await anext(stream, None)

    while True:
        task = asyncio.create_task(following())
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            raise TimeoutError
        if task.result() is None:
            return
        yield task.result()
""",
    ),
    wrong(
        "05.2",
        "a piece that counts as false ends it",
        "a steady stream of 10 s: [0, 1, 2, 3, 4, 'end'] after 10 s; saw ['closed', 'end']",
        """
async def with_idle_timeout(stream, seconds):
    async with aclosing(stream):
        while piece := await asyncio.wait_for(anext(stream, None), seconds):
            yield piece
""",
    ),
    wrong(
        "05.2",
        "collects before it yields",
        "a silence: [0, 1, 'TimeoutError', 'end'] after 6 s; saw ['closed', 'TimeoutError', 'end']",
        """
async def with_idle_timeout(stream, seconds):
    pieces = []
    async with aclosing(stream):
        while True:
            try:
                pieces.append(await asyncio.wait_for(anext(stream), seconds))
            except StopAsyncIteration:
                break
    for piece in pieces:
        yield piece
""",
    ),
    right(
        "05.2",
        "wait_for and finally",
        """
async def with_idle_timeout(stream, seconds):
    try:
        while True:
            try:
                piece = await asyncio.wait_for(stream.__anext__(), timeout=seconds)
            except StopAsyncIteration:
                break
            yield piece
    finally:
        await stream.aclose()
""",
    ),
    right(
        "05.2",
        "one timeout, suspended while the reader works",
        """
async def with_idle_timeout(stream, seconds):
    loop = asyncio.get_running_loop()
    end = object()
    async with aclosing(stream):
        piece = None
        while piece is not end:
            async with asyncio.timeout(None) as limit:
                limit.reschedule(loop.time() + seconds)
                piece = await anext(stream, end)
            if piece is not end:
                yield piece
""",
    ),
    wrong(
        "05.3",
        "as it was",
        "the agent can be stopped; saw went on: ",
        """
async def run_tools(tools, seconds):
    loop = asyncio.get_running_loop()
    texts = []
    for tool in tools:
        task = asyncio.create_task(tool())
        timer = loop.call_later(seconds, task.cancel)
        try:
            texts.append(await task)
        except asyncio.CancelledError:
            texts.append("error: TimeoutError")
        except Exception as error:
            texts.append(f"error: {type(error).__name__}")
        timer.cancel()
    return texts
""",
    ),
    wrong(
        "05.3",
        "raise, and the tool's own time limit ends the agent",
        "four tools: ['sent', 'error: ZeroDivisionError', 'error: TimeoutError', 'sent']; saw CancelledError",
        """
async def run_tools(tools, seconds):
    loop = asyncio.get_running_loop()
    texts = []
    for tool in tools:
        task = asyncio.create_task(tool())
        timer = loop.call_later(seconds, task.cancel)
        try:
            texts.append(await task)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            texts.append(f"error: {type(error).__name__}")
        timer.cancel()
    return texts
""",
    ),
    wrong(
        "05.3",
        "stops, but says that it is done",
        "the agent can be stopped; saw went on: ['error: CancelledError']",
        """
async def run_tools(tools, seconds):
    texts = []
    for tool in tools:
        try:
            texts.append(await asyncio.wait_for(tool(), seconds))
        except Exception as error:
            texts.append(f"error: {type(error).__name__}")
        except asyncio.CancelledError:
            texts.append("error: CancelledError")
            break
    return texts
""",
    ),
    wrong(
        "05.3",
        "another exception in place of the cancellation",
        "the agent can be stopped; saw went on: stopped",
        """
async def run_tools(tools, seconds):
    texts = []
    for tool in tools:
        try:
            texts.append(await asyncio.wait_for(tool(), seconds))
        except Exception as error:
            texts.append(f"error: {type(error).__name__}")
        except asyncio.CancelledError as error:
            raise RuntimeError("stopped") from error
    return texts
""",
    ),
    wrong(
        "05.3",
        "the tool's task is shielded and left behind",
        "one after another, 5 s for the slow one; saw (",
        """
async def run_tools(tools, seconds):
    texts = []
    for tool in tools:
        try:
            texts.append(await asyncio.wait_for(asyncio.shield(tool()), seconds))
        except Exception as error:
            texts.append(f"error: {type(error).__name__}")
    return texts
""",
    ),
    wrong(
        "05.3",
        "all at once",
        "one after another, 5 s for the slow one; saw (",
        """
async def run_tools(tools, seconds):
    calls = (asyncio.wait_for(tool(), seconds) for tool in tools)
    results = await asyncio.gather(*calls, return_exceptions=True)
    return [f"error: {type(r).__name__}" if isinstance(r, Exception) else r for r in results]
""",
    ),
    wrong(
        "05.3",
        "one time limit for all",
        "four tools: ['sent', 'error: ZeroDivisionError', 'error: TimeoutError', 'sent']; saw TimeoutError",
        """
async def run_tools(tools, seconds):
    texts = []
    async with asyncio.timeout(seconds):
        for tool in tools:
            try:
                texts.append(await tool())
            except Exception as error:
                texts.append(f"error: {type(error).__name__}")
    return texts
""",
    ),
    right(
        "05.3",
        "wait_for, and CancelledError passed on by name",
        """
async def run_tools(tools, seconds):
    texts = []
    for tool in tools:
        try:
            texts.append(await asyncio.wait_for(tool(), seconds))
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            texts.append(f"error: {type(error).__name__}")
    return texts
""",
    ),
    right(
        "05.3",
        "asyncio.wait with a time limit, and the tool stopped in a finally",
        """
async def run_tools(tools, seconds):
    texts = []
    for tool in tools:
        task = asyncio.create_task(tool())
        try:
            done, _ = await asyncio.wait({task}, timeout=seconds)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if not done:
            texts.append("error: TimeoutError")
        elif task.exception():
            texts.append(f"error: {type(task.exception()).__name__}")
        else:
            texts.append(task.result())
    return texts
""",
    ),
    wrong(
        "05.4",
        "wait_for: the silence ends the stream",
        "a silence of 7 s: [0, '...', '...', 1, 2, 'end']; saw [0, 'closed', '...', 'end']",
        """
async def with_signs(stream, seconds):
    async with aclosing(stream):
        while True:
            try:
                piece = await asyncio.wait_for(anext(stream), seconds)
            except TimeoutError:
                piece = "..."
            except StopAsyncIteration:
                return
            yield piece
""",
    ),
    wrong(
        "05.4",
        "one sign for each silence",
        "a silence of 7 s: [0, '...', '...', 1, 2, 'end']; saw [0, '...', 1, 2, 'closed', 'end']",
        """
async def with_signs(stream, seconds):
    end = object()

    async def following():
        return await anext(stream, end)

    async with aclosing(stream):
        while True:
            coming = asyncio.create_task(following())
            try:
                done, _ = await asyncio.wait({coming}, timeout=seconds)
                if not done:
                    yield "..."
                piece = await coming
            finally:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
            if piece is end:
                return
            yield piece
""",
    ),
    wrong(
        "05.4",
        "closed while the task is inside",
        "a reader who stops at a sign: [0, '...', 'end']; saw RuntimeError",
        """
async def with_signs(stream, seconds):
    end = object()

    async def following():
        return await anext(stream, end)

    async with aclosing(stream):
        coming = asyncio.create_task(following())
        while True:
            done, _ = await asyncio.wait({coming}, timeout=seconds)
            if not done:
                yield "..."
            elif coming.result() is end:
                return
            else:
                yield coming.result()
                coming = asyncio.create_task(following())
""",
    ),
    wrong(
        "05.4",
        "never closed",
        "a reader who stops at a piece: the stream is closed, and nothing left running; saw [0, 1, 'end', 'closed']",
        """
async def with_signs(stream, seconds):
    end = object()

    async def following():
        return await anext(stream, end)

    while True:
        coming = asyncio.create_task(following())
        while not (await asyncio.wait({coming}, timeout=seconds))[0]:
            yield "..."
        if coming.result() is end:
            return
        yield coming.result()
""",
    ),
    wrong(
        "05.4",
        "a second task for the same piece",
        "a silence of 7 s: [0, '...', '...', 1, 2, 'end']; saw RuntimeError",
        """
async def with_signs(stream, seconds):
    end = object()

    async def following():
        return await anext(stream, end)

    async with aclosing(stream):
        while True:
            coming = asyncio.create_task(following())
            done, _ = await asyncio.wait({coming}, timeout=seconds)
            if not done:
                yield "..."
            elif coming.result() is end:
                return
            else:
                yield coming.result()
""",
    ),
    right(
        "05.4",
        "wait_for around a shield",
        """
async def with_signs(stream, seconds):
    end = object()

    async def following():
        return await anext(stream, end)

    coming = asyncio.create_task(following())
    try:
        while True:
            try:
                piece = await asyncio.wait_for(asyncio.shield(coming), seconds)
            except TimeoutError:
                yield "..."
                continue
            if piece is end:
                break
            yield piece
            coming = asyncio.create_task(following())
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
        await stream.aclose()
""",
    ),
    right(
        "05.4",
        "a queue, filled by a task of its own, which is awaited at the end",
        """
async def with_signs(stream, seconds):
    queue, end = asyncio.Queue(), object()

    async def fill():
        try:
            async for piece in stream:
                await queue.put(piece)
        finally:
            queue.put_nowait(end)

    filling = asyncio.create_task(fill())
    try:
        while True:
            try:
                piece = await asyncio.wait_for(queue.get(), seconds)
            except TimeoutError:
                piece = "..."
            if piece is end:
                await filling
                return
            yield piece
    finally:
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
        await stream.aclose()
""",
    ),
    wrong(
        "05.4",
        "a queue, filled by a task that nobody looks at",
        "a line that breaks in a silence",
        """
async def with_signs(stream, seconds):
    queue, end = asyncio.Queue(), object()

    async def fill():
        async for piece in stream:
            await queue.put(piece)
        await queue.put(end)

    filling = asyncio.create_task(fill())
    try:
        while True:
            try:
                piece = await asyncio.wait_for(queue.get(), seconds)
            except TimeoutError:
                piece = "..."
            if piece is end:
                return
            yield piece
    finally:
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
        await stream.aclose()
""",
    ),
    wrong(
        "05.2",
        "an error of the stream swallowed",
        "a line that breaks: [0, 1, 'ConnectionError', 'end'] after 3 s; saw",
        """
async def with_idle_timeout(stream, seconds):
    async with aclosing(stream):
        while True:
            try:
                async with asyncio.timeout(seconds):
                    piece = await anext(stream)
            except TimeoutError:
                raise
            except (StopAsyncIteration, Exception):
                return
            yield piece
""",
    ),
]
