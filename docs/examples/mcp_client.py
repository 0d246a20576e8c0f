"""An MCP client over stdio: asks with progress, and follows a run that takes longer than it wants to wait.

`mcp-llm` has to be on PATH. A folder of its own holds config and state, so that yours stay as they are.
"""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

from mcp import Client, StdioServerParameters

SERVER = Path(__file__).with_name("clock_server.py")


async def show(progress: float, total: float | None, message: str | None) -> None:
    """A heartbeat every few seconds: `progress` only grows, nobody knows the end."""
    print("progress:", message)


async def main(home: str) -> None:
    environment = {"MCP_LLM_HOME": home, "PATH": os.environ["PATH"]}
    server = StdioServerParameters(command="mcp-llm", args=["serve"], env=environment)
    async with Client(server) as client:
        tools = await client.list_tools()
        print("tools:", ", ".join(tool.name for tool in tools.tools))

        # One call. The text is the answer and its receipt, structured content the same as data.
        asked = {"prompt": "What is the capital of France?", "model": "demo"}
        given = await client.call_tool("generate", asked, progress_callback=show)
        assert not given.is_error
        print(given.structured_content["response"])
        print(given.structured_content["cost"], given.structured_content["run_id"])

        # What is wrong comes as an error result whose text says what to do.
        wrong = await client.call_tool("generate", {"prompt": "hello", "model": "opnai:x"})
        print("error:", wrong.is_error, wrong.content[0].text)

        # A call that takes longer than we wait hands back its run and goes on inside the server.
        task = {"prompt": 'Call wait with {"seconds": 4}', "model": "demo", "servers": ["clock"], "wait_s": 1}
        run = (await client.call_tool("run_agent", task, progress_callback=show)).structured_content
        while run["status"] == "running":
            print("still running:", run["run_id"])
            wait = {"action": "wait", "run_id": run["run_id"], "wait_s": 30}
            run = (await client.call_tool("runs", wait, progress_callback=show)).structured_content
        print(run["status"], run["response"])


with tempfile.TemporaryDirectory() as home:
    command = f"command = {json.dumps(sys.executable)}\nargs = [{json.dumps(str(SERVER))}]\n"
    Path(home, "mcp_llm.toml").write_text(f"discover = false\n\n[servers.clock]\n{command}", encoding="utf-8")
    asyncio.run(main(home))
