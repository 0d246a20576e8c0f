"""A small real MCP server over stdio: some figures, a file that only grows, a tool that ends the process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mcp.server import MCPServer
from mcp.types import ToolAnnotations

server = MCPServer("figures")
SAFE = ToolAnnotations(read_only_hint=True)


@server.tool(annotations=SAFE)
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool(annotations=ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False))
def note(line: str) -> str:
    """Append a line to the file."""
    path = Path(sys.argv[1])
    with path.open("a") as file:
        file.write(f"{line}\n")
    return f"noted {line}"


@server.tool()
def wipe() -> str:
    """Empty the file."""
    Path(sys.argv[1]).write_text("")
    return "wiped"


@server.tool(annotations=SAFE)
def die() -> str:
    """End the process."""
    os._exit(3)


if __name__ == "__main__":
    server.run("stdio")
