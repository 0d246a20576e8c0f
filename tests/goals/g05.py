"""What a durable event costs: 2 KB, on disk before the next one, in milliseconds."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from goals.figure import Figure
from runs.costing import costs

from mcp_llm.runs.store import RunStore
from mcp_llm.store.sqlite import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL, SHORT = 20_000, 2_000


def measure(full: bool) -> Iterator[Figure]:
    """The journal's `append` from its call to its return, with the thread, the transaction and the sync in it."""
    count = FULL if full else SHORT
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:  # on a disk: /tmp may be memory
        half, most = anyio.run(cost, Path(folder), count)
    yield Figure("p50", half, "ms", 0.5, note=f"{count:,} events in /var/tmp")
    busy = f"the machine's load is {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    yield Figure("p99", most, "ms", 2, note=busy)


async def cost(folder: Path, count: int) -> tuple[float, float]:
    """In a database of its own."""
    store = Store.open(folder / "home" / "state.db")
    try:
        return await costs(RunStore(store), count)
    finally:
        store.close()
