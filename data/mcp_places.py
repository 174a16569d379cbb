"""A small MCP server with two tools, over standard input and output, in plain Python so that it starts quickly."""

import asyncio
import json
import os
import sys
from typing import Any

HOURS = {"museum": "10 to 18", "library": "9 to 20", "town hall": "8 to 12"}
STREETS = {"museum": "Harbour Road 3", "library": "Station Square 1", "town hall": "Market 7"}
NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
TOOLS = [
    {"name": "opening_hours", "description": "Return when a place is open.", "inputSchema": NAME},
    {"name": "address_of", "description": "Return the street of a place.", "inputSchema": NAME},
]


async def call(tool: str, name: str) -> str:
    """Answer one call after 0.1 s, and say which process did."""
    await asyncio.sleep(0.1)
    known = HOURS if tool == "opening_hours" else STREETS
    return f"{known.get(name.lower(), 'unknown')}, says process {os.getpid()}"


async def answer(message: dict[str, Any]) -> None:
    """Answer one request; a notification, which has no id, needs no answer."""
    method, params = message.get("method"), message.get("params", {})
    if method == "initialize":
        info = {"name": "places", "version": "1"}
        result = {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": info}
    elif method == "tools/list":
        result = {"tools": TOOLS}
    elif method == "tools/call":
        text = await call(params["name"], params["arguments"]["name"])
        result = {"content": [{"type": "text", "text": text}]}
    else:
        result = {}
    if "id" in message:
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)


async def main() -> None:
    """Answer requests, one a line, several at once, until the input ends."""
    async with asyncio.TaskGroup() as group:
        while line := await asyncio.to_thread(sys.stdin.readline):
            group.create_task(answer(json.loads(line)))


if __name__ == "__main__":
    asyncio.run(main())
