"""What a durable event costs: measured for a test and for the goal G5."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mcp_llm.types.events import ToolEnd

if TYPE_CHECKING:
    from mcp_llm.runs.store import RunStore


async def costs(runs: RunStore, count: int) -> tuple[float, float]:
    """(p50, p99) in milliseconds of so many events of 2 KB, each on disk before the next."""
    journal = await runs.create("agent", {}, "me")
    event, times = ToolEnd(tool="t", call_id="c", result="x" * 2000), list[float]()
    for _ in range(count):
        started = time.perf_counter()
        await journal.append(event)
        times.append((time.perf_counter() - started) * 1000)
    times.sort()
    return times[count // 2], times[count * 99 // 100]
