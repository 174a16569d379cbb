"""What the checks of lesson 19 must find, and what they must let pass."""

from tests.answers import right, wrong

TOOLS = '''
def tools_of(session, client):
    @tool
    async def weather(city: str) -> str:
        """Return the weather in a city."""
        return {weather}

    @tool
    async def search(query: str) -> str:
        """Search the web for a topic."""
        return {search}

    @tool
    def multiply(first: int, second: int) -> int:
        """Multiply two numbers."""
        return product(first, second)

    return {tools}
'''


def tools(
    weather: str = "await weather_in(session, city)",
    search: str = "await found_for(client, query)",
    tools: str = "[weather, search, multiply]",
) -> str:
    """Write the answer to 19.1 with these parts."""
    return TOOLS.format(weather=weather, search=search, tools=tools)


LIMITS = """
class Limits(AgentMiddleware):
    def __init__(self, at_once, most_tokens):
        super().__init__()
        self.at_once, self.most_tokens, self.tokens = at_once, most_tokens, 0
        self.slots = asyncio.Semaphore(at_once)

    async def awrap_model_call(self, request, handler):
"""

PATIENCE = """
class Patience(AgentMiddleware):
    def __init__(self, attempts, pause):
        super().__init__()
        self.attempts, self.pause = attempts, pause

    async def awrap_tool_call(self, request, handler):
"""

