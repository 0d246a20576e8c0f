"""An MCP client over HTTP: a token, a call, what a refusal looks like, and waiting as long as the server asks.

It starts a server on a free port of this machine and stops it at the end. `mcp-llm` has to be on PATH.
"""

import asyncio
import os
import subprocess
import tempfile

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def main(url: str, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        given = await client.call_tool("generate", {"prompt": "Who calls?", "model": "demo"})
        print(given.structured_content["response"])

    # Without a token nobody comes in. Busy answers (429, 503) say in Retry-After how many seconds to wait.
    async with httpx2.AsyncClient() as http:
        for _ in range(3):
            refused = await http.post(url, json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
            print(refused.status_code, refused.json()["error"]["message"])
            if refused.status_code not in {429, 503}:
                break
            await asyncio.sleep(float(refused.headers.get("retry-after", "1")))


with tempfile.TemporaryDirectory() as home:
    environment = {"MCP_LLM_HOME": home, "MCP_LLM_DISCOVER": "0", "PATH": os.environ["PATH"]}
    made = subprocess.run(
        ["mcp-llm", "token", "create", "alice"], env=environment, check=True, capture_output=True, text=True
    )
    server = subprocess.Popen(
        ["mcp-llm", "serve", "--http", "--port", "0"], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        first = server.stderr.readline()  # mcp-llm: serving MCP on http://127.0.0.1:PORT/mcp
        asyncio.run(main(first.split()[-1], made.stdout.strip()))
    finally:
        server.terminate()
        server.communicate(timeout=30)
