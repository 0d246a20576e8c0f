"""The same echo as `sdk.py`, over mcp_llm's stdio pipes: what a tool call costs before a tool of ours does anything."""

from __future__ import annotations

import sys
from typing import Any

import anyio
from sdk import build

from mcp_llm.server import eras, stdio


async def main(server: Any) -> None:
    async with stdio.streams(pipes, 1000) as (read, write):
        await eras.serve(server._lowlevel_server, read, write)


if __name__ == "__main__":
    pipes = stdio.claim()
    anyio.run(main, build(int(sys.argv[1]), sys.argv[2]))
