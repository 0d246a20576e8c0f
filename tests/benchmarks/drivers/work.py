"""What every agent has to do: a driver brings `opened(tools)`, whose `run(base)` gives the agent's last words.

`tools` is "function" (an `add` in this process) or "mcp" (that of servers/adder.py, started for each run). Reads its
plan as JSON from argv: {"base", "tools": [...], "share"}. Prints as JSON, by kind of tool, microseconds of CPU and of
wall time of one turn, a call of the model and one of the tool; what a driver counts in `told` comes with it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

TURNS = 20
RUNS = {"function": 10, "mcp": 3}
TASK = "Add two and three, again and again."
SAID = "The quick brown fox jumps over the lazy dog. " * 20
SERVER = str(Path(__file__).resolve().parents[1] / "servers" / "adder.py")
PYTHON = os.environ.get("ADDER_PYTHON", sys.executable)
"""An environment that has the SDK the server is written for; a peer's may have another."""


class Agent(Protocol):
    """An agent with its tools open."""

    async def run(self, base: str) -> str: ...


async def _measure(agent: Agent, base: str, runs: int) -> tuple[float, float]:
    """(CPU, wall) microseconds of a turn."""
    assert await agent.run(base) == SAID  # everything imported, connected and warm
    started, cpu = time.perf_counter(), time.process_time()
    for _ in range(runs):
        assert await agent.run(base) == SAID
    return ((time.process_time() - cpu) / (runs * TURNS) * 1e6, (time.perf_counter() - started) / (runs * TURNS) * 1e6)


def main(opened: Callable[[str], AbstractAsyncContextManager[Any]], told: dict[str, float] | None = None) -> None:
    """Run the plan."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {0})
    plan = json.loads(sys.argv[1])

    async def one(tools: str) -> tuple[float, float]:
        async with opened(tools) as agent:
            return await _measure(agent, f"{plan['base']}/t{TURNS}/v1", max(2, round(RUNS[tools] * plan["share"])))

    found: dict[str, float] = {}
    for tools in plan["tools"]:
        found[tools], found[f"{tools} wall"] = asyncio.run(one(tools))
    print(json.dumps({**found, **(told or {})}))
