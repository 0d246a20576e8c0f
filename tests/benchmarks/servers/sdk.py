"""The SDK's own server over its own stdio: an echo, a `generate` around a bare httpx2 call, and tools to fill the list.

Arguments: how many tools, and the base URL of the upstream.
"""

from __future__ import annotations

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

    @server.tool()
    async def generate(prompt: str, model: str) -> str:
        """Asks the upstream."""
        if not client:
            client.append(httpx2.AsyncClient(headers={"authorization": "Bearer x"}, timeout=60))
        body = {"model": model.partition(":")[2], "messages": [{"role": "user", "content": prompt}]}
        reply = await client[0].post(f"{base}/chat/completions", json=body)
        return str(reply.json()["choices"][0]["message"]["content"])

    for number in range(count - 2):
        server.add_tool(echo, name=f"echo_{number}")
    return server


if __name__ == "__main__":
    build(int(sys.argv[1]), sys.argv[2]).run("stdio")
