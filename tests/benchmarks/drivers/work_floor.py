"""The floor: a loop by hand over a bare httpx2 client, the tool a function or a call of the SDK's own MCP client.

STREAMED=1 asks for streams, as our loop always does.
"""

from __future__ import annotations

import json
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import work

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

SPEC = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
}
TOOLS = [{"type": "function", "function": {"name": "add", "description": "Adds two numbers.", "parameters": SPEC}}]


class Loop:
    def __init__(self, client: httpx2.AsyncClient, call: Callable[[dict[str, Any]], Awaitable[str]]) -> None:
        self.client = client
        self.call = call

    async def run(self, base: str) -> str:
        messages: list[dict[str, Any]] = [{"role": "user", "content": work.TASK}]
        while True:
            body = {"model": "bench-1", "messages": messages, "tools": TOOLS}
            message = await (self.streamed(base, body) if os.environ.get("STREAMED") else self.whole(base, body))
            messages.append(message)
            if not message.get("tool_calls"):
                return str(message["content"])
            for call in message["tool_calls"]:
                result = await self.call(json.loads(call["function"]["arguments"]))
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})

    async def whole(self, base: str, body: dict[str, Any]) -> dict[str, Any]:
        reply = await self.client.post(f"{base}/chat/completions", json=body)
        message: dict[str, Any] = reply.json()["choices"][0]["message"]
        return message

    async def streamed(self, base: str, body: dict[str, Any]) -> dict[str, Any]:
        said: list[str] = []
        calls: list[dict[str, Any]] = []
        async with self.client.stream("POST", f"{base}/chat/completions", json={**body, "stream": True}) as reply:
            async for line in reply.aiter_lines():
                if not line.startswith("data: ") or line == "data: [DONE]":
                    continue
                for choice in json.loads(line[6:])["choices"]:
                    said.append(choice["delta"].get("content") or "")
                    for piece in choice["delta"].get("tool_calls") or ():
                        if "id" in piece:
                            calls.append({**piece, "function": dict(piece["function"])})
                        else:
                            calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
        message: dict[str, Any] = {"role": "assistant", "content": "".join(said) or None}
        return {**message, "tool_calls": calls} if calls else message


async def add(given: dict[str, Any]) -> str:
    return str(given["a"] + given["b"])


class Remote(Loop):
    """The same over an MCP server of its own for each run, as an agent has it."""

    async def run(self, base: str) -> str:
        from mcp import Client, StdioServerParameters

        async with Client(StdioServerParameters(command=work.PYTHON, args=[work.SERVER])) as remote:

            async def call(given: dict[str, Any]) -> str:
                result: Any = await remote.call_tool("add", given)
                return str(result.content[0].text)

            self.call = call
            await remote.list_tools()
            return await super().run(base)


@asynccontextmanager
async def opened(tools: str) -> AsyncIterator[Loop]:
    async with httpx2.AsyncClient(headers={"authorization": "Bearer x"}, timeout=60) as client:
        yield (Loop if tools == "function" else Remote)(client, add)


if __name__ == "__main__":
    work.main(opened)
