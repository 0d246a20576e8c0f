"""An MCP server with two tools, to let agents loose on: `now` answers at once, `wait` takes its time."""

from datetime import UTC, datetime

import anyio
from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations

server = MCPServer("clock")
READ_ONLY = ToolAnnotations(read_only_hint=True)


@server.tool(annotations=READ_ONLY)
def now() -> str:
    """The time, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@server.tool(annotations=READ_ONLY)
async def wait(seconds: float) -> str:
    """Wait so many seconds."""
    await anyio.sleep(seconds)
    return f"waited {seconds:g} s"


server.run("stdio")
