"""A host of its own, to be killed: `caller.py URL MODE PROMPT WAIT_S` asks `gate:m` once and prints the answer."""

from __future__ import annotations

import sys
from typing import Any

import anyio
from mcp import Client


async def main(*words: str) -> None:
    url, prompt, wait_s = words[0], words[2], words[3]
    mode: Any = words[1]
    async with Client(url, mode=mode) as host:
        result: Any = await host.call_tool("generate", {"prompt": prompt, "model": "gate:m", "wait_s": float(wait_s)})
        print(result.structured_content, flush=True)
        await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
