"""mcp_llm's agent: each event on disk before it is acted on, money reserved before each call, arguments checked.

IN_MEMORY=1 keeps its state on a file system in memory: the same work without waiting for a disk.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import work

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = "BENCH_API_KEY"


async def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


class Ours:
    """Our Python API, as a user has it."""

    def __init__(self, tools: str) -> None:
        import mcp_llm

        self.library = mcp_llm
        self.given: dict[str, Any] = {"functions": [add]} if tools == "function" else {"servers": ["adder"]}
        self.events = 0
        self.seconds = 0.0

    async def run(self, base: str) -> str:
        started = time.perf_counter()
        answer = await self.library.run_agent({"prompt": work.TASK, "model": "bench:bench-1", **self.given}, self.count)
        self.seconds += time.perf_counter() - started
        return answer

    def count(self, event: dict[str, Any]) -> None:
        self.events += 1


@asynccontextmanager
async def opened(tools: str) -> AsyncIterator[Ours]:
    ours = Ours(tools)
    yield ours
    TOLD[f"{tools} events"] = ours.events / ours.seconds


def settings(base: str) -> str:
    """A provider without a price, as a new model has none, and the server of the tool."""
    return (
        f'discover = false\n[providers.bench]\nbase_url = "{base}"\nwires = {{ chat = "openai" }}\n'
        f'auth = {{ env = ["{KEY}"], headers = {{ Authorization = "Bearer {{key}}" }} }}\n'
        f'[servers.adder]\ncommand = "{work.PYTHON}"\nargs = ["{work.SERVER}"]\n[agents]\nservers = []\n'
        "turns = 100\ncalls = 100\n"
    )


TOLD: dict[str, float] = {}

if __name__ == "__main__":
    TEXT = settings(f"{json.loads(sys.argv[1])['base']}/t{work.TURNS}/v1")
    MEMORY = Path("/dev/shm") if os.environ.get("IN_MEMORY") else None
    # Not under /tmp, which may be memory: the folder a user's state would be in.
    with tempfile.TemporaryDirectory(dir=MEMORY or os.environ.get("XDG_CACHE_HOME") or Path.home()) as home:
        os.environ |= {"MCP_LLM_HOME": home, KEY: "bench-key-0123456789"}
        os.chdir(home)
        Path(home, "mcp_llm.toml").write_text(TEXT, encoding="utf-8")
        work.main(opened, TOLD)
