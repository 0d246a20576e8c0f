"""An agent that uses an MCP server: the server is named in `mcp_llm.toml`, the caller passes only its name.

A folder of its own holds config and state here, so that yours stay as they are.
"""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

from mcp_llm import run_agent

SERVER = Path(__file__).with_name("clock_server.py")


async def main() -> None:
    print(await run_agent({"prompt": "Call now with {}", "model": "demo", "servers": ["clock"]}))


with tempfile.TemporaryDirectory() as home:
    os.environ["MCP_LLM_HOME"] = home
    command = f"command = {json.dumps(sys.executable)}\nargs = [{json.dumps(str(SERVER))}]\n"
    Path(home, "mcp_llm.toml").write_text(f"[servers.clock]\n{command}", encoding="utf-8")
    asyncio.run(main())
