"""An MCP server for agents whose only tool never answers; writes its process id to the file that is its argument."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
from mcp.server import MCPServer

server = MCPServer("hanging", log_level="WARNING")


@server.tool()
async def linger() -> str:
    """Never ends."""
    Path(sys.argv[1]).write_text(str(os.getpid()))  # noqa: ASYNC240 - once
    await anyio.sleep_forever()
    return ""


if __name__ == "__main__":
    server.run("stdio")
