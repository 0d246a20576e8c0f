"""The same echo as `sdk.py`, over mcp_llm's stdio pipes: what a tool call costs before a tool of ours does anything."""

from __future__ import annotations

import sys
from typing import Any

import anyio
from sdk import build

from mcp_llm.server import stdio


async def main(server: Any) -> None:
    async with stdio.streams(pipes, 1000) as (read, write):
        low = server._lowlevel_server
        await low.run(read, write, low.create_initialization_options())


if __name__ == "__main__":
    pipes = stdio.claim()
    anyio.run(main, build(int(sys.argv[1]), sys.argv[2]))
