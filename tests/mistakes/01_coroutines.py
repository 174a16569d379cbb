"""What the checks of lesson 01 must find, and what they must let pass."""

from tests.answers import right, wrong

ANSWERS = [
    wrong(
        "01.1",
        "await of the wrong thing",
        "'coroutine' object has no attribute 'split'",
        """
async def headline(question):
    return await ask(question).split(".")[0].upper()
""",
    ),
    wrong(
        "01.1",
        "the coroutine turned into a text",
        "one request; saw 0",
        """
async def headline(question):
    coroutine = ask(question)
    text = str(coroutine).upper()
    coroutine.close()
    return text
""",
    ),
    wrong(
        "01.1",
        "the whole answer",
        "the first sentence, whole and alone; saw A SEMAPHORE",
        """
async def headline(question):
    return (await ask(question)).upper()
""",
    ),
    wrong(
        "01.1",
        "not in capitals",
        "in capitals; saw A semaphore",
        """
async def headline(question):
    return (await ask(question)).split(".")[0]
""",
    ),
    wrong(
        "01.1",
        "asked twice",
        "one request; saw 2",
        """
async def headline(question):
    await ask(question)
    return (await ask(question)).split(".")[0].upper()
""",
    ),
    right(
        "01.1",
        "in one line",
        """
async def headline(question):
    return (await ask(question)).partition(".")[0].upper()
""",
    ),
    wrong(
        "01.2",
        "a plain for",
        "'async_generator' object is not iterable",
        """
async def read_until(question, enough):
    text = ""
    for piece in llm.astream(question):
        text += piece.text
    return text
""",
    ),
    wrong(
        "01.2",
        "never leaves the loop",
        "enough, and not much more",
        """
async def read_until(question, enough):
    text = ""
    async for piece in llm.astream(question):
        text += piece.text
    return text
""",
    ),
    wrong(
        "01.2",
        "the whole answer, then cut",
        "the server stopped writing, too",
        """
async def read_until(question, enough):
    return (await ask(question))[:enough]
""",
    ),
    wrong(
        "01.2",
        "reads to the end and returns the beginning",
        "the server stopped writing, too",
        """
async def read_until(question, enough):
    text = ""
    async for piece in llm.astream(question):
        if len(text) < enough:
            text += piece.text
    return text
""",
    ),
    wrong(
        "01.2",
        "the stream without async",
        "nothing else had to stand still meanwhile; saw the event loop was held",
        """
async def read_until(question, enough):
    text = ""
    for piece in llm.stream(question):
        text += piece.text
        if len(text) >= enough:
            return text
""",
    ),
    wrong(
        "01.2",
        "a list of pieces",
        "a text comes back; saw",
        """
async def read_until(question, enough):
    texts = []
    async for piece in llm.astream(question):
        texts.append(piece.text)
        if len("".join(texts)) >= enough:
            return texts
""",
    ),
    right(
        "01.2",
        "returns out of the loop",
        """
async def read_until(question, enough):
    texts = []
    async for piece in llm.astream(question):
        texts.append(piece.text)
        if sum(map(len, texts)) >= enough:
            return "".join(texts)
    return "".join(texts)
""",
    ),
    right(
        "01.2",
        "closes the stream itself",
        """
from contextlib import aclosing

async def read_until(question, enough):
    text = ""
    async with aclosing(llm.astream(question)) as pieces:
        async for piece in pieces:
            text += piece.text
            if len(text) >= enough:
                return text
    return text
""",
    ),
    wrong(
        "01.3",
        "the cell as it was",
        "'await' outside function",
        """
def as_script():
    return '''
from awaitsee.desk import ask
answer = await ask("What does the event loop do?")
print(answer)
'''
""",
    ),
    wrong(
        "01.3",
        "main is never run",
        "nothing is left unawaited; saw",
        """
def as_script():
    return '''
async def main():
    from awaitsee.desk import ask
    print(await ask("What does the event loop do?"))
main()
'''
""",
    ),
    wrong(
        "01.3",
        "no imports",
        "NameError",
        """
def as_script():
    return '''
async def main():
    print(await ask("What does the event loop do?"))
asyncio.run(main())
'''
""",
    ),
    wrong(
        "01.3",
        "nothing printed",
        "it prints the answer; saw",
        """
def as_script():
    return '''
import asyncio
from awaitsee.desk import ask
asyncio.run(ask("What does the event loop do?"))
'''
""",
    ),
    right(
        "01.3",
        "prints what run returns, indented with the function",
        """
def as_script():
    return '''
        import asyncio
        from awaitsee.desk import ask

        print(asyncio.run(ask("What does the event loop do?")))
    '''
""",
    ),
]
