"""A small real MCP server over stdio whose tools say which trace context came with a call, and fail on request."""

from __future__ import annotations

from mcp.server import MCPServer
from mcp.server.mcpserver import Context  # noqa: TC002 - the SDK reads the annotation
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations

server = MCPServer("traced")
SAFE = ToolAnnotations(read_only_hint=True)


@server.tool(annotations=SAFE)
def where(ctx: Context) -> str:
    """The W3C trace context of this call."""
    return str((ctx.request_context.meta or {}).get("traceparent"))


@server.tool(annotations=SAFE)
def fail() -> str:
    """Fail."""
    raise ToolError("a private reason")


if __name__ == "__main__":
    server.run("stdio")
