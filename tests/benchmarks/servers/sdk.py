"""The SDK's own server over its own stdio: an echo, two tools around a bare httpx2 call, and more to fill the list.

Arguments: how many tools, and the base URL of the upstream.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import httpx2
from mcp.server import MCPServer


def build(count: int, base: str) -> MCPServer[Any]:
    server: MCPServer[Any] = MCPServer("bench", log_level="WARNING")
    client: list[httpx2.AsyncClient] = []

    @server.tool()
    async def echo(text: str) -> str:
        """Says it again."""
        return text

    def ask(prompt: str, model: str) -> dict[str, Any]:
        if not client:
            client.append(httpx2.AsyncClient(headers={"authorization": "Bearer x"}, timeout=60))
        body = {"model": model.partition(":")[2], "messages": [{"role": "user", "content": prompt}]}
        return {"url": f"{base}/chat/completions", "json": body}

    @server.tool()
    async def generate(prompt: str, model: str) -> str:
        """Asks the upstream for a whole reply."""
        asked = ask(prompt, model)
        reply = await client[0].post(**asked)
        return str(reply.json()["choices"][0]["message"]["content"])

    @server.tool()
    async def generate_streamed(prompt: str, model: str) -> str:
        """Asks the upstream for a stream, as our `generate` does."""
        asked = ask(prompt, model)
        asked["json"]["stream"] = True
        said: list[str] = []
        async with client[0].stream("POST", **asked) as reply:
            async for line in reply.aiter_lines():
                if line.startswith("data: ") and line != "data: [DONE]":
                    choices = json.loads(line[6:])["choices"]
                    if choices and (text := choices[0]["delta"].get("content")):
                        said.append(text)
        return "".join(said)

    for number in range(count - 3):
        server.add_tool(echo, name=f"echo_{number}")
    return server


if __name__ == "__main__":
    build(int(sys.argv[1]), sys.argv[2]).run("stdio")