ANSWERS = [
    wrong(
        "19.1",
        "Tool with an async func",
        "each tool was called and brought its result",
        """
from langchain_core.tools import Tool

def tools_of(session, client):
    async def weather(city):
        return await weather_in(session, city)

    async def search(query):
        return await found_for(client, query)

    @tool
    def multiply(first: int, second: int) -> int:
        "Multiply two numbers."
        return product(first, second)

    return [
        Tool(name="weather", func=weather, description="Return the weather in a city."),
        Tool(name="search", func=search, description="Search the web for a topic."),
        multiply,
    ]
""",
    ),
    wrong(
        "19.1", "no await", "each tool was called and brought its result", tools(weather="weather_in(session, city)")
    ),
    wrong(
        "19.1",
        "blocking in an async tool",
        "the two services are asked at the same time; saw 2 look-ups, overlapping: False",
        tools(
            weather="f\"{requests.get(server.url + '/weather', params={'city': city}).json()['temperature_c']} °C\"",
            search="requests.get(server.url + '/search', params={'q': query}).json()['results'][0]['snippet']",
        ),
    ),
    wrong("19.1", "one is missing", "three tools with their names; saw", tools(tools="[weather, search]")),
    right("19.1", "the product in a thread", tools()),
    right(
        "19.1",
        "from a coroutine",
        """
from langchain_core.tools import StructuredTool

def tools_of(session, client):
    async def weather(city: str) -> str:
        return await weather_in(session, city)

    async def search(query: str) -> str:
        return await found_for(client, query)

    return [
        StructuredTool.from_function(coroutine=weather, name="weather", description="The weather in a city."),
        StructuredTool.from_function(coroutine=search, name="search", description="Search the web."),
        StructuredTool.from_function(product, name="multiply", description="Multiply two numbers."),
    ]
""",
    ),
    wrong(
        "19.2",
        "async in front",
        "the loop is free; saw held for",
        """
from functools import wraps

def harmless(function, at_once):
    slots = asyncio.Semaphore(at_once)

    @wraps(function)
    async def waiting(*args, **kwargs):
        async with slots:
            return function(*args, **kwargs)

    return tool(waiting)
""",
    ),
    wrong(
        "19.2",
        "no cap",
        "three calls run at once, and never more; saw at most",
        """
def harmless(function, at_once):
    return tool(function)
""",
    ),
    wrong(
        "19.2",
        "a semaphore for each call",
        "three calls run at once, and never more; saw at most",
        """
from functools import wraps

def harmless(function, at_once):
    @wraps(function)
    async def waiting(*args, **kwargs):
        async with asyncio.Semaphore(at_once):
            return await asyncio.to_thread(function, *args, **kwargs)

    return tool(waiting)
""",
    ),
    wrong(
        "19.2",
        "arguments dropped",
        "the results of the function, with its arguments; saw",
        """
from functools import wraps

def harmless(function, at_once):
    slots = asyncio.Semaphore(at_once)

    @wraps(function)
    async def waiting(*args, **kwargs):
        async with slots:
            return await asyncio.to_thread(function, kwargs["query"])

    return tool(waiting)
""",
    ),
    right(
        "19.2",
        "an executor of its own",
        """
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps

def harmless(function, at_once):
    pool = ThreadPoolExecutor(at_once)

    @wraps(function)
    async def waiting(*args, **kwargs):
        return await asyncio.get_running_loop().run_in_executor(pool, partial(function, *args, **kwargs))

    return tool(waiting)
""",
    ),
    right(
        "19.2",
        "both sides of a StructuredTool",
        """
from langchain_core.tools import StructuredTool

def harmless(function, at_once):
    slots = asyncio.Semaphore(at_once)

    async def waiting(**kwargs):
        async with slots:
            return await asyncio.to_thread(function, **kwargs)

    return StructuredTool.from_function(func=function, coroutine=waiting)
""",
    ),
    wrong(
        "19.3",
        "no cap",
        "with a large budget the work is done, two calls at once; saw 8 calls, at most 3 at once",
        LIMITS
        + """
        if self.tokens >= self.most_tokens:
            return AIMessage(STOPPED)
        response = await handler(request)
        self.tokens += response.result[-1].usage_metadata["total_tokens"]
        return response
""",
    ),
    wrong(
        "19.3",
        "the budget before the slot",
        "the budget ends the work, and no call begins after it is spent; saw",
        LIMITS
        + """
        if self.tokens >= self.most_tokens:
            return AIMessage(STOPPED)
        async with self.slots:
            response = await handler(request)
            self.tokens += response.result[-1].usage_metadata["total_tokens"]
            return response
""",
    ),
    wrong(
        "19.3",
        "only what is written",
        "the tokens are those of the bill; saw",
        LIMITS
        + """
        async with self.slots:
            if self.tokens >= self.most_tokens:
                return AIMessage(STOPPED)
            response = await handler(request)
            self.tokens += response.result[-1].usage_metadata["output_tokens"]
            return response
""",
    ),
    wrong(
        "19.3",
        "a slot lost with each failure",
        "a failed call raises, and gives its slot back; saw first",
        LIMITS
        + """
        await self.slots.acquire()
        if self.tokens >= self.most_tokens:
            self.slots.release()
            return AIMessage(STOPPED)
        response = await handler(request)
        self.slots.release()
        self.tokens += response.result[-1].usage_metadata["total_tokens"]
        return response
""",
    ),
    wrong(
        "19.3",
        "one call too late",
        "a failed call raises, and gives its slot back; saw first",
        LIMITS
        + """
        async with self.slots:
            if self.tokens > self.most_tokens:
                return AIMessage(STOPPED)
            response = await handler(request)
            self.tokens += response.result[-1].usage_metadata["total_tokens"]
            return response
""",
    ),
    wrong(
        "19.3",
        "the sync hook",
        "with a large budget the work is done, two calls at once; saw 0 calls",
        LIMITS.replace("async def awrap", "def wrap")
        + """
        if self.tokens >= self.most_tokens:
            return AIMessage(STOPPED)
        response = handler(request)
        self.tokens += response.result[-1].usage_metadata["total_tokens"]
        return response
""",
    ),
    right(
        "19.3",
        "acquire and finally",
        LIMITS
        + """
        await self.slots.acquire()
        try:
            if self.tokens < self.most_tokens:
                response = await handler(request)
                self.tokens += response.result[-1].usage_metadata["total_tokens"]
                return response
        finally:
            self.slots.release()
        return AIMessage(STOPPED)
""",
    ),
    right(
        "19.3",
        "counted in its parts",
        LIMITS
        + """
        async with self.slots:
            if self.tokens >= self.most_tokens:
                return ModelResponse(result=[AIMessage(STOPPED)])
            response = await handler(request)
        usage = response.result[0].usage_metadata
        self.tokens += usage["input_tokens"] + usage["output_tokens"]
        return response
""",
    ),
    wrong(
        "19.4",
        "a pause after the last attempt",
        "with a pause between two attempts, and none after the last; saw between",
        PATIENCE
        + """
        for attempt in range(self.attempts):
            try:
                return await handler(request)
            except Exception as error:
                failure = f"Error: {error}"
                await asyncio.sleep(self.pause)
        return ToolMessage(failure, tool_call_id=request.tool_call["id"], status="error")
""",
    ),
    wrong(
        "19.4",
        "not awaited",
        "2 failures, 3 attempts; saw 1 attempts",
        PATIENCE
        + """
        for attempt in range(self.attempts):
            try:
                result = handler(request)
                break
            except Exception as error:
                await asyncio.sleep(self.pause)
        return await result
""",
    ),
    wrong(
        "19.4",
        "time.sleep",
        "the other tool goes on meanwhile; saw the loop was held for",
        PATIENCE
        + """
        for attempt in range(self.attempts):
            if attempt:
                time.sleep(self.pause)
            try:
                return await handler(request)
            except Exception as error:
                failure = f"Error: {error}"
        return ToolMessage(failure, tool_call_id=request.tool_call["id"], status="error")
""",
    ),
    wrong(
        "19.4",
        "swallows the cancellation",
        "a cancellation goes through; saw",
        PATIENCE
        + """
        for attempt in range(self.attempts):
            if attempt:
                await asyncio.sleep(self.pause)
            try:
                return await handler(request)
            except BaseException as error:
                failure = f"Error: {error}"
        return ToolMessage(failure, tool_call_id=request.tool_call["id"], status="error")
""",
    ),
    right(
        "19.4",
        "from inside out",
        PATIENCE
        + """
        left = self.attempts
        while True:
            left -= 1
            try:
                return await handler(request)
            except Exception as error:
                if not left:
                    return ToolMessage(f"Error: {error!r}", tool_call_id=request.tool_call["id"], status="error")
            await asyncio.sleep(self.pause)
""",
    ),
    right(
        "19.4",
        "lets the cancellation through by name",
        PATIENCE
        + """
        for attempt in range(self.attempts):
            if attempt:
                await asyncio.sleep(self.pause)
            try:
                return await handler(request)
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                failure = f"Error: {error}"
        return ToolMessage(failure, tool_call_id=request.tool_call["id"], status="error")
""",
    ),
]
